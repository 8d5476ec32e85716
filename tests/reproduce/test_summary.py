"""The one page: made again from the committed records it is the committed file; nothing is missing from it, nothing is made up."""

import json
import re

import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.reproduce import summary
from sfar.reproduce import targets as reproduce
from sfar.util import paths

PROFILE = get_profile("storyboard")
FOLDER = paths.results("storyboard")
RECORDS = (*summary.OTHERS, *reproduce.STUDIES)


def records():
    return {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in RECORDS}


def claims():
    return [(name, c) for name, record in records().items() for c in record.get("claims", [])]


@pytest.fixture(scope="module")
def page():
    return summary.text(PROFILE)


def lines(text):
    """Cells of the large table's rows."""
    table = text.split("## The table\n\n")[1].split("\n\n##")[0].splitlines()
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    assert rows[0] == summary.COLUMNS and {len(r) for r in rows} == {len(summary.COLUMNS)}
    return rows[2:]


def test_made_again_it_is_the_committed_page(page):
    assert page == (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_table_and_figure_of_the_paper_is_there_once():
    keys = [i.key for i in summary.ITEMS]
    tables = {"table1", *(f"table2{x}" for x in "abcde"), *(f"table{n}" for n in range(3, 15))}
    figures = {*(f"fig{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10)), "fig2f", "fig7a", "fig7b"}
    assert len(set(keys)) == len(keys) and set(keys) == tables | figures | {"audit"}
    assert set(reproduce.TARGETS) <= set(keys)


def test_items_stand_with_the_record_that_their_target_makes():
    of = {t: name for name, (_, targets) in reproduce.STUDIES.items() for t in targets}
    for item in summary.ITEMS:
        if item.key in of:
            assert item.record == of[item.key], item.key
        if item.key in reproduce.TARGETS and item.record:
            assert reproduce.TARGETS[item.key] == reproduce.TARGETS[summary.home(item.record)]


def test_every_claim_of_every_record_has_one_row(page):
    rows = lines(page)
    found = [r for r in rows if r[0].startswith("claim: ")]
    assert len(found) == len(claims()) > 20
    for name, c in claims():
        text, printed = summary.split_claim(name, c["claim"])
        (row,) = [
            r
            for r in found
            if r[0].startswith(f"claim: {text} ({c['source']};")
            and f"`{records()[name]['provenance']['command']}`" == r[5]
        ]
        assert (
            row[1] == printed
            and row[4] == c["verdict"]
            and row[2].startswith(f"{c['mean']:+.{1 if c['unit'] else 2}f}")
        )
        assert row[6] and row[7] == f"[page]({name}.md)"


def test_totals_are_those_of_the_records(page):
    ours = [c for _, c in claims() if not summary.of_paper(c)]
    for title, some in (("of the paper", [c for _, c in claims() if summary.of_paper(c)]), ("not of the paper", ours)):
        (row,) = re.findall(rf"^\| {title} +\|(.*)\|$", page, re.M)
        assert [int(c) for c in row.split("|")] == [
            len(some),
            *(sum(c["verdict"] == v for c in some) for v in summary.VERDICTS),
        ]


def test_rows_of_tables_and_figures_are_complete(page):
    rows = {r[0].strip("*"): r for r in lines(page) if r[0].startswith("**")}
    assert list(rows) == [i.title for i in summary.ITEMS]
    for item in summary.ITEMS:
        row = rows[item.title]
        if item.key in reproduce.TARGETS:
            assert row[5].startswith("`make reproduce-") and row[7], row
            target = row[5].strip("`").removeprefix("make reproduce-").split()[0]
            assert reproduce.TARGETS[target] == reproduce.TARGETS[item.key]
            assert not item.record or row[6]
        else:
            assert row[4].startswith("**not reproduced**") and row[5] == ""


def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 20 and all((FOLDER / link).is_file() for link in links)
    shown = {link for link in links if link.endswith(".png")}
    assert shown == {p.name for p in FOLDER.glob("*.png")}, "a figure that no row names"


def test_no_number_of_the_paper_is_in_the_measured_column(page):
    """What is measured comes from the records: with them gone, the column is empty and the paper's stays (costs are recomputed from the architecture)."""
    numbers = {r[0]: r for r in lines(page) if r[0].startswith("number: ")}
    assert numbers["number: SFAR, one view, top-1 [%]"][1:3] == [
        "84.5",
        f"{records()['table1']['rows'][5]['top1']['mean']:.1f}",
    ]
    assert numbers["number: SFAR, ViT-L/14, top-1 [%]"][1:4] == ["87.6", "–", "–"]
    assert not any("paper:" in cell for r in lines(page) for cell in r)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty project folder."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    return paths.results("storyboard")


def test_missing_and_stale_records_are_named_with_their_command(elsewhere):
    empty = summary.text(PROFILE)
    rows = {r[0].strip("*"): r for r in lines(empty) if r[0].startswith("**")}
    for item in summary.ITEMS:
        if item.key in reproduce.TARGETS:
            assert (
                rows[item.title][4] == "**missing**"
                and rows[item.title][5].startswith("`make reproduce-")
                and rows[item.title][7] == ""
            ), item.key
    for name in RECORDS:
        assert f"`make reproduce-{summary.home(name)}` (missing)" in empty
    assert "| claim: " not in empty and not any(r[2] not in ("–", "") for r in lines(empty))
    elsewhere.mkdir(parents=True)
    (elsewhere / "table1.json").write_text(
        json.dumps({**records()["table1"], "inputs": "0" * 16}) if (FOLDER / "table1.json").exists() else "{}"
    )
    (elsewhere / "ablations.json").write_text("{")
    text = summary.text(PROFILE)
    assert (
        "`make reproduce-table1` (stale)" in text
        and "`make reproduce-table2e` (stale)" in text
        and "`make reproduce-table3` (missing)" in text
    )
    assert "| claim: " not in text and "nan" not in text


def test_another_profile_names_its_own_commands(elsewhere):
    path = summary.write(get_profile("paper", {"data.root": "/data/k400"}))
    assert path == elsewhere.parent / "paper" / "README.md"
    text = path.read_text(encoding="utf-8")
    assert "`make reproduce-table1 PROFILE=paper` (missing)" in text and "`make summary PROFILE=paper`" in text


# --- the paper's column ------------------------------------------------------------------------------------------------


def test_a_quoted_number_moves_to_the_papers_column():
    assert summary.split_claim("ablations", "coarse and fine together beat fine-tuned CLIP (paper: +4.6)") == (
        "coarse and fine together beat fine-tuned CLIP",
        "+4.6",
    )
    assert summary.split_claim("ablations", "coarse alone beats fine alone") == (
        "coarse alone beats fine alone",
        "+0.8",
    )
    assert summary.split_claim("few_shot", "coarse alone beats fine alone") == ("coarse alone beats fine alone", "–")


def test_numbers_that_claims_quote_are_those_of_the_tables():
    assert summary._gap(summary.BOTH, summary.CLIP) == "+4.6" == f"+{summary.said('table2e-lead')}"
    for name, c in claims():
        for quoted in summary.QUOTED.findall(c["claim"]):
            assert re.fullmatch(r"[+-]\d+(\.\d+)?( to [+-]?\d+(\.\d+)?)?.*", quoted), (name, c["claim"])


def test_every_line_about_a_claim_is_used():
    for name, start in summary.PRINTED:
        assert any(n == name and c["claim"].startswith(start) for n, c in claims()), (name, start)


@pytest.mark.parametrize(
    ("name", "start", "value"),
    [
        ("table1", "SFAR has", "+0.5"),
        ("few_shot", "SFAR has", "+5.8"),
        ("zero_shot", "SFAR has the highest zero-shot accuracy, set in UCF", "+0.3"),
        ("zero_shot", "SFAR has the highest zero-shot accuracy, set in HMDB", "+1.0"),
        ("multi_label", "SFAR has", "+0.7"),
        ("fig7b", "the group", "+0.05"),
        ("ablations", "the fine", "+2.8"),
        ("ablations", "coarse and fine together beat coarse", "+1.0"),
        ("table1", "a_fine puts more weight on those", "+14.0 (one frame)"),
    ],
)
def test_what_the_paper_prints(name, start, value):
    (printed,) = [f() for (n, s), f in summary.PRINTED.items() if n == name and s.startswith(start)]
    assert printed == value


def test_leads_agree_with_the_running_text():
    said = {r["id"]: r["value"] for r in paper.load("statements")}
    assert [
        summary.lead("table1", "top1"),
        summary.lead("table2a", "map"),
        summary.lead("table3", "value", dataset="All"),
    ] == [f"+{said[k]}" for k in ("table1-lead", "table2a-lead", "table3-lead")]


def test_a_row_that_is_not_there_is_an_error():
    with pytest.raises(SfarError, match="table1.csv: 0 rows with .*expected one"):
        summary.cell("table1", "top1", method="SFARR")


def test_claims_stand_where_their_source_says():
    at = lambda source, record="table1": summary.place({"source": source}, record)  # noqa: E731
    assert (
        at("sections 3.2, 3.3, Fig. 6") == "fig6"
        and at("Table 2b, section 4.2") == "table2b"
        and at("Figure 7a") == "fig7a"
    )
    assert (
        at("section 4.3", "ablations") == "table2e"
        and at("BIKE train.py (not a claim of the paper)", "few_shot") == "table3"
    )
    assert at("Table 99, Tables 2c, 8") == "table2c"
