"""How often an interval holds the truth: every design that a committed record reports, simulated.

A video is hit or not; what decides is the class (always the same ones), the video, the seed, the seed's liking of the
class, and chance. Videos and seeds are drawn anew in each world, and the truth is the mean over all of them.
"""

import functools
import json

import numpy as np
import pytest

from sfar.config import get_profile
from sfar.studies import few_shot
from sfar.studies.core import statistics
from sfar.training.metrics import mean_ap
from sfar.util import paths

WORLDS = 1000  # of each spread of the seeds
LOW, HIGH = 0.93, 0.975  # over all spreads; a little too long where classes differ, which are always the same ones
ONE_LOW, ONE_HIGH = 0.91, 0.99  # of one spread, with what a thousand worlds leave open
CLASSES = 25
PROFILE = get_profile("storyboard")
OF_CLASS, OF_VIDEO, NOISE = 0.8, 1.5, np.pi / 3**0.5  # deviations on the logit's scale; the last is the logistic's
SPREADS = (0.0, 0.15, 0.4)  # of the seeds: none, and one or four points of accuracy


def reported():
    """(seeds, videos) of all rows of the committed records; few-shot averages are of three sets."""
    found = set()
    for file in sorted(paths.results("storyboard").glob("*.json")):
        for row in json.loads(file.read_text(encoding="utf-8")).get("rows", ()):
            if row.get("metric") in ("top1", "mass") and row.get("videos", 0) > 1:
                found.add((row["seeds"] if row.get("trained") else 1, row["videos"]))
    return sorted(found)


def levels(mean, of_class, spread):
    """The true accuracy: over classes, videos, seeds and chance, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    wide = (OF_VIDEO**2 + 2 * spread**2) ** 0.5
    p = 1 / (1 + np.exp(-(mean + of_class[:, None] + wide * nodes)))
    return float((p @ weights).mean() / weights.sum())


def worlds(rng, seeds, videos, spread):
    """Pairs of tables [seeds, videos] of two methods on the same videos, with the true difference; and of one alone."""
    label = np.arange(videos) % CLASSES
    of_class = np.random.default_rng(7).normal(0, OF_CLASS, (2, CLASSES))[:, np.unique(label)]
    of_class[1] = of_class[0] + 0.5 * of_class[1]
    label = np.unique(label, return_inverse=True)[1]
    mean = (0.9, 0.6)
    share = np.bincount(label) / videos * len(of_class[0])  # classes with one video more count so much more
    truth = []
    for m, c in zip(mean, of_class, strict=True):
        each = np.array([levels(m, c[k : k + 1], spread) for k in range(len(c))])
        truth.append(100 * float((each * share).mean()))
    for _ in range(WORLDS):
        own, other = rng.normal(0, OF_VIDEO, (2, videos))
        of_video = own, 0.5 * own + 0.75**0.5 * other
        hits = []
        for m, c, v in zip(mean, of_class, of_video, strict=True):
            of_seed = rng.normal(0, spread, (seeds, 1)) + rng.normal(0, spread, (seeds, len(c)))[:, label]
            hits.append(100.0 * (m + c[label] + v + of_seed + rng.logistic(size=(seeds, videos)) > 0))
        yield hits[0], hits[1], truth


@pytest.mark.parametrize("seeds, videos", reported())
def test_accuracies_and_differences(seeds, videos):
    """One seed: a method that has none (zero-shot), and differences over its videos alone."""
    rng = np.random.default_rng(0)
    held = []
    for spread in SPREADS if seeds > 1 else (0.0,):
        level = difference = 0
        for a, b, (of_a, of_b) in worlds(rng, seeds, videos, spread):
            _, low, high = statistics.interval(a)[:3]
            level += low <= of_a <= high
            _, low, high = statistics.interval(a - b)[:3]
            difference += low <= of_a - of_b <= high
        held.append((level / WORLDS, difference / WORLDS))
    assert all(LOW <= x <= HIGH for x in np.mean(held, 0)), held
    assert all(ONE_LOW <= x <= ONE_HIGH for both in held for x in both), held


def test_averages_over_data_sets():
    """Table 3: the same seeds on three sets of videos."""
    rng = np.random.default_rng(1)
    for spread in SPREADS:
        held = 0
        for sets in zip(*(worlds(rng, few_shot.MOST, 160, spread) for _ in range(3)), strict=True):
            _, low, high = statistics.strata_interval([a - b for a, b, _ in sets])[:3]
            (of_a, of_b) = sets[0][2]
            held += low <= of_a - of_b <= high
        assert ONE_LOW <= held / WORLDS <= ONE_HIGH, (spread, held)


def test_average_precision():
    """A smaller set than Table 2a's, fewer worlds; the truth from many videos."""
    rng = np.random.default_rng(2)
    videos, classes, seeds, n = 60, 5, 3, 200

    def draw(videos):
        positive = rng.random((videos, classes)) < 0.3
        easy = rng.normal(size=(videos, classes))
        of_seed = rng.normal(0, 0.2, (seeds, 1, 1))
        return positive, easy + rng.normal(size=(seeds, videos, classes)) + (1.5 + of_seed) * positive

    def truth():
        positive, scores = draw(20_000)
        return np.mean([mean_ap(s, positive, "present") for s in scores])

    true, held = np.mean([truth() for _ in range(30)]), 0
    for _ in range(n):
        positive, scores = draw(videos)

        def measure(s, keep, positive=positive):
            return np.array([mean_ap(x[keep], positive[keep], "present") for x in s])

        _, low, high = statistics.metric_intervals({"a": scores}, measure, videos, [])["a"][:3]
        held += low <= true <= high
    assert 0.91 * n <= held <= 0.99 * n, held


def groups_of(rng, strength, n):
    """Figure 7b: ``n`` groups of sub-texts tested with the same seeds on the same videos; their score and accuracy."""
    seeds, videos = len(PROFILE.frozen_seeds), CLASSES * PROFILE.data.val_per_class
    x = rng.normal(size=n)
    of_video, of_group = rng.normal(0, 0.25, videos), rng.normal(0, 0.02, n)
    p = 0.7 + strength * x[:, None] + of_group[:, None] + of_video
    hits = rng.binomial(seeds, p.clip(0, 1)) / seeds
    return x, hits.mean(1)


@functools.cache
def true_correlations(strength):
    """Of many groups: Pearson's and Spearman's."""
    rng = np.random.default_rng(4)
    return (
        np.mean([statistics.pearson(*groups_of(rng, strength, 4000)) for _ in range(10)]),
        np.mean([statistics.spearman(*groups_of(rng, strength, 1500)) for _ in range(10)]),
    )


@pytest.mark.parametrize("groups", [12, 15, 25])
@pytest.mark.parametrize("strength", [0.0, 0.03])
def test_correlations(groups, strength):
    rng = np.random.default_rng(3)
    true, ranked = true_correlations(strength)
    held = of_ranks = 0
    for _ in range(WORLDS):
        found = statistics.correlation(*groups_of(rng, strength, groups))
        held += found["r"][1] <= true <= found["r"][2]
        of_ranks += found["rho"][1] <= ranked <= found["rho"][2]
    assert all(ONE_LOW <= n / WORLDS <= ONE_HIGH for n in (held, of_ranks)), (held, of_ranks)
