"""A model on videos of one's own: the library's five lines, and `sfar predict`."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from test_refused import nobody

import sfar
from sfar.cli.main import main
from sfar.config import changed, get_profile
from sfar.data.source import dataset, load_clips
from sfar.data.transforms import val_indices
from sfar.data.video import probe, read_all
from sfar.errors import ConfigError, VideoError
from sfar.recognizer import Recognizer, words_of
from sfar.render import prediction
from sfar.runs.run import build_model
from sfar.storyboard.write import write_kinetics
from sfar.subtexts.source import bundled, subtexts_of
from sfar.training import checkpoint
from sfar.training.evaluate import score

CLASSES = ("long jump", "making pizza")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with drawn videos of two classes and a checkpoint trained on them."""
    base = tmp_path_factory.mktemp("own")
    write_kinetics(base / "k", 7, 2, 2, classes=CLASSES, workers=1)
    argv = ["train", "sfar", "--data", str(base / "k"), "--out", str(base / "own.safetensors"), "--reading", "printed"]
    for setting in ("train.epochs=1", "train.warmup_epochs=0", "train.batch=4", "train.frames=4"):
        argv += ["--set", setting]
    assert main(argv) == 0
    return base


@pytest.fixture(scope="module")
def model(home):
    return sfar.load(home / "own.safetensors")


@pytest.fixture(scope="module")
def videos(home):
    return sorted((home / "k" / "val").glob("*.mp4"))


# --- the library -----------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_all_it_takes(home, model):
    """Configuration, classes and sub-texts are in the file."""
    about = checkpoint.read_about(home / "own.safetensors")
    assert model.classes == CLASSES == tuple(about["classes"])
    for c, own in subtexts_of(get_profile("storyboard"), CLASSES).items():
        assert model.texts[c] == own == tuple(about["subtexts"][c])
    assert model.profile.train.frames == 4 and model.profile.model.ffn_residual is False
    assert not model.model.training and "Recognizer('sfar', 2 classes" in repr(model)


def test_it_says_what_the_evaluation_says(home, model, videos):
    """Probabilities and importances of every test video, from the evaluation's own path."""
    given = {"data.root": str(home / "k"), "train.frames": 4}
    profile = get_profile("storyboard", {**given, "model.ffn_residual": False, "model.frame_norm": True})
    data = dataset(profile)
    other = build_model(profile, data.classes, subtexts_of(profile, data.classes), "sfar", 0)
    checkpoint.load(home / "own.safetensors", other, profile, data.classes)
    clips = load_clips(profile, data, "val")
    s = score(other, clips, 4, 64)
    for row, i in enumerate(s.clips):
        found = model.predict(data.root / clips.paths[i])
        label = int(s.labels[row])
        np.testing.assert_allclose(found.probabilities, s.probabilities[row], atol=1e-5)
        np.testing.assert_allclose(found.coarse[label], s.coarse[row], atol=1e-5)
        np.testing.assert_allclose(found.fine[label], s.fine[row], atol=1e-5)
        assert found.indices.tolist() == s.indices[row].tolist()


def test_a_prediction(model, videos):
    found = model.predict(videos[0])
    info = probe(videos[0])
    assert found.indices.tolist() == val_indices(info.frames, 4).tolist()
    assert found.times == pytest.approx(found.indices / info.fps) and found.frames.shape[0] == 4
    assert found.probabilities.sum() == pytest.approx(1) and found.label == found.top(1)[0][0]
    assert [p for _, p in found.top(2)] == sorted(found.probabilities.tolist(), reverse=True)
    assert found.coarse.shape == found.fine.shape == found.nearest.shape == (2, 4)
    assert found.coarse.sum(1) == pytest.approx(1) and found.fine.sum(1) == pytest.approx(1)
    assert set(found.best_subtexts("long jump")) <= set(model.texts["long jump"])
    assert repr(found).startswith(f"Prediction({str(videos[0])!r}: ")
    with pytest.raises(ConfigError, match="'yoga' is not among those that were asked for: long jump, making pizza"):
        found.best_subtexts("yoga")


def test_the_best_sub_text_is_where_eq_9_takes_its_maximum(model, videos):
    found = model.predict(videos[0])
    texts = model._said(model.classes, found.subtexts)[1]
    from sfar.data.transforms import center_crop
    from sfar.model.clip import embed_frames

    with torch.inference_mode():
        v = embed_frames(model.model.clip, center_crop(torch.from_numpy(found.frames), 64)[None])[0]
    for c in range(2):
        for frame in range(4):
            means = []
            for n in range(texts.sub_words.shape[1]):
                words = texts.sub_words[c, n][texts.sub_mask[c, n]]
                cosines = torch.nn.functional.cosine_similarity(words, v[frame][None])
                means.append(cosines.mean().item())
            assert int(np.argmax(means)) == found.nearest[c, frame]


