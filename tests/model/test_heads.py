"""The five methods behind one interface, their parameters, and the whole video model on a tiny CLIP."""

import copy
import dataclasses

import pytest
import tiny
import torch

from sfar.config import METHODS, ModelConfig
from sfar.errors import ConfigError
from sfar.model import cost, literal
from sfar.model import embedding as E
from sfar.model.clip import embed_frames
from sfar.model.heads import SFAR, ClassTexts, CrossAttention, TemporalTransformer, VideoModel, build_head, class_texts

B, C, N, W, L, D = 2, 3, 4, 5, 6, 16
PRINTED, MHA = ModelConfig(), ModelConfig(attention="mha")


def random_texts(seed=0, c=C, d=D):
    g = torch.Generator().manual_seed(seed)
    normal = lambda *s: torch.randn(s, generator=g)  # noqa: E731
    mask = torch.arange(W) < torch.randint(1, W + 1, (c, 1), generator=g)
    sub_mask = torch.arange(W) < torch.randint(1, W + 1, (c, N, 1), generator=g)
    return ClassTexts(
        normal(c, d), normal(c, W, d) * mask[..., None], mask, normal(c, N, W, d) * sub_mask[..., None], sub_mask
    )


def random_frames(seed=1, b=B, d=D):
    return torch.randn(b, L, d, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(p.numel() for p in module.parameters())


# --- the heads ---


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_logits_of_every_class(method):
    head = build_head(method, D, 0.1, tiny.MODEL)
    out = head(random_frames(), random_texts(), torch.tensor(10.0))
    assert out.logits.shape == (B, C) and out.logits.isfinite().all()
    has = {"coarse": method in ("single", "sfar"), "fine": method == "sfar"}
    for name, expected in has.items():
        a = getattr(out, name)
        assert (a is not None) == expected
        if expected:
            assert a.shape == (B, C, L)
    if count(head):
        out.logits.sum().backward()
        assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_logits_are_cosines_times_the_scale(method):
    head, frames, texts = build_head(method, D, 0.1, tiny.MODEL), random_frames(), random_texts()
    one, ten = (head(frames, texts, torch.tensor(s)).logits for s in (1.0, 10.0))
    assert torch.allclose(10 * one, ten, atol=1e-5)
    assert one.abs().max() <= 1 + 1e-5
    stretched = dataclasses.replace(texts, cls=5 * texts.cls)
    assert torch.allclose(head(frames, stretched, torch.tensor(1.0)).logits, one, atol=1e-5)


def test_an_unknown_method():
    with pytest.raises(ConfigError, match="unknown method 'bike'.*vanilla, clip"):
        build_head("bike", D, 0.1, PRINTED)


@pytest.mark.parametrize("method", ["vanilla", "clip"])
def test_mean_pooling_has_no_parameters_and_ignores_the_order(method):
    head, frames, texts = build_head(method, D, 0.1, PRINTED), random_frames(), random_texts()
    assert count(head) == 0
    logits = head(frames, texts, torch.tensor(1.0)).logits
    for b in range(B):
        o = sum(v / v.norm() for v in frames[b]) / L
        for c in range(C):
            assert logits[b, c].item() == pytest.approx(literal.sim(texts.cls[c], o).item(), abs=1e-6)
    assert torch.allclose(head(frames.flip(1), texts, torch.tensor(1.0)).logits, logits, atol=1e-6)


def test_single_granularity_is_the_coarse_importance_of_the_class_prompt_alone():
    head, frames, texts = build_head("single", D, 0.2, tiny.MODEL).double(), random_frames().double(), random_texts()
    texts = dataclasses.replace(texts, cls=texts.cls.double(), words=texts.words.double())
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
    garbage = dataclasses.replace(texts, sub_words=torch.full_like(texts.sub_words, float("nan")))
    assert torch.equal(head(frames, garbage, torch.tensor(3.0)).logits, out.logits)


def test_temporal_transformer_sees_the_order_and_keeps_a_residual():
    torch.manual_seed(0)
    t, x = TemporalTransformer(D, 2), random_frames()
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


# --- parameters ---


@pytest.mark.parametrize("cfg, expected", [(PRINTED, 1_837_056), (MHA, 2_101_248)], ids=["printed", "mha"])
def test_parameters_of_the_head(cfg, expected):
    head = build_head("sfar", 512, 0.01, cfg)
    assert count(head) == expected == sum(cost.head_parameters(512, cfg.attention).values())
    assert {f"head.{name}": count(part) for name, part in head.named_children()} == cost.head_parameters(
        512, cfg.attention
    )


def test_parameters_of_the_temporal_transformer():
    per_block = (4 * 512**2 + 4 * 512) + (8 * 512**2 + 5 * 512) + 4 * 512  # attention, MLP, two layer norms
    assert count(TemporalTransformer(512, 6)) == 77 * 512 + 6 * per_block == 18_953_728
    assert (
        count(build_head("temporal", 512, 0.01, PRINTED))
        == count(build_head("single", 512, 0.01, PRINTED))
        == 18_953_728
    )


def test_parameters_of_the_ablations():
    ffn, attention = 2 * (D * D + D), 3 * D * D
    assert count(build_head("sfar", D, 0.1, ModelConfig(fine=False))) == attention + ffn
    assert count(build_head("sfar", D, 0.1, ModelConfig(coarse=False))) == ffn
    assert count(build_head("sfar", D, 0.1, ModelConfig(ffn="none"))) == attention


# --- readings of the attention and ablations ---


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("grad", [True, False])  # without gradients torch takes another path through the same module
def test_mha_is_multi_head_attention(heads, grad):
    torch.manual_seed(heads)
    attention = CrossAttention(D, "mha", heads).double()
    torch.nn.init.normal_(attention.mha.in_proj_bias)
    torch.nn.init.normal_(attention.mha.out_proj.bias)
    if not grad:
        attention.eval()
    t, m = random_texts(heads), attention.mha
    words, subs = t.words.double(), t.sub_words.double()
    with torch.set_grad_enabled(grad):
        got = attention(words, subs, t.sub_mask)
    for c in range(C):
        lists = [s[k] for s, k in zip(subs[c], t.sub_mask[c])]
        parameters = m.in_proj_weight, m.in_proj_bias, m.out_proj.weight, m.out_proj.bias
        want = literal.augmented_words_multi_head(words[c], lists, heads, *parameters)
        assert (got[c] - torch.stack(want)).abs().max() < 1e-10


def test_mha_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="attention_heads=3 does not divide"):
        build_head("sfar", D, 0.1, ModelConfig(attention="mha", attention_heads=3))


