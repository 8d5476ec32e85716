"""Reader of Charades: videos of about half a minute with any number of timed actions.

Charades_v1_classes.txt        "c000 Holding some clothes"
Charades_v1_{train,test}.csv   id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length
                               with actions "c092 11.90 21.20;c147 0.00 12.60" (class, start, end in seconds) or none;
                               in root/, root/Charades/ or root/annotations/
<ID>.mp4                       in root/Charades_v1_480/, root/Charades_v1/, root/videos/ or root/
<ID>/<ID>-000001.jpg           in root/Charades_v1_rgb/: the official frames, 24 per second
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sfar.data.disk import csv_rows, data_root, find_list, join, look, text_lines
from sfar.data.finding import VideoFiles, elsewhere, others
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError, LayoutError

SPLITS = ("train", "val", "train-videos")
LISTS = ("", "Charades", "annotations")
VIDEOS = ("Charades_v1_480", "Charades_v1", "videos", "")
FRAMES = "Charades_v1_rgb"
COLUMNS = ("id", "actions", "length")
FRAME_RATE = 24.0


@dataclass(frozen=True)
class _Action:
    """One row of a video's timed actions; seconds, ``end`` cut at the video's length."""

    label: int
    start: float
    end: float


@dataclass(frozen=True)
class _Row:
    video: str
    length: float
    actions: tuple[_Action, ...]
    where: str


def read_charades(root: str | Path, split: str) -> Manifest:
    """The timed actions ("train") or the whole videos ("val", "train-videos") under ``root``.

    "train": one clip per timed action of Charades_v1_train.csv, with that action as its only class, as BIKE's
    datasets/charades.py trains; ``video_id`` is "<ID>/<number of the action in its row, from 0>", and actions that do
    not end after they start are left out and counted in ``notes``. "val" (the official test csv) and "train-videos":
    one clip per video with the classes of all its actions, whatever their times; a video without any stays, with label
    -1. ``missing`` names videos.

    Raises ``ConfigError`` for an unknown split. ``DataError`` naming file, line and column: no root, no list, class
    codes that do not count up from c000, a missing column, a bad id, time or length, an unknown class, a video listed
    twice or in both csv files; and where none of the listed videos is on disk.
    """
    if split not in SPLITS:
        raise ConfigError(
            f'unknown Charades split {split!r}: expected one of {", ".join(SPLITS)} (the official test list is "val")'
        )
    root = data_root(
        root,
        "charades",
        "Charades/Charades_v1_train.csv, Charades_v1_test.csv, Charades_v1_classes.txt and the videos in "
        f"{VIDEOS[0]}/ or their frames in {FRAMES}/",
    )
    classes = _classes(find_list(root, LISTS, ("Charades_v1_classes.txt",), "charades"))
    train, test = (_read_csv(root, part, len(classes)) for part in ("train", "test"))
    for video in train.keys() & test.keys():
        raise DataError(
            f"{test[video].where}, column id: {video} is a training video too ({train[video].where}); "
            "take both lists from the same release"
        )

    found, home = _videos(root, train.keys() | test.keys())
    rows = test if split == "val" else train
    clips, missing, segments, empty = [], [], 0, []
    for row in rows.values():
        path = found.paths.get(row.video)
        if split == "train":
            segments += len(row.actions)
            good = [(k, a) for k, a in enumerate(row.actions) if a.end > a.start]
            empty += [f"{row.where}, action {k}" for k, a in enumerate(row.actions) if a.end <= a.start]
            if path:
                clips += [Clip(path, a.label, f"{row.video}/{k}", (a.label,), a.start, a.end) for k, a in good]
            elif good:
                missing.append(home.format(row.video))
        elif path:
            labels = tuple(sorted({a.label for a in row.actions}))
            clips.append(Clip(path, labels[0] if labels else -1, row.video, labels))
        else:
            missing.append(home.format(row.video))
    if not clips:
        where = f"expected for instance {missing[0]}" if missing else "no video has an action"
        raise LayoutError(
            f"{root}: none of the {len(rows)} videos of Charades_v1_{'test' if split == 'val' else 'train'}.csv "
            f"can be used ({where}); {others(found)}: "
            "check the layout and the names (`sfar data layout charades`)"
        )
    notes = found.notes()
    if empty:
        notes += (
            f"{len(empty)} of {segments} timed actions do not end after they start (ends cut at the video's length) "
            f"and are left out (the first: {empty[0]})",
        )
    return Manifest(
        "charades",
        split,
        root,
        classes,
        tuple(clips),
        tuple(missing),
        found.unnamed(train.keys() | test.keys()),
        notes,
        True,
        FRAME_RATE,
    )


def list_sizes(root: str | Path, split: str) -> tuple[int, int]:
    """(videos, timed actions) of a split's csv as it is.

    With the actions that no clip is made of and the videos that are not there. Errors as ``read_charades``.
    """
    root = Path(root)
    classes = _classes(find_list(root, LISTS, ("Charades_v1_classes.txt",), "charades"))
    rows = _read_csv(root, "test" if split == "val" else "train", len(classes))
    return len(rows), sum(len(row.actions) for row in rows.values())


def _classes(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for line, text in text_lines(path):
        code, name = text.split(None, 1) if len(text.split()) > 1 else (text, "")
        if code != f"c{len(names):03d}" or not name:
            raise DataError(
                f'{path} line {line}: {text!r}; expected "c{len(names):03d}" and a class name '
                "(codes count up from c000); download it again"
            )
        if name in names:
            raise DataError(f"{path} line {line}: {name!r} is c{names.index(name):03d} already; keep one of them")
        names.append(name)
    return tuple(names)


def _read_csv(root: Path, part: str, classes: int) -> dict[str, _Row]:
    path = find_list(root, LISTS, (f"Charades_v1_{part}.csv",), "charades")
    rows: dict[str, _Row] = {}
    for line, value in csv_rows(path, COLUMNS, " among others"):
        where = f"{path} line {line}"
        video = value["id"]
        # The id becomes part of a path.
        if inside(f"{where}, column id", video) != video or "/" in video:
            raise DataError(f"{where}, column id: {video!r} is not a video's id; correct or remove the row")
        if video in rows:
            raise DataError(f"{where}, column id: {video} is listed already ({rows[video].where}); keep one of them")
        length = _seconds(f"{where}, column length", value["length"])
        if not length:
            raise DataError(f"{where}, column length: {value['length']!r} is not above 0; correct or remove the row")
        rows[video] = _Row(
            video, length, _actions(f"{where}, column actions", value["actions"], length, classes), where
        )
    return rows


def _actions(where: str, text: str, length: float, classes: int) -> tuple[_Action, ...]:
    actions = []
    for part in text.split(";") if text else ():
        fields = part.split()
        if len(fields) != 3:
            raise DataError(
                f'{where}: {part!r} is not a class, a start and an end; expected for instance "c092 11.90 21.20"'
            )
        code = fields[0]
        if not (re.fullmatch(r"c[0-9]{1,9}", code) and int(code[1:]) < classes):
            raise DataError(
                f"{where}: {code!r} is not one of the {classes} classes c000 to c{classes - 1:03d} of "
                "Charades_v1_classes.txt"
            )
        start, end = (_seconds(where, f) for f in fields[1:])
        actions.append(_Action(int(code[1:]), start, min(end, length)))
    return tuple(actions)


def _seconds(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError(f"{where}: {text!r} is not a number of seconds; correct or remove the row")
    return value


def _videos(root: Path, listed: Collection[str]) -> tuple[VideoFiles, str]:
    """What is on disk, and where a missing video belongs, with {} for its id."""
    found, home = VideoFiles(root), ""

    def listed_id(name: str) -> str | None:
        return name if name in listed else None

    for place in VIDEOS:
        seen = look(root / place)
        found.add_folder(place, seen, listed_id, str if place else None)
        home = home or (f"{place}/{{}}.mp4" if place and seen.files else "")
    for name in look(root / FRAMES).folders:
        found.add_frames(name, join(FRAMES, name))
        home = home or f"{FRAMES}/{{}}"
    if not any(video in found.paths for video in listed):
        elsewhere(found, lambda folder, name: listed_id(name), f"{VIDEOS[0]}/")
    return found, home or f"{VIDEOS[0]}/{{}}.mp4"
