"""``sfar data ...``: what each command prints, writes and returns, and one clear message for each mistake."""

import json
import os
import shlex
import shutil

import pytest
from test_video import needs_decord, write

from sfar.cli.data import FIRST, text, usage
from sfar.cli.main import main, parser
from sfar.config import LAYOUT_NAMES
from sfar.data import fewshot, layouts

CLASSES = ("brush hair", "wave")


def make(root, videos=4):
    """HMDB-51's layout with ``videos`` of each class: the first half trains, the rest tests, the last one neither."""
    (root / "testTrainMulti_7030_splits").mkdir(parents=True)
    (root / "truth.json").write_text("{}")
    write(root / "one.avi", frames=9, codec="mpeg4", bframes=0, width=64, height=48)
    for k, name in enumerate(c.replace(" ", "_") for c in CLASSES):
        (root / "videos" / name).mkdir(parents=True)
        for i in range(videos):
            (root / "videos" / name / f"{name}_{i}.avi").write_bytes(
                (root / "one.avi").read_bytes() + bytes(50 * k + i + 1)
            )  # no two of one size
        for fold in (1, 2, 3):
            (root / "testTrainMulti_7030_splits" / f"{name}_test_split{fold}.txt").write_text(
                "".join(
                    f"{name}_{i}.avi {1 if i < videos // 2 else 2 if i < videos - 1 else 0} \n" for i in range(videos)
                )
            )
    (root / "one.avi").unlink()
    return root


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory):
    return make(tmp_path_factory.mktemp("hmdb") / "set")


def run(*argv):
    return main(["data", *map(str, argv)])


def refused(capsys, argv, *parts):
    """Status 2 and a message on stderr that holds ``parts``."""
    assert run(*argv) == 2
    err = capsys.readouterr().err
    assert "sfar: " in err and "Traceback" not in err
    assert all(str(part) in err for part in parts), err


# --- check ---


@pytest.mark.usefixtures("videos_here")
def test_check_prints_and_writes_a_report(hmdb, tmp_path, capsys):
    assert run("check", "hmdb51", "--root", hmdb, "--workers", 1, "--out", tmp_path / "new" / "r.json") == 0
    out = capsys.readouterr().out
    assert "All well." in out and f"Written: {tmp_path / 'new' / 'r.json'}" in out and "8 videos" in out
    assert out.count("| train ") == 3 and "| val 2 " in out and "| all " in out
    report = json.loads((tmp_path / "new" / "r.json").read_text(encoding="utf-8"))
    assert report["status"] == 0 and report["dataset"] == "hmdb51" and report["wrong"] == []


@pytest.mark.usefixtures("videos_here")
def test_check_returns_1_and_names_the_files(tmp_path, capsys):
    root = make(tmp_path / "set")
    (root / "videos/wave/wave_0.avi").write_bytes(b"")
    (root / "videos/wave/wave_1.avi").write_text("not a video")
    (root / "videos/brush_hair/brush_hair_1.avi").unlink()
    (root / "videos/brush_hair/more.avi").write_bytes(b"x")
    assert run("check", "hmdb51", "--root", root, "--workers", 1, "--fold", 2) == 1
    out = capsys.readouterr().out
    for part in (
        "Cannot be decoded, empty (0 bytes): 1",
        "videos/wave/wave_0.avi: is empty",
        "videos/wave/wave_1.avi: is damaged or not a video",
        "Missing: 1",
        "videos/brush_hair/brush_hair_1.avi (train 2, all)",
        "Extra: 1",
        "videos/brush_hair/more.avi",
        "Wrong: train 2: 1 of 4 videos are not on disk (25.0%",
        "Wrong: 2 of 7 videos cannot be decoded",
    ):
        assert part in out, out
    assert "train 1" not in out and "All well" not in out


