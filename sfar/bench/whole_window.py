"""The head as it would be written without thinking about its cost: the "literal" one of ``sfar bench head``.

Equations 4-11 in whole tensors, as BIKE's released head (modules/video_clip.py) treats its words: every position of
CLIP's window of 77 is computed, padding too, and nothing that depends on the texts alone is kept. Padding is masked
where positions are put together, so that the logits are those of SFAR's head, whose weights it shares.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfar.errors import ConfigError
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts

WINDOW = 77  # positions of CLIP's text tower
# Fields of the configuration that change what a head computes; it follows a head's ``ffn_residual`` and ``frame_norm``.
WRITTEN_FOR = {
    "attention": "printed",
    "coarse_reduce": "mean",
    "ffn": "linear-relu-linear",
    "context_layers": 0,
    "coarse": True,
    "fine": True,
}


def padded(texts: ClassTexts, window: int = WINDOW) -> ClassTexts:
    """The same texts in the whole window: words [C, window, d], sub_words [C, N, window, d], masks alike.

    Raises ``ConfigError`` for longer texts.
    """
    more = window - texts.words.shape[1]
    if more < 0 or texts.sub_words.shape[2] > window:
        raise ConfigError(
            f"texts of {max(texts.words.shape[1], texts.sub_words.shape[2])} words do not fit into a window of {window}"
        )
    more_subs = window - texts.sub_words.shape[2]
    return ClassTexts(
        texts.cls,
        F.pad(texts.words, (0, 0, 0, more)),
        F.pad(texts.mask, (0, more)),
        F.pad(texts.sub_words, (0, 0, 0, more_subs)),
        F.pad(texts.sub_mask, (0, more_subs)),
    )


class WholeWindowHead(nn.Module):
    """Frames [B, L, d], padded texts and the logit scale in, logits [B, C] out.

    Weights and temperature are those of ``head`` itself. Raises ``ConfigError`` for a head in another configuration
    than ``WRITTEN_FOR``.
    """

    def __init__(self, head: SFAR):
        super().__init__()
        if any(getattr(head.cfg, field) != value for field, value in WRITTEN_FOR.items()):
            wanted = ", ".join(f"model.{field}={value}" for field, value in WRITTEN_FOR.items())
            raise ConfigError(f"the literal head is written for {wanted} alone")
        self.tau, self.cfg = head.tau, head.cfg
        self.wq, self.wk, self.wv = head.attention.wq, head.attention.wk, head.attention.wv
        self.ffn_coarse = cast(nn.Sequential, head.ffn_coarse.layers)
        self.ffn_fine = cast(nn.Sequential, head.ffn_fine.layers)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Tensor:
        """Logits [B, C] from frames [B, L, d], ``padded`` texts and the logit scale."""
        words, subs = texts.words, texts.sub_words
        s = subs.flatten(1, 2)  # [C, N * 77, d]
        q, k, v = words @ self.wq, s @ self.wk, s @ self.wv
        scores = (q @ k.transpose(1, 2) / math.sqrt(words.shape[-1])).masked_fill(
            ~texts.sub_mask.flatten(1)[:, None], -math.inf
        )
        words = F.normalize(scores.softmax(-1) @ v + words, dim=-1)
        directions = F.normalize(frames, dim=-1)
        weighed = directions if self.cfg.frame_norm else frames
        p = (torch.einsum("cwd,bld->bcwl", words, directions) / self.tau).softmax(-1)
        coarse = torch.einsum("bcwl,cw->bcl", p, _average(texts.mask, p.dtype))
        similar = torch.einsum("cnwd,bld->bcnwl", F.normalize(subs, dim=-1), directions)
        best = torch.einsum("bcnwl,cnw->bcnl", similar, _average(texts.sub_mask, p.dtype)).amax(2)
        fine = (best / self.tau).softmax(-1)
        o_coarse = torch.einsum("bcl,bld->bcd", coarse, weighed)
        o_fine = torch.einsum("bcl,bld->bcd", fine, weighed)
        o = self.ffn_coarse(o_coarse) + self.ffn_fine(o_fine)
        if self.cfg.ffn_residual:
            o = o + o_coarse + o_fine
        return scale * (F.normalize(o, dim=-1) * F.normalize(texts.cls, dim=-1)).sum(-1)


def _average(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Factors that turn a sum over the last axis into the mean over the real words."""
    m = mask.to(dtype)
    return m / m.sum(-1, keepdim=True)
