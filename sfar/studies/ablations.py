"""Table 2e, Figure 7a, and what each open reading of the paper is worth (DEVIATIONS.md, "measured effect")."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sfar import paper
from sfar.config import CHOSEN, PRESETS, Profile, get_profile, layout, tuned, values
from sfar.data.source import dataset, is_drawn
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.method import Method
from sfar.paper import printed
from sfar.render import plots, style
from sfar.render.plots import Series
from sfar.render.tables import Table, interval
from sfar.studies.core import page, study
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, above, named
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant
from sfar.subtexts.source import subtexts_of

# --- what is compared ------------------------------------------------------------------------------------------------


def in_reading(m: Method, name: str) -> str:
    """The name of a row in one reading of SFAR: the chosen one's is bare."""
    return name if m.name == "sfar" else f"{m.name.removeprefix('sfar-')}/{name}"


def reading_of(m: Method) -> str:
    """What a row's title says of its reading."""
    return "" if m.name == "sfar" else f", {m.name.removeprefix('sfar-').replace('printed', 'as printed')}"


# Table 2e: the visual tower fine-tuned, as in the paper. Four of these runs are Table 1's, found again.
BRANCHES = {
    "fine": ("Fine only", (("model.coarse", False),)),
    "coarse": ("Coarse only", (("model.fine", False),)),
    "both": ("Coarse and fine", ()),
}
TABLE2E = (
    Variant("clip", "Baseline (CLIP)", "clip", zero_shot=True),
    Variant("temporal", "Baseline (Temporal)", "temporal", zero_shot=True),
    *(
        Variant(
            in_reading(m, name),
            title + reading_of(m),
            m.name,
            changes,
            "4x3" if (m.name, name) == ("sfar", "both") else "1x1",
            zero_shot=name == "both",
        )
        for m in registry.own()
        for name, (title, changes) in BRANCHES.items()
    ),
)
TUNED = (Variant("single", "BIKE's head, 6 temporal layers", "single", views="4x3", zero_shot=True),)
# Figure 7a and what stands beside it: the tower frozen, with more seeds.
FIG7A = tuple(
    Variant(in_reading(m, f"n{n}"), f"N = {n}{reading_of(m)}", m.name, (*FROZEN, ("model.n_subtexts", n)))
    for m in registry.own()
    for n in (2, 3, 4, 5)
)
FROZEN_ROWS = (
    Variant("frozen/vanilla", "Vanilla CLIP (zero-shot)", "vanilla"),
    Variant("frozen/temporal", "Baseline (Temporal)", "temporal", FROZEN),
    Variant("frozen/single", "Single granularity (BIKE)", "single", FROZEN),
    Variant(
        "frozen/single-0", "BIKE's head without temporal layers", "single", (*FROZEN, ("model.temporal_layers", 0))
    ),
    *(
        Variant(f"frozen/{in_reading(m, name)}", title + reading_of(m), m.name, (*FROZEN, *changes))
        for m in registry.own()
        for name, (title, changes) in BRANCHES.items()
    ),
)

# Readings (of what, title, field, value), the tower frozen; each against SFAR as it is by default.
_IN_CONTEXT = PRESETS[CHOSEN]["model.context_layers"]
READINGS: tuple[tuple[str, str, str, Any], ...] = (
    ("frame temperature (Eq. 7, 9)", "0.01, BIKE's", "model.frame_temperature", 0.01),
    ("frame temperature (Eq. 7, 9)", "0.03", "model.frame_temperature", 0.03),
    ("frame temperature (Eq. 7, 9)", "0.1", "model.frame_temperature", 0.1),
    ("frame temperature (Eq. 7, 9)", "0.3", "model.frame_temperature", 0.3),
    ("frame temperature (Eq. 7, 9)", "1, none as printed", "model.frame_temperature", 1.0),
    ("words that count (Eq. 7, 9)", "start token too", "model.word_mask", "real"),
    ("words that count (Eq. 7, 9)", "all 77 positions, BIKE's", "model.word_mask", "all"),
    ("sum or mean over words (Eq. 7)", "sum, as printed", "model.coarse_reduce", "sum"),
    ("length of frame embeddings (Eq. 8, 10)", "unit length, BIKE's", "model.frame_norm", True),
    ("cross-attention (Eq. 4-6)", "multi-head", "model.attention", "mha"),
    ("FFN (Eq. 11)", "none", "model.ffn", "none"),
    ("FFN (Eq. 11)", "without a residual, as printed", "model.ffn_residual", False),
    (
        "frames in context (section 4.1)",
        "none, as printed" if _IN_CONTEXT else "6 layers before the weights, BIKE's",
        "model.context_layers",
        0 if _IN_CONTEXT else 6,
    ),
    ("lambda (Eq. 14)", "0: text to video alone", "train.loss_lambda", 0.0),
    ("lambda (Eq. 14)", "0.5", "train.loss_lambda", 0.5),
    ("lambda (Eq. 14)", "2", "train.loss_lambda", 2.0),
    ("weight decay (Table 5)", "0.2, BIKE's", "train.weight_decay", 0.2),
    ("prompt (preliminary)", "a photo of a ...", "model.prompt", "a photo of a {}"),
)
LONGER = 3  # times as many epochs, the last of the readings

