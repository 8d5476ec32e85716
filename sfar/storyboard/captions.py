"""Captions to train the storyboard CLIP with: as on the web, some name the activity and some the atomic action."""

from __future__ import annotations

import numpy as np

from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.scripts import ACTIVITIES

# Other ways to say the same, beside the captions in poses.py.
MORE: dict[str, tuple[str, ...]] = {
    "sprint": ("sprint down the runway", "run fast to gain speed", "an athlete in a fast approach run"),
    "crouch_start": (
        "crouch at the start line",
        "get set in the blocks",
        "an athlete on the blocks, hands on the track",
    ),
    "takeoff": ("take off from the ground", "jump up with the arms high", "spring upward from one leg"),
    "flight_legs": (
        "fly through the air with legs extended",
        "extend legs forward in the air",
        "legs out in front during the flight",
    ),
    "land_sand": ("land in the sand", "touch down in the sand pit", "sand spraying around the feet"),
    "hop": ("hop forward on one foot", "bound on one leg", "hop and keep the other leg back"),
    "clear_hurdle": (
        "jump over the hurdle",
        "step over the barrier with the lead leg",
        "a hurdle under the stretched leg",
    ),
    "arch_bar": ("arch the back over the bar", "clear the crossbar", "cross the high crossbar with the back down"),
    "lie_mat": ("fall on the soft mat", "land on the back on the mat", "lie on the landing mat"),
    "run_pole": ("run with the pole", "approach carrying a long pole", "hold the long pole while running"),
    "swing_pole": ("swing up on the pole", "hang upside down from the pole", "bend the pole and rise feet first"),
    "grip_barbell": ("grip the barbell", "bend down and grab the bar on the floor", "lift the weight from the ground"),
    "barbell_hips": (
        "hold the bar at the hips",
        "stand up straight with the weight hanging in the hands",
        "pull the bar to the thighs",
    ),
    "barbell_shoulders": (
        "rest the bar on the shoulders",
        "rack the weight at the chest",
        "hold the bar at shoulder height",
    ),
    "barbell_squat": (
        "squat down with the bar",
        "bend the knees deep under the weight",
        "sit low with the bar on the shoulders",
    ),
    "barbell_overhead": (
        "lift the bar overhead",
        "press the weight above the head",
        "hold the weight high with straight arms",
    ),
    "hang_bar": ("hang from the bar", "grip the high bar and hang with straight arms", "hang below the bar"),
    "chin_bar": ("pull the body up to the bar", "raise the chin over the bar", "bend the arms and pull up"),
    "swing_bar": ("swing around the bar", "turn upside down over the bar", "circle around the horizontal bar"),
    "somersault": ("flip in the air", "tuck and rotate in the air", "a fast somersault with bent knees"),
    "crouch_land": (
        "land on both feet with bent knees",
        "land in a low crouch on the mat",
        "touch down and bend the knees",
    ),
    "handstand": ("stand on the hands", "kick up into a handstand", "place the hands on the mat and turn upside down"),
    "stand_board": ("stand on the board", "stand at the edge of the diving board", "raise the arms before the dive"),
    "enter_water": ("enter the water", "dive into the pool", "splash into the water"),
    "celebrate": ("celebrate with the arms up", "raise the arms and cheer", "a winner with raised arms"),
    "dribble": ("dribble the ball", "bounce the basketball on the floor", "a hand pushing the ball down"),
    "shoot_ball": ("shoot the ball", "throw the ball to the basket", "aim at the hoop with both hands"),
    "dunk": ("dunk the ball", "slam the basketball through the hoop", "grab the rim with one hand"),
    "kick_ball": ("kick the ball", "strike the ball with the foot", "a soccer ball leaving the foot"),
    "knee_ball": ("bounce the ball on the thigh", "keep the ball up with the knee", "a soccer ball above the knee"),
    "roll_dough": ("roll the dough", "flatten the dough on the table", "hands on a rolling pin"),
    "spread_sauce": ("spread the sauce", "add tomato and cheese on the dough", "a round pizza base with red sauce"),
    "cut_cookies": ("cut out the cookies", "place the cookies on the tray", "small round cookies on a tray"),
    "open_oven": ("put the tray in the oven", "bake in the hot oven", "slide it into the oven"),
    "stand": ("stand still", "wait and do nothing", "a person waiting"),
}

ACTION_TEMPLATES = ("{}", "{}", "{}", "a person {}", "a photo of {}", "someone {}", "{} in a video")
CLASS_TEMPLATES = (
    "This is a video about {}",
    "This is a video about {}",
    "a video of {}",
    "{}",
    "a photo of a {}",
    "a person doing {}",
)


def action_phrases(action: str) -> tuple[str, ...]:
    """All bare phrases for one atomic action."""
    return ACTIONS[action].captions + MORE[action]


def action_caption(action: str, rng: np.random.Generator) -> str:
    """A random caption that names the atomic action."""
    phrases = action_phrases(action)
    return str(rng.choice(ACTION_TEMPLATES)).format(phrases[int(rng.integers(len(phrases)))])


def activity_caption(activity: str, rng: np.random.Generator) -> str:
    """A random caption that names the activity."""
    if activity not in ACTIVITIES:
        raise KeyError(activity)
    return str(rng.choice(CLASS_TEMPLATES)).format(activity)
