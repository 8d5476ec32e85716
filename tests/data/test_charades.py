"""The Charades reader on small trees with empty video files (it never opens them)."""

import csv
import io
from typing import Any

import pytest

from sfar.data.charades import list_sizes, read_charades
from sfar.data.labels import class_names
from sfar.data.manifest import Clip
from sfar.errors import ConfigError, DataError

CLASSES = [f"c{k:03d} {name}" for k, name in enumerate(class_names("charades"))]
HEADER = [
    "id",
    "subject",
    "scene",
    "quality",
    "relevance",
    "verified",
    "script",
    "objects",
    "descriptions",
    "actions",
    "length",
]


def row(video, actions, length="30.96", script="A person sits, then walks."):
    return [
        video,
        "HR43",
        "Kitchen",
        "6",
        "7",
        "Yes",
        script,
        "food;stove",
        "person eats;\r\nsecond line, with a comma",
        actions,
        length,
    ]


TRAIN = [
    row("46GP8", "c092 11.90 21.20;c147 0.00 12.60", "24.83"),
    row("YSKX3", "c087 5.00 5.00;c087 11.50 40.00;c147 31.50 40.00"),
    row("N11GT", ""),
]
TEST = [
    row("ABC01", "c147 0.00 12.60;c092 11.90 21.20;c147 20.00 24.00;c001 9.00 3.00"),
    row("ABC02", ""),
    row("ABC03", "c000 0.00 1.00"),
]


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def as_csv(rows, newline="\r\n", header=HEADER):
    text = io.StringIO()
    csv.writer(text, lineterminator=newline).writerows([header, *rows])
    return text.getvalue()


def make(
    root,
    train=TRAIN,
    test=TEST,
    classes=CLASSES,
    place="Charades",
    videos: str | None = "Charades_v1_480",
    newline="\r\n",
    bom="",
    header=HEADER,
):
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place / "Charades_v1_classes.txt").write_bytes((bom + "".join(c + newline for c in classes)).encode())
    for part, rows in (("train", train), ("test", test)):
        (root / place / f"Charades_v1_{part}.csv").write_bytes((bom + as_csv(rows, newline, header)).encode())
    if videos is not None:
        touch(root / videos, *(f"{r[0]}.mp4" for r in (*TRAIN, *TEST)))
    return root


def test_train_is_one_clip_per_timed_action(tmp_path):
    manifest = read_charades(make(tmp_path), "train")
    assert (manifest.name, manifest.split, manifest.root, manifest.multi_label, manifest.frame_rate) == (
        "charades",
        "train",
        tmp_path,
        True,
        24.0,
    )
    assert manifest.classes == class_names("charades") and len(manifest.classes) == 157
    assert manifest.clips == (
        Clip("Charades_v1_480/46GP8.mp4", 92, "46GP8/0", (92,), 11.9, 21.2),
        Clip("Charades_v1_480/46GP8.mp4", 147, "46GP8/1", (147,), 0.0, 12.6),
        Clip("Charades_v1_480/YSKX3.mp4", 87, "YSKX3/1", (87,), 11.5, 30.96),
    )  # the end is cut at the length
    assert manifest.notes == (
        f"2 of 5 timed actions do not end after they start (ends cut at the video's length) and are left out "
        f"(the first: {tmp_path}/Charades/Charades_v1_train.csv line 5, action 0)",
    )
    assert (manifest.missing, manifest.unused) == ((), ())


def test_val_and_train_videos_are_whole_videos(tmp_path):
    manifest = read_charades(str(make(tmp_path)), "val")
    assert manifest.clips == (
        Clip(
            "Charades_v1_480/ABC01.mp4", 1, "ABC01", (1, 92, 147)
        ),  # the label of an action without extent counts all the same
        Clip("Charades_v1_480/ABC02.mp4", -1, "ABC02", ()),
        Clip("Charades_v1_480/ABC03.mp4", 0, "ABC03", (0,)),
    )
    assert manifest.multi_label and manifest.frame_rate == 24.0 and manifest.notes == () and manifest.unused == ()
    videos = read_charades(tmp_path, "train-videos")
    assert [(clip.video_id, clip.label, clip.labels, clip.start) for clip in videos.clips] == [
        ("46GP8", 92, (92, 147), None),
        ("YSKX3", 87, (87, 147), None),
        ("N11GT", -1, (), None),
    ]


@pytest.mark.parametrize("place", ["", "Charades", "annotations"])
@pytest.mark.parametrize("videos", ["Charades_v1_480", "Charades_v1", "videos"])
def test_places(tmp_path, place, videos):
    manifest = read_charades(make(tmp_path, place=place, videos=videos), "val")
    assert [clip.path for clip in manifest.clips] == [f"{videos}/{r[0]}.mp4" for r in TEST]


