"""A known sample of the drawn world as it is read, which stands for the code of the readers in its records' inputs.

Lists, frames and weights of the drawn world are read by the code that reads everybody's files, and that code is mended
when somebody's file turns out different. No number of a record moves by that as long as the drawn world is read as it
was, which ``sample`` shows: the names in its lists, few-shot choices, frames of some videos, and what the bundled CLIP
makes of these, also through the augmented views that a head on a frozen tower is trained on. It is committed as
``known.npz``, held by a test, and an input of every record of the drawn world (``studies.core.record.inputs``) in the
place of the code. A change that does alter what is read fails that test; ``python -m sfar.runs.known`` then writes the
file anew, and all records are stale.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfar.config import DRAWN, by_dataset, changed, digest, get_profile
from sfar.data.fewshot import content
from sfar.data.source import dataset, epoch_repeats, few_shot_manifest, load_clips, training_profile
from sfar.data.transforms import center_crop, val_indices
from sfar.model.clip import embed_frames, embed_texts, load_clip
from sfar.training.frozen import frame_embeddings
from sfar.util import paths

FILE = Path(__file__).with_suffix(".npz")
FRAMES = 4  # of a video
VIDEOS = 4  # between two that are kept of those that were embedded
APART = 4  # pixels between those that are kept, along both sides


def sample() -> dict[str, Any]:
    """What is read of the drawn world's four sets, arrays by name.

    ``NAME/lists``: hashes of the lists of all splits, of the choice of one and two videos a class (not of Charades),
    with the passes through them, and of the second replicate's training videos' seed; ``NAME/frames``: uint8
    [6, FRAMES, H / APART, W / APART, 3] of the first, middle and last video of training and validation;
    ``NAME/embeddings``: these frames by the bundled CLIP, float32 [6, FRAMES, d]; ``NAME/words``: the words of the
    first class's name, float32 [W, d]; ``NAME/views``: training clips, every ``VIDEOS``th of one of each class (not of
    Charades), as a frozen tower embeds them, the test view and then the augmented ones, float32
    [1 + draws, clips, L, d]. The sets are drawn, or found in the cache.
    """
    clip = load_clip("storyboard").eval()
    out: dict[str, Any] = {}
    for name in DRAWN:
        profile = get_profile("storyboard", by_dataset("storyboard", name))
        data = dataset(profile)
        splits = ("train", "val", *(("all",) if data.layout in ("ucf101", "hmdb51") else ()))
        lists: list[Any] = [content(data.manifest(split)) for split in splits]
        if not data.manifest("train").multi_label:
            for shots in (1, 2):
                few = dataclasses.replace(profile, data=dataclasses.replace(profile.data, shots=shots))
                chosen = few_shot_manifest(few, data)
                lists.append([content(chosen), epoch_repeats(few, data, len(chosen.clips))])
        again = dataclasses.replace(profile, data=dataclasses.replace(profile.data, replicate=1))
        seed = training_profile(again).data.seed
        out[f"{name}/lists"] = np.array([digest(part) for part in [list(data.classes), *lists, seed]])
        videos = []
        for split in ("train", "val"):
            clips = load_clips(profile, data, split)
            videos += [clips.read(i, lambda n: val_indices(n, FRAMES)) for i in (0, len(clips) // 2, len(clips) - 1)]
        frames = torch.stack([center_crop(v, profile.data.image_size) for v in videos])
        kept = torch.stack(videos)[:, :, ::APART, ::APART]
        out[f"{name}/frames"] = kept.numpy()
        if not data.manifest("train").multi_label:
            few = changed(profile, {"data.shots": 1, "train.train_visual": False})
            clips = load_clips(few, data, "train")
            views = [frame_embeddings(clip, clips, few, data.fingerprint, training) for training in (False, True)]
            out[f"{name}/views"] = torch.cat([views[0][None], views[1]])[:, ::VIDEOS].numpy()
        with torch.inference_mode():
            out[f"{name}/embeddings"] = embed_frames(clip, frames).float().numpy()
            out[f"{name}/words"] = embed_texts(clip, [data.classes[0]]).words[0].float().numpy()
    return out


def known() -> dict[str, np.ndarray]:
    """The committed sample."""
    with np.load(FILE) as file:
        return dict(file)


def write() -> None:
    """Write the sample as it is read now to ``FILE``, whole or not at all."""
    held = io.BytesIO()
    np.savez_compressed(held, **sample())
    paths.write_atomic(FILE, held.getvalue())


if __name__ == "__main__":
    write()
