"""The benchmark, drawn from its records: ``bench.png`` and ``README.md`` beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sfar.errors import SfarError
from sfar.render import style, tables
from sfar.util import paths

PARTS = ("head", "overhead", "reader", "pipeline", "step", "replicates", "scaling", "start", "gpu")
MODE = "forward+backward"  # what the panels of the head show
HEADS = {"literal": ("#D55E00", "s", "literal"), "fast": ("#0072B2", "o", "SFAR")}
AXES = {
    "videos": "videos B",
    "classes": "classes C",
    "frames": "frames L",
    "subtexts": "sub-texts N",
    "words": "words of a text",
}
READERS = {
    "sfar": ("#0072B2", "o"),
    "sfar, walk kept": ("#56B4E9", "o"),
    "sfar, in the guarded process": ("#009E73", "D"),
    "PyAV, seek to each": ("#CC79A7", "^"),
    "PyAV, decode through": ("#E69F00", "v"),
    "every frame (read_all)": ("#999999", "s"),
    "decord, bare": ("#444444", "_"),
}


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """The records that are in ``folder``, by part. Raises ``SfarError`` for a damaged one, or when there is none."""
    out = {}
    for part in PARTS:
        path = folder / f"{part}.json"
        if path.is_file():
            try:
                out[part] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as e:
                raise SfarError(f"{path} is not valid JSON ({e}): run `sfar bench {part}` again") from e
    if not out:
        raise SfarError(f"no record of the benchmark in {folder}: run `make bench` first")
    return out


def _size(record: dict[str, Any]) -> str:
    """The head's base point in words."""
    b = record["base"]
    return (
        f"{b['videos']} videos, {b['classes']} classes, {b['frames']} frames, "
        f"{b['subtexts']} sub-texts of {b['words']} words, d = {record['width']}"
    )


# --- the figure ----------------------------------------------------------------------------------------------------


def _plain(x: float, _: Any = None) -> str:
    return f"{x:g}"


