"""What is wrong with a copy of a data set: its lists against the published numbers, and one look into every video.

Every look is appended to a file in the cache the moment it is done, so that an interrupted check of 240,000 videos goes
on where it stopped. What is kept of a video holds as long as its size and its time of change stay the same, and it is
of the content alone: what the system refused (permissions, disk, memory, time) is looked at again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from sfar.config import OWN, DataConfig
from sfar.data import layouts
from sfar.data.labels import class_names
from sfar.data.manifest import Clip, Manifest
from sfar.data.video import decoder, frame_at, probe, read_all, read_frames, reader_key
from sfar.data.watchdog import guarded
from sfar.errors import PASSING, LayoutError, SfarError, VideoError, VideoErrorKind
from sfar.util import cache, paths, processes

FRAMES = 8  # frames that are read of every video, and the fewest it should have (section 4.1)
SHORT_SIDE = 256  # pixels
# Of a whole video, which is only decoded: as small as the decoder can scale (decord hands out narrow frames as stored).
DEEP_SHORT_SIDE = {"pyav": 32, "decord": SHORT_SIDE}
DEEP_SECONDS = 600.0  # deadline for decoding one whole video
CUT = 0.5  # seconds: containers end a few frames before the length that a list gives
COMPLETE = ("ucf101", "hmdb51", "charades")  # given out as one archive each; Kinetics loses videos year by year
EXPLAINED: dict[VideoErrorKind, str] = {  # kinds of videos that cannot be used
    "empty": "0 bytes",
    "missing": "listed, and gone while it was looked for",
    "unreadable": "not given by the system: permissions, disk, network, limit of open files",
    "over-reported": "fewer frames than it claims",
    "timeout": "not decoded in time or memory",
    "damaged": "damaged or not a video",
}


def check(
    name: str,
    root: str | Path,
    fold: int | None = None,
    workers: int | None = None,
    deep: bool = False,
    min_frames: int = FRAMES,
    max_bad_share: float = DataConfig.max_bad_share,
    reader: str = "auto",
) -> dict[str, Any]:
    """Compare the copy of data set ``name`` below ``root`` with its lists and their published numbers.

    Every listed video is looked into. ``fold``: of UCF-101 and HMDB-51; None: all three. A look is ``probe`` and the 8
    frames that a validation reads; ``deep`` decodes all frames besides. ``min_frames``: videos with fewer are reported.
    ``max_bad_share``: the share of a split that may be missing. ``reader``: ``data.reader``; what one decoder has seen
    of a video does not stand for the other.

    Returns a report that JSON can hold: ``splits`` (counts, and what was published), ``missing``, ``extra``,
    ``undecodable`` (with ``kind``, a key of ``EXPLAINED``, and ``reason``), ``too_short``, ``train_and_val`` (the same
    id in both), ``identical`` (files with the same content, and their ``classes``), ``beyond_end`` (Charades),
    ``examined`` and ``kept`` (videos looked at now and earlier), ``wrong`` (sentences; none: all well), ``remarks``
    (nothing wrong, but worth knowing) and ``status``, 1 where something is wrong and else 0. Wrong are: more than
    ``max_bad_share`` of a split missing, unless a Kinetics split has as many videos as the published copy; a video that
    cannot be decoded; other numbers than published of a data set that is complete by nature; other classes; an id in
    train and val; of videos of one's own, the same content in two classes. A root with the repository's own drawn
    videos (it has a truth.json) is compared with its lists alone.

    Raises ``ConfigError`` (unknown data set or fold, a reader that is not there), ``DataError`` (a root without data,
    with the tree that is expected; a list that cannot be read), ``SfarError`` when the cache cannot be written.
    """
    about = layouts.layout(name)
    root = Path(os.path.expanduser(root))
    manifests = _manifests(name, root, fold)
    base = manifests[0][0].root  # of a csv file the folder that it is in
    drawn = (root / "truth.json").is_file()
    used = _splits_of(manifests)
    kept, examined = _look_at_all(name, base, list(used), deep, workers, about.title, reader)

    splits = [_split(name, m, f, kept, drawn) for m, f in manifests]
    undecodable = [
        {"path": p, "kind": kept[p]["kind"], "reason": kept[p]["error"], "splits": _labels(used[p])}
        for p in used
        if "error" in kept[p]
    ]
    report: dict[str, Any] = {
        "dataset": name,
        "title": about.title,
        "root": str(root),
        "deep": deep,
        "reader": reader,
        "min_frames": min_frames,
        "max_bad_share": max_bad_share,
        "drawn": drawn,
        "videos": len(used),
        "examined": examined,
        "kept": len(used) - examined,
        "classes": _classes(name, manifests[0][0], drawn),
        "splits": splits,
        "missing": [
            {"path": p, "splits": _labels(s)} for p, s in _collect((m.missing, m, f) for m, f in manifests).items()
        ],
        "extra": sorted({_printable(p) for m, _ in manifests for p in m.unused}),
        "undecodable": undecodable,
        "too_short": [
            {"path": p, "frames": kept[p]["frames"], "splits": _labels(used[p])}
            for p in used
            if kept[p].get("frames", min_frames) < min_frames
        ],
        "train_and_val": _train_and_val(manifests),
        "identical": _identical(used, kept, _classes_of(manifests)),
        "beyond_end": [b for m, _ in manifests for b in _beyond_end(m, kept)],
    }
    report["remarks"] = _remarks(report)
    report["wrong"] = _wrong(report)
    report["status"] = int(bool(report["wrong"]))
    return report


# --- the lists -----------------------------------------------------------------------------------------------------


def _manifests(name: str, root: Path, fold: int | None) -> list[tuple[Manifest, int]]:
    """Every split in every fold that is asked for; the split of all videos, which is the same in all folds, once."""
    about = layouts.layout(name)
    folds = (fold,) if fold is not None else about.folds or (1,)
    if name == OWN:  # every fold has the same videos, and where the split is given there is one alone
        folds = folds[:1]
    jobs = [(split, f) for split in about.splits for f in (folds if split != "all" else folds[:1])]
    try:
        return [(layouts.read(name, root, split, f), f) for split, f in jobs]
    except LayoutError as e:
        had = f"Where to get {about.title}:\n{about.had}\n" if about.had else ""
        raise LayoutError(f"{e}\n\n{had}Its tree:\n{about.tree}") from None


def _collect(rows: Iterable[tuple[Iterable[str], Manifest, int]]) -> dict[str, list[tuple[str, int]]]:
    """Path -> the (split, fold) it stands in, in order."""
    out: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for names, m, fold in rows:
        for path in dict.fromkeys(names):
            out[path].append((m.split, fold if layouts.layout(m.name).folds and m.split != "all" else 0))
    return dict(out)


def _splits_of(manifests: list[tuple[Manifest, int]]) -> dict[str, list[tuple[str, int]]]:
    return _collect(([c.path for c in m.clips], m, f) for m, f in manifests)


def _labels(splits: list[tuple[str, int]]) -> list[str]:
    return [f"{split} {fold}" if fold else split for split, fold in splits]


def _split(name: str, m: Manifest, fold: int, kept: dict[str, dict], drawn: bool) -> dict[str, Any]:
    """Counts of one split; ``lost``: clips that training or testing cannot use, of ``clips`` and what is missing."""
    found = len({c.path for c in m.clips})
    lost = sum("error" in kept[c.path] or _starts_after(c, kept[c.path], m) for c in m.clips)
    expected = []
    for e in () if drawn else layouts.expected(name, m.split, fold):
        counted = layouts.count(m, e.unit)
        expected.append(
            {"number": e.number, "unit": e.unit, "source": e.source, "counted": counted, "agrees": counted == e.number}
        )
    label = f"{m.split} {fold}" if layouts.layout(name).folds and m.split != "all" else m.split
    return {
        "split": label,
        "listed": layouts.count(m, layouts.LISTED),
        "found": found,
        "missing": len(m.missing),
        "extra": len(m.unused),
        "clips": len(m.clips),
        "lost": lost + len(m.missing),
        "expected": expected,
        "notes": [_printable(n) for n in m.notes],
    }


def _printable(name: str) -> str:
    """Names on disk need not be UTF-8, reports are."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _classes(name: str, m: Manifest, drawn: bool) -> dict[str, Any]:
    known = m.classes if drawn or name == OWN else class_names(name)
    return {
        "found": len(m.classes),
        "expected": len(known),
        "unknown": [c for c in m.classes if c not in known],
        "lacking": [c for c in known if c not in m.classes],
    }


