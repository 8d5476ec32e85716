"""Scene texts: of each class four things or places that are seen, OST's *spatio descriptors*."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from sfar.errors import ConfigError
from sfar.subtexts.texts import SubTexts, bank_names

N = 4  # of a class, as in every configuration that OST has released


@lru_cache(maxsize=8)
def load(label_set: str) -> SubTexts:
    """The bundled scene texts of a label set (one of ``bank_names()``): class name -> N noun phrases."""
    raw = (files("sfar.subtexts") / "spatio" / f"{label_set}.json").read_bytes()
    return SubTexts.parse(raw, f"the bundled scene texts of {label_set!r}", N)


def scenes_of(classes: tuple[str, ...]) -> SubTexts:
    """The scene texts of the first label set that has every one of ``classes``, in their order.

    Raises ``ConfigError`` naming a class that the nearest lacks.
    """
    lacking = {name: [c for c in classes if c not in load(name)] for name in bank_names()}
    best = min(lacking, key=lambda name: len(lacking[name]))
    if lacking[best]:
        raise ConfigError(
            f"no bundled scene texts for class {', '.join(map(repr, lacking[best][:3]))}, which OST needs: "
            "they are bundled for the five label sets of `sfar subtexts check`"
        )
    return load(best).only(classes)
