"""Runs that several processes share under torchrun, and runs side by side on the GPUs of one machine."""

import os
import subprocess
import sys
from functools import partial
from typing import cast

import elsewhere
import numpy as np
import pytest
import torch
import waiting
from small_sets import at
from waiting import ENOUGH, until

from sfar.cli import main as cli
from sfar.cli import options
from sfar.data.source import dataset
from sfar.errors import ConfigError, SfarError
from sfar.runs import executor, kept, launch, places
from sfar.runs.job import Job
from sfar.runs.task import Task
from sfar.util import cache, processes

# The paper's learning rates, so that a step moves no weight by more than rounding may (see tests/training/two.py).
TRAINED = {
    "train.epochs": 1,
    "train.batch": 4,
    "train.frames": 2,
    "train.lr_head": 5e-5,
    "train.lr_clip": 5e-6,
    "model.temporal_layers": 1,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, roots, shared):
    """Empty but for the decoded videos, which are those of all tests."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    for name in (places.EXECUTOR, places.PER_RUN):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(shared / "frames")
    return tmp_path / "cache"


def job(roots, seed=0, method="sfar", **changes):
    p = at(roots, **(TRAINED | changes))
    return Job(p, dataset(p), method, seed, views="4x3", zero_shot=("ucf101",) if changes.get("data.x") else ())


# --- a run in two processes ------------------------------------------------------------------------------------------


def close(a, b):
    """The same JSON, numbers to the order of sums; what it took aside."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a if k != "seconds")
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return bool(np.isclose(a, b, atol=2e-4)) if isinstance(a, float) else a == b


def test_two_processes_give_the_record_of_one(roots, monkeypatch, tmp_path, videos_here):
    """It fills the store as any other, and is taken up from there."""
    one = job(roots)
    with monkeypatch.context() as patch:  # of one process, in a cache of its own
        patch.setenv("SFAR_CACHE", str(tmp_path / "alone"))
        (tmp_path / "alone").mkdir()
        (tmp_path / "alone" / "frames").symlink_to(tmp_path / "cache" / "frames")
        executor.prepare([one], executor.Here(1, 1))
        (task,) = [t for t in tasks_of([one])]
        alone = task.make(task.key, lambda n: None)
    monkeypatch.setenv(places.PER_RUN, "2")
    ticks = []
    monkeypatch.setattr(
        executor,
        "side_by_side",
        lambda todo, bar, at: {t.key: launch.made(t, at.processes, ticks.append) for t in todo},
    )
    (record,) = executor.run_all([one], workers=1)
    assert sum(ticks) == one.cost(8, 4), "the work of both, as it was reckoned"
    assert close(record, alone) and record.keys() == alone.keys() and record["views"]["4x3"]
    folder = kept.folder() / one.key()
    assert sorted(p.name for p in folder.iterdir()) == [kept.LOG, kept.ABOUT, kept.WEIGHTS]
    assert cache.load_json("run", one.key()) == record and not list((tmp_path / "cache" / "run").glob("*.states"))
    monkeypatch.setattr(launch, "made", None)  # what is kept is not made again, however it was made
    monkeypatch.delenv(places.PER_RUN)
    assert executor.run_all([one]) == [record]
    assert executor.run_kept([one]) == [(record, folder / kept.WEIGHTS)]


