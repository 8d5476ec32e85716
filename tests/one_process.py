"""Videos and runs one after another in the process of the test, where others are not what it is about.

Each process that is started imports torch: that takes longer than the few videos and steps of most tests.
"""

from contextlib import nullcontext

from sfar.runs import executor
from sfar.util import processes


class Pool(nullcontext):
    """This process in place of a pool of others."""

    def __init__(self, workers=None):
        super().__init__(self)

    imap = imap_unordered = staticmethod(lambda work, items, chunksize=1: map(work, items))


def videos(patch):
    """Draw, decode and look at videos here."""
    patch.setattr(processes, "pool", Pool)


def runs(patch):
    """Make runs here."""
    patch.setattr(executor, "side_by_side", lambda todo, bar, workers: executor.one_after_another(todo, bar))
