"""``sfar train`` and ``sfar evaluate``: one model, in one process or in those that torchrun has started."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfar.cli import options
from sfar.config import OWN
from sfar.errors import ConfigError
from sfar.util import processes

if TYPE_CHECKING:
    from sfar.config import Profile
    from sfar.data.source import Dataset
    from sfar.model.method import Method
    from sfar.model.video_model import VideoModel
    from sfar.training.process_group import SingleProcess

    First = Callable[[], AbstractContextManager]  # one process goes through its body before the others


@contextmanager
def _world() -> Iterator[tuple[SingleProcess, First]]:
    """The processes of this job: one, or those that torchrun has started."""
    if not processes.launched():
        from sfar.training.process_group import SingleProcess

        yield SingleProcess(), nullcontext
        return
    from sfar.training import distributed

    with distributed.joined() as world:
        yield world, world.first


@contextmanager
def compiling(wanted: bool) -> Iterator[None]:
    """What torch.compile cannot do, most often for want of a compiler, as one message."""
    if not wanted:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    try:
        yield
    except TorchDynamoException as e:
        why = str(e).strip().splitlines()[0]
        raise ConfigError(
            f"train.compile=true: torch.compile could not compile the visual tower ({why}). It needs a C++ compiler "
            "such as g++, found by the variable CXX or by its name: install one, or set train.compile=false"
        ) from e


def _train(a: argparse.Namespace) -> None:
    from sfar.training.log import tensorboard

    with _world() as (world, first), tensorboard("" if world.rank else a.tensorboard) as board:
        _train_in(a, world, first, board)


def _train_in(a: argparse.Namespace, world: SingleProcess, first: First, board: Any) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from sfar.config import changed
    from sfar.data.source import dataset
    from sfar.model import registry
    from sfar.reproduce import ready
    from sfar.runs import kept, store
    from sfar.runs.job import Job
    from sfar.runs.run import build, embed_training, fit, resolve
    from sfar.training import checkpoint, log, recipes, resume
    from sfar.util.paths import check_output, write_json

    method = registry.get_trained(a.method)
    kept.limit()  # a wrong SFAR_KEEP_WEIGHTS is said before the work
    if a.subtexts:
        a.set = [*a.set, f"model.subtexts={json.dumps(a.subtexts)}"]
    out = check_output(Path(a.out))
    if a.history:
        check_output(Path(a.history))
    profile, given = options.profile(a)
    own = {k: v for k, v in recipes.defaults(method, profile).items() if k not in given}
    profile = changed(profile, own)
    if a.dry_run:
        _plan(method, profile, own)
        return
    t = profile.train
    with first():  # its others find drawn, decoded and embedded videos in the cache
        job = Job(profile, dataset(profile), a.method, a.seed)
        # What is not there is said before the first of 240,000 videos is opened.
        ready.check_training(profile, job.data)
        texts = resolve(job, training=False, testing=False)
        if world.rank == 0:
            _introduce(job.data, profile.data.fold, texts.texts.source)
        model = build(texts)
        ready.check_disk(out, model)
        inputs = resolve(job, testing=False)
        embedded = embed_training(model.clip, inputs)
    assert inputs.training is not None, "a method that is trained"
    clips, repeats = inputs.training.clips, inputs.training.repeats
    states = out.with_name(out.name + ".states")
    file = out.with_name(out.name + ".metrics.jsonl")
    keeper = log.Logged(states, job.inputs(), file, a.keep_every, world, board)
    if a.restart:
        keeper.discard()
        world.objects(None)
    n = len(clips) * repeats
    per_epoch = n // min(t.batch, n)
    with (
        tqdm(total=per_epoch * t.epochs, desc=f"training {a.method}", unit="step", disable=world.rank > 0) as bar,
        resume.listening(keeper),
        compiling(t.compile),
    ):

        def step(i: int, n: int, loss: float) -> None:
            bar.set_postfix_str(
                f"epoch {min(t.epochs, 1 + (i - 1) // per_epoch)}/{t.epochs}, loss {loss:.3f}", refresh=False
            )
            bar.update(i - bar.n)  # from where it went on
            keeper.stepped(i, loss)

        history = fit(model, inputs, step, keeper, world, embedded)
    assert history is not None
    keeper.note()
    if world.rank:
        return
    checkpoint.save(out, model, profile, job.data.classes, a.seed, inputs.texts)
    if a.history:
        write_json(Path(a.history), asdict(history))
    key = store.keep_training(job, inputs, model, history, keeper.lines, world.size)
    keeper.discard()
    for path, why in clips.bad.items():
        print(f"left out: {path}: {why}")
    shared = f", {world.size} processes" if world.size > 1 else ""
    print(
        f"Written: {a.out} ({len(clips)} clips{f', {repeats} times an epoch' if repeats > 1 else ''}, "
        f"{history.steps} steps in {history.seconds:.1f} s{shared})"
    )
    if kept.weights(key):
        print(f"Kept as run {key}: `sfar reproduce` takes it up where a table has this training")


def _plan(method: Method, profile: Profile, own: dict[str, Any]) -> None:
    """Say how a method would be trained: every field of the training, those of its published recipe with the source."""
    from sfar.config import values

    print(f"{method.title} ({method.name}), profile {profile.name}")
    for key, value in values(profile).items():
        if key.startswith("train.") or key in own:
            print(f"  {key} = {value}{'  (its recipe)' if key in own else ''}")
    if method.recipe:
        print(f"recipe: {method.recipe.source}")
        if method.recipe.left_out:
            print(f"left out: {method.recipe.left_out}")


def _introduce(data: Dataset, fold: int, texts: str) -> None:
    """Say what was read of a data set of one's own: names, numbers, the split, where sub-texts come from."""
    if data.layout == OWN:
        for note in (*data.manifest("all", fold).notes, f"sub-texts: {texts}"):
            print(f"note: {note}")


