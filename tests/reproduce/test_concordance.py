"""docs/paper.md: what it names is there, nothing of the paper is left out, and it is that of the records."""

import ast
import importlib
import json
import re
from functools import cache

import makefile
import pytest

from sfar import paper, studies
from sfar.errors import SfarError
from sfar.reproduce import concordance, numbers
from sfar.reproduce.concordance import EQUATIONS, KEYS
from sfar.util import paths

EACH = pytest.mark.parametrize("equation", EQUATIONS, ids=lambda e: f"eq{e.numbers[0]}")


@pytest.fixture(scope="module")
def page():
    return concordance.text()


@cache
def defined(file):
    """Definitions at the top of a file of tests."""
    tree = ast.parse((paths.PROJECT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def found(name):
    """The object of "module:name"."""
    module, _, what = name.partition(":")
    out = importlib.import_module(module)
    for part in what.split("."):
        out = getattr(out, part)
    return out


def rows(page, kind):
    """Rows of all tables whose first column has this title."""
    out, columns = [], []
    for line in page.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif columns[0] == kind and set(line) - set("|-"):
            out.append(dict(zip(columns, cells, strict=True)))
    return out


# --- it is current and whole ---------------------------------------------------------------------------------------


def test_it_is_up_to_date(page):
    """`make summary` writes it."""
    assert (paths.PROJECT / concordance.PAGE).read_text(encoding="utf-8") == page


def test_every_equation_stands_in_order():
    assert [n for e in EQUATIONS for n in e.numbers] == list(range(1, 19))
    keys = [k for k in KEYS if k.startswith("eq")]
    assert keys == list(concordance.BY_KEY) == sorted(keys, key=lambda k: int(k[2:]))


def test_every_table_and_figure_stands_once(page):
    assert sorted(k for k in KEYS if not k.startswith("eq")) == sorted(studies.items())
    for _, item in studies.items().values():
        assert page.count(f"\n### {item.title}\n") == 1
    printed = {k.replace("fig", "figure") for k in KEYS} & set(paper.TABLES)
    assert printed == set(paper.TABLES) - {"statements"}
    assert all(f"../sfar/paper/{name}.csv" in page for name in printed)


def test_every_claim_stands_once_with_the_verdict_of_its_record(page):
    for study in studies.studies():
        verdicts = {v.id: v.verdict for v in numbers.recorded(study.id).claims} if study.claims else {}
        for claim in study.claims:
            (row,) = (r for r in rows(page, "Claim") if r["Id"] == f"`{claim.id}`")
            assert row["Verdict"] == verdicts[claim.id]


def test_every_number_in_the_text_stands_once(page):
    ids = [r["Id"] for r in rows(page, "Number")]
    assert sorted(ids) == sorted(f"`{r['id']}`" for r in paper.load("statements"))


def test_every_statement_of_the_audit_stands_somewhere(page):
    audited = numbers.recorded("audit").extra["statements"]
    assert len(audited) > 100
    assert [s["id"] for s in audited if f"`{s['id']}` {s['verdict']}" not in page] == []


def test_every_open_reading_stands_where_its_place_has_an_entry(page):
    entries = {part.split("\n")[0]: part for part in page.split("\n### ")[1:]}
    items = {key: item.title for key, (_, item) in studies.items().items()}
    titles = items | {key: e.heading for key, e in concordance.BY_KEY.items()}
    held = [(row, key) for row in concordance.OPEN for key in concordance.places(row.where) if key in KEYS]
    assert len(held) > 30 and {row.section for row, _ in held} > {"model", "loss", "protocols"}
    for row, key in held:
        assert all(f"`{f}`" in entries[titles[key]].split("Read as: ")[1].split("\n")[0] for f in row.fields), key


# --- what it names is there ----------------------------------------------------------------------------------------


@EACH
def test_functions_are_there_and_name_their_equation(equation):
    """From the function the equation is found, as from the equation the function."""
    for name in (*equation.computed, *(x for x in equation.literal if not x.startswith("tests/"))):
        said = found(name).__doc__ or ""
        named = {n for key in concordance.places(said.replace(" and ", ", ")) for n in numbers_of(key)}
        assert named & set(equation.numbers), f"{name}: its docstring names no Eq. {equation.numbers}"


def numbers_of(key):
    return concordance.BY_KEY[key].numbers if key in concordance.BY_KEY else ()


@EACH
def test_tests_are_there(equation):
    in_tests = [x for x in (*equation.held, *equation.literal) if x.startswith("tests/")]
    assert in_tests and equation.held
    for name in in_tests:
        file, _, what = name.partition(":")
        assert what in defined(file), name
    assert all(x.split(":")[1].startswith("test_") for x in equation.held)


@EACH
def test_the_notebook_shows_it(equation):
    name = "00_method" if isinstance(equation.step, int) else equation.step
    cells = json.loads((paths.PROJECT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    if isinstance(equation.step, int):
        headings = ["".join(c["source"]).splitlines()[0] for c in cells if c["cell_type"] == "markdown"]
        (heading,) = (h for h in headings if h.startswith(f"## {equation.step} ·"))
        named = {n for key in concordance.places(heading) for n in numbers_of(key)}
        assert set(equation.numbers) <= named, heading
    else:
        texts = " ".join("".join(c["source"]) for c in cells)
        assert "A.2" in texts and all(s.notebook == name for s in studies.studies() if s.id == "ambiguity")


def test_commands_are_targets(page):
    targets = set(re.findall(r"`make (reproduce-\w+)`", page))
    assert {f"reproduce-{k}" for k in KEYS if not k.startswith("eq")} <= targets <= set(makefile.targets())


# --- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Eq. 5", ["eq4"]),
        ("Eq. 12-14", ["eq12", "eq13", "eq14"]),
        ("Eq. 16, Eq. 18", ["eq16", "eq18"]),
        ("Eq. 7, 9 against Fig. 6", ["eq7", "eq9", "fig6"]),
        ("section 3.2, 3.3, Eq. 7, 9", ["3.2", "3.3", "eq7", "eq9"]),
        ("Table 1, rows 17, 18", ["table1"]),
        ("Table 1 (126.1 M)", ["table1"]),
        ("Tables 2a to 2e", ["table2a", "table2b", "table2c", "table2d", "table2e"]),
        ("section 4.1, Tables 1-3", ["4.1", "table1", "table2a", "table3"]),
        ("section 4.3, Fig. 7b", ["4.3", "fig7b"]),
        ("Figure 6", ["fig6"]),
        ("section B; Table 1, caption", ["B", "table1"]),
        ("section 4.2, A.2, Table 9", ["4.2", "A.2", "table9"]),
        ("section 5; checklist 7", ["5", "checklist"]),
        ("Table 5 against [48]", ["table5"]),
    ],
)
def test_places(text, keys):
    assert concordance.places(text) == keys


def test_a_statement_without_a_place_is_named(monkeypatch):
    record = numbers.recorded("audit")
    monkeypatch.setattr(record, "extra", {"statements": [{**record.extra["statements"][0], "where": "nowhere"}]})
    monkeypatch.setattr(numbers, "recorded", lambda study: record)
    with pytest.raises(SfarError, match="no place for the audit's 'attention'"):
        concordance.known()


def test_it_is_written_only_when_it_changed(page, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / concordance.PAGE).write_text("old\n", encoding="utf-8")
    monkeypatch.setattr(concordance, "text", lambda: page)
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert concordance.write() == [tmp_path / concordance.PAGE] and concordance.write() == []
