"""DEVIATIONS.md: where the paper is open, contradicts itself or cannot be run as printed, and what was read instead.

A row that a configuration field switches stands at the field (``sfar/config.py``); the others are here, with the
page's sections. ``render`` makes the page from both; ``sfar summary`` writes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from sfar.config import SETTINGS
from sfar.settings import Effect, Measured, Reading


@dataclass(frozen=True)
class Row:
    """A row of the page.

    Attributes:
        section: Key of its section.
        where: The place in the paper.
        says: What the paper says there.
        taken: What was read here, and why.
        effect: What the choice does to a number computed here.
        fields: Configuration fields or command-line options that change it.
    """

    section: str
    where: str
    says: str
    taken: str
    effect: Effect
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A section of the page: its heading, what stands before its table, and the titles of the first three columns."""

    title: str
    intro: str = ""
    columns: tuple[str, str, str] = ("Where", "What it says", "Reading taken here, and why")


INTRO = (
    (
        "Where the paper is open, contradicts itself or cannot be run as printed, this page says what was read "
        "instead, why, and which configuration field changes it (`sfar config` lists them, `sfar config FIELD` says "
        "all of one, `--set KEY=VALUE` sets it). Sources: the paper; the released code of BIKE (whwu95/BIKE), which "
        "the paper follows in section 4.1; ActionCLIP, Text4Vis and OST where BIKE is silent. The authors' own code "
        "and sub-texts were not found in public."
    ),
    (
        '"Measured effect" is what the choice does to a number that this repository computes. Differences are points '
        'of top-1 against the default with a 95 % interval, on the storyboard world; where "fine-tuned" does not '
        "stand before them the visual tower was frozen (`make reproduce-table2e`, `results/storyboard/ablations.md`). "
        '"Not yet measured": no run of the alternative has been recorded. "None": the two readings give the same '
        "number, by algebra or by arithmetic."
    ),
    "`sfar summary` makes this page from `sfar/config.py` and `sfar/paper/deviations.py`.",
)

# In the order of the page.
SECTIONS: dict[str, Section] = {
    "model": Section("The model"),
    "subtexts": Section("Sub-texts and TPP"),
    "loss": Section("Loss and training"),
    "videos": Section("Videos and evaluation"),
    "storyboard": Section(
        "The storyboard profile",
        (
            "Its videos, its CLIP and its schedule are not the paper's, so its numbers stand beside the paper's "
            "and are never compared with them digit by digit. What differs in the recipe (values in "
            "`sfar/config.py` and `sfar/storyboard/weights/clip.json`):"
        ),
        ("What", "`paper` profile", "`storyboard` profile, and why"),
    ),
    "protocols": Section("Data sets and protocols"),
}

