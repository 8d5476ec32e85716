"""The linear classifier that ends the systems without a text side (``Method.closed``)."""

from __future__ import annotations

from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.model.head import Output, Seen, SeenHead, init_weights
from sfar.model.texts import ClassTexts


class Classifier(SeenHead):
    """logits = W o + b of o = dropout(mean over frames of ``Seen.pooled``); half of o is dropped in training.

    It knows its classes by number: neither their texts nor the logit scale come into it. W ~ N(0, 0.02), b = 0.
    """

    DROPOUT = 0.5

    def __init__(self, tau: float, classes: int, width: int):
        super().__init__(tau)
        self.dropout, self.fc = nn.Dropout(self.DROPOUT), nn.Linear(width, classes)
        init_weights(self.fc)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, seen: Seen) -> Output:
        """See ``SeenHead``; ``video`` is [B, d_v]."""
        o = seen.pooled.mean(1)
        return Output(self.fc(self.dropout(o)), video=o)


def build(d: int, tau: float, cfg: ModelConfig, classes: int, width: int) -> Classifier:
    """A classifier of so many classes behind a tower of that width."""
    return Classifier(tau, classes, width)