_OF_BRANCHES = (
    ("fine", "clip"),
    ("coarse", "clip"),
    ("both", "clip"),
    ("both", "temporal"),
    ("both", "coarse"),
    ("both", "fine"),
    ("coarse", "fine"),
)


def _pair(m: Method, row: str, against: str) -> tuple[str, str]:
    return in_reading(m, row), in_reading(m, against) if against in BRANCHES else against


def _frozen(m: Method) -> tuple[tuple[str, str], ...]:
    pairs = (
        *(("both", r) for r in ("vanilla", "temporal", "single", "single-0", "coarse", "fine")),
        *((b, r) for b in ("coarse", "fine") for r in ("vanilla", "temporal")),
        ("coarse", "fine"),
    )
    return tuple((f"frozen/{a}", f"frozen/{b}") for a, b in (_pair(m, *p) for p in pairs))


CONTRASTS = {
    "table2e": (
        ("temporal", "clip"),
        *(_pair(m, *pair) for m in registry.own() for pair in _OF_BRANCHES),
        *(("both", in_reading(m, "both")) for m in registry.own()[1:]),
    ),
    "fig7a": tuple(
        (in_reading(m, a), in_reading(m, b))
        for m in registry.own()
        for a, b in (("n3", "n2"), ("n4", "n3"), ("n5", "n4"), ("n5", "n2"))
    ),
    "tuned": tuple((in_reading(m, "both"), "single") for m in registry.own()),
    "frozen": (
        ("frozen/single", "frozen/single-0"),
        *(pair for m in registry.own() for pair in _frozen(m)),
        *(("frozen/both", f"frozen/{in_reading(m, 'both')}") for m in registry.own()[1:]),
    ),
}


def readings(profile: Profile) -> tuple[tuple[str, Variant], ...]:
    """What each reading is of, and its variant, named "reading/0" and so on."""
    longer = ("epochs", f"{LONGER} times as many", "train.epochs", LONGER * profile.train.epochs)
    return tuple(
        (of, Variant(f"reading/{i}", title, "sfar", (*FROZEN, (field, value))))
        for i, (of, title, field, value) in enumerate((*READINGS, longer))
    )


def need_subtexts(profile: Profile, classes: tuple[str, ...]) -> None:
    """Raise one ``ConfigError`` for all N of Figure 7a for which there are no sub-texts; it says what makes them."""
    missing = {}
    for v in FIG7A:
        p = v.profile(profile, profile.seeds[0])
        try:
            subtexts_of(p, classes)
        except ConfigError as e:
            missing[p.model.n_subtexts] = str(e)
    if missing:
        which = layout(profile)
        told = (
            "; ".join(missing.values())
            if "{n}" in profile.model.subtexts
            else (
                f"{next(iter(missing.values()))}. Write a file for each N with `sfar subtexts generate "
                f"--classes {which} --n N --model MODEL --out DIR/{which}.nN.json` "
                "and give them as --set 'model.subtexts=DIR/{dataset}.n{n}.json'"
            )
        )
        raise ConfigError(
            f"no sub-texts of N = {', '.join(map(str, missing))} (Figure 7a and Table 4 compare N = 2, 3, 4, 5): {told}"
        )


def texts_of(profile: Profile, classes: tuple[str, ...]) -> list[Profile]:
    """The configurations whose sub-texts are taken. Raises ``ConfigError`` where some are missing."""
    if is_drawn(profile) or layout(profile) != "kinetics400":
        return [profile]
    need_subtexts(profile, classes)
    return [v.profile(profile, profile.seeds[0]) for v in FIG7A]


