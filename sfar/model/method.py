"""What the repository knows of a method besides its head: its name in commands and its look in tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from open_clip.model import CLIP

from sfar.config import ModelConfig
from sfar.model.head import Head
from sfar.model.texts import Prompts, Sets
from sfar.model.tower import VideoTower

# Fields of ``ModelConfig`` that every method reads, through CLIP and the class prompts.
TEXT = frozenset({"clip", "pretrained", "prompt"})


@dataclass(frozen=True)
class Wording:
    """What there is to say of C classes: their names, sub-texts and scene texts (what is seen), by class."""

    classes: Sequence[str]
    subtexts: Mapping[str, Sequence[str]]
    scenes: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Recipe:
    """How a system was trained where it was published.

    ``fields``: of ``ModelConfig`` and ``TrainConfig`` by dotted name, at the size of Kinetics-400; ``few_shot``: those
    that differ there; ``source``: the files that say so; ``left_out``: what of it this repository has not.
    """

    fields: Mapping[str, Any]
    source: str
    few_shot: Mapping[str, Any] = field(default_factory=dict)
    left_out: str = ""


@dataclass(frozen=True)
class Method:
    """A method that is trained, compared and drawn. One stands beside each head, all of them in ``registry.METHODS``.

    ``reads``: fields of ``ModelConfig`` that make another run of it; the others do not. Sub-texts are no field: whoever
    has ``sub_texts`` reads them, whatever file they come from.
    """

    name: str  # in commands, records and file names
    title: str  # in tables and figures
    colour: str  # #rrggbb; the five are Okabe-Ito's, which colour-blind readers can tell apart
    marker: str  # matplotlib's
    reads: frozenset[str]
    build: Callable[..., Head]  # of the embeddings' width d, the temperature over frames, ``ModelConfig``
    trained: bool = True  # False: nothing is, and there is one run for all seeds
    sub_texts: bool = False  # whether its logits depend on the sub-texts
    own: bool = False  # the paper's method, against which the others are compared
    # Further texts that it looks at beside the class prompt; ``scenes``: the scene texts are among them.
    texts: Callable[[Wording], Sets] | None = None
    scenes: bool = False
    # Texts of the classes of its training that are trained themselves; other classes have those of the class prompt.
    learned: Callable[[CLIP, Wording, ModelConfig], Prompts] | None = None
    # What it makes of CLIP's visual tower, for L frames; None: nothing. It is given videos, not embeddings of them.
    tower: Callable[[CLIP, int, ModelConfig], VideoTower] | None = None
    trains_clip: bool = True  # False: CLIP's visual weights stay, and what ``tower`` adds to them is trained
    trains_scale: bool = True  # False: the logit scale stays
    # A linear classifier behind its tower: ``build`` takes the number of classes and d_v too, and no other classes fit.
    closed: bool = False
    control: str = ""  # the system that it is a variation of, to tell what the rest of that does
    prompted: bool = False  # it has a ``PromptedHead``: ``build`` takes CLIP too
    # Its tower adds to the text tower (``VideoTower.text_side``): class texts are embedded anew at each step.
    adapts_text: bool = False
    recipe: Recipe | None = None  # of a system that was published with one

    @property
    def entries(self) -> tuple[str, ...]:
        """Its own code: the modules of all that it is made of, with what they say of it (``code.version``)."""
        made = (self.build, self.texts, self.learned, self.tower)
        return tuple(dict.fromkeys(function.__module__ for function in made if function))

    @property
    def rival(self) -> bool:
        """Whether SFAR is compared with it."""
        return not self.own
