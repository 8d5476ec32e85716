"""Appendix A.2, Tables 8 and 9, and the dose-response test.

Equations against plain loops, the truth on hand-made scripts, trends of known size, and a record of made-up hits.
"""

import dataclasses
import json
import math
import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.container import BarContainer
from matplotlib.text import Text

from sfar import paper
from sfar.config import get_profile
from sfar.data.source import dataset, load_clips
from sfar.data.transforms import center_crop, val_indices
from sfar.errors import SfarError
from sfar.model.clip import embed_texts, load_clip
from sfar.storyboard.scripts import KINETICS
from sfar.storyboard.write import truth, write_kinetics
from sfar.studies import ablations, ambiguity
from sfar.studies.ambiguity import BRANCHES, OURS, PAPER_ROWS, ROWS, STUDY, TOWERS, TYPES, Tower
from sfar.studies.core import degrees, page, statistics, study
from sfar.studies.core.claims import decide_all
from sfar.studies.core.record import Contrast, Record, Row
from sfar.util import paths

# --- literal references: loops over classes, frames and numbers, double precision ------------------------------------


def cosine(a, b):
    dot = square_a = square_b = 0.0
    for x, y in zip(a, b, strict=True):
        dot, square_a, square_b = dot + float(x) * float(y), square_a + float(x) ** 2, square_b + float(y) ** 2
    return dot / math.sqrt(square_a) / math.sqrt(square_b)


def literal_ambiguous(cls, top=10):
    """Eq. 15-16, averaged: one number a class."""
    out = []
    for c in range(len(cls)):
        others = sorted(((cosine(cls[c], cls[o]) + 1) / 2 for o in range(len(cls)) if o != c), reverse=True)
        total = 0.0
        for s in others[:top]:
            total += s
        out.append(total / min(top, len(others)))
    return out


def literal_agreement(cls, frames):
    """Frame predictions and Eq. 17-18, averaged, of one video."""
    predicted = []
    for v in frames:
        best = max(range(len(cls)), key=lambda c: cosine(v, cls[c]))
        predicted.append(best)
    total = 0.0
    for i in range(len(frames)):
        for j in range(len(frames)):
            if i != j:
                total += (cosine(cls[predicted[i]], cls[predicted[j]]) + 1) / 2
    return total / (len(frames) * (len(frames) - 1)), predicted


@pytest.mark.parametrize("classes", [2, 5, 11, 12, 30])
def test_equations_15_to_18(classes):
    g = torch.Generator().manual_seed(classes)
    cls = torch.randn(classes, 6, generator=g) * torch.rand(classes, 1, generator=g) * 9
    frames = torch.randn(7, 4, 6, generator=g)
    sigma = degrees.class_similarity(cls)
    assert sigma.dtype == np.float64 and sigma.min() >= 0 and sigma.max() <= 1 and np.allclose(np.diag(sigma), 1)
    assert np.allclose(degrees.ambiguous_score(sigma), literal_ambiguous(cls.tolist()), atol=1e-9)
    predictions = degrees.frame_predictions(frames, cls)
    pairs = degrees.frame_similarity(sigma, predictions)
    assert pairs.shape == (7, 4, 4)
    for video, found, row in zip(frames.tolist(), degrees.agreement(pairs), predictions.tolist(), strict=True):
        expected, predicted = literal_agreement(cls.tolist(), video)
        assert row == predicted and found == pytest.approx(expected, abs=1e-9)


def test_ambiguous_score_of_known_classes():
    """Of twelve classes the score counts ten others, the least similar one is left out; of three it counts both."""
    angles = np.radians([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 180])
    sigma = degrees.class_similarity(np.stack([np.cos(angles), np.sin(angles)], 1))
    assert degrees.ambiguous_score(sigma)[0] == pytest.approx(np.mean([(math.cos(a) + 1) / 2 for a in angles[1:11]]))
    three = degrees.class_similarity(np.array([[1.0, 0], [1, 0], [-1, 0]]))
    assert degrees.ambiguous_score(three).tolist() == pytest.approx([0.5, 0.5, 0])
    with pytest.raises(ValueError, match="at least 2 classes"):
        degrees.ambiguous_score(np.ones((1, 1)))


def test_direction_of_the_non_uniform_score():
    """Frames that are all predicted alike are the most uniform; more and less similar classes lie in between."""
    cls = np.array([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [-1, 0, 0]])
    predictions = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 2, 2], [0, 3, 0, 3]])
    score = degrees.non_uniform_score(degrees.frame_similarity(degrees.class_similarity(cls), predictions))
    assert score[0] == pytest.approx(0, abs=1e-12) and np.all(np.diff(score) > 0)
    assert score[3] == pytest.approx(4 * 2 / 12)  # of twelve ordered pairs eight are opposite
    with pytest.raises(ValueError, match="at least 2 frames"):
        degrees.agreement(np.ones((3, 1, 1)))


@pytest.mark.parametrize("classes", [1, 3, 9, 10, 11, 25, 400])
def test_degrees(classes):
    scores = np.random.default_rng(classes).permutation(classes) / 7
    d = degrees.degrees(scores)
    assert d.min() >= 1 and d.max() == 10
    assert (d == 10).sum() == math.ceil(classes / 10), "degree 10 is the top-10 % set"
    assert np.all(np.diff(d[np.argsort(scores)]) >= 0), "a higher score has no lower degree"
    if classes >= 10:
        counts = np.bincount(d, minlength=11)[1:]
        assert counts.max() - counts.min() <= 1
    with_gap = degrees.degrees(np.append(scores, np.nan))
    assert with_gap[-1] == 0 and with_gap[:-1].tolist() == d.tolist()


