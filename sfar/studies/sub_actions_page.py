"""Table 4, drawn from its record: what each class gains from more sub-texts, and whether classes of more atomic actions gain more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.render import style, tables
from sfar.studies.core import page as page
from sfar.studies.sub_actions import FIXED, NS

KINDS = {2: ("#E69F00", "o"), 3: ("#009E73", "s"), 4: ("#0072B2", "D")}  # atomic actions in the script of a class
PLAIN = ("#0072B2", "o")
ENDS = 15  # of a longer list the figure shows so many from each end


def _known(record: dict[str, Any]) -> bool:
    """Whether the number of atomic actions of any class is known: of real videos it is not."""
    return any(r["actions"] for r in record["classes"])


def classes_markdown(record: dict[str, Any]) -> str:
    """Accuracy of every class with each N, sorted by the gain from N = 2 to N = 5."""
    known = _known(record)
    rows = [
        [
            r["class"],
            *[r["actions"]] * known,
            r["videos"],
            *(r[f"n{n}"] for n in NS),
            f"{r['gain']:+z.1f}",
            page.interval(r, 1, True),
        ]
        for r in record["classes"]
    ]
    return tables.markdown(
        [
            "Class",
            *["Atomic actions"] * known,
            "Videos",
            *(f"N = {n} [%]" for n in NS),
            f"N = {FIXED} − N = 2",
            "95 % interval",
        ],
        rows,
    )


def chance(record: dict[str, Any]) -> str:
    """How many classes lie off zero, and how many would by chance: the ends of a sorted list are the luckiest draws."""
    n = len(record["classes"])
    off = sum(not r["low"] <= 0 <= r["high"] for r in record["classes"])
    return (
        f"{off} of {n} intervals lie off zero, about {0.05 * n:.0f} would by chance if no class gained anything. "
        "A list sorted by what was measured has its luckiest classes at the ends."
    )


def trend_markdown(record: dict[str, Any]) -> str:
    """Whether classes of more atomic actions gain more; a sentence where nobody knows their number."""
    if not record["trend"]:
        return (
            "How many atomic actions a class has is known in the storyboard world alone, not for real videos."
            if not _known(record)
            else "All classes have the same number of atomic actions."
        )
    t = record["trend"]
    rows = [
        [f"classes of {k['actions']} atomic actions", k["classes"], f"{k['gain']:+z.1f}", page.interval(k, 1, True)]
        for k in record["kinds"]
    ]
    return (
        tables.markdown(["Mean gain of", "Classes", f"N = {FIXED} − N = 2 [points]", "95 % interval"], rows)
        + f"\n\nSpearman's rho of gain and number of atomic actions: {t['value']:+z.2f} (95 % interval {page.interval(t, 2, True)}). "
        "Seeds and classes are resampled, for rho the videos of each class too."
    )


def class_aware_markdown(record: dict[str, Any]) -> str:
    """An N for each class against a fixed one; a sentence where the scores of the test set are too many to be kept."""
    a = record["class_aware"]
    if not a:
        return "An N for each class needs the scores of all videos, which are kept for small test sets alone."
    d = a["difference"]
    rows = [
        [title, a[k]["mean"], a[k]["std"], page.interval(a[k])]
        for title, k in (("an N for each class", "top1"), (f"N = {FIXED} for all", "fixed5"))
    ]
    picked = [n for pair in a["chosen"].values() for n in pair]
    return (
        tables.markdown(["Sub-texts", "Top-1 [%]", "std", "95 % interval"], rows)
        + f"\n\nDifference: {d['mean']:+z.1f} points ({page.interval(d, 1, True)}). The score of a class comes from the model of its N, the one that did best "
        f"on that class in the other half of its videos. Chosen in both halves alike: {sum(x == y for x, y in a['chosen'].values())} of {len(a['chosen'])} classes; "
        + ", ".join(f"N = {n} {picked.count(n)} times" for n in NS)
        + ". The interval takes the choice as given."
    )


def contradictions() -> list[dict[str, Any]]:
    """Printed rows whose difference is not that of their two accuracies."""
    return [r for r in paper.load("table4") if abs(r["n5"] - r["n2"] - r["difference"]) > 0.05]


def _printed(row: dict[str, Any]) -> str:
    return f"{row['difference']:+.1f}" if row["difference"] else "0.0"


def paper_markdown() -> str:
    """Table 4 as printed, and where it contradicts itself."""
    notes = [
        f"{r['action']}: {_printed(r)} is printed beside {r['n2']:.1f} and {r['n5']:.1f}, which differ by {r['n5'] - r['n2']:+.1f}."
        for r in contradictions()
    ]
    table = tables.markdown(
        ["Action", "N = 2 [%]", "N = 5 [%]", "Difference"],
        [[r["action"], r["n2"], r["n5"], _printed(r)] for r in paper.load("table4")],
    )
    return "\n\n".join([table, *notes])


# --- figure ----------------------------------------------------------------------------------------------------------


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows if len(rows) <= 2 * ENDS else [*rows[:ENDS], *rows[-ENDS:]]


def _kind(row: dict[str, Any]) -> tuple[str, str]:
    return KINDS.get(row["actions"], PLAIN)


def _dumbbell(ax: plt.Axes, y: float, start: float, end: float, colour: str, marker: str) -> None:
    ax.plot([start, end], [y, y], color=colour, lw=1.8, alpha=0.55, solid_capstyle="butt", zorder=2)
    ax.plot(start, y, marker, color=colour, mfc="white", ms=4.2, mew=1.1, zorder=3)
    ax.plot(end, y, marker, color=colour, ms=4.8, mec="white", mew=0.5, zorder=4)


def _note(ax: plt.Axes, y: float, text: str) -> None:
    """A number at the right edge."""
    ax.annotate(
        text.replace("-", "−"),
        (1.01, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=6.5,
        color="#333333",
    )


def figure(record: dict[str, Any]) -> plt.Figure:
    """N = 2 and N = 5 of every class, gain over the number of atomic actions (where it is known), and the paper's ten actions apart."""
    style.use()
    rows = _shown(record["classes"])
    fig = plt.figure(figsize=(7.2, max(4.2, 0.19 * len(rows) + 1.2)), layout="constrained")
    grid = fig.add_gridspec(2, 2, width_ratios=[1.25, 1])
    _draw_classes(fig.add_subplot(grid[:, 0]), record, rows)
    if record["trend"]:
        _draw_trend(fig.add_subplot(grid[0, 1]), record)
        _draw_paper(fig.add_subplot(grid[1, 1]))
    else:
        _draw_paper(fig.add_subplot(grid[:, 1]))
    return fig


