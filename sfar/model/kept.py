"""A value that is worked out again only when what it follows from has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Kept:
    """The last value of a function of tensors, for as long as these are the same objects and no weight has changed.

    The tensors themselves are kept and compared by identity: one that was freed cannot be taken for another in its
    place. A copy of it (deepcopy, pickle) is empty, so that no copied model answers for its original.
    """

    def __init__(self) -> None:
        self._of: tuple[Tensor, ...] = ()
        self._versions: list[int] = []
        self._value: Tensor | None = None

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()  # for both, copy and pickle

    def value(self, make: Callable[[], Tensor], of: tuple[Tensor, ...], weights: Iterable[Tensor] = ()) -> Tensor:
        """What ``make`` gives for the constants ``of`` and the ``weights``, which an optimizer changes in place."""
        weights = tuple(weights)
        of, versions = of + weights, [w._version for w in weights]
        same = len(of) == len(self._of) and all(a is b for a, b in zip(of, self._of, strict=True))
        kept = self._value if same and versions == self._versions else None
        # A model that was evaluated first and is trained later: autograd refuses tensors made in inference mode.
        if kept is None or (kept.is_inference() and not torch.is_inference_mode_enabled()):
            self._of, self._versions, self._value = of, versions, (kept := make())
        return kept
