"""What models really answer to the prompts of Table 6, and the exact sub-texts in it.

What is none is refused, never turned into a list that looks right.
"""

import json
import random
import re
import signal
import string

import pytest
from loopback import forms

from sfar.errors import SfarError
from sfar.subtexts import SubTexts
from sfar.subtexts.parse import ParseError, clean, parse
from sfar.subtexts.texts import bank_names

JUMP = [
    "sprinting down the runway",
    "planting one foot on the board and pushing off",
    "flying through the air with both legs forward",
    "landing in the sand with both heels first",
]
TWO = JUMP[:2]
STARTS = [f"This action is {t}." for t in JUMP]


def case(name, raw, *expected):
    return pytest.param(raw, list(expected), id=name)


def lines(form, texts=JUMP, sep="\n"):
    """A list in one notation: ``form`` with {i}, {t}, {T} (capital first letter), {a} (letter), {r} (Roman number)."""
    return sep.join(
        form.format(
            i=i,
            t=t,
            T=t[0].upper() + t[1:],
            a="abcdef"[i - 1],
            A="ABCDEF"[i - 1],
            r=["i", "ii", "iii", "iv", "v", "vi"][i - 1],
        )
        for i, t in enumerate(texts, 1)
    )


# --- answers with exactly N sub-texts ---

GPT_4O = [
    case(
        "headings and text",
        """### Step 1: Approach Run
This action is the athlete sprinting down the runway with long, even strides to build speed.

### Step 2: Takeoff
This action is planting the stronger foot on the board and driving the other knee upward.

### Step 3: Flight
This action is cycling the legs in the air while the arms swing forward.

### Step 4: Landing
This action is extending both heels into the sand and falling forward past the mark.""",
        "the athlete sprinting down the runway with long, even strides to build speed",
        "planting the stronger foot on the board and driving the other knee upward",
        "cycling the legs in the air while the arms swing forward",
        "extending both heels into the sand and falling forward past the mark",
    ),
    case(
        "bold titles inside a numbered list",
        """1. **Approach Run**: This action is accelerating down the runway with an upright posture.
2. **Takeoff**: This action is converting horizontal speed into height off one leg.
3. **Flight**: This action is hanging in the air with an arched back.
4. **Landing**: This action is reaching forward with both feet into the pit.""",
        "accelerating down the runway with an upright posture",
        "converting horizontal speed into height off one leg",
        "hanging in the air with an arched back",
        "reaching forward with both feet into the pit",
    ),
    case(
        "bold step headings, text below a blank line",
        """**Step 1: Preparation**

This action is gripping the barbell with both hands at shoulder width.

**Step 2: Lift**

This action is pulling the barbell from the floor to the thighs.

**Step 3: Clean**

This action is dropping under the bar and catching it on the shoulders.

**Step 4: Jerk**

This action is thrusting the bar overhead with locked arms.""",
        "gripping the barbell with both hands at shoulder width",
        "pulling the barbell from the floor to the thighs",
        "dropping under the bar and catching it on the shoulders",
        "thrusting the bar overhead with locked arms",
    ),
    case(
        "long headings, text below a blank line",
        """### Step 1: Positioning the Body Under the Bar

This action is standing below the bar and reaching up with both arms.

### Step 2: Pulling Up With the Back

This action is drawing the elbows down until the chin passes the bar.

### Step 3: Lowering in a Controlled Way

This action is straightening the arms slowly back to a full hang.""",
        "standing below the bar and reaching up with both arms",
        "drawing the elbows down until the chin passes the bar",
        "straightening the arms slowly back to a full hang",
    ),
    case(
        "long bold headings, text on the next line",
        """**Movement 1: The Initial Approach and Acceleration**
This action is running toward the line with the ball held high.

**Movement 2: The Final Jump and Throw**
This action is leaping over the goal area and whipping the ball low.""",
        "running toward the line with the ball held high",
        "leaping over the goal area and whipping the ball low",
    ),
    case(
        "summary under its own heading",
        """1. **Reach** – This action is stretching one arm toward the ceiling.
2. **Hold** – This action is keeping the body still on one leg.
3. **Return** – This action is lowering the foot to the mat.

### Summary
This action is a balance of reach, stillness and return.""",
        "stretching one arm toward the ceiling",
        "keeping the body still on one leg",
        "lowering the foot to the mat",
    ),
    case(
        "headings without numbers and a summary",
        """### Approach
This action is running up to the bar in a curve.

### Clearance
This action is arching the back over the bar.

### Summary
This action is a fluid transition from speed to height.""",
        "running up to the bar in a curve",
        "arching the back over the bar",
    ),
    case(
        "summary that begins like an item",
        """1. **Grip:** This action is wrapping the fingers around the club.
2. **Backswing:** This action is turning the shoulders away from the ball.
3. **Downswing:** This action is unwinding the hips through the ball.
4. **Follow-through:** This action is finishing high with the weight on the front foot.

**Summary:** This action is a chain of rotations that sends the ball toward the target.""",
        "wrapping the fingers around the club",
        "turning the shoulders away from the ball",
        "unwinding the hips through the ball",
        "finishing high with the weight on the front foot",
    ),
    case(
        "importance below each phase",
        """### Phase 1: Setup
**This action is** placing both hands flat on the floor.

- **Importance:** A stable base protects the wrists.

### Phase 2: Kick-Up
**This action is** swinging one leg up until the hips are over the hands.

- **Importance:** Momentum replaces strength.""",
        "placing both hands flat on the floor",
        "swinging one leg up until the hips are over the hands",
    ),
    case(
        "perspectives as bullets",
        """- **Biomechanical Perspective:** This action is a coordinated extension of hip, knee and ankle.
- **Visual Perspective:** This action is a body rising vertically above the floor.
- **Tactical Perspective:** This action is a means to reach the ball before the opponent.
- **Temporal Perspective:** This action is a brief burst that lasts less than a second.

In summary, jumping is a short, explosive and visible movement.""",
        "a coordinated extension of hip, knee and ankle",
        "a body rising vertically above the floor",
        "a means to reach the ball before the opponent",
        "a brief burst that lasts less than a second",
    ),
    case(
        "summarizing statement in bold",
        """**1. Physical Perspective:** This action is bringing a filled glass to the lips.

**2. Functional Perspective:** This action is taking in liquid to still thirst.

**Summarizing Statement:** This action is a simple gesture that meets a basic need.""",
        "bringing a filled glass to the lips",
        "taking in liquid to still thirst",
    ),
    case(
        "paragraphs and a summarizing statement in bold",
        """This action is bringing a filled glass to the lips.

This action is taking in liquid to still thirst.

**Summarizing Statement:** This action is a simple gesture that meets a basic need.""",
        "bringing a filled glass to the lips",
        "taking in liquid to still thirst",
    ),
    case(
        "nested bullets below a full item",
        """1. This action is kneeling in the starting blocks.
   - The fingers form a bridge behind the line.
   - The hips rise on the command.
2. This action is driving out of the blocks with short steps.
   - The body leans forward at 45 degrees.
   - The arms pump from hip to cheek.""",
        "kneeling in the starting blocks",
        "driving out of the blocks with short steps",
    ),
    case(
        "horizontal rules",
        """**Step 1:** This action is soaking the brush.

---

**Step 2:** This action is spreading lather over the cheek.

---

**Step 3:** This action is drawing the razor downward.""",
        "soaking the brush",
        "spreading lather over the cheek",
        "drawing the razor downward",
    ),
    case(
        "two sentences an item",
        """1. **Stance**: This action is standing with one shoulder toward the target. It lines up the body.
2. **Draw**: This action is pulling the string to the chin. It loads the bow.""",
        "standing with one shoulder toward the target. It lines up the body",
        "pulling the string to the chin. It loads the bow",
    ),
    case(
        "offer at the end",
        lines("{i}. **Stage {i}:** This action is {t}.") + "\n\nLet me know if you'd like a version for another sport!",
        *JUMP,
    ),
    case("keycap numbers", lines("{i}\ufe0f\u20e3 This action is {t}."), *JUMP),
    case(
        "markdown table",
        "| Step | Description |\n|------|-------------|\n" + lines("| {i} | This action is {t}. |"),
        *JUMP,
    ),
]

