"""The method in pictures: words and sub-texts against frames with the weights that follow, over the true storyboard.

Arrays in, figures out; knows no model. L frames, W words of the class prompt, N sub-texts.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sfar.render import frames as strips
from sfar.render import style
from sfar.render.frames import INK, Segment, at, draw_storyboard

WIDTH = 7.4  # inches of a figure
GUTTER, COLUMNS = 1.62, 5.4  # inches left of the columns, and of them all
SMALL = 6.6  # points
LINE = 0.105  # inches of a line of small letters
BARS = 0.5  # inches of a row of bars
# Of a class's own actions in a strip: none is like the colours of the coarse and the fine weight above it.
ACTIONS = ("#8FB4E3", "#EAD27A", "#C9A0DC", "#9BDCEB", "#F4AFC0")


def storyboard(activity: str, segments: Sequence[tuple[str, int, bool]]) -> list[Segment]:
    """As ``frames.storyboard``, in the colours ``ACTIONS``."""
    colours: dict[str, str] = dict(zip(strips.PALETTE, ACTIONS, strict=True))
    return [
        dataclasses.replace(s, colour=colours[s.colour]) if s.own else s for s in strips.storyboard(activity, segments)
    ]


@dataclass(frozen=True)
class Truth:
    """When the frames of a picture are, and what the video shows.

    ``times``: of the L frames, in seconds; ``seconds``: length of the video; ``segments``: its true storyboard, empty
    where it is not known.
    """

    times: Sequence[float]
    seconds: float
    segments: Sequence[Segment] = ()

    def places(self) -> np.ndarray:
        """The frames' places in the video, [L] from 0 to 1."""
        return np.asarray(self.times, float) / self.seconds

    def colours(self) -> list[str]:
        """The colour of what each frame shows; none where the storyboard is not known."""
        if not self.segments:
            return []
        starts = np.array([s.start for s in self.segments])
        # A frame at the very beginning of a segment shows it, whatever the division rounds to.
        return [self.segments[int((starts <= p + 1e-9).sum()) - 1].colour for p in self.places()]


# --- the aligned picture ---------------------------------------------------------------------------------------------


def aligned(
    frames: Sequence[np.ndarray],
    words: Sequence[str],
    word_cosines: Any,
    coarse: Any,
    subtexts: Sequence[str],
    sub_cosines: Any,
    fine: Any,
    truth: Truth,
    title: str = "",
) -> Figure:
    """One video and one class, column by column: frames, Eq. 7, Eq. 9, and what the video really shows when.

    ``frames``: L pictures, uint8 [H, W, 3]; ``word_cosines`` [W, L]: of the augmented words; ``sub_cosines`` [N, L]:
    mean over the words of a sub-text, of which the best is framed in each column; ``coarse``, ``fine`` [L]: the
    weights, shown as shares of their sum. Raises ``ValueError`` for arrays that do not fit each other.
    """
    n = len(frames)
    word_cosines, sub_cosines = np.asarray(word_cosines, float), np.asarray(sub_cosines, float)
    _fits("word_cosines", word_cosines, (len(words), n))
    _fits("sub_cosines", sub_cosines, (len(subtexts), n))
    _fits("truth.times", np.asarray(truth.times), (n,))
    labels = [textwrap.fill(t, 32) for t in subtexts]
    high = 0.05 + LINE * max(label.count("\n") + 1 for label in labels)
    tall = _height(frames, COLUMNS)
    parts = (0.3, tall + 0.08, 0.3, 0.15 * len(words), BARS, 0.3, high * len(labels), BARS)
    fig = _figure(WIDTH, sum(parts) + (0.75 if truth.segments else 0.1))
    tops = np.cumsum((0, *parts))

    _words(fig, 0.02, 0.06, title, size=9, weight="bold")
    _frames(fig, (GUTTER, tops[1], COLUMNS), frames, truth)
    _heading(fig, tops[2], "Eq. 7", "cosine of each augmented word of the prompt with each frame", style.COARSE)
    _cells(at(fig, GUTTER, tops[3], COLUMNS, parts[3]), word_cosines, words, style.COARSE)
    _bars(at(fig, GUTTER, tops[4], COLUMNS, parts[4]), coarse, r"weight  $a^{\mathrm{coarse}}$", style.COARSE)
    _heading(fig, tops[5], "Eq. 9", "cosine of each sub-text with each frame; the best is framed", style.FINE)
    ax = at(fig, GUTTER, tops[6], COLUMNS, parts[6])
    _cells(ax, sub_cosines, labels, style.FINE)
    for x, y in enumerate(sub_cosines.argmax(0)):
        ax.add_patch(Rectangle((x + 0.02, y + 0.05), 0.96, 0.9, fill=False, ec=INK, lw=1.2, zorder=3))
    _bars(at(fig, GUTTER, tops[7], COLUMNS, parts[7]), fine, r"weight  $a^{\mathrm{fine}}$", style.FINE)
    if truth.segments:
        _strip(fig, (GUTTER, tops[8] + 0.02, COLUMNS), truth)
        _words(fig, 0.02, tops[8] + 0.25, "the truth (grey: not its class)", SMALL, color="#555555")
    return fig


