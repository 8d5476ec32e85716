"""A record is found again as it was written, and says what is wrong with one that cannot be used."""

import argparse
import json
import re
import shlex
import shutil

import pytest

from sfar import studies
from sfar.cli import options
from sfar.config import SETTINGS, changed, get_profile, values
from sfar.errors import SfarError
from sfar.studies.core import page
from sfar.studies.core import record as records
from sfar.studies.core.record import Contrast, Record, Row, Verdict
from sfar.studies.core.study import Study
from sfar.util import paths

ROOT = paths.PROJECT


@pytest.fixture
def record():
    rows = [
        Row("table", "a", "Method A", "top1", 50.0, 40.0, 60.0, 1.5, 3, 20, [49.0, 50.0, 51.0], ["head"], {"views": v})
        for v in ("1x1", "4x3")
    ]
    rows.append(Row("table", "a", "Method A", "top5", 90.0, 80.0, 95.0, setting={"views": "1x1"}, more={"clips": 4}))
    contrasts = [
        Contrast("a", "b", 1.0, -1.0, 2.0, "undecided", "table", setting={"shots": k}, seeds=n)
        for k, n in ((2, None), (4, 3))
    ]
    claims = [Verdict("a-best", "table1", "A is best", "Table 1", "+0.5", True, "holds", "B", "points", 1.0, 0.5, 2.0)]
    data = {"val_videos": 20}
    return Record(
        "made_up", "storyboard", "abc", [0, 1, 2], data, rows, contrasts, claims, {"x": [1]}, {"command": "c"}
    )


def test_it_is_read_as_it_was_written(record, tmp_path):
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps(record.to_json()))
    found = records.read(path, "make x")
    assert found == record and found.to_json() == record.to_json()
    assert records.current(path, "abc", "make x") == record


def test_rows_are_tidy(record):
    """What is empty takes no room, what is there has one name."""
    row = record.to_json()["rows"][2]
    assert set(row) == {"part", "row", "title", "metric", "mean", "low", "high", "seeds", "videos", "setting", "more"}
    first, second = record.to_json()["contrasts"]
    assert "seeds" not in first and second["seeds"] == 3, "a correlation has none"


def test_find_takes_one(record):
    assert record.find("table", "a", views="4x3") is record.rows[1]
    assert record.find("table", "a", "top5").more == {"clips": 4}
    assert record.contrast("a", "b", shots=4) is record.contrasts[1]
    assert record.claim("a-best").verdict == "holds"
    assert record.names("table") == ["a"] and record.title("a") == "Method A" and record.title("none") == "none"
    with pytest.raises(SfarError, match="made_up: 2 entries are row table/a, top1, expected one"):
        record.find("table", "a")
    with pytest.raises(SfarError, match="0 entries are row table/a, top1, views = 2x2"):
        record.find("table", "a", views="2x2")
    with pytest.raises(SfarError, match="2 entries are contrast a - b"):
        record.contrast("a", "b")
    with pytest.raises(SfarError, match="claim 'other'"):
        record.claim("other")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"is not there: run `make x` first"),
        ("{", r"is not valid JSON .*run `make x` again"),
        ("{}", r"is no record as this version writes them: run `make x` again"),
        ('{"rows": [{"mean": 1}], "contrasts": [], "claims": []}', "no record as this version writes them"),
    ],
)
def test_what_is_wrong_is_said(content, message, tmp_path):
    path = tmp_path / "made_up.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SfarError, match=message):
        records.read(path, "make x")


def test_another_version_is_stale(record, tmp_path):
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps(record.to_json()))
    with pytest.raises(SfarError, match="other code: run `make x` again"):
        records.current(path, "def", "make x")


def test_inputs_follow_configuration_code_and_what_else_is_said():
    storyboard = get_profile("storyboard")
    entry = ["sfar.studies.ablations:measure"]
    versions = [
        records.inputs(storyboard, entry),
        records.inputs(get_profile("storyboard", {"seeds": [0]}), entry),
        records.inputs(get_profile("storyboard", {"frozen_seeds": [0]}), entry),
        records.inputs(get_profile("storyboard", {"data.world_overlap": 0.5}), entry),
        records.inputs(get_profile("storyboard", {"train.epochs": 1}), entry),
        records.inputs(storyboard, ["sfar.studies.few_shot:measure"]),
        records.inputs(storyboard, entry, "texts"),
        records.inputs(storyboard, [*entry, "sfar/paper/table1.csv"]),
    ]
    assert len(set(versions)) == len(versions) and versions[0] == records.inputs(storyboard, entry)
    assert versions[0] == records.inputs(get_profile("storyboard", {"train.micro_batch": 2}), entry)


def test_a_changed_configuration_has_a_folder_of_its_own():
    profile = get_profile("storyboard")
    assert records.folder(profile).name == "storyboard"
    changed = ({"train.epochs": 1}, {"frozen_seeds": [0]}, {"data.world_overlap": 0.5})
    others = [records.folder(get_profile("storyboard", c)) for c in changed] + [records.folder(profile, ["a.json"])]
    assert all(f.parent.name == "runs" for f in others) and len(set(others)) == len(others)


