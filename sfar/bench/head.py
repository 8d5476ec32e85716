"""``sfar bench head``: SFAR's head against one that computes CLIP's whole window."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfar.bench.inputs import BASE, QUICK_BASE, Bench, random_texts
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
from sfar.bench.whole_window import WholeWindowHead, padded
from sfar.config import ModelConfig
from sfar.model.loss import info_nce
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts
from sfar.util import processes

MODES = ("forward", "forward+backward")
VARIABLES = ("videos", "classes", "frames", "subtexts", "words")
SWEEPS = {
    "videos": (8, 24, 64),
    "classes": (50, 150, 400),
    "frames": (2, 8, 16),
    "subtexts": (1, 4, 8),
    "words": (4, 8, 32),
}
WIDTH = 512  # of the joint space of ViT-B/16
QUICK_SWEEPS = {"videos": (2, 4), "classes": (6, 12), "frames": (2, 4), "subtexts": (1, 2), "words": (4, 8)}
QUICK_WIDTH = 16
SCALE, TAU = 100.0, 0.01  # OpenAI CLIP's logit scale and its inverse
# Of the logit scale, between the two heads in single precision: a temperature of 0.01 multiplies rounding errors by
# 100.
TOLERANCE = 1e-3
BASE_REPEATS, SWEEP_SECONDS = 5, 8.0  # pairs at the base point; at the others as many as fit into this time, 2 to 5
TIME_TARGET, MEMORY_TARGET = 10.0, 8.0


@dataclass
class Pair:
    """Both heads with one set of weights, and inputs of one size.

    ``frames`` [B, L, d] with gradient, ``labels`` [B], the texts ``short`` and in the ``whole`` window, the logit
    scale.
    """

    fast: SFAR
    literal: WholeWindowHead
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
        """Logits without gradients, in evaluation mode.

        What depends on the texts alone may have been kept from the last call.
        """
        self.fast.eval()
        with torch.no_grad():
            return self.logits(which)

    def step(self, which: str) -> Tensor:
        """Logits, and in training mode the gradients of the loss (Eq. 14) for the head's weights and the frames."""
        self.fast.train()
        logits = self.logits(which)
        info_nce(logits, self.labels)[0].backward()
        return logits.detach()

    def run(self, mode: str, which: str) -> Tensor:
        """What is measured: one of ``MODES``.

        Gradients are thrown away, so that the next call finds what this one found.
        """
        if mode == "forward":
            return self.forward(which)
        logits = self.step(which)
        for p in (*self.fast.parameters(), self.frames):
            p.grad = None
        return logits


def make_pair(
    size: dict[str, int],
    d: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    cfg: ModelConfig | None = None,
) -> Pair:
    """Heads of ``cfg`` (default: the chosen reading) and inputs of ``size`` (keys: ``VARIABLES``) at width ``d``.

    Both are made up from ``seed``.
    """
    torch.manual_seed(seed)
    cfg = dataclasses.replace(cfg or ModelConfig(), n_subtexts=size["subtexts"])
    fast = SFAR(d, TAU, cfg).to(device, dtype)
    g = torch.Generator().manual_seed(seed + 1)
    frames = torch.randn(size["videos"], size["frames"], d, generator=g, dtype=dtype).to(device).requires_grad_()
    labels = torch.randint(size["classes"], (size["videos"],), generator=g).to(device)
    short = random_texts(size["classes"], size["subtexts"], size["words"], d, device, seed + 2, dtype)
    return Pair(
        fast,
        WholeWindowHead(fast),
        frames,
        labels,
        short,
        padded(short),
        torch.tensor(SCALE, device=device, dtype=dtype),
    )


def difference(fast: Tensor, literal: Tensor) -> float:
    """Largest difference of two sets of logits [B, C]. Raises ``BenchError`` when they are not the same head's."""
    worst = float((fast - literal).abs().max())
    if not worst <= TOLERANCE * SCALE:
        raise BenchError(
            f"the literal head and SFAR's differ by {worst:.3g} in a logit (scale {SCALE:g}): "
            "their times must not be compared; run the tests of the model"
        )
    return worst


def measure_pair(pair: Pair, mode: str, b: Bench, what: str, repeats: int | None = None) -> dict[str, Any]:
    """Both heads at one size: seconds, bytes, their ratios (literal / fast), the largest difference of their logits."""
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
    """``resident_peak`` of one training step of a head.

    In a process that has made its inputs and a step of a tiny head before.
    """
    make_pair(QUICK_BASE, QUICK_WIDTH).step(which)  # libraries load their kernels at the first call
    pair = make_pair(size, d)
    return resident_peak(lambda: pair.step(which))


def _in_fresh_process(size: dict[str, int], d: int, which: str) -> int | None:
    with processes.Workers(1) as pool:
        return pool.result(pool.submit(resident, size, d, which))


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    sweeps = QUICK_SWEEPS if b.quick else SWEEPS
    on_cpu = b.device.type == "cpu"
    return len(MODES) * (1 + on_cpu + sum(len(x) - 1 for x in sweeps.values())) + (2 if on_cpu and not b.quick else 0)


def run(b: Bench) -> dict[str, Any]:
    """SFAR's head against the literal one.

    One variable at a time around the base, exponents of growth, and the targets at the base.
    """
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
        else "highest running sum of torch's allocations above the inputs "
        "(resident_bytes: rise of a fresh process's resident memory, forward+backward)",
        "targets": targets,
    }
