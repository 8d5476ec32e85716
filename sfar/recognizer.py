"""A model on videos of one's own: ``sfar.load(...)`` gives a ``Recognizer``, its ``predict`` a ``Prediction``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import torch

from sfar.config import Profile, get_profile
from sfar.data.transforms import center_crop, scale_size, val_indices
from sfar.data.video import VideoInfo, decoder, probe, read_frames
from sfar.data.watchdog import guarded
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import WEIGHTS, load_clip, token_ids
from sfar.model.embedding import mean_unit_words, unit
from sfar.model.other_methods import refuse
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts, Prompts, class_texts
from sfar.model.video_model import VideoModel
from sfar.runs import kept
from sfar.runs.run import device, method_texts
from sfar.subtexts import SubTexts
from sfar.subtexts.source import each
from sfar.training import checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ZERO_SHOT = "zero-shot"
NUMBERED = 16  # frames side by side that have room for the numbers of ``Prediction.plot``
BUNDLED = "storyboard"  # the checkpoint that comes with the package; what it is says sfar.json beside it
CHECKPOINT = WEIGHTS / "sfar.safetensors"


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one video.

    ``probabilities`` [C] of ``classes``; the L sampled frames: ``frames`` uint8 [L, H, W, 3], their numbers ``indices``
    [L] and ``times`` [L] in seconds (their numbers where the file says none); ``coarse`` (Eq. 7) and ``fine`` (Eq. 9),
    the importance of each frame for each class, [C, L] or None where the method has none; ``subtexts`` of each class
    and ``sub_cosines`` [C, N, L], what Eq. 9 takes the greatest of; ``words`` of each class's prompt and
    ``word_cosines`` [C, W, L], of the augmented words (Eq. 7; rows behind a class's last word are padding), () and None
    where the method has none.
    """

    path: str
    classes: tuple[str, ...]
    probabilities: np.ndarray
    frames: np.ndarray
    indices: np.ndarray
    times: np.ndarray
    coarse: np.ndarray | None
    fine: np.ndarray | None
    subtexts: Mapping[str, Sequence[str]]
    sub_cosines: np.ndarray
    words: tuple[tuple[str, ...], ...]
    word_cosines: np.ndarray | None

    @property
    def nearest(self) -> np.ndarray:
        """Which sub-text of each class is the best one at each frame (the n of Eq. 9's maximum), [C, L]."""
        return self.sub_cosines.argmax(1)

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.probabilities.argmax())]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The ``k`` most probable classes with their probabilities, the highest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]

    def of(self, name: str | None = None) -> int:
        """The number of a class, by default of the most probable one. Raises ``ConfigError`` for an unknown one."""
        name = self.label if name is None else name
        if name not in self.classes:
            raise ConfigError(f"class {name!r} is not among those that were asked for: {', '.join(self.classes[:8])}")
        return self.classes.index(name)

    def best_subtexts(self, name: str | None = None) -> list[str]:
        """The sub-text of a class that fits each frame best, L texts."""
        c = self.of(name)
        return [str(self.subtexts[self.classes[c]][n]) for n in self.nearest[c]]

    def to_json(self, k: int = 5) -> dict[str, Any]:
        """Path, the ``k`` most probable classes, and of the first what each frame counts."""
        c = self.of()
        weights = {
            name: None if w is None else [round(float(x), 4) for x in w[c]]
            for name, w in (("coarse", self.coarse), ("fine", self.fine))
        }
        return {
            "video": self.path,
            "classes": [{"class": name, "probability": round(p, 6)} for name, p in self.top(k)],
            "times": [round(float(t), 3) for t in self.times],
            **weights,
            "subtexts": self.best_subtexts(),
        }

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {100 * p:.1f} %" for name, p in self.top(3))
        return f"Prediction({self.path!r}: {said})"

    def plot(self, name: str | None = None) -> Figure:
        """Words and sub-texts of a class, by default the most probable one, against the frames, with what each counts.

        Column by column (``render.method.aligned``); what ``storyboard`` draws where the method has not both weights,
        or more frames than have room for numbers.
        """
        c = self.of(name)
        if self.word_cosines is None or self.fine is None or self.coarse is None or len(self.frames) > NUMBERED:
            return self.storyboard(name)
        from sfar.render.method import Truth, aligned  # matplotlib is not imported for a prediction

        words = self.words[c]
        return aligned(
            list(self.frames),
            words,
            self.word_cosines[c, : len(words)],
            self.coarse[c],
            self.subtexts[self.classes[c]],
            self.sub_cosines[c],
            self.fine[c],
            Truth(self.times.tolist(), float(self.times[-1])),
            self._title(c),
        )

    def storyboard(self, name: str | None = None) -> Figure:
        """The frames with their weights for a class, by default the most probable one, and under them its sub-texts.

        Of each frame the best one.
        """
        from sfar.render.prediction import figure

        c = self.of(name)
        weights = {title: w[c] for title, w in (("a_coarse", self.coarse), ("a_fine", self.fine)) if w is not None}
        return figure(self.frames, self.times, weights, self.best_subtexts(name), self._title(c))

    def _title(self, c: int) -> str:
        return f"{self.classes[c]}: {100 * self.probabilities[c]:.1f} %"


