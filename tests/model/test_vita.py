"""Vita-CLIP: the tokens that are inserted and the learned texts against their transcription, and what they add."""

import copy
import math

import plain_attention as plain
import pytest
import small_systems
import tiny
import torch
from small_systems import FRAMES, OTHERS, count, videos

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import embed_frames, load_clip, token_ids
from sfar.model.method import Wording
from sfar.model.registry import get
from sfar.model.systems import vita
from sfar.model.tower import VideoTower
from sfar.training import checkpoint
from sfar.training.train import train

both = pytest.mark.parametrize("method", ["vita-clip", "vita-clip-released"])


def model(method="vita-clip", **how):
    return small_systems.model(method, **how)


# --- transcription ---


def plain_block(x, own, block):
    """Tokens [L][1 + P][d_v] of one video after a block: everything that is inserted passes through it as published."""
    c = [plain.linear(frame[0], own.say.weight, own.say.bias) for frame in x]
    normed = [plain.norm(row, own.norm) for row in c]
    summary = [row + a for row, a in zip(c, plain.mha(normed, normed, own.attention), strict=True)]
    local = [prompt + row for prompt, row in zip(own.locals, c, strict=True)]
    out = []
    for frame, s in zip(x, summary, strict=True):
        tokens = [frame[0], *local, *own.globals, *frame[1:], s]
        rows = [plain.norm(token, block.ln_1) for token in tokens]
        after = [t + a for t, a in zip(tokens, plain.mha(rows, rows, block.attn), strict=True)][:-1]
        after = [plain.block_mlp(t, block) for t in [after[0], *after[1 + len(local) :]]]
        out.append(torch.stack([after[0], *after[1 + len(own.globals) :]]))
    return torch.stack(out)


@torch.no_grad()
def test_a_block_with_its_inserted_tokens_is_its_transcription():
    tower = model().double().tower
    x = torch.randn(2, FRAMES, 5, tower.width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    got = tower.block(1, tower.blocks[1], x)
    want = torch.stack([plain_block(video, tower.inserted[1], tower.blocks[1]) for video in x])
    assert torch.allclose(got, want, atol=1e-9) and (got - x).abs().max() > 0.1


@torch.no_grad()
def test_each_frame_has_its_time():
    tower = model().tower
    x = torch.randn(2 * FRAMES, 5, tower.width)
    placed = tower.placed(x)
    for video in range(2):
        for t in range(FRAMES):
            assert torch.allclose(placed[video * FRAMES + t], x[video * FRAMES + t] + tower.time[t], atol=1e-6)


@torch.no_grad()
def test_without_what_is_inserted_the_tower_is_clips_own():
    own, x = model(), videos()
    own.tower.time.zero_()
    own.tower.block = super(vita.VitaTower, own.tower).block
    assert torch.allclose(own.tower(x).frames, embed_frames(own.clip, x), atol=1e-5)


@torch.no_grad()
def test_texts_are_learned_vectors_before_the_class_prompt():
    own = model().double()
    clip, cls = own.clip, own.said.embedded(own.clip).cls
    for c, name in enumerate(tiny.CLASSES):
        start, *words, end = token_ids(ModelConfig().prompt.format(name))
        e = clip.token_embedding.weight
        rows = torch.stack([e[start], *own.said.vectors[c], *(e[w] for w in words), e[end]])
        n = len(rows)
        x = (rows + clip.positional_embedding[:n])[None]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:n, :n]))
        assert torch.allclose(cls[c], x[0, -1] @ clip.text_projection, atol=1e-9)


@torch.no_grad()
def test_logits_are_cosines_of_the_mean_frame():
    own = model().double()
    x = videos(dtype=torch.float64)
    v, cls = own.tower(x).frames, own.said.embedded(own.clip).cls
    logits = own(x).logits
    for b in range(2):
        o = sum(v[b]) / FRAMES
        for c in range(3):
            want = own.clip.logit_scale.exp() * (o @ cls[c]) / o.norm() / cls[c].norm()
            assert logits[b, c].item() == pytest.approx(want.item(), abs=1e-9)


# --- what it depends on ---


@torch.no_grad()
def test_a_video_depends_neither_on_its_batch_nor_a_class_on_the_others():
    own, x = model(), videos(3)
    together = own(x).logits
    assert torch.allclose(torch.cat([own(v[None]).logits for v in x]), together, atol=1e-5)
    some = own(x, own.said.embedded(own.clip).select(torch.tensor([2, 0]))).logits
    assert torch.allclose(some, together[:, [2, 0]], atol=1e-5)


@torch.no_grad()
def test_other_classes_have_plain_texts():
    own, x = model(), videos()
    texts = small_systems.other_texts(own)
    before = own(x, texts).logits
    own.said.vectors += torch.randn_like(own.said.vectors)
    assert before.shape == (2, len(OTHERS)) and torch.equal(own(x, texts).logits, before)


@torch.no_grad()
def test_changed_vectors_are_noticed_without_gradients():
    own, x = model(), videos()
    before = own(x).logits
    own.said.vectors[1] += torch.randn_like(own.said.vectors[1])
    after = own(x).logits
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]]) and (after[:, 1] - before[:, 1]).abs().min() > 1e-4


