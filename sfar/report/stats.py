"""Means, deviations and intervals over seeds and videos."""

from __future__ import annotations

import numpy as np

DRAWS = 4000
CHUNK = 500
LEVEL = 95


def _weights(rng: np.random.Generator, n: int, draws: int) -> np.ndarray:
    return rng.multinomial(n, np.full(n, 1 / n), draws) / n


def bootstrap_mean(values: np.ndarray, seed: int = 0, draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean and 95 % interval of ``values`` [seeds, videos], both resampled (pigeonhole bootstrap).

    Resampling both says how the number would move with other training seeds *and* other videos. With one seed the
    interval covers the videos only; with five it is somewhat too short where the seeds disagree more than the videos do (a
    simulation gives 86 to 95 % coverage). Used for paired differences too: give the difference per seed and video.
    """
    v = np.asarray(values, float)
    rng = np.random.default_rng(seed)
    s, n = v.shape
    chunks = [min(CHUNK, draws - i) for i in range(0, draws, CHUNK)]  # the weights of all draws at once would not fit for 20,000 videos
    means = np.concatenate([np.einsum("bs,sv,bv->b", _weights(rng, s, c), v, _weights(rng, n, c), optimize=True) for c in chunks])
    low, high = np.percentile(means, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(v.mean()), float(low), float(high)


def summary(values: np.ndarray) -> dict[str, float | int | list[float]]:
    """Of per-video values [seeds, videos] in percent: mean, deviation over seeds, interval over seeds and videos, per seed."""
    v = np.asarray(values, float)
    mean, low, high = bootstrap_mean(v)
    per_seed = v.mean(1)
    return {"mean": round(mean, 4), "std": round(float(per_seed.std(ddof=1)) if len(v) > 1 else 0.0, 4), "low": round(low, 4), "high": round(high, 4),
            "seeds": len(v), "videos": v.shape[1], "per_seed": [round(float(x), 4) for x in per_seed]}


def verdict(low: float, high: float) -> str:
    """Of the claim that a difference is above zero, from its interval: "holds", "does not hold" or "undecided"."""
    if low > 0:
        return "holds"
    return "does not hold" if high < 0 else "undecided"
