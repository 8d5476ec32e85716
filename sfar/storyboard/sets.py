"""Writes the storyboard world's unseen activities in the layouts of UCF-101, HMDB-51 and Charades, truth beside them.

Names, lists and containers are those of the originals, with what makes them awkward to read: CamelCase folders, three
overlapping folds, Windows line ends, file names with ``#``, ``&``, brackets and parentheses, .avi without presentation
times, videos with no action at all.
"""

from __future__ import annotations

import csv
import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from sfar.errors import ConfigError
from sfar.storyboard import world
from sfar.storyboard.knobs import PLAIN, Knobs, least, unrelated
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.scripts import ACTIVITIES, HMDB, UCF
from sfar.storyboard.write import draw_videos, encode_h264, shown, write_truth

FOLDS = (1, 2, 3)
QUANTISER = "2"  # of MPEG-4, constant; about what CRF 20 keeps of these frames in H.264
UNUSED = 2  # videos per class that a list of HMDB-51 marks 0
# Names in HMDB-51 begin with things like these; brackets, for one, mean something else to a glob.
HMDB_PREFIXES = ("", "#4_How_To_", "(HQ)_", "Me_&_You_", "April_09_", "Part__(_2_)_[_new_]_")
CHARADES_RATES = (10, 12, 15)  # frames per second
ACTIVITY_SECONDS = (1.5, 4.0)
FILLER_SECONDS = (0.3, 1.5)
MOST_ACTIVITIES = 4
# Of every 33 videos of a Charades split, the one at place 4 shows no activity (in the original 223 of 9,848 do).
EMPTY = (33, 4)
EMPTY_RUNS = (4, 8)
CHARADES_COLUMNS = (
    "id",
    "subject",
    "scene",
    "quality",
    "relevance",
    "verified",
    "script",
    "objects",
    "descriptions",
    "actions",
    "length",
)
SCENES = (
    "Kitchen",
    "Living room",
    "Bedroom",
    "Hallway",
    "Garage",
    "Recreation room / Man cave",
    "Other",
    "Home Office / Study (A room in a house used for work)",
)


