"""Means and intervals on numbers whose answer is known; how often they hold the truth is in ``test_coverage.py``."""

import numpy as np
import pytest
from scipy import stats

from sfar.studies.core import statistics
from sfar.studies.core.statistics import (
    Found,
    by_group,
    correlation,
    correlation_interval,
    holm,
    in_sight,
    interval,
    metric_intervals,
    narrow,
    seeds_to_decide,
    slope,
    strata_interval,
    summary,
    verdict,
)


def crossed(rng, seeds, videos, of_seed=1.0, of_video=3.0, rest=2.0, mean=0.0):
    """Values with an effect of the seed, one of the video and noise."""
    return (
        mean
        + of_seed * rng.normal(size=(seeds, 1))
        + of_video * rng.normal(size=(1, videos))
        + rest * rng.normal(size=(seeds, videos))
    )


def test_mean_is_exact_and_inside():
    values = np.array([[0.0, 100.0, 100.0, 0.0], [100.0, 100.0, 100.0, 0.0]])
    mean, low, high = interval(values)[:3]
    assert mean == 62.5 and low < mean < high and high - mean == pytest.approx(mean - low)
    assert interval(values).seeds == 2


def test_nothing_varies():
    assert interval(np.full((3, 20), 7.0))[:3] == pytest.approx((7.0, 7.0, 7.0))
    assert interval(np.full((1, 1), -2.0))[:3] == pytest.approx((-2.0, -2.0, -2.0))
    assert interval(np.zeros((5, 4)))[:4] == (0.0, 0.0, 0.0, 1.0) and interval(np.zeros((5, 4))).seeds == 5


def test_one_seed_covers_the_videos_only():
    """The textbook interval of a mean over videos."""
    values = np.random.default_rng(1).normal(10.0, 4.0, (1, 400))
    found = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert interval(values)[1:3] == pytest.approx((found.low, found.high))


def test_one_video_covers_the_seeds_only():
    values = np.random.default_rng(2).normal(0.0, 1.0, (40, 1))
    found = stats.ttest_1samp(values[:, 0], 0).confidence_interval(0.95)
    assert interval(values)[1:3] == pytest.approx((found.low, found.high))


def test_seeds_that_differ_far_more_than_videos_are_the_sample():
    """Five means of seeds, Student's t on four degrees of freedom."""
    rng = np.random.default_rng(8)
    values = crossed(rng, 5, 300, of_seed=20.0, of_video=1.0, rest=1.0)
    found = stats.ttest_1samp(values.mean(1), 0).confidence_interval(0.95)
    assert interval(values)[1:3] == pytest.approx((found.low, found.high), rel=0.01)


def test_the_variance_is_that_of_the_model():
    """Its three parts, averaged over many tables, are the variance of the mean: nothing is counted twice."""
    rng = np.random.default_rng(9)
    r, v, of_seed, of_video, rest = 6, 40, 0.7, 3.0, 5.0
    parts = [statistics._variance([crossed(rng, r, v, of_seed, of_video, rest)], 1) for _ in range(3000)]
    total = np.mean([p["seeds"] + sum(p["videos"]) - sum(p["both"]) for p in parts])
    assert total == pytest.approx(of_seed**2 / r + of_video**2 / v + rest**2 / (r * v), rel=0.03)
    assert np.mean([p["seeds"] for p in parts]) == pytest.approx(of_seed**2 / r + rest**2 / (r * v), rel=0.05)


def test_seeds_and_videos_both_widen_it():
    rng = np.random.default_rng(3)
    seeds_alike = np.repeat(rng.normal(0, 1, (1, 200)), 5, axis=0)
    seeds_apart = seeds_alike + np.arange(5)[:, None] - 2
    wide, narrow, one = (np.diff(interval(v)[1:3])[0] for v in (seeds_apart, seeds_alike, seeds_alike[:1]))
    assert wide > 3 * narrow and narrow == pytest.approx(one), "seeds that agree say no more than one"


