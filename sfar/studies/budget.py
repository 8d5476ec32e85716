"""Accuracy against what is spent on training: videos of each class, and epochs over all of them, every method.

The tower is frozen; few-shot lists are repeated up to the length of the full one, so that a budget of videos changes
what is seen and not how often. The same runs are tested supervised and on both unseen sets.
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
from sfar.model import registry
from sfar.model.method import Method
from sfar.render import style
from sfar.render.tables import Table, with_interval
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, TESTS, Content, Item, Study, Variant
from sfar.studies.few_shot import PAPER_LOOKS, draw_printed

# --- what is compared ------------------------------------------------------------------------------------------------

SHOTS = (2, 4, 8, 16)  # and all training videos, ``data.train_per_class``
EPOCHS = (1, 3, 6, 12)  # over all training videos
MOST = 5  # seeds of a budget, of which there are some forty
SWEEPS = ("videos", "epochs")


def budgets(profile: Profile) -> dict[str, tuple[int, ...]]:
    """The budgets of each sweep."""
    full = profile.data.train_per_class
    return {"videos": (*(k for k in SHOTS if k < full), full), "epochs": EPOCHS}


def variants(profile: Profile) -> dict[tuple[str, str, int], Variant]:
    """By sweep, method and budget; zero-shot CLIP once, under budget 0 of "videos"."""
    out: dict[tuple[str, str, int], Variant] = {}
    for m in registry.METHODS.values():
        if not m.trained:
            out["videos", m.name, 0] = Variant(m.name, m.title, m.name, zero_shot=True)
            continue
        for sweep, amounts in budgets(profile).items():
            for n in amounts:
                few = sweep == "videos" and n < profile.data.train_per_class
                changes: tuple[tuple[str, Any], ...] = FROZEN
                if few:
                    changes += (("data.shots", n), ("train.few_shot_epoch", "repeat"))
                if sweep == "epochs":
                    changes += (("train.epochs", n),)
                out[sweep, m.name, n] = Variant(
                    f"{sweep}/{m.name}/{n}", m.title, m.name, changes, zero_shot=True, seeded_list=few
                )
    return out


def measure(profile: Profile, workers: int | None) -> Content:
    """Every method at every budget, and both readings of SFAR against the others at each."""
    plan = variants(profile)
    by = study.run(profile, list(plan.values()), workers, "budgets", MOST)
    value = {at: study.tested(by[v.name]) for at, v in plan.items()}
    rows: list[Row] = []
    for (sweep, name, n), v in plan.items():
        runs = by[v.name]
        for test, hits in value[sweep, name, n].items():
            setting = {"test": test, "budget": n}
            rows.append(study.measured(sweep, name, v.title, hits, "top1", runs[0]["trained"], **setting))
    zero = {m.name: ("videos", m.name, 0) for m in registry.METHODS.values() if not m.trained}
    contrasts: list[Contrast] = []
    amounts = budgets(profile)
    for sweep in SWEEPS:
        for n in amounts[sweep]:
            for a, b in study.compared():
                one, other = value[sweep, a, n], value[zero.get(b, (sweep, b, n))]
                contrasts += [
                    study.difference(a, b, one[test], other[test], sweep, test=test, budget=n) for test in TESTS
                ]
    few, full = amounts["videos"][0], amounts["videos"][-1]
    gain = {m: value["videos", m, full]["supervised"] - value["videos", m, few]["supervised"] for m in GAINS}
    contrasts.append(study.difference(*GAINS, *(gain[m] for m in GAINS), "gain", test="supervised"))  # pyright: ignore[reportCallIssue]
    first = by[plan["videos", "sfar", full].name]
    tests = {test: hits.shape[1] for test, hits in value["videos", "sfar", full].items()}
    data = {**study.about(first), "tests": tests, "budgets": {k: list(v) for k, v in amounts.items()}}
    return Content(data, rows, contrasts, {}, study.seconds(by), [int(r["seed"]) for r in first])


# --- what is claimed -------------------------------------------------------------------------------------------------

GAINS = ("sfar-printed", "sfar")

CLAIMS = (
    Claim(
        "budget-printed-gains",
        "budget",
        f"all training videos instead of {SHOTS[0]} of a class gain more for SFAR as printed than for SFAR as chosen",
        "not a claim of the paper",
        above(*GAINS, title="SFAR", part="gain"),
        own=True,
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

AXES = {"videos": "Training videos of each class", "epochs": "Epochs over all training videos"}
PAPER_SETS = ("Kinetics-400", "UCF-101", "HMDB-51")


def amounts_of(record: Record, sweep: str) -> list[int]:
    """The budgets of a sweep."""
    return record.data["budgets"][sweep]


def cell(record: Record, sweep: str, test: str, method: Method, budget: int) -> Row:
    """The accuracy of a method at a budget; zero-shot CLIP has one for all."""
    if method.trained:
        return record.find(sweep, method.name, test=test, budget=budget)
    return record.find("videos", method.name, test=test, budget=0)


def _table(sweep: str) -> Shown:
    def make(record: Record) -> Table:
        amounts = amounts_of(record, sweep)
        rows = []
        for test in TESTS:
            for m in registry.METHODS.values():
                cells = [cell(record, sweep, test, m, n) for n in amounts]
                rows.append([TESTS[test], m.title, *map(with_interval, cells), cells[0].seeds_text])
        unit = sweep.removesuffix("s")
        return Table(["Test", "Method", *(f"{n} {unit}{'s' * (n != 1)}" for n in amounts), "Seeds"], rows)

    return Shown(sweep, make, AXES[sweep], terminal=True)


def _differences(sweep: str) -> Shown:
    """Both readings of SFAR against the others, with marks."""

    def make(record: Record) -> Table:
        amounts = amounts_of(record, sweep)
        rows = []
        for test in TESTS:
            for a, b in study.compared():
                cells = [page.marked(_against(record, sweep, test, a, b, n)) for n in amounts]
                rows.append([TESTS[test], f"{registry.get(a).title} − {registry.get(b).title}", *cells])
        return Table(["Test", "Difference [points]", *map(str, amounts)], rows)

    return Shown(f"{sweep}-differences", make)


def _against(record: Record, sweep: str, test: str, a: str, b: str, n: int) -> Contrast:
    return record.contrast(a, b, sweep, test=test, budget=n)


def changes(record: Record, sweep: str) -> list[str]:
    """Where the order changes: pairs of which one leads at one budget and the other at a larger one, by intervals."""
    unit = "videos" if sweep == "videos" else "epochs"
    out = []
    for test in TESTS:
        for a, b in study.compared():
            decided = [(n, _against(record, sweep, test, a, b, n).verdict) for n in amounts_of(record, sweep)]
            sure = [(n, v) for n, v in decided if v in ("holds", "does not hold")]
            for (n, was), (k, now) in pairwise(sure):
                if was != now:
                    front, behind = (a, b) if now == "holds" else (b, a)
                    out.append(
                        f"{TESTS[test]}: {registry.get(behind).title} leads {registry.get(front).title} with {n} "
                        f"{unit} and is behind it with {k}"
                    )
    return out


def order_text(record: Record) -> str:
    """Where the order changes in both sweeps."""
    parts = []
    for sweep in SWEEPS:
        found = changes(record, sweep)
        what = AXES[sweep].lower()
        listed = "; ".join(found) if found else "no pair changes its order beyond the intervals"
        parts.append(f"{what.capitalize()}: {listed}.")
    return " ".join(parts)


def catching_up(record: Record) -> str:
    """From which budget SFAR as printed is no longer behind zero-shot CLIP, and from which it leads."""
    out = []
    for sweep in SWEEPS:
        unit = "videos of each class" if sweep == "videos" else "epochs"
        for test in TESTS:
            each = [(n, _against(record, sweep, test, "sfar-printed", "vanilla", n)) for n in amounts_of(record, sweep)]
            level = _from(each, ("holds", "equal", "undecided"))
            ahead = _from(each, ("holds",))
            last, c = each[-1]
            if level is None:
                words = f"is behind it at all budgets, by {-c.mean:.1f} points still with {last}"
            elif ahead is None:
                words = f"is no longer behind it from {level} on, and never ahead"
            else:
                words = f"is no longer behind it from {level} on, and ahead from {ahead} on"
            out.append(f"{TESTS[test]}, {unit}: {words}")
    return f"SFAR as printed against zero-shot CLIP. {'; '.join(out)}."


def _from(each: Sequence[tuple[int, Contrast]], verdicts: tuple[str, ...]) -> int | None:
    """The budget from which on every verdict is one of these."""
    found = None
    for n, c in reversed(each):
        if c.verdict not in verdicts:
            break
        found = n
    return found


def paper_table(record: Record) -> Table:
    """The paper's few-shot rows of vanilla CLIP and SFAR by K."""
    value = {(r["method"], r["dataset"], r["shots"]): r["value"] for r in paper.load("table3")}
    rows = [[m, of, *(value[m, of, k] for k in SHOTS)] for of in PAPER_SETS for m in PAPER_LOOKS]
    return Table(["Method", "Data set", *(f"K={k}" for k in SHOTS)], rows)


