"""Which scene texts classes have: OST's *spatio descriptors*, four things or places that are seen in each."""

from __future__ import annotations

from functools import lru_cache

from sfar.errors import ConfigError
from sfar.subtexts.texts import SPATIO, SubTexts, bank_names


@lru_cache(maxsize=8)
def _bundled(label_set: str) -> SubTexts:
    return SubTexts.load(label_set, kind=SPATIO)


def scenes_of(classes: tuple[str, ...]) -> SubTexts:
    """The bundled scene texts of the first label set that has every one of ``classes``, in their order.

    Raises ``ConfigError`` naming classes that the nearest lacks.
    """
    lacking = {name: [c for c in classes if c not in _bundled(name)] for name in bank_names()}
    best = min(lacking, key=lambda name: len(lacking[name]))
    if lacking[best]:
        raise ConfigError(
            f"no bundled scene texts for class {', '.join(map(repr, lacking[best][:3]))}, which OST needs: it can be "
            f"trained on the classes of one of {', '.join(bank_names())}"
        )
    return _bundled(best).only(classes)