# Rows that no configuration field switches.
WITHOUT_FIELD: tuple[Row, ...] = (
    Row(
        "model",
        where="Eq. 9",
        says="Mean over words of the cosine, for every word and frame.",
        taken=(
            "The cosine is linear in the unit word vector, so the mean unit word vector is computed once per sub-text."
        ),
        effect="none: equal up to rounding",
    ),
    Row(
        "model",
        where='Table 2e, "Baseline (CLIP)"',
        says='"fine-tuned CLIP".',
        taken="Mean of the unit frame embeddings. BIKE's `DP` averages the raw ones and normalises once.",
        effect="not yet measured",
    ),
    Row(
        "subtexts",
        where="Eq. 1-3; appendix A.3 (TPP)",
        says=(
            'alpha(x) = 1 - x^2 and beta(x) = x, called "linear"; a higher delta is to mean more diverse and '
            "a higher TPP better. As printed TPP falls with diversity: with all cosines at 0.8 the printed "
            "form gives 52.6, beta(x) = 1 - x gives 5.8, and the paper prints 54 to 61, so the printed form "
            "was computed."
        ),
        taken=(
            'As printed is the default ("printed"); beta(x) = 1 - x is the reading that rewards diversity as '
            'the text says ("diverse"). Both are reported everywhere.'
        ),
        effect="Figure 7b: both correlations",
        fields=("--reading",),
    ),
    Row(
        "subtexts",
        where="Eq. 1",
        says="log of zero for a sub-text equal to the global text, and (as printed) for identical sub-texts.",
        taken="alpha times beta is held at 1e-6 or more, so a class has a TPP of at most 10^6.",
        effect="none on any two different texts met so far",
    ),
    Row(
        "subtexts",
        where="Section 4.3, Fig. 7b",
        says="r^2 = 0.79; whether of TPP or of something fitted to it is not said; no interval.",
        taken=(
            "A straight line through the group's mean TPP and top-1, as drawn; the logarithm of TPP and "
            "Spearman's rho beside it; intervals over groups."
        ),
        effect="Figure 7b",
    ),
    Row(
        "subtexts",
        where="Table 6",
        says=("The question prompts have no place for the class, and the paper does not say where its name goes."),
        taken=(
            'A line before the question, `Action: "long jump"`: as a quoted JSON string a class name stays a '
            "name, whatever is in it."
        ),
        effect="cannot be measured without an LLM",
    ),
    Row(
        "subtexts",
        where="Table 6 against Fig. 4, 8",
        says=(
            'The questions demand "This action is ..." and, two of them, a closing summary; the figures show '
            "bare phrases."
        ),
        taken=(
            '"This action is", numbers, markup and the summary are taken off. What that prefix would do: '
            "group `prefixed` of Figure 7b."
        ),
        effect="Figure 7b",
    ),
    Row(
        "subtexts",
        where="Table 6",
        says="What happens to an answer without N parts is not said.",
        taken=(
            "Asked again, with a line that says what was wrong, at most `--attempts` times; then the class is "
            "reported. Nothing is cut off or made up."
        ),
        effect="cannot be measured without an LLM",
        fields=("--attempts",),
    ),
    Row(
        "subtexts",
        where='Appendix A.3, "select sub-texts with our TPP"',
        says="Whether a whole group or single classes are selected.",
        taken=(
            "Both: `sfar subtexts select --by group` (default, as in Table 2d) or `--by class` (TPP_c is a "
            "score of one class)."
        ),
        effect="not yet measured",
        fields=("--by",),
    ),
    Row(
        "subtexts",
        where="Figure 4",
        says="Two lists of four for one video.",
        taken=(
            "The figure's text does not say which is GPT-4o's and which LLaVA's, and holds no third item of "
            "either; so transcribed."
        ),
        effect="not a choice",
    ),
    Row(
        "subtexts",
        where="Table 13",
        says="GLOPs, seconds and accuracy of LLMs.",
        taken=(
            "No LLM can be had offline. Accuracies are of the groups at hand; what an answer costs in calls, tokens "
            "and seconds is not shown."
        ),
        effect="not a choice",
    ),
    Row(
        "loss",
        where="Eq. 12-13",
        says="Log-likelihoods without a minus sign, to be optimised as a loss.",
        taken="Negated: minimising them as printed would push every video away from its class.",
        effect="not a choice",
    ),
    Row(
        "loss",
        where="Eq. 12-13",
        says="exp(y) of a cosine, without temperature.",
        taken=(
            "y = cosine times CLIP's logit scale, trained, not clamped (BIKE `train.py`). A bare cosine "
            "cannot give a sharp softmax over 400 classes."
        ),
        effect="not yet measured",
    ),
    Row(
        "loss",
        where="Eq. 12-14",
        says='"B is the number of batches".',
        taken="B is the number of videos in a batch: k_b indexes videos of the same batch.",
        effect="not a choice",
    ),
    Row(
        "loss",
        where="Eq. 12, 13",
        says="Video to text is normalised over all C classes, text to video over the B videos of the batch.",
        taken=(
            "As printed. BIKE uses the texts of the batch's own labels for both directions (a B x B matrix) "
            "and divergence from softmax targets at logit 10 (`utils/NCELoss.py`, `train.py`)."
        ),
        effect="not yet measured",
    ),
    Row(
        "loss",
        where="Eq. 13",
        says="Averages within k_b, then over b.",
        taken=(
            "Plain cross-entropy: every video gets the same weight, since the weights 1/|k_b| of a class add "
            "up to one per video."
        ),
        effect="none, by algebra",
    ),
    Row(
        "loss",
        where='Section 4.1, "cosine annealing"',
        says="When the rate changes is not said.",
        taken="Before every step, on the fractional epoch; BIKE (`train.py`) at the first and every tenth step.",
        effect="not yet measured",
    ),
    Row(
        "loss",
        where="Tables 1-3",
        says="Which epoch is reported is not said.",
        taken=(
            "The last. BIKE keeps the best of all epochs on the validation videos (`train.py`), which selects "
            "on what it reports."
        ),
        effect="not yet measured",
    ),
    Row(
        "videos",
        where='Section 4.1, "We follow [48]"',
        says="Frames are resized as BIKE does: bicubic to a short side of 256 (`datasets/transforms.py`).",
        taken=(
            "FFmpeg's bilinear scaling while decoding: decord offers no other. The crop's own resize is "
            "bilinear in both."
        ),
        effect="not yet measured",
    ),
    Row(
        "videos",
        where='Section 4.1, "We follow [48]"',
        says="BIKE leaves training videos of fewer frames than segments out of its frame lists.",
        taken="They stay and repeat frames.",
        effect="not yet measured",
    ),
    Row(
        "videos",
        where="Table 1, views",
        says="1x1 and 4x3.",
        taken=(
            "First frame of each segment, not its centre; crops along the width in quarter steps (BIKE "
            "`datasets/video.py`, `datasets/transforms.py`). Views are averaged after a softmax of cosine "
            "times logit scale. BIKE's `test.py` takes the softmax of the bare cosine and then a second "
            "softmax of the mean: not copied, because with several views it averages almost flat "
            "distributions."
        ),
        effect="none with one view: the order of classes is the same; several views: not yet measured",
    ),
    Row(
        "videos",
        where='Tables 1, 11, "GFLOPs"',
        says="90.2 (ViT-B/16), 416 (ViT-L/14), 8 frames.",
        taken=(
            "Both counts are given. The printed ones agree with a counter of module calls that gives "
            "`nn.MultiheadAttention` nothing and counts a multiply and its add as one: 90.163 and 415.161. "
            "Counting everything: 140.508 and 648.102. The two printed numbers do not share one inventory of "
            "what the head adds."
        ),
        effect="90.163 against 140.508 GMACs; 415.161 against 648.102",
    ),
    Row(
        "videos",
        where='Table 1, "Param" 126.1',
        says="One number, no inventory.",
        taken=(
            "Two inventories of ViT-B/16 round to it (see attention above); every one of them leaves the "
            "token embedding (25.30 M) out. For ViT-L/14 (312) no counted inventory fits: the sum above gives "
            "393.7 M, the visual tower with the head 308.7 M; 307, as printed for BIKE, plus the head gives "
            "311.7. So components are reported, and no total is called the paper's."
        ),
        effect="126.120 M and 126.122 M; 151.5 M with everything",
    ),
    Row(
        "storyboard",
        where="Irrelevant frames",
        says="as filmed",
        taken=(
            "a share drawn per video from 0 to 0.75 (to the nearest frame), showing actions outside its "
            "script; the range was fixed beforehand"
        ),
        effect="accuracy is to be reported as a function of it",
    ),
    Row(
        "protocols",
        where="Table 3, caption",
        says='"8 frames, single view" for all rows.',
        taken=(
            "Only of our own rows: X-CLIP, ViFi-CLIP and OST print 32 frames, TC-CLIP 16 and two clips, in "
            "their own tables."
        ),
        effect="not a choice",
    ),
    Row(
        "protocols",
        where="Tables 2b, 10",
        says=(
            "Zero-shot rows of two protocols side by side: BIKE's are ten draws of half of the classes over "
            "all videos, those of X-CLIP, OST and TC-CLIP all classes on the three test splits."
        ),
        taken=(
            "Both, named `half10` and `split3`, each with SFAR's own head on the restricted class set. BIKE's "
            "script prints these numbers for bare frame embeddings instead (`test_zeroshot.py`)."
        ),
        effect="`results/storyboard/zero_shot.md`: both for every method",
    ),
    Row(
        "protocols",
        where='Table 2a, "mAP"',
        says=(
            "Which. BIKE reports the running average of the mAP after each batch (`test_charades.py`), which "
            "the order of the videos changes."
        ),
        taken=(
            "The mean of the average precisions of all videos, classes without positives left out: on the "
            "official test set, where every class has some, the official number. The other variants stand "
            "beside it."
        ),
        effect="`results/storyboard/multi_label.md`: every variant",
    ),
    Row(
        "protocols",
        where="Eq. 16, 18",
        says='"averaging" and "an average" printed as sums.',
        taken="Divided: the order is unchanged.",
        effect="none",
    ),
    Row(
        "protocols",
        where="Eq. 18, appendix A.2",
        says=(
            "The non-uniform score is an agreement: high for uniform videos, while the text takes the highest "
            "as non-uniform."
        ),
        taken="Inverted.",
        effect="the order is reversed",
    ),
    Row(
        "protocols",
        where='Table 9, "Ambi set" and "Non set"',
        says="The top 10 % of actions, while the non-uniform score is one of videos.",
        taken=(
            "A class has the mean of its videos; a tenth of the classes, rounded up; all their videos, "
            "against all classes."
        ),
        effect="`results/storyboard/ambiguity.md`",
    ),
    Row(
        "protocols",
        where="Table 2c",
        says="How FVE enters another method is not said.",
        taken=(
            "Added to its video embedding: BIKE, v_att + FFN(o_fine), not brought to length one again; "
            "VideoPrompt, v + FFN(o_fine), cosine; ATM, whose classifier knows no texts, fc(mean v') + scale "
            "cos(t_c, FFN(o_fine)). FVE sees the CLIP frames that enter the host."
        ),
        effect="`results/storyboard/generalization.md`",
    ),
    Row(
        "protocols",
        where="Table 2c",
        says="BIKE, ATM and VideoPrompt as published.",
        taken=(
            "Compact heads over the frames of a frozen tower (`sfar/model/other_methods.py`): without ATM's blocks on "
            "the patch grid and its temporal convolutions, without BIKE's attribute branch; layer norm for "
            "ATM's batch norm; 8 frames and one view for VideoPrompt. One optimiser and schedule for all, not "
            "each method's own; cross-entropy for ATM."
        ),
        effect="`results/storyboard/generalization.md`: the profile's schedule and three times as long",
    ),
)


