"""Runs on the machines of a Ray cluster: each is a task with its GPUs, made again where its node was lost.

All nodes have this code and see one cache, on a file system that they share: there lie the videos that a run finds, the
states from which it goes on, and what it leaves.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sfar.errors import ConfigError, SfarError
from sfar.runs import launch, places
from sfar.runs.task import Task
from sfar.util import cache, paths, processes
from sfar.util.extras import extra

with extra("cluster", "--executor ray"):
    import ray
    from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayTaskError, WorkerCrashedError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

TRIES = 3  # of a run whose process is killed while its node lives on: most often by the system, when memory runs out
_TICK = 0.5  # seconds between two looks at how far the runs are
_ENDING = 30.0  # seconds that are waited for runs that were told to end
_OURS = ("SFAR_", "HF_")  # variables that a node is to have as they are here


# --- on a node -------------------------------------------------------------------------------------------------------


class _Progress:
    """What runs say of themselves until it is asked for: an actor on the node of the command."""

    def __init__(self) -> None:
        self._said: list[tuple[str, float]] = []

    def say(self, name: str, done: float) -> None:
        """So much more of a task is done."""
        self._said.append((name, done))

    def heard(self) -> list[tuple[str, float]]:
        """All that was said since the last time."""
        said, self._said = self._said, []
        return said


class _Told:
    """What a task tells its progress: it is handed on now and then, and not for every step."""

    def __init__(self, progress: Any, name: str):
        self._progress, self._name = progress, name
        self._done, self._last = 0.0, 0.0

    def __call__(self, done: float) -> None:
        self._done += done
        if time.monotonic() - self._last >= _TICK:
            self._progress.say.remote(self._name, self._done)
            self._done, self._last = 0.0, time.monotonic()


def _code() -> str:
    """Of the code and the libraries that make runs."""
    return cache.key("run", None)


def _be(variables: dict[str, str], mark: Path, code: str, each: int) -> None:
    """Make this process of a node one that makes runs as the command would. Raises ``ConfigError`` if it is not."""
    os.environ.update(variables)
    own = ray.get_runtime_context().get_node_id()
    node = next(n for n in ray.nodes() if n["NodeID"] == own)
    name = node["NodeManagerHostname"]
    if not mark.is_file():
        raise ConfigError(
            f"node {name} does not see the cache {mark.parent} of this command: set SFAR_CACHE to a folder that all "
            "nodes share, under the same name"
        )
    if _code() != code:
        raise ConfigError(
            f"node {name} has other code or other libraries than this command: have all nodes use one checkout and one "
            "environment, or the same revision and lock file"
        )
    places.enter("", max(1, int(node["Resources"].get("GPU", 0)) // each))  # which GPUs, Ray has said


def _make(task: Task, each: int, progress: Any, variables: dict[str, str], mark: Path, code: str) -> Any:
    _be(variables, mark, code, each)
    return launch.made(task, each, _Told(progress, task.name))


def _other(work: Callable[[Any], Any], item: Any, variables: dict[str, str], mark: Path, code: str) -> Any:
    _be(variables, mark, code, 1)
    return work(item)


# --- the command -----------------------------------------------------------------------------------------------------


@contextmanager
def connected(each: int) -> Iterator[Ray]:
    """The cluster that RAY_ADDRESS names, or that runs on this machine, or else one of this machine alone.

    ``each``: GPUs (where there are none, processes) of a run. Raises ``ConfigError`` where no node has so many, and
    ``SfarError`` where there is no cluster.
    """
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # one that is started here tells nobody
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as e:
            raise SfarError(
                f"no Ray cluster (RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')!r}): {e}. Start one with `ray start "
                "--head`, or take the address back to have this machine alone"
            ) from e
    folder = paths.cache()
    paths.check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".cluster.") as mark:
        progress: Any = ray.remote(_Progress).options(num_cpus=0, scheduling_strategy=here).remote()
        try:
            yield Ray(each, progress, Path(mark.name))
        finally:
            ray.kill(progress)


class Ray:
    """A cluster, in place of ``executor.Here``. ``side``: programs of one process that it makes at once."""

    def __init__(self, each: int, progress: Any, mark: Path):
        self.each, self._progress = each, progress
        own = {k: v for k, v in os.environ.items() if k.startswith(_OURS)}
        own |= {"SFAR_CACHE": str(paths.cache()), places.EXECUTOR: places.EXECUTORS[0]}
        self._here = (own, mark, _code())
        total = ray.cluster_resources()
        self.kind = "GPU" if total.get("GPU") else "CPU"
        self.side = max(1, int(total.get(self.kind, 0)))
        if not self._fits():
            have = [f"{n['Resources'].get(self.kind, 0):g}" for n in _nodes()]
            raise ConfigError(
                f"no node of the Ray cluster has the {each} {self.kind}s of a run (--gpus-per-run): its nodes have "
                f"{', '.join(have)}; ask for fewer, or begin when one is there"
            )

    def one(self, work: Callable[[Any], Any], item: Any) -> Any:
        """``work(item)``, where the GPUs are."""
        return next(iter(self.imap(work, [item]))) if self.kind == "GPU" else work(item)

    def pool(self, count: int) -> AbstractContextManager[Ray]:
        """For ``count`` pieces of other work, each by one process."""
        return nullcontext(self)

    def imap(self, work: Callable[[Any], Any], items: Iterable) -> Iterator:
        """``work(item)`` of each item, in their order."""
        make = ray.remote(_other).options(max_retries=TRIES, **self._needs(1))
        waiting = [make.remote(work, item, *self._here) for item in items]
        with _ended(waiting):
            for ref in waiting:
                try:
                    yield ray.get(ref)
                except RayTaskError as e:
                    raise (e.cause if isinstance(e.cause, SfarError) else e) from e

    def make(self, todo: Sequence[Task], bar: tqdm) -> dict[str, Any]:
        """Make the tasks, and tell ``bar``; returns what was made, by key."""
        waiting = {self._submit(t): t for t in todo}
        made: dict[str, Any] = {}
        killed: dict[str, int] = {}
        runs = sum(len(t.all) for t in todo)
        with _ended(waiting):
            while waiting:
                ready, _ = ray.wait(list(waiting), timeout=_TICK)
                for name, done in ray.get(self._progress.heard.remote()):
                    left = sum(len(t.all) for t in waiting.values())
                    bar.set_postfix_str(f"{runs - left}/{runs} runs, {name}", refresh=False)
                    bar.update(min(done, bar.total - bar.n))
                bar.refresh()
                for ref in ready:
                    task = waiting.pop(ref)
                    value, lost = self._value(ref, task)
                    if not lost:
                        made |= task.by_key(value)
                        continue
                    killed[task.key] = killed.get(task.key, 0) + (lost == "process")
                    if killed[task.key] == TRIES:
                        raise task.died()
                    bar.write(f"sfar: run {task.name}: its {lost} is gone; {self._again()}", file=sys.stderr)
                    waiting[self._submit(task)] = task
        return made

    def _value(self, ref: Any, task: Task) -> tuple[Any, str]:
        """What a task gave, or else what of it was lost."""
        try:
            return ray.get(ref), ""
        except RayTaskError as e:
            if isinstance(e.cause, processes.ProcessDied):
                return None, "process"
            if isinstance(e.cause, SfarError):
                raise task.failed(e.cause) from e
            raise
        except (NodeDiedError, ObjectLostError):
            return None, "node"
        except (WorkerCrashedError, OutOfMemoryError):
            return None, "process"

    def _again(self) -> str:
        if self._fits():
            return "it goes on from its last kept state"
        return f"no node that is left has {self.each} {self.kind}s, it waits for one"

    def _fits(self) -> bool:
        return any(n["Resources"].get(self.kind, 0) >= self.each for n in _nodes())

    def _needs(self, each: int) -> dict[str, Any]:
        return {"num_cpus": each, "num_gpus": each if self.kind == "GPU" else 0}

    def _submit(self, task: Task) -> Any:
        each = self.each if task.share else 1
        make = ray.remote(_make).options(max_retries=0, **self._needs(each))
        return make.remote(task, each, self._progress, *self._here)


def _nodes() -> list[dict[str, Any]]:
    return [n for n in ray.nodes() if n["Alive"]]


@contextmanager
def _ended(waiting: Iterable[Any]) -> Iterator[None]:
    """Whatever goes wrong inside, no run works on for nobody: each is killed, and all that it has started ends with it.

    ``waiting``: those that are at work at that moment.
    """
    try:
        yield
    except BaseException:
        left = list(waiting)
        for ref in left:
            ray.cancel(ref, force=True)
        ray.wait(left, num_returns=max(1, len(left)), timeout=_ENDING) if left else None
        raise
