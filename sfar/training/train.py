"""The trainer: section 4.1, Table 5 and what BIKE's released code adds.

BIKE adds two groups of learning rates and a schedule on the fractional epoch.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sfar.config import Profile, TrainConfig
from sfar.data.store import VideoClips, check_bad
from sfar.data.transforms import ClipAugment, train_indices
from sfar.errors import ConfigError, SfarError, VideoError
from sfar.model.loss import NotFinite, info_nce
from sfar.model.video_model import VideoModel
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess


def seed_everything(seed: int) -> None:
    """One seed for python, numpy and torch; workers and clips derive theirs from it."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class TrainingClips(Dataset):
    """Augmented training clips: item i -> (float32 [L, 3, size, size], label).

    What is drawn depends on (seed, epoch, i) alone: not on the order, the worker or their number. ``repeats``: the list
    so many times in one epoch (few-shot, BIKE train.py). A clip that turns out damaged gives its number and the reason,
    and no frames.
    """

    def __init__(self, clips: VideoClips, profile: Profile, seed: int, repeats: int = 1):
        t = profile.train
        self.clips, self.frames, self.seed, self.repeats = clips, t.frames, seed, repeats
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # with loader workers, which outlive an epoch
        self.augment = ClipAugment(profile.data.image_size, area=t.crop_area, flip=t.flip, gray=t.gray)

    @property
    def epoch(self) -> int:
        """Passes through the list before this one; to be set between two of them."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.clips) * self.repeats

    def __getitem__(self, i: int) -> tuple[Tensor, int] | tuple[None, int, str]:
        rng = np.random.default_rng([self.seed, self.epoch, i])
        clip = i % len(self.clips)
        try:
            frames = self.clips.read(clip, lambda n: train_indices(n, self.frames, rng))
        except VideoError as e:
            return None, clip, str(e)
        g = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return self.augment(frames, g), self.clips.labels[clip]


class TrainingEmbeddings(Dataset):
    """The same for a frozen tower: item i -> (frame embeddings [L, d], label).

    ``embedded``: [draws, clips, L, d].
    """

    def __init__(self, embedded: Tensor, labels: list[int], repeats: int = 1):
        self.embedded, self.labels, self.epoch, self.repeats = embedded, labels, 0, repeats

    def __len__(self) -> int:
        return len(self.labels) * self.repeats

    def place(self, i: Any) -> tuple[Any, Any]:
        """(draw, clip) of an item; of an array of them, arrays."""
        # Repeats of a clip within an epoch are different draws too.
        draw = (self.epoch * self.repeats + i // len(self.labels)) % len(self.embedded)
        return draw, i % len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        draw, clip = self.place(i)
        return self.embedded[draw, clip], self.labels[clip]


def _collate(items: list[tuple]) -> tuple[Tensor | None, Tensor, dict[int, str]]:
    good = [i for i in items if i[0] is not None]
    x = torch.stack([i[0] for i in good]) if good else None
    return x, torch.tensor([i[1] for i in good]), {i[1]: i[2] for i in items if i[0] is None}


def learning_rate(epoch: float, warmup: float, epochs: float) -> float:
    """Factor on the base rate at fractional ``epoch``: linear from 0 over the warm-up, then cosine to 0.

    (BIKE utils/lr_scheduler.py.) With ``epochs`` < ``warmup`` the warm-up never ends, as in BIKE's code for the 2-epoch
    few-shot runs.
    """
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / max(epochs - warmup, 1e-9)))


def batches_of(seed: int, epoch: int, n: int, batch: int) -> np.ndarray:
    """The items [steps, batch] of an epoch over ``n`` of them, the last incomplete batch dropped."""
    steps = n // batch
    return np.random.default_rng([seed, epoch]).permutation(n)[: steps * batch].reshape(steps, batch)


def adamw(groups: dict[str, list[nn.Parameter]], t: TrainConfig, **how: Any) -> torch.optim.AdamW:
    """AdamW over the two learning-rate groups of a model (``VideoModel.groups``); ``how``: torch's own switches."""
    rates = {"clip": t.lr_clip, "head": t.lr_head}
    return torch.optim.AdamW(
        [{"params": ps, "lr": rates[name], "base": rates[name]} for name, ps in groups.items() if ps],
        betas=t.betas,
        eps=t.eps,
        weight_decay=t.weight_decay,
        **how,
    )


