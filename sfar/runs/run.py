"""One run: one method, one seed, one data set, and everything its numbers follow from; ``runs.py`` makes many side by side."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP

from sfar.config import DRAWN, LAYOUT_NAMES, Profile, as_dict, check, check_method, digest, few_shot, layout
from sfar.data import fewshot, layouts
from sfar.data.manifest import Manifest
from sfar.data.store import StoredClips, VideoClips, clips_of, examine
from sfar.data.transforms import scale_size
from sfar.data.video import reader_key
from sfar.errors import ConfigError, DataError
from sfar.model.clip import STORYBOARD, load_clip, weights_id
from sfar.model.heads import VideoModel, class_texts
from sfar.storyboard import sets
from sfar.storyboard.write import truth, write_kinetics
from sfar.subtexts import SubTexts
from sfar.subtexts.groups import GROUPS, group
from sfar.subtexts.texts import bank_names
from sfar.training.evaluate import VIEWS, Scores, score
from sfar.training.frozen import frame_embeddings
from sfar.training.metrics import VARIANTS, mean_ap, ranks, relevant_mass, topk
from sfar.training.train import autocast_dtype, seed_everything, train
from sfar.util import cache, processes


@dataclass(frozen=True)
class Dataset:
    """A data set on disk: its layout, folder, fingerprint of its content, class names, whether it was drawn (the truth about it is known)."""

    layout: str
    root: Path
    fingerprint: str
    classes: tuple[str, ...]
    drawn: bool


def draw(folder: Path, which: str, seed: int, train: int, val: int) -> None:
    """Write the storyboard world in the layout ``which`` (one of ``config.LAYOUT_NAMES``): ``train`` and ``val`` videos per class."""
    if which == "kinetics400":
        write_kinetics(folder, seed, train, val)
    elif which == "ucf101":
        sets.write_ucf101(folder, seed, train, val)
    elif which == "hmdb51":
        sets.write_hmdb51(folder, seed, train, val)
    else:  # a video has about two of the twenty classes
        sets.write_charades(folder, seed, 10 * train, 10 * val)


def is_drawn(profile: Profile) -> bool:
    """Whether the profile's data sets are the storyboard world's."""
    return not profile.data.root and profile.data.dataset in DRAWN


def sets_in(root: str) -> tuple[Path, tuple[str, ...]]:
    """The folder ``data.root``, and the data sets that it holds under the names of their layouts (``config.LAYOUT_NAMES``); none where it is one of them itself."""
    folder = Path(root).expanduser().resolve()
    # Listed, not asked for: where case is ignored, Charades' folder of lists would be taken for charades/.
    names = {p.name for p in folder.iterdir() if p.is_dir()} if root and folder.is_dir() else set()
    return folder, tuple(n for n in LAYOUT_NAMES if n in names)


def root_of(profile: Profile, which: str) -> Path:
    """The folder of the data set in the layout ``which``: in ``data.root`` under that name, else ``data.root`` itself. Raises ``DataError`` if that holds others only."""
    folder, held = sets_in(profile.data.root)
    if held and which not in held:
        raise DataError(
            f"{folder} (data.root) holds {', '.join(held)}, but no folder {which}: put the data set, or a link to it, there under this name; "
            f"`sfar data layout {which}` shows what it must look like"
        )
    return (folder / which).resolve() if held else folder


def need_sets(profile: Profile, names: tuple[str, ...]) -> None:
    """Raise ``DataError`` naming the sub-folders that are missing where ``data.root`` does not hold all of ``names`` (of ``config.LAYOUT_NAMES``)."""
    folder, held = sets_in(profile.data.root)
    if missing := [n for n in names if n not in held]:
        where = (
            f"{folder} (data.root) has no sub-folder {', '.join(missing)}"
            if profile.data.root
            else "data.root is empty"
        )
        raise DataError(
            f"{where}: several data sets are needed here. Give one folder with DATA=/path (data.root) that holds each, or a link to it, under its name: "
            f"{', '.join(names)}; `sfar data layout {missing[0]}` shows what it must look like"
        )


def dataset(profile: Profile) -> Dataset:
    """The data set of a profile: drawn now (or found in the cache) or the folder that ``data.root`` names (``root_of``). Raises ``DataError``."""
    d, which = profile.data, layout(profile)
    if d.root:
        root = root_of(profile, which)
        manifests = [layouts.read(which, root, split, d.fold) for split in _SOURCES[which]]
        return Dataset(which, root, _fingerprint(manifests), manifests[0].classes, False)
    if d.dataset not in DRAWN:
        raise DataError(
            f"profile {profile.name!r} needs the data set {d.dataset} on disk: give its folder with DATA=/path (data.root); "
            f"`sfar data layout {d.dataset}` shows what it must look like"
        )
    stage = "world" if which == "kinetics400" else "sets"
    inputs = [d.seed, d.train_per_class, d.val_per_class] + ([which] if stage == "sets" else [])
    root = cache.folder(
        stage, cache.key(stage, inputs), lambda folder: draw(folder, which, d.seed, d.train_per_class, d.val_per_class)
    )
    return Dataset(
        which, root, cache.key(stage, inputs, with_libraries=False), layouts.read(which, root, "val").classes, True
    )


# The lists that name every video of a data set once: what is decoded, and what its fingerprint is made of.
_SOURCES = {
    "kinetics400": ("train", "val"),
    "ucf101": ("all",),
    "hmdb51": ("all",),
    "charades": ("train-videos", "val"),
}


def _fingerprint(manifests: list[Manifest]) -> str:
    """Hash of every listed video's path, labels, size and time of change: another copy of the data is another input."""
    h = hashlib.sha256()
    for m in manifests:
        for c in m.clips:
            s = (m.root / c.path).stat()
            names = [m.classes[k] for k in c.labels] if m.multi_label else m.classes[c.label]
            h.update(f"{c.path}\t{names}\t{s.st_size}\t{s.st_mtime_ns}\n".encode())
    return h.hexdigest()[:16]


