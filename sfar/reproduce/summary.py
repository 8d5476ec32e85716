"""The one page: a row for each table and figure of the paper, for the number it is about, and for each claim, with what was measured here.

Drawn from the records alone. A record that is missing or does not fit the code is named with the command that makes it. The paper's column holds
transcribed numbers (``sfar/paper``), the measured one never does.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfar import paper
from sfar.config import Profile
from sfar.errors import SfarError
from sfar.model import cost
from sfar.render import style, tables
from sfar.reproduce.targets import STUDIES, TARGETS
from sfar.studies.core import record as R
from sfar.util import paths

Record = dict[str, Any]
OURS = {"method": "SFAR (ours)"}
NOTHING = "–"


# --- what the paper prints ------------------------------------------------------------------------------------------


def cell(table: str, column: str, **where: Any) -> float:
    """One printed number. Raises ``SfarError`` unless exactly one row of the transcribed table fits."""
    found = [r[column] for r in paper.load(table) if all(r[k] == v for k, v in where.items())]
    if len(found) != 1:
        raise SfarError(f"sfar/paper/{table}.csv: {len(found)} rows with {where}, expected one")
    return found[0]


def lead(table: str, column: str, **where: Any) -> str:
    """SFAR's printed number minus the highest printed one of all other methods, signed."""
    others = [
        r[column]
        for r in paper.load(table)
        if r["method"] != OURS["method"] and r[column] is not None and all(r[k] == v for k, v in where.items())
    ]
    return signed(cell(table, column, **OURS, **where) - max(others))


def said(which: str) -> str:
    """A number out of the running text, by its id in ``statements.csv``."""
    return str(next(r["value"] for r in paper.load("statements") if r["id"] == which))


def signed(value: float, digits: int = 1) -> str:
    """ "+4.6"."""
    return f"{value:+.{digits}f}"


# Rows of Table 2e.
CLIP, TEMPORAL = {"baseline": "Baseline (CLIP)"}, {"baseline": "Baseline (Temporal)"}
FINE, COARSE, BOTH = ({"coarse": a, "fine": b} for a, b in ("✗✓", "✓✗", "✓✓"))


def _gap(a: dict[str, Any], b: dict[str, Any]) -> str:
    return signed(cell("table2e", "top1", **a) - cell("table2e", "top1", **b))


def _second_generator() -> str:
    rows = sorted((r["top1"] for r in paper.load("table2d")), reverse=True)
    return signed(rows[0] - rows[1], 2)


# (record, how the claim begins) -> the paper's number for it, where it prints one. A claim that quotes its number itself, "(paper: +0.5)", needs no line.
PRINTED: dict[tuple[str, str], Callable[[], str]] = {
    ("table1", "SFAR has the highest top-1"): lambda: lead("table1", "top1"),
    ("table1", "a_fine puts more weight on those frames than a_coarse"): lambda: (
        signed(float(said("fig6-fine")) - float(said("fig6-coarse"))) + " (one frame)"
    ),
    ("fig7b", "TPP and top-1 are positively correlated (linear, r), reading 'printed'"): lambda: (
        f"r² = {paper.FIG7B['r2']}"
    ),
    ("fig7b", "the group of highest TPP"): _second_generator,
    ("ablations", "the temporal baseline beats fine-tuned CLIP"): lambda: _gap(TEMPORAL, CLIP),
    ("ablations", "the fine embedding alone beats fine-tuned CLIP"): lambda: _gap(FINE, CLIP),
    ("ablations", "the coarse embedding alone beats fine-tuned CLIP"): lambda: _gap(COARSE, CLIP),
    ("ablations", "coarse and fine together beat the temporal baseline"): lambda: _gap(BOTH, TEMPORAL),
    ("ablations", "coarse and fine together beat coarse alone"): lambda: _gap(BOTH, COARSE),
    ("ablations", "coarse and fine together beat fine alone"): lambda: _gap(BOTH, FINE),
    ("ablations", "coarse alone beats fine alone"): lambda: _gap(COARSE, FINE),
    ("few_shot", "SFAR has the highest average"): lambda: lead("table3", "value", dataset="All"),
    ("zero_shot", "SFAR has the highest zero-shot accuracy, set in UCF-101"): lambda: lead("table2b", "ucf101"),
    ("zero_shot", "SFAR has the highest zero-shot accuracy, set in HMDB-51"): lambda: lead("table2b", "hmdb51"),
    ("multi_label", "SFAR has the highest mAP"): lambda: lead("table2a", "map"),
}
QUOTED = re.compile(r" \(paper: ([^)]*)\)")


