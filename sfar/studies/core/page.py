"""The one renderer: a study's blocks as Markdown page, CSV, LaTeX, text for a terminal, and objects for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sfar.config import DRAWN, GROUPS, get_profile, values
from sfar.data.layouts import layout
from sfar.errors import SfarError
from sfar.render import style, tables
from sfar.render.style import verdict_word
from sfar.render.tables import Table, interval, with_interval
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.record import Contrast, Record, Row, Verdict
from sfar.studies.core.study import Study
from sfar.util import paths

INTERVALS = "Intervals are over seeds and videos, both random; differences are paired over both."
MULTIPLE = (
    "Each interval is of 95 % by itself: of {n} differences that are truly zero, about {luck:.0f} would still lie off "
    "zero by chance."
)


# --- tables that many studies have -----------------------------------------------------------------------------------

ROW_COLUMNS = ["Method", "Top-1 [%]", "std", "95 % interval", "Top-5 [%]", "std", "Seeds", "Trained"]


def deviation(row: Row) -> float | None:
    """The standard deviation over seeds; one seed has none."""
    return row.std if row.seeds > 1 else None


def rows_table(record: Record, part: str, caption: str = "", **setting: Any) -> Table:
    """The measured rows of a part: top-1 with its interval, top-5, seeds, what was trained."""
    top1 = record.select(part, metric="top1", **setting)
    top5 = {(r.row, *r.setting.items()): r for r in record.select(part, metric="top5", **setting)}
    pairs = [(r, top5[(r.row, *r.setting.items())]) for r in top1]
    body = [
        [a.title, a.mean, deviation(a), interval(a), b.mean, deviation(b), a.seeds_text, a.trained_text]
        for a, b in pairs
    ]
    bare = [[a.title, a.mean, deviation(a), a.low, a.high, b.mean] for a, b in pairs]
    return Table(
        ROW_COLUMNS,
        body,
        caption=caption,
        latex=Table(["", "Top-1 [%]", "std", "low", "high", "Top-5 [%]"], bare),
    )


def rows_of(part: str, caption: str = "") -> Callable[[Record], Table]:
    """``rows_table`` of a part as what a block takes; the caption of its LaTeX form gets the profile and the counts."""

    def make(record: Record) -> Table:
        return rows_table(record, part, f"{caption} {counted(record, record.select(part))}" if caption else "")

    return make


def contrasts_table(
    contrasts: Sequence[Contrast],
    title: Callable[[str], str],
    unit: str = "points",
    lead: Callable[[Contrast], str] | None = None,
) -> Table:
    """Paired differences, row − against, with interval and verdict in words. ``lead``: words before the names."""
    body = [
        [
            f"{lead(c) if lead else ''}{title(c.row)} − {title(c.against)}",
            f"{c.mean:+z.1f}",
            interval(c, 1, True),
            verdict_word(c.verdict),
        ]
        for c in contrasts
    ]
    return Table(["Difference", f"Mean [{unit}]", "95 % interval", "The first is"], body)


def verdicts_table(record: Record) -> Table | str:
    """The claims as they were decided."""
    if not record.claims:
        return "None can be measured here."
    return Table(
        ["Claim", "Source", "Printed", "Verdict here", "Against", "Value", "95 % interval", "If undecided"],
        [
            [
                c.claim,
                c.source,
                c.printed or tables.NOTHING,
                c.verdict,
                c.against,
                value(c),
                interval(c, digits(c), True),
                to_decide(c),
            ]
            for c in record.claims
        ],
    )


def undecided(c: Verdict) -> str:
    """The verdict in words; of an undecided one with ``to_decide``."""
    return c.verdict if c.in_sight is None else f"{c.verdict}: {to_decide(c)}"


def to_decide(c: Verdict) -> str:
    """Of an undecided claim: what would have been found, and what would decide it."""
    if c.in_sight is None:
        return tables.NOTHING
    then = f"{c.seeds} seeds would decide" if c.seeds else "more videos would"
    return f"{c.in_sight:.1f} was in sight; {then}"


def digits(c: Verdict | Contrast) -> int:
    """Decimals of a claim's or contrast's number: one of points, two of a pure number."""
    return 1 if c.unit else 2


def value(c: Verdict | Contrast) -> str:
    """A number as text, "+4.6 points" or "+0.39"."""
    return f"{c.mean:+z.{digits(c)}f} {c.unit}".strip()


def measured(c: Verdict | Contrast) -> str:
    """A number with its interval, "+4.6 points (+1.2 to +8.0)"."""
    return f"{value(c)} ({interval(c, digits(c), True)})"


MARKS = {"holds": " ▲", "does not hold": " ▼", "equal": " =", "undecided": ""}


def marked(c: Contrast) -> str:
    """A difference in points with its interval and the mark of its verdict."""
    return with_interval(c, 1, True) + MARKS[c.verdict]


def provenance_table(record: Record) -> Table:
    """Where the numbers come from, a row each."""
    rows = [
        [k, ", ".join(f"{a} {b}" for a, b in v.items()) if isinstance(v, dict) else str(v)]
        for k, v in record.provenance.items()
        if k != "config"
    ]
    return Table(["What", "Value"], [*rows, ["inputs", record.inputs]])


def provenance_text(record: Record) -> str:
    """The same with the whole configuration."""
    config = record.provenance["config"]
    fields = [f"{group}.{k} = {v}" for group in ("model", "train", "data") for k, v in config[group].items()]
    return f"{provenance_table(record)}\n\nConfiguration:\n\n" + "\n".join(f"- `{f}`" for f in fields)


# --- words that many studies need ------------------------------------------------------------------------------------


def set_title(dataset: str) -> str:
    """The data set in whose layout ``dataset`` is: "UCF-101" of "storyboard-ucf101" and of "ucf101" alike."""
    return layout(DRAWN.get(dataset, dataset)).title


def seeds(record: Record, rows: Sequence[Row] = ()) -> str:
    """Text such as "5 seeds": of the record, or of some ``rows`` that have others (those of a frozen tower)."""
    n = max((r.seeds for r in rows), default=len(record.seeds))
    return f"{n} seed{'s' * (n != 1)}"


def count(record: Record, rows: Sequence[Row] = ()) -> str:
    """Text such as "5 seeds, 400 videos"; ``rows`` as in ``seeds``."""
    return f"{seeds(record, rows)}, {record.data['val_videos']} videos"


def counted(record: Record, rows: Sequence[Row] = ()) -> str:
    """The end of a LaTeX caption; ``rows`` as in ``seeds``."""
    return f"{record.profile} profile, {count(record, rows)}; low, high: 95 % interval over seeds and videos."


def videos(record: Record) -> str:
    """What was measured on, and what had to be left out."""
    d = record.data
    text = f"{d['train_clips']} training and {d['val_videos']} validation videos of {d['classes']} classes."
    if d["undecodable"] or d["missing"]:
        lost = f"Undecodable videos: {len(d['undecodable'])}; missing: {len(d['missing'])}"
        text += f" {lost}; they are named in the record."
    return text


# --- the page --------------------------------------------------------------------------------------------------------


def configuration(record: Record) -> dict[str, Any]:
    """The fields that the record was made with, by dotted name, as ``config.values`` gives them of a profile."""
    config = record.provenance["config"]
    fields = {f"{g}.{k}": v for g in GROUPS for k, v in config[g].items()}
    return fields | {k: config[k] for k in ("seeds", "frozen_seeds") if k in config}


def banner(record: Record) -> str:
    """What the record was made with where that is not its profile as it stands; "" where it is."""
    standard = values(get_profile(record.profile))
    other = {k: v for k, v in configuration(record).items() if k in standard and v != standard[k]}
    other.pop("data.root", None)  # a real data set has to be somewhere
    if other.get("frozen_seeds") == [] and "seeds" in other:
        del other["frozen_seeds"]  # the same as the others
    if not other:
        return ""
    named = ", ".join(f"`{k} = {v}`" for k, v in other.items())
    return (
        f"> **Other settings than the {record.profile} profile's**: {named}. Made by `{record.provenance['command']}`."
    )


def head(study: Study, record: Record) -> str:
    """Title and provenance of a page, and its banner."""
    p = record.provenance
    more = study.describe(record) if study.describe else ""
    seeds = f"; seeds {', '.join(map(str, record.seeds))}" if record.seeds else ""
    if (most := max((r.seeds for r in record.rows), default=0)) > len(record.seeds) > 0:
        seeds += f" (on a frozen tower {most} of them)"
    title = "\n\n".join(filter(None, [f"# {study.title}", banner(record)]))
    return (
        f"{title}\n\nMeasured with `{p['command']}` ({record.profile} profile) at revision {p['revision']} "
        f"on {p['hardware']}, {p['date']}{seeds}. {more}".rstrip()
    )


def _part(block: Text | Shown | Drawn | Printed | Verdicts | Provenance, record: Record) -> str:
    """A block in Markdown, "" where the record has nothing for it."""
    if isinstance(block, Drawn):
        return f"![{block.alt or block.stem}]({block.stem}.png)"
    if isinstance(block, Verdicts):
        return str(verdicts_table(record))
    if isinstance(block, Provenance):
        return provenance_text(record)
    made = block.make(record)
    return "" if made is None else str(made)


def markdown(study: Study, record: Record, left_out: Sequence[str] = ()) -> str:
    """The page. ``left_out``: figures that the record has nothing for."""
    parts = [head(study, record)]
    for block in study.blocks:
        if isinstance(block, Drawn) and block.id in left_out:
            continue
        text = _part(block, record)
        if text:
            parts += ([f"## {block.heading}"] if block.heading else []) + [text]
    return "\n\n".join(parts) + "\n"


def terminal(study: Study, record: Record) -> str:
    """For the terminal: the tables marked for it, and the verdicts of a study that has claims."""
    made = [b.make(record) for b in study.blocks if isinstance(b, Shown) and b.terminal]
    verdicts = [verdicts_table(record)] if study.claims else []
    return "\n\n".join(str(m) for m in [*made, *verdicts] if m is not None)


def latex(study: Study, record: Record) -> str:
    """The tables marked for it; of a study without one "" (no file is written then)."""
    made = [b.make(record) for b in study.blocks if isinstance(b, Shown) and b.latex]
    return "\n".join(t.to_latex() for t in made if t is not None)


CSV = ["kind", "part", "row", "against", "title", "metric"]
CSV_NUMBERS = ["mean", "std", "low", "high", "seeds", "videos", "trained", "verdict"]


def to_csv(study: Study, record: Record) -> str:
    """Every row, contrast and claim, a number a cell.

    One column for each key of a setting and for each value that belongs to some rows alone (``more``). A study whose
    findings are no such numbers has a table of its own (``Study.csv``).
    """
    if study.csv:
        own = study.csv(record)
        return tables.to_csv(own.columns, own.rows)
    measured: list[Row | Contrast] = [*record.rows, *record.contrasts]
    keys = list(dict.fromkeys(k for e in measured for k in e.setting))
    own_keys = list(dict.fromkeys(k for e in measured for k in _single(e.more) if k not in CSV_NUMBERS))
    body: list[list[Any]] = []

    def line(kind: str, e: Row | Contrast, tail: list[Any], against: str | None, title: str | None) -> None:
        more = _single(e.more)
        tail = [more.get(k) if x is None else x for k, x in zip(CSV_NUMBERS, tail, strict=True)]
        settings = [e.setting.get(k) for k in keys]
        body.append([kind, e.part, e.row, against, title, e.metric, *settings, *tail, *(more.get(k) for k in own_keys)])

    for r in record.rows:
        n = r.seeds if r.trained else None
        line("row", r, [r.mean, deviation(r), r.low, r.high, n, r.videos, " ".join(r.trained), None], None, r.title)
    for c in record.contrasts:
        line("contrast", c, [c.mean, None, c.low, c.high, None, None, None, c.verdict], c.against, None)
    empty, last = [None] * len(keys), [None] * len(own_keys)
    for v in record.claims:
        numbers = [v.mean, None, v.low, v.high, None, None, None, v.verdict]
        body.append(["claim", v.item, v.id, v.against, v.claim, v.unit, *empty, *numbers, *last])
    return tables.to_csv([*CSV, *keys, *CSV_NUMBERS, *own_keys], body)


def _single(more: dict[str, Any]) -> dict[str, Any]:
    """What ``more`` holds as cells: a mapping as "key.name", a list of numbers divided by blanks.

    A key that is a column of every table already has "own." before it.
    """
    out = {}
    for key, value in more.items():
        named = {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        out |= {
            f"own.{k}" if k in CSV else k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in named.items()
        }
    return out


def block(study: Study, which: str) -> Text | Shown | Drawn | Printed | Verdicts | Provenance:
    """The block of this id. Raises ``SfarError`` naming those that there are."""
    found = {b.id or getattr(b, "name", ""): b for b in study.blocks}
    if which not in found or not which:
        raise SfarError(f"study {study.id} shows no {which!r}: it has {', '.join(k for k in found if k)}")
    return found[which]


def show(study: Study, record: Record, which: str) -> Table | Figure | str | None:
    """One block for a notebook: a table, a figure or a text."""
    b = block(study, which)
    if isinstance(b, Verdicts):
        return verdicts_table(record)
    if isinstance(b, Provenance):
        return provenance_table(record)
    return b.make(record)


def write(study: Study, record: Record, out: Path) -> list[Path]:
    """Write ``<id>.csv``, ``.md``, ``.tex``, every figure and ``<id>.json`` into ``out``; returns their paths.

    Each is written whole or not at all, the record last: it stands only when everything drawn from it does.
    """
    files: list[Path] = []
    empty: list[str] = []
    for b in study.blocks:
        if not isinstance(b, Drawn):
            continue
        figure = b.make(record)
        if figure is None:
            empty.append(b.id)
            continue
        files += style.save(figure, out / f"{b.stem}.png")
        plt.close(figure)
    texts = {"csv": to_csv(study, record), "md": markdown(study, record, empty), "tex": latex(study, record)}
    for ending, text in texts.items():
        if text:
            paths.write_atomic(out / f"{study.id}.{ending}", text)
            files.append(out / f"{study.id}.{ending}")
    paths.write_json(out / f"{study.id}.json", record.to_json())
    return [*files, out / f"{study.id}.json"]
