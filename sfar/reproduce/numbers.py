"""Numbers of records in README.md, docs/ and DEVIATIONS.md: ``sfar summary`` writes them, and a test finds an old one.

DEVIATIONS.md is made as a whole (``sfar/paper/deviations.py``), with ``effect_of`` for the measured effects. In
``QUOTING`` a number stands between ``<!--= SPEC -->`` and ``<!--/-->``, which a reader does not see. A SPEC is one of

- ``claim ID`` and ``verdict ID``: number with interval, or verdict, of a claim
- ``contrast STUDY ROW AGAINST [PART] [KEY=VALUE ...]``: a difference with its interval, in a setting
- ``row STUDY PART ROW [METRIC]``: a measured value, without its interval
- ``correlation METRIC READING WHICH``: of TPP and top-1, of ``all`` groups or ``several`` (without one phrase)
- ``held READING`` and ``opposed READING``: how many patterns of the paper hold in a reading, or the opposite of them
- ``mass ROW`` and ``uniform``: the weight that an importance, or equal weights, put on frames of the action
- ``table STUDY BLOCK``: a table of a study's page
- ``gpu WHAT``: what `make gpu-check` found, "not measured" until it has run on a GPU
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from sfar import studies
from sfar.errors import SfarError
from sfar.paper import deviations
from sfar.render.tables import interval, with_interval
from sfar.settings import Measured
from sfar.studies import readings_map
from sfar.studies.core import page
from sfar.studies.core import record as records
from sfar.studies.core.record import Contrast, Record, Verdict
from sfar.util import paths

QUOTING = ("README.md", "docs/findings.md", "docs/TRAINING.md")
GPU = ("step ViT-B/16", "step ViT-L/14", "head", "memory", "nccl", "resumed")
_MARK = re.compile(r"(<!--= (.*?) -->)(.*?)(<!--/-->)", re.DOTALL)


@lru_cache(maxsize=32)
def _read(path: Path, stamp: int, study: str) -> Record:
    own = studies.load(study)
    return own.decided(records.read(path, f"make reproduce-{own.target}"))


def recorded(study: str) -> Record:
    """The record of the standard results, whether or not it fits the code: the numbers are those on disk.

    Raises ``SfarError`` where it is not there.
    """
    studies.load(study)  # says which there are
    path = paths.results("storyboard") / f"{study}.json"
    if not path.is_file():
        raise SfarError(f"no record {path}: `make reproduce` makes it")
    return _read(path, path.stat().st_mtime_ns, study)


def _claim(which: str) -> Verdict:
    for study in studies.studies():
        if which in {c.id for c in study.claims}:
            return recorded(study.id).claim(which)
    raise SfarError(f"no study has a claim {which!r}")


def _number(c: Contrast | Verdict) -> str:
    return with_interval(c, page.digits(c), True)


def value(spec: str) -> str:
    """What a mark stands for. Raises ``SfarError`` for a SPEC that names nothing, or more than one thing."""
    what, *names = spec.split()
    where = {k: int(v) if v.isdigit() else v for k, _, v in (n.partition("=") for n in names if "=" in n)}
    names = [n for n in names if "=" not in n]
    match what, names:
        case "claim", [which]:
            return _number(_claim(which))
        case "verdict", [which]:
            return _claim(which).verdict
        case "contrast", [study, row, against, *part]:
            return _number(recorded(study).contrast(row, against, *part, **where))
        case "correlation", [metric, reading, which]:
            part = {"all": "all", "several": "without one phrase"}[which]
            c = recorded("fig7b").contrast("TPP", "top1", "correlations", metric, reading=reading, which=part)
            return f"{c.mean:.2f}, 95 % interval {interval(c, 2)}"
        case "row", [study, part, row, *metric]:
            return f"{recorded(study).find(part, row, *metric).mean:.1f} %"
        case "held" | "opposed", [reading]:
            record = recorded("readings_map")
            if reading not in readings_map.BY_ID:
                raise SfarError(f"<!--= {spec} -->: no reading {reading!r} in sfar/studies/readings_map.py")
            held, opposed = readings_map.counts(record)[reading], readings_map.opposed(record, reading)
            return f"{held if what == 'held' else len(opposed)} of {len(readings_map.PATTERNS)}"
        case "mass", [row]:
            return f"{recorded('table1').find('importance', row, 'mass').mean:.0f} %"
        case "uniform", []:
            return f"{recorded('table1').extra['importance']['uniform']:.0f} %"
        case "table", [study, block]:
            own = studies.load(study)
            return f"\n{page.show(own, recorded(study), block)}\n"
        case "gpu", [*_] if " ".join(names) in GPU:
            return _of_gpu(" ".join(names))
    raise SfarError(f"<!--= {spec} -->: not a number that sfar/reproduce/numbers.py knows")


def _of_gpu(what: str) -> str:
    path = paths.PROJECT / "results" / "bench" / "gpu.json"
    if not path.is_file():
        return "not measured"
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["provenance"]["quick"]:
        raise SfarError(f"{path} is of tiny sizes (--quick): run `make gpu-check` on a GPU")
    return record["said"][what]


def effect_of(effect: Measured) -> str:
    """A measured effect in points of top-1: "title: difference (95 % interval)" of each reading, or of a pair alone.

    Raises:
        SfarError: There is no such record, or nothing of the kind in it.
    """
    record = recorded(effect.study)
    if effect.pair:
        return _number(record.contrast(*effect.pair))
    found = record.select("readings", metric="top1", field=effect.field)
    if not found:
        raise SfarError(f"record {effect.study}: no reading changes {effect.field}")
    return "; ".join(f"{r.title}: {_number(record.contrast(r.row, 'frozen/both', 'readings'))}" for r in found)


def refreshed(text: str) -> str:
    """``text`` of one of ``QUOTING`` with every number as the records have it."""
    return _MARK.sub(lambda m: m[1] + value(m[2]) + m[4], text)


def write() -> list[Path]:
    """Bring ``QUOTING`` and DEVIATIONS.md up to date; those that changed."""
    quoting = [paths.of_repository(name) for name in QUOTING]
    new = {path: refreshed(path.read_text(encoding="utf-8")) for path in quoting}
    new[paths.of_repository("DEVIATIONS.md")] = deviations.render(effect_of)
    out = [path for path, text in new.items() if path.read_text(encoding="utf-8") != text]
    for path in out:
        paths.write_atomic(path, new[path])
    return out
