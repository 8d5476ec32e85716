"""``data.reader`` from the configuration to the clips: which decoder reads, what it gives, what is kept apart."""

import shutil
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest

from sfar.config import get_profile
from sfar.data import store, video
from sfar.data.check import record_file
from sfar.data.source import dataset, load_clips
from sfar.data.store import StoredClips
from sfar.errors import ConfigError, VideoError
from sfar.runs.job import Job
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
    monkeypatch.setattr(store, "guarded", lambda function, *args, warm=None: function(*args))
    monkeypatch.setattr(video, "_decord_frames", lambda *args: seen.append(args[1]) or decode(*args))
    return seen


def at(root, reader, overrides=None):
    return get_profile("storyboard", {"data.root": str(root), "data.reader": reader, **(overrides or {})})


def clips(root, reader, split="train", overrides=None):
    p = at(root, reader, overrides)
    return load_clips(p, dataset(p), split)


def kept():
    return sorted(p.name for p in (paths.cache() / "frames").iterdir())


@pytest.mark.parametrize("size", [84, 64])  # short sides of 96 pixels, as stored, and of 73
@pytest.mark.parametrize("decoded", [True, False])
@readers
def test_both_give_the_same_frames(written, by_decord, reader, decoded, size):
    """Decoded once and read on demand; the tolerance is what ``read_frames`` says."""
    image = {"data.image_size": size}
    strict = clips(written, "pyav", overrides=image)
    by_decord.clear()
    own = clips(written, reader, overrides=image | ({} if decoded else {"data.decode_limit": 0}))
    assert isinstance(own, StoredClips) is decoded and own.reader == reader and own.bad == {}
    assert (own.paths, own.lengths, own.labels) == (strict.paths, strict.lengths, strict.labels) and len(own) == 4
    for i in range(4):
        a, b = own.read(i, range).int(), strict.read(i, range).int()
        apart = (a - b).abs()
        assert a.shape == b.shape
        if reader != "decord":
            assert apart.max() == 0
        elif size == 84:
            assert apart.max() <= 2
        else:
            assert apart.float().mean() <= 2 and (apart > 16).float().mean() <= 0.005 and apart.max() <= 64
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
    own = clips(tmp_path / "cut", reader, overrides={"data.max_bad_share": 0.3})
    assert list(own.bad) == [f"train/{path.name}"] and path.name in own.bad[f"train/{path.name}"] and len(own) == 3


@pytest.fixture(scope="module")
def damaged(written, tmp_path_factory):
    """A copy with a few wrong bytes inside a picture of one training video, whose packets are all there."""
    root = tmp_path_factory.mktemp("damaged") / "k400"
    shutil.copytree(written, root)
    path = sorted((root / "train").glob("*.mp4"))[1]
    whole = path.read_bytes()
    for at in range(len(whole) // 2, len(whole), 50):
        path.write_bytes(whole[:at] + bytes(b ^ 0x55 for b in whole[at : at + 4]) + whole[at + 4 :])
        try:
            video.probe(path)
            video.read_all(path)
        except VideoError as e:
            if "packet" not in str(e) and "claims" not in str(e):
                return root, f"train/{path.name}"
    raise AssertionError("no damage was noticed")


@readers
def test_a_video_with_a_damaged_picture(damaged, reader):
    """PyAV names it. decord may hand out as many frames as ever, which is why it is not the default."""
    root, path = damaged
    decoded = clips(root, reader, overrides={"data.max_bad_share": 0.3})
    demand = clips(root, reader, overrides={"data.max_bad_share": 0.3, "data.decode_limit": 0})
    assert demand.bad == {} and len(demand) == 4, "it is found when it is read"
    i = demand.paths.index(path)
    if reader == "decord":
        assert decoded.bad == {} and len(demand.read(i, range)) == demand.lengths[i]
    else:
        assert list(decoded.bad) == [path] and path in decoded.bad[path] and len(decoded) == 3
        with pytest.raises(VideoError, match=path):
            demand.read(i, range)
    sound = (i + 1) % 4
    assert len(demand.read(sound, range)) == demand.lengths[sound], "and no other is lost"


def test_a_machine_without_decord(written, monkeypatch):
    monkeypatch.setattr(video, "decord_module", lambda: None)
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
