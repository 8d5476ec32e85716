"""A run that several processes share: the numbers of ``run_one``, but for the order in which sums are added up.

It is kept under the key of that run, and no part of it: what the two do alike is code of ``sfar.runs.run``, and that
they give the same, a test says.
"""

from __future__ import annotations

import time
from typing import Any

from sfar.runs.job import Job
from sfar.runs.run import Tick, build, fit, per_step, record, resolve, score
from sfar.runs.task import First
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
    scores = score(model, inputs, tick, world=world)
    return record(inputs, model, history, scores) | {"seconds": round(time.perf_counter() - started, 1)}
