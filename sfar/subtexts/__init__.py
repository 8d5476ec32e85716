"""Section 3.1: sub-texts, N short descriptions of the atomic actions of each class, and what makes or scores them."""

from sfar.subtexts.texts import SubTexts

__all__ = ["SubTexts"]
