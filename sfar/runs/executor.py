"""Many runs side by side, each kept under the key of its inputs; how the work is spread changes no number."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from open_clip.model import CLIP
from tqdm import tqdm

from sfar.config import ModelConfig, TrainConfig
from sfar.data.source import dataset
from sfar.errors import SfarError
from sfar.model.clip import load_clip
from sfar.model.video_model import VideoModel
from sfar.runs import kept, launch, places, store
from sfar.runs.job import Job
from sfar.runs.places import Places
from sfar.runs.run import Tick, device, embed_evaluation, embed_training, resolve, run_one
from sfar.runs.shared import run_shared
from sfar.runs.stacked import at_once, kind, run_stacked
from sfar.runs.task import First, Task
from sfar.training.log import Logged
from sfar.training.process_group import SingleProcess
from sfar.training.stacked import OneFailed
from sfar.util import cache, processes
from sfar.util.progress import Bar

if TYPE_CHECKING:
    from sfar.runs.cluster import Ray


def _common(job: Job) -> Job:
    """What of a job says which videos it works on: the same for all methods, seeds and settings of a training."""
    p, t = job.profile, job.profile.train
    keep = ("frames", "crop_area", "flip", "gray", "train_visual", "frozen_draws", "few_shot_epoch")
    profile = replace(
        p,
        model=ModelConfig(p.model.clip, p.model.pretrained, subtexts=p.model.subtexts, n_subtexts=p.model.n_subtexts),
        train=replace(TrainConfig(), **{name: getattr(t, name) for name in keep}),
        seeds=(0,),
        frozen_seeds=(),
    )
    return replace(job, profile=profile, method="clip" if job.trained else job.method, seed=0, views="1x1")


def _untold(job: Job) -> Job:
    p = job.profile
    return replace(job, profile=replace(p, model=replace(p.model, subtexts="", n_subtexts=1)))


def prepare(jobs: Sequence[Job], site: Here | Ray) -> list[tuple[int, int]]:
    """Draw, decode and embed, once, what the jobs' processes will find in the cache.

    Returns of each job the clips of one epoch and of the test, which ``Job.cost`` takes. What is the world's own is
    made here first, with all cores (frame embeddings where the GPUs are); then the other drawings of its training
    videos, side by side.
    """
    first: dict[Job, Job] = {}  # of those that differ in their sub-texts alone, which no video depends on
    common = [first.setdefault(_untold(job), job) for job in map(_common, jobs)]
    new = [job for job in dict.fromkeys(common) if job not in _known]
    others = [job for job in new if job.profile.data.replicate and site.side > 1]
    for job in new:
        if job not in others:
            _known[job] = site.one(_prepared, job) if job.frozen else _prepared(job)
    if others:
        with site.pool(len(others)) as pool:
            made = pool.imap(_prepared, others)
            bar = tqdm(made, total=len(others), desc="training videos of each seed", unit="drawing", smoothing=0.1)
            _known.update(zip(others, bar, strict=True))
    return [_known[job] for job in common]


_known: dict[Job, tuple[int, int]] = {}  # of this process


def _prepared(job: Job) -> tuple[int, int]:
    p, inputs = job.profile, resolve(job)
    training, val = inputs.training, inputs.validation
    assert val is not None
    if job.frozen:
        clip = _clip(p.model.clip, p.model.pretrained)
        embed_training(clip, inputs)
        for tested in (val, *inputs.unseen.values()):
            embed_evaluation(clip, tested)
    return len(training.clips) * training.repeats if training else 0, len(val.clips)


@functools.lru_cache(maxsize=1)
def _clip(name: str, pretrained: str) -> CLIP:
    """Of many lists of few clips each, one after another."""
    return load_clip(name, pretrained).to(device())


def _alone(tasks: Sequence[Task], workers: int) -> list[Task]:
    return list(tasks)


def spread(
    tasks: Sequence[Task],
    find: Callable[[str], Any | None],
    workers: int | None = None,
    desc: str = "training",
    together: Callable[[Sequence[Task], int], list[Task]] = _alone,
) -> list[Any]:
    """What is kept of all tasks, in their order: what ``find(key)`` finds is not made again.

    ``together(tasks, processes)``: what is made of those that are not kept, where some of them go into one program.

    They run side by side, on a CPU a process and a thread each, on GPUs as many each as are asked for
    (``places.per_run``); on one GPU one after another; on the machines of a Ray cluster where that is asked for
    (``places.executor``). ``workers``: at most so many at once on this machine. They are kept one by one: interrupted
    or failed, the finished ones stay. Raises ``SfarError`` naming the task that failed.
    """
    found = {t.key: made for t in tasks if (made := find(t.key)) is not None}
    new = {t.key: t for t in tasks if t.key not in found}
    if new:
        with _site(workers) as site:
            sizes = prepare([t.job for t in new.values()], site)
            cost = {key: t.job.cost(*size) for (key, t), size in zip(new.items(), sizes, strict=True)}
            todo = together(list(new.values()), site.side)
            # The long ones first: no core is idle at the end.
            todo.sort(key=lambda t: -sum(cost[part.key] for part in t.all))
            with Bar(total=sum(cost.values()), desc=desc, unit="clip", unit_scale=True) as bar:
                bar.set_postfix_str(f"0/{len(new)} runs")
                found |= site.make(todo, bar)
                bar.set_postfix_str(f"{len(new)}/{len(new)} runs", refresh=False)
                bar.update(bar.total - bar.n)
    return [found[t.key] for t in tasks]


def _site(workers: int | None) -> AbstractContextManager[Here | Ray]:
    """Where runs are made, by the environment."""
    each = places.per_run()
    if places.executor() == "ray":
        from sfar.runs import cluster

        return cluster.connected(each)
    return nullcontext(Here(each, workers))


class Here:
    """This machine: its GPUs, or else its cores. ``side``: programs of one process that it makes at once.

    ``each``: processes of a run that can be shared; ``most``: runs at once. Raises ``ConfigError`` for fewer GPUs.
    """

    def __init__(self, each: int, most: int | None):
        gpus = places.gpus() if device().type == "cuda" else None
        self.alone, self.shared = places.deal(gpus, 1, most), places.deal(gpus, each, most)
        self.in_turn = gpus is not None and len(self.alone) == 1
        self.side = len(self.alone)

    def one(self, work: Callable[[Any], Any], item: Any) -> Any:
        """``work(item)``."""
        return work(item)

    def pool(self, count: int) -> processes.Workers:
        """Processes for ``count`` pieces of other work."""
        return _workers(self.alone, count)

    def make(self, todo: Sequence[Task], bar: tqdm) -> dict[str, Any]:
        """Make the tasks, and tell ``bar``; returns what was made, by key."""
        several, alone = [], []
        for t in todo:
            (several if t.share and self.shared.processes > 1 else alone).append(t)
        made = side_by_side(several, bar, self.shared) if several else {}
        if alone:
            made |= one_after_another(alone, bar) if self.in_turn else side_by_side(alone, bar, self.alone)
        return made


def one_after_another(todo: Sequence[Task], bar: tqdm) -> dict[str, Any]:
    """Make the tasks in this process; returns what was made, by key."""
    made = {}
    for t in todo:
        bar.set_postfix_str(t.name)
        try:
            made |= t.by_key(t.make(t.key, bar.update))
        except OneFailed as e:
            raise t.failed(e) from e
    return made


_ticks: Any = None  # of a worker: the queue to its parent


def _workers(at: Places, count: int, ticks: Any = None) -> processes.Workers:
    """A process for each of the places, of which each takes its own; no more than there are pieces of work."""
    free = processes.context().Queue()
    for devices in at.devices[:count]:
        free.put(devices)
    return processes.Workers(min(len(at), count), _start_worker, (free, len(at), ticks))


def _start_worker(free: Any, side: int, ticks: Any) -> None:
    global _ticks
    _ticks = ticks
    places.enter(free.get(), side)


def _work(task: Task, each: int) -> Any:
    return launch.made(task, each, lambda n: _ticks.put((task.name, n)))


def side_by_side(todo: Sequence[Task], bar: tqdm, at: Places) -> dict[str, Any]:
    """The same in processes of their own, each with its GPUs or a thread; of a shared task they start others."""
    ticks = processes.context().Queue()
    stop = threading.Event()
    waiting: dict[Future, Task] = {}
    made = {}
    runs = sum(len(t.all) for t in todo)

    def show() -> None:
        while not stop.is_set():
            try:
                name, n = ticks.get(timeout=0.2)
            except queue.Empty:
                bar.refresh()  # the clock goes on while processes start and long steps last
                continue
            left = sum(len(t.all) for t in list(waiting.values()))
            bar.set_postfix_str(f"{runs - left}/{runs} runs, {name}", refresh=False)
            bar.update(min(n, bar.total - bar.n))

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        with _workers(at, len(todo), ticks) as pool:
            waiting |= {pool.submit(_work, t, at.processes): t for t in todo}
            for future in as_completed(list(waiting)):
                task = waiting.pop(future)
                try:
                    made |= task.by_key(pool.result(future))
                except processes.ProcessDied as e:
                    raise task.died() from e
                except SfarError as e:
                    raise task.failed(e) from e
    finally:
        stop.set()
        watcher.join()
    return made


# --- what is spread ---


def _making(job: Job, tick: Tick) -> Callable[[Logged], dict[str, Any]]:
    """What makes the record of a job: all of it, or its test with what `sfar train` has trained."""
    file = store.trained(job)
    return partial(store.take_up, job, file, tick) if file else partial(run_one, job, tick)


def _run(job: Job, key: str, tick: Tick) -> dict[str, Any]:
    return store.keep("run", key, _making(job, tick), job)


def _share(job: Job, key: str, tick: Tick, world: SingleProcess, first: First, weights: bool = False) -> dict[str, Any]:
    """The same as one of several processes."""
    return store.keep("run", key, partial(run_shared, job, world, first, tick), job, weights, world)


def _if_large(job: Job, share: Callable[..., Any]) -> Callable[..., Any] | None:
    """``share`` where a tower is at work: a head alone takes less than what processes would say to each other."""
    return None if job.frozen else partial(share, job)


def _run_stack(jobs: Sequence[Job], keys: Sequence[str], _: str, tick: Tick) -> list[dict[str, Any]]:
    """Each is kept as soon as it is there."""
    models: list[VideoModel] = []
    made = run_stacked(jobs, tick, models.append)

    def one(keeper: Logged) -> dict[str, Any]:
        record = next(made)
        keeper.model = models.pop()
        return record

    return [store.keep("run", key, one, job) for job, key in zip(jobs, keys, strict=True)]


def stacks(tasks: Sequence[Task], workers: int) -> list[Task]:
    """Runs that differ in their seed alone, cut into programs of a few; the others as they are.

    Those that are trained already among them.
    """
    groups: dict[Job, list[Task]] = {}
    out: list[Task] = []
    for t in tasks:
        if (of := kind(t.job)) and not store.trained(t.job):
            groups.setdefault(of, []).append(t)
        else:
            out.append(t)
    runs = sum(map(len, groups.values()))
    for of, group in groups.items():
        n = at_once(of, runs, workers)
        pieces = -(-len(group) // n)
        out += [_stack(group[i::pieces]) for i in range(pieces)]
    return out


def _stack(tasks: Sequence[Task]) -> Task:
    if len(tasks) == 1:
        return tasks[0]
    jobs, keys = [t.job for t in tasks], [t.key for t in tasks]
    name = f"{tasks[0].name} and {len(tasks) - 1} more"
    return Task(name, "+".join(keys), jobs[0], partial(_run_stack, jobs, keys), tuple(tasks))


def run_all(jobs: Sequence[Job], workers: int | None = None, desc: str = "training") -> list[dict[str, Any]]:
    """The records of all jobs, in their order; see ``spread``."""
    find = functools.cache(dataset)  # each data set of other classes is looked at once for all keys
    # The keys now: a file edited while a run lasts must not lend its version to the result.
    tasks = [Task(j.name(), j.key(find), j, partial(_run, j), share=_if_large(j, _share)) for j in jobs]
    return spread(tasks, partial(cache.load_json, "run"), workers, desc, stacks)


def _run_kept(job: Job, key: str, tick: Tick) -> tuple[dict[str, Any], Path]:
    record = store.keep("run", key, _making(job, tick), job, weights=True)
    return record, _weights_of(key)


def _share_kept(
    job: Job, key: str, tick: Tick, world: SingleProcess, first: First
) -> tuple[dict[str, Any], Path] | None:
    record = _share(job, key, tick, world, first, weights=True)
    return None if world.rank else (record, _weights_of(key))


def _weights_of(key: str) -> Path:
    file = kept.weights(key)
    if file is None:
        raise SfarError(f"run {key} left no weights: nothing is trained in it")
    return file


def _find_kept(key: str) -> tuple[dict[str, Any], Path] | None:
    record, file = cache.load_json("run", key), kept.weights(key)
    return None if record is None or file is None else (record, file)


def run_kept(
    jobs: Sequence[Job], workers: int | None = None, desc: str = "training"
) -> list[tuple[dict[str, Any], Path]]:
    """The records of all jobs with the files of their weights (``store.load_model``), in their order; see ``spread``.

    A run whose weights were not kept is made again, and they are then kept however large they are. Raises ``SfarError``
    for a job in which nothing is trained.
    """
    tasks = [Task(j.name(), j.key(), j, partial(_run_kept, j), share=_if_large(j, _share_kept)) for j in jobs]
    return spread(tasks, _find_kept, workers, desc)
