"""Work on several processes: order, errors, a process that is killed, a parent that is killed.

The processes import their functions from here, so nothing above these may be slow to import: no torch.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sfar.data.manifest import Clip, Manifest
from sfar.errors import DataError
from sfar.util import processes

HERE = Path(__file__).parent


def square(x):
    return x * x


def late(x):
    time.sleep(0.3 * (x == 0))
    return x


def refuse(x):
    if x == 3:
        raise DataError(f"{x} is not wanted")
    return x


def die(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return x


def announce(folder):
    (folder / f"started-{os.getpid()}").touch()


def wait_for_ever(folder):
    (folder / f"works-{os.getpid()}").touch()
    time.sleep(600)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_results_in_order_or_as_they_are_done(tmp_path):
    with processes.Workers(2, announce, (tmp_path,)) as pool:
        for chunksize in (1, 3, 100):
            assert list(pool.imap(square, range(7), chunksize)) == [0, 1, 4, 9, 16, 25, 36]
        assert sorted(pool.imap_unordered(square, iter(range(7)), 2)) == [0, 1, 4, 9, 16, 25, 36]
        assert list(pool.imap_unordered(late, range(3)))[-1] == 0
        assert list(pool.imap(square, [])) == list(pool.imap_unordered(square, [])) == []
        assert pool.result(pool.submit(pow, 2, 5)) == 32
    assert 1 <= len(list(tmp_path.glob("started-*"))) <= 2


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_an_error_is_the_caller_s(method):
    with pytest.raises(DataError, match="3 is not wanted"), processes.pool(2) as pool:
        list(getattr(pool, method)(refuse, range(200)))


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_a_killed_process_is_one_message(method):
    with pytest.raises(processes.ProcessDied, match=r"was killed.*JOBS=1"), processes.pool(2) as pool:
        list(getattr(pool, method)(die, range(200), 2))


def test_an_exception_ends_them_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), processes.pool(2) as pool:
        pool.submit(wait_for_ever, tmp_path)
        until(lambda: list(tmp_path.glob("works-*")))
        raise KeyboardInterrupt
    assert not any(running(f.name.split("-")[1]) for f in tmp_path.glob("works-*"))


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_they_end_with_a_parent_that_is_killed(tmp_path):
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import test_processes as t; t.hold({str(tmp_path)!r})"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(list(tmp_path.glob("works-*"))) == 2)
    parent.kill()
    parent.wait()
    until(lambda: not any(running(f.name.split("-")[1]) for f in tmp_path.glob("works-*")))


def hold(folder):
    with processes.pool(2) as pool:
        list(pool.imap(wait_for_ever, [Path(folder)] * 2))


def test_decoding_that_loses_a_process_says_so(tmp_path, monkeypatch):
    """What decodes a data set would otherwise wait for a result that nobody works on."""
    from sfar.data import store

    monkeypatch.setattr(store, "_try", lose)
    manifest = Manifest("made up", "train", tmp_path, ("x",), (Clip("a.mp4", 0, "a"),))
    with pytest.raises(processes.ProcessDied, match="most often by the system"):
        store.examine(manifest, 8, tmp_path, True, 1)


def lose(job):
    os.kill(os.getpid(), signal.SIGKILL)
