"""Reading videos in a helper process with a deadline.

A file that hangs or kills the decoder costs one error and not the run: decord can wait for missing frames for ever
inside C++, without giving back the interpreter lock, and any decoder may crash on damaged data. Neither can be caught
inside the process it happens in. The helper is a plain child process that talks through its standard input and output:
children of ``multiprocessing`` are not allowed in the workers of a pool or of a data loader, and videos are read there.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from io import RawIOBase
from typing import Any, cast

from sfar.errors import ConfigError, VideoError, out_of_memory
from sfar.util.processes import ignore_sigint

SECONDS = 60.0  # for one call; decoding all of a long video in high resolution may need more
# To start Python and import NumPy and PyAV, 0.3 s on a warm disk; and for decord, after torch, a few seconds more. On a
# machine that is busy with much else, minutes.
_START_SECONDS = 600.0
# How a decoder ends by itself, on damage. All other signals come from outside, and say nothing of the video.
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
_GRACE_SECONDS = 5.0  # after which a helper ends itself, should its parent no longer be there to end it
_COMMAND = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from sfar.data.watchdog import _serve; _serve()"
)

Function = Callable[..., Any]
Warm = tuple[Function, Any]


class Watchdog:
    """One helper process, started by the first call and again after it had to be ended.

    It ends with the process that started it. ``seconds``: how long a call may take. Calls from several threads wait for
    each other. After a fork the child starts a helper of its own.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        if seconds <= 0:
            raise ConfigError(f"the deadline of a call must be more than 0 seconds, got {seconds}")
        self.seconds = seconds
        self._helper: subprocess.Popen | None = None
        self._warm: list[Warm] = []  # what this helper has done
        self._lock = threading.Lock()
        _watchdogs.add(self)

    def call(
        self,
        function: Function,
        path: str | os.PathLike,
        *args: Any,
        seconds: float | None = None,
        warm: Warm | None = None,
        **kwargs: Any,
    ) -> Any:
        """``function(path, *args, **kwargs)``, worked out in the helper.

        ``function``: probe, read_frames, read_all or another function of a module. ``seconds``: the deadline of this
        call, where it is not the usual one. ``warm``: a function and its argument, worked out once in each helper
        before a deadline of a call runs: what is slow to import is no fault of a video.

        Raises ``VideoError`` naming ``path`` (no answer in time; the helper died), ``ConfigError`` (the helper cannot
        start), and whatever ``function`` and that of ``warm`` raise, with the same text.
        """
        seconds = self.seconds if seconds is None else seconds
        with self._lock:
            try:
                # One that died between two calls (ended by the system, say) is no fault of the next video.
                if self._helper is None or self._helper.poll() is not None:
                    self._start()
                answer = self._warm_up(warm) if warm and warm not in self._warm else None
                if not isinstance(answer, _Failure):
                    answer = self._ask((function, path, args, kwargs, seconds, _place(path)), seconds)
            except _Late:
                self._end()
                raise VideoError(
                    f"{path}: reading it took longer than {seconds:g} s: "
                    "damaged? Play it, encode it anew, or leave it out of the list",
                    "timeout",
                ) from None
            except (EOFError, OSError):
                how, killed = self._end()
                raise VideoError(
                    f"{path}: the decoder crashed on it ({how}); "
                    "download or copy it again, or leave it out of the list",
                    "timeout" if killed else "damaged",
                ) from None
            except MemoryError:  # of this process, which cannot hold the answer
                self._end()
                raise out_of_memory(path) from None
            except BaseException:  # Ctrl-C among them: what is on its way belongs to this call and to no other
                self._end()
                raise
        if isinstance(answer, _Failure):
            raise answer.error
        return answer

    def close(self) -> None:
        """End the helper; the next call starts another."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        self._end()
        try:
            with ignore_sigint():
                self._helper = subprocess.Popen(
                    [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
                )
        except OSError as error:  # no fault of the video that it was to read
            raise ConfigError(
                f"the process that reads videos cannot be started ({error.strerror or error}); "
                "free some memory or raise the limits of open files and processes (ulimit -n, -u)"
            ) from None
        self._warm = []
        jobs, answers = _pipes(self._helper)
        try:
            jobs.write(pickle.dumps(sys.path))
            with _Deadline(self._helper, _START_SECONDS):
                _receive(answers)
        except (_Late, EOFError, OSError):
            raise self._not_started("av, sfar") from None

    def _warm_up(self, warm: Warm) -> Any:
        function, argument = warm
        try:
            answer = self._ask((function, argument, (), {}, _START_SECONDS, ""), _START_SECONDS)
        except (_Late, EOFError, OSError):
            raise self._not_started("torch, decord") from None
        if not isinstance(answer, _Failure):
            self._warm.append(warm)
        return answer

    def _not_started(self, modules: str) -> ConfigError:
        how, _ = self._end()
        return ConfigError(
            f"the process that reads videos did not start ({how}); "
            f"run {sys.executable} -c 'import {modules}' to see why"
        )

    def _ask(self, job: tuple, seconds: float) -> Any:
        assert self._helper is not None  # ``call`` has started it
        jobs, answers = _pipes(self._helper)
        with _Deadline(self._helper, seconds):
            _send(jobs, job)
            return _receive(answers)

    def _end(self) -> tuple[str, bool]:
        """End the helper; how it ended in words, and whether from outside, as by the system when memory runs out."""
        helper, self._helper = self._helper, None
        if helper is None:
            return "", False
        for pipe in _pipes(helper):
            pipe.close()
        try:
            code = helper.wait(0.2)  # a crash is still on its way to the parent, or it leaves by itself
        except subprocess.TimeoutExpired:
            helper.kill()
            code = helper.wait()
        if code >= 0:
            return f"exit status {code}", False
        if code == -9:
            return "ended from outside: out of memory?", True
        name = signal.Signals(-code).name
        return f"signal {name}", name not in _CRASHES

    def _forget(self) -> None:
        """In the child after a fork: the helper is the parent's.

        An end of its pipe kept open here would keep it alive without its parent.
        """
        self._lock = threading.Lock()  # another thread of the parent may have held it
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.returncode = 0  # not a child of this process: nothing to wait for
            for pipe in _pipes(helper):
                pipe.close()


def guarded(
    function: Function,
    path: str | os.PathLike,
    *args: Any,
    seconds: float = SECONDS,
    warm: Warm | None = None,
    **kwargs: Any,
) -> Any:
    """``Watchdog.call`` with a helper that all calls of this process share."""
    return _shared.call(function, path, *args, seconds=seconds, warm=warm, **kwargs)


# --- both ends of the pipe -----------------------------------------------------------------------------------------


def _pipes(helper: subprocess.Popen) -> tuple[RawIOBase, RawIOBase]:
    """Its standard input and output, which are pipes without a buffer."""
    return cast(RawIOBase, helper.stdin), cast(RawIOBase, helper.stdout)


class _Late(Exception):
    """The deadline has passed and the helper is ended."""


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Deadline:
    """Ends the helper after ``seconds``, which ends the wait for its answer too; the block then raises _Late.

    A timer and not select(): that cannot wait for a pipe on every system.
    """

    def __init__(self, helper: subprocess.Popen, seconds: float) -> None:
        self._late = False
        self._helper = helper
        self._timer = threading.Timer(seconds, self._passed)
        self._timer.daemon = True

    def _passed(self) -> None:
        self._late = True
        self._helper.kill()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        self._timer.cancel()
        self._timer.join()  # it must not end a helper that has been given the next job
        if self._late and (kind is None or issubclass(kind, (EOFError, OSError))):
            raise _Late from None


def _send(pipe: RawIOBase, value: Any) -> None:
    """Arrays travel beside the pickle and not inside it: no copy of a whole video."""
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    parts = [memoryview(data), *(a.raw() for a in arrays)]
    for part in (len(parts).to_bytes(8, "little") + b"".join(p.nbytes.to_bytes(8, "little") for p in parts), *parts):
        view = memoryview(part)
        while len(view):
            view = view[pipe.write(view) :]


def _receive(pipe: RawIOBase) -> Any:
    sizes = [int.from_bytes(_exactly(pipe, 8), "little") for _ in range(int.from_bytes(_exactly(pipe, 8), "little"))]
    data, *arrays = [_exactly(pipe, n) for n in sizes]
    return pickle.loads(data, buffers=arrays)


def _place(path: str | os.PathLike) -> str:
    """The folder that a relative path begins in: this process may have gone to another since the helper started."""
    try:
        return "" if os.path.isabs(str(path)) else os.getcwd()
    except FileNotFoundError:  # it is removed, and all that was in it
        return ""


def _exactly(pipe: RawIOBase, size: int) -> bytearray:
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        n = pipe.readinto(view[have:])
        if not n:
            raise EOFError
        have += n
    return data


def _serve() -> None:
    """The helper: jobs from standard input, answers to standard output, until the input ends (the parent is gone)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # What a library prints must not get in between the answers.
    jobs, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    import sfar.data.video  # noqa: F401  # for its effect: before the first deadline runs

    _send(answers, "ready")
    while True:
        try:
            function, path, args, kwargs, seconds, place = _receive(jobs)
        except EOFError:
            return
        except Exception as error:  # a function that cannot be imported here
            wrong = f"the process that reads videos cannot take this call ({error}); give a function of a module"
            _send(answers, _Failure(ConfigError(wrong)))
            continue
        _own_deadline(seconds + _GRACE_SECONDS)
        try:
            if place:
                os.chdir(place)
            answer = function(path, *args, **kwargs)
        except MemoryError:
            answer = _Failure(out_of_memory(path))
        except Exception as error:
            answer = _Failure(_portable(error))
        _own_deadline(0)
        try:
            _send(answers, answer)
        except BrokenPipeError:
            return


def _own_deadline(seconds: float) -> None:
    """An alarm of the system, which ends this process also where C++ holds the interpreter lock; 0: none."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _portable(error: Exception) -> Exception:
    """The error if it can travel, otherwise its traceback."""
    try:
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    except Exception as second:  # any error may come out of another class's own pickling
        error.add_note(f"(it cannot be sent to the calling process: {second})")
    return RuntimeError("".join(traceback.format_exception(error)))


def _forget_all() -> None:
    for watchdog in list(_watchdogs):
        watchdog._forget()


_watchdogs: weakref.WeakSet[Watchdog] = weakref.WeakSet()
_shared = Watchdog()
atexit.register(_shared.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
