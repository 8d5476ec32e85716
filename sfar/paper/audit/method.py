"""The equations of section 3."""

from __future__ import annotations

import math
from fractions import Fraction

from sfar.paper.audit.cells import Tables
from sfar.paper.audit.rows import Counted, Row, holds

TITLE = "Method: section 3, Eq. 1-14"


def build(t: Tables, _: Counted) -> list[Row]:
    """Every statement of this part."""
    fine, coarse = t.said("fig6-fine"), t.said("fig6-coarse")
    share = fine.number / 100
    gap = math.log(float(share / ((1 - share) / 7)))
    labels = [0, 0, 1, 2, 2, 2]
    weight = [sum(Fraction(1, labels.count(b)) for b in labels if b == v) for v in labels]
    ffn = ("ablations", "FFN (Eq. 11)")
    return [
        Row(
            "attention",
            "Eq. 4-6",
            "Attention with W^q, W^k, W^v",
            "number of heads, biases, output projection and scale are not given; two inventories of "
            "126.1 M differ in them",
            "not decidable",
            reading="as printed: three matrices, one head, scores over sqrt(d)",
            field="model.attention",
            measure=("ablations", "cross-attention (Eq. 4-6)"),
        ),
        Row(
            "coarse-sum",
            "Eq. 7 against Eq. 9",
            '"overall normalized similarity"; a_coarse is summed over words, a_fine averaged',
            "a_coarse as printed adds up to the number of words, not to 1. BIKE (modules/video_clip.py) averages",
            "contradicts",
            reading="mean over words",
            field="model.coarse_reduce",
            measure=("ablations", "sum or mean over words (Eq. 7)"),
        ),
        Row(
            "temperature",
            "Eq. 7, 9 against Fig. 6",
            "softmax over frames of the bare cosine; a_fine = 23 % of one frame in Fig. 6",
            f"23 % of 8 frames, the others equal, needs cosines {gap:.2f} apart without temperature, {gap / 100:.4f} "
            f"at BIKE's 0.01 (modules/video_clip.py); equal weights are 12.5 %, a_coarse is {coarse.text} %",
            "contradicts",
            cells=(fine, coarse),
            reading="1 / the logit scale of the CLIP at hand (0.01 for OpenAI's)",
            field="model.frame_temperature",
            measure=("ablations", "frame temperature (Eq. 7, 9)"),
        ),
        Row(
            "words",
            "section 3.2, 3.3, Eq. 7, 9",
            "|S_c,n| is the number of words in the sub-text",
            "start token, end token and padding are not mentioned. BIKE (clip/model.py) has all 77 positions in its "
            "mean",
            "not decidable",
            reading="words and the end token",
            field="model.word_mask",
            measure=("ablations", "words that count (Eq. 7, 9)"),
        ),
        Row(
            "frame-norm",
            "Eq. 8, 10",
            "frames are summed in CLIP embedding space",
            "whether at unit length is not said; BIKE (modules/video_clip.py) sums unit vectors",
            "not decidable",
            reading="unit length",
            field="model.frame_norm",
            measure=("ablations", "length of frame embeddings (Eq. 8, 10)"),
        ),
        Row(
            "ffn",
            "Eq. 11",
            "two feedforward layers",
            "depth, width and activation are not given. Linear-ReLU-Linear of width d, as BIKE's attribute branch "
            "(modules/video_clip.py), fits 126.1 M; 4 d wide would be 129.3 M",
            "not decidable",
            reading="Linear-ReLU-Linear of width d",
            field="model.ffn",
            measure=ffn,
        ),
        Row(
            "ffn-residual",
            "Eq. 11",
            "o = FFN(o_coarse) + FFN(o_fine)",
            "no residual is printed: the video embedding starts as a random projection of CLIP's",
            "not decidable",
            reading="one; none in the row as printed",
            field="model.ffn_residual",
            measure=ffn,
        ),
        Row(
            "loss-sign",
            "Eq. 12, 13",
            "maximizing the similarity with the ground truth; L is optimised as InfoNCE [27]",
            "no minus sign: minimising L as printed lowers the probability of the true class",
            "wrong",
            reading="negated",
            effect="none: not a choice",
        ),
        Row(
            "loss-temperature",
            "Eq. 12, 13",
            "exp(y) of a cosine",
            "without temperature the highest probability among 400 classes is "
            f"{100 * math.e / (math.e + 399 / math.e):.1f} % (cosine 1 against -1 for all others). BIKE (train.py) "
            "multiplies by CLIP's logit scale",
            "not decidable",
            reading="y = cosine times CLIP's logit scale, trained",
            effect="not measured: no run of the alternative",
        ),
        Row(
            "loss-b",
            "Eq. 12-14",
            "B is the number of batches; b-th video embedding in a batch",
            "k_b and the sums run over the videos of one batch",
            "contradicts",
            reading="B is the number of videos in the batch",
            effect="none: not a choice",
        ),
        Row(
            "loss-directions",
            "Eq. 12, 13",
            "text to video is normalised over the B videos, video to text over all C classes",
            "BIKE (utils/NCELoss.py, train.py) uses the batch's own labels in both directions, with softened targets",
            "not decidable",
            reading="as printed",
            effect="not measured: no run of the alternative",
        ),
        holds(
            "loss-mean",
            "Eq. 13",
            "average within k_b, then over b",
            all(w == 1 for w in weight),
            "equal to plain cross-entropy: the weights 1/|k_b| of a class add up to 1 for every video",
            reading="plain cross-entropy",
            effect="none, by algebra",
        ),
        Row(
            "lambda",
            "Eq. 14",
            "lambda is a hyperparameter",
            "no value, neither in section 4.1 nor in Table 5; BIKE (train.py) and ActionCLIP weigh both "
            "directions alike",
            "not decidable",
            reading="1",
            field="train.loss_lambda",
            measure=("ablations", "lambda (Eq. 14)"),
        ),
        Row(
            "fig3-index",
            "Fig. 3, caption",
            "sub-text prompts {S_c,n}, n = 1 to L",
            "L is the number of frames; section 3.1 has n = 1 to N",
            "contradicts",
            reading="N",
            effect="none: a misprint",
        ),
        Row(
            "fig6",
            "Fig. 6",
            "a_fine = 23% has a higher probability than a_coarse = 9%",
            f"{fine.text} > {coarse.text}; of one frame of one video",
            "right" if fine.number > coarse.number else "wrong",
            cells=(fine, coarse),
        ),
        Row(
            "fig1-stand",
            "Fig. 1",
            t.quote("fig1-stand"),
            "which video is not said",
            "not decidable",
            cells=(t.said("fig1-stand"),),
        ),
        holds(
            "fig1",
            "Fig. 1",
            t.quote("fig1-crouch"),
            t.said("fig1-crouch").number + t.said("fig1-extend").number <= 100,
            "shares of one video: they add up to 65 %; the rest is not named",
            (t.said("fig1-crouch"), t.said("fig1-extend")),
        ),
    ]
