"""The record of Figure 7b and Table 2d: TPP of groups of sub-texts against the accuracy of SFAR trained with each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfar.config import Profile, digest, get_profile
from sfar.errors import ConfigError
from sfar.model.clip import load_clip
from sfar.runs.executor import run_all
from sfar.runs.run import Dataset, Job, dataset, subtexts_of
from sfar.studies.core import claims, statistics
from sfar.studies.core import record as R
from sfar.studies.table1 import UNSEEN
from sfar.subtexts.groups import GROUPS, open_group
from sfar.subtexts.tpp import READINGS, score
from sfar.util import code

MAKE = "make reproduce-fig7b"
SEEDS = 3  # of the profile's: 15 groups are 45 trainings
# Their four texts differ in the wording around one phrase only: TPP as printed, which has the product of two small numbers in its
# denominator, puts them orders of magnitude above all others. The correlation is given without them too.
ONE_PHRASE = ("redundant", "class-name")


def group_names(profile: Profile, groups: Sequence[str] = ()) -> list[str]:
    """The groups to compare: those given (names of ``subtexts/groups.py`` or JSON files), else all of the storyboard world's.

    Raises ``ConfigError`` for fewer than three: no line can be fitted.
    """
    drawn = profile.data.dataset == "storyboard-kinetics" and not profile.data.root
    names = list(groups) or (list(GROUPS) if drawn else [])
    if not drawn and set(names) & set(GROUPS):
        raise ConfigError(
            f"{', '.join(sorted(set(names) & set(GROUPS)))}: the storyboard world's groups do not describe the classes of {profile.data.dataset}; "
            "give a label set with bundled sub-texts, such as kinetics400, or JSON files"
        )
    if len(set(names)) != len(names) or len(names) < 3:
        raise ConfigError(
            f"expected at least three different groups of sub-texts, got {', '.join(names) or 'none'}: give JSON files written by `sfar subtexts generate`"
        )
    return names


def with_group(profile: Profile, name: str) -> Profile:
    """The profile with another group of sub-texts."""
    return dataclasses.replace(profile, model=dataclasses.replace(profile.model, subtexts=name))


def jobs(profile: Profile, data: Dataset, names: Sequence[str]) -> list[Job]:
    """SFAR with every group on every seed. The bundled bank's runs are those of Table 1, views included, so that they are made once."""
    return [
        Job(
            with_group(profile, g),
            data,
            "sfar",
            s,
            "4x3" if g == "bank" else "1x1",
            UNSEEN if g == "bank" and data.drawn else (),
        )
        for g in names
        for s in profile.seeds[:SEEDS]
    ]


def inputs(profile: Profile, groups: Sequence[str] = ()) -> str:
    """Hash of all that the record follows from: code, configuration, and the sub-texts themselves."""
    names = group_names(profile, groups)
    texts = {g: digest(dict(open_group(g, profile.model.n_subtexts))) for g in names}
    return R.inputs(profile, code.entry(measure), extra=texts)


def path(profile: Profile, groups: Sequence[str] = ()) -> Path:
    """Where the record is written."""
    return R.folder(profile, list(groups) or None) / "fig7b.json"


def measure(profile: Profile, groups: Sequence[str] = (), workers: int | None = None) -> dict[str, Any]:
    """Score, train and evaluate every group (or find the kept results) and return the record."""
    names = group_names(profile, groups)
    version = inputs(profile, groups)
    data = dataset(profile)
    runs = run_all(jobs(profile, data, names), workers, "training with each group")
    seeds = profile.seeds[:SEEDS]
    by = {g: runs[i * len(seeds) : (i + 1) * len(seeds)] for i, g in enumerate(names)}
    hit = lambda r, k: 100.0 * (np.array(r["views"]["1x1"]["ranks"]) < k)  # noqa: E731
    hits = np.stack([[hit(r, 1) for r in by[g]] for g in names])
    clip = load_clip(profile.model.clip, profile.model.pretrained)
    scores = {g: score(subtexts_of(with_group(profile, g), data.classes), clip, profile.model.prompt) for g in names}
    record: dict[str, Any] = {
        "figure": "fig7b",
        "profile": profile.name,
        "inputs": version,
        "seeds": list(seeds),
        "data": {"val_videos": hits.shape[2], "classes": len(data.classes)},
        "groups": [],
    }
    for i, g in enumerate(names):
        s = scores[g]
        record["groups"].append(
            {
                "name": g,
                "title": GROUPS[g].title if g in GROUPS else g,
                "kind": GROUPS[g].kind if g in GROUPS else "file",
                "tpp": {r: round(s.mean(r), 4) for r in READINGS},
                "sigma": round(float(s.sigma.mean()), 4),
                "delta": round(float(s.delta.mean()), 4),
                "top1": statistics.summary(hits[i]),
                "top5": statistics.summary(np.stack([hit(r, 5) for r in by[g]])),
            }
        )
    record["correlations"] = _correlations(record, names, scores, hits)
    record["claims"] = _claims(record, names, hits)
    record["provenance"] = R.provenance(MAKE + R.suffix(profile), profile, sum(r["seconds"] for r in runs))
    return record


