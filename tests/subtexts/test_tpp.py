"""Text prompt perplexity against Eq. 1-3 in loops (``literal``), against hand arithmetic, and the selection by it."""

import numpy as np
import pytest
import tiny
import torch

from sfar.errors import ConfigError
from sfar.model import literal
from sfar.model.clip import load_clip, tokenize
from sfar.subtexts import SubTexts, tpp
from sfar.subtexts.tpp import READINGS, Score

SHAPES = [(1, 2, 2), (3, 4, 16), (2, 5, 8), (5, 3, 128), (1, 9, 3), (4, 2, 512)]
BETA = {"printed": lambda x: x, "diverse": lambda x: 1 - x}
PROMPT = "This is a video about {}"
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
readings = pytest.mark.parametrize("reading", READINGS)


def alpha(x):
    """A.3."""
    return -(x**2) + 1


def make(shape, seed=0):
    c, n, d = shape
    rng = np.random.default_rng(seed)
    return rng.normal(size=(c, d)), rng.normal(size=(c, n, d))


def loops(classes, subs, reading):
    return [literal.tpp(t, s, alpha, BETA[reading]) for t, s in zip(classes.tolist(), subs.tolist(), strict=True)]


def gram(cosines):
    """Unit vectors with the given cosines."""
    return np.linalg.cholesky(np.asarray(cosines, float))


# --- Eq. 1-3 ---


def test_the_readings_are_the_two_of_the_text():
    assert READINGS == ("printed", "diverse")


@shapes
@readings
@pytest.mark.parametrize("seed", range(4))
def test_eq_1_to_3(shape, reading, seed):
    classes, subs = make(shape, seed)
    assert tpp.tpp(classes, subs, reading) == pytest.approx(loops(classes, subs, reading), rel=1e-10)


@shapes
@readings
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_tensors_are_taken_at_their_own_precision(shape, reading, dtype):
    classes, subs = (torch.from_numpy(x).to(dtype) for x in make(shape))
    got = tpp.tpp(classes, subs.requires_grad_(), reading)
    assert isinstance(got, np.ndarray) and got.dtype == np.float64 and got.shape == shape[:1]
    assert got == pytest.approx(loops(classes, subs, reading), rel=1e-10)


@shapes
def test_sigma_and_delta_lie_between_zero_and_one(shape):
    classes, subs = make(shape)
    for got in (tpp.similarity(classes, subs), tpp.diversity(subs)):
        assert got.shape == shape[:2] and (got >= 0).all() and (got <= 1).all()


def test_printed_is_the_default():
    classes, subs = make((3, 4, 16))
    assert tpp.tpp(classes, subs).tolist() == tpp.tpp(classes, subs, "printed").tolist()
    assert (tpp.tpp(classes, subs) != tpp.tpp(classes, subs, "diverse")).all()


# --- by hand ---


def test_all_cosines_at_eight_tenths():
    v = gram(np.full((5, 5), 0.8) + 0.2 * np.eye(5))
    classes, subs = v[None, 0], v[None, 1:]
    assert tpp.similarity(classes, subs) == pytest.approx(np.full((1, 4), 0.9))  # (.8 + 1) / 2
    assert tpp.diversity(subs) == pytest.approx(np.full((1, 4), 0.1))  # 1 - .9
    # alpha = 1 - .81 = .19; beta = .1 or .9; equal factors are their own geometric mean.
    printed, diverse = (tpp.tpp(classes, subs, r).item() for r in READINGS)
    assert printed == pytest.approx(1 / 0.019) and round(printed, 1) == 52.6
    assert diverse == pytest.approx(1 / 0.171) and round(diverse, 1) == 5.8


