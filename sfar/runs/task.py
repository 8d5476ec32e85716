"""A task: one thing to be made and kept, by one process or by several together, here or on another machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sfar.errors import SfarError
from sfar.runs.job import Job
from sfar.runs.run import Tick
from sfar.training.process_group import SingleProcess
from sfar.training.stacked import OneFailed

First = Callable[[], AbstractContextManager]  # one process goes through its body before the others


@dataclass(frozen=True)
class Task:
    """One thing to be made and kept under ``key``: ``make(key, tick)`` does both, here or in another process.

    ``job``: whose data it works on, and whose cost it has; ``name``: for messages and the progress bar. ``parts``: the
    tasks that it makes in one program; it then returns what is kept of each, in their order, and has no key.
    ``share(key, tick, world, first)``: the same as one of several processes, each of which calls it (the first returns
    what was made); None: what is so small that one process makes it alone.
    """

    name: str
    key: str
    job: Job
    make: Callable[[str, Tick], Any]
    parts: tuple[Task, ...] = ()
    share: Callable[[str, Tick, SingleProcess, First], Any] | None = None

    @property
    def all(self) -> tuple[Task, ...]:
        """The tasks with a key."""
        return self.parts or (self,)

    def by_key(self, made: Any) -> dict[str, Any]:
        """What ``make`` gave, by key."""
        return dict(zip((t.key for t in self.parts), made, strict=True)) if self.parts else {self.key: made}

    def failed(self, e: SfarError) -> SfarError:
        """An error of its making, with the name of the run."""
        name = self.parts[e.replicate].name if self.parts and isinstance(e, OneFailed) else self.name
        return SfarError(f"run {name}: {e}")

    def died(self) -> SfarError:
        """What to say where a process that made it was killed."""
        return SfarError(
            f"run {self.name}: its process died (out of memory?). Finished runs are kept; try again with JOBS=1"
        )
