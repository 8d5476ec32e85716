"""The multi-label study on made-up runs: mAP by every variant with intervals, what is shown of it, the record."""

import zlib
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.model.registry import METHODS, own, rivals
from sfar.runs.run import MAP_BATCH
from sfar.studies import multi_label
from sfar.studies.core import page, study
from sfar.studies.core.statistics import metric_intervals
from sfar.studies.multi_label import HEADLINE, STUDY, TEMPERATURES, TEMPERED
from sfar.training.metrics import VARIANTS, mean_ap

SEEDS, FROZEN_SEEDS = (0, 1, 2), (0, 1, 2, 3)
PROFILE = get_profile("storyboard", {"seeds": list(SEEDS), "frozen_seeds": list(FROZEN_SEEDS)})
VIDEOS, CLASSES = 40, 6
SKILL = {"vanilla": 0.3, "clip": 0.5, "temporal": 0.6, "single": 1.6, "sfar-printed": 0.7, "sfar": 3.0}
WARM = {0.03: -1.5, 0.1: -1.0, 0.3: -0.4, 1.0: 0.0, 3.0: -0.2}  # what the temperature adds to it
POSITIVE = np.random.default_rng(5).random((VIDEOS, CLASSES)) < 0.25
POSITIVE[3] = False  # a video without any label
NAMES = [f"frozen/{m}" for m in METHODS if m != "clip"] + [f"fine-tuned/{m}" for m in METHODS if m != "vanilla"]


