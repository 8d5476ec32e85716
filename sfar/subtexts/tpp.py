"""Text prompt perplexity (Eq. 1-3): how related the sub-texts of a class are to it, and how different from one another.

Appendix A.3 gives alpha(x) = 1 - x^2 and beta(x) = x. With that beta, TPP falls as diversity rises, the opposite of
what the text says of it; the values the paper prints (54 to 61) can only come from the printed form. Both readings are
here (DEVIATIONS.md): "printed", and "diverse" with beta(x) = 1 - x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from open_clip.model import CLIP
from torch import Tensor

from sfar.errors import ConfigError
from sfar.model.clip import embed_texts
from sfar.subtexts.texts import SubTexts

# A sub-text equal to the global text has alpha = 0, identical sub-texts have beta = 0 (printed): their logarithm does
# not exist. No pair of different texts of a CLIP comes near this floor; it bounds a class's TPP at 10^6.
FLOOR = 1e-6


def alpha(x: np.ndarray) -> np.ndarray:
    """Scaling of the similarity sigma, A.3: 1 - x^2."""
    return 1 - x**2


BETA: dict[str, Callable[[np.ndarray], np.ndarray]] = {"printed": lambda x: x, "diverse": lambda x: 1 - x}
READINGS = tuple(BETA)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines along the last axis, within [-1, 1] in spite of rounding."""
    norm = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    if not np.all(norm > 0):
        raise ValueError("a text embedding of length zero has no direction")
    return np.clip((a * b).sum(-1) / norm, -1, 1)


def _double(x: Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, np.float64)


def similarity(classes: Tensor | np.ndarray, subs: Tensor | np.ndarray) -> np.ndarray:
    """Sigma of Eq. 2, [C, N] in [0, 1], from class embeddings [C, d] and sub-text embeddings [C, N, d]."""
    return (_cosine(_double(classes)[:, None], _double(subs)) + 1) / 2


def diversity(subs: Tensor | np.ndarray) -> np.ndarray:
    """Delta of Eq. 3, [C, N] in [0, 1], from sub-text embeddings [C, N, d].

    Raises ``ConfigError`` for N = 1: there is no other sub-text.
    """
    s = _double(subs)
    n = s.shape[1]
    if n < 2:
        raise ConfigError(f"TPP compares the sub-texts of a class with one another: expected N of at least 2, got {n}")
    pairs = (_cosine(s[:, :, None], s[:, None]) + 1) / 2
    return 1 - pairs[:, ~np.eye(n, dtype=bool)].reshape(len(s), n, n - 1).mean(-1)


def perplexity(sigma: np.ndarray, delta: np.ndarray, reading: str = "printed") -> np.ndarray:
    """TPP_c of Eq. 1, [C], from sigma and delta [C, N]: one over the geometric mean of alpha(sigma) beta(delta).

    Finite at every edge. Raises ``ConfigError`` for an unknown reading.
    """
    if reading not in BETA:
        raise ConfigError(f"unknown reading {reading!r} of TPP: expected {' or '.join(READINGS)}")
    product = np.maximum(alpha(np.asarray(sigma, float)) * BETA[reading](np.asarray(delta, float)), FLOOR)
    return np.exp(-np.log(product).mean(-1))


def tpp(classes: Tensor | np.ndarray, subs: Tensor | np.ndarray, reading: str = "printed") -> np.ndarray:
    """TPP_c, [C], from class embeddings [C, d] and sub-text embeddings [C, N, d].

    Raises ``ConfigError`` for N = 1 or an unknown reading.
    """
    return perplexity(similarity(classes, subs), diversity(subs), reading)


@dataclass(frozen=True)
class Score:
    """Of one group of sub-texts: class names, sigma and delta [C, N], and TPP_c [C] by reading."""

    names: tuple[str, ...]
    sigma: np.ndarray
    delta: np.ndarray
    tpp: dict[str, np.ndarray]

    def mean(self, reading: str) -> float:
        """The group's TPP, the average over its classes (section 4.3)."""
        return float(self.tpp[reading].mean())


def score(texts: SubTexts | Mapping[str, Sequence[str]], clip: CLIP, prompt: str) -> Score:
    """TPP of every class of a group under both readings, with the text tower of ``clip``.

    The global text of a class is ``prompt.format(name)``.
    """
    names = tuple(texts)
    n = len(texts[names[0]])
    g = embed_texts(clip, [prompt.format(c) for c in names]).cls
    s = embed_texts(clip, [t for c in names for t in texts[c]]).cls.unflatten(0, (len(names), n))
    sigma, delta = similarity(g, s), diversity(s)
    return Score(names, sigma, delta, {r: perplexity(sigma, delta, r) for r in READINGS})


def select(
    groups: Mapping[str, SubTexts], scores: Mapping[str, Score], reading: str = "printed"
) -> tuple[SubTexts, dict[str, str]]:
    """Of every class the sub-texts of the group where its TPP_c is highest, and which group each class came from.

    Section 3.1: those with "the highest text prompt perplexity score". Of equal scores the first group's. Raises
    ``ConfigError`` for groups of different N or classes, none at all, and an unknown reading.
    """
    if not groups:
        raise ConfigError("no group of sub-texts to select from")
    if reading not in BETA:
        raise ConfigError(f"unknown reading {reading!r} of TPP: expected {' or '.join(READINGS)}")
    first = next(iter(groups))
    for name, g in groups.items():
        if g.n != groups[first].n or set(g) != set(groups[first]):
            raise ConfigError(
                f"{name} (N={g.n}, {len(g)} classes) and {first} (N={groups[first].n}, {len(groups[first])} classes) "
                "do not describe the same classes with the same N: select among files for one list of classes"
            )
    at = {name: {c: i for i, c in enumerate(s.names)} for name, s in scores.items()}
    chosen = {c: max(groups, key=lambda g: scores[g].tpp[reading][at[g][c]]) for c in groups[first]}
    texts = SubTexts(
        {c: groups[g][c] for c, g in chosen.items()},
        groups[first].label_set,
        {
            "selected": f"by class, highest TPP ({reading})",
            "from": {g: groups[g].provenance for g in sorted(set(chosen.values()))},
        },
        source="the selected sub-texts",
    )
    return texts, chosen
