"""Sections 3.2 and 3.3 and the whole SFAR head, forward and gradient, against Eq. 4-11 in loops (``literal``)."""

from dataclasses import dataclass
from functools import lru_cache

import pytest
import torch

from sfar.config import ModelConfig
from sfar.model import embedding, literal
from sfar.model.embedding import unit
from sfar.model.kernels import fused, matmul
from sfar.model.sfar import SFAR
from sfar.model.texts import ClassTexts

SEEDS = range(24)
PRECISION = [(torch.float64, 1e-10), (torch.float32, 1e-5)]
precisions = pytest.mark.parametrize("dtype, tolerance", PRECISION, ids=["float64", "float32"])
many = pytest.mark.parametrize("seed", SEEDS)
some = pytest.mark.parametrize("seed", SEEDS[:8])
SCALE = 7.0

# Every reading of Eq. 4-11 that the configuration offers is met by some seed; the default one by half of them.
READINGS = [
    {},
    {"attention": "mha", "attention_heads": 2},
    {},
    {"coarse_reduce": "sum"},
    {},
    {"frame_norm": False},
    {},
    {"ffn_residual": True, "fine": False},
    {},
    {"ffn": "none", "coarse_reduce": "sum", "frame_norm": False},
    {},
    {"coarse": False},
]


@dataclass
class Case:
    """Random inputs of one random shape, float64. ``lengths`` are hidden in the masks; padding holds garbage."""

    frames: torch.Tensor
    words: torch.Tensor
    mask: torch.Tensor
    subs: torch.Tensor
    sub_mask: torch.Tensor
    cls: torch.Tensor
    tau: float
    seed: int

    def texts(self, dtype=torch.float64):
        return ClassTexts(self.cls.to(dtype), self.words.to(dtype), self.mask, self.subs.to(dtype), self.sub_mask)

    def word_lists(self):
        return [w[m] for w, m in zip(self.words, self.mask, strict=True)]

    def sub_lists(self):
        return [[s[m] for s, m in zip(ss, mm, strict=True)] for ss, mm in zip(self.subs, self.sub_mask, strict=False)]


def random_mask(g, *shape, scattered):
    """At least one word in each row: the first few, as a tokenizer gives them, or (``scattered``) any."""
    length = torch.randint(1, shape[-1] + 1, shape[:-1], generator=g)
    mask = torch.arange(shape[-1]) < length[..., None]
    if scattered:
        order = torch.rand(shape, generator=g).argsort(-1)
        mask = mask.gather(-1, order)
    return mask


def make(seed):
    g = torch.Generator().manual_seed(seed)

    def pick(low, high):
        return int(torch.randint(low, high + 1, (), generator=g))

    def normal(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64)

    b, c, n, w, ws, length, d = pick(1, 3), pick(1, 4), pick(1, 4), pick(1, 5), pick(1, 6), pick(1, 8), 2 * pick(1, 6)
    tau = 10 ** float(torch.empty(()).uniform_(-1, 0.3, generator=g))
    return Case(
        normal(b, length, d),
        normal(c, w, d),
        random_mask(g, c, w, scattered=seed % 2 == 1),
        normal(c, n, ws, d),
        random_mask(g, c, n, ws, scattered=seed % 2 == 1),
        normal(c, d),
        tau,
        seed,
    )


def weights(seed, *shapes):
    g = torch.Generator().manual_seed(1000 + seed)
    return [torch.randn(s, generator=g, dtype=torch.float64) / s[-1] ** 0.5 for s in shapes]


def projected(outputs, seed):
    """A random linear functional of all outputs: its gradient exercises every entry of their Jacobians."""
    g = torch.Generator().manual_seed(2000 + seed)
    return sum((o * torch.randn(o.shape, generator=g, dtype=torch.float64).to(o.dtype)).sum() for o in outputs)


