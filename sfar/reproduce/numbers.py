"""Numbers of records in README.md and DEVIATIONS.md: ``sfar summary`` writes them, and a test finds one that is old.

DEVIATIONS.md is made as a whole (``sfar/paper/deviations.py``), with ``effect_of`` for the measured effects. In
README.md a number stands between ``<!--= SPEC -->`` and ``<!--/-->``, which a reader does not see. A SPEC is one of

- ``RECORD: A - B``, a difference of the record's own; ``RECORD claim: WORDS``, of the claim that begins with these
  words; ``RECORD verdict: WORDS``, whether it holds
- ``table1 rows``, the table; ``table1 on relevant frames: KIND``, per cent of the weight of an importance, or
  ``uniform``
- ``fig7b r2: READING, WHICH`` and ``fig7b rho: READING, WHICH``; ``fig7b top1: GROUP``
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from sfar.errors import SfarError
from sfar.paper import deviations
from sfar.settings import Measured
from sfar.studies import table1_page
from sfar.util import paths

_MARK = re.compile(r"(<!--= (.*?) -->)(.*?)(<!--/-->)", re.DOTALL)


@cache
def _record(name: str, stamp: int) -> dict[str, Any]:
    return json.loads(_path(name).read_text(encoding="utf-8"))


def _path(name: str) -> Path:
    return paths.results("storyboard") / f"{name}.json"


def _load(name: str) -> dict[str, Any]:
    if not _path(name).is_file():
        raise SfarError(f"no record {_path(name)}: `make reproduce` makes it")
    return _record(name, _path(name).stat().st_mtime_ns)


def _one(found: list[Any], what: str) -> Any:
    if len(found) != 1:
        raise SfarError(f"{what}: {len(found)} entries of the record fit, expected one")
    return found[0]


def _interval(x: dict[str, Any]) -> str:
    return f"{x['mean']:+.1f} ({x['low']:+.1f} to {x['high']:+.1f})"


def value(spec: str) -> str:
    """What a mark stands for. Raises ``SfarError`` for a SPEC that names nothing, or more than one thing."""
    mark = f"<!--= {spec} -->"
    head, _, rest = spec.partition(": ")
    name, _, what = head.partition(" ")
    record = _load(name)
    if what in ("claim", "verdict"):
        c = _one([c for c in record["claims"] if c["claim"].startswith(rest)], mark)
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
            [c for c in record["correlations"] if (c["reading"], c["which"], c["x"]) == (reading, which, "TPP")], mark
        )[what]
        return f"{c['value']:.2f}, 95 % interval {c['low']:.2f} to {c['high']:.2f}"
    if name == "fig7b" and what == "top1":
        return f"{_one([g for g in record['groups'] if g['name'] == rest], mark)['top1']['mean']:.1f} %"
    if not what and " - " in rest:
        a, b = rest.split(" - ")
        return _difference(record, (a, b), mark)
    raise SfarError(f"{mark}: not a number that sfar/reproduce/numbers.py knows")


def _difference(record: dict[str, Any], pair: tuple[str, str], what: str) -> str:
    return _interval(_one([d for d in record["differences"] if (d.get("name"), d["against"]) == pair], what))


def effect_of(effect: Measured) -> str:
    """A measured effect in points of top-1: "title: difference (95 % interval)" of each reading, or of a pair alone.

    Raises:
        SfarError: There is no such record, or nothing of the kind in it.
    """
    record = _load(effect.study)
    if effect.pair:
        return _difference(record, effect.pair, f"{effect.study}: {' - '.join(effect.pair)}")
    found = [r for r in record["readings"] if list(r["changes"]) == [effect.field]]
    if not found:
        raise SfarError(f"{_path(effect.study)}: no reading changes {effect.field}")
    return "; ".join(f"{r['title']}: {_interval(r['difference'])}" for r in found)


def refreshed(text: str) -> str:
    """``text`` of README.md with every number as the records have it."""
    return _MARK.sub(lambda m: m[1] + value(m[2]) + m[4], text)


def write() -> list[Path]:
    """Bring README.md and DEVIATIONS.md up to date; those that changed."""
    readme = paths.PROJECT / "README.md"
    new = {
        readme: refreshed(readme.read_text(encoding="utf-8")),
        paths.PROJECT / "DEVIATIONS.md": deviations.render(effect_of),
    }
    out = [path for path, text in new.items() if path.read_text(encoding="utf-8") != text]
    for path in out:
        paths.write_atomic(path, new[path])
    return out
