"""Draws a figure and its props as an RGB frame. One ``Style`` (clothes, place, camera) belongs to one video."""

from __future__ import annotations

import colorsys
import itertools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sfar.storyboard.poses import Figure, Point

WIDTH, HEIGHT = 128, 96  # pixels of a stored frame (4:3, as most web video of the time)
SUPERSAMPLE = 2  # drawn twice as large and averaged down: PIL draws without anti-aliasing

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """What stays the same within a video: colours, clutter, scale and place of the figure, mirroring, camera, noise."""

    skin: Colour
    shirt: Colour
    trousers: Colour
    hair: Colour
    wall: Colour
    wall2: Colour
    floor: Colour
    prop: Colour
    clutter: tuple[tuple[str, float, float, float, Colour], ...]
    scale: float  # pixels per body unit (at the stored size)
    x: float  # hip, share of the width
    ground: float  # share of the height
    mirror: bool
    thickness: float
    noise: float
    seed: int


def _hsv(
    rng: np.random.Generator, s: tuple[float, float], v: tuple[float, float], h: tuple[float, float] = (0, 1)
) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(rng.uniform(*h) % 1.0, rng.uniform(*s), rng.uniform(*v))
    return int(255 * r), int(255 * g), int(255 * b)


def _near(colour: Colour, spread: int, rng: np.random.Generator) -> Colour:
    """A colour whose channels differ from those of ``colour`` by less than ``spread`` + 1."""
    r, g, b = (int(np.clip(c + rng.integers(-spread, spread), 0, 255)) for c in colour)
    return r, g, b


def draw_style(rng: np.random.Generator) -> Style:
    """A random style. Backgrounds are light or dim and pale, clothes saturated, so that the figure can be seen."""
    light = rng.random() < 0.75
    wall = _hsv(rng, (0.05, 0.35), (0.72, 0.95) if light else (0.30, 0.45))
    wall2 = _near(wall, 28, rng)
    clutter = tuple(
        (
            str(rng.choice(["box", "disc", "stripe", "tree"])),
            float(rng.uniform(0, 1)),
            float(rng.uniform(0.05, 0.6)),
            float(rng.uniform(0.05, 0.2)),
            _near(wall, 45, rng),
        )
        for _ in range(int(rng.integers(1, 6)))
    )
    dark = (0.12, 0.55) if light else (0.65, 1.0)
    return Style(
        skin=_hsv(rng, (0.3, 0.6), (0.45, 0.92), (0.04, 0.09)),
        shirt=_hsv(rng, (0.6, 1.0), (0.45, 0.95)),
        trousers=_hsv(rng, (0.3, 0.9), dark),
        hair=_hsv(rng, (0.2, 0.6), (0.1, 0.4), (0.0, 0.12)),
        wall=wall,
        wall2=wall2,
        floor=_hsv(rng, (0.1, 0.45), (0.45, 0.75) if light else (0.2, 0.35)),
        prop=_hsv(rng, (0.0, 0.3), (0.1, 0.3) if light else (0.75, 0.95)),
        clutter=clutter,
        scale=float(rng.uniform(29, 36)),
        x=float(rng.uniform(0.42, 0.58)),
        ground=float(rng.uniform(0.86, 0.93)),
        mirror=bool(rng.random() < 0.5),
        thickness=float(rng.uniform(0.085, 0.115)),
        noise=float(rng.uniform(2, 8)),
        seed=int(rng.integers(2**31)),
    )


