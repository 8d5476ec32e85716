"""Figures 1, 2a-e, 3, 5, 6, 9, 10: single videos, chosen by rules that were fixed before anything was drawn.

The models are those of Table 2e's runs on the first seed, by the weights that these left. What the figures show of
single videos is an example and no evidence; the evidence is the importance in Table 1 and the dose-response test. How a
heat map is made: ``sfar.model.heatmaps``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image
from torch import Tensor

from sfar.config import Profile
from sfar.data.source import Dataset, by_name, dataset, knobs_of, load_clips
from sfar.data.store import VideoClips
from sfar.data.transforms import center_crop, scale_size, val_indices
from sfar.errors import ConfigError
from sfar.model import heatmaps, registry
from sfar.model.texts import ClassTexts, class_texts
from sfar.model.video_model import VideoModel
from sfar.paper import printed
from sfar.render import frames, style
from sfar.render.frames import Segment
from sfar.render.tables import Table, with_interval
from sfar.runs import executor, store
from sfar.runs.job import Job
from sfar.runs.run import device, loader_workers
from sfar.storyboard.knobs import Knobs, script
from sfar.storyboard.scripts import ACTIVITIES
from sfar.storyboard.write import truth
from sfar.studies import ablations
from sfar.studies.ablations import in_reading, reading_of
from sfar.studies.core import degrees, page, study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.core.study import Content, Item, Study
from sfar.subtexts.source import subtexts_of
from sfar.subtexts.visual import frames_of
from sfar.training.evaluate import Scores, score
from sfar.training.metrics import ranks

# --- what is compared ------------------------------------------------------------------------------------------------

# The models of the heat maps (coarse and fine are the two branches of one SFAR), and those of Figure 5.
LOOKED_AT = ("single", *(in_reading(m, "both") for m in registry.own()))
ASKED = ("single", *(in_reading(m, "coarse") for m in registry.own()))
_SHOWN = {*LOOKED_AT, *ASKED}
VARIANTS = tuple(v for v in (*ablations.TUNED, *ablations.TABLE2E) if v.name in _SHOWN)


# --- which videos are shown ------------------------------------------------------------------------------------------

# Classes that the paper names in its figures and that are both in Kinetics-400 and in the storyboard world.
AMBIGUOUS = ("baking cookies", "making pizza")  # Figure 1a
NON_UNIFORM = ("long jump", "clean and jerk")  # Figures 1b, 6
IRRELEVANT = printed.said("fig1-stand") / 100  # share of irrelevant frames in Figure 1b's second video
MORE = 6  # classes of Figure 9, and of Figure 10 over both data sets
HARDEST = 4  # classes of Figure 5
TOP = 5  # classes whose probabilities Figure 5 shows

RULES = {
    "fig1": f"the classes that Figures 1 and 6 name; of {AMBIGUOUS[0]} and {AMBIGUOUS[1]} the video with the fewest "
    f"irrelevant frames, of {NON_UNIFORM[0]} and {NON_UNIFORM[1]} the one whose share of them is nearest to the "
    f"{100 * IRRELEVANT:g} % of Figure 1; of several the first by path",
    "fig2": "the first validation video, by path, of each class that Figures 1 and 6 name and the data set has",
    "fig9": f"the first validation video, by path, of {MORE} classes at even distances of the alphabetical order, "
    "those of Figure 2 left out",
    "fig10": f"the first video, by path, of {MORE // 2} classes of each data set at even distances of the "
    "alphabetical order",
    "fig5": f"the first validation video, by path, of the {HARDEST} most ambiguous classes; of equally ambiguous ones "
    "those that the data set lists first",
    "fig6": f"the first two validation videos, by path, of {NON_UNIFORM[1]} and {NON_UNIFORM[0]}",
}


def first_of(names: Sequence[str], labels: Sequence[int], of: int, count: int = 1) -> list[int]:
    """The first ``count`` videos of a class, by path: their numbers."""
    return sorted((i for i, k in enumerate(labels) if k == of), key=lambda i: names[i])[:count]


def nearest_share(names: Sequence[str], labels: Sequence[int], of: int, shares: Sequence[float], share: float) -> int:
    """The video of a class whose share of irrelevant frames is nearest to ``share``; of several the first by path."""
    return min((i for i, k in enumerate(labels) if k == of), key=lambda i: (abs(shares[i] - share), names[i]))


def spread(names: Sequence[str], count: int) -> list[str]:
    """``count`` names, or all there are, at even distances of their alphabetical order."""
    names = sorted(names)
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def class_ambiguity(
    classes: Sequence[str], cls: Tensor, drawn: bool, knobs: Knobs | None = None
) -> tuple[np.ndarray, str]:
    """How ambiguous each class is, [C], and by what.

    By the true overlap of the scripts that videos were ``drawn`` from (``knobs``: what was turned), else by the paper's
    score (Eq. 16) of the class embeddings ``cls`` [C, d].
    """
    if drawn and all(c in ACTIVITIES for c in classes):
        return degrees.true_ambiguity({c: script(c, knobs or Knobs()) for c in classes})["overlap"], "true overlap"
    return degrees.ambiguous_score(degrees.class_similarity(cls)), "ambiguous score (Eq. 16)"


def choose(
    classes: Sequence[str],
    names: Sequence[str],
    labels: Sequence[int],
    hard: np.ndarray,
    shares: Sequence[float] | None,
) -> dict[str, list[int]]:
    """The videos of each figure on the training data set, by number: ``RULES`` without Figure 10.

    ``names``: paths of the videos; ``hard``: ambiguity of the classes [C]; ``shares``: of irrelevant frames, if known
    (without them no Figure 1). A class that the data set does not have is left out.
    """
    at = {c: i for i, c in enumerate(classes)}
    named = [c for c in (*AMBIGUOUS, *NON_UNIFORM) if c in at]

    def first(chosen: Sequence[str], count: int = 1) -> list[int]:
        return [i for c in chosen for i in first_of(names, labels, at[c], count)]

    out = {
        "fig2": first(named),
        "fig9": first(spread([c for c in classes if c not in named], MORE)),
        "fig5": first([classes[int(i)] for i in np.argsort(-hard, kind="stable")[:HARDEST]]),
        "fig6": first([c for c in reversed(NON_UNIFORM) if c in at], 2),
    }
    if shares is not None:
        wanted = {c: IRRELEVANT if c in NON_UNIFORM else 0.0 for c in named}
        out["fig1"] = [nearest_share(names, labels, at[c], shares, share) for c, share in wanted.items()]
    return out


# --- what is measured ------------------------------------------------------------------------------------------------


def measure(profile: Profile, workers: int | None) -> Content:
    """The chosen videos with importance, heat and probabilities, and on all videos what Figure 5 shows of single ones.

    ``extra`` holds the videos by path (``_video``, ``_look_at``, ``probabilities`` of all classes) and, for each
    figure, the paths of those that it shows. Raises ``ConfigError`` for a data set of several labels a video.
    """
    jobs = {v.name: study.job(profile, v, profile.seeds[0]) for v in VARIANTS}
    data, size = jobs["both"].data, profile.data.image_size
    clips = load_clips(profile, data, "val")
    if clips.manifest.multi_label:
        raise ConfigError(
            f"data.dataset={profile.data.dataset!r} has several labels a video: Figures 1 to 10 show the importance "
            "for one true class"
        )
    trained, seconds = models(jobs, workers)
    by = {name: _score(trained[name], clips, profile) for name in ASKED}
    usable = by["single"].clips.tolist()  # those that could be read
    names = [clips.paths[i] for i in usable]
    seen = truth(data.root) if data.drawn else None
    shares = [seen[p]["irrelevant"] for p in names] if seen else None
    hard, measure_of = class_ambiguity(data.classes, trained["both"].texts.cls, data.drawn, knobs_of(profile))
    chosen = choose(data.classes, names, by["single"].labels.tolist(), hard, shares)

    videos: dict[str, dict[str, Any]] = {}
    for row in dict.fromkeys(row for rows in chosen.values() for row in rows):
        videos[names[row]] = v = _video(profile, data, clips, usable[row], seen)
        if any(row in chosen[f] for f in ("fig2", "fig6", "fig9")):
            v |= _look_at(trained, clips, usable[row], profile)
        if row in chosen["fig5"]:
            v["probabilities"] = {name: _digits(s.probabilities[row], 5) for name, s in by.items()}
    figures = {f: [names[row] for row in rows] for f, rows in chosen.items()}
    hardest = [data.classes.index(videos[p]["class"]) for p in figures["fig5"]]

    rows, contrasts = [], []
    for which, among in (("shown", hardest), ("all", range(len(data.classes)))):
        more_rows, more_contrasts = _compared(by, among, which, profile)
        rows += more_rows
        contrasts += more_contrasts
    extra: dict[str, Any] = {
        "classes": list(data.classes),
        "drawn": data.drawn,
        "crop": [size, scale_size(size)],
        "temperature": {v.name: round(trained[v.name].head.tau, 6) for v in VARIANTS},
        "ambiguity": {"by": measure_of, "of": {data.classes[i]: round(float(hard[i]), 4) for i in hardest}},
        "shapes": heatmaps.shapes(trained["both"], _frames(clips, usable[0], profile)[None]),
    }
    if others := study.unseen(profile, data):
        unseen = _unseen(profile, others, trained)
        videos |= unseen
        figures["fig10"] = list(unseen)
    extra |= {"figures": dict(sorted(figures.items(), key=lambda f: int(f[0][3:]))), "videos": videos}
    about = {
        "train_clips": len(load_clips(profile, data, "train")),
        "val_videos": len(clips),
        "classes": len(data.classes),
        "undecodable": dict(clips.bad),
        "missing": list(clips.manifest.missing),
    }
    return Content(about, rows, contrasts, extra, seconds, seeds=[profile.seeds[0]])


def _digits(x: Any, digits: int) -> list:
    return np.asarray(x, float).round(digits).tolist()


def _score(model: VideoModel, clips: VideoClips, profile: Profile) -> Scores:
    lost, size = profile.data.max_bad_share, profile.data.image_size
    return score(model, clips, profile.train.frames, size, max_bad_share=lost, workers=loader_workers(profile))


def _frames(clips: VideoClips, i: int, profile: Profile) -> Tensor:
    """The frames of a video as the models see them, [L, 3, H, W]."""
    read = clips.read(i, lambda n: val_indices(n, profile.train.frames))
    return center_crop(read, profile.data.image_size).to(device())


def _video(profile: Profile, data: Dataset, clips: VideoClips, i: int, seen: dict[str, Any] | None) -> dict[str, Any]:
    """A video as the record holds it: the sampled frames as JPEG (base64), and the truth where it is known.

    ``frames``: how many it has; ``indices``: the sampled ones; ``segments``: (action, frames, own) in order;
    ``irrelevant``: share of frames that show no action of the class.
    """
    path, n, sampled = clips.paths[i], clips.lengths[i], profile.train.frames
    out = {
        "dataset": profile.data.dataset,
        "path": path,
        "class": data.classes[clips.labels[i]],
        "frames": n,
        "indices": val_indices(n, sampled).tolist(),
        "jpeg": [base64.b64encode(jpeg).decode() for jpeg in frames_of(data.root / path, sampled)],
    }
    return out | ({"segments": seen[path]["segments"], "irrelevant": seen[path]["irrelevant"]} if seen else {})


def _look_at(
    trained: dict[str, VideoModel],
    clips: VideoClips,
    i: int,
    profile: Profile,
    texts: Mapping[str, ClassTexts] | None = None,
) -> dict[str, Any]:
    """``importance`` [L] and ``heat`` [L, g, g] of all granularities and readings for the true class of a video.

    ``texts``: of other classes, by model; None: the models' own.
    """
    seen = _frames(clips, i, profile)
    out: dict[str, Any] = {"importance": {}, "heat": {}}
    for name in LOOKED_AT:
        importance, maps = heatmaps.look(trained[name], seen, clips.labels[i], texts[name] if texts else None)
        lead = name.removesuffix(name.rpartition("/")[2])  # of the reading
        out["importance"] |= {lead + k: _digits(a.cpu(), 6) for k, a in importance.items()}
        out["heat"] |= {lead + k: _digits(h.cpu(), 6) for k, h in maps.items()}
    return out


def _compared(
    by: dict[str, Scores], classes: Sequence[int], which: str, profile: Profile
) -> tuple[list[Row], list[Contrast]]:
    """Coarse in each reading against single on all videos of some classes: probability of the true class, and top-1.

    A contrast's ``higher``: how many videos coarse gives their class more probability; a row's ``right``: how many it
    has right. One seed: the intervals are over the videos alone.
    """
    labels = by["single"].labels
    mask = np.isin(labels, classes)
    own = {k: 100 * s.probabilities.astype(float)[np.arange(len(labels)), labels][mask] for k, s in by.items()}
    fitted = ["head", "logit_scale"] + ["visual"] * profile.train.train_visual
    rows = []
    for v in VARIANTS:
        if v.name in by:
            hit = ranks(by[v.name].probabilities, labels)[mask] == 0
            more = {"right": int(hit.sum())}
            what = {"probability": (own[v.name], {}), "top1": (100.0 * hit, more)}
            for metric, (values, rest) in what.items():
                rows.append(study.measured("fig5", v.name, v.title, values[None], metric, fitted, rest, classes=which))
    contrasts = []
    for coarse in ASKED[1:]:
        more = {"higher": int((own[coarse] > own["single"]).sum()), "videos": int(mask.sum())}
        pair = own[coarse][None], own["single"][None]
        found = study.difference(coarse, "single", *pair, "fig5", metric="probability", classes=which, more=more)
        contrasts.append(found)
    return rows, contrasts


def _unseen(profile: Profile, others: Sequence[str], trained: dict[str, VideoModel]) -> dict[str, dict[str, Any]]:
    """Figure 10: videos of the other data sets by path, their classes in place of the training ones."""
    out = {}
    for name in others:
        p = by_name(profile, name)
        data = dataset(p)
        clips, seen = load_clips(p, data, "all"), truth(data.root) if data.drawn else None
        own = subtexts_of(p, data.classes)
        texts = {m: class_texts(trained[m].clip, list(data.classes), own, p.model).to(device()) for m in LOOKED_AT}
        for c in spread(data.classes, MORE // len(others)):
            for i in first_of(clips.paths, clips.labels, data.classes.index(c)):
                out[clips.paths[i]] = _video(p, data, clips, i, seen) | _look_at(trained, clips, i, p, texts)
    return out


# --- what is shown: tables and texts ---------------------------------------------------------------------------------

NO_TRUTH = (
    "Only the storyboard world knows which atomic action each frame shows; of real videos the truth is not known, so "
    "this part is absent."
)
NO_UNSEEN = (
    "There is no data set of other classes beside this one (ucf101, hmdb51 in data.root), so this part is absent."
)
NO_CLASS = "None of these classes is in the data set."
EXAMPLES = (
    "These are single videos chosen by the rule above each figure: examples, no evidence. Whether the importance finds "
    "the frames of the action is measured on all videos in Table 1 and in the dose-response test."
)
_BRANCHES = {"coarse": "Coarse", "fine": "Fine", "fused": "Fused"}
TITLES = {"single": "Single"} | {
    in_reading(m, b): title + reading_of(m) for m in registry.own() for b, title in _BRANCHES.items()
}
HEATS = tuple(TITLES)  # the heat maps in the order of their rows
GRANULARITIES = tuple(k for k in HEATS if not k.endswith("fused"))  # of the importances; "fused" is a heat map alone


def shown(record: Record, figure: str) -> list[dict[str, Any]]:
    """The videos of a figure."""
    return [record.extra["videos"][p] for p in record.extra["figures"].get(figure, ())]


def segments(video: dict[str, Any]) -> list[Segment]:
    """The true storyboard of a video; empty where it is not known."""
    return frames.storyboard(video["class"], video["segments"]) if "segments" in video else []


def _percent(x: float, digits: int = 0) -> str:
    return f"{100 * x:.{digits}f} %"


def _rule(figure: str, absent: str = "") -> Callable[[Record], str]:
    """How the videos of a figure were chosen, or why there are none."""

    def make(record: Record) -> str:
        return f"Chosen by rule: {RULES[figure]}." if shown(record, figure) or not absent else absent

    return make


def fig10_rule(record: Record) -> str:
    """The rule of Figure 10, or why there is none."""
    if not shown(record, "fig10"):
        return NO_UNSEEN
    which = "these classes" if record.extra["drawn"] else "these data sets"
    return f"{_rule('fig10')(record)} Zero-shot: no video of {which} was trained on."


def captions_table(record: Record) -> Table:
    """What the captions of Figures 1 and 6 say of their videos, and the same of the videos here: one video each."""
    rows = []
    jump = next((v for v in shown(record, "fig1") if v["class"] == "long jump"), None)
    if jump:
        share = {s.action: s.share for s in segments(jump) if s.own}
        longest = max(share, key=lambda action: share[action])
        irrelevant = ", ".join(f"{_percent(v['irrelevant'])} ({v['class']})" for v in shown(record, "fig1"))
        found = {
            "fig1-crouch": ("a long jump: its longest atomic action", f"{_percent(share[longest])} ({longest})"),
            "fig1-extend": ("a long jump: legs extended in flight", f"{_percent(share['flight legs'])} (flight legs)"),
            "fig1-stand": ("irrelevant frames of a video", irrelevant),
        }
        rows += [["Figure 1", what, f"{printed.said(k):g} %", here] for k, (what, here) in found.items()]
    for v in [v for v in shown(record, "fig6") if v["class"] == "clean and jerk"][:1]:
        for m in registry.own():
            fine, coarse = (v["importance"][in_reading(m, b)] for b in ("fine", "coarse"))
            at = int(np.argmax(fine))
            what = "a clean and jerk: a_fine and a_coarse of one frame (here the one of greatest a_fine)"
            rows.append(
                [
                    "Figure 6",
                    what + reading_of(m),
                    f"{printed.said('fig6-fine'):g} % and {printed.said('fig6-coarse'):g} %",
                    f"{_percent(fine[at])} and {_percent(coarse[at])} (frame {at + 1})",
                ]
            )
    return Table(["Figure", "What", "Printed, of its video", "Here, of one video"], rows)


def shares_table(record: Record) -> Table | None:
    """The true storyboards of Figure 1's videos, in order of time; None where the truth is not known."""
    rows = [
        [
            v["class"],
            ", ".join(f"{s.action} {_percent(s.share)}{'' if s.own else ' (irrelevant)'}" for s in segments(v)),
        ]
        for v in shown(record, "fig1")
    ]
    return Table(["Class", "Atomic actions and their share of the frames"], rows) if rows else None


