"""``sfar bench ...``: how fast it is, as ratios within one run."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _bench(a: argparse.Namespace) -> None:
    # Else torch's profiler reports its own start and end; read when torch is imported.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from sfar.bench import page, suite
    from sfar.util.paths import check_output

    out = Path(a.out) if a.out else suite.output(a.quick)
    check_output(out / "README.md")
    words = [
        "sfar",
        "bench",
        *a.parts,
        *(["--quick"] if a.quick else []),
        *(["--folder", a.folder] if a.folder else []),
        *(["--out", a.out] if a.out else []),
    ]
    settings = suite.Bench(a.quick, Path(a.folder) if a.folder else None)
    files = suite.run(a.parts, out, shlex.join(words), settings)
    files += page.write(out)
    print(page.targets_markdown(page.load(out)))
    print("Written: " + ", ".join(os.path.relpath(f) for f in files))


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the ``bench`` command to the ``sfar`` parser; ``command`` is the parser's own helper."""
    p = command(
        "bench",
        _bench,
        "Measure how fast it is: head, overhead over CLIP, reader, input pipeline, training step, many seeds, scaling, "
        "start.",
        sub,
    )
    p.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="head, overhead, reader, pipeline, step, replicates, scaling, start (default: all of these, about 12 "
        "minutes on 2 cores); gpu: what a GPU alone can show (at most 8 minutes on an H100)",
    )
    p.add_argument("--folder", default="", metavar="DIR", help="reader: videos of your own too")
    p.add_argument("--quick", action="store_true", help="tiny sizes, in seconds: does it run? Its numbers mean little")
    p.add_argument(
        "--out", default="", metavar="DIR", help="default: results/bench, with --quick results/runs/bench-quick"
    )
