"""The record of Tables 8 and 9, Figure 2f, and the dose-response test of the paper's explanation.

The runs are those of Table 2e, found again. In the storyboard world it is known how ambiguous a class is, how non-uniform a video, and how many of
its frames show none of the class's actions: so there the gains can be held against their supposed cause. Everything that could be
chosen (definitions, bins, contrasts, what is a claim) was fixed before a result was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfar.config import Profile
from sfar.data.source import Dataset, load_clips
from sfar.model.clip import embed_texts, load_clip
from sfar.runs.run import device
from sfar.storyboard.scripts import ACTIVITIES
from sfar.storyboard.write import truth
from sfar.studies import ablations
from sfar.studies.core import claims, statistics, study
from sfar.studies.core import degrees as A
from sfar.studies.core.study import Variant
from sfar.training.frozen import frame_embeddings

# Roles of the methods: mean pooling, and the four rows of Table 8. "flat" is SFAR's own head with nearly equal weights on the frames (temperature
# 1, which the paper prints): what is left of the gain against it is not the head's, but the weights'. Only the frozen sweep has it.
_VARIANTS = {v.name: v for v in (*ablations.TABLE2E, *ablations.TUNED, *ablations.FROZEN_ROWS)}
_FLAT = next(
    Variant("frozen/flat", title, "sfar", (*study.FROZEN, *changes))
    for _, title, changes in ablations.READINGS
    if ("model.frame_temperature", 1.0) in changes
)
TOWERS: dict[str, dict[str, Variant]] = {
    "fine-tuned": {
        role: _VARIANTS[name]
        for role, name in (
            ("mean", "clip"),
            ("single", "single"),
            ("coarse", "coarse"),
            ("fine", "fine"),
            ("fusion", "both"),
        )
    },
    "frozen": {
        "mean": _VARIANTS["frozen/vanilla"],
        "flat": _FLAT,
        "single": _VARIANTS["frozen/single"],
        "coarse": _VARIANTS["frozen/coarse"],
        "fine": _VARIANTS["frozen/fine"],
        "fusion": _VARIANTS["frozen/both"],
    },
}
TITLES = {
    "mean": "Mean pooling",
    "flat": "SFAR, nearly equal weights",
    "single": "Single",
    "coarse": "Coarse",
    "fine": "Fine",
    "fusion": "Fusion",
}
ROWS = ("single", "coarse", "fine", "fusion")  # Table 8
OURS = ROWS[1:]
TYPES = {"Ambi": "ambiguous", "Non": "non_uniform"}  # as Table 8 calls the scores -> key of a class in the record
CONTRASTS = (*((m, "mean") for m in (*OURS, "single")), *((m, "single") for m in OURS), ("fusion", "flat"))

DRAWS = 2000


@dataclass(frozen=True)
class Dose:
    """A supposed cause: ``edges`` of its bins, whether it belongs to a class (whole classes are resampled then), what it is."""

    edges: tuple[float, ...]
    by_class: bool
    title: str


DOSES = {
    "irrelevant": Dose((0, 0.15, 0.3, 0.45, 0.6, 1), False, "true share of irrelevant frames"),
    "overlap": Dose((0, 0.65, 0.82, 1), True, "true ambiguity of the class (overlap)"),
    "disagreement": Dose((0, 0.7, 0.8, 0.9, 1), False, "true non-uniformity of the video (disagreement)"),
}
FOUND = {
    f"found by a_{w}": f"weight that a_{w} puts on frames of the action, above equal weights"
    for w in ("coarse", "fine")
}
OVER = {"mean": "mean pooling", "single": "single granularity", "flat": "the same head with nearly equal weights"}
PER = 0.1  # slopes over a dose are of a tenth


# --- statistics ---

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def subset_mean(mask: np.ndarray) -> Statistic:
    """Mean over the videos of ``mask`` [V]; NaN where none of them was drawn."""

    def measure(y: np.ndarray, w: np.ndarray) -> np.ndarray:
        total = (w * mask).sum(-1)
        return np.divide((y * w * mask).sum(-1), total, out=np.full(total.shape, np.nan), where=total > 0)

    return measure


def slope(x: np.ndarray) -> Statistic:
    """Least-squares slope over ``x`` [V]; NaN where it does not vary."""

    def measure(y: np.ndarray, w: np.ndarray) -> np.ndarray:
        w = w / w.sum(-1, keepdims=True)
        dx = x - (w * x).sum(-1, keepdims=True)
        var = (w * dx**2).sum(-1)
        return np.divide((w * dx * y).sum(-1), var, out=np.full(var.shape, np.nan), where=var > 1e-12)

    return measure


def resample(
    values: np.ndarray, measure: Statistic, groups: np.ndarray | None = None, seed: int = 0, draws: int | None = None
) -> dict[str, float] | None:
    """Value and 95 % interval of ``measure(per-video mean over seeds [B, V], weight of each video [B, V]) -> [B]`` of ``values`` [seeds, V].

    Seeds and videos are resampled; with ``groups`` [V] (classes) whole groups in place of videos: videos of a class share its ambiguity, and
    are no independent evidence about it. None where the value itself is undefined; draws where it is are left out.
    """
    v = np.asarray(values, float)
    n_seeds, n = v.shape
    unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    draws = draws or DRAWS
    found = []
    for start in range(0, draws, statistics.CHUNK):
        b = min(statistics.CHUNK, draws - start)
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), b) / n_seeds
        count = rng.multinomial(unit.max() + 1, np.full(unit.max() + 1, 1 / (unit.max() + 1)), b)
        found.append(measure(seeds @ v, count[:, unit].astype(float)))
    value = float(measure(v.mean(0)[None], np.ones((1, n)))[0])
    if not np.isfinite(value):
        return None
    low, high = np.nanpercentile(np.concatenate(found), [50 - statistics.LEVEL / 2, 50 + statistics.LEVEL / 2])
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def in_bins(x: np.ndarray, edges: tuple[float, ...]) -> list[np.ndarray]:
    """Masks of the bins [edge, next edge); the last one holds its upper edge too."""
    last = len(edges) - 2
    return [(x >= a) & ((x < b) | ((i == last) & (x <= b + 1e-9))) for i, (a, b) in enumerate(zip(edges, edges[1:]))]


# --- the record ---


def _scores(profile: Profile, data: Dataset, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ambiguous score of every class [C] and non-uniform score of every video of ``paths`` [V], from the untrained CLIP."""
    clip = load_clip(profile.model.clip, profile.model.pretrained).to(device())
    cls = embed_texts(clip, [profile.model.prompt.format(c) for c in data.classes]).cls.float().cpu()
    clips = load_clips(profile, data, "val")
    frames = frame_embeddings(clip, clips, profile, data.fingerprint, False)
    at = {p: i for i, p in enumerate(clips.paths)}
    sigma = A.class_similarity(cls)
    predictions = A.frame_predictions(frames[[at[p] for p in paths]], cls)
    return A.ambiguous_score(sigma), A.non_uniform_score(A.frame_similarity(sigma, predictions))


