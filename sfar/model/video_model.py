"""The whole model: a visual tower before a method's head."""

from __future__ import annotations

import math

import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import embed_frames, freeze_text_tower
from sfar.model.head import Output
from sfar.model.texts import ClassTexts


class VideoModel(nn.Module):
    """Visual tower, logit scale and the head of ``method``: normalised frames [B, L, 3, H, W] in, ``Output`` out.

    ``texts``: of the classes it is trained on; it is the model's own from now on and moves with it. ``train_visual``
    False: the tower is frozen. Raises ``ConfigError`` for an unknown method and for a temperature that is no number.
    """

    def __init__(self, method: str, clip: CLIP, texts: ClassTexts, cfg: ModelConfig, train_visual: bool = True):
        super().__init__()
        freeze_text_tower(clip)
        if not train_visual:
            clip.visual.requires_grad_(False)
        self.clip, self.texts, self.method = clip, texts, method
        scale = clip.logit_scale.exp().item()
        tau = cfg.frame_temperature if cfg.frame_temperature is not None else (1.0 / scale if scale else math.inf)
        if not 0 < tau < math.inf:
            raise ConfigError(f"frame temperature {tau}: set model.frame_temperature")
        self.head = registry.get(method).build(texts.cls.shape[-1], tau, cfg)

    def forward(self, frames: Tensor, texts: ClassTexts | None = None) -> Output:
        """Logits over the classes of ``texts`` (on the model's device), such as unseen ones; None: over its own."""
        return self.from_embeddings(embed_frames(self.clip, frames), texts)

    def from_embeddings(self, v: Tensor, texts: ClassTexts | None = None) -> Output:
        """The head alone on frame embeddings [B, L, d] (not normalised), such as a frozen tower's, made once and kept.

        ``texts`` as in ``forward``.
        """
        # Under bf16 autocast the head stays in single precision: cosines are divided by a temperature of 0.01.
        with torch.autocast(v.device.type, enabled=False):
            return self.head(
                v.float() if v.dtype in (torch.bfloat16, torch.float16) else v,
                self.texts if texts is None else texts,
                self.clip.logit_scale.exp(),
            )

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The two learning-rate groups: CLIP's trained parameters and the head's (BIKE utils/solver.py)."""
        return {"clip": [p for p in self.clip.parameters() if p.requires_grad], "head": list(self.head.parameters())}
