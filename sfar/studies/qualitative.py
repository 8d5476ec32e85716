"""The record of Figures 1, 2a-e, 3, 5, 6, 9 and 10: single videos, chosen by rules that were fixed before anything was drawn.

The models are trained as Table 1's runs are, on the first seed, and their weights kept. What the figures show of single videos is an example and no
evidence; the evidence is the importance in Table 1 and the dose-response test.

Heatmaps. The paper does not say how its heatmaps were made. Here a map spreads the importance a_l that the model gives to frame l for the true
class (Eq. 7 or 9) over the patches p of that frame:

    h_l,p = a_l * softmax_p(s_l,p / tau)        s_l,p = mean over words w of cos(w, z_l,p)

z_l,p: output token p of the visual tower's last block, through ``ln_post`` and the projection, the way of the class token; tau: the model's temperature
over frames. The words are those that the importance is computed from: of the class prompt (single), augmented by Eq. 6 (coarse), of the sub-text that
fits the frame best (fine). Fused: the mean of the coarse and the fine map, since Eq. 11 adds both embeddings.
Exact: a_l; so the heat of a frame adds up to its importance and that of a video to one, and the class token taken the same way is v^cls.
A reading: the place within a frame. No equation compares words with patches and no loss sees z, so a map shows which patches carry a
content like the text's, not which pixels the model depends on. The temporal transformer of "single" is in its a_l, not in its patches.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from open_clip.transformer import VisionTransformer
from torch import Tensor

from sfar import paper
from sfar.config import Profile
from sfar.data.source import Dataset, by_name, dataset, load_clips
from sfar.data.store import VideoClips
from sfar.data.transforms import center_crop, scale_size, val_indices
from sfar.errors import ConfigError
from sfar.model import embedding as E
from sfar.model.heads import VideoModel, class_texts
from sfar.runs import executor, store
from sfar.runs.job import Job
from sfar.runs.run import device, loader_workers
from sfar.storyboard.scripts import ACTIVITIES
from sfar.storyboard.write import truth
from sfar.studies.core import degrees as A
from sfar.studies.core import study
from sfar.studies.core.study import Variant
from sfar.studies.table1 import unseen
from sfar.subtexts.source import subtexts_of
from sfar.subtexts.visual import frames_of
from sfar.training.evaluate import Scores, ranks, score

VARIANTS = (
    Variant("single", "Single", "single"),
    Variant("coarse", "Coarse", "sfar", (("model.coarse", True), ("model.fine", False))),
    Variant("both", "SFAR", "sfar", (("model.coarse", True), ("model.fine", True))),
)
MAPS = ("single", "coarse", "fine", "fused")

# Classes that the paper names in its figures and that are both in Kinetics-400 and in the storyboard world.
AMBIGUOUS = ("baking cookies", "making pizza")  # Figure 1a
NON_UNIFORM = ("long jump", "clean and jerk")  # Figures 1b, 6
IRRELEVANT = (
    next(r["value"] for r in paper.load("statements") if r["id"] == "fig1-stand") / 100
)  # share of irrelevant frames in Figure 1b's second video
MORE = 6  # classes of Figure 9, and of Figure 10 over both data sets
HARDEST = 4  # classes of Figure 5
TOP = 5


# --- what is shown ---


def first_of(paths_: list[str], labels: list[int], of: int, count: int = 1) -> list[int]:
    """The first ``count`` videos of a class, by path: their numbers."""
    return sorted((i for i, k in enumerate(labels) if k == of), key=lambda i: paths_[i])[:count]


def nearest_share(paths_: list[str], labels: list[int], of: int, shares: list[float], share: float) -> int:
    """The video of a class whose share of irrelevant frames is nearest to ``share``; of several the first by path."""
    return min((i for i, k in enumerate(labels) if k == of), key=lambda i: (abs(shares[i] - share), paths_[i]))


def spread(names: list[str], count: int) -> list[str]:
    """``count`` names, or all there are, at even distances of their alphabetical order."""
    names = sorted(names)
    count = min(count, len(names))
    return [names[i * len(names) // count] for i in range(count)]


def class_ambiguity(classes: tuple[str, ...], cls: Tensor, drawn: bool) -> tuple[np.ndarray, str]:
    """How ambiguous each class is, [C], and by what: the true overlap of the scripts that videos were ``drawn`` from, else the paper's score (Eq. 16)."""
    if drawn and all(c in ACTIVITIES for c in classes):
        return A.true_ambiguity({c: ACTIVITIES[c] for c in classes})["overlap"], "true overlap"
    return A.ambiguous_score(A.class_similarity(cls)), "ambiguous score (Eq. 16)"


