"""How the benchmarks measure: contenders in turn, ratios with their spread, memory, growth, where a number comes from.

A time by itself says little on a machine that does other things too. Contenders therefore take turns (A, B, A, B, ...),
each pair gives one ratio, and the record has the median of the ratios with quartiles and extremes.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfar.errors import SfarError
from sfar.util import processes
from sfar.util.provenance import hardware, revision

LIBRARIES = ("torch", "open_clip_torch", "av", "decord", "numpy")
Call = Callable[[], Any]


class BenchError(SfarError):
    """A benchmark that would compare different things, or a part or folder that is not there."""


def rounded(x: float) -> float:
    """Four significant digits: more is noise."""
    return float(f"{x:.4g}")


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, extremes and number of ``values`` (at least one)."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {
        "median": rounded(middle),
        "q25": rounded(low),
        "q75": rounded(high),
        "min": rounded(min(values)),
        "max": rounded(max(values)),
        "n": len(values),
    }


def ratio(a: Sequence[float], b: Sequence[float]) -> dict[str, float]:
    """``summary`` of a[k] / b[k] over the pairs of a run."""
    return summary([x / y for x, y in zip(a, b, strict=True)])


def percent(found: dict[str, float]) -> dict[str, float]:
    """A ``summary`` of shares in percent."""
    return {k: v if k == "n" else rounded(100 * v) for k, v in found.items()}


def synchronize(device: torch.device) -> None:
    """Wait for a GPU: its calls return before they are done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    calls: dict[str, Call], repeats: int, device: torch.device, tick: Callable[[str], None] | None = None
) -> dict[str, list[float]]:
    """Seconds of each call, in rounds: every contender once, in the same order, ``repeats`` times.

    ``tick(name)`` is called after each. The garbage of one contender is not collected in another's time.
    """
    out: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, call in calls.items():
                synchronize(device)
                start = time.perf_counter()
                call()
                synchronize(device)
                out[name].append(time.perf_counter() - start)
                if tick:
                    tick(name)
    finally:
        if collecting:
            gc.enable()
    return out


@contextmanager
def without_onednn() -> Iterator[None]:
    """Products of matrices on a CPU by the library of ``torch.mm`` itself (see ``sfar/model/kernels/matmul.py``)."""
    before = torch.backends.mkldnn.enabled
    unchanged: Any = None  # the precision of products
    torch.backends.mkldnn.set_flags(_enabled=False, _fp32_precision=unchanged)
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before, _fp32_precision=unchanged)


def allocated_peak(call: Call, device: torch.device) -> tuple[int, Any]:
    """Most bytes of tensors that ``call`` holds at one time above what is there before it, and what it returns.

    GPU: ``torch.cuda.max_memory_allocated``. CPU: the running sum of torch's own record of every allocation and release
    (its profiler's memory events): exact and the same on any machine, without what a library takes by itself.
    ``resident_peak`` counts that too.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before, result
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        result = call()
    kineto: Any = profile.profiler  # torch gives the events of memory in this way alone, and does not declare it
    events = sorted((e for e in kineto.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())
    return int(max(np.cumsum([e.nbytes() for e in events]), default=0)), result


def resident_peak(call: Call) -> int | None:
    """Bytes by which this process's memory rises at most during ``call``; None where the system does not tell.

    Linux's own high-water mark, set back beforehand. Meant for a fresh process: memory that an earlier call has given
    back to the allocator, and not to the system, would hide a rise.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call()
        return _status("VmHWM") - before
    except OSError:
        return None


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def growth(x: Sequence[float], y: Sequence[float]) -> float:
    """Exponent p of y ~ x^p: the slope of a least-squares line through the logarithms."""
    return rounded(float(np.polyfit(np.log(x), np.log(y), 1)[0]))


def target(name: str, value: float | None, limit: float, at_least: bool, unit: str) -> dict[str, Any]:
    """A promise and whether it was kept; ``value`` None (nothing to measure it on): neither kept nor broken."""
    reached = None if value is None else bool(value >= limit if at_least else value <= limit)
    return {"name": name, "value": value, "limit": limit, "at_least": at_least, "unit": unit, "reached": reached}


def provenance(command: str, seconds: float, quick: bool) -> dict[str, Any]:
    """Machine, versions, revision, command.

    ``load``: the machine's load average when the record was written (the benchmark's own threads count).
    """
    return {
        "command": command,
        "revision": revision(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "cores": processes.cores(),
        "threads": torch.get_num_threads(),
        "load": rounded(os.getloadavg()[0]) if hasattr(os, "getloadavg") else None,
        "quick": quick,
        "python": platform.python_version(),
        "versions": {n: _version(n) for n in LIBRARIES},
        "seconds": round(seconds, 1),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # decord has no wheel for every machine
        return "absent"
