"""What the system refuses (permissions, disk, memory, limits, time) is said as that, and is no property of the file.

The same look, once the refusal is over, finds a sound video; what is wrong inside a file is kept.
"""

import errno
import json
import os
import re
import resource
import shutil
import tempfile
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path

import av
import numpy as np
import pytest
from test_outside import write_uneven
from test_store import SHORT, files, written  # noqa: F401  # a fixture
from test_video import both, extract, numbers, write

from sfar.config import OWN, get_profile
from sfar.data import check as checking
from sfar.data import layouts, source, store, video
from sfar.data.charades import read_charades
from sfar.data.check import check, record_file
from sfar.data.source import dataset, load_clips
from sfar.data.video import probe, read_all, read_frames
from sfar.data.watchdog import Watchdog
from sfar.errors import PASSING, ConfigError, DataError, VideoError
from sfar.training.evaluate import _Inputs
from sfar.training.train import TrainingClips


@contextmanager
def nobody():
    """Another user than root, whom permissions do not bind."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.fixture
def open_to_all():
    """A folder that every user can read: pytest's own is closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write(tmp_path_factory.mktemp("film") / "v.mp4")


PERMISSION = r"cannot be read \(Permission denied\); check its permissions"


@both
def test_a_file_that_may_not_be_read(film, open_to_all, reader):
    path = open_to_all / "v.mp4"
    shutil.copyfile(film, path)
    os.chmod(path, 0)
    for call in (lambda: probe(path, reader), lambda: read_frames(path, [3], reader=reader)):
        with nobody(), pytest.raises(VideoError, match=rf"^{re.escape(str(path))}: {PERMISSION}") as e:
            call()
        assert e.value.kind == "unreadable" and "\n" not in str(e.value) and "download" not in str(e.value)
    os.chmod(path, 0o644)
    with nobody():
        assert numbers(read_frames(path, [3], reader=reader)) == [3]
    os.chmod(path, 0)  # its walk is kept
    with nobody(), pytest.raises(VideoError, match=PERMISSION) as e:
        read_frames(path, [3], reader=reader)
    assert e.value.kind == "unreadable"


LISTS = {
    "kinetics400": "annotations/train.csv",
    "ucf101": "ucfTrainTestlist/classInd.txt",
    "hmdb51": "testTrainMulti_7030_splits/wave_test_split1.txt",
    "charades": "Charades/Charades_v1_classes.txt",
    OWN: "lists/own.csv",
}


@pytest.mark.parametrize("closed", ["the list", "its folder", "the folder of the root"])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_may_not_be_read(open_to_all, name, closed):
    root = open_to_all / "above" / name
    file = root / LISTS[name]
    file.parent.mkdir(parents=True)
    for fold in "123":
        (file.parent / file.name.replace("1", fold)).write_text("1 a")
    what = {"the list": file, "its folder": file.parent, "the folder of the root": root.parent}[closed]
    os.chmod(what, 0)
    try:
        with nobody(), pytest.raises(DataError, match=rf"^.*{root}.*cannot be read \(Permission denied\).*permissions"):
            layouts.read(name, file if name == OWN else root, "train" if name != OWN else "all")
    finally:
        os.chmod(what, 0o755)


def test_a_video_of_a_csv_file_in_a_folder_that_is_closed(open_to_all):
    for name in ("a", "b"):
        (open_to_all / name).mkdir()
        (open_to_all / name / "v.mp4").touch()
    file = open_to_all / "own.csv"
    file.write_text("path,label\na/v.mp4,a\nb/v.mp4,b\n")
    os.chmod(open_to_all / "b", 0)
    try:
        with nobody(), pytest.raises(DataError, match=r"line 3: b/v\.mp4: cannot be read \(Permission denied\)"):
            layouts.read(OWN, file, "all")
    finally:
        os.chmod(open_to_all / "b", 0o755)


