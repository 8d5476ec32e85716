"""Plots that several studies share: rows that have values, and numbers that nothing runs into."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pytest

from sfar.render import style
from sfar.render.plots import Series, dot_panel


@dataclass
class Value:
    mean: float
    low: float
    high: float
    per_seed: tuple[float, ...] = ()


@pytest.fixture
def ax():
    style.use()
    fig, ax = plt.subplots(figsize=(7.2, 3.9), layout="constrained")
    yield ax
    plt.close(fig)


NAMES = {name: name.upper() for name in "abcdefgh"}
COLOURS = dict.fromkeys(NAMES, "#0072B2")


def test_rows_without_a_value_are_left_out(ax):
    heights = dot_panel(ax, NAMES, [Series({"a": Value(1, 0, 2), "c": Value(2, 1, 3)})], COLOURS, "")
    assert heights == {"a": 1.0, "c": 0.0}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["A", "C"]


def test_no_number_lies_on_the_ticks_of_a_second_line(ax):
    """The seeds of the line below lie where the number of the upper one ends."""
    upper = Series({n: Value(54.2, 50, 58, (53.0, 55.0)) for n in NAMES})
    lower = Series({n: Value(60.8, 58, 64, (58.6, 59.2, 60.0)) for n in NAMES}, hollow=True, shift=-0.32)
    dot_panel(ax, NAMES, [upper, lower], COLOURS, "")
    ax.figure.canvas.draw()
    numbers = [t.get_window_extent() for t in ax.texts if t.get_text() == "54.2"]
    # Half of a tick's 4 points above where it is placed.
    tops = [y + 2 * ax.figure.dpi / 72 for y in (ax.transData.transform((0, 7 - i - 0.32 + 0.13))[1] for i in range(8))]
    assert len(numbers) == len(tops) and all(n.y0 > top for n, top in zip(numbers, tops, strict=True))
