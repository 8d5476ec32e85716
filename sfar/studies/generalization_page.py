"""Table 2c as tables, figure and page, all drawn from its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from sfar import paper
from sfar.render import style, tables
from sfar.runs.hosts import HOSTS
from sfar.studies.core import page

PLUGS = {"none": "✗", "mean": "equal weights", "fine": "✓"}
DIFFERENCES = {
    ("fine", "none"): "with FVE − without",
    ("mean", "none"): "equal weights − without",
    ("fine", "mean"): "FVE − equal weights",
}


def _cell(record: dict[str, Any], schedule: str, host: str, plug: str) -> dict[str, Any]:
    return next(r for r in record["rows"] if (r["schedule"], r["host"], r["plug"]) == (schedule, host, plug))


def _difference(record: dict[str, Any], schedule: str, host: str, pair: tuple[str, str]) -> dict[str, Any]:
    return next(
        d
        for d in record["differences"]
        if (d["schedule"], d["host"], d["metric"], d["name"], d["against"]) == (schedule, host, "top1", *pair)
    )


def table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the measured table."""
    columns = [
        "Method",
        "FVE",
        "Epochs",
        "Top-1 [%]",
        "Top-1 std",
        "Top-1 low",
        "Top-1 high",
        "Top-5 [%]",
        "Top-5 std",
        "Seeds",
        "Trained parameters",
    ]
    return columns, [
        [
            HOSTS[r["host"]],
            PLUGS[r["plug"]],
            record["epochs"][r["schedule"]],
            *(r["top1"][k] for k in ("mean", "std", "low", "high")),
            r["top5"]["mean"],
            r["top5"]["std"],
            r["top1"]["seeds"],
            r["parameters"],
        ]
        for r in record["rows"]
    ]


def measured_markdown(record: dict[str, Any]) -> str:
    """The measured table."""
    return tables.markdown(*table(record))


def differences_markdown(record: dict[str, Any], schedule: str) -> str:
    """Paired differences of one schedule: the same seeds, the same videos."""
    rows = [
        [
            HOSTS[d["host"]],
            DIFFERENCES[d["name"], d["against"]],
            d["metric"].replace("top", "Top-"),
            f"{d['mean']:+.1f}",
            page.interval(d, 1, True),
            page.words(d["verdict"]),
        ]
        for d in record["differences"]
        if d["schedule"] == schedule
    ]
    return tables.markdown(["Method", "Difference", "Metric", "Mean [points]", "95 % interval", "The first is"], rows)


def paper_markdown() -> str:
    """The paper's rows, transcribed."""
    return tables.markdown(
        ["Method", "FVE", "Top-1 [%]", "Top-5 [%]"],
        [[r[k] for k in ("method", "fve", "top1", "top5")] for r in paper.load("table2c")],
    )


