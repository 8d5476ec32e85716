"""The data sets as appendix A.1 describes them, against their own lists."""

from __future__ import annotations

from sfar.paper.audit.cells import Cell, Tables
from sfar.paper.audit.rows import Counted, Row, holds

TITLE = "Data sets: A.1"


def _to_the_thousand(printed: Cell, counted: int) -> bool:
    return abs(printed.number - counted) <= 500


def build(t: Tables, _: Counted) -> list[Row]:
    """Every statement of this part."""
    videos, classes, train, test = (t.said(f"hmdb51-{k}") for k in ("videos", "classes", "train", "test"))
    k_train, k_val, k_classes = (t.said(f"kinetics-{k}") for k in ("train", "val", "classes"))
    u_train, u_test, u_classes = (t.said(f"ucf101-{k}") for k in ("train", "test", "classes"))
    charades = t.said("charades-videos")
    return [
        holds(
            "ucf101-classes",
            "section A.1",
            t.quote("ucf101-classes"),
            u_classes.number == 101,
            "classInd.txt has 101 lines",
            (u_classes,),
        ),
        holds(
            "kinetics-counts",
            "section A.1",
            "Kinetics-400: 240,000 training and 20,000 validation videos",
            _to_the_thousand(k_train, 240258) and _to_the_thousand(k_val, 19881),
            "cvdfoundation/kinetics-dataset (arrange_by_classes.py): 240,258 and 19,881; to the thousand, as printed",
            (k_train, k_val),
            reading="counted when read (`sfar data check`)",
        ),
        holds(
            "kinetics-classes",
            "section A.1",
            "Kinetics-400: 400 action classes",
            k_classes.number == 400,
            f"{int(k_val.number / k_classes.number)} validation videos a class on average",
            (k_classes,),
        ),
        Row(
            "kinetics-seconds",
            "section A.1",
            t.quote("kinetics-seconds"),
            "the official csv has a start and an end of every video; they were not looked through",
            "not decidable",
            cells=(t.said("kinetics-seconds"),),
        ),
        holds(
            "hmdb51-split",
            "section A.1",
            "HMDB-51: 3,570 training and 1,530 test videos of 51 classes",
            train.number == 70 * classes.number and test.number == 30 * classes.number,
            "70 and 30 of each class, as the official splits",
            (train, test, classes),
        ),
        holds(
            "hmdb51-total",
            "section A.1",
            "HMDB-51: 6,766 videos",
            train.number + test.number <= videos.number,
            f"{int(train.number + test.number)} of them in a split; the rest is unused (0 in the official lists)",
            (videos, train, test),
        ),
        holds(
            "ucf101-split",
            "section A.1",
            "UCF-101: 9,537 training and 3,783 test videos",
            u_train.number + u_test.number == 13320,
            f"{int(u_train.number + u_test.number)} in all, as split 1 of the official three",
            (u_train, u_test),
            reading="split 1",
            field="data.fold",
        ),
        holds(
            "charades-total",
            "section A.1",
            "Charades: 9,848 video clips, 157 categories",
            charades.number == 7985 + 1863 and t.said("charades-classes").number == 157,
            "7,985 training and 1,863 test videos (lists in whwu95/BIKE)",
            (charades, t.said("charades-classes")),
        ),
    ]
