"""``sfar bench reader`` and ``sfar bench pipeline``: how fast videos are read, and whether reading or the model waits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch.utils.data import DataLoader

from sfar.bench.head import BASE, QUICK_BASE, TINY, Bench, vit_b16
from sfar.bench.measure import BenchError, interleaved, ratio, rounded, summary, target
from sfar.bench.step import Variant, make_step
from sfar.config import get_profile
from sfar.data import video
from sfar.data.manifest import Manifest
from sfar.data.source import dataset, load_clips
from sfar.data.store import VideoClips
from sfar.data.transforms import scale_size, val_indices
from sfar.data.watchdog import guarded
from sfar.model import clip as C
from sfar.training.train import TrainingClips
from sfar.util import processes

FRAMES = BASE["frames"]
TARGET = 1.15  # of decord's bare call
ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov")
KINETICS = (300, 30, 340, 256)  # frames, rate, width, height: ten seconds as Kinetics is usually kept
QUICK_KINETICS = (24, 30, 340, 256)
GOPS = (12, 250)  # frames between key frames: an editor's, and libx264's own


@dataclass(frozen=True)
class VideoSet:
    """Videos to read. ``short_side``: what the data path asks for; None: as stored."""

    name: str
    files: tuple[Path, ...]
    short_side: int | None


# --- videos to read ------------------------------------------------------------------------------------------------


def draw_clip(path: Path, size: tuple[int, int, int, int], gop: int, seed: int) -> None:
    """A made-up H.264 clip of ``size`` (frames, rate, width, height): a textured background that pans, moving discs, grain.

    Encoded as Kinetics clips are (libx264 at CRF 23, at most ``gop`` frames between key frames); some 100 kB a second, as they have.
    """
    frames, fps, width, height = size
    rng = np.random.default_rng(seed)
    wide = np.kron(rng.normal(0, 40, ((height + 200) // 8 + 1, (width + 400) // 8 + 1, 3)), np.ones((8, 8, 1))) + 120
    wide += rng.normal(0, 6, wide.shape)  # stands still with the background
    y, x = np.mgrid[:height, :width]
    discs = rng.uniform((0, 0, 20, -3, -3, 0, 0, 0), (width, height, 50, 3, 3, 255, 255, 255), (4, 8))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "g": str(gop), "threads": "1"}
        for k in range(frames):
            dx, dy = int(200 + 190 * np.sin(k / 40)), int(100 + 90 * np.sin(k / 55))
            image = wide[dy : dy + height, dx : dx + width] + rng.normal(0, 3, (height, width, 1))
            for cx, cy, r, vx, vy, *colour in discs:
                image[(x - (cx + vx * k) % width) ** 2 + (y - (cy + vy * k) % height) ** 2 < r * r] = colour
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())


def storyboard_videos(b: Bench, number: int) -> VideoSet:
    """``number`` videos of the storyboard world, drawn once and kept in the cache."""
    size = (
        {"data.train_per_class": 1, "data.val_per_class": 1}
        if b.quick
        else {"data.train_per_class": 4, "data.val_per_class": 1}
    )  # as ``bench_step.scaling`` draws
    profile = get_profile("storyboard", size)
    clips = load_clips(profile, dataset(profile), "train")
    return VideoSet("storyboard", tuple(clips.manifest.root / p for p in clips.paths[:number]), clips.short_side)


def drawn_sets(b: Bench, folder: Path) -> list[VideoSet]:
    """Kinetics-like clips, a set for each distance of key frames, drawn into ``folder``."""
    size, number = (QUICK_KINETICS, 1) if b.quick else (KINETICS, 3)
    out = []
    for gop in GOPS:
        files = tuple(folder / f"gop{gop}-{i}.mp4" for i in range(number))
        for i, path in enumerate(files):
            draw_clip(path, size, gop, i)
        out.append(VideoSet(f"{size[0] / size[1]:.3g} s, {size[2]}x{size[3]}, GOP {gop}", files, scale_size(224)))
    return out


def own_videos(folder: Path, number: int) -> VideoSet:
    """The first ``number`` videos below a folder of the user's. Raises ``BenchError`` when there is none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    if not found:
        raise BenchError(f"no videos below {folder}: expected files that end in {', '.join(ENDINGS)}")
    return VideoSet(f"{folder.name}, {min(number, len(found))} videos", tuple(found[:number]), scale_size(224))


