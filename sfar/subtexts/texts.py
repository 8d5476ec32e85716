"""Sets of sub-texts: the bundled bank, the groups compared in Fig. 7b, and files of the user's own, in one JSON format.

OST's spatio descriptors, four things or places that are seen in a class, are kept in the same format.

``{"label_set": str, "version": int, "provenance": ..., "sets": {"4": {class name: [four sub-texts]}}}``; a file may
hold sets of several N.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from sfar.errors import ConfigError
from sfar.util.paths import write_json

STEPS, SPATIO = "steps", "spatio"
# What the bundled texts of a class are, and the folder they lie in: its atomic actions, or what is seen of it.
KINDS = {STEPS: "bank", SPATIO: "spatio"}


def bank_names() -> tuple[str, ...]:
    """The label sets with bundled sub-texts."""
    return tuple(
        sorted(
            p.name.removesuffix(".json")
            for p in (files("sfar.subtexts") / "bank").iterdir()
            if p.name.endswith(".json")
        )
    )


def sizes(name: str) -> tuple[int, ...]:
    """The N of which a label set has bundled sub-texts, in order."""
    raw = (files("sfar.subtexts") / "bank" / f"{name}.json").read_bytes()
    return tuple(sorted(map(int, json.loads(raw)["sets"])))


def _is_text(x: str) -> bool:
    """Whether it can be written as UTF-8: JSON can spell half a character that no file can hold."""
    return not any("\ud800" <= c <= "\udfff" for c in x)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; one that names a class twice would silently lose the first."""
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [k for k, _ in pairs]
        raise ValueError(f"{next(k for k in names if names.count(k) > 1)!r} stands there twice")
    return out


class SubTexts(Mapping[str, tuple[str, ...]]):
    """The sub-texts {S_c,n} of every class c of a label set: a mapping class name -> N texts (section 3.1).

    ``n``: texts per class; ``label_set``; ``provenance``: who or what wrote them; ``version``: of the file;
    ``source``: where they were read, for messages.
    """

    def __init__(
        self,
        texts: Mapping[str, Sequence[str]],
        label_set: str,
        provenance: Any,
        version: int = 1,
        source: str = "these sub-texts",
        n: int | None = None,
    ):
        self.label_set, self.provenance, self.version, self.source = label_set, provenance, version, source
        counts = collections.Counter(len(t) for t in texts.values())
        if not counts:
            raise ConfigError(f"{source}: no class in it")
        self.n = counts.most_common(1)[0][0] if n is None else n
        for name, t in texts.items():
            good = not isinstance(t, str) and all(isinstance(x, str) and x.strip() and _is_text(x) for x in t)
            # The class name in place of sub-texts: the global text is all there is.
            alone = good and set(t) == {name}
            if not good or not self.n or (len(set(t)) != self.n and not alone) or len(t) != self.n:
                raise ConfigError(
                    f"{source}, class {name!r}: expected {self.n or 'some'} distinct non-empty texts, got {t!r}"[:300]
                )
        self._texts = {name: tuple(t) for name, t in texts.items()}

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return f"SubTexts({self.label_set!r}, {len(self)} classes, N={self.n})"

    @classmethod
    def load(cls, name: str | Path, n: int | None = None, kind: str = STEPS) -> SubTexts:
        """The bundled sub-texts of a label set (one of ``bank_names()``), or those of a JSON file.

        ``n``: texts per class where the file has several sets (default: 4, or the only set there is). ``kind``: which
        bundled texts, "steps" or OST's "spatio" descriptors (four a class; bare, without OST's template); a file's
        texts are what they are. Raises ``ConfigError`` for an unknown label set or kind, a missing or damaged file, an
        N that is not there, and a class without N distinct texts.
        """
        name = str(name)
        if kind not in KINDS:
            raise ConfigError(f"no kind of sub-texts is called {kind!r}: expected one of {', '.join(KINDS)}")
        if name in bank_names():
            source, raw = (
                f"the bundled {'sub-texts' if kind == STEPS else f'{kind} descriptors'} of {name!r}",
                (files("sfar.subtexts") / KINDS[kind] / f"{name}.json").read_bytes(),
            )
        elif name.endswith(".json"):
            source = name
            try:
                raw = Path(name).expanduser().read_bytes()
            except (OSError, RuntimeError, ValueError) as e:  # no such user for ~name, a NUL in the name
                raise ConfigError(f"cannot read sub-texts from {name}: {getattr(e, 'strerror', None) or e}") from e
        else:
            raise ConfigError(
                f"no bundled sub-texts for {name!r}: expected one of {', '.join(bank_names())}, the path of a .json "
                "file, or one of the storyboard world's groups (`sfar subtexts score` lists them)"
            )
        return cls.parse(raw, source, n)

    @classmethod
    def parse(cls, raw: bytes, source: str, n: int | None = None) -> SubTexts:
        """As ``load``, from the content of a file; ``source`` is named in messages."""
        shape = 'expected {"label_set": ..., "sets": {"4": {class name: [four texts]}}}'
        try:
            data = json.loads(raw, object_pairs_hook=_once)
            sets, label_set, version = data["sets"], data["label_set"], data.get("version", 1)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise ConfigError(f"{source} is no file of sub-texts ({type(e).__name__}: {e}): {shape}"[:500]) from e
        kinds = (
            isinstance(sets, dict)
            and sets
            and all(isinstance(s, dict) and k.isascii() and k.isdigit() and len(k) <= 3 for k, s in sets.items())
        )
        if not kinds or not isinstance(label_set, str) or not isinstance(version, int):
            raise ConfigError(f"{source} is no file of sub-texts: {shape}")
        for s in sets.values():
            for name, t in s.items():
                if not isinstance(t, list):
                    raise ConfigError(
                        f"{source}, class {name!r}: expected a list of texts, got {repr(t)[:100]}; {shape}"
                    )
        if n is None:
            n = 4 if "4" in sets or len(sets) > 1 else int(next(iter(sets)))
        if str(n) not in sets:
            raise ConfigError(f"{source} has N = {', '.join(sorted(sets))}, not {n} (model.n_subtexts)")
        return cls(sets[str(n)], label_set, data.get("provenance"), version, source, n)

    def save(self, path: str | Path) -> None:
        """Write the file format of this module, whole or not at all."""
        write_json(
            Path(path),
            {
                "label_set": self.label_set,
                "version": self.version,
                "provenance": self.provenance,
                "sets": {str(self.n): {name: list(t) for name, t in self.items()}},
            },
        )

    def only(self, names: Iterable[str]) -> SubTexts:
        """The sub-texts of some classes, in their order. Raises ``ConfigError`` for a class that is not there."""
        names = list(names)
        lacking = [name for name in names if name not in self]
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            raise ConfigError(f"{self.source}: no sub-texts for class {', '.join(map(repr, lacking[:3]))}{more}")
        return SubTexts(
            {name: self[name] for name in names}, self.label_set, self.provenance, self.version, self.source
        )
