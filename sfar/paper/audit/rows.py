"""One statement of the paper and what became of it; what rounding allows; the kinds of statements there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sfar.paper.audit.cells import Cell, Tables

VERDICTS = ("right", "depends on rounding", "wrong", "contradicts", "not decidable")
MOST_VIDEOS = 50  # of a class. Kinetics-400: 20,000 validation videos of 400 classes (A.1)


@dataclass(frozen=True)
class Row:
    """One statement and what became of it.

    ``printed``, ``value``: the stated number and the recomputed one; ``low``, ``high``: what the value can be before
    rounding of its cells. ``cells``: all that entered. ``reading``, ``field``: what this repository does and the
    configuration field for it. ``effect``: what another reading changes where that follows without a run; ``measure``:
    the record (and what in it) that has measured it. ``part``: of the paper, set by ``audit.statements``.
    """

    id: str
    where: str
    statement: str
    found: str
    verdict: str
    printed: Cell | None = None
    value: Fraction | None = None
    low: Fraction | None = None
    high: Fraction | None = None
    unit: str = ""
    cells: tuple[Cell, ...] = ()
    reading: str = ""
    field: str = ""
    effect: str = ""
    measure: tuple[str, str] | None = None
    part: str = ""


@dataclass(frozen=True)
class Counted:
    """What is computed elsewhere from architectures and code, without weights: see ``sfar.studies.audit.counted``.

    ``gmacs``: (architecture, what) -> 10^9 multiply-adds, of "hooked", "complete" and "ffn" (400 classes); ``params``:
    (architecture, inventory) -> millions; ``tpp``: reading -> TPP of a class whose cosines are all 0.8; ``tpp_slope``:
    reading -> TPP at slightly more diverse sub-texts minus that; ``warmup_share``: largest share of the base rate in 2
    epochs with 5 of warm-up.
    """

    gmacs: dict[tuple[str, str], float]
    params: dict[tuple[str, str], float]
    tpp: dict[str, float]
    tpp_slope: dict[str, float]
    warmup_share: float


# --- rounding ------------------------------------------------------------------------------------------------------


def linear(terms: Sequence[tuple[Fraction | int, Cell]]) -> tuple[Fraction, Fraction, Fraction]:
    """A sum of weight times cell: from the printed cells, and its lowest and highest value before they were rounded."""
    value = sum((Fraction(w) * c.number for w, c in terms), Fraction(0))
    slack = sum((abs(Fraction(w)) * c.half for w, c in terms), Fraction(0))
    return value, value - slack, value + slack


def exact(value: float) -> tuple[Fraction, Fraction, Fraction]:
    """A number that was not rounded, as ``linear`` gives it."""
    x = Fraction(value)
    return x, x, x


def judge(printed: Cell, value: Fraction, low: Fraction, high: Fraction) -> str:
    """Whether ``value``, which can be anything between ``low`` and ``high`` before rounding, is what is printed.

    A tie may be rounded either way.
    """
    if abs(value - printed.number) <= printed.half:
        return "right"
    overlap = low < printed.number + printed.half and high > printed.number - printed.half
    return "depends on rounding" if overlap else "wrong"


def class_sizes(percentages: Iterable[Cell], most: int = MOST_VIDEOS, cut: bool = False) -> list[int]:
    """Numbers of videos, up to ``most``, of which some whole number each gives the printed percentages.

    Rounded, or (``cut``) with further digits cut off.
    """
    below, above = (0, 2) if cut else (-1, 1)
    bounds = [((c.number + below * c.half) / 100, (c.number + above * c.half) / 100) for c in percentages]

    def whole(low: Fraction, high: Fraction, n: int) -> bool:
        first, last = -(-low.numerator * n // low.denominator), high.numerator * n // high.denominator
        return first <= last and not (cut and first == last == high * n)

    return [n for n in range(1, most + 1) if all(whole(low, high, n) for low, high in bounds)]


def show(value: Fraction | float, digits: int = 2) -> str:
    """A number with one decimal, or as many more, up to ``digits``, as are not zero."""
    text = f"{float(value):.{digits}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


# --- kinds of statements -------------------------------------------------------------------------------------------


def _and(text: str, more: str) -> str:
    """What was found, and what there is to add."""
    return f"{text}; {more}" if more else text


def _recomputed(
    name: str,
    where: str,
    statement: str,
    terms: Sequence[tuple[Fraction | int, Cell]],
    printed: Cell,
    text: str,
    digits: int,
    found: str,
    unit: str,
    **more: Any,
) -> Row:
    """A stated number that is a weighted sum of cells; ``text`` says which, its value follows."""
    value, low, high = linear(terms)
    verdict = judge(printed, value, low, high)
    text += show(value, digits)
    if verdict != "right":
        text += f"; unrounded, {show(low, digits)} to {show(high, digits)}"
    cells = (printed, *(c for _, c in terms))
    return Row(name, where, statement, _and(text, found), verdict, printed, value, low, high, unit, cells, **more)


def difference(
    name: str,
    where: str,
    statement: str,
    printed: Cell,
    a: Cell,
    b: Cell,
    found: str = "",
    unit: str = "points",
    **more: Any,
) -> Row:
    """A stated difference of two cells."""
    text = f"{a.text} - {b.text} = "
    return _recomputed(name, where, statement, [(1, a), (-1, b)], printed, text, 2, found, unit, **more)


def mean(name: str, where: str, statement: str, printed: Cell, cells: list[Cell], found: str = "") -> Row:
    """A stated average."""
    terms = [(Fraction(1, len(cells)), c) for c in cells]
    text = f"mean of the {len(cells)} cells printed: "
    return _recomputed(name, where, statement, terms, printed, text, 3, found, "percent")


def same(
    name: str, where: str, statement: str, pairs: Sequence[tuple[Cell, Cell]], found: str = "", **more: Any
) -> Row:
    """One number printed in two places, maybe with different decimals."""
    off = [(a, b) for a, b in pairs if abs(a.number - b.number) > max(a.half, b.half)]
    if len(pairs) == 1:
        text = f"{pairs[0][0].text} and {pairs[0][1].text}"
    else:
        text = f"{len(pairs) - len(off)} of {len(pairs)} agree"
        if off:
            text += "; not: " + ", ".join(f"{a.text} and {b.text}" for a, b in off)
    cells = tuple(c for pair in pairs for c in pair)
    return Row(name, where, statement, _and(text, found), "contradicts" if off else "right", cells=cells, **more)


def highest(
    t: Tables, name: str, where: str, statement: str, columns: Sequence[tuple[Cell, list[Cell]]], found: str = ""
) -> Row:
    """A claim to the highest value of one or more columns: (claimed cell, other cells) of each."""
    below = [(a, b) for a, others in columns for b in others if b.number > a.number]
    ties = [(a, b) for a, others in columns for b in others if b.number == a.number]
    if below:
        text = "higher: " + ", ".join(f"{t.name(b)} {b.text} against {a.text}" for a, b in below)
    elif len(columns) > 1:
        lead = [a.number - max(c.number for c in others) for a, others in columns]
        text = f"highest in {len(columns)} columns, by {show(min(lead))} to {show(max(lead))}"
    else:
        a, others = columns[0]
        second = max(others, key=lambda c: c.number)
        text = f"{a.text}; next {second.text} ({t.name(second)})"
    if ties:
        text += "; equal as printed: " + ", ".join(f"{t.name(b)} {b.text}" for _, b in ties)
    verdict = "wrong" if below else "depends on rounding" if ties else "right"
    cells = tuple(c for a, others in columns for c in (a, *others))
    return Row(name, where, statement, _and(text, found), verdict, cells=cells)


def holds(
    name: str,
    where: str,
    statement: str,
    condition: bool,
    found: str,
    cells: Sequence[Cell] = (),
    otherwise: str = "wrong",
    **more: Any,
) -> Row:
    """A statement decided by ``condition``; where that is False the verdict is ``otherwise``."""
    return Row(name, where, statement, found, "right" if condition else otherwise, cells=tuple(cells), **more)
