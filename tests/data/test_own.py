"""Data sets of one's own, on trees with empty video files (the reader never opens them)."""

import os

import pytest

from sfar.data import layouts
from sfar.data.check import check
from sfar.data.own import class_words, read_own
from sfar.errors import ConfigError, DataError

TREE = {"Long_Jump": 6, "yoga": 2, "MakingPizza": 11}
NAMES = ("long jump", "making pizza", "yoga")


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def make(root, tree=TREE, ending=".mp4"):
    return touch(root, *(f"{name}/v{k}{ending}" for name, n in tree.items() for k in range(n)))


def listed(root, rows, header="path,label", name="own.csv"):
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root / name


# --- what is read ---


def test_a_folder_of_folders(tmp_path):
    make(tmp_path)
    touch(tmp_path, "notes.txt", "loose.mp4", "yoga/._v0.mp4", "yoga/v0.txt", "yoga/clip/img_00001.jpg", ".git/x.mp4")
    whole = read_own(tmp_path, "all")
    assert (whole.name, whole.root, whole.classes, whole.missing) == ("folder", tmp_path, NAMES, ())
    assert [sum(c.label == k for c in whole.clips) for k in range(3)] == [6, 11, 3]
    assert [c.path for c in whole.clips if c.label == 2] == ["yoga/clip", "yoga/v0.mp4", "yoga/v1.mp4"]
    assert whole.clips[0].video_id == "v0" and whole.unused == ("loose.mp4",)
    assert whole.notes[0] == "3 classes (videos): long jump (6), making pizza (11), yoga (3)"
    assert whole.notes[1] == "names are read as words: 'Long_Jump' is 'long jump', 'MakingPizza' is 'making pizza'"
    assert whole.notes[2].startswith("no split is given: of each class about a fifth") and len(whole.notes) == 3


def test_a_folder_for_each_video(tmp_path):
    m = read_own(touch(tmp_path, "a/x/x.mp4", "a/y.mp4", "b/z/z.mkv", "b/z/z.json", "b/v/v.mp4"), "all")
    assert [(c.path, c.video_id) for c in m.clips] == [
        ("a/x/x.mp4", "x"),
        ("a/y.mp4", "y"),
        ("b/v/v.mp4", "v"),
        ("b/z/z.mkv", "z"),
    ]


@pytest.mark.parametrize("ending", [".mov", ".MTS", ".mp4.mkv", ".webm"])
def test_any_of_the_usual_endings(tmp_path, ending):
    whole = read_own(make(tmp_path, ending=ending), "all")
    assert len(whole.clips) == 19 and {c.video_id for c in whole.clips} == {f"v{k}" for k in range(11)}


def test_a_split_is_drawn_of_every_class_and_stays(tmp_path):
    make(tmp_path / "a")
    make(tmp_path / "b")
    tested = []
    for fold in (1, 2, 3):
        train, val = (read_own(tmp_path / "a", split, fold) for split in ("train", "val"))
        assert [sum(c.label == k for c in val.clips) for k in range(3)] == [[2, 3, 1], [1, 2, 1], [1, 2, 1]][fold - 1]
        assert not {c.path for c in train.clips} & {c.path for c in val.clips} and not train.notes
        assert len(train.clips) + len(val.clips) == 19
        assert read_own(tmp_path / "b", "val", fold).clips == val.clips, "the same wherever the folder lies"
        tested.append({c.path for c in val.clips})
    assert not {p for p in tested[0] & tested[1] if "yoga" not in p}, "folds test different videos"
    touch(tmp_path / "a", "yoga/v2.mp4")
    assert tested[0] - {"yoga/v0.mp4", "yoga/v1.mp4"} <= {c.path for c in read_own(tmp_path / "a", "val").clips}


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("Training", "validation"), ("train", "test")])
def test_a_folder_with_a_split(tmp_path, train, val):
    touch(tmp_path, *(f"{s}/{c}/{s}{k}.mp4" for s, n in ((train, 3), (val, 1)) for c in TREE for k in range(n)))
    assert [len(read_own(tmp_path, split).clips) for split in ("train", "val", "all")] == [9, 3, 12]
    assert read_own(tmp_path, "val").clips[0].path == f"{val}/Long_Jump/{val}0.mp4"
    with pytest.raises(ConfigError, match=r"data\.fold.* has a split of its own, expected 1, got 2"):
        read_own(tmp_path, "val", 2)


