"""Table 2a, drawn from its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from sfar import paper
from sfar.model.registry import METHODS
from sfar.render import style, tables
from sfar.runs.run import MAP_BATCH
from sfar.studies.core import page as page
from sfar.studies.multi_label import HEADLINE
from sfar.training.metrics import VARIANTS

TRAINED = {
    "fine-tuned": ("o", 6, "tower fine-tuned, as in the paper"),
    "frozen": ("s", 4.5, "tower frozen"),
    "nothing": ("D", 4.5, "nothing trained"),
}  # marker, its size, label


def _tower(row: dict[str, Any]) -> str:
    return row["name"].split("/")[0]


def _title(row: dict[str, Any]) -> str:
    return row["title"] if not row["trained"] else f"{row['title']}, {_tower(row)}"


# --- measured --------------------------------------------------------------------------------------------------------


def rows_markdown(record: dict[str, Any]) -> str:
    """Mean average precision of every row."""
    rows = [
        [
            _title(r),
            r["map"]["mean"],
            r["map"]["std"],
            page.interval(r["map"]),
            r["seeds"] if r["trained"] else "none",
            ", ".join(r["trained"]) or "nothing",
        ]
        for r in record["rows"]
    ]
    return tables.markdown(["Method, tower", "mAP [%]", "std", "95 % interval", "Seeds", "Trained"], rows)


def variants_markdown(record: dict[str, Any]) -> str:
    """The same scores by every variant of the metric, averaged over the seeds; what BIKE's running average takes away."""
    rows = [
        [
            _title(r),
            *(r["variants"].get(v) for v in VARIANTS),
            f"{r['variants']['bike'] - r['variants'][HEADLINE]:+.1f}",
        ]
        for r in record["rows"]
    ]
    return tables.markdown(["Method, tower", *VARIANTS, f"bike − {HEADLINE}"], rows)


def variants_text() -> str:
    """What the variants are."""
    return "\n".join(
        f"- **{name}**: {what}" + (f"; batches of {MAP_BATCH}" if name == "bike" else "")
        for name, what in VARIANTS.items()
    )


def differences_markdown(record: dict[str, Any]) -> str:
    """Paired differences: the same seeds, the same videos."""
    return page.differences_markdown(record["differences"], {r["name"]: _title(r) for r in record["rows"]})


def data_markdown(record: dict[str, Any]) -> str:
    """The facts on which the metric's variants differ."""
    d = record["data"]
    facts = {
        "Test videos": d["videos"],
        "Classes": d["classes"],
        "Labels per test video, mean": d["labels_per_video"],
        "Test videos without any label": d["without_label"],
        "Classes without a positive test video": d["without_positive"],
        "Training clips (one timed action each)": d["training_clips"],
        "Frames per clip": record["frames"],
    }
    facts |= {
        "Undecodable videos, named in the record": len(d["undecodable"]),
        "Missing videos, named in the record": len(d["missing"]),
    }
    return tables.markdown(["", "Value"], [[k, v] for k, v in facts.items()])


def paper_markdown() -> str:
    """Table 2a as printed."""
    return tables.markdown(
        ["Method", "Frames", "mAP [%]"], [[r["method"], r["input_frames"], r["map"]] for r in paper.load("table2a")]
    )


# --- figure ----------------------------------------------------------------------------------------------------------


