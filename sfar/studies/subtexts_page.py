"""Section 3.1 to look at: Figures 4 and 8, Tables 6, 7, 13 and 14.

What the paper prints and what is bundled or measured here never share a column. A table is (column heads, rows).
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sfar import paper
from sfar.model.clip import token_ids
from sfar.render import preview, style, tables
from sfar.subtexts import SubTexts
from sfar.subtexts.groups import group
from sfar.subtexts.prompts import action_line
from sfar.subtexts.texts import bank_names
from sfar.util import paths

Table = tuple[list[str], list[list[Any]]]

DIVE = ("springboard diving", 3, 40)  # class, seed and number of the drawn video under Figure 4
COMPARED = ("bank", "scene")  # Table 14: the sub-texts of a run, and texts in the manner of that table
PAPER, OURS = "#444444", "#0072B2"
EXAMPLES = {"Drinking": ("hmdb51", "drink"), "Eating chips": ("kinetics400", "eating chips")}  # Figure 8


# --- tables --------------------------------------------------------------------------------------------------------


def prompts_table() -> Table:
    """Tables 6 and 7 as printed: they are what ``sfar subtexts generate`` sends."""
    rows = [
        ["system (Table 7)", paper.load("table7")[0]["text"]],
        *([f"question {r['prompt']} (Table 6)", r["text"]] for r in paper.load("table6")),
    ]
    return ["Prompt", "Text"], rows


def bank_table() -> Table:
    """The bundled sub-texts: how many, and how long."""
    rows = []
    for name in bank_names():
        for n in (2, 3, 4, 5) if name == "storyboard" else (4,):
            texts = SubTexts.load(name, n)
            words = [len(t.split()) for own in texts.values() for t in own]
            longest = max(len(token_ids(t)) for own in texts.values() for t in own)
            rows.append([name, len(texts), n, len(words), f"{np.mean(words):.1f}", longest])
    return ["Label set", "Classes", "N", "Sub-texts", "Words each", "Most tokens (of 77)"], rows


def paper_table13() -> Table:
    """Table 13 as printed."""
    rows = [[r["model"], r["glops"], r["seconds"], f"{r['accuracy']:.2f}"] for r in paper.load("table13")]
    return ["Model", "GLOPs", "Time [s]", "Accuracy [%]"], rows


def paper_table14() -> Table:
    """Table 14 as printed."""
    numbers = range(1, 5)
    rows = [[r["action"], r["video"], *(r[f"description_{i}"] for i in numbers)] for r in paper.load("table14")]
    return ["Action", "Video", *(f"Description {i}" for i in numbers)], rows


def table13(record: dict[str, Any], groups: tuple[str, ...] = ()) -> Table:
    """The groups at hand (or those named) and the accuracy of SFAR trained with each, from the record of Table 13."""
    rows = []
    for r in record["rows"]:
        if not groups or r["group"] in groups:
            top1 = r["top1"]
            rows.append([r["title"], top1["mean"], f"{top1['low']:.1f} to {top1['high']:.1f}"])
    return ["Sub-texts", "Top-1 [%]", "95 % interval"], rows


def table14(record: dict[str, Any]) -> Table:
    """The accuracy with texts in the manner of Table 14 and with the bundled bank, from the record of Table 13."""
    return table13(record, COMPARED)


# --- pages ---------------------------------------------------------------------------------------------------------


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def _measured(record: dict[str, Any]) -> str:
    """Where the accuracies of a page are from."""
    p = record["provenance"]
    return (
        f"Written with `{p['command']}` at revision {p['revision']} on {p['hardware']}, {p['date']}. "
        f"Accuracies: Figure 7b's record, seeds {', '.join(map(str, record['seeds']))}."
    )


def table6_page() -> str:
    """The page ``table6.md``."""
    return _page(
        "# Tables 6 and 7: what the LLM is asked",
        "Transcribed from the paper; `sfar subtexts generate` sends these texts "
        '(another N puts its number in the place of "four").',
        tables.markdown(*prompts_table()),
        "The prompts have no place for the class. It is sent in a line before the question, as a quoted string: "
        f"`{action_line('long jump')}`.",
    )


def table13_page(record: dict[str, Any]) -> str:
    """The page ``table13.md``."""
    return _page(
        "# Table 13: what sub-texts cost and what they are worth",
        _measured(record),
        tables.markdown(*table13(record)),
        "No LLM was asked: what sub-texts cost is not measured here.",
        "## As printed (transcribed)",
        tables.markdown(*paper_table13()),
    )


def table14_page(record: dict[str, Any]) -> str:
    """The page ``table14.md``."""
    return _page(
        "# Table 14: sub-texts from visual context",
        _measured(record),
        tables.markdown(*table14(record)),
        'The group "scene" was written in the manner of Table 14; no vision model was asked. '
        "`sfar subtexts describe` asks one: it sends the frames of a video with the question.",
        "## As printed (transcribed)",
        tables.markdown(*paper_table14()),
    )


def write_page(name: str, text: str, out: Path) -> list[Path]:
    """Write a page of Markdown."""
    paths.write_atomic(out / f"{name}.md", text)
    return [out / f"{name}.md"]


# --- figures -------------------------------------------------------------------------------------------------------


def _card(ax: Axes, title: str, lines: list[str | None], colour: str, width: int) -> None:
    """A numbered list as a card; ``None`` is an item that the paper's text layer does not hold."""
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(True)
        side.set_color("#cccccc")
    ax.add_patch(Rectangle((0, 0.86), 1, 0.14, color=colour, lw=0))
    ax.text(0.04, 0.93, title, fontsize=7.5, fontweight="bold", color="white", va="center")
    y = 0.79
    for i, line in enumerate(lines, 1):
        text = "(not legible in the PDF's text)" if line is None else line.rstrip(".")
        wrapped = textwrap.wrap(text, width)
        ax.text(0.04, y, f"{i}.", fontsize=7, va="top", color=colour, fontweight="bold")
        ax.text(
            0.115,
            y,
            "\n".join(wrapped),
            fontsize=7,
            va="top",
            color="#999999" if line is None else "#222222",
            style="italic" if line is None else "normal",
            linespacing=1.15,
        )
        y -= 0.068 * len(wrapped) + 0.055


