"""One run: a job becomes its inputs, a model is fitted to them and scored, and what is kept of it is written down."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from torch import Tensor

from sfar.config import Profile, few_shot
from sfar.data.source import Dataset, all_clips, by_name, dataset, epoch_repeats, load_clips, training_data
from sfar.data.store import VideoClips
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import load_clip, text_parameters, with_own_scale
from sfar.model.method import Wording
from sfar.model.texts import ClassTexts, Prompts, class_texts
from sfar.model.video_model import VideoModel
from sfar.runs.job import Job
from sfar.storyboard.write import truth
from sfar.subtexts import SubTexts
from sfar.subtexts.source import scenes_of, subtexts_of
from sfar.training import evaluate
from sfar.training.evaluate import VIEWS, Scores
from sfar.training.frozen import frame_embeddings, training_embeddings
from sfar.training.metrics import VARIANTS, mean_ap, ranks, relevant_mass, topk
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.training.resume import Keeper
from sfar.training.train import History, autocast_dtype, seed_everything, train
from sfar.util import processes

SCORES_KEPT = 100_000  # class scores of a small test set are kept with the ranks
MAP_BATCH = 16  # videos per batch of BIKE's running average, which depends on it

Tick = Callable[[float], Any]  # told how much work is done, in the units of ``Job.cost``


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def loader_workers(profile: Profile) -> int:
    """Processes that read videos ahead, for this process (``data.loader_workers``)."""
    asked = profile.data.loader_workers
    if asked >= 0:
        return asked
    return max(1, min(8, processes.cores() // processes.ranks())) if device().type == "cuda" else 0


# --- inputs ---


@dataclass(frozen=True)
class TrainingSet:
    """The clips that a model is trained on.

    ``data``: the data set that they are of; ``repeats``: passes through them in one epoch; ``whole``: the full list
    that few clips were chosen from, where a frozen tower's embeddings are taken out of those of the full list.
    """

    data: Dataset
    clips: VideoClips
    repeats: int
    whole: VideoClips | None = None


@dataclass(frozen=True)
class EvaluationSet:
    """The videos of one data set that a model is tested on, with the sub-texts of its classes."""

    profile: Profile
    data: Dataset
    clips: VideoClips
    texts: SubTexts


@dataclass(frozen=True)
class Inputs:
    """All that a run works on. The weights of CLIP are read by ``build_model``, behind the seed.

    ``texts``: sub-texts of the training classes, in their order; ``training`` and ``validation``: None where nothing is
    trained or tested; ``unseen``: by name the data sets of other classes.
    """

    job: Job
    texts: SubTexts
    training: TrainingSet | None
    validation: EvaluationSet | None
    unseen: dict[str, EvaluationSet]


def resolve(job: Job, training: bool = True, testing: bool = True) -> Inputs:
    """Look up all that a job works on, once; videos are drawn and decoded now, or found in the cache.

    Without ``training`` or ``testing`` that side is left out. Raises ``DataError`` and ``ConfigError``.
    """
    p, data = job.profile, job.data
    texts = subtexts_of(p, data.classes)
    return Inputs(
        job,
        texts,
        _training_set(job) if training and job.trained else None,
        EvaluationSet(p, data, load_clips(p, data, "val"), texts) if testing else None,
        {name: unseen_set(by_name(p, name)) for name in job.zero_shot} if testing else {},
    )


def _training_set(job: Job) -> TrainingSet:
    p = job.profile
    data = training_data(p, job.data)
    clips = load_clips(p, data, "train")
    chosen_of = load_clips(all_clips(p), data, "train") if job.frozen and few_shot(p) else None
    return TrainingSet(data, clips, epoch_repeats(p, data, len(clips)), chosen_of)


def unseen_set(profile: Profile) -> EvaluationSet:
    """All videos of the profile's data set, of whichever split, to test a model of other classes on."""
    data = dataset(profile)
    return EvaluationSet(profile, data, load_clips(profile, data, "all"), subtexts_of(profile, data.classes))


