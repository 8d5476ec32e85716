"""DEVIATIONS.md: it is what is rendered from the fields and the rows, whole, and says what the records say."""

import dataclasses
import json
import re
import typing

import pytest

from sfar.config import PROFILES, SETTINGS, ModelConfig, values
from sfar.model import cost
from sfar.paper import deviations
from sfar.reproduce import numbers
from sfar.settings import Measured, Reading
from sfar.studies import ablations
from sfar.util import paths

PAGE = (paths.PROJECT / "DEVIATIONS.md").read_text(encoding="utf-8")
ROWS = [r for section in deviations.SECTIONS for r in deviations.rows(section)]
MEASURED = {p for r in ROWS for p in deviations.parts(r.effect) if isinstance(p, Measured)}


def test_the_page_is_what_is_rendered():
    """`sfar summary` writes it."""
    assert deviations.render(numbers.effect_of) == PAGE


def test_every_reading_is_on_the_page_once():
    """Of fields and without; a section of another name would be lost."""
    assert len(ROWS) == sum(len(known.readings) for known in SETTINGS.values()) + len(deviations.WITHOUT_FIELD)
    assert len({(r.where, r.says, r.taken) for r in ROWS}) == len(ROWS)
    sections = typing.get_args(typing.get_type_hints(Reading)["section"])
    assert set(sections) == set(deviations.SECTIONS) == {r.section for r in ROWS}


def test_every_open_field_has_a_row():
    """``coarse`` and ``fine`` are the paper's own ablation."""
    named = {f for r in ROWS for f in r.fields}
    fields = {f"model.{f.name}" for f in dataclasses.fields(ModelConfig)} - {"model.coarse", "model.fine"}
    fields |= {
        "train.loss_lambda",
        "train.lr_head",
        "train.lr_clip",
        "train.weight_decay",
        "train.warmup_epochs",
        "train.crop_area",
        "train.few_shot_epoch",
        "train.precision",
        "train.train_visual",
        "data.reader",
    }
    # What the profiles do not share, apart from which videos, is a choice of the storyboard world or of the hardware.
    a, b = (values(p) for p in PROFILES.values())
    fields |= {k for k in SETTINGS if a[k] != b[k] and SETTINGS[k].role == "how"}
    # What a protocol of the paper's data sets changes.
    fields |= {k for k, known in SETTINGS.items() if known.protocols}
    assert fields <= named


def test_every_field_or_option_of_a_row_exists():
    commands = "".join(f.read_text(encoding="utf-8") for f in (paths.PROJECT / "sfar" / "cli").glob("*.py"))
    for row in ROWS:
        for name in row.fields:
            assert f'"{name}"' in commands if name.startswith("--") else name in SETTINGS, row


def test_the_rows_are_complete():
    """Every row of every table has a cell for each column, and says what is known of the effect."""
    tables = re.findall(r"^\|.*\|\n\|[-|]+\|\n(?:\|.*\|\n)+", PAGE, re.MULTILINE)
    assert len(tables) == len(deviations.SECTIONS) == 6
    for table in tables:
        rows = [
            [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()
            if not line.startswith("|-")
        ]
        assert all(len(r) == len(rows[0]) and all(r) for r in rows), rows[0]


def test_the_files_that_it_names_exist():
    named = set(re.findall(r"`((?:sfar|tests|results|docs)/[\w./]+)`", PAGE))
    assert len(named) > 5 and [f for f in named if not (paths.PROJECT / f).exists()] == []


def test_it_says_what_the_record_says():
    """Every open reading that was measured stands there with its difference and interval."""
    record = json.loads((paths.results("storyboard") / "ablations.json").read_text(encoding="utf-8"))
    lacking = []
    titles = {r["row"]: r["title"] for r in record["rows"] if r["part"] == "readings"}
    readings = [d for d in record["contrasts"] if d["part"] == "readings"]
    for d in readings:
        text = f"{titles[d['row']]}: {d['mean']:+z.1f} ({d['low']:+z.1f} to {d['high']:+z.1f})"
        lacking += [text] * (text not in PAGE)
    assert readings and not lacking


def test_every_reading_that_is_measured_has_its_place():
    """The study's readings and the page's places for them are the same."""
    measured = {key for _, v in ablations.readings(PROFILES["storyboard"]) for key, _ in v.changes} - {
        key for key, _ in ablations.FROZEN
    }
    assert {m.field for m in MEASURED if m.field} == measured
    assert all(m.study == "ablations" and bool(m.field) != bool(m.pair) for m in MEASURED)


@pytest.mark.parametrize("m", sorted((m for m in MEASURED if m.pair), key=repr), ids=lambda m: " - ".join(m.pair))
def test_pairs_stand_where_they_are_told_apart(m):
    """By row: the same numbers in another row would go unnoticed by the eye."""
    rows = [r for r in ROWS if m in deviations.parts(r.effect)]
    assert len(rows) == 1 and numbers.effect_of(m) in PAGE


def test_its_sums_are_those_of_the_code():
    b16, l14 = (cost.macs(a)["totals"] for a in cost.ARCHS)
    for g in (b16[cost.SKIPS_MHA], b16[cost.COMPLETE], l14[cost.SKIPS_MHA], l14[cost.COMPLETE]):
        assert f"{g:.3f}" in PAGE
    totals = {i["name"]: i["total_m"] for i in cost.inventories(cost.ARCHS[0])}
    assert f"{totals['visual + text blocks + text_projection + printed head']:.3f} M" in PAGE
    assert f"{totals['visual + text blocks + mha head']:.3f} M" in PAGE


def test_a_bar_in_a_cell_is_escaped(monkeypatch):
    row = deviations.Row("model", "a|b", "says", "taken", ("x ", Measured("s", "f"), " y"))
    monkeypatch.setattr(deviations, "WITHOUT_FIELD", (row,))
    text = deviations.render(lambda m: f"<{m.study}: {m.field}>" if m.study == "s" else "m")
    assert "| a\\|b | says | taken | none | x <s: f> y |\n" in text
