"""What the readers of the data sets share: the lists as lines and rows, and one look at each folder of videos.

A folder is read with one ``os.scandir``: a question for each of 240,000 files takes minutes on network disks.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sfar.errors import DataError, LayoutError

VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".webm")  # in order of preference where a folder has a video twice


def data_root(root: str | Path, layout: str, expected: str) -> Path:
    """``root`` as a path.

    Raises ``LayoutError`` where it is no folder or an empty one: what was expected, and how the tree looks.
    """
    root = Path(root)
    help_ = f"`sfar data layout {layout}` prints the whole tree"
    if not root.is_dir():
        raise LayoutError(
            f"{root}: {'is a file' if root.is_file() else 'no such folder'}; "
            f"give the folder that holds {expected}; {help_}"
        )
    try:
        empty = not any(os.scandir(root))
    except OSError as e:
        raise LayoutError(f"{root}: cannot be read ({e.strerror}); check its permissions") from None
    if empty:
        raise LayoutError(f"{root}: is empty; expected {expected}; {help_}")
    return root


def join(*parts: str) -> str:
    """Parts of a relative path with forward slashes; "" stands for the root itself."""
    return "/".join(p for p in parts if p)


def find_list(root: Path, places: Sequence[str], names: Sequence[str], layout: str) -> Path:
    """The first of ``root/place/name`` that is a file. Raises ``LayoutError`` with all that was tried."""
    tried = [join(place, name) for name in names for place in places]
    for relative in tried:
        if (root / relative).is_file():
            return root / relative
    raise LayoutError(
        f"{root}: no {' or '.join(names)}; expected {' or '.join(tried)}; "
        f"`sfar data layout {layout}` prints the whole tree"
    )


def text_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list that are not blank, stripped, with their numbers from 1.

    Raises ``DataError``: not text, or no line.
    """
    try:
        # utf-8-sig: editors put a byte order mark in front. Any kind of line end is read.
        with path.open(encoding="utf-8-sig") as file:
            lines = [(n, text) for n, line in enumerate(file, 1) if (text := line.strip())]
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: is not a text file in UTF-8 ({e}); download it again") from None
    if not lines:
        raise DataError(f"{path}: has no lines; download it again")
    return lines


def csv_rows(path: Path, columns: Sequence[str], others: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a csv file with a header: (line number, stripped text of each of ``columns``).

    The line is the row's last one, where quoted fields have several. ``others``: what else the header may have, for
    the message. Raises ``DataError``: a column is missing in the header or in a row, no rows, no csv in UTF-8.
    """
    expected = ",".join(columns) + others
    last = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if lacking := [c for c in columns if c not in (reader.fieldnames or ())]:
                raise DataError(f"{path}: columns missing in the first line: {', '.join(lacking)}; expected {expected}")
            for fields in reader:
                last = reader.line_num
                if any(fields[c] is None for c in columns):
                    raise DataError(f"{path} line {last}: has fewer than {len(columns)} columns; expected {expected}")
                yield last, {c: fields[c].strip() for c in columns}
    except (UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path}: is not a csv file in UTF-8 ({e}); download it again") from None
    if not last:
        raise DataError(f"{path}: has no rows below the first line; download it again")


def stem(name: str) -> str:
    """A file's name without the ending of a video; any other name as it is."""
    base, ending = os.path.splitext(name)
    return base if ending.lower() in VIDEO_ENDINGS else name


def look(folder: Path) -> tuple[list[str], list[str]]:
    """Sorted names of the video files and of the folders in ``folder``, hidden ones left out.

    ([], []) where there is no such folder. Raises ``DataError`` for one that cannot be read.
    """
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):  # "._x.mp4": what macOS leaves on other systems' disks
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                # A linked file costs a question to the disk only where its name is not a video's.
                if ending in VIDEO_ENDINGS and not entry.is_dir(follow_symlinks=False):
                    files.append((VIDEO_ENDINGS.index(ending), entry.name))
                elif entry.is_dir():
                    folders.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as e:
        raise DataError(f"{folder}: cannot be read ({e.strerror}); check its permissions") from None
    return [name for _, name in sorted(files)], sorted(folders)


@dataclass
class VideoFiles:
    """What is on disk: key of a video -> path relative to the root.

    The first path of a key stays; ``twice``: (kept, left out) of video files.
    """

    paths: dict[Hashable, str] = field(default_factory=dict)
    twice: list[tuple[str, str]] = field(default_factory=list)

    def add(self, key: Hashable, path: str) -> None:
        """A video file."""
        if (kept := self.paths.setdefault(key, path)) is not path:
            self.twice.append((kept, path))

    def add_frames(self, key: Hashable, path: str) -> None:
        """A folder of extracted frames: it stands in where there is no video file, and beside one it is nothing odd."""
        self.paths.setdefault(key, path)

    def notes(self) -> tuple[str, ...]:
        """What ``Manifest.notes`` says of second copies, if there are any."""
        if not self.twice:
            return ()
        kept, left = self.twice[0]
        return (f"{len(self.twice)} video files are second copies and not read (the first: {left}; {kept} is read)",)

    def unnamed(self, listed: Collection[Hashable]) -> tuple[str, ...]:
        """Paths of what is on disk under none of the ``listed`` keys, sorted."""
        return tuple(sorted(path for key, path in self.paths.items() if key not in listed))


def class_folders(
    root: Path, places: Sequence[str], number: Mapping[str, int], key: Callable[[str], str]
) -> tuple[VideoFiles, str]:
    """The videos and folders of frames in ``root/place/<class>/`` under (class, ``key`` of the name without ending).

    ``number``: class folder in lower case -> index. ``key``: ``str``, or ``str.casefold`` where capital letters differ
    between copies. Also returns the first place that has a class folder (the first of all where none has): there a
    missing video belongs. Raises ``DataError`` for a folder that cannot be read.
    """
    found, home, frames = VideoFiles(), None, []
    for place in places:
        for name in look(root / place)[1]:
            if (label := number.get(name.casefold())) is None:
                continue
            home = place if home is None else home
            files, folders = look(root / place / name)
            for file in files:
                found.add((label, key(stem(file))), join(place, name, file))
            # <class>/<class>/ comes of unpacking an archive one folder too deep: it is no clip.
            frames += [((label, key(f)), join(place, name, f)) for f in folders if f.casefold() not in number]
    for video, path in frames:
        found.add_frames(video, path)
    return found, places[0] if home is None else home