def test_train_val_and_test(tmp_path):
    touch(tmp_path, *(f"{s}/{c}/{s}.mp4" for s in ("train", "val", "test") for c in TREE), "old/x.mp4")
    whole = read_own(tmp_path, "all")
    assert {c.path.split("/")[0] for c in whole.clips} == {"train", "val"}
    assert "3 videos of the split test are not read: val is tested on" in whole.notes
    assert "folders beside those of the splits are not read: old" in whole.notes


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_csv_file(tmp_path, separator, absolute):
    make(tmp_path / "videos")
    start = f"{tmp_path}/videos" if absolute else "videos"
    rows = [f"{start}/{name}/v{k}.mp4{separator}{name} " for name in ("Long_Jump", "yoga") for k in range(2)]
    file = listed(tmp_path, rows, separator.join(["path", "label"]))
    whole = read_own(file, "all")
    assert (whole.root, whole.classes) == (tmp_path, ("long jump", "yoga"))
    assert [c.path for c in whole.clips] == [r.split(separator)[0] for r in rows], "the order of the file"
    assert all((whole.root / c.path).is_file() for c in whole.clips)
    assert [len(read_own(file, s).clips) for s in ("train", "val")] == [2, 2]


def test_a_csv_file_with_a_split(tmp_path):
    make(tmp_path, {"a": 3, "b": 3})
    rows = [f"{c}/v{k}.mp4,{c},{s}" for c in "ab" for k, s in enumerate(("train", "Train", "test"))]
    file = listed(tmp_path, rows, "path,label,split")
    assert [[c.path for c in read_own(file, s).clips] for s in ("train", "val")] == [
        ["a/v0.mp4", "a/v1.mp4", "b/v0.mp4", "b/v1.mp4"],
        ["a/v2.mp4", "b/v2.mp4"],
    ]
    only = listed(tmp_path, [r for r in rows if "test" in r], "path,label,split", "test.csv")
    assert (len(read_own(only, "val").clips), read_own(only, "train").clips) == (2, ()), "enough to be evaluated on"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("long_jump", "long jump"),
        ("Long_Jump", "long jump"),
        ("LongJump", "long jump"),
        ("Long  Jump", "long jump"),
        ("play a guitar", "play a guitar"),
        ("BMX", "BMX"),
        ("iPhone unboxing", "iPhone unboxing"),
        ("Tai-Chi", "Tai-Chi"),
        ("a_b c", "a_b c"),
        ("PlayingDJ", "PlayingDJ"),
        ("YoYo", "yo yo"),
        ("7", "7"),
        ("\u00c4pfel_pfl\u00fccken", "\u00e4pfel pfl\u00fccken"),
    ],
)
def test_names_of_classes_as_words(written, read):
    assert class_words(written) == read


