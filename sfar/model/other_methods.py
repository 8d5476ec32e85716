"""Other methods that the fine video embedding (FVE, Eq. 9-11) is put into: Table 2c.

BIKE, ATM and VideoPrompt as compact heads over frame embeddings [B, L, d] of a frozen CLIP: what these methods do
inside the visual tower or beside it (ATM's blocks on the patch grid and its temporal convolutions, BIKE's attribute
branch) is left out. What FVE adds is the same for all: FFN_fine(o_fine) as SFAR computes it, from the frames that enter
the method.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import encode_words, token_ids
from sfar.model.embedding import unit
from sfar.model.head import Head, Output
from sfar.model.sfar import SFAR
from sfar.model.single_granularity import SingleGranularity
from sfar.model.temporal import TemporalTransformer
from sfar.model.texts import ClassTexts
from sfar.model.video_model import VideoModel

# The method alone; with FVE but equal weights over frames (a control); with FVE.
FVE = ("none", "mean", "fine")


# --- the heads; each takes what FVE says, ``extra`` [B, C, d], or None ---


class BIKE(SingleGranularity):
    """Video concept spotting (BIKE modules/video_clip.py).

    With FVE: o = v_att + FFN_fine(o_fine), compared as BIKE compares v_att, without being brought to length one again.
    """

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        """See ``Head``."""
        out = super().forward(frames, texts, scale)
        if extra is None:
            return out
        assert out.video is not None
        o = out.video + extra
        return Output(scale * (o * unit(texts.cls)).sum(-1), coarse=out.coarse, video=o)


def subtract(other: Tensor, frame: Tensor) -> Tensor:
    """ATM's subtraction: the change from a frame to another, [..., width] each."""
    return other - frame


def multiply(other: Tensor, frame: Tensor) -> Tensor:
    """ATM's multiplication: the terms of the cosine of a frame and another, [..., width] each."""
    return unit(other) * unit(frame)


class ATMBlock(nn.Module):
    """A block over frames (ATM modules/ATM.py, without its patch grid): each frame with those up to ``reach`` away.

    d -> width, layer norm, ReLU; for each offset the ``operation`` and two layers (weights shared by the offsets); side
    by side -> width -> d, where weights that start at zero make the block start as the identity. Beyond the ends are
    zeros. Layer norm stands for the batch norm of the convolutions, so that a video's logits do not depend on its
    batch.
    """

    def __init__(self, d: int, operation: Callable[[Tensor, Tensor], Tensor], width: int = 64, reach: int = 2):
        super().__init__()
        self.operation, self.reach = operation, reach
        self.down, self.norm = nn.Linear(d, width), nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mix, self.up = nn.Linear((2 * reach + 1) * width, width), nn.Linear(width, d)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, v: Tensor) -> Tensor:
        """Frames [B, L, d] in, frames [B, L, d] out."""
        h = self.norm(self.down(v)).relu()
        length, r = h.shape[1], self.reach
        padded = F.pad(h, (0, 0, r, r))
        cues = [self.layers(self.operation(padded[:, r + z : r + z + length], h)) for z in range(-r, r + 1)]
        return v + self.up(self.mix(torch.cat(cues, -1)).relu())


class ATM(Head):
    """Multiplication, then subtraction, the mean over frames and a linear classifier. It knows no texts.

    With FVE: logits = fc(mean v') + scale * cos(t_c, FFN_fine(o_fine[c])); the paper does not say how a classifier
    without texts takes it.
    """

    def __init__(self, d: int, tau: float, classes: int):
        super().__init__(tau)
        self.blocks = nn.Sequential(ATMBlock(d, multiply), ATMBlock(d, subtract))
        self.fc = nn.Linear(d, classes)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        """See ``Head``."""
        o = self.blocks(frames).mean(1)
        logits = self.fc(o)
        if extra is not None:
            logits = logits + scale * (unit(extra) * unit(texts.cls)).sum(-1)
        return Output(logits, video=o)


class VideoPrompt(Head):
    """Learned vectors around the class name in the frozen text tower, a small transformer over frames, cos / 0.07.

    Efficient-Prompt src/model.py: [start][16 learned][class name][16 learned][end], the learned vectors of one
    embedding by position. With FVE: o = v + FFN_fine(o_fine[c]), against the prompted embedding of class c. Raises
    ``ConfigError`` for a class name that does not fit between them.
    """

    AROUND, SCALE, STD = 16, 1 / 0.07, 0.01

    ids: Tensor
    real: Tensor

    def __init__(self, d: int, tau: float, clip: CLIP, names: Sequence[str], frames: int, layers: int = 2):
        super().__init__(tau)
        self._clip = (clip,)  # in a tuple: frozen, and not one of this head's modules
        window = clip.context_length
        ids, real = torch.zeros(len(names), window, dtype=torch.long), torch.zeros(len(names), window, dtype=torch.bool)
        for row, own, name in zip(ids, real, names, strict=True):
            start, *words, end = token_ids(name)
            last = 2 * self.AROUND + len(words) + 1
            if last >= window:
                raise ConfigError(
                    f"class {name!r} has {len(words)} tokens: with {2 * self.AROUND} learned vectors "
                    f"it does not fit into CLIP's window of {window}"
                )
            place = [0, *range(self.AROUND + 1, self.AROUND + 1 + len(words)), last]
            row[place], own[place] = torch.tensor([start, *words, end]), True
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("real", real, persistent=False)
        self.vectors = nn.Embedding(window, cast(nn.Embedding, clip.token_embedding).embedding_dim)
        self.transformer = TemporalTransformer(d, layers, frames)
        for e in (self.vectors, self.transformer.position):
            nn.init.normal_(e.weight, std=self.STD)

    def class_embeddings(self) -> Tensor:
        """[C, d]: the text tower's row at the end token, learned vectors wherever there is no token."""
        clip = self._clip[0]
        embedding = cast(nn.Embedding, clip.token_embedding)

        def embed(ids: Tensor) -> Tensor:
            n = ids.shape[1]
            return torch.where(self.real[:, :n, None], embedding(ids), self.vectors.weight[:n])

        return encode_words(clip, self.ids, embed=embed).cls

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        """See ``Head``."""
        o = (self.transformer(frames) - frames).mean(1)[:, None]  # VideoPrompt's has no residual to its input
        if extra is not None:
            o = o + extra
        return Output(self.SCALE * (unit(o) * unit(self.class_embeddings())).sum(-1), video=o)


