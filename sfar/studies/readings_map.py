"""Which reading can be the paper: every reading of SFAR's head held against the patterns that the paper prints.

Eq. 11 as printed starts at chance; other readings start at CLIP. Each is trained here for all that a pattern needs, on
the frozen tower, and a pattern is a contrast with its verdict. Rivals have the profile's values as the readings have;
two rows are as the other studies report them, and their rivals too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sfar.config import CHOSEN, PRESETS, Profile
from sfar.model import registry
from sfar.paper import printed
from sfar.paper.printed import OURS
from sfar.render import style
from sfar.render.tables import Table, with_interval
from sfar.studies import multi_label
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, Decision, highest
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, UNSEEN, Content, Item, Runs, Study, Variant

# --- what is compared ------------------------------------------------------------------------------------------------

SHOTS = 2
SETS = {"few-shot": "storyboard-hmdb51", "multi-label": "storyboard-charades"}
TEMPERATURES: tuple[float | None, ...] = (None, 0.3, 1.0)  # with frames in context, six times the work, the first
CONTEXT = 6  # layers of the temporal transformer before the weights

MOST = 5  # seeds of a reading, of whose trainings there are some ninety
# Readings of Eq. 11 and of what it is given: title, residual, layers before the weights, frames of unit length.
KINDS: dict[str, tuple[str, bool, int, bool]] = {
    "printed": ("as printed", False, 0, True),
    "residual": ("residual", True, 0, True),
    "raw": ("residual, raw frames", True, 0, False),
    "printed-context": ("printed, frames in context", False, CONTEXT, True),
    "context": ("residual, frames in context", True, CONTEXT, True),
}
FIELDS = ("model.ffn_residual", "model.context_layers", "model.frame_norm")
CHOSEN_KIND = next(
    kind for kind, (_, *values) in KINDS.items() if values == [PRESETS[CHOSEN][field] for field in FIELDS]
)
# Of the chosen kind alone: what else section 3.4 leaves open and can be had at the same price.
OTHERS: dict[str, tuple[str, str, Any]] = {
    "sum": ("sum over words (Eq. 7)", "model.coarse_reduce", "sum"),
}


@dataclass(frozen=True)
class Reading:
    """A row of the map. ``changes``: its fields; ``tuned``: with what the search found, as other studies have it."""

    id: str
    title: str
    kind: str
    method: str
    changes: tuple[tuple[str, Any], ...] = ()
    temperature: float | None = None
    tuned: bool = False


def _reading(kind: str, temperature: float | None, more: str = "") -> Reading:
    title, *values = KINDS[kind]
    changes: tuple[tuple[str, Any], ...] = ()
    if kind != "printed":
        changes += tuple(zip(FIELDS, values, strict=True))
    if temperature is not None:
        changes += (("model.frame_temperature", temperature),)
    if more:
        what, field, value = OTHERS[more]
        return Reading(f"{kind}/{more}", f"{title}, {what}", kind, "sfar", (*changes, (field, value)))
    named = "1 / logit scale" if temperature is None else f"{temperature:g}"
    method = "sfar-printed" if kind == "printed" else "sfar"
    return Reading(f"{kind}/{named}", f"{title}, temperature {named}", kind, method, changes, temperature)


READINGS: tuple[Reading, ...] = (
    Reading("reported/printed", "SFAR, as printed, as reported", "printed", "sfar-printed", tuned=True),
    Reading("reported/chosen", "SFAR, chosen reading, as reported", CHOSEN_KIND, "sfar", tuned=True),
    *(_reading(kind, t) for kind, of in KINDS.items() for t in (TEMPERATURES[:1] if of[2] else TEMPERATURES)),
    *(_reading(CHOSEN_KIND, None, more) for more in OTHERS),
)
BY_ID = {r.id: r for r in READINGS}
SETTINGS = {
    "supervised": "supervised, top-1",
    "zero-shot": "zero-shot, top-1, mean of both layouts",
    "few-shot": f"K = {SHOTS}, HMDB-51 layout, top-1",
    "multi-label": "Charades layout, mAP",
}


@dataclass(frozen=True)
class Pattern:
    """A column: something that the paper prints. ``of``: the setting; ``row``, ``against``: runs, or a rival."""

    id: str
    group: str
    label: str
    title: str
    of: str
    row: str
    against: str
    source: str
    printed: str = ""


def _of_branches(one: tuple[str, str], other: tuple[str, str]) -> str:
    first, second = ({"coarse": c, "fine": f} for c, f in (one, other))
    return printed.gap("table2e", "top1", first, second)


_OWN, _COARSE, _FINE = ("✓", "✓"), ("✓", "✗"), ("✗", "✓")
PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "single",
        "SFAR over",
        "BIKE's\nhead",
        "SFAR over BIKE's head",
        "supervised",
        "both",
        "single",
        "Table 1, one view",
        printed.gap("table1", "top1", {**OURS, "views": "1x1"}, {"method": "BIKE", "views": "1x1"}),
    ),
    Pattern("vanilla", "SFAR over", "CLIP", "SFAR over zero-shot CLIP", "supervised", "both", "vanilla", "Table 3"),
    Pattern(
        "temporal",
        "SFAR over",
        "tempo-\nral",
        "SFAR over the temporal baseline",
        "supervised",
        "both",
        "temporal",
        "Table 2e",
        printed.gap("table2e", "top1", {"coarse": "✓", "fine": "✓"}, {"baseline": "Baseline (Temporal)"}),
    ),
    Pattern(
        "coarse",
        "embeddings",
        "both −\ncoarse",
        "both embeddings over coarse only",
        "supervised",
        "both",
        "coarse",
        "Table 2e",
        _of_branches(_OWN, _COARSE),
    ),
    Pattern(
        "fine",
        "embeddings",
        "both −\nfine",
        "both embeddings over fine only",
        "supervised",
        "both",
        "fine",
        "Table 2e",
        _of_branches(_OWN, _FINE),
    ),
    Pattern(
        "coarse-fine",
        "embeddings",
        "coarse\n− fine",
        "coarse only over fine only",
        "supervised",
        "coarse",
        "fine",
        "Table 2e",
        _of_branches(_COARSE, _FINE),
    ),
    Pattern(
        "zero-shot",
        "SFAR over CLIP",
        "zero-\nshot",
        "zero-shot SFAR over CLIP, mean of UCF-101's and HMDB-51's layout",
        "zero-shot",
        "both",
        "vanilla",
        "Table 2b",
    ),
    Pattern(
        "few-shot",
        "SFAR over CLIP",
        f"K = {SHOTS}",
        f"few-shot SFAR over CLIP, K = {SHOTS}, HMDB-51's layout",
        "few-shot",
        "few-shot",
        "vanilla",
        "Table 3",
        printed.gap(
            "table3",
            "value",
            {**OURS, "dataset": "HMDB-51", "shots": SHOTS},
            {"method": "Vanilla CLIP", "dataset": "HMDB-51", "shots": SHOTS},
        ),
    ),
    Pattern(
        "multi-label",
        "SFAR over CLIP",
        "multi-\nlabel",
        "multi-label SFAR over CLIP (mAP)",
        "multi-label",
        "multi-label",
        "vanilla",
        "Table 2a (ahead of all)",
    ),
    Pattern("n", "N", "4 − 2", "N = 4 over N = 2", "supervised", "both", "n2", "Fig. 7a"),
)
RIVALS = ("vanilla", "temporal", "single")
# The trainings of a reading: what of it is changed, and the data set's protocol where it is another.
RUNS: dict[str, tuple[tuple[str, Any], ...]] = {
    "both": (),
    "coarse": (("model.fine", False),),
    "fine": (("model.coarse", False),),
    "n2": (("model.n_subtexts", 2),),
    "few-shot": (("data.shots", SHOTS),),
    "multi-label": (),
}


def _variant(profile: Profile, name: str, title: str, method: str, what: str, own: Any, tuned: bool) -> Variant:
    trained = registry.get(method).trained
    base: tuple[tuple[str, Any], ...] = ()
    if what == "multi-label":
        base = multi_label.protocol(profile)
    elif what in SETS:
        base = study.protocol(profile, SETS[what], trained)
    changes = (*base, *(FROZEN if trained else ()), *own, *(RUNS[what] if trained else ()))
    seeded = trained and what == "few-shot"
    return Variant(f"{name}/{what}", title, method, changes, "1x1", what == "both", seeded, tuned)


def variants(profile: Profile) -> tuple[Variant, ...]:
    """All that is trained: the runs of every reading, and the rivals with the profile's values and as reported."""
    out = [_variant(profile, r.id, r.title, r.method, what, r.changes, r.tuned) for r in READINGS for what in RUNS]
    out += [_variant(profile, "vanilla", "CLIP", "vanilla", what, (), False) for what in ("both", *SETS)]
    for tuned in (False, True):
        for name in RIVALS[1:]:
            title = registry.get(name).title
            out.append(_variant(profile, _rival(name, tuned), title, name, "both", (), tuned))
    return tuple(out)


