"""What ``sfar reproduce`` is about to do: data, weights, sub-texts, runs, memory and hours, and the configuration.

Every hyper-parameter is listed with its source. Trains and writes nothing.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sfar import studies
from sfar.config import PROFILES, SETTINGS, Profile, by_dataset, changed, few_shot, layout, values
from sfar.data import fewshot, layouts
from sfar.data.disk import once
from sfar.data.source import (
    Dataset,
    by_name,
    dataset,
    epoch_repeats,
    is_drawn,
    need_sets,
    root_of,
)
from sfar.data.store import decoded_bytes
from sfar.data.transforms import scale_size
from sfar.data.video import decoder
from sfar.errors import DataError, SfarError
from sfar.model import cost, registry
from sfar.render.tables import markdown
from sfar.reproduce import ready, targets
from sfar.runs import kept
from sfar.runs.job import Job
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.studies import few_shot as few_shot_study
from sfar.studies import zero_shot
from sfar.studies.core.study import Study, unseen
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


@dataclass(frozen=True)
class _Use:
    """What a target takes of one data set.

    Attributes:
        profile: The configuration on that data set.
        splits: The lists whose videos are opened.
        folds: Those whose test lists a protocol needs besides.
        shots: Videos of each class in the longest of its few-shot lists, 0 for none.
    """

    profile: Profile
    splits: tuple[str, ...] = ("train", "val")
    folds: tuple[int, ...] = ()
    shots: int = 0


@dataclass
class _Sizes:
    """What is known of the data without decoding or drawing any.

    Attributes:
        data: The data set with its class names.
        train: Clips of one training pass.
        repeats: Passes in one epoch.
        val: Test videos.
        decoded: Of a set on disk: about how many bytes its videos have decoded, by side, "train" and "val".
    """

    data: Dataset
    train: int = 0
    repeats: int = 1
    val: int = 0
    decoded: dict[str, float] = field(default_factory=dict)


@once()
def plan(what: str, profile: Profile, groups: Sequence[str] = ()) -> Plan:
    """The plan of ``sfar reproduce WHAT`` with this configuration, and with these files of groups of sub-texts.

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

    study = studies.of_item(what)
    uses = {use.profile.data.dataset: use for use in _uses(what, profile)}
    found = {name: part("Data", lambda use=use: _data(use, wrong, list(uses))) for name, use in uses.items()}
    sizes = found.get(profile.data.dataset) or found[next(iter(uses))]
    part("Weights", lambda: (None, ready.weights(profile)))
    part("Reader", lambda: (None, decoder(profile.data.reader)))
    for name, at in found.items():
        if at:
            part(
                "Sub-texts",
                lambda name=name, at=at: (None, _subtexts(what, changed(profile, {"data.dataset": name}), at.data)),
            )
    if study.groups and groups:
        part("Groups", lambda: (None, _groups(study, profile, groups)))
    # Where nothing is missing so far: a few videos are opened.
    for name, at in found.items():
        if at and not at.data.drawn and not wrong:
            at.decoded = _decoded(uses[name])
    jobs = None
    if sizes:
        jobs = part("Runs", lambda: _runs(what, profile, sizes))
        if jobs:
            part("Memory and time (estimated, not measured)", lambda: (None, _estimate(profile, sizes, jobs)))
    for name, at in found.items():
        if at and at.decoded:
            part(
                f"Videos of {at.data.layout}, disk and reading (estimated from the sizes of some)",
                lambda name=name, at=at: (None, _reading(changed(profile, {"data.dataset": name}), at, wrong)),
            )
    part("Configuration", lambda: (None, _configuration(profile)))
    part("Written", lambda: (None, _written(what, profile, groups, sum(j.trained for j in jobs or ()))))
    out += [
        "",
        *(
            [f"Missing: {w}" for w in wrong]
            or ["Everything that the run needs is there, or is fetched as it says above."]
        ),
    ]
    return Plan("\n".join(out), wrong)


# --- data ----------------------------------------------------------------------------------------------------------


def _uses(what: str, profile: Profile) -> list[_Use]:
    """The data sets that a target takes: its study's, else the profile's and those that its runs are tested on too."""
    if is_drawn(profile):
        return [_Use(profile)]
    study = studies.of_item(what)
    folds: tuple[int, ...] = ()
    if study.sets:
        names, tested = study.sets(profile), ()
        if study is zero_shot.STUDY:
            names, tested, folds = names[:1], names[1:], zero_shot.FOLDS
    else:
        # Figure 10 shows videos of the unseen sets that are there.
        on_unseen = study.tested_on_unseen or study.id == "qualitative"
        names = (profile.data.dataset,)
        tested = unseen(profile, Dataset(layout(profile), Path(), "", (), False)) if on_unseen else ()
    shots = few_shot_study.shots(profile)[-1] if study is few_shot_study.STUDY else 0
    trained = [_Use(changed(profile, {"data.dataset": name}), shots=shots) for name in names]
    return [*trained, *(_Use(by_name(profile, name), ("all",), folds) for name in tested)]


