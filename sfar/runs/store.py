"""What is kept of runs, under the key of all that they follow from: results, states on the way, trained weights.

``run/KEY.json`` and ``host_run/KEY.json`` are results, ``run/KEY.states/`` the states of a training on its way and its
log, ``runs/KEY/`` what it leaves to look at, its weights among it (``sfar.runs.kept``), all below ``paths.cache()``.
What `sfar train` has trained lies in ``runs/KEY/`` too, and a run of the same training takes it up (``trained``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sfar.config import changed
from sfar.model.video_model import VideoModel
from sfar.runs import kept as kept_runs
from sfar.runs.job import Job
from sfar.runs.run import Inputs, Tick, build_model, device, record, resolve, score, trained_parts
from sfar.subtexts.source import subtexts_of
from sfar.training import checkpoint
from sfar.training.log import Line, Logged, lines_of, read_lines, trained_groups
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.training.train import History
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


# --- trainings of `sfar train` ---------------------------------------------------------------------------------------


TRAIN = "sfar train"  # of ``training.by`` in ``run.json`` and in the record of what takes it up


def training(job: Job) -> Job:
    """The job of the same training that is tested on nothing more than the single view: `sfar train`'s."""
    return replace(job, views="1x1", zero_shot=())


def keep_training(job: Job, inputs: Inputs, model: VideoModel, history: History, lines: list[Line], size: int) -> str:
    """Keep a training that nobody has tested yet, with its weights and log; returns its key.

    ``inputs``: with its training side; ``size``: processes that shared it. Weights that ``kept.limit`` leaves out are
    not kept, and what is kept is then not taken up. Raises ``SfarError`` when the disk refuses.
    """
    chosen = inputs.training
    assert chosen is not None, "a method that is trained"
    said = {
        "trained": trained_parts(model),
        "history": asdict(history),
        "seconds": history.seconds,
        "training": {
            "clips": len(chosen.clips),
            "repeats": chosen.repeats,
            "bad": chosen.clips.bad,
            "by": TRAIN,
            "processes": size,
        },
    }
    key = training(job).key()
    kept_runs.write(key, job, said, model, lines)
    return key


def trained(job: Job) -> Path | None:
    """The weights that `sfar train` has left of this job's training, or None.

    Not those of other runs: what a study measures does not depend on which one was made before it.
    """
    if not job.trained:
        return None
    file = kept_runs.weights(training(job).key())
    return file if file and (kept_runs.about(file.parent).get("training") or {}).get("by") == TRAIN else None


def take_up(job: Job, file: Path, tick: Tick | None = None, keeper: Logged | None = None) -> dict[str, Any]:
    """Test a job with the weights that its training has left (``trained``); its record, as ``run.run_one`` gives it.

    ``keeper``: gets model and log, as it would of a training.
    """
    started, said = time.perf_counter(), kept_runs.about(file.parent)
    inputs, model = resolve(job, training=False), load_model(job, file)
    history = History(**said["history"])
    scores = score(model, inputs, tick)
    if keeper is not None:
        keeper.finished(model, history, read_lines(file.with_name(kept_runs.LOG)))
    seconds = round(history.seconds + time.perf_counter() - started, 1)
    return record(inputs, model, history, scores) | {"training": said["training"], "seconds": seconds}
