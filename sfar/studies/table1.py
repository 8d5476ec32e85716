"""Tables 1 and 11: supervised recognition on Kinetics-400, or on the storyboard world in the same layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import Profile
from sfar.data.source import Dataset, dataset, load_clips
from sfar.model import cost, registry
from sfar.model.method import Method
from sfar.paper import printed
from sfar.paper.printed import OURS
from sfar.render import plots, style
from sfar.render.plots import Series
from sfar.render.tables import NOTHING, Table, interval
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest, named
from sfar.studies.core.oracle import true_set_classifier
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import Content, Item, Quantity, Study, Variant

MANY_VIEWS = ("single", "sfar")  # measured at 4x3 too, as the paper prints for BIKE


def variants() -> tuple[Variant, ...]:
    """Every method, tested on the unseen data sets of Table 2b too."""
    return tuple(
        Variant(m.name, m.title, m.name, views="4x3" if m.name in MANY_VIEWS else "1x1", zero_shot=True)
        for m in registry.METHODS.values()
    )


def planned(profile: Profile) -> list[tuple[Variant, Sequence[int]]]:
    """Each variant with its seeds."""
    return [(v, study.seeds_of(profile, v)) for v in variants()]


def measure(profile: Profile, workers: int | None) -> Content:
    """Every method on every seed; where the truth is known, also where the importance falls."""
    by = study.run(profile, variants(), workers, "training and evaluating")
    data = dataset(profile)
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    for v in variants():
        for views in by[v.name][0]["views"]:
            rows += study.rows("methods", v, by[v.name], views, views=views)
    for row, against in study.compared():
        for views in by[row][0]["views"]:
            if views in by[against][0]["views"]:
                for k in (1, 5):
                    a, b = (study.hits(by[name], k, views) for name in (row, against))
                    found = study.difference(row, against, a, b, "methods", metric=f"top{k}", views=views)
                    contrasts.append(found)
    extra: dict[str, Any] = {"temperature": by["sfar"][0]["temperature"]}
    if data.drawn and any(0 < u < 1 for u in by["sfar"][0]["relevant_mass"]["uniform"]):
        more_rows, more_contrasts, extra["importance"] = _importance(by)
        rows += more_rows
        contrasts += more_contrasts
        extra["upper_reference"] = true_set_classifier(data.root, profile.train.frames)
    return Content(_data(profile, data, by), rows, contrasts, extra, study.seconds(by))


def _data(profile: Profile, data: Dataset, by: study.Runs) -> dict[str, Any]:
    train, run = load_clips(profile, data, "train"), by["vanilla"][0]
    return {
        "train_clips": len(train),
        "val_videos": len(run["labels"]),
        "classes": len(run["classes"]),
        "undecodable": {**train.bad, **run["bad"]},
        "missing": [*train.manifest.missing, *run["missing"]],
    }


IMPORTANCES = {
    "single": "Single granularity (BIKE)",
    "coarse": "SFAR, a_coarse",
    "fine": "SFAR, a_fine",
    "printed/coarse": "SFAR, as printed, a_coarse",
    "printed/fine": "SFAR, as printed, a_fine",
}
EDGES = (0.0, 0.25, 0.5, 1.0)  # of 8 frames: 1-2, 3-4, 5-7 irrelevant ones


def _importance(by: study.Runs) -> tuple[list[Row], list[Contrast], dict[str, Any]]:
    """Share of importance on frames that show an action of the class, over videos that have both kinds of frames.

    Rows: the share itself, and against equal weights in bins of the share of irrelevant frames.
    """
    uniform = np.array(by["sfar"][0]["relevant_mass"]["uniform"])
    mixed = (uniform > 0) & (uniform < 1)
    share = 1 - uniform[mixed]
    bins = [(share > a) & (share <= b) for a, b in pairwise(EDGES)]
    of = {
        "single": ("single", "coarse"),
        "coarse": ("sfar", "coarse"),
        "fine": ("sfar", "fine"),
        "printed/coarse": ("sfar-printed", "coarse"),
        "printed/fine": ("sfar-printed", "fine"),
    }
    mass = {
        name: 100 * np.array([r["relevant_mass"][which] for r in by[method]])[:, mixed]
        for name, (method, which) in of.items()
    }
    equal = 100 * uniform[mixed]
    rows, contrasts = [], []
    for name, a in mass.items():
        rows.append(study.measured("importance", name, IMPORTANCES[name], a, "mass"))
        contrasts.append(
            study.difference(name, "equal weights", a - equal, np.zeros_like(a), "importance", metric="mass")
        )
        for i, b in enumerate(bins):
            if b.any():
                found = study.measured("by share", name, IMPORTANCES[name], (a - equal)[:, b], "gain", bin=i)
                found.more["share"] = round(float(share[b].mean()), 4)
                rows.append(found)
    for lead in ("", "printed/"):
        fine, coarse = f"{lead}fine", f"{lead}coarse"
        contrasts.append(study.difference(fine, coarse, mass[fine], mass[coarse], "importance", metric="mass"))
    about = {
        "videos": int(mixed.sum()),
        "uniform": round(float(equal.mean()), 4),
        "edges": list(EDGES),
        "bin_videos": [int(b.sum()) for b in bins],
    }
    return rows, contrasts, about


# --- what is claimed -------------------------------------------------------------------------------------------------


def _fig6() -> str:
    return printed.signed(printed.said("fig6-fine") - printed.said("fig6-coarse")) + " (one frame)"


def _of_weights(m: Method) -> tuple[Claim, ...]:
    """The claims on where the weights of one reading of SFAR fall."""
    lead, words = ("", "") if m.name == "sfar" else ("printed/", ", as printed")
    return (
        *(
            Claim(
                named(f"importance-{name}", m),
                "fig6",
                f"a_{name} puts more weight than equal weights on frames that show an action of the class{words}",
                "sections 3.2, 3.3, Fig. 6",
                above(f"{lead}{name}", "equal weights", part="importance"),
            )
            for name in ("coarse", "fine")
        ),
        Claim(
            named("importance-fine-sharper", m),
            "fig6",
            f"a_fine puts more weight on those frames than a_coarse{words}",
            "section 3.3, Fig. 6",
            above(f"{lead}fine", f"{lead}coarse", title="a_coarse", part="importance"),
            _fig6,
        ),
    )


CLAIMS = (
    *(
        Claim(
            named("table1-highest", m),
            "table1",
            f"{m.title} has the highest top-1 accuracy of a single view",
            "Table 1, section 4.2",
            highest(lambda r, m=m: study.over_rivals(r, m.name, "methods", metric="top1", views="1x1")),
            lambda: printed.lead("table1", "top1", views="1x1"),  # of single views, as measured: others print more
        )
        for m in registry.own()
    ),
    *(claim for m in registry.own() for claim in _of_weights(m)),
)


# --- what is shown ---------------------------------------------------------------------------------------------------


def methods_table(record: Record) -> Table:
    """The measured rows."""
    body, bare = [], []
    for a in record.select("methods", metric="top1"):
        b = record.find("methods", a.row, "top5", **a.setting)
        views = a.setting["views"]
        tail = [b.mean, page.deviation(b), a.seeds_text, a.trained_text]
        body.append([a.title, views, a.mean, page.deviation(a), interval(a), *tail])
        bare.append([a.title, views, a.mean, page.deviation(a), a.low, a.high, b.mean])
    return Table(
        ["Method", "Views", "Top-1 [%]", "std", "95 % interval", "Top-5 [%]", "std", "Seeds", "Trained"],
        body,
        latex=Table(
            ["Method", "Views", "Top-1 [%]", "std", "low", "high", "Top-5 [%]"],
            bare,
            caption=f"Supervised recognition (Table 1). {page.counted(record)}",
        ),
    )


def differences_table(record: Record) -> Table:
    """SFAR in both readings minus each other method, paired on the same seeds and videos."""
    rows = [
        [
            f"{record.title(c.row)} − {record.title(c.against)}",
            c.setting["views"],
            c.metric.replace("top", "Top-"),
            f"{c.mean:+z.1f}",
            interval(c, 1, True),
            style.verdict_word(c.verdict),
        ]
        for c in record.contrasts_of("methods")
    ]
    return Table(["Difference", "Views", "Metric", "Mean [points]", "95 % interval", "The first is"], rows)


def importance_table(record: Record) -> Table | None:
    """Share of importance on frames that show an action of the class; None where the truth is not known."""
    if "importance" not in record.extra:
        return None
    rows: list[list[Any]] = [["Equal weights", f"{record.extra['importance']['uniform']:.1f}", NOTHING, NOTHING]]
    for r in record.select("importance"):
        c = record.contrast(r.row, "equal weights", "importance")
        rows.append([r.title, f"{r.mean:.1f}", f"{c.mean:+.1f}", interval(c, 1, True)])
    return Table(["Importance", "On relevant frames [%]", "Against equal weights [points]", "95 % interval"], rows)


def reference_text(record: Record) -> str:
    """How well a classifier on the true actions does; "" where the truth is not known."""
    if "importance" not in record.extra:
        return ""
    return (
        f"{record.extra['importance']['videos']} videos have both kinds of frames. For scale: a linear classifier "
        "on the true set of atomic actions in the sampled frames reaches "
        f"{record.extra['upper_reference']['accuracy']:.1f} %."
    )


def cost_table(record: Record) -> Table:
    """GFLOPs of both towers under each counting convention, beside what the paper prints."""
    towers = {"ViT-B-16-quickgelu": "90.2", "ViT-L-14-quickgelu": "416"}
    rows = []
    for arch, value in towers.items():
        totals = cost.macs(arch)["totals"]
        rows.append([arch.removesuffix("-quickgelu"), totals[cost.SKIPS_MHA], totals[cost.COMPLETE], value])
    columns = ["Visual tower, 8 x 224 x 224", "GMACs, nn.MultiheadAttention skipped", "GMACs, everything"]
    return Table([*columns, 'Paper, "GFLOPs"'], rows, 2)


def inventory_table(record: Record, arch: str = "ViT-B-16-quickgelu") -> Table:
    """What adds up to the paper's parameter count."""
    rows = []
    for i in cost.inventories(arch):
        fits = "yes" if i["fits"] else "no" if i["paper_m"] is not None else NOTHING
        rows.append([i["name"], " + ".join(i["components"]), i["total_m"], i["paper_m"], fits])
    return Table(["Inventory", "Counted", "Total [M]", "Paper [M]", "Fits"], rows, 2)


