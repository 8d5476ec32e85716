"""Runs made in one program: records equal to those made one at a time, keys and kept records as without."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from small_sets import at

from sfar.config import get_profile
from sfar.data import store
from sfar.data.source import dataset
from sfar.errors import SfarError, VideoError
from sfar.model import registry
from sfar.runs import executor, places, run
from sfar.runs.job import Job
from sfar.runs.stacked import at_once, kind, run_stacked
from sfar.runs.task import Task
from sfar.storyboard.scripts import UCF
from sfar.storyboard.sets import write_charades
from sfar.training.stacked import OneFailed
from sfar.util import cache

FROZEN = {"train.train_visual": False, "train.frozen_draws": 2, "train.epochs": 2, "train.batch": 4}
FROZEN |= {"model.temporal_layers": 1}


def job(roots, seed=0, method="sfar", zero_shot=(), name="kinetics400", **changes: Any):
    p = at(roots, name, **FROZEN, **changes)
    return Job(p, dataset(p), method, seed, zero_shot=zero_shot)


def same(a, b, at=""):
    """Numbers to 1e-5, times aside; ranks that differ must be those of ties."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), at
        for k in a:
            if k not in ("seconds", "ranks", "top1", "top5"):
                same(a[k], b[k], f"{at}/{k}")
    elif isinstance(a, list):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{at}/{i}")
    elif isinstance(a, float):
        assert a == pytest.approx(b, abs=1e-5), at
    else:
        assert a == b, at


OPTIONS = [(m.name, {}) for m in registry.METHODS.values() if m.trained] + [
    ("sfar", {"model.attention": "mha"}),
    ("sfar", {"model.ffn_residual": True}),
    ("sfar", {"data.shots": 2}),
]


@pytest.mark.parametrize("method, changes", OPTIONS, ids=lambda x: x if isinstance(x, str) else " ".join(x))
def test_records_are_those_of_one_at_a_time(roots, method, changes):
    few = "data.shots" in changes
    jobs = [job(roots, s, method, **changes, **({"data.shot_seed": s} if few else {})) for s in (3, 4)]
    ticks = []
    found = list(run_stacked(jobs, ticks.append))
    for mine, made in zip(jobs, found, strict=True):
        one = run.run_one(mine)
        same(made, one)
        assert made["seed"] == mine.seed and made["views"]["1x1"]["ranks"] == one["views"]["1x1"]["ranks"]
    assert sum(ticks) == pytest.approx(2 * (4 + 4 * 3 * 4 / 20)), "as much as two runs: test, and steps"


@pytest.mark.usefixtures("videos_here")
def test_many_labels(tmp_path):
    write_charades(tmp_path / "charades", 5, 6, 4, classes=tuple(UCF)[:3], workers=1)
    p = get_profile(
        "storyboard", {"data.dataset": "charades", "data.root": str(tmp_path / "charades"), **FROZEN, "train.epochs": 1}
    )
    data = dataset(p)
    jobs = [Job(p, data, "sfar", s) for s in (0, 1)]
    for mine, made in zip(jobs, run_stacked(jobs), strict=True):
        same(made, run.run_one(mine))


def test_zero_shot(roots, monkeypatch):
    other = at(roots, "ucf101", **FROZEN)
    monkeypatch.setattr(run, "by_name", lambda profile, name: other)
    jobs = [job(roots, s, zero_shot=("ucf101",)) for s in (0, 1)]
    for mine, made in zip(jobs, run_stacked(jobs), strict=True):
        assert np.array(made["zero_shot"]["ucf101"]["scores"]).shape == (12, 2)
        same(made, run.run_one(mine))