@both
@pytest.mark.parametrize("closed", ["the folder", "its parent", "one picture"])
def test_a_folder_that_may_not_be_read(open_to_all, reader, closed):
    folder = open_to_all / "outer/v"
    folder.mkdir(parents=True)
    extract(folder, [f"img_{k:05d}.jpg" for k in range(1, 8)])
    shut = {"the folder": folder, "its parent": folder.parent, "one picture": folder / "img_00004.jpg"}[closed]
    before = os.stat(shut).st_mode
    os.chmod(shut, 0)
    with nobody(), pytest.raises(VideoError, match=PERMISSION) as e:
        read_all(folder, reader=reader)
    assert e.value.kind == "unreadable" and str(folder) in str(e.value)
    os.chmod(shut, before)
    with nobody():
        assert numbers(read_all(folder, reader=reader)) == list(range(7))


class Failing:
    """A file whose reading fails behind ``after`` bytes."""

    def __init__(self, file, error, after):
        self.file, self.error, self.after = file, error, after
        self.tell, self.seek, self.close = file.tell, file.seek, file.close

    def read(self, size):
        if self.file.tell() + size > self.after:
            raise self.error
        return self.file.read(size)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


REFUSALS = {
    errno.EIO: ("Input/output error.*check its disk or network and try again", "unreadable"),
    errno.ETIMEDOUT: ("timed out.*did not answer in time: try again", "unreadable"),
    errno.ESTALE: ("check its disk or network and try again", "unreadable"),
    errno.EMFILE: ("Too many open files.*raise the limit of open files", "unreadable"),
    errno.ENFILE: ("raise the limit of open files", "unreadable"),
    errno.EACCES: ("check its permissions", "unreadable"),
    errno.EPERM: ("check its permissions", "unreadable"),
    errno.ENOMEM: ("not enough memory", "timeout"),
    errno.ENOENT: ("no such file; check the data root", "missing"),
}


@both
@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])  # where in the file; 0: when it is opened
def test_what_the_system_says_is_no_damage(film, tmp_path, monkeypatch, reader, number, share):
    """Wherever it happens, and whatever FFmpeg makes of a file that seems to end there."""
    path = tmp_path / "v.mp4"
    shutil.copyfile(film, path)
    size = path.stat().st_size

    def failing(name, *args, **options):
        if share == 0:
            raise OSError(number, os.strerror(number))
        return Failing(open(name, *args, **options), OSError(number, os.strerror(number)), share * size)

    text, kind = REFUSALS[number]
    with monkeypatch.context() as m:
        m.setattr(video, "open", failing, raising=False)
        with pytest.raises(VideoError, match=rf"^{re.escape(str(path))}: .*{text}") as e:
            read_frames(path, [39], reader=reader)
    assert e.value.kind == kind and kind in PASSING and "damaged" not in str(e.value)
    assert numbers(read_frames(path, [39], reader=reader)) == [39]


def test_too_many_open_files(film):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(open(film, "rb"))  # noqa: SIM115
        with pytest.raises(VideoError, match=r"v\.mp4: cannot be read \(Too many open files\); raise the limit") as e:
            probe(film)
        assert e.value.kind == "unreadable"
        with pytest.raises(ConfigError, match=r"process that reads videos cannot be started \(Too many open files\)"):
            Watchdog().call(probe, film)
    finally:
        for file in held:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert probe(film).frames == 40


def test_ffmpeg_without_memory(film, monkeypatch):
    def none(*args, **options):
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(video.av, "open", none)
    for call in (lambda: video.walk.__wrapped__(str(film), 0, 0), lambda: read_frames(film, [3])):
        with pytest.raises(VideoError, match="not enough memory to read it; read fewer frames") as e:
            call()
        assert e.value.kind == "timeout"


def test_ctrl_c_is_not_swallowed(film, monkeypatch):
    """FFmpeg asks Python for each piece of the file: what is raised there comes out."""
    pressed = Failing(open(film, "rb"), KeyboardInterrupt(), 0)  # noqa: SIM115
    monkeypatch.setattr(video, "open", lambda *args, **options: pressed, raising=False)
    with pytest.raises(KeyboardInterrupt):
        video.walk.__wrapped__(str(film), 0, 0)