def heat_text(record: Record) -> str:
    """How to read the heat maps; "" where none is shown."""
    if not shown(record, "fig2"):
        return ""
    g = len(shown(record, "fig2")[0]["heat"]["single"][0])
    return (
        f"Heat is the importance of the frame for the true class (printed in its corner, exact) spread over its {g} × "
        f"{g} patches by their similarity to the words of each granularity (a reading: no equation of the paper "
        "compares words with patches). Single is a model of its own; coarse and fine are the two branches of one SFAR "
        "model, fused is their mean; below them stand those of SFAR as printed, another model. All rows of a figure "
        "have one colour scale (share of the video's importance in one patch), so that rows can be compared; at the "
        "right of a row stands its greatest value over all sampled frames, of which every second is shown. "
        "Pale margins are outside the crop that the models see."
    )


def _shape(s: Sequence[int]) -> str:
    return " × ".join(map(str, s))


def shapes_table(record: Record) -> Table:
    """Figure 3 in figures."""
    return Table(["Tensor", "Shape"], [[k, _shape(v)] for k, v in record.extra["shapes"].items()])


def top_classes(record: Record, video: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """The true class, then those to which any model gives most probability, ``TOP`` in all."""
    p = {m: np.array(video["probabilities"][m]) for m in ASKED}
    classes = record.extra["classes"]
    order = np.argsort(-np.max(list(p.values()), 0), kind="stable")
    names = [video["class"], *(classes[i] for i in order if classes[i] != video["class"])][:TOP]
    return [(c, {m: float(v[classes.index(c)]) for m, v in p.items()}) for c in names]


def _marked(name: str, video: dict[str, Any]) -> str:
    return f"{name} (true)" if name == video["class"] else name


def fig5_text(record: Record) -> str:
    """What Figure 5 shows, and how often."""
    more = [record.contrast(coarse, "single", "fig5", classes="all").more for coarse in ASKED[1:]]
    counted = ", ".join(f"{TITLES[c].lower()} on {m['higher']}" for c, m in zip(ASKED[1:], more, strict=True))
    return (
        "The true class comes first, then those to which any of the models gives most. Over all "
        f"{more[0]['videos']} videos (one seed) the true class gets more probability than from single: from {counted}."
    )


def probabilities_table(record: Record) -> Table:
    """Figure 5 in figures."""
    ambiguity = record.extra["ambiguity"]
    rows = [
        [v["class"], f"{ambiguity['of'][v['class']]:.2f}", _marked(c, v), *(100 * p[m] for m in ASKED)]
        for v in shown(record, "fig5")
        for c, p in top_classes(record, v)
    ]
    by = ambiguity["by"][0].upper() + ambiguity["by"][1:]
    return Table(["Video of", by, "Class", *(f"{TITLES[m]} [%]" for m in ASKED)], rows)


def compared_table(record: Record) -> Table:
    """Figure 5's comparison on all videos of its classes and of all classes: one seed."""
    rows = []
    for title, which in (("the classes of Figure 5", "shown"), ("all classes", "all")):
        for m in ASKED:
            mean = with_interval(record.find("fig5", m, "probability", classes=which))
            row = record.find("fig5", m, "top1", classes=which)
            against = [None, None]
            if m != "single":
                c = record.contrast(m, "single", "fig5", classes=which)
                against = [with_interval(c, 1, True), f"{c.more['higher']} of {c.more['videos']}"]
            rows.append([title, row.videos, TITLES[m], mean, *against, row.more["right"]])
    columns = ["Videos of", "Videos", "Model", "Mean probability of the true class [%]"]
    return Table([*columns, "Minus single [points]", "More than single", "Right"], rows)


INTERVALS = "One seed: in brackets the 95 % interval over videos."


def importance_table(record: Record) -> Table | None:
    """Importance of every sampled frame of Figure 6; starred where the frame shows an action of the class."""
    body, bare = [], []
    for v in shown(record, "fig6"):
        own = [relevant for _, n, relevant in v.get("segments", ()) for _ in range(n)]
        on = [bool(own) and own[i] for i in v["indices"]]
        for m in GRANULARITIES:
            values = v["importance"][m]
            cells = [f"{100 * a:.1f}{'*' * starred}" for a, starred in zip(values, on, strict=True)]
            total = _percent(sum(a for a, starred in zip(values, on, strict=True) if starred)) if own else None
            body.append([v["class"], TITLES[m], *cells, total])
            bare.append([v["class"], TITLES[m], *(round(100 * a, 1) for a in values)])
    if not body:
        return None
    columns = ["Class", "Importance [%]", *map(str, range(1, len(bare[0]) - 1))]
    caption = "Importance [%] of the sampled frames of single videos (Figure 6)."
    latex = Table(["Class", "Importance", *columns[2:]], bare, caption=caption)
    return Table([*columns, "On frames of the action (*)"], body, latex=latex)


def videos_table(record: Record) -> Table:
    """Which videos the figures show."""
    rows = [
        [
            f.replace("fig", "Figure "),
            v["class"],
            v["path"],
            v["frames"],
            _percent(v["irrelevant"]) if "irrelevant" in v else None,
        ]
        for f in record.extra["figures"]
        for v in shown(record, f)
    ]
    return Table(["Figure", "Class", "Video", "Frames", "Irrelevant frames (true)"], rows)


def describe(record: Record) -> str:
    """What the models were trained on, and their temperature."""
    of = record.extra["temperature"]
    temperature = "; ".join(f"{v.title} {of[v.name]:.4f}" for v in VARIANTS if v.name in of)
    return f"{page.videos(record)} Temperature of the trained models: {temperature}."


# --- what is shown: figures ------------------------------------------------------------------------------------------

BESIDE = {
    "storyboard-ucf101": " (UCF-101 layout)",
    "storyboard-hmdb51": " (HMDB-51 layout)",
    "ucf101": " (UCF-101)",
    "hmdb51": " (HMDB-51)",
}


def pictures(video: dict[str, Any]) -> list[np.ndarray]:
    """The sampled frames of a video of the record, uint8 [H, W, 3]."""
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(j)))) for j in video["jpeg"]]


