"""Means, deviations and intervals over replicates (seeds) and videos.

Both are random: other seeds and other videos would give another number. All values of a method stand in a table [seeds,
videos], since every seed is tested on the same videos, and the variance of their mean has three parts, each estimated
from its mean square (two crossed random factors; Cornfield and Tukey 1956). The interval is Student's, on the degrees
of freedom of Satterthwaite (1946): five seeds count as five, however many videos there are. How often such intervals
hold the truth is simulated in ``tests/studies/test_coverage.py``, for every design that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 95
_TAIL = 0.5 + LEVEL / 200

EQUAL = 1.0  # points: a difference that is smaller makes no difference


class Found(NamedTuple):
    """A number with the ends of its 95 % interval.

    ``p``: how probable a number so far from zero would be if zero were the truth; ``error``: its standard error, on
    ``freedom`` degrees of freedom; ``fixed``: what of the squared error more than these ``seeds`` would leave. The
    last four are not given for a correlation, whose error is not in its own unit.
    """

    mean: float
    low: float
    high: float
    p: float = 1.0
    error: float | None = None
    freedom: float | None = None
    fixed: float | None = None
    seeds: int | None = None


class _Parts(TypedDict):
    """Estimates of the variance of a mean from the seeds, from the videos, and from what both have counted."""

    seeds: float
    videos: list[float]
    both: list[float]
    freedom: list[int]


def _variance(strata: Sequence[np.ndarray], fitted: int) -> _Parts:
    share = 1 / len(strata)
    r = len(strata[0])
    of_seed = np.mean([v.mean(1) for v in strata], 0)
    seeds = float(of_seed.var(ddof=1)) / r if r > 1 else 0.0
    videos, both, freedom = [], [], []
    for v in strata:
        free = v.shape[1] - fitted
        if free < 1:
            videos.append(0.0)
            both.append(0.0)
            freedom.append(1)
            continue
        mean = v.mean(0)
        videos.append(share**2 * float(((mean - mean.mean()) ** 2).sum()) / free / v.shape[1])
        rest = v - mean - v.mean(1, keepdims=True) + v.mean()
        both.append(share**2 * float((rest**2).sum()) / free / (r - 1) / v.size if r > 1 else 0.0)
        freedom.append(free)
    return {"seeds": seeds, "videos": videos, "both": both, "freedom": freedom}


def strata_interval(strata: Sequence[np.ndarray], fitted: int = 1) -> Found:
    """Mean over strata of the mean of each [seeds, videos of it], with its 95 % interval.

    Strata are data sets, which share no video; seed k is the same in all. ``fitted``: numbers that the values of a
    stratum have been freed of (``slope``: 2). With one seed the interval says how the mean would move with other
    videos, with one video how with other seeds. Used for paired differences too: give the difference of each seed and
    video.
    """
    strata = [np.asarray(v, float) for v in strata]
    mean = float(np.mean([v.mean() for v in strata]))
    parts = _variance(strata, fitted)
    of_videos, r = sum(parts["videos"]), len(strata[0])
    # Noise of the single hit is in both of the first two parts. What is left may not be less than either.
    variance = max(parts["seeds"] + of_videos - sum(parts["both"]), parts["seeds"], of_videos)
    if variance <= 1e-18:
        return Found(mean, mean, mean, float(mean == 0), 0.0, 1.0, 0.0, r)
    spread = parts["seeds"] ** 2 / max(r - 1, 1)
    for videos, both, free in zip(parts["videos"], parts["both"], parts["freedom"], strict=True):
        spread += videos**2 / free + both**2 / (free * max(r - 1, 1))
    error, freedom = variance**0.5, max(variance**2 / spread, 1.0)
    half = float(stdtrit(freedom, _TAIL)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error))
    fixed = max(of_videos - sum(parts["both"]), 0.0) if r > 1 else variance
    return Found(mean, mean - half, mean + half, p, error, freedom, min(fixed, variance), r)


def interval(values: np.ndarray, fitted: int = 1) -> Found:
    """Mean and 95 % interval of ``values`` [seeds, videos]; see ``strata_interval``."""
    return strata_interval([values], fitted)


def slope(values: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    """Values [seeds, videos] whose mean is the least-squares slope of ``values`` over ``x`` [videos].

    Each is the slope and what its video moves it by (its influence): their interval, with ``fitted=2``, is the slope's,
    whether or not the scatter is the same everywhere. None where ``x`` does not vary.
    """
    v, d = np.asarray(values, float), np.asarray(x, float) - np.mean(x)
    total = (d**2).sum()
    if total / len(d) < 1e-12:
        return None
    found = (v.mean(0) * d).sum() / total
    return found + len(d) * d / total * (v - v.mean() - found * d)


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values [seeds, groups] of the same mean as ``values`` [seeds, videos]: a group in place of its videos.

    ``groups`` [videos]: the class, say. Videos of one class share its ambiguity and are no independent evidence about
    it.
    """
    v = np.asarray(values, float)
    names, place = np.unique(groups, return_inverse=True)
    member = (place == np.arange(len(names))[:, None]).astype(float)
    mean = v.mean()
    return mean + len(names) / v.shape[1] * ((v - mean) @ member.T)


