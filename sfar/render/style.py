"""One look for all figures: sizes of a printed page, Okabe-Ito colours (told apart by colour-blind readers)."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

from sfar.model.registry import METHODS
from sfar.util.paths import write_atomic

NAMES = {m.name: m.title for m in METHODS.values()}
COLOURS = {
    **{m.name: m.colour for m in METHODS.values()},
    "paper": "#444444",
    "coarse": "#009E73",
    "fine": "#D55E00",
    "uniform": "#999999",
}


def use() -> None:
    """Set matplotlib's defaults."""
    matplotlib.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.labelsize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "legend.fontsize": 7.5,
            "figure.dpi": 110,
            "savefig.dpi": 200,
            "svg.hashsalt": "sfar",
        }
    )


def save(figure: matplotlib.figure.Figure, path: Path) -> None:
    """Write ``path`` (.png) whole or not at all, without dates in it: the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(
        out,
        format=path.suffix[1:],
        bbox_inches="tight",
        metadata={"Software": None} if path.suffix == ".png" else {"Date": None},
    )
    write_atomic(path, out.getvalue())
