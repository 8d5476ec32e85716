"""Reader of a data set of one's own: a folder with a folder of videos for each class, or a csv file.

DIR/<class>/<video>.mp4           of any of the known endings; or <class>/<video>/, a folder of extracted frames
DIR/{train,val}/<class>/...       the same, with a split of one's own
FILE.csv                          path,label[,split]; paths are absolute or begin at the file's folder

Where no split is given, of each class about a fifth of the videos tests: which, says a hash of their paths, so that the
same videos give the same split on every machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sfar.config import OWN
from sfar.data.disk import Look, absent, csv_rows, data_root, is_video, join, link, look, stem
from sfar.data.finding import VideoFiles, folded
from sfar.data.labels import words
from sfar.data.manifest import Clip, Manifest
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val", "all")
FOLDS = (1, 2, 3)
PARTS = 5  # one of so many parts of a class tests
SHOWN = 5  # examples in a message
COLUMNS = ("path", "label")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".heic")
# What a folder or a row may call its split. Where both are there, "val" is tested on and "test" is left for later.
_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class _Video:
    """``label``: as it is written; ``where``: for messages; ``split``: "" where none is given."""

    path: str
    label: str
    where: str
    split: str = ""


@dataclass
class _Found:
    """What a folder or a csv file has; paths begin at ``base``."""

    base: Path
    videos: list[_Video] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_own(root: str | Path, split: str, fold: int = 1) -> Manifest:
    """Split "train", "val" or "all" of the folder or the csv file ``root``.

    Classes are in alphabetical order, their names as ``class_words`` reads them; videos in the order of their paths, or
    of the file. Where no split is given, ``fold`` 1, 2 or 3 says which fifth of every class is "val". Where one is, a
    split without videos is an empty manifest.

    Raises ``ConfigError`` for an unknown split or fold, and for a fold of a split that is given. ``DataError`` naming
    the folder, or file and line: nothing there, fewer than two classes, a class without videos or with pictures in
    their place, with one alone where a split is to be drawn, or without one to train on; folders in folders; a label
    that is spelled in two ways; a file in two classes or listed twice; a file that is not there; an unknown split.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r} of a data set of your own: expected one of {', '.join(SPLITS)}")
    if fold not in FOLDS:
        raise ConfigError(f"unknown fold {fold!r} of a data set of your own: expected 1, 2 or 3")
    root = Path(root)
    found = _from_csv(root) if os.path.isfile(root) else _from_folder(root)
    names = _class_names(root, found.videos)
    _each_once(root, found)
    classes = tuple(sorted(set(names.values())))
    if len(classes) < 2:
        raise DataError(f"{root}: has one class alone, {', '.join(map(repr, classes))}; expected two or more")
    videos, how = _split(root, found.videos, names, fold)
    number = {name: k for k, name in enumerate(classes)}
    clips = [
        Clip(v.path, number[names[v.label]], stem(PurePosixPath(v.path).name))
        for v in videos
        if v.split == split or (split == "all" and v.split in ("train", "val"))
    ]
    # Said once, of all.
    notes = (*found.notes, *_said(videos, names), *how) if split == "all" else ()
    return Manifest(OWN, split, found.base, classes, tuple(clips), (), tuple(sorted(found.unused)), notes)


def class_words(name: str) -> str:
    """The name of a class as a prompt has it, from a folder's name or a label.

    Underscores are spaces where it has none, CamelCase is taken apart where every part is a capital and small letters,
    and words that begin with a capital are written small (CLIP reads them so). Anything else stays as it is: "Tai-Chi",
    "BMX", "iPhone".
    """
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if " " not in text:
        text = " ".join(text.replace("_", " ").split()) or text
    if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", text):
        return words(text)
    return text.lower() if all(w[1:] == w[1:].lower() for w in text.split()) else text


# --- what is there -------------------------------------------------------------------------------------------------


