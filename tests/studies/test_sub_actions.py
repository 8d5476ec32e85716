"""Table 4: gains of classes, their trend, a class-aware N that learns nothing from the videos it is tested on, and the pages."""

import csv
import io
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_ablations import CLASSES, figures_drawn, latex_rows, made_up, measured, number

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.render import tables
from sfar.storyboard.scripts import ACTIVITIES
from sfar.studies import ablations, sub_actions
from sfar.studies import sub_actions_page as page
from sfar.studies.core import statistics
from sfar.util import paths

NS = sub_actions.NS


@pytest.fixture(scope="module")
def record():
    return measured(sub_actions, per_class=4)


@pytest.fixture(scope="module")
def foreign():
    """Of a set whose classes have no scripts, whose scores are too many to be kept, and that is too long to be drawn."""
    return measured(sub_actions, seeds=(0,), classes=[f"class {i:02d} & more_{i}" for i in range(40)], scores=False)


# --- the record ------------------------------------------------------------------------------------------------------


def test_classes_are_those_of_the_runs(record):
    by = made_up(4)(None, ablations.FIG7A, [0, 1, 2])
    for r in record["classes"]:
        c = CLASSES.index(r["class"])
        for n in NS:
            right = [
                rank < 1
                for run in by[f"n{n}"]
                for rank, label in zip(run["views"]["1x1"]["ranks"], run["labels"])
                if label == c
            ]
            assert r[f"n{n}"] == pytest.approx(100 * sum(right) / len(right), abs=1e-3) and len(right) == 12
        assert r["gain"] == pytest.approx(r["n5"] - r["n2"], abs=2e-4) and r["low"] <= r["gain"] <= r["high"]
        assert r["actions"] == len(ACTIVITIES[r["class"]]) and r["videos"] == 4
    assert [r["gain"] for r in record["classes"]] == sorted(
        (r["gain"] for r in record["classes"]), reverse=True
    ) and len(record["classes"]) == 25


def _loop_spearman(x, y):
    """Pearson's coefficient of mean ranks, written out."""
    rank = lambda v: [sum(b < a for b in v) + (sum(b == a for b in v) - 1) / 2 for a in v]  # noqa: E731
    p, q = rank(x), rank(y)
    mp, mq = sum(p) / len(p), sum(q) / len(q)
    cov = sum((a - mp) * (b - mq) for a, b in zip(p, q))
    return cov / math.sqrt(sum((a - mp) ** 2 for a in p) * sum((b - mq) ** 2 for b in q))


def test_trend_agrees_with_a_plain_loop(record):
    expected = _loop_spearman([r["actions"] for r in record["classes"]], [r["gain"] for r in record["classes"]])
    assert record["trend"]["value"] == pytest.approx(expected, abs=2e-4)


def test_trend_of_a_known_effect():
    rng = np.random.default_rng(0)
    x = np.array([2, 3, 4] * 8, float)
    labels = np.repeat(np.arange(len(x)), 10)
    noise = rng.normal(0, 20, (4, len(labels)))
    up = sub_actions._trend(30 * x[labels] + noise, labels, np.arange(len(x)), x, 300)
    down = sub_actions._trend(-30 * x[labels] + noise, labels, np.arange(len(x)), x, 300)
    none = sub_actions._trend(noise, labels, np.arange(len(x)), x, 300)
    assert up["low"] > 0.8 and down["high"] < -0.8 and none["low"] < 0 < none["high"]
    some = np.arange(0, len(x), 2)  # classes that are left out do not count
    assert sub_actions._trend(30 * x[labels] + noise, labels, some, x[some], 50)["value"] == pytest.approx(
        _loop_spearman(x[some], [(30 * x[labels] + noise)[:, labels == c].mean() for c in some]), abs=1e-4
    )


def test_kinds_are_means_over_classes(record):
    for k in record["kinds"]:
        own = [r["gain"] for r in record["classes"] if (r["actions"] >= 3) == (k["actions"] == "3 or more")]
        assert (
            k["classes"] == len(own)
            and k["gain"] == pytest.approx(sum(own) / len(own), abs=1e-3)
            and k["low"] <= k["gain"] <= k["high"]
        )
    assert sum(k["classes"] for k in record["kinds"]) == 25


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
        assert chosen[str(h)] == best
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
        assert after[str(h)] == before[str(h)] and after[str(1 - h)] != before[str(1 - h)]


