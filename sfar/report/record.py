"""Where a measured number comes from: command, configuration, code revision, hardware, versions, time."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sfar import paths
from sfar.config import Profile, as_dict
from sfar.errors import SfarError


def revision() -> str:
    """The git revision, with "+changes" when the tree has uncommitted ones under ``sfar/``; "unknown" outside git."""
    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(["git", *args], cwd=paths.PROJECT, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None
    head = git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    return head + ("+changes" if git("status", "--porcelain", "--", "sfar") else "")


def hardware() -> str:
    """The processor and, if there is one, the GPU, in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        name = next((line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")), name)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"


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
