"""Eq. 8, 10, 11 and the cosine of Eq. 12-13 in one, a few videos at a time.

The readable form, to which a test holds it, is ``SFAR.video_embedding`` and the cosine after it (``SFAR.fused``).

A head of this kind spends nearly all its time and memory on rows of width d for each of B x C pairs of a video and a
class. Taken in chunks of a few videos they stay in the processor's cache between one operation and the next, and none
of them outlives its chunk but o, where there will be a backward pass: the hidden layer is computed again for it, which
costs L multiplications a value, not d.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sfar.model.kernels.matmul import each, matmul_t, weight_gradient

ROWS = {"cpu": 2048, "cuda": 32768}  # pairs of video and class in a chunk
TINY = 1e-12  # a zero vector has cosine 0


@dataclass(frozen=True)
class Layers:
    """Linear-ReLU-Linear: w1, w2 [d, d], b1, b2 [d]."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


def cosines(frames: Tensor, cls: Tensor, parts: list[tuple[Tensor, Layers]], residual: bool = False) -> Tensor:
    """Cosine of o = sum over parts of FFN(importance frames) with the text of its class: [B, C].

    ``frames`` [B, L, d], ``cls`` [C, d] of unit length; each part an importance [B, C, L] and its FFN; ``residual``:
    its input is added to what an FFN gives. W1 (a v) = a (W1 v): the first layer is applied to L frames instead of C
    embeddings. Both FFNs are one, twice as wide: side by side in the hidden layer, a block each in the first, added up
    in the second.
    """
    importance = torch.cat([a for a, _ in parts], -1)  # [B, C, kL]
    b, length, d = frames.shape
    k = len(parts)
    first = frames.new_zeros(b, k * length, k * d)
    for i, (_, f) in enumerate(parts):
        first[:, i * length : (i + 1) * length, i * d : (i + 1) * d] = frames @ f.w1.T
    b1 = torch.cat([f.b1 for _, f in parts])
    w2 = torch.cat([f.w2 for _, f in parts], 1)
    # Not stacked and summed: both would get the same memory as their gradient, and autograd adds to it in place.
    b2 = functools.reduce(torch.add, [f.b2 for _, f in parts])
    skip = frames.repeat(1, k, 1) if residual else None
    return _cosines(importance, first, b1, w2, b2, skip, cls)


def _cosines(*inputs: Tensor | None) -> Tensor:
    """``_Cosines`` of its inputs but the first."""
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    return _Cosines.apply(keep, *inputs)[0]


def _chunks(b: int, c: int, device: torch.device) -> list[slice]:
    n = max(1, ROWS.get(device.type, ROWS["cpu"]) // c)
    return [slice(i, min(i + n, b)) for i in range(0, b, n)]


class _Buffer:
    """Memory [videos of a chunk, C, width], the same for every chunk.

    A system that gives out fresh memory takes longer over it than the arithmetic that fills it.
    """

    def __init__(self, chunks: list[slice], c: int, width: int, like: Tensor):
        self._all = like.new_empty(max(s.stop - s.start for s in chunks), c, width)

    def of(self, chunk: slice) -> Tensor:
        """As many videos as ``chunk`` has, holding what was left there."""
        return self._all[: chunk.stop - chunk.start]


def _hidden(a: Tensor, u: Tensor, b1: Tensor, out: Tensor) -> Tensor:
    """relu(a u + b1) in ``out``, as one matrix with a row a pair."""
    return torch.bmm(a, u, out=out).add_(b1).relu_().view(-1, len(b1))


class _Cosines(torch.autograd.Function):
    """cos(W2 relu(a u + b1) + b2 [+ a skip], cls).

    a [B, C, K], u [B, K, H], b1 [H], w2 [d, H], b2 [d], skip [B, K, d] or None, cls [C, d]. ``keep``: whether o is kept
    for a backward pass. What follows the cosines in the result is for that pass alone.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # with ``setup_context`` there is no ``ctx``
        keep: bool, a: Tensor, u: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, skip: Tensor | None, cls: Tensor
    ) -> tuple[Tensor, ...]:
        b, c, d = len(a), len(cls), len(w2)
        dots, norms = a.new_empty(b, c), a.new_empty(b, c)
        chunks = _chunks(b, c, a.device)
        hidden, with_text = _Buffer(chunks, c, len(b1), a), _Buffer(chunks, c, d, a)
        outs = []
        for s in chunks:
            o = matmul_t(_hidden(a[s], u[s], b1, hidden.of(s)), w2).view(-1, c, d)
            o += b2
            if skip is not None:
                o.baddbmm_(a[s], skip[s])
            torch.sum(torch.mul(o, cls, out=with_text.of(s)), -1, out=dots[s])
            torch.linalg.vector_norm(o, dim=-1, out=norms[s])
            if keep:
                outs.append(o)
        norms.clamp_(min=TINY)
        return dots / norms, dots, norms, *outs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        keep, a, u, b1, w2, _, skip, cls = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        if keep:
            ctx.save_for_backward(a, u, b1, w2, skip, cls, *output[1:])

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """One model after another: together their rows would not stay in the processor's cache.

        The cosines alone: what the backward pass takes is kept for each.
        """
        # Whether one will follow is not seen inside of vmap, so that ``keep`` is asked again.
        found = [_cosines(*one) for one in each(info.batch_size, in_dims[1:], inputs[1:])]
        return (torch.stack(found),), (0,)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the parameters' names
        ctx: Any, grad: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        if grad is None:  # not made up as zeros, or those of o would be too
            return (None,) * 8
        a, u, b1, w2, skip, cls, dots, norms, *outs = ctx.saved_tensors
        b, c, d, width = len(a), len(cls), len(w2), w2.shape[1]
        to_text, to_self = grad / norms, grad * dots / norms**3
        d_a, d_u, d_w2 = torch.empty_like(a), torch.empty_like(u), torch.zeros_like(w2)
        d_b1, d_b2 = w2.new_zeros(width), w2.new_zeros(d)
        d_skip = torch.empty_like(skip) if skip is not None else None
        d_cls = torch.zeros_like(cls) if ctx.needs_input_grad[7] else None
        w2_t = w2.T.contiguous()
        chunks = _chunks(b, c, a.device)
        hidden, d_out = _Buffer(chunks, c, width, a), _Buffer(chunks, c, d, a)
        for s, o in zip(chunks, outs, strict=True):
            h = _hidden(a[s], u[s], b1, hidden.of(s))
            d_o = torch.mul(to_text[s, :, None], cls, out=d_out.of(s)).addcmul_(o, to_self[s, :, None], value=-1)
            rows = d_o.view(-1, d)
            d_b2 += rows.sum(0)
            d_w2 += weight_gradient(h, rows)
            d_h = matmul_t(rows, w2_t)
            torch.ops.aten.threshold_backward(d_h, h, 0, grad_input=d_h)
            d_b1 += d_h.sum(0)
            d_h = d_h.view(-1, c, width)
            torch.bmm(d_h, u[s].transpose(1, 2), out=d_a[s])
            torch.bmm(a[s].transpose(1, 2), d_h, out=d_u[s])
            if skip is not None and d_skip is not None:
                d_a[s] += d_o @ skip[s].transpose(1, 2)
                torch.bmm(a[s].transpose(1, 2), d_o, out=d_skip[s])
            if d_cls is not None:
                d_cls += torch.einsum("bc,bcd->cd", to_text[s], o)
        return None, d_a, d_u, d_b1, d_w2, d_b2, d_skip, d_cls
