"""Where a measured number comes from: command, configuration, code revision, hardware, versions, time."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sfar.config import DRAWN, Profile, as_dict, digest, get_profile
from sfar.errors import ConfigError, SfarError
from sfar.model.clip import STORYBOARD
from sfar.subtexts import SubTexts
from sfar.util import cache, paths
from sfar.util.provenance import hardware, revision


def provenance(command: str, profile: Profile, seconds: float) -> dict[str, Any]:
    """What stands beside every record."""
    return {
        "command": command,
        "revision": revision(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("torch", "open_clip_torch", "av", "numpy")},
        "training_seconds": round(seconds, 1),
        "config": as_dict(profile),
    }


def read(path: Path, make: str) -> dict[str, Any]:
    """A record. Raises ``SfarError`` naming the target that makes it when it is not there or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise SfarError(f"{path} is not there: run `{make}` first") from e
    except ValueError as e:
        raise SfarError(f"{path} is not valid JSON ({e}): run `{make}` again") from e


def _config(profile: Profile) -> list[Any]:
    return [
        as_dict(profile.model),
        as_dict(profile.train),
        {k: v for k, v in as_dict(profile.data).items() if k != "root"},
    ]


def inputs(profile: Profile, *entries: str, extra: Any = None) -> str:
    """Hash of all that a record's numbers follow from, library versions aside: a record of another hash is stale.

    ``entries``: the function that measures it (``code.entry``) and the data files of the package that it reads;
    ``extra``: inputs that are not in the profile.
    """
    names = {"profile": profile.name, "seeds": list(profile.seeds)} | (
        {"root": profile.data.root} if profile.data.root else {}
    )
    return digest([names, _config(profile), extra, cache.code_version("record", *entries)])


def folder(profile: Profile, extra: Any = None) -> Path:
    """Where this profile's records are written: ``results/<profile>/``, or ``results/runs/`` for a changed configuration or other ``extra`` inputs."""
    standard = get_profile(profile.name)
    if standard.data.dataset != "storyboard-kinetics":  # a real data set has to be somewhere
        standard = dataclasses.replace(standard, data=dataclasses.replace(standard.data, root=profile.data.root))
    if profile == standard and not extra:
        return paths.results(profile.name)
    return (
        paths.PROJECT
        / "results"
        / "runs"
        / f"{profile.name}-{digest(_config(profile), profile.data.root, list(profile.seeds), extra)[:8]}"
    )


def suffix(profile: Profile) -> str:
    """What a make command needs to name this profile."""
    return f" PROFILE={profile.name}" if profile.name != "storyboard" else ""


def texts_version(profile: Profile) -> str | None:
    """Hash of the bundled sub-texts of the drawn world, which its records follow from; None for a real data set."""
    if profile.data.root or profile.data.dataset not in DRAWN:
        return None
    return digest([dict(SubTexts.load(STORYBOARD, n)) for n in (2, 3, 4, 5)])


def obtain(source: str, load: Callable[[], dict[str, Any]], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The written record (``source`` "record") or one measured now ("measure"). Raises ``ConfigError`` for another source."""
    if source not in ("record", "measure"):
        raise ConfigError(
            f"unknown source {source!r}: expected 'record' (what is written in results/) or 'measure' (run now; finished runs are kept)"
        )
    return load() if source == "record" else measure()


def current(path: Path, version: str, make: str) -> dict[str, Any]:
    """The record at ``path``. Raises ``SfarError`` naming the command ``make`` if there is none or if its inputs are not ``version``."""
    record = read(path, make)
    if record.get("inputs") != version:
        raise SfarError(f"{path} was measured with another configuration or other code: run `{make}` again")
    return record
