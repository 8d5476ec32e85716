"""Every answer of an LLM, kept in a file as it arrives: nothing paid for is lost, and a killed run goes on from it."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

from sfar.errors import SfarError

_FIELDS = {
    "key": str,
    "class": str,
    "raw": str,
    "problem": str,
    "attempt": int,
    "seconds": (int, float),
    "usage": (dict, type(None)),
}


class Journal:
    """JSON lines, one per answer; each has a ``key`` that says which question it answers.

    A line is on the disk before ``append`` returns. A last line cut off by a kill is kept as it is and skipped
    (``damaged`` counts such lines). Raises ``SfarError`` when the file cannot be read or written.
    """

    def __init__(self, path: Path):
        self.path = path
        self.damaged = 0
        self._lock = threading.Lock()
        self._entries: dict[str, list[dict[str, Any]]] = {}
        self._file: io.FileIO | None = None
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            raw = self.path.read_bytes()
        except OSError as e:
            raise SfarError(f"cannot read the journal {self.path}: {e.strerror}") from e
        for line in raw.split(b"\n"):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in _FIELDS.items()):
                self._entries.setdefault(entry["key"], []).append(entry)
            else:
                self.damaged += 1

    def answers(self, key: str) -> list[dict[str, Any]]:
        """The answers to one question so far, oldest first."""
        with self._lock:
            return list(self._entries.get(key, []))

    def open(self) -> None:
        """Make sure that answers can be written, before any is asked for."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            io.FileIO(self.path, "a").close()
        except OSError as e:
            raise SfarError(f"cannot write the journal {self.path}: {e.strerror}. Nothing was asked") from e

    def append(self, entry: dict[str, Any]) -> None:
        """Add an answer and force it to the disk."""
        line = json.dumps(entry) + "\n"  # in ASCII: an answer may hold half a character, which no UTF-8 can write
        with self._lock:
            try:
                if self._file is None:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    # Unbuffered: after a full disk nothing is left to be written at closing.
                    self._file = io.FileIO(self.path, "a")
                    if self._file.tell() and self._cut_off():
                        line = "\n" + line
                raw = line.encode("ascii")
                while raw:
                    raw = raw[self._file.write(raw) :]
                os.fsync(self._file.fileno())
            except OSError as e:
                raise SfarError(
                    f"cannot write the journal {self.path}: {e.strerror}. "
                    "Answers before this one are kept; make room and run again"
                ) from e
            self._entries.setdefault(entry["key"], []).append(entry)

    def _cut_off(self) -> bool:
        with open(self.path, "rb") as f:
            f.seek(-1, os.SEEK_END)
            return f.read(1) != b"\n"

    def close(self) -> None:
        """Close the file; reading goes on."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
