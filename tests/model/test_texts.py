"""The text side: shapes, masks, prompts, and where its tensors go."""

import copy
import pickle

import pytest
import tiny
import torch

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.texts import class_texts


def test_class_texts_shapes_and_masks():
    t = class_texts(tiny.clip(), tiny.CLASSES, tiny.SUBTEXTS, tiny.MODEL)
    d = tiny.CONFIG["embed_dim"]
    assert (
        t.cls.shape == (3, d)
        and t.words.shape[::2] == (3, d)
        and t.sub_words.shape[:2] == (3, 4)
        and t.sub_words.shape[-1] == d
    )
    # "This is a video about" is 5 tokens, "long jump" 2, "juggling balls" 3, "yoga" 1; and the end of the text
    assert t.mask.sum(1).tolist() == [8, 9, 7] and t.mask.shape[1] == 9
    assert t.sub_mask.sum(-1)[0].tolist() == [5, 3, 5, 3]
    assert (t.words[~t.mask] == 0).all() and (t.sub_words[~t.sub_mask] == 0).all()
    assert not any(x.requires_grad for x in t.buffers())


def test_class_texts_use_the_prompt():
    a, b = (
        class_texts(tiny.clip(), tiny.CLASSES, tiny.SUBTEXTS, ModelConfig(prompt=p)) for p in ("{}", "a photo of {}")
    )
    assert a.mask.sum(1).tolist() == [3, 4, 2] and b.mask.sum(1).tolist() == [6, 7, 5]
    assert torch.equal(a.sub_words, b.sub_words)  # sub-texts stand alone


@pytest.mark.parametrize("given", [3, 5, 0, None])
def test_a_class_without_n_subtexts(given):
    subtexts = dict(tiny.SUBTEXTS)
    if given is None:
        del subtexts["yoga"]
    else:
        subtexts["yoga"] = ["bending"] * given
    with pytest.raises(ConfigError, match=rf"class 'yoga' has {given or 0} sub-texts, expected 4 \(model.n_subtexts\)"):
        class_texts(tiny.clip(), tiny.CLASSES, subtexts, tiny.MODEL)


@pytest.mark.parametrize("pick", [torch.tensor([2, 0]), torch.tensor([True, False, True]), torch.tensor([1])])
def test_select(pick):
    texts = tiny.random_texts()
    some = dict(texts.select(pick).named_buffers())
    assert len(some) == 5
    for name, x in texts.named_buffers():
        assert torch.equal(some[name], x[pick])


def test_they_move_and_are_copied_but_are_in_no_checkpoint():
    texts = tiny.random_texts()
    assert texts.state_dict() == {} and list(texts.parameters()) == []
    for other in (copy.deepcopy(texts), pickle.loads(pickle.dumps(texts))):
        for name, x in other.named_buffers():
            assert torch.equal(x, getattr(texts, name)) and x is not getattr(texts, name)
    masks = texts.mask.clone(), texts.sub_mask.clone()
    texts.double()
    assert {x.dtype for x in (texts.cls, texts.words, texts.sub_words)} == {torch.float64}
    assert torch.equal(texts.mask, masks[0]) and torch.equal(texts.sub_mask, masks[1])
    assert {x.device.type for x in texts.to("meta").buffers()} == {"meta"}
