"""``sfar bench step``: how fast a training step is, by precision and other switches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sfar.bench.inputs import BASE, FRAMES, QUICK_BASE, TINY, Bench, random_clips, video_model, vit_b16
from sfar.bench.measure import interleaved, ratio, rounded, summary
from sfar.model import clip
from sfar.model.cost import clip_macs
from sfar.model.loss import info_nce
from sfar.model.video_model import VideoModel
from sfar.reproduce.plan import PEAKS

# A training step is a forward pass and twice that for the gradients; what checkpointing computes again is no useful
# work.
PASSES = 3


@dataclass(frozen=True)
class Variant:
    """Switches of a training step."""

    precision: str = "fp32"  # or "bf16": autocast of the visual tower
    compiled: bool = False
    channels_last: bool = False
    checkpointed: bool = False  # activations of the visual tower computed again for the backward pass
    # Torch's choice among its fused kernels; False: the plain one, which writes the T x T matrix.
    fused_attention: bool = True


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
    """One training step of SFAR on made-up clips [videos, 8, 3, size, size]: forward, loss, backward, AdamW.

    The visual tower is trained.
    """
    model = video_model(config, classes, device).train()
    x = random_clips(config, videos, FRAMES, device)
    labels = torch.randint(classes, (videos,), generator=torch.Generator().manual_seed(1)).to(device)
    if variant.channels_last:
        model.clip.visual.to(memory_format=torch.channels_last)
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (videos, FRAMES))
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
    """FLOP/s of the best of ``repeats`` products of two ``size`` x ``size`` matrices.

    What this machine's arithmetic can reach with this library.
    """
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.matmul(a, b)  # the first call loads the kernels
    times = interleaved({"gemm": lambda: a @ b}, repeats, device)["gemm"]
    return 2 * size**3 / min(times)


def peaks(b: Bench) -> tuple[dict[str, float], str]:
    """FLOP/s at most by precision, and where the numbers are from.

    The GPU's data sheet, or products of large matrices measured now.
    """
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
    """What is measured on this device.

    On a GPU ViT-B/16 with every variant; on a CPU every variant of the storyboard's small CLIP, and one video a step of
    ViT-B/16.
    """
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
        Setting("storyboard CLIP", clip.storyboard_config(), 16, VARIANTS, 5),
        Setting("ViT-B/16", vit_b16(False), 1, two, 2),
    ]


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 1 + sum(len(s.variants) * (1 + s.repeats) for s in settings(b))


def run(b: Bench) -> dict[str, Any]:
    """Training steps/s, clips/s, useful FLOP/s and their share of the peak, for each setting and variant."""
    classes = QUICK_BASE["classes"] if b.quick else BASE["classes"]
    limit, source = peaks(b)
    b.tick("peak arithmetic")
    return {
        "device": b.device.type,
        "frames": FRAMES,
        "classes": classes,
        "peak_flops": {k: rounded(v) for k, v in limit.items()},
        "peak_is": source,
        "flops_are": f"2 x MACs of the visual tower x {PASSES} "
        "(forward and backward; recomputed activations and the head not counted)",
        "settings": [measure(s, classes, limit, b) for s in settings(b)],
        "targets": [],
    }


def measure(s: Setting, classes: int, limit: dict[str, float], b: Bench) -> dict[str, Any]:
    """One setting, all its variants in turn; ``limit``: FLOP/s at most by precision (``peaks``)."""
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
    flops = 2 * PASSES * clip_macs(s.config, FRAMES, s.config["vision_cfg"]["image_size"]) * s.videos
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
