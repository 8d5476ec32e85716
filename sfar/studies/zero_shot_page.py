"""Tables 2b and 10, drawn from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.config import DRAWN
from sfar.model.registry import METHODS
from sfar.render import style, tables
from sfar.studies.core import page as page
from sfar.studies.zero_shot import FOLDS, PROTOCOLS
from sfar.training.protocols import DRAWS

WHAT = {
    "half10": f"{DRAWS} draws of half of the classes, all videos",
    "split3": f"all classes, {len(FOLDS)} official test splits",
    "all classes": "all videos",
}
PRINTED = {"UCF-101": "ucf101", "HMDB-51": "hmdb51"}  # columns of the transcribed tables
KNOWN = (
    "Which protocol a printed row is of, the tables do not say. By their sources, BIKE's ViT-L row is half10 (86.6 and 61.4 are its README's means over ten draws of half of the classes) "
    "and X-CLIP's is split3; rows of both kinds stand in one table."
)


def sets(record: dict[str, Any]) -> list[str]:
    """The data sets tested on, in the record's order."""
    return list(dict.fromkeys(r["dataset"] for r in record["rows"]))


def _rows(record: dict[str, Any], dataset: str) -> list[dict[str, Any]]:
    return sorted(
        (r for r in record["rows"] if r["dataset"] == dataset), key=lambda r: list(METHODS).index(r["method"])
    )


def _top1(row: dict[str, Any], protocol: str) -> dict[str, Any]:
    """Mean, interval and values per seed of one of ``PROTOCOLS``."""
    return row["full"]["top1"] if protocol == "all classes" else row[protocol]


def _over_seeds(value: dict[str, Any]) -> float:
    return float(np.std(value["per_seed"], ddof=1)) if len(value["per_seed"]) > 1 else 0.0


# --- measured --------------------------------------------------------------------------------------------------------


def rows_markdown(record: dict[str, Any], dataset: str) -> str:
    """Both protocols side by side: what each prints (mean ± its own deviation) and the interval over seeds and videos; all classes on all videos beside them."""
    rows = [
        [
            style.NAMES[r["method"]],
            *_printed(r),
            r["seeds"] if r["trained"] else "none",
            ", ".join(r["trained"]) or "nothing",
        ]
        for r in _rows(record, dataset)
    ]
    return tables.markdown(["Method", *_HEAD, "Seeds", "Trained"], rows)


_HEAD = [name for p in PROTOCOLS for name in (f"{p} [%]", "95 % interval")]


def _printed(row: dict[str, Any]) -> list[Any]:
    """Of each protocol what it prints (with ± where it prints one), and the interval."""
    out = []
    for p in PROTOCOLS:
        value = _top1(row, p)
        out += [
            f"{value['mean']:.1f} ± {value['protocol_std']:.1f}" if "protocol_std" in value else value["mean"],
            page.interval(value),
        ]
    return out


def more_markdown(record: dict[str, Any], dataset: str) -> str:
    """Deviations over seeds, and top-5."""
    rows = [
        [
            style.NAMES[r["method"]],
            *(
                number
                for p in PROTOCOLS
                for number in (
                    _over_seeds(_top1(r, p)),
                    r["full"]["top5"]["mean"] if p == "all classes" else r[p]["top5"],
                )
            ),
        ]
        for r in _rows(record, dataset)
    ]
    return tables.markdown(
        ["Method", *(name for p in PROTOCOLS for name in (f"{p}: std over seeds", "Top-5 [%]"))], rows
    )


def differences_markdown(record: dict[str, Any], dataset: str) -> str:
    """Paired differences on the same seeds and videos, under each protocol."""
    rows, titles = [], dict(style.NAMES)
    for d in record["differences"]:
        if d["dataset"] == dataset:
            name = f"{d['protocol']}/{d['name']}"
            titles[name] = f"{d['protocol']}: {style.NAMES[d['name']]}"
            rows.append({**d, "name": name})
    return page.differences_markdown(rows, titles)


