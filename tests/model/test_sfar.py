"""The SFAR head: readings and ablations, what it keeps between calls, and the fused form against the printed one."""

import copy
import dataclasses
import gc
import pickle
import weakref

import pytest
import tiny
import torch
from tiny import C, D

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model import cost, literal
from sfar.model.embedding import aggregate, unit
from sfar.model.sfar import SFAR, CrossAttention

PRINTED, MHA = ModelConfig(ffn_residual=False, frame_norm=True), ModelConfig(attention="mha")


def count(module):
    return sum(p.numel() for p in module.parameters())


# --- the fused form ---


@pytest.mark.parametrize("ffn", ["linear-relu-linear", "residual", "none"])
@pytest.mark.parametrize("branches", ["both", "coarse", "fine"])
def test_the_fused_form_changes_no_number_but_by_rounding(ffn, branches):
    """Logits and all gradients, against Eq. 8, 10, 11 and the cosine as printed; importances are the same ones."""
    cfg = ModelConfig(
        ffn="none" if ffn == "none" else "linear-relu-linear",
        ffn_residual=ffn == "residual",
        coarse=branches != "fine",
        fine=branches != "coarse",
    )
    torch.manual_seed(0)
    head = SFAR(D, 0.3, cfg).double()
    for p in head.parameters():  # 0.02 would leave T^ close to T
        torch.nn.init.normal_(p, std=D**-0.5)
    texts = tiny.random_texts().double()
    assert SFAR.fused, "what is trained and measured"

    def run(fused):
        head.fused = fused
        frames = tiny.random_frames().double().requires_grad_()
        leaf = texts.cls.clone().requires_grad_()
        out = head(frames, tiny.replaced(texts, cls=leaf), torch.tensor(7.0, dtype=torch.float64))
        weights = torch.randn(out.logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return out, torch.autograd.grad((out.logits * weights).sum(), [frames, leaf, *head.parameters()])

    (ours, our_grads), (printed, printed_grads) = run(True), run(False)
    assert ours.logits.std() > 0.1 and (ours.logits - printed.logits).abs().max() < 1e-12
    for a, b in ((ours.coarse, printed.coarse), (ours.fine, printed.fine)):
        assert a is b is None or torch.equal(a, b)
    for a, b in zip(our_grads, printed_grads, strict=True):
        assert b.abs().max() > 0 and (a - b).abs().max() < 1e-12 * max(1, b.abs().max())


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_add_up(fused):
    """Two backward passes, as with few clips at a time, give every parameter twice its gradient."""
    head, frames, texts = SFAR(D, 0.3, PRINTED), tiny.random_frames(), tiny.random_texts()
    head.fused = fused
    once = torch.autograd.grad(head(frames, texts, torch.tensor(7.0)).logits.sum(), list(head.parameters()))
    for _ in range(2):
        head(frames, texts, torch.tensor(7.0)).logits.sum().backward()
    for p, g in zip(head.parameters(), once, strict=True):
        assert torch.allclose(p.grad, 2 * g, rtol=1e-4, atol=1e-4 * g.abs().max())


def test_the_switch_is_one_and_it_switches(monkeypatch):
    calls = []
    monkeypatch.setattr("sfar.model.sfar.cosines", lambda *_: calls.append(1) or torch.zeros(tiny.B, C))
    head, texts = SFAR(D, 0.1, PRINTED), tiny.random_texts()
    for fused, want in ((True, 1), (False, 1)):
        head.fused = fused
        head(tiny.random_frames(), texts, torch.tensor(1.0))
        assert len(calls) == want


# --- parameters ---


@pytest.mark.parametrize("cfg, expected", [(PRINTED, 1_837_056), (MHA, 2_101_248)], ids=["printed", "mha"])
def test_parameters_of_the_head(cfg, expected):
    head = SFAR(512, 0.01, cfg)
    assert count(head) == expected == sum(cost.head_parameters(512, cfg.attention).values())
    assert {f"head.{name}": count(part) for name, part in head.named_children()} == cost.head_parameters(
        512, cfg.attention
    )


def test_parameters_of_the_ablations():
    ffn, attention = 2 * (D * D + D), 3 * D * D
    assert count(SFAR(D, 0.1, ModelConfig(fine=False))) == attention + ffn
    assert count(SFAR(D, 0.1, ModelConfig(coarse=False))) == ffn
    assert count(SFAR(D, 0.1, ModelConfig(ffn="none"))) == attention


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
    t, m = tiny.random_texts(heads), attention.mha
    words, subs = t.words.double(), t.sub_words.double()
    with torch.set_grad_enabled(grad):
        got = attention(words, subs, t.sub_mask)
    for c in range(C):
        lists = [s[k] for s, k in zip(subs[c], t.sub_mask[c], strict=True)]
        parameters = m.in_proj_weight, m.in_proj_bias, m.out_proj.weight, m.out_proj.bias
        want = literal.augmented_words_multi_head(words[c], lists, heads, *parameters)
        assert (got[c] - torch.stack(want)).abs().max() < 1e-10


def test_mha_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="attention_heads=3 does not divide"):
        SFAR(D, 0.1, ModelConfig(attention="mha", attention_heads=3))


