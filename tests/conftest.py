"""Shared by all tests: nothing reads or writes the user's cache.

The workers of a run (``-n``) share one cache and begin with the longest files.
"""

import fcntl
import os
import signal
from contextlib import contextmanager

import pytest
import torch

# For as long as it takes, on a busy machine too: Ray reads it once, where it is first imported.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "1800")

# The others follow in the order of their names: none is so long that a worker would be left alone with it at the end.
LONGEST = (
    "test_end_to_end",
    "test_studies_end_to_end",
    "test_bench",
    "test_paper_profile_studies",
    "test_distributed",
    "test_cli",
    "test_paper_profile",
    "test_coverage",
    "test_generalization",
    "test_train",
    "test_wheel",
)


def pytest_collection_modifyitems(items):
    # A stable sort: files stay whole.
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """The folder of the whole run's cache, empty at its start: what the tests show was made during them."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # a worker's own folder stands in that of the run
        folder = tmp_path_factory.getbasetemp().parent / "cache"
        folder.mkdir(exist_ok=True)
        return folder
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def hears_ctrl_c():
    """All that the tests start hears Ctrl-C: a shell's background job, these tests among them, inherits not to."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared):
    """The cache of all that has no other."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SFAR_CACHE", str(shared))
    # A thread here and in all that the tests start: the other worker has the other core, and threads that wait for each
    # other on a busy one keep it busy.
    torch.set_num_threads(1)
    patch.setenv("OMP_NUM_THREADS", "1")
    yield
    patch.undo()


@contextmanager
def one_at_a_time(lock):
    """Of the workers of a run."""
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def drawn(shared, own_cache):
    """``drawn(name, ...)``: these sets of the storyboard world are drawn and decoded by the worker that asks first.

    The others wait instead of doing it again.
    """

    def draw(*names):
        from sfar.config import by_dataset, get_profile
        from sfar.data.source import dataset, load_clips

        with one_at_a_time(shared / "drawn.lock"):
            for name in names:
                profile = get_profile("storyboard", by_dataset("storyboard", name))
                data = dataset(profile)
                for split in ("train", "val"):
                    load_clips(profile, data, split)

    return draw


@pytest.fixture(scope="session")
def roots(shared):
    """The folders of three small sets, by layout; they are read only.

    Drawn by the worker that asks first, and decoded into the cache of the run.
    """
    import small_sets

    with one_at_a_time(shared / "small.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFAR_CACHE", str(shared))
        return small_sets.write(shared / "small", patch)


@pytest.fixture
def videos_here(monkeypatch):
    """Videos are drawn, decoded and examined in this process (``one_process``)."""
    import one_process

    one_process.videos(monkeypatch)


@pytest.fixture
def runs_here(monkeypatch):
    """Runs are made in this process (``one_process``)."""
    import one_process

    one_process.runs(monkeypatch)
