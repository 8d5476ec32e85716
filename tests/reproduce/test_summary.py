"""The one page: made again from the committed records it is the committed file; nothing missing, nothing made up."""

import json
import re

import pytest

from sfar import paper, studies
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.paper import printed
from sfar.reproduce import summary
from sfar.studies.core import page as pages
from sfar.util import paths

PROFILE = get_profile("storyboard")
FOLDER = paths.results("storyboard")
STUDIES = studies.studies()
ITEMS = studies.items()
COLUMNS = [*summary.COLUMNS, "Files"]


@pytest.fixture(scope="module")
def records():
    return {s.id: s.load(PROFILE) for s in STUDIES}


@pytest.fixture(scope="module")
def page():
    return summary.text(PROFILE)


def lines(text):
    """Cells of the large table's rows."""
    table = text.split("## The table\n\n")[1].split("\n\n##")[0].splitlines()
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    assert rows[0] == COLUMNS and {len(r) for r in rows} == {len(COLUMNS)}
    return rows[2:]


def test_made_again_it_is_the_committed_page(page):
    assert page == (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_table_and_figure_of_the_paper_is_there_once():
    tables = {"table1", *(f"table2{x}" for x in "abcde"), *(f"table{n}" for n in range(3, 15))}
    figures = {*(f"fig{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10)), "fig2f", "fig7a", "fig7b"}
    assert set(ITEMS) == tables | figures | {"audit", "readings", "budget", "knobs"}


def test_tables_stand_before_figures_as_the_paper_numbers_them(page):
    shown = [r[0].strip("*").split(":")[0] for r in lines(page) if r[0].startswith("**")]
    assert len(shown) == len(ITEMS)
    assert shown[:4] == ["Table 1", "Table 2a", "Table 2b", "Table 2c"] and shown[6:8] == ["Table 3", "Table 4"]
    figures = [s for s in shown if s.startswith("Figure")]
    assert shown[18:-4] == figures and figures[:3] == ["Figure 1", "Figure 2a-e", "Figure 2f"]


@pytest.fixture(scope="module")
def standing(records):
    """Ids of the claims that stand when all are counted: p ordered, each held to what is left of 5 % (Holm)."""
    claims = sorted((c for r in records.values() for c in r.claims), key=lambda c: 1.0 if c.p is None else c.p)
    out = []
    for i, c in enumerate(claims):
        if c.p is None or c.p > 0.05 / (len(claims) - i):
            break
        out.append(c.id)
    return out


def test_every_claim_of_every_record_has_one_row(page, records, standing):
    found = [r for r in lines(page) if r[0].startswith("claim: ")]
    assert len(found) == sum(len(r.claims) for r in records.values()) > 70
    for study, record in records.items():
        for c in record.claims:
            named = f"claim: {c.claim} ({c.source}; against {c.against})".replace("|", "\\|")
            (row,) = [r for r in found if r[0] == named and r[5] == f"`{record.provenance['command']}`"]
            verdict = row[4].strip("*")
            assert row[1] == (c.printed or "–") and row[2] == pages.value(c) and verdict.split(":")[0] == c.verdict
            assert (row[4] != verdict) == (c.id in standing) and (":" in verdict) == (c.in_sight is not None)
            assert row[6] and row[7] == f"[page]({study}.md)"


def test_totals_are_those_of_the_records(page, records, standing):
    claims = [c for r in records.values() for c in r.claims]
    for title, of_paper in (("of the paper", True), ("not of the paper", False)):
        mine = [c for c in claims if c.of_paper == of_paper]
        own = [c.verdict for c in mine]
        (row,) = re.findall(rf"^\| {title} +\|(.*)\|$", page, re.MULTILINE)
        assert [int(c) for c in row.split("|")] == [
            len(own),
            *(own.count(v) for v in summary.VERDICTS),
            sum(c.id in standing for c in mine),
        ]


def test_rows_of_tables_and_figures_are_complete(page):
    rows = {r[0].strip("*"): r for r in lines(page) if r[0].startswith("**")}
    for study, item in ITEMS.values():
        row = rows[item.title]
        assert row[5] == f"`make reproduce-{study.target}`" and row[6] and f"[page]({study.id}.md)" in row[7]


def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 20 and all((FOLDER / link).is_file() for link in links)
    shown = {link for link in links if link.endswith(".png")}
    own = {"tuning.png"}  # of the search's own page
    assert shown == {p.name for p in FOLDER.glob("*.png")} - own, "a figure that no row names"


def test_the_papers_numbers_stay_in_their_column(page, records):
    numbers = {r[0]: r for r in lines(page) if r[0].startswith("number: ")}
    own = records["table1"].find("methods", "sfar", "top1", views="1x1")
    assert numbers["number: SFAR, one view, top-1 [%]"][1:3] == ["84.5", f"{own.mean:.1f}"]
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
    for study, item in ITEMS.values():
        row = rows[item.title]
        assert row[4] == "**missing**" and row[5] == f"`make reproduce-{study.target}`" and row[7] == ""
    for study in STUDIES:
        assert f"`make reproduce-{study.target}` (missing)" in empty
    assert "| claim: " not in empty and not any(r[2] not in ("–", "") for r in lines(empty))
    elsewhere.mkdir(parents=True)
    old = json.loads((FOLDER / "table1.json").read_text())
    (elsewhere / "table1.json").write_text(json.dumps({**old, "inputs": "0" * 16}))
    (elsewhere / "ablations.json").write_text("{")
    text = summary.text(PROFILE)
    assert "`make reproduce-table1` (stale)" in text and "`make reproduce-table2e` (stale)" in text
    assert "`make reproduce-table3` (missing)" in text and "| claim: " not in text and "nan" not in text


def test_another_profile_names_its_own_commands(elsewhere):
    path = summary.write(get_profile("paper", {"data.root": "/data/k400"}))
    assert path == elsewhere.parent / "paper" / "README.md"
    text = path.read_text(encoding="utf-8")
    assert "`make reproduce-table1 PROFILE=paper` (missing)" in text and "`make summary PROFILE=paper`" in text


# --- the paper's column ----------------------------------------------------------------------------------------------

CLAIMS = {c.id: c for s in STUDIES for c in s.claims}


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("table1-highest", "+1.3"),
        ("table3-highest-repeat", "+5.8"),
        ("table2b-ucf101-highest", "+0.3"),
        ("table2b-hmdb51-highest", "+1.0"),
        ("table2a-highest-frozen", "+0.7"),
        ("table2d-highest-printed", "+0.05"),
        ("table2e-both-clip", "+4.6"),
        ("table2e-fine-clip", "+2.8"),
        ("table2e-both-coarse", "+1.0"),
        ("table2e-coarse-fine", "+0.8"),
        ("importance-fine-sharper", "+14.0 (one frame)"),
        ("table4-class-aware", "+0.5"),
        ("table9-average-fusion-ahead", "+2.9; +2.6 of the second best, ATM"),
    ],
)
def test_what_the_paper_prints(claim, value):
    found = CLAIMS[claim].printed
    assert (found if isinstance(found, str) else found()) == value


def test_leads_agree_with_the_running_text():
    said = {r["id"]: r["value"] for r in paper.load("statements")}
    leads = [
        printed.lead("table1", "top1"),
        printed.lead("table2a", "map"),
        printed.lead("table3", "value", dataset="All"),
    ]
    assert leads == [f"+{said[k]}" for k in ("table1-lead", "table2a-lead", "table3-lead")]


def test_a_row_that_is_not_there_is_an_error():
    with pytest.raises(SfarError, match=r"table1.csv: 0 rows with .*expected one"):
        printed.cell("table1", "top1", method="SFARR")
