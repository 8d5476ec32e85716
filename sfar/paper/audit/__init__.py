"""The paper held against itself: what it says with numbers recomputed from its own tables, and what it leaves open.

A printed number stands for all numbers that would be printed so: 83.9 for 83.85 to 83.95. A statement computed from
printed cells is *right* if what the cells give would be printed as stated, *depends on rounding* if not, but some
unrounded cells would, and *wrong* if none would. Two places that cannot both be true *contradict*; what the paper does
not give enough to check is *not decidable*. No number here was measured; costs come in through ``Counted``.

``cells``: the transcribed tables; ``rows``: kinds of statements and what rounding allows; a module for each part of the
paper with its statements.
"""

from __future__ import annotations

import dataclasses

from sfar.paper.audit import (
    checklist,
    components,
    cost,
    degrees,
    few_shot,
    kinetics,
    method,
    number,
    sets,
    setup,
    texts,
    transfer,
)
from sfar.paper.audit.cells import Cell, Tables
from sfar.paper.audit.rows import VERDICTS, Counted, Row, show

__all__ = ["MODULES", "PARTS", "VERDICTS", "Cell", "Counted", "Row", "Tables", "show", "statements"]

MODULES = (method, setup, sets, kinetics, cost, transfer, components, texts, few_shot, number, degrees, checklist)
PARTS = tuple(m.TITLE for m in MODULES)


def statements(tables: Tables, counted: Counted) -> list[Row]:
    """Every statement with its verdict, in the order of ``PARTS``.

    Raises ``SfarError`` if a table lacks a cell that one needs.
    """
    return [dataclasses.replace(row, part=m.TITLE) for m in MODULES for row in m.build(tables, counted)]