def encode_mpeg4(path: Path, frames: np.ndarray, fps: int) -> None:
    """Write frames, uint8 [n, height, width, 3], as MPEG-4 Part 2 in .avi, marked XVID, as UCF-101 and HMDB-51.

    One thread, no B-frames (.avi has no presentation times to order them by), the quantiser constant: same frames, same
    bytes. ``fps``: frames per second.
    """
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.codec_tag = "XVID"
        # Without a high bit rate the rate control coarsens blocks beyond the quantiser it is held to.
        stream.options = {"qmin": QUANTISER, "qmax": QUANTISER, "b": "20000000", "bf": "0", "threads": "1", "g": "24"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def camel_case(name: str) -> str:
    """A class name as UCF-101 writes it: "cliff diving" -> "CliffDiving"."""
    return "".join(word.capitalize() for word in name.split())


def ucf101_path(activity: str, index: int) -> str:
    """Path below the root of video ``index`` (from 0) of a class: four clips to a group, as in the original."""
    name = camel_case(activity)
    return f"UCF-101/{name}/v_{name}_g{index // 4 + 1:02d}_c{index % 4 + 1:02d}.avi"


def hmdb51_path(activity: str, index: int) -> str:
    """Path below the root of video ``index`` (from 0) of a class."""
    name = activity.replace(" ", "_")
    return f"videos/{name}/{HMDB_PREFIXES[index % len(HMDB_PREFIXES)]}{name}_{index}.avi"


def charades_id(seed: int, split: str, index: int) -> str:
    """Five characters 0-9A-Z; no two videos of one seed share them (the step has no factor in common with 36 ** 5)."""
    first = int.from_bytes(hashlib.sha256(f"charades/{seed}".encode()).digest()[:8])
    number = (first + 37_382_429 * (2 * index + (split != "train"))) % 36**5
    return "".join("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number // 36**k % 36] for k in range(5))


def held_out(fold: int, val: int, total: int) -> list[int]:
    """Which of a class' ``total`` videos fold 1, 2 or 3 tests on: ``val`` consecutive ones, going round."""
    return [((fold - 1) * val + j) % total for j in range(val)]


def write_ucf101(
    root: Path,
    seed: int,
    train_per_class: int,
    val_per_class: int,
    classes: tuple[str, ...] = tuple(UCF),
    workers: int | None = None,
    knobs: Knobs = PLAIN,
) -> None:
    """Write the UCF-101-like set: ``UCF-101/``, ``ucfTrainTestlist/`` and ``truth.json``.

    A class has train + val videos; each fold tests on ``held_out`` and trains on all others. A video depends on seed,
    class and index alone. Raises ``ConfigError`` for numbers below one and unknown classes.
    """
    _check(classes, train_per_class=train_per_class, val_per_class=val_per_class)
    total, order = train_per_class + val_per_class, sorted(classes, key=camel_case)
    jobs = [(str(root), ucf101_path(c, i), seed, "ucf101", c, i, knobs) for c in order for i in range(total)]
    rows = draw_videos(_write_avi, jobs, workers)
    lists = root / "ucfTrainTestlist"
    lists.mkdir(exist_ok=True)
    _write_lines(lists / "classInd.txt", [f"{k} {camel_case(c)}" for k, c in enumerate(order, 1)])
    for fold in FOLDS:
        test = set(held_out(fold, val_per_class, total))
        paths = [
            (k, i, ucf101_path(c, i).removeprefix("UCF-101/")) for k, c in enumerate(order, 1) for i in range(total)
        ]
        _write_lines(lists / f"trainlist0{fold}.txt", [f"{path} {k}" for k, i, path in paths if i not in test])
        _write_lines(lists / f"testlist0{fold}.txt", [path for _, i, path in paths if i in test])
    write_truth(root, seed, rows, order, knobs)


def write_hmdb51(
    root: Path,
    seed: int,
    train_per_class: int,
    val_per_class: int,
    classes: tuple[str, ...] = tuple(HMDB),
    workers: int | None = None,
    knobs: Knobs = PLAIN,
) -> None:
    """Write the HMDB-51-like set: ``videos/``, ``testTrainMulti_7030_splits/`` and ``truth.json``.

    A class has train + val + 2 videos; a list marks the fold's ``held_out`` 2, the next ``train_per_class`` 1 and the
    rest 0. A video depends on seed, class and index alone. Raises ``ConfigError`` for numbers below one and unknown
    classes.
    """
    _check(classes, train_per_class=train_per_class, val_per_class=val_per_class)
    total = train_per_class + val_per_class + UNUSED
    jobs = [(str(root), hmdb51_path(c, i), seed, "hmdb51", c, i, knobs) for c in classes for i in range(total)]
    rows = draw_videos(_write_avi, jobs, workers)
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir(exist_ok=True)
    for fold in FOLDS:
        use = dict.fromkeys(range(total), 0) | dict.fromkeys(held_out(fold, val_per_class, total), 2)
        use |= {(fold * val_per_class + j) % total: 1 for j in range(train_per_class)}
        for c in classes:
            # The space at the end of a line is in the original.
            lines = [f"{Path(hmdb51_path(c, i)).name} {use[i]} " for i in range(total)]
            _write_lines(lists / f"{c.replace(' ', '_')}_test_split{fold}.txt", lines, end="\n")
    write_truth(root, seed, rows, classes, knobs)


def write_charades(
    root: Path,
    seed: int,
    train_videos: int,
    val_videos: int,
    classes: tuple[str, ...] = (*UCF, *HMDB),
    workers: int | None = None,
    knobs: Knobs = PLAIN,
) -> None:
    """Write the Charades-like set: ``Charades_v1_480/``, ``Charades_v1_{train,test,classes}``, ``truth.json``.

    A video shows one to four activities, each for 1.5 to 4 s, in any order, with runs of 0.3 to 1.5 s of actions that
    belong to none of them before, between and after; 3 % show no activity. The classes are gone through in order, so
    that every class has a positive among the validation videos. Class c000 is ``classes[0]``. A video depends on seed,
    split, index and ``classes`` alone. Raises ``ConfigError`` for numbers below one, unknown classes and fewer
    validation videos than show every class.
    """
    _check(classes, train_videos=train_videos, val_videos=val_videos)
    with_activity = sum(activity_number(i) is not None for i in range(val_videos))
    if with_activity < len(classes):
        raise ConfigError(
            f"val_videos: {with_activity} of {val_videos} videos show an activity, which is less than one for each of "
            f"{len(classes)} classes; ask for more videos or fewer classes"
        )
    jobs = [
        (str(root), seed, split, i, tuple(classes), knobs)
        for split, n in (("train", train_videos), ("val", val_videos))
        for i in range(n)
    ]
    rows = draw_videos(_write_charades_video, jobs, workers)
    _write_lines(root / "Charades_v1_classes.txt", [f"c{k:03d} {c}" for k, c in enumerate(classes)])
    for split, name in (("train", "train"), ("val", "test")):
        with open(root / f"Charades_v1_{name}.csv", "w", newline="", encoding="utf-8") as f:
            w = csv.DictWriter(f, CHARADES_COLUMNS, lineterminator="\r\n")
            w.writeheader()
            # By id, not by index: in the list the classes must not follow one another in order.
            w.writerows(row["csv"] for row in sorted(rows, key=lambda r: r["video"]) if row["split"] == split)
    write_truth(root, seed, [{k: v for k, v in row.items() if k != "csv"} for row in rows], classes, knobs)


# --- storyboards of several activities -----------------------------------------------------------------------------


def draw_sequence(
    rng: np.random.Generator, first: str | None, classes: tuple[str, ...], knobs: Knobs = PLAIN
) -> tuple[world.Storyboard, list[tuple[str, int, int]]]:
    """The storyboard of a Charades-like video, and its activities as (name, first frame, frame behind the last).

    ``first`` is among the activities, in any place; None: no activity, only runs of actions that none of ``classes``
    has in its script. A fixed share of irrelevant frames makes these runs longer or shorter, not the activities; a
    video without activity stays as it is.
    """
    fps = int(rng.choice(CHARADES_RATES))
    if first is None:
        names, fillers = [], int(rng.integers(EMPTY_RUNS[0], EMPTY_RUNS[1] + 1))
    else:
        others = [c for c in classes if c != first]
        more = int(rng.integers(0, min(MOST_ACTIVITIES - 1, len(others)) + 1))
        names = (
            [str(c) for c in rng.permutation([first, *rng.choice(others, more, replace=False)])] if more else [first]
        )
        fillers = len(names) + 1
    pool = unrelated(names or classes, knobs)  # never empty: no script has "stand"
    actions = rng.choice(pool, fillers, replace=len(pool) < fillers)
    lengths, runs = [], []
    for k in range(fillers):
        lengths.append(round(rng.uniform(*FILLER_SECONDS) * fps))
        if k < len(names):
            frames = round(rng.uniform(*ACTIVITY_SECONDS) * fps)
            runs.append(world.script_segments(names[k], max(frames, least(names[k], knobs)), rng, knobs))
    if names and knobs.irrelevant is not None:
        lengths = _filling(lengths, sum(s.frames for run in runs for s in run), knobs.irrelevant)
    segments, activities, at = [], [], 0
    for k, (action, n) in enumerate(zip(actions, lengths, strict=True)):
        segments += [world.Segment(str(action), n, False)] if n else []
        at += n
        if k < len(names):
            segments += runs[k]
            frames = sum(s.frames for s in runs[k])
            activities.append((names[k], at, at + frames))
            at += frames
    return world.Storyboard(", ".join(names), fps, tuple(segments)), activities


def _filling(lengths: list[int], relevant: int, share: float) -> list[int]:
    """``lengths`` of irrelevant runs scaled so that beside ``relevant`` frames they are ``share`` of the video."""
    ends = np.round(np.cumsum(lengths) / sum(lengths) * round(relevant * share / (1 - share)))
    return [int(n) for n in np.diff([0, *ends])]


def activity_number(index: int) -> int | None:
    """The number, from 0, of video ``index`` among those of a Charades split with an activity; None: it has none."""
    every, place = EMPTY
    return None if index % every == place else index - (index + every - place) // every


# --- files ---------------------------------------------------------------------------------------------------------


def _write_avi(job: tuple[str, str, int, str, str, int, Knobs]) -> dict[str, Any]:
    root, relative, seed, name, activity, index, knobs = job
    # With the set's name in it, no other set has the same video of the same activity.
    rng = world.video_rng(seed, f"{name}/{activity}", index)
    board = world.draw_storyboard(activity, rng, knobs)
    path = Path(root) / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_mpeg4(path, world.render_storyboard(board, rng), board.fps)
    return {"video": relative, "label": activity, "index": index, **shown(board)}


def _write_charades_video(job: tuple[str, int, str, int, tuple[str, ...], Knobs]) -> dict[str, Any]:
    root, seed, split, index, classes, knobs = job
    rng = world.video_rng(seed, f"charades/{split}", index)
    number = activity_number(index)
    first = None if number is None else classes[number % len(classes)]
    board, activities = draw_sequence(rng, first, classes, knobs)
    frames = world.render_storyboard(board, rng)
    vid = charades_id(seed, split, index)
    relative = f"Charades_v1_480/{vid}.mp4"
    path = Path(root) / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_h264(path, frames, board.fps)
    names, scene = [c for c, _, _ in activities], str(rng.choice(SCENES))
    props = sorted({p for s in board.segments for p in ACTIONS[s.action].props})
    fields = (
        vid,
        f"S{int(rng.integers(1000)):03d}",
        scene,
        int(rng.integers(3, 8)),
        int(rng.integers(3, 8)),
        str(rng.choice(["Yes", "No"], p=[0.9, 0.1])),
        f"A person in the {scene.lower()} shows {', then '.join(names) or 'nothing of the list'}.",
        ";".join(props),
        ", then ".join(ACTIONS[s.action].captions[0] for s in board.segments) + ".",
        ";".join(
            f"c{classes.index(c):03d} {start / board.fps:.2f} {end / board.fps:.2f}" for c, start, end in activities
        ),
        f"{board.frames / board.fps:.2f}",
    )
    return {
        "video": relative,
        "split": split,
        "labels": names,
        "index": index,
        **shown(board),
        "activities": [list(a) for a in activities],
        "csv": dict(zip(CHARADES_COLUMNS, fields, strict=True)),
    }


def _check(classes: tuple[str, ...], **counts: int) -> None:
    for name, n in counts.items():
        if n < 1:
            raise ConfigError(f"{name} must be at least 1, got {n}")
    if not classes or len(set(classes)) < len(classes):
        raise ConfigError(f"classes: expected one or more names, each once, got {', '.join(classes) or 'none'}")
    if unknown := [c for c in classes if c not in ACTIVITIES]:
        raise ConfigError(f"classes: there is no script of {', '.join(unknown)}; choose from {', '.join(ACTIVITIES)}")


def _write_lines(path: Path, lines: list[str], end: str = "\r\n") -> None:
    path.write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
