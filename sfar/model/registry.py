"""The methods by name, in the order of the tables. docs/adding-a-method.md says how to add one."""

from __future__ import annotations

import difflib

from sfar.errors import ConfigError
from sfar.model import mean_pool, sfar, single_granularity, temporal
from sfar.model.method import Method

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


def get(name: str) -> Method:
    """The method called ``name``. Raises ``ConfigError`` with the known names for another."""
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"unknown method {name!r}{hint} Known: {', '.join(METHODS)}")
    return METHODS[name]


def get_trained(name: str) -> Method:
    """The method called ``name``, which is trained. Raises ``ConfigError`` also for one that is not."""
    method = get(name)
    if not method.trained:
        *others, last = (m.name for m in METHODS.values() if m.trained)
        raise ConfigError(f"{name!r} is not trained: expected {', '.join(others)} or {last}")
    return method


def own() -> tuple[Method, ...]:
    """The paper's method in its readings, the chosen one first."""
    return tuple(sorted((m for m in METHODS.values() if m.own), key=lambda m: m.name))


def rivals() -> tuple[Method, ...]:
    """The methods that SFAR is compared with, in the order of the tables."""
    return tuple(m for m in METHODS.values() if m.rival)
