"""Many runs side by side, each kept under the key of its inputs; how the work is spread changes no number."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, as_completed
from functools import lru_cache
from typing import Any

import torch
from tqdm import tqdm

from sfar.config import Profile
from sfar.errors import SfarError
from sfar.model import registry
from sfar.model.clip import load_clip
from sfar.runs.run import Dataset, Job, by_name, dataset, device, load_clips, run_one, training_embeddings
from sfar.training.frozen import frame_embeddings
from sfar.training.resume import Keeper
from sfar.util import cache, paths, processes


def kept(job: Job) -> dict[str, Any] | None:
    """The record of a job that was made before from the same inputs, or None."""
    return cache.load_json("run", job.key())


_ticks = None


def _start_worker(ticks) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(1)  # one thread per run: the result does not depend on the number of cores, and no core waits


def _run(job: Job, key: str, tick) -> dict[str, Any]:
    """One job; a long training is kept on its way under the key of the run, and goes on from there."""
    keeper = Keeper(paths.cache() / "run" / f"{key}.states", {"run": key})
    record = run_one(job, tick, keeper)
    cache.save_json("run", key, record)
    keeper.discard()
    return record


def _work(job: Job, key: str) -> dict[str, Any]:
    return _run(job, key, lambda n: _ticks.put((job.name(), n)))


@lru_cache(maxsize=None)
def _sizes(profile: Profile, data: Dataset, zero_shot: tuple[str, ...], frozen: bool) -> tuple[int, int]:
    train, val = (load_clips(profile, data, split) for split in ("train", "val"))
    unseen = [(p, d := dataset(p), load_clips(p, d, "all")) for p in (by_name(profile, name) for name in zero_shot)]
    if frozen:
        clip = load_clip(profile.model.clip, profile.model.pretrained).to(device())
        training_embeddings(clip, train, profile, data)
        for p, d, clips in ((profile, data, val), *unseen):
            frame_embeddings(clip, clips, p, d.fingerprint, False)
    return len(train), len(val)


def prepare(job: Job) -> tuple[int, int]:
    """Draw, decode and embed here, once, what the job's process will find in the cache; how many training and test clips it has."""
    frozen = not job.profile.train.train_visual and registry.get(job.method).trained
    return _sizes(job.profile, job.data, job.zero_shot, frozen)


def run_all(jobs: list[Job], workers: int | None = None, desc: str = "training") -> list[dict[str, Any]]:
    """The records of all jobs, in their order; those kept are not made again, new ones are kept one by one.

    On a CPU the jobs run side by side, a process and a thread each; on a GPU one after another. Interrupted or failed, the
    finished ones stay kept. Raises ``SfarError`` naming the run that failed.
    """
    keys = [j.key() for j in jobs]  # now: a file edited while a run lasts must not lend its version to the result
    found = {i: r for i, k in enumerate(keys) if (r := cache.load_json("run", k)) is not None}
    todo = [i for i in range(len(jobs)) if i not in found]
    if todo:
        cost = {}
        for i in todo:
            cost[i] = jobs[i].cost(*prepare(jobs[i]))
        total = sum(cost.values())
        todo.sort(key=lambda i: -cost[i])  # the long ones first, so that no core is idle at the end
        with tqdm(total=total, desc=desc, unit="clip", unit_scale=True, smoothing=0.02) as bar:
            bar.set_postfix_str(f"0/{len(todo)} runs")
            if device().type == "cuda":
                for i in todo:
                    bar.set_postfix_str(jobs[i].name())
                    found[i] = _run(jobs[i], keys[i], bar.update)
            else:
                _in_parallel(jobs, keys, todo, found, workers or processes.cores(), bar)
            bar.update(bar.total - bar.n)
    return [found[i] for i in range(len(jobs))]


def _in_parallel(
    jobs: list[Job], keys: list[str], todo: list[int], found: dict[int, dict], workers: int, bar: tqdm
) -> None:
    ticks = processes.context().Queue()
    stop = threading.Event()
    waiting: dict[Future, int] = {}

    def show() -> None:
        while not stop.is_set():
            try:
                name, n = ticks.get(timeout=0.2)
            except queue.Empty:
                continue
            bar.set_postfix_str(f"{len(todo) - len(waiting)}/{len(todo)} runs, {name}", refresh=False)
            bar.update(min(n, bar.total - bar.n))

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        with processes.Workers(min(workers, len(todo)), _start_worker, (ticks,)) as pool:
            waiting |= {pool.submit(_work, jobs[i], keys[i]): i for i in todo}
            for future in as_completed(list(waiting)):
                i = waiting.pop(future)
                try:
                    found[i] = pool.result(future)
                except processes.ProcessDied as e:
                    raise SfarError(
                        f"run {jobs[i].name()}: its process died (out of memory?). Finished runs are kept; try again with JOBS=1"
                    ) from e
                except SfarError as e:
                    raise SfarError(f"run {jobs[i].name()}: {e}") from e
    finally:
        stop.set()
        watcher.join()
