"""Eq. 7 without keeping what has a row for each word, which is computed again for the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sfar.model.kernels.matmul import each, matmul_t, weight_gradient


def summed_softmax(words: Tensor, frames: Tensor, index: Tensor, classes: int, length: int) -> Tensor:
    """Softmax over frames of each word's similarity, added up over the words of a class: [C, L, B].

    ``words`` [P, d] of the classes ``index`` [P]; ``frames`` [L B, d], videos last: a softmax over the few frames of a
    video is several times slower where these are next to each other. Gradients of first order.
    """
    return _SummedSoftmax.apply(words, frames, index, classes, length)


def _softmax(words: Tensor, frames: Tensor, length: int) -> Tensor:
    """Of each word, [P, L, B]."""
    return matmul_t(words, frames).view(len(words), length, -1).softmax(1)


class _SummedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # with ``setup_context`` there is no ``ctx``
        words: Tensor, frames: Tensor, index: Tensor, classes: int, length: int
    ) -> Tensor:
        p = _softmax(words, frames, length)
        return p.new_zeros(classes, *p.shape[1:]).index_add_(0, index, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *kept, _, ctx.length = inputs
        ctx.save_for_backward(*kept)

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[Tensor, int]:
        """One model after another."""
        return torch.stack([_SummedSoftmax.apply(*one) for one in each(info.batch_size, in_dims, inputs)]), 0

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the parameters' names
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        words, frames, index = ctx.saved_tensors
        p = _softmax(words, frames, ctx.length)
        g = grad.contiguous().index_select(0, index)
        rows = torch._softmax_backward_data(g, p, 1, p.dtype).view(len(words), -1)  # pyright: ignore[reportPrivateImportUsage]
        d_words = matmul_t(rows, frames.T) if ctx.needs_input_grad[0] else None
        d_frames = weight_gradient(words, rows) if ctx.needs_input_grad[1] else None
        return d_words, d_frames, None, None, None
