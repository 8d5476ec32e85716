"""Table 4: gains of classes, their trend, and a class-aware N that learns nothing from the videos it is tested on."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_ablations import CLASSES, figures_drawn, made_up, measured

from sfar import paper
from sfar.config import get_profile
from sfar.storyboard.scripts import ACTIVITIES
from sfar.studies import ablations, sub_actions
from sfar.studies.core import page, statistics
from sfar.studies.sub_actions import NS, STUDY


def classes_of(record):
    return record.contrasts_of("classes")


def actions_and_gains(record):
    rows = classes_of(record)
    return [c.more["actions"] for c in rows], [c.mean for c in rows]


@pytest.fixture(scope="module")
def record():
    return measured(sub_actions, per_class=4)


@pytest.fixture(scope="module")
def foreign():
    """Of a set whose classes have no scripts, with too many scores to be kept, and too long to be drawn."""
    return measured(sub_actions, seeds=(0,), classes=[f"class {i:02d} & more_{i}" for i in range(40)], scores=False)


# --- the record ------------------------------------------------------------------------------------------------------


def test_classes_are_those_of_the_runs(record):
    by = made_up(4)(get_profile("storyboard", {"frozen_seeds": [0, 1, 2]}), ablations.FIG7A)
    for c in classes_of(record):
        k = CLASSES.index(c.setting["cls"])
        for n in NS:
            right = [
                rank < 1
                for run in by[f"n{n}"]
                for rank, label in zip(run["views"]["1x1"]["ranks"], run["labels"], strict=True)
                if label == k
            ]
            assert c.more[f"n{n}"] == pytest.approx(100 * sum(right) / len(right), abs=1e-3) and len(right) == 12
        assert c.mean == pytest.approx(c.more["n5"] - c.more["n2"], abs=2e-4) and c.low <= c.mean <= c.high
        assert c.more["actions"] == len(ACTIVITIES[c.setting["cls"]]) and c.more["videos"] == 4
    gains = [c.mean for c in classes_of(record)]
    assert gains == sorted(gains, reverse=True) and len(gains) == 25


def _loop_spearman(x, y):
    """Pearson's coefficient of mean ranks, written out."""

    def rank(v):
        return [sum(b < a for b in v) + (sum(b == a for b in v) - 1) / 2 for a in v]

    p, q = rank(x), rank(y)
    mp, mq = sum(p) / len(p), sum(q) / len(q)
    cov = sum((a - mp) * (b - mq) for a, b in zip(p, q, strict=True))
    return cov / math.sqrt(sum((a - mp) ** 2 for a in p) * sum((b - mq) ** 2 for b in q))


def test_trend_agrees_with_a_plain_loop(record):
    (trend,) = record.contrasts_of("trend")
    assert trend.mean == pytest.approx(_loop_spearman(*actions_and_gains(record)), abs=2e-4)


def test_kinds_are_means_over_classes(record):
    kinds = record.contrasts_of("kinds")
    for k in kinds:
        many = k.setting["actions"] == "3 or more"
        own = [c.mean for c in classes_of(record) if (c.more["actions"] >= 3) == many]
        assert k.more["classes"] == len(own) and k.mean == pytest.approx(sum(own) / len(own), abs=1e-3)
        assert k.low <= k.mean <= k.high
    assert sum(k.more["classes"] for k in kinds) == 25


def _scores(rng, seeds=3, classes=5, per_class=8, skill=1.0):
    labels = np.repeat(np.arange(classes), per_class)
    scores = {n: rng.normal(size=(seeds, len(labels), classes)) for n in NS}
    for s in scores.values():
        s[:, np.arange(len(labels)), labels] += skill
    half = np.tile(np.arange(per_class) % 2, classes)
    return scores, labels, half


@pytest.mark.parametrize("seed", range(4))
def test_class_aware_agrees_with_plain_loops(seed):
    scores, labels, half = _scores(np.random.default_rng(seed))
    hits, chosen = sub_actions._class_aware(scores, labels, half)
    seeds, videos, classes = scores[2].shape
    for h in (0, 1):
        best = []
        for c in range(classes):
            found = {}
            for n in NS:
                own = [
                    scores[n][s, v].argmax() == c
                    for s in range(seeds)
                    for v in range(videos)
                    if labels[v] == c and half[v] != h
                ]
                found[n] = sum(own) / len(own)
            best.append(max(n for n in NS if abs(found[n] - max(found.values())) < 1e-9))
        assert chosen[h] == best
        for v in range(videos):
            for s in range(seeds):
                if half[v] == h:
                    said = max(range(classes), key=lambda c: scores[best[c]][s, v, c])
                    assert hits[s, v] == 100.0 * (said == labels[v])


