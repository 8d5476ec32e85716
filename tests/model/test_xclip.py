"""X-CLIP: messages, integration and video-specific prompts against their transcription, and what they add."""

import copy

import plain_attention as plain
import pytest
import small_systems
import tiny
import torch
from small_systems import FRAMES, count, videos

from sfar.model.clip import embed_frames, load_clip
from sfar.model.registry import get
from sfar.model.systems import xclip
from sfar.model.tower import VideoTower
from sfar.training import checkpoint
from sfar.training.train import train


def model(**train):
    return small_systems.model("x-clip", **train)


# --- transcription ---


def plain_block(x, message, block):
    """Tokens [L][1 + P][d_v] of one video after a block with messages."""
    said = [plain.linear(frame[0], message.say.weight, message.say.bias) for frame in x]
    normed = [plain.norm(m, message.norm) for m in said]
    said = [m + a for m, a in zip(said, plain.mha(normed, normed, message.attention), strict=True)]
    out = []
    for frame, m in zip(x, said, strict=True):
        rows = [plain.norm(token, block.ln_1) for token in [*frame, m]]
        attended = plain.mha(rows, rows, block.attn)[:-1]  # the message's own row is thrown away
        out.append(torch.stack([plain.block_mlp(t + a, block) for t, a in zip(frame, attended, strict=True)]))
    return torch.stack(out)


def plain_texts(head, cls, context):
    """Class texts [C, d] of one video."""
    y = [plain.norm(row, head.norm) for row in context]
    out = []
    for t_c in cls:
        t = t_c
        for layer in head.layers:
            q = plain.linear(plain.norm(t, layer.norm), layer.q.weight)
            k = [plain.linear(row, layer.k.weight) for row in y]
            v = [plain.linear(row, layer.v.weight) for row in y]
            t = t + plain.linear(plain.attend([q], k, v, layer.heads)[0], layer.out.weight, layer.out.bias)
            t = t + plain.mlp(plain.norm(t, layer.norm_mlp), layer.mlp[0], layer.mlp[1], layer.mlp[2])
        out.append(t_c + head.alpha * t)
    return torch.stack(out)


