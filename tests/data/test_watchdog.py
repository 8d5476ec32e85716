"""The helper process that reads videos: what hangs or crashes in it costs one error.

Whoever calls it, and however the caller ends.
"""

import functools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from waiting import ENOUGH, until

from sfar.data import watchdog
from sfar.data.video import probe, read_frames
from sfar.data.watchdog import Watchdog
from sfar.errors import ConfigError, VideoError

# The helper imports this file in the time of the first call that needs it.
guarded = functools.partial(watchdog.guarded, seconds=ENOUGH)

# --- functions for the helper, which imports them from here (so nothing above may be slow to import: no torch) ---


def sleep(path, seconds):
    time.sleep(seconds)


def hang(path):
    """Says in the file ``path`` that it has begun."""
    Path(path).touch()
    time.sleep(ENOUGH)


def wait_for(path):
    until(Path(path).exists)


def hold_everything(path, seconds):
    """As decord does: inside C and without giving back the interpreter lock."""
    import ctypes

    ctypes.PyDLL(None).sleep(seconds)


def count(file):
    """Says in the file how often it was called."""
    with open(file, "a") as f:
        f.write(".")


def refuse(path):
    raise ConfigError("it is not installed")


def leave(path, status):
    os._exit(status)


def kill(path, number):
    os.kill(os.getpid(), number)


def fail(path, kind, text):
    raise kind(text)


class Awkward(Exception):
    """Cannot be made again from what it holds."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def awkward(path):
    raise Awkward("salt", "pepper")


def echo(path, *args, **kwargs):
    return path, args, kwargs


def who(path):
    return os.getpid()


def talk(path):
    print("a library prints")
    os.system("echo and so does its child")
    return sys.stdin.read() + "done"


def gone(pid):
    """Waits until the process has ended."""

    def ended():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    return until(ended)


def numbers(frames):
    from test_video import numbers

    return numbers(frames)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    from test_video import write

    return str(write(tmp_path_factory.mktemp("video") / "v.mp4", frames=20))


@pytest.fixture(scope="module")
def dog():
    dog = Watchdog(ENOUGH)
    yield dog
    dog.close()


# --- answers ---


def test_the_answer_is_that_of_the_function(video):
    assert guarded(probe, video) == probe(video)
    frames = guarded(read_frames, video, [7, 3], 96)
    assert np.array_equal(frames, read_frames(video, [7, 3], 96)) and numbers(frames) == [7, 3]
    assert guarded(read_frames, Path(video), indices=np.array([2]), reader="pyav").shape == (1, 128, 192, 3)


def test_a_relative_path_begins_where_the_caller_is(dog, video, tmp_path, monkeypatch):
    """Also where the caller has gone to another folder since the helper started."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Path(tmp_path / name / "v.mp4").write_bytes(Path(video).read_bytes() if name == "two" else b"")
        monkeypatch.chdir(tmp_path / name)
        if name == "one":
            with pytest.raises(VideoError, match=r"^v\.mp4: is empty"):
                dog.call(probe, "v.mp4")
        else:
            assert dog.call(probe, Path("v.mp4")) == probe(video)
    assert dog.call(probe, video) == probe(video)


def test_arrays_survive_both_ways(dog):
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (20, 300, 400, 3), np.uint8),  # far more than a pipe holds
        np.empty((0, 5, 3), np.uint8),
        np.float32(rng.normal(size=(7, 3))).T,
        rng.normal(size=(6, 8))[::2, ::3],
        np.array(3),
        np.array([True, False]),
    ]
    path, args, kwargs = dog.call(echo, "x", *arrays, last=arrays[0])
    for sent, got in zip(arrays, args, strict=True):
        assert got.dtype == sent.dtype and got.shape == sent.shape and np.array_equal(got, sent)
    assert path == "x" and np.array_equal(kwargs["last"], arrays[0])
    args[0][0] = 1  # and it can be written to


def test_one_helper_takes_all_calls(dog):
    first = dog.call(who, "x")
    assert first != os.getpid() and {dog.call(who, "x") for _ in range(5)} == {first}