def figure(record: dict[str, Any]) -> plt.Figure:
    """Measured mAP, tower fine-tuned and frozen, and the paper's printed values in a panel of their own."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), width_ratios=[1.25, 1], layout="constrained")
    order = list(reversed(METHODS))
    for r in record["rows"]:
        trained = _tower(r) if r["trained"] else "nothing"
        marker, size, _ = TRAINED[trained]
        page.dots(
            ax,
            order.index(r["method"]) - (0.3 if trained == "frozen" else 0.0),
            r["map"],
            style.COLOURS[r["method"]],
            marker,
            hollow=trained == "frozen",
            size=size,
        )
    for trained, (marker, size, label) in TRAINED.items():
        ax.plot(
            [],
            [],
            marker,
            color="#555555",
            mfc="white" if trained == "frozen" else "#555555",
            ms=size,
            ls="none",
            label=label,
        )
    ax.set_yticks(range(len(order)), [style.NAMES[m].replace(" (", "\n(") for m in order])
    ax.set_ylim(-0.65, len(order) - 0.5)
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.07 * (hi - lo))
    ax.set_xlabel("Mean average precision [%]")
    n = len(record["seeds"])
    ax.set_title(
        f"Measured: {record['profile']} profile\n{record['data']['videos']} videos, {n} seed{'s' * (n != 1)}, 95 % intervals",
        loc="left",
    )
    ax.grid(axis="y", visible=False)
    rows = list(reversed(paper.load("table2a")))
    for y, r in enumerate(rows):
        ours = r["method"].startswith("SFAR")
        right.plot(
            r["map"], y, "o", color=style.COLOURS["sfar"] if ours else style.COLOURS["paper"], ms=6 if ours else 4.5
        )
        right.annotate(
            f"{r['map']:.1f}", (r["map"], y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7
        )
    right.set_yticks(range(len(rows)), [r["method"] for r in rows])
    right.set_ylim(-0.65, len(rows) - 0.5)
    lo, hi = right.get_xlim()
    right.set_xlim(lo, hi + 0.09 * (hi - lo))
    right.set_xlabel("Mean average precision [%]")
    right.set_title("Printed in the paper: Charades\nTable 2a, metric's variant not stated", loc="left")
    right.grid(axis="y", visible=False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=3, handletextpad=0.4)
    return fig


# --- page ------------------------------------------------------------------------------------------------------------


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``multi_label.md``: measured rows, variants of the metric, differences, verdicts; the paper's own rows apart."""
    return "\n\n".join(
        [
            page.head(
                record,
                "Table 2a: multi-label recognition",
                f"Charades layout: trained on the timed actions one by one, tested on whole videos, {record['frames']} frames, single view.",
            ),
            "## Claims",
            page.claims_markdown(record),
            "## Measured",
            f'mAP by the variant "{HEADLINE}": {VARIANTS[HEADLINE]}.',
            rows_markdown(record),
            "## SFAR against the others",
            differences_markdown(record),
            "![Table 2a](table2a.png)",
            "Intervals resample seeds and videos (a class without a positive video in a resample is left out of it); differences are paired over both.",
            "## The same scores by every variant of the metric",
            variants_markdown(record),
            variants_text(),
            "## Data",
            data_markdown(record),
            "## Table 2a as printed (transcribed)",
            paper_markdown(),
            "## Where the numbers come from",
            page.provenance_markdown(record),
        ]
    )


def text(record: dict[str, Any]) -> str:
    """For the terminal: the table and the verdicts."""
    return "\n\n".join([rows_markdown(record), page.claims_markdown(record)])


def csv_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Every row, variant and difference, a number a cell."""
    columns = [
        "part",
        "name",
        "method",
        "variant",
        "against",
        "verdict",
        "mean",
        "std",
        "low",
        "high",
        "seeds",
        "videos",
        "trained",
    ]
    rows = []
    for r in record["rows"]:
        tail = [r["seeds"] if r["trained"] else None, record["data"]["videos"], " ".join(r["trained"])]
        m = r["map"]
        rows.append(
            ["row", r["name"], r["method"], HEADLINE, None, None, m["mean"], m["std"], m["low"], m["high"], *tail]
        )
        rows += [
            ["variant", r["name"], r["method"], v, None, None, value, None, None, None, *tail]
            for v, value in r["variants"].items()
        ]
    rows += [
        [
            "difference",
            d["name"],
            d["name"].split("/")[1],
            HEADLINE,
            d["against"],
            d["verdict"],
            d["mean"],
            None,
            d["low"],
            d["high"],
            None,
            None,
            None,
        ]
        for d in record["differences"]
    ]
    return columns, rows


def _latex(record: dict[str, Any]) -> list[tuple[list[str], list[list[Any]], str]]:
    rows = [
        [_title(r), *(r["map"][k] for k in ("mean", "std", "low", "high")), r["variants"]["bike"]]
        for r in record["rows"]
    ]
    return [
        (
            ["Method, tower", "mAP", "std", "low", "high", "BIKE's running average"],
            rows,
            f"Mean average precision, Charades layout, {record['profile']} profile, {len(record['seeds'])} seeds; low, high: 95 % interval over seeds and videos.",
        )
    ]


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``multi_label.{csv,md,tex,json}`` and ``table2a`` as .png and .svg into ``out``; returns their paths."""
    return page.write(
        out,
        "multi_label",
        record,
        as_markdown(record),
        csv_table(record),
        {"table2a": figure(record)},
        "Multi-label",
        _latex(record),
    )