def set_rates(optimizer: torch.optim.Optimizer, epoch: float, t: TrainConfig) -> None:
    """The learning rates at fractional ``epoch``."""
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * learning_rate(epoch, t.warmup_epochs, t.epochs)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """What the visual tower computes in under autocast, None: single precision (``train.precision``)."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


@dataclass
class History:
    """Mean loss of each epoch with its two parts, steps and seconds."""

    loss: list[float]
    t2v: list[float]
    v2t: list[float]
    steps: int
    seconds: float

    def add(self, means: Sequence[float]) -> None:
        """The mean loss of one more epoch, with its two parts."""
        for name, value in zip(("loss", "t2v", "v2t"), means, strict=True):
            getattr(self, name).append(round(value, 6))


@dataclass
class Progress:
    """Where a training stands, in JSON types.

    ``done`` batches of ``epoch``, the sums of their ``counted`` losses, what was left out so far (``bad``: number of
    the clip, as text like every key of JSON -> why).
    """

    epoch: int = 0
    done: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    counted: int = 0
    history: History = field(default_factory=lambda: History([], [], [], 0, 0.0))
    bad: dict[str, str] = field(default_factory=dict)


class Logits(nn.Module):
    """The model as a function of one tensor to one tensor, which is what DistributedDataParallel takes."""

    def __init__(self, model: VideoModel, embedded: bool, device: torch.device, dtype: torch.dtype | None):
        super().__init__()
        self.model, self.embedded, self.device_type, self.dtype = model, embedded, device.type, dtype

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, C] of clips or of frame embeddings."""
        with torch.autocast(self.device_type, self.dtype, enabled=self.dtype is not None):
            return (self.model.from_embeddings(x) if self.embedded else self.model(x)).logits.float()


def _backward(
    module: nn.Module,
    x: Tensor,
    labels: Tensor,
    counts: list[int],
    t: TrainConfig,
    micro: int,
    scaler: torch.amp.GradScaler,
    world: SingleProcess,
) -> tuple[Tensor, dict[str, float]]:
    """Gradients of the loss over the videos of all processes, of which ``x`` are this one's; returns loss and parts.

    With few clips at a time (``micro``, 0: all): logits of all first, without keeping anything; the loss gives the
    gradient at every logit; then each part passes through once more and takes its own (the cached gradients of
    contrastive learning). The contrast of Eq. 12 stays that of all videos.
    """
    own = counts[world.rank]  # 0: x stands in for nothing, so that this process takes part in what all do together
    parts = x.split(micro) if micro else (x,)
    if micro:
        # What is dropped in training is drawn twice alike.
        with torch.no_grad(), torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
            logits = torch.cat([module(part) for part in parts])
        logits.requires_grad_()
    else:
        logits = module(x)
    loss, both = info_nce(world.gather(logits[:own], counts), labels, t.loss_lambda, t.loss)
    # The mean over processes that ``wrap`` takes is to be a sum: each has the gradient by way of its own videos alone.
    scaler.scale(loss * world.size).backward()
    if micro:
        assert logits.grad is not None  # a leaf that the backward pass above has reached
        for i, (part, gradient) in enumerate(zip(parts, logits.grad.split(micro), strict=True)):
            with nullcontext() if i == len(parts) - 1 else world.no_sync(module):
                module(part).backward(gradient)
    return loss.detach(), both


