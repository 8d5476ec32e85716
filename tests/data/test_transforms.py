"""Frame sampling against the protocol's golden values, and the clip augmentation."""

import numpy as np
import pytest
import torch
from PIL import Image

from sfar.data.transforms import (
    CLIP_MEAN,
    CLIP_STD,
    ClipAugment,
    center_crop,
    multi_clip_indices,
    scale_size,
    three_crops,
    train_indices,
    val_indices,
)
from sfar.errors import ConfigError, DataError

# BIKE's ranges for 300 frames and 8 segments, in its 1-based file numbers.
RANGES_300 = [(1, 38), (38, 76), (76, 113), (113, 151), (151, 188), (188, 225), (225, 263), (263, 300)]


def denormalise(clip):
    return (clip * torch.tensor(CLIP_STD).view(3, 1, 1) + torch.tensor(CLIP_MEAN).view(3, 1, 1)) * 255


def gradient(frames=1, height=40, width=60):
    """Red = column, green = row, blue = frame."""
    clip = torch.zeros(frames, height, width, 3, dtype=torch.uint8)
    clip[..., 0] = torch.arange(width)
    clip[..., 1] = torch.arange(height)[:, None]
    clip[..., 2] = torch.arange(frames)[:, None, None]
    return clip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- frames ---


def test_train_ranges_are_inclusive_at_both_ends():
    draws = np.stack([train_indices(300, 8, np.random.default_rng(seed)) for seed in range(2000)])
    assert list(zip((draws.min(0) + 1).tolist(), (draws.max(0) + 1).tolist(), strict=True)) == RANGES_300


def test_train_bounds_round_half_to_even():
    # (n - 1) / segments = 2.5: bounds 0, 2.5 -> 2, 5, 7.5 -> 8, 10
    draws = np.stack([train_indices(11, 4, np.random.default_rng(seed)) for seed in range(500)])
    assert draws.min(0).tolist() == [0, 2, 5, 8] and draws.max(0).tolist() == [2, 5, 8, 10]


def test_train_indices_repeat_with_the_seed():
    a, b, c = (train_indices(250, 8, np.random.default_rng(s)) for s in (3, 3, 4))
    assert a.tolist() == b.tolist() != c.tolist()
    assert (np.diff(a) >= 0).all()


def test_val_takes_the_first_frame_of_each_segment():
    assert (val_indices(300, 8) + 1).tolist() == [1, 38, 76, 113, 151, 188, 226, 263]


def test_multi_clip_starts():
    clips = multi_clip_indices(300, 8, 4)
    assert clips.shape == (4, 8)
    assert clips[:, 0].tolist() == [0, 12, 24, 36]
    assert clips[0].tolist() == val_indices(300, 8).tolist()
    assert clips[3].tolist() == [int(36 + 37.5 * x) for x in range(8)]


@pytest.mark.parametrize("n_frames", [1, 2, 7, 8, 9])
def test_videos_shorter_than_the_clip(n_frames):
    for indices in (
        train_indices(n_frames, 8, np.random.default_rng(0)),
        val_indices(n_frames, 8),
        *multi_clip_indices(n_frames, 8, 4),
    ):
        assert indices.shape == (8,) and indices.min() >= 0 and indices.max() < n_frames
    assert val_indices(n_frames, 8).tolist() == [int(n_frames / 8 * x) for x in range(8)]


def test_sampling_errors():
    for call in (lambda n, t: train_indices(n, t, np.random.default_rng(0)), val_indices):
        with pytest.raises(DataError, match="0 frames"):
            call(0, 8)
        with pytest.raises(ConfigError, match="segment"):
            call(10, 0)
    with pytest.raises(ConfigError, match="clip"):
        multi_clip_indices(10, 8, 0)


# --- pixels ---


def test_scale_size_keeps_the_papers_ratio():
    assert [scale_size(s) for s in (224, 112, 64)] == [256, 128, 73]


def test_center_crop_and_normalisation():
    frames = gradient(2, 40, 60)
    out = center_crop(frames, 32)
    assert out.shape == (2, 3, 32, 32) and out.dtype == torch.float32 and out.is_contiguous()
    expected = frames[:, 4:36, 14:46].permute(0, 3, 1, 2)
    assert torch.allclose(denormalise(out), expected.float(), atol=1e-3)
    white = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    assert torch.allclose(center_crop(white, 8)[0, :, 0, 0], (1 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD))


