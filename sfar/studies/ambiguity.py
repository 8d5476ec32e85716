"""Tables 8 and 9, Figure 2f, and the dose-response test of the paper's explanation.

The runs are those of Table 2e, found again. In the storyboard world it is known how ambiguous a class is, how
non-uniform a video, and how many of its frames show none of the class's actions: so there the gains can be held against
their supposed cause. Everything that could be chosen (definitions, bins, contrasts, what is a claim) was fixed before a
result was seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sfar import paper
from sfar.config import Profile
from sfar.data.source import Dataset, knobs_of, load_clips
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.clip import embed_texts, load_clip
from sfar.model.method import Method
from sfar.paper import printed
from sfar.render import plots, style
from sfar.render.tables import Interval, Table, interval, with_interval
from sfar.runs.run import device, loader_workers
from sfar.storyboard.knobs import script
from sfar.storyboard.scripts import ACTIVITIES
from sfar.storyboard.write import truth
from sfar.studies import ablations
from sfar.studies.ablations import in_reading, reading_of
from sfar.studies.core import degrees, page, statistics, study
from sfar.studies.core.blocks import Block, Drawn, Printed, Provenance, Shown, Text, Verdicts
from sfar.studies.core.claims import Claim, Decide, above, decide_all, highest, named
from sfar.studies.core.degrees import DEGREES, MOMENTARY
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Quantity, Study, Variant
from sfar.training.frozen import frame_embeddings

# --- what is compared ------------------------------------------------------------------------------------------------


# Mean pooling, and the four rows of Table 8, those of SFAR in each of its readings. "flat" is SFAR's own head with
# nearly equal weights on the frames: what is left of the gain against it is not the head's, but the weights'. Only the
# frozen sweep has it.
BRANCHES = {"coarse": "Coarse", "fine": "Fine", "fusion": "Fusion"}
_FLAT = "SFAR, nearly equal weights"
ROLES = {
    "mean": "Mean pooling",
    "single": "Single",
    **{
        in_reading(m, role): title + reading_of(m)
        for m in registry.own()
        for role, title in {"flat": _FLAT, **BRANCHES}.items()
    },
}
LOOKS = {  # colour and marker, apart from what is measured: another colour makes no record stale
    "mean": (registry.get("clip").colour, "v"),
    "flat": (style.UNIFORM, "x"),
    "single": (registry.get("single").colour, "s"),
    "coarse": (style.COARSE, "o"),
    "fine": (style.FINE, "^"),
    "fusion": (registry.get("sfar").colour, "D"),
}
_VARIANTS = {v.name: v for v in (*ablations.TABLE2E, *ablations.TUNED, *ablations.FROZEN_ROWS)}
FLAT = 100.0  # temperature: cosines that differ by 1 make weights that differ by a hundredth


def _flat(m: Method) -> Variant:
    name = in_reading(m, "flat")
    return Variant(f"frozen/{name}", ROLES[name], m.name, (*FROZEN, ("model.frame_temperature", FLAT)))


def _branches(m: Method, lead: str = "") -> dict[str, Variant]:
    """Coarse, fine and fusion in one reading, by role; ``lead`` of the names of their runs."""
    runs = {b: "both" if b == "fusion" else b for b in BRANCHES}
    return {in_reading(m, b): _VARIANTS[lead + in_reading(m, run)] for b, run in runs.items()}


TOWERS: dict[str, dict[str, Variant]] = {
    "fine-tuned": {
        "mean": _VARIANTS["clip"],
        "single": _VARIANTS["single"],
        **{role: v for m in registry.own() for role, v in _branches(m).items()},
    },
    "frozen": {
        "mean": _VARIANTS["frozen/vanilla"],
        "single": _VARIANTS["frozen/single"],
        **{
            role: v
            for m in registry.own()
            for role, v in {in_reading(m, "flat"): _flat(m), **_branches(m, "frozen/")}.items()
        },
    },
}
HEADLINE = "fine-tuned"  # as in the paper; the other tower is a second view


def ours(m: Method) -> tuple[str, ...]:
    """The roles of one reading in Table 8."""
    return tuple(in_reading(m, b) for b in BRANCHES)


OURS = tuple(role for m in registry.own() for role in ours(m))
ROWS = ("single", *OURS)  # Table 8
PAPER_ROWS = ("single", *BRANCHES)  # the paper's own
TYPES = {"Ambi": "ambiguous", "Non": "non-uniform"}  # as Table 8 calls the scores -> the score's name
SETS = (*TYPES, "average")  # Table 9
PAIRS = (
    *((role, "mean") for role in (*OURS, "single")),
    *((role, "single") for role in OURS),
    *((in_reading(m, "fusion"), in_reading(m, "flat")) for m in registry.own()),
)
_WITHIN = (("fusion", "coarse"), ("fusion", "fine"), ("coarse", "fine"))  # of one reading, on the sets of Table 9

PER = 0.1  # slopes over a dose are of a tenth


@dataclass(frozen=True)
class Dose:
    """A supposed cause.

    ``edges`` of its bins; ``by_class``: it belongs to a class (classes are the sample then); ``title``: what it
    is; ``label``: the same on an axis.
    """

    edges: tuple[float, ...]
    by_class: bool
    title: str
    label: str

    def bins(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Masks of ``x`` [V] by bin: from an edge up to, without, the next one; the last bin holds its upper edge."""
        last = self.edges[-1]
        return {
            f"{low:g} to {high:g}": (x >= low) & ((x < high) | ((high == last) & (x <= high + 1e-9)))
            for low, high in pairwise(self.edges)
        }


DOSES = {
    "irrelevant": Dose(
        (0, 0.15, 0.3, 0.45, 0.6, 1),
        False,
        "true share of irrelevant frames",
        "True share of irrelevant frames\n(of the video)",
    ),
    "overlap": Dose(
        (0, 0.65, 0.82, 1),
        True,
        "true ambiguity of the class (overlap)",
        "True ambiguity\n(time shared with one other class)",
    ),
    "disagreement": Dose(
        (0, 0.7, 0.8, 0.9, 1),
        False,
        "true non-uniformity of the video (disagreement)",
        "True non-uniformity\n(pairs of frames, different actions)",
    ),
}
# A dose that is measured, not true: what the trained model's own importance finds.
FOUND = {
    f"found-{which}": f"weight that a_{which} puts on frames of the action, above equal weights"
    for which in ("coarse", "fine")
}


# --- measured

Entries = list[Row | Contrast]


