"""TC-CLIP: its context tokens and its prompts against loops, the short way against the long one, and its numbers."""

import copy
import dataclasses
import math

import pytest
import tiny
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import build, embed_frames, load_clip, token_ids
from sfar.model.cost import macs as tower_cost
from sfar.model.cost import skeleton
from sfar.model.systems import tc_clip
from sfar.model.systems.tc_clip import TCCLIP, ContextTower, Generator
from sfar.model.texts import Prompts
from sfar.model.tower import VideoTower
from sfar.model.video_model import VideoModel
from sfar.runs.run import method_texts
from sfar.training import checkpoint
from sfar.training.train import seed_everything

PROMPT = "a photo of a {}."
CFG = dataclasses.replace(tiny.MODEL, prompt=PROMPT)
OTHERS = {"pole vault": tiny.SUBTEXTS["long jump"][::-1], "mopping floor": tiny.SUBTEXTS["yoga"][::-1]}
L = 8


def clip(text_width=16, layers=3):
    """A drawn CLIP of which attention differs between tokens."""
    config = copy.deepcopy(tiny.CONFIG)
    config["vision_cfg"]["layers"], config["text_cfg"]["width"] = layers, text_width
    torch.manual_seed(0)
    made = build(config).eval()
    with torch.no_grad():
        for block in (*made.visual.transformer.resblocks, *made.transformer.resblocks):
            for p in block.parameters():
                p.add_(torch.randn_like(p), alpha=0.2)
        made.positional_embedding.mul_(20)
        made.token_embedding.weight.mul_(20)
    return made


def prompts(of, texts=None):
    texts = texts or {name: tiny.SUBTEXTS[name] for name in tiny.CLASSES}
    return Prompts(of, list(texts), texts, CFG, sub_texts=False)


def model(train_text="tower", text_width=16, seed=0):
    own = clip(text_width)
    said = prompts(own)
    seed_everything(seed)
    made = VideoModel("tc-clip", own, said, CFG, True, train_text, L).eval()
    with torch.no_grad():
        made.tower.beta.normal_()  # two hundredths would hide a mistake
    return made