def _rival(name: str, tuned: bool) -> str:
    return f"{name}-reported" if tuned else name


def _unseen(runs: list[dict[str, Any]]) -> list[np.ndarray]:
    """Hits [seeds, videos] on all classes of each unseen set."""
    return list(study.unseen_hits(runs).values())


def _scores(runs: list[dict[str, Any]]) -> np.ndarray:
    return np.array([r["views"]["1x1"]["scores"] for r in runs])


def _positive(run: dict[str, Any]) -> np.ndarray:
    view = run["views"]["1x1"]
    out = np.zeros(np.shape(view["scores"]), bool)
    for row, labels in zip(out, view["sets"], strict=True):
        row[labels] = True
    return out


def measure(profile: Profile, workers: int | None) -> Content:
    """Every reading's runs, its accuracy in each setting and every pattern as a contrast."""
    by = study.run(profile, variants(profile), workers, "readings", MOST)
    maps = _maps(by)
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    for name, title in [("vanilla", "CLIP"), *((r.id, r.title) for r in READINGS)]:
        few = study.hits(by[f"{name}/few-shot"])
        parts = by[f"{name}/both"][0]["trained"]
        supervised = study.hits(by[f"{name}/both"])
        rows.append(study.measured("readings", name, title, supervised, "top1", parts, of="supervised"))
        unseen = statistics.strata_interval(_unseen(by[f"{name}/both"]))
        rows.append(_row(name, title, "top1", "zero-shot", unseen, parts))
        rows.append(study.measured("readings", name, title, few, "top1", parts, of="few-shot"))
        rows.append(_row(name, title, "map", "multi-label", maps[name], parts))
    for r in READINGS:
        contrasts += [_contrast(r, p, by, maps) for p in PATTERNS]
    first = by["reported/chosen/both"]
    scale = by[f"{_reading(CHOSEN_KIND, None).id}/both"][0]["temperature"]  # of a run that was given none
    extra = {"temperature": scale, "chosen": CHOSEN}
    data = {**study.about(first), "videos": {of: n for of, n in _counts(by).items()}}
    seeds = [int(r["seed"]) for r in first]
    return Content(data, rows, contrasts, extra, study.seconds(by), seeds)