def paper_markdown(name: str) -> str:
    """The paper's rows, transcribed."""
    return tables.markdown(
        ["Method", "Backbone", "Made for zero-shot", "UCF-101 [%]", "HMDB-51 [%]"],
        [[r["method"], r["backbone"], r["vz"], r["ucf101"], r["hmdb51"]] for r in paper.load(name)],
    )


# --- figure ----------------------------------------------------------------------------------------------------------


def figure(record: dict[str, Any]) -> plt.Figure:
    """Measured under both protocols, a panel for each data set, and below them the paper's printed values in panels of their own."""
    style.use()
    names = sets(record)
    fig, axes = plt.subplots(2, len(names), figsize=(7.4, 5.6), height_ratios=[1.15, 1], layout="constrained")
    for column, (ax, d) in enumerate(zip(axes[0], names)):
        _draw_measured(ax, record, d, column == 0)
        _draw_paper(axes[1, column], page.set_title(d), column == 0)
    n = len(record["seeds"])
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=3,
        handletextpad=0.4,
        alignment="left",
        title_fontproperties={"weight": "bold", "size": 8},
        title=f"Measured: {record['profile']} profile, {n} seed{'s' * (n != 1)}, 95 % intervals over seeds and videos",
    )
    return fig


_MARKS = {
    "half10": ("o", False, 5.5),
    "split3": ("s", True, 4.2),
    "all classes": ("D", False, 4.2),
}  # marker, hollow, size


def _draw_measured(ax: plt.Axes, record: dict[str, Any], dataset: str, named: bool) -> None:
    rows = list(reversed(_rows(record, dataset)))
    for y, r in enumerate(rows):
        colour = style.COLOURS[r["method"]]
        for step, (p, (marker, hollow, size)) in zip((0.24, 0.0, -0.24), _MARKS.items()):
            value = _top1(r, p)
            page.dots(
                ax, y + step, {**value, "per_seed": [value["mean"]]}, colour, marker, hollow, size
            )  # three rows to a method: no room for seeds
    for p, (marker, hollow, size) in _MARKS.items():
        ax.plot(
            [],
            [],
            marker,
            color="#555555",
            mfc="white" if hollow else "#555555",
            ms=size,
            ls="none",
            label=f"{p}: {WHAT[p]}",
        )
    ax.set_yticks(range(len(rows)), [style.NAMES[r["method"]].replace(" (", "\n(") if named else "" for r in rows])
    ax.set_ylim(-0.55, len(rows) - 0.45)
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.07 * (hi - lo))
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title(
        f"Measured: {page.set_title(dataset)} layout\n{rows[0]['classes']} classes, {rows[0]['videos']} videos",
        loc="left",
    )
    ax.grid(axis="y", visible=False)


