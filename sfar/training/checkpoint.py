"""Trained weights in one safetensors file, with their configuration as metadata.

What was trained: visual tower, logit scale, head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from sfar.config import OWN, Profile, as_dict
from sfar.errors import ConfigError
from sfar.model.clip import STORYBOARD, check_tensors
from sfar.model.video_model import VideoModel
from sfar.util.paths import write_atomic


def trained_state(model: VideoModel) -> dict[str, Tensor]:
    """The tensors that training can change; the frozen text tower comes from the CLIP itself."""
    return {
        k: v
        for k, v in model.state_dict().items()
        if k.startswith(("head.", "clip.visual.")) or k == "clip.logit_scale"
    }


def save(
    path: Path,
    model: VideoModel,
    profile: Profile,
    classes: tuple[str, ...],
    seed: int,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a checkpoint, whole or not at all. Raises ``SfarError`` when the disk refuses.

    ``texts``: the classes' sub-texts, so that the file alone is enough to use it (``sfar.load``).
    """
    about = {
        "method": model.method,
        "seed": seed,
        "classes": list(classes),
        "model": as_dict(profile.model),
        "train": as_dict(profile.train),
        "image_size": profile.data.image_size,
    }
    if profile.data.dataset == OWN:  # evaluated again as it was trained: on the same part of the same set
        about["data"] = {"dataset": OWN, "fold": profile.data.fold}
    if texts is not None:
        about["subtexts"] = {c: list(texts[c]) for c in classes}
    state = {k: v.detach().cpu().contiguous() for k, v in trained_state(model).items()}
    write_atomic(path, to_bytes(state, {"sfar": json.dumps(about)}))


def read_about(path: Path) -> dict[str, Any]:
    """Method, seed, classes and configuration of a checkpoint. Raises ``ConfigError`` if it is none."""
    if not path.is_file():
        raise ConfigError(f"no checkpoint at {path}: make one with `sfar train METHOD --out {path}`")
    try:
        with safe_open(path, "pt") as f:
            about = (f.metadata() or {}).get("sfar")
    except (SafetensorError, OSError) as e:
        raise ConfigError(
            f"{path} cannot be read as safetensors ({e}): it is damaged or something else; train it again"
        ) from e
    if about is None:
        raise ConfigError(f"{path} has no SFAR configuration in it: expected a file written by `sfar train`")
    return json.loads(about)


def configuration(about: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A checkpoint's profile and the fields of it that its use depends on, from what ``read_about`` gives."""
    fields = {f"model.{k}": v for k, v in about["model"].items()} | {"train.frames": about["train"]["frames"]}
    if "image_size" in about:
        fields["data.image_size"] = about["image_size"]
    fields |= {f"data.{k}": v for k, v in about.get("data", {}).items()}
    return "storyboard" if about["model"]["clip"] == STORYBOARD else "paper", fields


def load(path: Path, model: VideoModel, profile: Profile, classes: tuple[str, ...]) -> VideoModel:
    """Load a checkpoint into ``model``, every tensor required.

    Raises ``ConfigError`` naming the first difference when it belongs to another method, configuration or class list.
    """
    about = read_about(path)
    if about["method"] != model.method:
        raise ConfigError(f"{path} was trained as {about['method']!r}, not {model.method!r}")
    mine = as_dict(profile.model)
    for key in sorted(set(mine) | set(about["model"])):
        if mine.get(key) != about["model"].get(key):
            raise ConfigError(
                f"{path} was trained with model.{key}={about['model'].get(key)!r}, the configuration says "
                f"{mine.get(key)!r}"
            )
    if about["classes"] != list(classes):
        raise ConfigError(
            f"{path} was trained on {len(about['classes'])} classes, the data has {len(classes)} or others of the same "
            "number"
        )
    own, state = trained_state(model), load_file(path)
    check_tensors(path, own, state)
    full = model.state_dict()
    full.update(state)
    model.load_state_dict(full)
    return model