def measure(profile: Profile, workers: int | None) -> Content:
    """Train every variant on every seed."""
    if not is_drawn(profile):
        need_subtexts(profile, dataset(profile).classes)
    parts = {"table2e": TABLE2E, "fig7a": FIG7A, "tuned": TUNED, "frozen": FROZEN_ROWS}
    open_ = readings(profile)
    variants = [*(v for part in parts.values() for v in part), *(v for _, v in open_)]
    by = study.run(profile, variants, workers, "ablations")
    value = {name: study.hits(runs) for name, runs in by.items()}
    rows = [r for part, own in parts.items() for v in own for r in study.rows(part, v, by[v.name])]
    rows += [r for of, v in open_ for r in study.rows("readings", v, by[v.name], of=of, field=v.changes[-1][0])]
    contrasts = [
        study.difference(a, b, value[a], value[b], part) for part, pairs in CONTRASTS.items() for a, b in pairs
    ]
    contrasts += [
        study.difference(v.name, "frozen/both", value[v.name], value["frozen/both"], "readings", of=of)
        for of, v in open_
    ]
    for m in registry.own():
        n2, n4, n5 = (value[in_reading(m, n)] for n in ("n2", "n4", "n5"))
        contrasts.append(study.difference(in_reading(m, "n4 - n2"), "n5 - n4", (n4 - n2) / 2, n5 - n4, "bend"))
    extra = {"temperature": by["both"][0]["temperature"]}
    return Content(study.about(by["both"]), rows, contrasts, extra, study.seconds(by))


# --- what is claimed -------------------------------------------------------------------------------------------------

# Rows of Table 2e as printed.
PRINTED: dict[str, dict[str, Any]] = {
    "clip": {"baseline": "Baseline (CLIP)"},
    "temporal": {"baseline": "Baseline (Temporal)"},
    "fine": {"coarse": "✗", "fine": "✓"},
    "coarse": {"coarse": "✓", "fine": "✗"},
    "both": {"coarse": "✓", "fine": "✓"},
}


def _beats(m: Method, row: str, against: str, text: str, source: str) -> Claim:
    """A claim on two rows of Table 2e."""

    def gap() -> str:
        return printed.gap("table2e", "top1", PRINTED[row], PRINTED[against])

    own, other = _pair(m, row, against)
    id = named(f"table2e-{row}-{against}", m)
    return Claim(id, "table2e", text + reading_of(m), source, above(own, other, part="table2e"), gap)


def _of_reading(m: Method) -> tuple[Claim, ...]:
    """The claims of Table 2e and Figure 7a on one reading of SFAR."""
    return (
        _beats(m, "fine", "clip", "the fine embedding alone beats fine-tuned CLIP", "Table 2e, section 4.3"),
        _beats(m, "coarse", "clip", "the coarse embedding alone beats fine-tuned CLIP", "Table 2e, section 4.3"),
        _beats(m, "both", "clip", "coarse and fine together beat fine-tuned CLIP", "Table 2e, section 4.3"),
        _beats(m, "both", "temporal", "coarse and fine together beat the temporal baseline", "Table 2e"),
        _beats(m, "both", "coarse", "coarse and fine together beat coarse alone", "Table 2e, section 4.3"),
        _beats(m, "both", "fine", "coarse and fine together beat fine alone", "Table 2e, section 4.3"),
        _beats(m, "coarse", "fine", "coarse alone beats fine alone", "Table 2e"),
        Claim(
            named("fig7a-more", m),
            "fig7a",
            f"accuracy rises from N = 2 to N = 5{reading_of(m)}",
            "Fig. 7a, section 4.3",
            above(in_reading(m, "n5"), in_reading(m, "n2"), part="fig7a"),
        ),
        Claim(
            named("fig7a-bend", m),
            "fig7a",
            f"one sub-text more gains more from N = 2 to 4 than from 4 to 5{reading_of(m)}",
            "Fig. 7a, section 4.3",
            above(in_reading(m, "n4 - n2"), "n5 - n4", title="the gain from 4 to 5"),
        ),
    )


