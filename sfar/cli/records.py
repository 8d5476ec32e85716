"""``sfar records ...``: records of the paper profile that others have measured (CONTRIBUTING.md)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.cli import options


def _check(a: argparse.Namespace) -> int:
    from sfar.reproduce import contributed

    wrong = {file: contributed.check(Path(file)) for file in a.files}
    for file, lines in wrong.items():
        for line in lines or ["can be taken"]:
            print(f"{file}: {line}")
    return int(any(wrong.values()))


def _page(a: argparse.Namespace) -> None:
    from sfar.reproduce import contributed

    print(f"Written: {os.path.relpath(contributed.write())}")


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the ``records`` commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    what = options.group(sub, "records", "Records of the paper profile from others: check them, show them.")
    p = command(
        "check",
        _check,
        "Check records: form, provenance, hash of configuration and code, claims decided again. Status 1: one cannot "
        "be taken.",
        what,
    )
    p.add_argument("files", nargs="+", type=options.named, metavar="FILE", help="results/paper/table1.json ...")
    command("page", _page, "Write results/paper/contributed.md: the records there beside what the paper prints.", what)