def figure(record: Record) -> Figure:
    """Measured accuracy, the paper's rows apart from it, and where the importance falls."""
    style.use()
    known = "importance" in record.extra
    widths = [1.05, 1.1, 1.0] if known else [1.05, 1.1]
    size = (10.4 if known else 7.2, 3.5)
    fig, axes = plt.subplots(1, len(widths), figsize=size, width_ratios=widths, layout="constrained")
    _draw_measured(axes[0], record)
    _draw_printed(axes[1])
    if known:
        _draw_importance(axes[2], record)
    return fig


def _draw_measured(ax: Axes, record: Record) -> None:
    of: Mapping[str, Mapping[str, Row]] = {
        views: {r.row: r for r in record.select("methods", metric="top1", views=views)} for views in ("1x1", "4x3")
    }
    series = (Series(of["1x1"], "1x1 view"), Series(of["4x3"], "4x3 views", "D", size=4.5, shift=-0.28))
    title = f"Measured: {record.profile} world\n{page.count(record)}, 95 % intervals"
    titles = {m.name: m.title for m in reversed(registry.METHODS.values())}  # SFAR above, as among the printed ones
    colours = {m.name: m.colour for m in registry.METHODS.values()}
    plots.dot_panel(ax, titles, series, colours, title, below=0.95)
    if reference := record.extra.get("upper_reference"):
        ax.axvline(reference["accuracy"], color=plots.SHADE, ls=":", lw=1)
        ax.annotate(
            "true set\nof actions",
            (reference["accuracy"], len(titles) - 0.55),
            xytext=(-3, 0),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=6.5,
            color=plots.SHADE,
        )
    plots.marker_legend(ax, series, loc="lower left", ncols=3, borderaxespad=0.1, columnspacing=1.0)


