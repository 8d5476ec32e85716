"""The multi-label study on made-up runs: mAP by every variant with intervals, the page drawn from it, and the committed record."""

import csv
import io
import json
import zlib
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.model.registry import METHODS
from sfar.runs.run import MAP_BATCH
from sfar.studies import multi_label, multi_label_page
from sfar.studies.core import statistics, study
from sfar.studies.core.statistics import bootstrap_metric
from sfar.studies.multi_label import HEADLINE, STUDY, TUNED
from sfar.training.metrics import VARIANTS, mean_ap
from sfar.util import paths

SEEDS = (0, 1)
VIDEOS, CLASSES = 40, 6
SKILL = {"vanilla": 0.3, "clip": 0.5, "temporal": 0.6, "single": 0.8, "sfar": 3.0}
POSITIVE = np.random.default_rng(5).random((VIDEOS, CLASSES)) < 0.25
POSITIVE[3] = False  # a video without any label
NAMES = [f"frozen/{m}" for m in METHODS if m != "clip"] + [f"fine-tuned/{m}" for m in TUNED]


def made_up(profile, variants, seeds, workers=None, desc=""):
    out = {}
    for v in variants:
        out[v.name] = []
        for s in seeds if v.method != "vanilla" else seeds[:1]:
            scores = (
                np.random.default_rng([s, zlib.crc32(v.name.encode())]).normal(size=POSITIVE.shape)
                + SKILL[v.method] * POSITIVE
            )
            maps = {n: mean_ap(scores, POSITIVE, n, batch=MAP_BATCH if n == "bike" else 0) for n in VARIANTS}
            trained = (
                []
                if v.method == "vanilla"
                else ["head", "logit_scale"] + ["visual"] * v.profile(profile, s).train.train_visual
            )
            out[v.name].append(
                {
                    "method": v.method,
                    "seed": s,
                    "trained": trained,
                    "training": {"clips": 123, "repeats": 1, "bad": {}} if trained else None,
                    "labels": [0] * VIDEOS,
                    "views": {
                        "1x1": {
                            "map": maps,
                            "scores": scores.tolist(),
                            "sets": [np.flatnonzero(r).tolist() for r in POSITIVE],
                        }
                    },
                    "classes": ["a"] * CLASSES,
                    "bad": {},
                    "missing": [],
                    "seconds": 1.0,
                }
            )
    return out


@pytest.fixture(scope="module")
def record():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "run", made_up)
        patch.setattr(statistics, "bootstrap_metric", partial(bootstrap_metric, draws=80))
        return STUDY.measure(get_profile("storyboard", {"seeds": list(SEEDS)}))


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_are_the_final_map_of_the_scores(record):
    assert [r["name"] for r in record["rows"]] == NAMES and record["frames"] == 16
    runs = made_up(get_profile("storyboard"), multi_label.variants(get_profile("storyboard")), SEEDS)
    for r in record["rows"]:
        each = [mean_ap(np.array(x["views"]["1x1"]["scores"]), POSITIVE, "present") for x in runs[r["name"]]]
        assert (
            r["map"]["per_seed"] == pytest.approx(each, abs=1e-3)
            and r["map"]["mean"] == pytest.approx(np.mean(each), abs=1e-3)
            and len(each) == r["seeds"]
        )
        assert r["map"]["low"] < r["map"]["mean"] < r["map"]["high"]
        assert set(r["variants"]) == set(VARIANTS) and r["variants"]["official"] == r["variants"]["present"], (
            "every class has a positive here"
        )
        assert ("visual" in r["trained"]) == r["name"].startswith("fine-tuned")
    assert (
        record["data"]["without_label"] == (~POSITIVE.any(1)).sum() >= 1
        and record["data"]["without_positive"] == 0
        and record["data"]["training_clips"] == 123
    )
    assert record["data"]["labels_per_video"] == round(POSITIVE.sum(1).mean(), 2)


