"""What the repository knows of a method besides its head: its name in commands and its look in tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sfar.config import ModelConfig
from sfar.model.head import Head

# Fields of ``ModelConfig`` that every method reads, through CLIP and the class prompts.
TEXT = frozenset({"clip", "pretrained", "prompt"})


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
    build: Callable[[int, float, ModelConfig], Head]  # of the embeddings' width d, the temperature over frames, cfg
    trained: bool = True  # False: nothing is, and there is one run for all seeds
    sub_texts: bool = False  # whether its logits depend on the sub-texts
    own: bool = False  # the paper's method, against which the others are compared

    @property
    def rival(self) -> bool:
        """Whether SFAR is compared with it."""
        return not self.own
