"""Tall matrices: the same numbers by convolution as in double precision, and by convolution where they should be."""

import pytest
import torch

from sfar.bench.measure import without_onednn
from sfar.model.kernels import matmul

SIZES = [(1, 1, 1), (2, 3, 5), (7, 1, 4), (33, 16, 8), (400, 96, 64), (3, 512, 200)]
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


def draw(n, k, m, dtype=torch.float32):
    g = torch.Generator().manual_seed(n + k + m)
    return [torch.randn(*shape, generator=g, dtype=dtype) for shape in ((n, k), (m, k), (n, m))]


def operations(call):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        call()
    return {e.key for e in profile.key_averages()}


@pytest.mark.parametrize("large", [0, matmul.LARGE])
@pytest.mark.parametrize("n, k, m", [*SIZES, (1024, 256, 128)])  # the last is large by itself
def test_values_and_gradients(n, k, m, large, monkeypatch):
    monkeypatch.setattr(matmul, "LARGE", large)
    x, w, g = draw(n, k, m)

    def near(got, want):
        torch.testing.assert_close(got.double(), want, rtol=0, atol=1e-5 * max(1.0, want.abs().max().item()))

    want, want_x, want_w = x.double() @ w.double().T, g.double() @ w.double(), g.double().T @ x.double()
    near(matmul.matmul_t(x, w), want)
    near(matmul.weight_gradient(x, g), want_w)
    x.requires_grad_(), w.requires_grad_()
    out = matmul.linear(x.view(1, n, k), w)
    assert out.shape == (1, n, m) and out.is_contiguous()
    near(out[0], want)
    for got, target in zip(torch.autograd.grad((out[0] * g).sum(), [x, w]), (want_x, want_w), strict=True):
        near(got, target)


@pytest.mark.parametrize("large", [0, matmul.LARGE])
def test_any_layout_will_do(large, monkeypatch):
    """Transposed, every second row, expanded: as a convolution's images they are copied, not misread."""
    monkeypatch.setattr(matmul, "LARGE", large)
    x, w, g = draw(40, 24, 10, torch.float64)
    for f, (a, b) in ((matmul.matmul_t, (x, w)), (matmul.weight_gradient, (x, g))):
        want = f(a, b)
        for change in (lambda t: t.T.contiguous().T, lambda t: torch.stack([t, t], 1).flatten(0, 1)[::2]):
            torch.testing.assert_close(f(change(a.float()), change(b.float())).double(), want, rtol=0, atol=1e-4)
    ones = torch.ones(1, 10).expand(40, 10)
    torch.testing.assert_close(
        matmul.weight_gradient(x.float(), ones).double(), x.sum(0).expand(10, 24), rtol=0, atol=1e-4
    )


def test_only_the_gradients_that_are_asked_for():
    x, w, _ = draw(5, 4, 3)
    (got,) = torch.autograd.grad(matmul.linear(x, w.requires_grad_()).sum(), [w])
    torch.testing.assert_close(got, x.sum(0).expand(3, 4))
    assert not matmul.linear(x, w.detach()).requires_grad
    leaves = [t.requires_grad_() for t in draw(5, 4, 3, torch.float64)[:2]]
    assert torch.autograd.gradcheck(matmul.linear, leaves)


@needs_onednn
def test_large_multiplications_are_convolutions_and_no_others():
    large, small = draw(1024, 256, 128), draw(1024, 8, 8)
    for f, i in ((matmul.matmul_t, 1), (matmul.weight_gradient, 2)):
        convolution = {"aten::convolution", "aten::convolution_backward"}
        assert operations(lambda f=f, i=i: f(large[0], large[i])) & convolution
        assert not operations(lambda f=f, i=i: f(small[0], small[i])) & convolution
        assert not operations(lambda f=f, i=i: f(large[0].double(), large[i].double())) & convolution
        with without_onednn():
            assert not operations(lambda f=f, i=i: f(large[0], large[i])) & convolution
