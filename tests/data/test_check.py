"""``sfar.data.check.check``: what is wrong with a copy is found, named and counted.

What is kept from one check to the next holds as long as the files do.
"""

import csv
import errno
import json
import os
import shutil
import signal
import time
from multiprocessing.pool import ThreadPool
from typing import Any, get_args

import av
import pytest
from PIL import Image
from test_video import picture, too_long, write
from test_watchdog import kill

from sfar.data import check as checking
from sfar.data import layouts
from sfar.data.check import check, record_file
from sfar.data.layouts import ACTIONS, FOUND, LISTED, Expected
from sfar.data.transforms import val_indices
from sfar.data.video import decord_available
from sfar.data.watchdog import guarded
from sfar.errors import ConfigError, DataError, SfarError, VideoError, VideoErrorKind
from sfar.storyboard.sets import write_charades, write_hmdb51, write_ucf101
from sfar.storyboard.write import write_kinetics
from sfar.util import processes

CLASSES = ("archery", "bowling")
SECONDS: Any = 60  # in the place of a path, for time.sleep


@pytest.fixture(autouse=True)
def own_records(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Threads instead of fresh processes; one test below has the real ones."""
    monkeypatch.setattr(checking.processes, "pool", lambda workers=None: ThreadPool(workers or 2))


@pytest.fixture
def looks(monkeypatch):
    """Paths of the videos that are looked at."""
    seen = []
    monkeypatch.setattr(
        checking,
        "guarded",
        lambda function, path, *a, **k: (
            function.__name__ == "probe" and seen.append(os.path.basename(path)),
            guarded(function, path, *a, **k),
        )[1],
    )
    return seen


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Small videos, no two of one size: frames -> bytes."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        n: write(folder / f"{n}.mp4", frames=n, width=64, height=48).read_bytes() for n in (5, 7, 8, 9, 12, 16, 21)
    } | {"avi": write(folder / "x.avi", frames=10, width=64, height=48, codec="mpeg4", bframes=0).read_bytes()}


# --- real formats ---


def lists(root, rows):
    """``rows``: (split, label, id)."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        with open(root / f"annotations/{split}.csv", "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows(
                [
                    ["label", "youtube_id", "time_start", "time_end", "split"],
                    *([lab, vid, 0, 10, s] for s, lab, vid in rows if s == split),
                ]
            )


ROWS = [
    ("train", "archery", "a0"),
    ("train", "archery", "a1"),
    ("train", "bowling", "b0"),
    ("train", "bowling", "b1"),
    ("val", "archery", "c0"),
    ("val", "bowling", "d0"),
]


@pytest.fixture
def kinetics(tmp_path, clips, monkeypatch):
    """A sound copy of a Kinetics of two classes, with numbers published for it."""
    root = tmp_path / "k400"
    lists(root, ROWS)
    for (split, _, vid), n in zip(ROWS, (8, 9, 12, 16, 21, 8), strict=True):
        (root / split).mkdir(exist_ok=True)
        (root / split / f"{vid}_000000_000010.mp4").write_bytes(
            clips[n] + (b"\0\0\0\x08free" if vid == "d0" else b"")
        )  # no two files are the same
    monkeypatch.setattr(checking, "class_names", lambda name: list(CLASSES))
    for split, n in (("train", 4), ("val", 2)):
        monkeypatch.setitem(
            layouts.COUNTS["kinetics400"], (split,), (Expected(n, FOUND, "us"), Expected(n, LISTED, "us too"))
        )
    return root


def at(root, vid):
    return root / next(s for s, _, v in ROWS if v == vid) / f"{vid}_000000_000010.mp4"


def run(root, name="kinetics400", **options):
    report = check(name, root, **options)
    assert json.loads(json.dumps(report)) == report, "a report is JSON"
    return report


def test_a_sound_copy(kinetics):
    r = run(kinetics)
    assert r["status"] == 0 and r["wrong"] == r["remarks"] == []
    assert all(
        r[k] == [] for k in ("missing", "extra", "undecodable", "too_short", "train_and_val", "identical", "beyond_end")
    )
    assert (r["videos"], r["examined"], r["kept"], r["drawn"], r["dataset"], r["title"]) == (
        6,
        6,
        0,
        False,
        "kinetics400",
        "Kinetics-400",
    )
    assert r["classes"] == {"found": 2, "expected": 2, "unknown": [], "lacking": []}
    for s, name, n in zip(r["splits"], ("train", "val"), (4, 2), strict=True):
        assert (s["split"], s["listed"], s["found"], s["clips"], s["missing"], s["extra"], s["lost"]) == (
            name,
            n,
            n,
            n,
            0,
            0,
            0,
        )
        assert s["expected"] == [
            {"number": n, "unit": unit, "source": source, "counted": n, "agrees": True}
            for unit, source in ((FOUND, "us"), (LISTED, "us too"))
        ]


def test_missing_and_extra(kinetics):
    at(kinetics, "a1").unlink()
    shutil.copy(at(kinetics, "a0"), kinetics / "train/more_000000_000010.mp4")
    r = run(kinetics, max_bad_share=0.2)
    assert r["missing"] == [{"path": "train/a1_000000_000010.mp4", "splits": ["train"]}] and r["extra"] == [
        "train/more_000000_000010.mp4"
    ]
    assert (
        r["wrong"] == ["train: 1 of 4 videos are not on disk (25.0%; up to 20.0% may be missing)"] and r["status"] == 1
    )
    assert "train: 3 videos on disk, published are 4 (75.0%; us)" in r["remarks"] and r["identical"] == [], (
        "what is in no list is not looked at"
    )
    assert any(
        x.startswith("train: 1 of 4 clips cannot be used") and x.endswith("--set data.max_bad_share=0.25")
        for x in r["remarks"]
    )
    assert run(kinetics, max_bad_share=0.25)["status"] == 0


def test_kinetics_may_lack_what_the_published_copy_lacks(kinetics, monkeypatch):
    at(kinetics, "a1").unlink()
    monkeypatch.setitem(
        layouts.COUNTS["kinetics400"],
        ("train",),
        (Expected(3, FOUND, "the copy of all"), Expected(4, LISTED, "the list")),
    )
    r = run(kinetics)
    assert len(r["missing"]) == 1 and r["status"] == 0 and r["wrong"] == []


def broken(root, clips):
    """One video of each kind of damage -> the kind."""
    at(root, "a0").write_bytes(b"")
    too_long(at(root, "a1"), root / "more.mp4", 6)
    shutil.move(root / "more.mp4", at(root, "a1"))
    at(root, "b0").write_text("<html>Video unavailable</html>" * 30)
    at(root, "b1").write_bytes(clips[16][: len(clips[16]) * 6 // 10])
    claimed = clips["avi"].index(b"strh") + 8 + 32  # dwLength
    at(root, "c0").write_bytes(clips["avi"][:claimed] + (15).to_bytes(4, "little") + clips["avi"][claimed + 4 :])
    at(root, "d0").write_bytes(clips["avi"][:-1000])
    return {
        "a0": "empty",
        "a1": "over-reported",
        "b0": "damaged",
        "b1": "damaged",
        "c0": "over-reported",
        "d0": "damaged",
    }


def test_undecodable_videos_of_each_kind(kinetics, clips):
    kinds = broken(kinetics, clips)
    r = run(kinetics)
    assert {u["path"].split("/")[1].split("_")[0]: u["kind"] for u in r["undecodable"]} == kinds
    for u in r["undecodable"]:
        assert u["splits"] == [u["path"].split("/")[0]] and str(kinetics) not in u["reason"] and ";" in u["reason"]
    assert "claims 15 frames and holds 9" in next(u["reason"] for u in r["undecodable"] if "a1" in u["path"])
    assert r["wrong"] == ["6 of 6 videos cannot be decoded"] and r["status"] == 1
    assert [s["lost"] for s in r["splits"]] == [4, 2] and any("--set data.max_bad_share=1" in x for x in r["remarks"])


def test_kinds_of_errors(tmp_path):
    """They come with the error out of the reader's own process."""
    with pytest.raises(VideoError) as late:
        guarded(time.sleep, SECONDS, seconds=0.1)
    assert late.value.kind == "timeout"
    with pytest.raises(VideoError) as killed:
        guarded(kill, "x.mp4", signal.SIGKILL)
    assert killed.value.kind == "timeout", "what the system ends, it ends when memory runs out"
    with pytest.raises(VideoError) as gone:
        guarded(checking.probe, str(tmp_path / "x.mp4"))
    assert gone.value.kind == "missing"
    assert set(get_args(VideoErrorKind)) == set(checking.EXPLAINED)


@pytest.mark.skipif(not decord_available(), reason="no decord here")
@pytest.mark.parametrize("deep", [False, True])
def test_another_decoder_looks_for_itself(kinetics, clips, looks, deep):
    kinds = broken(kinetics, clips)
    at(kinetics, "b0").write_bytes(clips[12])  # one that is sound
    del kinds["b0"]
    first = run(kinetics, deep=deep)
    looks.clear()
    r = run(kinetics, reader="decord", deep=deep)
    assert len(looks) == 6 and (r["examined"], r["reader"]) == (6, "decord")
    assert {u["path"].split("/")[1].split("_")[0]: u["kind"] for u in r["undecodable"]} == kinds
    looks.clear()
    assert run(kinetics, deep=deep) | {"examined": 6, "kept": 0} == first and looks == []


def test_a_video_that_is_too_slow_is_looked_at_again(kinetics, monkeypatch, looks):
    def slow(function, path, *args, **options):
        return (
            guarded(time.sleep, SECONDS, seconds=0.05)
            if "a0" in str(path)
            else guarded(function, path, *args, **options)
        )

    with monkeypatch.context() as m:
        m.setattr(checking, "guarded", slow)
        r = run(kinetics)
    assert [u["kind"] for u in r["undecodable"]] == ["timeout"]
    assert run(kinetics)["status"] == 0 and looks == [at(kinetics, "a0").name]


def test_short_videos(kinetics, clips):
    at(kinetics, "a0").write_bytes(clips[5])
    at(kinetics, "d0").write_bytes(clips[7])
    r = run(kinetics)
    assert [(t["path"], t["frames"], t["splits"]) for t in r["too_short"]] == [
        ("train/a0_000000_000010.mp4", 5, ["train"]),
        ("val/d0_000000_000010.mp4", 7, ["val"]),
    ]
    assert r["status"] == 0, "frames are repeated"
    assert len(run(kinetics, min_frames=7)["too_short"]) == 1 and len(run(kinetics, min_frames=10)["too_short"]) == 3


def test_ids_in_train_and_val(kinetics):
    lists(kinetics, [*ROWS, ("val", "bowling", "a1")])
    shutil.copy(at(kinetics, "a0"), kinetics / "val/a1_000000_000010.mp4")
    r = run(kinetics)
    assert r["train_and_val"] == [
        {"id": "a1_000000_000010", "fold": 1, "train": "train/a1_000000_000010.mp4", "val": "val/a1_000000_000010.mp4"}
    ]
    assert "1 videos are in the training and in the validation list" in r["wrong"] and r["status"] == 1


@pytest.mark.parametrize(("twin", "across"), [("b0", False), ("c0", True)])
def test_identical_files(kinetics, twin, across):
    shutil.copy(at(kinetics, "a0"), at(kinetics, twin))
    # As long, but another content.
    at(kinetics, "b1").write_bytes(at(kinetics, "a0").read_bytes()[:-1] + b"\1")
    r = run(kinetics)
    assert [(d["paths"], d["train_and_val"]) for d in r["identical"]] == [
        (["train/a0_000000_000010.mp4", at(kinetics, twin).relative_to(kinetics).as_posix()], across)
    ]
    assert r["identical"][0]["bytes"] == at(kinetics, "a0").stat().st_size and len(r["identical"][0]["sha256"]) == 64


def test_other_classes_than_published(kinetics, monkeypatch):
    monkeypatch.setattr(checking, "class_names", lambda name: ["archery", "curling", "darts"])
    r = run(kinetics)
    assert r["classes"] == {"found": 2, "expected": 3, "unknown": ["bowling"], "lacking": ["curling", "darts"]}
    assert r["wrong"] == ["2 classes instead of 3; not known: bowling; lacking: curling, darts"] and r["status"] == 1


def test_folders_of_frames(kinetics):
    folder = at(kinetics, "a0").with_suffix("")
    at(kinetics, "a0").unlink()
    folder.mkdir()
    for k in range(9):
        Image.fromarray(picture(k, 64, 48)).save(folder / f"img_{k:05d}.jpg")
    assert run(kinetics)["status"] == 0 and run(kinetics)["examined"] == 0
    (folder / "img_00004.jpg").write_bytes(b"")
    r = run(kinetics)
    assert r["examined"] == 1 and "img_00004.jpg: is damaged" in r["undecodable"][0]["reason"] and r["identical"] == []


def test_only_a_deep_look_finds_what_no_validation_reads(kinetics, clips):
    read = set(val_indices(21, 8).tolist()) | {0}
    damaged = next(k for k in range(20, 0, -1) if k not in read and k > max(read))
    path = write(at(kinetics, "c0"), frames=21, width=64, height=48, x264="keyint=1")  # no frame needs another
    with av.open(str(path)) as container:
        packet = sorted((p for p in container.demux(video=0) if p.size), key=lambda p: p.pts or 0)[damaged]
        place, size = packet.pos, packet.size
    assert place is not None
    raw = bytearray(path.read_bytes())
    raw[place + size // 2 : place + size] = bytes(size - size // 2)
    path.write_bytes(raw)
    assert run(kinetics)["status"] == 0
    r = run(kinetics, deep=True)
    assert r["examined"] == 6 and [u["path"] for u in r["undecodable"]] == ["val/c0_000000_000010.mp4"], (
        "a shallow look does not stand for a deep one"
    )
    assert run(kinetics)["examined"] == 0 and run(kinetics)["status"] == 1, "a deep one does for a shallow one"


# --- Charades ---


def charades(root, clips, train, test="BBBBB,c001 0.00 0.20,5\n"):
    (root / "videos").mkdir(parents=True)
    (root / "videos/AAAAA.mp4").write_bytes(clips[21])  # 21 frames at 25 per second: 0.84 s
    (root / "videos/BBBBB.mp4").write_bytes(clips[12])
    (root / "Charades_v1_classes.txt").write_text("c000 archery\nc001 bowling\n")
    (root / "Charades_v1_train.csv").write_text(f"id,actions,length\n{train}")
    (root / "Charades_v1_test.csv").write_text(f"id,actions,length\n{test}")
    return root


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setattr(checking, "class_names", lambda name: list(CLASSES))
    for split, counts in (
        ("train", (Expected(4, ACTIONS, "us"), Expected(1, LISTED, "us"))),
        ("val", (Expected(1, LISTED, "us"),)),
        ("train-videos", (Expected(1, LISTED, "us"),)),
    ):
        monkeypatch.setitem(layouts.COUNTS["charades"], (split,), counts)


def test_parts_beyond_the_end(tmp_path, clips, published):
    root = charades(tmp_path / "c", clips, "AAAAA,c000 0.00 0.80;c001 0.50 1.30;c000 0.50 1.40;c001 0.85 9.00,20\n")
    r = run(root, "charades")
    assert r["beyond_end"] == [
        {
            "path": "videos/AAAAA.mp4",
            "split": "train",
            "class": "archery",
            "start": 0.5,
            "end": 1.4,
            "video_seconds": 0.84,
            "lost": False,
        },
        {
            "path": "videos/AAAAA.mp4",
            "split": "train",
            "class": "bowling",
            "start": 0.85,
            "end": 9.0,
            "video_seconds": 0.84,
            "lost": True,
        },
    ]
    train = r["splits"][0]
    assert (train["split"], train["listed"], train["found"], train["clips"], train["lost"]) == (
        "train",
        1,
        1,
        4,
        1,
    ) and r["status"] == 0
    assert [s["split"] for s in r["splits"]] == ["train", "val", "train-videos"] and r["videos"] == 2


def test_numbers_of_a_complete_data_set_have_to_agree(tmp_path, clips, published):
    root = charades(tmp_path / "c", clips, "AAAAA,c000 0.00 0.80;c001 0.30 0.30;c000 0.10 0.40,20\nCCCCC,,3\n")
    r = run(root, "charades")
    assert r["wrong"] == [
        "train: 3 timed actions listed, published are 4 (75.0%; us)",
        "train: 2 videos listed, published are 1 (200.0%; us)",
        "train-videos: 2 videos listed, published are 1 (200.0%; us)",
        "train-videos: 1 of 2 videos are not on disk (50.0%; up to 1.0% may be missing)",
    ]
    assert r["missing"] == [{"path": "videos/CCCCC.mp4", "splits": ["train-videos"]}]
    assert "train: 1 listed videos have no timed action and so give no clip" in r["remarks"]
    assert any("do not end after they start" in x for x in r["remarks"])


# --- drawn layouts ---


DRAWN = {
    "kinetics400": (lambda root: write_kinetics(root, 5, 1, 1, ("long jump", "hurdling"), 1), {"train": 2, "val": 2}),
    "ucf101": (
        lambda root: write_ucf101(root, 5, 2, 1, ("uneven bars", "cliff diving"), 1),
        {**{f"train {f}": 4 for f in (1, 2, 3)}, **{f"val {f}": 2 for f in (1, 2, 3)}, "all": 6},
    ),
    "hmdb51": (
        lambda root: write_hmdb51(root, 5, 1, 1, ("flic flac", "hop"), 1),
        {**{f"train {f}": 2 for f in (1, 2, 3)}, **{f"val {f}": 2 for f in (1, 2, 3)}, "all": 8},
    ),
    "charades": (
        lambda root: write_charades(root, 5, 2, 2, ("cliff diving", "hop"), 1),
        {"train": 2, "val": 2, "train-videos": 2},
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_copy_is_compared_with_its_lists_alone(tmp_path, name):
    draw, listed = DRAWN[name]
    draw(tmp_path / "set")
    r = run(tmp_path / "set", name)
    assert (
        r["status"] == 0
        and r["drawn"]
        and r["wrong"] == r["undecodable"] == r["missing"] == r["extra"] == r["identical"] == r["beyond_end"] == []
    )
    assert {s["split"]: s["listed"] for s in r["splits"]} == listed and all(
        s["expected"] == [] and s["lost"] == 0 for s in r["splits"]
    )
    assert any("there is a truth.json" in x for x in r["remarks"])
    (tmp_path / "set/truth.json").unlink()
    r = run(tmp_path / "set", name)
    assert r["examined"] == 0 and r["status"] == 1 and "classes instead of" in r["wrong"][0], (
        "now it passes for the real one"
    )


def test_one_fold(tmp_path):
    root = tmp_path / "set"
    DRAWN["ucf101"][0](root)
    r = run(root, "ucf101", fold=2)
    assert [s["split"] for s in r["splits"]] == ["train 2", "val 2", "all"]
    lost = (root / "ucfTrainTestlist/testlist02.txt").read_text().split()[0]
    (root / "UCF-101" / lost).unlink()
    assert [m["splits"] for m in run(root, "ucf101")["missing"]] == [["train 1", "train 3", "val 2", "all"]]


# --- from one check to the next ---


def records(root, name="kinetics400"):
    return [json.loads(line) for line in record_file(name, root).read_bytes().splitlines()]


def test_nothing_is_looked_at_twice(kinetics, clips, looks):
    broken(kinetics, clips)
    first = run(kinetics)
    assert sorted(looks) == sorted(at(kinetics, v).name for _, _, v in ROWS)
    looks.clear()
    second = run(kinetics)
    assert looks == [] and (second["examined"], second["kept"]) == (0, 6)
    assert {k: v for k, v in first.items() if k not in ("examined", "kept")} == {
        k: v for k, v in second.items() if k not in ("examined", "kept")
    }


def test_a_changed_file_is_looked_at_again(kinetics, clips, looks):
    run(kinetics)
    looks.clear()
    at(kinetics, "a0").write_bytes(clips[7])
    os.utime(at(kinetics, "b0"), ns=(1, 1))
    r = run(kinetics)
    assert sorted(looks) == sorted(at(kinetics, v).name for v in ("a0", "b0")) and [
        t["frames"] for t in r["too_short"]
    ] == [7]
    at(kinetics, "a0").write_bytes(b"")
    assert [u["kind"] for u in run(kinetics)["undecodable"]] == ["empty"]


class Stop(BaseException):
    """As Ctrl-C."""


def test_an_interrupted_check_goes_on(kinetics, monkeypatch):
    append = checking._append

    def some(file, record):
        append(file, record)
        if len(records(kinetics)) == 4:
            raise Stop

    with monkeypatch.context() as m:
        m.setattr(checking, "_append", some)
        with pytest.raises(Stop):
            run(kinetics)
    kept = records(kinetics)
    assert len(kept) == 4
    r = run(kinetics)
    assert (r["examined"], r["kept"], r["status"]) == (2, 4, 0) and records(kinetics)[:4] == kept
    assert {k["path"] for k in records(kinetics)[4:]}.isdisjoint(k["path"] for k in kept)


@pytest.mark.parametrize("end", [b'{"path": "train/a0_0000', b'{"path": 5}\n', b"null\n", b"\xff\xfe\n", b"\n\n"])
def test_a_cut_or_strange_line_is_passed_over(kinetics, looks, end):
    run(kinetics)
    file = record_file("kinetics400", kinetics)
    lines = file.read_bytes().splitlines(keepends=True)
    lost = json.loads(lines[-1])["path"]
    file.write_bytes(b"".join(lines[:-1]) + end)
    looks.clear()
    assert run(kinetics)["examined"] == 1 and looks == [os.path.basename(lost)]
    looks.clear()
    assert run(kinetics)["examined"] == 0 and looks == [], "and the next record is not part of it"


def test_other_roots_and_data_sets_have_other_files(kinetics, tmp_path, monkeypatch):
    file = record_file("kinetics400", kinetics)
    assert (
        file.is_relative_to(tmp_path / "cache")
        and file != record_file("ucf101", kinetics)
        and file != record_file("kinetics400", tmp_path)
    )
    monkeypatch.chdir(kinetics.parent)
    assert record_file("kinetics400", kinetics.name) == file, "the same folder by another name"


def test_parallel_and_serial_give_the_same(kinetics, clips, monkeypatch, tmp_path):
    broken(kinetics, clips)
    reports = []
    for workers in (1, 4):
        monkeypatch.setenv("SFAR_CACHE", str(tmp_path / f"cache{workers}"))
        reports.append(run(kinetics, workers=workers))
    assert reports[0] == reports[1] and reports[0]["status"] == 1


def test_in_fresh_processes(kinetics, clips, monkeypatch):
    monkeypatch.undo()  # the real pool, and no published numbers
    kinds = broken(kinetics, clips)
    r = run(kinetics, workers=1)
    assert {u["path"].split("/")[1].split("_")[0]: u["kind"] for u in r["undecodable"]} == kinds and r["examined"] == 6


# --- refused ---


def test_processes_that_do_not_start_are_no_full_disk(kinetics, monkeypatch):
    class Refusing(processes.Workers):
        def submit(self, work, *args):
            self._pool.submit = refuse
            return super().submit(work, *args)

    def refuse(*args):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "pool", Refusing)
    with pytest.raises(SfarError, match=r"^the processes .* cannot be started: Resource temporarily unavailable"):
        check("kinetics400", kinetics)


def test_what_cannot_be_checked(kinetics, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="'imagenet'"):
        check("imagenet", kinetics)
    with pytest.raises(ConfigError, match="fold 2"):
        check("kinetics400", kinetics, fold=2)
    with pytest.raises(DataError) as e:
        check("kinetics400", tmp_path / "nowhere")
    assert layouts.LAYOUTS["kinetics400"].tree in str(e.value) and layouts.LAYOUTS["kinetics400"].had in str(e.value)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(SfarError, match=r"cannot (read|write).*SFAR_CACHE"):
        check("kinetics400", kinetics)