def _train_and_val(manifests: list[tuple[Manifest, int]]) -> list[dict[str, Any]]:
    """Ids that stand in the training list and in the validation list of a fold."""
    found: dict[tuple[int, int, str], dict[str, str]] = defaultdict(dict)
    for m, fold in manifests:
        # Videos of one's own have no ids: names like 001.mp4 come again, and a file that is there twice is refused.
        if m.split in ("train", "val") and m.name != OWN:
            for c in m.clips:
                # The parts of a Charades video are numbered; a name says nothing across the class folders of UCF-101
                # and HMDB-51, the sets with folds.
                key = fold, c.label if layouts.layout(m.name).folds else 0, c.video_id.split("/")[0]
                found[key].setdefault(m.split, c.path)
    return [{"id": video, "fold": fold, **where} for (fold, _, video), where in found.items() if len(where) > 1]


# --- the videos ----------------------------------------------------------------------------------------------------


def frames_to_read(n: int) -> np.ndarray:
    """``transforms.val_indices(n, 8)``, whose module needs torch: int64 [8], 0-based."""
    return (n / FRAMES * np.arange(FRAMES)).astype(np.int64) % n


def _state(path: str) -> list[int] | None:
    """Size in bytes and time of change in ns, of a folder of frames of all that is in it.

    None where they cannot be had.
    """
    try:
        s = os.stat(path)
        if not os.path.isdir(path):
            return [s.st_size, s.st_mtime_ns]
        with os.scandir(path) as entries:
            inside = [e.stat() for e in entries]
        return [sum(i.st_size for i in inside), max([s.st_mtime_ns, *(i.st_mtime_ns for i in inside)])]
    except OSError:
        return None


