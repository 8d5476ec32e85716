"""What the trainer and the evaluation ask of the processes they run in.

One process answers trivially; ``distributed.ProcessGroup`` asks the others.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn


class SingleProcess:
    """A job of one process: ``rank`` 0 of ``size`` 1. It is also the interface of a job of several."""

    rank, size = 0, 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """``module``, whose gradients after a backward pass are the mean over the processes."""
        return module

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """A backward pass of the wrapped ``module`` inside adds to this process's own gradients alone."""
        return nullcontext()

    def exchange(self, numbers: list[int], width: int) -> list[list[int]]:
        """What every process has to say, by rank: at most ``width`` whole numbers each.

        They are padded with zeros where there are several processes.
        """
        return [numbers]

    def objects(self, own: Any) -> list[Any]:
        """The same for anything, by rank; nobody goes on before all have come here."""
        return [own]

    def gather(self, own: Tensor, counts: list[int]) -> Tensor:
        """Rows of all processes one below the other, ``counts[r]`` of rank r.

        A gradient flows to the own rows: every process computes the same loss of all rows, so that is the whole
        gradient.
        """
        return own


SINGLE_PROCESS = SingleProcess()
