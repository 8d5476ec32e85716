"""Figures 1, 2a-e, 3, 5, 6, 9 and 10, drawn from their record."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import FancyBboxPatch
from PIL import Image
from torch.nn.functional import interpolate

from sfar import paper
from sfar.render import style, tables
from sfar.storyboard.scripts import ACTIVITIES
from sfar.studies.core import page
from sfar.studies.qualitative import AMBIGUOUS, MAPS, RULES, TOP

NO_TRUTH = "Only the storyboard world knows which atomic action each frame shows; of real videos the truth is not known, so this part is absent."
NO_UNSEEN = (
    "There is no data set of other classes beside this one (ucf101, hmdb51 in data.root), so this part is absent."
)
EXAMPLES = (
    "These are single videos chosen by the rule above each figure: examples, no evidence. Whether the importance finds the frames of the action is measured on all videos in "
    "Table 1 and in the dose-response test."
)
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # of a class's own actions in their order
IRRELEVANT = "#d0d0d0"
DARK = ("#0072B2", "#009E73")  # white letters stand on these
TITLES = {"single": "Single", "coarse": "Coarse", "fine": "Fine", "fused": "Fused"}
LETTERS = dict(zip(("frame", *MAPS), "abcde"))
BARS = {"single": style.COLOURS["single"], "coarse": style.COLOURS["coarse"], "fine": style.COLOURS["fine"]}
GAP = 5  # pixels between frames
HEAT = "inferno"


# --- parts of figures ---


def pictures(video: dict[str, Any]) -> list[np.ndarray]:
    """The sampled frames of a video of the record, uint8 [H, W, 3]."""
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(j)))) for j in video["jpeg"]]


def in_a_row(frames: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Frames side by side with white between them."""
    return np.concatenate([np.pad(f, ((0, 0), (0, gap), (0, 0)), constant_values=255) for f in frames], axis=1)[
        :, :-gap
    ]


def full_heat(grid: list[list[float]], height: int, width: int, crop: list[int]) -> np.ndarray:
    """Heat [height, width] of a frame from its patches [g, g], bilinear between their centres; NaN where the model does not look.

    ``crop``: the pixels that the model sees of the frame's short side, and that side's length: of a 4:3 frame the middle square without a margin.
    """
    side = round(min(height, width) * crop[0] / crop[1])
    out = np.full((height, width), np.nan)
    y, x = round((height - side) / 2), round((width - side) / 2)
    out[y : y + side, x : x + side] = interpolate(
        torch.tensor(grid, dtype=torch.float64)[None, None], (side, side), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return out


def overlay(frame: np.ndarray, heat: np.ndarray, top: float) -> np.ndarray:
    """A grey frame under its heat, colours from 0 to ``top``; what the model does not see is pale. uint8 [H, W, 3]."""
    grey = np.repeat(frame.mean(-1, keepdims=True) / 255, 3, -1)
    colour = matplotlib.colormaps[HEAT](np.nan_to_num(heat) / top)[..., :3]
    inside = np.isfinite(heat)[..., None]
    much = 0.25 + 0.6 * np.nan_to_num(heat)[..., None] / top  # where there is no heat the frame stays visible
    return (255 * np.where(inside, (1 - much) * grey + much * colour, 0.75 + 0.25 * grey)).round().astype(np.uint8)


def runs(video: dict[str, Any]) -> list[tuple[float, float, str, bool, str]]:
    """The truth as (start, share, action, own, colour) of each run of frames; start and share of the video's length."""
    own = [a for a, _ in ACTIVITIES[video["class"]]]
    out, start = [], 0
    for action, n, relevant in video["segments"]:
        out.append(
            (
                start / video["frames"],
                n / video["frames"],
                action.replace("_", " "),
                relevant,
                PALETTE[own.index(action) % len(PALETTE)] if relevant else IRRELEVANT,
            )
        )
        start += n
    return out


def at(fig: plt.Figure, x: float, y: float, width: float, height: float) -> plt.Axes:
    """Axes at a place in inches from the upper left corner: frames keep their shape, rows of several videos stay in line."""
    w, h = fig.get_size_inches()
    return fig.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))


