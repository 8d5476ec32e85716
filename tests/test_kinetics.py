"""The Kinetics-400 reader on small trees with empty video files (it never opens them)."""

from pathlib import Path

import pytest

from sfar.data.kinetics import Clip, read_kinetics
from sfar.errors import ConfigError, DataError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
TRAIN = ["abseiling,-abcdefghi1,0,10,train,0", '"""zumba""",_bcdefghij2,12,22,train,0',
         "long jump,cdefghijk-3,1000000,1000010,train,1"]
VAL = ["zumba,defghijkl04,5,15,val,0", "abseiling,efghijklm05,7,17,val,0"]


def stem(row):
    _, youtube_id, start, end, *_ = row.split(",")
    return f"{youtube_id}_{int(start):06d}_{int(end):06d}"


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
        Clip("train/cdefghijk-3_1000000_1000010.mp4", 1, "cdefghijk-3_1000000_1000010"))
    assert manifest.missing == ()


def test_val_labels_follow_the_train_classes(tmp_path):
    manifest = read_kinetics(str(make(tmp_path)), "val")
    assert [clip.label for clip in manifest.clips] == [2, 0]
    assert len(manifest.classes) == 3 and isinstance(manifest.root, Path)


@pytest.mark.parametrize("variant", [{"newline": "\r\n"}, {"encoding": "utf-8-sig"}, {"folder": "."},
                                     {"header": "label,youtube_id,time_start,time_end,split"}])
def test_harmless_variants_of_the_lists(tmp_path, variant):
    if "header" in variant:
        variant |= {"train": [r.rsplit(",", 1)[0] for r in TRAIN], "val": [r.rsplit(",", 1)[0] for r in VAL]}
    assert read_kinetics(make(tmp_path, **variant), "train").clips == \
        read_kinetics(make(tmp_path / "plain"), "train").clips


def test_class_folders_and_replacements(tmp_path):
    make(tmp_path, videos=False)
    places = ("train/abseiling", "train", "replacement/replacement_for_corrupted_k400")
    for row, place in zip(TRAIN, places, strict=True):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{stem(row)}.mp4").touch()
    clips = read_kinetics(tmp_path, "train").clips
    assert [clip.path for clip in clips] == [f"{p}/{stem(r)}.mp4" for r, p in zip(TRAIN, places, strict=True)]


def test_missing_videos_are_reported_not_raised(tmp_path):
    make(tmp_path)
    (tmp_path / "train" / f"{stem(TRAIN[1])}.mp4").unlink()
    manifest = read_kinetics(tmp_path, "train")
    assert manifest.missing == (f"train/{stem(TRAIN[1])}.mp4",)
    assert [clip.label for clip in manifest.clips] == [0, 1] and len(manifest.classes) == 3


def test_all_videos_missing_is_a_wrong_layout(tmp_path):
    make(tmp_path, videos=False)
    (tmp_path / "train" / "something_else.mp4").touch()
    with pytest.raises(DataError, match=r"none of the 3 videos of train.csv.*1 other \.mp4"):
        read_kinetics(tmp_path, "train")


def test_no_root_empty_root_no_list(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        read_kinetics(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="is empty; expected annotations/train.csv"):
        read_kinetics(tmp_path, "train")
    make(tmp_path)
    (tmp_path / "annotations" / "val.csv").unlink()
    assert read_kinetics(tmp_path, "train").clips
    with pytest.raises(DataError, match="no list of the val split"):
        read_kinetics(tmp_path, "val")
    with pytest.raises(ConfigError, match="'test'.*train, val"):
        read_kinetics(tmp_path, "test")


@pytest.mark.parametrize(("row", "message"), [
    ("abseiling,fghijklmn06,x,10,train,0", r"line 5, column time_start: 'x'"),
    ("abseiling,fghijklmn06,0,-3,train,0", r"line 5, column time_end: '-3'"),
    ("abseiling,fghijklmn06,0,1.5,train,0", r"line 5, column time_end: '1.5'"),
    ("abseiling,fghijklmn06,0,10,val,0", r"line 5, column split: 'val' where 'train'"),
    (TRAIN[0], r"line 5: -abcdefghi1_000000_000010 is listed already in line 2"),
    (",fghijklmn06,0,10,train,0", r"line 5, column label: is empty"),
    ("abseiling,,0,10,train,0", r"line 5, column youtube_id: ''"),
    ("abseiling,../../etc,0,10,train,0", r"line 5, column youtube_id: '\.\./\.\./etc'"),
    ("abseiling,a/b,0,10,train,0", r"line 5, column youtube_id: 'a/b'"),
    ("abseiling,a\\b,0,10,train,0", r"line 5, column youtube_id: 'a"),
    ("abseiling,a..b,0,10,train,0", r"line 5, column youtube_id: 'a\.\.b'"),
    ("abseiling,fghijklmn06,0", r"line 5: has fewer than 5 columns"),
])
def test_bad_rows_are_named(tmp_path, row, message):
    make(tmp_path, videos=False, train=[*TRAIN, row])
    with pytest.raises(DataError, match=rf"train\.csv {message}"):
        read_kinetics(tmp_path, "train")


def test_bad_lists(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv: columns missing in the first line: time_start, split; expected"):
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
