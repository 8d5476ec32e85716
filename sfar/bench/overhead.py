"""``sfar bench overhead``: what SFAR's head adds to CLIP's encoding of the frames."""

from __future__ import annotations

from typing import Any

import torch

from sfar.bench.inputs import BASE, FRAMES, QUICK_BASE, Bench, random_clips, video_model, vit_b16
from sfar.bench.measure import interleaved, percent, ratio, summary, target
from sfar.model import clip

TARGET = {"cpu": 2.0, "cuda": 1.0}  # percent of the time CLIP takes


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 3 * _rounds(b) * len(_precisions(b))


def _precisions(b: Bench) -> tuple[str, ...]:
    return ("fp32", "bf16") if b.device.type == "cuda" else ("fp32",)


def _rounds(b: Bench) -> int:
    return 2 if b.quick else 20 if b.device.type == "cuda" else 4


def run(b: Bench) -> dict[str, Any]:
    """Evaluation of 8 frames by SFAR with ViT-B/16 against CLIP's encoding of them, 400 classes, 4 sub-texts.

    The head takes less time than two encodings differ by, so that it is timed alone as well: ``head_percent`` (head /
    encoding) is the number to believe, ``whole_percent`` (whole / encoding - 1, pairwise) shows that nothing else is
    hidden in the whole.
    """
    config, classes = vit_b16(b.quick), QUICK_BASE["classes"] if b.quick else BASE["classes"]
    videos = 2 if b.device.type == "cpu" else 32
    model = video_model(config, classes, b.device).eval()
    x = random_clips(config, videos, FRAMES, b.device)
    rows = []
    for precision in _precisions(b):
        with torch.no_grad(), torch.autocast(b.device.type, torch.bfloat16, enabled=precision == "bf16"):
            calls = {"clip": lambda: clip.embed_frames(model.clip, x), "sfar": lambda: model(x)}
            v = calls["clip"]()
            calls["head"] = lambda v=v: model.from_embeddings(v)
            calls["sfar"]()  # what is kept of the texts is made here, once
            times = interleaved(
                calls, _rounds(b), b.device, lambda name, precision=precision: b.tick(f"{name}, {precision}")
            )
        rows.append(
            {
                "precision": precision,
                "seconds": {name: summary(t) for name, t in times.items()},
                "head_percent": percent(ratio(times["head"], times["clip"])),
                "whole_percent": percent(
                    summary([s / c - 1 for s, c in zip(times["sfar"], times["clip"], strict=True)])
                ),
            }
        )
    limits = []
    for kind, limit in TARGET.items():
        value = max(r["head_percent"]["median"] for r in rows) if kind == b.device.type else None
        limits.append(
            target(f"SFAR's head / CLIP's encoding, {'CPU' if kind == 'cpu' else 'GPU'}", value, limit, False, "%")
        )
    return {
        "device": b.device.type,
        "videos": videos,
        "frames": FRAMES,
        "classes": classes,
        "subtexts": BASE["subtexts"],
        "image_size": config["vision_cfg"]["image_size"],
        "model": "a tiny ViT" if b.quick else "ViT-B/16, random weights",
        "rows": rows,
        "targets": limits,
    }
