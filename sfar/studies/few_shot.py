"""Tables 3 and 12: K videos of each class of three data sets, straight from CLIP; with ViT-L/14 those of Table 12.

In the storyboard world the tower is frozen, but for a few cells; on the real data sets it is fine-tuned throughout, as
in the paper.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import DRAWN, Profile
from sfar.data.source import is_drawn, need_sets
from sfar.model import registry
from sfar.model.method import Method
from sfar.paper import printed
from sfar.paper.printed import OURS
from sfar.render import plots, style
from sfar.render.tables import Table, interval, with_interval
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant

# --- what is compared ------------------------------------------------------------------------------------------------

SETS = {
    "storyboard": ("storyboard-hmdb51", "storyboard-ucf101", "storyboard-kinetics"),
    "real": ("hmdb51", "ucf101", "kinetics400"),
}
LAYOUTS = SETS["real"]
SHOTS = (2, 4, 8, 16)  # Table 3
LARGE, LARGE_SHOTS = "ViT-L-14-quickgelu", (2, 5)  # Table 12's tower and its K
TUNED_SHOTS = (2,)
_TUNED_METHODS = ("clip", *(m.name for m in registry.own()))
TUNED_SETS = 1  # how many of the sets have fine-tuned cells too: such a run takes thirty times as long
MOST = 4  # seeds of a cell on a frozen tower: there are some hundred and thirty of them
PROCESSES = 8  # BIKE trains on eight, each with a list of its own: Python's `random` is not seeded there
EPOCHS = {"repeat": "the list repeated up to the length of the full one (BIKE)", "once": "one pass through the list"}


def sets(profile: Profile) -> tuple[str, ...]:
    """The three data sets: drawn ones, or the real ones."""
    return SETS["storyboard" if is_drawn(profile) else "real"]


def shots(profile: Profile) -> tuple[int, ...]:
    """K of the cells, ascending: Table 3's, with Table 12's tower its own."""
    return LARGE_SHOTS if profile.model.clip == LARGE else SHOTS


def sweep(profile: Profile) -> str:
    """The tower in the sweep over all cells."""
    return "frozen" if is_drawn(profile) else "fine-tuned"


def _layout(dataset: str) -> str:
    return DRAWN.get(dataset, dataset)


Cell = tuple[str, int, str, str, str, int]  # data set, K, method, epoch, tower, lists


def _variant(profile: Profile, cell: Cell) -> Variant:
    data, k, name, epoch, tower, lists = cell
    method = registry.get(name)
    changes = list(study.protocol(profile, data, method.trained))
    if method.trained:
        changes += [("data.shots", k), ("train.few_shot_epoch", epoch)]
        changes += [("data.shot_draws", lists)] if lists > 1 else []
        changes += list(FROZEN) if tower == "frozen" else []
    title = "/".join([data, str(k), name, epoch, tower] + ([f"{lists} lists"] if lists > 1 else []))
    return Variant(title, method.title, name, tuple(changes), seeded_list=method.trained)


def _tuned(profile: Profile) -> list[tuple[str, int]]:
    """Data set and K of the fine-tuned cells beside a frozen sweep."""
    return [(d, k) for d in sets(profile)[:TUNED_SETS] for k in TUNED_SHOTS] if sweep(profile) == "frozen" else []


def cells(profile: Profile) -> list[Cell]:
    """Every cell. The sweep covers all; where its tower is frozen, a few are fine-tuned too."""
    data, tower, each = sets(profile), sweep(profile), shots(profile)
    out = [(d, k, m, e, tower, 1) for d in data for k in each for m in registry.METHODS for e in EPOCHS]
    out += [(d, k, "sfar", "repeat", tower, PROCESSES) for d in data for k in each]
    return out + [(d, k, m, "repeat", "fine-tuned", 1) for d, k in _tuned(profile) for m in _TUNED_METHODS]


def measure(profile: Profile, workers: int | None) -> Content:
    """Every cell on every seed; averages over K and data sets, with the seeds drawn once for all."""
    names, tower, each = sets(profile), sweep(profile), shots(profile)
    if not is_drawn(profile):
        need_sets(profile, names)
    plan = {cell: _variant(profile, cell) for cell in cells(profile)}
    by = study.run(profile, list(plan.values()), workers, "few-shot", MOST)
    value = {cell: study.hits(by[v.name]) for cell, v in plan.items()}
    rows: list[Row] = []
    for cell, v in plan.items():
        data, k, method, epoch, t, lists = cell
        runs = by[v.name]
        setting = {"dataset": _layout(data), "shots": k, "epoch": epoch, "tower": t, "lists": lists}
        training = [r["training"] for r in runs if r["training"]]
        more = {"clips": [x["clips"] for x in training], "repeats": training[0]["repeats"]} if training else {}
        for top in (1, 5):
            hits = study.hits(runs, top)
            rows.append(
                study.measured("cells", method, v.title, hits, f"top{top}", runs[0]["trained"], dict(more), **setting)
            )
    contrasts = []
    for d, k, t, row, against in [
        *((d, k, tower, *pair) for d in names for k in each for pair in study.compared()),
        *((d, k, "fine-tuned", m.name, "clip") for d, k in _tuned(profile) for m in registry.own()),
    ]:
        one, other = value[d, k, row, "repeat", t, 1], value[d, k, against, "repeat", t, 1]
        contrasts.append(study.difference(row, against, one, other, "cells", dataset=_layout(d), shots=k, tower=t))
    trained = {cell: by[v.name][0]["trained"] for cell, v in plan.items()}
    averages, differences = _averages(profile, value, trained)
    data = {
        _layout(d): study.about(by[plan[d, each[-1], "sfar", "repeat", tower, 1].name]) | {"shots": each[-1]}
        for d in names
    }
    extra = {"tower": tower}
    seeds = list(study.seeds_of(profile, plan[names[0], each[0], "sfar", "repeat", tower, 1], MOST))
    return Content({"sets": data}, rows + averages, contrasts + differences, extra, study.seconds(by), seeds)


def _averages(
    profile: Profile, value: dict[Cell, np.ndarray], trained: dict[Cell, list[str]]
) -> tuple[list[Row], list[Contrast]]:
    """Means over K and data sets, and the differences between them. A row is "method/epoch/lists"."""
    tower, first, each = sweep(profile), sets(profile)[0], shots(profile)
    n = len(value[first, each[0], "sfar", "repeat", tower, 1])

    def strata(method: str, epoch: str, lists: int) -> list[np.ndarray]:
        """Per data set the mean over K: [seeds, videos]. The zero-shot row is the same for every seed."""
        out = []
        for d in sets(profile):
            v = np.mean([value[d, k, method, epoch, tower, lists] for k in each], 0)
            out.append(np.repeat(v, n, 0) if len(v) < n else v)
        return out

    which = [(m, e, 1) for e in EPOCHS for m in registry.METHODS] + [("sfar", "repeat", PROCESSES)]
    rows = []
    for method, epoch, lists in which:
        mean, low, high = (round(x, 4) for x in statistics.strata_interval(strata(method, epoch, lists))[:3])
        setting = {"epoch": epoch, "lists": lists}
        title, parts = registry.get(method).title, trained[first, each[-1], method, epoch, tower, lists]
        row = Row("averages", method, title, "top1", mean, low, high, trained=list(parts), setting=setting, seeds=n)
        rows.append(row)
    pairs = [((a, e, 1), (b, e, 1)) for e in EPOCHS for a, b in study.compared()]
    pairs += [(("sfar", "repeat", 1), ("sfar", "once", 1)), (("sfar", "repeat", PROCESSES), ("sfar", "repeat", 1))]
    differences = []
    for a, b in pairs:
        delta = [x - y for x, y in zip(strata(*a), strata(*b), strict=True)]
        found = statistics.strata_interval(delta)
        differences.append(study.contrast(_key(*a), _key(*b), found, part="averages"))
    return rows, differences


def _key(method: str, epoch: str, lists: int) -> str:
    return f"{method}/{epoch}/{lists}"


def _named(key: str) -> str:
    """What the side of a difference of averages is called."""
    method, epoch, lists = key.split("/")
    m = registry.get(method)
    more = [f"epoch: {epoch}"] * m.trained + [f"{lists} lists"] * (lists != "1")
    return m.title + (f", {', '.join(more)}" if more else "")


# --- what is claimed -------------------------------------------------------------------------------------------------


def _highest(epoch: str, own: Method) -> Claim:
    return Claim(
        named(f"table3-highest-{epoch}", own),
        "table3",
        f"{own.title} has the highest average over K and data sets (epoch: {epoch})",
        "Table 3, section 4.2",
        highest(
            lambda r: [
                r.contrast(_key(own.name, epoch, 1), _key(m.name, epoch, 1), "averages") for m in registry.rivals()
            ],
            lambda record, c: registry.get(c.against.split("/")[0]).title,
        ),
        lambda: printed.lead("table3", "value", dataset="All"),
    )


CLAIMS = (
    *(_highest(epoch, own) for own in registry.own() for epoch in EPOCHS),
    Claim(
        "table3-lists",
        "table3",
        f"an unseeded list in each of {PROCESSES} processes raises the average",
        "BIKE train.py (not a claim of the paper)",
        above(_key("sfar", "repeat", PROCESSES), _key("sfar", "repeat", 1), title="one list", part="averages"),
        own=True,
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

FROZEN_CLIP = (
    "On a frozen tower Baseline (CLIP) trains the logit scale alone, which changes no order of classes: its accuracy "
    "there is vanilla CLIP's. Fine-tuned, it is a method of its own."
)


def cell(
    record: Record, of: str, shots: int, method: str, epoch: str = "repeat", tower: str = "", lists: int = 1
) -> Row:
    """The measured cell of these (``tower``: by default that of the sweep)."""
    setting = {"dataset": of, "shots": shots, "epoch": epoch, "tower": tower or record.extra["tower"], "lists": lists}
    return record.find("cells", method, "top1", **setting)


def average(record: Record, method: str, epoch: str, lists: int = 1) -> Row:
    """The average over K and data sets of a method in the sweep."""
    return record.find("averages", method, epoch=epoch, lists=lists)


def _table(record: Record) -> str:
    return "Table 12" if shots_in(record) == LARGE_SHOTS else "Table 3"


def _spread(r: Row) -> str:
    """A value such as "62.1 ± 1.9 (58.0 to 66.0)", without ± where no seed stands behind the value."""
    return f"{r.mean:.1f}" + (f" ± {r.std:.1f}" if r.seeds > 1 else "") + f" ({interval(r)})"


def shots_in(record: Record) -> tuple[int, ...]:
    """K of the record's cells, ascending."""
    return tuple(sorted({r.setting["shots"] for r in record.select("cells")}))