GPT_35 = [
    case("plain numbers", lines("{i}. This action is {t}."), *JUMP),
    case("Step 1:", lines("Step {i}: This action is {t}."), *JUMP),
    case("Step 1 - Title:", lines("Step {i} - Part: This action is {t}.", sep="\n\n"), *JUMP),
    case(
        "paragraphs and a summary",
        """This action is characterized by a quick bend of the knees.

This action is marked by an explosive push against the ground.

This action is defined by a short moment of weightlessness.

This action is completed by a soft landing on both feet.

In summary, a jump combines bending, pushing, floating and landing into one movement.""",
        "characterized by a quick bend of the knees",
        "marked by an explosive push against the ground",
        "defined by a short moment of weightlessness",
        "completed by a soft landing on both feet",
    ),
    case("one paragraph", " ".join(STARTS), *JUMP),
    case(
        "one paragraph with explanations and a summary",
        "This action is lifting the cup. It needs a firm grip. This action is tilting it toward the mouth. The wrist "
        "turns. Overall, drinking is simple.",
        "lifting the cup. It needs a firm grip",
        "tilting it toward the mouth. The wrist turns",
    ),
    case(
        "ordinal words",
        lines("{T}")
        .replace("Sprinting", "First, this action is sprinting")
        .replace("Planting", "Second, this action is planting")
        .replace("Flying", "Third, this action is flying")
        .replace("Landing", "Fourth, this action is landing"),
        *JUMP,
    ),
    case(
        "summary on the next line",
        lines("{i}. This action is {t}.") + "\nOverall, these movements make up the long jump.",
        *JUMP,
    ),
    case(
        "summary counted as item 5",
        lines("{i}. This action is {t}.")
        + "\n5. In summary, this action is a sequence of running, jumping and landing.",
        *JUMP,
    ),
    case(
        "summary as item 5 under a title",
        lines("{i}. **Step**: This action is {t}.")
        + "\n5. **Summary**: Together they carry the athlete as far as possible.",
        *JUMP,
    ),
    case("words quoted from the prompt", lines("{i}. 'This action is' {t}."), *JUMP),
    case("whole items in quotes", lines('{i}. "This action is {t}."'), *JUMP),
    case("curly quotes", lines("{i}. “This action is {t}.”"), *JUMP),
    case("colon after the words", lines("{i}. This action is: {t}."), *JUMP),
    case("written in capitals", lines("{i}. THIS ACTION IS {t}."), *JUMP),
    case("blank lines between items", lines("{i}. This action is {t}.", sep="\n\n\n"), *JUMP),
    case(
        "bare phrases",
        "1. Selecting a drink.\n2. Pouring the drink.\n3. Raising the drink to the lips.\n4. Swallowing the drink.",
        "Selecting a drink",
        "Pouring the drink",
        "Raising the drink to the lips",
        "Swallowing the drink",
    ),  # Figure 8 (a)
    case(
        "single words", "1. Preparing\n2. Takeoff\n3. Flight\n4. Entry", "Preparing", "Takeoff", "Flight", "Entry"
    ),  # as in Figure 4
]

LLAMA_2 = [
    case(
        "chatty",
        "  Sure! Here are the four steps to perform a long jump:\n\n"
        + lines("{i}. This action is {t}.")
        + "\n\nI hope this helps! Let me know if you have any other questions.",
        *JUMP,
    ),
    case(
        "Great!",
        "Great! Here's a detailed breakdown of the action:\n\n1. Grip: This action is holding the handle with both "
        "hands.\n\n2. Swing: This action is moving the axe in an arc.",
        "holding the handle with both hands",
        "moving the axe in an arc",
    ),
    case(
        "titles above their text",
        """Step 1: Approach
This action is running toward the vault.

Step 2: Contact
This action is pushing off the table with both hands.

Step 3: Dismount
This action is landing upright on the mat.""",
        "running toward the vault",
        "pushing off the table with both hands",
        "landing upright on the mat",
    ),
    case("round bullets", lines("• This action is {t}."), *JUMP),
    case("round bullets without a blank", lines("•{T}"), *[t[0].upper() + t[1:] for t in JUMP]),
    case("stars", lines("* This action is {t}."), *JUMP),
    case("pluses", lines("+ {t}", TWO), *TWO),
    case("dashes", lines("– {t}"), *JUMP),
    case("brackets on both sides", lines("({i}) {t}"), *JUMP),
    case(
        "Figure 8",
        "Holding a drink.\nBringing the drink to the mouth.\nSipping the drink.\nSwallowing the drink.",
        "Holding a drink",
        "Bringing the drink to the mouth",
        "Sipping the drink",
        "Swallowing the drink",
    ),
    case(
        "emphasis in the middle",
        "1. *Bending* the knees **deeply** before the jump\n2. Swinging _both_ arms upward",
        "Bending the knees deeply before the jump",
        "Swinging both arms upward",
    ),
]

PHI_3 = [
    case("one bracket", lines("{i}) {T}."), *[t[0].upper() + t[1:] for t in JUMP]),
    case("title and dash", lines("Step {i}: Motion - This action is {t}."), *JUMP),
    case("roman", lines("{r}. {t}"), *JUMP),
    case("letters", lines("{a}) {t}"), *JUMP),
    case("capital letters", lines("{A}. This action is {t}."), *JUMP),
    case(
        "Phase One",
        "Phase One: This action is crouching.\nPhase Two: This action is springing up.\nPhase Three: This action is "
        "landing.",
        "crouching",
        "springing up",
        "landing",
    ),
    case(
        "phrases in the imperative",
        "1. Pick up the glass.\n2. Bring the glass to your mouth.\n3. Allow the liquid to flow into your mouth.\n4. "
        "Swallow the liquid.",
        "Pick up the glass",
        "Bring the glass to your mouth",
        "Allow the liquid to flow into your mouth",
        "Swallow the liquid",
    ),  # Figure 8 (a)
    case(
        "step as a verb",
        "1. Step one foot onto the board.\n2. Step a leg over the rope.\n3. Push off with the other foot.",
        "Step one foot onto the board",
        "Step a leg over the rope",
        "Push off with the other foot",
    ),
    case(
        "part as a verb",
        "- Part one section of hair from the rest.\n- Part a second strand below it.",
        "Part one section of hair from the rest",
        "Part a second strand below it",
    ),
    case("end token left in", lines("{i}. {t}.") + "<|end|>", *JUMP),
]

