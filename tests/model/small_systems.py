"""Systems on a tiny CLIP of two blocks, with the texts that they have in a run."""

import copy

import tiny
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sfar.model import registry
from sfar.model.clip import build
from sfar.model.video_model import VideoModel
from sfar.runs.run import method_texts
from sfar.training.train import seed_everything

CONFIG = copy.deepcopy(tiny.CONFIG)
CONFIG["vision_cfg"]["layers"] = 2
FRAMES = 3
OTHERS = {"pole vault": tiny.SUBTEXTS["long jump"][::-1], "mopping floor": tiny.SUBTEXTS["yoga"][::-1]}


def clip():
    torch.manual_seed(0)
    made = build(CONFIG).eval()
    with torch.no_grad():  # a fresh tower's blocks change next to nothing
        for p in (*made.visual.transformer.parameters(), *made.transformer.parameters()):
            p += 0.2 * torch.randn_like(p)
    return made


def model(method, seed=0, **train):
    """``train``: fields of the trainer's configuration."""
    p, own = tiny.profile(**({"frames": FRAMES} | train)), clip()
    seed_everything(seed)
    texts = method_texts(own, p, method, tiny.CLASSES, tiny.SUBTEXTS, own=True)
    return VideoModel(method, own, texts, p.model, True, p.train.train_text, FRAMES).eval()


def other_texts(of):
    """Plain texts of classes that the model was not made for."""
    return method_texts(of.clip, tiny.profile(), of.method, list(OTHERS), OTHERS)


def videos(n=2, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, FRAMES, 3, tiny.SIZE, tiny.SIZE, generator=g).to(dtype)


def full_size(method, classes=400, frames=8):
    """Added parameters at ViT-B/16, on torch's meta device: of its head and of its tower."""
    from sfar.config import ModelConfig
    from sfar.model.cost import skeleton

    of, cfg = registry.get(method), ModelConfig()
    skeletal = skeleton("ViT-B-16-quickgelu")
    with torch.device("meta"):
        head = of.build(512, 0.01, cfg, *([classes] if of.closed else []))
        tower = of.tower(skeletal, frames, cfg) if of.tower else torch.nn.Module()
    return skeletal, head, tower


def count(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def macs_of(run):
    """Multiply-accumulates of all matrix products and convolutions."""
    fast = torch.backends.mha.get_fastpath_enabled()  # one operator, which the counter does not know
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2
