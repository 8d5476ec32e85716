"""Waiting for something that another process or thread does: for as long as it takes, and not for a time."""

import time
from pathlib import Path

ENOUGH = 1800  # seconds, after which something will never be: for a busy machine, and nothing is measured by it


def until(condition, seconds=ENOUGH):
    """Return what ``condition()`` gives as soon as that is true. ``seconds``: after which it will never be."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def lives(pid):
    """Whether a process is there, and no mere entry that nobody has asked for its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid):
    """The process that has started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
