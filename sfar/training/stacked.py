"""Many trainings of one head on a frozen tower in one program: the numbers of ``train``, in a fraction of the time.

A head is so small that most of a step is spent between its operations. The weights of R models that differ in their
seed (and in their clips, where lists are drawn) are put behind one another, [R, ...], and each operation is done for
all of them. AdamW works element by element and does not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from sfar.config import Profile
from sfar.data.store import VideoClips
from sfar.errors import SfarError
from sfar.model.loss import LOSSES, NotFinite, check_finite
from sfar.model.video_model import VideoModel
from sfar.training.train import (
    History,
    Logits,
    Progress,
    TrainingEmbeddings,
    adamw,
    autocast_dtype,
    batches_of,
    set_rates,
    which_batch,
)


@dataclass(frozen=True)
class Replicate:
    """What one of the trainings has to itself: ``embedded`` [draws, clips, L, d] and the rest as ``train`` takes it."""

    model: VideoModel
    clips: VideoClips
    embedded: Tensor
    seed: int
    repeats: int = 1

    @property
    def per_epoch(self) -> int:
        """Clips of an epoch."""
        return len(self.clips) * self.repeats

    def shape(self, batch: int) -> tuple[int, int]:
        """Steps of an epoch and clips of each, of batches of ``batch``: what is trained together has the same."""
        size = min(batch, self.per_epoch)
        return self.per_epoch // size, size


class OneFailed(SfarError):
    """One of the trainings failed. ``replicate``: its number."""

    def __init__(self, text: str, replicate: int):
        super().__init__(text, replicate)
        self.text, self.replicate = text, replicate

    def __str__(self) -> str:
        return self.text


def can_stack(profile: Profile, device: torch.device) -> bool:
    """Whether ``train_stacked`` does what ``train`` would: frozen towers, frames in time, whole batches, no scale."""
    t = profile.train
    return (
        not t.train_visual
        and t.train_text == "frozen"
        and t.frame_order == "in time"
        and not t.micro_batch
        and autocast_dtype(t.precision, device) != torch.float16
    )


def train_stacked(
    replicates: Sequence[Replicate], profile: Profile, on_step: Callable[[int, int, float], None] | None = None
) -> list[History]:
    """Train the models in place as ``train`` does each, to 1e-5; ``on_step`` is called as there, with the mean loss.

    They are of one method and one configuration, their towers frozen and alike, their texts the same, and so is the
    number of steps in an epoch. The ``seconds`` of a history are its share of the whole. Raises ``OneFailed`` when a
    loss is not finite, ``ValueError`` for replicates that cannot be trained together.
    """
    t, start, first = profile.train, time.perf_counter(), replicates[0]
    if len({r.shape(t.batch) for r in replicates}) > 1:
        raise ValueError("trainings of different length")
    device = next(first.model.parameters()).device
    per_epoch, batch = first.shape(t.batch)
    module = Logits(first.model, True, device, None)  # the weights of all pass through this one
    weights = _Stacked([r.model for r in replicates])
    optimizer = adamw(weights.groups(), t, fused=True)
    data = [TrainingEmbeddings(r.embedded, r.clips.labels, r.repeats) for r in replicates]
    histories = [History([], [], [], 0, 0.0) for _ in replicates]

    def logits_of(own: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(module, own, (x,))

    forward, losses = torch.vmap(logits_of), torch.vmap(LOSSES[t.loss])
    for r in replicates:
        r.model.train()
    for epoch in range(t.epochs):
        sums = torch.zeros(3, len(replicates), dtype=torch.float64)
        batches = np.stack([batches_of(r.seed, epoch, r.per_epoch, batch) for r in replicates])
        for d in data:
            d.epoch = epoch
        for done in range(per_epoch):
            x, labels = _batch(data, batches[:, done])
            set_rates(optimizer, epoch + (done + 1) / per_epoch, t)
            with sdpa_kernel(SDPBackend.MATH):  # vmap would take the fused one model by model, with a warning
                logits = forward(weights.by_name, x.to(device, non_blocking=True))  # pyright: ignore[reportArgumentType]
            t2v, v2t = losses(logits, labels.to(device, non_blocking=True))
            loss = t2v + t.loss_lambda * v2t
            kept = torch.stack([loss, t2v, v2t]).detach().cpu()
            if not torch.isfinite(kept[0]).all():
                at = Progress(epoch, done)
                for k, r in enumerate(replicates):
                    try:
                        check_finite(*kept[:, k], logits[k])  # pyright: ignore[reportCallIssue]
                    except NotFinite as e:
                        where = which_batch(r.clips, batches[k, done], e.videos, at, per_epoch)
                        raise OneFailed(f"{e}. {where}", k) from e
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # no weight is in two of them
            optimizer.step()
            sums += kept
            if on_step:
                on_step(epoch * per_epoch + done + 1, t.epochs * per_epoch, kept[0].mean().item())
        for k, history in enumerate(histories):
            history.add((sums[:, k] / per_epoch).tolist())
            history.steps += per_epoch
    weights.give_back()
    for history in histories:
        history.seconds = round((time.perf_counter() - start) / len(replicates), 2)
    return histories


class _Stacked:
    """The trained weights of models of one kind, behind one another.

    ``by_name``: names as in ``Logits`` -> [R, ...].
    """

    def __init__(self, models: Sequence[VideoModel]):
        self.models = models
        self._own = [dict(m.named_parameters()) for m in models]
        names = [name for name, p in self._own[0].items() if p.requires_grad]
        self._weights = {n: nn.Parameter(torch.stack([own[n].detach() for own in self._own])) for n in names}
        self.by_name = {f"model.{n}": w for n, w in self._weights.items()}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """As ``VideoModel.groups``."""
        name_of = {id(p): n for n, p in self._own[0].items()}
        return {
            group: [self._weights[name_of[id(p)]] for p in ps if p.requires_grad]
            for group, ps in self.models[0].groups().items()
        }

    def give_back(self) -> None:
        """Write the weights into the models."""
        with torch.no_grad():
            for name, stacked in self._weights.items():
                for own, w in zip(self._own, stacked, strict=True):
                    own[name].copy_(w)


def _batch(data: Sequence[TrainingEmbeddings], rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Frame embeddings [R, B, L, d] and labels [R, B] of the items ``rows`` [R, B], each of its own clips."""
    places = [d.place(r) for d, r in zip(data, rows, strict=True)]
    x = torch.stack([d.embedded[draw, clip] for d, (draw, clip) in zip(data, places, strict=True)])
    labels = np.stack([np.asarray(d.labels)[clip] for d, (_, clip) in zip(data, places, strict=True)])
    return x, torch.from_numpy(labels)
