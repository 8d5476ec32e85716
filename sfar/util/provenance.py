"""Which code and which machine a number comes from."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from sfar.util import paths


def revision() -> str:
    """The git revision, with "+changes" when the tree has uncommitted ones under ``sfar/``.

    "unknown" outside git and for a package installed from a wheel.
    """
    if paths.CHECKOUT is None:
        return "unknown"

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(["git", *args], cwd=paths.CHECKOUT, capture_output=True, text=True, check=False)
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
        name = next(
            (line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")),
            name,
        )
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"
