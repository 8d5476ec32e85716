"""Table 2c: three other methods without and with the fine-grained video embedding (FVE), and with a control.

The tower is frozen; every method has the same frames, optimiser, schedule and seeds. The schedule is the profile's and,
beside it, three times as long. The control is the same branch with equal weights over frames: what FVE adds beyond that
is due to the weights of Eq. 9.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import Profile
from sfar.model import registry
from sfar.model.other_methods import FVE, OTHER_METHODS
from sfar.paper import printed
from sfar.render import plots, style
from sfar.render.tables import Table, interval
from sfar.runs.other_methods import OtherMethodJob, run_other_methods
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest
from sfar.studies.core.record import Contrast, Record
from sfar.studies.core.study import FROZEN, Content, Item, Study, Variant

# --- what is compared ------------------------------------------------------------------------------------------------

MOST = 3  # seeds of a row: these heads are trained one by one
LONGER = 3  # times the profile's epochs
SCHEDULES = {"profile": 1, "longer": LONGER}
PAIRS = (("fine", "none", 1), ("fine", "none", 5), ("mean", "none", 1), ("fine", "mean", 1))  # plug, against, top k


def _job(profile: Profile, schedule: str, base: str, plug: str, seed: int) -> OtherMethodJob:
    epochs = SCHEDULES[schedule] * profile.train.epochs
    return OtherMethodJob(study.job(profile, _variant(epochs), seed), base, plug)


def _variant(epochs: int) -> Variant:
    # The profile's own values, not those that the search found for SFAR: the hosts were not searched for.
    return Variant("sfar", "", "sfar", (*FROZEN, ("train.epochs", epochs)), tuned=False)


def measure(profile: Profile, workers: int | None) -> Content:
    """Every method with every plug under both schedules, on every seed."""
    cells = [(s, b, p) for s in SCHEDULES for b in OTHER_METHODS for p in FVE]
    seeds = study.seeds_of(profile, _variant(profile.train.epochs), MOST)
    plan = {(*cell, seed): _job(profile, *cell, seed) for cell in cells for seed in seeds}
    made = dict(zip(plan, run_other_methods(list(plan.values()), workers), strict=True))
    by = {cell: [made[(*cell, s)] for s in seeds] for cell in cells}
    value = {(cell, k): study.hits(runs, k) for cell, runs in by.items() for k in (1, 5)}
    rows, contrasts = [], []
    for s, b, p in cells:
        run = by[s, b, p][0]
        for k in (1, 5):
            found = study.measured(
                s, f"{b}/{p}", OTHER_METHODS[b].title, value[(s, b, p), k], f"top{k}", run["trained"], base=b, plug=p
            )
            found.more["parameters"] = run["parameters"]
            rows.append(found)
    for s in SCHEDULES:
        for b in OTHER_METHODS:
            for p, against, k in PAIRS:
                one, other = value[(s, b, p), k], value[(s, b, against), k]
                contrasts.append(
                    study.difference(f"{b}/{p}", f"{b}/{against}", one, other, s, metric=f"top{k}", base=b)
                )

    def average(plug: str) -> np.ndarray:
        return np.mean([value[("profile", b, plug), 1] for b in OTHER_METHODS], 0)

    contrasts.append(study.difference("fine", "mean", average("fine"), average("mean"), "average"))
    first = next(iter(made.values()))
    data = {"val_videos": len(first["labels"]), "classes": len(first["classes"])}
    extra = {"epochs": {s: n * profile.train.epochs for s, n in SCHEDULES.items()}}
    return Content(data, rows, contrasts, extra, sum(r["seconds"] for r in made.values()), list(seeds))


# --- what is claimed -------------------------------------------------------------------------------------------------


def _printed_gain(base: str) -> str:
    title = OTHER_METHODS[base].title
    value = {(r["method"], r["fve"]): r["top1"] for r in paper.load("table2c")}
    return printed.signed(value[title, "✓"] - value[title, "✗"])


def _gains(record: Record) -> list[Contrast]:
    pairs = [(f"{b}/fine", f"{b}/none") for b in OTHER_METHODS]
    return [record.contrast(one, other, "profile", "top1") for one, other in pairs]


def _without(base: str) -> str:
    return f"{OTHER_METHODS[base].title} without"


CLAIMS = (
    *(
        Claim(
            f"table2c-{base}",
            "table2c",
            f"FVE raises the accuracy of {method.title}",
            "Table 2c, section 4.3",
            above(f"{base}/fine", f"{base}/none", title=_without(base), part="profile", metric="top1"),
            lambda base=base: _printed_gain(base),
        )
        for base, method in OTHER_METHODS.items()
    ),
    Claim(
        "table2c-all",
        "table2c",
        "FVE raises the accuracy of all three",
        "section 4.3",
        highest(_gains, lambda record, c: _without(c.setting["base"])),
    ),
    Claim(
        "table2c-weights",
        "table2c",
        "in the same branch the weights of Eq. 9 beat equal weights, on average over the three",
        "control (not a claim of the paper)",
        above("fine", "mean", title="equal weights", part="average"),
        own=True,
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

MARKS = {"none": "✗", "mean": "equal weights", "fine": "✓"}
WORDS = {
    ("fine", "none"): "with FVE − without",
    ("mean", "none"): "equal weights − without",
    ("fine", "mean"): "FVE − equal weights",
}


def rows_table(record: Record) -> Table:
    """The measured table."""
    rows = []
    for a in record.select(metric="top1"):
        b = record.find(a.part, a.row, "top5")
        head = [a.title, MARKS[a.setting["plug"]], record.extra["epochs"][a.part]]
        rows.append(
            [*head, a.mean, page.deviation(a), a.low, a.high, b.mean, page.deviation(b), a.seeds, a.more["parameters"]]
        )
    columns = ["Method", "FVE", "Epochs", "Top-1 [%]", "Top-1 std", "Top-1 low", "Top-1 high", "Top-5 [%]", "Top-5 std"]
    caption = f"Three methods without and with the fine-grained video embedding, FVE (Table 2c). {page.counted(record)}"
    return Table([*columns, "Seeds", "Trained parameters"], rows, caption=caption)


def _differences(schedule: str) -> Shown:
    """Paired differences of one schedule: the same seeds, the same videos."""

    def make(record: Record) -> Table:
        rows = []
        for c in record.contrasts_of(schedule):
            pair = c.row.split("/")[1], c.against.split("/")[1]
            name = OTHER_METHODS[c.setting["base"]].title
            words = [name, WORDS[pair], c.metric.replace("top", "Top-"), f"{c.mean:+.1f}"]
            rows.append([*words, interval(c, 1, True), style.verdict_word(c.verdict)])
        return Table(["Method", "Difference", "Metric", "Mean [points]", "95 % interval", "The first is"], rows)

    heading = {"profile": "Differences, the profile's epochs", "longer": f"Differences, {LONGER} times as many epochs"}
    return Shown(f"differences-{schedule}", make, heading[schedule])


def figure(record: Record) -> Figure:
    """Accuracy without and with FVE, the paired differences, and the paper's rows apart from them."""
    style.use()
    fig, axes = plt.subplots(1, 3, figsize=(10.4, 3.5), width_ratios=[1.15, 1.15, 0.8], layout="constrained")
    epochs = record.extra["epochs"]
    places = [(b, s) for b in reversed(OTHER_METHODS) for s in reversed(epochs)]
    at = {place: i + 0.5 * (i // len(epochs)) for i, place in enumerate(places)}
    names = [f"{OTHER_METHODS[b].title}, {epochs[s]} epochs" for b, s in places]
    _draw_accuracy(axes[0], record, at)
    _draw_differences(axes[1], record, at)
    for ax, labels in ((axes[0], names), (axes[1], [""] * len(names))):
        plots.categories(ax, list(at.values()), labels, below=0.7, above=0.7)
    _draw_printed(axes[2])
    found = [ax.get_legend_handles_labels() for ax in axes[:2]]
    handles, labels = ([x for part in side for x in part] for side in zip(*found, strict=True))
    fig.legend(handles, labels, loc="outside lower center", ncols=5, handlelength=1.4, columnspacing=1.6)
    return fig


def _draw_accuracy(ax: Axes, record: Record, at: dict[tuple[str, str], float]) -> None:
    looks = (
        ("none", "o", 6.0, "white", style.PAPER, 1.0, "without FVE", 0.0),
        # Below the others, and free of them: in some methods it lies where FVE is left out.
        ("mean", "s", 4.5, style.UNIFORM, "white", 0.6, "same branch, equal weights", -0.36),
        ("fine", "o", 6.0, style.FINE, "white", 0.6, "with FVE", 0.0),
    )
    for i, ((base, schedule), y) in enumerate(at.items()):
        value = {plug: record.find(schedule, f"{base}/{plug}").mean for plug in FVE}
        ax.plot([value["none"], value["fine"]], [y, y], color=style.FINE, lw=1.4, zorder=2)
        for plug, marker, size, face, edge, width, label, shift in looks:
            look = {"ms": size, "mfc": face, "mec": edge, "mew": width, "ls": "", "zorder": 3}
            ax.plot(value[plug], y + shift, marker, label=label if i == 0 else None, **look)
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title(f"Measured: {record.profile} world\n{page.count(record)}, frozen tower", loc="left")


def _draw_differences(ax: Axes, record: Record, at: dict[tuple[str, str], float]) -> None:
    ax.axvline(0, color="#888888", lw=1, ls="--", zorder=1)
    pairs = (
        ("none", style.FINE, "o", "FVE − without"),
        ("mean", registry.get("sfar").colour, "D", "FVE − equal weights"),
    )
    for k, (against, colour, marker, label) in enumerate(pairs):
        for i, ((base, schedule), y) in enumerate(at.items()):
            c = record.contrast(f"{base}/fine", f"{base}/{against}", schedule, "top1")
            reach = [[c.mean - c.low], [c.high - c.mean]]
            look = {"color": colour, "marker": marker, "ms": 5 - k, "mec": "white", "mew": 0.5, "lw": 1.4, "ls": ""}
            ax.errorbar(c.mean, y + (0.16 if k == 0 else -0.16), xerr=reach, label=label if i == 0 else None, **look)
    ax.set_xlabel("Difference in top-1 [points]")
    ax.set_title("Paired differences\n95 % intervals over seeds and videos", loc="left")


def _draw_printed(ax: Axes) -> None:
    value = {(r["method"], r["fve"]): r["top1"] for r in paper.load("table2c")}
    titles = [m.title for m in reversed(OTHER_METHODS.values())]
    for y, title in enumerate(titles):
        a, b = value[title, "✗"], value[title, "✓"]
        ax.plot([a, b], [y, y], color=style.PAPER, lw=1.4)
        ax.plot(a, y, "o", ms=6, mfc="white", mec=style.PAPER)
        ax.plot(b, y, "o", ms=6, color=style.PAPER, mec="white", mew=0.6)
        text = printed.signed(b - a)
        ax.annotate(text, (b, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7)
    plots.categories(ax, list(range(len(titles))), titles, below=0.7, above=0.7)
    plots.widen(ax, right=0.14)
    ax.set_xlabel("Top-1 accuracy [%]")
    ax.set_title("Printed in the paper\nTable 2c, Kinetics-400", loc="left")


def describe(record: Record) -> str:
    """What was tested on."""
    d = record.data
    videos = f"{d['val_videos']} validation videos of {d['classes']} classes"
    return f"{videos}; compact heads over the frames of a frozen tower."


BLOCKS = (
    Shown("rows", rows_table, "Measured", latex=True, terminal=True),
    Text(
        '"equal weights" is a control: the same branch, every frame weighted alike. Intervals are over seeds and '
        "videos."
    ),
    *(_differences(s) for s in SCHEDULES),
    Verdicts(),
    Text(lambda r: f"Of the profile's schedule ({r.extra['epochs']['profile']} epochs), in top-1."),
    Drawn("figure", figure, "Table 2c", file="table2c"),
    Printed(
        "table2c",
        {"method": "Method", "fve": "FVE", "top1": "Top-1 [%]", "top5": "Top-5 [%]"},
        "Printed in the paper (transcribed, Kinetics-400)",
    ),
    Provenance(),
)

STUDY = Study(
    id="generalization",
    title="Table 2c: the fine-grained video embedding in other methods",
    notebook="08_generalization",
    covers=(Item("table2c", "Table 2c: the fine-grained video embedding in other methods"),),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=describe,
    check=study.one_label,
)
