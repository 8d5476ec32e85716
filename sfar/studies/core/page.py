"""What the pages of all studies share: verdicts, differences, tables in three forms, provenance, files written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from sfar.config import DRAWN
from sfar.data.layouts import LAYOUTS
from sfar.render import style, tables
from sfar.util import paths

# Of "above zero", as a comparison: told apart by colour and by marker.
VERDICTS = {
    "holds": ("#0072B2", "^", "higher"),
    "does not hold": ("#D55E00", "v", "lower"),
    "undecided": ("#777777", "o", "undecided"),
}
COLUMNS = ["Method", "Top-1 [%]", "std", "95 % interval", "Top-5 [%]", "std", "Seeds", "Trained"]
SUMMARY = ["metric", "mean", "std", "low", "high", "seeds", "videos", "trained"]


def interval(value: dict[str, Any], digits: int = 1, sign: bool = False) -> str:
    """ "69.4 to 71.0" of something with ``low`` and ``high``."""
    s = "+" if sign else ""
    return f"{value['low']:{s}z.{digits}f} to {value['high']:{s}z.{digits}f}"


def claims_markdown(record: dict[str, Any]) -> str:
    """The verdicts."""
    if not record["claims"]:
        return "None can be measured here."
    rows = []
    for c in record["claims"]:
        digits = 1 if c["unit"] else 2
        rows.append(
            [
                c["claim"],
                c["source"],
                c["verdict"],
                style.NAMES.get(c["against"], c["against"]),
                f"{c['mean']:+z.{digits}f} {c['unit']}".strip(),
                interval(c, digits, True),
            ]
        )
    return tables.markdown(["Claim", "Source", "Verdict here", "Against", "Value", "95 % interval"], rows)


def words(verdict: str) -> str:
    """The verdict on "above zero" as a comparison."""
    return VERDICTS[verdict][2]


def differences_markdown(rows: list[dict[str, Any]], titles: dict[str, str], unit: str = "points") -> str:
    """Paired differences: name − against, with interval and verdict."""
    body = [
        [
            f"{titles[d['name']]} − {titles[d['against']]}",
            f"{d['mean']:+z.1f}",
            interval(d, 1, True),
            words(d["verdict"]),
        ]
        for d in rows
    ]
    return tables.markdown(["Difference", f"Mean [{unit}]", "95 % interval", "The first is"], body)


def printed_row(row: dict[str, Any], title: str = "") -> list[Any]:
    """A row of a study under ``COLUMNS``."""
    return [
        title or row["title"],
        row["top1"]["mean"],
        row["top1"]["std"],
        interval(row["top1"]),
        row["top5"]["mean"],
        row["top5"]["std"],
        row["top1"]["seeds"] if row["trained"] else "none",
        ", ".join(row["trained"]) or "nothing",
    ]


def csv_rows(row: dict[str, Any], *lead: Any) -> list[list[Any]]:
    """A row of a study for a CSV file: ``lead`` and ``SUMMARY``, a line for each metric."""
    return [
        [
            *lead,
            k,
            row[k]["mean"],
            row[k]["std"],
            row[k]["low"],
            row[k]["high"],
            row[k]["seeds"] if row["trained"] else None,
            row[k]["videos"],
            " ".join(row["trained"]),
        ]
        for k in ("top1", "top5")
    ]


def set_title(dataset: str) -> str:
    """The data set in whose layout ``dataset`` is: "UCF-101" of "storyboard-ucf101" and of "ucf101" alike."""
    return LAYOUTS[DRAWN.get(dataset, dataset)].title


def videos(record: dict[str, Any]) -> str:
    """What was measured on, and what had to be left out."""
    d = record["data"]
    text = f"{d['train_clips']} training and {d['val_videos']} validation videos of {d['classes']} classes."
    return text + (
        f" Undecodable videos: {len(d['undecodable'])}; missing: {len(d['missing'])}; they are named in the record."
        if d["undecodable"] or d["missing"]
        else ""
    )


def count(record: dict[str, Any]) -> str:
    """ "5 seeds, 400 videos"."""
    n = len(record["seeds"])
    return f"{n} seed{'s' * (n != 1)}, {record['data']['val_videos']} videos"


def dots(
    ax: plt.Axes, y: float, value: dict[str, Any], colour: str, marker: str = "o", hollow: bool = False, size: float = 6
) -> None:
    """A summary as a horizontal interval, its mean with the number behind it, and a tick above for each seed."""
    ax.plot([value["low"], value["high"]], [y, y], color=colour, lw=1.6, solid_capstyle="butt", zorder=2)
    if len(value["per_seed"]) > 1:
        ax.plot(value["per_seed"], [y + 0.13] * len(value["per_seed"]), "|", color=colour, ms=4, alpha=0.6)
    ax.plot(
        value["mean"],
        y,
        marker,
        color=colour,
        ms=size,
        mfc="white" if hollow else colour,
        mec=colour if hollow else "white",
        mew=1.1 if hollow else 0.6,
        zorder=3,
    )
    ax.annotate(
        f"{value['mean']:.1f}",
        (max(value["high"], *value["per_seed"]), y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
    )


def forest(ax: plt.Axes, rows: list[tuple[float, dict[str, Any]]], unit: str = "points") -> None:
    """Differences (y, difference) with intervals around a line at zero, coloured by verdict; mean and interval in figures at the right edge."""
    ax.axvline(0, color="#555555", lw=0.8, zorder=1)
    for y, d in rows:
        colour, marker, _ = VERDICTS[d["verdict"]]
        ax.plot([d["low"], d["high"]], [y, y], color=colour, lw=1.4, solid_capstyle="butt", zorder=2)
        ax.plot(d["mean"], y, marker, color=colour, ms=5, mec="white", mew=0.5, zorder=3)
        text = f"{d['mean']:+z.1f} ({interval(d, 1, True)})".replace("-", "−")
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=6.5, color="#333333")
    ax.set_xlabel(f"Difference [{unit}]")
    ax.grid(axis="y", visible=False)


def verdict_legend(ax: plt.Axes, shown: Sequence[str], **place: Any) -> None:
    """A legend of the verdicts that occur."""
    for verdict, (colour, marker, title) in VERDICTS.items():
        if verdict in shown:
            ax.plot([], [], marker, color=colour, ms=5, label=f"{title} (95 %)" if verdict != "undecided" else title)
    ax.legend(handletextpad=0.2, **place)


def head(record: dict[str, Any], title: str, what: str) -> str:
    """Title and provenance of a page."""
    p = record["provenance"]
    return (
        f"# {title}\n\nMeasured with `{p['command']}` ({record['profile']} profile) at revision {p['revision']} on {p['hardware']}, {p['date']}; "
        f"seeds {', '.join(map(str, record['seeds']))}. {what}"
    )


def provenance_text(record: dict[str, Any]) -> str:
    """Where the numbers come from, a line each."""
    return "\n".join(f"{k}: {v}" for k, v in record["provenance"].items() if k != "config")


def provenance_markdown(record: dict[str, Any]) -> str:
    """Where the numbers come from, a row each, and the whole configuration."""
    p = record["provenance"]
    rows = [
        [k, ", ".join(f"{a} {b}" for a, b in v.items()) if isinstance(v, dict) else str(v)]
        for k, v in p.items()
        if k != "config"
    ]
    fields = [f"{group}.{k} = {v}" for group in ("model", "train", "data") for k, v in p["config"][group].items()]
    return (
        tables.markdown(["What", "Value"], [*rows, ["inputs", record["inputs"]]])
        + "\n\nConfiguration:\n\n"
        + "\n".join(f"- `{f}`" for f in fields)
    )


def write(
    out: Path,
    name: str,
    record: dict[str, Any],
    page: str,
    table: tuple[list[str], list[list[Any]]],
    figures: dict[str, plt.Figure],
    caption: str,
    printed: Sequence[tuple[list[str], list[list[Any]], str]] = (),
) -> list[Path]:
    """Write ``name``.{csv,md,tex,json} and every figure as .png and .svg into ``out``; the record last: it stands only when all drawn from it does.

    ``printed``: the tables (columns, rows, caption) of the LaTeX file where they are not ``table`` itself.
    """
    files = []
    latex = "\n".join(tables.latex(*t) for t in printed or [(*table, caption)])
    for file, text in (
        (f"{name}.csv", tables.to_csv(*table)),
        (f"{name}.md", page.rstrip() + "\n"),
        (f"{name}.tex", latex),
    ):
        paths.write_atomic(out / file, text)
        files.append(out / file)
    for stem, figure in figures.items():
        for ending in (".png", ".svg"):
            style.save(figure, out / f"{stem}{ending}")
            files.append(out / f"{stem}{ending}")
        plt.close(figure)
    paths.write_json(out / f"{name}.json", record)
    return [*files, out / f"{name}.json"]
