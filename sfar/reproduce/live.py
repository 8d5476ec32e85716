"""The live cells of the notebooks: a few videos drawn now, heads trained on them in seconds, on the frozen tower.

The videos are the storyboard world's own, straight from the brush: not written to a file and read again, not augmented.
The heads, their settings, trainer and evaluation are those of the studies. Of so few videos and one seed a number shows
how a thing works, and is no measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from torch import Tensor
from tqdm import tqdm

from sfar.config import Profile, changed, get_profile
from sfar.data.fewshot import repeats
from sfar.data.manifest import Manifest
from sfar.data.store import VideoClips
from sfar.data.transforms import center_crop, val_indices
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import embed_frames, load_clip
from sfar.model.other_methods import OTHER_METHODS, into_other_method
from sfar.model.video_model import VideoModel
from sfar.render.tables import Table
from sfar.reproduce.walkthrough import TESTED
from sfar.runs.run import build_model, method_texts
from sfar.storyboard import world
from sfar.storyboard.knobs import PLAIN, Knobs
from sfar.storyboard.scripts import ACTIVITIES, KINETICS
from sfar.storyboard.sets import draw_sequence
from sfar.studies.core.study import FROZEN, Variant
from sfar.subtexts.source import subtexts_of
from sfar.training import evaluate
from sfar.training.evaluate import Scores
from sfar.training.train import train
from sfar.util import progress

BATCH = 16  # videos in one pass through the tower


def base(overrides: Mapping[str, Any] | None = None) -> Profile:
    """The storyboard profile with a frozen tower. ``overrides``: fields by dotted name, as of ``get_profile``."""
    return get_profile("storyboard", dict(FROZEN) | dict(overrides or {}))


# --- videos ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Videos:
    """Drawn videos of some classes, class by class, as the frozen tower sees them.

    ``embedded`` [V, L, d]: frame embeddings; ``labels`` [V]: of one label a video, else -1; ``positive`` [V, C];
    ``relevant`` [V, L]: whether a sampled frame shows an action of the video's own; ``irrelevant`` [V]: the true share
    of frames that do not.
    """

    classes: tuple[str, ...]
    embedded: Tensor
    labels: np.ndarray
    positive: np.ndarray
    relevant: np.ndarray
    irrelevant: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"{len(self)} videos of {len(self.classes)} classes, frame embeddings {list(self.embedded.shape)}"

    def of(self, which: np.ndarray) -> Videos:
        """Those where ``which`` [V] is true."""
        parts = (x[which] for x in (self.labels, self.positive, self.relevant, self.irrelevant))
        return Videos(self.classes, self.embedded[torch.from_numpy(which)], *parts)

    def first(self, each: int) -> Videos:
        """The first ``each`` of every class."""
        rank = np.array([(self.labels[:i] == label).sum() for i, label in enumerate(self.labels)])
        return self.of(rank < each)

    @property
    def clips(self) -> VideoClips:
        """The same as trainer and evaluation take them: labels without files."""
        n, several = len(self), bool((self.labels < 0).any())
        manifest = Manifest("drawn", "live", Path(), self.classes, (), multi_label=several)
        sets = [tuple(np.flatnonzero(row).tolist()) for row in self.positive]
        names = [f"drawn video {i}" for i in range(n)]
        return VideoClips(manifest, None, self.labels.tolist(), sets, names, [0] * n, [self.embedded.shape[1]] * n)


def draw(
    each: int,
    test: bool = False,
    classes: Sequence[str] = tuple(KINETICS),
    profile: Profile | None = None,
    knobs: Knobs = PLAIN,
) -> Videos:
    """Draw ``each`` videos of every class now: the first of those that the world trains on, or (``test``) tests on.

    Raises ``ConfigError`` for a class that the world does not have, and for less than one video.
    """
    _check(each, classes)
    p = profile or base()
    drawn = []
    for c in classes:
        for i in range(each):
            rng = world.video_rng(p.data.seed, c, i + TESTED * test)
            board = world.draw_storyboard(c, rng, knobs)
            drawn.append((board, rng, [c]))
    return _seen(drawn, tuple(classes), p, several=False)


def draw_sequences(number: int, classes: Sequence[str], profile: Profile | None = None) -> Videos:
    """Draw ``number`` videos that show one to four of the ``classes`` one after another, as Charades' do.

    Raises ``ConfigError`` as ``draw`` does.
    """
    _check(number, classes)
    p = profile or base({"train.frames": 16})
    drawn = []
    for i in range(number):
        rng = world.video_rng(p.data.seed, "a sequence", i)
        board, activities = draw_sequence(rng, classes[i % len(classes)], tuple(classes))
        drawn.append((board, rng, [name for name, _, _ in activities]))
    return _seen(drawn, tuple(classes), p, several=True)


def _check(number: int, classes: Sequence[str]) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigError(f"{number!r} videos: expected a whole number of at least 1")
    if isinstance(classes, str) or (unknown := [c for c in classes if c not in ACTIVITIES]):
        which = classes if isinstance(classes, str) else ", ".join(map(repr, unknown))
        raise ConfigError(f"classes: the storyboard world draws no {which}; expected a list of {', '.join(ACTIVITIES)}")


@lru_cache(maxsize=1)
def _tower(name: str, pretrained: str) -> CLIP:
    return load_clip(name, pretrained).eval()


def _seen(drawn: list[tuple], classes: tuple[str, ...], p: Profile, several: bool) -> Videos:
    clip, embedded, relevant = _tower(p.model.clip, p.model.pretrained), [], []
    with one_thread(), progress.quiet(f"drawing {len(drawn)} videos"), torch.inference_mode():
        bar = tqdm(range(0, len(drawn), BATCH), desc="drawing", unit="batch", leave=False)
        for start in bar:
            crops = []
            for board, rng, _ in drawn[start : start + BATCH]:
                at = val_indices(board.frames, p.train.frames)
                frames = torch.from_numpy(world.render_storyboard(board, rng)[at])
                crops.append(center_crop(frames, p.data.image_size))
                relevant.append(np.repeat([s.relevant for s in board.segments], [s.frames for s in board.segments])[at])
            embedded.append(embed_frames(clip, torch.stack(crops)).float())
    positive = np.array([[c in own for c in classes] for _, _, own in drawn])
    labels = np.full(len(drawn), -1) if several else positive.argmax(1)
    irrelevant = np.array([board.irrelevant for board, _, _ in drawn])
    return Videos(classes, torch.cat(embedded).clone(), labels, positive, np.stack(relevant), irrelevant)


def among(videos: Videos, classes: Iterable[str]) -> np.ndarray:
    """Which videos are of one of these classes, [V]."""
    return np.isin(videos.labels, [videos.classes.index(c) for c in classes])


@contextmanager
def one_thread() -> Iterator[None]:
    """Work as small as this is slower on several threads, much slower where other programs run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- models ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A model that was trained now: what it is called, the classes that it was trained on, and how it was made."""

    title: str
    model: VideoModel
    classes: tuple[str, ...]
    profile: Profile


def fit(variant: Variant, videos: Videos, seed: int = 0, profile: Profile | None = None) -> Trained:
    """The variant's head, trained on the frozen tower with the settings that the variant has in its study.

    An epoch repeats few videos up to as many as the world has of a class, as in the few-shot study.
    """
    p = changed(variant.profile(profile or base(), seed), dict(FROZEN))
    model = build_model(p, videos.classes, subtexts_of(p, videos.classes), variant.method, seed)
    if registry.get(variant.method).trained:
        _train(model, videos, p, seed, variant.title)
    return Trained(variant.title, model.eval(), videos.classes, p)


def fit_plugged(name: str, plug: str, videos: Videos, seed: int = 0, profile: Profile | None = None) -> Trained:
    """Another method of Table 2c: ``name`` one of ``OTHER_METHODS``, ``plug`` one of ``FVE``; raises as these do."""
    p = profile or base()
    plain = build_model(p, videos.classes, subtexts_of(p, videos.classes), "vanilla", seed)
    model = into_other_method(plain, name, plug, videos.classes, p.train.frames, p.model)
    own = changed(p, {"train.loss": OTHER_METHODS[name].loss})
    title = f"{OTHER_METHODS[name].title}, FVE: {plug}"
    _train(model, videos, own, seed, title)
    return Trained(title, model.eval(), videos.classes, own)


def _train(model: VideoModel, videos: Videos, p: Profile, seed: int, title: str) -> None:
    again = repeats(p.data.train_per_class * len(videos.classes), len(videos))
    with (
        one_thread(),
        progress.quiet(f"training {title}"),
        tqdm(desc=f"training {title}", unit="step", leave=False) as bar,
    ):

        def on_step(step: int, steps: int, loss: float) -> None:
            bar.total = steps
            bar.update()

        train(model, videos.clips, p, seed, on_step, repeats=again, embedded=videos.embedded[None])


def score(of: Trained, videos: Videos) -> Scores:
    """What a model says of the videos; of other classes than it was trained on with their texts by its own profile."""
    p, texts = of.profile, None
    if videos.classes != of.classes:
        texts = method_texts(of.model.clip, p, of.model.method, videos.classes, subtexts_of(p, videos.classes))
    frames = videos.embedded.shape[1]
    return evaluate.score(of.model, videos.clips, frames, p.data.image_size, embedded=videos.embedded, texts=texts)


def hits(of: Trained, videos: Videos) -> np.ndarray:
    """Whether the most probable class is the true one, [V]."""
    return score(of, videos).probabilities.argmax(1) == videos.labels


def top1(of: Trained, videos: Videos) -> float:
    """Top-1 accuracy in percent."""
    return 100 * float(hits(of, videos).mean())


def table(
    models: Sequence[Trained],
    tests: Videos | Mapping[str, Videos],
    measure: Callable[[Trained, Videos], float] = top1,
    metric: str = "Top-1 [%]",
) -> Table:
    """``measure(model, videos)`` of each model (rows) on each set of videos (columns)."""
    sets = {metric: tests} if isinstance(tests, Videos) else {f"{metric} {name}": v for name, v in tests.items()}
    rows = [[m.title, *(measure(m, videos) for videos in sets.values())] for m in models]
    counts = sorted({len(videos) for videos in sets.values()})
    said = f"{' or '.join(map(str, counts))} videos drawn now, one seed: to play with, no measurement."
    return Table(["Trained now", *sets], rows, rest=said)


def found(which: Iterable[Variant], *names: str) -> list[Variant]:
    """The variants of these names. Raises ``ConfigError`` naming those that there are."""
    known = {v.name: v for v in which}
    if unknown := [n for n in names if n not in known]:
        raise ConfigError(f"no variant {', '.join(map(repr, unknown))}: expected of {', '.join(known)}")
    return [known[n] for n in names]
