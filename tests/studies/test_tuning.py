"""The search for each method's settings: what is tried, what a trial is worth, made-up runs, the committed record."""

import itertools
import json
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import config
from sfar.config import changed, get_profile
from sfar.data.source import Dataset, training_profile
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.runs.job import Job
from sfar.studies import tuning
from sfar.studies.core import page, study
from sfar.studies.core import record as records
from sfar.studies.core.record import Record
from sfar.studies.core.study import UNSEEN
from sfar.studies.tuning import CONTENDERS, EPOCHS, LR_HEAD, OPEN, SETTINGS, SHOTS, STUDY, TEMPERATURE, TRIALS, WORLDS
from sfar.util import paths

PROFILE = get_profile("storyboard")
VIDEOS = 200
BY_METHOD = {c.method: c for c in CONTENDERS}
COMMON = ("train.lr_head", "train.epochs")


# --- what is tried ---------------------------------------------------------------------------------------------------


def test_every_trained_head_is_searched_for_alike():
    heads = {m.name for m in registry.METHODS.values() if m.trained} - {tuning.NOTHING_TO_CHOOSE}
    assert set(BY_METHOD) == heads and len(CONTENDERS) == len(heads)
    assert [c.method for c in CONTENDERS if c.reading] == ["sfar"]


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda c: c.method)
def test_trials_are_the_same_with_every_call(contender):
    own = tuning.trials(contender)
    assert own == tuning.trials(contender) and len(own) == TRIALS and own[0] == {}, "the first is the profile's own"
    assert len({json.dumps(t, sort_keys=True) for t in own}) == TRIALS


def test_all_contenders_have_the_same_trials():
    """Rates, epochs and, of those that have one, temperatures: whoever has more to choose gets no more tries."""
    by = {c.method: tuning.trials(c) for c in CONTENDERS}
    for each in zip(*by.values(), strict=True):
        for field in (*COMMON, "model.frame_temperature"):
            assert len({t[field] for t in each if field in t}) <= 1
    for method, own in by.items():
        fields = set(COMMON)
        if "frame_temperature" in registry.get(method).reads:
            fields.add("model.frame_temperature")
        if BY_METHOD[method].reading:
            fields |= set(OPEN)
        assert all(set(t) == fields for t in own[1:])


def test_trials_are_of_the_space():
    own = tuning.trials(BY_METHOD["sfar"])[1:]
    assert {t["train.epochs"] for t in own} <= set(EPOCHS)
    for field, (low, high) in (("train.lr_head", LR_HEAD), ("model.frame_temperature", TEMPERATURE)):
        x = np.array([t[field] for t in own])
        assert low <= x.min() and x.max() <= high
        assert (x < np.sqrt(low * high)).any() and (x > np.sqrt(low * high)).any(), "both halves, by the logarithm"
    for field, among in OPEN.items():
        assert {t[field] for t in own} == set(among), "each reading is tried"
    for c in CONTENDERS:
        for t in tuning.trials(c):
            changed(PROFILE, t)  # within the ranges of the fields


# --- what is run -----------------------------------------------------------------------------------------------------


