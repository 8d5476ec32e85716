"""Records of the paper profile that others have measured: whether one can be taken, and the page that shows them.

A record is taken for what it has: its form, where it comes from, that its configuration is the profile's and its hash
that of this code, and that its rows, contrasts and claims follow from each other. That its numbers were measured
nobody can see in a file; who doubts one runs its command.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from scipy.special import stdtrit

from sfar import paper, studies
from sfar.config import Profile, get_profile, values
from sfar.errors import SfarError
from sfar.render.tables import NOTHING, markdown, with_interval
from sfar.reproduce import targets
from sfar.studies.core import page, statistics
from sfar.studies.core.claims import decide_all
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import Study
from sfar.util import paths

PROFILE = "paper"
PAGE = "contributed.md"
ROUNDING = 2e-3  # of numbers that are kept with four digits behind the point, and of what is computed from several
# What ``record.provenance`` writes.
PROVENANCE: dict[str, type | tuple[type, ...]] = {
    "command": str,
    "revision": str,
    "date": str,
    "hardware": str,
    "python": str,
    "versions": dict,
    "training_seconds": (int, float),
    "config": dict,
}
VERDICTS = ("holds", "does not hold", "equal", "undecided")


# --- the file --------------------------------------------------------------------------------------------------------


def read(path: Path) -> Record:
    """A record. Raises ``SfarError`` in one line for what is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
        record = Record.from_json(data)
    except OSError as e:
        raise SfarError(f"cannot be read ({e.strerror or e})") from e
    except ValueError as e:
        raise SfarError(f"is not valid JSON ({e}); send the file as `sfar reproduce` wrote it") from e
    except (KeyError, TypeError, AttributeError) as e:
        raise SfarError(f"is no record as this version writes them ({e}); send the .json of results/{PROFILE}/") from e
    if record.study not in studies.ORDER:
        raise SfarError(f"study {record.study!r} is not known; expected one of {', '.join(studies.ORDER)}")
    if record.profile != PROFILE:
        raise SfarError(f"is of profile {record.profile!r}; records of {PROFILE!r} are taken")
    return record


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def configured(record: Record) -> Profile:
    """The configuration that a record says it was measured with. Raises ``SfarError`` for one that cannot be."""
    try:
        given = page.configuration(record)
    except (KeyError, AttributeError, TypeError) as e:
        raise SfarError(f"provenance.config is no configuration ({e}); expected what `sfar config` lists") from e
    if lacking := [k for k in values(get_profile(PROFILE)) if k not in given]:
        raise SfarError(f"provenance.config has no {', '.join(lacking[:3])}: it is of another version of the code")
    return get_profile(PROFILE, given)


def target(record: Record, profile: Profile) -> str:
    """The table or figure whose place in results/paper/ the record takes.

    Raises ``SfarError`` naming the fields in which its configuration is not the profile's.
    """
    study = studies.load(record.study)
    home = paths.results(PROFILE)
    for item in (study.covers[0], *(i for i in study.covers if i.key in targets.TOWERS)):
        if targets.folder(item.key, profile).is_relative_to(home):
            return item.key
    plain = values(get_profile(PROFILE))
    other = [f"{k}={v}" for k, v in values(profile).items() if v != plain[k] and k != "data.root"]
    raise SfarError(f"was not measured with the {PROFILE} profile as it stands: {', '.join(other)}")


# --- what can be wrong -----------------------------------------------------------------------------------------------


def check(path: Path) -> list[str]:
    """What is wrong with a record that somebody sends, a sentence each; none: it can be taken."""
    try:
        record = read(path)
        out = [*_provenance(record), *_numbers(record)]
        profile = configured(record)
        target(record, profile)
        study = studies.load(record.study)
        return [*out, *_version(study, record, profile), *_contrasts(record), *_claims(study, record)]
    except SfarError as e:
        return [str(e)]


