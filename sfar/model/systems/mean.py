"""ViFi-CLIP (Rasheed et al., CVPR 2023): the mean frame against the class prompt, both towers trained, and no more.

o = mean of the frame embeddings as they are, normalised once after the mean; logits = scale * cos(o, t_c) (ViFi-CLIP
trainers/vificlip.py). Trained: all but the token embedding; nothing is added.
"""

from __future__ import annotations

from torch import Tensor

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.head import Head, Output
from sfar.model.method import TEXT, Method, Recipe
from sfar.model.texts import ClassTexts


class RawMean(Head):
    """The mean of the frame embeddings, each as long as it is, against the class embedding. No parameters."""

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``video`` is [B, d]."""
        o = frames.mean(1)
        return Output(scale * unit(o) @ unit(texts.cls).T, video=o)


def build(d: int, tau: float, cfg: ModelConfig) -> RawMean:
    """The head of ViFi-CLIP."""
    return RawMean(tau)


METHOD = Method(
    "vifi-clip",
    "ViFi-CLIP",
    "#44AA99",
    "<",
    reads=TEXT,
    build=build,
    recipe=Recipe(
        {
            "model.prompt": "a photo of a {}.",
            "train.loss": "cross_entropy",
            "train.train_text": "tower",
            "train.lr_clip": 2.2e-5,
            "train.epochs": 30,
            "train.weight_decay": 1e-3,
            "train.betas": (0.9, 0.98),
            "train.frames": 16,
            "train.batch": 512,
        },
        "muzairkhattak/ViFi-CLIP: trainers/vificlip.py, configs/fully_supervised/k400",
        few_shot={"train.lr_clip": 2e-6, "train.epochs": 50, "train.batch": 64, "train.frames": 32},
        left_out="mixup, cutmix, label smoothing; the best epoch on the test list",
    ),
)
