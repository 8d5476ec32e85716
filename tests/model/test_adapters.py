"""ST-Adapter, AIM and M2-CLIP: published counts, equations written out, what is trained and what stays."""

import copy
import math

import pytest
import tiny
import torch
from torch import nn

from sfar.config import ModelConfig, get_profile
from sfar.errors import ConfigError
from sfar.model import cost
from sfar.model.clip import build, embed_frames, load_clip
from sfar.model.registry import SYSTEMS
from sfar.model.systems import aim, m2clip, st_adapter
from sfar.model.texts import Prompts, class_texts
from sfar.model.tower import VideoTower
from sfar.model.video_model import VideoModel
from sfar.training import checkpoint
from sfar.training.train import info_nce, seed_everything, train

CONFIG = tiny.CONFIG | {
    "vision_cfg": tiny.CONFIG["vision_cfg"] | {"layers": 2},
    "text_cfg": tiny.CONFIG["text_cfg"] | {"width": 24},  # no width is another's: d_v 32, text 24, d 16
}
L = 3
CLOSED = {"st-adapter": st_adapter, "aim": aim}
every = pytest.mark.parametrize("name", [*CLOSED, "m2-clip"])
closed = pytest.mark.parametrize("name", CLOSED)


def clip():
    torch.manual_seed(0)
    return build(CONFIG).eval()


def texts_for(name, known, subtexts=tiny.SUBTEXTS):
    if name == "m2-clip":
        return Prompts(known, list(subtexts), subtexts, tiny.MODEL, sub_texts=False)
    return class_texts(known, list(subtexts), subtexts, tiny.MODEL)


def model(name, seed=0, **how):
    known = clip()
    texts = texts_for(name, known)
    seed_everything(seed)
    return VideoModel(name, known, texts, tiny.MODEL, frames=L, **how)


