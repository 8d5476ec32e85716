"""Tables 2b and 10: trained on the Kinetics-like set, tested on two sets of other classes, under both protocols.

The runs are Table 1's: each was scored on all videos of the unseen sets with the prompts and sub-texts of their
classes.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfar import paper
from sfar.config import DRAWN, Profile, layout
from sfar.data import layouts
from sfar.data.source import by_name, dataset, is_drawn, need_sets
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.method import Method
from sfar.paper import printed
from sfar.paper.printed import OURS
from sfar.render import plots, style
from sfar.render.plots import Series
from sfar.render.tables import Table, interval
from sfar.studies import table1
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, highest, named
from sfar.studies.core.record import Record, Row
from sfar.studies.core.study import UNSEEN, UNSEEN_REAL, Content, Item, Quantity, Study
from sfar.training.protocols import DRAWS, half10, of_folds, split3

# --- what is compared ------------------------------------------------------------------------------------------------

FOLDS = (1, 2, 3)
# The claims are of the first, which BIKE's rows of the paper's tables follow: ten draws of half of the classes.
PROTOCOLS = ("half10", "split3", "all classes")
LAYOUTS = UNSEEN_REAL  # the layouts of the unseen sets, drawn or real


def _hits(entries: list[dict[str, Any]], k: int) -> np.ndarray:
    return 100.0 * (np.array([e["ranks"] for e in entries]) < k)


def _protocols(
    runs: list[dict[str, Any]], name: str, folds: list[set[str]]
) -> dict[str, tuple[np.ndarray, dict[str, Any], list[float], np.ndarray]]:
    """Of each protocol: values per seed and video, what it prints itself, its value of each seed, and its top-5.

    A protocol is the mean over ten draws or three splits that share videos (``statistics.overlapping``); the deviation
    that it prints is over these parts, averaged over the seeds.
    """
    found = [r["zero_shot"][name] for r in runs]
    half = [half10(np.array(f["scores"]), np.array(f["labels"])) for f in found]
    split = [split3(of_folds(np.array(f["scores"]), np.array(f["labels"]), f["paths"], folds)) for f in found]
    labels = np.array(found[0]["labels"])
    members = {
        "half10": [np.isin(labels, d["classes"]) for d in half[0]["draws"]],
        "split3": [np.array([p in fold for p in found[0]["paths"]]) for fold in folds],
    }
    out: dict[str, tuple[np.ndarray, dict[str, Any], list[float], np.ndarray]] = {}
    for protocol, each, parts in (("half10", half, "draws"), ("split3", split, "splits")):
        hits = [_hits([e[parts][i] for e in each], 1) for i in range(len(each[0][parts]))]
        own = {"protocol_std": round(float(np.mean([e["top1"]["std"] for e in each])), 4)}
        top5 = np.full((1, 1), round(float(np.mean([e["top5"]["mean"] for e in each])), 4))
        per_seed = [e["top1"]["mean"] for e in each]
        out[protocol] = (statistics.overlapping(hits, members[protocol]), own, per_seed, top5)
    full = [h["full"] for h in half]
    out["all classes"] = (_hits(full, 1), {}, [], _hits(full, 5))
    return out


def sets(profile: Profile) -> tuple[str, ...]:
    """What is trained on, then the unseen data sets."""
    return (profile.data.dataset, *UNSEEN) if is_drawn(profile) else ("kinetics400", *UNSEEN_REAL)


def _unseen(profile: Profile) -> tuple[str, ...]:
    """The data sets to test on.

    Raises ``DataError`` for one that is not in ``data.root``, ``ConfigError`` where training is on another or nothing
    says which sub-texts they have.
    """
    used = sets(profile)
    if is_drawn(profile):
        return used[1:]
    need_sets(profile, used)
    if layout(profile) != used[0]:
        raise ConfigError(
            f"data.dataset={profile.data.dataset!r}: Table 2b trains on {used[0]} and tests on {', '.join(used[1:])}; "
            "`sfar evaluate CHECKPOINT --zero-shot` tests any other model"
        )
    if study.unseen(profile, dataset(profile)) != used[1:]:
        raise ConfigError(
            f"model.subtexts={profile.model.subtexts!r} is one file, and there are three data sets: write {{dataset}} "
            f'in its path, which stands for {", ".join(used)}, or take the bundled sub-texts ("bank")'
        )
    return used[1:]


def measure(profile: Profile, workers: int | None) -> Content:
    """Both protocols, and all classes on all videos, of every method on both sets."""
    unseen = _unseen(profile)
    by = study.run(profile, table1.variants(), workers, "training, with zero-shot tests")
    rows: list[Row] = []
    contrasts = []
    data: dict[str, Any] = {**study.about(by["sfar"]), "trained_on": profile.data.dataset, "sets": {}}
    for name in unseen:
        other = dataset(by_name(profile, name))
        folds = [{c.path for c in layouts.read(other.layout, other.root, "val", f).clips} for f in FOLDS]
        one = by["sfar"][0]["zero_shot"][name]
        data["sets"][other.layout] = {"classes": len(one["classes"]), "videos": len(one["labels"])}
        value: dict[tuple[str, str], np.ndarray] = {}
        for v in table1.variants():
            trained = by[v.name][0]["trained"]
            for protocol, (values, own, per_seed, top5) in _protocols(by[v.name], name, folds).items():
                value[v.name, protocol] = values
                row = study.measured(other.layout, v.name, v.title, values, "top1", trained, own, protocol=protocol)
                rows.append(_with_seeds(row, per_seed) if per_seed else row)
                rows.append(study.measured(other.layout, v.name, v.title, top5, "top5", trained, protocol=protocol))
        contrasts += [
            study.difference(a, b, value[a, p], value[b, p], other.layout, protocol=p)
            for p in PROTOCOLS
            for a, b in study.compared()
        ]
    return Content(data, rows, contrasts, {}, study.seconds(by))


def _with_seeds(row: Row, per_seed: list[float]) -> Row:
    """The row with the values of the seeds as the protocol itself gives them, and their deviation."""
    std = round(float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else 0.0, 4)
    return Row(**{**vars(row), "per_seed": per_seed, "std": std})


# --- what is claimed -------------------------------------------------------------------------------------------------


def _claims(of: str, m: Method) -> tuple[Claim, ...]:
    title = layouts.layout(of).title
    return (
        Claim(
            named(f"table2b-{of}-highest", m),
            "table2b",
            f"{m.title} has the highest zero-shot accuracy, set in {title}'s layout ({PROTOCOLS[0]})",
            "Table 2b, section 4.2",
            highest(lambda r: study.over_rivals(r, m.name, of, protocol=PROTOCOLS[0])),
            lambda: printed.lead("table2b", of),
        ),
        Claim(
            named(f"table2b-{of}-training-helps", m),
            "table2b",
            f"training {m.title} on other classes helps over zero-shot CLIP, {title}'s layout ({PROTOCOLS[0]})",
            "Table 2b",
            above(m.name, "vanilla", part=of, protocol=PROTOCOLS[0]),
        ),
    )


CLAIMS = tuple(claim for m in registry.own() for of in LAYOUTS for claim in _claims(of, m))


# --- what is shown ---------------------------------------------------------------------------------------------------

WHAT = {
    "half10": f"{DRAWS} draws of half of the classes, all videos",
    "split3": f"all classes, {len(FOLDS)} official test splits",
    "all classes": "all videos",
}
KNOWN = (
    "Which protocol a printed row is of, the tables do not say. By their sources, BIKE's ViT-L row is half10 (86.6 and "
    "61.4 are its README's means over ten draws of half of the classes) and X-CLIP's is split3; rows of both kinds "
    "stand in one table."
)


def _shown(row: Row) -> list[Any]:
    """Of a protocol what it prints (with ± where it prints one), and the interval."""
    own = row.more.get("protocol_std")
    return [row.mean if own is None else f"{row.mean:.1f} ± {own:.1f}", interval(row)]


def _rows(of: str) -> Shown:
    """Both protocols side by side, all classes on all videos beside them."""

    def make(record: Record) -> Table:
        head = [name for p in PROTOCOLS for name in (f"{p} [%]", "95 % interval")]
        body, bare = [], []
        for name in record.names(of):
            each = [record.find(of, name, protocol=p) for p in PROTOCOLS]
            cells = [cell for r in each for cell in _shown(r)]
            body.append([each[0].title, *cells, each[0].seeds_text, each[0].trained_text])
            bare.append([each[0].title, *cells])
        caption = (
            f"Zero-shot top-1 accuracy (Table 2b), {page.set_title(of)} layout, {record.profile} profile, "
            f"{page.seeds(record)}; ±: over draws or splits."
        )
        return Table(["Method", *head, "Seeds", "Trained"], body, latex=Table(["Method", *head], bare, caption=caption))

    return Shown(f"{of}-rows", make, latex=True, terminal=True)


def _more(of: str) -> Shown:
    """Deviations over seeds, and top-5."""

    def make(record: Record) -> Table:
        rows = []
        for name in record.names(of):
            cells = []
            for p in PROTOCOLS:
                cells += [
                    page.deviation(record.find(of, name, protocol=p)),
                    record.find(of, name, "top5", protocol=p).mean,
                ]
            rows.append([record.title(name), *cells])
        return Table(["Method", *(c for p in PROTOCOLS for c in (f"{p}: std over seeds", "Top-5 [%]"))], rows)

    return Shown(f"{of}-more", make)


def _differences(of: str) -> Shown:
    """Paired differences on the same seeds and videos, under each protocol."""

    def make(record: Record) -> Table:
        return page.contrasts_table(record.contrasts_of(of), record.title, lead=lambda c: f"{c.setting['protocol']}: ")

    return Shown(f"{of}-differences", make)


def _set_text(of: str) -> Text:
    def make(record: Record) -> str:
        about = record.data["sets"][of]
        return f"{about['classes']} classes, {about['videos']} videos."

    return Text(make, f"{page.set_title(of)} layout")


PROTOCOLS_TEXT = (
    f"**half10**: {WHAT['half10']} (BIKE, Text4Vis); **split3**: {WHAT['split3']} (X-CLIP and those after it). ± is "
    f"the deviation that the protocol itself prints, over its {DRAWS} draws or {len(FOLDS)} splits, averaged over the "
    f"seeds: how much the parts differ, not how sure the mean is. {page.INTERVALS}"
)
MARKS = {"half10": ("o", False, 5.5), "split3": ("s", True, 4.2), "all classes": ("D", False, 4.2)}


def figure(record: Record) -> Figure:
    """Measured under both protocols, a panel for each data set, and below them the paper's values in their own."""
    style.use()
    fig, axes = plt.subplots(2, len(LAYOUTS), figsize=(7.4, 6.8), height_ratios=[1.7, 1], layout="constrained")
    series: list[Series] = []
    for column, of in enumerate(LAYOUTS):
        series = _draw_measured(axes[0, column], record, of, column == 0)
        _draw_printed(axes[1, column], of, column == 0)
    what = f"Measured: {record.profile} profile, {page.seeds(record)}, 95 % intervals over seeds and videos"
    bold = {"weight": "bold", "size": 8}
    look = {"ncols": 3, "alignment": "left", "title_fontproperties": bold, "title": what}
    plots.marker_legend(fig, series, loc="outside upper left", **look)
    return fig