def test_what_is_slow_to_begin_with_is_done_once_and_before_any_deadline(dog, tmp_path, monkeypatch):
    given = []

    class Deadline(watchdog._Deadline):
        def __init__(self, helper, seconds):
            given.append(seconds)
            super().__init__(helper, seconds)

    monkeypatch.setattr(watchdog, "_Deadline", Deadline)

    def call(n, seconds=500.0):
        return dog.call(echo, n, seconds=seconds, warm=(count, str(tmp_path / "times")))[0]

    dog.call(echo, "w", seconds=400.0)
    given.clear()
    assert [call("x"), call("y")] == ["x", "y"] and (tmp_path / "times").read_text() == "."
    assert given == [watchdog._START_SECONDS, 500.0, 500.0] and watchdog._START_SECONDS > 500.0
    with pytest.raises(VideoError, match="crashed"):
        dog.call(kill, "x", signal.SIGKILL)
    assert call("z") == "z" and (tmp_path / "times").read_text() == "..", "another helper has it to do again"
    with pytest.raises(ConfigError, match="not installed"):
        dog.call(echo, "x", warm=(refuse, "x"))
    assert dog.call(echo, "x")[0] == "x"


def test_what_is_printed_does_not_get_into_the_answers(dog):
    assert dog.call(talk, "x") == "done" and dog.call(echo, "y")[0] == "y"


# --- errors ---


@pytest.mark.parametrize(
    "kind", [VideoError, ConfigError, ValueError, KeyError, OSError, EOFError, BrokenPipeError, RuntimeError]
)
def test_errors_travel_with_the_same_text(dog, kind):
    pid = dog.call(who, "x")
    with pytest.raises(kind) as e:
        dog.call(fail, "x", kind, "v.mp4: wrong; do this")
    assert type(e.value) is kind and str(e.value) == str(kind("v.mp4: wrong; do this"))
    assert dog.call(who, "x") == pid, "an error is an answer, and no reason for another helper"


def test_an_error_that_cannot_travel_comes_as_its_text(dog):
    with pytest.raises(RuntimeError, match=r"(?s)in awkward.*salt and pepper"):
        dog.call(awkward, "x")


def test_the_readers_errors_are_the_same_with_and_without(tmp_path, video):
    (tmp_path / "empty.mp4").write_bytes(b"")
    for call in (
        lambda f: f(probe, tmp_path / "empty.mp4"),
        lambda f: f(read_frames, video, [20]),
        lambda f: f(probe, video, "opencv"),
    ):
        texts = []
        for through in (guarded, lambda function, *args: function(*args)):
            with pytest.raises((VideoError, ConfigError)) as e:
                call(through)
            texts.append((e.type, str(e.value)))
        assert texts[0] == texts[1]


def test_too_little_memory_is_an_error_of_the_video(dog):
    with pytest.raises(VideoError, match="x: there is not enough memory to read it"):
        dog.call(fail, "x", MemoryError, "")


def test_functions_the_helper_cannot_import(dog, monkeypatch):
    monkeypatch.setattr(
        sys.modules["test_watchdog"], "made_up", FunctionType(sleep.__code__, globals(), "made_up"), raising=False
    )
    sys.modules["test_watchdog"].made_up.__qualname__ = "made_up"
    with pytest.raises(ConfigError, match=r"cannot take this call.*made_up.*function of a module"):
        dog.call(sys.modules["test_watchdog"].made_up, "x")
    assert dog.call(echo, "y")[0] == "y"


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_is_more_than_nothing(seconds):
    with pytest.raises(ConfigError, match="more than 0 seconds"):
        Watchdog(seconds)


# --- hangs and crashes ---


@pytest.mark.parametrize("hang", [sleep, hold_everything])
def test_a_call_that_takes_too_long(dog, hang):
    pid = dog.call(who, "x")
    with pytest.raises(VideoError, match=r"v\.mp4: reading it took longer than 0\.3 s"):
        dog.call(hang, "v.mp4", 60, seconds=0.3)
    assert gone(pid)
    assert dog.call(who, "x") != pid


