"""Eq. 1-14 as the paper prints them, in loops over videos, classes, words, sub-texts and frames; the tests' yardstick.

Nothing of ``sfar`` is used. Eq. 4-14 are float64 and made of torch operations on single vectors, so that autograd gives the
literal gradient too; Eq. 1-3 are plain Python numbers. Texts are lists without padding: ``words`` [W, d] of one class, ``subs`` its N matrices [W_n, d].

Readings of what the paper leaves open (each an argument): ``tau``, the temperature over frames that Eq. 7 and 9 do not
print (1 is as printed); ``reduce``, whether Eq. 7 adds its words up ("sum", as printed) or averages them ("mean"); which
positions of a text are words is decided by what is put into the lists; the minus signs that Eq. 12 and 13 lack.
"""

import math

import torch


def sim(a, b):
    """Cosine similarity of two vectors."""
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def softmax(values):
    """exp(x_i) / sum_j exp(x_j) of a list of scalars."""
    e = [torch.exp(v) for v in values]
    total = sum(e)
    return [v / total for v in e]


def augmented_words(words, subs, wq, wk, wv):
    """Eq. 4-6: the list of the rows of T^ = Attention(T W^q, [S_n W^k], [S_n W^v]) + T."""
    d = words.shape[1]
    keys = [s @ wk for sub in subs for s in sub]  # Eq. 5: all sub-texts side by side
    values = [s @ wv for sub in subs for s in sub]
    out = []
    for t in words:
        q = t @ wq
        weights = softmax([(q * k).sum() / math.sqrt(d) for k in keys])
        out.append(sum(w * v for w, v in zip(weights, values)) + t)
    return out


def augmented_words_multi_head(words, subs, heads, in_weight, in_bias, out_weight, out_bias):
    """Eq. 4-6 read as multi-head attention: each head sees d / heads columns; biases and an output projection.

    ``in_weight`` [3 d, d] holds W^q, W^k, W^v one below the other, applied as W x + b.
    """
    d = words.shape[1]
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
            parts.append(sum(w * v[part] for w, v in zip(weights, values)))
        out.append(out_weight @ torch.cat(parts) + out_bias + t)
    return out


def coarse_importance(augmented, frames, tau=1.0, reduce="sum"):
    """Eq. 7: the list of a_coarse over the frames [L, d] of one video, for the augmented words of one class."""
    total = [0.0] * len(frames)
    for t in augmented:
        shares = softmax([sim(t, v) / tau for v in frames])
        total = [a + p for a, p in zip(total, shares)]
    return [a / len(augmented) for a in total] if reduce == "mean" else total


def fine_importance(subs, frames, tau=1.0):
    """Eq. 9: the list of a_fine over the frames of one video. A cosine for every word, averaged, then the best sub-text."""
    best = []
    for v in frames:
        averages = []
        for sub in subs:
            averages.append(sum(sim(s, v) for s in sub) / len(sub))
        top = averages[0]
        for a in averages[1:]:
            top = a if a > top else top
        best.append(top / tau)
    return softmax(best)


def video_embedding(frames, importance):
    """Eq. 8 and 10: o = sum_l v_l a_l."""
    return sum(v * a for v, a in zip(frames, importance))


def feed_forward(x, w1, b1, w2, b2, residual=False):
    """The FFN of Eq. 11, read as Linear-ReLU-Linear of width d; Eq. 11 prints no residual."""
    hidden = w1 @ x + b1
    out = w2 @ torch.where(hidden > 0, hidden, torch.zeros_like(hidden)) + b2
    return out + x if residual else out


