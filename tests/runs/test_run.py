"""One run and what its numbers follow from: data sets and their fingerprints, keys, few-shot lists, zero-shot tests, what is kept of an evaluation."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sfar.config import LAYOUT_NAMES, get_profile
from sfar.data import layouts
from sfar.data.fewshot import choose, save_list
from sfar.data.manifest import Clip, Manifest
from sfar.errors import ConfigError, DataError
from sfar.runs import run as X
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.training.evaluate import Scores
from sfar.training.metrics import VARIANTS, mean_ap

SOLE = {"kinetics400": tuple(KINETICS)[:2], "ucf101": tuple(UCF)[:2], "hmdb51": tuple(HMDB)[:2]}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Two classes in three layouts, 4 + 2 videos each."""
    from sfar.storyboard.sets import write_hmdb51, write_ucf101
    from sfar.storyboard.write import write_kinetics

    base = tmp_path_factory.mktemp("data")
    for name, write in (("kinetics400", write_kinetics), ("ucf101", write_ucf101), ("hmdb51", write_hmdb51)):
        write(base / name, 5, 4, 2, classes=SOLE[name], workers=1)
    return {name: base / name for name in SOLE}


def at(roots, name="kinetics400", **overrides):
    return get_profile("storyboard", {"data.dataset": name, "data.root": str(roots[name]), **overrides})


# --- data sets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLE)
def test_a_folder(roots, name):
    data = X.dataset(at(roots, name))
    assert (data.layout, data.root, data.drawn) == (name, roots[name].resolve(), False)
    assert sorted(data.classes) == sorted(SOLE[name]) and len(data.fingerprint) == 16
    assert X.dataset(at(roots, name)) == data


def test_a_real_data_set_has_to_be_somewhere(tmp_path):
    for name in LAYOUT_NAMES:
        with pytest.raises(DataError, match=f"needs the data set {name} on disk.*sfar data layout {name}"):
            X.dataset(get_profile("storyboard", {"data.dataset": name}))
    with pytest.raises(DataError, match="no such folder"):
        X.dataset(get_profile("storyboard", {"data.root": str(tmp_path / "none")}))