MISTRAL = [
    case("leading blank", " " + lines("{i}. {t}"), *JUMP),
    case(
        "First step:",
        "First step: This action is filling the kettle.\nSecond step: This action is switching it on.",
        "filling the kettle",
        "switching it on",
    ),
    case("one line with numbers", lines("{i}. {t}.", sep=" "), *JUMP),
    case("one line with brackets", lines("({i}) {t}", sep=", "), *JUMP),
    case(
        "CRLF",
        "Here are the steps:\r\n\r\n"
        + lines("{i}. This action is {t}.", sep="\r\n")
        + "\r\n\r\nIn conclusion, it is a jump.\r\n",
        *JUMP,
    ),
    case("CRLF headings", lines("### Step {i}\r\nThis action is {t}.", sep="\r\n\r\n"), *JUMP),
    case("blank that does not break", lines("{i}.\u00a0This action is {t}."), *JUMP),
    case(
        "wrapped lines",
        "1. This action is walking backward down the rock\n   wall with the rope running through the belay device\n2. "
        "This action is looking over one shoulder\n   for the next foothold",
        "walking backward down the rock wall with the rope running through the belay device",
        "looking over one shoulder for the next foothold",
    ),
    case(
        "wrapped sentences without numbers",
        "This action is walking backward down the rock\nwall with a rope\nThis action is looking over one shoulder\n"
        "for a foothold",
        "walking backward down the rock wall with a rope",
        "looking over one shoulder for a foothold",
    ),
    case("tabs", lines("{i}.\t{t}"), *JUMP),
]

QWEN = [
    case(
        "title, colon, text",
        "1. **Preparation Phase**: The archer nocks the arrow.\n2. **Draw Phase**: The archer pulls back the string.\n"
        "3. **Release Phase**: The archer lets go.",
        "The archer nocks the arrow",
        "The archer pulls back the string",
        "The archer lets go",
    ),
    case(
        "title, dash, text",
        "1. **Preparation** - The archer nocks the arrow.\n2. **Draw** - The archer pulls back the string.",
        "The archer nocks the arrow",
        "The archer pulls back the string",
    ),
    case("bold words of the prompt", lines("{i}. **This action is {t}.**"), *JUMP),
    case("star outside the number", lines("**{i}.** This action is {t}."), *JUMP),
    case("empty thoughts", "<think>\n\n</think>\n\n" + lines("{i}. {t}"), *JUMP),
    case(
        "thoughts with another list",
        "<think>\nThe user wants steps. Maybe:\n1. run\n2. jump\n3. land\n4. rest\n5. leave\n</think>\n\n"
        + lines("{i}. {t}"),
        *JUMP,
    ),
    case(
        "thoughts that only end",
        "Okay, the user wants four steps.\n1. run\n2. jump\n</think>\n\n" + lines("{i}. {t}"),
        *JUMP,
    ),
    case(
        "six",
        lines("{i}. {t}", [*JUMP, "brushing off the sand", "walking out of the pit"]),
        *JUMP,
        "brushing off the sand",
        "walking out of the pit",
    ),
    case("five", lines("- {t}", [*JUMP, "brushing off the sand"]), *JUMP, "brushing off the sand"),
    case("in a code fence", "```\n" + lines("{i}. {t}") + "\n```", *JUMP),
    case("in a text fence with a preamble", "Certainly!\n\n```text\n" + lines("- {t}") + "\n```\n", *JUMP),
]

LLAVA = [
    case(
        "seen in the frames",
        "The image shows a person doing sit-ups.\n\n1. This action is lying on a mat with bent knees.\n2. This action "
        "is raising the torso toward the knees.",
        "lying on a mat with bent knees",
        "raising the torso toward the knees",
    ),
    case(
        "Description 1",
        "Description 1: This action is lying on the back.\n\nDescription 2: This action is curling up.\n\nDescription "
        "3: This action is lying down again.",
        "lying on the back",
        "curling up",
        "lying down again",
    ),
    case(
        "sentences of Table 14",
        """1. The individual is lying on a mat in a gym, beginning a sit-up with arms extended overhead.
2. They perform a fluid motion, raising their torso towards their legs while keeping their feet flat.
3. The exercise is conducted in a controlled manner, focusing on core strength and stability.
4. The environment suggests a well-equipped gym, appropriate for various fitness activities.""",
        "The individual is lying on a mat in a gym, beginning a sit-up with arms extended overhead",
        "They perform a fluid motion, raising their torso towards their legs while keeping their feet flat",
        "The exercise is conducted in a controlled manner, focusing on core strength and stability",
        "The environment suggests a well-equipped gym, appropriate for various fitness activities",
    ),
]

JSON = [
    case("list", json.dumps(JUMP), *JUMP),
    case("fenced list", "```json\n" + json.dumps(STARTS, indent=2) + "\n```", *JUMP),
    case("object with one list", json.dumps({"sub_texts": JUMP}), *JUMP),
    case(
        "object with the class and a list",
        json.dumps({"action": "long jump", "steps": JUMP, "summary": "It is far."}),
        *JUMP,
    ),
    case("list of objects", json.dumps([{"step": i, "description": t} for i, t in enumerate(STARTS, 1)]), *JUMP),
    case(
        "titles and descriptions",
        json.dumps(
            {"phases": [{"phase": f"Phase {i}", "title": "The part", "description": t} for i, t in enumerate(JUMP, 1)]}
        ),
        *JUMP,
    ),
    case(
        "titles and explanations",
        json.dumps([{"title": f"Part {'ABCD'[i]}", "explanation": t} for i, t in enumerate(JUMP)]),
        *JUMP,
    ),
    case("step_1 to step_4", json.dumps({f"step_{i}": t for i, t in enumerate(STARTS, 1)}), *JUMP),
    case(
        "step_1 to step_4 and a summary",
        json.dumps({**{f"step_{i}": t for i, t in enumerate(STARTS, 1)}, "summary": "This action is a jump."}),
        *JUMP,
    ),
    case("objects by number", json.dumps({str(i): {"name": "Part", "text": t} for i, t in enumerate(JUMP, 1)}), *JUMP),
    case(
        "objects by number under a key",
        json.dumps({"long jump": {f"Movement {i}": t for i, t in enumerate(JUMP, 1)}}),
        *JUMP,
    ),
    case(
        "preamble and closing text",
        "Here is the JSON you asked for [as a list]:\n\n" + json.dumps({"steps": JUMP}) + "\n\nEach step is distinct.",
        *JUMP,
    ),
    case(
        "CRLF and escapes",
        json.dumps(["grüßen mit der Hand", "die Mütze heben"], indent=1).replace("\n", "\r\n"),
        "grüßen mit der Hand",
        "die Mütze heben",
    ),
    case("numbers within the texts", json.dumps(lines("{i}. This action is {t}.").split("\n")), *JUMP),
]

