"""The paper's explanation tested by its cause: knobs of the storyboard world, each turned alone.

Sections 1, 3.2 and 3.3 say that SFAR gains where actions are ambiguous and unevenly spread. Tables 8 and 9 sort videos
after the fact; here the cause itself is set, and training and test videos are drawn anew with it. A turned world has
the people, places and order of the plain one, so that a gain is followed video by video from one level to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar.config import Profile, changed
from sfar.model import registry
from sfar.render import style
from sfar.render.tables import Table, with_interval
from sfar.runs.executor import run_all
from sfar.runs.job import Job
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Study, Variant

# --- what is compared ------------------------------------------------------------------------------------------------

SEEDS = 3  # of those of a frozen tower: each has training videos of its own in every world
# Smaller than the profile's: there are as many worlds as levels.
SIZE = {"data.train_per_class": 16, "data.val_per_class": 16, "train.frozen_draws": 2}


@dataclass(frozen=True)
class Knob:
    """A field of the world and its levels, from what should be easiest to what should be hardest.

    ``label`` of an axis, ``harder`` the words of a claim; ``doublings``: the levels are told apart by their ratios.
    """

    field: str
    title: str
    label: str
    harder: str
    levels: tuple[float, ...]
    doublings: bool = False

    def place(self, level: float) -> float:
        """Where a level lies between the first (0) and the last (1)."""
        first, last, x = (math.log2(v) if self.doublings else v for v in (self.levels[0], self.levels[-1], level))
        return (x - first) / (last - first)

    def weights(self) -> np.ndarray:
        """Of the levels' values [levels]: their sum is the least-squares line's rise from first to last level."""
        x = np.array([self.place(v) for v in self.levels])
        d = x - x.mean()
        return d / (d**2).sum()


KNOBS: dict[str, Knob] = {
    "irrelevant": Knob(
        "data.world_irrelevant",
        "Irrelevant frames",
        "Share of irrelevant frames",
        "more frames are irrelevant",
        (0.0, 0.3, 0.6, 0.8),
    ),
    "overlap": Knob(
        "data.world_overlap",
        "Overlap of classes",
        "Script shared with another class",
        "classes share more of their scripts",
        (0.0, 0.35, 0.7),
    ),
    "evenness": Knob(
        "data.world_evenness",
        "Uneven durations",
        "Evenness of durations",
        "durations of the actions are more uneven",
        (1.0, 0.5, 0.0),
    ),
    "momentary": Knob(
        "data.world_momentary",
        "Momentary action",
        "Frames of the shortest action",
        "the shortest action is more momentary",
        (8, 4, 2, 1),
        True,
    ),
    "actions": Knob(
        "data.world_actions",
        "Number of actions",
        "Atomic actions of a class",
        "a class has more atomic actions",
        (2, 3, 4, 6),
    ),
}
# What of SFAR is trained: both embeddings, and either alone.
PARTS: dict[str, tuple[str, tuple[tuple[str, Any], ...]]] = {
    "both": ("", ()),
    "coarse": (", coarse only", (("model.fine", False),)),
    "fine": (", fine only", (("model.coarse", False),)),
}
RIVALS = ("vanilla", "temporal", "single")


def name_of(method: str, part: str) -> str:
    """The row of a reading of SFAR with one or both embeddings."""
    return method if part == "both" else f"{method}/{part}"


OWN = {name_of(m.name, part): (m, part) for m in registry.own() for part in PARTS}
TITLES = {name: registry.get(name).title for name in RIVALS} | {n: m.title + PARTS[p][0] for n, (m, p) in OWN.items()}


def world(profile: Profile, knob: str, level: float) -> Profile:
    """The profile of the world with one knob at a level."""
    return changed(profile, {**SIZE, KNOBS[knob].field: level})


def variants() -> dict[str, Variant]:
    """What is trained in every world, by row."""
    out = {}
    for row, title in TITLES.items():
        method, part = OWN[row] if row in OWN else (registry.get(row), "both")
        out[row] = Variant(row, title, method.name, (*(FROZEN if method.trained else ()), *PARTS[part][1]))
    return out


def measure(profile: Profile, workers: int | None) -> Content:
    """Every row at every level, its gain over each rival there, and the gain's rise from first to last level."""
    jobs: dict[tuple[str, float, str, int], Job] = {}
    for knob, k in KNOBS.items():
        for level in k.levels:
            base = world(profile, knob, level)
            for row, v in variants().items():
                for seed in study.seeds_of(base, v, SEEDS):
                    jobs[knob, level, row, seed] = study.job(base, v, seed)
    by: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for (knob, level, row, _), found in zip(jobs, run_all(list(jobs.values()), workers, "knobs"), strict=True):
        by.setdefault((knob, level, row), []).append(found)
    value = {at: _by_video(runs) for at, runs in by.items()}
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    for knob, k in KNOBS.items():
        for level in k.levels:
            where = {"knob": knob, "level": level}
            for row, title in TITLES.items():
                trained = by[knob, level, row][0]["trained"]
                rows.append(study.measured("levels", row, title, value[knob, level, row], "top1", trained, **where))
            for row in OWN:
                for rival in RIVALS:
                    a, b = value[knob, level, row], value[knob, level, rival]
                    contrasts.append(study.difference(row, rival, a, b, "gains", **where))
        rise = {row: _rise(k, [value[knob, level, row] for level in k.levels]) for row in TITLES}
        for row in OWN:
            contrasts += [study.difference(row, rival, rise[row], rise[rival], "rises", knob=knob) for rival in RIVALS]
    first = by["irrelevant", KNOBS["irrelevant"].levels[0], "sfar"]
    data = {**study.about(first), "worlds": sum(len(k.levels) for k in KNOBS.values())}
    seconds = sum(r["seconds"] for runs in by.values() for r in runs)
    return Content(data, rows, contrasts, {}, seconds, [int(r["seed"]) for r in first])


