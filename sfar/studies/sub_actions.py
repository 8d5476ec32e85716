"""Table 4: accuracy per class with N = 2 and N = 5 sub-texts, and an N of its own for each class.

The paper explains its five gains by "complex, multi-stage" classes. In the storyboard world the number of atomic
actions of a class is known. The runs are those of Figure 7a.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import Profile
from sfar.data.source import dataset, is_drawn, knobs_of
from sfar.paper import printed
from sfar.render import plots, style
from sfar.render.tables import Table, interval
from sfar.storyboard.knobs import script
from sfar.storyboard.scripts import ACTIVITIES
from sfar.studies import ablations
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import Content, Item, Quantity, Study

# --- what is compared ------------------------------------------------------------------------------------------------

NS = (2, 3, 4, 5)
FIXED = 5  # what the class-aware N is held against
MANY = 3  # atomic actions that make a class multi-stage


def _per_class(delta: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Mean over the videos of each class: [seeds, classes] from [seeds, videos]."""
    return np.stack([delta[:, labels == c].mean(1) for c in classes], 1)


def _class_aware(
    scores: dict[int, np.ndarray], labels: np.ndarray, videos: np.ndarray
) -> tuple[np.ndarray, dict[int, list[int]]]:
    """Hits [seeds, videos] in percent of a predictor whose score of class c is of the model trained with N_c sub-texts.

    N_c is the N of best accuracy on that class in the other half of its videos (``videos``: half 0 or 1 of each), the
    larger where equal: chosen on the videos it is tested on, it would win by luck. Also the N chosen for each half.
    """
    hit = {n: 100.0 * (s.argmax(-1) == labels) for n, s in scores.items()}
    out = np.zeros_like(hit[NS[0]])
    chosen: dict[int, list[int]] = {}
    for half in (0, 1):
        learn, test = videos != half, videos == half
        pick = []
        for c in range(scores[NS[0]].shape[-1]):
            own = learn & (labels == c)
            quality = {n: (round(float(hit[n][:, own].mean()), 6), n) for n in NS} if own.any() else {}
            pick.append(max(NS, key=quality.__getitem__) if quality else FIXED)
        chosen[half] = pick
        mixed = np.stack([scores[n][..., c] for c, n in enumerate(pick)], -1)
        out[:, test] = 100.0 * (mixed.argmax(-1) == labels)[:, test]
    return out, chosen


def _aware(by: study.Runs, labels: np.ndarray, classes: list[str]) -> tuple[list[Row], list[Contrast], dict[str, Any]]:
    """A class-aware N against N = 5; nothing where the test set is too large for its scores to be kept."""
    if not all("scores" in r["views"]["1x1"] for n in NS for r in by[f"n{n}"]):
        return [], [], {}
    half = np.zeros(len(labels), int)
    for c in range(len(classes)):
        half[labels == c] = np.arange((labels == c).sum()) % 2
    scores = {n: np.array([r["views"]["1x1"]["scores"] for r in by[f"n{n}"]]) for n in NS}
    hits, chosen = _class_aware(scores, labels, half)
    fixed = 100.0 * (scores[FIXED].argmax(-1) == labels)
    rows = [
        study.measured("class-aware", "own", "an N for each class", hits),
        study.measured("class-aware", "fixed", f"N = {FIXED} for all", fixed),
    ]
    picked = {name: [chosen[0][c], chosen[1][c]] for c, name in enumerate(classes)}
    return rows, [study.difference("own", "fixed", hits, fixed, "class-aware")], {"chosen": picked}


def _kinds(gains: np.ndarray, actions: np.ndarray) -> list[Contrast]:
    """Mean gain of the classes of many and of few atomic actions, classes of equal weight; over seeds and classes."""
    out = []
    for name, own in (("3 or more", actions >= MANY), ("2", actions < MANY)):
        if own.any():
            found = statistics.interval(gains[:, own])
            more = {"classes": int(own.sum())}
            out.append(study.contrast(f"n{FIXED}", "n2", found, part="kinds", actions=name, more=more))
    return out


