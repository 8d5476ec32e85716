"""The whole model: a visual tower before a method's head."""

from __future__ import annotations

import math

import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import embed_frames, freeze_text_tower, single
from sfar.model.head import Output, PromptedHead, Seen, SeenHead
from sfar.model.texts import ClassTexts, Prompts


class VideoModel(nn.Module):
    """Visual tower, logit scale and the head of ``method``: normalised frames [B, L, 3, H, W] in, ``Output`` out.

    ``texts``: of the classes it is trained on; it is the model's own from now on and moves with it. ``train_visual``
    False: the tower is frozen. ``train_text``: what of the text tower is trained (``train.train_text``); then ``texts``
    are ``Prompts``, and so they are for a method that reads them itself or adapts that tower (``Method.prompted``,
    ``adapts_text``). ``frames``: L, which some towers and heads are made for. ``shuffled``: the frames of each video
    are put into random order first (``train.frame_order``), at test in the same one for the same place in a batch.
    Raises ``ConfigError`` for an unknown method, for a temperature that is no number, for a method that changes a tower
    which is to stay frozen, and for one without texts where the text tower is to be trained.
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
        shuffled: bool = False,
    ):
        super().__init__()
        of = registry.get(method)
        freeze_text_tower(clip, train_text)
        if not (train_visual and of.trains_clip):
            clip.visual.requires_grad_(False)
        clip.logit_scale.requires_grad_(of.trains_scale)
        self.clip, self.said, self.method, self.shuffled = clip, texts, method, shuffled
        scale = clip.logit_scale.exp().item()
        tau = cfg.frame_temperature if cfg.frame_temperature is not None else (1.0 / scale if scale else math.inf)
        if not 0 < tau < math.inf:
            raise ConfigError(f"frame temperature {tau}: set model.frame_temperature")
        if of.tower and not train_visual:
            raise ConfigError(
                f"{of.title} ({method}) changes the visual tower, whose embeddings cannot be made beforehand: "
                "set train.train_visual=true"
            )
        if of.closed and train_text != "frozen":
            raise ConfigError(f"{of.title} ({method}) looks at no texts: set train.train_text=frozen")
        self.tower = of.tower(clip, frames, cfg) if of.tower else None
        self._closed = of.closed
        more = [texts.classes, self.tower.width] if of.closed and self.tower else [clip] if of.prompted else []
        self.head = of.build(texts.width, tau, cfg, *more)

    @property
    def texts(self) -> ClassTexts:
        """The texts of its own classes as its text tower embeds them now."""
        return self.said.embedded(self._text_side())

    def _text_side(self) -> CLIP:
        return self.tower.text_side(self.clip) if self.tower else self.clip

    def forward(self, frames: Tensor, texts: ClassTexts | Prompts | None = None) -> Output:
        """Logits over the classes of ``texts`` (on the model's device), such as unseen ones; None: over its own."""
        return self.say(self.see(frames), texts)

    def see(self, frames: Tensor) -> Tensor | Seen:
        """What the tower makes of frames [B, L, 3, H, W]: their embeddings [B, L, d], or more (``Seen``)."""
        frames = self._ordered(frames)
        return embed_frames(self.clip, frames) if self.tower is None else self.tower(frames)

    def from_embeddings(self, v: Tensor, texts: ClassTexts | Prompts | None = None) -> Output:
        """The head alone on frame embeddings [B, L, d] (not normalised), such as a frozen tower's, made once and kept.

        ``texts`` as in ``forward``.
        """
        return self.say(self._ordered(v), texts)

    def _ordered(self, x: Tensor) -> Tensor:
        """Frames [B, L, ...] in the order that the model is given them in."""
        if not self.shuffled:
            return x
        drawn = None if self.training else torch.Generator().manual_seed(0)
        order = torch.rand(x.shape[:2], generator=drawn).argsort(1).to(x.device)
        return x[torch.arange(len(x), device=x.device)[:, None], order]

    def say(self, seen: Tensor | Seen, texts: ClassTexts | Prompts | None = None) -> Output:
        """What the head makes of what ``see`` gave; ``texts`` as in ``forward``."""
        if texts is not None and self._closed:
            raise ConfigError(f"{self.method} is a classifier of the classes that it was trained on, and of no others")
        texts = self.said if texts is None else texts
        scale = self.clip.logit_scale.exp()
        if isinstance(seen, Tensor):
            v, device = seen, seen.device.type
        else:
            seen = _single(seen)
            v, device = seen.frames, seen.frames.device.type
        if isinstance(self.head, PromptedHead):
            assert isinstance(seen, Seen) and isinstance(texts, Prompts), "a method with such a head has a tower"
            said = single(self.head.said(texts, seen, self.clip))
        else:
            said = texts.embedded(self._text_side())
        # Under bf16 autocast the head stays in single precision: cosines are divided by a temperature of 0.01.
        with torch.autocast(device, enabled=False):
            if isinstance(self.head, SeenHead):
                assert isinstance(seen, Seen), "a method with such a head has a tower"
                return self.head(v, said, scale, seen)
            return self.head(single(v), said, scale)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The two learning-rate groups: CLIP's trained parameters and what is added to them (BIKE utils/solver.py)."""
        parts = self.head, self.tower or nn.Module(), self.said
        added = [p for part in parts for p in part.parameters() if p.requires_grad]
        return {"clip": [p for p in self.clip.parameters() if p.requires_grad], "head": added}


def _single(seen: Seen) -> Seen:
    context = None if seen.context is None else single(seen.context)
    return Seen(single(seen.frames), single(seen.pooled), single(seen.patches), context)
