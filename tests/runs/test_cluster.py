"""Runs on a Ray cluster of two nodes: one is killed in the middle, and nothing is left when the command is stopped."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from functools import partial
from typing import cast

import elsewhere
import pytest
import waiting
from small_sets import at
from test_shared_runs import TRAINED, close, tasks_of
from waiting import ENOUGH, until

from sfar.data.source import dataset
from sfar.errors import ConfigError, SfarError
from sfar.runs import executor, kept, places
from sfar.runs.job import Job
from sfar.runs.task import Task
from sfar.util import cache

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'sfar[cluster]'")
from ray.cluster_utils import Cluster  # noqa: E402 - as is what follows

from sfar.runs import cluster  # noqa: E402


def node():
    """What a node is started with: ports that are free, as it waits 15 s at most for those that it chooses itself."""
    names = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("", 0))).getsockname()[1] for _ in names]
    return {"num_cpus": 2, **dict(zip(names, free, strict=True))}


@pytest.fixture(scope="module")
def nodes():
    """The cluster: two nodes with two cores each, of which the command is on the first."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))  # the nodes have the modules that are here
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # On a busy machine processes take their time to begin.
    patch.setenv("RAY_worker_register_timeout_seconds", str(ENOUGH))
    patch.setenv("RAY_agent_register_timeout_ms", str(1000 * ENOUGH))
    found = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    ray.init(address=found.address, logging_level="ERROR", log_to_driver=False)
    found.add_node(**node())
    yield found
    ray.shutdown()
    found.shutdown()
    patch.undo()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, shared, roots):
    """Empty but for the decoded videos, which are those of all tests."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(places.EXECUTOR, "ray")
    monkeypatch.delenv(places.PER_RUN, raising=False)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(shared / "frames")


def job(roots):
    p = at(roots, **TRAINED)
    return Job(p, dataset(p), "clip", 0)


def task(name, make, share=None):
    return Task(name, name, cast(Job, None), make, share=share)


def made(*tasks: Task, each=1):
    """What they make there."""
    from sfar.util.progress import Bar

    with cluster.connected(each) as site, Bar(total=100) as bar:
        return site.make(tasks, bar)


@pytest.mark.long
def test_a_run_shared_by_two_processes_on_a_node(nodes, roots, monkeypatch, tmp_path, videos_here):
    """The record is that of one process here, and is in the store."""
    one = job(roots)
    with monkeypatch.context() as patch:
        patch.setenv("SFAR_CACHE", str(tmp_path / "alone"))
        (tmp_path / "alone").mkdir()
        (tmp_path / "alone" / "frames").symlink_to(tmp_path / "cache" / "frames")
        (alone,) = (t.make(t.key, lambda n: None) for t in tasks_of([one]))
    monkeypatch.setenv(places.PER_RUN, "2")
    (record,) = executor.run_all([one])
    assert close(record, alone) and cache.load_json("run", one.key()) == record
    assert sorted(p.name for p in (kept.folder() / one.key()).iterdir()) == [kept.LOG, kept.ABOUT, kept.WEIGHTS]
    assert not list((tmp_path / "cache").glob(".cluster.*"))


@pytest.mark.long
def test_what_a_run_says(nodes, monkeypatch, capsys):
    with pytest.raises(SfarError, match=r"^run sfar/seed 3: its loss is not finite$"):
        made(task("sfar/seed 3", elsewhere.refuses))
    monkeypatch.setattr(cluster, "TRIES", 1)
    with pytest.raises(SfarError, match=r"^run sfar/seed 4: its process died \(out of memory\?\)"):
        made(task("sfar/seed 4", elsewhere.dies))


@pytest.mark.long
def test_a_node_that_is_not_as_this_one(nodes, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "_code", lambda: "another")
    with pytest.raises(SfarError, match=r"^run x: node \S+ has other code or other libraries than this command: have"):
        made(task("x", elsewhere.refuses))
    monkeypatch.undo()
    monkeypatch.setattr(cluster, "Path", lambda name: tmp_path / "on another disk")
    with pytest.raises(SfarError, match=rf"^run x: node \S+ does not see the cache {tmp_path} of this command: set SF"):
        made(task("x", elsewhere.refuses))


def test_more_than_a_node_has(nodes):
    with pytest.raises(ConfigError, match=r"has the 3 CPUs of a run \(--gpus-per-run\): its nodes have 2, 2; ask for"):
        made(each=3)


STOPPED = """
import sys
from functools import partial
from pathlib import Path
import elsewhere
from sfar.runs import cluster
from sfar.runs.task import Task
from sfar.util.progress import Bar
with cluster.connected(2) as site, Bar(total=9) as bar:
    site.make([Task("k", "k", None, None, share=partial(elsewhere.stays, Path(sys.argv[1])))], bar)
"""


def test_nobody_is_left_after_ctrl_c(nodes, tmp_path):
    own = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "RAY_ADDRESS": nodes.address}
    command = subprocess.Popen([sys.executable, "-c", STOPPED, str(tmp_path)], env=own)
    until(lambda: len(list(tmp_path.glob("rank*"))) == 2 or command.poll() is not None)
    ranks = [int(p.suffix[1:]) for p in tmp_path.glob("rank*")]
    (torchrun,) = {waiting.parent(pid) for pid in ranks}
    on_node = waiting.parent(torchrun)
    assert all(map(waiting.lives, (*ranks, torchrun, on_node)))
    command.send_signal(signal.SIGINT)
    assert command.wait(ENOUGH) != 0
    until(lambda: not any(map(waiting.lives, (*ranks, torchrun, on_node))))


def test_the_runs_of_a_lost_node_go_on_elsewhere(nodes, tmp_path, capfd):
    """From their last kept state, to the numbers of a run that nothing interrupts."""
    (tmp_path / "go").touch()
    whole, first = elsewhere.trains(tmp_path, "whole", lambda n: None)
    assert first == 1
    (tmp_path / "go").unlink()

    def begun():
        """Key -> node."""
        return dict(p.name.split(".")[:2] for p in tmp_path.glob("[0-9].*"))

    def kill():
        """The second node, when all four are at work."""
        until(lambda: len(begun()) == 4)
        (lost,) = nodes.worker_nodes
        gone.extend(k for k, node in begun().items() if node == lost.node_id)
        (tmp_path / f"lost.{lost.node_id}").touch()
        nodes.remove_node(lost, allow_graceful=False)
        (tmp_path / "go").touch()

    gone = []
    killer = threading.Thread(target=kill)
    killer.start()
    todo = [Task(f"sfar/seed {k}", str(k), cast(Job, None), partial(elsewhere.trains, tmp_path)) for k in range(4)]
    results = made(*todo)
    killer.join()
    assert len(gone) == 2
    assert {k: loss for k, (loss, _) in results.items()} == {str(k): whole for k in range(4)}
    for k, (_, first) in results.items():
        assert first == (4 if k in gone else 1), "three steps were kept"
    said = capfd.readouterr().err
    for k in gone:
        assert f"sfar: run sfar/seed {k}: its node is gone; it goes on from its last kept state" in said