def test_development_worlds_are_no_world_of_a_report():
    worlds = {w: tuning.world(PROFILE, w) for w in WORLDS}

    def drawn(p, seeds):
        return {p.data.seed} | {training_profile(changed(p, {"data.replicate": s})).data.seed for s in seeds}

    searched = set().union(*(drawn(p, tuning.SEEDS) for p in worlds.values()))
    reported = drawn(PROFILE, {*PROFILE.seeds, *PROFILE.frozen_seeds})
    assert not searched & reported
    for seed, p in worlds.items():
        assert p.data.seed == seed and (p.data.train_per_class, p.data.val_per_class) == (24, 16)
        assert changed(PROFILE, {"data.seed": seed, "data.train_per_class": 24, "data.val_per_class": 16}) == p


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda c: c.method)
def test_runs_of_a_trial(monkeypatch, contender):
    """What the last search found is no part of them."""
    monkeypatch.setattr(config, "TUNED", {contender.method: {"train.lr_head": 0.5, "train.epochs": 8}})
    at = tuning.world(PROFILE, WORLDS[0])
    for trial in tuning.trials(contender):
        plan = tuning.variants(at, contender, trial)
        assert set(plan) == {"supervised", "multi-label", *(f"few-shot {k}" for k in SHOTS)}
        profiles = {what: v.profile(at, 0) for what, v in plan.items()}
        sets = {what: p.data.dataset for what, p in profiles.items()}
        assert sets == {
            "supervised": "storyboard-kinetics",
            "multi-label": "storyboard-charades",
            **{f"few-shot {k}": "storyboard-hmdb51" for k in SHOTS},
        }
        assert {what: p.data.shots for what, p in profiles.items() if p.data.shots} == {
            f"few-shot {k}": k for k in SHOTS
        }
        assert [what for what, v in plan.items() if v.zero_shot] == ["supervised"]
        for what, p in profiles.items():
            assert plan[what].method == contender.method and not p.train.train_visual and p.data.seed == WORLDS[0]
            fields = config.values(p)
            for field in (*COMMON, "model.frame_temperature", *OPEN):
                assert fields[field] == trial.get(field, config.values(at)[field])


# --- what a trial is worth -------------------------------------------------------------------------------------------


def ranks(right):
    return {"1x1": {"ranks": (np.arange(VIDEOS) >= right).astype(int).tolist()}}


def unseen(right):
    """Of a zero-shot test in which the first ``right`` videos score highest on their own class."""
    labels = np.arange(VIDEOS) % 3
    scores = np.zeros((VIDEOS, 3))
    scores[np.arange(VIDEOS), np.where(np.arange(VIDEOS) < right, labels, (labels + 1) % 3)] = 1.0
    return {"scores": scores.tolist(), "labels": labels.tolist()}


def test_values_of_known_runs():
    runs = {
        "supervised": {"views": ranks(120), "zero_shot": {"a": unseen(40), "b": unseen(80)}},
        "few-shot 2": {"views": ranks(50)},
        "few-shot 16": {"views": ranks(90)},
        "multi-label": {"views": {"1x1": {"map": {"present": 33.25, "bike": 99.0}}}},
    }
    found = tuning.values(runs)
    assert list(found) == list(SETTINGS)
    assert found == pytest.approx(
        {"supervised": 60, "zero-shot": 30, "few-shot 2": 25, "few-shot 16": 45, "multi-label": 33.25}
    )


@pytest.mark.parametrize("found", [[3.0], [1.0, 5.0], [5.0, 1.0, 5.0, 2.5], [0.1, 0.4, 0.2, 0.3, 0.7]])
def test_expected_best_against_a_plain_loop(found):
    """Over every way to draw k trials, one after another, each of them all."""
    expected = []
    for k in range(1, len(found) + 1):
        best = [max(drawn) for drawn in itertools.product(found, repeat=k)]
        expected.append(sum(best) / len(best))
    assert tuning.expected_best(found) == pytest.approx(expected)


# --- made-up runs ----------------------------------------------------------------------------------------------------

SKILL = {"temporal": 90, "single": 100, "sfar-printed": 60, "sfar": 80}


def right(job):
    """How many videos a run has right: better with more epochs; SFAR by far best with raw frames and a residual."""
    p = job.profile
    good = p.model.ffn_residual and not p.model.frame_norm and job.method == "sfar"
    noise = zlib.crc32(f"{p.train.lr_head} {p.data.seed} {p.data.dataset} {p.data.shots}".encode()) % 7
    return SKILL[job.method] + 3 * p.train.epochs + 40 * good + noise


def made_up(jobs, workers=None, desc=""):
    """In place of ``run_all``."""
    out = []
    for j in jobs:
        n = right(j)
        run = {"views": ranks(n), "zero_shot": {name: unseen(n - 10 * i) for i, name in enumerate(j.zero_shot)}}
        if j.data.layout == "charades":
            run = {"views": {"1x1": {"map": {"present": n / 4, "bike": 0.0}}}, "zero_shot": {}}
        out.append(run | {"seconds": 0.25})
    return out


