"""Heat maps: patches in the joint space, heat that adds up to the importance, shapes of a pass."""

import numpy as np
import pytest
import tiny
import torch

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import heatmaps
from sfar.model.clip import embed_frames


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
    cls, patches = heatmaps.patch_tokens(clip, x)
    assert patches.shape == (3, 4, 4, 16)
    assert torch.allclose(cls, t[:, 0], atol=1e-5)
    assert torch.allclose(patches.flatten(1, 2), t[:, 1:], atol=1e-5)
    assert torch.equal(cls, embed_frames(clip, x[None])[0])
    assert not v.output_tokens, "the tower is left as it was"


def test_a_tower_without_patches_in_the_joint_space_is_refused():
    clip = tiny.clip()
    clip.visual.attn_pool = torch.nn.Identity()
    with pytest.raises(ConfigError, match="without attention pooling"):
        heatmaps.patch_tokens(clip, frames())
    clip.visual = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="plain ViT"):
        heatmaps.patch_tokens(clip, frames())


def test_a_method_without_importance_is_refused():
    with pytest.raises(ConfigError, match="'single' or 'sfar', not 'clip'"):
        heatmaps.directions(tiny.model("clip"))


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_heat_adds_up_to_the_importance(reduce):
    m = tiny.model("sfar", cfg=ModelConfig(attention_heads=2, temporal_layers=1, coarse_reduce=reduce))
    x = frames()
    importance, maps = heatmaps.look(m, x, 1)
    with torch.no_grad():
        out = m(x[None])
    assert set(importance) == {"coarse", "fine"}
    assert set(maps) == {"coarse", "fine", "fused"}
    assert torch.allclose(importance["fine"], out.fine[0, 1], atol=1e-6)
    assert torch.allclose(importance["coarse"], out.coarse[0, 1] / out.coarse[0, 1].sum(), atol=1e-6)
    for name, a in importance.items():
        assert a.sum() == pytest.approx(1, abs=1e-5)
        assert torch.allclose(maps[name].sum((1, 2)), a, atol=1e-6)
    assert torch.allclose(maps["fused"].sum((1, 2)), (importance["coarse"] + importance["fine"]) / 2, atol=1e-6)


def test_of_single_granularity_there_is_one_map():
    importance, maps = heatmaps.look(tiny.model("single"), frames(), 0)
    assert list(importance) == list(maps) == ["single"]
    assert torch.allclose(maps["single"].sum((1, 2)), importance["single"], atol=1e-6)


@torch.no_grad()
def test_similarity_is_the_mean_cosine_of_the_words():
    m, x = tiny.model("sfar"), frames()
    v, patches = heatmaps.patch_tokens(m.clip, x)
    words = m.head.attention(m.texts.words, m.texts.sub_words, m.texts.sub_mask)[2][m.texts.mask[2]]
    s = heatmaps.patch_similarity(v, patches, heatmaps.directions(m)["coarse"][2])
    cosines = [torch.cosine_similarity(w, patches[1, 2, 3], 0) for w in words]
    assert s[1, 2, 3] == pytest.approx(float(torch.stack(cosines).mean()), abs=1e-5)

    subs = [w[k] for w, k in zip(m.texts.sub_words[2], m.texts.sub_mask[2], strict=True)]

    def means(z):
        return [float(torch.cosine_similarity(w, z[None], 1).mean()) for w in subs]

    best = int(np.argmax(means(v[0])))
    found = heatmaps.patch_similarity(v, patches, heatmaps.directions(m)["fine"][2])[0, 3, 1]
    assert found == pytest.approx(means(patches[0, 3, 1])[best], abs=1e-5)


def test_heat_by_hand():
    h = heatmaps.heat(torch.tensor([[[0.0, np.log(2) / 2], [0, 0]]]), torch.tensor([0.5]), 0.5)
    assert h.flatten().tolist() == pytest.approx([0.1, 0.2, 0.1, 0.1])


def test_shapes_are_those_of_the_pass():
    m = tiny.model("sfar")
    s = heatmaps.shapes(m, frames()[None])
    assert s["frames"] == [1, 3, 3, 32, 32]
    assert s["tokens"] == [3, 17, 32]
    assert s["v"] == [1, 3, 16]
    assert s["a_fine"] == s["a_coarse"] == [1, 3, 3]
    assert s["T_hat"] == s["T"] == list(m.texts.words.shape)
    assert s["S"] == list(m.texts.sub_words.shape)
    assert s["o_coarse"] == s["o_fine"] == s["ffn_coarse"] == s["ffn_fine"] == s["o"] == [1, 3, 16]
    assert s["logits"] == [1, 3]
    assert not m.clip.visual.transformer._forward_hooks, "the model is left as it was"