def test_the_usual_deadline_and_that_of_one_call():
    dog = Watchdog(0.4)
    with pytest.raises(VideoError, match=r"longer than 0\.4 s"):
        dog.call(sleep, "x", 60)
    dog.call(sleep, "x", 0.6, seconds=ENOUGH)
    dog.close()


@pytest.mark.parametrize(
    ("crash", "argument", "how"),
    [
        (leave, 0, "exit status 0"),
        (leave, 3, "exit status 3"),
        (kill, signal.SIGKILL, "ended from outside: out of memory?"),
        (kill, signal.SIGSEGV, "signal SIGSEGV"),
        (kill, signal.SIGABRT, "signal SIGABRT"),
    ],
)
def test_a_helper_that_dies(dog, crash, argument, how):
    with pytest.raises(VideoError, match=rf"v\.mp4: the decoder crashed on it \({re.escape(how)}\)"):
        dog.call(crash, "v.mp4", argument)
    assert dog.call(echo, "y")[0] == "y"


def test_a_helper_that_died_between_two_calls_is_no_fault_of_the_next(dog):
    pid = dog.call(who, "x")
    os.kill(pid, signal.SIGKILL)
    dog._helper.wait()
    assert dog.call(echo, "y")[0] == "y"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGSEGV, "damaged"),
        (signal.SIGABRT, "damaged"),
        (signal.SIGKILL, "timeout"),
        (signal.SIGTERM, "timeout"),
    ],
)
def test_what_ends_the_helper_from_outside_says_nothing_of_the_video(dog, number, kind):
    with pytest.raises(VideoError) as e:
        dog.call(kill, "v.mp4", number)
    assert e.value.kind == kind


def test_an_answer_that_the_memory_does_not_hold(dog, monkeypatch):
    def full(pipe):
        raise MemoryError

    dog.call(echo, "x")
    with monkeypatch.context() as m, pytest.raises(VideoError, match=r"v\.mp4: there is not enough memory") as e:
        m.setattr(watchdog, "_receive", full)
        dog.call(echo, "v.mp4")
    assert e.value.kind == "timeout" and dog.call(echo, "y")[0] == "y"


def test_a_helper_that_does_not_start(monkeypatch):
    monkeypatch.setattr(watchdog.sys, "executable", "/bin/false")
    with pytest.raises(ConfigError, match=r"did not start \(exit status 1\); run /bin/false"):
        Watchdog().call(echo, "x")


def test_the_helper_ends_itself_where_nobody_ends_it(monkeypatch):
    """Its own alarm, for the case that the parent is gone while C++ holds the interpreter lock."""
    monkeypatch.setattr(
        watchdog,
        "_COMMAND",
        watchdog._COMMAND.replace(
            "; _serve()", "; import sfar.data.watchdog as w; w._GRACE_SECONDS = -599.7; _serve()"
        ),
    )
    dog = Watchdog()
    with pytest.raises(VideoError, match=r"crashed on it \(signal SIGALRM\)"):
        dog.call(hold_everything, "x", 20, seconds=600)
    dog.close()


def test_an_alarm_of_one_call_does_not_meet_the_next(monkeypatch, tmp_path):
    """Each is set for its call, and off before the answer is given."""
    said = tmp_path / "said"
    noted = (
        "import signal; real = signal.setitimer; "
        f"signal.setitimer = lambda *a: (print(*a, file=open({str(said)!r}, 'a')), real(*a))"
    )
    monkeypatch.setattr(watchdog, "_COMMAND", watchdog._COMMAND.replace("; _serve()", f"; {noted}; _serve()"))
    dog = Watchdog()
    for seconds in (600, 900):
        dog.call(who, "x", seconds=seconds)
    dog.close()
    which, after = int(signal.ITIMER_REAL), watchdog._GRACE_SECONDS
    assert said.read_text().splitlines() == [f"{which} {s}" for s in (600 + after, 0, 900 + after, 0)]


# --- who calls ---


