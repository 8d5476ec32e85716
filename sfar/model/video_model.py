"""The whole model: a visual tower before a method's head."""

from __future__ import annotations

import dataclasses
import math

import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import embed_frames, freeze_text_tower, single
from sfar.model.head import Output, Seen, SeenHead
from sfar.model.texts import ClassTexts, Prompts


class VideoModel(nn.Module):
    """Visual tower, logit scale and the head of ``method``: normalised frames [B, L, 3, H, W] in, ``Output`` out.

    ``texts``: of the classes it is trained on; it is the model's own from now on and moves with it. ``train_visual``
    False: the tower is frozen. ``train_text``: what of the text tower is trained (``train.train_text``); then ``texts``
    are ``Prompts``. ``frames``: L, which some towers and heads are made for. Raises ``ConfigError`` for an unknown
    method, for a temperature that is no number and for a method that changes a tower which is to stay frozen.
    """

    def __init__(
        self,
        method: str,
        clip: CLIP,
        texts: ClassTexts | Prompts,
        cfg: ModelConfig,
        train_visual: bool = True,
        train_text: str = "frozen",
        frames: int = 8,
    ):
        super().__init__()
        of = registry.get(method)
        freeze_text_tower(clip, train_text)
        if not (train_visual and of.trains_clip):
            clip.visual.requires_grad_(False)
        clip.logit_scale.requires_grad_(of.trains_scale)
        self.clip, self.texts, self.method = clip, texts, method
        scale = clip.logit_scale.exp().item()
        tau = cfg.frame_temperature if cfg.frame_temperature is not None else (1.0 / scale if scale else math.inf)
        if not 0 < tau < math.inf:
            raise ConfigError(f"frame temperature {tau}: set model.frame_temperature")
        if of.tower and not train_visual:
            raise ConfigError(
                f"{of.title} ({method}) changes the visual tower, whose embeddings cannot be made beforehand: "
                "set train.train_visual=true"
            )
        self.head = of.build(texts.width, tau, cfg, *([texts.classes] if of.closed else []))
        self.tower = of.tower(clip, frames, cfg) if of.tower else None

    def forward(self, frames: Tensor, texts: ClassTexts | Prompts | None = None) -> Output:
        """Logits over the classes of ``texts`` (on the model's device), such as unseen ones; None: over its own."""
        if self.tower is None:
            return self.from_embeddings(embed_frames(self.clip, frames), texts)
        return self._head(self.tower(frames), texts)

    def from_embeddings(self, v: Tensor, texts: ClassTexts | Prompts | None = None) -> Output:
        """The head alone on frame embeddings [B, L, d] (not normalised), such as a frozen tower's, made once and kept.

        ``texts`` as in ``forward``.
        """
        return self._head(v, texts)

    def _head(self, seen: Tensor | Seen, texts: ClassTexts | Prompts | None) -> Output:
        said = (self.texts if texts is None else texts).embedded(self.clip)
        scale = self.clip.logit_scale.exp()
        if isinstance(seen, Tensor):
            v, device = seen, seen.device.type
        else:
            seen = _single(seen)
            v, device = seen.frames, seen.frames.device.type
        # Under bf16 autocast the head stays in single precision: cosines are divided by a temperature of 0.01.
        with torch.autocast(device, enabled=False):
            if isinstance(self.head, SeenHead):
                assert isinstance(seen, Seen), "a method with such a head has a tower"
                return self.head(v, said, scale, seen)
            return self.head(single(v), said, scale)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The two learning-rate groups: CLIP's trained parameters and what is added to them (BIKE utils/solver.py)."""
        parts = self.head, self.tower or nn.Module(), self.texts
        added = [p for part in parts for p in part.parameters() if p.requires_grad]
        return {"clip": [p for p in self.clip.parameters() if p.requires_grad], "head": added}


def _single(seen: Seen) -> Seen:
    found = {f.name: getattr(seen, f.name) for f in dataclasses.fields(seen)}
    return Seen(**{name: x if x is None else single(x) for name, x in found.items()})
