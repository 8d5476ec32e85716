"""Class names from a file: names alone, or the label files of the field, with ids, a header, quotes or comments.

Every name is sent to a language model and paid for, so a form that leaves doubt is refused with the line in question.
Read are: one name a line; ``1 ApplyEyeMakeup`` (UCF-101's classInd.txt), ``0,abseiling``, ``abseiling 0``;
``c000 Holding some clothes`` (Charades); a table whose header names its columns (``id,name``); lists in JSON.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NoReturn

from sfar.data.labels import words
from sfar.errors import ConfigError

_WANTED = 'expected one class name a line and nothing else; a name in "quotation marks" is taken as it stands'
# Columns of label files, lower case: which holds the names (the first that is there), and which are numbers or codes.
_NAMES = ("name", "names", "class_name", "classname", "class name", "label_name", "display_name", "class", "classes")
_NAMES += ("action", "activity", "category", "label", "labels")
_OTHERS = {"id", "ids", "index", "idx", "class_id", "classid", "class id", "label_id", "number", "no", "no.", "#", ""}
_LISTS = ("classes", "class_names", "labels", "names", "categories", "id2label", "label2id")

_SEPARATOR = r"(?:(?P<strong>\s*[,;|\t=、，：]\s*|\s*:\s+)|\s*[.)\]．）]\s+|[.)\]．）](?=[^\W\d])|\s+[-–—]\s+|\s+)"
_NUMBERED = re.compile(rf"[\[(]?(?P<id>\d{{1,4}}){_SEPARATOR}(?P<name>\S.*)")
_CODED = re.compile(rf"(?P<prefix>[A-Za-z]{{1,3}})(?P<id>\d{{1,8}}){_SEPARATOR}(?P<name>\S.*)")
_BEHIND = re.compile(r"(?P<name>\S.*?)(?:(?P<strong>\s*[,;|\t=:]\s*)|\s+)(?P<id>\d{1,4})")
_ID = re.compile(r"[A-Za-z]{0,3}\d{1,8}")
_QUOTED = re.compile(r"(?:\"(?P<a>[^\"]+)\"|'(?P<b>[^']+)')\s*,?")
_COMMENT = re.compile(r"#|//|%|;")
_VIDEO = re.compile(r"\.(?:avi|mp4|mkv|webm|mov|m4v)\b|^\S*/\S+(?:\s+\d+){1,2}$", re.IGNORECASE)


def read(path: Path) -> tuple[list[str], list[str]]:
    """The class names in a file, in its order, and notes on what was left out of its lines.

    Raises ``ConfigError`` that names the line for a file in which it is not clear what the names are.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(
            f"--classes {path}: cannot be read as text ({e}); expected UTF-8 with one class name a line"
        ) from e
    lines = [(k, line.strip()) for k, line in enumerate(text.splitlines(), 1) if line.strip()]
    for k, line in lines:
        if "\0" in line:
            _refuse(path, k, line, "is no text in UTF-8")
    if not lines:
        return [], []
    k, first = lines[0]
    if re.match(r"<!doctype|<html|<\?xml|version https://git-lfs", first, re.IGNORECASE):
        _refuse(path, k, first, "is a web page or a pointer, not the file itself")
    if first[0] in "[{" and not re.match(r"\[\d+\]\s*\w", first):
        return _from_json(path, text.strip("\ufeff"), k, first), []
    kept = [(k, line) for k, line in lines if not _COMMENT.match(line)]
    notes = [f"{len(lines) - len(kept)} comment lines are left out"] if len(kept) < len(lines) else []
    names, more = _names(path, kept) if kept else ([], [])
    return names, notes + more


def _refuse(path: Path, k: int, line: str, why: str) -> NoReturn:
    raise ConfigError(f"--classes {path}, line {k}: {line[:80]!r} {why}; {_WANTED}")


def _names(path: Path, lines: list[tuple[int, str]]) -> tuple[list[str], list[str]]:
    """The names in the lines of a file, and notes."""
    for k, line in lines:
        if _VIDEO.search(line):
            _refuse(path, k, line, "names a video, so this is a list of videos")
        if re.match(r"\w+\s*=\s*[\[({]|(?:def|class)\s+\w+\s*[(:]", line) or re.search(r"\S\s+#\s", line):
            _refuse(path, k, line, "is code, or has a comment behind the name")
        if re.fullmatch(r"\d+|[-=]{3,}", line):
            _refuse(path, k, line, "is no name")
    if (table := _table(path, lines)) is not None:
        return table
    if quoted := [m for _, line in lines if (m := _QUOTED.fullmatch(line))]:
        if len(quoted) == len(lines):
            return [(m["a"] or m["b"]).strip() for m in quoted], []
        lines = [(k, m["a"] or m["b"] if (m := _QUOTED.fullmatch(line)) else line) for k, line in lines]
        return [line for _, line in lines], []
    if len(lines) > 1 and all(re.match(r"[-*•]\s+\S", line) for _, line in lines):
        lines = [(k, line[1:].strip()) for k, line in lines]
    for form in (_NUMBERED, _CODED, _BEHIND):
        if (found := _without_ids(path, lines, form)) is not None:
            return found, [f"ids are left out: {lines[0][1]!r} is read as {found[0]!r}"]
    (k, first), texts = lines[0], [line for _, line in lines]
    for mark, name in (("\t", "tabs"), (",", "commas"), (";", "semicolons")):
        counts = {t.count(mark) for t in texts}
        if len(counts) == 1 and counts != {0}:
            _refuse(path, k, first, f"has several parts between {name}")
    return texts, _as_readers_say(texts)


