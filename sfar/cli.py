"""The ``sfar`` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from sfar.errors import ConfigError, SfarError


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
    from sfar.config import get_profile
    overrides = _pairs(a.set)
    if a.data:
        overrides["data.root"] = a.data
    if getattr(a, "seeds", None):
        try:
            overrides["seeds"] = [int(s) for s in a.seeds.split(",")]
        except ValueError as e:
            raise ConfigError(f"--seeds {a.seeds!r}: expected integers separated by commas, such as 0,1,2") from e
    return get_profile(a.profile, overrides), overrides


def _reproduce(a: argparse.Namespace) -> None:
    from sfar import notebooks, paths, reproduce
    started = time.time()
    profile, overrides = _profile(a)
    print(f"{a.what}, profile {profile.name}, seeds {', '.join(map(str, profile.seeds))}; finished work is kept in {paths.cache()}", flush=True)
    made = reproduce.make(a.what, profile, a.jobs, a.groups)
    source = notebooks.find(made.notebook)
    executed = notebooks.run(source, paths.PROJECT / "results" / "runs" / source.name, {"profile": profile.name, **made.parameters(profile, overrides, a.groups)})
    if made.standard:
        notebooks.refresh(source, executed)
    print("\n" + made.text + "\n")
    print("Written: " + ", ".join(os.path.relpath(f) for f in made.files))
    print(f"Executed notebook: {os.path.relpath(executed)}")
    print(f"Took {(time.time() - started) / 60:.1f} min")


def _draw(a: argparse.Namespace) -> None:
    from sfar.paths import build_folder
    from sfar.storyboard.write import write_kinetics
    out = Path(a.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already and not an empty folder: give a new one")
    build_folder(out, lambda folder: write_kinetics(folder, a.seed, a.train_per_class, a.val_per_class))
    print(f"Kinetics layout written to {out}")


def _preview(a: argparse.Namespace) -> None:
    from sfar.report.preview import preview
    print("Written: " + ", ".join(map(str, preview(Path(a.out)))))


def _pretrain(a: argparse.Namespace) -> None:
    from sfar.clip import WEIGHTS
    from sfar.storyboard.pretrain import pretrain
    row = pretrain(Path(a.out) if a.out else WEIGHTS, steps=a.steps, pool=a.pool)["curve"][-1]
    print(f"Atomic actions {row['action_top1']:.1f} % per frame; written to {a.out or WEIGHTS}")


def _train(a: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sfar import checkpoint
    from sfar.config import check_method
    from sfar.experiment import build_model, dataset, device, load_clips
    from sfar.train import train
    if check_method(a.method) == "vanilla":
        raise ConfigError("'vanilla' is not trained: expected clip, temporal, single or sfar")
    profile, _ = _profile(a)
    data = dataset(profile)
    clips = load_clips(profile, data, "train")
    model = build_model(profile, data, clips.manifest.classes, a.method, a.seed).to(device())
    with tqdm(total=len(clips) // min(profile.train.batch, len(clips)) * profile.train.epochs, desc=f"training {a.method}", unit="step") as bar:
        def step(i: int, n: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
        train(model, clips, profile, a.seed, step)
    checkpoint.save(Path(a.out), model, profile, clips.manifest.classes, a.seed)
    print(f"Written: {a.out}")


def _evaluate(a: argparse.Namespace) -> None:
    from sfar import checkpoint
    from sfar.evaluate import ranks, score, topk
    from sfar.experiment import build_model, dataset, device, load_clips
    profile, _ = _profile(a)
    about = checkpoint.read_about(Path(a.checkpoint))
    data = dataset(profile)
    clips = load_clips(profile, data, "val")
    model = build_model(profile, data, clips.manifest.classes, about["method"], about["seed"])
    checkpoint.load(Path(a.checkpoint), model, profile, clips.manifest.classes).to(device())
    s = score(model, clips, profile.train.frames, profile.data.image_size, a.views, desc=f"evaluating {a.views}")
    rank = ranks(s.probabilities, s.labels)
    for path, why in clips.bad.items():
        print(f"left out: {path}: {why}")
    print(f"{about['method']}, seed {about['seed']}, {a.views}: top-1 {topk(rank, 1):.2f} %, top-5 {topk(rank, 5):.2f} % of {len(rank)} videos")


def _notebook(a: argparse.Namespace) -> None:
    from sfar import notebooks, paths
    source = notebooks.find(a.name)
    if a.refresh and a.parameter:
        raise ConfigError("--refresh keeps the outputs of the default parameters: leave out -p")
    out = notebooks.run(source, Path(a.out) if a.out else paths.PROJECT / "results" / "runs" / source.name, _pairs(a.parameter))
    if a.refresh:
        notebooks.refresh(source, out)
    print(f"Executed notebook: {out}")


def _clean(a: argparse.Namespace) -> None:
    from sfar import cache, paths
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
        p.add_argument("--data", default="", metavar="DIR", help="a data set in the Kinetics-400 layout instead of the drawn one")
        p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a configuration field, e.g. train.epochs=2")

    from sfar.reproduce import TARGETS
    p = command("reproduce", _reproduce, "Measure a table or figure of the paper, write results/ and execute its notebook.")
    p.add_argument("what", choices=TARGETS)
    configured(p)
    p.add_argument("--seeds", default="", metavar="0,1,2", help="training seeds")
    p.add_argument("--jobs", type=_positive, default=None, help="runs side by side (default: one per core)")
    p.add_argument("--groups", nargs="+", default=[], metavar="FILE", help="fig7b, table2d: groups of sub-texts instead of the storyboard world's")

    world = sub.add_parser("storyboard", help="The embedded world.").add_subparsers(dest="what", required=True, metavar="WHAT")
    p = command("draw", _draw, "Write the storyboard world as videos in the Kinetics-400 layout.", world)
    p.add_argument("--out", required=True, metavar="DIR")
    p.add_argument("--seed", type=_seed, default=2025)
    p.add_argument("--train-per-class", type=_positive, default=24)
    p.add_argument("--val-per-class", type=_positive, default=16)
    p = command("preview", _preview, "Draw contact sheets of every atomic action and one storyboard per class.", world)
    p.add_argument("--out", default="preview", metavar="DIR")

    from sfar import cli_subtexts
    cli_subtexts.add(sub, command, _positive, _pairs)

    p = command("pretrain", _pretrain, "Train the storyboard world's CLIP again.")
    p.add_argument("--out", default="", metavar="DIR", help="default: the package's own weights folder")
    p.add_argument("--steps", type=_positive, default=3000)
    p.add_argument("--pool", type=_positive, default=120_000, help="frames drawn for it")

    p = command("train", _train, "Train one method and write a checkpoint.")
    p.add_argument("method", help="clip, temporal, single or sfar")
    configured(p)
    p.add_argument("--seed", type=_seed, default=0)
    p.add_argument("--out", required=True, metavar="FILE")

    p = command("evaluate", _evaluate, "Evaluate a checkpoint.")
    p.add_argument("checkpoint", metavar="FILE")
    configured(p)
    p.add_argument("--views", choices=["1x1", "4x3"], default="1x1")

    p = command("notebook", _notebook, "Execute a notebook headlessly.")
    p.add_argument("name", help="a path, or the start of its name such as 03")
    p.add_argument("-p", "--parameter", action="append", default=[], metavar="KEY=VALUE")
    p.add_argument("--out", default="", metavar="FILE")
    p.add_argument("--refresh", action="store_true", help="keep the outputs in the notebook itself")

    command("clean-cache", _clean, "Remove all kept work: drawn videos, decoded frames, runs.")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 2 for a user's mistake, 130 when interrupted."""
    a = parser().parse_args(argv)
    try:
        a.run(a)
    except SfarError as e:
        print(f"sfar: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsfar: interrupted. Finished runs are kept; the same command goes on from there.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