def choose(
    classes: tuple[str, ...], paths_: list[str], labels: list[int], hard: np.ndarray, shares: list[float] | None
) -> dict[str, list[int]]:
    """The videos of each figure on the training data set, by number. ``hard``: ambiguity of the classes [C]; ``shares``: of irrelevant frames, if known.

    A class that the data set does not have is left out.
    """
    at = {c: i for i, c in enumerate(classes)}
    named = [c for c in (*AMBIGUOUS, *NON_UNIFORM) if c in at]
    one = lambda names: [i for c in names for i in first_of(paths_, labels, at[c])]  # noqa: E731
    hardest = [classes[i] for i in np.argsort(-hard, kind="stable")[:HARDEST]]
    out = {
        "fig2": one(named),
        "fig9": one(spread([c for c in classes if c not in named], MORE)),
        "fig5": one(hardest),
        "fig6": [i for c in reversed(NON_UNIFORM) if c in at for i in first_of(paths_, labels, at[c], 2)],
    }
    if shares is not None:
        out["fig1"] = [
            nearest_share(paths_, labels, at[c], shares, IRRELEVANT if c in NON_UNIFORM else 0) for c in named
        ]
    return out


RULES = {
    "fig1": f"the classes that Figures 1 and 6 name; of {AMBIGUOUS[0]} and {AMBIGUOUS[1]} the video with the fewest irrelevant frames, of {NON_UNIFORM[0]} and "
    f"{NON_UNIFORM[1]} the one whose share of them is nearest to the {100 * IRRELEVANT:g} % of Figure 1; of several the first by path",
    "fig2": "the first validation video, by path, of each class that Figures 1 and 6 name and the data set has",
    "fig9": f"the first validation video, by path, of {MORE} classes at even distances of the alphabetical order, those of Figure 2 left out",
    "fig10": f"the first video, by path, of {MORE // 2} classes of each data set at even distances of the alphabetical order",
    "fig5": f"the first validation video, by path, of the {HARDEST} most ambiguous classes; of equally ambiguous ones those that the data set lists first",
    "fig6": f"the first two validation videos, by path, of {NON_UNIFORM[1]} and {NON_UNIFORM[0]}",
}


# --- patches and words ---


def patch_tokens(clip: CLIP, frames: Tensor) -> tuple[Tensor, Tensor]:
    """v^cls [N, d] and the patches in the joint space [N, g, g, d] of normalised frames [N, 3, H, W]; see the module's text.

    Raises ``ConfigError`` for a visual tower that is no ViT or pools by attention: its tokens are not in the joint space.
    """
    visual = clip.visual
    if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None or visual.proj is None:
        raise ConfigError("heatmaps need a plain ViT as visual tower (model.clip), such as 'ViT-B-16-quickgelu'")
    before, visual.output_tokens = visual.output_tokens, True
    try:
        cls, tokens = visual(frames)
    finally:
        visual.output_tokens = before
    return cls, (tokens @ visual.proj).unflatten(1, tuple(visual.grid_size))


def directions(model: VideoModel) -> dict[str, Tensor]:
    """Mean unit words of all classes, from which the model's importance is computed: [C, K, d] by granularity, K = N for "fine", else 1."""
    t = model.texts
    if model.method == "single":
        return {"single": E.mean_unit_words(t.words[:, None], t.mask[:, None])}
    out = {}
    if model.head.cfg.coarse:
        out["coarse"] = E.mean_unit_words(
            model.head.attention(t.words, t.sub_words, t.sub_mask)[:, None], t.mask[:, None]
        )
    if model.head.cfg.fine:
        out["fine"] = E.mean_unit_words(t.sub_words, t.sub_mask)
    return out


def patch_similarity(v: Tensor, patches: Tensor, words: Tensor) -> Tensor:
    """S [L, g, g] of one video's patches [L, g, g, d] to the mean unit words [K, d]; of K texts, for each frame the one that fits v [L, d] best."""
    best = (E.unit(v) @ words.T).argmax(1)
    return torch.einsum("lhwd,ld->lhw", E.unit(patches), words[best])


def heat(similarity: Tensor, importance: Tensor, tau: float) -> Tensor:
    """H [L, g, g]: the importance [L] of each frame spread over its patches by a softmax of their similarity [L, g, g]."""
    return (similarity.flatten(1) / tau).softmax(1).unflatten(1, similarity.shape[1:]) * importance[:, None, None]