def _cells(ax: Axes, values: Any, rows: Sequence[str], columns: Sequence[str], digits: int) -> None:
    """Numbers in percent as cells, coloured on one scale from 0 to 100 in all panels."""
    look = {"vmin": 0, "vmax": 100, "cmap": "Blues", "cbar": False, "linewidths": 1.5}
    numbers = {"annot": True, "fmt": f".{digits}f", "annot_kws": {"fontsize": 7.5}}
    sns.heatmap(np.asarray(values), ax=ax, xticklabels=columns, yticklabels=rows, **look, **numbers)
    ax.tick_params(length=0, labelsize=7.5, labelrotation=0)


def fig1(record: Record) -> Figure | None:
    """Storyboards of ambiguous and non-uniform videos with the true share of each atomic action."""
    videos = shown(record, "fig1")
    if not videos:
        return None
    style.use()
    left, width = 1.15, 6.2
    rows = [pictures(v) for v in videos]
    height = max(frames.row_height(row, width) for row in rows)
    step = height + 0.66
    fig = plt.figure(figsize=(left + width, step * len(videos)))
    for k, (v, row) in enumerate(zip(videos, rows, strict=True)):
        part = "a" if v["class"] in AMBIGUOUS else "b"
        label = f"({part}) {v['class']}\n{_percent(v['irrelevant'])} irrelevant"
        own = frames.row_height(row, width)
        frames.show(frames.at(fig, left, k * step, width, own), frames.in_a_row(row), label)
        frames.draw_storyboard(frames.at(fig, left, k * step + own + 0.03, width, 0.2), segments(v))
    return fig


