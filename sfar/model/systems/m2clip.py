"""M2-CLIP (Wang et al., AAAI 2024): adapters over time and over change in a frozen visual tower, one in the text tower.

TED adapter: of all tokens X [L, 1 + P, d_v] of a video before the MLP of each visual block,

    X <- X + A(X) + B(D),   D[t] = patches of frame t less those of frame t - 1 (0 for the first; class tokens: no B)

A is ST-Adapter's bottleneck, three taps over time at every place; B has 3 x 3 taps over the patches of a frame in their
place. After the projection v_t <- v_t + A'(v)_t with a third such bottleneck, of width d over time; o = mean of v_t.
Text: before the MLP of the last text block t <- t + W2 GELU(W1 t) at every token, through three quarters of the width.
logits = scale * cos(o, t_c) (M2-CLIP models_adapter.py, the 12 x 384 variant of its Kinetics-400 script). Taps and
biases start at zero, so the visual tower starts as CLIP's; the text adapter's W1, W2 are as torch draws them, so the
class embeddings do not.

Trained: the adapters; both towers and the logit scale are CLIP's. (B of the last block has no gradient, as ST-Adapter's
last adapter.) The classes' texts pass through the text tower at every step.

Left out, so that 14,905,984 of the published 16,138,136 parameters are here at ViT-B/16: the masked-language branch,
a 13th text block (a copy of the 12th with an adapter of its own) behind which words are predicted, whose loss the
released main.py does not train, as it masks nothing; and the classifier on ln_post(mean class token), which is trained
beside and knows no other classes. The contrastive branch is what is trained and reported here. Of the published loss,
(KL + cross-entropy of softmax(100 cos) taken as logits) / 2 + the classifier's + a tenth of the masked words', that
leaves KL (``train.loss`` kl).
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock, Transformer
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.embedding import unit
from sfar.model.head import Head, Output
from sfar.model.method import TEXT, Method, Recipe
from sfar.model.systems import st_adapter
from sfar.model.systems.st_adapter import Bottleneck
from sfar.model.texts import ClassTexts
from sfar.model.tower import VideoTower, attend, plain


class OverPlace(nn.Module):
    """3 x 3 taps over the patches of a frame of each channel by itself, zero at the start: [B, L, P, width]."""

    def __init__(self, width: int, grid: tuple[int, int]):
        super().__init__()
        self.grid, self.conv = grid, nn.Conv2d(width, width, 3, padding=1, groups=width)
        for p in self.conv.parameters():
            nn.init.zeros_(p)

    def forward(self, h: Tensor) -> Tensor:
        """Beyond the edges are zeros."""
        pictures = h.flatten(0, 1).unflatten(1, self.grid).permute(0, 3, 1, 2)
        return self.conv(pictures).permute(0, 2, 3, 1).reshape_as(h)


class TED(nn.Module):
    """What is added to the tokens [B, L, 1 + P, d_v] of a block before its MLP."""

    def __init__(self, width: int, grid: tuple[int, int]):
        super().__init__()
        self.time, self.change = Bottleneck(width), Bottleneck(width, partial(OverPlace, grid=grid))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape out."""
        patches, over_time = x[:, :, 1:], self.time(x)
        change = torch.cat([torch.zeros_like(patches[:, :1]), patches[:, 1:] - patches[:, :-1]], 1)
        return torch.cat([over_time[:, :, :1], over_time[:, :, 1:] + self.change(change)], 2)


class TextAdapter(nn.Module):
    """W2 GELU(W1 t) through three quarters of the width: [..., width] in and out."""

    def __init__(self, width: int):
        super().__init__()
        inner = 3 * width // 4
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        for layer in (self.down, self.up):
            nn.init.zeros_(layer.bias)

    def forward(self, t: Tensor) -> Tensor:
        """What is to be added."""
        return self.up(nn.functional.gelu(self.down(t)))


