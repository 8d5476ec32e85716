"""The committed CLIP of the storyboard world meets its targets on frames drawn with other seeds than its training."""

import json

import torch

from sfar.model.clip import WEIGHTS, load_clip, weights_hash
from sfar.training.pretrain import CONFIG, draw_pool, evaluate


def test_atomic_actions_on_unseen_seeds():
    images, labels = draw_pool(1500, seed=424242)
    found = evaluate(load_clip("storyboard"), images, labels)
    assert found["action_top1"] >= 85
    assert found["activity_frame_top1"] > 10  # it knows names of activities too: chance is 2 %


def test_weights_have_their_record():
    about = json.loads((WEIGHTS / "clip.json").read_text())
    record = about["record"]
    assert about["model"] == CONFIG
    assert record["sha256"] == weights_hash(WEIGHTS / "clip.safetensors")
    assert (WEIGHTS / "clip.safetensors").stat().st_size <= 16 * 2**20
    assert {"steps", "batch", "pool", "seed", "lr", "curve", "revision", "hardware", "torch"} <= set(record)
    assert record["curve"][-1]["step"] == record["steps"] and record["curve"][-1]["action_top1"] >= 85


def test_visual_tower_has_patch_tokens():
    model = load_clip("storyboard")
    out = model.visual.forward_intermediates(torch.zeros(2, 3, 64, 64), indices=1)
    assert out["image_intermediates"][0].shape == (2, 128, 4, 4)