def draw_strip(ax: plt.Axes, video: dict[str, Any], size: float = 6.5, below: bool = True) -> None:
    """The true storyboard as a strip from 0 to 1: action and share in a run (grey: irrelevant); ``below``: of runs that are too narrow, under it."""
    inches = ax.get_position().width * ax.figure.get_figwidth()
    room = lambda text, points: 0.57 * points / 72 * max(map(len, text.split("\n"))) / inches  # noqa: E731
    free = [0.0] * 4  # where the labels of each line below end
    for start, share, action, relevant, colour in runs(video):
        ax.barh(0, share, left=start, color=colour, edgecolor="white", lw=0.8, height=1)
        words = {"ha": "center", "va": "center", "linespacing": 0.85, "color": "white" if colour in DARK else "#222222"}
        percent = f"{100 * share:.0f} %"
        inside = [(f"{action} {percent}", size), (f"{action}\n{percent}", size - 0.8), (percent, size - 0.8)]
        text, points = next(
            ((t, n) for t, n in (inside[:2] if below else inside) if room(t, n) < share - 0.03 / inches), ("", 0)
        )
        if text:
            ax.text(start + share / 2, 0, text, fontsize=points, **words)
        elif below:
            text, points = inside[0][0], size - 0.8
            middle = min(max(start + share / 2, room(text, points) / 2), 1 - room(text, points) / 2)
            line = next(i for i, end in enumerate(free) if end < middle - room(text, points) / 2 or i == len(free) - 1)
            free[line] = middle + room(text, points) / 2 + 0.01
            ax.annotate(
                text,
                (middle, -0.5),
                xytext=(0, -2 - 7 * line),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=points,
                color="#222222",
            )
    ax.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    ax.axis("off")


def show(ax: plt.Axes, image: np.ndarray, label: str = "") -> None:
    """An image over the whole width of the axes, without a frame, labelled at the left."""
    ax.imshow(image, aspect="auto", interpolation="none")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if label:
        ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7.5)


def shown(record: dict[str, Any], figure: str) -> list[dict[str, Any]]:
    """The videos of a figure."""
    return [record["videos"][p] for p in record["figures"].get(figure, ())]


# --- figures ---


def shape_of(frames: list[np.ndarray], width: float) -> float:
    """Height in inches of frames in a row ``width`` inches wide."""
    return width * frames[0].shape[0] / (len(frames) * (frames[0].shape[1] + GAP) - GAP)


def figure_fig1(record: dict[str, Any]) -> plt.Figure:
    """Storyboards of ambiguous and non-uniform videos with the true share of each atomic action."""
    style.use()
    videos = shown(record, "fig1")
    left, width = 1.15, 6.2
    height = shape_of(pictures(videos[0]), width)
    step = height + 0.56
    fig = plt.figure(figsize=(left + width, step * len(videos)))
    for k, v in enumerate(videos):
        part = "a" if v["class"] in AMBIGUOUS else "b"
        show(
            at(fig, left, k * step, width, height),
            in_a_row(pictures(v)),
            f"({part}) {v['class']}\n{100 * v['irrelevant']:.0f} % irrelevant",
        )
        draw_strip(at(fig, left, k * step + height + 0.03, width, 0.2), v)
    return fig