def test_degree_10_is_the_set_of_table_9_in_print():
    """The reading of "normalise from 1 to 10" rests on this."""
    eight = {(r["method"], r["type"]): r["top1"] for r in paper.load("table8") if r["degree"] == 10}
    nine = {r["method"]: (r["ambi_set"], r["non_set"]) for r in paper.load("table9")}
    assert (eight["Single", "Ambi"], eight["Single", "Non"]) == nine["BIKE"]
    assert (
        eight["Fusion", "Non"] == nine["SFAR (ours)"][1]
        and abs(eight["Fusion", "Ambi"] - nine["SFAR (ours)"][0]) < 0.11
    )


def test_class_means():
    found = degrees.class_means(np.array([1.0, 3, 5]), np.array([0, 0, 2]), 3)
    assert found[[0, 2]].tolist() == [2, 5] and np.isnan(found[1])


# --- the truth -------------------------------------------------------------------------------------------------------

SCRIPTS = {
    "a": (("run", 0.7), ("jump", 0.3)),
    "b": (("run", 0.2), ("fall", 0.8)),
    "c": (("jump", 0.4), ("fall", 0.5), ("wave", 0.1)),
    "d": (("sit", 1.0),),
}


def test_true_ambiguity():
    found = degrees.true_ambiguity(SCRIPTS)
    assert found["overlap"].tolist() == pytest.approx([0.7, 0.8, 0.5, 0])
    assert found["shared"].tolist() == pytest.approx([1, 1, 0.9, 0])
    assert found["top10"].tolist() == pytest.approx([1 / 3, 1 / 3, 0.9 / 3, 0])
    assert degrees.overlaps(SCRIPTS)[2].tolist() == pytest.approx([0.4, 0.5, 1, 0])
    world = degrees.true_ambiguity(KINETICS)
    actions = {c: {a for a, _ in s} for c, s in KINETICS.items()}
    for (c, script), overlap in zip(KINETICS.items(), world["overlap"], strict=True):
        shared = [sum(w for a, w in script if a in actions[o]) for o in KINETICS if o != c]
        assert overlap == pytest.approx(max(shared))
    assert np.all(world["overlap"] <= world["shared"] + 1e-12) and np.all(world["top10"] <= world["overlap"] + 1e-12)


def test_true_non_uniformity():
    one = degrees.true_non_uniformity([["sit", 20, True]], 8)
    assert one == {"disagreement": 0, "unevenness": 0, "momentary": 0, "irrelevant": 0}
    even = degrees.true_non_uniformity([["a", 8, True], ["b", 8, True]], 8)
    assert (
        even["disagreement"] == pytest.approx(1 - 24 / 56)
        and even["unevenness"] == pytest.approx(0)
        and even["momentary"] == 0
    )
    # The same action twice is one action; 16 of 20 frames, 2 and 2; "c" is not the class's own.
    mixed = degrees.true_non_uniformity([["a", 10, True], ["b", 2, True], ["c", 2, False], ["a", 6, True]], 10)
    seen = ["a"] * 5 + ["b"] + ["c"] + ["a"] * 3
    assert mixed["disagreement"] == pytest.approx(sum(x != y for x in seen for y in seen) / 90)
    assert mixed["unevenness"] == pytest.approx(1 - (-0.8 * math.log(0.8) - 2 * 0.1 * math.log(0.1)) / math.log(3))
    assert mixed["momentary"] == 0.5 and mixed["irrelevant"] == pytest.approx(0.1)


# --- statistics ------------------------------------------------------------------------------------------------------


def test_bins_hold_every_value_once():
    for d in ambiguity.DOSES.values():
        x = np.concatenate([np.linspace(0, 1, 101), np.array(d.edges)])
        bins = d.bins(x)
        assert len(bins) == len(d.edges) - 1 and np.all(np.sum(list(bins.values()), 0) == 1)
        for (name, mask), low in zip(bins.items(), d.edges[:-1], strict=True):
            assert mask[x == low].all() and name.startswith(f"{low:g} to "), "a lower edge belongs to its bin"
    last = list(ambiguity.DOSES["overlap"].bins(np.array([1.0 + 1e-12])).values())[-1]
    assert last.all(), "rounding does not lose a class that shares all its time"


def synthetic(rng, slope, classes=25, per_class=8, seeds=3, by_class=False):
    """Gains [seeds, videos] in points of a known slope over x, with noise of seeds, classes and videos."""
    labels = np.repeat(np.arange(classes), per_class)
    x = rng.random(classes)[labels] if by_class else rng.random(len(labels))
    gain = (
        slope * x
        + rng.normal(0, 8, classes)[labels]
        + rng.normal(0, 30, len(labels))
        + rng.normal(0, 25, (seeds, len(labels)))
        + rng.normal(0, 1, (seeds, 1))
    )
    return gain, x, labels


def trend(gain, x, groups=None):
    """Slope and interval as ``ambiguity.Tower.trend`` takes them."""
    worth = statistics.slope(gain, x)
    return statistics.interval(worth if groups is None else statistics.by_group(worth, groups), fitted=2)[:3]


@pytest.mark.parametrize("by_class", [False, True])
def test_trend_of_known_slope(by_class):
    """A strong trend is found, none is claimed where there is none; intervals hold the truth as often as they say."""
    rng = np.random.default_rng(11)
    hold = {0.0: 0, 60.0: 0}
    above = {0.0: 0, 60.0: 0}
    worlds = 1000
    for true in hold:
        for _ in range(worlds):
            gain, x, labels = synthetic(rng, true, by_class=by_class)
            _, low, high = trend(gain, x, labels if by_class else None)
            hold[true] += low <= true <= high
            above[true] += low > 0
    assert 0.92 * worlds <= min(hold.values()) and max(hold.values()) <= 0.98 * worlds, hold
    assert above[0.0] <= 0.05 * worlds and above[60.0] >= 0.9 * worlds, above


