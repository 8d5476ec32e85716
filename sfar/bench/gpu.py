"""``sfar bench gpu`` (``make gpu-check``): what a GPU alone can show, in at most eight minutes on one H100.

The training step of ViT-B/16 and ViT-L/14 in bf16 against the device's peak, SFAR's head against CLIP's encoding at 400
classes, the memory of a step against the estimate that docs/TRAINING.md prints, a training under
DistributedDataParallel on one device, and one that is interrupted and goes on. ``--quick`` does all of it at tiny
sizes, on a CPU too.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfar.bench import overhead, step
from sfar.bench.inputs import BASE, FRAMES, QUICK_BASE, TINY, Bench, random_texts
from sfar.bench.measure import BenchError, allocated_peak, rounded, target
from sfar.config import ModelConfig, Profile, get_profile
from sfar.data.manifest import Clip, Manifest
from sfar.data.store import StoredClips
from sfar.model import clip
from sfar.model.cost import training_memory
from sfar.model.video_model import VideoModel
from sfar.reproduce.plan import SHARE
from sfar.reproduce.ready import open_clip_config
from sfar.training import distributed
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.training.resume import Keeper, Stopped, listening
from sfar.training.train import History, train

MEMORY_RATIO = 1.5  # a step may take so many times what shapes say: temporaries of kernels, the allocator's rounding
SAME = 2e-2  # of a loss, between two trainings that differ in the order of sums alone, in bf16
CLIPS, LENGTH = 24, 10  # of the trainings: videos of noise, and their frames


def _towers(quick: bool) -> dict[str, dict[str, Any]]:
    if quick:
        return {"a tiny ViT": TINY}
    return {name: open_clip_config(f"{name}-quickgelu") for name in ("ViT-B-16", "ViT-L-14")}


def _settings(quick: bool) -> list[step.Setting]:
    """A step of each tower: alone, and with activations computed again; the smaller one compiled too."""
    plain, again = step.Variant("bf16"), step.Variant("bf16", checkpointed=True)
    if quick:
        return [step.Setting(name, config, 2, {"bf16": plain}, 1) for name, config in _towers(True).items()]
    base, large = _towers(False).values()
    compiled = step.Variant("bf16", compiled=True)
    return [
        step.Setting(
            "ViT-B/16", base, 32, {"bf16": plain, "bf16, checkpointed": again, "bf16, compiled": compiled}, 10
        ),
        step.Setting("ViT-L/14", large, 16, {"bf16": plain, "bf16, checkpointed": again}, 5),
    ]


def _sizes(quick: bool) -> list[tuple[str, int, bool]]:
    """Tower, videos and whether activations are computed again, of the steps whose memory is measured."""
    if quick:
        return [("a tiny ViT", 2, False)]
    return [
        ("ViT-B-16", 32, False),
        ("ViT-B-16", 32, True),
        ("ViT-B-16", 64, True),
        ("ViT-L-14", 16, False),
        ("ViT-L-14", 32, True),
    ]


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    steps = sum(len(s.variants) * (1 + s.repeats) for s in _settings(b.quick))
    return 1 + steps + overhead.ticks(b) + len(_sizes(b.quick)) + 2


# --- memory ----------------------------------------------------------------------------------------------------------


def memory(b: Bench, classes: int) -> list[dict[str, Any]]:
    """Bytes that a step needs at most, from the model's weights on, beside the estimate from shapes."""
    rows = []
    for name, videos, again in _sizes(b.quick):
        config = _towers(b.quick)[name]

        def twice(config: dict[str, Any] = config, videos: int = videos, again: bool = again) -> None:
            one = step.make_step(config, step.Variant("bf16", checkpointed=again), videos, classes, b.device)
            one()
            one()  # Adam's moments are there since the first

        measured, _ = allocated_peak(twice, b.device)
        size = config["vision_cfg"]["image_size"]
        estimate = sum(training_memory(config, videos, FRAMES, size, classes, checkpointed=again).values())
        rows.append(
            {
                "model": name,
                "videos": videos,
                "checkpointed": again,
                "bytes": measured,
                "estimate": round(estimate),
                "ratio": rounded(measured / estimate),
            }
        )
        b.tick(f"memory of {name}, {videos} videos")
    return rows


# --- trainings -------------------------------------------------------------------------------------------------------


def noise(classes: int, size: int) -> StoredClips:
    """Videos of noise in memory, as a small set is once it is decoded."""
    clips = tuple(Clip(f"{i}.mp4", i % classes, str(i)) for i in range(CLIPS))
    one = LENGTH * size * size * 3
    return StoredClips(
        Manifest("kinetics400", "train", Path(), tuple(map(str, range(classes))), clips),
        size,
        labels=[c.label for c in clips],
        sets=[() for _ in clips],
        paths=[c.path for c in clips],
        first=[0] * CLIPS,
        lengths=[LENGTH] * CLIPS,
        frames=np.random.default_rng(0).integers(0, 256, CLIPS * one, np.uint8),
        where={c.path: (i * one, LENGTH, size, size) for i, c in enumerate(clips)},
    )