@pytest.mark.parametrize(
    "subs, printed, diverse",
    [
        # at right angles to the class and to each other: alpha = 1 - .25, delta = .5, beta = .5 either way
        ([[0, 1, 0], [0, 0, 1]], 1 / 0.375, 1 / 0.375),
        # opposite each other: delta = 1, which only the printed reading rewards
        ([[0, 1, 0], [0, -1, 0]], 1 / 0.75, 1e6),
        # sigma .5 and .8, so alpha .75 and .36; delta .1 for both: the geometric mean of .075 and .036, of .675 and
        # .324
        ([[0, 1, 0], [0.6, 0.8, 0]], 0.0027**-0.5, 0.2187**-0.5),
    ],
)
def test_two_subtexts(subs, printed, diverse):
    classes, subs = np.array([[1.0, 0, 0]]), np.array([subs])
    assert tpp.tpp(classes, subs, "printed") == pytest.approx([printed])
    assert tpp.tpp(classes, subs, "diverse") == pytest.approx([diverse])


def test_delta_averages_over_the_others():
    subs = np.array([[[1.0, 0], [1, 0], [-1, 0]]])  # (1 + 0) / 2, (1 + 0) / 2, (0 + 0) / 2 from one
    assert tpp.diversity(subs) == pytest.approx(np.array([[0.5, 0.5, 1]]))


# --- properties ---


@shapes
@readings
def test_the_length_of_vectors_does_not_matter(shape, reading):
    classes, subs = make(shape)
    rng = np.random.default_rng(1)
    longer, longer_subs = (x * 10 ** rng.uniform(-3, 3, (*x.shape[:-1], 1)) for x in (classes, subs))
    assert tpp.tpp(longer, longer_subs, reading) == pytest.approx(tpp.tpp(classes, subs, reading), rel=1e-9)


@shapes
@readings
def test_the_order_of_subtexts_does_not_matter(shape, reading):
    classes, subs = make(shape)
    order = np.random.default_rng(2).permutation(shape[1])
    assert tpp.tpp(classes, subs[:, order], reading) == pytest.approx(tpp.tpp(classes, subs, reading), rel=1e-12)
    assert tpp.diversity(subs[:, order]) == pytest.approx(tpp.diversity(subs)[:, order], rel=1e-12)


@shapes
@readings
def test_classes_do_not_mix(shape, reading):
    classes, subs = make(shape)
    alone = [tpp.tpp(classes[c : c + 1], subs[c : c + 1], reading)[0] for c in range(shape[0])]
    assert tpp.tpp(classes, subs, reading) == pytest.approx(alone, rel=1e-12)


def course(reading, **moved):
    """TPP of four sub-texts of which only the first one's ``sigma`` or ``delta`` moves: an array."""
    sigma, delta = np.broadcast_arrays(*({"sigma": 0.6, "delta": 0.4} | moved).values())
    rest = np.tile([[0.5, 0.6, 0.7]], (len(sigma), 1))
    return tpp.perplexity(np.c_[sigma, rest], np.c_[delta, rest], reading)


@readings
def test_up_with_sigma(reading):
    assert (np.diff(course(reading, sigma=np.linspace(0, 0.99, 100))) > 0).all()


@pytest.mark.parametrize("reading, sign", [("printed", -1), ("diverse", 1)])
def test_printed_falls_with_diversity_and_diverse_rises(reading, sign):
    assert (sign * np.diff(course(reading, delta=np.linspace(0.01, 0.99, 100))) > 0).all()


# --- edges ---


def edge(kind, dtype):
    g = torch.Generator().manual_seed(3)
    classes, subs = torch.randn(40, 24, generator=g), torch.randn(40, 4, 24, generator=g)
    if kind == "identical sub-texts":
        subs = subs[:, :1].expand(-1, 4, -1)
    elif kind == "two identical":
        subs[:, 1] = subs[:, 0]
    elif kind == "equal to the global text":
        subs[:, 2] = classes
    elif kind == "all equal":
        subs = classes[:, None].expand(-1, 4, -1)
    elif kind == "opposite to the global text":
        subs = -classes[:, None].expand(-1, 4, -1) * torch.tensor([1.0, 2, 3, 4])[:, None]
    else:
        subs[:, 1::2] = -subs[:, ::2]
    return classes.to(dtype), subs.to(dtype)