def _by_video(runs: list[dict[str, Any]]) -> np.ndarray:
    """Hits [seeds, videos], the videos in the order of their ids, which no knob changes."""
    ids = [_id(path) for path in runs[0]["paths"]]
    return study.hits(runs)[:, np.argsort(ids)]


def _id(path: str) -> str:
    """Kinetics' id of a video: its file's name without the two times, which change with its length."""
    return PurePosixPath(path).stem.rsplit("_", 2)[0]


def _rise(k: Knob, levels: list[np.ndarray]) -> np.ndarray:
    """Of each seed and video [seeds, videos] the rise of the line through its values at the levels."""
    return np.tensordot(k.weights(), np.stack(levels), 1)


# --- what is claimed -------------------------------------------------------------------------------------------------

# Knob, what of SFAR, source: the gain over single granularity that should rise with the cause.
CAUSES: tuple[tuple[str, str, str], ...] = (
    *((knob, "both", "section 1; Fig. 1, 2f") for knob in KNOBS),
    ("overlap", "coarse", "section 3.2"),
    ("irrelevant", "coarse", "section 3.2"),
    ("irrelevant", "fine", "section 3.3"),
    ("evenness", "fine", "section 3.3"),
    ("momentary", "fine", "section 3.3"),
)


def _claims() -> tuple[Claim, ...]:
    out = []
    for m in registry.own():
        for knob, part, source in CAUSES:
            row = name_of(m.name, part)
            out.append(
                Claim(
                    named(f"knobs-{knob}-{part}", m),
                    "knobs",
                    f"the gain of {TITLES[row]} over single granularity rises where {KNOBS[knob].harder}",
                    source,
                    above(row, "single", title="no rise", part="rises", knob=knob),
                )
            )
    return tuple(out)


CLAIMS = _claims()


# --- what is shown ---------------------------------------------------------------------------------------------------


def _degree(level: float) -> str:
    return f"{level:g}"


def levels_table(record: Record, knob: str) -> Table:
    """The accuracy of every row at each level of a knob."""
    k = KNOBS[knob]
    rows = []
    for row, title in TITLES.items():
        cells = [record.find("levels", row, knob=knob, level=level) for level in k.levels]
        rows.append([title, *map(with_interval, cells)])
    return Table([f"Top-1 [%] by {k.label.lower()}", *map(_degree, k.levels)], rows)


def rises_table(record: Record) -> Table:
    """How much each gain rises from the easiest to the hardest level."""
    rows = []
    for row in OWN:
        for rival in RIVALS:
            cells = [page.marked(record.contrast(row, rival, "rises", knob=knob)) for knob in KNOBS]
            rows.append([f"{TITLES[row]} over {TITLES[rival]}", *cells])
    return Table(["Gain", *(k.title for k in KNOBS.values())], rows)


def finding(record: Record) -> str:
    """What rises and what falls, over BIKE's head."""
    parts = []
    for m in registry.own():
        words: dict[str, list[str]] = {"rises": [], "falls": []}
        for knob, k in KNOBS.items():
            c = record.contrast(m.name, "single", "rises", knob=knob)
            kind = {"holds": "rises", "does not hold": "falls"}.get(c.verdict)
            if kind:
                words[kind].append(f"{k.title.lower()} ({with_interval(c, 1, True)})")
        said = [f"{kind} with {', '.join(found)}" for kind, found in words.items() if found]
        left = len(KNOBS) - sum(map(len, words.values()))
        if left:
            which = "any of the knobs" if left == len(KNOBS) else f"the other {left}" if left > 1 else "the other one"
            said.append(f"does not change beyond the intervals with {which}")
        parts.append(f"The gain of {m.title} over {TITLES['single']} {'; it '.join(said)}.")
    return " ".join(parts)


LOOK = {
    "both": (style.BOTH, "D", "both"),
    "coarse": (style.COARSE, "o", "coarse only"),
    "fine": (style.FINE, "s", "fine only"),
}