def job(base, variant, seed):
    """In place of ``study.job``: nothing is drawn."""
    p = variant.profile(base, seed)
    data = Dataset(config.layout(p), paths.PROJECT, "fingerprint", ("a", "b"), True)
    return Job(p, data, variant.method, seed, variant.views, UNSEEN if variant.zero_shot else ())


@pytest.fixture(scope="module")
def measured():
    """The record and the jobs that were asked for."""
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "job", job)
        patch.setattr(tuning, "run_all", lambda jobs, *more: asked.extend(jobs) or made_up(jobs, *more))
        return STUDY.measure(PROFILE), asked


@pytest.fixture(scope="module")
def record(measured):
    return measured[0]


def test_measure_runs_every_trial_in_every_world(measured):
    record, asked = measured
    each = 2 + len(SHOTS)
    assert len(asked) == len(CONTENDERS) * TRIALS * len(WORLDS) * len(tuning.SEEDS) * each
    assert {j.profile.data.seed for j in asked} == set(WORLDS) and all(j.frozen for j in asked)
    assert record.provenance["training_seconds"] == 0.25 * len(asked)
    assert record.seeds == list(tuning.SEEDS) and record.claims == [] and record.contrasts == []
    assert record.data["worlds"] == list(WORLDS) and record.data["trials"] == TRIALS
    assert Record.from_json(json.loads(json.dumps(record.to_json()))).to_json() == record.to_json()


def test_a_trial_is_the_mean_of_settings_over_worlds(record):
    """Written out from the made-up runs; the winner of each method is its own highest, whatever the others reach."""
    assert len(record.rows) == len(CONTENDERS) * TRIALS
    for c in CONTENDERS:
        totals = []
        for t, trial in enumerate(tuning.trials(c)):
            row = record.find("trials", f"{c.method}/{t}", "mean")
            by_world = []
            for w in WORLDS:
                at = tuning.world(PROFILE, w)
                n = {what: right(job(at, v, 0)) for what, v in tuning.variants(at, c, trial).items()}
                share = {what: 100 * k / VIDEOS for what, k in n.items() if what != "multi-label"}
                share["zero-shot"] = 100 * (n["supervised"] - 5) / VIDEOS  # of the two sets one has ten fewer
                share["multi-label"] = n["multi-label"] / 4
                by_world.append(share)
            assert row.more["configuration"] == trial
            assert row.more["settings"] == pytest.approx(
                {s: np.mean([b[s] for b in by_world]) for s in SETTINGS}, abs=1e-3
            )
            assert row.per_seed == pytest.approx([sum(b.values()) / 5 for b in by_world], abs=1e-3)
            assert row.mean == row.low == row.high == pytest.approx(np.mean(row.per_seed), abs=1e-3)
            totals.append(row.mean)
        best = record.extra["best"][c.method]
        assert best["trial"] == totals.index(max(totals)) and best["value"] == max(totals)
        assert best["default"] == totals[0] and best["configuration"] == tuning.trials(c)[best["trial"]]
        curve = best["expected_best"]
        assert curve[0] == pytest.approx(np.mean(totals), abs=1e-3) and curve[-1] <= best["value"] + 1e-4
        assert len(curve) == TRIALS and curve == sorted(curve)


def test_what_is_chosen(record):
    found = tuning.chosen(record)
    assert list(found) == [c.method for c in CONTENDERS]
    assert found["sfar"]["model.ffn_residual"] is True and found["sfar"]["model.frame_norm"] is False
    assert not any(field in found["sfar-printed"] for field in OPEN), "its readings are the printed ones"
    for method, fields in found.items():
        assert changed(PROFILE, fields) and set(fields) <= {*COMMON, "model.frame_temperature", *OPEN}, method