def _columns(what: list[str], shots: tuple[int, ...]) -> list[str]:
    return [f"{page.set_title(d)} K={k}" if k == shots[0] else f"K={k}" for d in what for k in shots]


def _accuracy(epoch: str, what: str) -> tuple[Text, Shown]:
    """Table 3's form: a row for each method, a column for each data set and K, the average with its interval."""

    def make(record: Record) -> Table:
        rows, each = [], shots_in(record)
        for m in registry.METHODS.values():
            mean = average(record, m.name, epoch)
            numbers = [cell(record, d, k, m.name, epoch).mean for d in LAYOUTS for k in each]
            rows.append([m.title, *numbers, mean.mean, interval(mean)])
        caption = (
            f"Few-shot top-1 accuracy ({_table(record)}), {record.extra['tower']} tower, {record.profile} profile, "
            f"{page.seeds(record)}; epoch: {what}."
        )
        return Table(["Method", *_columns(list(LAYOUTS), each), "Avg.", "Avg.: 95 % interval"], rows, caption=caption)

    def intro(record: Record) -> str:
        tower = record.extra["tower"]
        more = f" {FROZEN_CLIP}" if tower == "frozen" else ""
        return f"{tower.capitalize()} tower, top-1 accuracy in percent.{more}"

    return Text(intro, f'Epoch "{epoch}": {what}'), Shown(f"accuracy-{epoch}", make, latex=True, terminal=True)