class AdaptedText(nn.Module):
    """CLIP's text transformer with the adapter in its last block."""

    def __init__(self, transformer: Transformer, adapter: TextAdapter):
        super().__init__()
        self.transformer, self.adapter = transformer, adapter

    def get_cast_dtype(self) -> torch.dtype:
        """As open_clip's."""
        return self.transformer.get_cast_dtype()

    def forward(self, t: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Tokens [K, n, width] in and out."""
        *blocks, last = self.transformer.resblocks
        for block in blocks:
            t = block(t, attn_mask=attn_mask)
        assert isinstance(last, ResidualAttentionBlock), "seen to by the tower"
        t = t + last.attention(last.ln_1(t), attn_mask=attn_mask)
        t = t + self.adapter(t)
        return t + last.mlp(last.ln_2(t))


class M2CLIPTower(VideoTower):
    """CLIP's visual tower with a TED adapter in each block, and the adapter of its text tower.

    Raises ``ConfigError`` also for a text tower of other blocks than CLIP's.
    """

    def __init__(self, clip: CLIP, frames: int):
        super().__init__(clip, frames)
        grid, text = self.visual.grid_size, clip.transformer
        assert isinstance(text, Transformer), "a CLIP of open_clip"
        if not plain(text):
            raise ConfigError("model.clip: its text tower is not made of CLIP's blocks: expected for instance ViT-B-16")
        self.ted = nn.ModuleList(TED(self.width, (grid[0], grid[1])) for _ in self.blocks)
        self.text = TextAdapter(text.width)

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        x = x + attend(block, x)
        x = x + self.ted[i](x)
        return x + block.mlp(block.ln_2(x))

    def text_side(self, clip: CLIP) -> CLIP:
        """See ``VideoTower``."""
        own = copy.copy(clip)
        assert isinstance(clip.transformer, Transformer), "as when it was made"
        own._modules = clip._modules | {"transformer": AdaptedText(clip.transformer, self.text)}
        return own


class M2CLIP(Head):
    """The mean frame after an adapter over time, against the class embedding."""

    def __init__(self, d: int, tau: float):
        super().__init__(tau)
        self.time = Bottleneck(d)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``video`` is [B, d]."""
        o = (frames + self.time(frames)).mean(1)
        return Output(scale * unit(o) @ unit(texts.cls).T, video=o)


def build(d: int, tau: float, cfg: ModelConfig) -> M2CLIP:
    """The head of M2-CLIP."""
    return M2CLIP(d, tau)


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> M2CLIPTower:
    """The towers of M2-CLIP."""
    return M2CLIPTower(clip, frames)


def macs(width: int, d: int, layers: int, patches: int, frames: int) -> int:
    """Multiply-accumulates of the visual adapters for one view, with the one behind the projection to width d."""
    inner = width // 2
    change = layers * frames * patches * (2 * width * inner + 9 * inner)
    return (
        st_adapter.macs(width, layers, 1 + patches, frames)
        + change
        + st_adapter.macs(d, layers=1, patches=1, frames=frames)
    )


METHOD = Method(
    "m2-clip",
    "M2-CLIP",
    "#661100",
    "d",
    reads=TEXT,
    build=build,
    tower=tower,
    trains_clip=False,
    trains_scale=False,
    adapts_text=True,
    recipe=Recipe(
        {
            "model.prompt": "A video of {}",
            "train.loss": "kl",
            "train.train_text": "frozen",
            "train.lr_head": 2.8e-4,
            "train.epochs": 12,
            "train.warmup_epochs": 2.0,
            "train.weight_decay": 1e-2,
            "train.frames": 8,
            "train.batch": 72,
        },
        "sallymmx/m2clip: main.py, scripts/train_k400_clip_vit_b16_adapter12x384.sh (1e-3 for a batch of 256)",
        left_out="half the rate for the text adapter; no decay of biases; the classifier's loss and the masked words' "
        "(the classifier's accuracy is printed beside the contrastive one there); crops of 1 to 1.15 times the shorter "
        "side; twelve views at test",
    ),
)