def test_classes_are_the_evidence_about_classes():
    """An effect of the class is no trend: over videos alone it would be one, the interval over classes is wider."""
    rng = np.random.default_rng(5)
    widths = []
    for _ in range(40):
        gain, x, labels = synthetic(rng, 0, classes=8, per_class=50, by_class=True)
        widths.append([high - low for _, low, high in (trend(gain, x, groups) for groups in (None, labels))])
    videos, classes = np.mean(widths, 0)
    assert classes > 1.5 * videos


# --- the record ------------------------------------------------------------------------------------------------------

CLASSES = list(KINETICS)
VIDEOS = 8  # of each class
LABELS = np.repeat(np.arange(len(CLASSES)), VIDEOS)


@dataclasses.dataclass
class World:
    """Made-up scores, truth and hits of 25 classes with 8 videos each."""

    record: Record
    towers: dict[str, Tower]
    degree: dict[str, np.ndarray]
    dose: dict[str, np.ndarray]


def made_up(n_seeds: int) -> World:
    """Fusion gains where frames are irrelevant, coarse nowhere, fine loses; as printed nothing gains or loses."""
    rng = np.random.default_rng(0)
    true_class = degrees.true_ambiguity(KINETICS)
    irrelevant = rng.uniform(0, 0.75, len(LABELS))
    disagreement = rng.uniform(0.4, 1, len(LABELS))
    non_uniform = disagreement / 4 + rng.normal(0, 0.02, len(LABELS))
    of_class = {
        "ambiguous": true_class["overlap"] / 10 + rng.normal(0, 0.01, len(CLASSES)),
        "non-uniform": degrees.class_means(non_uniform, LABELS, len(CLASSES)),
    }
    true_video = {
        "disagreement": disagreement,
        "unevenness": rng.random(len(LABELS)),
        "momentary": rng.random(len(LABELS)),
        "irrelevant": irrelevant,
    }
    degree = {kind: degrees.degrees(of_class[score]) for kind, score in TYPES.items()}
    dose = {**true_video, "overlap": true_class["overlap"][LABELS]}
    base = 0.5 - 0.02 * degree["Ambi"][LABELS]
    chance = {
        "mean": base,
        "flat": base,
        "single": base + 0.1,
        "coarse": base + 0.1,
        "fine": base - 0.5,
        "fusion": base + irrelevant,
        **{f"printed/{role}": base for role in ("flat", *BRANCHES)},
    }
    found = ambiguity._ranking(
        {"classes": of_class, "videos": {"non-uniform": non_uniform}},
        {"classes": true_class, "videos": true_video},
        LABELS,
    )
    mass = rng.uniform(0, 0.3, (n_seeds, len(LABELS))) * (irrelevant > 0.2)
    own = 1 - irrelevant
    towers = {}
    for name, roles in TOWERS.items():
        runs, hits = {}, {}
        for role, variant in roles.items():
            seeds = 1 if variant.method == "vanilla" else n_seeds
            hits[role] = 100.0 * (rng.random((seeds, len(LABELS))) < np.clip(chance[role], 0, 1))
            weight = [{"uniform": own, "coarse": own + m, "fine": own + 2 * m} for m in mass[:seeds]]
            trained = [] if variant.method == "vanilla" else ["head"]
            runs[role] = [{"trained": trained, "relevant_mass": w} for w in weight]
        towers[name] = Tower(name, runs, hits, LABELS)
        found += ambiguity._by_degree(towers[name], degree)
        found += ambiguity._by_dose(towers[name], dose) + ambiguity._by_weight(towers[name])
    listed = ambiguity._listed(CLASSES, {**of_class, **true_class})
    for i, row in enumerate(listed):
        row["degree"] = {kind: int(d[i]) for kind, d in degree.items()}
    record = Record(
        study="ambiguity",
        profile="storyboard",
        inputs="0",
        seeds=list(range(n_seeds)),
        data={
            "train_clips": 600,
            "val_videos": len(LABELS),
            "classes": len(CLASSES),
            "undecodable": {},
            "missing": [],
            "hardest": {kind: int((d == 10).sum()) for kind, d in degree.items()},
        },
        rows=[e for e in found if isinstance(e, Row)],
        contrasts=[e for e in found if isinstance(e, Contrast)],
        claims=[],
        extra={
            "videos": {"label": LABELS.tolist(), "non-uniform": non_uniform.tolist()}
            | {k: v.tolist() for k, v in true_video.items()},
            "classes": listed,
        },
        provenance={
            "command": "make x",
            "revision": "r",
            "hardware": "h",
            "date": "d",
            "config": {"model": {}, "train": {}, "data": {}},
        },
    )
    return World(STUDY.decided(record), towers, degree, dose)


@pytest.fixture(scope="module")
def world():
    return made_up(3)


@pytest.fixture(scope="module")
def record(world):
    return world.record


def frozen(record):
    return {c.id: c for c in decide_all(ambiguity.FROZEN_CLAIMS, record)}


