"""What runs on a GPU alone, on a device that is not there: PyTorch's fake tensors have shapes, types and a device.

They refuse an operation on tensors of two devices: a constant that was left on the CPU, or an input that was not taken
along, fails here as it would there. Forward on a pretended GPU; backward, for which PyTorch looks for a true one, on
"meta". What depends on numbers has none: there the words of a text are pretended to be all real.
"""

import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sfar.model import registry
from sfar.model.clip import embed_frames, embed_texts
from sfar.model.loss import both_directions
from sfar.training.evaluate import score
from sfar.training.train import Logits, adamw, autocast_dtype

GPU, META = torch.device("cuda", 0), torch.device("meta")
EVERY = list(registry.METHODS)


@pytest.fixture
def mode(monkeypatch):
    """The pretended GPU. autocast looks for a true one, says so and stays off: types are seen on the CPU, below."""

    def every(x, as_tuple=False):
        return tuple(torch.zeros(x.numel(), dtype=torch.int64, device=x.device) for _ in range(x.dim()))

    def autocast(kind, *args, **how):
        return real(kind, *args, **how) if kind != "meta" else nullcontext()  # which it does not know

    real = torch.autocast
    monkeypatch.setattr(torch.Tensor, "nonzero", every)
    monkeypatch.setattr(torch, "autocast", autocast)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*(CUDA is not available|data pointer of FakeTensor)")
        yield FakeTensorMode(allow_non_fake_inputs=True)


def moved(module: Any, mode: Any) -> Any:
    """As ``module.to(GPU)`` (``mode`` None: "meta"): parameters and buffers go there, and nothing else does."""

    def there(x: torch.Tensor) -> torch.Tensor:
        with mode or nullcontext():
            return mode.from_tensor(x.detach()).to(GPU) if mode else x.detach().to(META)

    for part in module.modules():
        for name, p in part._parameters.items():
            if p is not None:
                part._parameters[name] = torch.nn.Parameter(there(p), p.requires_grad)
        for name, b in part._buffers.items():
            if b is not None:
                part._buffers[name] = there(b)
    return module


def frames(*leading, device=GPU):
    return torch.zeros(*leading, 3, 3, tiny.SIZE, tiny.SIZE).to(device, non_blocking=True)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("method", [m.name for m in registry.METHODS.values() if m.trained])
@pytest.mark.parametrize("again", [False, True])
def test_a_training_step(method, again):
    """Forward, loss, backward and AdamW: all of it on the device, with activations computed again too."""
    model = moved(tiny.model(method), None).train()
    model.clip.visual.set_grad_checkpointing(again)
    logits = Logits(model, False, torch.device("cpu"), None)(frames(4, device=META))
    assert logits.device == META and logits.shape == (4, 3) and logits.dtype == torch.float32
    t2v, v2t = both_directions(logits, torch.tensor([0, 1, 2, 0], device=META))
    (t2v + v2t).backward()
    trained = [p for ps in model.groups().values() for p in ps]
    assert trained and all(p.grad is not None and p.grad.device == META for p in trained)
    adamw(model.groups(), tiny.profile().train).step()


@pytest.mark.parametrize("method", EVERY)
def test_an_evaluation(mode, method):
    """Views, other classes' texts, and a head on kept embeddings of a frozen tower."""
    model = moved(tiny.model(method, train_visual=False), mode).eval()
    other = moved(tiny.random_texts(), mode)
    with mode, torch.no_grad():
        for out in (
            model(frames(2)),
            model(frames(2, 2).flatten(0, 1)),
            model(frames(2), other),
            model.from_embeddings(torch.zeros(2, 3, tiny.D).to(GPU)),
        ):
            assert out.logits.device == GPU and out.logits.shape[1] == 3
            assert all(w is None or w.device == GPU for w in (out.coarse, out.fine))
        embedded = embed_frames(model.clip, frames(2))
    assert embedded.device == GPU and embedded.shape == (2, 3, tiny.D)


def test_texts_are_embedded_where_the_tower_is(mode):
    tower = moved(tiny.clip(), mode)
    with mode:
        found = embed_texts(tower, ["long jump", "yoga"], "all")
    assert {x.device for x in (found.cls, found.words, found.mask)} == {GPU}


def test_a_tensor_that_was_left_behind_is_seen(mode):
    """The test of the tests."""
    for fake, device in ((mode, GPU), (None, META)):
        model = moved(tiny.model("sfar"), fake)
        with fake or nullcontext(), pytest.raises(RuntimeError, match="device"):
            model.texts.cls = torch.zeros(3, tiny.D)
            model(frames(2, device=device))


# --- types -----------------------------------------------------------------------------------------------------------


def test_which_type_a_gpu_computes_in(monkeypatch):
    for has, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has: has)
        assert autocast_dtype("auto", GPU) == dtype
    assert autocast_dtype("fp32", GPU) is None


@pytest.mark.parametrize(("method", "views"), [(m, "1x1") for m in EVERY] + [("sfar", "4x3")])
def test_an_evaluation_in_bf16(method, views):
    """The tower computes in bf16, the head in single precision, and the scores are about the same."""
    model: Any = tiny.model(method).eval()
    seen: dict[str, set[torch.dtype]] = {"tower": set(), "head": set()}
    model.clip.visual.transformer.resblocks[0].mlp.c_fc.register_forward_hook(
        lambda _, inputs, output: seen["tower"].add(output.dtype)
    )
    model.head.register_forward_hook(
        lambda _, inputs, output: seen["head"].update((inputs[0].dtype, output.logits.dtype))
    )
    found = score(model, tiny.clips(5), 3, tiny.SIZE, views, dtype=torch.bfloat16)
    assert seen == {"tower": {torch.bfloat16}, "head": {torch.float32}}
    plain = score(model, tiny.clips(5), 3, tiny.SIZE, views)
    assert found.probabilities.dtype == plain.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, plain.probabilities, rtol=0, atol=0.05)
