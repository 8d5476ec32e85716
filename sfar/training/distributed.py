"""One job on several processes, started by torchrun: DistributedDataParallel over nccl (a GPU each) or gloo (CPUs).

Every process holds the whole model and a share of each batch. What the contrast of Eq. 12 needs of the others are
logits: a row of C numbers for each video, in which its features and all texts have met already.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from sfar.errors import ConfigError, SfarError
from sfar.training.process_group import SingleProcess

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
FOREVER = timedelta(days=7)  # a look into 240,000 videos takes hours, and those who wait for it hold nothing up
# How the two libraries name a peer that is gone.
_GONE = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Connection refused",
    "gloo",
    "NCCL",
    "ncclSystemError",
    "recvValue failed",
)


def lost(e: Exception) -> bool:
    """Whether an error says that another process of the job is gone."""
    return isinstance(e, dist.DistError) or (isinstance(e, RuntimeError) and any(word in str(e) for word in _GONE))


class ProcessGroup(SingleProcess):
    """This process among the others of its job. The interface is ``SingleProcess``'s."""

    def __init__(self, store: Store, rank: int, size: int, local_rank: int):
        self.store, self.rank, self.size, self.local_rank = store, rank, size, local_rank
        self.node = os.environ.get("GROUP_RANK", "0")
        self.device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
        self._first = 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """``module`` under DistributedDataParallel."""
        return DistributedDataParallel(
            module,
            device_ids=[self.local_rank] if self.device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """DistributedDataParallel's own."""
        return cast(DistributedDataParallel, module).no_sync()

    def exchange(self, numbers: list[int], width: int) -> list[list[int]]:
        """One all-gather of ``width`` whole numbers."""
        own = torch.tensor(numbers + [0] * (width - len(numbers)), device=self.device)
        out = own.new_empty(self.size * width)
        dist.all_gather_into_tensor(out, own)
        return out.view(self.size, width).tolist()

    def objects(self, own: Any) -> list[Any]:
        """One all-gather of pickled objects."""
        out: list[Any] = [None] * self.size
        dist.all_gather_object(out, own)
        return out

    def gather(self, own: Tensor, counts: list[int]) -> Tensor:
        """One all-gather of rows, padded to the longest share."""
        most = max(counts)
        padded = own.new_zeros(most, *own.shape[1:])
        padded[: len(own)] = own.detach()
        out = own.new_empty(self.size * most, *own.shape[1:])
        dist.all_gather_into_tensor(out, padded)
        parts = [p[:n] for p, n in zip(out.view(self.size, most, *own.shape[1:]), counts, strict=True)]
        parts[self.rank] = own  # the only one that a gradient flows to
        return torch.cat(parts)

    @contextmanager
    def first(self) -> Iterator[None]:
        """One process of each machine goes through the body before its others.

        What it draws or decodes, they find in the cache.
        """
        self._first += 1
        key = f"sfar/{self.node}/{self._first}"
        if self.local_rank:
            self.store.wait([key], FOREVER)
        yield
        if not self.local_rank:
            self.store.set(key, "done")

    def say_once(self, text: str) -> None:
        """Print an error, unless another process of the job has had one.

        The first is the cause, the others follow from it.
        """
        try:
            mine = self.store.add("sfar/said", 1) == 1
        except (RuntimeError, dist.DistError):  # torchrun's own process is gone, and the store with it
            mine = self.rank == 0
        if mine:
            print(f"sfar: {text} (process {self.rank} of {self.size})", file=sys.stderr, flush=True)


@contextmanager
def joined() -> Iterator[ProcessGroup]:
    """Join the processes of the job that torchrun has started.

    Raises ``ConfigError`` where its variables are missing or there are fewer GPUs than processes.
    """
    missing = [v for v in _VARIABLES if not os.environ.get(v)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is set, {', '.join(missing)} not: start several processes with "
            "`torchrun --nproc-per-node N -m sfar ...`"
        )
    local, cuda = int(os.environ["LOCAL_RANK"]), torch.cuda.is_available()
    if cuda and local >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local} of this machine has no GPU: it has {torch.cuda.device_count()}; "
            "start no more processes (torchrun --nproc-per-node)"
        )
    if cuda:
        torch.cuda.set_device(local)
    store, rank, size = next(rendezvous("env://", timeout=timedelta(minutes=10)))
    world = ProcessGroup(store, rank, size, local)
    try:
        dist.init_process_group(
            "nccl" if cuda else "gloo", store=PrefixStore("group", store), rank=rank, world_size=size
        )
        yield world
    except SfarError as e:
        world.say_once(str(e))
        e.said = True
        raise
    except Exception as e:
        if lost(e):
            world.say_once(
                "another process of this job is gone; what ended it is in the report of torchrun. "
                "The same command goes on from the last kept state"
            )
        raise
    else:
        dist.barrier()
        dist.destroy_process_group()
