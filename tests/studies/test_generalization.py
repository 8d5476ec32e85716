"""The record of Table 2c: what is compared with what, claims from intervals, forms that agree, the way from videos to the record."""

import csv
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sfar.runs.hosts import HOSTS, PLUGS

from sfar import paper
from sfar.config import get_profile
from sfar.data.source import Dataset
from sfar.runs.job import Job
from sfar.runs.other_methods import OtherMethodJob, run_other_methods
from sfar.storyboard.write import write_kinetics
from sfar.studies import generalization as G
from sfar.studies import generalization_page as page
from sfar.studies.core import study
from sfar.studies.core.study import FROZEN, Variant
from sfar.util import paths

FOLDER = paths.results("storyboard")
VIDEOS = 60


def made_up(monkeypatch, gain):
    """The record of runs in which the first 20 videos are right, and with FVE ``gain[host]`` more (fewer if negative); longer, one more."""
    data = Dataset("kinetics400", paths.PROJECT, "fingerprint", ("a", "b"), False)
    monkeypatch.setattr(
        study, "job", lambda base, variant, seed: Job(variant.profile(base, seed), data, variant.method, seed)
    )

    def runs(jobs, workers=None):
        out = []
        for j in jobs:
            right = 20 + {"none": 0, "mean": 1, "fine": gain[j.host]}[j.plug] + (j.job.profile.train.epochs > 3)
            out.append(
                {
                    "host": j.host,
                    "plug": j.plug,
                    "views": {"1x1": {"ranks": (np.arange(VIDEOS) >= right).astype(int).tolist()}},
                    "labels": [0] * VIDEOS,
                    "classes": ["a", "b"],
                    "trained": ["head"],
                    "parameters": 10 + PLUGS.index(j.plug),
                    "seconds": 0.5,
                }
            )
        return out

    monkeypatch.setattr(G, "run_other_methods", runs)
    record = G._runs(get_profile("storyboard"), None)
    return {
        "profile": "storyboard",
        "seeds": [0, 1, 2, 3, 4],
        "provenance": {"command": "make x", "revision": "r", "hardware": "h", "date": "d", "config": {}},
        **record,
    }


def test_what_is_compared(monkeypatch):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 0, "bike": -12})
    assert record["epochs"] == {"profile": 3, "longer": 9}
    assert len(record["rows"]) == 2 * 3 * 3 and record["seconds"] == 0.5 * 90
    mean = {(r["schedule"], r["host"], r["plug"]): r["top1"]["mean"] for r in record["rows"]}
    assert mean["profile", "atm", "none"] == pytest.approx(100 * 20 / 60, abs=1e-3) and mean[
        "longer", "bike", "fine"
    ] == pytest.approx(100 * 9 / 60, abs=1e-3)
    found = {(d["schedule"], d["host"], d["name"], d["against"], d["metric"]): d for d in record["differences"]}
    assert len(found) == len(record["differences"]) == 2 * 3 * 4
    for (s, h, a, b, metric), d in found.items():
        if metric == "top1":
            assert (
                d["mean"] == pytest.approx(mean[s, h, a] - mean[s, h, b], abs=1e-3)
                and d["low"] <= d["mean"] <= d["high"]
            )
    assert all(d["mean"] == 0 for d in record["differences"] if d["metric"] == "top5")


@pytest.mark.parametrize(
    "gain, verdicts",
    [
        ({"videoprompt": 15, "atm": 12, "bike": 9}, ["holds", "holds", "holds", "holds", "holds"]),
        ({"videoprompt": 15, "atm": 0, "bike": 9}, ["holds", "undecided", "holds", "undecided", "holds"]),
        (
            {"videoprompt": -12, "atm": -9, "bike": 0},
            ["does not hold", "does not hold", "undecided", "does not hold", "does not hold"],
        ),
    ],
)
def test_claims_follow_the_intervals(monkeypatch, gain, verdicts):
    record = made_up(monkeypatch, gain)
    assert [c["verdict"] for c in record["claims"]] == verdicts
    worst = min(gain, key=gain.get)
    assert record["claims"][3]["against"] == f"{HOSTS[worst]} without" and record["claims"][3]["mean"] == pytest.approx(
        100 * gain[worst] / VIDEOS, abs=1e-3
    )


def test_what_the_paper_prints():
    assert G.printed() == {"videoprompt": 2.4, "atm": 0.1, "bike": 0.6}
    assert [r["method"] for r in paper.load("table2c")[::2]] == list(HOSTS.values()), "in the order of the table"