@lru_cache(maxsize=16)
def _bank(name: str, n: int | None = None) -> SubTexts:
    return SubTexts.load(name, n)


def _file(profile: Profile) -> str:
    """``model.subtexts`` with its places filled in. Raises ``ConfigError`` naming the file and the command that makes it where such a one is not there."""
    m, which = profile.model, layout(profile)
    name = m.subtexts.replace("{n}", str(m.n_subtexts)).replace("{dataset}", which)
    if name != m.subtexts and not Path(name).expanduser().is_file():
        raise ConfigError(
            f"model.subtexts={m.subtexts!r}: there is no file {name}; `sfar subtexts generate --classes {which} --n {m.n_subtexts} --model MODEL --out {name}` makes it "
            "(or --classes FILE with your class names)"
        )
    return name


def subtexts_of(profile: Profile, classes: tuple[str, ...]) -> SubTexts:
    """The sub-texts ``model.subtexts`` names, for these classes in their order.

    "bank": the bundled set of the first label set that has every class; else one of the storyboard world's groups
    (``subtexts/groups.py``) or the path of a JSON file, in which {n} is N and {dataset} the data set's layout. Raises
    ``ConfigError`` for a class without sub-texts.
    """
    m = profile.model
    if m.subtexts in GROUPS and m.subtexts != "bank":
        texts = group(m.subtexts)
    elif m.subtexts != "bank":
        texts = SubTexts.load(_file(profile), m.n_subtexts)
    else:
        missing = {
            name: [c for c in classes if c not in _bank(name)]
            for name in (*(b for b in bank_names() if b != STORYBOARD), STORYBOARD)
        }
        best = min(missing, key=lambda name: len(missing[name]))
        if missing[best]:
            raise ConfigError(
                f"no bundled label set has all {len(classes)} classes: the nearest, {best!r}, lacks {', '.join(map(repr, missing[best][:3]))}"
                f"{' and others' * (len(missing[best]) > 3)}. Write them with `sfar subtexts generate` and give the file as model.subtexts"
            )
        texts = _bank(best, m.n_subtexts)
    if texts.n != m.n_subtexts:
        raise ConfigError(f"{texts.source} has N = {texts.n}, not {m.n_subtexts} (model.n_subtexts)")
    return texts.only(classes)


ON_DEMAND = 5000  # a set of more videos is not decoded beforehand


def few_shot_manifest(profile: Profile, data: Dataset) -> Manifest:
    """The training list: all of it, or K clips of each class (section 4.1, few-shot). Raises ``DataError`` for a class with fewer."""
    d = profile.data
    full = layouts.read(data.layout, data.root, "train", d.fold)
    if d.shot_list:
        return fewshot.load_list(Path(d.shot_list), full)
    if d.shot_draws > 1:
        return fewshot.union(full, d.shots, d.shot_draws, d.shot_seed)
    return fewshot.choose(full, d.shots, d.shot_seed) if d.shots else full


