"""What a training says of itself: a line of JSON for each epoch, and TensorBoard's events where they are asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sfar.config import TrainConfig
from sfar.model.video_model import VideoModel
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess
from sfar.training.resume import Keeper
from sfar.training.train import History, Progress, learning_rate
from sfar.util.extras import extra
from sfar.util.paths import write_atomic

Line = dict[str, Any]  # epoch, loss, t2v, v2t, lr (by group), steps (of the whole training), seconds (of the epoch)


class Logged(Keeper):
    """A keeper that writes down each epoch when it has ended, in ``file`` and on the ``board`` (``tensorboard``).

    ``model``: what is trained, None before it begins; ``lines``: of the epochs so far, also of those before an
    interruption. ``seconds`` of an epoch in which the training was interrupted begin where it went on.
    """

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any],
        file: Path,
        every: float = 600.0,
        world: SingleProcess = SINGLE_PROCESS,
        board: Any = None,
    ):
        super().__init__(folder, about, every, world)
        self.file, self.board = file, board
        self.model: VideoModel | None = None
        self.lines: list[Line] = []
        self._at, self._since = Progress(), 0.0
        self._rates: list[dict[str, Any]] = []

    def restore(
        self, model: VideoModel, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> Progress | None:
        """As ``Keeper.restore``; where nothing is kept, the place from which the training begins."""
        self._at = super().restore(model, optimizer, scaler) or Progress()
        self.model, self._rates = model, optimizer.param_groups
        self.lines = read_lines(self.file)[: self._at.epoch]
        self.lines += [self._line(e) for e in range(len(self.lines), self._at.epoch)]  # lost: no more is known of them
        self._since = time.perf_counter()
        return self._at

    def due(self) -> bool:
        """As ``Keeper.due``. It is asked before each batch, when the epochs before have ended."""
        self.note()
        return super().due()

    def stepped(self, step: int, loss: float) -> None:
        """What the trainer's ``on_step`` says, for the board."""
        if self.board:
            self.board.add_scalar("step/loss", loss, step)
            for name, rate in self.rates().items():
                self.board.add_scalar(f"step/lr {name}", rate, step)

    def finished(self, model: VideoModel, history: History, lines: list[Line]) -> None:
        """A training that ended elsewhere, of which ``lines`` has every epoch: nothing is left to be noted."""
        self.model, self.lines, self._at = model, lines, Progress(history=history)

    def rates(self) -> dict[str, float]:
        """The learning rates of the last step, by group."""
        groups = () if self.model is None else trained_groups(self.model)
        return dict(zip(groups, (g["lr"] for g in self._rates), strict=True))

    def note(self) -> None:
        """Write down the epoch that has ended since, if one has; to be called once more when the training has."""
        ended, now = len(self._at.history.loss), time.perf_counter()
        if len(self.lines) == ended:
            return
        line = self._line(ended - 1) | {
            "lr": self.rates(),
            "steps": self._at.history.steps,
            "seconds": round(now - self._since, 2),
        }
        self._since = now
        self.lines.append(line)
        for name in ("loss", "t2v", "v2t", "seconds"):
            if self.board:
                self.board.add_scalar(f"epoch/{name}", line[name], ended)
        if self.world.rank == 0:
            write_lines(self.file, self.lines)

    def _line(self, e: int) -> Line:
        history = self._at.history
        return {"epoch": e + 1, **{name: getattr(history, name)[e] for name in ("loss", "t2v", "v2t")}}


def trained_groups(model: VideoModel) -> list[str]:
    """The groups of learning rates that a model has parameters in."""
    return [name for name, ps in model.groups().items() if ps]


def lines_of(history: Mapping[str, Any], t: TrainConfig, groups: Sequence[str]) -> list[Line]:
    """The same from a training's kept history, where nobody looked on: each epoch has its share of the seconds."""
    epochs = len(history["loss"])
    rates = {name: {"clip": t.lr_clip, "head": t.lr_head}[name] for name in groups}
    return [
        {
            "epoch": e + 1,
            **{name: history[name][e] for name in ("loss", "t2v", "v2t")},
            "lr": {n: r * learning_rate(e + 1, t.warmup_epochs, t.epochs) for n, r in rates.items()},
            "steps": history["steps"] * (e + 1) // epochs,
            "seconds": round(history["seconds"] / epochs, 2),
        }
        for e in range(epochs)
    ]


def write_lines(file: Path, lines: Sequence[Line]) -> None:
    """One JSON object a line. Raises ``SfarError`` when the disk refuses."""
    write_atomic(file, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))


def read_lines(file: Path) -> list[Line]:
    """What ``write_lines`` wrote; nothing where the file is not there, or is something else."""
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, ValueError):
        return []


@contextmanager
def tensorboard(folder: str) -> Iterator[Any]:
    """A ``SummaryWriter`` of TensorBoard's events in ``folder``, None for "".

    Raises ``ConfigError`` without the package, naming the extra that brings it.
    """
    if not folder:
        yield None
        return
    with extra("tensorboard", "--tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(folder) as board:
        yield board