def check_forms(record, folder):
    """Every number of the record stands in its files as it is."""
    rows = list(csv.DictReader(io.StringIO((folder / "generalization.csv").read_text())))
    assert len(rows) == len(record["rows"])
    for row, r in zip(rows, record["rows"]):
        assert (row["Method"], row["FVE"], int(row["Epochs"])) == (
            HOSTS[r["host"]],
            page.PLUGS[r["plug"]],
            record["epochs"][r["schedule"]],
        )
        assert (
            float(row["Top-1 [%]"]) == r["top1"]["mean"]
            and float(row["Top-1 high"]) == r["top1"]["high"]
            and float(row["Top-5 [%]"]) == r["top5"]["mean"]
        )
    assert (folder / "generalization.md").read_text() == page.text(record).rstrip() + "\n"
    assert json.loads((folder / "generalization.json").read_text()) == record
    assert (folder / "table2c.png").stat().st_size > 10_000


def test_files_hold_the_same_numbers(monkeypatch, tmp_path):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 0, "bike": -12})
    files = page.write(record, tmp_path)
    assert (
        {f.name for f in files}
        == {p.name for p in tmp_path.iterdir()}
        == {f"generalization.{e}" for e in ("csv", "md", "tex", "json")} | {"table2c.png"}
    )
    check_forms(record, tmp_path)
    assert "83.8" in page.paper_markdown() and "83.8" not in page.measured_markdown(record)


def test_the_figure_shows_the_record(monkeypatch):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 0, "bike": -12})
    measured, differences, printed = page.figure(record).axes
    drawn = {round(float(line.get_xdata()[0]), 3) for line in measured.lines if len(line.get_xdata()) == 1}
    assert drawn == {round(r["top1"]["mean"], 3) for r in record["rows"]}
    assert len(differences.containers) == 2 * 3 * 2 and "paper" in printed.get_title(loc="left")
    plt.close("all")


def test_the_record():
    """The committed record: of this code, drawn as it is."""
    record = G.STUDY.get()
    check_forms(record, FOLDER)
    assert {(r["host"], r["plug"]) for r in record["rows"]} == {(h, p) for h in HOSTS for p in PLUGS} and all(
        len(r["top1"]["per_seed"]) == 5 for r in record["rows"]
    )


def test_measure_from_videos_on_disk(tmp_path, capfd):
    root = tmp_path / "k400"
    write_kinetics(root, 9, 4, 2, classes=("long jump", "making pizza", "pull ups", "deadlifting"), workers=1)
    options = {
        "data.root": str(root),
        "train.epochs": 1,
        "train.frozen_draws": 1,
        "model.temporal_layers": 1,
        "seeds": [0],
    }
    record = G.STUDY.get(source="measure", overrides=options, workers=2)
    assert record["seeds"] == [0] and record["data"] == {"val_videos": 8, "classes": 4}
    assert {r["host"]: r["trained"] for r in record["rows"]} == {
        "videoprompt": ["head"],
        "atm": ["head"],
        "bike": ["head", "logit_scale"],
    }
    extra = {(r["host"], r["plug"]): r["parameters"] for r in record["rows"]}
    assert all(extra[h, p] - extra[h, "none"] == 2 * (128 * 128 + 128) for h in HOSTS for p in ("mean", "fine"))
    assert "training other methods" in capfd.readouterr().err
    again = G.STUDY.get(source="measure", overrides=options)
    assert "training other methods" not in capfd.readouterr().err, "kept runs were made again"
    assert {k: v for k, v in again.items() if k != "provenance"} == {
        k: v for k, v in record.items() if k != "provenance"
    }


@pytest.mark.slow
def test_a_seed_of_the_record_again(drawn):
    """Accuracy within a few videos: another processor adds up in another order."""
    drawn("storyboard-kinetics")
    record, base = G.STUDY.get(), get_profile("storyboard")
    job = study.job(base, Variant("sfar", "", "sfar", FROZEN), base.seeds[0])
    jobs = [OtherMethodJob(job, h, p) for h in HOSTS for p in PLUGS]
    for j, r in zip(jobs, run_other_methods(jobs)):
        (row,) = (x for x in record["rows"] if (x["schedule"], x["host"], x["plug"]) == ("profile", j.host, j.plug))
        assert r["views"]["1x1"]["top1"] == pytest.approx(row["top1"]["per_seed"][0], abs=2)
