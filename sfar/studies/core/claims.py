"""The paper's claims as data: each has an id and is decided by contrasts of a record, never by its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sfar.studies.core.record import Contrast, Record, Verdict
from sfar.studies.core.statistics import verdict


@dataclass(frozen=True)
class Decision:
    """What decided a claim: the verdict, and the number, interval and rival that show it."""

    verdict: str
    against: str
    mean: float
    low: float
    high: float
    unit: str = "points"


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
        return Verdict(
            id=self.id,
            item=self.item,
            claim=self.text if isinstance(self.text, str) else self.text(record),
            source=self.source,
            printed=self.printed if isinstance(self.printed, str) else self.printed(),
            of_paper=not self.own,
            verdict=d.verdict,
            against=d.against,
            unit=d.unit,
            mean=round(d.mean, 4),
            low=round(d.low, 4),
            high=round(d.high, 4),
        )


def _decision(record: Record, c: Contrast, sign: int, against: str) -> Decision:
    low, high = (c.low, c.high) if sign > 0 else (-c.high, -c.low)
    return Decision(verdict(low, high), against or record.title(c.against), sign * c.mean, low, high, c.unit)


def above(row: str, against: str, *, title: str = "", sign: int = 1, **where: Any) -> Decide:
    """Decided by one contrast: it holds if ``row`` minus ``against`` lies above zero (``sign`` = -1: below).

    ``title``: what the other side is called where it is no row; ``where``: as for ``Record.contrast``. Undecidable
    where the record has no such contrast.
    """

    def decide(record: Record) -> Decision | None:
        if not record.contrasts_of(row=row, against=against, **where):
            return None
        return _decision(record, record.contrast(row, against, **where), sign, title)

    return decide


def highest(
    select: Callable[[Record], Sequence[Contrast]], title: Callable[[Record, Contrast], str] | None = None
) -> Decide:
    """Decided by several contrasts, "higher than every rival".

    It holds if every one lies above zero, does not hold if one lies below, else it is undecided. What is shown is, of
    the rivals with that verdict, the one with the smallest difference: its interval is what decided.
    """

    def decide(record: Record) -> Decision | None:
        rivals = select(record)
        if not rivals:
            return None
        each = [verdict(c.low, c.high) for c in rivals]
        overall = next((v for v in ("does not hold", "undecided") if v in each), "holds")
        c = min((c for c, v in zip(rivals, each, strict=True) if v == overall), key=lambda c: c.mean)
        against = title(record, c) if title else record.title(c.against)
        return Decision(overall, against, c.mean, c.low, c.high, c.unit)

    return decide


def decide_all(claims: Sequence[Claim], record: Record) -> list[Verdict]:
    """All claims that this record can decide, in their order."""
    return [v for v in (c.decided(record) for c in claims) if v is not None]
