"""Runs: one method, one seed, on one data set; many of them side by side, each kept under the key of its inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing as mp
import queue
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sfar import cache, parallel
from sfar.clip import STORYBOARD, load_clip
from sfar.config import Profile, as_dict, check_method
from sfar.data.kinetics import Manifest, read_kinetics
from sfar.data.store import VideoClips, decode_all, stored_clips, video_clips
from sfar.data.transforms import scale_size
from sfar.errors import ConfigError, DataError, SfarError
from sfar.evaluate import VIEWS, ranks, relevant_mass, score, topk
from sfar.model import VideoModel, class_texts
from sfar.storyboard.write import truth, write_kinetics
from sfar.subtexts import load_bank
from sfar.train import seed_everything, train


@dataclass(frozen=True)
class Dataset:
    """A data set on disk: its folder, a fingerprint of its content, its label set and whether the truth about it is known."""

    root: Path
    fingerprint: str
    label_set: str
    drawn: bool


def dataset(profile: Profile) -> Dataset:
    """The data set of a profile: drawn now (or found in the cache) or the folder ``data.root``. Raises ``DataError``."""
    d = profile.data
    if d.root:
        root = Path(d.root).expanduser().resolve()
        manifests = [read_kinetics(root, split) for split in ("train", "val")]
        return Dataset(root, _fingerprint(manifests), _label_set(manifests[0]), False)
    if d.dataset != "storyboard-kinetics":
        raise DataError(f"profile {profile.name!r} needs the data set {d.dataset} on disk: give its folder with DATA=/path (data.root)")
    k = cache.key("world", [d.seed, d.train_per_class, d.val_per_class])
    root = cache.folder("world", k, lambda folder: write_kinetics(folder, d.seed, d.train_per_class, d.val_per_class))
    return Dataset(root, cache.key("world", [d.seed, d.train_per_class, d.val_per_class], with_libraries=False), STORYBOARD, True)


def _fingerprint(manifests: list[Manifest]) -> str:
    """Hash of every listed video's path, label, size and time of change: another copy of the data is another input."""
    h = hashlib.sha256()
    for m in manifests:
        for c in m.clips:
            s = (m.root / c.path).stat()
            h.update(f"{c.path}\t{m.classes[c.label]}\t{s.st_size}\t{s.st_mtime_ns}\n".encode())
    return h.hexdigest()[:16]


def _label_set(manifest: Manifest) -> str:
    return STORYBOARD if set(manifest.classes) <= set(load_bank(STORYBOARD)) else "kinetics400"


def load_clips(profile: Profile, data: Dataset, split: str) -> VideoClips:
    """The clips of a split, decoded once where the data set is small (the drawn world or fewer than 5,000 videos)."""
    manifest = read_kinetics(data.root, split)
    short = scale_size(profile.data.image_size)
    if len(manifest.clips) > 5000:
        return video_clips(manifest, short, profile.data.max_bad_share)
    k = cache.key("frames", [data.fingerprint, str(data.root) if not data.drawn else "", split, short])
    folder = cache.folder("frames", k, lambda f: decode_all(manifest, short, f))
    return stored_clips(manifest, short, folder, profile.data.max_bad_share)


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_model(profile: Profile, data: Dataset, classes: tuple[str, ...], method: str, seed: int) -> VideoModel:
    """A model with freshly drawn head weights (from ``seed``) and the CLIP of the profile."""
    m = profile.model
    seed_everything(seed)
    clip = load_clip(m.clip, m.pretrained)
    size = clip.visual.image_size
    size = size[0] if isinstance(size, (tuple, list)) else size
    if size != profile.data.image_size:
        raise ConfigError(f"data.image_size={profile.data.image_size}, but {m.clip} takes {size} pixels")
    texts = class_texts(clip, list(classes), load_bank(data.label_set, m.n_subtexts), m)
    return VideoModel(check_method(method), clip, texts, m, profile.train.train_visual)


def run_inputs(profile: Profile, data: Dataset, method: str, seed: int, views: str) -> dict[str, Any]:
    """Everything a run's numbers follow from, but the code."""
    return {"model": as_dict(profile.model), "train": as_dict(profile.train) if method != "vanilla" else {"frames": profile.train.frames},
            "data": {k: v for k, v in as_dict(profile.data).items() if k != "root"}, "fingerprint": data.fingerprint,
            "method": method, "seed": seed if method != "vanilla" else 0, "views": views}


@dataclass(frozen=True)
class Job:
    """One run to be made."""

    profile: Profile
    data: Dataset
    method: str
    seed: int
    views: str = "1x1"  # of the evaluation beyond the single view: "1x1" for none, or "4x3"

    def key(self) -> str:
        return cache.key("run", run_inputs(self.profile, self.data, self.method, self.seed, self.views))

    def name(self) -> str:
        return f"{self.method}/seed {self.seed}"

    def cost(self, n_train: int, n_val: int) -> int:
        """About how much work, in forward passes of one clip (a training step is three)."""
        trained = 3 * n_train * self.profile.train.epochs if self.method != "vanilla" else 0
        return trained + n_val * (1 + (VIEWS[self.views][0] * VIEWS[self.views][1] if self.views != "1x1" else 0))