def stirred(m, seed=1):
    """The same model with no added weight at zero."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in [*m.head.parameters(), *m.tower.parameters()]:
            p += 0.2 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    return m


def videos(n=2, seed=2):
    return torch.randn(n, L, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(seed))


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


# --- sizes ---


@closed
@pytest.mark.parametrize(
    "of, classes, counts, totals",
    [
        ("B16", 400, {"st-adapter": (7_110_144, 7_417_744), "aim": (10_657_536, 10_966_672)}, (93_217_168, 96_764_560)),
        ("small", 45, {"st-adapter": (67_328, 73_133), "aim": (101_248, 107_309)}, None),
    ],
)
def test_counts(name, of, classes, counts, totals):
    known = cost.skeleton(cost.ARCHS[0]) if of == "B16" else load_clip("storyboard")
    with torch.device("meta"):
        tower = SYSTEMS[name].tower(known, 8, ModelConfig())
        head = SYSTEMS[name].build(512, 1.0, ModelConfig(), classes, tower.width)
    norm = count(tower.norm) if name == "aim" else 0  # CLIP's, trained
    added, trained = counts[name]
    assert count(tower) - norm == added
    assert count(tower, head) == trained
    if totals:  # the tower as it is kept for inference: without its projection, which a classifier does not need
        visual = count(known.visual) - known.visual.proj.numel() - norm
        assert visual + trained == totals[list(CLOSED).index(name)]


@pytest.mark.parametrize(
    "of, parts",
    [
        (
            "B16",
            {"ted": 14_247_936, "time": 263_936, "text": 394_112, "fc": 307_600, "mlm": 530_440, "all": 16_138_136},
        ),
        ("small", {"ted": 136_192, "time": 16_832, "text": 13_992, "fc": 5_805, "mlm": 59_944, "all": 246_757}),
    ],
)
def test_counts_of_m2clip(of, parts):
    """Of the published adapters the classifier, the second text adapter and the masked-language head are not here."""
    known, d = (cost.skeleton(cost.ARCHS[0]), 512) if of == "B16" else (load_clip("storyboard"), 128)
    with torch.device("meta"):
        tower, head = m2clip.tower(known, 8, ModelConfig()), m2clip.build(d, 1.0, ModelConfig())
    assert {"ted": count(tower.ted), "text": count(tower.text), "time": count(head)}.items() <= parts.items()
    assert count(tower, head) == parts["all"] - parts["fc"] - parts["text"] - parts["mlm"]
    assert of != "B16" or f"{count(tower, head):,}" in m2clip.__doc__


@pytest.mark.parametrize(
    "macs, giga",
    [
        (st_adapter.macs(768, 12, 196, 8), 11.1),
        (aim.macs(768, 12, 196, 8), 61.4),
        (m2clip.macs(768, 512, 12, 196, 8), 0.16 * 140.5),
    ],
)
def test_cost_of_what_is_added(macs, giga):
    assert macs / 1e9 == pytest.approx(giga, rel=0.01)


# --- what it starts as ---


def test_the_tower_as_it_stands_is_clips():
    known, x = clip(), videos()
    seen = VideoTower(known, L)(x)
    assert torch.allclose(seen.frames, embed_frames(known, x), atol=1e-5)
    assert torch.equal(seen.frames, seen.pooled @ known.visual.proj)
    assert seen.patches.shape == (2, L, 16, 32)


@every
def test_it_starts_as_clip(name):
    m, x = model(name), videos()
    for side in (m.eval(), m.train()):  # nothing that is dropped in training is other than zero yet
        assert torch.allclose(side.tower(x).frames, embed_frames(m.clip, x), atol=1e-5)
    stirred(m)
    assert not torch.allclose(m.tower(x).frames, embed_frames(m.clip, x), atol=1e-2)


# --- equations, one number at a time ---


def linear(layer, x):
    rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in rows]


def normed(norm, x):
    mean = sum(x) / len(x)
    var = sum((v - mean) ** 2 for v in x) / len(x)
    return [
        (v - mean) / math.sqrt(var + norm.eps) * w + b
        for v, w, b in zip(x, norm.weight.tolist(), norm.bias.tolist(), strict=True)
    ]


def gelu(v):
    return 0.5 * v * (1 + math.erf(v / math.sqrt(2)))


def attention(attn, xs):
    """Multi-head attention among vectors ``xs``."""
    d, heads = len(xs[0]), attn.num_heads
    w = d // heads
    projected = nn.Linear(d, 3 * d)
    projected.weight, projected.bias = attn.in_proj_weight, attn.in_proj_bias
    qkv = [linear(projected, x) for x in xs]
    out = []
    for i in range(len(xs)):
        row = []
        for h in range(heads):
            q = qkv[i][h * w : h * w + w]
            dots = [sum(a * b for a, b in zip(q, o[d + h * w : d + h * w + w], strict=True)) for o in qkv]
            e = [math.exp(s / math.sqrt(w)) for s in dots]
            row += [sum(e[j] / sum(e) * qkv[j][2 * d + h * w + k] for j in range(len(xs))) for k in range(w)]
        out.append(linear(attn.out_proj, row))
    return out


def attended(block, xs):
    return attention(block.attn, [normed(block.ln_1, x) for x in xs])


def plus(*xs):
    return [sum(v) for v in zip(*xs, strict=True)]


def mlp(block, x):
    return linear(block.mlp.c_proj, [gelu(v) for v in linear(block.mlp.c_fc, x)])


def over_time(bottleneck, xs):
    """ST-Adapter's A of one place, vectors ``xs`` of its frames."""
    h = [linear(bottleneck.down, x) for x in xs]
    taps, bias = bottleneck.between.weight.tolist(), bottleneck.between.bias.tolist()
    out = []
    for t in range(len(xs)):
        row = []
        for k in range(len(h[0])):
            v = bias[k]
            for tap, at in enumerate((t - 1, t, t + 1)):
                if 0 <= at < len(xs):
                    v += taps[tap][k] * h[at][k]
            row.append(v)
        out.append(linear(bottleneck.up, row))
    return out


def plain_st(adapter, block, x):
    """x[t][n] of one video -> the same after the block."""
    mid = [[plus(v, a) for v, a in zip(f, attended(block, f), strict=True)] for f in x]
    for n in range(1, len(x[0])):
        for t, a in enumerate(over_time(adapter, [f[n] for f in mid])):
            mid[t][n] = plus(mid[t][n], a)
    return [[plus(v, mlp(block, normed(block.ln_2, v))) for v in f] for f in mid]