def _profile() -> Profile:
    """Of trainings of the storyboard world's CLIP: three epochs of three steps."""
    return get_profile("storyboard", {"train.epochs": 3, "train.batch": 8, "train.frames": 4, "train.warmup_epochs": 1})


def trained(
    device: torch.device,
    world: SingleProcess = SINGLE_PROCESS,
    keeper: Keeper | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
) -> tuple[History, Tensor]:
    """A short training from the same weights each time: its history, and all trained weights in one row."""
    profile, classes = _profile(), QUICK_BASE["classes"]
    torch.manual_seed(0)
    backbone = clip.load_clip(profile.model.clip)
    texts = random_texts(classes, BASE["subtexts"], BASE["words"], clip.storyboard_config()["embed_dim"])
    model = VideoModel("sfar", backbone, texts, ModelConfig(), True).to(device)
    history = train(model, noise(classes, profile.data.image_size + 8), profile, 0, on_step, world=world, keeper=keeper)
    return history, torch.cat([p.detach().flatten().cpu() for p in model.parameters() if p.requires_grad])


def _compared(found: tuple[History, Tensor], whole: tuple[History, Tensor]) -> dict[str, float]:
    """Largest difference of an epoch's loss, relative, and of a weight."""
    losses = [abs(a - b) / abs(b) for a, b in zip(found[0].loss, whole[0].loss, strict=True)]
    return {"loss": rounded(max(losses)), "weight": rounded(float((found[1] - whole[1]).abs().max()))}


@contextmanager
def alone() -> Iterator[distributed.ProcessGroup]:
    """A job of one process under nccl, or gloo on a CPU, as torchrun starts it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    own = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    before = {k: os.environ.get(k) for k in own}
    os.environ.update(own)
    try:
        with distributed.joined() as world:
            yield world
    finally:
        for k, v in before.items():
            if v is None:
                del os.environ[k]
            else:
                os.environ[k] = v


def resumed(device: torch.device) -> tuple[History, Tensor]:
    """The same training, asked to stop in its second epoch by a signal, and gone on with from the state it kept."""

    def stop(i: int, n: int, loss: float) -> None:
        if i == n // 2:
            signal.raise_signal(signal.SIGTERM)

    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as folder:
        keeper = Keeper(Path(folder) / "states", {"bench": "gpu"}, every=float("inf"))
        try:
            with listening(keeper):
                trained(device, keeper=keeper, on_step=stop)
        except Stopped:
            return trained(device, keeper=Keeper(Path(folder) / "states", {"bench": "gpu"}, every=float("inf")))
    raise BenchError("a training that was asked to stop went on to its end")


# --- all of it -------------------------------------------------------------------------------------------------------


def run(b: Bench) -> dict[str, Any]:
    """All of it. Raises ``BenchError`` on a machine without a GPU, unless it is quick."""
    if b.device.type != "cuda" and not b.quick:
        raise BenchError(
            "no GPU here that PyTorch sees: `make gpu-check` measures what a GPU alone can show (`sfar bench gpu "
            "--quick` tries its code on a CPU)"
        )
    classes = QUICK_BASE["classes"] if b.quick else BASE["classes"]
    limit, source = step.peaks(b)
    b.tick("peak arithmetic")
    settings = [step.measure(s, classes, limit, b) for s in _settings(b.quick)]
    head = overhead.run(b)
    rows = memory(b, classes)
    whole = trained(b.device)
    with alone() as world:
        found = {"one process group": _compared(trained(b.device, world), whole)}
    b.tick("a process group")
    found["interrupted"] = _compared(resumed(b.device), whole)
    b.tick("interrupted")
    best = {s["model"]: max(v["share_of_peak"] for v in s["variants"]) for s in settings}
    name = torch.cuda.get_device_name(b.device) if b.device.type == "cuda" else "CPU"
    percent = max(r["head_percent"]["median"] for r in head["rows"])
    worst = max(r["ratio"] for r in rows)
    loss = {k: v["loss"] for k, v in found.items()}
    return {
        "device": name,
        "backend": "nccl" if b.device.type == "cuda" else "gloo",
        "frames": FRAMES,
        "classes": classes,
        "peak_flops": {k: rounded(v) for k, v in limit.items()},
        "peak_is": source,
        "settings": settings,
        "overhead": head["rows"],
        "memory": rows,
        "trainings": found,
        # As the documentation quotes it (sfar/reproduce/numbers.py).
        "said": {
            **{f"step {m}": f"{100 * share:.0f} % of the peak of {name}" for m, share in best.items()},
            "head": f"{percent:.2g} % of CLIP's encoding on {name}",
            "memory": f"at most {worst:.2f} times the estimate on {name}",
            "nccl": f"losses within {100 * loss['one process group']:.2g} %",
            "resumed": f"losses within {100 * loss['interrupted']:.2g} %",
        },
        "targets": [
            *(target(f"step of {m}, bf16, of the peak", 100 * s, 100 * SHARE, True, "%") for m, s in best.items()),
            *(t for t in head["targets"] if t["name"].endswith("GPU")),
            target("memory of a step / estimate", worst, MEMORY_RATIO, False, "x"),
            *(target(f"loss of a training, {k} / whole", 100 * v, 100 * SAME, False, "%") for k, v in loss.items()),
        ],
    }