def _look(job: tuple[str, str, dict | None, bool, str]) -> tuple[dict[str, Any], bool]:
    """The record of one video, and whether it had to be looked at for it."""
    root, path, record, deep, reader = job
    full = os.path.join(root, path)
    state = _state(full)
    if record and record["state"] == state and (record["deep"] or not deep):
        return record, False
    out: dict[str, Any] = {"path": path, "state": state, "deep": deep, "file": os.path.isfile(full)}
    try:
        info = guarded(probe, full, reader, warm=(decoder, reader))
        guarded(read_frames, full, frames_to_read(info.frames), SHORT_SIDE, reader)
        if deep:
            guarded(read_all, full, DEEP_SHORT_SIDE[decoder(reader)], reader, seconds=DEEP_SECONDS)
        out |= {"frames": info.frames, "fps": info.fps}
        if info.times:
            out["seconds"] = info.times[-1]
    except VideoError as e:
        out |= {"kind": e.kind, "error": str(e).removeprefix(f"{full}: ")}
    return out, True


def _hash(job: tuple[str, str]) -> tuple[str, str | None]:
    """SHA-256 of a file; None where it cannot be read."""
    root, path = job
    try:
        with open(os.path.join(root, path), "rb") as f:
            return path, hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return path, None


def record_file(name: str, root: str | Path, reader: str = "auto") -> Path:
    """Where the looks into the videos below ``root`` are kept: JSON lines, of one video the last one counts.

    Another version of the readers has another file, and so has another decoder.
    """
    key = cache.key("check", [name, str(Path(root).resolve()), *reader_key(reader)])
    return paths.cache() / "check" / f"{key}.jsonl"


def _look_at_all(
    name: str, root: Path, videos: list[str], deep: bool, workers: int | None, title: str, reader: str
) -> tuple[dict[str, dict], int]:
    """Path -> record of all ``videos``, and how many were looked at now. Files of one size get their content's hash."""
    file = record_file(name, root, reader)
    kept = _read_records(file)
    out: dict[str, dict] = {}
    examined = 0
    with _records(file) as f, processes.pool(workers) as pool:
        jobs = [(str(root), p, kept.get(p), deep, reader) for p in videos]
        # Small parcels: an interruption loses no more than what is in them.
        for record, new in tqdm(
            pool.imap_unordered(_look, jobs, chunksize=4),
            total=len(jobs),
            desc=f"{'decoding' if deep else 'checking'} {title}",
            unit="video",
        ):
            out[record["path"]] = record
            examined += new
            if new:
                _append(f, record)
        _hash_same_sizes(pool, root, out, f)
    return out, examined