def test_three_crops_stand_at_quarter_steps():
    out = three_crops(gradient(2, 39, 62), 32)  # 30 columns free: a step is 7; 7 rows free: a step is 1
    assert out.shape == (3, 2, 3, 32, 32)
    corner = denormalise(out)[:, 0, :2, 0, 0].round().int().tolist()
    assert corner == [[0, 2], [28, 2], [14, 2]]


def test_crops_that_do_not_fit():
    for crop in (center_crop, three_crops):
        with pytest.raises(ConfigError, match="short_side=37"):
            crop(gradient(1, 31, 60), 32)
        with pytest.raises(ConfigError, match="uint8"):
            crop(gradient().float(), 32)
    with pytest.raises(ConfigError, match="uint8"):
        ClipAugment(32)(gradient()[0], seeded())


def test_augment_repeats_with_the_generator_only():
    augment, frames = ClipAugment(32), gradient(3)
    torch.manual_seed(0)
    first = augment(frames, seeded(5))
    torch.manual_seed(1)
    assert torch.equal(first, augment(frames, seeded(5)))
    assert not torch.equal(first, augment(frames, seeded(6)))
    assert first.shape == (3, 3, 32, 32) and first.dtype == torch.float32 and first.is_contiguous()


def test_augment_draws_once_per_clip():
    frames = gradient(1).expand(4, -1, -1, -1)
    generator = seeded()
    for _ in range(20):
        out = ClipAugment(32)(frames, generator)
        assert torch.equal(out, out[:1].expand_as(out))


def test_flip_and_gray_probabilities():
    augment, generator, frames = ClipAugment(16), seeded(1), gradient(1, 60, 60)
    flipped = gray = 0
    for _ in range(400):
        clip = denormalise(augment(frames, generator))[0]
        is_gray = torch.allclose(clip[0], clip[1], atol=1e-2) and torch.allclose(clip[0], clip[2], atol=1e-2)
        gray += is_gray
        flipped += bool(clip[0, 0, 0] > clip[0, 0, -1])  # red (or grey) grows with the column
    assert 160 < flipped < 240 and 50 < gray < 110


def test_augment_grey_is_luma():
    frames = torch.tensor([200, 100, 50], dtype=torch.uint8).expand(1, 20, 20, 3)
    out = denormalise(ClipAugment(16, gray=1.0)(frames, seeded()))
    assert torch.allclose(out, torch.full_like(out, 0.299 * 200 + 0.587 * 100 + 0.114 * 50), atol=1e-2)


def test_crops_cover_the_stated_area_and_stay_inside():
    augment, generator, frames = ClipAugment(64, flip=0, gray=0), seeded(2), gradient(1, 100, 150)
    shares, ratios = [], []
    for _ in range(300):
        clip = denormalise(augment(frames, generator))[0]
        width, height = (float(clip[c].max() - clip[c].min()) + 1 for c in (0, 1))
        shares.append(width * height / (100 * 150))
        ratios.append(width / height)
    assert 0.06 < min(shares) < 0.2 and 0.8 < max(shares) <= 1.01
    # Turned crops are narrower than tall; 10 % is lost at the edges where the resize blends pixels.
    assert 0.7 < min(ratios) < 0.85 and 1.2 < max(ratios) < 1.45


def test_crop_resize_matches_pil():
    # A crop of the whole frame: the only thing left is the resize.
    noise = torch.randint(256, (1, 40, 40, 3), generator=seeded(), dtype=torch.uint8)
    out = denormalise(ClipAugment(24, area=(1, 1), aspect=(1, 1), flip=0, gray=0)(noise, seeded()))[0]
    reference = np.asarray(Image.fromarray(noise[0].numpy()).resize((24, 24), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(out.permute(1, 2, 0).numpy() - reference).max() <= 1.01


def test_fallback_when_no_crop_fits():
    frames = gradient(2, 20, 200)  # ten times as wide as high: no crop of the whole area has aspect 1
    out = ClipAugment(16, area=(1, 1), aspect=(1, 1), gray=0)(frames, seeded())
    assert out.shape == (2, 3, 16, 16)
    green = denormalise(out)[0, 1]
    assert green[0].mean() < 2 and green[-1].mean() > 17  # the whole height is in it
