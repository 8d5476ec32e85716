"""Appendix A.2, Tables 8 and 9, and the dose-response test: equations against plain loops, the truth on hand-made scripts, trends of known size."""

import copy
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from sfar import paper
from sfar.config import get_profile
from sfar.data.source import dataset, load_clips
from sfar.data.transforms import center_crop, val_indices
from sfar.model.clip import embed_texts, load_clip
from sfar.render import tables
from sfar.storyboard import scripts
from sfar.storyboard.scripts import KINETICS
from sfar.storyboard.write import truth, write_kinetics
from sfar.studies import ambiguity, ambiguity_page
from sfar.studies.core import degrees as A
from sfar.studies.core import statistics, study
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
    sigma = A.class_similarity(cls)
    assert sigma.dtype == np.float64 and sigma.min() >= 0 and sigma.max() <= 1 and np.allclose(np.diag(sigma), 1)
    assert np.allclose(A.ambiguous_score(sigma), literal_ambiguous(cls.tolist()), atol=1e-9)
    predictions = A.frame_predictions(frames, cls)
    pairs = A.frame_similarity(sigma, predictions)
    assert pairs.shape == (7, 4, 4)
    for video, found, row in zip(frames.tolist(), A.agreement(pairs), predictions.tolist()):
        expected, predicted = literal_agreement(cls.tolist(), video)
        assert row == predicted and found == pytest.approx(expected, abs=1e-9)


def test_ambiguous_score_of_known_classes():
    """Twelve classes: the score counts ten others, so that the least similar one is left out; with three it counts both others."""
    angles = np.radians([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 180])
    sigma = A.class_similarity(np.stack([np.cos(angles), np.sin(angles)], 1))
    assert A.ambiguous_score(sigma)[0] == pytest.approx(np.mean([(math.cos(a) + 1) / 2 for a in angles[1:11]]))
    three = A.class_similarity(np.array([[1.0, 0], [1, 0], [-1, 0]]))
    assert A.ambiguous_score(three).tolist() == pytest.approx([0.5, 0.5, 0])
    with pytest.raises(ValueError, match="at least 2 classes"):
        A.ambiguous_score(np.ones((1, 1)))


def test_direction_of_the_non_uniform_score():
    """Frames that are all predicted alike are the most uniform; more and less similar classes lie in between."""
    cls = np.array([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [-1, 0, 0]])
    predictions = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 2, 2], [0, 3, 0, 3]])
    score = A.non_uniform_score(A.frame_similarity(A.class_similarity(cls), predictions))
    assert score[0] == pytest.approx(0, abs=1e-12) and np.all(np.diff(score) > 0)
    assert score[3] == pytest.approx(4 * 2 / 12)  # of twelve ordered pairs eight are opposite
    with pytest.raises(ValueError, match="at least 2 frames"):
        A.agreement(np.ones((3, 1, 1)))


@pytest.mark.parametrize("classes", [1, 3, 9, 10, 11, 25, 400])
def test_degrees(classes):
    scores = np.random.default_rng(classes).permutation(classes) / 7
    d = A.degrees(scores)
    assert d.min() >= 1 and d.max() == 10
    assert (d == 10).sum() == math.ceil(classes / 10), "degree 10 is the top-10 % set"
    assert np.all(np.diff(d[np.argsort(scores)]) >= 0), "a higher score has no lower degree"
    if classes >= 10:
        counts = np.bincount(d, minlength=11)[1:]
        assert counts.max() - counts.min() <= 1
    with_gap = A.degrees(np.append(scores, np.nan))
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
    found = A.class_means(np.array([1.0, 3, 5]), np.array([0, 0, 2]), 3)
    assert found[[0, 2]].tolist() == [2, 5] and np.isnan(found[1])


# --- the truth -------------------------------------------------------------------------------------------------------

SCRIPTS = {
    "a": (("run", 0.7), ("jump", 0.3)),
    "b": (("run", 0.2), ("fall", 0.8)),
    "c": (("jump", 0.4), ("fall", 0.5), ("wave", 0.1)),
    "d": (("sit", 1.0),),
}


def test_true_ambiguity():
    found = A.true_ambiguity(SCRIPTS)
    assert found["overlap"].tolist() == pytest.approx([0.7, 0.8, 0.5, 0])
    assert found["shared"].tolist() == pytest.approx([1, 1, 0.9, 0])
    assert found["top10"].tolist() == pytest.approx([1 / 3, 1 / 3, 0.9 / 3, 0])
    assert A.overlaps(SCRIPTS)[2].tolist() == pytest.approx([0.4, 0.5, 1, 0])
    world = A.true_ambiguity(KINETICS)
    assert dict(zip(KINETICS, world["overlap"])) == scripts.true_ambiguity(KINETICS)
    assert np.all(world["overlap"] <= world["shared"] + 1e-12) and np.all(world["top10"] <= world["overlap"] + 1e-12)


