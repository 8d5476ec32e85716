"""The Kinetics-400 reader on small trees with empty video files (it never opens them)."""

import os
import time
from pathlib import Path

import pytest

from sfar.data.kinetics import read_kinetics
from sfar.data.manifest import Clip
from sfar.errors import ConfigError, DataError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
TRAIN = [
    "abseiling,-abcdefghi1,0,10,train,0",
    '"""zumba""",_bcdefghij2,12,22,train,0',
    "long jump,cdefghijk-3,1000000,1000010,train,1",
]
VAL = ["zumba,defghijkl04,5,15,val,0", "abseiling,efghijklm05,7,17,val,0"]


def stem(row):
    _, youtube_id, start, end, *_ = row.split(",")
    return f"{youtube_id}_{int(start):06d}_{int(end):06d}"


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def make(root, train=TRAIN, val=VAL, header=HEADER, newline="\n", encoding="utf-8", folder="annotations", videos=True):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", train), ("val", val)):
        text = newline.join([header, *rows, ""])
        (root / folder / f"{split}.csv").write_bytes(text.encode(encoding))
        (root / split).mkdir(exist_ok=True)
        if videos:
            for row in rows:
                (root / split / f"{stem(row)}.mp4").touch()
    return root


def test_flat_layout(tmp_path):
    manifest = read_kinetics(make(tmp_path), "train")
    assert (manifest.name, manifest.split, manifest.root) == ("kinetics400", "train", tmp_path)
    assert manifest.classes == ("abseiling", "long jump", "zumba")
    assert manifest.clips == (
        Clip("train/-abcdefghi1_000000_000010.mp4", 0, "-abcdefghi1_000000_000010"),
        Clip("train/_bcdefghij2_000012_000022.mp4", 2, "_bcdefghij2_000012_000022"),
        Clip("train/cdefghijk-3_1000000_1000010.mp4", 1, "cdefghijk-3_1000000_1000010"),
    )
    assert manifest.missing == ()


def test_val_labels_follow_the_train_classes(tmp_path):
    manifest = read_kinetics(str(make(tmp_path)), "val")
    assert [clip.label for clip in manifest.clips] == [2, 0]
    assert len(manifest.classes) == 3 and isinstance(manifest.root, Path)


@pytest.mark.parametrize(
    "variant",
    [
        {"newline": "\r\n"},
        {"encoding": "utf-8-sig"},
        {"folder": "."},
        {"header": "label,youtube_id,time_start,time_end,split"},
    ],
)
def test_harmless_variants_of_the_lists(tmp_path, variant):
    if "header" in variant:
        variant |= {"train": [r.rsplit(",", 1)[0] for r in TRAIN], "val": [r.rsplit(",", 1)[0] for r in VAL]}
    assert (
        read_kinetics(make(tmp_path, **variant), "train").clips
        == read_kinetics(make(tmp_path / "plain"), "train").clips
    )


def test_class_folders_and_replacements(tmp_path):
    make(tmp_path, videos=False)
    places = ("train/abseiling", "train", "replacement/replacement_for_corrupted_k400")
    for row, place in zip(TRAIN, places, strict=True):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{stem(row)}.mp4").touch()
    clips = read_kinetics(tmp_path, "train").clips
    assert [clip.path for clip in clips] == [f"{p}/{stem(r)}.mp4" for r, p in zip(TRAIN, places, strict=True)]