def _figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, with the project's look; sharp where a notebook shows it."""
    style.use()
    return plt.figure(figsize=(width, height), dpi=160)


def _fits(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name}: expected an array {list(shape)}, got {list(values.shape)}")


def _words(fig: Figure, x: float, y: float, text: str, size: float, **look: Any) -> None:
    """Text whose upper left corner is at a place in inches, if ``look`` says nothing else."""
    w, h = fig.get_size_inches()
    fig.text(x / w, 1 - y / h, text, ha="left", fontsize=size, **{"va": "top", "color": INK, **look})


def _heading(fig: Figure, y: float, number: str, text: str, colour: str) -> None:
    _words(fig, GUTTER, y + 0.12, text, 7.4, weight="bold", color=colour)
    _words(fig, 0.02, y + 0.12, number, 7.4, weight="bold", color=colour)


GAP = 0.06  # inches between frames


def _height(frames: Sequence[np.ndarray], width: float) -> float:
    """Height in inches of frames that have a column each in so many inches."""
    return (width / len(frames) - GAP) * frames[0].shape[0] / frames[0].shape[1]


def _frames(fig: Figure, place: tuple[float, float, float], frames: Sequence[np.ndarray], truth: Truth) -> None:
    """Each frame in the middle of its column, its time above, the colour of what it shows below.

    ``place``: left, top and width in inches.
    """
    x, y, width = place
    column, tall = width / len(frames), _height(frames, width)
    colours = truth.colours()
    for i, (frame, time) in enumerate(zip(frames, truth.times, strict=True)):
        left = x + i * column + GAP / 2
        ax = at(fig, left, y, column - GAP, tall)
        ax.imshow(frame, aspect="auto", interpolation="none")
        ax.axis("off")
        ax.set_title(f"{time:.1f} s", fontsize=SMALL, fontweight="normal", pad=1.5, color="#555555")
        if colours:
            below = at(fig, left, y + tall, column - GAP, 0.055)
            below.set_facecolor(colours[i])
            below.set(xticks=[], yticks=[])
            for spine in below.spines.values():
                spine.set_visible(False)


def _number(value: float, digits: int) -> str:
    """With a real minus sign, and none before a zero."""
    return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")


def _cells(ax: Axes, values: np.ndarray, rows: Sequence[str], colour: str) -> None:
    """Numbers in cells from white (the smallest) to ``colour`` (the greatest); row labels at the left."""
    _coloured(ax, values, colour)
    for (y, x), value in np.ndenumerate(values):
        ax.text(x + 0.5, y + 0.52, _number(value, 2), ha="center", va="center", fontsize=SMALL, color=INK)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=SMALL, linespacing=0.95)
    ax.set_xticks([])


