"""Vita-CLIP (Wasim et al., CVPR 2023): both towers frozen, prompts learned on either side.

Of L frames, P patches and width d_v. Time: e [L, d_v] is added to all tokens of a frame before the first norm. In each
block, of its own (Vita-CLIP training/VitaCLIP_vision_encoder_utils.py): c_t = W x_t[0] + b of the class token of frame
t. The tokens of every frame attend, besides to themselves, to G global prompts g, to L local ones l_t + c_t (of all
frames) and to one summary s_t, where s = c + MHA(LN c) over the frames; through CLIP's own norm and attention. What was
inserted is gone after the block. o = mean_t v_t; logits = scale * cos(o, t_c).
Text (training/VitaCLIP_text_encoder.py): [start][8 vectors of the class][class prompt][end] through the text tower,
where the publication's class prompt is the name and a full stop. Such vectors serve no other classes: these have their
prompts alone.

Trained: e, W, b, LN, MHA, g, l, the vectors and the logit scale. Of what is inserted neither queries nor MLP are
computed, since nobody sees them. G: 8 for 196 patches, and as many in proportion, at least one, for others.
Left out: the released code trains what has one of four words in its name, whereby W and b stay as they were drawn
(``vita-clip-released`` does that); its test for classes that have no vectors does not run; its patches have a bias.
"""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import torch
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.method import TEXT, Method, Recipe, Wording
from sfar.model.systems.mean import RawMean
from sfar.model.systems.xclip import Message
from sfar.model.texts import Prompts
from sfar.model.tower import VideoTower, beside

VECTORS = 8  # of a class
GLOBALS, PATCHES = 8, 196  # so many global prompts for so many patches
STD = 0.02


class Inserted(Message):
    """The tokens that are inserted in one block: X-CLIP's message, the summary, is one of them."""

    def __init__(self, width: int, heads: int, frames: int, globals_: int, bound: float):
        super().__init__(width, heads)
        for w in (*self.attention.in_proj_weight.chunk(3), self.attention.out_proj.weight):
            nn.init.xavier_uniform_(w)
        self.globals = nn.Parameter(torch.empty(globals_, width).uniform_(-bound, bound))
        self.locals = nn.Parameter(torch.empty(frames, width).uniform_(-bound, bound))

    def forward(self, cls: Tensor) -> Tensor:
        """Tokens [B, L, G + L + 1, d_v] for each frame, of class tokens [B, L, d_v]."""
        b, length, width = cls.shape
        c = self.say(cls)
        summary = self.among(c)
        locals_ = (self.locals + c)[:, None].expand(b, length, length, width)
        return torch.cat([self.globals.expand(b, length, -1, -1), locals_, summary[:, :, None]], 2)


class VitaTower(VideoTower):
    """CLIP's tower with prompts. ``released``: W and b stay as they are drawn."""

    def __init__(self, clip: CLIP, frames: int, globals_: int | None = None, released: bool = False):
        super().__init__(clip, frames)
        size = math.prod(self.visual.patch_size)
        count = max(1, round(GLOBALS * self.patches / PATCHES)) if globals_ is None else globals_
        bound = math.sqrt(6 / (3 * size + self.width))
        self.time = nn.Parameter(STD * torch.randn(frames, self.width))
        self.inserted = nn.ModuleList(Inserted(self.width, self.heads, frames, count, bound) for _ in self.blocks)
        if released:
            for own in self.inserted:
                cast(Inserted, own).say.requires_grad_(False)

    def placed(self, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        return (x.unflatten(0, (-1, self.frames)) + self.time[:, None].to(x.dtype)).flatten(0, 1)

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        return beside(block, x, self.inserted[i](x[:, :, 0]))


class LearnedPrompts(Prompts):
    """Class prompts behind learned vectors, other ones for each class.

    Raises ``ConfigError`` for a prompt that does not fit behind them, and as ``Prompts``.
    """

    def __init__(self, clip: CLIP, said: Wording, cfg: ModelConfig):
        super().__init__(clip, said.classes, said.subtexts, cfg, sub_texts=False)
        for name, row in zip(said.classes, self.ids, strict=True):
            if row[-VECTORS:].any():
                raise ConfigError(
                    f"class {name!r}: with {VECTORS} learned vectors its prompt {cfg.prompt.format(name)!r} does not "
                    f"fit into CLIP's window of {clip.context_length}; shorten it"
                )
        place = self.ids.new_zeros(len(self.ids), VECTORS)  # of the vectors, whatever token it is
        self.ids = torch.cat([self.ids[:, :1], place, self.ids[:, 1:-VECTORS]], 1)
        width = cast(nn.Embedding, clip.token_embedding).embedding_dim
        self.vectors = nn.Parameter(STD * torch.randn(len(self.ids), VECTORS, width))

    def tokens(self, clip: CLIP, ids: Tensor) -> Tensor:
        """See ``Prompts``: with the vectors in their place."""
        known = super().tokens(clip, ids)
        return torch.cat([known[:, :1], self.vectors, known[:, 1 + VECTORS :]], 1)


def learned(clip: CLIP, said: Wording, cfg: ModelConfig) -> LearnedPrompts:
    """The texts of the classes of training."""
    return LearnedPrompts(clip, said, cfg)


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> VitaTower:
    """The visual tower of Vita-CLIP."""
    return VitaTower(clip, frames)


def tower_released(clip: CLIP, frames: int, cfg: ModelConfig) -> VitaTower:
    """The same as the released code trains it."""
    return VitaTower(clip, frames, released=True)


def build(d: int, tau: float, cfg: ModelConfig) -> RawMean:
    """The head of Vita-CLIP."""
    return RawMean(tau)


def macs(width: int, layers: int, patches: int, frames: int, globals_: int) -> dict[str, int]:
    """MACs that Vita-CLIP adds to the visual tower for one view of ``frames`` frames; the text side is a constant then.

    ``width`` d_v, ``layers`` M, ``patches`` P, ``globals_`` G. ``summary``: W and the attention among frames;
    ``inserted``: the keys and values of what is inserted, and the attention of the frame's own tokens to them.
    ``spared``: what the published code computes besides, without any effect on the result.
    """
    more, own, times = globals_ + frames + 1, patches + 1, layers * frames
    return {
        "summary": times * (5 * width * width + 2 * frames * width),
        "inserted": times * (2 * more * width * width + 2 * own * more * width),
        "spared": times * (2 * more * width * width + 2 * more * (own + more) * width + globals_ * 8 * width * width),
    }


_own = partial(
    Method,
    reads=TEXT,
    build=build,
    learned=learned,
    trains_clip=False,
    recipe=Recipe(
        {
            "model.prompt": "{}.",
            "train.loss": "cross_entropy",
            "train.train_text": "frozen",
            "train.lr_clip": 4e-4,
            "train.lr_head": 4e-4,
            "train.epochs": 32,
            "train.warmup_epochs": 0.0,
            "train.weight_decay": 0.05,
            "train.frames": 8,
            "train.batch": 256,
        },
        "TalalWasim/Vita-CLIP: training/train.py, train_scripts/k400_train.sh (30,000 steps of 256; none for few-shot)",
        left_out="RandAugment; frames at a fixed distance of 16; three views at test",
    ),
)
METHOD = _own("vita-clip", "Vita-CLIP", "#AA4499", "d", tower=tower)
CONTROLS = (
    _own("vita-clip-released", "Vita-CLIP, as released", "#CC99BB", "d", tower=tower_released, control="vita-clip"),
)