# --- what is refused ---


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/x.mp4", "b/x.mp4", "b/y.mp4"], r"one video alone of class 'a'; a split needs two.*csv file with a column"),
        (["a/x.mp4", "a/y.mp4", "b/note.txt"], r"/b: class 'b' has no video; put some there"),
        (["a/x.mp4", "a/y.mp4", "b/z.mp4.part"], r"class 'b' has no video; 1 downloads are not finished"),
        (["a/x.mp4", "a/y.mp4", "b/1.jpg", "b/2.jpg"], r"/b: holds pictures and no video; .*b/<video>/img_00001\.jpg"),
        (["Long Jump/x.mp4", "long_jump/y.mp4"], r"spelled in two ways: 'Long Jump' \(.*x\.mp4\) and 'long_jump' \("),
        (
            ["data/a/x.mp4", "data/b/y.mp4"],
            r"data/a: is a folder in the folder of class 'data' .*give .*/data where that",
        ),
        (["a/x.mp4", "a/sub/y.mp4", "b/z.mp4"], r"a/sub: is a folder in the folder of class 'a'"),
        (["x.mp4", "y.mp4"], r"2 videos lie in it, and no folder; expected a folder of videos for each class"),
        (["note.txt"], "no folder is in it; expected a folder of videos"),
        (["a/x.mp4", "a/y.mp4"], "has one class alone, 'a'; expected two or more"),
        (["train/a/x.mp4", "train/b/x.mp4", "val/a/y.mp4", "val/c/z.mp4"], "no training video of class 'c'; add one"),
    ],
)
def test_folders_that_cannot_be_meant(tmp_path, paths, message):
    with pytest.raises(DataError, match=message):
        read_own(touch(tmp_path, *paths), "train")


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a/v0.mp4,a"], "file,class", r"own\.csv: columns missing in the first line: path, label; .*'file,class'"),
        (["a/v0.mp4"], "path,label", r"own\.csv line 2: has fewer than 2 columns; expected path,label\[,split\]"),
        (["a/v0.mp4,"], "path,label", r"own\.csv line 2, column label: is empty"),
        ([",a"], "path,label", r"own\.csv line 2, column path: is empty"),
        (
            ["a/v0.mp4,a", "a/v9.mp4,a", "b/v9.mp4,b"],
            "path,label",
            r"line 3: a/v9\.mp4: no such file .*; 1 more is not there either",
        ),
        (["a/v0.avi,a"], "path,label", r"line 2: a/v0\.avi: no such file or folder \(there is v0\.mp4\)"),
        (["gone.mp4,a"], "path,label", r"line 2: gone\.mp4: is a link to nowhere\.mp4, which is not there"),
        (["p.jpg,a"], "path,label", r"line 2: p\.jpg: is a picture and no video"),
        (
            ["a/v0.mp4,a", "./a/v0.mp4,b"],
            "path,label",
            r"a/v0\.mp4 is in two classes: 'a' \(.*line 2\) and 'b' \(.*line 3",
        ),
        (
            ["a/v0.mp4,a", "a/v0.mp4,a"],
            "path,label",
            r"a/v0\.mp4 is there twice in class 'a' \(.*line 2 and .*line 3\)",
        ),
        (
            ["a/v0.mp4,Yoga", "a/v1.mp4,yoga"],
            "path,label",
            r"spelled in two ways: 'Yoga' \(.*line 2\) and 'yoga' \(.*line 3",
        ),
        (
            ["a/v0.mp4,a,train", "b/v0.mp4,b,"],
            "path,label,split",
            r"line 3, column split: is empty, 1 other rows have one",
        ),
        (["a/v0.mp4,a,eval"], "path,label,split", r"line 2, column split: 'eval'; expected train, val or nothing"),
        ([], "path,label", "has no rows"),
    ],
)
def test_lists_that_cannot_be_meant(tmp_path, rows, header, message):
    touch(tmp_path, "p.jpg", *(f"{c}/v{k}.mp4" for c in "ab" for k in range(3)))
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    with pytest.raises(DataError, match=message):
        read_own(listed(tmp_path, rows, header), "all")


@pytest.mark.parametrize("make_link", [os.symlink, os.link])
def test_one_file_in_two_classes_by_a_link(tmp_path, make_link):
    touch(tmp_path, "a/x.mp4", "a/y.mp4", "b/z.mp4")
    make_link(tmp_path / "a/x.mp4", tmp_path / "b/again.mp4")
    with pytest.raises(DataError, match=r"file b/again\.mp4 is in two classes: 'a' \(.*a/x\.mp4\) and 'b' \("):
        read_own(tmp_path, "train")


