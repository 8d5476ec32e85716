"""SFAR (section 3.4) and the methods it is compared with, behind one interface: frames in, logits over classes out.

A head sees frame embeddings [B, L, d] and the frozen text side, computed once (``ClassTexts``). ``VideoModel`` puts the
visual tower before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig, check_method
from sfar.errors import ConfigError
from sfar.model import embedding as E
from sfar.model.clip import embed_frames, embed_texts, freeze_text_tower
from sfar.model.kernels.fused import Layers, cosines


@dataclass(frozen=True)
class ClassTexts:
    """The text side of C classes: class embedding ``cls`` [C, d], words [C, W, d] with mask, sub-text words [C, N, Ws, d] with mask."""

    cls: Tensor
    words: Tensor
    mask: Tensor
    sub_words: Tensor
    sub_mask: Tensor

    def select(self, classes: Tensor) -> ClassTexts:
        """The texts of some classes only (zero-shot protocols on half of the classes)."""
        return ClassTexts(*(getattr(self, f.name)[classes] for f in fields(self)))


def class_texts(clip: CLIP, names: list[str], subtexts: dict[str, list[str]], cfg: ModelConfig) -> ClassTexts:
    """Embed the prompts and sub-texts of ``names`` once. Raises ``ConfigError`` for a class without N sub-texts."""
    for name in names:
        got = len(subtexts.get(name, ()))
        if got != cfg.n_subtexts:
            raise ConfigError(f"class {name!r} has {got} sub-texts, expected {cfg.n_subtexts} (model.n_subtexts)")
    g = embed_texts(clip, [cfg.prompt.format(n) for n in names], cfg.word_mask)
    s = embed_texts(clip, [t for n in names for t in subtexts[n]], cfg.word_mask)
    c, n = len(names), cfg.n_subtexts
    return ClassTexts(g.cls, g.words, g.mask, s.words.unflatten(0, (c, n)), s.mask.unflatten(0, (c, n)))


@dataclass
class Output:
    """Logits [B, C] (cosine times logit scale) and, where the method has them, importances [B, C, L] and video embedding (SFAR's: ``SFAR.embed``)."""

    logits: Tensor
    coarse: Tensor | None = None
    fine: Tensor | None = None
    video: Tensor | None = None


def _init(module: nn.Module) -> None:
    """N(0, 0.02) weights, zero biases (BIKE modules/video_clip.py)."""
    for m in module.modules():
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=0.02)
            if getattr(m, "bias", None) is not None:
                nn.init.zeros_(m.bias)


class Aggregate(nn.Module):
    """Eq. 8 and 10 without an FFN: frames [B, L, d], importance [B, C, L] -> [B, C, d]."""

    def forward(self, frames: Tensor, importance: Tensor) -> Tensor:
        return E.aggregate(frames, importance)


