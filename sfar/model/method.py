"""Stand-in until the registry of methods is there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Stand-in."""

    name: str
    title: str
    colour: str
    trained: bool = True
    own: bool = False
    marker: str = "o"
