"""Table 1 as tables, figure and page, all drawn from its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.model import cost
from sfar.model.registry import METHODS
from sfar.render import style, tables
from sfar.studies.core.page import claims_markdown
from sfar.util import paths

COLUMNS = ["Method", "Views", "Top-1 [%]", "std", "95 % interval", "Top-5 [%]", "std", "Seeds", "Trained"]


def measured_rows(record: dict[str, Any]) -> list[list[Any]]:
    """The measured rows as printed."""
    return [
        [
            style.NAMES[r["method"]],
            r["views"],
            r["top1"]["mean"],
            r["top1"]["std"],
            f"{r['top1']['low']:.1f} to {r['top1']['high']:.1f}",
            r["top5"]["mean"],
            r["top5"]["std"],
            r["top1"]["seeds"] if r["trained"] else "none",
            ", ".join(r["trained"]) or "nothing",
        ]
        for r in record["rows"]
    ]


def measured_markdown(record: dict[str, Any]) -> str:
    """The measured table."""
    return tables.markdown(COLUMNS, measured_rows(record))


def differences_markdown(record: dict[str, Any]) -> str:
    """SFAR minus each other method, paired on the same seeds and videos."""
    rows = [
        [
            f"SFAR − {style.NAMES[d['against']]}",
            d["views"],
            d["metric"].replace("top", "Top-"),
            f"{d['mean']:+.1f}",
            f"{d['low']:+.1f} to {d['high']:+.1f}",
            {"holds": "higher", "does not hold": "lower", "undecided": "undecided"}[d["verdict"]],
        ]
        for d in record["differences"]
    ]
    return tables.markdown(["Difference", "Views", "Metric", "Mean [points]", "95 % interval", "SFAR is"], rows)


def paper_markdown(name: str = "table1") -> str:
    """The paper's rows, transcribed."""
    columns = [
        "Method",
        "Backbone",
        "Venue",
        "Frames",
        "Pre-training",
        "Top-1 [%]",
        "Top-5 [%]",
        "Views",
        "GFLOPs",
        "Params [M]",
    ]
    keys = ("method", "backbone", "venue", "frames", "pretraining", "top1", "top5", "views", "gflops", "params_m")
    return tables.markdown(columns, [[r[k] for k in keys] for r in paper.load(name)])


def importance_markdown(record: dict[str, Any]) -> str:
    """Share of importance on frames that show an action of the class."""
    i = record["importance"]
    rows = [["Equal weights", f"{i['uniform']:.1f}", "–", "–"]]
    for key, name in (("single", "Single granularity (BIKE)"), ("coarse", "SFAR, a_coarse"), ("fine", "SFAR, a_fine")):
        rows.append(
            [
                name,
                f"{i[key]['mass']:.1f}",
                f"{i[key]['gain']:+.1f}",
                f"{i[key]['gain_low']:+.1f} to {i[key]['gain_high']:+.1f}",
            ]
        )
    return tables.markdown(
        ["Importance", "On relevant frames [%]", "Against equal weights [points]", "95 % interval"], rows
    )


def cost_markdown() -> str:
    """GFLOPs of both towers under each counting convention, beside what the paper prints."""
    printed = {"ViT-B-16-quickgelu": "90.2", "ViT-L-14-quickgelu": "416"}
    rows = []
    for arch, value in printed.items():
        totals = cost.macs(arch)["totals"]
        rows.append([arch.removesuffix("-quickgelu"), totals[cost.SKIPS_MHA], totals[cost.COMPLETE], value])
    return tables.markdown(
        ["Visual tower, 8 x 224 x 224", "GMACs, nn.MultiheadAttention skipped", "GMACs, everything", 'Paper, "GFLOPs"'],
        rows,
        2,
    )


def inventory_markdown(arch: str = "ViT-B-16-quickgelu") -> str:
    """What adds up to the paper's parameter count."""
    rows = [
        [
            i["name"],
            " + ".join(i["components"]),
            i["total_m"],
            i["paper_m"],
            "yes" if i["fits"] else "no" if i["paper_m"] is not None else "–",
        ]
        for i in cost.inventories(arch)
    ]
    return tables.markdown(["Inventory", "Counted", "Total [M]", "Paper [M]", "Fits"], rows, 2)


def figure(record: dict[str, Any]) -> plt.Figure:
    """Measured accuracy, the paper's rows apart from it, and where the importance falls."""
    style.use()
    drawn = "importance" in record
    fig, axes = plt.subplots(
        1,
        3 if drawn else 2,
        figsize=(10.4 if drawn else 7.2, 3.5),
        width_ratios=[1.05, 1.1, 1.0][: 3 if drawn else 2],
        layout="constrained",
    )
    _draw_measured(axes[0], record)
    _draw_paper(axes[1])
    if drawn:
        _draw_importance(axes[2], record)
    return fig