@torch.inference_mode()
def look(model: VideoModel, frames: Tensor, label: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Importance [L] and heat [L, g, g] of one video's normalised frames [L, 3, H, W] for its true class, by granularity."""
    model.eval()
    v, patches = patch_tokens(model.clip, frames)
    out = model.from_embeddings(v[None])
    importance, maps = {}, {}
    for name, words in directions(model).items():
        a = (out.fine if name == "fine" else out.coarse)[0, label]
        importance[name] = a / a.sum()  # "sum" of model.coarse_reduce adds up to the number of words
        maps[name] = heat(patch_similarity(v, patches, words[label]), importance[name], model.head.tau)
    if "coarse" in maps and "fine" in maps:
        maps["fused"] = (maps["coarse"] + maps["fine"]) / 2
    return importance, maps


@torch.inference_mode()
def shapes(model: VideoModel, frames: Tensor) -> dict[str, list[int]]:
    """Shapes of all that Figure 3 names, from one pass of SFAR over frames [1, L, 3, H, W]."""
    model.eval()
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: output}))
        for name, module in (("encoder", model.clip.visual.transformer),)
    ]
    try:
        out = model(frames)
    finally:
        for hook in hooks:
            hook.remove()
    v = model.clip.visual(frames[0])[None]
    t, head = model.texts, model.head
    o = head.embed(v, t)[0]
    found = {
        "frames": frames,
        "tokens": seen["encoder"],
        "v": v,
        "t_cls": t.cls,
        "T": t.words,
        "S": t.sub_words,
        "T_hat": head.attention(t.words, t.sub_words, t.sub_mask),
        "a_coarse": out.coarse,
        "a_fine": out.fine,
        "o_coarse": E.aggregate(v, out.coarse),
        "o_fine": E.aggregate(v, out.fine),
        "ffn_coarse": head.ffn_coarse(v, out.coarse),
        "ffn_fine": head.ffn_fine(v, out.fine),
        "o": o,
        "logits": out.logits,
    }
    return {k: list(x.shape) for k, x in found.items()}


# --- the models ---


def models(jobs: dict[str, Job], workers: int | None) -> tuple[dict[str, VideoModel], float]:
    """The trained models, their kept weights found again, and the seconds that training took."""
    folders = executor.train_all(list(jobs.values()), workers, "qualitative")
    out = {name: store.load_model(job, folder) for (name, job), folder in zip(jobs.items(), folders, strict=True)}
    return out, sum(map(store.training_seconds, folders), 0.0)


# --- the record ---


def _digits(x: Any, digits: int = 5) -> list:
    return np.asarray(x, float).round(digits).tolist()


def _video(profile: Profile, data: Dataset, clips: VideoClips, i: int, seen: dict[str, Any] | None) -> dict[str, Any]:
    """A video as the record holds it: the sampled frames as JPEG (base64), and the truth where it is known."""
    path, n, frames = clips.paths[i], clips.lengths[i], profile.train.frames
    pictures = frames_of(data.root / path, frames)
    out = {
        "dataset": profile.data.dataset,
        "path": path,
        "class": data.classes[clips.labels[i]],
        "frames": n,
        "indices": val_indices(n, frames).tolist(),
        "jpeg": [base64.b64encode(p).decode() for p in pictures],
    }
    return out | ({"segments": seen[path]["segments"], "irrelevant": seen[path]["irrelevant"]} if seen else {})


def _looked(out: dict[str, Any], trained: dict[str, VideoModel], clips: VideoClips, i: int, profile: Profile) -> None:
    """Add importance and heat of all granularities to a video of the record."""
    t = profile.train
    frames = center_crop(clips.read(i, lambda n: val_indices(n, t.frames)), profile.data.image_size).to(device())
    out["importance"], out["heat"] = {}, {}
    for name in ("single", "both"):
        importance, maps = look(trained[name], frames, clips.labels[i])
        out["importance"] |= {k: _digits(a.cpu(), 6) for k, a in importance.items()}
        out["heat"] |= {k: _digits(h.cpu(), 6) for k, h in maps.items()}


