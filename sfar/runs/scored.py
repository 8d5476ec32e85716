"""The file of `sfar evaluate --scores`: what a model says of each video, with all that is needed to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfar.data.disk import absent
from sfar.errors import DataError
from sfar.runs.run import EvaluationSet, unseen_result
from sfar.training.evaluate import Scores
from sfar.util.paths import write_json

_FIELDS = {
    **dict.fromkeys(("about", "dataset", "split", "views"), str),
    "fold": int,
    **dict.fromkeys(("classes", "videos", "paths", "labels", "scores"), list),
    "left_out": dict,
}


@dataclass(frozen=True, eq=False)
class Scored:
    """An evaluation.

    ``about``: method and seed; ``dataset``, ``split``, ``fold``, ``views``: what it was asked; of each of the V videos
    that could be read ``videos`` (its id in the lists), ``paths`` (below the data's root) and ``labels`` [V], class
    numbers (-1: a video of many labels that has none); ``scores`` [V, C]: probabilities of ``classes``; ``left_out``:
    paths of the others -> why. ``metrics``: the rest of the file, as accuracy.
    """

    about: str
    dataset: str
    split: str
    fold: int
    views: str
    classes: tuple[str, ...]
    videos: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    left_out: Mapping[str, str]
    metrics: Mapping[str, Any]

    def confusion(self) -> np.ndarray:
        """Videos by true (rows) and most probable class (columns), int64 [C, C]; of one label each."""
        out = np.zeros((len(self.classes), len(self.classes)), np.int64)
        known = self.labels >= 0
        np.add.at(out, (self.labels[known], self.scores[known].argmax(1)), 1)
        return out

    def mistakes(self) -> np.ndarray:
        """Numbers of the videos whose most probable class is wrong, that with the highest probability first."""
        wrong = np.flatnonzero(self.scores.argmax(1) != self.labels)
        return wrong[np.argsort(-self.scores[wrong].max(1), kind="stable")]


def save(path: Path, s: Scores, tested: EvaluationSet, about: str, views: str, metrics: Mapping[str, Any]) -> None:
    """Write what a model says of ``tested``, whole or not at all. Raises ``SfarError`` where it cannot be written."""
    manifest = tested.clips.manifest
    ids = {c.path: c.video_id for c in manifest.clips}
    said = unseen_result(s, tested)
    body = {
        "about": about,
        "dataset": tested.data.layout,
        "split": manifest.split,
        "fold": tested.profile.data.fold,
        "views": views,
        "videos": [ids[p] for p in said["paths"]],
        "left_out": tested.clips.bad,
    }
    write_json(path, {**body, **metrics, **said})


def load(path: str | Path) -> Scored:
    """What ``save`` wrote. Raises ``DataError`` naming the file and the field: no such file, or not such a one."""
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: {absent(path)}; `sfar evaluate CHECKPOINT --scores FILE` writes one") from None
    except (OSError, ValueError, RecursionError) as e:
        raise DataError(f"{path}: is not a file of `sfar evaluate --scores` ({e}); write it again") from None
    values = dict(data) if isinstance(data, dict) else {}
    for name, kind in _FIELDS.items():
        if not isinstance(values.get(name), kind):
            raise DataError(f"{path}: field {name!r} is missing or no {kind.__name__}; evaluate again with --scores")
    named = {name: values.pop(name) for name in _FIELDS}
    classes, videos = len(named["classes"]), len(named["videos"])
    try:
        scores = np.array(named["scores"], np.float64).reshape(videos, -1)
        labels = np.array(named["labels"], np.int64)
    except (ValueError, TypeError, OverflowError):
        scores, labels = np.empty((0, 0)), np.empty(0, np.int64)
    if scores.shape != (videos, classes) or labels.shape != (videos,) or len(named["paths"]) != videos:
        raise DataError(
            f"{path}: scores, labels and paths do not fit its {videos} videos and {classes} classes; write it again"
        )
    if labels.size and not (labels.min() >= -1 and labels.max() < classes):
        raise DataError(f"{path}: a label is not one of its {classes} classes; write it again")
    named |= {"scores": scores, "labels": labels}
    of_type: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in named.items()}
    return Scored(**of_type, metrics=values)
