"""Tables 8 and 9, Figure 2f and the dose-response test, drawn from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from sfar import paper
from sfar.render import style, tables
from sfar.studies.ambiguity import DOSES, FOUND, OURS, ROWS, TITLES, TYPES
from sfar.studies.core import page
from sfar.studies.core.degrees import DEGREES, MOMENTARY

HEADLINE = "fine-tuned"
WORDS = {"Ambi": "Ambiguous", "Non": "Non-uniform"}
LOOK = {
    "mean": (style.COLOURS["clip"], "v"),
    "flat": (style.COLOURS["uniform"], "x"),
    "single": (style.COLOURS["single"], "s"),
    "coarse": (style.COLOURS["coarse"], "o"),
    "fine": (style.COLOURS["fine"], "^"),
    "fusion": (style.COLOURS["sfar"], "D"),
}
TRUTHS = {
    "overlap": "time shared with one other class (primary)",
    "shared": "time shared with any other class",
    "top10": "mean overlap with ten classes",
    "disagreement": "pairs of frames that show different actions (primary)",
    "unevenness": "unevenness of the durations",
    "momentary": f"own actions that last {MOMENTARY:.0%} or less",
    "irrelevant": "irrelevant frames",
}
X_LABELS = {
    "irrelevant": "True share of irrelevant frames\n(of the video)",
    "overlap": "True ambiguity\n(time shared with one other class)",
    "disagreement": "True non-uniformity\n(pairs of frames, different actions)",
}
NO_TRUTH = "Only the storyboard world knows how ambiguous a class and how non-uniform a video is; of real videos the truth is not known, so this part is absent."
TABLE9_COLUMNS = [
    "Method",
    "Ambi set [%]",
    "95 % interval",
    "Non set [%]",
    "95 % interval",
    "Average [%]",
    "95 % interval",
]
DEGREE_COLUMNS = ["Method", "Type", *map(str, range(1, DEGREES + 1))]


def _printed8() -> dict[tuple[str, str], np.ndarray]:
    """Table 8 of the paper: (role, type) -> accuracy by degree."""
    rows = paper.load("table8")
    return {
        (m, kind): np.array([r["top1"] for r in rows if (r["method"], r["type"]) == (TITLES[m], kind)])
        for m in ROWS
        for kind in TYPES
    }


def _by_degree(rows: list[dict[str, Any]], kind: str, name: str, key: str) -> dict[int, dict[str, Any]]:
    return {r["degree"]: r for r in rows if r["type"] == kind and r[key] == name}


def wide_rows(record: dict[str, Any], tower: str) -> list[list[Any]]:
    """Table 8's rows; a degree without classes is empty."""
    cells = record["towers"][tower]["table8"]
    out = []
    for m in ROWS:
        for kind in TYPES:
            at = _by_degree(cells, kind, m, "method")
            out.append([TITLES[m], kind, *(at[d]["mean"] if d in at else None for d in range(1, DEGREES + 1))])
    return out


def overall_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Accuracy on all videos."""
    rows = [[TITLES[r["method"]], r["mean"], r["std"], page.interval(r)] for r in record["towers"][tower]["overall"]]
    return tables.markdown(["All videos", "Top-1 [%]", "std", "95 % interval"], rows)


def table8_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Table 8, measured."""
    return tables.markdown(DEGREE_COLUMNS, wide_rows(record, tower))


def gains8_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Figure 2f's last three rows: the gain over single granularity by degree."""
    rows = []
    for m in OURS:
        for kind in TYPES:
            at = _by_degree(record["towers"][tower]["gains8"], kind, m, "name")
            rows.append(
                [
                    TITLES[m],
                    kind,
                    *(
                        f"{at[d]['mean']:+z.1f} ({page.interval(at[d], 0, True)})" if d in at else None
                        for d in range(1, DEGREES + 1)
                    ),
                ]
            )
    return tables.markdown(DEGREE_COLUMNS, rows)


def table9_rows(record: dict[str, Any], tower: str) -> list[list[Any]]:
    """Table 9's rows: the tenth of the classes that scores highest."""
    rows = []
    for m in ROWS:
        at = {r["set"]: r for r in record["towers"][tower]["table9"] if r["method"] == m}
        rows.append([TITLES[m], *(x for s in (*TYPES, "average") for x in (at[s]["mean"], page.interval(at[s])))])
    return rows


