"""Multiplication of tall matrices, by the quicker of the two libraries that PyTorch has for it on a CPU.

``torch.mm`` is MKL there, which leaves the AVX-512 units of AMD's processors idle; a convolution is oneDNN, which does
not: on an EPYC a large multiplication takes half the time as the 1 x 1 convolution of an image that is one pixel wide,
without a copy. On a GPU, in double precision and for small matrices it is ``torch.mm``, and so it is where oneDNN is
switched off (``torch.backends.mkldnn.set_flags``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

LARGE = 2**24  # multiplications; for fewer, to call a convolution takes longer than it saves


def _by_convolution(x: Tensor, width: int) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() * width >= LARGE
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )


def _image(x: Tensor) -> Tensor:
    """Rows [n, k] as n pixels of k channels, [1, k, n, 1], channels last: the same memory."""
    return x.contiguous()[None, :, None].permute(0, 3, 1, 2)


def matmul_t(x: Tensor, w: Tensor) -> Tensor:
    """Multiply: x w^T [n, m] of x [n, k] and w [m, k], as of a linear layer; not differentiable (``linear`` is)."""
    if not _by_convolution(x, len(w)):
        return x @ w.T
    return F.conv2d(_image(x), w[:, :, None, None]).permute(0, 2, 3, 1).reshape(len(x), len(w))


def weight_gradient(x: Tensor, g: Tensor) -> Tensor:
    """g^T x [m, k] of x [n, k] and g [n, m]: the gradient of w in ``matmul_t`` where g is that of its result."""
    width = g.shape[1]
    if not _by_convolution(x, width):
        return g.T @ x
    return conv2d_weight(_image(x), (width, x.shape[1], 1, 1), _image(g)).view(width, -1)


class _Linear(torch.autograd.Function):
    """``matmul_t`` with gradients.

    A convolution's own gradient for its input is slower than its forward pass, which does the same here.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # with ``setup_context`` there is no ``ctx``
        x: Tensor, w: Tensor
    ) -> Tensor:
        return matmul_t(x, w)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[Tensor, int]:
        """Of many models at once: one call for small matrices, for large ones each in its own."""
        x, w = (t if at is None else t.movedim(at, 0) for t, at in zip(inputs, in_dims, strict=True))
        if _by_convolution(x[0] if x.dim() == 3 else x, w.shape[-2]):
            return torch.stack([_Linear.apply(*one) for one in each(info.batch_size, in_dims, inputs)]), 0
        return x @ w.transpose(-2, -1), 0

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the parameters' names
        ctx: Any, g: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        x, w = ctx.saved_tensors
        d_x = matmul_t(g, w.T) if ctx.needs_input_grad[0] else None
        d_w = weight_gradient(x, g) if ctx.needs_input_grad[1] else None
        return d_x, d_w


def each(n: int, in_dims: Sequence[int | None], inputs: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The arguments of each of ``n`` models, where ``vmap`` of an autograd function is given them together."""
    # Not one by one: each would have a gradient of the size of all.
    parts = [itertools.repeat(x, n) if at is None else x.unbind(at) for x, at in zip(inputs, in_dims, strict=True)]
    return zip(*parts, strict=True)


def linear(x: Tensor, w: Tensor) -> Tensor:
    """Multiply: x w^T of x [..., k] and w [m, k]: [..., m], with gradients of first order."""
    return _Linear.apply(x.reshape(-1, x.shape[-1]), w).view(*x.shape[:-1], len(w))
