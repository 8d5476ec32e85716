"""Configurations: every choice is a field, every reading of the paper that could be otherwise has one.

Two profiles share all code: ``storyboard`` (the embedded world, minutes on a laptop) and ``paper`` (section 4.1 and
Table 5 on the real data sets). All that is known of a field stands at the field: what it means, its unit and range,
where the paper profile's value comes from and, where the paper is open or contradicts itself, what was read instead.
The checks, ``sfar config``, the plan of a run and DEVIATIONS.md are made from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sfar.errors import ConfigError
from sfar.settings import Measured, Reading, Rule, Setting, setting

LAYOUT_NAMES = ("kinetics400", "ucf101", "hmdb51", "charades")
DRAWN = {
    "storyboard-kinetics": "kinetics400",
    "storyboard-ucf101": "ucf101",
    "storyboard-hmdb51": "hmdb51",
    "storyboard-charades": "charades",
}
OWN = "folder"  # a data set of one's own: a folder of folders of classes, or a csv file
DATASETS = (*DRAWN, *LAYOUT_NAMES, OWN)  # data.dataset


# --- ranges that bounds alone cannot say ---------------------------------------------------------------------------


def _one_place(prompt: str) -> bool:
    return prompt.count("{}") == prompt.count("{") == prompt.count("}") == 1


def _decay_rates(betas: tuple[float, ...]) -> bool:
    return all(0 <= b < 1 for b in betas)


def _shares_in_order(area: tuple[float, float]) -> bool:
    return 0 < area[0] <= area[1] <= 1


MOST_SEED = 2**63 - 1  # torch takes no larger one


def _distinct(seeds: tuple[int, ...]) -> bool:
    return bool(seeds) and len(set(seeds)) == len(seeds) and min(seeds) >= 0 and max(seeds) <= MOST_SEED


# --- the fields ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelConfig:
    """Eq. 4-11 and the heads they are compared with."""

    clip: str = setting(
        "storyboard",
        "The CLIP that is adapted: storyboard, this repository's own, or a model of open_clip.",
        free="any model of open_clip; an unknown one is refused when it is built",
        source="Tables 1, 3: ViT-B/16; OpenAI's weights need open_clip's quickgelu model",
        reading=Reading(
            "storyboard",
            where="CLIP",
            says="OpenAI's ViT-B/16 (12 layers, width 768; joint space 512)",
            taken=(
                "trained by this repository on drawn frames and their captions (`make pretrain`): patch 16, 4 "
                "layers, width 128; joint space 128. It has seen captions that name the classes, in other "
                "drawings than those of the data set."
            ),
            effect="not yet measured",
            also=("model.pretrained",),
        ),
    )
    pretrained: str = setting(
        "",
        "Its weights: a tag of open_clip, a file or a folder; empty for the storyboard CLIP, whose weights lie beside "
        "it, and for weights drawn at random.",
        free="any tag of open_clip, file or folder; one that is not there or does not fit is refused before the run",
        source="appendix A.3: CLIP as trained by [30]",
    )
    prompt: str = setting(
        "This is a video about {}",
        "Template of the global text; {} is the place of the class name.",
        rule=Rule("one place {} for the class name", _one_place),
        source='BIKE modules/text_prompt.py; the preliminary prints "a photo of a class"',
        reading=(
            Reading(
                "model",
                where="Preliminary, section 3; Table 6; Fig. 4, 8",
                says=(
                    'Global text: "[a photo of a class]". The questions to the LLM demand sub-texts that begin "This '
                    'action is"; the sub-texts shown are bare phrases.'
                ),
                taken=(
                    'BIKE\'s template "This is a video about {}" (`modules/text_prompt.py`), since training follows '
                    "BIKE; sub-texts are bare phrases, as shown."
                ),
                effect=Measured("ablations", "model.prompt"),
            ),
            Reading(
                "subtexts",
                where='Eq. 2-3, "the class embedding of the global text"',
                says="Which template the global text has.",
                taken="The same prompt as in the model (`model.prompt`).",
                effect=Measured("ablations", "model.prompt"),
            ),
        ),
    )
    subtexts: str = setting(
        "bank",
        "Sub-texts of each class: bank, the bundled ones, name, the class name alone, a group of "
        "sfar/subtexts/groups.py, or a JSON file of your own; {n} and {dataset} in its path are filled in.",
        free="any file; one that does not fit the classes is refused before the run",
        source="section 3.1; the authors' set is not public, the bundled one is this repository's",
        reading=Reading(
            "subtexts",
            where="Section 3.1",
            says="Sub-texts come from GPT-4o; the authors' set is not public.",
            taken=(
                "The bundled sets of all five label sets were written by hand for this repository from the class "
                "names alone, and not from the scripts that the storyboard videos are drawn from."
            ),
            effect="Figure 7b: the accuracy of 15 groups",
        ),
    )
    n_subtexts: int = setting(
        4,
        "N, the number of sub-texts of a class.",
        unit="sub-texts",
        above=0,
        source='section 4.3 ("opted for 4"); N = 5 in other places',
        reading=Reading(
            "model",
            where='Section 4.3; Fig. 4; Table 6 against "Different sub-actions"',
            says='N = 4 is "opted for" and asked of the LLM; later "we choose to use fixed N = 5".',
            taken=(
                "4: it is what the questions and the figures have. Every label set has bundled sets of N = 2, 3, 4 and "
                "5; `sfar subtexts generate --n` makes others."
            ),
            effect=(
                "frozen tower: N = 3 against 2 ",
                Measured("ablations", pair=("n3", "n2")),
                ", 4 against 3 ",
                Measured("ablations", pair=("n4", "n3")),
                ", 5 against 4 ",
                Measured("ablations", pair=("n5", "n4")),
            ),
        ),
    )
    attention: str = setting(
        "printed",
        "Cross-attention of sub-texts and frames (Eq. 4-6): printed, W^q, W^k and W^v alone, or mha, "
        "multi-head attention with biases and output projection.",
        choices=("printed", "mha"),
        source="Eq. 4-6 as printed",
        reading=Reading(
            "model",
            where="Eq. 4-6; Table 1 (126.1 M)",
            says=(
                '"Attention" with W^q, W^k, W^v. Number of heads, biases, output projection and the scale of the '
                "scores are not given."
            ),
            taken=(
                "As printed: three matrices, one head, no bias, no output projection, scores over sqrt(d). The "
                "alternative is `nn.MultiheadAttention` (`model.attention_heads`). The parameter count cannot "
                "decide: visual tower + text blocks + text_projection + the printed three + two FFNs = 126.120 M; "
                "visual tower + text blocks + multi-head attention with biases and output projection + two FFNs = "
                "126.122 M."
            ),
            effect=("parameters: 126.12 M either way; accuracy, ", Measured("ablations", "model.attention")),
            also=("model.attention_heads",),
        ),
    )
    attention_heads: int = setting(
        8,
        "Number of heads, of attention = mha only.",
        unit="heads",
        above=0,
        source="not in the paper; of attention = mha only",
    )
    word_mask: str = setting(
        "words",
        "Which positions of a sub-text count in Eq. 7 and 9: words (no start token, no padding), real (the start token "
        "too) or all 77.",
        choices=("words", "real", "all"),
        source="Eq. 7, 9: words; BIKE takes all 77 positions",
        reading=Reading(
            "model",
            where="Eq. 7, 9",
            says=(
                'Sums over "word embeddings"; |S_c,n| is "the number of words". Start token, end token and '
                "padding are not mentioned."
            ),
            taken=(
                "Real tokens and the end token; no start token (the same vector in every text), no padding. BIKE "
                'uses all 77 positions (`clip/model.py`, `modules/video_clip.py`): "all".'
            ),
            effect=Measured("ablations", "model.word_mask"),
        ),
    )
    coarse_reduce: str = setting(
        "mean",
        "How Eq. 7 joins the words of a sub-text: their mean, or their sum as printed.",
        choices=("mean", "sum"),
        source="BIKE; Eq. 7 prints a sum",
        reading=Reading(
            "model",
            where="Eq. 7 against Eq. 9",
            says="a_coarse sums over the words, so it adds up to their number; a_fine averages.",
            taken=(
                "Mean, as BIKE (`modules/video_clip.py`). Against the sum it only scales o_coarse, but the scale "
                "enters an FFN."
            ),
            effect=Measured("ablations", "model.coarse_reduce"),
        ),
    )
    frame_temperature: float | None = setting(
        None,
        "Temperature of the softmax over frames in Eq. 7 and 9; null: 1 / the CLIP's logit scale (0.01 for OpenAI's).",
        kind=float,
        optional=True,
        above=0,
        unit="cosine",
        source="not in the paper; null: 1 / CLIP's logit scale, which is BIKE's 0.01",
        reading=Reading(
            "model",
            where="Eq. 7, 9; Fig. 6",
            says="Softmax over frames of the bare cosine, without temperature.",
            taken=(
                "A temperature: bare cosines of CLIP differ by a few hundredths, which is mean pooling in all but "
                "name, and a_fine = 23 % of 8 frames (Fig. 6) would need cosines 0.7 apart. BIKE divides by 0.01, "
                "which is 1 / the logit scale of OpenAI's CLIP. The default is 1 / the logit scale of the CLIP at "
                "hand before training: 0.01 for OpenAI's, more for the small one, whose cosines spread further. "
                "It stays fixed while the logit scale is trained."
            ),
            effect=Measured("ablations", "model.frame_temperature"),
        ),
    )
    frame_norm: bool = setting(
        False,
        "Whether the frame embeddings that Eq. 8 and 10 sum have unit length, or are raw.",
        source="BIKE; Eq. 8, 10 do not say",
        reading=Reading(
            "model",
            where="Eq. 8, 10",
            says='Frames are summed "in CLIP embedding space"; whether at unit length is not said.',
            taken=(
                "Raw, as printed: the search on development worlds chose it together with the residual, to which the "
                'FFNs then add little at first. The row "SFAR, as printed" has unit length, as BIKE before its '
                "weighted sum (`modules/video_clip.py`): without a residual the scale changes nothing but the FFNs'."
            ),
            effect=Measured("ablations", "model.frame_norm"),
        ),
    )
    ffn: str = setting(
        "linear-relu-linear",
        "The FFNs of Eq. 11: two layers of width d, or none.",
        choices=("linear-relu-linear", "none"),
        source="Eq. 11; the width from the parameters of Table 1, section 4.2",
        reading=Reading(
            "model",
            where="Eq. 11",
            says='"two feedforward layers"; width, depth and activation are not given.',
            taken=(
                "Linear-ReLU-Linear of width d with biases, as BIKE's attribute branch (`modules/video_clip.py`), "
                "N(0, 0.02) weights, zero biases. 126.1 M leaves room for nothing wider: 4 d would make it 129.3 "
                "M."
            ),
            effect=("parameters: fit 126.1 M; accuracy, ", Measured("ablations", "model.ffn")),
        ),
    )
    ffn_residual: bool = setting(
        True,
        "Whether a residual connection goes around the FFNs of Eq. 11.",
        source="Eq. 11 prints none; without one the head starts at chance (DEVIATIONS.md)",
        reading=Reading(
            "model",
            where="Eq. 11",
            says="No residual connection.",
            taken=(
                'One, in the row SFAR; none in the row "SFAR, as printed" (`--reading printed`). FFNs of N(0, 0.02) '
                "with no way around them start at chance and have to learn CLIP's geometry again, which the paper's "
                "own rows speak against: 92.1 % on UCF-101 from two videos a class (Table 3), zero-shot above CLIP "
                "(Table 2b). It costs no parameter, so 126.1 M (Table 1) cannot tell. The search on development "
                "worlds, which had both to choose from, chose it (`results/storyboard/tuning.md`). Which reading shows "
                "which pattern of the paper: `results/storyboard/readings_map.md`."
            ),
            effect=Measured("ablations", "model.ffn_residual"),
        ),
    )
    context_layers: int = setting(
        0,
        "Blocks of a temporal transformer that the frames pass through before SFAR weighs them; 0: none.",
        unit="layers",
        low=0,
        source="not in the paper's equations; BIKE, whose settings it follows, has 6 before its weights",
        reading=Reading(
            "model",
            where='Section 4.1, "we follow [48]"; Table 1 (126.1 M)',
            says=(
                "No equation has attention among frames. [48] is BIKE, whose released head has a temporal transformer "
                "of 6 layers before its weights."
            ),
            taken=(
                "None: the appendix adds FFN layers alone to the visual tower, and the search on development worlds, "
                "which had both to choose from, did without (`--reading context`). 126.1 M leaves no room for it, but "
                "neither does the 124.1 M printed for BIKE."
            ),
            effect=("parameters: +18.95 M at d = 512; accuracy, ", Measured("ablations", "model.context_layers")),
        ),
    )
    coarse: bool = setting(
        True,
        "Whether the coarse embedding (Eq. 7, 8) is used.",
        source="Table 2e, last row",
    )
    fine: bool = setting(
        True,
        "Whether the fine embedding (Eq. 9, 10) is used.",
        source="Table 2e, last row",
    )
    temporal_layers: int = setting(
        6,
        "Blocks of the temporal transformer of Baseline (Temporal) and of BIKE's head.",
        unit="layers",
        low=0,
        source="BIKE, ActionCLIP Visual_Prompt.py; of temporal and single only",
        reading=Reading(
            "model",
            where='Table 2e, "Baseline (Temporal)"; Table 1, BIKE 124.1 M',
            says='"a 6-layer Transformer encoder with position embedding".',
            taken=(
                "BIKE's and ActionCLIP's temporal transformer (BIKE `modules/video_clip.py`): 6 pre-LN blocks, "
                "max(1, d / 64) heads, residual to the input without positions. The single-granularity row (BIKE) "
                "has it too, as in BIKE's released code, although the 124.1 M printed for BIKE is visual tower + "
                "text blocks + positions (124.06 M) and leaves no room for its 18.95 M."
            ),
            effect=(
                "parameters: +18.95 M at d = 512; accuracy, frozen tower: BIKE's head with against without ",
                Measured("ablations", pair=("frozen/single", "frozen/single-0")),
                "; SFAR against BIKE's head without ",
                Measured("ablations", pair=("frozen/both", "frozen/single-0")),
            ),
        ),
    )


@dataclass(frozen=True)
class TrainConfig:
    """Section 4.1 and Table 5, with what BIKE's released code adds."""

    epochs: int = setting(
        3,
        "Passes over the training clips.",
        unit="epochs",
        above=0,
        source="section 4.1; Table 5, row 7",
        protocols={
            "few-shot": "section 4.1; Table 5, row 7: 2 epochs on Kinetics-400, 10 on the others",
            "charades": "BIKE configs/charades; section 4.1 says 30",
        },
        reading=Reading(
            "storyboard",
            where="Schedule",
            says="30 epochs, batch 256",
            taken="shorter and smaller: minutes on two cores, some hundred training videos",
            effect=("epochs, ", Measured("ablations", "train.epochs")),
            also=(
                "train.batch",
                "train.warmup_epochs",
            ),
        ),
    )
    warmup_epochs: float = setting(
        1.0,
        "How long the learning rate climbs to its base, in a straight line, before the cosine.",
        unit="epochs",
        low=0,
        source="section 4.1; Table 5, row 5",
        reading=Reading(
            "loss",
            where="Table 5, few-shot",
            says="5 warm-up epochs in a training of 2 epochs.",
            taken=(
                "Taken literally, as BIKE's scheduler does (`utils/lr_scheduler.py`): the warm-up never ends, the "
                "rate climbs to 2/5 of its base and there is no cosine."
            ),
            effect="rate: 0.4 of the base at the end of epoch 2; accuracy: not yet measured",
        ),
    )
    batch: int = setting(
        16,
        "Videos in a batch, over all processes; the contrast of Eq. 12-13 is over all of them.",
        unit="videos",
        above=0,
        source="section 4.1; Table 5, row 3",
        reading=Reading(
            "loss",
            where="Section 4.1, batch 256",
            says="How it is spread over devices is not said.",
            taken=(
                "The contrast of Eq. 12-13 is over all 256, on however many processes and in whatever parts "
                "(`train.micro_batch`); BIKE gathers 8 devices x 32."
            ),
            effect=(
                "none: losses equal to 1e-5 (`tests/training/test_distributed.py`, `tests/training/test_train.py`)"
            ),
        ),
    )
    lr_head: float = setting(
        2e-3,
        "Base learning rate of what is new: everything but CLIP.",
        above=0,
        source="section 4.1, for what is new (BIKE's two groups)",
        reading=(
            Reading(
                "loss",
                where="Section 4.1 against Table 5",
                says="Learning rate 5e-5 in the text, 5e-6 in the table.",
                taken=(
                    "Both: BIKE has two groups (`utils/solver.py`, `clip_ratio: 0.1`), 5e-5 for the head and 5e-6 for "
                    "the visual tower and the logit scale."
                ),
                effect="not yet measured",
                also=("train.lr_clip",),
            ),
            Reading(
                "storyboard",
                where="Learning rates",
                says="5e-5 and 5e-6",
                taken="higher, for a small CLIP and few steps; still two groups",
                effect="not yet measured",
                also=("train.lr_clip",),
            ),
        ),
    )
    lr_clip: float = setting(
        1e-4,
        "Base learning rate of CLIP's visual tower and logit scale.",
        low=0,
        source="Table 5, row 6, for CLIP (BIKE's two groups)",
    )
    weight_decay: float = setting(
        0.02,
        "Weight decay of AdamW, on every trained parameter.",
        low=0,
        source="Table 5, row 12; BIKE has 0.2",
        reading=Reading(
            "loss",
            where="Table 5",
            says="Weight decay 0.02; BIKE 0.2.",
            taken=(
                "0.02 as printed, on every trained parameter, biases and norms included, as BIKE (`utils/solver.py`)."
            ),
            effect=Measured("ablations", "train.weight_decay"),
        ),
    )
    betas: tuple[float, float] = setting(
        (0.9, 0.999),
        "Decay rates of AdamW's two averages.",
        rule=Rule("two numbers of at least 0 and below 1", _decay_rates),
        source="Table 5, row 2",
    )
    eps: float = setting(
        1e-8,
        "Epsilon of AdamW.",
        low=0,
        source="not in the paper; PyTorch's",
    )
    loss_lambda: float = setting(
        1.0,
        "Weight of the video-to-text loss, lambda of Eq. 14.",
        low=0,
        source="Eq. 14, without a value; BIKE and ActionCLIP weigh both directions alike",
        reading=Reading(
            "loss",
            where="Eq. 14",
            says='lambda, "a hyperparameter", without a value.',
            taken=(
                "1: BIKE (`train.py`) and ActionCLIP weigh both directions alike. BIKE takes the mean where Eq. "
                "14 takes the sum, which AdamW does not notice."
            ),
            effect=Measured("ablations", "train.loss_lambda"),
        ),
    )
    loss: str = setting(
        "info_nce",
        "The loss: info_nce, Eq. 12-14; cross_entropy over the classes; or kl, ActionCLIP's: Kullback-Leibler "
        "divergence in both directions, to the softmax of ten times whether two videos are of one class.",
        choices=("info_nce", "cross_entropy", "kl"),
        source="Eq. 12-14; the others are those of other systems (`sfar/model/systems`)",
    )
    train_visual: bool = setting(
        True,
        "Whether the visual tower is fine-tuned, as in the paper; false: frozen, its frame embeddings made once and "
        "kept.",
        source="appendix A.3: the textual encoder alone is frozen",
        reading=(
            Reading(
                "loss",
                where="Appendix A.3",
                says='"the textual encoder of CLIP is frozen".',
                taken=(
                    "Everything but the visual tower and the logit scale (BIKE `train.py`). `train.train_visual` "
                    "freezes the tower too, which the paper does not do."
                ),
                effect="`results/storyboard/ablations.md`: both towers",
            ),
            Reading(
                "protocols",
                where="Tables 2-4 against section 4.1",
                says="The paper fine-tunes the visual tower.",
                taken=(
                    "Sweeps of many runs use a frozen tower, whose frame embeddings are made once in "
                    "`train.frozen_draws` augmented versions; headline rows are fine-tuned. Every record says what "
                    "was trained."
                ),
                effect="`results/storyboard/ablations.md`: both for the rows of Table 2e",
                also=("train.frozen_draws",),
            ),
        ),
    )
    train_text: str = setting(
        "frozen",
        "What of CLIP's text tower is trained: frozen, nothing; tower, all but the token embedding; all.",
        choices=("frozen", "tower", "all"),
        source="appendix A.3: the textual encoder is frozen; other systems train it (`sfar/model/systems`)",
    )
    frozen_draws: int = setting(
        4,
        "Augmented versions of each training clip that a frozen tower embeds; epoch e uses version e mod this.",
        unit="versions",
        above=0,
        source="not in the paper; of a frozen tower only",
    )
    few_shot_epoch: str = setting(
        "repeat",
        "An epoch of K shots: repeat the list up to the full list's length, or pass through it once.",
        choices=("repeat", "once"),
        source="BIKE train.py; the paper does not say what an epoch of K shots is",
        reading=Reading(
            "protocols",
            where="Section 4.1, few-shot epochs",
            says=(
                "2 or 10 epochs of K videos per class. BIKE repeats the list until it is as long as the full one "
                "(`train.py`)."
            ),
            taken='Repeated: otherwise 2 epochs of 800 videos are 6 steps. "once" passes through the list once.',
            effect="`results/storyboard/few_shot.md`: both for every cell",
        ),
    )
    frames: int = setting(
        8,
        "Frames of a video that enter the model.",
        unit="frames",
        above=0,
        source="Tables 1, 3: 8 frames",
        protocols={"charades": "section 4.2, Table 2a: 16 frames"},
        reading=Reading(
            "protocols",
            where="Table 2a, Charades training",
            says="Not described.",
            taken=(
                "Each timed action is a training clip of one class, as BIKE's list has it "
                "(`datasets/charades.py`); whole videos are tested, 16 frames. Other actions of the same video "
                "are no positives."
            ),
            effect="not yet measured",
        ),
    )
    crop_area: tuple[float, float] = setting(
        (0.5, 1.0),
        "Least and greatest area of the random crop of training (RandomSizedCrop).",
        unit="share of the picture",
        rule=Rule("0 < lowest <= highest <= 1", _shares_in_order),
        source="Table 5, row 9, without an area; BIKE utils/Augmentation.py",
        reading=(
            Reading(
                "videos",
                where="Table 5, RandomSizedCrop",
                says="Area of the crop not given.",
                taken=(
                    "(0.08, 1) in the `paper` profile, the default of the transform and BIKE's "
                    "(`utils/Augmentation.py`)."
                ),
                effect="not yet measured",
            ),
            Reading(
                "storyboard",
                where="Random crop",
                says="(0.08, 1) of the area",
                taken=(
                    "(0.5, 1): a drawn figure covers a small part of the picture, and 8 % of it mostly shows none of it"
                ),
                effect="not yet measured",
            ),
        ),
    )
    flip: float = setting(
        0.5,
        "How often a training video is mirrored.",
        unit="probability",
        low=0,
        high=1,
        source="Table 5, row 8",
    )
    gray: float = setting(
        0.2,
        "How often a training video is made gray.",
        unit="probability",
        low=0,
        high=1,
        source="Table 5, row 11",
    )
    frame_order: str = setting(
        "in time",
        "In which order the model is given the sampled frames, in training and at test: as in time, or shuffled, which "
        "tells whether it looks at their order.",
        choices=("in time", "shuffled"),
        source="not in the paper; a control",
    )
    checkpoint_activations: bool = setting(
        False,
        "Whether activations of the visual tower are computed again for the backward pass: a third more time for a "
        "fraction of the memory, the same values.",
        source="not in the paper; memory against time, the values are the same",
        laid_out=True,
        reading=Reading(
            "protocols",
            where="Section 4.1, batch 256",
            says="256 clips of 8 frames need some 200 GB for the backward pass.",
            taken=(
                "The `paper` profile computes the tower's activations again instead of keeping them; the values "
                "are the same."
            ),
            effect="none",
        ),
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the visual tower; auto: bf16 autocast on a GPU that has it, fp16 with a loss scale on one that "
        "has not, single precision on a CPU.",
        choices=("auto", "fp32", "bf16", "fp16"),
        source="not in the paper; BIKE trains in half precision",
        reading=Reading(
            "loss",
            where="Section 4.1",
            says="Nothing on numerical precision.",
            taken=(
                "bf16 autocast on a GPU that has it, fp16 with a loss scale (BIKE's way) on one that has not, "
                "single precision on a CPU."
            ),
            effect="not yet measured",
        ),
    )
    compile: bool = setting(
        False,
        "Whether torch.compile compiles the visual tower: a minute or more at the start, then quicker steps.",
        source="not in the paper; time alone",
        laid_out=True,
    )
    micro_batch: int = setting(
        0,
        "Clips that pass through the model at a time in each process, 0: its whole share of the batch; the loss stays "
        "that of the whole batch.",
        unit="clips",
        low=0,
        source="not in the paper; memory against time, the loss stays that of the whole batch",
        laid_out=True,
    )