def _draw_printed(ax: Axes) -> None:
    rows = sorted((r for r in paper.load("table1") if r["top1"] is not None), key=lambda r: -r["top1"])
    named = [(f"{r['method']} ({r['views']})", r["top1"]) for r in rows]
    own = registry.get("sfar").colour
    colours = [own if r["method"] == OURS["method"] else style.PAPER for r in rows]
    title = "Printed in the paper: Kinetics-400\nTable 1, ViT-B and others"
    plots.printed_panel(ax, named, colours, title, size=4, fontsize=6)


def _draw_importance(ax: Axes, record: Record) -> None:
    ax.axhline(0, color=style.UNIFORM, lw=1.2, ls="--")
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
    looks = (
        ("single", "BIKE", "s", registry.get("single").colour),
        ("coarse", "SFAR coarse", "o", style.COARSE),
        ("fine", "SFAR fine", "^", style.FINE),
        ("printed/coarse", "coarse, as printed", "o", "#9bbfb3"),
        ("printed/fine", "fine, as printed", "^", "#e5c07b"),
    )
    for k, (key, name, marker, colour) in enumerate(looks):
        rows = record.select("by share", key)
        share = np.array([r.more["share"] for r in rows])
        gain, low, high = (np.array([getattr(r, n) for r in rows]) for n in ("mean", "low", "high"))
        reach = [gain - low, high - gain]
        look = {"color": colour, "marker": marker, "ms": 4.5, "lw": 1.3, "elinewidth": 1, "label": name}
        ax.errorbar(100 * share + 1.3 * (k - 2), gain, yerr=reach, **look)
    ax.set_xlabel("Irrelevant among the 8 sampled frames [%]")
    ax.set_ylabel("Weight on relevant frames,\nagainst equal weights [points]")
    ax.set_xlim(0, 100)
    plots.widen(ax, top=0.34)
    ax.legend(loc="upper left", ncols=2, columnspacing=1.0, handlelength=1.4)
    videos = record.extra["importance"]["videos"]
    ax.set_title(f"Does the weight find the action?\n{videos} videos with both kinds of frames", loc="left")