@pytest.mark.usefixtures("videos_here")
@pytest.mark.parametrize("reader", ["pyav", pytest.param("decord", marks=needs_decord)])
def test_check_of_a_folder_with_any_name(hmdb, tmp_path, monkeypatch, capsys, reader):
    """Relative, with a colon, or not text at all; ``~`` where a shell leaves it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("hmdb:v2", "a b", os.fsdecode(b"h\x8c")):
        try:
            shutil.copytree(hmdb, name)
        except OSError:  # a system whose names are text
            continue
        for root in (name, f"~/{name}"):
            argv = [
                "check",
                "hmdb51",
                f"--root={root}",
                "--fold",
                1,
                "--workers",
                1,
                "--out=~/r.json",
                "--reader",
                reader,
            ]
            assert run(*argv) == 0
            assert "All well." in capsys.readouterr().out
            report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
            assert report["undecodable"] == [] and report["root"].endswith(name) and "~" not in report["root"]


@pytest.mark.usefixtures("videos_here")
def test_check_says_where_a_link_leads(hmdb, tmp_path, capsys):
    """Here to itself; the same command, when it is mended, finds all well."""
    root = tmp_path / "set"
    shutil.copytree(hmdb, root)
    path = root / "videos/wave/wave_0.avi"
    whole = path.read_bytes()
    path.unlink()
    path.symlink_to(path.name)
    argv = ["check", "hmdb51", "--root", root, "--workers", 1, "--fold", 1]
    assert run(*argv) == 1
    out = capsys.readouterr().out
    assert "videos/wave/wave_0.avi is a link to wave_0.avi, which is not there" in out
    assert "Wrong: train 1: 1 of 4 videos are not on disk" in out
    path.unlink()
    path.write_bytes(whole)
    assert run(*argv) == 0 and "All well." in capsys.readouterr().out


def test_only_the_first_problems_are_printed():
    count = FIRST + 5
    report = {
        "title": "UCF-101",
        "root": "/data",
        "videos": 20,
        "examined": 20,
        "kept": 0,
        "deep": True,
        "reader": "decord",
        "splits": [],
        "undecodable": [],
        "min_frames": 8,
        "missing": [{"path": f"v{i:02d}.avi", "splits": ["all"]} for i in range(count)],
        "too_short": [],
        "train_and_val": [],
        "identical": [],
        "beyond_end": [],
        "extra": [],
        "remarks": [],
        "wrong": ["train: 15 of 20"],
    }
    said = text(report)
    assert (
        f"Missing: {count}" in said
        and f"v{FIRST - 1:02d}.avi" in said
        and f"v{FIRST:02d}.avi" not in said
        and "... and 5 more" in said
    )
    assert said.endswith("Wrong: train: 15 of 20") and "every frame decoded, with decord" in said


def test_check_refuses(hmdb, tmp_path, capsys):
    refused(capsys, ["check", "ucf11", "--root", hmdb], "'ucf11'", "kinetics400, ucf101, hmdb51, charades")
    refused(capsys, ["check", "hmdb51", "--root", hmdb, "--fold", 4], "fold 4")
    refused(capsys, ["check", "kinetics400", "--root", hmdb, "--fold", 2], "fold 2", "Kinetics-400")
    refused(capsys, ["check", "hmdb51", "--root", hmdb, "--out", tmp_path], "cannot write", tmp_path)
    refused(capsys, ["check", "hmdb51", "--root", hmdb, "--reader", "opencv"], "'opencv'", "auto, pyav, decord")
    with pytest.raises(SystemExit) as e:
        run("check", "hmdb51", "--root", hmdb, "--workers", 0)
    assert e.value.code == 2 and "at least 1" in capsys.readouterr().err
    for command in (["check"], ["few-shot", "--shots", 1, "--out", tmp_path / "list.json"]):  # an empty variable
        with pytest.raises(SystemExit):
            run(*command, "--dataset", "folder", "--root", "")
        assert "argument --root: expected a folder, got an empty name" in capsys.readouterr().err


@pytest.mark.parametrize("name", LAYOUT_NAMES)
@pytest.mark.parametrize("what", ["absent", "empty", "other things"])
def test_a_root_without_data_shows_where_it_is_had_and_the_tree(tmp_path, capsys, name, what):
    root = tmp_path / "set"
    if what != "absent":
        root.mkdir()
    if what == "other things":
        (root / "notes.md").write_text("nothing")
    refused(capsys, ["check", name, "--root", root], root, layouts.LAYOUTS[name].tree, layouts.LAYOUTS[name].had)


def test_a_bad_line_does_not_bury_its_message_under_the_tree(tmp_path, capsys):
    root = make(tmp_path / "set")
    (root / "testTrainMulti_7030_splits/wave_test_split1.txt").write_text("wave_0.avi 3\n")
    refused(capsys, ["check", "hmdb51", "--root", root], "wave_test_split1.txt line 1")
    assert run("check", "hmdb51", "--root", root) == 2 and "hmdb51_org.rar" not in capsys.readouterr().err


# --- layout ---


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_layout(capsys, name):
    assert run("layout", name) == 0
    out = capsys.readouterr().out
    about = layouts.LAYOUTS[name]
    assert about.tree in out and about.had in out and f"{about.title}, {about.classes} classes" in out
    for expected in about.counts.values():
        assert all(f"{e.number:,}" in out for e in expected)
    for line in usage(name):
        assert line in out
        if line.startswith("sfar "):
            assert parser().parse_args(shlex.split(line)[1:]).run  # the commands exist, with these options
    refused(capsys, ["layout", "imagenet"], "'imagenet'")


# --- few-shot ---


def test_few_shot(hmdb, tmp_path, capsys):
    file = tmp_path / "list.json"
    assert run("few-shot", "hmdb51", "--root", hmdb, "--shots", 2, "--seed", 3, "--fold", 2, "--out", file) == 0
    out, saved = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    assert (
        "4 clips, 2 of each of 2 classes, seed 3" in out
        and saved["sha256"] in out
        and str(file) in out
        and "fold 2" in out
    )
    manifest = layouts.read("hmdb51", hmdb, "train", 2)
    assert fewshot.load_list(file, manifest) == fewshot.choose(manifest, 2, 3)


def test_few_shot_refuses(hmdb, tmp_path, capsys):
    file = tmp_path / "list.json"
    refused(capsys, ["few-shot", "hmdb51", "--root", hmdb, "--shots", 3, "--out", file], "brush hair", "3 shots")
    refused(capsys, ["few-shot", "hmdb51", "--root", tmp_path / "nowhere", "--shots", 1, "--out", file], "nowhere")
    refused(capsys, ["few-shot", "hmdb51", "--root", hmdb, "--shots", 1, "--out", tmp_path], "cannot write")
    refused(capsys, ["few-shot", "charades", "--root", hmdb, "--shots", 1, "--fold", 2, "--out", file], "fold 2")
    for option in (["--shots", 0], ["--shots", 1, "--seed", -1], []):
        with pytest.raises(SystemExit):
            run("few-shot", "hmdb51", "--root", hmdb, *option, "--out", file)
    assert not file.exists()
