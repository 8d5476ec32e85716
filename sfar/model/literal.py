"""Eq. 1-14 as the paper prints them, in loops over videos, classes, words, sub-texts and frames; the tests' yardstick.

Nothing of ``sfar`` is used. Eq. 4-14 are float64 and made of torch operations on single vectors, so that autograd gives
the literal gradient too; Eq. 1-3 are plain Python numbers. A frame, a word, an embedding are vectors [d]; a video is
``frames`` [L, d], a text ``words`` [W, d] without padding, the sub-texts of a class ``subs`` N matrices [W_n, d]. Each
matrix may be a list of its rows.

Readings of what the paper leaves open (each an argument): ``tau``, the temperature over frames that Eq. 7 and 9 do not
print (1 is as printed); ``reduce``, whether Eq. 7 adds its words up ("sum", as printed) or averages them ("mean");
which positions of a text are words is decided by what is put into the lists; the minus signs that Eq. 12 and 13 lack.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Rows: TypeAlias = Tensor | Sequence[Tensor]  # a matrix, or a list of its rows
Layer: TypeAlias = tuple[Tensor, Tensor]  # weight [m, n] and bias [m], applied as W x + b
Norm: TypeAlias = tuple[Tensor, Tensor, float]  # weight and bias [d] and epsilon of a layer norm
OverFrames: TypeAlias = Callable[[list[Tensor]], list[Tensor]]  # frames in, frames out
OfVideoAndClass: TypeAlias = Callable[[Tensor, int], Tensor]  # a video [L, d] and the number of a class in, [d] out


def total(values: Iterable[Tensor]) -> Tensor:
    """The sum of tensors of one shape."""
    return functools.reduce(torch.add, values)


def sim(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of two vectors."""
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def unit(x: Tensor) -> Tensor:
    """The vector of length one."""
    return x / (x * x).sum().sqrt()


def softmax(values: Sequence[Tensor]) -> list[Tensor]:
    """exp(x_i) / sum_j exp(x_j) of a list of scalars."""
    e = [torch.exp(v) for v in values]
    return [v / total(e) for v in e]


# --- sections 3.2 to 3.4: one class, one video ---


def augmented_words(words: Rows, subs: Sequence[Rows], wq: Tensor, wk: Tensor, wv: Tensor) -> list[Tensor]:
    """Eq. 4-6: the W rows of T^ = Attention(T W^q, [S_n W^k], [S_n W^v]) + T; wq, wk, wv [d, d]."""
    d = len(words[0])
    keys = [s @ wk for sub in subs for s in sub]  # Eq. 5: all sub-texts side by side
    values = [s @ wv for sub in subs for s in sub]
    out = []
    for t in words:
        q = t @ wq
        weights = softmax([(q * k).sum() / math.sqrt(d) for k in keys])
        out.append(total(w * v for w, v in zip(weights, values, strict=True)) + t)
    return out


def augmented_words_multi_head(
    words: Rows,
    subs: Sequence[Rows],
    heads: int,
    in_weight: Tensor,
    in_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
) -> list[Tensor]:
    """Eq. 4-6 read as multi-head attention: each head sees d / heads columns; biases and an output projection.

    ``in_weight`` [3 d, d] holds W^q, W^k, W^v one below the other, applied as W x + b, ``in_bias`` [3 d] their biases;
    ``out_weight`` [d, d], ``out_bias`` [d].
    """
    d = len(words[0])
    size = d // heads
    wq, wk, wv = in_weight[:d], in_weight[d : 2 * d], in_weight[2 * d :]
    bq, bk, bv = in_bias[:d], in_bias[d : 2 * d], in_bias[2 * d :]
    keys = [wk @ s + bk for sub in subs for s in sub]
    values = [wv @ s + bv for sub in subs for s in sub]
    out = []
    for t in words:
        q = wq @ t + bq
        parts = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            weights = softmax([(q[part] * k[part]).sum() / math.sqrt(size) for k in keys])
            parts.append(total(w * v[part] for w, v in zip(weights, values, strict=True)))
        out.append(out_weight @ torch.cat(parts) + out_bias + t)
    return out


def coarse_importance(augmented: Rows, frames: Rows, tau: Tensor | float = 1.0, reduce: str = "sum") -> list[Tensor]:
    """Eq. 7: the L scalars a_coarse of one video, for the augmented words of one class."""
    shares = [softmax([sim(t, v) / tau for v in frames]) for t in augmented]
    out = [total(of_frame) for of_frame in zip(*shares, strict=True)]
    return [a / len(augmented) for a in out] if reduce == "mean" else out


