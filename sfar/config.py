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
LAYOUT_NAMES = ("kinetics400", "ucf101", "hmdb51", "charades")
DRAWN = {
    "storyboard-kinetics": "kinetics400",
    "storyboard-ucf101": "ucf101",
    "storyboard-hmdb51": "hmdb51",
    "storyboard-charades": "charades",
}
DATASETS = (*DRAWN, *LAYOUT_NAMES)  # data.dataset


@dataclass(frozen=True)
class ModelConfig:
    """Eq. 4-11 and the heads they are compared with."""

    clip: str = "storyboard"  # "storyboard" or an open_clip model name
    pretrained: str = ""  # open_clip tag or local file; the storyboard CLIP has its weights beside it
    prompt: str = "This is a video about {}"  # BIKE modules/text_prompt.py; the preliminary prints "a photo of a class"
    subtexts: str = "bank"  # section 3.1: "bank" (bundled), a group of subtexts/groups.py, or a JSON file of your own; {n} and {dataset} in its path are filled in
    n_subtexts: int = 4  # section 4.3 ("opted for 4"); "fixed N=5" elsewhere
    attention: str = (
        "printed"  # "printed": W^q, W^k, W^v alone (Eq. 4-6); "mha": multi-head with biases and output projection
    )
    attention_heads: int = 8  # of "mha" only
    word_mask: str = "words"  # Eq. 7, 9: "words" (no start token, no padding), "real", "all" (BIKE)
    coarse_reduce: str = "mean"  # Eq. 7: "mean" over words (BIKE) or "sum" as printed
    frame_temperature: float | None = (
        None  # Eq. 7, 9: softmax over frames; None: 1 / logit scale of the CLIP (0.01 for OpenAI's)
    )
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
    train_visual: bool = (
        True  # the paper fine-tunes the visual tower; False: frozen, its frame embeddings made once and kept
    )
    frozen_draws: int = 4  # of a frozen tower: augmented versions of each training clip that are embedded; epoch e uses version e mod this
    few_shot_epoch: str = "repeat"  # an epoch of K shots: "repeat" the list up to the full list's length (BIKE train.py), or pass through it "once"
    frames: int = 8
    crop_area: tuple[float, float] = (0.5, 1.0)  # RandomSizedCrop; the paper's list means (0.08, 1)
    flip: float = 0.5
    gray: float = 0.2
    checkpoint_activations: bool = False  # of the visual tower: computed again for the backward pass, a third more time for a fraction of the memory; same values
    precision: str = "auto"  # "auto": bf16 autocast on a GPU that has it, fp16 with a loss scale on one that has not, single on a CPU; or "fp32", "bf16", "fp16"
    compile: bool = False  # torch.compile of the visual tower: a minute or more at the start, then quicker steps
    micro_batch: int = 0  # clips that pass through the model at a time in each process; 0: its whole share of the batch. The loss stays that of the whole batch


@dataclass(frozen=True)
class DataConfig:
    """Where the videos are, and which of them. ``storyboard-...``: drawn by the repository itself from ``seed``, in that data set's layout."""

    dataset: str = "storyboard-kinetics"
    root: str = ""  # folder of a real data set, or of several: kinetics400, ucf101, hmdb51, charades
    fold: int = 1  # of UCF-101 and HMDB-51: which of the three official train/test splits
    shots: int = 0  # few-shot: K training clips per class; 0: all
    shot_seed: int = 0  # of the few-shot list
    shot_draws: int = (
        1  # lists drawn and united; more than 1: what an unseeded draw in each of so many processes amounts to
    )
    shot_list: str = ""  # a file with the few-shot list instead of a drawn one
    image_size: int = 64
    seed: int = 2025  # of the drawn world; the development world is 1, the CLIP's training frames are 11 and 12
    train_per_class: int = 24
    val_per_class: int = 16
    max_bad_share: float = 0.01  # more undecodable videos than this end the run
    reader: str = "auto"  # of video files: "auto" is "pyav", strict; "decord" is what BIKE reads with


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
            epochs=30,
            warmup_epochs=5.0,
            batch=256,  # section 4.1, Table 5
            lr_head=5e-5,
            lr_clip=5e-6,  # section 4.1 and Table 5: both are right for BIKE's two groups
            crop_area=(0.08, 1.0),
            checkpoint_activations=True,
        ),  # 256 clips of 8 frames need some 200 GB without
        # CVDF's own copy lacks 2.5 % of the training list (PROTOCOL section 5: 240,258 of 246,534), other copies more.
        DataConfig(dataset="kinetics400", image_size=224, max_bad_share=0.05),
        seeds=(0,),
    ),
}