class _Pen:
    """Body units to pixels, and the few shapes everything is made of."""

    def __init__(self, draw: ImageDraw.ImageDraw, style: Style, k: float, dx: float, dy: float):
        self.d, self.k = draw, style.scale * k
        self.x0, self.y0 = (style.x * WIDTH + dx) * k, (style.ground * HEIGHT + dy) * k

    def at(self, p: Point) -> Point:
        """A point of the figure's world in pixels."""
        return self.x0 + p[0] * self.k, self.y0 - p[1] * self.k

    def line(self, a: Point, b: Point, colour: Colour, width: float) -> None:
        """A line with round ends."""
        (x1, y1), (x2, y2) = self.at(a), self.at(b)
        w = max(1, round(width * self.k))
        self.d.line((x1, y1, x2, y2), fill=colour, width=w)
        r = w / 2
        for x, y in ((x1, y1), (x2, y2)):
            self.d.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def disc(self, c: Point, radius: float, colour: Colour, outline: Colour | None = None) -> None:
        """A filled circle."""
        x, y = self.at(c)
        r = radius * self.k
        self.d.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=outline, width=max(1, round(0.02 * self.k)))

    def box(self, lo: Point, hi: Point, colour: Colour, outline: Colour | None = None) -> None:
        """A filled rectangle between its lower left and its upper right corner."""
        (x1, y1), (x2, y2) = self.at((lo[0], hi[1])), self.at((hi[0], lo[1]))
        self.d.rectangle((x1, y1, x2, y2), fill=colour, outline=outline, width=max(1, round(0.02 * self.k)))

    def ring(self, c: Point, rx: float, ry: float, colour: Colour, width: float) -> None:
        """The outline of an ellipse."""
        x, y = self.at(c)
        self.d.ellipse(
            (x - rx * self.k, y - ry * self.k, x + rx * self.k, y + ry * self.k),
            outline=colour,
            width=max(1, round(width * self.k)),
        )


BASKETBALL, WHITE, STEEL, WOOD = (222, 110, 30), (245, 245, 245), (96, 100, 108), (176, 120, 62)
SAND, WATER, MAT, TRACK, GRASS = (226, 196, 120), (60, 140, 215), (40, 90, 190), (176, 84, 58), (84, 150, 66)
DOUGH, TOMATO, FIRE = (244, 226, 180), (204, 52, 34), (255, 150, 40)