def test_the_fingerprint_is_of_the_videos(roots, tmp_path):
    copy = tmp_path / "k400"
    shutil.copytree(roots["kinetics400"], copy)  # times of change are kept
    p = get_profile("storyboard", {"data.root": str(copy)})
    first = X.dataset(p).fingerprint
    assert first == X.dataset(at(roots)).fingerprint, "where a copy lies does not matter"
    video = next((copy / "train").rglob("*.mp4"))
    state = video.stat()
    os.utime(video, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    later = X.dataset(p).fingerprint
    video.unlink()
    assert len({first, later, X.dataset(p).fingerprint}) == 3


def test_a_drawn_set_is_drawn_once(monkeypatch, tmp_path):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    calls = []

    def draw(folder, which, seed, train, val):
        from sfar.storyboard.sets import write_hmdb51

        calls.append((which, seed, train, val))
        write_hmdb51(folder, seed, train, val, classes=SOLE["hmdb51"], workers=1)

    monkeypatch.setattr(X, "draw", draw)
    p = get_profile(
        "storyboard", {"data.dataset": "storyboard-hmdb51", "data.train_per_class": 2, "data.val_per_class": 1}
    )
    data = X.dataset(p)
    assert data.drawn and data.layout == "hmdb51" and X.dataset(p) == data and calls == [("hmdb51", 2025, 2, 1)]
    assert (
        X.dataset(
            get_profile(
                "storyboard", {"data.dataset": "storyboard-hmdb51", "data.train_per_class": 1, "data.val_per_class": 1}
            )
        ).fingerprint
        != data.fingerprint
    )


def test_by_name():
    p = get_profile("storyboard", {"data.shots": 2, "data.shot_seed": 3, "data.shot_draws": 2, "train.epochs": 9})
    other = X.by_name(p, "storyboard-ucf101")
    assert (other.data.dataset, other.data.root, other.data.fold, other.data.shots, other.data.shot_draws) == (
        "storyboard-ucf101",
        "",
        1,
        0,
        1,
    )
    assert other.train == p.train and other.model == p.model and other.data.seed == p.data.seed
    with pytest.raises(ConfigError, match="data.dataset"):
        X.by_name(p, "storyboard-kinetics600")


@pytest.mark.parametrize(
    "classes, label_set",
    [
        (tuple(KINETICS), "storyboard"),
        ((*UCF, *HMDB), "storyboard"),
        (("zumba", "abseiling"), "kinetics400"),
        (("cartwheel", "brush hair"), "hmdb51"),
        (("cliff diving", "pizza tossing"), "ucf101"),
    ],
)
def test_subtexts_are_of_the_first_label_set_that_has_all(classes, label_set):
    texts = X.subtexts_of(get_profile("storyboard"), classes)
    assert tuple(texts) == classes and texts.n == 4 and texts.label_set == label_set


def test_subtexts_of_no_label_set():
    with pytest.raises(
        ConfigError, match="has all 3 classes: the nearest, .*, lacks 'swallowing swords'.*sfar subtexts generate"
    ):
        X.subtexts_of(get_profile("storyboard"), ("long jump", "making pizza", "swallowing swords"))


# --- few-shot ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLE)
def test_few_shot_manifest(roots, name):
    p = at(roots, name)
    data = X.dataset(p)
    full = X.few_shot_manifest(p, data)
    assert full == layouts.read(name, data.root, "train") and len(full.clips) == 8
    two = X.few_shot_manifest(at(roots, name, **{"data.shots": 2}), data)
    assert two == choose(full, 2, 0) and sorted(c.label for c in two.clips) == [0, 0, 1, 1]
    assert X.few_shot_manifest(at(roots, name, **{"data.shots": 2, "data.shot_seed": 1}), data) == choose(full, 2, 1)
    united = X.few_shot_manifest(at(roots, name, **{"data.shots": 2, "data.shot_draws": 8}), data)
    assert {c.path for c in two.clips} <= {c.path for c in united.clips} and len(united.clips) > 4
    with pytest.raises(DataError, match="5"):
        X.few_shot_manifest(at(roots, name, **{"data.shots": 5}), data)


def test_a_list_from_a_file(roots, tmp_path):
    p = at(roots)
    data = X.dataset(p)
    chosen = choose(X.few_shot_manifest(p, data), 1, 9)
    save_list(tmp_path / "list.json", chosen, 1, 9)
    given = at(roots, **{"data.shot_list": str(tmp_path / "list.json")})
    assert [c.path for c in X.few_shot_manifest(given, data).clips] == [c.path for c in chosen.clips]
    key = X.Job(given, data, "clip", 0).key()
    shutil.move(tmp_path / "list.json", tmp_path / "moved.json")
    moved = at(roots, **{"data.shot_list": str(tmp_path / "moved.json")})
    assert X.Job(moved, data, "clip", 0).key() == key, "the list counts, not its name"
    save_list(tmp_path / "moved.json", choose(X.few_shot_manifest(p, data), 1, 10), 1, 10)
    assert X.Job(moved, data, "clip", 0).key() != key


def test_epoch_repeats(roots):
    p = at(roots)
    data = X.dataset(p)
    assert X.epoch_repeats(p, data, 8) == 1
    assert (
        X.epoch_repeats(at(roots, **{"data.shots": 1}), data, 2) == 4
        and X.epoch_repeats(at(roots, **{"data.shots": 2}), data, 3) == 2
    )  # floor
    assert X.epoch_repeats(at(roots, **{"data.shots": 1, "train.few_shot_epoch": "once"}), data, 2) == 1


# --- keys ----------------------------------------------------------------------------------------------------------

DATA = X.Dataset("kinetics400", Path("nowhere"), "fingerprint", SOLE["kinetics400"], True)


def key(overrides=None, method="sfar", seed=0, views="1x1"):
    return X.Job(get_profile("storyboard", overrides), DATA, method, seed, views).key()


def test_what_does_not_change_a_key():
    assert key({"seeds": [4, 5]}) == key() == key({"train.frozen_draws": 2}) == key({"train.few_shot_epoch": "once"}), (
        "read in other runs only"
    )
    assert key(method="vanilla", seed=1) == key(
        {"data.shots": 2, "train.few_shot_epoch": "once", "train.train_visual": False}, "vanilla"
    ), "nothing is trained"


@pytest.mark.parametrize(
    "change",
    [
        {"data.shots": 2},
        {"train.train_visual": False},
        {"train.epochs": 1},
        {"train.frames": 4},
        {"train.crop_area": [0.1, 1]},
        {"data.max_bad_share": 0.5},
        {"model.prompt": "{}"},
    ],
)
def test_what_does(change):
    assert key(change) != key()


def test_what_does_where_it_is_read():
    frozen, shots = {"train.train_visual": False}, {"data.shots": 2}
    assert key({**frozen, "train.frozen_draws": 2}) != key(frozen)
    assert (
        len(
            {
                key(shots),
                key({**shots, "train.few_shot_epoch": "once"}),
                key({**shots, "data.shot_seed": 1}),
                key({**shots, "data.shot_draws": 2}),
            }
        )
        == 4
    )


def test_a_local_weights_file_counts_by_its_content(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"1")
    (tmp_path / "b.pt").write_bytes(b"1")
    inputs = lambda name: X.run_inputs(
        get_profile("paper", {"model.pretrained": str(tmp_path / name)}), DATA, "clip", 0, "1x1"
    )  # noqa: E731
    assert inputs("a.pt")["weights"] == inputs("b.pt")["weights"]
    before = inputs("a.pt")["weights"]
    (tmp_path / "a.pt").write_bytes(b"2")
    os.utime(tmp_path / "a.pt", ns=(1, 1))
    assert inputs("a.pt")["weights"] != before


def test_cost_counts_work(roots):
    data = X.dataset(at(roots))
    job = lambda method, views="1x1", **o: X.Job(at(roots, **o), data, method, 0, views)  # noqa: E731
    assert job("vanilla").cost(8, 4) == 4 and job("clip").cost(8, 4) == 3 * 8 * 3 + 4
    assert job("sfar", "4x3").cost(8, 4) == 3 * 8 * 3 + 4 * 13
    assert job("clip", **{"data.shots": 1}).cost(2, 4) == 3 * 2 * 4 * 3 + 4  # the list four times in an epoch
    assert job("clip", **{"train.train_visual": False}).cost(8, 4) < 10


# --- results -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Evaluated:
    manifest: Manifest
    sets: list


def test_result_of_one_label():
    s = Scores(np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], np.float32), np.array([0, 1]), np.array([0, 1]))
    r = X.result(s, Evaluated(Manifest("kinetics400", "val", Path(), ("a", "b", "c"), ()), []))
    assert (r["top1"], r["top5"], r["ranks"]) == (50.0, 100.0, [0, 2]) and np.float32(r["scores"]) == pytest.approx(
        s.probabilities, abs=0
    )
    assert json.loads(json.dumps(r)) == r
    many = Scores(np.full((1001, 100), 0.01, np.float32), np.zeros(1001, int), np.arange(1001))
    assert "scores" not in X.result(many, Evaluated(Manifest("kinetics400", "val", Path(), ("a",) * 100, ()), []))


