"""The zero-shot protocols against loops over videos and classes, and against numbers worked out by hand."""

import json

import numpy as np
import pytest

from sfar.errors import ConfigError, DataError
from sfar.training.protocols import accuracy, half10, of_folds, split3


def world(seed=0, videos=300, classes=12, signal=1.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(videos) % classes
    return rng.normal(size=(videos, classes)) + signal * np.eye(classes)[labels], labels


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def by_loop(scores, labels, classes, k):
    """Percent of the videos of ``classes`` whose class is among the k with the highest scores of these alone."""
    right = [
        y in sorted(classes, key=lambda c: -row[c])[:k] for row, y in zip(scores, labels, strict=True) if y in classes
    ]
    return 100 * sum(right) / len(right)


# --- ten draws of half of the classes ---


@pytest.mark.parametrize("classes", [12, 13])
def test_half10_against_loops(classes):
    scores, labels = world(classes=classes)
    out = half10(scores, labels)
    tops = {1: [], 5: []}
    for seed, draw in enumerate(out["draws"]):
        np.random.seed(seed)
        want = np.random.permutation(classes)[: classes // 2].tolist()
        assert (draw["seed"], draw["classes"]) == (seed, sorted(want)) and len(want) == 6
        assert draw["videos"] == len(draw["ranks"]) == sum(y in want for y in labels)
        for k in tops:
            tops[k].append(by_loop(scores, labels, want, k))
            assert draw[f"top{k}"] == pytest.approx(tops[k][-1], abs=1e-4)
    assert len(out["draws"]) == 10
    for k in tops:
        assert out[f"top{k}"] == {
            "mean": pytest.approx(np.mean(tops[k]), abs=1e-4),
            "std": pytest.approx(np.sqrt(np.mean((np.array(tops[k]) - np.mean(tops[k])) ** 2)), abs=1e-4),
        }
        assert out["full"][f"top{k}"] == pytest.approx(by_loop(scores, labels, range(classes), k), abs=1e-4)
    assert out["full"]["videos"] == 300 and out["full"]["classes"] == list(range(classes))
    assert (
        out["top1"]["std"] > 0 and out["top1"]["mean"] > out["full"]["top1"] + 3
    )  # half of the classes: fewer wrong answers


def test_the_draws_are_numpys_for_the_sizes_of_ucf101_and_hmdb51():
    # np.random.seed(0); np.random.permutation(C): the legacy generator, which numpy keeps as it is
    for classes, half, first in ((101, 50, [26, 86, 2, 55, 75]), (51, 25, None)):
        draw = half10(np.eye(classes), np.arange(classes))["draws"][0]
        assert len(draw["classes"]) == half and (first is None or set(first) < set(draw["classes"]))


def test_the_global_generator_is_left_alone():
    np.random.seed(5)
    want = np.random.random(3)
    np.random.seed(5)
    half10(*world())
    assert np.random.random(3).tolist() == want.tolist()


def test_a_softmax_over_all_classes_does_not_change_the_numbers():
    logits, labels = world(3)
    assert half10(softmax(logits), labels) == half10(logits, labels)
    kept = labels < 6  # nor does one over the six classes alone, on the videos of these
    assert (
        accuracy(softmax(logits), labels, np.arange(6))["ranks"]
        == accuracy(softmax(logits[kept, :6]), labels[kept])["ranks"]
    )


def test_float32_probabilities_can_lose_what_logits_keep():
    logits = np.array([[150.0, 3.0, 1.0, 2.0]], np.float32)  # class 0 takes everything, the others round to 0
    assert accuracy(logits, np.array([1]), np.array([1, 2, 3]))["ranks"] == [0]
    assert accuracy(softmax(logits), np.array([1]), np.array([1, 2, 3]))["ranks"] == [2]


def test_ranks_are_of_the_drawn_classes_alone():
    scores = np.array([[0.1, 0.9, 0.5, 0.3], [0.9, 0.2, 0.8, 0.4]])
    out = accuracy(scores, np.array([3, 2]), np.array([3, 0, 2]))
    assert out == {"top1": 0.0, "top5": 100.0, "classes": [0, 2, 3], "videos": 2, "empty": [0], "ranks": [1, 1]}
    assert accuracy(scores, np.array([3, 2]))["ranks"] == [2, 1]


def test_a_tie_counts_against_the_model():
    out = half10(np.zeros((40, 20)), np.arange(40) % 20)
    assert out["top1"] == {"mean": 0.0, "std": 0.0} and out["full"]["top5"] == 0.0


def test_mean_and_std_are_not_made_of_rounded_numbers():
    scores, labels = world(4, videos=700, classes=12)
    out = half10(scores, labels)
    values = [100 * np.mean(np.array(d["ranks"]) < 1) for d in out["draws"]]
    assert out["top1"] == {"mean": round(float(np.mean(values)), 4), "std": round(float(np.std(values)), 4)}
    assert all(d["top1"] == round(v, 4) for d, v in zip(out["draws"], values, strict=True))


def test_results_are_plain_json():
    for out in (half10(*world()), split3([world(s) for s in range(3)])):
        assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_classes_without_videos_are_reported():
    scores, labels = world()
    kept = labels != 4
    out = half10(scores[kept], labels[kept])
    assert out["full"]["empty"] == [4]
    assert [d["empty"] for d in out["draws"]] == [[4] if 4 in d["classes"] else [] for d in out["draws"]]
    assert {len(d["empty"]) for d in out["draws"]} == {0, 1}


def test_a_draw_without_any_video():
    first = np.random.RandomState(0).permutation(12)
    with pytest.raises(DataError, match="half10, seed 0: none of the 5 videos is of the drawn classes"):
        half10(np.random.default_rng(0).random((5, 12)), np.full(5, first[-1]))


# --- three splits ---


def test_split3():
    splits = [world(seed, videos=n) for seed, n in enumerate((97, 80, 61))]
    out = split3(splits)
    for k in (1, 5):
        want = [by_loop(scores, labels, range(12), k) for scores, labels in splits]
        assert [s[f"top{k}"] for s in out["splits"]] == pytest.approx(want, abs=1e-4)
        assert out[f"top{k}"] == {
            "mean": pytest.approx(np.mean(want), abs=1e-4),
            "std": pytest.approx(np.std(want), abs=1e-4),
        }
    assert [s["videos"] for s in out["splits"]] == [97, 80, 61]


def test_split3_by_hand():
    right, wrong = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    out = split3([(right, [0]), (right, [0]), (wrong, [0])])
    assert out["top1"] == {"mean": 66.6667, "std": 47.1405} and out["top5"] == {
        "mean": 100.0,
        "std": 0.0,
    }  # population: sqrt(2)/3


def test_split3_takes_three_splits_of_the_same_classes():
    with pytest.raises(ConfigError, match="three official test splits, got 2"):
        split3([world(), world()])
    with pytest.raises(ConfigError, match="12, 12 and 10 classes"):
        split3([world(), world(), world(classes=10)])
    with pytest.raises(ConfigError, match="split 2: labels are whole numbers"):
        split3([world(), (np.eye(3), [0, 1, 3]), world()])


def test_folds_are_picked_by_path_out_of_scores_of_all_videos():
    scores, labels = world(videos=6, classes=3)
    paths = [f"a/{i}.avi" for i in range(6)]
    out = of_folds(scores, labels, paths, [{"a/4.avi", "a/1.avi"}, {"a/0.avi", "a/unread.avi"}, set(paths)])
    assert [y.tolist() for _, y in out] == [[1, 1], [0], [0, 1, 2, 0, 1, 2]]
    assert [x.tolist() for x, _ in out] == [scores[[1, 4]].tolist(), scores[[0]].tolist(), scores.tolist()]
    with pytest.raises(DataError, match="none of the 1 test videos of split 2 was scored"):
        of_folds(scores, labels, paths, [set(paths), {"a/9.avi"}, set(paths)])


# --- input that cannot be right ---


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.eye(3), [0, 1], r"shapes \(3, 3\) and \(2,\)"),
        (np.ones(3), [0, 1, 2], "expected scores"),
        (np.ones((0, 3)), [], "at least one of each"),
        (np.eye(3), [0, 1, 3], "0 to 2.*got 3"),
        (np.eye(3), [0, -1, 2], "got -1"),
        (np.eye(3), [0.0, 1.0, 2.0], "got 0.0"),
        (np.ones((2, 1)), [0, 0], "at least 2, got 1"),
    ],
)
def test_bad_input(scores, labels, message):
    with pytest.raises(ConfigError, match=message):
        half10(scores, np.array(labels))


@pytest.mark.parametrize("classes", [[], [0, 0], [0, 12], [-1, 2], [0.5, 1], [[0, 1]]])
def test_bad_classes(classes):
    with pytest.raises(ConfigError, match="different whole numbers from 0 to 11"):
        accuracy(*world(), np.array(classes))


def test_no_video_of_the_chosen_classes():
    with pytest.raises(DataError, match="none of the 2 videos is of the 1 chosen classes"):
        accuracy(np.eye(3)[:2], np.array([0, 1]), np.array([2]))