def load_clips(profile: Profile, data: Dataset, split: str) -> VideoClips:
    """The clips of a split ("train" as the few-shot fields say), decoded once where the data set is small (fewer than 5,000 videos)."""
    manifest = (
        few_shot_manifest(profile, data)
        if split == "train"
        else layouts.read(data.layout, data.root, split, profile.data.fold)
    )
    listed = _SOURCES[data.layout]
    source = listed[0] if len(listed) == 1 or split == "train" else listed[1]
    whole = layouts.read(data.layout, data.root, source, profile.data.fold)
    short = scale_size(profile.data.image_size)
    decode = len(whole.clips) <= ON_DEMAND
    place, reader = str(data.root) if not data.drawn else "", profile.data.reader
    k = cache.key("frames", [data.fingerprint, place, source, short, decode, *reader_key(reader)])
    folder = cache.folder("frames", k, lambda f: examine(whole, short, f, decode, reader=reader))
    return clips_of(manifest, short, folder, profile.data.max_bad_share, reader)


def training_embeddings(clip: CLIP, clips: VideoClips, profile: Profile, data: Dataset) -> torch.Tensor:
    """Frame embeddings of the training ``clips`` by a frozen tower, [draws, clips, L, d] (``frame_embeddings``).

    Those of a few-shot list are taken out of the full list's where that is decoded anyway: all lists of a sweep then cost one pass.
    """
    if few_shot(profile):
        whole = dataclasses.replace(profile.data, shots=0, shot_draws=1, shot_list="")
        full = load_clips(dataclasses.replace(profile, data=whole), data, "train")
        if isinstance(full, StoredClips):
            place = {c: i for i, c in enumerate(zip(full.paths, full.first, full.lengths))}
            return frame_embeddings(clip, full, profile, data.fingerprint, True)[
                :, [place[c] for c in zip(clips.paths, clips.first, clips.lengths)]
            ]
    return frame_embeddings(clip, clips, profile, data.fingerprint, True)


def epoch_repeats(profile: Profile, data: Dataset, chosen: int) -> int:
    """Passes through a few-shot list of ``chosen`` clips in one epoch (``train.few_shot_epoch``)."""
    if not few_shot(profile) or profile.train.few_shot_epoch == "once":
        return 1
    return fewshot.repeats(len(layouts.read(data.layout, data.root, "train", profile.data.fold).clips), chosen)


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def loader_workers() -> int:
    """Processes that read videos ahead: for a GPU, which would wait; on a CPU the runs side by side use all cores already."""
    return min(8, processes.cores()) if device().type == "cuda" else 0


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
    clip.visual.set_grad_checkpointing(profile.train.checkpoint_activations)
    if profile.train.compile:
        clip.visual.compile()
    return VideoModel(method, clip, texts, m, profile.train.train_visual)


# Fields of ``ModelConfig`` that a method reads; the others do not make it another run.
_TEXT = {"clip", "pretrained", "prompt"}
READS = {
    "vanilla": _TEXT,
    "clip": _TEXT,
    "temporal": _TEXT | {"temporal_layers"},
    "single": _TEXT | {"temporal_layers", "word_mask", "frame_temperature"},
    "sfar": _TEXT
    | {
        "n_subtexts",
        "attention",
        "attention_heads",
        "word_mask",
        "coarse_reduce",
        "frame_temperature",
        "frame_norm",
        "ffn",
        "ffn_residual",
        "coarse",
        "fine",
    },  # "subtexts" says where they are; the texts themselves are an input
}


_SHOTS = ("shots", "shot_seed", "shot_draws", "shot_list")


