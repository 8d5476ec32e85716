"""Reader of UCF-101 with its official lists (UCF101TrainTestSplits-RecognitionTask.zip).

classInd.txt            "1 ApplyEyeMakeup", numbers from 1
trainlist0{1,2,3}.txt   "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
testlist0{1,2,3}.txt    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
                        in root/, root/ucfTrainTestlist/ or root/annotations/
<Class>/v_*.avi         in root/UCF-101/, root/videos/, root/rawframes/ or root/, or without <Class>/; or folders
                        <Class>/v_*/ of extracted frames
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sfar.data.disk import data_root, find_list, join, stem, text_lines, unquoted
from sfar.data.finding import class_folders, others
from sfar.data.labels import words
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val", "all")
FOLDS = (1, 2, 3)
LISTS = ("", "ucfTrainTestlist", "annotations")
VIDEOS = ("UCF-101", "videos", "rawframes", "")
_NUMBER = re.compile(r"[0-9]{1,9}")  # of a class; Python reads no number of thousands of digits


@dataclass(frozen=True)
class _Row:
    label: int
    path: str  # "<Class>/<file>" as listed
    where: str

    @property
    def key(self) -> tuple[int, str]:
        return self.label, stem(self.path.split("/")[1]).casefold()


def read_ucf101(root: str | Path, split: str, fold: int = 1) -> Manifest:
    """Split "train", "val" or "all" under ``root``.

    "val": the official test list. "all": both lists, so all videos, as BIKE's zero-shot evaluation takes them.
    Classes are in the order of classInd.txt, CamelCase turned to words (``labels.words``). Capital letters of folders
    and files do not matter: the class is HandstandPushups, its videos are called v_HandStandPushups_*, and copies
    differ.

    Raises ConfigError for an unknown split or fold. DataError naming file and line: no root, no list, a bad class
    index, a class that it does not have, a number that is not the class's, a path that leaves the root, a video listed
    twice or in both lists; and where none of the listed videos is on disk.
    """
    if split not in SPLITS:
        raise ConfigError(
            f'unknown UCF-101 split {split!r}: expected one of {", ".join(SPLITS)} (the official test list is "val")'
        )
    if fold not in FOLDS:
        raise ConfigError(f"unknown fold {fold!r} of UCF-101: expected 1, 2 or 3")
    root = data_root(
        root,
        "ucf101",
        "ucfTrainTestlist/classInd.txt, trainlist01.txt, testlist01.txt and the videos in UCF-101/<Class>/",
    )
    names = _class_names(find_list(root, LISTS, ("classInd.txt",), "ucf101"))
    number = {name.casefold(): k for k, name in enumerate(names)}
    train = _read_list(find_list(root, LISTS, (f"trainlist0{fold}.txt",), "ucf101"), number, True)
    test = _read_list(find_list(root, LISTS, (f"testlist0{fold}.txt",), "ucf101"), number, False)
    for key in train.keys() & test.keys():
        raise DataError(
            f"{test[key].where}: {test[key].path} is a training video too ({train[key].where}); "
            "take both lists from the same release"
        )
    rows = {"train": train, "val": test, "all": train | test}[split]

    found, home = class_folders(root, VIDEOS, number, train.keys() | test.keys(), str.casefold)
    clips, missing = [], []
    for key, row in rows.items():
        if path := found.paths.get(key):
            clips.append(Clip(path, row.label, stem(row.path.split("/")[1])))
        else:
            missing.append(join(home, row.path))
    if not clips:
        raise LayoutError(
            f"{root}: none of the {len(rows)} listed videos is there (expected for instance {missing[0]}); "
            f"{others(found)}: check the layout and the names (`sfar data layout ucf101`)"
        )
    return Manifest(
        "ucf101",
        split,
        root,
        tuple(words(n) for n in names),
        tuple(clips),
        tuple(missing),
        found.unnamed(train.keys() | test.keys()),
        found.notes(),
    )


def _class_names(path: Path) -> list[str]:
    """CamelCase names in the order of their numbers."""
    names: dict[int, str] = {}
    seen: dict[str, int] = {}
    for line, text in text_lines(path):
        first, name = text.split(None, 1) if len(text.split()) > 1 else (text, "")
        if not (_NUMBER.fullmatch(first) and name) or "/" in inside(f"{path} line {line}", name):
            raise DataError(
                f"{path} line {line}: {text!r} is not a number and a class name; "
                'expected for instance "1 ApplyEyeMakeup"'
            )
        if int(first) in names or words(name) in seen:
            raise DataError(
                f"{path} line {line}: {text!r}: the number or the class is listed already; keep one of them"
            )
        names[int(first)] = name
        seen[words(name)] = line
    if sorted(names) != list(range(1, len(names) + 1)):
        lacking = next(k for k in range(1, len(names) + 1) if k not in names)
        raise DataError(
            f"{path}: has {len(names)} classes and no number {lacking}; expected all numbers from 1; download it again"
        )
    return [names[k] for k in sorted(names)]


def _read_list(path: Path, number: dict[str, int], numbered: bool) -> dict[tuple[int, str], _Row]:
    """Rows in the order of the list.

    ``numbered``: the class number is needed (train lists); elsewhere it is only compared.
    """
    rows: dict[tuple[int, str], _Row] = {}
    for line, text in text_lines(path):
        where = f"{path} line {line}"
        name, last = text.rsplit(None, 1) if len(text.split()) > 1 else (text, "")
        if not _NUMBER.fullmatch(last):
            name, last = text, ""
        relative = inside(where, unquoted(name))
        parts = relative.split("/")
        if len(parts) != 2:
            raise DataError(f"{where}: {name!r} is not <Class>/<file>; correct or remove the line")
        label = number.get(parts[0].casefold())
        if label is None:
            raise DataError(f"{where}: classInd.txt has no class {parts[0]!r}; take all lists from the same release")
        if numbered and not last:
            raise DataError(f'{where}: {text!r} has no class number; expected "{relative} {label + 1}"')
        if last and int(last) != label + 1:
            raise DataError(
                f"{where}: class number {last} where classInd.txt has {label + 1} for {parts[0]}; "
                "take all lists from the same release"
            )
        row = _Row(label, relative, where)
        if row.key in rows:
            raise DataError(f"{where}: {relative} is listed already ({rows[row.key].where}); keep one of them")
        rows[row.key] = row
    return rows
