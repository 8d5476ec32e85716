"""Work on several processes that leave Ctrl-C to their parent, end with it, and whose death is one message."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext
from typing import Any

from sfar.errors import SfarError


class ProcessDied(SfarError):
    """One of the processes was killed."""


# How a process ends that is to work for a script, and is asked to start others while it still imports it.
_UNGUARDED = 97
_GUARD = (
    "this script starts processes as it is imported, and each of them imports it: put all that it does into a function "
    'and call that under `if __name__ == "__main__":`'
)


@contextmanager
def ignore_sigint() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first instruction, also while they still import.

    They inherit it from this process, which ignores it as long as the block lasts.
    """
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


SIDE = "SFAR_SIDE_BY_SIDE"  # said to the processes of a run: how many such runs this machine makes at once


def ranks() -> int:
    """Processes on this machine that train, and share its cores: those of one training, of all that go on at once."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or 1) * int(os.environ.get(SIDE) or 1)


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def context() -> SpawnContext:
    """How the processes are started; a queue that they are to share is made of it."""
    return multiprocessing.get_context("spawn")


def _check_script() -> None:
    """Ends this process, or raises ``SfarError``, where processes cannot import the script that was started."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(f"sfar: {_GUARD}", file=sys.stderr, flush=True)
        os._exit(_UNGUARDED)  # no line of the script goes on here
    if getattr(sys.modules["__main__"], "__file__", "") == "<stdin>":
        raise SfarError(
            "the processes that work side by side import the script that was started, and this one came through "
            "standard input: write it to a file and run that"
        )


def _leave_with_parent() -> None:
    """End this process when its parent is gone.

    A parent that was killed cannot end its workers, and they would work on for nobody.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # only started by ``Workers``
    parent.join()
    os._exit(1)


def _start(then: Callable[..., None], args: tuple) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    then(*args)


def _nothing() -> None:
    pass


def _each(work: Callable[[Any], Any], items: list) -> list:
    return [work(item) for item in items]


class Workers:
    """Fresh processes that call functions of modules.

    As a context manager it ends them on any exit, at once when that is an exception.
    """

    def __init__(self, workers: int | None = None, start: Callable[..., None] = _nothing, args: tuple = ()):
        """``workers``: how many (default: one per core); ``start(*args)`` is called in each before anything else.

        Raises ``SfarError`` in a script that they could not import.
        """
        _check_script()
        self._statuses: list[int | None] = []  # that they ended with
        self._pool = ProcessPoolExecutor(
            workers or cores(), mp_context=context(), initializer=_start, initargs=(start, args)
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        if kind:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)  # unwaited, their semaphores would be reported as leaked

    def submit(self, work: Callable, *args: Any) -> Future:
        """``work(*args)`` when a process is free; ``result`` waits for it. Raises as that does."""
        try:
            with ignore_sigint():  # submitting starts the processes
                return self._pool.submit(work, *args)
        except BrokenProcessPool as e:
            raise self._broken() from e
        except OSError as e:
            raise SfarError(
                f"the processes that work side by side cannot be started: {e.strerror or e}. Run the same command "
                "again, with fewer of them (JOBS=1, --jobs 1 or --workers 1) if that does not help"
            ) from e

    def result(self, future: Future) -> Any:
        """What the work returned or raised.

        Raises ``ProcessDied`` when a process was killed, ``SfarError`` when one ended by itself: none goes on then.
        """
        try:
            return future.result()
        except BrokenProcessPool as e:
            raise self._broken() from e

    def _broken(self) -> SfarError:
        """What to say when one has gone. The others are ended then, and have a signal for their status."""
        if started := list((self._pool._processes or {}).values()):  # the pool forgets them when it is shut down
            self._pool.shutdown(wait=True)
            self._statuses = [p.exitcode for p in started]
        if _UNGUARDED in self._statuses:
            return SfarError(_GUARD)
        if own := [s for s in self._statuses if s and s > 0]:
            return SfarError(
                f"one of the processes that work side by side ended by itself, with exit status {own[0]}; what it said "
                "stands above"
            )
        return ProcessDied(
            "one of the processes that work side by side was killed, most often by the system when memory runs "
            "out. Run the same command again, with fewer of them (JOBS=1, --jobs 1 or --workers 1) if that does "
            "not help"
        )

    def _submit_all(self, work: Callable[[Any], Any], items: Iterable, chunksize: int) -> list[Future]:
        items, out = iter(items), []
        while part := list(islice(items, chunksize)):
            out.append(self.submit(_each, work, part))
        return out

    def imap(self, work: Callable[[Any], Any], items: Iterable, chunksize: int = 1) -> Iterator:
        """``work(item)`` of each item, in their order, handed out ``chunksize`` at a time.

        Raises what ``work`` and ``result`` do.
        """
        waiting = deque(self._submit_all(work, items, chunksize))
        while waiting:
            yield from self.result(waiting.popleft())

    def imap_unordered(self, work: Callable[[Any], Any], items: Iterable, chunksize: int = 1) -> Iterator:
        """The same, as they are done."""
        for future in as_completed(self._submit_all(work, items, chunksize)):
            yield from self.result(future)


def inside() -> bool:
    """Whether this is one of several processes that work side by side already."""
    return multiprocessing.parent_process() is not None


class _Here:
    """The same work in this process."""

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def imap(self, work: Callable[[Any], Any], items: Iterable, chunksize: int = 1) -> Iterator:
        """As ``Workers.imap``."""
        return map(work, items)

    imap_unordered = imap


def pool(workers: int | None = None) -> Workers | _Here:
    """Processes for one kind of work; none more where several work side by side already."""
    return _Here() if inside() else Workers(workers)
