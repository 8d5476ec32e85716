"""Reader of the Kinetics-400 layout, as the CVDF copies unpack and mmaction2's or ViFi-CLIP's documents arrange it.

root/annotations/{train,val}.csv or root/{train,val}.csv:  label,youtube_id,time_start,time_end,split[,is_cc];
                                                           mmaction2 calls them kinetics_{train,val}.csv
root/{train,val}/{youtube_id}_{start:06d}_{end:06d}.mp4    flat, or in one folder per class; of any ending; also
                                                           {youtube_id}.mp4, where the list has the id once
root/{train,val}/{youtube_id}_{start:06d}_{end:06d}/       the same, as a folder of extracted frames
root/{videos,rawframes}_{train,val}/                       mmaction2's names of these folders; {train,val}_256/ too
root/replacement/replacement_for_corrupted_k400/*.mp4      CVDF's second copies of broken videos: they take the first's
                                                           place, in any folder replacement*/ and one below it
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sfar.config import OWN
from sfar.data.disk import csv_rows, data_root, find_list, join, kept, look
from sfar.data.finding import VideoFiles, elsewhere, others
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val")
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
LISTS = ("annotations", "", "kinetics400")
REPLACEMENT = "replacement"  # how the name of the folder begins
# What a csv may call the split of its rows and itself: the val list was also given out as "validate".
_SPLIT_NAMES = {"train": ("train",), "val": ("val", "validate", "validation")}
_FILES = {
    "train": ("train.csv", "kinetics_train.csv", "kinetics400_train.csv"),
    "val": ("val.csv", "validate.csv", "kinetics_val.csv", "kinetics_validate.csv", "kinetics400_val.csv"),
}
_PLACES = {
    split: tuple(form.format(name) for form in ("{}", "videos_{}", "{}_256", "rawframes_{}") for name in names)
    for split, names in {"train": ("train",), "val": ("val", "validate")}.items()
}
_CLIP = re.compile(r".+_\d{6,}_\d{6,}")  # tells a folder of frames from the folder of a class
_TIMED = re.compile(r"(.+)_(\d+)(?:\.0+)?_(\d+)(?:\.0+)?")  # a name with its times, however many digits they have
_ID = re.compile(r"[A-Za-z0-9_-]+")
_SECONDS = re.compile(r"[0-9]{1,9}(\.0*)?")  # 125.0 is what pandas makes of a column with a gap


class _Row(NamedTuple):
    label: str
    youtube_id: str
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
    train = kept(("kinetics", root), lambda: _read_csv(root, "train"))
    rows = train if split == "train" else _read_csv(root, split)
    classes = tuple(sorted({row.label for row in train}))
    number = {name: k for k, name in enumerate(classes)}
    unknown = sorted({row.label for row in rows} - set(classes))
    if unknown:
        raise DataError(
            f"{_csv_path(root, split)}: labels that train.csv does not have: {', '.join(unknown)}; "
            "take both lists from the same release"
        )

    entry = _entries(rows)
    found, home = _videos(root, split, entry)
    second = _replacements(root, entry)
    clips, missing, replaced = [], [], 0
    for row in rows:
        if path := second.get(row.video_id) or found.paths.get(row.video_id):
            clips.append(Clip(path, number[row.label], row.video_id))
            replaced += path != found.paths.get(row.video_id, path)
        else:
            missing.append(f"{home}/{row.video_id}.mp4")
    if not clips:
        raise LayoutError(
            f"{root / home}: none of the {len(rows)} videos of {_csv_path(root, split).name} is there "
            f"(expected for instance {missing[0]}, or {home}/<class>/{Path(missing[0]).name}); "
            f"{others(found)}: check the layout and the names (`sfar data layout kinetics400`)"
        )
    notes = found.notes()
    if replaced:
        notes += (
            f"{replaced} videos are read from {PurePosixPath(next(iter(second.values()))).parent} and not from "
            f"{home}/, whose copies CVDF found broken",
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
            f"no list of the {split} split (train.csv is always needed: it defines the classes): {e}; "
            f"for videos of your own give --dataset {OWN}"
        ) from None


def _read_csv(root: Path, split: str) -> list[_Row]:
    path = _csv_path(root, split)
    name = str(path)
    rows: list[_Row] = []
    seen: dict[str, int] = {}
    for line, value in csv_rows(path, COLUMNS, "[,is_cc]"):
        row = _read_row(f"{name} line {line}", value, split)
        if (first := seen.setdefault(row.video_id, line)) != line:
            raise DataError(f"{name} line {line}: {row.video_id} is listed already in line {first}; keep one of them")
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
    start, end = _seconds(where, "time_start", value["time_start"]), _seconds(where, "time_end", value["time_end"])
    return _Row(label, youtube_id, f"{youtube_id}_{start:06d}_{end:06d}")


def _seconds(where: str, column: str, text: str) -> int:
    if len(text) < 10 and text.isascii() and text.isdecimal():
        return int(text)
    if not _SECONDS.fullmatch(text):
        raise DataError(
            f"{where}, column {column}: {text!r} is not a whole number of seconds; correct or remove the row"
        )
    return int(text.partition(".")[0])


def _entries(rows: Iterable[_Row]) -> Callable[[str], str | None]:
    """The listed video that a name is: with its times, or the YouTube id alone where the list has it once."""
    listed = {row.video_id for row in rows}
    times = Counter(row.youtube_id for row in rows)
    by_id = {row.youtube_id: row.video_id for row in rows if times[row.youtube_id] == 1}

    def entry(name: str) -> str | None:
        if name in listed:
            return name
        if found := _TIMED.fullmatch(name):
            whole = f"{found[1]}_{int(found[2]):06d}_{int(found[3]):06d}"
            if whole in listed:
                return whole
        return by_id.get(name)

    return entry


def _videos(root: Path, split: str, entry: Callable[[str], str | None]) -> tuple[VideoFiles, str]:
    """Listed video, or name without ending of another -> path; and the folder in which a missing one belongs.

    In each place flat files come first, then those of class folders, then folders of frames in the same order.
    """
    found, home, frames = VideoFiles(root), "", []
    for place in _PLACES[split]:
        top = look(root / place)
        home = home or (place if top.files or top.folders else "")
        found.add_folder(place, top, entry, str)
        frames += [(name, join(place, name)) for name in top.folders if _CLIP.fullmatch(name)]
        for folder in top.folders:
            if _CLIP.fullmatch(folder):
                continue
            inner = look(root / place / folder)
            if not inner.files and not inner.folders and (alone := entry(folder)):
                frames.append((alone, join(place, folder)))  # pictures, in a folder of the id's name
            found.add_folder(join(place, folder), inner, entry, str)
            frames += [
                (listed or name, join(place, folder, name))
                for name in inner.folders
                if (listed := entry(name)) or _CLIP.fullmatch(name)
            ]
    for name, path in frames:
        found.add_frames(name, path)
    if not any(entry(str(name)) for name in found.paths):
        elsewhere(found, lambda folder, name: entry(name), f"{home or split}/", (REPLACEMENT,))
    return found, home or split


def _replacements(root: Path, entry: Callable[[str], str | None]) -> dict[Hashable, str]:
    """Listed video -> path of CVDF's second copy of it."""
    second = VideoFiles(root)
    for name in look(root).folders:
        if name.casefold().startswith(REPLACEMENT):
            top = look(root / name)
            second.add_folder(name, top, entry, None)
            for below in top.folders:
                second.add_folder(join(name, below), look(root / name / below), entry, None)
    return second.paths
