"""Tables 3 and 12, drawn from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.model.registry import METHODS
from sfar.render import style, tables
from sfar.studies.core import page as page
from sfar.studies.few_shot import PROCESSES, SHOTS

EPOCHS = {"repeat": "the list repeated up to the length of the full one (BIKE)", "once": "one pass through the list"}
PAPER_COLOURS = {
    "Vanilla CLIP": "#999999",
    "ActionCLIP": "#E69F00",
    "VideoPrompt": "#56B4E9",
    "X-CLIP": "#009E73",
    "ViFi-CLIP": "#CC79A7",
    "TC-CLIP": "#D55E00",
    "OST": "#000000",
    "SFAR (ours)": "#0072B2",
}
MARKERS = ("s", "o", "^", "D", "v", "P", "X", "o")
FROZEN_CLIP = "On a frozen tower Baseline (CLIP) trains the logit scale alone, which changes no order of classes: its accuracy there is vanilla CLIP's. Fine-tuned, it is a method of its own."
_KEY = ("dataset", "shots", "method", "epoch", "tower", "lists")


def sweep(record: dict[str, Any]) -> str:
    """The tower in the sweep over all cells: "frozen" in the storyboard world, "fine-tuned" on real data sets."""
    return record.get("tower", "frozen")


def cell(
    record: dict[str, Any],
    dataset: str,
    shots: int,
    method: str,
    epoch: str = "repeat",
    tower: str = "",
    lists: int = 1,
) -> dict[str, Any]:
    """The measured cell of these (``tower``: by default that of the sweep). Raises ``KeyError`` for one that was not measured."""
    want = (dataset, shots, method, epoch, tower or sweep(record), lists)
    for c in record["cells"]:
        if tuple(c[k] for k in _KEY) == want:
            return c
    raise KeyError(want)


def average(record: dict[str, Any], method: str, epoch: str, lists: int = 1) -> dict[str, Any]:
    """The average over K and data sets of a method in the sweep."""
    return next(a for a in record["averages"] if (a["method"], a["epoch"], a["lists"]) == (method, epoch, lists))


def _with_interval(value: dict[str, Any], std: bool = False) -> str:
    """ "62.1 ± 1.9 (58.0 to 66.0)", without ± where ``std`` is not asked for or no seed stands behind the value."""
    return (
        f"{value['mean']:.1f}"
        + (f" ± {value['std']:.1f}" if std and value["seeds"] > 1 else "")
        + f" ({page.interval(value)})"
    )


def _named(method: str, epoch: str, lists: int) -> str:
    more = ([f"epoch: {epoch}"] if method != "vanilla" else []) + ([f"{lists} lists"] if lists > 1 else [])
    return style.NAMES[method] + (f", {', '.join(more)}" if more else "")


# --- measured --------------------------------------------------------------------------------------------------------


def _wide(record: dict[str, Any], epoch: str) -> tuple[list[str], list[list[Any]]]:
    """Table 3's form: a row for each method, a column for each data set and K, the average over all with its interval."""
    columns = (
        ["Method"]
        + [f"{page.set_title(d)} K={k}" if k == SHOTS[0] else f"K={k}" for d in record["datasets"] for k in SHOTS]
        + ["Avg.", "Avg.: 95 % interval"]
    )
    rows = []
    for m in METHODS:
        mean = average(record, m, epoch)
        rows.append(
            [
                style.NAMES[m],
                *(cell(record, d, k, m, epoch)["top1"]["mean"] for d in record["datasets"] for k in SHOTS),
                mean["mean"],
                page.interval(mean),
            ]
        )
    return columns, rows


def accuracy_markdown(record: dict[str, Any], epoch: str) -> str:
    """Top-1 accuracy of every method, data set and K of the sweep under one epoch convention."""
    return tables.markdown(*_wide(record, epoch))


def set_markdown(record: dict[str, Any], dataset: str) -> str:
    """The same of one data set with deviations over the seeds and intervals, both epoch conventions."""
    rows = []
    for m in METHODS:
        for e in EPOCHS if m != "vanilla" else ("repeat",):
            cells = [cell(record, dataset, k, m, e) for k in SHOTS]
            rows.append(
                [
                    style.NAMES[m],
                    e if m != "vanilla" else "–",
                    *(_with_interval(c["top1"], True) for c in cells),
                    cells[0]["top1"]["seeds"] if cells[0]["trained"] else "none",
                    ", ".join(cells[0]["trained"]) or "nothing",
                ]
            )
    return tables.markdown(["Method", "Epoch", *(f"K={k}" for k in SHOTS), "Seeds", "Trained"], rows)


