"""The command: what it does, and one clear message for each mistake; no traceback, no half-written results."""

import ctypes
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import makefile
import numpy as np
import pytest
from waiting import ENOUGH, until

from sfar.cli.main import main
from sfar.data.kinetics import read_kinetics
from sfar.runs import scored
from sfar.storyboard.scripts import KINETICS
from sfar.subtexts import SubTexts
from sfar.util import paths


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
        (["--set", f"seeds=[{2**63}]"], ["'seeds': expected one or more distinct integers from 0 to 2**63 - 1"]),
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
    ("argv", "message"),
    [
        (["reproduce", "table1", "--jobs", "0"], "argument --jobs: expected a whole number of at least 1, got '0'"),
        (
            ["storyboard", "draw", "--out", "x", "--seed", "-1"],
            "argument --seed: expected a whole number of at least 0",
        ),
        (
            ["storyboard", "draw", "--out", "x", "--seed", str(2**63)],
            "argument --seed: expected a whole number from 0 to 2**63 - 1, got '9223372036854775808'",
        ),
        (["pretrain", "--steps", "none"], "argument --steps: expected a whole number of at least 1, got 'none'"),
        (["storyboard", "draw", "--out", "x", "--val-per-class", "0"], "argument --val-per-class: expected a whole"),
        (["reproduse"], "invalid choice: 'reproduse'"),
    ],
)
def test_wrong_options(capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and f"error: {message}" in capsys.readouterr().err.replace("argument COMMAND: ", "")


def test_draw_names_its_option(capsys, tmp_path):
    argv = ["storyboard", "draw", "--out", tmp_path / "new", "--dataset", "charades", "--train-per-class", "1"]
    refused(capsys, [*argv, "--val-per-class", "1"], "--val-per-class 1: too few for charades")
    assert list(tmp_path.iterdir()) == []


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
    known = scored.load(tmp_path / "b.json")
    listed = {c.path: c for c in read_kinetics(world, "val").clips}
    assert (known.about, known.dataset, known.split, known.views) == ("sfar, seed 0", "kinetics400", "val", "1x1")
    assert known.classes == read_kinetics(world, "val").classes and set(known.paths) == set(listed)
    assert [listed[p].video_id for p in known.paths] == list(known.videos)
    assert [listed[p].label for p in known.paths] == known.labels.tolist()
    assert known.metrics["top1"] == pytest.approx(100 * np.trace(known.confusion()) / len(known.videos))
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
    refused(capsys, ["storyboard", "draw", "--out", world], f"--out {world}", "not an empty folder")


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


def _interrupted(p, under_way):
    """Ctrl-C for the whole process group, as from a terminal, when it is so far; what it says on its standard error.

    On a busy machine it may take its time, but it never outlives the test.
    """
    try:
        until(lambda: under_way() or p.poll() is not None)
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGINT)
        return p.communicate(timeout=ENOUGH)[1]
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)


def test_interrupted_draw_leaves_nothing(tmp_path):
    """Ctrl-C in the middle, which the whole process group gets: status 130, one message, no folder."""
    out = tmp_path / "data" / "k400"
    # So many that it is not done, however late this process hears of the first.
    p = _command("storyboard", "draw", "--out", out, "--train-per-class", "2000", start_new_session=True)
    err = _interrupted(p, lambda: list(tmp_path.glob("data/.k400.*/train/*.mp4")))
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
            env={**os.environ, "SFAR_HOME": str(tmp_path)},
            stderr=file,
        )

    def trained():
        return set(re.findall(r"runs, (\S+)/seed 0", _read(said)))

    _interrupted(p, lambda: len(trained()) == 2)  # both have taken a step
    err = _read(said)
    assert p.returncode == 130 and len(trained()) == 2, err
    assert err.strip().splitlines()[-1].startswith("sfar: interrupted") and "Traceback" not in err
    assert not (tmp_path / "results").exists()
    until(lambda: not _alive(p.pid))  # the interpreter's own helper process goes a moment later


