"""Figure 7b and Table 2d: TPP of groups of sub-texts against the accuracy of SFAR trained with each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sfar import paper
from sfar.config import Profile, digest
from sfar.data.source import dataset
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import load_clip
from sfar.model.method import Method
from sfar.paper import printed
from sfar.render import style
from sfar.render.tables import Table, interval
from sfar.studies.ablations import in_reading, reading_of
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, Decision, above, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant
from sfar.subtexts.groups import GROUPS, open_group
from sfar.subtexts.source import subtexts_of
from sfar.subtexts.tpp import READINGS, Score, score

# --- what is compared ------------------------------------------------------------------------------------------------

# Their four texts differ in the wording around one phrase only: TPP as printed, which has the product of two small
# numbers in its denominator, puts them orders of magnitude above all others. The correlation is given without them too.
ONE_PHRASE = ("redundant", "class-name")
ALL, SEVERAL = "all", "without one phrase"


def group_names(profile: Profile, groups: Sequence[str] = ()) -> list[str]:
    """The groups to compare: those given (names of ``subtexts/groups.py`` or JSON files), else the storyboard world's.

    Raises ``ConfigError`` for fewer than three: no line can be fitted.
    """
    drawn = profile.data.dataset == "storyboard-kinetics" and not profile.data.root
    names = list(groups) or (list(GROUPS) if drawn else [])
    if not drawn and (wrong := set(names) & set(GROUPS)):
        raise ConfigError(
            f"{', '.join(sorted(wrong))}: the storyboard world's groups do not describe the classes of "
            f"{profile.data.dataset}; give a label set with bundled sub-texts, such as kinetics400, or JSON files"
        )
    if len(set(names)) != len(names) or len(names) < 3:
        raise ConfigError(
            f"expected at least three different groups of sub-texts, got {', '.join(names) or 'none'}: "
            "give JSON files written by `sfar subtexts generate`"
        )
    return names


CHOSEN = registry.own()[0]
MOST = 10  # seeds of a group in a reading, of which there are thirty


def variant(group: str, m: Method = CHOSEN) -> Variant:
    """SFAR with a group, the tower frozen: what differs is the texts, and many seeds take less than one tower."""
    title = GROUPS[group].title if group in GROUPS else group
    return Variant(in_reading(m, group), title + reading_of(m), m.name, (*FROZEN, ("model.subtexts", group)))


def texts_of(profile: Profile, groups: Sequence[str] = ()) -> dict[str, str]:
    """Hash of the texts of each group: what the record follows from beside code and configuration."""
    names = group_names(profile, groups)
    return {g: digest(dict(open_group(g, profile.model.n_subtexts))) for g in names}


def planned(profile: Profile) -> list[tuple[Variant, Sequence[int]]]:
    """Each group in each reading of SFAR with its seeds."""
    every = [variant(g, m) for m in registry.own() for g in group_names(profile)]
    return [(v, study.seeds_of(profile, v, MOST)) for v in every]


def measure(profile: Profile, workers: int | None, groups: Sequence[str] = ()) -> Content:
    """Score, train and evaluate every group on every seed, in each reading of SFAR; correlate.

    What is of the reading as printed has its parts in the record, called so (``named``).
    """
    names = group_names(profile, groups)
    every = [variant(g, m) for m in registry.own() for g in names]
    by = study.run(profile, every, workers, "training with each group", MOST)
    clip = load_clip(profile.model.clip, profile.model.pretrained)
    classes = dataset(profile).classes
    scores = {g: score(subtexts_of(variant(g).profile(profile, 0), classes), clip, profile.model.prompt) for g in names}
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    for m in registry.own():
        runs = {g: by[variant(g, m).name] for g in names}
        more_rows, more_contrasts = _of_reading(m, names, scores, runs)
        rows += more_rows
        contrasts += more_contrasts
    first = by[names[0]]
    seeds = list(study.seeds_of(profile, variant(names[0]), MOST))
    data = {"val_videos": len(first[0]["labels"]), "classes": len(classes), "seeds": seeds}
    return Content(data, rows, contrasts, {}, study.seconds(by), seeds)


def _of_reading(
    m: Method, names: list[str], scores: dict[str, Score], runs: study.Runs
) -> tuple[list[Row], list[Contrast]]:
    """The rows and contrasts of one reading of SFAR."""
    rows: list[Row] = []
    hits = np.stack([study.hits(runs[g]) for g in names])
    for g in names:
        s = scores[g]
        more = {
            "kind": GROUPS[g].kind if g in GROUPS else "file",
            "tpp": {r: round(s.mean(r), 4) for r in READINGS},
            "sigma": round(float(s.sigma.mean()), 4),
            "delta": round(float(s.delta.mean()), 4),
        }
        title = variant(g).title
        for k in (1, 5):
            found, trained = study.hits(runs[g], k), runs[g][0]["trained"]
            rows.append(study.measured(named("groups", m), g, title, found, f"top{k}", trained, dict(more)))
    contrasts = [*_correlations(m, names, scores, hits), *_best_by_tpp(m, names, scores, hits)]
    if {"bank", "scene"} <= set(names):
        bank, scene = hits[names.index("bank")], hits[names.index("scene")]
        contrasts.append(study.difference("bank", "scene", bank, scene, named("groups", m)))
    return rows, contrasts


def _correlations(m: Method, names: list[str], scores: dict[str, Score], hits: np.ndarray) -> list[Contrast]:
    """Of accuracy with TPP and with its logarithm, both readings, all groups and without those of one phrase."""
    out, accuracy = [], hits.mean((1, 2))
    several = [i for i, g in enumerate(names) if g not in ONE_PHRASE]
    for reading in READINGS:
        x = np.array([scores[g].mean(reading) for g in names])
        for scale, values in (("TPP", x), ("log TPP", np.log(x))):
            for which, keep in ((ALL, list(range(len(names)))), (SEVERAL, several)):
                if which == ALL or 3 <= len(keep) < len(names):
                    found = statistics.correlation(values[keep], accuracy[keep])
                    setting = {"reading": reading, "which": which}
                    for metric, numbers in found.items():
                        out.append(
                            study.contrast(
                                scale, "top1", numbers, part=named("correlations", m), metric=metric, unit="",
                                more={"groups": len(keep)}, **setting,
                            )
                        )  # fmt: skip
    return out


def _best_by_tpp(m: Method, names: list[str], scores: dict[str, Score], hits: np.ndarray) -> list[Contrast]:
    """The group of highest TPP against the most accurate of the others."""
    accuracy, out = hits.mean((1, 2)), []
    for reading in READINGS:
        chosen = int(np.argmax([round(scores[g].mean(reading), 4) for g in names]))
        best = max((i for i in range(len(names)) if i != chosen), key=accuracy.__getitem__)
        out.append(
            study.difference(
                names[chosen], names[best], hits[chosen], hits[best], named("highest TPP", m), reading=reading
            )
        )
    return out


def find(record: Record, reading: str, scale: str, metric: str, which: str = ALL, m: Method = CHOSEN) -> Contrast:
    """One correlation: ``scale`` "TPP" or "log TPP", ``metric`` "r", "r2" or "rho"."""
    return record.contrast(scale, "top1", named("correlations", m), metric, reading=reading, which=which)


# --- what is claimed -------------------------------------------------------------------------------------------------

_KINDS = {"r": "linear, r", "rho": "ranks, Spearman's rho"}


def _correlated(reading: str, metric: str, m: Method) -> Claim:
    where: dict[str, Any] = {"part": named("correlations", m), "metric": metric, "reading": reading, "which": ALL}
    return Claim(
        named(f"fig7b-{metric}-{reading}", m),
        "fig7b",
        f"TPP and top-1{_of_sfar(m)} are positively correlated ({_KINDS[metric]}), reading {reading!r}",
        "section 4.3, Fig. 7b",
        above("TPP", "top1", title="no correlation", **where),
        f"r² = {paper.FIG7B['r2']}" if (metric, reading) == ("r", "printed") else "",
    )


def _of_sfar(m: Method) -> str:
    return f" of SFAR{said}" if (said := reading_of(m)) else ""


def _best(reading: str, m: Method) -> Claim:
    part = named("highest TPP", m)

    def text(record: Record) -> str:
        (c,) = record.contrasts_of(part, reading=reading)
        return f"the group of highest TPP ({c.row}), reading {reading!r}, has the highest top-1{_of_sfar(m)}"

    def decide(record: Record) -> Decision | None:
        found = record.contrasts_of(part, reading=reading)
        return Decision(c.verdict, c, record.title(c.against)) if (c := next(iter(found), None)) else None

    id = named(f"table2d-highest-{reading}", m)
    return Claim(id, "table2d", text, "section 3.1, Table 2d", decide, _second_generator)


def _second_generator() -> str:
    rows = sorted((r["top1"] for r in paper.load("table2d")), reverse=True)
    return printed.signed(rows[0] - rows[1], 2)


def _claims(m: Method) -> tuple[Claim, ...]:
    return (
        *(_correlated(reading, metric, m) for reading in READINGS for metric in _KINDS),
        *(_best(reading, m) for reading in READINGS),
        Claim(
            named("table14-scene", m),
            "table14",
            f"sub-texts from the class name beat sub-texts full of one video's scene{reading_of(m)}",
            "appendix B, Table 14",
            above("bank", "scene", title="scene", part=named("groups", m)),
        ),
    )


CLAIMS = tuple(claim for m in registry.own() for claim in _claims(m))


# --- what is shown ---------------------------------------------------------------------------------------------------

KINDS = {
    "truth": ("#009E73", "D", "true actions of the scripts"),
    "written": ("#0072B2", "o", "written by hand"),
    "file": ("#0072B2", "o", "given as a file"),
    "derived": ("#D55E00", "s", "made from these by rule"),
}
TITLES = {"printed": "as printed: α = 1 − x², β = x", "diverse": "rewarding diversity: β = 1 − x"}


def groups(record: Record, m: Method = CHOSEN) -> list[Row]:
    """The groups in one reading of SFAR, best accuracy first."""
    return sorted(record.select(named("groups", m), metric="top1"), key=lambda r: -r.mean)


def groups_table(record: Record, m: Method = CHOSEN) -> Table:
    """Table 2d's columns for the groups at hand, best accuracy first."""
    rows = []
    for r in groups(record, m):
        tpp, top5 = r.more["tpp"], record.find(named("groups", m), r.row, "top5")
        means = [f"{r.more['sigma']:.2f}", f"{r.more['delta']:.2f}"]
        accuracy = [r.mean, page.deviation(r), interval(r), top5.mean]
        rows.append([r.row, r.title, tpp["printed"], tpp["diverse"], *means, *accuracy])
    columns = ["Group", "What it is", "TPP printed", "TPP diverse", "sigma", "delta", "Top-1 [%]", "std"]
    caption = f"Groups of sub-texts (Table 2d): TPP and accuracy of {m.title}. {page.counted(record)}"
    return Table([*columns, "95 % interval", "Top-5 [%]"], rows, caption=caption)


