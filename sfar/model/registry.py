"""The methods by name, in the order of the tables. docs/adding-a-method.md says how to add one.

``METHODS`` are those that every study of all methods compares; ``SYSTEMS`` those that the paper quotes from elsewhere,
which the study of the systems measures.
"""

from __future__ import annotations

import difflib

from sfar.errors import ConfigError
from sfar.model import mean_pool, sfar, single_granularity, temporal
from sfar.model.method import Method
from sfar.model.systems import aim, m2clip, mean, ost, st_adapter, tc_clip, vita, xclip
from sfar.model.systems import temporal as temporal_systems

METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        mean_pool.VANILLA,
        mean_pool.CLIP,
        temporal.METHOD,
        single_granularity.METHOD,
        sfar.AS_PRINTED,
        sfar.METHOD,
    )
}

SYSTEMS: dict[str, Method] = {
    m.name: m
    for m in (
        ost.METHOD,
        *ost.CONTROLS,
        mean.METHOD,
        temporal_systems.METHOD,
        temporal_systems.TEXT4VIS,
        xclip.METHOD,
        vita.METHOD,
        *vita.CONTROLS,
        tc_clip.METHOD,
        st_adapter.METHOD,
        m2clip.METHOD,
        aim.METHOD,
    )
}


def every() -> dict[str, Method]:
    """All methods by name, the systems last."""
    return METHODS | SYSTEMS


def get(name: str) -> Method:
    """The method called ``name``. Raises ``ConfigError`` with the known names for another."""
    known = every()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"unknown method {name!r}{hint} Known: {', '.join(known)}")
    return known[name]


def get_trained(name: str) -> Method:
    """The method called ``name``, which is trained. Raises ``ConfigError`` also for one that is not."""
    method = get(name)
    if not method.trained:
        *others, last = (m.name for m in every().values() if m.trained)
        raise ConfigError(f"{name!r} is not trained: expected {', '.join(others)} or {last}")
    return method


def own() -> tuple[Method, ...]:
    """The paper's method in its readings, the chosen one first."""
    return tuple(sorted((m for m in METHODS.values() if m.own), key=lambda m: m.name))


def rivals() -> tuple[Method, ...]:
    """The methods that SFAR is compared with, in the order of the tables."""
    return tuple(m for m in METHODS.values() if m.rival)
