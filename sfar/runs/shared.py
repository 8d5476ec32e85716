"""A run that several processes share: the numbers of ``run_one``, but for the order in which sums are added up.

It is kept under the key of that run, and no part of it: what the two do alike is code of ``sfar.runs.run``, and that
they give the same, a test says.
"""

from __future__ import annotations

import time
from typing import Any

from sfar.model.video_model import VideoModel
from sfar.runs.job import Job
from sfar.runs.run import Inputs, RunScores, Shared, Tick, build, fit, per_step, record, resolve, score_set
from sfar.runs.task import First
from sfar.training.evaluate import VIEWS
from sfar.training.process_group import SingleProcess
from sfar.training.resume import Keeper


def run_shared(
    job: Job, world: SingleProcess, first: First, tick: Tick | None = None, keeper: Keeper | None = None
) -> dict[str, Any]:
    """Train and evaluate one job with the other processes of ``world``; each returns the record (see ``run.run_one``).

    ``tick`` is told of the work of all. Raises ``ConfigError`` for more processes than clips in a batch.
    """
    started = time.perf_counter()
    with first():  # its others find videos in the cache
        inputs = resolve(job)
        model = build(inputs)
    history = fit(model, inputs, per_step(job, tick), keeper, world)
    scores = _score(model, inputs, world, tick or (lambda done: None))
    return record(inputs, model, history, scores) | {"seconds": round(time.perf_counter() - started, 1)}


def _score(model: VideoModel, inputs: Inputs, world: SingleProcess, tick: Tick) -> RunScores:
    """As ``run.score``: whole batches are dealt out, so that each number is what one process has."""
    val, views, texts = inputs.validation, inputs.job.views, Shared()
    assert val is not None, "inputs without their test side"
    single = score_set(model, val, world=world)
    tick(len(val.clips))
    many = None
    if views != "1x1":
        many = score_set(model, val, views, world=world)
        tick(len(val.clips) * VIEWS[views][0] * VIEWS[views][1])
    unseen = {}
    for name, tested in inputs.unseen.items():
        unseen[name] = score_set(model, tested, world=world, texts=texts.texts(model, tested))
        tick(len(val.clips))
    return RunScores(single, many, unseen)
