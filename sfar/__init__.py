"""SFAR: Storyboard-guided Alignment for Fine-grained Video Action Recognition, as a paper you can run.

What a script or a notebook needs is here by name, each loaded when it is asked for: ``import sfar`` is quick.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfar.config import Profile, get_profile
    from sfar.data.source import Dataset, dataset, load_clips
    from sfar.data.video import read_frames
    from sfar.errors import SfarError
    from sfar.model.sfar import SFAR
    from sfar.model.texts import class_texts
    from sfar.model.video_model import VideoModel
    from sfar.recognizer import Prediction, Recognizer, load
    from sfar.runs.executor import run_all
    from sfar.runs.job import Job
    from sfar.runs.run import build_model
    from sfar.subtexts import SubTexts
    from sfar.subtexts.source import subtexts_of
    from sfar.subtexts.tpp import score as tpp
    from sfar.training.checkpoint import load as load_checkpoint
    from sfar.training.checkpoint import save as save_checkpoint
    from sfar.training.evaluate import score
    from sfar.training.train import train

# A library below shows progress with notebook widgets if it finds them, and otherwise complains in every notebook.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"

__all__ = [
    "SFAR",
    "Dataset",
    "Job",
    "Prediction",
    "Profile",
    "Recognizer",
    "SfarError",
    "SubTexts",
    "VideoModel",
    "build_model",
    "class_texts",
    "dataset",
    "get_profile",
    "load",
    "load_checkpoint",
    "load_clips",
    "read_frames",
    "run_all",
    "save_checkpoint",
    "score",
    "subtexts_of",
    "tpp",
    "train",
]

# Where each name is: its module, and what it is called there if otherwise.
_PLACES = {
    "SFAR": ("sfar.model.sfar", "SFAR"),
    "Dataset": ("sfar.data.source", "Dataset"),
    "Job": ("sfar.runs.job", "Job"),
    "Prediction": ("sfar.recognizer", "Prediction"),
    "Profile": ("sfar.config", "Profile"),
    "Recognizer": ("sfar.recognizer", "Recognizer"),
    "SfarError": ("sfar.errors", "SfarError"),
    "SubTexts": ("sfar.subtexts", "SubTexts"),
    "VideoModel": ("sfar.model.video_model", "VideoModel"),
    "build_model": ("sfar.runs.run", "build_model"),
    "class_texts": ("sfar.model.texts", "class_texts"),
    "dataset": ("sfar.data.source", "dataset"),
    "get_profile": ("sfar.config", "get_profile"),
    "load": ("sfar.recognizer", "load"),
    "load_checkpoint": ("sfar.training.checkpoint", "load"),
    "load_clips": ("sfar.data.source", "load_clips"),
    "read_frames": ("sfar.data.video", "read_frames"),
    "run_all": ("sfar.runs.executor", "run_all"),
    "save_checkpoint": ("sfar.training.checkpoint", "save"),
    "score": ("sfar.training.evaluate", "score"),
    "subtexts_of": ("sfar.subtexts.source", "subtexts_of"),
    "tpp": ("sfar.subtexts.tpp", "score"),
    "train": ("sfar.training.train", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _PLACES[name]
    value = globals()[name] = getattr(importlib.import_module(module), there)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
