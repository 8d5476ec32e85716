"""What the parts are given and measured on: sizes, models with random weights, clips of noise, texts made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from sfar.config import ModelConfig
from sfar.model import clip
from sfar.model.texts import ClassTexts
from sfar.model.video_model import VideoModel

# 8 words: the mean of Kinetics-400's prompts and of their sub-texts.
BASE = {"videos": 64, "classes": 400, "frames": 8, "subtexts": 4, "words": 8}
QUICK_BASE = {"videos": 4, "classes": 6, "frames": 4, "subtexts": 2, "words": 4}
FRAMES = BASE["frames"]

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": 77, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    "quick_gelu": False,
}


@dataclass
class Bench:
    """What every part is given. ``folder``: the user's own videos; ``tick(text)``: called after each measurement."""

    quick: bool = False
    folder: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    tick: Callable[[str], None] = lambda _: None


def random_texts(
    classes: int,
    subtexts: int,
    words: int,
    d: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> ClassTexts:
    """Texts of made-up content for ``classes`` classes, of ``words`` words each on average, embeddings of width ``d``.

    Lengths lie between half and one and a half times ``words``. Where a text ends its vectors are zero and its mask
    False, as ``sfar.model.clip.embed_texts`` leaves them.
    """
    g = torch.Generator().manual_seed(seed)
    low, high = max(1, words // 2), words + words // 2
    lengths = torch.randint(low, high + 1, (classes, subtexts + 1), generator=g)
    mask = torch.arange(int(lengths.max()))[None, None] < lengths[..., None]
    x = torch.randn(*mask.shape, d, generator=g, dtype=dtype) * mask[..., None]
    cls = torch.randn(classes, d, generator=g, dtype=dtype)
    return ClassTexts(*(t.contiguous().to(device) for t in (cls, x[:, 0], mask[:, 0], x[:, 1:], mask[:, 1:])))


def vit_b16(quick: bool) -> dict[str, Any]:
    """The configuration of ViT-B/16 in open_clip, or (``quick``) a tiny one."""
    if quick:
        return TINY
    config = open_clip.get_model_config("ViT-B-16-quickgelu")
    assert config is not None, "open_clip has it"
    return config


def video_model(config: dict[str, Any], classes: int, device: torch.device) -> VideoModel:
    """SFAR with random weights on a CLIP of ``config``, visual tower trained too, texts made up."""
    torch.manual_seed(0)
    backbone = clip.build(config)
    texts = random_texts(classes, BASE["subtexts"], BASE["words"], config["embed_dim"])
    return VideoModel("sfar", backbone, texts, ModelConfig(), True).to(device)


def random_clips(config: dict[str, Any], videos: int, frames: int, device: torch.device) -> Tensor:
    """Frames [videos, frames, 3, size, size] of noise, at the size that ``config`` takes."""
    size = config["vision_cfg"]["image_size"]
    return torch.randn(videos, frames, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