def _counts(by: Runs) -> dict[str, int]:
    both = by["reported/chosen/both"][0]
    return {
        "supervised": len(both["labels"]),
        "zero-shot": sum(len(both["zero_shot"][name]["labels"]) for name in UNSEEN),
        "few-shot": len(by["reported/chosen/few-shot"][0]["labels"]),
        "multi-label": len(by["reported/chosen/multi-label"][0]["views"]["1x1"]["scores"]),
    }


def _maps(by: Runs) -> dict[Any, statistics.Found]:
    names = ["vanilla", *BY_ID]
    scores = {name: _scores(by[f"{name}/multi-label"]) for name in names}
    positive = _positive(by["vanilla/multi-label"][0])
    return multi_label.map_intervals(scores, positive, [(r, "vanilla") for r in BY_ID])


def _row(name: str, title: str, metric: str, of: str, found: statistics.Found, trained: list[str]) -> Row:
    mean, low, high = (round(float(x), 4) for x in found[:3])
    seeds = found.seeds or 1
    return Row("readings", name, title, metric, mean, low, high, seeds=seeds, trained=list(trained), setting={"of": of})


def _contrast(r: Reading, p: Pattern, by: Runs, maps: dict[Any, statistics.Found]) -> Contrast:
    """A pattern in a reading; ``against`` says the rival, ``pattern`` in its setting the column."""
    if p.of == "multi-label":
        return study.contrast(r.id, p.against, maps[r.id, p.against], "patterns", "map", pattern=p.id)
    own = by[f"{r.id}/{p.row}"]
    if p.of == "zero-shot":
        pairs = zip(_unseen(own), _unseen(by[f"{p.against}/both"]), strict=True)
        found = statistics.strata_interval([study.paired(a, b) for a, b in pairs])
        return study.contrast(r.id, p.against, found, "patterns", pattern=p.id)
    if p.of == "few-shot":
        other = by[f"{p.against}/few-shot"]
    elif p.against in RUNS:
        other = by[f"{r.id}/{p.against}"]
    else:
        other = by[f"{p.against if p.against == 'vanilla' else _rival(p.against, r.tuned)}/both"]
    return study.difference(r.id, p.against, study.hits(own), study.hits(other), "patterns", pattern=p.id)


