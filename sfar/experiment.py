"""One run: one method, one seed, one data set, and everything its numbers follow from; ``runs.py`` makes many side by side."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfar import cache, parallel
from sfar.clip import STORYBOARD, load_clip
from sfar.config import Profile, as_dict, check_method, digest
from sfar.data.kinetics import Manifest, read_kinetics
from sfar.data.store import VideoClips, decode_all, stored_clips, video_clips
from sfar.data.transforms import scale_size
from sfar.errors import ConfigError, DataError
from sfar.evaluate import VIEWS, ranks, relevant_mass, score, topk
from sfar.model import VideoModel, class_texts
from sfar.storyboard.write import truth, write_kinetics
from sfar.subtexts import SubTexts
from sfar.subtexts.groups import GROUPS, group
from sfar.subtexts.texts import bank_names
from sfar.train import seed_everything, train


@dataclass(frozen=True)
class Dataset:
    """A data set on disk: folder, fingerprint of its content, class names, whether it was drawn (the truth about it is known)."""

    root: Path
    fingerprint: str
    classes: tuple[str, ...]
    drawn: bool


def dataset(profile: Profile) -> Dataset:
    """The data set of a profile: drawn now (or found in the cache) or the folder ``data.root``. Raises ``DataError``."""
    d = profile.data
    if d.root:
        root = Path(d.root).expanduser().resolve()
        manifests = [read_kinetics(root, split) for split in ("train", "val")]
        return Dataset(root, _fingerprint(manifests), manifests[0].classes, False)
    if d.dataset != "storyboard-kinetics":
        raise DataError(f"profile {profile.name!r} needs the data set {d.dataset} on disk: give its folder with DATA=/path (data.root)")
    k = cache.key("world", [d.seed, d.train_per_class, d.val_per_class])
    root = cache.folder("world", k, lambda folder: write_kinetics(folder, d.seed, d.train_per_class, d.val_per_class))
    fingerprint = cache.key("world", [d.seed, d.train_per_class, d.val_per_class], with_libraries=False)
    return Dataset(root, fingerprint, read_kinetics(root, "val").classes, True)


def _fingerprint(manifests: list[Manifest]) -> str:
    """Hash of every listed video's path, label, size and time of change: another copy of the data is another input."""
    h = hashlib.sha256()
    for m in manifests:
        for c in m.clips:
            s = (m.root / c.path).stat()
            h.update(f"{c.path}\t{m.classes[c.label]}\t{s.st_size}\t{s.st_mtime_ns}\n".encode())
    return h.hexdigest()[:16]


def subtexts_of(profile: Profile, classes: tuple[str, ...]) -> SubTexts:
    """The sub-texts ``model.subtexts`` names, for these classes in their order.

    "bank": the bundled set of the first label set that has every class; else one of the storyboard world's groups
    (``subtexts/groups.py``) or the path of a JSON file. Raises ``ConfigError`` for a class without sub-texts.
    """
    m = profile.model
    if m.subtexts in GROUPS and m.subtexts != "bank":
        texts = group(m.subtexts)
    elif m.subtexts != "bank":
        texts = SubTexts.load(m.subtexts, m.n_subtexts)
    else:
        missing = {name: [c for c in classes if c not in SubTexts.load(name)] for name in (*(b for b in bank_names() if b != STORYBOARD), STORYBOARD)}
        best = min(missing, key=lambda name: len(missing[name]))
        if missing[best]:
            raise ConfigError(f"no bundled label set has all {len(classes)} classes: the nearest, {best!r}, lacks {', '.join(map(repr, missing[best][:3]))}"
                              f"{' and others' * (len(missing[best]) > 3)}. Write them with `sfar subtexts generate` and give the file as model.subtexts")
        texts = SubTexts.load(best, m.n_subtexts)
    if texts.n != m.n_subtexts:
        raise ConfigError(f"{texts.source} has N = {texts.n}, not {m.n_subtexts} (model.n_subtexts)")
    return texts.only(classes)


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
    texts = class_texts(clip, list(classes), subtexts_of(profile, classes), m)
    return VideoModel(method, clip, texts, m, profile.train.train_visual)


# Fields of ``ModelConfig`` that a method reads; the others do not make it another run.
_TEXT = {"clip", "pretrained", "prompt"}
READS = {
    "vanilla": _TEXT, "clip": _TEXT, "temporal": _TEXT | {"temporal_layers"},
    "single": _TEXT | {"temporal_layers", "word_mask", "frame_temperature"},
    "sfar": _TEXT | {"n_subtexts", "attention", "attention_heads", "word_mask", "coarse_reduce", "frame_temperature", "frame_norm", "ffn",
                     "ffn_residual", "coarse", "fine"},  # "subtexts" says where they are; the texts themselves are an input
}


def run_inputs(profile: Profile, data: Dataset, method: str, seed: int, views: str) -> dict[str, Any]:
    """Everything a run's numbers follow from, but the code: configuration as far as the method reads it, data, sub-texts."""
    model = {k: v for k, v in as_dict(profile.model).items() if k in READS[check_method(method)]}
    return {"model": model, "subtexts": digest(dict(subtexts_of(profile, data.classes))) if method == "sfar" else None,
            "classes": list(data.classes), "train": as_dict(profile.train) if method != "vanilla" else {"frames": profile.train.frames},
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
