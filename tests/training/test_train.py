"""The trainer on a CLIP and clips small enough to train in a second."""

import copy
import math
import os
import shutil
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch._inductor import config as inductor
from torch.utils.data import DataLoader

from sfar.cli.train import compiling
from sfar.errors import ConfigError, SfarError
from sfar.model.loss import info_nce
from sfar.runs import run
from sfar.subtexts.source import subtexts_of
from sfar.training.evaluate import score
from sfar.training.metrics import ranks, topk
from sfar.training.train import TrainingClips, autocast_dtype, learning_rate, seed_everything, train


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def changed(before, model, by=0.0):
    return {k for k, v in model.state_dict().items() if (v - before[k]).abs().max() > by}


def is_text(name):
    return name.startswith("clip.") and not name.startswith("clip.visual.") and name != "clip.logit_scale"


# --- schedule ---


@pytest.mark.parametrize(
    "epoch, factor",
    [
        (0, 0),
        (0.5, 0.1),
        (2.5, 0.5),
        (4.999, 0.9998),
        (5, 1),
        (11.25, (2 + math.sqrt(2)) / 4),
        (17.5, 0.5),
        (23.75, (2 - math.sqrt(2)) / 4),
        (30, 0),
    ],
)
def test_learning_rate_of_the_paper(epoch, factor):
    assert learning_rate(epoch, 5, 30) == pytest.approx(factor, abs=1e-12)


def test_two_epochs_never_leave_a_warm_up_of_five():
    assert [learning_rate(e, 5, 2) for e in (0, 0.5, 1, 2)] == pytest.approx([0, 0.1, 0.2, 0.4])


def test_no_warm_up_begins_at_the_full_rate():
    assert [learning_rate(e, 0, 4) for e in (0, 2, 4)] == pytest.approx([1, 0.5, 0])


def test_the_rate_rises_then_falls_without_a_jump():
    rates = [learning_rate(e / 100, 5, 30) for e in range(3001)]
    top = rates.index(max(rates))
    assert top == 500 and rates[:501] == sorted(rates[:501]) and rates[500:] == sorted(rates[500:], reverse=True)
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.01


# --- clips ---


def same(a, b):
    return torch.equal(a[0], b[0]) and a[1] == b[1]


def items_of(*args) -> Any:
    """The items of sound clips: (frames, label)."""
    return TrainingClips(*args)


def test_an_item_depends_on_seed_epoch_and_number_alone():
    clips, profile = tiny.clips(6), tiny.profile()
    first, second = items_of(clips, profile, 3), items_of(clips, profile, 3)
    forward = [first[i] for i in range(6)]
    seed_everything(99)  # nor on the global generators
    backward = [second[i] for i in reversed(range(6))][::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))
    assert same(first[2], first[2])
    second.epoch = 1
    assert not any(torch.equal(forward[i][0], second[i][0]) for i in range(6))
    second.epoch = 0
    assert same(forward[4], second[4])
    other = items_of(clips, profile, 4)
    assert not any(torch.equal(forward[i][0], other[i][0]) for i in range(6))


def test_items_have_the_shape_the_model_takes():
    clips = tiny.clips(4)
    data = items_of(clips, tiny.profile(frames=5), 0)
    x, y = data[1]
    assert (
        len(data) == 4 and x.shape == (5, 3, tiny.SIZE, tiny.SIZE) and x.dtype == torch.float32 and y == clips.labels[1]
    )


def test_the_number_of_workers_does_not_matter():
    data = TrainingClips(tiny.clips(6), tiny.profile(), 0)
    data.epoch = 2
    batches = [[x for x, _ in DataLoader(data, 2, num_workers=n)] for n in (0, 2)]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_workers_outlive_an_epoch_and_hear_of_the_next(monkeypatch):
    made = []

    def loader(*args, **how):
        made.append(how["persistent_workers"])
        return DataLoader(*args, **how)

    monkeypatch.setattr("sfar.training.train.DataLoader", loader)
    p, losses = tiny.profile(epochs=3), []
    for workers in (0, 2):
        losses.append(train(tiny.model("clip"), tiny.clips(8), p, 5, workers=workers).loss)
    assert losses[0] == pytest.approx(losses[1], abs=1e-6) and len(set(losses[0])) == 3
    assert made == [False, True], "one loader for all epochs"


