"""Reader of HMDB-51 with its official lists (test_train_splits.rar).

<class>_test_split{1,2,3}.txt   "<file>.avi 1": 1 train, 2 test, 0 in neither
                                in root/testTrainMulti_7030_splits/, root/annotations/ or root/
<class>/<file>.avi              in root/videos/, root/hmdb51_org/, root/rawframes/ or root/, or without <class>/
<class>/<file>/                 the same as a folder of extracted frames
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sfar.data.disk import data_root, join, other_root, stem, text_lines, unquoted
from sfar.data.finding import class_folders, others
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val", "all")
FOLDS = (1, 2, 3)
LISTS = ("testTrainMulti_7030_splits", "annotations", "")
VIDEOS = ("videos", "hmdb51_org", "rawframes", "")
_MARKS = {"train": ("1",), "val": ("2",), "all": ("0", "1", "2")}
_LIST = re.compile(r"([^.].*)_test_split([123])\.txt")


def read_hmdb51(root: str | Path, split: str, fold: int = 1) -> Manifest:
    """Split "train", "val" or "all" under ``root``.

    "val": marked 2, the official test videos. "all": every listed video, those marked 0 too, as BIKE's zero-shot
    evaluation takes them. Classes are the names of the lists in alphabetical order, underscores read as spaces; videos
    come class by class, in the order of the lists.

    Raises ``ConfigError`` for an unknown split or fold. ``DataError`` naming file and line: no root, no list, a class
    without the list of a fold that others have, a mark other than 0, 1, 2, a name that leaves the class's folder, a
    video listed twice; and where none of the listed videos is on disk.
    """
    if split not in SPLITS:
        raise ConfigError(
            f'unknown HMDB-51 split {split!r}: expected one of {", ".join(SPLITS)} (the official test videos are "val")'
        )
    if fold not in FOLDS:
        raise ConfigError(f"unknown fold {fold!r} of HMDB-51: expected 1, 2 or 3")
    root = data_root(
        root,
        "hmdb51",
        "testTrainMulti_7030_splits/<class>_test_split1.txt and the videos in videos/<class>/ or hmdb51_org/<class>/",
    )
    folder, classes = _lists(root, fold)
    listed: dict[tuple[int, str], tuple[str, str]] = {}
    for label, name in enumerate(classes):
        for file, mark in _read_list(folder / f"{name}_test_split{fold}.txt"):
            listed[label, stem(file)] = join(name, file), mark

    found, home = class_folders(root, VIDEOS, {name: k for k, name in enumerate(classes)}, listed.keys(), str)
    clips, missing = [], []
    for key, (relative, mark) in listed.items():
        if mark not in _MARKS[split]:
            continue
        if path := found.paths.get(key):
            clips.append(Clip(path, key[0], stem(relative.split("/")[1])))
        else:
            missing.append(join(home, relative))
    if not clips and not missing:
        raise DataError(
            f"{folder}: the lists of fold {fold} mark no video {' or '.join(_MARKS[split])} ({split}); "
            "download them again"
        )
    if not clips:
        raise LayoutError(
            f"{root}: none of the {len(missing)} listed videos is there (expected for instance {missing[0]}); "
            f"{others(found)}: check the layout and the names (`sfar data layout hmdb51`)"
        )
    return Manifest(
        "hmdb51",
        split,
        root,
        tuple(name.replace("_", " ") for name in classes),
        tuple(clips),
        tuple(missing),
        found.unnamed(listed.keys()),
        found.notes(),
    )


def _lists(root: Path, fold: int) -> tuple[Path, list[str]]:
    """The folder of the lists and the classes as they are called there, sorted."""
    for folder in (root / place for place in LISTS):
        if matches := _matches(folder):
            break
    else:
        near = other_root(root, lambda folder: any(_matches(folder / place) for place in LISTS))
        raise LayoutError(
            f"{root}: no lists; expected {LISTS[0]}/<class>_test_split{fold}.txt, or the same files in {LISTS[1]}/ or "
            f"in the folder itself{near}; `sfar data layout hmdb51` prints the whole tree"
        )
    have = {(m[1], int(m[2])) for m in matches}
    classes = sorted({name for name, _ in have})
    # A class that lacks one list would silently change the label of every class behind it.
    for f in sorted({f for _, f in have} | {fold}):
        lacking = [f"{name}_test_split{f}.txt" for name in classes if (name, f) not in have]
        if lacking:
            raise DataError(
                f"{folder}: has no {', '.join(lacking[:3])}{f' and {len(lacking) - 3} more' * (len(lacking) > 3)}, "
                f"but other lists of {'the class' if len(lacking) == 1 else 'these classes'}; "
                "unpack all of test_train_splits.rar"
            )
    return folder, classes


def _matches(folder: Path) -> list[re.Match[str]]:
    """The names of lists in a folder; none where there is no such folder."""
    return [m for n in sorted(os.listdir(folder)) if (m := _LIST.fullmatch(n))] if folder.is_dir() else []


def _read_list(path: Path) -> list[tuple[str, str]]:
    """(file, mark) of each line."""
    rows: dict[str, tuple[str, str]] = {}
    first: dict[str, int] = {}
    for line, text in text_lines(path):
        where = f"{path} line {line}"
        name, mark = text.rsplit(None, 1) if len(text.split()) > 1 else (text, "")
        if mark not in _MARKS["all"]:
            raise DataError(
                f'{where}: {text!r} does not end in 0, 1 or 2; expected "<file>.avi 1" (1 train, 2 test, 0 neither)'
            )
        file = inside(where, unquoted(name))
        if "/" in file:
            raise DataError(
                f"{where}: {name!r} is not the name of a file in the class's folder; correct or remove the line"
            )
        if (before := first.setdefault(stem(file), line)) != line:
            raise DataError(f"{where}: {file} is listed already in line {before}; keep one of them")
        rows[stem(file)] = file, mark
    return list(rows.values())