def _shown(c: Contrast, sign: bool = True) -> str:
    return f"{c.mean:{'+' if sign else ''}.2f} ({interval(c, 2, sign)})"


def correlations_table(record: Record, m: Method = CHOSEN) -> Table:
    """r, r² and rho with their intervals, under both readings."""
    rows = []
    for c in record.contrasts_of(named("correlations", m), metric="r"):
        where = {"reading": c.setting["reading"], "scale": c.row, "which": c.setting["which"]}
        r2, rho = (find(record, metric=metric, m=m, **where) for metric in ("r2", "rho"))
        rows.append([*where.values(), c.more["groups"], _shown(c), _shown(r2, False), _shown(rho)])
    columns = ["Reading", "x axis", "Groups", "n", "r (95 % interval)", "r² (95 % interval)"]
    return Table([*columns, "Spearman's rho (95 % interval)"], rows)


def paper_table(record: Record) -> Table:
    """Table 2d as printed."""
    rows = [[r["generator"], r["tpp"], f"{r['top1']:.2f}", r["top5"]] for r in paper.load("table2d")]
    return Table(["Generator", "TPP", "Top-1 [%]", "Top-5 [%]"], rows)


def figure(record: Record) -> Figure:
    """Accuracy over groups in order of TPP, a panel for each reading of it and a row for each of SFAR.

    With what the fitted line says of each.
    Groups are numbered in order of accuracy, in each row anew.
    """
    style.use()
    own = registry.own()
    fig, axes = plt.subplots(
        len(own), 3, figsize=(10.4, 3.9 * len(own)), width_ratios=[1, 1, 0.72], layout="constrained", squeeze=False
    )
    for row, m in zip(axes, own, strict=True):
        for ax, reading in zip(row[:2], READINGS, strict=True):
            _draw_reading(ax, record, reading, m)
        row[0].set_ylabel(f"Top-1 accuracy [%], {len(record.data['seeds'])} seeds\n{m.title}")
        _draw_names(row[2], record, m)
    return fig


