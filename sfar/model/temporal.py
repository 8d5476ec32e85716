"""Baseline (Temporal) of Table 2e, and the temporal transformer that BIKE's head and VideoPrompt's have too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.head import Head, Output, init_weights
from sfar.model.method import TEXT, Method
from sfar.model.texts import ClassTexts


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), CLIP's own approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same out."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """A pre-norm transformer block of width d: attention among the frames, then an MLP of width 4d."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d, eps=1e-12), nn.LayerNorm(d, eps=1e-12)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), QuickGELU(), nn.Linear(4 * d, d))

    def forward(self, x: Tensor) -> Tensor:
        """Frames [B, L, d] in, frames [B, L, d] out."""
        h = self.ln1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class TemporalTransformer(nn.Module):
    """Learned positions, pre-norm blocks, and a residual to the input without positions.

    As ActionCLIP modules/Visual_Prompt.py and BIKE: d/64 heads (at least one), MLP of 4d with QuickGELU, LN eps 1e-12.
    """

    def __init__(self, d: int, layers: int, positions: int = 77):
        super().__init__()
        self.position = nn.Embedding(positions, d)
        self.blocks = nn.ModuleList(Block(d, max(1, d // 64)) for _ in range(layers))
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Frames [B, L, d] in, frames [B, L, d] out."""
        y = x + self.position.weight[: x.shape[1]]
        for block in self.blocks:
            y = block(y)
        return y + x


class Temporal(Head):
    """A temporal transformer over the frames, then their mean against the class embedding."""

    def __init__(self, d: int, tau: float, layers: int):
        super().__init__(tau)
        self.transformer = TemporalTransformer(d, layers)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``video`` is [B, d]."""
        o = self.transformer(frames).mean(1)
        return Output(scale * unit(o) @ unit(self.classes(texts)).T, video=o)

    def classes(self, texts: ClassTexts) -> Tensor:
        """What the video is compared with, [C, d]: the class embeddings."""
        return texts.cls


def _build(d: int, tau: float, cfg: ModelConfig) -> Temporal:
    return Temporal(d, tau, cfg.temporal_layers)


METHOD = Method("temporal", "Baseline (Temporal)", "#56B4E9", "o", reads=TEXT | {"temporal_layers"}, build=_build)