DETAILS = [
    case(
        "decimals",
        "1. Standing 1.5 m from the wall\n2. Throwing the ball 2.5 times harder",
        "Standing 1.5 m from the wall",
        "Throwing the ball 2.5 times harder",
    ),
    case("counts", "1. 2 hands grip the bar\n2. 10 fingers let go", "2 hands grip the bar", "10 fingers let go"),
    case(
        "a count at the end of a sentence",
        "This action is counting to 10. This action is jumping at 3. This action is landing.",
        "counting to 10",
        "jumping at 3",
        "landing",
    ),
    case(
        "a ratio",
        "- mixing sand and cement 3:1 in a bucket\n- adding water at 10:30 in the morning",
        "mixing sand and cement 3:1 in a bucket",
        "adding water at 10:30 in the morning",
    ),
    case(
        "a list after a colon",
        "1. This action is laying out the tools: a comb, scissors and a razor.\n2. This action is cutting the hair: "
        "first the sides, then the top.",
        "laying out the tools: a comb, scissors and a razor",
        "cutting the hair: first the sides, then the top",
    ),
    case(
        "a colon in a bare phrase",
        "1. lifting the bar in one motion: no pause at the knees\n2. holding it overhead until the signal: arms locked "
        "and still",
        "lifting the bar in one motion: no pause at the knees",
        "holding it overhead until the signal: arms locked and still",
    ),
    case(
        "semicolons inside",
        "1. gripping the bar; bending the knees\n2. pulling hard; standing up",
        "gripping the bar; bending the knees",
        "pulling hard; standing up",
    ),
    case(
        "hyphens",
        "- re-gripping the bar mid-air - twice\n- side-stepping",
        "re-gripping the bar mid-air - twice",
        "side-stepping",
    ),
    case(
        "an ordinal within a word",
        "1. first-person view of hands on a bar\n2. second-row players pushing",
        "first-person view of hands on a bar",
        "second-row players pushing",
    ),
    case(
        "brackets",
        "1. raising the arms (both at once)\n2. bending [one] knee",
        "raising the arms (both at once)",
        "bending [one] knee",
    ),
    case(
        "an apostrophe",
        "1. lifting a baby's belly\n2. holding the dancers' hands",
        "lifting a baby's belly",
        "holding the dancers' hands",
    ),
    case(
        "the words of a summary inside",
        "1. moving both hands together\n2. turning the wrists overall, in short circles",
        "moving both hands together",
        "turning the wrists overall, in short circles",
    ),
    case(
        "an underscore and a star",
        "1. typing file_name_here on the keys\n2. computing 3 * 4 on paper",
        "typing file_name_here on the keys",
        "computing 3 * 4 on paper",
    ),
    case("other scripts", "1. 跑向沙坑\n2. 起跳\n3. 落地", "跑向沙坑", "起跳", "落地"),
    case(
        "an abbreviation at the end",
        "1. shaking hands, bowing, etc.\n2. leaving at 5 p.m.",
        "shaking hands, bowing, etc",
        "leaving at 5 p.m",
    ),
    case("item numbers from zero", "0. warming up\n1. jumping\n2. landing", "warming up", "jumping", "landing"),
    case("every item is 1.", "1. warming up\n1. jumping\n1. landing", "warming up", "jumping", "landing"),
    case("two-digit numbers", "10. warming up\n11. jumping", "warming up", "jumping"),
]

FAMILIES = {
    "GPT-4o": GPT_4O,
    "GPT-3.5": GPT_35,
    "LLaMA-2": LLAMA_2,
    "Phi-3": PHI_3,
    "Mistral": MISTRAL,
    "Qwen": QWEN,
    "LLaVA": LLAVA,
    "JSON": JSON,
    "details": DETAILS,
}
ANSWERS = [pytest.param(*p.values, id=f"{model}: {p.id}") for model, cases in FAMILIES.items() for p in cases]


def test_the_table_is_as_large_as_promised():
    assert len(ANSWERS) >= 60 and len({p.id for p in ANSWERS}) == len(ANSWERS)
    assert {len(p.values[1]) for p in ANSWERS} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("raw, expected", ANSWERS)
def test_an_answer(raw, expected):
    assert parse(raw, len(expected)) == expected


@pytest.mark.parametrize("raw, expected", ANSWERS)
def test_the_texts_are_bare(raw, expected):
    """Whatever is accepted, for any N: no markup, number, "This action is" or final stop, one line each."""
    for n in range(2, 7):
        try:
            texts = parse(raw, n)
        except ParseError:
            continue
        assert len(texts) == n
        for t in texts:
            assert (
                t == t.strip()
                and t
                and not re.search(r"[\n\r`|#]|\*\*|^\d+[.):]|[.;,]$|^[-•*+]|this action is|<\|", t, re.IGNORECASE)
            ), t


@pytest.mark.parametrize("raw, expected", ANSWERS)
def test_no_other_number_is_found_in_it(raw, expected):
    """Asked for another N, an answer with N sub-texts is refused.

    It is neither cut, nor filled up with headings, nested bullets or a summary.
    """
    for n in {2, 3, 4, 5, 6} - {len(expected)}:
        with pytest.raises(ParseError):
            print(n, parse(raw, n))


# --- what is no list of N ---

REFUSALS = {
    "GPT-4o": "I'm sorry, but I can't assist with that request.",
    "GPT-4o, curly": "I’m sorry, but I can’t help with that.",
    "GPT-4o, two lines": "I'm sorry, I can't help with that.\nIs there anything else I can do for you?",
    "GPT-3.5": "As an AI language model, I cannot provide a description of this action.",
    "LLaMA-2": (
        "I cannot fulfill your request. I'm just an AI, it's not within my programming or ethical guidelines to "
        "describe violent actions.\n\nInstead, I suggest exploring other topics."
    ),
    "LLaMA-2, polite": (
        "Thank you for reaching out! However, I must point out that this request is not appropriate.\n\nI'm here to "
        "help with safe topics.\n\nPlease ask something else."
    ),
    "LLaMA-2, not "
    "ethical": "It is not appropriate to describe this action.\n\nIs there something else I can help you with?",
    "responsible": "As a responsible AI language model, I must decline.\nPlease consult a professional.",
    "Mistral": "I'm an AI and I can't watch videos.\n\nPlease describe the action.",
    "uncomfortable": "I don't feel comfortable describing this action.\n\nI'd be glad to help with another one.",
    "unfortunately": "Unfortunately, there is no action named in your message.\nWhich one do you mean?",
    "with other offers": (
        "I'm sorry, but I can't describe that. I could instead:\n\n1. Describe a sport\n2. Describe a dance\n3. "
        "Describe a tool\n4. Describe a game"
    ),
    "with bullets": "I can't help with this. Here are some safer topics:\n- cooking\n- sports",
    "JSON": '{"error": "I cannot describe this action.", "reason": "policy"}',
    "greeting": "Hello! How can I help you today?",
    "question": "Could you tell me which action you mean?\nThere is no action in your message.",
    "LLaVA": "I see no image in your message. Please upload one.",
}
PROSE = {
    "one sentence": "Doing pull-ups trains the back and the arms.",
    "one paragraph": (
        "Doing pull-ups trains the back. You hang from a bar and pull. Lower slowly. Repeat ten times. Rest. Drink "
        "water."
    ),
    "semicolons": "Pull-ups are hard; they train the back.",
    "three semicolons": (
        "Pull-ups are a classic exercise; they train the back and the arms; beginners find them hard; with time they "
        "become easy."
    ),
    "a long paragraph": "Pull-ups are a compound exercise. " * 30,
    "only a preamble": "Sure! Here are the four steps:",
    "only a summary": "In summary, this action is a sequence of four steps.",
    "one item": "1. hanging from the bar",
    "one This action is": "This action is hanging from a bar and pulling up until the chin is over it.",
    "thoughts without an answer": "<think>1. hanging\n2. pulling\n3. lowering\n4. resting</think>",
    "thoughts cut off": "<think>The user wants steps. Maybe 1. hanging\n2. pulling\n3. lowering\n4. resting",
    "an empty list": "[]",
    "an object without texts": '{"steps": []}',
    "numbers": "[1, 2, 3, 4]",
    "marks without text": "1.\n2.\n3.\n4.\n5.\n6.",
    "bullets without text": "-\n-\n-\n-",
    "a rule": "---\n***\n___\n===",
    "fences": "```\n```\n```\n```",
    "HTML": "<html><body><h1>502 Bad Gateway</h1></body></html>",
}