def test_differences_and_claims_follow_the_intervals(record):
    mean = {r["name"]: r["map"]["mean"] for r in record["rows"]}
    assert {(d["name"], d["against"]) for d in record["differences"]} == {
        (f"{t}/sfar", n) for t in ("frozen", "fine-tuned") for n in NAMES if n.startswith(t) and not n.endswith("/sfar")
    }
    for d in record["differences"]:
        assert d["mean"] == pytest.approx(mean[d["name"]] - mean[d["against"]], abs=1e-3)
        assert d["verdict"] == ("holds" if d["low"] > 0 else "does not hold" if d["high"] < 0 else "undecided")
    assert [c["verdict"] for c in record["claims"]] == ["holds", "holds"] and all(
        c["low"] > 0 for c in record["claims"]
    )


def test_bootstrap_metric_of_a_mean_is_the_bootstrap_of_the_mean():
    """For a number that is a mean over videos both ways must agree; the difference is paired."""
    rng = np.random.default_rng(0)
    a = rng.normal(50, 10, (3, 80)) + rng.normal(size=(3, 1))
    b = a + 2 + rng.normal(0, 1, (3, 80))
    out = bootstrap_metric({"a": a, "b": b}, lambda s, keep: s[:, keep].mean(1), 80, [("b", "a")], draws=1500)
    for got, values in ((out["a"], a), (out["b"], b), (out["b", "a"], b - a)):
        mean, low, high = statistics.bootstrap_mean(values)
        assert got[0] == pytest.approx(mean, abs=1e-3) and got[1:] == pytest.approx((low, high), abs=0.1 * (high - low))
    assert out["b", "a"][2] - out["b", "a"][1] < 0.3 * (out["a"][2] - out["a"][1]), "paired"


def test_bootstrap_metric_against_a_plain_one():
    """mAP: seeds and videos resampled one by one, the draws moved onto the value. A side with one seed is held against all of the other's."""
    rng = np.random.default_rng(1)
    scores = {
        "many": rng.normal(size=(3, VIDEOS, CLASSES)) + POSITIVE,
        "one": rng.normal(size=(1, VIDEOS, CLASSES)) + 0.5 * POSITIVE,
    }
    measure = lambda s, keep: np.array([mean_ap(x[keep], POSITIVE[keep], "present") for x in s])  # noqa: E731
    out = bootstrap_metric(scores, measure, VIDEOS, [("many", "one")], draws=400)
    value = {n: np.mean([mean_ap(x, POSITIVE, "present") for x in s]) for n, s in scores.items()}
    plain = {"many": [], "one": []}
    for _ in range(400):
        keep = rng.integers(VIDEOS, size=VIDEOS)
        plain["many"].append(
            np.mean([mean_ap(scores["many"][k][keep], POSITIVE[keep], "present") for k in rng.integers(3, size=3)])
        )
        plain["one"].append(mean_ap(scores["one"][0][keep], POSITIVE[keep], "present"))
    plain["many", "one"] = np.array(plain["many"]) - np.array(plain["one"])
    value["many", "one"] = value["many"] - value["one"]
    for name, drawn in plain.items():
        low, high = np.percentile(drawn, [2.5, 97.5]) - np.mean(drawn) + value[name]
        assert out[name][0] == pytest.approx(value[name], abs=1e-3) and out[name][1:] == pytest.approx(
            (low, high), abs=0.15 * (high - low)
        )
    assert np.mean(plain["many"]) > value["many"] + 0.5, (
        "a doubled video raises an average precision: why the draws are moved"
    )


# --- the page --------------------------------------------------------------------------------------------------------