def _draw_reading(ax: Axes, record: Record, reading: str, method: Method) -> None:
    rows = groups(record, method)
    x, y = np.array([r.more["tpp"][reading] for r in rows]), np.array([r.mean for r in rows])
    # Ten of the groups lie within a factor of two: in order of TPP each has a place of its own.
    order = np.argsort(x, kind="stable")
    slope, start = np.polyfit(np.log(x), y, 1)
    ax.plot(range(len(x)), slope * np.log(x[order]) + start, "_", color="#555555", ms=11, mew=1.4, zorder=1)
    for place, k in enumerate(order):
        r = rows[k]
        colour, marker, _ = KINDS[r.more["kind"]]
        ax.plot([place] * 2, [r.low, r.high], color=colour, lw=1, alpha=0.6, zorder=2)
        ax.plot(place, r.mean, marker, color=colour, ms=5.5, mec="white", mew=0.5, zorder=3)
        where: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7, "fontweight": "bold", "color": colour}
        where["path_effects"] = [withStroke(linewidth=1.5, foreground="white")]
        ax.annotate(str(k + 1), (place, r.high), (0, 2), textcoords="offset points", **where)
    ax.set_xticks(range(len(x)), [_short(v) for v in x[order]], rotation=60, fontsize=6.5)
    ax.set_xlim(-0.7, len(x) - 0.3)
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.27 * (high - low), high + 0.06 * (high - low))
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("TPP, average over classes (groups in its order)")
    ax.set_title(TITLES[reading], loc="left")
    of = {metric: find(record, reading, "TPP", metric, m=method) for metric in ("r", "r2", "rho")}
    log = find(record, reading, "log TPP", "r2", m=method)
    text = f"r² = {_shown(of['r2'], False)}, of log TPP {log.mean:.2f}\nr = {_shown(of['r'])}\nρ = {_shown(of['rho'])}"
    box = {"facecolor": "white", "edgecolor": "#cccccc", "lw": 0.6, "pad": 3}
    ax.text(0.03, 0.03, text, transform=ax.transAxes, fontsize=7, va="bottom", bbox=box)


