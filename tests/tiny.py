"""What the tests of the model, the trainer and the evaluation share: a tiny CLIP and drawn clips."""

import copy
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sfar.config import ModelConfig, get_profile
from sfar.data.transforms import scale_size
from sfar.model.clip import build
from sfar.model.texts import ClassTexts, class_texts
from sfar.model.video_model import VideoModel
from sfar.training.train import seed_everything

SIZE = 32
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": SIZE, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    "quick_gelu": False,
}
CLASSES = ["long jump", "juggling balls", "yoga"]
SUBTEXTS = {
    "long jump": ["running down the track", "taking off", "landing in the sand", "standing up"],
    "juggling balls": ["throwing a ball", "catching", "watching the balls in the air", "stopping"],
    "yoga": ["stretching", "bending forward slowly", "breathing", "lying down on a mat and resting"],
}
MODEL = ModelConfig(attention_heads=2, temporal_layers=1)


@lru_cache(maxsize=1)
def _clip():
    torch.manual_seed(0)
    return build(CONFIG).eval()


def clip():
    """A fresh copy of one randomly initialised CLIP: 32 pixels, embeddings of width 16."""
    return copy.deepcopy(_clip())


@lru_cache(maxsize=4)
def _texts(cfg):
    return class_texts(_clip(), CLASSES, SUBTEXTS, cfg)


def model(method="sfar", seed=0, cfg=MODEL, train_visual=True):
    """A video model on the tiny CLIP with head weights from ``seed``."""
    parts = clip(), copy.deepcopy(_texts(cfg))  # before the seed: the first call of all draws the CLIP's weights
    seed_everything(seed)
    return VideoModel(method, *parts, cfg, train_visual)


def replaced(texts, **tensors):
    """The same texts but for some tensors."""
    return ClassTexts(**(dict(texts.named_buffers()) | tensors))


B, C, N, W, L, D = 2, 3, 4, 5, 6, CONFIG["embed_dim"]  # videos, classes, sub-texts, words, frames, width


def random_texts(seed=0):
    """Texts of C classes, N sub-texts each, all of one to W words: normal numbers, padding of zeros."""
    g = torch.Generator().manual_seed(seed)
    mask = torch.arange(W) < torch.randint(1, W + 1, (C, 1), generator=g)
    sub_mask = torch.arange(W) < torch.randint(1, W + 1, (C, N, 1), generator=g)
    cls, words = torch.randn(C, D, generator=g), torch.randn(C, W, D, generator=g)
    sub_words = torch.randn(C, N, W, D, generator=g)
    return ClassTexts(cls, words * mask[..., None], mask, sub_words * sub_mask[..., None], sub_mask)


def random_frames(seed=1):
    """Frame embeddings [B, L, D] of normal numbers."""
    return torch.randn(B, L, D, generator=torch.Generator().manual_seed(seed))


def profile(**train):
    """The storyboard profile at the tiny CLIP's size; keywords are fields of ``train``."""
    keys = {"frames": 3, "batch": 4, "epochs": 2} | train
    return get_profile("storyboard", {"data.image_size": SIZE, **{f"train.{k}": v for k, v in keys.items()}})


@dataclass
class Clips:
    """Clips in memory with the interface of ``sfar.data.store.VideoClips`` that the trainer and the evaluation use."""

    pixels: list[np.ndarray]
    labels: list[int]
    manifest = SimpleNamespace(multi_label=False)  # of the class, no field
    paths: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def lengths(self):
        return [len(p) for p in self.pixels]

    def __len__(self):
        return len(self.pixels)

    def read(self, i, sampler):
        return torch.from_numpy(self.pixels[i][np.asarray(sampler(len(self.pixels[i])))])


def clips(n, seed=0) -> Any:
    """``n`` noisy clips of different lengths and widths; class 0 has lying stripes, 1 standing ones, 2 none."""
    rng = np.random.default_rng(seed)
    out = Clips([], [])
    short = scale_size(SIZE)
    for i in range(n):
        frames, width, label = int(rng.integers(5, 14)), short + int(rng.integers(0, 16)), i % len(CLASSES)
        x = rng.normal(128, 8, (frames, short, width, 3))
        place = np.arange(short)[:, None] if label == 0 else np.arange(width)[None]
        if label < 2:
            x += 90 * np.sign(np.sin(np.pi * (place + rng.integers(8)) / 4))[None, :, :, None]
        out.pixels.append(np.clip(x, 0, 255).astype(np.uint8))
        out.labels.append(label)
        out.paths.append(f"clip{i}.mp4")
    return out
