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

TABLES: tuple[str, ...] = ("table1", "table11")

_TYPES = {"frames": int, "resolution": int, "top1": float, "top5": float, "params_m": float}


def load(name: str) -> list[dict]:
    """Rows of one transcribed table, in printed order.

    ``name``: one of ``TABLES`` (Table 1: Kinetics-400, base-size backbones; Table 11: the same with ViT-L).
    Each row has group, method, backbone, venue, pretraining, views, gflops, source_row (str), frames, resolution
    (int; resolution in pixels per side), top1, top5 (float, percent) and params_m (float, millions). An empty cell is
    ``None``. Raises ``SfarError`` for an unknown table.
    """
    if name not in TABLES:
        raise SfarError(f"unknown paper table {name!r}: the transcribed tables are {', '.join(TABLES)}")
    text = resources.files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    rows = []
    for line in csv.DictReader(text.splitlines()):
        rows.append({key: _TYPES.get(key, str)(cell) if cell else None for key, cell in line.items()})
    return rows
