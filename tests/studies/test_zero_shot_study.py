"""The zero-shot study on made-up runs: protocols side by side, their intervals, its page, and the committed record."""

import zlib
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import DRAWN, get_profile
from sfar.model.registry import METHODS, rivals
from sfar.studies import zero_shot
from sfar.studies.core import page, study
from sfar.studies.core.statistics import interval, overlapping
from sfar.studies.zero_shot import LAYOUTS, PROTOCOLS, STUDY
from sfar.training.protocols import half10, split3

SEEDS = (0, 1, 2)
CLASSES, PER_CLASS = 10, 12
SETS = ("storyboard-ucf101", "storyboard-hmdb51")
MARGIN = {"vanilla": 0.9, "clip": 1.0, "temporal": 1.1, "single": 1.2, "sfar-printed": 2.2, "sfar": 2.6}
PATHS = [f"{c}/{i}.avi" for c in range(CLASSES) for i in range(PER_CLASS)]
LABELS = np.repeat(np.arange(CLASSES), PER_CLASS)
FOLDS = {
    k: {f"{c}/{i % PER_CLASS}.avi" for c in range(CLASSES) for i in range(5 * (k - 1), 5 * k)} for k in (1, 2, 3)
}  # the third takes up three videos of the first


def scores_of(method, seed, name):
    rng = np.random.default_rng([seed, zlib.crc32(f"{method}/{name}".encode())])
    scores = rng.normal(size=(len(LABELS), CLASSES))
    scores[np.arange(len(LABELS)), LABELS] += MARGIN[method]
    return scores


def made_up(base, variants, workers=None, desc="", most=None):
    """In place of ``study.run``: scores of the unseen sets by chance and the method's margin."""
    out = {}
    for v in variants:
        out[v.name] = []
        for seed in study.seeds_of(base, v, most):
            zero = {
                name: {
                    "scores": scores_of(v.method, seed, name).tolist(),
                    "labels": LABELS.tolist(),
                    "paths": PATHS,
                    "classes": [f"class {c}" for c in range(CLASSES)],
                }
                for name in SETS
            }
            out[v.name].append(
                {
                    "method": v.method,
                    "seed": seed,
                    "trained": [] if v.method == "vanilla" else ["head", "logit_scale", "visual"],
                    "zero_shot": zero,
                    "seconds": 1.0,
                    "labels": [0] * 7,
                    "classes": ["a"] * 5,
                    "bad": {},
                    "missing": [],
                    "training": {"clips": 40, "repeats": 1, "bad": {}},
                }
            )
    return out


def fold_list(name, root, split, fold):
    """In place of ``layouts.read``: the validation list of a fold."""
    assert (name in LAYOUTS, split) == (True, "val")
    return SimpleNamespace(clips=[SimpleNamespace(path=p) for p in sorted(FOLDS[fold])])


@pytest.fixture(scope="module")
def record():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "run", made_up)
        patch.setattr(zero_shot, "dataset", lambda p: SimpleNamespace(layout=DRAWN[p.data.dataset], root=""))
        patch.setattr(zero_shot.layouts, "read", fold_list)
        return STUDY.measure(get_profile("storyboard", {"seeds": list(SEEDS)}))


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_are_what_the_protocols_give(record):
    keys = [(r.part, r.row, r.setting["protocol"], r.metric) for r in record.rows]
    assert keys == [(d, m, p, k) for d in LAYOUTS for m in METHODS for p in PROTOCOLS for k in ("top1", "top5")]
    scores = [scores_of("sfar", s, SETS[0]) for s in SEEDS]
    half = [half10(s, LABELS) for s in scores]
    parts = [[p in FOLDS[k] for p in PATHS] for k in (1, 2, 3)]
    split = [split3([(s[keep], LABELS[keep]) for keep in parts]) for s in scores]
    row = {p: record.find("ucf101", "sfar", protocol=p) for p in PROTOCOLS}
    for p, each in (("half10", half), ("split3", split)):
        own = [e["top1"]["mean"] for e in each]
        assert row[p].per_seed == own and row[p].mean == pytest.approx(np.mean(own), abs=1e-3)
        assert row[p].std == pytest.approx(np.std(own, ddof=1), abs=1e-4) and row[p].low < row[p].mean < row[p].high
        assert row[p].more["protocol_std"] == pytest.approx(np.mean([e["top1"]["std"] for e in each]), abs=1e-3)
        five = record.find("ucf101", "sfar", "top5", protocol=p)
        assert five.mean == pytest.approx(np.mean([e["top5"]["mean"] for e in each]), abs=1e-3)
    full = row["all classes"]
    assert full.per_seed == pytest.approx([h["full"]["top1"] for h in half], abs=1e-3) and not full.more
    assert row["half10"].mean > full.mean, "half of the classes are easier"
    assert record.find("ucf101", "sfar", "top5", protocol="all classes").mean == pytest.approx(
        np.mean([h["full"]["top5"] for h in half]), abs=1e-3
    )


