"""The record of Table 2a: multi-label recognition in the Charades layout, mean average precision by every named variant."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfar.config import Profile
from sfar.model.registry import METHODS, rivals
from sfar.runs.run import is_drawn
from sfar.studies.core import claims, statistics, study
from sfar.studies.core.study import FROZEN, Variant
from sfar.training.metrics import VARIANTS, mean_ap

SETS = {"storyboard": "storyboard-charades", "real": "charades"}
HEADLINE = "present"  # classes without positives left out: on the official test set, where all have some, this is the official number
TUNED = ("clip", "single", "sfar")


def sets(profile: Profile) -> tuple[str, ...]:
    """The data set, drawn or real."""
    return (SETS["storyboard" if is_drawn(profile) else "real"],)


def variants(profile: Profile) -> tuple[Variant, ...]:
    """Every method on the frozen tower, and three of them fine-tuned."""
    base = study.protocol(profile, *sets(profile))
    frozen = tuple(
        Variant(f"frozen/{m}", claims.NAMES[m], m, base + (FROZEN if m != "vanilla" else ()))
        for m in METHODS
        if m != "clip"
    )
    return frozen + tuple(Variant(f"fine-tuned/{m}", claims.NAMES[m], m, base) for m in TUNED)


def _positive(run: dict[str, Any]) -> np.ndarray:
    scores = run["views"]["1x1"]["scores"]
    out = np.zeros((len(scores), len(scores[0])), bool)
    for row, labels in zip(out, run["views"]["1x1"]["sets"]):
        row[labels] = True
    return out


def _scores(runs: list[dict[str, Any]]) -> np.ndarray:
    return np.array([r["views"]["1x1"]["scores"] for r in runs])


def _runs(profile: Profile, workers: int | None) -> dict[str, Any]:
    rows = variants(profile)
    by = study.run(profile, rows, profile.seeds, workers, "multi-label")
    positive = _positive(by["frozen/vanilla"][0])
    scores = {v.name: _scores(by[v.name]) for v in rows}
    data = {
        **study.about(by["fine-tuned/sfar"]),
        "videos": len(positive),
        "classes": positive.shape[1],
        "labels_per_video": round(float(positive.sum(1).mean()), 2),
        "without_label": int((~positive.any(1)).sum()),
        "without_positive": int((~positive.any(0)).sum()),
        "training_clips": next(r["training"]["clips"] for r in by["fine-tuned/sfar"]),
    }
    record: dict[str, Any] = {
        "data": data,
        "frames": rows[0].profile(profile, 0).train.frames,
        "rows": [],
        "differences": [],
    }
    measure = lambda s, keep: np.array([mean_ap(one[keep], positive[keep], HEADLINE) for one in s])  # noqa: E731
    pairs = [("frozen/sfar", f"frozen/{m}") for m in (r.name for r in rivals()) if m != "clip"] + [
        ("fine-tuned/sfar", f"fine-tuned/{m}") for m in TUNED[:-1]
    ]
    drawn = statistics.bootstrap_metric(scores, measure, len(positive), pairs)
    for v in rows:
        per_seed = measure(scores[v.name], slice(None))
        mean, low, high = drawn[v.name]
        record["rows"].append(
            {
                "name": v.name,
                "title": v.title,
                "method": v.method,
                "trained": by[v.name][0]["trained"],
                "seeds": len(per_seed),
                "map": {
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "std": round(float(per_seed.std(ddof=1)) if len(per_seed) > 1 else 0.0, 4),
                    "per_seed": per_seed.round(4).tolist(),
                },
                "variants": {
                    n: round(float(np.mean([r["views"]["1x1"]["map"][n] for r in by[v.name]])), 4)
                    for n in VARIANTS
                    if n in by[v.name][0]["views"]["1x1"]["map"]
                },
            }
        )
    for a, b in pairs:
        mean, low, high = drawn[a, b]
        record["differences"].append(
            {"name": a, "against": b, "mean": mean, "low": low, "high": high, "verdict": statistics.verdict(low, high)}
        )
    record["claims"] = []
    for tower in ("fine-tuned", "frozen"):
        mine = [d for d in record["differences"] if d["name"].startswith(tower)]
        record["claims"].append(
            claims.best(
                f"SFAR has the highest mAP ({tower} tower)",
                "Table 2a, section 4.2",
                [(claims.NAMES[d["against"].split("/")[1]], d) for d in mine],
            )
        )
    record["seconds"] = study.seconds(by)
    return record


STUDY = study.Study("multi_label", "make reproduce-table2a", _runs)
