"""A training of the tiny model in a process of its own, for tests that kill it."""

import os
import time

import tiny
import torch
from safetensors.torch import save_file

from sfar.training.resume import Keeper, listening
from sfar.training.train import train

ABOUT = {"train": {"lr": 1.0}, "seed": 3}
PROFILE = {"epochs": 4, "batch": 4, "gray": 0.5}


def run(folder, out, fsync_seconds=0.0, step_seconds=0.0, every=0.0):
    """Train to the end, keeping the state each step, and write the weights to ``out``.

    The disk takes ``fsync_seconds`` for each file, a step at least ``step_seconds``.
    """
    torch.set_num_threads(1)
    if fsync_seconds:
        fsync = os.fsync
        os.fsync = lambda fd: (time.sleep(fsync_seconds), fsync(fd))
    model = tiny.model()
    keeper = Keeper(folder, ABOUT, every)

    def on_step(*_):
        folder.with_name("begun").touch()
        time.sleep(step_seconds)

    with listening(keeper):
        history = train(model, tiny.clips(13), tiny.profile(**PROFILE), 3, on_step, keeper=keeper)
    save_file({**model.state_dict(), "loss": torch.tensor(history.loss), "steps": torch.tensor(history.steps)}, out)