# --- training ---


def test_the_same_seed_gives_the_same_weights():
    clips, profile = tiny.clips(8), tiny.profile()
    models = [tiny.model() for _ in range(3)]
    histories = []
    for model, seed in zip(models, (5, 5, 6), strict=True):
        torch.rand(seed)  # the state of the global generator is no input
        histories.append(train(model, clips, profile, seed))
    a, b, c = (weights(m) for m in models)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert histories[0].loss == histories[1].loss
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_the_seed_draws_the_head():
    first, again, other = (tiny.model(seed=s).head.state_dict() for s in (0, 0, 1))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not any(torch.equal(first[k], other[k]) for k in first if k.endswith("weight"))


@pytest.mark.parametrize("method", ["sfar", "clip", "single"])
@pytest.mark.parametrize("train_visual", [True, False])
def test_what_is_trained(method, train_visual):
    model = tiny.model(method, train_visual=train_visual)
    before, texts = weights(model), copy.deepcopy(model.texts)
    train(model, tiny.clips(8), tiny.profile(lr_clip=1e-2), 0)
    moved = changed(before, model)
    assert not any(is_text(k) for k in moved)
    visual = {k for k in before if k.startswith("clip.visual.")} if train_visual else set()
    assert {k for k in moved if k.startswith("clip.")} == visual | {"clip.logit_scale"}
    assert moved >= {k for k in before if k.startswith("head.") and k.endswith("weight")}
    assert torch.equal(model.texts.words, texts.words) and torch.equal(model.texts.sub_words, texts.sub_words)


def test_the_two_groups_have_their_own_rate():
    for rates, part in (({"lr_clip": 0.0}, "head."), ({"lr_head": 1e-30}, "clip.")):  # a rate of the head must exceed 0
        model = tiny.model()
        before = weights(model)
        train(model, tiny.clips(8), tiny.profile(**rates), 0)
        moved = changed(before, model, by=1e-12)
        assert moved and all(k.startswith(part) for k in moved)


def test_the_recipe_step_by_step():
    clips, seed, rates = tiny.clips(9), 7, [0.5, 1.0]  # a warm-up of one epoch, two steps; then a cosine over two
    rates += [(1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3, 4)]
    profile = tiny.profile(
        epochs=3,
        warmup_epochs=1.0,
        betas=(0.8, 0.95),
        eps=1e-6,
        weight_decay=0.3,
        lr_head=3e-3,
        lr_clip=2e-3,
        loss_lambda=0.5,
    )
    trained, model = tiny.model(), tiny.model()
    train(trained, clips, profile, seed)
    groups = model.groups()
    optimizer = torch.optim.AdamW(
        [{"params": groups["clip"]}, {"params": groups["head"]}], betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3
    )
    data = items_of(clips, profile, seed)
    for epoch in range(3):
        data.epoch = epoch  # every epoch draws other crops
        order = np.random.default_rng([seed, epoch]).permutation(9)
        for i, rows in enumerate((order[:4], order[4:8])):  # the ninth is left over
            for group, base in zip(optimizer.param_groups, (2e-3, 3e-3), strict=True):
                group["lr"] = base * rates[2 * epoch + i]
            items = [data[int(k)] for k in rows]
            logits = model(torch.stack([x for x, _ in items])).logits
            optimizer.zero_grad()
            info_nce(logits, torch.tensor([y for _, y in items]), 0.5)[0].backward()
            optimizer.step()
    want = model.state_dict()
    for name, value in trained.state_dict().items():
        assert torch.allclose(value, want[name], atol=1e-6), name