def fine_importance(subs: Sequence[Rows], frames: Rows, tau: Tensor | float = 1.0) -> list[Tensor]:
    """Eq. 9: the L scalars a_fine of one video. A cosine for every word, averaged, then the best sub-text."""
    best = []
    for v in frames:
        averages = [total(sim(s, v) for s in sub) / len(sub) for sub in subs]
        top = averages[0]
        for a in averages[1:]:
            top = a if a > top else top
        best.append(top / tau)
    return softmax(best)


def video_embedding(frames: Rows, importance: Sequence[Tensor]) -> Tensor:
    """Eq. 8 and 10: o = sum_l v_l a_l, [d]."""
    return total(v * a for v, a in zip(frames, importance, strict=True))


def feed_forward(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, residual: bool = False) -> Tensor:
    """The FFN of Eq. 11, read as Linear-ReLU-Linear of width d, [d] to [d]; Eq. 11 prints no residual."""
    hidden = w1 @ x + b1
    out = w2 @ torch.where(hidden > 0, hidden, torch.zeros_like(hidden)) + b2
    return out + x if residual else out


# --- section 3.4: all classes, all videos ---


def head(
    frames: Sequence[Tensor] | Tensor,
    cls: Rows,
    words: Sequence[Rows],
    subs: Sequence[Sequence[Rows]],
    attention: Callable[[Rows, Sequence[Rows]], list[Tensor]],
    ffn_coarse: Callable[[Tensor], Tensor],
    ffn_fine: Callable[[Tensor], Tensor],
    scale: float,
    tau: Tensor | float,
    reduce: str = "mean",
    frame_norm: bool = True,
    coarse: bool = True,
    fine: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
    """Eq. 4-11 and the cosine of section 3.4 for frames [B, L, d] of B videos and the texts of C classes.

    ``cls`` [C, d], ``words`` a list of C matrices, ``subs`` a list of C lists of N matrices; ``attention(words, subs)``
    is Eq. 4-6, ``ffn_coarse(x)`` and ``ffn_fine(x)`` are Eq. 11's. ``frame_norm``: Eq. 8 and 10 weigh unit frames
    (reading). Returns logits [B, C], a_coarse [B, C, L] or None, a_fine [B, C, L] or None, o [B, C, d].
    """
    logits, coarses, fines, videos = [], [], [], []
    for video in frames:
        weighed = [unit(v) if frame_norm else v for v in video]
        for c in range(len(words)):
            o = []
            if coarse:
                a = coarse_importance(attention(words[c], subs[c]), video, tau, reduce)
                o.append(ffn_coarse(video_embedding(weighed, a)))
                coarses.append(torch.stack(a))
            if fine:
                a = fine_importance(subs[c], video, tau)
                o.append(ffn_fine(video_embedding(weighed, a)))
                fines.append(torch.stack(a))
            videos.append(total(o))
            logits.append(scale * sim(cls[c], total(o)))
    shape = (len(frames), len(words))

    def table(rows: list[Tensor]) -> Tensor:
        return torch.stack(rows).unflatten(0, shape)

    return table(logits), table(coarses) if coarse else None, table(fines) if fine else None, table(videos)


def text_to_video(y: Tensor, labels: Sequence[int]) -> Tensor:
    """Eq. 12 with the minus sign, for logits y [B, C] and a list of B labels: a scalar."""
    terms = []
    for gt in labels:
        k_b = [i for i in range(len(labels)) if labels[i] == gt]
        over = total(torch.exp(y[i, gt]) for i in range(len(labels)))
        terms.append(total(torch.log(torch.exp(y[i, gt]) / over) for i in k_b) / len(k_b))
    return -total(terms) / len(labels)


def video_to_text(y: Tensor, labels: Sequence[int]) -> Tensor:
    """Eq. 13 with the minus sign, for logits y [B, C] and a list of B labels: a scalar."""
    terms = []
    for gt in labels:
        k_b = [i for i in range(len(labels)) if labels[i] == gt]
        for i in k_b:
            over = total(torch.exp(y[i, c]) for c in range(y.shape[1]))
            terms.append(torch.log(torch.exp(y[i, gt]) / over) / len(k_b))
    return -total(terms) / len(labels)


def info_nce(y: Tensor, labels: Sequence[int], lam: float = 1.0) -> Tensor:
    """Eq. 14: L = L_T2V + lam L_V2T, for logits y [B, C] and a list of B labels: a scalar."""
    return text_to_video(y, labels) + lam * video_to_text(y, labels)


# --- section 3.1 ---


def tpp(
    cls: Sequence[float],
    subs: Sequence[Sequence[float]],
    alpha: Callable[[float], float],
    beta: Callable[[float], float],
) -> float:
    """Eq. 1-3 of one class: ``cls`` [d] is t_c, ``subs`` [N, d] the s_c,n; ``alpha``, ``beta`` as in the equation."""

    def cosine(a: Sequence[float], b: Sequence[float]) -> float:
        dot = square_a = square_b = 0.0
        for x, y in zip(a, b, strict=True):
            dot, square_a, square_b = dot + float(x) * float(y), square_a + float(x) ** 2, square_b + float(y) ** 2
        return dot / math.sqrt(square_a) / math.sqrt(square_b)

    n_all = len(subs)
    logs = 0.0
    for n in range(n_all):
        sigma = (cosine(cls, subs[n]) + 1) / 2
        others = 0.0
        for m in range(n_all):
            if m != n:
                others += (cosine(subs[n], subs[m]) + 1) / 2
        delta = 1 - others / (n_all - 1)
        logs += math.log(alpha(sigma) * beta(delta))
    return math.exp(-logs / n_all)


# --- the other methods that the fine video embedding is put into (Table 2c) ---


def fine_branch(
    video: Tensor,
    subs: Sequence[Rows],
    ffn: Callable[[Tensor], Tensor],
    tau: Tensor | float | None = None,
    frame_norm: bool = True,
) -> Tensor:
    """FFN_fine(o_fine) of Eq. 9-11, [d], for one video [L, d] and the sub-texts of one class.

    ``tau`` None: every frame weighs the same (control).
    """
    if tau is None:
        a = [torch.tensor(1 / len(video), dtype=video.dtype)] * len(video)
    else:
        a = fine_importance(subs, video, tau)
    return ffn(video_embedding([unit(v) if frame_norm else v for v in video], a))


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Of one vector [d]."""
    mean = total(x) / len(x)
    var = total((a - mean) ** 2 for a in x) / len(x)
    return (x - mean) / torch.sqrt(var + eps) * weight + bias


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's GELU: x / (1 + exp(-1.702 x))."""
    return x / (1 + torch.exp(-1.702 * x))


def gelu(x: Tensor) -> Tensor:
    """Multiply x by the normal distribution's cumulative function."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def relu(x: Tensor) -> Tensor:
    """Take x where it is above zero, else zero."""
    return torch.where(x > 0, x, torch.zeros_like(x))


def linear(layer: Layer, x: Tensor) -> Tensor:
    """W x + b, [m] of [n]."""
    weight, bias = layer
    return weight @ x + bias


def transformer_block(
    xs: Sequence[Tensor],
    heads: int,
    norm1: Norm,
    attention: tuple[Tensor, Tensor, Tensor, Tensor],
    norm2: Norm,
    mlp: tuple[Tensor, Tensor, Tensor, Tensor],
    activation: Callable[[Tensor], Tensor],
    causal: bool = False,
) -> list[Tensor]:
    """A pre-norm block on a list of vectors: x + attention(norm x), then x + W2 act(W1 norm x + b1) + b2.

    ``attention``: as ``augmented_words_multi_head`` takes it; ``mlp``: (W1, b1, W2, b2). ``causal``: a vector sees
    itself and those before it.
    """
    h = torch.stack([layer_norm(x, *norm1) for x in xs])
    w1, b1, w2, b2 = mlp
    out = []
    for i, x in enumerate(xs):
        seen = h[: i + 1] if causal else h
        x = x + augmented_words_multi_head(h[i : i + 1], [seen], heads, *attention)[0] - h[i]  # it adds its input back
        out.append(x + linear((w2, b2), activation(linear((w1, b1), layer_norm(x, *norm2)))))
    return out


def bike(
    frames: Sequence[Tensor] | Tensor,
    cls: Rows,
    words: Sequence[Rows],
    scale: Tensor | float,
    tau: Tensor | float,
    temporal: OverFrames,
    fine: OfVideoAndClass | None = None,
) -> Tensor:
    """Logits [B, C] of video concept spotting, for frames [B, L, d], ``cls`` [C, d] and the words of C prompts.

    Unit frames after ``temporal``, weighted by the words of the class prompt; a dot product with the unit class
    embedding. ``fine`` is added to the video embedding.
    """
    rows = []
    for video in frames:
        v = torch.stack([unit(x) for x in temporal(list(video))])
        for c in range(len(words)):
            o = video_embedding(v, coarse_importance(words[c], v, tau, "mean"))
            if fine:
                o = o + fine(video, c)
            rows.append(scale * (o * unit(cls[c])).sum())
    return torch.stack(rows).unflatten(0, (len(frames), len(words)))


def atm_block(
    xs: Sequence[Tensor],
    operation: str,
    down: Layer,
    norm: Norm,
    first: Layer,
    second: Layer,
    mix: Layer,
    up: Layer,
    reach: int = 2,
) -> list[Tensor]:
    """x_t + up(relu(mix [cue_t,-2 ... cue_t,+2])) of the vectors x_t, zeros beyond the ends.

    cue_t,z = relu(second(relu(first(operation(h_t+z, h_t))))), h = relu(norm(down(x))); ``operation``: "subtract" or
    "multiply".
    """
    h = [relu(layer_norm(linear(down, x), *norm)) for x in xs]
    out = []
    for t, x in enumerate(xs):
        cues = []
        for z in range(-reach, reach + 1):
            other = h[t + z] if 0 <= t + z < len(xs) else torch.zeros_like(h[t])
            if operation == "subtract":
                cue = other - h[t]
            else:
                cue = unit(other) * unit(h[t]) if 0 <= t + z < len(xs) else other
            cues.append(relu(linear(second, relu(linear(first, cue)))))
        out.append(x + linear(up, relu(linear(mix, torch.cat(cues)))))
    return out


def atm(
    frames: Sequence[Tensor] | Tensor,
    cls: Rows,
    blocks: Sequence[tuple[str, tuple[Layer, Norm, Layer, Layer, Layer, Layer]]],
    fc: Layer,
    scale: Tensor | float = 1.0,
    fine: OfVideoAndClass | None = None,
) -> Tensor:
    """Logits [B, C] for frames [B, L, d]: the blocks one after another, mean over frames, classifier.

    ``blocks``: operation and parameters of each (``atm_block``). Plus scale cos(t_c, fine).
    """
    weight, bias = fc
    rows = []
    for video in frames:
        xs = list(video)
        for operation, parameters in blocks:
            xs = atm_block(xs, operation, *parameters)
        o = total(xs) / len(xs)
        for c in range(len(weight)):
            y = (weight[c] * o).sum() + bias[c]
            rows.append(y + scale * sim(cls[c], fine(video, c)) if fine else y)
    return torch.stack(rows).unflatten(0, (len(frames), len(weight)))


def prompted_text(
    ids: Sequence[int],
    embed: Callable[[int], Tensor],
    vectors: Rows,
    positions: Rows,
    blocks: Sequence[OverFrames],
    norm: Norm,
    projection: Tensor,
    around: int = 16,
) -> Tensor:
    """Class embedding [d] of VideoPrompt: [start][16 learned][name][16 learned][end] through the text tower, last row.

    ``ids``: of start, name and end; ``embed(id)``: CLIP's token embedding; ``vectors``: a learned one for each
    position; ``positions``: CLIP's embedding of each; ``blocks``: the causal tower's, vectors in, vectors out.
    """
    start, *name, end = ids
    sequence = [embed(start)]
    sequence += [vectors[len(sequence) + i] for i in range(around)]
    sequence += [embed(i) for i in name]
    sequence += [vectors[len(sequence) + i] for i in range(around)]
    sequence.append(embed(end))
    xs = [x + positions[i] for i, x in enumerate(sequence)]
    for block in blocks:
        xs = block(xs)
    return layer_norm(xs[-1], *norm) @ projection


def video_prompt(
    frames: Sequence[Tensor] | Tensor,
    texts: Rows,
    temporal: OverFrames,
    fine: OfVideoAndClass | None = None,
    temperature: float = 0.07,
) -> Tensor:
    """Logits [B, C]: mean over frames after ``temporal``, cosine with the prompted class embeddings, over 0.07."""
    rows = []
    for video in frames:
        xs = temporal(list(video))
        o = total(xs) / len(xs)
        for c in range(len(texts)):
            rows.append(sim(texts[c], o + fine(video, c) if fine else o) / temperature)
    return torch.stack(rows).unflatten(0, (len(frames), len(texts)))
