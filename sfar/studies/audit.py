"""The audit of the paper: what ``sfar.paper.audit`` finds, beside what other readings change in the embedded world."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import Profile
from sfar.errors import SfarError
from sfar.model import cost
from sfar.paper import audit
from sfar.paper.audit import Counted, Row, Tables, show
from sfar.render import style
from sfar.render.tables import NOTHING, Interval, Table, interval, with_interval
from sfar.studies import ablations, few_shot, fig7b, multi_label, sub_actions, zero_shot
from sfar.studies.core import page
from sfar.studies.core import record as records
from sfar.studies.core.blocks import Block, Drawn, Provenance, Shown, Text
from sfar.studies.core.record import Record
from sfar.studies.core.study import Content, Item, Study
from sfar.subtexts import tpp
from sfar.training.train import learning_rate

COLOURS = {
    "right": style.COARSE,
    "depends on rounding": "#56B4E9",
    "wrong": style.FINE,
    "contradicts": "#E69F00",
    "not decidable": style.UNIFORM,
}
CLASSES, TOKENS = 400, 77  # Kinetics-400; CLIP's context
SPAN = 0.35  # points shown in the figure; a larger difference is an arrow


def counted() -> Counted:
    """What the audit needs from architectures and code. Builds both CLIPs without weights (seconds)."""
    gmacs: dict[tuple[str, str], float] = {}
    params: dict[tuple[str, str], float] = {}
    for arch, width in zip(cost.ARCHS, (512, 768), strict=True):
        totals = cost.macs(arch)["totals"]
        gmacs |= {
            (arch, "hooked"): totals[cost.SKIPS_MHA],
            (arch, "complete"): totals[cost.COMPLETE],
            (arch, "ffn"): cost.head_macs(width, CLASSES, 8, TOKENS, 4)["totals"]["hooked"],
        }
        listed = {i["name"]: i["total_m"] for i in cost.inventories(arch)}
        params |= {(arch, name): total for name, total in listed.items() if not name.startswith("BIKE's row")}
        params[arch, "visual"] = cost.parameters(arch)["visual"] / 1e6
        params[arch, "BIKE without a head"] = next(
            total for name, total in listed.items() if "BIKE without a head" in name
        )
    sigma = np.full((1, 4), 0.9)  # Eq. 2 of a cosine of 0.8

    def at(delta: float, reading: str) -> float:
        return float(tpp.perplexity(sigma, np.full((1, 4), delta), reading)[0])

    values = {r: at(0.1, r) for r in tpp.READINGS}  # Eq. 3 of cosines of 0.8
    slopes = {r: (at(0.101, r) - values[r]) / 0.001 for r in tpp.READINGS}
    steps = [learning_rate(e / 100, 5, 2) for e in range(201)]
    return Counted(gmacs, params, values, slopes, max(steps))


# --- what other readings change, from the records of this repository -------------------------------------------------


def _points(value: Interval) -> str:
    return with_interval(value, 1, True)


def _ablations(record: Record, what: str) -> str:
    if what in ("fig7a", "layers"):
        pairs = {
            "fig7a": (("n3", "n2"), ("n4", "n3"), ("n5", "n4"), ("n5", "n2")),
            "layers": (("temporal", "clip"), ("frozen/single", "frozen/single-0")),
        }[what]
        names = {
            "clip": "Baseline (CLIP)",
            "temporal": "Baseline (Temporal)",
            "frozen/single": "BIKE's head on a frozen tower",
            "frozen/single-0": "without the layers",
            **{f"n{n}": f"N = {n}" for n in (2, 3, 4, 5)},
        }
        return "; ".join(f"{names[a]} minus {names[b]}: {_points(record.contrast(a, b))}" for a, b in pairs)
    rows = record.select("readings", metric="top1", of=what)
    return "; ".join(f"{r.title}: {_points(record.contrast(r.row, 'frozen/both', 'readings'))}" for r in rows)


def _zero_shot(record: Record, what: str) -> str:
    texts = []
    for of in zero_shot.LAYOUTS:
        half, split = (record.find(of, "sfar", protocol=p).mean for p in ("half10", "split3"))
        texts.append(f"{page.set_title(of)} layout: half10 {half:.1f}, split3 {split:.1f}")
    return "SFAR, top-1 [%]: " + "; ".join(texts)


def _few_shot(record: Record, what: str) -> str:
    a, b, text = {
        "epoch": ("sfar/repeat/1", "sfar/once/1", "repeated minus once"),
        "lists": (
            f"sfar/repeat/{few_shot.PROCESSES}",
            "sfar/repeat/1",
            f"{few_shot.PROCESSES} lists united minus one",
        ),
    }[what]
    return f"average of SFAR, {text}: {_points(record.contrast(a, b, 'averages'))}"


def _multi_label(record: Record, what: str) -> str:
    row = record.find("fine-tuned", "fine-tuned/sfar", "map")
    return "SFAR, mAP [%]: " + ", ".join(f"{name} {value:.1f}" for name, value in row.more["variants"].items())


def _fig7b(record: Record, what: str) -> str:
    if what == "prefixed":
        with_it, without = (with_interval(record.find("groups", g)) for g in ("prefixed", "bank"))
        return f"top-1 [%] with the prefix {with_it}, without {without}"
    found = {r: fig7b.find(record, r, "TPP", "r2") for r in tpp.READINGS}
    groups = len(record.names("groups"))
    texts = (f"{r} {c.mean:.2f} ({interval(c, 2)})" for r, c in found.items())
    return f"r2 of TPP and top-1, {groups} groups: " + "; ".join(texts)


def _sub_actions(record: Record, what: str) -> str:
    return f"an N for each class minus N = 5: {_points(record.contrast('own', 'fixed', 'class-aware'))}"


# Study -> how to say what its record found.
QUOTED: dict[str, tuple[Study, Callable[[Record, str], str]]] = {
    s.id: (s, say)
    for s, say in (
        (ablations.STUDY, _ablations),
        (zero_shot.STUDY, _zero_shot),
        (few_shot.STUDY, _few_shot),
        (multi_label.STUDY, _multi_label),
        (sub_actions.STUDY, _sub_actions),
        (fig7b.STUDY, _fig7b),
    )
}


def effect(row: Row, profile: Profile) -> str:
    """What another reading changes.

    Known without a run, measured (the record named after it), or "not measured" and the command that would.
    """
    if not row.measure:
        return row.effect
    name, what = row.measure
    study, say = QUOTED[name]
    command = study.command(profile)
    path = study.path(profile)
    if not path.is_file():
        return f"not measured: {command}"
    record = records.read(path, command)
    if record.inputs != study.inputs(profile):
        return f"not measured by the code at hand: {command}"
    return f"{say(record, what)} [{path.name}]"


def quoted_inputs(profile: Profile) -> list[str]:
    """What the quoted effects follow from: the audit is stale when one of these records is."""
    try:
        return [study.inputs(profile) for study, _ in QUOTED.values()]
    except SfarError:  # a data set for which one of them cannot be measured at all
        return []


# --- the record ------------------------------------------------------------------------------------------------------


def statements(profile: Profile, given: Tables | None = None) -> list[dict[str, Any]]:
    """Every statement with its verdict, and effects from the records of ``profile`` that are there. Takes seconds.

    ``given``: other tables than the transcribed ones. Raises ``SfarError`` for a damaged record.
    """
    t = given or Tables()
    out = []
    for r in audit.statements(t, counted()):
        values = (("value", r.value), ("low", r.low), ("high", r.high))
        numbers = {k: None if v is None else round(float(v), 6) for k, v in values}
        out.append(
            {
                "id": r.id,
                "part": r.part,
                "where": r.where,
                "statement": r.statement,
                "verdict": r.verdict,
                "printed": r.printed and r.printed.text,
                "half": None if r.printed is None else float(r.printed.half),
                **numbers,
                "unit": r.unit,
                "found": r.found,
                "reading": r.reading,
                "field": r.field,
                "effect": effect(r, profile),
                "cells": list(dict.fromkeys(_source(t, c) for c in r.cells)),
            }
        )
    return out


def measure(profile: Profile, workers: int | None = None, given: Tables | None = None) -> Content:
    """The statements and how many of each part got which verdict. Trains nothing."""
    rows = statements(profile, given)
    counts = collections.Counter((r["part"], r["verdict"]) for r in rows)
    found = {p: {v: counts[p, v] for v in audit.VERDICTS} for p in audit.PARTS}
    return Content({"statements": len(rows)}, extra={"statements": rows, "counts": found})


def _source(t: Tables, cell: audit.Cell) -> str:
    row = t.row(cell)
    return f"{row.get('source_row') or row['source']} ({row['id'] if cell.table == 'statements' else cell.column})"


# --- what is shown ---------------------------------------------------------------------------------------------------


def counts_table(record: Record) -> Table:
    """Verdicts by part of the paper."""
    counts = record.extra["counts"]
    total = {v: sum(c[v] for c in counts.values()) for v in audit.VERDICTS}
    rows = [[part, *(c[v] or None for v in audit.VERDICTS), sum(c.values())] for part, c in counts.items()]
    columns = ["Part", *(v.capitalize() for v in audit.VERDICTS), "Statements"]
    return Table(columns, [*rows, ["All", *total.values(), sum(total.values())]])


def statements_table(record: Record, *verdicts: str, part: str = "") -> Table:
    """Statements of the given verdicts (none given: all) of a part (none given: all), with what was found."""
    rows = [
        [r["where"], r["statement"], r["found"], r["verdict"]]
        for r in record.extra["statements"]
        if (not verdicts or r["verdict"] in verdicts) and (not part or r["part"] == part)
    ]
    caption = "Statements of the paper that are wrong, contradict others or depend on rounding."
    return Table(["Where", "Statement", "Found", "Verdict"], rows, caption=caption)


def numbers_table(record: Record) -> Table:
    """Printed numbers beside the recomputed ones."""
    rows = []
    for r in record.extra["statements"]:
        if r["value"] is not None:
            spread = f"{show(r['low'], 3)} to {show(r['high'], 3)}"
            numbers = [r["printed"], show(r["value"], 3), spread]
            rows.append([r["where"], r["statement"], *numbers, r["unit"], r["verdict"]])
    return Table(["Where", "Statement", "Printed", "Recomputed", "Before rounding", "Unit", "Verdict"], rows)


def readings_table(record: Record) -> Table:
    """What is open, contradicts itself or is wrong, and what this repository does about it."""
    rows = []
    for r in record.extra["statements"]:
        if r["reading"] or r["verdict"] in ("wrong", "contradicts", "not decidable"):
            field = f"`{r['field']}`" if r["field"] else NOTHING
            done = [r["reading"] or NOTHING, field, r["effect"] or NOTHING]
            rows.append([r["where"], r["statement"], r["found"], r["verdict"], *done])
    columns = ["Where", "Statement", "Found", "Verdict", "Reading here", "Field", "What another reading changes"]
    return Table(columns, rows)


def paper_table(name: str) -> Table:
    """A transcribed table as printed, without what is the same in every row."""
    rows = paper.raw(name)
    if name in ("table3", "table12", "table8"):
        return _wide(name, rows)
    columns = [c for c in rows[0] if c != "source_row" and any(r[c] for r in rows)]
    return Table([c.replace("_", " ") for c in columns], [[r[c] for c in columns] for r in rows])


def _wide(name: str, rows: list[dict[str, str | None]]) -> Table:
    """Tables kept one cell a row, side by side again."""
    value, lead, across = {
        "table3": ("value", ("method",), ("dataset", "shots")),
        "table12": ("value", ("method", "backbone", "shots"), ("dataset",)),
        "table8": ("top1", ("method", "type"), ("degree",)),
    }[name]
    heads = list(dict.fromkeys(tuple(r[k] for k in across) for r in rows))
    lines: dict[tuple, dict[tuple, str | None]] = {}
    for r in rows:
        lines.setdefault((*(r[k] for k in lead), r["source_row"]), {})[tuple(r[k] for k in across)] = r[value]
    titles = [" K=".join(filter(None, head)) if name == "table3" else str(head[0]) for head in heads]
    return Table([*lead, *titles], [[*key[:-1], *(cells[h] for h in heads)] for key, cells in lines.items()])


def csv_table(record: Record) -> Table:
    """A statement a row."""
    keys = [
        "id",
        "part",
        "where",
        "statement",
        "verdict",
        "printed",
        "value",
        "low",
        "high",
        "unit",
        "found",
        "reading",
    ]
    keys += ["field", "effect"]
    rows = [[*(r[k] for k in keys), "; ".join(r["cells"])] for r in record.extra["statements"]]
    return Table([*keys, "cells"], rows)


# --- figure


def figure(record: Record) -> Figure:
    """Verdicts by part; printed against recomputed numbers; gains by degree (Table 8) against those on all videos."""
    style.use()
    fig = plt.figure(figsize=(10.4, 7.0), layout="constrained")
    grid = fig.add_gridspec(2, 2, width_ratios=[1.0, 1.05], height_ratios=[2.6, 1.0])
    _draw_counts(fig.add_subplot(grid[0, 0]), record)
    _draw_numbers(fig.add_subplot(grid[:, 1]), record)
    _draw_gains(fig.add_subplot(grid[1, 0]), Tables())
    return fig


def _draw_counts(ax: Axes, record: Record) -> None:
    parts = list(reversed(audit.PARTS))
    left = np.zeros(len(parts))
    for v in audit.VERDICTS:
        n = np.array([record.extra["counts"][p][v] for p in parts])
        ax.barh(
            range(len(parts)),
            n,
            left=left,
            color=COLOURS[v],
            edgecolor="white",
            lw=0.8,
            label=f"{v} ({n.sum()})",
            height=0.72,
        )
        for y, (x, k) in enumerate(zip(left, n, strict=True)):
            if k:
                ax.text(
                    x + k / 2,
                    y,
                    str(k),
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="white" if v in ("right", "wrong") else "black",
                )
        left += n
    ax.set_yticks(range(len(parts)), [p.replace(": ", ":\n", 1) for p in parts])
    ax.set_xlabel("Statements")
    ax.set_title(f"{int(left.sum())} statements of the paper, by verdict", loc="left")
    ax.grid(axis="y", visible=False)
    ax.set_xlim(0, 1.02 * left.max())
    ax.legend(loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=3, columnspacing=1.2, handlelength=1.2)


def _draw_numbers(ax: Axes, record: Record) -> None:
    rows = [
        r for r in record.extra["statements"] if r["value"] is not None and r["unit"] in ("points", "percent", "mAP")
    ]
    rows.sort(key=_label)
    for y, r in enumerate(reversed(rows)):
        p, colour = float(r["printed"]), COLOURS[r["verdict"]]
        off = r["value"] - p
        if abs(off) <= SPAN:
            ax.plot([r["low"] - p, r["high"] - p], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
            ax.plot(
                off, y, "o" if r["verdict"] == "right" else "D", color=colour, ms=4.5, mec="white", mew=0.5, zorder=3
            )
        else:
            side = np.sign(off)
            ax.annotate(
                "",
                (side * SPAN, y),
                (side * (SPAN - 0.09), y),
                arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6},
            )
            ax.text(
                side * (SPAN - 0.1),
                y,
                f"{off:+.1f}",
                ha="right" if side > 0 else "left",
                va="center",
                fontsize=7,
                color=colour,
                fontweight="bold",
            )
    half = max(r["half"] for r in rows)
    ax.axvspan(-half, half, color="#dddddd", alpha=0.6, lw=0, zorder=0)
    ax.set_yticks(range(len(rows)), [f"{_label(r)}: {r['printed']}" for r in reversed(rows)], fontsize=6.5)
    ax.set_xlim(-SPAN, SPAN)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Recomputed minus printed [points]")
    ax.set_title("Averages and differences\n(bar: before rounding; grey: printed so)", loc="left")
    ax.grid(axis="y", visible=False)


def _draw_gains(ax: Axes, t: Tables) -> None:
    """Table 8: the gain over all videos is a mean of the ten gains with some weights, so it must lie among them."""
    parts = {
        "coarse": {"coarse": "✓", "fine": "✗"},
        "fine": {"coarse": "✗", "fine": "✓"},
        "fusion": {"coarse": "✓", "fine": "✓"},
    }
    bike = float(t.cell("table1", "top1", method="BIKE", views="1x1").number)
    rows = [(m, k) for m in parts for k in ("Ambi", "Non")]
    for y, (m, k) in enumerate(reversed(rows)):
        gains = [
            float(a.number - b.number)
            for a, b in zip(
                t.cells("table8", "top1", method=m.capitalize(), type=k),
                t.cells("table8", "top1", method="Single", type=k),
                strict=True,
            )
        ]
        ax.plot(gains, [y] * len(gains), "|", color=style.BOTH, ms=9, mew=1.2)
        ax.plot(float(t.cell("table2e", "top1", **parts[m]).number) - bike, y, "D", color=style.FINE, ms=4.5)
    ax.plot([], [], "|", color=style.BOTH, ms=8, mew=1.2, label="ten degrees (Table 8)")
    ax.plot([], [], "D", color=style.FINE, ms=4.5, ls="", label="all videos (Tables 1, 2e)")
    ax.axvline(0, color="#555555", lw=0.8)
    ax.set_yticks(range(len(rows)), [f"{m}, {k}" for m, k in reversed(rows)])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("Top-1 minus single granularity [points]")
    ax.set_title("Printed gains: by degree, and on all videos", loc="left")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.35, -0.3), ncols=2)


LABELS = {
    "table1-lead": "Table 1, lead",
    "table2a-lead": "Table 2a, lead",
    "table2b-lead": "Table 2b, over M2-CLIP",
    "table2c-videoprompt": "Table 2c, VideoPrompt",
    "table2e-lead": "Table 2e, over CLIP",
    "table3-lead": "Table 3, lead",
    "table9-lead": "Table 9, lead",
    "augmented-lead": "A.2, augmented text",
}


def _label(row: dict[str, Any]) -> str:
    if row["id"] in LABELS:
        return LABELS[row["id"]]
    name = row["statement"].split(":")[0]
    return f"Table 3, average, {name}" if row["id"].startswith("table3-avg") else f"Table 4, {name}"


INTRO = (
    "Nothing was trained. Numbers are those printed in the paper, transcribed into `sfar/paper/*.csv`; effects of "
    "readings are measured by this repository and name their record. `docs/paper.md` has the statements in "
    "the paper's order, with the code, test and verdict of each."
)
HOW = (
    "A printed number stands for all that would be printed so (83.9 for 83.85 to 83.95). *Right*: recomputed from "
    "printed cells it is what is stated. *Depends on rounding*: only from some unrounded cells. *Wrong*: from none. "
    "*Contradicts*: two places cannot both be true. *Not decidable*: the paper does not give enough."
)


def _part(part: str) -> Shown:
    return Shown(part, lambda record: statements_table(record, part=part), part)


BLOCKS: tuple[Block, ...] = (
    Text(HOW),
    Shown("counts", counts_table, "Verdicts", terminal=True),
    Drawn("figure", figure, "Verdicts by part, and printed against recomputed numbers", file="audit"),
    Shown("numbers", numbers_table, "Numbers recomputed"),
    Shown("readings", readings_table, "Open, contradicting or wrong, and what is done here"),
    Shown(
        "not-right",
        lambda record: statements_table(record, "wrong", "contradicts", "depends on rounding"),
        "Wrong, contradicting, or dependent on rounding",
        latex=True,
        terminal=True,
    ),
    *(_part(part) for part in audit.PARTS),
    Provenance(),
)

STUDY = Study(
    id="audit",
    title="The paper held against itself",
    notebook="15_paper_audit",
    covers=(
        Item("audit", "The paper against itself and against arithmetic"),
        Item("table5", "Table 5: hyper-parameters (the `paper` profile)"),
    ),
    measure_content=measure,
    claims=(),
    blocks=BLOCKS,
    describe=lambda record: INTRO,
    needs=tuple(QUOTED),
    files=tuple(f"sfar/paper/{table}.csv" for table in paper.TABLES),
    inputs_of=quoted_inputs,
    csv=csv_table,
)