def head(
    frames,
    cls,
    words,
    subs,
    attention,
    ffn_coarse,
    ffn_fine,
    scale,
    tau,
    reduce="mean",
    frame_norm=True,
    coarse=True,
    fine=True,
):
    """Eq. 4-11 and the cosine of section 3.4 for frames [B, L, d] of B videos and the texts of C classes.

    ``cls`` [C, d], ``words`` a list of C matrices, ``subs`` a list of C lists of N matrices; ``attention(words, subs)`` is
    Eq. 4-6, ``ffn_coarse(x)`` and ``ffn_fine(x)`` are Eq. 11's. ``frame_norm``: Eq. 8 and 10 weigh unit frames (reading).
    Returns (logits [B, C], a_coarse [B, C, L] or None, a_fine [B, C, L] or None, o [B, C, d]).
    """
    logits, coarses, fines, videos = [], [], [], []
    for video in frames:
        weighed = [v / (v * v).sum().sqrt() for v in video] if frame_norm else list(video)
        for c in range(len(words)):
            o = 0.0
            if coarse:
                a = coarse_importance(attention(words[c], subs[c]), video, tau, reduce)
                o = o + ffn_coarse(video_embedding(weighed, a))
                coarses.append(torch.stack(a))
            if fine:
                a = fine_importance(subs[c], video, tau)
                o = o + ffn_fine(video_embedding(weighed, a))
                fines.append(torch.stack(a))
            videos.append(o)
            logits.append(scale * sim(cls[c], o))
    shape = (len(frames), len(words))
    stack = lambda rows: torch.stack(rows).unflatten(0, shape) if rows else None  # noqa: E731
    return stack(logits), stack(coarses), stack(fines), stack(videos)


def text_to_video(y, labels):
    """Eq. 12 with the minus sign, for logits y [B, C] and a list of B labels."""
    loss = 0.0
    for b in range(len(labels)):
        gt = labels[b]
        k_b = [i for i in range(len(labels)) if labels[i] == gt]
        total = sum(torch.exp(y[i, gt]) for i in range(len(labels)))
        loss = loss + sum(torch.log(torch.exp(y[i, gt]) / total) for i in k_b) / len(k_b)
    return -loss / len(labels)


def video_to_text(y, labels):
    """Eq. 13 with the minus sign."""
    loss = 0.0
    for b in range(len(labels)):
        gt = labels[b]
        k_b = [i for i in range(len(labels)) if labels[i] == gt]
        for i in k_b:
            total = sum(torch.exp(y[i, c]) for c in range(y.shape[1]))
            loss = loss + torch.log(torch.exp(y[i, gt]) / total) / len(k_b)
    return -loss / len(labels)


def info_nce(y, labels, lam=1.0):
    """Eq. 14."""
    return text_to_video(y, labels) + lam * video_to_text(y, labels)


def tpp(cls, subs, alpha, beta):
    """Eq. 1-3 of one class: ``cls`` the numbers of t_c, ``subs`` the N rows of s_c,n; ``alpha`` and ``beta`` take and give a number."""

    def cosine(a, b):
        dot = square_a = square_b = 0.0
        for x, y in zip(a, b, strict=True):
            dot, square_a, square_b = dot + float(x) * float(y), square_a + float(x) ** 2, square_b + float(y) ** 2
        return dot / math.sqrt(square_a) / math.sqrt(square_b)

    n_all = len(subs)
    total = 0.0
    for n in range(n_all):
        sigma = (cosine(cls, subs[n]) + 1) / 2
        others = 0.0
        for m in range(n_all):
            if m != n:
                others += (cosine(subs[n], subs[m]) + 1) / 2
        delta = 1 - others / (n_all - 1)
        total += math.log(alpha(sigma) * beta(delta))
    return math.exp(-total / n_all)


# --- the heads FVE is plugged into (Table 2c) ---


def unit(x):
    """The vector of length one."""
    return x / (x * x).sum().sqrt()


def fine_branch(video, subs, ffn, tau=None, frame_norm=True):
    """FFN_fine(o_fine) of Eq. 9-11 for one video [L, d] and the sub-texts of one class; ``tau`` None: every frame weighs the same (control)."""
    a = fine_importance(subs, video, tau) if tau else [torch.tensor(1 / len(video), dtype=video.dtype)] * len(video)
    return ffn(video_embedding([unit(v) for v in video] if frame_norm else list(video), a))


def layer_norm(x, weight, bias, eps):
    """Of one vector."""
    mean = sum(x) / len(x)
    var = sum((a - mean) ** 2 for a in x) / len(x)
    return (x - mean) / torch.sqrt(var + eps) * weight + bias


def quick_gelu(x):
    """x / (1 + exp(-1.702 x))."""
    return x / (1 + torch.exp(-1.702 * x))