def test_true_non_uniformity():
    one = A.true_non_uniformity([["sit", 20, True]], 8)
    assert one == {"disagreement": 0, "unevenness": 0, "momentary": 0, "irrelevant": 0}
    even = A.true_non_uniformity([["a", 8, True], ["b", 8, True]], 8)
    assert (
        even["disagreement"] == pytest.approx(1 - 24 / 56)
        and even["unevenness"] == pytest.approx(0)
        and even["momentary"] == 0
    )
    # The same action twice is one action; 16 of 20 frames, 2 and 2; "c" is not the class's own.
    mixed = A.true_non_uniformity([["a", 10, True], ["b", 2, True], ["c", 2, False], ["a", 6, True]], 10)
    seen = ["a"] * 5 + ["b"] + ["c"] + ["a"] * 3
    assert mixed["disagreement"] == pytest.approx(sum(x != y for x in seen for y in seen) / 90)
    assert mixed["unevenness"] == pytest.approx(1 - (-0.8 * math.log(0.8) - 2 * 0.1 * math.log(0.1)) / math.log(3))
    assert mixed["momentary"] == 0.5 and mixed["irrelevant"] == pytest.approx(0.1)


# --- statistics ------------------------------------------------------------------------------------------------------


def test_bins_hold_every_value_once():
    for d in ambiguity.DOSES.values():
        x = np.concatenate([np.linspace(0, 1, 101), np.array(d.edges)])
        masks = ambiguity.in_bins(x, d.edges)
        assert len(masks) == len(d.edges) - 1 and np.all(np.sum(masks, 0) == 1)
        assert [bool(m[x == e].all()) for m, e in zip(masks, d.edges)] == [True] * len(masks), (
            "a lower edge belongs to its bin"
        )
    assert ambiguity.in_bins(np.array([1.0 + 1e-12]), (0, 0.5, 1))[1].all(), (
        "rounding does not lose a class that shares all its time"
    )


def test_slope_is_least_squares():
    rng = np.random.default_rng(3)
    x, y, w = rng.random(40), rng.normal(size=(2, 40)), rng.integers(0, 4, (2, 40)).astype(float)
    found = ambiguity.slope(x)(y, w)
    for i in range(2):
        assert found[i] == pytest.approx(np.polyfit(x, y[i], 1, w=np.sqrt(w[i]))[0])
    assert (
        np.isnan(ambiguity.slope(np.ones(40))(y, w)).all()
        and ambiguity.resample(y, ambiguity.slope(np.ones(40))) is None
    )


def synthetic(rng, slope, classes=25, per_class=8, seeds=3, by_class=False):
    """Gains [seeds, videos] in points of a known slope over x, with noise of seeds, classes and videos as measured ones have."""
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


@pytest.mark.parametrize("by_class", [False, True])
def test_trend_of_known_slope(by_class):
    """A strong trend is found with its size, none is claimed where there is none, and the interval holds the truth about as often as it says."""
    rng = np.random.default_rng(11)
    hold = {0.0: 0, 60.0: 0}
    above = {0.0: 0, 60.0: 0}
    worlds = 60
    for true in hold:
        for _ in range(worlds):
            gain, x, labels = synthetic(rng, true, by_class=by_class)
            t = ambiguity.resample(gain, ambiguity.slope(x), labels if by_class else None, draws=250)
            hold[true] += t["low"] <= true <= t["high"]
            above[true] += t["low"] > 0
    assert min(hold.values()) >= 0.83 * worlds, hold  # at 95 % fewer than 50 of 60 is a matter of one in a thousand
    assert above[0.0] <= 0.12 * worlds and above[60.0] >= 0.9 * worlds, above


def test_classes_are_the_evidence_about_classes():
    """An effect of the class is no trend: resampling videos alone would call it one, the interval over classes is wider."""
    rng = np.random.default_rng(5)
    gain, x, labels = synthetic(rng, 0, classes=8, per_class=50, by_class=True)
    over_videos, over_classes = (ambiguity.resample(gain, ambiguity.slope(x), groups) for groups in (None, labels))
    assert over_classes["high"] - over_classes["low"] > 1.3 * (over_videos["high"] - over_videos["low"])