@contextmanager
def _records(file: Path) -> Iterator[BinaryIO]:
    """``file``, to append to it."""
    with _writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        f = open(file, "ab")  # noqa: SIM115  # closing writes too
    try:
        with _writing(file):
            _end_line(file, f)
        yield f
    finally:
        with _writing(file):
            f.close()


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    """What goes wrong inside is the writing of ``file``."""
    try:
        yield
    except OSError as e:
        raise SfarError(
            f"cannot write {file}: {e.strerror or e}. What was looked at so far is kept; "
            "free some space or set SFAR_CACHE to another folder"
        ) from e


def _hash_same_sizes(pool: Any, root: Path, records: dict[str, dict], f: BinaryIO) -> None:
    by_size: dict[int, list[dict]] = defaultdict(list)
    for r in records.values():
        if r["state"] and r["file"] and r["state"][0]:
            by_size[r["state"][0]].append(r)
    todo = [(str(root), r["path"]) for group in by_size.values() if len(group) > 1 for r in group if "sha256" not in r]
    if todo:
        for path, value in tqdm(
            pool.imap_unordered(_hash, todo, chunksize=4),
            total=len(todo),
            desc="comparing files of one size",
            unit="file",
        ):
            if value:
                records[path]["sha256"] = value
                _append(f, records[path])