def _as_readers_say(names: list[str]) -> list[str]:
    """A note where names are written as folders are, and the data set's reader calls the classes otherwise."""
    odd = [n for n in names if "_" in n or (" " not in n and words(n) != n.lower())]
    if len(odd) * 2 <= len(names):
        return []
    spoken = words(odd[0]).replace("_", " ")
    return [f"names are taken as they stand; the readers of data sets call {odd[0]!r} {spoken!r}"]


def _without_ids(path: Path, lines: list[tuple[int, str]], form: re.Pattern[str]) -> list[str] | None:
    """The names without ids of one form; None where the lines have none.

    Ids are distinct numbers behind a separator that no name has, or all of 0 to K - 1, or 1 to K; or codes of one
    width. Raises ``ConfigError`` for numbers that may be part of the names, and for ids in most lines but not in all.
    """
    found = [(k, line, form.fullmatch(line)) for k, line in lines]
    having = [(k, line, m) for k, line, m in found if m]
    if len(having) * 2 <= len(lines):
        return None
    ids = [m["id"] for _, _, m in having]
    numbers = {int(i) for i in ids}
    counted = len(numbers) == len(lines) > 1 and numbers in (set(range(len(lines))), set(range(1, len(lines) + 1)))
    if form is _CODED:
        one = len({m["prefix"] for _, _, m in having}) == 1
        if not one or not (counted or (len({len(i) for i in ids}) == 1 and len(ids[0]) > 2)):
            return None
        counted = len(numbers) == len(having)
    k, line, _ = having[0]
    if form is _BEHIND and (len(having) < len(lines) or len({m["name"] for _, _, m in having}) < len(having)):
        return None  # "level 1", "level 2"
    if len(having) < len(lines):
        k, line, _ = next(f for f in found if not f[2])
        _refuse(path, k, line, "has no number, while most lines have one")
    strong = all(m["strong"] for _, _, m in having) and len(numbers) == len(lines)
    if not (counted or strong) or len({m["name"] for _, _, m in having}) < len(lines):
        _refuse(path, k, line, "has a number that may be an id or part of the name")
    for k, line, m in having:
        if all(_ID.fullmatch(word) for word in m["name"].split()):
            _refuse(path, k, line, "has numbers and no name")
    unquoted = [_QUOTED.fullmatch(m["name"].rstrip(" ,")) or m["name"].rstrip(" ,") for _, _, m in having]
    return [u if isinstance(u, str) else u["a"] or u["b"] for u in unquoted]


def _table(path: Path, lines: list[tuple[int, str]]) -> tuple[list[str], list[str]] | None:
    """The names of a table with a header, and notes; None where the first line is no header.

    Raises ``ConfigError`` for a header without a column of names, or with others than ids beside it.
    """
    (k, header), rows = lines[0], lines[1:]
    for mark in (",", "\t", ";", "|", None):
        columns = [c.strip(" '\"").lower() for c in (header.split(mark) if mark else header.split())]
        known = [c in _OTHERS or c in _NAMES for c in columns]
        if (len(columns) > 1 and sum(known) > 1) or (all(known) and any(c in _NAMES for c in columns)):
            break
        if mark and len(columns) > 2 and any(known) and rows and all(mark in line for _, line in rows):
            break  # a table of videos, with a column of labels
    else:
        return None
    at = min((i for i, c in enumerate(columns) if c in _NAMES), key=lambda i: _NAMES.index(columns[i]), default=None)
    if at is None or not rows:
        _refuse(path, k, header, "is the header of a table without class names")
    names = []
    for number, line in rows:
        if mark:
            cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        else:  # blanks: those of the name stay
            cells = line.split(None, len(columns) - 1) if at else line.rsplit(None, len(columns) - 1)
        if at == len(columns) - 1 < len(cells) - 1 and '"' not in line:
            cells = line.split(mark, at)  # a name with the separator in it
        cells = [c.strip() for c in cells]
        if len(cells) != len(columns) or not cells[at]:
            _refuse(path, number, line, f"has not the {len(columns)} columns of the header {header!r}")
        if not all(_ID.fullmatch(c) or not c for i, c in enumerate(cells) if i != at):
            _refuse(path, k, header, "is the header of a table with more than ids and class names")
        names.append(cells[at].strip("\"'") or cells[at])
    return names, [f"the column {columns[at]!r} of {header!r} is read"]


def _from_json(path: Path, text: str, k: int, first: str) -> list[str]:
    """The names in JSON.

    A list of them, ``{name: id}``, ``{id: name}``, ``[{"id": 0, "name": ...}]``, or one of these under a key such as
    "labels". Raises ``ConfigError`` for anything else.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        _refuse(path, k, first, "begins like JSON and is none")
    if isinstance(data, dict):
        data = next((data[key] for key in _LISTS if isinstance(data.get(key), list | dict)), data)
    names = _json_names(data)
    if not names or not all(isinstance(n, str) and n.strip() and not _ID.fullmatch(n) for n in names):
        _refuse(path, k, first, "begins JSON in which it is not clear what the class names are")
    return [n.strip().strip('"') for n in names]


def _json_names(data: Any) -> list[Any] | None:
    if isinstance(data, list) and data and all(isinstance(d, dict) for d in data):
        key = next((key for key in _NAMES if all(key in d for d in data)), None)
        return [d[key] for d in data] if key else None
    if isinstance(data, list):
        return data
    if not isinstance(data, dict):
        return None
    if all(k.isdecimal() for k in data):
        return [data[k] for k in sorted(data, key=int)]
    ids = [v if isinstance(v, int) else int(v) if isinstance(v, str) and v.isdecimal() else None for v in data.values()]
    if None in ids or len(set(ids)) < len(ids):
        return None
    return [name for _, name in sorted(zip(ids, data, strict=True))]
