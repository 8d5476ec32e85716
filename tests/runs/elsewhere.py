"""What tasks of the tests do in other processes: under torchrun, and on the nodes of a Ray cluster."""

import os
import signal

from waiting import until

from sfar.errors import SfarError

# --- as one of several processes --------------------------------------------------------------------------------------


def fails(key, tick, world, first):
    """One of them; the others wait for it in vain."""
    if world.rank == 1:
        raise SfarError("its loss is not finite")
    world.objects(None)


def killed(key, tick, world, first):
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    world.objects(None)


def stays(folder, key, tick, world, first):
    """Until it is ended."""
    (folder / f"rank{world.rank}.{os.getpid()}").touch()
    tick(1)
    signal.pause()


# --- as one -----------------------------------------------------------------------------------------------------------


def where(folder, key, tick):
    """A run that says where it is, as soon as another one is at work beside it."""
    from sfar.util import processes

    (folder / key).touch()
    until(lambda: len(list(folder.iterdir())) >= 2)
    return os.environ["CUDA_VISIBLE_DEVICES"], processes.ranks()


def refuses(key, tick):
    raise SfarError("its loss is not finite")


def dies(key, tick):
    os.kill(os.getpid(), signal.SIGKILL)


def trains(folder, key, tick):
    """The training of ``killed.py``, its state kept after each step in the cache.

    It waits after the third step for ``folder/go``, on a lost node for ever; returns its losses and its first step.
    """
    import killed as one
    import ray
    import tiny
    import torch

    from sfar.training.resume import Keeper
    from sfar.training.train import train
    from sfar.util import paths

    torch.set_num_threads(1)
    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "here"
    begun = []

    def on_step(step, steps, loss):
        begun.append(step)
        tick(1)
        if step == 4:  # three are kept
            (folder / f"{key}.{node}.{os.getpid()}").touch()
            # A process may outlive its lost node by a moment, in which it is to do nothing.
            until(lambda: (folder / "go").exists() and not (folder / f"lost.{node}").exists())

    keeper = Keeper(paths.cache() / "run" / f"{key}.states", one.ABOUT, 0.0)
    history = train(tiny.model(), tiny.clips(13), tiny.profile(**one.PROFILE), 3, on_step, keeper=keeper)
    return history.loss, begun[0]
