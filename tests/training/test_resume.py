"""A training that is killed, stopped, or whose disk is full goes on to the same weights to the bit.

Nothing that was kept is lost.
"""

import json
import os
import random
import shutil
import signal
import time

import forked
import killed
import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from waiting import until

from sfar.errors import ConfigError, SfarError
from sfar.training import resume
from sfar.training.resume import Keeper, Stopped
from sfar.training.train import Progress, train

KILLS = 20
PROFILE = tiny.profile(**killed.PROFILE)


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def start():
    """Start ``killed.run`` in a process that has its imports done."""
    context = forked.context()
    first = context.Process(target=int)  # it waits for the imports, which count for no training's seconds
    first.start()
    first.join()

    def begin(*args, **kwargs):
        process = context.Process(target=killed.run, args=args, kwargs=kwargs)
        process.start()
        return process

    return begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start):
    """Weights, losses and number of steps of the training that nothing interrupts, and its seconds."""
    folder = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    process = start(folder / "states", folder / "out.safetensors", fsync_seconds=0.005)
    process.join()
    assert process.exitcode == 0
    return load_file(folder / "out.safetensors"), time.monotonic() - began


def test_killed_at_twenty_random_moments(tmp_path, start, whole):
    """SIGKILL, also while a state is being written: the weights at the end are those of the uninterrupted training."""
    want, seconds = whole
    rng, states, out = random.Random(0), tmp_path / "states", tmp_path / "out.safetensors"
    stalled = tmp_path / "stalled"
    while_writing, steps = 0, []
    for k in range(KILLS):
        # A slow disk: about half of the time goes into writing. Some are killed while a state is being written,
        # whatever the speed of this machine.
        stalls_at = rng.randint(1, 5) if k < 3 or k % 4 == 0 else 0
        process = start(states, out, fsync_seconds=0.02, stalls_at=stalls_at)
        if stalls_at:
            until(lambda process=process: stalled.exists() or not process.is_alive())
            stalled.unlink(missing_ok=True)
        else:
            time.sleep(rng.uniform(0, seconds / 4))
        process.kill()
        process.join()
        if out.exists():
            break
        while_writing += bool(list(states.glob(".step-*")))
        steps += [int(p.name[5:]) for p in Keeper(states, killed.ABOUT).states()[-1:]]
    assert steps == sorted(steps)  # nothing kept was ever lost
    assert while_writing >= 3
    last = start(states, out)
    last.join()
    assert last.exitcode == 0 and equal(load_file(out), want)
    assert not list(states.glob(".step-*")) and len(Keeper(states, killed.ABOUT).states()) == resume.KEPT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_the_state_and_stops(tmp_path, start, whole, number):
    states, out = tmp_path / "states", tmp_path / "out.safetensors"
    process = start(states, out, until_stopped=True, every=1e9)  # no state but the one that the signal asks for
    until((tmp_path / "begun").exists)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 1 and not out.exists()  # Stopped reaches the top of that process
    assert len(Keeper(states, killed.ABOUT).states()) == 1
    again = start(states, out)
    again.join()
    assert again.exitcode == 0 and equal(load_file(out), whole[0])


def stopped_after(folder, step, profile=PROFILE, **kwargs):
    """Train until a signal comes after ``step`` steps; the keeper and what it raised."""
    keeper = Keeper(folder, killed.ABOUT, **kwargs)

    def on_step(i, n, loss):
        if i == step:
            keeper._signal = signal.SIGTERM

    with pytest.raises(Stopped) as e:
        train(tiny.model(), tiny.clips(13), profile, 3, on_step, keeper=keeper)
    return keeper, e.value


def test_what_a_state_holds(tmp_path):
    keeper, error = stopped_after(tmp_path, 4)
    assert (
        error.status == 143
        and "SIGTERM in epoch 2, after batch 2 of 3" in str(error)
        and "the same command goes on" in str(error)
    )
    (folder,) = keeper.states()
    assert folder.name == "step-00000005"  # the signal came in step 4 and was heard before step 5 began
    state, tensors = json.loads((folder / "state.json").read_text()), load_file(folder / "tensors.safetensors")
    assert (
        state["progress"]["epoch"] == 1
        and state["progress"]["done"] == 2
        and state["progress"]["history"]["steps"] == 5
    )
    assert state["about"] == killed.ABOUT and state["groups"][0]["lr"] > 0 and state["scaler"] == {}
    kinds = {k.split(".")[0] for k in tensors}
    assert kinds == {"model", "optimizer", "random"}
    assert {k for k in tensors if k.startswith("random.")} >= {f"random.0.{k}" for k in ("python", "numpy", "torch")}
    assert any(k.endswith("exp_avg_sq") for k in tensors) and not any(
        "transformer.resblocks" in k and "visual" not in k for k in tensors
    )


