"""CLIP's visual tower block by block, over all frames of a video at once: what systems that change it start from."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from open_clip.model import CLIP
from open_clip.transformer import LayerNorm, ResidualAttentionBlock, Transformer, VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sfar.errors import ConfigError
from sfar.model.head import Seen


def plain(transformer: object) -> bool:
    """Whether a tower's transformer is made of CLIP's own blocks, which systems take apart."""
    if not (isinstance(transformer, Transformer) and transformer.batch_first):
        return False
    return all(isinstance(b, ResidualAttentionBlock) and isinstance(b.ls_1, nn.Identity) for b in transformer.resblocks)


def attend(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """What the block's attention says of tokens [B, L, n, d_v], each frame by itself."""
    return block.attention(block.ln_1(x.flatten(0, 1))).view_as(x)


def beside(block: ResidualAttentionBlock, x: Tensor, more: Tensor) -> Tensor:
    """Tokens [B, L, n, d_v] after a block in which each frame's also attend to ``more`` of its own [B, L, k, d_v].

    These pass the block's norm; they ask nothing, and are gone before the MLP.
    """
    shape, tokens = x.shape[:2], x.shape[2]
    rows = block.ln_1(torch.cat([x, more.to(x.dtype)], 2).flatten(0, 1))
    x = x.flatten(0, 1)
    x = x + block.attention(rows[:, :tokens], rows, rows)
    return (x + block.mlp(block.ln_2(x))).unflatten(0, shape)


class VideoTower(nn.Module):
    """The visual tower of ``clip``; as it stands it gives CLIP's own output.

    The tower's weights stay CLIP's: its parameters are those that a subclass adds. ``frames``: L. Raises
    ``ConfigError`` for a tower that is no plain vision transformer.
    """

    def __init__(self, clip: CLIP, frames: int):
        super().__init__()
        visual = clip.visual
        vision = isinstance(visual, VisionTransformer) and visual.attn_pool is None
        if not (vision and visual.pool_type == "tok" and not visual.final_ln_after_pool and plain(visual.transformer)):
            raise ConfigError(
                "model.clip: its visual tower is no plain vision transformer: expected for instance ViT-B-16"
            )
        self._visual = (cast(VisionTransformer, visual),)  # in a tuple: none of this one's modules
        self.frames = frames

    @property
    def visual(self) -> VisionTransformer:
        """CLIP's tower."""
        return self._visual[0]

    @property
    def blocks(self) -> list[ResidualAttentionBlock]:
        """Its blocks, the first first."""
        return list(self.visual.transformer.resblocks)  # pyright: ignore[reportReturnType]

    @property
    def width(self) -> int:
        """d_v."""
        return self.visual.transformer.width

    @property
    def heads(self) -> int:
        """Heads of its attention."""
        return self.blocks[0].attn.num_heads

    @property
    def patches(self) -> int:
        """P, patches of a frame."""
        return self.visual.grid_size[0] * self.visual.grid_size[1]

    def forward(self, frames: Tensor) -> Seen:
        """What it sees in normalised frames [B, L, 3, H, W]."""
        b, length = frames.shape[:2]
        x: Any = self.enter(frames.flatten(0, 1)).unflatten(0, (b, length))
        again = self.visual.transformer.grad_checkpointing and torch.is_grad_enabled()
        for i, block in enumerate(self.blocks):
            run = partial(self.block, i, block)
            x = checkpoint(run, x, use_reentrant=False) if again else run(x)
        return self.leave(x)

    def enter(self, images: Tensor) -> Tensor:
        """Tokens [B L, 1 + P, d_v] of images [B L, 3, H, W], the class token first, before the first block."""
        v = self.visual
        x = v.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([v.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], 1)
        return v.ln_pre(v.patch_dropout(self.placed(x + v.positional_embedding.to(x.dtype))))

    def placed(self, x: Tensor) -> Tensor:
        """The same tokens with what a subclass says of their place in time."""
        return x

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """Tokens [B, L, 1 + P, d_v] after block ``i`` of those before it.

        What a subclass gives in their place goes to its next block, and to ``leave``.
        """
        return block(x.flatten(0, 1)).view_as(x)

    def text_side(self, clip: CLIP) -> CLIP:
        """The CLIP that the class texts are embedded by: itself, or a copy with what a subclass adds to its text tower.

        What is added is the subclass's own, as all its parameters (``Method.adapts_text``).
        """
        return clip

    def leave(self, x: Tensor) -> Seen:
        """What is seen, of the tokens [B, L, 1 + P, d_v] after the last block."""
        pooled, proj = self.last_norm(x[:, :, 0]), self.visual.proj
        return Seen(pooled @ proj if proj is not None else pooled, pooled, x[:, :, 1:])

    def last_norm(self, x: Tensor) -> Tensor:
        """ln_post of tokens [..., d_v]."""
        return cast(LayerNorm, self.visual.ln_post)(x)
