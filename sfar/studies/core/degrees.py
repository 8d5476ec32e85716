"""Appendix A.2: the ambiguous score of a class, the non-uniform score of a video, and what is true of both.

The scores are CLIP's and see no label: texts of the classes (Eq. 15-16), zero-shot predictions of single frames (Eq.
17-18). In the storyboard world the scripts and the segments say how ambiguous a class and how non-uniform a video
really is, so there the scores can be held against the truth.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfar.data.transforms import val_indices
from sfar.model.embedding import unit
from sfar.storyboard.scripts import Script
from sfar.subtexts import tpp

TOP = 10  # Eq. 16: the most similar other classes
DEGREES = 10  # Table 8
MOMENTARY = 0.1  # of a video's time, or less: what the storyboard world calls momentary


def class_similarity(cls: Tensor | np.ndarray) -> np.ndarray:
    """Eq. 15: sigma [C, C] in [0, 1] of class embeddings [C, d] of any length; (cosine + 1) / 2, as in Eq. 2."""
    c = np.asarray(cls.detach().cpu() if isinstance(cls, Tensor) else cls, np.float64)
    return tpp.similarity(c, np.broadcast_to(c, (len(c), *c.shape)))


def _mean_of_top(pairs: np.ndarray) -> np.ndarray:
    """Mean of the ten largest entries of other classes in each row, [C], from pairs [C, C].

    Of fewer than ten others, all. Raises ``ValueError`` for one class.
    """
    c = len(pairs)
    if c < 2:
        raise ValueError("the ambiguous score compares a class with others: expected at least 2 classes")
    others = pairs[~np.eye(c, dtype=bool)].reshape(c, c - 1)
    return np.sort(others, 1)[:, -TOP:].mean(1)


def ambiguous_score(sigma: np.ndarray) -> np.ndarray:
    """Eq. 16: AS_c [C], the mean similarity to the ten most similar other classes, from sigma [C, C].

    Of fewer than ten others, all. The text says "averaging" and Eq. 16 prints a sum; divided here, which leaves the
    order as it is.
    """
    return _mean_of_top(sigma)


@torch.no_grad()
def frame_predictions(frames: Tensor, cls: Tensor) -> np.ndarray:
    """The c_pred of Eq. 17, "predictions of each frame": the class of highest cosine for every frame, [V, L].

    From frame embeddings [V, L, d] and class embeddings [C, d].
    """
    return (unit(frames) @ unit(cls).T).argmax(-1).cpu().numpy()


def frame_similarity(sigma: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Eq. 17: sigma_l,l' [V, L, L] between the classes predicted for frames l and l'.

    From sigma [C, C] of Eq. 15 and predictions [V, L].
    """
    return sigma[predictions[:, :, None], predictions[:, None, :]]


def agreement(pairs: np.ndarray) -> np.ndarray:
    """Eq. 18: NUS [V], the mean of pairs [V, L, L] over l != l'. High for a *uniform* video.

    The text says "an average" and Eq. 18 prints a double sum; divided by L(L - 1) here. Raises ``ValueError`` for one
    frame.
    """
    length = pairs.shape[1]
    if length < 2:
        raise ValueError("the non-uniform score compares frames with one another: expected at least 2 frames")
    return (pairs.sum((1, 2)) - np.trace(pairs, axis1=1, axis2=2)) / (length * (length - 1))


def non_uniform_score(pairs: np.ndarray) -> np.ndarray:
    """1 - Eq. 18, [V]: 0 where all frames are predicted alike.

    Eq. 18 is an agreement, while A.2 and Table 8 take the highest score as the most non-uniform: inverted here.
    """
    return 1 - agreement(pairs)


def class_means(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Mean over the videos of each class, [C], from values [V]; NaN for a class without videos.

    The non-uniform score is of a video, while Tables 8 and 9 sort actions by it; how they do is not said.
    """
    return np.array([values[labels == c].mean() if (labels == c).any() else np.nan for c in range(classes)])


def degrees(scores: np.ndarray) -> np.ndarray:
    """Degree 1 (lowest) to 10 (highest score) of every class, each a tenth of them; 0 where the score is NaN.

    Equal scores keep their order. "We normalize from 1 to 10" could also mean bins of equal width. Tenths, because the
    paper's numbers say so: degree 10 of Table 8 is the top-10 % set of Table 9 (single 69.3 and 80.1, fusion 83.0; 72.1
    against 72.2). Counted from the top, so that degree 10 is that set here too: of C classes it has ceil(C / 10), of
    the storyboard world's 25 classes 3 (12 %).
    """
    out = np.zeros(len(scores), int)
    known = np.flatnonzero(np.isfinite(scores))
    order = known[np.argsort(-scores[known], kind="stable")]
    out[order] = DEGREES - np.arange(len(order)) * DEGREES // max(1, len(order))
    return out


# --- the truth, in the storyboard world ---


def overlaps(scripts: dict[str, Script]) -> np.ndarray:
    """Share of the time of each class (row) whose action a class (column) has too, [C, C]; 1 on the diagonal."""
    actions = {c: {a for a, _ in s} for c, s in scripts.items()}
    return np.array([[sum(w for a, w in s if a in actions[o]) for o in scripts] for s in scripts.values()])


def true_ambiguity(scripts: dict[str, Script]) -> dict[str, np.ndarray]:
    """How ambiguous each class is, [C] in [0, 1], by three definitions.

    ``overlap``: the largest share of its time that one other class could show too. The primary one, chosen before any
    result was seen: a class is mistaken for one other class at a time, and sharing a little with each of many confuses
    no one. ``shared``: the share of its time that some other class could show. ``top10``: the mean overlap with the ten
    classes it overlaps most, Eq. 16 with the truth in place of CLIP.
    """
    pairs = overlaps(scripts)
    users = Counter(a for s in scripts.values() for a in dict(s))  # in how many scripts each action is
    shared = [sum(w for a, w in s if users[a] > 1) for s in scripts.values()]
    return {
        "overlap": np.where(np.eye(len(pairs), dtype=bool), 0, pairs).max(1),
        "shared": np.array(shared),
        "top10": _mean_of_top(pairs),
    }


def true_non_uniformity(segments: list[list[Any]], frames: int) -> dict[str, float]:
    """How non-uniform a video of segments (action, frames, own) is, in [0, 1], by four definitions.

    ``disagreement``: share of pairs of its ``frames`` sampled frames that show different actions, 1 - Eq. 18 with "same
    action" in place of CLIP's similarity. The primary one, chosen before any result was seen: it is what the score
    estimates. ``unevenness``: 1 - entropy of the durations over its maximum, which is what section 1 calls non-uniform;
    0 for one action. ``momentary``: share of the class's own actions in the video that last a tenth of it or less.
    ``irrelevant``: share of frames that show none of the class's actions.
    """
    labels = [a for a, n, _ in segments for _ in range(n)]
    total = len(labels)
    seen = np.array([labels[i] for i in val_indices(total, frames)])
    same = (seen[:, None] == seen[None, :]).astype(float)[None]
    share: dict[str, float] = {}
    own: dict[str, float] = {}
    for a, n, relevant in segments:
        share[a] = share.get(a, 0) + n / total
        if relevant:
            own[a] = own.get(a, 0) + n / total
    p = np.array(list(share.values()))
    return {
        "disagreement": float(1 - agreement(same)[0]),
        "unevenness": float(1 + (p * np.log(p)).sum() / np.log(len(p))) if len(p) > 1 else 0.0,
        "momentary": float(np.mean([s <= MOMENTARY for s in own.values()])),
        "irrelevant": sum(n for _, n, relevant in segments if not relevant) / total,
    }
