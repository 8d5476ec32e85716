"""ActionCLIP (Wang et al., 2021) and Text4Vis (Wu et al., AAAI 2023): the temporal transformer of the baseline.

Both have that head exactly (ActionCLIP modules/Visual_Prompt.py, Text4Vis modules/video_clip.py): 6 blocks over the
frames, a residual, the mean, cosine with the class. ActionCLIP trains the text tower too, on one of 16 templates drawn
for each video and step, and takes the mean of their softmax at test; Text4Vis keeps the texts of a frozen tower.

Left out of ActionCLIP: the draw. All 16 templates of a class are embedded at each step, in training as at test, and
the class embedding is the mean of their unit vectors: what is drawn there is averaged here, and a video's logits do not
depend on the draw. Its test takes the mean after the softmax at a scale of 100.
"""

from __future__ import annotations

from torch import Tensor

from sfar.config import ModelConfig
from sfar.model.embedding import unit
from sfar.model.method import TEXT, Method, Recipe, Wording
from sfar.model.temporal import Temporal
from sfar.model.texts import ClassTexts, Sets

TEMPLATES = (  # ActionCLIP utils/Text_Prompt.py
    "a photo of action {}",
    "a picture of action {}",
    "Human action of {}",
    "{}, an action",
    "{} this is an action",
    "{}, a video of action",
    "Playing action of {}",
    "{}",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Can you recognize the action of {}?",
    "Video classification of {}",
    "A video of {}",
    "The man is {}",
    "The woman is {}",
)


def templates(said: Wording) -> Sets:
    """The class name in each of ActionCLIP's templates."""
    return {"templates": [[t.format(c) for t in TEMPLATES] for c in said.classes]}


class ActionCLIP(Temporal):
    """The temporal transformer and the mean over frames, against the mean of each class's templates."""

    def classes(self, texts: ClassTexts) -> Tensor:
        """See ``Temporal``."""
        return unit(texts.get_buffer("templates")).mean(1)


def build(d: int, tau: float, cfg: ModelConfig) -> ActionCLIP:
    """The head of ActionCLIP."""
    return ActionCLIP(d, tau, cfg.temporal_layers)


def text4vis(d: int, tau: float, cfg: ModelConfig) -> Temporal:
    """The head of Text4Vis."""
    return Temporal(d, tau, cfg.temporal_layers)


METHOD = Method(
    "actionclip",
    "ActionCLIP",
    "#332288",
    ">",
    reads=TEXT | {"temporal_layers"},
    build=build,
    texts=templates,
    recipe=Recipe(
        {
            "train.loss": "kl",
            "train.train_text": "all",
            "train.lr_clip": 5e-6,
            "train.lr_head": 5e-5,
            "train.epochs": 50,
            "train.warmup_epochs": 5.0,
            "train.weight_decay": 0.2,
            "train.betas": (0.9, 0.98),
            "train.frames": 8,
            "train.batch": 128,
        },
        "sallymmx/ActionCLIP: train.py, configs/k400",
        left_out="RandAugment; a rate that changes every tenth step; the best epoch on the validation list",
    ),
)
TEXT4VIS = Method(
    "text4vis",
    "Text4Vis",
    "#88CCEE",
    "p",
    reads=TEXT | {"temporal_layers"},
    build=text4vis,
    recipe=Recipe(
        {
            "model.prompt": "a video of a person {}.",
            "train.loss": "cross_entropy",
            "train.train_text": "frozen",
            "train.lr_clip": 5e-6,
            "train.lr_head": 5e-5,
            "train.epochs": 30,
            "train.warmup_epochs": 5.0,
            "train.weight_decay": 0.2,
            "train.batch": 256,
        },
        "whwu95/Text4Vis: train.py, configs/k400",
        left_out="the test's scale of 100",
    ),
)
