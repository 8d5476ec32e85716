"""The record of Table 1: supervised recognition on Kinetics-400, or on the storyboard world in the same layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfar.config import METHODS, Profile, get_profile
from sfar.runs.executor import run_all
from sfar.runs.run import Dataset, Job, dataset, load_clips, sets_in
from sfar.studies.core import claims, statistics
from sfar.studies.core import record as R
from sfar.studies.core.oracle import true_set_classifier
from sfar.util import code

MAKE = "make reproduce-table1"
UNSEEN = ("storyboard-ucf101", "storyboard-hmdb51")  # zero-shot tests of the same runs (Table 2b)
UNSEEN_REAL = ("ucf101", "hmdb51")
MANY_VIEWS = ("single", "sfar")  # measured at 4x3 too, as the paper prints for BIKE


def unseen(profile: Profile, data: Dataset) -> tuple[str, ...]:
    """Data sets of other classes that the same runs are tested on: the drawn ones, or the real ones that lie beside Kinetics-400 in ``data.root``.

    A file of sub-texts without ``{dataset}`` in its path is of the training classes alone: then none.
    """
    if data.drawn:
        return UNSEEN
    beside = sets_in(profile.data.root)[1] if data.layout == "kinetics400" else ()
    own = profile.model.subtexts == "bank" or "{dataset}" in profile.model.subtexts
    return tuple(n for n in UNSEEN_REAL if n in beside and own)


def jobs(profile: Profile, data: Dataset, methods: tuple[str, ...] = METHODS) -> list[Job]:
    """The runs behind the table: every method on every seed (the zero-shot row has no seed)."""
    return [
        Job(profile, data, m, s, "4x3" if m in MANY_VIEWS else "1x1", unseen(profile, data))
        for m in methods
        for s in (profile.seeds if m != "vanilla" else profile.seeds[:1])
    ]


def inputs(profile: Profile) -> str:
    """Hash of all that the table's numbers follow from; see ``record.inputs``."""
    return R.inputs(profile, code.entry(measure), extra=R.texts_version(profile))


def measure(profile: Profile, workers: int | None = None) -> dict[str, Any]:
    """Draw, train, evaluate (or find the kept results) and return the record of Table 1."""
    version = inputs(profile)  # now: of the code that is about to run
    data = dataset(profile)
    todo = jobs(profile, data)
    runs = run_all(todo, workers, "training and evaluating")
    by: dict[str, list[dict]] = {m: [r for r in runs if r["method"] == m] for m in METHODS}
    record: dict[str, Any] = {
        "table": "table1",
        "profile": profile.name,
        "inputs": version,
        "seeds": list(profile.seeds),
        "data": _data(profile, data, runs[0]),
        "rows": [],
        "differences": [],
    }
    hit = lambda r, views, k: 100.0 * (np.array(r["views"][views]["ranks"]) < k)  # noqa: E731
    for m in METHODS:
        for views in ("1x1", "4x3"):
            if views in by[m][0]["views"]:
                row = {"method": m, "views": views, "trained": by[m][0]["trained"]}
                for k in (1, 5):
                    row[f"top{k}"] = statistics.summary(np.stack([hit(r, views, k) for r in by[m]]))
                record["rows"].append(row)
    for views in ("1x1", "4x3"):
        for m in METHODS:
            if m == "sfar" or views not in by[m][0]["views"]:
                continue
            for k in (1, 5):
                other = by[m] if len(by[m]) == len(by["sfar"]) else by[m] * len(by["sfar"])
                delta = np.stack([hit(a, views, k) - hit(b, views, k) for a, b in zip(by["sfar"], other)])
                mean, low, high = statistics.bootstrap_mean(delta)
                record["differences"].append(
                    {
                        "method": "sfar",
                        "against": m,
                        "views": views,
                        "metric": f"top{k}",
                        "mean": round(mean, 4),
                        "low": round(low, 4),
                        "high": round(high, 4),
                        "verdict": statistics.verdict(low, high),
                    }
                )
    record["claims"] = [claims.highest(record)]
    if data.drawn and any(0 < u < 1 for u in by["sfar"][0]["relevant_mass"]["uniform"]):
        record["importance"] = _importance(by)
        record["upper_reference"] = true_set_classifier(data.root, profile.train.frames)
        record["claims"] += [
            claims.finds_frames(record, "coarse"),
            claims.finds_frames(record, "fine"),
            claims.fine_sharper(record),
        ]
    record["temperature"] = by["sfar"][0]["temperature"]
    record["provenance"] = R.provenance(MAKE + R.suffix(profile), profile, sum(r["seconds"] for r in runs))
    return record


