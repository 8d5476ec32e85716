"""Reader of the Kinetics-400 layout, as the CVDF copies unpack and mmaction2's or ViFi-CLIP's documents arrange it.

    root/annotations/{train,val}.csv or root/{train,val}.csv:  label,youtube_id,time_start,time_end,split[,is_cc]
    root/{train,val}/{youtube_id}_{start:06d}_{end:06d}.mp4    flat, or in one folder per class
    root/replacement/replacement_for_corrupted_k400/*.mp4      CVDF's second copies, used where the first is missing
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfar.errors import ConfigError, DataError

SPLITS = ("train", "val")
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
REPLACEMENT = "replacement/replacement_for_corrupted_k400"
# What a csv may call the split of its rows: the val list was also given out as "validate".
_SPLIT_NAMES = {"train": ("train",), "val": ("val", "validate", "validation")}


@dataclass(frozen=True)
class Clip:
    """One labelled video. ``path`` is relative to the manifest's root, with forward slashes; ``label`` indexes its
    classes; ``video_id`` is the file's name without ending, unique in the split."""

    path: str
    label: int
    video_id: str


@dataclass(frozen=True)
class Manifest:
    """The videos of one split of one data set, in the order of its list.

    ``missing``: paths (relative, flat layout) that the list names and the disk does not have. Kinetics loses videos
    year by year, so they are reported and not fatal.
    """

    name: str
    split: str
    root: Path
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    label: str
    video_id: str


def read_kinetics(root: str | Path, split: str) -> Manifest:
    """The "train" or "val" split under ``root``. Classes are the labels of the TRAIN list in alphabetical order.

    Raises DataError naming the file, row and column: no root, no list, a missing column, a bad number, a row of another
    split, the same video twice, a val label that train does not have, none of the listed videos on disk. ConfigError
    for an unknown split.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown Kinetics split {split!r}: expected one of {', '.join(SPLITS)}")
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the Kinetics csv files and videos")
    if not any(root.iterdir()):
        raise DataError(f"{root}: is empty; expected annotations/train.csv, annotations/val.csv and the folders "
                        "train/ and val/ with the videos")

    train = _read_csv(root, "train")
    rows = train if split == "train" else _read_csv(root, split)
    classes = tuple(sorted({row.label for row in train}))
    number = {name: k for k, name in enumerate(classes)}
    unknown = sorted({row.label for row in rows} - set(classes))
    if unknown:
        raise DataError(f"{_csv_path(root, split)}: labels that train.csv does not have: {', '.join(unknown)}; "
                        "take both lists from the same release")

    found = _videos(root, split)
    clips, missing = [], []
    for row in rows:
        if path := found.get(row.video_id):
            clips.append(Clip(path, number[row.label], row.video_id))
        else:
            missing.append(f"{split}/{row.video_id}.mp4")
    if not clips:
        raise DataError(f"{root / split}: none of the {len(rows)} videos of {_csv_path(root, split).name} is there "
                        f"(expected for instance {missing[0]}, or {split}/<class>/{Path(missing[0]).name}); "
                        f"{len(found)} other .mp4 files are: check the layout and the names")
    return Manifest("kinetics400", split, root, classes, tuple(clips), tuple(missing))


def _csv_path(root: Path, split: str) -> Path:
    tried = (root / "annotations" / f"{split}.csv", root / f"{split}.csv")
    for path in tried:
        if path.is_file():
            return path
    raise DataError(f"{root}: no list of the {split} split; expected {tried[0].relative_to(root).as_posix()} or "
                    f"{tried[1].name} (train.csv is always needed: it defines the classes)")


def _read_csv(root: Path, split: str) -> list[_Row]:
    path = _csv_path(root, split)
    rows: list[_Row] = []
    seen: dict[str, int] = {}
    try:
        # utf-8-sig: spreadsheet programs put a byte order mark in front of the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if lacking:
                raise DataError(f"{path}: columns missing in the first line: {', '.join(lacking)}; expected "
                                f"{','.join(COLUMNS)}[,is_cc]")
            for fields in reader:
                row = _read_row(f"{path} line {reader.line_num}", fields, split)
                if row.video_id in seen:
                    raise DataError(f"{path} line {reader.line_num}: {row.video_id} is listed already in line "
                                    f"{seen[row.video_id]}; keep one of them")
                seen[row.video_id] = reader.line_num
                rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a csv file in UTF-8 ({error}); download it again") from None
    if not rows:
        raise DataError(f"{path}: has no rows below the first line; download it again")
    return rows


def _read_row(where: str, fields: dict[str, str | None], split: str) -> _Row:
    if any(fields[c] is None for c in COLUMNS):
        raise DataError(f"{where}: has fewer than {len(COLUMNS)} columns; expected {','.join(COLUMNS)}")
    value = {c: fields[c].strip() for c in COLUMNS}
    if value["split"] not in _SPLIT_NAMES[split]:
        raise DataError(f"{where}, column split: {value['split']!r} where {split!r} was expected; "
                        "give each split its own file")
    # Some releases quote the labels twice, so that a mark is left after reading.
    label = value["label"].replace('"', "").strip()
    if not label:
        raise DataError(f"{where}, column label: is empty; expected a class name (lists without labels cannot be used)")
    youtube_id = value["youtube_id"]
    # The id becomes part of a path, which must not leave the root.
    if not youtube_id or ".." in youtube_id or any(c in youtube_id for c in "/\\\0"):
        raise DataError(f"{where}, column youtube_id: {youtube_id!r} is not a YouTube id; correct or remove the row")
    start, end = (_seconds(where, c, value[c]) for c in ("time_start", "time_end"))
    return _Row(label, f"{youtube_id}_{start:06d}_{end:06d}")


def _seconds(where: str, column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise DataError(f"{where}, column {column}: {text!r} is not a whole number of seconds; correct or remove "
                        "the row")
    return int(text)


def _videos(root: Path, split: str) -> dict[str, str]:
    """File name without ending -> path relative to the root. One look at each folder: a look for each of 240,000 files
    takes minutes on network disks. The first place wins: flat, then class folders, then the replacements."""
    found: dict[str, str] = {}
    for path in _candidates(root, split):
        found.setdefault(path.stem, path.relative_to(root).as_posix())
    return found


def _candidates(root: Path, split: str) -> Iterator[Path]:
    yield from sorted((root / split).glob("*.mp4"))
    yield from sorted((root / split).glob("*/*.mp4"))
    yield from sorted((root / REPLACEMENT).glob("*.mp4"))