@pytest.mark.parametrize(
    "variant", [{"newline": "\n"}, {"bom": "\ufeff"}, {"header": [*HEADER[:-1], "length", "egocentric"]}]
)
def test_harmless_variants_of_the_lists(tmp_path, variant):
    rows: dict[str, Any] = {}
    if "header" in variant:
        rows = {"train": [[*r, "No"] for r in TRAIN], "test": [[*r, "No"] for r in TEST]}
    for split in ("train", "val"):
        assert (
            read_charades(make(tmp_path / "a", **variant, **rows), split).clips
            == read_charades(make(tmp_path / "b"), split).clips
        )


def test_frames_stand_in_for_videos(tmp_path):
    make(tmp_path, videos=None)
    touch(
        tmp_path,
        "Charades_v1_rgb/46GP8/46GP8-000001.jpg",
        "Charades_v1_rgb/ABC01/ABC01-000001.jpg",
        "Charades_v1/ABC01.mp4",
        "videos/ABC01.mp4",
        "Charades_v1/STRAY.mp4",
        "Charades_v1_rgb/STRA2/STRA2-000001.jpg",
        "Charades_v1/._ABC02.mp4",
    )
    train, val = (read_charades(tmp_path, split) for split in ("train", "val"))
    assert [clip.path for clip in train.clips] == ["Charades_v1_rgb/46GP8"] * 2
    assert [clip.path for clip in val.clips] == ["Charades_v1/ABC01.mp4"], "the video goes before its frames"
    assert val.missing == ("Charades_v1/ABC02.mp4", "Charades_v1/ABC03.mp4")
    assert train.unused == val.unused == ("Charades_v1/STRAY.mp4", "Charades_v1_rgb/STRA2")
    assert val.notes == (
        "1 video files are second copies and not read (the first: videos/ABC01.mp4; Charades_v1/ABC01.mp4 is read)",
    )


def test_missing_names_a_video_once_and_only_where_it_is_needed(tmp_path):
    make(tmp_path)
    for video in ("YSKX3", "N11GT"):
        (tmp_path / f"Charades_v1_480/{video}.mp4").unlink()
    assert read_charades(tmp_path, "train").missing == ("Charades_v1_480/YSKX3.mp4",), "no clip is made of N11GT"
    assert read_charades(tmp_path, "train-videos").missing == ("Charades_v1_480/YSKX3.mp4", "Charades_v1_480/N11GT.mp4")


def test_frames_only_copies_miss_frames(tmp_path):
    make(tmp_path, videos=None)
    touch(tmp_path, "Charades_v1_rgb/ABC01/ABC01-000001.jpg")
    assert read_charades(tmp_path, "val").missing == ("Charades_v1_rgb/ABC02", "Charades_v1_rgb/ABC03")


def test_all_videos_missing_is_a_wrong_layout(tmp_path):
    make(tmp_path, videos=None)
    touch(tmp_path, "videos/STRAY.mp4")
    with pytest.raises(
        DataError,
        match=r"none of the 3 videos of Charades_v1_test\.csv .*"
        r"instance videos/ABC01\.mp4\); 1 others are \(1 in videos/; .*layout charades",
    ):
        read_charades(tmp_path, "val")
    with pytest.raises(
        DataError, match=r"none of the 1 videos of Charades_v1_train\.csv can be used \(no video has an action\)"
    ):
        read_charades(make(tmp_path, train=TRAIN[2:]), "train")


def test_list_sizes_count_the_list(tmp_path):
    make(tmp_path, videos=None)
    assert list_sizes(tmp_path, "train") == list_sizes(tmp_path, "train-videos") == (3, 5)
    assert list_sizes(tmp_path, "val") == (3, 5)


