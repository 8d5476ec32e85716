"""Figures 1, 2, 3, 5, 6, 9, 10: patches in the joint space, heat that adds up to the importance, rules that choose, figures and page of a record."""

import base64
import copy
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from sfar.config import ModelConfig
from sfar.data.transforms import val_indices
from sfar.errors import ConfigError
from sfar.model.clip import embed_frames
from sfar.studies import qualitative as Q
from sfar.studies import qualitative_page as page


def frames(n=3, seed=0):
    return torch.randn(n, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_patch_tokens_by_hand():
    """Every step of the tower written out; the class token, taken the same way, is the frame embedding."""
    clip, x = tiny.clip(), frames()
    v = clip.visual
    t = v.conv1(x).flatten(2).transpose(1, 2)
    t = torch.cat([v.class_embedding.expand(len(x), 1, -1), t], 1) + v.positional_embedding
    t = v.ln_post(v.transformer(v.ln_pre(t))) @ v.proj
    cls, patches = Q.patch_tokens(clip, x)
    assert patches.shape == (3, 4, 4, 16)
    assert torch.allclose(cls, t[:, 0], atol=1e-5) and torch.allclose(patches.flatten(1, 2), t[:, 1:], atol=1e-5)
    assert torch.equal(cls, embed_frames(clip, x[None])[0]) and not v.output_tokens, "the tower is left as it was"


def test_a_tower_without_patches_in_the_joint_space_is_refused():
    clip = tiny.clip()
    clip.visual = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="plain ViT"):
        Q.patch_tokens(clip, frames())


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_heat_adds_up_to_the_importance(reduce):
    m, x = tiny.model("sfar", cfg=ModelConfig(attention_heads=2, temporal_layers=1, coarse_reduce=reduce)), frames()
    importance, maps = Q.look(m, x, 1)
    with torch.no_grad():
        out = m(x[None])
    assert set(importance) == {"coarse", "fine"} and set(maps) == {"coarse", "fine", "fused"}
    assert torch.allclose(importance["fine"], out.fine[0, 1], atol=1e-6)
    assert torch.allclose(importance["coarse"], out.coarse[0, 1] / out.coarse[0, 1].sum(), atol=1e-6)
    for name, a in importance.items():
        assert a.sum() == pytest.approx(1, abs=1e-5) and torch.allclose(maps[name].sum((1, 2)), a, atol=1e-6)
    assert torch.allclose(maps["fused"].sum((1, 2)), (importance["coarse"] + importance["fine"]) / 2, atol=1e-6)
    single, heat = Q.look(tiny.model("single"), x, 0)
    assert list(single) == list(heat) == ["single"] and torch.allclose(
        heat["single"].sum((1, 2)), single["single"], atol=1e-6
    )


@torch.no_grad()
def test_similarity_is_the_mean_cosine_of_the_words():
    m, x = tiny.model("sfar"), frames()
    v, patches = Q.patch_tokens(m.clip, x)
    words = m.head.attention(m.texts.words, m.texts.sub_words, m.texts.sub_mask)[2][m.texts.mask[2]]
    s = Q.patch_similarity(v, patches, Q.directions(m)["coarse"][2])
    assert s[1, 2, 3] == pytest.approx(
        float(torch.stack([torch.cosine_similarity(w, patches[1, 2, 3], 0) for w in words]).mean()), abs=1e-5
    )
    sub, mask = m.texts.sub_words[2], m.texts.sub_mask[2]
    mean = lambda z: [float(torch.cosine_similarity(w[k], z[None], 1).mean()) for w, k in zip(sub, mask)]  # noqa: E731
    best = int(np.argmax(mean(v[0])))
    assert Q.patch_similarity(v, patches, Q.directions(m)["fine"][2])[0, 3, 1] == pytest.approx(
        mean(patches[0, 3, 1])[best], abs=1e-5
    )


def test_heat_by_hand():
    h = Q.heat(torch.tensor([[[0.0, np.log(2) / 2], [0, 0]]]), torch.tensor([0.5]), 0.5)
    assert h.flatten().tolist() == pytest.approx([0.1, 0.2, 0.1, 0.1])