# --- model, training, scores ---


def build_model(
    profile: Profile,
    classes: Sequence[str],
    texts: Mapping[str, Sequence[str]],
    method: str,
    seed: int,
    like: VideoModel | None = None,
) -> VideoModel:
    """A model with freshly drawn head weights (from ``seed``) and the CLIP of the profile.

    ``texts``: the sub-texts of the ``classes``. ``like``: another seed's model, on a frozen tower and not yet trained:
    towers and texts are shared with it. Raises ``ConfigError`` for a CLIP of another input size.
    """
    m = profile.model
    seed_everything(seed)  # before CLIP is read: making its layers draws too
    clip = load_clip(m.clip, m.pretrained)
    if like is not None:
        return VideoModel(method, with_own_scale(like.clip), like.texts, m, False)
    size = clip.visual.image_size
    size = size[0] if isinstance(size, (tuple, list)) else size
    if size != profile.data.image_size:
        raise ConfigError(f"data.image_size={profile.data.image_size}, but {m.clip} takes {size} pixels")
    said = method_texts(clip, profile, method, classes, texts, own=True)
    clip.visual.set_grad_checkpointing(profile.train.checkpoint_activations)
    if profile.train.compile:
        clip.visual.compile()
    t = profile.train
    return VideoModel(method, clip, said, m, t.train_visual, t.train_text, t.frames, t.frame_order == "shuffled")


def method_texts(
    clip: CLIP,
    profile: Profile,
    method: str,
    classes: Sequence[str],
    subtexts: Mapping[str, Sequence[str]],
    own: bool = False,
) -> ClassTexts | Prompts:
    """All texts of ``classes`` that a method looks at: embedded, or token ids where they are embedded anew.

    ``own``: of the classes that it is trained on, whose texts may be trained too (``Method.learned``).
    """
    of, m = registry.get(method), profile.model
    said = Wording(classes, subtexts, scenes_of(tuple(classes)) if of.scenes else {})
    if own and of.learned:
        return of.learned(clip, said, m)
    sets = of.texts(said) if of.texts else None
    if profile.train.train_text == "frozen" and not (of.prompted or of.adapts_text):
        return class_texts(clip, list(classes), subtexts, m, sets)
    return Prompts(clip, list(classes), subtexts, m, sets, of.sub_texts)


def build(inputs: Inputs, like: VideoModel | None = None) -> VideoModel:
    """The model of a job, on its device; ``like``: see ``build_model``."""
    job = inputs.job
    return build_model(job.profile, job.data.classes, inputs.texts, job.method, job.seed, like).to(device())


def embed_training(clip: CLIP, inputs: Inputs) -> Tensor | None:
    """Frame embeddings of the training clips [draws, clips, L, d], None where the tower is trained.

    Clips that cannot be read are taken off the list of ``inputs``.
    """
    job, t = inputs.job, inputs.training
    if not job.frozen or t is None:
        return None
    return training_embeddings(clip, t.clips, job.profile, t.data.fingerprint, t.whole, loader_workers(job.profile))


def embed_evaluation(clip: CLIP, tested: EvaluationSet) -> Tensor:
    """Frame embeddings of the tested videos [V, L, d], by CLIP's own tower.

    Videos that cannot be read are taken off the list of ``tested``.
    """
    p = tested.profile
    return frame_embeddings(clip, tested.clips, p, tested.data.fingerprint, False, loader_workers(p))


def fit(
    model: VideoModel,
    inputs: Inputs,
    on_step: Callable[[int, int, float], None] | None = None,
    keeper: Keeper | None = None,
    world: SingleProcess = SINGLE_PROCESS,
    embedded: Tensor | None = None,
) -> History | None:
    """Train ``model`` in place (see ``train.train``); None where the method is not trained.

    ``embedded``: what ``embed_training`` gives, where it was asked before.
    """
    job, chosen = inputs.job, inputs.training
    if chosen is None:
        return None
    if embedded is None:
        embedded = embed_training(model.clip, inputs)
    return train(
        model,
        chosen.clips,
        job.profile,
        job.seed,
        on_step,
        workers=0 if embedded is not None else loader_workers(job.profile),
        repeats=chosen.repeats,
        embedded=embedded,
        world=world,
        keeper=keeper,
    )


