"""What ``sfar reproduce`` is about to do: data, weights, sub-texts, runs, memory and hours, and the configuration.

Every hyper-parameter is listed with its source. Trains and writes nothing.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

from sfar import studies
from sfar.config import PROFILES, SETTINGS, Profile, by_dataset, changed, few_shot, layout, values
from sfar.data import layouts
from sfar.data.source import (
    Dataset,
    dataset,
    epoch_repeats,
    few_shot_manifest,
    is_drawn,
    need_sets,
    root_of,
)
from sfar.errors import ConfigError, SfarError
from sfar.model import cost, registry, weights_file
from sfar.model.clip import STORYBOARD, WEIGHTS, load_clip, storyboard_config
from sfar.render.tables import markdown
from sfar.runs import kept
from sfar.runs.job import Job
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.studies.core import record
from sfar.studies.core.study import unseen
from sfar.subtexts.source import subtexts_of
from sfar.training.evaluate import VIEWS
from sfar.util import paths, processes

# Dense peaks of arithmetic in TFLOP/s, bf16 and single precision, from the makers' data sheets; None: has no bf16. The
# first that fits the device's name counts.
PEAKS = (
    ("H100 PCIe", 756.0, 51.0),
    ("H100", 989.0, 67.0),
    ("H200", 989.0, 67.0),
    ("A100", 312.0, 19.5),
    ("L40S", 362.0, 91.6),
    ("RTX 4090", 165.0, 82.6),
    ("V100", None, 15.7),
)
MEMORY = {
    "NVIDIA A100 80GB": 80e9,
    "NVIDIA H100 80GB": 80e9,
    "NVIDIA H200": 141e9,
}  # what is shown where there is no GPU
# Assumptions of the estimate.
SHARE = 0.4  # of the device's peak that training and evaluation reach
READ_SECONDS = 0.2  # to read the frames of one video of 10 s: all of it is decoded, on one core
CORE_TFLOPS = 0.03  # of one processor core
READERS = 8  # processes that read ahead for a GPU
USABLE = 0.9  # of a GPU's memory: the rest is its context and the allocator's reserve


@dataclass
class Plan:
    """``text`` for a terminal; ``wrong``: what the run needs and does not have, a sentence each."""

    text: str
    wrong: list[str]


@dataclass
class _Sizes:
    """What is known of the data without decoding or drawing any.

    Attributes:
        data: The data set with its class names.
        train: Clips of one training pass.
        repeats: Passes in one epoch.
        val: Test videos.
    """

    data: Dataset
    train: int = 0
    repeats: int = 1
    val: int = 0


def plan(what: str, profile: Profile) -> Plan:
    """The plan of ``sfar reproduce WHAT`` with this configuration.

    Everything that can be said is said, also where something is missing.
    """
    wrong: list[str] = []
    out = [f"Plan of {what}, profile {profile.name}"]

    def part(title: str, make: Callable[[], tuple[Any, str]]) -> Any:
        try:
            value, text = make()
        except SfarError as e:
            wrong.extend({str(e)} - set(wrong))
            value, text = None, "missing, see below"
        out.extend(["", title, textwrap.indent(text, "  ")])
        return value

    every = _sets(what, profile)
    found = {
        name: part("Data", lambda p=p: _data(p, wrong, every))
        for name, p in ((name, changed(profile, {"data.dataset": name})) for name in every)
    }
    sizes = found.get(profile.data.dataset) or found[every[0]]
    part("Weights", lambda: (None, _weights(profile)))
    for name, at in found.items():
        if at:
            part(
                "Sub-texts",
                lambda name=name, at=at: (None, _subtexts(what, changed(profile, {"data.dataset": name}), at.data)),
            )
    if sizes:
        jobs = part("Runs", lambda: _runs(what, profile, sizes))
        if jobs:
            part("Memory and time (estimated, not measured)", lambda: (None, _estimate(profile, sizes, jobs)))
    part("Configuration", lambda: (None, _configuration(profile)))
    part("Written", lambda: (None, _written(profile)))
    out += [
        "",
        *(
            [f"Missing: {w}" for w in wrong]
            or ["Everything that the run needs is there, or is fetched as it says above."]
        ),
    ]
    return Plan("\n".join(out), wrong)


# --- data ----------------------------------------------------------------------------------------------------------


def _sets(what: str, profile: Profile) -> tuple[str, ...]:
    """The data sets that a target takes, as values of ``data.dataset``.

    Its study's, else the profile's and those that its runs are tested on too.
    """
    if is_drawn(profile):
        return (profile.data.dataset,)
    study = studies.of_item(what)
    if study.sets:
        return study.sets(profile)
    tested = unseen(profile, Dataset(layout(profile), Path(), "", (), False)) if study.tested_on_unseen else ()
    return (profile.data.dataset, *tested)


def _data(profile: Profile, wrong: list[str], every: tuple[str, ...]) -> tuple[_Sizes, str]:
    """One of ``every`` data set that the target takes."""
    d, which = profile.data, layout(profile)
    if is_drawn(profile):
        return _drawn(profile)
    if len(every) > 1:
        need_sets(profile, tuple(layout(changed(profile, {"data.dataset": name})) for name in every))
    if not d.root:
        dataset(profile)  # says what to give
    about, root = layouts.layout(which), root_of(profile, which)
    rows, notes, manifests = [], [], {}
    for split in ("train", "val"):
        m = manifests[split] = layouts.read(which, root, split, d.fold)
        published = ", ".join(_held_to(e, layouts.count(m, e.unit)) for e in layouts.expected(which, split, d.fold))
        videos = len({c.path for c in m.clips})
        rows.append([split, f"{len(m.clips):,}", f"{videos:,}", f"{len(m.missing):,}", published or None])
        if m.missing:
            notes.append(f"not on disk ({split}): {', '.join(m.missing[:3])}{' ...' if len(m.missing) > 3 else ''}")
        lost = len(m.missing) / (videos + len(m.missing))
        if lost > d.max_bad_share:
            wrong.append(
                f"{root}: {len(m.missing):,} of {videos + len(m.missing):,} {split} videos are not on disk "
                f"({lost:.1%}; data.max_bad_share allows {d.max_bad_share:.1%}): get them, or run with "
                f"--set data.max_bad_share={min(1.0, lost + 0.01):.2f}"
            )
        notes += m.notes
    classes = manifests["train"].classes
    if idle := sorted(set(range(len(classes))) - {c.label for c in manifests["train"].clips}):
        named = ", ".join(classes[k] for k in idle[:5])
        wrong.append(f"{root}: no training video of {named}{' and others' if len(idle) > 5 else ''}")
    data = Dataset(which, root, "", classes, False)
    chosen = few_shot_manifest(profile, data)
    sizes = _Sizes(
        data, len(chosen.clips), epoch_repeats(profile, data, len(chosen.clips)), len(manifests["val"].clips)
    )
    if few_shot(profile):
        notes.append(f"few-shot list: {len(chosen.clips):,} clips, {sizes.repeats} times in an epoch")
    count = f"{len(classes)} classes{'' if len(classes) == about.classes else f' (published: {about.classes})'}"
    head = f"{about.title}{f', fold {d.fold}' if about.folds else ''}, {count}, in {root}"
    return sizes, "\n".join(
        [
            head,
            markdown(["Split", "Clips", "Videos", "Missing", "Published"], rows),
            *notes,
            f"Only lists and names were looked at; `sfar data check {which} --root DIR` looks into every video.",
        ]
    )


def _held_to(e: layouts.Expected, here: int) -> str:
    """A published number, and how many are here where it is another."""
    return f"{e.number:,} {e.unit}{'' if here == e.number else f' (here {here:,})'}"


def _drawn(profile: Profile) -> tuple[_Sizes, str]:
    d, which = profile.data, layout(profile)
    classes = {"kinetics400": tuple(KINETICS), "ucf101": tuple(UCF), "hmdb51": tuple(HMDB), "charades": (*UCF, *HMDB)}[
        which
    ]
    videos = 10 * d.train_per_class if which == "charades" else len(classes) * d.train_per_class
    val = 10 * d.val_per_class if which == "charades" else len(classes) * d.val_per_class
    full = 2 * videos if which == "charades" else videos  # timed parts, about two of a video
    train = min(full, d.shots * d.shot_draws * len(classes)) if d.shots else full
    repeats = max(1, full // train) if d.shots and profile.train.few_shot_epoch == "repeat" else 1
    text = (
        f"the storyboard world in the layout of {layouts.layout(which).title}, drawn from seed {d.seed} when the run "
        f"starts: {len(classes)} classes, {videos:,} training and {val:,} test videos"
    )
    if train < full:
        text += f"\nfew-shot list: {train:,} clips, {repeats} times in an epoch"
    return _Sizes(Dataset(which, Path(), "", classes, True), train, repeats, val), text


# --- weights and sub-texts -----------------------------------------------------------------------------------------


def _weights(profile: Profile) -> str:
    """Which weights, and whether they are at hand. Asks nothing of a network.

    Raises:
        ConfigError: They are not at hand and cannot be fetched.
    """
    name, pretrained = profile.model.clip, profile.model.pretrained
    if name != STORYBOARD and name not in open_clip.list_models():
        load_clip(name)  # says what is wrong
    size = _config(profile)["vision_cfg"]["image_size"]
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
    if tag.get("quick_gelu", False) and not _config(profile).get("quick_gelu", False):
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


def _config(profile: Profile) -> dict[str, Any]:
    return storyboard_config() if profile.model.clip == STORYBOARD else _open_clip_config(profile.model.clip)


def _open_clip_config(name: str) -> dict[str, Any]:
    config = open_clip.get_model_config(name)
    assert config is not None, name  # of a model that open_clip lists
    return config


def _subtexts(what: str, profile: Profile, data: Dataset) -> str:
    study = studies.of_item(what)
    every = study.texts(profile, data.classes) if study.texts else [profile]
    return "\n".join(
        f"{texts.source}: N = {texts.n} for each of {len(texts)} classes"
        for texts in (subtexts_of(p, data.classes) for p in every)
    )


# --- runs, memory, time --------------------------------------------------------------------------------------------


def _runs(what: str, profile: Profile, sizes: _Sizes) -> tuple[list[Job] | None, str]:
    """The runs of the targets whose runs do not depend on a record: (None, why not) for the others."""
    study = studies.of_item(what)
    if not study.planned:
        able = [s.target for s in studies.studies() if s.planned]
        return None, f"{what} lists its own; memory and time are estimated for {', '.join(able)}"
    t = profile.train
    passes = f"{t.epochs} x {sizes.train * sizes.repeats:,} clips"
    jobs, table = [], []
    for v, seeds in study.planned(profile):
        tested = unseen(profile, sizes.data) if v.zero_shot else ()
        jobs += [Job(v.profile(profile, s), sizes.data, v.method, s, v.views, tested) for s in seeds]
        method = registry.get(v.method)
        named = method.title if v.title == method.title else f"{method.title}, {v.name}"
        views = "1x1" if v.views == "1x1" else f"1x1 and {v.views}"
        trained = [len(seeds), passes] if method.trained else ["none", None]
        table.append([named, *trained, views, f"{sizes.val:,}"])
    return jobs, markdown(["Method", "Seeds", "Training", "Views", "Test videos"], table)


def _work(profile: Profile, sizes: _Sizes, jobs: list[Job]) -> tuple[float, float, float, float]:
    """FLOPs of all trainings and of all evaluations, and seconds of one core to read the videos of each.

    A multiply-add is two FLOPs.
    """
    t = profile.train
    one = 2.0 * cost.clip_macs(_config(profile), t.frames, profile.data.image_size)
    clips = sum(t.epochs * sizes.train * sizes.repeats for j in jobs if j.method != "vanilla")
    views = sum(1 + (VIEWS[j.views][0] * VIEWS[j.views][1] if j.views != "1x1" else 0) for j in jobs) * sizes.val
    reading = not sizes.data.drawn
    opened = sum(1 + (j.views != "1x1") for j in jobs) * sizes.val
    return (
        _passes(profile) * one * clips,
        one * views,
        READ_SECONDS * clips * reading * t.train_visual,
        READ_SECONDS * opened * reading,
    )


def _passes(profile: Profile) -> int:
    """Forward passes of the tower that a training step costs.

    Backward is two, computing the activations again one more.
    """
    return 3 + profile.train.checkpoint_activations if profile.train.train_visual else 0


def _estimate(profile: Profile, sizes: _Sizes, jobs: list[Job]) -> str:
    t, config = profile.train, _config(profile)
    batch = min(t.batch, sizes.train * sizes.repeats)
    parts, one = (
        cost.training_memory(
            config,
            b,
            t.frames,
            profile.data.image_size,
            len(sizes.data.classes),
            t.train_visual,
            t.precision != "fp32",
            t.checkpoint_activations,
        )
        for b in (batch, 1)
    )
    fixed = one["weights"] + one["gradients and Adam"]
    need, per_video = sum(parts.values()), sum(one.values()) - fixed
    train, test, read_train, read_test = _work(profile, sizes, jobs)
    gpus = (
        [(torch.cuda.get_device_name(), float(torch.cuda.get_device_properties(0).total_memory))]
        if torch.cuda.is_available()
        else list(MEMORY.items())
    )
    rows = []
    for name, memory in gpus:
        peak = next(((half, single) for key, half, single in PEAKS if key in name), None)
        seconds = None
        if peak:
            half = peak[0] if t.precision != "fp32" and peak[0] else peak[1]
            # READERS processes read ahead while the device computes; the slower of both counts.
            seconds = max(train / (SHARE * half * 1e12), read_train / READERS) + max(
                test / (SHARE * half * 1e12), read_test / READERS
            )
        rows.append(
            [
                name,
                f"{memory / 1e9:.0f} GB",
                "yes"
                if need <= USABLE * memory
                else f"no, at most {max(0, int((USABLE * memory - fixed) / per_video))} videos",
                f"{seconds / 3600:,.1f}" if seconds is not None else "peak not known",
            ]
        )
    cores = processes.cores()
    seconds = (train + test) / (CORE_TFLOPS * cores * 1e12) + read_train / cores + read_test / cores
    rows.append([f"this machine's {cores} cores", None, None, f"{seconds / 3600:,.1f}"])
    listed = ", ".join(f"{k} {v / 1e9:.1f}" for k, v in parts.items())
    lines = [
        f"A step of {batch} videos x {t.frames} frames needs {need / 1e9:.1f} GB on one device: {listed}.",
        "One device trains, the runs take turns. (With `torchrun --nproc-per-node 8 -m sfar train`, as BIKE, "
        f"{(fixed + per_video * batch / 8) / 1e9:.1f} GB on each of 8.)",
        markdown(["Device", "Memory", f"Batch of {batch} fits", f"Hours, {len(jobs)} runs"], rows),
        f"Training {train / 1e15:,.3g} and evaluation {test / 1e15:,.3g} PFLOP (the visual tower alone; a step is "
        f"{_passes(profile)} forward passes; multiply and add count 2).",
        f"Assumed: {SHARE:.0%} of the peak, "
        + (
            f"{READ_SECONDS} s of one core to read a video, {READERS} of them reading for a GPU, "
            if read_test
            else "every video decoded once, "
        )
        + f"{1000 * CORE_TFLOPS:.0f} GFLOP/s a core, {USABLE:.0%} of a GPU's memory usable.",
    ]
    if need > USABLE * max(m for _, m in gpus):
        lines.append(
            "The batch does not fit at once: set train.micro_batch (clips at a time; the loss stays that of the whole "
            "batch, a step costs a third more), or share it among devices."
        )
    return "\n".join(lines)


def training_table() -> str:
    """GPU memory and minutes of an epoch of the paper's training: estimated, for docs/TRAINING.md.

    By model, number of GPUs and how the batch is laid out. ``python -m sfar.reproduce.plan`` prints it.
    """
    rows, epoch = [], 240_000  # videos (section 4.1)
    for name in ("ViT-B-16-quickgelu", "ViT-L-14-quickgelu"):
        config = _open_clip_config(name)
        macs = cost.clip_macs(config, 8, 224)
        for gpus, micro, again in (
            (8, 0, False),
            (8, 0, True),
            (4, 0, True),
            (1, 0, True),
            (1, 32, False),
            (1, 8, False),
        ):
            share = 256 // gpus
            at_once = micro or share
            parts = cost.training_memory(config, at_once, 8, 224, 400, checkpointed=again)
            parts["frames"] *= share / at_once  # the whole share lies on the device
            passes = 3 + again + bool(micro)
            minutes = [epoch * passes * 2 * macs / (SHARE * peak * 1e12 * gpus) / 60 for peak in (312.0, 989.0)]
            rows.append(
                [
                    name.removesuffix("-quickgelu"),
                    str(gpus),
                    str(share),
                    str(micro or "all"),
                    "yes" if again else "no",
                    f"{sum(parts.values()) / 1e9:.1f}",
                    *(f"{m:.0f}" for m in minutes),
                ]
            )
    return markdown(
        [
            "Model",
            "GPUs",
            "Clips on each",
            "At a time (micro_batch)",
            "checkpoint_activations",
            "GB on each",
            "Minutes an epoch, A100",
            "H100",
        ],
        rows,
    )


# --- configuration, output -----------------------------------------------------------------------------------------


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_show, value))
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if isinstance(value, (bool, type(None)))
        else str(value) or "-"
    )


def source(profile: Profile, key: str) -> str:
    """Where the value of a field comes from: the paper, the code it follows, or the configuration at hand."""
    known, which, shots = SETTINGS[key], layout(profile), few_shot(profile)
    text = known.source_of(which, shots)
    value = values(profile)[key]
    paper = values(changed(PROFILES["paper"], by_dataset("paper", which, shots)))[key]
    if known.role != "how" or value == paper:
        return text
    own = values(PROFILES[profile.name])[key]
    return f"{'the storyboard world' if value == own else 'set here'}; paper profile: {_show(paper)} ({text})"


def _configuration(profile: Profile) -> str:
    """The table of fields; those of the drawn world only where it is drawn."""
    drawn = is_drawn(profile)
    return markdown(
        ["Field", "Value", "Source"],
        [
            [key, _show(value), source(profile, key)]
            for key, value in values(profile).items()
            if drawn or SETTINGS[key].role != "drawn"
        ],
    )


def _written(profile: Profile) -> str:
    out, cache = record.folder(profile), paths.cache()
    near = next(p for p in (cache, *cache.parents) if p.exists())
    free = f"{shutil.disk_usage(near).free / 1e9:,.0f} GB free"
    standard = out == paths.results(profile.name)
    return (
        f"record, table and figure: {os.path.relpath(out)}{'' if standard else ' (not the standard configuration)'}\n"
        f"executed notebook: {os.path.relpath(paths.runs())}\n"
        f"finished runs, so that nothing is made twice: {cache} ({free})\n"
        f"{_kept_weights(profile)}"
    )


def _kept_weights(profile: Profile) -> str:
    d, t = profile.data, profile.train
    # As many numbers have gradients and Adam's two moments.
    one = cost.training_memory(_config(profile), 1, t.frames, d.image_size, 1, t.train_visual)["gradients and Adam"] / 3
    what = "tower and head" if t.train_visual else "the head; the tower is frozen"
    if one > kept.limit():
        return f"weights of a run ({what}, {one / 1e6:,.1f} MB): not kept ({kept.KEEP}, --keep-weights)"
    return (
        f"weights of each run ({what}, {one / 1e6:,.1f} MB of SFAR) and its log: {kept.folder()}, to be listed by "
        "`sfar runs`; --keep-weights none leaves them out"
    )


if __name__ == "__main__":
    print(training_table())
