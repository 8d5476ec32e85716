"""The record of Table 13: what sub-texts are worth. No LLM is asked, so what they cost is the paper's alone.

The accuracies are those of Figure 7b's record, of its groups that were written by hand or follow from the scripts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfar.config import Profile, get_profile
from sfar.studies import fig7b
from sfar.studies.core import record as records
from sfar.util import paths

MAKE = "make reproduce-table13"


def inputs(profile: Profile) -> str:
    """Hash of all that the record follows from, the record of Figure 7b included."""
    return records.inputs(profile, "table13", fig7b.inputs(profile))


def path(profile: Profile) -> Path:
    """Where the record is written."""
    return records.folder(profile) / "table13.json"


def measure(profile: Profile) -> dict[str, Any]:
    """The record. Raises ``SfarError`` where the record of Figure 7b is missing or stale."""
    figure = fig7b.load(profile)
    return {
        "table": "table13",
        "profile": profile.name,
        "inputs": inputs(profile),
        "seeds": figure["seeds"],
        "rows": [
            {"group": g["name"], "title": g["title"], "kind": g["kind"], "top1": g["top1"]}
            for g in figure["groups"]
            if g["kind"] != "derived"
        ],
        "provenance": records.provenance(MAKE, profile, 0.0),
    }


def load(profile: Profile) -> dict[str, Any]:
    """The written record. Raises ``SfarError`` if there is none or if it is stale."""
    return records.current(path(profile), inputs(profile), MAKE)


def table13(
    profile: str | Profile = "storyboard", source: str = "record", overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The record of Table 13: the written one (``source`` "record") or one made now of Figure 7b's ("measure")."""
    found = profile if isinstance(profile, Profile) else get_profile(profile, overrides)
    return records.obtain(source, lambda: load(found), lambda: measure(found))


def write(profile: Profile) -> tuple[dict[str, Any], list[Path]]:
    """Measure and write ``table13.json``; returns the record and its path."""
    record = measure(profile)
    paths.write_json(path(profile), record)
    return record, [path(profile)]
