"""The knobs study on made-up runs: its worlds, video-by-video rises against a plain fit, its claims, its figure."""

import dataclasses
import zlib
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar.config import changed, get_profile
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.storyboard.knobs import RANGES
from sfar.studies import knobs
from sfar.studies.core import page, study
from sfar.studies.knobs import CAUSES, KNOBS, OWN, RIVALS, STUDY, TITLES

PROFILE = get_profile("storyboard")
VIDEOS, CLASSES = 80, 8


def job(base, variant, seed):
    """A job without its data set: that would be drawn."""
    trained = registry.get(variant.method).trained
    return SimpleNamespace(
        base=base, profile=variant.profile(base, seed), method=variant.method, seed=seed, trained=trained
    )


def result(job):
    """A run whose hits depend on the video alone, but for a rise of the fine embedding with irrelevant frames."""
    knob, place = turned(job)
    ids = [f"val/{chr(97 + i % 26)}{i:010d}_{int(30 * place):06d}_{90 - i:06d}.mp4" for i in range(VIDEOS)]
    ease = np.random.default_rng(3).random(VIDEOS)
    skill = 0.5 - 0.3 * place
    if job.method == "sfar" and job.profile.model.fine and knob == "irrelevant":
        skill += 0.3 * place
    noise = np.random.default_rng([job.seed, zlib.crc32(repr(job.profile).encode())]).normal(0, 0.03, VIDEOS)
    order = np.random.default_rng(int(10 * place)).permutation(VIDEOS)  # files are listed in an order of their own
    hit = ease + noise < skill
    return {
        "method": job.method,
        "seed": job.seed,
        "trained": ["head", "logit_scale"] if job.trained else [],
        "training": {"clips": 400, "repeats": 1, "bad": {}} if job.trained else None,
        "classes": ["a"] * CLASSES,
        "bad": {},
        "missing": [],
        "labels": [0] * VIDEOS,
        "paths": [ids[i] for i in order],
        "views": {"1x1": {"ranks": [0 if hit[i] else 3 for i in order]}},
        "seconds": 1.0,
    }


def turned(job):
    """The knob that is turned in the world of a job, and how far."""
    data = job.profile.data
    plain = PROFILE.data
    for knob, k in KNOBS.items():
        name = k.field.removeprefix("data.")
        if getattr(data, name) != getattr(plain, name):
            return knob, k.place(getattr(data, name))
    return "overlap", 0.0  # its first level is the plain world


@pytest.fixture(scope="module")
def made():
    """The record, and the jobs that it was made from."""
    seen = []

    def run_all(jobs, workers, desc):
        seen.extend(jobs)
        return [result(j) for j in jobs]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "job", job)
        patch.setattr(knobs, "run_all", run_all)
        return STUDY.measure(PROFILE), seen


@pytest.fixture(scope="module")
def record(made):
    return made[0]


# --- what is run -----------------------------------------------------------------------------------------------------


def test_every_knob_is_turned_alone_within_its_range():
    assert [k.field for k in KNOBS.values()] == [f"data.world_{name}" for name in RANGES]
    plain = PROFILE.data
    for name, k in KNOBS.items():
        low, high = RANGES[name]
        assert all(low <= v <= high for v in k.levels) and [k.place(k.levels[0]), k.place(k.levels[-1])] == [0, 1]
        assert list(map(k.place, k.levels)) == sorted(map(k.place, k.levels))
        for level in k.levels:
            data = knobs.world(PROFILE, name, level).data
            same = {f"world_{other}" for other in RANGES if other != name}
            assert all(getattr(data, f) == getattr(plain, f) for f in same)
            assert getattr(data, f"world_{name}") == level and data.train_per_class == data.val_per_class == 16


