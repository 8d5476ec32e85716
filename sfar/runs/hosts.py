"""Runs of other methods without and with the fine video embedding (``sfar.model.other_methods``): Table 2c."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from sfar.config import changed
from sfar.model.other_methods import CROSS_ENTROPY, FVE, OTHER_METHODS, into_other_method
from sfar.runs.executor import prepare
from sfar.runs.run import Job, build_model, device, epoch_repeats, load_clips, result, training_embeddings
from sfar.training.evaluate import score
from sfar.training.frozen import frame_embeddings
from sfar.training.train import train
from sfar.util import cache, processes

HOSTS = {name: m.title for name, m in OTHER_METHODS.items()}
PLUGS = FVE


@dataclass(frozen=True)
class HostJob:
    """One run: the data, seed and configuration of ``job`` (frozen tower, method "sfar": what it reads, a host with FVE reads too) with a host's head."""

    job: Job
    host: str
    plug: str

    def key(self) -> str:
        return cache.key("host_run", [self.job.key(), self.job.profile.model.temporal_layers, self.host, self.plug])


def run_host(run: HostJob) -> dict[str, Any]:
    """Train and evaluate; returns the record (JSON types), in the form of ``experiment.run_one``.

    The loss is Eq. 14's where a text is compared, cross-entropy for ATM's classifier; all else is the same for all hosts.
    """
    p, t, data, seed = run.job.profile, run.job.profile.train, run.job.data, run.job.seed
    started = time.perf_counter()
    clips, val = (load_clips(p, data, split) for split in ("train", "val"))
    classes = val.manifest.classes
    model = into_other_method(
        build_model(p, data, classes, "vanilla", seed), run.host, run.plug, classes, t.frames, p.model
    ).to(device())
    own = changed(p, {"train.loss_lambda": CROSS_ENTROPY}) if OTHER_METHODS[run.host].classifier else p
    history = train(
        model,
        clips,
        own,
        seed,
        repeats=epoch_repeats(p, data, len(clips)),
        embedded=training_embeddings(model.clip, clips, p, data),
    )
    s = score(
        model, val, t.frames, p.data.image_size, embedded=frame_embeddings(model.clip, val, p, data.fingerprint, False)
    )
    return {
        "host": run.host,
        "plug": run.plug,
        "seed": seed,
        "views": {"1x1": result(s, val)},
        "labels": s.labels.tolist(),
        "paths": [val.paths[i] for i in s.clips],
        "classes": list(classes),
        "trained": ["head"] + ["logit_scale"] * model.clip.logit_scale.requires_grad,
        "parameters": sum(q.numel() for q in model.parameters() if q.requires_grad),
        "v2t": history.v2t,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _work(item: tuple[str, HostJob]) -> tuple[str, dict[str, Any]]:
    if device().type == "cpu":
        torch.set_num_threads(1)  # as in runs.py: one thread per run
    key, run = item
    record = run_host(run)
    cache.save_json("host_run", key, record)
    return key, record


def run_hosts(runs: Sequence[HostJob], workers: int | None = None) -> list[dict[str, Any]]:
    """The records of all runs, in their order; kept ones are not made again. On a CPU side by side, a process and a thread each."""
    keys = [r.key() for r in runs]  # now: a file edited while a run lasts must not lend its version to the result
    found = {k: r for k in keys if (r := cache.load_json("host_run", k)) is not None}
    todo = [(k, r) for k, r in zip(keys, runs) if k not in found]
    if todo:
        for job in dict.fromkeys(r.job for _, r in todo):
            prepare(job)
        with tqdm(total=len(todo), desc="training hosts", unit="run") as bar:
            if device().type == "cuda":
                for item in todo:
                    found.update([_work(item)])
                    bar.update()
            else:
                with processes.pool(workers) as pool:
                    for made in pool.imap_unordered(_work, todo):
                        found.update([made])
                        bar.update()
    return [found[k] for k in keys]