# --- contenders ----------------------------------------------------------------------------------------------------


def cold_frames(path: Path, indices: np.ndarray, short_side: int | None) -> np.ndarray:
    """``read_frames`` as on a video that was not looked at before: the walk over its packets is not kept from the last call."""
    video._walk.cache_clear()
    return video.read_frames(path, indices, short_side)


def decord_frames(path: Path, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Decord's bare call: frames [n, H, W, 3] of ``size`` (width, height), nothing checked."""
    decord = video._decord()
    return decord.VideoReader(str(path), width=size[0], height=size[1], num_threads=1).get_batch(indices).asnumpy()


def seek_frames(path: Path, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """PyAV without checks: for each frame a seek to the key frame before it, and decoding from there."""
    out = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        tick, start = 1 / (stream.average_rate * stream.time_base), stream.start_time or 0
        for k in indices.tolist():
            pts = start + round(k * tick)
            container.seek(pts, stream=stream)
            frame = next(f for f in container.decode(stream) if f.pts is not None and f.pts >= pts)
            out.append(_rgb(frame, size))
    return np.stack(out)


def through_frames(path: Path, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """PyAV without checks: decoding from the beginning to the last frame asked for."""
    wanted, found = set(indices.tolist()), {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for k, frame in enumerate(container.decode(stream)):
            if k in wanted:
                found[k] = _rgb(frame, size)
            if len(found) == len(wanted):
                break
    return np.stack([found[k] for k in indices.tolist()])


def _rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR", threads=1)


def contenders(path: Path, short_side: int | None) -> dict[str, Callable[[], np.ndarray]]:
    """Ways to read 8 frames of a video, by name. Those with a walk find it kept by "sfar, walk kept" alone, which follows "sfar"."""
    info = video.probe(path)
    indices = val_indices(info.frames, FRAMES)
    size = video._size(info, short_side)
    stored = (info.width, info.height)
    out: dict[str, Callable[[], np.ndarray]] = {
        "sfar": lambda: cold_frames(path, indices, short_side),
        "sfar, walk kept": lambda: video.read_frames(path, indices, short_side),
    }
    if video.decord_available():
        # Where decord misreads the scaled width it is asked for the stored one, and has less to do than the others.
        wide = stored if video._decord_misreads(size[0]) else size
        out["decord, bare"] = lambda: decord_frames(path, indices, wide)
    return out | {
        "sfar, in the guarded process": lambda: guarded(cold_frames, path, indices, short_side),
        "PyAV, seek to each": lambda: seek_frames(path, indices, size),
        "PyAV, decode through": lambda: through_frames(path, indices, size),
        "every frame (read_all)": lambda: video.read_all(path, short_side),
    }


# --- reader --------------------------------------------------------------------------------------------------------


def _reader_size(b: Bench) -> tuple[int, int]:
    """Storyboard videos (and videos of the user's folder), and rounds over each."""
    return (2, 1) if b.quick else (12, 3)


def reader_steps(b: Bench) -> int:
    """How many times ``reader`` ticks."""
    return 1 + len(GOPS) + 1 + bool(b.folder)


def reader(b: Bench) -> dict[str, Any]:
    """Seconds to read 8 frames by each contender, for each set of videos, and their ratios to decord's bare call (to PyAV's decoding
    through where there is no decord). Files are in the system's cache: the disk is not measured.
    """
    number, rounds = _reader_size(b)
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as folder:
        sets = [storyboard_videos(b, number), *drawn_sets(b, Path(folder))]
        if b.folder:
            sets.append(own_videos(b.folder, number))
        b.tick("videos")
        rows = []
        for s in sets:
            rows.append(_read_set(s, rounds))
            b.tick(s.name)
    against = "decord, bare" if video.decord_available() else "PyAV, decode through"
    targets = [
        target(
            f"sfar / {against}, {r['set']}",
            r["ratios"]["sfar"]["median"] if video.decord_available() else None,
            TARGET,
            False,
            "x",
        )
        for r in rows
    ]
    return {"device": "cpu", "frames": FRAMES, "against": against, "sets": rows, "threads": 1, "targets": targets}


def _read_set(s: VideoSet, rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {}
    for path in s.files:
        calls = contenders(path, s.short_side)
        for call in calls.values():  # files into the system's cache, libraries and the guarded process started
            call()
        for name, t in interleaved(calls, rounds, torch.device("cpu")).items():
            times.setdefault(name, []).extend(t)
    against = times.get("decord, bare") or times["PyAV, decode through"]
    info = video.probe(s.files[0])
    return {
        "set": s.name,
        "videos": len(s.files),
        "short_side": s.short_side,
        "first": {"frames": info.frames, "fps": rounded(info.fps), "width": info.width, "height": info.height},
        "bytes": int(np.mean([p.stat().st_size for p in s.files])),
        "grey_levels_off": _agreement(s),
        "milliseconds": {k: summary([1000 * x for x in t]) for k, t in times.items()},
        "ratios": {k: ratio(t, against) for k, t in times.items()},
    }


def _agreement(s: VideoSet) -> dict[str, float]:
    """Mean difference in grey levels of each contender's 8 frames of the first video from SFAR's, where they have the same size."""
    calls = contenders(s.files[0], s.short_side)
    own = calls["sfar"]().astype(np.int16)
    found = {name: call() for name, call in calls.items()}
    return {
        name: rounded(float(np.abs(x.astype(np.int16) - own).mean()))
        for name, x in found.items()
        if x.shape == own.shape
    }


# --- pipeline ------------------------------------------------------------------------------------------------------


class _Once:
    """A sampler whose list is changed between two passes: a video that was read in the first is not read again in the second."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def linked_clips(files: tuple[Path, ...], number: int, short_side: int | None, folder: Path) -> VideoClips:
    """``number`` clips read on demand, each a link of its own to one of ``files``: no walk over the packets is ever kept from another clip."""
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
    """Frames of a batch [videos, L, 3, size, size] and what went wrong: a video that was not read must not count as a quick one."""
    errors = [i[2] for i in items if i[0] is None]
    return None if errors else torch.stack([i[0] for i in items]), errors


def _drain(loader: DataLoader) -> None:
    for _, errors in loader:
        if errors:
            raise BenchError(f"the input pipeline could not read a video: {errors[0]}")


def loading_rate(clips: VideoClips, image_size: int, workers: int, number: int) -> float:
    """Clips/s of a DataLoader over ``TrainingClips`` with ``workers`` processes (0: in this one), on ``number`` clips after as many to start with.

    The workers and their guarded readers are started by a first pass over other clips. Raises ``BenchError`` when a video cannot be read.
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
        ("storyboard CLIP", C.storyboard_config(), 16, half),
        ("ViT-B/16", vit_b16(False), 32 if b.device.type == "cuda" else 1, half),
    ]


def pipeline_steps(b: Bench) -> int:
    """How many times ``pipeline`` ticks."""
    return 1 + len(_models(b)) + (1 if b.quick else 4) * len(_worker_counts()) * _pipeline_size(b)[1]


def pipeline(b: Bench) -> dict[str, Any]:
    """Clips/s that the input pipeline delivers, by number of workers, and that a training step takes: the slower one is waited for.

    On a CPU both share the cores, so that neither reaches its number while the other runs; the ratio still says where the time goes.
    """
    number, passes = _pipeline_size(b)
    classes = QUICK_BASE["classes"] if b.quick else BASE["classes"]
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as name:
        folder = Path(name)
        sets = [storyboard_videos(b, 12)] + ([] if b.quick else drawn_sets(b, folder))
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
    """For each input and model of the same image size: clips/s read by the best number of workers over clips/s trained, and who waits."""
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