@readings
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "kind",
    [
        "identical sub-texts",
        "two identical",
        "equal to the global text",
        "all equal",
        "opposite to the global text",
        "opposite pairs",
    ],
)
def test_edges_are_finite(kind, dtype, reading):
    classes, subs = edge(kind, dtype)
    for got in (tpp.similarity(classes, subs), tpp.diversity(subs)):
        assert (got >= 0).all() and (got <= 1).all()
    got = tpp.tpp(classes, subs, reading)
    assert np.isfinite(got).all() and (got >= 1 - 1e-12).all() and (got <= 1e6 * (1 + 1e-9)).all()


def test_identical_subtexts_are_the_worst_of_one_reading_and_the_best_of_the_other():
    classes, subs = edge("identical sub-texts", torch.float64)
    assert tpp.tpp(classes, subs, "printed") == pytest.approx(np.full(40, 1e6))
    sigma = tpp.similarity(classes, subs)[:, 0]
    assert tpp.tpp(classes, subs, "diverse") == pytest.approx(1 / (1 - sigma**2))


def test_no_zero_vector():
    for where in ("classes", "subs"):
        classes, subs = make((2, 3, 4))
        (classes if where == "classes" else subs[:, 1])[1] = 0
        with pytest.raises(ValueError, match="length zero"):
            tpp.tpp(classes, subs)


@pytest.mark.parametrize("n", [0, 1])
def test_one_subtext_has_no_other(n):
    classes, subs = make((2, n, 4))
    for call in (
        lambda: tpp.diversity(subs),
        lambda: tpp.tpp(classes, subs),
        lambda: tpp.tpp(classes, subs, "diverse"),
    ):
        with pytest.raises(ConfigError, match=f"at least 2, got {n}"):
            call()


@pytest.mark.parametrize("reading", ["", "Printed", "both"])
def test_an_unknown_reading(reading):
    classes, subs = make((2, 3, 4))
    for call in (
        lambda: tpp.tpp(classes, subs, reading),
        lambda: tpp.perplexity(np.ones((1, 2)), np.ones((1, 2)), reading),
    ):
        with pytest.raises(ConfigError, match=f"unknown reading {reading!r} of TPP: expected printed or diverse"):
            call()


# --- of texts ---


@pytest.fixture(scope="module")
def clip():
    return load_clip("storyboard")


def encoded(clip, texts):
    with torch.no_grad():
        return clip.encode_text(tokenize(texts))


@readings
@pytest.mark.parametrize("prompt", [PROMPT, "{}"])
def test_score_is_the_tpp_of_encode_text(clip, reading, prompt):
    texts = SubTexts.load("storyboard", 3).only(["long jump", "pole run", "cook"])
    got = tpp.score(texts, clip, prompt)
    classes = encoded(clip, [prompt.format(c) for c in texts])
    subs = torch.stack([encoded(clip, list(t)) for t in texts.values()])
    assert got.names == tuple(texts) and set(got.tpp) == set(READINGS)
    assert got.sigma == pytest.approx(tpp.similarity(classes, subs), abs=1e-6)
    assert got.delta == pytest.approx(tpp.diversity(subs), abs=1e-6)
    assert got.tpp[reading] == pytest.approx(loops(classes, subs, reading), rel=1e-4)
    assert got.mean(reading) == pytest.approx(sum(got.tpp[reading]) / 3)


def test_score_of_a_plain_mapping():
    got = tpp.score(tiny.SUBTEXTS, tiny.clip(), PROMPT)
    as_texts = tpp.score(SubTexts(tiny.SUBTEXTS, "tiny", "written here"), tiny.clip(), PROMPT)
    assert got.names == tuple(tiny.CLASSES) and got.sigma.shape == (3, 4)
    assert all((got.tpp[r] == as_texts.tpp[r]).all() for r in READINGS)


def test_score_of_one_subtext_a_class():
    with pytest.raises(ConfigError, match="at least 2"):
        tpp.score({c: t[:1] for c, t in tiny.SUBTEXTS.items()}, tiny.clip(), PROMPT)


# --- selection ---


def named(tag, classes=("jump", "swim", "read"), n=2):
    return SubTexts({c: [f"{tag} {c} {i}" for i in range(n)] for c in classes}, "own", f"written by {tag}")


