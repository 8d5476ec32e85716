"""BIKE, ATM and VideoPrompt without and with FVE: against loops, what FVE adds, what is trained and what stays."""

import copy
import dataclasses

import pytest
import tiny
import torch

from sfar.errors import ConfigError
from sfar.model import literal
from sfar.model.clip import encode_words, token_ids, tokenize
from sfar.model.other_methods import FVE, OTHER_METHODS, VideoPrompt, into_other_method
from sfar.training.train import seed_everything, train

L = 5
FINE = "fve.ffn_fine."


def build(name, fve="none", seed=0, frames=L, cfg=tiny.MODEL):
    """Another method on the tiny CLIP, its head drawn from ``seed``."""
    model = tiny.model("vanilla", train_visual=False)
    seed_everything(seed)
    return into_other_method(model, name, fve, tiny.CLASSES, frames, cfg)


def shaken(model, seed=3):
    """The same model with large random head weights, in double precision: no zero start hides anything."""
    g = torch.Generator().manual_seed(seed)
    for p in model.head.parameters():
        p.data = torch.randn(p.shape, generator=g) * 0.3
    return model.double()


def frames(b=2, seed=1):
    return torch.randn(b, L, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def base_of(model):
    return model.head.base if hasattr(model.head, "base") else model.head


def pair(module):
    return module.weight, module.bias


# --- against loops ---


def norm(module):
    return module.weight, module.bias, module.eps


def attention(module):
    return module.in_proj_weight, module.in_proj_bias, module.out_proj.weight, module.out_proj.bias


def temporal(transformer, residual):
    """The temporal transformer as a function list to list."""

    def run(xs):
        ys = [x + p for x, p in zip(xs, transformer.position.weight, strict=False)]
        for b in transformer.blocks:
            ys = literal.transformer_block(
                ys,
                1,
                norm(b.ln1),
                attention(b.attention),
                norm(b.ln2),
                (*pair(b.mlp[0]), *pair(b.mlp[2])),
                literal.quick_gelu,
            )
        return [y + x for y, x in zip(ys, xs, strict=True)] if residual else ys

    return run


def prompted(clip, name, vectors):
    def block(b):
        return lambda xs: literal.transformer_block(
            xs,
            2,
            norm(b.ln_1),
            attention(b.attn),
            norm(b.ln_2),
            (*pair(b.mlp.c_fc), *pair(b.mlp.c_proj)),
            literal.gelu,
            causal=True,
        )

    return literal.prompted_text(
        token_ids(name),
        lambda i: clip.token_embedding.weight[i],
        vectors,
        clip.positional_embedding,
        [block(b) for b in clip.transformer.resblocks],
        norm(clip.ln_final),
        clip.text_projection,
    )


@pytest.mark.parametrize("fve", FVE)
@pytest.mark.parametrize("name", OTHER_METHODS)
@torch.no_grad()
def test_every_method_equals_its_loops(name, fve):
    model, x = shaken(build(name, fve)), frames()
    own, t, scale = base_of(model), model.texts, model.clip.logit_scale.exp()
    words = [w[m] for w, m in zip(t.words, t.mask, strict=True)]
    fine = None
    if fve != "none":
        subs = [[s[m] for s, m in zip(*c, strict=True)] for c in zip(t.sub_words, t.sub_mask, strict=True)]
        layers = model.head.fve.ffn_fine.layers

        def ffn(o):
            return literal.feed_forward(o, *pair(layers[0]), *pair(layers[2]), tiny.MODEL.ffn_residual)

        def fine(video, c):
            tau = 1 / scale if fve == "fine" else None
            return literal.fine_branch(video, subs[c], ffn, tau, tiny.MODEL.frame_norm)

    if name == "bike":
        expected = literal.bike(x, t.cls, words, scale, 1 / scale, temporal(own.transformer, True), fine)
    elif name == "atm":
        blocks = [
            (name, (pair(b.down), norm(b.norm), pair(b.layers[0]), pair(b.layers[2]), pair(b.mix), pair(b.up)))
            for name, b in zip(("multiply", "subtract"), own.blocks, strict=True)
        ]
        expected = literal.atm(x, t.cls, blocks, pair(own.fc), scale, fine)
    else:
        expected = literal.video_prompt(
            x,
            [prompted(model.clip, n, own.vectors.weight) for n in tiny.CLASSES],
            temporal(own.transformer, False),
            fine,
        )
    got = model.from_embeddings(x)
    assert (
        got.logits.shape == (2, 3) and (got.logits - expected).abs().max() < 1e-6 * expected.abs().max()
    )  # 1 / logit scale is kept as a single-precision number
    assert expected.std() > 0.1


@pytest.mark.parametrize("name", OTHER_METHODS)
def test_a_video_alone_is_the_video_in_its_batch(name):
    model, x = shaken(build(name, "fine")), frames(4)
    together = model.from_embeddings(x).logits
    assert torch.cat([model.from_embeddings(v[None]).logits for v in x]).allclose(together, atol=1e-9)


# --- the fve ---


@pytest.mark.parametrize("fve", ["mean", "fine"])
@pytest.mark.parametrize("name", OTHER_METHODS)
def test_fve_adds_its_ffn_and_nothing_else(name, fve):
    alone, with_fve = build(name), build(name, fve)
    names = {n: p for n, p in with_fve.head.named_parameters() if not n.startswith("base.")}
    assert all(n.startswith(FINE) for n in names) and sum(p.numel() for p in names.values()) == 2 * (16 * 16 + 16)
    assert {n: p.shape for n, p in alone.head.named_parameters()} == {
        n: p.shape for n, p in with_fve.head.base.named_parameters()
    }
    assert all(a.equal(b) for a, b in zip(alone.head.parameters(), with_fve.head.base.parameters(), strict=True)), (
        "a pair starts from the same weights"
    )
    trained = [
        {n for n, p in m.named_parameters() if p.requires_grad and not n.startswith("head.")} for m in (alone, with_fve)
    ]
    assert trained[0] == trained[1] == ({"clip.logit_scale"} if name == "bike" else set())


@pytest.mark.parametrize("name", OTHER_METHODS)
def test_fve_that_says_nothing_changes_nothing(name):
    x = frames().float()
    with_fve = build(name, "fine", cfg=dataclasses.replace(tiny.MODEL, ffn_residual=False))
    for p in with_fve.head.fve.ffn_fine.layers[2].parameters():
        p.data.zero_()
    assert with_fve.from_embeddings(x).logits.equal(build(name).from_embeddings(x).logits)


@pytest.mark.parametrize("name", ["bike", "videoprompt"])
def test_what_it_says_is_added_to_the_video_embedding(name):
    x = frames().float()
    with_fve = build(name, "fine")
    extra = with_fve.head.fve.embed(x, with_fve.texts)[0]
    assert extra.shape == (2, 3, 16)
    assert with_fve.from_embeddings(x).video.equal(build(name).from_embeddings(x).video + extra)


def test_the_control_weighs_every_frame_alike():
    a = build("bike", "mean").from_embeddings(frames().float()).fine
    assert a.equal(torch.full((2, 3, L), 1 / L))
    assert build("bike", "fine").from_embeddings(frames().float()).fine.std() > 1e-3


# --- the methods ---


def test_bike_alone_is_the_row_of_table_1():
    x = frames().float()
    assert (
        build("bike", seed=4)
        .from_embeddings(x)
        .logits.equal(tiny.model("single", seed=4, train_visual=False).from_embeddings(x).logits)
    )


def test_atm_starts_as_a_classifier_of_the_mean_frame_and_learns_the_order():
    x = frames().float()
    model = build("atm")
    assert model.from_embeddings(x).logits.equal(model.head.fc(x.mean(1)))
    model = shaken(model)
    assert (
        model.from_embeddings(x.double()).logits - model.from_embeddings(x.double().flip(1)).logits
    ).abs().max() > 1e-3


def test_the_end_token_is_found_behind_the_learned_vectors():
    model = build("videoprompt")
    head, ids = model.head, tokenize(tiny.CLASSES)
    lengths = (ids > 0).sum(1)  # start and end included
    assert len(set(lengths.tolist())) > 1, "names of different lengths"
    assert head.ids.argmax(1).tolist() == (lengths - 1 + 32).tolist() and head.real.sum(1).equal(lengths)
    for own, real, plain in zip(head.ids, head.real, ids, strict=True):
        assert own[real].equal(plain[plain > 0]) and real.nonzero()[:2, 0].tolist() == [0, 17] and not own[~real].any()


def test_without_learned_vectors_the_prompt_is_clips_own_text(monkeypatch):
    monkeypatch.setattr(VideoPrompt, "AROUND", 0)
    model = build("videoprompt")
    assert model.head.class_embeddings().allclose(encode_words(model.clip, tokenize(tiny.CLASSES)).cls, atol=1e-6)


def test_gradients_reach_the_learned_vectors_before_the_end_and_no_other():
    model = build("videoprompt")
    model.from_embeddings(frames().float()).logits.log_softmax(-1)[:, 0].sum().backward()
    grad = model.head.vectors.weight.grad.abs().sum(1)
    last = int(model.head.ids.argmax(1).max())
    assert (grad[1:17] > 0).all() and (grad[last - 16 : last] > 0).all()
    assert grad[0] == 0 and (grad[last:] == 0).all()
    assert all(p.grad is None for p in model.clip.parameters())


def test_a_class_name_that_does_not_fit():
    model = tiny.model("vanilla", train_visual=False)
    long = " ".join(["jump"] * 44)
    with pytest.raises(ConfigError, match=r"44 tokens.*does not fit into CLIP's window of 77"):
        into_other_method(model, "videoprompt", "none", ["yoga", long], L, tiny.MODEL)
    fits = " ".join(["jump"] * 43)
    assert into_other_method(model, "videoprompt", "none", [fits], L, tiny.MODEL).head.ids.argmax(1).item() == 76


def test_an_unknown_method_or_kind_of_fve():
    model = tiny.model("vanilla", train_visual=False)
    for name, fve in (("tsn", "none"), ("bike", "coarse")):
        with pytest.raises(ConfigError, match=rf"unknown method '{name}' with FVE '{fve}'.*videoprompt, atm, bike"):
            into_other_method(model, name, fve, tiny.CLASSES, L, tiny.MODEL)


# --- training ---


@pytest.mark.parametrize("fve", ["none", "fine"])
@pytest.mark.parametrize("name", OTHER_METHODS)
def test_only_the_head_and_bikes_scale_are_trained(name, fve):
    model = build(name, fve, frames=3)
    before, head = copy.deepcopy(model.clip.state_dict()), copy.deepcopy(model.head.state_dict())
    embedded = torch.randn(2, 12, 3, 16, generator=torch.Generator().manual_seed(0))
    train(model, tiny.clips(12), tiny.profile(), 0, embedded=embedded)
    changed = {n for n, p in model.clip.state_dict().items() if not p.equal(before[n])}
    assert changed == ({"logit_scale"} if name == "bike" else set())
    still = {n for n, p in model.head.state_dict().items() if p.equal(head[n])}
    assert not still - {"ids", "real"}, "a parameter that is never trained"
