"""Vanilla CLIP and Baseline (CLIP) of Table 2e: the mean frame against the class prompt."""

from __future__ import annotations

from torch import Tensor

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.head import Head, Output
from sfar.model.method import TEXT, Method
from sfar.model.texts import ClassTexts


class MeanPool(Head):
    """The mean of the unit frame embeddings against the class embedding. No parameters."""

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``video`` is [B, d]."""
        o = unit(frames).mean(1)
        return Output(scale * unit(o) @ unit(texts.cls).T, video=o)


def _build(d: int, tau: float, cfg: ModelConfig) -> MeanPool:
    return MeanPool(tau)


VANILLA = Method("vanilla", "Vanilla CLIP (zero-shot)", "#999999", "v", reads=TEXT, build=_build, trained=False)
CLIP = Method("clip", "Baseline (CLIP)", "#E69F00", "s", reads=TEXT, build=_build)
