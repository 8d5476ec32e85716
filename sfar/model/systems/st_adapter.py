"""ST-Adapter (Pan et al., NeurIPS 2022): a bottleneck over time in each block of a frozen tower, a linear classifier.

Of the patch tokens X [L, P, d_v] of a video before the MLP of each block, X <- X + A(X), with

    A(X)[t] = W2 (c_-1 h[t-1] + c_0 h[t] + c_1 h[t+1] + c) + b2,   h = W1 X + b1

over the width d_v / 2: three taps over time of each channel by itself, zeros beyond the ends, no activation. The class
token is left as it is. Taps and biases start at zero, so the tower starts as CLIP's; W1, W2 as torch draws them.
Prediction: a linear classifier on ln_post(mean over frames of the class tokens), dropout 0.5 (ST-Adapter
models_adapter.py, the 12 x 384 variant of its Kinetics-400 script).

Trained: adapters and classifier, and nothing of CLIP. (The last block's adapter has no gradient, here as there: behind
it no attention carries the patches to the class token.) Left out: the second adapter before the attention (the variant
for Something-Something), frozen weights in half precision (``train.precision`` says it here).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.model.head import Seen
from sfar.model.method import Method, Recipe
from sfar.model.systems import classifier
from sfar.model.tower import VideoTower, attend


class OverTime(nn.Module):
    """Three taps over time of each channel by itself, zero at the start: [B, L, ..., width] in and out."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(3, width)), nn.Parameter(torch.zeros(width))

    def forward(self, h: Tensor) -> Tensor:
        """Beyond the first and the last frame are zeros."""
        beyond = torch.zeros_like(h[:, :1])
        before, after = torch.cat([beyond, h[:, :-1]], 1), torch.cat([h[:, 1:], beyond], 1)
        w = self.weight
        return w[0] * before + w[1] * h + w[2] * after + self.bias


class Bottleneck(nn.Module):
    """W2 f(W1 x) through half the width, where ``between`` is f of that width; biases start at zero."""

    def __init__(self, width: int, between: Callable[[int], nn.Module] = OverTime):
        super().__init__()
        inner = width // 2
        self.down, self.between, self.up = nn.Linear(width, inner), between(inner), nn.Linear(inner, width)
        for layer in (self.down, self.up):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] in and out, as ``between`` takes it."""
        return self.up(self.between(self.down(x)))


class STAdapterTower(VideoTower):
    """CLIP's tower with an adapter in each block; ``pooled`` is ln_post of the mean class token, for each frame."""

    def __init__(self, clip: CLIP, frames: int):
        super().__init__(clip, frames)
        self.adapters = nn.ModuleList(Bottleneck(self.width) for _ in self.blocks)

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        x = x + attend(block, x)
        patches = x[:, :, 1:]
        x = torch.cat([x[:, :, :1], patches + self.adapters[i](patches)], 2)
        return x + block.mlp(block.ln_2(x))

    def leave(self, x: Tensor) -> Seen:
        """See ``VideoTower``: the mean comes before the norm."""
        seen = super().leave(x)
        seen.pooled = self.last_norm(x[:, :, 0].mean(1, keepdim=True)).expand_as(seen.pooled)
        return seen


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> STAdapterTower:
    """The tower of ST-Adapter."""
    return STAdapterTower(clip, frames)


def macs(width: int, layers: int, patches: int, frames: int) -> int:
    """Multiply-accumulates of the adapters for one view: two linear layers and the taps at every patch."""
    inner = width // 2
    return layers * frames * patches * (2 * width * inner + 3 * inner)


METHOD = Method(
    "st-adapter",
    "ST-Adapter",
    "#6699CC",
    "8",
    reads=frozenset({"clip", "pretrained"}),
    build=classifier.build,
    tower=tower,
    trains_clip=False,
    trains_scale=False,
    closed=True,
    recipe=Recipe(
        {
            "train.loss": "cross_entropy",
            "train.train_text": "frozen",
            "train.lr_head": 7.5e-4,
            "train.epochs": 12,
            "train.warmup_epochs": 2.0,
            "train.weight_decay": 1e-2,
            "train.frames": 8,
            "train.batch": 192,
        },
        "linziyi96/st-adapter: models_adapter.py, its script for Kinetics-400 (1e-3 for a batch of 256)",
        left_out="crops of 1 to 1.15 times the shorter side; three clips at test",
    ),
)