def test_one_branch_alone():
    torch.manual_seed(0)
    frames, texts, scale = random_frames(), random_texts(), torch.tensor(1.0)
    both = build_head("sfar", D, 0.1, PRINTED)
    coarse, fine = (build_head("sfar", D, 0.1, ModelConfig(**{off: False})) for off in ("fine", "coarse"))
    coarse.load_state_dict({k: v for k, v in both.state_dict().items() if "fine" not in k})
    fine.load_state_dict({k: v for k, v in both.state_dict().items() if "ffn_fine" in k})
    a, b, o = coarse(frames, texts, scale), fine(frames, texts, scale), both(frames, texts, scale)
    assert a.fine is None and b.coarse is None
    assert torch.allclose(
        coarse.embed(frames, texts)[0] + fine.embed(frames, texts)[0], both.embed(frames, texts)[0], atol=1e-7
    )  # Eq. 11 adds the two
    assert torch.equal(a.coarse, o.coarse) and torch.equal(b.fine, o.fine)
    garbage = dataclasses.replace(texts, words=torch.full_like(texts.words, float("nan")))
    assert torch.equal(
        fine(frames, garbage, scale).logits, b.logits
    )  # the fine branch knows the class only by its sub-texts


def test_augmented_words_are_kept_until_something_changes():
    """Without gradients Eq. 4-6 are computed once; other texts, other weights and another copy of the head get their own."""
    head, frames, texts, scale = build_head("sfar", D, 0.1, PRINTED), random_frames(), random_texts(), torch.tensor(1.0)
    calls = []
    head.attention.register_forward_hook(lambda *_: calls.append(1))

    def logits(h, t):
        with torch.no_grad():
            return h(frames, t, scale).logits

    first = logits(head, texts)
    assert torch.equal(logits(head, texts), first) and len(calls) == 1
    other = dataclasses.replace(texts, words=texts.words + 1)
    assert not torch.equal(logits(head, other), first) and torch.equal(logits(head, texts), first)
    copied = copy.deepcopy(head)
    with torch.no_grad():
        head.attention.wv.add_(0.3)
    moved = logits(head, texts)
    assert not torch.equal(moved, first) and torch.equal(logits(copied, texts), first)
    assert torch.allclose(head(frames, texts, scale).logits, moved, atol=1e-6)
    head.load_state_dict(copied.state_dict())
    assert torch.equal(logits(head, texts), first)