# --- what is claimed -------------------------------------------------------------------------------------------------


def patterns(record: Record, reading: str) -> dict[str, Contrast]:
    """The contrasts of a reading by pattern."""
    return {c.setting["pattern"]: c for c in record.contrasts_of("patterns", reading)}


def counts(record: Record) -> dict[str, int]:
    """How many patterns each reading reproduces."""
    return {r.id: sum(c.verdict == "holds" for c in patterns(record, r.id).values()) for r in READINGS}


def all_hold(record: Record) -> Decision | None:
    """Whether there is a reading in which every pattern holds.

    Shown is, of the reading that reproduces most, the difference that decided; its p counts that it was picked out.
    """
    title = {p.id: p.title for p in PATTERNS}
    found = counts(record)
    each: dict[str, Decision] = {}
    for r in READINGS:
        decision = highest(
            lambda rec, r=r: rec.contrasts_of("patterns", r.id),
            lambda rec, c, r=r: f"{r.title}: {title[c.setting['pattern']]}",
        )(record)
        if decision is None:
            return None
        each[r.id] = decision
    verdicts = [d.verdict for d in each.values()]
    overall = next(
        (v for v in ("holds", "undecided", "equal") if v in verdicts),
        "does not hold",
    )
    best = max((r for r in each if each[r].verdict == overall), key=lambda r: found[r])
    d = each[best]
    p = {"holds": min(1.0, len(each) * (d.p or 0.0)), "does not hold": max(x.p or 0.0 for x in each.values())}
    return Decision(overall, d.shown, d.against, p=p.get(overall, 1.0))


CLAIMS = (
    Claim(
        "readings-all",
        "readings",
        f"there is a reading in which all {len(PATTERNS)} patterns of the paper hold",
        "not a claim of the paper",
        all_hold,
        own=True,
    ),
)


# --- what is shown ---------------------------------------------------------------------------------------------------


SWEPT = tuple(kind for kind, (_, _, layers, _) in KINDS.items() if not layers)  # kinds with every temperature