def test_strata_share_their_seeds():
    """A seed that is good in one data set is good in all here: three strata are no surer than one."""
    of_seed = np.array([[-4.0], [0.0], [1.0], [5.0]]) + np.zeros((4, 50))
    one, three = interval(of_seed), strata_interval([of_seed] * 3)
    assert three == pytest.approx(one) and three.seeds == one.seeds == 4
    of_video = np.random.default_rng(1).normal(0, 5, (1, 50)) + np.zeros((4, 1))
    one, three = interval(of_video), strata_interval([of_video] * 3)
    assert three[2] - three[1] == pytest.approx((one[2] - one[1]) / np.sqrt(3), rel=0.05), "videos are three samples"


def test_strata_count_alike():
    small, large = np.full((2, 3), 10.0), np.full((2, 300), 20.0)
    assert strata_interval([small, large])[0] == 15.0


# --- slopes ----------------------------------------------------------------------------------------------------------


def test_slope_is_least_squares():
    rng = np.random.default_rng(3)
    x, y = rng.random(40), rng.normal(size=(3, 40))
    values = slope(y, x)
    assert values is not None and values.shape == y.shape
    assert values.mean() == pytest.approx(np.polyfit(x, y.mean(0), 1)[0])
    assert values.mean(1) == pytest.approx([np.polyfit(x, one, 1)[0] for one in y]), "seed by seed"
    assert slope(y, np.ones(40)) is None


def test_interval_of_a_slope_with_one_seed():
    """About the textbook's, which takes the scatter for the same everywhere."""
    rng = np.random.default_rng(4)
    x = rng.random(3000)
    y = 3 * x + rng.normal(size=(1, 3000))
    found = stats.linregress(x, y[0])
    values = slope(y, x)
    assert values is not None
    mean, low, high = interval(values, fitted=2)[:3]
    assert mean == pytest.approx(found.slope) and high - low == pytest.approx(2 * 1.961 * found.stderr, rel=0.05)


def test_groups_are_the_sample():
    """Of one value a group nothing changes; videos that repeat their class's effect are no evidence of their own."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(8), 50)
    values = np.repeat(rng.normal(size=(1, 8)), 3, 0)[:, labels]
    own = by_group(values, labels)
    assert own.shape == (3, 8) and own.mean() == pytest.approx(values.mean())
    assert own == pytest.approx(values[:, ::50])
    assert np.diff(interval(own)[1:3]) > 4 * np.diff(interval(values)[1:3])


def test_groups_of_unlike_size_keep_the_mean():
    labels = np.array([0, 0, 0, 1])
    assert by_group(np.array([[1.0, 2.0, 3.0, 10.0]]), labels).mean() == pytest.approx(4.0)


# --- numbers that are no mean ----------------------------------------------------------------------------------------


def test_metric_of_a_mean_is_the_interval_of_the_mean():
    """For a number that is a mean over videos both ways must agree; the difference is paired."""
    rng = np.random.default_rng(0)
    a = rng.normal(50, 10, (3, 80)) + rng.normal(size=(3, 1))
    b = a + 2 + rng.normal(0, 1, (3, 80))
    out = metric_intervals({"a": a, "b": b}, lambda s, keep: s[:, keep].mean(1), 80, [("b", "a")])
    for got, values in ((out["a"], a), (out["b"], b), (out["b", "a"], b - a)):
        assert got == pytest.approx(interval(values), abs=1e-3)
    one = metric_intervals({"a": a, "b": b[:1]}, lambda s, keep: s[:, keep].mean(1), 80, [("b", "a")])
    assert one["b", "a"] == pytest.approx(interval(b[:1] - a), abs=1e-3), "one seed against each of the other's"
    more = metric_intervals(
        {"a": a, "b": b[:1], "c": np.tile(a, (2, 1))}, lambda s, keep: s[:, keep].mean(1), 80, [("b", "a")]
    )
    assert more["b", "a"] == one["b", "a"] and more["b", "a"].seeds == 3, "whatever seeds a third has"


# --- what would decide ------------------------------------------------------------------------------------------------


def test_equal_needs_the_narrow_interval_within_a_point():
    assert verdict(-0.9, 1.2, (-0.7, 1.0)) == "equal" and verdict(-0.9, 1.2, (-0.7, 1.01)) == "undecided"
    assert verdict(0.1, 0.9, (0.2, 0.8)) == "holds", "a small difference that is sure is a difference"
    found = interval(np.random.default_rng(0).normal(0, 3, (5, 400)))
    low, high = narrow(found)
    assert found.low < low < found.mean < high < found.high and narrow(Found(0.0, -1.0, 1.0)) is None


def test_what_was_in_sight_is_found_four_times_in_five():
    rng = np.random.default_rng(1)
    worlds = [crossed(rng, 6, 60, 0.5, 2.0, 2.0) for _ in range(2000)]
    seen = np.mean([in_sight(f.error, f.freedom) for f in map(interval, worlds)])
    found = np.mean([interval(w + seen).low > 0 for w in worlds])
    assert found == pytest.approx(0.8, abs=0.04)


def test_so_many_seeds_would_decide():
    """With them the error is half the difference; where the videos' part is larger, no number is enough."""
    error, fixed, mean = 2.0, 0.5, 2.5
    n = seeds_to_decide(mean, error, fixed, 5)
    assert n is not None and 5 < n < 30
    assert fixed + (error**2 - fixed) * 5 / n <= (mean / 2) ** 2 < fixed + (error**2 - fixed) * 5 / (n - 1)
    assert seeds_to_decide(1.0, error, fixed, 5) is None