def _draw_measured(ax: Axes, record: Record, of: str, named: bool) -> list[Series]:
    series = []
    for shift, (p, (marker, hollow, size)) in zip((0.24, 0.0, -0.24), MARKS.items(), strict=True):
        # Three rows to a method: no room for the seeds.
        values = {r.row: Row(**{**vars(r), "per_seed": []}) for r in record.select(of, metric="top1", protocol=p)}
        series.append(Series(values, f"{p}: {WHAT[p]}", marker, hollow, size, shift))
    methods = [registry.get(name) for name in record.names(of)]
    about = record.data["sets"][of]
    title = f"Measured: {page.set_title(of)} layout\n{about['classes']} classes, {about['videos']} videos"
    names = {m.name: m.title if named else "" for m in methods}
    plots.dot_panel(ax, names, series, {m.name: m.colour for m in methods}, title, room=0.07, below=0.55)
    return series


def _draw_printed(ax: Axes, of: str, named: bool) -> None:
    rows = paper.load("table2b")
    plots.printed_panel(
        ax,
        [(r["method"], r[of]) for r in rows],
        [registry.get("sfar").colour if r["method"] == OURS["method"] else style.PAPER for r in rows],
        f"Printed in the paper: {page.set_title(of)}\nTable 2b, protocol not stated",
        labels=named,
    )


