"""Heads of other methods that the fine-grained video embedding (FVE, Eq. 9-11) is plugged into: Table 2c.

BIKE, ATM and VideoPrompt as compact heads over frame embeddings [B, L, d] of a frozen CLIP: what these methods do inside
the visual tower or beside it (ATM's blocks on the patch grid and its temporal convolutions, BIKE's attribute branch) is left out.
The plug is the same for all: FFN_fine(o_fine) as SFAR computes it, from the frames that enter the host.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import embedding as E
from sfar.model.clip import encode_words, token_ids
from sfar.model.heads import SFAR, ClassTexts, Head, Output, SingleGranularity, TemporalTransformer, VideoModel

HOSTS = {"videoprompt": "VideoPrompt", "atm": "ATM", "bike": "BIKE"}  # as Table 2c prints them, in its order
PLUGS = ("none", "mean", "fine")  # the host alone; with FVE but equal weights over frames (a control); with FVE


class BIKE(SingleGranularity):
    """Video concept spotting (BIKE modules/video_clip.py). With FVE: o = v_att + FFN_fine(o_fine), compared as BIKE compares v_att, without
    being brought to length one again.
    """

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        out = super().forward(frames, texts, scale)
        if extra is None:
            return out
        o = out.video + extra
        return Output(scale * (o * E.unit(texts.cls)).sum(-1), coarse=out.coarse, video=o)


def subtract(other: Tensor, frame: Tensor) -> Tensor:
    """ATM's subtraction: the change from a frame to another."""
    return other - frame


def multiply(other: Tensor, frame: Tensor) -> Tensor:
    """ATM's multiplication: the terms of the cosine of a frame and another."""
    return E.unit(other) * E.unit(frame)


class Cues(nn.Module):
    """An ATM block over frames (ATM modules/ATM.py, without its patch grid): ``operation`` of each frame with those up to ``reach`` before and after it.

    d -> width, layer norm, ReLU; for each offset the operation and two layers (weights shared by the offsets); side by side -> width -> d, where
    weights that start at zero make the block start as the identity. Beyond the ends are zeros. Layer norm stands for the batch norm of the
    convolutions, so that a video's logits do not depend on its batch.
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

    With FVE: logits = fc(mean v') + scale * cos(t_c, FFN_fine(o_fine[c])); the paper does not say how a classifier without texts takes it.
    """

    def __init__(self, d: int, tau: float, classes: int):
        super().__init__(tau)
        self.blocks = nn.Sequential(Cues(d, multiply), Cues(d, subtract))
        self.fc = nn.Linear(d, classes)

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        o = self.blocks(frames).mean(1)
        logits = self.fc(o)
        if extra is not None:
            logits = logits + scale * (E.unit(extra) * E.unit(texts.cls)).sum(-1)
        return Output(logits, video=o)


class VideoPrompt(Head):
    """Learned vectors around the class name in the frozen text tower, a small transformer over frames, cos / 0.07 (Efficient-Prompt src/model.py).

    [start][16 learned][class name][16 learned][end], the learned vectors of one embedding by position. With FVE: o = v + FFN_fine(o_fine[c]),
    against the prompted embedding of class c. Raises ``ConfigError`` for a class name that does not fit between them.
    """

    AROUND, SCALE, STD = 16, 1 / 0.07, 0.01

    def __init__(self, d: int, tau: float, clip: CLIP, names: Sequence[str], frames: int, layers: int = 2):
        super().__init__(tau)
        self._clip = (clip,)  # frozen, and not one of this head's parameters
        window = clip.context_length
        ids, real = torch.zeros(len(names), window, dtype=torch.long), torch.zeros(len(names), window, dtype=torch.bool)
        for row, own, name in zip(ids, real, names):
            start, *words, end = token_ids(name)
            last = 2 * self.AROUND + len(words) + 1
            if last >= window:
                raise ConfigError(
                    f"class {name!r} has {len(words)} tokens: with {2 * self.AROUND} learned vectors it does not fit into CLIP's window of {window}"
                )
            place = [0, *range(self.AROUND + 1, self.AROUND + 1 + len(words)), last]
            row[place], own[place] = torch.tensor([start, *words, end]), True
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("real", real, persistent=False)
        self.vectors = nn.Embedding(window, clip.token_embedding.embedding_dim)
        self.transformer = TemporalTransformer(d, layers, frames)
        for e in (self.vectors, self.transformer.position):
            nn.init.normal_(e.weight, std=self.STD)

    def class_embeddings(self) -> Tensor:
        """[C, d]: the text tower's row at the end token, learned vectors wherever there is no token."""
        clip = self._clip[0]

        def embed(ids: Tensor) -> Tensor:
            n = ids.shape[1]
            return torch.where(self.real[:, :n, None], clip.token_embedding(ids), self.vectors.weight[:n])

        prompted = SimpleNamespace(
            token_embedding=embed,
            **{
                k: getattr(clip, k)
                for k in ("positional_embedding", "transformer", "attn_mask", "ln_final", "text_projection")
            },
        )
        return encode_words(prompted, self.ids).cls

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor, extra: Tensor | None = None) -> Output:
        o = (self.transformer(frames) - frames).mean(1)[
            :, None
        ]  # VideoPrompt's transformer has no residual to its input
        if extra is not None:
            o = o + extra
        return Output(self.SCALE * (E.unit(o) * E.unit(self.class_embeddings())).sum(-1), video=o)


class Plugged(Head):
    """A host with FVE. ``fve``: SFAR with the fine embedding alone; its video embedding is FFN_fine(o_fine) [B, C, d]."""

    def __init__(self, host: Head, fve: SFAR):
        super().__init__(host.tau)
        self.host, self.fve = host, fve

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        extra, _, fine = self.fve.embed(frames, texts)
        out = self.host(frames, texts, scale, extra)
        out.fine = fine
        return out


def into_host(
    model: VideoModel, host: str, plug: str, names: Sequence[str], frames: int, cfg: ModelConfig
) -> VideoModel:
    """``model`` (frozen tower; its texts are those of the classes ``names``) with its head replaced by a host's. Raises ``ConfigError`` for an unknown host or plug.

    The logit scale is trained in BIKE alone, as in its code: ATM has none (FVE's cosine takes CLIP's as it is), VideoPrompt's is 1 / 0.07. The host's
    weights are drawn before FVE's, so that from one seed they are the same with every plug.
    """
    if host not in HOSTS or plug not in PLUGS:
        raise ConfigError(
            f"unknown host {host!r} with plug {plug!r}: expected one of {', '.join(HOSTS)} with one of {', '.join(PLUGS)}"
        )
    d, tau = model.texts.cls.shape[-1], model.head.tau
    model.clip.requires_grad_(False)
    model.clip.logit_scale.requires_grad_(host == "bike")
    if host == "bike":
        head = BIKE(d, tau, cfg.temporal_layers)
    elif host == "atm":
        head = ATM(d, tau, len(names))
    else:
        head = VideoPrompt(d, tau, model.clip, names, frames)
    if plug != "none":
        # An infinite temperature gives every frame the same weight.
        head = Plugged(
            head, SFAR(d, tau if plug == "fine" else math.inf, dataclasses.replace(cfg, coarse=False, fine=True))
        )
    model.head, model.method = head, host
    return model