def _data(use: _Use, wrong: list[str], every: Sequence[str]) -> tuple[_Sizes, str]:
    """One of ``every`` data set that the target takes."""
    profile = use.profile
    d, which = profile.data, layout(profile)
    if is_drawn(profile):
        return _drawn(profile)
    if len(every) > 1:
        need_sets(profile, tuple(layout(changed(profile, {"data.dataset": name})) for name in every))
    if not d.root:
        dataset(profile)  # says what to give
    about, root = layouts.layout(which), root_of(profile, which)
    rows, notes, manifests = [], [], {}
    for split in use.splits:
        m = manifests[split] = layouts.read(which, root, split, d.fold)
        published = ", ".join(_held_to(e, layouts.count(m, e.unit)) for e in layouts.expected(which, split, d.fold))
        videos = len({c.path for c in m.clips})
        rows.append([split, f"{len(m.clips):,}", f"{videos:,}", f"{len(m.missing):,}", published or None])
        if m.missing:
            notes.append(f"not on disk ({split}): {', '.join(m.missing[:3])}{' ...' if len(m.missing) > 3 else ''}")
        notes += m.notes
    data = Dataset(which, root, "", manifests[use.splits[0]].classes, False)
    opened = [m for split, m in manifests.items() if split != "train"]
    sizes = _Sizes(data, val=len(opened[-1].clips))
    if "train" in manifests:
        lists = ready.training_lists(profile, data)
        opened = [*lists, *opened]
        sizes.train = len(lists[0].clips)
        sizes.repeats = epoch_repeats(profile, data, sizes.train)
        if few_shot(profile):
            notes.append(f"few-shot list: {sizes.train:,} clips, {sizes.repeats} times in an epoch")
    for m in opened:
        wrong += ready.lacks(m, d.max_bad_share)
    for fold in use.folds:
        wrong += _refused(f"split {fold} of {about.title}", lambda fold=fold: data.manifest("val", fold))
    if use.shots:
        wrong += _refused("", lambda: fewshot.choose(manifests["train"], use.shots, d.shot_seed))
    n = len(data.classes)
    count = f"{n} classes{'' if n == about.classes else f' (published: {about.classes})'}"
    head = f"{about.title}{f', fold {d.fold}' if about.folds else ''}, {count}, in {root}"
    return sizes, "\n".join(
        [
            head,
            markdown(["Split", "Clips", "Videos", "Missing", "Published"], rows),
            *notes,
            "Lists and names were looked at, and a few videos for their size; "
            f"`sfar data check {which} --root DIR` looks into every video.",
        ]
    )


def _refused(what: str, ask: Callable[[], object]) -> list[str]:
    """Why ``ask`` refuses ``what``; nothing where it does not."""
    try:
        ask()
    except DataError as e:
        return [f"{what}: {e}" if what else str(e)]
    return []


def _decoded(use: _Use) -> dict[str, float]:
    """Bytes of each side, or of all videos on both where one list has them: what is decoded at once.

    A few videos are opened to see how large they are.
    """
    d, which, short = use.profile.data, layout(use.profile), scale_size(use.profile.data.image_size)
    root, splits = root_of(use.profile, which), layouts.layout(which).splits

    def of(split: str) -> float:
        return decoded_bytes(layouts.read(which, root, split, d.fold), short, d.reader)

    return dict.fromkeys(use.splits, of("all")) if "all" in splits else {side: of(side) for side in use.splits}


def _most(profile: Profile) -> float:
    """Bytes that are decoded beforehand at most."""
    return min(1e9 * profile.data.decode_limit, paths.free(paths.cache()) / 2)


def _read_each_time(profile: Profile, sizes: _Sizes, side: str) -> bool:
    return not sizes.data.drawn and sizes.decoded.get(side, math.inf) > _most(profile)


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


# --- sub-texts -----------------------------------------------------------------------------------------------------


def _subtexts(what: str, profile: Profile, data: Dataset) -> str:
    study = studies.of_item(what)
    every = study.texts(profile, data.classes) if study.texts else [profile]
    return "\n".join(
        f"{texts.source}: N = {texts.n} for each of {len(texts)} classes"
        for texts in (subtexts_of(p, data.classes) for p in every)
    )