def test_replacements_take_the_place_of_broken_copies(tmp_path):
    make(tmp_path)
    second = f"replacement/replacement_for_corrupted_k400/{stem(TRAIN[1])}.mp4"
    touch(tmp_path, second, "replacement/replacement_for_corrupted_k400/another-one_000000_000010.mp4")
    manifest = read_kinetics(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [
        f"train/{stem(TRAIN[0])}.mp4",
        second,
        f"train/{stem(TRAIN[2])}.mp4",
    ]
    assert len(manifest.notes) == 1 and manifest.notes[0].startswith("1 videos are read from replacement/")
    assert manifest.unused == (), "the replacements serve all splits"


def test_folders_of_frames_flat_and_in_class_folders(tmp_path):
    make(tmp_path, videos=False)
    a, b, c = (stem(row) for row in TRAIN)
    touch(
        tmp_path,
        f"train/{a}/img_00001.jpg",
        f"train/zumba/{b}/img_00001.jpg",
        f"train/long jump/{c}.mp4",
        f"train/long jump/{c}/img_00001.jpg",
    )
    manifest = read_kinetics(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [f"train/{a}", f"train/zumba/{b}", f"train/long jump/{c}.mp4"]
    assert (manifest.missing, manifest.unused, manifest.notes) == ((), (), ())


def test_a_folder_is_a_clip_only_by_its_name(tmp_path):
    make(tmp_path, videos=False)
    a, b, c = (stem(row) for row in TRAIN)
    # Class folders with the look of an id, with digits, and one that holds a folder which is no clip.
    touch(
        tmp_path,
        f"train/air_drumming_1/{a}.mp4",
        f"train/-abcdefghi1_0_10/{b}.mp4",
        f"train/zumba/frames/{c}.mp4",
        "train/zumba/frames/img_00001.jpg",
    )
    manifest = read_kinetics(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [
        f"train/air_drumming_1/{a}.mp4",
        f"train/-abcdefghi1_0_10/{b}.mp4",
    ]
    assert manifest.missing == (f"train/{c}.mp4",), "two folders below the split is too deep"


def test_other_endings_second_copies_and_unused(tmp_path):
    make(tmp_path, videos=False)
    a, b, c = (stem(row) for row in TRAIN)
    touch(
        tmp_path,
        f"train/{a}.webm",
        f"train/{b}.avi",
        f"train/{b}.mp4",
        f"train/zumba/{b}.mkv",
        f"train/{c}.MP4",
        "train/not-listed1_000000_000010.mkv",
        "train/zumba/a lecture.avi",
        "train/not-listed2_000000_000010/img_00001.jpg",
        "train/readme.txt",
        f"train/._{a}.mp4",
        "val/elsewhere00_000000_000010.mp4",
    )
    manifest = read_kinetics(tmp_path, "train")
    assert [clip.path for clip in manifest.clips] == [f"train/{a}.webm", f"train/{b}.mp4", f"train/{c}.MP4"]
    assert manifest.unused == (
        "train/not-listed1_000000_000010.mkv",
        "train/not-listed2_000000_000010",
        "train/zumba/a lecture.avi",
    )
    assert manifest.notes == (
        f"2 video files are second copies and not read (the first: train/{b}.avi; train/{b}.mp4 is read)",
    )


def test_linked_videos(tmp_path):
    """arrange_by_classes.py of the CVDF makes class folders of links."""
    make(tmp_path, videos=False)
    (tmp_path / "train/zumba").mkdir()
    for row in TRAIN:
        touch(tmp_path, f"store/{stem(row)}.mp4")
        os.symlink(tmp_path / "store" / f"{stem(row)}.mp4", tmp_path / "train/zumba" / f"{stem(row)}.mp4")
    assert len(read_kinetics(tmp_path, "train").clips) == 3


@pytest.mark.parametrize("name", ["validate", "validation"])
def test_the_val_list_may_say_validate(tmp_path, name):
    make(tmp_path, val=[row.replace(",val,", f",{name},") for row in VAL])
    (tmp_path / "annotations/val.csv").rename(tmp_path / "annotations/validate.csv")
    manifest = read_kinetics(tmp_path, "val")
    assert [clip.label for clip in manifest.clips] == [2, 0] and manifest.split == "val"


def test_a_long_list_is_read_quickly(tmp_path):
    """A tenth of Kinetics: 24,000 rows with 8 videos on disk. Takes about 0.15 s of this process."""
    rows = [f"{('abseiling', 'zumba')[k % 2]},{k:011d},{k % 300},{k % 300 + 10},train,0" for k in range(24_000)]
    make(tmp_path, train=rows, videos=False)
    touch(tmp_path, *(f"train/{stem(row)}.mp4" for row in rows[:8]))
    began = time.process_time()
    manifest = read_kinetics(tmp_path, "train")
    assert time.process_time() - began < 5
    assert (len(manifest.clips), len(manifest.missing)) == (8, 23_992)


def test_missing_videos_are_reported_not_raised(tmp_path):
    make(tmp_path)
    (tmp_path / "train" / f"{stem(TRAIN[1])}.mp4").unlink()
    manifest = read_kinetics(tmp_path, "train")
    assert manifest.missing == (f"train/{stem(TRAIN[1])}.mp4",)
    assert [clip.label for clip in manifest.clips] == [0, 1] and len(manifest.classes) == 3


def test_all_videos_missing_is_a_wrong_layout(tmp_path):
    make(tmp_path, videos=False)
    (tmp_path / "train" / "something_else.mp4").touch()
    with pytest.raises(DataError, match=r"none of the 3 videos of train.csv.*1 others are"):
        read_kinetics(tmp_path, "train")


def test_no_root_empty_root_no_list(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder.*sfar data layout kinetics400"):
        read_kinetics(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match=r"is empty; expected annotations/train.csv"):
        read_kinetics(tmp_path, "train")
    make(tmp_path)
    (tmp_path / "annotations" / "val.csv").unlink()
    assert read_kinetics(tmp_path, "train").clips
    with pytest.raises(DataError, match=r"no list of the val split.*--dataset folder"):
        read_kinetics(tmp_path, "val")
    with pytest.raises(ConfigError, match=r"'test' has no labels.*train, val"):
        read_kinetics(tmp_path, "test")
    with pytest.raises(ConfigError, match=r"'dev' is unknown.*train, val"):
        read_kinetics(tmp_path, "dev")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abseiling,fghijklmn06,x,10,train,0", r"line 5, column time_start: 'x'"),
        ("abseiling,fghijklmn06,0,-3,train,0", r"line 5, column time_end: '-3'"),
        ("abseiling,fghijklmn06,0,1.5,train,0", r"line 5, column time_end: '1.5'"),
        ("abseiling,fghijklmn06,0,1e1,train,0", r"line 5, column time_end: '1e1'"),
        (f"abseiling,fghijklmn06,{'9' * 5000},10,train,0", r"line 5, column time_start: '9+' is not a whole number"),
        ("abseiling,fghijklmn06,nan,10,train,0", r"line 5, column time_start: 'nan'"),
        ("abseiling,fghijklmn06,0,10,val,0", r"line 5, column split: 'val' where 'train'"),
        (TRAIN[0], r"line 5: -abcdefghi1_000000_000010 is listed already in line 2"),
        (",fghijklmn06,0,10,train,0", r"line 5, column label: is empty"),
        ("abseiling,,0,10,train,0", r"line 5, column youtube_id: ''"),
        ("abseiling,../../etc,0,10,train,0", r"line 5, column youtube_id: '\.\./\.\./etc'"),
        ("abseiling,a/b,0,10,train,0", r"line 5, column youtube_id: 'a/b'"),
        ("abseiling,a\\b,0,10,train,0", r"line 5, column youtube_id: 'a"),
        ("abseiling,C:abc,0,10,train,0", r"line 5, column youtube_id: 'C:abc'"),
        ("abseiling,..,0,10,train,0", r"line 5, column youtube_id: '\.\.'"),
        ("abseiling,/abc,0,10,train,0", r"line 5, column youtube_id: '/abc'"),
        ("abseiling,a..b,0,10,train,0", r"line 5, column youtube_id: 'a\.\.b'"),
        ("abseiling,fghijklmn06,0", r"line 5: has fewer than 5 columns"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    make(tmp_path, videos=False, train=[*TRAIN, row])
    with pytest.raises(DataError, match=rf"train\.csv {message}"):
        read_kinetics(tmp_path, "train")


def test_bad_lists(tmp_path):
    with pytest.raises(
        DataError,
        match=r"train\.csv: columns missing in the first line: time_start, split; expected .*'label,youtube_id,time_e",
    ):
        read_kinetics(make(tmp_path, header="label,youtube_id,time_end,is_cc"), "train")
    with pytest.raises(DataError, match=r"train\.csv: has no rows"):
        read_kinetics(make(tmp_path, train=[]), "train")
    (tmp_path / "annotations" / "train.csv").write_bytes(b"")
    with pytest.raises(DataError, match="columns missing"):
        read_kinetics(tmp_path, "train")
    (tmp_path / "annotations" / "train.csv").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DataError, match="not a csv file in UTF-8"):
        read_kinetics(tmp_path, "train")


def test_val_label_unknown_to_train(tmp_path):
    make(tmp_path, val=[*VAL, "knitting,ghijklmno07,0,10,val,0"])
    with pytest.raises(DataError, match=r"val\.csv: labels that train\.csv does not have: knitting"):
        read_kinetics(tmp_path, "val")


NAMES = {
    "whole": lambda row: stem(row),
    "id": lambda row: row.split(",")[1],
    "short": lambda row: "_".join(row.split(",")[1:4]),
}


@pytest.mark.parametrize("place", ["{split}", "videos_{split}/{label}", "{split}_256/{label_}", "data/{split}/{label}"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mp4.webm", ".nut", "/img_00001.jpg"])
def test_videos_wherever_they_lie(tmp_path, place, name, ending):
    """mmaction2's tree, the copies at 256 pixels, other folders; a YouTube id alone; a downloader's endings; frames."""
    rows = {"train": [TRAIN[0], TRAIN[2]], "val": VAL[1:]}
    make(tmp_path, **rows, videos=False)
    for split, listed in rows.items():
        for row in listed:
            label = row.split(",")[0]
            folder = place.format(split=split, label=label, label_=label.replace(" ", "_"))
            touch(tmp_path, f"{folder}/{NAMES[name](row)}{ending}")
    for split, listed in rows.items():
        manifest = read_kinetics(tmp_path, split)
        assert [c.video_id for c in manifest.clips] == [stem(r) for r in listed], "named by the list"
        assert manifest.missing == manifest.unused == ()


def test_the_tree_of_mmaction2(tmp_path):
    make(tmp_path, videos=False)
    for split in ("train", "val"):
        (tmp_path / f"annotations/{split}.csv").rename(tmp_path / f"annotations/kinetics_{split}.csv")
        (tmp_path / split).rmdir()
    touch(tmp_path, f"videos_train/zumba/{stem(TRAIN[1])}.mp4", f"rawframes_val/zumba/{stem(VAL[0])}/img_00001.jpg")
    train, val = (read_kinetics(tmp_path, split) for split in ("train", "val"))
    assert [c.path for c in train.clips] == [f"videos_train/zumba/{stem(TRAIN[1])}.mp4"] and train.notes == ()
    assert train.missing == tuple(f"videos_train/{stem(r)}.mp4" for r in (TRAIN[0], TRAIN[2]))
    assert [c.path for c in val.clips] == [f"rawframes_val/zumba/{stem(VAL[0])}"]


@pytest.mark.parametrize(
    "folder",
    ["replacement/replacement_for_corrupted", "replacement_for_corrupted_k400", "replacement", "Replacement/k400"],
)
@pytest.mark.parametrize("train", ["train", "videos_train/zumba", "elsewhere"])
def test_folders_of_replacements(tmp_path, folder, train):
    make(tmp_path, videos=False)
    touch(tmp_path, *(f"{train}/{stem(row)}.mp4" for row in TRAIN), f"{folder}/{stem(TRAIN[0])}.mp4")
    manifest = read_kinetics(tmp_path, "train")
    assert [c.path for c in manifest.clips] == [
        f"{folder}/{stem(TRAIN[0])}.mp4",
        *(f"{train}/{stem(row)}.mp4" for row in TRAIN[1:]),
    ]
    assert f"1 videos are read from {folder}" in manifest.notes[-1] and manifest.missing == manifest.unused == ()


def test_videos_that_are_there_as_replacements_alone(tmp_path):
    make(tmp_path, videos=False)
    touch(tmp_path, f"replacement/replacement_for_corrupted_k400/{stem(TRAIN[0])}.mp4")
    manifest = read_kinetics(tmp_path, "train")
    assert len(manifest.clips) == 1 and len(manifest.missing) == 2 and manifest.notes == ()


def test_an_id_that_the_list_has_twice_says_nothing_alone(tmp_path):
    rows = [*TRAIN, "zumba,-abcdefghi1,20,30,train,0"]
    make(tmp_path, train=rows, videos=False)
    touch(tmp_path, "train/-abcdefghi1.mp4", "train/_bcdefghij2.mp4", "train/-abcdefghi1_20_30.mp4")
    manifest = read_kinetics(tmp_path, "train")
    assert [c.path for c in manifest.clips] == ["train/_bcdefghij2.mp4", "train/-abcdefghi1_20_30.mp4"]
    assert manifest.unused == ("train/-abcdefghi1.mp4",)


def test_times_that_a_table_program_has_written(tmp_path):
    make(tmp_path)
    file = tmp_path / "annotations/train.csv"
    file.write_text(file.read_text().replace(",12,22,", ",12.0,22.00,").replace(",0,10,", ",0.,10.0,"))
    assert [c.video_id for c in read_kinetics(tmp_path, "train").clips] == [stem(row) for row in TRAIN]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_lists_with_another_separator(tmp_path, separator):
    make(tmp_path)
    for split in ("train", "val"):
        file = tmp_path / f"annotations/{split}.csv"
        file.write_text(file.read_text().replace(",", separator))
    assert len(read_kinetics(tmp_path, "train").clips) == 3