def _mid(a: Point, b: Point) -> Point:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _behind(pen: _Pen, fig: Figure) -> None:
    """Props that stand behind the figure, and the ground."""
    j, props, far = fig.joints, fig.props, 4.0
    if "lanes" in props or "sandpit" in props:
        pen.box((-far, -1), (far, 0.0), TRACK)
        for i in range(-6, 7):
            x = i * 0.7 - fig.scenery % 0.7
            pen.line((x, -0.07), (x + 0.3, -0.07), WHITE, 0.03)
    if "sandpit" in props:
        pen.box((-0.9, -1), (2.2, 0.07), SAND)
        pen.line((-0.9, 0.05), (-0.9, -0.5), WHITE, 0.06)
    if "grass" in props:
        pen.box((-far, -1), (far, 0.0), GRASS)
    if "court" in props:
        pen.box((-far, -1), (far, 0.0), (204, 152, 92))
        pen.line((-far, -0.1), (far, -0.1), WHITE, 0.03)
    if "platform" in props:
        pen.box((-1.3, -0.12), (1.3, 0.0), WOOD)
    if "flatmat" in props:
        pen.box((-1.5, -0.12), (1.5, 0.02), MAT)
    if "thickmat" in props:
        pen.box((-1.3, 0.0), (1.3, 0.42), MAT, (20, 50, 120))
        pen.line((-1.3, 0.21), (1.3, 0.21), (20, 50, 120), 0.03)
    if "crossbar" in props:
        for x in (-1.15, 1.15):
            pen.line((x, 0.0), (x, 1.45), WHITE, 0.06)
        pen.line((-1.25, 1.22), (1.25, 1.22), (210, 40, 40), 0.06)
    if "hurdle" in props:
        x = _mid(j["foot1"], j["hip"])[0]
        for dx in (-0.32, 0.32):
            pen.line((x + dx, 0.0), (x + dx, 0.5), STEEL, 0.05)
        pen.box((x - 0.42, 0.42), (x + 0.42, 0.58), WHITE, (200, 40, 40))
    if "blocks" in props:
        x = j["foot2"][0]
        pen.line((x - 0.2, 0.0), (x + 0.02, 0.22), (230, 200, 40), 0.09)
        pen.line((0.95, -0.02), (0.95, -0.5), WHITE, 0.06)
    if "highbar" in props or "midbar" in props:
        y = 2.15 if "highbar" in props else 0.80
        for x in (-0.95, 0.95):
            pen.line((x, 0.0), (x, y), STEEL, 0.07)
        pen.line((-1.0, y), (1.0, y), STEEL, 0.07)
    if "divingboard" in props:
        pen.box((-2.2, 0.52), (0.45, 0.62), (230, 230, 235), (120, 120, 130))
        pen.box((-1.6, 0.0), (-1.35, 0.52), STEEL)
    if "pool_low" in props:
        pen.box((-0.4 if "divingboard" in props else -far, -1), (far, 0.3), WATER)
    if "hoop" in props:
        pen.box((1.02, 1.55), (1.1, 2.25), WHITE, (60, 60, 60))
        pen.line((0.68, 1.72), (1.02, 1.72), (230, 70, 20), 0.06)
    if "rim" in props:
        x, y = j["hand1"]
        pen.box((x + 0.32, y - 0.15), (x + 0.42, y + 0.5), WHITE, (60, 60, 60))
        pen.line((x - 0.2, y - 0.03), (x + 0.34, y - 0.03), (230, 70, 20), 0.07)
        for i in range(4):
            pen.line((x - 0.18 + 0.13 * i, y - 0.05), (x - 0.11 + 0.09 * i, y - 0.3), WHITE, 0.025)
    if "oven" in props:
        x = max(j["hand1"][0], j["hand2"][0])
        pen.box((x - 0.05, 0.0), (x + 0.75, 1.05), (200, 200, 205), (80, 80, 85))
        pen.box((x + 0.02, 0.28), (x + 0.62, 0.75), FIRE, (60, 40, 20))
        pen.box((x - 0.28, 0.22), (x + 0.05, 0.29), (120, 120, 125))
        for i in range(4):
            pen.disc((x + 0.1 + 0.16 * i, 0.91), 0.045, (60, 60, 60))
    if "pole_planted" in props:
        a, h = (1.0, 0.0), _mid(j["hand1"], j["hand2"])
        m = (h[0] + 0.75, 0.55)
        pts = [
            (
                (1 - t) ** 2 * a[0] + 2 * t * (1 - t) * m[0] + t * t * h[0],
                (1 - t) ** 2 * a[1] + 2 * t * (1 - t) * m[1] + t * t * h[1],
            )
            for t in np.linspace(0, 1, 9)
        ]
        for p, q in itertools.pairwise(pts):
            pen.line(p, q, (240, 220, 90), 0.06)
        pen.line(h, (h[0] - 0.35, h[1] + 0.5), (240, 220, 90), 0.06)


