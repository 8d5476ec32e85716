"""Work on several processes: order, errors, a process that is killed, a parent that is killed.

The processes import their functions from here, so nothing above these may be slow to import: no torch.
"""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from waiting import until

from sfar.data.manifest import Clip, Manifest
from sfar.errors import DataError, SfarError
from sfar.util import processes

HERE = Path(__file__).parent


def square(x):
    return x * x


def refuse(x):
    if x == 3:
        raise DataError(f"{x} is not wanted")
    return x


def die(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def leave(x):
    os._exit(x)


def held_back(x, release):
    """Item 0 is not done before the file ``release`` is there."""
    if x == 0:
        until(release.exists)
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
        done = pool.imap_unordered(partial(held_back, release=tmp_path / "release"), range(3))
        assert {next(done), next(done)} == {1, 2}
        (tmp_path / "release").touch()
        assert list(done) == [0]
        assert list(pool.imap(square, [])) == list(pool.imap_unordered(square, [])) == []
        assert pool.result(pool.submit(pow, 2, 5)) == 32
    assert 1 <= len(list(tmp_path.glob("started-*"))) <= 2


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_an_error_is_the_caller_s(method):
    with pytest.raises(DataError, match="3 is not wanted"), processes.pool(2) as pool:
        list(getattr(pool, method)(refuse, range(200)))


def test_a_process_that_ends_by_itself_is_not_called_killed():
    with pytest.raises(SfarError, match="ended by itself, with exit status 3") as e, processes.pool(2) as pool:
        list(pool.imap(leave, [3]))
    assert not isinstance(e.value, processes.ProcessDied)


def test_after_one_has_died_no_other_work_is_taken():
    with processes.pool(1) as pool:
        with pytest.raises(processes.ProcessDied):
            pool.result(pool.submit(die, 3))
        with pytest.raises(SfarError, match="was killed"):
            pool.submit(square, 2)
    with processes.pool(1) as pool:
        for _ in range(2):
            with pytest.raises(SfarError, match="exit status 3"):
                pool.result(pool.submit(leave, 3))


SCRIPT = """
import math
from sfar.util import processes

def main():
    with processes.pool(2) as pool:
        print(list(pool.imap(math.sqrt, [4, 9])))

"""


def run_script(path, text, **options):
    path.write_text(text)
    return subprocess.run([sys.executable, path], capture_output=True, text=True, **options)


def test_a_script_without_a_guard_is_told_so(tmp_path):
    """It is imported by the processes, which would each start others: no matter of memory."""
    done = run_script(tmp_path / "script.py", SCRIPT + "main()\n")
    assert done.returncode == 1 and done.stdout == "", done.stdout
    message = done.stderr.splitlines()[-1]
    assert "SfarError: this script starts processes as it is imported" in message and "__name__" in message, done.stderr
    assert "memory" not in done.stderr and "bootstrapping" not in done.stderr
    done = run_script(tmp_path / "script.py", SCRIPT + 'if __name__ == "__main__":\n    main()\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2.0, 3.0]\n", "")


def test_a_script_from_standard_input_is_told_so():
    done = subprocess.run([sys.executable], input=SCRIPT + "main()\n", capture_output=True, text=True)
    assert done.returncode == 1 and "through standard input: write it to a file" in done.stderr.splitlines()[-1]


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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_they_end_with_a_parent_that_is_killed(tmp_path):
    places = [str(HERE), str(HERE.parent)]
    code = f"import sys; sys.path[:0] = {places}; import test_processes as t; t.hold({str(tmp_path)!r})"
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
