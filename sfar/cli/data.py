"""``sfar data ...``: check a copy of a real data set, print its layout, draw a few-shot list (sections 4.1, A.1)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.cli import options
from sfar.errors import one_line

FIRST = 10  # problems of a kind that are printed; the report has all of them
# What to do about each kind of problem.
ADVICE = {
    "missing": "named by the lists and not on disk: download or unpack them; nothing can be done for videos that are "
    "nowhere any more",
    "undecodable": "download or copy them again, or encode them anew; training and evaluation leave them out",
    "passing": "for the moment only: mend what is said of each and check again; training and evaluation leave out what "
    "was too slow and end at what the system does not give",
    "too_short": "frames are repeated to make a clip; replace them where there is a longer copy",
    "train_and_val": "take both lists from the same release, or remove the rows from one of them",
    "identical": "the same content under several names: harmless where it is so in the original; otherwise copy the "
    "right file",
    "beyond_end": "the video is cut off or another version of it, or the list is wrong; parts that start behind the "
    "end are left out",
    "extra": "on disk and in no list: nothing reads them",
}


def text(report: dict[str, Any], written: bool = False) -> str:
    """A report of ``sfar.data.check.check`` for a terminal.

    Counts, the first problems of each kind with what to do, and the verdict. ``written``: the whole report is in a
    file, which a list that is cut short refers to.
    """
    from sfar.data.check import EXPLAINED
    from sfar.errors import PASSING
    from sfar.render.tables import markdown

    rows = []
    for s in report["splits"]:
        published = ", ".join(
            f"{e['number']:,} {e['unit']}{'' if e['agrees'] else ' (here ' + format(e['counted'], ',') + ')'}"
            for e in s["expected"]
        )
        rows.append(
            [
                s["split"],
                *(f"{s[k]:,}" for k in ("listed", "found", "missing", "extra", "clips", "lost")),
                published or None,
            ]
        )
    out = [
        f"{report['title']} in {report['root']}: {report['videos']:,} videos, {report['examined']:,} looked at now, "
        f"{report['kept']:,} earlier and unchanged since{', every frame decoded' if report['deep'] else ''}"
        f"{', with decord' if report['reader'] == 'decord' else ''}",
        "",
        markdown(["Split", "Listed", "On disk", "Missing", "Extra", "Clips", "Lost", "Published"], rows),
    ]

    def section(title: str, items: list[str], what: str) -> None:
        if items:
            out.extend(["", f"{title}: {len(items):,} ({ADVICE[what]})", *(f"  {one_line(i)}" for i in items[:FIRST])])
            if len(items) > FIRST:
                out.append(f"  ... and {len(items) - FIRST:,} more" + (" in the report" if written else ""))

    section("Missing", [f"{m['path']} ({', '.join(m['splits'])})" for m in report["missing"]], "missing")
    for kind, explained in EXPLAINED.items():
        section(
            f"Cannot be decoded, {kind} ({explained})",
            [f"{u['path']}: {u['reason']}" for u in report["undecodable"] if u["kind"] == kind],
            "passing" if kind in PASSING else "undecodable",
        )
    section(
        f"Shorter than {report['min_frames']} frames",
        [f"{t['path']}: {t['frames']}" for t in report["too_short"]],
        "too_short",
    )
    section(
        "In the training and in the validation list",
        [f"{t['id']}: {t['train']}, {t['val']}" for t in report["train_and_val"]],
        "train_and_val",
    )
    section(
        "Identical files",
        [
            " = ".join(d["paths"]) + (" (one trains, one tests)" if d["train_and_val"] else "")
            for d in report["identical"]
        ],
        "identical",
    )
    section(
        "Parts beyond the end of their video",
        [
            f"{b['path']}: {b['class']!r} from {b['start']:g} to {b['end']:g} s of {b['video_seconds']:g} s"
            f"{' (left out)' if b['lost'] else ''}"
            for b in report["beyond_end"]
        ],
        "beyond_end",
    )
    section("Extra", report["extra"], "extra")
    if report["remarks"]:
        out += ["", "To know:", *(f"  {r}" for r in report["remarks"])]
    out += ["", *([f"Wrong: {w}" for w in report["wrong"]] or ["All well."])]
    return "\n".join(out)


def usage(name: str) -> list[str]:
    """The command lines that use a data set."""
    out = [f"sfar data check {name} --root DIR", f"sfar data few-shot {name} --root DIR --shots 4 --out {name}-4.json"]
    if name == "kinetics400":
        out.append("make reproduce-table1 PROFILE=paper DATA=DIR")
    full = f"sfar train sfar --profile paper --dataset {name} --data DIR"
    return [
        *out,
        f"{full} --out {name}.safetensors",
        f"{full} --set data.shots=4 --out {name}-4.safetensors",
        f"sfar evaluate {name}.safetensors --profile paper --dataset {name} --data DIR",
    ]


def _named(run: Callable[[argparse.Namespace], Any]) -> Callable[[argparse.Namespace], Any]:
    """``run`` with the data set in ``a.dataset``, whichever way it was named."""

    def named(a: argparse.Namespace) -> Any:
        a.dataset = a.dataset or a.named
        return run(a)

    return named


def _check(a: argparse.Namespace) -> int:
    from sfar.data.check import check
    from sfar.util.paths import check_output, write_json

    out = check_output(Path(a.out)) if a.out else None
    report = check(a.dataset, a.root, a.fold, a.workers, a.deep, a.min_frames, reader=a.reader)
    if out:
        write_json(out, report)
    print(text(report, out is not None))
    if out:
        print(f"Written: {out}")
    return report["status"]


def _layout(a: argparse.Namespace) -> None:
    from sfar.config import OWN
    from sfar.data.layouts import expected, layout
    from sfar.render.tables import markdown

    about = layout(a.dataset)
    if a.dataset == OWN:
        print(f"{about.title}\n\n{about.tree}\nCommands:\n" + "\n".join(f"  {line}" for line in usage(a.dataset)))
        return
    print(f"{about.title}, {about.classes} classes\n\n{about.tree}\nWhere to get it:\n{about.had}\nHow many there are:")
    keys = [
        (split, fold) for split in about.splits for fold in (about.folds if split != "all" else about.folds[:1]) or (1,)
    ]
    print(
        markdown(
            ["Split", "Number", "Of", "Source"],
            [
                [f"{split} {fold}" if about.folds and split != "all" else split, f"{e.number:,}", e.unit, e.source]
                for split, fold in keys
                for e in expected(a.dataset, split, fold)
            ],
        )
    )
    print("\nCommands:\n" + "\n".join(f"  {line}" for line in usage(a.dataset)))


def _few_shot(a: argparse.Namespace) -> None:
    from sfar.data.fewshot import choose, save_list
    from sfar.data.layouts import read
    from sfar.util.paths import check_output

    out = check_output(Path(a.out))
    chosen = choose(read(a.dataset, a.root, "train", a.fold), a.shots, a.seed)
    save_list(out, chosen, a.shots, a.seed)
    digest = json.loads(out.read_text(encoding="utf-8"))["sha256"]
    print(
        f"{a.dataset}{f', fold {a.fold}' if a.fold != 1 else ''}: {len(chosen.clips):,} clips, {a.shots} of each of "
        f"{len(chosen.classes)} classes, seed {a.seed}\n"
        f"SHA-256 {digest}\nWritten: {out}; train with it: --set data.shot_list={out}"
    )


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the ``data`` commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    what = options.group(sub, "data", "Real data sets: check a copy, print the layout, draw few-shot lists.")

    def dataset(p: argparse.ArgumentParser) -> None:
        from sfar.config import LAYOUT_NAMES, OWN

        what = f"{', '.join(LAYOUT_NAMES)}, or {OWN}, one of your own"
        p.add_argument("dataset", metavar="DATASET", nargs="?", default="", help=what)
        p.add_argument("--dataset", dest="named", metavar="DATASET", default="", help="the same")

    p = command(
        "check",
        _named(_check),
        "Compare a copy with its lists and the published numbers, and look into every video. "
        "Status 1: something is wrong.",
        what,
    )
    dataset(p)
    p.add_argument("--root", type=options.named, required=True, metavar="DIR")
    p.add_argument("--fold", type=options.positive, default=None, help="of UCF-101 and HMDB-51 (default: all three)")
    p.add_argument("--workers", type=options.positive, default=None, help="processes (default: one per core)")
    p.add_argument("--deep", action="store_true", help="decode every frame, not 8 of each video")
    p.add_argument("--min-frames", type=options.positive, default=8, help="report videos with fewer (default 8)")
    p.add_argument("--reader", default="auto", help="auto, pyav or decord (data.reader; default auto, strict PyAV)")
    p.add_argument("--out", default="", metavar="FILE", help="write the whole report as JSON")
    p = command(
        "layout",
        _named(_layout),
        "Print a data set's tree, where to get it, its numbers and the commands that use it.",
        what,
    )
    dataset(p)
    p = command("few-shot", _named(_few_shot), "Draw a few-shot list: K training clips of every class.", what)
    dataset(p)
    p.add_argument("--root", type=options.named, required=True, metavar="DIR")
    p.add_argument("--shots", type=options.positive, required=True, metavar="K", help="2, 4, 8 and 16 in the paper")
    p.add_argument("--seed", type=options.seed, default=0)
    p.add_argument("--fold", type=options.positive, default=1, help="of UCF-101 and HMDB-51 (default 1)")
    p.add_argument("--out", required=True, metavar="FILE")
