"""Table 2e, Figure 7a and the open readings, drawn from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patheffects import withStroke

from sfar import paper
from sfar.render import style, tables
from sfar.studies.core import page as page

MULTIPLE = "Each interval is of 95 % by itself: of {n} differences that are truly zero, about {luck:.0f} would still lie off zero by chance."
COLOURS = {"clip": "#E69F00", "temporal": "#56B4E9", "fine": "#D55E00", "coarse": "#009E73", "both": "#0072B2"}
# What a default is called where the field's own value does not say it.
WORDS = {
    ("model.word_mask", "words"): "no start token, no padding",
    ("model.frame_norm", True): "unit length",
    ("model.attention", "printed"): "three matrices, as printed",
    ("model.ffn", "linear-relu-linear"): "Linear-ReLU-Linear",
    ("model.ffn_residual", False): "no residual",
    ("model.prompt", "This is a video about {}"): "This is a video about ...",
}


def titles(record: dict[str, Any]) -> dict[str, str]:
    """What every variant is called where both towers occur."""
    out = {r["name"]: r["title"] for part in ("table2e", "fig7a", "tuned") for r in record[part]}
    return out | {r["name"]: f"{r['title']}, frozen" for r in record["frozen"]}


def rows_markdown(record: dict[str, Any], part: str) -> str:
    """The measured rows of "table2e", "fig7a", "tuned" or "frozen"."""
    return tables.markdown(page.COLUMNS, [page.printed_row(r) for r in record[part]])


def _differences(record: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """The paired differences between rows of a part; "tuned" against those of Table 2e."""
    own = {r["name"] for r in record[part]}
    first = own | ({"both"} if part == "tuned" else set())
    return [d for d in record["differences"] if {d["name"], d["against"]} <= first and {d["name"], d["against"]} & own]


def differences_markdown(record: dict[str, Any], part: str) -> str:
    """Paired differences of a part: the same seeds, the same videos."""
    return page.differences_markdown(_differences(record, part), titles(record))


def default(record: dict[str, Any], field: str) -> str:
    """The value that a field has where no reading changes it, in words."""
    group, name = field.split(".")
    value = record["provenance"]["config"][group][name]
    if field == "model.frame_temperature" and value is None:
        return f"{record['temperature']:.3g}, 1 / logit scale"
    return WORDS.get((field, value), f"{value:g}" if isinstance(value, float) else str(value))


def readings_markdown(record: dict[str, Any]) -> str:
    """SFAR on the frozen tower with one field changed, against SFAR as it is by default."""
    rows = [
        [
            r["of"],
            r["title"],
            ", ".join(f"{k}={v}" for k, v in r["changes"].items()),
            "; ".join(default(record, k) for k in r["changes"]),
            r["top1"]["mean"],
            f"{r['difference']['mean']:+z.1f}",
            page.interval(r["difference"], 1, True),
            page.words(r["difference"]["verdict"]),
        ]
        for r in record["readings"]
    ]
    return tables.markdown(
        [
            "Of what",
            "Reading",
            "Field",
            "Default",
            "Top-1 [%]",
            "Against the default [points]",
            "95 % interval",
            "The reading is",
        ],
        rows,
    )


def readings_text(record: dict[str, Any]) -> str:
    """How many readings differ from the default beyond their interval, and how many would by chance."""
    n, off = len(record["readings"]), [r for r in record["readings"] if r["difference"]["verdict"] != "undecided"]
    base = next(r for r in record["frozen"] if r["name"] == "frozen/both")["top1"]
    return f"By default: {base['mean']:.1f} % ({page.interval(base)}). {len(off)} of {n} intervals lie off zero. {MULTIPLE.format(n=n, luck=0.05 * n)}"


def paper_markdown() -> str:
    """Table 2e as printed."""
    return tables.markdown(
        ["Row", "Coarse", "Fine", "Top-1 [%]", "Top-5 [%]"],
        [[r["baseline"] or "SFAR", r["coarse"], r["fine"], r["top1"], r["top5"]] for r in paper.load("table2e")],
    )


def paper_fig7a_markdown() -> str:
    """What the paper says about Figure 7a, which prints no accuracy."""
    return tables.markdown(
        ["From N", "To N", "The paper says"], [[r["n_from"], r["n_to"], r["quote"]] for r in paper.load("figure7a")]
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def table2e_figure(record: dict[str, Any]) -> plt.Figure:
    """Measured accuracy of the five rows, tower fine-tuned and frozen, and the paper's printed values apart from it."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.2, 3.0), width_ratios=[1.45, 1], layout="constrained")
    names = [r["name"] for r in record["table2e"]]
    height = {name: len(names) - 1 - k for k, name in enumerate(names)}
    for r in record["table2e"]:
        page.dots(ax, height[r["name"]], r["top1"], COLOURS[r["name"]])
    for r in record["frozen"]:
        if (name := r["name"].split("/")[1]) in height:
            page.dots(ax, height[name] - 0.32, r["top1"], COLOURS[name], "s", hollow=True, size=4.5)
    ax.plot([], [], "o", color="#555555", ms=5, label="tower fine-tuned, as in the paper")
    ax.plot([], [], "s", color="#555555", mfc="white", ms=4.5, label="tower frozen")
    ax.set_yticks([height[n] for n in names], [r["title"].replace(" (", "\n(") for r in record["table2e"]])
    ax.set_ylim(-0.65, len(names) - 0.5)
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + 0.08 * (hi - lo))
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title(f"Measured: {record['profile']} profile\n{page.count(record)}, 95 % intervals", loc="left")
    ax.grid(axis="y", visible=False)
    printed = paper.load("table2e")
    for k, (name, r) in enumerate(zip(names, printed)):
        right.plot(r["top1"], len(names) - 1 - k, "o", color=COLOURS[name], ms=6, mec="white", mew=0.6)
        right.annotate(
            f"{r['top1']:.1f}",
            (r["top1"], len(names) - 1 - k),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    right.set_yticks(range(len(names)), [""] * len(names))
    right.set_ylim(ax.get_ylim())
    right.set_xlim(min(r["top1"] for r in printed) - 0.7, max(r["top1"] for r in printed) + 1.0)
    right.set_xlabel("Top-1 accuracy [%]")
    right.set_title("Printed in the paper: Kinetics-400\nTable 2e, ViT-B/16", loc="left")
    right.grid(axis="y", visible=False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return fig


def fig7a_figure(record: dict[str, Any]) -> plt.Figure:
    """Accuracy over the number of sub-texts with the seeds behind it, and the paired gains of each step."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.2, 2.7), width_ratios=[1, 1.05], layout="constrained")
    rows = record["fig7a"]
    n = [int(r["name"][1:]) for r in rows]
    for k in range(len(record["seeds"])):
        ax.plot(
            n,
            [r["top1"]["per_seed"][k] for r in rows],
            "o-",
            color="#9db8cc",
            lw=0.7,
            ms=2.5,
            zorder=2,
            label="one seed each" if k == 0 else None,
        )
    mean, low, high = ([r["top1"][key] for r in rows] for key in ("mean", "low", "high"))
    reach = [[m - a for m, a in zip(mean, low)], [b - m for m, b in zip(mean, high)]]
    ax.errorbar(
        n,
        mean,
        yerr=reach,
        color=COLOURS["both"],
        marker="o",
        ms=5.5,
        mec="white",
        mew=0.6,
        lw=1.5,
        elinewidth=1.3,
        capsize=2.5,
        zorder=3,
        label="mean, 95 % interval",
    )
    for x, y in zip(n, mean):
        ax.annotate(
            f"{y:.1f}",
            (x, y),
            xytext=(5, -9),
            textcoords="offset points",
            fontsize=7,
            color=COLOURS["both"],
            fontweight="bold",
            zorder=4,
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )
    ax.set_xticks(n)
    ax.set_xlim(n[0] - 0.3, n[-1] + 0.6)
    ax.set_xlabel("Number of sub-texts N")
    ax.set_ylabel("Top-1 accuracy of SFAR [%]")
    ax.set_title(f"Measured: {record['profile']} profile\n{page.count(record)}", loc="left")
    steps = _differences(record, "fig7a")[::-1]
    page.forest(right, list(enumerate(steps)))
    right.set_yticks(range(len(steps)), [f"N = {d['against'][1:]} to {d['name'][1:]}" for d in steps])
    right.set_ylim(-0.6, len(steps) - 0.4)
    right.set_title("Gain from more sub-texts\npaired over seeds and videos", loc="left")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.22), ncols=2)
    page.verdict_legend(right, [d["verdict"] for d in steps], loc="upper left", bbox_to_anchor=(-0.28, -0.22), ncols=3)
    return fig


def readings_figure(record: dict[str, Any]) -> plt.Figure:
    """A forest of what each reading does to SFAR on the frozen tower, grouped by what is read; the default of each group beside its name."""
    style.use()
    groups = list(dict.fromkeys(r["of"] for r in record["readings"]))
    fig, ax = plt.subplots(figsize=(7.2, 0.21 * (len(record["readings"]) + len(groups)) + 0.8), layout="constrained")
    ticks, rows, y = [], [], 0.0
    for of in groups:
        mine = [r for r in record["readings"] if r["of"] == of]
        fields = dict.fromkeys(k for r in mine for k in r["changes"])
        ticks.append((y, of, f"default: {', '.join(default(record, f) for f in fields)}"))
        for r in mine:
            y -= 1
            ticks.append((y, r["title"], None))
            rows.append((y, r["difference"]))
        y -= 1.15
    page.forest(ax, rows)
    for at, text, note in ticks:
        ax.annotate(
            text,
            (-0.62, at),
            xycoords=("axes fraction", "data"),
            xytext=(0 if note else 8, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            fontweight="bold" if note else "normal",
            annotation_clip=False,
        )
        if note:
            ax.annotate(
                note,
                (0.0, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=6.5,
                style="italic",
                color="#666666",
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
    ax.set_yticks([])
    ax.set_ylim(y + 0.3, 0.9)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Difference in top-1 accuracy to the default [points], tower frozen")
    ax.set_title(
        f"What each open reading is worth: {record['profile']} profile, {page.count(record)}, 95 % intervals",
        loc="left",
        x=-0.62,
    )
    page.verdict_legend(
        ax,
        [d["verdict"] for _, d in rows],
        loc="upper left",
        bbox_to_anchor=(-0.64, -0.025),
        ncols=3,
        columnspacing=1.0,
    )
    return fig


# --- page ------------------------------------------------------------------------------------------------------------


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``ablations.md``: measured rows, paired differences, readings, verdicts; the paper's own rows apart."""
    return "\n\n".join(
        [
            page.head(record, "Table 2e, Figure 7a and the open readings", page.videos(record)),
            "## Claims",
            page.claims_markdown(record),
            "## Table 2e: the two embeddings, tower fine-tuned",
            rows_markdown(record, "table2e"),
            differences_markdown(record, "table2e"),
            "![Table 2e](table2e.png)",
            "## Figure 7a: number of sub-texts",
            rows_markdown(record, "fig7a"),
            differences_markdown(record, "fig7a"),
            "![Figure 7a](fig7a.png)",
            "## Beside them: BIKE's head, and a residual around the FFNs",
            rows_markdown(record, "tuned"),
            differences_markdown(record, "tuned"),
            "## The same on a frozen tower",
            rows_markdown(record, "frozen"),
            differences_markdown(record, "frozen"),
            "## What each open reading is worth",
            f"SFAR on the frozen tower with one field changed (DEVIATIONS.md says why each is open). {readings_text(record)}",
            readings_markdown(record),
            "![Readings](readings.png)",
            "Intervals resample seeds and videos; differences are paired over both.",
            "## Table 2e as printed (transcribed, Kinetics-400)",
            paper_markdown(),
            "## Figure 7a as described (transcribed)",
            paper_fig7a_markdown(),
            "## Where the numbers come from",
            page.provenance_markdown(record),
        ]
    )


def text(record: dict[str, Any]) -> str:
    """For the terminal: the tables and the verdicts."""
    return "\n\n".join(
        [
            rows_markdown(record, "table2e"),
            rows_markdown(record, "fig7a"),
            readings_markdown(record),
            page.claims_markdown(record),
        ]
    )


def csv_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Every row and difference, a number a cell."""
    columns = ["part", "name", "against", "title", *page.SUMMARY, "verdict"]
    rows = [
        [*line, None]
        for part in ("table2e", "fig7a", "tuned", "frozen", "readings")
        for r in record[part]
        for line in page.csv_rows(
            r, part, r["name"], None, f"{r['of']}: {r['title']}" if part == "readings" else r["title"]
        )
    ]
    for d in [*record["differences"], *(r["difference"] for r in record["readings"])]:
        rows.append(
            [
                "difference",
                d["name"],
                d["against"],
                None,
                "top1",
                d["mean"],
                None,
                d["low"],
                d["high"],
                None,
                None,
                None,
                d["verdict"],
            ]
        )
    return columns, rows


def _latex(record: dict[str, Any]) -> list[tuple[list[str], list[list[Any]], str]]:
    columns = ["", "Top-1 [%]", "std", "low", "high", "Top-5 [%]"]
    line = lambda r: [r["title"], *(r["top1"][k] for k in ("mean", "std", "low", "high")), r["top5"]["mean"]]  # noqa: E731
    what = f"{record['profile']} profile, {page.count(record)}; low, high: 95 % interval over seeds and videos"
    readings = [
        [r["of"], r["title"], r["top1"]["mean"], *(r["difference"][k] for k in ("mean", "low", "high"))]
        for r in record["readings"]
    ]
    return [
        (
            columns,
            [line(r) for r in record["table2e"]],
            f"Coarse and fine embedding (Table 2e), tower fine-tuned. {what}.",
        ),
        (columns, [line(r) for r in record["fig7a"]], f"Number of sub-texts (Figure 7a), tower fine-tuned. {what}."),
        (
            ["Of what", "Reading", "Top-1 [%]", "Difference", "low", "high"],
            readings,
            f"Open readings against the default, tower frozen. {what}.",
        ),
    ]


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``ablations.{csv,md,tex,json}`` and ``table2e``, ``fig7a``, ``readings`` as .png and .svg into ``out``; returns their paths."""
    figures = {"table2e": table2e_figure(record), "fig7a": fig7a_figure(record), "readings": readings_figure(record)}
    return page.write(
        out, "ablations", record, as_markdown(record), csv_table(record), figures, "Ablations", _latex(record)
    )
