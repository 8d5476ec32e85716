"""Table 2c on made-up runs: what is compared, the claims, the figure; and one real measurement of a small set."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import config, paper
from sfar.config import get_profile
from sfar.data.source import Dataset
from sfar.model.other_methods import FVE, OTHER_METHODS
from sfar.runs.job import Job
from sfar.runs.other_methods import run_other_methods
from sfar.storyboard.write import write_kinetics
from sfar.studies import generalization
from sfar.studies.core import page, study
from sfar.studies.generalization import STUDY
from sfar.util import paths

VIDEOS = 60


def made_up(monkeypatch, gain):
    """The record of runs in which the first 20 videos are right, with FVE ``gain[method]`` more; longer, one more."""
    data = Dataset("kinetics400", paths.PROJECT, "fingerprint", ("a", "b"), False)
    monkeypatch.setattr(
        study, "job", lambda base, variant, seed: Job(variant.profile(base, seed), data, variant.method, seed)
    )

    def runs(jobs, workers=None):
        out = []
        for j in jobs:
            right = 20 + {"none": 0, "mean": 1, "fine": gain[j.base]}[j.plug] + (j.job.profile.train.epochs > 3)
            out.append(
                {
                    "views": {"1x1": {"ranks": (np.arange(VIDEOS) >= right).astype(int).tolist()}},
                    "labels": [0] * VIDEOS,
                    "classes": ["a", "b"],
                    "trained": ["head"],
                    "parameters": 10 + FVE.index(j.plug),
                    "seconds": 0.5,
                }
            )
        return out

    monkeypatch.setattr(generalization, "run_other_methods", runs)
    return STUDY.measure(get_profile("storyboard"))


def test_what_is_compared(monkeypatch):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 0, "bike": -12})
    assert record.extra["epochs"] == {"profile": 3, "longer": 9} and record.seeds == [0, 1, 2]
    assert all(r.seeds == 3 for r in record.rows)
    assert len(record.rows) == 2 * 2 * 3 * 3 and record.provenance["training_seconds"] == 0.5 * 54
    assert record.find("profile", "atm/none").mean == pytest.approx(100 * 20 / 60, abs=1e-3)
    assert record.find("longer", "bike/fine").mean == pytest.approx(100 * 9 / 60, abs=1e-3)
    found = [c for c in record.contrasts if c.part in generalization.SCHEDULES]
    assert len({(c.part, c.row, c.against, c.metric) for c in found}) == len(found) == 2 * 3 * 4
    for c in found:
        one, other = record.find(c.part, c.row, c.metric), record.find(c.part, c.against, c.metric)
        assert c.mean == pytest.approx(one.mean - other.mean, abs=1e-3) and c.low <= c.mean <= c.high
    assert all(c.mean == 0 for c in found if c.metric == "top5")


def test_what_the_search_found_for_sfar_is_not_taken(monkeypatch):
    """The other methods were not searched for: all have the profile's own values, and a seed its own videos."""
    monkeypatch.setattr(config, "TUNED", {"sfar": {"train.lr_head": 0.5, "train.epochs": 8}})
    data = Dataset("kinetics400", paths.PROJECT, "fingerprint", ("a", "b"), True)
    monkeypatch.setattr(study, "_dataset", lambda data_config, profile: data)
    base = get_profile("storyboard")
    for schedule, epochs in (("profile", base.train.epochs), ("longer", 3 * base.train.epochs)):
        own = generalization._job(base, schedule, "bike", "fine", 4)
        assert (own.base, own.plug, own.job.seed) == ("bike", "fine", 4)
        assert (own.job.profile.train.epochs, own.job.profile.train.lr_head) == (epochs, base.train.lr_head)
        assert own.job.profile.data.replicate == 4 and not own.job.profile.train.train_visual


