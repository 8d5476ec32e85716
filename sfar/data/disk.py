"""What the readers of the data sets share: the lists as lines and rows, and one look at each folder of videos.

A folder is read with one ``os.scandir``: a question for each of 240,000 files takes minutes on network disks. What a
command asks for several times it reads once (``once``).
"""

from __future__ import annotations

import csv
import gc
import os
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple, TypeVar

from sfar.errors import DataError, LayoutError, closed

# What tells a video by its name, in order of preference where a folder has one twice. FFmpeg opens more: where a list
# names the video, a file with any other ending counts, but for those below.
VIDEO_ENDINGS = (
    *(".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".3g2", ".ts", ".mts"),
    *(".m2ts", ".m2v", ".mp2v", ".mpe", ".mpv", ".vob", ".asf", ".divx", ".xvid", ".ogv", ".f4v", ".mxf", ".dv", ".qt"),
    *(".rm", ".rmvb", ".y4m"),
)
_RANK = {ending: rank for rank, ending in enumerate(VIDEO_ENDINGS)}
UNFINISHED = (
    *(".part", ".partial", ".ytdl", ".crdownload", ".download", ".downloading", ".opdownload", ".aria2", ".!qb"),
    *(".tmp", ".temp", ".filepart", ".incomplete", ".lock"),
)
# What lies beside videos under their names and is none: texts, pictures, sound, archives, features.
NO_VIDEO = frozenset(
    f".{ending}"
    for ending in re.findall(
        r"\w+",
        "txt csv tsv json jsonl xml yaml yml md html htm url log description nfo srt vtt ass ssa sub "
        "jpg jpeg png webp bmp tif tiff gif ppm heic avif wav mp3 m4a aac flac opus ogg oga wma "
        "zip tar gz tgz bz2 xz rar 7z md5 sha1 sha256 npy npz pt pth pkl pickle h5 hdf5 mat lmdb "
        "py sh ipynb pdf xlsx xls doc docx db ini bak swp",
    )
)
_FORMAT = re.compile(r"(?<=.)\.f\d+$")  # what yt-dlp leaves where it did not join picture and sound
SEPARATORS = (",", ";", "\t", "|")  # of csv files, as programs of several countries write them


T = TypeVar("T")
_read: ContextVar[dict[Hashable, object] | None] = ContextVar("read", default=None)


@contextmanager
def once() -> Iterator[None]:
    """In here lists and folders are taken to stay as they are: what was read is not read again (``kept``)."""
    if _read.get() is not None:  # in that of the whole command
        yield
        return
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


@contextmanager
def uncollected() -> Iterator[None]:
    """In here nobody looks for objects that hold each other: lists have none, and each search goes through all of them.

    A sixth of the time of a quarter of a million rows.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def kept(what: Hashable, read: Callable[[], T]) -> T:
    """What ``read`` gives, inside ``once`` what it gave before under the name ``what``. Errors are not kept."""
    found = _read.get()
    if found is None:
        return read()
    if what not in found:
        found[what] = read()
    return found[what]  # pyright: ignore[reportReturnType]  # under its name


def data_root(root: str | Path, layout: str, expected: str) -> Path:
    """``root`` as a path.

    Raises ``LayoutError`` where it is no folder or an empty one: what was expected, and how the tree looks.
    """
    root = Path(root)
    help_ = f"`sfar data layout {layout}` prints the whole tree"
    if not os.path.isdir(root):
        what = "is a file" if os.path.isfile(root) else absent(root).replace("file or ", "")
        raise LayoutError(f"{root}: {what}; give the folder that holds {expected}; {help_}")
    try:
        empty = not any(os.scandir(root))
    except OSError as e:
        raise LayoutError(f"{root}: cannot be read ({e.strerror}); check its permissions") from None
    if empty:
        raise LayoutError(f"{root}: is empty; expected {expected}; {help_}")
    return root


def join(*parts: str) -> str:
    """Parts of a relative path with forward slashes; "" stands for the root itself."""
    return "/".join(filter(None, parts))


def find_list(root: Path, places: Sequence[str], names: Sequence[str], layout: str) -> Path:
    """The first of ``root/place/name`` that is a file.

    Raises ``LayoutError`` with all that was tried, and with the folder beside, above or below that has one.
    """
    tried = [join(place, name) for name in names for place in places]
    for relative in tried:
        if (root / relative).is_file():
            return root / relative
    for relative in tried:
        if (root / relative).is_symlink():
            raise LayoutError(f"{root / relative}: {link(root / relative)}; make the link anew, or put the list there")
    near = other_root(root, lambda folder: any((folder / relative).is_file() for relative in tried))
    raise LayoutError(
        f"{root}: no {' or '.join(names)}; expected {' or '.join(tried)}{near}{_text_lists(root, places, names)}; "
        f"`sfar data layout {layout}` prints the whole tree"
    )


def _text_lists(root: Path, places: Sequence[str], names: Sequence[str]) -> str:
    """What to say of lists of another form where csv files are expected: mmaction2 makes such of them."""
    if not all(name.endswith(".csv") for name in names):
        return ""
    folders = [(place, root / place) for place in places if os.path.isdir(root / place)]
    seen = sorted(
        join(place, file)
        for place, folder in folders
        for file in os.listdir(folder)
        if re.search(r"list.*\.txt$", file.casefold())
    )
    if not seen:
        return ""
    return f" ({seen[0]} is there, a list of paths and numbers: it does not name the classes and is not read)"


def other_root(root: Path, has_lists: Callable[[Path], bool]) -> str:
    """What to say where ``root`` has no lists and a folder below or above it has."""
    near = [root / name for name in look(root).folders] + [root.resolve().parent]
    found = next((folder for folder in near if has_lists(folder)), None)
    return f" (they are in {found}: give that folder)" if found else ""


def text_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list that are not blank, stripped, with their numbers from 1.

    Raises ``DataError``: not text, or no line.
    """
    try:
        # utf-8-sig: editors put a byte order mark in front. Any kind of line end is read.
        with path.open(encoding="utf-8-sig") as file:
            lines = [(n, text) for n, line in enumerate(file, 1) if (text := line.strip())]
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: is not a text file in UTF-8 ({e}); save it as UTF-8, or download it again") from None
    if not lines:
        raise DataError(f"{path}: has no lines; download it again")
    return lines


def unquoted(name: str) -> str:
    """A name without the quotes around it that some lists have."""
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name


def csv_rows(
    path: Path, columns: Sequence[str], others: str = "", optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a csv file with a header: (line number, stripped text of each of ``columns``).

    The line is the row's last one, where quoted fields have several. Fields are parted by whichever of ``SEPARATORS``
    gives the header all the columns. ``others``: what else the header may have, for the message; ``optional``: columns
    that are "" where they are not there. Raises ``DataError``: a column is missing in the header or in a row, no rows,
    no csv in UTF-8.
    """
    expected = ",".join(columns) + others
    last = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = _separator(path, file.readline(), columns, expected)
            file.seek(0)
            reader = csv.reader(file, delimiter=separator, skipinitialspace=True)
            header = [c.strip() for c in next(reader)]
            at = [header.index(c) for c in columns]
            more = {c: header.index(c) if c in header else -1 for c in optional}
            furthest = max(at)
            for fields in reader:
                texts = [f.strip() for f in fields]
                if not any(texts):
                    continue
                last = reader.line_num
                if len(texts) <= furthest:
                    raise DataError(f"{path} line {last}: has fewer than {len(columns)} columns; expected {expected}")
                row = {c: texts[k] for c, k in zip(columns, at, strict=True)}
                for c, k in more.items():
                    row[c] = texts[k] if 0 <= k < len(texts) else ""
                yield last, row
    except (UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path}: is not a csv file in UTF-8 ({e}); save it as UTF-8, or download it again") from None
    if not last:
        raise DataError(f"{path}: has no rows below the first line; download it again")


def _separator(path: Path, first: str, columns: Sequence[str], expected: str) -> str:
    """What parts the fields of a csv file whose first line is ``first``. Raises ``DataError``, showing the header."""
    headers = {s: [c.strip() for row in csv.reader([first], delimiter=s) for c in row] for s in SEPARATORS}
    best = min(SEPARATORS, key=lambda s: sum(c not in headers[s] for c in columns))
    if lacking := [c for c in columns if c not in headers[best]]:
        blank = "it is blank: remove it" if first else "the file is empty"
        found = f"found is {first.strip()[:120]!r}" if first.strip() else blank
        raise DataError(
            f"{path}: columns missing in the first line: {', '.join(lacking)}; expected {expected}; {found}"
        )
    return best


def parted(name: str) -> tuple[str, str]:
    """A file's name and its ending with the dot, "" where it has none; a quarter of a million are asked for it."""
    base, dot, ending = name.rpartition(".")
    return (base, dot + ending) if base else (name, "")


def stem(name: str) -> str:
    """A file's name without the endings of a video, of which a downloader may have given it two; others as they are."""
    while "." in name:
        base, ending = parted(name)
        if ending.lower() not in _RANK:
            break
        name = base
    return name


def names_of(file: str) -> tuple[str, ...]:
    """What the video in ``file`` may be called in a list: its name without endings, the likeliest first.

    Which endings there are is FFmpeg's business: where the last one is none that is known here, the name without it is
    another candidate. So is the name without yt-dlp's mark of a format, the last one: "<id>.f137.mp4".
    """
    base, ending = parted(file)
    known = ending.lower() in _RANK
    if known and "." not in base:
        return (base,)
    names = (stem(base),) if known else (file, stem(base))[: 1 + bool(ending)]
    return (*names, *(n[: m.start()] for n in names if "." in n and (m := _FORMAT.search(n))))


def is_video(file: str) -> bool:
    """Whether a file's ending alone says that it is a video."""
    return parted(file)[1].lower() in _RANK


class Look(NamedTuple):
    """What is in a folder, hidden names left out.

    ``files`` that may be videos, in the order of preference where a video is there twice; ``folders``, sorted;
    ``dangling``: links to what is not there, and ``unfinished``: downloads on the way, both sorted.
    """

    files: list[str]
    folders: list[str]
    dangling: list[str]
    unfinished: list[str]


def look(folder: Path) -> Look:
    """One look at a folder of videos; all empty where there is no such folder.

    Raises ``DataError`` for one that cannot be read or is a link to what is not there.
    """
    out = Look([], [], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):  # "._x.mp4": what macOS leaves on other systems' disks
                    continue
                if (names := _which(entry, out)) is not None:
                    names.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(folder):
            raise DataError(f"{folder}: {link(folder)}; make the link anew, or put the folder there") from None
        return out
    except OSError as e:
        raise DataError(f"{folder}: cannot be read ({e.strerror}); check its permissions") from None
    for names in (out.folders, out.dangling, out.unfinished):
        names.sort()
    out.files.sort(key=_preference)
    return out


def _which(entry: os.DirEntry[str], out: Look) -> list[str] | None:
    """The part of ``out`` that an entry belongs to. The disk is asked about links alone."""
    try:
        if entry.is_dir():
            return out.folders
        if not entry.is_file():
            return out.dangling if entry.is_symlink() else None
    except OSError:  # a link to itself, or through a folder that must not be read
        return out.dangling
    ending = parted(entry.name)[1].lower()
    if ending in UNFINISHED or ending.startswith(".part-"):  # one fragment of several
        return out.unfinished
    return None if ending in NO_VIDEO else out.files


def _preference(file: str) -> tuple[bool, int, int, str]:
    """Known endings go first, one before two or a mark of a format, then as in ``VIDEO_ENDINGS``, then the alphabet."""
    base, ending = parted(file)
    rank = _RANK.get(ending.lower())
    if rank is None:
        return True, 0, 0, file
    return False, len(base) - len(_FORMAT.sub("", stem(base))) if "." in base else 0, rank, file


def link(path: str | Path) -> str:
    """What to say of a link to what is not there: where it leads."""
    return f"is a link to {os.readlink(path)}, which is not there"


def absent(path: str | Path) -> str:
    """What to say of a path that is not there: what the system says, where a link leads, or that there is none."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        pass
    except OSError as e:
        return f"cannot be read ({e.strerror}); {closed(e)}"
    return link(path) if os.path.islink(path) else "no such file or folder"
