"""Clips for training and evaluation: which videos there are, and 8 frames of one as a tensor.

Small sets are decoded once into one file and mapped (``StoredClips``); large ones are read on demand (``VideoClips``).
Both give the same frames. A video that cannot be decoded is left out, named and counted; none is ever replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sfar.data.manifest import Clip, Manifest
from sfar.data.video import decoder, probe, read_all, read_frames
from sfar.data.watchdog import guarded
from sfar.errors import DataError, VideoError
from sfar.util import processes

Sampler = Callable[[int], np.ndarray | Sequence[int]]  # number of frames -> indices
EVERY_CLASS = ("train",)  # splits in which every class needs a readable clip
ROUNDING = 1e-3  # of a frame: "1.20" seconds at 10 frames per second is frame 12, whatever the product rounds to


@dataclass
class VideoClips:
    """The usable clips of a manifest, decoded on demand.

    Clip i is ``lengths[i]`` frames of ``paths[i]`` from frame ``first[i]``. ``labels``: class index; ``sets``: all
    classes of each clip (multi-label). ``bad``: what was left out -> why. ``reader``: ``data.reader``.
    ``short_side``: as in ``read_frames``.
    """

    manifest: Manifest
    short_side: int | None
    labels: list[int] = field(default_factory=list)
    sets: list[tuple[int, ...]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    reader: str = "auto"

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, i: int, sampler: Sampler) -> torch.Tensor:
        """Frames of clip ``i`` at the indices that ``sampler`` picks: uint8 [..., H, W, 3].

        The leading axes are those of the indices. Raises ``VideoError`` for a picture that cannot be decoded; only
        clips read on demand can still have one.
        """
        index = np.asarray(sampler(self.lengths[i]))
        frames = self._frames(i, index.reshape(-1) + self.first[i])
        return torch.from_numpy(frames).unflatten(0, index.shape)

    def _frames(self, i: int, index: np.ndarray) -> np.ndarray:
        path, warm = str(self.manifest.root / self.paths[i]), (decoder, self.reader)
        return guarded(read_frames, path, index, self.short_side, self.reader, warm=warm)


@dataclass
class StoredClips(VideoClips):
    """The same, decoded once.

    ``frames``: a mapped array of all pixels, uint8 [bytes]; ``where``: path -> (offset, frames, height, width).
    """

    frames: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    where: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)

    def _frames(self, i: int, index: np.ndarray) -> np.ndarray:
        offset, n, h, w = self.where[self.paths[i]]
        return self.frames[offset : offset + n * h * w * 3].reshape(n, h, w, 3)[index]


def _try(job: tuple[str, int, bool, str]) -> tuple[int, float, np.ndarray | None, str]:
    path, short_side, decode, reader = job
    try:
        info = guarded(probe, path, reader, warm=(decoder, reader))
        return info.frames, info.fps, guarded(read_all, path, short_side, reader) if decode else None, ""
    except VideoError as e:
        return 0, 0.0, None, str(e)


def examine(
    manifest: Manifest,
    short_side: int,
    folder: Path,
    decode: bool,
    workers: int | None = None,
    reader: str = "auto",
) -> None:
    """Look once at every video that ``manifest`` names, side by side.

    ``folder`` gets ``index.json`` (frames, rate, or what is wrong) and, with ``decode``, all pixels in ``frames.bin``.
    ``reader``: ``data.reader``. Raises ``ConfigError`` for a reader that is not known or not installed.
    """
    decoder(reader)
    paths = list(dict.fromkeys(c.path for c in manifest.clips))
    jobs = [(str(manifest.root / p), short_side, decode, reader) for p in paths]
    what = f"{'decoding' if decode else 'probing'} {manifest.name} {manifest.split}"
    videos: dict[str, Any] = {}
    offset = 0
    with processes.pool(workers) as pool, open(folder / "frames.bin", "wb") as f:
        looks = tqdm(
            pool.imap(_try, jobs, chunksize=8), total=len(jobs), desc=what, unit="video", disable=processes.inside()
        )
        for path, (n, fps, frames, error) in zip(paths, looks, strict=True):
            videos[path] = {"error": error} if error else {"frames": n, "fps": fps}
            if frames is not None:
                f.write(frames.tobytes())
                videos[path]["where"] = (offset, *frames.shape[:3])
                offset += frames.size
    (folder / "index.json").write_text(json.dumps({"decoded": decode, "videos": videos}), encoding="utf-8")


def _part(clip: Clip, frames: int, fps: float) -> tuple[int, int]:
    """First frame and number of frames, at least one, of a clip in its video.

    Seconds times the rate (BIKE datasets/charades.py). Raises ``VideoError``: no rate, or a part behind the last frame.
    """
    if clip.start is None:
        return 0, frames
    if fps <= 0:
        raise VideoError(f"{clip.path}: its frame rate is not known, so {clip.start:g} s cannot be found in it")
    first = int(clip.start * fps + ROUNDING)
    if first >= frames:
        raise VideoError(
            f"{clip.path}: the part from {clip.start:g} s begins after its end ({frames} frames, {frames / fps:.2f} "
            "s); check the list and the file"
        )
    end = clip.end if clip.end is not None else frames / fps
    return first, max(1, min(frames, int(end * fps + ROUNDING)) - first)


def clips_of(
    manifest: Manifest, short_side: int, folder: Path, max_bad_share: float, reader: str = "auto"
) -> VideoClips:
    """The clips of ``manifest``, whose videos ``examine`` has looked at into ``folder`` with the same ``reader``.

    It may have looked for a manifest that names more. Raises ``DataError`` (see ``check_bad``).
    """
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    videos = index["videos"]
    out = VideoClips(manifest, short_side, reader=reader)
    if index["decoded"]:
        pixels = folder / "frames.bin"
        out = StoredClips(
            manifest,
            short_side,
            reader=reader,
            frames=np.memmap(pixels, np.uint8, "r") if pixels.stat().st_size else np.empty(0, np.uint8),
            where={p: tuple(v["where"]) for p, v in videos.items() if "where" in v},
        )
    for clip in manifest.clips:
        v = videos[clip.path]
        try:
            if "error" in v:
                raise VideoError(v["error"])
            first, length = _part(clip, v["frames"], v["fps"] or manifest.frame_rate)
        except VideoError as e:
            out.bad[clip.path if "error" in v else f"{clip.path} from {clip.start:g} s"] = str(e)
            continue
        out.labels.append(clip.label)
        out.sets.append(clip.labels)
        out.paths.append(clip.path)
        out.first.append(first)
        out.lengths.append(length)
    check_bad(out, max_bad_share)
    return out


def check_bad(clips: VideoClips, max_share: float, found_later: Iterable[int] = ()) -> None:
    """Raise ``DataError`` when more than ``max_share`` of a split's listed videos cannot be used.

    It names the first ones. ``found_later``: clips (by number) that turned out damaged while they were read; they are
    in ``clips.bad`` too.
    """
    m, later = clips.manifest, set(found_later)
    if not m.clips and not m.missing:
        raise DataError(f"{m.root}: no {m.split} video is listed; give a list or a folder that has some")
    total = len({c.path for c in m.clips}) + len(m.missing)  # videos: a list of timed actions names one many times
    lost = total - len({p for i, p in enumerate(clips.paths) if i not in later})
    if lost > max_share * total or len(clips) == len(later):
        first = [*clips.bad.values(), *(f"{p}: not on disk" for p in m.missing)][:5]
        raise DataError(
            f"{m.root}: {lost} of {total} {m.split} videos cannot be used ({lost / max(1, total):.1%}; "
            "data.max_bad_share allows "
            f"{max_share:.1%}). Get them again, or raise data.max_bad_share. The first: " + "; ".join(first)
        )
    usable = {k for i, k in enumerate(clips.labels) if i not in later}
    if m.split in EVERY_CLASS and len(usable) < len(m.classes):
        lacking = [n for k, n in enumerate(m.classes) if k not in usable]
        raise DataError(f"{m.root}: no readable training video of: {', '.join(lacking[:8])}; get them again")