def figure(record: dict[str, Any]) -> plt.Figure:
    """Accuracy without and with FVE, the paired differences, and the paper's rows apart from them."""
    style.use()
    fig, axes = plt.subplots(1, 3, figsize=(10.4, 3.5), width_ratios=[1.15, 1.15, 0.8], layout="constrained")
    places = [(h, s) for h in reversed(HOSTS) for s in reversed(record["epochs"])]
    at = {place: i + 0.5 * (i // len(record["epochs"])) for i, place in enumerate(places)}
    names = [f"{HOSTS[h]}, {record['epochs'][s]} epochs" for h, s in places]
    _draw_accuracy(axes[0], record, at)
    _draw_differences(axes[1], record, at)
    for ax, labels in ((axes[0], names), (axes[1], [""] * len(names))):
        ax.set_yticks(list(at.values()), labels)
        ax.set_ylim(-0.7, max(at.values()) + 0.7)
        ax.grid(axis="y", visible=False)
    _draw_paper(axes[2])
    fig.legend(*_both(axes[0], axes[1]), loc="outside lower center", ncols=5, handlelength=1.4, columnspacing=1.6)
    return fig


def _both(*axes: plt.Axes) -> tuple[list[Any], list[str]]:
    found = [ax.get_legend_handles_labels() for ax in axes]
    return [h for handles, _ in found for h in handles], [label for _, labels in found for label in labels]


def _draw_accuracy(ax: plt.Axes, record: dict[str, Any], at: dict[tuple[str, str], float]) -> None:
    grey, colour = style.COLOURS["paper"], style.COLOURS["fine"]
    for i, ((h, s), y) in enumerate(at.items()):
        value = {p: _cell(record, s, h, p)["top1"]["mean"] for p in PLUGS}
        ax.plot([value["none"], value["fine"]], [y, y], color=colour, lw=1.4, zorder=2)
        for plug, marker, face, edge, label in (
            ("none", "o", "white", grey, "without FVE"),
            ("mean", "s", style.COLOURS["uniform"], "white", "same branch, equal weights"),
            ("fine", "o", colour, "white", "with FVE"),
        ):
            ax.plot(
                value[plug],
                y,
                marker,
                ms=6 if plug != "mean" else 4.5,
                mfc=face,
                mec=edge,
                mew=1.0 if plug == "none" else 0.6,
                ls="",
                zorder=3,
                label=label if i == 0 else None,
            )
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title(
        f"Measured: {record['profile']} world\n{len(record['seeds'])} seeds, {record['data']['val_videos']} videos, frozen tower",
        loc="left",
    )


def _draw_differences(ax: plt.Axes, record: dict[str, Any], at: dict[tuple[str, str], float]) -> None:
    ax.axvline(0, color="#888888", lw=1, ls="--", zorder=1)
    for k, (pair, colour, marker, label) in enumerate(
        (
            (("fine", "none"), style.COLOURS["fine"], "o", "FVE − without"),
            (("fine", "mean"), style.COLOURS["sfar"], "D", "FVE − equal weights"),
        )
    ):
        for i, ((h, s), y) in enumerate(at.items()):
            d = _difference(record, s, h, pair)
            ax.errorbar(
                d["mean"],
                y + (0.16 if k == 0 else -0.16),
                xerr=[[d["mean"] - d["low"]], [d["high"] - d["mean"]]],
                color=colour,
                marker=marker,
                ms=5 - k,
                mec="white",
                mew=0.5,
                lw=1.4,
                label=label if i == 0 else None,
                ls="",
            )
    ax.set_xlabel("Difference in top-1 [points]")
    ax.set_title("Paired differences\n95 % intervals over seeds and videos", loc="left")


def _draw_paper(ax: plt.Axes) -> None:
    value = {(r["method"], r["fve"]): r["top1"] for r in paper.load("table2c")}
    for y, title in enumerate(reversed(HOSTS.values())):
        a, b = value[title, "✗"], value[title, "✓"]
        ax.plot([a, b], [y, y], color=style.COLOURS["paper"], lw=1.4)
        ax.plot(a, y, "o", ms=6, mfc="white", mec=style.COLOURS["paper"])
        ax.plot(b, y, "o", ms=6, color=style.COLOURS["paper"], mec="white", mew=0.6)
        ax.annotate(f"{b - a:+.1f}", (b, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
    ax.set_yticks(range(len(HOSTS)), list(reversed(HOSTS.values())))
    ax.set_ylim(-0.7, len(HOSTS) - 0.3)
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.14 * (hi - lo))
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title("Printed in the paper\nTable 2c, Kinetics-400", loc="left")
    ax.grid(axis="y", visible=False)


def text(record: dict[str, Any]) -> str:
    """The page ``generalization.md``."""
    return "\n\n".join(
        [
            page.head(
                record,
                "Table 2c: the fine-grained video embedding in other methods",
                f"{record['data']['val_videos']} validation videos of {record['data']['classes']} classes; compact heads over the frames of a frozen tower.",
            ),
            "## Measured",
            measured_markdown(record),
            '"equal weights" is a control: the same branch, every frame weighted alike. Intervals resample seeds and videos.',
            *(
                part
                for s, n in record["epochs"].items()
                for part in (f"## Differences, {n} epochs", differences_markdown(record, s))
            ),
            "## Claims",
            page.claims_markdown(record),
            f"Of the profile's schedule ({record['epochs']['profile']} epochs), in top-1.",
            "![Table 2c](table2c.png)",
            "## Printed in the paper (transcribed, Kinetics-400)",
            paper_markdown(),
        ]
    )


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``generalization.{csv,md,tex,json}`` and ``table2c.{png,svg}`` into ``out``."""
    return page.write(
        out,
        "generalization",
        record,
        text(record),
        table(record),
        {"table2c": figure(record)},
        f"Table 2c measured in the {record['profile']} world: three methods without and with the fine-grained video embedding (FVE)",
    )