def test_no_root_no_list_unknown_split(tmp_path):
    with pytest.raises(
        DataError, match=r"nowhere: no such folder; .*Charades_v1_train\.csv.*sfar data layout charades"
    ):
        read_charades(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty"):
        read_charades(tmp_path, "train")
    make(tmp_path)
    (tmp_path / "Charades/Charades_v1_test.csv").unlink()
    with pytest.raises(
        DataError,
        match=r"no Charades_v1_test\.csv; "
        r"expected Charades_v1_test\.csv or Charades/Charades_v1_test\.csv or annotations/",
    ):
        read_charades(tmp_path, "train")
    with pytest.raises(ConfigError, match=r"split 'test'.*train, val, train-videos .*official test list"):
        read_charades(tmp_path, "test")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        # After the header come rows of two lines; the fourth is lines 8 and 9, and a row is named by its last line.
        (row("46GP8", ""), r"line 9, column id: 46GP8 is listed already \(.*line 3\)"),
        (row("", ""), r"line 9, column id: '' is not a path below"),
        (row("../x", ""), r"line 9, column id: '\.\./x' is not a path below"),
        (row("..\\x", ""), r"line 9, column id: .* is not a path below"),
        (row("/etc/x", ""), r"line 9, column id: '/etc/x' is not a path below"),
        (row("C:x", ""), r"line 9, column id: 'C:x' is not a path below"),
        (row("a/b", ""), r"line 9, column id: 'a/b' is not a video's id"),
        (row("a\\b", ""), r"line 9, column id: .* is not a video's id"),
        (row("QQQQ1", "c157 0.00 1.00"), r"line 9, column actions: 'c157' is not one of the 157 classes c000 to c156"),
        (row("QQQQ1", "x001 0.00 1.00"), r"line 9, column actions: 'x001' is not one of"),
        (row("QQQQ1", f"c{'1' * 5000} 0.00 1.00"), r"line 9, column actions: 'c1+' is not one of"),
        (row("QQQQ1", "c 0.00 1.00"), r"line 9, column actions: 'c' is not one of"),
        (row("QQQQ1", "c001 0.00"), r"line 9, column actions: 'c001 0\.00' is not a class, a start and an end"),
        (row("QQQQ1", "c001 0.00 1.00;"), r"line 9, column actions: '' is not a class, a start and an end"),
        (row("QQQQ1", "c001 a 1.00"), r"line 9, column actions: 'a' is not a number of seconds"),
        (row("QQQQ1", "c001 -1 1.00"), r"line 9, column actions: '-1' is not a number of seconds"),
        (row("QQQQ1", "c001 0 nan"), r"line 9, column actions: 'nan' is not a number of seconds"),
        (row("QQQQ1", "c001 0 inf"), r"line 9, column actions: 'inf' is not a number of seconds"),
        (row("QQQQ1", "", "long"), r"line 9, column length: 'long' is not a number of seconds"),
        (row("QQQQ1", "", ""), r"line 9, column length: '' is not a number of seconds"),
        (row("QQQQ1", "", "0"), r"line 9, column length: '0' is not above 0"),
        (row("QQQQ1", "")[:9], r"line 9: has fewer than 3 columns; expected id,actions,length among others"),
    ],
)
def test_bad_rows_are_named(tmp_path, bad, message):
    make(tmp_path, train=[*TRAIN, bad])
    with pytest.raises(DataError, match=rf"Charades_v1_train\.csv {message}"):
        read_charades(tmp_path, "train")


def test_a_video_in_both_lists(tmp_path):
    make(tmp_path, test=[*TEST, TRAIN[0]])
    with pytest.raises(
        DataError,
        match=r"Charades_v1_test\.csv line 9, column id: 46GP8 is a training video too "
        r"\(.*Charades_v1_train\.csv line 3\)",
    ):
        read_charades(tmp_path, "val")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["c000 One", "c002 Three"], r"line 2: 'c002 Three'; expected \"c001\" and a class name"),
        (["c001 Two"], r"line 1: 'c001 Two'; expected \"c000\""),
        (["c000 One", "c001"], r"line 2: 'c001'; expected \"c001\""),
        (["0 One"], r"line 1: '0 One'; expected \"c000\""),
        (["c000 One", "c001 One"], r"line 2: 'One' is c000 already"),
        ([], r": has no lines"),
    ],
)
def test_bad_classes(tmp_path, classes, message):
    with pytest.raises(DataError, match=rf"Charades_v1_classes\.txt:? ?{message.removeprefix(': ')}"):
        read_charades(make(tmp_path, classes=classes), "train")


def test_any_number_of_classes(tmp_path):
    make(
        tmp_path,
        classes=["c000 Walk", "c001 Sit  "],
        train=[row("46GP8", "c001 0.00 2.00")],
        test=[row("ABC01", "c000 0.00 2.00")],
    )
    assert read_charades(tmp_path, "train").classes == ("Walk", "Sit")
    with pytest.raises(DataError, match=r"'c002' is not one of the 2 classes c000 to c001"):
        read_charades(
            make(tmp_path, classes=["c000 Walk", "c001 Sit"], train=[row("46GP8", "c002 0.00 2.00")], test=[]), "train"
        )


def test_lists_that_are_no_csv(tmp_path):
    make(tmp_path, header=["id", "actions"])
    with pytest.raises(
        DataError,
        match=r"Charades_v1_train\.csv: columns missing in the first line: length; "
        r"expected id,actions,length among others",
    ):
        read_charades(tmp_path, "train")
    with pytest.raises(DataError, match=r"Charades_v1_test\.csv: has no rows"):
        read_charades(make(tmp_path, test=[]), "train")
    (tmp_path / "Charades/Charades_v1_train.csv").write_bytes(b"\xff\xfebinary")
    with pytest.raises(DataError, match=r"Charades_v1_train\.csv: is not a csv file in UTF-8"):
        read_charades(tmp_path, "train")


@pytest.mark.parametrize("place", ["", "videos", "Charades_v1_480/Charades_v1_480", "mp4"])
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mp4.mkv"])
def test_videos_wherever_they_lie(tmp_path, place, ending):
    make(tmp_path, videos=None)
    touch(tmp_path, *(f"{place}/{r[0]}{ending}".lstrip("/") for r in (*TRAIN, *TEST)), "readme.mp4.part")
    for split, rows in (("train-videos", TRAIN), ("val", TEST)):
        manifest = read_charades(tmp_path, split)
        assert [c.video_id for c in manifest.clips] == [
            r[0] for r in rows
        ] and manifest.missing == manifest.unused == ()