@pytest.mark.parametrize(
    "raw",
    [*REFUSALS.values(), *PROSE.values()],
    ids=[*(f"refusal: {k}" for k in REFUSALS), *(f"prose: {k}" for k in PROSE)],
)
def test_no_list(raw):
    for n in range(2, 7):
        with pytest.raises(ParseError) as e:
            print(n, parse(raw, n))
        assert str(e.value)


@pytest.mark.parametrize("raw", ["", " ", "\n\n\t ", "\r\n"])
def test_nothing(raw):
    with pytest.raises(ParseError, match=r"^an empty answer$"):
        parse(raw, 4)


@pytest.mark.parametrize(
    "form",
    [
        "{i}. {t}",
        "- {t}",
        "Step {i}: This action is {t}.",
        "{a}) {t}",
        "**Phase {i}** {t}",
        "* **Part:** {t}",
        "This action is {t}.",
        "{t}",
    ],
)
@pytest.mark.parametrize("count, n", [(3, 4), (2, 4), (5, 4), (3, 2), (4, 6), (6, 5)])
def test_a_wrong_count_is_named(form, count, n):
    texts = [*JUMP, "brushing off the sand", "walking out of the pit"][:count]
    with pytest.raises(ParseError, match=f"^{count} sub-texts instead of {n}$"):
        parse(lines(form, texts), n)


PREAMBLES = [
    "The long jump has these parts.",
    "Here are the parts:",
    "**Long Jump: A Breakdown**",
    "# Long jump",
    "Long jump",
    "Sure thing!",
    "Great question.",
]
CLOSINGS = [
    "I hope this helps!",
    "Let me know if you have any other questions.",
    "Each step is crucial.",
    "**Summary:** a jump.",
    "By combining these parts, the athlete jumps far.",
    "Brief summary: it is a jump into sand.",
    "**Final Summary:** This action is a jump.",
    "> Practice makes perfect.",
    "The long jump is a demanding discipline.",
]


NOTATIONS = ["{i}. {t}", "- {t}", "Step {i}: {t}", "{i}. This action is {t}.", "{a}) {t}"]
around = pytest.mark.parametrize("before, after", [*((p, "") for p in PREAMBLES), *(("", c) for c in CLOSINGS)])


def parsed(raw, n):
    """The sub-texts, or None where it is refused."""
    try:
        return parse(raw, n)
    except ParseError:
        return None


@around
@pytest.mark.parametrize("sep", ["\n", "\n\n"], ids=["next line", "blank line"])
def test_neither_preamble_nor_closing_makes_up_for_a_missing_item(before, after, sep):
    """Three items instead of four, and a sentence around them: not four."""
    found = {form: parsed(sep.join(p for p in (before, lines(form, JUMP[:3]), after) if p), 4) for form in NOTATIONS}
    assert {form: texts for form, texts in found.items() if texts} == {}


@around
def test_preambles_and_closings_are_left_out(before, after):
    found = {form: parsed("\n\n".join(p for p in (before, lines(form), after) if p), 4) for form in NOTATIONS}
    assert found == dict.fromkeys(NOTATIONS, JUMP)