def test_shapes_are_those_of_the_pass():
    m = tiny.model("sfar")
    s = Q.shapes(m, frames()[None])
    assert (
        s["frames"] == [1, 3, 3, 32, 32]
        and s["tokens"] == [3, 17, 32]
        and s["v"] == [1, 3, 16]
        and s["a_fine"] == s["a_coarse"] == [1, 3, 3]
    )
    assert (
        s["T_hat"] == s["T"] == list(m.texts.words.shape)
        and s["S"] == list(m.texts.sub_words.shape)
        and s["o"] == s["ffn_fine"] == [1, 3, 16]
        and s["logits"] == [1, 3]
    )


# --- rules ---

CLASSES = ("alpha", "baking cookies", "clean and jerk", "long jump", "making pizza", "omega", "zeta")


def test_rules_do_not_depend_on_the_order_of_the_list():
    rng = np.random.default_rng(1)
    paths, labels, shares = (
        [f"val/{rng.integers(1e9)}.mp4" for _ in range(42)],
        [i % 7 for i in range(42)],
        rng.random(42).tolist(),
    )
    hard = np.array([0.2, 0.9, 0.9, 0.1, 0.5, 0.9, 0.3])
    one = {f: [paths[i] for i in rows] for f, rows in Q.choose(CLASSES, paths, labels, hard, shares).items()}
    order = rng.permutation(42)
    mixed = [[x[i] for i in order] for x in (paths, labels, shares)]
    assert one == {f: [mixed[0][i] for i in rows] for f, rows in Q.choose(CLASSES, *mixed[:2], hard, mixed[2]).items()}
    label = dict(zip(paths, labels))
    assert [CLASSES[label[p]] for p in one["fig5"]] == ["baking cookies", "clean and jerk", "omega", "making pizza"]
    assert [CLASSES[label[p]] for p in one["fig6"]] == ["clean and jerk"] * 2 + ["long jump"] * 2 and one["fig6"][
        :2
    ] == sorted(p for p in paths if label[p] == 2)[:2]
    assert {CLASSES[label[p]] for p in one["fig9"]} == {"alpha", "omega", "zeta"}, "classes of Figure 2 are left out"
    share = dict(zip(paths, shares))
    for p in one["fig1"]:
        rivals = [
            abs(share[q] - (0.34 if CLASSES[label[p]] in Q.NON_UNIFORM else 0)) for q in paths if label[q] == label[p]
        ]
        assert abs(share[p] - (0.34 if CLASSES[label[p]] in Q.NON_UNIFORM else 0)) == min(rivals)
    assert "fig1" not in Q.choose(CLASSES, paths, labels, hard, None), "its shares need the truth"
    assert Q.spread(list("gfedcba"), 3) == ["a", "c", "e"] and Q.spread(["b", "a"], 6) == ["a", "b"]


def test_without_scripts_ambiguity_is_the_papers_score():
    cls = torch.eye(3)
    scripts = ("long jump", "deadlifting", "front squat")
    assert Q.class_ambiguity(scripts, cls, True)[1] == "true overlap"
    assert Q.class_ambiguity(scripts, cls, False)[1].startswith("ambiguous score"), (
        "real videos of classes with these names were not drawn from the scripts"
    )
    assert Q.class_ambiguity(("a", "b", "c"), cls, True)[1].startswith("ambiguous score")


# --- figures and page ---


