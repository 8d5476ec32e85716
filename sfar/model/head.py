"""What every method has in common: a head that sees frame embeddings and texts and gives logits."""

from __future__ import annotations

from dataclasses import dataclass

from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.model.texts import ClassTexts, Prompts


@dataclass
class Output:
    """Logits [B, C] (cosine times logit scale) and what else a method has, None where it has it not.

    ``coarse``, ``fine``: importance of each frame for each class [B, C, L]. ``video``: video embedding, [B, d] or,
    where it differs by class, [B, C, d] (SFAR's is ``SFAR.embed``).
    """

    logits: Tensor
    coarse: Tensor | None = None
    fine: Tensor | None = None
    video: Tensor | None = None


@dataclass
class Seen:
    """What a visual tower that sees all frames of a video gives, beside CLIP's own output for each frame.

    ``frames`` [B, L, d]: frame embeddings (projected, not normalised); ``pooled`` [B, L, d_v]: before the projection;
    ``patches`` [B, L, P, d_v]: patch tokens of the last block; ``context`` [B, k, d]: context tokens, None for a tower
    that has none.
    """

    frames: Tensor
    pooled: Tensor
    patches: Tensor
    context: Tensor | None = None


class Head(nn.Module):
    """A method's head, made of frame embeddings and the text side alone. ``tau``: the temperature over frames."""

    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """Frames [B, L, d] (not normalised), the texts of C classes and the logit scale in, logits [B, C] out."""
        raise NotImplementedError


class SeenHead(Head):
    """A head that looks at more of what its tower has seen than at the frame embeddings."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, frames: Tensor, texts: ClassTexts, scale: Tensor, seen: Seen
    ) -> Output:
        """As ``Head``, with what the tower saw."""
        raise NotImplementedError


class PromptedHead(Head):
    """A head that reads the class prompts itself, with CLIP's text tower and what the visual tower has seen."""

    def said(self, prompts: Prompts, seen: Seen, clip: CLIP) -> Tensor:
        """Embeddings [B, C, d] of the classes for each video, not normalised; under autocast where the towers are."""
        raise NotImplementedError

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, frames: Tensor, texts: Tensor, scale: Tensor
    ) -> Output:
        """As ``Head``, with what ``said`` gives in place of the texts."""
        raise NotImplementedError


def init_weights(module: nn.Module) -> None:
    """N(0, 0.02) weights, zero biases (BIKE modules/video_clip.py)."""
    for m in module.modules():
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)
