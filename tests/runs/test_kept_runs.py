"""What runs leave to look at: weights that give the same scores again, a log that says each epoch, a list of them."""

import json
import os
import sys

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open
from small_sets import at

import sfar
from sfar.cli.main import main
from sfar.config import values
from sfar.data.source import dataset
from sfar.errors import ConfigError, SfarError
from sfar.runs import executor, kept, run, store
from sfar.runs.job import Job
from sfar.runs.other_methods import OtherMethodJob, run_other_methods
from sfar.training import checkpoint, log
from sfar.training.train import train

pytestmark = pytest.mark.usefixtures("videos_here", "runs_here")
TRAINED = {"train.epochs": 2, "train.batch": 4, "train.frames": 2, "model.temporal_layers": 1}
FROZEN = TRAINED | {"train.train_visual": False, "train.frozen_draws": 2}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, roots, shared):
    """Empty but for the decoded videos, which are those of all tests."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(kept.KEEP, raising=False)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(shared / "frames")
    return tmp_path / "cache"


def job(roots, seed=0, method="sfar", **changes):
    p = at(roots, **(changes or TRAINED))
    return Job(p, dataset(p), method, seed)


def scores(folder, profile, method="sfar"):
    """Of the single view, by a fresh model with the kept weights."""
    data = dataset(profile)
    inputs = run.resolve(Job(profile, data, method, 9), training=False)
    assert inputs.validation is not None
    model = run.build_model(profile, data.classes, inputs.texts, method, 9)
    checkpoint.load(folder / kept.WEIGHTS, model, profile, data.classes)
    return run.result(run.score_set(model, inputs.validation), inputs.validation.clips)["scores"]


def lines(folder):
    return [json.loads(line) for line in (folder / kept.LOG).read_text().splitlines()]


def names(folder):
    with safe_open(folder / kept.WEIGHTS, "pt") as f:
        return set(f.keys())


def test_a_run_leaves_its_weights_and_its_log(roots, capsys, tmp_path):
    one = job(roots, 1)
    (record,) = executor.run_all([one])
    folder = kept.folder() / one.key()
    assert sorted(p.name for p in folder.iterdir()) == [kept.LOG, kept.ABOUT, kept.WEIGHTS]
    assert not list(folder.parent.parent.glob("run/*.states")), "states go when the run is there"
    about = json.loads((folder / kept.ABOUT).read_text())
    assert about["history"] == record["history"] and about["configuration"] == values(one.profile)
    assert about["result"] == {"top1": record["views"]["1x1"]["top1"], "top5": record["views"]["1x1"]["top5"]}
    assert (about["method"], about["seed"], about["data"]) == ("sfar", 1, "kinetics400")
    said = lines(folder)
    assert [line["epoch"] for line in said] == [1, 2] and [line["loss"] for line in said] == record["history"]["loss"]
    assert [line["steps"] for line in said] == [2, 4] and all(line["seconds"] >= 0 for line in said)
    t = one.profile.train
    for line in said:
        assert line["lr"] == pytest.approx(log.lines_of(record["history"], t, line["lr"])[line["epoch"] - 1]["lr"])
    # The weights are those that were measured: alone, and through both ways to them.
    assert np.array_equal(scores(folder, one.profile), record["views"]["1x1"]["scores"])
    assert any(n.startswith("clip.visual.") for n in names(folder))
    video = next((roots["kinetics400"] / "val").rglob("*.mp4"))
    for what in (one.key(), one.key()[:6], str(folder), folder, f"runs/{one.key()}"):
        assert sfar.load(what).model.method == "sfar"
    assert sum(p for _, p in sfar.load(folder).predict(video).top()) == pytest.approx(1, abs=1e-4)
    capsys.readouterr()
    assert main(["evaluate", one.key()[:8], "--scores", str(tmp_path / "s.json")]) == 0  # on the data of the run
    assert f"top-1 {record['views']['1x1']['top1']:.2f} %" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["scores"] == record["views"]["1x1"]["scores"]
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert one.key() in out and "kept" in out and f"{about['result']['top1']:.2f} %" in out and "1 runs" in out


@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_a_head_on_a_frozen_tower(roots, seeds):
    """Made alone and in one program: the head is kept, and the tower that it stood on is that of the CLIP."""
    jobs = [job(roots, s, **FROZEN) for s in seeds]
    records = executor.run_all(jobs, workers=1)
    for one, record in zip(jobs, records, strict=True):
        folder = kept.folder() / one.key()
        assert names(folder) and all(n.startswith("head.") or n == "clip.logit_scale" for n in names(folder))
        found = np.array(scores(folder, one.profile))
        assert np.abs(found - np.array(record["views"]["1x1"]["scores"])).max() < 1e-5
        assert [line["loss"] for line in lines(folder)] == record["history"]["loss"]
        assert lines(folder)[-1]["steps"] == record["history"]["steps"] and lines(folder)[0]["lr"].keys() == {
            "clip",
            "head",
        }
    if len(seeds) > 1:
        first, second = (checkpoint.load_file(kept.folder() / j.key() / kept.WEIGHTS) for j in jobs)
        assert not all(torch.equal(first[k], second[k]) for k in first), "each has its own"
    assert sfar.load(jobs[0].key()).model.method == "sfar"


def test_a_head_belongs_to_its_tower(roots, monkeypatch):
    one = job(roots, **FROZEN)
    executor.run_all([one])
    monkeypatch.setattr(checkpoint, "weights_id", lambda *_: ["storyboard", "others"])
    with pytest.raises(
        ConfigError, match=r"trained on the frozen tower of another storyboard: its weights have changed"
    ):
        sfar.load(one.key())


def test_what_trains_nothing_and_what_is_of_another_method(roots, capsys):
    plain = job(roots, 0, "vanilla")
    executor.run_all([plain])
    folder = kept.folder() / plain.key()
    assert [p.name for p in folder.iterdir()] == [kept.ABOUT]
    with pytest.raises(ConfigError, match=r"trained nothing and has no weights"):
        sfar.load(folder)
    other = OtherMethodJob(job(roots, **FROZEN), "bike", "fine")
    (record,) = run_other_methods([other])
    folder = kept.folder() / other.key()
    assert any(n.startswith("head.") for n in names(folder)) and len(lines(folder)) == 2
    assert [line["v2t"] for line in lines(folder)] == record["v2t"]
    about = checkpoint.read_about(folder / kept.WEIGHTS)
    assert (about["base"], about["fve"]) == ("bike", "fine")
    for what in (folder, other.key(), folder / kept.WEIGHTS):
        with pytest.raises(ConfigError, match=r"of another method \(bike/fine\), which is tested in its table alone"):
            sfar.load(what)
    capsys.readouterr()
    assert main(["evaluate", str(folder / kept.WEIGHTS)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sfar: ") and "of another method (bike/fine)" in said and said.count("\n") == 1
    assert main(["runs"]) == 0 and "bike/fine" in capsys.readouterr().out


@pytest.mark.parametrize("asked, there", [("small", True), ("none", False)])
def test_how_much_is_kept(roots, monkeypatch, asked, there, capsys):
    monkeypatch.setenv(kept.KEEP, asked)
    one = job(roots, 0, "clip", **{"train.epochs": 1, "train.frames": 2})
    executor.run_all([one])
    folder = kept.folder() / one.key()
    assert (folder / kept.WEIGHTS).is_file() == there and (folder / kept.LOG).is_file()
    assert kept.about(folder)["weights"]["kept"] == there and kept.about(folder)["weights"]["bytes"] > 1e6
    if not there:
        with pytest.raises(
            ConfigError, match=r"were not kept \(SFAR_KEEP_WEIGHTS.*train it again with `sfar train clip"
        ):
            sfar.load(folder)
        assert main(["runs"]) == 0 and "not kept" in capsys.readouterr().out
    assert store.kept(one) is not None, "the record does not depend on it"


def test_an_unknown_answer(monkeypatch, roots, capsys):
    monkeypatch.setenv(kept.KEEP, "some")
    with pytest.raises(ConfigError, match=r"SFAR_KEEP_WEIGHTS='some': expected one of all, small, none"):
        store.keep("run", "k", lambda keeper: pytest.fail("begun"), job(roots))
    assert main(["reproduce", "table1"]) == 2 and "SFAR_KEEP_WEIGHTS='some'" in capsys.readouterr().err


def test_the_option_is_heard_by_the_runs(monkeypatch):
    from sfar.reproduce import targets

    def stop(*_):
        raise SfarError(f"limit {kept.limit():.0f}")

    monkeypatch.setattr(targets, "check_folders", stop)
    monkeypatch.setenv(kept.KEEP, "all")  # put back afterwards
    assert main(["reproduce", "table1", "--keep-weights", "none"]) == 2 and os.environ[kept.KEEP] == "none"


def test_runs_that_are_not_there(own_cache, capsys):
    assert main(["runs"]) == 0 and capsys.readouterr().out.startswith("0 runs, 0.0 MB in ")
    with pytest.raises(ConfigError, match=r"no run abcd1234 in .*`sfar runs` lists them"):
        sfar.load("abcd1234")
    (own_cache / "runs" / "x").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"run.json cannot be read"):
        sfar.load(own_cache / "runs" / "x")
    for key in ("abcd0001", "abcd0002"):
        (own_cache / "runs" / key).mkdir()
        (own_cache / "runs" / key / kept.ABOUT).write_text("{}")
    with pytest.raises(ConfigError, match=r"2 runs begin with abcd: abcd0001, abcd0002"):
        sfar.load("abcd")
    with pytest.raises(ConfigError, match=r"no checkpoint at other.safetensors"):
        sfar.load("other.safetensors")


def test_the_result_is_kept_before_the_weights(roots, monkeypatch):
    """A disk that is full then costs the weights, not the result."""
    one = job(roots, 0, "clip", **{"train.epochs": 1, "train.frames": 2})

    def full(*args):
        raise SfarError("cannot write: no space left")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(SfarError, match="no space left"):
        executor.run_all([one])
    assert store.kept(one) is not None and not (kept.folder() / one.key()).exists()


def test_clean_cache_says_how_much(roots, capsys, own_cache):
    executor.run_all([job(roots, 0, "clip", **{"train.epochs": 1, "train.frames": 2})])
    capsys.readouterr()
    (own_cache / "frames").unlink()
    assert main(["clean-cache"]) == 0
    out = capsys.readouterr().out
    assert "runs 3." in out and "MB in all" in out and not kept.folder().exists()
    assert main(["clean-cache"]) == 0 and "nothing, it was empty" in capsys.readouterr().out


# --- the log of a training ---


class Stop(Exception):
    pass


def test_a_log_goes_on_after_an_interruption(tmp_path):
    """The lines of epochs that were finished before stay; those that are trained again are written again."""
    profile = tiny.profile(epochs=3, batch=4)

    def go(seen, **how):
        keeper = log.Logged(tmp_path / "states", {}, tmp_path / "m.jsonl", **how)
        train(tiny.model(), tiny.clips(13), profile, 3, seen, keeper=keeper)
        keeper.note()
        return keeper

    def stop(step, steps, loss):
        if step == 5:
            raise Stop

    with pytest.raises(Stop):
        go(stop, every=0.0)
    first = log.read_lines(tmp_path / "m.jsonl")
    assert [line["epoch"] for line in first] == [1]
    keeper = go(None)
    assert log.read_lines(tmp_path / "m.jsonl") == keeper.lines and keeper.lines[:1] == first
    assert [(line["epoch"], line["steps"]) for line in keeper.lines] == [(1, 3), (2, 6), (3, 9)]
    want = train(tiny.model(), tiny.clips(13), profile, 3)
    assert [line["loss"] for line in keeper.lines] == want.loss
    lost = log.Logged(tmp_path / "states", {}, tmp_path / "lost.jsonl")
    train(tiny.model(), tiny.clips(13), profile, 3, keeper=lost)
    lost.note()
    assert [line["loss"] for line in lost.lines] == want.loss and "lr" not in lost.lines[0] and "lr" in lost.lines[2]


class Board:
    def __init__(self, folder):
        self.folder, self.seen = folder, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def add_scalar(self, name, value, step):
        self.seen.setdefault(name, []).append((step, value))


def test_tensorboard(tmp_path):
    board = Board("")
    keeper = log.Logged(tmp_path / "states", {}, tmp_path / "m.jsonl", board=board)
    seen = []

    def step(i, n, loss):
        seen.append((i, loss))
        keeper.stepped(i, loss)

    train(tiny.model(), tiny.clips(13), tiny.profile(epochs=2, batch=4), 3, step, keeper=keeper)
    keeper.note()
    assert board.seen["step/loss"] == seen and len(seen) == 6
    assert board.seen["epoch/loss"] == [(line["epoch"], line["loss"]) for line in keeper.lines]
    assert board.seen["step/lr head"][-1] == (6, keeper.lines[-1]["lr"]["head"])


def test_without_tensorboard(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with log.tensorboard("") as board:
        assert board is None
    words = r"^--tensorboard needs the package tensorboard: pip install 'sfar\[tensorboard\]'$"
    with pytest.raises(ConfigError, match=words), log.tensorboard(str(tmp_path)):
        pass


def test_tensorboard_reads_what_is_written(tmp_path):
    """The package's own writer and reader: tags, steps and values arrive."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with log.tensorboard(str(tmp_path / "events")) as board:
        keeper = log.Logged(tmp_path / "states", {}, tmp_path / "m.jsonl", board=board)

        def step(i, n, loss):
            keeper.stepped(i, loss)

        train(tiny.model(), tiny.clips(13), tiny.profile(epochs=2, batch=4), 3, step, keeper=keeper)
        keeper.note()
    found = EventAccumulator(str(tmp_path / "events")).Reload()
    losses = [(e.step, e.value) for e in found.Scalars("epoch/loss")]
    assert losses == [(line["epoch"], pytest.approx(line["loss"], rel=1e-6)) for line in keeper.lines]
    assert [e.step for e in found.Scalars("step/loss")] == list(range(1, 7))


