"""How runs are spread: what is kept is not made again, order and progress, what a failing run says."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch

from sfar.config import get_profile
from sfar.data.source import Dataset
from sfar.errors import SfarError
from sfar.runs import executor, places
from sfar.runs.job import Job
from sfar.runs.task import Task
from sfar.training.stacked import OneFailed
from sfar.util import cache

DATA = Dataset("kinetics400", Path("nowhere"), "fingerprint", ("long jump", "pole vault"), True)


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(executor, "prepare", lambda jobs, site: [(8, 4)] * len(jobs))


def job(epochs=3):
    return Job(get_profile("storyboard", {"train.epochs": epochs}), DATA, "clip", 0)


def write(folder, what, key, tick):
    """A task that says who made it."""
    tick(1)
    (folder / key).write_text(f"{what} {os.getpid()} {torch.get_num_threads()}")
    return (folder / key).read_text()


def refuse(key, tick):
    raise SfarError("its loss is not finite")


def die(key, tick):
    os.kill(os.getpid(), signal.SIGKILL)


def find(folder, key):
    return (folder / key).read_text() if (folder / key).is_file() else None


def tasks(folder, *keys):
    return [Task(f"clip/{k}", k, job(), partial(write, folder, k.upper())) for k in keys]


def test_side_by_side(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # which is not what they have
    (tmp_path / "b").write_text("kept")
    first, kept, same, last = executor.spread(tasks(tmp_path, *"abac"), partial(find, tmp_path), 2, "at work")
    assert kept == "kept" and first == same and (first[0], last[0]) == ("A", "C"), "in their order, each made once"
    assert str(os.getpid()) not in (first.split()[1], last.split()[1]), "in processes of their own"
    assert first.split()[2] == last.split()[2] == "1", "a thread each"
    said = capfd.readouterr().err
    assert "at work" in said and "2/2 runs" in said.splitlines()[-1].split("\r")[-1], "it ends with all of them"
    assert executor.spread(tasks(tmp_path, *"abc"), partial(find, tmp_path)) == [first, kept, last]
    assert not capfd.readouterr().err, "what is kept was made again"


def test_on_a_gpu_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["0"])
    made = executor.spread(tasks(tmp_path, *"ab"), partial(find, tmp_path))
    assert [m.split()[:2] for m in made] == [["A", str(os.getpid())], ["B", str(os.getpid())]]


def test_the_long_ones_first(monkeypatch):
    order = []
    monkeypatch.setattr(
        executor, "side_by_side", lambda todo, *_: order.extend(t.key for t in todo) or {t.key: 0 for t in todo}
    )
    todo = [Task(k, k, job(n), refuse) for k, n in (("a", 1), ("b", 9), ("c", 3))]
    executor.spread(todo, lambda key: None)
    assert order == ["b", "c", "a"]


def test_a_run_that_fails_is_named(tmp_path):
    todo = [*tasks(tmp_path, "a"), Task("sfar/seed 3", "x", job(1), refuse)]
    with pytest.raises(SfarError, match="run sfar/seed 3: its loss is not finite"):
        executor.spread(todo, partial(find, tmp_path), 1)
    assert find(tmp_path, "a"), "finished ones stay kept"


def test_a_process_that_dies_is_named():
    with pytest.raises(SfarError, match=r"run sfar/seed 3: its process died .*JOBS=1"):
        executor.spread([Task("sfar/seed 3", "x", job(), die)], lambda key: None, 1)


def test_all_runs_look_at_a_data_set_of_other_classes_once(monkeypatch):
    seen = []
    other = Dataset("ucf101", Path("nowhere"), "f", ("yoga",), True)
    monkeypatch.setattr(executor, "dataset", lambda profile: seen.append(profile.data.dataset) or other)
    monkeypatch.setattr(executor, "run_one", lambda job, tick, keeper: {"seed": job.seed})
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["0"])
    jobs = [Job(get_profile("storyboard"), DATA, "clip", s, zero_shot=("storyboard-ucf101",)) for s in (0, 1, 0)]
    assert executor.run_all(jobs) == [{"seed": 0}, {"seed": 1}, {"seed": 0}]
    assert seen == ["storyboard-ucf101"]
    assert cache.load_json("run", jobs[1].key(lambda profile: other)) == {"seed": 1}


def test_what_goes_into_one_program(tmp_path, monkeypatch):
    """Kept one by one, in the order that was asked for; a part that fails is named by itself."""
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["0"])
    todo = tasks(tmp_path, *"abc")

    def pair(new, workers):
        assert [t.key for t in new] == ["a", "c"], "what is kept goes into no program"
        return [Task("both", "a+c", new[0].job, lambda key, tick: [t.make(t.key, tick) for t in new], tuple(new))]

    (tmp_path / "b").write_text("kept")
    made = executor.spread(todo, partial(find, tmp_path), together=pair)
    assert [m.split()[0] for m in made] == ["A", "kept", "C"]

    def fail(key, tick):
        raise OneFailed("its loss is not finite", 1)

    def broken(new, workers):
        return [Task("both", "x+y", new[0].job, fail, tuple(new))]

    with pytest.raises(SfarError, match=r"run clip/y: its loss is not finite"):
        executor.spread(tasks(tmp_path, *"xy"), partial(find, tmp_path), together=broken)


def test_seeds_and_settings_share_their_videos():
    """What is drawn and embedded beforehand is the same for all methods, seeds and settings of a training."""
    frozen = {"train.train_visual": False}

    def common(method="sfar", seed=0, **fields):
        profile = get_profile("storyboard", {**frozen, **{k.replace("__", "."): v for k, v in fields.items()}})
        return executor._common(Job(profile, DATA, method, seed))

    assert common() == common("single", 3) == common(train__epochs=7, train__lr_head=0.01) == common(model__ffn="none")
    assert common() != common(data__replicate=1) and common() != common(data__shots=2)
    assert common() != common(train__frames=16) and common() != common(train__train_visual=True)
    assert common() != common("vanilla"), "it has no training videos"
