"""SFAR (section 3.4): coarse and fine video embedding of each class (Eq. 4-11), cosine with the class embedding."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sfar.config import PRESETS, ModelConfig
from sfar.errors import ConfigError
from sfar.model.embedding import aggregate, attend, coarse_importance, fine_importance, mean_unit_words, unit
from sfar.model.head import Head, Output, init_weights
from sfar.model.kept import Kept
from sfar.model.kernels.fused import Layers, cosines
from sfar.model.method import TEXT, Method
from sfar.model.temporal import TemporalTransformer
from sfar.model.texts import ClassTexts

# Fields of section 3.4 that the readings by name (``config.PRESETS``) differ in, and their values to the letter.
PRINTED = {key.removeprefix("model."): value for key, value in PRESETS["printed"].items()}
READING = tuple(PRINTED)


class CrossAttention(nn.Module):
    """Eq. 4-6, in one of two readings.

    "printed": three matrices without bias; "mha": ``nn.MultiheadAttention`` with biases and output projection. Raises
    ``ConfigError`` for a number of heads that does not divide the width d.
    """

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
        """Augmented words [C, W, d] of words [C, W, d] and subs [C, N, Ws, d] with their mask; see ``attend``."""
        if self.kind == "printed":
            return attend(words, subs, sub_mask, self.wq, self.wk, self.wv)
        s, m = subs.flatten(1, 2), sub_mask.flatten(1, 2)
        return self.mha(words, s, s, key_padding_mask=~m, need_weights=False)[0] + words


class FeedForward(nn.Module):
    """FFN of Eq. 11: Linear-ReLU-Linear of width d (the parameter count of Table 1 leaves room for nothing wider).

    ``residual``: its input is added to what it gives, which Eq. 11 does not print.
    """

    def __init__(self, d: int, residual: bool):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.residual = residual
        init_weights(self)

    def forward(self, o: Tensor) -> Tensor:
        """FFN(o) [..., d] of o [..., d]."""
        return self.layers(o) + o if self.residual else self.layers(o)

    def weights(self) -> Layers:
        """As ``kernels.fused`` takes them."""
        first, _, second = self.layers
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        return Layers(first.weight, first.bias, second.weight, second.bias)


class SFAR(Head):
    """Eq. 4-11: coarse and fine video embedding of each class, two FFNs, cosine with the class embedding.

    With ``model.context_layers`` the frames pass through BIKE's temporal transformer first, and what Eq. 7 to 10 call
    frames is what it gives (``in_context``).
    ``fused`` True: Eq. 8, 10, 11 and the cosine are computed by ``kernels.fused``, in a fraction of the time and the
    memory; False: as they are printed. It changes no number but by rounding.
    """

    fused: bool = True

    def __init__(self, d: int, tau: float, cfg: ModelConfig):
        super().__init__(tau)
        self.cfg = cfg
        self.context = TemporalTransformer(d, cfg.context_layers) if cfg.context_layers else None
        if cfg.coarse:
            self.attention = CrossAttention(d, cfg.attention, cfg.attention_heads)
            self.ffn_coarse = nn.Identity() if cfg.ffn == "none" else FeedForward(d, cfg.ffn_residual)
        if cfg.fine:
            self.ffn_fine = nn.Identity() if cfg.ffn == "none" else FeedForward(d, cfg.ffn_residual)
        self._kept_augmented, self._kept_means = Kept(), Kept()

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``coarse`` and ``fine`` are a_coarse and a_fine, [B, C, L] each."""
        frames = self.in_context(frames)
        coarse, fine = self.importance(frames, texts)  # Eq. 4-7, 9
        v, cls = self.weighed(frames), unit(texts.cls)
        if not self.fused:
            o = self.video_embedding(v, coarse, fine)  # Eq. 8, 10, 11
            cosine = (unit(o) * cls).sum(-1)
        else:
            cosine = self._fused_cosine(v, cls, coarse, fine)
        return Output(scale * cosine, coarse, fine)

    def in_context(self, frames: Tensor) -> Tensor:
        """The frames [B, L, d] after the temporal transformer, or as they are where there is none."""
        return frames if self.context is None else self.context(frames)

    def importance(self, frames: Tensor, texts: ClassTexts) -> tuple[Tensor | None, Tensor | None]:
        """a_coarse (Eq. 7) and a_fine (Eq. 9) of frames [B, L, d] in their context, [B, C, L] each; None: left out."""
        coarse = fine = None
        if self.cfg.coarse:
            coarse = coarse_importance(self.augmented(texts), texts.mask, frames, self.tau, self.cfg.coarse_reduce)
        if self.cfg.fine:
            fine = fine_importance(self._mean_words(texts), frames, self.tau)
        return coarse, fine

    def weighed(self, frames: Tensor) -> Tensor:
        """The frames [B, L, d] of Eq. 8 and 10: brought to length one, or as they are (``model.frame_norm``)."""
        return unit(frames) if self.cfg.frame_norm else frames

    def video_embedding(self, v: Tensor, coarse: Tensor | None, fine: Tensor | None) -> Tensor:
        """The o [B, C, d] of Eq. 11 from frames [B, L, d] and importances [B, C, L]; None: without that branch."""
        branches = []
        if coarse is not None:
            o_coarse = aggregate(v, coarse)  # Eq. 8
            branches.append(self.ffn_coarse(o_coarse))
        if fine is not None:
            o_fine = aggregate(v, fine)  # Eq. 10
            branches.append(self.ffn_fine(o_fine))
        return sum(branches[1:], branches[0])  # Eq. 11

    def embed(self, frames: Tensor, texts: ClassTexts) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The video embedding o [B, C, d] itself (Eq. 11), with both importances."""
        frames = self.in_context(frames)
        coarse, fine = self.importance(frames, texts)
        return self.video_embedding(self.weighed(frames), coarse, fine), coarse, fine

    def augmented(self, texts: ClassTexts) -> Tensor:
        """T^ of Eq. 4-6, [C, W, d]. No video is in it: without gradients it is kept until a weight changes."""
        of = texts.words, texts.sub_words, texts.sub_mask
        if torch.is_grad_enabled():
            return self.attention(*of)
        return self._kept_augmented.value(lambda: self.attention(*of), of, self.attention.parameters())

    def _mean_words(self, texts: ClassTexts) -> Tensor:
        """The constant of Eq. 9, [C, N, d]."""
        of = texts.sub_words, texts.sub_mask
        return self._kept_means.value(lambda: mean_unit_words(*of), of)

    def _fused_cosine(self, v: Tensor, cls: Tensor, coarse: Tensor | None, fine: Tensor | None) -> Tensor:
        """cos(o, t_c) [B, C] for unit class embeddings ``cls`` [C, d], in another order of operations."""
        if self.cfg.ffn == "none":  # without a layer in between, the weights may be added before the frames are
            both = [a for a in (coarse, fine) if a is not None]
            return (unit(aggregate(v, sum(both[1:], both[0]))) * cls).sum(-1)
        parts = []
        if coarse is not None:
            assert isinstance(self.ffn_coarse, FeedForward)
            parts.append((coarse, self.ffn_coarse.weights()))
        if fine is not None:
            assert isinstance(self.ffn_fine, FeedForward)
            parts.append((fine, self.ffn_fine.weights()))
        return cosines(v, cls, parts, self.cfg.ffn_residual)


METHOD = Method(
    "sfar",
    "SFAR",
    "#0072B2",
    "D",
    reads=TEXT
    | {
        "n_subtexts",
        "attention",
        "attention_heads",
        "word_mask",
        "coarse_reduce",
        "frame_temperature",
        "frame_norm",
        "ffn",
        "coarse",
        "fine",
        *READING,
    },
    build=SFAR,
    sub_texts=True,
    own=True,
)


def _as_printed(d: int, tau: float, cfg: ModelConfig) -> SFAR:
    return SFAR(d, tau, dataclasses.replace(cfg, **{field: PRINTED[field] for field in READING}))


# Section 3.4 to the letter, whatever reading the configuration has: a row of its own beside the reading chosen.
AS_PRINTED = Method(
    "sfar-printed",
    "SFAR, as printed",
    "#222222",
    "X",
    reads=METHOD.reads - set(READING),
    build=_as_printed,
    sub_texts=True,
    own=True,
)