def test_result_of_many_labels():
    rng = np.random.default_rng(0)
    scores = rng.random((40, 3)).astype(np.float32)
    sets = [tuple(int(k) for k in range(3) if rng.random() < 0.4) for _ in range(42)]
    kept = np.array([i for i in range(42) if i not in (3, 7)])  # two could not be read
    manifest = Manifest(
        "charades",
        "val",
        Path(),
        ("a", "b", "c"),
        tuple(Clip(str(i), min(s, default=-1), str(i), s) for i, s in enumerate(sets)),
        multi_label=True,
    )
    r = X.result(Scores(scores, np.full(40, -1), kept), Evaluated(manifest, sets))
    positive = np.array([[k in sets[i] for k in range(3)] for i in kept])
    assert set(r["map"]) == set(VARIANTS) and r["map"]["official"] == pytest.approx(
        mean_ap(scores, positive, "official")
    )
    assert r["sets"] == [list(sets[i]) for i in kept] and json.loads(json.dumps(r)) == r
    none = X.result(
        Scores(scores, np.full(40, -1), kept), Evaluated(manifest, [tuple(k for k in s if k) for s in sets])
    )
    assert "official" not in none["map"], "the official script has no number for a class without positives"


# --- zero-shot -----------------------------------------------------------------------------------------------------


def test_zero_shot_scores_leaves_the_model_its_classes(roots):
    p = at(roots, "ucf101")
    data = X.dataset(p)
    model = X.build_model(
        p, X.Dataset("kinetics400", Path(), "", SOLE["kinetics400"], False), SOLE["kinetics400"], "sfar", 0
    ).eval()
    frames = torch.randn(2, 8, model.texts.cls.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model.from_embeddings(frames).logits
    found = X.zero_shot_scores(model, p, data, "sfar")
    assert (
        np.array(found["scores"]).shape == (12, 2)
        and found["classes"] == list(data.classes)
        and len(set(found["paths"])) == 12
    ), "all folds' videos"
    with torch.no_grad():
        assert torch.equal(model.from_embeddings(frames).logits, before)
    other = X.build_model(p, data, data.classes, "sfar", 0)
    other.load_state_dict(model.state_dict())
    clips = X.load_clips(p, data, "all")
    assert np.allclose(X.score(other, clips, 8, 64).probabilities, found["scores"], atol=1e-6), (
        "the same as a model of those classes"
    )


def test_a_model_of_another_input_size(roots):
    with pytest.raises(ConfigError, match="data.image_size=32, but storyboard takes 64 pixels"):
        X.build_model(at(roots, **{"data.image_size": 32}), DATA, DATA.classes, "clip", 0)
