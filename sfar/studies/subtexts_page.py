"""Section 3.1 to look at: Figures 4 and 8, Tables 6, 7, 13 and 14. What the paper prints and what is bundled here never share a column."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from sfar import paper
from sfar.model.clip import token_ids
from sfar.render import style, tables
from sfar.storyboard import world
from sfar.storyboard.scripts import ACTIVITIES
from sfar.subtexts import SubTexts
from sfar.subtexts.groups import group
from sfar.subtexts.prompts import action_line
from sfar.subtexts.texts import bank_names
from sfar.util import paths

DIVE = ("springboard diving", 3, 40)  # class, seed and number of the drawn video under Figure 4
PAPER, OURS = "#444444", "#0072B2"


def prompts_markdown() -> str:
    """Tables 6 and 7 as printed: they are what ``sfar subtexts generate`` sends."""
    rows = [
        ["system (Table 7)", paper.load("table7")[0]["text"]],
        *([f"question {r['prompt']} (Table 6)", r["text"]] for r in paper.load("table6")),
    ]
    return tables.markdown(["Prompt", "Text"], rows)


def table6_page() -> str:
    """The page ``table6.md``."""
    return (
        "\n\n".join(
            [
                "# Tables 6 and 7: what the LLM is asked",
                'Transcribed from the paper; `sfar subtexts generate` sends these texts (another N puts its number in the place of "four").',
                prompts_markdown(),
                f"The prompts have no place for the class. It is sent in a line before the question, as a quoted string: `{action_line('long jump')}`.",
            ]
        )
        + "\n"
    )


def bank_markdown() -> str:
    """The bundled sub-texts: how many, and how long."""
    rows = []
    for name in bank_names():
        for n in (2, 3, 4, 5) if name == "storyboard" else (4,):
            texts = SubTexts.load(name, n)
            words = [len(t.split()) for own in texts.values() for t in own]
            rows.append(
                [
                    name,
                    len(texts),
                    n,
                    len(words),
                    f"{np.mean(words):.1f}",
                    max(len(token_ids(t)) for own in texts.values() for t in own),
                ]
            )
    return tables.markdown(["Label set", "Classes", "N", "Sub-texts", "Words each", "Most tokens (of 77)"], rows)


def journal_markdown(path: Path, count: int = 8) -> str:
    """The first answers of a journal."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines()[:count]:
        e = json.loads(line)
        raw = " ".join(e["raw"].split())
        rows.append(
            [
                e["class"],
                e["attempt"],
                e["problem"] or "–",
                sum((e["usage"] or {}).values()),
                raw if len(raw) <= 60 else raw[:59] + "…",
            ]
        )
    return tables.markdown(["Class", "Attempt", "Problem", "Tokens", "Raw answer"], rows)


def table13_markdown(record: dict[str, Any]) -> str:
    """The groups at hand: how they came about, what that took, and the accuracy of SFAR trained with them."""
    r = record["rehearsal"]
    rows = []
    for row in record["rows"]:
        rows.append(
            [row["title"], "–", "–", "–", row["top1"]["mean"], f"{row['top1']['low']:.1f} to {row['top1']['high']:.1f}"]
        )
        if row["group"] == r["replayed"]:
            rows.append(
                [
                    "the same, asked for over HTTP (rehearsal)",
                    f"{r['calls_per_class']:.2f}",
                    f"{r['tokens_per_class']:.0f}",
                    f"{r['seconds_per_class']:.2f}",
                    row["top1"]["mean"],
                    f"{row['top1']['low']:.1f} to {row['top1']['high']:.1f}",
                ]
            )
    return tables.markdown(
        ["Sub-texts", "Calls per class", "Tokens per class", "Seconds per class", "Top-1 [%]", "95 % interval"], rows
    )


def rehearsal_markdown(record: dict[str, Any]) -> str:
    """What the rehearsal met."""
    r = record["rehearsal"]
    rows = [
        ["classes asked for", r["classes"]],
        ["requests sent", r["requests"]],
        ["requests without an answer (429, 500, 503, cut connection)", r["unanswered"]],
        ["answers kept in the journal", r["answers"]],
        *([f"answers that could not be used: {k}", v] for k, v in r["unusable"].items()),
        ["classes without sub-texts at the end", 0],
    ]
    return tables.markdown(["Rehearsal on this machine: no LLM was asked", "Count"], rows)


def paper_table13() -> str:
    """Table 13 as printed."""
    return tables.markdown(
        ["Model", "GLOPs", "Time [s]", "Accuracy [%]"],
        [[r["model"], r["glops"], r["seconds"], f"{r['accuracy']:.2f}"] for r in paper.load("table13")],
    )


def table13_page(record: dict[str, Any]) -> str:
    """The page ``table13.md``."""
    p = record["provenance"]
    return (
        "\n\n".join(
            [
                "# Table 13: what sub-texts cost and what they are worth",
                f"Written with `{p['command']}` at revision {p['revision']} on {p['hardware']}, {p['date']}. Accuracies: Figure 7b's record, seeds {', '.join(map(str, record['seeds']))}.",
                table13_markdown(record),
                "Calls, tokens and seconds are those of a rehearsal: a server on the same machine replays bundled sub-texts, failing on purpose. They are **not** those of "
                "an LLM. The raw answers are in `rehearsal.jsonl`.",
                rehearsal_markdown(record),
                "## As printed (transcribed)",
                paper_table13(),
            ]
        )
        + "\n"
    )


