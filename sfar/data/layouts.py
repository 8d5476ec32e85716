"""The data sets: their trees, where they are had, how many videos there should be; one way to read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfar.config import OWN
from sfar.data import charades, hmdb51, kinetics, own, ucf101
from sfar.data.disk import kept, uncollected
from sfar.data.manifest import Manifest
from sfar.errors import ConfigError, DataError, closed

# What a number counts: the videos that the list names; those of them that are on disk; the timed actions that the list
# names.
LISTED, FOUND, ACTIONS = "videos listed", "videos on disk", "timed actions listed"


@dataclass(frozen=True)
class Expected:
    """A published number. ``unit`` is one of LISTED, FOUND, ACTIONS; ``source`` says who counted."""

    number: int
    unit: str
    source: str


@dataclass(frozen=True)
class Layout:
    """One data set.

    ``reader(root, split, fold)``; ``folds`` is empty where there is one split only; ``tree`` (how it looks on disk) and
    ``had`` (where to get it) are for print. ``counts``: (split,) or, where there are folds, (split, fold) -> what its
    list and a complete copy have, the main number first.
    """

    title: str
    reader: Callable[[str | Path, str, int], Manifest]
    splits: tuple[str, ...]
    folds: tuple[int, ...]
    classes: int
    counts: dict[tuple, tuple[Expected, ...]]
    tree: str
    had: str


_CVDF = "the CVDF copy, counted in its arrange_by_classes.py"
_CHARADES = "the official csv, counted in BIKE's copy of it"
_UCF = "the official lists, counted in BIKE's copy of them"
_HMDB = "the official lists: 70 training and 30 test videos of each of 51 classes"

COUNTS: dict[str, dict[tuple, tuple[Expected, ...]]] = {
    "kinetics400": {
        ("train",): (Expected(240_258, FOUND, f"{_CVDF}; the paper says 240,000"), Expected(246_534, LISTED, _CVDF)),
        ("val",): (
            Expected(19_881, FOUND, f"{_CVDF}; the paper says 20,000, BIKE's list has 19,796, ViFi-CLIP's 19,877"),
            Expected(19_906, LISTED, _CVDF),
        ),
    },
    "ucf101": {
        (split, fold): (Expected(number, LISTED, _UCF),)
        for fold, train, val in ((1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696))
        for split, number in (("train", train), ("val", val), ("all", 13_320))
    },
    "hmdb51": {
        (split, fold): (Expected(number, LISTED, source),)
        for fold in (1, 2, 3)
        for split, number, source in (
            ("train", 3570, _HMDB),
            ("val", 1530, _HMDB),
            ("all", 6766, "the paper, appendix A.1, and the official lists"),
        )
    },
    "charades": {
        ("train",): (
            Expected(49_809, ACTIONS, f"{_CHARADES}; 49,802 of them end after they start"),
            Expected(7985, LISTED, _CHARADES),
        ),
        ("val",): (
            Expected(1863, LISTED, f"{_CHARADES}; with train 9,848, as the paper says"),
            Expected(16_691, ACTIONS, _CHARADES),
        ),
        ("train-videos",): (Expected(7985, LISTED, f"{_CHARADES}; with test 9,848, as the paper says"),),
    },
}

_KINETICS_TREE = """\
DIR/
  annotations/                                  or the two files in DIR itself
    train.csv                                   label,youtube_id,time_start,time_end,split[,is_cc]
    val.csv                                     the same; validate.csv and mmaction2's kinetics_train.csv are read too
  train/                                        or videos_train/, train_256/, rawframes_train/
    <id>_<start>_<end>.mp4                      for instance 0wR5jVB-WPk_000417_000427.mp4; of any ending
    <id>.mp4                                    or the YouTube id alone
    <class>/<id>_<start>_<end>.mp4              or in one folder per class
    <id>_<start>_<end>/                         or a folder of extracted frames, here or in the folder of its class
  val/                                          like train/
  replacement/replacement_for_corrupted_k400/   CVDF's second copies of broken videos; read instead of the first
    <id>_<start>_<end>.mp4
"""
_KINETICS_HAD = """\
https://github.com/cvdfoundation/kinetics-dataset has the scripts that fetch and unpack the CVDF copy:
  https://s3.amazonaws.com/kinetics/400/annotations/train.csv and val.csv
  https://s3.amazonaws.com/kinetics/400/train/k400_train_path.txt and .../val/k400_val_path.txt list the archives
  replacement_for_corrupted_k400.tgz is named in the same scripts
The test split has no labels and is not needed.
"""
_UCF_TREE = """\
DIR/
  ucfTrainTestlist/                             or annotations/, or the files in DIR itself
    classInd.txt                                1 ApplyEyeMakeup
    trainlist01.txt                             ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
    testlist01.txt                              ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
    trainlist02.txt ... testlist03.txt          the other two folds
  UCF-101/                                      or videos/, rawframes/, or the folders of the classes in DIR itself
    ApplyEyeMakeup/                             spaces, underscores and capital letters do not matter
      v_ApplyEyeMakeup_g01_c01.avi              of any ending; or all of them in UCF-101/ itself
      v_ApplyEyeMakeup_g01_c01/                 or a folder of extracted frames
"""
_UCF_HAD = """\
https://www.crcv.ucf.edu/data/UCF101.php
  https://www.crcv.ucf.edu/data/UCF101/UCF101.rar                                     the videos
  https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip      the lists