def scored(names, printed, diverse=None):
    none = np.zeros((len(names), 2))
    printed = np.array(printed, float)
    return Score(
        tuple(names),
        none,
        none,
        {"printed": printed, "diverse": -printed if diverse is None else np.array(diverse, float)},
    )


def test_select_takes_the_highest_of_each_class():
    groups = {"a": named("a"), "b": named("b"), "c": named("c")}
    scores = {
        "a": scored(groups["a"], [5, 1, 1]),
        "b": scored(groups["b"], [1, 5, 2]),
        "c": scored(groups["c"], [4, 4, 3]),
    }
    texts, chosen = tpp.select(groups, scores)
    assert chosen == {"jump": "a", "swim": "b", "read": "c"}
    assert dict(texts) == {
        "jump": ("a jump 0", "a jump 1"),
        "swim": ("b swim 0", "b swim 1"),
        "read": ("c read 0", "c read 1"),
    }
    assert (texts.n, texts.label_set) == (2, "own")
    assert texts.provenance["from"] == {"a": "written by a", "b": "written by b", "c": "written by c"}


def test_select_goes_by_the_reading_asked_for():
    groups = {"a": named("a"), "b": named("b")}
    scores = {"a": scored(groups["a"], [5, 1, 1], [1, 2, 3]), "b": scored(groups["b"], [4, 2, 2], [3, 2, 1])}
    assert tpp.select(groups, scores, "printed")[1] == {"jump": "a", "swim": "b", "read": "b"}
    texts, chosen = tpp.select(groups, scores, "diverse")
    assert chosen == {"jump": "b", "swim": "a", "read": "a"} and "diverse" in texts.provenance["selected"]


def test_of_equal_scores_the_first_group():
    groups = {"z": named("z"), "a": named("a"), "m": named("m")}
    texts, chosen = tpp.select(groups, {g: scored(groups[g], [1, 1, 1]) for g in groups})
    assert (
        set(chosen.values()) == {"z"} and dict(texts) == dict(groups["z"]) and list(texts.provenance["from"]) == ["z"]
    )


def test_select_goes_by_name_and_not_by_place():
    groups = {"a": named("a"), "b": named("b", ("read", "jump", "swim"))}
    scores = {"a": scored(groups["a"], [3, 1, 1]), "b": scored(groups["b"], [2, 2, 0])}  # b: read 2, jump 2, swim 0
    texts, chosen = tpp.select(groups, scores)
    assert list(texts) == ["jump", "swim", "read"] and chosen == {"jump": "a", "swim": "a", "read": "b"}


def test_select_from_one_group_is_that_group():
    group = named("a")
    assert dict(tpp.select({"a": group}, {"a": scored(group, [1, 2, 3])})[0]) == dict(group)


@pytest.mark.parametrize(
    "other",
    [
        named("b", n=3),
        named("b", ("jump", "swim")),
        named("b", ("jump", "swim", "write")),
        named("b", ("jump", "swim", "read", "write")),
    ],
)
def test_groups_that_do_not_match(other):
    groups = {"first": named("a"), "second": other}
    with pytest.raises(ConfigError, match=r"second \(N=.*first \(N=2, 3 classes\) do not describe the same classes"):
        tpp.select(groups, {g: scored(t, [1] * len(t)) for g, t in groups.items()})


@readings
def test_selection_on_the_storyboard_clip(clip, reading):
    names = ["long jump", "pull ups", "making pizza"]
    groups = {
        n: SubTexts.load("storyboard", 4).only(names)
        if n == "bank"
        else SubTexts({c: [f"{w} {c}" for w in ("one", "two", "three", "four")] for c in names}, "own", n)
        for n in ("bank", "numbered")
    }
    scores = {n: tpp.score(g, clip, PROMPT) for n, g in groups.items()}
    texts, _ = tpp.select(groups, scores, reading)
    best = np.maximum(*(s.tpp[reading] for s in scores.values()))
    assert tpp.score(texts, clip, PROMPT).tpp[reading] == pytest.approx(best, rel=1e-4)