def _data(profile: Profile, data: Dataset, run: dict[str, Any]) -> dict[str, Any]:
    train = load_clips(profile, data, "train")
    bad = {**train.bad, **run["bad"]}
    missing = [*train.manifest.missing, *run["missing"]]
    return {
        "train_videos": len(train),
        "val_videos": len(run["labels"]),
        "classes": len(run["classes"]),
        "undecodable": bad,
        "missing": missing,
    }


def _importance(by: dict[str, list[dict]]) -> dict[str, Any]:
    """Share of importance on frames that show an action of the class, against equal weights, over videos that have both kinds."""
    uniform = np.array(by["sfar"][0]["relevant_mass"]["uniform"])
    mixed = (uniform > 0) & (uniform < 1)
    share = 1 - uniform[mixed]
    edges = [0.0, 0.25, 0.5, 1.0]  # of 8 frames: 1-2, 3-4, 5-7 irrelevant ones
    bins = [(share > a) & (share <= b) for a, b in zip(edges, edges[1:])]
    out: dict[str, Any] = {
        "videos": int(mixed.sum()),
        "uniform": round(100 * float(uniform[mixed].mean()), 4),
        "edges": edges,
        "bin_videos": [int(b.sum()) for b in bins],
    }
    mass = {
        "coarse": [r["relevant_mass"]["coarse"] for r in by["sfar"]],
        "fine": [r["relevant_mass"]["fine"] for r in by["sfar"]],
        "single": [r["relevant_mass"]["coarse"] for r in by["single"]],
    }
    for name, rows in mass.items():
        a = 100 * np.array(rows)[:, mixed]
        gain, low, high = statistics.bootstrap_mean(a - 100 * uniform[mixed])
        out[name] = {
            "mass": round(float(a.mean()), 4),
            "per_seed": a.mean(1).round(4).tolist(),
            "gain": round(gain, 4),
            "gain_low": round(low, 4),
            "gain_high": round(high, 4),
            "by_share": [],
        }
        for b in bins:
            if b.any():
                m, lo, hi = statistics.bootstrap_mean((a - 100 * uniform[mixed])[:, b])
                out[name]["by_share"].append(
                    {
                        "share": round(float(share[b].mean()), 4),
                        "gain": round(m, 4),
                        "low": round(lo, 4),
                        "high": round(hi, 4),
                    }
                )
    m, lo, hi = statistics.bootstrap_mean(100 * (np.array(mass["fine"]) - np.array(mass["coarse"]))[:, mixed])
    out["fine_minus_coarse"] = {"mean": round(m, 4), "low": round(lo, 4), "high": round(hi, 4)}
    return out


def load(profile: Profile) -> dict[str, Any]:
    """The written record of this profile. Raises ``SfarError`` if there is none or if it is stale."""
    return R.current(R.folder(profile) / "table1.json", inputs(profile), MAKE)


def table1(
    profile: str | Profile = "storyboard",
    seeds: list[int] | None = None,
    source: str = "record",
    overrides: dict[str, Any] | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """The record of Table 1: the written one (``source="record"``) or measured now (``"measure"``; kept work is used again).

    Raises ``ConfigError`` for an unknown profile, key or source, ``SfarError`` for a missing or stale record.
    """
    if not isinstance(profile, Profile):
        profile = get_profile(profile, {**(overrides or {}), **({"seeds": list(seeds)} if seeds else {})})
    return R.obtain(source, lambda: load(profile), lambda: measure(profile, workers))
