"""Videos of one's own from the folder to the prediction: checked, trained on, evaluated, asked, by the command."""

import csv
import json
import shutil

import pytest
from test_cli import refused

from sfar.cli.main import main
from sfar.data.kinetics import read_kinetics
from sfar.runs import scored
from sfar.training import checkpoint

QUICK = ["--set", "train.epochs=1", "--set", "train.train_visual=false"]


@pytest.fixture(scope="module")
def own(tmp_path_factory, roots):
    """Two classes with six drawn videos each, in folders of their names."""
    root = tmp_path_factory.mktemp("own") / "videos"
    for split in ("train", "val"):
        m = read_kinetics(roots["kinetics400"], split)
        for k, c in enumerate(m.clips):
            to = root / m.classes[c.label].title().replace(" ", "") / f"{split}{k}.mp4"
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(m.root / c.path, to)
    return root


@pytest.mark.usefixtures("videos_here")
def test_from_a_folder_to_a_prediction(capsys, tmp_path, own):
    assert main(["data", "check", "--dataset", "folder", "--root", str(own)]) == 0
    said = capsys.readouterr().out
    assert "All well." in said and "'LongJump' is 'long jump'" in said and "| all     | 12" in said
    ckpt, scores = tmp_path / "own.safetensors", tmp_path / "scores.json"
    argv = ["train", "sfar-printed", "--dataset", "folder", "--root", str(own), "--out", str(ckpt), *QUICK]
    assert main([*argv, "--set", "model.frame_temperature=0.3", "--set", "data.fold=2"]) == 0
    said = capsys.readouterr().out
    assert "note: 2 classes (videos): long jump (6), triple jump (6)" in said
    assert "(data.fold=2 of 1, 2, 3): 10 train, 2 test" in said and "note: sub-texts: 2 classes bundled" in said
    about = checkpoint.read_about(ckpt)
    assert about["classes"] == ["long jump", "triple jump"] == list(about["subtexts"])
    # Nothing is repeated: configuration, data set and fold are the checkpoint's.
    assert main(["evaluate", str(ckpt), "--data", str(own), "--scores", str(scores)]) == 0
    said = capsys.readouterr().out
    assert "of 2 videos" in said and "(data.fold=2 of 1, 2, 3)" in said
    found = scored.load(scores)
    assert (found.dataset, found.fold, found.classes) == ("folder", 2, ("long jump", "triple jump"))
    video = own / found.paths[0]
    assert main(["predict", str(video), "--checkpoint", str(ckpt), "--json", str(tmp_path / "a.jsonl")]) == 0
    answer = json.loads((tmp_path / "a.jsonl").read_text())
    assert {c["class"]: c["probability"] for c in answer["classes"]} == pytest.approx(
        dict(zip(found.classes, found.scores[0], strict=True)), abs=1e-4
    )


@pytest.mark.usefixtures("videos_here")
def test_a_csv_file_with_classes_that_no_bank_has(capsys, tmp_path, own):
    """Sub-texts of a file, of the bank where the file lacks a class, or the names alone."""
    with (tmp_path / "own.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for name, label in (("LongJump", "long jump"), ("TripleJump", "hopping far")):
            for k, path in enumerate(sorted((own / name).iterdir())):
                rows.writerow([path, label, "val" if k == 5 else "train"])
    argv = ["train", "sfar-printed", "--dataset", "folder", "--data", tmp_path / "own.csv", *QUICK, "--out"]
    refused(
        capsys, [*argv, tmp_path / "x"], "no bundled sub-texts for class 'hopping far'", "--subtexts FILE", "'name'"
    )
    texts = {"hopping far": ["running up", "a hop", "a step", "landing in sand"]}
    (tmp_path / "texts.json").write_text(json.dumps({"label_set": "own", "sets": {"4": texts}}))
    for asked, source in ((tmp_path / "texts.json", "1 classes of "), ("name", "the class names alone")):
        ckpt = tmp_path / "own.safetensors"
        assert main([str(a) for a in [*argv, ckpt, "--subtexts", asked]]) == 0
        assert f"note: sub-texts: {source}" in capsys.readouterr().out
        (tmp_path / "texts.json").unlink(missing_ok=True)  # the checkpoint has them
        assert main(["evaluate", str(ckpt), "--data", str(tmp_path / "own.csv")]) == 0
        assert "of 2 videos" in capsys.readouterr().out
        assert main(["predict", str(own / "LongJump/train0.mp4"), "--checkpoint", str(ckpt)]) == 0
        assert "hopping far" in capsys.readouterr().out
        about = checkpoint.read_about(ckpt)
        assert about["subtexts"]["hopping far"] == (texts["hopping far"] if asked != "name" else ["hopping far"] * 4)
    refused(capsys, ["evaluate", ckpt, "--data", own], "trained on 2 classes, the data has 2 or others")


def test_what_is_missing_is_said(capsys, tmp_path, own):
    refused(
        capsys, ["train", "sfar", "--dataset", "folder", "--out", tmp_path / "x"], "needs the data set folder on disk"
    )
    refused(capsys, ["data", "check", "--root", own], "unknown data set ''", "charades, folder")
    assert main(["data", "layout", "folder"]) == 0
    assert "sfar train sfar --profile paper --dataset folder --data DIR" in capsys.readouterr().out
