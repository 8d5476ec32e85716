"""Stand-in until the registry of methods is there."""

from sfar.errors import ConfigError
from sfar.model.method import Method

METHODS = {m.name: m for m in (
    Method("vanilla", "Vanilla CLIP (zero-shot)", "#999999", trained=False),
    Method("clip", "Baseline (CLIP)", "#E69F00"),
    Method("temporal", "Baseline (Temporal)", "#56B4E9"),
    Method("single", "Single granularity (BIKE)", "#CC79A7"),
    Method("sfar", "SFAR", "#0072B2", own=True),
)}


def get(name: str) -> Method:
    """Stand-in."""
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name]


def rivals() -> tuple[Method, ...]:
    """Stand-in."""
    return tuple(m for m in METHODS.values() if not m.own)