def table14_markdown() -> str:
    """Table 14 as printed."""
    rows = paper.load("table14")
    return tables.markdown(
        ["Action", "Video", *(f"Description {i}" for i in range(1, 5))],
        [[r["action"], r["video"], *(r[f"description_{i}"] for i in range(1, 5))] for r in rows],
    )


def visual_markdown(record: dict[str, Any]) -> str:
    """The rehearsal of Table 14: what was sent and what came back."""
    v = record["visual"]
    return tables.markdown(
        ["Video", "Frames sent", *(f"Description {i} (replayed)" for i in range(1, 5))],
        [[f"{v['class']}, video {i}", v["frames"], *texts] for i, texts in enumerate(v["descriptions"].values(), 1)],
    )


def table14_page(record: dict[str, Any]) -> str:
    """The page ``table14.md``."""
    v = record["visual"]
    return (
        "\n\n".join(
            [
                "# Table 14: sub-texts from visual context",
                "## As printed (transcribed)",
                table14_markdown(),
                "## The same path here",
                f"`sfar subtexts describe` sends {v['frames']} frames of each video with the question. Rehearsed with {len(v['descriptions'])} drawn videos of {v['class']!r}: {v['pictures']} pictures arrived at a "
                f"server on the same machine, which replays the bundled group {v['replayed']!r}; no vision model was asked.",
                visual_markdown(record),
                "What such sub-texts do to accuracy is measured in Figure 7b (group `scene`).",
            ]
        )
        + "\n"
    )


def _card(ax: plt.Axes, title: str, lines: list[str | None], colour: str, width: int = 30) -> None:
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
    found = {r["step"]: r["text"] for r in paper.load(table) if r["action"] == action and r["generator"] == generator}
    return [found.get(i) for i in range(1, 5)]


def figure4() -> plt.Figure:
    """Figure 4: a dive in four sub-texts, as printed and as bundled here, over the frames of a drawn dive."""
    style.use()
    name, seed, index = DIVE
    rng = world.video_rng(seed, name, index)
    board = world.draw_storyboard(name, rng)
    frames = world.render_storyboard(board, rng, (256, 192))
    fig = plt.figure(figsize=(10.4, 4.6), layout="constrained")
    grid = fig.add_gridspec(3, 5, height_ratios=[1.15, 0.22, 2.3])
    ax, strip = fig.add_subplot(grid[0, :]), fig.add_subplot(grid[1, :])
    pick = np.linspace(0, board.frames - 1, 8).round().astype(int)
    ax.imshow(
        np.concatenate([np.pad(frames[i], ((0, 0), (0, 6), (0, 0)), constant_values=255) for i in pick], axis=1),
        aspect="auto",
    )
    ax.axis("off")
    ax.set_title(
        f"A drawn video of {name!r}: 8 of {board.frames} frames, and the true atomic action of every frame (grey: of other classes)",
        loc="left",
    )
    own = list(dict(ACTIVITIES[name]))
    start = 0
    for seg in board.segments:
        strip.barh(
            0,
            seg.frames,
            left=start,
            color=["#0072B2", "#E69F00", "#009E73", "#CC79A7"][own.index(seg.action) % 4]
            if seg.relevant
            else "#d0d0d0",
            edgecolor="white",
            lw=0.8,
            height=1,
        )
        if seg.frames / board.frames > 0.07:
            strip.text(
                start + seg.frames / 2,
                0,
                seg.action.replace("_", " "),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if seg.relevant else "#444444",
            )
        start += seg.frames
    strip.set_xlim(0, board.frames)
    strip.axis("off")
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


def figure8() -> plt.Figure:
    """Figure 8: "Drinking" and "Eating chips" by three generators as printed, and the bundled sub-texts of the same classes."""
    style.use()
    fig, axes = plt.subplots(2, 4, figsize=(10.4, 4.0), layout="constrained")
    bundled = {"Drinking": ("hmdb51", "drink"), "Eating chips": ("kinetics400", "eating chips")}
    for row, (action, (label_set, name)) in zip(axes, bundled.items()):
        for ax, generator in zip(row, ("GPT-3.5", "LLaMA2", "Phi-3")):
            _card(ax, f"{action}: {generator} (paper)", _printed("figure8", action, generator), PAPER, 34)
        _card(row[3], f"{name}: bundled ({label_set})", list(SubTexts.load(label_set)[name]), OURS, 34)
    return fig


def write_figure(name: str, out: Path) -> list[Path]:
    """Write ``fig4`` or ``fig8`` as PNG into ``out``."""
    fig = {"fig4": figure4, "fig8": figure8}[name]()
    files = style.save(fig, out / f"{name}.png")
    plt.close(fig)
    return files


def write_page(name: str, text: str, out: Path) -> list[Path]:
    """Write a page of Markdown."""
    paths.write_atomic(out / f"{name}.md", text)
    return [out / f"{name}.md"]