# What could be taken for another list than it is: (answer, N, the list in it or None). It may be refused; another list
# than that is wrong.
TRAPS = {
    "two headings with two bullets each": (
        "**Approach**\n- running up\n- building speed\n\n**Takeoff**\n- planting the foot\n- pushing off",
        4,
        None,
    ),
    "two numbered headings with two bullets each": (
        "1. **Approach**\n   - running up\n   - building speed\n2. **Takeoff**\n   - planting the foot\n   - pushing "
        "off",
        4,
        None,
    ),
    "numbered headings, numbered details": (
        "1. Approach\n   1. running up\n   2. building speed\n2. Takeoff\n   1. planting the foot\n   2. pushing off",
        4,
        None,
    ),
    "two headings and two texts": (
        "**Approach**\nSprinting down the runway.\n\n**Takeoff**\nPushing off the board.",
        4,
        None,
    ),
    "three headings and three texts": (
        "### Approach\nSprinting down the runway.\n\n### Takeoff\nPushing off the board.\n\n### Landing\nFalling into "
        "the sand.",
        6,
        None,
    ),
    "two texts of two sentences that start alike": (
        "1. This action is running up. This action is important for the speed.\n2. This action is taking off. This "
        "action is decisive for the height.",
        4,
        None,
    ),
    "two paragraphs of two sentences that start alike": (
        "This action is running up. This action is important for the speed.\n\nThis action is taking off. This action "
        "is decisive for the height.",
        4,
        None,
    ),
    "four texts and a summary, asked for five": (
        "\n\n".join(STARTS) + "\n\n**Summary:** This action is a jump.",
        5,
        None,
    ),
    "four headings and a summary heading, asked for five": (
        lines("### Part\nThis action is {t}.", sep="\n\n") + "\n\n### Summary\nThis action is a jump.",
        5,
        None,
    ),
    "objects, a comma too many": (
        '[{"title": "Approach", "description": "running up"}, {"title": "Takeoff", "description": "pushing off"},]',
        2,
        ["running up", "pushing off"],
    ),
    "objects of four fields, cut off": (
        json.dumps(
            [{"step": str(i), "title": "Part", "description": t, "importance": "high"} for i, t in enumerate(JUMP)]
        )[:-20],
        4,
        JUMP,
    ),
    "objects of four fields": (
        json.dumps(
            [{"step": str(i), "title": "Part", "description": t, "importance": "high"} for i, t in enumerate(JUMP)]
        ),
        4,
        JUMP,
    ),
    "one object of four fields": (
        json.dumps(
            {"title": "Long jump", "category": "athletics", "equipment": "a sand pit", "description": "jumping far"}
        ),
        4,
        None,
    ),
    "an object with a title and three steps": (
        json.dumps({"title": "How to jump far", "step1": JUMP[0], "step2": JUMP[1], "step3": JUMP[2]}),
        4,
        None,
    ),
    "JSON lines": ("\n".join(json.dumps({"step": i, "description": t}) for i, t in enumerate(JUMP)), 4, JUMP),
    "JSON lines of two fields": ("\n".join(json.dumps({"title": "Part", "description": t}) for t in TWO), 2, TWO),
    "another list before the steps": (
        json.dumps({"muscles": ["legs", "back", "arms", "core"], "steps": JUMP}),
        4,
        JUMP,
    ),
    "another list of the right length": (
        json.dumps({"steps": JUMP[:3], "muscles": ["legs", "back", "arms", "core"]}),
        4,
        None,
    ),
    "a list in an item": (
        '1. moving the feet ["left", "right"] in turn\n2. stopping',
        2,
        ['moving the feet ["left", "right"] in turn', "stopping"],
    ),
    "a Python list": ("[\n" + ",\n".join(f"    '{t}'" for t in JUMP) + "\n]", 6, None),
    "a Python list of four": ("[\n" + ",\n".join(f"    '{t}'" for t in JUMP) + "\n]", 4, JUMP),
    "a Python list in one line": (str(TWO), 2, TWO),
    "a table of four rows": ("| Step | Description |\n|---|---|\n" + lines("| {i} | {t} |"), 4, JUMP),
    "a table of four rows, asked for six": ("| Step | Description |\n|---|---|\n" + lines("| {i} | {t} |"), 6, None),
    "an HTML list": ("<ol>\n" + lines("<li>{t}</li>") + "\n</ol>", 4, JUMP),
    "an HTML list, asked for six": ("<ol>\n" + lines("<li>{t}</li>") + "\n</ol>", 6, None),
    "numbers in square brackets": (lines("[{i}] {t}"), 4, JUMP),
    "numbers and a dash": (lines("{i} - {t}"), 4, JUMP),
    "numbers in circles": ("".join(f"{chr(0x245F + i)} {t}\n" for i, t in enumerate(JUMP, 1)), 4, JUMP),
    "a hash before the number": (lines("Step #{i}: {t}"), 4, JUMP),
    "quoted lines": (lines("> {t}"), 4, JUMP),
    "check marks": (lines("✅ {t}"), 4, JUMP),
    "task list": (lines("- [ ] {t}"), 4, JUMP),
    "one line with semicolons": ("; ".join(JUMP) + ".", 4, JUMP),
    "semicolons after a preamble": ("The four movements are: " + "; ".join(JUMP) + ".", 4, JUMP),
    "one line with a summary": (lines("{i}. {t}.", sep=" ") + " In summary, this is a jump.", 4, JUMP),
    "a paragraph whose last item has two sentences and a summary": (
        " ".join(STARTS) + " It ends the attempt. In summary, these movements make up the jump.",
        4,
        [*JUMP[:3], JUMP[3] + ". It ends the attempt"],
    ),
    "a summary glued to the last item": (
        lines("{i}. {t}.") + "\nBy combining these movements, the athlete jumps far.",
        4,
        JUMP,
    ),
    "short first lines": (
        "1. Bend both knees\n   and drop the hips\n2. Swing both arms\n   and push off",
        2,
        ["Bend both knees and drop the hips", "Swing both arms and push off"],
    ),
    "the words of the prompt after a title": (lines("{i}. **Part** This action is {t}."), 4, JUMP),
    "the words of the prompt within": (
        "1. The first step of this action is running up.\n2. The second step of this action is taking off.",
        2,
        ["running up", "taking off"],
    ),
    "two answers, asked for two": (
        lines("{i}. {t}", TWO) + "\n\nAlternatively:\n\n" + lines("{i}. {t}", JUMP[2:]),
        2,
        None,
    ),
    "materials before the steps": (
        "You need:\n- a runway\n- a pit\n- shoes\n- sand\n\nSteps:\n" + lines("{i}. {t}"),
        4,
        JUMP,
    ),
    "tips after too few steps": (
        lines("{i}. {t}", JUMP[:3]) + "\n\nTips:\n- wear good shoes\n- warm up\n- sleep well\n- drink water",
        4,
        None,
    ),
    "paragraphs below long titles": (lines("### Step {i}: A Title of Five Words\n\n{t}", sep="\n\n"), 4, JUMP),
}


@pytest.mark.parametrize("raw, n, right", TRAPS.values(), ids=list(TRAPS))
def test_never_a_wrong_list(raw, n, right):
    assert parsed(raw, n) in (None, right)


@pytest.mark.parametrize(
    "body",
    [
        "   - Sprinting fast\n   - Leaning forward",
        "   - Sprinting fast",
        "\n   - Sprinting fast\n\n   - Leaning forward",
        "   * **Speed:** Sprinting fast",
        "\n   Sprinting fast",
    ],
)
def test_a_heading_never_stands_for_its_description(body):
    raw = "\n".join(
        f"{i}. **{title}**\n{body} {title.lower()}"
        for i, title in enumerate(("Approach", "Takeoff", "Flight", "Landing"), 1)
    )
    assert all("sprinting" in t.lower() for t in parsed(raw, 4) or [])


# --- enumerations in other notations ---

