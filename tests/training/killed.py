"""A training of the tiny model in a process of its own, for tests that kill it."""

import itertools
import os
import resource
import signal
import time

import tiny
import torch
from safetensors.torch import save_file
from waiting import until

from sfar.errors import SfarError
from sfar.training.resume import Keeper, listening
from sfar.training.train import train

ABOUT = {"train": {"lr": 1.0}, "seed": 3}
PROFILE = {"epochs": 4, "batch": 4, "gray": 0.5}


def run(folder, out, fsync_seconds=0.0, stalls_at=0, until_stopped=False, every=0.0):
    """Train to the end, keeping the state each step, and write the weights to ``out``.

    The disk takes ``fsync_seconds`` for each file, for the one of number ``stalls_at`` for ever (``stalled`` is then
    there beside ``folder``). ``until_stopped``: no step ends before a signal has come.
    """
    torch.set_num_threads(1)
    if fsync_seconds or stalls_at:
        fsync, numbers = os.fsync, itertools.count(1)

        def slow(fd):
            if next(numbers) == stalls_at:
                folder.with_name("stalled").touch()
                time.sleep(600)
            time.sleep(fsync_seconds)
            fsync(fd)

        os.fsync = slow
    model = tiny.model()
    keeper = Keeper(folder, ABOUT, every)

    def on_step(*_):
        folder.with_name("begun").touch()
        if until_stopped:
            until(lambda: keeper._signal)

    with listening(keeper):
        history = train(model, tiny.clips(13), tiny.profile(**PROFILE), 3, on_step, keeper=keeper)
    save_file({**model.state_dict(), "loss": torch.tensor(history.loss), "steps": torch.tensor(history.steps)}, out)


def on_a_full_disk(limit, folder, out):
    """``run`` where no file can grow beyond ``limit`` bytes; what it says of that."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run(folder, out)
    except SfarError as e:
        return str(e)
    return 0