def run_one(job: Job, tick=None) -> dict[str, Any]:
    """Train and evaluate one job; returns its record (JSON types). ``tick(done)`` reports work done, in ``Job.cost`` units."""
    p, t = job.profile, job.profile.train
    where = device()
    started = time.perf_counter()
    val = load_clips(p, job.data, "val")
    classes = val.manifest.classes
    model = build_model(p, job.data, classes, job.method, job.seed)
    model.to(where)
    history, trained = None, []
    if job.method != "vanilla":
        clips = load_clips(p, job.data, "train")
        on_step = (lambda i, n, loss: tick(3 * t.batch)) if tick else None
        history = train(model, clips, p, job.seed, on_step, workers=0 if where.type == "cpu" else min(8, parallel.cores()))
        trained = ["head"] * any(True for _ in model.head.parameters()) + ["logit_scale"] + ["visual"] * t.train_visual
    s = score(model, val, t.frames, p.data.image_size)
    if tick:
        tick(len(val))
    rank = ranks(s.probabilities, s.labels)
    record: dict[str, Any] = {
        "method": job.method, "seed": job.seed, "views": {"1x1": {"top1": topk(rank, 1), "top5": topk(rank, 5), "ranks": rank.tolist()}},
        "labels": s.labels.tolist(), "paths": val.paths, "bad": val.bad, "missing": list(val.manifest.missing), "classes": list(classes),
        "trained": trained, "history": dataclasses.asdict(history) if history else None,
        "logit_scale": model.clip.logit_scale.exp().item(), "temperature": model.head.tau}
    if job.views != "1x1":
        many = ranks(score(model, val, t.frames, p.data.image_size, job.views).probabilities, s.labels)
        record["views"][job.views] = {"top1": topk(many, 1), "top5": topk(many, 5), "ranks": many.tolist()}
        if tick:
            tick(len(val) * VIEWS[job.views][0] * VIEWS[job.views][1])
    if job.data.drawn:
        seen = truth(job.data.root)
        relevance = [np.array([r for _, n, r in seen[path]["segments"] for _ in range(n)]) for path in val.paths]
        record["irrelevant"] = [seen[path]["irrelevant"] for path in val.paths]
        uniform = np.ones((len(val), t.frames)) / t.frames
        mass = {"uniform": uniform, "coarse": s.coarse, "fine": s.fine}
        record["relevant_mass"] = {k: relevant_mass(a, s.indices, relevance).round(6).tolist() for k, a in mass.items() if a is not None}
    record["seconds"] = round(time.perf_counter() - started, 1)
    return record


def kept(job: Job) -> dict[str, Any] | None:
    """The record of a job that was made before from the same inputs, or None."""
    return cache.load_json("run", job.key())


_ticks = None


def _start_worker(ticks) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(1)  # one thread per run: the result does not depend on the number of cores, and no core waits


def _work(job: Job, key: str) -> dict[str, Any]:
    record = run_one(job, lambda n: _ticks.put((job.name(), n)))
    cache.save_json("run", key, record)
    return record


def run_all(jobs: list[Job], workers: int | None = None, desc: str = "training") -> list[dict[str, Any]]:
    """The records of all jobs, in their order; those kept are not made again, new ones are kept one by one.

    On a CPU the jobs run side by side, a process and a thread each; on a GPU one after another. Interrupted or failed, the
    finished ones stay kept. Raises ``SfarError`` naming the run that failed.
    """
    keys = [j.key() for j in jobs]  # now: a file edited while a run lasts must not lend its version to the result
    found = {i: r for i, k in enumerate(keys) if (r := cache.load_json("run", k)) is not None}
    todo = [i for i in range(len(jobs)) if i not in found]
    if todo:
        first = jobs[todo[0]]
        n_train, n_val = (len(load_clips(first.profile, first.data, split)) for split in ("train", "val"))  # decoded here, once
        total = sum(jobs[i].cost(n_train, n_val) for i in todo)
        todo.sort(key=lambda i: -jobs[i].cost(n_train, n_val))  # the long ones first, so that no core is idle at the end
        with tqdm(total=total, desc=desc, unit="clip", unit_scale=True, smoothing=0.02) as bar:
            bar.set_postfix_str(f"0/{len(todo)} runs")
            if device().type == "cuda":
                for i in todo:
                    bar.set_postfix_str(jobs[i].name())
                    found[i] = run_one(jobs[i], bar.update)
                    cache.save_json("run", keys[i], found[i])
            else:
                _in_parallel(jobs, keys, todo, found, workers or parallel.cores(), bar)
            bar.update(bar.total - bar.n)
    return [found[i] for i in range(len(jobs))]


def _in_parallel(jobs: list[Job], keys: list[str], todo: list[int], found: dict[int, dict], workers: int, bar: tqdm) -> None:
    context = mp.get_context("spawn")
    ticks = context.Queue()
    stop = threading.Event()

    def show() -> None:
        while not stop.is_set():
            try:
                name, n = ticks.get(timeout=0.2)
            except queue.Empty:
                continue
            bar.set_postfix_str(f"{len(todo) - len(waiting)}/{len(todo)} runs, {name}", refresh=False)
            bar.update(min(n, bar.total - bar.n))

    pool = ProcessPoolExecutor(min(workers, len(todo)), mp_context=context, initializer=_start_worker, initargs=(ticks,))
    with parallel.deaf():  # submitting starts the processes
        waiting = {pool.submit(_work, jobs[i], keys[i]): i for i in todo}
    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                i = waiting.pop(future)
                try:
                    found[i] = future.result()
                except SfarError as e:
                    raise SfarError(f"run {jobs[i].name()}: {e}") from e
                except BrokenProcessPool as e:
                    raise SfarError(f"run {jobs[i].name()}: its process died (out of memory?). Finished runs are kept; try again with JOBS=1") from e
    except BaseException:
        for process in list(pool._processes.values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)  # they are gone in a moment; unwaited, their semaphores would be reported as leaked
        raise
    finally:
        stop.set()
        watcher.join()
    pool.shutdown()
