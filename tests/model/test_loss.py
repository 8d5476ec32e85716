"""Eq. 12-14 against loops (``literal``), with the minus signs the paper leaves out."""

import pytest
import torch
import torch.nn.functional as F

from sfar.errors import SfarError
from sfar.model import literal
from sfar.model.loss import info_nce

many = pytest.mark.parametrize("seed", range(24))


def batch(seed):
    """Random logits of a random size and labels, most of which repeat."""
    g = torch.Generator().manual_seed(seed)
    b, c = (int(torch.randint(1, 9, (), generator=g)) for _ in range(2))
    return 4 * torch.randn(b, c, generator=g, dtype=torch.float64), torch.randint(c, (b,), generator=g)


@many
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_value_and_gradient(seed, lam, dtype, tolerance):
    y, labels = batch(seed)
    ours, theirs = y.to(dtype, copy=True).requires_grad_(), y.clone().requires_grad_()
    loss, parts = info_nce(ours, labels, lam)
    want = literal.info_nce(theirs, labels.tolist(), lam)
    assert loss.item() == pytest.approx(want.item(), rel=tolerance, abs=tolerance)
    assert parts["t2v"] == pytest.approx(literal.text_to_video(y, labels.tolist()).item(), rel=tolerance, abs=tolerance)
    assert parts["v2t"] == pytest.approx(literal.video_to_text(y, labels.tolist()).item(), rel=tolerance, abs=tolerance)
    loss.backward()
    want.backward()
    assert (ours.grad.double() - theirs.grad).abs().max() < tolerance


@many
def test_video_to_text_is_plain_cross_entropy(seed):
    y, labels = batch(seed)
    assert literal.video_to_text(y, labels.tolist()).item() == pytest.approx(
        F.cross_entropy(y, labels).item(), abs=1e-12
    )


@many
def test_text_to_video_of_distinct_labels_is_cross_entropy_over_the_videos(seed):
    g = torch.Generator().manual_seed(seed)
    y, labels = torch.randn(5, 9, generator=g, dtype=torch.float64), torch.randperm(9, generator=g)[:5]
    want = F.cross_entropy(y[:, labels].T, torch.arange(5)).item()
    assert info_nce(y, labels)[1]["t2v"] == pytest.approx(want, abs=1e-12)


def test_lambda_weighs_video_to_text():
    y, labels = batch(3)
    parts = info_nce(y, labels)[1]
    for lam in (0.0, 0.25, 1.0, 3.0):
        assert info_nce(y, labels, lam)[0].item() == pytest.approx(parts["t2v"] + lam * parts["v2t"], abs=1e-12)
    assert info_nce(y, labels)[0].item() == pytest.approx(parts["t2v"] + parts["v2t"], abs=1e-12)  # the default is 1


def test_the_order_of_the_batch_does_not_matter():
    y, labels = batch(5)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    assert info_nce(y[order], labels[order])[0].item() == pytest.approx(info_nce(y, labels)[0].item(), abs=1e-12)


def test_a_perfect_batch_costs_nothing_and_a_descent_step_helps():
    labels = torch.tensor([0, 1, 2])
    assert info_nce(200 * torch.eye(3), labels)[0].item() < 1e-6
    y, labels = batch(4)
    y.requires_grad_()
    loss = info_nce(y, labels)[0]
    loss.backward()
    assert info_nce(y.detach() - 0.1 * y.grad, labels)[0] < loss  # so both signs are right: the paper prints neither


def test_one_class_in_the_batch_cannot_be_contrasted_but_is_finite():
    labels = torch.tensor([2, 2, 2, 2])
    loss, parts = info_nce(torch.zeros(4, 3, dtype=torch.float64), labels)
    assert parts["t2v"] == pytest.approx(torch.tensor(4.0).log().item())
    assert torch.isfinite(loss)


def test_large_logits_do_not_overflow():
    assert torch.isfinite(info_nce(torch.tensor([[1e4, -1e4], [-1e4, 1e4]]), torch.tensor([1, 0]))[0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [(0, 0), (0, 2), (1, 1)])
def test_logits_that_are_not_finite(bad, place):
    y = torch.zeros(2, 3)
    y[place] = bad
    with pytest.raises(SfarError, match=r"not finite.*lower train.lr"):
        info_nce(y, torch.tensor([0, 1]))


def test_a_true_class_at_minus_infinity():
    y = torch.zeros(2, 3)
    y[0, 0] = -float("inf")
    with pytest.raises(SfarError, match=r"not finite"):
        info_nce(y, torch.tensor([0, 1]))