def test_threads_take_turns(dog):
    answers = {}
    threads = [
        threading.Thread(target=lambda k=k: answers.update({k: dog.call(echo, str(k), np.full(50_000, k))}))
        for k in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(answers[k][0] == str(k) and (answers[k][1][0] == k).all() for k in range(8))


def in_child(work):
    """What ``work`` returns in a forked child, as text; nothing where it raises."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_after_a_fork_the_child_has_a_helper_of_its_own(dog):
    mine = dog.call(who, "x")
    theirs = int(in_child(lambda: dog.call(who, "x")))
    assert theirs != mine and gone(theirs), "it ends with the child, which leaves without a word"
    assert dog.call(who, "x") == mine


def test_a_fork_while_another_thread_waits(dog, tmp_path):
    dog.call(echo, "x")
    busy = threading.Thread(target=lambda: dog.call(wait_for, tmp_path / "answered"))
    busy.start()
    until(dog._lock.locked)
    assert in_child(lambda: dog.call(echo, "child")[0]) == "child"
    (tmp_path / "answered").touch()
    busy.join()
    assert dog.call(echo, "y")[0] == "y"


def work(job):
    path, frame = job
    return guarded(read_frames, path, [frame]), guarded(who, path)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_the_workers_of_a_pool(video, method):
    guarded(probe, video)  # the parent has a helper already
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.map(work, [(video, k) for k in range(8)], chunksize=1)
    assert [numbers(a[0]) for a in answers] == [[k] for k in range(8)]
    helpers = {a[1] for a in answers}
    assert guarded(who, "x") not in helpers and all(gone(pid) for pid in helpers)


class Frames:
    """Frame i of a video, and the helper that read it."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 4:
            with pytest.raises(VideoError, match="crashed"):
                guarded(kill, self.path, signal.SIGSEGV)
        return guarded(read_frames, self.path, [i])[0], guarded(who, self.path)


def test_in_the_workers_of_a_data_loader(video):
    from torch.utils.data import DataLoader  # not above: the helpers import this file

    guarded(probe, video)
    frames: Any = Frames(video)
    batches = list(DataLoader(frames, 2, num_workers=2))
    assert [numbers(x.numpy()) for x, _ in batches] == [[0, 1], [2, 3], [4, 5]]
    helpers = {int(pid) for _, pids in batches for pid in pids}
    assert len(helpers) >= 3 and all(gone(pid) for pid in helpers)


# --- how the caller ends ---


def test_close(dog):
    pid = dog.call(who, "x")
    dog.close()
    assert gone(pid)
    dog.close()
    assert dog.call(who, "x") != pid


def test_ctrl_c_leaves_no_answer_behind(dog, tmp_path):
    pid, begun = dog.call(who, "x"), tmp_path / "begun"

    def press():
        until(begun.exists)
        os.kill(os.getpid(), signal.SIGINT)

    keys = threading.Thread(target=press)
    keys.start()
    with pytest.raises(KeyboardInterrupt):
        dog.call(hang, begun)
    keys.join()
    assert gone(pid)
    assert dog.call(echo, "second")[0] == "second"


def program(body):
    """A fresh Python process that has the functions above: its first line on standard output, and the process."""
    lines = (
        "import os, signal, sys",
        f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]}",
        "from test_watchdog import *",
        body,
    )
    code = "\n".join(lines)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        start_new_session=True,
    )


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(3)"])
def test_the_helper_ends_with_its_parent(end):
    parent = program(f"print(guarded(who, 'x'), flush=True)\n{end}")
    out, _ = parent.communicate(timeout=ENOUGH)
    assert gone(int(out))


def test_ctrl_c_on_the_terminal_meets_the_caller_alone(tmp_path):
    """It goes to the whole group of processes: the helper neither ends nor prints."""
    begun = tmp_path / "begun"
    parent = program(
        f"print(guarded(who, 'x'), flush=True)\ntry:\n    guarded(hang, {str(begun)!r})\n"
        "except KeyboardInterrupt:\n    print(guarded(echo, 'again')[0], flush=True)"
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(begun.exists)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=ENOUGH)
    assert out == "again\n" and err == "" and gone(pid)
