"""BIKE, ATM and VideoPrompt without and with FVE: against loops, and what the plug adds, what is trained and what stays as it is."""

import copy

import pytest
import tiny
import torch

from sfar.errors import ConfigError
from sfar.model import literal
from sfar.model.clip import encode_words, token_ids, tokenize
from sfar.runs import hosts as H
from sfar.training.train import seed_everything, train

L = 5
FINE = "fve.ffn_fine."


def build(host, plug="none", seed=0, frames=L):
    """A host on the tiny CLIP, its head drawn from ``seed``."""
    model = tiny.model("vanilla", train_visual=False)
    seed_everything(seed)
    return H.into_host(model, host, plug, tiny.CLASSES, frames, tiny.MODEL)


def shaken(model, seed=3):
    """The same model with large random head weights, in double precision: no zero start hides anything."""
    g = torch.Generator().manual_seed(seed)
    for p in model.head.parameters():
        p.data = torch.randn(p.shape, generator=g) * 0.3
    return model.double()


def frames(b=2, seed=1):
    return torch.randn(b, L, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def host_of(model):
    return model.head.host if hasattr(model.head, "host") else model.head


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
        ys = [x + p for x, p in zip(xs, transformer.position.weight)]
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
        return [y + x for y, x in zip(ys, xs)] if residual else ys

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


@pytest.mark.parametrize("plug", H.PLUGS)
@pytest.mark.parametrize("host", H.HOSTS)
@torch.no_grad()
def test_every_host_equals_its_loops(host, plug):
    model, x = shaken(build(host, plug)), frames()
    own, t, scale = host_of(model), model.texts, model.clip.logit_scale.exp()
    words = [w[m] for w, m in zip(t.words, t.mask)]
    fine = None
    if plug != "none":
        subs = [[s[m] for s, m in zip(*c)] for c in zip(t.sub_words, t.sub_mask)]
        layers = model.head.fve.ffn_fine.layers
        ffn = lambda o: literal.feed_forward(o, *pair(layers[0]), *pair(layers[2]))  # noqa: E731
        fine = lambda video, c: literal.fine_branch(video, subs[c], ffn, 1 / scale if plug == "fine" else None)  # noqa: E731
    if host == "bike":
        expected = literal.bike(x, t.cls, words, scale, 1 / scale, temporal(own.transformer, True), fine)
    elif host == "atm":
        blocks = [
            (name, (pair(b.down), norm(b.norm), pair(b.layers[0]), pair(b.layers[2]), pair(b.mix), pair(b.up)))
            for name, b in zip(("multiply", "subtract"), own.blocks)
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


@pytest.mark.parametrize("host", H.HOSTS)
def test_a_video_alone_is_the_video_in_its_batch(host):
    model, x = shaken(build(host, "fine")), frames(4)
    together = model.from_embeddings(x).logits
    assert torch.cat([model.from_embeddings(v[None]).logits for v in x]).allclose(together, atol=1e-9)


# --- the plug ---


@pytest.mark.parametrize("plug", ["mean", "fine"])
@pytest.mark.parametrize("host", H.HOSTS)
def test_the_plug_adds_its_ffn_and_nothing_else(host, plug):
    alone, plugged = build(host), build(host, plug)
    names = {n: p for n, p in plugged.head.named_parameters() if not n.startswith("host.")}
    assert all(n.startswith(FINE) for n in names) and sum(p.numel() for p in names.values()) == 2 * (16 * 16 + 16)
    assert {n: p.shape for n, p in alone.head.named_parameters()} == {
        n: p.shape for n, p in plugged.head.host.named_parameters()
    }
    assert all(a.equal(b) for a, b in zip(alone.head.parameters(), plugged.head.host.parameters())), (
        "a pair starts from the same host"
    )
    trained = [
        {n for n, p in m.named_parameters() if p.requires_grad and not n.startswith("head.")} for m in (alone, plugged)
    ]
    assert trained[0] == trained[1] == ({"clip.logit_scale"} if host == "bike" else set())


@pytest.mark.parametrize("host", H.HOSTS)
def test_a_plug_that_says_nothing_changes_nothing(host):
    x = frames().float()
    plugged = build(host, "fine")
    for p in plugged.head.fve.ffn_fine.layers[2].parameters():
        p.data.zero_()
    assert plugged.from_embeddings(x).logits.equal(build(host).from_embeddings(x).logits)


@pytest.mark.parametrize("host", ["bike", "videoprompt"])
def test_what_it_says_is_added_to_the_video_embedding(host):
    x = frames().float()
    plugged = build(host, "fine")
    extra = plugged.head.fve.embed(x, plugged.texts)[0]
    assert extra.shape == (2, 3, 16)
    assert plugged.from_embeddings(x).video.equal(build(host).from_embeddings(x).video + extra)


def test_the_control_weighs_every_frame_alike():
    a = build("bike", "mean").from_embeddings(frames().float()).fine
    assert a.equal(torch.full((2, 3, L), 1 / L))
    assert build("bike", "fine").from_embeddings(frames().float()).fine.std() > 1e-3


# --- the hosts ---


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
    for own, real, plain in zip(head.ids, head.real, ids):
        assert own[real].equal(plain[plain > 0]) and real.nonzero()[:2, 0].tolist() == [0, 17] and not own[~real].any()


def test_without_learned_vectors_the_prompt_is_clips_own_text(monkeypatch):
    monkeypatch.setattr(H.VideoPrompt, "AROUND", 0)
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
    with pytest.raises(ConfigError, match="44 tokens.*does not fit into CLIP's window of 77"):
        H.into_host(model, "videoprompt", "none", ["yoga", long], L, tiny.MODEL)
    fits = " ".join(["jump"] * 43)
    assert H.into_host(model, "videoprompt", "none", [fits], L, tiny.MODEL).head.ids.argmax(1).item() == 76


def test_an_unknown_host_or_plug():
    model = tiny.model("vanilla", train_visual=False)
    for host, plug in (("tsn", "none"), ("bike", "coarse")):
        with pytest.raises(ConfigError, match=f"unknown host '{host}' with plug '{plug}'.*videoprompt, atm, bike"):
            H.into_host(model, host, plug, tiny.CLASSES, L, tiny.MODEL)


# --- training ---


@pytest.mark.parametrize("plug", ["none", "fine"])
@pytest.mark.parametrize("host", H.HOSTS)
def test_only_the_head_and_bikes_scale_are_trained(host, plug):
    model = build(host, plug, frames=3)
    before, head = copy.deepcopy(model.clip.state_dict()), copy.deepcopy(model.head.state_dict())
    embedded = torch.randn(2, 12, 3, 16, generator=torch.Generator().manual_seed(0))
    train(model, tiny.clips(12), tiny.profile(), 0, embedded=embedded)
    changed = {n for n, p in model.clip.state_dict().items() if not p.equal(before[n])}
    assert changed == ({"logit_scale"} if host == "bike" else set())
    still = {n for n, p in model.head.state_dict().items() if p.equal(head[n])}
    assert not still - {"ids", "real"}, "a parameter that is never trained"