def test_resampled_subset_mean_agrees_with_the_other_bootstrap():
    rng = np.random.default_rng(8)
    gain = rng.normal(3, 20, (4, 300))
    mask = np.arange(300) < 90
    ours = ambiguity.resample(gain, ambiguity.subset_mean(mask), draws=4000)
    mean, low, high = statistics.bootstrap_mean(gain[:, mask])
    assert (
        ours["value"] == pytest.approx(mean, abs=1e-4)
        and ours["low"] == pytest.approx(low, abs=0.5)
        and ours["high"] == pytest.approx(high, abs=0.5)
    )


# --- the record ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """Intervals from fewer draws: no test here depends on their second digit."""
    patch = pytest.MonkeyPatch()
    patch.setattr(ambiguity, "DRAWS", 300)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def record():
    """A record of made-up hits on 25 classes with 8 videos each: fusion gains where frames are irrelevant, coarse nowhere, fine loses."""
    rng = np.random.default_rng(0)
    names, per_class = list(KINETICS), 8
    labels = np.repeat(np.arange(25), per_class)
    true_class = A.true_ambiguity(KINETICS)
    irrelevant = rng.uniform(0, 0.75, len(labels))
    disagreement = rng.uniform(0.4, 1, len(labels))
    non_uniform = disagreement / 4 + rng.normal(0, 0.02, len(labels))
    per = {
        "ambiguous": true_class["overlap"] / 10 + rng.normal(0, 0.01, 25),
        "non_uniform": A.class_means(non_uniform, labels, 25),
    }
    degree = {kind: A.degrees(per[key]) for kind, key in ambiguity.TYPES.items()}
    hit = lambda p: 100.0 * (rng.random((3, len(labels))) < np.clip(p, 0, 1))  # noqa: E731
    base = 0.5 - 0.02 * degree["Ambi"][labels]
    mass = rng.uniform(0, 0.3, (3, len(labels))) * (irrelevant > 0.2)
    record = {
        "table": "ambiguity",
        "profile": "storyboard",
        "inputs": "0",
        "seeds": [0, 1, 2],
        "towers": {},
        "data": {
            "train_clips": 600,
            "val_videos": len(labels),
            "classes": 25,
            "undecodable": {},
            "missing": [],
            "hardest": {k: int((d == 10).sum()) for k, d in degree.items()},
        },
        "provenance": {"command": "make x", "revision": "r", "hardware": "h", "date": "d", "config": {}},
    }
    true_video = {
        "disagreement": disagreement,
        "unevenness": rng.random(len(labels)),
        "momentary": rng.random(len(labels)),
        "irrelevant": irrelevant,
    }
    record["ranking"] = ambiguity._ranking(per, {"non_uniform": non_uniform}, labels, true_class, true_video)
    record["videos"] = {
        "label": labels.tolist(),
        "non_uniform": non_uniform.tolist(),
        **{k: v.tolist() for k, v in true_video.items()},
    }
    record["class_scores"] = [
        {
            "class": c,
            **{k: float(v[i]) for k, v in per.items()},
            **{f"degree_{k}": int(d[i]) for k, d in degree.items()},
            "truth": {k: float(v[i]) for k, v in true_class.items()},
        }
        for i, c in enumerate(names)
    ]
    for tower, roles in ambiguity.TOWERS.items():
        chance = {
            "mean": base,
            "flat": base,
            "single": base + 0.1,
            "coarse": base + 0.1,
            "fine": base - 0.5,
            "fusion": base + irrelevant,
        }
        value = {role: hit(chance[role]) for role in roles}
        record["towers"][tower] = ambiguity._tower(value, labels, degree)
        dose = {"irrelevant": irrelevant, "overlap": true_class["overlap"][labels], "disagreement": disagreement}
        runs = [
            {"relevant_mass": {"uniform": 1 - irrelevant, "coarse": 1 - irrelevant + m, "fine": 1 - irrelevant + 2 * m}}
            for m in mass
        ]
        record["towers"][tower]["dose"] = ambiguity._dose(value, labels, dose, {"fusion": runs})
    claimed = {
        t: [*ambiguity._claims(record["towers"][t]), *ambiguity._dose_claims(record["towers"][t])]
        for t in record["towers"]
    }
    record["claims"], record["frozen_claims"] = (
        [*claimed["fine-tuned"], *ambiguity._ranking_claims(record)],
        claimed["frozen"],
    )
    return json.loads(json.dumps(record, allow_nan=False))