def figure(record: Record) -> Figure:
    """Measured accuracy over both budgets on each test set, and the paper's few-shot curves below, apart from them."""
    style.use()
    fig, axes = plt.subplots(3, len(TESTS), figsize=(7.4, 7.4), layout="constrained")
    for column, test in enumerate(TESTS):
        for ax, sweep in zip(axes[:, column], SWEEPS, strict=False):
            _draw(ax, record, sweep, test)
        axes[0, column].set_title(f"{TESTS[test]}\n{record.data['tests'][test]} test videos", loc="left")
        limits = [ax.get_ylim() for ax in axes[:2, column]]
        for ax in axes[:2, column]:
            ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        draw_printed(axes[2, column], PAPER_SETS[column])
        axes[2, column].set_xlabel("K, videos of each class")
        axes[2, column].set_title(f"{PAPER_SETS[column]}, Table 3", loc="left")
    for ax, name in zip(axes[:, 0], ("Measured", "Measured", "Printed in the paper"), strict=True):
        ax.set_ylabel(f"{name}\nTop-1 accuracy [%]")
    what = f"Measured: {record.profile} profile, frozen tower, {page.seeds(record)}, 95 % intervals"
    bold = {"weight": "bold", "size": 8}
    handles = axes[0, 0].get_legend_handles_labels()
    look = {"alignment": "left", "title_fontproperties": bold, "columnspacing": 1.2, "handlelength": 1.6}
    fig.legend(*handles, loc="outside upper left", ncols=6, title=what, **look)
    printed_legend = axes[2, 0].get_legend_handles_labels()
    fig.legend(*printed_legend, loc="outside lower left", ncols=8, columnspacing=1.0, handletextpad=0.3)
    return fig


