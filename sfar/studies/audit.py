"""The audit of the paper as page, tables and figure: what ``sfar.paper.audit`` finds, beside what other readings change in the embedded world."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.config import Profile, get_profile
from sfar.model import cost
from sfar.paper import audit
from sfar.paper.audit import Counted, Row, Tables, show
from sfar.render import style, tables
from sfar.studies import ablations, few_shot, fig7b, multi_label, sub_actions, zero_shot
from sfar.studies.core import page as study_page
from sfar.studies.core import record as R
from sfar.subtexts import tpp
from sfar.training.train import learning_rate

MAKE = "make reproduce-audit"
COLOURS = {
    "right": "#009E73",
    "depends on rounding": "#56B4E9",
    "wrong": "#D55E00",
    "contradicts": "#E69F00",
    "not decidable": "#999999",
}
CLASSES, TOKENS = 400, 77  # Kinetics-400; CLIP's context
SPAN = 0.35  # points shown in the figure; a larger difference is an arrow


def counted() -> Counted:
    """What the audit needs from architectures and code. Builds both CLIPs without weights (seconds)."""
    gmacs, params = {}, {}
    for arch, width in zip(cost.ARCHS, (512, 768)):
        totals = cost.macs(arch)["totals"]
        gmacs |= {
            (arch, "hooked"): totals[cost.SKIPS_MHA],
            (arch, "complete"): totals[cost.COMPLETE],
            (arch, "ffn"): cost.head_macs(width, CLASSES, 8, TOKENS, 4)["totals"]["hooked"],
        }
        params |= {
            (arch, i["name"]): i["total_m"] for i in cost.inventories(arch) if not i["name"].startswith("BIKE's row")
        }
        params[arch, "visual"] = cost.parameters(arch)["visual"] / 1e6
        params[arch, "BIKE without a head"] = next(
            v for (a, name), v in params.items() if a == arch and "BIKE without a head" in name
        )
    sigma = np.full((1, 4), 0.9)  # Eq. 2 of a cosine of 0.8
    at = lambda delta, reading: float(tpp.perplexity(sigma, np.full((1, 4), delta), reading)[0])  # noqa: E731
    values = {r: at(0.1, r) for r in tpp.READINGS}  # Eq. 3 of cosines of 0.8
    steps = [learning_rate(e / 100, 5, 2) for e in range(201)]
    return Counted(gmacs, params, values, {r: (at(0.101, r) - values[r]) / 0.001 for r in tpp.READINGS}, max(steps))


# --- what other readings change, from the records of this repository -------------------------------------------------


def _points(d: dict[str, Any], digits: int = 1) -> str:
    return f"{d['mean']:+.{digits}f} ({study_page.interval(d, digits, True)})"


def _ablations(record: dict[str, Any], what: str) -> str:
    if what in ("fig7a", "layers"):
        pairs = {
            "fig7a": (("n3", "n2"), ("n4", "n3"), ("n5", "n4"), ("n5", "n2")),
            "layers": (("temporal", "clip"), ("single", "single-0")),
        }[what]
        names = {
            "clip": "Baseline (CLIP)",
            "temporal": "Baseline (Temporal)",
            "single": "BIKE's head",
            "single-0": "without the layers",
            **{f"n{n}": f"N = {n}" for n in (2, 3, 4, 5)},
        }
        find = {(d["name"], d["against"]): d for d in record["differences"]}
        return "; ".join(f"{names[a]} minus {names[b]}: {_points(find[a, b])}" for a, b in pairs)
    return "; ".join(f"{r['title']}: {_points(r['difference'])}" for r in record["readings"] if r["of"] == what)


def _zero_shot(record: dict[str, Any], what: str) -> str:
    rows = [r for r in record["rows"] if r["method"] == "sfar"]
    return "SFAR, top-1 [%]: " + "; ".join(
        f"{r['dataset']}: half10 {r['half10']['mean']:.1f}, split3 {r['split3']['mean']:.1f}" for r in rows
    )


def _few_shot(record: dict[str, Any], what: str) -> str:
    a, b, text = {
        "epoch": (("repeat", 1), ("once", 1), "repeated minus once"),
        "lists": (("repeat", few_shot.PROCESSES), ("repeat", 1), f"{few_shot.PROCESSES} lists united minus one"),
    }[what]
    return f"average of SFAR, {text}: " + _points(
        next(d for d in record["differences"] if d["name"] == ["sfar", *a] and d["against"] == ["sfar", *b])
    )


def _multi_label(record: dict[str, Any], what: str) -> str:
    row = next(r for r in record["rows"] if r["name"] == "fine-tuned/sfar")
    return "SFAR, mAP [%]: " + ", ".join(f"{name} {value:.1f}" for name, value in row["variants"].items())


def _fig7b(record: dict[str, Any], what: str) -> str:
    if what == "prefixed":
        top = {g["name"]: g["top1"] for g in record["groups"]}
        with_it, without = (f"{top[g]['mean']:.1f} ({study_page.interval(top[g])})" for g in ("prefixed", "bank"))
        return f"top-1 [%] with the prefix {with_it}, without {without}"
    found = {r: fig7b.find(record, r, "TPP")["r2"] for r in tpp.READINGS}
    return f"r2 of TPP and top-1, {len(record['groups'])} groups: " + "; ".join(
        f"{r} {v['value']:.2f} ({study_page.interval(v, 2)})" for r, v in found.items()
    )


def _sub_actions(record: dict[str, Any], what: str) -> str:
    return "an N for each class minus N = 5: " + _points(record["class_aware"]["difference"])


# Record -> its file, the hash of what it must follow from, the command that measures it, and how to say what it found.
RECORDS: dict[
    str, tuple[Callable[[Profile], Path], Callable[[Profile], str], str, Callable[[dict[str, Any], str], str]]
] = {
    **{
        s.name: (s.path, s.inputs, s.make, say)
        for s, say in (
            (ablations.STUDY, _ablations),
            (zero_shot.STUDY, _zero_shot),
            (few_shot.STUDY, _few_shot),
            (multi_label.STUDY, _multi_label),
            (sub_actions.STUDY, _sub_actions),
        )
    },
    "fig7b": (fig7b.path, fig7b.inputs, fig7b.MAKE, _fig7b),
}


def effect(row: Row, profile: Profile) -> str:
    """What another reading changes: known without a run, measured (the record named after it), or "not measured" and the command that would."""
    if not row.measure:
        return row.effect
    name, what = row.measure
    path, inputs, make, say = RECORDS[name]
    command = make + R.suffix(profile)
    if not path(profile).is_file():
        return f"not measured: {command}"
    record = R.read(path(profile), command)
    if record.get("inputs") != inputs(profile):
        return f"not measured by the code at hand: {command}"
    return f"{say(record, what)} [{path(profile).name}]"


# --- record, tables, page --------------------------------------------------------------------------------------------


def make_audit(profile: str | Profile = "storyboard", given: Tables | None = None) -> dict[str, Any]:
    """The record: every statement with its verdict, and effects from the records of ``profile`` that are there. Trains nothing; takes seconds.

    ``given``: other tables than the transcribed ones. Raises ``ConfigError`` for an unknown profile, ``SfarError`` for a damaged record.
    """
    profile = profile if isinstance(profile, Profile) else get_profile(profile)
    t = given or Tables()
    rows = []
    for r in audit.statements(t, counted()):
        numbers = {
            k: None if v is None else round(float(v), 6)
            for k, v in (("value", r.value), ("low", r.low), ("high", r.high))
        }
        rows.append(
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
    counts = collections.Counter((r["part"], r["verdict"]) for r in rows)
    return {
        "table": "audit",
        "profile": profile.name,
        "statements": rows,
        "counts": {p: {v: counts[p, v] for v in audit.VERDICTS} for p in audit.PARTS},
        "provenance": R.provenance(MAKE + R.suffix(profile), profile, 0.0),
    }


def _source(t: Tables, cell: audit.Cell) -> str:
    row = t.row(cell)
    return f"{row.get('source_row') or row['source']} ({row['id'] if cell.table == 'statements' else cell.column})"


def counts_markdown(record: dict[str, Any]) -> str:
    """Verdicts by part of the paper."""
    total = {v: sum(c[v] for c in record["counts"].values()) for v in audit.VERDICTS}
    rows = [[part, *(c[v] or None for v in audit.VERDICTS), sum(c.values())] for part, c in record["counts"].items()]
    return tables.markdown(
        ["Part", *(v.capitalize() for v in audit.VERDICTS), "Statements"],
        [*rows, ["All", *total.values(), sum(total.values())]],
    )


def statements_markdown(record: dict[str, Any], *verdicts: str) -> str:
    """Statements of the given verdicts (none given: all), with what was found."""
    rows = [
        [r["where"], r["statement"], r["found"], r["verdict"]]
        for r in record["statements"]
        if not verdicts or r["verdict"] in verdicts
    ]
    return tables.markdown(["Where", "Statement", "Found", "Verdict"], rows)


def numbers_markdown(record: dict[str, Any]) -> str:
    """Printed numbers beside the recomputed ones."""
    rows = [
        [
            r["where"],
            r["statement"],
            r["printed"],
            show(r["value"], 3),
            f"{show(r['low'], 3)} to {show(r['high'], 3)}",
            r["unit"],
            r["verdict"],
        ]
        for r in record["statements"]
        if r["value"] is not None
    ]
    return tables.markdown(["Where", "Statement", "Printed", "Recomputed", "Before rounding", "Unit", "Verdict"], rows)


def readings_markdown(record: dict[str, Any]) -> str:
    """What is open, contradicts itself or is wrong, and what this repository does about it."""
    rows = [
        [
            r["where"],
            r["statement"],
            r["found"],
            r["verdict"],
            r["reading"] or "–",
            f"`{r['field']}`" if r["field"] else "–",
            r["effect"] or "–",
        ]
        for r in _readings(record)
    ]
    return tables.markdown(
        ["Where", "Statement", "Found", "Verdict", "Reading here", "Field", "What another reading changes"], rows
    )


def _readings(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        r for r in record["statements"] if r["reading"] or r["verdict"] in ("wrong", "contradicts", "not decidable")
    ]


def table_markdown(name: str) -> str:
    """A transcribed table as printed, without what is the same in every row."""
    rows = paper.raw(name)
    if name in ("table3", "table12", "table8"):
        return _wide(name, rows)
    columns = [c for c in rows[0] if c != "source_row" and any(r[c] for r in rows)]
    return tables.markdown([c.replace("_", " ") for c in columns], [[r[c] for c in columns] for r in rows])


def _wide(name: str, rows: list[dict[str, str | None]]) -> str:
    """Tables kept one cell a row, side by side again."""
    value, across = {
        "table3": ("value", ("dataset", "shots")),
        "table12": ("value", ("dataset",)),
        "table8": ("top1", ("degree",)),
    }[name]
    lead = [
        k
        for k in {"table3": ("method",), "table12": ("method", "backbone", "shots"), "table8": ("method", "type")}[name]
    ]
    heads = list(dict.fromkeys(tuple(r[k] for k in across) for r in rows))
    lines: dict[tuple, dict[tuple, str | None]] = {}
    for r in rows:
        lines.setdefault((*(r[k] for k in lead), r["source_row"]), {})[tuple(r[k] for k in across)] = r[value]
    title = lambda head: " K=".join(filter(None, head)) if name == "table3" else head[0]  # noqa: E731
    return tables.markdown(
        [*lead, *map(title, heads)], [[*key[:-1], *(cells[h] for h in heads)] for key, cells in lines.items()]
    )


def page(record: dict[str, Any]) -> str:
    """The page ``audit.md``."""
    p = record["provenance"]
    parts = [
        "# The paper held against itself",
        f"Made with `{p['command']}` ({record['profile']} profile) at revision {p['revision']}, {p['date']}; nothing was trained. Numbers are those printed in the "
        f"paper, transcribed into "
        "`sfar/paper/*.csv`; effects of readings are measured by this repository and name their record.",
        "A printed number stands for all that would be printed so (83.9 for 83.85 to 83.95). *Right*: recomputed from printed cells it is what is stated. *Depends on "
        "rounding*: only from some "
        "unrounded cells. *Wrong*: from none. *Contradicts*: two places cannot both be true. *Not decidable*: the paper does not give enough.",
        "## Verdicts",
        counts_markdown(record),
        "![Verdicts by part, and printed against recomputed numbers](audit.png)",
        "## Numbers recomputed",
        numbers_markdown(record),
        "## Open, contradicting or wrong, and what is done here",
        readings_markdown(record),
    ]
    for part in audit.PARTS:
        own = {"statements": [r for r in record["statements"] if r["part"] == part]}
        parts += [f"## {part}", statements_markdown(own)]
    return "\n\n".join(parts) + "\n"


def text(profile: str | Profile = "storyboard") -> str:
    """What the terminal shows: verdicts by part, and all that is wrong or contradicts."""
    record = make_audit(profile)
    return counts_markdown(record) + "\n\n" + statements_markdown(record, "wrong", "contradicts")


# --- figure ----------------------------------------------------------------------------------------------------------


def figure(record: dict[str, Any]) -> plt.Figure:
    """Verdicts by part of the paper; printed numbers against the recomputed ones; gains by degree (Table 8) against the gain on all videos."""
    style.use()
    fig = plt.figure(figsize=(10.4, 7.0), layout="constrained")
    grid = fig.add_gridspec(2, 2, width_ratios=[1.0, 1.05], height_ratios=[2.6, 1.0])
    _draw_counts(fig.add_subplot(grid[0, 0]), record)
    _draw_numbers(fig.add_subplot(grid[:, 1]), record)
    _draw_gains(fig.add_subplot(grid[1, 0]), Tables())
    return fig


def _draw_counts(ax: plt.Axes, record: dict[str, Any]) -> None:
    parts = list(reversed(audit.PARTS))
    left = np.zeros(len(parts))
    for v in audit.VERDICTS:
        n = np.array([record["counts"][p][v] for p in parts])
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
        for y, (x, k) in enumerate(zip(left, n)):
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


def _draw_numbers(ax: plt.Axes, record: dict[str, Any]) -> None:
    rows = [r for r in record["statements"] if r["value"] is not None and r["unit"] in ("points", "percent", "mAP")]
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


def _draw_gains(ax: plt.Axes, t: Tables) -> None:
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
            )
        ]
        ax.plot(gains, [y] * len(gains), "|", color="#0072B2", ms=9, mew=1.2)
        ax.plot(float(t.cell("table2e", "top1", **parts[m]).number) - bike, y, "D", color="#D55E00", ms=4.5)
    ax.plot([], [], "|", color="#0072B2", ms=8, mew=1.2, label="ten degrees (Table 8)")
    ax.plot([], [], "D", color="#D55E00", ms=4.5, ls="", label="all videos (Tables 1, 2e)")
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


def write(out: Path, profile: str | Profile = "storyboard") -> list[Path]:
    """Write ``audit.{csv,md,tex,png,svg,json}`` into ``out``, the record last; returns their paths."""
    record = make_audit(profile)
    keys = (
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
        "field",
        "effect",
    )
    rows = [[*(r[k] for k in keys), "; ".join(r["cells"])] for r in record["statements"]]
    wrong = [
        [r["where"], r["statement"], r["found"], r["verdict"]]
        for r in record["statements"]
        if r["verdict"] in ("wrong", "contradicts", "depends on rounding")
    ]
    return study_page.write(
        out,
        "audit",
        record,
        page(record),
        ([*keys, "cells"], rows),
        {"audit": figure(record)},
        "Statements of the paper and what they were found to be.",
        printed=[
            (
                ["Where", "Statement", "Found", "Verdict"],
                wrong,
                "Statements of the paper that are wrong, contradict others or depend on rounding.",
            )
        ],
    )
