"""Claims are data: each has an id and an item, and is decided by intervals, never by its words."""

import ast
import re
from pathlib import Path

import pytest

from sfar import studies
from sfar.model import registry
from sfar.studies.core import statistics, study
from sfar.studies.core.claims import Claim, above, decide_all, highest, named
from sfar.studies.core.record import Record, Row
from sfar.studies.core.statistics import Found

PACKAGE = Path(studies.__file__).resolve().parents[1]
CLAIMS = [(s, c) for s in studies.studies() for c in s.claims]


def record(*contrasts):
    rows = [Row("rows", name, f"Method {name}", "top1", 50, 40, 60) for name in "abc"]
    return Record("made up", "storyboard", "0", [0], {}, rows, list(contrasts), [], {}, {})


def contrast(row, against, mean, low, high, **more):
    return study.contrast(row, against, Found(mean, low, high, 0.01), "rows", **more)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 2, "holds"),
        (-2, -0.1, "does not hold"),
        (-1, 1, "undecided"),
        (0.0, 2, "undecided"),
        (-2, 0.0, "undecided"),
    ],
)
def test_one_contrast_decides(low, high, verdict):
    r = record(contrast("a", "b", (low + high) / 2, low, high))
    (c,) = decide_all([Claim("x", "table1", "a beats b", "Table 1", above("a", "b"), "+1.0")], r)
    assert (c.verdict, c.against, c.low, c.high, c.printed, c.of_paper) == (
        verdict,
        "Method b",
        low,
        high,
        "+1.0",
        True,
    )


def test_the_other_way_round():
    r = record(contrast("a", "b", 1, 0.5, 2))
    (c,) = decide_all([Claim("x", "table1", "b beats a", "", above("a", "b", sign=-1, title="N = 5"), own=True)], r)
    assert (c.verdict, c.mean, c.low, c.high, c.against, c.of_paper) == ("does not hold", -1, -2, -0.5, "N = 5", False)


@pytest.mark.parametrize(
    ("intervals", "verdict", "shown"),
    [
        ({"b": (1, 0.5, 2), "c": (3, 2, 4)}, "holds", "b"),
        ({"b": (1, -0.5, 2), "c": (3, 2, 4)}, "undecided", "b"),
        ({"b": (1, -0.5, 2), "c": (-3, -4, -2)}, "does not hold", "c"),
        ({"b": (-1, -2, -0.5), "c": (-3, -4, -2)}, "does not hold", "c"),
    ],
)
def test_the_highest_needs_every_interval(intervals, verdict, shown):
    r = record(*(contrast("a", name, *numbers) for name, numbers in intervals.items()))
    (c,) = decide_all([Claim("x", "table1", "a is the highest", "", highest(lambda r: r.contrasts_of(row="a")))], r)
    assert (c.verdict, c.against, c.mean) == (verdict, f"Method {shown}", intervals[shown][0])


@pytest.mark.parametrize(
    ("numbers", "verdict", "p"),
    [
        ({"b": (1.0, 0.5, 2.0, 0.01), "c": (3.0, 2.0, 4.0, 0.001)}, "holds", 0.01),
        ({"b": (1.0, 0.5, 2.0, 0.01), "c": (-3.0, -4.0, -2.0, 0.002)}, "does not hold", 0.004),
        ({"b": (0.1, -0.4, 0.6, 0.7), "c": (3.0, 2.0, 4.0, 0.001)}, "equal", 1.0),
        ({"b": (0.1, -0.4, 0.6, 0.7), "c": (1.0, -3.0, 4.0, 0.3)}, "undecided", 0.6),
    ],
)
def test_the_highest_is_as_sure_as_what_it_needs(numbers, verdict, p):
    """All must be above for it to hold: the largest p; one of several below is enough: the smallest, so often."""
    found = []
    for name, four in numbers.items():
        error = 0.25 if name == "b" else 2.0
        found.append(study.contrast("a", name, Found(*four, error=error, freedom=40, fixed=0.0, seeds=5), "rows"))
    (c,) = decide_all([Claim("x", "table1", "", "", highest(lambda r: r.contrasts_of(row="a")))], record(*found))
    assert (c.verdict, c.p) == (verdict, p)
    assert (c.in_sight is not None) == (verdict == "undecided")


