"""What is kept of runs, under the key of all that they follow from: results, states on the way, trained weights.

``run/KEY.json`` and ``host_run/KEY.json`` are results, ``run/KEY.states/`` the states of a training on its way and its
log, ``runs/KEY/`` what it leaves to look at (``sfar.runs.kept``), ``weights/KEY/`` the weights of a job's model as a
study asks for them, all below ``paths.cache()``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.model.video_model import VideoModel
from sfar.runs import kept as kept_runs
from sfar.runs.job import Job
from sfar.runs.run import Tick, build, build_model, device, fit, per_step, resolve
from sfar.subtexts.source import subtexts_of
from sfar.training import checkpoint
from sfar.training.log import Logged, lines_of, trained_groups
from sfar.util import cache, paths

_WEIGHTS, _TRAINING = "model.safetensors", "training.json"


def kept(job: Job) -> dict[str, Any] | None:
    """The record of a job that was made before from the same inputs, or None."""
    return cache.load_json("run", job.key())


def keep(stage: str, key: str, make: Callable[[Logged], dict[str, Any]], job: Job) -> dict[str, Any]:
    """Make a record and keep it, first of all, and then what the run leaves to look at.

    A long training keeps its state on the way, and goes on from there. ``job``: whose run it is.
    """
    kept_runs.limit()  # a wrong answer is said before the work
    states = paths.cache() / stage / f"{key}.states"
    keeper = Logged(states, {stage: key}, states / kept_runs.LOG)
    record = make(keeper)
    keeper.note()
    cache.save_json(stage, key, record)
    lines, model = keeper.lines, keeper.model
    if model is not None and not lines:  # trained with others, in one program
        lines = lines_of(record["history"], job.profile.train, trained_groups(model))
    kept_runs.write(key, job, record, model, lines, stage)
    keeper.discard()
    return record


# --- trained weights ---


def weights_key(job_key: str) -> str:
    """Under what the weights of a job's model are kept: the key of the same run, code included, is an input."""
    return cache.key("weights", [job_key])


def find_weights(key: str) -> Path | None:
    """The folder of kept weights, or None. It is there whole or not at all."""
    folder = paths.cache() / "weights" / key
    return folder if (folder / _TRAINING).is_file() else None


def keep_weights(job: Job, key: str, tick: Tick | None = None) -> Path:
    """Train a job as its run does and keep the weights; returns their folder."""

    def train(folder: Path) -> None:
        inputs = resolve(job, testing=False)
        model = build(inputs)
        history = fit(model, inputs, per_step(job, tick))
        checkpoint.save(folder / _WEIGHTS, model, job.profile, job.data.classes, job.seed)
        paths.write_json(folder / _TRAINING, {"seconds": history.seconds if history else 0.0})

    return cache.folder("weights", key, train)


def load_model(job: Job, folder: Path) -> VideoModel:
    """The model of a job with the weights kept in ``folder``, on its device."""
    texts = subtexts_of(job.profile, job.data.classes)
    model = build_model(job.profile, job.data.classes, texts, job.method, job.seed)
    return checkpoint.load(folder / _WEIGHTS, model, job.profile, job.data.classes).to(device())


def training_seconds(folder: Path) -> float:
    """How long the training of kept weights took."""
    return json.loads((folder / _TRAINING).read_text(encoding="utf-8"))["seconds"]
