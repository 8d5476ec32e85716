"""The visual tower over all frames of a video: as it stands it is CLIP's own."""

import small_systems
import torch

from sfar.model.clip import embed_frames
from sfar.model.tower import VideoTower


def test_the_tower_alone_is_clips_own():
    clip = small_systems.clip()
    x = small_systems.videos()
    seen = VideoTower(clip, small_systems.FRAMES)(x)
    want = embed_frames(clip, x)
    assert want.std() > 0.1 and torch.allclose(seen.frames, want, atol=1e-5)
    assert torch.allclose(seen.pooled @ clip.visual.proj, want, atol=1e-5) and seen.context is None
    assert seen.patches.shape == (2, small_systems.FRAMES, 16, 32)


def test_it_adds_no_parameters_and_trains_clips():
    clip = small_systems.clip()
    tower = VideoTower(clip, small_systems.FRAMES)
    assert not list(tower.parameters())
    tower(small_systems.videos()).frames.square().sum().backward()
    assert all(p.grad is not None for p in clip.visual.parameters())


def test_recomputed_blocks_give_the_same_gradients():
    grads = []
    for again in (False, True):
        clip = small_systems.clip()
        clip.visual.set_grad_checkpointing(again)
        VideoTower(clip, small_systems.FRAMES)(small_systems.videos()).frames.square().sum().backward()
        grads.append(clip.visual.conv1.weight.grad)
    assert torch.allclose(*grads, atol=1e-6)
