"""Trained weights in one safetensors file, with their configuration as metadata.

What was trained: visual tower (where it was not frozen), logit scale, head.
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

from sfar.config import OWN, Profile, as_dict, get_profile
from sfar.errors import ConfigError, closed
from sfar.model.clip import STORYBOARD, check_tensors, text_parameters, weights_id
from sfar.model.video_model import VideoModel
from sfar.model.weights_file import no_weights
from sfar.util.paths import write_atomic

# Fields of ``data`` that the videos of a test do not depend on.
_NOT_TESTED = (
    *("image_size", "loader_workers", "decode_limit"),
    *("shots", "shot_seed", "shot_draws", "shot_list", "replicate"),
)


def trained_state(model: VideoModel) -> dict[str, Tensor]:
    """The tensors that training can change; a frozen text tower comes from the CLIP itself."""
    text = {f"clip.{name}" for name, p in text_parameters(model.clip).items() if p.requires_grad}
    return {
        k: v
        for k, v in model.state_dict().items()
        if k.startswith(("head.", "tower.", "said.", "clip.visual.")) or k == "clip.logit_scale" or k in text
    }


def _written(model: VideoModel, profile: Profile) -> dict[str, Tensor]:
    """What a checkpoint holds: nothing of a frozen tower, which the CLIP has."""
    state = trained_state(model)
    return state if profile.train.train_visual else _without_tower(state)


def _without_tower(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if not k.startswith("clip.visual.")}


def size(model: VideoModel, profile: Profile) -> int:
    """Bytes of the tensors that ``save`` writes."""
    return sum(v.numel() * v.element_size() for v in _written(model, profile).values())


def save(
    path: Path,
    model: VideoModel,
    profile: Profile,
    classes: tuple[str, ...],
    seed: int,
    texts: Mapping[str, Sequence[str]] | None = None,
    other: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint, whole or not at all. Raises ``SfarError`` when the disk refuses.

    ``texts``: the classes' sub-texts, so that the file alone is enough to use it (``sfar.load``). A tower that was
    frozen is not in the file; in its place stands what identifies its CLIP (``weights_id``). ``other``: further entries
    of the metadata; those of a head in one of Table 2c's methods say which method and which plug.
    """
    about = {
        "method": model.method,
        "seed": seed,
        "classes": list(classes),
        "model": as_dict(profile.model),
        "train": as_dict(profile.train),
        "image_size": profile.data.image_size,
    }
    about["data"] = _tested_on(profile)
    if texts is not None:
        about["subtexts"] = {c: list(texts[c]) for c in classes}
    if not profile.train.train_visual:
        about["weights"] = weights_id(profile.model.clip, profile.model.pretrained)
    about |= other or {}
    state = {k: v.detach().cpu().contiguous() for k, v in _written(model, profile).items()}
    write_atomic(path, to_bytes(state, {"sfar": json.dumps(about)}))


def _tested_on(profile: Profile) -> dict[str, Any]:
    """The fields of ``data`` that are not as the profile has them, for a test of the same data set as in training."""
    plain = as_dict(get_profile(_named(profile.model.clip)).data)
    own = {k: v for k, v in as_dict(profile.data).items() if v != plain[k] and k not in _NOT_TESTED}
    if own.get("root"):
        own["root"] = str(Path(own["root"]).expanduser().resolve())
    if profile.data.dataset == OWN:
        own["fold"] = profile.data.fold
    return own


def _named(clip: str) -> str:
    """The profile that a checkpoint with this CLIP is read with."""
    return "storyboard" if clip == STORYBOARD else "paper"


def read_about(path: Path) -> dict[str, Any]:
    """Method, seed, classes and configuration of a checkpoint. Raises ``ConfigError`` if it is none."""
    if not path.is_file():
        raise ConfigError(f"no checkpoint at {path}: make one with `sfar train METHOD --out {path}`")
    try:
        with open(path, "rb") as f:
            what = no_weights(f.read(512))
        if what is not None:
            raise ConfigError(f"{path} is no checkpoint: {what}")
        with safe_open(path, "pt") as f:
            about = (f.metadata() or {}).get("sfar")
    except PermissionError as e:
        raise ConfigError(f"{path} cannot be read ({e.strerror}); {closed(e)}") from e
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
    if (text := about["train"].get("train_text", "frozen")) != "frozen":
        fields["train.train_text"] = text
    if "image_size" in about:
        fields["data.image_size"] = about["image_size"]
    fields |= {f"data.{k}": v for k, v in about.get("data", {}).items()}
    return _named(about["model"]["clip"]), fields


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
    if not about["train"]["train_visual"] and not any(k.startswith("clip.visual.") for k in state):
        own = _without_tower(own)
        if about["weights"] != weights_id(profile.model.clip, profile.model.pretrained):
            raise ConfigError(
                f"{path} is a head that was trained on the frozen tower of another {profile.model.clip}: its weights "
                f"have changed since (model.pretrained={profile.model.pretrained!r})"
            )
    check_tensors(path, own, state)
    full = model.state_dict()
    full.update(state)
    model.load_state_dict(full)
    return model