def _groups(study: Study, profile: Profile, groups: Sequence[str]) -> str:
    study.inputs(profile, groups)  # reads them
    return ", ".join(groups)


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
    one = 2.0 * cost.clip_macs(ready.config_of(profile), t.frames, profile.data.image_size)
    clips = sum(t.epochs * sizes.train * sizes.repeats for j in jobs if j.method != "vanilla")
    views = sum(1 + (VIEWS[j.views][0] * VIEWS[j.views][1] if j.views != "1x1" else 0) for j in jobs) * sizes.val
    opened = sum(1 + (j.views != "1x1") for j in jobs) * sizes.val
    return (
        _passes(profile) * one * clips,
        one * views,
        READ_SECONDS * clips * _read_each_time(profile, sizes, "train") * t.train_visual,
        READ_SECONDS * opened * _read_each_time(profile, sizes, "val"),
    )


def _reading(profile: Profile, sizes: _Sizes, wrong: list[str]) -> str:
    """What is decoded beforehand and what is not, and what a frozen tower's embeddings take."""
    t, free, lines = profile.train, paths.free(paths.cache()), []
    for side, need in sizes.decoded.items():
        if side == "train" and not t.train_visual:
            how = "read once, for a frozen tower"
        elif _read_each_time(profile, sizes, side):
            how = (
                f"read from their files each time: decoded they would take {_gigabytes(need)}, and the limit is "
                f"{_gigabytes(_most(profile))} (data.decode_limit, and half of what is free)"
            )
        else:
            how = f"decoded beforehand, {_gigabytes(need)} in the cache"
        lines.append(f"{'training' if side == 'train' else 'test'} videos: {how}")
    width = ready.config_of(profile)["embed_dim"]
    one = 4.0 * t.frames * width  # bytes
    held = {"training": one * t.frozen_draws * sizes.train, "test": one * sizes.val}
    seconds = READ_SECONDS * (sizes.train + sizes.val)
    lines.append(
        "where a row's tower is frozen, frame embeddings: "
        + ", ".join(f"{_gigabytes(n)} of {name} clips" for name, n in held.items())
        + f" in the cache, twice that while they are joined; every video is read once for them, {seconds / 3600:,.1f} "
        "hours of one core, shared by the processes that read (data.loader_workers); an interrupted pass goes on"
    )
    if not t.train_visual and 2 * sum(held.values()) > free:
        wrong.append(
            f"{paths.cache()}: frame embeddings need {_gigabytes(2 * sum(held.values()))} while they are made, and "
            f"{_gigabytes(free)} are free: free some space, or set SFAR_CACHE to another folder"
        )
    return "\n".join(lines)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size < 1e11 else f"{size / 1e9:,.0f} GB"


def _passes(profile: Profile) -> int:
    """Forward passes of the tower that a training step costs.

    Backward is two, computing the activations again one more.
    """
    return 3 + profile.train.checkpoint_activations if profile.train.train_visual else 0


def _estimate(profile: Profile, sizes: _Sizes, jobs: list[Job]) -> str:
    t, config = profile.train, ready.config_of(profile)
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
        f"{(fixed + per_video * batch / 8) / 1e9:.1f} GB on each of 8; what it has trained is taken up here.)",
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
        config = ready.open_clip_config(name)
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


def _written(what: str, profile: Profile, groups: Sequence[str], runs: int) -> str:
    """``runs``: trained ones, as far as known. Raises ``SfarError``: a folder not to be written, a disk too small."""
    out, cache = targets.folder(what, profile, groups), paths.cache()
    targets.check_folders(what, profile, groups)
    standard = out.is_relative_to(paths.results(profile.name))
    one = ready.trained_bytes(profile)
    kept_runs = one * runs if one <= kept.limit() else 0.0
    paths.check_space(cache, kept_runs + ready.STATE * one, "weights of the runs and a state on the way")
    return (
        f"record, table and figure: {os.path.relpath(out)}{'' if standard else ' (not the standard configuration)'}\n"
        f"executed notebook: {os.path.relpath(paths.runs())}\n"
        f"finished runs, so that nothing is made twice: {cache} ({paths.free(cache) / 1e9:,.0f} GB free)\n"
        f"{_kept_weights(profile, one)}"
    )


def _kept_weights(profile: Profile, one: float) -> str:
    what = "tower and head" if profile.train.train_visual else "the head; the tower is frozen"
    if one > kept.limit():
        return f"weights of a run ({what}, {one / 1e6:,.1f} MB): not kept ({kept.KEEP}, --keep-weights)"
    return (
        f"weights of each run ({what}, {one / 1e6:,.1f} MB of SFAR) and its log: {kept.folder()}, to be listed by "
        "`sfar runs`; --keep-weights none leaves them out"
    )


if __name__ == "__main__":
    print(training_table())