def measure(profile: Profile, workers: int | None) -> Content:
    """Accuracy of each class with each N; its gain; where the scripts are known, whether more actions gain more."""
    known = is_drawn(profile)  # a real class may have the name of one that has a script
    if not known:
        ablations.need_subtexts(profile, dataset(profile).classes)
    by = study.run(profile, ablations.FIG7A, workers, "sub-actions")
    first = by["n2"][0]
    labels = np.array(first["labels"])
    value = {n: study.hits(by[f"n{n}"]) for n in NS}
    delta = value[FIXED] - value[2]
    # Kinetics loses videos, a class may have none left.
    present = [c for c in range(len(first["classes"])) if (labels == c).any()]
    gains = []
    for c in present:
        name, own = first["classes"][c], labels == c
        more = {
            "actions": len(script(name, knobs_of(profile))) if known and name in ACTIVITIES else None,
            "videos": int(own.sum()),
            **{f"n{n}": round(float(value[n][:, own].mean()), 4) for n in NS},
        }
        found = statistics.interval(delta[:, own])
        gains.append(study.contrast(f"n{FIXED}", "n2", found, part="classes", more=more, cls=name))
    actions = np.array([g.more["actions"] or 0 for g in gains], float)
    contrasts = sorted(gains, key=lambda g: (-g.mean, g.setting["cls"]))
    if actions.all() and len(set(actions)) > 1:
        of_class = _per_class(delta, labels, present)
        rho = statistics.correlation(actions, of_class.mean(0))["rho"]
        contrasts.append(study.contrast("gain", "actions", rho, part="trend", metric="rho", unit=""))
        contrasts += _kinds(of_class, actions)
    rows, aware, extra = _aware(by, labels, first["classes"])
    seeds = list(study.seeds_of(profile, ablations.FIG7A[0]))
    return Content(study.about(by["n2"]), rows, contrasts + aware, extra, study.seconds(by), seeds)


# --- what is claimed -------------------------------------------------------------------------------------------------