def run_inputs(
    profile: Profile, data: Dataset, method: str, seed: int, views: str, zero_shot: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Everything a run's numbers follow from, but the code: configuration as far as the method reads it, data, sub-texts."""
    model = {k: v for k, v in as_dict(profile.model).items() if k in READS[check_method(method)]}
    trained = method != "vanilla"
    training = as_dict(profile.train)
    if profile.train.train_visual:
        del training["frozen_draws"]
    if not few_shot(profile):
        del training["few_shot_epoch"]
    where = {k: v for k, v in as_dict(profile.data).items() if k != "root" and (trained or k not in _SHOTS)}
    if not reader_key(profile.data.reader):  # "auto" and "pyav" read the same
        del where["reader"]
    if profile.data.shot_list and trained:
        where["shot_list"] = fewshot.content(few_shot_manifest(profile, data))
    sides = [(p, dataset(p)) for p in (by_name(profile, name) for name in zero_shot)]
    return {
        "model": model,
        "weights": weights_id(profile.model.clip, profile.model.pretrained),
        "subtexts": digest([dict(subtexts_of(p, d.classes)) for p, d in ((profile, data), *sides)])
        if method == "sfar"
        else None,
        "classes": list(data.classes),
        "train": training if trained else {"frames": profile.train.frames},
        "data": where,
        "fingerprint": data.fingerprint,
        "method": method,
        "seed": seed if trained else 0,
        "views": views,
        "zero_shot": [[n, d.fingerprint] for n, (_, d) in zip(zero_shot, sides)],
    }


def by_name(profile: Profile, name: str) -> Profile:
    """The profile on another data set, drawn or beside its own in ``data.root``, first fold, all clips: the test side of a zero-shot run."""
    root = profile.data.root if name in LAYOUT_NAMES else ""
    other = dataclasses.replace(profile.data, dataset=name, root=root, fold=1, shots=0, shot_draws=1, shot_list="")
    return check(dataclasses.replace(profile, data=other))


@dataclass(frozen=True)
class Job:
    """One run to be made. ``views``: of the evaluation beyond the single view, "1x1" for none, or "4x3". ``zero_shot``: drawn data sets
    whose classes the trained model is tested on as well."""

    profile: Profile
    data: Dataset
    method: str
    seed: int
    views: str = "1x1"
    zero_shot: tuple[str, ...] = ()

    def key(self) -> str:
        return cache.key("run", run_inputs(self.profile, self.data, self.method, self.seed, self.views, self.zero_shot))

    def name(self) -> str:
        return f"{self.method}/seed {self.seed}"

    def cost(self, n_train: int, n_val: int) -> int:
        """About how much work, in forward passes of one clip (a training step is three; a head alone next to nothing)."""
        repeats = epoch_repeats(self.profile, self.data, n_train)
        trained = 3 * n_train * repeats * self.profile.train.epochs if self.method != "vanilla" else 0
        many = VIEWS[self.views][0] * VIEWS[self.views][1] if self.views != "1x1" else 0
        return (trained if self.profile.train.train_visual else trained // 20) + n_val * (
            1 + many + len(self.zero_shot)
        )


SCORES_KEPT = 100_000  # class scores of a small test set are kept with the ranks
MAP_BATCH = 16  # videos per batch of BIKE's running average, which depends on it


def _digits(x: np.ndarray) -> list[list[float]]:
    """All digits of single precision, so that order and ties survive."""
    return [[float(f"{v:.9g}") for v in row] for row in x.tolist()]


def result(s: Scores, clips: VideoClips) -> dict[str, Any]:
    """What is kept of an evaluation: top-1, top-5, rank of each video and (small sets) the scores, or mAP by each variant and the scores (multi-label)."""
    if not clips.manifest.multi_label:
        rank = ranks(s.probabilities, s.labels)
        kept = {"scores": _digits(s.probabilities)} if s.probabilities.size <= SCORES_KEPT else {}
        return {"top1": topk(rank, 1), "top5": topk(rank, 5), "ranks": rank.tolist(), **kept}
    positive = np.zeros(s.probabilities.shape, bool)
    for row, i in enumerate(s.clips):
        positive[row, list(clips.sets[i])] = True
    absent = not positive.any(0).all()
    maps = {
        v: mean_ap(s.probabilities, positive, v, batch=MAP_BATCH if v == "bike" else 0)
        for v in VARIANTS
        if not (absent and v == "official")
    }
    return {"map": maps, "scores": _digits(s.probabilities), "sets": [list(clips.sets[i]) for i in s.clips]}


def zero_shot_scores(model: VideoModel, profile: Profile, data: Dataset, method: str) -> dict[str, Any]:
    """Scores of a trained model on all videos of another data set, its classes and sub-texts in place of the training ones."""
    clips = load_clips(profile, data, "all")
    embedded = (
        None
        if profile.train.train_visual or method == "vanilla"
        else frame_embeddings(model.clip, clips, profile, data.fingerprint, False)
    )
    own = model.texts
    model.for_classes(class_texts(model.clip, list(data.classes), subtexts_of(profile, data.classes), profile.model))
    try:
        s = score(
            model,
            clips,
            profile.train.frames,
            profile.data.image_size,
            max_bad_share=profile.data.max_bad_share,
            embedded=embedded,
            workers=0 if embedded is not None else loader_workers(),
            dtype=autocast_dtype(profile.train.precision, device()),
        )
    finally:
        model.for_classes(own)
    return {
        "scores": _digits(s.probabilities),
        "labels": s.labels.tolist(),
        "paths": [clips.paths[i] for i in s.clips],
        "classes": list(data.classes),
    }


def run_one(job: Job, tick=None, keeper: Any = None) -> dict[str, Any]:
    """Train and evaluate one job; returns its record (JSON types). ``tick(done)`` reports work done, in ``Job.cost`` units; ``keeper``: as ``train``'s."""
    p, t = job.profile, job.profile.train
    where = device()
    started = time.perf_counter()
    val = load_clips(p, job.data, "val")
    classes = val.manifest.classes
    model = build_model(p, job.data, classes, job.method, job.seed)
    model.to(where)
    frozen = not t.train_visual and job.method != "vanilla"  # such a tower sees every clip once for all runs
    history, trained, chosen = None, [], None
    if job.method != "vanilla":
        clips = load_clips(p, job.data, "train")
        repeats = epoch_repeats(p, job.data, len(clips))
        work = 3 * t.batch if t.train_visual else 3 * t.batch / 20
        on_step = (lambda i, n, loss: tick(work)) if tick else None
        embedded = training_embeddings(model.clip, clips, p, job.data) if frozen else None
        history = train(
            model,
            clips,
            p,
            job.seed,
            on_step,
            workers=0 if frozen else loader_workers(),
            repeats=repeats,
            embedded=embedded,
            keeper=keeper,
        )
        trained = ["head"] * any(True for _ in model.head.parameters()) + ["logit_scale"] + ["visual"] * t.train_visual
        chosen = {"clips": len(clips), "repeats": repeats, "bad": clips.bad}
    dtype = autocast_dtype(t.precision, where)
    s = score(
        model,
        val,
        t.frames,
        p.data.image_size,
        max_bad_share=p.data.max_bad_share,
        workers=0 if frozen else loader_workers(),
        dtype=dtype,
        embedded=frame_embeddings(model.clip, val, p, job.data.fingerprint, False) if frozen else None,
    )
    if tick:
        tick(len(val))
    paths = [val.paths[i] for i in s.clips]
    record: dict[str, Any] = {
        "method": job.method,
        "seed": job.seed,
        "views": {"1x1": result(s, val)},
        "labels": s.labels.tolist(),
        "paths": paths,
        "bad": val.bad,
        "missing": list(val.manifest.missing),
        "classes": list(classes),
        "trained": trained,
        "training": chosen,
        "history": dataclasses.asdict(history) if history else None,
        "logit_scale": model.clip.logit_scale.exp().item(),
        "temperature": model.head.tau,
    }
    if job.views != "1x1":
        many = score(
            model,
            val,
            t.frames,
            p.data.image_size,
            job.views,
            max_bad_share=p.data.max_bad_share,
            workers=loader_workers(),
            dtype=dtype,
        )
        record["views"][job.views] = result(many, val)
        if tick:
            tick(len(val) * VIEWS[job.views][0] * VIEWS[job.views][1])
    if job.data.drawn and not val.manifest.multi_label:
        seen = truth(job.data.root)
        relevance = [np.array([r for _, n, r in seen[path]["segments"] for _ in range(n)]) for path in paths]
        record["irrelevant"] = [seen[path]["irrelevant"] for path in paths]
        uniform = np.ones((len(paths), t.frames)) / t.frames
        mass = {"uniform": uniform, "coarse": s.coarse, "fine": s.fine}
        record["relevant_mass"] = {
            k: relevant_mass(a, s.indices, relevance).round(6).tolist() for k, a in mass.items() if a is not None
        }
    record["zero_shot"] = {}
    for name in job.zero_shot:
        other = by_name(p, name)
        record["zero_shot"][name] = zero_shot_scores(model, other, dataset(other), job.method)
        if tick:
            tick(len(val))
    record["seconds"] = round(time.perf_counter() - started, 1)
    return record