def rows(section: str) -> list[Row]:
    """The rows of a section: those of the configuration fields in their order, then those without a field."""
    return [_of_field(key, r) for key, known in SETTINGS.items() for r in known.readings if r.section == section] + [
        r for r in WITHOUT_FIELD if r.section == section
    ]


def _of_field(key: str, r: Reading) -> Row:
    return Row(r.section, r.where, r.says, r.taken, r.effect, (key, *r.also))


def parts(effect: Effect) -> tuple[str | Measured, ...]:
    """What an effect is made of, in turn."""
    return effect if isinstance(effect, tuple) else (effect,)


def effect_text(effect: Effect, effect_of: Callable[[Measured], str]) -> str:
    """An effect in words; ``effect_of`` gives the text of what stands in a record."""
    return "".join(effect_of(p) if isinstance(p, Measured) else p for p in parts(effect))


def render(effect_of: Callable[[Measured], str]) -> str:
    """The text of DEVIATIONS.md; ``effect_of`` gives the text of a measured effect."""
    out = ["# Readings and deviations", *map(_wrapped, INTRO)]
    for key, section in SECTIONS.items():
        out += [f"## {section.title}", *([_wrapped(section.intro)] if section.intro else [])]
        table = [(*section.columns, "Field", "Measured effect")]
        table += [
            (
                r.where,
                r.says,
                r.taken,
                ", ".join(f"`{f}`" for f in r.fields) or "none",
                effect_text(r.effect, effect_of),
            )
            for r in rows(key)
        ]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
        out.append("\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:]]))
    return "\n\n".join(out) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
