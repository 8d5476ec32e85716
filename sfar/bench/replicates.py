"""``sfar bench replicates``: many seeds of a head on a frozen tower in one program, against one, and one by one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from sfar.bench.inputs import BASE, FRAMES, TINY, Bench, random_texts
from sfar.bench.measure import interleaved, ratio, summary, target
from sfar.config import ModelConfig, Profile, get_profile
from sfar.data.manifest import Manifest
from sfar.data.store import VideoClips
from sfar.model import clip
from sfar.model.video_model import VideoModel
from sfar.training.stacked import Replicate, train_stacked
from sfar.training.train import train
from sfar.util import paths, processes

RUNS, CLASSES, CLIPS = 20, 25, 600  # the classes and clips of the storyboard world
TARGET = 4.0  # times one run


def _rounds(b: Bench) -> int:
    return 2 if b.quick else 5


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 3 * _rounds(b)


def _start() -> None:
    torch.set_num_threads(1)


@functools.cache
def _profile(quick: bool) -> Profile:
    return get_profile("storyboard", {"train.train_visual": False, "train.epochs": 1 if quick else 3})


@functools.cache
def _common(quick: bool) -> tuple[VideoModel, VideoClips, torch.Tensor]:
    """A model, clips of which only labels are known, and made-up embeddings [draws, clips, L, d] of them."""
    config = TINY if quick else clip.storyboard_config()
    n, d = CLIPS // 10 if quick else CLIPS, config["embed_dim"]
    labels = np.random.default_rng(0).integers(0, CLASSES, n).tolist()
    clips = VideoClips(
        Manifest("kinetics400", "train", paths.PROJECT, ("",) * CLASSES, ()), None, labels, paths=[""] * n
    )
    torch.manual_seed(0)
    embedded = torch.randn(4, n, FRAMES, d)
    texts = random_texts(CLASSES, BASE["subtexts"], BASE["words"], d)
    return VideoModel("sfar", clip.build(config), texts, ModelConfig(), False), clips, embedded


def _train(seeds: list[int], stacked: bool, quick: bool) -> None:
    like, clips, embedded = _common(quick)
    replicates = []
    for seed in seeds:
        torch.manual_seed(seed)
        model = VideoModel("sfar", clip.with_own_scale(like.clip), like.texts, ModelConfig(), False)
        replicates.append(Replicate(model, clips, embedded, seed))
    if stacked:
        train_stacked(replicates, _profile(quick))
    else:
        for r in replicates:
            train(r.model, clips, _profile(quick), r.seed, embedded=embedded)


def run(b: Bench) -> dict[str, Any]:
    """Trainings of SFAR's head: 20 stacked, a program for each core, against one, and against 20 one by one.

    Every program has one thread, as the runs of a study have.
    """
    count, seeds = processes.cores(), list(range(RUNS))
    pieces = [seeds[i::count] for i in range(min(count, RUNS))]
    with processes.Workers(count, _start) as pool:

        def spread(parts: list[list[int]], stacked: bool) -> None:
            for future in [pool.submit(_train, part, stacked, b.quick) for part in parts]:
                pool.result(future)

        calls = {
            "one": lambda: spread([[0]], False),
            "stacked": lambda: spread(pieces, True),
            "one by one": lambda: spread(pieces, False),
        }
        for call in (calls["stacked"], calls["one by one"]):  # processes started, inputs made
            call()
        cpu = torch.device("cpu")
        times = interleaved(calls, _rounds(b), cpu, lambda name: b.tick(name))
    against_one = ratio(times["stacked"], times["one"])
    return {
        "runs": RUNS,
        "cores": count,
        "classes": CLASSES,
        "seconds": {name: summary(t) for name, t in times.items()},
        "stacked_over_one": against_one,
        "one_by_one_over_stacked": ratio(times["one by one"], times["stacked"]),
        "targets": [target(f"{RUNS} stacked trainings / one", against_one["median"], TARGET, False, "x")],
    }
