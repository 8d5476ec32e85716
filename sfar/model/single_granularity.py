"""Single granularity: the video concept spotting of BIKE, which knows a class by its prompt alone."""

from __future__ import annotations

from torch import Tensor

from sfar.config import ModelConfig
from sfar.model.embedding import aggregate, coarse_importance, unit
from sfar.model.head import Head, Output
from sfar.model.method import TEXT, Method
from sfar.model.temporal import TemporalTransformer
from sfar.model.texts import ClassTexts


class SingleGranularity(Head):
    """Frames weighted by the words of the class prompt (Eq. 7 without Eq. 4-6), after the temporal transformer.

    The weighted sum of unit frames is not normalised again, as in BIKE modules/video_clip.py.
    """

    def __init__(self, d: int, tau: float, layers: int):
        super().__init__(tau)
        self.transformer = TemporalTransformer(d, layers)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``coarse`` is [B, C, L], ``video`` [B, C, d]."""
        v = unit(self.transformer(frames))
        a = coarse_importance(texts.words, texts.mask, v, self.tau)
        o = aggregate(v, a)
        return Output(scale * (o * unit(texts.cls)).sum(-1), coarse=a, video=o)


def _build(d: int, tau: float, cfg: ModelConfig) -> SingleGranularity:
    return SingleGranularity(d, tau, cfg.temporal_layers)


METHOD = Method(
    "single",
    "Single granularity (BIKE)",
    "#CC79A7",
    "^",
    reads=TEXT | {"temporal_layers", "word_mask", "frame_temperature"},
    build=_build,
)
