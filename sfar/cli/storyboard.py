"""``sfar storyboard ...`` and ``sfar pretrain``: the embedded world and its CLIP."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfar.cli import options
from sfar.config import LAYOUT_NAMES, get_profile
from sfar.errors import ConfigError

if TYPE_CHECKING:
    from sfar.storyboard.knobs import Knobs


def _knobs(a: argparse.Namespace) -> Knobs:
    """What the options turn. Raises ``ConfigError`` naming the option that is out of range."""
    from sfar.storyboard.knobs import RANGES, Knobs

    given = {k: v for k in RANGES if (v := getattr(a, k)) is not None}
    for name, value in given.items():
        try:
            Knobs(**{name: value})
        except ConfigError as e:
            low, high = RANGES[name]
            raise ConfigError(
                f"--{name} {value:g}: expected a number from {low:g} to {high:g}; leave it out for the plain world"
            ) from e
    return Knobs(**given)


def _draw(a: argparse.Namespace) -> None:
    from sfar.data.source import draw
    from sfar.util.paths import build_folder

    out = Path(a.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: it is there already and not an empty folder; give a new one")
    knobs = _knobs(a)
    try:
        build_folder(out, lambda folder: draw(folder, a.dataset, a.seed, a.train_per_class, a.val_per_class, knobs))
    except ConfigError as e:
        if a.dataset != "charades":
            raise
        raise ConfigError(  # the number that is left for it to refuse
            f"--val-per-class {a.val_per_class}: too few for {a.dataset}, where every class is to be seen in a test "
            "video, and some videos show none; ask for more"
        ) from e
    print(f"Layout of {a.dataset} written to {out}")


def _preview(a: argparse.Namespace) -> None:
    from sfar.render.preview import preview

    print("Written: " + ", ".join(map(str, preview(Path(a.out)))))


def _method(a: argparse.Namespace) -> None:
    from sfar import recognizer
    from sfar.render import style
    from sfar.reproduce import walkthrough

    activity, _, number = a.video.rpartition(":")
    if not activity or not number.isdigit():
        raise ConfigError(f"--video {a.video!r}: expected an activity and a number, such as 'long jump:0'")
    name = a.class_name or activity
    model = recognizer.load(recognizer.BUNDLED)
    video = walkthrough.video([activity, int(number)], model.profile)
    look = walkthrough.look(model, video, *walkthrough.texts_with(model, name), name)
    print("Written: " + ", ".join(map(str, style.save(walkthrough.picture(video, look, name), Path(a.out)))))


def _pretrain(a: argparse.Namespace) -> None:
    from sfar.model.clip import WEIGHTS
    from sfar.training.pretrain import pretrain
    from sfar.util.paths import check_folder

    out = Path(a.out) if a.out else WEIGHTS
    check_folder(out)
    row = pretrain(out, steps=a.steps, pool=a.pool)["curve"][-1]
    print(f"Atomic actions {row['action_top1']:.1f} % per frame; written to {out}")


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    world = options.group(sub, "storyboard", "The embedded world.")
    p = command("draw", _draw, "Write the storyboard world as videos in the layout of a real data set.", world)
    p.add_argument("--dataset", "--layout", default="kinetics400", choices=LAYOUT_NAMES)
    p.add_argument("--out", required=True, metavar="DIR")
    plain = get_profile("storyboard").data
    p.add_argument("--seed", type=options.seed, default=plain.seed, help="default: that of the reported world")
    p.add_argument("--train-per-class", type=options.positive, default=plain.train_per_class)
    p.add_argument("--val-per-class", type=options.positive, default=plain.val_per_class)
    knobs = p.add_argument_group("knobs", "docs/storyboard.md defines them; left out: the plain world")
    knobs.add_argument("--irrelevant", type=float, metavar="SHARE", help="of every video's frames, 0 to 0.9")
    knobs.add_argument("--overlap", type=float, metavar="SHARE", help="of its script that a class has of its partner")
    knobs.add_argument("--evenness", type=float, metavar="0..1", help="from the script's own durations to equal ones")
    knobs.add_argument("--momentary", type=int, metavar="FRAMES", help="length of each script's shortest action")
    knobs.add_argument("--actions", type=int, metavar="N", help="actions of a script, 2 to 6")
    p = command("preview", _preview, "Draw contact sheets of every atomic action and one storyboard per class.", world)
    p.add_argument("--out", default="preview", metavar="DIR")

    p = command("method", _method, "Draw one video as SFAR sees it: words, sub-texts, both weights, the truth.", world)
    p.add_argument("--video", default="long jump:0", metavar="ACTIVITY:N", help="a test video (default: long jump:0)")
    p.add_argument("--class", dest="class_name", default="", metavar="NAME", help="default: the video's own")
    p.add_argument("--out", default="docs/method.png", metavar="FILE")

    p = command("pretrain", _pretrain, "Train the storyboard world's CLIP again.")
    p.add_argument("--out", default="", metavar="DIR", help="default: the package's own weights folder")
    p.add_argument("--steps", type=options.positive, default=3000)
    p.add_argument("--pool", type=options.positive, default=120_000, help="frames drawn for it")
