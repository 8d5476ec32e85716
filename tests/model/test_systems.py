"""Systems that the paper quotes: OST, ViFi-CLIP, ActionCLIP, Text4Vis, and what they have in common."""

import copy
import math

import pytest
import tiny
import torch
from tiny import B, C, D, L

from sfar.config import ModelConfig, changed
from sfar.model import loss, registry
from sfar.model.clip import text_parameters
from sfar.model.cost import skeleton
from sfar.model.method import Wording
from sfar.model.systems import ost
from sfar.model.systems.temporal import TEMPLATES
from sfar.model.texts import Prompts, class_texts
from sfar.model.video_model import VideoModel
from sfar.training import checkpoint
from sfar.training.train import seed_everything

SCENES = {
    "long jump": ["a sand pit", "a runway", "a board", "a jumper"],
    "juggling balls": ["three balls", "two hands", "a stage", "a juggler"],
    "yoga": ["a mat", "a studio", "bare feet", "loose clothes"],
}
SAID = Wording(tiny.CLASSES, tiny.SUBTEXTS, SCENES)
HEADS = ["ost", "ost-temporal", "ost-pooling", "vifi-clip", "actionclip", "text4vis"]
every_head = pytest.mark.parametrize("name", HEADS)


def sets_of(name):
    of = registry.get(name)
    return of.texts(SAID) if of.texts else None


def prompts(name, clip, cfg=tiny.MODEL):
    return Prompts(clip, tiny.CLASSES, tiny.SUBTEXTS, cfg, sets_of(name), registry.get(name).sub_texts)


def model(name, text="tower", cfg=tiny.MODEL, **more):
    clip = tiny.clip()
    said = (
        prompts(name, clip, cfg)
        if text != "frozen"
        else class_texts(clip, tiny.CLASSES, tiny.SUBTEXTS, cfg, sets_of(name))
    )
    seed_everything(0)
    return VideoModel(name, clip, said, cfg, True, text, **more)


def frames(b=B, seed=3):
    return torch.randn(b, L, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(seed))


def count(parameters):
    return sum(p.numel() for p in parameters)


# --- texts of a tower that is trained ---


@every_head
def test_token_ids_embed_as_texts_do(name):
    clip = tiny.clip()
    want = class_texts(clip, tiny.CLASSES, tiny.SUBTEXTS, tiny.MODEL, sets_of(name))
    with torch.no_grad():
        got = prompts(name, clip).embedded(clip)
    for key, x in want.named_buffers():
        y = got.get_buffer(key)
        if key.startswith("sub_") and not registry.get(name).sub_texts:
            assert y.shape[:2] == (C, 0)  # it does not look at them: they are not embedded at every step
        elif x.dim() == 2 and key != "mask":
            assert torch.allclose(y, x, atol=1e-6)
        elif key in ("words", "sub_words"):  # padded to the longest of all texts, not of their own kind
            width = x.shape[-2]
            assert torch.allclose(y[..., :width, :], x, atol=1e-6) and not y[..., width:, :].any()
        elif key in ("mask", "sub_mask"):
            assert torch.equal(y[..., : x.shape[-1]], x) and not y[..., x.shape[-1] :].any()
        else:
            assert torch.allclose(y, x, atol=1e-6)


def test_texts_are_kept_until_a_weight_changes():
    clip = tiny.clip()
    said = prompts("ost", clip)
    with torch.no_grad():
        first = said.embedded(clip)
        assert said.embedded(clip) is first
        clip.ln_final.bias += 1.0
        second = said.embedded(clip)
    assert second is not first and not torch.allclose(second.cls, first.cls)
    assert copy.deepcopy(said).embedded(clip) is not second


@pytest.mark.parametrize(
    "text, trained", [("frozen", set()), ("tower", {"tower"}), ("all", {"tower", "token_embedding.weight"})]
)
def test_what_of_the_text_tower_is_trained(text, trained):
    m = model("vifi-clip", text)
    m(frames()).logits.sum().backward()
    for name, p in text_parameters(m.clip).items():
        want = name in trained if name == "token_embedding.weight" else "tower" in trained
        assert p.requires_grad == want, name
        assert (p.grad is not None) == want, name
    assert m.clip.logit_scale.requires_grad and all(p.requires_grad for p in m.clip.visual.parameters())