def best_temperature(record: Record, kinds: tuple[str, ...] = SWEPT) -> tuple[float | None, dict[str, float]]:
    """Of the temperatures the one with the highest mean over settings and ``kinds``, and the mean of each."""
    mean = {
        _degree(t): float(np.mean([_values(record, r.id) for r in READINGS if _swept(r) and _is(r, t, kinds)]))
        for t in TEMPERATURES
    }
    best = max(TEMPERATURES, key=lambda t: mean[_degree(t)])
    return best, mean


def _swept(r: Reading) -> bool:
    return not r.tuned and r.id.rpartition("/")[2] not in OTHERS


def _is(r: Reading, t: float | None, kinds: tuple[str, ...]) -> bool:
    return r.temperature == t and r.kind in kinds


def _degree(t: float | None) -> str:
    return "1 / logit scale" if t is None else f"{t:g}"


def _values(record: Record, reading: str) -> list[float]:
    return [_value(record, reading, of).mean for of in SETTINGS]


def _value(record: Record, reading: str, of: str) -> Row:
    return record.find("readings", reading, "map" if of == "multi-label" else "top1", of=of)


def opposed(record: Record, reading: str) -> list[str]:
    """The patterns of which the opposite holds in a reading."""
    return [p.title for p in PATTERNS if patterns(record, reading)[p.id].verdict == "does not hold"]


def finding(record: Record) -> str:
    """The readings that reproduce most and contradict least, and the temperature that serves all settings best."""
    found = counts(record)
    most = max(found.values())
    names = " and ".join(f'"{BY_ID[r].title}"' for r, n in found.items() if n == most)
    each = "; ".join(
        f'against "{BY_ID[r].title}": {", ".join(opposed(record, r)) or "none"}' for r in found if found[r] == most
    )
    least = min(len(opposed(record, r)) for r in BY_ID)
    calm = ", ".join(f'"{BY_ID[r].title}" ({found[r]})' for r in BY_ID if len(opposed(record, r)) == least)
    every, mean = best_temperature(record)
    chosen, own = best_temperature(record, (CHOSEN_KIND,))
    return (
        f"{most} of {len(PATTERNS)} patterns hold in {names} ({each}). Fewest, {least}, are contradicted in {calm} "
        "(in brackets how many hold there). Over the four settings and the "
        f"{len(SWEPT)} kinds of reading that have each, temperature {_degree(every)} serves best ("
        f"{', '.join(f'{k}: {v:.1f} %' for k, v in mean.items())}), of the chosen reading alone {_degree(chosen)} ("
        f"{', '.join(f'{k}: {v:.1f} %' for k, v in own.items())}); 1 / logit scale is "
        f"{record.extra['temperature']:.3g} here."
    )


def map_table(record: Record) -> Table:
    """Every reading by every pattern: the difference and its mark."""
    found = counts(record)
    rows = []
    for r in READINGS:
        of = patterns(record, r.id)
        rows.append([_title(r), *(f"{of[p.id].mean:+z.1f} {MARK[of[p.id].verdict]}" for p in PATTERNS), found[r.id]])
    columns = ["Reading", *(f"{p.group}: {_flat(p.label)}" for p in PATTERNS), f"Holds, of {len(PATTERNS)}"]
    return Table(columns, rows, caption=f"Readings by patterns of the paper [points]. {page.counted(record)}")


MARK = {"holds": "▲", "does not hold": "▼", "equal": "=", "undecided": "?"}


def _flat(label: str) -> str:
    return label.replace("-\n", "-" if label.startswith(("zero", "multi")) else "").replace("\n", " ")


def _title(r: Reading) -> str:
    mark = {"printed": "as printed", CHOSEN_KIND: "chosen"}
    standard = not r.tuned and _swept(r) and r.temperature is None and r.kind in mark
    return f"{r.title} ({mark[r.kind]})" if standard and mark[r.kind] not in r.title else r.title


