"""One file for each notebook: what is compared, what is claimed, what is drawn.

A study is the module's ``STUDY``; ``ORDER`` is the order in which ``make reproduce`` makes them, each after those whose
runs or records it takes up. A new study is one file and one name here.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from sfar.errors import ConfigError

if TYPE_CHECKING:
    from sfar.studies.core.study import Item, Study

ORDER = (
    "table1",
    "fig7b",
    "subtexts",
    "ablations",
    "few_shot",
    "zero_shot",
    "multi_label",
    "generalization",
    "sub_actions",
    "ambiguity",
    "qualitative",
    "readings_map",
    "budget",
    "knobs",
    "rivals",
    "audit",
)


def load(name: str) -> Study:
    """The study of this id (one of ``ORDER``). Raises ``ConfigError`` for another."""
    if name not in ORDER:
        raise ConfigError(f"unknown study {name!r}: expected one of {', '.join(ORDER)}")
    return importlib.import_module(f"sfar.studies.{name}").STUDY


def studies() -> list[Study]:
    """All studies, in the order of ``ORDER``."""
    return [load(name) for name in ORDER]


def items() -> dict[str, tuple[Study, Item]]:
    """Every table and figure by its key, with the study that it belongs to."""
    return {item.key: (study, item) for study in studies() for item in study.covers}


def of_item(key: str) -> Study:
    """The study that makes a table or figure. Raises ``ConfigError`` with the nearest name for an unknown one."""
    known = items()
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown table or figure {key!r}{hint} Known are {', '.join(known)}")
    return known[key][0]
