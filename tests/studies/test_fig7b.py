"""Figure 7b, Table 2d and Table 13: the correlation with its interval, the records, and one seed trained again."""

import csv
import io
import json

import numpy as np
import pytest

from sfar.config import get_profile
from sfar.data.source import dataset
from sfar.errors import ConfigError, SfarError
from sfar.runs.executor import run_all
from sfar.runs.job import Job
from sfar.studies import fig7b, fig7b_page, table13
from sfar.studies import subtexts_page as page
from sfar.studies.core import statistics
from sfar.subtexts.groups import GROUPS
from sfar.util import paths

FOLDER = paths.results("storyboard")
RECORD = json.loads((FOLDER / "fig7b.json").read_text())
TABLE13 = json.loads((FOLDER / "table13.json").read_text())
TOLERANCE = 3.0  # points, between machines; see tests/test_end_to_end.py


# --- correlations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_correlations_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=12), rng.normal(size=12)
    assert statistics.pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    order = lambda v: np.argsort(np.argsort(v)).astype(float)  # noqa: E731
    assert statistics.spearman(x, y) == pytest.approx(np.corrcoef(order(x), order(y))[0, 1])
    line = np.polyfit(x, y, 1)
    assert statistics.pearson(x, y) ** 2 == pytest.approx(
        1 - ((y - np.polyval(line, x)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )


def test_ties_share_their_rank():
    assert statistics.ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [2.5, 1.0, 2.5, 0.0]
    assert statistics.spearman(np.array([1.0, 2.0, 2.0, 9.0]), np.array([0.0, 5.0, 5.0, 6.0])) == pytest.approx(1.0)
    assert np.isnan(statistics.pearson(np.ones(4), np.arange(4.0)))


def _hits(means, rng, seeds=3, videos=300):
    return 100.0 * (rng.random((len(means), seeds, videos)) < np.array(means)[:, None, None])


def test_interval_of_a_clear_and_of_no_correlation():
    rng = np.random.default_rng(0)
    x = np.linspace(1, 2, 15)
    clear = statistics.correlation(x, _hits(0.2 + 0.5 * (x - 1), rng))
    assert (
        clear["r"]["low"] > 0.9
        and clear["rho"]["low"] > 0.8
        and clear["r2"]["value"] == pytest.approx(clear["r"]["value"] ** 2, abs=1e-3)
    )
    none = statistics.correlation(x, _hits(np.full(15, 0.5), rng))
    assert none["r"]["low"] < 0 < none["r"]["high"]
    assert all(c[k]["low"] <= c[k]["value"] <= c[k]["high"] for c in (clear, none) for k in ("r", "rho"))


def test_interval_covers_what_groups_seeds_and_videos_leave_open():
    """Fewer groups, seeds or videos: a wider interval."""
    rng = np.random.default_rng(1)
    x = np.linspace(1, 2, 16)
    h = _hits(0.4 + 0.2 * (x - 1) + rng.normal(0, 0.03, 16), rng, 4, 400)
    width = lambda x, h: (c := statistics.correlation(x, h)["r"])["high"] - c["low"]  # noqa: E731
    assert width(x[::2], h[::2]) > width(x, h) and width(x, h[..., :60]) > width(x, h)


# --- records -------------------------------------------------------------------------------------------------------


def test_records_fit_the_code():
    profile = get_profile("storyboard")
    assert RECORD["inputs"] == fig7b.inputs(profile) and TABLE13["inputs"] == table13.inputs(profile)
    assert fig7b.load(profile) == RECORD and table13.load(profile) == TABLE13
    assert (
        [g["name"] for g in RECORD["groups"]] == list(GROUPS)
        and len(RECORD["groups"]) >= 11
        and len(RECORD["seeds"]) >= 3
    )


def test_missing_and_stale_records_name_the_target(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="fig7b.json is not there: run `make reproduce-fig7b`"):
        fig7b.fig7b()
    with pytest.raises(SfarError, match="make reproduce-fig7b"):
        table13.measure(get_profile("storyboard"))
    paths.write_json(paths.results("storyboard") / "fig7b.json", {**RECORD, "inputs": "0" * 16})
    with pytest.raises(SfarError, match="other code: run `make reproduce-fig7b`"):
        fig7b.fig7b()
    with pytest.raises(ConfigError, match="unknown source"):
        fig7b.fig7b(source="cache")


def test_too_few_or_foreign_groups():
    with pytest.raises(ConfigError, match="at least three different groups.*bank, terse"):
        fig7b.group_names(get_profile("storyboard"), ["bank", "terse"])
    with pytest.raises(ConfigError, match="bank.*kinetics400"):
        fig7b.group_names(get_profile("paper"), ["bank", "a.json", "b.json"])
    with pytest.raises(ConfigError, match="at least three"):
        fig7b.group_names(get_profile("paper"))


def test_other_groups_never_touch_the_record():
    profile = get_profile("storyboard")
    assert fig7b.path(profile).parent == FOLDER
    assert fig7b.path(profile, ["bank", "terse", "scene"]).parent.parent.name == "runs"
    assert fig7b.inputs(profile, ["bank", "terse", "scene"]) != fig7b.inputs(profile)


def test_files_hold_the_same_numbers():
    rows = list(csv.DictReader(io.StringIO((FOLDER / "fig7b.csv").read_text())))
    assert len(rows) == 2 * len(RECORD["groups"])
    for row in rows:
        group = next(g for g in RECORD["groups"] if g["name"] == row["group"])
        assert (
            float(row["mean"]) == group[row["metric"]]["mean"] and float(row["tpp_printed"]) == group["tpp"]["printed"]
        )
    assert (FOLDER / "fig7b.md").read_text() == fig7b_page.as_markdown(RECORD)
    assert (FOLDER / "table13.md").read_text() == page.table13_page(TABLE13) and (
        FOLDER / "table14.md"
    ).read_text() == page.table14_page(TABLE13)
    assert (FOLDER / "table6.md").read_text() == page.table6_page()
    for name in ("fig7b", "fig4", "fig8"):
        assert (FOLDER / f"{name}.png").stat().st_size > 20_000


def test_correlations_follow_from_the_groups():
    for c in RECORD["correlations"]:
        keep = [g for g in RECORD["groups"] if c["which"] == "all" or g["name"] not in fig7b.ONE_PHRASE]
        x = np.array([g["tpp"][c["reading"]] for g in keep])
        y = np.array([g["top1"]["mean"] for g in keep])
        x = np.log(x) if c["x"] == "log TPP" else x
        assert c["groups"] == len(keep)
        assert c["r"]["value"] == pytest.approx(statistics.pearson(x, y), abs=2e-4) and c["rho"][
            "value"
        ] == pytest.approx(statistics.spearman(x, y), abs=2e-4)


def test_verdicts_follow_the_intervals():
    assert len(RECORD["claims"]) == 7
    for c in RECORD["claims"]:
        assert c["verdict"] == statistics.verdict(c["low"], c["high"])


def test_table13_shows_the_accuracies_of_figure_7b():
    groups = {g["name"]: g for g in RECORD["groups"]}
    rows = {r["group"]: r for r in TABLE13["rows"]}
    assert set(rows) == {name for name, g in groups.items() if g["kind"] != "derived"} and "scene" in rows
    for name, row in rows.items():
        assert row == {"group": name, **{k: groups[name][k] for k in ("title", "kind", "top1")}}
    _, shown = page.table13(TABLE13)
    assert [r[:2] for r in shown] == [[r["title"], r["top1"]["mean"]] for r in TABLE13["rows"]]
    _, visual = page.table14(TABLE13)
    assert [r[:2] for r in visual] == [[rows[g]["title"], rows[g]["top1"]["mean"]] for g in ("bank", "scene")]


@pytest.mark.slow
def test_one_seed_again(drawn):
    """A group of the figure trained again from an empty cache."""
    drawn("storyboard-kinetics")
    profile = fig7b.with_group(get_profile("storyboard"), "terse")
    (run,) = run_all([Job(profile, dataset(profile), "sfar", profile.seeds[0])])
    group = next(g for g in RECORD["groups"] if g["name"] == "terse")
    assert abs(run["views"]["1x1"]["top1"] - group["top1"]["per_seed"][0]) <= TOLERANCE
    assert abs(run["views"]["1x1"]["top5"] - group["top5"]["per_seed"][0]) <= TOLERANCE
