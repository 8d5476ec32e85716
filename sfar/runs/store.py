"""What is kept of runs, under the key of all that they follow from: results, states on the way, trained weights.

``run/KEY.json`` and ``host_run/KEY.json`` are results, ``run/KEY.states/`` the states of a training on its way,
``weights/KEY/`` the weights of a job's model, all below ``paths.cache()``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.model.heads import VideoModel
from sfar.runs.job import Job
from sfar.runs.run import Tick, build, build_model, device, fit, per_step, resolve
from sfar.subtexts.source import subtexts_of
from sfar.training import checkpoint
from sfar.training.resume import Keeper
from sfar.util import cache, paths

_WEIGHTS, _TRAINING = "model.safetensors", "training.json"


def kept(job: Job) -> dict[str, Any] | None:
    """The record of a job that was made before from the same inputs, or None."""
    return cache.load_json("run", job.key())


def keep(stage: str, key: str, make: Callable[[Keeper], dict[str, Any]]) -> dict[str, Any]:
    """Make a record and keep it. A long training keeps its state on the way, and goes on from there."""
    keeper = Keeper(paths.cache() / stage / f"{key}.states", {stage: key})
    record = make(keeper)
    cache.save_json(stage, key, record)
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
