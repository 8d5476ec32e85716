"""Figure 7b and Table 2d, drawn from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.render import style, tables
from sfar.studies.core.page import claims_markdown
from sfar.studies.fig7b import find
from sfar.subtexts.tpp import READINGS
from sfar.util import paths

KINDS = {
    "truth": ("#009E73", "D", "true actions of the scripts"),
    "written": ("#0072B2", "o", "written by hand"),
    "derived": ("#D55E00", "s", "made from these by rule"),
    "file": ("#0072B2", "o", "given as a file"),
}
TITLES = {"printed": "as printed: α = 1 − x², β = x", "diverse": "rewarding diversity: β = 1 − x"}


def groups_markdown(record: dict[str, Any]) -> str:
    """Table 2d's columns for the groups at hand, best accuracy first."""
    rows = [
        [
            g["name"],
            g["title"],
            g["tpp"]["printed"],
            g["tpp"]["diverse"],
            f"{g['sigma']:.2f}",
            f"{g['delta']:.2f}",
            g["top1"]["mean"],
            g["top1"]["std"],
            f"{g['top1']['low']:.1f} to {g['top1']['high']:.1f}",
            g["top5"]["mean"],
        ]
        for g in sorted(record["groups"], key=lambda g: -g["top1"]["mean"])
    ]
    return tables.markdown(
        [
            "Group",
            "What it is",
            "TPP printed",
            "TPP diverse",
            "sigma",
            "delta",
            "Top-1 [%]",
            "std",
            "95 % interval",
            "Top-5 [%]",
        ],
        rows,
    )


def paper_markdown() -> str:
    """Table 2d as printed."""
    return tables.markdown(
        ["Generator", "TPP", "Top-1 [%]", "Top-5 [%]"],
        [[r["generator"], r["tpp"], f"{r['top1']:.2f}", r["top5"]] for r in paper.load("table2d")],
    )


def _interval(c: dict[str, float], sign: bool = True) -> str:
    return (
        f"{c['value']:+.2f} ({c['low']:+.2f} to {c['high']:+.2f})"
        if sign
        else f"{c['value']:.2f} ({c['low']:.2f} to {c['high']:.2f})"
    )


def correlations_markdown(record: dict[str, Any]) -> str:
    """r, r2 and rho with their intervals, under both readings."""
    rows = [
        [
            c["reading"],
            c["x"],
            c["which"],
            c["groups"],
            _interval(c["r"]),
            _interval(c["r2"], False),
            _interval(c["rho"]),
        ]
        for c in record["correlations"]
    ]
    return tables.markdown(
        [
            "Reading",
            "x axis",
            "Groups",
            "n",
            "r (95 % interval)",
            "r² (95 % interval)",
            "Spearman's rho (95 % interval)",
        ],
        rows,
    )


def _sides(x: np.ndarray, y: np.ndarray) -> dict[int, tuple[int, int]]:
    """Where each number stands beside its point: side (1 right, -1 left), away from the point closest in height, and rise (1, 0, -1) where two
    share a side."""
    reach = np.log(x.max() / x.min()) / 12
    near = {
        k: [j for j in range(len(x)) if j != k and abs(np.log(x[j] / x[k])) < reach and abs(y[j] - y[k]) < 1.2]
        for k in range(len(x))
    }
    side = {}
    for k in near:
        closest = min(near[k], key=lambda j: abs(y[j] - y[k]), default=k)
        side[k] = 1 if x[k] >= x[closest] else -1
    rise = {k: int(np.sign(sum(np.sign(y[k] - y[j]) for j in near[k] if side[j] == side[k]))) for k in near}
    return {k: (side[k], rise[k]) for k in near}