def averages_differences(record: Record) -> Table:
    """Paired differences of the averages over K and data sets: the same seeds (so the same lists), the same videos."""
    return page.contrasts_table(record.contrasts_of("averages"), _named)


def _set(of: str) -> tuple[Text, Shown, Text, Shown]:
    """One data set with deviations over the seeds and intervals, and SFAR against the others."""

    def intro(record: Record) -> str:
        videos = record.data["sets"][of]["val_videos"]
        return (
            "Top-1 accuracy in percent: mean ± deviation over seeds (95 % interval); "
            f"{videos} test videos, {record.extra['tower']} tower."
        )

    def accuracy(record: Record) -> Table:
        rows, each = [], shots_in(record)
        for m in registry.METHODS.values():
            for e in EPOCHS if m.trained else ("repeat",):
                cells = [cell(record, of, k, m.name, e) for k in each]
                head = [m.title, e if m.trained else "–"]
                rows.append([*head, *map(_spread, cells), cells[0].seeds_text, cells[0].trained_text])
        return Table(["Method", "Epoch", *(f"K={k}" for k in each), "Seeds", "Trained"], rows)

    def differences(record: Record) -> Table:
        found: dict[tuple[str, str, str], dict[int, str]] = {}
        for c in record.contrasts_of("cells", dataset=of):
            found.setdefault((c.row, c.against, c.setting["tower"]), {})[c.setting["shots"]] = page.marked(c)
        rows = [
            [f"{registry.get(a).title} − {registry.get(b).title}", tower, *(by.get(k) for k in shots_in(record))]
            for (a, b, tower), by in found.items()
        ]
        return Table(["Difference", "Tower", *(f"K={k}" for k in shots_in(record))], rows)

    marks = (
        'SFAR against the others, epoch "repeat": mean difference in points (95 % interval); ▲ the first is higher, ▼ '
        "lower, = equal within a point, else undecided."
    )
    return (
        Text(intro, f"{page.set_title(of)} layout, with intervals"),
        Shown(f"{of}-accuracy", accuracy),
        Text(marks),
        Shown(f"{of}-differences", differences),
    )


