"""The paper's claims as data: each has an id and is decided by contrasts of a record, never by its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sfar.model.method import Method
from sfar.studies.core import statistics
from sfar.studies.core.record import Contrast, Record, Verdict


@dataclass(frozen=True)
class Decision:
    """What decided a claim: the verdict, the contrast that shows it and the rival's name.

    ``sign``: -1 where the claim is that the contrast lies below zero; ``p``: of all that had to be so.
    """

    verdict: str
    shown: Contrast
    against: str
    sign: int = 1
    p: float | None = None


Decide = Callable[[Record], Decision | None]  # None: it cannot be decided from this record


@dataclass(frozen=True)
class Claim:
    """A statement that can hold or not.

    ``item``: the table or figure that it stands under; ``text``: a function of the record where it names what was
    found; ``printed``: the paper's number for it, where it prints one; ``own``: this repository's, not the paper's.
    """

    id: str
    item: str
    text: str | Callable[[Record], str]
    source: str
    decide: Decide
    printed: str | Callable[[], str] = ""
    own: bool = False

    def decided(self, record: Record) -> Verdict | None:
        """The verdict from a record; None where the record does not have what decides it."""
        d = self.decide(record)
        if d is None:
            return None
        c, in_sight, seeds = d.shown, None, None
        if d.verdict == "undecided" and c.error and c.freedom and c.seeds and c.fixed is not None:
            in_sight = round(statistics.in_sight(c.error, c.freedom), 2)
            seeds = statistics.seeds_to_decide(c.mean, c.error, c.fixed, c.seeds)
        low, high = (c.low, c.high) if d.sign > 0 else (-c.high, -c.low)
        return Verdict(
            id=self.id,
            item=self.item,
            claim=self.text if isinstance(self.text, str) else self.text(record),
            source=self.source,
            printed=self.printed if isinstance(self.printed, str) else self.printed(),
            of_paper=not self.own,
            verdict=d.verdict,
            against=d.against,
            unit=c.unit,
            mean=round(d.sign * c.mean, 4) + 0.0,
            low=round(low, 4) + 0.0,
            high=round(high, 4) + 0.0,
            p=c.p if d.p is None else float(f"{d.p:.3g}"),
            in_sight=in_sight,
            seeds=seeds,
        )


def named(id: str, method: Method) -> str:
    """The id of a claim on one reading of SFAR: the chosen one's is bare, the other's ends in its reading's name."""
    return id if method.name == "sfar" else f"{id}-{method.name.removeprefix('sfar-')}"


OPPOSITE = {"holds": "does not hold", "does not hold": "holds"}


def _p(c: Contrast) -> float:
    return 1.0 if c.p is None else c.p


def above(row: str, against: str, *, title: str = "", sign: int = 1, **where: Any) -> Decide:
    """Decided by one contrast: it holds if ``row`` minus ``against`` lies above zero (``sign`` = -1: below).

    ``title``: what the other side is called where it is no row; ``where``: as for ``Record.contrast``. Undecidable
    where the record has no such contrast.
    """

    def decide(record: Record) -> Decision | None:
        if not record.contrasts_of(row=row, against=against, **where):
            return None
        c = record.contrast(row, against, **where)
        found = c.verdict if sign > 0 else OPPOSITE.get(c.verdict, c.verdict)
        return Decision(found, c, title or record.title(c.against), sign)

    return decide


def highest(
    select: Callable[[Record], Sequence[Contrast]], title: Callable[[Record, Contrast], str] | None = None
) -> Decide:
    """Decided by several contrasts, "higher than every rival".

    It holds if every one lies above zero, does not hold if one lies below; else it is undecided where one is, and equal
    where none is. What is shown is, of the rivals with that verdict, the one with the smallest difference: its interval
    is what decided. Its p is the largest of all where it holds (all must), and the smallest, as often as there are
    rivals, where it does not (one of them is enough).
    """

    def decide(record: Record) -> Decision | None:
        rivals = select(record)
        if not rivals:
            return None
        each = [c.verdict for c in rivals]
        overall = next((v for v in ("does not hold", "undecided", "equal") if v in each), "holds")
        c = min((c for c in rivals if c.verdict == overall), key=lambda c: c.mean)
        p = max(map(_p, rivals)) if overall == "holds" else min(1.0, len(rivals) * _p(c))
        return Decision(overall, c, title(record, c) if title else record.title(c.against), p=p)

    return decide


def decide_all(claims: Sequence[Claim], record: Record) -> list[Verdict]:
    """All claims that this record can decide, in their order."""
    return [v for v in (c.decided(record) for c in claims) if v is not None]