WORDS = ["one", "two", "three", "four", "five", "six"]
FULL = "１２３４５６"
HAN = "一二三四五六"
MARKS = {
    "ideographic comma": [f"{i}、" for i in range(1, 7)],
    "full-width digit and stop": [f"{d}．" for d in FULL],
    "full-width digit and comma": [f"{d}、" for d in FULL],
    "full-width digit alone": [f"{d} " for d in FULL],
    "full-width brackets": [f"（{i}）" for i in range(1, 7)],
    "full-width bracket": [f"{i}）" for i in range(1, 7)],
    "full-width colon": [f"{i}：" for i in range(1, 7)],
    "digit alone": [f"{i} " for i in range(1, 7)],
    "digit and tab": [f"{i}\t" for i in range(1, 7)],
    "digit and comma": [f"{i}, " for i in range(1, 7)],
    "digit and hyphen": [f"{i}- " for i in range(1, 7)],
    "digit and arrow": [f"{i} > " for i in range(1, 7)],
    "escaped": [f"{i}\\. " for i in range(1, 7)],
    "#1": [f"#{i} " for i in range(1, 7)],
    "#1:": [f"#{i}: " for i in range(1, 7)],
    "No. 1:": [f"No. {i}: " for i in range(1, 7)],
    "1/4:": [f"{i}/6: " for i in range(1, 7)],
    "1st:": [f"{i}{e}: " for i, e in enumerate(("st", "nd", "rd", "th", "th", "th"), 1)],
    "One:": [f"{w.title()}: " for w in WORDS],
    "One.": [f"{w.title()}. " for w in WORDS],
    "Step 1:": [f"Step {i}: " for i in range(1, 7)],
    "Step 1：": [f"Step {i}：" for i in range(1, 7)],
    "Step 1 of 4:": [f"Step {i} of 6: " for i in range(1, 7)],
    "Step one:": [f"Step {w}: " for w in WORDS],
    "Frame 1:": [f"Frame {i}: " for i in range(1, 7)],
    "Key moment 1 -": [f"Key moment {i} - " for i in range(1, 7)],
    "**Scene 1:**": [f"**Scene {i}:** " for i in range(1, 7)],
    "**1**": [f"**{i}** " for i in range(1, 7)],
    "black circles": [f"{c} " for c in "❶❷❸❹❺❻"],
    "digits in brackets": list("⑴⑵⑶⑷⑸⑹"),
    "digits with a stop": list("⒈⒉⒊⒋⒌⒍"),
    "Roman numerals of one character": [f"{c}. " for c in "ⅠⅡⅢⅣⅤⅥ"],
    "Han numerals": [f"{c}、" for c in HAN],
    "Han steps": [f"第{c}步：" for c in HAN],
    "First, Then, Next, Finally": ["First, ", "Then, ", "Next, ", "After that, ", "Lastly, ", "Finally, "],
    "Firstly, Secondly, Finally": ["Firstly, ", "Secondly, ", "Thirdly, ", "Then, ", "Next, ", "Finally, "],
    "First, Second, Finally": ["First, ", "Second, ", "Third, ", "Then, ", "Next, ", "Finally, "],
    "To begin with, Afterwards": ["To begin with, ", "Next, ", "Afterwards, ", "Later, ", "Then, ", "In the end, "],
    "First: Next:": ["First: ", "Next: ", "Then: ", "After this: ", "Later: ", "Last: "],
    "First then next": ["First ", "then ", "next ", "then ", "lastly ", "finally "],
    "**First**,": ["**First,** ", "**Then,** ", "**Next,** ", "**Later,** ", "**Lastly,** ", "**Finally,** "],
    "Han words of sequence": ["首先，", "然后，", "接着，", "其次，", "之后，", "最后，"],
}
SIX = [*JUMP, "brushing off the sand", "walking out of the pit"]


def marked(marks, texts):
    return [m + t for m, t in zip(marks, texts, strict=False)]


@pytest.mark.parametrize("marks", MARKS.values(), ids=list(MARKS))
@pytest.mark.parametrize("n", [2, 4, 6])
def test_an_enumeration_in_any_notation(marks, n):
    raw = "\n".join(marked(marks, SIX[:n]))
    for text in (raw, raw.replace("\n", ".\n\n") + ".", f"Here are the {n} steps:\n\n{raw}\n\nI hope this helps!"):
        assert parse(text, n) == SIX[:n], text
    for other in {2, 3, 4, 5, 6} - {n}:
        with pytest.raises(ParseError):
            print(other, parse(raw, other))


@pytest.mark.parametrize("marks", MARKS.values(), ids=list(MARKS))
def test_the_same_marks_within_json_and_bullets(marks):
    texts = marked(marks, JUMP)
    assert parse(json.dumps(texts, ensure_ascii=False), 4) == JUMP
    assert parse("\n".join(f"- {t}" for t in texts), 4) == JUMP


@pytest.mark.parametrize("name", [name for name in MARKS if MARKS[name][0].lower().startswith(("first", "to begin"))])
def test_words_of_sequence_behind_numbers(name):
    """All of them go, not the first alone."""
    texts = marked(MARKS[name], JUMP)
    assert parse(lines("{i}. {t}", texts), 4) == parse(json.dumps({"steps": texts}), 4) == JUMP
    assert parse(lines("{i}. This action is {t}", JUMP).replace("This", "First, this", 1), 4) == JUMP


@pytest.mark.parametrize(
    "raw",
    [
        "First, sprinting down. Then, planting one foot. Next, flying far. Finally, landing soft.",
        "1、sprinting down；2、planting one foot；3、flying far；4、landing soft。",
        "１．sprinting down ２．planting one foot ３．flying far ４．landing soft",
    ],
)
def test_an_enumeration_in_one_line(raw):
    assert parse(raw, 4) == ["sprinting down", "planting one foot", "flying far", "landing soft"]


@pytest.mark.parametrize(
    "texts",
    [
        ["2 hands grip the bar", "10 fingers let go"],
        ["1 hand grips the bar", "3 fingers let go"],
        ["one hand grips the bar", "two hands let go"],
        ["next to the pool, arms raised", "then the splash"],
        ["first-aid kit on the floor", "second bandage around the arm"],
        ["hands in first position", "then in second position"],
        ["second base is reached", "third base is left"],
        ["then turning the head", "finally sitting down"],
    ],
)
def test_numbers_and_words_of_the_text_stay(texts):
    for raw in ("\n".join(texts), lines("{i}. {t}", texts), lines("- {t}", texts), json.dumps(texts)):
        assert parse(raw, 2) == texts


def test_a_number_behind_a_mark_is_of_the_text():
    assert parse("1. 1 hand grips the bar\n2. 2 hands let go", 2) == ["1 hand grips the bar", "2 hands let go"]
    assert parse("a) 1 hand grips the bar\nb) 2 hands let go", 2) == ["1 hand grips the bar", "2 hands let go"]


def test_wrapped_lines_and_titles_of_another_notation():
    raw = "1 sprinting down\n  the runway\n2 planting one foot\n  on the board"
    assert parse(raw, 2) == ["sprinting down the runway", "planting one foot on the board"]
    raw = "Frame 1:\nsprinting down the runway\n\nFrame 2:\nplanting one foot"
    assert parse(raw, 2) == ["sprinting down the runway", "planting one foot"]


# --- cleaning one text ---


@pytest.mark.parametrize(
    "text, expected",
    [
        ("This action is running.", "running"),
        ("  this  action\nis running  ", "running"),
        ("1. **Step 1:** This action is running.", "running"),
        ("running...", "running"),
        ("**running**", "running"),
        ("`running`", "running"),
        ("*running* fast", "running fast"),
        ("_running_", "running"),
        ("__running__", "running"),
        ('"running"', "running"),
        ("“running.”", "running"),
        ("‘running’.", "running"),
        ("- running;", "running"),
        ("• running,", "running"),
        ("(1) running", "running"),
        ("Step 2 - running", "running"),
        ("The second this action is running", "running"),
        ("### Step 3: running", "running"),
        ("running at 5 p.m. sharp", "running at 5 p.m. sharp"),
        ("jumping 1.5 m", "jumping 1.5 m"),
        ("This actions isolate the arm", "This actions isolate the arm"),
        ("in this action isolating", "in this action isolating"),
        ("3D printing", "3D printing"),
        ("1st place", "1st place"),
        ("Step one foot forward", "Step one foot forward"),
        ("Step a leg over", "Step a leg over"),
        ("Phased lowering", "Phased lowering"),
        ("Part a strand", "Part a strand"),
        ("First-aid on the floor", "First-aid on the floor"),
        ("running!", "running!"),
        ("1、running。", "running"),
        ("１．running", "running"),
        ("❶ running", "running"),
        ("①running", "running"),
        ("Step 1 of 4: running", "running"),
        ("1 hand", "1 hand"),
        ("", ""),
        ("...", ""),
        ("**", ""),
        ("1.", ""),
        ("This action is", ""),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *JUMP,
        "don't stop",
        "a 3-2 count",
        "(both) hands",
        "50 % effort",
        "C# code",
        "f(x) = 2",
        "rock 'n' roll",
        'say "go" twice',
    ],
)
def test_a_clean_text_stays(text):
    assert clean(text) == text and clean(clean(f"**{text}.**")) == clean(f"**{text}.**")


