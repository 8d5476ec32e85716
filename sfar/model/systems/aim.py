"""AIM (Yang et al., ICLR 2023): the frozen attention of each block once more over time, adapters, a linear classifier.

With Ad(x) = W2 GELU(W1 x + b1) + b2 through a quarter of the width, each block of the tower is, for the tokens X
[L, 1 + P, d_v] of a video,

    X <- X + drop(Ad_T(MHA_time(LN1 X)))      each of the 1 + P places over the frames
    X <- X + h + Ad_S(h),  h = MHA_space(LN1 X)   each frame over its places
    X <- X + MLP(LN2 X) + drop(Ad_M(LN2 X) / 2)

where both MHA and both LN1 are the block's own, frozen. A learned vector for each frame, zero at the start, is added to
all its tokens before ln_pre. W2 and all biases start at zero, so the tower starts as CLIP's; W1 ~ N(0, 0.02), cut off.
Prediction: a linear classifier on the mean over frames of ln_post(class token), dropout 0.5 (AIM
mmaction/models/backbones/vit_clip.py).

Trained: adapters, vectors of the frames, classifier, and ln_post, of which the tower has a copy that starts as CLIP's.
``drop`` is stochastic depth in training, 0 in the first block to 0.2 in the last. It is drawn for each video; the
released code draws it for each place of the token, and drops that place in all videos of the batch. Left out: the
variant with two adapters over time (Something-Something).
"""

from __future__ import annotations

import copy

import torch
from open_clip.model import CLIP
from open_clip.transformer import LayerNorm, ResidualAttentionBlock
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.model.head import Seen
from sfar.model.method import Method, Recipe
from sfar.model.systems import classifier
from sfar.model.tower import VideoTower, attend

DROP_PATH = 0.2  # in the last block


class Adapter(nn.Module):
    """W2 GELU(W1 x) through a quarter of the width, zero at the start: [..., width] in and out."""

    def __init__(self, width: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, width // 4), nn.Linear(width // 4, width)
        nn.init.trunc_normal_(self.down.weight, std=0.02)
        for p in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(p)

    def forward(self, x: Tensor) -> Tensor:
        """What is to be added."""
        return self.up(nn.functional.gelu(self.down(x)))


class DropPath(nn.Module):
    """In training, a video's x [B, ...] is zero with probability p and divided by 1 - p otherwise."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """The same shape out."""
        if not self.training or not self.p:
            return x
        kept = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.p
        return x * kept.to(x.dtype) / (1 - self.p)


class Adapted(nn.Module):
    """What AIM adds to one block."""

    def __init__(self, width: int, drop: float):
        super().__init__()
        self.time, self.space, self.mlp = Adapter(width), Adapter(width), Adapter(width)
        self.drop = DropPath(drop)

    def forward(self, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """Tokens [B, L, 1 + P, d_v] after the block."""
        over_time = attend(block, x.transpose(1, 2)).transpose(1, 2)
        x = x + self.drop(self.time(over_time))
        h = attend(block, x)
        x = x + h + self.space(h)
        normed = block.ln_2(x)
        return x + block.mlp(normed) + self.drop(0.5 * self.mlp(normed))


class AIMTower(VideoTower):
    """CLIP's tower with AIM's adapters."""

    def __init__(self, clip: CLIP, frames: int):
        super().__init__(clip, frames)
        n = len(self.blocks)
        self.position = nn.Parameter(torch.zeros(frames, self.width))
        self.adapted = nn.ModuleList(Adapted(self.width, DROP_PATH * i / max(1, n - 1)) for i in range(n))
        assert isinstance(self.visual.ln_post, LayerNorm), "of a plain vision transformer"
        self.norm = copy.deepcopy(self.visual.ln_post).requires_grad_(True)

    def forward(self, frames: Tensor) -> Seen:
        """See ``VideoTower``; raises ``ValueError`` for another number of frames than it has vectors for."""
        if frames.shape[1] != self.frames:
            raise ValueError(f"{frames.shape[1]} frames, expected {self.frames}")
        return super().forward(frames)

    def placed(self, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        placed = x.unflatten(0, (-1, self.frames)) + self.position[:, None].to(x.dtype)
        return placed.flatten(0, 1)

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        return self.adapted[i](block, x)

    def last_norm(self, x: Tensor) -> Tensor:
        """See ``VideoTower``: the one that is trained."""
        return self.norm(x)


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> AIMTower:
    """The tower of AIM."""
    return AIMTower(clip, frames)


def macs(width: int, layers: int, patches: int, frames: int) -> int:
    """Multiply-accumulates that AIM adds for one view: the attention over time, and three adapters at every token."""
    tokens = frames * (1 + patches)
    attention = tokens * (4 * width * width + 2 * frames * width)
    return layers * (attention + 3 * tokens * 2 * width * (width // 4))


METHOD = Method(
    "aim",
    "AIM",
    "#AA4466",
    "H",
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
            "train.lr_head": 3e-4,
            "train.epochs": 30,
            "train.warmup_epochs": 2.5,
            "train.weight_decay": 0.05,
            "train.betas": (0.9, 0.999),
            "train.frames": 8,
            "train.batch": 64,
        },
        "taoyang1122/adapt-image-models: configs/recognition/vit/vitclip_base_k400.py (as shipped 32 frames; the "
        "paper's row has 8)",
        left_out="three clips at test",
    ),
)