def verdict(record, start, which="claims"):
    (found,) = [c["verdict"] for c in record[which] if c["claim"].startswith(start)]
    return found


def test_claims_say_what_was_built_in(record):
    assert verdict(record, "the gain of fusion over mean pooling rises with the true share") == "holds"
    assert verdict(record, "the gain of fine over mean pooling rises with the true share") == "undecided"
    assert (
        verdict(
            record,
            "the gain of fusion over the same head with nearly equal weights rises with the true share",
            "frozen_claims",
        )
        == "holds"
    )
    assert (
        verdict(record, "the ambiguous score ranks") == "holds"
        and verdict(record, "the non-uniform score ranks videos by the true") == "holds"
    )
    assert verdict(record, "the non-uniform score ranks videos by how unevenly") == "undecided"
    assert verdict(record, "the higher the ambiguous degree") == "holds"
    assert verdict(record, "fine helps on the most non-uniform classes") == "does not hold"
    assert verdict(record, "SFAR is ahead of single granularity on the average") == "holds"
    assert not [c for c in record["claims"] if "nearly equal weights rises" in c["claim"]], (
        "the fine-tuned tower has no such run"
    )


def test_claims_follow_their_intervals(record):
    tower = copy.deepcopy(record["towers"]["fine-tuned"])
    said = lambda start: next(
        c for c in [*ambiguity._claims(tower), *ambiguity._dose_claims(tower)] if c["claim"].startswith(start)
    )
    gains = [g for g in tower["gains8"] if (g["type"], g["name"]) == ("Ambi", "fusion")]
    for g in gains:
        g.update(mean=3.0, low=1.0, high=5.0, verdict="holds")
    assert said("fusion is ahead of single granularity at every ambiguous degree")["verdict"] == "holds"
    gains[4].update(mean=0.5, low=-1.0, high=2.0, verdict="undecided")
    worst = said("fusion is ahead of single granularity at every ambiguous degree")
    assert (worst["verdict"], worst["against"], worst["mean"]) == ("undecided", "Single, degree 5", 0.5)
    gains[7].update(mean=0.6, low=-2.0, high=-0.1, verdict="does not hold")
    assert said("fusion is ahead of single granularity at every ambiguous degree")["verdict"] == "does not hold"
    for g in tower["gains9"]:
        if (g["name"], g["against"], g["set"]) == ("coarse", "fine", "Non"):
            g.update(mean=4.0, low=1.0, high=7.0)
    turned = said("fine helps more than coarse on the most non-uniform")
    assert (turned["verdict"], turned["mean"], turned["low"], turned["high"]) == ("does not hold", -4, -7, -1)
    t = ambiguity.find_trend(tower["trends"], "Ambi", "single", None)
    t.update(value=2.0, low=1.0, high=3.0)
    assert said("the higher the ambiguous degree")["verdict"] == "does not hold", (
        "an accuracy that rises is the opposite"
    )
    t = ambiguity.find_trend(tower["dose"]["trends"], "irrelevant", "coarse", "mean")
    for low, high, expected in ((0.1, 2, "holds"), (-1, 2, "undecided"), (-2, -0.1, "does not hold")):
        t.update(value=(low + high) / 2, low=low, high=high)
        assert said("the gain of coarse over mean pooling rises with the true share")["verdict"] == expected


def test_cells_are_means_of_their_videos(record):
    tower = record["towers"]["fine-tuned"]
    overall = {r["method"]: r["mean"] for r in tower["overall"]}
    for kind in ambiguity.TYPES:
        for m in ambiguity.ROWS:
            cells = [r for r in tower["table8"] if (r["type"], r["method"]) == (kind, m)]
            assert [r["degree"] for r in cells] == list(range(1, 11)) and sum(r["videos"] for r in cells) == record[
                "data"
            ]["val_videos"]
            assert np.average([r["mean"] for r in cells], weights=[r["videos"] for r in cells]) == pytest.approx(
                overall[m], abs=1e-3
            )
            assert all(r["low"] <= r["mean"] <= r["high"] for r in cells)
    at = {(r["method"], r["set"]): r["mean"] for r in tower["table9"]}
    for g in tower["gains9"]:
        assert g["mean"] == pytest.approx(at[g["name"], g["set"]] - at[g["against"], g["set"]], abs=1e-3)
    for m in ambiguity.ROWS:
        assert at[m, "Ambi"] == next(
            r["mean"] for r in tower["table8"] if (r["type"], r["method"], r["degree"]) == ("Ambi", m, 10)
        )
        assert at[m, "average"] == pytest.approx((at[m, "Ambi"] + at[m, "Non"]) / 2, abs=1e-3)
    for dose in ambiguity.DOSES:
        bins = [b for b in tower["dose"]["bins"] if (b["dose"], b["name"], b["against"]) == (dose, "fusion", "mean")]
        assert sum(b["videos"] for b in bins) == record["data"]["val_videos"]
        assert np.average([b["mean"] for b in bins], weights=[b["videos"] for b in bins]) == pytest.approx(
            overall["fusion"] - overall["mean"], abs=1e-3
        )