def made_up(profile, variants, workers=None, desc="", most=None):
    out = {}
    for v in variants:
        out[v.name] = []
        warm = WARM.get(v.profile(profile, 0).model.frame_temperature, 0.0)
        for s in study.seeds_of(profile, v, most):
            scores = (
                np.random.default_rng([s, zlib.crc32(v.name.encode())]).normal(size=POSITIVE.shape)
                + (SKILL[v.method] + warm) * POSITIVE
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
                            "ranks": np.random.default_rng(s).integers(0, 4, VIDEOS).tolist(),
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
        return STUDY.measure(PROFILE)


def of_methods(entries):
    """Rows or contrasts without those of the temperatures."""
    return [e for e in entries if e.part != "temperature"]


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_are_the_final_map_of_the_scores(record):
    rows = of_methods(record.rows)
    assert sorted(r.row for r in rows) == sorted(NAMES) and record.data["frames"] == 16
    runs = made_up(PROFILE, [v for own in multi_label.variants(PROFILE).values() for v in own])
    for r in rows:
        each = [mean_ap(np.array(x["views"]["1x1"]["scores"]), POSITIVE, "present") for x in runs[r.row]]
        assert r.per_seed == pytest.approx(each, abs=1e-3) and len(each) == r.seeds
        assert r.mean == pytest.approx(np.mean(each), abs=1e-3) and r.low < r.mean < r.high
        variants = r.more["variants"]
        assert set(variants) == set(VARIANTS) and variants["official"] == variants["present"], (
            "every class has one here"
        )
        assert ("visual" in r.trained) == (r.part == "fine-tuned")
        assert r.seeds == (len(FROZEN_SEEDS if r.part == "frozen" else SEEDS) if r.trained else 1)
    d = record.data
    assert d["without_label"] == (~POSITIVE.any(1)).sum() >= 1 and d["without_positive"] == 0
    assert d["train_clips"] == 123 and d["labels_per_video"] == round(POSITIVE.sum(1).mean(), 2)


def test_differences_and_claims_follow_the_intervals(record):
    mean = {r.row: r.mean for r in of_methods(record.rows)}
    contrasts = of_methods(record.contrasts)
    assert {(c.row, c.against) for c in contrasts} == {
        (f"{t}/{a}", f"{t}/{b}")
        for t in ("frozen", "fine-tuned")
        for a, b in study.compared()
        if {f"{t}/{a}", f"{t}/{b}"} <= set(NAMES)
    } | {("fine-tuned/sfar", "frozen/vanilla"), ("fine-tuned/sfar-printed", "frozen/vanilla")}
    for c in contrasts:
        assert c.mean == pytest.approx(mean[c.row] - mean[c.against], abs=1e-3)
        assert c.verdict == ("holds" if c.low > 0 else "does not hold" if c.high < 0 else "undecided")
    chosen = [c for c in record.claims if c.of_paper and "printed" not in c.id]
    assert [c.verdict for c in chosen] == ["holds", "holds"] and all(c.low > 0 for c in chosen)
    for tower in ("frozen", "fine-tuned"):
        claim = record.claim(f"table2a-highest-{tower}-printed")
        (over,) = [c for c in contrasts if (c.row, c.against) == (f"{tower}/sfar-printed", f"{tower}/single")]
        assert claim.verdict != "holds" and claim.of_paper and over.mean < 0, "made up below BIKE's head"


def test_a_fine_tuned_sfar_has_all_rivals(record):
    """Among them CLIP itself, which has no tower of either kind: the highest is above every one."""
    for m in own():
        over = multi_label.over_rivals(record, "fine-tuned", m)
        assert {c.against for c in over} == {f"fine-tuned/{r.name}" for r in rivals() if r.trained} | {"frozen/vanilla"}
        assert all(c.part == "fine-tuned" for c in over)


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
    for r in of_methods(record.rows):
        assert f"{r.more['variants']['bike'] - r.more['variants'][HEADLINE]:+.1f}" in table
    assert "bike" not in str(page.show(STUDY, record, "rows"))
    assert f"batches of {MAP_BATCH}" in page.show(STUDY, record, "variants-text")


def test_without_every_class_there_is_no_official_number(record):
    def without(r):
        left = {k: v for k, v in r.more["variants"].items() if k != "official"}
        return replace(r, more={"variants": left})

    changed = replace(record, rows=[without(r) for r in of_methods(record.rows)])
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
    assert points == {round(r.mean, 4) for r in of_methods(record.rows)}
    shown = sorted(float(x.get_xdata()[0]) for x in printed.get_lines() if len(x.get_xdata()) == 1)
    assert shown == sorted(r["map"] for r in paper.load("table2a"))
    plt.close("all")


# --- the temperature over frames -------------------------------------------------------------------------------------


def test_temperatures_are_of_the_frozen_tower_and_the_profiles_values():
    profile = get_profile("storyboard")
    plan = multi_label.tempered(profile)
    assert set(plan) == {(of, m, t) for of in ("multi-label", "supervised") for m in TEMPERED for t in TEMPERATURES}
    for (of, method, t), v in plan.items():
        p = v.profile(profile, 2)
        assert v.method == method and not v.tuned and not p.train.train_visual and p.model.frame_temperature == t
        assert (p.data.dataset == "storyboard-charades") == (of == "multi-label")
        half = of == "multi-label"  # its longer videos are half as many
        assert p.data.train_per_class == profile.data.train_per_class // (2 if half else 1)
        assert p.data.replicate == 2, "each seed has training videos of its own"
    assert multi_label.tempered(get_profile("paper", {"data.root": "/x"})) == {}


def test_standard_scores_are_of_each_class():
    z = multi_label.standard_scores(np.random.default_rng(2).normal(3, [1, 5, 9], size=(2, 50, 3)))
    assert z.mean(1) == pytest.approx(np.zeros((2, 3))) and z.std(1) == pytest.approx(np.ones((2, 3)))
    assert not multi_label.standard_scores(np.ones((1, 4, 2))).any(), "a class whose scores are all alike"


def test_present_and_absent_scores_balance(record):
    """Within a class standard scores have mean zero: present and absent ones weigh each other up."""
    share = POSITIVE.mean()
    for m in TEMPERED:
        for t in TEMPERATURES:
            at = {k: record.find("temperature", f"{m}/{t:g}", k) for k in ("map", "present", "absent", "top1")}
            assert share * at["present"].mean + (1 - share) * at["absent"].mean == pytest.approx(0, abs=1e-3)
            assert at["present"].low <= at["present"].mean <= at["present"].high
            assert at["map"].seeds == at["top1"].seeds == len(FROZEN_SEEDS)
    assert record.claim("table2a-temperature").verdict == "holds" and not record.claim("table2a-temperature").of_paper


def test_temperature_table_text_and_figure(record):
    assert str(page.show(STUDY, record, "temperature")).count("\n") == len(TEMPERED) * len(TEMPERATURES) + 1
    assert "SFAR: mAP at 1," in page.show(STUDY, record, "temperature-text")
    figure = page.show(STUDY, record, "temperature-figure")
    figure.canvas.draw()
    assert len(figure.axes) == 3
    plt.close(figure)
    bare = replace(record, rows=of_methods(record.rows))
    assert page.show(STUDY, bare, "temperature") is None and page.show(STUDY, bare, "temperature-figure") is None


# --- the committed record --------------------------------------------------------------------------------------------


def test_the_committed_record_is_of_all_methods_and_seeds():
    profile = get_profile("storyboard")
    record = STUDY.load(profile)
    assert record.seeds == list(profile.seeds)
    assert sorted(r.row for r in of_methods(record.rows)) == sorted(NAMES)
    assert record.data["videos"] == 320 and record.data["classes"] == 20
    for r in record.rows:
        frozen = multi_label.TEMPERED_SEEDS if r.part == "temperature" else multi_label.MOST
        assert r.seeds == ((len(profile.seeds) if "visual" in r.trained else frozen) if r.trained else 1)
