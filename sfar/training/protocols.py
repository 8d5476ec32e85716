"""Zero-shot protocols on what a model says of the videos of a data set that it was not trained on.

``half10``: ten draws of half of the classes, over all videos (BIKE and Text4Vis test_zeroshot.py). ``split3``: all
classes, on the three official test splits (X-CLIP, ViFi-CLIP, OST, TC-CLIP). Table 2b prints rows of both kinds side by
side.

A smaller class set means fewer columns: SFAR makes the video's embedding o for each class apart from the others, and a
softmax over fewer classes divides all of them by another number, so neither changes the order. BIKE's script prints
these numbers for bare frame embeddings instead of its own head; here it is always the model's own scores. Logits are
the better input: float32 probabilities of classes far below the best one may round to the same number, and ties count
against the model. Of several views, averaged probabilities keep the weights that the views had under all classes; the
protocols are of a single view, where this cannot arise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sfar.errors import ConfigError, DataError
from sfar.training.metrics import ranks, topk

DRAWS = 10  # of half of the classes, with numpy's seeds 0 to 9
DIGITS = 4  # of percentages


def half10(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Ten draws of half of the classes, and all classes: ``scores`` [V, C] logits or probabilities, ``labels`` [V].

    Draw s: the first C // 2 of ``np.random.RandomState(s).permutation(C)``, s = 0 to 9 (the numbers that
    ``np.random.seed(s)`` and ``np.random.permutation`` give); the videos of these classes against these classes.
    Returns ``top1`` and ``top5``, each with the mean and the population standard deviation (``np.std``) of the draws in
    percent, ``draws`` with one entry each and ``full``; an entry is what ``accuracy`` returns, of a draw with its
    ``seed``. Plain JSON types.

    Raises ``ConfigError`` as ``accuracy`` and for fewer than two classes; ``DataError`` for a draw without any video,
    naming its seed.
    """
    scores, labels = _checked(scores, labels)
    n = scores.shape[1]
    if n < 2:
        raise ConfigError(f"half10 draws half of the classes and needs at least 2, got {n}")
    full, draws = accuracy(scores, labels), []
    for seed in range(DRAWS):
        classes = np.random.RandomState(seed).permutation(n)[: n // 2]
        if not np.isin(labels, classes).any():
            raise DataError(
                f"half10, seed {seed}: none of the {len(labels)} videos is of the drawn classes (from 0: "
                f"{', '.join(map(str, np.sort(classes)[:8]))}"
                f"{', ...' if len(classes) > 8 else ''}); evaluate on all videos of the data set"
            )
        draws.append({"seed": seed, **accuracy(scores, labels, classes)})
    return {**_summary(draws), "draws": draws, "full": full}


def split3(splits: Sequence[tuple[ArrayLike, ArrayLike]]) -> dict[str, Any]:
    """The three official test splits, all classes: for each the scores [V, C] (logits or probabilities) and labels [V].

    Returns ``top1`` and ``top5`` with mean and population standard deviation over the splits in percent, and ``splits``
    with what ``accuracy`` returns for each. Raises ``ConfigError`` as ``accuracy``, for another number of splits or of
    classes between them.
    """
    if len(splits) != 3:
        raise ConfigError(f"split3 takes the three official test splits, got {len(splits)}")
    checked = [_checked(scores, labels, f"split {i}: ") for i, (scores, labels) in enumerate(splits, 1)]
    counts = [scores.shape[1] for scores, _ in checked]
    if len(set(counts)) > 1:
        raise ConfigError(
            f"split3: the splits have {counts[0]}, {counts[1]} and {counts[2]} classes; "
            "expected the same classes in all three"
        )
    each = [accuracy(scores, labels) for scores, labels in checked]
    return {**_summary(each), "splits": each}


def accuracy(scores: np.ndarray, labels: np.ndarray, classes: np.ndarray | None = None) -> dict[str, Any]:
    """Top-1 and top-5 in percent of the videos of ``classes`` against these classes; None: all.

    Returns ``top1``, ``top5``, ``classes`` (ascending), ``videos`` (how many), ``empty`` (the classes without a video;
    they still take part as wrong answers) and ``ranks`` (of the true class of each of these videos, in their order; 0 =
    first, a tie counts against the model). Raises ``ConfigError`` for shapes that do not fit, labels that are not class
    numbers, no videos, or classes that are not different columns of the scores; ``DataError`` when no video is of
    ``classes``.
    """
    scores, labels = _checked(scores, labels)
    n = scores.shape[1]
    columns = np.arange(n) if classes is None else np.sort(np.asarray(classes))
    if (
        columns.ndim != 1
        or not len(columns)
        or not np.issubdtype(columns.dtype, np.integer)
        or columns[0] < 0
        or columns[-1] >= n
        or (np.diff(columns) == 0).any()
    ):
        raise ConfigError(
            f"zero-shot classes: expected different whole numbers from 0 to {n - 1}, at least one, got {classes!r}"
        )
    kept = np.isin(labels, columns)
    if not kept.any():
        raise DataError(
            f"none of the {len(labels)} videos is of the {len(columns)} chosen classes; "
            "evaluate on all videos of the data set"
        )
    rank = ranks(scores[kept][:, columns], np.searchsorted(columns, labels[kept]))
    return {
        "top1": round(topk(rank, 1), DIGITS),
        "top5": round(topk(rank, 5), DIGITS),
        "classes": columns.tolist(),
        "videos": int(kept.sum()),
        "empty": np.setdiff1d(columns, labels).tolist(),
        "ranks": rank.tolist(),
    }


def _summary(each: list[dict[str, Any]]) -> dict[str, Any]:
    # From the ranks, since the entries' own numbers are rounded.
    out = {}
    for k in (1, 5):
        values = [topk(np.array(e["ranks"]), k) for e in each]
        out[f"top{k}"] = {"mean": round(float(np.mean(values)), DIGITS), "std": round(float(np.std(values)), DIGITS)}
    return out


def _checked(scores: ArrayLike, labels: ArrayLike, where: str = "") -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not scores.size:
        raise ConfigError(
            f"{where}expected scores [videos, classes] and labels [videos] with at least one of each, got shapes "
            f"{scores.shape} and {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= scores.shape[1]:
        bad = next((v for v in labels.tolist() if not isinstance(v, int) or not 0 <= v < scores.shape[1]), labels.dtype)
        raise ConfigError(
            f"{where}labels are whole numbers from 0 to {scores.shape[1] - 1}, the columns of the scores; got {bad}"
        )
    return scores, labels


def of_folds(
    scores: np.ndarray, labels: np.ndarray, paths: Sequence[str], folds: Sequence[set[str]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What ``split3`` takes, out of scores of all videos: the rows whose path is in the test list of each fold.

    Raises ``DataError`` for a fold of which no video was scored.
    """
    out = []
    for k, fold in enumerate(folds, 1):
        keep = np.array([p in fold for p in paths], bool)
        if not keep.any():
            raise DataError(
                f"none of the {len(fold)} test videos of split {k} was scored; check the lists and the videos"
            )
        out.append((np.asarray(scores)[keep], np.asarray(labels)[keep]))
    return out