def test_full_disk_leaves_nothing(tmp_path):
    """A disk that takes no more (here: a file size limit that every process inherits) ends in one message."""
    out = tmp_path / "data" / "k400"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # noqa: E731
    p = _command("storyboard", "draw", "--out", out, "--train-per-class", "1", "--val-per-class", "1", preexec_fn=limit)
    _, err = p.communicate(timeout=ENOUGH)
    assert p.returncode == 2, err
    assert "cannot write" in err and "Traceback" not in err
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "home", "cache", "parts"),
    [
        (["reproduce", "table1"], "file", "kept", ["file/results/storyboard: ", "set SFAR_HOME to another folder"]),
        (["reproduce", "table1"], "open", "file/kept", ["file/kept: ", "set SFAR_CACHE to another folder"]),
        (["reproduce", "table1", "--seeds", "7"], "file", "kept", ["file/results/runs/storyboard-", "SFAR_HOME"]),
        (["summary"], "file", "kept", ["file/results/storyboard: ", "SFAR_HOME"]),
        (["notebook", "03"], "file", "kept", ["file/results/runs: ", "SFAR_HOME"]),
        (["tune"], "file", "kept", ["file/results/storyboard: ", "SFAR_HOME"]),
        (["pretrain", "--out", "file/clip"], "open", "kept", ["file/clip: "]),
        (["train", "sfar", "--out", "x"], "open", "file/kept", ["file/kept/", "SFAR_CACHE"]),
    ],
)
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    capsys, tmp_path, monkeypatch, argv, home, cache, parts
):
    """One line that names the folder and the variable that moves it; nothing is drawn or trained."""
    (tmp_path / "file").touch()  # no folder: also a super-user cannot write in it
    monkeypatch.setattr(paths, "PROJECT", tmp_path / home)
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / cache))
    monkeypatch.chdir(tmp_path)
    refused(capsys, argv, "cannot write ", "Not a directory", *parts)
    assert [f.name for f in tmp_path.rglob("*")] == ["file"]


def _heeds_rights():
    """Also a super-user's process: CAP_DAC_OVERRIDE is not for the program that this one becomes."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):  # PR_CAPBSET_DROP
        os._exit(77)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes a right from a process as Linux can")
@pytest.mark.parametrize("locked", ["results", "notebooks"])
def test_a_clone_that_is_only_read(tmp_path, locked):
    for name in ("results", "notebooks"):
        (tmp_path / "clone" / name).mkdir(parents=True)
    (tmp_path / "clone" / locked).chmod(0o555)
    places = {"SFAR_HOME": str(tmp_path / "clone"), "SFAR_CACHE": str(tmp_path / "kept")}
    p = _command("reproduce", "table1", preexec_fn=_heeds_rights, env={**os.environ, **places})
    _, err = p.communicate()
    (tmp_path / "clone" / locked).chmod(0o755)
    if p.returncode == 77:
        pytest.skip("a super-user's process that may not give up its rights")
    assert p.returncode == 2 and err.count("\n") == 1, err
    assert err.startswith(f"sfar: cannot write in {tmp_path / 'clone' / locked}"), err
    assert "Permission denied" in err and "SFAR_HOME" in err
    assert {f.name for f in tmp_path.rglob("*")} == {"clone", "results", "notebooks"}


@pytest.mark.parametrize(
    "output",
    [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["latin-1", "C"],
)
def test_output_that_is_not_utf_8(tmp_path, output):
    """A dash, an arrow, a Greek letter or a name that the terminal has no signs for is shown by its codes."""
    good, wrong = tmp_path / "good.json", tmp_path / "wrong.json"
    for file, texts in ((good, ["einen Fuß heben", "a – b"]), (wrong, ["прыжок", "a → β"])):
        content = {"label_set": "α → β – γ", "sets": {"2": {"прыжок": texts}}}
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    commands = [
        ["reproduce", "table1", "--dry-run"],
        ["subtexts", "check", str(good)],
        ["subtexts", "check", str(wrong)],
    ]
    code = f"from sfar.cli.main import main\nfor argv in {commands!r}:\n    print('status', main(argv), flush=True)"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"} | output
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="latin-1", env=env)
    assert re.findall(r"^status (\d)", done.stdout, re.MULTILINE) == ["0", "0", "2"], done.stderr
    assert "Traceback" not in done.stderr
    for shown in (
        r"| \u2013 ",
        r"of '\u03b1 \u2192 \u03b2 \u2013 \u03b3', N = 2",
        r"\u043f\u0440\u044b\u0436\u043e\u043a",
    ):
        assert shown in done.stdout, done.stdout


def test_main_encodes_before_it_reads_options(monkeypatch):
    """`--help` ends in the parser."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(SystemExit):
        main(["--help"])
    print("–", flush=True)
    assert stdout.buffer.getvalue().endswith(b"\\u2013\n")


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
    frozen = ["--zero-shot", "--set", "train.train_visual=false", "--scores", str(tmp_path / "scores.json")]
    assert main(["evaluate", ckpt, *ucf, *frozen]) == 0
    known = scored.load(tmp_path / "scores.json")
    assert (known.dataset, known.split, len(known.videos), known.scores.shape) == ("ucf101", "all", 12, (12, 2))
    assert known.metrics["half10"]["full"]["top1"] == pytest.approx(100 * np.trace(known.confusion()) / 12)
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