def test_the_log_of_sfar_train(roots, tmp_path, monkeypatch, capsys):
    boards = []
    monkeypatch.setattr(log, "tensorboard", lambda folder: boards.append(Board(folder)) or boards[-1])
    argv = ["train", "clip", "--dataset", "kinetics400", "--data", str(roots["kinetics400"]), "--tensorboard", "there"]
    argv += ["--set", "train.epochs=2", "--set", "train.batch=4", "--out", str(tmp_path / "c.safetensors")]
    assert main([*argv, "--history", str(tmp_path / "h.json")]) == 0
    history = json.loads((tmp_path / "h.json").read_text())
    found = log.read_lines(tmp_path / "c.safetensors.metrics.jsonl")
    assert [line["loss"] for line in found] == history["loss"] and len(history["loss"]) == 2
    assert boards[0].folder == "there" and len(boards[0].seen["step/loss"]) == history["steps"]
    assert sorted(p.name for p in tmp_path.glob("c.*")) == ["c.safetensors", "c.safetensors.metrics.jsonl"]


def test_a_checkpoint_that_is_something_else(tmp_path):
    for content, words in (
        (b"version https://git-lfs.github.com", "Git LFS"),
        (b"<html>", "a web page"),
        (b"", "empty"),
    ):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(ConfigError, match=rf"x.safetensors is no checkpoint: it is .*{words}"):
            sfar.load(tmp_path / "x.safetensors")