@dataclass(frozen=True)
class Tower:
    """The runs of a tower by role, and their hits [seeds, V] (``study.hits``) on videos of ``labels`` [V]."""

    name: str
    runs: dict[str, list[dict[str, Any]]]
    hits: dict[str, np.ndarray]
    labels: np.ndarray

    def on(self, mask: np.ndarray) -> Tower:
        """The same on the videos of ``mask`` [V] alone."""
        hits = {m: v[:, mask] for m, v in self.hits.items()}
        return dataclasses.replace(self, hits=hits, labels=self.labels[mask])

    def gain(self, role: str, against: str) -> np.ndarray:
        """Hits of one role minus those of another, [seeds, V]."""
        return study.paired(self.hits[role], self.hits[against])

    def row(self, part: str, role: str, **setting: Any) -> Row:
        """A role's accuracy, as a row of the record."""
        title, trained = ROLES[role], self.runs[role][0]["trained"]
        return study.measured(part, role, title, self.hits[role], trained=trained, tower=self.name, **setting)

    def difference(self, part: str, role: str, against: str, **setting: Any) -> Contrast:
        """The difference of two roles."""
        return study.difference(role, against, self.hits[role], self.hits[against], part, tower=self.name, **setting)

    def trend(
        self, part: str, role: str, against: str, x: np.ndarray, unit: str, by_class: bool, **setting: Any
    ) -> Entries:
        """Slope over ``x`` [V] of a role's accuracy, or of its gain; none where ``x`` does not vary."""
        values = self.gain(role, against) if against else self.hits[role]
        worth = statistics.slope(values, x)
        if worth is None:
            return []
        found = statistics.interval(statistics.by_group(worth, self.labels) if by_class else worth, fitted=2)
        return [study.contrast(role, against, found, part=part, metric="slope", unit=unit, tower=self.name, **setting)]


