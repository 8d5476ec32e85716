"""Writes the storyboard world to disk as real videos in the layout of a real data set, with the truth beside it."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from tqdm import tqdm

from sfar.storyboard import world
from sfar.storyboard.knobs import PLAIN, Knobs, script
from sfar.storyboard.scripts import KINETICS
from sfar.util import processes

CRF, PRESET = "20", "veryfast"


def encode_h264(path: Path, frames: np.ndarray, fps: int) -> None:
    """Write frames, uint8 [n, height, width, 3], as H.264 in .mp4.

    One thread, so the same frames give the same bytes. ``fps``: frames per second.
    """
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.options = {"crf": CRF, "preset": PRESET, "threads": "1", "g": "24"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def video_id(seed: int, split: str, activity: str, index: int) -> str:
    """An 11-character id that looks like a YouTube id and depends on nothing but what the video is drawn from."""
    raw = hashlib.sha256(f"{seed}/{split}/{activity}/{index}".encode()).digest()
    return base64.urlsafe_b64encode(raw)[:11].decode()


def shown(board: world.Storyboard) -> dict[str, Any]:
    """What ``truth.json`` says of a storyboard; a segment is (action, frames, relevant)."""
    return {
        "fps": board.fps,
        "frames": board.frames,
        "irrelevant": round(board.irrelevant, 4),
        "segments": [[s.action, s.frames, s.relevant] for s in board.segments],
    }


def draw_videos(
    write: Callable[[tuple], dict[str, Any]], jobs: list[tuple], workers: int | None
) -> list[dict[str, Any]]:
    """``write(job)`` for each of ``jobs``, in their order: rows of ``truth.json``.

    ``workers``: processes (None: one per core).
    """
    with processes.pool(workers) as pool:
        return list(
            tqdm(
                pool.imap(write, jobs, chunksize=8),
                total=len(jobs),
                desc="drawing videos",
                unit="video",
                disable=processes.inside(),
            )
        )


def write_truth(
    root: Path, seed: int, rows: list[dict[str, Any]], classes: Iterable[str] = (), knobs: Knobs = PLAIN
) -> None:
    """Write ``truth.json``: the seed and what each video shows; of a turned world the knobs and scripts as well."""
    turned = {"knobs": knobs.turned, "scripts": {c: script(c, knobs) for c in classes}} if knobs.turned else {}
    (root / "truth.json").write_text(
        json.dumps({"seed": seed, **turned, "videos": {r["video"]: r for r in rows}}), encoding="utf-8"
    )


def truth(root: Path) -> dict[str, dict[str, Any]]:
    """What each video shows, by its path in the data set: for measuring only, no model ever sees it."""
    return json.loads((root / "truth.json").read_text(encoding="utf-8"))["videos"]


def _write_one(job: tuple[str, int, str, str, int, Knobs]) -> dict[str, Any]:
    folder, seed, split, activity, index, knobs = job
    # Train and validation videos come from different indices of the same seed: they are never the same storyboard.
    rng = world.video_rng(seed, activity, index + (0 if split == "train" else 100_000))
    board = world.draw_storyboard(activity, rng, knobs)
    frames = world.render_storyboard(board, rng)
    seconds, start = math.ceil(board.frames / board.fps), int(rng.integers(0, 300))
    vid = video_id(seed, split, activity, index)
    name = f"{vid}_{start:06d}_{start + seconds:06d}.mp4"
    encode_h264(Path(folder) / split / name, frames, board.fps)
    return {
        "video": f"{split}/{name}",
        "split": split,
        "label": activity,
        "youtube_id": vid,
        "time_start": start,
        "time_end": start + seconds,
        **shown(board),
    }


def write_kinetics(
    root: Path,
    seed: int,
    train_per_class: int,
    val_per_class: int,
    classes: tuple[str, ...] = tuple(KINETICS),
    workers: int | None = None,
    knobs: Knobs = PLAIN,
) -> None:
    """Write the Kinetics-like set: ``train/``, ``val/``, ``annotations/{train,val}.csv`` and ``truth.json``.

    The same seed gives the same frames on any machine, and the same file hashes on the same encoder version.
    ``workers``: processes (None: one per core); ``knobs``: what is turned, here and in the writers of ``sets.py``.
    """
    for split in ("train", "val"):
        (root / split).mkdir(parents=True, exist_ok=True)
    jobs = [
        (str(root), seed, split, c, i, knobs)
        for split, n in (("train", train_per_class), ("val", val_per_class))
        for c in classes
        for i in range(n)
    ]
    rows = draw_videos(_write_one, jobs, workers)
    (root / "annotations").mkdir(exist_ok=True)
    for split in ("train", "val"):
        with open(root / "annotations" / f"{split}.csv", "w", newline="", encoding="utf-8") as f:
            w = csv.writer(f)
            w.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            w.writerows(
                [r["label"], r["youtube_id"], r["time_start"], r["time_end"], r["split"]]
                for r in rows
                if r["split"] == split
            )
    write_truth(root, seed, rows, classes, knobs)