def test_the_control_has_equal_weights_and_the_others_are_runs_of_table_2e():
    """Whatever temperature the search chose, the control's weights differ by at most a fiftieth."""
    frozen = TOWERS["frozen"]
    for lead, method in (("", "sfar"), ("printed/", "sfar-printed")):
        flat = frozen[f"{lead}flat"].profile(get_profile("storyboard"), 0)
        assert flat.model.frame_temperature >= 100 and frozen[f"{lead}flat"].method == method
        fusion = frozen[f"{lead}fusion"].profile(get_profile("storyboard"), 0)
        temperature = fusion.model.frame_temperature
        assert flat.model == dataclasses.replace(fusion.model, frame_temperature=flat.model.frame_temperature)
        assert temperature != flat.model.frame_temperature
        assert flat == dataclasses.replace(fusion, model=flat.model), "and nothing else is changed"
    known = {v.name: v for v in (*ablations.TABLE2E, *ablations.TUNED, *ablations.FROZEN_ROWS)}
    others = [v for roles in TOWERS.values() for role, v in roles.items() if "flat" not in role]
    assert all(known[v.name] is v for v in others) and len({v.name for v in others}) == len(others) == 16


def test_a_row_of_a_reading_is_that_reading_s_run():
    for roles in TOWERS.values():
        own = {role: v.method for role, v in roles.items() if role.rpartition("/")[2] in BRANCHES}
        assert own == {
            **{b: "sfar" for b in BRANCHES},
            **{f"printed/{b}": "sfar-printed" for b in BRANCHES},
        }
        for role, v in roles.items():
            branch = role.rpartition("/")[2]
            if branch in ("coarse", "fine"):
                other = "model.fine" if branch == "coarse" else "model.coarse"
                assert (other, False) in v.changes
    assert ("single", *OURS) == ROWS and (*BRANCHES, *(f"printed/{b}" for b in BRANCHES)) == OURS


def test_claims_of_both_readings(record):
    """What is claimed of SFAR is claimed of it as printed, and decided by that reading's rows alone."""
    by = {c.id: c for c in (*ambiguity.CLAIMS, *ambiguity.FROZEN_CLAIMS)}
    tail = {i: "-printed" + "-frozen" * i.endswith("-frozen") for i in by}
    pairs = {i: i.removesuffix("-frozen") + tail[i] for i in by if i.removesuffix("-frozen") + tail[i] in by}
    alone = set(by) - {*pairs, *pairs.values()}
    assert {i.removesuffix("-frozen") for i in alone} == {
        "table8-ambi-single-falls",
        "table8-non-single-falls",
        *(f"ranking-{truth}" for _, _, truth, *_ in ambiguity.RANKED),
    }
    for mine, other in pairs.items():
        assert by[other].text.replace(", as printed,", "") == by[mine].text and by[other].text != by[mine].text
    own = [c for c in record.contrasts if not c.row.startswith("printed/") and not c.against.startswith("printed/")]
    decided = decide_all(list(by.values()), dataclasses.replace(record, contrasts=own))
    assert {c.id for c in decided} == {*alone, *pairs}
    verdict = {c.id: c.verdict for c in record.claims}
    assert verdict["dose-irrelevant-fusion-mean-printed"] != "holds"
    assert verdict["table9-average-fusion-ahead"] == "holds" != verdict["table9-average-fusion-ahead-printed"]


def test_the_best_of_four_is_of_one_reading(record):
    """However far the chosen reading lies ahead of or behind the printed one."""
    (direct,) = record.contrasts_of("table9", "fusion", "printed/fusion", tower="fine-tuned", set="Ambi")
    far = dataclasses.replace(direct, mean=-50.0, low=-60.0, high=-40.0, verdict="does not hold")
    other = dataclasses.replace(record, contrasts=[far if c is direct else c for c in record.contrasts])
    name = "table8-ambi-fusion-best"
    before, after = ({c.id: c for c in decide_all(ambiguity.CLAIMS, r)}[name] for r in (record, other))
    assert before == after


def test_claims_say_what_was_built_in(record):
    verdict = {c.id: c.verdict for c in record.claims}
    assert verdict["dose-irrelevant-fusion-mean"] == "holds"
    assert verdict["dose-irrelevant-fine-mean"] == "undecided"
    assert frozen(record)["dose-irrelevant-fusion-flat-frozen"].verdict == "holds"
    assert verdict["ranking-overlap"] == verdict["ranking-disagreement"] == "holds"
    assert verdict["ranking-unevenness"] == "undecided"
    assert verdict["table8-ambi-single-falls"] == "holds"
    assert verdict["table8-non-fine-helps"] == "does not hold"
    assert verdict["table9-average-fusion-ahead"] == "holds"
    assert not [i for i in verdict if "flat" in i], "the fine-tuned tower has no such run"


def test_every_claim_is_decided_on_both_towers(record):
    """The frozen tower has one claim more on the gain over the control; the ranks of the scores know no tower."""
    ids = [c.id for c in (*ambiguity.CLAIMS, *ambiguity.FROZEN_CLAIMS)]
    assert len(set(ids)) == len(ids) and [c.id for c in record.claims] == [c.id for c in ambiguity.CLAIMS]
    assert list(frozen(record)) == [c.id for c in ambiguity.FROZEN_CLAIMS]
    plain = {i.removesuffix("-frozen").replace("-flat", "-mean") for i in frozen(record)}
    assert plain == {c.id for c in record.claims if not c.id.startswith("ranking")}
    printed = {c.id: c.printed for c in record.claims if c.printed}
    of_paper = {
        "table8-ambi-coarse-helps": "+1.5",
        "table8-non-fine-helps": "+2.1",
        "table8-ambi-coarse-fine": "-1.0",
        "table8-non-fine-coarse": "-0.7",
        "table9-ambi-fusion-ahead": "+2.9",
        "table9-non-fusion-ahead": "+2.9",
        "table9-average-fusion-ahead": "+2.9; +2.6 of the second best, ATM",
    }
    assert printed == of_paper | {f"{i}-printed": number for i, number in of_paper.items()}
    assert {c.item for c in record.claims} == {"table8", "table9", "fig6"}


