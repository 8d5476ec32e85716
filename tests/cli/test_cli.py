"""The command: what it does, and one clear message for each mistake; no traceback, no half-written results."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import makefile
import pytest

from sfar.cli.main import main
from sfar.data.kinetics import read_kinetics
from sfar.storyboard.scripts import KINETICS
from sfar.subtexts import SubTexts


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small drawn set in the Kinetics layout: 25 classes, 2 + 1 videos each."""
    root = tmp_path_factory.mktemp("data") / "k400"
    assert (
        main(
            ["storyboard", "draw", "--out", str(root), "--seed", "5", "--train-per-class", "2", "--val-per-class", "1"]
        )
        == 0
    )
    return root


def refused(capsys, argv, *parts):
    """The command ends with status 2 and one message on stderr that holds ``parts``."""
    assert main([str(a) for a in argv]) == 2
    err = capsys.readouterr().err
    message = err.strip().splitlines()[-1]
    assert message.startswith("sfar: ") and "Traceback" not in err
    for part in parts:
        assert str(part) in message, message


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--profile", "storybord"], ["unknown profile 'storybord'", "storyboard, paper"]),
        (["--set", "train.epoch=2"], ["train.epoch", "did you mean 'epochs'"]),
        (["--set", "train.epochs=many"], ["train.epochs", "expected int"]),
        (["--set", "train.epochs"], ["expected key=value"]),
        (["--set", "model.attention=soft"], ["model.attention", "printed, mha"]),
        (["--seeds", "a,b"], ["--seeds 'a,b'", "integers"]),
        (["--seeds", "1,1"], ["distinct"]),
        (["--profile", "paper"], ["kinetics400", "DATA="]),
        (["--data", "/no/such/folder"], ["/no/such/folder", "no such folder"]),
    ],
)
def test_reproduce_refuses(capsys, argv, parts):
    refused(capsys, ["reproduce", "table1", *argv], *parts)


def test_empty_and_wrong_layout(capsys, tmp_path, world):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(capsys, ["reproduce", "table1", "--data", empty], empty, "is empty", "annotations/train.csv")
    wrong = tmp_path / "wrong"
    shutil.copytree(world / "annotations", wrong / "annotations")
    (wrong / "train").mkdir()
    refused(capsys, ["reproduce", "table1", "--data", wrong], "none of the 50 videos", "check the layout")


@pytest.mark.parametrize(
    "argv",
    [
        ["reproduce", "table1", "--jobs", "0"],
        ["storyboard", "draw", "--out", "x", "--seed", "-1"],
        ["pretrain", "--steps", "none"],
        ["storyboard", "draw", "--out", "x", "--val-per-class", "0"],
        ["reproduse"],
    ],
)
def test_wrong_options(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [[], ["data"], ["subtexts"], ["storyboard"]], ids=lambda argv: " ".join(argv) or "none"
)
def test_a_command_that_is_missing(capsys, argv):
    """The whole help, where a message goes, and the status of a wrong call."""
    assert main(argv) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith(" ".join(["usage: sfar", *argv, "[-h]"]))
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--help"])
    assert not stop.value.code and capsys.readouterr().out == told.err


def test_the_help_of_all_says_every_command(capsys):
    main([])
    shown = capsys.readouterr().err
    for name in ("reproduce", "train", "evaluate", "storyboard", "data", "subtexts", "bench", "config"):
        assert re.search(rf"^    {name}\s+\S", shown, re.MULTILINE)


def test_unknown_method(capsys, tmp_path):
    refused(capsys, ["train", "sfarr", "--out", tmp_path / "x"], "unknown method 'sfarr'", "sfar")
    refused(capsys, ["train", "vanilla", "--out", tmp_path / "x"], "'vanilla' is not trained")
    assert not list(tmp_path.iterdir())


SMALL = ["--set", "train.epochs=1"]


@pytest.mark.usefixtures("videos_here")
def test_train_and_evaluate(capsys, tmp_path, world):
    ckpt = tmp_path / "sfar.safetensors"
    assert main(["train", "sfar", "--data", str(world), "--out", str(ckpt), *SMALL]) == 0
    assert main(["evaluate", str(ckpt), "--data", str(world), *SMALL]) == 0
    out = capsys.readouterr().out
    assert "sfar, seed 0, 1x1: top-1" in out and "of 25 videos" in out
    evaluate = ["evaluate", ckpt, "--data", world]
    refused(capsys, [*evaluate, "--set", "model.ffn_residual=false"], "model.ffn_residual=True", "False")
    refused(capsys, ["evaluate", tmp_path / "none", "--data", world], "no checkpoint at", "sfar train")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(ckpt.read_bytes()[:1000])
    refused(capsys, ["evaluate", damaged, "--data", world], damaged, "damaged")


