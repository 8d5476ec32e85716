"""Small files of pictures: PNG with a palette where no eye sees the difference, JPEG of photographs in notebooks."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# The most that a colour may move for a palette, in steps of 255 in any of red, green and blue: far below what a screen
# or an eye tells apart. The shades around letters and lines are many (300 to 1,200 in a plot) and close together.
TOLERANCE = 5
# Plots have up to some thousand colours, of shades and translucent areas; frames of videos have tens of thousands.
PHOTOGRAPH = 8192
SHARP, SHARP_QUALITY = 1.5, 60  # pixels for each one that is shown, where there are more; they hide what is coarse
QUALITY = 85  # of a JPEG, with colours at full resolution: letters and heatmaps keep sharp edges


def png(image: Image.Image) -> bytes:
    """``image`` (opaque) as a PNG without dates or program names: the same picture gives the same bytes.

    A palette of at most 256 colours if every colour has one within ``TOLERANCE``; else all colours as they are.
    """
    rgb = _opaque(image)
    small = _paletted(rgb) or rgb
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True, **_dpi(image))
    return out.getvalue()


def embedded(image: Image.Image, width: int | None = None) -> tuple[str, bytes]:
    """MIME type and bytes of ``image`` for a notebook: a JPEG if it shows photographs, else ``png``.

    ``width``: at which it is shown, where it has more pixels than that; a JPEG then has half as many again, and each
    of them may be coarser.
    """
    rgb = _opaque(image)
    if len(_colours(rgb)[0]) < PHOTOGRAPH:
        return "image/png", png(image)
    out, quality = io.BytesIO(), QUALITY
    if width and rgb.width > (wanted := round(SHARP * width)):
        rgb = rgb.resize((wanted, round(rgb.height * wanted / rgb.width)), Image.Resampling.LANCZOS)
        quality = SHARP_QUALITY
    rgb.save(out, "JPEG", quality=quality, subsampling=0, optimize=True, progressive=True)
    return "image/jpeg", out.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, on white where something is translucent."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _dpi(image: Image.Image) -> dict[str, tuple[float, float]]:
    return {"dpi": image.info["dpi"]} if "dpi" in image.info else {}


def _colours(rgb: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (n, 3), the colour's row for each pixel (height, width), the number of pixels of each colour (n)."""
    a = np.asarray(rgb).astype(np.int32)
    packed, where, count = np.unique((a << (16, 8, 0)).sum(2), return_inverse=True, return_counts=True)
    return packed[:, None] >> (16, 8, 0) & 255, where.reshape(a.shape[:2]), count


def _paletted(rgb: Image.Image) -> Image.Image | None:
    """``rgb`` in at most 256 of its own colours, none moved by more than ``TOLERANCE``; None if that many do not do.

    Farthest first (Gonzalez 1985): start with the commonest colour, then always add the one farthest from all chosen.
    """
    colours, where, count = _colours(rgb)
    if len(colours) >= PHOTOGRAPH:
        return None
    chosen = [int(count.argmax())]
    nearest = np.zeros(len(colours), np.uint8)
    distance = np.abs(colours - colours[chosen[0]]).max(1)
    while distance.any() and len(chosen) < 256:
        new = int(distance.argmax())
        away = np.abs(colours - colours[new]).max(1)
        closer = away < distance
        nearest[closer] = len(chosen)
        distance[closer] = away[closer]
        chosen.append(new)
    if distance.max() > TOLERANCE:
        return None
    # The palette in the order of its colours: a picture that is read and written again gives the same bytes.
    order = np.argsort(chosen)
    out = Image.fromarray(np.argsort(order).astype(np.uint8)[nearest][where])
    out.putpalette(colours[np.array(chosen)[order]].astype(np.uint8).tobytes())
    return out