@pytest.mark.parametrize(("name", "given"), [("storyboard", {}), ("paper", {"data.root": "/data/k400"})])
def test_how_the_work_is_laid_out_sends_no_result_to_another_folder(name, given):
    fields = {k: s for k, s in SETTINGS.items() if s.laid_out}
    standard = get_profile(name, given)
    for key, known in fields.items():
        other = changed(standard, {key: 4 if known.kind is int else not values(standard)[key]})
        assert other != standard and records.folder(other) == records.folder(standard), key
        assert "--set " + key in records.command("table1", other), "as it was made"


@pytest.mark.parametrize(
    ("overrides", "command"),
    [
        ({}, "make reproduce-table1"),
        ({"seeds": [0, 1]}, "make reproduce-table1 SEEDS=0,1"),
        ({"train.epochs": 1}, "sfar reproduce table1 --set train.epochs=1"),
        ({"frozen_seeds": [7]}, "sfar reproduce table1 --set 'frozen_seeds=[7]'"),
        (
            {"seeds": [4], "frozen_seeds": [0, 1, 2, 3, 4]},
            "sfar reproduce table1 --seeds 4 --set 'frozen_seeds=[0, 1, 2, 3, 4]'",
        ),
        (
            {"data.dataset": "storyboard-charades", "train.frames": 8},
            "sfar reproduce table1 --set data.dataset=storyboard-charades --set train.frames=8",
        ),
        ({"model.prompt": "a photo of a {}"}, "sfar reproduce table1 --set 'model.prompt=a photo of a {}'"),
        ({"model.ffn_residual": False}, "sfar reproduce table1 --set model.ffn_residual=false"),
    ],
)
def test_the_command_makes_this_very_configuration(overrides, command):
    """As written, and as the command line reads it."""
    profile = get_profile("storyboard", overrides)
    assert records.command("table1", profile) == command
    words = shlex.split(command)
    if words[0] == "make":
        words = ["sfar", "reproduce", "table1", *(f"--seeds={w.removeprefix('SEEDS=')}" for w in words[2:])]
    parser = argparse.ArgumentParser()
    options.configured(parser)
    parser.add_argument("--seeds", default="")
    assert options.profile(parser.parse_args(words[3:]))[0] == profile


def test_the_command_of_real_data_and_of_groups():
    real = get_profile("paper", {"data.root": "/data/k 400"})
    assert records.command("table1", real) == "make reproduce-table1 PROFILE=paper DATA='/data/k 400'"
    more = get_profile("paper", {"data.root": "/data", "train.epochs": 2})
    assert records.command("table1", more) == "sfar reproduce table1 --profile paper --data /data --set train.epochs=2"
    assert records.command("fig7b", get_profile("storyboard"), ["a.json"]) == "sfar reproduce fig7b --groups a.json"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 0}, "'seeds': expected a list of int, got 0"),
        ({"seeds": []}, "'seeds': expected one or more distinct integers"),
        ({"seeds": 7}, "'seeds': expected a list of int, got 7"),
        ({"overrides": {"train.epoch": 1}}, "'train.epoch'; did you mean 'epochs'"),
        ({"overrides": {1: 2}}, "expected fields by dotted name"),
        ({"overrides": ["train.epochs=1"]}, "expected fields by dotted name"),
        ({"seeds": [0, 1]}, "run `make reproduce-table1 SEEDS=0,1` first"),
        ({"overrides": {"train.epochs": 1}}, "run `sfar reproduce table1 --set train.epochs=1` first"),
    ],
)
def test_what_a_notebook_asks_wrongly_is_one_line(given, message):
    with pytest.raises(SfarError, match=re.escape(message)) as e:
        studies.load("table1").get(**given)
    (line,) = e.value._render_traceback_()  # what IPython shows
    assert line == f"{type(e.value).__name__}: {e.value}" and "\n" not in line


def test_one_seed_has_no_deviation():
    row = {"part": "a", "row": "b", "title": "B", "metric": "top1", "mean": 1.0, "low": 0.0, "high": 2.0, "std": 0.0}
    assert page.deviation(records.Row(**row, seeds=1)) is None
    assert page.deviation(records.Row(**row, seeds=2)) == 0.0


def test_hints_name_the_profile_and_its_data(tmp_path, monkeypatch):
    """Of a record that is not there, and of one that does not fit."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setattr(Study, "inputs", lambda self, profile, groups=(): "0")
    study, command = studies.load("table1"), "`make reproduce-table1 PROFILE=paper DATA=/d`"
    profile = get_profile("paper", {"data.root": "/d"})
    with pytest.raises(SfarError, match=f"is not there: run {command} first"):
        study.load(profile)
    (tmp_path / "results" / "paper").mkdir(parents=True)
    shutil.copy2(ROOT / "results" / "storyboard" / "table1.json", study.path(profile))
    with pytest.raises(SfarError, match=f"other code: run {command} again"):
        study.load(profile)
