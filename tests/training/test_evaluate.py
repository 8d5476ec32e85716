"""Views, ranks and the share of importance on relevant frames, against numbers worked out by hand."""

import numpy as np
import pytest
import tiny
import torch

from sfar.data.transforms import CLIP_MEAN, CLIP_STD, multi_clip_indices, val_indices
from sfar.training.evaluate import VIEWS, score
from sfar.training.metrics import ranks, relevant_mass, topk

FRAMES = 3


# --- ranks ---


def test_ranks():
    p = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert ranks(p, np.array([0, 1, 2])).tolist() == [0, 1, 2]


def test_a_tie_counts_against_the_model():
    p = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.1, 0.8]])
    assert ranks(p, np.array([0, 2, 1, 2])).tolist() == [1, 1, 2, 0]


def test_a_constant_model_is_never_right():
    rank = ranks(np.full((10, 5), 0.2), np.arange(10) % 5)
    assert topk(rank, 1) == topk(rank, 4) == 0.0 and topk(rank, 5) == 100.0


@pytest.mark.parametrize("place", [slice(None), 0, 1])
def test_scores_that_are_no_numbers_are_never_right(place):
    p = np.array([[0.2, 0.7, 0.1]])
    p[0, place] = np.nan
    assert ranks(p, np.array([1]))[0] > 0


def test_ranks_against_sorting():
    rng = np.random.default_rng(0)
    p, labels = rng.random((50, 12)), rng.integers(12, size=50)
    want = [np.argsort(-row).tolist().index(k) for row, k in zip(p, labels, strict=True)]
    assert ranks(p, labels).tolist() == want


def test_topk():
    rank = np.array([0, 1, 4, 5, 0, 9, 2, 0])
    assert topk(rank, 1) == pytest.approx(37.5) and topk(rank, 5) == pytest.approx(75.0) and topk(rank, 10) == 100.0


# --- importance on relevant frames ---


def test_relevant_mass():
    importance = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25], [1.0, 2.0, 3.0, 4.0]])
    indices = np.array([[0, 2, 4, 6], [0, 1, 2, 3], [0, 0, 1, 1]])
    relevance = [
        np.array([True, False, False, False, True, False, False, False]),
        np.array([False] * 4),
        np.array([False, True]),
    ]
    # frames 0 and 4: 0.1 + 0.3; none; the frames sampled twice count twice: (3 + 4) / 10
    assert relevant_mass(importance, indices, relevance) == pytest.approx([0.4, 0.0, 0.7])


def test_relevant_mass_does_not_depend_on_the_scale():
    importance, where = np.array([[0.2, 0.8]]), (np.array([[0, 1]]), [np.array([False, True])])
    for scale in (1, 5):  # 5: Eq. 7 as a sum over five words
        assert relevant_mass(scale * importance, *where) == pytest.approx([0.8])


# --- views ---


def crop(frames, top, left):
    """One view by hand: cut, to the scale 0 to 1, normalise; float32 [L, 3, size, size]."""
    cut = frames[:, top : top + tiny.SIZE, left : left + tiny.SIZE] / 255
    return torch.from_numpy((cut - np.array(CLIP_MEAN)) / np.array(CLIP_STD)).permute(0, 3, 1, 2).float()


@torch.no_grad()
def probabilities(model, view):
    return model.eval()(view[None]).logits[0].softmax(-1).numpy()


@pytest.fixture(scope="module", params=["sfar", "clip"])
def model(request):
    model = tiny.model(request.param)
    with torch.no_grad():
        model.clip.logit_scale.fill_(
            np.log(50)
        )  # so that views disagree, and the mean of softmax is not softmax of the mean
    return model


@pytest.fixture(scope="module")
def clips():
    return tiny.clips(5)  # 5: whole batches and a rest


def test_the_single_view_is_the_middle_of_the_first_frames(model, clips):
    s = score(model, clips, FRAMES, tiny.SIZE)
    assert s.probabilities.shape == (5, 3) and s.labels.tolist() == clips.labels
    for i, pixels in enumerate(clips.pixels):
        h, w = pixels.shape[1:3]
        index = val_indices(len(pixels), FRAMES)
        view = crop(pixels[index], round((h - tiny.SIZE) / 2), round((w - tiny.SIZE) / 2))
        assert s.probabilities[i] == pytest.approx(probabilities(model, view), abs=1e-5)
        assert s.indices is not None and s.indices[i].tolist() == index.tolist()


def test_4x3_is_the_mean_over_four_combs_and_three_crops(model, clips):
    s = score(model, clips, FRAMES, tiny.SIZE, "4x3")
    for i, pixels in enumerate(clips.pixels):
        h, w = pixels.shape[1:3]
        total, spread = np.zeros(3), []
        for comb in multi_clip_indices(len(pixels), FRAMES, 4):
            for step in (0, 2, 4):  # left, middle, right, in quarters of the free width
                view = crop(pixels[comb], 2 * ((h - tiny.SIZE) // 4), step * ((w - tiny.SIZE) // 4))
                spread.append(probabilities(model, view))
                total += spread[-1]
        assert len(spread) == 12 == np.prod(VIEWS["4x3"]) and np.ptp(spread, 0).max() > 1e-3
        assert s.probabilities[i] == pytest.approx(total / 12, abs=1e-5)
    assert s.indices is None and s.coarse is None and s.fine is None


@pytest.mark.parametrize("views", VIEWS)
def test_the_batch_size_does_not_matter(model, clips, views):
    results = [score(model, clips, FRAMES, tiny.SIZE, views, batch) for batch in (1, 2, 25, 100)]
    for r in results[1:]:
        assert r.probabilities == pytest.approx(results[0].probabilities, abs=1e-5)
        assert r.labels.tolist() == results[0].labels.tolist()
    assert results[0].probabilities.sum(1) == pytest.approx(np.ones(5), abs=1e-5)


def test_importance_is_that_of_the_true_class(clips):
    model = tiny.model("sfar")
    s = score(model, clips, FRAMES, tiny.SIZE, batch=2)
    for i, pixels in enumerate(clips.pixels):
        h, w = pixels.shape[1:3]
        view = crop(pixels[val_indices(len(pixels), FRAMES)], round((h - tiny.SIZE) / 2), round((w - tiny.SIZE) / 2))
        with torch.no_grad():
            out = model(view[None])
        for got, a in ((s.coarse, out.coarse), (s.fine, out.fine)):
            assert got is not None and got[i] == pytest.approx(a[0, clips.labels[i]].numpy(), abs=1e-5)
            assert not np.allclose(got[i], a[0, clips.labels[i] - 1].numpy(), atol=1e-4)
    assert s.coarse is not None and s.coarse.sum(1) == pytest.approx(np.ones(5), abs=1e-5)


@pytest.mark.parametrize(
    "method, coarse, fine", [("clip", False, False), ("single", True, False), ("sfar", True, True)]
)
def test_only_the_importance_a_method_has(method, coarse, fine, clips):
    s = score(tiny.model(method), clips, FRAMES, tiny.SIZE)
    assert (s.coarse is not None, s.fine is not None) == (coarse, fine)


def test_evaluation_changes_no_weight(clips):
    model = tiny.model("sfar")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    score(model, clips, FRAMES, tiny.SIZE)
    assert not model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
