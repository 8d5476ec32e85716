"""The drawn world is read as it was when the records were measured: lists, frames, what CLIP makes of them."""

import numpy as np
import pytest

from sfar.runs import known

GREY = 1  # levels: how a picture is made from a video's planes may round otherwise on another processor


@pytest.fixture(scope="module")
def samples(drawn):
    from sfar.config import DRAWN

    drawn(*DRAWN)
    return known.known(), known.sample()


def test_the_drawn_world_is_read_as_the_records_read_it(samples):
    was, now = samples
    assert list(now) == list(was) and {name.split("/")[1] for name in was} == {
        "lists",
        "frames",
        "embeddings",
        "words",
        "views",
    }
    for name, x in now.items():
        assert x.shape == was[name].shape and x.dtype == was[name].dtype, name
        if name.endswith("/lists"):
            assert x.tolist() == was[name].tolist(), name
        elif name.endswith("/frames"):
            assert np.abs(x.astype(int) - was[name]).max() <= GREY, name
        else:
            np.testing.assert_allclose(x, was[name], rtol=0, atol=1e-4 if name.endswith("words") else 1e-2)


def test_another_frame_or_another_list_would_be_seen(samples):
    """Neighbouring frames of a video differ by more than what is allowed for, and so do the videos of a list."""
    was, _ = samples
    for name, x in was.items():
        if name.endswith("/frames"):
            assert np.abs(np.diff(x.astype(int), axis=1)).max(axis=(2, 3, 4)).min() > GREY, name
            assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x), name
        if name.endswith("/lists"):
            assert len(set(x.tolist())) == len(x), name