def _correlations(
    record: dict[str, Any], names: list[str], scores: dict[str, Any], hits: np.ndarray
) -> list[dict[str, Any]]:
    """Of accuracy with TPP and with its logarithm, under both readings, with all groups and without those of one phrase."""
    out = []
    several = [i for i, g in enumerate(names) if g not in ONE_PHRASE]
    for reading in READINGS:
        x = np.array([scores[g].mean(reading) for g in names])
        for scale, values in (("TPP", x), ("log TPP", np.log(x))):
            for which, keep in (("all", range(len(names))), ("without one phrase", several)):
                keep = list(keep)
                if which == "all" or 3 <= len(keep) < len(names):
                    out.append(
                        {
                            "reading": reading,
                            "x": scale,
                            "groups": len(keep),
                            "which": which,
                            **statistics.correlation(values[keep], hits[keep]),
                        }
                    )
    return out


def find(record: dict[str, Any], reading: str, x: str, which: str = "all") -> dict[str, Any]:
    """One row of the record's correlations."""
    return next(c for c in record["correlations"] if (c["reading"], c["x"], c["which"]) == (reading, x, which))


def _claims(record: dict[str, Any], names: list[str], hits: np.ndarray) -> list[dict[str, Any]]:
    out = []
    for reading in READINGS:
        c = find(record, reading, "TPP")
        for key, text in (
            ("r", "TPP and top-1 are positively correlated (linear, r)"),
            ("rho", "TPP and top-1 are positively correlated (ranks, Spearman's rho)"),
        ):
            out.append(
                claims.row(
                    f"{text}, reading {reading!r}",
                    "section 4.3, Fig. 7b",
                    "no correlation",
                    c[key]["value"],
                    c[key]["low"],
                    c[key]["high"],
                    "",
                )
            )
    accuracy = hits.mean((1, 2))
    for reading in READINGS:
        chosen = int(np.argmax([g["tpp"][reading] for g in record["groups"]]))
        best = max((i for i in range(len(names)) if i != chosen), key=lambda i: accuracy[i])
        out.append(
            claims.row(
                f"the group of highest TPP ({names[chosen]}), reading {reading!r}, has the highest top-1",
                "section 3.1, Table 2d",
                names[best],
                *statistics.bootstrap_mean(hits[chosen] - hits[best]),
            )
        )
    if {"bank", "scene"} <= set(names):
        out.append(
            claims.row(
                "sub-texts from the class name beat sub-texts full of one video's scene",
                "appendix B, Table 14",
                "scene",
                *statistics.bootstrap_mean(hits[names.index("bank")] - hits[names.index("scene")]),
            )
        )
    return out


def load(profile: Profile, groups: Sequence[str] = ()) -> dict[str, Any]:
    """The written record. Raises ``SfarError`` if there is none or if it is stale."""
    return R.current(path(profile, groups), inputs(profile, groups), MAKE)


def fig7b(
    profile: str | Profile = "storyboard",
    groups: Sequence[str] = (),
    source: str = "record",
    overrides: dict[str, Any] | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """The record of Figure 7b: the written one (``source="record"``) or measured now (``"measure"``; kept work is used again).

    Raises ``ConfigError`` for an unknown profile, key, group or source, ``SfarError`` for a missing or stale record.
    """
    if not isinstance(profile, Profile):
        profile = get_profile(profile, overrides)
    return R.obtain(source, lambda: load(profile, groups), lambda: measure(profile, groups, workers))