def _in_front(pen: _Pen, fig: Figure, style: Style) -> None:
    """Props held by, or standing before, the figure."""
    j, props = fig.joints, fig.props
    hands = _mid(j["hand1"], j["hand2"])
    if "barbell_hands" in props or "barbell_shoulders" in props:
        c = hands if "barbell_hands" in props else (j["neck"][0] + 0.12, j["neck"][1] - 0.04)
        pen.line((c[0] - 0.85, c[1]), (c[0] + 0.85, c[1]), STEEL, 0.05)
        for x in (-0.82, -0.7, 0.7, 0.82):
            pen.box((c[0] + x - 0.045, c[1] - 0.24), (c[0] + x + 0.045, c[1] + 0.24), (30, 30, 34), (190, 40, 40))
    if "table" in props:
        pen.box((0.12, 0.78), (1.45, 0.86), WOOD, (90, 60, 30))
        for x in (0.2, 1.36):
            pen.line((x, 0.0), (x, 0.8), WOOD, 0.07)
    top = 0.86
    if "rollingpin" in props:
        pen.box((0.3, top), (1.25, top + 0.06), DOUGH, (190, 160, 100))
        x = min(max(hands[0], 0.4), 1.2)
        pen.line((x - 0.26, top + 0.13), (x + 0.26, top + 0.13), (130, 76, 34), 0.13)
        pen.line((x - 0.4, top + 0.13), (x + 0.4, top + 0.13), (130, 76, 34), 0.05)
    if "pizzabase" in props:
        x, y = pen.at((0.8, top + 0.08))
        pen.d.ellipse(
            (x - 0.46 * pen.k, y - 0.14 * pen.k, x + 0.46 * pen.k, y + 0.14 * pen.k), fill=DOUGH, outline=(190, 150, 90)
        )
        pen.d.ellipse((x - 0.36 * pen.k, y - 0.10 * pen.k, x + 0.36 * pen.k, y + 0.10 * pen.k), fill=TOMATO)
        for dx in (-0.2, 0.02, 0.2):
            pen.disc((0.8 + dx, top + 0.08), 0.045, (250, 240, 190))
    if "tray" in props:
        pen.box((0.3, top), (1.3, top + 0.05), (70, 72, 78))
        for i in range(5):
            pen.disc((0.42 + 0.19 * i, top + 0.11), 0.075, (206, 150, 80), (120, 80, 40))
    if "bounceball" in props:
        x = j["hand1"][0] + 0.03
        y = 0.14 + (j["hand1"][1] - 0.30) * abs(math.cos(math.pi * fig.phase / 2))
        pen.disc((x, max(0.14, y)), 0.15, BASKETBALL, (90, 40, 10))
    if "overheadball" in props:
        c = (hands[0] + 0.1 + 0.3 * fig.phase, hands[1] + 0.14 + 0.12 * fig.phase)
        pen.disc(c, 0.15, BASKETBALL, (90, 40, 10))
    if "rimball" in props:
        pen.disc((j["hand1"][0], j["hand1"][1] + 0.10 - 0.3 * fig.phase), 0.15, BASKETBALL, (90, 40, 10))
    if "kickedball" in props:
        f = j["foot1"]
        pen.disc((f[0] + 0.14 + 0.5 * fig.phase, f[1] + 0.04 + 0.25 * fig.phase), 0.13, WHITE, (30, 30, 30))
    if "kneeball" in props:
        k = j["knee1"]
        pen.disc((k[0] + 0.02, k[1] + 0.2 + 0.35 * fig.phase), 0.13, WHITE, (30, 30, 30))
    if "pole_carried" in props:
        pen.line((hands[0] - 0.9, hands[1] - 0.28), (hands[0] + 1.7, hands[1] + 0.52), (240, 220, 90), 0.06)
    rng = np.random.default_rng(int(style.seed + 1000 * round(fig.phase, 3)))
    if "sandspray" in props:
        for _ in range(14):
            pen.disc(
                (float(rng.uniform(0.1, 1.2)), float(rng.uniform(0.1, 0.55))), float(rng.uniform(0.02, 0.05)), SAND
            )
    if "dust" in props:
        for _ in range(6):
            pen.disc(
                (float(rng.uniform(-0.5, 0.1)), float(rng.uniform(0.0, 0.16))),
                float(rng.uniform(0.03, 0.06)),
                (205, 200, 190),
            )
    if "hopmarks" in props:
        for i in range(3):
            x = j["foot1"][0] - 0.3 - 0.45 * i
            pen.ring((x, 0.02), 0.12, 0.05, WHITE, 0.03)
    if "spinmarks" in props:
        x, y = pen.at(_mid(j["hip"], j["neck"]))
        for r in (0.62, 0.74):
            for s in (20, 200):
                pen.d.arc(
                    (x - r * pen.k, y - r * pen.k, x + r * pen.k, y + r * pen.k),
                    s,
                    s + 70,
                    fill=WHITE,
                    width=max(1, round(0.04 * pen.k)),
                )
    if "confetti" in props:
        for _ in range(16):
            r, g, b = (int(v) for v in rng.integers(60, 255, 3))
            pen.disc((float(rng.uniform(-1.2, 1.2)), float(rng.uniform(0.9, 2.3))), 0.035, (r, g, b))
    if "pool_high" in props:
        pen.box((-4, -1), (4, 0.55), WATER)
        for i in range(-5, 6):
            pen.line((i * 0.5, 0.38), (i * 0.5 + 0.22, 0.38), (170, 215, 245), 0.03)
    if "splash" in props:
        for _ in range(18):
            x = float(rng.normal(0, 0.3))
            pen.disc((x, float(rng.uniform(0.5, 1.15)) - 0.7 * abs(x)), float(rng.uniform(0.02, 0.06)), (225, 240, 250))


