"""Single numbers out of the transcribed tables, as the paper prints them: what a claim or a quantity is set beside."""

from __future__ import annotations

from typing import Any

from sfar import paper
from sfar.errors import SfarError

OURS: dict[str, Any] = {"method": "SFAR (ours)"}


def signed(value: float, digits: int = 1) -> str:
    """Text such as "+4.6"."""
    return f"{value:+.{digits}f}"


def cell(table: str, column: str, **where: Any) -> Any:
    """One printed cell. Raises ``SfarError`` unless exactly one row of the transcribed table fits ``where``."""
    found = [r[column] for r in paper.load(table) if all(r[k] == v for k, v in where.items())]
    if len(found) != 1:
        raise SfarError(f"sfar/paper/{table}.csv: {len(found)} rows with {where}, expected one")
    return found[0]


def number(table: str, column: str, digits: int = 1, **where: Any) -> str:
    """One printed number with ``digits`` decimals."""
    return f"{cell(table, column, **where):.{digits}f}"


def lead(table: str, column: str, **where: Any) -> str:
    """SFAR's printed number minus the highest printed one of all other methods, signed."""
    others = [
        r[column]
        for r in paper.load(table)
        if r["method"] != OURS["method"] and r[column] is not None and all(r[k] == v for k, v in where.items())
    ]
    return signed(cell(table, column, **OURS, **where) - max(others))


def gap(table: str, column: str, one: dict[str, Any], other: dict[str, Any]) -> str:
    """A printed number minus another of the same column, signed."""
    return signed(cell(table, column, **one) - cell(table, column, **other))


def said(which: str) -> float:
    """A number out of the running text, by its id in ``statements.csv``."""
    return cell("statements", "value", id=which)