@pytest.mark.parametrize(
    ("gain", "verdicts"),
    [
        ({"videoprompt": 15, "atm": 12, "bike": 9}, ["holds", "holds", "holds", "holds", "holds"]),
        ({"videoprompt": 15, "atm": 0, "bike": 9}, ["holds", "equal", "holds", "equal", "holds"]),
        (
            {"videoprompt": -12, "atm": -9, "bike": 0},
            ["does not hold", "does not hold", "equal", "does not hold", "does not hold"],
        ),
    ],
)
def test_claims_follow_the_intervals(monkeypatch, gain, verdicts):
    record = made_up(monkeypatch, gain)
    assert [c.verdict for c in record.claims] == verdicts
    worst = min(gain, key=gain.get)
    every = record.claim("table2c-all")
    assert every.against == f"{OTHER_METHODS[worst].title} without"
    assert every.mean == pytest.approx(100 * gain[worst] / VIDEOS, abs=1e-3)


def test_what_the_paper_prints(monkeypatch):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 12, "bike": 9})
    printed = {name: record.claim(f"table2c-{name}").printed for name in OTHER_METHODS}
    assert printed == {"videoprompt": "+2.4", "atm": "+0.1", "bike": "+0.6"}
    titles = [m.title for m in OTHER_METHODS.values()]
    assert [r["method"] for r in paper.load("table2c")[::2]] == titles, "in the order of the table"
    assert "83.8" in str(page.show(STUDY, record, "table2c")) and "83.8" not in str(page.show(STUDY, record, "rows"))


def test_the_figure_shows_the_record(monkeypatch):
    record = made_up(monkeypatch, {"videoprompt": 15, "atm": 0, "bike": -12})
    measured, differences, printed = generalization.figure(record).axes
    drawn = {round(float(line.get_xdata()[0]), 3) for line in measured.lines if len(line.get_xdata()) == 1}
    assert drawn == {round(r.mean, 3) for r in record.select(metric="top1")}
    assert len(differences.containers) == 2 * 3 * 2 and "paper" in printed.get_title(loc="left")
    plt.close("all")


def test_the_committed_record_is_of_all_methods_and_seeds():
    record = STUDY.get()
    assert {r.row for r in record.rows} == {f"{m}/{f}" for m in OTHER_METHODS for f in FVE}
    assert all(len(r.per_seed) == 3 for r in record.rows)


@pytest.mark.usefixtures("videos_here", "runs_here")
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
    record = STUDY.get(source="measure", overrides=options, workers=2)
    assert record.seeds == [0] and record.data == {"val_videos": 8, "classes": 4}
    trained = {r.setting["base"]: r.trained for r in record.rows}
    assert trained == {"videoprompt": ["head"], "atm": ["head"], "bike": ["head", "logit_scale"]}
    size = {r.row: r.more["parameters"] for r in record.select("profile", metric="top1")}
    more = {size[f"{m}/{f}"] - size[f"{m}/none"] for m in OTHER_METHODS for f in ("mean", "fine")}
    assert more == {2 * (128 * 128 + 128)}, "FVE is one FFN"
    assert "training other methods" in capfd.readouterr().err
    again = STUDY.get(source="measure", overrides=options)
    assert "training other methods" not in capfd.readouterr().err, "kept runs were made again"
    assert (again.rows, again.contrasts, again.claims) == (record.rows, record.contrasts, record.claims)


@pytest.mark.long
@pytest.mark.usefixtures("runs_here")
def test_a_seed_of_the_record_again(drawn):
    """Accuracy within a few videos: another processor adds up in another order."""
    drawn("storyboard-kinetics")
    record, base = STUDY.get(), get_profile("storyboard")
    plugged = [(m, "fine") for m in OTHER_METHODS] + [("bike", "none")]
    jobs = [generalization._job(base, "profile", m, f, base.seeds[0]) for m, f in plugged]
    for j, r in zip(jobs, run_other_methods(jobs), strict=True):
        row = record.find("profile", f"{j.base}/{j.plug}")
        assert r["views"]["1x1"]["top1"] == pytest.approx(row.per_seed[0], abs=2)
