"""The activities of the storyboard world: each is a script of atomic actions with unequal durations.

Names are taken from real action data sets. Scripts share atomic actions on purpose (*ambiguous* classes: a long jump
and a triple jump differ in one of them) and give some a tenth of the time or less (*momentary*). The share behind each
action is its part of the video's relevant frames.
"""

from __future__ import annotations

from sfar.storyboard.poses import ACTIONS

Script = tuple[tuple[str, float], ...]

# The Kinetics-like supervised set.
KINETICS: dict[str, Script] = {
    "long jump": (("sprint", .48), ("takeoff", .08), ("flight_legs", .16), ("land_sand", .28)),
    "triple jump": (("sprint", .40), ("hop", .25), ("flight_legs", .08), ("land_sand", .27)),
    "hurdling": (("crouch_start", .28), ("sprint", .47), ("clear_hurdle", .25)),
    "sprint race": (("crouch_start", .28), ("sprint", .57), ("celebrate", .15)),
    "high jump": (("sprint", .45), ("takeoff", .08), ("arch_bar", .12), ("lie_mat", .35)),
    "pole vault": (("run_pole", .42), ("swing_pole", .13), ("arch_bar", .10), ("lie_mat", .35)),
    "clean and jerk": (("grip_barbell", .32), ("barbell_squat", .06), ("barbell_shoulders", .30), ("barbell_overhead", .32)),
    "snatch weight lifting": (("grip_barbell", .42), ("barbell_hips", .06), ("barbell_overhead", .52)),
    "deadlifting": (("grip_barbell", .50), ("barbell_hips", .50)),
    "front squat": (("barbell_shoulders", .48), ("barbell_squat", .52)),
    "overhead press": (("barbell_shoulders", .52), ("barbell_overhead", .48)),
    "pull ups": (("hang_bar", .58), ("chin_bar", .42)),
    "horizontal bar": (("hang_bar", .45), ("swing_bar", .30), ("somersault", .07), ("crouch_land", .18)),
    "gymnastics tumbling": (("sprint", .36), ("handstand", .28), ("somersault", .10), ("crouch_land", .26)),
    "somersaulting": (("takeoff", .22), ("somersault", .26), ("crouch_land", .52)),
    "cartwheeling": (("handstand", .46), ("crouch_land", .34), ("celebrate", .20)),
    "springboard diving": (("stand_board", .52), ("somersault", .10), ("enter_water", .38)),
    "jumping into pool": (("stand_board", .48), ("takeoff", .10), ("enter_water", .42)),
    "dribbling basketball": (("dribble", .72), ("sprint", .28)),
    "shooting basketball": (("dribble", .58), ("shoot_ball", .42)),
    "dunking basketball": (("dribble", .60), ("takeoff", .10), ("dunk", .30)),
    "shooting goal": (("sprint", .50), ("kick_ball", .12), ("celebrate", .38)),
    "juggling soccer ball": (("knee_ball", .66), ("kick_ball", .34)),
    "making pizza": (("roll_dough", .45), ("spread_sauce", .33), ("open_oven", .22)),
    "baking cookies": (("roll_dough", .45), ("cut_cookies", .33), ("open_oven", .22)),
}

# Unseen classes for zero-shot and few-shot work, in the layouts of UCF-101 and HMDB-51.
UCF: dict[str, Script] = {
    "floor gymnastics": (("handstand", .40), ("somersault", .12), ("celebrate", .48)),
    "uneven bars": (("hang_bar", .30), ("swing_bar", .40), ("handstand", .30)),
    "handstand walking": (("handstand", .82), ("crouch_land", .18)),
    "cliff diving": (("takeoff", .30), ("somersault", .30), ("enter_water", .40)),
    "trampoline jumping": (("takeoff", .40), ("somersault", .20), ("flight_legs", .40)),
    "soccer penalty": (("kick_ball", .30), ("celebrate", .70)),
    "basketball game": (("dribble", .40), ("shoot_ball", .35), ("celebrate", .25)),
    "pizza tossing": (("roll_dough", .40), ("spread_sauce", .60)),
    "weight squats": (("barbell_squat", .70), ("barbell_hips", .30)),
    "pole run": (("run_pole", .80), ("crouch_start", .20)),
}
HMDB: dict[str, Script] = {
    "run": (("crouch_start", .20), ("sprint", .80)),
    "jump": (("takeoff", .45), ("flight_legs", .20), ("crouch_land", .35)),
    "flic flac": (("sprint", .30), ("handstand", .50), ("takeoff", .20)),
    "dive": (("sprint", .30), ("enter_water", .70)),
    "climb": (("hang_bar", .45), ("chin_bar", .30), ("celebrate", .25)),
    "kick ball": (("sprint", .65), ("kick_ball", .35)),
    "cook": (("cut_cookies", .45), ("spread_sauce", .30), ("open_oven", .25)),
    "lift": (("grip_barbell", .35), ("barbell_hips", .35), ("barbell_shoulders", .30)),
    "hop": (("hop", .80), ("crouch_land", .20)),
    "fall floor": (("flight_legs", .20), ("lie_mat", .80)),
}

ACTIVITIES: dict[str, Script] = {**KINETICS, **UCF, **HMDB}


def check_scripts() -> None:
    """Raise ``ValueError`` if a script names an unknown action or its shares do not add up to one."""
    for name, script in ACTIVITIES.items():
        unknown = [a for a, _ in script if a not in ACTIONS]
        if unknown or abs(sum(s for _, s in script) - 1.0) > 1e-6:
            raise ValueError(f"script of {name!r}: unknown actions {unknown}, shares add to {sum(s for _, s in script)}")


def true_ambiguity(scripts: dict[str, Script]) -> dict[str, float]:
    """How ambiguous each class truly is: the largest share of its time that one other class could show, in [0, 1]."""
    actions = {c: {a for a, _ in s} for c, s in scripts.items()}
    return {c: max(sum(w for a, w in s if a in actions[o]) for o in scripts if o != c) for c, s in scripts.items()}


def irrelevant_pool(activity: str) -> list[str]:
    """The atomic actions unrelated to ``activity``: everything its script does not name."""
    own = {a for a, _ in ACTIVITIES[activity]}
    return [a for a in ACTIONS if a not in own]