def jpeg(rng):
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (96, 128, 3), np.uint8)).save(out, "JPEG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture(scope="module")
def record():
    rng = np.random.default_rng(0)
    share = lambda *s: (lambda x: (x / x.sum()).tolist())(rng.random(s))  # noqa: E731
    videos, figures = {}, {f: [] for f in ("fig1", "fig2", "fig5", "fig6", "fig9", "fig10")}
    classes = ["long jump", "clean and jerk", "deadlifting", "high jump", "pull ups", "snatch weight lifting"]
    for i, c in enumerate(classes[:3]):
        segments = [["hop", 10, False], *([a, 5, True] for a, _ in Q.ACTIVITIES[c])]
        n = sum(s[1] for s in segments)
        videos[f"val/{i}.mp4"] = {
            "dataset": "storyboard-kinetics",
            "path": f"val/{i}.mp4",
            "class": c,
            "frames": n,
            "indices": val_indices(n, 8).tolist(),
            "irrelevant": 10 / n,
            "segments": segments,
            "jpeg": [jpeg(rng) for _ in range(8)],
            "importance": {m: share(8) for m in ("single", "coarse", "fine")},
            "heat": {m: np.array(share(8, 4, 4)).tolist() for m in Q.MAPS},
            "probabilities": {m: share(6) for m in ("single", "coarse")},
        }
        for f in figures:
            figures[f].append(f"val/{i}.mp4")
    c = {"videos": 9, "higher": 4, "right": {"single": 5, "coarse": 6}, "mean": {"single": 0.5, "coarse": 0.6}}
    return {
        "table": "qualitative",
        "profile": "storyboard",
        "inputs": "0",
        "seeds": [0],
        "data": {"train_clips": 9, "val_videos": 9, "classes": 6, "undecodable": {}, "missing": []},
        "classes": classes,
        "drawn": True,
        "crop": [64, 73],
        "temperature": {"both": 0.07},
        "ambiguity": {"by": "true overlap", "of": {c: 1.0 for c in classes}},
        "fig5": {"these": c, "all": c},
        "shapes": Q.shapes(tiny.model("sfar"), frames()[None]),
        "figures": figures,
        "videos": videos,
        "claims": [],
        "provenance": {"command": "make x", "revision": "r", "hardware": "h", "date": "d", "config": {}},
    }


def test_heat_has_the_frame_s_resolution():
    full = page.full_heat([[0, 1], [0, 1]], 96, 128, [64, 73])
    inside = np.isfinite(full)
    assert (
        full.shape == (96, 128)
        and inside.sum() == 84**2
        and inside[6, 22]
        and inside[89, 105]
        and not inside[5].any()
        and not inside[:, 106].any()
    )
    assert full[50, 22] == 0 and full[50, 105] == 1 and np.all(np.diff(full[50, 22:106]) >= 0)
    assert page.overlay(np.full((96, 128, 3), 100, np.uint8), full, 1.0).shape == (96, 128, 3)


def test_files_agree_with_the_record(record, tmp_path):
    files = {f.name for f in page.write(record, tmp_path)}
    assert files == {f"qualitative.{e}" for e in ("csv", "md", "tex", "json")} | {
        f"fig{n}.png" for n in (1, 2, 3, 5, 6, 9, 10)
    }
    assert json.loads((tmp_path / "qualitative.json").read_text()) == record
    text = (tmp_path / "qualitative.md").read_text()
    for part in (
        page.examples_markdown(record),
        page.importance_markdown(record),
        page.probabilities_markdown(record),
        page.shapes_markdown(record),
    ):
        assert part in text
    assert all(page.rule(f) in text for f in Q.RULES)
    v = record["videos"]["val/0.mp4"]
    on = sum(a for a, i in zip(v["importance"]["fine"], v["indices"]) if i >= 10)
    (row,) = [r for r in page.importance_markdown(record).splitlines() if r.startswith("| long jump") and "Fine" in r]
    assert f"{100 * on:.0f} %" in row and row.count("*") == sum(i >= 10 for i in v["indices"])
    shares = [s for _, s, *_ in page.runs(v)]
    assert sum(shares) == pytest.approx(1) and [r[3] for r in page.runs(v)] == [False] + [True] * 4


def test_figures_hold_what_they_should(record):
    fig = page.figure_heat(record, "fig2")
    images = [ax.images[0].get_array() for ax in fig.axes if ax.images and ax.images[0].get_array().ndim == 3]
    assert len(images) == 3 * 5 and all(a.shape == (96, 4 * 133 - 5, 3) for a in images)
    bars = [ax for ax in page.figure_fig6(record).axes if len(ax.patches) == 24]
    heights = sorted(p.get_height() for p in bars[0].patches)
    assert len(bars) == 3 and heights == pytest.approx(
        sorted(100 * a for m in record["videos"]["val/0.mp4"]["importance"].values() for a in m)
    )
    top = page.top_classes(record, record["videos"]["val/1.mp4"])
    assert len(top) == 5 and top[0][0] == "clean and jerk"
    shown = " ".join(t.get_text() for t in page.figure_fig3(record).axes[0].texts)
    assert "1 × 3 × 3 × 32 × 32" in shown and "3 × 17 × 32" in shown
    plt.close("all")


def test_without_the_truth_its_parts_are_said_to_be_absent(record, tmp_path):
    real = copy.deepcopy(record)
    del real["figures"]["fig1"], real["figures"]["fig10"]
    real["drawn"] = False
    for v in real["videos"].values():
        del v["segments"], v["irrelevant"]
    files = {f.name for f in page.write(real, tmp_path)}
    assert "fig2.png" in files and not files & {"fig1.png", "fig10.png"}
    text = (tmp_path / "qualitative.md").read_text()
    assert page.NO_TRUTH in text and page.NO_UNSEEN in text