def split_claim(record: str, text: str) -> tuple[str, str]:
    """A claim without the paper's number in it, and that number ("–" where the paper prints none)."""
    quoted = QUOTED.search(text)
    if quoted:
        return QUOTED.sub("", text), quoted.group(1)
    return text, next(
        (printed() for (name, start), printed in PRINTED.items() if name == record and text.startswith(start)), NOTHING
    )


# --- the paper's tables and figures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quantity:
    """A number that a table is about: what, as printed, and where it stands in the record: a dictionary with ``mean`` (or ``value``), and
    ``low``, ``high`` where it has an interval."""

    title: str
    printed: Callable[[], str]
    measured: Callable[[Record], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper. ``key``: its target; ``record``: what it is drawn from ("": files alone)."""

    key: str
    title: str
    record: str
    quantities: tuple[Quantity, ...] = ()


def _find(rows: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
    return next(r for r in rows if all(r[k] == v for k, v in where.items()))


def _zero_shot(name: str) -> Callable[[Record], dict[str, Any]]:
    return lambda r: _find(r["rows"], dataset=name, method="sfar")["half10"]


def _hardest(which: str) -> Callable[[Record], dict[str, Any]]:
    return lambda r: _find(r["towers"]["fine-tuned"]["table9"], set=which, method="fusion")


def _highest_tpp(r: Record) -> dict[str, Any]:
    return max(r["groups"], key=lambda g: g["tpp"]["printed"])["top1"]


def _gflops(arch: str) -> Callable[[Record], dict[str, Any]]:
    return lambda r: {"mean": cost.macs(arch)["totals"][cost.SKIPS_MHA]}


def _printed(table: str, column: str, digits: int = 1, **where: Any) -> Callable[[], str]:
    return lambda: f"{cell(table, column, **where):.{digits}f}"


ITEMS = (
    Item(
        "table1",
        "Table 1: Kinetics-400, supervised",
        "table1",
        (
            Quantity(
                "SFAR, one view, top-1 [%]",
                _printed("table1", "top1", **OURS),
                lambda r: _find(r["rows"], method="sfar", views="1x1")["top1"],
            ),
            Quantity(
                "SFAR, one view, top-5 [%]",
                _printed("table1", "top5", **OURS),
                lambda r: _find(r["rows"], method="sfar", views="1x1")["top5"],
            ),
            Quantity(
                "GFLOPs of ViT-B/16, 8 x 224 x 224 (recomputed)",
                lambda: cell("table1", "gflops", **OURS).removesuffix("x1"),
                _gflops("ViT-B-16-quickgelu"),
            ),
            Quantity(
                "parameters [M] (recomputed)",
                _printed("table1", "params_m", **OURS),
                lambda r: {"mean": cost.inventories("ViT-B-16-quickgelu")[0]["total_m"]},
            ),
        ),
    ),
    Item(
        "table2a",
        "Table 2a: Charades, multi-label",
        "multi_label",
        (
            Quantity(
                "SFAR, mAP [%]",
                _printed("table2a", "map", **OURS),
                lambda r: _find(r["rows"], name="fine-tuned/sfar")["map"],
            ),
        ),
    ),
    Item(
        "table2b",
        "Table 2b: zero-shot",
        "zero_shot",
        (
            Quantity(
                "SFAR, UCF-101's layout, half10 [%]",
                _printed("table2b", "ucf101", **OURS),
                _zero_shot("storyboard-ucf101"),
            ),
            Quantity(
                "SFAR, HMDB-51's layout, half10 [%]",
                _printed("table2b", "hmdb51", **OURS),
                _zero_shot("storyboard-hmdb51"),
            ),
        ),
    ),
    Item("table2c", "Table 2c: the fine-grained video embedding in other methods", "generalization"),
    Item(
        "table2d",
        "Table 2d: generators of sub-texts",
        "fig7b",
        (
            Quantity(
                "top-1 with the group of highest TPP [%]",
                lambda: f"{max(paper.load('table2d'), key=lambda r: r['tpp'])['top1']:.1f}",
                _highest_tpp,
            ),
        ),
    ),
    Item(
        "table2e",
        "Table 2e: what the embeddings contribute",
        "ablations",
        (
            Quantity(
                "coarse and fine, top-1 [%]",
                _printed("table2e", "top1", **BOTH),
                lambda r: _find(r["table2e"], name="both")["top1"],
            ),
            Quantity(
                "Baseline (CLIP), top-1 [%]",
                _printed("table2e", "top1", **CLIP),
                lambda r: _find(r["table2e"], name="clip")["top1"],
            ),
        ),
    ),
    Item(
        "table3",
        "Table 3: few-shot",
        "few_shot",
        (
            Quantity(
                "SFAR, mean over K and data sets [%]",
                _printed("table3", "value", dataset="All", **OURS),
                lambda r: _find(r["averages"], method="sfar", epoch="repeat", lists=1),
            ),
        ),
    ),
    Item(
        "table4",
        "Table 4: N = 2 against N = 5 by class",
        "sub_actions",
        (
            Quantity(
                "largest gain of a class, picked after the fact [points]",
                lambda: signed(max(r["difference"] for r in paper.load("table4"))),
                lambda r: r["classes"][0] | {"mean": r["classes"][0]["gain"]},
            ),
        ),
    ),
    Item("table5", "Table 5: hyper-parameters (the `paper` profile)", ""),
    Item("table6", "Table 6: question prompts", ""),
    Item("table7", "Table 7: system prompt", ""),
    Item("table8", "Table 8: accuracy by degree of ambiguity and non-uniformity", "ambiguity"),
    Item(
        "table9",
        "Table 9: the most ambiguous and non-uniform actions",
        "ambiguity",
        (
            Quantity("SFAR, Ambi set, top-1 [%]", _printed("table9", "ambi_set", **OURS), _hardest("Ambi")),
            Quantity("SFAR, Non set, top-1 [%]", _printed("table9", "non_set", **OURS), _hardest("Non")),
        ),
    ),
    Item(
        "table10",
        "Table 10: zero-shot, ViT-L (the record of Table 2b: the storyboard world has one tower)",
        "zero_shot",
        (
            Quantity("SFAR, ViT-L/14, UCF-101 [%]", _printed("table10", "ucf101", **OURS)),
            Quantity("SFAR, ViT-L/14, HMDB-51 [%]", _printed("table10", "hmdb51", **OURS)),
        ),
    ),
    Item(
        "table11",
        "Table 11: Kinetics-400, ViT-L (the record of Table 1: the storyboard world has one tower)",
        "table1",
        (
            Quantity("SFAR, ViT-L/14, top-1 [%]", _printed("table11", "top1", **OURS)),
            Quantity(
                "GFLOPs of ViT-L/14, 8 x 224 x 224 (recomputed)",
                lambda: cell("table11", "gflops", **OURS),
                _gflops("ViT-L-14-quickgelu"),
            ),
        ),
    ),
    Item(
        "table12",
        "Table 12: few-shot, other backbones (the record of Table 3: the storyboard world has one tower)",
        "few_shot",
    ),
    Item(
        "table13",
        "Table 13: what sub-texts cost (here: what they are worth; no LLM is asked)",
        "table13",
        (
            Quantity(
                "seconds per action, slowest LLM", lambda: f"{max(r['seconds'] for r in paper.load('table13')):.1f}"
            ),
        ),
    ),
    Item("table14", "Table 14: sub-texts from visual context (here: written in its manner)", "table13"),
    Item("fig1", "Figure 1: ambiguous and non-uniform videos", "qualitative"),
    Item("fig2", "Figure 2a-e: frames and global text", "qualitative"),
    Item("fig2f", "Figure 2f: accuracy by degree", "ambiguity"),
    Item("fig3", "Figure 3: the framework", "qualitative"),
    Item("fig4", "Figure 4: sub-texts of a dive", ""),
    Item("fig5", "Figure 5: class probabilities of an ambiguous video", "qualitative"),
    Item("fig6", "Figure 6: importance over frames", "qualitative"),
    Item(
        "fig7a",
        "Figure 7a: number of sub-texts N",
        "ablations",
        tuple(
            Quantity(f"N = {n}, top-1 [%]", lambda: NOTHING, lambda r, n=n: _find(r["fig7a"], name=f"n{n}")["top1"])
            for n in (2, 3, 4, 5)
        ),
    ),
    Item(
        "fig7b",
        "Figure 7b: TPP against accuracy",
        "fig7b",
        (
            Quantity(
                "r² of a straight line",
                lambda: str(paper.FIG7B["r2"]),
                lambda r: _find(r["correlations"], reading="printed", x="TPP", which="all")["r2"],
            ),
        ),
    ),
    Item("fig8", "Figure 8: sub-texts by several generators", ""),
    Item("fig9", "Figure 9: more examples of Figure 2", "qualitative"),
    Item("fig10", "Figure 10: more examples of Figure 2", "qualitative"),
    Item("audit", "The paper against itself and against arithmetic", ""),
)
OTHERS = {
    "table1": "table1",
    "fig7b": "fig7b",
    "table13": "table13",
}  # records that are no studies, each called like the target that makes it
PAGES = {
    "table5": "audit",
    "table7": "table6",
    "table14": "table14",
}  # pages that are not called like their record or target

HOW = """One row for each table and figure of the paper (bold), below it the numbers that it is about and the claims made on it.

- **Paper**: transcribed from the PDF (Kinetics-400 and the other real data sets, OpenAI's CLIP); – where it prints no number. **Measured here**: by the command of the row, on the data of this
  profile. The two columns are of different data and are not meant to be equal.
- **Verdict** on a claim: it *holds* if the whole 95 % interval lies above zero, *does not hold* if the whole interval lies below, and is *undecided* otherwise; a claim that something is the highest of several
  needs all the intervals. Intervals resample seeds and videos (with correlations: also groups or classes); differences are paired on the same seeds and videos. A verdict speaks of the data measured here.
- **Time**: training and evaluation of all runs of the row's record, one after another on one core. Records share runs, and a kept run is not made again, so the times do not add up to that of `make reproduce`.
- "missing" and "stale" (measured by other code or configuration) name the command that makes the record."""
COLUMNS = [
    "Table, figure, number, claim",
    "Paper",
    "Measured here",
    "95 % interval",
    "Verdict",
    "Command",
    "Time",
    "Files",
]
VERDICTS = ("holds", "does not hold", "undecided")


@dataclass(frozen=True)
class Found:
    """A record as it stands: ``state`` "current", "missing" or "stale"; ``content`` only of a current one."""

    state: str
    content: Record | None
    command: str


def home(record: str) -> str:
    """The target that makes a record, under which its claims stand that name no table or figure."""
    return STUDIES[record][1][0] if record in STUDIES else OTHERS[record]


def find(record: str, profile: Profile) -> Found:
    """The record of this profile, and what makes it."""
    command = f"make reproduce-{home(record)}{R.suffix(profile)}"
    module = importlib.import_module(f"sfar.studies.{record}")
    try:
        content = (module.STUDY if record in STUDIES else module).load(profile)
    except SfarError:  # its message names paths of this machine; the page says what to do
        there = (R.folder(profile) / f"{record}.json").exists()
        return Found("stale" if there else "missing", None, command)
    return Found("current", content, content["provenance"]["command"])


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _number(value: dict[str, Any]) -> tuple[str, str]:
    mean = value["mean"] if "mean" in value else value["value"]
    digits = 2 if abs(mean) < 1 else 1
    return (
        f"{mean:.{digits}f}",
        f"{value['low']:.{digits}f} to {value['high']:.{digits}f}" if "low" in value else NOTHING,
    )


def _count(claims: list[dict[str, Any]]) -> str:
    verdicts = [c["verdict"] for c in claims]
    many = {"holds": "hold", "does not hold": "do not hold", "undecided": "undecided"}
    return ", ".join(f"{n} {v if n == 1 else many[v]}" for v in VERDICTS if (n := verdicts.count(v)))


def of_paper(claim: dict[str, Any]) -> bool:
    """Whether the paper makes the claim."""
    return "not a claim of the paper" not in claim["source"]


_NAMED = re.compile(r"(Table|Fig)[a-z]*\.? (\d+[a-f]?)")


def place(claim: dict[str, Any], record: str) -> str:
    """Key of the item a claim stands under: the first table or figure its source names, else that of the record's own target."""
    keys = [("table" if kind == "Table" else "fig") + number for kind, number in _NAMED.findall(claim["source"])]
    return next((k for k in keys if any(i.key == k for i in ITEMS)), home(record))


def _page(name: str, folder: Path) -> str:
    return f"[page]({name}.md)" if (folder / f"{name}.md").is_file() else ""


def _files(item: Item, folder: Path) -> str:
    name = PAGES.get(item.key, item.record or item.key)
    page = _page(name, folder)
    figures = [f"{item.key}.png"]
    if (
        page and item.record and home(item.record) == item.key
    ):  # figures that have no item of their own stand with the record's
        shown = re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", (folder / f"{name}.md").read_text(encoding="utf-8"))
        figures += [f for f in dict.fromkeys(shown) if f not in figures and Path(f).stem not in {i.key for i in ITEMS}]
    return ", ".join(filter(None, [page, *(f"[{Path(f).stem}]({f})" for f in figures if (folder / f).is_file())]))


def _claim_row(record: str, claim: dict[str, Any], rest: list[str]) -> list[str]:
    text, printed = split_claim(record, claim["claim"])
    digits, unit = (1, f" {claim['unit']}") if claim["unit"] else (2, "")
    return [
        f"claim: {text} ({claim['source']}; against {style.NAMES.get(claim['against'], claim['against'])})",
        printed,
        signed(claim["mean"], digits) + unit,
        f"{claim['low']:+.{digits}f} to {claim['high']:+.{digits}f}",
        claim["verdict"],
        *rest,
    ]


def rows(profile: Profile) -> tuple[list[list[str]], dict[str, Found]]:
    """The table's rows, and the records they are drawn from."""
    folder = R.folder(profile)
    found = {name: find(name, profile) for name in (*OTHERS, *STUDIES)}
    times = {n: _duration(f.content["provenance"]["training_seconds"]) if f.content else "" for n, f in found.items()}
    claims: dict[str, list[tuple[str, dict[str, Any]]]] = {i.key: [] for i in ITEMS}
    for name, f in found.items():
        for claim in f.content.get("claims", []) if f.content else []:
            claims[place(claim, name)].append((name, claim))
    out = []
    for item in ITEMS:
        mine = claims[item.key]
        f = found.get(item.record)
        files = _files(item, folder)
        if item.key not in TARGETS:
            state, command = "not reproduced", ""
        elif f:
            state, command = f.state, f"`{f.command}`"
        else:
            state, command = "current" if files else "missing", f"`make reproduce-{item.key}{R.suffix(profile)}`"
        time = times.get(item.record, "")
        verdict = "; ".join(filter(None, ["" if state == "current" else f"**{state}**", _count([c for _, c in mine])]))
        out.append([f"**{item.title}**", "", "", "", verdict, command, time, files])
        for q in item.quantities:
            measured = _number(q.measured(f.content)) if q.measured and f and f.content else (NOTHING, NOTHING)
            out.append([f"number: {q.title}", q.printed(), *measured, "", command, time, _page(item.record, folder)])
        out += [
            _claim_row(name, claim, [f"`{found[name].command}`", times[name], _page(name, folder)])
            for name, claim in mine
        ]
    return out, found


def _totals(found: dict[str, Found]) -> str:
    claims = [c for f in found.values() if f.content for c in f.content.get("claims", [])]
    paper_, ours = [c for c in claims if of_paper(c)], [c for c in claims if not of_paper(c)]
    items = [i for i in ITEMS if i.key in TARGETS]
    open_ = [f"`{f.command}` ({f.state})" for f in found.values() if f.state != "current"]
    return "\n\n".join(
        [
            tables.markdown(
                ["", "Claims", *map(str.capitalize, VERDICTS)],
                [
                    [name, str(len(c)), *(str([x["verdict"] for x in c].count(v)) for v in VERDICTS)]
                    for name, c in (("of the paper", paper_), ("not of the paper", ours))
                ],
            ),
            f"Of {len(ITEMS)} tables, figures and audits, {len(items)} have a command. "
            + (f"Records to be made: {', '.join(open_)}." if open_ else "All records are there and fit the code."),
        ]
    )


def _provenance(found: dict[str, Found], folder: Path) -> str:
    up = Path(os.path.relpath(paths.notebooks(), folder)).as_posix()
    body = []
    for name, f in found.items():
        notebook = STUDIES[name][0] if name in STUDIES else TARGETS[name]
        p = f.content["provenance"] if f.content else {}
        body.append(
            [
                f"[{name}]({name}.json)" if (folder / f"{name}.json").is_file() else name,
                f"[{notebook}]({up}/{notebook}.ipynb)",
                f.state,
                f"`{f.command}`",
                ", ".join(map(str, f.content["seeds"])) if f.content else NOTHING,
                *(p.get(k, NOTHING) for k in ("revision", "date", "hardware")),
            ]
        )
    return tables.markdown(["Record", "Notebook", "State", "Command", "Seeds", "Revision", "Date", "Hardware"], body)


def text(profile: Profile) -> str:
    """The page, made from the records of this profile."""
    body, found = rows(profile)
    return (
        "\n\n".join(
            [
                "# Every table, figure and claim: what the paper prints, what was measured here",
                f"Profile `{profile.name}`. Written by `make summary{R.suffix(profile)}` from the records in this folder; `make reproduce{R.suffix(profile)}` makes them all.",
                _totals(found),
                "## How to read it",
                HOW,
                "## The table",
                tables.markdown(COLUMNS, body),
                "## The records",
                _provenance(found, R.folder(profile)),
            ]
        )
        + "\n"
    )


def write(profile: Profile) -> Path:
    """Write ``README.md`` beside the records."""
    path = R.folder(profile) / "README.md"
    paths.write_atomic(path, text(profile))
    return path
