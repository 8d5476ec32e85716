"""Table 2a: multi-label recognition in the Charades layout, mean average precision by every named variant.

Beside it, in the storyboard world, what the temperature over frames has to do with it: a video of several actions is
scored by how its present classes stand against the absent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import Profile
from sfar.data.source import is_drawn
from sfar.model import registry
from sfar.model.method import Method
from sfar.paper import printed
from sfar.paper.printed import OURS
from sfar.render import plots, style
from sfar.render.plots import Series
from sfar.render.tables import Table, interval, with_interval
from sfar.runs.run import MAP_BATCH
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant
from sfar.training.metrics import VARIANTS, mean_ap, mean_ap_without

# --- what is compared ------------------------------------------------------------------------------------------------

SETS = {"storyboard": "storyboard-charades", "real": "charades"}
HEADLINE = (
    "present"  # classes without positives left out: the official number where, as on the official set, all have some
)
MOST = 10  # seeds of a row on a frozen tower: these longer videos are drawn anew for each
TOWERS = ("fine-tuned", "frozen")
# The temperature over frames (Eq. 7, 9), the tower frozen, every method with the profile's values.
TEMPERATURES = (0.03, 0.1, 0.3, 1.0, 3.0)
TEMPERED = ("single", "sfar-printed", "sfar")
TEMPERED_SEEDS = 5
_STEPS = tuple(pairwise(TEMPERATURES))


def sets(profile: Profile) -> tuple[str, ...]:
    """The data set, drawn or real."""
    return (SETS["storyboard" if is_drawn(profile) else "real"],)


def protocol(profile: Profile) -> tuple[tuple[str, Any], ...]:
    """What makes the profile one of Charades; drawn, with half as many of its longer videos for each seed."""
    few = (("data.train_per_class", max(1, profile.data.train_per_class // 2)),) if is_drawn(profile) else ()
    return study.protocol(profile, sets(profile)[0]) + few


def variants(profile: Profile) -> dict[str, tuple[Variant, ...]]:
    """By tower: every method on the frozen one (where CLIP itself is zero-shot), every trained one fine-tuned."""
    base = protocol(profile)
    frozen = [m for m in registry.METHODS.values() if m.name != "clip"]
    tuned = [m for m in registry.METHODS.values() if m.trained]
    return {
        "frozen": tuple(
            Variant(f"frozen/{m.name}", m.title, m.name, base + (FROZEN if m.trained else ())) for m in frozen
        ),
        "fine-tuned": tuple(Variant(f"fine-tuned/{m.name}", m.title, m.name, base) for m in tuned),
    }


def _row(tower: str, method: str) -> str:
    """The row of a method in a comparison under ``tower``: what is not trained has one row for both."""
    return f"{tower if registry.get(method).trained else 'frozen'}/{method}"


def tempered(profile: Profile) -> dict[tuple[str, str, float], Variant]:
    """By what it is for, method and temperature; nothing on real data sets."""
    if not is_drawn(profile):
        return {}
    kinds = {"multi-label": protocol(profile), "supervised": ()}
    return {
        (of, name, t): Variant(
            f"temperature/{of}/{name}/{t:g}",
            registry.get(name).title,
            name,
            (*base, *FROZEN, ("model.frame_temperature", t)),
            tuned=False,
        )
        for of, base in kinds.items()
        for name in TEMPERED
        for t in TEMPERATURES
    }


def _positive(run: dict[str, Any]) -> np.ndarray:
    scores = run["views"]["1x1"]["scores"]
    out = np.zeros((len(scores), len(scores[0])), bool)
    for row, labels in zip(out, run["views"]["1x1"]["sets"], strict=True):
        row[labels] = True
    return out


def headline(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The headline's mAP of each seed: ``scores`` [seeds, V, C], ``positive`` [V, C]."""
    return np.array([mean_ap(one, positive, HEADLINE) for one in scores])


def map_intervals(
    scores: dict[Any, np.ndarray], positive: np.ndarray, pairs: Sequence[tuple[Any, Any]]
) -> dict[Any, statistics.Found]:
    """``headline`` of every entry of ``scores`` and of the difference of every pair of names, with intervals."""
    return statistics.metric_intervals(
        scores,
        lambda s, keep: headline(s[:, keep], positive[keep]),
        len(positive),
        pairs,
        lambda s: np.array([mean_ap_without(one, positive) for one in s]),
    )