def test_unknown_splits_folds_and_roots(tmp_path):
    make(tmp_path)
    with pytest.raises(
        ConfigError, match="unknown split 'test' of a data set of your own: expected one of train, val, all"
    ):
        read_own(tmp_path, "test")
    with pytest.raises(ConfigError, match="unknown fold 4"):
        read_own(tmp_path, "train", 4)
    with pytest.raises(DataError, match=r"nowhere: no such folder; .*csv file: path,label.*sfar data layout folder"):
        read_own(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty"):
        (tmp_path / "empty").mkdir()
        read_own(tmp_path / "empty", "train")


def test_it_is_one_of_the_data_sets(tmp_path):
    make(tmp_path)
    assert layouts.read("folder", tmp_path, "val") == read_own(tmp_path, "val")
    assert layouts.expected("folder", "train") == () and "path,label[,split]" in layouts.layout("folder").tree
    assert layouts.count(read_own(tmp_path, "all"), layouts.LISTED) == 19


@pytest.mark.usefixtures("videos_here")
def test_copies_in_two_classes_are_found_by_the_check(tmp_path, roots):
    """Under other names and in other files; a name that comes again in another class is nothing odd."""
    videos = sorted((roots["kinetics400"] / "train").rglob("*.mp4"))[:4]
    for k, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        touch(tmp_path, f"{name}.mp4").joinpath(f"{name}.mp4").write_bytes(
            videos[min(k, 2) if k < 3 else 0].read_bytes()
        )
    for given in (tmp_path, listed(tmp_path, [f"{n}.mp4,{n[0]}" for n in ("a/1", "a/2", "b/1", "b/2")])):
        report = check("folder", given, workers=1)
        assert report["status"] == 1 and report["train_and_val"] == [] and report["undecodable"] == []
        assert report["wrong"] == ["1 files are in two classes under other names, the first: a/1.mp4 = b/2.mp4 (a, b)"]
    (tmp_path / "b/2.mp4").write_bytes(videos[3].read_bytes())
    report = check("folder", tmp_path, workers=1)
    assert report["wrong"] == [] and [s["split"] for s in report["splits"]] == ["train 1", "val 1", "all"]
    assert sum("no split is given" in r for r in report["remarks"]) == 1


@pytest.mark.parametrize(("lost", "others"), [("walk", ""), ("train/walk", "train/"), ("val", "train/")])
def test_a_class_whose_folder_is_a_link_to_nothing_is_not_left_out(tmp_path, lost, others):
    """A disk that is not mounted: the other classes alone would be another data set."""
    make(tmp_path / others)
    make(tmp_path / "val" if others and lost != "val" else tmp_path / others)
    (tmp_path / lost).symlink_to("/nowhere/walk")
    with pytest.raises(DataError, match=rf"^{tmp_path}/{lost}: is a link to /nowhere/walk, which is not there"):
        read_own(tmp_path, "all")


def test_a_name_in_a_csv_file_that_no_disk_takes(tmp_path):
    make(tmp_path)
    file = listed(tmp_path, ["yoga/v0.mp4,yoga", f"{'x' * 5000}.mp4,yoga"])
    with pytest.raises(DataError, match=r"line 3: x+\.mp4: cannot be read \(File name too long\); correct its name"):
        read_own(file, "all")


def test_the_name_of_a_class_has_to_be_text(tmp_path):
    make(tmp_path, {"a": 2, "b": 2})
    try:
        os.rename(tmp_path / "b", os.fsencode(tmp_path) + b"/\xff")
    except OSError:
        pytest.skip("a system whose names are text")
    with pytest.raises(DataError, match=r"the name of class '\\udcff' is no text in UTF-8; rename the folder"):
        read_own(tmp_path, "all")