@pytest.mark.parametrize("name", ["loop.mp4", "a" * 300 + ".mp4"])
def test_names_that_lead_nowhere(tmp_path, name):
    if name == "loop.mp4":
        os.symlink(name, tmp_path / name)
    with pytest.raises(VideoError, match=r"cannot be read \(.*\); correct its name or the link") as e:
        probe(tmp_path / name)
    assert e.value.kind == "unreadable"


# --- what is kept ---


@pytest.fixture
def threads(monkeypatch):
    for module in (store, checking):
        monkeypatch.setattr(module.processes, "pool", lambda workers=None: ThreadPool(1))
        monkeypatch.setattr(module, "guarded", refusing)
    monkeypatch.setattr(source, "_looked", set())


REFUSED: dict[str, str] = {}  # part of a path -> kind of the error


def refusing(function, path, *args, warm=None, seconds=0, **options):
    """``guarded`` in this process, where ``REFUSED`` says what the system does not give."""
    for part, kind in REFUSED.items():
        if part in str(path):
            raise VideoError(f"{path}: cannot be read (for a test); mend it", kind)
    return function(path, *args, **options)


@pytest.fixture
def tree(written, tmp_path, monkeypatch):  # noqa: F811
    root, names = written
    shutil.copytree(root, tmp_path / "k")
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    REFUSED.clear()
    yield tmp_path / "k", names
    REFUSED.clear()


def new_process(monkeypatch):
    monkeypatch.setattr(source, "_looked", set())


@pytest.mark.parametrize("kind", PASSING)
def test_a_check_keeps_what_is_in_a_file_alone(tree, threads, kind):
    root, names = tree
    refused, damaged, same = files(root, names, "train")[:3]
    damaged.write_text("<html>")
    shutil.copyfile(refused, same)  # of one size: its hash is kept beside it
    REFUSED[refused.name] = kind
    report = check("kinetics400", root)
    said = {u["path"].split("/")[1]: u["kind"] for u in report["undecodable"]}
    assert said == {refused.name: kind, damaged.name: "damaged"}
    kept = [json.loads(line) for line in record_file("kinetics400", root).read_text().splitlines()]
    assert f"train/{refused.name}" not in {r["path"] for r in kept} >= {f"train/{damaged.name}"}
    REFUSED.clear()
    report = check("kinetics400", root)
    assert [u["path"] for u in report["undecodable"]] == [f"train/{damaged.name}"] and report["examined"] == 1


def profile(root, **overrides):
    return get_profile("storyboard", {"data.root": str(root), "data.max_bad_share": 0.4, **overrides})


@pytest.mark.parametrize("decoded", [True, False])
def test_training_does_not_go_on_without_what_the_system_refuses(tree, threads, monkeypatch, decoded):
    root, names = tree
    refused, damaged = files(root, names, "train")[1:3]
    damaged.write_text("<html>")
    p = profile(root, **({} if decoded else {"data.decode_limit": 0}))
    for _ in range(2):  # nothing is kept of it
        REFUSED[refused.name] = "unreadable"
        with pytest.raises(
            DataError, match=rf"1 of 6 train videos are not given.*the same command again.*{refused.name}"
        ) as e:
            load_clips(p, dataset(p), "train")
        assert "\n" not in str(e.value)
        new_process(monkeypatch)
    REFUSED.clear()
    clips = load_clips(p, dataset(p), "train")
    assert list(clips.bad) == [f"train/{damaged.name}"] and len(clips) == 5
    sound = [path for path in files(root, names, "train") if path != damaged]
    assert clips.paths == [f"train/{path.name}" for path in sound]
    for i, path in enumerate(sound):
        assert np.array_equal(clips.read(i, range).numpy(), read_all(path, clips.short_side))


