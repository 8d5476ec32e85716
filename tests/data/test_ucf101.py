"""The UCF-101 reader on small trees with empty video files (it never opens them)."""

from importlib.resources import files
from typing import Any

import pytest

from sfar.data.labels import class_names
from sfar.data.manifest import Clip
from sfar.data.ucf101 import read_ucf101
from sfar.errors import ConfigError, DataError

INDEX = ["1 ApplyEyeMakeup", "2 HandstandPushups", "3 YoYo"]
TRAIN = [
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 2",
    "YoYo/v_YoYo_g09_c02.avi 3",
]
TEST = ["YoYo/v_YoYo_g01_c01.avi", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"]


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def make(
    root,
    index=INDEX,
    train=TRAIN,
    test=TEST,
    lists="ucfTrainTestlist",
    videos: str | None = "UCF-101",
    newline="\n",
    bom="",
    fold=1,
):
    (root / lists).mkdir(parents=True, exist_ok=True)
    for name, lines in (("classInd", index), (f"trainlist0{fold}", train), (f"testlist0{fold}", test)):
        (root / lists / f"{name}.txt").write_bytes((bom + "".join(line + newline for line in lines)).encode())
    if videos is not None:
        touch(root / videos, *(line.split(" ")[0] for line in (*TRAIN, *TEST)))
    return root


def test_train_and_val(tmp_path):
    manifest = read_ucf101(make(tmp_path), "train")
    assert (manifest.name, manifest.split, manifest.root, manifest.multi_label) == ("ucf101", "train", tmp_path, False)
    assert manifest.classes == ("apply eye makeup", "handstand pushups", "yo yo")
    assert manifest.clips == (
        Clip("UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", 0, "v_ApplyEyeMakeup_g08_c01"),
        Clip("UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi", 1, "v_HandStandPushups_g08_c01"),
        Clip("UCF-101/YoYo/v_YoYo_g09_c02.avi", 2, "v_YoYo_g09_c02"),
    )
    assert (manifest.missing, manifest.unused, manifest.notes) == ((), (), ())
    val = read_ucf101(str(tmp_path), "val")
    assert [(clip.video_id, clip.label) for clip in val.clips] == [
        ("v_YoYo_g01_c01", 2),
        ("v_ApplyEyeMakeup_g01_c01", 0),
    ], "the order of the list"
    assert [clip.path for clip in read_ucf101(tmp_path, "all").clips] == [
        clip.path for clip in (*manifest.clips, *val.clips)
    ]


def test_the_101_official_names(tmp_path):
    """classInd.txt as it is given out (the label list has its names in its order), one training video per class."""
    camel = (files("sfar.data.labels") / "ucf101.txt").read_text(encoding="utf-8").split()
    # Spelled out where the words are easily got wrong.
    assert {
        "HandstandPushups": 37,
        "YoYo": 101,
        "TaiChi": 91,
        "BlowDryHair": 13,
        "HammerThrow": 36,
        "Haircut": 34,
        "PlayingDhol": 61,
    }.items() <= {name: k for k, name in enumerate(camel, 1)}.items()
    train = [f"{name}/v_{name}_g08_c01.avi {k}" for k, name in enumerate(camel, 1)]
    make(tmp_path, index=[f"{k} {name}" for k, name in enumerate(camel, 1)], train=train)
    touch(tmp_path / "UCF-101", *(line.split()[0] for line in train))
    manifest = read_ucf101(tmp_path, "train")
    assert manifest.classes == class_names("ucf101") and len(manifest.classes) == 101
    assert {"handstand pushups", "yo yo", "tai chi", "blow dry hair", "body weight squats"} <= set(manifest.classes)
    assert [clip.label for clip in manifest.clips] == list(range(101))


@pytest.mark.parametrize("lists", ["", "ucfTrainTestlist", "annotations"])
@pytest.mark.parametrize("videos", ["UCF-101", "videos", ""])
def test_places(tmp_path, lists, videos):
    manifest = read_ucf101(make(tmp_path, lists=lists, videos=videos), "train")
    assert [clip.path for clip in manifest.clips] == [f"{videos}/{line.split()[0]}".lstrip("/") for line in TRAIN]
    assert manifest.unused == ()


@pytest.mark.parametrize(
    "variant", [{"newline": "\r\n"}, {"bom": "\ufeff"}, {"newline": "  \n\n"}, {"newline": "\t\r\n"}]
)
def test_harmless_variants_of_the_lists(tmp_path, variant):
    assert read_ucf101(make(tmp_path / "a", **variant), "all").clips == read_ucf101(make(tmp_path / "b"), "all").clips


@pytest.mark.parametrize(
    "path",
    [
        "HandstandPushups/v_HandstandPushups_g08_c01.avi",
        "HandStandPushups/v_HandStandPushups_g08_c01.avi",
        "HandstandPushups/v_HandStandPushups_g08_c01.mp4",
    ],
)
def test_copies_differ_in_capital_letters_and_endings(tmp_path, path):
    make(tmp_path, videos=None)
    touch(tmp_path, f"UCF-101/{path}")
    (clip,) = read_ucf101(tmp_path, "train").clips
    assert clip == Clip(f"UCF-101/{path}", 1, "v_HandStandPushups_g08_c01")


def test_lists_may_spell_the_class_as_the_files(tmp_path):
    make(tmp_path, train=[line.replace("HandstandPushups/", "HandStandPushups/") for line in TRAIN])
    assert [clip.label for clip in read_ucf101(tmp_path, "train").clips] == [0, 1, 2]


def test_frames_missing_unused_and_second_copies(tmp_path):
    make(tmp_path, videos=None)
    touch(
        tmp_path,
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01/img_00001.jpg",
        "UCF-101/YoYo/v_YoYo_g09_c02.avi",
        "UCF-101/YoYo/v_YoYo_g09_c02/img_00001.jpg",
        "videos/YoYo/v_YoYo_g09_c02.avi",
        "UCF-101/YoYo/v_YoYo_g25_c01.avi",
        "UCF-101/YoYo/notes.txt",
        "UCF-101/Elsewhere/v_YoYo_g25_c02.avi",
        "UCF-101/YoYo/YoYo/v_YoYo_g01_c01.avi",
        "UCF-101/YoYo/._v_YoYo_g01_c01.avi",
    )
    manifest = read_ucf101(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01",
        "UCF-101/YoYo/v_YoYo_g09_c02.avi",
    ]
    assert manifest.missing == ("UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi",)
    assert manifest.unused == ("UCF-101/YoYo/v_YoYo_g25_c01.avi",)
    assert (
        len(manifest.notes) == 1
        and "1 video files are second copies" in manifest.notes[0]
        and "videos/YoYo/v_YoYo_g09_c02.avi" in manifest.notes[0]
    )


def test_test_videos_are_not_unused_in_train(tmp_path):
    assert read_ucf101(make(tmp_path), "train").unused == read_ucf101(tmp_path, "val").unused == ()


def test_all_videos_missing_is_a_wrong_layout(tmp_path):
    make(tmp_path, videos=None)
    touch(tmp_path, "UCF-101/YoYo/another.avi")
    with pytest.raises(
        DataError,
        match=r"none of the 3 listed videos is there .*UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi\); 1 others",
    ):
        read_ucf101(tmp_path, "train")


def test_folds(tmp_path):
    make(tmp_path)
    make(tmp_path, train=TRAIN[:1], fold=2)
    assert len(read_ucf101(tmp_path, "train", 2).clips) == 1 and len(read_ucf101(tmp_path, "train").clips) == 3
    with pytest.raises(
        DataError,
        match=r"no trainlist03\.txt; expected trainlist03\.txt or ucfTrainTestlist/trainlist03\.txt or .*"
        "sfar data layout ucf101",
    ):
        read_ucf101(tmp_path, "train", fold=3)
    wrong: tuple[Any, ...] = (0, 4, "1")
    for fold in wrong:
        with pytest.raises(ConfigError, match=r"fold .*1, 2 or 3"):
            read_ucf101(tmp_path, "train", fold)
    with pytest.raises(ConfigError, match=r"split 'test'.*train, val, all .*official test list"):
        read_ucf101(tmp_path, "test")


def test_no_root(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder; .*classInd\.txt.*sfar data layout ucf101"):
        read_ucf101(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty"):
        read_ucf101(tmp_path, "train")
    touch(tmp_path, "file")
    with pytest.raises(DataError, match="is a file"):
        read_ucf101(tmp_path / "file", "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("YoYo/v_YoYo_g02_c01.avi 2", r"line 4: class number 2 where classInd\.txt has 3 for YoYo"),
        (f"YoYo/v_YoYo_g02_c01.avi {'9' * 5000}", "line 4: .* has no class number"),
        ("YoYo/v_YoYo_g02_c01.avi", r'line 4: .* has no class number; expected "YoYo/v_YoYo_g02_c01\.avi 3"'),
        ("Juggling/v_Juggling_g02_c01.avi 4", r"line 4: classInd\.txt has no class 'Juggling'"),
        (TRAIN[0], r"line 4: .*g08_c01\.avi is listed already .*line 1\)"),
        ("YoYo/v_YoYo_g09_c02.mp4 3", r"line 4: .* is listed already"),
        (f"{TEST[0]} 3", r"testlist01\.txt line 1: .* is a training video too \(.*trainlist01\.txt line 4\)"),
        ("v_YoYo_g02_c01.avi 3", r"line 4: .* is not <Class>/<file>"),
        ("YoYo/deep/v_YoYo_g02_c01.avi 3", r"line 4: .* is not <Class>/<file>"),
        ("../x.avi 3", r"line 4: '\.\./x\.avi' is not a path below the data root"),
        ("YoYo/../../x.avi 3", r"line 4: .* is not a path below the data root"),
        ("/etc/passwd 3", r"line 4: .* is not a path below the data root"),
        ("C:/YoYo/x.avi 3", r"line 4: .* is not a path below the data root"),
        ("..\\x.avi 3", r"line 4: .* is not a path below the data root"),
        ("\\\\server\\share\\x.avi 3", r"line 4: .* is not a path below the data root"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    make(tmp_path, train=[*TRAIN, line])
    with pytest.raises(DataError, match=message):
        read_ucf101(tmp_path, "train")


def test_a_backslash_is_read_as_a_slash(tmp_path):
    make(tmp_path, train=[line.replace("/", "\\") for line in TRAIN])
    assert len(read_ucf101(tmp_path, "train").clips) == 3


def test_a_number_in_the_test_list_is_compared_too(tmp_path):
    assert len(read_ucf101(make(tmp_path, test=[f"{TEST[0]} 3"]), "val").clips) == 1
    with pytest.raises(
        DataError, match=r"testlist01\.txt line 1: class number 2"
    ):  # lists of other projects count from 0
        read_ucf101(make(tmp_path, test=[f"{TEST[0]} 2"]), "val")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (["1 ApplyEyeMakeup", "YoYo"], r"classInd\.txt line 2: 'YoYo' is not a number and a class name"),
        (["9" * 5000 + " YoYo"], r"classInd\.txt line 1: '9+ YoYo' is not a number and a class name"),
        (["0 ApplyEyeMakeup", "1 YoYo"], r"classInd\.txt: has 2 classes and no number 2"),
        (["1 ApplyEyeMakeup", "3 YoYo"], r"classInd\.txt: has 2 classes and no number 2"),
        (["1 ApplyEyeMakeup", "1 YoYo"], r"classInd\.txt line 2: .* is listed already"),
        (["1 YoYo", "2 YoYo"], r"classInd\.txt line 2: .* is listed already"),
        (["1 ../up"], r"classInd\.txt line 1: '\.\./up' is not a path below"),
        (["1 a/b"], r"classInd\.txt line 1: '1 a/b' is not a number and a class name"),
        ([], r"classInd\.txt: has no lines"),
    ],
)
def test_bad_class_index(tmp_path, index, message):
    with pytest.raises(DataError, match=message):
        read_ucf101(make(tmp_path, index=index), "train")


def test_lists_that_are_not_text(tmp_path):
    make(tmp_path)
    (tmp_path / "ucfTrainTestlist/testlist01.txt").write_bytes(b"\xff\xfebinary")
    with pytest.raises(DataError, match=r"testlist01\.txt: is not a text file in UTF-8"):
        read_ucf101(tmp_path, "train")


@pytest.mark.parametrize("place", ["", "videos", "rawframes", "UCF-101/UCF-101/{}", "clips", "data/UCF101/{}"])
@pytest.mark.parametrize("frames", [False, True])
def test_videos_wherever_they_lie(tmp_path, place, frames):
    """mmaction2's trees, one folder too deep, flat, and below folders of any name; videos and frames."""
    make(tmp_path, videos=None)
    for line in (*TRAIN, *TEST):
        name, file = line.split()[0].split("/")
        path = f"{place.format(name)}/{file}".lstrip("/")
        touch(tmp_path, f"{path.removesuffix('.avi')}/img_00001.jpg" if frames else path)
    for split, rows in (("train", TRAIN), ("val", TEST)):
        manifest = read_ucf101(tmp_path, split)
        assert [c.video_id for c in manifest.clips] == [r.split()[0].split("/")[1].removesuffix(".avi") for r in rows]
        assert manifest.missing == manifest.unused == ()


@pytest.mark.parametrize("form", ["apply eye makeup", "Apply_Eye_Makeup", "APPLYEYEMAKEUP"])
def test_folders_of_classes_may_be_spelled_otherwise(tmp_path, form):
    make(tmp_path, videos=None)
    touch(tmp_path, f"UCF-101/{form}/v_ApplyEyeMakeup_g08_c01.mov")
    (clip,) = read_ucf101(tmp_path, "train").clips
    assert clip.path == f"UCF-101/{form}/v_ApplyEyeMakeup_g08_c01.mov" and clip.label == 0