def _from_csv(path: Path) -> _Found:
    found, lost = _Found(path.parent), []
    for line, row in csv_rows(path, COLUMNS, "[,split]", ("split",)):
        where = f"{path} line {line}"
        for column in COLUMNS:
            if not row[column]:
                raise DataError(f"{where}, column {column}: is empty; correct or remove the row")
        split = _NAMES.get(row["split"].casefold(), "")
        if row["split"] and not split:
            raise DataError(f"{where}, column split: {row['split']!r}; expected train, val or nothing")
        name = os.path.expanduser(row["path"])
        # Not ``Path.exists``, which raises for a name that is too long or in a folder that is closed.
        there = os.path.exists(found.base / name)
        if not there and os.path.exists(found.base / name.replace("\\", "/")):
            name, there = name.replace("\\", "/"), True  # written on Windows
        if not there:
            lost.append(f"{where}: {name}: {absent(found.base / name)}{_near(found.base / name)}")
        elif name.casefold().endswith(PICTURES):
            raise DataError(f"{where}: {name}: is a picture and no video; expected a video or a folder of its frames")
        found.videos.append(_Video(os.path.normpath(name).replace(os.sep, "/"), row["label"], where, split))
    if lost:
        others = len(lost) - 1
        more = f"; {others} more {'is' if others == 1 else 'are'} not there either" if others else ""
        raise DataError(f"{lost[0]}{more}; paths are absolute or begin at the folder of the file")
    if (given := [v for v in found.videos if v.split]) and len(given) < len(found.videos):
        lacking = next(v for v in found.videos if not v.split)
        raise DataError(
            f"{lacking.where}, column split: is empty, {len(given)} other rows have one; fill in all or none"
        )
    return found


def _near(path: Path) -> str:
    """The file of the same name with another ending, if there is one and the folder can be asked."""
    try:
        near = [f for f in look(path.parent).files if stem(f) == stem(path.name)]
    except DataError:  # what is wrong with the folder is said of the file already
        return ""
    return f" (there is {near[0]})" if near else ""


def _from_folder(root: Path) -> _Found:
    data_root(root, OWN, "a folder of videos for each class (or give a csv file: path,label[,split])")
    found, top = _Found(root), look(root)
    _no_lost_folder(root, "", top)
    splits = {name: _NAMES[name.casefold()] for name in top.folders if name.casefold() in _NAMES}
    videos = VideoFiles(root)
    if "train" in splits.values() and len(set(splits.values())) > 1:
        for name, split in splits.items():
            _no_lost_folder(root, name, inner := look(root / name))
            for label in inner.folders:
                found.videos += _of_class(videos, join(name, label), label, split)
        beside = [f for f in top.folders if f not in splits]
        if beside:
            found.notes.append(f"folders beside those of the splits are not read: {', '.join(beside[:SHOWN])}")
    else:
        for label in top.folders:
            found.videos += _of_class(videos, label, label, "")
    loose = [f for f in top.files if is_video(f)]
    if not found.videos:
        why = f"{len(loose)} videos lie in it, and no folder" if loose else "no folder is in it"
        raise LayoutError(
            f"{root}: {why}; expected a folder of videos for each class, {root.name}/<class>/<video>.mp4, or a csv "
            "file path,label[,split] in its place"
        )
    found.unused = loose
    found.notes += videos.notes()
    return found


def _no_lost_folder(root: Path, place: str, seen: Look) -> None:
    """Raise ``DataError`` for a link to nothing among the folders of classes: a whole class would be left out."""
    if lost := [join(place, name) for name in seen.dangling if not is_video(name)]:
        raise DataError(
            f"{root / lost[0]}: {link(root / lost[0])}: the folder of a class, or of a split, is expected there; make "
            "the link anew, or remove it"
        )


def _of_class(videos: VideoFiles, place: str, label: str, split: str) -> list[_Video]:
    """The videos and folders of frames in the folder ``place`` of a class. ``videos``: gets what is odd there."""
    root, seen = videos.root, look(videos.root / place)
    here = VideoFiles(root)
    here.add_folder(place, seen, lambda name: None, lambda name: name)
    for name in seen.folders:
        inner = look(root / place / name)
        held = [f for f in inner.files if is_video(f)]
        if len(held) == 1 and stem(held[0]) == name and not inner.folders:
            here.add(name, join(place, name, held[0]))  # a folder for each video, as some downloaders arrange
            continue
        if inner.folders or held:
            raise DataError(
                f"{root / place / name}: is a folder in the folder of class {label!r} and has videos or folders; "
                f"expected the videos in {place}/ itself: move them, or give {root / place} where that is the folder "
                "of the classes"
            )
        if _pictures(root / place / name):
            here.add_frames(name, join(place, name))
    videos.twice += here.twice
    videos.dangling += here.dangling
    videos.unfinished += here.unfinished
    if not here.paths:
        if _pictures(root / place):
            raise DataError(
                f"{root / place}: holds pictures and no video; the frames of a video belong in a folder of their own: "
                f"{place}/<video>/img_00001.jpg"
            )
        rest = "".join(f"; {s}" for s in here.not_read())
        raise DataError(f"{root / place}: class {label!r} has no video{rest}; put some there, or remove the folder")
    paths = sorted(here.paths.values())
    return [_Video(path, label, str(root / path), split) for path in paths]