def data_table(record: Record) -> Table:
    """What was tested on, and what had to be left out."""
    rows = [
        [page.set_title(d), a["classes"], a["val_videos"], len(a["undecodable"]), len(a["missing"])]
        for d, a in record.data["sets"].items()
    ]
    return Table(["Layout", "Classes", "Test videos", "Undecodable", "Missing"], rows)


def epochs_table(record: Record) -> Table:
    """Both epoch conventions side by side: how many clips an epoch passes, and SFAR's accuracy."""
    rows = []
    for d in LAYOUTS:
        for k in shots_in(record):
            each = [cell(record, d, k, "sfar", e) for e in EPOCHS]
            passed = [r.more["clips"][0] * r.more["repeats"] for r in each]
            accuracy = [with_interval(r) for r in each]
            rows.append([page.set_title(d), k, each[0].more["clips"][0], *passed, *accuracy])
    columns = ["Data set", "K", "Clips in the list", "Per epoch: repeat", "Per epoch: once"]
    return Table([*columns, "SFAR, repeat: top-1 [%]", "SFAR, once: top-1 [%]"], rows)


def lists_table(record: Record) -> Table:
    """One seeded list against an unseeded draw in each process: how many clips are seen, and SFAR's accuracy."""
    rows = []
    for d in LAYOUTS:
        for k in shots_in(record):
            one, many = cell(record, d, k, "sfar"), cell(record, d, k, "sfar", lists=PROCESSES)
            seen = float(np.mean(many.more["clips"]))
            own = one.more["clips"][0]
            rows.append([page.set_title(d), k, own, seen, k * seen / own, with_interval(one), with_interval(many)])
    columns = ["Data set", "K", "Clips: one list", f"Clips: {PROCESSES} lists", "Per class"]
    return Table([*columns, "SFAR, one list: top-1 [%]", f"SFAR, {PROCESSES} lists: top-1 [%]"], rows)


