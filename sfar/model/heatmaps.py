"""Heat maps (Figures 2, 9, 10) and shapes (Figure 3) of a trained model: where its importance lies within the frames.

The paper does not say how its heat maps were made. Here a map spreads the importance a_l that the model gives to frame
l for the true class (Eq. 7 or 9) over the patches p of that frame:

    h_l,p = a_l * softmax_p(s_l,p / tau)        s_l,p = mean over words w of cos(w, z_l,p)

z_l,p: output token p of the visual tower's last block, through ``ln_post`` and the projection, the way of the class
token; tau: the model's temperature over frames. The words are those that the importance is computed from: of the class
prompt (single), augmented by Eq. 6 (coarse), of the sub-text that fits the frame best (fine). Fused: the mean of the
coarse and the fine map, since Eq. 11 adds both embeddings.

Exact: a_l; so the heat of a frame adds up to its importance and that of a video to one, and the class token taken the
same way is v^cls. A reading: the place within a frame. No equation compares words with patches and no loss sees z, so a
map shows which patches carry a content like the text's, not which pixels the model depends on. The temporal transformer
of "single" is in its a_l, not in its patches.

Shapes: L frames, C classes, N sub-texts, g x g patches, d the width of the joint space.
"""

from __future__ import annotations

from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.transformer import VisionTransformer
from torch import Tensor

from sfar.errors import ConfigError
from sfar.model.embedding import aggregate, mean_unit_words, unit
from sfar.model.sfar import SFAR
from sfar.model.single_granularity import SingleGranularity
from sfar.model.texts import ClassTexts
from sfar.model.video_model import VideoModel

MAPS = ("single", "coarse", "fine", "fused")  # granularities: of a "single" model the first, of SFAR the others


def _tower(clip: CLIP) -> VisionTransformer:
    """The visual tower. Raises ``ConfigError`` for one that is no ViT."""
    visual = clip.visual
    if not isinstance(visual, VisionTransformer):
        raise ConfigError("heat maps need a plain ViT as visual tower (model.clip), such as 'ViT-B-16-quickgelu'")
    return visual


def patch_tokens(clip: CLIP, frames: Tensor) -> tuple[Tensor, Tensor]:
    """v^cls [N, d] and the patches in the joint space [N, g, g, d] of normalised frames [N, 3, H, W].

    Raises ``ConfigError`` for a visual tower that is no ViT or pools by attention: its tokens are not in the joint
    space.
    """
    visual = _tower(clip)
    if visual.attn_pool is not None or visual.proj is None:
        raise ConfigError("heat maps need a plain ViT, without attention pooling, as visual tower (model.clip)")
    before, visual.output_tokens = visual.output_tokens, True
    try:
        cls, tokens = visual(frames)
    finally:
        visual.output_tokens = before
    return cls, (tokens @ visual.proj).unflatten(1, tuple(visual.grid_size))


def directions(model: VideoModel, texts: ClassTexts | None = None) -> dict[str, Tensor]:
    """Mean unit words of all classes, from which the model's importance is computed: [C, K, d] by granularity.

    K = N for "fine", else 1. ``texts``: of other classes, None: the model's own. Raises ``ConfigError`` for a method
    without importance over frames.
    """
    t, head = texts or model.texts, model.head
    if isinstance(head, SingleGranularity):
        return {"single": mean_unit_words(t.words[:, None], t.mask[:, None])}
    if not isinstance(head, SFAR):
        raise ConfigError(f"heat maps need a method that weights frames, 'single' or 'sfar', not {model.method!r}")
    out = {}
    if head.cfg.coarse:
        augmented = head.attention(t.words, t.sub_words, t.sub_mask)
        out["coarse"] = mean_unit_words(augmented[:, None], t.mask[:, None])
    if head.cfg.fine:
        out["fine"] = mean_unit_words(t.sub_words, t.sub_mask)
    return out


def patch_similarity(v: Tensor, patches: Tensor, words: Tensor) -> Tensor:
    """The s [L, g, g] of one video's patches [L, g, g, d] to the mean unit words [K, d].

    Of K texts, for each frame the one that fits v [L, d] best.
    """
    best = (unit(v) @ words.T).argmax(1)
    return torch.einsum("lhwd,ld->lhw", unit(patches), words[best])


def heat(similarity: Tensor, importance: Tensor, tau: float) -> Tensor:
    """The h [L, g, g]: the importance [L] of each frame, spread by a softmax of its patches' similarity [L, g, g]."""
    return (similarity.flatten(1) / tau).softmax(1).unflatten(1, similarity.shape[1:]) * importance[:, None, None]


@torch.inference_mode()
def look(
    model: VideoModel, frames: Tensor, label: int, texts: ClassTexts | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Importance [L] and heat [L, g, g] of one video for its true class ``label``, by granularity.

    ``frames``: normalised, [L, 3, H, W]; ``texts``: as for ``directions``. Raises ``ConfigError`` as
    ``patch_tokens`` and ``directions``.
    """
    model.eval()
    v, patches = patch_tokens(model.clip, frames)
    out = model.from_embeddings(v[None], texts)
    importance, maps = {}, {}
    for name, words in directions(model, texts).items():
        weights = out.fine if name == "fine" else out.coarse
        assert weights is not None  # a head that has these words has their importance
        a = weights[0, label]
        importance[name] = a / a.sum()  # "sum" of model.coarse_reduce adds up to the number of words
        maps[name] = heat(patch_similarity(v, patches, words[label]), importance[name], model.head.tau)
    if "coarse" in maps and "fine" in maps:
        maps["fused"] = (maps["coarse"] + maps["fine"]) / 2
    return importance, maps


@torch.inference_mode()
def shapes(model: VideoModel, frames: Tensor) -> dict[str, list[int]]:
    """Shapes of all that Figure 3 names, from one pass of SFAR with both embeddings over frames [1, L, 3, H, W]."""
    model.eval()
    visual, t, head = _tower(model.clip), model.texts, model.head
    assert isinstance(head, SFAR)
    seen: list[Any] = []
    hook = visual.transformer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        out = model(frames)
    finally:
        hook.remove()
    v = visual(frames[0])[None]
    assert out.coarse is not None and out.fine is not None
    o_coarse, o_fine = aggregate(v, out.coarse), aggregate(v, out.fine)
    found = {
        "frames": frames,
        "tokens": seen[0],
        "v": v,
        "t_cls": t.cls,
        "T": t.words,
        "S": t.sub_words,
        "T_hat": head.attention(t.words, t.sub_words, t.sub_mask),
        "a_coarse": out.coarse,
        "a_fine": out.fine,
        "o_coarse": o_coarse,
        "o_fine": o_fine,
        "ffn_coarse": head.ffn_coarse(o_coarse),
        "ffn_fine": head.ffn_fine(o_fine),
        "o": head.embed(v, t)[0],
        "logits": out.logits,
    }
    return {name: list(x.shape) for name, x in found.items()}