def _draw_classes(ax: plt.Axes, record: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for k, r in enumerate(reversed(rows)):
        _dumbbell(ax, k, r["n2"], r[f"n{FIXED}"], *_kind(r))
        _note(ax, k, f"{r['gain']:+z.1f}")
    ax.set_yticks(range(len(rows)), [r["class"] for r in reversed(rows)], fontsize=6.5)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Accuracy of the class [%]")
    total = len(record["classes"])
    what = f"ends of {total} classes" if total > len(rows) else "gain at the right"
    ax.set_title(f"Measured: {record['profile']} profile\n{page.count(record)}, {what}", loc="left")
    ax.grid(axis="y", visible=False)
    ax.plot([], [], "o", color="#555555", mfc="white", ms=4.2, label="N = 2")
    ax.plot([], [], "o", color="#555555", ms=4.8, label=f"N = {FIXED}")
    for n, (colour, marker) in KINDS.items():
        if any(r["actions"] == n for r in rows):
            ax.plot([], [], marker, color=colour, ms=4.8, label=f"{n} actions")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.42, -0.07), ncols=5, columnspacing=1.0, handletextpad=0.1)


def _draw_trend(ax: plt.Axes, record: dict[str, Any]) -> None:
    ax.axhline(0, color="#555555", lw=0.8, zorder=1)
    numbers = sorted({r["actions"] for r in record["classes"]})
    for n in numbers:
        own = [r for r in record["classes"] if r["actions"] == n]
        gain = [r["gain"] for r in own]
        spread = np.linspace(-0.2, 0.2, len(own)) if len(own) > 1 else [0.0]
        order = np.random.default_rng(0).permutation(len(own))  # sorted by gain as they are, they would make a slope
        colour, marker = KINDS.get(n, PLAIN)
        ax.plot(
            [n + spread[k] for k in order], gain, marker, color=colour, ms=4, mec="white", mew=0.5, ls="none", zorder=3
        )
        ax.plot([n - 0.3, n + 0.3], [np.mean(gain)] * 2, color="#222222", lw=1.6, zorder=4)
    t = record["trend"]
    ax.set_xticks(numbers)
    ax.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    ax.set_xlabel("Atomic actions of the class")
    ax.set_ylabel(f"Gain, N = 2 to {FIXED} [points]")
    ax.set_title(
        f"Do multi-stage classes gain more?\nρ = {t['value']:+z.2f} ({page.interval(t, 2, True)}); bars: means".replace(
            "-0", "−0"
        ),
        loc="left",
    )
    ax.grid(axis="x", visible=False)