def test_extra_weight_is_above_equal_weights(record):
    """Built in: between 0 and 0.3 for a_coarse where more than a fifth is irrelevant, twice that for a_fine."""
    dose = record["towers"]["fine-tuned"]["dose"]
    by = {r["importance"]: r["mean"] for r in dose["extra_weight"]}
    assert 5 < by["coarse"] < 15 and by["fine"] == pytest.approx(2 * by["coarse"], abs=1e-3)
    slope = {
        which: next(t["value"] for t in dose["trends"] if (t["of"], t["against"]) == (f"found by a_{which}", "mean"))
        for which in ("coarse", "fine")
    }
    assert slope["coarse"] == pytest.approx(2 * slope["fine"], abs=1e-3), "the same gains over twice the weight"
    levels = {
        m: [b["mean"] for b in dose["levels"] if (b["dose"], b["method"]) == ("irrelevant", m)]
        for m in ("fusion", "mean")
    }
    gains = [
        b["mean"] for b in dose["bins"] if (b["dose"], b["name"], b["against"]) == ("irrelevant", "fusion", "mean")
    ]
    assert gains == pytest.approx([a - b for a, b in zip(levels["fusion"], levels["mean"])], abs=1e-3)


def test_page_agrees_with_the_record(record, tmp_path):
    files = {p.name for p in ambiguity_page.write(record, tmp_path)}
    assert files == {f"ambiguity.{e}" for e in ("csv", "md", "tex", "json")} | {
        f"{n}.png" for n in ("table8", "fig2f", "dose_response", "ambiguity_scores")
    }
    assert json.loads((tmp_path / "ambiguity.json").read_text()) == record and not plt.get_fignums()
    page = (tmp_path / "ambiguity.md").read_text()
    assert page.rstrip() == ambiguity_page.as_markdown(record).rstrip() and "nan" not in page
    assert page.count("| holds") == sum(c["verdict"] == "holds" for c in (*record["claims"], *record["frozen_claims"]))
    row = next(
        line for line in ambiguity_page.table8_markdown(record).splitlines() if line.startswith("| Fusion | Non")
    )
    cells = [r for r in record["towers"]["fine-tuned"]["table8"] if (r["method"], r["type"]) == ("fusion", "Non")]
    assert [c.strip() for c in row.strip("| ").split("|")][2:] == [f"{r['mean']:.1f}" for r in cells]
    csv = ambiguity_page.csv_rows(record)
    assert all(len(r) == len(ambiguity_page.CSV_COLUMNS) for r in csv)
    gains = {
        (t, of, b): v
        for t, part, of, b, name, against, _, v, *_ in csv
        if (part, name, against) == ("degree", "coarse", "single")
    }
    assert gains == {
        (t, g["type"], g["degree"]): g["mean"]
        for t in record["towers"]
        for g in record["towers"][t]["gains8"]
        if g["name"] == "coarse"
    }


def test_written_files_are_of_the_written_record():
    folder = paths.results("storyboard")
    written = json.loads((folder / "ambiguity.json").read_text())
    assert (folder / "ambiguity.md").read_text().rstrip() == ambiguity_page.as_markdown(written).rstrip()
    assert (folder / "ambiguity.csv").read_text() == tables.to_csv(
        ambiguity_page.CSV_COLUMNS, ambiguity_page.csv_rows(written)
    )
    for which, tower in (("claims", "fine-tuned"), ("frozen_claims", "frozen")):
        again = [*ambiguity._claims(written["towers"][tower]), *ambiguity._dose_claims(written["towers"][tower])]
        assert [c for c in written[which] if c in again] == again, "verdicts follow from the record's own numbers"


