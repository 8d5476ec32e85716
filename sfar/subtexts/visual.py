"""Visual context (appendix B, Table 14): frames of one video as pictures for a vision model."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from sfar.data.transforms import val_indices
from sfar.data.video import probe, read_frames

SHORT_SIDE = 256  # pixels: a vision model scales larger pictures down itself, and bills them


def frames_of(path: str | Path, count: int = 8) -> tuple[bytes, ...]:
    """``count`` frames of a video as JPEG, uniformly sampled as for evaluation.

    Raises ``VideoError`` naming the file.
    """
    info = probe(path)
    short = min(SHORT_SIDE, info.width, info.height)
    frames = read_frames(
        path, val_indices(info.frames, count), None if short == min(info.width, info.height) else short
    )
    out = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return tuple(out)
