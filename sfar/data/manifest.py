"""What every reader of a data set returns: the videos of one split, in the order of its list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from sfar.errors import DataError


@dataclass(frozen=True)
class Clip:
    """One labelled video, or one labelled part of a video.

    ``path``: relative to the manifest's root, with forward slashes; a video file, or a folder of extracted frames.
    ``label``: index of its class; of a whole multi-label video the smallest of ``labels``, -1 where it has none.
    ``video_id``: file name without ending. ``labels``: all classes of a multi-label video, ascending.
    ``start``, ``end``: seconds of a part; None for the whole video.
    """

    path: str
    label: int
    video_id: str
    labels: tuple[int, ...] = ()
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Manifest:
    """The videos of one split of one data set, in the order of its list.

    ``missing``: what the list names and the disk does not have (relative paths). ``unused``: videos of the split's
    folders that no list names. ``notes``: oddities of the lists that lose nothing but should be known. ``multi_label``:
    a clip may have any number of ``labels``. ``frame_rate``: pictures per second of extracted frames, needed where
    clips have times; 0 if not known.
    """

    name: str
    split: str
    root: Path
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    multi_label: bool = False
    frame_rate: float = 0.0


def inside(where: str, relative: str) -> str:
    """``relative`` with forward slashes if it stays below the data root, whatever system wrote it.

    Raises ``DataError``, which begins with ``where`` (file and line), for an absolute path, a drive, ``..`` or an empty
    name.
    """
    path = relative.strip().replace("\\", "/")
    parts = PurePosixPath(path).parts
    if not parts or "\0" in path or path.startswith("/") or ".." in parts or PureWindowsPath(path).drive:
        raise DataError(f"{where}: {relative!r} is not a path below the data root; correct or remove the line")
    return "/".join(parts)