CLAIMS = (
    Claim(
        "table4-trend",
        "table4",
        "classes of more atomic actions gain more from N = 2 to N = 5 (Spearman's rho)",
        "Table 4, section 4.3",
        above("gain", "actions", title="no correlation", part="trend"),
    ),
    Claim(
        "table4-many",
        "table4",
        "classes of 3 or more atomic actions do better with N = 5 than with N = 2",
        "Table 4, section 4.3",
        above(f"n{FIXED}", "n2", title="N = 2", part="kinds", actions="3 or more"),
    ),
    Claim(
        "table4-few",
        "table4",
        "classes of 2 atomic actions do better with N = 2 than with N = 5",
        "Table 4, section 4.3",
        above(f"n{FIXED}", "n2", title="N = 5", sign=-1, part="kinds", actions="2"),
    ),
    Claim(
        "table4-class-aware",
        "table4",
        "an N for each class, chosen on other videos, beats a fixed N = 5",
        "section 4.3",
        above("own", "fixed", title="N = 5", part="class-aware"),
        "+0.5",
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

KINDS = {2: ("#E69F00", "o"), 3: ("#009E73", "s"), 4: ("#0072B2", "D")}  # atomic actions in the script of a class
PLAIN = ("#0072B2", "o")
ENDS = 15  # of a longer list the figure shows so many from each end


def _classes(record: Record) -> list[Contrast]:
    return record.contrasts_of("classes")


def _known(record: Record) -> bool:
    """Whether the number of atomic actions of any class is known: of real videos it is not."""
    return any(c.more["actions"] for c in _classes(record))


def classes_table(record: Record) -> Table:
    """Accuracy of every class with each N, sorted by the gain from N = 2 to N = 5."""
    known = _known(record)
    body, bare = [], []
    for c in _classes(record):
        head = [c.setting["cls"], *[c.more["actions"]] * known]
        numbers = [c.more[f"n{n}"] for n in NS]
        body.append([*head, c.more["videos"], *numbers, f"{c.mean:+z.1f}", interval(c, 1, True)])
        bare.append([*head, c.more["n2"], c.more[f"n{FIXED}"], c.mean, c.low, c.high])
    columns = ["Class", *["Atomic actions"] * known, "Videos", *(f"N = {n} [%]" for n in NS)]
    return Table(
        [*columns, f"N = {FIXED} − N = 2", "95 % interval"],
        body,
        latex=Table(
            ["Class", *["Actions"] * known, "N = 2 [%]", f"N = {FIXED} [%]", "Gain", "low", "high"],
            bare,
            caption=f"Accuracy of each class with N = 2 and N = {FIXED} sub-texts (Table 4). {page.counted(record)}",
        ),
    )


def chance(record: Record) -> str:
    """How many classes lie off zero, and how many would by chance: the ends of a sorted list are the luckiest draws."""
    n = len(_classes(record))
    off = sum(not c.low <= 0 <= c.high for c in _classes(record))
    return (
        f"Intervals are over seeds and the videos of the class. {off} of {n} intervals lie off zero, about "
        f"{0.05 * n:.0f} would by chance if no class gained anything. A list sorted by what was measured has its "
        "luckiest classes at the ends."
    )


def kinds_table(record: Record) -> Table | None:
    """Mean gain of classes of many and of few atomic actions; None where nobody knows their number."""
    rows = [
        [
            f"classes of {c.setting['actions']} atomic actions",
            c.more["classes"],
            f"{c.mean:+z.1f}",
            interval(c, 1, True),
        ]
        for c in record.contrasts_of("kinds")
    ]
    return Table(["Mean gain of", "Classes", f"N = {FIXED} − N = 2 [points]", "95 % interval"], rows) if rows else None


def trend_text(record: Record) -> str:
    """Whether classes of more atomic actions gain more, or why nobody can say."""
    found = record.contrasts_of("trend")
    if not found:
        return (
            "All classes have the same number of atomic actions."
            if _known(record)
            else "How many atomic actions a class has is known in the storyboard world alone, not for real videos."
        )
    return (
        f"Spearman's rho of gain and number of atomic actions: {found[0].mean:+z.2f} "
        f"(95 % interval {interval(found[0], 2, True)}). "
        "Both are over classes, the means over seeds too."
    )


def class_aware_table(record: Record) -> Table | None:
    """An N for each class against a fixed one."""
    rows = [[r.title, r.mean, page.deviation(r), interval(r)] for r in record.select("class-aware")]
    return Table(["Sub-texts", "Top-1 [%]", "std", "95 % interval"], rows) if rows else None


def class_aware_text(record: Record) -> str:
    """How the N of each class was chosen, or why it was not."""
    found = record.contrasts_of("class-aware")
    if not found:
        return "An N for each class needs the scores of all videos, which are kept for small test sets alone."
    chosen = record.extra["chosen"]
    picked = [n for pair in chosen.values() for n in pair]
    alike = sum(x == y for x, y in chosen.values())
    return (
        f"Difference: {found[0].mean:+z.1f} points ({interval(found[0], 1, True)}). The score of a class comes from "
        "the model of its N, the one that did best on that class in the other half of its videos. Chosen in both "
        f"halves alike: {alike} of {len(chosen)} classes; "
        + ", ".join(f"N = {n} {picked.count(n)} times" for n in NS)
        + ". The interval takes the choice as given."
    )


def contradictions() -> list[dict[str, Any]]:
    """Printed rows whose difference is not that of their two accuracies."""
    return [r for r in paper.load("table4") if abs(r["n5"] - r["n2"] - r["difference"]) > 0.05]


def _printed(row: dict[str, Any]) -> str:
    return f"{row['difference']:+.1f}" if row["difference"] else "0.0"


def paper_table(record: Record) -> Table:
    """Table 4 as printed."""
    rows = [[r["action"], r["n2"], r["n5"], _printed(r)] for r in paper.load("table4")]
    return Table(["Action", "N = 2 [%]", "N = 5 [%]", "Difference"], rows)


def paper_text(record: Record) -> str:
    """Where the printed table contradicts itself, and what the text says of a class-aware N."""
    notes = [
        f"{r['action']}: {_printed(r)} is printed beside {r['n2']:.1f} and {r['n5']:.1f}, which differ by "
        f"{r['n5'] - r['n2']:+.1f}."
        for r in contradictions()
    ]
    quote = (
        'Section 4.3: "only found marginal improvement over fixed N=5, 0.5% and 0.2% for Top-1 and Top-5, respectively"'
        " with an N for each class."
    )
    return "\n\n".join([*notes, quote])


# --- figure


def _shown(rows: list[Contrast]) -> list[Contrast]:
    return rows if len(rows) <= 2 * ENDS else [*rows[:ENDS], *rows[-ENDS:]]


def _kind(row: Contrast) -> tuple[str, str]:
    return KINDS.get(row.more["actions"], PLAIN)


def _dumbbell(ax: Axes, y: float, start: float, end: float, colour: str, marker: str) -> None:
    ax.plot([start, end], [y, y], color=colour, lw=1.8, alpha=0.55, solid_capstyle="butt", zorder=2)
    ax.plot(start, y, marker, color=colour, mfc="white", ms=4.2, mew=1.1, zorder=3)
    ax.plot(end, y, marker, color=colour, ms=4.8, mec="white", mew=0.5, zorder=4)


def _note(ax: Axes, y: float, text: str) -> None:
    """A number at the right edge."""
    ax.annotate(
        text.replace("-", "−"),
        (1.01, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=6.5,
        color="#333333",
    )


def figure(record: Record) -> Figure:
    """N = 2 and N = 5 of every class, gain over the number of atomic actions where known, the paper's ten apart."""
    style.use()
    rows = _shown(_classes(record))
    fig = plt.figure(figsize=(7.2, max(4.2, 0.19 * len(rows) + 1.2)), layout="constrained")
    grid = fig.add_gridspec(2, 2, width_ratios=[1.25, 1])
    _draw_classes(fig.add_subplot(grid[:, 0]), record, rows)
    if record.contrasts_of("trend"):
        _draw_trend(fig.add_subplot(grid[0, 1]), record)
        _draw_paper(fig.add_subplot(grid[1, 1]))
    else:
        _draw_paper(fig.add_subplot(grid[:, 1]))
    return fig


def _draw_classes(ax: Axes, record: Record, rows: list[Contrast]) -> None:
    for k, r in enumerate(reversed(rows)):
        _dumbbell(ax, k, r.more["n2"], r.more[f"n{FIXED}"], *_kind(r))
        _note(ax, k, f"{r.mean:+z.1f}")
    ax.set_yticks(range(len(rows)), [r.setting["cls"] for r in reversed(rows)], fontsize=6.5)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Accuracy of the class [%]")
    total = len(_classes(record))
    what = f"ends of {total} classes" if total > len(rows) else "gain at the right"
    ax.set_title(f"Measured: {record.profile} profile\n{page.count(record)}, {what}", loc="left")
    ax.grid(axis="y", visible=False)
    ax.plot([], [], "o", color=plots.SHADE, mfc="white", ms=4.2, label="N = 2")
    ax.plot([], [], "o", color=plots.SHADE, ms=4.8, label=f"N = {FIXED}")
    for n, (colour, marker) in KINDS.items():
        if any(r.more["actions"] == n for r in rows):
            ax.plot([], [], marker, color=colour, ms=4.8, label=f"{n} actions")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.42, -0.07), ncols=5, columnspacing=1.0, handletextpad=0.1)


def _draw_trend(ax: Axes, record: Record) -> None:
    ax.axhline(0, color=plots.SHADE, lw=0.8, zorder=1)
    numbers = sorted({r.more["actions"] for r in _classes(record)})
    for n in numbers:
        own = [r for r in _classes(record) if r.more["actions"] == n]
        gain = [r.mean for r in own]
        spread = np.linspace(-0.2, 0.2, len(own)) if len(own) > 1 else [0.0]
        order = np.random.default_rng(0).permutation(len(own))  # sorted by gain as they are, they would make a slope
        colour, marker = KINDS.get(n, PLAIN)
        ax.plot(
            [n + spread[k] for k in order], gain, marker, color=colour, ms=4, mec="white", mew=0.5, ls="none", zorder=3
        )
        ax.plot([n - 0.3, n + 0.3], [np.mean(gain)] * 2, color="#222222", lw=1.6, zorder=4)
    (t,) = record.contrasts_of("trend")
    ax.set_xticks(numbers)
    ax.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    ax.set_xlabel("Atomic actions of the class")
    ax.set_ylabel(f"Gain, N = 2 to {FIXED} [points]")
    ax.set_title(
        f"Do multi-stage classes gain more?\nρ = {t.mean:+z.2f} ({interval(t, 2, True)}); bars: means".replace(
            "-0", "−0"
        ),
        loc="left",
    )
    ax.grid(axis="x", visible=False)


def _draw_paper(ax: Axes) -> None:
    rows = sorted(paper.load("table4"), key=lambda r: r["difference"])
    wrong = [r["action"] for r in contradictions()]
    for y, r in enumerate(rows):
        _dumbbell(ax, y, r["n2"], r["n5"], style.PAPER, "o")
        _note(ax, y, _printed(r) + "*" * (r["action"] in wrong))
    ax.set_yticks(range(len(rows)), [r["action"] for r in rows], fontsize=6.5)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("Accuracy of the class [%]")
    ax.set_title(
        "Printed in the paper: Kinetics-400\nTable 4" + (", *: contradicts its row" if wrong else ""), loc="left"
    )
    ax.grid(axis="y", visible=False)


BLOCKS = (
    Verdicts(),
    Shown("classes", classes_table, "Accuracy of each class", latex=True, terminal=True),
    Text(chance, id="chance"),
    Drawn("figure", figure, "Table 4", file="table4"),
    Shown("kinds", kinds_table, "Gain and number of atomic actions", terminal=True),
    Text(trend_text, id="trend"),
    Shown("class-aware", class_aware_table, "An N for each class", terminal=True),
    Text(class_aware_text, id="class-aware-text"),
    Shown("table4-printed", paper_table, "Table 4 as printed (transcribed, Kinetics-400)"),
    Text(paper_text, id="paper-text"),
    Provenance(),
)

STUDY = Study(
    id="sub_actions",
    title="Table 4: sub-actions",
    notebook="09_sub_actions",
    covers=(
        Item(
            "table4",
            "Table 4: N = 2 against N = 5 by class",
            (
                Quantity(
                    "largest gain of a class, picked after the fact [points]",
                    lambda: printed.signed(max(r["difference"] for r in paper.load("table4"))),
                    lambda r: _classes(r)[0],
                ),
            ),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    needs=("ablations",),
    check=study.one_label,
    tested_on_unseen=True,
    texts=ablations.texts_of,
)
