"""Process pools whose workers leave Ctrl-C to the parent: one message on the terminal instead of one traceback per worker."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from multiprocessing.pool import Pool


def quiet() -> None:
    """To be called in a worker process first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool(workers: int | None = None) -> Pool:
    """A pool of fresh processes (default: one per core); as a context manager it ends them on any exit."""
    return mp.get_context("spawn").Pool(workers or cores(), initializer=quiet)