def test_one_branch_alone():
    torch.manual_seed(0)
    frames, texts, scale = tiny.random_frames(), tiny.random_texts(), torch.tensor(1.0)
    both = SFAR(D, 0.1, PRINTED)
    coarse, fine = (SFAR(D, 0.1, dataclasses.replace(PRINTED, **{off: False})) for off in ("fine", "coarse"))
    coarse.load_state_dict({k: v for k, v in both.state_dict().items() if "fine" not in k})
    fine.load_state_dict({k: v for k, v in both.state_dict().items() if "ffn_fine" in k})
    a, b, o = coarse(frames, texts, scale), fine(frames, texts, scale), both(frames, texts, scale)
    assert a.fine is None and b.coarse is None
    assert torch.allclose(
        coarse.embed(frames, texts)[0] + fine.embed(frames, texts)[0], both.embed(frames, texts)[0], atol=1e-7
    )  # Eq. 11 adds the two
    assert torch.equal(a.coarse, o.coarse) and torch.equal(b.fine, o.fine)
    garbage = tiny.replaced(texts, words=torch.full_like(texts.words, float("nan")))
    assert torch.equal(
        fine(frames, garbage, scale).logits, b.logits
    )  # the fine branch knows the class only by its sub-texts


def test_augmented_words_are_kept_until_something_changes():
    """Without gradients Eq. 4-6 are computed once; other texts, other weights, another copy get their own."""
    head, frames, texts, scale = SFAR(D, 0.1, PRINTED), tiny.random_frames(), tiny.random_texts(), torch.tensor(1.0)
    calls = []
    head.attention.register_forward_hook(lambda *_: calls.append(1))

    def logits(h, t):
        with torch.no_grad():
            return h(frames, t, scale).logits

    first = logits(head, texts)
    assert torch.equal(logits(head, texts), first) and len(calls) == 1
    other = tiny.replaced(texts, words=texts.words + 1)
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
    frames, texts = tiny.random_frames(), tiny.random_texts()
    head = SFAR(D, 0.1, ModelConfig(ffn="none", frame_norm=True))
    o, coarse, fine = head.embed(frames, texts)
    want = aggregate(unit(frames), coarse) + aggregate(unit(frames), fine)
    assert torch.allclose(o, want, atol=1e-6)
    assert torch.allclose(
        head(frames, texts, torch.tensor(1.0)).logits, torch.cosine_similarity(want, texts.cls, dim=-1), atol=1e-6
    )


def test_residual_ffn():
    torch.manual_seed(0)
    frames, texts = tiny.random_frames(), tiny.random_texts()
    plain, residual, none = (
        SFAR(D, 0.1, dataclasses.replace(PRINTED, **c)) for c in ({}, {"ffn_residual": True}, {"ffn": "none"})
    )
    residual.load_state_dict(plain.state_dict())
    none.load_state_dict({k: v for k, v in plain.state_dict().items() if "ffn" not in k})
    a, b, c = (h.embed(frames, texts)[0] for h in (plain, residual, none))
    assert torch.allclose(a + c, b, atol=1e-6)