class FeedForward(nn.Module):
    """FFN of Eq. 11: Linear-ReLU-Linear of width d (the parameter count of Table 1 leaves room for nothing wider), on o of Eq. 8 or 10."""

    def __init__(self, d: int, residual: bool = False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.residual = residual
        _init(self)

    def forward(self, frames: Tensor, importance: Tensor) -> Tensor:
        """FFN(o) [B, C, d] of o = importance [B, C, L] times frames [B, L, d]."""
        o = E.aggregate(frames, importance)
        return self.layers(o) + o if self.residual else self.layers(o)

    def weights(self) -> Layers:
        """For ``fusion.cosines``."""
        first, _, second = self.layers
        return Layers(first.weight, first.bias, second.weight, second.bias)


class CrossAttention(nn.Module):
    """Eq. 4-6. "printed": three matrices without bias; "mha": ``nn.MultiheadAttention`` with biases and output projection."""

    def __init__(self, d: int, kind: str, heads: int):
        super().__init__()
        self.kind = kind
        if kind == "printed":
            self.wq, self.wk, self.wv = (nn.Parameter(torch.randn(d, d) * 0.02) for _ in range(3))
        else:
            if d % heads:
                raise ConfigError(f"model.attention_heads={heads} does not divide the embedding width {d}")
            self.mha = nn.MultiheadAttention(d, heads, batch_first=True)

    def forward(self, words: Tensor, subs: Tensor, sub_mask: Tensor) -> Tensor:
        """Augmented words [C, W, d]; see ``embedding.attend``."""
        if self.kind == "printed":
            return E.attend(words, subs, sub_mask, self.wq, self.wk, self.wv)
        s, m = subs.flatten(1, 2), sub_mask.flatten(1, 2)
        return self.mha(words, s, s, key_padding_mask=~m, need_weights=False)[0] + words


class TemporalTransformer(nn.Module):
    """Baseline (Temporal): learned positions, pre-LN blocks, and a residual to the input without positions.

    As ActionCLIP modules/Visual_Prompt.py and BIKE: d/64 heads (at least one), MLP of 4d with QuickGELU, LN eps 1e-12.
    """

    def __init__(self, d: int, layers: int, positions: int = 77):
        super().__init__()
        self.position = nn.Embedding(positions, d)
        self.blocks = nn.ModuleList(_Block(d, max(1, d // 64)) for _ in range(layers))
        _init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Frames [B, L, d] in, frames [B, L, d] out."""
        y = x + self.position.weight[: x.shape[1]]
        for block in self.blocks:
            y = block(y)
        return y + x


class _QuickGELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class _Block(nn.Module):
    def __init__(self, d: int, heads: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d, eps=1e-12), nn.LayerNorm(d, eps=1e-12)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), _QuickGELU(), nn.Linear(4 * d, d))

    def forward(self, x: Tensor) -> Tensor:
        h = self.ln1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class Head(nn.Module):
    """A method's head. ``forward(frames [B, L, d], texts, scale) -> Output``; ``tau`` is the temperature over frames."""

    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau


class MeanPool(Head):
    """Vanilla CLIP and Baseline (CLIP): the mean of the unit frame embeddings against the class embedding. No parameters."""

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        o = E.unit(frames).mean(1)
        return Output(scale * E.unit(o) @ E.unit(texts.cls).T, video=o)


class Temporal(Head):
    """Baseline (Temporal) of Table 2e: a temporal transformer over the frames, then their mean."""

    def __init__(self, d: int, tau: float, layers: int):
        super().__init__(tau)
        self.transformer = TemporalTransformer(d, layers)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        o = self.transformer(frames).mean(1)
        return Output(scale * E.unit(o) @ E.unit(texts.cls).T, video=o)


class SingleGranularity(Head):
    """BIKE's video concept spotting: frames weighted by the words of the class prompt alone, after the temporal transformer.

    The weighted sum of unit frames is not normalised again, as in BIKE modules/video_clip.py.
    """

    def __init__(self, d: int, tau: float, layers: int):
        super().__init__(tau)
        self.transformer = TemporalTransformer(d, layers)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        v = E.unit(self.transformer(frames))
        a = E.coarse_importance(texts.words, texts.mask, v, self.tau)
        o = E.aggregate(v, a)
        return Output(scale * (o * E.unit(texts.cls)).sum(-1), coarse=a, video=o)


class SFAR(Head):
    """Eq. 4-11: coarse and fine video embedding of each class, two FFNs, cosine with the class embedding."""

    def __init__(self, d: int, tau: float, cfg: ModelConfig):
        super().__init__(tau)
        self.cfg = cfg
        ffn = (lambda: FeedForward(d, cfg.ffn_residual)) if cfg.ffn != "none" else Aggregate
        if cfg.coarse:
            self.attention = CrossAttention(d, cfg.attention, cfg.attention_heads)
            self.ffn_coarse = ffn()
        if cfg.fine:
            self.ffn_fine = ffn()
        self._mean_words: tuple[Tensor, Tensor] | None = None  # (sub_words it belongs to, constant of Eq. 9)
        self._words: tuple[Tensor, list[int], Tensor] | None = (
            None  # (words they belong to, versions of the weights, augmented words of Eq. 6)
        )

    def _fine_words(self, texts: ClassTexts) -> Tensor:
        kept = self._mean_words
        # A model that was evaluated first and is trained later: autograd refuses tensors made in inference mode.
        if (
            kept is None
            or kept[0] is not texts.sub_words
            or (kept[1].is_inference() and not torch.is_inference_mode_enabled())
        ):
            self._mean_words = kept = (texts.sub_words, E.mean_unit_words(texts.sub_words, texts.sub_mask))
        return kept[1]

    def _augmented(self, texts: ClassTexts) -> Tensor:
        """Eq. 4-6: [C, W, d]. They depend on no video: without gradients they are kept until a weight changes."""
        if torch.is_grad_enabled():
            return self.attention(texts.words, texts.sub_words, texts.sub_mask)
        versions = [p._version for p in self.attention.parameters()]
        kept = self._words
        if kept is None or kept[0] is not texts.words or kept[1] != versions:
            self._words = kept = (texts.words, versions, self.attention(texts.words, texts.sub_words, texts.sub_mask))
        return kept[2]

    def importance(self, frames: Tensor, texts: ClassTexts) -> tuple[Tensor | None, Tensor | None]:
        """a_coarse (Eq. 7) and a_fine (Eq. 9), [B, C, L] each, None for one that is left out."""
        coarse = fine = None
        if self.cfg.coarse:
            coarse = E.coarse_importance(self._augmented(texts), texts.mask, frames, self.tau, self.cfg.coarse_reduce)
        if self.cfg.fine:
            fine = E.fine_importance(self._fine_words(texts), frames, self.tau)
        return coarse, fine

    def _weighed(self, frames: Tensor) -> Tensor:
        return E.unit(frames) if self.cfg.frame_norm else frames

    def embed(self, frames: Tensor, texts: ClassTexts) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The video embedding o [B, C, d] itself (Eq. 11), with both importances."""
        coarse, fine = self.importance(frames, texts)
        v = self._weighed(frames)
        return sum(ffn(v, a) for ffn, a in self._parts(coarse, fine)), coarse, fine

    def _parts(self, coarse: Tensor | None, fine: Tensor | None) -> list[tuple[nn.Module, Tensor]]:
        return [(getattr(self, f"ffn_{name}"), a) for name, a in (("coarse", coarse), ("fine", fine)) if a is not None]

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        coarse, fine = self.importance(frames, texts)
        parts, v, cls = self._parts(coarse, fine), self._weighed(frames), E.unit(texts.cls)
        if self.cfg.ffn == "none":
            o = E.aggregate(v, sum(a for _, a in parts))
            cosine = (E.unit(o) * cls).sum(-1)
        else:
            cosine = cosines(v, cls, [(a, ffn.weights()) for ffn, a in parts], self.cfg.ffn_residual)
        return Output(scale * cosine, coarse, fine)


def build_head(method: str, d: int, tau: float, cfg: ModelConfig) -> Head:
    """The head of ``method`` (one of ``config.METHODS``) for embeddings of width ``d``. Raises ``ConfigError`` for another."""
    check_method(method)
    if method in ("vanilla", "clip"):
        return MeanPool(tau)
    if method == "temporal":
        return Temporal(d, tau, cfg.temporal_layers)
    if method == "single":
        return SingleGranularity(d, tau, cfg.temporal_layers)
    return SFAR(d, tau, cfg)


class VideoModel(nn.Module):
    """Visual tower, logit scale and a head: normalised frames [B, L, 3, H, W] in, ``Output`` with logits [B, C] out."""

    def __init__(self, method: str, clip: CLIP, texts: ClassTexts, cfg: ModelConfig, train_visual: bool = True):
        super().__init__()
        freeze_text_tower(clip)
        if not train_visual:
            clip.visual.requires_grad_(False)
        self.clip, self.texts, self.method = clip, texts, method
        scale = clip.logit_scale.exp().item()
        tau = cfg.frame_temperature if cfg.frame_temperature is not None else (1.0 / scale if scale else math.inf)
        if not 0 < tau < math.inf:
            raise ConfigError(f"frame temperature {tau}: set model.frame_temperature")
        self.head = build_head(method, texts.cls.shape[-1], tau, cfg)

    def forward(self, frames: Tensor) -> Output:
        return self.from_embeddings(embed_frames(self.clip, frames))

    def from_embeddings(self, v: Tensor) -> Output:
        """The head alone on frame embeddings [B, L, d] (not normalised): what a frozen tower gives is made once and kept."""
        # Under bf16 autocast the head stays in single precision: cosines are divided by a temperature of 0.01.
        with torch.autocast(v.device.type, enabled=False):
            return self.head(
                v.float() if v.dtype in (torch.bfloat16, torch.float16) else v, self.texts, self.clip.logit_scale.exp()
            )

    def for_classes(self, texts: ClassTexts) -> VideoModel:
        """This model on other classes, weights shared: for zero-shot tests. Switch back by calling it with the former texts."""
        self.texts = ClassTexts(*(getattr(texts, f.name).to(self.texts.cls.device) for f in fields(texts)))
        return self

    def _apply(self, fn, *args, **kwargs):
        # The class texts are constants, not buffers (a checkpoint need not hold them), but they go where the model goes.
        self.texts = ClassTexts(*(fn(getattr(self.texts, f.name)) for f in fields(self.texts)))
        return super()._apply(fn, *args, **kwargs)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The two learning-rate groups: CLIP's trained parameters and the head's (BIKE utils/solver.py)."""
        return {"clip": [p for p in self.clip.parameters() if p.requires_grad], "head": list(self.head.parameters())}
