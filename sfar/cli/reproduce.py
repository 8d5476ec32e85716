"""``sfar reproduce``, ``pending``, ``summary``, ``tune``, ``notebook``, ``runs``, ``clean-cache``: what is made."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sfar.cli import options
from sfar.errors import ConfigError, SfarError


def _reproduce(a: argparse.Namespace) -> int:
    options.where(a)

    from sfar import studies
    from sfar.config import changed
    from sfar.reproduce import notebooks, targets
    from sfar.runs import kept
    from sfar.util import paths

    started = time.time()
    if a.keep_weights:
        os.environ[kept.KEEP] = a.keep_weights  # also of the processes that make the runs
    kept.limit()  # a wrong SFAR_KEEP_WEIGHTS is said before the work
    profile, overrides = options.profile(a)
    study = studies.of_item(a.what)
    own = targets.overrides(a.what, profile, overrides)
    profile, overrides = changed(profile, own), overrides | own
    if study.check:
        study.check(profile)
    if first := targets.repeated(a.what, profile):
        print(f"{a.what} is in the record of {first}: this is `sfar reproduce {first}`", flush=True)
    if not a.dry_run:
        targets.check_folders(a.what, profile, a.groups)
    if a.dry_run or profile.name == "paper" or profile.data.root:
        from sfar.model.clip import load_clip
        from sfar.reproduce.plan import plan

        planned = plan(a.what, profile, a.groups)
        print(planned.text + "\n", flush=True)
        if a.dry_run:
            return int(bool(planned.wrong))
        if planned.wrong:
            raise SfarError(planned.wrong[0])
        # Now: weights that cannot be fetched are no news for after a look into every video.
        load_clip(profile.model.clip, profile.model.pretrained)
    print(
        f"{a.what}, profile {profile.name}, seeds {', '.join(map(str, profile.seeds))}; finished work is kept in "
        f"{paths.cache()}",
        flush=True,
    )
    made = targets.make(a.what, profile, a.jobs, a.groups)
    source = notebooks.find(study.notebook)
    executed = notebooks.run(
        source,
        paths.runs() / source.name,
        {"profile": profile.name, **made.parameters(profile, overrides, a.groups)},
    )
    if made.standard:
        notebooks.refresh(source, executed)
    targets.finish(made, profile)
    print("\n" + made.text + "\n")
    print("Written: " + ", ".join(os.path.relpath(f) for f in made.files))
    print(f"Executed notebook: {os.path.relpath(executed)}")
    print(f"Took {(time.time() - started) / 60:.1f} min")
    return 0


def _tune(a: argparse.Namespace) -> None:
    from sfar.config import get_profile
    from sfar.studies import tuning
    from sfar.studies.core import page
    from sfar.util import paths

    started = time.time()
    for folder in (paths.results("storyboard"), paths.cache()):
        paths.check_folder(folder)
    record = tuning.STUDY.measure(get_profile("storyboard"), a.jobs)
    files = page.write(tuning.STUDY, record, paths.results("storyboard"))
    print("\n" + page.terminal(tuning.STUDY, record) + "\n")
    print("Written: " + ", ".join(os.path.relpath(f) for f in files))
    print(f"What was chosen stands in sfar/config.py (TUNED). Took {(time.time() - started) / 60:.1f} min")


def _pending(a: argparse.Namespace) -> None:
    from sfar.reproduce import targets

    print(" ".join(targets.pending(options.profile(a)[0], a.beyond)))


def _summary(a: argparse.Namespace) -> None:
    from sfar.reproduce import concordance, numbers, summary
    from sfar.studies.core import record
    from sfar.util import paths

    profile = options.profile(a)[0]
    paths.check_folder(record.folder(profile))
    files = [summary.write(profile)]
    # README.md, DEVIATIONS.md and docs/ quote the standard results of their own repository.
    if files[0].parent == paths.results("storyboard") and paths.in_repository():
        files += [*numbers.write(), *concordance.write()]
    print("Written: " + ", ".join(map(os.path.relpath, files)))


def _notebook(a: argparse.Namespace) -> None:
    from sfar.reproduce import notebooks
    from sfar.util import paths

    source = notebooks.find(a.name)
    if a.refresh and a.parameter:
        raise ConfigError("--refresh keeps the outputs of the default parameters: leave out -p")
    out = Path(a.out) if a.out else paths.runs() / source.name
    for folder in (out.parent, *([source.parent] if a.refresh else [])):
        paths.check_folder(folder)
    out = notebooks.run(source, out, options.pairs(a.parameter))
    if a.refresh:
        notebooks.refresh(source, out)
    print(f"Executed notebook: {out}")


def _runs(a: argparse.Namespace) -> None:
    from sfar.runs import kept

    runs = kept.listed()
    form = "{:16}  {:20}  {:20}  {:10}  {:>4}  {:>9}  {:>8}  {}"
    if runs:
        print(form.format("key", "method", "data", "profile", "seed", "accuracy", "size", "weights"))
    for r in runs:
        w = r["weights"]
        weights = "nothing trained" if w is None else "kept" if w["kept"] else "not kept"
        print(
            form.format(
                r["key"], r["method"], r["data"], r["profile"], r["seed"], _accuracy(r), _in_words(r["bytes"]), weights
            )
        )
    print(
        f"{len(runs)} runs, {_in_words(sum(r['bytes'] for r in runs))} in {kept.folder()}"
        + (": `sfar evaluate KEY`, sfar.load(KEY); run.json, metrics.jsonl in the folder KEY" if runs else "")
    )


def _accuracy(run: dict[str, Any]) -> str:
    """Top-1, or the first of the variants of mAP."""
    result = run["result"]
    if "map" in result:
        return f"mAP {next(iter(result['map'].values())):.1f}"
    return f"{result['top1']:.2f} %" if "top1" in result else "-"


def _in_words(size: float) -> str:
    """Bytes as "3.1 MB" or "1.2 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _clean(a: argparse.Namespace) -> None:
    from sfar.util import cache, paths

    sizes = cache.clean()
    listed = ", ".join(f"{name} {_in_words(size)}" for name, size in sizes.items())
    said = f"{listed}; {_in_words(sum(sizes.values()))} in all" if sizes else "nothing, it was empty"
    print(f"Removed from {paths.cache()}: {said}")


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    p = command(
        "reproduce", _reproduce, "Measure a table or figure of the paper, write results/ and execute its notebook."
    )
    p.add_argument(
        "what", metavar="ITEM", help="a table or figure of the paper: table1, fig7b ... (`make help` lists them)"
    )
    options.configured(p)
    p.add_argument("--seeds", default="", metavar="0,1,2", help="training seeds")
    p.add_argument(
        "--jobs",
        type=options.positive,
        default=None,
        help="runs side by side (default: one per core, or as many as the GPUs are for)",
    )
    p.add_argument(
        "--executor",
        default="",
        choices=["local", "ray"],
        help="who makes the runs: this machine (default), or the nodes of a Ray cluster (sfar[cluster])",
    )
    p.add_argument(
        "--gpus-per-run",
        type=options.positive,
        default=None,
        metavar="N",
        help="share each run that trains or tests a tower among N GPUs under torchrun; without GPUs, among N processes "
        "(default: 1)",
    )
    p.add_argument(
        "--dry-run",
        action="store_true",
        help="check data, weights and sub-texts and print the plan; nothing is trained or written",
    )
    p.add_argument(
        "--keep-weights",
        default="",
        choices=["all", "small", "none"],
        help="weights that runs leave in the cache (`sfar runs`): all (default), those of up to 32 MB a run, none",
    )
    p.add_argument(
        "--groups",
        nargs="+",
        default=[],
        metavar="FILE",
        help="fig7b, table2d: groups of sub-texts instead of the storyboard world's",
    )
    for name, run, text in (
        (
            "pending",
            _pending,
            "Targets of `sfar reproduce` that are not finished, in the order to make them (what `make reproduce` "
            "runs, and `make explore`).",
        ),
        (
            "summary",
            _summary,
            "Write the one page with every table, figure and claim of the paper: results/<profile>/README.md; then "
            "what README.md, DEVIATIONS.md and docs/ quote.",
        ),
    ):
        p = command(name, run, text)
        options.configured(p)
        p.add_argument("--seeds", default="", metavar="0,1,2", help="training seeds")
        if run is _pending:
            p.add_argument("--beyond", action="store_true", help="those of studies that the paper does not have")

    p = command(
        "tune",
        _tune,
        "Search each method's settings on development worlds; writes results/storyboard/tuning.json, page and figure.",
    )
    p.add_argument("--jobs", type=options.positive, default=None, help="runs side by side (default: one per core)")

    p = command("notebook", _notebook, "Execute a notebook headlessly.")
    p.add_argument("name", help="a path, or the start of its name such as 03")
    p.add_argument("-p", "--parameter", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("--out", default="", metavar="FILE")
    p.add_argument("--refresh", action="store_true", help="keep the outputs in the notebook itself")

    command("runs", _runs, "List the runs whose weights and logs are kept: key, method, data, seed, accuracy, size.")
    command("clean-cache", _clean, "Remove all kept work: drawn videos, decoded frames, runs with weights and logs.")
