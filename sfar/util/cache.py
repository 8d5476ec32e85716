"""Work is kept under a key made of everything it depends on: configuration, data, code of that stage, library versions.

A result is found again only if all of it is unchanged, so a stale one is never shown. The code of a stage is hashed as
its syntax tree without docstrings: a comment does not throw away ten minutes of training, a changed sign does.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sfar.config import digest
from sfar.util import paths

PACKAGE = Path(__file__).resolve().parents[1]

# Which modules each stage's result depends on. A test checks that no import of theirs is missing here.
_FRAMES = (
    "data/video.py",
    "data/watchdog.py",
    "data/manifest.py",
    "data/disk.py",
    "data/kinetics.py",
    "data/ucf101.py",
    "data/hmdb51.py",
    "data/charades.py",
    "data/layouts.py",
    "data/store.py",
)
_WORLD = (
    "storyboard/poses.py",
    "storyboard/scripts.py",
    "storyboard/render.py",
    "storyboard/world.py",
    "storyboard/write.py",
)
_STUDY = (
    "studies/core/statistics.py",
    "studies/core/claims.py",
    "studies/core/record.py",
    "studies/core/study.py",
    "studies/table1.py",
    "studies/core/oracle.py",
)
STAGES: dict[str, tuple[str, ...]] = {
    "world": _WORLD,
    "sets": (*_WORLD, "storyboard/sets.py"),
    "frames": _FRAMES,
    "embeddings": (
        *_FRAMES,
        "data/transforms.py",
        "model/clip.py",
        "config.py",
        "storyboard/weights/clip.json",
        "training/frozen.py",
    ),
    "table1": (
        "studies/core/statistics.py",
        "studies/core/claims.py",
        "studies/core/record.py",
        "studies/table1.py",
        "studies/core/oracle.py",
    ),
    "fig7b": (
        "studies/core/statistics.py",
        "studies/core/claims.py",
        "studies/core/record.py",
        "studies/table1.py",
        "studies/fig7b.py",
        "subtexts/tpp.py",
        "studies/core/oracle.py",
    ),
    "table13": (
        "studies/core/record.py",
        "studies/fig7b.py",
        "studies/table13.py",
    ),
    "ablations": (*_STUDY, "studies/ablations.py"),
    "few_shot": (*_STUDY, "studies/few_shot.py"),
    "zero_shot": (*_STUDY, "training/protocols.py", "studies/zero_shot.py"),
    "multi_label": (*_STUDY, "studies/multi_label.py"),
    "sub_actions": (*_STUDY, "studies/ablations.py", "studies/sub_actions.py"),
    "host_run": ("runs/hosts.py",),  # the key of the same run of SFAR, code included, is an input
    "generalization": (
        *_STUDY,
        "runs/hosts.py",
        "studies/generalization.py",
        "paper/table2c.csv",
    ),  # the claims quote it
    "ambiguity": (
        *_STUDY,
        "studies/ablations.py",
        "subtexts/tpp.py",
        "studies/core/degrees.py",
        "studies/ambiguity.py",
    ),
    "weights": ("training/checkpoint.py",),  # of trained models; the key of the same run, code included, is an input
    "qualitative": (
        *_STUDY,
        "subtexts/tpp.py",
        "subtexts/visual.py",
        "studies/core/degrees.py",
        "training/checkpoint.py",
        "paper/statements.csv",
        "studies/qualitative.py",
    ),
    "run": (
        *_FRAMES,
        "data/fewshot.py",
        "data/transforms.py",
        "model/clip.py",
        "config.py",
        "model/kernels/matmul.py",
        "model/embedding.py",
        "model/kernels/fused.py",
        "model/heads.py",
        "model/loss.py",
        "training/metrics.py",
        "training/frozen.py",
        "training/process_group.py",
        "training/train.py",
        "training/evaluate.py",
        "storyboard/weights/clip.json",
        "runs/run.py",
    ),
}
LIBRARIES = {
    "table1": ("numpy", "torch"),
    "fig7b": ("numpy", "torch", "open_clip_torch"),
    "table13": ("numpy",),
    "world": ("av", "numpy", "pillow"),
    "sets": ("av", "numpy", "pillow"),
    "frames": ("av", "decord", "numpy", "pillow"),
    "embeddings": ("torch", "open_clip_torch", "numpy"),
    "run": ("torch", "open_clip_torch", "numpy"),
    **dict.fromkeys(
        ("ablations", "few_shot", "zero_shot", "multi_label", "sub_actions", "generalization"), ("numpy", "torch")
    ),
    "host_run": ("torch", "open_clip_torch", "numpy"),
    "ambiguity": ("numpy", "torch", "open_clip_torch"),
    "weights": ("torch", "open_clip_torch", "numpy", "safetensors"),
    "qualitative": ("numpy", "torch", "open_clip_torch", "pillow"),
}


@lru_cache(maxsize=None)
def _file_version(name: str, stamp: int) -> str:
    raw = (PACKAGE / name).read_bytes()
    if name.endswith(".py"):
        tree = ast.parse(raw)
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if (
                isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:]
        raw = ast.dump(tree).encode()
    return hashlib.sha256(raw).hexdigest()


def code_version(stage: str) -> str:
    """Hash of the code of a stage, docstrings and comments aside."""
    return digest([_file_version(n, (PACKAGE / n).stat().st_mtime_ns) for n in STAGES[stage]])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # decord has no wheel for every machine
        return "absent"


def libraries(stage: str) -> dict[str, str]:
    """Versions of the libraries that a stage's numbers depend on."""
    return {n: _version(n) for n in LIBRARIES[stage]}


def key(stage: str, inputs: Any, with_libraries: bool = True) -> str:
    """The key of a stage's result for these inputs."""
    return digest(stage, inputs, code_version(stage), libraries(stage) if with_libraries else None)


def load_json(stage: str, k: str) -> Any | None:
    """The kept JSON result, or None. A damaged entry counts as absent: it is computed again, never shown."""
    path = paths.cache() / stage / f"{k}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        path.unlink()
        return None


def save_json(stage: str, k: str, data: Any) -> None:
    """Keep a JSON result."""
    paths.write_json(paths.cache() / stage / f"{k}.json", data)


def folder(stage: str, k: str, build: Callable[[Path], None]) -> Path:
    """The kept folder ``stage/k``; if absent, ``build(temporary)`` fills one that is then renamed into place.

    An interrupted or failed build leaves nothing behind. Raises ``SfarError`` when the disk refuses.
    """
    final = paths.cache() / stage / k
    if not (final / ".complete").is_file():

        def complete(temporary: Path) -> None:
            build(temporary)
            (temporary / ".complete").write_text("")

        paths.build_folder(final, complete, ".complete")
    return final


def clean() -> list[str]:
    """Remove everything kept; returns what was there. Other things in the folder (SFAR_CACHE may be anywhere) stay."""
    root = paths.cache()
    stages = [name for name in sorted(STAGES) if (root / name).is_dir()]
    for name in stages:
        shutil.rmtree(root / name)
    return stages
