"""Frames of videos in figures: side by side, under a heat map, above the strip of their true storyboard.

Everything is placed in inches, so that frames keep their shape and the rows of several videos stay in line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn.functional import interpolate

from sfar.storyboard.scripts import ACTIVITIES

GAP = 5  # pixels between frames
HEAT = "inferno"
INK = "#222222"


# --- pictures --------------------------------------------------------------------------------------------------------


def at(fig: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    w, h = fig.get_size_inches()
    return fig.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))


def in_a_row(frames: Sequence[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Frames uint8 [H, W, 3] side by side with white between them."""
    padded = [np.pad(f, ((0, 0), (0, gap), (0, 0)), constant_values=255) for f in frames]
    return np.concatenate(padded, axis=1)[:, :-gap]


def row_height(frames: Sequence[np.ndarray], width: float) -> float:
    """Height in inches of frames in a row ``width`` inches wide."""
    height, each = frames[0].shape[:2]
    return width * height / (len(frames) * (each + GAP) - GAP)


def bare(ax: Axes) -> None:
    """No ticks, grid or frame."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def show(ax: Axes, image: np.ndarray, label: str = "") -> None:
    """An image over the whole of the axes, without a frame, labelled at the left."""
    ax.imshow(image, aspect="auto", interpolation="none")
    bare(ax)
    if label:
        ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7.5)


# --- heat ------------------------------------------------------------------------------------------------------------


def full_heat(grid: Any, height: int, width: int, crop: Sequence[int]) -> np.ndarray:
    """Heat [height, width] of a frame from its patches [g, g], bilinear between their centres.

    ``crop``: the pixels that the model sees of the frame's short side, and that side's length: of a 4:3 frame the
    middle square without a margin. NaN where the model does not look.
    """
    side = round(min(height, width) * crop[0] / crop[1])
    patches = torch.tensor(grid, dtype=torch.float64)[None, None]
    out = np.full((height, width), np.nan)
    y, x = round((height - side) / 2), round((width - side) / 2)
    spread = interpolate(patches, (side, side), mode="bilinear", align_corners=False)
    out[y : y + side, x : x + side] = spread[0, 0].numpy()
    return out


def overlay(frame: np.ndarray, heat: np.ndarray, top: float) -> np.ndarray:
    """A grey frame under its heat, colours from 0 to ``top``; what the model does not see is pale. uint8 [H, W, 3]."""
    grey = np.repeat(frame.mean(-1, keepdims=True) / 255, 3, -1)
    colour = matplotlib.colormaps[HEAT](np.nan_to_num(heat) / top)[..., :3]
    inside = np.isfinite(heat)[..., None]
    much = 0.25 + 0.6 * np.nan_to_num(heat)[..., None] / top  # where there is no heat the frame stays visible
    return (255 * np.where(inside, (1 - much) * grey + much * colour, 0.75 + 0.25 * grey)).round().astype(np.uint8)


# --- the true storyboard ---------------------------------------------------------------------------------------------

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # of a class's own actions in their order
IRRELEVANT = "#d0d0d0"
DARK = ("#0072B2", "#009E73")  # white letters stand on these


@dataclass(frozen=True)
class Segment:
    """A run of frames that show one action; ``start`` and ``share`` of the video's length; ``own``: of its class."""

    start: float
    share: float
    action: str
    own: bool
    colour: str


def storyboard(activity: str, segments: Sequence[tuple[str, int, bool]]) -> list[Segment]:
    """The true storyboard of a drawn video of ``activity`` from its (action, frames, own)."""
    shown = [action for action, _, own in segments if own]  # not all of its plain script where a knob is turned
    order = list(dict.fromkeys([*dict(ACTIVITIES[activity]), *shown]))
    total = sum(frames for _, frames, _ in segments)
    out, start = [], 0
    for action, frames, own in segments:
        colour = PALETTE[order.index(action) % len(PALETTE)] if own else IRRELEVANT
        out.append(Segment(start / total, frames / total, action.replace("_", " "), own, colour))
        start += frames
    return out


def draw_storyboard(ax: Axes, segments: Sequence[Segment], size: float = 6.5) -> None:
    """The true storyboard as a strip from 0 to 1, action and share in each segment (grey: irrelevant).

    Where a segment is too narrow for its label, this stands under it.
    """
    inches = ax.bbox.width / ax.figure.dpi
    ends = [-1.0] * 4  # where the labels of each line below end; none has begun
    for s in segments:
        ax.barh(0, s.share, left=s.start, color=s.colour, edgecolor="white", lw=0.8, height=1)
        name, percent = s.action, f"{100 * s.share:.0f} %"
        fitting = [(f"{name} {percent}", size), (f"{name}\n{percent}", size - 0.8)]
        inside = [(text, points) for text, points in fitting if _width(text, points, inches) < s.share - 0.03 / inches]
        if inside:
            text, points = inside[0]
            look = {"ha": "center", "va": "center", "linespacing": 0.85, "fontsize": points}
            ax.text(s.start + s.share / 2, 0, text, color="white" if s.colour in DARK else INK, **look)
        else:
            _label_below(ax, s, fitting[0][0], size - 0.8, inches, ends)
    ax.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    ax.axis("off")


def _width(text: str, points: float, inches: float) -> float:
    """About how wide a text is, as a share of ``inches``."""
    return 0.57 * points / 72 * max(map(len, text.split("\n"))) / inches


def _label_below(ax: Axes, s: Segment, text: str, points: float, inches: float, ends: list[float]) -> None:
    """A label under the strip, on the first line that is free there; ``ends`` is brought up to date."""
    half = _width(text, points, inches) / 2
    middle = min(max(s.start + s.share / 2, half), 1 - half)
    line = next((i for i, end in enumerate(ends) if end < middle - half), None)
    if line is None:  # the line that moves it least, to the right
        line = ends.index(min(ends))
        middle = min(ends[line] + half, 1 - half)
    ends[line] = middle + half + 0.01
    ax.annotate(
        text,
        (middle, -0.5),
        xytext=(0, -2 - 7 * line),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=points,
        color=INK,
    )
