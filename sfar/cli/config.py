"""``sfar config``: the configuration fields, what they mean and where their values come from."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sfar.config import GROUPS, PROFILES, SETTINGS, find, values
from sfar.paper.deviations import SECTIONS, effect_text, parts
from sfar.settings import Effect, Measured, Reading, Setting

WIDTH = 100  # columns of the terminal that are used


def _config(a: argparse.Namespace) -> int:
    if not a.field or a.field in GROUPS:
        keys = [k for k in SETTINGS if not a.field or k.startswith(f"{a.field}.")]
        text = json.dumps({k: _plain(k) for k in keys}, indent=1) if a.json else _listing(keys)
    else:
        find(a.field)
        text = json.dumps(_plain(a.field), indent=1) if a.json else _at_length(a.field)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `sfar config | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 141  # as a shell counts it
    return 0


def _value(profile: str, key: str) -> Any:
    return values(PROFILES[profile])[key]


def _shown(profile: str, key: str) -> str:
    """A value as ``--set`` takes it; "-" for an empty text."""
    value = _value(profile, key)
    return (value or "-") if isinstance(value, str) else json.dumps(value)


def _in_a_column(profile: str, key: str) -> str:
    """The same; of many numbers the first and the last."""
    value = _value(profile, key)
    series: list[Any] = list(value) if isinstance(value, list | tuple) else []
    return f"[{series[0]}, {series[1]}, ..., {series[-1]}]" if len(series) > 6 else _shown(profile, key)


def _kind(known: Setting) -> str:
    """Type, range and unit in one line."""
    kind = "true or false" if known.kind is bool else known.type_name + (" or null" if known.optional else "")
    limit = f"free ({known.free})" if known.free else known.expected
    return "; ".join(filter(None, (kind, limit, f"unit: {known.unit}" if known.unit else "")))


def _listing(keys: list[str]) -> str:
    """Fields by group: values, meaning, range and source of each."""
    title = max(map(len, keys))
    column = max(len(_in_a_column("storyboard", k)) for k in keys)
    lines = [f"{'Field':{title}}  {'storyboard':{column}}  paper"]
    for key in keys:
        known = SETTINGS[key]
        lines += ["", f"{key:{title}}  {_in_a_column('storyboard', key):{column}}  {_in_a_column('paper', key)}"]
        lines += [_indented(text) for text in (known.doc, _kind(known), f"Source: {known.source}")]
    return "\n".join([*lines, "", "All of one field, with what was read where the paper is open: sfar config FIELD"])


def _readings(key: str) -> list[Reading]:
    """The rows of DEVIATIONS.md that name the field."""
    return [r for owner, known in SETTINGS.items() for r in known.readings if key in (owner, *r.also)]


def _at_length(key: str) -> str:
    """One field with its readings."""
    known = SETTINGS[key]
    lines = [key, _indented(known.doc), ""]
    lines += [f"  {name:<11} {_shown(name, key)}" for name in PROFILES]
    lines += [_indented(f"{'range':<11} {_kind(known)}", 14), _indented(f"{'source':<11} {known.source}", 14)]
    lines += [_indented(f"{which:<11} {source}", 14) for which, source in known.protocols.items()]
    lines.append(f"  {'change it':<11} --set {key}=VALUE")
    for r in _readings(key):
        section = SECTIONS[r.section]
        lines += ["", f"Reading: {r.where} (DEVIATIONS.md, {section.title})"]
        for title, text in zip(section.columns[1:], (r.says, r.taken), strict=True):
            lines.append(_indented(f"{title.replace('`', '')}: {text}"))
        lines.append(_indented(f"Measured effect: {_effect(r.effect)}"))
    return "\n".join(lines)


def _effect(effect: Effect) -> str:
    """An effect with the places of what was measured instead of its numbers."""
    studies = sorted({p.study for p in parts(effect) if isinstance(p, Measured)})
    places = "".join(f", results/storyboard/{s}.md" for s in studies)
    return effect_text(effect, _measured) + (f"; numbers: DEVIATIONS.md{places}" if places else "")


def _measured(_: Measured) -> str:
    return "[measured]"


def _indented(text: str, further: int = 2) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(key: str) -> dict[str, Any]:
    """All that is known of a field, as plain JSON types."""
    known = SETTINGS[key]
    return {
        "field": key,
        "doc": known.doc,
        "values": {name: _value(name, key) for name in PROFILES},
        "type": known.type_name,
        "null": known.optional,
        "unit": known.unit,
        "low": known.low,
        "above": known.above,
        "high": known.high,
        "choices": list(known.choices),
        "expected": known.expected,
        "free": known.free,
        "role": known.role,
        "source": known.source,
        "protocols": known.protocols,
        "readings": [
            {**asdict(r), "effect": [asdict(p) if isinstance(p, Measured) else p for p in parts(r.effect)]}
            for r in _readings(key)
        ],
    }


def add(sub: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the ``config`` command to the ``sfar`` parser; ``command`` is the parser's own helper."""
    p = command("config", _config, "List the configuration fields, or say all that is known of one.", sub)
    p.add_argument(
        "field", nargs="?", default="", metavar="FIELD", help="a field such as train.epochs, or a group of them"
    )
    p.add_argument("--json", action="store_true", help="for programs")
