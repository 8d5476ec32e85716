"""Knobs of the storyboard world: each turns one thing that makes videos hard, all else equal.

None turned is the plain world, to the byte. A turned one has its people, places, lengths and cuts wherever a knob
leaves room for them.
``docs/storyboard.md`` says what each is for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sfar.errors import ConfigError
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.scripts import ACTIVITIES, HMDB, KINETICS, UCF, Script

# Least and greatest value of each knob; the fields ``data.world_...`` have the same.
RANGES: dict[str, tuple[float, float]] = {
    "irrelevant": (0.0, 0.9),
    "overlap": (0.0, 1.0),
    "evenness": (0.0, 1.0),
    "momentary": (1, 8),
    "actions": (2, 6),
}
SETS = (KINETICS, UCF, HMDB)
JITTER = (0.75, 1.33)  # of an action's share, from video to video
EPS = 1e-9  # a share below it is none


def _within(value: Any, low: float, high: float) -> bool:
    kinds = (int,) if isinstance(low, int) else (int, float)
    return type(value) in kinds and low <= value <= high  # NaN is in no range


@dataclass(frozen=True)
class Knobs:
    """What of the storyboard world is turned. Raises ``ConfigError`` for a value outside ``RANGES``.

    Attributes:
        irrelevant: Share of every video's frames that show other activities, to the nearest frame; None: drawn for each
            video.
        overlap: Share of its script, from the beginning, that a class has in common with its partner, besides what
            they share anyway.
        evenness: From 0, each action's own share of the script, to 1, equal durations; None: own shares, rounded as
            the plain world rounds them.
        momentary: Frames of the script's shortest action in every video; None: as its share says.
        actions: Actions of a script; None: its own, 2 to 4.
    """

    irrelevant: float | None = None
    overlap: float = 0.0
    evenness: float | None = None
    momentary: int | None = None
    actions: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not (value is None and name != "overlap") and not _within(value, low, high):
                kind = "a whole number" if isinstance(low, int) else "a number"
                raise ConfigError(
                    f"knob {name!r} of the storyboard world: expected {kind} from {low} to {high}, got {value!r}; "
                    "leave it out for the plain world"
                )

    @property
    def turned(self) -> dict[str, Any]:
        """The knobs that are not as in the plain world, by name."""
        plain = dataclasses.asdict(Knobs())
        return {k: v for k, v in dataclasses.asdict(self).items() if v != plain[k]}


PLAIN = Knobs()


def script(activity: str, knobs: Knobs = PLAIN) -> Script:
    """The script of ``activity``: ``actions``, then ``evenness``, then ``overlap`` is applied to the plain one.

    Pairs (action, share of the relevant frames); only under ``overlap`` may an action come twice.
    """
    own, first = _evened(activity, knobs), partner(activity)
    if not knobs.overlap or first is None:
        return own
    joined: list[tuple[str, float]] = []
    for action, share in (*_part(_evened(first, knobs), 0, knobs.overlap), *_part(own, knobs.overlap, 1)):
        if joined and joined[-1][0] == action:
            share += joined.pop()[1]
        joined.append((action, share))
    return tuple(joined)


def partner(activity: str) -> str | None:
    """The class that ``activity`` begins like under ``overlap``; None for one whose script stays.

    Classes of a set are paired in the order of ``scripts.py``, the second with the first; the last of an odd set joins
    the last pair.
    """
    names = list(_set_of(activity))
    at = names.index(activity)
    if at % 2:
        return names[at - 1]
    return names[at - 2] if at == len(names) - 1 else None


def unrelated(activities: Iterable[str], knobs: Knobs = PLAIN) -> list[str]:
    """The atomic actions that neither the scripts nor the plain scripts of ``activities`` name."""
    own = {a for c in activities for a, _ in (*ACTIVITIES[c], *script(c, knobs))}
    return [a for a in ACTIONS if a not in own]


def least(activity: str, knobs: Knobs = PLAIN) -> int:
    """Frames that the script of ``activity`` needs at least: one for each action, ``momentary`` for the shortest."""
    return len(script(activity, knobs)) + (knobs.momentary or 1) - 1


def durations(activity: str, frames: int, rng: np.random.Generator, knobs: Knobs = PLAIN) -> list[int]:
    """Frames of each action of the script, jittered, at least one each, ``frames`` (no fewer than ``least``) in all.

    What rounding leaves over goes to the longest action, under ``evenness`` one by one to those that lost most; this
    takes the jitter back too, so that at 1 no two actions differ by more than a frame.
    """
    shares = np.array([share for _, share in script(activity, knobs)])
    # As many numbers as in the plain world, so that what is drawn next is the same.
    jitter = np.resize(rng.uniform(*JITTER, len(ACTIVITIES[activity])), len(shares))
    weights = shares * jitter if knobs.evenness is None else shares * jitter ** (1 - knobs.evenness)
    if knobs.momentary is None:
        return _whole(weights, frames, knobs.evenness is not None)
    short = int(np.argmin(shares))
    others = _whole(np.delete(weights, short), frames - knobs.momentary, knobs.evenness is not None)
    return [*others[:short], knobs.momentary, *others[short:]]


# --- how -----------------------------------------------------------------------------------------------------------


def _whole(weights: np.ndarray, frames: int, fair: bool) -> list[int]:
    """``frames`` in proportion to ``weights`` [n], at least one each. ``fair``: the rest one by one, see above."""
    exact = weights / weights.sum() * frames
    counts = np.maximum(1, np.floor(exact).astype(int))
    left = frames - int(counts.sum())
    if fair and left > 0:
        counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    else:
        counts[int(np.argmax(counts))] += left
    while counts.min() < 1:  # never in the plain world
        counts[int(np.argmin(counts))] += 1
        counts[int(np.argmax(counts))] -= 1
    return [int(n) for n in counts]


def _part(of: Script, start: float, end: float) -> Iterator[tuple[str, float]]:
    """What a script shows between two points of its time, in [0, 1]."""
    at = 0.0
    for action, share in of:
        whole = start <= at and at + share <= end + EPS
        length = share if whole else min(at + share, end) - max(at, start)
        if length > EPS:
            yield action, length
        at += share


def _set_of(activity: str) -> dict[str, Script]:
    return next(s for s in SETS if activity in s)


def _evened(activity: str, knobs: Knobs) -> Script:
    """The script under ``actions`` and ``evenness``."""
    own = ACTIVITIES[activity]
    if knobs.actions is not None:
        own = _of_length(SETS.index(_set_of(activity)), knobs.actions)[activity]
    if knobs.evenness is None:
        return own
    return tuple((a, (1 - knobs.evenness) * share + knobs.evenness / len(own)) for a, share in own)


@cache
def _of_length(which: int, n: int) -> dict[str, Script]:
    """The scripts of ``SETS[which]`` with ``n`` actions, no two with the same ones as far as that can be had."""
    made = {c: s for c, s in SETS[which].items() if len(s) == n}
    for activity, own in sorted(SETS[which].items(), key=lambda item: -len(item[1])):
        while len(own) != n:
            options = _shorter(own, SETS[which]) if len(own) > n else _longer(own)
            taken = {frozenset(dict(s)) for s in made.values()}
            own = next((s for s in options if frozenset(dict(s)) not in taken), options[0])
        made[activity] = own
    return made


def _shorter(own: Script, of: dict[str, Script]) -> list[Script]:
    """Without one action, its time given to the others in proportion; first without the one that most classes have.

    Of those that as many have, the shortest: to leave out the shortest of all would make classes the same.
    """
    uses = Counter(a for s in of.values() for a, _ in s)
    order = sorted(own, key=lambda pair: (-uses[pair[0]], pair[1]))
    return [tuple((a, share / (1 - gone[1])) for a, share in own if a != gone[0]) for gone in order]


def _longer(own: Script) -> list[Script]:
    """With one more action at the end, of average duration; first the one that most scripts have beside one of these.

    Where none has, the figure celebrates.
    """
    have, n = set(dict(own)), len(own)
    beside = Counter(a for s in ACTIVITIES.values() if have & set(dict(s)) for a, _ in s)
    known = [a for a in ACTIONS if a not in have and any(a in dict(s) for s in ACTIVITIES.values())]
    order = sorted(known, key=lambda a: (-beside[a], a != "celebrate"))
    return [(*((b, share * n / (n + 1)) for b, share in own), (a, 1 / (n + 1))) for a in order]
