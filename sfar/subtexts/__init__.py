"""Section 3.1: sub-texts, N short descriptions of the atomic actions of each class; here the bundled bank."""

from __future__ import annotations

import json
from importlib.resources import files

from sfar.errors import ConfigError


def load_bank(label_set: str, n: int = 4) -> dict[str, list[str]]:
    """The bundled sub-texts of a label set: class name -> N sub-texts.

    Raises ``ConfigError`` for a label set or an N that is not bundled, and for an entry without N distinct sub-texts.
    """
    folder = files("sfar.subtexts") / "bank"
    known = sorted(p.name.removesuffix(".json") for p in folder.iterdir() if p.name.endswith(".json"))
    if label_set not in known:
        raise ConfigError(f"no bundled sub-texts for {label_set!r}: expected one of {', '.join(known)}")
    sets = json.loads((folder / f"{label_set}.json").read_text(encoding="utf-8"))["sets"]
    if str(n) not in sets:
        raise ConfigError(f"the bundled sub-texts of {label_set!r} have N = {', '.join(sorted(sets))}, not {n} (model.n_subtexts)")
    bank = sets[str(n)]
    for name, texts in bank.items():
        if len(texts) != n or len(set(texts)) != n or not all(t.strip() for t in texts):
            raise ConfigError(f"bundled sub-texts of {label_set!r}, class {name!r}: expected {n} distinct non-empty texts")
    return bank