def table9_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Table 9, measured."""
    return tables.markdown(TABLE9_COLUMNS, table9_rows(record, tower))


def gains9_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Paired differences on the sets of Table 9."""
    rows = [
        [
            f"{TITLES[g['name']]} − {TITLES[g['against']]}",
            g["set"],
            f"{g['mean']:+z.1f}",
            page.interval(g, 1, True),
            page.words(g["verdict"]),
        ]
        for g in record["towers"][tower]["gains9"]
    ]
    return tables.markdown(["Difference", "Set", "Mean [points]", "95 % interval", "The first is"], rows)


def _trend_cells(t: dict[str, Any]) -> list[Any]:
    return [
        f"{t['value']:+z.2f}",
        page.interval(t, 2, True),
        {"holds": "rises", "does not hold": "falls", "undecided": "undecided"}[t["verdict"]],
    ]


def degree_trends_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Slope of accuracy and of the gain over single granularity by degree; the slope of the printed numbers has a table of its own."""
    rows = [
        [
            f"{TITLES[t['name']]} − {TITLES[t['against']]}" if t["against"] else TITLES[t["name"]],
            t["of"],
            *_trend_cells(t),
        ]
        for t in record["towers"][tower]["trends"]
    ]
    return tables.markdown(["Accuracy of", "Type", "Points per degree", "95 % interval", "It"], rows)


def dose_trends_markdown(record: dict[str, Any], tower: str = HEADLINE) -> str:
    """Slope of every gain over every dose."""
    names = {k: d.title for k, d in DOSES.items()} | FOUND
    rows = [
        [f"{TITLES[t['name']]} − {TITLES[t['against']]}", names[t["of"]], *_trend_cells(t)]
        for t in record["towers"][tower]["dose"]["trends"]
    ]
    return tables.markdown(["Gain", "Dose", "Points per 0.1", "95 % interval", "It"], rows)


def dose_bins_markdown(record: dict[str, Any], dose: str, tower: str = HEADLINE) -> str:
    """The gains in each bin of a dose."""
    cells = [b for b in record["towers"][tower]["dose"]["bins"] if b["dose"] == dose]
    bins = list(dict.fromkeys((b["from"], b["to"], b["videos"]) for b in cells))
    at = {(b["name"], b["against"], b["from"]): b for b in cells}
    rows = [
        [
            f"{TITLES[n]} − {TITLES[a]}",
            *(f"{at[n, a, f]['mean']:+z.1f} ({page.interval(at[n, a, f], 1, True)})" for f, _, _ in bins),
        ]
        for n, a in dict.fromkeys((b["name"], b["against"]) for b in cells)
    ]
    return tables.markdown(["Gain [points]", *(f"{f:g} to {t:g}, {v} videos" for f, t, v in bins)], rows)


def dose_levels_markdown(record: dict[str, Any], dose: str, tower: str = HEADLINE) -> str:
    """The accuracy of every method in each bin of a dose."""
    cells = [b for b in record["towers"][tower]["dose"]["levels"] if b["dose"] == dose]
    bins = list(dict.fromkeys((b["from"], b["to"], b["videos"]) for b in cells))
    rows = [
        [TITLES[m], *(b["mean"] for b in cells if b["method"] == m)] for m in dict.fromkeys(b["method"] for b in cells)
    ]
    return tables.markdown(["Top-1 [%]", *(f"{f:g} to {t:g}, {v} videos" for f, t, v in bins)], rows)


def extra_weight_markdown(record: dict[str, Any]) -> str:
    """How much more weight than equal weights falls on frames of the action, for SFAR and for the control."""
    rows = [
        [tower, TITLES[r["method"]], f"a_{r['importance']}", f"{r['mean']:+z.1f}", page.interval(r, 1, True)]
        for tower, t in record["towers"].items()
        for r in t["dose"]["extra_weight"]
    ]
    return tables.markdown(
        ["Tower", "Method", "Importance", "On frames of the action, above equal weights [points]", "95 % interval"],
        rows,
    )


def ranking_markdown(record: dict[str, Any]) -> str:
    """How well the label-free scores rank the truth."""
    rows = [
        [
            r["score"].replace("_", "-"),
            TRUTHS[r["truth"]],
            f"{r['n']} {r['over']}",
            f"{r['value']:+z.2f}",
            page.interval(r, 2, True),
        ]
        for r in record["ranking"]
    ]
    return tables.markdown(["Score", "Truth", "Over", "Spearman's rho", "95 % interval"], rows)


def classes_markdown(record: dict[str, Any]) -> str:
    """Every class with its scores and degrees, the most ambiguous first."""
    known = "truth" in record["class_scores"][0]
    rows = [
        [
            c["class"],
            f"{c['ambiguous']:.4f}",
            c["degree_Ambi"],
            None if c["non_uniform"] is None else f"{c['non_uniform']:.4f}",
            c["degree_Non"],
            *([f"{c['truth']['overlap']:.2f}"] if known else []),
        ]
        for c in sorted(record["class_scores"], key=lambda c: -c["ambiguous"])
    ]
    return tables.markdown(
        ["Class", "Ambiguous score", "Degree", "Non-uniform score", "Degree", *(["True overlap"] if known else [])],
        rows,
    )


def paper8_markdown() -> str:
    """Table 8 as printed."""
    return tables.markdown(DEGREE_COLUMNS, [[TITLES[m], kind, *map(float, v)] for (m, kind), v in _printed8().items()])


def paper9_markdown() -> str:
    """Table 9 as printed."""
    return tables.markdown(
        ["Method", "Backbone", "Ambi set [%]", "Non set [%]"],
        [[r["method"], r["backbone"], r["ambi_set"], r["non_set"]] for r in paper.load("table9")],
    )


def paper_trends_markdown() -> str:
    """What the printed Table 8 says of its own gains: at both ends, and their slope over the degrees."""
    printed = _printed8()
    d = np.arange(1, DEGREES + 1)
    rows = []
    for m in OURS:
        for kind in TYPES:
            gain = printed[m, kind] - printed["single", kind]
            rows.append(
                [
                    TITLES[m],
                    kind,
                    f"{gain[0]:+z.1f}",
                    f"{gain[-1]:+z.1f}",
                    f"{np.polyfit(d, gain, 1)[0]:+z.2f}",
                    ", ".join(f"{g:.1f}" for g in gain),
                ]
            )
    return tables.markdown(
        ["Gain over single", "Type", "Degree 1", "Degree 10", "Points per degree", "All degrees"], rows
    )


# --- figures ---


def figure_table8(record: dict[str, Any]) -> plt.Figure:
    """Accuracy by degree: measured above, printed below."""
    style.use()
    fig, axes = plt.subplots(2, 2, figsize=(7.2, 5.6), layout="constrained", sharex=True, sharey="row")
    printed = _printed8()
    d = np.arange(1, DEGREES + 1)
    for column, kind in enumerate(TYPES):
        for k, m in enumerate(ROWS):
            colour, marker = LOOK[m]
            cells = list(_by_degree(record["towers"][HEADLINE]["table8"], kind, m, "method").values())
            x, y, low, high = (np.array([c[n] for c in cells]) for n in ("degree", "mean", "low", "high"))
            axes[0, column].errorbar(
                x + 0.13 * (k - 1.5),
                y,
                yerr=[y - low, high - y],
                color=colour,
                marker=marker,
                ms=4,
                lw=1.2,
                elinewidth=0.8,
                label=TITLES[m],
            )
            axes[1, column].plot(d, printed[m, kind], color=colour, marker=marker, ms=3.5, lw=1.2)
        top = record["data"]["hardest"][kind]
        axes[0, column].set_title(
            f"Measured: {record['profile']} profile, {len(record['seeds'])} seeds\n{WORDS[kind]} score (degree 10: {top} classes)",
            loc="left",
        )
        axes[1, column].set_title(f"Printed in the paper: Kinetics-400\n{WORDS[kind]} score (Table 8)", loc="left")
        axes[1, column].set_xlabel(f"Degree of the {WORDS[kind].lower()} score")
        axes[1, column].set_xticks(d)
    for ax in axes[:, 0]:
        ax.set_ylabel("Top-1 accuracy [%]")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def figure_fig2f(record: dict[str, Any]) -> plt.Figure:
    """Figure 2f's bars: accuracy of single granularity, then the gains of coarse, fine and fusion; measured left, printed right."""
    style.use()
    fig, axes = plt.subplots(4, 4, figsize=(10.4, 5.8), layout="constrained", sharex=True)
    printed = _printed8()
    d = np.arange(1, DEGREES + 1)
    tower = record["towers"][HEADLINE]
    for column, kind in enumerate(TYPES):
        for row, m in enumerate(ROWS):
            colour = LOOK[m][0]
            left, right = axes[row, column], axes[row, column + 2]
            at = (
                _by_degree(tower["table8"], kind, m, "method")
                if m == "single"
                else _by_degree(tower["gains8"], kind, m, "name")
            )
            x, y, low, high = (np.array([c[n] for c in at.values()]) for n in ("degree", "mean", "low", "high"))
            left.bar(
                x, y, 0.72, color=colour, yerr=[y - low, high - y], error_kw={"elinewidth": 0.8, "ecolor": "#333333"}
            )
            right.bar(d, printed[m, kind] - (0 if m == "single" else printed["single", kind]), 0.72, color=colour)
            for ax in (left, right):
                ax.grid(axis="x", visible=False)
                if m != "single":
                    ax.axhline(0, color="#555555", lw=0.8)
        axes[0, column].set_title(f"Measured: {len(record['seeds'])} seeds\n{WORDS[kind].lower()} score", loc="left")
        axes[0, column + 2].set_title(f"Printed: Kinetics-400\n{WORDS[kind].lower()} score", loc="left")
    for row, m in enumerate(ROWS):
        for pair in (axes[row, :2], axes[row, 2:]):  # measured and printed have scales of their own
            low, high = min(ax.get_ylim()[0] for ax in pair), max(ax.get_ylim()[1] for ax in pair)
            for ax in pair:
                ax.set_ylim(low, high)
        axes[row, 0].set_ylabel("Single\ntop-1 [%]" if m == "single" else f"{TITLES[m]}\nminus single\n[points]")
    for ax in axes[-1]:
        ax.set_xticks(d)
        ax.set_xlabel("Degree")
    return fig


