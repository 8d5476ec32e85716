"""The HMDB-51 reader on small trees with empty video files (it never opens them)."""

from typing import Any

import pytest

from sfar.data.hmdb51 import read_hmdb51
from sfar.data.labels import class_names
from sfar.data.manifest import Clip
from sfar.errors import ConfigError, DataError

LISTS = {  # official names: with #, brackets, and more
    "wave": [
        "#20_wave_u_nm_np1_fr_goo_1.avi 1",
        "[Beautiful]_wave_u_cm_np1_fr_med_0.avi 0",
        "AmericanGangster_wave_u_cm_np1_fr_bad_45.avi 2",
    ],
    "brush_hair": [
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1",
        "Faith_Rewarded_brush_hair_u_nm_np1_fr_goo_1.avi 1",
        "Haarek_mmen(2)_brush_hair_h_cm_np1_fr_goo_0.avi 2",
    ],
}


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def make(
    root,
    lists=LISTS,
    place="testTrainMulti_7030_splits",
    videos: str | None = "videos",
    newline=" \n",
    bom="",
    folds=(1, 2, 3),
):
    (root / place).mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        for fold in folds:
            (root / place / f"{name}_test_split{fold}.txt").write_bytes(
                (bom + "".join(line + newline for line in lines)).encode()
            )
    if videos is not None:
        touch(root / videos, *(f"{name}/{line.split()[0]}" for name, lines in LISTS.items() for line in lines))
    return root


def test_train_val_all(tmp_path):
    manifest = read_hmdb51(make(tmp_path), "train")
    assert (manifest.name, manifest.split, manifest.root, manifest.multi_label) == ("hmdb51", "train", tmp_path, False)
    assert manifest.classes == ("brush hair", "wave")
    assert manifest.clips == (
        Clip("videos/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", 0, "April_09_brush_hair_u_nm_np1_ba_goo_0"),
        Clip(
            "videos/brush_hair/Faith_Rewarded_brush_hair_u_nm_np1_fr_goo_1.avi",
            0,
            "Faith_Rewarded_brush_hair_u_nm_np1_fr_goo_1",
        ),
        Clip("videos/wave/#20_wave_u_nm_np1_fr_goo_1.avi", 1, "#20_wave_u_nm_np1_fr_goo_1"),
    )
    assert (manifest.missing, manifest.unused, manifest.notes) == ((), (), ()), "videos marked 0 and 2 are no strangers"
    assert [(clip.label, clip.video_id[:6]) for clip in read_hmdb51(str(tmp_path), "val").clips] == [
        (0, "Haarek"),
        (1, "Americ"),
    ]
    assert [clip.video_id[:6] for clip in read_hmdb51(tmp_path, "all").clips] == [
        "April_",
        "Faith_",
        "Haarek",
        "#20_wa",
        "[Beaut",
        "Americ",
    ]


def test_the_51_official_names(tmp_path):
    folders = [name.replace(" ", "_") for name in class_names("hmdb51")]
    make(tmp_path, lists={name: [f"x_{name}_0.avi 1", f"x_{name}_1.avi 2"] for name in reversed(folders)})
    touch(tmp_path, *(f"videos/{name}/x_{name}_0.avi" for name in folders))
    manifest = read_hmdb51(tmp_path, "train")
    assert manifest.classes == class_names("hmdb51") and len(manifest.classes) == 51
    assert [clip.label for clip in manifest.clips] == list(range(51))


@pytest.mark.parametrize("place", ["testTrainMulti_7030_splits", "annotations", ""])
@pytest.mark.parametrize("videos", ["videos", "hmdb51_org", ""])
def test_places(tmp_path, place, videos):
    manifest = read_hmdb51(make(tmp_path, place=place, videos=videos), "val")
    assert manifest.clips[1].path == f"{videos}/wave/AmericanGangster_wave_u_cm_np1_fr_bad_45.avi".lstrip("/")
    assert manifest.unused == ()