def test_class_aware_does_not_win_by_luck():
    """Models that differ by chance alone: choosing on the tested videos would gain points, choosing on the others does not."""
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
    assert chosen["0"][2] == sub_actions.FIXED


def test_claims_follow_the_intervals(record):
    t, (many, few), d = record["trend"], record["kinds"], record["class_aware"]["difference"]
    assert [(c["mean"], c["low"], c["high"]) for c in record["claims"]] == [
        (t["value"], t["low"], t["high"]),
        (many["gain"], many["low"], many["high"]),
        (-few["gain"], -few["high"], -few["low"]),
        (d["mean"], d["low"], d["high"]),
    ]
    assert all(c["verdict"] == statistics.verdict(c["low"], c["high"]) for c in record["claims"])
    assert d["mean"] == pytest.approx(
        record["class_aware"]["top1"]["mean"] - record["class_aware"]["fixed5"]["mean"], abs=1e-3
    )


def test_without_scripts_and_scores(foreign):
    assert (
        foreign["trend"] is None
        and foreign["kinds"] is None
        and foreign["class_aware"] is None
        and foreign["claims"] == []
    )
    assert "None can be measured here." in page.as_markdown(foreign)
    assert len(foreign["classes"]) == 40 and all(r["actions"] is None for r in foreign["classes"])


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
    short = sub_actions.STUDY.measure(get_profile("storyboard", {"seeds": [0]}))
    assert {r["class"] for r in short["classes"]} == set(CLASSES) - {CLASSES[3]}
    actions, gains = [r["actions"] for r in short["classes"]], [r["gain"] for r in short["classes"]]
    assert short["trend"]["value"] == pytest.approx(_loop_spearman(actions, gains), abs=2e-4), (
        "numbers of actions and gains of the same classes"
    )
    assert "nan" not in page.as_markdown(short)


# --- pages and figure ------------------------------------------------------------------------------------------------


def test_files_hold_the_same_numbers(record, tmp_path):
    files = page.write(record, tmp_path)
    assert (
        sorted(f.name for f in files)
        == sorted(p.name for p in tmp_path.iterdir())
        == sorted([f"sub_actions.{e}" for e in ("csv", "md", "tex", "json")] + ["table4.png"])
    )
    assert (
        json.loads((tmp_path / "sub_actions.json").read_text()) == record
        and (tmp_path / "table4.png").stat().st_size > 20_000
    )
    rows = list(csv.DictReader(io.StringIO((tmp_path / "sub_actions.csv").read_text())))
    text = (tmp_path / "sub_actions.md").read_text()
    (table,) = latex_rows((tmp_path / "sub_actions.tex").read_text())
    for r, row, cells in zip(record["classes"], rows, table[1:], strict=True):
        assert row["class"] == r["class"] == cells[0] and all(
            float(row[k]) == r[k] for k in ("actions", "videos", "n2", "n3", "n4", "n5", "gain", "low", "high")
        )
        assert [int(row["chosen_first_half"]), int(row["chosen_second_half"])] == record["class_aware"]["chosen"][
            r["class"]
        ]
        assert [number(c) for c in cells[1:]] == pytest.approx(
            [r["actions"], *(r[k] for k in ("n2", "n5", "gain", "low", "high"))], abs=0.0501
        )
        line = next(x for x in text.splitlines() if x.startswith(f"| {r['class']} "))
        assert [float(x) for x in line.split("|")[2:9]] == pytest.approx(
            [r["actions"], r["videos"], *(r[k] for k in ("n2", "n3", "n4", "n5", "gain"))], abs=0.0501
        )
    assert "nan" not in text and "(table4.png)" in text
    assert all(c["claim"] in page.text(record) and c["verdict"] in page.text(record) for c in record["claims"])


def test_pages_of_a_real_data_set(foreign, tmp_path):
    page.write(foreign, tmp_path)
    text = (tmp_path / "sub_actions.md").read_text()
    assert (
        "is known in the storyboard world alone" in text
        and "kept for small test sets alone" in text
        and "nan" not in text
    )
    (table,) = latex_rows((tmp_path / "sub_actions.tex").read_text())
    assert (
        len(table) == 41
        and r"\& more\_" in table[1][0]
        and table[0][:2] == ["Class", "N = 2 [\\%]"]
        and "Atomic actions" not in text
    )
    assert [
        r["chosen_first_half"] for r in csv.DictReader(io.StringIO((tmp_path / "sub_actions.csv").read_text()))
    ] == [""] * 40


