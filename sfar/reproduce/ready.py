"""What a run needs, looked at before the first video is opened: weights, lists, classes, disk.

Only lists, names and the file with CLIP's weights are read. ``sfar reproduce`` says all of it in its plan, ``sfar
train`` and ``sfar evaluate`` end at the first thing that is not there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

from sfar.config import Profile, few_shot
from sfar.data.manifest import Manifest
from sfar.data.source import Dataset, all_clips, few_shot_manifest, training_data
from sfar.data.store import EVERY_CLASS
from sfar.data.video import decoder
from sfar.errors import ConfigError, DataError
from sfar.model import cost, weights_file
from sfar.model.clip import STORYBOARD, WEIGHTS, load_clip, storyboard_config
from sfar.model.video_model import VideoModel
from sfar.runs import kept
from sfar.util import paths

STATE = 3  # numbers in a state of a training, for each that is trained: its value and Adam's two moments


# --- weights ---------------------------------------------------------------------------------------------------------


def weights(profile: Profile) -> str:
    """Which weights, and whether they are at hand. Asks nothing of a network.

    Raises:
        ConfigError: They are not at hand and cannot be fetched.
    """
    name, pretrained = profile.model.clip, profile.model.pretrained
    size = config_of(profile)["vision_cfg"]["image_size"]
    if size != profile.data.image_size:
        raise ConfigError(f"data.image_size={profile.data.image_size}, but {name} takes {size} pixels")
    if name == STORYBOARD:
        load_clip(name)
        return f"the storyboard CLIP, committed: {_size(WEIGHTS / 'clip.safetensors')}"
    if not pretrained:
        return f"{name}, none: drawn at random (model.pretrained is empty), which is of use for tests alone"
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if not tag:
        load_clip(name, pretrained)
        local = Path(pretrained).expanduser()
        return f"{name} from {local}: {_size(*weights_file.files(local))}, read and complete"
    if tag.get("quick_gelu", False) and not config_of(profile).get("quick_gelu", False):
        raise ConfigError(f"{name!r} with weights {pretrained!r} gives wrong features: use {name + '-quickgelu'!r}")
    where = os.environ.get("SFAR_CLIP_CACHE") or huggingface_hub.constants.HF_HUB_CACHE
    file = _kept(tag)
    if file:
        load_clip(name, str(file))
        return f"{name}, {pretrained!r}: at hand in {where}, {_size(file)}, read and complete"
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise ConfigError(
            f"the weights {pretrained!r} of {name} are not in {where}, and HF_HUB_OFFLINE forbids to fetch them: run "
            "once without it, set SFAR_CLIP_CACHE to the folder that has them, or give a file: "
            "--set model.pretrained=/path/to/weights.safetensors"
        )
    source = tag.get("hf_hub") or tag.get("url")
    return f"{name}, {pretrained!r}: not in {where}; fetched from {source} before anything else (needs a network)"


def _kept(tag: dict[str, Any]) -> Path | None:
    """Where open_clip would find the weights of a tag without a network; see its ``download_pretrained``."""
    cache = os.environ.get("SFAR_CLIP_CACHE")
    if hub := tag.get("hf_hub"):
        repository, name = os.path.split(hub)
        for n in (name,) if name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME):
            found = huggingface_hub.try_to_load_from_cache(repository, n, cache_dir=cache)
            if isinstance(found, str):
                return Path(found)
        return None
    file = Path(cache or "~/.cache/clip").expanduser() / os.path.basename(tag.get("url", ""))
    return file if file.is_file() else None


def _size(*files: Path) -> str:
    return f"{sum(f.stat().st_size for f in files) / 1e6:,.0f} MB"


def config_of(profile: Profile) -> dict[str, Any]:
    """The configuration of the profile's CLIP, as open_clip has it."""
    return storyboard_config() if profile.model.clip == STORYBOARD else open_clip_config(profile.model.clip)


def open_clip_config(name: str) -> dict[str, Any]:
    """The same of a model that open_clip lists. Raises ``ConfigError`` for another."""
    if name not in open_clip.list_models():
        load_clip(name)  # says what is wrong
    config = open_clip.get_model_config(name)
    assert config is not None, name
    return config


def trained_bytes(profile: Profile) -> float:
    """What a run's trained weights take, in bytes: tower and head, or the head on a frozen tower."""
    d, t = profile.data, profile.train
    parts = cost.training_memory(config_of(profile), 1, t.frames, d.image_size, 1, t.train_visual)
    return parts["gradients and Adam"] / STATE  # as many numbers have gradients and each of Adam's two moments


# --- lists -----------------------------------------------------------------------------------------------------------


def lacks(m: Manifest, max_bad_share: float) -> list[str]:
    """Why nothing can be made of a split, a sentence each: too many videos not on disk, no training video of a class.

    ``max_bad_share``: ``data.max_bad_share``. What ``store.check_bad`` finds later, as far as names tell.
    """
    out = []
    videos = len({c.path for c in m.clips}) + len(m.missing)
    lost = len(m.missing) / max(1, videos)
    if lost > max_bad_share:
        out.append(
            f"{m.root}: {len(m.missing):,} of {videos:,} {m.split} videos are not on disk "
            f"({lost:.1%}; data.max_bad_share allows {max_bad_share:.1%}): get them, or run with "
            f"--set data.max_bad_share={min(1.0, lost + 0.01):.2f}"
        )
    if m.split in EVERY_CLASS and (idle := sorted(set(range(len(m.classes))) - {c.label for c in m.clips})):
        named = ", ".join(m.classes[k] for k in idle[:5])
        out.append(f"{m.root}: no training video of {named}{' and others' if len(idle) > 5 else ''}; get one of each")
    return out


def training_lists(profile: Profile, data: Dataset) -> list[Manifest]:
    """The lists whose videos a training opens: the chosen one, on a frozen tower with all that it was chosen from.

    ``data``: of the training videos. Raises ``DataError`` for few-shot fields that the list cannot serve.
    """
    whole = few_shot(profile) and not profile.train.train_visual
    return [few_shot_manifest(p, data) for p in (profile, *([all_clips(profile)] if whole else []))]


def _end_at(manifests: Sequence[Manifest], profile: Profile) -> None:
    decoder(profile.data.reader)  # one that is not installed
    for m in manifests:
        if wrong := lacks(m, profile.data.max_bad_share):
            raise DataError(wrong[0])


def check_training(profile: Profile, data: Dataset) -> None:
    """Raise ``SfarError`` for what a training would end at later: its lists, its decoder."""
    if not data.drawn:
        _end_at(training_lists(profile, training_data(profile, data)), profile)


def check_testing(profile: Profile, data: Dataset, split: str = "val") -> None:
    """Raise ``SfarError`` for what a test on a split would end at later: its list, its decoder."""
    if not data.drawn:
        _end_at([data.manifest(split, profile.data.fold)], profile)


def check_disk(out: Path, model: VideoModel) -> None:
    """Raise ``SfarError`` where the checkpoint ``out`` of a model and a state on the way to it are more than is free.

    So where the run's own weights are kept (``runs.kept``).

    ``model``: as it will be trained.
    """
    trained = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    paths.check_space(out.parent, (1 + STATE) * trained, "a checkpoint and a state on the way to it")
    if trained <= kept.limit():
        paths.check_space(kept.folder(), trained, "the same weights, kept for `sfar reproduce`")