@every_head
@pytest.mark.parametrize("text", ["frozen", "tower"])
def test_a_checkpoint_gives_the_same_logits(name, text, tmp_path):
    m, other = model(name, text), model(name, text)
    with torch.no_grad():
        for p in m.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    profile = changed(tiny.profile(), {"train.train_text": text})
    profile = changed(profile, {"model.attention_heads": 2, "model.temporal_layers": 1})
    checkpoint.save(tmp_path / "m.safetensors", m, profile, tuple(tiny.CLASSES), 0)
    _, fields = checkpoint.configuration(checkpoint.read_about(tmp_path / "m.safetensors"))
    assert fields.get("train.train_text", "frozen") == text
    checkpoint.load(tmp_path / "m.safetensors", other, profile, tuple(tiny.CLASSES))
    with torch.no_grad():
        a, b = (x.eval()(frames()).logits for x in (m, other))
    assert torch.equal(a, b)


# --- logits ---


@every_head
def test_a_video_and_a_class_stand_for_themselves(name):
    m = model(name).eval()
    with torch.no_grad():
        said = m.texts
        all_of_them = m(frames()).logits
        assert torch.allclose(m(frames()[:1]).logits, all_of_them[:1], atol=1e-5)
        some = m(frames(), said.select(torch.tensor([2, 0]))).logits
    assert torch.allclose(some, all_of_them[:, [2, 0]], atol=1e-5)


@pytest.mark.parametrize("name, sees", [("ost", False), ("vifi-clip", False), ("actionclip", True), ("text4vis", True)])
def test_who_sees_the_order_of_the_frames(name, sees):
    m, x = model(name).eval(), frames()
    with torch.no_grad():
        same = torch.allclose(m(x).logits, m(x.flip(1)).logits, atol=1e-5)
    assert same != sees


def test_shuffled_frames_are_the_same_frames():
    x = frames()
    for name, sees in (("vifi-clip", False), ("temporal", True)):
        plain, shuffled = model(name, "frozen").eval(), model(name, "frozen", shuffled=True).eval()
        with torch.no_grad():
            assert torch.allclose(plain(x).logits, shuffled(x).logits, atol=1e-5) != sees
            assert torch.equal(shuffled(x).logits, shuffled(x).logits)  # at test always in one order
    shuffled.train()
    torch.manual_seed(1)
    one, other = (shuffled._ordered(torch.arange(L).expand(4, L)) for _ in range(2))
    assert not torch.equal(one, other) and all(sorted(row.tolist()) == list(range(L)) for row in one)


# --- OST ---


def literal_plan(s, eps, iterations):
    """Sinkhorn's algorithm for one video and class: s [L][K], loops over numbers."""
    n, k = len(s), len(s[0])
    q = [[math.exp(-(1 - s[i][j]) / eps) for j in range(k)] for i in range(n)]
    r, c = [1.0] * n, [1.0] * k
    for _ in range(iterations):
        r = [1 / n / sum(q[i][j] * c[j] for j in range(k)) for i in range(n)]
        c = [1 / k / sum(q[i][j] * r[i] for i in range(n)) for j in range(k)]
    return [[r[i] * q[i][j] * c[j] for j in range(k)] for i in range(n)]