def test_other_classes_are_recognised_zero_shot(model, videos):
    """The bundled sub-texts of whichever label set has the class, one's own, or the name alone."""
    found = model.predict(videos[0], classes=["archery", "long jump", "pole vault"])
    assert found.subtexts["archery"] == bundled("archery", 4) and len(found.probabilities) == 3
    own = {"slipping": ["a", "b", "c", "d"], "sliding": ["e", "f", "g", "h"]}
    assert model.predict(videos[0], classes=["sliding", "slipping"], subtexts=own).subtexts["sliding"] == tuple("efgh")
    alone = model.predict(videos[0], classes=["falling over a dog"], subtexts="name")
    assert alone.probabilities == pytest.approx([1.0]) and alone.best_subtexts() == ["falling over a dog"] * 4


@pytest.mark.parametrize(
    ("classes", "subtexts", "message"),
    [
        (["falling over a dog"], None, "no bundled sub-texts for class 'falling over a dog': give 4 of your own"),
        (["a"], {"b": ["1", "2", "3", "4"]}, "subtexts: none of class 'a'"),
        (["a"], {"a": ["1", "2"]}, "class 'a' has 2, expected 4"),
        (["a"], {"a": "four"}, "class 'a' has 4, expected 4 texts"),
        (["a", "a"], None, "none twice"),
        ([], None, "at least one name"),
        ("long jump", None, "expected a list of class names"),
        (None, "bank", "expected N texts of each class, or 'name'"),
    ],
)
def test_what_cannot_be_asked(model, videos, classes, subtexts, message):
    with pytest.raises(ConfigError, match=message):
        model.predict(videos[0], classes, subtexts)