def test_differences_are_paired_under_every_protocol(record):
    keys = [(c.part, c.setting["protocol"], c.row, c.against) for c in record.contrasts]
    names = [m.name for m in rivals()]
    pairs = [(own, name) for own in ("sfar", "sfar-printed") for name in names] + [("sfar", "sfar-printed")]
    assert keys == [(d, p, *pair) for d in LAYOUTS for p in PROTOCOLS for pair in pairs]
    for c in record.contrasts:
        first, second = (record.find(c.part, m, protocol=c.setting["protocol"]).mean for m in (c.row, c.against))
        assert c.mean == pytest.approx(first - second, abs=2e-3) and c.low < c.mean < c.high
        assert c.verdict == ("holds" if c.low > 0 else "does not hold" if c.high < 0 else "undecided")


def test_claims_follow_the_intervals(record):
    each = ("highest", "training-helps")
    ids = [f"table2b-{of}-{what}{end}" for end in ("", "-printed") for of in LAYOUTS for what in each]
    assert [c.id for c in record.claims] == ids and all("half10" in c.claim for c in record.claims)
    assert {c.verdict for c in record.claims} == {"holds"}, "the made-up SFAR is far better, in both readings"
    for of, own in ((of, own) for of in LAYOUTS for own in ("sfar", "sfar-printed")):
        by = [c for c in record.contrasts_of(of, own, protocol="half10") if c.against != "sfar-printed"]
        top, helps = (record.claim(f"table2b-{of}-{what}{own.removeprefix('sfar')}") for what in each)
        assert len(by) == len(rivals()) and all(METHODS[own].title in c.claim for c in (top, helps))
        closest = min(by, key=lambda c: c.mean)
        assert (top.mean, top.low, top.high) == (closest.mean, closest.low, closest.high)
        assert top.against == METHODS[closest.against].title
        (vanilla,) = [c for c in by if c.against == "vanilla"]
        assert (helps.mean, helps.low, helps.high) == (vanilla.mean, vanilla.low, vanilla.high)
        printed = {r["method"]: r[of] for r in paper.load("table2b")}
        others = [v for m, v in printed.items() if m != "SFAR (ours)" and v is not None]
        assert top.printed == f"{printed['SFAR (ours)'] - max(others):+.1f}"


# --- parts that share videos -----------------------------------------------------------------------------------------


def test_overlapping_is_the_mean_over_parts():
    """Seed by seed; and its interval over videos is that of drawing videos and evaluating the parts anew."""
    rng = np.random.default_rng(0)
    videos, seeds = 200, 3
    members = [rng.random(videos) < 0.5 for _ in range(6)]
    hits = 100.0 * (rng.random((seeds, videos)) + 0.5 * rng.random(videos) + 0.05 * rng.normal(size=(seeds, 1)) < 0.8)
    values = overlapping([hits[:, m] for m in members], members)
    assert values.shape == hits.shape and values.mean() == pytest.approx(np.mean([hits[:, m].mean() for m in members]))
    assert values.mean(1) == pytest.approx(np.mean([hits[:, m].mean(1) for m in members], 0)), "seed by seed"
    plain = []
    for _ in range(1500):
        v = rng.integers(videos, size=videos)
        plain.append(np.mean([hits[0, v][m[v]].mean() for m in members]))
    _, low, high = interval(values[:1])[:3]
    assert high - low == pytest.approx(2 * 1.97 * np.std(plain), rel=0.08)


def test_the_same_part_ten_times_is_no_surer_than_once():
    hits = 100.0 * (np.random.default_rng(1).random((2, 60)) < 0.7)
    everywhere = np.ones(60, bool)
    assert overlapping([hits] * 10, [everywhere] * 10) == pytest.approx(hits)


