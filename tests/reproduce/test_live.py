"""Live cells: the videos are the world's, the heads those of the studies, and the same cell gives the same table."""

import numpy as np
import pytest
import torch

from sfar.errors import ConfigError
from sfar.reproduce import live
from sfar.storyboard import world
from sfar.storyboard.knobs import Knobs
from sfar.studies import table1
from sfar.training.metrics import mean_ap

CLASSES = ("long jump", "pole vault", "making pizza")


@pytest.fixture(scope="module")
def train():
    return live.draw(2, classes=CLASSES)


@pytest.fixture(scope="module")
def test():
    return live.draw(3, test=True, classes=CLASSES)


def test_videos_are_the_world_s(train, test):
    assert train.embedded.shape == (6, 8, 128) and train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    board = world.draw_storyboard("pole vault", world.video_rng(live.base().data.seed, "pole vault", 100_001))
    assert test.irrelevant[4] == board.irrelevant
    assert test.relevant.shape == (9, 8) and np.isclose(test.relevant.mean(), 1 - test.irrelevant.mean(), atol=0.1)
    assert not torch.allclose(train.embedded[0], test.embedded[0])
    assert repr(train) == "6 videos of 3 classes, frame embeddings [6, 8, 128]"


def test_parts_of_them(test):
    assert test.first(1).labels.tolist() == [0, 1, 2]
    assert torch.equal(test.first(1).embedded, test.embedded[[0, 3, 6]])
    assert live.among(test, ("making pizza",)).tolist() == [False] * 6 + [True] * 3
    few = live.draw(2, test=True, classes=CLASSES, knobs=Knobs(irrelevant=0.0))
    assert (few.irrelevant == 0).all() and few.relevant.all()


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_a_number_of_videos_that_is_none(number):
    with pytest.raises(ConfigError, match=r"videos: expected a whole number of at least 1"):
        live.draw(number)


def test_a_class_that_is_not_drawn():
    with pytest.raises(ConfigError, match="the storyboard world draws no 'ping pong'"):
        live.draw(1, classes=("ping pong",))
    with pytest.raises(ConfigError, match="draws no long jump; expected a list"):
        live.draw(1, classes="long jump")


def test_the_same_cell_gives_the_same_table(train, test):
    variants = live.found(table1.variants(), "vanilla", "sfar")
    profile = live.base({"data.train_per_class": 4})
    once, again = ([live.fit(v, train, profile=profile) for v in variants] for _ in range(2))
    assert live.table(once, test) == live.table(again, test)
    head = dict(once[1].model.head.named_parameters())
    assert all(torch.equal(p, head[name]) for name, p in again[1].model.head.named_parameters())
    assert not any(p.requires_grad for p in once[1].model.clip.visual.parameters()), "the tower is frozen"
    table = live.table(once, {"a": test, "b": test.first(1)})
    assert list(table.columns) == ["Trained now", "Top-1 [%] a", "Top-1 [%] b"]
    assert [row[0] for row in table.rows] == ["Vanilla CLIP (zero-shot)", "SFAR"] and "3 or 9 videos" in table.rest


def test_other_classes_have_their_own_texts(train):
    (variant,) = live.found(table1.variants(), "vanilla")
    model = live.fit(variant, train)
    unseen = live.draw(2, test=True, classes=("clean and jerk", "deadlifting", "hurdling"))
    assert live.score(model, unseen).probabilities.shape == (6, 3)


def test_other_classes_are_asked_as_the_model_was_made(train, monkeypatch):
    """With as many sub-texts, and the texts that its profile names."""
    asked = []
    profile = live.base({"data.train_per_class": 2, "train.epochs": 1, "model.n_subtexts": 2})
    (variant,) = live.found(table1.variants(), "sfar")
    model = live.fit(variant, train, profile=profile)
    unseen = live.draw(1, test=True, classes=("clean and jerk", "deadlifting"))
    forward = model.model.from_embeddings

    def seen(v, texts, *args, **kwargs):
        asked.append(texts.sub_words.shape[:2])
        return forward(v, texts, *args, **kwargs)

    monkeypatch.setattr(model.model, "from_embeddings", seen)
    live.score(model, unseen)
    assert asked and set(asked) == {(2, 2)}, "two classes of two sub-texts"


def test_sequences_have_several_labels(train):
    (variant,) = live.found(table1.variants(), "vanilla")
    seen = live.draw_sequences(6, CLASSES)
    assert seen.embedded.shape == (6, 16, 128) and 1 < seen.positive.sum(1).max() <= 3 and (seen.labels == -1).all()
    assert 0 < mean_ap(live.score(live.fit(variant, train), seen).probabilities, seen.positive, "present") <= 100


def test_another_method_with_the_plug(train, test):
    small = live.base({"data.train_per_class": 2, "train.epochs": 1})
    one = live.fit_plugged("atm", "fine", train, profile=small)
    assert one.title == "ATM, FVE: fine" and live.hits(one, test).shape == (9,)


def test_a_variant_that_is_not_there():
    with pytest.raises(ConfigError, match="no variant 'sfarr': expected of vanilla, clip"):
        live.found(table1.variants(), "sfarr")
