"""Two classes in three layouts, 4 + 2 videos each, which the tests of data sets and runs share (``roots``)."""

from typing import Any

from sfar.config import get_profile
from sfar.storyboard.scripts import HMDB, KINETICS, UCF

SOLE = {"kinetics400": tuple(KINETICS)[:2], "ucf101": tuple(UCF)[:2], "hmdb51": tuple(HMDB)[:2]}


def write(base):
    """Draw the sets below ``base``; returns their folders by layout."""
    from sfar.storyboard.sets import write_hmdb51, write_ucf101
    from sfar.storyboard.write import write_kinetics

    for name, draw in (("kinetics400", write_kinetics), ("ucf101", write_ucf101), ("hmdb51", write_hmdb51)):
        draw(base / name, 5, 4, 2, classes=SOLE[name], workers=1)
    return {name: base / name for name in SOLE}


def at(roots, name: str = "kinetics400", /, **overrides: Any):
    """The storyboard profile on one of the folders."""
    return get_profile("storyboard", {"data.dataset": name, "data.root": str(roots[name]), **overrides})
