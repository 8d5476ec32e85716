"""What `sfar train` has trained fills the store of runs, and a run of the same training is tested with its weights."""

import json
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from safetensors.torch import load_file
from small_sets import at

from sfar.cli.main import main
from sfar.data.source import dataset
from sfar.runs import executor, kept, run, store
from sfar.runs.job import Job

pytestmark = pytest.mark.usefixtures("videos_here", "runs_here")
TRAINED: dict[str, Any] = {"train.epochs": 2, "train.batch": 4, "train.frames": 2, "model.temporal_layers": 1}
FROZEN: dict[str, Any] = TRAINED | {"train.train_visual": False, "train.frozen_draws": 2}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, roots, shared):
    """Empty but for the decoded videos, which are those of all tests."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(kept.KEEP, raising=False)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(shared / "frames")


def whole(roots):
    """The folder that holds all the sets under their names."""
    return {"kinetics400": roots["kinetics400"].parent}


def job(roots, seed=0, method="sfar", views="1x1", zero_shot=(), **changes: Any):
    p = at(whole(roots), **(changes or TRAINED))
    return Job(p, dataset(p), method, seed, views, zero_shot)


def command(roots, out, seed=0, method="sfar", **changes):
    argv = ["train", method, "--dataset", "kinetics400", "--data", whole(roots)["kinetics400"], "--seed", seed]
    for key, value in (changes or TRAINED).items():
        argv += ["--set", f"{key}={json.dumps(value)}"]
    return [str(a) for a in (*argv, "--out", out)]


@pytest.fixture
def never(monkeypatch):
    """Nothing is trained by what runs spread."""

    def refuse(*args, **kwargs):
        raise AssertionError("it was trained before")

    monkeypatch.setattr(executor, "run_one", refuse)
    monkeypatch.setattr(executor, "run_stacked", refuse)


def same(got, want):
    """But for seconds, and for who has trained it, the record that one process makes."""
    for key in want:
        if key not in ("seconds", "history", "training"):
            assert got[key] == want[key], key
    assert got["history"] | {"seconds": 0} == want["history"] | {"seconds": 0}
    assert {k: got["training"][k] for k in want["training"]} == want["training"]


def test_a_run_takes_up_what_was_trained(roots, tmp_path, capsys, never):
    """With other views and other data sets than it was trained for; fields that change no number are no hindrance."""
    asked = job(roots, views="4x3", zero_shot=("ucf101",))
    laid_out = TRAINED | {"train.checkpoint_activations": True, "data.loader_workers": 0}
    assert main(command(roots, tmp_path / "a.safetensors", **laid_out)) == 0
    key = store.training(asked).key()
    assert f"Kept as run {key}: `sfar reproduce` takes it up" in capsys.readouterr().out
    said = json.loads((kept.folder() / key / kept.ABOUT).read_text())
    assert said["result"] == {} and said["training"]["by"] == "sfar train" and said["training"]["processes"] == 1
    assert len(said["history"]["loss"]) == 2 and len((kept.folder() / key / kept.LOG).read_text().splitlines()) == 2
    assert main(["runs"]) == 0
    assert key in capsys.readouterr().out
    (got,) = executor.run_all([asked])
    same(got, run.run_one(asked))
    assert got["training"]["by"] == "sfar train" and got["training"]["processes"] == 1
    own = kept.folder() / asked.key()
    weights, trained = (load_file(f / kept.WEIGHTS) for f in (own, kept.folder() / key))
    assert own.name != key and all(torch.equal(v, weights[k]) for k, v in trained.items())
    assert (own / kept.LOG).read_text() == (kept.folder() / key / kept.LOG).read_text()
    # A picture asks for the weights of the run that it shows.
    assert executor.run_kept([asked])[0] == (got, own / kept.WEIGHTS)
    # A run of the same key takes the folder over, and is found by further ones.
    (plain,) = executor.run_all([job(roots)])
    assert plain["views"]["1x1"] == got["views"]["1x1"]
    assert json.loads((kept.folder() / key / kept.ABOUT).read_text())["result"]["top1"] == plain["views"]["1x1"]["top1"]
    executor.run_all([job(roots, views="4x3")])


def test_two_processes_fill_the_store(roots, tmp_path, never, capsys):
    """As torchrun starts them; the checkpoint alone says what it is to be tested on."""
    out = tmp_path / "two.safetensors"
    done = forked.command(tmp_path / "said", *command(roots, out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Kept as run") == 1
    (got,) = executor.run_all([job(roots)])
    want = run.run_one(job(roots))
    assert got["training"]["processes"] == 2 and got["history"]["loss"] == pytest.approx(
        want["history"]["loss"], abs=1e-4
    )
    found = tmp_path / "s.json"
    assert main(["evaluate", str(out), "--scores", str(found)]) == 0
    assert "of 4 videos" in capsys.readouterr().out
    assert json.loads(found.read_text())["scores"] == got["views"]["1x1"]["scores"]


def test_seeds_that_are_trained_go_into_no_program(roots, tmp_path, monkeypatch):
    assert main(command(roots, tmp_path / "a.safetensors", 3, **FROZEN)) == 0
    jobs = [job(roots, s, **FROZEN) for s in (3, 4, 5)]
    seen = []
    real = executor.run_stacked
    monkeypatch.setattr(executor, "run_stacked", lambda jobs, *a: seen.extend(j.seed for j in jobs) or real(jobs, *a))
    records = executor.run_all(jobs, workers=1)
    assert sorted(seen) == [4, 5]
    assert ["by" in r["training"] for r in records] == [True, False, False]
    same(records[0], run.run_one(jobs[0]))


def test_what_is_not_taken_up(roots, tmp_path, monkeypatch):
    one = job(roots)
    executor.run_all([one])
    assert kept.weights(one.key()) and store.trained(job(roots, views="4x3")) is None, "of another study"
    monkeypatch.setenv(kept.KEEP, "none")
    assert main(command(roots, tmp_path / "a.safetensors", 1)) == 0
    assert store.trained(job(roots, 1)) is None, "no weights were to be kept"
    monkeypatch.delenv(kept.KEEP)
    assert main(command(roots, tmp_path / "a.safetensors", 1)) == 0
    assert store.trained(job(roots, 1)) == kept.weights(job(roots, 1).key())
    for other in (job(roots, 2), job(roots, 1, "clip"), job(roots, 1, **TRAINED | {"train.epochs": 3})):
        assert store.trained(other) is None
    assert store.trained(job(roots, 1, "vanilla")) is None


def test_a_wrong_limit_is_said_before_the_work(roots, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(kept.KEEP, "some")
    assert main(command(roots, tmp_path / "a.safetensors")) == 2
    assert "SFAR_KEEP_WEIGHTS='some': expected one of all, small, none" in capsys.readouterr().err
    assert not Path(tmp_path / "a.safetensors").exists()