def gelu(x):
    """x times the normal distribution's cumulative function."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def transformer_block(xs, heads, norm1, attention, norm2, mlp, activation, causal=False):
    """A pre-norm block on a list of vectors: x + attention(norm x), then x + W2 act(W1 norm x + b1) + b2.

    ``norm1``, ``norm2``: (weight, bias, eps); ``attention``: as ``augmented_words_multi_head`` takes it; ``mlp``: (W1, b1, W2, b2).
    ``causal``: a vector sees itself and those before it.
    """
    h = torch.stack([layer_norm(x, *norm1) for x in xs])
    out = []
    for i, x in enumerate(xs):
        seen = h[: i + 1] if causal else h
        x = x + augmented_words_multi_head(h[i : i + 1], [seen], heads, *attention)[0] - h[i]  # it adds its input back
        w1, b1, w2, b2 = mlp
        out.append(x + w2 @ activation(w1 @ layer_norm(x, *norm2) + b1) + b2)
    return out


def bike(frames, cls, words, scale, tau, temporal, fine=None):
    """Logits [B, C] of video concept spotting: unit frames after ``temporal`` (list to list), weighted by the words of the class prompt; a dot product
    with the unit class embedding. ``fine(video, c)`` is added to the video embedding."""
    rows = []
    for video in frames:
        v = torch.stack([unit(x) for x in temporal(list(video))])
        for c in range(len(words)):
            o = video_embedding(v, coarse_importance(words[c], v, tau, "mean"))
            if fine:
                o = o + fine(video, c)
            rows.append(scale * (o * unit(cls[c])).sum())
    return torch.stack(rows).unflatten(0, (len(frames), len(words)))


def atm_block(xs, operation, down, norm, first, second, mix, up, reach=2):
    """x_t + up(relu(mix [cue_t,-2 ... cue_t,+2])), cue_t,z = relu(second(relu(first(operation(h_t+z, h_t))))), h = relu(norm(down(x))), zeros beyond the ends."""
    relu = lambda x: torch.where(x > 0, x, torch.zeros_like(x))  # noqa: E731
    linear = lambda p, x: p[0] @ x + p[1]  # noqa: E731
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


def atm(frames, cls, blocks, fc, scale=None, fine=None):
    """Logits [B, C]: ``blocks`` (pairs of operation and parameters) one after another, mean over frames, classifier; plus scale cos(t_c, fine(video, c))."""
    rows = []
    for video in frames:
        xs = list(video)
        for operation, parameters in blocks:
            xs = atm_block(xs, operation, *parameters)
        o = sum(xs) / len(xs)
        for c in range(len(fc[0])):
            y = (fc[0][c] * o).sum() + fc[1][c]
            rows.append(y + scale * sim(cls[c], fine(video, c)) if fine else y)
    return torch.stack(rows).unflatten(0, (len(frames), len(fc[0])))


def prompted_text(ids, embed, vectors, positions, blocks, norm, projection, around=16):
    """Class embedding of VideoPrompt: [start][16 learned][name][16 learned][end] through the causal text tower, its last row.

    ``ids``: of start, name and end; ``embed(id)``: CLIP's token embedding; ``vectors``: a learned one for each position; ``blocks``: functions list to list.
    """
    start, *name, end = ids
    sequence = [embed(start)]
    sequence += [vectors[len(sequence) + i] for i in range(around)]
    sequence += [embed(i) for i in name]
    sequence += [vectors[len(sequence) + i] for i in range(around)]
    sequence.append(embed(end))
    xs = [x + p for x, p in zip(sequence, positions)]
    for block in blocks:
        xs = block(xs)
    return layer_norm(xs[-1], *norm) @ projection


def video_prompt(frames, texts, temporal, fine=None, temperature=0.07):
    """Logits [B, C]: mean over frames after ``temporal`` (list to list), cosine with the prompted class embeddings, over 0.07."""
    rows = []
    for video in frames:
        xs = temporal(list(video))
        o = sum(xs) / len(xs)
        for c in range(len(texts)):
            rows.append(sim(texts[c], o + fine(video, c) if fine else o) / temperature)
    return torch.stack(rows).unflatten(0, (len(frames), len(texts)))