def test_the_plan_is_sinkhorns():
    s = torch.rand(2, 3, L, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.3
    p = ost.plan(s)
    for b in range(2):
        for c in range(3):
            want = torch.tensor(literal_plan(s[b, c].tolist(), 0.1, ost.ITERATIONS), dtype=torch.float64)
            assert torch.allclose(p[b, c], want, atol=1e-12)
    assert torch.allclose(p.sum(-2), torch.full((2, 3, 4), 0.25, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(p.sum(-1), torch.full((2, 3, L), 1 / L, dtype=torch.float64), atol=1e-3)  # nearly converged
    assert p.requires_grad is False


def test_osts_logits_are_two_cosines_worth():
    g = torch.Generator().manual_seed(5)
    v = torch.randn(B, L, D, generator=g, dtype=torch.float64)
    texts = tiny.random_texts()
    for name in ("spatio", "temporal"):
        texts.register_buffer(name, torch.randn(C, 4, D, generator=g, dtype=torch.float64))
    got = registry.get("ost").build(D, 0.1, ModelConfig())(v, texts, torch.tensor(2.0)).logits
    for b in range(B):
        frame = [x / x.norm() for x in v[b]]
        for c in range(C):
            total = 0.0
            for name in ("spatio", "temporal"):
                e = [x / x.norm() for x in texts.get_buffer(name)[c]]
                s = [[float(f @ t) for t in e] for f in frame]
                p = literal_plan(s, 0.1, ost.ITERATIONS)
                moved = sum(p[i][j] * s[i][j] for i in range(L) for j in range(4))
                total += moved + float(sum(frame) / L @ (sum(e) / 4))
            assert got[b, c].item() == pytest.approx(2.0 * total / 2, abs=1e-9)
    pooled = registry.get("ost-pooling").build(D, 0.1, ModelConfig())(v, texts, torch.tensor(2.0)).logits
    uniform = sum(
        torch.einsum("bld,ckd->bc", torch.nn.functional.normalize(v, dim=-1), torch.nn.functional.normalize(e, dim=-1))
        for e in (texts.spatio, texts.temporal)
    ) / (4 * L)
    assert torch.allclose(pooled, 2.0 * uniform, atol=1e-9)  # a plan of equal weights is pooling


def test_the_descriptors_in_osts_templates():
    sets = ost.texts(SAID)
    assert sets["spatio"][2][0] == "This is a video about a mat"
    assert sets["temporal"][0][1] == "A video of long jump usually includes taking off"


# --- losses ---


def test_kl_of_both_directions():
    y = torch.randn(5, C, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 3
    labels = torch.tensor([0, 2, 0, 1, 2])
    n = len(labels)
    own = [[y[i, labels[j]].item() for j in range(n)] for i in range(n)]
    target = [[math.exp(10.0 * (labels[i] == labels[j])) for j in range(n)] for i in range(n)]
    target = [[x / sum(row) for x in row] for row in target]

    def kl(rows):
        total = 0.0
        for p, row in zip(target, rows, strict=True):
            z = math.log(sum(math.exp(x) for x in row))
            total += sum(a * (math.log(a) - (x - z)) for a, x in zip(p, row, strict=True))
        return total / n

    t2v, v2t = loss.divergences(y, labels)
    assert v2t.item() == pytest.approx(kl(own), abs=1e-10)
    assert t2v.item() == pytest.approx(kl([list(column) for column in zip(*own, strict=True)]), abs=1e-10)
    both, parts = loss.info_nce(y, labels, 0.5, "kl")
    assert both.item() == pytest.approx(parts["t2v"] + 0.5 * parts["v2t"], abs=1e-12)


def test_cross_entropy_alone():
    y = torch.randn(5, C, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 2, 0, 1, 2])
    both, parts = loss.info_nce(y, labels, kind="cross_entropy")
    assert both.item() == pytest.approx(torch.nn.functional.cross_entropy(y, labels).item(), abs=1e-6)
    assert parts["t2v"] == 0.0


# --- sizes, at ViT-B/16 ---


@pytest.mark.parametrize(
    "name, added, trained",
    [
        ("ost", 0, 149_620_737),
        ("vifi-clip", 0, 124_323_841),
        ("actionclip", 18_953_728, 168_574_465),
        ("text4vis", 18_953_728, 105_146_369),
    ],
)
def test_parameters_at_vit_b16(name, added, trained):
    of = registry.get(name)
    clip = skeleton("ViT-B-16-quickgelu")
    clip.logit_scale = torch.nn.Parameter(torch.tensor(math.log(100.0)))
    texts = tiny.random_texts()
    texts.cls = torch.zeros(C, 512)
    with torch.device("meta"):
        m = VideoModel(
            name, clip, texts, ModelConfig(frame_temperature=0.01), True, of.recipe.fields["train.train_text"]
        )
    assert count(m.head.parameters()) == added
    assert count(p for p in m.parameters() if p.requires_grad) == trained


def test_actionclip_has_its_sixteen_templates():
    assert len(set(TEMPLATES)) == 16 and all(t.count("{}") == 1 for t in TEMPLATES)
    assert [len(t) for t in registry.get("actionclip").texts(SAID)["templates"]] == [16] * C
