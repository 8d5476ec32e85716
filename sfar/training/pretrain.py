"""Trains the storyboard world's CLIP from nothing: frames and captions, as web pre-training is, in miniature.

COMMAND  make pretrain            (about 20 minutes on 2 cores; writes sfar/storyboard/weights/)
EXPECTED atomic actions >= 85 % per frame on unseen seeds, class-level zero-shot between 30 and 70 %.
"""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save
from tqdm import tqdm

from sfar.data.transforms import CLIP_MEAN, CLIP_STD, scale_size
from sfar.model import clip
from sfar.storyboard import captions, scripts, world
from sfar.storyboard.poses import ACTIONS, figure
from sfar.storyboard.render import draw, draw_style
from sfar.util import processes
from sfar.util.paths import write_atomic, write_json
from sfar.util.provenance import hardware, revision

IMAGE = 64  # pixels of the input
SHORT = scale_size(IMAGE)  # short side before the crop, as the videos are read
CONFIG = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": IMAGE,
        "patch_size": 16,
        "width": 128,
        "layers": 4,
        "head_width": 32,
        "mlp_ratio": 4.0,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 96, "heads": 4, "layers": 3},
    "quick_gelu": False,
}
ACTION_NAMES, ACTIVITY_NAMES = tuple(ACTIONS), tuple(scripts.ACTIVITIES)
CHUNK = 1000  # frames that are drawn from one generator
ACTION_SHARE = 0.65  # share of captions that name the atomic action; the others name the activity