def _draw_paper(ax: plt.Axes, title: str, named: bool) -> None:
    rows = list(reversed(paper.load("table2b")))
    for y, r in enumerate(rows):
        value, ours = r[PRINTED[title]], r["method"].startswith("SFAR")
        ax.plot(value, y, "o", color=style.COLOURS["sfar"] if ours else style.COLOURS["paper"], ms=6 if ours else 4.5)
        ax.annotate(f"{value:.1f}", (value, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
    ax.set_yticks(range(len(rows)), [r["method"] if named else "" for r in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.07 * (hi - lo))
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title(f"Printed in the paper: {title}\nTable 2b, protocol not stated", loc="left")
    ax.grid(axis="y", visible=False)


# --- page ------------------------------------------------------------------------------------------------------------


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``zero_shot.md``: measured rows, differences, verdicts; the paper's own rows apart."""
    parts = [
        page.head(
            record,
            "Tables 2b and 10: zero-shot",
            f"Trained on {page.set_title(record['trained_on'])}'s layout (the runs of Table 1: {page.videos(record).rstrip('.')}), tested in the single view on videos of {'classes that training did not have' if record['trained_on'] in DRAWN else 'other data sets, some of whose classes training had too'}, "
            f"with the prompts and {_texts(record)} of these classes.",
        ),
        "## Claims",
        page.claims_markdown(record),
    ]
    for d in sets(record):
        first = _rows(record, d)[0]
        parts += [
            f"## {page.set_title(d)} layout: {first['classes']} classes, {first['videos']} videos",
            rows_markdown(record, d),
            more_markdown(record, d),
            differences_markdown(record, d),
        ]
    parts += [
        protocols_text(),
        "![Table 2b](table2b.png)",
        "## Table 2b as printed (transcribed, trained on Kinetics-400)",
        KNOWN,
        paper_markdown("table2b"),
        "## Table 10 as printed (transcribed, larger towers)",
        paper_markdown("table10"),
        "## Where the numbers come from",
        page.provenance_markdown(record),
    ]
    return "\n\n".join(parts)


def _texts(record: dict[str, Any]) -> str:
    """Which sub-texts the classes tested on have."""
    name = record["provenance"]["config"]["model"]["subtexts"]
    return "bundled sub-texts" if name == "bank" else f"sub-texts ({name})"


def protocols_text() -> str:
    """What the columns are."""
    return (
        f"**half10**: {WHAT['half10']} (BIKE, Text4Vis); **split3**: {WHAT['split3']} (X-CLIP and those after it). ± is the deviation that the protocol itself prints, over its "
        f"{DRAWS} draws or {len(FOLDS)} splits, averaged over the seeds: how much the parts differ, not how sure the mean is. Intervals resample seeds and videos; differences are paired over both."
    )


def text(record: dict[str, Any]) -> str:
    """For the terminal: the table of each data set and the verdicts."""
    return "\n\n".join(
        [
            *(f"{page.set_title(d)} layout\n\n{rows_markdown(record, d)}" for d in sets(record)),
            page.claims_markdown(record),
        ]
    )


def csv_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Every number of every row and difference, one a cell. ``protocol_std``: over draws or splits; ``std``: over seeds."""
    columns = [
        "part",
        "dataset",
        "method",
        "protocol",
        "against",
        "verdict",
        "metric",
        "mean",
        "protocol_std",
        "std",
        "low",
        "high",
        "seeds",
        "videos",
        "classes",
        "trained",
    ]
    rows = []
    for r in record["rows"]:
        tail = [r["seeds"] if r["trained"] else None, r["videos"], r["classes"], " ".join(r["trained"])]
        for p in PROTOCOLS:
            value, top5 = _top1(r, p), r["full"]["top5"]["mean"] if p == "all classes" else r[p]["top5"]
            rows.append(
                [
                    "row",
                    r["dataset"],
                    r["method"],
                    p,
                    None,
                    None,
                    "top1",
                    value["mean"],
                    value.get("protocol_std"),
                    round(_over_seeds(value), 4),
                    value["low"],
                    value["high"],
                    *tail,
                ]
            )
            rows.append(["row", r["dataset"], r["method"], p, None, None, "top5", top5, None, None, None, None, *tail])
    rows += [
        [
            "difference",
            d["dataset"],
            d["name"],
            d["protocol"],
            d["against"],
            d["verdict"],
            "top1",
            d["mean"],
            None,
            None,
            d["low"],
            d["high"],
            None,
            None,
            None,
            None,
        ]
        for d in record["differences"]
    ]
    return columns, rows


def _latex(record: dict[str, Any]) -> list[tuple[list[str], list[list[Any]], str]]:
    return [
        (
            ["Method", *_HEAD],
            [[style.NAMES[r["method"]], *_printed(r)] for r in _rows(record, d)],
            f"Zero-shot top-1 accuracy, {page.set_title(d)} layout, {record['profile']} profile, {len(record['seeds'])} seeds; ±: over draws or splits.",
        )
        for d in sets(record)
    ]


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``zero_shot.{csv,md,tex,json}`` and ``table2b`` as .png and .svg into ``out``; returns their paths."""
    return page.write(
        out,
        "zero_shot",
        record,
        as_markdown(record),
        csv_table(record),
        {"table2b": figure(record)},
        "Zero-shot",
        _latex(record),
    )
