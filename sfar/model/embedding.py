"""Sections 3.2 and 3.3: coarse and fine video embedding as plain functions on tensors.

Shapes: B videos, L frames, C classes, N sub-texts, W words of a text (padded; a mask tells the real ones), d the width
of the joint space. Nothing here loops over classes, words or frames.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sfar.model.kernels.matmul import linear
from sfar.model.kernels.words import summed_softmax


def unit(x: Tensor) -> Tensor:
    """Vectors of length one along the last axis; a zero vector stays zero."""
    return F.normalize(x, dim=-1)


def attend(words: Tensor, subs: Tensor, sub_mask: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    """Eq. 4-6 as printed: augmented words T^ = softmax(T W^q (S W^k)^T / sqrt(d)) S W^v + T.

    words [C, W, d], subs [C, N, Ws, d], sub_mask [C, N, Ws] (bool), wq/wk/wv [d, d]; returns [C, W, d].
    Keys and values of all N sub-texts of a class stand side by side (Eq. 5); padding gets no weight. Multiplied in the
    order T (W^q W^k^T) S^T and (softmax S) W^v: no d x d matrix meets the sub-texts, which are N times as many words as
    the texts.
    """
    c, _, d = words.shape
    s, m = subs.reshape(c, -1, d), sub_mask.reshape(c, 1, -1)
    scores = linear(words, (wq @ wk.T).T) @ s.transpose(1, 2) / math.sqrt(d)
    return linear(scores.masked_fill(~m, -math.inf).softmax(-1) @ s, wv.T) + words


def coarse_importance(
    words: Tensor, mask: Tensor, frames: Tensor, temperature: Tensor | float, reduce: str = "mean"
) -> Tensor:
    """Eq. 7: a_coarse [B, C, L], the softmax over frames of each word's similarity, taken together over the words.

    words [C, W, d] (T^ of Eq. 6), mask [C, W], frames [B, L, d]. ``reduce``: "sum" as printed (rows add up to the
    number of words) or "mean" (rows add up to one). Only real words are computed: they are packed to [P, d] first. What
    has a row for each word is computed again for the backward pass, not kept.
    """
    index = mask.nonzero(as_tuple=True)
    b, length, d = frames.shape
    rows = unit(frames).transpose(0, 1).reshape(length * b, d)
    summed = summed_softmax(unit(words[index]) / temperature, rows, index[0], len(words), length)
    out = summed.permute(2, 0, 1).contiguous()
    return out / mask.sum(1)[None, :, None] if reduce == "mean" else out


def mean_unit_words(subs: Tensor, mask: Tensor) -> Tensor:
    """The constant of Eq. 9: mean over words of the unit word vectors, [C, N, d], from subs [C, N, Ws, d] and its mask.

    Cosine similarity is linear in the unit word vector, so mean_w cos(s_w, v) = (mean_w unit(s_w)) . unit(v):
    with a frozen text tower |S| times less work, to the same value.
    """
    m = mask[..., None].to(subs.dtype)
    return (unit(subs) * m).sum(2) / m.sum(2)


def fine_importance(mean_words: Tensor, frames: Tensor, temperature: Tensor | float) -> Tensor:
    """Eq. 9: a_fine [B, C, L], the softmax over frames of the best sub-text's average word similarity.

    mean_words [C, N, d] from ``mean_unit_words``, frames [B, L, d].
    """
    best = torch.einsum("cnd,bld->bcnl", mean_words, unit(frames)).amax(2)
    return (best / temperature).softmax(-1)


def aggregate(frames: Tensor, importance: Tensor) -> Tensor:
    """Eq. 8 and 10: o [B, C, d], the frames [B, L, d] weighted by importance [B, C, L]."""
    return importance @ frames
