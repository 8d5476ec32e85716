"""Numbers the paper prints, copied by hand from its tables, row by row.

These are transcribed data: nothing in this package was ever measured by this repository, and nothing here may be
shown as one of its results. Conventions: a cell the paper prints as ``-`` (or has no column head for) is empty,
``×`` is written ``x``, ``24×224²`` is split into frames and resolution (pixels per side), the citation number is
dropped and the backbone is split off the method. ``gflops`` stays text, because some rows print a cost per view times
the number of views (``188x30``), some a bare number, and the tables do not say which of the two a bare number is.
"""

from __future__ import annotations

import csv
from importlib import resources

from sfar.errors import SfarError

TABLES: tuple[str, ...] = ("table1", "table2d", "table6", "table7", "table11", "table13", "table14", "figure4", "figure8")

# Printed in the text and not in a table.
FIG7B = {"r2": 0.79, "groups": 11, "source": "section 4.3, Fig. 7b"}

_TYPES = {"frames": int, "resolution": int, "top1": float, "top5": float, "params_m": float, "tpp": float, "seconds": float, "accuracy": float, "step": int}


def load(name: str) -> list[dict]:
    """Rows of one transcribed table, in printed order: dictionaries of its columns, an empty cell ``None``.

    ``name``: one of ``TABLES``. Every row has ``source_row``. Numbers: frames, resolution (pixels per side), step (int); top1,
    top5, accuracy (percent), params_m (millions), tpp, seconds (float); the rest is text. Raises ``SfarError`` for an unknown table.

    ======== =============================================================================================
    table1   Kinetics-400, base-size backbones; ``table11`` the same with ViT-L
    table2d  generators of sub-texts: TPP and accuracy; ``table13`` what they cost
    table6   the four question prompts; ``table7`` the system prompt
    table14  descriptions of three videos of "Situp", four each
    figure4  sub-texts of a dive by GPT-4o and LLaVA-1.6: the figure's text does not say which list is whose, and holds no third item
    figure8  sub-texts of two classes by three generators
    ======== =============================================================================================
    """
    if name not in TABLES:
        raise SfarError(f"unknown paper table {name!r}: the transcribed tables are {', '.join(TABLES)}")
    text = resources.files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    rows = []
    for line in csv.DictReader(text.splitlines()):
        rows.append({key: _TYPES.get(key, str)(cell) if cell else None for key, cell in line.items()})
    return rows
