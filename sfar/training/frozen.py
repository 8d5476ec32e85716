"""Frame embeddings of a frozen visual tower, made once and kept: a sweep over heads then takes seconds a run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfar.config import Profile, as_dict
from sfar.data.source import ON_DEMAND
from sfar.data.store import VideoClips
from sfar.data.transforms import ClipAugment, center_crop, train_indices, val_indices
from sfar.data.video import reader_key
from sfar.errors import ConfigError
from sfar.model.clip import STORYBOARD, embed_frames, weights_id
from sfar.util import cache

BATCH = 16  # clips in one pass through the tower


def _number(clips: VideoClips, i: int) -> int:
    """What a clip's augmentation is drawn from, besides the version.

    Path and place in the video, not its place in the list, so that a few-shot list and the full list give the same
    embeddings.
    """
    return int.from_bytes(
        hashlib.sha256(f"{clips.paths[i]}\n{clips.first[i]}\n{clips.lengths[i]}".encode()).digest()[:8], "little"
    )


def _embedded(clip: CLIP, clips: VideoClips, profile: Profile, draws: int | None) -> Tensor:
    """Every clip through the tower: [draws, clips, L, d] of so many augmented versions, [clips, L, d] of the test view.

    A clip is read once for all its versions.
    """
    t, size = profile.train, profile.data.image_size
    device = clip.logit_scale.device
    clip.visual.eval()
    augment = ClipAugment(size, area=t.crop_area, flip=t.flip, gray=t.gray)

    def one(i: int) -> Tensor:
        if draws is None:
            return center_crop(clips.read(i, lambda n: val_indices(n, t.frames)), size)
        rngs = [np.random.default_rng([k, _number(clips, i)]) for k in range(draws)]
        versions = clips.read(i, lambda n: np.stack([train_indices(n, t.frames, rng) for rng in rngs]))
        seeds = [int(rng.integers(2**62)) for rng in rngs]
        return torch.stack([augment(v, torch.Generator().manual_seed(s)) for v, s in zip(versions, seeds, strict=True)])

    out = []
    with torch.inference_mode():
        for start in range(0, len(clips), BATCH):
            x = torch.stack([one(i) for i in range(start, min(start + BATCH, len(clips)))]).to(device)
            v = embed_frames(clip, x.flatten(0, -5)).float().cpu()
            out.append(v.unflatten(0, x.shape[:-4]))
    found = torch.cat(out)
    return found if draws is None else found.transpose(0, 1).contiguous()


def frame_embeddings(clip: CLIP, clips: VideoClips, profile: Profile, fingerprint: str, training: bool) -> Tensor:
    """Projected frame embeddings, not normalised.

    [train.frozen_draws, clips, L, d] for training, [clips, L, d] of the single view else. The augmented versions do not
    depend on a run's seed: all runs of a sweep share them. Raises ``VideoError`` for a video that cannot be decoded
    (small sets are decoded before, their bad videos left out), ``ConfigError`` for a tower without weights.
    """
    t, d = profile.train, profile.data
    if profile.model.clip != STORYBOARD and not profile.model.pretrained:
        raise ConfigError(
            "configuration key 'train.train_visual': a frozen tower needs weights; give model.pretrained or train it"
        )
    what = {
        "fingerprint": fingerprint,
        "clips": list(zip(clips.paths, clips.first, clips.lengths, strict=True)),
        "size": d.image_size,
        "frames": t.frames,
        "clip": weights_id(profile.model.clip, profile.model.pretrained),
        "augment": as_dict(t)["crop_area"] + [t.flip, t.gray] if training else None,
        "draws": t.frozen_draws if training else None,
    }
    if key := reader_key(d.reader):
        what["reader"] = key

    def build(folder: Path) -> None:
        found = _embedded(clip, clips, profile, t.frozen_draws if training else None)
        save_file({"frames": found}, folder / "frames.safetensors")

    return load_file(cache.folder("embeddings", cache.key("embeddings", what), build) / "frames.safetensors")["frames"]


def training_embeddings(
    clip: CLIP, clips: VideoClips, profile: Profile, fingerprint: str, whole: VideoClips | None = None
) -> Tensor:
    """Frame embeddings of the training ``clips`` by a frozen tower, [draws, clips, L, d] (``frame_embeddings``).

    ``whole``: the full list that a few-shot list was chosen from. Where that is small its embeddings are made, and the
    chosen ones taken out of them: all lists of a sweep then cost one pass.
    """
    if whole is None or len(whole) > ON_DEMAND:
        return frame_embeddings(clip, clips, profile, fingerprint, True)
    place = {c: i for i, c in enumerate(zip(whole.paths, whole.first, whole.lengths, strict=True))}
    chosen = [place[c] for c in zip(clips.paths, clips.first, clips.lengths, strict=True)]
    return frame_embeddings(clip, whole, profile, fingerprint, True)[:, chosen]