def _tuned_rows(record: Record) -> list[Row]:
    """The fine-tuned cells beside a frozen sweep."""
    if record.extra["tower"] == "fine-tuned":
        return []
    return record.select("cells", metric="top1", tower="fine-tuned")


def tuned_table(record: Record) -> Table | None:
    """The cells in which the visual tower was trained too, beside the same on the frozen tower."""
    rows = []
    for r in _tuned_rows(record):
        of, k = r.setting["dataset"], r.setting["shots"]
        frozen = with_interval(cell(record, of, k, r.row))
        rows.append([page.set_title(of), k, r.title, _spread(r), r.seeds, r.trained_text, frozen])
    columns = ["Data set", "K", "Method", "Fine-tuned tower: top-1 [%]", "Seeds", "Trained", "Frozen tower: top-1 [%]"]
    return Table(columns, rows) if rows else None


def tuned_text(record: Record) -> str:
    """Which cells are fine-tuned."""
    if record.extra["tower"] == "fine-tuned":
        return "The tower was fine-tuned in all cells above, as in the paper."
    return (
        "The paper trains the visual tower. Here it was trained in these cells only; all others are of a frozen tower."
    )


# --- printed in the paper


def paper_averages() -> list[dict[str, Any]]:
    """Table 3's "Avg." as printed and as the mean of the row's cells, and whether the two agree when rounded."""
    rows, out = paper.load("table3"), []
    for m in dict.fromkeys(r["method"] for r in rows):
        own = [r for r in rows if r["method"] == m]
        values = [r["value"] for r in own if r["dataset"] != "All" and r["value"] is not None]
        shown = next(r["value"] for r in own if r["dataset"] == "All")
        mean = float(np.mean(values))
        agrees = abs(mean - shown) <= 0.05 + 1e-9  # a half may go either way
        out.append({"method": m, "cells": len(values), "printed": shown, "mean": mean, "agrees": agrees})
    return out


def paper_table3(record: Record) -> Table:
    """Table 3 as printed, with "Avg." as printed and recomputed from the cells of the row."""
    rows = paper.load("table3")
    value = {(r["method"], r["dataset"], r["shots"]): r["value"] for r in rows}
    of = [d for d in dict.fromkeys(r["dataset"] for r in rows) if d != "All"]
    columns = [f"{d} K={k}" if k == SHOTS[0] else f"K={k}" for d in of for k in SHOTS]
    body = [
        [
            a["method"],
            *(value[a["method"], d, k] for d in of for k in SHOTS),
            a["printed"],
            f"{a['mean']:.2f}",
            a["cells"],
            "yes" if a["agrees"] else "no",
        ]
        for a in paper_averages()
    ]
    return Table(["Method", *columns, "Avg., printed", "Avg., recomputed", "of cells", "agree"], body)


def paper_table12(record: Record) -> Table:
    """Table 12 as printed."""
    rows = paper.load("table12")
    value = {(r["method"], r["backbone"], r["dataset"], r["shots"]): r["value"] for r in rows}
    of = list(dict.fromkeys(r["dataset"] for r in rows))
    lines = dict.fromkeys((r["method"], r["backbone"], r["shots"]) for r in rows)
    return Table(["Method", "Backbone", "K", *of], [[m, b, k, *(value[m, b, d, k] for d in of)] for m, b, k in lines])


def averages_text(record: Record) -> str:
    """Where the paper's averages differ from its cells, and which are not over the same cells as the others."""
    every = paper_averages()
    differ = [
        f"{a['method']}: {a['printed']:.1f} printed, {a['mean']:.2f} from its cells" for a in every if not a["agrees"]
    ]
    most = max(a["cells"] for a in every)
    fewer = [f"{a['method']}'s is over {a['cells']} cells, the others' over {most}" for a in every if a["cells"] < most]
    said = ("; ".join(differ) or "Every printed average is the mean of its cells", "; ".join(fewer))
    return " ".join(f"{part}." for part in said if part)