def figure_heat(record: dict[str, Any], name: str) -> plt.Figure:
    """Figures 2, 9, 10: blocks of rows (a) frames, (b) single, (c) coarse, (d) fine, (e) fused; every second sampled frame; below, the truth."""
    style.use()
    videos = shown(record, name)
    left, width, right = 0.72, 2.66, 0.32
    first = pictures(videos[0])
    pick = range(0, len(first), 2)
    height = max(shape_of([pictures(v)[i] for i in pick], width) for v in videos)
    step = 0.22 + (1 + len(MAPS)) * (height + 0.04) + 0.32
    lines = -(-len(videos) // 2)
    fig = plt.figure(figsize=(2 * (left + width + right), lines * step + 0.35))
    for k, v in enumerate(videos):
        x, y = left + (k % 2) * (left + width + right), (k // 2) * step + 0.22
        frames = pictures(v)
        h, w = frames[0].shape[:2]
        ax = at(fig, x, y, width, height)
        show(ax, in_a_row([frames[i] for i in pick]), "(a) Frame")
        where = {
            "storyboard-ucf101": " (UCF-101 layout)",
            "storyboard-hmdb51": " (HMDB-51 layout)",
            "ucf101": " (UCF-101)",
            "hmdb51": " (HMDB-51)",
        }.get(v["dataset"], "")
        ax.set_title(v["class"] + where, fontsize=8.5, pad=3)
        for r, m in enumerate(MAPS, 1):
            heats = [full_heat(g, h, w, record["crop"]) for g in v["heat"][m]]
            top = max(np.nanmax(heat) for heat in heats)
            ax = at(fig, x, y + r * (height + 0.04), width, height)
            show(ax, in_a_row([overlay(frames[i], heats[i], top) for i in pick]), f"({LETTERS[m]}) {TITLES[m]}")
            for column, i in enumerate(pick):
                ax.text(
                    column * (w + GAP) + w - 3,
                    4,
                    f"{100 * np.sum(v['heat'][m][i]):.0f} %",
                    ha="right",
                    va="top",
                    fontsize=6,
                    bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
                )
            ax.annotate(
                f"{100 * top:.1f} %", (1.015, 0.5), xycoords="axes fraction", va="center", fontsize=6, color="#444444"
            )
        if "segments" in v:
            draw_strip(at(fig, x, y + (1 + len(MAPS)) * (height + 0.04), width, 0.19), v, 6, below=False)
    bar = fig.colorbar(
        matplotlib.cm.ScalarMappable(cmap=HEAT),
        cax=at(fig, 2.3, lines * step + 0.03, 2.8, 0.1),
        orientation="horizontal",
        ticks=[0, 1],
    )
    bar.ax.set_xticklabels(["0", "greatest heat of the row (number at its right)"], fontsize=7)
    bar.outline.set_visible(False)
    return fig


def figure_fig5(record: dict[str, Any]) -> plt.Figure:
    """Class probabilities of ambiguous videos, single granularity against coarse."""
    style.use()
    videos = shown(record, "fig5")
    width, bars = 3.1, 2.5
    half = len(pictures(videos[0])) // 2
    height = max(shape_of(pictures(v)[:half], width) for v in videos)
    step = 2 * height + 0.68
    fig = plt.figure(figsize=(7.4, step * len(videos) + 0.3))
    for k, v in enumerate(videos):
        frames, y = pictures(v), k * step + 0.22
        ax = at(fig, 0, y, width, height)
        show(ax, in_a_row(frames[:half]))
        ax.set_title(v["class"], fontsize=8.5, loc="left", pad=3)
        show(at(fig, 0, y + height + 0.04, width, height), in_a_row(frames[half : 2 * half]))
        if "segments" in v:
            draw_strip(at(fig, 0, y + 2 * height + 0.08, width, 0.19), v, 6, below=False)
        ax = at(fig, 7.4 - bars, y, bars, 2 * height + 0.04)
        cells = top_classes(record, v)
        for row, (_, p) in enumerate(cells):
            for shift, m in ((-0.19, "single"), (0.19, "coarse")):
                ax.barh(row + shift, 100 * p[m], 0.36, color=BARS[m])
                ax.text(100 * p[m] + 1.5, row + shift, f"{100 * p[m]:.1f}", va="center", fontsize=6)
        ax.set_yticks(range(len(cells)), [c + (" (true)" if c == v["class"] else "") for c, _ in cells], fontsize=7)
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.set(xlim=(0, 112), xticks=[0, 25, 50, 75, 100])
        ax.tick_params(axis="x", labelsize=7)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    ax.set_xlabel("Class probability [%]")
    handles = [
        matplotlib.patches.Patch(color=BARS[m], label=t)
        for m, t in (("single", "Single granularity"), ("coarse", "Coarse"))
    ]
    fig.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 0), ncols=2)
    return fig


