"""What a run needs is looked at before its first video is opened, in training, evaluation and the plan alike."""

import shutil

import pytest
from small_sets import at

from sfar.cli.main import main
from sfar.data import source, video
from sfar.data.manifest import Clip, Manifest
from sfar.errors import ConfigError, DataError
from sfar.reproduce import ready
from sfar.runs import scored
from sfar.util import paths

CLIPS = tuple(Clip(f"v{i}.mp4", i % 2, f"v{i}") for i in range(4))


@pytest.fixture
def unopened(monkeypatch):
    """No video is opened: to look at any fails."""

    def opened(*a, **k):
        raise AssertionError("a video was opened")

    for name in ("examine", "decoded_bytes"):
        monkeypatch.setattr(source, name, opened)


@pytest.fixture
def ucf(roots, tmp_path):
    """A copy of the small UCF-101, which no other test has looked at."""
    shutil.copytree(roots["ucf101"], tmp_path / "ucf101")
    return tmp_path / "ucf101"


@pytest.fixture
def trained(tmp_path, roots):
    """A checkpoint of the small Kinetics set."""
    file = tmp_path / "trained.safetensors"
    argv = ["train", "clip", "--data", str(roots["kinetics400"]), "--out", str(file)]
    assert main([*argv, "--set", "train.epochs=1", "--set", "train.train_visual=false"]) == 0
    return file


def said(capsys, *argv):
    """The one line with which a command ends."""
    capsys.readouterr()
    assert main([str(a) for a in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sfar: ") and err.count("\n") == 1, err
    return err


def test_what_a_list_lacks(tmp_path):
    whole = Manifest("kinetics400", "train", tmp_path, ("a", "b"), CLIPS)
    assert ready.lacks(whole, 0.0) == []
    few = Manifest("kinetics400", "train", tmp_path, ("a", "b"), CLIPS[::2], ("v1.mp4", "v3.mp4"))
    lost, idle = ready.lacks(few, 0.4)
    assert "2 of 4 train videos are not on disk (50.0%; data.max_bad_share allows 40.0%)" in lost
    assert "--set data.max_bad_share=0.51" in lost and "no training video of b" in idle
    assert ready.lacks(few, 0.5) == [idle]
    assert ready.lacks(Manifest("kinetics400", "val", tmp_path, ("a", "b"), CLIPS[::2], ("x",)), 0.5) == []


def test_the_lists_of_a_training_are_those_it_opens(roots):
    def lists(**changes):
        p = at(roots, "hmdb51", **{k.replace("__", "."): v for k, v in changes.items()})
        return [len(m.clips) for m in ready.training_lists(p, source.dataset(p))]

    assert lists() == lists(train__train_visual=False) == [8]
    assert lists(data__shots=1) == [2] and lists(data__shots=1, train__train_visual=False) == [2, 8]
    with pytest.raises(DataError, match="has 4"):
        lists(data__shots=9)


def test_a_model_that_open_clip_does_not_have(roots):
    with pytest.raises(ConfigError, match="unknown CLIP 'ViT-X'"):
        ready.config_of(at(roots, "hmdb51", **{"model.clip": "ViT-X"}))


WEIGHTS = ["--set", "model.clip=ViT-B-16-quickgelu", "--set", "data.image_size=224", "--set"]


@pytest.mark.usefixtures("unopened")
def test_training_ends_before_the_first_video(capsys, tmp_path, ucf, monkeypatch):
    train = ["train", "sfar", "--dataset", "ucf101", "--data", ucf, "--out", tmp_path / "x"]
    assert "none.pt" in said(capsys, *train, *WEIGHTS, "model.pretrained=/none.pt")
    assert "/none.json" in said(capsys, *train, "--subtexts", "/none.json")
    with monkeypatch.context() as patch:
        patch.setattr(video, "decord_module", lambda: None)
        assert "decord is not installed" in said(capsys, *train, "--set", "data.reader=decord")
    with monkeypatch.context() as patch:
        patch.setattr(paths, "free", lambda folder: 1000)
        assert "a checkpoint and a state on the way to it: " in said(capsys, *train)
    for clip in source.dataset(at({"ucf101": ucf}, "ucf101")).manifest("train").clips[:2]:
        (ucf / clip.path).unlink()
    assert "train videos are not on disk" in said(capsys, *train)
    assert not (tmp_path / "x").exists()
    with pytest.raises(AssertionError, match="a video was opened"):
        main([str(a) for a in [*train, "--set", "data.max_bad_share=0.9"]])


@pytest.mark.usefixtures("videos_here")
def test_evaluation_ends_before_the_first_video(capsys, tmp_path, trained, ucf, monkeypatch):
    evaluate = ["evaluate", trained, "--dataset", "ucf101", "--data", ucf]
    with monkeypatch.context() as patch:
        for name in ("examine", "decoded_bytes"):
            patch.setattr(source, name, None)
        assert "trained on 2 classes, the data has 2 or others" in said(capsys, *evaluate)
        (gone, *_) = [c.path for c in source.dataset(at({"ucf101": ucf}, "ucf101")).manifest("val").clips]
        (ucf / gone).rename(tmp_path / "gone.avi")
        assert "1 of 4 val videos are not on disk" in said(capsys, *evaluate)
        assert "1 of 12 all videos are not on disk" in said(capsys, *evaluate, "--zero-shot")
    (tmp_path / "gone.avi").rename(ucf / gone)

    # The lists of fold 1 alone: half10, and why there is no split3.
    zero_shot = [*map(str, evaluate), "--zero-shot", "--scores", str(tmp_path / "scores.json")]
    assert main(zero_shot) == 0
    out = capsys.readouterr().out
    assert "half10 " in out and "split3 " in out and "left out" not in out
    assert set(scored.load(tmp_path / "scores.json").metrics) == {"half10", "split3"}
    for fold in (2, 3):
        for kind in ("train", "test"):
            next(ucf.rglob(f"{kind}list0{fold}.txt")).unlink()
    monkeypatch.setattr(source, "_lists", {})  # of this process, which has read them
    assert main(zero_shot) == 0
    line, why = capsys.readouterr().out.strip().splitlines()
    assert "half10 " in line and "split3" not in line and ", all classes " in line
    assert why.startswith("split3 is left out: it needs the test lists of all three folds: ") and "list02.txt" in why
    assert set(scored.load(tmp_path / "scores.json").metrics) == {"half10"}
