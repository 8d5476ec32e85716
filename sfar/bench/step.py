"""``sfar bench step`` and ``sfar bench scaling``: how fast a training step is, by precision and other switches, and on several processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sfar.bench.head import BASE, QUICK_BASE, TINY, Bench, random_clips, video_model, vit_b16
from sfar.bench.measure import BenchError, interleaved, ratio, rounded, summary
from sfar.config import get_profile
from sfar.data.source import dataset, load_clips
from sfar.model import clip as C
from sfar.model.cost import clip_macs
from sfar.model.loss import info_nce
from sfar.model.video_model import VideoModel
from sfar.reproduce.plan import PEAKS
from sfar.util import paths
from sfar.util import processes as parallel

PASSES = 3  # a training step is a forward pass and twice that for the gradients; what checkpointing computes again is no useful work


@dataclass(frozen=True)
class Variant:
    """Switches of a training step."""

    precision: str = "fp32"  # or "bf16": autocast of the visual tower
    compiled: bool = False
    channels_last: bool = False
    checkpointed: bool = False  # activations of the visual tower computed again for the backward pass
    fused_attention: bool = (
        True  # torch's choice among its fused kernels; False: the plain one, which writes the T x T matrix
    )


# Each differs from "fp32" or "bf16" by one switch.
VARIANTS = {
    "fp32": Variant(),
    "bf16": Variant("bf16"),
    "fp32, compiled": Variant(compiled=True),
    "fp32, channels last": Variant(channels_last=True),
    "fp32, checkpointed": Variant(checkpointed=True),
    "fp32, plain attention": Variant(fused_attention=False),
}
GPU_VARIANTS = {
    "bf16": Variant("bf16"),
    "fp32": Variant(),
    "bf16, compiled": Variant("bf16", compiled=True),
    "bf16, channels last": Variant("bf16", channels_last=True),
    "bf16, checkpointed": Variant("bf16", checkpointed=True),
    "bf16, plain attention": Variant("bf16", fused_attention=False),
}


def make_step(
    config: dict[str, Any], variant: Variant, videos: int, classes: int, device: torch.device
) -> Callable[[], None]:
    """One training step of SFAR on made-up clips [videos, 8, 3, size, size]: forward, loss, backward, AdamW. The visual tower is trained."""
    model = video_model(config, classes, device).train()
    x = random_clips(config, videos, BASE["frames"], device)
    labels = torch.randint(classes, (videos,), generator=torch.Generator().manual_seed(1)).to(device)
    if variant.channels_last:
        model.clip.visual.to(memory_format=torch.channels_last)
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (videos, BASE["frames"]))
    if variant.checkpointed:
        model.clip.visual.set_grad_checkpointing(True)
    if variant.compiled:
        model.clip.visual.compile()
    optimizer = torch.optim.AdamW([p for ps in model.groups().values() for p in ps], lr=1e-6)
    return lambda: _step(model, x, labels, optimizer, variant)


def _step(model: VideoModel, x: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, variant: Variant) -> None:
    plain = contextlib.nullcontext() if variant.fused_attention else sdpa_kernel(SDPBackend.MATH)
    with plain:  # around the backward pass too: checkpointing passes forward there
        with torch.autocast(x.device.type, torch.bfloat16, enabled=variant.precision == "bf16"):
            logits = model(x).logits
        loss, _ = info_nce(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
    optimizer.step()


def gemm_peak(dtype: torch.dtype, device: torch.device, size: int, repeats: int = 5) -> float:
    """FLOP/s of the best of some products of two ``size`` x ``size`` matrices: what this machine's arithmetic can reach with this library."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b
    times = interleaved({"gemm": lambda: a @ b}, repeats, device)["gemm"]
    return 2 * size**3 / min(times)


def peaks(b: Bench) -> tuple[dict[str, float], str]:
    """FLOP/s at most by precision, and where the numbers are from: the GPU's data sheet, or products of large matrices measured now."""
    if b.device.type == "cuda":
        name = torch.cuda.get_device_name(b.device)
        for key, half, single in PEAKS:
            if key in name and half:
                return {"bf16": half * 1e12, "fp32": single * 1e12}, f"data sheet of {key}, dense"
    size = 256 if b.quick else 8192 if b.device.type == "cuda" else 2048
    return {
        "fp32": gemm_peak(torch.float32, b.device, size),
        "bf16": gemm_peak(torch.bfloat16, b.device, size),
    }, f"best of 5 products of {size} x {size} matrices, measured in this run"


@dataclass(frozen=True)
class Setting:
    """What is trained, on how many videos a step, with which variants, in how many rounds."""

    model: str
    config: dict[str, Any]
    videos: int
    variants: dict[str, Variant]
    repeats: int


def settings(b: Bench) -> list[Setting]:
    """On a GPU ViT-B/16 with every variant; on a CPU every variant of the storyboard's small CLIP, and one video a step of ViT-B/16."""
    two = {k: VARIANTS[k] for k in ("fp32", "bf16")}
    if b.quick:
        return [
            Setting(
                "a tiny ViT",
                TINY,
                2,
                {
                    k: VARIANTS[k]
                    for k in ("fp32", "bf16", "fp32, channels last", "fp32, checkpointed", "fp32, plain attention")
                },
                2,
            )
        ]
    if b.device.type == "cuda":
        return [Setting("ViT-B/16", vit_b16(False), 32, GPU_VARIANTS, 10)]
    return [
        Setting("storyboard CLIP", C.storyboard_config(), 16, VARIANTS, 5),
        Setting("ViT-B/16", vit_b16(False), 1, two, 2),
    ]


