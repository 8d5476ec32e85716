"""X-CLIP (Ni et al., ECCV 2022): frames exchange messages in every block, and each video words its classes anew.

Messages (X-CLIP models/cct.py): before each block of the visual tower frame t says m_t = W x_t[0] + b of its class
token; the messages attend to one another, m <- m + MHA(LN m); the tokens of frame t then attend to themselves and to
m_t, through CLIP's own norm and attention, and the message is gone before the MLP.
Integration (models/mit.py): y = frame embeddings v plus L learned positions, after one block; o = the mean of y + v.
Prompts (models/prompt.py): Y = LN(mean_t LN(x_t[1:]) W_p), one row for each patch. For each class t <- t_c, then twice
t <- t + attention(LN t to Y) and t <- t + MLP(LN t); its text is t_c + alpha * t for this video. Logits: scale *
cos(o, t_c + alpha * t). With d/64 heads (at least one) where the joint space is attended in.

Trained: the visual tower and all of this; the text tower and the logit scale are frozen. Of W_p, which is linear, the
mean over frames is taken first, and a message asks nothing, since its own row is thrown away.
Left out: evaluation that puts the model into training mode and chooses the epoch on the test list.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.head import Output, Seen, SeenHead, init_weights
from sfar.model.method import TEXT, Method, Recipe
from sfar.model.temporal import QuickGELU, TemporalTransformer
from sfar.model.texts import ClassTexts
from sfar.model.tower import VideoTower, beside

PROMPT_LAYERS, ALPHA = 2, 0.1


class Message(nn.Module):
    """What each frame tells the others of itself in one block."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.say, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, cls: Tensor) -> Tensor:
        """Messages [B, L, d_v] of class tokens [B, L, d_v]."""
        return self.among(self.say(cls))

    def among(self, m: Tensor) -> Tensor:
        """What the frames have said [B, L, d_v] after they have heard one another."""
        n = self.norm(m)
        return m + self.attention(n, n, n, need_weights=False)[0]


class XCLIPTower(VideoTower):
    """CLIP's tower with messages between frames; ``frames`` after the integration, ``context`` the P rows of W_p."""

    def __init__(self, clip: CLIP, frames: int):
        super().__init__(clip, frames)
        d = self.visual.output_dim
        self.messages = nn.ModuleList(Message(self.width, self.heads) for _ in self.blocks)
        self.integration = TemporalTransformer(d, 1, frames)
        self.norm, self.project = nn.LayerNorm(self.width), nn.Parameter(torch.randn(self.width, d))

    def block(self, i: int, block: ResidualAttentionBlock, x: Tensor) -> Tensor:
        """See ``VideoTower``."""
        return beside(block, x, self.messages[i](x[:, :, 0])[:, :, None])

    def leave(self, x: Tensor) -> Seen:
        """See ``VideoTower``."""
        seen = super().leave(x)
        context = self.norm(seen.patches).mean(1) @ self.project
        return Seen(self.integration(seen.frames), seen.pooled, seen.patches, context)


class PromptLayer(nn.Module):
    """Class texts look at a video: attention without biases before its output projection, then an MLP."""

    def __init__(self, d: int):
        super().__init__()
        self.heads = max(1, d // 64)
        self.norm, self.norm_mlp = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q, self.k, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), QuickGELU(), nn.Linear(4 * d, d))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Texts [B, C, d] (of all videos alike: [1, C, d]) and what is seen [B, P, d] in, texts [B, C, d] out."""
        q, k, v = (
            rows.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for rows in (self.q(self.norm(t)).expand(len(y), -1, -1), self.k(y), self.v(y))
        )
        t = t + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return t + self.mlp(self.norm_mlp(t))


class XCLIP(SeenHead):
    """The mean of the integrated frames against class texts that differ by video."""

    def __init__(self, d: int, tau: float):
        super().__init__(tau)
        self.norm = nn.LayerNorm(d)
        self.layers = nn.ModuleList(PromptLayer(d) for _ in range(PROMPT_LAYERS))
        self.alpha = nn.Parameter(torch.full((d,), ALPHA))
        init_weights(self)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, seen: Seen) -> Output:
        """See ``Head``; ``video`` is [B, d]."""
        assert seen.context is not None, "X-CLIP's own tower"
        o = frames.mean(1)
        prompted = unit(self.texts(texts.cls, seen.context))
        return Output(scale * torch.einsum("bd,bcd->bc", unit(o), prompted), video=o)

    def texts(self, cls: Tensor, context: Tensor) -> Tensor:
        """Class texts [B, C, d] for each video, of class embeddings [C, d] and what is seen [B, P, d]."""
        t, y = cls[None], self.norm(context)
        for layer in self.layers:
            t = layer(t, y)
        return cls + self.alpha * t


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> XCLIPTower:
    """The visual tower of X-CLIP."""
    return XCLIPTower(clip, frames)


def build(d: int, tau: float, cfg: ModelConfig) -> XCLIP:
    """The head of X-CLIP."""
    return XCLIP(d, tau)


def macs(width: int, layers: int, patches: int, d: int, frames: int, classes: int) -> dict[str, int]:
    """MACs that X-CLIP adds to the visual tower for one view of ``frames`` frames against ``classes`` classes.

    ``width`` d_v, ``layers`` M, ``patches`` P. ``messages``: of all blocks, with the key and value that they are to the
    tokens; ``integration``; ``prompts`` with ``seen``, the projection of the patches. ``spared``: what the published
    code computes besides, without any effect on the result (the message's query and row, W_p before the mean).
    """
    said = width * width + 4 * width * width + 2 * frames * width  # of a frame: W, the four projections, the attention
    heard = 2 * width * width + 2 * (patches + 1) * width
    asked = 2 * width * width + 2 * (patches + 2) * width
    layer = classes * 10 * d * d + patches * 2 * d * d + 2 * classes * patches * d
    return {
        "messages": layers * frames * (said + heard),
        "integration": frames * 12 * d * d + 2 * frames * frames * d,
        "seen": patches * width * d,
        "prompts": PROMPT_LAYERS * layer,
        "spared": layers * frames * asked + (frames - 1) * patches * width * d,
    }


METHOD = Method(
    "x-clip",
    "X-CLIP",
    "#117733",
    "P",
    reads=TEXT,
    build=build,
    tower=tower,
    trains_scale=False,
    recipe=Recipe(
        {
            "model.prompt": "{}",
            "train.loss": "cross_entropy",
            "train.train_text": "frozen",
            "train.lr_clip": 8e-6,
            "train.lr_head": 8e-5,
            "train.epochs": 30,
            "train.warmup_epochs": 5.0,
            "train.weight_decay": 1e-3,
            "train.betas": (0.9, 0.98),
            "train.frames": 8,
            "train.batch": 256,
        },
        "microsoft/VideoX X-CLIP: models, utils/optimizer.py, configs/k400",
        few_shot={
            "train.lr_clip": 2e-6,
            "train.lr_head": 2e-5,
            "train.epochs": 50,
            "train.batch": 64,
            "train.frames": 32,
        },
        left_out=(
            "mixup, cutmix, label smoothing; biases, norms and positions without weight decay; the best epoch on the "
            "test list"
        ),
    ),
)