def test_printed_numbers_stand_apart(record):
    measured = "".join(
        f(record)
        for f in (ambiguity_page.table8_markdown, ambiguity_page.table9_markdown, ambiguity_page.gains8_markdown)
    )
    assert "ViT-B/16" not in measured and "ATM" in ambiguity_page.paper9_markdown()
    assert "| 69.3" in ambiguity_page.paper8_markdown() and ambiguity_page.paper8_markdown().count("\n") == 9
    falls = next(
        line
        for line in ambiguity_page.paper_trends_markdown().splitlines()
        if line.startswith("| Fusion") and "Non" in line
    )
    assert "+6.4" in falls and "+2.9" in falls and "-0.35" in falls


def test_without_the_truth(record):
    """A real data set: Tables 8, 9 and Figure 2f are there, what needs the truth is absent and said to be."""
    real = copy.deepcopy(record)
    del real["ranking"], real["videos"]
    for part in real["towers"].values():
        del part["dose"]
        assert ambiguity._dose_claims(part) == []
    for c in real["class_scores"]:
        del c["truth"]
    assert ambiguity._ranking_claims(real) == []
    page = ambiguity_page.as_markdown(real)
    assert ambiguity_page.NO_TRUTH in page and "dose_response" not in page and "True overlap" not in page
    figures = ambiguity_page.figures(real)
    plt.close("all")
    assert set(figures) == {"table8", "fig2f"}


NAMES = ("deadlifting", "long jump", "making pizza", "triple jump")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of eight validation videos of four classes."""
    root = tmp_path_factory.mktemp("k400")
    write_kinetics(root, 9, 1, 2, classes=NAMES, workers=1)
    return root


@pytest.mark.parametrize("known", [True, False])
def test_record_of_real_videos(videos, monkeypatch, known):
    """From videos on disk to the record, runs made up: scores come from the right videos, the truth is used only where it is known."""
    profile = get_profile("storyboard", {"data.root": str(videos), "seeds": [0, 1]})
    clips = load_clips(profile, dataset(profile), "val")
    shown = truth(videos)
    paths = clips.paths[::-1][:7]  # another order than the data set's, and one video less
    labels = [NAMES.index(shown[p]["label"]) for p in paths]
    rng = np.random.default_rng(0)

    def run(base, variants, seeds, workers, desc):
        kept = {
            "paths": paths,
            "labels": labels,
            "classes": list(NAMES),
            "seconds": 1.0,
            "training": {"clips": 4, "bad": {}},
            "bad": {"a.mp4": "damaged"},
            "missing": [],
        }
        if known:
            kept |= {
                "irrelevant": [shown[p]["irrelevant"] for p in paths],
                "relevant_mass": {k: rng.random(7).tolist() for k in ("uniform", "coarse", "fine")},
            }
        return {
            v.name: [
                {**kept, "views": {"1x1": {"ranks": rng.integers(0, 3, 7).tolist()}}}
                for _ in (seeds if v.method != "vanilla" else seeds[:1])
            ]
            for v in variants
        }

    monkeypatch.setattr(study, "run", run)
    found = json.loads(json.dumps(ambiguity._runs(profile, 1), allow_nan=False))
    clip = load_clip("storyboard")
    cls = embed_texts(clip, [profile.model.prompt.format(c) for c in NAMES]).cls
    by_class = {c: [] for c in NAMES}
    for p in paths:
        x = center_crop(clips.read(clips.paths.index(p), lambda n: val_indices(n, 8)), 64)
        with torch.inference_mode():
            by_class[shown[p]["label"]].append(1 - literal_agreement(cls.tolist(), clip.encode_image(x).tolist())[0])
    assert [c["class"] for c in found["class_scores"]] == list(NAMES)
    for c, expected in zip(found["class_scores"], literal_ambiguous(cls.tolist())):
        assert c["ambiguous"] == pytest.approx(expected, abs=1e-4) and c["non_uniform"] == pytest.approx(
            np.mean(by_class[c["class"]]), abs=1e-4
        )
        assert ("truth" in c) == known
    assert found["data"] == {
        "train_clips": 4,
        "val_videos": 7,
        "classes": 4,
        "undecodable": {"a.mp4": "damaged"},
        "missing": [],
        "hardest": {"Ambi": 1, "Non": 1},
    }
    assert ("videos" in found) == ("ranking" in found) == known and all(
        ("dose" in t) == known for t in found["towers"].values()
    )
    if known:
        assert found["videos"]["irrelevant"] == pytest.approx([shown[p]["irrelevant"] for p in paths], abs=1e-4)
        assert next(c["truth"]["overlap"] for c in found["class_scores"] if c["class"] == "long jump") == pytest.approx(
            0.92
        )