def differences_markdown(record: dict[str, Any]) -> str:
    """Paired differences of the averages over K and data sets: the same seeds (so the same lists), the same videos."""
    key = lambda who: "/".join(map(str, who))  # noqa: E731
    rows = [{**d, "name": key(d["name"]), "against": key(d["against"])} for d in record["differences"]]
    return page.differences_markdown(
        rows, {key(w): _named(*w) for d in record["differences"] for w in (d["name"], d["against"])}
    )


def cells_markdown(record: dict[str, Any], dataset: str) -> str:
    """SFAR minus each other method for every K on one data set (epoch: repeat), paired; a higher or lower one is marked."""
    mark = {"holds": " ▲", "does not hold": " ▼", "undecided": ""}
    found: dict[tuple[str, str], dict[int, str]] = {}
    for d in record["differences_cells"]:
        if d["dataset"] == dataset:
            found.setdefault((d["against"], d["tower"]), {})[d["shots"]] = (
                f"{d['mean']:+z.1f} ({page.interval(d, 1, True)}){mark[d['verdict']]}"
            )
    return tables.markdown(
        ["Difference", "Tower", *(f"K={k}" for k in SHOTS)],
        [[f"SFAR − {style.NAMES[m]}", tower, *(by.get(k) for k in SHOTS)] for (m, tower), by in found.items()],
    )


def data_markdown(record: dict[str, Any]) -> str:
    """What was trained and tested on, and what had to be left out."""
    rows = [
        [page.set_title(d), a["classes"], a["val_videos"], len(a["undecodable"]), len(a["missing"])]
        for d, a in record["data"].items()
    ]
    return tables.markdown(["Layout", "Classes", "Test videos", "Undecodable", "Missing"], rows)


def epochs_markdown(record: dict[str, Any]) -> str:
    """Both epoch conventions side by side: how many clips an epoch passes, and SFAR's accuracy."""
    rows = []
    for d in record["datasets"]:
        for k in SHOTS:
            a, b = (cell(record, d, k, "sfar", e) for e in EPOCHS)
            rows.append(
                [
                    page.set_title(d),
                    k,
                    a["clips"][0],
                    a["clips"][0] * a["repeats"],
                    b["clips"][0] * b["repeats"],
                    _with_interval(a["top1"]),
                    _with_interval(b["top1"]),
                ]
            )
    return tables.markdown(
        [
            "Data set",
            "K",
            "Clips in the list",
            "Per epoch: repeat",
            "Per epoch: once",
            "SFAR, repeat: top-1 [%]",
            "SFAR, once: top-1 [%]",
        ],
        rows,
    )


def lists_markdown(record: dict[str, Any]) -> str:
    """One seeded list against what an unseeded draw in each process amounts to: how many clips are seen, and SFAR's accuracy."""
    rows = []
    for d in record["datasets"]:
        for k in SHOTS:
            one, many = cell(record, d, k, "sfar"), cell(record, d, k, "sfar", lists=PROCESSES)
            seen = float(np.mean(many["clips"]))
            rows.append(
                [
                    page.set_title(d),
                    k,
                    one["clips"][0],
                    seen,
                    k * seen / one["clips"][0],
                    _with_interval(one["top1"]),
                    _with_interval(many["top1"]),
                ]
            )
    return tables.markdown(
        [
            "Data set",
            "K",
            "Clips: one list",
            f"Clips: {PROCESSES} lists",
            "Per class",
            "SFAR, one list: top-1 [%]",
            f"SFAR, {PROCESSES} lists: top-1 [%]",
        ],
        rows,
    )