def overlapping(parts: Sequence[np.ndarray], members: Sequence[np.ndarray]) -> np.ndarray:
    """One value per seed and video, [seeds, videos], whose mean is that over parts that share videos.

    Each part's own mean counts alike. ``parts``: values [seeds, videos of the part]; ``members``: bool [videos], which
    videos those are. A video's value is the mean of all, plus its deviation from the mean of each part it is in,
    weighed by how few that part has: another video in its place would move all parts that share it together, which
    intervals of each part by itself would not know.
    """
    out = np.zeros((len(parts[0]), len(members[0])))
    for values, member in zip(parts, members, strict=True):
        own = values.mean(1, keepdims=True)
        out += own
        out[:, member] += len(member) / member.sum() * (values - own)
    return out / len(parts)


def metric_intervals(
    scores: dict[str, np.ndarray],
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    videos: int,
    pairs: Sequence[tuple[str, str]],
    each_left_out: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[Any, Found]:
    """Of a number that is no mean over videos (mAP): values and differences with their 95 % intervals.

    Of every entry of ``scores`` (name -> [seeds, videos, ...]) and of the difference of every pair of names.
    ``measure(scores, videos kept) -> [seeds]``. What a video is worth to a seed is what its leaving out changes
    (jackknife); of these values [seeds, videos] the interval is taken. ``each_left_out(scores) -> [seeds, videos]``:
    what ``measure`` gives without each of the videos, where that can be had at once.
    """
    everything = np.arange(videos)
    values: dict[Any, np.ndarray] = {}
    for name, s in scores.items():
        whole = measure(s, everything)
        if each_left_out:
            without = each_left_out(s)
        else:
            without = np.stack([measure(s, np.delete(everything, v)) for v in everything], 1)
        worth = (videos - 1) * (whole[:, None] - without)
        # About the value: the jackknife's own estimate of its bias is not taken off what is shown.
        values[name] = whole[:, None] + worth - worth.mean(1, keepdims=True)
    for a, b in pairs:
        values[a, b] = values[a] - values[b]  # a side of one row (zero-shot) is held against each seed of the other
    return {name: interval(v) for name, v in values.items()}


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
    mean, low, high, *_ = interval(v)
    per_seed = v.mean(1)
    return {
        "mean": round(mean, 4),
        "std": round(float(per_seed.std(ddof=1)) if len(v) > 1 else 0.0, 4),
        "low": round(max(low, 0.0), 4),
        "high": round(min(high, 100.0), 4),
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


def correlation_interval(value: float, n: int, of_ranks: bool = False) -> Found:
    """A correlation of ``n`` pairs with its 95 % interval, by Fisher's transformation (``of_ranks``: Spearman's).

    Its variance there is 1 / (n - 3), of ranks 1.06 times as much (Fieller, Hartley and Pearson 1957). The scatter that
    seeds and videos add to the pairs is in the correlation itself. Fewer than four pairs say nothing.
    """
    if n < 4:
        return Found(value, -1.0, 1.0)
    z = np.arctanh(np.clip(value, -1 + 1e-9, 1 - 1e-9))
    error = ((1.06 if of_ranks else 1.0) / (n - 3)) ** 0.5
    half = float(stdtrit(n - 2, _TAIL)) * error
    p = 2 * float(stdtr(n - 2, -abs(z) / error))
    return Found(value, min(value, float(np.tanh(z - half))), max(value, float(np.tanh(z + half))), p)


def correlation(x: np.ndarray, y: np.ndarray) -> dict[str, Found]:
    """Of ``x`` [n] with ``y`` [n]: r, r2 and rho, each with its 95 % interval over other pairs of the same kind."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    r = correlation_interval(float(pearson(x, y)), len(x))
    rho = correlation_interval(float(spearman(x, y)), len(x), True)
    ends = r.low**2, r.high**2
    r2 = Found(r.mean**2, 0.0 if r.low < 0 < r.high else min(ends), max(ends), r.p)
    return {"r": r, "r2": r2, "rho": rho}


def narrow(found: Any) -> tuple[float, float] | None:
    """The 90 % interval of a number with ``mean``, ``error`` and ``freedom``; None of one without."""
    if found.error is None:
        return None
    half = float(stdtrit(found.freedom, 0.95)) * found.error
    return found.mean - half, found.mean + half


def verdict(low: float, high: float, within: tuple[float, float] | None = None) -> str:
    """Of the claim that a difference is above zero: "holds", "does not hold", "equal" or "undecided".

    ``low``, ``high``: the 95 % interval; ``within``: the 90 % interval of a difference in points, which is called equal
    where this lies within ``EQUAL`` of zero (two one-sided tests, Schuirmann 1987) and the other leaves the sign open.
    """
    if low > 0:
        return "holds"
    if high < 0:
        return "does not hold"
    return "equal" if within and within[0] >= -EQUAL and within[1] <= EQUAL else "undecided"


POWER = 0.8


def in_sight(error: float, freedom: float) -> float:
    """The difference that a comparison with this error finds four times in five."""
    return float(stdtrit(freedom, _TAIL) + stdtrit(freedom, POWER)) * error


def seeds_to_decide(mean: float, error: float, fixed: float, seeds: int) -> int | None:
    """How many seeds would put the interval off zero, were ``mean`` the truth; None: none would without more videos."""
    left = (mean / 2) ** 2 - fixed  # about two errors
    return None if left <= 0 else max(seeds + 1, int(np.ceil(seeds * (error**2 - fixed) / left)))


def holm(p: Sequence[float], level: float = 1 - LEVEL / 100) -> list[bool]:
    """Which of a family of findings stand when all are counted (Holm 1979): one false among them is rare."""
    order = np.argsort(p)
    out, standing = [False] * len(p), True
    for rank, i in enumerate(order):
        standing = standing and p[i] <= level / (len(p) - rank)
        out[i] = bool(standing)
    return out
