"""What is kept of runs, under the key of all that they follow from: results, states on the way, trained weights.

``run/KEY.json`` and ``host_run/KEY.json`` are results, ``run/KEY.states/`` the states of a training on its way and its
log, ``runs/KEY/`` what it leaves to look at, its weights among it (``sfar.runs.kept``), all below ``paths.cache()``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.config import changed
from sfar.model.video_model import VideoModel
from sfar.runs import kept as kept_runs
from sfar.runs.job import Job
from sfar.runs.run import build_model, device
from sfar.subtexts.source import subtexts_of
from sfar.training import checkpoint
from sfar.training.log import Logged, lines_of, trained_groups
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.util import cache, paths


def kept(job: Job) -> dict[str, Any] | None:
    """The record of a job that was made before from the same inputs, or None."""
    return cache.load_json("run", job.key())


def keep(
    stage: str,
    key: str,
    make: Callable[[Logged], dict[str, Any]],
    job: Job,
    weights: bool = False,
    world: SingleProcess = SINGLE_PROCESS,
) -> dict[str, Any]:
    """Make a record and keep it, first of all, and then what the run leaves to look at.

    A long training keeps its state on the way, and goes on from there. ``job``: whose run it is; ``weights``: they are
    asked for, and kept however large they are; ``world``: processes that share the run, of which the first writes.
    """
    kept_runs.limit()  # a wrong answer is said before the work
    states = paths.cache() / stage / f"{key}.states"
    keeper = Logged(states, {stage: key}, states / kept_runs.LOG, world=world)
    record = make(keeper)
    keeper.note()
    if world.rank:
        return record
    cache.save_json(stage, key, record)
    lines, model = keeper.lines, keeper.model
    if model is not None and not lines:  # trained with others, in one program
        lines = lines_of(record["history"], job.profile.train, trained_groups(model))
    kept_runs.write(key, job, record, model, lines, stage, weights)
    keeper.discard()
    return record


def load_model(job: Job, weights: Path) -> VideoModel:
    """The model of a job with the ``weights`` that its run left (``kept.weights``), on its device."""
    # A field that the method does not read may be another one here than where the run was made.
    own = {f"model.{k}": v for k, v in checkpoint.read_about(weights)["model"].items()}
    profile, classes = changed(job.profile, own), job.data.classes
    model = build_model(profile, classes, subtexts_of(job.profile, classes), job.method, job.seed)
    return checkpoint.load(weights, model, profile, classes).to(device())
