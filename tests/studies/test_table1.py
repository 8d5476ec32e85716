"""The record of Table 1 and what is drawn from it: stale ones are refused, forms agree, claims follow their intervals."""

import copy
import csv
import io
import json

import matplotlib.pyplot as plt
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.data.kinetics import read_kinetics
from sfar.errors import ConfigError, SfarError
from sfar.model.registry import METHODS
from sfar.storyboard.write import write_kinetics
from sfar.studies import table1, table1_page
from sfar.studies.core import claims
from sfar.studies.core import record as R
from sfar.util import paths

FOLDER = paths.results("storyboard")
RECORD = json.loads((FOLDER / "table1.json").read_text())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A project folder that holds a copy of the record."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    paths.write_json(paths.results("storyboard") / "table1.json", RECORD)
    return tmp_path


def test_record_is_shown_only_if_it_fits(elsewhere, monkeypatch):
    assert table1.table1() == RECORD
    with pytest.raises(SfarError, match="run `make reproduce-table1`"):
        table1.table1(seeds=[7])
    stale = {**RECORD, "inputs": "0" * 16}
    paths.write_json(paths.results("storyboard") / "table1.json", stale)
    with pytest.raises(SfarError, match="other code.*make reproduce-table1"):
        table1.table1()
    paths.write_atomic(paths.results("storyboard") / "table1.json", "{")
    with pytest.raises(SfarError, match="not valid JSON"):
        table1.table1()
    with pytest.raises(ConfigError, match="unknown source 'cache'"):
        table1.table1(source="cache")


def test_other_configurations_never_touch_the_record():
    standard = R.folder(get_profile("storyboard"))
    assert standard == FOLDER
    others = [{"seeds": [0]}, {"train.epochs": 1}, {"data.root": "/somewhere"}, {"data.root": "/elsewhere"}]
    folders = {R.folder(get_profile("storyboard", o)) for o in others}
    assert len(folders) == 4 and all(f.parent.name == "runs" for f in folders)
    assert R.folder(get_profile("paper", {"data.root": "/data/k400"})).name == "paper"


def test_files_hold_the_same_numbers():
    rows = list(csv.DictReader(io.StringIO((FOLDER / "table1.csv").read_text())))
    for r in RECORD["rows"]:
        for k in ("top1", "top5"):
            (row,) = [x for x in rows if (x["method"], x["views"], x["metric"]) == (r["method"], r["views"], k)]
            assert (
                float(row["mean"]) == r[k]["mean"] and float(row["low"]) == r[k]["low"] <= r[k]["mean"] <= r[k]["high"]
            )
    assert (FOLDER / "table1.md").read_text() == table1_page.as_markdown(RECORD)
    assert (FOLDER / "table1.png").stat().st_size > 20_000


def test_measured_and_printed_never_share_a_table():
    measured = table1_page.measured_markdown(RECORD)
    assert "84.5" in table1_page.paper_markdown("table1") and all(
        name not in measured for name in ("CVPR", "WIT-400M", "X-CLIP")
    )
    assert table1_page.paper_markdown("table1").count("\n") == len(paper.load("table1")) + 1


def test_rows_differences_and_seeds():
    assert {r["method"] for r in RECORD["rows"]} == set(METHODS)
    assert {(r["method"], r["views"]) for r in RECORD["rows"] if r["views"] == "4x3"} == {
        ("single", "4x3"),
        ("sfar", "4x3"),
    }
    mean = {(r["method"], r["views"]): r["top1"]["mean"] for r in RECORD["rows"]}
    for d in RECORD["differences"]:
        if d["metric"] == "top1":
            assert d["mean"] == pytest.approx(mean["sfar", d["views"]] - mean[d["against"], d["views"]], abs=1e-3)
    assert all(len(r["top1"]["per_seed"]) == (5 if r["trained"] else 1) for r in RECORD["rows"])
    trained = {r["method"]: r["trained"] for r in RECORD["rows"]}
    assert (
        trained["vanilla"] == []
        and trained["clip"] == ["logit_scale", "visual"]
        and trained["sfar"] == ["head", "logit_scale", "visual"]
    )


def test_claims_follow_the_intervals():
    assert [c["verdict"] for c in RECORD["claims"]] == [
        claims.highest(RECORD)["verdict"],
        claims.finds_frames(RECORD, "coarse")["verdict"],
        claims.finds_frames(RECORD, "fine")["verdict"],
        claims.fine_sharper(RECORD)["verdict"],
    ]
    changed = copy.deepcopy(RECORD)
    rows = [d for d in changed["differences"] if d["views"] == "1x1" and d["metric"] == "top1"]
    for d in rows:
        d.update(mean=2.0, low=1.0, high=3.0)
    assert claims.highest(changed)["verdict"] == "holds"
    rows[1].update(mean=0.1, low=-1.0, high=1.2)
    assert (
        claims.highest(changed)["verdict"] == "undecided" and claims.highest(changed)["against"] == rows[1]["against"]
    )
    rows[2].update(mean=-2.0, low=-3.0, high=-1.0)
    assert claims.highest(changed)["verdict"] == "does not hold"


def test_failing_write_keeps_the_earlier_record(tmp_path, monkeypatch):
    table1_page.write(RECORD, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"table1.csv", "table1.md", "table1.png", "table1.json"}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SfarError, match="cannot write .*table1.csv: No space left"):
        table1_page.write({**RECORD, "seeds": []}, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_measure_from_videos_on_disk(tmp_path, capfd):
    """The whole way on a tiny set with two bad videos: named and counted, never replaced; the second time nothing is trained."""
    root = tmp_path / "k400"
    write_kinetics(root, 9, 4, 2, classes=("long jump", "making pizza", "pull ups", "deadlifting"), workers=1)
    bad, gone = (root / c.path for c in read_kinetics(root, "val").clips[:2])
    bad.write_bytes(bad.read_bytes()[:1500])
    gone.unlink()
    options = {"data.root": str(root), "train.epochs": 1, "data.max_bad_share": 0.3, "seeds": [0, 1]}
    record = table1.table1(source="measure", overrides=options, workers=2)
    assert list(record["data"]["undecodable"]) == [bad.relative_to(root).as_posix()] and record["data"]["missing"] == [
        gone.relative_to(root).as_posix()
    ]
    assert record["data"]["val_videos"] == 6 and record["data"]["train_videos"] == 16 and record["data"]["classes"] == 4
    assert all(r["top1"]["videos"] == 6 for r in record["rows"]) and "importance" not in record
    for page in (
        table1_page.as_markdown(record),
        table1_page.differences_markdown(record),
        table1_page.claims_markdown(record),
    ):
        assert "nan" not in page
    capfd.readouterr()
    again = table1.table1(source="measure", overrides=options)
    assert "training" not in capfd.readouterr().err, "kept runs were made again"
    assert {k: v for k, v in again.items() if k != "provenance"} == {
        k: v for k, v in record.items() if k != "provenance"
    }


def test_figure_without_the_storyboard_truth():
    """On a real data set nobody knows which frames show the action: two panels, no importance table."""
    real = {k: v for k, v in RECORD.items() if k not in ("importance", "upper_reference")}
    fig = table1_page.figure(real)
    assert len(fig.axes) == 2 and len(table1_page.figure(RECORD).axes) == 3
    plt.close("all")
    assert "Where the weight falls" not in table1_page.as_markdown(real)