def test_class_aware_choice_is_blind_to_the_tested_videos():
    """Whatever the models say of the videos of a half, the N for that half stays."""
    rng = np.random.default_rng(7)
    scores, labels, half = _scores(rng)
    _, before = sub_actions._class_aware(scores, labels, half)
    for h in (0, 1):
        other = {n: s.copy() for n, s in scores.items()}
        for n in NS:
            other[n][:, half == h] = rng.normal(size=other[n][:, half == h].shape)
        _, after = sub_actions._class_aware(other, labels, half)
        assert after[h] == before[h] and after[1 - h] != before[1 - h]


def test_class_aware_does_not_win_by_luck():
    """Models that differ by chance alone: choosing on the tested videos gains points, on the others it does not."""
    scores, labels, half = _scores(np.random.default_rng(1), seeds=1, classes=20, per_class=40, skill=1.5)
    hits, _ = sub_actions._class_aware(scores, labels, half)
    fixed = 100.0 * (scores[5].argmax(-1) == labels)
    by_luck = np.mean(
        [max(100.0 * (scores[n].argmax(-1) == labels)[:, labels == c].mean() for n in NS) for c in range(20)]
    )
    assert by_luck - fixed.mean() > 3 and hits.mean() - fixed.mean() < 2


def test_class_aware_finds_what_is_there():
    """Class 0 is only recognised with N = 2, the others with N = 5: mixed, all are."""
    labels = np.repeat(np.arange(3), 4)
    sure = np.eye(3)[labels][None]
    blind = np.full_like(sure, 0.5)
    scores = {n: blind.copy() for n in NS}
    scores[2][..., 0], scores[5][..., 1:] = sure[..., 0], sure[..., 1:]
    scores[3][..., :], scores[4][..., :] = [0.0, 0.0, 0.1], [0.0, 0.1, 0.0]
    scores[5][..., 0] = 0.0
    scores[5][:, labels == 0, 1] = 0.9
    hits, chosen = sub_actions._class_aware(scores, labels, np.tile([0, 1], 6))
    assert [c[0] for c in chosen.values()] == [2, 2] and [c[1:] for c in chosen.values()] == [[5, 5]] * 2
    assert (hits[0, labels > 0] == 100).all()


def test_class_of_one_video_takes_the_fixed_n():
    scores, labels, half = _scores(np.random.default_rng(2), classes=4)
    keep = ~((labels == 2) & (half == 1))  # none of class 2 is left to learn from for half 0
    _, chosen = sub_actions._class_aware({n: s[:, keep] for n, s in scores.items()}, labels[keep], half[keep])
    assert chosen[0][2] == sub_actions.FIXED


def test_claims_follow_the_intervals(record):
    (trend,), (many, few), (aware,) = (record.contrasts_of(p) for p in ("trend", "kinds", "class-aware"))
    assert {c.id: (c.mean, c.low, c.high) for c in record.claims} == {
        "table4-trend": (trend.mean, trend.low, trend.high),
        "table4-many": (many.mean, many.low, many.high),
        "table4-few": (-few.mean, -few.high, -few.low),
        "table4-class-aware": (aware.mean, aware.low, aware.high),
    }
    assert all(c.verdict == statistics.verdict(c.low, c.high) for c in record.claims)
    one, other = (record.find("class-aware", row) for row in ("own", "fixed"))
    assert aware.mean == pytest.approx(one.mean - other.mean, abs=1e-3)


def test_without_scripts_and_scores(foreign):
    assert not any(foreign.contrasts_of(part) for part in ("trend", "kinds", "class-aware")) and foreign.claims == []
    assert "None can be measured here." in page.markdown(STUDY, foreign)
    assert len(classes_of(foreign)) == 40 and all(c.more["actions"] is None for c in classes_of(foreign))


def test_class_without_a_video_is_left_out(monkeypatch):
    """Kinetics loses videos; a class of the training list may have none left in the test list."""

    def run(*args):
        by = made_up(4)(*args)
        for r in (r for runs in by.values() for r in runs):
            keep = [i for i, label in enumerate(r["labels"]) if label != 3]
            r["labels"] = [r["labels"][i] for i in keep]
            r["views"]["1x1"] = {k: [v[i] for i in keep] for k, v in r["views"]["1x1"].items()}
        return by

    monkeypatch.setattr("sfar.studies.core.study.run", run)
    short = STUDY.measure(get_profile("storyboard", {"seeds": [0]}))
    assert {c.setting["cls"] for c in classes_of(short)} == set(CLASSES) - {CLASSES[3]}
    (trend,) = short.contrasts_of("trend")
    expected = _loop_spearman(*actions_and_gains(short))
    assert trend.mean == pytest.approx(expected, abs=2e-4), "numbers of actions and gains of the same classes"
    assert "nan" not in page.markdown(STUDY, short)


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_table_of_classes_is_whole(record):
    table = page.show(STUDY, record, "classes")
    for c, row in zip(classes_of(record), table.rows, strict=True):
        numbers = [c.more["actions"], c.more["videos"], *(c.more[f"n{n}"] for n in NS)]
        assert row[0] == c.setting["cls"] and row[1:7] == numbers and row[7] == f"{c.mean:+z.1f}"
    assert "nan" not in page.markdown(STUDY, record)


