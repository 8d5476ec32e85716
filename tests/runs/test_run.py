"""One run: what a job is resolved to, what is kept of an evaluation, zero-shot tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sets import at

from sfar.config import get_profile
from sfar.data import layouts
from sfar.data.manifest import Clip, Manifest
from sfar.data.source import dataset
from sfar.data.store import VideoClips
from sfar.errors import ConfigError, DataError
from sfar.runs import run
from sfar.runs.job import Job
from sfar.training import evaluate
from sfar.training.evaluate import Scores
from sfar.training.metrics import VARIANTS, mean_ap

pytestmark = pytest.mark.usefixtures("videos_here")

# --- results -------------------------------------------------------------------------------------------------------


def evaluated(manifest, sets):
    """Clips of which nothing but their labels is known."""
    return VideoClips(manifest, 64, sets=sets)


def test_result_of_one_label():
    s = Scores(np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], np.float32), np.array([0, 1]), np.array([0, 1]))
    r = run.result(s, evaluated(Manifest("kinetics400", "val", Path(), ("a", "b", "c"), ()), []))
    assert (r["top1"], r["top5"], r["ranks"]) == (50.0, 100.0, [0, 2]) and np.float32(r["scores"]) == pytest.approx(
        s.probabilities, abs=0
    )
    assert json.loads(json.dumps(r)) == r
    many = Scores(np.full((1001, 100), 0.01, np.float32), np.zeros(1001, int), np.arange(1001))
    assert "scores" not in run.result(many, evaluated(Manifest("kinetics400", "val", Path(), ("a",) * 100, ()), []))


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
    r = run.result(Scores(scores, np.full(40, -1), kept), evaluated(manifest, sets))
    positive = np.array([[k in sets[i] for k in range(3)] for i in kept])
    assert set(r["map"]) == set(VARIANTS) and r["map"]["official"] == pytest.approx(
        mean_ap(scores, positive, "official")
    )
    assert r["sets"] == [list(sets[i]) for i in kept] and json.loads(json.dumps(r)) == r
    none = run.result(
        Scores(scores, np.full(40, -1), kept), evaluated(manifest, [tuple(k for k in s if k) for s in sets])
    )
    assert "official" not in none["map"], "the official script has no number for a class without positives"


@pytest.mark.parametrize(
    "kind, cores, ranks, asked, found",
    [
        ("cpu", 16, 1, -1, 0),
        ("cpu", 16, 1, 3, 3),
        ("cuda", 4, 1, -1, 4),
        ("cuda", 96, 1, -1, 8),
        ("cuda", 16, 8, -1, 2),
        ("cuda", 4, 8, -1, 1),
        ("cuda", 16, 8, 0, 0),
    ],
)
def test_processes_that_read_ahead(monkeypatch, kind, cores, ranks, asked, found):
    monkeypatch.setattr(run, "device", lambda: torch.device(kind))
    monkeypatch.setattr(run.processes, "cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert run.loader_workers(get_profile("storyboard", {"data.loader_workers": asked})) == found


# --- from a job to what is kept --------------------------------------------------------------------------------------

FROZEN = {"train.train_visual": False, "train.frozen_draws": 1, "train.epochs": 1, "model.temporal_layers": 1}


def job(roots, method="sfar", /, **changes: Any):
    p = at(roots, **changes)
    return Job(p, dataset(p), method, 0)


def training(job):
    found = run.resolve(job).training
    assert found is not None
    return found


def validation(job):
    found = run.resolve(job, training=False).validation
    assert found is not None
    return found


def test_a_job_is_resolved_to_its_inputs(roots):
    mine = job(roots)
    inputs = run.resolve(mine)
    assert tuple(inputs.texts) == mine.data.classes and inputs.texts.n == 4 and not inputs.unseen
    full, val = training(mine), validation(mine)
    assert (len(full.clips), full.repeats, full.whole) == (8, 1, None) and full.data == mine.data
    assert val.clips.manifest.split == "val" and tuple(val.texts) == val.data.classes
    few = training(job(roots, **{"data.shots": 1}))
    assert (len(few.clips), few.repeats, few.whole) == (2, 4, None), "a tower that is trained reads the chosen videos"
    few = training(job(roots, **{"data.shots": 1, **FROZEN}))
    assert few.whole is not None and (len(few.clips), len(few.whole)) == (2, 8)
    assert training(job(roots, **{"data.shots": 1, "train.few_shot_epoch": "once"})).repeats == 1


def test_what_is_not_asked_for_is_left_out(roots):
    assert run.resolve(job(roots, "vanilla")).training is None
    assert run.resolve(job(roots), testing=False).validation is None
    assert run.resolve(job(roots), training=False).training is None and len(validation(job(roots)).clips) == 4


def test_everything_is_looked_up_once(roots, monkeypatch):
    """In a run of a data set that is known already no list is read: those of a frozen tower too."""
    mine = [job(roots, **FROZEN), job(roots, **FROZEN, **{"data.shots": 2})]
    calls = []
    monkeypatch.setattr(layouts, "read", lambda *a: calls.append(a) or 1 / 0)
    for j in mine:
        run.run_one(j)
    assert not calls


def test_few_clips_take_the_embeddings_of_the_full_list(roots):
    mine = job(roots, **FROZEN, **{"data.shots": 2})
    inputs, few = run.resolve(mine), training(mine)
    model = run.build(inputs)
    got = run.embed_training(model.clip, inputs)
    full = run.embed_training(model.clip, run.resolve(job(roots, **FROZEN)))
    assert few.whole is not None and got is not None and full is not None
    place = {path: i for i, path in enumerate(few.whole.paths)}
    assert got.shape[:2] == (1, 4) and full.shape[:2] == (1, 8)
    assert torch.equal(got, full[:, [place[path] for path in few.clips.paths]])
    assert run.embed_training(model.clip, run.resolve(job(roots))) is None, "of a tower that is trained there are none"


@pytest.mark.parametrize(
    "method, changes, parts",
    [
        ("vanilla", {}, []),
        ("clip", FROZEN, ["logit_scale"]),
        ("sfar", FROZEN, ["head", "logit_scale"]),
        ("temporal", {"train.epochs": 1}, ["head", "logit_scale", "visual"]),
    ],
)
def test_a_record(roots, method, changes, parts):
    ticks = []
    mine = job(roots, method, **changes)
    r = run.run_one(mine, ticks.append)
    assert r["trained"] == parts and r["classes"] == list(mine.data.classes) and len(r["paths"]) == 4
    assert (r["training"] is None) == (r["history"] is None) == (method == "vanilla")
    assert set(r["views"]) == {"1x1"} and not r["zero_shot"] and "irrelevant" not in r, "nobody knows of real videos"
    assert sum(ticks) <= mine.cost(8, 4) + 3 * mine.profile.train.batch and ticks[-1] == 4
    assert json.loads(json.dumps(r)) == r


# --- zero-shot -----------------------------------------------------------------------------------------------------


def test_zero_shot_scores_restore_the_classes(roots, monkeypatch):
    p = at(roots, "ucf101")
    tested = run.unseen_set(p)
    model = run.build(run.resolve(job(roots), training=False)).eval()
    own = {name: x.clone() for name, x in model.texts.named_buffers()}
    frames = torch.randn(2, 8, own["cls"].shape[1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model.from_embeddings(frames).logits
    found = run.unseen_result(run.score_unseen(model, tested, False), tested)
    assert np.array(found["scores"]).shape == (12, 2) and found["classes"] == list(tested.data.classes)
    assert len(set(found["paths"])) == 12, "all folds' videos"
    after = dict(model.texts.named_buffers())
    assert after.keys() == own.keys() and all(torch.equal(after[name], x) for name, x in own.items())
    with torch.no_grad():
        assert torch.equal(model.from_embeddings(frames).logits, before)
    frozen = run.score_unseen(model, tested, True)
    assert np.allclose(frozen.probabilities, found["scores"], atol=1e-6), "the tower is still CLIP's own"
    other = run.build_model(p, tested.data.classes, tested.texts, "sfar", 0)
    other.load_state_dict(model.state_dict())
    assert np.allclose(run.score_set(other, tested).probabilities, found["scores"], atol=1e-6), (
        "the same as a model of those classes"
    )

    def fail(*args, **kwargs):
        raise DataError("damaged")

    monkeypatch.setattr(evaluate, "score", fail)
    with pytest.raises(DataError):
        run.score_unseen(model, tested, False)
    with torch.no_grad():
        assert torch.equal(model.from_embeddings(frames).logits, before), "also when it fails"


def test_a_model_of_another_input_size(roots):
    with pytest.raises(ConfigError, match=r"data\.image_size=32, but storyboard takes 64 pixels"):
        run.build(run.resolve(job(roots, **{"data.image_size": 32}), training=False))
