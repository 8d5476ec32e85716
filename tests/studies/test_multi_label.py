"""The multi-label study on made-up runs: mAP by every variant with intervals, what is shown of it, the record."""

import zlib
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.model.registry import METHODS
from sfar.runs.run import MAP_BATCH
from sfar.studies import multi_label
from sfar.studies.core import page, study
from sfar.studies.core.statistics import metric_intervals
from sfar.studies.multi_label import HEADLINE, STUDY, TUNED
from sfar.training.metrics import VARIANTS, mean_ap

SEEDS = (0, 1, 2, 3)
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
        return STUDY.measure(get_profile("storyboard", {"seeds": list(SEEDS)}))


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_are_the_final_map_of_the_scores(record):
    assert sorted(r.row for r in record.rows) == sorted(NAMES) and record.data["frames"] == 16
    towers = multi_label.variants(get_profile("storyboard"))
    runs = made_up(get_profile("storyboard"), [v for rows in towers.values() for v in rows], SEEDS)
    for r in record.rows:
        each = [mean_ap(np.array(x["views"]["1x1"]["scores"]), POSITIVE, "present") for x in runs[r.row]]
        assert r.per_seed == pytest.approx(each, abs=1e-3) and len(each) == r.seeds
        assert r.mean == pytest.approx(np.mean(each), abs=1e-3) and r.low < r.mean < r.high
        variants = r.more["variants"]
        assert set(variants) == set(VARIANTS) and variants["official"] == variants["present"], (
            "every class has one here"
        )
        assert ("visual" in r.trained) == (r.part == "fine-tuned")
    d = record.data
    assert d["without_label"] == (~POSITIVE.any(1)).sum() >= 1 and d["without_positive"] == 0
    assert d["train_clips"] == 123 and d["labels_per_video"] == round(POSITIVE.sum(1).mean(), 2)


def test_differences_and_claims_follow_the_intervals(record):
    mean = {r.row: r.mean for r in record.rows}
    assert {(c.row, c.against) for c in record.contrasts} == {
        (f"{t}/sfar", n) for t in ("frozen", "fine-tuned") for n in NAMES if n.startswith(t) and not n.endswith("/sfar")
    }
    for c in record.contrasts:
        assert c.mean == pytest.approx(mean[c.row] - mean[c.against], abs=1e-3)
        assert c.verdict == ("holds" if c.low > 0 else "does not hold" if c.high < 0 else "undecided")
    assert [c.verdict for c in record.claims] == ["holds", "holds"] and all(c.low > 0 for c in record.claims)


def test_interval_of_map_against_a_plain_bootstrap():
    """One seed, videos drawn one by one: about the same spread, around the value."""
    rng = np.random.default_rng(1)
    scores = {
        "many": rng.normal(size=(1, VIDEOS, CLASSES)) + POSITIVE,
        "one": rng.normal(size=(1, VIDEOS, CLASSES)) + 0.5 * POSITIVE,
    }

    def measure(s, keep):
        return np.array([mean_ap(x[keep], POSITIVE[keep], "present") for x in s])

    out = metric_intervals(scores, measure, VIDEOS, [("many", "one")])
    value = {n: mean_ap(s[0], POSITIVE, "present") for n, s in scores.items()}
    plain = {"many": [], "one": []}
    for _ in range(400):
        keep = rng.integers(VIDEOS, size=VIDEOS)
        for name, drawn in plain.items():
            drawn.append(mean_ap(scores[name][0][keep], POSITIVE[keep], "present"))
    plain["many", "one"] = np.array(plain["many"]) - np.array(plain["one"])
    value["many", "one"] = value["many"] - value["one"]
    for name, drawn in plain.items():
        assert out[name][0] == pytest.approx(value[name], abs=1e-3)
        assert out[name][2] - out[name][1] == pytest.approx(4 * np.std(drawn), rel=0.25)
    assert np.mean(plain["many"]) > value["many"] + 0.5, "a doubled video raises an average precision"


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_running_average_is_shown_as_a_difference_only(record):
    table = str(page.show(STUDY, record, "variants"))
    for r in record.rows:
        assert f"{r.more['variants']['bike'] - r.more['variants'][HEADLINE]:+.1f}" in table
    assert "bike" not in str(page.show(STUDY, record, "rows"))
    assert f"batches of {MAP_BATCH}" in page.show(STUDY, record, "variants-text")


def test_without_every_class_there_is_no_official_number(record):
    def without(r):
        left = {k: v for k, v in r.more["variants"].items() if k != "official"}
        return replace(r, more={"variants": left})

    changed = replace(record, rows=[without(r) for r in record.rows])
    row = str(page.show(STUDY, changed, "variants")).splitlines()[2]
    assert [c.strip() for c in row.split("|")][2] == "–"


def test_data_facts(record):
    facts = {k: str(v) for k, v in page.show(STUDY, record, "data").rows}
    assert facts["Test videos"] == str(VIDEOS) and facts["Frames per clip"] == "16"
    assert facts["Test videos without any label"] == str(record.data["without_label"])
    assert facts["Undecodable videos, named in the record"] == "0"


def test_measured_and_printed_never_share_a_table(record):
    measured = str(page.show(STUDY, record, "rows")) + str(page.show(STUDY, record, "variants"))
    others = [r["method"] for r in paper.load("table2a") if r["method"] not in ("BIKE", "SFAR (ours)")]
    printed = str(page.show(STUDY, record, "table2a"))
    assert not any(name in measured for name in others)
    assert "51.1" in printed and printed.count("\n") == len(paper.load("table2a")) + 1


def test_the_figure_shows_every_row_apart_from_the_papers(record):
    measured, printed = multi_label.figure(record).axes
    points = {round(float(x.get_xdata()[0]), 4) for x in measured.get_lines() if len(x.get_xdata()) == 1}
    assert points == {round(r.mean, 4) for r in record.rows}
    shown = sorted(float(x.get_xdata()[0]) for x in printed.get_lines() if len(x.get_xdata()) == 1)
    assert shown == sorted(r["map"] for r in paper.load("table2a"))
    plt.close("all")


# --- the committed record --------------------------------------------------------------------------------------------


def test_the_committed_record_is_of_all_methods_and_seeds():
    profile = get_profile("storyboard")
    record = STUDY.load(profile)
    assert record.seeds == list(profile.seeds) and sorted(r.row for r in record.rows) == sorted(NAMES)
    assert record.data["videos"] == 160 and record.data["classes"] == 20
    assert all(r.seeds == (5 if r.trained else 1) for r in record.rows)
