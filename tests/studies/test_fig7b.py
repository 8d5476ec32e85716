"""Figure 7b and Table 2d: the correlation with its interval, the record, and one seed trained again."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar.config import changed, get_profile
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.runs.executor import run_all
from sfar.studies import fig7b
from sfar.studies.core import page, statistics, study
from sfar.studies.fig7b import ALL, ONE_PHRASE, STUDY
from sfar.subtexts.groups import GROUPS
from sfar.util import paths

TOLERANCE = 3.0  # points, between machines; see tests/test_end_to_end.py


@pytest.fixture(scope="module")
def record():
    return STUDY.get()


# --- correlations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_correlations_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=12), rng.normal(size=12)
    assert statistics.pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])

    def order(v):
        return np.argsort(np.argsort(v)).astype(float)

    assert statistics.spearman(x, y) == pytest.approx(np.corrcoef(order(x), order(y))[0, 1])
    line = np.polyfit(x, y, 1)
    assert statistics.pearson(x, y) ** 2 == pytest.approx(
        1 - ((y - np.polyval(line, x)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )


def test_ties_share_their_rank():
    assert statistics.ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [2.5, 1.0, 2.5, 0.0]
    assert statistics.spearman(np.array([1.0, 2.0, 2.0, 9.0]), np.array([0.0, 5.0, 5.0, 6.0])) == pytest.approx(1.0)
    assert np.isnan(statistics.pearson(np.ones(4), np.arange(4.0)))


def test_interval_of_a_clear_and_of_no_correlation():
    rng = np.random.default_rng(0)
    x = np.linspace(1, 2, 15)
    clear = statistics.correlation(x, x + 0.02 * rng.normal(size=15))
    assert clear["r"][1] > 0.9 and clear["rho"][1] > 0.8
    assert clear["r2"][0] == pytest.approx(clear["r"][0] ** 2)
    none = statistics.correlation(x, rng.normal(size=15))
    assert none["r"][1] < 0 < none["r"][2]
    assert all(c[k][1] <= c[k][0] <= c[k][2] for c in (clear, none) for k in ("r", "r2", "rho"))


def test_fewer_groups_leave_more_open():
    rng = np.random.default_rng(1)
    x = np.linspace(1, 2, 16)
    y = x + rng.normal(0, 0.3, 16)
    few, many = (statistics.correlation_interval(statistics.correlation(x, y)["r"][0], n) for n in (8, 16))
    assert few[2] - few[1] > many[2] - many[1]


# --- what is planned -----------------------------------------------------------------------------------------------


def test_groups_differ_in_their_texts_alone():
    """The tower is frozen, and every group has the same seeds: those of frozen towers."""
    profile = get_profile("storyboard")
    planned = fig7b.planned(profile)
    assert [v.name for v, _ in planned] == [*GROUPS, *(f"printed/{g}" for g in GROUPS)]
    assert [v.method for v, _ in planned] == ["sfar"] * len(GROUPS) + ["sfar-printed"] * len(GROUPS)
    assert all(seeds == profile.frozen_seeds[: fig7b.MOST] and len(seeds) > len(profile.seeds) for _, seeds in planned)
    found = [v.profile(profile, 1) for v, _ in planned]
    assert [p.model.subtexts for p in found] == [*GROUPS, *GROUPS] and not any(p.train.train_visual for p in found)
    for own in (found[: len(GROUPS)], found[len(GROUPS) :]):
        assert len({changed(p, {"model.subtexts": "bank"}) for p in own}) == 1
    (asked,) = {seeds for _, seeds in fig7b.planned(get_profile("storyboard", {"seeds": [7]}))}
    assert asked == (7,), "those that are asked for are those of all"


# --- the record ----------------------------------------------------------------------------------------------------


def test_the_record_has_every_group(record):
    assert record.names("groups") == list(GROUPS) and len(GROUPS) >= 11
    assert record.seeds == record.data["seeds"] == list(get_profile("storyboard").frozen_seeds[: fig7b.MOST])
    assert all(r.seeds == len(record.seeds) >= 5 and "visual" not in r.trained for r in record.select("groups"))


def test_too_few_or_foreign_groups():
    with pytest.raises(ConfigError, match=r"at least three different groups.*bank, terse"):
        fig7b.group_names(get_profile("storyboard"), ["bank", "terse"])
    with pytest.raises(ConfigError, match=r"bank.*kinetics400"):
        fig7b.group_names(get_profile("paper"), ["bank", "a.json", "b.json"])
    with pytest.raises(ConfigError, match="at least three"):
        fig7b.group_names(get_profile("paper"))


def test_other_groups_never_touch_the_record():
    profile, other = get_profile("storyboard"), ["bank", "terse", "scene"]
    assert STUDY.path(profile).parent == paths.results("storyboard")
    assert STUDY.path(profile, other).parent.parent.name == "runs"
    assert STUDY.inputs(profile, other) != STUDY.inputs(profile)


def test_correlations_follow_from_the_groups(record):
    found = record.contrasts_of("correlations", metric="r")
    assert len(found) == 2 * 2 * 2
    for c in found:
        rows = [g for g in fig7b.groups(record) if c.setting["which"] == ALL or g.row not in ONE_PHRASE]
        x = np.array([g.more["tpp"][c.setting["reading"]] for g in rows])
        x, y = (np.log(x) if c.row == "log TPP" else x), np.array([g.mean for g in rows])
        rho = fig7b.find(record, c.setting["reading"], c.row, "rho", c.setting["which"])
        assert c.more["groups"] == len(rows) and c.mean == pytest.approx(statistics.pearson(x, y), abs=2e-4)
        assert rho.mean == pytest.approx(statistics.spearman(x, y), abs=2e-4)


def test_the_group_of_highest_tpp_is_held_against_the_best_of_the_others(record):
    rows = {r.row: r for r in record.select("groups", metric="top1")}
    for c in record.contrasts_of("highest TPP"):
        reading = c.setting["reading"]
        chosen = max(rows.values(), key=lambda r: r.more["tpp"][reading])
        best = max((r for r in rows.values() if r is not chosen), key=lambda r: r.mean)
        assert (c.row, c.against) == (chosen.row, best.row)
        claim = record.claim(f"table2d-highest-{reading}")
        assert f"({chosen.row})" in claim.claim and (claim.mean, claim.verdict) == (c.mean, c.verdict)


def test_verdicts_follow_the_intervals(record):
    assert len(record.claims) == len(STUDY.claims) == 14
    for c in record.claims:
        plain = statistics.verdict(c.low, c.high)
        assert c.verdict == plain or (c.verdict, plain) == ("equal", "undecided"), c.id


@pytest.mark.long
@pytest.mark.usefixtures("runs_here")
def test_one_seed_again(drawn, record):
    """A group of the figure trained again from an empty cache."""
    drawn("storyboard-kinetics")
    (run,) = run_all([study.job(get_profile("storyboard"), fig7b.variant("terse"), record.seeds[0])])
    for metric in ("top1", "top5"):
        assert abs(run["views"]["1x1"][metric] - record.find("groups", "terse", metric).per_seed[0]) <= TOLERANCE


def test_the_figure_has_a_place_for_each_group_in_order_of_tpp(record):
    drawn = fig7b.figure(record)
    panels = [ax for ax in drawn.axes if ax.get_xlabel()]
    assert len(panels) == 4
    for ax, (m, reading) in zip(panels, [(m, r) for m in registry.own() for r in fig7b.READINGS], strict=True):
        rows = fig7b.groups(record, m)
        order = sorted(range(len(rows)), key=lambda k: rows[k].more["tpp"][reading])
        named = {round(t.xy[0]): t for t in ax.texts if hasattr(t, "xy")}
        assert [named[place].get_text() for place in range(len(rows))] == [str(k + 1) for k in order]
        assert [named[place].xy[1] for place in range(len(rows))] == [rows[k].high for k in order]
        tpp = [float(t.get_text().replace(",", "")) for t in ax.get_xticklabels()]
        assert tpp == pytest.approx([rows[k].more["tpp"][reading] for k in order], abs=0.5, rel=5e-3)
    plt.close(drawn)


def test_both_readings_are_measured_and_shown(monkeypatch):
    """Made-up runs: the rows, correlations and claims of each reading follow from its own runs alone."""
    names, rng = ["bank", "terse", "scene", "redundant"], np.random.default_rng(0)
    ranks = {}

    def run(profile, variants, workers, desc, most):
        ranks.update({v.name: rng.integers(0, 3, (2, 40)) for v in variants})
        return {
            name: [
                {"views": {"1x1": {"ranks": r.tolist()}}, "trained": ["head"], "labels": [0] * 40, "seconds": 1.0}
                for r in each
            ]
            for name, each in ranks.items()
        }

    monkeypatch.setattr(study, "run", run)
    monkeypatch.setattr(fig7b, "dataset", lambda profile: SimpleNamespace(classes=("long jump", "high jump")))
    found = STUDY.measure(get_profile("storyboard"), 1, names)
    for m, lead, tail in zip(registry.own(), ("", "printed/"), ("", "-printed"), strict=True):
        rows = {r.row: r for r in fig7b.groups(found, m)}
        assert rows.keys() == set(names)
        for g, r in rows.items():
            assert r.mean == pytest.approx(100 * (ranks[lead + g] < 1).mean(), abs=1e-3)
        x = np.array([rows[g].more["tpp"]["printed"] for g in names])
        c = fig7b.find(found, "printed", "TPP", "r", m=m)
        assert c.mean == pytest.approx(statistics.pearson(x, np.array([rows[g].mean for g in names])), abs=2e-4)
        assert found.claim(f"fig7b-r-printed{tail}").mean == c.mean
    assert [c.id for c in found.claims] == [c.id for c in fig7b.CLAIMS] and len(found.claims) == 14
    assert len({(c.item, c.claim) for c in found.claims}) == 14
    picture = fig7b.figure(found)
    assert len(picture.axes) == 6 and "as printed" in picture.axes[3].get_ylabel()
    plt.close(picture)
    text = page.markdown(STUDY, found)
    assert "SFAR, as printed: groups" in text and "nan" not in text