def changed(record, which, **fields):
    """The record's claims by id, one contrast of the fine-tuned tower changed: (part, row, against, setting)."""
    part, row, against, setting = which
    old = record.contrast(row, against, part, tower="fine-tuned", **setting)
    new = dataclasses.replace(old, **fields, verdict=statistics.verdict(fields["low"], fields["high"]))
    other = dataclasses.replace(record, contrasts=[new if c is old else c for c in record.contrasts])
    return other, {c.id: c for c in decide_all(ambiguity.CLAIMS, other)}


def test_ahead_at_every_degree_takes_the_worst(record):
    name = "table8-ambi-fusion-ahead"
    now, claims = record, {}
    for d in range(1, 11):
        each = ("table8", "fusion", "single", {"type": "Ambi", "degree": d})
        now, claims = changed(now, each, mean=3.0, low=1.0, high=5.0)
    assert claims[name].verdict == "holds"
    fifth = ("table8", "fusion", "single", {"type": "Ambi", "degree": 5})
    now, claims = changed(now, fifth, mean=0.5, low=-1.0, high=2.0)
    assert (claims[name].verdict, claims[name].against, claims[name].mean) == ("undecided", "Single, degree 5", 0.5)
    eighth = ("table8", "fusion", "single", {"type": "Ambi", "degree": 8})
    now, claims = changed(now, eighth, mean=0.6, low=-2.0, high=-0.1)
    assert (claims[name].verdict, claims[name].against) == ("does not hold", "Single, degree 8")


def test_claims_follow_their_intervals(record):
    _, claims = changed(record, ("table9", "coarse", "fine", {"set": "Non"}), mean=4.0, low=1.0, high=7.0)
    turned = claims["table8-non-fine-coarse"]
    assert (turned.verdict, turned.against) == ("does not hold", "Coarse")
    assert (turned.mean, turned.low, turned.high) == (-4, -7, -1)
    _, claims = changed(record, ("trends", "single", "", {"type": "Ambi"}), mean=2.0, low=1.0, high=3.0)
    falls = claims["table8-ambi-single-falls"]
    assert falls.verdict == "does not hold", "an accuracy that rises is the opposite"
    assert (falls.against, falls.unit, falls.mean) == ("no trend", "points per degree", -2)
    slope = ("dose-trends", "coarse", "mean", {"dose": "irrelevant"})
    for low, high, expected in ((0.1, 2, "holds"), (-1, 2, "undecided"), (-2, -0.1, "does not hold")):
        _, claims = changed(record, slope, mean=(low + high) / 2, low=low, high=high)
        assert claims["dose-irrelevant-coarse-mean"].verdict == expected


@pytest.mark.parametrize("tower", TOWERS)
def test_cells_are_means_of_their_videos(world, tower):
    record, hits = world.record, world.towers[tower].hits
    for kind, of_class in world.degree.items():
        for m in ROWS:
            cells = record.select("table8", m, tower=tower, type=kind)
            assert [r.setting["degree"] for r in cells] == list(range(1, 11))
            for r in cells:
                mask = of_class[LABELS] == r.setting["degree"]
                assert r.videos == mask.sum() and r.mean == pytest.approx(hits[m][:, mask].mean(), abs=1e-3)
                assert r.low <= r.mean <= r.high and len(r.per_seed) == 3
    at = {(r.row, r.setting["set"]): r.mean for r in record.select("table9", tower=tower)}
    for c in record.contrasts_of("table9", tower=tower):
        which = c.setting["set"]
        assert c.mean == pytest.approx(at[c.row, which] - at[c.against, which], abs=1e-3)
    for m in ROWS:
        for kind in TYPES:
            assert at[m, kind] == record.find("table8", m, tower=tower, type=kind, degree=10).mean
        assert at[m, "average"] == pytest.approx((at[m, "Ambi"] + at[m, "Non"]) / 2, abs=1e-3)
    for r in record.select("overall", tower=tower):
        assert r.mean == pytest.approx(hits[r.row].mean(), abs=1e-3) and r.seeds == len(hits[r.row])


@pytest.mark.parametrize("tower", TOWERS)
def test_levels_and_gains_of_a_dose_against_plain_means(world, tower):
    record, hits = world.record, world.towers[tower].hits
    for dose, d in ambiguity.DOSES.items():
        total = 0
        for name, mask in d.bins(world.dose[dose]).items():
            where = {"tower": tower, "dose": dose, "bin": name}
            if not mask.any():
                assert not record.select("dose", **where)
                continue
            total += int(mask.sum())
            level = {r.row: r for r in record.select("dose", **where)}
            assert level.keys() == TOWERS[tower].keys()
            for m, r in level.items():
                assert r.mean == pytest.approx(hits[m][:, mask].mean(), abs=1e-3) and r.low <= r.mean <= r.high
                assert (r.videos, r.seeds) == (mask.sum(), len(hits[m]))
            for c in record.contrasts_of("dose", **where):
                assert c.mean == pytest.approx(level[c.row].mean - level[c.against].mean, abs=1e-3)
                assert c.more["x"] == pytest.approx(world.dose[dose][mask].mean(), abs=1e-4)
        assert total == len(LABELS)
        for c in record.contrasts_of("dose-trends", tower=tower, dose=dose):
            gain = hits[c.row].mean(0) - hits[c.against].mean(0)
            assert c.mean == pytest.approx(np.polyfit(world.dose[dose], gain, 1)[0] / 10, abs=1e-3)
            assert (c.metric, c.unit) == ("slope", "points per 0.1")
    for c in record.contrasts_of("trends", tower=tower):
        d = world.degree[c.setting["type"]][LABELS]
        value = hits[c.row].mean(0) - (hits[c.against].mean(0) if c.against else 0)
        assert c.mean == pytest.approx(np.polyfit(d, value, 1)[0], abs=1e-3)