def _draw_measured(ax: plt.Axes, record: dict[str, Any]) -> None:
    order = list(reversed(METHODS))
    for r in record["rows"]:
        t, y = r["top1"], order.index(r["method"]) + (0.0 if r["views"] == "1x1" else -0.28)
        colour = style.COLOURS[r["method"]]
        ax.plot([t["low"], t["high"]], [y, y], color=colour, lw=1.6, solid_capstyle="butt", zorder=2)
        ax.plot(t["per_seed"], [y + 0.13] * len(t["per_seed"]), "|", color=colour, ms=4, alpha=0.6)
        ax.plot(
            t["mean"],
            y,
            "o" if r["views"] == "1x1" else "D",
            color=colour,
            ms=6 if r["views"] == "1x1" else 4.5,
            mec="white",
            mew=0.6,
            zorder=3,
        )
        ax.annotate(
            f"{t['mean']:.1f}", (t["high"], y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7
        )
    ax.set_yticks(range(len(order)), [style.NAMES[m].replace(" (", "\n(") for m in order])
    ax.set_ylim(-0.95, len(order) - 0.5)
    if ref := record.get("upper_reference"):
        ax.axvline(ref["accuracy"], color="#555555", ls=":", lw=1)
        ax.annotate(
            "true set\nof actions",
            (ref["accuracy"], len(order) - 0.55),
            xytext=(-3, 0),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=6.5,
            color="#555555",
        )
    ax.plot([], [], "o", color="#555555", ms=5, label="1x1 view")
    ax.plot([], [], "D", color="#555555", ms=4, label="4x3 views")
    ax.set_xlabel("Top-1 accuracy [%]")
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.06 * (hi - lo))
    n = len(record["seeds"])
    ax.set_title(
        f"Measured: {record['profile']} world\n{n} seeds, {record['data']['val_videos']} videos, 95 % intervals",
        loc="left",
    )
    ax.legend(loc="lower left", ncols=2, borderaxespad=0.1)
    ax.grid(axis="y", visible=False)


def _draw_paper(ax: plt.Axes) -> None:
    rows = sorted((r for r in paper.load("table1") if r["top1"] is not None), key=lambda r: r["top1"])
    for y, r in enumerate(rows):
        ours = r["method"].startswith("SFAR")
        ax.plot(
            r["top1"], y, "o", color=style.COLOURS["sfar"] if ours else style.COLOURS["paper"], ms=5 if ours else 3.5
        )
        ax.annotate(
            f"{r['top1']:.1f}", (r["top1"], y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=6
        )
    ax.set_yticks(range(len(rows)), [f"{r['method']} ({r['views']})" for r in rows], fontsize=6)
    ax.set_xlim(min(r["top1"] for r in rows) - 0.6, max(r["top1"] for r in rows) + 1.2)
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title("Printed in the paper: Kinetics-400\nTable 1, ViT-B and others", loc="left")
    ax.grid(axis="y", visible=False)


def _draw_importance(ax: plt.Axes, record: dict[str, Any]) -> None:
    i = record["importance"]
    ax.axhline(0, color=style.COLOURS["uniform"], lw=1.2, ls="--")
    ax.annotate(
        "equal weights",
        (100, 0),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7,
        color="#666666",
    )
    for k, (key, name, marker) in enumerate(
        (("single", "BIKE", "s"), ("coarse", "SFAR coarse", "o"), ("fine", "SFAR fine", "^"))
    ):
        share, gain, low, high = (
            np.array([r[n] for r in i[key]["by_share"]]) for n in ("share", "gain", "low", "high")
        )
        colour = style.COLOURS[key]
        ax.errorbar(
            100 * share + 1.6 * (k - 1),
            gain,
            yerr=[gain - low, high - gain],
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.3,
            elinewidth=1,
            label=name,
        )
    ax.set_xlabel("Irrelevant among the 8 sampled frames [%]")
    ax.set_ylabel("Weight on relevant frames,\nagainst equal weights [points]")
    ax.set_xlim(0, 100)
    lo, hi = ax.get_ylim()
    ax.set_ylim(lo, hi + 0.28 * (hi - lo))
    ax.legend(loc="upper left", ncols=3, columnspacing=1.0, handlelength=1.4)
    ax.set_title(f"Does the weight find the action?\n{i['videos']} videos with both kinds of frames", loc="left")


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``table1.{json,csv,md,png}`` into ``out``, each whole or not at all; returns their paths."""
    files = [out / f"table1.{e}" for e in ("csv", "md", "png", "json")]
    paths.write_atomic(
        files[0],
        tables.to_csv(
            ["method", "views", "metric", "mean", "std", "low", "high", "seeds", "videos", "trained"],
            [
                [
                    r["method"],
                    r["views"],
                    k,
                    r[k]["mean"],
                    r[k]["std"],
                    r[k]["low"],
                    r[k]["high"],
                    r[k]["seeds"] if r["trained"] else "",
                    r[k]["videos"],
                    " ".join(r["trained"]),
                ]
                for r in record["rows"]
                for k in ("top1", "top5")
            ],
        ),
    )
    paths.write_atomic(files[1], as_markdown(record))
    fig = figure(record)
    style.save(fig, files[2])
    plt.close(fig)
    paths.write_json(files[3], record)  # last: the record stands only when everything drawn from it does
    return files


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``table1.md``: measured rows, differences, verdicts, provenance; the paper's own rows apart."""
    p, d = record["provenance"], record["data"]
    parts = [
        "# Table 1",
        f"Measured with `{p['command']}` ({record['profile']} profile) at revision {p['revision']} on {p['hardware']}, {p['date']}; "
        f"{d['train_videos']} training and {d['val_videos']} validation videos of {d['classes']} classes, seeds {', '.join(map(str, record['seeds']))}. "
        f"Undecodable videos: {len(d['undecodable'])}; missing: {len(d['missing'])}.",
        "## Measured",
        measured_markdown(record),
        "Intervals resample seeds and videos. Undecodable videos are left out and named in `table1.json`.",
        "## SFAR against the others",
        differences_markdown(record),
        "## Claims",
        claims_markdown(record),
    ]
    if "importance" in record:
        u = record["upper_reference"]
        parts += [
            "## Where the weight falls",
            importance_markdown(record),
            f"For scale: a linear classifier on the true set of atomic actions in the sampled frames reaches {u['accuracy']:.1f} %.",
        ]
    parts += ["![Table 1](table1.png)", "## Printed in the paper (transcribed, Kinetics-400)", paper_markdown("table1")]
    return "\n\n".join(parts) + "\n"
