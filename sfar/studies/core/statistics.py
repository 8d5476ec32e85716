"""Means, deviations and intervals over seeds and videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np

DRAWS = 4000
CHUNK = 500
LEVEL = 95


def _weights(rng: np.random.Generator, n: int, draws: int) -> np.ndarray:
    return rng.multinomial(n, np.full(n, 1 / n), draws) / n


def bootstrap_mean(values: np.ndarray, seed: int = 0, draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean and 95 % interval of ``values`` [seeds, videos], both resampled (pigeonhole bootstrap).

    Resampling both says how the number would move with other training seeds *and* other videos. With one seed the
    interval covers the videos only; with five it is somewhat too short where the seeds disagree more than the videos do
    (a simulation gives 86 to 95 % coverage). Used for paired differences too: give the difference per seed and video.
    """
    v = np.asarray(values, float)
    rng = np.random.default_rng(seed)
    s, n = v.shape
    # Not at once: the weights of all draws would not fit for 20,000 videos.
    chunks = [min(CHUNK, draws - i) for i in range(0, draws, CHUNK)]
    means = np.concatenate(
        [np.einsum("bs,sv,bv->b", _weights(rng, s, c), v, _weights(rng, n, c), optimize=True) for c in chunks]
    )
    low, high = np.percentile(means, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(v.mean()), float(low), float(high)


def bootstrap_strata(values: Sequence[np.ndarray], seed: int = 0, draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean over strata of the mean of each [seeds, videos of it], with its 95 % interval.

    Strata are data sets, which share no video: the seeds are drawn once for all, the videos within each. All have the
    same number of seeds.
    """
    rng = np.random.default_rng(seed)
    v = [np.asarray(x, float) for x in values]
    total = np.zeros(draws)
    chunks = [min(CHUNK, draws - i) for i in range(0, draws, CHUNK)]
    seeds = np.concatenate([_weights(rng, len(v[0]), c) for c in chunks])
    for x in v:
        start = 0
        for c in chunks:
            total[start : start + c] += np.einsum(
                "bs,sv,bv->b", seeds[start : start + c], x, _weights(rng, x.shape[1], c), optimize=True
            )
            start += c
    low, high = np.percentile(total / len(v), [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(np.mean([x.mean() for x in v])), float(low), float(high)


def overlapping(parts: Sequence[np.ndarray], members: Sequence[np.ndarray]) -> np.ndarray:
    """One value per seed and video, [seeds, videos], whose mean is that over parts that share videos.

    Each part's own mean counts alike. ``parts``: values [seeds, videos of the part]; ``members``: bool [videos], which
    videos those are. A video's value is the mean of all, plus its deviation from the mean of each part it is in,
    weighed by how few that part has: resampling videos then moves all parts that share one together, which resampling
    each part by itself would not.
    """
    out = np.zeros((len(parts[0]), len(members[0])))
    for values, member in zip(parts, members, strict=True):
        own = values.mean(1, keepdims=True)
        out += own
        out[:, member] += len(member) / member.sum() * (values - own)
    return out / len(parts)


def bootstrap_metric(
    scores: dict[str, np.ndarray],
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    videos: int,
    pairs: Sequence[tuple[str, str]],
    seed: int = 0,
    draws: int = 1000,
) -> dict[Any, tuple[float, float, float]]:
    """Of a number that is no mean over videos (mAP): values and differences with their 95 % intervals.

    Of every entry of ``scores`` (name -> [seeds, videos, ...]) and of the difference of every pair of names.
    ``measure(scores, videos kept) -> [seeds]``. Seeds and videos are resampled, the same for all.

    The draws are moved so that their mean lies on the value: a video drawn twice raises an average precision, and the
    middle of the draws would lie above it (by 2 points for 160 videos of 20 classes).
    """
    rng = np.random.default_rng(seed)
    n = max(len(s) for s in scores.values())
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(draws):
        keep, pick = rng.integers(videos, size=videos), rng.integers(n, size=n)
        for name, s in scores.items():
            used, count = np.unique(pick % len(s), return_counts=True)
            drawn[name].append(float(measure(s[used], keep) @ count / n))
    value = {name: float(measure(s, np.arange(videos)).mean()) for name, s in scores.items()}

    def around(v: float, d: np.ndarray) -> tuple[float, float, float]:
        low, high = np.percentile(d, [50 - LEVEL / 2, 50 + LEVEL / 2]) - np.mean(d) + v
        return round(v, 4), round(float(low), 4), round(float(high), 4)

    out: dict[Any, tuple[float, float, float]] = {n: around(value[n], np.array(d)) for n, d in drawn.items()}
    out |= {(a, b): around(value[a] - value[b], np.array(drawn[a]) - np.array(drawn[b])) for a, b in pairs}
    return out


class Summary(TypedDict):
    """The numbers of a row of a record."""

    mean: float
    std: float
    low: float
    high: float
    seeds: int
    videos: int
    per_seed: list[float]


def summary(values: np.ndarray) -> Summary:
    """Of per-video values [seeds, videos] in percent: mean, deviation over seeds, interval, value of each seed."""
    v = np.asarray(values, float)
    mean, low, high = bootstrap_mean(v)
    per_seed = v.mean(1)
    return {
        "mean": round(mean, 4),
        "std": round(float(per_seed.std(ddof=1)) if len(v) > 1 else 0.0, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "seeds": len(v),
        "videos": v.shape[1],
        "per_seed": [round(float(x), 4) for x in per_seed],
    }


def ranks(x: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 0 for the smallest; equal values share their mean rank."""
    x = np.asarray(x, float)
    return (
        (x[..., None, :] < x[..., :, None]).sum(-1) + ((x[..., None, :] == x[..., :, None]).sum(-1) - 1) / 2
    ).astype(float)


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation coefficient along the last axis, whose square is r^2 of a line; NaN where one side does not vary."""
    dx, dy = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((dx**2).sum(-1) * (dy**2).sum(-1))
    return np.divide((dx * dy).sum(-1), scale, out=np.full(scale.shape, np.nan), where=scale > 0)


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rank correlation along the last axis."""
    return pearson(ranks(x), ranks(y))


def correlation(x: np.ndarray, hits: np.ndarray, seed: int = 0, draws: int = DRAWS) -> dict[str, dict[str, float]]:
    """Of ``x`` [groups] with the mean of ``hits`` [groups, seeds, videos]: r, r2 and rho, each with a 95 % interval.

    Groups, seeds and videos are resampled together: the interval says how the number would move with other groups of
    the same kind, other training seeds and other videos. Draws in which one side does not vary are left out.
    """
    x, h = np.asarray(x, float), np.asarray(hits, float)
    g, s, n = h.shape
    rng = np.random.default_rng(seed)
    r, rho = [], []
    for i in range(0, draws, CHUNK):
        c = min(CHUNK, draws - i)
        y = np.einsum("bs,gsv,bv->bg", _weights(rng, s, c), h, _weights(rng, n, c), optimize=True)
        pick = rng.integers(g, size=(c, g))
        xs, ys = x[pick], np.take_along_axis(y, pick, 1)
        r.append(pearson(xs, ys))
        rho.append(spearman(xs, ys))
    y = h.mean((1, 2))
    out = {}
    for name, value, drawn in (
        ("r", pearson(x, y), np.concatenate(r)),
        ("r2", pearson(x, y) ** 2, np.concatenate(r) ** 2),
        ("rho", spearman(x, y), np.concatenate(rho)),
    ):
        low, high = np.nanpercentile(drawn, [50 - LEVEL / 2, 50 + LEVEL / 2])
        out[name] = {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return out


def verdict(low: float, high: float) -> str:
    """Of the claim that a difference is above zero, from its interval: "holds", "does not hold" or "undecided"."""
    if low > 0:
        return "holds"
    return "does not hold" if high < 0 else "undecided"
