"""The ``sfar`` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sfar.errors import ConfigError, SfarError
from sfar.util import processes


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _positive(text: str) -> int:
    value = int(text)  # argparse turns a ValueError into its own message
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected at least 0, got {value}")
    return value


def _pairs(items: list[str]) -> dict[str, Any]:
    out = {}
    for item in items:
        if "=" not in item:
            raise ConfigError(f"{item!r}: expected key=value")
        key, value = item.split("=", 1)
        out[key] = _value(value)
    return out


def _profile(a: argparse.Namespace):
    from sfar.config import by_dataset, get_profile

    given = _pairs(a.set)
    base = get_profile(a.profile).data.dataset
    dataset, shots = (
        a.dataset or given.get("data.dataset") or base,
        bool(given.get("data.shots") or given.get("data.shot_list")),
    )
    overrides = {**(by_dataset(a.profile, dataset, shots) if dataset != base or shots else {}), **given}
    if a.data:
        overrides["data.root"] = str(Path(a.data).expanduser().resolve())  # the notebook is executed in another folder
    if getattr(a, "seeds", None):
        try:
            overrides["seeds"] = [int(s) for s in a.seeds.split(",")]
        except ValueError as e:
            raise ConfigError(f"--seeds {a.seeds!r}: expected integers separated by commas, such as 0,1,2") from e
    return get_profile(a.profile, overrides), overrides


def _reproduce(a: argparse.Namespace) -> int:
    from sfar.config import layout
    from sfar.reproduce import notebooks, targets
    from sfar.util import paths

    started = time.time()
    profile, overrides = _profile(a)
    if layout(profile) == "charades" and a.what in ("table1", "table11", "fig7b", "table2d"):
        raise ConfigError(
            f"{a.what} is top-1 accuracy, and the videos of {profile.data.dataset} have several labels: use `sfar reproduce table2a`, or `sfar train` and `sfar evaluate`"
        )
    if a.what in ("table8", "table9", "fig2f") and profile.train.frames < 2:
        raise ConfigError(
            f"configuration key 'train.frames': {a.what} compares the frames of a video with one another (Eq. 17-18), expected at least 2, got {profile.train.frames}"
        )
    if a.dry_run or profile.name == "paper":
        from sfar.model.clip import load_clip
        from sfar.reproduce.plan import plan

        planned = plan(a.what, profile)
        print(planned.text + "\n", flush=True)
        if a.dry_run:
            return int(bool(planned.wrong))
        if planned.wrong:
            raise SfarError(planned.wrong[0])
        load_clip(
            profile.model.clip, profile.model.pretrained
        )  # now: weights that cannot be fetched are no news for after a look into every video
    print(
        f"{a.what}, profile {profile.name}, seeds {', '.join(map(str, profile.seeds))}; finished work is kept in {paths.cache()}",
        flush=True,
    )
    made = targets.make(a.what, profile, a.jobs, a.groups)
    source = notebooks.find(made.notebook)
    executed = notebooks.run(
        source,
        paths.PROJECT / "results" / "runs" / source.name,
        {"profile": profile.name, **made.parameters(profile, overrides, a.groups)},
    )
    if made.standard:
        notebooks.refresh(source, executed)
    targets.finish(made)
    print("\n" + made.text + "\n")
    print("Written: " + ", ".join(os.path.relpath(f) for f in made.files))
    print(f"Executed notebook: {os.path.relpath(executed)}")
    print(f"Took {(time.time() - started) / 60:.1f} min")
    return 0


def _pending(a: argparse.Namespace) -> None:
    from sfar.reproduce import targets

    print(" ".join(targets.pending(_profile(a)[0])))


def _summary(a: argparse.Namespace) -> None:
    from sfar.reproduce import numbers, summary
    from sfar.util import paths

    profile = _profile(a)[0]
    files = [summary.write(profile)]
    if files[0].parent == paths.results("storyboard"):  # the standard results, which README.md and DEVIATIONS.md quote
        files += numbers.write()
    print("Written: " + ", ".join(map(os.path.relpath, files)))


def _draw(a: argparse.Namespace) -> None:
    from sfar.runs.run import draw
    from sfar.util.paths import build_folder

    out = Path(a.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already and not an empty folder: give a new one")
    build_folder(out, lambda folder: draw(folder, a.dataset, a.seed, a.train_per_class, a.val_per_class))
    print(f"Layout of {a.dataset} written to {out}")


def _preview(a: argparse.Namespace) -> None:
    from sfar.render.preview import preview

    print("Written: " + ", ".join(map(str, preview(Path(a.out)))))


def _pretrain(a: argparse.Namespace) -> None:
    from sfar.model.clip import WEIGHTS
    from sfar.training.pretrain import pretrain

    row = pretrain(Path(a.out) if a.out else WEIGHTS, steps=a.steps, pool=a.pool)["curve"][-1]
    print(f"Atomic actions {row['action_top1']:.1f} % per frame; written to {a.out or WEIGHTS}")


@contextmanager
def _world():
    """The processes of this job: one, or those that torchrun has started."""
    if not processes.launched():
        from sfar.training.process_group import Alone

        yield Alone(), nullcontext
        return
    from sfar.training import distributed

    with distributed.joined() as world:
        yield world, world.first


@contextmanager
def _compiling(wanted: bool):
    """What torch.compile cannot do, most often for want of a compiler, as one message."""
    if not wanted:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    try:
        yield
    except TorchDynamoException as e:
        why = str(e).strip().splitlines()[0]
        raise ConfigError(
            f"train.compile=true: torch.compile could not compile the visual tower ({why}). It needs a C++ compiler such as g++, found by the variable CXX "
            "or by its name: install one, or set train.compile=false"
        ) from e


def _train(a: argparse.Namespace) -> None:
    with _world() as (world, first):
        _train_in(a, world, first)


def _train_in(a: argparse.Namespace, world, first) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from sfar.config import changed, check_method
    from sfar.runs.run import (
        build_model,
        dataset,
        device,
        epoch_repeats,
        load_clips,
        loader_workers,
        run_inputs,
        training_embeddings,
    )
    from sfar.training import checkpoint, resume
    from sfar.training.train import train
    from sfar.util.paths import check_output, write_json

    if check_method(a.method) == "vanilla":
        raise ConfigError("'vanilla' is not trained: expected clip, temporal, single or sfar")
    out = check_output(Path(a.out))
    if a.history:
        check_output(Path(a.history))
    profile, _ = _profile(a)
    t = profile.train
    with first():  # its others find drawn, decoded and embedded videos in the cache
        data = dataset(profile)
        clips = load_clips(profile, data, "train")
        model = build_model(profile, data, clips.manifest.classes, a.method, a.seed).to(device())
        embedded = None if t.train_visual else training_embeddings(model.clip, clips, profile, data)
    # How the work is laid out may change on the way: it changes no number but by rounding.
    same = changed(profile, {"train.compile": False, "train.micro_batch": 0, "train.checkpoint_activations": False})
    keeper = resume.Keeper(
        out.with_name(out.name + ".states"), run_inputs(same, data, a.method, a.seed, "1x1"), a.keep_every, world
    )
    if a.restart:
        keeper.discard()
        world.objects(None)
    repeats = epoch_repeats(profile, data, len(clips))
    n = len(clips) * repeats
    per_epoch = n // min(t.batch, n)
    with (
        tqdm(total=per_epoch * t.epochs, desc=f"training {a.method}", unit="step", disable=world.rank > 0) as bar,
        resume.listening(keeper),
        _compiling(t.compile),
    ):

        def step(i: int, n: int, loss: float) -> None:
            bar.set_postfix_str(
                f"epoch {min(t.epochs, 1 + (i - 1) // per_epoch)}/{t.epochs}, loss {loss:.3f}", refresh=False
            )
            bar.update(i - bar.n)  # from where it went on

        history = train(
            model,
            clips,
            profile,
            a.seed,
            step,
            loader_workers() if embedded is None else 0,
            repeats,
            embedded,
            world,
            keeper,
        )
    if world.rank:
        return
    checkpoint.save(out, model, profile, clips.manifest.classes, a.seed)
    if a.history:
        write_json(Path(a.history), asdict(history))
    keeper.discard()
    for path, why in clips.bad.items():
        print(f"left out: {path}: {why}")
    shared = f", {world.size} processes" if world.size > 1 else ""
    print(
        f"Written: {a.out} ({len(clips)} clips{f', {repeats} times an epoch' if repeats > 1 else ''}, {history.steps} steps in {history.seconds:.1f} s{shared})"
    )


def _evaluate(a: argparse.Namespace) -> None:
    with _world() as (world, first):
        _evaluate_in(a, world, first)


def _evaluate_in(a: argparse.Namespace, world, first) -> None:
    from sfar.runs.run import build_model, dataset, device, load_clips, loader_workers, result
    from sfar.training import checkpoint
    from sfar.training.evaluate import score
    from sfar.training.train import autocast_dtype

    if a.zero_shot and world.size > 1:
        raise ConfigError("--zero-shot is evaluated by one process: start it without torchrun")
    profile, _ = _profile(a)
    about = checkpoint.read_about(Path(a.checkpoint))
    with first():
        data = dataset(profile)
        clips = None if a.zero_shot else load_clips(profile, data, "val")
    classes = tuple(about["classes"]) if a.zero_shot else data.classes
    model = build_model(profile, data, classes, about["method"], about["seed"])
    checkpoint.load(Path(a.checkpoint), model, profile, classes).to(device())
    about = f"{about['method']}, seed {about['seed']}"
    if a.zero_shot:
        _zero_shot(model, profile, data, about)
        return
    s = score(
        model,
        clips,
        profile.train.frames,
        profile.data.image_size,
        a.views,
        desc=f"evaluating {a.views}" if world.rank == 0 else "",
        max_bad_share=profile.data.max_bad_share,
        workers=loader_workers(),
        dtype=autocast_dtype(profile.train.precision, device()),
        world=world,
    )
    if world.rank:
        return
    r = result(s, clips)
    for path, why in clips.bad.items():
        print(f"left out: {path}: {why}")
    what = (
        f"top-1 {r['top1']:.2f} %, top-5 {r['top5']:.2f} %"
        if "top1" in r
        else ", ".join(f"mAP ({v}) {x:.2f} %" for v, x in r["map"].items())
    )
    print(f"{about}, {a.views}: {what} of {len(s.clips)} videos")
    if a.scores:
        from sfar.util.paths import write_json

        write_json(
            Path(a.scores),
            {
                "about": about,
                "views": a.views,
                **r,
                "labels": s.labels.tolist(),
                "paths": [clips.paths[i] for i in s.clips],
            },
        )


def _zero_shot(model, profile, data, about: str) -> None:
    """Both protocols on a data set whose classes the model was not trained on (Tables 2b, 10)."""
    from sfar.config import changed
    from sfar.data import layouts
    from sfar.runs.run import zero_shot_scores
    from sfar.training.protocols import half10, of_folds, split3

    if data.layout not in ("ucf101", "hmdb51"):
        raise ConfigError(
            f"--zero-shot is for UCF-101 and HMDB-51 and what has their layout, not for {profile.data.dataset}"
        )
    import numpy as np

    # A checkpoint's tower may have been trained: embeddings that are kept are those of the CLIP's own.
    found = zero_shot_scores(model, changed(profile, {"train.train_visual": True}), data, "sfar")
    scores, labels = np.array(found["scores"]), np.array(found["labels"])
    half = half10(scores, labels)
    folds = split3(
        of_folds(
            scores,
            labels,
            found["paths"],
            [{c.path for c in layouts.read(data.layout, data.root, "val", f).clips} for f in (1, 2, 3)],
        )
    )
    print(
        f"{about}, zero-shot on {len(labels)} videos of {len(data.classes)} classes: half10 {half['top1']['mean']:.2f} +- {half['top1']['std']:.2f} %, "
        f"split3 {folds['top1']['mean']:.2f} +- {folds['top1']['std']:.2f} %, all classes {half['full']['top1']:.2f} %"
    )


def _notebook(a: argparse.Namespace) -> None:
    from sfar.reproduce import notebooks
    from sfar.util import paths

    source = notebooks.find(a.name)
    if a.refresh and a.parameter:
        raise ConfigError("--refresh keeps the outputs of the default parameters: leave out -p")
    out = notebooks.run(
        source, Path(a.out) if a.out else paths.PROJECT / "results" / "runs" / source.name, _pairs(a.parameter)
    )
    if a.refresh:
        notebooks.refresh(source, out)
    print(f"Executed notebook: {out}")


def _clean(a: argparse.Namespace) -> None:
    from sfar.util import cache, paths

    print(f"Removed from {paths.cache()}: {', '.join(cache.clean()) or 'nothing, it was empty'}")


def parser() -> argparse.ArgumentParser:
    """The command's parser."""
    top = argparse.ArgumentParser(prog="sfar", description="SFAR (NeurIPS 2025), a paper you can run.")
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str, into=sub) -> argparse.ArgumentParser:
        p = into.add_parser(name, help=text, description=text)
        p.set_defaults(run=run)
        return p

    def configured(p: argparse.ArgumentParser) -> None:
        p.add_argument("--profile", default="storyboard", help="storyboard (default) or paper")
        p.add_argument("--dataset", default="", metavar="NAME", help=f"{', '.join(DATASETS)} (default: the profile's)")
        p.add_argument(
            "--data",
            default="",
            metavar="DIR",
            help="folder of a data set (`sfar data layout NAME` shows its tree) instead of a drawn one",
        )
        p.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="a configuration field, e.g. train.epochs=2"
        )

    from sfar.config import DATASETS, LAYOUT_NAMES
    from sfar.reproduce.targets import TARGETS

    p = command(
        "reproduce", _reproduce, "Measure a table or figure of the paper, write results/ and execute its notebook."
    )
    p.add_argument("what", choices=TARGETS)
    configured(p)
    p.add_argument("--seeds", default="", metavar="0,1,2", help="training seeds")
    p.add_argument("--jobs", type=_positive, default=None, help="runs side by side (default: one per core)")
    p.add_argument(
        "--dry-run",
        action="store_true",
        help="check data, weights and sub-texts and print the plan; nothing is trained or written",
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
            "Targets of `sfar reproduce` that are not finished, in the order to make them (what `make reproduce` runs).",
        ),
        (
            "summary",
            _summary,
            "Write the one page with every table, figure and claim of the paper: results/<profile>/README.md.",
        ),
    ):
        p = command(name, run, text)
        configured(p)
        p.add_argument("--seeds", default="", metavar="0,1,2", help="training seeds")

    world = sub.add_parser("storyboard", help="The embedded world.").add_subparsers(
        dest="what", required=True, metavar="WHAT"
    )
    p = command("draw", _draw, "Write the storyboard world as videos in the layout of a real data set.", world)
    p.add_argument("--dataset", default="kinetics400", choices=LAYOUT_NAMES)
    p.add_argument("--out", required=True, metavar="DIR")
    p.add_argument("--seed", type=_seed, default=2025)
    p.add_argument("--train-per-class", type=_positive, default=24)
    p.add_argument("--val-per-class", type=_positive, default=16)
    p = command("preview", _preview, "Draw contact sheets of every atomic action and one storyboard per class.", world)
    p.add_argument("--out", default="preview", metavar="DIR")

    from sfar.cli import bench, subtexts
    from sfar.cli import data as cli_data

    subtexts.add(sub, command, _positive, _pairs)
    cli_data.add(sub, command, _positive, _seed)
    bench.add(sub, command)

    p = command("pretrain", _pretrain, "Train the storyboard world's CLIP again.")
    p.add_argument("--out", default="", metavar="DIR", help="default: the package's own weights folder")
    p.add_argument("--steps", type=_positive, default=3000)
    p.add_argument("--pool", type=_positive, default=120_000, help="frames drawn for it")

    p = command("train", _train, "Train one method and write a checkpoint.")
    p.add_argument("method", help="clip, temporal, single or sfar")
    configured(p)
    p.add_argument("--seed", type=_seed, default=0)
    p.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the checkpoint; states on the way lie beside it, in FILE.states, until it is written",
    )
    p.add_argument(
        "--keep-every",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how often the state is kept; the same command goes on from the last one (default: 600)",
    )
    p.add_argument("--restart", action="store_true", help="throw kept states away and start over")
    p.add_argument("--history", default="", metavar="FILE", help="write losses, steps and seconds as JSON")

    p = command("evaluate", _evaluate, "Evaluate a checkpoint.")
    p.add_argument("checkpoint", metavar="FILE")
    configured(p)
    p.add_argument("--views", choices=["1x1", "4x3"], default="1x1")
    p.add_argument("--scores", default="", metavar="FILE", help="write accuracy, rank and path of each video as JSON")
    p.add_argument(
        "--zero-shot",
        action="store_true",
        help="the data set has other classes than the checkpoint: half10 and split3 (Tables 2b, 10)",
    )

    p = command("notebook", _notebook, "Execute a notebook headlessly.")
    p.add_argument("name", help="a path, or the start of its name such as 03")
    p.add_argument("-p", "--parameter", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("--out", default="", metavar="FILE")
    p.add_argument("--refresh", action="store_true", help="keep the outputs in the notebook itself")

    command("clean-cache", _clean, "Remove all kept work: drawn videos, decoded frames, runs.")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where a check found something wrong, 2 for a user's mistake, 130 when interrupted."""
    a = parser().parse_args(argv)
    try:
        if processes.launched() and a.command not in ("train", "evaluate"):
            raise ConfigError(
                f"`sfar {a.command}` is one process: start it without torchrun (several processes share the work of train and evaluate)"
            )
        return a.run(a) or 0
    except SfarError as e:
        if not e.said and os.environ.get("RANK", "0") == "0":
            print(f"sfar: {e}", file=sys.stderr)
        return getattr(e, "status", 2)
    except KeyboardInterrupt:
        print("\nsfar: interrupted. Finished runs are kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except Exception as e:
        if processes.launched():
            from sfar.training import distributed

            if distributed.lost(e):
                return 1
        torch = sys.modules.get("torch")  # not imported for a message
        if torch is None or not isinstance(e, torch.OutOfMemoryError):
            raise
        print(
            "sfar: out of GPU memory: lower train.batch, set train.checkpoint_activations=true, or free the device; finished runs are kept",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
