"""Frames of videos in figures: heat at the frame's resolution, true storyboards, labels that stay apart."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar.render import frames
from sfar.storyboard.scripts import ACTIVITIES


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_heat_has_the_frame_s_resolution():
    full = frames.full_heat([[0, 1], [0, 1]], 96, 128, [64, 73])
    inside = np.isfinite(full)
    assert full.shape == (96, 128)
    assert inside.sum() == 84**2
    assert inside[6, 22]
    assert inside[89, 105]
    assert not inside[5].any()
    assert not inside[:, 106].any()
    assert full[50, 22] == 0
    assert full[50, 105] == 1
    assert np.all(np.diff(full[50, 22:106]) >= 0)


def test_heat_colours_the_frame_where_the_model_looks():
    frame = np.full((96, 128, 3), 100, np.uint8)
    out = frames.overlay(frame, frames.full_heat([[0, 1], [0, 1]], 96, 128, [64, 73]), 1.0)
    assert out.shape == frame.shape
    assert out.dtype == np.uint8
    assert len(set(out[0, 0])) == 1, "outside it is grey"
    assert out[0, 0, 0] > 200, "and pale"
    hottest = 0.15 * 100 + 0.85 * 255 * np.array(plt.colormaps[frames.HEAT](1.0)[:3])
    assert out[50, 105] == pytest.approx(hottest, abs=1), "the frame shines through where it is hottest"
    assert len(set(out[50, 22].tolist())) > 1, "colours begin at 0, which is a dark one"


def test_a_row_keeps_the_shape_of_its_frames():
    row = [np.full((96, 128, 3), i, np.uint8) for i in range(3)]
    image = frames.in_a_row(row)
    assert image.shape == (96, 3 * 128 + 2 * frames.GAP, 3)
    assert (image[:, 128 : 128 + frames.GAP] == 255).all()
    assert frames.row_height(row, 5.0) / 5.0 == pytest.approx(96 / image.shape[1])
    fig = plt.figure(figsize=(8, 4))
    box = frames.at(fig, 1, 0.5, 5, 2).get_window_extent()
    assert (box.width / fig.dpi, box.height / fig.dpi) == pytest.approx((5, 2))
    assert (box.x0 / fig.dpi, 4 - box.y1 / fig.dpi) == pytest.approx((1, 0.5))


def test_storyboard_by_hand():
    own = [a for a, _ in ACTIVITIES["long jump"]]
    found = frames.storyboard("long jump", [("hop", 10, False), (own[1], 30, True), (own[0], 40, True)])
    assert [(s.start, s.share, s.own) for s in found] == [(0, 0.125, False), (0.125, 0.375, True), (0.5, 0.5, True)]
    assert [s.action for s in found] == ["hop", own[1].replace("_", " "), own[0].replace("_", " ")]
    assert [s.colour for s in found] == [frames.IRRELEVANT, frames.PALETTE[1], frames.PALETTE[0]]


def test_labels_of_a_storyboard_stay_apart():
    """Four narrow segments side by side: their labels stand on lines of their own."""
    own = ACTIVITIES["long jump"][0][0]
    parts = [(own, 40, True), *[("barbell_squat", 2, False)] * 4, (own, 40, True), ("hop", 3, False), (own, 40, True)]
    fig = plt.figure(figsize=(7, 2))
    ax = frames.at(fig, 0.5, 0.5, 6, 0.2)
    frames.draw_storyboard(ax, frames.storyboard("long jump", parts))
    fig.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert len(ax.patches) == len(parts)
    assert len(boxes) == len(parts)
    for i, a in enumerate(boxes):
        # The height of a line of text is greater than what its letters take up.
        assert not any(a.shrunk(1, 0.7).overlaps(b.shrunk(1, 0.7)) for b in boxes[:i])
    strip = ax.get_window_extent()
    assert all(strip.x0 - 1 <= b.x0 and b.x1 <= strip.x1 + 1 for b in boxes)


def test_more_narrow_segments_than_lines():
    """The fifth label moves aside on a line that has room, as in Figure 9."""
    own = ACTIVITIES["long jump"][0][0]
    parts = [(own, 40, True), *[("barbell_squat", 3, False)] * 6, (own, 80, True)]
    fig = plt.figure(figsize=(7, 2))
    ax = frames.at(fig, 0.5, 0.5, 6, 0.2)
    frames.draw_storyboard(ax, frames.storyboard("long jump", parts))
    fig.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert len(boxes) == len(parts)
    assert not any(a.shrunk(1, 0.7).overlaps(b.shrunk(1, 0.7)) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_label_at_the_very_beginning_stands_on_the_first_line():
    own = ACTIVITIES["long jump"][0][0]
    fig = plt.figure(figsize=(7, 2))
    ax = frames.at(fig, 0.5, 0.5, 6, 0.2)
    frames.draw_storyboard(ax, frames.storyboard("long jump", [("barbell_squat", 4, False), (own, 96, True)]))
    fig.canvas.draw()
    label = next(t for t in ax.texts if t.get_text().startswith("barbell squat"))
    assert ax.get_window_extent().y0 - label.get_window_extent().y1 < 0.1 * fig.dpi
