"""The numbers transcribed from the paper: complete, typed, and where they were printed."""

import csv
from importlib import resources

import pytest

from sfar import paper
from sfar.errors import SfarError

COLUMNS = ["group", "method", "backbone", "venue", "frames", "resolution", "pretraining", "top1", "top5", "views",
           "gflops", "params_m", "source_row"]


@pytest.mark.parametrize("name, number, rows", [("table1", 1, 22), ("table11", 11, 10)])
def test_every_row_is_there_and_typed(name, number, rows):
    table = paper.load(name)
    assert [row["source_row"] for row in table] == [f"Table {number}, row {i}" for i in range(1, rows + 1)]
    for row in table:
        assert list(row) == COLUMNS
        assert isinstance(row["frames"], int) and isinstance(row["resolution"], int)
        assert 50 < row["top1"] < 100 and (row["top5"] is None or row["top1"] < row["top5"] < 100)
        assert row["params_m"] is None or row["params_m"] > 50
        clips, crops = row["views"].split("x")
        assert int(clips) > 0 and int(crops) > 0
        if row["gflops"] is not None:  # text, but every part of it is a number
            assert all(float(part) > 0 for part in row["gflops"].split("x"))


@pytest.mark.parametrize("name", paper.TABLES)
def test_no_line_has_too_many_or_too_few_cells(name):
    text = resources.files("sfar.paper").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    lines = list(csv.reader(text.splitlines()))
    assert lines[0] == COLUMNS
    assert {len(line) for line in lines} == {len(COLUMNS)}
    assert not any(cell == "-" or "×" in cell for line in lines for cell in line)


def find(name, method, **where):
    rows = [r for r in paper.load(name) if r["method"] == method and all(r[k] == v for k, v in where.items())]
    assert len(rows) == 1
    return rows[0]


def test_spot_cells_of_table_1():
    table = paper.load("table1")
    assert [row["group"] for row in table].count("Methods with large-scale visual pre-training") == 11
    assert [row["group"] for row in table].count("Methods with large-scale visual-text pre-training") == 11
    assert table[0]["gflops"] == "188x30" and table[0]["frames"] == 24 and table[0]["backbone"] is None
    ours = find("table1", "SFAR (ours)")
    assert ours == table[-1]
    assert (ours["top1"], ours["top5"], ours["views"], ours["gflops"], ours["params_m"]) == (
        84.5, 96.7, "1x1", "90.2x1", 126.1)
    assert (ours["backbone"], ours["frames"], ours["resolution"], ours["pretraining"]) == (
        "ViT-B/16", 8, 224, "WIT-400M")
    bike = find("table1", "BIKE", views="1x1")
    assert (bike["top1"], bike["top5"], bike["gflops"], bike["params_m"]) == (83.2, None, None, 124.1)
    assert find("table1", "SIF")["gflops"] == "1136x12"
    assert find("table1", "ALT")["gflops"] == "328"
    assert find("table1", "Vita-CLIP", views="4x3")["top1"] == 81.8


def test_spot_cells_of_table_11():
    ours = find("table11", "SFAR (ours)")
    assert (ours["top1"], ours["top5"], ours["gflops"], ours["params_m"]) == (87.6, 97.8, "416", 312.0)
    assert ours["group"] is None
    bike = find("table11", "BIKE")
    assert (bike["backbone"], bike["top1"], bike["gflops"], bike["params_m"]) == ("ViT-L/14", 86.5, "415", 307.0)
    assert find("table11", "VideoSwin")["resolution"] == 384
    assert find("table11", "ViViT", pretraining="JFT-300M")["gflops"] == "3992x12"


def test_an_unknown_table_names_the_known_ones():
    with pytest.raises(SfarError, match="table7.*table1, table11"):
        paper.load("table7")