def describe(record: Record) -> str:
    """What was trained and tested on."""
    on = record.data["trained_on"]
    texts = record.provenance["config"]["model"]["subtexts"]
    classes = (
        "classes that training did not have"
        if on in DRAWN
        else "other data sets, some of whose classes training had too"
    )
    return (
        f"Trained on {page.set_title(on)}'s layout (the runs of Table 1: {page.videos(record).rstrip('.')}), tested in "
        f"the single view on videos of {classes}, with the prompts and "
        f"{'bundled sub-texts' if texts == 'bank' else f'sub-texts ({texts})'} of these classes."
    )


PAPER_COLUMNS = {
    "method": "Method",
    "backbone": "Backbone",
    "vz": "Made for zero-shot",
    "ucf101": "UCF-101 [%]",
    "hmdb51": "HMDB-51 [%]",
}

BLOCKS = (
    Verdicts(),
    *(block for of in LAYOUTS for block in (_set_text(of), _rows(of), _more(of), _differences(of))),
    Text(PROTOCOLS_TEXT, id="protocols"),
    Drawn("figure", figure, "Table 2b", file="table2b"),
    Text(KNOWN, "Table 2b as printed (transcribed, trained on Kinetics-400)", "known"),
    Printed("table2b", PAPER_COLUMNS),
    Printed("table10", PAPER_COLUMNS, "Table 10 as printed (transcribed, larger towers)"),
    Provenance(),
)


def _quantity(of: str) -> Quantity:
    return Quantity(
        f"SFAR, {page.set_title(of)}'s layout, half10 [%]",
        lambda: printed.number("table2b", of, **OURS),
        lambda r: r.find(of, "sfar", protocol="half10"),
    )


def _large(of: str) -> Quantity:
    return Quantity(f"SFAR, ViT-L/14, {page.set_title(of)} [%]", lambda: printed.number("table10", of, **OURS))


STUDY = Study(
    id="zero_shot",
    title="Tables 2b and 10: zero-shot",
    notebook="06_zero_shot",
    covers=(
        Item("table2b", "Table 2b: zero-shot", tuple(_quantity(of) for of in LAYOUTS)),
        Item(
            "table10",
            "Table 10: zero-shot, ViT-L (the record of Table 2b: the storyboard world has one tower)",
            tuple(_large(of) for of in LAYOUTS),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=describe,
    needs=("table1",),
    check=study.one_label,
    sets=sets,
    planned=table1.planned,
)