def close(got, want, tolerance, what=""):
    """Largest difference, relative to the largest entry where that exceeds one."""
    assert got.shape == want.shape, what
    assert got.isfinite().all() and want.isfinite().all(), what
    error = (got.double() - want).abs().max() / max(1.0, want.abs().max().item())
    assert error < tolerance, f"{what}: {error:.2e}"


def leaves(tensors, dtype=torch.float64):
    return [t.detach().to(dtype, copy=True).requires_grad_() for t in tensors]


def compare(fast, slow, inputs, names, tolerance, dtype, seed):
    """``fast`` in ``dtype``, ``slow`` in float64, both called with leaves made of ``inputs``: outputs and gradients."""
    ours, theirs = leaves(inputs, dtype), leaves(inputs)
    got, want = fast(*ours), slow(*theirs)
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        close(a, b, tolerance, f"output {i}")
    grads = [
        torch.autograd.grad(projected(out, seed), of, allow_unused=True) for out, of in ((got, ours), (want, theirs))
    ]
    for name, a, b in zip(names, *grads, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            close(a, b, tolerance, f"gradient of {name}")


def grid(f, texts, frames):
    """f(text of a class, frames of a video), a list of L scalars, of every class and video: [B, C, L]."""
    return torch.stack([torch.stack([torch.stack(f(t, v)) for t in texts]) for v in frames])


# --- each function ---


@many
@precisions
def test_attention(seed, dtype, tolerance):
    k = make(seed)
    d = k.words.shape[-1]

    def fast(words, subs, wq, wk, wv):
        return [embedding.attend(words, subs, k.sub_mask, wq, wk, wv)]

    def slow(words, subs, wq, wk, wv):
        rows = []
        for c in range(len(words)):
            lists = [s[m] for s, m in zip(subs[c], k.sub_mask[c], strict=True)]
            rows.append(torch.stack(literal.augmented_words(words[c], lists, wq, wk, wv)))
        return [torch.stack(rows)]

    inputs = [k.words, k.subs, *weights(seed, (d, d), (d, d), (d, d))]
    compare(fast, slow, inputs, ["words", "sub words", "W^q", "W^k", "W^v"], tolerance, dtype, seed)


@many
@precisions
def test_coarse_importance(seed, dtype, tolerance):
    k, reduce = make(seed), ("mean", "sum")[seed // 2 % 2]

    def fast(words, frames):
        return [embedding.coarse_importance(words, k.mask, frames, k.tau, reduce)]

    def slow(words, frames):
        return [
            grid(
                lambda t, v: literal.coarse_importance(t, v, k.tau, reduce),
                [list(w[m]) for w, m in zip(words, k.mask, strict=True)],
                frames,
            )
        ]

    compare(fast, slow, [k.words, k.frames], ["words", "frames"], tolerance, dtype, seed)


@many
@precisions
def test_fine_importance_and_aggregation(seed, dtype, tolerance):
    k = make(seed)

    def fast(subs, frames):
        a = embedding.fine_importance(embedding.mean_unit_words(subs, k.sub_mask), frames, k.tau)
        return [a, embedding.aggregate(frames, a)]

    def slow(subs, frames):
        lists = [[s[m] for s, m in zip(ss, mm, strict=True)] for ss, mm in zip(subs, k.sub_mask, strict=False)]
        a = grid(lambda t, v: literal.fine_importance(t, v, k.tau), lists, frames)
        o = [torch.stack([literal.video_embedding(v, row) for row in rows]) for v, rows in zip(frames, a, strict=True)]
        return [a, torch.stack(o)]

    compare(fast, slow, [k.subs, k.frames], ["sub words", "frames"], tolerance, dtype, seed)


@some
def test_a_learned_temperature_gets_the_literal_gradient(seed):
    k = make(seed)

    def fast(tau):
        means = embedding.mean_unit_words(k.subs, k.sub_mask)
        return [
            embedding.coarse_importance(k.words, k.mask, k.frames, tau),
            embedding.fine_importance(means, k.frames, tau),
        ]

    def slow(tau):
        return [
            grid(lambda t, v: literal.coarse_importance(list(t), v, tau, "mean"), k.word_lists(), k.frames),
            grid(lambda t, v: literal.fine_importance(t, v, tau), k.sub_lists(), k.frames),
        ]

    compare(fast, slow, [torch.tensor(k.tau, dtype=torch.float64)], ["temperature"], 1e-10, torch.float64, seed)


# --- the whole head ---


def head_of(k, cfg):
    """The SFAR head of ``cfg`` with weights large enough that every part matters (0.02 would leave T^ close to T)."""
    d = k.frames.shape[-1]
    head = SFAR(d, k.tau, cfg).double()
    shapes = [p.shape for p in head.parameters()]
    with torch.no_grad():
        for p, w in zip(head.parameters(), weights(k.seed, *shapes), strict=True):
            p.copy_(w)
    return head


def literal_head(head, k, frames, cls, words, subs, cfg):
    p = dict(head.named_parameters())

    def attention(t, s):
        if cfg.attention == "printed":
            return literal.augmented_words(t, s, *(p[f"attention.{w}"] for w in ("wq", "wk", "wv")))
        names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        return literal.augmented_words_multi_head(t, s, cfg.attention_heads, *(p[f"attention.mha.{n}"] for n in names))

    def ffn(which):
        if cfg.ffn == "none":
            return lambda x: x
        parts = (
            [p[f"{which}.layers.{n}"] for n in ("0.weight", "0.bias", "2.weight", "2.bias")]
            if f"{which}.layers.0.weight" in p
            else []
        )
        return lambda x: literal.feed_forward(x, *parts, cfg.ffn_residual)

    word_lists = [w[m] for w, m in zip(words, k.mask, strict=True)]
    sub_lists = [[s[m] for s, m in zip(ss, mm, strict=True)] for ss, mm in zip(subs, k.sub_mask, strict=False)]
    out = literal.head(
        frames,
        cls,
        word_lists,
        sub_lists,
        attention,
        ffn("ffn_coarse"),
        ffn("ffn_fine"),
        SCALE,
        k.tau,
        cfg.coarse_reduce,
        cfg.frame_norm,
        cfg.coarse,
        cfg.fine,
    )
    return [o for o in out if o is not None]


@lru_cache(maxsize=1)
def literal_result(seed):
    """Outputs and gradients of the literal head: computed once for both precisions."""
    k, cfg = make(seed), ModelConfig(**READINGS[seed % len(READINGS)])
    head = head_of(k, cfg)
    inputs = leaves([k.frames, k.cls, k.words, k.subs])
    want = literal_head(head, k, *inputs, cfg)
    grads = torch.autograd.grad(projected(want, seed), [*inputs, *head.parameters()], allow_unused=True)
    return [o.detach() for o in want], grads


@many
@pytest.mark.parametrize(
    "dtype, tolerance, large",
    [(torch.float64, 1e-10, matmul.LARGE), (torch.float32, 1e-5, matmul.LARGE), (torch.float32, 1e-5, 0)],
    ids=["float64", "float32", "float32 by convolutions"],
)
def test_head(seed, dtype, tolerance, large, monkeypatch):
    monkeypatch.setattr(matmul, "LARGE", large)
    k, cfg = make(seed), ModelConfig(**READINGS[seed % len(READINGS)])
    head = head_of(k, cfg).to(dtype)
    frames, cls, words, subs = leaves([k.frames, k.cls, k.words, k.subs], dtype)
    texts = ClassTexts(cls, words, k.mask, subs, k.sub_mask)
    out = head(frames, texts, torch.tensor(SCALE, dtype=dtype))
    got = [o for o in (out.logits, out.coarse, out.fine, head.embed(frames, texts)[0]) if o is not None]
    want, want_grads = literal_result(seed)
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        close(a, b, tolerance, f"output {i}")
    names = ["frames", "class embedding", "words", "sub words", *(n for n, _ in head.named_parameters())]
    grads = torch.autograd.grad(projected(got, seed), [frames, cls, words, subs, *head.parameters()], allow_unused=True)
    for name, a, b in zip(names, grads, want_grads, strict=True):
        assert (a is None) == (b is None), name  # a head without a branch has no use for its inputs
        if a is not None:
            close(a, b, tolerance, f"gradient of {name}")


def test_the_random_cases_meet_every_reading_and_both_kinds_of_shape():
    cases = [make(s) for s in SEEDS]
    assert len(SEEDS) >= 2 * len(READINGS)
    assert any(not k.mask.all() for k in cases) and any(not k.sub_mask.all() for k in cases)
    assert len({k.frames.shape for k in cases}) >= 20


# --- properties ---


def run(k, cfg=None, head=None, frames=None, texts=None):
    head = head or head_of(k, cfg or ModelConfig())
    frames, texts = k.frames if frames is None else frames, texts or k.texts()
    with torch.no_grad():
        out = head(frames, texts, torch.tensor(SCALE, dtype=torch.float64))
        out.video = head.embed(frames, texts)[0]
    return out


def same(a, b, tolerance=1e-12):
    for name in ("logits", "coarse", "fine", "video"):
        close(getattr(a, name), getattr(b, name), tolerance, name)


@many
@pytest.mark.parametrize("attention", ["printed", "mha"])
def test_padding_a_text_longer_changes_nothing(seed, attention):
    k, cfg = make(seed), ModelConfig(attention=attention, attention_heads=2)
    g = torch.Generator().manual_seed(seed)

    def longer(x, n):
        return torch.cat([x, torch.randn(*x.shape[:-2], n, x.shape[-1], generator=g, dtype=x.dtype)], -2)

    def shut(m, n):
        return torch.nn.functional.pad(m, (0, n))

    padded = ClassTexts(k.cls, longer(k.words, 3), shut(k.mask, 3), longer(k.subs, 5), shut(k.sub_mask, 5))
    head = head_of(k, cfg)
    same(run(k, head=head), run(k, head=head, texts=padded))


@many
def test_permuting_classes_permutes_the_output(seed):
    k = make(seed)
    order = torch.randperm(len(k.cls), generator=torch.Generator().manual_seed(seed))
    a, b = run(k), run(k, texts=k.texts().select(order))
    for name in ("logits", "coarse", "fine", "video"):
        close(getattr(b, name), getattr(a, name)[:, order], 1e-12, name)


@many
def test_permuting_frames_permutes_the_importance_and_leaves_o(seed):
    k = make(seed)
    order = torch.randperm(k.frames.shape[1], generator=torch.Generator().manual_seed(seed))
    a, b = run(k), run(k, frames=k.frames[:, order])
    for name in ("coarse", "fine"):
        close(getattr(b, name), getattr(a, name)[..., order], 1e-12, name)
    close(b.video, a.video, 1e-12)
    close(b.logits, a.logits, 1e-12)


@some
def test_permuting_subtexts_changes_nothing(seed):
    k = make(seed)
    order = torch.randperm(k.subs.shape[1], generator=torch.Generator().manual_seed(seed))
    same(run(k), run(k, texts=ClassTexts(k.cls, k.words, k.mask, k.subs[:, order], k.sub_mask[:, order])))


@some
def test_videos_do_not_mix(seed):
    k = make(seed)
    together = run(k)
    for b in range(len(k.frames)):
        close(run(k, frames=k.frames[b : b + 1]).logits, together.logits[b : b + 1], 1e-12)


@many
def test_importance_adds_up(seed):
    k = make(seed)
    out, summed = run(k), run(k, ModelConfig(coarse_reduce="sum"))
    one = torch.ones(out.logits.shape, dtype=torch.float64)
    close(out.coarse.sum(-1), one, 1e-12)
    close(out.fine.sum(-1), one, 1e-12)
    close(summed.coarse.sum(-1), one * k.mask.sum(-1), 1e-12)
    assert (out.coarse > 0).all() and (out.fine > 0).all()


@some
def test_the_length_of_vectors_does_not_matter_to_the_importance(seed):
    k = make(seed)
    fine = embedding.fine_importance(embedding.mean_unit_words(k.subs * 40, k.sub_mask), k.frames * 0.01, k.tau)
    close(fine, run(k).fine, 1e-12)
    coarse = embedding.coarse_importance(k.words * 40, k.mask, k.frames * 0.01, k.tau)
    close(coarse, embedding.coarse_importance(k.words, k.mask, k.frames, k.tau), 1e-12)


@some
def test_a_high_temperature_is_mean_pooling(seed):
    k = make(seed)
    k.tau = 1e12
    out = run(k)
    uniform = torch.full_like(out.coarse, 1 / k.frames.shape[1])
    close(out.coarse, uniform, 1e-10)
    close(out.fine, uniform, 1e-10)


@some
def test_a_low_temperature_takes_the_best_frame(seed):
    k = make(seed)
    best = (
        torch.einsum("cnd,bld->bcnl", embedding.mean_unit_words(k.subs, k.sub_mask), unit(k.frames)).amax(2).argmax(-1)
    )
    k.tau = 1e-9  # also: the large exponents this gives must not overflow
    want = torch.nn.functional.one_hot(best, k.frames.shape[1]).double()
    close(run(k).fine, want, 1e-12)


@some
@pytest.mark.parametrize("attention", ["printed", "mha"])
def test_identical_subtexts_are_one(seed, attention):
    k, cfg = make(seed), ModelConfig(attention=attention, attention_heads=2)
    head = head_of(k, cfg)
    one = ClassTexts(k.cls, k.words, k.mask, k.subs[:, :1], k.sub_mask[:, :1])
    four = ClassTexts(k.cls, k.words, k.mask, k.subs[:, :1].expand(-1, 4, -1, -1), k.sub_mask[:, :1].expand(-1, 4, -1))
    same(run(k, head=head, texts=one), run(k, head=head, texts=four))


@some
def test_one_word_and_one_subtext(seed):
    k = make(seed)
    texts = ClassTexts(
        k.cls, k.words[:, :1], torch.ones_like(k.mask[:, :1]), k.subs[:, :1, :1], torch.ones_like(k.sub_mask[:, :1, :1])
    )
    head = head_of(k, ModelConfig())
    out = run(k, head=head, texts=texts)
    # One key: its weight is one whatever the query, so T^ = S W^v + T.
    augmented = texts.sub_words[:, 0] @ head.attention.wv + texts.words
    cosine = torch.einsum("cwd,bld->bcl", unit(augmented), unit(k.frames))
    close(out.coarse, (cosine / k.tau).softmax(-1), 1e-12)
    close(
        out.fine,
        (torch.einsum("cd,bld->bcl", unit(texts.sub_words[:, 0, 0]), unit(k.frames)) / k.tau).softmax(-1),
        1e-12,
    )


@some
def test_one_frame_is_the_video(seed):
    k = make(seed)
    frames = k.frames[:, :1]
    out = run(k, ModelConfig(ffn="none", frame_norm=True), frames=frames)
    one = torch.ones_like(out.coarse)
    close(out.coarse, one, 1e-12)
    close(out.fine, one, 1e-12)
    close(out.video, (2 * unit(frames)).expand_as(out.video), 1e-12)


def test_a_zero_vector_stays_zero_and_gives_a_finite_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    unit(x).sum().backward()
    assert (unit(x) == 0).all() and x.grad.isfinite().all()


def test_padding_of_zeros_gets_no_gradient():
    # What encode_words gives: padded rows are zero, where the derivative of a norm does not exist.
    k = make(3)
    subs = (k.subs * k.sub_mask[..., None]).requires_grad_()
    words = (k.words * k.mask[..., None]).requires_grad_()
    out = head_of(k, ModelConfig())(k.frames, ClassTexts(k.cls, words, k.mask, subs, k.sub_mask), torch.tensor(SCALE))
    out.logits.sum().backward()
    assert (subs.grad[~k.sub_mask] == 0).all() and (words.grad[~k.mask] == 0).all()


@pytest.mark.parametrize("rows", [1, 8, 10**6])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_fused_cosine_and_its_gradients(parts, residual, rows, monkeypatch):
    """Against the plain order of operations, however large a chunk is; gradients against finite differences too."""
    monkeypatch.setitem(fused.ROWS, "cpu", rows)
    b, length, c, d = 5, 3, 4, 6
    g = torch.Generator().manual_seed(parts)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).requires_grad_()

    leaves = [draw(b, length, d), draw(c, d)] + [
        x for _ in range(parts) for x in (draw(b, c, length), draw(d, d), draw(d), draw(d, d), draw(d))
    ]

    def split(x):
        return [(x[i], fused.Layers(*x[i + 1 : i + 5])) for i in range(0, len(x), 5)]

    def quick(frames, cls, *x):
        return fused.cosines(frames, unit(cls), split(x), residual)

    def plain(frames, cls, *x):
        o = 0.0
        for a, f in split(x):
            y = embedding.aggregate(frames, a)
            o = o + (y @ f.w1.T + f.b1).relu() @ f.w2.T + f.b2 + (y if residual else 0)
        return torch.cosine_similarity(o, cls, dim=-1)

    close(quick(*leaves), plain(*leaves), 1e-12)
    weights = torch.randn(b, c, generator=g, dtype=torch.float64)
    for got, want in zip(
        *(torch.autograd.grad((f(*leaves) * weights).sum(), leaves) for f in (quick, plain)), strict=True
    ):
        close(got, want, 1e-11)
    assert torch.autograd.gradcheck(quick, leaves)


def test_a_zero_embedding_has_cosine_zero_and_finite_gradients():
    zeros = [torch.zeros(*shape, requires_grad=True) for shape in ((3, 3), (3,), (3, 3), (3,))]
    frames, cls, a = torch.ones(2, 1, 3, requires_grad=True), unit(torch.ones(2, 3)), torch.ones(2, 2, 1)
    out = fused.cosines(frames, cls, [(a, fused.Layers(*zeros))])
    out.sum().backward()
    assert torch.equal(out, torch.zeros(2, 2)) and all(torch.isfinite(x.grad).all() for x in (frames, *zeros))


@pytest.mark.parametrize("method", ["backward", "forward"])
def test_nothing_with_a_row_for_each_word_is_kept(method):
    """Nothing of B x C x words x L, nor of B x C x d but the video embedding: what autograd saves is looked at."""
    b, length, c, n, w, d = 7, 5, 31, 3, 9, 16
    g = torch.Generator().manual_seed(0)
    texts = ClassTexts(
        torch.randn(c, d, generator=g),
        torch.randn(c, w, d, generator=g),
        torch.ones(c, w, dtype=torch.bool),
        torch.randn(c, n, w, d, generator=g),
        torch.ones(c, n, w, dtype=torch.bool),
    )
    head = SFAR(d, 0.1, ModelConfig(n_subtexts=n))
    kept = {}

    def pack(x):
        kept[x.data_ptr()] = x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), torch.set_grad_enabled(method == "backward"):
        head(torch.randn(b, length, d, generator=g, requires_grad=True), texts, torch.tensor(1.0))
    large = sorted(
        k for k in kept.values() if k >= b * c * d and k % b == 0
    )  # b is a prime that no other size has: of the videos, not of the texts alone
    assert large == ([] if method == "forward" else [b * c * d])  # o
