"""Work is kept under a key made of everything it depends on: configuration, data, code of that stage, library versions.

A result is found again only if all of it is unchanged, so a stale one is never shown. What the code of a stage is, is
worked out from where it begins (``code.version``): a comment does not throw away ten minutes of training, a changed
sign does.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sfar.config import digest
from sfar.util import code, paths


@dataclass(frozen=True)
class Stage:
    """A kind of kept work, in a folder of its name.

    ``entries``: where its code begins, and its data files; ``libraries``: those that its numbers depend on;
    ``by_content``: code that is not followed, as what it gives is itself an input of the key.
    """

    entries: tuple[str, ...]
    libraries: tuple[str, ...]
    by_content: tuple[str, ...] = ()


_DRAW = "sfar.data.source:draw"
_SUBTEXTS = ("sfar.subtexts.source:subtexts_of", "sfar.subtexts.texts")
# Where the code of a method is had by its name. A key adds the heads that it is of: another one makes nothing stale.
_BY_NAME = ("sfar.model.registry:get", "sfar.model.registry:get_trained", "sfar.model.registry:every")
# A run by itself, and with others of its kind.
_RUN = ("sfar.runs.run:run_one", "sfar.runs.stacked:run_stacked")
_CLIP = "sfar/storyboard/weights/clip.json"
_SETS = (
    "sfar.storyboard.sets:write_ucf101",
    "sfar.storyboard.sets:write_hmdb51",
    "sfar.storyboard.sets:write_charades",
)
_DECODING = ("av", "decord", "numpy", "pillow")
_LEARNING = ("torch", "open_clip_torch", "numpy")
_GIVEN = (_DRAW, *_SUBTEXTS, *_BY_NAME)

# What reads a data set, its lists, its videos and the weights of CLIP, and what a frozen tower makes of them. For a
# record of the drawn world it counts by what it gives, the sample ``sfar/runs/known.npz`` (see ``sfar.runs.known``),
# and not by its code; what draws it counts whole.
READING = (
    *(f"sfar.data.{name}" for name in ("source", "store", "video", "watchdog", "layouts", "disk", "manifest")),
    *(f"sfar.data.{name}" for name in ("kinetics", "ucf101", "hmdb51", "charades", "fewshot", "labels")),
    "sfar.model.clip:load_clip",
    "sfar.model.clip:weights_id",
    "sfar.training.frozen",
)
READ = (
    "sfar/runs/known.npz",
    "sfar.storyboard.write:write_kinetics",
    *_SETS,
)
STAGES: dict[str, Stage] = {
    # The drawn world: its training set, and the sets of other classes. Later stages have them in their fingerprints.
    "world": Stage((_DRAW,), ("av", "numpy", "pillow"), _SETS),
    "sets": Stage((_DRAW,), ("av", "numpy", "pillow"), ("sfar.storyboard.write:write_kinetics",)),
    # What `sfar data check` saw in each video.
    "check": Stage(("sfar.data.check:_look", "sfar.data.check:_hash"), _DECODING),
    # Decoded videos, and which videos a list names.
    "frames": Stage(("sfar.data.store:examine", "sfar.data.layouts:read"), _DECODING),
    "embeddings": Stage(("sfar.training.frozen:frame_embeddings", _CLIP), _LEARNING),
    "run": Stage((*_RUN, _CLIP), _LEARNING, _GIVEN),
    "host_run": Stage(("sfar.runs.other_methods:run_other_method", _CLIP), _LEARNING, _GIVEN),
    # What a study measures from its runs. It adds the function that does (``code.entry``) and the data files it reads.
    "record": Stage((*_RUN, _CLIP), (*_LEARNING, "pillow", "openai"), (*_SUBTEXTS, *_BY_NAME)),
}


RUNS = "runs"  # the folder of what runs leave to look at (``sfar.runs.kept``); under the keys of "run" and "host_run"


def code_version(stage: str, *entries: str, by_content: tuple[str, ...] = ()) -> str:
    """Hash of the code of a stage: what its own entries and those given reach (``code.version``).

    ``by_content``: further code that is not followed.
    """
    s = STAGES[stage]
    return code.version(*s.entries, *entries, cut=(*s.by_content, *by_content))


@functools.cache  # looked up for every key, and the same for as long as the process lasts
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # decord has no wheel for every machine
        return "absent"


def libraries(stage: str) -> dict[str, str]:
    """Versions of the libraries that a stage's numbers depend on."""
    return {n: _version(n) for n in STAGES[stage].libraries}


def key(stage: str, inputs: Any, with_libraries: bool = True, entries: tuple[str, ...] = ()) -> str:
    """The key of a stage's result for these inputs. ``entries``: further code that it depends on (``code_version``)."""
    return digest(stage, inputs, code_version(stage, *entries), libraries(stage) if with_libraries else None)


def load_json(stage: str, k: str) -> Any | None:
    """The kept JSON result, or None. A damaged entry counts as absent: it is computed again, never shown."""
    path = paths.cache() / stage / f"{k}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        path.unlink()
        return None


def save_json(stage: str, k: str, data: Any) -> None:
    """Keep a JSON result."""
    paths.write_json(paths.cache() / stage / f"{k}.json", data)


def kept(stage: str, k: str) -> bool:
    """Whether ``folder`` would find it."""
    return (paths.cache() / stage / k / ".complete").is_file()


def folder(stage: str, k: str, build: Callable[[Path], object]) -> Path:
    """The kept folder ``stage/k``; if absent, ``build(temporary)`` fills one that is then renamed into place.

    An interrupted or failed build leaves nothing behind. Raises ``SfarError`` when the disk refuses.
    """
    final = paths.cache() / stage / k
    if not kept(stage, k):
        paths.build_folder(final, lambda temporary: _complete(temporary, build), ".complete")
    return final


def replace(final: Path, build: Callable[[Path], object]) -> None:
    """Have ``build`` fill a kept folder anew. Raises ``SfarError`` when the disk refuses."""
    paths.build_folder(final, lambda temporary: _complete(temporary, build))


def _complete(temporary: Path, build: Callable[[Path], object]) -> None:
    build(temporary)
    (temporary / ".complete").write_text("")


def clean() -> dict[str, int]:
    """Remove everything kept; returns what was there and its bytes.

    Other things in the folder (SFAR_CACHE may be anywhere) stay.
    """
    root = paths.cache()
    sizes = {name: paths.size(root / name) for name in sorted({*STAGES, RUNS}) if (root / name).is_dir()}
    for name in sizes:
        shutil.rmtree(root / name)
    return sizes