def _scores(profile: Profile, data: Dataset, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ambiguous score of every class [C] and non-uniform score of every video of ``paths`` [V].

    From the untrained CLIP.
    """
    clip = load_clip(profile.model.clip, profile.model.pretrained).to(device())
    cls = embed_texts(clip, [profile.model.prompt.format(c) for c in data.classes]).cls.float().cpu()
    clips = load_clips(profile, data, "val")
    frames = frame_embeddings(clip, clips, profile, data.fingerprint, False, loader_workers(profile))
    at = {p: i for i, p in enumerate(clips.paths)}
    sigma = degrees.class_similarity(cls)
    predictions = degrees.frame_predictions(frames[[at[p] for p in paths]], cls)
    return degrees.ambiguous_score(sigma), degrees.non_uniform_score(degrees.frame_similarity(sigma, predictions))


def _cells(tower: Tower, part: str, **setting: Any) -> Entries:
    """Accuracy of single granularity and of SFAR's rows, and the gains of these over it."""
    rows = [tower.row(part, m, **setting) for m in ROWS]
    return [*rows, *(tower.difference(part, m, "single", **setting) for m in OURS)]


def _by_degree(tower: Tower, degree: dict[str, np.ndarray]) -> Entries:
    """Tables 8 and 9 and the trends over the degrees. ``degree``: of every class [C], by type."""
    out: Entries = [tower.row("overall", m) for m in tower.hits]
    hardest = {}
    for kind, of_class in degree.items():
        d = of_class[tower.labels]
        for k in range(1, DEGREES + 1):
            if (d == k).any():
                out += _cells(tower.on(d == k), "table8", type=kind, degree=k)
        hardest[kind] = d == DEGREES
        ranked, at = tower.on(d > 0), d[d > 0]
        for m, against in (*((m, "") for m in ROWS), *((m, "single") for m in OURS)):
            out += ranked.trend("trends", m, against, at, "points per degree", True, type=kind)
    return out + _hardest(tower, hardest)


def _hardest(tower: Tower, hardest: dict[str, np.ndarray]) -> Entries:
    """Table 9: the videos [V] of the tenth of the classes that scores highest, and the mean of both sets."""
    masks = list(hardest.values())
    both = {m: statistics.overlapping([v[:, mask] for mask in masks], masks) for m, v in tower.hits.items()}
    sets = {kind: tower.on(mask) for kind, mask in hardest.items()}
    sets["average"] = dataclasses.replace(tower, hits=both)
    out: Entries = []
    for name, part in sets.items():
        out += _cells(part, "table9", set=name)
    chosen, *others = registry.own()
    pairs = [tuple(in_reading(m, b) for b in pair) for m in registry.own() for pair in _WITHIN]
    pairs += [(in_reading(chosen, "fusion"), in_reading(m, "fusion")) for m in others]
    for role, against in pairs:
        out += [part.difference("table9", role, against, set=name) for name, part in sets.items()]
    return out


def _by_dose(tower: Tower, dose: dict[str, np.ndarray]) -> Entries:
    """Accuracy and gains by bin of each dose [V], and the slopes of the gains."""
    out: Entries = []
    pairs = [(m, against) for m, against in PAIRS if against in tower.hits]
    for key, d in DOSES.items():
        x = dose[key]
        for name, mask in d.bins(x).items():
            if mask.any():
                out += _bin(tower, pairs, mask, d.by_class, float(x[mask].mean()), dose=key, bin=name)
        for m, against in pairs:
            out += tower.trend("dose-trends", m, against, x / PER, "points per 0.1", d.by_class, dose=key)
    return out


def _bin(
    tower: Tower, pairs: list[tuple[str, str]], mask: np.ndarray, by_class: bool, x: float, **setting: Any
) -> Entries:
    """Accuracy and gains on the videos of ``mask`` [V], at ``x`` in the mean."""
    out: Entries = []
    videos, where = int(mask.sum()), {"tower": tower.name, **setting}

    def measured(values: np.ndarray) -> statistics.Found:
        own = values[:, mask]
        return statistics.interval(statistics.by_group(own, tower.labels[mask]) if by_class else own)

    for m, v in tower.hits.items():
        mean, low, high = (round(n, 4) for n in measured(v)[:3])
        trained = tower.runs[m][0]["trained"]
        row = Row("dose", m, ROLES[m], "top1", mean, low, high, seeds=len(v), videos=videos, trained=trained)
        out.append(dataclasses.replace(row, setting=where))
    for m, against in pairs:
        more = {"videos": videos, "x": round(x, 4)}
        found = measured(tower.gain(m, against))
        out.append(study.contrast(m, against, found, part="dose", more=more, **where))
    return out


def _extra_weight(runs: list[dict[str, Any]], which: str) -> np.ndarray:
    """Share of a_coarse or a_fine on frames that show an action of the class, above equal weights: [seeds, V]."""
    return np.array([r["relevant_mass"][which] for r in runs]) - np.array(runs[0]["relevant_mass"]["uniform"])


def _by_weight(tower: Tower) -> Entries:
    """Extra weight that the model's own importance puts on frames of the action, and the slopes of the gains over it.

    Of fusion in each reading and, where there is one, of its control; over videos that have both kinds of frames.
    """
    uniform = np.array(tower.runs["fusion"][0]["relevant_mass"]["uniform"])
    mask = (uniform > 0) & (uniform < 1)
    mixed = tower.on(mask)
    return [e for m in registry.own() if mask.any() for e in _of_weights(tower, mixed, mask, m)]


def _of_weights(tower: Tower, mixed: Tower, mask: np.ndarray, m: Method) -> Entries:
    """The same of one reading; ``mixed``: the tower on the videos of ``mask`` [V]."""
    fusion, flat = in_reading(m, "fusion"), in_reading(m, "flat")
    out: Entries = []
    for which, dose in zip(("coarse", "fine"), FOUND, strict=True):
        x = _extra_weight(tower.runs[fusion], which).mean(0)[mask] / PER
        for against in ("mean", flat, "single"):
            if against in tower.hits:
                out += mixed.trend("dose-trends", fusion, against, x, "points per 0.1", False, dose=dose)
        for role in (fusion, flat):
            if role in tower.runs:
                extra = 100 * _extra_weight(tower.runs[role], which)[:, mask]
                where = {"metric": "mass", "tower": tower.name, "importance": which}
                more = {"videos": int(mask.sum())}
                equal = np.zeros_like(extra)
                out.append(study.difference(role, "equal weights", extra, equal, "weight", more=more, **where))
    return out


def _ranking(
    scores: dict[str, dict[str, np.ndarray]], true: dict[str, dict[str, np.ndarray]], labels: np.ndarray
) -> Entries:
    """Spearman's rho of each score with each truth over classes or videos, with its interval.

    Both by what they are of: "classes" [C] and "videos" [V]; a truth about videos is held against classes too. The
    first truth of each score is the primary one.
    """
    of_class, of_video = scores["classes"], scores["videos"]
    n = len(of_class["ambiguous"])
    pairs = [("ambiguous", "classes", k, of_class["ambiguous"], v) for k, v in true["classes"].items()]
    pairs += [("non-uniform", "videos", k, of_video["non-uniform"], v) for k, v in true["videos"].items()]
    pairs += [
        ("non-uniform", "classes", k, of_class["non-uniform"], degrees.class_means(v, labels, n))
        for k, v in true["videos"].items()
    ]
    out: Entries = []
    for score, over, name, x, y in pairs:
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() > 2 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
            found = statistics.correlation(x[known], y[known])["rho"]
            where = {"metric": "rho", "unit": "", "over": over, "more": {"n": int(known.sum())}}
            out.append(study.contrast(score, name, found, part="ranking", **where))
    return out


def _listed(names: Sequence[str], columns: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """A dictionary for each of ``names``, from columns by name; None where a number is not known."""
    return [
        {"class": c, **{k: round(float(v[i]), 4) if np.isfinite(v[i]) else None for k, v in columns.items()}}
        for i, c in enumerate(names)
    ]


def measure(profile: Profile, workers: int | None) -> Content:
    """Find the runs again, score classes and videos; where the truth is known, hold scores and gains against it."""
    variants = [v for roles in TOWERS.values() for v in roles.values()]
    by = study.run(profile, variants, workers, "ambiguity")
    headline = TOWERS[HEADLINE]["fusion"]
    tuned = by[headline.name]
    data = study.job(profile, headline, profile.seeds[0]).data
    paths, labels, names = tuned[0]["paths"], np.array(tuned[0]["labels"]), tuned[0]["classes"]
    ambiguous, non_uniform = _scores(profile, data, paths)
    of_class = {"ambiguous": ambiguous, "non-uniform": degrees.class_means(non_uniform, labels, len(names))}
    scores = {"classes": of_class, "videos": {"non-uniform": non_uniform}}
    degree = {kind: degrees.degrees(of_class[score]) for kind, score in TYPES.items()}
    true: dict[str, dict[str, np.ndarray]] = {"classes": {}, "videos": {}}
    found: Entries = []
    extra: dict[str, Any] = {}
    if "irrelevant" in tuned[0]:
        shown = truth(data.root)
        each = [degrees.true_non_uniformity(shown[p]["segments"], profile.train.frames) for p in paths]
        true["videos"] = {k: np.array([e[k] for e in each]) for k in each[0]}
        if all(c in ACTIVITIES for c in names):
            true["classes"] = degrees.true_ambiguity({c: script(c, knobs_of(profile)) for c in names})
        found += _ranking(scores, true, labels)
        by_video = {**scores["videos"], **true["videos"]}
        extra["videos"] = {"label": labels.tolist(), **{k: v.round(4).tolist() for k, v in by_video.items()}}
    extra["classes"] = _listed(names, {**of_class, **true["classes"]})
    for c, row in enumerate(extra["classes"]):
        row["degree"] = {kind: int(d[c]) for kind, d in degree.items()}
    for name, roles in TOWERS.items():
        runs = {role: by[v.name] for role, v in roles.items()}
        tower = Tower(name, runs, {role: study.hits(r) for role, r in runs.items()}, labels)
        found += _by_degree(tower, degree)
        if true["classes"]:
            found += _by_dose(tower, {**true["videos"], "overlap": true["classes"]["overlap"][labels]})
            found += _by_weight(tower)
    about = {**study.about(tuned), "hardest": {kind: int((d == DEGREES).sum()) for kind, d in degree.items()}}
    rows = [e for e in found if isinstance(e, Row)]
    return Content(about, rows, [e for e in found if isinstance(e, Contrast)], extra, study.seconds(by))


# --- what is claimed -------------------------------------------------------------------------------------------------

# (type, row): what is said of every degree and of the trend over them.
OVER_DEGREES = (("Ambi", "coarse"), ("Non", "fine"), ("Ambi", "fusion"), ("Non", "fusion"))
# (score, over, truth, text, source).
RANKED = (
    ("ambiguous", "classes", "overlap", "by the time they share with another class", "appendix A.2"),
    ("non-uniform", "videos", "disagreement", "by the true disagreement of their frames", "appendix A.2"),
    (
        "non-uniform",
        "videos",
        "unevenness",
        "by how unevenly their actions share the time",
        "section 1, appendix A.2",
    ),
)
OVER = {"mean": "mean pooling", "single": "single granularity", "flat": "the same head with nearly equal weights"}
# (dose, row, against, source): gains that rise with their supposed cause.
CAUSES = (
    *(("irrelevant", b, "mean", "sections 1, 3.2, 3.3") for b in BRANCHES),
    ("irrelevant", "fusion", "single", "sections 1, 2"),
    ("irrelevant", "fusion", "flat", "sections 3.2, 3.3"),
    ("overlap", "coarse", "mean", "section 3.2"),
    ("overlap", "coarse", "single", "section 3.2"),
    ("overlap", "fusion", "single", "section 1"),
    ("disagreement", "fine", "mean", "section 3.3"),
    ("disagreement", "fine", "single", "section 3.3"),
    ("disagreement", "fusion", "single", "section 1"),
)


def _id(name: str, tower: str) -> str:
    """The id of a claim or block; the second view's are called like the first's, with the tower behind."""
    return name if tower == HEADLINE else f"{name}-{tower}"


def _said(m: Method, name: str) -> str:
    """What a claim calls a row of one reading, in the middle of its sentence."""
    return f"{name}{said}," if (said := reading_of(m)) else name


def _printed_at_10(role: str, against: str, kind: str) -> str:
    """The printed difference of two rows of Table 8 at degree 10."""
    one, other = ({"method": ROLES[m], "type": kind, "degree": DEGREES} for m in (role, against))
    return printed.gap("table8", "top1", one, other)


def _printed_lead(kind: str) -> float:
    """SFAR's printed lead over single granularity (BIKE) in Table 9."""
    column = f"{kind.lower()}_set"
    return printed.cell("table9", column, **printed.OURS) - printed.cell("table9", column, method="BIKE")


def _printed_ahead(kind: str) -> str:
    return printed.signed(_printed_lead(kind))


def _printed_average() -> str:
    lead = sum(map(_printed_lead, TYPES)) / len(TYPES)
    return f"{printed.signed(lead)}; {printed.signed(printed.said('table9-lead'))} of the second best, ATM"


def _every_degree(tower: str, kind: str, role: str) -> Decide:
    """Ahead of single granularity at each degree."""
    return highest(
        lambda r: r.contrasts_of("table8", role, "single", tower=tower, type=kind),
        lambda r, c: f"{ROLES['single']}, degree {c.setting['degree']}",
    )


def _best(tower: str, kind: str, m: Method) -> Decide:
    """Fusion ahead of single granularity and of both branches of its reading on a set of Table 9."""
    rivals = {"single", *ours(m)}
    return highest(
        lambda r: [
            c for c in r.contrasts_of("table9", in_reading(m, "fusion"), tower=tower, set=kind) if c.against in rivals
        ]
    )


def single_claims(tower: str) -> tuple[Claim, ...]:
    """What Table 8 says of single granularity, decided on one tower."""
    return tuple(
        Claim(
            _id(f"table8-{kind.lower()}-single-falls", tower),
            "table8",
            f"the higher the {score} degree, the lower the accuracy of single granularity",
            'Table 8; section 4.2, "most difficult"',
            above("single", "", title="no trend", part="trends", tower=tower, sign=-1, type=kind),
        )
        for kind, score in TYPES.items()
    )


def degree_claims(tower: str, m: Method) -> tuple[Claim, ...]:
    """What Tables 8 and 9, Figure 2f and the text about them say of SFAR, decided on one tower and one reading."""
    trend = partial(above, title="no trend", part="trends", tower=tower)
    on_set = partial(above, part="table9", tower=tower)
    coarse, fine, fusion = ours(m)
    of = dict(zip(BRANCHES, ours(m), strict=True))
    claims = (
        *(
            Claim(
                f"table8-{kind.lower()}-{b}-ahead",
                "table8",
                f"{_said(m, b)} is ahead of single granularity at every {TYPES[kind]} degree",
                "Table 8, Fig. 2f",
                _every_degree(tower, kind, of[b]),
            )
            for kind, b in OVER_DEGREES
        ),
        *(
            Claim(
                f"table8-{kind.lower()}-{b}-helps",
                "table8",
                f"{_said(m, b)} helps on the most {TYPES[kind]} classes",
                f"Table 8, degree 10; section {section}",
                on_set(of[b], "single", set=kind),
                partial(_printed_at_10, b, "single", kind),
            )
            for kind, b, section in (("Ambi", "coarse", "3.2"), ("Non", "fine", "3.3"))
        ),
        Claim(
            "table8-ambi-coarse-fine",
            "table8",
            f"{_said(m, 'coarse')} helps more than fine on the most ambiguous classes",
            "sections 3.2, 3.3",
            on_set(coarse, fine, set="Ambi"),
            partial(_printed_at_10, "coarse", "fine", "Ambi"),
        ),
        Claim(
            "table8-non-fine-coarse",
            "table8",
            f"{_said(m, 'fine')} helps more than coarse on the most non-uniform classes",
            "section 3.3",
            on_set(coarse, fine, title=ROLES[coarse], sign=-1, set="Non"),
            partial(_printed_at_10, "fine", "coarse", "Non"),
        ),
        *(
            Claim(
                f"table9-{kind.lower()}-fusion-ahead",
                "table9",
                f"{_said(m, 'SFAR')} is ahead of single granularity on the {kind} set",
                "Table 9",
                on_set(fusion, "single", set=kind),
                partial(_printed_ahead, kind),
            )
            for kind in TYPES
        ),
        Claim(
            "table9-average-fusion-ahead",
            "table9",
            f"{_said(m, 'SFAR')} is ahead of single granularity on the average of both sets",
            "Table 9, section 4.2",
            on_set(fusion, "single", set="average"),
            _printed_average,
        ),
        *(
            Claim(
                f"table8-{kind.lower()}-fusion-best",
                "table8",
                f"{_said(m, 'fusion')} is the best of the four on the {kind} set",
                "Table 8, degree 10; Table 9",
                _best(tower, kind, m),
            )
            for kind in TYPES
        ),
        *(
            Claim(
                f"table8-{kind.lower()}-{b}-rises",
                "table8",
                f"the gain of {_said(m, b)} over single granularity rises with the {TYPES[kind]} degree",
                "sections 1, 3.2, 3.3",
                trend(of[b], "single", type=kind),
            )
            for kind, b in OVER_DEGREES
        ),
    )
    return tuple(dataclasses.replace(c, id=_id(named(c.id, m), tower)) for c in claims)


def dose_claims(tower: str, m: Method) -> tuple[Claim, ...]:
    """The paper's explanation, decided on one tower and one reading.

    Weights that find the action help more where there is more to leave out, and more to confuse.
    """
    control = "flat" if "flat" in TOWERS[tower] else "mean"
    titles = {dose: d.title for dose, d in DOSES.items()} | FOUND
    found = ((dose, "fusion", control, "sections 3.2, 3.3, Fig. 6") for dose in FOUND)

    def rises(dose: str, b: str, against: str) -> Decide:
        other = in_reading(m, against) if against == "flat" else against
        return above(in_reading(m, b), other, title="no trend", part="dose-trends", tower=tower, dose=dose)

    return tuple(
        Claim(
            _id(named(f"dose-{dose}-{b}-{against}", m), tower),
            "fig6" if dose in FOUND else "table8",
            f"the gain of {_said(m, b)} over {OVER[against]} rises with the {titles[dose]}",
            source,
            rises(dose, b, against),
        )
        for dose, b, against, source in (*CAUSES, *found)
        if against in TOWERS[tower]
    )


def _of_readings(of: Callable[[str, Method], tuple[Claim, ...]], tower: str) -> tuple[Claim, ...]:
    return tuple(claim for m in registry.own() for claim in of(tower, m))


CLAIMS = (
    *single_claims(HEADLINE),
    *_of_readings(degree_claims, HEADLINE),
    *(
        Claim(
            f"ranking-{name}",
            "table8",
            f"the {score} score ranks {over} {what} (Spearman's rho)",
            source,
            above(score, name, title="no correlation", part="ranking", over=over),
        )
        for score, over, name, what, source in RANKED
    ),
    *_of_readings(dose_claims, HEADLINE),
)
FROZEN_CLAIMS = (  # of the second view, beside the record's
    *single_claims("frozen"),
    *_of_readings(degree_claims, "frozen"),
    *_of_readings(dose_claims, "frozen"),
)


# --- what is shown ---------------------------------------------------------------------------------------------------

DEGREE_COLUMNS = ["Method", "Type", *map(str, range(1, DEGREES + 1))]
TRUTHS = {
    "overlap": "time shared with one other class (primary)",
    "shared": "time shared with any other class",
    "top10": "mean overlap with ten classes",
    "disagreement": "pairs of frames that show different actions (primary)",
    "unevenness": "unevenness of the durations",
    "momentary": f"own actions that last {MOMENTARY:.0%} or less",
    "irrelevant": "irrelevant frames",
}
SCORED = {"disagreement": "How mixed a video is", "unevenness": "How uneven a video is"}  # of the non-uniform score
NO_TRUTH = (
    "Only the storyboard world knows how ambiguous a class and how non-uniform a video is; of real videos the truth is "
    "not known, so this part is absent."
)


def _known(record: Record) -> bool:
    """Whether the truth about classes and videos is known."""
    return bool(record.contrasts_of("dose"))


def _difference(c: Contrast) -> str:
    return f"{ROLES[c.row]} − {ROLES[c.against]}"


def overall_table(record: Record, tower: str = HEADLINE) -> Table:
    """Accuracy on all videos."""
    rows = [[r.title, r.mean, page.deviation(r), interval(r)] for r in record.select("overall", tower=tower)]
    return Table(["All videos", "Top-1 [%]", "std", "95 % interval"], rows)


def table8(record: Record, tower: str = HEADLINE) -> Table:
    """Table 8, measured; a degree without classes is empty."""
    rows = []
    for m in ROWS:
        for kind in TYPES:
            at = {r.setting["degree"]: r.mean for r in record.select("table8", m, tower=tower, type=kind)}
            rows.append([ROLES[m], kind, *(at.get(d) for d in range(1, DEGREES + 1))])
    caption = (
        "Top-1 accuracy [%] by degree of the ambiguous and the non-uniform score (Table 8), measured; visual tower "
        f"{tower}. {record.profile} profile, {page.count(record)}."
    )
    return Table(DEGREE_COLUMNS, rows, caption=caption)


def gains8(record: Record, tower: str = HEADLINE) -> Table:
    """Figure 2f's last three rows: the gain over single granularity by degree."""
    rows = []
    for m in OURS:
        for kind in TYPES:
            of = record.contrasts_of("table8", m, "single", tower=tower, type=kind)
            at = {c.setting["degree"]: f"{c.mean:+z.1f} ({interval(c, 0, True)})" for c in of}
            rows.append([ROLES[m], kind, *(at.get(d) for d in range(1, DEGREES + 1))])
    return Table(DEGREE_COLUMNS, rows)


def _trend_cells(c: Contrast) -> list[str]:
    word = {"holds": "rises", "does not hold": "falls", "undecided": "undecided"}[c.verdict]
    return [f"{c.mean:+z.2f}", interval(c, 2, True), word]


def trends_table(record: Record, tower: str = HEADLINE) -> Table:
    """Slope of accuracy and of the gain over single granularity by degree."""
    rows = [
        [_difference(c) if c.against else ROLES[c.row], c.setting["type"], *_trend_cells(c)]
        for c in record.contrasts_of("trends", tower=tower)
    ]
    return Table(["Accuracy of", "Type", "Points per degree", "95 % interval", "It"], rows)


def table9(record: Record, tower: str = HEADLINE) -> Table:
    """Table 9, measured: the tenth of the classes that scores highest."""
    body, bare = [], []
    for m in ROWS:
        each = [record.find("table9", m, tower=tower, set=s) for s in SETS]
        body.append([ROLES[m], *(x for r in each for x in (r.mean, interval(r)))])
        bare.append([ROLES[m], *(x for r in each for x in (r.mean, r.low, r.high))])
    names = ("Ambi set [%]", "Non set [%]", "Average [%]")
    caption = (
        "Top-1 accuracy [%] on the tenth of the classes that scores highest (Table 9), measured; visual tower "
        f"{tower}. {page.counted(record)}"
    )
    return Table(
        ["Method", *(x for n in names for x in (n, "95 % interval"))],
        body,
        latex=Table(["Method", *(x for n in names for x in (n, "low", "high"))], bare, caption=caption),
    )


def differences9(record: Record, tower: str = HEADLINE) -> Table:
    """Paired differences on the sets of Table 9."""
    return page.contrasts_table(
        record.contrasts_of("table9", tower=tower), record.title, lead=lambda c: f"{c.setting['set']}: "
    )


def ranking_table(record: Record) -> Table | None:
    """How well the label-free scores rank the truth."""
    rows = [
        [c.row, TRUTHS[c.against], f"{c.more['n']} {c.setting['over']}", f"{c.mean:+z.2f}", interval(c, 2, True)]
        for c in record.contrasts_of("ranking")
    ]
    return Table(["Score", "Truth", "Over", "Spearman's rho", "95 % interval"], rows) if rows else None


def weight_table(record: Record) -> Table | None:
    """How much more weight than equal weights falls on frames of the action, for SFAR and for the control."""
    rows = []
    for c in record.contrasts_of("weight"):
        head = [c.setting["tower"], ROLES[c.row], f"a_{c.setting['importance']}"]
        rows.append([*head, f"{c.mean:+z.1f}", interval(c, 1, True)])
    what = "On frames of the action, above equal weights [points]"
    return Table(["Tower", "Method", "Importance", what, "95 % interval"], rows) if rows else None


def dose_trends_table(record: Record, tower: str = HEADLINE) -> Table | None:
    """Slope of every gain over every dose."""
    names = {k: d.title for k, d in DOSES.items()} | FOUND
    rows = [
        [_difference(c), names[c.setting["dose"]], *_trend_cells(c)]
        for c in record.contrasts_of("dose-trends", tower=tower)
    ]
    return Table(["Gain", "Dose", "Points per 0.1", "95 % interval", "It"], rows) if rows else None


def _bins(record: Record, dose: str, tower: str) -> dict[str, str]:
    """The bins that have videos, and what their columns are called."""
    some = next(iter(TOWERS[tower]))
    rows = record.select("dose", some, tower=tower, dose=dose)
    return {r.setting["bin"]: f"{r.setting['bin']}, {r.videos} videos" for r in rows}


def levels_table(record: Record, dose: str, tower: str = HEADLINE) -> Table | None:
    """The accuracy of every method in each bin of a dose."""
    bins = _bins(record, dose, tower)
    rows = [
        [ROLES[m], *(record.find("dose", m, tower=tower, dose=dose, bin=b).mean for b in bins)] for m in TOWERS[tower]
    ]
    return Table([f"Top-1 [%] by {DOSES[dose].title}", *bins.values()], rows) if bins else None


def gains_table(record: Record, dose: str, tower: str = HEADLINE) -> Table | None:
    """The gains in each bin of a dose."""
    bins = _bins(record, dose, tower)
    by: dict[str, list[str]] = {}
    for m, against in PAIRS:
        if against in TOWERS[tower]:
            each = [record.contrast(m, against, "dose", tower=tower, dose=dose, bin=b) for b in bins]
            by[f"{ROLES[m]} − {ROLES[against]}"] = [with_interval(c, 1, True) for c in each]
    columns = [f"Gain [points] by {DOSES[dose].title}", *bins.values()]
    return Table(columns, [[name, *cells] for name, cells in by.items()]) if bins else None


def frozen_verdicts(record: Record) -> Table | None:
    """The claims as they come out on the frozen tower."""
    found = page.verdicts_table(dataclasses.replace(record, claims=decide_all(FROZEN_CLAIMS, record)))
    return found if isinstance(found, Table) else None


def classes_table(record: Record) -> Table:
    """Every class with its scores and degrees, the most ambiguous first."""
    classes = sorted(record.extra["classes"], key=lambda c: -c["ambiguous"])
    known = "overlap" in classes[0]
    rows = []
    for c in classes:
        non = None if c["non-uniform"] is None else f"{c['non-uniform']:.4f}"
        true = [f"{c['overlap']:.2f}"] if known else []
        rows.append([c["class"], f"{c['ambiguous']:.4f}", c["degree"]["Ambi"], non, c["degree"]["Non"], *true])
    columns = ["Class", "Ambiguous score", "Degree", "Non-uniform score", "Degree"]
    return Table([*columns, *["True overlap"] * known], rows)


# --- printed in the paper


def _printed8() -> dict[tuple[str, str], np.ndarray]:
    """Table 8 of the paper: (role, type) -> accuracy by degree, [10]."""
    rows = paper.load("table8")
    return {
        (m, kind): np.array([r["top1"] for r in rows if (r["method"], r["type"]) == (ROLES[m], kind)])
        for m in PAPER_ROWS
        for kind in TYPES
    }


def paper_table8(record: Record) -> Table:
    """Table 8 as printed."""
    return Table(DEGREE_COLUMNS, [[ROLES[m], kind, *map(float, v)] for (m, kind), v in _printed8().items()])


def paper_gains(record: Record) -> Table:
    """What the printed Table 8 says of its own gains: at both ends, and their slope over the degrees."""
    at = _printed8()
    d = np.arange(1, DEGREES + 1)
    rows = []
    for m in BRANCHES:
        for kind in TYPES:
            gain = at[m, kind] - at["single", kind]
            ends = [f"{gain[0]:+z.1f}", f"{gain[-1]:+z.1f}", f"{np.polyfit(d, gain, 1)[0]:+z.2f}"]
            rows.append([ROLES[m], kind, *ends, ", ".join(f"{g:.1f}" for g in gain)])
    columns = ["Gain over single", "Type", "Degree 1", f"Degree {DEGREES}", "Points per degree", "All degrees"]
    return Table(columns, rows)


# --- figures


def _curve(ax: Axes, x: np.ndarray, found: Sequence[Interval], role: str, label: str = "", line: str = "-") -> None:
    """Means with their intervals over ``x``, in the colour of a role."""
    mean, low, high = (np.array([getattr(c, k) for c in found]) for k in ("mean", "low", "high"))
    colour, marker = LOOKS[role]
    look = {"color": colour, "marker": marker, "ms": 4, "lw": 1.2, "elinewidth": 0.8}
    ax.errorbar(x, mean, yerr=[mean - low, high - mean], ls=line, label=label, **look)


def table8_figure(record: Record) -> Figure:
    """Accuracy by degree: measured above, a row of panels for each reading; printed in the paper below."""
    style.use()
    own = registry.own()
    fig, axes = plt.subplots(len(own) + 1, 2, figsize=(7.2, 8.0), layout="constrained", sharex=True, sharey="row")
    colours, markers = ({ROLES[m]: LOOKS[m][k] for m in PAPER_ROWS} for k in (0, 1))
    for (*tops, bottom), (kind, score) in zip(axes.T, TYPES.items(), strict=True):
        classes = record.data["hardest"][kind]
        for ax, m in zip(tops, own, strict=True):
            for k, (role, bare) in enumerate(zip(("single", *ours(m)), PAPER_ROWS, strict=True)):
                cells = record.select("table8", role, tower=HEADLINE, type=kind)
                at = np.array([r.setting["degree"] for r in cells])
                _curve(ax, at + 0.13 * (k - 1.5), cells, bare, ROLES[bare])
            ax.set_title(
                f"Measured: {m.title}; {page.seeds(record)}\n"
                f"{score.capitalize()} score (degree {DEGREES}: {classes} classes)",
                loc="left",
            )
        rows = [r for r in paper.load("table8") if r["type"] == kind]
        lines = {key: [r[key] for r in rows] for key in ("degree", "top1", "method")}
        sns.lineplot(
            lines,
            x="degree",
            y="top1",
            hue="method",
            style="method",
            palette=colours,
            markers=markers,
            dashes=False,
            errorbar=None,
            legend=False,
            lw=1.2,
            ms=4.5,
            mew=0.4,
            ax=bottom,
        )
        bottom.set_title(f"Printed in the paper: Kinetics-400\n{score.capitalize()} score (Table 8)", loc="left")
        bottom.set_xlabel(f"Degree of the {score} score")
        bottom.set_xticks(range(1, DEGREES + 1))
    _same_scale(axes[:-1].ravel())
    for ax in axes[:, 0]:
        ax.set_ylabel("Top-1 accuracy [%]")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def _same_scale(panels: Sequence[Axes]) -> None:
    """One y axis for all, from the lowest to the highest of their ends."""
    low, high = min(ax.get_ylim()[0] for ax in panels), max(ax.get_ylim()[1] for ax in panels)
    for ax in panels:
        ax.set_ylim(low, high)


def fig2f_figure(record: Record) -> Figure:
    """Figure 2f's bars: accuracy of single granularity, then the gains of the three; measured left, printed right.

    Of a gain that is measured the reading as printed is the lighter bar at the right of each degree.
    """
    style.use()
    fig, axes = plt.subplots(4, 4, figsize=(10.4, 5.8), layout="constrained", sharex=True)
    at = _printed8()
    printed_gain = max(float((at[m, kind] - at["single", kind]).max()) for m in BRANCHES for kind in TYPES)
    own = registry.own()
    for row, m in zip(axes, PAPER_ROWS, strict=True):
        for left, right, kind in zip(row[:2], row[2:], TYPES, strict=True):
            where = {"tower": HEADLINE, "type": kind}
            alone = m == "single"
            if alone:
                _bars(left, record.select("table8", m, **where), LOOKS[m][0])
            else:
                for k, reading in enumerate(own):
                    cells = record.contrasts_of("table8", in_reading(reading, m), "single", **where)
                    _bars(left, cells, LOOKS[m][0], k, len(own))
            height = at[m, kind] - (0 if alone else at["single", kind])
            right.bar(range(1, DEGREES + 1), height, 0.72, lw=0, color=LOOKS[m][0])
            for ax in (left, right):
                ax.grid(axis="x", visible=False)
                if not alone:
                    ax.axhline(0, color=plots.SHADE, lw=0.8)
            if not alone:
                left.axhspan(0, printed_gain * 1.08, color=plots.SHADE, alpha=0.14, lw=0, zorder=0)
                right.set_ylim(0, printed_gain * 1.08)
        title = ROLES[m]
        scale = "" if m == "single" else "its scale: the\ngrey band at\nthe left"
        row[2].set_ylabel(scale, fontsize=7, color=plots.SHADE)
        row[0].set_ylabel(f"{title}\ntop-1 [%]" if m == "single" else f"{title}\nminus single\n[points]")
    for panels in (axes[0], axes[1:, :2].ravel()):  # accuracies have one scale, and so have measured gains
        _same_scale(panels)
    for left, right, score in zip(axes[0, :2], axes[0, 2:], TYPES.values(), strict=True):
        left.set_title(f"Measured: {page.seeds(record)}\n{score} score", loc="left")
        right.set_title(f"Printed: Kinetics-400\n{score} score", loc="left")
    for ax in axes[-1]:
        ax.set_xticks(range(1, DEGREES + 1))
        ax.set_xlabel("Degree")
    shades = [Patch(color=plots.SHADE, alpha=_SHADES[k], lw=0, label=f"measured: {m.title}") for k, m in enumerate(own)]
    fig.legend(handles=shades, loc="outside lower left", ncols=len(own))
    return fig


_SHADES = (1.0, 0.45)  # of the bars of the readings, the chosen one first


def _bars(ax: Axes, cells: Sequence[Row] | Sequence[Contrast], colour: str, k: int = 0, of: int = 1) -> None:
    """A bar for each degree, with its interval: the ``k``-th of ``of`` beside one another."""
    mean, low, high = (np.array([getattr(c, name) for c in cells]) for name in ("mean", "low", "high"))
    width = 0.8 / of
    at = np.array([c.setting["degree"] for c in cells]) + width * (k - (of - 1) / 2)
    look = {"elinewidth": 0.8, "ecolor": "#333333"}
    ax.bar(at, mean, 0.9 * width, lw=0, color=colour, alpha=_SHADES[k], yerr=[mean - low, high - mean], error_kw=look)


def dose_figure(record: Record) -> Figure | None:
    """Gains over the share of irrelevant frames, the cause that has an effect, a row of panels for each reading.

    The tables have every dose and tower.
    """
    if not _known(record):
        return None
    style.use()
    own = registry.own()
    fig, axes = plt.subplots(len(own), 2, figsize=(7.4, 7.2), layout="constrained", sharey=True)
    for row, m in zip(axes, own, strict=True):
        for ax, against in zip(row, ("mean", "single"), strict=True):
            rows = [role for role in ("single", *ours(m)) if role != against]
            _draw_dose(ax, record, HEADLINE, "irrelevant", [(role, against) for role in rows])
            what = f"{m.title}: {HEADLINE} tower, {page.seeds(record)}\nGain over {OVER[against]}"
            ax.set_title(what, loc="left")
        row[0].set_ylabel("Gain in top-1 [points]")
    return fig


def _draw_dose(ax: Axes, record: Record, tower: str, dose: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Gains by bin, one line a pair; the legend gives each slope with its interval."""
    ax.axhline(0, color=plots.SHADE, lw=0.9)
    span = DOSES[dose].edges[-1] - DOSES[dose].edges[0]
    for k, (m, against) in enumerate(pairs):
        cells = record.contrasts_of("dose", m, against, tower=tower, dose=dose)
        x = np.array([c.more["x"] for c in cells]) + 0.008 * span * (k - (len(pairs) - 1) / 2)
        bare = m.rpartition("/")[2]  # the reading stands above the panel
        label = ROLES[bare]
        for c in record.contrasts_of("dose-trends", m, against, tower=tower, dose=dose):
            label += f": {with_interval(c, 1, True)}"
        _curve(ax, x, cells, bare, label)
    ax.set_xlabel(DOSES[dose].label)
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.24),
        fontsize=7,
        handlelength=1.6,
        labelspacing=0.3,
        title="Slope, points per 0.1",
        title_fontsize=7,
    )


def scores_figure(record: Record) -> Figure | None:
    """The label-free scores against the truth: classes, and videos."""
    if not _known(record):
        return None
    style.use()
    fig, axes = plt.subplots(1, len(RANKED), figsize=(10.4, 3.3), layout="constrained")
    classes, videos = record.extra["classes"], record.extra["videos"]
    for ax, (score, over, name, *_) in zip(axes, RANKED, strict=True):
        whole = over == "classes"
        x = [c[name] for c in classes] if whole else videos[name]
        y = [c[score] for c in classes] if whole else videos[score]
        look = {"s": 25, "alpha": 0.9} if whole else {"s": 9, "alpha": 0.45}
        sns.scatterplot(x=x, y=y, color=registry.get("sfar").colour, edgecolor="white", linewidth=0.3, ax=ax, **look)
        found = record.contrasts_of("ranking", score, name, over=over)
        said = f"ρ = {found[0].mean:+z.2f} ({interval(found[0], 2, True)})" if found else "ρ not defined"
        what = "How ambiguous a class is" if whole else SCORED[name]
        ax.set_title(f"{what}\n{len(x)} {over}, {said}", loc="left")
        ax.set_xlabel("True: " + TRUTHS[name].removesuffix(" (primary)"))
        ax.set_ylabel("Ambiguous score (Eq. 16)" if whole else "Non-uniform score (1 − Eq. 18)")
    return fig


# --- the page


def describe(record: Record) -> str:
    """What was measured on, and how many classes are the hardest."""
    hardest = record.data["hardest"]
    return (
        f"{page.videos(record)} Degree {DEGREES} and the sets of Table 9: {hardest['Ambi']} classes (ambiguous) and "
        f"{hardest['Non']} (non-uniform). Intervals are 95 %, of seeds and videos."
    )


def dose_text(record: Record) -> str:
    """What is expected of a dose, and how the intervals are made."""
    text = (
        "If the weights help because they leave out frames that do not belong to the class, the gain grows with the "
        "share of such frames; if because they tell similar classes apart, with the true ambiguity. Bins were fixed "
        "beforehand. A gain in the first bin of the irrelevant frames has another reason. Over a class's ambiguity "
        "the classes are the sample, else videos; seeds always. The last rows go by the extra weight that the trained "
        "model itself puts on frames of the action: a correlation, since easy videos may have both. A gain in points "
        "is also bounded by what the other method leaves to gain: see the accuracies beside it."
    )
    return text if _known(record) else ""


def _shown(
    name: str, make: Callable[..., Table | None], tower: str = HEADLINE, heading: str = "", latex: bool = False
) -> Shown:
    """A table of one tower; the second view's are not printed on the terminal."""
    return Shown(_id(name, tower), partial(make, tower=tower), heading, latex, terminal=latex and tower == HEADLINE)


def _doses(tower: str) -> tuple[Block, ...]:
    """Slopes over every dose, accuracies and gains by its bins, of one tower."""
    bins = {"levels": levels_table, "gains": gains_table}
    return (
        _shown("dose-trends", dose_trends_table, tower, f"Dose and response, {tower} tower"),
        *(_shown(f"{dose}-{name}", partial(f, dose=dose), tower) for dose in DOSES for name, f in bins.items()),
    )


BLOCKS: tuple[Block, ...] = (
    Verdicts(),
    _shown("overall", overall_table, heading="All videos"),
    _shown("table8", table8, heading="Table 8, measured (top-1 [%] by degree)", latex=True),
    Drawn("table8-figure", table8_figure, "Table 8", file="table8"),
    _shown("fig2f", gains8, heading="Figure 2f, measured (gain over single granularity [points] by degree)"),
    Drawn("fig2f-figure", fig2f_figure, "Figure 2f", file="fig2f"),
    Text("The classes are the sample, not their videos.", "Trends over the degrees"),
    _shown("trends", trends_table),
    _shown("table9", table9, heading="Table 9, measured", latex=True),
    _shown("table9-differences", differences9),
    Text(lambda record: "" if _known(record) else NO_TRUTH, "The scores, the gains and the truth", "no-truth"),
    Shown("ranking", ranking_table, "Do the label-free scores rank the truth?"),
    Drawn("scores-figure", scores_figure, "The scores against the truth", file="ambiguity_scores"),
    Text(dose_text, "Dose and response", "dose-text"),
    Drawn("dose-figure", dose_figure, "Dose and response", file="dose_response"),
    Shown("weight", weight_table),
    *(block for tower in TOWERS for block in _doses(tower)),
    Text(
        "Of CLIP only the logit scale is trained. Mean pooling is zero-shot CLIP here.",
        "Second view: the visual tower frozen",
    ),
    _shown("overall", overall_table, "frozen"),
    _shown("table8", table8, "frozen", latex=True),
    _shown("table9", table9, "frozen", latex=True),
    _shown("table9-differences", differences9, "frozen"),
    _shown("trends", trends_table, "frozen"),
    Shown("claims-frozen", frozen_verdicts),
    Shown("classes", classes_table, "Classes"),
    Shown("table8-printed", paper_table8, "Table 8 as printed (transcribed, Kinetics-400)"),
    Printed(
        "table9",
        {"method": "Method", "backbone": "Backbone", "ambi_set": "Ambi set [%]", "non_set": "Non set [%]"},
        "Table 9 as printed (transcribed, Kinetics-400)",
        id="table9-printed",
    ),
    Shown("gains-printed", paper_gains, "The gains that follow from the printed Table 8"),
    Provenance(),
)


def _on_set(kind: str) -> Quantity:
    column = f"{kind.lower()}_set"
    return Quantity(
        f"SFAR, {kind} set, top-1 [%]",
        lambda: printed.number("table9", column, method=printed.OURS["method"]),
        lambda r: r.find("table9", "fusion", tower=HEADLINE, set=kind),
    )


def check(profile: Profile) -> None:
    """Raise ``ConfigError`` for a profile whose videos or frames have no scores."""
    study.one_label(profile)
    if profile.train.frames < 2:
        raise ConfigError(
            "configuration key 'train.frames': table8 compares the frames of a video with one another (Eq. 17-18), "
            f"expected at least 2, got {profile.train.frames}"
        )


STUDY = Study(
    id="ambiguity",
    title="Tables 8 and 9, Figure 2f: ambiguous and non-uniform actions",
    notebook="10_ambiguity",
    covers=(
        Item("table8", "Table 8: accuracy by degree of ambiguity and non-uniformity"),
        Item("table9", "Table 9: the most ambiguous and non-uniform actions", tuple(map(_on_set, TYPES))),
        Item("fig2f", "Figure 2f: accuracy by degree"),
    ),
    measure_content=measure,
    claims=CLAIMS,
    blocks=BLOCKS,
    describe=describe,
    check=check,
    needs=("ablations",),
)
