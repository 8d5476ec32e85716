"""The trainer: section 4.1, Table 5 and what BIKE's released code adds (learning-rate groups, fractional-epoch schedule)."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sfar.config import Profile
from sfar.data.store import VideoClips, check_bad
from sfar.data.transforms import ClipAugment, train_indices
from sfar.errors import VideoError
from sfar.loss import info_nce
from sfar.model import VideoModel


def seed_everything(seed: int) -> None:
    """One seed for python, numpy and torch; workers and clips derive theirs from it."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class TrainingClips(Dataset):
    """Augmented training clips: item i -> (float32 [L, 3, size, size], label).

    What is drawn depends on (seed, epoch, i) alone: not on the order, the worker or their number. ``repeats``: the list so many
    times in one epoch (few-shot, BIKE train.py). A clip that turns out damaged gives its number and the reason, and no frames.
    """

    def __init__(self, clips: VideoClips, profile: Profile, seed: int, repeats: int = 1):
        t = profile.train
        self.clips, self.frames, self.seed, self.epoch, self.repeats = clips, t.frames, seed, 0, repeats
        self.augment = ClipAugment(profile.data.image_size, area=t.crop_area, flip=t.flip, gray=t.gray)

    def __len__(self) -> int:
        return len(self.clips) * self.repeats

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int] | tuple[None, int, str]:
        rng = np.random.default_rng([self.seed, self.epoch, i])
        clip = i % len(self.clips)
        try:
            frames = self.clips.read(clip, lambda n: train_indices(n, self.frames, rng))
        except VideoError as e:
            return None, clip, str(e)
        g = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return self.augment(frames, g), self.clips.labels[clip]


class TrainingEmbeddings(Dataset):
    """The same for a frozen tower: item i -> (frame embeddings [L, d], label), from ``embedded`` [draws, clips, L, d]."""

    def __init__(self, embedded: torch.Tensor, labels: list[int], repeats: int = 1):
        self.embedded, self.labels, self.epoch, self.repeats = embedded, labels, 0, repeats

    def __len__(self) -> int:
        return len(self.labels) * self.repeats

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        # Repeats of a clip within an epoch are different draws too.
        draw = (self.epoch * self.repeats + i // len(self.labels)) % len(self.embedded)
        clip = i % len(self.labels)
        return self.embedded[draw, clip], self.labels[clip]


def _collate(items: list[tuple]) -> tuple[torch.Tensor | None, torch.Tensor, dict[int, str]]:
    good = [i for i in items if i[0] is not None]
    x = torch.stack([i[0] for i in good]) if good else None
    return x, torch.tensor([i[1] for i in good]), {i[1]: i[2] for i in items if i[0] is None}


def learning_rate(epoch: float, warmup: float, epochs: float) -> float:
    """Factor on the base rate at fractional ``epoch``: linear from 0 over the warm-up, then cosine to 0 (BIKE utils/lr_scheduler.py).

    With ``epochs`` < ``warmup`` the warm-up never ends, as in BIKE's code for the 2-epoch few-shot runs.
    """
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / max(epochs - warmup, 1e-9)))


@dataclass
class History:
    """Mean loss of each epoch with its two parts, steps and seconds."""

    loss: list[float]
    t2v: list[float]
    v2t: list[float]
    steps: int
    seconds: float


def train(model: VideoModel, clips: VideoClips, profile: Profile, seed: int, on_step: Callable[[int, int, float], None] | None = None,
          workers: int = 0, repeats: int = 1, embedded: torch.Tensor | None = None) -> History:
    """Train ``model`` in place on ``clips``; ``on_step(step, steps, loss)`` is called after each.

    ``repeats``: passes through the list in one epoch. ``embedded`` [draws, clips, L, d]: frame embeddings of a frozen tower, in place of
    the videos. A video that cannot be decoded is left out of its batch and named in ``clips.bad``; too many of them raise ``DataError``.

    AdamW with two learning-rate groups, warm-up and cosine on the fractional epoch, the last incomplete batch dropped
    (BIKE train.py). bf16 autocast on a GPU that has it. Raises ``SfarError`` when the loss is not finite.
    """
    t, start = profile.train, time.perf_counter()
    device = next(model.parameters()).device
    data = TrainingClips(clips, profile, seed, repeats) if embedded is None else TrainingEmbeddings(embedded, clips.labels, repeats)
    groups = [{"params": ps, "lr": lr, "base": lr} for ps, lr in ((model.groups()["clip"], t.lr_clip), (model.groups()["head"], t.lr_head)) if ps]
    optimizer = torch.optim.AdamW(groups, betas=t.betas, eps=t.eps, weight_decay=t.weight_decay)
    amp = t.amp and device.type == "cuda" and torch.cuda.is_bf16_supported()
    batch = min(t.batch, len(data))
    per_epoch = len(data) // batch
    damaged: dict[int, str] = {}
    history = History([], [], [], 0, 0.0)
    model.train()
    for epoch in range(t.epochs):
        data.epoch = epoch
        order = np.random.default_rng([seed, epoch]).permutation(len(data)).tolist()
        loader = DataLoader(data, batch, sampler=order, drop_last=True, num_workers=workers, pin_memory=device.type == "cuda", collate_fn=_collate)
        sums, steps = np.zeros(3), 0
        for i, (x, y, bad) in enumerate(loader):
            if bad:
                damaged |= bad
                clips.bad |= {clips.paths[k]: why for k, why in bad.items()}
                check_bad(clips, profile.data.max_bad_share, damaged)
            if x is None:
                continue
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * learning_rate(epoch + (i + 1) / per_epoch, t.warmup_epochs, t.epochs)
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                x = x.to(device, non_blocking=True)
                logits = (model(x) if embedded is None else model.from_embeddings(x)).logits
            loss, parts = info_nce(logits.float(), y.to(device), t.loss_lambda)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            sums += (loss.item(), parts["t2v"], parts["v2t"])
            history.steps, steps = history.steps + 1, steps + 1
            if on_step:
                on_step(history.steps, per_epoch * t.epochs, loss.item())
        for name, value in zip(("loss", "t2v", "v2t"), sums / max(1, steps)):
            getattr(history, name).append(round(float(value), 6))
    history.seconds = round(time.perf_counter() - start, 2)
    return history