def _tuned(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The fine-tuned cells beside a frozen sweep."""
    return [c for c in record["cells"] if c["tower"] == "fine-tuned" != sweep(record)]


def tuned_markdown(record: dict[str, Any]) -> str:
    """The cells in which the visual tower was trained too, beside the same on the frozen tower; a sentence where it was trained in all."""
    if sweep(record) == "fine-tuned":
        return "The tower was fine-tuned in all cells above, as in the paper."
    rows = []
    for c in _tuned(record):
        frozen = cell(record, c["dataset"], c["shots"], c["method"])
        rows.append(
            [
                page.set_title(c["dataset"]),
                c["shots"],
                c["title"],
                _with_interval(c["top1"], True),
                c["top1"]["seeds"],
                ", ".join(c["trained"]),
                _with_interval(frozen["top1"]),
            ]
        )
    return tables.markdown(
        ["Data set", "K", "Method", "Fine-tuned tower: top-1 [%]", "Seeds", "Trained", "Frozen tower: top-1 [%]"], rows
    )


# --- printed in the paper --------------------------------------------------------------------------------------------


def paper_averages() -> list[dict[str, Any]]:
    """Table 3's "Avg." as printed and as the mean of the row's cells: method, cells, printed, mean, and whether the mean rounds to what is printed."""
    rows, out = paper.load("table3"), []
    for m in dict.fromkeys(r["method"] for r in rows):
        values = [r["value"] for r in rows if r["method"] == m and r["dataset"] != "All" and r["value"] is not None]
        printed = next(r["value"] for r in rows if r["method"] == m and r["dataset"] == "All")
        mean = float(np.mean(values))
        out.append(
            {
                "method": m,
                "cells": len(values),
                "printed": printed,
                "mean": mean,
                "agrees": abs(mean - printed) <= 0.05 + 1e-9,
            }
        )  # a half may go either way
    return out


def paper_markdown(name: str = "table3") -> str:
    """The paper's rows, transcribed. Table 3: with "Avg." as printed and recomputed from the cells of the row."""
    rows = paper.load(name)
    value = {(r["method"], r["backbone"], r["dataset"], r["shots"]): r["value"] for r in rows}
    sets = [d for d in dict.fromkeys(r["dataset"] for r in rows) if d != "All"]
    if name == "table3":
        columns = (
            ["Method"]
            + [f"{d} K={k}" if k == SHOTS[0] else f"K={k}" for d in sets for k in SHOTS]
            + ["Avg., printed", "Avg., recomputed", "of cells", "agree"]
        )
        return tables.markdown(
            columns,
            [
                [
                    a["method"],
                    *(value[a["method"], None, d, k] for d in sets for k in SHOTS),
                    a["printed"],
                    f"{a['mean']:.2f}",
                    a["cells"],
                    "yes" if a["agrees"] else "no",
                ]
                for a in paper_averages()
            ],
        )
    lines = dict.fromkeys((r["method"], r["backbone"], r["shots"]) for r in rows)
    return tables.markdown(
        ["Method", "Backbone", "K", *sets], [[m, b, k, *(value[m, b, d, k] for d in sets)] for m, b, k in lines]
    )


def averages_text() -> str:
    """Where the paper's averages differ from its cells, and which are not over the same cells as the others."""
    every = paper_averages()
    differ = [
        f"{a['method']}: {a['printed']:.1f} printed, {a['mean']:.2f} from its cells" for a in every if not a["agrees"]
    ]
    most = max(a["cells"] for a in every)
    fewer = [f"{a['method']}'s is over {a['cells']} cells, the others' over {most}" for a in every if a["cells"] < most]
    return " ".join(
        f"{part}."
        for part in ("; ".join(differ) or "Every printed average is the mean of its cells", "; ".join(fewer))
        if part
    )


# --- figure ----------------------------------------------------------------------------------------------------------


def figure(record: dict[str, Any]) -> plt.Figure:
    """Accuracy over K, a column for each data set: measured under both epoch conventions, and the paper's curves in panels of their own."""
    style.use()
    sets = record["datasets"]
    fig, axes = plt.subplots(3, len(sets), figsize=(7.4, 7.6), sharex=True, layout="constrained")
    for column, d in zip(axes.T, sets):
        for ax, epoch in zip(column, EPOCHS):
            _draw_measured(ax, record, d, epoch)
        low, high = (f(v) for f, v in zip((min, max), zip(*(ax.get_ylim() for ax in column[:2]))))
        for ax in column[:2]:
            ax.set_ylim(low, min(high, 101))
        _draw_paper(column[2], page.set_title(d))
    for d, ax in zip(sets, axes[0]):
        ax.set_title(f"{page.set_title(d)} layout\n{record['data'][d]['val_videos']} test videos", loc="left")
    for ax, d in zip(axes[2], sets):
        ax.set_title(page.set_title(d), loc="left")
        ax.set_xlabel("K, videos of each class")
    n = len(record["seeds"])
    for ax, name in zip(
        axes[:, 0],
        (
            "Measured, epoch: repeat\nTop-1 accuracy [%]",
            "Measured, epoch: once\nTop-1 accuracy [%]",
            "Printed in the paper, Table 3\nTop-1 accuracy [%]",
        ),
    ):
        ax.set_ylabel(name)
    fig.legend(
        *_measured_legend(axes[0, 0], bool(_tuned(record))),
        loc="outside upper left",
        ncols=4,
        title=f"Measured: {record['profile']} profile, {sweep(record)} tower, {n} seed{'s' * (n != 1)}, 95 % intervals",
        alignment="left",
        title_fontproperties={"weight": "bold", "size": 8},
    )
    fig.legend(
        *axes[2, 0].get_legend_handles_labels(), loc="outside lower left", ncols=8, columnspacing=1.0, handletextpad=0.3
    )
    return fig


def _log_axis(ax: plt.Axes) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(SHOTS[0] / 1.35, SHOTS[-1] * 1.35)
    ax.set_xticks(SHOTS, [str(k) for k in SHOTS])
    ax.minorticks_off()


def _draw_measured(ax: plt.Axes, record: dict[str, Any], dataset: str, epoch: str) -> None:
    _log_axis(ax)
    zero = cell(record, dataset, SHOTS[0], "vanilla", epoch)["top1"]
    ax.axhspan(zero["low"], zero["high"], color=style.COLOURS["vanilla"], alpha=0.16, lw=0)
    ax.axhline(zero["mean"], color=style.COLOURS["vanilla"], lw=1.2, ls="--", label=style.NAMES["vanilla"])
    shift = {
        m: 2 ** (0.1 * (i - (len(METHODS) - 2) / 2)) for i, m in enumerate(list(METHODS)[1:])
    }  # side by side, so that intervals can be told apart
    for m, marker in zip(shift, MARKERS):
        _curve(
            ax,
            [cell(record, dataset, k, m, epoch)["top1"] for k in SHOTS],
            np.array(SHOTS) * shift[m],
            style.COLOURS[m],
            marker,
            style.NAMES[m],
        )
    if epoch == "repeat":
        many = [cell(record, dataset, k, "sfar", epoch, lists=PROCESSES)["top1"]["mean"] for k in SHOTS]
        ax.plot(
            np.array(SHOTS) * shift["sfar"],
            many,
            ":",
            color=style.COLOURS["sfar"],
            lw=1.3,
            zorder=2,
            label=f"SFAR, {PROCESSES} unseeded lists",
        )
        for c in _tuned(record):
            if c["dataset"] == dataset:
                m = c["method"]
                ax.plot(
                    c["shots"] * shift[m],
                    c["top1"]["mean"],
                    MARKERS[list(shift).index(m)],
                    color=style.COLOURS[m],
                    mfc="white",
                    ms=5.5,
                    mew=1.2,
                    zorder=5,
                )


def _curve(ax: plt.Axes, values: list[dict[str, Any]], x: np.ndarray, colour: str, marker: str, label: str) -> None:
    mean, low, high = (np.array([v[k] for v in values]) for k in ("mean", "low", "high"))
    ax.errorbar(
        x,
        mean,
        yerr=[mean - low, high - mean],
        color=colour,
        marker=marker,
        ms=4,
        mec="white",
        mew=0.5,
        lw=1.2,
        elinewidth=0.9,
        label=label,
        zorder=3,
    )


def _measured_legend(ax: plt.Axes, hollow: bool) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].endswith("lists"))  # behind the methods
    more = ax.plot([], [], "o", color="#555555", mfc="white", ms=5.5, mew=1.2, ls="none") if hollow else []
    return [*(handles[i] for i in order), *more], [*(labels[i] for i in order), *["hollow: tower fine-tuned"] * hollow]


