"""Section 3.1 to look at: Figures 4 and 8, Tables 6, 7, 13 and 14.

What the paper prints and what is bundled or measured here never share a column. No LLM is asked, so what sub-texts cost
is the paper's alone; what they are worth is measured by Figure 7b.
"""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sfar import paper
from sfar.config import Profile
from sfar.model.clip import token_ids
from sfar.render import preview, style
from sfar.render.tables import Table, interval
from sfar.studies import fig7b
from sfar.studies.core.blocks import Drawn, Printed, Provenance, Shown, Text
from sfar.studies.core.record import Record
from sfar.studies.core.study import Content, Item, Quantity, Study
from sfar.subtexts import SubTexts, quality
from sfar.subtexts.groups import group
from sfar.subtexts.prompts import action_line
from sfar.subtexts.texts import bank_names, sizes

COMPARED = ("bank", "scene")  # Table 14: the sub-texts of a run, and texts in the manner of that table
DIVE = ("springboard diving", 3, 40)  # class, seed and number of the drawn video under Figure 4
PAPER, OURS = style.PAPER, style.BOTH


def measure(profile: Profile, workers: int | None) -> Content:
    """The accuracies of the groups that were written by hand or follow from the scripts, out of Figure 7b's record.

    Raises ``SfarError`` where that record is missing or stale.
    """
    record = fig7b.STUDY.load(profile)
    rows = [r for r in record.select("groups", metric="top1") if r.more["kind"] != "derived"]
    return Content({"seeds": record.data["seeds"]}, rows)


# --- tables


def prompts_table(record: Record) -> Table:
    """Tables 6 and 7 as printed: they are what ``sfar subtexts generate`` sends."""
    rows = [
        ["system (Table 7)", paper.load("table7")[0]["text"]],
        *([f"question {r['prompt']} (Table 6)", r["text"]] for r in paper.load("table6")),
    ]
    return Table(["Prompt", "Text"], rows)


def bank_table(record: Record) -> Table:
    """The bundled sub-texts: how many, and how long."""
    rows = []
    for name in bank_names():
        for n in sizes(name):
            texts = SubTexts.load(name, n)
            words = [len(t.split()) for own in texts.values() for t in own]
            longest = max(len(token_ids(t)) for own in texts.values() for t in own)
            rows.append([name, len(texts), n, len(words), f"{np.mean(words):.1f}", longest])
    return Table(["Label set", "Classes", "N", "Sub-texts", "Words each", "Most tokens (of 77)"], rows)


def quality_table(record: Record) -> Table:
    """What a sentence encoder sees in the bundled sub-texts (``results/bank.json``)."""
    return Table(*quality.tables(quality.read_record())[0])


def examples_table(record: Record) -> Table:
    """The printed sub-texts of Figures 4 and 8 beside the bundled ones of the same classes, by the same encoder."""
    return Table(*quality.tables(quality.read_record())[1])


def paper_table13(record: Record) -> Table:
    """Table 13 as printed."""
    rows = [[r["model"], r["glops"], r["seconds"], f"{r['accuracy']:.2f}"] for r in paper.load("table13")]
    return Table(["Model", "GLOPs", "Time [s]", "Accuracy [%]"], rows)


def table13(record: Record) -> Table:
    """The groups at hand and the accuracy of SFAR trained with each."""
    caption = "Sub-texts and the accuracy of SFAR trained with them (Table 13; nothing of their cost is measured)."
    rows = [[r.title, r.mean, interval(r)] for r in record.rows]
    return Table(["Sub-texts", "Top-1 [%]", "95 % interval"], rows, caption=caption)


def table14(record: Record) -> Table:
    """The accuracy with texts in the manner of Table 14 and with the bundled bank."""
    rows = [[r.title, r.mean, interval(r)] for r in record.rows if r.row in COMPARED]
    return Table(["Sub-texts", "Top-1 [%]", "95 % interval"], rows)


# --- figures


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


def figure4(record: Record) -> Figure:
    """Figure 4: a dive in four sub-texts, as printed and as bundled here, over the frames of a drawn dive."""
    style.use()
    name, seed, index = DIVE
    board, video = preview.drawn(name, seed, index)
    fig = plt.figure(figsize=(10.4, 4.6), layout="constrained")
    grid = fig.add_gridspec(3, 5, height_ratios=[1.15, 0.22, 2.3])
    ax = fig.add_subplot(grid[0, :])
    preview.filmstrip(ax, video, 8)
    ax.set_title(
        f"A drawn video of {name!r}: 8 of {board.frames} frames, and the true atomic action of every frame "
        "(grey: of other classes)",
        loc="left",
    )
    preview.timeline(fig.add_subplot(grid[1, :]), board)
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