def _cells(
    of: dict[str, Any], masks: dict[Any, np.ndarray], key: str, value: dict[str, np.ndarray]
) -> tuple[list[dict], list[dict]]:
    """Accuracy of the four methods on each set of videos, and the gain of the three over single granularity."""
    rows, gains = [], []
    for name, mask in masks.items():
        if not mask.any():
            continue
        where = {**of, key: name, "videos": int(mask.sum())}
        for m in ROWS:
            mean, low, high = statistics.bootstrap_mean(value[m][:, mask])
            rows.append({**where, "method": m, "mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)})
        gains += [study.difference(m, "single", value[m][:, mask], value["single"][:, mask], **where) for m in OURS]
    return rows, gains


def _trend(
    of: str, name: str, against: str | None, values: np.ndarray, x: np.ndarray, unit: str, groups: np.ndarray | None
) -> list[dict[str, Any]]:
    """Slope of ``values`` over ``x`` as a row of the record; none where ``x`` does not vary."""
    found = resample(values, slope(x), groups)
    return (
        [
            {
                "of": of,
                "name": name,
                "against": against,
                "unit": unit,
                **found,
                "verdict": statistics.verdict(found["low"], found["high"]),
            }
        ]
        if found
        else []
    )


def _tower(value: dict[str, np.ndarray], labels: np.ndarray, degree: dict[str, np.ndarray]) -> dict[str, Any]:
    """Tables 8 and 9 and the trends over degrees, from hits [seeds, V] by role."""
    out: dict[str, Any] = {
        "overall": [{"method": m, **statistics.summary(v)} for m, v in value.items()],
        "table8": [],
        "gains8": [],
        "table9": [],
        "gains9": [],
        "trends": [],
    }
    hardest = {}
    for kind, d in degree.items():
        per_video = d[labels]
        rows, gains = _cells({"type": kind}, {k: per_video == k for k in range(1, A.DEGREES + 1)}, "degree", value)
        out["table8"] += rows
        out["gains8"] += gains
        hardest[kind] = per_video == A.DEGREES
        ranked = per_video > 0
        for m in ROWS:
            out["trends"] += _trend(
                kind, m, None, value[m][:, ranked], per_video[ranked], "points per degree", labels[ranked]
            )
        for m in OURS:
            out["trends"] += _trend(
                kind,
                m,
                "single",
                (value[m] - value["single"])[:, ranked],
                per_video[ranked],
                "points per degree",
                labels[ranked],
            )
    out["table9"], out["gains9"] = _cells({}, hardest, "set", value)
    both = lambda v: statistics.overlapping([v[:, mask] for mask in hardest.values()], list(hardest.values()))  # noqa: E731
    for m in ROWS:
        mean, low, high = statistics.bootstrap_mean(both(value[m]))
        out["table9"].append(
            {"set": "average", "method": m, "mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}
        )
    for m, against in (*((m, "single") for m in OURS), ("fusion", "coarse"), ("fusion", "fine"), ("coarse", "fine")):
        if against != "single":
            out["gains9"] += [
                study.difference(m, against, value[m][:, mask], value[against][:, mask], set=kind)
                for kind, mask in hardest.items()
            ]
        out["gains9"].append(study.difference(m, against, both(value[m]), both(value[against]), set="average"))
    return out


def _extra_weight(runs: list[dict[str, Any]], which: str) -> np.ndarray:
    """Share of a_coarse or a_fine on frames that show an action of the class, above equal weights: [seeds, V]."""
    return np.array([r["relevant_mass"][which] for r in runs]) - np.array(runs[0]["relevant_mass"]["uniform"])


def _dose(
    value: dict[str, np.ndarray], labels: np.ndarray, dose: dict[str, np.ndarray], runs: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """Accuracy and gains by bin of each dose, slopes of the gains, also over the extra weight that the trained model's own importance puts on
    frames of the action. ``runs``: by role, of fusion and where there is one of the control.
    """
    out: dict[str, Any] = {"levels": [], "bins": [], "trends": [], "extra_weight": []}
    for key, d in DOSES.items():
        x = dose[key]
        groups = labels if d.by_class else None
        for (low_edge, high_edge), mask in zip(zip(d.edges, d.edges[1:]), in_bins(x, d.edges)):
            if mask.any():
                where = {"dose": key, "from": low_edge, "to": high_edge, "videos": int(mask.sum())}
                out["levels"] += [
                    {**where, "method": m, "mean": round(float(v[:, mask].mean()), 4)} for m, v in value.items()
                ]
        for name, against in CONTRASTS:
            if against not in value:
                continue
            gain = value[name] - value[against]
            for (low_edge, high_edge), mask in zip(zip(d.edges, d.edges[1:]), in_bins(x, d.edges)):
                found = resample(gain, subset_mean(mask), groups) if mask.any() else None
                if found:
                    out["bins"].append(
                        {
                            "dose": key,
                            "name": name,
                            "against": against,
                            "from": low_edge,
                            "to": high_edge,
                            "x": round(float(x[mask].mean()), 4),
                            "videos": int(mask.sum()),
                            "mean": found["value"],
                            "low": found["low"],
                            "high": found["high"],
                        }
                    )
            out["trends"] += _trend(key, name, against, gain, x / PER, "points per 0.1", groups)
    uniform = np.array(runs["fusion"][0]["relevant_mass"]["uniform"])
    mixed = (uniform > 0) & (uniform < 1)
    if mixed.any():
        for of, which in zip(FOUND, ("coarse", "fine")):
            x = _extra_weight(runs["fusion"], which).mean(0)[mixed]
            for against in ("mean", "flat", "single"):
                if against in value:
                    out["trends"] += _trend(
                        of,
                        "fusion",
                        against,
                        (value["fusion"] - value[against])[:, mixed],
                        x / PER,
                        "points per 0.1",
                        None,
                    )
            for role, r in runs.items():
                mean, low, high = statistics.bootstrap_mean(100 * _extra_weight(r, which)[:, mixed])
                out["extra_weight"].append(
                    {
                        "method": role,
                        "importance": which,
                        "mean": round(mean, 4),
                        "low": round(low, 4),
                        "high": round(high, 4),
                    }
                )
    out["mixed_videos"] = int(mixed.sum())
    return out


def _ranking(
    classes: dict[str, np.ndarray],
    videos: dict[str, np.ndarray],
    labels: np.ndarray,
    true_class: dict[str, np.ndarray] | None,
    true_video: dict[str, np.ndarray],
) -> list[dict[str, Any]]:
    """Spearman's rho of each score with each truth, classes or videos resampled. The first truth of each score is the primary one."""
    pairs = [("ambiguous", "classes", k, classes["ambiguous"], v) for k, v in (true_class or {}).items()]
    pairs += [("non_uniform", "videos", k, videos["non_uniform"], v) for k, v in true_video.items()]
    pairs += [
        ("non_uniform", "classes", k, classes["non_uniform"], A.class_means(v, labels, len(classes["non_uniform"])))
        for k, v in true_video.items()
    ]
    out = []
    for score, unit, name, x, y in pairs:
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() > 2 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
            rho = statistics.correlation(x[known], y[known][:, None, None], draws=DRAWS)["rho"]
            out.append(
                {
                    "score": score,
                    "over": unit,
                    "truth": name,
                    "n": int(known.sum()),
                    **rho,
                    "verdict": statistics.verdict(rho["low"], rho["high"]),
                }
            )
    return out


def _runs(profile: Profile, workers: int | None) -> dict[str, Any]:
    variants = {v.name: v for roles in TOWERS.values() for v in roles.values()}
    by = study.run(profile, list(variants.values()), profile.seeds, workers, "ambiguity")
    tuned = by[TOWERS["fine-tuned"]["fusion"].name]
    data = study.job(profile, TOWERS["fine-tuned"]["fusion"], profile.seeds[0]).data
    paths, labels, names = tuned[0]["paths"], np.array(tuned[0]["labels"]), tuned[0]["classes"]
    ambiguous, non_uniform = _scores(profile, data, paths)
    per_class = {"ambiguous": ambiguous, "non_uniform": A.class_means(non_uniform, labels, len(names))}
    degree = {kind: A.degrees(per_class[key]) for kind, key in TYPES.items()}
    record: dict[str, Any] = {
        "data": {**study.about(tuned), "hardest": {k: int((d == A.DEGREES).sum()) for k, d in degree.items()}},
        "towers": {},
    }
    known = "irrelevant" in tuned[0]
    true_class, true_video = None, {}
    if known:
        shown = truth(data.root)
        each = [A.true_non_uniformity(shown[p]["segments"], profile.train.frames) for p in paths]
        true_video = {k: np.array([e[k] for e in each]) for k in each[0]}
        if all(c in ACTIVITIES for c in names):
            true_class = A.true_ambiguity({c: ACTIVITIES[c] for c in names})
        record["ranking"] = _ranking(per_class, {"non_uniform": non_uniform}, labels, true_class, true_video)
        digits = lambda v: np.asarray(v, float).round(4).tolist()  # noqa: E731
        record["videos"] = {
            "label": labels.tolist(),
            "non_uniform": digits(non_uniform),
            **{k: digits(v) for k, v in true_video.items()},
        }
    record["class_scores"] = []
    for i, c in enumerate(names):
        row = {
            "class": c,
            **{k: round(float(v[i]), 4) if np.isfinite(v[i]) else None for k, v in per_class.items()},
            **{f"degree_{k}": int(d[i]) for k, d in degree.items()},
        }
        record["class_scores"].append(
            row | ({"truth": {k: round(float(v[i]), 4) for k, v in true_class.items()}} if true_class else {})
        )
    for tower, roles in TOWERS.items():
        value = {role: study.hits(by[v.name]) for role, v in roles.items()}
        record["towers"][tower] = _tower(value, labels, degree)
        if known and true_class:
            dose = {
                "irrelevant": true_video["irrelevant"],
                "overlap": true_class["overlap"][labels],
                "disagreement": true_video["disagreement"],
            }
            record["towers"][tower]["dose"] = _dose(
                value, labels, dose, {role: by[roles[role].name] for role in ("fusion", "flat") if role in roles}
            )
    ranked = _ranking_claims(record)
    record["claims"] = [
        *_claims(record["towers"]["fine-tuned"]),
        *ranked,
        *_dose_claims(record["towers"]["fine-tuned"]),
    ]
    record["frozen_claims"] = [*_claims(record["towers"]["frozen"]), *_dose_claims(record["towers"]["frozen"])]
    record["seconds"] = study.seconds(by)
    return record


# --- claims ---


def find_trend(rows: list[dict[str, Any]], of: str, name: str, against: str | None) -> dict[str, Any] | None:
    """One slope, None if it could not be measured."""
    return next((t for t in rows if (t["of"], t["name"], t["against"]) == (of, name, against)), None)


def _claims(tower: dict[str, Any]) -> list[dict[str, Any]]:
    """What Tables 8 and 9, Figure 2f and the text about them say."""
    out = []
    words = {"Ambi": "ambiguous", "Non": "non-uniform"}
    for kind, word in words.items():
        if t := find_trend(tower["trends"], kind, "single", None):
            out.append(
                claims.row(
                    f"the higher the {word} degree, the lower the accuracy of single granularity",
                    'Table 8; section 4.2, "most difficult"',
                    "no trend",
                    -t["value"],
                    -t["high"],
                    -t["low"],
                    "points per degree",
                )
            )
    for kind, m in (("Ambi", "coarse"), ("Non", "fine"), ("Ambi", "fusion"), ("Non", "fusion")):
        rows = [g for g in tower["gains8"] if (g["type"], g["name"]) == (kind, m)]
        out.append(
            claims.best(
                f"{m} is ahead of single granularity at every {words[kind]} degree",
                "Table 8, Fig. 2f",
                [(f"Single, degree {r['degree']}", r) for r in rows],
            )
        )
    gain = {(g["name"], g["against"], g["set"]): g for g in tower["gains9"]}

    def said(text: str, source: str, name: str, against: str, which: str) -> None:
        g = gain[name, against, which]
        out.append(claims.row(text, source, TITLES[against], g["mean"], g["low"], g["high"]))

    said(
        "coarse helps on the most ambiguous classes (paper: +1.5)",
        "Table 8, degree 10; section 3.2",
        "coarse",
        "single",
        "Ambi",
    )
    said(
        "fine helps on the most non-uniform classes (paper: +2.1)",
        "Table 8, degree 10; section 3.3",
        "fine",
        "single",
        "Non",
    )
    said(
        "coarse helps more than fine on the most ambiguous classes (paper: -1.0)",
        "sections 3.2, 3.3",
        "coarse",
        "fine",
        "Ambi",
    )
    g = gain["coarse", "fine", "Non"]
    out.append(
        claims.row(
            "fine helps more than coarse on the most non-uniform classes (paper: -0.7)",
            "section 3.3",
            TITLES["coarse"],
            -g["mean"],
            -g["high"],
            -g["low"],
        )
    )
    said("SFAR is ahead of single granularity on the Ambi set (paper: +2.9)", "Table 9", "fusion", "single", "Ambi")
    said("SFAR is ahead of single granularity on the Non set (paper: +2.9)", "Table 9", "fusion", "single", "Non")
    said(
        "SFAR is ahead of single granularity on the average of both sets (paper: +2.9; +2.6 of the second best, ATM)",
        "Table 9, section 4.2",
        "fusion",
        "single",
        "average",
    )
    for kind in TYPES:
        out.append(
            claims.best(
                f"fusion is the best of the four on the {kind} set",
                "Table 8, degree 10; Table 9",
                [(TITLES[m], gain["fusion", m, kind]) for m in ROWS[:-1]],
            )
        )
    for kind, m in (("Ambi", "coarse"), ("Non", "fine"), ("Ambi", "fusion"), ("Non", "fusion")):
        if t := find_trend(tower["trends"], kind, m, "single"):
            out.append(
                claims.row(
                    f"the gain of {m} over single granularity rises with the {words[kind]} degree",
                    "sections 1, 3.2, 3.3",
                    "no trend",
                    t["value"],
                    t["low"],
                    t["high"],
                    "points per degree",
                )
            )
    return out


def _ranking_claims(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Whether the label-free scores measure what they are called."""
    out = []
    for score, over, name, text in (
        (
            "ambiguous",
            "classes",
            "overlap",
            "the ambiguous score ranks classes by the time they share with another class (Spearman's rho)",
        ),
        (
            "non_uniform",
            "videos",
            "disagreement",
            "the non-uniform score ranks videos by the true disagreement of their frames (Spearman's rho)",
        ),
        (
            "non_uniform",
            "videos",
            "unevenness",
            "the non-uniform score ranks videos by how unevenly their actions share the time (Spearman's rho)",
        ),
    ):
        r = next(
            (r for r in record.get("ranking", ()) if (r["score"], r["over"], r["truth"]) == (score, over, name)), None
        )
        if r:
            out.append(
                claims.row(
                    text,
                    "appendix A.2" if name != "unevenness" else "section 1, appendix A.2",
                    "no correlation",
                    r["value"],
                    r["low"],
                    r["high"],
                    "",
                )
            )
    return out


def _dose_claims(tower: dict[str, Any]) -> list[dict[str, Any]]:
    """The paper's explanation: weights that find the action help more where there is more to leave out, and more to confuse."""
    if "dose" not in tower:
        return []
    rows = tower["dose"]["trends"]
    has_flat = any(t["against"] == "flat" for t in rows)
    wanted = [("irrelevant", m, "mean", "sections 1, 3.2, 3.3") for m in OURS] + [
        ("irrelevant", "fusion", "single", "sections 1, 2")
    ]
    wanted += [("irrelevant", "fusion", "flat", "sections 3.2, 3.3")] * has_flat
    wanted += [
        ("overlap", "coarse", "mean", "section 3.2"),
        ("overlap", "coarse", "single", "section 3.2"),
        ("overlap", "fusion", "single", "section 1"),
        ("disagreement", "fine", "mean", "section 3.3"),
        ("disagreement", "fine", "single", "section 3.3"),
        ("disagreement", "fusion", "single", "section 1"),
    ]
    wanted += [(of, "fusion", "flat" if has_flat else "mean", "sections 3.2, 3.3, Fig. 6") for of in FOUND]
    out = []
    for of, name, against, source in wanted:
        if t := find_trend(rows, of, name, against):
            what = DOSES[of].title if of in DOSES else FOUND[of]
            out.append(
                claims.row(
                    f"the gain of {name} over {OVER[against]} rises with the {what}",
                    source,
                    "no trend",
                    t["value"],
                    t["low"],
                    t["high"],
                    t["unit"],
                )
            )
    return out


STUDY = study.Study("ambiguity", "make reproduce-table8", _runs)
