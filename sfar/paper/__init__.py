"""Numbers the paper prints, copied by hand from its tables, row by row.

These are transcribed data: nothing in this package was ever measured by this repository, and nothing here may be shown
as one of its results. Conventions: a cell the paper prints as ``-`` (or has no column head for) is empty, ``×`` is
written ``x``, ``24×224²`` is split into frames and resolution (pixels per side), the citation number is dropped and the
backbone is split off the method; "Ours" is ``SFAR (ours)``. ``gflops`` stays text, because some rows print a cost per
view times the number of views (``188x30``), some a bare number, and the tables do not say which of the two a bare
number is. ``✓`` and ``✗`` stay as they are. Quotation marks and apostrophes are straight, a power is written with
``^``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import resources
from typing import Any

from sfar.errors import SfarError

TABLES: tuple[str, ...] = (
    "table1",
    "table2a",
    "table2b",
    "table2c",
    "table2d",
    "table2e",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "table8",
    "table9",
    "table10",
    "table11",
    "table12",
    "table13",
    "table14",
    "figure4",
    "figure7a",
    "figure8",
    "statements",
)

# Printed in the text and not in a table.
FIG7B = {"r2": 0.79, "groups": 11, "source": "section 4.3, Fig. 7b"}

_TYPES: dict[str, Callable[[str], Any]] = {
    "frames": int,
    "resolution": int,
    "top1": float,
    "top5": float,
    "params_m": float,
    "tpp": float,
    "seconds": float,
    "accuracy": float,
    "step": int,
    "map": float,
    "ucf101": float,
    "hmdb51": float,
    "shots": int,
    "value": float,
    "n2": float,
    "n5": float,
    "difference": float,
    "degree": int,
    "ambi_set": float,
    "non_set": float,
    "n_from": int,
    "n_to": int,
}


def load(name: str) -> list[dict[str, Any]]:
    """Rows of one transcribed table, in printed order: dictionaries of its columns, an empty cell ``None``.

    ``name``: one of ``TABLES``. Every row has ``source_row`` (``statements``: ``source``). Numbers: frames, resolution
    (pixels per side), step, shots, degree, n_from, n_to (int); top1, top5, accuracy, map, ucf101, hmdb51, n2, n5,
    ambi_set, non_set (percent), difference (percentage points, signed as printed), value (percent in ``table3`` and
    ``table12``, else see ``unit``), params_m (millions), tpp, seconds (float); the rest is text. Raises ``SfarError``
    for an unknown table.

    ========== =========================================================================================================
    table1     Kinetics-400, base-size backbones; ``table11`` the same with ViT-L
    table2a    Charades, mAP; ``input_frames`` is text (``16+64``)
    table2b    zero-shot accuracy; ``vz``: made for zero-shot (``✓``) or adapted from CLIP (``✗``); ``table10`` the same
               with ViT-L, also printed without backbone
    table2c    with (``✓``) and without (``✗``) the fine-grained video embedding; the method of a row that prints none
               is the one above it
    table2d    generators of sub-texts: TPP and accuracy; ``table13`` what they cost
    table2e    ablation of the two embeddings; a baseline's row has no marks
    table3     few-shot accuracy, one cell a row; the column "Avg." is dataset ``All`` with no shots; ``table12`` the
               same for other backbones
    table4     accuracy of ten actions at N = 2 and N = 5, the left half of the printed table first
    table5     hyper-parameters, all text; ``both``: printed once for the two columns
    table6     the four question prompts; ``table7`` the system prompt
    table8     accuracy by degree of the ambiguous (``Ambi``) and the non-uniform score (``Non``), one cell a row
    table9     accuracy on the most ambiguous and the most non-uniform actions
    table14    descriptions of three videos of "Situp", four each
    figure4    sub-texts of a dive by GPT-4o and LLaVA-1.6: the figure's text does not say which list is whose, and
               holds no third item
    figure7a   what the text says of accuracy from one number of sub-texts N to another; it prints no accuracy
    figure8    sub-texts of two classes by three generators
    statements numbers in the running text and in captions: the words around them, value, unit (none: a pure number) and
               what they are ``about``
    ========== =========================================================================================================
    """
    return [
        {key: None if cell is None else _TYPES.get(key, str)(cell) for key, cell in row.items()} for row in raw(name)
    ]


def raw(name: str) -> list[dict[str, str | None]]:
    """The same rows with every cell as text, exactly as printed.

    How many decimals a number has says how it was rounded. Raises ``SfarError`` for an unknown table.
    """
    if name not in TABLES:
        raise SfarError(f"unknown paper table {name!r}: the transcribed tables are {', '.join(TABLES)}")
    text = resources.files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return [{key: cell or None for key, cell in row.items()} for row in csv.DictReader(text.splitlines())]
