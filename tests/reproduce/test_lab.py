"""What notebooks show: objects that are rendered, cut where they are long, answers that follow the record."""

import copy
import dataclasses
import html
import inspect
import re

import pytest

from sfar import studies
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.render.tables import Prose, Table
from sfar.reproduce import lab
from sfar.studies import ablations
from sfar.util import paths

PROFILE = get_profile("storyboard")


@pytest.fixture(scope="module")
def show():
    study = studies.load("table1")
    return lab.Shown(study, study.load(PROFILE))


def test_a_table_is_an_object_with_text_and_markdown(show):
    made = show("methods")
    assert isinstance(made, Table) and repr(made) == str(made) == made._repr_markdown_() and "| Method" in repr(made)


def test_a_long_table_is_cut_with_a_link_to_its_page(show):
    whole, cut = show("table1", rows=None), show("table1")
    assert len(cut.rows) == lab.ROWS and cut.rows == whole.rows[: lab.ROWS] and not whole.rest
    assert f"{len(whole.rows) - lab.ROWS} more rows" in cut.rest and "](../results/storyboard/table1.md)" in cut.rest
    assert (paths.notebooks() / "../results/storyboard/table1.md").is_file()
    assert str(cut).endswith(cut.rest)


@pytest.mark.parametrize("n", [10, 11, 12])
def test_two_rows_more_are_not_worth_a_cut(n):
    table = Table(["a"], [[i] for i in range(n)])
    assert table.cut(10, "elsewhere") is table


def test_several_blocks_stand_below_each_other(show):
    made = show("importance", "reference")
    assert isinstance(made, Prose) and "Equal weights" in repr(made) and "linear classifier" in repr(made)


def test_what_a_record_has_nothing_for_is_nothing():
    study = studies.load("ambiguity")
    show = lab.Shown(study, study.load(PROFILE))
    assert show("no-truth") is None and show("no-truth", "table8").columns[0] == "Method"


def test_a_block_that_is_not_there_is_named(show):
    with pytest.raises(SfarError, match="study table1 shows no 'nosuch': it has methods"):
        show("nosuch")


def test_the_answer_follows_the_record(show):
    said = str(show.answer("table1-highest"))
    c = show.record.claim("table1-highest")
    assert said.startswith(f"- **{c.verdict.capitalize()}**: {c.claim}. Here {c.mean:+.1f} points (")
    assert f"against {c.against}; the paper prints +1.3." in said
    other = copy.deepcopy(show.record)
    other.claims = [dataclasses.replace(x, verdict="holds", mean=9.9) for x in other.claims]
    assert "**Holds**: " in str(lab.Shown(show.study, other).answer("table1-highest"))
    assert "Here +9.9 points" in str(lab.Shown(show.study, other).answer("table1-highest"))
    other.claims = []
    assert str(lab.Shown(show.study, other).answer("table1-highest", "A sentence.")) == "- A sentence."


def test_claims_fit_a_page(show):
    table = show("claims")
    assert list(table.columns) == ["Claim", "Paper", "Here (95 % interval)", "Verdict"]
    assert [row[0] for row in table.rows] == [c.claim for c in show.record.claims]


def test_what_is_compared_is_what_the_study_declares(show):
    said = str(show.compared())
    assert all(v.title in said for v, _ in show.study.planned(PROFILE)) and "equal weights" in said
    table = lab.variants(ablations.FROZEN_ROWS, PROFILE)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Coarse only"] == ["`sfar`", "`model.fine = False`", "frozen", 20]
    assert rows["Vanilla CLIP (zero-shot)"] == ["`vanilla`", "–", "frozen", "–"]
    assert lab.variants(ablations.TABLE2E[:1], PROFILE).rows[0][3:] == ["fine-tuned", 5]


def test_a_record_of_other_settings_has_a_banner(show):
    assert show.banner() is None and show.profile == PROFILE
    other = copy.deepcopy(show.record)
    other.provenance["config"]["train"]["epochs"] = 1
    other.provenance["config"] |= {"seeds": [0, 1], "frozen_seeds": []}
    other.provenance["command"] = "sfar reproduce table1 --seeds 0,1 --set train.epochs=1"
    said = str(lab.Shown(show.study, other).banner())
    assert "`train.epochs = 1`, `seeds = [0, 1]`. Made by `sfar reproduce table1 --seeds 0,1" in said
    assert "`rows=None` shows them." in lab.Shown(show.study, other)("table1").rest, "no page has been written"


def test_provenance_is_folded(show):
    said = str(show.provenance())
    assert said.startswith("<details><summary>") and "make reproduce-table1" in said and said.endswith("</details>")


def test_source_is_text_markdown_and_html_that_is_never_wrapped():
    shown = lab.Source(lab.sharp, lab.found)
    assert repr(shown) == inspect.getsource(lab.sharp) + "\n\n" + inspect.getsource(lab.found)
    assert shown._repr_markdown_() == f"```python\n{shown!r}```"
    page = shown._repr_html_()
    assert '<pre style="white-space: pre; overflow-x: auto;' in page
    assert re.sub("<.*?>", "", html.unescape(page)).strip() == repr(shown).strip()
