"""Frame embeddings of a frozen visual tower, made once and kept: a sweep over heads then takes seconds a run.

They are made in parts, each kept as soon as it is whole: what was interrupted goes on behind the last one. Joined they
are one file, which is mapped: no set has to fit into memory. A video that was left out for the moment alone, as it was
too slow, is tried again by the next command and put into its place among the others.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from bisect import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from open_clip.model import CLIP
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from sfar.config import Profile, as_dict
from sfar.data.store import VideoClips
from sfar.data.transforms import ClipAugment, center_crop, train_indices, val_indices
from sfar.data.video import reader_key
from sfar.errors import PASSING, ConfigError, VideoError
from sfar.model.clip import STORYBOARD, embed_frames, weights_id
from sfar.util import cache, paths, processes

FRAMES, BAD = "frames.npy", "bad.json"  # what is kept of a set
BATCH = 16  # clips in one pass through the tower
PART = 64 * BATCH  # clips of a file that an interrupted run finds again: a minute's work or two
WHOLE = 5000  # clips of a full list at most, all of which are embedded for the lists of few that are chosen from it


_looked: set[str] = set()  # keys of what this process has embedded, or tried again, itself


def _number(clips: VideoClips, i: int) -> int:
    """What a clip's augmentation is drawn from, besides the version.

    Path and place in the video, not its place in the list, so that a few-shot list and the full list give the same
    embeddings.
    """
    return int.from_bytes(
        hashlib.sha256(f"{clips.paths[i]}\n{clips.first[i]}\n{clips.lengths[i]}".encode()).digest()[:8], "little"
    )


Bad = dict[
    str, list[str]
]  # number of a clip, as text like every key of JSON -> why it was left out, ``VideoError.kind``


class _Versions(Dataset):
    """Item i -> (i, all versions of clip i, []) or (i, None, [why, kind]) for a video that cannot be decoded.

    Versions: float32 [draws, L, 3, size, size] of the augmented ones, [L, 3, size, size] of the test view (``draws``
    None). A clip is read once for all of them.
    """

    def __init__(self, clips: VideoClips, profile: Profile, draws: int | None):
        t = profile.train
        self.clips, self.frames, self.size, self.draws = clips, t.frames, profile.data.image_size, draws
        self.augment = ClipAugment(self.size, area=t.crop_area, flip=t.flip, gray=t.gray)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> tuple[int, Tensor | None, list[str]]:
        try:
            return i, self._read(i), []
        except VideoError as e:
            return i, None, [str(e), e.kind]

    def _read(self, i: int) -> Tensor:
        if self.draws is None:
            return center_crop(self.clips.read(i, lambda n: val_indices(n, self.frames)), self.size)
        rngs = [np.random.default_rng([k, _number(self.clips, i)]) for k in range(self.draws)]
        versions = self.clips.read(i, lambda n: np.stack([train_indices(n, self.frames, rng) for rng in rngs]))
        seeds = [int(rng.integers(2**62)) for rng in rngs]
        augmented = zip(versions, seeds, strict=True)
        return torch.stack([self.augment(v, torch.Generator().manual_seed(s)) for v, s in augmented])


def _embedded(
    clip: CLIP, data: _Versions | Subset, starts: Sequence[int], workers: int
) -> Iterator[tuple[int, Tensor, Bad]]:
    """The parts that begin with the items ``starts``, one after another: (start, embeddings, what was left out).

    Embeddings: float32 [clips, draws, L, d], or [clips, L, d] of the test view, of those that can be decoded.
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
    bad: Bad = {}
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
    bad: Bad = {}
    shapes = []
    for file in files:
        with safe_open(file, "pt") as part:
            bad |= json.loads(part.metadata()["bad"])
            shapes.append(part.get_slice("frames").get_shape())
    rows = sum(shape[0] for shape in shapes)
    each = next((shape[1:] for shape in shapes if shape[0]), [0, 0])
    with open(folder / FRAMES, "wb") as f:
        _header(f, rows, each)
        for file in files:
            with safe_open(file, "pt") as part:
                f.write(part.get_tensor("frames").numpy().tobytes())
    (folder / BAD).write_text(json.dumps(bad), encoding="utf-8")


def _header(f: BinaryIO, rows: int, each: Sequence[int]) -> None:
    np.lib.format.write_array_header_1_0(f, {"descr": "<f4", "fortran_order": False, "shape": (rows, *each)})


def _left_out(folder: Path) -> Bad:
    return json.loads((folder / BAD).read_text(encoding="utf-8"))


