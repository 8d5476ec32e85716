"""Lists as lines and rows, and folders of videos as they are found on disk."""

import os

import pytest

from sfar.data.disk import VideoFiles, class_folders, csv_rows, data_root, find_list, join, look, stem, text_lines
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
        (2, {"label": '"b c"', "id": "a1"}),
        (5, {"label": 'e, "f"', "id": "d\r\n2"}),
        (6, {"label": "", "id": "g"}),
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "columns missing in the first line: id, label; expected id,label[,x]"),
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
    assert look(tmp_path) == (["b.mp4", "link.mp4", "c.AVI", "a.mkv", "b.webm"], ["frames", "linked", "video.mp4"])
    assert look(tmp_path / "nowhere") == look(tmp_path / "note.txt") == ([], [])


def test_the_first_file_of_a_video_is_read():
    found = VideoFiles()
    for key, path in (("a", "a.mp4"), ("b", "b.mp4"), ("a", "a.avi"), ("a", "a.webm")):
        found.add(key, path)
    found.add_frames("b", "b/")
    found.add_frames("c", "c/")
    assert found.paths == {"a": "a.mp4", "b": "b.mp4", "c": "c/"} and found.twice == [
        ("a.mp4", "a.avi"),
        ("a.mp4", "a.webm"),
    ]
    assert (
        found.notes() == ("2 video files are second copies and not read (the first: a.avi; a.mp4 is read)",)
        and VideoFiles().notes() == ()
    )
    assert found.unnamed(["b"]) == ("a.mp4", "c/") and found.unnamed(["a", "b", "c"]) == ()


def test_class_folders(tmp_path):
    for path in (
        "videos/HandStand/v_1.avi",
        "videos/HandStand/v_1.mp4",
        "videos/handstand/v_2.avi",
        "videos/other/v_9.avi",
        "Wave/V_1.avi",
        "videos/v_3.avi",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    for path in ("videos/HandStand/v_2", "videos/HandStand/v_4", "videos/HandStand/handstand"):
        (tmp_path / path).mkdir()
    number = {"handstand": 0, "wave": 1}
    found, home = class_folders(tmp_path, ("UCF-101", "videos", ""), number, str.casefold)
    assert found.paths == {
        (0, "v_1"): "videos/HandStand/v_1.mp4",
        (0, "v_2"): "videos/handstand/v_2.avi",
        (0, "v_4"): "videos/HandStand/v_4",
        (1, "v_1"): "Wave/V_1.avi",
    }
    assert found.twice == [("videos/HandStand/v_1.mp4", "videos/HandStand/v_1.avi")] and home == "videos"
    exact, home = class_folders(tmp_path, ("", "videos"), number, str)
    assert exact.paths[1, "V_1"] == "Wave/V_1.avi" and home == ""
    assert class_folders(tmp_path, ("nowhere", "videos/other"), number, str)[1] == "nowhere"