def videos(b=2, length=L, seed=0):
    return torch.randn(b, length, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(p.numel() for p in module.parameters())


# --- numbers of the published size ---------------------------------------------------------------------------------


def test_parameters_at_full_size():
    big = skeleton("ViT-B-16-quickgelu")
    head, tower = TCCLIP(512, 0.01, big, PROMPT), ContextTower(big, 8)
    assert count(head.generator) == 3_153_408 and head.vectors.shape == (4, 512) and count(tower) == 264
    assert count(head) + count(tower) == 3_155_720
    trained = count(big) - big.token_embedding.weight.numel() + count(head) + count(tower)
    assert trained == 127_479_561
    assert (tower.seeds, tower.k) == (58, 96)


def test_parameters_at_small_size():
    small = load_clip("storyboard")
    head, tower = TCCLIP(128, 0.01, small, PROMPT), ContextTower(small, 8)
    assert count(head) + count(tower) == 118_648
    assert (tower.seeds, tower.k) == (4, 4)


def test_macs_beside_the_published_size():
    big = skeleton("ViT-B-16-quickgelu")
    added, clips = tc_clip.macs(big, 16, 400, 12), sum(tower_cost("ViT-B-16-quickgelu", 16)["components"].values())
    context = sum(v for k, v in added["tower"].items() if k != "merging") / 1e9
    assert 0.03 < context / clips < 0.05
    assert sum(added["prompts"].values()) / 1e9 < 0.01 * clips
    small = load_clip("storyboard")
    clips = 122e6  # of 8 frames
    released = tc_clip.macs(small, 8, 45, 30)["released"]
    assert released["text_tower"] / clips == pytest.approx(3.7, rel=0.06)
    # The generator on four vectors for each pair, their keys and values, the row of the end token: about 60 w^2.
    short = tc_clip.macs(small, 8, 45, 12)["prompts"]
    each = 45 * (short["generator"] + short["keys_and_values"]) + short["end_tokens"]
    assert each / (45 * 60 * 96**2) == pytest.approx(1, rel=0.2)
    assert sum(short.values()) < each / 4


def counted(run):
    """Multiply-accumulates of all matrix products."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def test_macs_are_what_is_computed():
    m = model(text_width=24)
    x = videos(1)
    want = tc_clip.macs(m.clip, L, 3, int(m.said.ids.argmax(-1).max()) + 1)
    got = counted(lambda: m.tower(x)) - counted(lambda: VideoTower(m.clip, L)(x))
    assert got == sum(want["tower"].values())
    seen = m.tower(x)
    got = counted(lambda: m.head.said(m.said, seen, m.clip))
    assert got == pytest.approx(sum(want["prompts"].values()) + sum(want["cached"].values()), rel=0.02)
    h = m.head._before(m.said.ids, m.clip)
    assert counted(lambda: m.head._before(m.said.ids, m.clip)) == want["cached"]["blocks"]
    assert counted(lambda: m.head.generator(h[0, 1:5], seen.context)) == want["prompts"]["generator"]


# --- context tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seeds, k, want",
    [
        (464, 96, [100, 100, 100, 68]),
        (928, 96, [100] * 8 + [32]),
        (32, 4, [16, 8, 4]),
        (7, 3, [3, 1]),
        (4, 4, []),
        (3, 5, []),
    ],
)
def test_rounds_of_merging(seeds, k, want):
    assert tc_clip.rounds(seeds, k) == want


def plain_merge(tokens, k):
    """``merge`` of the vectors of one video, with the seeds in each token listed."""
    groups = [[t] for t in tokens]
    while len(groups) > k:
        means = [sum(g) / len(g) for g in groups]
        units = [m / m.norm() for m in means]
        even, odd = range(0, len(groups), 2), range(1, len(groups), 2)
        pairs = []
        for i in even:
            cosines = {j: float(units[i] @ units[j]) for j in odd}
            j = max(cosines, key=cosines.__getitem__)
            pairs.append((cosines[j], i, j))
        pairs.sort(reverse=True)
        r = min(100, len(groups) // 2, len(groups) - k)
        joined = {j: list(groups[j]) for j in odd}
        for _, i, j in pairs[:r]:
            joined[j] += groups[i]
        groups = [groups[i] for _, i, _ in pairs[r:]] + [joined[j] for j in odd]
    return [sum(g) / len(g) for g in groups]


@pytest.mark.parametrize("seeds, k", [(32, 4), (29, 5), (7, 3), (230, 11), (4, 4), (3, 5)])
def test_merging_is_that_of_loops(seeds, k):
    x = torch.randn(3, seeds, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seeds))
    got = tc_clip.merge(x, k)
    for b in range(3):
        assert torch.allclose(got[b], torch.stack(plain_merge(list(x[b]), k)), atol=1e-12)


def norm(x, ln):
    centred = x - x.mean()
    return centred / (centred.square().mean() + ln.eps).sqrt() * ln.weight + ln.bias


def mlp(x, block):
    hidden = block.mlp[1](block.mlp[0].weight @ norm(x, block.ln_2) + block.mlp[0].bias)
    return x + block.mlp[2].weight @ hidden + block.mlp[2].bias


def head_weights(q, keys, betas, size):
    e = [math.exp(float(q @ k) / math.sqrt(size) + float(beta)) for k, beta in zip(keys, betas, strict=True)]
    return [x / sum(e) for x in e]


def plain_tower(tower, images):
    """Frame embeddings and Z of one video: each token, head and key by itself."""
    v, heads = tower.visual, tower.heads
    frames = [list(x) for x in tower.enter(images)]
    size = tower.width // heads
    context = []
    for number, block in enumerate(tower.blocks):
        w, bias = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
        project = lambda t, i: (w[i] @ norm(t, block.ln_1) + bias[i]).split(size)  # noqa: E731, B023
        shared = [(project(t, 1), project(t, 2)) for t in context]
        after, seeds = [], []
        for tokens in frames:
            seen = [(project(t, 1), project(t, 2)) for t in tokens] + shared
            betas = [0] * len(seen)
            looked = [0.0] * len(tokens)
            out = []
            for place, t in enumerate(tokens):
                q, parts = project(t, 0), []
                for h in range(heads):
                    if number:
                        own, other = tower.beta[number - 1, h]
                        betas = [own] * len(tokens) + [other] * len(shared)
                    a = head_weights(q[h], [k[h] for k, _ in seen], betas, size)
                    parts.append(sum(x * value[h] for x, (_, value) in zip(a, seen, strict=True)))
                    if place == 0:
                        looked = [was + x for was, x in zip(looked, a, strict=False)]
                out.append(t + block.attn.out_proj.weight @ torch.cat(parts) + block.attn.out_proj.bias)
            after.append(out)
            patches = sorted(range(1, len(tokens)), key=lambda p: -looked[p])
            seeds += [out[p] for p in patches[: tower.seeds]]
        context = [mlp(t, block) for t in plain_merge(seeds, tower.k)]
        frames = [[mlp(t, block) for t in tokens] for tokens in after]
    leave = lambda t: norm(t, v.ln_post) @ v.proj  # noqa: E731
    return torch.stack([leave(tokens[0]) for tokens in frames]), torch.stack([leave(t) for t in context])


@torch.no_grad()
def test_the_tower_is_that_of_loops():
    m = model().double()
    x = videos().double()
    seen = m.tower(x)
    assert seen.context.shape == (2, 4, tiny.CONFIG["embed_dim"])
    for b in range(2):
        frames, z = plain_tower(m.tower, x[b])
        assert torch.allclose(seen.frames[b], frames, atol=1e-9)
        assert torch.allclose(seen.context[b], z, atol=1e-9)


@torch.no_grad()
def test_a_tower_that_does_not_look_at_context_is_clips():
    m = model()
    m.tower.beta[..., 1] = -1e9
    x = videos()
    assert torch.allclose(m.tower(x).frames, embed_frames(m.clip, x), atol=1e-5)
    m.tower.beta[..., 1] = 0
    assert not torch.allclose(m.tower(x).frames, embed_frames(m.clip, x), atol=1e-3)


@torch.no_grad()
def test_another_number_of_frames():
    m = model()
    for length in (1, 3):  # so few have less seeds than context tokens, or just as many
        seen = m.tower(videos(1, length))
        assert seen.frames.shape[1] == length and seen.context.shape[1] == 4 and seen.frames.isfinite().all()


def test_blocks_that_are_computed_again_have_the_same_gradients():
    x, found = videos(), []
    for again in (False, True):
        m = model()
        m.clip.visual.set_grad_checkpointing(again)
        m(x).logits.square().sum().backward()
        found.append({n: p.grad for n, p in m.named_parameters() if p.grad is not None})
    assert all(torch.allclose(found[0][n], g, rtol=1e-4, atol=1e-4) for n, g in found[1].items())


# --- prompts -------------------------------------------------------------------------------------------------------


def long_way(m, ids, z):
    """Class embedding of one class for one video: the whole text tower, the vectors changed before its last block."""
    clip, head = m.clip, m.head
    x = clip.token_embedding(ids)
    x = torch.cat([x[:1], head.vectors, x[5:]]) + clip.positional_embedding
    *blocks, last = clip.transformer.resblocks
    for block in blocks:
        x = block(x[None], attn_mask=clip.attn_mask)[0]
    x = torch.cat([x[:1], plain_generator(head.generator, x[1:5], z), x[5:]])
    x = clip.ln_final(last(x[None], attn_mask=clip.attn_mask)[0])
    return x[ids.argmax()] @ clip.text_projection


def plain_generator(g, vectors, z):
    attn = g.attn
    heads, width = attn.num_heads, attn.embed_dim
    w = (
        attn.in_proj_weight.chunk(3)
        if attn.in_proj_weight is not None
        else (attn.q_proj_weight, attn.k_proj_weight, attn.v_proj_weight)
    )
    bias, size = attn.in_proj_bias.chunk(3), width // heads
    heard = [norm(t, g.ln_kv) for t in z]
    keys, values = ([(w[i] @ t + bias[i]).split(size) for t in heard] for i in (1, 2))
    out = []
    for p in vectors:
        q, parts = (w[0] @ norm(p, g.ln_1) + bias[0]).split(size), []
        for h in range(heads):
            a = head_weights(q[h], [k[h] for k in keys], [0] * len(keys), size)
            parts.append(sum(x * v[h] for x, v in zip(a, values, strict=True)))
        p = p + attn.out_proj.weight @ torch.cat(parts) + attn.out_proj.bias
        out.append(mlp(p, g))
    return torch.stack(out)


@pytest.mark.parametrize("text_width", [16, 24])
@torch.no_grad()
def test_the_short_way_is_the_long_one(text_width):
    """The whole text tower for each video and class; classes of other lengths, which are cropped and masked."""
    m = model(text_width=text_width).double()
    seen = m.tower(videos().double())
    got = m.head.said(m.said, seen, m.clip)
    assert len(set(m.said.ids.argmax(-1).tolist())) == 3
    for b in range(2):
        want = torch.stack([long_way(m, ids, seen.context[b]) for ids in m.said.ids])
        assert torch.allclose(got[b], want, atol=1e-9)
    assert (got[0] - got[1]).abs().max() > 1e-3
    o = seen.frames.mean(1)
    want = m.clip.logit_scale.exp() * torch.cosine_similarity(o[:, None], got, dim=-1)
    assert torch.allclose(m(videos().double()).logits, want, atol=1e-9)


def test_the_short_way_has_the_gradients_of_the_long_one():
    found = []
    for short in (True, False):
        m = model(text_width=24).double()
        z = torch.randn(2, 4, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        said = (
            m.head.said(m.said, dataclasses.replace(m.tower(videos().double()), context=z), m.clip)
            if short
            else torch.stack([torch.stack([whole(m, ids, own) for ids in m.said.ids]) for own in z])
        )
        said.pow(3).sum().backward()
        named = {**dict(m.clip.named_parameters()), **dict(m.head.named_parameters())}
        found.append({n: p.grad for n, p in named.items() if p.grad is not None})
    assert found[0].keys() == found[1].keys() and len(found[0]) > 40
    assert all(torch.allclose(g, found[1][n], rtol=1e-7, atol=1e-7) for n, g in found[0].items())


def whole(m, ids, z):
    """As ``long_way``, with the generator itself, which has gradients."""
    clip, head = m.clip, m.head
    x = clip.token_embedding(ids)
    x = torch.cat([x[:1], head.vectors, x[5:]]) + clip.positional_embedding
    *blocks, last = clip.transformer.resblocks
    for block in blocks:
        x = block(x[None], attn_mask=clip.attn_mask)[0]
    x = torch.cat([x[:1], head.generator(x[1:5], z[None])[0], x[5:]])
    return clip.ln_final(last(x[None], attn_mask=clip.attn_mask)[0])[ids.argmax()] @ clip.text_projection


def test_where_it_starts():
    own = clip()
    last = own.transformer.resblocks[-1]
    head = TCCLIP(16, 0.01, own, PROMPT)
    ids = token_ids("a photo of a")[1:-1]
    assert torch.equal(head.vectors, own.token_embedding.weight[list(ids)])
    g = head.generator
    assert torch.equal(g.attn.in_proj_weight, last.attn.in_proj_weight) and g.attn is not last.attn
    assert torch.equal(g.ln_kv.weight, last.ln_1.weight) and torch.equal(g.mlp[2].weight, last.mlp[2].weight)
    wide = clip(24).transformer.resblocks[-1]
    g = Generator(wide, 16)
    assert torch.equal(g.attn.q_proj_weight, wide.attn.in_proj_weight[:24])
    assert torch.equal(g.attn.out_proj.weight, wide.attn.out_proj.weight)
    assert g.attn.k_proj_weight.shape == (24, 16) and not g.attn.in_proj_bias[24:].any()


@pytest.mark.parametrize("prompt", ["{}", "a video of {}", "a photo of a-{}"])
def test_a_template_without_room_for_its_vectors(prompt):
    with pytest.raises(
        ConfigError, match=r"model.prompt=.*at least 4 tokens before \{\}, in the place of which TC-CLIP"
    ):
        VideoModel("tc-clip", clip(), prompts(clip()), dataclasses.replace(CFG, prompt=prompt))


def test_a_longer_template_keeps_its_other_words():
    own, cfg = clip(), ModelConfig()  # "This is a video about {}"
    texts = Prompts(own, tiny.CLASSES, tiny.SUBTEXTS, cfg, sub_texts=False)
    m = VideoModel("tc-clip", own, texts, cfg, True, "tower", L).double()
    assert len(m.head.vectors) == 4
    z = torch.randn(4, 16, dtype=torch.float64)
    seen = dataclasses.replace(m.tower(videos(1).double()), context=z[None])
    with torch.no_grad():
        want = torch.stack([long_way(m, ids, z) for ids in texts.ids])
        assert torch.allclose(m.head.said(texts, seen, own)[0], want, atol=1e-9)


# --- in the model --------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_neither_other_videos_nor_other_classes_count():
    m = model().double()
    x = videos(3).double()
    own = m(x).logits
    assert own.shape == (3, 3)
    assert torch.allclose(torch.cat([m(x[i : i + 1]).logits for i in range(3)]), own, atol=1e-9)
    some = prompts(m.clip, {name: tiny.SUBTEXTS[name] for name in ("yoga", "long jump")})
    assert torch.allclose(m(x, some).logits, own[:, [2, 0]], atol=1e-9)
    assert m(x, prompts(m.clip, OTHERS)).logits.shape == (3, 2)
    assert torch.equal(m(x).logits, own)


@torch.no_grad()
def test_what_is_kept_of_the_texts_follows_the_weights(monkeypatch):
    m, x, made = model(), videos(1), []
    before = TCCLIP._before
    monkeypatch.setattr(TCCLIP, "_before", lambda *a: made.append(1) or before(*a))
    first = m(x).logits
    assert torch.equal(m(x).logits, first) and len(made) == 1
    for p in (m.head.vectors, m.clip.transformer.resblocks[0].mlp[0].bias):
        was = m(x).logits
        p.add_(1)
        assert not torch.equal(m(x).logits, was)
    assert len(made) == 3
    m.train()
    with torch.enable_grad():
        assert m(x).logits.requires_grad
    assert len(made) == 4


@pytest.mark.parametrize("train_text", ["frozen", "tower", "all"])
def test_what_is_trained(train_text):
    m = model(train_text)
    m(videos()).logits.square().sum().backward()
    with_gradient = {n for n, p in m.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, p in m.named_parameters() if p.requires_grad}
    added = dict(m.head.named_parameters()) | dict(m.tower.named_parameters())
    for name, p in added.items():
        assert p.grad is not None and p.grad.abs().max() > 0, name
    text = {n for n in with_gradient if n.startswith("clip.") and "visual" not in n} - {"clip.logit_scale"}
    assert ("clip.token_embedding.weight" in text) == (train_text == "all")
    assert bool(text) == (train_text != "frozen")
    assert {id(p) for p in m.groups()["head"]} == {id(p) for p in added.values()}


def test_the_prompts_send_no_gradient_into_the_tower():
    m = model()
    said = m.head.said(m.said, m.tower(videos()), m.clip)
    said.sum().backward()
    assert all(p.grad is None for p in (*m.clip.visual.parameters(), *m.tower.parameters()))


def test_half_precision():
    m = model()
    x = videos()
    with torch.autocast("cpu", torch.bfloat16):
        out = m(x)
    assert out.logits.dtype == torch.float32 and out.logits.isfinite().all()
    out.logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in m.parameters() if p.requires_grad)


@pytest.mark.parametrize("train_text", ["frozen", "tower"])
def test_a_checkpoint_has_all_that_was_trained(train_text, tmp_path):
    p = tiny.profile(train_text=train_text, frames=L)
    p = dataclasses.replace(p, model=CFG)
    m, other = model(train_text), model(train_text, seed=1)
    with torch.no_grad():
        for x in m.parameters():
            if x.requires_grad:
                x.add_(torch.randn_like(x), alpha=0.01)
        checkpoint.save(tmp_path / "m.safetensors", m, p, tuple(tiny.CLASSES), 0)
        own = m(videos()).logits
        assert not torch.equal(other(videos()).logits, own)
        checkpoint.load(tmp_path / "m.safetensors", other, p, tuple(tiny.CLASSES))
        assert torch.equal(other(videos()).logits, own)


@pytest.mark.parametrize("train_text", ["frozen", "tower"])
def test_it_reads_token_ids_whatever_is_trained(train_text):
    own, p = clip(), dataclasses.replace(tiny.profile(train_text=train_text), model=CFG)
    said = method_texts(own, p, "tc-clip", tiny.CLASSES, tiny.SUBTEXTS)
    assert isinstance(said, Prompts) and torch.equal(said.ids, prompts(own).ids)
    assert isinstance(method_texts(own, p, "vifi-clip", tiny.CLASSES, tiny.SUBTEXTS), Prompts) == (
        train_text == "tower"
    )