def test_extra_weight_is_above_equal_weights(record):
    """Built in: between 0 and 0.3 for a_coarse where more than a fifth is irrelevant, twice that for a_fine."""
    by = {c.setting["importance"]: c.mean for c in record.contrasts_of("weight", tower="fine-tuned")}
    assert 5 < by["coarse"] < 15 and by["fine"] == pytest.approx(2 * by["coarse"], abs=1e-3)
    slope = {
        which: record.contrast("fusion", "mean", "dose-trends", tower="fine-tuned", dose=f"found-{which}").mean
        for which in ("coarse", "fine")
    }
    assert slope["coarse"] == pytest.approx(2 * slope["fine"], abs=1e-3), "the same gains over twice the weight"
    assert {c.row for c in record.contrasts_of("weight", tower="frozen")} == {
        f"{lead}{role}" for lead in ("", "printed/") for role in ("fusion", "flat")
    }


def test_ranks_of_the_scores(record):
    """Classes by the ambiguous score, classes and videos by the other; the first truth is the primary one."""
    found = record.contrasts_of("ranking")
    assert [(c.row, c.against, c.setting["over"]) for c in found] == [
        *(("ambiguous", t, "classes") for t in ("overlap", "shared", "top10")),
        *(
            ("non-uniform", t, over)
            for over in ("videos", "classes")
            for t in ("disagreement", "unevenness", "momentary", "irrelevant")
        ),
    ]
    for c in found:
        assert (c.metric, c.unit) == ("rho", "") and c.more["n"] == (25 if c.setting["over"] == "classes" else 200)
    listed = record.extra["classes"]
    x, y = (np.array([c[k] for c in listed]) for k in ("ambiguous", "overlap"))
    same = record.contrast("ambiguous", "overlap", "ranking")
    assert same.mean == pytest.approx(statistics.spearman(x, y), abs=0.02)  # of rounded scores


# --- the page --------------------------------------------------------------------------------------------------------

FIGURES = ("table8", "fig2f", "dose_response", "ambiguity_scores")


def body(table):
    """Cells of a table as text, by row."""
    return [[c.strip() for c in line.strip("| ").split("|")] for line in str(table).splitlines()[2:]]


def test_files_are_of_the_record(record, tmp_path):
    before = plt.get_fignums()  # of other tests of this process
    files = {p.name for p in page.write(STUDY, record, tmp_path) if p.suffix != ".svg"}
    assert files == {f"ambiguity.{e}" for e in ("csv", "md", "tex", "json")} | {f"{n}.png" for n in FIGURES}
    assert plt.get_fignums() == before, "a page closes what it draws"
    assert Record.from_json(json.loads((tmp_path / "ambiguity.json").read_text())) == record
    text = (tmp_path / "ambiguity.md").read_text()
    assert "nan" not in text and "None" not in text and all(f"({n}.png)" in text for n in FIGURES)
    claims = [*record.claims, *frozen(record).values()]
    for word in ("holds", "does not hold", "undecided"):
        assert sum(row.count(f"| {word} ") for row in text.splitlines() if "no trend" in row) == sum(
            c.verdict == word and c.against == "no trend" for c in claims
        )
    assert all(c.claim in text for c in claims) and all(c in text for c in CLASSES)
    assert ambiguity.NO_TRUTH not in text
    lines = (tmp_path / "ambiguity.csv").read_text().splitlines()
    assert len(lines) == 1 + len(record.rows) + len(record.contrasts) + len(record.claims)
    assert (tmp_path / "ambiguity.tex").read_text().count(r"\begin{table}") == 4


def test_tables_show_the_record(record):
    """Row by row: Tables 8 and 9, Figure 2f's gains, trends, ranks, doses."""
    for tower in TOWERS:
        rows = body(ambiguity.table8(record, tower))
        for (m, kind), row in zip([(m, k) for m in ROWS for k in TYPES], rows, strict=True):
            cells = record.select("table8", m, tower=tower, type=kind)
            assert row == [ambiguity.ROLES[m], kind, *(f"{r.mean:.1f}" for r in cells)]
        rows = body(ambiguity.gains8(record, tower))
        assert [row[:2] for row in rows] == [[ambiguity.ROLES[m], k] for m in OURS for k in TYPES]
        first = record.contrast("coarse", "single", "table8", tower=tower, type="Ambi", degree=1)
        assert rows[0][2] == f"{first.mean:+z.1f} ({first.low:+z.0f} to {first.high:+z.0f})"
        for row, m in zip(body(ambiguity.table9(record, tower)), ROWS, strict=True):
            each = [record.find("table9", m, tower=tower, set=s) for s in ("Ambi", "Non", "average")]
            assert row[1:] == [x for r in each for x in (f"{r.mean:.1f}", f"{r.low:.1f} to {r.high:.1f}")]
        for name, make in (("trends", ambiguity.trends_table), ("dose-trends", ambiguity.dose_trends_table)):
            found = record.contrasts_of(name, tower=tower)
            assert [row[2] for row in body(make(record, tower))] == [f"{c.mean:+z.2f}" for c in found]
        found = record.contrasts_of("table9", tower=tower)
        assert [row[1] for row in body(ambiguity.differences9(record, tower))] == [f"{c.mean:+z.1f}" for c in found]
        for dose in ambiguity.DOSES:
            shown = {x for row in body(ambiguity.levels_table(record, dose, tower)) for x in row[1:]}
            assert shown == {f"{r.mean:.1f}" for r in record.select("dose", tower=tower, dose=dose)}
            shown = {x for row in body(ambiguity.gains_table(record, dose, tower)) for x in row[1:]}
            found = record.contrasts_of("dose", tower=tower, dose=dose)
            assert shown == {f"{c.mean:+z.1f} ({c.low:+z.1f} to {c.high:+z.1f})" for c in found}
    assert len(body(ambiguity.ranking_table(record))) == 11 and len(body(ambiguity.weight_table(record))) == 12
    assert [row[3] for row in body(ambiguity.frozen_verdicts(record))] == [c.verdict for c in frozen(record).values()]
    scores = [float(row[1]) for row in body(ambiguity.classes_table(record))]
    assert scores == sorted(scores, reverse=True) and len(scores) == 25