def test_a_video_that_turns_out_damaged_is_left_out_of_all_of_them(roots, monkeypatch):
    """One of training and one of the test: the first run finds it, and the others know."""
    jobs = [job(roots, s, **{"data.max_bad_share": 0.3}) for s in (0, 1)]
    inputs = run.resolve(jobs[0])
    assert inputs.training is not None and inputs.validation is not None
    bad = {inputs.training.clips.paths[1], inputs.validation.clips.paths[2]}
    real = store.VideoClips.read

    def read(self, i, sampler):
        if self.paths[i] in bad:
            raise VideoError(f"{self.paths[i]}: damaged")
        return real(self, i, sampler)

    monkeypatch.setattr(store.VideoClips, "read", read)
    folder = cache.folder  # embeddings under names of their own: none of sound videos are found
    named = {"embeddings": "-damaged"}
    monkeypatch.setattr(cache, "folder", lambda stage, k, build: folder(stage, k + named.get(stage, ""), build))
    for mine, made in zip(jobs, run_stacked(jobs), strict=True):
        assert made["training"]["clips"] == 7 and len(made["paths"]) == len(made["labels"]) == 3
        assert {**made["bad"], **made["training"]["bad"]} == {path: f"{path}: damaged" for path in bad}
        same(made, run.run_one(mine))


# --- grouping ---


def test_what_goes_into_one_program(roots):
    first = kind(job(roots, 0))
    assert first is not None and first == kind(job(roots, 7))
    few = [kind(job(roots, s, **{"data.shots": 1, "data.shot_seed": s})) for s in (0, 1)]
    assert few[0] == few[1] != first
    for other in (job(roots, 0, "temporal"), job(roots, 0, **{"model.ffn_residual": False}), job(roots, name="ucf101")):
        assert kind(other) not in (None, first)
    for alone in ({"train.train_visual": True}, {"train.micro_batch": 2}):
        mine = job(roots)
        p = dataclasses.replace(
            mine.profile, train=dataclasses.replace(mine.profile.train, **{k[6:]: v for k, v in alone.items()})
        )
        assert kind(dataclasses.replace(mine, profile=p)) is None
    assert kind(job(roots, method="vanilla")) is None


def test_pieces(roots):
    one = job(roots)
    assert [at_once(one, n, w) for n, w in ((20, 2), (5, 2), (100, 2), (1, 2), (20, 1))] == [10, 3, 10, 1, 10]
    huge = dataclasses.replace(one, data=dataclasses.replace(one.data, classes=("x",) * 20_000))
    assert at_once(huge, 20, 2) == 1, "a step of many pairs is not made longer"
    tasks = [Task(f"sfar/seed {s}", str(s), job(roots, s), lambda k, t: None) for s in range(5)]
    tasks.append(Task("vanilla", "v", job(roots, 0, "vanilla"), lambda k, t: None))
    found = executor.stacks(tasks, 2)
    assert sorted(len(t.all) for t in found) == [1, 2, 3] and {p.key for t in found for p in t.all} == set("01234v")


@pytest.fixture
def in_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(executor, "prepare", lambda jobs, site: [(8, 4)] * len(jobs))
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["0"])


def test_kept_runs_are_not_made_again(roots, in_this_process, monkeypatch):
    jobs = [job(roots, s) for s in range(4)]
    cache.save_json("run", jobs[1].key(), {"seed": "kept"})
    made = []

    def stacked(jobs, tick, hand_over):
        made.append([j.seed for j in jobs])
        for j in jobs:
            hand_over(None)
            yield {"seed": j.seed}

    monkeypatch.setattr(executor, "run_stacked", stacked)
    expected = [{"seed": 0}, {"seed": "kept"}, {"seed": 2}, {"seed": 3}]
    assert executor.run_all(jobs) == expected and made == [[0, 2, 3]]
    assert [cache.load_json("run", j.key()) for j in jobs] == expected, "each under the key that it has by itself"
    assert executor.run_all(jobs) == expected and len(made) == 1


def test_a_failure_names_the_run(roots, in_this_process, monkeypatch):
    def stacked(jobs, tick, hand_over):
        hand_over(None)
        yield {"seed": 0}
        raise OneFailed("the loss is not finite", 2)

    monkeypatch.setattr(executor, "run_stacked", stacked)
    jobs = [job(roots, s) for s in range(4)]
    with pytest.raises(SfarError, match=r"^run sfar/seed 2: the loss is not finite$"):
        executor.run_all(jobs)
    assert cache.load_json("run", jobs[0].key()) == {"seed": 0}, "what was there stays kept"