def test_doublings_are_equal_steps():
    assert [KNOBS["momentary"].place(v) for v in (8, 4, 2, 1)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_jobs_are_of_the_turned_world(made):
    """Both lists, training and test, are drawn with the knob: it is in what a job's data set is made from."""
    seen = made[1]
    levels = sum(len(k.levels) for k in KNOBS.values())
    assert len(seen) == levels * (3 * (len(TITLES) - 1) + 1)
    assert len({repr(j.base.data) for j in seen}) == levels and all(j.base.data.train_per_class == 16 for j in seen)
    assert all(changed(j.base, {"data.replicate": j.profile.data.replicate}).data == j.profile.data for j in seen)
    assert len({(repr(j.profile), j.method, j.seed) for j in seen}) == len(seen)
    assert {j.profile.data.replicate for j in seen if j.trained} == {0, 1, 2}
    assert not any(j.profile.train.train_visual for j in seen if j.trained)
    parts = {(j.method, j.profile.model.coarse, j.profile.model.fine) for j in seen if j.method.startswith("sfar")}
    assert parts == {(m.name, c, f) for m in registry.own() for c, f in ((True, True), (True, False), (False, True))}


def test_real_data_are_refused():
    with pytest.raises(ConfigError, match="storyboard world alone"):
        STUDY.check(get_profile("paper"))


# --- what is made of them --------------------------------------------------------------------------------------------


def test_videos_are_paired_by_their_id():
    runs = [{"paths": ["v/b_1_000001_000002.mp4", "v/a_000001_000003.mp4"], "views": {"1x1": {"ranks": [0, 7]}}}]
    assert knobs._by_video(runs).tolist() == [[0.0, 100.0]]
    assert knobs._id("val/x_y-Z_000012_000034.mp4") == "x_y-Z"


@pytest.mark.parametrize("knob", KNOBS)
def test_a_rise_is_that_of_the_fitted_line(knob):
    k = KNOBS[knob]
    x, rng = [k.place(v) for v in k.levels], np.random.default_rng(0)
    levels = [rng.normal(size=(3, 5)) for _ in x]
    found = knobs._rise(k, levels)
    for s in range(3):
        for v in range(5):
            slope, _ = np.polyfit(x, [values[s, v] for values in levels], 1)
            assert found[s, v] == pytest.approx(slope * (x[-1] - x[0]))


def test_rises_follow_from_the_levels(record):
    for knob, k in KNOBS.items():
        for row in OWN:
            for rival in RIVALS:
                each = [record.contrast(row, rival, "gains", knob=knob, level=v).mean for v in k.levels]
                assert record.contrast(row, rival, "rises", knob=knob).mean == pytest.approx(
                    float(k.weights() @ each), abs=2e-3
                )
                for v, gain in zip(k.levels, each, strict=True):
                    a, b = (record.find("levels", r, knob=knob, level=v).mean for r in (row, rival))
                    assert gain == pytest.approx(a - b, abs=1e-3)


def test_claims(record):
    assert len(record.claims) == 2 * len(CAUSES) and all(c.of_paper and c.item == "knobs" for c in record.claims)
    verdict = {c.id: c.verdict for c in record.claims}
    assert verdict["knobs-irrelevant-both"] == verdict["knobs-irrelevant-fine"] == "holds"
    assert verdict["knobs-irrelevant-coarse"] in ("equal", "undecided")
    assert verdict["knobs-irrelevant-both-printed"] in ("equal", "undecided")
    other = next(c for c in record.claims if c.id == "knobs-irrelevant-fine-printed")
    assert other.claim.startswith("the gain of SFAR, as printed, fine only over single granularity rises where")


def test_what_is_said(record):
    text = knobs.finding(record)
    assert "The gain of SFAR over" in text and "rises with irrelevant frames (" in text
    assert "; it does not change beyond the intervals with the other 4." in text
    assert text.endswith("does not change beyond the intervals with any of the knobs.")
    c = record.contrast("sfar-printed", "single", "rises", knob="overlap")
    down = dataclasses.replace(c, verdict="does not hold")
    other = dataclasses.replace(record, contrasts=[down if x is c else x for x in record.contrasts])
    assert "falls with overlap of classes (" in knobs.finding(other)


def test_blocks_and_figure(record):
    text = page.markdown(STUDY, record)
    assert "nan" not in text
    assert str(page.show(STUDY, record, "rises")).count("\n") == len(OWN) * len(RIVALS) + 1
    for knob in KNOBS:
        assert str(page.show(STUDY, record, f"levels-{knob}")).count("\n") == len(TITLES) + 1
    figure = knobs.figure(record)
    figure.canvas.draw()
    assert len(figure.axes) == 3 * len(KNOBS)
    plt.close(figure)