def _axis(ax: Axes, amounts: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(amounts[0] / 1.3, amounts[-1] * 1.3)
    ax.set_xticks(amounts, [str(n) for n in amounts])
    ax.minorticks_off()


def _draw(ax: Axes, record: Record, sweep: str, test: str) -> None:
    amounts = amounts_of(record, sweep)
    _axis(ax, amounts)
    ax.set_xlabel(AXES[sweep])
    trained = [m for m in registry.METHODS.values() if m.trained]
    for m in registry.METHODS.values():
        if not m.trained:
            zero = cell(record, sweep, test, m, amounts[0])
            ax.axhspan(zero.low, zero.high, color=m.colour, alpha=0.16, lw=0)
            ax.axhline(zero.mean, color=m.colour, lw=1.2, ls="--", label=m.title)
    for k, m in enumerate(trained):
        rows = [cell(record, sweep, test, m, n) for n in amounts]
        mean, low, high = (np.array([getattr(r, key) for r in rows]) for key in ("mean", "low", "high"))
        x = np.array(amounts) * 2 ** (0.07 * (k - (len(trained) - 1) / 2))  # side by side
        look = {"color": m.colour, "marker": m.marker, "ms": 3.8, "mec": "white", "mew": 0.5, "lw": 1.2}
        ax.errorbar(x, mean, yerr=[mean - low, high - mean], elinewidth=0.9, label=m.title, zorder=3, **look)


HOW = (
    "Every method has what the search on development worlds found for it; a sweep over epochs sets the epochs. A list "
    "of few videos is drawn from all with the seed, and repeated up to the length of the full one in each epoch. The "
    "tower is frozen, on which Baseline (CLIP) trains the logit scale alone. Top-1 accuracy in percent with its 95 % "
    "interval over seeds and videos, zero-shot over all classes; ▲ the first is higher, ▼ lower, = equal."
)

BLOCKS = (
    Text(HOW, "How it is measured", "how"),
    Text(order_text, "Where the order changes", "order"),
    Text(catching_up, id="catching-up"),
    Drawn("figure", figure, "Accuracy against the budget of training", file="budget"),
    _table("videos"),
    _differences("videos"),
    _table("epochs"),
    _differences("epochs"),
    Shown("table3-printed", paper_table, "Few-shot rows as printed (transcribed, Table 3)"),
    Verdicts(),
    Provenance(),
)

STUDY = Study(
    id="budget",
    title="Budget: accuracy against training videos and epochs (not of the paper)",
    notebook="13_budget",
    covers=(Item("budget", "Budget: accuracy against training videos and epochs (not of the paper)"),),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    check=study.drawn_alone,
    drawn_only=True,
    beyond=True,
)