@pytest.mark.usefixtures("videos_here")
def test_a_checkpoint_is_evaluated_with_what_it_was_trained_with(capsys, tmp_path, world):
    """No --set is repeated, the file of sub-texts may be gone; one that is said again must agree."""
    n2 = {c: list(t) for c, t in SubTexts.load("storyboard", 2).only(tuple(KINETICS)).items()}
    own, ckpt = tmp_path / "own.json", tmp_path / "x.safetensors"
    own.write_text(json.dumps({"label_set": "own", "sets": {"2": n2}}))
    fields = [f"model.subtexts={own}", "model.n_subtexts=2", "train.frames=4", "model.frame_temperature=0.3"]
    argv = ["train", "sfar", "--reading", "printed", "--data", str(world), "--out", str(ckpt), *SMALL]
    assert main([*argv, *(x for field in fields for x in ("--set", field))]) == 0
    evaluate = ["evaluate", str(ckpt), "--data", str(world), "--scores"]
    assert main([*evaluate, str(tmp_path / "a.json"), *(x for field in fields for x in ("--set", field))]) == 0
    own.unlink()
    assert main([*evaluate, str(tmp_path / "b.json")]) == 0
    a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert a == b and a["labels"]
    refused(capsys, [*evaluate[:-1], "--set", "model.frame_temperature=0.1"], "model.frame_temperature=0.3", "0.1")


@pytest.mark.usefixtures("videos_here")
def test_bad_videos_are_named_and_never_replaced(capsys, tmp_path, world):
    """One truncated, one empty and one that is not a video: over the stated share the run fails and names them."""
    root = tmp_path / "k400"
    shutil.copytree(world, root)
    manifest = read_kinetics(root, "val")
    files = [root / c.path for c in manifest.clips[:3]]
    files[0].write_bytes(files[0].read_bytes()[:2000])
    files[1].write_bytes(b"")
    files[2].write_text("not a video\n")
    argv = ["train", "clip", "--data", root, "--out", tmp_path / "x"]
    ckpt = tmp_path / "x"
    assert main([str(a) for a in [*argv, *SMALL]]) == 0  # the training videos are whole
    evaluate = ["evaluate", ckpt, "--data", root]
    refused(capsys, evaluate, "3 of 25 val videos cannot be used", "12.0%", files[0].name)
    assert main([str(a) for a in [*evaluate, *SMALL, "--set", "data.max_bad_share=0.2"]]) == 0
    out = capsys.readouterr().out
    assert out.count("left out:") == 3 and "of 22 videos" in out


def test_mislabelled_list(capsys, tmp_path, world):
    root = tmp_path / "k400"
    shutil.copytree(world, root)
    csv = root / "annotations" / "val.csv"
    csv.write_text(csv.read_text().replace("long jump", "log jump"))
    refused(capsys, ["reproduce", "table1", "--data", root], "val.csv", "log jump")


def test_draw_does_not_overwrite(capsys, world):
    refused(capsys, ["storyboard", "draw", "--out", world], world, "not an empty folder")


def test_undeclared_notebook_parameter(capsys):
    refused(capsys, ["notebook", "03", "-p", "sead=1"], "no parameter sead", "profile, seeds, source, overrides")


def _command(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sfar", *map(str, argv)],
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )


def _read(file):
    return file.read_text(encoding="utf-8")


def _alive(group):
    """Processes of a process group that still run (one that has ended and waits to be collected does not)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rsplit(")", 1)[1].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def _hears_ctrl_c():
    """A shell's background jobs, these tests among them, inherit that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(p):
    """Ctrl-C for the whole process group, as from a terminal; what it says on its standard error.

    On a busy machine it may take its time, but it never outlives the test.
    """
    os.killpg(p.pid, signal.SIGINT)
    try:
        return p.communicate(timeout=120)[1]
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)


def test_interrupted_draw_leaves_nothing(tmp_path):
    """Ctrl-C in the middle, which the whole process group gets: status 130, one message, no folder."""
    out = tmp_path / "data" / "k400"
    p = _command("storyboard", "draw", "--out", out, start_new_session=True, preexec_fn=_hears_ctrl_c)
    deadline = time.time() + 60
    while time.time() < deadline and not list(tmp_path.glob("data/.k400.*/train/*.mp4")):
        time.sleep(0.1)
    err = _interrupt(p)
    assert p.returncode == 130, err
    assert "interrupted" in err and "Traceback" not in err
    assert list((tmp_path / "data").iterdir()) == []


