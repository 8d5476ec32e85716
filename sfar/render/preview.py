"""Contact sheets of the storyboard world, to look at: every atomic action, and one storyboard per class."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar.render import frames, style
from sfar.storyboard import world
from sfar.storyboard.poses import ACTIONS, figure
from sfar.storyboard.render import draw, draw_style
from sfar.storyboard.scripts import KINETICS

SIZE = (256, 192)  # pixels of a frame
# Three videos with all their actions, momentary ones too, and a fair share of irrelevant frames (README's picture).
PICTURE = (("long jump", 15), ("clean and jerk", 25), ("making pizza", 48))


def drawn(activity: str, seed: int, index: int) -> tuple[world.Storyboard, np.ndarray]:
    """The storyboard of a drawn video and its frames, uint8 [frames, height, width, 3] of ``SIZE``."""
    rng = world.video_rng(seed, activity, index)
    board = world.draw_storyboard(activity, rng)
    return board, world.render_storyboard(board, rng, SIZE)


def filmstrip(ax: Axes, video: np.ndarray, count: int, label: str = "") -> None:
    """``count`` of the frames [n, height, width, 3] side by side, evenly spaced from the first to the last."""
    pick = np.linspace(0, len(video) - 1, count).round().astype(int)
    frames.show(ax, frames.in_a_row(list(video[pick])), label)


def timeline(ax: Axes, board: world.Storyboard) -> None:
    """The true atomic action of every frame as a strip; grey: irrelevant to the class."""
    segments = [(s.action, s.frames, s.relevant) for s in board.segments]
    frames.draw_storyboard(ax, frames.storyboard(board.activity, segments))


def actions_sheet(seed: int = 3, each: int = 3, columns: int = 5) -> Figure:
    """Every atomic action, ``each`` times in other clothes, places and moments."""
    style.use()
    names = list(ACTIONS)
    rows = -(-len(names) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 0.95 * rows), layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, name in zip(axes.flat, names, strict=False):
        rng = world.video_rng(seed, name, 0)
        shots = [
            draw(figure(name, t, 2.0, float(rng.random()), tuple(rng.normal(0, 4, 9))), draw_style(rng), size=SIZE)
            for t in np.linspace(0.2, 1.8, each)
        ]
        ax.imshow(np.concatenate(shots, axis=1))
        ax.set_title(ACTIONS[name].captions[0], fontsize=7, fontweight="normal", loc="left", pad=2)
    return fig


def storyboard_sheet(classes: list[str], seed: int = 3, shots: int = 8, indices: list[int] | None = None) -> Figure:
    """One video per class: frames in order and, below, the true atomic action of every frame.

    ``indices``: which drawn video of each class (default the first).
    """
    style.use()
    fig = plt.figure(figsize=(12, 1.42 * len(classes)), layout="constrained")
    grid = fig.add_gridspec(2 * len(classes), 1, height_ratios=[5.2, 1] * len(classes))
    for k, name in enumerate(classes):
        board, video = drawn(name, seed, indices[k] if indices else 0)
        filmstrip(fig.add_subplot(grid[2 * k]), video, shots, name)
        timeline(fig.add_subplot(grid[2 * k + 1]), board)
    return fig


def preview(out: Path) -> list[Path]:
    """Write the four contact sheets into ``out``; returns their paths.

    ``actions.png``, ``classes_1.png``, ``classes_2.png``, and ``storyboards.png`` of the videos in ``PICTURE``.
    """
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