PAPER_COLUMNS = {
    "method": "Method",
    "backbone": "Backbone",
    "venue": "Venue",
    "frames": "Frames",
    "pretraining": "Pre-training",
    "top1": "Top-1 [%]",
    "top5": "Top-5 [%]",
    "views": "Views",
    "gflops": "GFLOPs",
    "params_m": "Params [M]",
}

BLOCKS = (
    Shown("methods", methods_table, "Measured", latex=True, terminal=True),
    Text("Intervals are over seeds and videos. Undecodable videos are left out and named in `table1.json`."),
    Shown("differences", differences_table, "SFAR against the others"),
    Verdicts(),
    Shown("importance", importance_table, "Where the weight falls"),
    Text(reference_text, id="reference"),
    Drawn("figure", figure, "Table 1", file="table1"),
    Printed("table1", PAPER_COLUMNS, "Printed in the paper (transcribed, Kinetics-400)"),
    Printed("table11", PAPER_COLUMNS, "Table 11 as printed (transcribed): the same with ViT-L"),
    Shown("cost", cost_table, "Cost columns, recomputed from the architecture"),
    Shown("inventory", inventory_table),
    Provenance(),
)

STUDY = Study(
    id="table1",
    title="Table 1",
    notebook="03_table1_kinetics",
    covers=(
        Item(
            "table1",
            "Table 1: Kinetics-400, supervised",
            (
                Quantity(
                    "SFAR, one view, top-1 [%]",
                    lambda: printed.number("table1", "top1", **OURS),
                    lambda r: r.find("methods", "sfar", "top1", views="1x1"),
                ),
                Quantity(
                    "SFAR, one view, top-5 [%]",
                    lambda: printed.number("table1", "top5", **OURS),
                    lambda r: r.find("methods", "sfar", "top5", views="1x1"),
                ),
                Quantity(
                    "GFLOPs of ViT-B/16, 8 x 224 x 224 (recomputed)",
                    lambda: printed.cell("table1", "gflops", **OURS).removesuffix("x1"),
                    lambda r: cost.macs("ViT-B-16-quickgelu")["totals"][cost.SKIPS_MHA],
                ),
                Quantity(
                    "parameters [M] (recomputed)",
                    lambda: printed.number("table1", "params_m", **OURS),
                    lambda r: cost.inventories("ViT-B-16-quickgelu")[0]["total_m"],
                ),
            ),
        ),
        Item(
            "table11",
            "Table 11: Kinetics-400, ViT-L (the record of Table 1: the storyboard world has one tower)",
            (
                Quantity("SFAR, ViT-L/14, top-1 [%]", lambda: printed.number("table11", "top1", **OURS)),
                Quantity(
                    "GFLOPs of ViT-L/14, 8 x 224 x 224 (recomputed)",
                    lambda: printed.cell("table11", "gflops", **OURS),
                    lambda r: cost.macs("ViT-L-14-quickgelu")["totals"][cost.SKIPS_MHA],
                ),
            ),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    check=study.one_label,
    tested_on_unseen=True,
    planned=planned,
)