def test_interrupted_training_ends_with_one_message(tmp_path, world):
    """Ctrl-C while two runs train side by side: no worker is left, no traceback, no half-written record."""
    argv = ["reproduce", "table1", "--data", world, "--seeds", "0", "--jobs", "2", "--set", "train.epochs=500"]
    said = tmp_path / "said"
    with open(said, "w") as file:
        p = _command(
            *argv,
            start_new_session=True,
            preexec_fn=_hears_ctrl_c,
            env={**os.environ, "SFAR_HOME": str(tmp_path)},
            stderr=file,
        )
    deadline = time.time() + 300  # until both have taken a step
    while time.time() < deadline and p.poll() is None and len(set(re.findall(r"runs, (\S+)/seed 0", _read(said)))) < 2:
        time.sleep(0.1)
    both = set(re.findall(r"runs, (\S+)/seed 0", _read(said)))
    _interrupt(p)
    err = _read(said)
    assert p.returncode == 130 and len(both) == 2, err
    assert err.strip().splitlines()[-1].startswith("sfar: interrupted") and "Traceback" not in err
    assert not (tmp_path / "results").exists()
    deadline = time.time() + 15  # the interpreter's own helper process goes a moment later
    while _alive(p.pid) and time.time() < deadline:
        time.sleep(0.2)
    assert not _alive(p.pid)


def test_full_disk_leaves_nothing(tmp_path):
    """A disk that takes no more (here: a file size limit that every process inherits) ends in one message."""
    out = tmp_path / "data" / "k400"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # noqa: E731
    p = _command("storyboard", "draw", "--out", out, "--train-per-class", "1", "--val-per-class", "1", preexec_fn=limit)
    _, err = p.communicate(timeout=90)
    assert p.returncode == 2, err
    assert "cannot write" in err and "Traceback" not in err
    assert list((tmp_path / "data").iterdir()) == []


def test_help_of_make_lists_every_target():
    root = makefile.MAKEFILE.parent
    text = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    targets = makefile.targets()
    assert targets and all(f"make {t} " in text for t in targets)


def test_out_of_gpu_memory_is_one_message(capsys, monkeypatch, tmp_path):
    import torch

    from sfar.data import source

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 200.00 GiB")

    monkeypatch.setattr(source, "dataset", full)
    refused(capsys, ["train", "sfar", "--out", tmp_path / "x"], "out of GPU memory: lower train.batch")
    monkeypatch.setattr(source, "dataset", lambda *_: [].pop())
    with pytest.raises(IndexError):  # a mistake in the code is no user's
        main(["train", "sfar", "--out", str(tmp_path / "x")])


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["reproduce", "table1", "--dataset", "storyboard-charades"], ["several labels", "table2a"]),
        (["reproduce", "table8", "--set", "train.frames=1"], ["train.frames", "table8", "at least 2", "got 1"]),
        (["reproduce", "table99"], ["unknown table or figure 'table99'", "table9"]),
        (["reproduce", "table1", "--dataset", "ucf"], ["unknown data set 'ucf'", "ucf101"]),
        (["train", "sfar", "--out", "x", "--dataset", "hmdb51"], ["hmdb51 on disk", "sfar data layout hmdb51"]),
        (
            ["train", "sfar", "--out", "x", "--dataset", "storyboard-ucf101", "--data", "."],
            ["storyboard-ucf101 is drawn, not read"],
        ),
        (
            ["train", "sfar", "--out", "x", "--dataset", "charades", "--data", ".", "--set", "data.fold=2"],
            ["data.fold", "one official split"],
        ),
    ],
)
def test_data_sets_and_targets_that_do_not_fit(capsys, argv, parts):
    refused(capsys, argv, *parts)


@pytest.mark.parametrize(
    ("argv", "epochs", "frames"),
    [
        (["--set", "data.shots=2"], 2, 8),
        (["--dataset", "ucf101", "--set", "data.shots=2"], 10, 8),
        (["--dataset", "ucf101"], 30, 8),
        (["--dataset", "charades"], 20, 16),
        (["--set", "data.dataset=charades"], 20, 16),
        (["--dataset", "ucf101", "--set", "data.shots=2", "--set", "train.epochs=7"], 7, 8),
        ([], 30, 8),
    ],
)
def test_the_protocol_follows_the_data_set(argv, epochs, frames):
    from sfar.cli import options
    from sfar.cli.main import parser

    profile, overrides = options.profile(parser().parse_args(["reproduce", "table1", "--profile", "paper", *argv]))
    assert (profile.train.epochs, profile.train.frames) == (epochs, frames)
    assert overrides.get("train.epochs", 30) == epochs, "the notebook is given the same"


