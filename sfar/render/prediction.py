"""One video as a model sees it: its frames, what each counts, and the atomic action that each shows best."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sfar.render import frames as pictures
from sfar.render import style

WIDTH, LEFT, ROW = 7.4, 0.72, 0.2  # inches: the figure, its labels, a row of weights
LINE, POINTS = 0.115, 6.5  # inches of a line of a sub-text, and its size
SHADES = "Blues"


def figure(
    frames: np.ndarray, times: np.ndarray, weights: Mapping[str, np.ndarray], subtexts: Sequence[str], title: str
) -> Figure:
    """Frames uint8 [L, H, W, 3] at ``times`` [L] seconds, rows of ``weights`` [L] by name, the frames' ``subtexts``.

    A row's numbers are percent of its sum; equal weights would be the share that the title's end names. Frames in
    a row with the same sub-text share one strip.
    """
    style.use()
    n, inner = len(frames), WIDTH - LEFT - 0.08
    height = pictures.row_height(list(frames), inner)
    spans = _spans(subtexts)
    wrapped = [_wrapped(text, inner * (last - first) / n) for first, last, text in spans]
    strip = LINE * max(text.count("\n") + 1 for text in wrapped) + 0.1
    total = 0.42 + height + 0.2 + ROW * len(weights) + 0.12 + strip + 0.06
    fig = plt.figure(figsize=(WIDTH, total))
    fig.text(LEFT / WIDTH, 1 - 0.12 / total, title, fontsize=9, fontweight="bold", va="top")
    if weights:
        even = f"weights in %; equal weights: {100 / n:.3g}"
        fig.text(1 - 0.08 / WIDTH, 1 - 0.14 / total, even, fontsize=7, va="top", ha="right")
    y = 0.42
    pictures.show(pictures.at(fig, LEFT, y, inner, height), pictures.in_a_row(list(frames)))
    y += height
    ax = _row(fig, y, inner, 0.16, n, "time")
    for i, t in enumerate(times):
        ax.text(i + 0.5, 0.5, f"{t:.2f} s", ha="center", va="center", fontsize=6.5, color="#555555")
    y += 0.2
    for name, w in weights.items():
        ax = _row(fig, y, inner, ROW - 0.03, n, name)
        share = 100 * np.asarray(w, float) / np.sum(w)
        for i, x in enumerate(share):
            shade = plt.get_cmap(SHADES)(0.06 + 0.8 * min(x * n / 400, 1.0))  # four times equal weights is the darkest
            ax.add_patch(Rectangle((i + 0.02, 0), 0.96, 1, facecolor=shade, lw=0))
            dark = x * n / 400 > 0.6
            ax.text(
                i + 0.5, 0.46, f"{x:.0f}", ha="center", va="center", fontsize=7, color="white" if dark else pictures.INK
            )
        y += ROW
    y += 0.06
    ax = _row(fig, y, inner, strip, n, "best\nsub-text")
    order = list(dict.fromkeys(subtexts))
    for (first, last, text), shown in zip(spans, wrapped, strict=True):
        colour = pictures.PALETTE[order.index(text) % len(pictures.PALETTE)]
        ax.add_patch(Rectangle((first + 0.02, 0), last - first - 0.04, 1, facecolor=colour, alpha=0.25, lw=0))
        ax.text((first + last) / 2, 0.5, shown, ha="center", va="center", fontsize=POINTS, linespacing=1.05)
    return fig


def _row(fig: Figure, y: float, width: float, height: float, n: int, label: str) -> Axes:
    ax = pictures.at(fig, LEFT, y, width, height)
    ax.set(xlim=(0, n), ylim=(0, 1))
    pictures.bare(ax)
    ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    return ax


def _spans(subtexts: Sequence[str]) -> list[tuple[int, int, str]]:
    """First frame, the one behind the last, and text of each run of equal sub-texts."""
    out, first = [], 0
    for text, run in groupby(subtexts):
        last = first + len(list(run))
        out.append((first, last, text))
        first = last
    return out


def _wrapped(text: str, inches: float) -> str:
    return textwrap.fill(text, max(6, int(inches / (0.58 * POINTS / 72))))
