"""Frame embeddings of a frozen visual tower, made once and kept: a sweep over heads then takes seconds a run.

They are made in parts, each kept as soon as it is whole: what was interrupted goes on behind the last one. Joined they
are one file, which is mapped: no set has to fit into memory.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from open_clip.model import CLIP
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sfar.config import Profile, as_dict
from sfar.data.store import VideoClips
from sfar.data.transforms import ClipAugment, center_crop, train_indices, val_indices
from sfar.data.video import reader_key
from sfar.errors import ConfigError, VideoError
from sfar.model.clip import STORYBOARD, embed_frames, weights_id
from sfar.util import cache, paths, processes

BATCH = 16  # clips in one pass through the tower
PART = 64 * BATCH  # clips of a file that an interrupted run finds again: a minute's work or two
WHOLE = 5000  # clips of a full list at most, all of which are embedded for the lists of few that are chosen from it


def _number(clips: VideoClips, i: int) -> int:
    """What a clip's augmentation is drawn from, besides the version.

    Path and place in the video, not its place in the list, so that a few-shot list and the full list give the same
    embeddings.
    """
    return int.from_bytes(
        hashlib.sha256(f"{clips.paths[i]}\n{clips.first[i]}\n{clips.lengths[i]}".encode()).digest()[:8], "little"
    )


class _Versions(Dataset):
    """Item i -> (i, all versions of clip i, "") or (i, None, why) for a video that cannot be decoded.

    Versions: float32 [draws, L, 3, size, size] of the augmented ones, [L, 3, size, size] of the test view (``draws``
    None). A clip is read once for all of them.
    """

    def __init__(self, clips: VideoClips, profile: Profile, draws: int | None):
        t = profile.train
        self.clips, self.frames, self.size, self.draws = clips, t.frames, profile.data.image_size, draws
        self.augment = ClipAugment(self.size, area=t.crop_area, flip=t.flip, gray=t.gray)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> tuple[int, Tensor | None, str]:
        try:
            return i, self._read(i), ""
        except VideoError as e:
            return i, None, str(e)

    def _read(self, i: int) -> Tensor:
        if self.draws is None:
            return center_crop(self.clips.read(i, lambda n: val_indices(n, self.frames)), self.size)
        rngs = [np.random.default_rng([k, _number(self.clips, i)]) for k in range(self.draws)]
        versions = self.clips.read(i, lambda n: np.stack([train_indices(n, self.frames, rng) for rng in rngs]))
        seeds = [int(rng.integers(2**62)) for rng in rngs]
        augmented = zip(versions, seeds, strict=True)
        return torch.stack([self.augment(v, torch.Generator().manual_seed(s)) for v, s in augmented])


def _embedded(clip: CLIP, data: _Versions, starts: list[int], workers: int) -> Iterator[tuple[int, Tensor, dict]]:
    """The parts that begin with the clips ``starts``, one after another: (start, embeddings, what was left out).

    Embeddings: float32 [clips, draws, L, d], or [clips, L, d] of the test view, of those that can be decoded; left out:
    number of the clip, as text like every key of JSON -> why.
    """
    device = clip.logit_scale.device
    clip.visual.eval()
    batches = [
        list(range(i, min(i + BATCH, start + PART, len(data))))
        for start in starts
        for i in range(start, min(start + PART, len(data)), BATCH)
    ]
    loader = DataLoader(
        data,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        collate_fn=list,
        generator=torch.Generator(),  # of its own: what a training draws does not depend on what was kept before
    )
    made: list[Tensor] = []
    bad: dict[str, str] = {}
    quiet = processes.inside() or len(data) <= PART
    bar = tqdm(loader, desc="embedding frames", unit="batch", leave=False, disable=quiet)
    for items, batch in zip(bar, batches, strict=True):
        bad |= {str(i): why for i, x, why in items if x is None}
        if good := [x for _, x, _ in items if x is not None]:
            x = torch.stack(good).to(device, non_blocking=True)
            with torch.inference_mode():
                made.append(embed_frames(clip, x.flatten(0, -5)).float().cpu().unflatten(0, x.shape[:-4]))
        if batch[-1] + 1 == len(data) or (batch[-1] + 1) % PART == 0:
            yield batch[-1] // PART * PART, torch.cat(made) if made else torch.empty(0), bad
            made, bad = [], {}


def _join(files: list[Path], folder: Path) -> None:
    """The parts behind one another in ``frames.npy``, what was left out in ``bad.json``; a part in memory at a time."""
    bad: dict[str, str] = {}
    shapes = []
    for file in files:
        with safe_open(file, "pt") as part:
            bad |= json.loads(part.metadata()["bad"])
            shapes.append(part.get_slice("frames").get_shape())
    rows = sum(shape[0] for shape in shapes)
    each = next((shape[1:] for shape in shapes if shape[0]), [0, 0])
    with open(folder / "frames.npy", "wb") as f:
        about = {"descr": "<f4", "fortran_order": False, "shape": (rows, *each)}
        np.lib.format.write_array_header_1_0(f, about)
        for file in files:
            with safe_open(file, "pt") as part:
                f.write(part.get_tensor("frames").numpy().tobytes())
    (folder / "bad.json").write_text(json.dumps(bad), encoding="utf-8")


def frame_embeddings(
    clip: CLIP, clips: VideoClips, profile: Profile, fingerprint: str, training: bool, workers: int = 0
) -> Tensor:
    """Projected frame embeddings, not normalised.

    [train.frozen_draws, clips, L, d] for training, [clips, L, d] of the single view else, mapped from the disk. The
    augmented versions do not depend on a run's seed: all runs of a sweep share them. Videos that cannot be decoded are
    taken out of ``clips``, and named in ``clips.bad`` (``VideoClips.leave_out``). ``workers``: processes that read
    videos; the result does not depend on them. Raises ``DataError`` for too many bad videos (``data.max_bad_share``),
    ``ConfigError`` for a tower without weights, ``SfarError`` where the disk has no room for them.
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
    k = cache.key("embeddings", what)
    parts = paths.cache() / "embeddings" / f"{k}.parts"

    def build(folder: Path) -> None:
        files = {start: parts / f"{start:07}.safetensors" for start in range(0, len(clips), PART)}
        todo = [start for start, file in files.items() if not file.is_file()]
        draws = t.frozen_draws if training else None
        data = _Versions(clips, profile, draws)
        each = 4.0 * (draws or 1) * t.frames * cast(int, clip.visual.output_dim)  # bytes of a clip
        rest = sum(min(PART, len(clips) - start) for start in todo) + len(clips)  # parts, and all joined
        paths.check_space(folder, each * rest, f"frame embeddings of {len(clips):,} clips")
        for start, frames, bad in _embedded(clip, data, todo, workers):
            paths.write_atomic(files[start], save({"frames": frames}, {"bad": json.dumps(bad)}))
        _join(list(files.values()), folder)

    folder = cache.folder("embeddings", k, build)
    shutil.rmtree(parts, ignore_errors=True)
    if bad := json.loads((folder / "bad.json").read_text(encoding="utf-8")):
        clips.leave_out({int(i): why for i, why in bad.items()}, d.max_bad_share)
    # Mapped; "c": what is written to it, by nobody, would stay in memory.
    frames = torch.from_numpy(np.load(folder / "frames.npy", mmap_mode="c"))
    return frames.transpose(0, 1) if training else frames


def training_embeddings(
    clip: CLIP,
    clips: VideoClips,
    profile: Profile,
    fingerprint: str,
    whole: VideoClips | None = None,
    workers: int = 0,
) -> Tensor:
    """Frame embeddings of the training ``clips`` by a frozen tower, [draws, clips, L, d] (``frame_embeddings``).

    ``whole``: the full list that a few-shot list was chosen from. Where that is small its embeddings are made, and the
    chosen ones taken out of them: all lists of a sweep then cost one pass.
    """
    if whole is None or len(whole) > WHOLE:
        return frame_embeddings(clip, clips, profile, fingerprint, True, workers)
    listed = list(zip(whole.paths, whole.first, whole.lengths, strict=True))
    embedded = frame_embeddings(clip, whole, profile, fingerprint, True, workers)
    place = {c: i for i, c in enumerate(zip(whole.paths, whole.first, whole.lengths, strict=True))}
    chosen = list(zip(clips.paths, clips.first, clips.lengths, strict=True))
    if len(place) < len(set(listed)) and (lost := {i: whole.bad[c[0]] for i, c in enumerate(chosen) if c not in place}):
        clips.leave_out(lost, profile.data.max_bad_share)
    return embedded[:, [place[c] for c in chosen if c in place]]