def step_steps(b: Bench) -> int:
    """How many times ``step`` ticks."""
    return 1 + sum(len(s.variants) * (1 + s.repeats) for s in settings(b))


def step(b: Bench) -> dict[str, Any]:
    """Training steps/s, clips/s, useful FLOP/s and their share of the peak, for each setting and variant."""
    classes = QUICK_BASE["classes"] if b.quick else BASE["classes"]
    limit, source = peaks(b)
    b.tick("peak arithmetic")
    return {
        "device": b.device.type,
        "frames": BASE["frames"],
        "classes": classes,
        "peak_flops": {k: rounded(v) for k, v in limit.items()},
        "peak_is": source,
        "flops_are": f"2 x MACs of the visual tower x {PASSES} (forward and backward; recomputed activations and the head not counted)",
        "settings": [_measure(s, classes, limit, b) for s in settings(b)],
        "targets": [],
    }


def _measure(s: Setting, classes: int, limit: dict[str, float], b: Bench) -> dict[str, Any]:
    calls, first, failed = {}, {}, {}
    for name, variant in s.variants.items():
        call = make_step(s.config, variant, s.videos, classes, b.device)
        try:
            first[name] = interleaved({name: call}, 1, b.device)[name][0]
            calls[name] = call
        except RuntimeError as e:  # torch.compile where there is no compiler; too little memory
            if isinstance(e, torch.OutOfMemoryError) or variant.compiled:
                failed[name] = f"{type(e).__name__}: {str(e).strip().splitlines()[0][:200]}"
            else:
                raise
        b.tick(f"{s.model}, {name}, first step")
    times = interleaved(calls, s.repeats, b.device, lambda name: b.tick(f"{s.model}, {name}"))
    flops = 2 * PASSES * clip_macs(s.config, BASE["frames"], s.config["vision_cfg"]["image_size"]) * s.videos
    base = next(iter(s.variants))
    rows = [
        {
            "name": name,
            "seconds": (found := summary(t)),
            "first_seconds": rounded(first[name]),
            "steps_per_second": rounded(1 / found["median"]),
            "clips_per_second": rounded(s.videos / found["median"]),
            "flops_per_second": rounded(flops / found["median"]),
            "share_of_peak": rounded(flops / found["median"] / limit[s.variants[name].precision]),
            "speed_ratio": ratio(times[base], t),
        }
        for name, t in times.items()
    ]
    return {
        "model": s.model,
        "image_size": s.config["vision_cfg"]["image_size"],
        "videos": s.videos,
        "base": base,
        "variants": rows,
        "failed": failed,
    }


# --- several processes ---------------------------------------------------------------------------------------------

TRAINED = re.compile(r"(\d+) steps in ([0-9.]+) s")


def launch(processes: int, overrides: dict[str, Any], out: Path) -> float:
    """Clips/s of ``sfar train sfar`` on ``processes`` processes of one thread each, by the trainer's own clock (start-up not counted).

    Raises ``BenchError`` when the training fails.
    """
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *start, "-m", "sfar", "train", "sfar", "--out", str(out)] + [
        w for k, v in overrides.items() for w in ("--set", f"{k}={v}")
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=paths.PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    found = TRAINED.search(done.stdout)
    if done.returncode or not found:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(
            f"training on {processes} processes failed: "
            + next(
                (line for line in said if line.startswith("sfar:")), said[-1] if said else f"status {done.returncode}"
            )
        )
    return int(found[1]) * overrides["train.batch"] / float(found[2])


def process_counts() -> list[int]:
    """1, 2, 4, ... up to the number of GPUs, or of cores where there is none; that number itself too."""
    most = torch.cuda.device_count() or parallel.cores()
    return sorted({min(2**k, most) for k in range(most.bit_length() + 1)})


def _scaling_size(b: Bench) -> tuple[dict[str, Any], int]:
    """Configuration of the training that is launched, and rounds."""
    if b.quick:
        return {"data.train_per_class": 1, "data.val_per_class": 1, "train.batch": 12, "train.epochs": 1}, 1
    return {"data.train_per_class": 4, "data.val_per_class": 1, "train.batch": 16, "train.epochs": 3}, 3


def scaling_steps(b: Bench) -> int:
    """How many times ``scaling`` ticks."""
    return 1 + _scaling_size(b)[1] * len(process_counts())


def scaling(b: Bench) -> dict[str, Any]:
    """Clips/s of the storyboard's training on 1 to all cores (or GPUs), one thread each, and the share of N times the single process."""
    overrides, repeats = _scaling_size(b)
    profile = get_profile("storyboard", overrides)
    load_clips(profile, dataset(profile), "train")  # drawn and decoded now, not in one of the measured runs
    b.tick("videos")
    counts, rates = process_counts(), {}
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as folder:
        for _ in range(repeats):
            for n in counts:
                rates.setdefault(n, []).append(launch(n, overrides, Path(folder) / f"{n}.safetensors"))
                b.tick(f"{n} processes")
    rows = [
        {
            "processes": n,
            "clips_per_second": summary(rates[n]),
            "speed_ratio": (found := ratio(rates[n], rates[1])),
            "efficiency": rounded(found["median"] / n),
        }
        for n in counts
    ]
    return {"device": b.device.type, "overrides": overrides, "threads_each": 1, "rows": rows, "targets": []}
