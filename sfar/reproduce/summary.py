"""The one page: a section for each experiment, with a row for each number that it is about and for each claim.

Drawn from the records alone. A record that is missing or does not fit the code is named with the command that makes it.
The paper's column holds transcribed numbers (``sfar/paper``), the measured one never does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sfar import studies
from sfar.config import Profile
from sfar.errors import SfarError
from sfar.render.tables import NOTHING, interval, markdown, with_interval
from sfar.studies.core import page, statistics
from sfar.studies.core import record as records
from sfar.studies.core.blocks import Drawn
from sfar.studies.core.record import Contrast, Record, Row, Verdict
from sfar.studies.core.study import Item, Quantity, Study
from sfar.util import paths

HOW = """A section for each experiment: the tables and figures of the paper that it is of, the command that measures it,
the numbers that they are about and the claims made on them.

- **Paper**: transcribed from the PDF (Kinetics-400 and the other real data sets, OpenAI's CLIP); – where it prints no
  number. **Here**: measured by the command of the section on the data of this profile, with its 95 % interval. The two
  columns are of different data and are not meant to be equal.
- **Verdict** on a claim: it *holds* if the whole 95 % interval lies above zero, *does not hold* if the whole interval
  lies below; where it lies on both sides, the two are *equal* if the 90 % interval is within a point of zero, and the
  claim is *undecided* otherwise: the page says what was in sight and how many seeds would decide. A claim that
  something is the highest of several needs all the intervals; the page names the rival that decided.
  A verdict in **bold** stands when all claims of this page are counted as one family (Holm's correction).
  Intervals are over seeds and videos, both random (of correlations: over groups or classes); differences are paired on
  the same seeds and videos. A verdict speaks of the data measured here.
- **Time**: training and evaluation of all runs of the record, one after another on one core. Records share runs,
  and a kept run is not made again, so the times do not add up to that of `make reproduce`.
- "missing" and "stale" (measured by other code or configuration): the command of the heading makes the record."""
COLUMNS = ("Claim or number", "Paper", "Here", "Verdict")
VERDICTS = ("holds", "does not hold", "equal", "undecided")


@dataclass(frozen=True)
class Found:
    """A study's record as it stands: ``state`` "current", "missing" or "stale"; ``content`` only of a current one."""

    study: Study
    state: str
    content: Record | None
    command: str

    @property
    def time(self) -> str:
        """How long its runs took."""
        if not self.content:
            return ""
        seconds = self.content.provenance["training_seconds"]
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def find(study: Study, profile: Profile) -> Found:
    """The record of this profile, and what makes it."""
    try:
        content = study.load(profile)
    except SfarError:  # its message names paths of this machine; the page says what to do
        state = "stale" if study.path(profile).exists() else "missing"
        return Found(study, state, None, study.command(profile))
    return Found(study, "current", content, content.provenance["command"])


def number(value: Row | Contrast | float) -> tuple[str, str]:
    """A measured quantity and its interval as text."""
    if isinstance(value, (int, float)):
        return f"{value:.{2 if abs(value) < 1 else 1}f}", NOTHING
    digits = 2 if abs(value.mean) < 1 else 1
    return f"{value.mean:.{digits}f}", interval(value, digits)


def _count(claims: Sequence[Verdict]) -> str:
    verdicts = [c.verdict for c in claims]
    many = {"holds": "hold", "does not hold": "do not hold"}
    return ", ".join(f"{n} {v if n == 1 else many.get(v, v)}" for v in VERDICTS if (n := verdicts.count(v)))


def _files(study: Study, item: Item, folder: Path) -> str:
    """Links to the item's picture; with the study's first item also to its other pictures. "" where there are none."""
    items = {i.key for i in study.covers}
    drawn = [b.stem for b in study.blocks if isinstance(b, Drawn)]
    mine = [s for s in drawn if s == item.key or (item.key == study.target and s not in items)]
    links = ", ".join(f"[{s}]({s}.png)" for s in mine if (folder / f"{s}.png").is_file())
    return f": {links}" if links else ""


def _standing(found: Sequence[Found]) -> set[str]:
    """Ids of the claims whose verdict stands when all are counted."""
    claims = [c for f in found if f.content for c in f.content.claims]
    each = statistics.holm([1.0 if c.p is None else c.p for c in claims])
    return {c.id for c, stands in zip(claims, each, strict=True) if stands and c.verdict in VERDICTS[:2]}


def _claim_row(c: Verdict, standing: set[str]) -> list[str]:
    here = with_interval(c, page.digits(c), True)
    said = f"**{c.verdict}**" if c.id in standing else c.verdict
    return [c.claim, c.printed or NOTHING, here, said]


def _quantity_row(q: Quantity, found: Found) -> list[str]:
    value, within = number(q.measured(found.content)) if q.measured and found.content else (NOTHING, NOTHING)
    here = value if within == NOTHING else f"{value} ({within})"
    return [q.title, q.printed() if q.printed else NOTHING, here, NOTHING]


def rows(found: Found, standing: set[str]) -> list[list[str]]:
    """The rows of an experiment's table: its numbers, then its claims."""
    quantities = [_quantity_row(q, found) for item in found.study.covers for q in item.quantities]
    claims = found.content.claims if found.content else ()
    return quantities + [_claim_row(c, standing) for c in claims]


def _order(key: str) -> tuple[bool, bool, int, str]:
    """Tables, then figures, each as the paper numbers them; the audit last."""
    kind = "table" if key.startswith("table") else "fig" if key.startswith("fig") else ""
    rest = key.removeprefix(kind)
    digits = rest.rstrip("abcdef") if kind else "0"
    return kind == "", kind == "fig", int(digits or 0), rest


def _totals(found: Sequence[Found]) -> str:
    claims = [c for f in found if f.content for c in f.content.claims]
    kinds = {
        "of the paper": [c for c in claims if c.of_paper],
        "not of the paper": [c for c in claims if not c.of_paper],
    }
    body, standing = [], _standing(found)
    for name, own in kinds.items():
        verdicts = [c.verdict for c in own]
        stand = sum(c.id in standing for c in own)
        body.append([name, str(len(own)), *(str(verdicts.count(v)) for v in VERDICTS), str(stand)])
    items = sum(len(f.study.covers) for f in found)
    open_ = [f"`{f.command}` ({f.state})" for f in found if f.state != "current"]
    rest = f"Records to be made: {', '.join(open_)}." if open_ else "All records are there and fit the code."
    table = markdown(["", "Claims", *map(str.capitalize, VERDICTS), "Stand in the family"], body)
    chance = (
        f"If no difference were real, about {0.05 * len(claims):.1f} of the {len(claims)} claims would hold or not "
        "hold by chance; of those that stand in the family (Holm), one false is a matter of one in twenty."
    )
    return f"{table}\n\n{chance}\n\n{items} tables, figures and audits, each with a command. {rest}"


def _section(found: Found, standing: set[str], folder: Path) -> str:
    """An experiment: the items that it is of with their files, where its record is from, its table."""
    study, up = found.study, Path(os.path.relpath(paths.notebooks(), folder)).as_posix()
    items = sorted(study.covers, key=lambda item: _order(item.key))
    parts = [f"## {', '.join(_short(item) for item in items)} · `{found.command}`"]
    parts.append("\n".join(f"- {item.title}{_files(study, item, folder)}" for item in items))
    links = [f"[page]({study.id}.md)"] if (folder / f"{study.id}.md").is_file() else []
    links += [f"[record]({study.id}.json)"] if (folder / f"{study.id}.json").is_file() else []
    about = ", ".join([*links, f"[notebook]({up}/{study.notebook}.ipynb)"])
    if found.content:
        p, c = found.content.provenance, found.content
        seeds = f", seeds {', '.join(map(str, c.seeds))}" if c.seeds else ""
        made = f"revision {p['revision']}, {p['date']}{seeds}, {found.time} on {p['hardware']}"
        parts.append(f"{about}; {made}." + (f" Of {len(c.claims)} claims {_count(c.claims)}." if c.claims else ""))
    else:
        parts.append(f"{about}. The record is **{found.state}**.")
    body = rows(found, standing)
    return "\n\n".join(parts + ([markdown(COLUMNS, body)] if body else []))


def _short(item: Item) -> str:
    """What an item is called in a heading: "Table 1", or all of a title that has no more of it."""
    return item.title.partition(":")[0]


def text(profile: Profile) -> str:
    """The page, made from the records of this profile."""
    found = [find(study, profile) for study in studies.studies()]
    standing, which, folder = _standing(found), records.suffix(profile), records.folder(profile)
    found.sort(key=lambda f: min(_order(item.key) for item in f.study.covers))
    return (
        "\n\n".join(
            [
                "# Every table, figure and claim: what the paper prints, what was measured here",
                f"Profile `{profile.name}`. Written by `make summary{which}` from the records in this folder; "
                f"`make reproduce{which}` makes them all.",
                _totals(found),
                "<details><summary>How to read it</summary>",
                HOW,
                "</details>",
                *(_section(f, standing, folder) for f in found),
            ]
        )
        + "\n"
    )


def write(profile: Profile) -> Path:
    """Write ``README.md`` beside the records."""
    path = records.folder(profile) / "README.md"
    paths.write_atomic(path, text(profile))
    return path