def test_steps_history_and_the_last_incomplete_batch():
    seen = []
    history = train(tiny.model(), tiny.clips(11), tiny.profile(batch=4, epochs=3), 0, lambda *a: seen.append(a))
    assert history.steps == 6 and [s[:2] for s in seen] == [(i, 6) for i in range(1, 7)]
    assert len(history.loss) == len(history.t2v) == len(history.v2t) == 3 and history.seconds >= 0
    losses = [s[2] for s in seen]
    assert history.loss == pytest.approx([sum(losses[i : i + 2]) / 2 for i in (0, 2, 4)], abs=1e-5)
    assert history.loss == pytest.approx([a + b for a, b in zip(history.t2v, history.v2t, strict=True)], abs=1e-5)


def test_fewer_clips_than_a_batch_are_one_batch():
    assert train(tiny.model(), tiny.clips(3), tiny.profile(batch=16), 0).steps == 2


def test_lambda_reaches_the_loss():
    history = train(tiny.model(), tiny.clips(8), tiny.profile(loss_lambda=2.0), 0)
    assert history.loss == pytest.approx([a + 2 * b for a, b in zip(history.t2v, history.v2t, strict=True)], abs=1e-5)


@pytest.mark.parametrize("method", ["sfar", "clip"])
def test_a_separable_toy_is_learned(method):
    clips, unseen = tiny.clips(30, seed=1), tiny.clips(30, seed=2)
    model = tiny.model(method)
    history = train(model, clips, tiny.profile(batch=12, epochs=30, warmup_epochs=2.0, lr_head=1e-2, lr_clip=3e-3), 0)
    assert history.v2t[-1] < 0.4 * history.v2t[0]
    assert history.t2v[-1] < history.t2v[0]  # its floor is not 0: a batch holds several videos of each class
    s = score(model, unseen, 3, tiny.SIZE)
    assert topk(ranks(s.probabilities, s.labels), 1) >= 60  # chance: 33


def test_weights_that_blow_up_stop_the_run():
    model: Any = tiny.model()
    with torch.no_grad():
        model.head.ffn_fine.layers[0].weight.fill_(float("nan"))
    with pytest.raises(
        SfarError,
        match=r"the loss is not finite .* Epoch 1, batch 1 of 1; logits that are not finite: "
        r"clip\d.mp4, clip\d.mp4, clip\d.mp4, clip\d.mp4$",
    ):
        train(model, tiny.clips(4), tiny.profile(), 0)


@pytest.mark.parametrize("micro", [0, 1])
def test_the_video_behind_a_loss_that_is_not_finite_is_named(micro):
    """Frame embeddings of one clip are broken: of the batch it is the one that is named."""
    clips, embedded = tiny.clips(12), torch.randn(1, 12, 3, 16)
    embedded[0, 7] = float("inf")
    seen = []
    with pytest.raises(SfarError, match=r"Epoch 1, batch [123] of 3; logits that are not finite: clip7.mp4$"):
        train(
            tiny.model(train_visual=False),
            clips,
            tiny.profile(micro_batch=micro),
            0,
            lambda *a: seen.append(a),
            embedded=embedded,
        )
    assert len(seen) < 3


@pytest.mark.parametrize("micro", [1, 3, 4, 7])
def test_a_batch_in_parts_has_the_loss_of_the_whole(micro):
    """Cached gradients, not the mean of small losses: exact to rounding, where AdamW does not magnify it."""
    profile = {"batch": 7, "epochs": 2, "lr_head": 5e-5, "lr_clip": 5e-6}
    whole, parts = tiny.model(), tiny.model()
    histories = [
        train(m, tiny.clips(15), tiny.profile(**profile, micro_batch=k), 0) for m, k in ((whole, 0), (parts, micro))
    ]
    for name in ("loss", "t2v", "v2t"):
        assert getattr(histories[1], name) == pytest.approx(getattr(histories[0], name), abs=1e-5)
    want = weights(whole)
    assert all(torch.allclose(v, want[k], atol=1e-5) for k, v in weights(parts).items())
    small = train(tiny.model(), tiny.clips(15), tiny.profile(**profile | {"batch": 3}), 0)
    assert abs(small.t2v[0] - histories[0].t2v[0]) > 0.05  # which is another loss


