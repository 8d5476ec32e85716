"""The table of data sets: one way to read all four, the published numbers, the printed trees."""

import pytest
import test_charades
import test_hmdb51
import test_kinetics
import test_ucf101

from sfar.data import disk
from sfar.data.charades import read_charades
from sfar.data.hmdb51 import read_hmdb51
from sfar.data.kinetics import read_kinetics
from sfar.data.labels import LABEL_SETS, class_names
from sfar.data.layouts import ACTIONS, FOUND, LAYOUTS, LISTED, count, expected, layout, read
from sfar.data.ucf101 import read_ucf101
from sfar.errors import ConfigError, DataError

MAKE = {
    "kinetics400": test_kinetics.make,
    "ucf101": test_ucf101.make,
    "hmdb51": test_hmdb51.make,
    "charades": test_charades.make,
}
READ = {"kinetics400": read_kinetics, "ucf101": read_ucf101, "hmdb51": read_hmdb51, "charades": read_charades}


@pytest.mark.parametrize("name", LABEL_SETS)
def test_one_way_to_read_all(tmp_path, name):
    MAKE[name](tmp_path)
    for split in LAYOUTS[name].splits:
        manifest = read(name, tmp_path, split)
        assert manifest == READ[name](tmp_path, split) and manifest.name == name and manifest.clips
    assert LAYOUTS[name].classes == len(class_names(name))


@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
def test_the_fold_is_handed_on(tmp_path, name):
    MAKE[name](tmp_path)
    (lists,) = (p for p in tmp_path.iterdir() if "split" in p.name or "list" in p.name)
    for path in list(lists.iterdir()):  # fold 2 is fold 1 with the first line of each list gone
        if "1.txt" in path.name:
            (lists / path.name.replace("1.txt", "2.txt")).write_text("\n".join(path.read_text().splitlines()[1:]))
    if name == "hmdb51":
        for path in list(lists.glob("*_test_split3.txt")):
            path.unlink()
    assert len(read(name, tmp_path, "all", fold=2).clips) < len(read(name, tmp_path, "all", fold=1).clips)


def test_unknown_names_folds_and_roots(tmp_path):
    with pytest.raises(
        ConfigError, match="unknown data set 'kinetics': expected one of kinetics400, ucf101, hmdb51, charades"
    ):
        read("kinetics", tmp_path, "train")
    for name in LAYOUTS:
        with pytest.raises(
            DataError, match=rf"nowhere: no such folder; give the folder that holds .*`sfar data layout {name}`"
        ):
            read(name, tmp_path / "nowhere", "train")
        with pytest.raises(ConfigError, match=r"'dev'.*train, val"):
            read(name, tmp_path, "dev")
        with pytest.raises(
            ConfigError, match="fold 2 is for ucf101, hmdb51" if not LAYOUTS[name].folds else "unknown fold 4"
        ):
            read(name, tmp_path, "train", 4 if LAYOUTS[name].folds else 2)


def test_every_split_has_published_numbers():
    for name, found in LAYOUTS.items():
        for split in found.splits:
            for fold in found.folds or (1,):
                numbers = expected(name, split, fold)
                assert numbers and all(
                    e.number > 0 and e.unit in (LISTED, FOUND, ACTIONS) and e.source for e in numbers
                ), (name, split, fold)
        assert len(found.counts) == len(found.splits) * len(found.folds or (1,))
    assert expected("ucf101", "train", 4) == () == expected("charades", "all")


def test_the_published_numbers_fit_together():
    number = {
        (name, *key): numbers[0].number for name, found in LAYOUTS.items() for key, numbers in found.counts.items()
    }
    for fold in (1, 2, 3):
        assert (
            number["ucf101", "train", fold] + number["ucf101", "val", fold] == number["ucf101", "all", fold] == 13_320
        )
        assert (number["hmdb51", "train", fold], number["hmdb51", "val", fold], number["hmdb51", "all", fold]) == (
            51 * 70,
            51 * 30,
            6766,
        )
    assert [number["ucf101", "train", fold] for fold in (1, 2, 3)] == [9537, 9586, 9624]
    assert number["charades", "train-videos"] + number["charades", "val"] == 9848, "the paper, appendix A.1"
    assert (number["kinetics400", "train"], number["kinetics400", "val"]) == (240_258, 19_881)


