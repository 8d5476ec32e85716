"""What ``notebooks/00_method.ipynb`` walks through: a video whose storyboard is known, and what SFAR makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from sfar.config import Profile
from sfar.data.video import read_frames
from sfar.errors import ConfigError
from sfar.model.clip import embed_frames
from sfar.model.embedding import mean_unit_words, unit
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts, class_texts
from sfar.recognizer import Recognizer, sample, words_of
from sfar.render import method
from sfar.storyboard import world
from sfar.storyboard.scripts import ACTIVITIES
from sfar.storyboard.write import encode_h264, shown
from sfar.subtexts.source import bundled

TESTED = 100_000  # the world's test videos are drawn from numbers from here on, those of training from 0


# --- the texts -------------------------------------------------------------------------------------------------------


def texts_with(model: Recognizer, name: str, own: Sequence[str] = ()) -> tuple[ClassTexts, dict[str, tuple[str, ...]]]:
    """The texts of the model's classes and of the class ``name``, and the sub-texts of each, in the same order.

    ``own``: sub-texts of ``name`` in place of the model's or the bundled ones. Raises ``ConfigError`` for a class that
    has none, and for another number of them than the model has.
    """
    m = model.profile.model
    found = dict(model.texts)
    if own:
        found[name] = tuple(own)
    elif name not in found:
        found[name] = bundled(name, m.n_subtexts)
    return class_texts(model.model.clip, list(found), found, m), found


# --- the video -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Video:
    """One video: what it is called, the sampled frames as they are (uint8 [H, W, 3]) and as the model takes them.

    ``frames`` [L, 3, size, size]; ``relevant`` [L]: whether a frame shows an action of the video's own activity, None
    where that is not known; ``truth``: what the video shows when.
    """

    name: str
    pictures: list[np.ndarray]
    frames: Tensor
    truth: method.Truth
    relevant: np.ndarray | None = None


def video(which: str | Sequence, profile: Profile) -> Video:
    """A file, or the test video ``[activity, number]`` of the storyboard world, drawn now and read as any other.

    Numbers from 0 to ``data.val_per_class`` - 1 are the videos that the world's data set tests on; there are more.
    Raises ``ConfigError`` for an activity that the world does not have, ``VideoError`` for a file that is no video.
    """
    if isinstance(which, str):
        return _read(Path(which).name, which, profile)
    activity, number = which
    if activity not in ACTIVITIES:
        raise ConfigError(
            f"video={list(which)!r}: the storyboard world draws no {activity!r}; expected one of "
            f"{', '.join(ACTIVITIES)}, or the path of a file"
        )
    rng = world.video_rng(profile.data.seed, activity, TESTED + number)
    board = world.draw_storyboard(activity, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "drawn.mp4")
        encode_h264(Path(path), world.render_storyboard(board, rng), board.fps)
        return _read(f"{activity}, video {number}", path, profile, board)


def _read(name: str, path: str, profile: Profile, board: world.Storyboard | None = None) -> Video:
    seen = sample(path, profile)
    index = seen.indices
    segments = method.storyboard(board.activity, shown(board)["segments"]) if board else []
    *times, length = seen.info.seconds(np.append(index, seen.info.frames)).tolist()
    truth = method.Truth(times, length, segments)
    relevant = None
    if board:
        relevant = np.array([s.relevant for s in board.segments for _ in range(s.frames)])[index]
    return Video(name, list(read_frames(path, index)), seen.crops(profile), truth, relevant)


# --- what SFAR makes of it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """One video seen with one class: ``word_cosines`` [W, L], ``coarse`` [L], ``sub_cosines`` [N, L], ``fine`` [L]."""

    words: Sequence[str]
    word_cosines: np.ndarray
    coarse: np.ndarray
    subtexts: tuple[str, ...]
    sub_cosines: np.ndarray
    fine: np.ndarray

    def best(self) -> list[str]:
        """The sub-text that fits each frame best."""
        return [self.subtexts[n] for n in self.sub_cosines.argmax(0)]


@torch.no_grad()
def look(model: Recognizer, v: Video, texts: ClassTexts, subtexts: dict[str, tuple[str, ...]], name: str) -> Look:
    """Cosines and weights of Eq. 7 and 9 of the video for the class ``name``.

    ``texts`` and ``subtexts`` as ``texts_with`` gives them.
    """
    head, c = model.model.head, list(subtexts).index(name)
    assert isinstance(head, SFAR)
    # Where the model is and in its precision: the notebook has made it double, as the literal loops are.
    seen = head.in_context(embed_frames(model.model.clip, v.frames[None].to(texts.cls)))
    coarse, fine = head.importance(seen, texts)
    assert coarse is not None and fine is not None  # the bundled checkpoint has both
    mask = texts.mask[c]
    subs = mean_unit_words(texts.sub_words, texts.sub_mask)[c]
    return Look(
        words_of(model.profile.model.prompt.format(name)),
        (unit(head.augmented(texts)[c, mask]) @ unit(seen[0]).T).cpu().numpy(),
        coarse[0, c].cpu().numpy(),
        subtexts[name],
        (subs @ unit(seen[0]).T).cpu().numpy(),
        fine[0, c].cpu().numpy(),
    )


def picture(v: Video, seen: Look, name: str) -> Figure:
    """The aligned picture of a video seen with the class ``name``."""
    return method.aligned(
        v.pictures,
        seen.words,
        seen.word_cosines,
        seen.coarse,
        seen.subtexts,
        seen.sub_cosines,
        seen.fine,
        v.truth,
        f"{v.name}, seen with the class “{name}”",
    )