@functools.cache
def _tokenizer() -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer()


def words_of(text: str, keep: str = "words") -> tuple[str, ...]:
    """The tokens of ``text`` that count in Eq. 7 and 9, readable; the last is the end-of-text token.

    ``keep``: which do (``clip.encode_words``); of "all" the padding behind them is left out.
    """
    words = [_tokenizer().decode([i]).strip() for i in token_ids(text)[1:-1]]
    return (*(("⟨start⟩",) if keep != "words" else ()), *words, "⟨end⟩")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """The frames of a video that the evaluation's single view looks at.

    ``indices`` [L]: their numbers; ``frames`` uint8 [L, H, W, 3]: scaled, not yet cropped.
    """

    info: VideoInfo
    indices: np.ndarray
    frames: np.ndarray

    def crops(self, profile: Profile) -> torch.Tensor:
        """As a model takes them: [L, 3, size, size], normalised."""
        return center_crop(torch.from_numpy(self.frames), profile.data.image_size)


def sample(video: str | Path, profile: Profile) -> Sample:
    """Read the frames, in a process with a deadline. Raises ``VideoError`` for a video that cannot be read."""
    info = guarded(probe, video)
    indices = val_indices(info.frames, profile.train.frames)
    frames = guarded(read_frames, video, indices, scale_size(profile.data.image_size), warm=(decoder, "auto"))
    return Sample(info, indices, frames)


