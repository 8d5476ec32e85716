"""Plots that several studies share: intervals as dots, forests, panels of printed values, their legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar.render import style
from sfar.render.tables import Interval, interval

SHADE = "#555555"  # of legends that explain a marker, not a colour


class Seeded(Interval, Protocol):
    """An interval with the value of each seed: a row of a record."""

    @property
    def per_seed(self) -> Sequence[float]:
        """Value of each seed."""
        ...


class Judged(Interval, Protocol):
    """An interval with a verdict: a contrast of a record."""

    @property
    def verdict(self) -> str:
        """Of "above zero"."""
        ...


# --- one interval, one axis ------------------------------------------------------------------------------------------


def widen(ax: Axes, right: float = 0.0, top: float = 0.0) -> None:
    """Make room for labels: so much of the present span is added at the right and at the top."""
    if right:
        low, high = ax.get_xlim()
        ax.set_xlim(low, high + right * (high - low))
    if top:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + top * (high - low))


def categories(
    ax: Axes, places: Sequence[float], names: Sequence[str], below: float = 0.65, above: float = 0.5
) -> None:
    """Names at heights of the y axis, without lines across; "Vanilla CLIP (zero-shot)" is set in two lines."""
    ax.set_yticks(places, [n.replace(" (", "\n(") for n in names])
    ax.set_ylim(min(places) - below, max(places) + above)
    ax.grid(axis="y", visible=False)


def dots(
    ax: Axes, y: float, value: Seeded, colour: str, marker: str = "o", hollow: bool = False, size: float = 6
) -> None:
    """A measured value as a horizontal interval, its mean with the number behind it, and a tick above for each seed."""
    ax.plot([value.low, value.high], [y, y], color=colour, lw=1.6, solid_capstyle="butt", zorder=2)
    if len(value.per_seed) > 1:
        ax.plot(value.per_seed, [y + 0.13] * len(value.per_seed), "|", color=colour, ms=4, alpha=0.6)
    edge = {"mfc": "white", "mec": colour, "mew": 1.1} if hollow else {"mfc": colour, "mec": "white", "mew": 0.6}
    ax.plot(value.mean, y, marker, color=colour, ms=size, zorder=3, **edge)
    end = max(value.high, *value.per_seed) if value.per_seed else value.high
    # A little above its line: the ticks of a second line close below it would reach into the number.
    ax.annotate(f"{value.mean:.1f}", (end, y), xytext=(4, 1.5), textcoords="offset points", va="center", fontsize=7)


@dataclass(frozen=True)
class Series:
    """Measured values by row, drawn alike. ``shift``: above the row's own height; ``label``: in the legend."""

    values: Mapping[str, Seeded]
    label: str = ""
    marker: str = "o"
    hollow: bool = False
    size: float = 6
    shift: float = 0.0


def dot_panel(
    ax: Axes,
    names: Mapping[str, str],
    series: Sequence[Series],
    colours: Mapping[str, str],
    title: str,
    xlabel: str = "Top-1 accuracy [%]",
    room: float = 0.08,
    below: float = 0.65,
) -> dict[str, float]:
    """Measured values with intervals, a row for each of ``names`` (key -> title, from top to bottom) that has any.

    ``room``: share of the width kept for the numbers. Returns the height of each row. The legend is the caller's
    (``marker_legend``).
    """
    names = {name: title for name, title in names.items() if any(name in s.values for s in series)}
    height = {name: float(len(names) - 1 - i) for i, name in enumerate(names)}
    for s in series:
        for name, value in s.values.items():
            if name in height:
                dots(ax, height[name] + s.shift, value, colours[name], s.marker, s.hollow, s.size)
    categories(ax, list(height.values()), list(names.values()), below)
    widen(ax, right=room)
    ax.set_xlabel(xlabel)
    ax.set_title(title, loc="left")
    return height


def marker_legend(target: Axes | Figure, series: Sequence[Series], **place: Any) -> None:
    """A legend of the series' markers and of the seeds' ticks, in grey: colours are the rows'.

    ``target``: the axes or the whole figure.
    """
    ax = target if isinstance(target, Axes) else target.axes[0]
    handles = []
    for s in series:
        fill = "white" if s.hollow else SHADE
        handles += ax.plot([], [], s.marker, color=SHADE, mfc=fill, ms=0.8 * s.size, ls="none", label=s.label)
    if any(len(value.per_seed) > 1 for s in series for value in s.values.values()):
        handles += ax.plot([], [], "|", color=SHADE, ms=4, alpha=0.6, ls="none", label="one seed")
    target.legend(handles=handles, handletextpad=0.4, **place)


# --- differences -----------------------------------------------------------------------------------------------------


def forest(ax: Axes, rows: Sequence[tuple[float, Judged]], unit: str = "points", xlabel: str = "") -> None:
    """Differences (height, contrast) with intervals around a line at zero, coloured by verdict.

    Mean and interval stand in figures at the right edge.
    """
    ax.axvline(0, color=SHADE, lw=0.8, zorder=1)
    for y, c in rows:
        colour, marker, _ = style.VERDICTS[c.verdict]
        ax.plot([c.low, c.high], [y, y], color=colour, lw=1.4, solid_capstyle="butt", zorder=2)
        ax.plot(c.mean, y, marker, color=colour, ms=5, mec="white", mew=0.5, zorder=3)
        text = f"{c.mean:+z.1f} ({interval(c, 1, True)})".replace("-", "−")
        where = (1.02, y)
        ax.annotate(text, where, xycoords=("axes fraction", "data"), va="center", fontsize=6.5, color="#333333")
    ax.set_xlabel(xlabel or f"Difference [{unit}]")
    ax.grid(axis="y", visible=False)


def verdict_legend(ax: Axes, shown: Sequence[str], **place: Any) -> None:
    """A legend of the verdicts that occur."""
    handles = []
    for verdict, (colour, marker, word) in style.VERDICTS.items():
        if verdict in shown:
            sure = {"equal": f"{word} (within a point)", "undecided": word}
            label = sure.get(verdict, f"{word} (95 %)")
            handles += ax.plot([], [], marker, color=colour, ms=5, ls="none", label=label)
    ax.legend(handles=handles, handletextpad=0.2, **place)


# --- what the paper prints -------------------------------------------------------------------------------------------


def printed_panel(
    ax: Axes,
    rows: Sequence[tuple[str, float]],
    colours: Sequence[str],
    title: str,
    xlabel: str = "Top-1 accuracy [%]",
    size: float = 5,
    fontsize: float = 7,
    labels: bool = True,
    room: tuple[float, float] = (0.05, 0.12),
) -> None:
    """Printed values (name, value) from top to bottom, in a panel of their own, with the number beside each.

    ``labels``: names on the axis (False where the rows are those of a panel at the left); ``room``: shares of the span
    of the values that are kept at both sides.
    """
    places = [float(len(rows) - 1 - i) for i in range(len(rows))]
    for y, (_, value), colour in zip(places, rows, colours, strict=True):
        ax.plot(value, y, "o", color=colour, ms=size, mec="white", mew=0.6)
        ax.annotate(
            f"{value:.1f}", (value, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=fontsize
        )
    ax.set_yticks(places, [name if labels else "" for name, _ in rows], fontsize=fontsize)
    ax.set_ylim(-0.65, len(rows) - 0.5)
    values = [v for _, v in rows]
    span = (max(values) - min(values)) or 1.0
    ax.set_xlim(min(values) - room[0] * span, max(values) + room[1] * span)
    ax.set_xlabel(xlabel)
    ax.set_title(title, loc="left")
    ax.grid(axis="y", visible=False)
