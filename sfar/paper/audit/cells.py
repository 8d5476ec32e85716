"""The transcribed tables as cells, each with its text as printed and the exact number in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sfar import paper
from sfar.errors import SfarError

OURS = "SFAR (ours)"  # the paper's own rows
NAMES = ("method", "generator", "model", "action", "baseline", "hyperparameter", "id", "source_row")


@dataclass(frozen=True)
class Cell:
    """One transcribed cell: where it is, and its text as printed."""

    table: str
    index: int
    column: str
    text: str

    @property
    def number(self) -> Fraction:
        """Its value, exactly as printed."""
        return Fraction(self.text)

    @property
    def half(self) -> Fraction:
        """Half a unit of the last printed digit: unrounded, the value is at most this far off."""
        digits = self.text.partition("e")[0].partition(".")[2]
        return Fraction(1, 2 * 10 ** len(digits))


class Tables:
    """The transcribed tables, cells as text."""

    def __init__(self, rows: dict[str, list[dict[str, str | None]]] | None = None):
        self.rows = rows if rows is not None else {name: paper.raw(name) for name in paper.TABLES}

    def cells(self, table: str, column: str, **where: Any) -> list[Cell]:
        """The cells of a column that hold something, of the rows where the other columns are as given.

        A callable in ``where``: the rows where it is true of the column.
        """
        out = []
        for i, row in enumerate(self.rows[table]):
            text = row[column]
            if text is not None and all(v(row[k]) if callable(v) else row[k] == v for k, v in where.items()):
                out.append(Cell(table, i, column, text))
        return out

    def cell(self, table: str, column: str, **where: Any) -> Cell:
        """The one cell found so. Raises ``SfarError`` if there is not exactly one."""
        found = self.cells(table, column, **where)
        if len(found) != 1:
            raise SfarError(f"sfar/paper/{table}.csv: expected one cell {column} where {where}, found {len(found)}")
        return found[0]

    def ours(self, table: str, column: str) -> Cell:
        """The cell of the paper's own method."""
        return self.cell(table, column, method=OURS)

    def others(self, table: str, column: str) -> list[Cell]:
        """The cells of all other methods."""
        return self.cells(table, column, method=lambda m: m != OURS)

    def row(self, cell: Cell) -> dict[str, str | None]:
        """The row a cell stands in."""
        return self.rows[cell.table][cell.index]

    def text(self, cell: Cell, column: str) -> str:
        """What another column of a cell's row holds. Raises ``SfarError`` if it is empty."""
        found = self.row(cell)[column]
        if found is None:
            raise SfarError(f"sfar/paper/{cell.table}.csv, row {cell.index + 1}: nothing in column {column}")
        return found

    def name(self, cell: Cell) -> str:
        """What the row is of: method, generator, action."""
        row = self.row(cell)
        return next(self.text(cell, k) for k in NAMES if row.get(k))

    def said(self, name: str) -> Cell:
        """The number of a statement in the running text."""
        return self.cell("statements", "value", id=name)

    def quote(self, name: str) -> str:
        """The words of a statement in the running text."""
        return self.text(self.said(name), "quote")
