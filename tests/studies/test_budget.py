"""Accuracy against the budget of training, on made-up runs: its runs, where the order changes, its figure."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from test_readings_map import PROFILE, measured

from sfar.model import registry
from sfar.studies import budget
from sfar.studies.budget import EPOCHS, SHOTS, STUDY, TESTS
from sfar.studies.core import page, study

SKILL = {"vanilla": 3.0, "clip": 3.0, "temporal": 4.0, "single": 5.0, "sfar": 6.0}


def skill(v, p):
    """SFAR as printed starts at chance, and catches up with zero-shot CLIP with more videos and more epochs."""
    if v.method == "sfar-printed":
        spent = (p.data.shots or 24) * p.train.epochs / 3
        return -1.0 + 0.5 * min(spent, 24)
    return SKILL[v.method] + (0.02 * (p.data.shots or 24) if v.method not in ("vanilla", "clip") else 0)


@pytest.fixture(scope="module")
def record():
    return measured(budget, skill)


def test_what_is_run():
    plan = budget.variants(PROFILE)
    trained = [m.name for m in registry.METHODS.values() if m.trained]
    expected = {("videos", m, n) for m in trained for n in (*SHOTS, 24)} | {
        ("epochs", m, n) for m in trained for n in EPOCHS
    }
    assert set(plan) == expected | {("videos", "vanilla", 0)}
    for (sweep, method, n), v in plan.items():
        p = v.profile(PROFILE, 1)
        assert v.zero_shot and (method == "vanilla" or not p.train.train_visual)
        if sweep == "videos" and method != "vanilla":
            assert p.data.shots == (n if n < 24 else 0) and p.train.few_shot_epoch == "repeat"
            assert p.data.shot_seed == (1 if n < 24 else 0), "the list is drawn with the seed"
        elif sweep == "epochs":
            assert p.train.epochs == n and p.data.shots == 0
    assert budget.budgets(study.changed(PROFILE, {"data.train_per_class": 6}))["videos"] == (2, 4, 6)


def test_rows_and_contrasts(record):
    assert record.seeds == list(PROFILE.frozen_seeds[: budget.MOST])
    assert len(record.rows) == 3 * (5 * 9 + 1)
    pairs = len(study.compared())
    assert len(record.contrasts) == 3 * 9 * pairs + 1
    values = {(r.part, r.row, r.setting["test"], r.setting["budget"]): r.mean for r in record.rows}
    for c in record.contrasts[:-1]:
        test, n = c.setting["test"], c.setting["budget"]
        other = ("videos", c.against, test, 0) if c.against == "vanilla" else (c.part, c.against, test, n)
        assert c.mean == pytest.approx(values[c.part, c.row, test, n] - values[other], abs=1e-3)


def test_where_the_order_changes(record):
    found = budget.changes(record, "videos")
    assert any(f.startswith("Supervised: Vanilla CLIP (zero-shot) leads SFAR, as printed with") for f in found)
    assert not any("leads SFAR with" in f for f in found), "the chosen reading is ahead at every budget"
    text = budget.order_text(record)
    assert all(f in text for f in found)
    assert "ahead from" in budget.catching_up(record) and "Supervised, videos of each class" in budget.catching_up(
        record
    )


def test_from_which_budget_on(record):
    c = record.contrasts[0]

    def each(*verdicts):
        return [(n, replace(c, verdict=v)) for n, v in zip((2, 4, 8), verdicts, strict=True)]

    assert budget._from(each("does not hold", "holds", "holds"), ("holds",)) == 4
    assert budget._from(each("holds", "does not hold", "holds"), ("holds",)) == 8
    assert budget._from(each("holds", "holds", "does not hold"), ("holds",)) is None


def test_the_claim(record):
    (claim,) = record.claims
    assert claim.verdict == "holds" and not claim.of_paper and claim.item == "budget"


def test_blocks_and_figure(record):
    text = page.markdown(STUDY, record)
    assert "nan" not in text
    for sweep in budget.SWEEPS:
        assert str(page.show(STUDY, record, sweep)).count("\n") == len(TESTS) * len(registry.METHODS) + 1
    assert "64.0" in str(page.show(STUDY, record, "table3-printed"))
    figure = budget.figure(record)
    figure.canvas.draw()
    assert len(figure.axes) == 9
    plt.close(figure)
