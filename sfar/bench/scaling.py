"""``sfar bench scaling``: how training gets faster on several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from sfar.bench.inputs import Bench
from sfar.bench.measure import BenchError, ratio, rounded, summary
from sfar.config import get_profile
from sfar.data.source import dataset, load_clips
from sfar.util import paths, processes


def launch(count: int, overrides: dict[str, Any], folder: Path) -> float:
    """Clips/s of ``sfar train sfar`` on ``count`` processes of one thread each, by its own clock.

    Start-up is not counted. ``folder``: where it writes. Raises ``BenchError`` when the training fails.
    """
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"] if count > 1 else []
    history = folder / "history.json"
    history.unlink(missing_ok=True)
    files = ["--out", str(folder / "trained.safetensors"), "--history", str(history)]
    fields = [w for k, v in overrides.items() for w in ("--set", f"{k}={v}")]
    done = subprocess.run(
        [sys.executable, *start, "-m", "sfar", "train", "sfar", *files, *fields],
        capture_output=True,
        text=True,
        check=False,
        cwd=paths.PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        why = next((line for line in said if line.startswith("sfar:")), said[-1])
        raise BenchError(f"training on {count} processes failed: {why}")
    trained = json.loads(history.read_text(encoding="utf-8"))
    return trained["steps"] * overrides["train.batch"] / trained["seconds"]


def process_counts() -> list[int]:
    """1, 2, 4, ... up to the number of GPUs, or of cores where there is none; that number itself too."""
    most = torch.cuda.device_count() or processes.cores()
    return sorted({min(2**k, most) for k in range(most.bit_length() + 1)})


def _scaling_size(b: Bench) -> tuple[dict[str, Any], int]:
    """Configuration of the training that is launched, and rounds."""
    if b.quick:
        return {"data.train_per_class": 1, "data.val_per_class": 1, "train.batch": 12, "train.epochs": 1}, 1
    return {"data.train_per_class": 4, "data.val_per_class": 1, "train.batch": 16, "train.epochs": 3}, 3


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 1 + _scaling_size(b)[1] * len(process_counts())


def run(b: Bench) -> dict[str, Any]:
    """Clips/s of the storyboard's training on 1 to all cores (or GPUs), one thread each, against the single process."""
    overrides, repeats = _scaling_size(b)
    profile = get_profile("storyboard", overrides)
    load_clips(profile, dataset(profile), "train")  # drawn and decoded now, not in one of the measured runs
    b.tick("videos")
    counts = process_counts()
    rates: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as folder:
        for _ in range(repeats):
            for n in counts:
                rates.setdefault(n, []).append(launch(n, overrides, Path(folder)))
                b.tick(f"{n} processes")
    rows = [
        {
            "processes": n,
            "clips_per_second": summary(rates[n]),
            "speed_ratio": (found := ratio(rates[n], rates[1])),
            "efficiency": rounded(found["median"] / n),
        }
        for n in counts
    ]
    return {"device": b.device.type, "overrides": overrides, "threads_each": 1, "rows": rows, "targets": []}
