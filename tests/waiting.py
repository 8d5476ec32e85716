"""Waiting for something that another process or thread does: for as long as it takes, and not for a time."""

import time

ENOUGH = 600  # seconds, after which something will never be: for a busy machine, and nothing is measured by it


def until(condition, seconds=ENOUGH):
    """Return what ``condition()`` gives as soon as that is true. ``seconds``: after which it will never be."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found
