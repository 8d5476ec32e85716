"""One table, several forms: Markdown for people and notebooks, CSV for programs, LaTeX for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

NOTHING = "–"


class Interval(Protocol):
    """Something with a mean and an interval around it: a row or a contrast of a record."""

    @property
    def mean(self) -> float:
        """Its value."""
        ...

    @property
    def low(self) -> float:
        """Lower bound."""
        ...

    @property
    def high(self) -> float:
        """Upper bound."""
        ...


def interval(value: Interval, digits: int = 1, sign: bool = False) -> str:
    """Text such as "69.4 to 71.0" of something with ``low`` and ``high``."""
    s = "+" if sign else ""
    return f"{value.low:{s}z.{digits}f} to {value.high:{s}z.{digits}f}"


def with_interval(value: Interval, digits: int = 1, sign: bool = False) -> str:
    """Text such as "62.1 (58.0 to 66.0)"."""
    return f"{value.mean:{'+' if sign else ''}z.{digits}f} ({interval(value, digits, sign)})"


def cell(value: Any, digits: int = 1) -> str:
    """A number with ``digits`` decimals, "–" for nothing, other things as they are."""
    if value is None:
        return NOTHING
    return f"{value:z.{digits}f}" if isinstance(value, float) else str(value)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]], digits: int = 1) -> str:
    """A Markdown table, columns padded so that it reads as plain text too."""
    body = [[cell(v, digits).replace("|", "\\|") for v in row] for row in rows]
    width = [max(len(c), *(len(r[i]) for r in body)) if body else len(c) for i, c in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, width, strict=True)) + " |"

    return "\n".join([line(columns), "|" + "|".join("-" * (w + 2) for w in width) + "|", *map(line, body)])


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Comma-separated values, full precision."""
    out = io.StringIO()
    w = csv.writer(out, lineterminator="\n")
    w.writerow(columns)
    w.writerows(["" if v is None else v for v in row] for row in rows)
    return out.getvalue()


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "±": r"$\pm$",
    "²": r"$^2$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "λ": r"$\lambda$",
    "ρ": r"$\rho$",
    "✓": r"\checkmark{}",
    "✗": r"$\times$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}


def latex(columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str, digits: int = 1) -> str:
    r"""A booktabs table (``\usepackage{booktabs,amssymb}``), numbers to the right."""

    def clean(value: Any) -> str:
        text = cell(value, digits)
        if isinstance(value, (int, float)):
            text = text.replace("-", "−")
        return "".join(_LATEX.get(ch, ch) for ch in text)

    numbers = [
        bool(rows) and all(isinstance(r[i], (int, float)) or r[i] is None for r in rows) for i in range(len(columns))
    ]
    align = "".join("r" if number else "l" for number in numbers)
    body = "\n".join("  " + " & ".join(map(clean, row)) + r" \\" for row in rows)
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{clean(caption)}}}",
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            "  " + " & ".join(map(clean, columns)) + r" \\",
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


@dataclass(frozen=True)
class Prose:
    """Markdown as an object: a notebook renders it, and as text it is what it says."""

    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class Table:
    """Columns and rows, printed as Markdown; a notebook shows it as a table.

    ``latex``: the same for a paper where its rows should hold bare numbers instead of "69.4 to 71.0"; ``rest``: a line
    of Markdown below it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    digits: int = 1
    caption: str = ""
    latex: Table | None = None
    rest: str = ""

    def __str__(self) -> str:
        text = markdown(self.columns, self.rows, self.digits)
        return f"{text}\n\n{self.rest}" if self.rest else text

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return str(self)

    def cut(self, rows: int | None, rest: str) -> Table:
        """The first ``rows`` (None: all), and how many more there are, before the words ``rest``; two more stay."""
        more = 0 if rows is None else len(self.rows) - rows
        if more <= 2:
            return self
        said = f"{more} more rows: {rest}"
        return replace(self, rows=self.rows[:rows], rest=said)

    def to_latex(self) -> str:
        """The table for a paper, with its caption."""
        t = self.latex or self
        return latex(t.columns, t.rows, t.caption or self.caption, t.digits)
