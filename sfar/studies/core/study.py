"""A study: variants of a configuration, each run on the same seeds, and what can be said of them with intervals.

Every accuracy table of the paper but Table 1 is one. Differences are paired: the same seeds, the same videos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sfar.config import Profile, as_dict, by_dataset, changed, get_profile
from sfar.runs.executor import run_all
from sfar.runs.run import Dataset, Job, dataset
from sfar.studies.core import record as R
from sfar.studies.core import statistics
from sfar.studies.table1 import unseen
from sfar.util import code

FROZEN = (("train.train_visual", False),)


@dataclass(frozen=True)
class Variant:
    """One row: a method with fields changed. ``zero_shot``: tested on Table 1's unseen data sets too (``table1.unseen``), so that it is the same run.
    ``seeded_list``: the run's seed also draws the few-shot list, so that seeds cover both."""

    name: str
    title: str
    method: str
    changes: tuple[tuple[str, Any], ...] = ()
    views: str = "1x1"
    zero_shot: bool = False
    seeded_list: bool = False

    def profile(self, base: Profile, seed: int) -> Profile:
        """The configuration of one run."""
        extra = {"data.shot_seed": seed} if self.seeded_list else {}
        return changed(base, {**dict(self.changes), **extra})


def protocol(base: Profile, dataset: str, shots: bool = False) -> tuple[tuple[str, Any], ...]:
    """Changes that make ``base`` one of the data set ``dataset``: what its protocol says (``config.by_dataset``), but for fields that the user has set."""
    standard = as_dict(get_profile(base.name))
    given = {
        f"{g}.{k}"
        for g, fields in as_dict(base).items()
        if isinstance(fields, dict)
        for k, v in fields.items()
        if v != standard[g][k]
    }
    return tuple(
        (k, v) for k, v in by_dataset(base.name, dataset, shots).items() if k == "data.dataset" or k not in given
    )


@lru_cache(maxsize=64)
def _dataset(data, profile: Profile) -> Dataset:
    return dataset(profile)


def job(base: Profile, variant: Variant, seed: int) -> Job:
    """The run of a variant on one seed."""
    profile = variant.profile(base, seed)
    # Few-shot fields choose from a data set; they do not make it another one.
    plain = changed(profile, {"data.shots": 0, "data.shot_seed": 0, "data.shot_draws": 1, "data.shot_list": ""})
    data = _dataset(plain.data, changed(base, {"data.dataset": plain.data.dataset, "data.fold": plain.data.fold}))
    return Job(
        profile, data, variant.method, seed, variant.views, unseen(profile, data) if variant.zero_shot else ()
    )  # as Table 1's runs


def run(
    base: Profile, variants: Sequence[Variant], seeds: Sequence[int], workers: int | None = None, desc: str = "training"
) -> dict[str, list[dict[str, Any]]]:
    """The records of every variant on every seed, by variant name. The zero-shot method is run once: it has no seed."""
    jobs = {(v.name, s): job(base, v, s) for v in variants for s in (seeds if v.method != "vanilla" else seeds[:1])}
    unique: dict[str, Job] = {}
    keys = {where: j.key() for where, j in jobs.items()}
    for where, j in jobs.items():
        unique.setdefault(keys[where], j)  # two rows may ask for one run
    found = dict(zip(unique, run_all(list(unique.values()), workers, desc)))
    return {v.name: [found[keys[v.name, s]] for s in seeds if (v.name, s) in keys] for v in variants}


def hits(runs: Sequence[dict[str, Any]], k: int = 1, views: str = "1x1") -> np.ndarray:
    """Per seed and video 100 where the true class is among the first ``k``, else 0: [seeds, videos]."""
    return 100.0 * (np.array([r["views"][views]["ranks"] for r in runs]) < k)