def _draw_dose(ax: plt.Axes, tower: dict[str, Any], dose: str, pairs: list[tuple[str, str]]) -> None:
    """Gains by bin, one line a pair; the legend gives each slope with its interval."""
    ax.axhline(0, color="#555555", lw=0.9)
    span = DOSES[dose].edges[-1] - DOSES[dose].edges[0]
    slopes = {(t["name"], t["against"]): t for t in tower["dose"]["trends"] if t["of"] == dose}
    for k, (name, against) in enumerate(pairs):
        cells = [b for b in tower["dose"]["bins"] if (b["dose"], b["name"], b["against"]) == (dose, name, against)]
        x, y, low, high = (np.array([b[n] for b in cells]) for n in ("x", "mean", "low", "high"))
        colour, marker = LOOK[name] if against != "flat" else LOOK["flat"]
        t = slopes.get((name, against))
        label = TITLES[name] if against != "flat" else "Fusion over equal weights"
        label += f": {t['value']:+z.1f} ({page.interval(t, 1, True)})" if t else ""
        ax.errorbar(
            x + 0.008 * span * (k - (len(pairs) - 1) / 2),
            y,
            yerr=[y - low, high - y],
            color=colour,
            marker=marker,
            ms=4,
            lw=1.2,
            elinewidth=0.8,
            ls="--" if against == "flat" else "-",
            label=label,
        )
    ax.set_xlabel(X_LABELS[dose])
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.24),
        fontsize=6.5,
        handlelength=1.6,
        labelspacing=0.3,
        title="slope, points per 0.1",
        title_fontsize=6.5,
    )


