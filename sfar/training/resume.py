"""The state of a training on its way, from which it goes on to the same weights to the bit.

It is written whole or not at all, and the last two are kept. A state is a folder ``step-NNNNNNNN`` of two files:
``tensors.safetensors`` (what is trained, AdamW's moments, states of the random number generators) and ``state.json``
(place in the schedule and in the order of clips, sums, rates, loss scale, what the training is, checksum of the
tensors).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfar.config import digest
from sfar.errors import ConfigError, SfarError
from sfar.model.clip import check_tensors
from sfar.model.video_model import VideoModel
from sfar.training.checkpoint import trained_state
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.training.train import History, Progress
from sfar.util import paths

KEPT = 2  # states: the newest, and the one before in case it turns out damaged
_NAME = re.compile(r"step-(\d{8,})")


class Stopped(SfarError):
    """A training that was asked to stop and has kept its state.

    ``status``: exit status of the command, 128 + the signal's number.
    """

    def __init__(self, text: str, status: int):
        super().__init__(text)
        self.status = status


class Keeper:
    """Keeps the state of one training in ``folder``: every ``every`` seconds, and when a signal asks to stop.

    ``about``: what the training follows from (JSON types); a state of another one is refused. ``world``: process 0
    writes, all read.
    """

    def __init__(
        self, folder: Path, about: dict[str, Any], every: float = 600.0, world: SingleProcess = SINGLE_PROCESS
    ):
        self.folder, self.about, self.every, self.world = folder, json.loads(json.dumps(about)), every, world
        self._last, self._signal = time.monotonic(), 0

    # --- what the trainer asks ---

    def due(self) -> bool:
        """Whether it is time to keep the state."""
        return time.monotonic() - self._last >= self.every

    def stop_asked(self) -> bool:
        """Whether a signal has come (``listening``)."""
        return self._signal != 0

    def stopped(self, at: Progress, per_epoch: int) -> None:
        """Raise ``Stopped``, after ``save``."""
        asked = max(self.world.objects(self._signal))
        raise Stopped(
            f"stopped by {signal.Signals(asked).name} in epoch {at.epoch + 1}, after batch {at.done} of {per_epoch}; "
            f"the state is kept in {self.folder}: the same command goes on from there",
            128 + asked,
        )

    def save(
        self, model: VideoModel, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, at: Progress
    ) -> None:
        """Keep the state; nobody goes on before it is written.

        Raises ``SfarError`` when the disk refuses; earlier states stay.
        """
        tensors = {f"model.{k}": v for k, v in trained_state(model).items()}
        moments = optimizer.state_dict()
        tensors |= {f"optimizer.{i}.{k}": v for i, kept in moments["state"].items() for k, v in kept.items()}
        for rank, own in enumerate(self.world.objects(_generators())):
            tensors |= {f"random.{rank}.{k}": v for k, v in own.items()}
        if self.world.rank == 0:
            state = {
                "about": self.about,
                "config": digest(self.about),
                "progress": dataclasses.asdict(at),
                "groups": moments["param_groups"],
                "scaler": scaler.state_dict(),
                "processes": self.world.size,
            }
            self._write(at.history.steps, tensors, state)
        self.world.objects(None)
        self._last = time.monotonic()

    def restore(
        self, model: VideoModel, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> Progress | None:
        """Put the newest whole state back into all three and the random number generators; None if there is none.

        Raises ``ConfigError`` for a state of another training (naming the first difference), and where all there are
        are damaged.
        """
        found = self._newest()
        self.world.objects(None)  # nobody removes or writes one while another still reads
        if found is None:
            return None
        state, tensors = found
        self._check(state)
        own = trained_state(model)
        kept = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        check_tensors(self.folder, own, kept)
        model.load_state_dict(model.state_dict() | kept)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, i, k = name.split(".")
                moments.setdefault(int(i), {})[k] = value
        optimizer.load_state_dict({"state": moments, "param_groups": state["groups"]})
        scaler.load_state_dict(state["scaler"])
        mine = {k.split(".", 2)[2]: v for k, v in tensors.items() if k.startswith(f"random.{self.world.rank}.")}
        if mine:  # none where more processes go on than were before; nothing in the training draws from these
            _set_generators(mine)
        progress = state["progress"]
        return Progress(**progress | {"history": History(**progress["history"])})

    # --- files ---

    def states(self) -> list[Path]:
        """Folders of the states, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted((p for p in self.folder.iterdir() if _NAME.fullmatch(p.name)), key=lambda p: int(p.name[5:]))

    def discard(self) -> None:
        """Remove all states: the training is finished, or to be started over."""
        if self.world.rank == 0 and self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _write(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        def build(folder: Path) -> None:
            file = folder / "tensors.safetensors"
            try:
                save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, file)
            except SafetensorError as e:  # its way to say that the disk is full
                raise OSError(str(e)) from e
            text = json.dumps(state | {"sha256": _sha256(file)}, indent=1, allow_nan=False)
            (folder / "state.json").write_text(text, encoding="utf-8")
            for name in ("tensors.safetensors", "state.json"):
                with open(folder / name, "rb") as f:
                    os.fsync(f.fileno())

        for left in self.folder.glob(".step-*"):  # of a process that was killed while it wrote
            shutil.rmtree(left)
        paths.build_folder(self.folder / f"step-{step:08d}", build)
        for old in self.states()[:-KEPT]:
            shutil.rmtree(old)

    def _newest(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        damaged = []
        for folder in reversed(self.states()):
            try:
                state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
                file = folder / "tensors.safetensors"
                if state["sha256"] != _sha256(file):
                    raise ValueError("its checksum does not fit")
                tensors = load_file(file)
            except (OSError, ValueError, KeyError, SafetensorError) as e:
                damaged.append(f"{folder} ({e})")
                continue
            if damaged and self.world.rank == 0:
                print(f"sfar: damaged, going on from the one before: {', '.join(damaged)}", file=sys.stderr)
            return state, tensors
        if damaged:
            raise ConfigError(
                f"every kept state of this training is damaged: {', '.join(damaged)}. Start over with --restart"
            )
        return None

    def _check(self, state: dict[str, Any]) -> None:
        if state["config"] == digest(self.about):
            return
        a, b = _flat(state["about"]), _flat(self.about)
        first = next((k for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)), "?")
        raise ConfigError(
            f"{self.folder} keeps the state of another training ({first}: "
            f"{str(a.get(first))[:60]!r} there, {str(b.get(first))[:60]!r} now): give another --out, "
            "or start over with --restart"
        )