def _coloured(ax: Axes, values: np.ndarray, colour: str, low: float | None = None, high: float | None = None) -> None:
    # Not up to the full colour: black figures stand on it.
    top = 1 - 0.75 * (1 - np.array(to_rgb(colour)))
    shades = LinearSegmentedColormap.from_list("", ["white", tuple(top)])
    ax.pcolormesh(values, cmap=shades, edgecolors="white", linewidth=1, vmin=low, vmax=high)
    ax.set_xlim(0, values.shape[1])
    ax.set_ylim(values.shape[0], 0)
    ax.tick_params(length=0, pad=2)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _bars(ax: Axes, weights: Any, label: str, colour: str) -> None:
    """Weights [L] as shares of their sum, in percent above each bar; a line where all would be equal."""
    a = np.asarray(weights, float)
    a = 100 * a / a.sum()
    n = len(a)
    ax.bar(np.arange(n) + 0.5, a, width=0.7, color=colour)
    behind = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"}  # the line of equal weights ends before it
    for x, share in enumerate(a):
        height = share + 0.06 * a.max()
        ax.text(x + 0.5, height, f"{share:.0f} %", ha="center", va="bottom", fontsize=SMALL, bbox=behind)
    ax.axhline(100 / n, color="#888888", lw=0.7, ls=(0, (3, 2)), zorder=0)
    ax.annotate(
        f"1/{n}",
        (1, 100 / n),
        xytext=(3, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color="#666666",
    )
    ax.set(xlim=(0, n), ylim=(0, 1.5 * a.max()), xticks=[], yticks=[])
    ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7.4, color=colour, fontweight="bold")
    ax.grid(False)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")


def _strip(fig: Figure, place: tuple[float, float, float], truth: Truth) -> None:
    """The true storyboard over the video's time, each column led to the instant of its frame.

    ``place``: left, top and width in inches.
    """
    x, y, width = place
    lead, n = at(fig, x, y, width, 0.17), len(truth.times)
    for i, instant in enumerate(truth.places()):
        lead.plot([(i + 0.5) / n, instant], [1, 0], color="#999999", lw=0.6, clip_on=False)
    lead.set(xlim=(0, 1), ylim=(0, 1))
    lead.axis("off")
    draw_storyboard(at(fig, x, y + 0.19, width, 0.2), truth.segments)


# --- the storyboard that the frames tell ------------------------------------------------------------------------------


def film(frames: Sequence[np.ndarray], truth: Truth, names: Sequence[str] = ()) -> Figure:
    """The frames side by side, over the true storyboard; ``names``: a text under each, such as its best sub-text."""
    column, tall = WIDTH / len(frames), _height(frames, WIDTH)
    # Letters are 0.56 of their size wide on average.
    wrapped = [textwrap.fill(name, max(8, int(column * 72 / (0.56 * SMALL)))) for name in names]
    bottom = 0.17 + tall + 0.1
    under = bottom + LINE * max((w.count("\n") + 1 for w in wrapped), default=0)
    fig = _figure(WIDTH, under + (0.65 if truth.segments else 0.0))
    _frames(fig, (0, 0.17, WIDTH), frames, truth)
    w, h = fig.get_size_inches()
    for i, text in enumerate(wrapped):
        place = (i + 0.5) * column / w, 1 - bottom / h
        fig.text(*place, text, ha="center", va="top", fontsize=SMALL, linespacing=0.95, color=INK)
    if truth.segments:
        _strip(fig, (0, under, WIDTH), truth)
    return fig


# --- both weights over time ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weights:
    """Of one small picture: its title and both weights [L], shares of one."""

    title: str
    coarse: Any
    fine: Any


