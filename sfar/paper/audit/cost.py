"""Operations and parameters, against what the code counts."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from sfar.paper.audit.cells import Cell, Tables
from sfar.paper.audit.rows import Counted, Row, exact, holds, judge, show

# Millions of parameters by the shapes of the released code, ViT-B/16 and the classes of Kinetics-400.
BY_SHAPES = {"ST-Adapter": 93.2, "EVL": 119.0, "ActionCLIP": 105.1, "AIM": 96.8}
TITLE = "Cost: Tables 1, 11"


def _multipliers(t: Tables, table: str) -> Row:
    """GFLOPs printed as cost x times: the times are clips x crops."""
    cells = [c for c in t.cells(table, "gflops") if "x" in c.text]
    off = [c for c in cells if int(c.text.split("x")[1]) != math.prod(map(int, t.text(c, "views").split("x")))]
    bare = len(t.cells(table, "gflops")) - len(cells)
    return holds(
        f"{table}-multipliers",
        f"Table {table[5:]}, columns Views and GFLOPs",
        "GFLOPs are printed per view, times the number of views (clips x crops)",
        not off,
        f"{len(cells) - len(off)} of {len(cells)} rows agree"
        + "".join(f"; {t.name(c)}: {t.row(c)['views']} views, {c.text}" for c in off)
        + f"; {bare} rows print a bare number, per view or in all is not said",
        cells,
        "contradicts",
        reading="kept as text",
        effect="none: no GFLOPs of others are used",
    )


def _per_view(cell: Cell) -> Cell:
    """A cost without the number of views that it is multiplied with."""
    return Cell(cell.table, cell.index, cell.column, cell.text.split("x")[0])


def _count(name: str, where: str, statement: str, cell: Cell, value: float, found: str, unit: str, **more: Any) -> Row:
    """A printed cost against a counted one."""
    printed, numbers = _per_view(cell), exact(value)
    return Row(name, where, statement, found, judge(printed, *numbers), printed, *numbers, unit, (cell,), **more)


def build(t: Tables, counted: Counted) -> list[Row]:
    """Every statement of this part."""
    g, p = counted.gmacs, counted.params
    b, large = "ViT-B-16-quickgelu", "ViT-L-14-quickgelu"
    ours_b, ours_l = t.ours("table1", "gflops"), t.ours("table11", "gflops")
    bike = {k: t.cell("table11", k, method="BIKE") for k in ("gflops", "params_m")}
    counter: dict[str, Any] = {
        "reading": "both counts are given, by component (sfar/model/cost.py)",
        "effect": f"the complete count is {show(g[b, 'complete'], 1)} (ViT-B/16), "
        f"{show(g[large, 'complete'], 1)} (ViT-L/14)",
    }
    total_b, total_l = t.ours("table1", "params_m"), t.ours("table11", "params_m")
    fits = [
        f"{inventory} ({show(v, 3)} M)"
        for (arch, inventory), v in p.items()
        if arch == b and judge(total_b, *exact(v)) == "right"
    ]
    none = [f"{inventory} {show(v, 1)}" for (arch, inventory), v in p.items() if arch == large]
    decided = any(judge(total_l, *exact(v)) == "right" for (arch, _), v in p.items() if arch == large)
    both = g[large, "hooked"] + g[large, "ffn"]
    return [
        *(_multipliers(t, name) for name in ("table1", "table11")),
        _count(
            "gflops-b16",
            "Table 1, row 22",
            f"{ours_b.text} GFLOPs, ViT-B/16, 8 frames",
            ours_b,
            g[b, "hooked"],
            f"{show(g[b, 'hooked'], 3)} where nn.MultiheadAttention counts nothing and a multiply and its add count as "
            f"one; everything: {show(g[b, 'complete'], 1)}",
            "GFLOPs",
            **counter,
        ),
        _count(
            "gflops-bike-l14",
            "Table 11, row 6",
            f"BIKE {bike['gflops'].text} GFLOPs, ViT-L/14, 8 frames",
            bike["gflops"],
            g[large, "hooked"],
            f"{show(g[large, 'hooked'], 3)} under the same counter, without any head",
            "GFLOPs",
            **counter,
        ),
        Row(
            "gflops-l14",
            "Table 11, row 10",
            f"{ours_l.text} GFLOPs, ViT-L/14, 8 frames",
            f"{show(g[large, 'hooked'], 3)} under the same counter without the head, {show(both, 3)} with the FFNs of "
            f"400 classes; but those would make ViT-B/16 {show(g[b, 'hooked'] + g[b, 'ffn'], 1)} and not "
            f"{_per_view(ours_b).text}: the two printed numbers do not count the same things",
            "right"
            if judge(ours_l, *exact(g[large, "hooked"])) == "right"
            else "contradicts"
            if judge(ours_l, *exact(both)) == "right"
            else "wrong",
            ours_l,
            Fraction(both),
            Fraction(g[large, "hooked"]),
            Fraction(both),
            "GFLOPs",
            (ours_l,),
            **counter,
        ),
        holds(
            "params-b16",
            "Table 1, row 22",
            f"{total_b.text} M parameters, ViT-B/16",
            bool(fits),
            f"{len(fits)} inventories are printed so: "
            + "; ".join(fits)
            + ". None has the token embedding (25.3 M) or a temporal transformer (19.0 M)",
            (total_b,),
            reading="components are reported",
            effect="none: a count",
        ),
        holds(
            "params-l14",
            "Table 11, row 10",
            f"{total_l.text} M parameters, ViT-L/14",
            decided,
            "no counted inventory is printed so: " + ", ".join(none),
            (total_l,),
            "not decidable",
            reading="components are reported",
            effect="none: a count",
        ),
        holds(
            "params-others",
            "Table 1",
            f"parameters of {', '.join(BY_SHAPES)}",
            all(round(t.cell("table1", "params_m", method=m).number) == round(n) for m, n in BY_SHAPES.items()),
            "by the shapes of their released code at ViT-B/16: "
            + ", ".join(f"{m} {n} M" for m, n in BY_SHAPES.items())
            + " (of ActionCLIP visual tower and head; with its text tower 168.6 M)",
            [t.cell("table1", "params_m", method=m) for m in BY_SHAPES],
            "not decidable",
            reading="counted by the code of each that is measured here",
            effect="none: a count",
        ),
        _count(
            "params-bike-b16",
            "Table 1, rows 17, 18",
            "BIKE 124.1 M parameters, ViT-B/16",
            t.cell("table1", "params_m", method="BIKE", views="1x1"),
            p[b, "BIKE without a head"],
            f"visual tower + text blocks + positions: {show(p[b, 'BIKE without a head'], 3)}; its temporal transformer "
            "(19.0 M) is not in it",
            "M",
        ),
        holds(
            "params-bike-l14",
            "Table 11, row 6",
            f"BIKE {bike['params_m'].text} M parameters, ViT-L/14",
            judge(bike["params_m"], *exact(p[large, "visual"])) == "right",
            f"visual tower {show(p[large, 'visual'], 1)}, with text blocks and positions "
            f"{show(p[large, 'BIKE without a head'], 1)}",
            (bike["params_m"],),
            "not decidable",
            effect="none: a count",
        ),
    ]