def _log(ax: Axes, xs: list[float]) -> None:
    """Log-log, the measured points as ticks."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(FixedLocator(xs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_plain))
    ax.yaxis.set_major_formatter(FuncFormatter(_plain))
    ax.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _head_panel(ax: Axes, record: dict[str, Any], name: str, what: str) -> None:
    points = record["sweeps"][name]
    xs = [p["x"] for p in points]
    _log(ax, xs)
    for place, (which, (colour, marker, _)) in zip((0.04, 0.54), HEADS.items(), strict=True):
        if what == "time":
            seconds = [p[MODE]["seconds"][which] for p in points]
            ys = [s["median"] for s in seconds]
            ax.errorbar(
                xs,
                ys,
                [[s["median"] - s["min"] for s in seconds], [s["max"] - s["median"] for s in seconds]],
                color=colour,
                fmt="none",
                lw=0.8,
                capsize=2,
            )
        else:
            ys = [p[MODE]["bytes"][which] / 1e6 for p in points]
        ax.plot(xs, ys, color=colour, marker=marker, ms=4, lw=1.2)
        exponent = record["growth"][MODE][name][which][what]
        ax.text(place, 0.98, f"∝ x$^{{{exponent:.2f}}}$", transform=ax.transAxes, va="top", fontsize=8, color=colour)
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.3, high * 2.4)  # room for the exponents
    ax.set_xlim(xs[0] / 1.25, xs[-1] * 1.25)


def _head_row(axes: list[Axes], record: dict[str, Any], what: str) -> None:
    limits = []
    for ax, name in zip(axes, AXES, strict=True):
        _head_panel(ax, record, name, what)
        limits.append(ax.get_ylim())
        if what == "memory":
            ax.set_xlabel(AXES[name])
    for ax in axes:  # one scale for a row, so that panels can be compared
        ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        if ax is not axes[0]:
            ax.tick_params(labelleft=False)
    axes[0].set_ylabel("time [s]" if what == "time" else "peak memory [MB]")


def _overhead_panel(ax: Axes, record: dict[str, Any]) -> None:
    rows = record["rows"]
    for k, r in enumerate(rows):
        h = r["head_percent"]
        ax.barh(k, h["median"], 0.5, color="#0072B2")
        ax.plot([h["min"], h["max"]], [k, k], color="black", lw=1)
        ax.annotate(
            f"{h['median']:.2f} %", (h["max"], k), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.5
        )
    kind = "GPU" if record["device"] == "cuda" else "CPU"
    limit = next(t["limit"] for t in record["targets"] if t["name"].endswith(kind))
    ax.axvline(limit, color="#D55E00", ls="--", lw=1.2)
    ax.annotate(
        f"target {limit:g} %",
        (limit, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=7.5,
        color="#D55E00",
    )
    ax.set_yticks(range(len(rows)), [f"{kind}, {r['precision']}" for r in rows])
    ax.set_ylim(-0.8, len(rows) - 0.2)
    ax.set_xlim(0, 1.3 * max(limit, *(r["head_percent"]["max"] for r in rows)))
    ax.set_xlabel("SFAR's head / CLIP's encoding [%]")
    ax.set_title(f"Head over CLIP, {record['model'].split(',')[0]}", loc="left")


def _reader_panel(ax: Axes, record: dict[str, Any]) -> None:
    sets = record["sets"]
    names = [n for n in READERS if n in sets[0]["ratios"] and n != record["against"]]
    for k, s in enumerate(sets):
        for j, name in enumerate(names):
            colour, marker = READERS[name]
            r = s["ratios"][name]
            x = k + (j - (len(names) - 1) / 2) * 0.11
            ax.plot([x, x], [r["q25"], r["q75"]], color=colour, lw=1)
            ax.plot(x, r["median"], marker, color=colour, ms=5, mec="white", mew=0.4, label=name if k == 0 else None)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    # On a scale that spans little the eye takes it for linear between two ticks.
    candidates = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3) if high < 4 else (0.25, 0.5, 1, 2, 4, 8, 16, 32)
    ax.yaxis.set_major_locator(FixedLocator([t for t in candidates if low <= t <= high] or [1]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(_plain))
    ax.axhline(1, color="#444444", lw=0.9)
    if record["targets"]:
        limit = record["targets"][0]["limit"]
        ax.axhline(limit, color="#D55E00", ls="--", lw=1.2, label=f"target {limit:g} (sfar)")
    ax.set_xticks(range(len(sets)), [s["set"].replace(", ", "\n", 1) for s in sets])
    ax.set_xlim(-0.5, len(sets) - 0.5)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel(f"time / {record['against']}")
    ax.set_title("Reading 8 frames of a video", loc="left")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _absent(ax: Axes, part: str) -> None:
    ax.axis("off")
    ax.text(
        0.5, 0.5, f"not measured: sfar bench {part}", transform=ax.transAxes, ha="center", va="center", color="#777777"
    )


def figure(records: dict[str, dict[str, Any]]) -> Figure:
    """Growth of time and memory of both heads, the head's share of CLIP's time, and the readers.

    Parts without a record stay empty.
    """
    style.use()
    fig = plt.figure(figsize=(10.4, 7.4), layout="constrained")
    top, bottom = cast(list[SubFigure], fig.subfigures(2, 1, height_ratios=[1.75, 1]))
    if "head" in records:
        grid = top.subplots(2, len(AXES), sharex="col")
        for axes, what in zip(grid, ("time", "memory"), strict=True):
            _head_row(list(axes), records["head"], what)
        top.suptitle(
            f"Head, forward and backward, around {_size(records['head'])}",
            fontsize=9,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        for colour, marker, label in HEADS.values():
            grid[0][0].plot([], [], color=colour, marker=marker, ms=4, label=label)
        top.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    else:
        _absent(top.subplots(), "head")
    left, right = bottom.subplots(1, 2, width_ratios=[1, 1.6])
    for ax, part, draw in ((left, "overhead", _overhead_panel), (right, "reader", _reader_panel)):
        if part in records:
            draw(ax, records[part])
        else:
            _absent(ax, part)
    return fig


# --- the page ------------------------------------------------------------------------------------------------------


def _spread(s: dict[str, float], unit: str = "") -> str:
    """Median and quartiles."""
    return f"{s['median']:.3g}{unit} ({s['q25']:.3g} to {s['q75']:.3g})"


def targets_markdown(records: dict[str, dict[str, Any]]) -> str:
    """All targets with the measured value and whether it was reached."""
    verdict = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        [
            t["name"],
            f"{'at least' if t['at_least'] else 'at most'} {t['limit']:g} {t['unit']}",
            None if t["value"] is None else f"{t['value']:.3g} {t['unit']}",
            verdict[t["reached"]],
        ]
        for r in records.values()
        for t in r["targets"]
    ]
    return tables.markdown(["What", "Target", "Measured (median)", "Reached"], rows)


def _head_markdown(r: dict[str, Any]) -> str:
    base = [
        [
            mode,
            _spread(p["seconds"]["literal"], " s"),
            _spread(p["seconds"]["fast"], " s"),
            _spread(p["time_ratio"]),
            f"{p['bytes']['literal'] / 1e6:,.0f} MB",
            f"{p['bytes']['fast'] / 1e6:,.0f} MB",
            f"{p['memory_ratio']:.3g}",
            f"{p['largest_difference']:.1g}",
        ]
        for mode, p in r["at_base"].items()
    ]
    grown = [
        [mode, name, *(f"{g[which][what]:.2f}" for what in ("time", "memory") for which in ("literal", "fast"))]
        for mode, names in r["growth"].items()
        for name, g in names.items()
    ]
    same, kept = r["time_ratio_without_onednn"], {k: v for k, v in r["resident_bytes"].items() if v}
    library = (
        (
            "\n\nSFAR's head multiplies large matrices by oneDNN (`sfar/model/kernels/matmul.py`), the literal head by "
            "`torch.mm`, as PyTorch does by itself. With oneDNN switched off for both the ratios of time are "
            + ", ".join(f"{_spread(s)} ({mode})" for mode, s in same.items())
            + "."
        )
        if same
        else ""
    )
    extra = (
        "\n\nRise of a fresh process's resident memory, forward and backward: "
        f"{', '.join(f'{k} {v / 1e6:,.0f} MB' for k, v in kept.items())}."
        if kept
        else ""
    )
    return (
        "\n\n".join(
            [
                "Ratios are literal / SFAR. The literal head (`sfar/bench/whole_window.py`) computes every position of "
                "the 77-token window and gives the same logits (checked before anything is timed). "
                f"Memory: {r['memory_is']}. Base: {_size(r)}; words on average.",
                tables.markdown(
                    [
                        "Mode",
                        "Time, literal",
                        "Time, SFAR",
                        "Ratio",
                        "Memory, literal",
                        "Memory, SFAR",
                        "Ratio",
                        "Largest difference of a logit",
                    ],
                    base,
                ),
                "Exponents of growth (slope in log-log), one variable at a time:",
                tables.markdown(
                    ["Mode", "Variable", "Time, literal", "Time, SFAR", "Memory, literal", "Memory, SFAR"], grown
                ),
            ]
        )
        + library
        + extra
    )


def _overhead_markdown(r: dict[str, Any]) -> str:
    rows = [
        [
            x["precision"],
            _spread(x["seconds"]["clip"], " s"),
            _spread(x["seconds"]["head"], " s"),
            _spread(x["head_percent"], " %"),
            _spread(x["whole_percent"], " %"),
        ]
        for x in r["rows"]
    ]
    return (
        f"{r['model']}, {r['videos']} videos of {r['frames']} frames of {r['image_size']} pixels, "
        f"{r['classes']} classes, {r['subtexts']} sub-texts, evaluation. The head alone is the number to believe; "
        "the whole minus the encoding, pair by pair, is mostly noise.\n\n"
        + tables.markdown(
            ["Precision of the tower", "CLIP's encoding", "SFAR's head", "Head / encoding", "Whole / encoding - 1"],
            rows,
        )
    )


def _reader_markdown(r: dict[str, Any]) -> str:
    rows = [
        [s["set"], f"{s['first']['width']}x{s['first']['height']}", name, _spread(t, " ms"), _spread(s["ratios"][name])]
        for s in r["sets"]
        for name, t in s["milliseconds"].items()
    ]
    return (
        f"Ratios to {r['against']}, video by video; one thread; files in the system's cache. "
        '"sfar" walks the packets each time, "walk kept" does not. Storyboard videos are scaled while they are read; '
        "decord misreads such widths, gives them as stored, and so has less to do.\n\n"
        + tables.markdown(["Videos", "Stored", "Reader", "Time", "Ratio"], rows)
    )


def _pipeline_markdown(r: dict[str, Any]) -> str:
    loading = [[x["input"], x["workers"], _spread(x["clips_per_second"])] for x in r["loading"]]
    steps = [[x["model"], x["videos"], x["precision"], _spread(x["clips_per_second"])] for x in r["steps"]]
    waits = [
        [x["model"], x["input"], x["workers"], f"{x['read_over_trained']:.3g}", x["waits"]] for x in r["who_waits"]
    ]
    return "\n\n".join(
        [
            tables.markdown(["Input", "Workers", "Clips/s"], loading),
            tables.markdown(["Training step", "Videos", "Precision", "Clips/s"], steps),
            tables.markdown(["Model", "Input", "Best workers", "Read / trained", "Who waits"], waits),
        ]
    )


def _peak(r: dict[str, Any]) -> str:
    return f"Peak: {', '.join(f'{k} {v / 1e9:,.0f} GFLOP/s' for k, v in r['peak_flops'].items())} ({r['peak_is']})."


def _step_markdown(r: dict[str, Any]) -> str:
    return "\n\n".join([f"{_peak(r)} FLOPs: {r['flops_are']}.", *_steps(r)])


def _steps(r: dict[str, Any]) -> list[str]:
    """The training steps of a record, a table for each setting."""
    out = []
    for s in r["settings"]:
        rows = [
            [
                v["name"],
                f"{v['steps_per_second']:.3g}",
                f"{v['clips_per_second']:.3g}",
                f"{v['flops_per_second'] / 1e9:,.0f}",
                f"{100 * v['share_of_peak']:.1f} %",
                _spread(v["speed_ratio"]),
                f"{v['first_seconds']:.3g} s",
            ]
            for v in s["variants"]
        ]
        out += [
            f"{s['model']}, a step of {s['videos']} x {r['frames']} frames of {s['image_size']} pixels, "
            f"{r['classes']} classes:",
            tables.markdown(
                ["Variant", "Steps/s", "Clips/s", "GFLOP/s", "Of the peak", f"Speed / {s['base']}", "First step"], rows
            ),
        ]
        out += [f"{name}: failed ({why})" for name, why in s["failed"].items()]
    return out


def _scaling_markdown(r: dict[str, Any]) -> str:
    rows = [
        [x["processes"], _spread(x["clips_per_second"]), _spread(x["speed_ratio"]), f"{100 * x['efficiency']:.0f} %"]
        for x in r["rows"]
    ]
    return "`sfar train sfar` under torchrun, one thread each, start-up not counted.\n\n" + tables.markdown(
        ["Processes", "Clips/s", "Speed / 1 process", "Efficiency"], rows
    )


def _replicates_markdown(r: dict[str, Any]) -> str:
    rows = [[name, _spread(s, " s")] for name, s in r["seconds"].items()]
    return (
        f"Training of SFAR's head on embeddings of a frozen tower, {r['classes']} classes, {r['cores']} cores, "
        f"a thread for each program. {r['runs']} stacked take {_spread(r['stacked_over_one'])} times as long as one; "
        f"one by one they take {_spread(r['one_by_one_over_stacked'])} times as long as stacked.\n\n"
        + tables.markdown(["Trainings", "Time"], rows)
    )


def _start_markdown(r: dict[str, Any]) -> str:
    memory = f", {_spread(r['megabytes'], ' MB')} above what the program takes" if r["megabytes"] else ""
    return (
        f"Lists of {r['clips']:,} training videos and their names on disk (links), read, checked and fingerprinted in "
        f"a fresh process: {_spread(r['seconds'], ' s')}{memory}."
    )


def _gpu_markdown(r: dict[str, Any]) -> str:
    memory = [
        [
            m["model"],
            m["videos"],
            "yes" if m["checkpointed"] else "no",
            f"{m['bytes'] / 1e9:.2f} GB",
            f"{m['estimate'] / 1e9:.2f} GB",
            f"{m['ratio']:.2f}",
        ]
        for m in r["memory"]
    ]
    head = [[x["precision"], _spread(x["head_percent"], " %")] for x in r["overhead"]]
    runs = [[name, f"{x['loss']:.2g}", f"{x['weight']:.2g}"] for name, x in r["trainings"].items()]
    return "\n\n".join(
        [
            f"On {r['device']}. {_peak(r)}",
            *_steps(r),
            f"SFAR's head at {r['classes']} classes:",
            tables.markdown(["Precision of the tower", "Head / encoding"], head),
            "Memory of a training step, bf16, against the estimate from shapes:",
            tables.markdown(["Model", "Videos", "checkpoint_activations", "Measured", "Estimated", "Ratio"], memory),
            f"A short training against the same one in this process alone ({r['backend']}): largest difference of an "
            "epoch's loss (relative), and of a weight.",
            tables.markdown(["Training", "Loss", "Weight"], runs),
        ]
    )


_PAGES = {
    "start": _start_markdown,
    "gpu": _gpu_markdown,
    "head": _head_markdown,
    "overhead": _overhead_markdown,
    "reader": _reader_markdown,
    "pipeline": _pipeline_markdown,
    "step": _step_markdown,
    "replicates": _replicates_markdown,
    "scaling": _scaling_markdown,
}


def _measured(p: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in p["versions"].items())
    load = f", load {p['load']:.1f}" if p["load"] is not None else ""
    return (
        f"`{p['command']}` at revision {p['revision']}, {p['date']}, {p['seconds']:,.0f} s; {p['hardware']}; "
        f"{p['threads']} threads{load}; Python {p['python']}, {versions}"
        + (". **Quick: tiny sizes, these numbers mean little**" if p["quick"] else "")
    )


def as_markdown(records: dict[str, dict[str, Any]]) -> str:
    """The page: targets, figure, a section for each part."""
    out = [
        "# Benchmark",
        "Ratios within one run, contenders in turn; medians with quartiles. `make bench` measures again.",
        "![Benchmark](bench.png)",
        "## Targets",
        targets_markdown(records),
    ]
    for part, r in records.items():
        out += [f"## {part.capitalize()}: {r['title']}", _PAGES[part](r), _measured(r["provenance"])]
    return "\n\n".join(out) + "\n"


def write(folder: Path) -> list[Path]:
    """Write ``bench.png`` and ``README.md`` into ``folder`` from the records there; returns their paths."""
    records = load(folder)
    files = [folder / "bench.png", folder / "README.md"]
    fig = figure(records)
    style.save(fig, files[0])
    plt.close(fig)
    paths.write_atomic(files[1], as_markdown(records))
    return files
