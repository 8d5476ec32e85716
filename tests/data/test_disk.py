"""Lists as lines and rows, and folders of videos as they are found on disk."""

import gc
import os

import pytest

from sfar.data.disk import (
    csv_rows,
    data_root,
    find_list,
    join,
    kept,
    look,
    names_of,
    once,
    parted,
    stem,
    text_lines,
    uncollected,
)
from sfar.errors import DataError

# --- the root and its lists ---


def test_a_root_is_a_folder_with_something_in_it(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, words in (("nowhere", "no such folder"), ("file", "is a file"), ("empty", "is empty")):
        with pytest.raises(DataError) as e:
            data_root(tmp_path / name, "ucf101", "the lists")
        assert all(w in str(e.value) for w in (str(tmp_path / name), words, "the lists", "`sfar data layout ucf101`"))
    assert data_root(str(tmp_path), "ucf101", "the lists") == tmp_path


def test_the_first_list_that_is_there(tmp_path):
    (tmp_path / "annotations/val.csv").mkdir(parents=True)  # a folder is no list
    with pytest.raises(DataError) as e:
        find_list(tmp_path, ("annotations", ""), ("val.csv", "validate.csv"), "kinetics400")
    assert str(tmp_path) in str(
        e.value
    ) and "annotations/val.csv or val.csv or annotations/validate.csv or validate.csv" in str(e.value)
    (tmp_path / "annotations/validate.csv").write_text("x")
    assert (
        find_list(tmp_path, ("annotations", ""), ("val.csv", "validate.csv"), "kinetics400")
        == tmp_path / "annotations/validate.csv"
    )
    (tmp_path / "val.csv").write_text("x")
    assert find_list(tmp_path, ("annotations", ""), ("val.csv", "validate.csv"), "kinetics400") == tmp_path / "val.csv"


def test_join():
    assert (join("", "a", "", "b.mp4"), join("", ""), join("a")) == ("a/b.mp4", "", "a")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines(tmp_path, end):
    file = tmp_path / "list.txt"
    file.write_bytes("\N{BYTE ORDER MARK}".encode() + end.join(["first ", "", "  ", "\tfourth 2", "ünf"]).encode())
    assert text_lines(file) == [(1, "first"), (4, "fourth 2"), (5, "ünf")]


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"", "has no lines"), (b" \n\r\n", "has no lines"), (b"a\n\xff\xfeb\n", "is not a text file in UTF-8")],
)
def test_files_that_are_no_list(tmp_path, raw, words):
    (tmp_path / "list.txt").write_bytes(raw)
    with pytest.raises(DataError) as e:
        text_lines(tmp_path / "list.txt")
    assert str(tmp_path / "list.txt") in str(e.value) and words in str(e.value) and "download it again" in str(e.value)


def test_rows(tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(
        '\N{BYTE ORDER MARK}id,more,label\r\na1,x, "b c" \r\n\r\n"d\r\n2",y,"e, ""f"""\r\ng,,\r\n'.encode()
    )
    assert list(csv_rows(file, ("label", "id"))) == [
        (2, {"label": "b c", "id": "a1"}),
        (5, {"label": 'e, "f"', "id": "d\r\n2"}),
        (6, {"label": "", "id": "g"}),
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "columns missing in the first line: id, label; expected id,label[,x]; the file is empty"),
        (b"\nid,label\na,b\n", "expected id,label[,x]; it is blank: remove it"),
        ("id,label\na,b\n".encode("utf-16"), "save it as UTF-8, or download it again"),
        (b"id,Label\na,b\n", "columns missing in the first line: label"),
        (b"id,label\n", "has no rows"),
        (b"id,label\na,b\nc\n", "line 3: has fewer than 2 columns; expected id,label[,x]"),
        (b"id,label\n\xff,b\n", "is not a csv file in UTF-8"),
        (b'id,label\n"' + b"x" * 200_000 + b'",b\n', "is not a csv file in UTF-8 (field larger"),
    ],
)
def test_files_that_are_no_csv(tmp_path, raw, words):
    (tmp_path / "list.csv").write_bytes(raw)
    with pytest.raises(DataError) as e:
        list(csv_rows(tmp_path / "list.csv", ("id", "label"), "[,x]"))
    assert str(tmp_path / "list.csv") in str(e.value) and words in str(e.value)


# --- the videos ---


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("a.mp4", "a"),
        ("a.b.AVI", "a.b"),
        ("a.mp4.mkv", "a"),
        ("a.mp4.webm", "a"),
        ("a.MOV", "a"),
        ("a.mkv.part", "a.mkv.part"),
        ("a.webm", "a"),
        ("a.mkv", "a"),
        ("a.txt", "a.txt"),
        ("a.b", "a.b"),
        ("a", "a"),
    ],
)
def test_stem(name, base):
    assert stem(name) == base


def test_one_look_at_a_folder(tmp_path):
    for name in ("b.webm", "b.mp4", "a.mkv", "c.AVI", "note.txt", ".hidden.mp4", "._a.mkv"):
        (tmp_path / name).write_bytes(b"")
    for name in ("frames", "video.mp4", ".cache"):
        (tmp_path / name).mkdir()
    os.symlink(tmp_path / "a.mkv", tmp_path / "link.mp4")
    os.symlink(tmp_path / "frames", tmp_path / "linked")
    assert look(tmp_path) == (
        ["b.mp4", "link.mp4", "c.AVI", "a.mkv", "b.webm"],
        ["frames", "linked", "video.mp4"],
        [],
        [],
    )
    assert look(tmp_path / "nowhere") == look(tmp_path / "note.txt") == ([], [], [], [])