def test_random_numbers_go_on_where_they_were():
    torch.manual_seed(1)
    np.random.seed(2)
    random.seed(3)
    random.gauss(0, 1)  # the second of a pair is kept for the next call
    kept = resume._generators()

    def draw():
        return random.gauss(0, 1), random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()

    want = draw()
    draw()
    resume._set_generators(kept)
    assert draw() == want


def test_another_training_is_refused(tmp_path):
    stopped_after(tmp_path, 2)
    model = tiny.model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ConfigError, match=r"another training \(train.lr: '1.0' there, '2.0' now\).*--restart"):
        train(
            model,
            tiny.clips(13),
            tiny.profile(**killed.PROFILE),
            3,
            keeper=Keeper(tmp_path, killed.ABOUT | {"train": {"lr": 2.0}}),
        )
    assert equal(before, model.state_dict())


def test_a_damaged_state_is_left_for_the_one_before(tmp_path, capsys):
    want = tiny.model()
    train(want, tiny.clips(13), tiny.profile(**killed.PROFILE), 3)
    keeper, _ = stopped_after(tmp_path, 6, every=0.0)
    newest, before = keeper.states()[::-1]
    raw = bytearray((newest / "tensors.safetensors").read_bytes())
    raw[len(raw) // 2] ^= 1  # still reads as safetensors
    (newest / "tensors.safetensors").write_bytes(raw)
    model = tiny.model()
    train(model, tiny.clips(13), tiny.profile(**killed.PROFILE), 3, keeper=Keeper(tmp_path, killed.ABOUT))
    assert newest.name in capsys.readouterr().err and equal(model.state_dict(), want.state_dict())
    (newest / "state.json").write_text("{")
    shutil.rmtree(before)
    with pytest.raises(ConfigError, match=r"every kept state of this training is damaged.*--restart"):
        train(tiny.model(), tiny.clips(13), tiny.profile(**killed.PROFILE), 3, keeper=Keeper(tmp_path, killed.ABOUT))


def test_a_full_disk_loses_no_earlier_state(tmp_path):
    """The limit on a file's size stands in for a full disk: the write fails half-way in the same manner."""
    states = tmp_path / "states"
    keeper, _ = stopped_after(states, 3)
    kept = keeper.states()
    limit = (kept[0] / "tensors.safetensors").stat().st_size // 2
    done = forked.call(tmp_path / "said", killed.on_a_full_disk, limit, states, tmp_path / "out", processes=1)
    assert (
        done.returncode == 1
        and "Traceback" not in done.stderr
        and "cannot write" in done.stderr
        and "step-" in done.stderr
    ), done.stderr
    assert keeper.states() == kept and not list(states.glob(".step-*"))
    model, want = tiny.model(), tiny.model()
    train(model, tiny.clips(13), tiny.profile(**killed.PROFILE), 3, keeper=Keeper(states, killed.ABOUT))
    train(want, tiny.clips(13), tiny.profile(**killed.PROFILE), 3)
    assert equal(model.state_dict(), want.state_dict())


def test_the_loss_scale_is_kept(tmp_path):
    """fp16 has a scale that changes on the way; a training goes on with it, to the same weights."""
    profile = tiny.profile(**killed.PROFILE, precision="fp16")
    want = tiny.model()
    train(want, tiny.clips(13), profile, 3)
    keeper, _ = stopped_after(tmp_path, 5, profile)
    assert json.loads((keeper.states()[0] / "state.json").read_text())["scaler"]["scale"] > 1
    again = tiny.model()
    train(again, tiny.clips(13), profile, 3, keeper=Keeper(tmp_path, killed.ABOUT))
    assert equal(again.state_dict(), want.state_dict())


def test_nothing_kept_is_nothing_restored(tmp_path):
    keeper = Keeper(tmp_path / "none", {})
    model = tiny.model()
    optimizer = torch.optim.AdamW(model.head.parameters())
    assert keeper.restore(model, optimizer, torch.amp.GradScaler("cpu", enabled=False)) is None
    keeper.discard()
    keeper.save(model, optimizer, torch.amp.GradScaler("cpu", enabled=False), Progress())
    assert [p.name for p in keeper.states()] == ["step-00000000"]
    keeper.discard()
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SfarError, match="cannot write"):
        train(
            tiny.model(),
            tiny.clips(13),
            tiny.profile(**killed.PROFILE),
            3,
            keeper=Keeper(tmp_path / "file" / "states", {}, every=0.0),
        )