def test_holm():
    assert holm([0.04, 0.001, 0.011]) == [True, True, True]
    assert holm([0.04, 0.001, 0.03]) == [False, True, False], "the second smallest is above 0.05 / 2"
    assert holm([]) == []


# --- correlations ----------------------------------------------------------------------------------------------------


def test_correlation_by_fisher():
    """The interval of scipy, which has the normal's quantile for Student's."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=200)
    y = x + rng.normal(size=200)
    found = stats.pearsonr(x, y)
    ends = found.confidence_interval(0.95)
    assert correlation(x, y)["r"][:3] == pytest.approx((found.statistic, ends.low, ends.high), abs=2e-3)
    assert correlation(x, y)["r"].seeds is None, "of groups, not of seeds"
    assert correlation(x, y)["rho"][0] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_r2_of_an_interval_over_zero_begins_at_zero():
    value, low, high, p, *_ = correlation(np.arange(20.0), np.tile([0.0, 1.0], 10))["r2"]
    assert low == 0.0 <= value <= high < 0.5 < p
    assert correlation_interval(0.9, 3)[:4] == (0.9, -1.0, 1.0, 1.0), "three pairs say nothing"


def test_paired_differences_are_narrower():
    """What two methods share in seeds and videos drops out."""
    rng = np.random.default_rng(5)
    shared = crossed(rng, 5, 300)
    a, b = shared + 1.0 + 0.1 * rng.normal(size=shared.shape), shared
    mean, low, high = interval(a - b)[:3]
    assert mean == pytest.approx(1.0, abs=0.05) and verdict(low, high) == "holds"
    alone = interval(a)
    assert high - low < 0.2 * (alone[2] - alone[1])


def test_summary():
    values = np.array([[100.0, 0.0], [100.0, 100.0], [0.0, 100.0]])
    s = summary(values)
    assert s["mean"] == pytest.approx(66.6667) and s["per_seed"] == [50.0, 100.0, 50.0]
    assert s["std"] == pytest.approx(np.std([50, 100, 50], ddof=1), abs=1e-4)
    assert (s["seeds"], s["videos"]) == (3, 2) and s["low"] <= s["mean"] <= s["high"]
    one = summary(values[:1])
    assert (one["std"], one["seeds"], one["mean"]) == (0.0, 1, 50.0)


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.1, 2.0, "holds"),
        (-2.0, -0.1, "does not hold"),
        (-1.0, 1.0, "undecided"),
        (0.0, 1.0, "undecided"),
        (-1.0, 0.0, "undecided"),
        (0.0, 0.0, "undecided"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_verdict(low, high, expected):
    assert verdict(low, high) == expected