def plain_aim(adapted, block, x):
    def ad(adapter, v):
        return linear(adapter.up, [gelu(a) for a in linear(adapter.down, v)])

    x = [list(f) for f in x]
    for n in range(len(x[0])):
        for t, h in enumerate(attended(block, [f[n] for f in x])):
            x[t][n] = plus(x[t][n], ad(adapted.time, h))
    out = []
    for f in x:
        row = []
        for v, h in zip(f, attended(block, f), strict=True):
            v = plus(v, h, ad(adapted.space, h))
            n = normed(block.ln_2, v)
            row.append(plus(v, mlp(block, n), [0.5 * a for a in ad(adapted.mlp, n)]))
        out.append(row)
    return out


def plain_ted(ted, block, x, grid):
    mid = [[plus(v, a) for v, a in zip(f, attended(block, f), strict=True)] for f in x]
    out = copy.deepcopy(mid)
    for n in range(len(x[0])):
        for t, a in enumerate(over_time(ted.time, [f[n] for f in mid])):
            out[t][n] = plus(out[t][n], a)
    rows, columns = grid
    b, kernel, bias = ted.change, ted.change.between.conv.weight.tolist(), ted.change.between.conv.bias.tolist()
    for t in range(len(x)):
        h = []
        for n in range(1, len(x[0])):
            before = mid[t - 1][n] if t else mid[t][n]
            h.append(linear(b.down, [v - w for v, w in zip(mid[t][n], before, strict=True)]))
        for n in range(1, len(x[0])):
            r, c = divmod(n - 1, columns)
            row = []
            for k in range(len(h[0])):
                v = bias[k]
                for i in (-1, 0, 1):
                    for j in (-1, 0, 1):
                        if 0 <= r + i < rows and 0 <= c + j < columns:
                            v += kernel[k][0][i + 1][j + 1] * h[(r + i) * columns + c + j][k]
                row.append(v)
            out[t][n] = plus(out[t][n], linear(b.up, row))
    return [[plus(v, mlp(block, normed(block.ln_2, v))) for v in f] for f in out]


