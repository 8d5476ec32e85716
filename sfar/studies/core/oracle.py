"""How well could one do? A linear classifier on the true set of atomic actions in the sampled frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sfar.data.transforms import val_indices
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.write import truth


def true_set_classifier(root: Path, frames: int, decay: float = 1e-3) -> dict[str, float]:
    """Accuracy [%] on the validation videos of logistic regression on the true actions that the sampled frames show.

    ``frames``: how many are sampled, as for evaluation; ``decay``: weight of the squared coefficients in the loss.
    It sees the irrelevant actions too and is not told which they are. A reference for how much there is to win, not a
    bound: it knows no order and no durations.
    """
    names, data = list(ACTIONS), truth(root)
    classes = sorted({r["label"] for r in data.values()})
    x: dict[str, list[np.ndarray]] = {s: [] for s in ("train", "val")}
    y: dict[str, list[int]] = {s: [] for s in ("train", "val")}
    for r in data.values():
        labels = [a for a, n, _ in r["segments"] for _ in range(n)]
        row = np.zeros(len(names), np.float32)
        row[[names.index(labels[i]) for i in val_indices(len(labels), frames)]] = 1
        x[r["split"]].append(row)
        y[r["split"]].append(classes.index(r["label"]))
    tx, vx = (torch.from_numpy(np.stack(x[s])) for s in ("train", "val"))
    ty, vy = (torch.tensor(y[s]) for s in ("train", "val"))
    w = torch.zeros(len(names), len(classes), requires_grad=True)
    b = torch.zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(tx @ w + b, ty) + decay * w.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return {"accuracy": round(100 * ((vx @ w + b).argmax(1) == vy).float().mean().item(), 4)}
