"""Two classes in three layouts, 4 + 2 videos each, which the tests of data sets and runs share (``roots``)."""

from typing import Any

import one_process

from sfar.config import get_profile
from sfar.storyboard.scripts import HMDB, KINETICS, UCF

SOLE = {"kinetics400": tuple(KINETICS)[:2], "ucf101": tuple(UCF)[:2], "hmdb51": tuple(HMDB)[:2]}


def write(base, patch):
    """Draw the sets below ``base`` and decode them, where that is not done; returns their folders by layout."""
    from sfar.data.source import dataset, load_clips
    from sfar.storyboard.sets import write_hmdb51, write_ucf101
    from sfar.storyboard.write import write_kinetics

    found = {name: base / name for name in SOLE}
    one_process.videos(patch)
    for name, draw in (("kinetics400", write_kinetics), ("ucf101", write_ucf101), ("hmdb51", write_hmdb51)):
        if not (base / f"{name}.done").exists():
            draw(base / name, 5, 4, 2, classes=SOLE[name])
            profile = at(found, name)
            for split in ("train", "val"):
                load_clips(profile, dataset(profile), split)
            (base / f"{name}.done").touch()
    return found


def at(roots, name: str = "kinetics400", /, **overrides: Any):
    """The storyboard profile on one of the folders."""
    return get_profile("storyboard", {"data.dataset": name, "data.root": str(roots[name]), **overrides})