def _draw_paper(ax: plt.Axes) -> None:
    rows = sorted(paper.load("table4"), key=lambda r: r["difference"])
    wrong = [r["action"] for r in contradictions()]
    for y, r in enumerate(rows):
        _dumbbell(ax, y, r["n2"], r["n5"], style.COLOURS["paper"], "o")
        _note(ax, y, _printed(r) + "*" * (r["action"] in wrong))
    ax.set_yticks(range(len(rows)), [r["action"] for r in rows], fontsize=6.5)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Accuracy of the class [%]")
    ax.set_title(
        "Printed in the paper: Kinetics-400\nTable 4" + (", *: contradicts its row" if wrong else ""), loc="left"
    )
    ax.grid(axis="y", visible=False)


# --- page ------------------------------------------------------------------------------------------------------------


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``sub_actions.md``."""
    return "\n\n".join(
        [
            page.head(record, "Table 4: sub-actions", page.videos(record)),
            "## Claims",
            page.claims_markdown(record),
            "## Accuracy of each class",
            classes_markdown(record),
            f"Intervals resample seeds and the videos of the class. {chance(record)}",
            "![Table 4](table4.png)",
            "## Gain and number of atomic actions",
            trend_markdown(record),
            "## An N for each class",
            class_aware_markdown(record),
            "## Table 4 as printed (transcribed, Kinetics-400)",
            paper_markdown(),
            'Section 4.3: "only found marginal improvement over fixed N=5, 0.5% and 0.2% for Top-1 and Top-5, respectively" with an N for each class.',
            "## Where the numbers come from",
            page.provenance_markdown(record),
        ]
    )


def text(record: dict[str, Any]) -> str:
    """For the terminal: classes, trend and verdicts."""
    return "\n\n".join(
        [classes_markdown(record), trend_markdown(record), class_aware_markdown(record), page.claims_markdown(record)]
    )


def csv_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """A class a row."""
    chosen = record["class_aware"]["chosen"] if record["class_aware"] else {}
    columns = [
        "class",
        "actions",
        "videos",
        *(f"n{n}" for n in NS),
        "gain",
        "low",
        "high",
        "chosen_first_half",
        "chosen_second_half",
    ]
    return columns, [
        [
            r["class"],
            r["actions"],
            r["videos"],
            *(r[f"n{n}"] for n in NS),
            r["gain"],
            r["low"],
            r["high"],
            *chosen.get(r["class"], (None, None)),
        ]
        for r in record["classes"]
    ]


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``sub_actions.{csv,md,tex,json}`` and ``table4`` as .png and .svg into ``out``; returns their paths."""
    known = _known(record)
    columns = ["Class", *["Actions"] * known, "N = 2 [%]", f"N = {FIXED} [%]", "Gain", "low", "high"]
    rows = [
        [r["class"], *[r["actions"]] * known, r["n2"], r[f"n{FIXED}"], r["gain"], r["low"], r["high"]]
        for r in record["classes"]
    ]
    caption = (
        f"Accuracy of each class with N = 2 and N = {FIXED} sub-texts. {record['profile']} profile, {page.count(record)}; "
        "low, high: 95 % interval over seeds and videos."
    )
    return page.write(
        out,
        "sub_actions",
        record,
        as_markdown(record),
        csv_table(record),
        {"table4": figure(record)},
        "Table 4",
        [(columns, rows, caption)],
    )
