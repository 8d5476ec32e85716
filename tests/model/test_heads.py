"""Every method behind one interface, and the heads that SFAR is compared with."""

import pytest
import tiny
import torch
from tiny import B, C, D, L

from sfar.config import ModelConfig
from sfar.model import literal
from sfar.model.registry import METHODS
from sfar.model.temporal import TemporalTransformer

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def count(module):
    return sum(p.numel() for p in module.parameters())


# --- all ---


@every_method
def test_every_method_gives_logits_of_every_class(method):
    head = method.build(D, 0.1, tiny.MODEL)
    out = head(tiny.random_frames(), tiny.random_texts(), torch.tensor(10.0))
    assert out.logits.shape == (B, C) and out.logits.isfinite().all()
    for a in (out.coarse, out.fine):
        assert a is None or a.shape == (B, C, L)
    if count(head):
        out.logits.sum().backward()
        assert all(p.grad is not None for p in head.parameters())


@every_method
def test_logits_are_cosines_times_the_scale(method):
    head, frames, texts = method.build(D, 0.1, tiny.MODEL), tiny.random_frames(), tiny.random_texts()
    one, ten = (head(frames, texts, torch.tensor(s)).logits for s in (1.0, 10.0))
    assert torch.allclose(10 * one, ten, atol=1e-5)
    assert one.abs().max() <= 1 + 1e-5
    stretched = tiny.replaced(texts, cls=5 * texts.cls)
    assert torch.allclose(head(frames, stretched, torch.tensor(1.0)).logits, one, atol=1e-5)


@every_method
@pytest.mark.parametrize("pick", [torch.tensor([2, 0]), torch.tensor([True, False, True]), torch.tensor([1])])
def test_the_logits_of_a_class_do_not_depend_on_the_other_classes(method, pick):
    texts, frames, scale = tiny.random_texts(), tiny.random_frames(), torch.tensor(1.0)
    torch.manual_seed(0)
    head = method.build(D, 0.1, tiny.MODEL).eval()
    some, all_of_them = (head(frames, t, scale).logits for t in (texts.select(pick), texts))
    assert torch.allclose(some, all_of_them[:, pick], atol=1e-6)


@pytest.mark.parametrize(
    "method, has", [("vanilla", ""), ("clip", ""), ("temporal", ""), ("single", "coarse"), ("sfar", "coarse fine")]
)
def test_which_importances_the_papers_methods_have(method, has):
    out = METHODS[method].build(D, 0.1, tiny.MODEL)(tiny.random_frames(), tiny.random_texts(), torch.tensor(1.0))
    assert [name for name in ("coarse", "fine") if getattr(out, name) is not None] == has.split()


# --- the others ---


@pytest.mark.parametrize("method", ["vanilla", "clip"])
def test_mean_pooling_has_no_parameters_and_ignores_the_order(method):
    head, frames, texts = METHODS[method].build(D, 0.1, ModelConfig()), tiny.random_frames(), tiny.random_texts()
    assert count(head) == 0
    logits = head(frames, texts, torch.tensor(1.0)).logits
    for b in range(B):
        o = sum(v / v.norm() for v in frames[b]) / L
        for c in range(C):
            assert logits[b, c].item() == pytest.approx(literal.sim(texts.cls[c], o).item(), abs=1e-6)
    assert torch.allclose(head(frames.flip(1), texts, torch.tensor(1.0)).logits, logits, atol=1e-6)


def test_single_granularity_is_the_coarse_importance_of_the_class_prompt_alone():
    head, frames, texts = (
        METHODS["single"].build(D, 0.2, tiny.MODEL).double(),
        tiny.random_frames().double(),
        tiny.random_texts(),
    )
    texts = tiny.replaced(texts, cls=texts.cls.double(), words=texts.words.double())
    out = head(frames, texts, torch.tensor(3.0))
    v = head.transformer(frames)
    for b in range(B):
        for c in range(C):
            a = literal.coarse_importance(list(texts.words[c][texts.mask[c]]), v[b], 0.2, "mean")
            o = literal.video_embedding([x / x.norm() for x in v[b]], a)
            assert torch.allclose(out.coarse[b, c], torch.stack(a), atol=1e-10)
            want = (
                3 * (o * texts.cls[c]).sum() / texts.cls[c].norm()
            )  # o keeps its length: the frames' agreement counts
            assert out.logits[b, c].item() == pytest.approx(want.item(), abs=1e-10)
    garbage = tiny.replaced(texts, sub_words=torch.full_like(texts.sub_words, float("nan")))
    assert torch.equal(head(frames, garbage, torch.tensor(3.0)).logits, out.logits)


def test_temporal_transformer_sees_the_order_and_keeps_a_residual():
    torch.manual_seed(0)
    t, x = TemporalTransformer(D, 2), tiny.random_frames()
    assert t(x).shape == x.shape
    assert not torch.allclose(t(x.flip(1)).mean(1), t(x).mean(1), atol=1e-4)
    for block in t.blocks:  # blocks that add nothing leave the input, its positions and the residual
        for p in (
            block.attention.out_proj.weight,
            block.attention.out_proj.bias,
            block.mlp[2].weight,
            block.mlp[2].bias,
        ):
            torch.nn.init.zeros_(p)
    assert torch.allclose(t(x), 2 * x + t.position.weight[:L], atol=1e-6)


def test_parameters_of_the_temporal_transformer():
    per_block = (4 * 512**2 + 4 * 512) + (8 * 512**2 + 5 * 512) + 4 * 512  # attention, MLP, two layer norms
    assert count(TemporalTransformer(512, 6)) == 77 * 512 + 6 * per_block == 18_953_728
    for name in ("temporal", "single"):
        assert count(METHODS[name].build(512, 0.01, ModelConfig())) == 18_953_728
