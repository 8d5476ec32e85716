"""``data.reader`` from the configuration to the clips: which decoder reads, what it gives, what is kept apart."""

import shutil
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch

from sfar.config import get_profile
from sfar.data import store, video
from sfar.data.check import record_file
from sfar.data.store import StoredClips
from sfar.errors import ConfigError, VideoError
from sfar.runs import run
from sfar.runs.run import Job, dataset, load_clips
from sfar.storyboard.scripts import KINETICS
from sfar.storyboard.write import write_kinetics
from sfar.util import paths

needs_decord = pytest.mark.skipif(not video.decord_available(), reason="no decord here")
readers = pytest.mark.parametrize("reader", ["auto", "pyav", pytest.param("decord", marks=needs_decord)])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two classes in the layout of Kinetics-400, 2 + 1 videos each."""
    root = tmp_path_factory.mktemp("k400")
    write_kinetics(root, 5, 2, 1, classes=tuple(KINETICS)[:2], workers=1)
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Threads instead of fresh processes, which take seconds to import torch."""
    monkeypatch.setattr(store.processes, "pool", lambda workers=None: ThreadPool(workers or 2))


@pytest.fixture
def by_decord(monkeypatch):
    """Paths of the videos that decord decodes, in this process and not in a helper."""
    seen = []
    decode = video._decord_frames
    monkeypatch.setattr(store, "guarded", lambda function, *args: function(*args))
    monkeypatch.setattr(video, "_decord_frames", lambda *args: seen.append(args[1]) or decode(*args))
    return seen


def at(root, reader, **overrides):
    return get_profile("storyboard", {"data.root": str(root), "data.reader": reader, **overrides})


def clips(root, reader, split="train", **overrides):
    p = at(root, reader, **overrides)
    return load_clips(p, dataset(p), split)


def kept():
    return sorted(p.name for p in (paths.cache() / "frames").iterdir())


@pytest.mark.parametrize("decoded", [True, False])
@readers
def test_both_give_the_same_frames(written, monkeypatch, by_decord, reader, decoded):
    """Decoded once and read on demand; the tolerance is that of ``read_frames`` for scaled frames."""
    strict = clips(written, "pyav")
    if not decoded:
        monkeypatch.setattr(run, "ON_DEMAND", 0)
    by_decord.clear()
    own = clips(written, reader)
    assert isinstance(own, StoredClips) is decoded and own.reader == reader and own.bad == {}
    assert (own.paths, own.lengths, own.labels) == (strict.paths, strict.lengths, strict.labels) and len(own) == 4
    for i in range(4):
        a, b = own.read(i, range).int(), strict.read(i, range).int()
        apart = (a - b).abs()
        assert a.shape == b.shape
        assert (apart.max() <= 16 and apart.float().mean() <= 1.5) if reader == "decord" else apart.max() == 0
    assert set(by_decord) == ({str(own.manifest.root / p) for p in own.paths} if reader == "decord" else set())


@needs_decord
def test_what_one_has_read_is_not_found_by_the_other(written):
    clips(written, "auto")
    first = kept()
    clips(written, "pyav")
    assert kept() == first, "auto is pyav"
    clips(written, "decord")
    assert len(kept()) == len(first) + 1
    keys = [Job(p := at(written, r), dataset(p), "sfar", 0).key() for r in ("auto", "pyav", "decord")]
    assert keys[0] == keys[1] != keys[2]
    files = [record_file("kinetics400", written, r) for r in ("auto", "pyav", "decord")]
    assert files[0] == files[1] != files[2] and files[0] == record_file("kinetics400", written)


@readers
def test_a_video_that_is_cut_off_is_left_out_by_both(written, tmp_path, reader):
    shutil.copytree(written, tmp_path / "cut")
    path = sorted((tmp_path / "cut/train").glob("*.mp4"))[1]
    path.write_bytes(path.read_bytes()[:-2000])
    own = clips(tmp_path / "cut", reader, **{"data.max_bad_share": 0.3})
    assert list(own.bad) == [f"train/{path.name}"] and path.name in own.bad[f"train/{path.name}"] and len(own) == 3


@readers
def test_a_frame_that_is_damaged(written, tmp_path, monkeypatch, reader):
    """PyAV names it; decord may give something for it, which is why it is not the default. Neither loses another."""
    monkeypatch.setattr(run, "ON_DEMAND", 0)
    shutil.copytree(written, tmp_path / "damaged")
    path = sorted((tmp_path / "damaged/train").glob("*.mp4"))[1]
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 3
    raw[middle : middle + 200] = bytes(b ^ 0x55 for b in raw[middle : middle + 200])  # inside the pictures
    path.write_bytes(raw)
    try:
        own = clips(tmp_path / "damaged", reader, **{"data.max_bad_share": 0.3})
        found = own.read(own.paths.index(f"train/{path.name}"), range)
    except (VideoError, ValueError) as e:  # found while it was read, or left out before: not in the list of paths
        assert path.name in str(e) or "is not in list" in str(e)
        return
    assert reader == "decord" and found.dtype == torch.uint8 and len(found) == own.lengths[own.paths.index(path.name)]


def test_a_machine_without_decord(written, monkeypatch):
    monkeypatch.setattr(video, "_decord", lambda: None)
    for split in ("train", "val"):
        with pytest.raises(ConfigError, match=r"data\.reader='decord': decord is not installed.*'pyav' or 'auto'"):
            clips(written, "decord", split)
    assert not (paths.cache() / "frames").exists()
    assert np.array_equal(clips(written, "auto").labels, [0, 0, 1, 1])


def test_the_configuration_knows_the_readers():
    for reader in video.READERS:
        assert get_profile("paper", {"data.reader": reader}).data.reader == reader
    with pytest.raises(ConfigError, match=r"'data\.reader'.*auto, pyav, decord"):
        get_profile("storyboard", {"data.reader": "opencv"})
    assert get_profile("storyboard").data.reader == get_profile("paper").data.reader == "auto"