# --- figure

# Colour and marker of the methods that the paper's table has: their own where the registry has them too.
PAPER_LOOKS = {
    "Vanilla CLIP": ("#999999", "v"),
    "VideoPrompt": ("#66A61E", "s"),
    **{
        m.title: (m.colour, m.marker)
        for m in map(registry.get, ("actionclip", "x-clip", "vifi-clip", "tc-clip", "ost"))
    },
    "SFAR (ours)": ("#0072B2", "D"),
}


def figure(record: Record) -> Figure:
    """Accuracy over K, a column for each data set: measured under both conventions, and the paper's curves apart."""
    style.use()
    fig, axes = plt.subplots(3, len(LAYOUTS), figsize=(7.4, 7.6), sharex=True, layout="constrained")
    for column, d in zip(axes.T, LAYOUTS, strict=True):
        for ax, epoch in zip(column[:2], EPOCHS, strict=True):
            _draw_measured(ax, record, d, epoch)
        limits = [ax.get_ylim() for ax in column[:2]]
        for ax in column[:2]:
            ax.set_ylim(min(low for low, _ in limits), min(max(high for _, high in limits), 101))
        videos = record.data["sets"][d]["val_videos"]
        column[0].set_title(f"{page.set_title(d)} layout\n{videos} test videos", loc="left")
        draw_printed(column[2], page.set_title(d), shots_in(record))
        column[2].set_title(page.set_title(d), loc="left")
        column[2].set_xlabel("K, videos of each class")
    names = ("Measured, epoch: repeat", "Measured, epoch: once", "Printed in the paper, Table 3")
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(f"{name}\nTop-1 accuracy [%]")
    what = f"Measured: {record.profile} profile, {record.extra['tower']} tower, {page.seeds(record)}, 95 % intervals"
    handles, labels = _measured_legend(axes[0, 0], bool(_tuned_rows(record)))
    bold = {"weight": "bold", "size": 8}
    fig.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=4,
        title=what,
        alignment="left",
        title_fontproperties=bold,
    )
    printed_legend = axes[2, 0].get_legend_handles_labels()
    fig.legend(*printed_legend, loc="outside lower left", ncols=8, columnspacing=1.0, handletextpad=0.3)
    return fig


def _log_axis(ax: Axes, shots: tuple[int, ...]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(shots[0] / 1.35, shots[-1] * 1.35)
    ax.set_xticks(shots, [str(k) for k in shots])
    ax.minorticks_off()


def _draw_measured(ax: Axes, record: Record, of: str, epoch: str) -> None:
    each = shots_in(record)
    _log_axis(ax, each)
    vanilla = registry.get("vanilla")
    zero = cell(record, of, each[0], "vanilla", epoch)
    ax.axhspan(zero.low, zero.high, color=vanilla.colour, alpha=0.16, lw=0)
    ax.axhline(zero.mean, color=vanilla.colour, lw=1.2, ls="--", label=vanilla.title)
    trained = [m for m in registry.METHODS.values() if m.trained]
    # Side by side, so that intervals can be told apart.
    shift = {m.name: 2 ** (0.1 * (i - (len(trained) - 1) / 2)) for i, m in enumerate(trained)}
    for m in trained:
        values = [cell(record, of, k, m.name, epoch) for k in each]
        _curve(ax, values, np.array(each) * shift[m.name], m.colour, m.marker, m.title)
    if epoch == "repeat":
        own = registry.get("sfar")
        many = [cell(record, of, k, "sfar", epoch, lists=PROCESSES).mean for k in each]
        label = f"SFAR, {PROCESSES} unseeded lists"
        ax.plot(np.array(each) * shift["sfar"], many, ":", color=own.colour, lw=1.3, zorder=2, label=label)
        for r in _tuned_rows(record):
            if r.setting["dataset"] == of:
                m = registry.get(r.row)
                look = {"color": m.colour, "mfc": "white", "ms": 5.5, "mew": 1.2, "zorder": 5}
                ax.plot(r.setting["shots"] * shift[r.row], r.mean, m.marker, **look)


def _curve(ax: Axes, values: list[Row], x: np.ndarray, colour: str, marker: str, label: str) -> None:
    mean, low, high = (np.array([getattr(v, k) for v in values]) for k in ("mean", "low", "high"))
    look = {"color": colour, "marker": marker, "ms": 4, "mec": "white", "mew": 0.5, "lw": 1.2, "elinewidth": 0.9}
    ax.errorbar(x, mean, yerr=[mean - low, high - mean], label=label, zorder=3, **look)


def _measured_legend(ax: Axes, hollow: bool) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].endswith("lists"))  # behind the methods
    more = ax.plot([], [], "o", color=plots.SHADE, mfc="white", ms=5.5, mew=1.2, ls="none") if hollow else []
    return [*(handles[i] for i in order), *more], [
        *(labels[i] for i in order),
        *["hollow: tower fine-tuned"] * hollow,
    ]


