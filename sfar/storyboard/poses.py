"""The atomic actions of the storyboard world: a jointed figure, its key poses and its props.

Angles are degrees and absolute: 0 points down, 90 forward (the way the figure faces), 180 up, -90 back.
Lengths are in body units (a standing figure is about 1.75 high), y points up and the ground is y = 0.
A *pose* is nine angles: torso, near arm (upper, fore), far arm (upper, fore), near leg (thigh, shin),
far leg (thigh, shin). An action walks through its key poses; one frame is enough to tell which action it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHIN, THIGH, TORSO, UPPER, FORE, NECK = 0.42, 0.42, 0.54, 0.29, 0.28, 0.17

Point = tuple[float, float]


@dataclass(frozen=True)
class Action:
    """One atomic action.

    ``keys``: key poses walked through in order (``cycle``: there and back, again and again; otherwise once).
    ``place``: how the figure is put down. ``("ground", lift)`` sets its lowest joint at height ``lift``,
    ``("hands", y)`` puts the hands at height y, ``("hip", y)`` the hip. ``props``: names drawn by the renderer.
    ``captions``: ways people write the action; the first one is its name in reports.
    """

    captions: tuple[str, ...]
    keys: tuple[tuple[float, ...], ...]
    place: tuple[str, float] = ("ground", 0.0)
    props: tuple[str, ...] = ()
    cycle: float = 0.0  # cycles per second; 0: the keys are walked through once
    travel: float = 0.0  # body units per second the scenery moves backwards
    turn: tuple[float, float] = (0.0, 0.0)  # the whole figure turned about the hip, from/to (degrees)


STAND = (180, 8, 12, -8, 0, 4, 0, -6, -4)

ACTIONS: dict[str, Action] = {
    # --- track and field -------------------------------------------------------------------------
    "sprint": Action(
        ("sprinting along the track", "running fast", "the run-up at full speed", "dashing with pumping arms"),
        ((162, 65, 150, -55, 25, 75, -5, -30, -75), (162, -55, 25, 65, 150, -30, -75, 75, -5)),
        ("ground", 0.04),
        ("lanes",),
        cycle=2.2,
        travel=4.0,
    ),
    "crouch_start": Action(
        (
            "crouching in the starting blocks",
            "kneeling at the start line with hands on the ground",
            "set position before the start",
        ),
        ((98, 8, 2, 4, 0, 48, -62, 5, -75), (82, 8, 4, 4, 0, 62, -50, 15, -60)),
        props=("lanes", "blocks"),
    ),
    "takeoff": Action(
        (
            "leaping off the ground",
            "taking off from one foot",
            "jumping up with one knee raised",
            "pushing off into the air",
        ),
        ((176, 150, 170, 120, 150, 85, -5, -12, -16), (176, 160, 175, 140, 165, 95, 0, -20, -28)),
        ("ground", 0.30),
        ("dust",),
    ),
    "flight_legs": Action(
        ("flying with legs stretched forward", "extending both legs in the air", "swinging the legs forward in flight"),
        ((150, 70, 85, 80, 95, 88, 80, 80, 72), (128, 80, 80, 90, 90, 95, 92, 88, 85)),
        ("ground", 0.45),
        ("sandpit",),
    ),
    "land_sand": Action(
        ("landing in the sand pit", "sitting down in the sand", "hitting the sand with the heels"),
        ((160, 60, 80, 70, 90, 100, 62, 94, 58), (195, -20, -5, -30, -10, 98, 85, 92, 80)),
        ("hip", 0.13),
        ("sandpit", "sandspray"),
    ),
    "hop": Action(
        ("hopping on one leg", "bounding on the same foot", "a hop with the free leg bent behind"),
        ((175, 40, 110, -40, 20, -5, -3, 25, -95), (172, -35, 20, 55, 120, 12, -20, 40, -80)),
        ("ground", 0.10),
        ("lanes", "hopmarks"),
        cycle=1.5,
        travel=1.5,
    ),
    "clear_hurdle": Action(
        ("stepping over a hurdle", "clearing the hurdle", "stretching one leg over the barrier"),
        ((145, 75, 95, -40, -10, 95, 80, -60, -100), (140, 85, 100, -50, -10, 98, 92, -78, -60)),
        ("ground", 0.55),
        ("lanes", "hurdle"),
    ),
    "arch_bar": Action(
        ("arching over the crossbar", "floating backwards over the bar", "crossing the bar with a bent back"),
        ((-82, -20, -30, -35, -30, 70, 20, 64, 12), (-95, -40, -40, -50, -50, 55, 5, 50, -2)),
        ("hip", 1.42),
        ("crossbar", "thickmat"),
    ),
    "lie_mat": Action(
        ("lying on the thick mat", "falling onto the landing mat", "resting on the back on a soft mat"),
        ((-88, -120, -100, -70, -90, 110, 70, 95, 60), (-90, -130, -110, -80, -95, 100, 85, 85, 75)),
        ("hip", 0.52),
        ("thickmat",),
    ),
    "run_pole": Action(
        ("running with a long pole", "carrying the pole down the runway", "charging ahead with the pole"),
        ((172, -10, 75, -30, 40, 60, -10, -25, -65), (172, -10, 75, -30, 40, -25, -65, 60, -10)),
        ("ground", 0.03),
        ("lanes", "pole_carried"),
        cycle=2.0,
        travel=3.0,
    ),
    "swing_pole": Action(
        ("swinging upside down on the pole", "hanging on the bent pole with feet up", "rocking back on the pole"),
        ((20, 160, 170, 150, 175, 165, 150, 150, 140), (5, 170, 175, 165, 178, 178, 172, 170, 165)),
        ("hip", 1.25),
        ("pole_planted",),
    ),
    # --- barbell ---------------------------------------------------------------------------------
    "grip_barbell": Action(
        (
            "gripping the barbell on the floor",
            "bending down to grab the barbell",
            "setting the hands on the bar on the ground",
        ),
        ((118, 6, 2, 2, 0, 62, -28, 58, -30), (128, 6, 2, 2, 0, 75, -32, 70, -34)),
        props=("barbell_hands", "platform"),
    ),
    "barbell_hips": Action(
        (
            "standing with the barbell at the hips",
            "holding the barbell at the thighs",
            "locking the hips with hanging arms on the bar",
        ),
        ((176, 6, 8, 2, 4, 5, 0, -4, -6), (186, 2, 4, -2, 0, 2, 0, -4, -4)),
        props=("barbell_hands", "platform"),
    ),
    "barbell_shoulders": Action(
        (
            "holding the barbell on the shoulders",
            "racking the barbell on the chest",
            "standing with the bar at the collarbone",
        ),
        ((180, 75, 205, 70, 200, 6, 0, -6, -4), (178, 80, 205, 75, 200, 14, -10, 4, -14)),
        props=("barbell_shoulders", "platform"),
    ),
    "barbell_squat": Action(
        (
            "squatting deep with the barbell on the shoulders",
            "a deep squat under the bar",
            "sinking low with the weight on the chest",
        ),
        ((165, 85, 205, 80, 200, 105, -28, 95, -32), (160, 85, 205, 80, 200, 115, -32, 108, -36)),
        props=("barbell_shoulders", "platform"),
    ),
    "barbell_overhead": Action(
        ("holding the barbell overhead", "pressing the barbell above the head", "locking out the arms under the bar"),
        ((180, 176, 178, 184, 182, 10, -2, -14, -10), (180, 178, 180, 182, 180, 22, 2, -22, -20)),
        props=("barbell_hands", "platform"),
    ),
    # --- gymnastics ------------------------------------------------------------------------------
    "hang_bar": Action(
        ("hanging from the high bar", "dangling from the bar with straight arms", "a dead hang on the bar"),
        ((184, 176, 180, 182, 180, 4, -4, -4, -12), (174, 182, 180, 186, 180, -8, -14, 6, -4)),
        ("hands", 2.15),
        ("highbar",),
        cycle=0.5,
    ),
    "chin_bar": Action(
        ("pulling the chin above the bar", "holding the chin over the bar with bent arms", "the top of the pull"),
        ((182, 40, 190, 30, 175, 8, -30, 2, -36), (180, 30, 185, 22, 172, 14, -40, 6, -46)),
        ("hands", 2.15),
        ("highbar",),
    ),
    "swing_bar": Action(
        (
            "swinging around the bar upside down",
            "a handstand on top of the bar",
            "circling over the bar with straight arms",
        ),
        ((-8, 0, 0, -6, -2, 172, 174, 170, 170), (24, 6, 4, 0, 2, 198, 200, 196, 198)),
        ("hands", 0.80),
        ("midbar",),
    ),
    "somersault": Action(
        ("a tucked somersault in the air", "flipping with the knees held to the chest", "rotating in a tight tuck"),
        ((150, 70, 10, 65, 5, 140, -10, 135, -15), (150, 70, 10, 65, 5, 140, -10, 135, -15)),
        ("hip", 1.25),
        ("spinmarks",),
        turn=(-60, -300),
    ),
    "crouch_land": Action(
        ("landing in a crouch", "absorbing the landing with bent knees and arms forward", "a low landing on both feet"),
        ((140, 80, 90, 85, 95, 85, -30, 78, -34), (152, 90, 95, 95, 100, 60, -25, 54, -28)),
        props=("flatmat",),
    ),
    "handstand": Action(
        ("standing on the hands", "a handstand with the legs apart", "turning over on straight arms"),
        ((0, -4, -2, 6, 4, 215, 205, 150, 155), (4, 0, 0, 8, 4, 230, 220, 140, 145)),
        props=("flatmat",),
    ),
    "stand_board": Action(
        ("standing on the diving board", "waiting at the end of the springboard", "raising the arms on the board"),
        ((180, 172, 176, 184, 182, 2, 0, -2, -2), (182, 90, 92, 86, 90, 4, -2, 0, -4)),
        ("ground", 0.62),
        ("divingboard", "pool_low"),
    ),
    "enter_water": Action(
        ("diving into the water head first", "entering the water with a splash", "plunging hands first into the pool"),
        ((2, -2, 0, 2, 0, 182, 180, 178, 178), (10, 4, 4, 8, 6, 190, 190, 186, 188)),
        ("hip", 1.0),
        ("pool_high", "splash"),
    ),
    "celebrate": Action(
        ("celebrating with raised fists", "throwing both arms up in joy", "cheering with the arms in the air"),
        ((182, 145, 170, 215, 190, 18, 4, -18, -8), (184, 130, 165, 230, 195, 24, 8, -24, -14)),
        props=("confetti",),
        cycle=1.2,
    ),
    # --- ball games ------------------------------------------------------------------------------
    "dribble": Action(
        ("bouncing the ball with one hand", "dribbling the ball on the floor", "pushing the basketball down"),
        ((165, 45, 60, -20, 25, 30, -25, -10, -35), (165, 40, 25, -15, 30, 40, -25, 0, -40)),
        props=("court", "bounceball"),
        cycle=1.8,
        travel=1.0,
    ),
    "shoot_ball": Action(
        ("shooting the ball at the hoop", "releasing the ball above the head towards the basket", "a jump shot"),
        ((178, 140, 185, 130, 190, 8, -8, -2, -18), (180, 150, 150, 145, 150, 2, -6, -8, -20)),
        ("ground", 0.15),
        ("court", "hoop", "overheadball"),
    ),
    "dunk": Action(
        ("slamming the ball into the hoop", "hanging on the rim after a dunk", "stuffing the ball through the rim"),
        ((172, 152, 158, 40, 70, 30, -60, -5, -50), (176, 158, 160, 30, 60, 40, -70, 5, -60)),
        ("hands1", 2.15),
        ("court", "rim", "rimball"),
    ),
    "kick_ball": Action(
        ("kicking the ball with the foot", "striking the soccer ball", "swinging the leg through the ball"),
        ((188, -50, -20, 70, 60, 60, 55, -12, -14), (200, -70, -40, 60, 50, 88, 84, -14, -18)),
        props=("grass", "kickedball"),
    ),
    "knee_ball": Action(
        ("bouncing the ball on the knee", "juggling the soccer ball with the thigh", "lifting the knee under the ball"),
        ((184, -50, -60, 55, 60, 92, 2, -4, -4), (188, -60, -65, 60, 68, 80, -5, -4, -4)),
        props=("grass", "kneeball"),
        cycle=1.5,
    ),
    # --- kitchen ---------------------------------------------------------------------------------
    "roll_dough": Action(
        ("rolling out the dough", "flattening the dough with a rolling pin", "pushing the rolling pin over the table"),
        ((158, 35, 62, 28, 55, 6, 0, -8, -8), (148, 62, 66, 56, 62, 8, 2, -12, -12)),
        props=("table", "rollingpin"),
        cycle=0.9,
    ),
    "spread_sauce": Action(
        (
            "spreading sauce on the round base",
            "putting toppings on the pizza base",
            "covering the flat disc with tomato",
        ),
        ((168, 40, 75, 10, 40, 4, 0, -6, -6), (164, 50, 82, 14, 45, 6, 0, -6, -8)),
        props=("table", "pizzabase"),
        cycle=0.9,
    ),
    "cut_cookies": Action(
        (
            "cutting small rounds out of the dough",
            "placing little cookies on a tray",
            "laying out rows of small pieces",
        ),
        ((166, 35, 50, 28, 40, 4, 0, -6, -6), (160, 45, 55, 40, 48, 6, 0, -6, -8)),
        props=("table", "tray"),
        cycle=0.9,
    ),
    "open_oven": Action(
        ("pushing the tray into the oven", "bending down to the open oven", "opening the hot oven"),
        ((125, 60, 82, 55, 78, 45, -30, 30, -35), (112, 66, 84, 60, 80, 55, -35, 40, -38)),
        props=("oven",),
    ),
    # --- nothing in particular -------------------------------------------------------------------
    "stand": Action(
        ("standing around", "a person just standing", "waiting with hanging arms"),
        (STAND, (182, 14, 20, -4, 6, 2, 0, -2, -2)),
    ),
}


@dataclass
class Figure:
    """Joint positions (body units, y up) of one pose; ``scenery`` is how far the ground has moved."""

    joints: dict[str, Point]
    props: tuple[str, ...]
    phase: float
    scenery: float = 0.0


def _step(p: Point, angle: float, length: float) -> Point:
    a = math.radians(angle)
    return p[0] + length * math.sin(a), p[1] - length * math.cos(a)


def interpolate(keys: tuple[tuple[float, ...], ...], t: float) -> list[float]:
    """The pose at position ``t`` in [0, 1] along the key poses."""
    if len(keys) == 1:
        return list(keys[0])
    s = min(max(t, 0.0), 1.0) * (len(keys) - 1)
    i = min(int(s), len(keys) - 2)
    w = s - i
    return [a + w * (b - a) for a, b in zip(keys[i], keys[i + 1], strict=True)]


def figure(
    name: str, seconds: float, duration: float, offset: float = 0.0, wobble: tuple[float, ...] = (0.0,) * 9
) -> Figure:
    """The figure of action ``name`` at ``seconds`` into a segment lasting ``duration`` seconds.

    ``offset`` in [0, 1] shifts the phase (so two videos do not move alike), ``wobble`` adds degrees to each angle.
    """
    action = ACTIONS[name]
    if action.cycle:
        x = (seconds * action.cycle + offset) % 1.0
        t = 1.0 - abs(2.0 * x - 1.0)
    else:
        t = 0.15 * offset + 0.85 * seconds / max(duration, 1e-6)
    t = min(max(t, 0.0), 1.0)
    torso, u1, f1, u2, f2, t1, s1, t2, s2 = (a + w for a, w in zip(interpolate(action.keys, t), wobble, strict=True))
    turn = action.turn[0] + t * (action.turn[1] - action.turn[0])
    j: dict[str, Point] = {"hip": (0.0, 0.0)}
    j["neck"] = _step(j["hip"], torso + turn, TORSO)
    j["head"] = _step(j["neck"], torso + turn, NECK)
    for k, u, f in (("1", u1, f1), ("2", u2, f2)):
        j["elbow" + k] = _step(j["neck"], u + turn, UPPER)
        j["hand" + k] = _step(j["elbow" + k], f + turn, FORE)
    for k, th, sh in (("1", t1, s1), ("2", t2, s2)):
        j["knee" + k] = _step(j["hip"], th + turn, THIGH)
        j["foot" + k] = _step(j["knee" + k], sh + turn, SHIN)
    how, height = action.place
    if how == "ground":
        dy = height - min(p[1] for p in j.values())
    elif how == "hip":
        dy = height
    elif how == "hands":
        dy = height - (j["hand1"][1] + j["hand2"][1]) / 2
    else:  # "hands1"
        dy = height - j["hand1"][1]
    joints = {k: (x, y + dy) for k, (x, y) in j.items()}
    return Figure(joints, action.props, t, seconds * action.travel)