def _provenance(record: Record) -> Iterator[str]:
    p = record.provenance
    if not isinstance(p, dict):
        raise SfarError("provenance is no block of fields")
    for key, kind in PROVENANCE.items():
        if not isinstance(p.get(key), kind) or p[key] in ("", {}):
            yield f"provenance.{key} is {p.get(key)!r}; expected what `sfar reproduce` writes there"
    revision = str(p.get("revision", ""))
    if not (7 <= len(revision) <= 40 and set(revision) <= set("0123456789abcdef")):
        yield (
            f"provenance.revision is {revision!r}: commit what was changed and measure again, so that others can check "
            "it out"
        )
    try:
        date.fromisoformat(str(p.get("date")))
    except ValueError:
        yield f"provenance.date is {p.get('date')!r}; expected such as 2026-01-31"


def _named(e: Row | Contrast) -> str:
    against = f" - {e.against}" if isinstance(e, Contrast) else ""
    where = "".join(f", {k} = {v}" for k, v in e.setting.items())
    return f"{'contrast' if against else 'row'} {e.part}/{e.row}{against}, {e.metric}{where}"


def _numbers(record: Record) -> Iterator[str]:
    """Rows and contrasts by themselves: finite, inside their interval, the mean that of the seeds."""
    if not record.rows and not record.contrasts:
        yield "has no rows"
    every: list[Row | Contrast] = [*record.rows, *record.contrasts]
    for e in every:
        bounds = (e.mean, e.low, e.high)
        if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) for x in bounds):
            raise SfarError(f"{_named(e)}: {bounds} are not three numbers")
        if not e.low - ROUNDING <= e.mean <= e.high + ROUNDING:
            yield f"{_named(e)}: {e.mean} is outside of its interval, {e.low} to {e.high}"
    for r in record.rows:
        if r.per_seed and len(r.per_seed) != r.seeds:
            yield f"{_named(r)}: {len(r.per_seed)} values of {r.seeds} seeds"
        elif r.per_seed and abs(sum(r.per_seed) / len(r.per_seed) - r.mean) > ROUNDING:
            yield f"{_named(r)}: {r.mean} is not the mean of its seeds, {sum(r.per_seed) / len(r.per_seed):.4f}"


def _version(study: Study, record: Record, profile: Profile) -> Iterator[str]:
    own = {*profile.seeds, *profile.frozen_seeds}
    if not set(record.seeds) <= own:
        yield f"seeds {record.seeds} are not those of its configuration, {sorted(own)}"
    if study.inputs(profile) != record.inputs:
        yield (
            f"its hash is not that of its configuration with this code: check out revision "
            f"{record.provenance.get('revision')} to check it, or measure again: `{study.command(profile)}`"
        )


def _contrasts(record: Record) -> Iterator[str]:
    """Contrasts from what they are made of: two rows, an error and its degrees of freedom."""
    for c in record.contrasts:
        sides = [record.select(c.part, name, c.metric, **c.setting) for name in (c.row, c.against)]
        if all(len(s) == 1 for s in sides) and abs(sides[0][0].mean - sides[1][0].mean - c.mean) > ROUNDING:
            yield f"{_named(c)}: {c.mean} is not the difference of its rows, {sides[0][0].mean - sides[1][0].mean:.4f}"
        if c.error and c.freedom:
            half = float(stdtrit(c.freedom, 0.5 + statistics.LEVEL / 200)) * c.error
            if max(abs(c.mean - half - c.low), abs(c.mean + half - c.high)) > ROUNDING + 1e-3 * half:
                yield f"{_named(c)}: {c.low} to {c.high} is not the interval of its error {c.error}"
        if c.verdict not in _verdicts(c):
            yield f"{_named(c)}: {c.verdict!r} does not follow from {c.low} to {c.high}"


def _verdicts(c: Contrast) -> set[str]:
    """The verdict that follows; two where rounding decides which."""
    within = statistics.narrow(c) if c.unit == "points" else None
    return {
        statistics.verdict(c.low, c.high, within and (within[0] - d, within[1] + d)) for d in (-ROUNDING, 0.0, ROUNDING)
    }