CLAIMS = (
    Claim(
        "table2e-temporal-clip",
        "table2e",
        "the temporal baseline beats fine-tuned CLIP",
        "Table 2e",
        above("temporal", "clip", part="table2e"),
        lambda: printed.gap("table2e", "top1", PRINTED["temporal"], PRINTED["clip"]),
    ),
    *(claim for m in registry.own() for claim in _of_reading(m)),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

COLOURS = {
    "clip": "#E69F00",
    "temporal": "#56B4E9",
    "fine": style.FINE,
    "coarse": style.COARSE,
    "both": style.BOTH,
}
# What a default is called where the field's own value does not say it.
WORDS: dict[tuple[str, Any], str] = {
    ("model.word_mask", "words"): "no start token, no padding",
    ("model.frame_norm", False): "raw, as printed",
    ("model.attention", "printed"): "three matrices, as printed",
    ("model.ffn", "linear-relu-linear"): "Linear-ReLU-Linear",
    ("model.ffn_residual", True): "with a residual",
    ("model.context_layers", 0): "none",
    ("model.context_layers", 6): "6 layers",
    ("model.prompt", "This is a video about {}"): "This is a video about ...",
}


def default(record: Record, field: str) -> str:
    """The value that a field has where no reading changes it, in words."""
    group, name = field.split(".")
    value = record.provenance["config"][group][name]
    if value == values(get_profile(record.profile))[field]:  # the user has not set it
        value = tuned(record.profile, "sfar").get(field, value)
    if field == "model.frame_temperature" and value is None:
        return f"{record.extra['temperature']:.3g}, 1 / logit scale"
    return WORDS.get((field, value), f"{value:g}" if isinstance(value, float) else str(value))


def _differences(part: str) -> Shown:
    """The paired differences of a part; of both towers where both occur."""

    def make(record: Record) -> Table:
        def title(name: str) -> str:
            return record.title(name) + ", frozen" * name.startswith("frozen/")

        return page.contrasts_table(record.contrasts_of(part), title)

    return Shown(f"{part}-differences", make)


def _rows(part: str, heading: str, caption: str = "") -> Shown:
    return Shown(part, page.rows_of(part, caption), heading, latex=bool(caption), terminal=bool(caption))


def _open(record: Record) -> list[Row]:
    return record.select("readings", metric="top1")


def readings_table(record: Record) -> Table:
    """SFAR on the frozen tower with one field changed, against SFAR as it is by default."""
    rows, bare = [], []
    changed = dict(record.provenance["config"], epochs=LONGER)
    for r in record.select("readings", metric="top1"):
        c = record.contrast(r.row, "frozen/both", "readings")
        what = f"{r.setting['field']}={_value(r.row, r.setting['field'], changed)}"
        found = [f"{c.mean:+z.1f}", interval(c, 1, True), style.verdict_word(c.verdict)]
        rows.append([r.setting["of"], r.title, what, default(record, r.setting["field"]), r.mean, *found])
        bare.append([r.setting["of"], r.title, r.mean, c.mean, c.low, c.high])
    columns = ["Of what", "Reading", "Field", "Default", "Top-1 [%]", "Against the default [points]"]
    return Table(
        [*columns, "95 % interval", "The reading is"],
        rows,
        latex=Table(
            ["Of what", "Reading", "Top-1 [%]", "Difference", "low", "high"],
            bare,
            caption=f"Open readings against the default, tower frozen. {page.counted(record, _open(record))}",
        ),
    )


def _value(row: str, field: str, config: dict[str, Any]) -> Any:
    """What a reading sets its field to."""
    i = int(row.removeprefix("reading/"))
    return READINGS[i][3] if i < len(READINGS) else LONGER * config["train"]["epochs"]


def readings_text(record: Record) -> str:
    """How many readings differ from the default beyond their interval, and how many would by chance."""
    every = record.contrasts_of("readings")
    off = [c for c in every if c.verdict in ("holds", "does not hold")]
    base = record.find("frozen", "frozen/both")
    return (
        f"By default: {base.mean:.1f} % ({interval(base)}). {len(off)} of {len(every)} intervals lie off zero. "
        + page.MULTIPLE.format(n=len(every), luck=0.05 * len(every))
    )


def _readings_intro(record: Record) -> str:
    first = "SFAR on the frozen tower with one field changed (DEVIATIONS.md says why each is open)."
    return f"{first} {readings_text(record)}"


def _branch(name: str) -> str:
    """The row of Table 2e that a row in either reading is."""
    return name.rpartition("/")[2]


def table2e_figure(record: Record) -> Figure:
    """Measured accuracy of the five rows, tower fine-tuned and frozen, and the paper's printed values apart from it."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.2, 3.9), width_ratios=[1.45, 1], layout="constrained")
    tuned = {r.row: r for r in record.select("table2e", metric="top1")}
    order = list(tuned)
    frozen = {r.row.removeprefix("frozen/"): r for r in record.select("frozen", metric="top1")}
    series = (
        Series(tuned, "tower fine-tuned, as in the paper"),
        Series(frozen, "tower frozen", "s", hollow=True, size=4.5, shift=-0.32),
    )
    title = f"Measured: {record.profile} profile\n{page.count(record)}, 95 % intervals"
    colours = {name: COLOURS[_branch(name)] for name in order}
    plots.dot_panel(ax, {name: r.title for name, r in tuned.items()}, series, colours, title)
    plots.printed_panel(
        right,
        [(name, printed.cell("table2e", "top1", **PRINTED[_branch(name)])) for name in order],
        [COLOURS[_branch(name)] for name in order],
        "Printed in the paper: Kinetics-400\nTable 2e, ViT-B/16",
        labels=False,
        size=6,
    )
    right.set_ylim(ax.get_ylim())
    plots.marker_legend(fig, series, loc="outside lower left", ncols=2)
    return fig


def fig7a_figure(record: Record) -> Figure:
    """Accuracy over the number of sub-texts with the seeds behind it, and the paired gains of each step."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.2, 2.7), width_ratios=[1, 1.05], layout="constrained")
    rows = [r for r in record.select("fig7a", metric="top1") if "/" not in r.row]
    n = [int(r.row[1:]) for r in rows]
    for k in range(rows[0].seeds):
        label = "one seed each" if k == 0 else None
        ax.plot(n, [r.per_seed[k] for r in rows], "o-", color="#9db8cc", lw=0.7, ms=2.5, zorder=2, label=label)
    mean = [r.mean for r in rows]
    reach = [[r.mean - r.low for r in rows], [r.high - r.mean for r in rows]]
    look = {"marker": "o", "ms": 5.5, "mec": "white", "mew": 0.6, "lw": 1.5, "elinewidth": 1.3, "capsize": 2.5}
    ax.errorbar(n, mean, yerr=reach, color=COLOURS["both"], zorder=3, label="mean, 95 % interval", **look)
    for x, y in zip(n, mean, strict=True):
        ax.annotate(
            f"{y:.1f}",
            (x, y),
            xytext=(5, -9),
            textcoords="offset points",
            fontsize=7,
            color=COLOURS["both"],
            fontweight="bold",
            zorder=4,
            path_effects=[withStroke(linewidth=2.2, foreground="white")],
        )
    ax.set_xticks(n)
    ax.set_xlim(n[0] - 0.3, n[-1] + 0.6)
    ax.set_xlabel("Number of sub-texts N")
    ax.set_ylabel("Top-1 accuracy of SFAR [%]")
    ax.set_title(f"Measured: {record.profile} profile\n{page.count(record, rows)}, tower frozen", loc="left")
    steps = [c for c in record.contrasts_of("fig7a") if "/" not in c.row][::-1]
    plots.forest(right, list(enumerate(steps)))
    right.set_yticks(range(len(steps)), [f"N = {c.against[1:]} to {c.row[1:]}" for c in steps])
    right.set_ylim(-0.6, len(steps) - 0.4)
    right.set_title("Gain from more sub-texts\npaired over seeds and videos", loc="left")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.22), ncols=2)
    verdicts = [c.verdict for c in steps]
    plots.verdict_legend(right, verdicts, loc="upper left", bbox_to_anchor=(-0.28, -0.22), ncols=3)
    return fig


