"""Clips for training and evaluation: which videos there are, and 8 frames of one as a tensor.

Small sets are decoded once into one file and mapped (``StoredClips``); large ones are read on demand (``VideoClips``).
Both give the same frames. A video that cannot be decoded is left out, named and counted; none is ever replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sfar import parallel
from sfar.data.kinetics import Manifest
from sfar.data.video import probe, read_all, read_frames
from sfar.errors import DataError, VideoError

Sampler = Callable[[int], np.ndarray]  # number of frames -> indices


@dataclass
class VideoClips:
    """The readable videos of a manifest, decoded on demand. ``bad``: path -> why it was left out."""

    manifest: Manifest
    short_side: int
    labels: list[int]
    paths: list[str]
    lengths: list[int]
    bad: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, i: int, sampler: Sampler) -> torch.Tensor:
        """Frames of clip ``i`` at the indices that ``sampler`` picks: uint8 [..., H, W, 3], leading axes as the indices."""
        index = np.asarray(sampler(self.lengths[i]))
        frames = self._frames(i, index.reshape(-1))
        return torch.from_numpy(frames).unflatten(0, index.shape)

    def _frames(self, i: int, index: np.ndarray) -> np.ndarray:
        return read_frames(self.manifest.root / self.paths[i], index, self.short_side)


@dataclass
class StoredClips(VideoClips):
    """The same, decoded once: ``frames`` is a mapped array of all pixels, clip i at ``offsets[i]`` with ``shapes[i]``."""

    frames: np.ndarray | None = None
    offsets: list[int] = field(default_factory=list)
    shapes: list[tuple[int, int]] = field(default_factory=list)

    def _frames(self, i: int, index: np.ndarray) -> np.ndarray:
        h, w = self.shapes[i]
        n = self.lengths[i] * h * w * 3
        clip = self.frames[self.offsets[i]:self.offsets[i] + n].reshape(self.lengths[i], h, w, 3)
        return clip[index]


def _try(job: tuple[str, int, bool]) -> tuple[int, np.ndarray | None, str]:
    path, short_side, decode = job
    try:
        if decode:
            frames = read_all(path, short_side)
            return len(frames), frames, ""
        return probe(path).frames, None, ""
    except VideoError as e:
        return 0, None, str(e)


def _examine(manifest: Manifest, short_side: int, decode: bool, workers: int | None):
    """Yields (clip, length, frames or None, error) for each clip in order, decoded side by side."""
    jobs = [(str(manifest.root / c.path), short_side, decode) for c in manifest.clips]
    what = f"{'decoding' if decode else 'probing'} {manifest.split}"
    with parallel.pool(workers) as pool:
        for clip, found in zip(manifest.clips, tqdm(pool.imap(_try, jobs, chunksize=8), total=len(jobs), desc=what, unit="video")):
            yield clip, *found


def check_bad(manifest: Manifest, bad: dict[str, str], max_share: float) -> None:
    """Raise ``DataError`` when more than ``max_share`` of a split's listed videos cannot be used; it names the first ones."""
    lost = len(bad) + len(manifest.missing)
    total = len(manifest.clips) + len(manifest.missing)
    if lost > max_share * total:
        first = [*bad.values(), *(f"{p}: not on disk" for p in manifest.missing)][:5]
        raise DataError(
            f"{manifest.root}: {lost} of {total} {manifest.split} videos cannot be used ({lost / total:.1%}; data.max_bad_share allows "
            f"{max_share:.1%}). Get them again, or raise data.max_bad_share. The first: " + "; ".join(first))
    usable = {c.label for c in manifest.clips if c.path not in bad}
    if manifest.split == "train" and len(usable) < len(manifest.classes):
        lacking = [n for k, n in enumerate(manifest.classes) if k not in usable]
        raise DataError(f"{manifest.root}: no readable training video of: {', '.join(lacking[:8])}; get them again")


def video_clips(manifest: Manifest, short_side: int, max_bad_share: float, workers: int | None = None) -> VideoClips:
    """Clips read on demand; every container is probed first. Raises ``DataError`` (see ``check_bad``)."""
    out = VideoClips(manifest, short_side, [], [], [])
    for clip, length, _, error in _examine(manifest, short_side, False, workers):
        _note(out, clip, length, error)
    check_bad(manifest, out.bad, max_bad_share)
    return out


def _note(out: VideoClips, clip, length: int, error: str) -> bool:
    if error:
        out.bad[clip.path] = error
        return False
    out.labels.append(clip.label)
    out.paths.append(clip.path)
    out.lengths.append(length)
    return True


def decode_all(manifest: Manifest, short_side: int, folder: Path, workers: int | None = None) -> None:
    """Decode every video of a manifest into ``folder`` (``frames.bin`` and ``index.json``)."""
    out, offset = StoredClips(manifest, short_side, [], [], []), 0
    with open(folder / "frames.bin", "wb") as f:
        for clip, length, frames, error in _examine(manifest, short_side, True, workers):
            if _note(out, clip, length, error):
                f.write(frames.tobytes())
                out.offsets.append(offset)
                out.shapes.append(frames.shape[1:3])
                offset += frames.size
    index = {"labels": out.labels, "paths": out.paths, "lengths": out.lengths, "bad": out.bad, "offsets": out.offsets, "shapes": out.shapes}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def stored_clips(manifest: Manifest, short_side: int, folder: Path, max_bad_share: float) -> StoredClips:
    """The clips that ``decode_all`` left in ``folder``. Raises ``DataError`` (see ``check_bad``)."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    check_bad(manifest, index["bad"], max_bad_share)
    frames = np.memmap(folder / "frames.bin", np.uint8, "r") if index["paths"] else np.empty(0, np.uint8)
    return StoredClips(manifest, short_side, frames=frames, **index)