def test_chance_is_said(record):
    off = sum(r["low"] > 0 or r["high"] < 0 for r in record["classes"])
    assert page.chance(record).startswith(f"{off} of 25 intervals lie off zero, about 1 would")


def test_printed_rows_and_their_contradiction():
    printed = page.paper_markdown()
    assert all(r["action"] in printed for r in paper.load("table4"))
    assert [r["action"] for r in page.contradictions()] == [
        "Clapping"
    ] and "-2.8 is printed beside 47.2 and 50.0, which differ by +2.8" in printed


def test_measured_and_printed_never_share_a_table(record):
    measured_part, _, rest = page.as_markdown(record).partition("## Table 4 as printed")
    assert (
        page.paper_markdown() in rest
        and page.classes_markdown(record) in measured_part
        and not any(r["action"] in measured_part for r in paper.load("table4"))
    )


def test_figure(record):
    classes, trend, printed = figures_drawn(page.figure, record).axes
    assert [t.get_text() for t in classes.get_yticklabels()] == [r["class"] for r in reversed(record["classes"])]
    pairs = [tuple(line.get_xdata()) for line in classes.lines if len(line.get_xdata()) == 2]
    assert pairs == [(r["n2"], r["n5"]) for r in reversed(record["classes"])]
    colours = [line.get_color() for line in classes.lines if len(line.get_xdata()) == 2]
    assert colours == [page.KINDS[r["actions"]][0] for r in reversed(record["classes"])]
    points = sorted(y for line in trend.lines if line.get_marker() in "osD" for y in line.get_ydata())
    assert points == sorted(r["gain"] for r in record["classes"])
    at = [
        (round(x), y)
        for line in trend.lines
        if line.get_marker() in "osD"
        for x, y in zip(line.get_xdata(), line.get_ydata())
    ]
    assert sorted(at) == sorted((r["actions"], r["gain"]) for r in record["classes"])
    assert f"{record['trend']['value']:+z.2f}".replace("-", "−") in trend.get_title("left")
    assert [tuple(line.get_xdata()) for line in printed.lines if len(line.get_xdata()) == 2] == [
        (r["n2"], r["n5"]) for r in sorted(paper.load("table4"), key=lambda r: r["difference"])
    ]
    assert sum(t.get_text().endswith("*") for t in printed.texts) == 1


def test_figure_of_many_classes_shows_both_ends(foreign):
    classes, printed = figures_drawn(page.figure, foreign).axes
    shown = [t.get_text() for t in classes.get_yticklabels()][::-1]
    names = [r["class"] for r in foreign["classes"]]
    assert shown == names[: page.ENDS] + names[-page.ENDS :] and "ends of 40 classes" in classes.get_title("left")
    assert "Printed" in printed.get_title("left")
    plt.close("all")


# --- records on disk -------------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(tmp_path, monkeypatch, record):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="sub_actions.json is not there: run `make reproduce-table4`"):
        sub_actions.STUDY.get()
    paths.write_json(paths.results("storyboard") / "sub_actions.json", record)  # of three seeds
    with pytest.raises(SfarError, match="other code: run `make reproduce-table4`"):
        sub_actions.STUDY.get()


def test_committed_record():
    """It fits the code, has every class, agrees with the record of Figure 7a, and its files were drawn from it."""
    kept = sub_actions.STUDY.load(get_profile("storyboard"))
    assert {r["class"] for r in kept["classes"]} == set(CLASSES) == set(kept["class_aware"]["chosen"]) and len(
        kept["seeds"]
    ) >= 5
    assert all(r["actions"] == len(ACTIVITIES[r["class"]]) and r["videos"] == 16 for r in kept["classes"])
    assert len(kept["claims"]) == 4 and all(
        c["verdict"] == statistics.verdict(c["low"], c["high"]) for c in kept["claims"]
    )
    fig7a = {r["name"]: r["top1"]["mean"] for r in ablations.STUDY.load(get_profile("storyboard"))["fig7a"]}
    for n in NS:  # as many videos in each class: the mean over classes is the mean over videos
        assert np.mean([r[f"n{n}"] for r in kept["classes"]]) == pytest.approx(fig7a[f"n{n}"], abs=1e-3)
    folder = paths.results("storyboard")
    assert (folder / "sub_actions.md").read_text() == page.as_markdown(kept).rstrip() + "\n"
    assert (folder / "sub_actions.csv").read_text() == tables.to_csv(*page.csv_table(kept))
    latex_rows((folder / "sub_actions.tex").read_text())
    assert (folder / "table4.png").stat().st_size > 20_000
