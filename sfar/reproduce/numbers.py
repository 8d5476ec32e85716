"""Numbers in README.md and DEVIATIONS.md that come from records: written there by ``sfar summary``, and a test finds one that is old.

In the text a number stands between ``<!--= SPEC -->`` and ``<!--/-->``, which a reader does not see. A SPEC is one of

- ``RECORD: A - B``, a difference of the record's own; ``RECORD claim: WORDS``, of the claim that begins with these words; ``RECORD verdict: WORDS``, whether it holds
- ``table1 rows``, the table; ``table1 on relevant frames: KIND``, per cent of the weight of an importance, or ``uniform``
- ``fig7b r2: READING, WHICH`` and ``fig7b rho: READING, WHICH``; ``fig7b top1: GROUP``

Readings of DEVIATIONS.md need no marks: they are found by their title (``ablations`` record).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from sfar.errors import SfarError
from sfar.studies import table1_page
from sfar.util import paths

FILES = ("README.md", "DEVIATIONS.md")
_MARK = re.compile(r"(<!--= (.*?) -->)(.*?)(<!--/-->)", re.DOTALL)
_NUMBERS = r"[+-]\d+\.\d \([+-]\d+\.\d to [+-]\d+\.\d\)"


@lru_cache(maxsize=None)
def _record(name: str, stamp: int) -> dict[str, Any]:
    return json.loads(_path(name).read_text(encoding="utf-8"))


def _path(name: str) -> Path:
    return paths.results("storyboard") / f"{name}.json"


def _load(name: str) -> dict[str, Any]:
    if not _path(name).is_file():
        raise SfarError(f"no record {_path(name)}: `make reproduce` makes it")
    return _record(name, _path(name).stat().st_mtime_ns)


def _one(found: list[Any], spec: str) -> Any:
    if len(found) != 1:
        raise SfarError(f"<!--= {spec} -->: {len(found)} entries of the record fit, expected one")
    return found[0]


def _interval(x: dict[str, Any]) -> str:
    return f"{x['mean']:+.1f} ({x['low']:+.1f} to {x['high']:+.1f})"


def value(spec: str) -> str:
    """What a mark stands for. Raises ``SfarError`` for a SPEC that names nothing, or more than one thing."""
    head, _, rest = spec.partition(": ")
    name, _, what = head.partition(" ")
    record = _load(name)
    if what in ("claim", "verdict"):
        c = _one([c for c in record["claims"] if c["claim"].startswith(rest)], spec)
        digits = (
            _interval(c)
            if c["unit"].startswith("points")
            else f"{c['mean']:+.2f} ({c['low']:+.2f} to {c['high']:+.2f})"
        )
        return c["verdict"] if what == "verdict" else digits
    if name == "table1" and what == "rows":
        return "\n" + table1_page.measured_markdown(record) + "\n"
    if name == "table1" and what == "on relevant frames":
        found = record["importance"][rest]
        return f"{found['mass'] if isinstance(found, dict) else found:.0f} %"
    if name == "fig7b" and what in ("r2", "rho"):
        reading, which = rest.split(", ")
        c = _one(
            [c for c in record["correlations"] if (c["reading"], c["which"], c["x"]) == (reading, which, "TPP")], spec
        )[what]
        return f"{c['value']:.2f}, 95 % interval {c['low']:.2f} to {c['high']:.2f}"
    if name == "fig7b" and what == "top1":
        return f"{_one([g for g in record['groups'] if g['name'] == rest], spec)['top1']['mean']:.1f} %"
    if not what and " - " in rest:
        a, b = rest.split(" - ")
        return _interval(_one([d for d in record["differences"] if (d.get("name"), d["against"]) == (a, b)], spec))
    raise SfarError(f"<!--= {spec} -->: not a number that sfar/reproduce/numbers.py knows")


def _readings(text: str) -> str:
    """The measured effects of open readings, by their titles."""
    for r in _load("ablations")["readings"]:
        text = re.sub(
            re.escape(r["title"]) + ": " + _NUMBERS, lambda _, r=r: f"{r['title']}: {_interval(r['difference'])}", text
        )
    return text


def refreshed(text: str, name: str) -> str:
    """``text`` of the file ``name`` with every number as the records have it."""
    text = _MARK.sub(lambda m: m[1] + value(m[2]) + m[4], text)
    return _readings(text) if name == "DEVIATIONS.md" else text


def write() -> list[Path]:
    """Bring both files up to date; those that changed."""
    out = []
    for name in FILES:
        path = paths.of_repository(name)
        old = path.read_text(encoding="utf-8")
        new = refreshed(old, name)
        if new != old:
            paths.write_atomic(path, new)
            out.append(path)
    return out