@torch.no_grad()
def test_a_block_with_messages_is_its_transcription():
    own = model().double()
    tower = own.tower
    x = torch.randn(2, FRAMES, 5, tower.width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    got = tower.block(1, tower.blocks[1], x)
    want = torch.stack([plain_block(video, tower.messages[1], tower.blocks[1]) for video in x])
    assert torch.allclose(got, want, atol=1e-9) and (got - x).abs().max() > 0.1


@torch.no_grad()
def test_prompts_and_logits_are_their_transcription():
    own = model().double()
    for p in own.head.parameters():
        p += 0.3 * torch.randn_like(p)  # so that the attention is no mean
    x = videos(dtype=torch.float64)
    seen, cls = own.tower(x), own.texts.cls.double()
    patches = [
        [sum(plain.norm(frame[p], own.tower.norm) for frame in video) / FRAMES for p in range(16)]
        for video in seen.patches
    ]
    context = torch.stack([torch.stack([p @ own.tower.project for p in video]) for video in patches])
    assert torch.allclose(seen.context, context, atol=1e-9)
    logits = own(x).logits
    for b in range(2):
        o = sum(seen.frames[b]) / FRAMES
        for c, t in enumerate(plain_texts(own.head, cls, context[b])):
            want = own.clip.logit_scale.exp() * (o @ t) / o.norm() / t.norm()
            assert logits[b, c].item() == pytest.approx(want.item(), abs=1e-9)


@torch.no_grad()
def test_the_integration_is_a_residual_around_clips_frames_where_no_message_is_heard():
    """With messages that no token can hear, the tower up to the integration is CLIP's own."""
    own = model()
    tower, x = own.tower, videos()
    plainly = super(xclip.XCLIPTower, tower).block
    tower.block = plainly
    seen = tower(x)
    assert torch.allclose(seen.frames, tower.integration(embed_frames(own.clip, x)), atol=1e-5)
    assert torch.allclose(seen.pooled @ own.clip.visual.proj, embed_frames(own.clip, x), atol=1e-5)


# --- what it depends on ---


@torch.no_grad()
def test_a_video_depends_neither_on_its_batch_nor_a_class_on_the_others():
    own, x = model(), videos(3)
    together = own(x).logits
    assert torch.allclose(torch.cat([own(v[None]).logits for v in x]), together, atol=1e-5)
    some = own(x, own.texts.select(torch.tensor([2, 0]))).logits
    assert torch.allclose(some, together[:, [2, 0]], atol=1e-5)
    assert own(x, small_systems.other_texts(own)).logits.shape == (3, 2)


@torch.no_grad()
def test_frames_hear_each_other_and_their_order_counts():
    own, x = model(), videos(1)
    changed = x.clone()
    changed[:, 2] = 0
    pooled, other = own.tower(x).pooled, own.tower(changed).pooled
    assert (pooled[:, 0] - other[:, 0]).abs().max() > 1e-4
    assert not torch.allclose(own(x).logits, own(x.flip(1)).logits, atol=1e-4)


@torch.no_grad()
def test_texts_differ_by_video():
    own, x = model(), videos()
    texts = own.head.texts(own.texts.cls, own.tower(x).context)
    assert texts.shape == (2, 3, tiny.D) and (texts[0] - texts[1]).abs().max() > 1e-4


# --- what is trained and kept ---


def test_gradients_reach_all_that_is_trained_and_nothing_else():
    own = model()
    own(videos()).logits.square().sum().backward()
    with_gradient = {n for n, p in own.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    trained = {n for n, p in own.named_parameters() if p.requires_grad}
    assert with_gradient == trained
    assert {n.split(".")[0] for n in trained} == {"clip", "head", "tower"}
    assert all(n.startswith("clip.visual.") for n in trained if n.startswith("clip."))


def test_training_leaves_text_tower_and_scale_and_a_checkpoint_gives_the_same_logits(tmp_path):
    p = tiny.profile(frames=FRAMES, epochs=1, loss="cross_entropy")
    own = model(epochs=1, loss="cross_entropy")
    before = copy.deepcopy(own.state_dict())
    train(own, tiny.clips(8), p, 0)
    same = {k for k, v in own.state_dict().items() if torch.equal(v, before[k])}
    assert {k for k in before if k.split(".")[0] == "clip" and not k.startswith("clip.visual.")} <= same
    assert all(k.startswith("clip.") and not k.startswith("clip.visual.") for k in same)
    checkpoint.save(tmp_path / "x.safetensors", own, p, tuple(tiny.CLASSES), 0)
    again = checkpoint.load(
        tmp_path / "x.safetensors", small_systems.model("x-clip", seed=7), p, tuple(tiny.CLASSES)
    ).eval()
    with torch.no_grad():
        assert torch.equal(again(videos()).logits, own.eval()(videos()).logits)


def test_half_precision_runs():
    own = model()
    with torch.autocast("cpu", torch.bfloat16):
        logits = own(videos()).logits
    with torch.no_grad():
        assert logits.dtype == torch.float32 and torch.allclose(logits, own(videos()).logits, atol=0.5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.tower.parameters())


# --- numbers ---


def test_parameters_at_full_size():
    clip, head, tower = small_systems.full_size("x-clip")
    assert count(tower.messages) == 35_453_952 and count(tower.integration) == 3_156_480
    assert count(head) == 6_303_232 and count(tower.norm) + tower.project.numel() == 394_752
    added = count(head, tower)
    assert added == 45_308_416 and count(clip.visual) + added == 131_501_056
    assert not get("x-clip").trains_scale


def test_parameters_of_the_small_one():
    clip = load_clip("storyboard")
    tower = xclip.tower(clip, 8, tiny.MODEL)
    added = count(xclip.build(128, 0.1, tiny.MODEL), tower)
    assert added == 943_360 and count(clip.visual) + added == 1_853_952


def test_costs():
    """Its README says 145 GFLOPs for ViT-B/16 with 8 frames; the complete count of CLIP is 140.5."""
    own = xclip.macs(768, 12, 196, 512, 8, 400)
    assert (140.51e9 + sum(own.values())) / 1e9 == pytest.approx(145, rel=0.01)
    assert sum(own.values()) / 140.51e9 == pytest.approx(0.025, abs=0.002)
    assert xclip.macs(128, 4, 16, 128, 8, 45)["prompts"] / 1e6 == pytest.approx(15, rel=0.1)


@torch.no_grad()
def test_costs_are_what_a_counter_of_products_sees():
    own = model()
    x, cls = videos(1), own.texts.cls
    seen = own.tower(x)
    more = small_systems.macs_of(lambda: own.tower(x)) - small_systems.macs_of(lambda: VideoTower(own.clip, FRAMES)(x))
    said = xclip.macs(32, 2, 16, tiny.D, FRAMES, len(cls))
    assert more == said["messages"] + said["integration"] + said["seen"]
    # What all videos ask alike, the first layer's queries, is asked once: of one video that is no difference.
    assert small_systems.macs_of(lambda: own.head.texts(cls, seen.context)) == said["prompts"]
