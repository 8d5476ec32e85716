"""What the commands share: how values of options are read, and the options that make up a configuration."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from sfar.config import CHOSEN, DATASETS, MOST_SEED, PRESETS, Profile, by_dataset, get_profile, reading
from sfar.errors import ConfigError


def expand(a: argparse.Namespace) -> None:
    """``~`` at the beginning of any value stands for the user's folder: a shell leaves it in ``--root=~/x``."""
    for name, value in vars(a).items():
        if isinstance(value, str):
            setattr(a, name, os.path.expanduser(value))
        elif isinstance(value, list):
            setattr(a, name, [os.path.expanduser(v) if isinstance(v, str) else v for v in value])


def commands(p: argparse.ArgumentParser, dest: str, metavar: str) -> Any:
    """The commands below ``p``, to add them to; without one of them its whole help is shown.

    The exit status is that of any call that lacks an argument, 2: a script whose command came out empty stops.
    """

    def helped(_: argparse.Namespace) -> int:
        p.print_help(sys.stderr)
        return 2

    p.set_defaults(run=helped)  # a command sets its own in this place
    return p.add_subparsers(dest=dest, metavar=metavar)


def group(sub: Any, name: str, text: str) -> Any:
    """The commands ``sfar NAME ...``, to add them to."""
    return commands(sub.add_parser(name, help=text, description=text), "what", "WHAT")


def json_or_text(text: str) -> Any:
    """A value as JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def named(text: str) -> str:
    """The name of a file or folder. An empty one is refused: it would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a folder, got an empty name")
    return text


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _at_least(1, text)


def seed(text: str) -> int:
    """A whole number from 0 to the largest seed that torch takes."""
    value = _at_least(0, text)
    if value > MOST_SEED:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2**63 - 1, got {text!r}")
    return value


def _at_least(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:  # argparse says of which option
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
    return value


def pairs(items: list[str]) -> dict[str, Any]:
    """The items ``KEY=VALUE``; a value is JSON, or else the text itself. Raises ``ConfigError`` for another form."""
    out = {}
    for item in items:
        if "=" not in item:
            raise ConfigError(f"{item!r}: expected key=value")
        key, value = item.split("=", 1)
        out[key] = json_or_text(value)
    return out


def configured(p: argparse.ArgumentParser) -> None:
    """Add the options that ``profile`` reads."""
    p.add_argument("--profile", default="storyboard", help="storyboard (default) or paper")
    p.add_argument("--dataset", default="", metavar="NAME", help=f"{', '.join(DATASETS)} (default: the profile's)")
    p.add_argument(
        "--data",
        "--root",
        default="",
        metavar="DIR",
        help="folder of a data set (`sfar data layout NAME` shows its tree; of your own also a csv file) instead of a "
        "drawn one",
    )
    p.add_argument(
        "--reading",
        default="",
        metavar="NAME",
        help=f"reading of section 3.4: {', '.join(PRESETS)} (default: {CHOSEN}; DEVIATIONS.md says why)",
    )
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a configuration field, e.g. train.epochs=2"
    )


def profile(a: argparse.Namespace) -> tuple[Profile, dict[str, Any]]:
    """The configuration that the options ask for, and what it changes in the named profile. Raises ``ConfigError``."""
    given = {**(reading(a.reading) if a.reading else {}), **pairs(a.set)}
    base = get_profile(a.profile).data.dataset
    dataset = a.dataset or given.get("data.dataset") or base
    shots = bool(given.get("data.shots") or given.get("data.shot_list"))
    overrides = {**(by_dataset(a.profile, dataset, shots) if dataset != base or shots else {}), **given}
    if a.data:
        # Whole: the notebook is executed in another folder.
        overrides["data.root"] = str(Path(os.path.expanduser(a.data)).resolve())
    if getattr(a, "seeds", None):
        try:
            overrides["seeds"] = [int(s) for s in a.seeds.split(",")]
        except ValueError as e:
            raise ConfigError(f"--seeds {a.seeds!r}: expected integers separated by commas, such as 0,1,2") from e
    return get_profile(a.profile, overrides), overrides


def where(a: argparse.Namespace) -> None:
    """Say ``--executor`` and ``--gpus-per-run`` to all that makes runs, here and in other processes.

    Raises ``ConfigError`` for what the environment says of them, and where the package for it is not there.
    """
    from sfar.runs import places

    if a.executor:
        os.environ[places.EXECUTOR] = a.executor
    if a.gpus_per_run:
        os.environ[places.PER_RUN] = str(a.gpus_per_run)
    places.per_run()
    if places.executor() == "ray":
        import sfar.runs.cluster  # noqa: F401 - says which package it lacks before the work