def test_weights_that_a_study_asks_for_are_those_of_the_run(roots, monkeypatch):
    """They are found again; where they were not kept the run is made once more, whatever is to be kept of others."""
    one = job(roots, 1)
    monkeypatch.setenv(kept.KEEP, "none")
    (measured,) = executor.run_all([one])
    assert kept.weights(one.key()) is None
    ((again, file),) = executor.run_kept([one])
    assert file == kept.weights(one.key()) == kept.folder() / one.key() / kept.WEIGHTS
    assert again | {"seconds": 0, "history": 0} == measured | {"seconds": 0, "history": 0}
    assert again["history"]["loss"] == measured["history"]["loss"]

    def never(job, tick):
        raise AssertionError("it was made before")

    monkeypatch.setattr(executor, "run_one", never)
    assert executor.run_kept([one]) == [(again, file)] and executor.run_all([one]) == [again]
    model = store.load_model(one, file)
    inputs = run.resolve(one, training=False)
    assert inputs.validation is not None
    found = run.result(run.score_set(model, inputs.validation), inputs.validation.clips)["scores"]
    assert np.array_equal(found, measured["views"]["1x1"]["scores"])
    fresh = checkpoint.trained_state(run.build(inputs))
    assert not all(torch.equal(v, fresh[k]) for k, v in checkpoint.trained_state(model).items())


def test_weights_are_those_of_a_run_whatever_its_method_does_not_read(roots):
    """Fields that a method does not read make no other run of it, so they may be others where its weights are asked."""
    one = job(roots, 0, "clip")
    ((_, file),) = executor.run_kept([one])
    other = job(roots, 0, "clip", **TRAINED, **{"model.ffn_residual": not one.profile.model.ffn_residual})
    assert other.key() == one.key()
    assert store.load_model(other, file).method == "clip"


def test_what_is_not_trained_has_no_weights(roots):
    with pytest.raises(SfarError, match="left no weights: nothing is trained in it"):
        executor.run_kept([job(roots, 0, "vanilla")])
