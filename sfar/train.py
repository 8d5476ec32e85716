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
from sfar.data.store import VideoClips
from sfar.data.transforms import ClipAugment, train_indices
from sfar.loss import info_nce
from sfar.model import VideoModel


def seed_everything(seed: int) -> None:
    """One seed for python, numpy and torch; workers and clips derive theirs from it."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class TrainingClips(Dataset):
    """Augmented training clips: item i -> (float32 [L, 3, size, size], label).

    What is drawn depends on (seed, epoch, i) alone: not on the order, the worker or their number.
    """

    def __init__(self, clips: VideoClips, profile: Profile, seed: int):
        t = profile.train
        self.clips, self.frames, self.seed, self.epoch = clips, t.frames, seed, 0
        self.augment = ClipAugment(profile.data.image_size, area=t.crop_area, flip=t.flip, gray=t.gray)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        rng = np.random.default_rng([self.seed, self.epoch, i])
        frames = self.clips.read(i, lambda n: train_indices(n, self.frames, rng))
        g = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return self.augment(frames, g), self.clips.labels[i]


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
          workers: int = 0) -> History:
    """Train ``model`` in place on ``clips``; ``on_step(step, steps, loss)`` is called after each.

    AdamW with two learning-rate groups, warm-up and cosine on the fractional epoch, the last incomplete batch dropped
    (BIKE train.py). bf16 autocast on a GPU that has it. Raises ``SfarError`` when the loss is not finite.
    """
    t, start = profile.train, time.perf_counter()
    device = next(model.parameters()).device
    data = TrainingClips(clips, profile, seed)
    groups = [{"params": ps, "lr": lr, "base": lr} for ps, lr in ((model.groups()["clip"], t.lr_clip), (model.groups()["head"], t.lr_head)) if ps]
    optimizer = torch.optim.AdamW(groups, betas=t.betas, eps=t.eps, weight_decay=t.weight_decay)
    amp = t.amp and device.type == "cuda" and torch.cuda.is_bf16_supported()
    batch = min(t.batch, len(clips))
    per_epoch = len(clips) // batch
    history = History([], [], [], 0, 0.0)
    model.train()
    for epoch in range(t.epochs):
        data.epoch = epoch
        order = np.random.default_rng([seed, epoch]).permutation(len(clips)).tolist()
        loader = DataLoader(data, batch, sampler=order, drop_last=True, num_workers=workers, pin_memory=device.type == "cuda")
        sums = np.zeros(3)
        for i, (x, y) in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * learning_rate(epoch + (i + 1) / per_epoch, t.warmup_epochs, t.epochs)
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                logits = model(x.to(device, non_blocking=True)).logits
            loss, parts = info_nce(logits.float(), y.to(device), t.loss_lambda)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            sums += (loss.item(), parts["t2v"], parts["v2t"])
            history.steps += 1
            if on_step:
                on_step(history.steps, per_epoch * t.epochs, loss.item())
        for name, value in zip(("loss", "t2v", "v2t"), sums / per_epoch):
            getattr(history, name).append(round(float(value), 6))
    history.seconds = round(time.perf_counter() - start, 2)
    return history