def heat_figure(name: str) -> Callable[[Record], Figure | None]:
    """Figures 2, 9 and 10: two videos side by side, each a block of rows (``_draw_heat``); below, the scale."""

    def make(record: Record) -> Figure | None:
        videos = shown(record, name)
        if not videos:
            return None
        style.use()
        left, width, right = 0.9, 2.66, 0.32
        height = max(frames.row_height(pictures(v)[::2], width) for v in videos)
        step = 0.22 + (1 + len(HEATS)) * (height + 0.04) + 0.6
        lines = -(-len(videos) // 2)
        fig = plt.figure(figsize=(2 * (left + width + right), lines * step + 0.35))
        heats = [_heats(v, record.extra["crop"]) for v in videos]
        top = max(float(np.nanmax(heat)) for of in heats for row in of.values() for heat in row)
        for k, (v, of) in enumerate(zip(videos, heats, strict=True)):
            x, y = left + (k % 2) * (left + width + right), (k // 2) * step + 0.22
            _draw_heat(fig, (x, y, width), v, of, top)
        patches = np.size(videos[0]["heat"][HEATS[0]])
        _draw_scale(fig, (2.3, lines * step + 0.03), top, 1 / patches)
        return fig

    return make


def _heats(v: dict[str, Any], crop: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """Heat [H, W] of each sampled frame of a video, by granularity."""
    h, w = pictures(v)[0].shape[:2]
    return {m: [frames.full_heat(grid, h, w, crop) for grid in v["heat"][m]] for m in HEATS}


def _draw_heat(
    fig: Figure, place: tuple[float, float, float], v: dict[str, Any], heats: dict[str, list[np.ndarray]], top: float
) -> None:
    """Rows (a) frames, (b) to (h) ``HEATS`` of every second sampled frame; below, the truth.

    ``place``: left, top and width in inches; ``top``: the heat at the end of the colour scale.
    """
    x, y, width = place
    row = pictures(v)
    pick = range(0, len(row), 2)
    w = row[0].shape[1]
    height = frames.row_height([row[i] for i in pick], width)
    ax = frames.at(fig, x, y, width, height)
    frames.show(ax, frames.in_a_row([row[i] for i in pick]), "(a) Frame")
    ax.set_title(v["class"] + BESIDE.get(v["dataset"], ""), fontsize=8.5, pad=3)
    beside = {"xycoords": "axes fraction", "va": "center", "fontsize": 6, "color": "#444444"}
    ax.annotate("greatest\nheat", (1.015, 0.2), **beside)
    for letter, m in zip("bcdefgh", HEATS, strict=True):
        y += height + 0.04
        ax = frames.at(fig, x, y, width, height)
        under = [frames.overlay(row[i], heats[m][i], top) for i in pick]
        frames.show(ax, frames.in_a_row(under), f"({letter}) {TITLES[m]}".replace(", ", ",\n"))
        for column, i in enumerate(pick):
            ax.text(
                column * (w + frames.GAP) + w - 3,
                4,
                _percent(np.sum(v["heat"][m][i])),
                ha="right",
                va="top",
                fontsize=6,
                bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
            )
        ax.annotate(_percent(max(float(np.nanmax(heat)) for heat in heats[m]), 1), (1.015, 0.5), **beside)
    if found := segments(v):
        frames.draw_storyboard(frames.at(fig, x, y + height + 0.04, width, 0.19), found, 6)


def _draw_scale(fig: Figure, place: tuple[float, float], top: float, equal: float) -> None:
    """The colour scale from 0 to ``top``, with the heat of ``equal`` weights on all patches. ``place`` in inches."""
    scale = ScalarMappable(cmap=frames.HEAT, norm=Normalize(0, top))
    bar = fig.colorbar(scale, cax=frames.at(fig, *place, 2.8, 0.1), orientation="horizontal", ticks=[0, equal, top])
    bar.ax.set_xticklabels(["0", f"{_percent(equal, 1)}: all patches alike", _percent(top, 1)], fontsize=7)
    bar.ax.get_xticklabels()[1].set_horizontalalignment(
        "left"
    )  # the greatest heat may be so great that it stands near zero
    bar.outline.set_visible(False)


def fig5(record: Record) -> Figure:
    """Class probabilities of ambiguous videos, single granularity against coarse in each reading."""
    style.use()
    videos = shown(record, "fig5")
    width, cells, right = 3.1, 2.1, 7.6
    half = len(pictures(videos[0])) // 2
    height = max(frames.row_height(pictures(v)[:half], width) for v in videos)
    step = 2 * height + 0.8
    fig = plt.figure(figsize=(right, step * len(videos)))
    for k, v in enumerate(videos):
        row, y = pictures(v), k * step + 0.34
        own = frames.row_height(row[:half], width)
        ax = frames.at(fig, 0, y, width, own)
        frames.show(ax, frames.in_a_row(row[:half]))
        ax.set_title(v["class"], fontsize=8.5, loc="left", pad=3)
        frames.show(frames.at(fig, 0, y + own + 0.04, width, own), frames.in_a_row(row[half : 2 * half]))
        if found := segments(v):
            frames.draw_storyboard(frames.at(fig, 0, y + 2 * own + 0.08, width, 0.19), found, 6)
        ax = frames.at(fig, right - cells, y, cells, 2 * height + 0.04)
        top = top_classes(record, v)
        values = [[100 * p[m] for m in ASKED] for _, p in top]
        _cells(ax, values, [_marked(c, v) for c, _ in top], [TITLES[m].replace(", ", ",\n") for m in ASKED], 1)
        ax.xaxis.tick_top()
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.set_xlabel("Class probability [%]", fontsize=7.5)
    return fig


def fig6(record: Record) -> Figure | None:
    """Importance over the sampled frames, each number above its frame, and the true storyboard."""
    videos = shown(record, "fig6")
    if not videos:
        return None
    style.use()
    left, width, cells = 1.05, 6.35, 1.1
    height = max(frames.row_height(pictures(v), width) for v in videos)
    step = 0.22 + cells + 0.04 + height + 0.66
    fig = plt.figure(figsize=(left + width, step * len(videos)))
    names = ["single"]
    names += [f"$a^{{{b}}}${reading_of(m)}" for m in registry.own() for b in ("coarse", "fine")]
    for k, v in enumerate(videos):
        row, y = pictures(v), k * step + 0.22
        ax = frames.at(fig, left, y, width, cells)
        _cells(ax, [100 * np.array(v["importance"][m]) for m in GRANULARITIES], names, [], 0)
        ax.set_title(v["class"], fontsize=8.5, loc="left", pad=3)
        equal = f"importance [%]; equal weights: {100 / len(row):.3g}"
        ax.set_title(equal, fontsize=7.5, loc="right", pad=3, fontweight="normal")
        y, own = y + cells + 0.04, frames.row_height(row, width)
        frames.show(frames.at(fig, left, y, width, own), frames.in_a_row(row))
        if found := segments(v):
            frames.draw_storyboard(frames.at(fig, left, y + own + 0.03, width, 0.2), found)
    return fig


# --- Figure 3

VISUAL, TEXT, COARSE, FINE, PLAIN = "#DCEBF7", "#FBE9C8", "#D5EFE5", "#F8DDCB", "#EEEEEE"
WAYS = (
    ((14, 60.5), (16.5, 60.5), (16.5, 55), (19, 55)),  # class names and sub-texts to the text encoder
    ((7, 56), (7, 49)),
    ((14, 44.5), (16.5, 44.5), (16.5, 49), (19, 49)),
    ((33, 55), (35.5, 55), (35.5, 60.5), (38, 60.5)),  # to T and S
    ((33, 49), (35.5, 49), (35.5, 45.5), (38, 45.5)),
    ((52, 60.5), (59, 60.5)),
    ((52, 47), (54.5, 47), (54.5, 58), (59, 58)),  # S to the attention, and down to a_fine
    ((45, 41), (45, 28.5), (59, 28.5)),
    ((66, 56), (66, 47)),
    ((14, 10.5), (19, 10.5)),
    ((33, 10.5), (38, 10.5)),
    ((52, 10.5), (56, 10.5), (56, 42.5), (59, 42.5)),  # frames to both importances
    ((56, 10.5), (56, 24.5), (59, 24.5)),
    ((73, 42.5), (78, 42.5)),
    ((73, 26.5), (78, 26.5)),
    ((85, 22), (85, 15)),
    ((92, 42.5), (95, 42.5), (95, 12.5), (92, 12.5)),
    ((92, 8.5), (98, 8.5), (98, 60.5), (92, 60.5)),
)


def fig3(record: Record) -> Figure:
    """The framework; the shapes are those of one pass of the trained model over one video."""
    style.use()
    s = record.extra["shapes"]
    of = {name: _shape(shape) for name, shape in s.items()}
    fig, ax = plt.subplots(figsize=(7.4, 4.9), layout="constrained")
    ax.set(xlim=(-0.5, 99), ylim=(0, 66))
    ax.axis("off")
    boxes = (  # left, bottom, width, height; title, then smaller lines
        (TEXT, (0, 56, 14, 9), "Class names", f"C = {s['t_cls'][0]}"),
        (TEXT, (0, 40, 14, 9), "Sub-texts", f"N = {s['S'][1]} a class", "section 3.1"),
        (TEXT, (19, 45, 14, 14), "Text encoder", "frozen", f"d = {s['t_cls'][1]}"),
        (VISUAL, (0, 6, 14, 9), "Frames", of["frames"]),
        (VISUAL, (19, 4, 14, 13), "Visual encoder", f"tokens {of['tokens']}", "trained"),
        (VISUAL, (38, 6, 14, 9), "$v^{cls}$", of["v"]),
        (TEXT, (38, 56, 14, 9), "$T$", of["T"], "words of the prompt"),
        (TEXT, (38, 41, 14, 9), "$S$", of["S"], "words of sub-texts"),
        (COARSE, (59, 56, 14, 9), r"$\hat{T}$  (Eq. 4-6)", of["T_hat"], "cross-attention"),
        (COARSE, (59, 38, 14, 9), "$a^{coarse}$  (Eq. 7)", of["a_coarse"], "softmax over frames"),
        (FINE, (59, 22, 14, 9), "$a^{fine}$  (Eq. 9)", of["a_fine"], "best sub-text"),
        (COARSE, (78, 38, 14, 9), "$o^{coarse}$  (Eq. 8)", of["o_coarse"], f"FFN {of['ffn_coarse']}"),
        (FINE, (78, 22, 14, 9), "$o^{fine}$  (Eq. 10)", of["o_fine"], f"FFN {of['ffn_fine']}"),
        (PLAIN, (78, 6, 14, 9), "$o$  (Eq. 11)", of["o"], "sum of both"),
        (PLAIN, (78, 56, 14, 9), "Logits", of["logits"], r"scale $\cdot$ cos($o$, $t^{cls}$)"),
    )
    for colour, place, *lines in boxes:
        _draw_box(ax, place, lines, colour)
    for points in WAYS:
        _draw_way(ax, points)
    note = f"$v^{{cls}}$ is also what Eq. 8 and 10 weight; $t^{{cls}}$ ({of['t_cls']}) is the prompt's end-of-text row."
    ax.text(38, 1.5, note, fontsize=6.3, color="#333333")
    return fig


def _draw_box(ax: Axes, place: tuple[float, float, float, float], lines: Sequence[str], colour: str) -> None:
    x, y, w, h = place
    rounded = "round,pad=0,rounding_size=0.8"
    ax.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=rounded, fc=colour, ec="#555555", lw=0.8))
    for i, line in enumerate(lines):
        looks = (
            {"fontsize": 6.3, "color": "#333333"} if i else {"fontsize": 7, "fontweight": "bold", "color": "#111111"}
        )
        height = y + h / 2 + 2.5 * ((len(lines) - 1) / 2 - i)
        ax.text(x + w / 2, height, line, ha="center", va="center", **looks)


def _draw_way(ax: Axes, points: Sequence[tuple[float, float]]) -> None:
    """A line through the points, with an arrow head at the last."""
    x, y = zip(*points, strict=True)
    ax.plot(x[:-1], y[:-1], color="#444444", lw=0.9, solid_capstyle="butt")
    head = {"arrowstyle": "-|>", "color": "#444444", "lw": 0.9, "shrinkA": 0, "shrinkB": 0.5}
    ax.annotate("", points[-1], points[-2], arrowprops=head)


# --- the study -------------------------------------------------------------------------------------------------------


def _picture(figure: str, draw: Callable[[Record], Figure | None]) -> Drawn:
    return Drawn(f"{figure}-figure", draw, figure.replace("fig", "Figure "), file=figure)


BLOCKS = (
    Text(EXAMPLES),
    Shown("captions", captions_table, "The captions' numbers", terminal=True),
    Text(_rule("fig1", NO_TRUTH), "Figure 1", "fig1-rule"),
    _picture("fig1", fig1),
    Shown("fig1-shares", shares_table),
    Text(_rule("fig2", NO_CLASS), "Figure 2 (a-e)", "fig2-rule"),
    Text(heat_text, id="fig2-heat"),
    _picture("fig2", heat_figure("fig2")),
    Text("Shapes of one pass over one video.", "Figure 3"),
    _picture("fig3", fig3),
    Shown("fig3-shapes", shapes_table),
    Text(_rule("fig5"), "Figure 5", "fig5-rule"),
    Text(fig5_text, id="fig5-text"),
    _picture("fig5", fig5),
    Shown("fig5-probabilities", probabilities_table),
    Shown("fig5-compared", compared_table, terminal=True),
    Text(INTERVALS, id="fig5-intervals"),
    Text(_rule("fig6", NO_CLASS), "Figure 6", "fig6-rule"),
    _picture("fig6", fig6),
    Shown("fig6-importance", importance_table, latex=True, terminal=True),
    Text(_rule("fig9"), "Figure 9", "fig9-rule"),
    _picture("fig9", heat_figure("fig9")),
    Text(fig10_rule, "Figure 10", "fig10-rule"),
    _picture("fig10", heat_figure("fig10")),
    Shown("videos", videos_table, "Videos"),
    Provenance(),
)


def _inputs(profile: Profile) -> float:
    """What the rules take from the paper."""
    return IRRELEVANT


STUDY = Study(
    id="qualitative",
    title="Figures 1, 2a-e, 3, 5, 6, 9, 10: single videos",
    notebook="11_qualitative",
    covers=(
        Item("fig2", "Figure 2a-e: frames and global text"),
        Item("fig1", "Figure 1: ambiguous and non-uniform videos"),
        Item("fig3", "Figure 3: the framework"),
        Item("fig5", "Figure 5: class probabilities of an ambiguous video"),
        Item("fig6", "Figure 6: importance over frames"),
        Item("fig9", "Figure 9: more examples of Figure 2"),
        Item("fig10", "Figure 10: more examples of Figure 2"),
    ),
    measure_content=measure,
    files=("sfar/paper/statements.csv",),
    claims=(),
    blocks=BLOCKS,
    describe=describe,
    inputs_of=_inputs,
    needs=("ablations",),
)


# --- the models ------------------------------------------------------------------------------------------------------


def models(jobs: dict[str, Job], workers: int | None) -> tuple[dict[str, VideoModel], float]:
    """The models by the weights that their runs left, and the seconds that these runs took."""
    runs = executor.run_kept(list(jobs.values()), workers, "qualitative")
    out = {name: store.load_model(job, weights) for (name, job), (_, weights) in zip(jobs.items(), runs, strict=True)}
    return out, sum((record["seconds"] for record, _ in runs), 0.0)