@pytest.mark.parametrize("kind", ["unreadable", "timeout"])
def test_a_training_on_demand_ends_at_what_the_system_refuses(tree, threads, kind):
    """Later, of a video that was there at first: too slow a one is left out and named."""
    root, names = tree
    p = profile(root, **{"data.decode_limit": 0})
    clips = load_clips(p, dataset(p), "train")
    videos = TrainingClips(clips, p, seed=0)
    assert videos[1][0].shape[0] == p.train.frames
    REFUSED[files(root, names, "train")[1].name] = kind
    if kind == "timeout":
        assert videos[1][:2] == (None, 1)
        return
    with pytest.raises(DataError, match=r"cannot be read \(for a test\)"):
        videos[1]
    with pytest.raises(DataError, match=r"cannot be read \(for a test\)"):
        _Inputs(clips, p.train.frames, 64, "1x1", None)[1]


@pytest.mark.parametrize("kind", ["timeout", "missing"])
def test_what_was_too_slow_is_tried_again_by_the_next_process(tree, threads, monkeypatch, kind):
    root, names = tree
    slow = files(root, names, "train")[1]
    p = profile(root)
    REFUSED[slow.name] = kind
    assert list(load_clips(p, dataset(p), "train").bad) == [f"train/{slow.name}"]
    REFUSED.clear()
    assert len(load_clips(p, dataset(p), "train").bad) == 1, "in one process a list of clips stays what it is"
    new_process(monkeypatch)
    with monkeypatch.context() as m:
        m.setattr(source.processes, "launched", lambda: True)
        assert len(load_clips(p, dataset(p), "train").bad) == 1, "and in processes that share a training"
    assert load_clips(p, dataset(p), "train").bad == {}
    clips = load_clips(p, dataset(p), "train")
    for i, path in enumerate(files(root, names, "train")):
        assert np.array_equal(
            clips.read(clips.paths.index(f"train/{path.name}"), range), read_all(path, clips.short_side)
        ), i


def test_nothing_is_looked_at_again_where_nothing_was_refused(tree, threads, monkeypatch):
    root, names = tree
    files(root, names, "train")[1].write_text("<html>")
    p = profile(root)
    load_clips(p, dataset(p), "train")
    new_process(monkeypatch)
    monkeypatch.setattr(source, "examine", lambda *args, **options: pytest.fail("it was looked at again"))
    assert len(load_clips(p, dataset(p), "train").bad) == 1


# --- seconds of uneven videos, in lists of timed actions ---


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_timed_actions_of_an_uneven_video(tmp_path, threads, ending):
    """By time stamps: the average rate, here that of the file's head, would point elsewhere."""
    (tmp_path / "videos").mkdir()
    write_uneven(tmp_path / f"videos/AAAAA.{ending}")
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Holding a cup\n")
    # start and end in seconds -> first frame and number of frames; 4.5 s is the end
    parts = [("0.10", "0.30", 4, 8), ("0.50", "2.50", 20, 10), ("1.30", "1.35", 24, 1), ("4.10", "9.00", 38, 2)]
    actions = ";".join(f"c000 {start} {end}" for start, end, *_ in [*parts, ("7.00", "8.00", 0, 0)])
    (tmp_path / "Charades_v1_train.csv").write_text(f"id,actions,length\nAAAAA,{actions},10.0\n")
    (tmp_path / "Charades_v1_test.csv").write_text("id,actions,length\nBBBBB,,10.0\n")
    manifest = read_charades(tmp_path, "train")
    for decode in (False, True):
        folder = tmp_path / str(decode)
        folder.mkdir()
        store.examine(manifest, SHORT, folder, decode)
        clips = store.clips_of(manifest, SHORT, folder, 0.0)
        assert list(zip(clips.first, clips.lengths, strict=True)) == [(first, n) for *_, first, n in parts]
        assert list(clips.bad) == [f"videos/AAAAA.{ending} from 7 s"]
        whole = read_all(tmp_path / clips.paths[1], SHORT)
        assert np.array_equal(clips.read(1, range), whole[20:30])
    record, _ = checking._look((str(tmp_path), f"videos/AAAAA.{ending}", None, False, "auto"))
    beyond = checking._beyond_end(manifest, {f"videos/AAAAA.{ending}": record})
    assert [(b["start"], b["lost"]) for b in beyond] == [(4.1, False), (7.0, True)]