def figure_dose(record: dict[str, Any]) -> plt.Figure:
    """Gains as a function of the supposed cause: columns are doses, rows are towers."""
    style.use()
    towers = record["towers"]
    fig, axes = plt.subplots(
        len(towers), 4, figsize=(10.8, 3.6 * len(towers)), layout="constrained", squeeze=False, sharey="row"
    )
    for row, (name, tower) in enumerate(towers.items()):
        flat = [("fusion", "flat")] * any(b["against"] == "flat" for b in tower["dose"]["bins"])
        over_mean = [(m, "mean") for m in ("single", *OURS)]
        for column, (dose, pairs, against) in enumerate(
            (
                ("irrelevant", over_mean + flat, "mean pooling"),
                ("irrelevant", [(m, "single") for m in OURS], "single granularity"),
                ("overlap", over_mean, "mean pooling"),
                ("disagreement", over_mean, "mean pooling"),
            )
        ):
            ax = axes[row, column]
            _draw_dose(ax, tower, dose, pairs)
            ax.set_title(
                f"{name[0].upper()}{name[1:]} tower, {len(record['seeds'])} seeds\nGain over {against}", loc="left"
            )
        axes[row, 0].set_ylabel("Gain in top-1 [points]")
    return fig


def figure_scores(record: dict[str, Any]) -> plt.Figure:
    """The label-free scores against the truth: classes, and videos."""
    style.use()
    fig, axes = plt.subplots(1, 3, figsize=(10.4, 3.3), layout="constrained")
    rho = {(r["score"], r["over"], r["truth"]): r for r in record["ranking"]}
    v = record["videos"]
    panels = (
        (
            axes[0],
            "ambiguous",
            "classes",
            "overlap",
            [c["truth"]["overlap"] for c in record["class_scores"]],
            [c["ambiguous"] for c in record["class_scores"]],
        ),
        (axes[1], "non_uniform", "videos", "disagreement", v["disagreement"], v["non_uniform"]),
        (axes[2], "non_uniform", "videos", "unevenness", v["unevenness"], v["non_uniform"]),
    )
    for ax, score, over, name, x, y in panels:
        ax.plot(
            x,
            y,
            "o",
            color=style.COLOURS["sfar"],
            ms=5 if over == "classes" else 3,
            alpha=0.9 if over == "classes" else 0.45,
            mec="white",
            mew=0.3,
        )
        r = rho.get((score, over, name))
        said = f"ρ = {r['value']:+z.2f} ({page.interval(r, 2, True)})" if r else "ρ not defined"
        ax.set_title(f"{len(x)} {over}: {said}", loc="left")
        ax.set_xlabel("True: " + TRUTHS[name].removesuffix(" (primary)"))
        ax.set_ylabel("Ambiguous score (Eq. 16)" if score == "ambiguous" else "Non-uniform score (1 − Eq. 18)")
    return fig