class WithFVE(Head):
    """The head of another method with FVE.

    ``fve``: SFAR with the fine embedding alone; its video embedding is FFN_fine(o_fine) [B, C, d].
    """

    def __init__(self, base: Head, fve: SFAR):
        super().__init__(base.tau)
        self.base, self.fve = base, fve

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``; ``fine`` is a_fine [B, C, L]."""
        extra, _, fine = self.fve.embed(frames, texts)
        out = self.base(frames, texts, scale, extra)
        out.fine = fine
        return out


# --- the methods by name ---


def refuse(file: Path, about: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` for a checkpoint of one of these: none is a method by name that takes classes and texts.

    ``about``: as ``checkpoint.read_about`` gives it. ATM's classifier and VideoPrompt's vectors know the classes of
    their training alone.
    """
    if "fve" in about:
        raise ConfigError(
            f"{file} is of another method ({about['base']}/{about['fve']}), which is tested in its table alone "
            "(Table 2c): expected a checkpoint of `sfar train`"
        )


@dataclass(frozen=True)
class OtherMethod:
    """A method of Table 2c. ``build(model, names, frames, cfg)``: its head, for that model, those classes, L frames."""

    title: str  # as Table 2c prints it
    build: Callable[[VideoModel, Sequence[str], int, ModelConfig], Head]
    # BIKE alone trains the logit scale, as in its code: ATM has none (FVE's cosine takes CLIP's as it is),
    # VideoPrompt's is 1 / 0.07.
    trains_scale: bool = False
    loss: str = "info_nce"  # ``train.loss``: Eq. 14 where a text is compared, cross-entropy of a classifier


def _width_and_tau(model: VideoModel) -> tuple[int, float]:
    return model.texts.cls.shape[-1], model.head.tau


def _video_prompt(model: VideoModel, names: Sequence[str], frames: int, cfg: ModelConfig) -> Head:
    return VideoPrompt(*_width_and_tau(model), model.clip, names, frames)


def _atm(model: VideoModel, names: Sequence[str], frames: int, cfg: ModelConfig) -> Head:
    return ATM(*_width_and_tau(model), len(names))


def _bike(model: VideoModel, names: Sequence[str], frames: int, cfg: ModelConfig) -> Head:
    return BIKE(*_width_and_tau(model), cfg.temporal_layers)


OTHER_METHODS: dict[str, OtherMethod] = {  # in the order of Table 2c
    "videoprompt": OtherMethod("VideoPrompt", _video_prompt),
    "atm": OtherMethod("ATM", _atm, loss="cross_entropy"),
    "bike": OtherMethod("BIKE", _bike, trains_scale=True),
}


def into_other_method(
    model: VideoModel, name: str, fve: str, names: Sequence[str], frames: int, cfg: ModelConfig
) -> VideoModel:
    """``model`` with its head replaced by another method's, with or without FVE, and its tower frozen.

    The model's texts are those of the classes ``names``; ``name``: one of ``OTHER_METHODS``, ``fve``: one of ``FVE``,
    ``frames``: L. The method's weights are drawn before FVE's, so that from one seed they are the same with and
    without. Raises ``ConfigError`` for an unknown name or ``fve``.
    """
    if name not in OTHER_METHODS or fve not in FVE:
        raise ConfigError(
            f"unknown method {name!r} with FVE {fve!r}: expected one of {', '.join(OTHER_METHODS)} "
            f"with one of {', '.join(FVE)}"
        )
    method = OTHER_METHODS[name]
    d, tau = _width_and_tau(model)
    model.clip.requires_grad_(False)
    model.clip.logit_scale.requires_grad_(method.trains_scale)
    head = method.build(model, names, frames, cfg)
    if fve != "none":
        # An infinite temperature gives every frame the same weight.
        fine_alone = dataclasses.replace(cfg, coarse=False, fine=True)
        head = WithFVE(head, SFAR(d, tau if fve == "fine" else math.inf, fine_alone))
    model.head, model.method = head, name
    return model