def test_so_many_seeds_would_decide_from_those_that_the_contrast_has():
    """Rows of one record have their own seeds: on a frozen tower more than fine-tuned."""
    found = {}
    for n in (3, 10):
        c = study.contrast("a", "b", Found(1.0, -0.5, 2.5, 0.2, error=0.7, freedom=12.0, fixed=0.01, seeds=n), "rows")
        (v,) = decide_all([Claim("x", "table1", "", "", above("a", "b"))], record(c))
        assert v.verdict == "undecided" and v.in_sight == round(statistics.in_sight(0.7, 12.0), 2)
        found[n] = v.seeds
        assert v.seeds == statistics.seeds_to_decide(1.0, 0.7, 0.01, n) and v.seeds > n
    assert found[10] > found[3], "the same error of more seeds takes more to halve"
    c = study.contrast("a", "b", Found(1.0, -0.5, 2.5, 0.2), "rows")
    (v,) = decide_all([Claim("x", "table1", "", "", above("a", "b"))], record(c))
    assert (v.verdict, v.in_sight, v.seeds) == ("undecided", None, None)


def test_what_the_record_does_not_have_is_not_decided():
    claims = [
        Claim("x", "table1", "", "", above("a", "b")),
        Claim("y", "table1", "", "", highest(lambda r: r.contrasts_of(row="a"))),
    ]
    assert decide_all(claims, record()) == []


# --- the declared claims ---------------------------------------------------------------------------------------------


def test_ids_are_unique():
    ids = [c.id for _, c in CLAIMS]
    assert len(ids) == len(set(ids)) == 162 and all(re.fullmatch(r"[a-z0-9-]+", i) for i in ids)


def test_a_claim_of_both_readings_has_two_ids_and_two_texts():
    chosen, printed = registry.own()
    assert (named("x", chosen), named("x", printed)) == ("x", "x-printed")
    by = {c.id: (of, c) for of, c in CLAIMS}
    # "printed" is also what a reading of TPP and of the ambiguity score is called: those have no other beside them.
    pairs = [(i, i.removesuffix("-printed")) for i in by if i.endswith("-printed") and i.removesuffix("-printed") in by]
    for other, own in pairs:
        (of, c), (of_own, mine) = by[other], by[own]
        assert of is of_own and (c.item, c.source, c.own) == (mine.item, mine.source, mine.own)
        if isinstance(c.text, str):  # others name what was found
            assert c.text != mine.text and "as printed" in c.text and "as printed" not in mine.text
        assert callable(c.printed) or c.printed == mine.printed
    compared = {"table1", "table2b", "table2e", "fig7a"}
    alone = {i for i, (_, c) in by.items() if c.item in compared} - {i for pair in pairs for i in pair}
    assert pairs and alone == {"table2e-temporal-clip"}, "no reading of SFAR is in it"


@pytest.mark.parametrize(("of", "claim"), CLAIMS, ids=lambda x: getattr(x, "id", ""))
def test_a_claim_stands_under_an_item_and_keeps_its_number_apart(of, claim):
    assert claim.item in studies.items() and claim.source
    if isinstance(claim.text, str):
        assert claim.text and "paper:" not in claim.text
    printed = claim.printed if isinstance(claim.printed, str) else claim.printed()
    assert not printed or re.search(r"\d", printed)


def test_nothing_reads_a_number_out_of_a_sentence():
    """Regular expressions: of the marks in README.md and of the names of equations, which are no sentences."""
    users = {}
    for folder in ("studies", "reproduce", "render"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            tree = ast.parse(path.read_bytes())
            imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
            if "re" in imported:
                users[path.relative_to(PACKAGE).as_posix()] = imported
    assert set(users) == {"reproduce/numbers.py", "reproduce/concordance.py"}