def _one(rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """A random frame with its action and activity: half drawn evenly over actions, half as videos show them."""
    if rng.random() < 0.5:
        action = str(rng.choice(ACTION_NAMES))
        having = [c for c, s in scripts.ACTIVITIES.items() if action in dict(s)] or list(ACTIVITY_NAMES)
        activity = str(rng.choice(having))
    else:
        activity = str(rng.choice(ACTIVITY_NAMES))
        board = world.draw_storyboard(activity, rng)
        action = str(rng.choice(board.labels()))
    style = draw_style(rng)
    seconds = rng.uniform(0.3, 3.0)
    fig = figure(
        action, float(rng.uniform(0, seconds)), float(seconds), float(rng.random()), tuple(rng.normal(0, 4, 9))
    )
    frame = world.add_noise(draw(fig, style, tuple(rng.uniform(-4, 4, 2)))[None], style.noise, rng)[0]
    buffer = io.BytesIO()  # compression as in a video, roughly
    Image.fromarray(frame).save(buffer, "JPEG", quality=int(rng.integers(55, 95)))
    image = Image.open(buffer).resize((round(SHORT * 4 / 3), SHORT), Image.Resampling.BICUBIC)
    return np.asarray(image), ACTION_NAMES.index(action), ACTIVITY_NAMES.index(activity)


def _chunk(args: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Chunk ``k`` of ``n`` frames of a pool, from (seed, k, n): images and their two labels."""
    seed, k, n = args
    rng = np.random.default_rng([seed, k])
    rows = [_one(rng) for _ in range(n)]
    return np.stack([r[0] for r in rows]), np.array([r[1:] for r in rows])


def draw_pool(n: int, seed: int, workers: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """``n`` frames, uint8 [n, 73, 97, 3], with (action, activity) ids [n, 2]; independent of ``workers``."""
    images = np.empty((n, SHORT, round(SHORT * 4 / 3), 3), np.uint8)
    labels = np.empty((n, 2), np.int64)
    jobs = [(seed, k, min(CHUNK, n - k * CHUNK)) for k in range(math.ceil(n / CHUNK))]
    with processes.pool(workers) as pool:
        for k, (x, y) in enumerate(tqdm(pool.imap(_chunk, jobs), total=len(jobs), desc="drawing frames", unit="k")):
            at = k * CHUNK
            images[at : at + len(x)], labels[at : at + len(y)] = x, y
    return torch.from_numpy(images), torch.from_numpy(labels)


def augment(frames: torch.Tensor, g: torch.Generator, train: bool = True) -> torch.Tensor:
    """Crop to 64 x 64, mirror, shift colours; float [B, 3, 64, 64], normalised."""
    b, h, w, _ = frames.shape
    if not train:
        y, x = (h - IMAGE) // 2, (w - IMAGE) // 2
        crop = frames[:, y : y + IMAGE, x : x + IMAGE]
        out = crop.permute(0, 3, 1, 2).float() / 255
    else:
        y = torch.randint(0, h - IMAGE + 1, (b,), generator=g)
        x = ((w - IMAGE) / 2 + torch.randn(b, generator=g) * (w - IMAGE) / 5).round().clamp(0, w - IMAGE).long()
        rows = (y[:, None] + torch.arange(IMAGE))[:, :, None]
        cols = (x[:, None] + torch.arange(IMAGE))[:, None, :]
        out = frames[torch.arange(b)[:, None, None], rows, cols].permute(0, 3, 1, 2).float() / 255
        out = torch.where(torch.rand(b, 1, 1, 1, generator=g) < 0.5, out.flip(-1), out)
        out = out * (1 + 0.2 * torch.randn(b, 1, 1, 1, generator=g)) + 0.08 * torch.randn(b, 3, 1, 1, generator=g)
        gray = torch.rand(b, 1, 1, 1, generator=g) < 0.1
        out = torch.where(gray, out.mean(1, keepdim=True).expand_as(out), out).clamp(0, 1)
    return (out - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)


def caption_batch(labels: torch.Tensor, rng: np.random.Generator) -> tuple[list[str], torch.Tensor]:
    """Distinct captions U of a batch and the target share [B, U] of each for each image.

    Every caption of the batch that is true of a frame is a positive for it: two frames of one action in a batch
    would otherwise be pushed away from each other's caption.
    """
    texts: dict[str, tuple[int, int]] = {}  # caption -> (kind, id); kind 0: action, 1: activity
    # Two wordings of each action are as good as one per image, at a fifth of the cost.
    for action in labels[:, 0].unique().tolist():
        for _ in range(2):
            texts.setdefault(captions.action_caption(ACTION_NAMES[action], rng), (0, action))
    for activity in labels[:, 1].unique().tolist():
        texts.setdefault(captions.activity_caption(ACTIVITY_NAMES[activity], rng), (1, activity))
    kind = torch.tensor([k for k, _ in texts.values()])
    ident = torch.tensor([i for _, i in texts.values()])
    share = torch.zeros(len(labels), len(texts))
    for k, s in ((0, ACTION_SHARE), (1, 1 - ACTION_SHARE)):
        same = ((kind == k) & (ident == labels[:, k : k + 1])).float()
        share += s * same / same.sum(1, keepdim=True)
    return list(texts), share


def evaluate(model: clip.CLIP, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Per-frame accuracy [%] over all atomic actions (mean of their phrases' embeddings) and activities."""
    g = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        v = torch.cat([model.encode_image(augment(x, g, train=False), normalize=True) for x in images.split(500)])
        a = torch.stack(
            [
                F.normalize(clip.embed_texts(model, list(captions.action_phrases(n))).cls, dim=-1).mean(0)
                for n in ACTION_NAMES
            ]
        )
        c = clip.embed_texts(model, [f"This is a video about {n}" for n in ACTIVITY_NAMES]).cls
    return {"action_top1": _accuracy(v, a, labels[:, 0]), "activity_frame_top1": _accuracy(v, c, labels[:, 1])}


def _accuracy(frames: torch.Tensor, texts: torch.Tensor, labels: torch.Tensor) -> float:
    """Share [%] of frames [n, d] whose nearest text [C, d] is that of their label [n]."""
    return 100 * ((frames @ F.normalize(texts, dim=-1).T).argmax(1) == labels).float().mean().item()


def pretrain(
    out: Path,
    steps: int = 3000,
    batch: int = 256,
    pool: int = 120_000,
    seed: int = 11,
    lr: float = 1e-3,
    eval_every: int = 500,
    workers: int | None = None,
) -> dict[str, Any]:
    """Train and write ``clip.safetensors`` (half precision) and ``clip.json`` (configuration and training record).

    ``pool``: frames drawn; ``workers``: processes that draw (None: one per core). Returns the accuracies on the way.
    """
    start = time.time()
    torch.manual_seed(seed)
    rng, g = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    images, labels = draw_pool(pool, seed, workers)
    held_images, held_labels = draw_pool(4000, seed + 1, workers)
    model = clip.build(CONFIG)
    decay = [p for n, p in model.named_parameters() if p.dim() >= 2 and "embedding" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() >= 2 and "embedding" not in n)]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=lr,
        betas=(0.9, 0.98),
        fused=True,
    )
    curve: list[dict[str, Any]] = []
    order = torch.randperm(len(images), generator=g)
    bar, running = tqdm(range(steps), desc="storyboard CLIP", unit="step"), 0.0
    for step in bar:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 300)
            group["lr"] = lr * warm * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        at = step * batch % (len(images) - batch)
        if step and at < batch:
            order = torch.randperm(len(images), generator=g)
        pick = order[at : at + batch]
        texts, share = caption_batch(labels[pick], rng)
        v = F.normalize(model.encode_image(augment(images[pick], g)), dim=-1)
        t = F.normalize(clip.encode_words(model, clip.tokenize(texts)).cls, dim=-1)
        logits = model.logit_scale.exp() * v @ t.T
        back = share.T / share.T.sum(1, keepdim=True)
        loss = -0.5 * ((share * logits.log_softmax(1)).sum(1).mean() + (back * logits.T.log_softmax(1)).sum(1).mean())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        running += (loss.item() - running) / min(step + 1, 100)
        bar.set_postfix(loss=f"{running:.3f}", refresh=False)
        if (step + 1) % eval_every == 0 or step + 1 == steps:
            row = {
                "step": step + 1,
                "loss": round(running, 4),
                **{k: round(x, 2) for k, x in evaluate(model, held_images, held_labels).items()},
                "logit_scale": round(model.logit_scale.exp().item(), 2),
                "minutes": round((time.time() - start) / 60, 1),
            }
            curve.append(row)
            tqdm.write(json.dumps(row))
            _save(model, out, {"steps": steps, "batch": batch, "pool": pool, "seed": seed, "lr": lr, "curve": curve})
    return {"curve": curve}


def _save(model: clip.CLIP, out: Path, record: dict[str, Any]) -> None:
    write_atomic(
        out / "clip.safetensors", save({k: v.detach().half().contiguous() for k, v in model.state_dict().items()})
    )
    record = {
        **record,
        "hardware": hardware(),
        "torch": torch.__version__,
        "revision": revision(),
        "sha256": clip.weights_hash(out / "clip.safetensors"),
    }
    write_json(out / "clip.json", {"model": CONFIG, "record": record})