def test_count_lists_and_copies(tmp_path):
    kinetics = test_kinetics.make(tmp_path / "k")
    (kinetics / "train" / f"{test_kinetics.stem(test_kinetics.TRAIN[1])}.mp4").unlink()
    train = read_kinetics(kinetics, "train")
    assert (count(train, FOUND), count(train, LISTED)) == (2, 3), "Kinetics' main number is of videos on disk"

    ucf = test_ucf101.make(tmp_path / "u")
    (ucf / "UCF-101" / test_ucf101.TEST[0]).unlink()
    val = read_ucf101(ucf, "val")
    assert (count(val, LISTED), count(val, FOUND)) == (2, 1)

    charades = test_charades.make(tmp_path / "c")
    (charades / "Charades_v1_480/46GP8.mp4").unlink()
    train = read_charades(charades, "train")
    assert len(train.clips) == 1
    assert (count(train, ACTIONS), count(train, LISTED), count(train, FOUND)) == (5, 3, 1), (
        "left-out and missing ones count in the list"
    )
    assert all(count(read_charades(charades, split), LISTED) == 3 for split in ("train-videos", "val"))
    with pytest.raises(ConfigError, match="cannot count 'timed actions listed' of ucf101"):
        count(val, ACTIONS)
    with pytest.raises(ConfigError, match="cannot count 'frames'"):
        count(val, "frames")


@pytest.mark.parametrize("name", LABEL_SETS)
def test_the_printed_tree_is_one_that_is_read(tmp_path, name):
    """Every folder and file pattern of the reader stands in the tree, and where the data set is had is told."""
    text = layout(name).tree
    assert text.startswith("DIR/\n") and text.endswith("\n") and max(map(len, text.splitlines())) < 150
    needed = {
        "kinetics400": (
            "annotations/",
            "train.csv",
            "val.csv",
            "replacement/replacement_for_corrupted_k400/",
            "<id>_<start>_<end>.mp4",
            "<class>/",
        ),
        "ucf101": (
            "ucfTrainTestlist/",
            "annotations/",
            "classInd.txt",
            "trainlist01.txt",
            "testlist01.txt",
            "UCF-101/",
            "videos/",
        ),
        "hmdb51": ("testTrainMulti_7030_splits/", "annotations/", "_test_split1.txt", "videos/", "hmdb51_org/"),
        "charades": (
            "Charades_v1_classes.txt",
            "Charades_v1_train.csv",
            "Charades_v1_test.csv",
            "Charades_v1_480/",
            "Charades_v1/",
            "videos/",
            "Charades_v1_rgb/",
        ),
    }[name]
    assert [n for n in needed if n not in text] == []
    assert "https://" in layout(name).had


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    """Running as root, permissions do not stop anybody: the refusal is played."""
    test_kinetics.make(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(disk.os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot be read .Permission denied.; check its permissions"):
        read_kinetics(tmp_path, "train")
    with pytest.raises(DataError, match=r"train: cannot be read .Permission denied."):
        disk.look(tmp_path / "train")


def test_a_folder_is_looked_at_in_one_order(tmp_path):
    """Disks list names in any order: what is kept where a video is there twice must not depend on it."""
    names = [f"{k:02d}.mp4" for k in range(40)]
    for name in (*reversed(names), "00.avi", "0 hidden.txt", ".x.mp4"):
        (tmp_path / name).touch()
    for name in ("z", "a", "00.webm"):
        (tmp_path / name).mkdir()
    assert disk.look(tmp_path) == ([*names, "00.avi"], ["00.webm", "a", "z"], [], [])
    assert disk.look(tmp_path / "nowhere") == disk.look(tmp_path / "00.avi") == ([], [], [], [])
