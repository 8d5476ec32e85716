"""Mean average precision against scikit-learn, loops that follow the definition, and numbers worked out by hand."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sfar.errors import ConfigError, DataError
from sfar.training.metrics import VARIANTS, mean_ap, mean_ap_without, per_class


def world(seed, videos=60, classes=9, levels=0, rate=0.25):
    """Scores, and positives of which every class has one at least; ``levels``: so many different scores only (ties)."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(videos, classes)) / levels if levels else rng.normal(size=(videos, classes))
    positive = rng.random((videos, classes)) < rate
    positive[rng.integers(videos, size=classes), np.arange(classes)] = True
    return scores, positive


def by_loop(scores, positive):
    """Sum of the precision at the positives / number of positives, for scores without ties."""
    hits, total = 0, 0.0
    for place, i in enumerate(sorted(range(len(scores)), key=lambda i: -scores[i]), 1):
        if positive[i]:
            hits += 1
            total += hits / place
    return total / hits


# --- one class ---


def average_precision(scores, positive):
    """Of one class: ``scores`` [V], ``positive`` [V]."""
    return float(per_class(scores[:, None], positive[:, None])[0])


def test_worked_out_by_hand():
    # by score: yes, no, yes, no -> (1/1 + 2/3) / 2
    assert average_precision(np.array([0.1, 0.9, 0.5, 0.7]), np.array([False, True, True, False])) == pytest.approx(
        5 / 6
    )
    assert average_precision(np.array([3, 2, 1]), np.array([1, 0, 0])) == 1.0
    assert average_precision(np.array([3, 2, 1]), np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_equal_scores_share_the_last_of_their_places():
    # the positive is one of three with the highest score: precision 1/3 there, wherever it stands in the list
    for i in range(3):
        assert average_precision(np.array([2.0, 2.0, 2.0, 1.0]), np.arange(4) == i) == pytest.approx(1 / 3)


@pytest.mark.parametrize("levels", [0, 2, 3, 10, 40])
def test_equals_scikit_learn(levels):
    for seed in range(40):
        scores, positive = world(seed, videos=1 + 3 * seed, classes=3, levels=levels, rate=(seed % 5) / 4)
        for k in range(3):
            assert average_precision(scores[:, k], positive[:, k]) == pytest.approx(
                average_precision_score(positive[:, k], scores[:, k]), abs=1e-12
            )


def test_equals_the_definition_without_ties():
    scores, positive = world(1, videos=200)
    assert per_class(scores, positive) == pytest.approx(
        [by_loop(scores[:, k], positive[:, k]) for k in range(9)], abs=1e-12
    )


def test_extreme_scores():
    scores = np.array([1e308, -1e308, 0.0, 5e-324], np.float64)
    assert average_precision(scores, np.array([0, 0, 0, 1])) == pytest.approx(1 / 2)  # second, apart from 0
    assert average_precision(scores.clip(-1, 1).astype(np.float32), np.array([0, 0, 0, 1])) == pytest.approx(
        1 / 3
    )  # float32 makes it equal to 0
    assert average_precision(np.array([0, 255, 3], np.uint8), np.array([0, 1, 0])) == 1.0


def test_no_positive_is_no_number():
    assert np.isnan(average_precision(np.array([1.0, 2.0]), np.array([False, False])))
    assert np.isnan(per_class(np.ones((2, 2)), np.array([[0, 1], [0, 0]]))).tolist() == [True, False]


@pytest.mark.parametrize("levels", [0, 4])
def test_the_order_of_videos_does_not_matter(levels):
    scores, positive = world(2, levels=levels)
    shuffled = np.random.default_rng(3).permutation(len(scores))
    assert per_class(scores[shuffled], positive[shuffled]) == pytest.approx(per_class(scores, positive), abs=1e-12)


# --- variants ---


@pytest.mark.parametrize("levels", [0, 5])
def test_all_variants_agree_where_every_class_has_a_positive_and_every_video_a_label(levels):
    scores, positive = world(4, levels=levels, rate=0.9)
    assert positive.any(1).all()
    want = 100 * np.mean([average_precision_score(positive[:, k], scores[:, k]) for k in range(9)])
    assert mean_ap(scores, positive) == pytest.approx(want)  # "official" when none is named
    for variant in ("official", "present", "labelled"):
        assert mean_ap(scores, positive, variant) == pytest.approx(want)
    assert mean_ap(scores, positive, "bike", batch=len(scores)) == pytest.approx(want)  # one batch: no running average


def test_official_names_the_classes_without_positives():
    scores, positive = world(5)
    positive[:, [2, 7]] = False
    with pytest.raises(
        DataError, match=r"2 of 9 classes have no positive video \(the first, from 0: 2, 7\).*'present'"
    ):
        mean_ap(scores, positive)


def test_present_leaves_empty_classes_out():
    scores, positive = world(5)
    positive[:, [2, 7]] = False
    kept = [k for k in range(9) if k not in (2, 7)]
    assert mean_ap(scores, positive, "present") == pytest.approx(mean_ap(scores[:, kept], positive[:, kept]))


def test_labelled_is_the_same_as_scores_of_minus_infinity():
    # Videos at minus infinity come last: they are never hits, and no positive comes after them, whose precision they
    # could lower.
    scores, positive = world(6, videos=80, rate=0.1)
    bare = ~positive.any(1)
    assert 5 < bare.sum() < 60
    want = np.mean([by_loop(np.where(bare, -np.inf, scores[:, k]), positive[:, k]) for k in range(9)])
    assert mean_ap(scores, positive, "labelled") == pytest.approx(100 * want, abs=1e-10)
    assert mean_ap(scores, positive, "official") == pytest.approx(
        100 * np.mean([by_loop(scores[:, k], positive[:, k]) for k in range(9)]), abs=1e-10
    )
    assert mean_ap(scores, positive, "labelled") > mean_ap(scores, positive, "official") + 0.1


def test_bike_is_the_running_average():
    scores, positive = world(7, videos=50)
    total = 0.0
    for start in range(0, 50, 16):  # batches of 16, 16, 16 and 2
        end = min(start + 16, 50)
        so_far = [by_loop(scores[:end, k], positive[:end, k]) if positive[:end, k].any() else 0.0 for k in range(9)]
        total += (end - start) * np.mean(so_far)
    assert mean_ap(scores, positive, "bike", batch=16) == pytest.approx(100 * total / 50)


def test_bike_depends_on_batch_and_order_and_counts_empty_classes_as_0():
    scores, positive = world(8, videos=120, classes=40, rate=0.02)
    once, small = mean_ap(scores, positive, "bike", batch=120), mean_ap(scores, positive, "bike", batch=8)
    assert once == pytest.approx(mean_ap(scores, positive)) and abs(small - once) > 1
    back = slice(None, None, -1)
    assert mean_ap(scores[back], positive[back], "bike", batch=8) != pytest.approx(small, abs=0.01)
    # one video, first in the class it has: precision 1 there, 0 in the class that nothing is of
    assert mean_ap(np.array([[0.9, 0.1]]), np.array([[1, 0]]), "bike", batch=1) == 50.0


def test_a_model_that_knows_and_one_that_does_not():
    _, positive = world(9, videos=400)
    assert mean_ap(positive.astype(float), positive) == 100.0
    assert mean_ap(np.zeros((400, 9)), positive) == pytest.approx(
        100 * positive.mean()
    )  # all equal: the share of positives


# --- input that cannot be right ---


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite(bad):
    scores, positive = world(10)
    scores[3, 4] = bad
    for variant in VARIANTS:
        with pytest.raises(
            ConfigError, match=r"1 scores are not finite numbers, the first is -?(nan|inf) of video 3, class 4"
        ):
            mean_ap(scores, positive, variant, batch=4 if variant == "bike" else 0)


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        (np.ones((3, 2)), np.ones((2, 3), bool)),
        (np.ones(3), np.ones(3, bool)),
        (np.ones((0, 3)), np.ones((0, 3), bool)),
        (np.ones((3, 0)), np.ones((3, 0), bool)),
        (np.ones((3, 2)), np.ones((3, 1), bool)),
    ],
)
def test_shapes_that_do_not_fit(scores, positive):
    with pytest.raises(ConfigError, match=r"one shape \[videos, classes\].*got \("):
        mean_ap(scores, positive)


