"""Shared by all tests: nothing reads or writes the user's cache."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """An empty cache for the whole session: what the tests show was made during them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SFAR_CACHE", str(tmp_path_factory.mktemp("cache")))
    torch.set_num_threads(1)
    yield
    patch.undo()
