"""Runs of other methods without and with the fine-grained video embedding (Table 2c), made and kept as SFAR's are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sfar.config import changed
from sfar.model.other_methods import OTHER_METHODS, into_other_method
from sfar.runs import store
from sfar.runs.executor import Task, spread
from sfar.runs.job import Job
from sfar.runs.run import (
    Tick,
    build_model,
    device,
    fit,
    per_step,
    resolve,
    result,
    score,
    tested_videos,
    trained_parts,
)
from sfar.training.resume import Keeper
from sfar.util import cache


@dataclass(frozen=True)
class OtherMethodJob:
    """One run: the data, seed and configuration of ``job``, with another method's head.

    ``job``: frozen tower, method "sfar": what SFAR reads, another method with FVE reads too. ``base``: one of
    ``OTHER_METHODS``; ``plug``: one of ``FVE``.
    """

    job: Job
    base: str
    plug: str

    def key(self) -> str:
        """Under what the run is kept: the key of the same run of SFAR, code included, is an input."""
        return cache.key("host_run", [self.job.key(), self.job.profile.model.temporal_layers, self.base, self.plug])

    def name(self) -> str:
        """For messages and the progress bar."""
        return f"{self.base}/{self.plug}/seed {self.job.seed}"


def run_other_method(run: OtherMethodJob, tick: Tick | None = None, keeper: Keeper | None = None) -> dict[str, Any]:
    """Train and evaluate; returns the record (JSON types), in the form of ``run.run_one``.

    The loss is Eq. 14's where a text is compared, cross-entropy for ATM's classifier; all else is the same for all.
    """
    started = time.perf_counter()
    inputs = resolve(run.job)
    p, classes, seed, val = run.job.profile, run.job.data.classes, run.job.seed, inputs.validation
    assert val is not None
    plain = build_model(p, classes, inputs.texts, "vanilla", seed)
    model = into_other_method(plain, run.base, run.plug, classes, p.train.frames, p.model).to(device())
    own = changed(p, {"train.loss": OTHER_METHODS[run.base].loss})
    history = fit(model, replace(inputs, job=replace(run.job, profile=own)), per_step(run.job, tick), keeper)
    assert history is not None, "other methods are trained"
    s = score(model, inputs, tick).single
    return {
        "host": run.base,
        "plug": run.plug,
        "seed": seed,
        "views": {"1x1": result(s, val.clips)},
        **tested_videos(s, val),
        "trained": trained_parts(model),
        "parameters": sum(q.numel() for q in model.parameters() if q.requires_grad),
        "v2t": history.v2t,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _run(run: OtherMethodJob, key: str, tick: Tick) -> dict[str, Any]:
    return store.keep("host_run", key, partial(run_other_method, run, tick), run.job)


def run_other_methods(runs: Sequence[OtherMethodJob], workers: int | None = None) -> list[dict[str, Any]]:
    """The records of all runs, in their order; see ``executor.spread``."""
    # The keys now: a file edited while a run lasts must not lend its version to the result.
    tasks = [Task(r.name(), r.key(), r.job, partial(_run, r)) for r in runs]
    return spread(tasks, partial(cache.load_json, "host_run"), workers, "training other methods")