def test_endings_links_and_downloads_on_the_way(tmp_path):
    """Any file but those that lie beside videos may be one; the likelier copy of a video goes first."""
    videos = ["a.mp4", "a.MOV", "b.ts", "a.mp4.mkv", "a", "a.nut", "b.xyz"]
    beside = ["a.info.json", "a.jpg", "a.en.vtt", "a.wav", "a.zip", "a.npy"]
    unfinished = ["a.f137.mp4.part", "a.mkv.part", "a.mp4.part-Frag12", "a.mp4.ytdl", "b.mp4.crdownload"]
    for name in (*reversed(videos), *beside, *reversed(unfinished)):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "store/gone.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert look(tmp_path) == (videos, [], ["gone.mp4", "loop.mp4"], unfinished)


def test_a_folder_that_is_a_link_to_nothing(tmp_path):
    (tmp_path / "train").symlink_to(tmp_path / "disk2/train")
    with pytest.raises(DataError) as e:
        look(tmp_path / "train")
    assert str(e.value).startswith(f"{tmp_path}/train: is a link to {tmp_path}/disk2/train, which is not there; ")
    with pytest.raises(DataError, match=r"train: is a link to .*disk2/train, which is not there; give the folder"):
        data_root(tmp_path / "train", "ucf101", "the lists")
    (tmp_path / "list.txt").symlink_to("lists/list.txt")
    with pytest.raises(DataError, match=r"list\.txt: is a link to lists/list\.txt, which is not there; make the link"):
        find_list(tmp_path, ("", "annotations"), ("list.txt",), "ucf101")


def test_lists_that_lie_in_another_folder_are_named(tmp_path):
    for folder in ("data/ucf101/annotations", "data/ucf101/videos"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/ucf101/annotations/list.txt").write_text("x")
    for given in ("data", "data/ucf101/videos"):
        with pytest.raises(DataError) as e:
            find_list(tmp_path / given, ("", "annotations"), ("list.txt",), "ucf101")
        assert f"(they are in {tmp_path}/data/ucf101: give that folder)" in str(e.value)


def test_a_text_list_in_place_of_a_csv_file_is_named(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/kinetics400_train_list_videos.txt").write_text("a.mp4 0\n")
    with pytest.raises(DataError, match=r"no a.csv.*\(annotations/kinetics400_train_list_videos.txt is there, a list"):
        find_list(tmp_path, ("annotations", "", "nowhere"), ("a.csv",), "kinetics400")
    with pytest.raises(DataError, match=r"^((?!is there).)*$"):
        find_list(tmp_path, ("annotations",), ("trainlist01.txt",), "ucf101")


def test_a_joined_video_goes_before_its_picture_alone(tmp_path):
    for name in ("a.f137.mp4", "a.mkv", "b.f137.mp4", "b.mp4"):
        (tmp_path / name).touch()
    assert look(tmp_path).files == ["b.mp4", "a.mkv", "a.f137.mp4", "b.f137.mp4"]


def test_what_a_file_may_be_called_in_a_list():
    assert names_of("a.mp4") == ("a",) and names_of("a.mp4.mkv") == ("a",) and names_of("a") == ("a",)
    assert names_of("a.nut") == ("a.nut", "a") and names_of("a.mp4.nut") == ("a.mp4.nut", "a")
    assert names_of("a.f137.mp4") == ("a.f137", "a") and names_of("b.f12c.mp4") == ("b.f12c",)
    assert names_of("Mr. Bean_wave_0.avi") == ("Mr. Bean_wave_0",)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " ; "])
def test_the_separator_of_a_csv(tmp_path, separator):
    file = tmp_path / "list.csv"
    rows = [["label", "more", "id"], ["b c", "x", "a1"], ['"with"', "", "a2 "]]
    file.write_bytes("".join(separator.join(row) + " \r\n" for row in rows).encode("utf-8-sig"))
    assert list(csv_rows(file, ("id", "label"))) == [
        (2, {"id": "a1", "label": "b c"}),
        (3, {"id": "a2", "label": "with"}),
    ]


def test_another_header_is_shown(tmp_path):
    (tmp_path / "list.csv").write_text("name;id\nx;y\n")
    with pytest.raises(DataError, match=r"first line: label; expected id,label; found is 'name;id'"):
        list(csv_rows(tmp_path / "list.csv", ("id", "label")))


def test_what_is_kept_lasts_as_long_as_the_outermost_once():
    made = []

    def make():
        made.append(len(made))
        return made[-1]

    assert [kept("a", make), kept("a", make)] == [0, 1], "outside nothing is kept"
    with once():
        with once():
            assert kept("a", make) == 2
        assert kept("a", make) == 2 and kept("b", make) == 3
    with once(), pytest.raises(ZeroDivisionError):
        kept("a", lambda: 1 // 0)
    with once():
        assert kept("a", make) == 4


def test_the_collector_rests_while_a_list_is_read_and_is_then_as_it_was():
    assert gc.isenabled()
    with pytest.raises(DataError), uncollected():
        assert not gc.isenabled()
        raise DataError("a row")
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.mp4", ("a", ".mp4")),
        ("a.b.MP4", ("a.b", ".MP4")),
        ("a", ("a", "")),
        ("a.", ("a", ".")),
        (".mp4", (".mp4", "")),
        ("", ("", "")),
    ],
)
def test_a_name_is_parted_as_the_system_does(name, parts):
    assert parted(name) == parts == os.path.splitext(name)