def figure8(record: Record) -> Figure:
    """Figure 8: sub-texts of two classes by three generators as printed, and the bundled ones of the same classes."""
    style.use()
    fig, axes = plt.subplots(2, 4, figsize=(10.4, 4.0), layout="constrained")
    for row, (action, (label_set, name)) in zip(axes, quality.EXAMPLES["figure8"].items(), strict=True):
        for ax, generator in zip(row, ("GPT-3.5", "LLaMA2", "Phi-3"), strict=False):
            _card(ax, f"{action}: {generator} (paper)", _printed("figure8", action, generator), PAPER, 34)
        _card(row[3], f"{name}: bundled ({label_set})", list(SubTexts.load(label_set)[name]), OURS, 34)
    return fig


PROMPTS = (
    "Transcribed from the paper; `sfar subtexts generate` sends these texts (another N puts its number in the place of "
    '"four").'
)
CLASS_LINE = (
    "The prompts have no place for the class. It is sent in a line before the question, as a quoted string: "
    f"`{action_line('long jump')}`."
)
SEEN = (
    "Found: the class name nearest to the mean of a class's texts is its own. Diversity: 1 minus the mean cosine of "
    "two texts of a class. all-MiniLM-L6-v2; `sfar subtexts bank` measures it again. Measured in the same way, the "
    "temporal descriptors that OST released find 71.5 % of the classes of Kinetics-400, 78.2 % of UCF-101 and 52.9 % "
    "of HMDB-51, with a diversity of .49 on Kinetics-400."
)
SCENE = (
    'The group "scene" was written in the manner of Table 14; no vision model was asked. `sfar subtexts describe` asks '
    "one: it sends the frames of a video with the question."
)

BLOCKS = (
    Text(PROMPTS, "Tables 6 and 7: what the LLM is asked"),
    Shown("prompts", prompts_table),
    Text(CLASS_LINE, id="class-line"),
    Drawn("fig4", figure4, "Figure 4", "Figure 4: a dive in four sub-texts"),
    Drawn("fig8", figure8, "Figure 8", "Figure 8: sub-texts of two classes"),
    Shown("bank", bank_table, "The bundled sub-texts"),
    Text(SEEN, "What a sentence encoder sees in them"),
    Shown("quality", quality_table),
    Shown("examples", examples_table, "The paper's sub-texts beside the bundled ones"),
    Text("No LLM was asked: what sub-texts cost is not measured here.", "Table 13: what sub-texts are worth"),
    Shown("table13", table13, latex=True, terminal=True),
    Shown("table13-printed", paper_table13, "Table 13 as printed (transcribed)"),
    Text(SCENE, "Table 14: sub-texts from visual context"),
    Shown("table14", table14),
    Printed(
        "table14",
        {
            "action": "Action",
            "video": "Video",
            **{f"description_{i}": f"Description {i}" for i in range(1, 5)},
        },
        "Table 14 as printed (transcribed)",
        id="table14-printed",
    ),
    Provenance(),
)

STUDY = Study(
    id="subtexts",
    title="Sub-texts: Figures 4 and 8, Tables 6, 7, 13 and 14",
    notebook="01_subtext_generation",
    covers=(
        Item(
            "table13",
            "Table 13: what sub-texts cost (here: what they are worth; no LLM is asked)",
            (
                Quantity(
                    "seconds per action, slowest LLM",
                    lambda: f"{max(r['seconds'] for r in paper.load('table13')):.1f}",
                ),
            ),
        ),
        Item("table6", "Table 6: question prompts"),
        Item("table7", "Table 7: system prompt"),
        Item("table14", "Table 14: sub-texts from visual context (here: written in its manner)"),
        Item("fig4", "Figure 4: sub-texts of a dive"),
        Item("fig8", "Figure 8: sub-texts by several generators"),
    ),
    measure_content=measure,
    claims=(),
    blocks=BLOCKS,
    describe=lambda record: f"Accuracies: Figure 7b's record, seeds {', '.join(map(str, record.data['seeds']))}.",
    needs=("fig7b",),
    inputs_of=lambda profile: fig7b.STUDY.inputs(profile),
)
