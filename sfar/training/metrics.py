"""Metrics: top-k accuracy, mean average precision of multi-label videos (Charades), importance on relevant frames.

Mean average precision comes in the variants that published code computes. One average precision, without interpolation:
AP_k = sum over the positives of the precision at their place / number of positives, videos by descending score (the
official ``Charades_v1_classify.m``, torchnet ``APMeter``). The variants differ in which classes and videos count. On
the whole Charades test set every class has positives and all variants but "bike" give the same number.
"""

from __future__ import annotations

import numpy as np

from sfar.errors import ConfigError, DataError

VARIANTS = {
    "official": "mean over all classes; a class without positives is an error (Charades_v1_classify.m gives NaN)",
    "present": "classes without positives are left out (SlowFast meters.py get_map)",
    "labelled": "videos without any label are left out, then as present "
    "(copies of charades_map give these videos a score of -inf)",
    "bike": "running average of the mAP after each batch, empty classes counted as 0 (BIKE test_charades.py); "
    "only to show the difference",
}


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rank of the true class of each video, [V], 0 = first: ``probabilities`` [V, C], ``labels`` [V].

    A tie counts against the model: equal scores prove nothing.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    return (~(probabilities < own)).sum(1) - 1  # "not smaller": a NaN is no better than a tie


def topk(rank: np.ndarray, k: int) -> float:
    """Top-k accuracy in percent from ranks."""
    return 100.0 * float((rank < k).mean())


def relevant_mass(importance: np.ndarray, indices: np.ndarray, relevance: list[np.ndarray]) -> np.ndarray:
    """Share of each video's importance [V, L] that falls on frames showing an action of its class, [V], in [0, 1].

    ``relevance``: per video a boolean per frame (the storyboard world's own labels; the model never saw them).
    """
    on = np.stack([r[i] for r, i in zip(relevance, indices, strict=True)])
    return (importance * on).sum(1) / importance.sum(1)