@pytest.mark.parametrize(
    "variant", [{"newline": "\r\n"}, {"bom": "\ufeff"}, {"newline": "\n\n"}, {"newline": "\t\r\n"}]
)
def test_harmless_variants_of_the_lists(tmp_path, variant):
    assert read_hmdb51(make(tmp_path / "a", **variant), "all").clips == read_hmdb51(make(tmp_path / "b"), "all").clips


def test_quoted_names(tmp_path):
    quoted = {name: [f'"{line.split()[0]}" {line.split()[1]}' for line in lines] for name, lines in LISTS.items()}
    want = read_hmdb51(make(tmp_path / "b"), "all").clips
    assert read_hmdb51(make(tmp_path / "a", lists=quoted), "all").clips == want


def test_what_else_lies_beside_the_lists(tmp_path):
    """What macOS leaves on other systems' disks is not another class."""
    make(tmp_path)
    touch(tmp_path, "testTrainMulti_7030_splits/._wave_test_split1.txt", "testTrainMulti_7030_splits/README.txt")
    assert read_hmdb51(tmp_path, "train").classes == ("brush hair", "wave")


def test_frames_missing_unused_and_second_copies(tmp_path):
    make(tmp_path, videos=None)
    name = "April_09_brush_hair_u_nm_np1_ba_goo_0"
    touch(
        tmp_path,
        f"videos/brush_hair/{name}/img_00001.jpg",
        "videos/wave/#20_wave_u_nm_np1_fr_goo_1.mp4",
        "hmdb51_org/wave/#20_wave_u_nm_np1_fr_goo_1.avi",
        "videos/wave/stranger.avi",
        "videos/wave/wave/deep.avi",
        "videos/other/x.avi",
    )
    manifest = read_hmdb51(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [
        f"videos/brush_hair/{name}",
        "videos/wave/#20_wave_u_nm_np1_fr_goo_1.mp4",
    ]
    assert manifest.missing == ("videos/brush_hair/Faith_Rewarded_brush_hair_u_nm_np1_fr_goo_1.avi",)
    assert manifest.unused == ("videos/wave/stranger.avi",)
    assert "hmdb51_org/wave/#20_wave_u_nm_np1_fr_goo_1.avi" in manifest.notes[0]


def test_the_same_file_name_in_two_classes(tmp_path):
    make(tmp_path, lists={"sword": ["fight.avi 1"], "sword_exercise": ["fight.avi 1"]})
    touch(tmp_path, "videos/sword/fight.avi", "videos/sword_exercise/fight.avi")
    assert [(clip.path, clip.label) for clip in read_hmdb51(tmp_path, "train").clips] == [
        ("videos/sword/fight.avi", 0),
        ("videos/sword_exercise/fight.avi", 1),
    ]


def test_all_videos_missing_is_a_wrong_layout(tmp_path):
    make(tmp_path, videos=None)
    with pytest.raises(
        DataError,
        match=r"none of the 3 listed videos is there \(expected for instance videos/brush_hair/April.*"
        "sfar data layout hmdb51",
    ):
        read_hmdb51(tmp_path, "train")
    make(tmp_path, lists={"wave": LISTS["wave"][:1], "brush_hair": LISTS["brush_hair"][:1]})
    with pytest.raises(DataError, match=r"lists of fold 1 mark no video 2 \(val\)"):
        read_hmdb51(tmp_path, "val")


def test_folds(tmp_path):
    make(tmp_path, folds=(1,))
    assert len(read_hmdb51(tmp_path, "train", 1).clips) == 3, "the lists of one fold are enough for it"
    with pytest.raises(
        DataError, match=r"has no brush_hair_test_split2\.txt, wave_test_split2\.txt, but other lists of these classes"
    ):
        read_hmdb51(tmp_path, "train", 2)
    make(
        tmp_path,
        lists={"wave": [LISTS["wave"][0].replace(" 1", " 2"), *LISTS["wave"][1:]], "brush_hair": LISTS["brush_hair"]},
        folds=(2,),
    )
    assert [len(read_hmdb51(tmp_path, split, 2).clips) for split in ("train", "val", "all")] == [2, 3, 6]
    wrong: tuple[Any, ...] = (0, 4, "1")
    for fold in wrong:
        with pytest.raises(ConfigError, match=r"fold .*1, 2 or 3"):
            read_hmdb51(tmp_path, "train", fold)
    with pytest.raises(ConfigError, match=r"split 'test'.*train, val, all"):
        read_hmdb51(tmp_path, "test")


@pytest.mark.parametrize("gone", [1, 2])
def test_a_class_without_one_list(tmp_path, gone):
    """Fold 1 is asked for; without the check a lost list would shift the labels of all classes behind it."""
    make(tmp_path)
    (tmp_path / f"testTrainMulti_7030_splits/brush_hair_test_split{gone}.txt").unlink()
    with pytest.raises(DataError, match=rf"has no brush_hair_test_split{gone}\.txt, but other lists of the class"):
        read_hmdb51(tmp_path, "train", 1)


def test_no_root_and_no_lists(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder; .*test_split1\.txt.*sfar data layout hmdb51"):
        read_hmdb51(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty"):
        read_hmdb51(tmp_path, "train")
    touch(tmp_path, "annotations/other.txt")
    with pytest.raises(DataError, match=r"no lists; expected testTrainMulti_7030_splits/<class>_test_split2\.txt"):
        read_hmdb51(tmp_path, "train", 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x.avi 3", r"line 4: 'x\.avi 3' does not end in 0, 1 or 2"),
        ("x.avi 01", r"line 4: .* does not end in 0, 1 or 2"),
        ("x.avi", r"line 4: 'x\.avi' does not end in 0, 1 or 2"),
        ("1", r"line 4: '1' does not end in"),
        (LISTS["wave"][0], r"line 4: #20_wave_u_nm_np1_fr_goo_1\.avi is listed already in line 1"),
        ("#20_wave_u_nm_np1_fr_goo_1.avi 2", r"line 4: .* is listed already in line 1"),
        ("wave/x.avi 1", r"line 4: 'wave/x\.avi' is not the name of a file"),
        ("wave\\x.avi 1", r"line 4: .* is not the name of a file"),
        ("../x.avi 1", r"line 4: '\.\./x\.avi' is not a path below the data root"),
        ("..\\..\\x.avi 1", r"line 4: .* is not a path below the data root"),
        ("/etc/passwd 1", r"line 4: .* is not a path below the data root"),
        ("D:x.avi 1", r"line 4: .* is not a path below the data root"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    make(tmp_path, lists=LISTS | {"wave": [*LISTS["wave"], line]})
    with pytest.raises(DataError, match=rf"wave_test_split1\.txt {message}"):
        read_hmdb51(tmp_path, "train")


def test_lists_that_are_empty_or_not_text(tmp_path):
    make(tmp_path)
    (tmp_path / "testTrainMulti_7030_splits/wave_test_split1.txt").write_bytes(b"\n")
    with pytest.raises(DataError, match=r"wave_test_split1\.txt: has no lines"):
        read_hmdb51(tmp_path, "train")
    (tmp_path / "testTrainMulti_7030_splits/wave_test_split1.txt").write_bytes(b"\xff\xfebinary")
    with pytest.raises(DataError, match=r"wave_test_split1\.txt: is not a text file"):
        read_hmdb51(tmp_path, "train")


FILES = {name: [line.split()[0] for line in lines] for name, lines in LISTS.items()}


@pytest.mark.parametrize(
    "place",
    ["", "videos", "hmdb51_org", "rawframes", "all", "data/hmdb51_org", "data/{}", "videos/videos/{}", "hmdb/{spaced}"],
)
@pytest.mark.parametrize("ending", [".avi", ".mov", ".avi.mkv", ".nut"])
def test_videos_wherever_they_lie(tmp_path, place, ending):
    """Flat, as ViFi-CLIP and TC-CLIP arrange them, in folders of classes, and below folders of any name."""
    make(tmp_path, videos=None)
    for name, files in FILES.items():
        folder = place.format(name, spaced=name.replace("_", " "))
        touch(tmp_path, *(f"{folder}/{file.removesuffix('.avi')}{ending}".lstrip("/") for file in files))
    touch(tmp_path, "README.md", "all/._x.avi")
    for split, count in (("train", 3), ("val", 2), ("all", 6)):
        manifest = read_hmdb51(tmp_path, split)
        assert len(manifest.clips) == count and manifest.missing == manifest.unused == ()
        assert all(manifest.classes[c.label].replace(" ", "_") in c.path.rpartition("/")[2] for c in manifest.clips)
        documented = place in ("", "videos", "hmdb51_org", "rawframes")
        assert [f"videos are read from {place.split('/')[0]}" in n for n in manifest.notes] == [True] * (not documented)


@pytest.mark.parametrize("form", ["{}", "Brush Hair", "brush-hair", "BrushHair"])
def test_folders_of_classes_may_be_spelled_otherwise(tmp_path, form):
    make(tmp_path, videos=None)
    touch(tmp_path, *(f"videos/{form.format('brush_hair')}/{file}" for file in FILES["brush_hair"]))
    manifest = read_hmdb51(tmp_path, "train")
    assert [c.label for c in manifest.clips] == [0, 0] and manifest.notes == ()


def test_what_two_classes_list_is_not_guessed(tmp_path):
    """A name of two classes says its class by its folder alone."""
    make(tmp_path, lists={"sword": ["fight.avi 1", "a.avi 1"], "draw_sword": ["fight.avi 1"]})
    touch(tmp_path, "all/fight.avi", "all/a.avi")
    manifest = read_hmdb51(tmp_path, "train")
    assert [c.path for c in manifest.clips] == ["all/a.avi"]
    assert manifest.missing == ("videos/draw_sword/fight.avi", "videos/sword/fight.avi")


def test_two_copies_in_folders_that_no_layout_has(tmp_path):
    make(tmp_path, videos=None)
    file = FILES["wave"][0]
    touch(tmp_path, f"small/{file}", f"large/{file}")
    with pytest.raises(DataError) as e:
        read_hmdb51(tmp_path, "train")
    assert f"several folders (large/{file} and small/{file}), and none in videos/<class>/: keep one" in str(e.value)
    touch(tmp_path, f"videos/wave/{file}")
    assert [c.path for c in read_hmdb51(tmp_path, "train").clips] == [f"videos/wave/{file}"]


def test_links_and_downloads_that_are_no_videos_are_said(tmp_path):
    make(tmp_path, videos="videos")
    first, second = FILES["brush_hair"][:2]
    (tmp_path / f"videos/brush_hair/{first}").unlink()
    (tmp_path / f"videos/brush_hair/{first}").symlink_to(tmp_path / f"store/{first}")
    (tmp_path / f"videos/brush_hair/{second}").rename(tmp_path / f"videos/brush_hair/{second}.part")
    manifest = read_hmdb51(tmp_path, "train")
    assert manifest.missing == (f"videos/brush_hair/{first}", f"videos/brush_hair/{second}")
    assert manifest.notes == (
        f"1 links lead to what is not there (the first: videos/brush_hair/{first} is a link to "
        f"{tmp_path}/store/{first}, which is not there)",
        f"1 downloads are not finished (the first: videos/brush_hair/{second}.part)",
    )


def test_where_other_videos_are_is_said(tmp_path):
    make(tmp_path, videos=None)
    touch(tmp_path, "clips/a.avi", "clips/b.mp4", "more/c.mov", "clips/x.avi.part")
    with pytest.raises(DataError) as e:
        read_hmdb51(tmp_path, "train")
    said = "3 others are (2 in clips/, 1 in more/; for instance clips/b.mp4), under other names than those; 1 downloads"
    assert said in str(e.value)
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", videos=None)
    with pytest.raises(DataError, match="no video file is anywhere below it: check the layout"):
        read_hmdb51(tmp_path / "empty", "train")


@pytest.mark.parametrize("given", ["videos", ".."])
def test_the_folder_beside_is_named(tmp_path, given):
    make(tmp_path / "hmdb51")
    with pytest.raises(DataError, match=r"no lists; .*\(they are in .*hmdb51: give that folder\)"):
        read_hmdb51(tmp_path / "hmdb51" / given, "train")