def _printed(table: str, action: str | None, generator: str) -> list[str | None]:
    """The four sub-texts that a figure prints; None for one that its text does not hold."""
    found = {r["step"]: r["text"] for r in paper.load(table) if r["action"] == action and r["generator"] == generator}
    return [found.get(i) for i in range(1, 5)]


def figure4() -> Figure:
    """Figure 4: a dive in four sub-texts, as printed and as bundled here, over the frames of a drawn dive."""
    style.use()
    name, seed, index = DIVE
    board, frames = preview.drawn(name, seed, index)
    fig = plt.figure(figsize=(10.4, 4.6), layout="constrained")
    grid = fig.add_gridspec(3, 5, height_ratios=[1.15, 0.22, 2.3])
    ax = fig.add_subplot(grid[0, :])
    preview.filmstrip(ax, frames, 8)
    ax.axis("off")
    ax.set_title(
        f"A drawn video of {name!r}: 8 of {board.frames} frames, and the true atomic action of every frame "
        "(grey: of other classes)",
        loc="left",
    )
    preview.timeline(fig.add_subplot(grid[1, :]), board, 0.07)
    cards = [
        ("Paper, first list", _printed("figure4", None, "first list"), PAPER),
        ("Paper, second list", _printed("figure4", None, "second list"), PAPER),
        ("Here: the bundled bank", list(group("bank")[name]), OURS),
        ("Here: terse writer", list(group("terse")[name]), OURS),
        ("Here: the bank at N = 5", list(SubTexts.load("storyboard", 5)[name]), OURS),
    ]
    for k, (title, lines, colour) in enumerate(cards):
        _card(fig.add_subplot(grid[2, k]), title, lines, colour, 27)
    return fig


def figure8() -> Figure:
    """Figure 8: sub-texts of two classes by three generators as printed, and the bundled ones of the same classes."""
    style.use()
    fig, axes = plt.subplots(2, 4, figsize=(10.4, 4.0), layout="constrained")
    for row, (action, (label_set, name)) in zip(axes, EXAMPLES.items(), strict=True):
        for ax, generator in zip(row, ("GPT-3.5", "LLaMA2", "Phi-3"), strict=False):
            _card(ax, f"{action}: {generator} (paper)", _printed("figure8", action, generator), PAPER, 34)
        _card(row[3], f"{name}: bundled ({label_set})", list(SubTexts.load(label_set)[name]), OURS, 34)
    return fig


def write_figure(name: str, out: Path) -> list[Path]:
    """Write ``fig4`` or ``fig8`` as PNG and SVG into ``out``."""
    fig = {"fig4": figure4, "fig8": figure8}[name]()
    files = [out / f"{name}.{e}" for e in ("png", "svg")]
    for file in files:
        style.save(fig, file)
    plt.close(fig)
    return files