@torch.no_grad()
def test_frames_see_each_other_and_their_order_counts():
    own, x = model(), videos(1)
    changed = x.clone()
    changed[:, 2] = 0
    assert (own.tower(x).pooled[:, 0] - own.tower(changed).pooled[:, 0]).abs().max() > 1e-4
    assert not torch.allclose(own(x).logits, own(x.flip(1)).logits, atol=1e-4)


def test_a_prompt_that_does_not_fit_behind_the_vectors_is_refused():
    clip = small_systems.clip()
    with pytest.raises(ConfigError, match=r"class 'yoga': with 8 learned vectors its prompt 'long long .* of 77"):
        vita.learned(clip, Wording(["yoga"], tiny.SUBTEXTS, {}), ModelConfig(prompt="long " * 70 + "{}"))


# --- what is trained and kept ---


@both
def test_gradients_reach_all_that_is_trained_and_nothing_else(method):
    own = model(method)
    own(videos()).logits.square().sum().backward()
    with_gradient = {n for n, p in own.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    trained = {n for n, p in own.named_parameters() if p.requires_grad}
    assert with_gradient == trained
    assert {n for n in trained if n.startswith("clip.")} == {"clip.logit_scale"} and "said.vectors" in trained
    assert any(".say." in n for n in trained) == (method == "vita-clip")
    grouped = {id(p) for g in own.groups().values() for p in g}
    assert grouped == {id(p) for n, p in own.named_parameters() if n in trained}


@both
def test_training_leaves_both_towers_and_a_checkpoint_gives_the_same_logits(method, tmp_path):
    p = tiny.profile(frames=FRAMES, epochs=1, loss="cross_entropy")
    own = model(method)
    before = copy.deepcopy(own.state_dict())
    train(own, tiny.clips(8), p, 0)
    same = {k for k, v in own.state_dict().items() if torch.equal(v, before[k])}
    assert {k for k in before if k.startswith("clip.") and k != "clip.logit_scale"} <= same
    assert {k for k in same if not k.startswith("clip.")} == (
        {k for k in before if ".say." in k} if method == "vita-clip-released" else set()
    )
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, own, p, tuple(tiny.CLASSES), 0)
    again = checkpoint.load(file, model(method, seed=7), p, tuple(tiny.CLASSES)).eval()
    with torch.no_grad():
        assert torch.equal(again(videos()).logits, own.eval()(videos()).logits)


def test_half_precision_runs():
    own = model()
    with torch.autocast("cpu", torch.bfloat16):
        logits = own(videos()).logits
    with torch.no_grad():
        assert logits.dtype == torch.float32 and torch.allclose(logits, own(videos()).logits, atol=0.5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.groups()["head"])


# --- numbers ---


def test_parameters_at_full_size():
    _, head, tower = small_systems.full_size("vita-clip")
    assert count(head) == 0 and all(own.globals.shape == (8, 768) for own in tower.inserted)
    texts = 400 * vita.VECTORS * 512
    assert count(tower) + texts == 37_245_952
    _, _, released = small_systems.full_size("vita-clip-released")
    trained = sum(p.numel() for p in released.parameters() if p.requires_grad)
    assert trained + texts + 1 == 30_158_849 and get("vita-clip").trains_scale
    assert model().said.vectors.shape == (3, vita.VECTORS, 16), "classes, vectors, width of the text tower"


def test_parameters_of_the_small_one():
    clip = load_clip("storyboard")
    texts = 45 * vita.VECTORS * clip.token_embedding.embedding_dim
    assert count(vita.VitaTower(clip, 8, globals_=8)) + texts == 375_040
    released = vita.VitaTower(clip, 8, globals_=8, released=True)
    assert sum(p.numel() for p in released.parameters() if p.requires_grad) + texts + 1 == 308_993
    own = vita.tower(clip, 8, ModelConfig())
    assert all(i.globals.shape == (1, 128) for i in own.inserted) and count(own) + texts == 375_040 - 7 * 4 * 128


@torch.no_grad()
def test_inserted_tokens_begin_as_published():
    tower = model().tower
    bound = math.sqrt(6 / (3 * 8 * 8 + 32))
    for own in tower.inserted:
        for x in (own.globals, own.locals):
            assert 0.8 * bound < x.abs().max() <= bound
        assert own.attention.in_proj_weight.abs().max().item() == pytest.approx(math.sqrt(6 / (32 + 32)), rel=0.02)
    assert tower.time.std().item() == pytest.approx(0.02, rel=0.25)


def test_costs():
    assert sum(vita.macs(768, 12, 196, 8, 8).values()) / 140.51e9 == pytest.approx(0.06, abs=0.005)
    assert sum(vita.macs(128, 4, 16, 8, 1).values()) / 122e6 == pytest.approx(0.24, abs=0.02)


def test_costs_are_what_a_counter_of_products_sees():
    own, x = model(), videos(1)
    more = small_systems.macs_of(lambda: own.tower(x)) - small_systems.macs_of(lambda: VideoTower(own.clip, FRAMES)(x))
    said = vita.macs(32, 2, 16, FRAMES, 1)
    assert more == said["summary"] + said["inserted"]