def test_a_bad_video_is_an_error(model, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        model.predict(tmp_path / "bad.mp4")
    with pytest.raises(VideoError, match=r"none\.mp4"):
        model.predict(tmp_path / "none.mp4")


def test_a_folder_of_frames_has_no_rate(model, videos, tmp_path):
    """Its times are the frames' numbers, and what is written of it is JSON."""
    for i, frame in enumerate(read_all(videos[0])):
        Image.fromarray(frame).save(tmp_path / f"img_{i + 1:05d}.png")
    found = model.predict(tmp_path)
    assert found.times.tolist() == found.indices.tolist()
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["times"] == found.indices.tolist()


def test_zero_shot_needs_no_file(videos):
    zero = sfar.load()
    found = zero.predict(videos[0], classes=CLASSES)
    assert found.coarse is None and found.fine is None and zero.model.method == "vanilla"
    with pytest.raises(ConfigError, match="a checkpoint has its own"):
        sfar.load("x.safetensors", profile="paper")


def test_an_older_checkpoint_is_named(home, tmp_path, model):
    old = tmp_path / "old.safetensors"
    checkpoint.save(old, model.model, model.profile, CLASSES, 0)
    with pytest.raises(ConfigError, match=r"old\.safetensors has no sub-texts in it"):
        sfar.load(old)


# --- the picture -----------------------------------------------------------------------------------------------------


@pytest.fixture
def in_context(model):
    """Not trained: frames pass through a transformer before anything is held against them."""
    profile = changed(model.profile, {"model.context_layers": 1})
    return Recognizer(build_model(profile, model.classes, model.texts, "sfar", 0), profile, model.texts)


@pytest.mark.parametrize("which", ["model", "in_context"])
def test_words_and_sub_texts_against_frames(which, videos, request):
    """The aligned picture's cosines are those that both weights follow from (Eq. 7 and 9)."""
    model = request.getfixturevalue(which)
    found = model.predict(videos[0])
    tau, c = model.model.head.tau, found.of()
    words = found.word_cosines[c, : len(found.words[c])]
    np.testing.assert_allclose(softmax(words / tau, 1).mean(0), found.coarse[c] / found.coarse[c].sum(), atol=1e-5)
    np.testing.assert_allclose(softmax(found.sub_cosines[c].max(0) / tau, 0), found.fine[c], atol=1e-5)
    figure = found.plot()
    said = [t.get_text() for ax in figure.axes for t in ax.texts]
    assert f"{words[0, 0]:.2f}".replace("-", "−") in said and any(t.get_text() == "Eq. 7" for t in figure.texts)
    assert any(label.get_text() == "⟨end⟩" for ax in figure.axes for label in ax.get_yticklabels())
    plt.close(figure)


@pytest.mark.parametrize("keep, words", [("words", 8), ("real", 9), ("all", 9)])
def test_words_that_count(keep, words):
    said = words_of("This is a video about long jump", keep)
    assert len(said) == words and said[-3:] == ("long", "jump", "⟨end⟩")


def test_a_method_without_words_has_the_storyboard_alone(videos):
    found = sfar.load().predict(videos[0], classes=CLASSES)
    assert found.word_cosines is None and found.words == ()
    figures = found.plot(), found.storyboard()
    assert len({len(f.axes) for f in figures}) == 1
    for f in figures:
        plt.close(f)


def test_the_storyboard(model, videos):
    found = model.predict(videos[0])
    figure = found.storyboard()
    figure.canvas.draw()
    said = [t.get_text() for ax in figure.axes for t in ax.texts]
    for w in (found.coarse, found.fine):
        assert all(f"{100 * x:.0f}" in said for x in w[found.of()])
    assert figure.texts[0].get_text().startswith(f"{found.label}: ")
    inside = figure.bbox
    boxes = [t.get_window_extent() for ax in figure.axes for t in ax.texts] + [
        ax.yaxis.label.get_window_extent() for ax in figure.axes if ax.get_ylabel()
    ]
    assert all(inside.x0 <= b.x0 and b.x1 <= inside.x1 and inside.y0 <= b.y0 and b.y1 <= inside.y1 for b in boxes)
    plt.close(figure)


def test_equal_sub_texts_in_a_row_share_a_strip():
    assert prediction._spans(["a", "a", "b", "a"]) == [(0, 2, "a"), (2, 3, "b"), (3, 4, "a")]
    assert prediction._wrapped("one two three", 0.4) == "one two\nthree"


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_folder_by_the_command(home, videos, tmp_path, capsys):
    answers, pictures = tmp_path / "a.jsonl", tmp_path / "pictures"
    argv = ["predict", str(home / "k" / "val"), "--checkpoint", str(home / "own.safetensors"), "--json", str(answers)]
    assert main([*argv, "--plot", str(pictures)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ".mp4" in line]
    assert [line.split("  ")[0] for line in lines] == [str(v) for v in videos]
    assert all(" %, " in line for line in lines)
    kept = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [k["video"] for k in kept] == [str(v) for v in videos]
    assert all(len(k["times"]) == len(k["coarse"]) == len(k["fine"]) == len(k["subtexts"]) == 4 for k in kept)
    assert {p.name for p in pictures.iterdir()} == {f"{v.stem}.png" for v in videos}
    # Killed in the middle of a line: it is asked again, the others are not.
    whole = answers.read_text()
    answers.write_text(whole[: whole.rindex("{") + 20])
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert f"3 of 4 videos are in {answers} already" in out and out.count(".mp4  ") == 1
    assert answers.read_text() == whole


def test_pictures_lie_as_the_videos_do(home, videos, tmp_path, capsys):
    """Folders of classes may have files of one name, and a telephone writes .mov."""
    for name, ending in (("a", "mov"), ("b", "mp4")):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(videos[0], tmp_path / "in" / name / f"1.{ending}")
    argv = ["predict", str(tmp_path / "in"), "--classes", "long jump,making pizza", "--plot", str(tmp_path / "out")]
    assert main(argv) == 0
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")}
    assert made == {"a/1.png", "b/1.png"}
    both = [str(p) for p in (tmp_path / "in").rglob("1.*")]
    assert main(["predict", *both, "--plot", str(tmp_path / "out")]) == 2
    assert "would both be drawn as" in capsys.readouterr().err


def test_a_bad_video_costs_one_line(home, videos, tmp_path, capsys):
    """One each, whatever is in their names."""
    shutil.copy(videos[0], tmp_path / "go\nod.mp4")
    (tmp_path / "ba\nd.mp4").write_bytes(b"no video")
    assert main(["predict", str(tmp_path), "--classes", "long jump,making pizza", "--top", "1"]) == 1
    found = capsys.readouterr()
    assert "go\\nod.mp4  " in found.out and "left out: " in found.err and "ba\\nd.mp4" in found.err
    assert "Traceback" not in found.err


def test_a_video_of_any_name(home, videos, tmp_path, monkeypatch, capsys):
    """Names that FFmpeg would take for a protocol, and one that is no text; the file of answers knows them again."""
    monkeypatch.chdir(tmp_path)
    names = ["10:30 jump.mp4", "a%03d.mp4", "a\u2028b.mp4", os.fsdecode(b"b\x8c.mp4")]
    for name in names:
        try:
            shutil.copy(videos[0], name)
        except OSError:  # a system whose names are text
            names.remove(name)
    argv = ["predict", *names, "--classes", "long jump,making pizza", "--json", "answers.jsonl"]
    assert main(argv) == 0 and capsys.readouterr().out.count("long jump") == len(names)
    kept = [json.loads(line)["video"] for line in Path("answers.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert kept == names
    assert main(argv) == 0 and f"{len(names)} of {len(names)} videos are in" in capsys.readouterr().out


def test_a_video_that_cannot_be_read_is_named_once(home, videos, tmp_path, capsys):
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    shutil.copy(videos[0], tmp_path / "good.mp4")
    argv = ["predict", str(tmp_path / "loop.mp4"), str(tmp_path / "good.mp4"), "--classes", "long jump,making pizza"]
    assert main(argv) == 1
    found = capsys.readouterr()
    assert "good.mp4  " in found.out
    (line,) = [line for line in found.err.splitlines() if "left out" in line]
    assert line.startswith(f"left out: {tmp_path / 'loop.mp4'}: cannot be read (") and line.count("loop.mp4") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["none.mp4", "--checkpoint", "none.safetensors"], "no checkpoint at none.safetensors"),
        (["EMPTY"], "no video in this folder"),
        (["a.mp4", "--checkpoint", "x", "--profile", "paper"], "a checkpoint has its own"),
        (["a.mp4", "--json", "DAMAGED"], "line 1: not an answer of `sfar predict`"),
        (["a.mp4", "--json", "BINARY"], "not the answers of `sfar predict`"),
        (["a.mp4", "--checkpoint", "x" * 300], "xxx: File name too long; correct its name"),
        (["a.mp4", "--classes", "no/such.txt"], "no such file"),
        (["a.mp4", "--subtexts", "none.json"], "cannot read sub-texts from none.json"),
    ],
)
def test_mistakes_are_one_message(argv, message, tmp_path, capsys):
    (tmp_path / "d.jsonl").write_text("[]\n")
    (tmp_path / "b.jsonl").write_bytes(b"\x00\xdb\xff")
    (tmp_path / "empty").mkdir()
    places = {
        name: str(tmp_path / file) for name, file in (("EMPTY", "empty"), ("DAMAGED", "d.jsonl"), ("BINARY", "b.jsonl"))
    }
    assert main(["predict", *(places.get(x, x) for x in argv)]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("sfar: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    "argv",
    [["above/closed"], ["above"], ["a.mp4", "--checkpoint", "above/closed/x"], ["a.mp4", "--json", "above/closed/x"]],
)
def test_what_is_closed_is_said_and_not_left_out(argv, monkeypatch, capsys):
    """Of a folder that is closed the videos would be left out without a word."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        os.chmod(folder, 0o755)
        monkeypatch.chdir(folder)
        Path("above/closed").mkdir(parents=True)
        Path("above/v.mp4").touch()
        os.chmod("above/closed", 0)
        try:
            with nobody():
                assert main(["predict", *argv]) == 2
        finally:
            os.chmod("above/closed", 0o755)
    said = capsys.readouterr().err
    start = "sfar: cannot write above/closed" if "--json" in argv else "sfar: above/closed"
    assert said.startswith(start) and "Permission denied" in said and said.count("\n") == 1


PAGES = ("README.md", "docs/your-own-videos.md", "docs/library.md", "docs/subtexts.md")
# The one that trains on the drawn world does so on these few videos, in a world of its own kind.
FEW = {'"train.epochs": 2': '"train.epochs": 1, "data.train_per_class": 1, "data.val_per_class": 1'}


@pytest.fixture(scope="module")
def files(home, videos, tmp_path_factory):
    """A folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(home / "own.safetensors", folder / "sfar.safetensors")
    shutil.copy(videos[0], folder / "jump.mp4")
    argv = [
        "evaluate",
        str(home / "own.safetensors"),
        "--data",
        str(home / "k"),
        "--scores",
        str(folder / "scores.json"),
    ]
    assert main(argv) == 0
    return folder


def blocks(page):
    """The Python of a page, block by block."""
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]


@pytest.mark.parametrize(("page", "n"), [(page, n) for page in PAGES for n in range(len(blocks(page)))])
def test_what_a_page_shows_runs(files, page, n):
    """Saved to a file and run, beside files of the names that it has."""
    code = blocks(page)[n]
    for shown, small in FEW.items():
        code = code.replace(shown, small)
    (files / "shown.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "shown.py"], cwd=files, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for picture in re.findall(r"savefig\(\"(.*?)\"\)", code):
        assert (files / picture).stat().st_size > 10_000
        (files / picture).unlink()


def test_every_block_of_python_is_run():
    """Here, or, of the page that adds a method, by its own test."""
    pages = [
        Path("README.md"),
        *(p.relative_to(p.parents[1]) for p in (Path(__file__).parents[1] / "docs").glob("*.md")),
    ]
    shown = {p.as_posix() for p in pages if blocks(p)}
    assert shown == {*PAGES, "docs/adding-a-method.md"}
