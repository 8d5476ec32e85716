"""Clips for training and evaluation: which videos there are, and 8 frames of one as a tensor.

Sets that fit on the disk are decoded once into one file and mapped (``StoredClips``); others are read on demand
(``VideoClips``).
Both give the same frames. A video that cannot be decoded is left out, named and counted; none is ever replaced.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sfar.data.manifest import Clip, Manifest
from sfar.data.video import decoder, frame_at, probe, read_all, read_frames, scaled_size
from sfar.data.watchdog import guarded
from sfar.errors import PASSING, DataError, VideoError
from sfar.util import processes

Sampler = Callable[[int], np.ndarray | Sequence[int]]  # number of frames -> indices
SAMPLE = 32  # videos of a list whose sizes stand for all
EVERY_CLASS = ("train",)  # splits in which every class needs a readable clip


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

        The leading axes are those of the indices. Only clips read on demand can still fail: ``VideoError`` for a
        picture that cannot be decoded, ``DataError`` where the system does not give the file, which says nothing of
        the video: a result without it would be of another list.
        """
        index = np.asarray(sampler(self.lengths[i]))
        try:
            frames = self._frames(i, index.reshape(-1) + self.first[i])
        except VideoError as e:
            if e.kind == "unreadable":
                raise DataError(str(e)) from e
            raise
        return torch.from_numpy(frames).unflatten(0, index.shape)

    def leave_out(self, found: Mapping[int, str], max_share: float) -> None:
        """Take clips that turned out damaged off the list.

        ``found``: number of the clip -> why. Raises ``DataError`` (see ``check_bad``).
        """
        self.bad |= {self.paths[i]: why for i, why in found.items()}
        for column in (self.labels, self.sets, self.paths, self.first, self.lengths):
            for i in sorted(found, reverse=True):
                del column[i]
        check_bad(self, max_share)

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


def _try(job: tuple[str, int, bool, bool, str]) -> tuple[dict[str, Any], np.ndarray | None]:
    path, short_side, decode, timed, reader = job
    try:
        info = guarded(probe, path, reader, warm=(decoder, reader))
        frames = guarded(read_all, path, short_side, reader) if decode else None
    except VideoError as e:
        return {"error": str(e), "kind": e.kind}, None
    # Time stamps are many, and asked for by parts of videos alone.
    times = {"times": info.times} if timed and info.times else {}
    return {"frames": info.frames, "fps": info.fps, **times}, frames


def examine(
    manifest: Manifest,
    short_side: int,
    folder: Path,
    decode: bool,
    workers: int | None = None,
    reader: str = "auto",
    earlier: Path | None = None,
) -> None:
    """Look once at every video that ``manifest`` names, side by side.

    ``folder`` gets ``index.json`` (frames, rate, or what is wrong) and, with ``decode``, all pixels in ``frames.bin``.
    ``reader``: ``data.reader``. ``earlier``: a folder of the same look, of which all is taken over but what was wrong
    for the moment (``again``). Raises ``ConfigError`` for a reader that is not known or not installed.
    """
    decoder(reader)
    videos: dict[str, Any] = read_index(earlier)["videos"] if earlier else {}
    todo = again(videos) if earlier else list(dict.fromkeys(c.path for c in manifest.clips))
    timed = any(c.start is not None for c in manifest.clips)
    jobs = [(str(manifest.root / p), short_side, decode, timed, reader) for p in todo]
    what = f"{'decoding' if decode else 'probing'} {manifest.name} {manifest.split}"
    if earlier:
        shutil.copyfile(earlier / "frames.bin", folder / "frames.bin")
    with processes.pool(workers) as pool, open(folder / "frames.bin", "ab") as f:
        looks = tqdm(
            pool.imap(_try, jobs, chunksize=8), total=len(jobs), desc=what, unit="video", disable=processes.inside()
        )
        for path, (found, frames) in zip(todo, looks, strict=True):
            videos[path] = found
            if frames is not None:
                found["where"] = (f.tell(), *frames.shape[:3])
                f.write(frames.tobytes())
    (folder / "index.json").write_text(json.dumps({"decoded": decode, "videos": videos}), encoding="utf-8")


def decoded_bytes(manifest: Manifest, short_side: int, reader: str = "auto") -> float:
    """About what ``examine`` would write of decoded pixels: the mean of ``SAMPLE`` videos, times how many are named.

    They are opened here, at even distances through the list; those that cannot be opened count for nothing.
    """
    named = list(dict.fromkeys(c.path for c in manifest.clips))
    chosen = [named[i] for i in sorted(set(np.linspace(0, len(named) - 1, SAMPLE).astype(int)))] if named else []
    found = []
    for path in chosen:
        try:
            info = guarded(probe, str(manifest.root / path), reader, warm=(decoder, reader))
        except VideoError:  # named by ``examine``
            continue
        found.append(3 * info.frames * math.prod(scaled_size(info, short_side)))
    return len(named) * sum(found) / max(1, len(found))


def read_index(folder: Path) -> dict[str, Any]:
    """What ``examine`` wrote: ``decoded``, and ``videos``: path -> what was found."""
    return json.loads((folder / "index.json").read_text(encoding="utf-8"))


def again(videos: dict[str, Any]) -> list[str]:
    """Of ``read_index``'s videos those that were refused for the moment, and not for what is in them."""
    return [path for path, found in videos.items() if found.get("kind") in PASSING]


def _part(clip: Clip, frames: int, fps: float, times: Sequence[float] | None = None) -> tuple[int, int]:
    """First frame and number of frames, at least one, of a clip in its video.

    By the frames' time stamps where the rate varies (``times``), else seconds times the rate (BIKE
    datasets/charades.py). Raises ``VideoError``: no rate, or a part behind the last frame.
    """
    if clip.start is None:
        return 0, frames
    if fps <= 0 and not times:
        raise VideoError(f"{clip.path}: its frame rate is not known, so {clip.start:g} s cannot be found in it")
    first, length = frame_at(clip.start, fps, times), times[-1] if times else frames / fps
    if first >= frames:
        raise VideoError(
            f"{clip.path}: the part from {clip.start:g} s begins after its end ({frames} frames, {length:.2f} "
            "s); check the list and the file"
        )
    end = frames if clip.end is None else min(frames, frame_at(clip.end, fps, times))
    return first, max(1, end - first)


def clips_of(
    manifest: Manifest, short_side: int, folder: Path, max_bad_share: float, reader: str = "auto"
) -> VideoClips:
    """The clips of ``manifest``, whose videos ``examine`` has looked at into ``folder`` with the same ``reader``.

    It may have looked for a manifest that names more. Raises ``DataError`` (see ``check_bad``), and where the system
    did not give a video: it can be had, and what is measured without it would be of other data.
    """
    index = read_index(folder)
    videos = index["videos"]
    named = dict.fromkeys(clip.path for clip in manifest.clips)
    if refused := [videos[p]["error"] for p in named if videos[p].get("kind") == "unreadable"]:
        raise DataError(
            f"{manifest.root}: {len(refused)} of {len(named)} {manifest.split} videos are not given by the system. "
            f"Mend that and run the same command again. The first: {'; '.join(refused[:5])}"
        )
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
            first, length = _part(clip, v["frames"], v["fps"] or manifest.frame_rate, v.get("times"))
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
