"""Shared by all tests: nothing reads or writes the user's cache.

The workers of a run (``-n``) share one cache and begin with the longest files.
"""

import fcntl
import os

import pytest
import torch

from sfar.util import paths

# The others follow in the order of their names: none is so long that a worker would be left alone with it at the end.
LONGEST = ("test_end_to_end", "test_studies_end_to_end")


def pytest_collection_modifyitems(items):
    # A stable sort: files stay whole.
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """A cache for the whole run, empty at its start: what the tests show was made during them."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # a worker's own folder stands in that of the run
        folder = tmp_path_factory.getbasetemp().parent / "cache"
        folder.mkdir(exist_ok=True)
    else:
        folder = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    patch.setenv("SFAR_CACHE", str(folder))
    torch.set_num_threads(1)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def drawn(own_cache):
    """``drawn(name, ...)``: these sets of the storyboard world are drawn and decoded by the worker that asks first.

    The others wait instead of doing it again.
    """

    def draw(*names):
        from sfar.config import by_dataset, get_profile
        from sfar.data.source import dataset, load_clips

        with open(paths.cache() / "drawn.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in names:
                profile = get_profile("storyboard", by_dataset("storyboard", name))
                data = dataset(profile)
                for split in ("train", "val"):
                    load_clips(profile, data, split)

    return draw


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    """The folders of three small sets, by layout; they are read only."""
    import small_sets

    return small_sets.write(tmp_path_factory.mktemp("small"))