def over_time(panels: Sequence[Weights], truth: Truth, high: float | None = None) -> Figure:
    """Both weights where their frames are in the video, over the true storyboard; one small picture for each panel.

    ``high``: the weight that the axis reaches up to, by default the greatest one.
    """
    left, gap, tall = 0.42, 0.14, 1.05
    width = (WIDTH - left - 0.05 - gap * (len(panels) - 1)) / len(panels)
    alone = len(panels) == 1
    fig = _figure(WIDTH, 0.5 + tall + (0.75 if alone else 0.25))
    top = high or max(np.asarray(x, float).max() for p in panels for x in (p.coarse, p.fine))
    bar = 0.4 / len(truth.times)
    for i, p in enumerate(panels):
        ax = at(fig, left + i * (width + gap), 0.42, width, tall)
        for k, (weights, colour) in enumerate(((p.coarse, style.COARSE), (p.fine, style.FINE))):
            # From the instant of the frame on: up to the next one it stands for the video.
            ax.bar(truth.places() + (k + 0.1) * bar, 100 * np.asarray(weights, float), bar, align="edge", color=colour)
        ax.axhline(100 / len(truth.times), color="#888888", lw=0.7, ls=(0, (3, 2)), zorder=0)
        ax.set(xlim=(0, 1), ylim=(0, 108 * top), xticks=[])
        ax.set_title(p.title, fontsize=7.4, pad=3)
        ax.tick_params(labelsize=SMALL, length=2, pad=1.5, labelleft=i == 0)
        ax.grid(axis="x", visible=False)
        if i == 0:
            ax.set_ylabel("weight [%]", fontsize=SMALL, labelpad=2)
        if truth.segments:
            strip = at(fig, left + i * (width + gap), 0.42 + tall + 0.05, width, 0.2 if alone else 0.12)
            draw_storyboard(strip, truth.segments) if alone else _colours_alone(strip, truth)
    line = {"va": "baseline", "weight": "bold"}
    _words(fig, left, 0.16, r"$a^{\mathrm{coarse}}$ (Eq. 7)", 7.4, color=style.COARSE, **line)
    _words(fig, left + 1.05, 0.16, r"$a^{\mathrm{fine}}$ (Eq. 9)", 7.4, color=style.FINE, **line)
    _words(fig, left + 1.9, 0.16, "dashed: equal weights", SMALL, color="#666666", va="baseline")
    return fig


def _colours_alone(ax: Axes, truth: Truth) -> None:
    """The true storyboard in colours alone, where there is no room for names."""
    for s in truth.segments:
        ax.barh(0, s.share, left=s.start, color=s.colour, edgecolor="white", lw=0.5, height=1)
    ax.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    ax.axis("off")


# --- matrices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """Numbers of one panel [rows, columns] with their labels; ``digits`` None: colours alone.

    ``after``: columns behind which a line stands.
    """

    values: Any
    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    colour: str = style.BOTH
    digits: int | None = 2
    after: Sequence[int] = ()


def matrices(panels: Sequence[Matrix], high: float | None = None) -> Figure:
    """Matrices side by side, cells from white (0 or less) to the colour of their panel (``high``, or its greatest)."""
    row = 0.2
    wide = [len(p.columns) * (0.17 if p.digits is None else 0.36) for p in panels]
    lefts = [0.12 + 0.057 * max(map(len, p.rows)) for p in panels]
    below = [0.1 + 0.052 * max(map(len, p.columns)) for p in panels]
    tall = row * max(len(p.rows) for p in panels)
    fig = _figure(sum(wide) + sum(lefts) + 0.1, 0.3 + tall + max(below))
    x = 0.0
    for p, width, left in zip(panels, wide, lefts, strict=True):
        values = np.asarray(p.values, float)
        _fits(p.title, values, (len(p.rows), len(p.columns)))
        ax = at(fig, x + left, 0.27, width, row * len(p.rows))
        _coloured(ax, values, p.colour, 0.0, high or values.max())
        if p.digits is not None:
            for (k, j), value in np.ndenumerate(values):
                text = _number(value, p.digits)
                ax.text(j + 0.5, k + 0.52, text, ha="center", va="center", fontsize=SMALL - 0.4)
        for j in p.after:
            ax.axvline(j, color=INK, lw=0.8)
        ax.set_yticks(np.arange(len(p.rows)) + 0.5, p.rows, fontsize=SMALL)
        ax.set_xticks(np.arange(len(p.columns)) + 0.5, p.columns, fontsize=SMALL, rotation=90)
        ax.set_title(p.title, fontsize=7.4, loc="left", pad=4)
        for spine in ax.spines.values():
            spine.set(visible=True, color="#cccccc", lw=0.6)
        x += left + width
    return fig