def _shaded(colour: Colour) -> Colour:
    """Darker: the limbs on the far side."""
    r, g, b = (int(0.72 * v) for v in colour)
    return r, g, b


def _body(pen: _Pen, fig: Figure, style: Style) -> None:
    """The figure itself, the far limbs first."""
    j, w = fig.joints, style.thickness
    pen.line(j["hip"], j["knee2"], _shaded(style.trousers), w * 1.15)
    pen.line(j["knee2"], j["foot2"], _shaded(style.trousers), w)
    pen.line(j["neck"], j["elbow2"], _shaded(style.shirt), w * 0.95)
    pen.line(j["elbow2"], j["hand2"], _shaded(style.skin), w * 0.8)
    pen.line(j["hip"], j["neck"], style.shirt, w * 2.0)
    pen.line(j["hip"], j["knee1"], style.trousers, w * 1.25)
    pen.line(j["knee1"], j["foot1"], style.trousers, w * 1.05)
    pen.disc(j["head"], 0.145, style.skin)
    dx, dy = j["head"][0] - j["neck"][0], j["head"][1] - j["neck"][1]
    n = math.hypot(dx, dy) or 1.0
    pen.disc((j["head"][0] + 0.05 * dx / n, j["head"][1] + 0.05 * dy / n), 0.11, style.hair)
    pen.line(j["neck"], j["elbow1"], style.shirt, w)
    pen.line(j["elbow1"], j["hand1"], style.skin, w * 0.85)


def draw(
    fig: Figure, style: Style, jitter: tuple[float, float] = (0.0, 0.0), size: tuple[int, int] = (WIDTH, HEIGHT)
) -> np.ndarray:
    """One frame, uint8 [height, width, 3]. ``jitter``: camera shake in stored pixels; noise is added by the caller."""
    k = SUPERSAMPLE * size[0] / WIDTH
    w, h = round(WIDTH * k), round(HEIGHT * k)
    image = Image.new("RGB", (w, h), style.wall)
    d = ImageDraw.Draw(image)
    pen = _Pen(d, style, k, *jitter)
    d.rectangle((0, 0, w, h * 0.35 + jitter[1] * k), fill=style.wall2)
    for kind, cx, cy, r, colour in style.clutter:
        x, y, r = cx * w + jitter[0] * k, cy * h + jitter[1] * k, r * h
        if kind == "box":
            d.rectangle((x - r, y - r, x + r, y + r), fill=colour)
        elif kind == "disc":
            d.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        elif kind == "stripe":
            d.rectangle((x - r / 4, 0, x + r / 4, h), fill=colour)
        else:
            d.rectangle((x - r / 6, y, x + r / 6, h), fill=colour)
            d.polygon((x - r, y + r / 2, x + r, y + r / 2, x, y - r), fill=colour)
    d.rectangle((0, pen.y0, w, h), fill=style.floor)
    _behind(pen, fig)
    _body(pen, fig, style)
    _in_front(pen, fig, style)
    image = image.reduce(SUPERSAMPLE) if k == SUPERSAMPLE else image.resize(size, Image.Resampling.BOX)
    frame = np.asarray(image)
    return frame[:, ::-1].copy() if style.mirror else frame.copy()