def readings_figure(record: Record) -> Figure:
    """A forest of what each reading does to SFAR on the frozen tower; the default of each group beside its name."""
    style.use()
    rows = record.select("readings", metric="top1")
    groups = {of: [r for r in rows if r.setting["of"] == of] for of in dict.fromkeys(r.setting["of"] for r in rows)}
    height = 0.21 * (len(rows) + len(groups)) + 0.8
    fig, ax = plt.subplots(figsize=(7.2, height), layout="constrained")
    left = -0.62  # of the names, in widths of the axes
    ticks: list[tuple[float, str, str]] = []  # height, text, note of a group
    shown: list[tuple[float, Contrast]] = []
    y = 0.0
    for of, mine in groups.items():
        fields = dict.fromkeys(r.setting["field"] for r in mine)
        ticks.append((y, of, f"default: {', '.join(default(record, f) for f in fields)}"))
        for r in mine:
            y -= 1
            ticks.append((y, r.title, ""))
            shown.append((y, record.contrast(r.row, "frozen/both", "readings")))
        y -= 1.15
    plots.forest(ax, shown, xlabel="Difference in top-1 accuracy to the default [points], tower frozen")
    for at, text, note in ticks:
        ax.annotate(
            text,
            (left, at),
            xycoords=("axes fraction", "data"),
            xytext=(0 if note else 8, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            fontweight="bold" if note else "normal",
            annotation_clip=False,
        )
        if note:
            ax.annotate(
                note,
                (0.0, at),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=6.5,
                style="italic",
                color="#666666",
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
    ax.set_yticks([])
    ax.set_ylim(y + 0.3, 0.9)
    ax.spines["left"].set_visible(False)
    what = f"What each open reading is worth: {record.profile} profile, {page.count(record, rows)}, 95 % intervals"
    ax.set_title(what, loc="left", x=left)
    verdicts = [c.verdict for _, c in shown]
    plots.verdict_legend(
        ax, verdicts, loc="upper left", bbox_to_anchor=(left - 0.02, -0.025), ncols=2, columnspacing=1.0
    )
    return fig


def paper_table2e(record: Record) -> Table:
    """Table 2e as printed."""
    rows = [[r["baseline"] or "SFAR", r["coarse"], r["fine"], r["top1"], r["top5"]] for r in paper.load("table2e")]
    return Table(["Row", "Coarse", "Fine", "Top-1 [%]", "Top-5 [%]"], rows)


BLOCKS = (
    Verdicts(),
    _rows(
        "table2e",
        "Table 2e: the two embeddings, tower fine-tuned",
        "Coarse and fine embedding (Table 2e), tower fine-tuned.",
    ),
    _differences("table2e"),
    Drawn("table2e-figure", table2e_figure, "Table 2e", file="table2e"),
    _rows("fig7a", "Figure 7a: number of sub-texts", "Number of sub-texts (Figure 7a), tower frozen."),
    _differences("fig7a"),
    Drawn("fig7a-figure", fig7a_figure, "Figure 7a", file="fig7a"),
    _rows("tuned", "Beside them: BIKE's head"),
    _differences("tuned"),
    _rows("frozen", "The same on a frozen tower"),
    _differences("frozen"),
    Text(_readings_intro, "What each open reading is worth", "readings-text"),
    Shown("readings", readings_table, latex=True, terminal=True),
    Drawn("readings-figure", readings_figure, "Readings", file="readings"),
    Text(page.INTERVALS),
    Shown("table2e-printed", paper_table2e, "Table 2e as printed (transcribed, Kinetics-400)"),
    Printed(
        "figure7a",
        {"n_from": "From N", "n_to": "To N", "quote": "The paper says"},
        "Figure 7a as described (transcribed)",
    ),
    Provenance(),
)

STUDY = Study(
    id="ablations",
    title="Table 2e, Figure 7a and the open readings",
    notebook="04_ablations",
    covers=(
        Item(
            "table2e",
            "Table 2e: what the embeddings contribute",
            (
                Quantity(
                    "coarse and fine, top-1 [%]",
                    lambda: printed.number("table2e", "top1", **PRINTED["both"]),
                    lambda r: r.find("table2e", "both"),
                ),
                Quantity(
                    "Baseline (CLIP), top-1 [%]",
                    lambda: printed.number("table2e", "top1", **PRINTED["clip"]),
                    lambda r: r.find("table2e", "clip"),
                ),
            ),
        ),
        Item(
            "fig7a",
            "Figure 7a: number of sub-texts N",
            tuple(
                Quantity(f"N = {n}, top-1 [%]", measured=lambda r, n=n: r.find("fig7a", f"n{n}")) for n in (2, 3, 4, 5)
            ),
        ),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    needs=("table1",),
    check=study.one_label,
    tested_on_unseen=True,
    texts=texts_of,
)