def _compared(by: dict[str, Scores], classes: list[int]) -> dict[str, Any]:
    """Coarse against single on all videos of some classes: how many, how many it gives its class more probability, how many each has right."""
    labels = by["single"].labels
    mask = np.isin(labels, classes)
    own = {k: s.probabilities[np.arange(len(labels)), labels][mask] for k, s in by.items()}
    return {
        "videos": int(mask.sum()),
        "higher": int((own["coarse"] > own["single"]).sum()),
        "right": {k: int((ranks(s.probabilities, s.labels)[mask] == 0).sum()) for k, s in by.items()},
        "mean": {k: round(float(v.mean()), 4) for k, v in own.items()},
    }


def _runs(profile: Profile, workers: int | None) -> dict[str, Any]:
    jobs = {v.name: study.job(profile, v, profile.seeds[0]) for v in VARIANTS}
    data, size, t = jobs["both"].data, profile.data.image_size, profile.train
    clips = load_clips(profile, data, "val")
    if clips.manifest.multi_label:
        raise ConfigError(
            f"data.dataset={profile.data.dataset!r} has several labels a video: Figures 1 to 10 show the importance for one true class"
        )
    trained, seconds = models(jobs, workers)
    by = {
        k: score(trained[k], clips, t.frames, size, max_bad_share=profile.data.max_bad_share, workers=loader_workers())
        for k in ("single", "coarse")
    }
    usable = by["single"].clips.tolist()  # those that could be read
    seen = truth(data.root) if data.drawn else None
    hard, measure = class_ambiguity(data.classes, trained["both"].texts.cls, data.drawn)
    names = [clips.paths[i] for i in usable]
    chosen = choose(
        data.classes,
        names,
        by["single"].labels.tolist(),
        hard,
        [seen[p]["irrelevant"] for p in names] if seen else None,
    )
    videos: dict[str, dict[str, Any]] = {}
    for row in dict.fromkeys(row for rows in chosen.values() for row in rows):
        i = usable[row]
        videos[clips.paths[i]] = v = _video(profile, data, clips, i, seen)
        if any(row in chosen[f] for f in ("fig2", "fig6", "fig9")):
            _looked(v, trained, clips, i, profile)
        if row in chosen["fig5"]:
            v["probabilities"] = {k: _digits(s.probabilities[row]) for k, s in by.items()}
    figures = {f: [names[row] for row in rows] for f, rows in chosen.items()}
    hardest = [data.classes.index(videos[p]["class"]) for p in figures["fig5"]]
    record = {
        "data": {
            "train_clips": len(load_clips(profile, data, "train")),
            "val_videos": len(clips),
            "classes": len(data.classes),
            "undecodable": dict(clips.bad),
            "missing": list(clips.manifest.missing),
        },
        "seeds": [profile.seeds[0]],
        "classes": list(data.classes),
        "drawn": data.drawn,
        "crop": [size, scale_size(size)],
        "temperature": {k: round(m.head.tau, 6) for k, m in trained.items()},
        "ambiguity": {"by": measure, "of": {data.classes[i]: round(float(hard[i]), 4) for i in hardest}},
        "fig5": {"these": _compared(by, hardest), "all": _compared(by, list(range(len(data.classes))))},
    }
    first = clips.read(usable[0], lambda n: val_indices(n, t.frames))
    record["shapes"] = shapes(trained["both"], center_crop(first, size)[None].to(device()))
    if others := unseen(profile, data):
        figures["fig10"] = _unseen(profile, others, trained, videos)
    record |= {
        "figures": dict(sorted(figures.items(), key=lambda f: int(f[0][3:]))),
        "videos": videos,
        "claims": [],
        "seconds": seconds,
    }
    return record


def _unseen(
    profile: Profile, others: tuple[str, ...], trained: dict[str, VideoModel], videos: dict[str, dict[str, Any]]
) -> list[str]:
    """Figure 10: videos of the other data sets, their classes in place of the training ones. Adds to ``videos``; returns their names."""
    out = []
    for name in others:
        p = by_name(profile, name)
        data = dataset(p)
        clips, seen = load_clips(p, data, "all"), truth(data.root) if data.drawn else None
        for model in (trained["single"], trained["both"]):
            model.for_classes(class_texts(model.clip, list(data.classes), subtexts_of(p, data.classes), p.model))
        for c in spread(list(data.classes), MORE // len(others)):
            for i in first_of(clips.paths, clips.labels, data.classes.index(c)):
                v = _video(p, data, clips, i, seen)
                _looked(v, trained, clips, i, p)
                videos[v["path"]] = v
                out.append(v["path"])
    return out


STUDY = study.Study("qualitative", "make reproduce-fig2", _runs)
