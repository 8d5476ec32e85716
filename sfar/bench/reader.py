"""``sfar bench reader``: how fast 8 frames of a video are read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from sfar.bench.inputs import FRAMES, Bench
from sfar.bench.measure import BenchError, interleaved, ratio, rounded, summary, target
from sfar.config import get_profile
from sfar.data import video
from sfar.data.source import dataset, load_clips
from sfar.data.transforms import scale_size, val_indices
from sfar.data.watchdog import guarded

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
    """A made-up H.264 clip of ``size`` (frames, rate, width, height): a background that pans, moving discs, grain.

    Encoded as Kinetics clips are (libx264 at CRF 23, at most ``gop`` frames between key frames); some 100 kB a second,
    as they have.
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
    size = {"data.train_per_class": 1 if b.quick else 4, "data.val_per_class": 1}  # as ``sfar bench scaling`` draws
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
    """``read_frames`` as on a video that was not looked at before: no walk over its packets is kept."""
    video.walk.cache_clear()
    return video.read_frames(path, indices, short_side)


def decord_frames(path: Path, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The bare call of decord: frames [n, H, W, 3] of ``size`` (width, height), nothing checked."""
    decord = video.decord_module()
    assert decord is not None, "asked for where it is there"
    return decord.VideoReader(str(path), width=size[0], height=size[1], num_threads=1).get_batch(indices).asnumpy()


def seek_frames(path: Path, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """PyAV without checks: for each frame a seek to the key frame before it, and decoding from there."""
    out = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        assert stream.average_rate is not None and stream.time_base is not None, "a file of this benchmark"
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
    """Ways to read 8 frames of a video, by name.

    A walk over the packets is kept for "sfar, walk kept" alone, which follows "sfar".
    """
    info = video.probe(path)
    indices = val_indices(info.frames, FRAMES)
    size = video.scaled_size(info, short_side)
    stored = (info.width, info.height)
    out: dict[str, Callable[[], np.ndarray]] = {
        "sfar": lambda: cold_frames(path, indices, short_side),
        "sfar, walk kept": lambda: video.read_frames(path, indices, short_side),
    }
    if video.decord_available():
        # Where decord misreads the scaled width it is asked for the stored one, and has less to do than the others.
        wide = stored if video.decord_misreads(size[0]) else size
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


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 1 + len(GOPS) + 1 + bool(b.folder)


def run(b: Bench) -> dict[str, Any]:
    """Seconds to read 8 frames by each contender, for each set of videos, and their ratios to decord's bare call.

    To PyAV's decoding through where there is no decord. Files are in the system's cache: the disk is not measured.
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
    """Mean difference in grey levels of each contender's frames of the first video from SFAR's, if sizes are equal."""
    calls = contenders(s.files[0], s.short_side)
    own = calls["sfar"]().astype(np.int16)
    found = {name: call() for name, call in calls.items()}
    return {
        name: rounded(float(np.abs(x.astype(np.int16) - own).mean()))
        for name, x in found.items()
        if x.shape == own.shape
    }