def test_a_block_with_a_ted_adapter_is_its_equations():
    m = stirred(model("m2-clip")).double().eval()
    x = torch.randn(1, L, 7, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    block, ted = m.tower.blocks[1], m.tower.ted[1]
    ted.change.between.grid = (2, 3)
    with torch.no_grad():
        got = m.tower.block(1, block, x)[0]
        want = torch.tensor(plain_ted(ted, block, x[0].tolist(), (2, 3)), dtype=torch.float64)
    assert torch.allclose(got, want, atol=1e-9)


def test_the_head_of_m2clip_is_its_equations():
    m = stirred(model("m2-clip")).double().eval()
    v = torch.randn(2, L, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    texts = class_texts(m.clip, tiny.CLASSES, tiny.SUBTEXTS, tiny.MODEL)
    with torch.no_grad():
        logits = m.head(v, texts, torch.tensor(7.0)).logits
        for x, row in zip(v.tolist(), logits, strict=True):
            after = [plus(f, a) for f, a in zip(x, over_time(m.head.time, x), strict=True)]
            o = [sum(f[k] for f in after) / L for k in range(16)]
            for t, got in zip(texts.cls.tolist(), row.tolist(), strict=True):
                assert got == pytest.approx(
                    7 * sum(map(math.prod, zip(o, t, strict=True))) / math.hypot(*o) / math.hypot(*t), abs=1e-9
                )


def test_the_text_adapter_is_its_equation():
    """Of the end token of each prompt alone, whose attention the last block has taken before the adapter."""
    m = stirred(model("m2-clip")).double().eval()
    known, text = m.clip, m.tower.text
    *first, last = known.transformer.resblocks
    with torch.no_grad():
        t = known.token_embedding(m.said.ids) + known.positional_embedding
        for block in first:
            t = block(t, attn_mask=known.attn_mask)
        t = t + last.attention(last.ln_1(t), attn_mask=known.attn_mask)
        got = m.said.embedded(m.tower.text_side(known)).cls
        for ids, own, cls in zip(m.said.ids, t, got, strict=True):
            v = own[ids.argmax()].tolist()
            v = plus(v, linear(text.up, [gelu(a) for a in linear(text.down, v)]))
            v = normed(known.ln_final, plus(v, mlp(last, normed(last.ln_2, v))))
            want = [sum(a * w for a, w in zip(v, column, strict=True)) for column in known.text_projection.T.tolist()]
            assert torch.allclose(cls, torch.tensor(want, dtype=torch.float64), atol=1e-9)


def test_without_its_text_adapter_the_class_embeddings_are_clips():
    m = model("m2-clip").eval()
    plain = class_texts(m.clip, tiny.CLASSES, tiny.SUBTEXTS, tiny.MODEL).cls
    with torch.no_grad():
        assert not torch.allclose(m.said.embedded(m.tower.text_side(m.clip)).cls, plain, atol=1e-3)
        m.tower.text.up.weight.zero_()
        assert torch.allclose(m.said.embedded(m.tower.text_side(m.clip)).cls, plain, atol=1e-5)
        assert torch.allclose(m.said.embedded(m.clip).cls, plain, atol=1e-5)  # the CLIP itself is as it was


def test_m2clip_is_asked_about_other_classes():
    """Zero-shot: the logits of a class are those that it has among any others, and by whichever weights there are."""
    m, x = stirred(model("m2-clip")).eval(), videos()
    others = {"pole vault": tiny.SUBTEXTS["long jump"], "yoga": tiny.SUBTEXTS["yoga"]}
    texts = texts_for("m2-clip", m.clip, others)
    with torch.no_grad():
        got = m(x, texts).logits
        assert got.shape == (2, 2) and torch.allclose(got[:, 1], m(x).logits[:, 2], atol=1e-5)
        m.tower.text.up.weight.mul_(3)  # in place, as an optimizer: what was kept of the texts is made anew
        again = m(x, texts).logits
        assert not torch.allclose(again, got, atol=1e-3) and torch.allclose(again[:, 1], m(x).logits[:, 2], atol=1e-5)


@pytest.mark.parametrize("name, plain", [("st-adapter", plain_st), ("aim", plain_aim)])
def test_a_block_is_its_equations(name, plain):
    m = stirred(model(name)).double().eval()
    x = torch.randn(1, L, 4, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    block, own = m.tower.blocks[1], (m.tower.adapters if name == "st-adapter" else m.tower.adapted)[1]
    with torch.no_grad():
        got = m.tower.block(1, block, x)
        want = torch.tensor([plain(own, block, v.tolist()) for v in x], dtype=torch.float64)
    assert torch.allclose(got, want, atol=1e-9)


@closed
def test_the_ends_of_the_tower_and_the_classifier_are_their_equations(name):
    m = stirred(model(name)).double().eval()
    x = torch.randn(2, L, 5, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        logits = m.say(m.tower.leave(x), None).logits
        for v, got in zip(x[:, :, 0].tolist(), logits, strict=True):
            mean = [sum(f[k] for f in v) / L for k in range(32)]
            if name == "st-adapter":
                o = normed(m.clip.visual.ln_post, mean)
            else:
                each = [normed(m.tower.norm, f) for f in v]
                o = [sum(f[k] for f in each) / L for k in range(32)]
            assert torch.allclose(got, torch.tensor(linear(m.head.fc, o), dtype=torch.float64), atol=1e-9)
        if name == "aim":
            tokens = x.flatten(0, 1)
            placed = m.tower.placed(tokens).view_as(x)
            assert torch.allclose(placed - x, m.tower.position[:, None].expand_as(x))


def test_paths_are_dropped_video_by_video_in_training_alone():
    torch.manual_seed(0)
    drop, x = aim.DropPath(0.25), torch.ones(4000, 2, 3)
    out = drop(x)
    assert torch.allclose(out.amax((1, 2)), out.amin((1, 2)))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (out[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(drop.eval()(x), x)
    assert [a.drop.p for a in model("aim").tower.adapted] == [0.0, 0.2]


# --- training ---


@every
def test_a_video_is_judged_by_itself_and_order_counts(name):
    m, x = stirred(model(name)).eval(), videos(3)
    with torch.no_grad():
        alone = torch.cat([m(v[None]).logits for v in x])
        assert torch.allclose(m(x).logits, alone, atol=1e-5)
        assert not torch.allclose(m(x.flip(1)).logits, alone, atol=1e-3)


@every
def test_what_is_trained(name):
    m = stirred(model(name))
    frozen = {n: p.detach().clone() for n, p in m.clip.named_parameters()}
    assert not any(p.requires_grad for p in m.clip.parameters())
    groups = m.groups()
    assert not groups["clip"] and len(groups["head"]) == len({*m.tower.parameters(), *m.head.parameters()})
    loss, _ = info_nce(m.train()(videos()).logits, torch.tensor([0, 1]), kind="cross_entropy")
    loss.backward()
    still = {n for n, p in m.named_parameters() if p.requires_grad and not p.grad.abs().max() > 0}
    # Behind the last block there is no attention by which its patches could reach the class token.
    last = ("tower.adapters.1.", "tower.ted.1.change.")
    assert still == {n for n, _ in m.named_parameters() if n.startswith(last)}
    before = {n: p.detach().clone() for n, p in m.named_parameters()}
    train(m, tiny.clips(8), tiny.profile(loss="cross_entropy"), 0)
    assert all(torch.equal(p, frozen[n]) for n, p in m.clip.named_parameters())
    moved = {n for n, p in m.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n, _ in m.named_parameters() if not n.startswith("clip.")}


@every
def test_half_precision(name):
    m = stirred(model(name)).eval()
    with torch.no_grad():
        want = m(videos()).logits
        with torch.autocast("cpu", torch.bfloat16):
            got = m(videos())
    assert got.logits.dtype == torch.float32
    assert torch.allclose(got.logits, want, atol=0.1 * want.abs().max())


@every
def test_activations_computed_again_have_the_same_gradient(name):
    found = []
    for again in (False, True):
        m = stirred(model(name))
        m.clip.visual.set_grad_checkpointing(again)
        torch.manual_seed(3)
        m.train()(videos()).logits.square().sum().backward()
        found.append([p.grad for p in m.groups()["head"]])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))


@closed
def test_a_batch_in_parts_draws_what_it_drops_once(name):
    """Parts pass twice, for the loss and for its gradient: with the same units dropped, or it would be of another."""
    m = stirred(model(name))
    seen = []
    m.head.dropout.register_forward_hook(lambda module, args, out: seen.append((out == 0).clone()))
    train(m, tiny.clips(4), tiny.profile(loss="cross_entropy", micro_batch=2, epochs=1), 0)
    first, second = torch.cat(seen[:2]), torch.cat(seen[2:])
    assert len(seen) == 4 and first.any() and torch.equal(first, second)


@every
def test_a_checkpoint_gives_the_same(name, tmp_path):
    m, profile = stirred(model(name)).eval(), get_profile("storyboard", {"data.image_size": tiny.SIZE})
    file = tmp_path / "m.safetensors"
    checkpoint.save(file, m, profile, tuple(tiny.CLASSES), 0)
    again = checkpoint.load(file, model(name, seed=9).eval(), profile, tuple(tiny.CLASSES))
    with torch.no_grad():
        assert torch.equal(again(videos()).logits, m(videos()).logits)


# --- mistakes ---


@closed
def test_other_classes_are_refused(name):
    m = model(name)
    with pytest.raises(ConfigError, match=f"^{name} is a classifier of the classes that it was trained on"):
        m(videos(), copy.deepcopy(m.said))
    with pytest.raises(ConfigError, match=r"looks at no texts: set train\.train_text=frozen"):
        model(name, train_text="tower")


def test_another_number_of_frames_is_refused():
    with pytest.raises(ValueError, match="2 frames, expected 3"):
        model("aim").tower(videos()[:, :2])
