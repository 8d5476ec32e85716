"""What every method has in common: a head that sees frame embeddings and texts and gives logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from sfar.model.texts import ClassTexts


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


class Head(nn.Module):
    """A method's head, made of frame embeddings and the text side alone. ``tau``: the temperature over frames."""

    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """Frames [B, L, d] (not normalised), the texts of C classes and the logit scale in, logits [B, C] out."""
        raise NotImplementedError


def init_weights(module: nn.Module) -> None:
    """N(0, 0.02) weights, zero biases (BIKE modules/video_clip.py)."""
    for m in module.modules():
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)