def figure(record: dict[str, Any]) -> plt.Figure:
    """Accuracy over TPP, a panel for each reading, with the fitted line; groups are numbered in the order of their accuracy."""
    style.use()
    groups = sorted(record["groups"], key=lambda g: -g["top1"]["mean"])
    fig, axes = plt.subplots(1, 3, figsize=(10.4, 3.9), width_ratios=[1, 1, 0.72], layout="constrained")
    for ax, reading in zip(axes, READINGS):
        x, y = np.array([g["tpp"][reading] for g in groups]), np.array([g["top1"]["mean"] for g in groups])
        slope, start = np.polyfit(np.log(x), y, 1)
        span = np.geomspace(x.min(), x.max(), 50)
        ax.plot(span, slope * np.log(span) + start, "--", color="#555555", lw=1, zorder=1)
        for k, g in enumerate(groups):
            colour, marker, _ = KINDS[g["kind"]]
            ax.plot([x[k]] * 2, [g["top1"]["low"], g["top1"]["high"]], color=colour, lw=0.8, alpha=0.55, zorder=2)
            ax.plot(x[k], y[k], marker, color=colour, ms=5, mec="white", mew=0.5, zorder=3)
        ax.set_xscale("log")
        ax.set_xlim(x.min() / 1.9, x.max() * 1.6)
        for k, (side, rise) in _sides(x, y).items():
            ax.annotate(
                str(k + 1),
                (x[k], y[k]),
                xytext=(5 * side, 4 * rise),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                fontsize=6.5,
                fontweight="bold",
                color=KINDS[groups[k]["kind"]][0],
                zorder=4,
            )
        ax.set_xlabel("TPP, average over classes (log scale)")
        lo, hi = ax.get_ylim()
        ax.set_ylim(lo - 0.24 * (hi - lo), hi)
        ax.set_title(TITLES[reading], loc="left")
        t, log = find(record, reading, "TPP"), find(record, reading, "log TPP")
        text = f"r² = {_interval(t['r2'], False)}, of log TPP {log['r2']['value']:.2f}\nr = {_interval(t['r'])}\nρ = {_interval(t['rho'])}"
        ax.text(
            0.03,
            0.03,
            text,
            transform=ax.transAxes,
            fontsize=7,
            va="bottom",
            bbox={"facecolor": "white", "edgecolor": "#cccccc", "lw": 0.6, "pad": 3},
        )
    axes[0].set_ylabel(f"Top-1 accuracy of SFAR [%], {len(record['seeds'])} seeds")
    side = axes[2]
    side.axis("off")
    step = 1 / (len(groups) + 7)
    y = 1.0
    for k, g in enumerate(groups):
        side.text(
            0.0,
            y,
            f"{k + 1}",
            fontsize=7,
            fontweight="bold",
            color=KINDS[g["kind"]][0],
            transform=side.transAxes,
            va="top",
        )
        side.text(0.09, y, f"{g['name']}: {g['top1']['mean']:.1f} %", fontsize=7, transform=side.transAxes, va="top")
        y -= step
    y -= 0.5 * step
    for kind in dict.fromkeys(g["kind"] for g in groups):
        colour, marker, text = KINDS[kind]
        side.plot(0.035, y - 0.35 * step, marker, color=colour, ms=5, transform=side.transAxes, clip_on=False)
        side.text(0.09, y, text, fontsize=7, transform=side.transAxes, va="top")
        y -= step
    side.text(
        0.0,
        y - 0.4 * step,
        f"Fig. 7b of the paper: {paper.FIG7B['groups']} groups, r² = {paper.FIG7B['r2']}\nBars, brackets: 95 % intervals\nDashed: least squares on log TPP",
        fontsize=7,
        transform=side.transAxes,
        va="top",
        color="#444444",
        linespacing=1.35,
    )
    side.set_xlim(0, 1)
    side.set_ylim(0, 1)
    return fig


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``fig7b.md``: correlations, groups, verdicts, provenance; Table 2d's printed rows apart."""
    p = record["provenance"]
    return (
        "\n\n".join(
            [
                "# Figure 7b and Table 2d",
                f"Measured with `{p['command']}` ({record['profile']} profile) at revision {p['revision']} on {p['hardware']}, {p['date']}; "
                f"SFAR trained with each group on seeds {', '.join(map(str, record['seeds']))}, {record['data']['val_videos']} validation videos.",
                "![Figure 7b](fig7b.png)",
                "## Correlation of TPP and top-1",
                correlations_markdown(record),
                f"Intervals resample groups, seeds and videos. Printed in the paper: r² = {paper.FIG7B['r2']} over {paper.FIG7B['groups']} groups ({paper.FIG7B['source']}).",
                "## Claims",
                claims_markdown(record),
                "## Groups (the columns of Table 2d)",
                groups_markdown(record),
                "## Table 2d as printed (transcribed, Kinetics-400)",
                paper_markdown(),
            ]
        )
        + "\n"
    )


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``fig7b.{csv,md,png,svg,json}`` into ``out``, each whole or not at all; returns their paths."""
    files = [out / f"fig7b.{e}" for e in ("csv", "md", "png", "svg", "json")]
    paths.write_atomic(
        files[0],
        tables.to_csv(
            [
                "group",
                "kind",
                "tpp_printed",
                "tpp_diverse",
                "sigma",
                "delta",
                "metric",
                "mean",
                "std",
                "low",
                "high",
                "seeds",
                "videos",
            ],
            [
                [
                    g["name"],
                    g["kind"],
                    g["tpp"]["printed"],
                    g["tpp"]["diverse"],
                    g["sigma"],
                    g["delta"],
                    k,
                    g[k]["mean"],
                    g[k]["std"],
                    g[k]["low"],
                    g[k]["high"],
                    g[k]["seeds"],
                    g[k]["videos"],
                ]
                for g in record["groups"]
                for k in ("top1", "top5")
            ],
        ),
    )
    paths.write_atomic(files[1], as_markdown(record))
    fig = figure(record)
    style.save(fig, files[2])
    style.save(fig, files[3])
    plt.close(fig)
    paths.write_json(files[4], record)  # last: the record stands only when everything drawn from it does
    return files
