"""The method in pictures: columns stand over one another, the best is framed, nothing lies on anything else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar.render import frames as strips
from sfar.render import method, style
from sfar.render.method import Matrix, Truth, Weights
from sfar.storyboard.scripts import ACTIVITIES

OWN = [a for a, _ in ACTIVITIES["long jump"]]
PARTS = [("cut_cookies", 4, False), (OWN[0], 12, True), (OWN[1], 1, True), (OWN[3], 7, True)]
TIMES = [0.0, 0.5, 1.6, 2.0]  # of 24 frames at 10 a second


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def pictures(n=4):
    return [np.full((96, 128, 3), 40 * i, np.uint8) for i in range(n)]


def truth(known=True):
    return Truth(TIMES, 2.4, method.storyboard("long jump", PARTS) if known else ())


def arrays(n=4):
    rng = np.random.default_rng(0)
    return rng.uniform(-0.2, 0.7, (3, n)), rng.dirichlet(np.ones(n)), rng.uniform(-0.2, 0.7, (2, n)), np.eye(n)[1]


def draw(known=True):
    cosines, coarse, subs, fine = arrays()
    texts = ["sprinting down the runway", "flying through the air with the legs stretched far forward"]
    fig = method.aligned(pictures(), ["long", "jump", "⟨end⟩"], cosines, coarse, texts, subs, fine, truth(known), "T")
    fig.canvas.draw()
    return fig


def texts_of(fig):
    """Every text that is shown, with its place in pixels."""
    every = [*fig.texts, *(t for ax in fig.axes for t in [*ax.texts, ax.title])]
    for ax in (ax for ax in fig.axes if ax.axison):
        (left, right), (low, high) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
        every.append(ax.yaxis.label)
        # Of ticks outside the axes there are labels too, which are not drawn.
        every += [t for t in ax.get_xticklabels() if left <= t.get_position()[0] <= right]
        every += [t for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
    return [(t.get_text(), t.get_window_extent()) for t in every if t.get_text() and t.get_visible()]


def apart(fig):
    boxes = texts_of(fig)
    for i, (a, box) in enumerate(boxes):
        # A line of text is higher than its letters.
        over = [b for b, other in boxes[:i] if box.shrunk(0.98, 0.7).overlaps(other.shrunk(0.98, 0.7))]
        assert not over, (a, over)
    page = fig.bbox
    outside = [a for a, b in boxes if not (page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1)]
    assert not outside


def test_what_a_frame_shows_is_what_the_storyboard_says():
    """A frame at the first instant of a segment shows that segment, and the last frame the last one."""
    own = dict(zip(OWN, method.ACTIONS, strict=False))
    found = truth().colours()
    assert found == [strips.IRRELEVANT, own[OWN[0]], own[OWN[1]], own[OWN[3]]]
    assert truth(False).colours() == []
    assert truth().places() == pytest.approx([0, 5 / 24, 16 / 24, 20 / 24])


def test_no_action_has_the_colour_of_a_weight():
    assert not {style.COARSE, style.FINE, strips.IRRELEVANT} & set(method.ACTIONS)
    assert len(set(method.ACTIONS)) == len(strips.PALETTE)


@pytest.mark.parametrize("known", [True, False])
def test_the_aligned_picture_stands_in_columns(known):
    fig = draw(known)
    images = [ax for ax in fig.axes if ax.images]
    cells = [ax for ax in fig.axes if ax.collections]
    bars = [ax for ax in fig.axes if len(ax.patches) == 4 and ax.yaxis.label.get_text()]
    assert (len(images), len(cells), len(bars)) == (4, 2, 2)
    for i, ax in enumerate(images):
        box = ax.get_window_extent()
        assert ((ax.images[0].get_array()) == 40 * i).all()
        assert box.width / box.height == pytest.approx(128 / 96, rel=0.02), "a frame keeps its shape"
        for other in (*cells, *bars):
            assert other.transData.transform((i + 0.5, 0))[0] == pytest.approx((box.x0 + box.x1) / 2, abs=1)
    apart(fig)


def test_the_aligned_picture_shows_the_arrays():
    fig = draw()
    cosines, coarse, subs, fine = arrays()
    cells = [ax for ax in fig.axes if ax.collections]
    for ax, values in zip(cells, (cosines, subs), strict=True):
        shown = [t.get_text() for t in ax.texts]
        assert shown == [f"{x:.2f}".replace("-", "−").replace("−0.00", "0.00") for x in values.ravel()]
    framed = [(round(p.get_x() - 0.02), round(p.get_y() - 0.05)) for p in cells[1].patches]
    assert framed == [(i, int(n)) for i, n in enumerate(subs.argmax(0))] and not cells[0].patches
    bars = [ax for ax in fig.axes if len(ax.patches) == 4 and ax.yaxis.label.get_text()]
    for ax, weights in zip(bars, (coarse, fine), strict=True):
        assert [p.get_height() for p in ax.patches] == pytest.approx(100 * weights)
        assert [t.get_text() for t in ax.texts if t.get_text().endswith("%")] == [f"{100 * w:.0f} %" for w in weights]
    said = " ".join(t for t, _ in texts_of(fig))
    for text in ("T", "jump", "⟨end⟩", "sprinting down the runway", "0.5 s", "1/4", "Eq. 7", "Eq. 9", "sprint 50 %"):
        assert text in said, text


def test_weights_that_add_up_to_more_are_shares():
    """ "sum" of Eq. 7 adds up to the number of words."""
    cosines, coarse, subs, fine = arrays()
    fig = method.aligned(pictures(), ["a", "b", "c"], cosines, 3 * coarse, ["x", "y"], subs, fine, truth())
    (first, _) = [ax for ax in fig.axes if len(ax.patches) == 4 and ax.yaxis.label.get_text()]
    assert sum(p.get_height() for p in first.patches) == pytest.approx(100)


def test_arrays_that_do_not_fit_are_named():
    cosines, coarse, subs, fine = arrays()
    with pytest.raises(ValueError, match=r"word_cosines: expected an array \[2, 4\], got \[3, 4\]"):
        method.aligned(pictures(), ["a", "b"], cosines, coarse, ["x", "y"], subs, fine, truth())
    with pytest.raises(ValueError, match=r"sub_cosines: expected an array \[1, 4\]"):
        method.aligned(pictures(), ["a", "b", "c"], cosines, coarse, ["x"], subs, fine, truth())
    with pytest.raises(ValueError, match=r"truth\.times: expected an array \[3\]"):
        method.aligned(pictures(3), ["a", "b", "c"], cosines[:, :3], coarse, ["x", "y"], subs[:, :3], fine, truth())


@pytest.mark.parametrize("names", [(), ["flying through the air with legs forward", "hop", "landing", "landing"]])
@pytest.mark.parametrize("known", [True, False])
def test_a_film_has_its_texts_under_its_frames(names, known):
    fig = method.film(pictures(), truth(known), names)
    fig.canvas.draw()
    apart(fig)
    middles = [(b.x0 + b.x1) / 2 for b in (ax.get_window_extent() for ax in fig.axes if ax.images)]
    shown = {t.get_text().replace("\n", " "): t for t in fig.texts}
    assert set(names) <= set(shown) and len(fig.texts) == len(names)
    for i, name in enumerate(names[:2]):
        box = shown[name].get_window_extent()
        assert (box.x0 + box.x1) / 2 == pytest.approx(middles[i], abs=1.5)


def test_weights_begin_at_the_instants_of_their_frames():
    _, coarse, _, fine = arrays()
    fig = method.over_time([Weights("one", coarse, fine), Weights("two", fine, coarse)], truth())
    fig.canvas.draw()
    apart(fig)
    one, two = (ax for ax in fig.axes if ax.get_title())
    width = one.patches[0].get_width()
    assert [p.get_x() for p in one.patches[:4]] == pytest.approx(truth().places() + 0.1 * width)
    assert [p.get_height() for p in one.patches] == pytest.approx(100 * np.concatenate([coarse, fine]))
    assert [p.get_height() for p in two.patches] == pytest.approx(100 * np.concatenate([fine, coarse]))
    assert one.get_ylim() == two.get_ylim()
    ends = [ax for ax in fig.axes if not ax.get_title()]
    assert len(ends) == 2 and all(len(ax.patches) == len(PARTS) for ax in ends)


def test_one_panel_has_the_names_of_the_actions():
    _, coarse, _, fine = arrays()
    fig = method.over_time([Weights("one", coarse, fine)], truth())
    fig.canvas.draw()
    apart(fig)
    assert "sprint 50 %" in [t for t, _ in texts_of(fig)]


def test_matrices():
    values = np.array([[0.0, -0.001, 0.5], [1.0, 0.25, 0.125]])
    fig = method.matrices(
        [
            Matrix(values, ["a row", "another"], ["x", "y", "z"], "numbers"),
            Matrix(values, ["a row", "another"], ["x", "y", "z"], "colours alone", digits=None, after=[2]),
        ],
        high=1.0,
    )
    fig.canvas.draw()
    apart(fig)
    numbers, colours = fig.axes
    assert [t.get_text() for t in numbers.texts] == ["0.00", "0.00", "0.50", "1.00", "0.25", "0.12"]
    assert not colours.texts and [line.get_xdata()[0] for line in colours.lines] == [2]
    for ax in (numbers, colours):
        assert ax.collections[0].get_clim() == (0, 1)
        assert [t.get_text() for t in ax.get_yticklabels()] == ["a row", "another"]
    with pytest.raises(ValueError, match=r"wrong: expected an array \[1, 3\], got \[2, 3\]"):
        method.matrices([Matrix(values, ["a"], ["x", "y", "z"], "wrong")])
