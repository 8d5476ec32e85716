"""Which file is which entry: endings, second copies, other folders, links, unfinished downloads."""

from sfar.data.finding import VideoFiles, class_folders


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
    listed = {(0, "v_1"), (0, "v_2"), (1, "v_1")}
    found, home = class_folders(tmp_path, ("UCF-101", "videos", ""), number, listed, str.casefold)
    assert found.paths == {
        (0, "v_1"): "videos/HandStand/v_1.mp4",
        (0, "v_2"): "videos/handstand/v_2.avi",
        (0, "v_4"): "videos/HandStand/v_4",
        (1, "v_1"): "Wave/V_1.avi",
    }
    assert found.twice == [("videos/HandStand/v_1.mp4", "videos/HandStand/v_1.avi")] and home == "videos"
    exact, home = class_folders(tmp_path, ("", "videos"), number, (), str)
    assert exact.paths[1, "V_1"] == "Wave/V_1.avi" and home == ""
    assert class_folders(tmp_path, ("nowhere", "videos/other"), number, (), str)[1] == "nowhere"


def test_a_folder_of_a_videos_name_with_the_video_in_it(tmp_path):
    """As downloaders arrange them: <id>/<id>.mp4. Such a folder is none of frames."""
    for name, file in (("a", "a.mkv"), ("b", "other.mp4"), ("c", "img_00001.jpg")):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / file).touch()
    found, _ = class_folders(tmp_path, ("",), {"run": 0}, {(0, n) for n in "abc"}, str)
    assert found.paths == {(0, "a"): "run/a/a.mkv", (0, "b"): "run/b/other.mp4", (0, "c"): "run/c"}
    (tmp_path / "run").rename(tmp_path / "moved")
    found, _ = class_folders(tmp_path, ("x",), {"run": 0}, {(0, n) for n in "abc"}, str)
    assert found.paths[0, "a"] == "moved/a/a.mkv" and found.paths[0, "c"] == "moved/c"
