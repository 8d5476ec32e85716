"""``sfar bench head`` and ``sfar bench overhead``: SFAR's head against a literal one, and what it adds to CLIP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from sfar.bench.literal import LiteralHead, padded, random_texts
from sfar.bench.measure import (
    BenchError,
    allocated_peak,
    growth,
    interleaved,
    ratio,
    resident_peak,
    rounded,
    summary,
    target,
    without_onednn,
)
from sfar.config import ModelConfig
from sfar.model import clip as C
from sfar.model.loss import info_nce
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts
from sfar.model.video_model import VideoModel
from sfar.util import processes

MODES = ("forward", "forward+backward")
VARIABLES = ("videos", "classes", "frames", "subtexts", "words")
BASE = {
    "videos": 64,
    "classes": 400,
    "frames": 8,
    "subtexts": 4,
    "words": 8,
}  # 8 words: the mean of Kinetics-400's prompts and of their sub-texts
SWEEPS = {
    "videos": (8, 24, 64),
    "classes": (50, 150, 400),
    "frames": (2, 8, 16),
    "subtexts": (1, 4, 8),
    "words": (4, 8, 32),
}
WIDTH = 512  # of the joint space of ViT-B/16
QUICK_BASE = {"videos": 4, "classes": 6, "frames": 4, "subtexts": 2, "words": 4}
QUICK_SWEEPS = {"videos": (2, 4), "classes": (6, 12), "frames": (2, 4), "subtexts": (1, 2), "words": (4, 8)}
QUICK_WIDTH = 16
SCALE, TAU = 100.0, 0.01  # OpenAI CLIP's logit scale and its inverse
TOLERANCE = 1e-3  # of the logit scale, between the two heads in single precision: a temperature of 0.01 multiplies rounding errors by 100
BASE_REPEATS, SWEEP_SECONDS = 5, 8.0  # pairs at the base point; at the others as many as fit into this time, 2 to 5
TIME_TARGET, MEMORY_TARGET = 10.0, 8.0
OVERHEAD_TARGET = {"cpu": 2.0, "cuda": 1.0}  # percent of the time CLIP takes

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    "quick_gelu": False,
}


@dataclass
class Bench:
    """What every part is given. ``folder``: the user's own videos; ``tick(text)``: called after each measurement."""

    quick: bool = False
    folder: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    tick: Callable[[str], None] = lambda _: None


@dataclass
class Pair:
    """Both heads with one set of weights, and inputs of one size: frames [B, L, d] (with gradient), labels [B], texts short and in the whole window."""

    fast: SFAR
    literal: LiteralHead
    frames: Tensor
    labels: Tensor
    short: ClassTexts
    whole: ClassTexts
    scale: Tensor

    def logits(self, which: str) -> Tensor:
        """Logits [B, C] of the head ``which``, "fast" or "literal"."""
        if which == "fast":
            return self.fast(self.frames, self.short, self.scale).logits
        return self.literal(self.frames, self.whole, self.scale)

    def forward(self, which: str) -> Tensor:
        """Logits without gradients, in evaluation mode: what depends on the texts alone may have been kept from the last call."""
        self.fast.eval()
        with torch.no_grad():
            return self.logits(which)

    def step(self, which: str) -> Tensor:
        """Logits, and gradients of the loss (Eq. 14) for the head's weights and the frame embeddings, in training mode."""
        self.fast.train()
        logits = self.logits(which)
        info_nce(logits, self.labels)[0].backward()
        return logits.detach()

    def run(self, mode: str, which: str) -> Tensor:
        """What is measured: one of ``MODES``; gradients are thrown away, so that the next call finds what this one found."""
        if mode == "forward":
            return self.forward(which)
        logits = self.step(which)
        for p in (*self.fast.parameters(), self.frames):
            p.grad = None
        return logits


def make_pair(
    size: dict[str, int], d: int, device: torch.device | str = "cpu", seed: int = 0, dtype: torch.dtype = torch.float32
) -> Pair:
    """Heads and inputs of ``size`` (keys: ``VARIABLES``) at width ``d``, made up from ``seed``."""
    torch.manual_seed(seed)
    fast = SFAR(d, TAU, ModelConfig(n_subtexts=size["subtexts"])).to(device, dtype)
    g = torch.Generator().manual_seed(seed + 1)
    frames = torch.randn(size["videos"], size["frames"], d, generator=g, dtype=dtype).to(device).requires_grad_()
    labels = torch.randint(size["classes"], (size["videos"],), generator=g).to(device)
    short = random_texts(size["classes"], size["subtexts"], size["words"], d, device, seed + 2, dtype)
    return Pair(
        fast, LiteralHead(fast), frames, labels, short, padded(short), torch.tensor(SCALE, device=device, dtype=dtype)
    )