def test_printed_numbers_stand_apart(record):
    measured = "".join(str(f(record)) for f in (ambiguity.table8, ambiguity.table9, ambiguity.gains8))
    nine = str(page.show(STUDY, record, "table9-printed"))
    assert "ViT-B/16" not in measured and "ATM" in nine and "ViT-B/16" in nine
    eight = body(ambiguity.paper_table8(record))
    assert [row[2:] for row in eight] == [
        [f"{r['top1']:.1f}" for r in paper.load("table8") if (r["method"], r["type"]) == (row[0], row[1])]
        for row in eight
    ]
    assert eight[0][-1] == "69.3" and len(eight) == 8
    (falls,) = [row for row in body(ambiguity.paper_gains(record)) if row[:2] == ["Fusion", "Non"]]
    assert falls[2:5] == ["+6.4", "+2.9", "-0.35"]


def texts_of(figure):
    """Titles, labels and legends with their boxes in pixels; tick labels aside, of which some lie out of view."""
    figure.canvas.draw()
    ticks = {t for ax in figure.axes for t in (*ax.get_xticklabels(), *ax.get_yticklabels())}
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in ticks]
    return [(t.get_text(), t.get_window_extent()) for t in texts]


@pytest.mark.parametrize("make", ["table8_figure", "fig2f_figure", "dose_figure", "scores_figure"])
def test_no_text_covers_another(record, make):
    figure = getattr(ambiguity, make)(record)
    texts = texts_of(figure)
    assert len(texts) > 8
    for (a, x), (b, y) in combinations(texts, 2):
        width = min(x.x1, y.x1) - max(x.x0, y.x0)
        height = min(x.y1, y.y1) - max(x.y0, y.y0)
        assert min(width, height) <= 1, (a, b)  # pixels
    plt.close(figure)


def test_figures_show_measured_and_printed_numbers(record):
    figure = ambiguity.table8_figure(record)
    for column, kind in enumerate(TYPES):
        *measured, printed = figure.axes[column::2]
        for ax, lead in zip(measured, ("", "printed/"), strict=True):
            for bars, m in zip(ax.containers, ("single", *(f"{lead}{b}" for b in BRANCHES)), strict=True):
                cells = record.select("table8", m, tower="fine-tuned", type=kind)
                assert bars[0].get_ydata().tolist() == [r.mean for r in cells]
            assert ax.get_ylim() == measured[0].get_ylim() and ("as printed" in ax.get_title("left")) == bool(lead)
        for line, m in zip(printed.get_lines(), PAPER_ROWS, strict=True):
            title = ambiguity.ROLES[m]
            rows = [r for r in paper.load("table8") if (r["method"], r["type"]) == (title, kind)]
            assert np.asarray(line.get_ydata()).tolist() == [r["top1"] for r in rows]
            assert line.get_color() == ambiguity.LOOKS[m][0]
    plt.close(figure)
    figure = ambiguity.fig2f_figure(record)
    for row, m in enumerate(PAPER_ROWS):
        bars = [c for c in figure.axes[4 * row].containers if isinstance(c, BarContainer)]
        where = {"tower": "fine-tuned", "type": "Ambi"}
        of = [m] if m == "single" else [m, f"printed/{m}"]
        for own, name in zip(bars, of, strict=True):
            found = record.select("table8", m, **where) if row == 0 else record.contrasts_of("table8", name, **where)
            assert [b.get_height() for b in own] == [x.mean for x in found]
    plt.close(figure)
    figure = ambiguity.dose_figure(record)
    assert figure is not None
    panels = [(lead, *rest) for lead in ("", "printed/") for rest in (("mean", 4), ("single", 3))]
    for ax, (lead, against, count) in zip(figure.axes, panels, strict=True):
        legend = [text for text in map(Text.get_text, ax.findobj(Text)) if re.match(r"\w+: [+-]", text)]
        slope = record.contrast(f"{lead}fusion", against, "dose-trends", tower="fine-tuned", dose="irrelevant")
        assert ax.get_title("left").startswith("SFAR, as printed:" if lead else "SFAR:")
        assert len(legend) == count and legend[-1].startswith(f"Fusion: {slope.mean:+z.1f} (")
    plt.close(figure)


def test_one_seed(tmp_path):
    """Intervals are of the videos then, and everything is drawn."""
    record = made_up(1).record
    assert all(r.std == 0 for r in record.select("table8"))
    assert all(r.low < r.mean < r.high for r in record.select("overall", "fusion"))
    page.write(STUDY, record, tmp_path)
    text = (tmp_path / "ambiguity.md").read_text()
    assert "nan" not in text and "; seeds 0." in text
    assert page.seeds(record) == "1 seed"