def _draw_paper(ax: plt.Axes, title: str) -> None:
    _log_axis(ax)
    rows = [r for r in paper.load("table3") if r["dataset"] == title]
    for i, m in enumerate(PAPER_COLOURS):
        points = [(r["shots"], r["value"]) for r in rows if r["method"] == m and r["value"] is not None]
        ours = m.startswith("SFAR")
        x, y = zip(*points) if points else ((), ())
        ax.plot(
            x,
            y,
            "--" if m == "Vanilla CLIP" else "-",
            marker=None if m == "Vanilla CLIP" else MARKERS[i],
            color=PAPER_COLOURS[m],
            lw=1.8 if ours else 1.0,
            ms=4.5 if ours else 3.5,
            mec="white",
            mew=0.4,
            label=m,
            zorder=4 if ours else 2,
        )


# --- page ------------------------------------------------------------------------------------------------------------


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``few_shot.md``: measured rows, differences, verdicts; the paper's own rows apart."""
    parts = [
        page.head(
            record,
            "Tables 3 and 12: few-shot",
            "A seed draws the list of K videos of each class, the weights of the head and the order of training.",
        ),
        "## Claims",
        page.claims_markdown(record),
    ]
    tower = sweep(record)
    for epoch, what in EPOCHS.items():
        parts += [
            f'## Epoch "{epoch}": {what}',
            f"{tower.capitalize()} tower, top-1 accuracy in percent. {FROZEN_CLIP if tower == 'frozen' else ''}".rstrip(),
            accuracy_markdown(record, epoch),
        ]
    parts += ["## Differences of the averages", differences_markdown(record), "![Table 3](table3.png)"]
    for d in record["datasets"]:
        parts += [
            f"## {page.set_title(d)} layout, with intervals",
            f"Top-1 accuracy in percent: mean ± deviation over seeds (95 % interval); {record['data'][d]['val_videos']} test videos, {tower} tower.",
            set_markdown(record, d),
            'SFAR against the others, epoch "repeat": mean difference in points (95 % interval); ▲ SFAR is higher, ▼ lower, else undecided.',
            cells_markdown(record, d),
        ]
    parts += [
        "## Both readings of an epoch",
        epochs_markdown(record),
        "## An unseeded list in each process",
        f"BIKE's train.py draws the list with Python's `random`, which it does not seed: each of {PROCESSES} processes trains on a list of its own. "
        "What they see together, measured as one run on the united lists:",
        lists_markdown(record),
        "## Fine-tuned tower",
        *[
            "The paper trains the visual tower. Here it was trained in these cells only; all others are of a frozen tower."
        ]
        * bool(_tuned(record)),
        tuned_markdown(record),
        "Intervals resample seeds and videos; of an average the seeds once for all data sets. Differences are paired over both.",
        data_markdown(record),
        "## Table 3 as printed (transcribed)",
        averages_text(),
        paper_markdown("table3"),
        "## Table 12 as printed (transcribed; larger towers, K = 2 and 5)",
        paper_markdown("table12"),
        "## Where the numbers come from",
        page.provenance_markdown(record),
    ]
    return "\n\n".join(parts)