def draw_printed(ax: Axes, title: str, shots: tuple[int, ...] = SHOTS) -> None:
    """Table 3's printed curves of the data set called ``title``, the axis as wide as that of the measured ``shots``."""
    _log_axis(ax, tuple(sorted({*SHOTS, *shots})))
    rows = [r for r in paper.load("table3") if r["dataset"] == title]
    for m, (colour, marker) in PAPER_LOOKS.items():
        points = [(r["shots"], r["value"]) for r in rows if r["method"] == m and r["value"] is not None]
        ours, vanilla = m == OURS["method"], m == "Vanilla CLIP"
        look = {
            "ls": "--" if vanilla else "-",
            "marker": None if vanilla else marker,
            "lw": 1.8 if ours else 1.0,
            "ms": 4.5 if ours else 3.5,
            "zorder": 4 if ours else 2,
        }
        x, y = zip(*points, strict=True) if points else ((), ())
        ax.plot(x, y, color=colour, mec="white", mew=0.4, label=m, **look)


LISTS = (
    f"BIKE's train.py draws the list with Python's `random`, which it does not seed: each of {PROCESSES} processes "
    "trains on a list of its own. What they see together, measured as one run on the united lists:"
)

BLOCKS = (
    Verdicts(),
    *(block for epoch, what in EPOCHS.items() for block in _accuracy(epoch, what)),
    Shown("averages", averages_differences, "Differences of the averages"),
    Drawn("figure", figure, "Table 3", file="table3"),
    *(block for of in LAYOUTS for block in _set(of)),
    Shown("epochs", epochs_table, "Both readings of an epoch"),
    Text(LISTS, "An unseeded list in each process"),
    Shown("lists", lists_table),
    Text(tuned_text, "Fine-tuned tower", "tuned-text"),
    Shown("tuned", tuned_table),
    Text(
        "Intervals are over seeds and videos; of an average over the same seeds in all data sets. Differences are "
        "paired over both."
    ),
    Shown("data", data_table),
    Text(averages_text, "Table 3 as printed (transcribed)", "averages-text"),
    Shown("table3-printed", paper_table3),
    Shown("table12-printed", paper_table12, "Table 12 as printed (transcribed; larger towers, K = 2 and 5)"),
    Provenance(),
)

STUDY = Study(
    id="few_shot",
    title="Tables 3 and 12: few-shot",
    notebook="05_few_shot",
    covers=(
        Item(
            "table3",
            "Table 3: few-shot",
            (
                Quantity(
                    "SFAR, mean over K and data sets [%]",
                    lambda: printed.number("table3", "value", dataset="All", **OURS),
                    lambda r: average(r, "sfar", "repeat"),
                ),
            ),
        ),
        Item(
            "table12",
            "Table 12: few-shot, other backbones (the record of Table 3: the storyboard world has one tower)",
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    sets=sets,
    describe=lambda record: (
        "A seed draws the list of K videos of each class, the weights of the head and the order of training."
    ),
)
