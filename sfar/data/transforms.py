"""Which frames of a video are looked at, and what is done to their pixels.

The protocol is BIKE's (datasets/video.py, datasets/transforms.py, utils/Augmentation.py). Indices are 0-based here;
BIKE's are 1-based file numbers. Clips go in as uint8 [T, H, W, 3] with the short side already at ``scale_size(size)``
(the video reader scales while decoding) and come out as normalised float32 [T, 3, size, size]. All randomness comes
from the generator that is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sfar.errors import ConfigError, DataError

# Of OpenAI's CLIP; RGB, on the scale 0 to 1.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# ITU-R 601 luma, what PIL's grey mode and so BIKE's GroupGrayscale uses.
_LUMA = (0.299, 0.587, 0.114)


# --- frames --------------------------------------------------------------------------------------------------------


def train_indices(n_frames: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """One random frame per segment: int64 [segments], 0-based, never descending.

    The bounds are i * (n_frames - 1) / segments rounded half to even, both inclusive, so that neighbouring segments
    share a frame (BIKE datasets/video.py, random_shift). Raises DataError for no frames, ConfigError for no segments.
    """
    _check(n_frames, segments)
    bounds = np.rint((n_frames - 1) / segments * np.arange(segments + 1)).astype(np.int64)
    return rng.integers(bounds[:-1], bounds[1:], endpoint=True)


def val_indices(n_frames: int, segments: int) -> np.ndarray:
    """The FIRST frame of each of ``segments`` equal parts, not its centre: int64 [segments], 0-based.

    A video with fewer frames than segments repeats frames. Raises as ``train_indices``.
    """
    return multi_clip_indices(n_frames, segments, 1)[0]


def multi_clip_indices(n_frames: int, segments: int, clips: int) -> np.ndarray:
    """``clips`` combs over the video, shifted against each other within one segment: int64 [clips, segments], 0-based.

    Clip 0 is ``val_indices``. The last comb starts one frame before the second segment, truncated to a whole frame.
    Raises as ``train_indices``; ConfigError for no clips.
    """
    _check(n_frames, segments)
    if clips < 1:
        raise ConfigError(f"a test needs at least 1 clip per video, got {clips}")
    tick = n_frames / segments
    starts = np.linspace(0, tick - 1, clips).astype(np.int64)
    return (starts[:, None] + tick * np.arange(segments)).astype(np.int64) % n_frames


def _check(n_frames: int, segments: int) -> None:
    if n_frames < 1:
        raise DataError(f"cannot choose frames from a video of {n_frames} frames: leave it out of the list")
    if segments < 1:
        raise ConfigError(f"a clip needs at least 1 segment (frame), got {segments}")


# --- pixels --------------------------------------------------------------------------------------------------------


def scale_size(size: int) -> int:
    """Short side, in pixels, to which a video is scaled before crops of ``size``: 256 for 224.

    BIKE keeps 8/7 for an input of 224 only and takes ``size`` itself otherwise. Here the ratio holds for every size, so
    that the small profile runs the same random crops as the paper's.
    """
    return round(size * 256 / 224)


@dataclass(frozen=True)
class ClipAugment:
    """Training augmentation: random sized crop, flip, grey, normalise; ONE draw per clip, shared by all its frames.

    ``size``: output pixels; ``area``: share of the frame the crop covers; ``aspect``: its width / height (turned
    about with probability 1/2); ``flip``, ``gray``: probabilities.
    (BIKE utils/Augmentation.py, datasets/transforms.py.)
    """

    size: int = 224
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    gray: float = 0.2

    def __call__(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 [T, H, W, 3] -> float32 [T, 3, size, size]. Raises ConfigError for any other input."""
        _check_frames(frames)
        clip = self._random_sized_crop(frames, generator)
        # Both are drawn whatever comes of them: the next clip's draws do not depend on this one's.
        flip, gray = (torch.rand(2, generator=generator) < torch.tensor([self.flip, self.gray])).tolist()
        if flip:
            clip = clip.flip(-1)
        clip = clip.float()
        if gray:
            clip = (clip * clip.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        return _normalise(clip)

    def _random_sized_crop(self, frames: Tensor, generator: torch.Generator) -> Tensor:
        height, width = frames.shape[1:3]
        for _ in range(10):
            share, ratio, turn = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
            pixels = height * width * _between(self.area, share)
            ratio = _between(self.aspect, ratio)
            w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
            if turn < 0.5:
                w, h = h, w
            if 1 <= w <= width and 1 <= h <= height:
                # Cut first: the pixels outside are never converted or scaled.
                return _resize(_random_crop(frames, h, w, generator), self.size, self.size)
        # No crop fitted (very long frames): the whole short side, a random place along the other.
        scale = self.size / min(height, width)
        scaled = _resize(_channels_first(frames), round(height * scale), round(width * scale))
        return _random_crop(scaled.permute(0, 2, 3, 1), self.size, self.size, generator)


def center_crop(frames: Tensor, size: int) -> Tensor:
    """uint8 [T, H, W, 3] -> normalised float32 [T, 3, size, size]: the middle. ConfigError if too small."""
    _check_frames(frames, size)
    height, width = frames.shape[1:3]
    return _normalise(_cut(frames, round((height - size) / 2), round((width - size) / 2), size, size))


def three_crops(frames: Tensor, size: int) -> Tensor:
    """uint8 [T, H, W, 3] -> normalised float32 [3, T, 3, size, size]: left, right and centre along the WIDTH.

    The middle of the height. ConfigError where they do not fit. The offsets are multiples of a quarter of the free
    width, rounded down, so "right" may stop up to 3 pixels short of the edge (BIKE datasets/transforms.py).
    """
    _check_frames(frames, size)
    height, width = frames.shape[1:3]
    x, y = (width - size) // 4, (height - size) // 4
    return torch.stack([_normalise(_cut(frames, 2 * y, step * x, size, size)) for step in (0, 4, 2)])


def _check_frames(frames: Tensor, size: int = 1) -> None:
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ConfigError(f"expected uint8 frames [T, H, W, 3], got {frames.dtype} {list(frames.shape)}")
    if min(frames.shape[1:3]) < size:
        raise ConfigError(
            f"cannot cut {size} pixels from frames of {frames.shape[2]}x{frames.shape[1]}: read the "
            f"video with short_side={scale_size(size)}"
        )


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _channels_first(frames: Tensor) -> Tensor:
    return frames.permute(0, 3, 1, 2)  # a view; in memory the channels stay last, which the resize is quickest on


def _cut(frames: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """[T, H, W, 3] -> [T, 3, height, width]."""
    return _channels_first(frames[:, top : top + height, left : left + width])


def _random_crop(frames: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    top = int(torch.randint(frames.shape[1] - height + 1, (), generator=generator))
    left = int(torch.randint(frames.shape[2] - width + 1, (), generator=generator))
    return _cut(frames, top, left, height, width)


def _resize(clip: Tensor, height: int, width: int) -> Tensor:
    """Bilinear on uint8 [T, 3, h, w]. PIL's bilinear, BIKE's, widens its support when it shrinks: so antialias."""
    if clip.shape[-2:] == (height, width):
        return clip
    return interpolate(clip, (height, width), mode="bilinear", antialias=True)


def _normalise(clip: Tensor) -> Tensor:
    """[T, 3, H, W] on the scale 0 to 255 -> contiguous float32, about mean 0 and deviation 1."""
    shift, scale = (torch.tensor(v).view(3, 1, 1) * 255 for v in (CLIP_MEAN, CLIP_STD))
    return ((clip.float() - shift) / scale).contiguous()