def _pictures(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(e.name.casefold().endswith(PICTURES) and not e.name.startswith(".") for e in entries)


# --- what it means -------------------------------------------------------------------------------------------------


def _class_names(root: Path, videos: Iterable[_Video]) -> dict[str, str]:
    """Label as written -> name. Raises ``DataError`` for two labels that are one but for their spelling."""
    first: dict[str, _Video] = {}
    for v in videos:
        if v.label != v.label.encode("utf-8", "replace").decode("utf-8"):
            raise DataError(f"{root}: the name of class {v.label!r} is no text in UTF-8; rename the folder")
        before = first.setdefault(folded(v.label), v)
        if before.label != v.label:
            raise DataError(
                f"{root}: a label is spelled in two ways: {before.label!r} ({before.where}) and {v.label!r} "
                f"({v.where}); make them one"
            )
    return {v.label: class_words(v.label) for v in first.values()}


def _each_once(root: Path, found: _Found) -> None:
    """Raise ``DataError`` for a file that is there twice, under one name or several, links included."""
    first: dict[tuple[int, int], _Video] = {}
    for v in found.videos:
        state = os.stat(found.base / v.path)
        before = first.setdefault((state.st_dev, state.st_ino), v)
        if before is v:
            continue
        if before.label != v.label:
            what = f"is in two classes: {before.label!r} ({before.where}) and {v.label!r} ({v.where})"
        else:
            what = f"is there twice in class {v.label!r} ({before.where} and {v.where})"
        raise DataError(f"{root}: the file {v.path} {what}; keep one of them")


def _split(root: Path, videos: list[_Video], names: dict[str, str], fold: int) -> tuple[list[_Video], tuple[str, ...]]:
    """The videos with their splits, drawn where none is given, and what to say of it."""
    by_class: dict[str, list[_Video]] = defaultdict(list)
    for v in videos:
        by_class[v.label].append(v)
    if videos[0].split:
        if fold != 1:
            raise ConfigError(f"configuration key 'data.fold': {root} has a split of its own, expected 1, got {fold}")
        return _given(root, videos, by_class, names)
    if alone := [names[label] for label, own in by_class.items() if len(own) == 1]:
        raise DataError(
            f"{root}: one video alone of class {_first(alone)}; a split needs two, one to train on and one to test on: "
            "add some, remove the class, or give a csv file with a column split"
        )
    tested = set()
    for own in by_class.values():
        order = sorted(
            own, key=lambda v: hashlib.sha256(f"split\n{_plain(v.path)}".encode("utf-8", "surrogatepass")).digest()
        )
        parts = min(PARTS, len(order))
        tested |= {v.path for i, v in enumerate(order) if i % parts == (fold - 1) % parts}
    out = [replace(v, split="val" if v.path in tested else "train") for v in videos]
    said = (
        f"no split is given: of each class about a fifth of the videos tests, drawn by a hash of their paths "
        f"(data.fold={fold} of {', '.join(map(str, FOLDS))}): {len(out) - len(tested)} train, {len(tested)} test"
    )
    return out, (said,)


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _first(names: Sequence[str]) -> str:
    """The first ``SHOWN`` of these names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {more} more" if more > 0 else "")


def _given(
    root: Path, videos: list[_Video], by_class: dict[str, list[_Video]], names: dict[str, str]
) -> tuple[list[_Video], tuple[str, ...]]:
    """The videos with the splits that they have, and what to say of these; "test" stands in where there is no "val".

    Raises ``DataError`` for classes without a training video where others have some.
    """
    has = Counter(v.split for v in videos)
    notes = []
    if not has["val"]:
        videos = [replace(v, split="val") if v.split == "test" else v for v in videos]
    elif has["test"]:
        notes.append(f"{has['test']} videos of the split test are not read: val is tested on")
    if has["train"]:
        untrained = [names[k] for k, own in by_class.items() if all(v.split != "train" for v in own)]
        if untrained:
            raise DataError(f"{root}: no training video of class {_first(untrained)}; add one, or remove the class")
    tested = {names[v.label] for v in videos if v.split == "val"}
    if tested and (untested := sorted(set(names.values()) - tested)):
        notes.append(f"no test video of class {_first(untested)}")
    return videos, tuple(notes)


def _said(videos: list[_Video], names: dict[str, str]) -> list[str]:
    """The classes with their numbers of videos, and the names that are not as they are written."""
    count = Counter(names[v.label] for v in videos)
    out = [f"{len(count)} classes (videos): {', '.join(f'{n} ({k})' for n, k in sorted(count.items()))}"]
    changed = [f"{label!r} is {name!r}" for label, name in sorted(names.items()) if label != name]
    if changed:
        out.append(f"names are read as words: {', '.join(changed)}")
    return out