def figure_fig6(record: dict[str, Any]) -> plt.Figure:
    """Importance over the sampled frames above the frames and their true storyboard."""
    style.use()
    videos = shown(record, "fig6")
    left, width = 0.55, 6.8
    height = shape_of(pictures(videos[0]), width)
    step = 0.22 + 0.85 + 0.06 + height + 0.62
    fig = plt.figure(figsize=(left + width, step * len(videos) + 0.25))
    for k, v in enumerate(videos):
        y = k * step + 0.22
        ax = at(fig, left, y, width, 0.85)
        count = len(v["indices"])
        ax.axhline(100 / count, color="#555555", lw=0.8, ls="--", label="equal weights", zorder=0.5)
        for j, (m, colour) in enumerate(BARS.items()):
            values = 100 * np.array(v["importance"][m])
            x = np.arange(count) + 0.5 + 0.27 * (j - 1)
            ax.bar(x, values, 0.25, color=colour, label="single" if m == "single" else f"$a^{{{m}}}$")
            for place, value in zip(x, values):
                ax.text(
                    place,
                    value + 1,
                    f"{value:.0f}",
                    ha="center",
                    va="bottom",
                    fontsize=5.5,
                    bbox={"boxstyle": "round,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.8},
                )
        ax.set(
            xlim=(0, count), ylim=(0, 1.25 * 100 * max(1 / count, *(max(v["importance"][m]) for m in BARS))), xticks=[]
        )
        ax.tick_params(axis="y", labelsize=7)
        ax.set_ylabel("Importance [%]", fontsize=7)
        ax.set_title(v["class"], fontsize=8.5, loc="left", pad=3)
        show(at(fig, left, y + 0.91, width, height), in_a_row(pictures(v)))
        if "segments" in v:
            draw_strip(at(fig, left, y + 0.94 + height, width, 0.2), v)
    fig.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=4)
    return fig


def _shape(s: list[int]) -> str:
    return " × ".join(map(str, s))