def test_without_the_truth(record, tmp_path):
    """A real data set: Tables 8, 9 and Figure 2f are there, what needs the truth is absent and said to be."""
    parts = ("overall", "table8", "table9", "trends")
    real = dataclasses.replace(
        record,
        rows=[r for r in record.rows if r.part in parts],
        contrasts=[c for c in record.contrasts if c.part in parts],
        extra={"classes": [{k: c[k] for k in ("class", *TYPES.values(), "degree")} for c in record.extra["classes"]]},
    )
    STUDY.decided(real)
    assert len(real.claims) == 36 and not [c for c in real.claims if c.id.startswith(("dose", "ranking"))]
    assert len(frozen(real)) == 36
    files = {p.name for p in page.write(STUDY, real, tmp_path)}
    assert {"table8.png", "fig2f.png"} <= files and not files & {"dose_response.png", "ambiguity_scores.png"}
    text = (tmp_path / "ambiguity.md").read_text()
    assert ambiguity.NO_TRUTH in text and "dose_response" not in text and "True overlap" not in text
    assert "## Dose and response" not in text and "Do the label-free" not in text
    assert page.show(STUDY, real, "no-truth") == ambiguity.NO_TRUTH and page.show(STUDY, record, "no-truth") == ""
    plt.close("all")


# --- from videos to the record ---------------------------------------------------------------------------------------

NAMES = ("deadlifting", "long jump", "making pizza", "triple jump")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of eight validation videos of four classes."""
    root = tmp_path_factory.mktemp("k400")
    write_kinetics(root, 9, 1, 2, classes=NAMES, workers=1)
    return root


@pytest.mark.usefixtures("videos_here")
@pytest.mark.parametrize("known", [True, False])
def test_record_of_real_videos(videos, monkeypatch, known):
    """From videos on disk to the record, runs made up.

    Scores come from the right videos, the truth is used only where it is known.
    """
    profile = get_profile("storyboard", {"data.root": str(videos), "seeds": [0, 1]})
    clips = load_clips(profile, dataset(profile), "val")
    shown = truth(videos)
    used = clips.paths[::-1][:7]  # another order than the data set's, and one video less
    labels = [NAMES.index(shown[p]["label"]) for p in used]
    rng = np.random.default_rng(0)

    def run(base, variants, workers, desc):
        kept = {
            "paths": used,
            "labels": labels,
            "classes": list(NAMES),
            "seconds": 1.0,
            "trained": ["head"],
            "training": {"clips": 4, "bad": {}},
            "bad": {"a.mp4": "damaged"},
            "missing": [],
        }
        if known:
            kept |= {
                "irrelevant": [shown[p]["irrelevant"] for p in used],
                "relevant_mass": {k: rng.random(7).tolist() for k in ("uniform", "coarse", "fine")},
            }
        return {
            v.name: [
                {**kept, "views": {"1x1": {"ranks": rng.integers(0, 3, 7).tolist()}}} for _ in study.seeds_of(base, v)
            ]
            for v in variants
        }

    monkeypatch.setattr(study, "run", run)
    found = STUDY.measure(profile, 1)
    json.dumps(found.to_json(), allow_nan=False)
    clip = load_clip("storyboard")
    cls = embed_texts(clip, [profile.model.prompt.format(c) for c in NAMES]).cls
    by_class = {c: [] for c in NAMES}
    for p in used:
        x = center_crop(clips.read(clips.paths.index(p), lambda n: val_indices(n, 8)), 64)
        with torch.inference_mode():
            by_class[shown[p]["label"]].append(1 - literal_agreement(cls.tolist(), clip.encode_image(x).tolist())[0])
    classes = found.extra["classes"]
    assert [c["class"] for c in classes] == list(NAMES)
    for c, expected in zip(classes, literal_ambiguous(cls.tolist()), strict=True):
        assert c["ambiguous"] == pytest.approx(expected, abs=1e-4)
        assert c["non-uniform"] == pytest.approx(np.mean(by_class[c["class"]]), abs=1e-4)
        assert ("overlap" in c) == known and set(c["degree"]) == set(TYPES)
    assert found.data == {
        "train_clips": 4,
        "val_videos": 7,
        "classes": 4,
        "undecodable": {"a.mp4": "damaged"},
        "missing": [],
        "hardest": {"Ambi": 1, "Non": 1},
    }
    assert ("videos" in found.extra) == bool(found.contrasts_of("ranking")) == known
    assert all(bool(found.contrasts_of("dose", tower=t)) == known for t in TOWERS)
    text = page.markdown(STUDY, found, ["scores-figure", "dose-figure"] if not known else [])
    assert "nan" not in text and "a.mp4" not in text and "Undecodable videos: 1" in text
    if known:
        irrelevant = [shown[p]["irrelevant"] for p in used]
        assert found.extra["videos"]["irrelevant"] == pytest.approx(irrelevant, abs=1e-4)
        (jump,) = [c for c in classes if c["class"] == "long jump"]
        assert jump["overlap"] == pytest.approx(0.92)


# --- the committed record --------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(record, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match=r"ambiguity\.json is not there: run `make reproduce-table8` first"):
        STUDY.get()
    paths.write_json(paths.results("storyboard") / "ambiguity.json", record.to_json())
    with pytest.raises(SfarError, match="other code: run `make reproduce-table8` again"):
        STUDY.get()


def test_the_committed_record_fits_the_code_and_its_files():
    profile = get_profile("storyboard")
    written = STUDY.load(profile)
    folder = paths.results("storyboard")
    assert (folder / "ambiguity.md").read_text() == page.markdown(STUDY, written)
    assert (folder / "ambiguity.csv").read_text() == page.to_csv(STUDY, written)
    assert written.seeds == list(profile.seeds) and len(written.claims) == len(ambiguity.CLAIMS)
    assert len(frozen(written)) == len(ambiguity.FROZEN_CLAIMS)
    assert all((folder / f"{stem}.png").stat().st_size > 20_000 for stem in FIGURES)