def _try_again(folder: Path, clip: CLIP, data: _Versions, workers: int) -> None:
    """Embed what an earlier command left out for the moment; ``folder`` is replaced where some can be read now."""
    before = _left_out(folder)
    again = sorted(int(i) for i, (_, kind) in before.items() if kind in PASSING)
    parts = list(_embedded(clip, Subset(data, again), range(0, len(again), PART), workers))
    still = {i: why for _, _, bad in parts for i, why in bad.items()}
    found = [i for i in again if str(i) not in still]
    if not found:
        return
    new = torch.cat([frames for _, frames, _ in parts if len(frames)]).numpy()
    old = np.load(folder / FRAMES, mmap_mode="r")
    have = [i for i in range(len(data)) if str(i) not in before]  # of its rows
    paths.check_space(folder.parent, old.nbytes + new.nbytes, f"frame embeddings of {len(have) + len(found):,} clips")

    def build(into: Path) -> None:
        with open(into / FRAMES, "wb") as f:
            _header(f, len(have) + len(found), new.shape[1:])
            start = 0
            for i, row in zip(found, new, strict=True):
                end = bisect(have, i)
                f.write(old[start:end].data)
                f.write(row.data)
                start = end
            f.write(old[start:].data)
        left = {i: why for i, why in before.items() if int(i) not in found} | still
        (into / BAD).write_text(json.dumps(left), encoding="utf-8")

    cache.replace(folder, build)


def frame_embeddings(
    clip: CLIP, clips: VideoClips, profile: Profile, fingerprint: str, training: bool, workers: int = 0
) -> Tensor:
    """Projected frame embeddings, not normalised.

    [train.frozen_draws, clips, L, d] for training, [clips, L, d] of the single view else, mapped from the disk. The
    augmented versions do not depend on a run's seed: all runs of a sweep share them. Videos that cannot be decoded are
    taken out of ``clips``, and named in ``clips.bad`` (``VideoClips.leave_out``); those that were too slow are tried
    again by the next command, by the first of its processes. ``workers``: processes that read
    videos; the result does not depend on them. Raises ``DataError`` for too many bad videos (``data.max_bad_share``),
    ``ConfigError`` for a tower without weights, ``SfarError`` where the disk has no room for them.
    """
    t, d = profile.train, profile.data
    if profile.model.clip != STORYBOARD and not profile.model.pretrained:
        raise ConfigError(
            "configuration key 'train.train_visual': a frozen tower needs weights; give model.pretrained or train it"
        )
    draws = t.frozen_draws if training else None
    what = {
        "fingerprint": fingerprint,
        "clips": list(zip(clips.paths, clips.first, clips.lengths, strict=True)),
        "size": d.image_size,
        "frames": t.frames,
        "clip": weights_id(profile.model.clip, profile.model.pretrained),
        "augment": as_dict(t)["crop_area"] + [t.flip, t.gray] if training else None,
        "draws": draws,
    }
    if key := reader_key(d.reader):
        what["reader"] = key
    k = cache.key("embeddings", what)
    parts = paths.cache() / "embeddings" / f"{k}.parts"
    data = _Versions(clips, profile, draws)

    def build(folder: Path) -> None:
        files = {start: parts / f"{start:07}.safetensors" for start in range(0, len(clips), PART)}
        todo = [start for start, file in files.items() if not file.is_file()]
        if len(todo) == len(files):  # nothing of it is an earlier command's
            _looked.add(k)
        each = 4.0 * (draws or 1) * t.frames * cast(int, clip.visual.output_dim)  # bytes of a clip
        rest = sum(min(PART, len(clips) - start) for start in todo) + len(clips)  # parts, and all joined
        paths.check_space(folder, each * rest, f"frame embeddings of {len(clips):,} clips")
        for start, frames, bad in _embedded(clip, data, todo, workers):
            paths.write_atomic(files[start], save({"frames": frames}, {"bad": json.dumps(bad)}))
        _join(list(files.values()), folder)

    folder = cache.folder("embeddings", k, build)
    shutil.rmtree(parts, ignore_errors=True)
    # Processes that work on one list have to find the same clips: the first one has tried before the others start.
    if k not in _looked and not processes.launched() and not processes.inside():
        _looked.add(k)
        _try_again(folder, clip, data, workers)
    if bad := _left_out(folder):
        clips.leave_out({int(i): why for i, (why, _) in bad.items()}, d.max_bad_share)
    # Mapped; "c": what is written to it, by nobody, would stay in memory.
    frames = torch.from_numpy(np.load(folder / FRAMES, mmap_mode="c"))
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