def difference(fast: Tensor, literal: Tensor) -> float:
    """Largest difference of two sets of logits [B, C]. Raises ``BenchError`` when they are not the same head's."""
    worst = float((fast - literal).abs().max())
    if not worst <= TOLERANCE * SCALE:
        raise BenchError(
            f"the literal head and SFAR's differ by {worst:.3g} in a logit (scale {SCALE:g}): their times must not be compared; run the tests of the model"
        )
    return worst


def measure_pair(pair: Pair, mode: str, b: Bench, what: str, repeats: int | None = None) -> dict[str, Any]:
    """Both heads at one size: seconds, bytes, their ratios (literal / fast) and the largest difference of their logits."""
    pair.run(mode, "fast")  # what is kept of the texts is made here, once
    peaks = {
        which: allocated_peak(lambda which=which: pair.run(mode, which), b.device) for which in ("fast", "literal")
    }
    worst = difference(peaks["fast"][1], peaks["literal"][1])
    nbytes = {which: peak for which, (peak, _) in peaks.items()}
    calls = {which: lambda which=which: pair.run(mode, which) for which in ("fast", "literal")}
    first = interleaved(calls, 1, b.device)
    if repeats is None:
        repeats = 2 if b.quick else max(2, min(5, int(SWEEP_SECONDS / sum(t[0] for t in first.values()))))
    more = interleaved(calls, repeats - 1, b.device)
    times = {which: t + more[which] for which, t in first.items()}
    b.tick(f"{what}, {mode}")
    return {
        "seconds": {which: summary(t) for which, t in times.items()},
        "time_ratio": ratio(times["literal"], times["fast"]),
        "bytes": nbytes,
        "memory_ratio": rounded(nbytes["literal"] / nbytes["fast"]),
        "largest_difference": rounded(worst),
    }


def resident(size: dict[str, int], d: int, which: str) -> int | None:
    """``resident_peak`` of one training step of a head, in a process that has made its inputs and a step of a tiny head before."""
    make_pair(QUICK_BASE, QUICK_WIDTH).step(which)  # libraries load their kernels at the first call
    pair = make_pair(size, d)
    return resident_peak(lambda: pair.step(which))


def _in_fresh_process(size: dict[str, int], d: int, which: str) -> int | None:
    with processes.pool(1) as pool:
        return pool.result(pool.submit(resident, size, d, which))


def head_steps(b: Bench) -> int:
    """How many times ``head`` ticks."""
    sweeps = QUICK_SWEEPS if b.quick else SWEEPS
    on_cpu = b.device.type == "cpu"
    return len(MODES) * (1 + on_cpu + sum(len(x) - 1 for x in sweeps.values())) + (2 if on_cpu and not b.quick else 0)


def head(b: Bench) -> dict[str, Any]:
    """SFAR's head against the literal one: one variable at a time around the base, growth exponents, and the targets at the base."""
    base, sweeps, d = (QUICK_BASE, QUICK_SWEEPS, QUICK_WIDTH) if b.quick else (BASE, SWEEPS, WIDTH)
    pair = make_pair(base, d, b.device)
    middle = {mode: measure_pair(pair, mode, b, "base", 2 if b.quick else BASE_REPEATS) for mode in MODES}
    same = {}
    if b.device.type == "cpu":
        with without_onednn():
            same = {
                mode: measure_pair(pair, mode, b, "base, without oneDNN", 2 if b.quick else BASE_REPEATS)["time_ratio"]
                for mode in MODES
            }
    points: dict[str, list[dict[str, Any]]] = {}
    for name in VARIABLES:
        points[name] = []
        for x in sweeps[name]:
            del pair
            pair = make_pair(base | {name: x}, d, b.device)
            found = middle if x == base[name] else {mode: measure_pair(pair, mode, b, f"{x} {name}") for mode in MODES}
            points[name].append({"x": x, **found})
    del pair
    grown = {
        mode: {
            name: {
                which: {
                    "time": growth(xs := [p["x"] for p in ps], [p[mode]["seconds"][which]["median"] for p in ps]),
                    "memory": growth(xs, [p[mode]["bytes"][which] for p in ps]),
                }
                for which in ("fast", "literal")
            }
            for name, ps in points.items()
        }
        for mode in MODES
    }
    kept = {}
    if not b.quick and b.device.type == "cpu":
        for which in ("fast", "literal"):
            kept[which] = _in_fresh_process(base, d, which)
            b.tick(f"resident memory, {which}")
    size = "B={videos}, C={classes}, L={frames}, N={subtexts}, {words} words".format(**base)
    targets = [
        t
        for mode in MODES
        for t in (
            target(
                f"literal / fast, time of {mode}, {size}", middle[mode]["time_ratio"]["median"], TIME_TARGET, True, "x"
            ),
            target(
                f"literal / fast, peak memory of {mode}, {size}", middle[mode]["memory_ratio"], MEMORY_TARGET, True, "x"
            ),
        )
    ]
    return {
        "device": b.device.type,
        "base": base,
        "width": d,
        "at_base": middle,
        "time_ratio_without_onednn": same,
        "sweeps": points,
        "growth": grown,
        "resident_bytes": kept,
        "memory_is": "torch.cuda.max_memory_allocated above the inputs"
        if b.device.type == "cuda"
        else "highest running sum of torch's allocations above the inputs (resident_bytes: rise of a fresh process's resident memory, forward+backward)",
        "targets": targets,
    }


