"""Few-shot lists: K training clips of every class, drawn once from a seed or read from a file.

BIKE's train.py draws them with Python's ``random``, which it does not seed, so that no list comes twice and each
process of a distributed run has its own. Here a clip's rank is the SHA-256 of seed and relative path: the same list on
any machine and in any file order, and K=2 lies inside K=4. The X-CLIP family (X-CLIP, ViFi-CLIP, OST, TC-CLIP) has
fixed lists, one draw for HMDB-51 and UCF-101 each, not nested; ``load_list`` reads them. Another layout of the same
videos has other paths and so another list: save the list and load it there, files are then found by name.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from sfar.data.disk import SEPARATORS, absent, stem, unquoted
from sfar.data.manifest import Clip, Manifest, inside
from sfar.errors import ConfigError, DataError
from sfar.util.paths import write_json

# What the first line of a list may have in place of a video, without signs and spaces: names of columns.
HEADER = frozenset(
    re.findall(
        r"\w+",
        "path file files filename name video videos videoname videopath videoid id clip label labels labelid class "
        "classid classname category action target frames numframes nframes totalframes length",
    )
)
_FIELDS = {"dataset": str, "split": str, "shots": int, "seed": int, "classes": list, "clips": dict, "sha256": str}


def choose(manifest: Manifest, shots: int, seed: int = 0) -> Manifest:
    """``shots`` clips of every class of a training manifest.

    Those with the smallest SHA-256 of "seed, line feed, path" (UTF-8, NFC). Of parts of videos start and end in seconds
    follow, a line each, as Python prints the float; a class takes at most one part of a video, so its clips are of
    different videos. The clips keep the manifest's order; ``missing`` and ``unused`` are empty.

    Raises ``DataError`` for a class with fewer than ``shots`` videos (named, with the number found) and for clips
    without one single class; ``ConfigError`` for a manifest that is not of a training split, ``shots`` below 1, a
    negative seed.
    """
    _whole("shots", shots, 1)
    _whole("seed", seed, 0)
    return _subset(manifest, _draw(manifest, shots, str(seed)))


def union(manifest: Manifest, shots: int, draws: int, seed: int = 0) -> Manifest:
    """The clips of ``draws`` independent draws of ``shots`` per class together, each once, in the manifest's order.

    This is what BIKE's unseeded draw in each of ``draws`` processes amounts to: up to ``draws`` x ``shots`` clips of a
    class. The first draw is ``choose``'s; draw d hashes "seed.d" in place of the seed. Errors as ``choose``, and
    ``ConfigError`` for ``draws`` below 1.
    """
    _whole("shots", shots, 1)
    _whole("draws", draws, 1)
    _whole("seed", seed, 0)
    return _subset(
        manifest, set().union(*(_draw(manifest, shots, f"{seed}.{d}" if d else str(seed)) for d in range(draws)))
    )


def repeats(full: int, chosen: int) -> int:
    """How often BIKE's train.py repeats a list of ``chosen`` clips: floor of ``full`` / ``chosen``, at least 1.

    An epoch is then about as long as with all ``full`` clips. Raises ``ConfigError`` for numbers that cannot be.
    """
    _whole("chosen clips", chosen, 1)
    _whole("clips of the full list", full, 0)
    return max(1, full // chosen)


def content(manifest: Manifest) -> list[list[Any]]:
    """What identifies the clips, in order, for the key of a cache.

    [path, label], of parts [path, label, start, end]; of multi-label videos their labels behind that.
    """
    return [
        [c.path, c.label, *((c.start, c.end) if _part(c) else ()), *((list(c.labels),) if manifest.multi_label else ())]
        for c in manifest.clips
    ]


def shots_of(manifest: Manifest) -> int:
    """K of a few-shot manifest: the number of clips of each class.

    Raises ``DataError`` naming two classes where it is not the same for all.
    """
    count = [0] * len(manifest.classes)
    for clip in manifest.clips:
        count[_label(manifest, clip)] += 1
    low, high = min(count, default=0), max(count, default=0)
    if low != high or not high:
        few, many = (manifest.classes[count.index(n)] if count else "" for n in (low, high))
        raise DataError(
            f"not a few-shot list: class {few!r} has {low} clips"
            + (f" and class {many!r} {high}" if high else "")
            + "; every class needs the same number, at least 1"
        )
    return high


def save_list(path: Path, manifest: Manifest, shots: int, seed: int) -> None:
    """Write the chosen ``manifest`` as JSON, whole or not at all.

    It has data set, split, shots, seed, class names, clips by class and SHA-256. A clip is its path, a part [path,
    start, end]. The hash is over all other fields as JSON with sorted keys, without spaces, in UTF-8. Raises
    ``DataError`` where the manifest does not have ``shots`` clips of every class, ``SfarError`` when it cannot be
    written.
    """
    _whole("shots", shots, 1)
    _whole("seed", seed, 0)
    if (found := shots_of(manifest)) != shots:
        raise DataError(
            f"{path}: the list to be written has {found} clips per class, not {shots}; "
            "give the manifest that choose returned"
        )
    if len(set(manifest.classes)) < len(manifest.classes):
        raise DataError(f"{path}: two classes have the same name; a list by class cannot be written")
    clips: dict[str, list[Any]] = {name: [] for name in manifest.classes}
    for clip in manifest.clips:
        clips[manifest.classes[clip.label]].append([clip.path, clip.start, clip.end] if _part(clip) else clip.path)
    body = {
        "dataset": manifest.name,
        "split": manifest.split,
        "shots": shots,
        "seed": seed,
        "classes": list(manifest.classes),
        "clips": clips,
    }
    write_json(Path(path), {**body, "sha256": _digest(body)})


def load_list(path: str | Path, manifest: Manifest) -> Manifest:
    """The clips of a training ``manifest`` that a few-shot list names, in the manifest's order.

    ``shots_of`` gives its K. The list: JSON as ``save_list`` writes it, or text as the X-CLIP family's
    ``datasets_splits/*/train1_few_shot_K.txt``: a video and its class per line, the class as a number from 0 in the
    order of the manifest's classes or as a name (upper case, spaces and underscores do not matter). Between them may be
    numbers of frames, as BIKE's and mmaction2's lists of extracted frames have them. Fields are parted by blanks, or as
    in a csv file, with or without a header; line ends of any system. A path that the manifest does not have is looked
    up by file name, then by file name without ending, for copies in other folders or as extracted frames.

    Raises ``DataError`` naming file and line or entry: a file that cannot be read, JSON that is not such a list, was
    changed after it was written or belongs to another data set, a video that the manifest does not have or the disk
    lacks, another class than the manifest's, several videos of that name, a video listed twice, classes with different
    numbers of clips.
    """
    path = Path(path)
    _training(manifest)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: {absent(path)}; give the path of a few-shot list (data.shot_list)") from None
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(
            f"{path}: cannot be read as a text file in UTF-8 ({e}); give the path of a few-shot list (data.shot_list)"
        ) from None
    shots, entries = (
        _json_entries(path, text, manifest)
        if text.lstrip().startswith("{")
        else (None, _text_entries(path, text, manifest))
    )
    names, chosen = _Names(manifest), {}
    for where, listed, label, times in entries:
        i = names.find(where, listed, label, times)
        if i in chosen:
            raise DataError(f"{where}: {listed} is listed already: {chosen[i]}; keep one of them")
        chosen[i] = where
    out = _subset(manifest, chosen)
    try:
        found = shots_of(out)
    except DataError as e:
        raise DataError(f"{path}: {e}") from None
    if shots not in (None, found):
        raise DataError(f"{path}: says {shots} shots and lists {found} clips per class; write the list again")
    return out


def _draw(manifest: Manifest, shots: int, seed: str) -> set[int]:
    """Indices of the clips that one draw chooses."""
    _training(manifest)
    by_class: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for i, clip in enumerate(manifest.clips):
        by_class[clip.label].append((_rank(seed, clip), i))
    out: set[int] = set()
    for k, name in enumerate(manifest.classes):
        videos: dict[str, int] = {}  # the first clip, by rank, of each video
        for _, i in sorted(by_class[k]):
            videos.setdefault(manifest.clips[i].path, i)
        if len(videos) < shots:
            lost = (
                f"; {len(manifest.missing)} videos of the list are not on disk, get them"
                if manifest.missing
                else "; get the whole data set"
            )
            raise DataError(
                f"{manifest.root}: class {name!r} has {len(videos)} videos in the {manifest.split} split of "
                f"{manifest.name}, {shots} shots need {shots}{lost} or ask for fewer shots (data.shots)"
            )
        out.update(list(videos.values())[:shots])
    return out


def _rank(seed: str, clip: Clip) -> str:
    lines = [seed, unicodedata.normalize("NFC", clip.path.replace("\\", "/"))]
    if _part(clip):
        lines += ["" if t is None else repr(float(t)) for t in (clip.start, clip.end)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _part(clip: Clip) -> bool:
    return clip.start is not None or clip.end is not None


def _subset(manifest: Manifest, chosen: Iterable[int]) -> Manifest:
    return replace(manifest, clips=tuple(manifest.clips[i] for i in sorted(chosen)), missing=(), unused=())


def _training(manifest: Manifest) -> None:
    if not manifest.split.startswith("train"):
        raise ConfigError(
            f"few-shot clips are chosen from the training split, got the {manifest.split} split of {manifest.name}"
        )
    for clip in manifest.clips:
        _label(manifest, clip)


def _label(manifest: Manifest, clip: Clip) -> int:
    if not 0 <= clip.label < len(manifest.classes) or len(clip.labels) > 1:
        raise DataError(
            f"{manifest.root / clip.path}: has the labels {list(clip.labels) or clip.label}; "
            "a few-shot list needs clips of one class each, as the segments of a multi-label training split are"
        )
    return clip.label


def _whole(what: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"few-shot: {what} must be a whole number of at least {low}, got {value!r}")


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(
        json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    ).hexdigest()


def _json_entries(path: Path, text: str, manifest: Manifest) -> tuple[int, list[tuple[str, str, int, tuple | None]]]:
    """K, and (where, path, label, times) of every clip of a list that ``save_list`` wrote."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise DataError(f"{path}: begins as JSON and is not ({e}); write the list again") from None
    for name, kind in _FIELDS.items():
        if not isinstance(data.get(name), kind):
            raise DataError(
                f"{path}: field {name!r} is missing or no {kind.__name__}; "
                f"expected a list as this program writes it, with {', '.join(_FIELDS)}"
            )
    body = {name: value for name, value in data.items() if name != "sha256"}
    if (found := _digest(body)) != data["sha256"]:
        raise DataError(
            f"{path}: was changed after it was written: its content has SHA-256 {found[:12]}..., the file says "
            f"{data['sha256'][:12]}...; "
            "write the list again, or give a list of your own as text (a video and its class per line)"
        )
    for name, here in (("dataset", manifest.name), ("split", manifest.split), ("classes", list(manifest.classes))):
        if data[name] != here:
            raise DataError(
                f"{path}: is a list for {name} {str(data[name])[:60]!r}, the videos are of {str(here)[:60]!r}; "
                "give the list that belongs to this data set"
            )
    out = []
    for label, name in enumerate(manifest.classes):
        entries = data["clips"].get(name, [])
        for n, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
            where = f"{path}, class {name!r}, entry {n}"
            if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str):
                out.append((where, inside(where, entry[0]), label, (entry[1], entry[2])))
            elif isinstance(entry, str):
                out.append((where, inside(where, entry), label, None))
            else:
                raise DataError(f"{where}: expected a path or [path, start, end], got {entry!r}")
    return data["shots"], out


def _text_entries(path: Path, text: str, manifest: Manifest) -> list[tuple[str, str, int, tuple | None]]:
    """(where, path, label, None) of every line: "path label", with numbers of frames between them or not.

    Fields are parted by blanks, or as in a csv file, with or without a header. HMDB-51 has names that begin with "#":
    there are no comments.
    """
    numbers = {_folded(name): k for k, name in enumerate(manifest.classes)}
    out = []
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path} line {n}"
        parted = _csv_fields(line, numbers) or _words(line, numbers)
        if parted is None:
            if not out and all(_folded(word) in HEADER for word in re.split(r"[,;|\s]+", line.strip())):
                continue
            raise DataError(
                f"{where}: {line.strip()!r} does not end with a class; "
                f"expected a video and its class, as a number from 0 or a class name of {manifest.name}"
            )
        listed, last = parted
        label = int(last) if _number(last) else numbers[_folded(last)]
        if label >= len(manifest.classes):
            raise DataError(
                f"{where}: label {label}; {manifest.name} has {len(manifest.classes)} classes, numbered from 0 to "
                f"{len(manifest.classes) - 1}"
            )
        out.append((where, inside(where, unquoted(listed)), label, None))
    if not out:
        raise DataError(f"{path}: names no video; expected lines with a video and its class")
    return out


def _csv_fields(line: str, numbers: Collection[str]) -> tuple[str, str] | None:
    """(path, class) of a line of a csv file; None for a line that is none: file names may have commas too."""
    for separator in SEPARATORS:
        fields = [f.strip() for f in next(csv.reader([line.strip()], delimiter=separator, skipinitialspace=True))]
        if len(fields) > 1 and fields[0] and (_number(fields[-1]) or _folded(fields[-1]) in numbers):
            if all(map(_number, fields[1:-1])):
                return fields[0], fields[-1]
            return separator.join(fields[:-1]), fields[-1]
    return None


def _words(line: str, numbers: Collection[str]) -> tuple[str, str] | None:
    """(path, class) of a line whose fields are parted by blanks; None where it does not end with a class."""
    words = line.split()
    end = 1 if len(words) > 1 and _number(words[-1]) else 0
    if not end:  # names may have spaces, and so may files: the longest end of the line that is a class name
        end = next((len(words) - i for i in range(1, len(words)) if _folded("".join(words[i:])) in numbers), 0)
    return (line.rstrip().rsplit(None, end)[0], " ".join(words[-end:])) if end else None


def _number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10


def _folded(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", name).casefold() if c.isalnum())


class _Names:
    """Finds a listed video among a manifest's clips: by path, by file name, by file name without ending."""

    def __init__(self, manifest: Manifest):
        self.manifest = manifest
        self.tables: tuple[dict[str, list[int]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
        for i, clip in enumerate(manifest.clips):
            pure = PurePosixPath(clip.path)
            keys = clip.path, pure.name, stem(pure.name) if _part(clip) else clip.video_id  # a part's id names the part
            for table, key in zip(self.tables, keys, strict=True):
                table[unicodedata.normalize("NFC", key)].append(i)

    def find(self, where: str, listed: str, label: int, times: tuple | None) -> int:
        """Index of the one clip of this path, class and (``times``, of parts) start and end.

        Raises ``DataError``, which begins with ``where``.
        """
        m = self.manifest
        names, same = [unicodedata.normalize("NFC", listed)], []
        while numbered := re.fullmatch(
            r"(.*\S)\s+\d+", names[-1]
        ):  # a number of frames, where it is no part of the name
            names.append(numbered[1])
        for pure in map(PurePosixPath, names):
            keys = str(pure), pure.name, pure.name, stem(pure.name)
            tables = (*self.tables, self.tables[-1])
            if same := next((found for table, key in zip(tables, keys, strict=True) if (found := table.get(key))), []):
                break
        if not same:
            asked = {n for name in names for n in (PurePosixPath(name).name, stem(PurePosixPath(name).name))}
            for path in m.missing:
                lost = PurePosixPath(unicodedata.normalize("NFC", path)).name
                if {lost, stem(lost)} & asked:
                    raise DataError(
                        f"{where}: {listed} is not on disk (expected {m.root / path}); "
                        "get it again, or choose another list"
                    )
            raise DataError(
                f"{where}: {listed} is not among the {len(m.clips)} videos of the {m.split} split of {m.name}; "
                "give a list for this data set and split"
            )
        fits = [i for i in same if m.clips[i].label == label]
        if not fits:
            raise DataError(
                f"{where}: {listed} is listed as class {label} ({m.classes[label]!r}), the data set says "
                f"{m.clips[same[0]].label} ({m.classes[m.clips[same[0]].label]!r}); "
                "numbers count from 0 in the data set's order of classes"
            )
        if times is not None:
            # A segment that the data set has twice is one clip.
            fits = [i for i in fits if (m.clips[i].start, m.clips[i].end) == times][:1]
            if not fits:
                raise DataError(
                    f"{where}: {listed} has no part of class {m.classes[label]!r} from {times[0]} to {times[1]} "
                    "seconds; give a list for this release of the data set"
                )
        if len(fits) > 1:
            raise DataError(
                f"{where}: {listed} could be {len(fits)} clips "
                f"({', '.join(sorted({m.clips[i].path for i in fits})[:3])}); "
                "give the path below the data root, or for parts of videos a list that this program saved"
            )
        return fits[0]