def figure(record: Record) -> Figure:
    """Columns are knobs: the accuracy of all, then each reading's gain over BIKE's head with one or both embeddings."""
    style.use()
    own = registry.own()
    fig, axes = plt.subplots(1 + len(own), len(KNOBS), figsize=(7.4, 6.3), layout="constrained", sharey="row")
    for column, (knob, k) in enumerate(KNOBS.items()):
        _accuracy(axes[0, column], record, knob)
        axes[0, column].set_title(k.title, loc="left", fontsize=7.5)
        for ax, m in zip(axes[1:, column], own, strict=True):
            _gains(ax, record, knob, m.name)
        for ax in axes[:, column]:
            ax.set_xticks([k.place(v) for v in k.levels], [_degree(v) for v in k.levels])
            ax.set_xlim(-0.14, 1.14)
            ax.tick_params(labelsize=7)
        axes[-1, column].set_xlabel(k.label.replace(" of ", "\nof ").replace(" with ", "\nwith "), fontsize=7)
    axes[0, 0].set_ylabel("Top-1 accuracy [%]")
    for ax, m in zip(axes[1:, 0], own, strict=True):
        ax.set_ylabel(f"{m.title}:\ngain over BIKE's head\n[points]")
    what = (
        f"Harder to the right. {record.profile.capitalize()} world, frozen tower, {page.count(record)}, 95 % intervals"
    )
    bold = {"weight": "bold", "size": 8}
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=5,
        title=what,
        alignment="left",
        title_fontproperties=bold,
        columnspacing=1.2,
        handlelength=1.6,
    )
    fig.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3, title="Gains", alignment="left"
    )
    return fig


def _accuracy(ax: Axes, record: Record, knob: str) -> None:
    for n, name in enumerate((*RIVALS, *(m.name for m in registry.own()))):
        m = registry.get(name)
        rows = [record.find("levels", name, knob=knob, level=level) for level in KNOBS[knob].levels]
        _line(ax, KNOBS[knob], rows, m.colour, m.marker, m.title, 0.025 * (n - 2))


def _gains(ax: Axes, record: Record, knob: str, method: str) -> None:
    ax.axhline(0, color="#888888", lw=0.8)
    for n, (part, (colour, marker, label)) in enumerate(LOOK.items()):
        row = name_of(method, part)
        cells = [record.contrast(row, "single", "gains", knob=knob, level=level) for level in KNOBS[knob].levels]
        _line(ax, KNOBS[knob], cells, colour, marker, label, 0.04 * (n - 1))
    c = record.contrast(method, "single", "rises", knob=knob)
    said = f"rise {c.mean:+z.1f}".replace("-", "−") + f" ({c.low:+z.1f} to {c.high:+z.1f})".replace("-", "−")
    ax.set_title(said, loc="left", fontsize=5.8, fontweight="bold" if c.verdict != "undecided" else "normal", pad=3)


def _line(ax: Axes, k: Knob, cells: Any, colour: str, marker: str, label: str, shift: float) -> None:
    x = np.array([k.place(v) for v in k.levels]) + shift
    mean, low, high = (np.array([getattr(c, key) for c in cells]) for key in ("mean", "low", "high"))
    look = {"color": colour, "marker": marker, "ms": 3.4, "mec": "white", "mew": 0.4, "lw": 1.1, "elinewidth": 0.8}
    ax.errorbar(x, mean, yerr=[mean - low, high - mean], label=label, zorder=3, **look)


HOW = (
    "Each column turns one knob of the world (docs/storyboard.md) and leaves the others as they are; training and test "
    "videos are both drawn with it, and every method is trained anew, on the frozen tower, with what the search on "
    "development worlds found for it. A video keeps its person, place and order from level to level, so a gain's rise, "
    "the least-squares line's from the easiest to the hardest level, is taken video by video and seed by seed. The "
    "number over a panel is the rise of both embeddings. Texts describe the plain scripts: overlap and number of "
    "actions also make them less true."
)

BLOCKS = (
    Text(HOW, "How it is measured", "how"),
    Text(finding, "What is found", "finding"),
    Drawn("figure", figure, "Accuracy and gains as each knob is turned", file="knobs"),
    Shown("rises", rises_table, "Rise of each gain from the easiest to the hardest level [points]", terminal=True),
    *(Shown(f"levels-{knob}", partial(levels_table, knob=knob), k.title) for knob, k in KNOBS.items()),
    Text(lambda r: page.MULTIPLE.format(n=len(r.contrasts), luck=0.05 * len(r.contrasts)), id="multiple"),
    Verdicts(),
    Provenance(),
)

STUDY = Study(
    id="knobs",
    title="Knobs: the paper's explanation tested by its cause (not of the paper)",
    notebook="14_knobs",
    covers=(Item("knobs", "Knobs: the paper's explanation tested by its cause (not of the paper)"),),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    check=study.drawn_alone,
    drawn_only=True,
    beyond=True,
)
