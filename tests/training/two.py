"""What test_distributed.py runs under torchrun, and in one process for comparison.

One training of the tiny model per case, one evaluation.
"""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tiny
import torch
from safetensors.torch import save_file

from sfar.config import changed
from sfar.errors import VideoError
from sfar.training.evaluate import score
from sfar.training.process_group import SINGLE_PROCESS
from sfar.training.resume import Keeper
from sfar.training.train import train

# The paper's learning rates, so that a step moves no weight by more than rounding may: AdamW divides a gradient by its
# own size, and the gradient of the key biases is zero but for rounding (they shift all scores of a softmax alike).
RATES = {"lr_head": 5e-5, "lr_clip": 5e-6, "epochs": 3}
CASES = {
    "even": {"batch": 4},
    "uneven": {"batch": 5},
    "parts": {"batch": 6, "micro_batch": 2},
    "uneven parts": {"batch": 7, "micro_batch": 3},
    "frozen": {"batch": 4},
    "bad": {"batch": 4},
    "bad parts": {"batch": 4, "micro_batch": 1},
    "bf16": {"batch": 4, "precision": "bf16"},
    "fp16": {"batch": 4, "precision": "fp16"},
    "activations": {"batch": 4, "checkpoint_activations": True},
    "clip": {"batch": 4},
    "temporal": {"batch": 4},
    "single": {"batch": 4},
}


class Damaged(tiny.Clips):
    """The same clips, most of which cannot be read.

    Some process of a batch has none left, and one batch has none at all.
    """

    def __init__(self, clips):
        super().__init__(clips.pixels, clips.labels, clips.paths)
        listed = [SimpleNamespace(path=p) for p in self.paths]
        self.manifest = SimpleNamespace(
            multi_label=False, clips=listed, missing=(), root="root", split="train", classes=tiny.CLASSES
        )

    def read(self, i, sampler):
        if i not in (0, 1, 2, 4, 8):
            raise VideoError(f"{self.paths[i]} is damaged")
        return super().read(i, sampler)


def trained(case, world=SINGLE_PROCESS, keeper=None):
    """Weights and losses of a case."""
    method = case if case in ("clip", "temporal", "single") else "sfar"
    model = tiny.model(method, train_visual=case != "frozen")
    profile = tiny.profile(**RATES | CASES[case])
    if profile.train.checkpoint_activations:
        model.clip.visual.set_grad_checkpointing(True)
    clips: Any = tiny.clips(13)
    embedded = torch.randn(2, 13, 3, 16, generator=torch.Generator().manual_seed(0)) if case == "frozen" else None
    if case.startswith("bad"):
        clips = Damaged(clips)
        profile = changed(profile, {"data.max_bad_share": 0.9})
    history = train(model, clips, profile, 3, embedded=embedded, world=world, keeper=keeper)
    return {
        **model.state_dict(),
        "losses": torch.tensor([history.loss, history.t2v, history.v2t]),
        "steps": torch.tensor(history.steps),
        "bad": torch.tensor(len(clips.bad)),
    }


def evaluated(views, world=SINGLE_PROCESS):
    """Everything ``score`` says of 13 clips of the untrained model."""
    s = score(tiny.model(), tiny.clips(13), 3, tiny.SIZE, views, batch=4, world=world)
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in vars(s).items() if v is not None}


def main(out):
    from sfar.training import distributed

    torch.set_num_threads(1)
    with distributed.joined() as world:
        for case in CASES:
            save_file(trained(case, world), out / f"{case}.{world.rank}.safetensors")
        keeper = Keeper(out / "states", {"case": "uneven"}, 0.0, world)
        trained("uneven", world, keeper)  # keeps the state after each step ...
        while len(keeper.states()) > 1:
            if world.rank == 0:
                shutil.rmtree(keeper.states()[-1])  # ... of which the last is lost
            world.objects(None)
        save_file(
            trained("uneven", world, Keeper(out / "states", {"case": "uneven"}, 1e9, world)),
            out / f"resumed.{world.rank}.safetensors",
        )
        for views in ("1x1", "4x3"):
            save_file(evaluated(views, world), out / f"{views}.{world.rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