def figure_fig3(record: dict[str, Any]) -> plt.Figure:
    """The framework; the shapes are those of one pass of the trained model over one video."""
    style.use()
    s = record["shapes"]
    fig, ax = plt.subplots(figsize=(7.4, 4.9), layout="constrained")
    ax.set(xlim=(-0.5, 99), ylim=(0, 66))
    ax.axis("off")
    visual, text, coarse, fine, plain = "#DCEBF7", "#FBE9C8", "#D5EFE5", "#F8DDCB", "#EEEEEE"

    def box(
        x: float, y: float, w: float, h: float, title: str, shape: str = "", colour: str = plain, note: str = ""
    ) -> None:
        ax.add_patch(
            FancyBboxPatch((x, y), w, h, boxstyle="round,pad=0,rounding_size=0.8", fc=colour, ec="#555555", lw=0.8)
        )
        lines = [(title, 7, "bold", "#111111")] + [(t, 6.3, "normal", "#333333") for t in (shape, note) if t]
        step = 2.5
        for i, (t, size, weight, c) in enumerate(lines):
            ax.text(
                x + w / 2,
                y + h / 2 + step * ((len(lines) - 1) / 2 - i),
                t,
                ha="center",
                va="center",
                fontsize=size,
                fontweight=weight,
                color=c,
            )

    box(0, 56, 14, 9, "Class names", f"C = {s['t_cls'][0]}", text)
    box(0, 40, 14, 9, "Sub-texts", f"N = {s['S'][1]} a class", text, "section 3.1")
    box(19, 45, 14, 14, "Text encoder", "frozen", text, f"d = {s['t_cls'][1]}")
    box(0, 6, 14, 9, "Frames", _shape(s["frames"]), visual)
    box(19, 4, 14, 13, "Visual encoder", f"tokens {_shape(s['tokens'])}", visual, "trained")
    box(38, 6, 14, 9, "$v^{cls}$", _shape(s["v"]), visual)
    box(38, 56, 14, 9, "$T$", _shape(s["T"]), text, "words of the prompt")
    box(38, 41, 14, 9, "$S$", _shape(s["S"]), text, "words of sub-texts")
    box(59, 56, 14, 9, r"$\hat{T}$  (Eq. 4-6)", _shape(s["T_hat"]), coarse, "cross-attention")
    box(59, 38, 14, 9, "$a^{coarse}$  (Eq. 7)", _shape(s["a_coarse"]), coarse, "softmax over frames")
    box(59, 22, 14, 9, "$a^{fine}$  (Eq. 9)", _shape(s["a_fine"]), fine, "best sub-text")
    box(78, 38, 14, 9, "$o^{coarse}$  (Eq. 8)", _shape(s["o_coarse"]), coarse, f"FFN {_shape(s['ffn_coarse'])}")
    box(78, 22, 14, 9, "$o^{fine}$  (Eq. 10)", _shape(s["o_fine"]), fine, f"FFN {_shape(s['ffn_fine'])}")
    box(78, 6, 14, 9, "$o$  (Eq. 11)", _shape(s["o"]), plain, "sum of both")
    box(78, 56, 14, 9, "Logits", _shape(s["logits"]), plain, r"scale $\cdot$ cos($o$, $t^{cls}$)")

    def way(*points: tuple[float, float]) -> None:
        x, y = zip(*points)
        ax.plot(x[:-1], y[:-1], color="#444444", lw=0.9, solid_capstyle="butt")
        ax.annotate(
            "",
            points[-1],
            points[-2],
            arrowprops={"arrowstyle": "-|>", "color": "#444444", "lw": 0.9, "shrinkA": 0, "shrinkB": 0.5},
        )

    way((14, 60.5), (16.5, 60.5), (16.5, 55), (19, 55))  # class names and sub-texts to the text encoder
    way((7, 56), (7, 49))
    way((14, 44.5), (16.5, 44.5), (16.5, 49), (19, 49))
    way((33, 55), (35.5, 55), (35.5, 60.5), (38, 60.5))  # to T and S
    way((33, 49), (35.5, 49), (35.5, 45.5), (38, 45.5))
    way((52, 60.5), (59, 60.5))
    way((52, 47), (54.5, 47), (54.5, 58), (59, 58))  # S to the attention, and down to a_fine
    way((45, 41), (45, 28.5), (59, 28.5))
    way((66, 56), (66, 47))
    way((14, 10.5), (19, 10.5))
    way((33, 10.5), (38, 10.5))
    way((52, 10.5), (56, 10.5), (56, 42.5), (59, 42.5))  # frames to both importances
    way((56, 10.5), (56, 24.5), (59, 24.5))
    way((73, 42.5), (78, 42.5))
    way((73, 26.5), (78, 26.5))
    way((85, 22), (85, 15))
    way((92, 42.5), (95, 42.5), (95, 12.5), (92, 12.5))
    way((92, 8.5), (98, 8.5), (98, 60.5), (92, 60.5))
    ax.text(
        38,
        1.5,
        f"$v^{{cls}}$ is also what Eq. 8 and 10 weight; $t^{{cls}}$ ({_shape(s['t_cls'])}) is the prompt's end-of-text row.",
        fontsize=6.3,
        color="#333333",
    )
    return fig