def test_files_hold_the_same_numbers(record, tmp_path):
    files = multi_label_page.write(record, tmp_path)
    assert (
        {f.name for f in files}
        == {p.name for p in tmp_path.iterdir()}
        == {"multi_label.csv", "multi_label.md", "multi_label.tex", "multi_label.json", "table2a.png"}
    )
    lines = list(csv.DictReader(io.StringIO((tmp_path / "multi_label.csv").read_text())))
    page, tex = (tmp_path / "multi_label.md").read_text(), (tmp_path / "multi_label.tex").read_text()
    for r, line in zip(record["rows"], multi_label_page.rows_markdown(record).splitlines()[2:], strict=True):
        (row,) = [x for x in lines if (x["part"], x["name"]) == ("row", r["name"])]
        assert [float(row[k]) for k in ("mean", "std", "low", "high")] == [
            r["map"][k] for k in ("mean", "std", "low", "high")
        ]
        assert {x["variant"]: float(x["mean"]) for x in lines if (x["part"], x["name"]) == ("variant", r["name"])} == r[
            "variants"
        ]
        assert (
            f"| {r['map']['mean']:.1f} " in line
            and f"{r['map']['low']:.1f} to {r['map']['high']:.1f}" in line
            and line in page
        )
        assert (
            f"{r['map']['mean']:.1f} & {r['map']['std']:.1f} & {r['map']['low']:.1f} & {r['map']['high']:.1f} & {r['variants']['bike']:.1f}"
            in tex
        )
    assert json.loads((tmp_path / "multi_label.json").read_text())["differences"] == record["differences"]


def test_the_running_average_is_shown_as_a_difference_only(record):
    table = multi_label_page.variants_markdown(record)
    for r in record["rows"]:
        assert f"{r['variants']['bike'] - r['variants'][HEADLINE]:+.1f}" in table
    assert (
        "bike" not in multi_label_page.rows_markdown(record)
        and f"batches of {MAP_BATCH}" in multi_label_page.variants_text()
    )


def test_without_every_class_there_is_no_official_number(record):
    changed = json.loads(json.dumps(record))
    for r in changed["rows"]:
        del r["variants"]["official"]
    row = multi_label_page.variants_markdown(changed).splitlines()[2]
    assert [c.strip() for c in row.split("|")][2] == "–"


def test_data_facts(record):
    table = multi_label_page.data_markdown(record)
    facts = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table.splitlines()[2:]}
    assert (
        facts["Test videos"] == str(VIDEOS)
        and facts["Test videos without any label"] == str(record["data"]["without_label"])
        and facts["Frames per clip"] == "16"
    )
    assert facts["Undecodable videos, named in the record"] == "0"


def test_measured_and_printed_never_share_a_table(record):
    measured = multi_label_page.rows_markdown(record) + multi_label_page.variants_markdown(record)
    assert not any(r["method"] in measured for r in paper.load("table2a") if r["method"] not in ("BIKE", "SFAR (ours)"))
    assert (
        "51.1" in multi_label_page.paper_markdown()
        and multi_label_page.paper_markdown().count("\n") == len(paper.load("table2a")) + 1
    )


def test_the_figure_shows_every_row_apart_from_the_papers(record):
    fig = multi_label_page.figure(record)
    measured, printed = fig.axes
    points = {round(float(line.get_xdata()[0]), 4) for line in measured.get_lines() if len(line.get_xdata()) == 1}
    assert points == {round(r["map"]["mean"], 4) for r in record["rows"]}
    assert sorted(float(line.get_xdata()[0]) for line in printed.get_lines()) == sorted(
        r["map"] for r in paper.load("table2a")
    )
    plt.close("all")


# --- the committed record --------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(record, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="multi_label.json is not there: run `make reproduce-table2a` first"):
        STUDY.get()
    paths.write_json(paths.results("storyboard") / "multi_label.json", {**record, "inputs": "0" * 16})
    with pytest.raises(SfarError, match="other code: run `make reproduce-table2a` again"):
        STUDY.get()


def test_the_committed_record_fits_the_code_and_its_files():
    profile = get_profile("storyboard")
    record = STUDY.load(profile)
    assert (
        record["seeds"] == list(profile.seeds)
        and [r["name"] for r in record["rows"]] == NAMES
        and record["data"]["videos"] == 160
        and record["data"]["classes"] == 20
    )
    assert all(r["seeds"] == (1 if r["method"] == "vanilla" else 5) for r in record["rows"])
    folder = paths.results("storyboard")
    assert (folder / "multi_label.md").read_text() == multi_label_page.as_markdown(record).rstrip() + "\n"
    assert (folder / "table2a.png").stat().st_size > 20_000