def figures(record: dict[str, Any]) -> dict[str, plt.Figure]:
    """All figures by file name; those about the truth only where it is known."""
    out = {"table8": figure_table8(record), "fig2f": figure_fig2f(record)}
    if "dose" in record["towers"][HEADLINE]:
        out |= {"dose_response": figure_dose(record), "ambiguity_scores": figure_scores(record)}
    return out


# --- pages ---


def _truth_parts(record: dict[str, Any]) -> list[str]:
    if "dose" not in record["towers"][HEADLINE]:
        return ["## The scores, the gains and the truth", NO_TRUTH]
    parts = [
        "## Do the label-free scores rank the truth?",
        ranking_markdown(record),
        "![The scores against the truth](ambiguity_scores.png)",
        "## Dose and response",
        "If the weights help because they leave out frames that do not belong to the class, the gain grows with the share of such frames; if "
        "because they tell similar classes apart, with the true ambiguity. Bins were fixed beforehand. "
        "A gain in the first bin of the irrelevant frames has another reason. "
        "Over a class's ambiguity whole classes are resampled, else videos; seeds always. The last rows go by the extra weight that the trained model itself puts on "
        "frames of the action: a correlation, since easy videos may have both. "
        "A gain in points is also bounded by what the other method leaves to gain: see the accuracies beside it.",
        "![Dose and response](dose_response.png)",
        extra_weight_markdown(record),
    ]
    for tower in record["towers"]:
        parts += [
            f"### {tower[0].upper()}{tower[1:]} tower",
            dose_trends_markdown(record, tower),
            *(
                x
                for dose, d in DOSES.items()
                for x in (
                    f"By {d.title}:",
                    dose_levels_markdown(record, dose, tower),
                    dose_bins_markdown(record, dose, tower),
                )
            ),
        ]
    return parts


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``ambiguity.md``."""
    hardest = record["data"]["hardest"]
    return "\n\n".join(
        [
            page.head(
                record,
                "Tables 8 and 9, Figure 2f: ambiguous and non-uniform actions",
                f"{page.videos(record)} Degree 10 and the sets of Table 9: {hardest['Ambi']} classes (ambiguous) and "
                f"{hardest['Non']} (non-uniform). Intervals are 95 %, of seeds and videos.",
            ),
            "## Claims",
            page.claims_markdown(record),
            "## All videos",
            overall_markdown(record),
            "## Table 8, measured (top-1 [%] by degree)",
            table8_markdown(record),
            "![Table 8](table8.png)",
            "## Figure 2f, measured (gain over single granularity [points] by degree)",
            gains8_markdown(record),
            "![Figure 2f](fig2f.png)",
            "## Trends over the degrees",
            "Whole classes are resampled.",
            degree_trends_markdown(record),
            "## Table 9, measured",
            table9_markdown(record),
            gains9_markdown(record),
            *_truth_parts(record),
            "## Second view: the visual tower frozen",
            "Of CLIP only the logit scale is trained. Mean pooling is zero-shot CLIP here.",
            overall_markdown(record, "frozen"),
            table8_markdown(record, "frozen"),
            table9_markdown(record, "frozen"),
            gains9_markdown(record, "frozen"),
            degree_trends_markdown(record, "frozen"),
            page.claims_markdown({"claims": record["frozen_claims"]}),
            "## Classes",
            classes_markdown(record),
            "## Printed in the paper (transcribed, Kinetics-400)",
            "Table 8:",
            paper8_markdown(),
            "Table 9:",
            paper9_markdown(),
            "The gains that follow from the printed Table 8:",
            paper_trends_markdown(),
        ]
    )


CSV_COLUMNS = ["tower", "part", "of", "bin", "name", "against", "videos", "value", "low", "high"]


def csv_rows(record: dict[str, Any]) -> list[list[Any]]:
    """Every measured number in one long table. ``part``: accuracy or gain by degree (``of``: Ambi, Non) or set, gain by bin of a dose, trend (slope)."""
    out = []
    for tower, t in record["towers"].items():
        for r in t["table8"]:
            out.append(
                [
                    tower,
                    "degree",
                    r["type"],
                    r["degree"],
                    r["method"],
                    None,
                    r["videos"],
                    r["mean"],
                    r["low"],
                    r["high"],
                ]
            )
        for r in t["gains8"]:
            out.append(
                [
                    tower,
                    "degree",
                    r["type"],
                    r["degree"],
                    r["name"],
                    r["against"],
                    r["videos"],
                    r["mean"],
                    r["low"],
                    r["high"],
                ]
            )
        for r in (*t["table9"], *t["gains9"]):
            out.append(
                [
                    tower,
                    "set",
                    r["set"],
                    None,
                    r.get("method", r.get("name")),
                    r.get("against"),
                    r.get("videos"),
                    r["mean"],
                    r["low"],
                    r["high"],
                ]
            )
        for r in t.get("dose", {}).get("bins", ()):
            out.append(
                [
                    tower,
                    "dose",
                    r["dose"],
                    f"{r['from']:g} to {r['to']:g}",
                    r["name"],
                    r["against"],
                    r["videos"],
                    r["mean"],
                    r["low"],
                    r["high"],
                ]
            )
        for r in (*t["trends"], *t.get("dose", {}).get("trends", ())):
            out.append(
                [
                    tower,
                    f"trend, {r['unit']}",
                    r["of"],
                    None,
                    r["name"],
                    r["against"],
                    None,
                    r["value"],
                    r["low"],
                    r["high"],
                ]
            )
    return out


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``ambiguity.{csv,md,tex,json}`` and the figures ``table8``, ``fig2f``, and where the truth is known ``dose_response`` and ``ambiguity_scores`` into ``out``."""
    captions = {
        "8": "Top-1 accuracy [%] by degree of the ambiguous and the non-uniform score",
        "9": "Top-1 accuracy [%] on the tenth of the classes that scores highest",
    }
    printed = []
    for tower in record["towers"]:
        for number, table in (
            ("8", (DEGREE_COLUMNS, wide_rows(record, tower))),
            ("9", (TABLE9_COLUMNS, table9_rows(record, tower))),
        ):
            printed.append((*table, f"{captions[number]} (Table {number}), measured; visual tower {tower}."))
    return page.write(
        out, "ambiguity", record, as_markdown(record), (CSV_COLUMNS, csv_rows(record)), figures(record), "", printed
    )


def text(record: dict[str, Any]) -> str:
    """What the terminal shows."""
    return "\n\n".join([table8_markdown(record), table9_markdown(record), page.claims_markdown(record)])
