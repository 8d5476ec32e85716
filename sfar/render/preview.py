"""Contact sheets of the storyboard world, to look at: every atomic action, and one storyboard per class."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sfar.render import style
from sfar.storyboard import world
from sfar.storyboard.poses import ACTIONS, figure
from sfar.storyboard.render import draw, draw_style
from sfar.storyboard.scripts import ACTIVITIES, KINETICS

SIZE = (256, 192)


def actions_sheet(seed: int = 3, each: int = 3, columns: int = 5) -> plt.Figure:
    """Every atomic action, ``each`` times in other clothes, places and moments."""
    style.use()
    names = list(ACTIONS)
    rows = -(-len(names) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 0.95 * rows), layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, name in zip(axes.flat, names):
        rng = world.video_rng(seed, name, 0)
        shots = [
            draw(figure(name, t, 2.0, float(rng.random()), tuple(rng.normal(0, 4, 9))), draw_style(rng), size=SIZE)
            for t in np.linspace(0.2, 1.8, each)
        ]
        ax.imshow(np.concatenate(shots, axis=1))
        ax.set_title(ACTIONS[name].captions[0], fontsize=7, fontweight="normal", loc="left", pad=2)
    return fig


def storyboard_sheet(classes: list[str], seed: int = 3, shots: int = 8, indices: list[int] | None = None) -> plt.Figure:
    """One video per class: frames in order and, below, the true atomic action of every frame (grey: irrelevant to the class).

    ``indices``: which drawn video of each class (default the first).
    """
    style.use()
    fig = plt.figure(figsize=(12, 1.42 * len(classes)), layout="constrained")
    grid = fig.add_gridspec(2 * len(classes), 1, height_ratios=[5.2, 1] * len(classes))
    palette = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"]
    for k, name in enumerate(classes):
        rng = world.video_rng(seed, name, indices[k] if indices else 0)
        board = world.draw_storyboard(name, rng)
        frames = world.render_storyboard(board, rng, SIZE)
        ax, strip = fig.add_subplot(grid[2 * k]), fig.add_subplot(grid[2 * k + 1])
        pick = np.linspace(0, board.frames - 1, shots).round().astype(int)
        ax.imshow(
            np.concatenate([np.pad(frames[i], ((0, 0), (0, 6), (0, 0)), constant_values=255) for i in pick], axis=1),
            aspect="auto",
        )
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, fontweight="bold")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        own = list(dict(ACTIVITIES[name]))
        start = 0
        for seg in board.segments:
            colour = palette[own.index(seg.action) % len(palette)] if seg.relevant else "#d0d0d0"
            strip.barh(0, seg.frames, left=start, color=colour, edgecolor="white", lw=0.8, height=1)
            if seg.frames / board.frames > 0.085:
                text = seg.action.replace("_", " ")
                strip.text(
                    start + seg.frames / 2,
                    0,
                    text,
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if seg.relevant else "#444444",
                )
            start += seg.frames
        strip.set_xlim(0, board.frames)
        strip.axis("off")
        for spine in ax.spines.values():
            spine.set_visible(False)
    return fig


# Three videos with all their actions, momentary ones too, and a fair share of irrelevant frames (the README's picture).
PICTURE = (("long jump", 15), ("clean and jerk", 25), ("making pizza", 48))


def preview(out: Path) -> list[Path]:
    """Write ``actions.png``, ``classes_1.png``, ``classes_2.png`` and ``storyboards.png`` into ``out``; returns their paths."""
    names = list(KINETICS)
    pages = {
        "actions.png": actions_sheet(),
        "classes_1.png": storyboard_sheet(names[:13]),
        "classes_2.png": storyboard_sheet(names[13:]),
        "storyboards.png": storyboard_sheet([c for c, _ in PICTURE], shots=9, indices=[i for _, i in PICTURE]),
    }
    for name, fig in pages.items():
        style.save(fig, out / name)
        plt.close(fig)
    return [out / name for name in pages]
