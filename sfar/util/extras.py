"""Optional dependencies: who lacks one is told which extra of the package brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sfar.errors import ConfigError


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Around imports that ``what`` needs and ``sfar[name]`` brings.

    Raises ``ConfigError`` with the command to type if a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as e:
        if not e.name or e.name.split(".")[0] == "sfar":
            raise
        raise ConfigError(f"{what} needs the package {e.name}: pip install 'sfar[{name}]'") from e
