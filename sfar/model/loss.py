"""Section 3.4: the InfoNCE loss, Eq. 12-14."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sfar.errors import SfarError


class NotFinite(SfarError):
    """A loss that is not finite. ``videos``: rows of the logits that have such a value themselves."""

    def __init__(self, text: str, videos: list[int]):
        super().__init__(text)
        self.videos = videos


def both_directions(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """L_T2V (Eq. 12) and L_V2T (Eq. 13) of logits y [B, C] and labels [B]; see ``info_nce``."""
    y = logits[:, labels]  # [video, text of sample b]
    same = (labels[:, None] == labels[None, :]).to(y.dtype)
    t2v = -((y.log_softmax(0) * same).sum(0) / same.sum(0)).mean()
    v2t = F.cross_entropy(logits, labels)
    return t2v, v2t


def divergences(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """ActionCLIP's loss of logits [B, C] and labels [B] in both directions, text to video and video to text.

    Of the B videos and the texts of their labels: KL(softmax(10 G) || softmax(y)), G saying which two are of one class,
    averaged over rows (ActionCLIP train.py, utils/KLLoss.py; OST utils/NCELoss.py). The two are added where ActionCLIP
    takes their mean, which AdamW does not notice.
    """
    y = logits[:, labels]
    target = (10.0 * (labels[:, None] == labels[None, :]).to(y.dtype)).softmax(-1)
    t2v, v2t = ((target * (target.log() - q)).sum(-1).mean() for q in (y.log_softmax(0).T, y.log_softmax(1)))
    return t2v, v2t


def of_classes(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Nothing from text to video, and cross-entropy over all classes, of logits [B, C] and labels [B]."""
    v2t = F.cross_entropy(logits, labels)
    return torch.zeros_like(v2t), v2t


# ``train.loss``: both directions, of which the second counts ``train.loss_lambda``.
LOSSES: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "info_nce": both_directions,
    "kl": divergences,
    "cross_entropy": of_classes,
}


def check_finite(loss: Tensor, t2v: Tensor, v2t: Tensor, logits: Tensor) -> None:
    """Raise ``NotFinite`` unless the loss (a number, as its parts) of logits [B, C] is finite."""
    if not torch.isfinite(loss):
        wrong = (~torch.isfinite(logits).all(1)).nonzero()[:, 0].tolist()
        raise NotFinite(
            f"the loss is not finite (T2V {t2v.item()}, V2T {v2t.item()}): lower train.lr_head or train.lr_clip", wrong
        )


def info_nce(
    logits: Tensor, labels: Tensor, lam: float = 1.0, kind: str = "info_nce"
) -> tuple[Tensor, dict[str, float]]:
    """Eq. 14: L = L_T2V + lam * L_V2T of logits y [B, C] (cosine times logit scale) and labels [B]; and both parts.

    Read with the minus sign the paper leaves out (DEVIATIONS.md). Text to video (Eq. 12): for each sample's class text,
    a softmax over the videos of the batch, averaged over the videos k_b of that class. Video to text (Eq. 13): a
    softmax over all C classes; averaging within k_b and then over b gives each video the same weight, so it is plain
    cross-entropy. ``kind``: another of ``LOSSES`` in place of Eq. 12 and 13. Raises ``NotFinite``.
    """
    t2v, v2t = LOSSES[kind](logits, labels)
    loss = t2v + lam * v2t
    check_finite(loss, t2v, v2t, logits)
    return loss, {"t2v": t2v.item(), "v2t": v2t.item()}
