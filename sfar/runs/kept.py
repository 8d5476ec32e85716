"""What a finished run leaves to look at, in the folder ``runs/KEY`` below the cache, whole or not at all.

``run.json``: configuration, result and history; ``weights.safetensors``: what was trained, as `sfar train` writes it;
``metrics.jsonl``: a line for each epoch (``log.Line``). Of what is measured, figures of single videos alone read
them: the weights of the runs that they show.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfar.config import values
from sfar.errors import ConfigError
from sfar.model.video_model import VideoModel
from sfar.runs.job import Job
from sfar.subtexts.source import subtexts_of
from sfar.training import checkpoint
from sfar.training.log import Line, write_lines
from sfar.util import cache, paths

ABOUT, WEIGHTS, LOG = "run.json", "weights.safetensors", "metrics.jsonl"

# What is kept of weights: of a run up to so many bytes. "small": heads, and the towers of the storyboard world.
KEEP = "SFAR_KEEP_WEIGHTS"
LIMITS = {"all": float("inf"), "small": 32e6, "none": 0.0}


def limit() -> float:
    """The largest weights of a run that are kept, in bytes, by the environment. Raises ``ConfigError``."""
    asked = os.environ.get(KEEP) or "all"
    if asked not in LIMITS:
        raise ConfigError(f"{KEEP}={asked!r}: expected one of {', '.join(LIMITS)}")
    return LIMITS[asked]


def folder() -> Path:
    """Where all of them are."""
    return paths.cache() / cache.RUNS


def weights(key: str) -> Path | None:
    """The file of the weights that are kept of the run with this key, or None."""
    path = folder() / key / WEIGHTS
    return path if path.is_file() else None


def write(
    key: str,
    job: Job,
    record: dict[str, Any],
    model: VideoModel | None,
    lines: Sequence[Line],
    stage: str = "run",
    asked_for: bool = False,
) -> None:
    """Write what is kept of a run with this ``record`` (``run.record``), of a mere training as much of one as it has.

    ``model``: trained, None where nothing is; ``asked_for``: its weights are kept however large they are. Raises
    ``SfarError`` when the disk refuses.
    """
    other = {"base": record["host"], "fve": record["plug"]} if stage == "host_run" else {}
    single = record.get("views", {}).get("1x1", {})
    said = {
        "key": key,
        "stage": stage,
        "method": "/".join(other.values()) if other else job.method,
        "seed": job.seed,
        "profile": job.profile.name,
        "data": job.profile.data.dataset,
        "classes": len(job.data.classes),
        "views": job.views,
        "result": {name: single[name] for name in ("top1", "top5", "map") if name in single},
        "trained": record.get("trained"),
        "training": record.get("training"),
        "history": record.get("history"),
        "seconds": record.get("seconds"),
        "date": datetime.date.today().isoformat(),
        "weights": None,
        "configuration": values(job.profile),
    }

    def build(temporary: Path) -> None:
        if model is not None:
            size = checkpoint.size(model, job.profile)
            keep = asked_for or size <= limit()
            said["weights"] = {"bytes": size, "kept": keep}
            if keep:
                texts = subtexts_of(job.profile, job.data.classes)
                checkpoint.save(
                    temporary / WEIGHTS, model, job.profile, job.data.classes, job.seed, texts, other or None
                )
            write_lines(temporary / LOG, lines)
        paths.write_json(temporary / ABOUT, said)

    paths.build_folder(folder() / key, build)


def listed() -> list[dict[str, Any]]:
    """Of every kept run what ``run.json`` says and its ``bytes`` on the disk, the oldest first."""
    found = sorted(folder().glob(f"*/{ABOUT}"), key=lambda p: (p.stat().st_mtime_ns, p.parent.name))
    return [about(p.parent) | {"bytes": paths.size(p.parent)} for p in found]


def about(run: Path) -> dict[str, Any]:
    """What ``run.json`` in a run's folder says. Raises ``ConfigError``."""
    try:
        return json.loads((run / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ConfigError(
            f"{run / ABOUT} cannot be read ({e}): expected the folder of a run, as `sfar runs` lists"
        ) from e


def find(what: str | Path) -> Path | None:
    """The folder of the run that ``what`` names: itself, ``runs/KEY``, a key or the beginning of one; None: no run.

    Raises ``ConfigError`` for a beginning that several have.
    """
    path = Path(os.path.expanduser(what))
    if os.path.isdir(path):
        about(path)
        return path
    begins = re.fullmatch(r"(?:runs/)?([0-9a-f]{4,16})/?", str(what))
    if os.path.exists(path) or not begins:
        return None
    found = sorted(p.parent for p in folder().glob(f"{begins[1]}*/{ABOUT}"))
    if len(found) > 1:
        raise ConfigError(f"{len(found)} runs begin with {begins[1]}: {', '.join(p.name for p in found[:4])} ...")
    if not found:
        raise ConfigError(f"no run {begins[1]} in {folder()} (`sfar runs` lists them), and no such file")
    return found[0]


def checkpoint_of(what: str | Path) -> Path:
    """The checkpoint that ``what`` names: a file, or that of a run (``find``). Raises ``ConfigError``."""
    run = find(what)
    if run is None:
        return Path(os.path.expanduser(what))
    said = about(run)
    if said["stage"] != "run":
        raise ConfigError(f"run {run.name} is of another method ({said['method']}), which is tested in its table alone")
    if said["weights"] is None:
        raise ConfigError(f"run {run.name} ({said['method']}) trained nothing and has no weights")
    if not (run / WEIGHTS).is_file():
        raise ConfigError(
            f"the weights of run {run.name} were not kept ({KEEP}, --keep-weights): train it again with "
            f"`sfar train {said['method']} --seed {said['seed']}`"
        )
    return run / WEIGHTS


def data_of(file: Path) -> dict[str, Any]:
    """The fields of ``data`` that a run was made with, by dotted name, where ``file`` is the checkpoint of one."""
    if file.name != WEIGHTS or not file.with_name(ABOUT).is_file():
        return {}
    return {k: v for k, v in about(file.parent)["configuration"].items() if k.startswith("data.")}
