"""OST (Chen et al., CVPR 2024): frames against two sets of descriptors of each class, matched by optimal transport.

``spatio``: what is seen, "This is a video about {}"; ``temporal``: the steps of the action, "A video of {class} usually
includes {}". For unit frames V [L, d] and unit descriptors E [K, d] of a class, S = V E^T: the plan P of the entropic
transport problem of cost 1 - S between uniform weights (Sinkhorn, eps 0.1), without gradient; ot = sum(P * S); pool =
mean(V) . mean(E). Logits: scale * (pool + ot of one set, plus pool + ot of the other) / 2, two cosines' worth (OST
trainers/OST.py). Nothing is added to CLIP; both towers are trained.

Left out: the stopping rule (mean change over the whole batch below 0.01, at most 100 iterations), which would let a
video's logits depend on its batch: here a fixed number of iterations.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.head import Head, Output
from sfar.model.method import TEXT, Method, Recipe, Wording
from sfar.model.texts import ClassTexts, Sets

SPATIO, TEMPORAL = "This is a video about {}", "A video of {} usually includes {}"
EPS = 0.1
ITERATIONS = 30  # OST stops after 3 to 16 of them where its own rule is followed


def texts(said: Wording) -> Sets:
    """Both sets of descriptors in OST's templates, for each class."""
    return {
        "spatio": [[SPATIO.format(t) for t in said.scenes[c]] for c in said.classes],
        "temporal": [[TEMPORAL.format(c, t) for t in said.subtexts[c]] for c in said.classes],
    }


@torch.no_grad()
def plan(similarity: Tensor, eps: float = EPS, iterations: int = ITERATIONS) -> Tensor:
    """The transport plan [..., L, K] of similarities [..., L, K]: frames weigh 1/L, descriptors 1/K each.

    Sinkhorn: r <- u / (Q c), then c <- w / (Q^T r) with Q = exp(-(1 - S) / eps), as often as said; the descriptors'
    weights are exact, the frames' as far as it has converged.
    """
    q = ((similarity - 1) / eps).exp()
    length, k = q.shape[-2:]
    c = q.new_ones(*q.shape[:-2], k)
    r = q.new_ones(*q.shape[:-2], length)
    for _ in range(iterations):
        r = 1 / length / torch.einsum("...lk,...k->...l", q, c)
        c = 1 / k / torch.einsum("...lk,...l->...k", q, r)
    return r[..., None] * q * c[..., None, :]


class OST(Head):
    """Pooling plus transport over the ``sets`` of descriptors.

    Control: ``transport`` False, pooling alone; a plan of equal weights is the same.
    """

    def __init__(self, tau: float, sets: tuple[str, ...] = ("spatio", "temporal"), transport: bool = True):
        super().__init__(tau)
        self.sets, self.transport = sets, transport

    def forward(self, frames: Tensor, texts: ClassTexts, scale: Tensor) -> Output:
        """See ``Head``."""
        v = unit(frames)
        sums = [self._of(v, unit(texts.get_buffer(name))) for name in self.sets]
        return Output(scale * sum(sums[1:], sums[0]) / len(self.sets))

    def _of(self, v: Tensor, e: Tensor) -> Tensor:
        """[B, C]: pool + ot of unit frames [B, L, d] and unit descriptors [C, K, d]."""
        pool = v.mean(1) @ e.mean(1).T
        if not self.transport:
            return 2 * pool
        s = torch.einsum("bld,ckd->bclk", v, e)
        return pool + (plan(s) * s).sum((-1, -2))


def build(d: int, tau: float, cfg: ModelConfig) -> OST:
    """OST in full."""
    return OST(tau)


def _temporal(d: int, tau: float, cfg: ModelConfig) -> OST:
    return OST(tau, ("temporal",))


def _pooling(d: int, tau: float, cfg: ModelConfig) -> OST:
    return OST(tau, transport=False)


_own = partial(
    Method,
    reads=TEXT | {"n_subtexts"},
    sub_texts=True,
    texts=texts,
    scenes=True,
    recipe=Recipe(
        {
            "train.loss": "kl",
            "train.train_text": "all",
            "train.lr_clip": 8e-6,
            "train.epochs": 10,
            "train.weight_decay": 1e-3,
            "train.betas": (0.9, 0.98),
            "train.frames": 32,
            "train.batch": 256,
        },
        "tomchen-ctj/OST: main_nce.py, utils/optimizer.py, configs/zero_shot/train (no supervised recipe was released)",
        few_shot={"train.lr_clip": 5e-6, "train.epochs": 50, "train.batch": 64},
        left_out="0.2 of CLIP's weights mixed in for zero-shot tests; the best epoch on the test list",
    ),
)
METHOD = _own("ost", "OST", "#882255", "h", build=build)
CONTROLS = (
    _own("ost-temporal", "OST, temporal set alone", "#AA6688", "h", build=_temporal, control="ost"),
    _own("ost-pooling", "OST, pooling alone", "#CC99AA", "h", build=_pooling, control="ost"),
)
