"""Trainings in one program: each has the numbers that it has by itself."""

import dataclasses

import numpy as np
import pytest
import tiny
import torch

from sfar.config import ModelConfig
from sfar.errors import SfarError
from sfar.model import registry
from sfar.training.stacked import OneFailed, Replicate, can_stack, train_stacked
from sfar.training.train import train

FROZEN = tiny.profile(train_visual=False, epochs=2)
READINGS = {
    "mha": {"attention": "mha"},
    "residual": {"ffn_residual": True},
    "no layers": {"ffn": "none"},
    "sum": {"coarse_reduce": "sum"},
    "coarse": {"fine": False},
    "fine": {"coarse": False},
}
HEADS = [(m.name, {}) for m in registry.METHODS.values() if m.trained] + [("sfar", c) for c in READINGS.values()]


def replicate(k, method="sfar", cfg=tiny.MODEL, n=10):
    """Other weights, clips, labels and seed for each ``k``."""
    clips = tiny.clips(n, seed=k)
    clips.labels = np.random.default_rng(k).integers(0, 3, n).tolist()
    g = torch.Generator().manual_seed(k)
    embedded = torch.randn(2, n, 3, tiny.D, generator=g)
    return Replicate(tiny.model(method, k, cfg, train_visual=False), clips, embedded, seed=10 + k)


def logits(model):
    with torch.no_grad():
        return model.eval().from_embeddings(tiny.random_frames()[:, :3]).logits


@pytest.mark.parametrize("method, changes", HEADS, ids=[f"{m} {' '.join(c)}" for m, c in HEADS])
def test_each_has_the_numbers_of_its_own_training(method, changes):
    cfg: ModelConfig = dataclasses.replace(tiny.MODEL, **changes)
    mine, alone = ([replicate(k, method, cfg) for k in range(3)] for _ in range(2))
    steps = []
    found = train_stacked(mine, FROZEN, lambda *a: steps.append(a[:2]))
    assert steps == [(k, 4) for k in (1, 2, 3, 4)]
    for a, b, history in zip(mine, alone, found, strict=True):
        fresh = logits(b.model)
        h = train(b.model, b.clips, FROZEN, b.seed, embedded=b.embedded)
        for name in ("loss", "t2v", "v2t"):
            assert getattr(history, name) == pytest.approx(getattr(h, name), abs=1e-5)
        assert history.steps == h.steps == 4
        pa, pb = logits(a.model).softmax(-1), logits(b.model).softmax(-1)
        assert (pa - pb).abs().max() < 1e-5 < (fresh.softmax(-1) - pb).abs().max()
    if list(mine[0].model.head.parameters()):
        assert (logits(mine[0].model) - logits(mine[1].model)).abs().max() > 1e-3, "weights of their own"


def test_what_is_frozen_stays():
    one = replicate(0)
    before = {n: p.clone() for n, p in one.model.clip.visual.named_parameters()}
    train_stacked([one, replicate(1)], FROZEN)
    assert all(torch.equal(before[n], p) for n, p in one.model.clip.visual.named_parameters())


def test_a_loss_that_is_not_finite_names_run_and_batch():
    sound, broken = replicate(0), replicate(1)
    broken.embedded[:, 3] = float("nan")
    with pytest.raises(OneFailed, match=r"the loss is not finite .*Epoch 1, batch \d of 2; logits .*: clip3") as e:
        train_stacked([sound, broken], FROZEN)
    with pytest.raises(SfarError) as other:
        r = replicate(1)
        train(r.model, r.clips, FROZEN, r.seed, embedded=broken.embedded)
    assert e.value.replicate == 1 and str(e.value) == str(other.value)


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="different length"):
        train_stacked([replicate(0), replicate(1, n=12)], FROZEN)


def test_what_can_be_stacked():
    cpu = torch.device("cpu")
    assert can_stack(FROZEN, cpu)
    for change in ({"train_visual": True}, {"micro_batch": 2}, {"precision": "fp16"}):
        assert not can_stack(tiny.profile(**{"train_visual": False} | change), cpu)