def score_set(
    model: VideoModel,
    tested: EvaluationSet,
    views: str = "1x1",
    embedded: Tensor | None = None,
    desc: str = "",
    world: SingleProcess = SINGLE_PROCESS,
    texts: ClassTexts | Prompts | None = None,
) -> Scores:
    """What ``model`` says of the videos of a data set (see ``evaluate.score``)."""
    p = tested.profile
    return evaluate.score(
        model,
        tested.clips,
        p.train.frames,
        p.data.image_size,
        views,
        desc=desc,
        max_bad_share=p.data.max_bad_share,
        embedded=embedded,
        workers=0 if embedded is not None else loader_workers(p),
        dtype=autocast_dtype(p.train.precision, device()),
        world=world,
        texts=texts,
    )


class Shared:
    """The texts of the sets that runs of one configuration and method are tested on, made once for all."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Dataset, int], ClassTexts | Prompts] = {}

    def texts(self, model: VideoModel, tested: EvaluationSet) -> ClassTexts | Prompts:
        """The texts of the set's classes."""
        key = tested.data, tested.profile.data.fold
        if key not in self._texts:
            made = method_texts(model.clip, tested.profile, model.method, tested.data.classes, tested.texts)
            self._texts[key] = made.to(device())
        return self._texts[key]


def score_unseen(
    model: VideoModel,
    tested: EvaluationSet,
    frozen: bool,
    shared: Shared | None = None,
    world: SingleProcess = SINGLE_PROCESS,
) -> Scores:
    """The same on other classes, whose texts stand in for the training ones.

    ``frozen``: the tower is CLIP's own, so that its embeddings of these videos are made once for all runs.
    """
    shared = shared or Shared()
    embedded = embed_evaluation(model.clip, tested) if frozen else None
    return score_set(model, tested, embedded=embedded, texts=shared.texts(model, tested), world=world)


@dataclass(frozen=True)
class RunScores:
    """All that a run's model was asked: the single view, many views (None: not asked), and the unseen data sets."""

    single: Scores
    many: Scores | None
    unseen: dict[str, Scores]


def score(
    model: VideoModel,
    inputs: Inputs,
    tick: Tick | None = None,
    shared: Shared | None = None,
    world: SingleProcess = SINGLE_PROCESS,
) -> RunScores:
    """Test ``model`` on all that the job names. ``world``: processes that share each test (``evaluate.score``)."""
    job, val, shared = inputs.job, inputs.validation, shared or Shared()
    assert val is not None, "inputs without their test side"
    tick = tick or (lambda done: None)
    single = score_set(model, val, embedded=embed_evaluation(model.clip, val) if job.frozen else None, world=world)
    tick(len(val.clips))
    many = None
    if job.views != "1x1":
        many = score_set(model, val, job.views, world=world)
        tick(len(val.clips) * VIEWS[job.views][0] * VIEWS[job.views][1])
    unseen = {}
    for name, tested in inputs.unseen.items():
        unseen[name] = score_unseen(model, tested, job.frozen, shared, world)
        tick(len(val.clips))
    return RunScores(single, many, unseen)


# --- what is kept ---


def _digits(x: np.ndarray) -> list[list[float]]:
    """All digits of single precision, so that order and ties survive."""
    return [[float(f"{v:.9g}") for v in row] for row in x.tolist()]


def result(s: Scores, clips: VideoClips) -> dict[str, Any]:
    """What is kept of an evaluation: top-1, top-5, rank of each video and (small sets) the scores.

    Of many labels a video: mAP by each variant, and the scores.
    """
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


