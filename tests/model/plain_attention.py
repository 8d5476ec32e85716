"""Attention, norms and MLPs written out with loops, in whatever precision their weights have: for transcriptions."""

import math

import torch


def norm(x, layer):
    """Layer norm of a vector."""
    mean = sum(x) / len(x)
    spread = sum((v - mean) ** 2 for v in x) / len(x)
    return (x - mean) / torch.sqrt(spread + layer.eps) * layer.weight + layer.bias


def linear(x, weight, bias=None):
    """A vector through a matrix [out, in]."""
    y = torch.stack([sum(w * v for w, v in zip(row, x, strict=True)) for row in weight])
    return y if bias is None else y + bias


def attend(queries, keys, values, heads):
    """Scaled dot-product attention of lists of vectors, by head, side by side."""
    size = len(queries[0]) // heads
    out = []
    for q in queries:
        parts = []
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            e = [math.exp(float(q[own] @ k[own]) / math.sqrt(size)) for k in keys]
            parts.append(sum(w * v[own] for w, v in zip(e, values, strict=True)) / sum(e))
        out.append(torch.cat(parts))
    return out


def mha(asking, heard, layer):
    """``nn.MultiheadAttention`` of lists of vectors."""
    wq, wk, wv = layer.in_proj_weight.chunk(3)
    bq, bk, bv = layer.in_proj_bias.chunk(3)
    out = attend(
        [linear(x, wq, bq) for x in asking],
        [linear(x, wk, bk) for x in heard],
        [linear(x, wv, bv) for x in heard],
        layer.num_heads,
    )
    return [linear(x, layer.out_proj.weight, layer.out_proj.bias) for x in out]


def mlp(x, first, activation, last):
    """Two layers with an activation in between."""
    return linear(activation(linear(x, first.weight, first.bias)), last.weight, last.bias)


def block_mlp(x, block):
    """The MLP of a block of the visual tower, with its residual."""
    return x + mlp(norm(x, block.ln_2), block.mlp.c_fc, block.mlp.gelu, block.mlp.c_proj)
