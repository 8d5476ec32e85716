"""Sets of sub-texts: the bundled bank, the groups compared in Fig. 7b, and files of the user's own, in one JSON format.

``{"label_set": str, "version": int, "provenance": ..., "sets": {"4": {class name: [four sub-texts]}}}``; a file may hold sets of several N.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from sfar.errors import ConfigError
from sfar.paths import write_json


def bank_names() -> tuple[str, ...]:
    """The label sets with bundled sub-texts."""
    return tuple(sorted(p.name.removesuffix(".json") for p in (files("sfar.subtexts") / "bank").iterdir() if p.name.endswith(".json")))


class SubTexts(Mapping[str, tuple[str, ...]]):
    """The sub-texts {S_c,n} of every class c of a label set: a mapping class name -> N texts (section 3.1).

    ``n``: texts per class; ``label_set``; ``provenance``: who or what wrote them; ``version``: of the file;
    ``source``: where they were read, for messages.
    """

    def __init__(self, texts: Mapping[str, Iterable[str]], label_set: str, provenance: Any, version: int = 1, source: str = "these sub-texts"):
        self._texts = {name: tuple(t) for name, t in texts.items()}
        self.label_set, self.provenance, self.version, self.source = label_set, provenance, version, source
        counts = {len(t) for t in self._texts.values()}
        if len(counts) != 1:
            raise ConfigError(f"{source}: expected classes with the same number of sub-texts, got {sorted(counts) or 'no class'}")
        (self.n,) = counts
        for name, t in self._texts.items():
            if len(set(t)) != self.n or not self.n or not all(isinstance(x, str) and x.strip() for x in t):
                raise ConfigError(f"{source}, class {name!r}: expected {self.n} distinct non-empty texts, got {list(t)!r}")

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return f"SubTexts({self.label_set!r}, {len(self)} classes, N={self.n})"

    @classmethod
    def load(cls, name: str | Path, n: int | None = None) -> SubTexts:
        """The bundled sub-texts of a label set ("kinetics400", "ucf101", "hmdb51", "charades", "storyboard"), or those of a JSON file.

        ``n``: texts per class where the file has several sets (default: 4, or the only set there is). Raises ``ConfigError``
        for an unknown label set, a missing or damaged file, an N that is not there, and a class without N distinct texts.
        """
        name = str(name)
        if name in bank_names():
            source, raw = f"the bundled sub-texts of {name!r}", (files("sfar.subtexts") / "bank" / f"{name}.json").read_bytes()
        elif name.endswith(".json"):
            source = name
            try:
                raw = Path(name).expanduser().read_bytes()
            except OSError as e:
                raise ConfigError(f"cannot read sub-texts from {name}: {e.strerror}") from e
        else:
            raise ConfigError(f"no bundled sub-texts for {name!r}: expected one of {', '.join(bank_names())}, or the path of a .json file")
        return cls.parse(raw, source, n)

    @classmethod
    def parse(cls, raw: bytes, source: str, n: int | None = None) -> SubTexts:
        """As ``load``, from the content of a file; ``source`` is named in messages."""
        shape = 'expected {"label_set": ..., "sets": {"4": {class name: [four texts]}}}'
        try:
            data = json.loads(raw)
            sets = data["sets"]
            kinds = all(isinstance(s, dict) and all(isinstance(t, list) for t in s.values()) and k.isdigit() for k, s in sets.items())
            label_set = data["label_set"]
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise ConfigError(f"{source} is no file of sub-texts ({type(e).__name__}: {e}): {shape}") from e
        if not kinds or not sets:
            raise ConfigError(f"{source} is no file of sub-texts: {shape}")
        if n is None:
            n = 4 if "4" in sets or len(sets) > 1 else int(next(iter(sets)))
        if str(n) not in sets:
            raise ConfigError(f"{source} has N = {', '.join(sorted(sets))}, not {n} (model.n_subtexts)")
        out = cls(sets[str(n)], label_set, data.get("provenance"), data.get("version", 1), source)
        if out.n != n:
            raise ConfigError(f"{source}: the classes under N = {n} have {out.n} sub-texts")
        return out

    def save(self, path: str | Path) -> None:
        """Write the file format of this module, whole or not at all."""
        write_json(Path(path), {"label_set": self.label_set, "version": self.version, "provenance": self.provenance,
                                "sets": {str(self.n): {name: list(t) for name, t in self.items()}}})

    def only(self, names: Iterable[str]) -> SubTexts:
        """The sub-texts of some classes, in their order. Raises ``ConfigError`` for a class that is not there."""
        names = list(names)
        lacking = [name for name in names if name not in self]
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            raise ConfigError(f"{self.source}: no sub-texts for class {', '.join(map(repr, lacking[:3]))}{more}")
        return SubTexts({name: self[name] for name in names}, self.label_set, self.provenance, self.version, self.source)
