"""Clips of a small data set on disk, read on demand and decoded once: the same frames.

What cannot be used is named, counted and left out.
"""

import csv
import json
import shutil
from fractions import Fraction
from multiprocessing.pool import ThreadPool
from typing import Any

import av
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from sfar.config import get_profile
from sfar.data import store
from sfar.data.charades import read_charades
from sfar.data.kinetics import read_kinetics
from sfar.data.manifest import Clip, Manifest
from sfar.data.store import StoredClips, VideoClips, check_bad, clips_of, examine
from sfar.data.transforms import multi_clip_indices, val_indices
from sfar.data.video import read_all
from sfar.errors import DataError, VideoError
from sfar.model.loss import info_nce
from sfar.training.evaluate import score
from sfar.training.train import TrainingClips, train

CLASSES = ("climbing", "diving", "juggling")
SHORT = 36  # pixels: what tiny.SIZE is cut out of
# Frames, width and height of the videos of a class: sizes and lengths differ, one stands upright.
SHAPES = ((17, 64, 48), (24, 48, 80), (9, 100, 60))


def picture(k, width, height, shade):
    rng = np.random.default_rng(shade)
    texture = np.kron(rng.integers(0, 60, (height // 4, width // 4, 3)), np.ones((4, 4, 1)))
    return np.clip(texture + 4 * k + shade, 0, 255).astype(np.uint8)


def encode(path, frames, width, height, shade, options=None, fps=10):
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast", "threads": "1", "g": "8"}
        for k in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k, width, height, shade), format="rgb24")))
        container.mux(stream.encode())


def write_lists(root, names):
    (root / "annotations").mkdir(exist_ok=True)
    for split in ("train", "val"):
        with open(root / "annotations" / f"{split}.csv", "w", newline="", encoding="utf-8") as f:
            w = csv.writer(f)
            w.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            w.writerows([label, vid, 0, 10, split] for s, label, vid in names if s == split)


def file(root, split, vid):
    return root / split / f"{vid}_000000_000010.mp4"