def _read_records(file: Path) -> dict[str, dict]:
    """Path -> record. A line that an interruption has cut off is passed over: its video is looked at again."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise SfarError(f"cannot read {file}: {e.strerror}; set SFAR_CACHE to another folder") from e
    out = {}
    for line in raw.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(record, dict)
            and {"path", "state", "deep", "file"} <= record.keys()
            and ("error" in record or {"frames", "fps"} <= record.keys())
        ):
            out[record["path"]] = record
    return out


def _append(f: BinaryIO, record: dict[str, Any]) -> None:
    """Keep a record, unless it holds for the moment only: too slow today, refused by the system, or not there."""
    if not record["state"] or record.get("kind") in PASSING:
        return
    with _writing(Path(f.name)):
        f.write(json.dumps(record).encode("ascii") + b"\n")
        f.flush()


def _end_line(file: Path, f: BinaryIO) -> None:
    """A cut last line is closed, so that the next record does not become part of it."""
    with open(file, "rb") as end:
        if end.seek(0, os.SEEK_END):
            end.seek(-1, os.SEEK_END)
            if end.read(1) != b"\n":
                f.write(b"\n")


# --- what follows --------------------------------------------------------------------------------------------------


def _classes_of(manifests: list[tuple[Manifest, int]]) -> dict[str, str]:
    """Path -> its class; of a multi-label video the first one."""
    return {c.path: m.classes[c.label] for m, _ in manifests for c in m.clips if c.label >= 0}


def _identical(
    used: dict[str, list[tuple[str, int]]], kept: dict[str, dict], classes: dict[str, str]
) -> list[dict[str, Any]]:
    """Listed files with the same content.

    ``train_and_val``: one of them trains in a fold in which another one tests; ``classes``: what they are listed as.
    """
    same: dict[str, list[str]] = defaultdict(list)
    for p in used:
        if digest := kept[p].get("sha256"):
            same[digest].append(p)
    out = []
    for digest, group in same.items():
        if len(group) > 1:
            where = {s for p in group for s in used[p]}
            across = any(split == "train" and ("val", fold) in where for split, fold in where)
            out.append(
                {
                    "sha256": digest,
                    "bytes": kept[group[0]]["state"][0],
                    "paths": sorted(group),
                    "train_and_val": across,
                    "classes": sorted({classes[p] for p in group if p in classes}),
                }
            )
    return sorted(out, key=lambda d: d["paths"])


def _seconds(record: dict[str, Any], m: Manifest) -> float | None:
    """Length of a video; None where its rate is not known or it cannot be read."""
    fps = record.get("fps") or m.frame_rate
    return record.get("seconds") or (record["frames"] / fps if "frames" in record and fps > 0 else None)


def _starts_after(c: Clip, record: dict[str, Any], m: Manifest) -> bool:
    """Whether the store leaves the part out: its first frame lies behind the last one."""
    length = _seconds(record, m)
    if c.start is None or length is None:
        return False
    if "seconds" in record:
        return frame_at(c.start, 0.0, (0.0, length)) > 0
    return frame_at(c.start, record["frames"] / length) >= record["frames"]


def _beyond_end(m: Manifest, kept: dict[str, dict]) -> list[dict[str, Any]]:
    """Parts that start behind the end of their video or end more than ``CUT`` seconds behind it.

    Those that start behind it are ``lost``, the others are cut.
    """
    out = []
    for c in m.clips:
        length = _seconds(kept[c.path], m)
        if c.start is not None and c.end is not None and length is not None:
            lost = _starts_after(c, kept[c.path], m)
            if lost or c.end > length + CUT:
                out.append(
                    {
                        "path": c.path,
                        "split": m.split,
                        "class": m.classes[c.label],
                        "start": c.start,
                        "end": c.end,
                        "video_seconds": round(length, 2),
                        "lost": lost,
                    }
                )
    return out


def _compared(s: dict[str, Any], e: dict[str, Any]) -> str:
    share = e["counted"] / e["number"]
    return f"{s['split']}: {e['counted']:,} {e['unit']}, published are {e['number']:,} ({share:.1%}; {e['source']})"


def _as_published(report: dict[str, Any], s: dict[str, Any]) -> bool:
    """Whether a Kinetics split has about as many videos as the copy that everyone has.

    Its list names more than that copy has.
    """
    return report["dataset"] not in COMPLETE and any(
        e["unit"] == layouts.FOUND and e["counted"] >= (1 - report["max_bad_share"]) * e["number"]
        for e in s["expected"]
    )


def _wrong(report: dict[str, Any]) -> list[str]:
    out = []
    c = report["classes"]
    if c["unknown"] or c["lacking"]:
        out.append(
            f"{c['found']} classes instead of {c['expected']}"
            + "".join(
                f"; {what}: {', '.join(c[key][:5])}{', ...' * (len(c[key]) > 5)}"
                for key, what in (("unknown", "not known"), ("lacking", "lacking"))
                if c[key]
            )
        )
    for s in report["splits"]:
        if report["dataset"] in COMPLETE:
            out += [_compared(s, e) for e in s["expected"] if not e["agrees"]]
        total = s["found"] + s["missing"]
        if s["missing"] > report["max_bad_share"] * total and not _as_published(report, s):
            out.append(
                f"{s['split']}: {s['missing']:,} of {total:,} videos are not on disk ({s['missing'] / total:.1%}; "
                f"up to {report['max_bad_share']:.1%} may be missing)"
            )
    if bad := report["undecodable"]:
        out.append(f"{len(bad):,} of {report['videos']:,} videos cannot be decoded")
    if both := report["train_and_val"]:
        out.append(f"{len(both):,} videos are in the training and in the validation list")
    if report["dataset"] == OWN and (two := [d for d in report["identical"] if len(d["classes"]) > 1]):
        out.append(
            f"{len(two):,} files are in two classes under other names, the first: {' = '.join(two[0]['paths'])} "
            f"({', '.join(two[0]['classes'])})"
        )
    return out


def _remarks(report: dict[str, Any]) -> list[str]:
    out = [f"{s['split']}: {note}" for s in report["splits"] for note in s["notes"]]
    if report["drawn"]:
        out.append(
            "drawn by `sfar storyboard draw` (there is a truth.json): there are no published numbers to compare it with"
        )
    for s in report["splits"]:
        if report["dataset"] not in COMPLETE:
            out += [_compared(s, e) for e in s["expected"] if not e["agrees"]]
        if silent := s["listed"] - s["found"] - s["missing"]:
            out.append(f"{s['split']}: {silent:,} listed videos have no timed action and so give no clip")
        total = s["clips"] + s["missing"]
        if s["lost"] > report["max_bad_share"] * total:
            need = -(-100 * s["lost"] // total) / 100
            out.append(
                f"{s['split']}: {s['lost']:,} of {total:,} clips cannot be used; "
                f"training and evaluation stop there unless they are told --set data.max_bad_share={need:g}"
            )
    return out