def per_class(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Average precision of each class, [C] in [0, 1]: ``scores`` [V, C], ``positive`` [V, C] of 0/1.

    NaN for a class without positives: there is no such number. Equal scores share one place, the last of theirs, so
    that the order of the videos cannot matter (as scikit-learn's ``average_precision_score``).

    Raises ``ConfigError`` for other shapes, no videos or no classes, scores that are not finite numbers, positives
    other than 0 and 1.
    """
    scores, positive = _checked(scores, positive)
    hits, sums = positive.sum(0), _precision_sums(scores, positive)
    return np.divide(sums, hits, out=np.full(len(hits), np.nan), where=hits > 0)


def mean_ap(scores: np.ndarray, positive: np.ndarray, variant: str = "official", batch: int = 0) -> float:
    """Mean average precision in percent by one of ``VARIANTS``: ``scores`` [V, C], ``positive`` [V, C] of 0/1.

    ``batch``: videos per batch, of "bike" alone, whose value depends on it and on the order of the videos. That variant
    adds each batch's cumulative mAP to an average weighted by the batch's size, so early batches, in which most classes
    have no positive yet and count 0, pull it down. Raises ``ConfigError`` as ``per_class`` and for an unknown variant
    or a batch that does not fit it; ``DataError`` for "official" when classes have no positives, for the others when
    none has.
    """
    if variant not in VARIANTS:
        raise ConfigError(
            f"unknown variant {variant!r} of mean average precision: expected one of {', '.join(VARIANTS)}"
        )
    if (
        isinstance(batch, bool)
        or not isinstance(batch, (int, np.integer))
        or (batch < 1 if variant == "bike" else batch != 0)
    ):
        raise ConfigError(
            f"mean average precision, variant {variant!r}: batch={batch!r}; "
            + (
                "give the number of videos per batch, at least 1"
                if variant == "bike"
                else "only 'bike' has batches, leave it out"
            )
        )
    scores, positive = _checked(scores, positive)
    empty = np.flatnonzero(~positive.any(0))
    if len(empty) == positive.shape[1]:
        raise DataError(
            f"mean average precision: none of the {len(positive)} videos has any label of the {positive.shape[1]} "
            "classes; check the labels"
        )
    if variant == "bike":
        return 100.0 * _running(scores, positive, int(batch))
    if variant == "official" and len(empty):
        raise DataError(
            f"mean average precision, variant 'official': {len(empty)} of {positive.shape[1]} classes have no positive "
            f"video (the first, from 0: {', '.join(map(str, empty[:8]))}), so their precision is undefined; "
            "evaluate on the whole test set, or choose variant 'present'"
        )
    if variant == "labelled":
        kept = positive.any(1)
        scores, positive = scores[kept], positive[kept]
    return 100.0 * float(np.nanmean(per_class(scores, positive)))


def mean_ap_without(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """``mean_ap`` by "present" of all videos but one, for each of them: [V].

    What ``scores`` and ``positive`` without that row give, all at once. Raises ``ConfigError`` as ``per_class``,
    ``DataError`` for fewer than two videos with a label.
    """
    scores, positive = _checked(scores, positive)
    if (labelled := int(positive.any(1).sum())) < 2:
        raise DataError(
            f"mean average precision without one of the videos: {labelled} of {len(scores)} videos have a label, at "
            "least 2 are needed; check the labels"
        )
    out = np.full(scores.shape, np.nan)
    for k, (s, on) in enumerate(zip(scores.T, positive.T, strict=True)):
        if (own := s[on]).size:
            before = s[:, None] >= own  # [V, P]: which videos stand at the place of each positive, or before
            hit = before & on[:, None]
            hits, places = hit.sum(0) - hit, before.sum(0) - before  # without the video of the row
            precision = np.divide(hits, places, out=np.zeros(before.shape), where=hits > 0)
            precision[np.flatnonzero(on), np.arange(own.size)] = 0  # of what is left out itself
            left = own.size - on  # none where it was the class's only one
            out[:, k] = np.divide(precision.sum(1), left, out=np.full(len(s), np.nan), where=left > 0)
    return 100.0 * np.nanmean(out, axis=1)


def _checked(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive)
    if scores.ndim != 2 or scores.shape != positive.shape or not scores.size:
        raise ConfigError(
            "average precision: expected scores and positives of one shape [videos, classes] with at least one of "
            f"each, got {scores.shape} and {positive.shape}"
        )
    if not np.isfinite(scores).all():
        video, k = np.argwhere(~np.isfinite(scores))[0]
        raise ConfigError(
            f"average precision: {(~np.isfinite(scores)).sum()} scores are not finite numbers, the first is "
            f"{scores[video, k]} of video {video}, class {k} (from 0); check the model, or leave such videos out"
        )
    if not np.isin(positive, (0, 1)).all():
        raise ConfigError(
            "average precision: positives are 0 or 1 (or False and True), got "
            f"{positive[~np.isin(positive, (0, 1))][0]!r}"
        )
    return scores, positive.astype(bool)


def _precision_sums(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Sum over each class's positives of the precision at their place, [C].

    The place of a tie is the last of its videos.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    s, hit = np.take_along_axis(scores, order, 0), np.take_along_axis(positive, order, 0)
    n = len(s)
    place = np.arange(n)[:, None]
    ends = np.vstack([s[:-1] != s[1:], np.ones((1, s.shape[1]), bool)])
    # Of each video, the end of its group of equal scores.
    last = np.minimum.accumulate(np.where(ends, place, n)[::-1], axis=0)[::-1]
    precision = np.take_along_axis(hit.cumsum(0), last, 0) / (last + 1)
    return (precision * hit).sum(0)


def _running(scores: np.ndarray, positive: np.ndarray, batch: int) -> float:
    total = 0.0
    for start in range(0, len(scores), batch):
        end = min(start + batch, len(scores))
        so_far = _precision_sums(scores[:end], positive[:end]) / np.maximum(positive[:end].sum(0), 1)
        total += (end - start) * so_far.mean()
    return float(total / len(scores))
