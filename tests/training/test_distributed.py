"""Two processes (gloo) give what one gives: losses, weights, metrics.

A job whose process dies ends, says so once and goes on later.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import forked
import pytest
import torch
import two
from safetensors.torch import load_file
from waiting import ENOUGH, until

from sfar.cli.main import main

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
SMALL = [
    "--set",
    "data.train_per_class=1",
    "--set",
    "data.val_per_class=1",
    "--set",
    "train.batch=10",
    "--set",
    "train.epochs=10",
]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Folder of what each of two processes has saved."""
    out = tmp_path_factory.mktemp("two")
    done = forked.call(out / "said", two.main, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("case", two.CASES)
def test_a_training_on_two_processes_is_that_of_one(both, case):
    """The same global batch: losses and weights to 1e-5, in half precision losses to its rounding.

    Both processes have the same weights to the bit.
    """
    one, first, second = two.trained(case), *(load_file(both / f"{case}.{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert one.keys() == first.keys() and one["steps"] == first["steps"] > 0 and one["bad"] == first["bad"]
    # bf16 rounds; fp16 may overflow in one process's share where it does not in the whole, and then a step is left out
    # and the scale halved.
    within = {"bf16": 1e-2, "fp16": 0.2}.get(case, 1e-5)
    for name, value in one.items() if within == 1e-5 else [("losses", one["losses"])]:
        assert torch.allclose(value, first[name], rtol=1e-5, atol=within), name
    assert case != "bad" or one["bad"] == 8


def test_a_batch_in_parts_is_the_batch(both):
    """Cached gradients: the loss is that of the whole batch, not the mean of the parts' own."""
    whole = {**two.CASES["parts"], "micro_batch": 0}
    two.CASES["whole"] = whole
    try:
        want = two.trained("whole")
    finally:
        del two.CASES["whole"]
    for got in (two.trained("parts"), load_file(both / "parts.0.safetensors")):
        assert all(torch.allclose(v, got[k], rtol=1e-5, atol=1e-5) for k, v in want.items())


def test_a_training_goes_on_from_a_state_of_two_processes(both):
    for rank in (0, 1):
        want, got = load_file(both / f"uneven.{rank}.safetensors"), load_file(both / f"resumed.{rank}.safetensors")
        assert all(torch.equal(v, got[k]) for k, v in want.items())


@pytest.mark.parametrize("views", ["1x1", "4x3"])
def test_an_evaluation_on_two_processes_is_that_of_one_to_the_bit(both, views):
    want = two.evaluated(views)
    assert want["clips"].tolist() == list(range(13))
    for rank in (0, 1):
        got = load_file(both / f"{views}.{rank}.safetensors")
        assert got.keys() == want.keys() and all(torch.equal(v, got[k]) for k, v in want.items())


# --- the command ---


@contextlib.contextmanager
def started(folder, *args):
    """The command under torchrun; its training waits for the file ``go on`` when it has first kept its state.

    It never outlives the test.
    """
    held = [str(Path(__file__).with_name("held.py")), str(folder / "go on")]
    places = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    patience = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(ENOUGH)}  # seconds in which those that are asked to end may do so
    env = os.environ | places | patience
    with subprocess.Popen([*LAUNCH, *held, *map(str, args)], stderr=subprocess.PIPE, text=True, env=env) as job:
        try:
            yield job
        finally:
            (folder / "go on").touch()
            job.terminate()  # nothing where it has ended


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rank_of(pid):
    environment = dict(v.split(b"=", 1) for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in v)
    return int(environment[b"RANK"])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Data drawn and decoded, and the weights of the training that nothing interrupts."""
    out = tmp_path_factory.mktemp("command") / "whole.safetensors"
    done = forked.command(out.parent / "said", "train", "sfar", *SMALL, "--out", out)
    assert done.returncode == 0 and "2 processes" in done.stdout, done.stderr
    return out


def begun(job, states):
    """Wait until the job has kept a state."""
    until(lambda: list(states.glob("step-*")) or job.poll() is not None)
    assert job.poll() is None


def test_a_dying_process_ends_the_job_and_the_same_command_goes_on(tmp_path, data):
    out = tmp_path / "x.safetensors"
    argv = ["train", "sfar", *SMALL, "--out", out, "--keep-every", 0]
    with started(tmp_path, *argv) as job:
        begun(job, tmp_path / "x.safetensors.states")
        os.kill(next(p for p in children(job.pid) if rank_of(p) == 1), signal.SIGKILL)
        (tmp_path / "go on").touch()
        _, err = job.communicate(timeout=ENOUGH)
    assert job.returncode != 0 and not out.exists()
    said = re.findall(r"^sfar: .*", err.replace("\r", "\n"), re.MULTILINE)
    assert (
        len(said) == 1
        and "another process of this job is gone" in said[0]
        and "goes on from the last kept state" in said[0]
    ), err
    assert "RuntimeError" not in err  # no traceback of those that are left; torchrun reports which process it was
    again = forked.command(tmp_path / "said", *argv)
    assert again.returncode == 0, again.stderr
    want, got = load_file(data), load_file(out)
    assert all(torch.equal(v, got[k]) for k, v in want.items()) and not (tmp_path / "x.safetensors.states").exists()


def test_sigterm_to_the_job_keeps_the_state(tmp_path, data):
    """As a batch system ends a job.

    torchrun hands the signal on, all processes stop after the same batch, one writes.
    """
    out = tmp_path / "x.safetensors"
    with started(tmp_path, "train", "sfar", *SMALL, "--out", out, "--keep-every", 0) as job:
        begun(job, tmp_path / "x.safetensors.states")
        job.send_signal(signal.SIGTERM)
        _, err = job.communicate(timeout=ENOUGH)
    assert job.returncode != 0 and len(re.findall("sfar: stopped by SIGTERM in epoch", err)) == 1, err
    # On with one process, which adds up in another order.
    again = forked.command(tmp_path / "said", "train", "sfar", *SMALL, "--out", out, processes=1)
    assert again.returncode == 0, again.stderr
    want, got = load_file(data), load_file(out)
    assert all(torch.allclose(v, got[k], atol=1e-3) for k, v in want.items() if "in_proj_bias" not in k)


@pytest.mark.parametrize(
    "args, message",
    [
        (
            ["train", "sfar", *SMALL, "--set", "train.batch=1", "--out", "x.safetensors"],
            "train.batch: a batch of 1 clips cannot be shared by 2 processes",
        ),
        (
            ["train", "sfar", "--set", "train.btach=1", "--out", "x.safetensors"],
            "unknown configuration key 'train.btach'",
        ),
        (["summary"], "start it without torchrun"),
    ],
)
def test_a_mistake_is_reported_once(args, message, tmp_path, data):
    done = forked.command(tmp_path / "said", *args, cwd=tmp_path)
    assert (
        done.returncode != 0
        and len(re.findall(r"^sfar: ", done.stderr.replace("\r", "\n"), re.MULTILINE)) == 1
        and message in done.stderr
    ), done.stderr


@pytest.mark.usefixtures("videos_here")
def test_metrics_of_two_processes_are_those_of_one(tmp_path, data, capsys):
    files = [tmp_path / f"{n}.json" for n in (1, 2)]
    argv = [["evaluate", str(data), "--scores", str(file)] for file in files]  # the checkpoint says on which data
    assert main(argv[0]) == 0
    done = forked.command(tmp_path / "said", *argv[1])
    assert done.returncode == 0, done.stderr
    for said in (capsys.readouterr().out, done.stdout):
        assert len(re.findall("of 25 videos", said)) == 1
    assert files[0].read_bytes() == files[1].read_bytes()