def _evaluate(a: argparse.Namespace) -> None:
    with _world() as (world, first):
        _evaluate_in(a, world, first)


def _evaluate_in(a: argparse.Namespace, world: SingleProcess, first: First) -> None:
    from sfar.data.source import dataset, load_clips
    from sfar.model.other_methods import refuse
    from sfar.reproduce import ready
    from sfar.runs import kept, scored
    from sfar.runs.run import EvaluationSet, build_model, device, result, score_set
    from sfar.subtexts import SubTexts
    from sfar.subtexts.source import subtexts_of
    from sfar.training import checkpoint
    from sfar.util.paths import check_output

    if a.scores:
        check_output(Path(a.scores))
    if a.zero_shot and world.size > 1:
        raise ConfigError("--zero-shot is evaluated by one process: start it without torchrun")
    file = kept.checkpoint_of(a.checkpoint)
    about = checkpoint.read_about(file)
    refuse(file, about)
    profile = _of_checkpoint(a, about, file)
    who = f"{about['method']}, seed {about['seed']}"
    if a.zero_shot:
        _zero_shot(a, file, profile, about, who)
        return
    with first():
        data = dataset(profile)
        own = about.get("subtexts", {}) if profile.model.subtexts == about["model"]["subtexts"] else {}
        known = tuple(own) == data.classes
        texts = SubTexts(own, "checkpoint", None, source=str(file)) if known else subtexts_of(profile, data.classes)
        if world.rank == 0:
            _introduce(data, profile.data.fold, texts.source)
        ready.check_testing(profile, data)
        # Weights that do not fit are said before the first video is opened.
        model = build_model(profile, data.classes, texts, about["method"], about["seed"])
        checkpoint.load(file, model, profile, data.classes).to(device())
        tested = EvaluationSet(profile, data, load_clips(profile, data, "val"), texts)
    desc = f"evaluating {a.views}" if world.rank == 0 else ""
    s = score_set(model, tested, a.views, desc=desc, world=world)
    if world.rank:
        return
    clips = tested.clips
    r = result(s, clips)
    for path, why in clips.bad.items():
        print(f"left out: {path}: {why}")
    what = (
        f"top-1 {r['top1']:.2f} %, top-5 {r['top5']:.2f} %"
        if "top1" in r
        else ", ".join(f"mAP ({v}) {x:.2f} %" for v, x in r["map"].items())
    )
    print(f"{who}, {a.views}: {what} of {len(s.clips)} videos")
    if a.scores:
        scored.save(Path(a.scores), s, tested, who, a.views, r)


_WHICH = ("data.dataset", "data.fold", "data.image_size", "data.reader", "data.max_bad_share")


def _of_checkpoint(a: argparse.Namespace, about: dict[str, Any], file: Path) -> Profile:
    """The configuration that a checkpoint was trained with, and its data, unless others are asked for.

    What the options say goes first.
    """
    from sfar.config import changed, reading
    from sfar.runs import kept
    from sfar.training import checkpoint

    name, own = checkpoint.configuration(about)
    given = options.pairs(a.set)
    asked = a.dataset or given.get("data.dataset")
    if not (asked or a.data or "data.root" in given):
        own |= kept.data_of(file)
    else:  # elsewhere: which data set it was and which part of it, but not where
        own = {k: v for k, v in own.items() if not k.startswith("data.") or k in _WHICH}
    a.profile = a.profile or name
    if (trained := own.pop("data.dataset", None)) and not asked:
        a.dataset = trained
    elif asked and asked != trained:
        own.pop("data.fold", None)
    said = {*(reading(a.reading) if a.reading else ()), *given}
    return changed(options.profile(a)[0], {k: v for k, v in own.items() if k not in said})