def measure(profile: Profile, workers: int | None) -> Content:
    """Every method on every seed, mAP by the headline's variant with intervals, by the others without."""
    towers = variants(profile)
    every = [v for rows in towers.values() for v in rows]
    by = study.run(profile, every, workers, "multi-label", MOST)
    positive = _positive(by["frozen/vanilla"][0])
    scores = {v.name: np.array([r["views"]["1x1"]["scores"] for r in by[v.name]]) for v in every}

    every_pair = [(_row(tower, a), _row(tower, b)) for tower in towers for a, b in study.compared()]
    pairs = [pair for pair in every_pair if {*pair} <= scores.keys()]
    found = map_intervals(scores, positive, pairs)
    rows = []
    for tower, own in towers.items():
        for v in own:
            runs = by[v.name]
            per_seed = headline(scores[v.name], positive)
            mean, low, high = (round(x, 4) for x in found[v.name][:3])
            more = {
                n: round(float(np.mean([r["views"]["1x1"]["map"][n] for r in runs])), 4)
                for n in VARIANTS
                if n in runs[0]["views"]["1x1"]["map"]
            }
            rows.append(
                Row(
                    tower,
                    v.name,
                    v.title,
                    "map",
                    mean,
                    low,
                    high,
                    std=round(float(per_seed.std(ddof=1)) if len(per_seed) > 1 else 0.0, 4),
                    seeds=len(per_seed),
                    videos=len(positive),
                    per_seed=per_seed.round(4).tolist(),
                    trained=runs[0]["trained"],
                    more={"variants": more},
                )
            )
    contrasts = [study.contrast(a, b, found[a, b], part=a.split("/")[0], metric="map") for a, b in pairs]
    swept = tempered(profile)
    if swept:
        more = study.run(profile, list(swept.values()), workers, "temperatures", TEMPERED_SEEDS)
        by |= more
        found_rows, found_contrasts = _temperature(swept, more, positive)
        rows += found_rows
        contrasts += found_contrasts
    own = by["fine-tuned/sfar"]
    data = {
        **study.about(own),
        "videos": len(positive),
        "classes": positive.shape[1],
        "labels_per_video": round(float(positive.sum(1).mean()), 2),
        "without_label": int((~positive.any(1)).sum()),
        "without_positive": int((~positive.any(0)).sum()),
        "frames": every[0].profile(profile, 0).train.frames,
    }
    return Content(data, rows, contrasts, {}, study.seconds(by))


def standard_scores(scores: np.ndarray) -> np.ndarray:
    """Scores [..., videos, classes] with mean 0 and deviation 1 within each class, over the videos."""
    off = scores - scores.mean(-2, keepdims=True)
    spread = scores.std(-2, keepdims=True)
    return np.divide(off, spread, out=np.zeros_like(off), where=spread > 0)


def _temperature(
    swept: dict[tuple[str, str, float], Variant], by: study.Runs, positive: np.ndarray
) -> tuple[list[Row], list[Contrast]]:
    """Of each method and temperature: mAP, mean standard score of present and of absent classes, supervised top-1."""
    multi = {(name, t): v for (of, name, t), v in swept.items() if of == "multi-label"}
    scores: dict[Any, np.ndarray] = {
        at: np.array([r["views"]["1x1"]["scores"] for r in by[v.name]]) for at, v in multi.items()
    }

    def standing(which: np.ndarray) -> Any:
        return lambda s, keep: standard_scores(s[:, keep])[:, which[keep]].mean(1)

    steps = [((name, b), (name, a)) for name in TEMPERED for a, b in (*_STEPS, (0.1, 1.0))]
    standings = {"present": standing(positive), "absent": standing(~positive)}
    found = {"map": map_intervals(scores, positive, steps)}
    found |= {
        metric: statistics.metric_intervals(scores, each, len(positive), []) for metric, each in standings.items()
    }
    rows = []
    for (name, t), v in multi.items():
        setting = {"method": name, "temperature": t}
        runs = by[v.name]
        of_seeds = {metric: each(scores[name, t], slice(None)) for metric, each in standings.items()}
        of_seeds["map"] = headline(scores[name, t], positive)
        for metric, intervals in found.items():
            mean, low, high = (round(x, 4) for x in intervals[name, t][:3])
            seeds = of_seeds[metric].round(4).tolist()
            rows.append(
                Row(
                    "temperature",
                    f"{name}/{t:g}",
                    v.title,
                    metric,
                    mean,
                    low,
                    high,
                    seeds=len(seeds),
                    videos=len(positive),
                    per_seed=seeds,
                    trained=runs[0]["trained"],
                    setting=setting,
                )
            )
        hits = study.hits(by[swept["supervised", name, t].name])
        rows.append(
            study.measured("temperature", f"{name}/{t:g}", v.title, hits, "top1", runs[0]["trained"], **setting)
        )
    contrasts = [
        study.contrast(f"{a[0]}/{a[1]:g}", f"{b[0]}/{b[1]:g}", found["map"][a, b], part="temperature", metric="map")
        for a, b in steps
    ]
    return rows, contrasts


