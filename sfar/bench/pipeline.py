"""``sfar bench pipeline``: whether the reading of videos or the model is waited for in training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from sfar.bench import reader
from sfar.bench.inputs import BASE, FRAMES, QUICK_BASE, TINY, Bench, vit_b16
from sfar.bench.measure import BenchError, interleaved, rounded, summary
from sfar.bench.reader import VideoSet
from sfar.bench.step import Variant, make_step
from sfar.config import get_profile
from sfar.data import video
from sfar.data.manifest import Manifest
from sfar.data.store import VideoClips
from sfar.data.transforms import scale_size
from sfar.model import clip
from sfar.training.train import TrainingClips
from sfar.util import processes


class _Once:
    """A sampler whose list is changed between two passes: a video of the first is not read again in the second."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def linked_clips(files: tuple[Path, ...], number: int, short_side: int | None, folder: Path) -> VideoClips:
    """``number`` clips read on demand, each a link of its own to one of ``files``.

    So no walk over the packets is ever kept from another clip. ``short_side`` None: as stored, which a benchmark alone
    asks for.
    """
    out = VideoClips(Manifest("bench", "train", folder, ("one",), ()), short_side)
    lengths = {f: video.probe(f).frames for f in files}
    folder.mkdir()
    for i in range(number):
        f = files[i % len(files)]
        path = folder / f"{i:05d}{f.suffix}"
        path.symlink_to(f.resolve())
        out.labels.append(0)
        out.paths.append(path.name)
        out.first.append(0)
        out.lengths.append(lengths[f])
    return out


def _batch(items: list[tuple]) -> tuple[torch.Tensor | None, list[str]]:
    """Frames of a batch [videos, L, 3, size, size] and what went wrong.

    A video that was not read must not count as a quick one.
    """
    errors = [i[2] for i in items if i[0] is None]
    return None if errors else torch.stack([i[0] for i in items]), errors


def _drain(loader: DataLoader) -> None:
    for _, errors in loader:
        if errors:
            raise BenchError(f"the input pipeline could not read a video: {errors[0]}")


def loading_rate(clips: VideoClips, image_size: int, workers: int, number: int) -> float:
    """Clips/s of a DataLoader over ``number`` clips with ``workers`` processes (0: in this one).

    The workers and their guarded readers are started by a first pass over other clips. Raises ``BenchError`` when a
    video cannot be read.
    """
    profile = get_profile("storyboard", {"data.image_size": image_size})
    profile = replace(profile, train=replace(profile.train, frames=FRAMES))
    sampler = _Once()
    loader = DataLoader(
        TrainingClips(clips, profile, 0),
        2,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_batch,
    )
    warm = 2 * max(1, workers)
    sampler.items = list(range(warm))
    _drain(loader)
    sampler.items = list(range(warm, warm + number))
    seconds = interleaved({"pass": lambda: _drain(loader)}, 1, torch.device("cpu"))["pass"][0]
    return number / seconds


def _worker_counts() -> list[int]:
    most = processes.cores()
    return sorted({0, *(min(2**k, most) for k in range(most.bit_length() + 1))})


def _pipeline_size(b: Bench) -> tuple[int, int]:
    """Clips of a pass, and passes."""
    return (2, 1) if b.quick else (32, 2)


def _inputs(b: Bench, sets: list[VideoSet]) -> list[tuple[str, VideoSet, int, int | None]]:
    """(name, videos, size of the training crops, short side that the reader scales to)."""
    board, kinetics = sets[0], sets[-1]
    small = scale_size(64)
    all_of_them = [
        ("storyboard videos, 64 px", board, 64, small),
        (f"{kinetics.name}, 64 px, scaled while read", kinetics, 64, small),
        (f"{kinetics.name}, 64 px, read as stored", kinetics, 64, None),
        (f"{kinetics.name}, 224 px", kinetics, 224, scale_size(224)),
    ]
    return all_of_them[:1] if b.quick else all_of_them


def _models(b: Bench) -> list[tuple[str, dict[str, Any], int, Variant]]:
    """(name, configuration, videos of a step, switches)."""
    if b.quick:
        return [("a tiny ViT", TINY, 2, Variant())]
    half = Variant("bf16" if b.device.type == "cuda" else "fp32")
    return [
        ("storyboard CLIP", clip.storyboard_config(), 16, half),
        ("ViT-B/16", vit_b16(False), 32 if b.device.type == "cuda" else 1, half),
    ]


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 1 + len(_models(b)) + (1 if b.quick else 4) * len(_worker_counts()) * _pipeline_size(b)[1]


def run(b: Bench) -> dict[str, Any]:
    """Clips/s that the input pipeline delivers, by number of workers, and that a training step takes.

    The slower one is waited for. On a CPU both share the cores, so that neither reaches its number while the other
    runs; the ratio still says where the time goes.
    """
    number, passes = _pipeline_size(b)
    classes = QUICK_BASE["classes"] if b.quick else BASE["classes"]
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as name:
        folder = Path(name)
        sets = [reader.storyboard_videos(b, 12), *([] if b.quick else reader.drawn_sets(b, folder))]
        b.tick("videos")
        rates: dict[tuple[str, int], list[float]] = {}
        inputs, counts = _inputs(b, sets), _worker_counts()
        for k in range(passes):
            for i, (what, s, size, short) in enumerate(inputs):
                for workers in counts:
                    links = folder / f"links-{k}-{i}-{workers}"
                    clips = linked_clips(s.files, number + 2 * max(1, workers), short, links)
                    rates.setdefault((what, workers), []).append(loading_rate(clips, size, workers, number))
                    b.tick(f"{what}, {workers} workers")
    steps = []
    for model, config, videos, variant in _models(b):
        call = make_step(config, variant, videos, classes, b.device)
        call()
        times = interleaved({"step": call}, 2 if b.device.type == "cpu" else 10, b.device)["step"]
        steps.append(
            {
                "model": model,
                "image_size": config["vision_cfg"]["image_size"],
                "videos": videos,
                "precision": variant.precision,
                "clips_per_second": summary([videos / t for t in times]),
            }
        )
        b.tick(model)
    loading = [
        {
            "input": what,
            "image_size": size,
            "short_side": short,
            "workers": workers,
            "clips_per_second": summary(rates[what, workers]),
        }
        for what, _, size, short in inputs
        for workers in counts
    ]
    return {
        "device": b.device.type,
        "frames": FRAMES,
        "loading": loading,
        "steps": steps,
        "who_waits": _who_waits(loading, steps),
        "targets": [],
    }


def _who_waits(loading: list[dict[str, Any]], steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each input and model of the same image size: clips/s read over clips/s trained, and who waits.

    Read with the best number of workers.
    """
    out = []
    for s in steps:
        for what in dict.fromkeys(r["input"] for r in loading if r["image_size"] == s["image_size"] or len(steps) == 1):
            best = max((r for r in loading if r["input"] == what), key=lambda r: r["clips_per_second"]["median"])
            times = rounded(best["clips_per_second"]["median"] / s["clips_per_second"]["median"])
            out.append(
                {
                    "model": s["model"],
                    "input": what,
                    "workers": best["workers"],
                    "read_over_trained": times,
                    "waits": "the reader" if times > 1 else "the model",
                }
            )
    return out