@pytest.mark.parametrize(
    "precision, dtype", [("auto", None), ("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_precision(precision, dtype):
    """Half precision reaches the visual tower, and the head stays in single."""
    assert autocast_dtype(precision, torch.device("cpu")) == dtype
    model: Any = tiny.model()
    seen = []
    model.clip.visual.transformer.resblocks[0].mlp.c_fc.register_forward_hook(
        lambda _, inputs, output: seen.append(output.dtype)
    )
    rates = {"lr_head": 5e-5, "lr_clip": 5e-6}  # small: a step that the loss scale leaves out moves little
    history = train(model, tiny.clips(8), tiny.profile(precision=precision, **rates), 0)
    assert set(seen) == {dtype or torch.float32}
    plain = train(tiny.model(), tiny.clips(8), tiny.profile(**rates), 0)
    assert history.loss == pytest.approx(plain.loss, abs=0.05)
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_the_attention_of_the_visual_tower_is_one_fused_operation():
    model = tiny.model()
    with torch.profiler.profile() as profiler:
        model(torch.zeros(1, 3, 3, tiny.SIZE, tiny.SIZE)).logits.sum().backward()
    assert any("scaled_dot_product" in e.key for e in profiler.key_averages())


def test_a_model_that_was_evaluated_can_be_trained():
    # The head keeps the constant of Eq. 9; made under inference mode it would be of no use to autograd.
    model, clips = tiny.model(), tiny.clips(4)
    score(model, clips, 3, tiny.SIZE)
    train(model, clips, tiny.profile(), 0)
    assert model.training


@pytest.mark.parametrize("method", ["clip", "sfar"])
def test_activations_computed_again_change_no_number(method):
    """``train.checkpoint_activations`` is open_clip's own: less memory, the same values and gradients."""
    frames = torch.randn(4, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    labels, found = torch.tensor([0, 1, 2, 0]), []
    for again in (False, True):
        model: Any = tiny.model(method).train()
        model.clip.visual.set_grad_checkpointing(again)
        assert model.clip.visual.transformer.grad_checkpointing is again
        logits = model(frames).logits
        info_nce(logits, labels)[0].backward()
        found.append([logits.detach(), *(p.grad for p in model.parameters() if p.requires_grad)])
    assert len(found[0]) > 5 and all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="torch.compile needs a C++ compiler")
def test_a_compiled_tower_changes_no_number(monkeypatch):
    """``train.compile``: the tower really runs compiled, in training and in evaluation; weights keep their names."""
    clips, texts = [tiny.clip(), tiny.clip()], subtexts_of(tiny.profile(), tuple(tiny.CLASSES))
    monkeypatch.setattr(run, "load_clip", lambda *_: clips.pop())
    found = []
    for compiled in (False, True):
        torch._dynamo.utils.counters.clear()
        profile = tiny.profile(compile=compiled, epochs=1, lr_head=5e-5, lr_clip=5e-6)
        model = run.build_model(profile, tiny.CLASSES, texts, "sfar", 0)
        history = train(model, tiny.clips(8), profile, 0)
        scores = score(model, tiny.clips(5), 3, tiny.SIZE).probabilities
        assert (torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0) is compiled
        found.append((history.loss, scores, weights(model)))
    (loss, scores, want), (other_loss, other_scores, got) = found
    assert other_loss == pytest.approx(loss, abs=1e-4) and np.abs(other_scores - scores).max() < 1e-4
    assert set(got) == set(want) and all(torch.allclose(v, want[k], atol=1e-4) for k, v in got.items())


def test_a_missing_compiler_is_one_message():
    with (
        inductor.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(ConfigError, match=r"train\.compile=true: .*C\+\+ compiler"),
        compiling(True),
    ):
        torch.compile(lambda x: x.sin() + 1)(torch.ones(3))