def patterns_table(record: Record) -> Table:
    """What the columns are, and what the paper prints."""
    held = {p.id: sum(patterns(record, r.id)[p.id].verdict == "holds" for r in READINGS) for p in PATTERNS}
    rows = [[p.title, SETTINGS[p.of], p.source, p.printed or None, held[p.id]] for p in PATTERNS]
    return Table(["Pattern", "Measured", "Paper", "Printed there", f"Holds in, of {len(READINGS)} readings"], rows)


def values_table(record: Record) -> Table:
    """What every reading reaches in each setting."""
    rows = []
    for name in ("vanilla", *BY_ID):
        each = [_value(record, name, of) for of in SETTINGS]
        rows.append([each[0].title, *map(with_interval, each), float(np.mean([e.mean for e in each]))])
    return Table(["Reading", *(f"{title} [%]" for title in SETTINGS.values()), "Mean"], rows)


TINTS = {"holds": "#9ecae9", "does not hold": "#f4b183", "equal": "#a9d9c4", "undecided": "#e4e4e4"}
WORDS = {
    "holds": "holds (95 %)",
    "does not hold": "the opposite holds",
    "equal": "equal (within a point)",
    "undecided": "undecided",
}


def _heights() -> list[float]:
    """Of the rows from top to bottom, groups apart."""
    out, y, last = [], 0.0, None
    for r in READINGS:
        group = (r.tuned, _swept(r), r.kind)
        group = (True,) if r.tuned else group
        if last is not None and group != last:
            y -= 0.3
        out.append(y)
        last, y = group, y - 1
    return out


def _places() -> list[float]:
    out, x, last = [], 0.0, ""
    for p in PATTERNS:
        if last and p.group != last:
            x += 0.22
        out.append(x)
        last, x = p.group, x + 1
    return out


def figure(record: Record) -> Figure:
    """The map: readings by patterns, coloured by verdict, with the difference in points in each cell."""
    style.use()
    fig, ax = plt.subplots(figsize=(7.4, 4.9), layout="constrained")
    heights, places, found = _heights(), _places(), counts(record)
    top, end = 0.5, places[-1] + 1.15
    for y, r in zip(heights, READINGS, strict=True):
        of = patterns(record, r.id)
        for x, p in zip(places, PATTERNS, strict=True):
            c = of[p.id]
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=TINTS[c.verdict], edgecolor="white", lw=1))
            weight = "bold" if c.verdict in ("holds", "does not hold") else "normal"
            text = f"{c.mean:+z.1f}".replace("-", "−")
            ax.text(x, y, text, ha="center", va="center", fontsize=6.6, fontweight=weight, color="#222222")
        weight = "bold" if found[r.id] == max(found.values()) else "normal"
        score = f"{found[r.id]} : {len(opposed(record, r.id))}"
        ax.text(end, y, score, ha="center", va="center", fontsize=8, fontweight=weight)
        if r.tuned:
            colour = registry.get(r.method).colour
            wide = places[-1] + 1
            ax.add_patch(Rectangle((-0.5, y - 0.46), wide, 0.92, fill=False, edgecolor=colour, lw=1.3, zorder=4))
    for x, p in zip(places, PATTERNS, strict=True):
        ax.text(x, top + 0.2, p.label, ha="center", va="bottom", fontsize=6.8, linespacing=1.05)
    for group in dict.fromkeys(p.group for p in PATTERNS):
        own = [x for x, p in zip(places, PATTERNS, strict=True) if p.group == group]
        ax.text(sum(own) / len(own), top + 1.75, group, ha="center", va="bottom", fontsize=7, fontweight="bold")
        if len(own) > 1:
            ax.plot([own[0] - 0.42, own[-1] + 0.42], [top + 1.62] * 2, color="#888888", lw=0.7)
    ax.text(end, top + 0.2, "holds :\nopposite", ha="center", va="bottom", fontsize=6.8, fontweight="bold")
    ax.set_xlim(-0.55, end + 0.55)
    ax.set_ylim(heights[-1] - 0.55, top + 2.5)
    _rows(ax, heights, record)
    what = f"Which reading can be the paper? Differences in points, frozen tower, {page.seeds(record)}"
    fig.suptitle(what, x=0.01, ha="left", fontsize=9, fontweight="bold")
    handles = [Patch(facecolor=TINTS[v], label=w) for v, w in WORDS.items()]
    fig.legend(handles=handles, loc="outside lower right", ncols=4, handlelength=1.2, columnspacing=1.4)
    return fig


