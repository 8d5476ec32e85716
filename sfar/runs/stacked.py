"""Runs that differ in their seed alone, made in one program: the records of ``run_one``, in a fraction of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sfar.model.video_model import VideoModel
from sfar.runs.job import Job
from sfar.runs.run import Inputs, Shared, Tick, build, device, embed_training, per_step, record, resolve, score
from sfar.training.stacked import OneFailed, Replicate, can_stack, train_stacked
from sfar.training.train import History

# Fields of ``profile.data`` that may differ, besides the seed: they choose clips, and change nothing else.
PER_REPLICATE = ("shot_seed", "replicate")

# Runs in a program at most, and pairs of a video and a class in a step of all of them: more are no quicker, and a long
# training is better off with states of its own on the way.
MOST, PAIRS = 10, 2**16


def kind(job: Job) -> Job | None:
    """What runs that can be made together have in common; None for a job that is made by itself."""
    if not job.frozen or not can_stack(job.profile, device()):
        return None
    p = job.profile
    same = {name: type(p.data).__dataclass_fields__[name].default for name in PER_REPLICATE}
    return replace(
        job,
        seed=0,
        profile=replace(p, data=replace(p.data, **same), seeds=(0,)),
        data=replace(job.data, root=Path(), fingerprint="", lists=""),  # follow from the profile
    )


def at_once(job: Job, runs: int, workers: int) -> int:
    """How many of ``runs`` runs like ``job`` are made in one program, so that ``workers`` processes have work."""
    pairs = job.profile.train.batch * len(job.data.classes)
    return max(1, min(MOST, PAIRS // pairs, -(-runs // workers)))


def run_stacked(
    jobs: Sequence[Job], tick: Tick | None = None, hand_over: Callable[[VideoModel], object] | None = None
) -> Iterator[dict[str, Any]]:
    """Train jobs of one ``kind`` together, then evaluate each; their records, in their order (see ``run.run_one``).

    Numbers are those of ``run_one`` to rounding; ``seconds`` are a run's share of what is common, and its own.
    ``hand_over`` is given each record's model before the record. Raises ``OneFailed``.
    """
    started = time.perf_counter()
    inputs = [resolve(job) for job in jobs]
    models = [build(inputs[0])]
    models += [build(own, models[0]) for own in inputs[1:]]
    histories = _fit(models, inputs, tick)
    shared, common = Shared(), (time.perf_counter() - started) / len(jobs)
    for model, own, history in zip(models, inputs, histories, strict=True):
        started = time.perf_counter()
        made = record(own, model, history, score(model, own, tick, shared))
        if hand_over:
            hand_over(model)
        yield made | {"seconds": round(common + time.perf_counter() - started, 1)}


def _times(tick: Tick, runs: int, work: float) -> None:
    tick(runs * work)


def _fit(models: Sequence[VideoModel], inputs: Sequence[Inputs], tick: Tick | None) -> list[History]:
    """Train the models in place, those together that take as many steps."""
    replicates = []
    for model, own in zip(models, inputs, strict=True):
        embedded, chosen = embed_training(model.clip, own), own.training  # mapped, where lists are alike
        assert embedded is not None and chosen is not None, "they are trained, their towers frozen"
        replicates.append(Replicate(model, chosen.clips, embedded, own.job.seed, chosen.repeats))
    found: dict[int, History] = {}
    batch = inputs[0].job.profile.train.batch
    for shape in sorted({r.shape(batch) for r in replicates}):
        places = [i for i, r in enumerate(replicates) if r.shape(batch) == shape]
        told = per_step(inputs[0].job, tick and partial(_times, tick, len(places)))
        try:
            histories = train_stacked([replicates[i] for i in places], inputs[0].job.profile, told)
        except OneFailed as e:
            raise OneFailed(e.text, places[e.replicate]) from e
        found |= dict(zip(places, histories, strict=True))
    return [found[i] for i in range(len(models))]