def _claims(study: Study, record: Record) -> Iterator[str]:
    """The claims as they are decided from the rest of the record, and the page that is made of it."""
    try:
        decided = decide_all(study.claims, record)
        page.markdown(study, record)
    except (SfarError, KeyError, TypeError, IndexError, ValueError) as e:
        yield f"its page cannot be made: {e!s}; rows or fields are missing"
        return
    here, there = ({c.id: dataclasses.asdict(c) for c in claims} for claims in (decided, record.claims))
    for name in sorted({*here, *there}):
        own, said = here.get(name), there.get(name)
        if own is None or said is None:
            yield f"claim {name!r} {'cannot be decided from the record' if own is None else 'is missing'}"
        elif off := [k for k in own if own[k] != said[k]]:
            yield f"claim {name!r}: {off[0]} is {said[off[0]]!r}; from the rest of the record it is {own[off[0]]!r}"


# --- the page --------------------------------------------------------------------------------------------------------


def files() -> list[Path]:
    """The records in results/paper/, each in its place, in the order of the studies."""
    home, found = paths.results(PROFILE), []
    for study in studies.studies():
        places = [home, *(home / i.key for i in study.covers if i.key in targets.TOWERS)]
        found += [p / f"{study.id}.json" for p in places if (p / f"{study.id}.json").is_file()]
    return found


def write() -> Path:
    """Write the page of the contributed records. Raises ``SfarError`` naming a record that cannot be taken."""
    found = files()
    for path in found:
        if wrong := check(path):
            raise SfarError(f"{path}: {wrong[0]} (`sfar records check` says all)")
    out = paths.results(PROFILE) / PAGE
    paths.write_atomic(out, text(found))
    return out


def text(found: list[Path]) -> str:
    """The page: of each record where it comes from, its claims, and its rows beside those that the paper prints."""
    parts = [
        "# Measured with the paper's own data and sizes",
        f"Contributed records of the `{PROFILE}` profile, each checked (`sfar records check`). *Paper*: transcribed "
        "from the PDF; *here*: measured, with its 95 % interval over seeds and videos. "
        "[How to send one](../../CONTRIBUTING.md#a-record-of-the-paper-profile).",
    ]
    parts += [_section(path) for path in found] or ["There is none yet."]
    return "\n\n".join(parts) + "\n"


def _section(path: Path) -> str:
    record = read(path)
    study, p = studies.load(record.study), record.provenance
    own = path.parent.name if path.parent.name in targets.TOWERS else ""
    items = [i for i in study.covers if (i.key == own if own else i.key not in targets.TOWERS)]
    made = (
        f"`{p['command']}` at revision {p['revision']} on {p['hardware']}, {p['date']}; seeds "
        f"{', '.join(map(str, record.seeds))}; {p['training_seconds'] / 3600:,.1f} hours of training and evaluation."
    )
    printed = [row for item in items for row in _printed(item.key)]
    measured = [[_row(r), NOTHING, f"{r.metric} {with_interval(r)}"] for r in record.rows]
    claims = [[c.claim, c.printed or NOTHING, with_interval(c, page.digits(c), True), c.verdict] for c in record.claims]
    return "\n\n".join(
        [
            f"## {', '.join(item.title for item in items)}",
            made,
            *([markdown(["Claim", "Paper", "Here", "Verdict"], claims)] if claims else []),
            markdown(["Row", "Paper", "Here"], [*printed, *measured]),
        ]
    )


def _row(r: Row) -> str:
    return ", ".join([r.title, *(f"{k} {v}" for k, v in r.setting.items())])


def _printed(key: str) -> list[list[Any]]:
    """The rows that the paper prints under a table or figure: what each is of, and its numbers."""
    name = key.replace("fig", "figure")
    if name not in paper.TABLES:
        return []
    out = []
    for row in paper.load(name):
        numbers = [f"{k} {v}" for k, v in row.items() if isinstance(v, float)]
        of = [str(v) for k, v in row.items() if v is not None and not isinstance(v, float) and k != "source_row"]
        out += [[", ".join(of), ", ".join(numbers), NOTHING]] if numbers else []
    return out