def _group(r: Reading) -> str:
    """What the rows of one block are called in the figure."""
    if r.tuned:
        return "SFAR, as printed" if r.kind == "printed" else "SFAR"
    if not _swept(r):
        return "chosen reading with"
    mark = "\n(chosen)" if r.kind == CHOSEN_KIND else ""
    return KINDS[r.kind][0].replace(", ", ",\n") + mark


def _row_label(r: Reading, record: Record) -> str:
    if r.tuned:
        return "as reported"
    if not _swept(r):
        return OTHERS[r.id.rpartition("/")[2]][0]
    t = record.extra["temperature"] if r.temperature is None else r.temperature
    return f"temperature {t:.2g}"


def _standard(r: Reading) -> bool:
    """Whether the row is what is printed, or what was chosen."""
    return r.tuned or (_swept(r) and r.temperature is None and r.kind in ("printed", CHOSEN_KIND))


def _rows(ax: Axes, heights: list[float], record: Record) -> None:
    """Names of the rows and of their blocks; what is printed and what was chosen in the colour of its method."""
    ax.set_yticks(heights, [_row_label(r, record) for r in READINGS], fontsize=7)
    for label, r in zip(ax.get_yticklabels(), READINGS, strict=True):
        if _standard(r):
            label.set_color(registry.get(r.method).colour)
            label.set_fontweight("bold")
    blocks: dict[str, list[int]] = {}
    for i, r in enumerate(READINGS):
        blocks.setdefault(_group(r), []).append(i)
    for group, own in blocks.items():
        r = READINGS[own[0]]
        y = sum(heights[i] for i in own) / len(own)
        colour = registry.get(r.method).colour if _standard(r) else "#222222"
        look = {"fontsize": 7, "fontweight": "bold", "color": colour, "va": "center", "linespacing": 1.15}
        ax.annotate(group, (-4.15, y), ha="right", annotation_clip=False, **look)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set_visible(False)


HOW = (
    "A row is a reading of Eq. 11 and of the frames that it is given, at a temperature over frames; a column is a "
    "pattern that the paper prints, as the difference of two runs (or of two means), paired over seeds and videos. ▲ "
    "the pattern holds, ▼ the opposite does (95 % intervals), = equal within a point, ? undecided. The tower is "
    "frozen. All rows have the profile's own learning rates and epochs, and so have their rivals; the rows "
    '"as reported", and their rivals, have what the search on development worlds found for each method.'
)

BLOCKS = (
    Text(HOW, "How it is read", "how"),
    Text(finding, "What is found", "finding"),
    Drawn("figure", figure, "Readings by the patterns of the paper", file="readings_map"),
    Shown("map", map_table, "Readings by patterns [points]", terminal=True),
    Shown("patterns", patterns_table, "The patterns"),
    Shown("values", values_table, "What each reading reaches"),
    Text(lambda r: page.MULTIPLE.format(n=len(r.contrasts), luck=0.05 * len(r.contrasts)), id="multiple"),
    Verdicts(),
    Provenance(),
)

STUDY = Study(
    id="readings_map",
    title="Readings: which can be the paper? (not of the paper)",
    notebook="12_readings",
    covers=(Item("readings", "Readings: which can be the paper? (not of the paper)"),),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=page.videos,
    files=tuple(f"sfar/paper/{table}.csv" for table in ("statements", "table1", "table2e", "table3")),
    check=study.drawn_alone,
    drawn_only=True,
    beyond=True,
)
