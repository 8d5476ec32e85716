"""The one page: made again from the committed records it is the committed file; nothing missing, nothing made up."""

import json
import re

import pytest

from sfar import paper, studies
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.paper import printed
from sfar.render import tables
from sfar.reproduce import summary
from sfar.studies.core import page as pages
from sfar.util import paths

PROFILE = get_profile("storyboard")
FOLDER = paths.results("storyboard")
STUDIES = studies.studies()
ITEMS = studies.items()


@pytest.fixture(scope="module")
def records():
    return {s.id: s.load(PROFILE) for s in STUDIES}


@pytest.fixture(scope="module")
def page():
    return summary.text(PROFILE)


def sections(text):
    """Of each experiment: the command of its heading -> its text."""
    parts = re.split(r"^## (.+) · `(.+)`$", text, flags=re.MULTILINE)[1:]
    return {command: (title, body) for title, command, body in zip(*[iter(parts)] * 3, strict=True)}


def lines(body):
    """Cells of the rows of an experiment's table; what is no table is left out."""
    table = [line for line in body.splitlines() if line.startswith("| ")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1:]]


def test_made_again_it_is_the_committed_page(page):
    assert page == (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_table_and_figure_of_the_paper_is_there_once():
    named = {"table1", *(f"table2{x}" for x in "abcde"), *(f"table{n}" for n in range(3, 15))}
    figures = {*(f"fig{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10)), "fig2f", "fig7a", "fig7b"}
    assert set(ITEMS) == named | figures | {"audit", "readings", "budget", "knobs", "rivals"}


def test_tables_stand_before_figures_as_the_paper_numbers_them(page):
    shown = [title for title, _ in sections(page).values()]
    assert len(shown) == len(STUDIES)
    assert shown[:4] == ["Table 1, Table 11", "Table 2a", "Table 2b, Table 10", "Table 2c"]
    assert shown[-4:] == [s.partition(":")[0] for s in shown[-4:]] and not any(
        s.startswith("Table") for s in shown[-3:]
    )


def test_no_table_is_wider_than_a_page(page):
    """A claim is broken between its words where it is shown; of what stands beside it nothing needs to be."""
    found = [row for _, body in sections(page).values() for row in lines(body)]
    assert len(found) > 150 and all(map(all, found))
    word = max(len(w) for row in found for w in row[0].split())
    assert word + sum(max(len(row[i]) for row in found) for i in (1, 2, 3)) <= 100


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
    found = {command: lines(body) for command, (_, body) in sections(page).items()}
    assert sum(len(r.claims) for r in records.values()) > 70
    for study in STUDIES:
        record = records[study.id]
        rows = found[record.provenance["command"]]
        assert len(rows) == len(record.claims) + sum(len(item.quantities) for item in study.covers)
        for c, row in zip(record.claims, rows[len(rows) - len(record.claims) :], strict=True):
            verdict = row[3].strip("*")
            assert row[0] == c.claim.replace("|", "\\|") and row[1] == (c.printed or "–") and verdict == c.verdict
            assert row[2] == f"{pages.value(c).split()[0]} ({tables.interval(c, pages.digits(c), True)})"
            assert (row[3] != verdict) == (c.id in standing)


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


def test_sections_are_complete(page):
    found = sections(page)
    for study, item in ITEMS.values():
        title, body = found[f"make reproduce-{study.target}"]
        assert item.title.partition(":")[0] in title and f"- {item.title}" in body and f"[page]({study.id}.md)" in body
        assert re.search(rf"{study.notebook}\.ipynb\); revision .*, \d+ (s|min) on ", body)


def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 20 and all((FOLDER / link).is_file() for link in links)
    shown = {link for link in links if link.endswith(".png")}
    own = {"tuning.png"}  # of the search's own page
    assert shown == {p.name for p in FOLDER.glob("*.png")} - own, "a figure that no row names"


def test_the_papers_numbers_stay_in_their_column(page, records):
    numbers = {r[0]: r for _, body in sections(page).values() for r in lines(body)}
    own = records["table1"].find("methods", "sfar", "top1", views="1x1")
    assert numbers["SFAR, one view, top-1 [%]"][1:3] == ["84.5", f"{own.mean:.1f} ({tables.interval(own)})"]
    assert numbers["SFAR, ViT-L/14, top-1 [%]"][1:] == ["87.6", "–", "–"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty project folder."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    return paths.results("storyboard")


def test_missing_and_stale_records_are_named_with_their_command(elsewhere):
    empty = summary.text(PROFILE)
    for study in STUDIES:
        _, body = sections(empty)[f"make reproduce-{study.target}"]
        assert f"`make reproduce-{study.target}` (missing)" in empty and "The record is **missing**." in body
        assert not any(r[2] != "–" or r[3] != "–" for r in lines(body)) and f"({study.id}.md)" not in body
    elsewhere.mkdir(parents=True)
    old = json.loads((FOLDER / "table1.json").read_text())
    (elsewhere / "table1.json").write_text(json.dumps({**old, "inputs": "0" * 16}))
    (elsewhere / "ablations.json").write_text("{")
    text = summary.text(PROFILE)
    assert "`make reproduce-table1` (stale)" in text and "`make reproduce-table2e` (stale)" in text
    assert "`make reproduce-table3` (missing)" in text and "nan" not in text
    assert "The record is **stale**." in sections(text)["make reproduce-table1"][1]


def test_another_profile_names_its_own_commands(elsewhere):
    path = summary.write(get_profile("paper", {"data.root": "/data/k400"}))
    assert path == elsewhere.parent / "paper" / "README.md"
    text = path.read_text(encoding="utf-8")
    assert (
        "`make reproduce-table1 PROFILE=paper DATA=/data/k400` (missing)" in text
        and "`make summary PROFILE=paper`" in text
    )


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