def files(root, names, split, label=""):
    return [file(root, s, vid) for s, lab, vid in names if s == split and label in ("", lab)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Three classes with two training videos and one validation video each."""
    root = tmp_path_factory.mktemp("kinetics")
    names = [
        (split, label, f"{split[0]}{k}{label:_<9}"[:11])
        for split, n in (("train", 2), ("val", 1))
        for label in CLASSES
        for k in range(n)
    ]
    for split in ("train", "val"):
        (root / split).mkdir()
    for i, (split, _, vid) in enumerate(names):
        encode(file(root, split, vid), *SHAPES[i % 3], shade=5 * i)
    write_lists(root, names)
    return root, names


@pytest.fixture
def tree(written, tmp_path):
    """A copy to damage."""
    root, names = written
    shutil.copytree(root, tmp_path / "k")
    return tmp_path / "k", names


@pytest.fixture
def threads(monkeypatch):
    """Threads instead of fresh processes, which take seconds to import torch. One test below has the real ones."""
    monkeypatch.setattr(store.processes, "pool", lambda workers=None: ThreadPool(workers or 2))


def looked_at(manifest, folder, decode):
    folder.mkdir(parents=True, exist_ok=True)
    examine(manifest, SHORT, folder, decode)
    return folder


def both(manifest, tmp_path, share=0.0) -> list[Any]:
    """The clips read on demand, and the clips decoded once."""
    return [
        clips_of(manifest, SHORT, looked_at(manifest, tmp_path / f"{manifest.split}-{decode}", decode), share)
        for decode in (False, True)
    ]


def damage(path, how):
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("<html>Video unavailable</html>\n" * 40)
    elif how == "truncated":
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) * 6 // 10])
    elif how == "truncated, index first":
        encode(path, 24, 64, 48, 3, {"movflags": "faststart"})
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) * 6 // 10])


DAMAGES = ("empty", "text", "truncated", "truncated, index first")


# --- whole videos ---


def test_clips_are_those_of_the_list(written, threads, tmp_path):
    root, names = written
    for clips in both(read_kinetics(root, "train"), tmp_path):
        assert len(clips) == 6 and clips.bad == {}
        assert clips.labels == [CLASSES.index(label) for s, label, _ in names if s == "train"]
        assert clips.paths == [p.relative_to(root).as_posix() for p in files(root, names, "train")]
        assert clips.lengths == [SHAPES[i % 3][0] for i in range(6)] and clips.first == [0] * 6


@pytest.mark.parametrize("split", ["train", "val"])
def test_stored_and_on_demand_give_the_same_frames(written, threads, tmp_path, split):
    demand, stored = both(read_kinetics(written[0], split), tmp_path)
    assert type(demand) is VideoClips and type(stored) is StoredClips
    for name in ("labels", "sets", "paths", "first", "lengths", "bad"):
        assert getattr(stored, name) == getattr(demand, name)
    samplers = (
        lambda n: val_indices(n, 8),
        lambda n: multi_clip_indices(n, 8, 4),
        lambda n: np.array([n - 1, 0, 0, n // 2]),
        range,
    )
    for i in range(len(demand)):
        for sampler in samplers:
            a, b = demand.read(i, sampler), stored.read(i, sampler)
            assert a.dtype == torch.uint8 and a.shape == b.shape and torch.equal(a, b), demand.paths[i]
            assert min(a.shape[-3:-1]) == SHORT and a.shape[-1] == 3
    assert demand.read(0, lambda n: multi_clip_indices(n, 8, 4)).shape[:2] == (4, 8)


def test_stored_frames_are_the_videos_own(written, threads, tmp_path):
    """Not another clip's: offsets and shapes fit."""
    _, stored = both(read_kinetics(written[0], "train"), tmp_path)
    for i, path in enumerate(stored.paths):
        frames = read_all(written[0] / path, SHORT)
        assert torch.equal(stored.read(i, range), torch.from_numpy(frames))
        assert stored.where[path][1:] == frames.shape[:3]
    assert stored.frames.size == sum(n * h * w * 3 for _, n, h, w in stored.where.values())


def test_what_is_read_can_be_changed(written, threads, tmp_path):
    """A mapped file is read-only; what a transform gets is its own."""
    _, stored = both(read_kinetics(written[0], "val"), tmp_path)
    before = stored.read(0, lambda n: [0]).clone()
    stored.read(0, lambda n: [0]).fill_(0)
    assert torch.equal(stored.read(0, lambda n: [0]), before)


def test_in_fresh_processes(written, tmp_path):
    manifest = read_kinetics(written[0], "val")
    examine(manifest, SHORT, tmp_path, True, workers=1)
    clips = clips_of(manifest, SHORT, tmp_path, 0.0)
    assert len(clips) == 3
    assert torch.equal(clips.read(2, range), torch.from_numpy(read_all(written[0] / clips.paths[2], SHORT)))


def test_one_look_serves_every_manifest_of_its_videos(written, threads, tmp_path):
    """A few-shot list or half of the classes: its frames are found in what was made for the whole list."""
    whole = read_kinetics(written[0], "train")
    some = Manifest(
        whole.name,
        whole.split,
        whole.root,
        CLASSES[1:],
        (Clip(whole.clips[5].path, 1, "b"), Clip(whole.clips[2].path, 0, "a")),
    )
    for decode in (False, True):
        folder = looked_at(whole, tmp_path / str(decode), decode)
        clips = clips_of(some, SHORT, folder, 0.0)
        assert clips.labels == [1, 0] and clips.paths == [whole.clips[5].path, whole.clips[2].path]
        assert torch.equal(clips.read(1, range), torch.from_numpy(read_all(whole.root / clips.paths[1], SHORT)))


def test_folders_of_frames(threads, tmp_path):
    root = tmp_path / "k"
    for split, vid in (("train", "a0123456789"), ("train", "b0123456789"), ("val", "c0123456789")):
        folder = root / split / f"{vid}_000000_000010"
        folder.mkdir(parents=True)
        for k in range(6):
            Image.fromarray(picture(k, 64, 48, ord(vid[0]) - 80)).save(folder / f"img_{k + 1:05d}.jpg", quality=95)
    write_lists(root, [("train", "x", "a0123456789"), ("train", "y", "b0123456789"), ("val", "y", "c0123456789")])
    demand, stored = both(read_kinetics(root, "train"), tmp_path)
    assert demand.lengths == stored.lengths == [6, 6] and demand.bad == stored.bad == {}
    for i in range(2):
        frames = demand.read(i, lambda n: np.array([5, 0, 3]))
        assert torch.equal(frames, stored.read(i, lambda n: np.array([5, 0, 3]))) and frames.shape == (3, SHORT, 48, 3)
        assert frames.float().mean((1, 2, 3)).diff().sign().tolist() == [-1, 1]  # a later picture is brighter


# --- videos that cannot be used ---


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_video_is_named_and_left_out(tree, threads, tmp_path, how):
    root, names = tree
    lost = files(root, names, "train")[3]
    damage(lost, how)
    path = lost.relative_to(root).as_posix()
    for clips in both(read_kinetics(root, "train"), tmp_path, share=0.2):
        assert set(clips.bad) == {path} and lost.name in clips.bad[path]
        assert (
            len(clips) == len(clips.labels) == len(clips.lengths) == len(clips.first) == len(clips.sets) == 5
            and path not in clips.paths
        )
        assert clips.labels == [0, 0, 1, 2, 2], "the labels of the others stay with them"
        assert torch.equal(clips.read(3, range), torch.from_numpy(read_all(root / clips.paths[3], SHORT)))


def test_several_damaged_videos(tree, threads, tmp_path):
    root, names = tree
    lost = files(root, names, "train")[::2]
    for path, how in zip(lost, DAMAGES, strict=False):
        damage(path, how)
    for clips in both(read_kinetics(root, "train"), tmp_path, share=0.5):
        assert set(clips.bad) == {p.relative_to(root).as_posix() for p in lost} and clips.labels == [0, 1, 2]


def refused(manifest, tmp_path, share, *words):
    for decode in (False, True):
        folder = looked_at(manifest, tmp_path / f"refused-{decode}", decode)
        with pytest.raises(DataError) as e:
            clips_of(manifest, SHORT, folder, share)
        for word in (str(manifest.root), *words):
            assert word in str(e.value)


def test_too_many_damaged_videos_end_it(tree, threads, tmp_path):
    root, names = tree
    lost = files(root, names, "train")[0]
    damage(lost, "empty")
    refused(
        read_kinetics(root, "train"),
        tmp_path,
        0.1,
        "1 of 6 train videos",
        "16.7%",
        "data.max_bad_share",
        "10.0%",
        lost.name,
    )
    for clips in both(read_kinetics(root, "train"), tmp_path, 1 / 6):
        assert len(clips) == 5, "the share itself is still allowed"


def test_nothing_left_ends_it_whatever_the_share(tree, threads, tmp_path):
    root, names = tree
    for path in files(root, names, "val"):
        damage(path, "text")
    refused(read_kinetics(root, "val"), tmp_path, 1.0, "3 of 3 val videos", "100.0%")


def test_missing_videos_count_too(tree, threads, tmp_path):
    root, names = tree
    gone = files(root, names, "val")[1]
    gone.unlink()
    refused(read_kinetics(root, "val"), tmp_path, 0.2, "1 of 3 val videos", gone.name, "not on disk")
    for clips in both(read_kinetics(root, "val"), tmp_path, 0.4):
        assert len(clips) == 2 and clips.bad == {} and clips.manifest.missing == (gone.relative_to(root).as_posix(),)


def test_a_class_without_a_training_video_ends_it(tree, threads, tmp_path):
    root, names = tree
    for path in files(root, names, "train", "diving"):
        damage(path, "text")
    refused(read_kinetics(root, "train"), tmp_path, 0.5, "no readable training video of: diving")


def test_a_class_without_a_validation_video_does_not(tree, threads, tmp_path):
    root, names = tree
    damage(files(root, names, "val", "diving")[0], "empty")
    for clips in both(read_kinetics(root, "val"), tmp_path, 0.5):
        assert clips.labels == [0, 2] and clips.manifest.classes == CLASSES


# --- parts of videos, and videos of many classes ---


# Of 20 frames at 10 per second, and 30 at 15: class, start and end in seconds -> first frame and number of frames.
ACTIONS = {
    "AAAAA": [
        ("c000", "0.00", "2.00", 0, 20),
        ("c001", "0.70", "1.20", 7, 5),
        ("c002", "1.15", "1.17", 11, 1),
        ("c000", "1.90", "9.00", 19, 1),
        ("c001", "2.00", "3.00", None, None),
    ],
    "BBBBB": [("c002", "0.20", "1.00", 3, 12), ("c002", "1.20", "2.00", 18, 12), ("c000", "0.30", "0.50", 4, 3)],
}


@pytest.fixture(scope="module")
def charades(tmp_path_factory):
    root = tmp_path_factory.mktemp("charades")
    (root / "Charades_v1_480").mkdir()
    encode(root / "Charades_v1_480/AAAAA.mp4", 20, 64, 48, 3, fps=10)
    encode(root / "Charades_v1_480/BBBBB.mp4", 30, 48, 64, 9, fps=15)
    encode(root / "Charades_v1_480/CCCCC.mp4", 12, 48, 64, 40, fps=15)
    (root / "Charades_v1_classes.txt").write_text("c000 Holding a cup\nc001 Closing a door\nc002 Smiling\n")
    row = "{},{},10.00\r\n".format
    text = {v: ";".join(" ".join(a[:3]) for a in actions) for v, actions in ACTIONS.items()}
    (root / "Charades_v1_train.csv").write_text(
        "id,actions,length\r\n" + "".join(row(v, text[v]) for v in text), newline=""
    )
    (root / "Charades_v1_test.csv").write_text("id,actions,length\r\n" + row("CCCCC", ""), newline="")
    return root


def test_parts_are_found_by_their_seconds(charades, threads, tmp_path):
    manifest = read_charades(charades, "train")
    usable = [
        (f"Charades_v1_480/{v}.mp4", int(c[1:]), first, n)
        for v, actions in ACTIONS.items()
        for c, _, _, first, n in actions
        if n
    ]
    for clips in both(manifest, tmp_path):
        assert list(zip(clips.paths, clips.labels, clips.first, clips.lengths, strict=True)) == usable
        assert clips.sets == [(label,) for label in clips.labels]
        # It starts behind the last frame: left out and named with its time, and its video still counts as usable.
        assert list(clips.bad) == ["Charades_v1_480/AAAAA.mp4 from 2 s"]
        assert "begins after its end (20 frames, 2.00 s)" in clips.bad["Charades_v1_480/AAAAA.mp4 from 2 s"]
        for i, (path, _, first, n) in enumerate(usable):
            part = read_all(charades / path, SHORT)[first : first + n]
            assert torch.equal(clips.read(i, range), torch.from_numpy(part))
            assert clips.read(i, lambda n: val_indices(n, 8)).shape[0] == 8


def test_a_video_without_a_usable_part_is_lost(charades, threads, tmp_path):
    whole = read_charades(charades, "train")
    clips = (
        *whole.clips[:4],
        *(Clip(c.path, c.label, c.video_id, c.labels, 50 + k, 60.0 + k) for k, c in enumerate(whole.clips[5:])),
    )
    late = Manifest("charades", "train", charades, whole.classes, clips, multi_label=True)
    refused(late, tmp_path, 0.4, "1 of 2 train videos", "50.0%", "begins after its end")
    for found in both(late, tmp_path, 0.5):
        assert len(found.bad) == 3 and set(found.paths) == {"Charades_v1_480/AAAAA.mp4"}


def test_videos_of_many_classes_and_of_none(charades, threads, tmp_path):
    for clips in both(read_charades(charades, "train-videos"), tmp_path):
        assert (
            clips.sets == [(0, 1, 2), (0, 2)]
            and clips.labels == [0, 0]
            and clips.lengths == [20, 30]
            and clips.first == [0, 0]
        )
    for clips in both(read_charades(charades, "val"), tmp_path):
        assert clips.sets == [()] and clips.labels == [-1] and clips.lengths == [12]


@pytest.fixture
def extracted(tmp_path):
    """A folder of 40 pictures, and a manifest of parts of it."""
    (tmp_path / "frames/AAAAA").mkdir(parents=True)
    for k in range(40):
        Image.fromarray(picture(k, 48, 36, 20)).save(tmp_path / f"frames/AAAAA/AAAAA-{k + 1:06d}.jpg")
    times = ((0.29, 0.35), (0.0, None), (None, None), (0.4, 0.5))
    clips = tuple(Clip("AAAAA", 0, f"AAAAA/{k}", (0,), *t) for k, t in enumerate(times))
    return lambda rate: Manifest(
        "charades", "train", tmp_path / "frames", ("x",), clips, multi_label=True, frame_rate=rate
    )


def test_parts_of_a_folder_of_frames_need_its_rate(extracted, threads, tmp_path):
    for clips in both(extracted(100.0), tmp_path / "a"):
        # 0.29 * 100 is 28.999999999999996
        assert list(zip(clips.first, clips.lengths, strict=True)) == [(29, 6), (0, 40), (0, 40)] and list(
            clips.bad
        ) == ["AAAAA from 0.4 s"]
    for clips in both(extracted(0.0), tmp_path / "b"):
        assert list(zip(clips.first, clips.lengths, strict=True)) == [(0, 40)], "the whole folder needs no rate"
        assert set(clips.bad) == {"AAAAA from 0.29 s", "AAAAA from 0 s", "AAAAA from 0.4 s"}
        assert all("its frame rate is not known" in why for why in clips.bad.values())


def test_a_video_of_many_parts_is_looked_at_once(charades, threads, tmp_path):
    manifest = read_charades(charades, "train")
    folder = looked_at(manifest, tmp_path / "once", True)
    videos = json.loads((folder / "index.json").read_text(encoding="utf-8"))["videos"]
    assert list(videos) == ["Charades_v1_480/AAAAA.mp4", "Charades_v1_480/BBBBB.mp4"]
    assert (folder / "frames.bin").stat().st_size == 3 * (20 * SHORT * 48 + 30 * 48 * SHORT)


# --- damage that only reading finds ---


@pytest.fixture
def later(written, tree, threads, tmp_path):
    """``later(split, *numbers)``: sound clips on demand, of which some are then damaged."""
    root, names = tree

    def make(split, *numbers):
        shutil.copytree(written[0], root, dirs_exist_ok=True)  # what an earlier call has damaged
        manifest = read_kinetics(root, split)
        clips = clips_of(manifest, SHORT, looked_at(manifest, tmp_path / "sound", False), 0.0)
        for k in numbers:
            damage(files(root, names, split)[k], DAMAGES[k % 4])
        return clips

    return make


def test_reading_a_damaged_video_names_it(later):
    clips = later("train", 2)
    with pytest.raises(VideoError) as e:
        clips.read(2, range)
    assert str(clips.manifest.root / clips.paths[2]) in str(e.value)
    assert len(clips.read(3, range)) == clips.lengths[3]


def test_what_is_found_later_counts(later):
    clips = later("train")
    clips.bad["x"] = "x: is damaged"
    check_bad(clips, 0.0)
    check_bad(clips, 2 / 6, [1, 3])
    check_bad(clips, 2 / 6, [1, 3, 3, 1])
    for share, numbers, words in (
        (0.3, [1, 3], ("2 of 6 train videos", "33.3%", "30.0%", "x: is damaged")),
        (1.0, range(6), ("6 of 6 train videos",)),
        (0.5, [2, 3], ("no readable training video of: diving",)),
        (1.0, range(4), ("climbing, diving",)),
    ):
        with pytest.raises(DataError) as e:
            check_bad(clips, share, numbers)
        assert all(w in str(e.value) for w in words), str(e.value)


@pytest.mark.parametrize("views", ["1x1", "4x3"])
@pytest.mark.parametrize("batch", [1, 16])
def test_evaluation_leaves_out_what_it_cannot_read(later, views, batch):
    model = tiny.model()
    whole = score(model, later("train"), 3, tiny.SIZE, views, batch)
    clips = later("train", 1, 4)
    s = score(model, clips, 3, tiny.SIZE, views, batch, max_bad_share=0.4)
    kept = [0, 2, 3, 5]
    assert s.clips.tolist() == kept and s.labels.tolist() == [clips.labels[i] for i in kept]
    assert s.probabilities == pytest.approx(whole.probabilities[kept], abs=1e-5)
    assert set(clips.bad) == {clips.paths[1], clips.paths[4]} and all(
        str(clips.manifest.root / p) in why for p, why in clips.bad.items()
    )
    if views == "1x1":
        assert s.indices is not None and whole.indices is not None and whole.fine is not None
        assert s.indices.tolist() == whole.indices[kept].tolist() and s.fine == pytest.approx(
            whole.fine[kept], abs=1e-4
        )


def test_evaluation_ends_at_too_many(later):
    clips = later("val", 1)
    for share in (0.0, 0.3):
        with pytest.raises(DataError, match=r"1 of 3 val videos cannot be used \(33.3%"):
            score(tiny.model("clip"), clips, 3, tiny.SIZE, max_bad_share=share)
    nothing = later("val", 0, 1, 2)
    with pytest.raises(DataError, match="3 of 3 val videos"):
        score(tiny.model("clip"), nothing, 3, tiny.SIZE, max_bad_share=1.0)


def profile(share, **train_):
    return get_profile(
        "storyboard",
        {
            "data.image_size": tiny.SIZE,
            "data.max_bad_share": share,
            **{f"train.{k}": v for k, v in ({"frames": 3, "batch": 3, "epochs": 2} | train_).items()},
        },
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_training_leaves_out_what_it_cannot_read(later, workers):
    clips = later("train", 1, 4)
    model = tiny.model("clip")
    history = train(model, clips, profile(0.4), 0, workers=workers)
    assert set(clips.bad) == {clips.paths[1], clips.paths[4]} and all(
        str(clips.manifest.root / p) in why for p, why in clips.bad.items()
    )
    assert history.steps == 4 and np.isfinite(history.loss).all()
    assert all(torch.isfinite(v).all() for v in model.state_dict().values())


def test_a_batch_takes_a_step_with_what_could_be_read_of_it(later):
    """One damaged video in a batch of six: the loss of the other five, each augmented as ever."""
    sound = TrainingClips(later("train"), profile(0.0), 0)
    rows = [i for i in np.random.default_rng([0, 0]).permutation(6).tolist() if i != 5]
    x, y = zip(*(sound[i] for i in rows), strict=True)
    loss, _ = info_nce(
        tiny.model("clip").train()(torch.stack(x)).logits, torch.tensor(y), profile(0.0).train.loss_lambda
    )
    history = train(tiny.model("clip"), later("train", 5), profile(0.2, batch=6, epochs=1), 0)
    assert history.loss == [pytest.approx(loss.item(), abs=1e-5)] and history.steps == 1


def test_a_batch_without_a_readable_video_takes_no_step(later):
    clips = later("train", 1, 4)
    history = train(tiny.model("clip"), clips, profile(0.4, batch=1), 0)
    assert history.steps == 2 * 4 and set(clips.bad) == {clips.paths[1], clips.paths[4]}


def test_training_ends_at_too_many_or_without_a_class(later):
    for numbers, share, words in (
        ((1,), 0.1, "1 of 6 train videos"),
        ((2, 3), 0.5, "no readable training video of: diving"),
    ):
        with pytest.raises(DataError, match=words):
            train(tiny.model("clip"), later("train", *numbers), profile(share, batch=2), 0)


def test_repeats_of_a_damaged_video_are_one_video(later):
    clips = later("train", 4)
    assert len(TrainingClips(clips, profile(0.2), 0, repeats=3)) == 18
    assert TrainingClips(clips, profile(0.2), 0, repeats=3)[4 + 12][:2] == (None, 4)
    history = train(tiny.model("clip"), clips, profile(1 / 6, batch=6, epochs=1), 0, repeats=3)
    assert history.steps == 3 and set(clips.bad) == {clips.paths[4]}
