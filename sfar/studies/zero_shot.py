"""The record of Tables 2b and 10: trained on the Kinetics-like set, tested on two sets of other classes, under both protocols.

The runs are Table 1's: each was scored on all videos of the unseen sets with the prompts and sub-texts of their classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfar.config import DRAWN, Profile, layout
from sfar.data import layouts
from sfar.errors import ConfigError
from sfar.model.registry import METHODS, rivals
from sfar.runs.executor import run_all
from sfar.runs.run import by_name, dataset, is_drawn, need_sets
from sfar.studies import table1
from sfar.studies.core import claims, statistics, study
from sfar.training.protocols import half10, of_folds, split3

FOLDS = (1, 2, 3)
PROTOCOLS = (
    "half10",
    "split3",
    "all classes",
)  # the claims are of the first, which BIKE's rows of the paper's tables follow (PROTOCOL section 7)


def _hits(entries: list[dict[str, Any]], k: int) -> np.ndarray:
    return 100.0 * (np.array([e["ranks"] for e in entries]) < k)


def _protocols(
    runs: list[dict[str, Any]], name: str, folds: list[set[str]]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Both protocols of one method on one set: per seed the protocol's mean and deviation, over seeds mean and interval. Also, for paired
    differences, the values per seed and video behind "half10", "split3" and "all classes" (``stats.overlapping``)."""
    found = [r["zero_shot"][name] for r in runs]
    half = [half10(np.array(f["scores"]), np.array(f["labels"])) for f in found]
    split = [split3(of_folds(np.array(f["scores"]), np.array(f["labels"]), f["paths"], folds)) for f in found]
    labels = np.array(found[0]["labels"])
    members = {
        "half10": [np.isin(labels, d["classes"]) for d in half[0]["draws"]],
        "split3": [np.array([p in fold for p in found[0]["paths"]]) for fold in folds],
    }
    values = {"all classes": _hits([h["full"] for h in half], 1)}
    out: dict[str, Any] = {"full": {f"top{k}": statistics.summary(_hits([h["full"] for h in half], k)) for k in (1, 5)}}
    for protocol, each, parts in (("half10", half, "draws"), ("split3", split, "splits")):
        # What the protocol itself prints is the deviation over its ten draws or three splits; seeds and videos are the interval.
        values[protocol] = statistics.overlapping(
            [_hits([e[parts][i] for e in each], 1) for i in range(len(each[0][parts]))], members[protocol]
        )
        mean, low, high = statistics.bootstrap_mean(values[protocol])
        out[protocol] = {
            "mean": round(mean, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "protocol_std": round(float(np.mean([e["top1"]["std"] for e in each])), 4),
            "per_seed": [e["top1"]["mean"] for e in each],
            "top5": round(float(np.mean([e["top5"]["mean"] for e in each])), 4),
        }
    return out, values


def sets(profile: Profile) -> tuple[str, ...]:
    """What is trained on, then the unseen data sets."""
    return (profile.data.dataset, *table1.UNSEEN) if is_drawn(profile) else ("kinetics400", *table1.UNSEEN_REAL)


def _unseen(profile: Profile) -> tuple[str, ...]:
    """The data sets to test on. Raises ``DataError`` for one that is not in ``data.root``, ``ConfigError`` where training is on another or nothing says which sub-texts they have."""
    used = sets(profile)
    if is_drawn(profile):
        return used[1:]
    need_sets(profile, used)
    if layout(profile) != used[0]:
        raise ConfigError(
            f"data.dataset={profile.data.dataset!r}: Table 2b trains on {used[0]} and tests on {', '.join(used[1:])}; `sfar evaluate CHECKPOINT --zero-shot` tests any other model"
        )
    if table1.unseen(profile, dataset(profile)) != used[1:]:
        raise ConfigError(
            f"model.subtexts={profile.model.subtexts!r} is one file, and there are three data sets: write {{dataset}} in its path, which stands for "
            f'{", ".join(used)}, or take the bundled sub-texts ("bank")'
        )
    return used[1:]


def _runs(profile: Profile, workers: int | None) -> dict[str, Any]:
    unseen = _unseen(profile)
    data = dataset(profile)
    runs = run_all(table1.jobs(profile, data), workers, "training, with zero-shot tests")
    by = {m: [r for r in runs if r["method"] == m] for m in METHODS}
    record: dict[str, Any] = {
        "trained_on": profile.data.dataset,
        "data": study.about(by["sfar"]),
        "rows": [],
        "differences": [],
    }
    for name in unseen:
        other = dataset(by_name(profile, name))
        folds = [{c.path for c in layouts.read(other.layout, other.root, "val", f).clips} for f in FOLDS]
        one = by["sfar"][0]["zero_shot"][name]
        value = {}
        for m in METHODS:
            row, value[m] = _protocols(by[m], name, folds)
            record["rows"].append(
                {
                    "dataset": name,
                    "method": m,
                    "classes": len(one["classes"]),
                    "videos": len(one["labels"]),
                    "trained": by[m][0]["trained"],
                    "seeds": len(by[m]),
                    **row,
                }
            )
        record["differences"] += [
            study.difference("sfar", m, value["sfar"][p], value[m][p], dataset=name, protocol=p)
            for p in PROTOCOLS
            for m in (r.name for r in rivals())
        ]
    titles = {name: layouts.layout(DRAWN.get(name, name)).title for name in unseen}
    record["claims"] = []
    for name in unseen:
        rows = [d for d in record["differences"] if d["dataset"] == name and d["protocol"] == PROTOCOLS[0]]
        record["claims"].append(
            claims.best(
                f"SFAR has the highest zero-shot accuracy, set in {titles[name]}'s layout ({PROTOCOLS[0]})",
                "Table 2b, section 4.2",
                [(claims.NAMES[d["against"]], d) for d in rows],
            )
        )
        d = next(d for d in rows if d["against"] == "vanilla")
        record["claims"].append(
            claims.row(
                f"training SFAR on other classes helps over zero-shot CLIP, {titles[name]}'s layout ({PROTOCOLS[0]})",
                "Table 2b",
                claims.NAMES["vanilla"],
                d["mean"],
                d["low"],
                d["high"],
            )
        )
    record["seconds"] = sum(r["seconds"] for r in runs)
    return record


STUDY = study.Study("zero_shot", "make reproduce-table2b", _runs)
