"""Configurations: every choice is a field, every reading of the paper that could be otherwise has one.

Two profiles share all code: ``storyboard`` (the embedded world, minutes on a laptop) and ``paper`` (section 4.1 and
Table 5 on the real data sets). DEVIATIONS.md has a row for each field where the paper is open or contradicts itself.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from sfar.errors import ConfigError

METHODS = ("vanilla", "clip", "temporal", "single", "sfar")


@dataclass(frozen=True)
class ModelConfig:
    """Eq. 4-11 and the heads they are compared with."""

    clip: str = "storyboard"  # "storyboard" or an open_clip model name
    pretrained: str = ""  # open_clip tag or local file; the storyboard CLIP has its weights beside it
    prompt: str = "This is a video about {}"  # BIKE modules/text_prompt.py; the preliminary prints "a photo of a class"
    subtexts: str = "bank"  # section 3.1: "bank" (bundled), a group of subtexts/groups.py, or a JSON file of your own
    n_subtexts: int = 4  # section 4.3 ("opted for 4"); "fixed N=5" elsewhere
    attention: str = "printed"  # "printed": W^q, W^k, W^v alone (Eq. 4-6); "mha": multi-head with biases and output projection
    attention_heads: int = 8  # of "mha" only
    word_mask: str = "words"  # Eq. 7, 9: "words" (no start token, no padding), "real", "all" (BIKE)
    coarse_reduce: str = "mean"  # Eq. 7: "mean" over words (BIKE) or "sum" as printed
    frame_temperature: float | None = None  # Eq. 7, 9: softmax over frames; None: 1 / logit scale of the CLIP (0.01 for OpenAI's)
    frame_norm: bool = True  # Eq. 8, 10: frame embeddings of unit length, as BIKE; False: raw
    ffn: str = "linear-relu-linear"  # Eq. 11: "linear-relu-linear" of width d, or "none"
    ffn_residual: bool = False  # Eq. 11 prints none
    coarse: bool = True  # Table 2e
    fine: bool = True  # Table 2e
    temporal_layers: int = 6  # Baseline (Temporal) and BIKE's head


@dataclass(frozen=True)
class TrainConfig:
    """Section 4.1 and Table 5, with what BIKE's released code adds."""

    epochs: int = 3
    warmup_epochs: float = 1.0
    batch: int = 16
    lr_head: float = 2e-3
    lr_clip: float = 1e-4
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    loss_lambda: float = 1.0  # Eq. 14; the paper gives no value, BIKE and ActionCLIP weigh both directions alike
    train_visual: bool = True  # the paper fine-tunes the visual tower; False: frozen
    frames: int = 8
    crop_area: tuple[float, float] = (0.5, 1.0)  # RandomSizedCrop; the paper's list means (0.08, 1)
    flip: float = 0.5
    gray: float = 0.2
    amp: bool = True  # bf16 autocast where the device has it (a GPU); never on a CPU


@dataclass(frozen=True)
class DataConfig:
    """Where the videos are. ``storyboard``: drawn by the repository itself from ``seed``."""

    dataset: str = "storyboard-kinetics"
    root: str = ""  # the paper profile needs one
    image_size: int = 64
    seed: int = 2025  # of the drawn world; the development world is 1, the CLIP's training frames are 11 and 12
    train_per_class: int = 24
    val_per_class: int = 16
    max_bad_share: float = 0.01  # more undecodable videos than this end the run


@dataclass(frozen=True)
class Profile:
    """A complete configuration."""

    name: str
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)


PROFILES: dict[str, Profile] = {
    "storyboard": Profile("storyboard"),
    "paper": Profile(
        "paper",
        ModelConfig(clip="ViT-B-16-quickgelu", pretrained="openai"),
        TrainConfig(
            epochs=30, warmup_epochs=5, batch=256,  # section 4.1, Table 5
            lr_head=5e-5, lr_clip=5e-6,  # section 4.1 and Table 5: both are right for BIKE's two groups
            crop_area=(0.08, 1.0)),
        DataConfig(dataset="kinetics400", image_size=224),
        seeds=(0,)),
}


