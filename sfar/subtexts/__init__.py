"""Section 3.1: sub-texts, N short descriptions of the atomic actions of each class: bank, generation with an LLM, TPP."""

from sfar.subtexts.texts import SubTexts

__all__ = ["SubTexts"]