# --- properties ---


def bundled(per_set, n=4):
    """Some classes of every bundled set, drawn with a fixed seed."""
    rng = random.Random(5)
    for name in bank_names():
        texts = SubTexts.load(name, n)
        for c in rng.sample(list(texts), min(per_set, len(texts))):
            yield c, list(texts[c])


@pytest.mark.parametrize("form", list(forms(["a", "b"])))
def test_every_form_gives_the_bundled_texts_back(form):
    wrong = [
        (c, parse(forms(t)[form], 4))
        for c, t in bundled(80)
        if [x.lower() for x in parse(forms(t)[form], 4)] != [x.lower() for x in t]
    ]
    assert wrong == []


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("form", list(forms(["a", "b"])))
def test_every_form_for_another_n(form, n):
    texts = SubTexts.load("storyboard", n)
    assert [
        c for c, t in texts.items() if [x.lower() for x in parse(forms(list(t))[form], n)] != [x.lower() for x in t]
    ] == []


@pytest.mark.parametrize("form", list(forms(["a", "b"])))
def test_every_form_with_one_text_less_is_refused(form):
    for _, t in bundled(20):
        with pytest.raises(ParseError):
            print(parse(forms(t[:3])[form], 4))


PIECES = [
    "1. ",
    "2) ",
    "- ",
    "* ",
    "**",
    "_",
    "`",
    "```",
    "```json\n",
    "\n",
    "\n\n",
    "\r\n",
    " ",
    ": ",
    "; ",
    ". ",
    "This action is ",
    "this action is",
    "Step 1: ",
    "Phase two",
    "### ",
    "Overall, ",
    "In summary, ",
    "<think>",
    "</think>",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "\\",
    ",",
    "running",
    "up",
    "I'm sorry",
    "•",
    "—",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\x00",
    "\x1c",
    "é",
    "跑",
    "😀",
    "\ud800",
    "9" * 30,
    "1.5",
    "(1)",
    "i. ",
    "b) ",
    '{"steps": ["a", "b"]}',
    "null",
    "| ",
    "|---|",
]


def settled(raw, n):
    """``parse`` gives N bare texts or a ParseError; nothing else."""
    try:
        texts = parse(raw, n)
    except ParseError as e:
        assert isinstance(e, SfarError) and str(e)
        return
    assert len(texts) == n and all(t and t == t.strip() and "\n" not in t for t in texts)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_in_any_order(seed):
    rng = random.Random(seed)
    for _ in range(700):
        settled("".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40))), rng.randint(2, 6))


def test_any_text():
    rng = random.Random(11)
    for _ in range(500):
        settled("".join(rng.choices(string.printable, k=rng.randint(1, 200))), rng.randint(2, 6))
        settled(rng.randbytes(rng.randint(1, 200)).decode("utf-8", "replace"), rng.randint(2, 6))
        settled(rng.randbytes(rng.randint(1, 200)).decode("latin-1"), rng.randint(2, 6))


@pytest.mark.parametrize("raw, expected", ANSWERS[::7])
def test_every_beginning_of_an_answer(raw, expected):
    """An answer cut off anywhere: never more than was there."""
    for k in range(len(raw)):
        settled(raw[:k], len(expected))


LONG = 100_000
ADVERSARIAL = {
    "items": "1. " * (LONG // 3),
    "item lines": "1. a\n" * (LONG // 5),
    "stars": "*" * LONG,
    "star words": " *a" * (LONG // 3),
    "underscores": "_a " * (LONG // 3),
    "blanks": " " * LONG + "x",
    "new lines": "\n" * LONG + "x",
    "blank lines": " \n" * (LONG // 2) + "x",
    "tabs within": "a" + "\t" * LONG + "b",
    "brackets": "[" * LONG,
    "braces": '{"a":' * (LONG // 5),
    "bracket pairs": "[]" * (LONG // 2),
    "open brackets and texts": '["a", ' * (LONG // 6),
    "thoughts": "<think>" * (LONG // 7),
    "fences": "```" * (LONG // 3),
    "fenced": "```\nx" * (LONG // 5),
    "starts": "This action is " * (LONG // 15),
    "start lines": "This action is a.\n" * (LONG // 18),
    "starts and numbers": "This action is 1 " * (LONG // 17),
    "summaries": "Overall, " * (LONG // 9),
    "semicolons": ";" * LONG,
    "quotes": '"' * LONG,
    "dots": "." * LONG,
    "digits": "1" * LONG,
    "one word": "a" * LONG,
    "words": "a " * (LONG // 2),
    "colons": "a: " * (LONG // 3),
    "headings": "### a\n" * (LONG // 6),
    "bullets": "- \n" * (LONG // 3),
    "dashes": "-" * LONG,
    "steps": "step 1 " * (LONG // 7),
    "firsts": "first, " * (LONG // 7),
    "a long item": "1. " + "a b " * (LONG // 4) + "\n2. c",
    "a long word in an item": "1. " + "a" * LONG + "\n2. c",
    "a long start": "This action is " + "a " * (LONG // 2) + "This action is b",
    "a start and blanks": "This action is a" + " " * LONG + "This action is b",
    "this": "this " * (LONG // 5),
    "a start and lines": "This action is a" + "\n \t" * (LONG // 3) + "This action is b",
    "apostrophes": "I’m " * (LONG // 4),
    "counts": "1 " * (LONG // 2),
    "counted lines": "".join(f"{i} a\n" for i in range(1, LONG // 6)),
    "words of sequence": "then, " * (LONG // 6),
    "letters before a number": "ab" * (LONG // 2) + " 1:",
    "nested bullets": "".join(" " * (i % 50) + "- a\n" for i in range(LONG // 30)),
}


PLACES = {
    "alone": lambda x: x,
    "in an item": lambda x: "1. " + x.replace("\n", " ") + "\n2. b\n3. c\n4. d",
    "in JSON": lambda x: json.dumps([x, "b", "c", "d"]),
    "below an item": lambda x: "1. a\n2. b\n" + x + "\n3. c\n4. d",
    "after the list": lambda x: "1. a\n2. b\n3. c\n4. d\n" + x,
}


@pytest.fixture
def five_seconds():
    """Ends a test that takes longer: the regular expressions are the machine's own code and heed only a signal.

    Of the processor: how much else the machine has to do does not count.
    """

    def late(*_):
        raise TimeoutError("more than 5 s")

    before = signal.signal(signal.SIGPROF, late)
    yield lambda: signal.setitimer(signal.ITIMER_PROF, 5)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
@pytest.mark.parametrize("raw", ADVERSARIAL.values(), ids=list(ADVERSARIAL))
def test_long_answers_end(raw, place, five_seconds):
    """A model that repeats itself to its token limit: nothing may go over the text again and again."""
    five_seconds()
    settled(place(raw), 4)
