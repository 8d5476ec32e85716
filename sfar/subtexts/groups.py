"""Groups of sub-texts of really different quality and wording (Fig. 7b, Table 2d) for the 25 supervised classes.

Four were written by hand from the class names alone, one is made from the scripts the videos are drawn from, the others
are made from these by rule: with half or all of a class's sub-texts taken from another class, with four wordings of one
step, with phrases that fit any class. All have N = 4. Nothing here was chosen or changed after accuracies were seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from sfar.errors import ConfigError
from sfar.storyboard.captions import action_phrases
from sfar.storyboard.scripts import KINETICS
from sfar.subtexts.texts import SubTexts

CLASSES = tuple(KINETICS)
N = 4


@dataclass(frozen=True)
class Group:
    """A group's name, what is in it, and its kind: "written", "truth" or "derived"."""

    name: str
    title: str
    kind: str


GROUPS: dict[str, Group] = {
    g.name: g
    for g in (
        Group("bank", "written: bare phrases (the bundled bank)", "written"),
        Group("terse", "written: noun phrases of two or three words", "written"),
        Group("detailed", "written: one long sentence a step", "written"),
        Group("scene", "written: scene, clothes and bystanders, as in Table 14", "written"),
        Group("truth", "the true atomic actions of the scripts", "truth"),
        Group("prefixed", 'bank, each after "This action is" (Table 6)', "derived"),
        Group("named", "bank, each after the class name", "derived"),
        Group("truth-shuffled", "true actions of another class", "derived"),
        Group("half-shuffled", "bank, two of four from another class", "derived"),
        Group("shuffled", "bank, all four from another class", "derived"),
        Group("redundant", "bank's first phrase in four wordings", "derived"),
        Group("class-name", "the class name in four wordings", "derived"),
        Group("generic-named", "start, middle and end of any class, with its name", "derived"),
        Group("generic", "the same four phrases for every class", "derived"),
        Group("unrelated", "household actions drawn from another label set", "derived"),
    )
}

_WORDINGS = ("{}", "a person {}", "someone is {} in this video", "a close view of {}")
_CLASS_WORDINGS = ("a person doing {}", "{} in a video", "someone during {}", "an example of {}")
_GENERIC = ("getting ready to begin", "starting to move", "doing the main movement", "coming to an end")
_GENERIC_NAMED = ("getting ready for {}", "starting {}", "the main movement of {}", "the end of {}")


def _written(name: str) -> SubTexts:
    if name == "bank":
        return SubTexts.load("storyboard", N).only(CLASSES)
    source = files("sfar.subtexts") / "written" / f"{name}.json"
    return SubTexts.parse(source.read_bytes(), f"the group {name!r}", N).only(CLASSES)


def _truth() -> dict[str, list[str]]:
    """The actions of each script in order; where a script has fewer than four, further wordings of them, in turn."""
    out = {}
    for c, script in KINETICS.items():
        own = [action_phrases(a) for a, _ in script]
        wordings = [phrases[k] for k in range(N) for phrases in own]  # the first of each action, then the second, ...
        out[c] = sorted(wordings[:N], key=lambda t: next(i for i, p in enumerate(own) if t in p))
    return out


def _other() -> dict[str, str]:
    """Another class for every class: a fixed permutation without fixed points."""
    order = np.random.default_rng(0).permutation(len(CLASSES))
    return {CLASSES[a]: CLASSES[b] for a, b in zip(order, np.roll(order, 1), strict=True)}


def _unrelated() -> dict[str, list[str]]:
    pool = [t for texts in SubTexts.load("charades").values() for t in texts]
    pick = np.random.default_rng(1).permutation(len(pool))[: N * len(CLASSES)].reshape(len(CLASSES), N)
    return {c: [pool[i] for i in row] for c, row in zip(CLASSES, pick, strict=True)}


def group(name: str) -> SubTexts:
    """The sub-texts of one of ``GROUPS``, for the 25 supervised classes.

    Raises ``ConfigError`` for an unknown group.
    """
    if name not in GROUPS:
        raise ConfigError(f"unknown group of sub-texts {name!r}: expected one of {', '.join(GROUPS)}")
    if name in ("bank", "terse", "detailed", "scene"):
        return _written(name)
    bank, other = _written("bank"), _other()
    make = {
        "truth": _truth,
        "prefixed": lambda: {c: [f"This action is {t}" for t in bank[c]] for c in CLASSES},
        "named": lambda: {c: [f"{c}: {t}" for t in bank[c]] for c in CLASSES},
        "truth-shuffled": lambda: {c: _truth()[other[c]] for c in CLASSES},
        "half-shuffled": lambda: {c: [*bank[c][:2], *bank[other[c]][2:]] for c in CLASSES},
        "shuffled": lambda: {c: bank[other[c]] for c in CLASSES},
        "redundant": lambda: {c: [w.format(bank[c][0]) for w in _WORDINGS] for c in CLASSES},
        "class-name": lambda: {c: [w.format(c) for w in _CLASS_WORDINGS] for c in CLASSES},
        "generic-named": lambda: {c: [w.format(c) for w in _GENERIC_NAMED] for c in CLASSES},
        "generic": lambda: {c: list(_GENERIC) for c in CLASSES},
        "unrelated": _unrelated,
    }[name]
    return SubTexts(make(), "storyboard", f"group {name!r}: {GROUPS[name].title}", source=f"the group {name!r}")


def open_group(name: str, n: int | None = None) -> SubTexts:
    """One of ``GROUPS``, the bundled sub-texts of a label set, or those of a JSON file.

    ``n``: sub-texts of a class; for what is raised see ``SubTexts.load``.
    """
    if name in GROUPS and n not in (None, N):
        raise ConfigError(
            f"the group {name!r} has N = {N}, not {n}; "
            "the bundled sub-texts of other N are under the label set's name, 'storyboard'"
        )
    return group(name) if name in GROUPS else SubTexts.load(name, n)
