"""Reader of the Kinetics-400 layout, as the CVDF copies unpack and mmaction2's or ViFi-CLIP's documents arrange it.

root/annotations/{train,val}.csv or root/{train,val}.csv:  label,youtube_id,time_start,time_end,split[,is_cc]
root/{train,val}/{youtube_id}_{start:06d}_{end:06d}.mp4    flat, or in one folder per class; .avi, .mkv and .webm too
root/{train,val}/{youtube_id}_{start:06d}_{end:06d}/       the same, as a folder of extracted frames
root/replacement/replacement_for_corrupted_k400/*.mp4      CVDF's second copies of broken videos: they take the first's
place
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sfar.data.disk import VideoFiles, csv_rows, data_root, find_list, join, look, stem
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val")
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
LISTS = ("annotations", "")
REPLACEMENT = "replacement/replacement_for_corrupted_k400"
# What a csv may call the split of its rows and itself: the val list was also given out as "validate".
_SPLIT_NAMES = {"train": ("train",), "val": ("val", "validate", "validation")}
_FILES = {"train": ("train.csv",), "val": ("val.csv", "validate.csv")}
_CLIP = re.compile(r".+_\d{6,}_\d{6,}")  # tells a folder of frames from the folder of a class
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class _Row:
    label: str
    video_id: str


def read_kinetics(root: str | Path, split: str) -> Manifest:
    """The "train" or "val" split under ``root``. Classes are the labels of the TRAIN list in alphabetical order.

    Videos are looked up flat first, then in class folders, then as folders of frames; a file in CVDF's replacement
    folder goes before all of them, as in its arrange_by_classes.py, because the first copy is broken. Missing ones are
    reported and not fatal: Kinetics loses videos year by year. ``unused`` are videos of the split's folder, not of the
    replacements, which serve all splits.

    Raises DataError naming the file, row and column: no root, no list, a missing column, a bad number, a row of another
    split, the same video twice, a val label that train does not have, none of the listed videos on disk. ConfigError
    for an unknown split, and for "test".
    """
    if split not in SPLITS:
        why = "has no labels, so that nothing can be measured on it" if split == "test" else "is unknown"
        raise ConfigError(f"the Kinetics split {split!r} {why}: expected one of {', '.join(SPLITS)}")
    root = data_root(
        root,
        "kinetics400",
        "annotations/train.csv, annotations/val.csv and the folders train/ and val/ with the videos",
    )
    train = _read_csv(root, "train")
    rows = train if split == "train" else _read_csv(root, split)
    classes = tuple(sorted({row.label for row in train}))
    number = {name: k for k, name in enumerate(classes)}
    unknown = sorted({row.label for row in rows} - set(classes))
    if unknown:
        raise DataError(
            f"{_csv_path(root, split)}: labels that train.csv does not have: {', '.join(unknown)}; "
            "take both lists from the same release"
        )

    found = _videos(root, split)
    second = {stem(name): join(REPLACEMENT, name) for name in reversed(look(root / REPLACEMENT)[0])}
    clips, missing, replaced = [], [], 0
    for row in rows:
        if path := second.get(row.video_id) or found.paths.get(row.video_id):
            clips.append(Clip(path, number[row.label], row.video_id))
            replaced += row.video_id in second and row.video_id in found.paths
        else:
            missing.append(f"{split}/{row.video_id}.mp4")
    if not clips:
        raise LayoutError(
            f"{root / split}: none of the {len(rows)} videos of {_csv_path(root, split).name} is there "
            f"(expected for instance {missing[0]}, or {split}/<class>/{Path(missing[0]).name}); "
            f"{len(found.paths)} others are: check the layout and the names (`sfar data layout kinetics400`)"
        )
    notes = found.notes()
    if replaced:
        notes += (
            f"{replaced} videos are read from {REPLACEMENT} and not from {split}/, whose copies CVDF found broken",
        )
    return Manifest(
        "kinetics400",
        split,
        root,
        classes,
        tuple(clips),
        tuple(missing),
        found.unnamed({row.video_id for row in rows}),
        notes,
    )


def _csv_path(root: Path, split: str) -> Path:
    try:
        return find_list(root, LISTS, _FILES[split], "kinetics400")
    except LayoutError as e:
        raise LayoutError(
            f"no list of the {split} split (train.csv is always needed: it defines the classes): {e}"
        ) from None


def _read_csv(root: Path, split: str) -> list[_Row]:
    path = _csv_path(root, split)
    rows: list[_Row] = []
    seen: dict[str, int] = {}
    for line, value in csv_rows(path, COLUMNS, "[,is_cc]"):
        row = _read_row(f"{path} line {line}", value, split)
        if (first := seen.setdefault(row.video_id, line)) != line:
            raise DataError(f"{path} line {line}: {row.video_id} is listed already in line {first}; keep one of them")
        rows.append(row)
    return rows


def _read_row(where: str, value: dict[str, str], split: str) -> _Row:
    if value["split"] not in _SPLIT_NAMES[split]:
        raise DataError(
            f"{where}, column split: {value['split']!r} where {split!r} was expected; give each split its own file"
        )
    # Some releases quote the labels twice, so that a mark is left after reading.
    label = value["label"].replace('"', "").strip()
    if not label:
        raise DataError(f"{where}, column label: is empty; expected a class name (lists without labels cannot be used)")
    youtube_id = value["youtube_id"]
    if not _ID.fullmatch(youtube_id):
        # Not as YouTube writes it, but copies with names of their own are let through where the name is one part of a
        # path.
        part = inside(f"{where}, column youtube_id", youtube_id)
        if part != youtube_id or "/" in part or ".." in part:
            raise DataError(
                f"{where}, column youtube_id: {youtube_id!r} is not a YouTube id; correct or remove the row"
            )
    start, end = (_seconds(where, c, value[c]) for c in ("time_start", "time_end"))
    return _Row(label, f"{youtube_id}_{start:06d}_{end:06d}")


def _seconds(where: str, column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise DataError(
            f"{where}, column {column}: {text!r} is not a whole number of seconds; correct or remove the row"
        )
    return int(text)


def _videos(root: Path, split: str) -> VideoFiles:
    """Name without ending -> path.

    Flat files first, then those of class folders, then folders of frames in the same order.
    """
    found = VideoFiles()
    files, folders = look(root / split)
    places = [(split, files, folders)]
    places += [(join(split, name), *look(root / split / name)) for name in folders if not _CLIP.fullmatch(name)]
    for place, files, _ in places:
        for name in files:
            found.add(stem(name), join(place, name))
    for place, _, folders in places:
        for name in folders:
            if _CLIP.fullmatch(name):
                found.add_frames(name, join(place, name))
    return found