def test_without_ffn_the_embeddings_are_added():
    frames, texts = random_frames(), random_texts()
    head = build_head("sfar", D, 0.1, ModelConfig(ffn="none"))
    o, coarse, fine = head.embed(frames, texts)
    want = E.aggregate(E.unit(frames), coarse) + E.aggregate(E.unit(frames), fine)
    assert torch.allclose(o, want, atol=1e-6)
    assert torch.allclose(
        head(frames, texts, torch.tensor(1.0)).logits, torch.cosine_similarity(want, texts.cls, dim=-1), atol=1e-6
    )


def test_residual_ffn():
    torch.manual_seed(0)
    frames, texts = random_frames(), random_texts()
    plain, residual, none = (
        build_head("sfar", D, 0.1, c) for c in (PRINTED, ModelConfig(ffn_residual=True), ModelConfig(ffn="none"))
    )
    residual.load_state_dict(plain.state_dict())
    none.load_state_dict({k: v for k, v in plain.state_dict().items() if "ffn" not in k})
    a, b, c = (h.embed(frames, texts)[0] for h in (plain, residual, none))
    assert torch.allclose(a + c, b, atol=1e-6)


def test_the_constant_of_eq_9_follows_the_texts():
    # The head keeps it between calls: other texts, and another copy of the head, must not get a stale one.
    head, frames, scale = build_head("sfar", D, 0.1, PRINTED), random_frames(), torch.tensor(1.0)
    first, second = random_texts(1), random_texts(2)
    a, b = head(frames, first, scale), head(frames, second, scale)
    assert not torch.allclose(a.fine, b.fine)
    assert torch.equal(head(frames, first, scale).fine, a.fine)
    assert torch.equal(head(frames, second.select(torch.tensor([2, 0])), scale).fine, b.fine[:, [2, 0]])
    assert torch.equal(copy.deepcopy(head)(frames, second, scale).logits, b.logits)
    assert not any("mean" in name for name in head.state_dict())


# --- class texts ---


def test_class_texts_shapes_and_masks():
    t = class_texts(tiny.clip(), tiny.CLASSES, tiny.SUBTEXTS, tiny.MODEL)
    d = tiny.CONFIG["embed_dim"]
    assert (
        t.cls.shape == (3, d)
        and t.words.shape[::2] == (3, d)
        and t.sub_words.shape[:2] == (3, 4)
        and t.sub_words.shape[-1] == d
    )
    # "This is a video about" is 5 tokens, "long jump" 2, "juggling balls" 3, "yoga" 1; and the end of the text
    assert t.mask.sum(1).tolist() == [8, 9, 7] and t.mask.shape[1] == 9
    assert t.sub_mask.sum(-1)[0].tolist() == [5, 3, 5, 3]
    assert (t.words[~t.mask] == 0).all() and (t.sub_words[~t.sub_mask] == 0).all()
    assert not any(getattr(t, f.name).requires_grad for f in dataclasses.fields(t))


