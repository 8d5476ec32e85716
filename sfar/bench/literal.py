"""The head as it would be written without thinking about its cost: the yardstick of ``sfar bench head``.

Equations 4-11 in whole tensors, as BIKE's released head (modules/video_clip.py) treats its words: every position of CLIP's window is computed,
padding too, and nothing that depends on the texts alone is kept. Padding is masked where positions are put together, so
that the logits are those of ``sfar.model.SFAR``, whose weights it shares.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfar.errors import ConfigError
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts

WINDOW = 77  # positions of CLIP's text tower


def random_texts(
    classes: int,
    subtexts: int,
    words: int,
    d: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> ClassTexts:
    """Texts of made-up content for ``classes`` classes: between half and one and a half times ``words`` words each, ``words`` on average.

    Where a text ends its vectors are zero and its mask False, as ``sfar.clip.embed_texts`` leaves them.
    """
    g = torch.Generator().manual_seed(seed)
    low, high = max(1, words // 2), words + words // 2
    lengths = torch.randint(low, high + 1, (classes, subtexts + 1), generator=g)
    mask = torch.arange(int(lengths.max()))[None, None] < lengths[..., None]
    x = torch.randn(*mask.shape, d, generator=g, dtype=dtype) * mask[..., None]
    cls = torch.randn(classes, d, generator=g, dtype=dtype)
    return ClassTexts(*(t.contiguous().to(device) for t in (cls, x[:, 0], mask[:, 0], x[:, 1:], mask[:, 1:])))


def padded(texts: ClassTexts, window: int = WINDOW) -> ClassTexts:
    """The same texts in the whole window: words [C, window, d], sub_words [C, N, window, d], masks alike. Raises ``ConfigError`` for longer texts."""
    more = window - texts.words.shape[1]
    if more < 0 or texts.sub_words.shape[2] > window:
        raise ConfigError(
            f"texts of {max(texts.words.shape[1], texts.sub_words.shape[2])} words do not fit into a window of {window}"
        )
    more_subs = window - texts.sub_words.shape[2]
    return ClassTexts(
        texts.cls,
        words=F.pad(texts.words, (0, 0, 0, more)),
        mask=F.pad(texts.mask, (0, more)),
        sub_words=F.pad(texts.sub_words, (0, 0, 0, more_subs)),
        sub_mask=F.pad(texts.sub_mask, (0, more_subs)),
    )


class LiteralHead(nn.Module):
    """Frames [B, L, d], padded texts and the logit scale in, logits [B, C] out. Weights and temperature are ``head``'s own.

    Raises ``ConfigError`` for a head in another configuration than the default one.
    """

    def __init__(self, head: SFAR):
        super().__init__()
        c = head.cfg
        if (c.attention, c.coarse_reduce, c.ffn, c.ffn_residual, c.frame_norm, c.coarse, c.fine) != (
            "printed",
            "mean",
            "linear-relu-linear",
            False,
            True,
            True,
            True,
        ):
            raise ConfigError("the literal head is written for the default configuration of the model alone")
        self.tau = head.tau
        self.wq, self.wk, self.wv = head.attention.wq, head.attention.wk, head.attention.wv
        self.ffn_coarse, self.ffn_fine = head.ffn_coarse.layers, head.ffn_fine.layers

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Tensor:
        words, subs = texts.words, texts.sub_words
        s = subs.flatten(1, 2)  # [C, N * 77, d]
        q, k, v = words @ self.wq, s @ self.wk, s @ self.wv
        scores = (q @ k.transpose(1, 2) / math.sqrt(words.shape[-1])).masked_fill(
            ~texts.sub_mask.flatten(1)[:, None], -math.inf
        )
        words = F.normalize(scores.softmax(-1) @ v + words, dim=-1)
        frames = F.normalize(frames, dim=-1)
        p = (torch.einsum("cwd,bld->bcwl", words, frames) / self.tau).softmax(-1)
        coarse = torch.einsum("bcwl,cw->bcl", p, _average(texts.mask, p.dtype))
        similar = torch.einsum("cnwd,bld->bcnwl", F.normalize(subs, dim=-1), frames)
        best = torch.einsum("bcnwl,cnw->bcnl", similar, _average(texts.sub_mask, p.dtype)).amax(2)
        fine = (best / self.tau).softmax(-1)
        o = self.ffn_coarse(torch.einsum("bcl,bld->bcd", coarse, frames)) + self.ffn_fine(
            torch.einsum("bcl,bld->bcd", fine, frames)
        )
        return scale * (F.normalize(o, dim=-1) * F.normalize(texts.cls, dim=-1)).sum(-1)


def _average(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Factors that turn a sum over the last axis into the mean over the real words."""
    m = mask.to(dtype)
    return m / m.sum(-1, keepdim=True)