def trained_parts(model: VideoModel) -> list[str]:
    """What of a model training changes."""
    parts = {
        "head": model.head.parameters(),
        "logit_scale": [model.clip.logit_scale],
        "visual": model.clip.visual.parameters(),
        "adapters": model.tower.parameters() if model.tower else [],
        "text": [*text_parameters(model.clip).values(), *model.said.parameters()],
    }
    return [name for name, own in parts.items() if any(p.requires_grad for p in own)]


def tested_videos(s: Scores, tested: EvaluationSet) -> dict[str, Any]:
    """Labels and paths of the videos that could be read, and the class names."""
    return {
        "labels": s.labels.tolist(),
        "paths": [tested.clips.paths[i] for i in s.clips],
        "classes": list(tested.data.classes),
    }


def unseen_result(s: Scores, tested: EvaluationSet) -> dict[str, Any]:
    """What is kept of a zero-shot test: the protocols are applied to its scores later."""
    return {"scores": _digits(s.probabilities), **tested_videos(s, tested)}


def record(inputs: Inputs, model: VideoModel, history: History | None, scores: RunScores) -> dict[str, Any]:
    """What is kept of a run, in JSON types."""
    job, val, s = inputs.job, inputs.validation, scores.single
    assert val is not None, "inputs without their test side"
    chosen = inputs.training
    views = {"1x1": result(s, val.clips)}
    if scores.many is not None:
        views[job.views] = result(scores.many, val.clips)
    out: dict[str, Any] = {
        "method": job.method,
        "seed": job.seed,
        "views": views,
        **tested_videos(s, val),
        "bad": val.clips.bad,
        "missing": list(val.clips.manifest.missing),
        "trained": trained_parts(model) if job.trained else [],
        "training": chosen and {"clips": len(chosen.clips), "repeats": chosen.repeats, "bad": chosen.clips.bad},
        "history": history and dataclasses.asdict(history),
        "logit_scale": model.clip.logit_scale.exp().item(),
        "temperature": model.head.tau,
    }
    if job.data.drawn and not val.clips.manifest.multi_label:
        out |= _relevance(s, val)
    out["zero_shot"] = {name: unseen_result(scores.unseen[name], tested) for name, tested in inputs.unseen.items()}
    return out


def _relevance(s: Scores, val: EvaluationSet) -> dict[str, Any]:
    """Of drawn videos: their share of irrelevant frames, and how much importance falls on the relevant ones."""
    assert s.indices is not None, "the single view of videos of one label"
    seen, indices = truth(val.data.root), s.indices
    paths = [val.clips.paths[i] for i in s.clips]
    relevant = [np.array([r for _, n, r in seen[path]["segments"] for _ in range(n)]) for path in paths]
    frames = val.profile.train.frames
    uniform = np.ones((len(paths), frames)) / frames
    mass = {"uniform": uniform, "coarse": s.coarse, "fine": s.fine}
    return {
        "irrelevant": [seen[path]["irrelevant"] for path in paths],
        "relevant_mass": {
            k: relevant_mass(a, indices, relevant).round(6).tolist() for k, a in mass.items() if a is not None
        },
    }


# --- the run ---


def per_step(job: Job, tick: Tick | None) -> Callable[[int, int, float], None] | None:
    """What ``train`` calls after each step, to report the work of one."""
    if tick is None:
        return None
    t = job.profile.train
    work = 3 * t.batch if t.train_visual else 3 * t.batch / 20
    return lambda step, steps, loss: tick(work)


def run_one(job: Job, tick: Tick | None = None, keeper: Keeper | None = None) -> dict[str, Any]:
    """Train and evaluate one job; returns its record (JSON types). ``keeper``: as ``train``'s."""
    started = time.perf_counter()
    inputs = resolve(job)
    model = build(inputs)
    history = fit(model, inputs, per_step(job, tick), keeper)
    scores = score(model, inputs, tick)
    return record(inputs, model, history, scores) | {"seconds": round(time.perf_counter() - started, 1)}
