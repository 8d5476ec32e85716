"""Evaluation: what a model says of each video, from one view or several (protocol: BIKE test.py, datasets/video.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sfar.data.store import VideoClips, check_bad
from sfar.data.transforms import center_crop, multi_clip_indices, three_crops, val_indices
from sfar.errors import VideoError
from sfar.model.texts import ClassTexts, Prompts
from sfar.model.video_model import VideoModel
from sfar.training.process_group import SINGLE_PROCESS, SingleProcess

VIEWS = {"1x1": (1, 1), "4x3": (4, 3)}  # temporal clips x spatial crops


@dataclass
class Scores:
    """What a model says of each video that could be read.

    Class probabilities [V, C], labels [V], numbers of the clips [V], and for the single view the sampled frame indices
    [V, L] with coarse and fine importance of the true class [V, L] (None where the method has none, and for videos of
    many labels).
    """

    probabilities: np.ndarray
    labels: np.ndarray
    clips: np.ndarray
    indices: np.ndarray | None = None
    coarse: np.ndarray | None = None
    fine: np.ndarray | None = None


def _views(clips: VideoClips, i: int, frames: int, size: int, views: str) -> Tensor:
    """All views of clip ``i``: [views, L, 3, size, size]."""
    n_clips, n_crops = VIEWS[views]
    if views == "1x1":
        return center_crop(clips.read(i, lambda n: val_indices(n, frames)), size)[None]
    raw = clips.read(i, lambda n: multi_clip_indices(n, frames, n_clips))
    return (
        torch.cat([three_crops(r, size) for r in raw])
        if n_crops == 3
        else torch.stack([center_crop(r, size) for r in raw])
    )


class _Inputs(Dataset):
    """Item i -> (i, its views, ""), or (i, None, the reason) for a video that cannot be decoded."""

    def __init__(self, clips: VideoClips, frames: int, size: int, views: str, embedded: Tensor | None):
        self.clips, self.frames, self.size, self.views, self.embedded = clips, frames, size, views, embedded

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> tuple[int, Tensor | None, str]:
        if self.embedded is not None:
            return i, self.embedded[i], ""
        try:
            return i, _views(self.clips, i, self.frames, self.size, self.views), ""
        except VideoError as e:
            return i, None, str(e)


@torch.inference_mode()
def score(
    model: VideoModel,
    clips: VideoClips,
    frames: int,
    size: int,
    views: str = "1x1",
    batch: int = 16,
    desc: str = "",
    max_bad_share: float = 0.0,
    embedded: Tensor | None = None,
    workers: int = 0,
    dtype: torch.dtype | None = None,
    world: SingleProcess = SINGLE_PROCESS,
    texts: ClassTexts | Prompts | None = None,
) -> Scores:
    """Class probabilities of every video: softmax over classes per view, then the mean over views.

    BIKE's script takes the softmax a second time and leaves the logit scale out; neither is copied (for one view the
    order of classes is the same). A video that cannot be decoded is left out and named in ``clips.bad``; more than
    ``max_bad_share`` of them raise ``DataError``. ``embedded`` [V, L, d]: frame embeddings of a frozen tower (single
    view), in place of the videos. ``workers``: processes that read videos; the result does not depend on them.
    ``dtype``: of the visual tower under autocast, None: single precision. ``world``: processes that share the batches,
    each of which is what it would be with one process; all get the whole result. ``texts``: of the classes, on the
    model's device, None: the model's own.
    """
    model.eval()
    device = next(model.parameters()).device
    per_video = VIEWS[views][0] * VIEWS[views][1]
    at_once = max(1, batch // per_video)
    batches = [list(range(i, min(i + at_once, len(clips)))) for i in range(0, len(clips), at_once)]
    loader = DataLoader(
        _Inputs(clips, frames, size, views, embedded),
        batch_sampler=batches[world.rank :: world.size],
        num_workers=workers,
        pin_memory=device.type == "cuda",
        collate_fn=list,
    )
    probabilities, coarse, fine, indices, kept, lost = [], [], [], [], [], []
    for items in tqdm(loader, desc=desc, leave=False, disable=not desc, unit="batch"):
        for i, x, why in items:
            if x is None:
                lost.append(i)
                clips.bad[clips.paths[i]] = why
                check_bad(clips, max_bad_share, lost)
        rows = [i for i, x, _ in items if x is not None]
        if not rows:
            continue
        kept += rows
        x = torch.stack([x for _, x, _ in items if x is not None]).to(device, non_blocking=True)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            out = model(x.flatten(0, 1), texts) if embedded is None else model.from_embeddings(x, texts)
        probabilities.append(out.logits.float().softmax(-1).unflatten(0, (len(rows), per_video)).mean(1).cpu().numpy())
        if views == "1x1" and not clips.manifest.multi_label:
            pick = torch.tensor([clips.labels[i] for i in rows], device=device)
            b = torch.arange(len(rows), device=device)
            indices.append(np.stack([val_indices(clips.lengths[i], frames) for i in rows]))
            for store, a in ((coarse, out.coarse), (fine, out.fine)):
                if a is not None:
                    store.append(a[b, pick].float().cpu().numpy())
    parts = world.objects(
        {
            "kept": kept,
            "lost": {clips.paths[i]: clips.bad[clips.paths[i]] for i in lost},
            "numbers": lost,
            "rows": (probabilities, indices, coarse, fine),
        }
    )
    for part in parts:
        clips.bad |= part["lost"]
    if gone := [i for part in parts for i in part["numbers"]]:
        check_bad(clips, max_bad_share, gone)
    kept = [i for part in parts for i in part["kept"]]
    order = np.argsort(kept)

    def join(k: int) -> np.ndarray | None:
        rows = [x for part in parts for x in part["rows"][k]]
        return np.concatenate(rows)[order] if rows else None

    scored = join(0)
    assert scored is not None  # ``check_bad`` does not let a split without a readable video pass
    return Scores(scored, np.array(clips.labels)[kept][order], np.array(kept)[order], join(1), join(2), join(3))
