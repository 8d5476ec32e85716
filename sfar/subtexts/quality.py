"""What a sentence encoder sees in sub-texts: whether they find their class, and how different those of a class are.

Rules (``check``) see words; this sees meaning. Four texts that avoid what the class is about ("a tube" for a
didgeridoo) keep every rule and still say little. The encoder is no part of the method: it is one of the user's, by
default the common all-MiniLM-L6-v2, through sentence-transformers (``pip install 'sfar[encoder]'``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfar.errors import ConfigError
from sfar.util.extras import extra

ENCODER = "all-MiniLM-L6-v2"

Encode = Callable[[list[str]], np.ndarray]  # K texts -> unit vectors [K, d]


@dataclass(frozen=True)
class Quality:
    """Of one set of sub-texts, class by class.

    ``taken_for``: class -> the class whose name lies nearest to the mean of its texts; ``diversity``: class -> 1 minus
    the mean cosine of two of its texts, 0 where they say the same.
    """

    taken_for: Mapping[str, str]
    diversity: Mapping[str, float]

    @property
    def found(self) -> float:
        """Share of classes that are found by their own texts, in percent."""
        return 100 * float(np.mean([name == other for name, other in self.taken_for.items()]))

    @property
    def mean_diversity(self) -> float:
        """Mean over the classes."""
        return float(np.mean(list(self.diversity.values())))

    @property
    def missed(self) -> list[tuple[str, str]]:
        """The classes that are not found, each with the one that it is taken for."""
        return [(name, other) for name, other in self.taken_for.items() if name != other]


def measure(texts: Mapping[str, Sequence[str]], encode: Encode) -> Quality:
    """The quality of a set of sub-texts (class -> at least two texts), by the class names of the set itself."""
    names = list(texts)
    titles = encode(names)
    every = encode([t for name in names for t in texts[name]])
    ends = np.cumsum([len(texts[name]) for name in names])
    taken_for, diversity = {}, {}
    for name, own in zip(names, np.split(every, ends[:-1]), strict=True):
        taken_for[name] = names[int((titles @ own.mean(0)).argmax())]
        cosines = own @ own.T
        diversity[name] = 1 - float(cosines[np.triu_indices(len(own), 1)].mean())
    return Quality(taken_for, diversity)


def encoder(name: str = ENCODER) -> Encode:
    """A sentence encoder by the name that sentence-transformers knows it by, or from a folder.

    On the CPU, where two runs give the same. Raises ``ConfigError`` without the extra, and where nothing of this name
    can be loaded.
    """
    with extra("encoder", "a sentence encoder"):
        from sentence_transformers import SentenceTransformer
    try:
        model = SentenceTransformer(str(Path(name).expanduser()) if "/" in name else name, device="cpu")
    except (OSError, ValueError) as e:
        raise ConfigError(
            f"cannot load the sentence encoder {name!r} ({str(e).splitlines()[0][:120]}): give the name of one of "
            "sentence-transformers, which it downloads, or a folder that holds one"
        ) from e
    return lambda texts: model.encode(texts, normalize_embeddings=True, batch_size=256, show_progress_bar=False)