# --- what the head adds to CLIP ------------------------------------------------------------------------------------


def vit_b16(quick: bool) -> dict[str, Any]:
    """open_clip's configuration of ViT-B/16, or a tiny one."""
    return TINY if quick else open_clip.get_model_config("ViT-B-16-quickgelu")


def video_model(config: dict[str, Any], classes: int, device: torch.device, train_visual: bool = True) -> VideoModel:
    """SFAR with random weights on a CLIP of ``config``, texts made up."""
    torch.manual_seed(0)
    clip = C.build(config)
    texts = random_texts(classes, BASE["subtexts"], BASE["words"], config["embed_dim"])
    return VideoModel("sfar", clip, texts, ModelConfig(), train_visual).to(device)


def random_clips(config: dict[str, Any], videos: int, frames: int, device: torch.device) -> Tensor:
    """Frames [videos, frames, 3, size, size] of noise, at the size that ``config`` takes."""
    size = config["vision_cfg"]["image_size"]
    return torch.randn(videos, frames, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)


def overhead_steps(b: Bench) -> int:
    """How many times ``overhead`` ticks."""
    return 3 * _rounds(b) * len(_precisions(b))


def _precisions(b: Bench) -> tuple[str, ...]:
    return ("fp32", "bf16") if b.device.type == "cuda" else ("fp32",)


def _rounds(b: Bench) -> int:
    return 2 if b.quick else 20 if b.device.type == "cuda" else 4


def overhead(b: Bench) -> dict[str, Any]:
    """Evaluation of 8 frames by SFAR with ViT-B/16 against CLIP's encoding of the same frames, 400 classes, 4 sub-texts.

    The head takes less time than two encodings differ by, so that it is timed alone as well: ``head_percent`` (head / encoding) is the
    number to believe, ``whole_percent`` (whole / encoding - 1, pairwise) shows that nothing else is hidden in the whole.
    """
    config, classes = vit_b16(b.quick), QUICK_BASE["classes"] if b.quick else BASE["classes"]
    videos = 2 if b.device.type == "cpu" else 32
    model = video_model(config, classes, b.device).eval()
    x = random_clips(config, videos, BASE["frames"], b.device)
    rows = []
    for precision in _precisions(b):
        with torch.no_grad(), torch.autocast(b.device.type, torch.bfloat16, enabled=precision == "bf16"):
            calls = {"clip": lambda: C.embed_frames(model.clip, x), "sfar": lambda: model(x)}
            v = calls["clip"]()
            calls["head"] = lambda v=v: model.from_embeddings(v)
            calls["sfar"]()  # what is kept of the texts is made here, once
            times = interleaved(
                calls, _rounds(b), b.device, lambda name, precision=precision: b.tick(f"{name}, {precision}")
            )
        percent = lambda s: {k: rounded(100 * w) if k != "n" else w for k, w in s.items()}  # noqa: E731
        rows.append(
            {
                "precision": precision,
                "seconds": {name: summary(t) for name, t in times.items()},
                "head_percent": percent(ratio(times["head"], times["clip"])),
                "whole_percent": percent(summary([s / c - 1 for s, c in zip(times["sfar"], times["clip"])])),
            }
        )
    limits = []
    for kind, limit in OVERHEAD_TARGET.items():
        value = max(r["head_percent"]["median"] for r in rows) if kind == b.device.type else None
        limits.append(
            target(f"SFAR's head / CLIP's encoding, {'CPU' if kind == 'cpu' else 'GPU'}", value, limit, False, "%")
        )
    return {
        "device": b.device.type,
        "videos": videos,
        "frames": BASE["frames"],
        "classes": classes,
        "subtexts": BASE["subtexts"],
        "image_size": config["vision_cfg"]["image_size"],
        "model": "a tiny ViT" if b.quick else "ViT-B/16, random weights",
        "rows": rows,
        "targets": limits,
    }
