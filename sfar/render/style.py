"""One look for all figures: sizes of a printed page, Okabe-Ito colours (told apart by colour-blind readers)."""

from __future__ import annotations

import io
import os
from pathlib import Path

import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from sfar.render import picture
from sfar.util.paths import write_atomic

# Methods have their colours in the registry; these are of everything else.
PAPER = "#444444"
COARSE, FINE, BOTH, UNIFORM = "#009E73", "#D55E00", "#0072B2", "#999999"

# Of "above zero", as a comparison: told apart by colour and by marker.
VERDICTS = {
    "holds": ("#0072B2", "^", "higher"),
    "does not hold": ("#D55E00", "v", "lower"),
    "equal": ("#009E73", "s", "equal"),
    "undecided": ("#777777", "o", "undecided"),
}


def verdict_word(verdict: str) -> str:
    """The verdict on "above zero" as a comparison: "higher", "lower", "equal" or "undecided"."""
    return VERDICTS[verdict][2]


def use() -> None:
    """Set the defaults of seaborn and matplotlib."""
    sns.set_theme(
        context="paper",
        style="whitegrid",
        rc={
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.labelsize": 8,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#222222",
            "axes.linewidth": 0.8,
            "xtick.bottom": True,
            "ytick.left": True,
            "xtick.major.size": 3.5,
            "ytick.major.size": 3.5,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "legend.fontsize": 7.5,
            "legend.title_fontsize": 8,
            "figure.dpi": 110,
            "savefig.dpi": 200,
            "svg.hashsalt": "sfar",
        },
    )


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` (.png), and the same as .svg beside it if the variable SFAR_SVG is set; returns what was written.

    Each is written whole or not at all, without dates in it: the same figure gives the same bytes.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight", pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as image:
        write_atomic(path, picture.png(image))
    if not os.environ.get("SFAR_SVG"):
        return [path]
    vector = io.BytesIO()
    figure.savefig(vector, format="svg", bbox_inches="tight", metadata={"Date": None})
    write_atomic(path.with_suffix(".svg"), vector.getvalue())
    return [path, path.with_suffix(".svg")]