@contextmanager
def listening(keeper: Keeper) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask ``keeper`` to stop after the batch at hand; a second Ctrl-C stops at once.

    Of a job of several processes that has failed, SIGTERM stays without effect: it ends by itself, what ended it is
    still to be said, and torchrun's own SIGTERM is on its way.
    """

    def asked(number: int, _: Any) -> None:
        if keeper._signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        keeper._signal = number

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except BaseException:
        if keeper.world.size > 1:
            del before[signal.SIGTERM]
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _flat(x: Any, name: str = "") -> dict[str, Any]:
    if isinstance(x, dict):
        return {k: v for key, value in x.items() for k, v in _flat(value, f"{name}.{key}" if name else key).items()}
    return {name: x}


def _sha256(file: Path) -> str:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _generators() -> dict[str, Tensor]:
    """States of all generators of this process.

    They are kept for what may draw from them one day; today every draw is made from (seed, epoch, clip).
    """
    version, words, gauss = random.getstate()
    _, keys, position, has, cached = np.random.get_state()
    out = {
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.array([*keys, position, has], np.int64)),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        out["cuda"] = torch.cuda.get_rng_state()
    return out


def _set_generators(kept: dict[str, Tensor]) -> None:
    version, *words = kept["python"].tolist()
    gauss = kept["python_gauss"].tolist()
    random.setstate((version, tuple(words), gauss[0] if gauss else None))
    *keys, position, has = kept["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has, kept["numpy_gauss"].item()))
    torch.set_rng_state(kept["torch"])
    if "cuda" in kept and torch.cuda.is_available():
        torch.cuda.set_rng_state(kept["cuda"])
