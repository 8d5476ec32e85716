"""``sfar bench start``: how long a command on Kinetics-400 reads lists and names before its first video."""

from __future__ import annotations

import csv
import os
import random
import string
import tempfile
import time
from pathlib import Path
from typing import Any

from sfar.bench.inputs import Bench
from sfar.bench.measure import resident_peak, summary, target
from sfar.config import get_profile
from sfar.data.labels import class_names
from sfar.data.source import dataset
from sfar.util import processes

LISTED = {"train": 246_534, "val": 19_907}  # rows of Kinetics-400's lists
QUICK = {"train": 800, "val": 400}
SECONDS, MEGABYTES = 10.0, 600.0  # at most
REPEATS = 3
_ID = string.ascii_letters + string.digits + "-_"


def write_tree(root: Path, listed: dict[str, int]) -> None:
    """A copy of Kinetics-400 as far as names tell: its lists with ``listed`` rows, and links to one empty file."""
    names, chance = class_names("kinetics400"), random.Random(0)
    (root / "annotations").mkdir(parents=True)
    (root / "video").touch()
    for split, rows in listed.items():
        (root / split).mkdir()
        with open(root / "annotations" / f"{split}.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
            for i in range(rows):
                video, start = "".join(chance.choices(_ID, k=11)), chance.randrange(300)
                out.writerow([names[i % len(names)], video, start, start + 10, split, 0])
                os.symlink("../video", root / split / f"{video}_{start:06d}_{start + 10:06d}.mp4")


def read(root: str) -> tuple[float, int | None, int]:
    """Seconds to read, check and fingerprint the data set below ``root``; bytes that it takes; its training clips."""
    profile, found, started = get_profile("paper", {"data.root": root}), [], time.perf_counter()
    memory = resident_peak(lambda: found.append(dataset(profile)))
    seconds = time.perf_counter() - started
    return seconds, memory, len(found[0].manifest("train").clips)


def ticks(b: Bench) -> int:
    """How many times ``run`` ticks."""
    return 1 + (1 if b.quick else REPEATS)


def run(b: Bench) -> dict[str, Any]:
    """What every command on Kinetics-400 does first, each time in a fresh process."""
    seconds, memory, clips = [], [], 0
    with tempfile.TemporaryDirectory(prefix="sfar-bench-") as folder:
        write_tree(Path(folder), QUICK if b.quick else LISTED)
        b.tick("lists and links")
        for _ in range(1 if b.quick else REPEATS):
            with processes.Workers(1) as pool:
                took, more, clips = pool.result(pool.submit(read, folder))
            seconds.append(took)
            memory += [] if more is None else [more / 1e6]
            b.tick("read")
    took, more = summary(seconds), summary(memory) if memory else None
    return {
        "clips": clips,
        "seconds": took,
        "megabytes": more,
        "targets": [
            target("lists of Kinetics-400, read and fingerprinted", took["median"], SECONDS, False, "s"),
            target("the same, memory", more["median"] if more else None, MEGABYTES, False, "MB"),
        ],
    }
