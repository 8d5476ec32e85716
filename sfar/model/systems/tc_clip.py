"""TC-CLIP (Kim et al., ECCV 2024): context tokens that all frames of a video share, and prompts made from them.

Context. In block l a frame's 1 + P tokens attend to one another and to the k context tokens of the block before, which
are the same for every frame: softmax(q k^T / sqrt(d_h) + beta) with a learned beta of each head for own keys and one
for context keys (blocks 2..M; block 1 has no context). Of the tokens after that attention the *seeds* are taken, in
each frame the int(0.3 P) patches that its class token attends to most (mean over heads), and merged to k context
tokens: ordered by frame, then by attention, each at an even place finds the nearest by cosine at an odd one, and the r
nearest pairs become one token, the mean of all seeds in it; r = min(100, half, what is too many), again until k are
left. What is nearest has no gradient, the means have one. The block's MLP sees frame and context tokens alike.
o = the mean of the frame embeddings; Z [k, d] = the last context tokens, normed and projected like a class token.

Prompts. Four learned vectors p stand in the place of the template's first four tokens, whose embeddings they start as.
Before the last text block they look at the video: p <- p + MHA(LN p; LN_kv Z), p <- p + MLP(LN p), Z without gradient,
weights at first a copy of that text block's. Logits: scale * cos(o_b, t_bc).
(naver-ai/tc-clip clip/transformer_blocks_tc.py, tome/merge.py, trainers/tc_clip_text_encoder.py.)

Exact, and not once for every video and class: attention is causal, so up to the last block no token knows the video and
the first five not even the class. Of the last block only the end token's row is used. So for each video p goes once
through the generator and to keys and values, for each class the end token makes one query, and for each pair are left
its attention, output projection and MLP.

Sizes: k = 96 for frames of 196 patches or more, as published with 8 or 16 of them; below that the share 96 / (16 * 196)
of the video's patches (4 for 8 frames of 16). Where Z is not as wide as the text tower the weights that read it are
drawn, not copied.

Trained: all but the token embedding. Left out: the space before every capital letter of a class name; the window of 30
tokens, which changes nothing (attention is causal).
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import cast

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.transformer import LayerNorm, ResidualAttentionBlock, Transformer
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import single, text_parameters, text_projected, token_ids
from sfar.model.embedding import unit
from sfar.model.head import Output, PromptedHead, Seen
from sfar.model.kept import Kept
from sfar.model.method import TEXT, Method, Recipe
from sfar.model.texts import Prompts
from sfar.model.tower import VideoTower, plain

SEEDS, CONTEXT, MERGED = 0.3, 96, 100  # share of the patches; context tokens; pairs in a round at most
PATCHES, FRAMES = 196, 16  # of a frame, and of a video, where these were published
VECTORS = 4  # learned ones in a prompt

Tokens = tuple[Tensor, Tensor | None]  # frames [B, L, 1 + P, d_v], context [B, k, d_v]


def rounds(seeds: int, k: int) -> list[int]:
    """How many pairs are merged in each round until ``k`` tokens are left of ``seeds``."""
    out = []
    while (r := min(MERGED, seeds // 2, seeds - k)) > 0:
        out.append(r)
        seeds -= r
    return out


def merge(tokens: Tensor, k: int) -> Tensor:
    """The ``k`` context tokens [B, k, d] of seeds [B, S, d] in their order; these themselves if they are no more."""
    sums, count = tokens, torch.ones_like(tokens[..., :1])  # a mean has the direction of the sum
    for r in rounds(tokens.shape[1], k):
        with torch.no_grad():
            u = unit(sums)
            nearest, partner = (u[:, ::2] @ u[:, 1::2].mT).max(-1)
            order = nearest.argsort(-1, descending=True)
            to, chosen, rest = (i[..., None] for i in (partner.gather(1, order[:, :r]), order[:, :r], order[:, r:]))
        both = []
        for x in (sums, count):
            even, odd = x[:, ::2], x[:, 1::2]
            d = (-1, -1, x.shape[-1])
            joined = odd.scatter_add(1, to.expand(d), even.gather(1, chosen.expand(d)))
            both.append(torch.cat([even.gather(1, rest.expand(d)), joined], 1))
        sums, count = both
    return sums / count


class ContextTower(VideoTower):
    """CLIP's tower with context tokens, its output's ``context``. ``beta`` [M - 1, H, 2]: for own and context keys."""

    def __init__(self, clip: CLIP, frames: int):
        super().__init__(clip, frames)
        self.seeds = max(1, int(SEEDS * self.patches))
        share = CONTEXT / (FRAMES * PATCHES)
        self.k = CONTEXT if self.patches >= PATCHES else max(1, round(share * frames * self.patches))
        self.beta = nn.Parameter(nn.init.trunc_normal_(torch.empty(len(self.blocks) - 1, self.heads, 2), std=0.02))

    def block(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, i: int, block: ResidualAttentionBlock, x: Tensor | Tokens
    ) -> Tokens:
        """Frame and context tokens after block ``i``; before the first there are frames alone."""
        frames, context = x if isinstance(x, tuple) else (x, None)
        added, seeds = self._attend(i, block, frames, context)
        frames = frames + added
        chosen = frames[:, :, 1:].gather(2, seeds[..., None].expand(*seeds.shape, frames.shape[-1])).flatten(1, 2)
        with torch.autocast(frames.device.type, enabled=False):  # what is nearest is not told in half precision
            context = merge(single(chosen), self.k).to(frames.dtype)
        return frames + block.mlp(block.ln_2(frames)), context + block.mlp(block.ln_2(context))

    def _attend(
        self, i: int, block: ResidualAttentionBlock, frames: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What attention adds to the frames' tokens, and each frame's seeds [B, L, S], the first the most looked at."""
        (b, length, n, d), h = frames.shape, self.heads
        w, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
        q, k, v = F.linear(block.ln_1(frames), w, bias).chunk(3, -1)
        beta = None
        if context is not None:
            shared = F.linear(block.ln_1(context), w[d:], bias[d:])[:, None].expand(-1, length, -1, -1)
            k, v = (torch.cat([own, s], 2) for own, s in zip((k, v), shared.chunk(2, -1), strict=True))
            own, other = self.beta[i - 1, :, None].to(q.dtype).split(1, -1)
            beta = torch.cat([own.expand(-1, 1, n), other.expand(-1, 1, context.shape[1])], -1)[None]
        q, k, v = (t.reshape(b * length, -1, h, d // h).transpose(1, 2) for t in (q, k, v))
        with torch.no_grad():
            looked = single(q[:, :, :1] @ k.mT) / math.sqrt(d // h) + (0 if beta is None else beta)
            seeds = looked.softmax(-1)[:, :, 0, 1:n].mean(1).topk(self.seeds).indices
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=beta)
        return block.attn.out_proj(out.transpose(1, 2).reshape(b, length, n, d)), seeds.unflatten(0, (b, length))

    def leave(self, x: Tokens) -> Seen:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As it is, with the context tokens projected."""
        frames, context = x
        assert context is not None, "a tower has a block"
        return dataclasses.replace(
            super().leave(frames), context=self.last_norm(context) @ cast(Tensor, self.visual.proj)
        )


class Generator(nn.Module):
    """What a video makes of prompt vectors: a text block, copied, whose attention looks at Z [B, k, d]."""

    def __init__(self, block: ResidualAttentionBlock, d: int):
        super().__init__()
        width, heads = block.attn.embed_dim, block.attn.num_heads
        self.ln_1, self.ln_2, self.mlp = (copy.deepcopy(m) for m in (block.ln_1, block.ln_2, block.mlp))
        if d == width:
            self.ln_kv, self.attn = copy.deepcopy(block.ln_1), copy.deepcopy(block.attn)
        else:
            self.ln_kv = LayerNorm(d)
            self.attn = nn.MultiheadAttention(width, heads, kdim=d, vdim=d, batch_first=True)
            with torch.no_grad():
                for own, of in (
                    (self.attn.q_proj_weight, block.attn.in_proj_weight[:width]),
                    (self.attn.in_proj_bias[:width], block.attn.in_proj_bias[:width]),
                    (self.attn.out_proj.weight, block.attn.out_proj.weight),
                    (self.attn.out_proj.bias, block.attn.out_proj.bias),
                ):
                    own.copy_(of)
        self.requires_grad_()  # also of a block that is frozen

    def forward(self, p: Tensor, z: Tensor) -> Tensor:
        """Vectors [B, n, w] of each video, from those [n, w] that all have."""
        x, z = p.expand(len(z), -1, -1), self.ln_kv(z)
        x = x + self.attn(self.ln_1(x), z, z, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TCCLIP(PromptedHead):
    """The mean frame against prompts that depend on the video.

    ``prompt``: the template. Raises ``ConfigError`` for one with less than four tokens before the class name, and for a
    text tower that is no plain transformer.
    """

    def __init__(self, d: int, tau: float, clip: CLIP, prompt: str):
        super().__init__(tau)
        before = prompt.partition("{}")[0]
        ids = token_ids(before[: before.rfind(" ") + 1])[1:-1]  # of whole words
        if len(ids) < VECTORS:
            raise ConfigError(
                f"model.prompt={prompt!r}: expected at least {VECTORS} tokens before {{}}, in the place of which "
                "TC-CLIP learns vectors, such as 'a photo of a {}.'"
            )
        blocks = _blocks(clip)
        if not plain(clip.transformer):
            raise ConfigError("model.clip: its text tower is no plain transformer: expected for instance ViT-B-16")
        embedding = cast(nn.Embedding, clip.token_embedding).weight
        self.vectors = nn.Parameter(embedding.detach()[list(ids[:VECTORS])].clone())
        self.generator = Generator(blocks[-1], d)
        self._kept = Kept()

    def said(self, prompts: Prompts, seen: Seen, clip: CLIP) -> Tensor:
        """See ``PromptedHead``."""
        assert seen.context is not None, "its own tower has them"
        if torch.is_grad_enabled():
            h = self._before(prompts.ids, clip)
        else:
            weights = (self.vectors, *text_parameters(clip).values())
            h = self._kept.value(lambda: self._before(prompts.ids, clip), (prompts.ids,), weights)
        # The vectors come before all names: they are the same in every class.
        made = self.generator(h[0, 1 : 1 + VECTORS], seen.context.detach())
        return _last(clip, h, prompts.ids.argmax(-1), made)

    def _before(self, ids: Tensor, clip: CLIP) -> Tensor:
        """Tokens [C, W, w] before the last text block, cropped behind the longest text; the same for all videos."""
        length = int(ids.argmax(-1).max()) + 1
        transformer, causal = cast(Transformer, clip.transformer), cast(Tensor, clip.attn_mask)
        positions = cast(Tensor, clip.positional_embedding)[:length]
        x = cast(nn.Embedding, clip.token_embedding)(ids[:, :length])
        x = torch.cat([x[:, :1], self.vectors.expand(len(ids), -1, -1), x[:, 1 + VECTORS :]], 1)
        x = (x + positions).to(transformer.get_cast_dtype())
        for block in _blocks(clip)[:-1]:
            x = block(x, attn_mask=causal[:length, :length])
        return x

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, frames: Tensor, texts: Tensor, scale: Tensor
    ) -> Output:
        """See ``PromptedHead``; ``video`` is [B, d]."""
        o = frames.mean(1)
        return Output(scale * torch.einsum("bd,bcd->bc", unit(o), unit(texts)), video=o)


def _blocks(clip: CLIP) -> list[ResidualAttentionBlock]:
    return list(cast(Transformer, clip.transformer).resblocks)  # pyright: ignore[reportReturnType]


def _hidden(block: ResidualAttentionBlock) -> int:
    return cast(nn.Linear, block.mlp[0]).out_features


def _last(clip: CLIP, h: Tensor, end: Tensor, made: Tensor) -> Tensor:
    """Class embeddings [B, C, d]: the last text block at the end token, and what follows it.

    ``h`` [C, W, w]: tokens before that block, of which the end tokens are at the places ``end`` [C]; ``made`` [B, n,
    w]: what each video has in the place of its vectors.
    """
    block, norm = _blocks(clip)[-1], cast(nn.LayerNorm, clip.ln_final)
    (c, length, w), n, heads = h.shape, made.shape[1], block.attn.num_heads
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1))

    last = h[torch.arange(c, device=h.device), end]
    q = split(F.linear(block.ln_1(last), weight[:w], bias[:w])) / math.sqrt(w // heads)
    place = torch.arange(length, device=h.device)
    other = (place == 0) | (place > n)
    own, of_video = (
        F.linear(block.ln_1(x), weight[w:], bias[w:]).chunk(2, -1) for x in (h[:, other], made)
    )  # keys and values of the class's own tokens, and of the video's
    scores = torch.einsum("chx,cshx->chs", q, split(own[0]))
    scores = scores.masked_fill((place[other] > end[:, None])[:, None], -math.inf)
    to_video = torch.einsum("chx,bnhx->bchn", q, split(of_video[0]))
    a = torch.cat([scores.expand(len(made), -1, -1, -1), to_video], -1).softmax(-1)
    x = torch.einsum("bchs,cshx->bchx", a[..., :-n], split(own[1]))
    x = x + torch.einsum("bchn,bnhx->bchx", a[..., -n:], split(of_video[1]))
    x = last + block.attn.out_proj(x.flatten(2))
    x = norm(x + block.mlp(block.ln_2(x)))
    return text_projected(clip, x)


def tower(clip: CLIP, frames: int, cfg: ModelConfig) -> ContextTower:
    """The tower of TC-CLIP."""
    return ContextTower(clip, frames)


def build(d: int, tau: float, cfg: ModelConfig, clip: CLIP) -> TCCLIP:
    """The head of TC-CLIP."""
    return TCCLIP(d, tau, clip, cfg.prompt)


def macs(clip: CLIP, frames: int, classes: int, words: int) -> dict[str, dict[str, int]]:
    """MACs that TC-CLIP adds to CLIP's visual tower for one video, by component.

    ``words``: tokens of a prompt up to its end. ``tower``: context tokens; ``prompts``: for each video; ``cached``: for
    a set of classes, as long as no weight changes; ``released``: in place of both, the whole text tower for each pair.
    """
    t = ContextTower(clip, frames)
    v, m, n, d, p = t.width, len(t.blocks), t.patches + 1, cast(int, t.visual.output_dim), VECTORS
    k, text = min(t.k, frames * t.seeds), cast(Transformer, clip.transformer)
    w, hidden = text.width, _hidden(_blocks(clip)[-1])
    left, merging = frames * t.seeds, 0
    for r in rounds(left, k):
        merging += (left - left // 2) * (left // 2) * v
        left -= r
    generator = p * (2 * w * w + 2 * w * hidden + 2 * k * w) + 2 * k * d * w
    block = words * (4 * w * w + 2 * w * hidden + 2 * words * w)
    return {
        "tower": {
            "context_keys_and_values": (m - 1) * 2 * k * v * v,
            "context_attention": (m - 1) * 2 * frames * n * k * v,
            "context_mlp": m * k * 2 * v * _hidden(t.blocks[0]),
            "seeds": frames * v * (m * n + (m - 1) * k),
            "merging": m * merging,
            "context_projection": k * v * d,
        },
        "prompts": {
            "generator": generator,
            "keys_and_values": 2 * p * w * w,
            "end_tokens": classes * (w * w + 2 * w * hidden + (p + words) * w + w * d),
        },
        "cached": {
            "blocks": classes * (text.layers - 1) * block,
            "last_block": classes * (w * w + 2 * (words - p) * w * w + (words - p) * w),
        },
        "released": {"text_tower": classes * (text.layers * block + w * d), "generator": classes * generator},
    }


METHOD = Method(
    "tc-clip",
    "TC-CLIP",
    "#999933",
    "*",
    reads=TEXT,
    build=build,
    tower=tower,
    prompted=True,
    recipe=Recipe(
        {
            "model.prompt": "a photo of a {}.",
            "train.loss": "cross_entropy",
            "train.train_text": "tower",
            "train.lr_clip": 2.2e-5,
            "train.lr_head": 2.2e-4,
            "train.epochs": 30,
            "train.warmup_epochs": 5.0,
            "train.weight_decay": 1e-3,
            "train.betas": (0.9, 0.98),
            "train.frames": 16,
            "train.batch": 512,
        },
        "naver-ai/tc-clip: utils/optimizer.py, configs/fully_supervised.yaml, configs/few_shot.yaml, "
        "configs/trainer/tc_clip.yaml",
        few_shot={"train.lr_clip": 2e-6, "train.lr_head": 2e-5, "train.epochs": 50, "train.batch": 64},
        left_out=(
            "mixup, cutmix, label smoothing; a last rate of a hundredth; beta at the rate of the towers; two views at "
            "few-shot tests; 0.7 of the weights against CLIP's at a second zero-shot test; the best epoch on the test "
            "list"
        ),
    ),
)