def tasks_of(jobs):
    """What ``run_all`` spreads."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "spread", lambda tasks, *_: found.extend(tasks))
        executor.run_all(jobs)
    return found


def test_what_is_shared(roots):
    """A tower that is trained or tested; a head on a frozen one is made by one process."""
    full, tested, frozen = tasks_of(
        [job(roots), job(roots, method="vanilla"), job(roots, **{"train.train_visual": False})]
    )
    assert full.share and tested.share and frozen.share is None
    ticks = []
    whole = Task("x", "k", full.job, lambda key, tick: (key, tick(3)), share=None)
    assert launch.made(whole, 4, ticks.append) == ("k", None) and ticks == [3]


def shared(share):
    return Task("sfar/seed 0", "k", cast(Job, None), elsewhere.refuses, share=share)


def test_a_process_that_fails_says_why(capfd):
    with pytest.raises(SfarError, match=r"^its loss is not finite$"):
        launch.made(shared(elsewhere.fails), 2, lambda n: None)
    assert not capfd.readouterr().err, "torchrun's report is of no use beside it"


def test_a_process_that_dies_is_named_by_torchrun(capfd):
    with pytest.raises(processes.ProcessDied, match=r"one of its 2 processes was killed"):
        launch.made(shared(elsewhere.killed), 2, lambda n: None)
    assert "Signal 9" in capfd.readouterr().err


# --- who is left -----------------------------------------------------------------------------------------------------

LAUNCHER = """
import sys
from functools import partial
from pathlib import Path
import elsewhere
from sfar.runs import launch
from sfar.runs.task import Task
share = partial(elsewhere.stays, Path(sys.argv[1]))
launch.made(Task("x", "k", None, None, share=share), 2, lambda n: print("begun", flush=True) if n else None)
"""


def test_nobody_is_left_when_the_one_that_started_them_is_killed(tmp_path):
    own = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    started = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path)], env=own, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout and started.stdout.readline() == "begun\n"
    until(lambda: len(list(tmp_path.glob("rank*"))) == 2)
    ranks = [int(p.suffix[1:]) for p in tmp_path.glob("rank*")]
    (torchrun,) = {waiting.parent(pid) for pid in ranks}
    started.kill()
    started.wait(ENOUGH)
    until(lambda: not any(map(waiting.lives, [*ranks, torchrun])))


# --- side by side ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found, each, most, devices",
    [
        (["0", "1", "2", "3", "4"], 2, None, ("0,1", "2,3")),
        (["GPU-a", "GPU-b"], 1, None, ("GPU-a", "GPU-b")),
        (["0", "1", "2", "3"], 1, 3, ("0", "1", "2")),
        (["0"], 1, 8, ("0",)),
        (None, 1, 3, ("", "", "")),
    ],
)
def test_gpus_are_dealt_out(found, each, most, devices):
    assert places.deal(found, each, most) == places.Places(devices, each)


def test_cores_are_dealt_out(monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: 9)
    assert [len(places.deal(None, n)) for n in (1, 2, 10)] == [9, 4, 1]


def test_the_gpus_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert places.gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,none")
    assert places.gpus() == ["5", "7"]


def test_more_gpus_than_there_are():
    with pytest.raises(ConfigError, match=r"^4 GPUs for a run \(--gpus-per-run, .*\): this machine has 2; ask for at"):
        places.deal(["0", "1"], 4)


def test_runs_side_by_side_each_on_a_gpu_of_its_own(monkeypatch, tmp_path, roots):
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["3", "5"])
    monkeypatch.setattr(executor, "prepare", lambda jobs, site: [(8, 4)] * len(jobs))
    (tmp_path / "begun").mkdir()
    todo = [Task(k, k, job(roots), partial(elsewhere.where, tmp_path / "begun")) for k in "ab"]
    made = executor.spread(todo, lambda key: None)
    assert sorted(made) == [("3", 2), ("5", 2)], "each its own, and a half of the cores for the loader"


def test_shared_runs_get_their_gpus_and_the_others_one_each(monkeypatch, roots):
    at_work = []
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: list("0123"))
    monkeypatch.setattr(executor, "prepare", lambda jobs, site: [(8, 4)] * len(jobs))
    monkeypatch.setattr(
        executor, "side_by_side", lambda todo, bar, at: at_work.append(at) or {t.key: at.devices for t in todo}
    )
    monkeypatch.setenv(places.PER_RUN, "2")
    todo = [
        Task("s", "s", job(roots), elsewhere.refuses, share=elsewhere.fails),
        Task("a", "a", job(roots), elsewhere.refuses),
    ]
    assert executor.spread(todo, lambda key: None) == [("0,1", "2,3"), tuple("0123")]
    assert [p.processes for p in at_work] == [2, 1]


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value, message",
    [
        (places.EXECUTOR, "slurm", "SFAR_EXECUTOR='slurm': expected one of local, ray"),
        (places.PER_RUN, "two", "SFAR_GPUS_PER_RUN='two': expected a whole number of at least 1"),
        (places.PER_RUN, "0", "SFAR_GPUS_PER_RUN='0': expected a whole number of at least 1"),
    ],
)
def test_a_wrong_answer_is_said_before_the_work(monkeypatch, capsys, name, value, message):
    monkeypatch.setenv(name, value)
    assert cli.main(["reproduce", "table1"]) == 2
    assert capsys.readouterr().err == f"sfar: {message}\n"


def test_the_command_says_it_to_all_that_makes_runs(monkeypatch):
    for name in (places.EXECUTOR, places.PER_RUN):
        monkeypatch.setenv(name, "")
    a = cli.parser().parse_args(["reproduce", "table1", "--executor", "local", "--gpus-per-run", "3"])
    options.where(a)
    assert (places.executor(), places.per_run()) == ("local", 3)
    options.where(cli.parser().parse_args(["reproduce", "table1"]))
    assert places.per_run() == 3, "what the environment says stays"