"""
_HMDB_TREE = """\
DIR/
  testTrainMulti_7030_splits/                   or annotations/, or the files in DIR itself
    brush_hair_test_split1.txt                  April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1
                                                1 train, 2 test, 0 neither
    brush_hair_test_split2.txt ... wave_test_split3.txt
  videos/                                       or hmdb51_org/, rawframes/, or the folders of the classes in DIR itself
    brush_hair/                                 spaces, underscores and capital letters do not matter
      April_09_brush_hair_u_nm_np1_ba_goo_0.avi of any ending; or all of them in videos/ itself
      April_09_brush_hair_u_nm_np1_ba_goo_0/    or a folder of extracted frames
"""
_HMDB_HAD = """\
https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/
  hmdb51_org.rar          the videos; it holds one archive per class, to be unpacked in the same folder
  test_train_splits.rar   the lists
"""
_CHARADES_TREE = """\
DIR/
  Charades/                                     or annotations/, or the files in DIR itself
    Charades_v1_classes.txt                     c000 Holding some clothes
    Charades_v1_train.csv                       id,...,actions,length with actions "c092 11.90 21.20;c147 0.00 12.60"
    Charades_v1_test.csv                        the same
  Charades_v1_480/                              or Charades_v1/, videos/, or DIR itself
    46GP8.mp4                                   of any ending
  Charades_v1_rgb/                              the official frames, 24 per second: used for videos that have no file
    46GP8/46GP8-000001.jpg
"""
_CHARADES_HAD = """\
https://prior.allenai.org/projects/charades
  Charades.zip            the lists
  Charades_v1_480.zip     the videos at 480 pixels (about 13 GB)
  Charades_v1.zip         or the videos in their own size (about 55 GB)
  Charades_v1_rgb.tar     the frames (about 76 GB), which are not needed beside the videos
"""

LAYOUTS: dict[str, Layout] = {
    "kinetics400": Layout(
        "Kinetics-400",
        lambda root, split, fold: kinetics.read_kinetics(root, split),
        kinetics.SPLITS,
        (),
        400,
        COUNTS["kinetics400"],
        _KINETICS_TREE,
        _KINETICS_HAD,
    ),
    "ucf101": Layout(
        "UCF-101", ucf101.read_ucf101, ucf101.SPLITS, ucf101.FOLDS, 101, COUNTS["ucf101"], _UCF_TREE, _UCF_HAD
    ),
    "hmdb51": Layout(
        "HMDB-51", hmdb51.read_hmdb51, hmdb51.SPLITS, hmdb51.FOLDS, 51, COUNTS["hmdb51"], _HMDB_TREE, _HMDB_HAD
    ),
    "charades": Layout(
        "Charades",
        lambda root, split, fold: charades.read_charades(root, split),
        charades.SPLITS,
        (),
        157,
        COUNTS["charades"],
        _CHARADES_TREE,
        _CHARADES_HAD,
    ),
}

_OWN_TREE = """\
DIR/
  long jump/                                    a folder for each class; long_jump and LongJump are read as words
    any name.mp4                                of any of the usual endings
    any name/                                   or a folder of extracted frames
  yoga/
or, with a split of your own,
DIR/
  train/long jump/...
  val/long jump/...
or, in place of DIR, a csv file                 fields may be parted by semicolons or tabs too
  path,label[,split]                            split: train or val; of all rows or of none
  videos/a.mp4,long jump,train                  paths are absolute or begin at the folder of the file
Without a split, of each class about a fifth of the videos tests (data.fold: which; drawn by a hash of their paths).
"""
# A data set of one's own has no published numbers, and as many classes as it has.
_OWN = Layout("Your own videos", own.read_own, own.SPLITS, own.FOLDS, 0, {}, _OWN_TREE, "")


def layout(name: str) -> Layout:
    """The data set called ``name``. Raises ``ConfigError`` for an unknown one."""
    known = {**LAYOUTS, OWN: _OWN}
    if name not in known:
        raise ConfigError(f"unknown data set {name!r}: expected one of {', '.join(known)}")
    return known[name]


def read(name: str, root: str | Path, split: str, fold: int = 1) -> Manifest:
    """One split of one data set.

    Raises ``ConfigError`` (unknown name, split or fold) and ``DataError`` (see the readers; also for what the system
    does not let be read).
    """
    found = layout(name)
    if not found.folds and fold != 1:
        raise ConfigError(
            f"{found.title} has one split only: fold {fold!r} is for "
            f"{', '.join(n for n, k in LAYOUTS.items() if k.folds)}"
        )
    try:
        with uncollected():
            return kept((name, str(root), split, fold), lambda: found.reader(root, split, fold))
    except OSError as e:  # of whichever list or folder the reader came to
        raise DataError(f"{e.filename or root}: cannot be read ({e.strerror or e}); {closed(e)}") from None


def expected(name: str, split: str, fold: int = 1) -> tuple[Expected, ...]:
    """The published numbers of a split, the main one first; none for a split that the data set does not have."""
    found = layout(name)
    return found.counts.get((split, fold) if found.folds else (split,), ())


def count(manifest: Manifest, unit: str) -> int:
    """What a copy has of ``unit`` (LISTED, FOUND, ACTIONS). Raises ``ConfigError`` for one that it cannot have.

    The list is counted whole, with what is missing on disk and with what no clip is made of; Charades' csv is read
    again for it.
    """
    if unit not in (LISTED, FOUND, ACTIONS) or (unit == ACTIONS and manifest.name != "charades"):
        raise ConfigError(f"cannot count {unit!r} of {manifest.name}")
    if unit == FOUND:
        return len({clip.path for clip in manifest.clips})
    if manifest.name == "charades":
        return charades.list_sizes(manifest.root, manifest.split)[unit == ACTIONS]
    return len(manifest.clips) + len(manifest.missing)