@pytest.mark.parametrize("profile", ["storyboard", "paper"])
def test_a_reading_by_name(profile):
    """It sets its fields and no other; one that is given by itself goes before it."""
    from sfar.cli import options
    from sfar.cli.main import parser
    from sfar.config import CHOSEN, PRESETS, get_profile, values

    def made(*argv):
        return options.profile(parser().parse_args(["reproduce", "table1", "--profile", profile, *argv]))

    plain = values(get_profile(profile))
    assert values(made()[0]) == plain
    for name, fields in PRESETS.items():
        found, overrides = made("--reading", name)
        assert values(found) == {**plain, **fields} and fields.items() <= overrides.items()
    assert values(made("--reading", CHOSEN)[0]) == plain, "the chosen one is the profile's own"
    found, overrides = made("--reading", "printed", "--set", "model.ffn_residual=true")
    assert found.model.ffn_residual and overrides["model.ffn_residual"] is True
    assert found.model.context_layers == PRESETS["printed"]["model.context_layers"]


def test_an_unknown_reading(capsys):
    refused(
        capsys,
        ["reproduce", "table1", "--reading", "residul"],
        "unknown reading 'residul'",
        "did you mean 'residual'",
        "printed, residual, context",
    )


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two classes of UCF-101 and of HMDB-51, 4 + 2 videos each, and ten videos of three classes as in Charades."""
    from sfar.storyboard.scripts import HMDB, UCF
    from sfar.storyboard.sets import write_charades, write_hmdb51, write_ucf101

    base = tmp_path_factory.mktemp("sets")
    write_ucf101(base / "ucf101", 5, 4, 2, classes=tuple(UCF)[:2], workers=1)
    write_hmdb51(base / "hmdb51", 5, 4, 2, classes=tuple(HMDB)[:2], workers=1)
    write_charades(base / "charades", 5, 6, 4, classes=tuple(UCF)[:3], workers=1)
    return base


@pytest.mark.usefixtures("videos_here")
def test_few_shot_and_zero_shot(capsys, tmp_path, sets):
    ckpt = str(tmp_path / "x.safetensors")
    hmdb, ucf = (["--dataset", n, "--data", str(sets / n)] for n in ("hmdb51", "ucf101"))
    assert main(["train", "sfar", *hmdb, "--out", ckpt, "--set", "data.shots=2", *SMALL]) == 0
    assert "(4 clips, 2 times an epoch, 1 steps in " in capsys.readouterr().out
    assert main(["evaluate", ckpt, *hmdb]) == 0 and main(["evaluate", ckpt, *ucf, "--zero-shot"]) == 0
    out = capsys.readouterr().out
    assert "of 4 videos" in out and "zero-shot on 12 videos of 2 classes: half10" in out and "split3" in out
    # A frozen tower's kept embeddings are the CLIP's own; those of a trained one must not get among them.
    assert main(["evaluate", ckpt, *ucf, "--zero-shot", "--set", "train.train_visual=false"]) == 0
    assert capsys.readouterr().out == out.splitlines(keepends=True)[-1]
    refused(capsys, ["evaluate", ckpt, *ucf], "trained on 2 classes, the data has 2 or others")
    refused(
        capsys,
        ["evaluate", ckpt, "--dataset", "charades", "--data", sets / "charades", "--zero-shot"],
        "--zero-shot is for UCF-101 and HMDB-51",
    )
    refused(capsys, ["train", "sfar", *hmdb, "--out", ckpt, "--set", "data.shots=5"], "5")
    refused(
        capsys,
        ["train", "sfar", *hmdb, "--out", ckpt, "--set", "data.shot_list=/no/such/list.json"],
        "/no/such/list.json",
    )


@pytest.mark.usefixtures("videos_here")
def test_charades(capsys, tmp_path, sets):
    ckpt = str(tmp_path / "x.safetensors")
    where = [
        "--dataset",
        "charades",
        "--data",
        str(sets / "charades"),
        "--set",
        "train.train_visual=false",
        "--set",
        "train.frames=4",
        *SMALL,
    ]
    assert main(["train", "clip", *where, "--out", ckpt]) == 0 and main(["evaluate", ckpt, *where]) == 0
    assert "1x1: mAP (official) " in capsys.readouterr().out
