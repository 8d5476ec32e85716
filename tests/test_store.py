"""Clips of a small data set on disk, read on demand and decoded once: the same frames, and damaged videos named and left out."""

import csv
import shutil
from fractions import Fraction
from multiprocessing.pool import ThreadPool

import av
import numpy as np
import pytest
import torch

from sfar.data import store
from sfar.data.kinetics import read_kinetics
from sfar.data.store import decode_all, stored_clips, video_clips
from sfar.data.transforms import multi_clip_indices, val_indices
from sfar.data.video import read_all
from sfar.errors import DataError

CLASSES = ("climbing", "diving", "juggling")
SHORT = 36
# Frames, width and height of the videos of a class: sizes and lengths differ, one stands upright.
SHAPES = ((17, 64, 48), (24, 48, 80), (9, 100, 60))


def encode(path, frames, width, height, shade, options=None):
    rng = np.random.default_rng(shade)
    texture = np.kron(rng.integers(0, 60, (height // 4, width // 4, 3)), np.ones((4, 4, 1)))
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast", "threads": "1", "g": "8"}
        for k in range(frames):
            picture = np.clip(texture + 4 * k + shade, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
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


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Three classes with two training videos and one validation video each."""
    root = tmp_path_factory.mktemp("kinetics")
    names = [(split, label, f"{split[0]}{k}{label:_<9}"[:11])
             for split, n in (("train", 2), ("val", 1)) for label in CLASSES for k in range(n)]
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
    monkeypatch.setattr(store.parallel, "pool", lambda workers=None: ThreadPool(workers or 2))


def both(root, split, tmp_path, share=0.0):
    manifest = read_kinetics(root, split)
    folder = tmp_path / f"decoded-{split}"
    folder.mkdir()
    decode_all(manifest, SHORT, folder)
    return video_clips(manifest, SHORT, share), stored_clips(manifest, SHORT, folder, share)


def damage(path, how):
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("<html>Video unavailable</html>\n" * 40)
    elif how == "truncated":
        raw = path.read_bytes()
        path.write_bytes(raw[:len(raw) * 6 // 10])
    elif how == "truncated, index first":
        encode(path, 24, 64, 48, 3, {"movflags": "faststart"})
        raw = path.read_bytes()
        path.write_bytes(raw[:len(raw) * 6 // 10])


DAMAGES = ("empty", "text", "truncated", "truncated, index first")


def test_clips_are_those_of_the_list(written, threads):
    root, names = written
    clips = video_clips(read_kinetics(root, "train"), SHORT, 0.0)
    assert len(clips) == 6 and clips.bad == {}
    assert clips.labels == [CLASSES.index(label) for s, label, _ in names if s == "train"]
    assert clips.paths == [file(root, s, vid).relative_to(root).as_posix() for s, _, vid in names if s == "train"]
    assert clips.lengths == [SHAPES[i % 3][0] for i in range(6)]


@pytest.mark.parametrize("split", ["train", "val"])
def test_stored_and_on_demand_give_the_same_frames(written, threads, tmp_path, split):
    demand, stored = both(written[0], split, tmp_path)
    assert (stored.labels, stored.paths, stored.lengths, stored.bad) == (demand.labels, demand.paths, demand.lengths, {})
    samplers = (lambda n: val_indices(n, 8), lambda n: multi_clip_indices(n, 8, 4), lambda n: np.array([n - 1, 0, 0, n // 2]), range)
    for i in range(len(demand)):
        for sampler in samplers:
            a, b = demand.read(i, sampler), stored.read(i, sampler)
            assert a.dtype == torch.uint8 and a.shape == b.shape and torch.equal(a, b), demand.paths[i]
            assert min(a.shape[-3:-1]) == SHORT and a.shape[-1] == 3
    assert demand.read(0, lambda n: multi_clip_indices(n, 8, 4)).shape[:2] == (4, 8)


def test_stored_frames_are_the_videos_own(written, threads, tmp_path):
    """Not another clip's: offsets and shapes fit."""
    _, stored = both(written[0], "train", tmp_path)
    for i, path in enumerate(stored.paths):
        frames = read_all(written[0] / path, SHORT)
        assert torch.equal(stored.read(i, range), torch.from_numpy(frames))
        assert stored.shapes[i] == list(frames.shape[1:3])
    assert stored.frames.size == sum(n * h * w * 3 for n, (h, w) in zip(stored.lengths, stored.shapes))


def test_what_is_read_can_be_changed(written, threads, tmp_path):
    """A mapped file is read-only; what a transform gets is its own."""
    _, stored = both(written[0], "val", tmp_path)
    before = stored.read(0, lambda n: [0]).clone()
    stored.read(0, lambda n: [0]).fill_(0)
    assert torch.equal(stored.read(0, lambda n: [0]), before)


def test_in_fresh_processes(written, tmp_path):
    manifest = read_kinetics(written[0], "val")
    decode_all(manifest, SHORT, tmp_path, workers=1)
    clips = stored_clips(manifest, SHORT, tmp_path, 0.0)
    assert len(clips) == 3
    assert torch.equal(clips.read(2, range), torch.from_numpy(read_all(written[0] / clips.paths[2], SHORT)))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_video_is_named_and_left_out(tree, threads, tmp_path, how):
    root, names = tree
    lost = file(root, *[(s, vid) for s, _, vid in names if s == "train"][3])
    damage(lost, how)
    path = lost.relative_to(root).as_posix()
    for clips in both(root, "train", tmp_path, share=0.2):
        assert set(clips.bad) == {path} and lost.name in clips.bad[path]
        assert len(clips) == len(clips.labels) == len(clips.lengths) == 5 and path not in clips.paths
        assert clips.labels == [0, 0, 1, 2, 2], "the labels of the others stay with them"
        assert torch.equal(clips.read(3, range), torch.from_numpy(read_all(root / clips.paths[3], SHORT)))


def test_several_damaged_videos(tree, threads, tmp_path):
    root, names = tree
    lost = [file(root, s, vid) for s, _, vid in names if s == "val"]
    for path, how in zip(lost, DAMAGES):
        damage(path, how)
    for clips in both(root, "val", tmp_path, share=1.0):
        assert set(clips.bad) == {p.relative_to(root).as_posix() for p in lost} and len(clips) == 0


def refused(root, split, tmp_path, share, *words):
    manifest = read_kinetics(root, split)
    folder = tmp_path / f"refused-{split}"
    folder.mkdir(exist_ok=True)
    decode_all(manifest, SHORT, folder)
    for make in (lambda: video_clips(manifest, SHORT, share), lambda: stored_clips(manifest, SHORT, folder, share)):
        with pytest.raises(DataError) as e:
            make()
        for word in (str(root), *words):
            assert word in str(e.value)


def test_too_many_damaged_videos_end_it(tree, threads, tmp_path):
    root, names = tree
    lost = file(root, *[(s, vid) for s, _, vid in names if s == "train"][0])
    damage(lost, "empty")
    refused(root, "train", tmp_path, 0.1, "1 of 6 train videos", "16.7%", "data.max_bad_share", "10.0%", lost.name)
    assert len(video_clips(read_kinetics(root, "train"), SHORT, 1 / 6)) == 5, "the share itself is still allowed"


def test_missing_videos_count_too(tree, threads, tmp_path):
    root, names = tree
    gone = file(root, *[(s, vid) for s, _, vid in names if s == "val"][1])
    gone.unlink()
    refused(root, "val", tmp_path, 0.2, "1 of 3 val videos", gone.name, "not on disk")
    clips = video_clips(read_kinetics(root, "val"), SHORT, 0.4)
    assert len(clips) == 2 and clips.bad == {} and clips.manifest.missing == (gone.relative_to(root).as_posix(),)


def test_a_class_without_a_training_video_ends_it(tree, threads, tmp_path):
    root, names = tree
    for split, label, vid in names:
        if label == "diving" and split == "train":
            damage(file(root, split, vid), "text")
    refused(root, "train", tmp_path, 0.5, "no readable training video of: diving")


def test_a_class_without_a_validation_video_does_not(tree, threads):
    root, names = tree
    for split, label, vid in names:
        if label == "diving" and split == "val":
            damage(file(root, split, vid), "empty")
    clips = video_clips(read_kinetics(root, "val"), SHORT, 0.5)
    assert clips.labels == [0, 2] and clips.manifest.classes == CLASSES
