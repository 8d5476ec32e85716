"""Section 3.1 to look at: accuracies of Figure 7b, prompts that are what is sent, cards that are whole."""

import dataclasses

import matplotlib.pyplot as plt
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.studies import fig7b, subtexts
from sfar.studies.core import page
from sfar.studies.subtexts import STUDY
from sfar.subtexts import SubTexts, prompts
from sfar.util import paths


@pytest.fixture(scope="module")
def record():
    return STUDY.get()


def test_table_13_shows_the_accuracies_of_figure_7b(record):
    groups = {r.row: r for r in fig7b.STUDY.get().select("groups", metric="top1")}
    assert {r.row for r in record.rows} == {n for n, r in groups.items() if r.more["kind"] != "derived"}
    assert all(r == groups[r.row] for r in record.rows)
    assert [row[:2] for row in page.show(STUDY, record, "table13").rows] == [[r.title, r.mean] for r in record.rows]
    two = page.show(STUDY, record, "table14").rows
    assert [row[0] for row in two] == [groups[g].title for g in subtexts.COMPARED]


def test_it_follows_from_the_record_of_figure_7b(tmp_path, monkeypatch):
    profile = get_profile("storyboard")
    before = STUDY.inputs(profile)
    monkeypatch.setattr(fig7b, "STUDY", dataclasses.replace(fig7b.STUDY, inputs_of=lambda *_: "other texts"))
    assert STUDY.inputs(profile) != before
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="make reproduce-fig7b"):
        STUDY.measure(profile)


def test_the_printed_prompts_are_what_is_sent(record):
    shown = [text for _, text in page.show(STUDY, record, "prompts").rows]
    for i, question in prompts.questions().items():
        sent = prompts.messages("long jump", question)
        assert sent[0]["content"] == shown[0] and shown[i] in sent[1]["content"]
        assert prompts.action_line("long jump") in sent[1]["content"]


def test_printed_and_bundled_never_share_a_card(record):
    figure = page.show(STUDY, record, "fig8")
    titles = [ax.texts[0].get_text() for ax in figure.axes]
    assert sum("(paper)" in t for t in titles) == 6 and sum("bundled" in t for t in titles) == 2
    own = list(SubTexts.load("kinetics400")["eating chips"])
    card = next(ax for ax in figure.axes if ax.texts[0].get_text().startswith("eating chips"))
    text = " ".join(t.get_text().replace("\n", " ") for t in card.texts)
    assert all(t in text for t in own)
    plt.close("all")


def test_what_the_figure_does_not_hold_is_said(record):
    """Figure 4's text has no third item of either list."""
    figure = page.show(STUDY, record, "fig4")
    missing = [t.get_text() for ax in figure.axes for t in ax.texts if "not legible" in t.get_text().replace("\n", " ")]
    assert len(missing) == 2 and {r["step"] for r in paper.load("figure4")} == {1, 2, 4}
    plt.close("all")