def train(
    model: VideoModel,
    clips: VideoClips,
    profile: Profile,
    seed: int,
    on_step: Callable[[int, int, float], None] | None = None,
    workers: int = 0,
    repeats: int = 1,
    embedded: Tensor | None = None,
    world: SingleProcess = SINGLE_PROCESS,
    keeper: Any = None,
) -> History:
    """Train ``model`` in place on ``clips``; ``on_step(step, steps, loss)`` is called after each.

    ``repeats``: passes through the list in one epoch. ``embedded`` [draws, clips, L, d]: frame embeddings of a frozen
    tower, in place of the videos. A video that cannot be decoded is left out of its batch and named in ``clips.bad``;
    too many of them raise ``DataError``. ``world``: the processes that share each batch (``distributed.ProcessGroup``);
    numbers do not depend on how many, but for the order of sums. ``keeper`` (``resume.Keeper``): where the state is
    kept on the way; a training that was interrupted goes on from there, to the same weights.

    AdamW with two learning-rate groups, warm-up and cosine on the fractional epoch, the last incomplete batch dropped
    (BIKE train.py). Raises ``SfarError`` when the loss is not finite, naming the batch; ``ConfigError`` for more
    processes than clips in a batch.
    """
    t, start = profile.train, time.perf_counter()
    device = next(model.parameters()).device
    data = (
        TrainingClips(clips, profile, seed, repeats)
        if embedded is None
        else TrainingEmbeddings(embedded, clips.labels, repeats)
    )
    optimizer = adamw(model.groups(), t)
    dtype = autocast_dtype(t.precision, device)
    # ``_backward`` multiplies by the number of processes.
    scaler = torch.amp.GradScaler(device.type, 2.0**16 / world.size, enabled=dtype == torch.float16)
    batch = min(t.batch, len(data))
    if batch < world.size:
        raise ConfigError(
            f"train.batch: a batch of {batch} clips cannot be shared by {world.size} processes; "
            "start fewer, or raise train.batch"
        )
    most = -(-batch // world.size)  # clips of a process in a batch
    micro = t.micro_batch if t.micro_batch < most else 0  # one decision for all processes: they meet in the same order
    per_epoch = len(data) // batch
    at = Progress()
    if keeper:
        at = keeper.restore(model, optimizer, scaler) or at
        clips.bad |= {clips.paths[int(k)]: why for k, why in at.bad.items()}
    before, history = at.history.seconds, at.history
    model.train()
    module = world.wrap(Logits(model, embedded is not None, device, dtype))
    stand_in = torch.zeros(
        1,
        *((t.frames, 3, profile.data.image_size, profile.data.image_size) if embedded is None else embedded.shape[2:]),
    )
    mine: list[list[int]] = []  # of an epoch
    loader = DataLoader(
        data,
        batch_sampler=mine,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        collate_fn=_collate,
    )
    while at.epoch < t.epochs:
        data.epoch = at.epoch
        batches = batches_of(seed, at.epoch, len(data), batch)
        mine[:] = [np.array_split(rows, world.size)[world.rank].tolist() for rows in batches[at.done :]]
        for x, y, bad in loader:
            # Stop and save are decided together, or some would wait for those who have left.
            stop, save = (keeper.stop_asked(), keeper.due()) if keeper else (False, False)
            said = world.exchange([int(stop), int(save), len(bad), len(y), *y.tolist()], 4 + most)
            stop, save = any(s[0] for s in said), bool(said[0][1])
            if any(s[2] for s in said):
                found = {k: why for part in world.objects(bad) for k, why in part.items()}
                at.bad |= {str(k): why for k, why in found.items()}
                clips.bad |= {clips.paths[k]: why for k, why in found.items()}
                check_bad(clips, profile.data.max_bad_share, map(int, at.bad))
            counts = [s[3] for s in said]
            if any(counts):
                set_rates(optimizer, at.epoch + (at.done + 1) / per_epoch, t)
                x = (stand_in if x is None else x).to(device, non_blocking=True)
                labels = torch.tensor([k for s in said for k in s[4 : 4 + s[3]]], device=device)
                optimizer.zero_grad(set_to_none=True)
                try:
                    loss, parts = _backward(module, x, labels, counts, t, micro, scaler, world)
                except NotFinite as e:
                    raise SfarError(f"{e}. {which_batch(clips, batches[at.done], e.videos, at, per_epoch)}") from e
                scaler.step(optimizer)
                scaler.update()
                at.sums = [a + b for a, b in zip(at.sums, (loss.item(), parts["t2v"], parts["v2t"]), strict=True)]
                history.steps, at.counted = history.steps + 1, at.counted + 1
                if on_step:
                    on_step(history.steps, per_epoch * t.epochs, loss.item())
            at.done += 1
            if stop or save:
                history.seconds = round(before + time.perf_counter() - start, 2)
                keeper.save(model, optimizer, scaler, at)
            if stop:
                keeper.stopped(at, per_epoch)
        history.add([value / max(1, at.counted) for value in at.sums])
        at.epoch, at.done, at.sums, at.counted = at.epoch + 1, 0, [0.0, 0.0, 0.0], 0
    history.seconds = round(before + time.perf_counter() - start, 2)
    return history


def which_batch(clips: VideoClips, rows: np.ndarray, wrong: list[int], at: Progress, per_epoch: int) -> str:
    """Which batch it was.

    ``wrong``: its videos whose own logits are not finite, by place among those that could be read.
    """
    good = [k for k in (int(i) % len(clips) for i in rows) if str(k) not in at.bad]
    named = [clips.paths[good[i]] for i in wrong if i < len(good)] or [clips.paths[k] for k in good]
    return (
        f"Epoch {at.epoch + 1}, batch {at.done + 1} of {per_epoch}; "
        f"{'logits that are not finite: ' if wrong else 'its videos: '}"
        + ", ".join(named[:8])
        + (f" and {len(named) - 8} others" if len(named) > 8 else "")
    )
