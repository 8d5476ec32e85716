"""Where runs are made: what the environment asks for, and this machine's GPUs or cores dealt out to runs."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sfar.errors import ConfigError
from sfar.util import processes

# Said to all commands and to the processes that they start (`sfar reproduce --executor`, `--gpus-per-run`).
EXECUTOR, PER_RUN = "SFAR_EXECUTOR", "SFAR_GPUS_PER_RUN"
EXECUTORS = ("local", "ray")


def executor() -> str:
    """Who makes the runs: the processes of this machine, or a Ray cluster. Raises ``ConfigError``."""
    asked = os.environ.get(EXECUTOR) or EXECUTORS[0]
    if asked not in EXECUTORS:
        raise ConfigError(f"{EXECUTOR}={asked!r}: expected one of {', '.join(EXECUTORS)}")
    return asked


def per_run() -> int:
    """GPUs of a run, and so processes that share it; where there is no GPU its processes. Raises ``ConfigError``."""
    asked = os.environ.get(PER_RUN) or "1"
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"{PER_RUN}={asked!r}: expected a whole number of at least 1")
    return int(asked)


def gpus() -> list[str]:
    """This machine's GPUs, as CUDA_VISIBLE_DEVICES names them."""
    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return (named.split(",") if named else list(map(str, range(count))))[:count]


@dataclass(frozen=True)
class Places:
    """Where runs are made side by side on this machine.

    ``devices``: of each place its GPUs, as CUDA_VISIBLE_DEVICES takes them, "" where there are none; ``processes``:
    that share a run there.
    """

    devices: tuple[str, ...]
    processes: int = 1

    def __len__(self) -> int:
        return len(self.devices)


def deal(found: list[str] | None, each: int, most: int | None = None) -> Places:
    """Places for runs of ``each`` processes: on the GPUs that were ``found``, None: on the cores.

    ``most``: places at most, of cores exactly so many. Raises ``ConfigError`` for more GPUs than there are.
    """
    if found is None:
        return Places(("",) * (most or max(1, processes.cores() // each)), each)
    if each > len(found):
        raise ConfigError(
            f"{each} GPUs for a run (--gpus-per-run, {PER_RUN}): this machine has {len(found)}; ask for at most so many"
        )
    sets = [",".join(found[i : i + each]) for i in range(0, len(found) - each + 1, each)]
    return Places(tuple(sets[:most]), each)


def enter(devices: str, side: int) -> None:
    """Make this process one of ``side`` that work side by side on the machine, before it asks for its GPUs.

    ``devices``: as CUDA_VISIBLE_DEVICES takes them, "" where that says them already. Without a GPU it has one thread: a
    result does not depend on the number of cores, and no core waits.
    """
    os.environ[processes.SIDE] = str(side)
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
