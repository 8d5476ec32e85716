"""Means and intervals on numbers whose answer is known."""

import numpy as np
import pytest

from sfar.studies.core.statistics import bootstrap_mean, summary, verdict


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
    mean, low, high = bootstrap_mean(values)
    assert mean == 62.5 and 0.0 <= low < mean < high <= 100.0


def test_the_same_draws_every_time():
    values = crossed(np.random.default_rng(0), 3, 50)
    assert bootstrap_mean(values) == bootstrap_mean(values) == bootstrap_mean(values.tolist())
    assert bootstrap_mean(values)[1:] != bootstrap_mean(values, seed=1)[1:]


def test_nothing_varies():
    assert bootstrap_mean(np.full((3, 20), 7.0)) == pytest.approx((7.0, 7.0, 7.0))
    assert bootstrap_mean(np.full((1, 1), -2.0)) == pytest.approx((-2.0, -2.0, -2.0))
    assert bootstrap_mean(np.zeros((5, 4))) == (0.0, 0.0, 0.0)


def test_one_seed_covers_the_videos_only():
    """As the textbook interval of a mean over videos."""
    values = np.random.default_rng(1).normal(10.0, 4.0, (1, 400))
    mean, low, high = bootstrap_mean(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.1)


def test_one_video_covers_the_seeds_only():
    values = np.random.default_rng(2).normal(0.0, 1.0, (40, 1))
    _, low, high = bootstrap_mean(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / np.sqrt(40), rel=0.1)


def test_seeds_and_videos_both_widen_it():
    rng = np.random.default_rng(3)
    seeds_alike = np.repeat(rng.normal(0, 1, (1, 200)), 5, axis=0)
    seeds_apart = seeds_alike + np.arange(5)[:, None] - 2
    width = lambda v: np.diff(bootstrap_mean(v)[1:])[0]  # noqa: E731
    assert width(seeds_apart) > 3 * width(seeds_alike)
    assert width(seeds_alike) == pytest.approx(width(seeds_alike[:1]), rel=0.1), "seeds that agree say no more than one"


def test_it_covers_the_truth():
    """The pigeonhole bootstrap is a little wide (its variance counts the noise up to three times), never narrow."""
    rng = np.random.default_rng(4)
    inside = sum(
        low <= 5.0 <= high
        for _, low, high in (bootstrap_mean(crossed(rng, 12, 60, of_seed=0.5, mean=5.0), draws=400) for _ in range(150))
    )
    assert inside >= 0.88 * 150


def test_paired_differences_are_narrower():
    """What two methods share in seeds and videos drops out."""
    rng = np.random.default_rng(5)
    shared = crossed(rng, 5, 300)
    a, b = shared + 1.0 + 0.1 * rng.normal(size=shared.shape), shared
    mean, low, high = bootstrap_mean(a - b)
    assert mean == pytest.approx(1.0, abs=0.05) and verdict(low, high) == "holds"
    alone = bootstrap_mean(a)
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
