"""Where a measured number comes from: command, configuration, code revision, hardware, versions, time."""

from __future__ import annotations

import json
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sfar.config import Profile, as_dict
from sfar.errors import SfarError
from sfar.provenance import hardware, revision


def provenance(command: str, profile: Profile, seconds: float) -> dict[str, Any]:
    """What stands beside every record."""
    return {
        "command": command, "revision": revision(), "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"), "hardware": hardware(),
        "python": platform.python_version(), "versions": {n: version(n) for n in ("torch", "open_clip_torch", "av", "numpy")},
        "training_seconds": round(seconds, 1), "config": as_dict(profile)}


def read(path: Path, make: str) -> dict[str, Any]:
    """A record. Raises ``SfarError`` naming the target that makes it when it is not there or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise SfarError(f"{path} is not there: run `{make}` first") from e
    except ValueError as e:
        raise SfarError(f"{path} is not valid JSON ({e}): run `{make}` again") from e
