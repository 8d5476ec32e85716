"""What every study shows, from its committed record: the page is whole, the forms agree, the pictures are there."""

import csv
import io
import json
import re

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from sfar import studies
from sfar.config import get_profile
from sfar.errors import ConfigError, SfarError
from sfar.studies.core import page
from sfar.studies.core.blocks import Drawn, Printed, Shown, Text
from sfar.studies.core.record import Record
from sfar.util import paths

NAMES = studies.ORDER
FOLDER = paths.results("storyboard")


@pytest.fixture(scope="module", params=NAMES)
def study(request):
    return studies.load(request.param)


@pytest.fixture(scope="module")
def record(study):
    return study.load(get_profile("storyboard"))


# --- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_whole(name):
    study = studies.load(name)
    assert study.id == name and study.title and study.covers
    assert (paths.notebooks() / f"{study.notebook}.ipynb").is_file()
    ids = [b.id or getattr(b, "name", "") for b in study.blocks]
    asked = [i for i in ids if i]
    assert len(asked) == len(set(asked)), "a notebook asks for a block by its id"
    stems = [b.stem for b in study.blocks if isinstance(b, Drawn)]
    assert len(stems) == len(set(stems))
    assert all(studies.ORDER.index(n) < studies.ORDER.index(name) for n in study.needs), "made after what it takes up"


def test_items_are_told_apart():
    found = [item.key for s in studies.studies() for item in s.covers]
    assert len(found) == len(set(found)) == 35
    assert studies.of_item("table2e").id == "ablations"
    with pytest.raises(ConfigError, match="did you mean 'table2e'"):
        studies.of_item("tabel2e")


# --- the committed record in all its forms ---------------------------------------------------------------------------


def test_the_record_is_what_its_file_holds(study, record):
    kept = json.loads((FOLDER / f"{study.id}.json").read_text())
    assert record.to_json() == kept, "claims too: as they are declared now"
    assert Record.from_json(kept).to_json() == kept


def test_the_files_were_written_from_the_record(study, record):
    drawn = [b for b in study.blocks if isinstance(b, Drawn)]
    left_out = [b.id for b in drawn if not (FOLDER / f"{b.stem}.png").is_file()]
    assert not left_out, "the storyboard world knows everything that is drawn"
    assert (FOLDER / f"{study.id}.md").read_text() == page.markdown(study, record)
    assert (FOLDER / f"{study.id}.csv").read_text() == page.to_csv(study, record)
    tex = page.latex(study, record)
    assert tex == ((FOLDER / f"{study.id}.tex").read_text() if tex else "")


def test_nothing_is_lost_on_the_page(study, record):
    text = (FOLDER / f"{study.id}.md").read_text()
    for block in study.blocks:
        if isinstance(block, Drawn):
            assert f"({block.stem}.png)" in text
        elif isinstance(block, Shown | Text | Printed):
            made = block.make(record)
            assert made is None or str(made) in text
        assert not block.heading or f"## {block.heading}" in text or not isinstance(block, Drawn)
    for c in record.claims:
        assert c.claim in text and c.verdict in text and (not c.printed or c.printed in text)
    assert not re.search(r"\bnan\b", text)


def test_every_number_is_in_the_csv(study, record):
    lines = list(csv.DictReader(io.StringIO((FOLDER / f"{study.id}.csv").read_text())))
    if study.csv:
        assert len(lines) == len(study.csv(record).rows)
        return
    counts = {"row": len(record.rows), "contrast": len(record.contrasts), "claim": len(record.claims)}
    assert {k: sum(x["kind"] == k for x in lines) for k in counts} == counts
    for x, e in zip(lines, [*record.rows, *record.contrasts, *record.claims], strict=True):
        assert [float(x[k]) for k in ("mean", "low", "high")] == [e.mean, e.low, e.high]
        for key, value in getattr(e, "more", {}).items():
            if not isinstance(value, dict | list):
                assert x[f"own.{key}" if key in page.CSV else key] == str(value)


def test_latex_compiles_in_form(study, record):
    tex = page.latex(study, record)
    assert tex.isascii(), sorted({c for c in tex if not c.isascii()})
    bare = re.sub(r"\\[\\{}%&_#$]", "", tex)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0 and not re.search(r"[%#]", bare)
    for align, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", tex, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and all(len(re.split(r"(?<!\\)&", row)) == len(align) for row in rows)


def test_pictures_are_there_and_legible(study):
    for block in study.blocks:
        if isinstance(block, Drawn):
            with Image.open(FOLDER / f"{block.stem}.png") as image:
                assert image.width > 900 and image.height > 300
    assert not list(FOLDER.glob("*.svg"))


def test_the_terminal_shows_the_verdicts(study, record):
    text = page.terminal(study, record)
    assert all(c.claim in text for c in record.claims)


def test_a_block_that_is_not_there_is_named(study, record):
    with pytest.raises(SfarError, match=f"study {study.id} shows no 'no-such-block'"):
        page.show(study, record, "no-such-block")


def test_a_notebook_gets_objects(study, record):
    for block in study.blocks:
        if isinstance(block, Shown):
            made = page.show(study, record, block.id)
            assert made is None or made._repr_markdown_() == str(made)
    plt.close("all")


# --- records on disk -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_missing_and_stale_records_name_the_target(name, tmp_path, monkeypatch):
    study = studies.load(name)
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match=rf"{name}\.json is not there: run `make reproduce-{study.target}` first"):
        study.get()
    paths.write_json(study.path(get_profile("storyboard")), {**kept, "inputs": "0" * 16})
    with pytest.raises(SfarError, match=f"other code: run `make reproduce-{study.target}` again"):
        study.get()
    with pytest.raises(ConfigError, match="unknown source 'cache'"):
        study.get(source="cache")
    if not study.groups:
        with pytest.raises(ConfigError, match="groups of sub-texts can be chosen for fig7b"):
            study.measure(get_profile("storyboard"), groups=["a.json"])