def row(variant: Variant, runs: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A table row: top-1 and top-5 with their intervals, and what was trained."""
    return {
        "name": variant.name,
        "title": variant.title,
        "method": variant.method,
        "trained": runs[0]["trained"],
        **more,
        "top1": statistics.summary(hits(runs, 1)),
        "top5": statistics.summary(hits(runs, 5)),
    }


def _paired(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b per seed and video; a side without seeds (zero-shot) is held against every seed of the other."""
    n = max(len(a), len(b))
    return (np.repeat(a, n // len(a), 0) if len(a) < n else a) - (np.repeat(b, n // len(b), 0) if len(b) < n else b)


def difference(name: str, against: str, a: np.ndarray, b: np.ndarray, **more: Any) -> dict[str, Any]:
    """a - b of paired values [seeds, videos], with interval and verdict on "above zero"."""
    # Rounded first, and no negative zero: a bound of exactly zero must not be decided by the last bit of a sum.
    mean, low, high = (round(x, 4) + 0.0 for x in statistics.bootstrap_mean(_paired(a, b)))
    return {
        "name": name,
        "against": against,
        **more,
        "mean": mean,
        "low": low,
        "high": high,
        "verdict": statistics.verdict(low, high),
    }


def about(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The data of some runs of one list: how many, and what could not be used."""
    first = runs[0]
    training = first["training"] or {}
    return {
        "train_clips": training.get("clips"),
        "val_videos": len(first["labels"]),
        "classes": len(first["classes"]),
        "undecodable": {**training.get("bad", {}), **first["bad"]},
        "missing": first["missing"],
    }


def seconds(by: dict[str, list[dict[str, Any]]]) -> float:
    """Training and evaluation seconds of all runs, each counted once."""
    return sum({id(r): r["seconds"] for runs in by.values() for r in runs}.values())


@dataclass(frozen=True)
class Study:
    """A record and how it is had. ``name``: of its file; ``make``: the command that measures it;
    ``runs(profile, workers)``: its content, stale when the code that this function reaches changes;
    ``files``: data files of the package that it reads ("sfar/paper/table2c.csv")."""

    name: str
    make: str
    runs: Callable[[Profile, int | None], dict[str, Any]]
    files: tuple[str, ...] = ()

    def inputs(self, profile: Profile) -> str:
        """Hash of all that the record follows from."""
        return R.inputs(profile, code.entry(self.runs), *self.files, extra=R.texts_version(profile))

    def path(self, profile: Profile) -> Path:
        """Where the record is written."""
        return R.folder(profile) / f"{self.name}.json"

    def measure(self, profile: Profile, workers: int | None = None) -> dict[str, Any]:
        """Train every variant on every seed (or find the kept runs) and return the record."""
        version = self.inputs(profile)  # now: of the code that is about to run
        content = self.runs(profile, workers)
        spent = content.pop("seconds")
        return {
            "table": self.name,
            "profile": profile.name,
            "inputs": version,
            "seeds": list(profile.seeds),
            **content,
            "provenance": R.provenance(self.make + R.suffix(profile), profile, spent),
        }

    def load(self, profile: Profile) -> dict[str, Any]:
        """The written record of this profile. Raises ``SfarError`` naming the command if there is none or if it is stale."""
        return R.current(self.path(profile), self.inputs(profile), self.make)

    def get(
        self,
        profile: str | Profile = "storyboard",
        seeds: Sequence[int] | None = None,
        source: str = "record",
        overrides: dict[str, Any] | None = None,
        workers: int | None = None,
    ) -> dict[str, Any]:
        """The record: the written one (``source`` "record") or measured now ("measure"; kept runs are found again).

        Raises ``ConfigError`` for an unknown profile, field or source, ``SfarError`` for a missing or stale record.
        """
        if not isinstance(profile, Profile):
            profile = get_profile(profile, {**(overrides or {}), **({"seeds": list(seeds)} if seeds else {})})
        return R.obtain(source, lambda: self.load(profile), lambda: self.measure(profile, workers))