def _zero_shot(a: argparse.Namespace, file: Path, profile: Profile, about: dict, who: str) -> None:
    """Both protocols on a data set whose classes the model was not trained on (Tables 2b, 10).

    half10 needs the lists of one fold, split3 those of all three: where they are not there, it is left out and said.
    """
    from sfar.config import layout
    from sfar.data.source import dataset
    from sfar.errors import DataError
    from sfar.model import registry
    from sfar.reproduce import ready
    from sfar.runs import scored
    from sfar.runs.run import device, method_texts, score_set, unseen_result, unseen_set
    from sfar.subtexts.source import subtexts_of
    from sfar.training.protocols import half10, of_folds, split3

    if registry.get(about["method"]).closed:
        raise ConfigError(
            f"--zero-shot: {about['method']} is a classifier of the classes that it was trained on, and of no others; "
            "give a checkpoint of a method that compares videos with texts"
        )
    if layout(profile) not in ("ucf101", "hmdb51"):
        raise ConfigError(
            f"--zero-shot is for UCF-101 and HMDB-51 and what has their layout, not for {profile.data.dataset}"
        )
    import numpy as np

    data = dataset(profile)
    ready.check_testing(profile, data, "all")
    folds, lacking = [], ""
    try:
        folds = [{c.path for c in data.manifest("val", f).clips} for f in (1, 2, 3)]
    except DataError as e:
        lacking = f"split3 is left out: it needs the test lists of all three folds: {e}"
    texts = subtexts_of(profile, data.classes)
    model = _trained_on(profile, about, file, data.classes, texts)
    tested = unseen_set(profile)
    # Kept embeddings are those of CLIP's own tower; a checkpoint's may have been trained.
    said = method_texts(model.clip, profile, model.method, data.classes, texts).to(device())
    s = score_set(model, tested, texts=said)
    found = unseen_result(s, tested)
    scores, labels = np.array(found["scores"]), np.array(found["labels"])
    half = half10(scores, labels)
    made = {"half10": half}
    if folds:
        made["split3"] = split3(of_folds(scores, labels, found["paths"], folds))
    each = ", ".join(f"{p} {m['top1']['mean']:.2f} +- {m['top1']['std']:.2f} %" for p, m in made.items())
    print(
        f"{who}, zero-shot on {len(labels)} videos of {len(data.classes)} classes: {each}, all classes "
        f"{half['full']['top1']:.2f} %"
    )
    if lacking:
        print(lacking)
    if a.scores:
        scored.save(Path(a.scores), s, tested, who, "1x1", made)


def _trained_on(profile: Profile, about: dict, file: Path, classes: tuple[str, ...], texts: Any) -> VideoModel:
    """The checkpoint's model for the classes of its training, about to be asked about ``classes`` with their texts.

    A checkpoint without sub-texts in it has no texts of its own either: then it is built on the texts of ``classes``.
    """
    from sfar.runs.run import build_model, device
    from sfar.training import checkpoint

    method, own = about["method"], about.get("subtexts")
    names, said = (tuple(about["classes"]), own) if own else (classes, texts)
    model = build_model(profile, names, said, method, about["seed"])
    return checkpoint.load(file, model, profile, tuple(about["classes"])).to(device())


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to the ``sfar`` parser; ``command`` is the parser's own helper."""
    p = command("train", _train, "Train one method and write a checkpoint.")
    p.add_argument(
        "method",
        help="one that is trained: clip, temporal, single, sfar, sfar-printed, a system such as ost, or your own",
    )
    options.configured(p)
    p.add_argument(
        "--subtexts",
        default="",
        metavar="FILE|name",
        help="of the classes (model.subtexts); name: go by the class names alone (default: the bundled ones)",
    )
    p.add_argument("--seed", type=options.seed, default=0)
    p.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the checkpoint; beside it lie a line for each epoch, in FILE.metrics.jsonl, and until it is written the "
        "states on the way, in FILE.states",
    )
    p.add_argument(
        "--keep-every",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how often the state is kept; the same command goes on from the last one (default: 600)",
    )
    p.add_argument(
        "--dry-run", action="store_true", help="say how it would be trained, with the sources of its recipe, and stop"
    )
    p.add_argument("--restart", action="store_true", help="throw kept states away and start over")
    p.add_argument("--history", default="", metavar="FILE", help="write losses, steps and seconds as JSON")
    p.add_argument("--tensorboard", default="", metavar="DIR", help="write TensorBoard's events (sfar[tensorboard])")

    p = command("evaluate", _evaluate, "Evaluate a checkpoint.")
    p.add_argument("checkpoint", metavar="FILE", help="of `sfar train`, or a kept run: its folder or key (`sfar runs`)")
    options.configured(p)
    p.set_defaults(profile="")  # the checkpoint's own
    p.add_argument("--views", choices=["1x1", "4x3"], default="1x1")
    p.add_argument(
        "--scores",
        default="",
        metavar="FILE",
        help="write class names, and of each video id, path, label and scores, as JSON (docs/library.md)",
    )
    p.add_argument(
        "--zero-shot",
        action="store_true",
        help="the data set has other classes than the checkpoint: half10 and split3 (Tables 2b, 10; split3 needs the "
        "lists of all three folds)",
    )
