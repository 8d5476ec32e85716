"""The whole video model on a tiny CLIP: what is trained, which classes it is asked about, what is in its checkpoint."""

import copy
import pickle

import pytest
import tiny
import torch

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import embed_frames
from sfar.model.registry import METHODS
from sfar.model.sfar import SFAR
from sfar.model.texts import class_texts
from sfar.model.video_model import VideoModel
from sfar.training.checkpoint import trained_state

OTHERS = {"pole vault": tiny.SUBTEXTS["long jump"][::-1], "mopping floor": tiny.SUBTEXTS["yoga"][::-1]}


@pytest.mark.parametrize("method", METHODS)
def test_video_model_end_to_end(method):
    model = tiny.model(method)
    x = torch.randn(2, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    out = model(x)
    assert out.logits.shape == (2, 3) and out.logits.isfinite().all()
    frames = torch.stack([model.clip.encode_image(v) for v in x])
    assert torch.allclose(embed_frames(model.clip, x), frames, atol=1e-5)
    assert torch.allclose(out.logits, model.head(frames, model.texts, model.clip.logit_scale.exp()).logits, atol=1e-4)
    out.logits.square().sum().backward()
    with_gradient = {n for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("train_visual", [True, False])
def test_groups_hold_each_trained_parameter_once(method, train_visual):
    model = tiny.model(method, train_visual=train_visual)
    groups = model.groups()
    ids = [id(p) for g in groups.values() for p in g]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(p) for p in groups["head"]} == {id(p) for p in model.head.parameters()}
    names = {n for n, p in model.clip.named_parameters() if p.requires_grad}
    visual = {n for n, _ in model.clip.named_parameters() if n.startswith("visual.")}
    assert names == {"logit_scale"} | (visual if train_visual else set())
    assert len(groups["clip"]) == len(names)


def test_the_texts_go_where_the_model_goes_but_not_into_a_checkpoint():
    model = tiny.model()
    x = torch.randn(1, 2, 3, tiny.SIZE, tiny.SIZE)
    before = model(x).logits
    assert not any("texts" in k for k in model.state_dict())
    model.double()
    assert model.texts.words.dtype == torch.float64 and model.texts.mask.dtype == torch.bool
    after = model(x.double()).logits
    assert after.dtype == torch.float64 and torch.allclose(after.float(), before, atol=1e-3)
    model.to("meta")
    assert model.texts.sub_words.device.type == "meta"


@pytest.mark.parametrize("method", METHODS)
def test_other_classes_are_given_per_call(method):
    """The same as a model of those classes with the same weights; the model's own classes stay as they are."""
    model = tiny.model(method).eval()
    texts = class_texts(model.clip, list(OTHERS), OTHERS, tiny.MODEL)
    other = VideoModel(method, tiny.clip(), copy.deepcopy(texts), tiny.MODEL).eval()
    other.load_state_dict(model.state_dict())
    frames = torch.randn(2, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = model(frames).logits
        for got in (model(frames, texts), model.from_embeddings(embed_frames(model.clip, frames), texts)):
            assert got.logits.shape == (2, 2) and torch.equal(got.logits, other(frames).logits)
        assert torch.equal(model(frames).logits, own) and own.shape == (2, 3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_copy_gives_the_same(method, again):
    model = tiny.model(method).eval()
    frames = torch.randn(1, 2, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = model(frames).logits
        assert torch.equal(again(model)(frames).logits, want)


def test_the_keys_of_a_checkpoint():
    """What is on people's disks is found by these names."""
    names = set(trained_state(tiny.model("sfar")))
    assert {n for n in names if not n.startswith("clip.visual.")} == {
        "clip.logit_scale",
        *(f"head.attention.{w}" for w in ("wq", "wk", "wv")),
        *(f"head.ffn_{b}.layers.{i}.{p}" for b in ("coarse", "fine") for i in (0, 2) for p in ("weight", "bias")),
    }
    assert any(n.startswith("clip.visual.transformer.resblocks.0.") for n in names)
    block = "head.transformer.blocks.0."
    for method in ("temporal", "single"):
        names = {n for n in trained_state(tiny.model(method)) if n.startswith("head.")}
        assert names == {
            "head.transformer.position.weight",
            *(f"{block}{m}.{p}" for m in ("ln1", "ln2", "mlp.0", "mlp.2") for p in ("weight", "bias")),
            *(f"{block}attention.{p}" for p in ("in_proj_weight", "in_proj_bias")),
            *(f"{block}attention.out_proj.{p}" for p in ("weight", "bias")),
        }


@pytest.mark.parametrize("scale", [float("nan"), -float("inf"), -1000.0, 1000.0])
def test_a_frame_temperature_that_is_no_number(scale):
    clip = tiny.clip()
    with torch.no_grad():
        clip.logit_scale.fill_(scale)
    with pytest.raises(ConfigError, match=r"set model.frame_temperature"):
        VideoModel("sfar", clip, tiny.model().texts, tiny.MODEL)


def test_the_head_is_the_one_of_the_configuration():
    assert isinstance(tiny.model("sfar").head, SFAR)
    assert tiny.model("sfar", cfg=ModelConfig(frame_temperature=0.25)).head.tau == 0.25
