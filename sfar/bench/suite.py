"""``sfar bench``: the parts of the benchmark, run one after another, each into a record of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sfar.bench import gpu, head, overhead, pipeline, reader, replicates, scaling, start, step
from sfar.bench.inputs import Bench
from sfar.bench.measure import BenchError, provenance
from sfar.util import paths


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    ``run(bench)`` measures and returns JSON types with a list of ``targets``; ``ticks(bench)`` is how often it calls
    ``bench.tick`` meanwhile.
    """

    run: Callable[[Bench], dict[str, Any]]
    ticks: Callable[[Bench], int]
    title: str


PARTS = {
    "head": Part(head.run, head.ticks, "SFAR's head against a literal one"),
    "overhead": Part(overhead.run, overhead.ticks, "what SFAR adds to CLIP"),
    "reader": Part(reader.run, reader.ticks, "reading 8 frames of a video"),
    "pipeline": Part(pipeline.run, pipeline.ticks, "reading against training"),
    "step": Part(step.run, step.ticks, "a training step"),
    "replicates": Part(replicates.run, replicates.ticks, "many seeds in one program"),
    "scaling": Part(scaling.run, scaling.ticks, "several processes"),
    "start": Part(start.run, start.ticks, "lists of a quarter of a million videos"),
    "gpu": Part(gpu.run, gpu.ticks, "what a GPU alone can show"),
}
ALONE = ("gpu",)  # measured only when asked for by name


def chosen(names: list[str]) -> list[str]:
    """The parts called ``names`` in their order; for an empty list all but ``ALONE``.

    Raises ``BenchError`` for an unknown one.
    """
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        raise BenchError(f"unknown part {unknown[0]!r} of the benchmark: expected {', '.join(PARTS)}")
    return [n for n in PARTS if (n in names if names else n not in ALONE)]


def output(quick: bool) -> Path:
    """Where records are written by default: a quick run's numbers mean little and never replace the others."""
    return paths.PROJECT / "results" / ("runs/bench-quick" if quick else "bench")


def run(names: list[str], out: Path, command: str, bench: Bench, silent: bool = False) -> list[Path]:
    """Measure the parts ``names`` (none: ``chosen``) and write ``out/<part>.json`` as each is done; returns the paths.

    A progress bar shows what runs and what remains. Raises ``BenchError`` for an unknown part, a folder without videos,
    contenders that disagree.
    """
    todo, written = chosen(names), []
    if bench.folder and not bench.folder.is_dir():
        raise BenchError(f"{bench.folder} is not a folder: expected one with videos")
    ticks = {n: PARTS[n].ticks(bench) for n in todo}
    with tqdm(total=sum(ticks.values()), unit="measurement", disable=silent) as bar:
        for k, name in enumerate(todo):
            started, before = time.perf_counter(), bar.n
            bar.set_description(
                f"{name} ({PARTS[name].title})" + (f", then {', '.join(todo[k + 1 :])}" if todo[k + 1 :] else "")
            )

            def tick(text: str, bar: tqdm = bar) -> None:
                bar.set_postfix_str(f"done: {text}", refresh=False)
                bar.update()

            bench.tick = tick
            record = PARTS[name].run(bench)
            bar.update(before + ticks[name] - bar.n)
            written.append(out / f"{name}.json")
            paths.write_json(
                written[-1],
                {
                    "part": name,
                    "title": PARTS[name].title,
                    "provenance": provenance(command, time.perf_counter() - started, bench.quick),
                    **record,
                },
            )
    return written