def test_class_texts_use_the_prompt():
    a, b = (
        class_texts(tiny.clip(), tiny.CLASSES, tiny.SUBTEXTS, ModelConfig(prompt=p)) for p in ("{}", "a photo of {}")
    )
    assert a.mask.sum(1).tolist() == [3, 4, 2] and b.mask.sum(1).tolist() == [6, 7, 5]
    assert torch.equal(a.sub_words, b.sub_words)  # sub-texts stand alone


@pytest.mark.parametrize("given", [3, 5, 0, None])
def test_a_class_without_n_subtexts(given):
    subtexts = dict(tiny.SUBTEXTS)
    if given is None:
        del subtexts["yoga"]
    else:
        subtexts["yoga"] = ["bending"] * given
    with pytest.raises(ConfigError, match=rf"class 'yoga' has {given or 0} sub-texts, expected 4 \(model.n_subtexts\)"):
        class_texts(tiny.clip(), tiny.CLASSES, subtexts, tiny.MODEL)


@pytest.mark.parametrize("pick", [torch.tensor([2, 0]), torch.tensor([True, False, True]), torch.tensor([1])])
def test_select(pick):
    texts, frames, scale = random_texts(), random_frames(), torch.tensor(1.0)
    some = texts.select(pick)
    for f in dataclasses.fields(texts):
        assert torch.equal(getattr(some, f.name), getattr(texts, f.name)[pick])
    for method in METHODS:
        torch.manual_seed(0)
        head = build_head(method, D, 0.1, tiny.MODEL).eval()
        assert torch.allclose(head(frames, some, scale).logits, head(frames, texts, scale).logits[:, pick], atol=1e-6)


# --- the whole model ---


@pytest.mark.parametrize("method", METHODS)
def test_video_model_end_to_end(method):
    model = tiny.model(method)
    x = torch.randn(2, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    out = model(x)
    assert out.logits.shape == (2, 3) and out.logits.isfinite().all()
    frames = torch.stack([model.clip.encode_image(v) for v in x])
    assert torch.allclose(embed_frames(model.clip, x), frames, atol=1e-5)
    assert torch.allclose(out.logits, model.head(frames, model.texts, model.clip.logit_scale.exp()).logits, atol=1e-4)
    out.logits.square().sum().backward()
    with_gradient = {n for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("train_visual", [True, False])
def test_groups_hold_each_trained_parameter_once(method, train_visual):
    model = tiny.model(method, train_visual=train_visual)
    groups = model.groups()
    ids = [id(p) for g in groups.values() for p in g]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(p) for p in groups["head"]} == {id(p) for p in model.head.parameters()}
    names = {n for n, p in model.clip.named_parameters() if p.requires_grad}
    visual = {n for n, _ in model.clip.named_parameters() if n.startswith("visual.")}
    assert names == {"logit_scale"} | (visual if train_visual else set())
    assert len(groups["clip"]) == len(names)


def test_the_texts_go_where_the_model_goes_but_not_into_a_checkpoint():
    model = tiny.model()
    x = torch.randn(1, 2, 3, tiny.SIZE, tiny.SIZE)
    before = model(x).logits
    assert not any("texts" in k for k in model.state_dict())
    model.double()
    assert model.texts.words.dtype == torch.float64 and model.texts.mask.dtype == torch.bool
    after = model(x.double()).logits
    assert after.dtype == torch.float64 and torch.allclose(after.float(), before, atol=1e-3)
    model.to("meta")
    assert model.texts.sub_words.device.type == "meta"


@pytest.mark.parametrize("scale", [float("nan"), -float("inf"), -1000.0, 1000.0])
def test_a_frame_temperature_that_is_no_number(scale):
    clip = tiny.clip()
    with torch.no_grad():
        clip.logit_scale.fill_(scale)
    with pytest.raises(ConfigError, match="set model.frame_temperature"):
        VideoModel("sfar", clip, tiny.model().texts, tiny.MODEL)


def test_the_head_is_the_one_of_the_configuration():
    assert isinstance(tiny.model("sfar").head, SFAR)
    assert tiny.model("sfar", cfg=ModelConfig(frame_temperature=0.25)).head.tau == 0.25
