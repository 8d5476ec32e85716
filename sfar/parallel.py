"""Process pools whose workers leave Ctrl-C to the parent: one message on the terminal instead of one traceback per worker."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool


@contextmanager
def deaf() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first instruction, also while they still import: they inherit it."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def launched() -> bool:
    """Whether torchrun (or something that speaks as it does) has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pool(workers: int | None = None) -> Pool:
    """A pool of fresh processes (default: one per core); as a context manager it ends them on any exit."""
    with deaf():
        return mp.get_context("spawn").Pool(workers or cores())
