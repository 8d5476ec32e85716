"""The activities of the storyboard world: each is a script of atomic actions with unequal durations.

Names are taken from real action data sets. Scripts share atomic actions on purpose (*ambiguous* classes: a long jump
and a triple jump differ in one of them) and give some a tenth of the time or less (*momentary*). The share behind each
action is its part of the video's relevant frames.
"""

from __future__ import annotations

Script = tuple[tuple[str, float], ...]

# The Kinetics-like supervised set.
KINETICS: dict[str, Script] = {
    "long jump": (("sprint", 0.48), ("takeoff", 0.08), ("flight_legs", 0.16), ("land_sand", 0.28)),
    "triple jump": (("sprint", 0.40), ("hop", 0.25), ("flight_legs", 0.08), ("land_sand", 0.27)),
    "hurdling": (("crouch_start", 0.28), ("sprint", 0.47), ("clear_hurdle", 0.25)),
    "sprint race": (("crouch_start", 0.28), ("sprint", 0.57), ("celebrate", 0.15)),
    "high jump": (("sprint", 0.45), ("takeoff", 0.08), ("arch_bar", 0.12), ("lie_mat", 0.35)),
    "pole vault": (("run_pole", 0.42), ("swing_pole", 0.13), ("arch_bar", 0.10), ("lie_mat", 0.35)),
    "clean and jerk": (
        ("grip_barbell", 0.32),
        ("barbell_squat", 0.06),
        ("barbell_shoulders", 0.30),
        ("barbell_overhead", 0.32),
    ),
    "snatch weight lifting": (("grip_barbell", 0.42), ("barbell_hips", 0.06), ("barbell_overhead", 0.52)),
    "deadlifting": (("grip_barbell", 0.50), ("barbell_hips", 0.50)),
    "front squat": (("barbell_shoulders", 0.48), ("barbell_squat", 0.52)),
    "overhead press": (("barbell_shoulders", 0.52), ("barbell_overhead", 0.48)),
    "pull ups": (("hang_bar", 0.58), ("chin_bar", 0.42)),
    "horizontal bar": (("hang_bar", 0.45), ("swing_bar", 0.30), ("somersault", 0.07), ("crouch_land", 0.18)),
    "gymnastics tumbling": (("sprint", 0.36), ("handstand", 0.28), ("somersault", 0.10), ("crouch_land", 0.26)),
    "somersaulting": (("takeoff", 0.22), ("somersault", 0.26), ("crouch_land", 0.52)),
    "cartwheeling": (("handstand", 0.46), ("crouch_land", 0.34), ("celebrate", 0.20)),
    "springboard diving": (("stand_board", 0.52), ("somersault", 0.10), ("enter_water", 0.38)),
    "jumping into pool": (("stand_board", 0.48), ("takeoff", 0.10), ("enter_water", 0.42)),
    "dribbling basketball": (("dribble", 0.72), ("sprint", 0.28)),
    "shooting basketball": (("dribble", 0.58), ("shoot_ball", 0.42)),
    "dunking basketball": (("dribble", 0.60), ("takeoff", 0.10), ("dunk", 0.30)),
    "shooting goal": (("sprint", 0.50), ("kick_ball", 0.12), ("celebrate", 0.38)),
    "juggling soccer ball": (("knee_ball", 0.66), ("kick_ball", 0.34)),
    "making pizza": (("roll_dough", 0.45), ("spread_sauce", 0.33), ("open_oven", 0.22)),
    "baking cookies": (("roll_dough", 0.45), ("cut_cookies", 0.33), ("open_oven", 0.22)),
}

# Unseen classes for zero-shot and few-shot work, in the layouts of UCF-101 and HMDB-51.
UCF: dict[str, Script] = {
    "floor gymnastics": (("handstand", 0.40), ("somersault", 0.12), ("celebrate", 0.48)),
    "uneven bars": (("hang_bar", 0.30), ("swing_bar", 0.40), ("handstand", 0.30)),
    "handstand walking": (("handstand", 0.82), ("crouch_land", 0.18)),
    "cliff diving": (("takeoff", 0.30), ("somersault", 0.30), ("enter_water", 0.40)),
    "trampoline jumping": (("takeoff", 0.40), ("somersault", 0.20), ("flight_legs", 0.40)),
    "soccer penalty": (("kick_ball", 0.30), ("celebrate", 0.70)),
    "basketball game": (("dribble", 0.40), ("shoot_ball", 0.35), ("celebrate", 0.25)),
    "pizza tossing": (("roll_dough", 0.40), ("spread_sauce", 0.60)),
    "weight squats": (("barbell_squat", 0.70), ("barbell_hips", 0.30)),
    "pole run": (("run_pole", 0.80), ("crouch_start", 0.20)),
}
HMDB: dict[str, Script] = {
    "run": (("crouch_start", 0.20), ("sprint", 0.80)),
    "jump": (("takeoff", 0.45), ("flight_legs", 0.20), ("crouch_land", 0.35)),
    "flic flac": (("sprint", 0.30), ("handstand", 0.50), ("takeoff", 0.20)),
    "dive": (("sprint", 0.30), ("enter_water", 0.70)),
    "climb": (("hang_bar", 0.45), ("chin_bar", 0.30), ("celebrate", 0.25)),
    "kick ball": (("sprint", 0.65), ("kick_ball", 0.35)),
    "cook": (("cut_cookies", 0.45), ("spread_sauce", 0.30), ("open_oven", 0.25)),
    "lift": (("grip_barbell", 0.35), ("barbell_hips", 0.35), ("barbell_shoulders", 0.30)),
    "hop": (("hop", 0.80), ("crouch_land", 0.20)),
    "fall floor": (("flight_legs", 0.20), ("lie_mat", 0.80)),
}

ACTIVITIES: dict[str, Script] = {**KINETICS, **UCF, **HMDB}