def test_every_class_needs_its_axis():
    for scores, positive in ((np.ones(2), np.ones(2)), (np.ones((2, 1)), np.ones((3, 1)))):
        with pytest.raises(ConfigError, match="one shape"):
            per_class(scores, positive)


def test_class_numbers_are_not_positives():
    with pytest.raises(ConfigError, match=r"0 or 1.*got .*5"):
        mean_ap(np.ones((2, 2)), np.array([[0, 1], [5, 0]]))


def test_variants_and_batches():
    scores, positive = world(11)
    with pytest.raises(
        ConfigError, match="'exact' of mean average precision: expected one of official, present, labelled, bike"
    ):
        mean_ap(scores, positive, "exact")
    wrong: tuple[Any, ...] = (0, -1, 2.0, True)
    for batch in wrong:
        with pytest.raises(ConfigError, match=r"'bike': batch=.*at least 1"):
            mean_ap(scores, positive, "bike", batch=batch)
    with pytest.raises(ConfigError, match="only 'bike' has batches"):
        mean_ap(scores, positive, "official", batch=16)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_labelled_at_all(variant):
    with pytest.raises(DataError, match="none of the 3 videos has any label of the 2 classes"):
        mean_ap(np.ones((3, 2)), np.zeros((3, 2)), variant, batch=1 if variant == "bike" else 0)


# --- without one of the videos ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [17, 1])
def test_without_each_video_is_without_its_row(digits):
    """Ties, a class without positives and one whose only positive is left out among them."""
    rng = np.random.default_rng(3)
    positive = rng.random((40, 6)) < 0.2
    positive[:, 2] = positive[:, 4] = False
    positive[7, 4] = True
    scores = (rng.normal(size=positive.shape) + positive).round(digits)
    want = [mean_ap(np.delete(scores, v, 0), np.delete(positive, v, 0), "present") for v in range(40)]
    assert mean_ap_without(scores, positive) == pytest.approx(want, abs=1e-10)


def test_without_one_there_must_be_labels_left():
    with pytest.raises(DataError, match="1 of 3 videos have a label"):
        mean_ap_without(np.ones((3, 2)), np.array([[0, 0], [1, 1], [0, 0]]))
    with pytest.raises(ConfigError, match="finite"):
        mean_ap_without(np.full((3, 2), np.nan), np.ones((3, 2)))