def test_disjoint_parts_of_one_size_are_just_the_videos():
    hits = 100.0 * (np.random.default_rng(2).random((2, 60)) < 0.7)
    parts = [np.arange(60) % 3 == k for k in range(3)]
    values = overlapping([hits[:, m] for m in parts], parts)
    assert values.mean(1) == pytest.approx(hits.mean(1))
    for m in parts:  # each video's own value, moved to the common mean
        moved = values[:, m] - values.mean(1, keepdims=True)
        assert moved == pytest.approx(hits[:, m] - hits[:, m].mean(1, keepdims=True))


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", LAYOUTS)
def test_forms_hold_the_same_numbers(record, of):
    text, tex = page.markdown(STUDY, record), page.latex(STUDY, record)
    table, more = page.show(STUDY, record, f"{of}-rows"), page.show(STUDY, record, f"{of}-more")
    assert str(table) in text and str(more) in text
    for line, further, (name, method) in zip(table.rows, more.rows, METHODS.items(), strict=True):
        half, split, full = (record.find(of, name, protocol=p) for p in PROTOCOLS)
        cells = [
            f"{half.mean:.1f} ± {half.more['protocol_std']:.1f}",
            f"{half.low:.1f} to {half.high:.1f}",
            f"{split.mean:.1f} ± {split.more['protocol_std']:.1f}",
            f"{split.low:.1f} to {split.high:.1f}",
            full.mean,
            f"{full.low:.1f} to {full.high:.1f}",
        ]
        seeds, trained = ("none", "nothing") if name == "vanilla" else (3, "head, logit_scale, visual")
        assert line == [method.title, *cells, seeds, trained]
        assert rf"{half.mean:.1f} $\pm$ {half.more['protocol_std']:.1f} & {half.low:.1f} to" in tex
        fives = [record.find(of, name, "top5", protocol=p).mean for p in PROTOCOLS]
        stds = [page.deviation(r) for r in (half, split, full)]
        assert further == [method.title, *(x for pair in zip(stds, fives, strict=True) for x in pair)]


def test_measured_and_printed_never_share_a_table(record):
    shown = [page.show(STUDY, record, f"{of}-{what}") for of in LAYOUTS for what in ("rows", "more", "differences")]
    measured = "".join(map(str, shown))
    printed = {r["method"] for n in ("table2b", "table10") for r in paper.load(n)} - {"BIKE", "SFAR (ours)"}
    assert printed and not any(f" {m} " in measured for m in printed)
    for n in ("table2b", "table10"):
        table = page.show(STUDY, record, n)
        assert [line[-2:] for line in table.rows] == [[r["ucf101"], r["hmdb51"]] for r in paper.load(n)]


def test_every_protocol_has_its_differences_on_the_page(record):
    table = str(page.show(STUDY, record, "hmdb51-differences"))
    assert [table.count(f"{p}: SFAR") for p in PROTOCOLS] == [2 * len(rivals()) + 1] * 3
    assert [table.count(f"{p}: {METHODS['sfar-printed'].title} −") for p in PROTOCOLS] == [len(rivals())] * 3
    assert all(words in page.show(STUDY, record, "protocols") for words in ("10 draws", "3 official", "BIKE", "X-CLIP"))


def test_the_head_says_what_was_trained_and_tested_on(record):
    text = page.head(STUDY, record)
    assert "Trained on Kinetics-400's layout" in text and "videos of classes that training did not have" in text
    assert "bundled sub-texts" in text and "seeds 0, 1, 2." in text
    assert record.data["sets"] == {of: {"classes": CLASSES, "videos": len(LABELS)} for of in LAYOUTS}


def test_the_figure_shows_every_value_apart_from_the_papers(record):
    fig = zero_shot.figure(record)
    fig.canvas.draw()
    assert len(fig.axes) == 4
    for ax, of in zip(fig.axes[:2], LAYOUTS, strict=True):
        points = {float(line.get_xdata()[0]) for line in ax.get_lines() if len(line.get_xdata()) == 1}
        assert points == {r.mean for r in record.select(of, metric="top1")}
        assert sum(len(line.get_xdata()) == 2 for line in ax.get_lines()) == 3 * len(METHODS), "an interval for each"
        assert "Measured" in ax.get_title("left")
    for ax, of in zip(fig.axes[2:], LAYOUTS, strict=True):
        shown = sorted(float(line.get_xdata()[0]) for line in ax.get_lines())
        assert shown == sorted(r[of] for r in paper.load("table2b")) and "Printed" in ax.get_title("left")
    plt.close(fig)


# --- the committed record --------------------------------------------------------------------------------------------


def test_committed_record():
    """It fits the code and has every row."""
    profile = get_profile("storyboard")
    kept = STUDY.load(profile)
    assert kept.seeds == list(profile.seeds) and [kept.names(of) for of in LAYOUTS] == [list(METHODS)] * 2
    assert all(about["classes"] == 10 and about["videos"] in (560, 580) for about in kept.data["sets"].values())
    for r in kept.select(metric="top1"):
        assert (
            r.seeds == (1 if r.row == "vanilla" else len(profile.seeds))
            and r.videos == kept.data["sets"][r.part]["videos"]
        )