@dataclass(frozen=True)
class DataConfig:
    """Where the videos are, and which of them.

    ``storyboard-...``: drawn by the repository itself from ``seed``, in that data set's layout.
    """

    dataset: str = setting(
        "storyboard-kinetics",
        "The data set: storyboard-..., drawn by the repository itself in that data set's layout, a real one, or one of "
        "your own: folder.",
        choices=DATASETS,
        role="what",
        source="section 4.1, appendix A.1",
    )
    root: str = setting(
        "",
        "Folder of a real data set, or of several: kinetics400, ucf101, hmdb51, charades; of your own a folder or csv.",
        free="any folder; one that is not in the data set's layout is refused",
        role="what",
        source="yours",
    )
    reader: str = setting(
        "auto",
        "Which library reads videos; auto is strict PyAV.",
        choices=("auto", "pyav", "decord"),
        source="not in the paper; BIKE and others use decord",
        reading=Reading(
            "protocols",
            where="Kinetics-400, videos read",
            says="decord, as BIKE and others do.",
            taken=(
                "PyAV, strict: on 671 damaged files decord gave another frame than asked for 65 times, without an "
                "error. decord stands behind the same function."
            ),
            effect="the frames are the same on healthy files",
        ),
    )
    fold: int = setting(
        1,
        "Which of the three official train/test splits of UCF-101 and HMDB-51; of your own videos, which fifth tests.",
        choices=(1, 2, 3),
        role="what",
        source="the first official split, as BIKE and X-CLIP train on",
    )
    shots: int = setting(
        0,
        "Few-shot: K training clips of each class; 0: all.",
        unit="clips",
        low=0,
        role="what",
        source="section 4.1, Tables 3, 12: 2, 4, 8, 16; 0: all videos",
        reading=Reading(
            "protocols",
            where="Section 4.1, few-shot",
            says=(
                "K videos per class. BIKE draws them with Python's `random` and seeds only torch and numpy, so "
                "every process of a distributed run draws its own (`train.py`)."
            ),
            taken=(
                "A list drawn once: a clip's rank is a hash of seed and path, the same on any machine, K = 2 "
                "inside K = 4; or a list from a file, as X-CLIP, ViFi-CLIP, OST and TC-CLIP ship for HMDB-51 and "
                "UCF-101. `data.shot_draws` unites as many lists as BIKE has processes."
            ),
            effect="`results/storyboard/few_shot.md`: one list against eight",
            also=(
                "data.shot_seed",
                "data.shot_list",
                "data.shot_draws",
            ),
        ),
    )
    shot_seed: int = setting(
        0,
        "Seed of the few-shot list.",
        low=0,
        source="not in the paper; BIKE draws without a seed",
    )
    shot_draws: int = setting(
        1,
        "Few-shot lists drawn and united; more than 1: what an unseeded draw in each of so many processes amounts to.",
        unit="lists",
        above=0,
        source="one list; BIKE draws one in each process",
    )
    shot_list: str = setting(
        "",
        "A file with the few-shot list instead of a drawn one.",
        free="any file; one that names other videos is refused",
        role="what",
        source="yours",
    )
    image_size: int = setting(
        64,
        "Width and height of what enters the visual tower.",
        unit="pixels",
        above=0,
        source="Table 5, row 10",
        reading=(
            Reading(
                "videos",
                where='Table 5, "Crop size 224"',
                says="-",
                taken=(
                    "Short side before the crop 8/7 of the input for every input size. BIKE keeps 256 for 224 only "
                    "and takes the input size itself otherwise."
                ),
                effect="none at 224",
            ),
            Reading(
                "storyboard",
                where="Input",
                says="224 pixels, short side 256",
                taken="64 pixels, short side 73: the same 8/7 rule, rounded",
                effect="not yet measured",
            ),
        ),
    )
    seed: int = setting(
        2026,
        "Seed of the drawn world; development worlds are 1, 1001, 1002 and 2025, the CLIP's training frames 11 and 12.",
        low=0,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    train_per_class: int = setting(
        24,
        "Training videos of each class of the drawn world.",
        unit="videos",
        above=0,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    val_per_class: int = setting(
        32,
        "Test videos of each class of the drawn world.",
        unit="videos",
        above=0,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    replicate: int = setting(
        0,
        "Which drawing the training videos are of: 0, the world's own; k, as many others, drawn from another seed.",
        low=0,
        role="drawn",
        source="of the drawn world; the paper trains once",
        reading=Reading(
            "storyboard",
            where="Replicates",
            says="1",
            taken="each seed trains on videos of its own, so that intervals are over the training videos too",
            effect="in every record",
        ),
    )
    world_irrelevant: float | None = setting(
        None,
        "Drawn world: share of every video's frames that show other activities; null: drawn for each, 0 to 0.75.",
        kind=float,
        optional=True,
        unit="share of the frames",
        low=0,
        high=0.9,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    world_overlap: float = setting(
        0.0,
        "Drawn world: share of its script, from the beginning, that a class has in common with a partner class.",
        unit="share of the script",
        low=0,
        high=1,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    world_evenness: float | None = setting(
        None,
        "Drawn world: from 0, every action's own share of the script, to 1, equal durations; null: as it always was.",
        kind=float,
        optional=True,
        low=0,
        high=1,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    world_momentary: int | None = setting(
        None,
        "Drawn world: length of each script's shortest action in every video; null: as its share of the script says.",
        kind=int,
        optional=True,
        unit="frames",
        low=1,
        high=8,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    world_actions: int | None = setting(
        None,
        "Drawn world: actions of a script; null: its own, 2 to 4.",
        kind=int,
        optional=True,
        unit="actions",
        low=2,
        high=6,
        role="drawn",
        source="of the drawn world; not in the paper",
    )
    max_bad_share: float = setting(
        0.01,
        "Share of missing or undecodable videos that ends the run when it is exceeded.",
        unit="share of the videos",
        low=0,
        high=1,
        source="not in the paper; CVDF's own copy lacks 2.5 % of the training list",
        reading=Reading(
            "videos",
            where="Kinetics-400",
            says=(
                "Videos vanish and decay; BIKE replaces one that cannot be decoded by a random other, at test "
                "time too (`datasets/video.py`)."
            ),
            taken="Left out, counted and named in the record; too many of them end the run. Never replaced.",
            effect="counted in every record",
        ),
    )
    decode_limit: float = setting(
        20.0,
        "What the decoded frames of a list of videos may take on the disk. A list that needs more, or more than half "
        "of what is free there, is read from the video files each time; the frames are the same. 0: all are.",
        unit="GB",
        low=0,
        source="not in the paper; disk against time, the frames are the same",
    )
    loader_workers: int = setting(
        -1,
        "Processes that read videos ahead, for each process that computes. -1: on a GPU, which would wait, the cores "
        "that may be used, shared by the processes that compute, at most 8; none on a CPU, whose runs side by side use "
        "all cores.",
        unit="processes",
        low=-1,
        source="not in the paper; time alone",
    )


# Fields of ``DataConfig`` that no number follows from: where videos are, and how they are read.
_NO_NUMBER = ("root", "decode_limit", "loader_workers")


@dataclass(frozen=True)
class Profile:
    """A complete configuration."""

    name: str
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    seeds: tuple[int, ...] = setting(
        (0, 1, 2, 3, 4),
        "Training seeds: one run of each method for each.",
        any_length=True,
        rule=Rule("one or more distinct integers from 0 to 2**63 - 1", _distinct),
        source="not in the paper, which reports one number",
        reading=Reading(
            "storyboard",
            where="Seeds",
            says="1",
            taken="several; intervals are over seeds and videos",
            effect="in every record",
            also=("frozen_seeds",),
        ),
    )
    frozen_seeds: tuple[int, ...] = setting(
        (),
        "Seeds of runs on a frozen tower, which take seconds; empty: those of the other runs.",
        kind=int,
        any_length=True,
        rule=Rule("distinct integers from 0 to 2**63 - 1", lambda seeds: not seeds or _distinct(seeds)),
        source="not in the paper, which reports one number",
    )


GROUPS: dict[str, type] = {"model": ModelConfig, "train": TrainConfig, "data": DataConfig}


def _settings(of: type, prefix: str = "") -> dict[str, Setting]:
    return {prefix + f.name: f.metadata["setting"] for f in dataclasses.fields(of) if "setting" in f.metadata}


# Every field by its dotted name.
SETTINGS: dict[str, Setting] = {
    key: known for name, group in GROUPS.items() for key, known in _settings(group, f"{name}.").items()
} | _settings(Profile)

PROFILES: dict[str, Profile] = {
    # 2025 was looked at while readings were compared: what is reported is of a world that nothing was chosen on.
    "storyboard": Profile("storyboard", seeds=tuple(range(5)), frozen_seeds=tuple(range(20))),
    "paper": Profile(
        "paper",
        ModelConfig(clip="ViT-B-16-quickgelu", pretrained="openai"),
        TrainConfig(
            epochs=30,
            warmup_epochs=5.0,
            batch=256,
            lr_head=5e-5,
            lr_clip=5e-6,
            crop_area=(0.08, 1.0),
            checkpoint_activations=True,
        ),
        # CVDF's own copy has 240,258 of the 246,534 listed training videos (sfar/data/layouts.py), other copies less.
        DataConfig(dataset="kinetics400", image_size=224, max_bad_share=0.05),
        seeds=(0,),
    ),
}


# Readings of section 3.4 by name (``--reading``): the fields of SFAR's head that the paper leaves open and that decide
# most. ``CHOSEN`` is the one of both profiles, chosen on development worlds (``make tune``); DEVIATIONS.md has the
# argument.
PRESETS: dict[str, dict[str, Any]] = {
    "printed": {"model.ffn_residual": False, "model.context_layers": 0, "model.frame_norm": True},
    "residual": {"model.ffn_residual": True, "model.context_layers": 0, "model.frame_norm": False},
    "context": {"model.ffn_residual": True, "model.context_layers": 6, "model.frame_norm": True},
}
CHOSEN = "residual"


# What the search on development worlds found for each method in the storyboard world (``make tune``): a record,
# results/storyboard/tuning.json, has all trials, and a test holds this to it. The paper profile has the paper's values.
TUNED: dict[str, dict[str, Any]] = {
    "temporal": {"train.lr_head": 0.000393, "train.epochs": 6},
    "single": {"train.lr_head": 0.000795, "train.epochs": 4, "model.frame_temperature": 0.184},
    "sfar-printed": {"train.lr_head": 0.000393, "train.epochs": 6, "model.frame_temperature": 0.0913},
    "sfar": {
        "train.lr_head": 0.00054,
        "train.epochs": 3,
        "model.frame_temperature": 0.962,
        "model.ffn_residual": True,
        "model.context_layers": 0,
        "model.coarse_reduce": "mean",
        "model.frame_norm": False,
    },
}


def tuned(profile: str, method: str) -> dict[str, Any]:
    """The fields that a method has by the search in ``profile``; a reading of its own is not among them."""
    found = TUNED.get(method, {}) if profile == "storyboard" else {}
    return {k: v for k, v in found.items() if k not in PRESETS[CHOSEN]}


# --- reading and checking ------------------------------------------------------------------------------------------


def get_profile(name: str, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile called ``name`` with ``overrides`` such as ``{"train.epochs": 2}``.

    Raises ``ConfigError`` for an unknown profile or key, and for a value of another type; nothing is ignored.
    """
    if name not in PROFILES:
        raise ConfigError(f"unknown profile {name!r}: expected one of {', '.join(PROFILES)}")
    return changed(PROFILES[name], overrides or {})


def changed(profile: Profile, overrides: dict[str, Any]) -> Profile:
    """``profile`` with other values of fields by dotted name; errors as ``get_profile``."""
    for key, value in overrides.items():
        value = find(key).typed(key, value)
        group, _, name = key.rpartition(".")
        if group:
            profile = dataclasses.replace(
                profile, **{group: dataclasses.replace(getattr(profile, group), **{name: value})}
            )
        else:
            if name == "seeds" and value != profile.seeds and "frozen_seeds" not in overrides:
                profile = dataclasses.replace(profile, frozen_seeds=())  # those that are asked for are those of all
            profile = dataclasses.replace(profile, **{name: value})
    return check(profile)


def reading(name: str) -> dict[str, Any]:
    """The fields of a reading of section 3.4 (``PRESETS``). Raises ``ConfigError`` for an unknown name."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"unknown reading {name!r}{hint} Known: {', '.join(PRESETS)}")
    return dict(PRESETS[name])


def find(key: str) -> Setting:
    """What is known of the field ``key``; ``ConfigError`` with the nearest name for one that is not there."""
    if key in SETTINGS:
        return SETTINGS[key]
    top = [*GROUPS, *(k for k in SETTINGS if "." not in k)]
    first, dot, rest = key.partition(".")
    if first not in top:
        raise _unknown(key, first, top)
    if first not in GROUPS:
        raise ConfigError(f"unknown configuration key {key!r}: {first!r} has no fields")
    if not dot:
        raise ConfigError(f"configuration key {key!r} is a group: name a field in it")
    second, names = rest.partition(".")[0], list(_settings(GROUPS[first]))
    if second not in names:
        raise _unknown(key, second, names)
    raise ConfigError(f"unknown configuration key {key!r}: {second!r} has no fields")


def _unknown(key: str, part: str, names: list[str]) -> ConfigError:
    """``part`` of ``key`` is none of ``names``: the nearest of them, else a field of that name in some group."""
    near = difflib.get_close_matches(part, names, 1) or [k for k in SETTINGS if k.partition(".")[2] == part]
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigError(f"unknown configuration key {key!r}{hint} Known here: {', '.join(names)}")


def _value(profile: Profile, key: str) -> Any:
    group, _, name = key.rpartition(".")
    return getattr(getattr(profile, group) if group else profile, name)


def check(p: Profile) -> Profile:
    """Raise ``ConfigError`` for a value outside its range, or for fields that do not go together; return ``p``."""
    for key, known in SETTINGS.items():
        known.check(key, _value(p, key))
    _check_videos(p)
    if not (p.model.coarse or p.model.fine):
        raise ConfigError("configuration keys 'model.coarse' and 'model.fine': at least one must be true")
    return p


def _check_videos(p: Profile) -> None:
    """Fields that say together which videos are used."""
    d = p.data
    if d.root and d.dataset in DRAWN and d.dataset != "storyboard-kinetics":
        raise ConfigError(
            f"configuration key 'data.root': {d.dataset} is drawn, not read; for a folder name its data set: "
            f"{', '.join(LAYOUT_NAMES)} (data.dataset, --dataset)"
        )
    if (knobs := turned_knobs(d)) and (d.root or d.dataset not in DRAWN):
        raise ConfigError(
            f"configuration key 'data.{KNOB}{next(iter(knobs))}': of the drawn world only; leave it out for a data set "
            "that is read from a folder"
        )
    if d.fold != 1 and layout(p) in ("kinetics400", "charades"):
        raise ConfigError(f"configuration key 'data.fold': {d.dataset} has one official split, got {d.fold}")
    if d.shot_list and (d.shots or d.shot_draws > 1):
        raise ConfigError(
            "configuration keys 'data.shot_list' and 'data.shots', 'data.shot_draws': a list from a file is taken as "
            "it is; leave the others out"
        )
    if d.replicate and not (d.dataset in DRAWN and not d.root):
        raise ConfigError(
            f"configuration key 'data.replicate': {d.dataset} is read, not drawn: expected 0, got {d.replicate}"
        )
    if d.shot_draws > 1 and not d.shots:
        raise ConfigError("configuration key 'data.shot_draws': needs data.shots")


KNOB = "world_"  # how the fields of ``data`` begin that are knobs of the drawn world


def turned_knobs(data: DataConfig) -> dict[str, Any]:
    """The knobs of the drawn world that are not at their defaults, by the names of ``storyboard.knobs.Knobs``."""
    found = {f.name: getattr(data, f.name) for f in dataclasses.fields(data) if f.name.startswith(KNOB)}
    plain = DataConfig()
    return {k.removeprefix(KNOB): v for k, v in found.items() if v != getattr(plain, k)}


def counted(profile: Profile) -> Profile:
    """The profile as keys have it: fields that only say how the work is laid out (``Setting.laid_out``) at defaults."""
    groups = {}
    for group, of in GROUPS.items():
        plain = {f.name: f.default for f in dataclasses.fields(of) if f.metadata["setting"].laid_out}
        groups[group] = dataclasses.replace(getattr(profile, group), **plain)
    return dataclasses.replace(profile, **groups)


def which_data(data: DataConfig) -> dict[str, Any]:
    """``data`` as keys have it, in plain JSON types.

    Without what no number follows from, and without the knobs that are not turned.
    """
    turned = turned_knobs(data)
    return {
        k: v
        for k, v in as_dict(data).items()
        if k not in _NO_NUMBER and (not k.startswith(KNOB) or k.removeprefix(KNOB) in turned)
    }


def layout(p: Profile) -> str:
    """Which data set's layout and protocol the profile's videos have (one of ``LAYOUT_NAMES``), drawn or real."""
    return DRAWN.get(p.data.dataset, p.data.dataset) if not (p.data.root and p.data.dataset in DRAWN) else "kinetics400"


def few_shot(p: Profile) -> bool:
    """Whether training uses a few-shot list."""
    return bool(p.data.shots or p.data.shot_list)


def by_dataset(name: str, dataset: str, shots: bool = False) -> dict[str, Any]:
    """Overrides that the protocol of ``dataset`` adds to profile ``name``; one given by the user goes before them.

    Charades: 16 frames (section 4.2, Table 2a) and in the paper profile BIKE's 20 epochs (configs/charades).
    Few-shot, paper profile: 2 epochs on Kinetics-400, 10 on the others (section 4.1, Table 5).
    """
    if dataset not in DATASETS:
        raise ConfigError(f"unknown data set {dataset!r}: expected one of {', '.join(DATASETS)}")
    which = DRAWN.get(dataset, dataset)
    out: dict[str, Any] = {"data.dataset": dataset}
    if which == "charades":
        out["train.frames"] = 16
        if name == "paper":
            out["train.epochs"] = 20
    if shots and name == "paper":
        out["train.epochs"] = 2 if which == "kinetics400" else 10
    return out


def as_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def values(profile: Profile) -> dict[str, Any]:
    """Every field of a profile by its dotted name, as plain JSON types."""
    groups = as_dict(profile)
    return {
        key: groups[group][name] if group else groups[name]
        for key in SETTINGS
        for group, _, name in (key.rpartition("."),)
    }


def digest(*parts: Any) -> str:
    """A short stable hash of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