def test_the_constant_of_eq_9_follows_the_texts():
    # The head keeps it between calls: other texts, and another copy of the head, must not get a stale one.
    head, frames, scale = SFAR(D, 0.1, PRINTED), tiny.random_frames(), torch.tensor(1.0)
    first, second = tiny.random_texts(1), tiny.random_texts(2)
    a, b = head(frames, first, scale), head(frames, second, scale)
    assert not torch.allclose(a.fine, b.fine)
    assert torch.equal(head(frames, first, scale).fine, a.fine)
    assert torch.equal(head(frames, second.select(torch.tensor([2, 0])), scale).fine, b.fine[:, [2, 0]])
    assert torch.equal(copy.deepcopy(head)(frames, second, scale).logits, b.logits)
    assert not any("mean" in name for name in head.state_dict())


# --- what is kept between calls ---


def quiet(head, frames, texts):
    with torch.no_grad():
        return head(frames, texts, torch.tensor(1.0))


def test_texts_that_alternate_get_their_own():
    """One value is kept of each kind, whichever texts come: those of the model and of unseen classes in turns."""
    head, frames, texts = SFAR(D, 0.1, PRINTED), tiny.random_frames(), [tiny.random_texts(s) for s in range(3)]
    fresh = [quiet(copy.deepcopy(head), frames, t) for t in texts]
    for k in (0, 1, 0, 0, 2, 1, 2, 0):
        got = quiet(head, frames, texts[k])
        for name in ("logits", "coarse", "fine"):
            assert torch.equal(getattr(got, name), getattr(fresh[k], name))


def test_the_tensors_that_are_compared_are_held():
    """A freed tensor's id, and its memory, go to the next one of its size: while it is compared with, it must live."""
    head, texts = SFAR(D, 0.1, PRINTED), tiny.random_texts()
    quiet(head, tiny.random_frames(), texts)
    held = [weakref.ref(x) for x in (texts.words, texts.sub_words, texts.sub_mask)]
    del texts
    gc.collect()
    assert all(x() is not None for x in held)
    quiet(head, tiny.random_frames(), tiny.random_texts(1))
    gc.collect()
    assert not any(x() is not None for x in held), "and no longer"


@pytest.mark.parametrize("name", ["words", "sub_words", "sub_mask"])
def test_any_other_tensor_of_the_texts_counts(name):
    head, frames, texts = SFAR(D, 0.1, PRINTED), tiny.random_frames(), tiny.random_texts()
    quiet(head, frames, texts)
    other = {"words": texts.words + 1, "sub_words": texts.sub_words * 2 - 1, "sub_mask": texts.sub_mask.flip(-1)}[name]
    texts = tiny.replaced(texts, **{name: other})
    assert torch.equal(quiet(head, frames, texts).logits, quiet(copy.deepcopy(head), frames, texts).logits)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_copy_does_not_answer_for_its_original(again):
    """A copied parameter counts its changes from zero: after one change it looks like the original after one."""
    model, frames = tiny.model("sfar").eval(), tiny.random_frames()
    with torch.no_grad():
        for p in model.head.attention.parameters():
            p.add_(0)  # one change
        before = model.from_embeddings(frames).logits
        other = again(model)
        assert torch.equal(other.from_embeddings(frames).logits, before)
        other = again(model)
        for p in other.head.attention.parameters():
            p.mul_(30)
        moved = other.from_embeddings(frames).logits
        assert not torch.allclose(moved, before, atol=1e-4)
        assert torch.equal(model.from_embeddings(frames).logits, before)


def test_a_model_that_was_evaluated_first_can_be_trained():
    model, frames = tiny.model("sfar"), tiny.random_frames()
    with torch.inference_mode():
        before = model.from_embeddings(frames).logits
    after = model.from_embeddings(frames.requires_grad_()).logits
    after.sum().backward()
    assert torch.allclose(before, after, atol=1e-5) and frames.grad.abs().max() > 0