def test_blocks_and_figure(record):
    text, shown = page.markdown(STUDY, record), page.terminal(STUDY, record)
    assert "nan" not in text and "1001 and 1002" in text
    winners, trials = (page.show(STUDY, record, of) for of in ("winners", "trials"))
    assert [line[0] for line in winners.rows] == [c.title for c in CONTENDERS] and str(winners) in shown
    for line, c in zip(winners.rows, CONTENDERS, strict=True):
        best = record.extra["best"][c.method]
        assert line[1:3] == [best["value"], best["default"]]
        assert f"lr_head {best['configuration']['train.lr_head']:g}" in line[-1]
    assert len(trials.rows) == len(CONTENDERS) * TRIALS and str(trials) in text
    first = [line for line in trials.rows if line[1] == 0]
    assert [line[-1] for line in first] == ["the profile's own values"] * len(CONTENDERS)
    space = str(page.show(STUDY, record, "space"))
    assert all(field in space for field in (*COMMON, "model.frame_temperature", *OPEN))


def test_the_figure_shows_every_trial(record):
    fig = page.show(STUDY, record, "figure")
    fig.canvas.draw()
    curves, settings = fig.axes
    assert [list(line.get_ydata()) for line in curves.get_lines()] == [
        record.extra["best"][c.method]["expected_best"] for c in CONTENDERS
    ]
    drawn = sorted(y for line in settings.get_lines() if line.get_marker() == "_" for y in line.get_ydata())
    assert drawn == sorted(v for r in record.rows for v in r.more["settings"].values())
    won = [line for line in settings.get_lines() if line.get_marker() != "_"]
    assert len(won) == len(CONTENDERS) * len(SETTINGS)
    plt.close(fig)


def test_files_are_written(record, tmp_path):
    files = {f.name for f in page.write(STUDY, record, tmp_path)}
    assert {"tuning.json", "tuning.md", "tuning.csv", "tuning.png"} <= files
    assert json.loads((tmp_path / "tuning.json").read_text()) == record.to_json()


def test_a_real_data_set_is_refused():
    for p in (get_profile("paper", {"data.root": "/x"}), get_profile("storyboard", {"data.root": "/x"})):
        with pytest.raises(ConfigError, match="storyboard world"):
            STUDY.check(p)
    STUDY.check(PROFILE)


# --- the committed record --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed():
    return records.read(STUDY.path(PROFILE), "make tune")


def test_the_profile_has_what_the_search_found(committed):
    assert tuning.chosen(committed) == config.TUNED


def test_the_chosen_reading_is_the_one_that_was_found(committed):
    found = tuning.chosen(committed)["sfar"]
    preset = config.PRESETS[config.CHOSEN]
    assert {k: found[k] for k in preset} == preset
    assert {k: config.values(PROFILE)[k] for k in preset} == preset, "both profiles have it"
    assert {k: config.values(get_profile("paper"))[k] for k in preset} == preset


def test_the_committed_record_is_of_these_trials(committed):
    assert committed.data == {
        "worlds": list(WORLDS),
        "seeds": list(tuning.SEEDS),
        "trials": TRIALS,
        "settings": SETTINGS,
    }
    assert len(committed.rows) == len(CONTENDERS) * TRIALS
    for c in CONTENDERS:
        rows = [committed.find("trials", f"{c.method}/{t}", "mean") for t in range(TRIALS)]
        assert [r.more["configuration"] for r in rows] == tuning.trials(c)
        totals = [r.mean for r in rows]
        best = committed.extra["best"][c.method]
        assert best["trial"] == totals.index(max(totals)) and best["value"] == max(totals)
        assert best["default"] == totals[0]
        assert best["expected_best"] == pytest.approx(tuning.expected_best(totals), abs=1e-3)
        for r in rows:
            assert np.mean(list(r.more["settings"].values())) == pytest.approx(r.mean, abs=1e-3)
            assert np.mean(r.per_seed) == pytest.approx(r.mean, abs=1e-3) and len(r.per_seed) == len(WORLDS)