class Recognizer:
    """A method with its weights, its classes and their sub-texts, for videos of one's own (``sfar.load``)."""

    def __init__(self, model: VideoModel, profile: Profile, texts: SubTexts):
        self.model, self.profile, self.texts = model.eval(), profile, texts
        self._asked: dict[tuple, tuple[ClassTexts | Prompts | None, ClassTexts]] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it was trained on; of zero-shot CLIP those of its label set."""
        return tuple(self.texts)

    def __repr__(self) -> str:
        return f"Recognizer({self.model.method!r}, {len(self.texts)} classes, CLIP {self.profile.model.clip!r})"

    def predict(
        self,
        video: str | Path,
        classes: Sequence[str] | None = None,
        subtexts: Mapping[str, Sequence[str]] | str | None = None,
    ) -> Prediction:
        """What the model says of a video file, or of a folder of its frames (the single view of the evaluation).

        ``classes``: by default its own; others are recognised zero-shot. ``subtexts``: of each class N texts; of a
        class that it lacks its own or the bundled ones; "name": the class name in place of them.

        Raises:
            VideoError: The video cannot be read.
            ConfigError: A class without sub-texts, or with another number than N.
        """
        names, texts = self._texts(classes, subtexts)
        m = self.profile.model
        s = sample(video, self.profile)
        side = next(self.model.parameters()).device
        said, plain = self._said(names, texts)
        with torch.inference_mode():
            x = s.crops(self.profile)[None].to(side)
            seen = self.model.see(x)
            out = self.model.say(seen, said)
            subs, words = self._cosines(seen if isinstance(seen, torch.Tensor) else seen.frames, plain)
        coarse, fine = (None if w is None else w[0].float().cpu().numpy() for w in (out.coarse, out.fine))
        return Prediction(
            str(video),
            names,
            out.logits[0].float().softmax(-1).cpu().numpy(),
            s.frames,
            s.indices,
            s.info.seconds(s.indices),
            coarse,
            fine,
            texts,
            subs.cpu().numpy(),
            () if words is None else tuple(words_of(m.prompt.format(c), m.word_mask) for c in names),
            None if words is None else words.cpu().numpy(),
        )

    def _cosines(self, v: torch.Tensor, texts: ClassTexts) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Of sub-texts [C, N, L] and of augmented words [C, W, L] with the frames ``v`` [1, L, d] of a video."""
        head = self.model.head
        seen = unit((head.in_context(v) if isinstance(head, SFAR) else v)[0].float())
        subs = torch.einsum("cnd,ld->cnl", mean_unit_words(texts.sub_words, texts.sub_mask), seen)
        if not isinstance(head, SFAR) or not head.cfg.coarse:
            return subs, None
        return subs, torch.einsum("cwd,ld->cwl", unit(head.augmented(texts)), seen)

    def _texts(
        self, classes: Sequence[str] | None, subtexts: Mapping[str, Sequence[str]] | str | None
    ) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
        if isinstance(classes, str):
            raise ConfigError(f"classes={classes!r}: expected a list of class names")
        names = self.classes if classes is None else tuple(classes)
        if not names or len(set(names)) < len(names):
            raise ConfigError("classes: expected at least one name, and none twice")
        if registry.get(self.model.method).closed and names != self.classes:
            raise ConfigError(
                f"{self.model.method!r} is a classifier of the {len(self.classes)} classes that it was trained on: "
                "leave classes out, or take a method that compares with texts"
            )
        return names, each(names, self.profile.model.n_subtexts, subtexts, self.texts)

    def _said(
        self, names: tuple[str, ...], texts: Mapping[str, Sequence[str]]
    ) -> tuple[ClassTexts | Prompts | None, ClassTexts]:
        """What the method looks at (None: the model's own), and prompts and sub-texts embedded.

        Made once for the classes last asked for.
        """
        key = (names, tuple(tuple(texts[c]) for c in names))
        if key not in self._asked:
            clip, p = self.model.clip, self.profile
            side = next(clip.parameters()).device
            own = names == self.classes and all(tuple(texts[c]) == tuple(self.texts[c]) for c in names)
            with torch.no_grad():  # not in inference mode: a head keeps what depends on the texts alone
                said = self.model.said if own else method_texts(clip, p, self.model.method, names, texts).to(side)
                plain = said if isinstance(said, ClassTexts) else class_texts(clip, list(names), texts, p.model)
                self._asked = {key: (None if own else said, plain)}
        return self._asked[key]


def load(what: str | Path = ZERO_SHOT, profile: str = "") -> Recognizer:
    """A recognizer: a checkpoint of `sfar train`, or "zero-shot", the CLIP of ``profile`` with mean pooling.

    "storyboard": the bundled checkpoint, SFAR as printed, trained on the drawn world. The folder or the key of a run
    that was kept (`sfar runs`): its checkpoint. Of a checkpoint classes, sub-texts and configuration are in the file.
    ``profile`` is of "zero-shot" alone: "storyboard" (default: the bundled CLIP) or "paper" (OpenAI's ViT-B/16).

    Raises ``ConfigError`` for a file that is none or does not fit, and for weights that cannot be had.
    """
    if str(what) == ZERO_SHOT:
        base = get_profile(profile or "storyboard")
        label_set = "storyboard" if base.model.clip == "storyboard" else "kinetics400"
        texts = SubTexts.load(label_set, base.model.n_subtexts)
        return Recognizer(_model("vanilla", base, texts).to(device()), base, texts)
    if profile:
        raise ConfigError(f"profile={profile!r} goes with {ZERO_SHOT!r}: a checkpoint has its own")
    path = CHECKPOINT if str(what) == BUNDLED else kept.checkpoint_of(what)
    about = checkpoint.read_about(path)
    refuse(path, about)
    base = get_profile(*checkpoint.configuration(about))
    if "subtexts" not in about:
        raise ConfigError(f"{path} has no sub-texts in it: it was written by an older `sfar train`; train it again")
    texts = SubTexts(about["subtexts"], "checkpoint", None, source=str(path), n=base.model.n_subtexts)
    model = checkpoint.load(path, _model(about["method"], base, texts), base, tuple(about["classes"]))
    return Recognizer(model.to(device()), base, texts)


def _model(method: str, profile: Profile, texts: SubTexts) -> VideoModel:
    clip, t = load_clip(profile.model.clip, profile.model.pretrained), profile.train
    said = method_texts(clip, profile, method, tuple(texts), texts, own=True)
    changes_tower = registry.get(method).tower is not None
    return VideoModel(method, clip, said, profile.model, changes_tower, t.train_text, t.frames)
