"""Table 2a: multi-label recognition in the Charades layout, mean average precision by every named variant."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
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
from sfar.render.tables import Table, interval
from sfar.runs.run import MAP_BATCH
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, highest, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant
from sfar.training.metrics import VARIANTS, mean_ap

# --- what is compared ------------------------------------------------------------------------------------------------

SETS = {"storyboard": "storyboard-charades", "real": "charades"}
HEADLINE = (
    "present"  # classes without positives left out: the official number where, as on the official set, all have some
)
TUNED = ("clip", "single", "sfar-printed", "sfar")
TOWERS = ("fine-tuned", "frozen")


def sets(profile: Profile) -> tuple[str, ...]:
    """The data set, drawn or real."""
    return (SETS["storyboard" if is_drawn(profile) else "real"],)


def variants(profile: Profile) -> dict[str, tuple[Variant, ...]]:
    """By tower: every method on the frozen one (where CLIP itself is what zero-shot is), three of them fine-tuned."""
    base = study.protocol(profile, sets(profile)[0])
    frozen = [m for m in registry.METHODS.values() if m.name != "clip"]
    tuned = [registry.get(name) for name in TUNED]
    return {
        "frozen": tuple(
            Variant(f"frozen/{m.name}", m.title, m.name, base + (FROZEN if m.trained else ())) for m in frozen
        ),
        "fine-tuned": tuple(Variant(f"fine-tuned/{m.name}", m.title, m.name, base) for m in tuned),
    }


def _positive(run: dict[str, Any]) -> np.ndarray:
    scores = run["views"]["1x1"]["scores"]
    out = np.zeros((len(scores), len(scores[0])), bool)
    for row, labels in zip(out, run["views"]["1x1"]["sets"], strict=True):
        row[labels] = True
    return out


def measure(profile: Profile, workers: int | None) -> Content:
    """Every method on every seed, mAP by the headline's variant with intervals, by the others without."""
    towers = variants(profile)
    every = [v for rows in towers.values() for v in rows]
    by = study.run(profile, every, workers, "multi-label")
    positive = _positive(by["frozen/vanilla"][0])
    scores = {v.name: np.array([r["views"]["1x1"]["scores"] for r in by[v.name]]) for v in every}

    def headline(s: np.ndarray, keep: Any) -> np.ndarray:
        return np.array([mean_ap(one[keep], positive[keep], HEADLINE) for one in s])

    names = {v.name for v in every}
    pairs = [
        (f"{tower}/{a}", f"{tower}/{b}")
        for tower in towers
        for a, b in study.compared()
        if {f"{tower}/{a}", f"{tower}/{b}"} <= names
    ]
    found = statistics.metric_intervals(scores, headline, len(positive), pairs)
    rows = []
    for tower, own in towers.items():
        for v in own:
            runs = by[v.name]
            per_seed = headline(scores[v.name], slice(None))
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


# --- what is claimed -------------------------------------------------------------------------------------------------


def _highest(tower: str, own: Method) -> Claim:
    def over_rivals(record: Record) -> list[Contrast]:
        rivals = {f"{tower}/{m.name}" for m in registry.rivals()}
        return [c for c in record.contrasts_of(tower, f"{tower}/{own.name}") if c.against in rivals]

    return Claim(
        named(f"table2a-highest-{tower}", own),
        "table2a",
        f"{own.title} has the highest mAP ({tower} tower)",
        "Table 2a, section 4.2",
        highest(over_rivals),
        lambda: printed.lead("table2a", "map"),
    )


CLAIMS = tuple(_highest(tower, own) for own in registry.own() for tower in TOWERS)


# --- what is shown ---------------------------------------------------------------------------------------------------


def _title(row: Row) -> str:
    return f"{row.title}, {row.part}" if row.trained else row.title


def rows_table(record: Record) -> Table:
    """Mean average precision of every row."""
    body = [[_title(r), r.mean, r.std, interval(r), r.seeds_text, r.trained_text] for r in record.select(metric="map")]
    bare = [
        [_title(r), r.mean, r.std, r.low, r.high, r.more["variants"].get("bike")] for r in record.select(metric="map")
    ]
    caption = f"Mean average precision, Charades layout (Table 2a). {page.counted(record)}"
    return Table(
        ["Method, tower", "mAP [%]", "std", "95 % interval", "Seeds", "Trained"],
        body,
        latex=Table(["Method, tower", "mAP", "std", "low", "high", "BIKE's running average"], bare, caption=caption),
    )


def differences_table(record: Record) -> Table:
    """Paired differences: the same seeds, the same videos."""
    titles = {r.row: _title(r) for r in record.rows}
    return page.contrasts_table(record.contrasts, titles.__getitem__)


def variants_table(record: Record) -> Table:
    """The same scores by every variant of the metric, averaged over the seeds; what BIKE's average takes away."""
    rows = []
    for r in record.rows:
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
        Series(of("frozen", True), "tower frozen", "s", hollow=True, size=4.5, shift=-0.3),
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
