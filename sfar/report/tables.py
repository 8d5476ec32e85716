"""One table, several forms: Markdown for people and notebooks, CSV for programs."""

from __future__ import annotations

import csv
import io
from typing import Any


def cell(value: Any, digits: int = 1) -> str:
    """A number with ``digits`` decimals, "–" for nothing, other things as they are."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def markdown(columns: list[str], rows: list[list[Any]], digits: int = 1) -> str:
    """A Markdown table, columns padded so that it reads as plain text too."""
    body = [[cell(v, digits).replace("|", "\\|") for v in row] for row in rows]
    width = [max(len(c), *(len(r[i]) for r in body)) if body else len(c) for i, c in enumerate(columns)]
    line = lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, width)) + " |"  # noqa: E731
    return "\n".join([line(columns), "|" + "|".join("-" * (w + 2) for w in width) + "|", *map(line, body)])


def to_csv(columns: list[str], rows: list[list[Any]]) -> str:
    """Comma-separated values, full precision."""
    out = io.StringIO()
    w = csv.writer(out, lineterminator="\n")
    w.writerow(columns)
    w.writerows(["" if v is None else v for v in row] for row in rows)
    return out.getvalue()