def test_pages_of_a_real_data_set(foreign):
    text = page.markdown(STUDY, foreign)
    assert "is known in the storyboard world alone" in text and "kept for small test sets alone" in text
    assert "nan" not in text and "Atomic actions" not in text
    assert r"\& more\_" in page.latex(STUDY, foreign)


def test_chance_is_said(record):
    off = sum(c.low > 0 or c.high < 0 for c in classes_of(record))
    assert f"{off} of 25 intervals lie off zero, about 1 would" in sub_actions.chance(record)


def test_printed_rows_and_their_contradiction(record):
    printed = str(page.show(STUDY, record, "table4-printed"))
    assert all(r["action"] in printed for r in paper.load("table4"))
    assert [r["action"] for r in sub_actions.contradictions()] == ["Clapping"]
    assert "-2.8 is printed beside 47.2 and 50.0, which differ by +2.8" in page.show(STUDY, record, "paper-text")


def test_measured_and_printed_never_share_a_table(record):
    measured_part, _, rest = page.markdown(STUDY, record).partition("## Table 4 as printed")
    assert str(page.show(STUDY, record, "table4-printed")) in rest
    assert not any(r["action"] in measured_part for r in paper.load("table4"))


def test_figure(record):
    rows = classes_of(record)
    classes, trend, printed = figures_drawn(sub_actions.figure, record).axes
    assert [t.get_text() for t in classes.get_yticklabels()] == [c.setting["cls"] for c in reversed(rows)]
    pairs = [tuple(line.get_xdata()) for line in classes.lines if len(line.get_xdata()) == 2]
    assert pairs == [(c.more["n2"], c.more["n5"]) for c in reversed(rows)]
    colours = [line.get_color() for line in classes.lines if len(line.get_xdata()) == 2]
    assert colours == [sub_actions.KINDS[c.more["actions"]][0] for c in reversed(rows)]
    at = [
        (round(x), y)
        for line in trend.lines
        if line.get_marker() in ("o", "s", "D")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    assert sorted(at) == sorted((c.more["actions"], c.mean) for c in rows)
    (rho,) = record.contrasts_of("trend")
    assert f"{rho.mean:+z.2f}".replace("-", "−") in trend.get_title("left")
    assert [tuple(line.get_xdata()) for line in printed.lines if len(line.get_xdata()) == 2] == [
        (r["n2"], r["n5"]) for r in sorted(paper.load("table4"), key=lambda r: r["difference"])
    ]
    assert sum(t.get_text().endswith("*") for t in printed.texts) == 1


def test_figure_of_many_classes_shows_both_ends(foreign):
    classes, printed = figures_drawn(sub_actions.figure, foreign).axes
    shown = [t.get_text() for t in classes.get_yticklabels()][::-1]
    names = [c.setting["cls"] for c in classes_of(foreign)]
    ends = sub_actions.ENDS
    assert shown == names[:ends] + names[-ends:] and "ends of 40 classes" in classes.get_title("left")
    assert "Printed" in printed.get_title("left")
    plt.close("all")


# --- the committed record --------------------------------------------------------------------------------------------


def test_committed_record():
    """It has every class and agrees with the record of Figure 7a."""
    profile = get_profile("storyboard")
    kept = STUDY.load(profile)
    assert {c.setting["cls"] for c in classes_of(kept)} == set(CLASSES) == set(kept.extra["chosen"])
    assert kept.seeds == list(profile.frozen_seeds) and len(kept.seeds) >= 5 and len(kept.claims) == 4
    for c in classes_of(kept):
        assert c.more["actions"] == len(ACTIVITIES[c.setting["cls"]]) and c.more["videos"] == profile.data.val_per_class
    fig7a = ablations.STUDY.load(profile)
    for n in NS:  # as many videos in each class: the mean over classes is the mean over videos
        mean = np.mean([c.more[f"n{n}"] for c in classes_of(kept)])
        assert mean == pytest.approx(fig7a.find("fig7a", f"n{n}").mean, abs=1e-3)