def _short(tpp: float) -> str:
    """A TPP of so many digits that neighbours differ."""
    return f"{tpp:,.0f}" if tpp >= 100 else f"{tpp:.2f}"


def _draw_names(ax: Axes, record: Record, m: Method) -> None:
    """Which number is which group, what the colours are, and what the paper prints."""
    rows = groups(record, m)
    ax.axis("off")
    step = 1 / (len(rows) + 7)
    look: dict[str, Any] = {"transform": ax.transAxes, "fontsize": 7, "va": "top"}
    y = 1.0
    for k, r in enumerate(rows):
        ax.text(0.0, y, f"{k + 1}", fontweight="bold", color=KINDS[r.more["kind"]][0], **look)
        ax.text(0.09, y, f"{r.row}: {r.mean:.1f} %", **look)
        y -= step
    y -= 0.5 * step
    for kind in (k for k in KINDS if k in {r.more["kind"] for r in rows}):
        colour, marker, text = KINDS[kind]
        ax.plot(0.035, y - 0.35 * step, marker, color=colour, ms=5, transform=ax.transAxes, clip_on=False)
        ax.text(0.09, y, text, **look)
        y -= step
    said = (
        f"Fig. 7b of the paper: {paper.FIG7B['groups']} groups, r² = {paper.FIG7B['r2']}\n"
        "Bars, brackets: 95 % intervals\nGrey dashes: least squares on log TPP"
    )
    ax.text(0.0, y - 0.4 * step, said, color="#444444", linespacing=1.35, **look)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)


def describe(record: Record) -> str:
    """What was trained and tested on."""
    seeds = ", ".join(map(str, record.data["seeds"]))
    return f"SFAR trained with each group on seeds {seeds}, {record.data['val_videos']} validation videos."


BLOCKS = (
    Drawn("figure", figure, "Figure 7b", file="fig7b"),
    Shown("correlations", correlations_table, "Correlation of TPP and top-1", terminal=True),
    Text(
        "Intervals of correlations are over groups, by Fisher's transformation. Printed in the paper: "
        f"r² = {paper.FIG7B['r2']} over {paper.FIG7B['groups']} groups (section 4.3, Fig. 7b)."
    ),
    Verdicts(),
    Shown("groups", groups_table, "Groups (the columns of Table 2d)", latex=True, terminal=True),
    *(
        block
        for m in registry.own()[1:]
        for block in (
            Shown(named("correlations", m), partial(correlations_table, m=m), f"{m.title}: TPP and top-1"),
            Shown(named("groups", m), partial(groups_table, m=m), f"{m.title}: groups", latex=True),
        )
    ),
    Shown("table2d-printed", paper_table, "Table 2d as printed (transcribed, Kinetics-400)"),
    Provenance(),
)

STUDY = Study(
    id="fig7b",
    title="Figure 7b and Table 2d",
    notebook="02_tpp_correlation",
    covers=(
        Item(
            "fig7b",
            "Figure 7b: TPP against accuracy",
            (
                Quantity(
                    "r² of a straight line",
                    lambda: str(paper.FIG7B["r2"]),
                    lambda r: find(r, "printed", "TPP", "r2"),
                ),
            ),
        ),
        Item(
            "table2d",
            "Table 2d: generators of sub-texts",
            (
                Quantity(
                    "top-1 with the group of highest TPP [%]",
                    lambda: f"{max(paper.load('table2d'), key=lambda r: r['tpp'])['top1']:.1f}",
                    lambda r: max(groups(r), key=lambda g: g.more["tpp"]["printed"]),
                ),
            ),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=describe,
    needs=("table1",),
    groups=True,
    check=study.one_label,
    planned=planned,
    inputs_of=texts_of,
)