# --- what is claimed -------------------------------------------------------------------------------------------------


def over_rivals(record: Record, tower: str, own: Method) -> list[Contrast]:
    """The contrasts of a reading of SFAR under ``tower`` with its rivals."""
    rivals = {_row(tower, m.name) for m in registry.rivals()}
    return [c for c in record.contrasts_of(tower, f"{tower}/{own.name}") if c.against in rivals]


def _highest(tower: str, own: Method) -> Claim:
    return Claim(
        named(f"table2a-highest-{tower}", own),
        "table2a",
        f"{own.title} has the highest mAP ({tower} tower)",
        "Table 2a, section 4.2",
        highest(lambda record: over_rivals(record, tower, own)),
        lambda: printed.lead("table2a", "map"),
    )


CLAIMS = (
    *(_highest(tower, own) for own in registry.own() for tower in TOWERS),
    Claim(
        "table2a-temperature",
        "table2a",
        "a higher temperature over frames raises SFAR's mAP (1 against 0.1, frozen tower)",
        "Eq. 7, 9 (not a claim of the paper)",
        above("sfar/1", "sfar/0.1", title="temperature 0.1", part="temperature", metric="map"),
        own=True,
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------


def _title(row: Row) -> str:
    return f"{row.title}, {row.part}" if row.trained else row.title


def _methods(record: Record) -> list[Row]:
    """The rows of the methods, without those of the temperatures."""
    return [r for r in record.select(metric="map") if r.part in TOWERS]


def _frozen_seeds(record: Record) -> str:
    return f"Tower frozen: {page.seeds(record, record.select('frozen'))}"


def rows_table(record: Record) -> Table:
    """Mean average precision of every row."""
    rows = _methods(record)
    body = [[_title(r), r.mean, page.deviation(r), interval(r), r.seeds_text, r.trained_text] for r in rows]
    bare = [[_title(r), r.mean, page.deviation(r), r.low, r.high, r.more["variants"].get("bike")] for r in rows]
    caption = f"Mean average precision, Charades layout (Table 2a). {page.counted(record)} {_frozen_seeds(record)}."
    return Table(
        ["Method, tower", "mAP [%]", "std", "95 % interval", "Seeds", "Trained"],
        body,
        latex=Table(["Method, tower", "mAP", "std", "low", "high", "BIKE's running average"], bare, caption=caption),
    )


def differences_table(record: Record) -> Table:
    """Paired differences: the same seeds, the same videos."""
    titles = {r.row: _title(r) for r in _methods(record)}
    return page.contrasts_table([c for c in record.contrasts if c.part in TOWERS], titles.__getitem__)


def variants_table(record: Record) -> Table:
    """The same scores by every variant of the metric, averaged over the seeds; what BIKE's average takes away."""
    rows = []
    for r in _methods(record):
        of = r.more["variants"]
        rows.append([_title(r), *(of.get(v) for v in VARIANTS), f"{of['bike'] - of[HEADLINE]:+.1f}"])
    return Table(["Method, tower", *VARIANTS, f"bike − {HEADLINE}"], rows)


def variants_text(record: Record) -> str:
    """What the variants are."""
    return "\n".join(
        f"- **{name}**: {what}" + (f"; batches of {MAP_BATCH}" if name == "bike" else "")
        for name, what in VARIANTS.items()
    )


def data_table(record: Record) -> Table:
    """The facts on which the metric's variants differ."""
    d = record.data
    facts = {
        "Test videos": d["videos"],
        "Classes": d["classes"],
        "Labels per test video, mean": d["labels_per_video"],
        "Test videos without any label": d["without_label"],
        "Classes without a positive test video": d["without_positive"],
        "Training clips (one timed action each)": d["train_clips"],
        "Frames per clip": d["frames"],
        "Undecodable videos, named in the record": len(d["undecodable"]),
        "Missing videos, named in the record": len(d["missing"]),
    }
    return Table(["", "Value"], [[k, v] for k, v in facts.items()])


def figure(record: Record) -> Figure:
    """Measured mAP, tower fine-tuned and frozen, and the paper's printed values in a panel of their own."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), width_ratios=[1.25, 1], layout="constrained")

    def of(part: str, trained: bool) -> dict[str, Row]:
        return {r.row.split("/")[1]: r for r in record.select(part) if bool(r.trained) == trained}

    series = (
        Series(of("fine-tuned", True), "tower fine-tuned, as in the paper"),
        Series(of("frozen", True), _frozen_seeds(record).lower(), "s", hollow=True, size=4.5, shift=-0.3),
        Series(of("frozen", False), "nothing trained", "D", size=4.5),
    )
    methods = registry.METHODS.values()
    title = f"Measured: {record.profile} profile\n{page.count(record)}, 95 % intervals"
    colours = {m.name: m.colour for m in methods}
    plots.dot_panel(
        ax, {m.name: m.title for m in methods}, series, colours, title, "Mean average precision [%]", room=0.07
    )
    rows = paper.load("table2a")
    plots.printed_panel(
        right,
        [(r["method"], r["map"]) for r in rows],
        [registry.get("sfar").colour if r["method"] == OURS["method"] else style.PAPER for r in rows],
        "Printed in the paper: Charades\nTable 2a, metric's variant not stated",
        "Mean average precision [%]",
    )
    plots.marker_legend(fig, series, loc="outside lower left", ncols=3)
    return fig


METRICS = {
    "map": "mAP [%]",
    "present": "Standard score of present classes",
    "absent": "of absent classes",
    "top1": "Supervised, Kinetics-400 layout: top-1 [%]",
}


def _at(record: Record, method: str, t: float, metric: str) -> Row:
    return record.find("temperature", f"{method}/{t:g}", metric)


def _has_temperatures(record: Record) -> bool:
    return bool(record.select("temperature"))


def temperature_table(record: Record) -> Table | None:
    """Every method at every temperature."""
    if not _has_temperatures(record):
        return None
    rows = []
    for name in TEMPERED:
        for t in TEMPERATURES:
            each = {metric: _at(record, name, t, metric) for metric in METRICS}
            cells = [with_interval(r, 1 if metric in ("map", "top1") else 2, False) for metric, r in each.items()]
            rows.append([each["map"].title, f"{t:g}", *cells, each["map"].seeds])
    return Table(["Method", "Temperature", *METRICS.values(), "Seeds"], rows)


def temperature_text(record: Record) -> str:
    """What is measured, and where each method is best."""
    if not _has_temperatures(record):
        return ""
    best = []
    for name in TEMPERED:
        at = {m: max(TEMPERATURES, key=lambda t, m=m: _at(record, name, t, m).mean) for m in ("map", "top1")}
        best.append(f"{registry.get(name).title}: mAP at {at['map']:g}, top-1 at {at['top1']:g}")
    return (
        "The softmax over frames at other temperatures, tower frozen, every method with the profile's own values. A "
        "score is standardized within its class over the test videos, so that present classes stand above zero and "
        f"absent ones below it. Highest: {'; '.join(best)}."
    )


def temperature_figure(record: Record) -> Figure | None:
    """Scores of present and absent classes, mAP and supervised top-1, each against the temperature."""
    if not _has_temperatures(record):
        return None
    style.use()
    fig, axes = plt.subplots(1, 3, figsize=(7.4, 2.9), layout="constrained")
    panels: tuple[tuple[Axes, tuple[str, ...], str, str], ...] = (
        (axes[0], ("present", "absent"), "Scores of present and\nabsent classes", "Mean standard score"),
        (axes[1], ("map",), f"Multi-label\n{record.data['videos']} test videos", "Mean average precision [%]"),
        (
            axes[2],
            ("top1",),
            f"Supervised\n{_at(record, 'sfar', 1.0, 'top1').videos} test videos",
            "Top-1 accuracy [%]",
        ),
    )
    for ax, metrics, title, label in panels:
        for k, name in enumerate(TEMPERED):
            for metric in metrics:
                _curve(ax, record, name, metric, 1.07 ** (k - 1))
        if len(metrics) > 1:
            ax.axhline(0, color=plots.SHADE, lw=0.8, zorder=1)
        ax.set_xscale("log")
        ax.set_xticks(TEMPERATURES, [f"{t:g}" for t in TEMPERATURES])
        ax.minorticks_off()
        ax.set_xlabel("Temperature over frames")
        ax.set_ylabel(label)
        ax.set_title(title, loc="left")
    handles, labels = axes[1].get_legend_handles_labels()
    handles += axes[0].plot([], [], "-", color=plots.SHADE, label="present")
    handles += axes[0].plot([], [], "--", color=plots.SHADE, label="absent")
    seeds = _at(record, "sfar", TEMPERATURES[0], "map").seeds
    look = {"alignment": "left", "title_fontproperties": {"weight": "bold", "size": 8}, "columnspacing": 1.4}
    title = f"{record.profile} profile, frozen tower, {seeds} seeds, 95 % intervals"
    labels = [*labels, "classes present", "classes absent"]
    fig.legend(handles, labels, loc="outside lower left", ncols=5, title=title, **look)
    return fig


def _curve(ax: Axes, record: Record, name: str, metric: str, shift: float) -> None:
    method = registry.get(name)
    rows = [_at(record, name, t, metric) for t in TEMPERATURES]
    mean, low, high = (np.array([getattr(r, k) for r in rows]) for k in ("mean", "low", "high"))
    absent = metric == "absent"
    look = {"color": method.colour, "marker": method.marker, "ms": 4, "mew": 0.8, "lw": 1.2, "elinewidth": 0.9}
    face = {"mfc": "white", "ls": "--"} if absent else {"mec": "white", "ls": "-"}
    label = None if absent else method.title
    ax.errorbar(np.array(TEMPERATURES) * shift, mean, yerr=[mean - low, high - mean], label=label, **look, **face)  # pyright: ignore[reportArgumentType]


def describe(record: Record) -> str:
    """What was trained and tested on."""
    return (
        "Charades layout: trained on the timed actions one by one, tested on whole videos, "
        f"{record.data['frames']} frames, single view."
    )


BLOCKS = (
    Verdicts(),
    Text(f'mAP by the variant "{HEADLINE}": {VARIANTS[HEADLINE]}.', "Measured"),
    Shown("rows", rows_table, latex=True, terminal=True),
    Shown("differences", differences_table, "SFAR against the others"),
    Drawn("figure", figure, "Table 2a", file="table2a"),
    Text("Intervals are over seeds and videos (jackknife); differences are paired over both."),
    Shown("variants", variants_table, "The same scores by every variant of the metric"),
    Text(variants_text, id="variants-text"),
    Text(temperature_text, "Why: the temperature over frames", "temperature-text"),
    Drawn("temperature-figure", temperature_figure, "Temperature over frames", file="temperature"),
    Shown("temperature", temperature_table),
    Shown("data", data_table, "Data"),
    Printed(
        "table2a",
        {"method": "Method", "input_frames": "Frames", "map": "mAP [%]"},
        "Table 2a as printed (transcribed)",
    ),
    Provenance(),
)

STUDY = Study(
    id="multi_label",
    title="Table 2a: multi-label recognition",
    notebook="07_charades",
    covers=(
        Item(
            "table2a",
            "Table 2a: Charades, multi-label",
            (
                Quantity(
                    "SFAR, mAP [%]",
                    lambda: printed.number("table2a", "map", **OURS),
                    lambda r: r.find("fine-tuned", "fine-tuned/sfar", "map"),
                ),
            ),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=describe,
    sets=sets,
)
