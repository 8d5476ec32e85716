"""One table, several forms: Markdown for people and notebooks, CSV for programs, LaTeX for papers."""

from __future__ import annotations

import csv
import io
from typing import Any


def cell(value: Any, digits: int = 1) -> str:
    """A number with ``digits`` decimals, "–" for nothing, other things as they are."""
    if value is None:
        return "–"
    return f"{value:z.{digits}f}" if isinstance(value, float) else str(value)


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
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}


def latex(columns: list[str], rows: list[list[Any]], caption: str, digits: int = 1) -> str:
    """A booktabs table (``\\usepackage{booktabs}``), numbers to the right."""
    sign = lambda v: cell(v, digits).replace("-", "−") if isinstance(v, (int, float)) else cell(v, digits)  # noqa: E731
    clean = lambda v: "".join(_LATEX.get(ch, ch) for ch in sign(v))  # noqa: E731
    align = "".join(
        "r" if rows and all(isinstance(r[i], (int, float)) or r[i] is None for r in rows) else "l"
        for i in range(len(columns))
    )
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
