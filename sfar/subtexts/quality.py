"""What a sentence encoder sees in sub-texts: whether they find their class, and how different those of a class are.

Rules (``check``) see words; this sees meaning. Four texts that avoid what the class is about ("a tube" for a
didgeridoo) keep every rule and still say little. The encoder is no part of the method: it is one of the user's, through
sentence-transformers (``pip install 'sfar[encoder]'``).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sfar.config import digest
from sfar.errors import ConfigError, SfarError
from sfar.paper import load
from sfar.subtexts.texts import SubTexts, bank_names, sizes
from sfar.util import provenance
from sfar.util.extras import extra
from sfar.util.paths import of_repository

RECORD = "results/bank.json"
# Printed sub-texts, by table and the action that it names (Figure 4 names none): label set and class.
EXAMPLES = {
    "figure4": {"": ("kinetics400", "springboard diving")},
    "figure8": {"Drinking": ("hmdb51", "drink"), "Eating chips": ("kinetics400", "eating chips")},
}

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
        taken_for[name], diversity[name] = _seen(names, titles, own)
    return Quality(taken_for, diversity)


def _seen(names: Sequence[str], titles: np.ndarray, own: np.ndarray) -> tuple[str, float]:
    """The class whose name [C, d] lies nearest to the mean of the texts [N, d], and their diversity."""
    cosines = own @ own.T
    return names[int((titles @ own.mean(0)).argmax())], 1 - float(cosines[np.triu_indices(len(own), 1)].mean())


def bank_version() -> str:
    """Hash of all bundled sub-texts and of the printed ones, which a record of their quality is of."""
    bank = [[name, n, dict(SubTexts.load(name, n))] for name in bank_names() for n in sizes(name)]
    return digest([bank, [[table, load(table)] for table in EXAMPLES]])


def measure_bank(encode: Encode, progress: Callable[[Iterable], Iterable] = iter) -> dict[str, Any]:
    """The quality of every bundled set, and of the sub-texts that the paper prints beside the bundled ones.

    ``sets``: label set, N, classes, found [%], diversity, lowest diversity. ``examples``: class, label set, who wrote
    its texts, how many they are, the class of the label set that they are taken for, diversity; the printed lists are
    those of Figures 4 and 8, with the steps that the paper's text holds. ``progress``: wraps the loop over the sets.
    """
    sets, examples = [], []
    for name, n in progress([(label_set, n) for label_set in bank_names() for n in sizes(label_set)]):
        found = measure(SubTexts.load(name, n), encode)
        lowest = min(found.diversity.values())
        sets.append([name, n, len(found.diversity), found.found, found.mean_diversity, lowest])
    for table, printed in EXAMPLES.items():
        for action, (label_set, name) in printed.items():
            bank = SubTexts.load(label_set)
            titles = encode(list(bank))
            rows = [r for r in load(table) if (r["action"] or "") == action]
            lists: dict[str, list[str]] = {}
            for r in rows:
                lists.setdefault(f"{r['generator']} (paper)", []).append(r["text"])
            for writer, own in {**lists, "bundled": bank[name]}.items():
                taken, diversity = _seen(list(bank), titles, encode(list(own)))
                examples.append([name, label_set, writer, len(own), taken, diversity])
    return {"sets": sets, "examples": examples}


def record(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is kept of ``measure_bank`` by the encoder ``name``: of which texts, by which command, where and when."""
    return {
        "bank": bank_version(),
        "provenance": {
            "command": "sfar subtexts bank",
            "encoder": Path(name).name,
            "sentence-transformers": version("sentence-transformers"),
            "revision": provenance.revision(),
            "date": datetime.date.today().isoformat(),
            "hardware": provenance.hardware(),
        },
        **found,
    }


def read_record() -> dict[str, Any]:
    """The committed record. Raises ``SfarError`` where it is missing or of other sub-texts than the bundled ones."""
    path = of_repository(RECORD)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as e:
        raise SfarError(f"{path} cannot be read ({e}): make it with `sfar subtexts bank`") from e
    if kept["bank"] != bank_version():
        raise SfarError(f"{path} was measured of other sub-texts: make it again with `sfar subtexts bank`")
    return kept


def tables(found: Mapping[str, Any]) -> list[tuple[list[str], list[list[Any]]]]:
    """Heads and rows of two tables: every bundled set, and the printed sub-texts beside the bundled ones."""
    return [
        (
            ["Label set", "N", "Classes", "Found by their texts [%]", "Diversity", "Lowest"],
            [[name, n, k, f"{share:.1f}", f"{d:.3f}", f"{low:.2f}"] for name, n, k, share, d, low in found["sets"]],
        ),
        (
            ["Class", "Sub-texts of", "Texts", "Taken for", "Diversity"],
            [[name, writer, n, other, f"{d:.3f}"] for name, _, writer, n, other, d in found["examples"]],
        ),
    ]


def encoder(name: str) -> Encode:
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
