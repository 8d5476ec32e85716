"""Which model weights are of, told by the names and shapes of their tensors: another CLIP, or no CLIP at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import open_clip
from torch import Tensor


def is_quickgelu(name: str) -> bool:
    """Whether the open_clip model ``name`` has the activation of OpenAI's weights."""
    return bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))


# --- another CLIP --------------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """What tells one ViT CLIP from another, as far as tensors show it. ``hidden``: of its visual layers' MLP."""

    pixels: int
    patch: int
    width: int
    layers: int
    hidden: int
    dimensions: int
    text_width: int
    text_layers: int
    context: int
    vocabulary: int

    def differences(self, other: Shape) -> str:
        """Of ``self``, where it is not as ``other``."""
        pairs = zip(self._asdict().items(), other, strict=True)
        return ", ".join(f"{name.replace('_', ' ')} {mine:,}" for (name, mine), its in pairs if mine != its)


def shape_of(state: Mapping[str, Tensor]) -> Shape | None:
    """By open_clip's names of tensors; None where it is no ViT with a text tower, or a tensor that tells is missing."""
    try:
        patches = state["visual.conv1.weight"]
        return Shape(
            round(max(0, state["visual.positional_embedding"].shape[0] - 1) ** 0.5) * patches.shape[-1],
            patches.shape[-1],
            patches.shape[0],
            _layers(state, "visual.transformer.resblocks."),
            state["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
            state["visual.proj"].shape[1],
            state["positional_embedding"].shape[1],
            _layers(state, "transformer.resblocks."),
            state["positional_embedding"].shape[0],
            state["token_embedding.weight"].shape[0],
        )
    except (KeyError, IndexError):
        return None


def _layers(names: Iterable[str], start: str) -> int:
    return len({n[len(start) :].split(".")[0] for n in names if n.startswith(start)})


def models_of(shape: Shape) -> list[str]:
    """The plain CLIPs of open_clip that have this shape, by their configurations."""
    return [name for name in open_clip.list_models() if _configured(name) == shape]


def _configured(name: str) -> Shape | None:
    config = open_clip.get_model_config(name) or {}
    v, t = config.get("vision_cfg", {}), config.get("text_cfg", {})
    if config.get("custom_text") or "timm_model_name" in v or "hf_model_name" in t or isinstance(v.get("layers"), list):
        return None
    vision, text = open_clip.CLIPVisionCfg(**v), open_clip.CLIPTextCfg(**t)
    if not isinstance(vision.image_size, int) or not isinstance(vision.layers, int):
        return None
    return Shape(
        vision.image_size // vision.patch_size * vision.patch_size,
        vision.patch_size,
        vision.width,
        vision.layers,
        int(vision.width * vision.mlp_ratio),
        config["embed_dim"],
        text.width,
        text.layers,
        text.context_length,
        text.vocab_size,
    )


# --- no plain CLIP -------------------------------------------------------------------------------------------------

# Told by a name among the tensors, the first that is found. None of these can be loaded as they are.
_KINDS = (
    (r"lora_[AB]\b", "weights of adapters (LoRA): merge them into their model and save that"),
    (r"(^|\.)(vision_model\.head\.probe|visual\.trunk\.attn_pool\.|logit_bias$)", "SigLIP, which is no CLIP"),
    (
        r"visual\.(blocks\.\d+|rope)\.|visual\.trunk\.blocks\.\d+\.attn\.(q_proj|rope)",
        "EVA-CLIP, whose tower is another",
    ),
    (r"(^|\.)text_decoder\.", "CoCa, which is no CLIP"),
    (r"image_encoder\.model\.patch_emb", "MobileCLIP, whose towers are others"),
    (r"visual\.trunk\.stages\.", "a CLIP with a ConvNeXt"),
    (r"visual\.trunk\.", "a CLIP with a visual tower of timm"),
    (
        r"(^|\.)text\.transformer\.(embeddings|encoder)\.|text_model\.encoder\.layer\.",
        "a CLIP with a BERT for its texts",
    ),
    (r"(^|\.)(mit|prompts_generator)\.|message_(fc|ln|attn)", "X-CLIP, whose frames exchange messages in the tower"),
    (r"[ST]_Adapter|MLP_Adapter", "a video model with adapters in its tower, such as AIM"),
    (r"(^|\.)prompt_learner\.", "a CLIP with prompts for the classes it was trained on, such as ViFi-CLIP or CoOp"),
    (r"frame_position_embeddings", "the head of a video model, a transformer over frames, such as BIKE's"),
    (r"(^|[._])(temporal|time)_", "a video model with attention over time in its tower"),
    (r"(^|\.)visual\.(layer1|attnpool)\.", "a ResNet CLIP: set model.clip to its name, such as RN50-quickgelu"),
    (r"(^|\.)blocks\.\d+\.attn\.qkv\.", "a ViT without texts, such as timm's, DINO or MAE"),
    (r"(^|\.)layer1\.0\.conv1\.", "a ResNet without texts"),
    (r"(^|\.)encoder\.layer\.\d+\.attention\.self\.", "a BERT"),
    (r"(^|\.)embed_tokens\.", "a language model"),
)
_VISION = r"(^|\.)(visual\.|vision_model\.|image_encoder\.|conv1\.weight$|class_embedding$)"
_TEXT = r"(^|\.)(token_embedding\.|ln_final\.|text_model\.|text_projection|text_encoder\.)"


def kind_of(names: Sequence[str]) -> str | None:
    """What the tensors of these names are, in words; None where nothing tells."""
    if {"head", "clip"} <= {n.split(".")[0] for n in names} and any(n.startswith("clip.visual.") for n in names):
        return "a checkpoint of `sfar train`: give it to `sfar evaluate` or sfar.load"
    lines = "\n".join(names)
    return next((what for pattern, what in _KINDS if re.search(pattern, lines, re.MULTILINE)), None)


def towers_of(names: Iterable[str]) -> tuple[bool, bool]:
    """Whether some of the tensors are of a visual tower, and some of a text tower."""
    names = list(names)
    return any(re.search(_VISION, n) for n in names), any(re.search(_TEXT, n) for n in names)
