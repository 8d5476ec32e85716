"""Class names of the four data sets, as their own files spell them, in label order (facts).

Kinetics-400: the 400 labels sorted alphabetically. UCF-101: ``classInd.txt``. HMDB-51: folder names, underscores read
as spaces. Charades: ``Charades_v1_classes.txt``.
"""

from __future__ import annotations

import re
from importlib.resources import files

from sfar.errors import ConfigError

LABEL_SETS = ("kinetics400", "ucf101", "hmdb51", "charades")


def words(name: str) -> str:
    """A CamelCase class name of UCF-101 as words in lower case: ``ApplyEyeMakeup`` -> ``apply eye makeup``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def class_names(label_set: str) -> tuple[str, ...]:
    """The class names of a label set in label order, as prompts use them (UCF-101's turned to words).

    Raises ``ConfigError`` for an unknown label set.
    """
    if label_set not in LABEL_SETS:
        raise ConfigError(f"unknown label set {label_set!r}: expected one of {', '.join(LABEL_SETS)}")
    lines = (files(__name__) / f"{label_set}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(words(n) if label_set == "ucf101" else n for n in lines)