def get_profile(name: str, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile called ``name`` with ``overrides`` such as ``{"train.epochs": 2}``.

    Raises ``ConfigError`` for an unknown profile or key, and for a value of another type; nothing is ignored.
    """
    if name not in PROFILES:
        raise ConfigError(f"unknown profile {name!r}: expected one of {', '.join(PROFILES)}")
    return changed(PROFILES[name], overrides or {})


def changed(profile: Profile, overrides: dict[str, Any]) -> Profile:
    """``profile`` with other values of fields by dotted name; errors as ``get_profile``."""
    for key, value in overrides.items():
        profile = _replace(profile, key.split("."), value, key)
    return check(profile)


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
        "train.precision": (p.train.precision, ("auto", "fp32", "bf16", "fp16")),
        "train.few_shot_epoch": (p.train.few_shot_epoch, ("repeat", "once")),
        "data.dataset": (p.data.dataset, DATASETS),
        "data.reader": (p.data.reader, ("auto", "pyav", "decord")),
        "data.fold": (p.data.fold, (1, 2, 3)),
    }
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError(
                f"configuration key {key!r}: expected one of {', '.join(map(str, allowed))}, got {value!r}"
            )
    positive = {
        "train.frozen_draws": p.train.frozen_draws,
        "data.shot_draws": p.data.shot_draws,
        "train.epochs": p.train.epochs,
        "train.batch": p.train.batch,
        "train.frames": p.train.frames,
        "train.lr_head": p.train.lr_head,
        "data.train_per_class": p.data.train_per_class,
        "data.val_per_class": p.data.val_per_class,
        "data.image_size": p.data.image_size,
        "model.n_subtexts": p.model.n_subtexts,
        "model.attention_heads": p.model.attention_heads,
    }
    for key, value in positive.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"configuration key {key!r}: expected more than 0, got {value!r}")
    bounded = {
        "train.warmup_epochs": (p.train.warmup_epochs, math.inf),
        "train.lr_clip": (p.train.lr_clip, math.inf),
        "train.weight_decay": (p.train.weight_decay, math.inf),
        "train.loss_lambda": (p.train.loss_lambda, math.inf),
        "train.micro_batch": (p.train.micro_batch, math.inf),
        "train.flip": (p.train.flip, 1),
        "train.gray": (p.train.gray, 1),
        "model.temporal_layers": (p.model.temporal_layers, math.inf),
        "data.seed": (p.data.seed, math.inf),
        "train.eps": (p.train.eps, math.inf),
        "data.shots": (p.data.shots, math.inf),
        "data.shot_seed": (p.data.shot_seed, math.inf),
        "data.max_bad_share": (p.data.max_bad_share, 1),
    }
    for key, (value, high) in bounded.items():
        if not (0 <= value <= high and math.isfinite(value)):
            raise ConfigError(
                f"configuration key {key!r}: expected {'0 to 1' if high == 1 else 'at least 0'}, got {value!r}"
            )
    if p.data.root and p.data.dataset in DRAWN and p.data.dataset != "storyboard-kinetics":
        raise ConfigError(
            f"configuration key 'data.root': {p.data.dataset} is drawn, not read; for a folder name its data set: {', '.join(LAYOUT_NAMES)} (data.dataset, --dataset)"
        )
    if p.data.fold != 1 and layout(p) in ("kinetics400", "charades"):
        raise ConfigError(f"configuration key 'data.fold': {p.data.dataset} has one official split, got {p.data.fold}")
    if p.data.shot_list and (p.data.shots or p.data.shot_draws > 1):
        raise ConfigError(
            "configuration keys 'data.shot_list' and 'data.shots', 'data.shot_draws': a list from a file is taken as it is; leave the others out"
        )
    if p.data.shot_draws > 1 and not p.data.shots:
        raise ConfigError("configuration key 'data.shot_draws': needs data.shots")
    if not all(0 <= b < 1 for b in p.train.betas):
        raise ConfigError(
            f"configuration key 'train.betas': expected two numbers of at least 0 and below 1, got {p.train.betas!r}"
        )
    low, high = p.train.crop_area
    if not 0 < low <= high <= 1:
        raise ConfigError(
            f"configuration key 'train.crop_area': expected 0 < lowest <= highest <= 1, got {p.train.crop_area!r}"
        )
    if p.model.frame_temperature is not None and not p.model.frame_temperature > 0:
        raise ConfigError(
            f"configuration key 'model.frame_temperature': expected more than 0, got {p.model.frame_temperature!r}"
        )
    if p.model.prompt.count("{}") != 1 or p.model.prompt.count("{") != 1 or p.model.prompt.count("}") != 1:
        raise ConfigError(
            f"configuration key 'model.prompt': expected one place {{}} for the class name, got {p.model.prompt!r}"
        )
    if not (p.model.coarse or p.model.fine):
        raise ConfigError("configuration keys 'model.coarse' and 'model.fine': at least one must be true")
    if len(set(p.seeds)) != len(p.seeds) or not p.seeds or min(p.seeds) < 0:
        raise ConfigError(f"seeds: expected one or more distinct integers of at least 0, got {p.seeds!r}")
    return p


def layout(p: Profile) -> str:
    """Which data set's layout and protocol the profile's videos have (one of ``LAYOUT_NAMES``), drawn or real."""
    return DRAWN.get(p.data.dataset, p.data.dataset) if not (p.data.root and p.data.dataset in DRAWN) else "kinetics400"


def few_shot(p: Profile) -> bool:
    """Whether training uses a few-shot list."""
    return bool(p.data.shots or p.data.shot_list)


def by_dataset(name: str, dataset: str, shots: bool = False) -> dict[str, Any]:
    """Overrides that the protocol of ``dataset`` adds to profile ``name``; one given by the user goes before them.

    Charades: 16 frames (section 4.2, Table 2a) and in the paper profile BIKE's 20 epochs (configs/charades). Few-shot, paper profile:
    2 epochs on Kinetics-400, 10 on the others (section 4.1, Table 5).
    """
    if dataset not in DATASETS:
        raise ConfigError(f"unknown data set {dataset!r}: expected one of {', '.join(DATASETS)}")
    which = DRAWN.get(dataset, dataset)
    out: dict[str, Any] = {"data.dataset": dataset}
    if which == "charades":
        out["train.frames"] = 16
        if name == "paper":
            out["train.epochs"] = 20
    if shots and name == "paper":
        out["train.epochs"] = 2 if which == "kinetics400" else 10
    return out


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