def get_profile(name: str, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile called ``name`` with ``overrides`` such as ``{"train.epochs": 2}``.

    Raises ``ConfigError`` for an unknown profile or key, and for a value of another type; nothing is ignored.
    """
    if name not in PROFILES:
        raise ConfigError(f"unknown profile {name!r}: expected one of {', '.join(PROFILES)}")
    out = PROFILES[name]
    for key, value in (overrides or {}).items():
        out = _replace(out, key.split("."), value, key)
    return check(out)


def _replace(node: Any, path: list[str], value: Any, key: str) -> Any:
    names = [f.name for f in dataclasses.fields(node) if f.name != "name"]  # the profile's own name is no choice
    if path[0] not in names:
        near = difflib.get_close_matches(path[0], names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"unknown configuration key {key!r}{hint} Known here: {', '.join(names)}")
    old = getattr(node, path[0])
    if dataclasses.is_dataclass(old):
        if len(path) == 1:
            raise ConfigError(f"configuration key {key!r} is a group: name a field in it")
        return dataclasses.replace(node, **{path[0]: _replace(old, path[1:], value, key)})
    if len(path) > 1:
        raise ConfigError(f"unknown configuration key {key!r}: {path[0]!r} has no fields")
    if isinstance(old, tuple) and isinstance(value, (list, tuple)):
        kind = type(old[0])
        value = tuple(_number(v) if kind is float else v for v in value)
        if any(type(v) is not kind for v in value) or (key != "seeds" and len(value) != len(old)):
            count = "a list of" if key == "seeds" else f"{len(old)}"
            raise ConfigError(f"configuration key {key!r}: expected {count} {kind.__name__}, got {list(value)!r}")
    elif isinstance(old, float) or old is None:
        value = _number(value)
    kinds = (float, type(None)) if old is None else (type(old),)  # only model.frame_temperature may be left open
    if type(value) not in kinds:
        raise ConfigError(f"configuration key {key!r}: expected {kinds[0].__name__}, got {value!r}")
    return dataclasses.replace(node, **{path[0]: value})


def _number(value: Any) -> Any:
    """A whole number as a fraction; anything else as it is."""
    return float(value) if type(value) is int else value


def check(p: Profile) -> Profile:
    """Raise ``ConfigError`` for a value outside its range; return ``p``."""
    choices = {
        "model.attention": (p.model.attention, ("printed", "mha")),
        "model.word_mask": (p.model.word_mask, ("words", "real", "all")),
        "model.coarse_reduce": (p.model.coarse_reduce, ("mean", "sum")),
        "model.ffn": (p.model.ffn, ("linear-relu-linear", "none")),
    }
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(f"configuration key {key!r}: expected one of {', '.join(allowed)}, got {value!r}")
    positive = {
        "train.epochs": p.train.epochs, "train.batch": p.train.batch, "train.frames": p.train.frames, "train.lr_head": p.train.lr_head,
        "data.train_per_class": p.data.train_per_class, "data.val_per_class": p.data.val_per_class, "data.image_size": p.data.image_size,
        "model.n_subtexts": p.model.n_subtexts, "model.attention_heads": p.model.attention_heads}
    for key, value in positive.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"configuration key {key!r}: expected more than 0, got {value!r}")
    bounded = {
        "train.warmup_epochs": (p.train.warmup_epochs, math.inf), "train.lr_clip": (p.train.lr_clip, math.inf),
        "train.weight_decay": (p.train.weight_decay, math.inf), "train.loss_lambda": (p.train.loss_lambda, math.inf),
        "train.flip": (p.train.flip, 1), "train.gray": (p.train.gray, 1), "model.temporal_layers": (p.model.temporal_layers, math.inf), "data.seed": (p.data.seed, math.inf),
        "data.max_bad_share": (p.data.max_bad_share, 1)}
    for key, (value, high) in bounded.items():
        if not (0 <= value <= high and math.isfinite(value)):
            raise ConfigError(f"configuration key {key!r}: expected {'0 to 1' if high == 1 else 'at least 0'}, got {value!r}")
    low, high = p.train.crop_area
    if not 0 < low <= high <= 1:
        raise ConfigError(f"configuration key 'train.crop_area': expected 0 < lowest <= highest <= 1, got {p.train.crop_area!r}")
    if p.model.frame_temperature is not None and not p.model.frame_temperature > 0:
        raise ConfigError(f"configuration key 'model.frame_temperature': expected more than 0, got {p.model.frame_temperature!r}")
    if p.model.prompt.count("{}") != 1 or p.model.prompt.count("{") != 1 or p.model.prompt.count("}") != 1:
        raise ConfigError(f"configuration key 'model.prompt': expected one place {{}} for the class name, got {p.model.prompt!r}")
    if not (p.model.coarse or p.model.fine):
        raise ConfigError("configuration keys 'model.coarse' and 'model.fine': at least one must be true")
    if len(set(p.seeds)) != len(p.seeds) or not p.seeds or min(p.seeds) < 0:
        raise ConfigError(f"seeds: expected one or more distinct integers of at least 0, got {p.seeds!r}")
    return p


def check_method(method: str) -> str:
    """``method`` if it is known, else ``ConfigError``."""
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}: expected one of {', '.join(METHODS)}")
    return method


def as_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def digest(*parts: Any) -> str:
    """A short stable hash of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