def figures(record: dict[str, Any]) -> dict[str, plt.Figure]:
    """All figures by file name; those without videos (an unknown truth, other data) left out."""
    out = {"fig1": figure_fig1} if shown(record, "fig1") else {}
    out |= {f: (lambda r, f=f: figure_heat(r, f)) for f in ("fig2", "fig9", "fig10") if shown(record, f)}
    out |= {"fig3": figure_fig3, "fig5": figure_fig5} | ({"fig6": figure_fig6} if shown(record, "fig6") else {})
    return {f: draw(record) for f, draw in sorted(out.items(), key=lambda f: int(f[0][3:]))}


# --- tables ---


def _percent(x: float, digits: int = 0) -> str:
    return f"{100 * x:.{digits}f} %"


def top_classes(record: dict[str, Any], video: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """The true class, then those to which either model gives most probability, ``TOP`` in all."""
    p = {m: np.array(v) for m, v in video["probabilities"].items()}
    order = np.argsort(-np.maximum(*p.values()), kind="stable")
    names = [video["class"], *(record["classes"][i] for i in order if record["classes"][i] != video["class"])][:TOP]
    return [(c, {m: float(v[record["classes"].index(c)]) for m, v in p.items()}) for c in names]


def chosen_markdown(record: dict[str, Any]) -> str:
    """Which videos the figures show."""
    rows = [
        [
            f.replace("fig", "Figure "),
            v["class"],
            v["path"],
            v["frames"],
            _percent(v["irrelevant"]) if "irrelevant" in v else None,
        ]
        for f in record["figures"]
        for v in shown(record, f)
    ]
    return tables.markdown(["Figure", "Class", "Video", "Frames", "Irrelevant frames (true)"], rows)


def shares_markdown(record: dict[str, Any], name: str = "fig1") -> str:
    """The true storyboards of a figure's videos, in order of time."""
    rows = [
        [
            v["class"],
            ", ".join(
                f"{action} {_percent(share)}" + ("" if relevant else " (irrelevant)")
                for _, share, action, relevant, _ in runs(v)
            ),
        ]
        for v in shown(record, name)
    ]
    return tables.markdown(["Class", "Atomic actions and their share of the frames"], rows) if rows else NO_TRUTH


def importance_markdown(record: dict[str, Any], name: str = "fig6") -> str:
    """Importance of every sampled frame of a figure's videos; starred where the frame shows an action of the class."""
    rows = []
    for v in shown(record, name):
        own = [r for _, n, r in v.get("segments", ()) for _ in range(n)]
        for m in BARS:
            cells = [f"{100 * a:.1f}{'*' if own and own[i] else ''}" for a, i in zip(v["importance"][m], v["indices"])]
            on = _percent(sum(a for a, i in zip(v["importance"][m], v["indices"]) if own[i])) if own else None
            rows.append([v["class"], TITLES[m], *cells, on])
    count = max((len(v["indices"]) for v in shown(record, name)), default=0)
    return tables.markdown(
        ["Class", "Importance [%]", *map(str, range(1, count + 1)), "On frames of the action (*)"], rows
    )


def probabilities_markdown(record: dict[str, Any]) -> str:
    """Figure 5 in figures."""
    rows = [
        [
            v["class"],
            ambiguity(record, v),
            c + (" (true)" if c == v["class"] else ""),
            f"{100 * p['single']:.1f}",
            f"{100 * p['coarse']:.1f}",
        ]
        for v in shown(record, "fig5")
        for c, p in top_classes(record, v)
    ]
    return tables.markdown(
        [
            "Video of",
            record["ambiguity"]["by"][0].upper() + record["ambiguity"]["by"][1:],
            "Class",
            "Single [%]",
            "Coarse [%]",
        ],
        rows,
    )


def ambiguity(record: dict[str, Any], video: dict[str, Any]) -> str:
    """How ambiguous a class of Figure 5 is."""
    return f"{record['ambiguity']['of'][video['class']]:.2f}"


def compared_markdown(record: dict[str, Any]) -> str:
    """Figure 5's comparison on all videos: one seed."""
    rows = [
        [
            title,
            c["videos"],
            _percent(c["mean"]["single"], 1),
            _percent(c["mean"]["coarse"], 1),
            f"{c['higher']} of {c['videos']}",
            c["right"]["single"],
            c["right"]["coarse"],
        ]
        for title, c in (("the classes of Figure 5", record["fig5"]["these"]), ("all classes", record["fig5"]["all"]))
    ]
    return tables.markdown(
        [
            "Videos of",
            "Videos",
            "Single, mean probability of the true class",
            "Coarse, the same",
            "Coarse gives it more",
            "Right: single",
            "Right: coarse",
        ],
        rows,
    )


def shapes_markdown(record: dict[str, Any]) -> str:
    """Figure 3 in figures."""
    return tables.markdown(["Tensor", "Shape"], [[k, _shape(v)] for k, v in record["shapes"].items()])


def examples_markdown(record: dict[str, Any]) -> str:
    """What the captions of Figures 1 and 6 say of their videos, and the same of the videos here: one video each."""
    said = {r["id"]: f"{r['value']:g} %" for r in paper.load("statements")}
    rows = []
    jump = next((v for v in shown(record, "fig1") if v["class"] == "long jump"), None)
    if jump:
        share = {action: s for _, s, action, relevant, _ in runs(jump) if relevant}
        longest = max(share, key=share.get)
        rows += [
            [
                "Figure 1",
                "a long jump: its longest atomic action",
                said["fig1-crouch"],
                f"{_percent(share[longest])} ({longest})",
            ],
            [
                "Figure 1",
                "a long jump: legs extended in flight",
                said["fig1-extend"],
                f"{_percent(share['flight legs'])} (flight legs)",
            ],
            [
                "Figure 1",
                "irrelevant frames of a video",
                said["fig1-stand"],
                ", ".join(f"{_percent(v['irrelevant'])} ({v['class']})" for v in shown(record, "fig1")),
            ],
        ]
    for v in [v for v in shown(record, "fig6") if v["class"] == "clean and jerk"][:1]:
        fine, coarse = v["importance"]["fine"], v["importance"]["coarse"]
        at = int(np.argmax(fine))
        rows.append(
            [
                "Figure 6",
                "a clean and jerk: a_fine and a_coarse of one frame (here the one of greatest a_fine)",
                f"{said['fig6-fine']} and {said['fig6-coarse']}",
                f"{_percent(fine[at])} and {_percent(coarse[at])} (frame {at + 1})",
            ]
        )
    return tables.markdown(["Figure", "What", "Printed, of its video", "Here, of one video"], rows)


def rule(name: str) -> str:
    """How the videos of a figure were chosen."""
    return f"Chosen by rule: {RULES[name]}."


def heat_text(record: dict[str, Any]) -> str:
    """How to read the heatmaps."""
    g = len(next(v["heat"]["single"] for v in record["videos"].values() if "heat" in v)[0])
    return (
        f"Heat is the importance of the frame for the true class (printed in its corner, exact) spread over its {g} × {g} patches by their similarity to the words of each granularity "
        "(a reading: no equation of the paper compares words with patches). Single is a model of its own; coarse and fine are the two branches of one SFAR model, fused is their mean. "
        "Each row has one colour scale over all sampled frames of its video, from 0 to the number at its right (share of the video's importance in one patch); every second sampled frame is shown. "
        "Pale margins are outside the crop that the models see."
    )


def fig5_text(record: dict[str, Any]) -> str:
    """What Figure 5 shows, and how often."""
    a = record["fig5"]["all"]
    return (
        f"The true class comes first, then those to which either model gives most. Over all {a['videos']} videos (one seed) coarse gives the true class more probability than single on "
        f"{a['higher']}."
    )


# --- page ---


def as_markdown(record: dict[str, Any]) -> str:
    """The page ``qualitative.md``."""
    picture = lambda f: f"![{f.replace('fig', 'Figure ')}]({f}.png)"
    has = {f: bool(shown(record, f)) for f in RULES}
    temperature = ", ".join(f"{k} {v:.4f}" for k, v in record["temperature"].items())
    parts = [
        page.head(
            record,
            "Figures 1, 2a-e, 3, 5, 6, 9, 10: single videos",
            f"{page.videos(record)} Temperature of the trained models: {temperature}.",
        ),
        EXAMPLES,
        "## The captions' numbers",
        examples_markdown(record),
        "## Figure 1",
        *((rule("fig1"), picture("fig1"), shares_markdown(record)) if has["fig1"] else (NO_TRUTH,)),
        "## Figure 2 (a-e)",
        *(
            (rule("fig2"), heat_text(record), picture("fig2"))
            if has["fig2"]
            else ("None of these classes is in the data set.",)
        ),
        "## Figure 3",
        "Shapes of one pass over one video.",
        picture("fig3"),
        shapes_markdown(record),
        "## Figure 5",
        rule("fig5"),
        fig5_text(record),
        picture("fig5"),
        probabilities_markdown(record),
        compared_markdown(record),
        "## Figure 6",
        *(
            (rule("fig6"), picture("fig6"), importance_markdown(record))
            if has["fig6"]
            else ("None of these classes is in the data set.",)
        ),
        "## Figure 9",
        rule("fig9"),
        picture("fig9"),
        "## Figure 10",
        *(
            (
                f"{rule('fig10')} Zero-shot: no video of {'these classes' if record['drawn'] else 'these data sets'} was trained on.",
                picture("fig10"),
            )
            if has["fig10"]
            else (NO_UNSEEN,)
        ),
        "## Videos",
        chosen_markdown(record),
    ]
    return "\n\n".join(parts)


CSV_COLUMNS = ["dataset", "video", "class", "what", "of", "item", "value"]


def csv_rows(record: dict[str, Any]) -> list[list[Any]]:
    """True shares, importances and probabilities of every video, a line each."""
    out = []
    for v in record["videos"].values():
        lead = [v["dataset"], v["path"], v["class"]]
        if "segments" in v:
            out += [
                [*lead, "true share", "own" if relevant else "irrelevant", action, round(share, 4)]
                for _, share, action, relevant, _ in runs(v)
            ]
        out += [
            [*lead, "importance", m, i, a]
            for m, values in v.get("importance", {}).items()
            for i, a in zip(v["indices"], values)
        ]
        out += [
            [*lead, "probability", m, c, p]
            for m, values in v.get("probabilities", {}).items()
            for c, p in zip(record["classes"], values)
        ]
    return out


def importance_table(record: dict[str, Any]) -> tuple[list[str], list[list[Any]], str]:
    """The LaTeX table: Figure 6."""
    rows = [
        [v["class"], TITLES[m], *(round(100 * a, 1) for a in v["importance"][m])]
        for v in shown(record, "fig6")
        for m in BARS
    ]
    count = max((len(v["indices"]) for v in shown(record, "fig6")), default=0)
    return (
        ["Class", "Importance", *map(str, range(1, count + 1))],
        rows,
        "Importance [%] of the sampled frames of single videos (Figure 6).",
    )


def write(record: dict[str, Any], out: Path) -> list[Path]:
    """Write ``qualitative.{csv,md,tex,json}`` and the figures 1, 2, 3, 5, 6, 9, 10 into ``out``."""
    return page.write(
        out,
        "qualitative",
        record,
        as_markdown(record),
        (CSV_COLUMNS, csv_rows(record)),
        figures(record),
        "",
        [importance_table(record)],
    )


def text(record: dict[str, Any]) -> str:
    """What the terminal shows."""
    return "\n\n".join([examples_markdown(record), importance_markdown(record), compared_markdown(record)])