def text(record: dict[str, Any]) -> str:
    """For the terminal: both tables and the verdicts."""
    return "\n\n".join(
        [*(f"epoch: {e}\n\n{accuracy_markdown(record, e)}" for e in EPOCHS), page.claims_markdown(record)]
    )


def csv_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Every cell, average and difference, a number a cell."""
    columns = ["part", *_KEY, "clips", "repeats", "against", "verdict", *page.SUMMARY]
    rows = [
        line
        for c in record["cells"]
        for line in page.csv_rows(
            c, "cell", *(c[k] for k in _KEY), " ".join(map(str, c["clips"] or [])), c["repeats"], None, None
        )
    ]
    for a in record["averages"]:
        rows.append(
            [
                "average",
                "all",
                "all",
                a["method"],
                a["epoch"],
                sweep(record),
                a["lists"],
                None,
                None,
                None,
                None,
                "top1",
                a["mean"],
                None,
                a["low"],
                a["high"],
                None,
                None,
                None,
            ]
        )
    for d in record["differences_cells"]:
        rows.append(
            [
                "difference",
                d["dataset"],
                d["shots"],
                d["name"],
                "repeat",
                d["tower"],
                1,
                None,
                None,
                d["against"],
                d["verdict"],
                "top1",
                d["mean"],
                None,
                d["low"],
                d["high"],
                None,
                None,
                None,
            ]
        )
    for d in record["differences"]:
        method, epoch, lists = d["name"]
        rows.append(
            [
                "difference",
                "all",
                "all",
                method,
                epoch,
                sweep(record),
                lists,
                None,
                None,
                "/".join(map(str, d["against"])),
                d["verdict"],
                "top1",
                d["mean"],
                None,
                d["low"],
                d["high"],
                None,
                None,
                None,
            ]
        )
    return columns, rows


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``few_shot.{csv,md,tex,json}`` and ``table3`` as .png and .svg into ``out``; returns their paths."""
    printed = [
        (
            *_wide(record, e),
            f"Few-shot top-1 accuracy, {sweep(record)} tower, {record['profile']} profile, {len(record['seeds'])} seeds; epoch: {what}.",
        )
        for e, what in EPOCHS.items()
    ]
    return page.write(
        out, "few_shot", record, as_markdown(record), csv_table(record), {"table3": figure(record)}, "Few-shot", printed
    )
