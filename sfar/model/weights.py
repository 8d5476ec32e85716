"""The weights of CLIP in a file or a folder, under open_clip's names: all of them or none.

Read are the forms in which CLIP is published: open_clip's and OpenAI's (TorchScript archive or state dict), Hugging
Face's (query, key and value apart), each under any prefix and in any wrapping, in half or single precision. They are
taken where every tensor of the model is there, of its shape and finite, and nothing else but what is known to be no
weight (``HARMLESS``). Anything else is refused in one line that says what it is and what to set. Nothing is resized.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.model import CLIP
from torch import Tensor

from sfar.errors import ConfigError
from sfar.model.weights_file import Opened, Refused, files, opened
from sfar.model.weights_kind import is_quickgelu, kind_of, models_of, shape_of, towers_of

# What lies among published weights and is none: three numbers of OpenAI's archives, the causal mask, counters of
# positions (transformers), of averaged models (torch's AveragedModel) and of operations (thop).
OPENAI = frozenset({"input_resolution", "context_length", "vocab_size"})
_NAMES = (*OPENAI, "attn_mask", "n_averaged", "position_ids", "total_ops", "total_params")
HARMLESS = re.compile(rf"(^|\.)({'|'.join(_NAMES)})$")
_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read(path: Path, name: str, model: CLIP) -> dict[str, Tensor]:
    """The weights at ``path``, a file or a folder, for ``model``, which is the open_clip model ``name``.

    Names, shapes and precisions are those of ``model.state_dict()``. Raises ``ConfigError`` for anything else that is
    there, saying what it is.
    """
    parts = files(path)
    try:
        found = _found([opened(part) for part in parts])
        said = _said(parts[0], found, path.is_dir())
        state = _exact(found, said, name, model)
        _check_computation(said, name, model)
    except Refused as e:
        raise ConfigError(f"{path} does not hold the weights of {name}: {e}") from e
    return state


# --- a CLIP among tensors ------------------------------------------------------------------------------------------

# The two tensors by which a CLIP is found under any prefix, its patches and its vocabulary: as they are named by
# open_clip and OpenAI, by transformers, and by models that keep the towers apart.
_ANCHORS = (
    ("visual.conv1.weight", "token_embedding.weight"),
    ("vision_model.embeddings.patch_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("image_encoder.conv1.weight", "text_encoder.token_embedding.weight"),
)
_WRAPPINGS = ("state_dict", "model_state_dict", "model", "module")
_DEEP = 9  # wrappings in each other: more are a dictionary in itself


class _Found(NamedTuple):
    """A CLIP in a file: ``tensors`` by open_clip's names, ``left`` over by theirs, ``names``: all, as they are there.

    ``openai``: with the numbers of OpenAI's archives; ``hugging_face``: under transformers' names. ``place``: the
    expression that gives the dictionary of the tensors.
    """

    tensors: dict[str, Tensor]
    left: list[str]
    names: list[str]
    openai: bool
    hugging_face: bool
    place: str


def _found(parts: Sequence[Opened]) -> _Found:
    content, call = parts[0]
    if len(parts) > 1 and all(isinstance(p.content, Mapping) for p in parts):
        content = {k: v for part in parts for k, v in part.content.items()}
        call = f"{{{', '.join(f'**{part.call}' for part in parts)}}}"
    state, place = _state(content, call)
    openai = {k.rpartition(".")[2] for k in state} >= OPENAI
    names = [k for k in state if not HARMLESS.search(k)]
    root = _root(names)
    own = {k.removeprefix(root or ""): state[k] for k in names if k.startswith(root or "")}
    outside = [k for k in names if not k.startswith(root or "")]
    hugging_face = any(k.startswith(("vision_model.", "text_model.")) for k in own)
    tensors, left = _from_hugging_face(own) if hugging_face else (_from_towers(own), [])
    return _Found(tensors, left + outside, names, openai, hugging_face, place)


def _state(content: Any, place: str) -> tuple[Mapping[str, Tensor], str]:
    """The dictionary of tensors in what a file holds, and where it is. Raises ``Refused`` where there is none."""
    if not isinstance(content, Mapping):
        what = "a single tensor" if isinstance(content, Tensor) else f"a {type(content).__name__}"
        raise Refused(f"it holds {what} and no dictionary of tensors")
    inner = {k: v for k, v in content.items() if isinstance(v, Mapping) and _tensors(v)}
    if not inner and _tensors(content):
        return _tensors(content), place
    if not inner:
        key = next((k for k in _WRAPPINGS if isinstance(content.get(k), Mapping)), None)
        if key is None or place.count("[") > _DEEP:
            raise Refused(f"it holds no tensors ({', '.join(map(repr, list(content)[:5])) or 'an empty dictionary'})")
        return _state(content[key], f"{place}[{key!r}]")
    whole = [k for k, v in inner.items() if _root(_tensors(v)) is not None]
    if len(whole) > 1:
        raise Refused(f"it holds {len(whole)} CLIPs, in {', '.join(map(repr, whole))}: save one of them by itself")
    key = whole[0] if whole else max(inner, key=lambda k: len(inner[k]))
    place = f"{place}[{key!r}]"
    if whole and len(inner) > 1:
        others = [f"{k!r}, {len(_tensors(v))} tensors" for k, v in inner.items() if k != key]
        raise Refused(
            f"it is a trained video model, such as BIKE's: its CLIP is complete, and its head ({'; '.join(others)}) "
            f"would be left out. To take the CLIP alone, save it: torch.save({place}, 'clip.pt')"
        )
    return _tensors(inner[key]), place


def _tensors(x: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {k: v for k, v in x.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _root(names: Iterable[str]) -> str | None:
    """The prefix under which both anchors of a CLIP stand, None where there is none. Raises ``Refused`` for several."""
    names = list(names)
    roots = set()
    for anchors in _ANCHORS:
        first, second = ({k.removesuffix(a) for k in names if k == a or k.endswith(f".{a}")} for a in anchors)
        roots |= first & second
    if len(roots) > 1:
        raise Refused(f"it holds {len(roots)} CLIPs, under {', '.join(map(repr, sorted(roots)))}: save one by itself")
    return roots.pop() if roots else None


def _from_towers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same where the towers are kept apart, as ``image_encoder`` and ``text_encoder``."""
    if "image_encoder.conv1.weight" not in state:
        return state
    return {re.sub(r"^image_encoder\.", "visual.", k).removeprefix("text_encoder."): v for k, v in state.items()}


_RENAMED = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # spelt so
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_IN_BLOCK = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_BLOCK = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def _from_hugging_face(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of transformers' ``CLIPModel`` by open_clip's names, and what is left over.

    Query, key and value are put one below the other; the projections are turned over, being weights of linear layers
    there and matrices that are multiplied from the right here.
    """
    out: dict[str, Tensor] = {}
    left = []
    for name, value in state.items():
        block = _BLOCK.fullmatch(name)
        if name in _RENAMED:
            out[_RENAMED[name]] = value
        elif name in _TRANSPOSED:
            out[_TRANSPOSED[name]] = value.T.contiguous()
        elif block and (own := _in_block(block, state, value)):
            out |= own
        elif not (block and block[3] in ("self_attn.k_proj", "self_attn.v_proj")):
            left.append(name)
    return out, left


def _in_block(block: re.Match[str], state: dict[str, Tensor], value: Tensor) -> dict[str, Tensor]:
    tower, number, name, kind = block.groups()
    place = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{number}"
    if name in _IN_BLOCK:
        return {f"{place}.{_IN_BLOCK[name]}.{kind}": value}
    if name != "self_attn.q_proj":
        return {}
    parts = [state.get(block[0].replace("q_proj", f"{x}_proj")) for x in "qkv"]
    together = [p for p in parts if p is not None and p.shape == value.shape and p.dtype == value.dtype]
    return {f"{place}.attn.in_proj_{kind}": torch.cat(together)} if len(together) == 3 else {}


# --- what changes the computation and no tensor's shape ------------------------------------------------------------


class _Said(NamedTuple):
    """What is known of weights besides their tensors, None where nothing tells: activation, heads of both towers.

    ``source``: who says it. ``model``: what transformers calls the model.
    """

    source: str = ""
    quickgelu: bool | None = None
    heads: tuple[int | None, int | None] = (None, None)
    model: str = "clip"


def _said(weights: Path, found: _Found, folder: bool) -> _Said:
    """By OpenAI's mark among the tensors, or the configuration beside the weights."""
    name = "config.json" if found.hugging_face else "open_clip_config.json"
    file = weights.with_name(name)
    beside = folder or re.match(r"(open_clip_)?(pytorch_)?model[.-]", weights.name)  # or it may be of another file
    if not beside or not file.is_file():
        return _Said("OpenAI's weights", True) if found.openai else _Said()
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        return _of_hugging_face(about, name) if found.hugging_face else _of_open_clip(about, name)
    except (ValueError, AttributeError, TypeError, KeyError, ZeroDivisionError) as e:
        raise Refused(f"{name} beside it is no configuration of CLIP ({type(e).__name__}: {e})") from e


def _of_open_clip(about: Any, name: str) -> _Said:
    own = about.get("model_cfg", about)
    vision, text = own["vision_cfg"], own["text_cfg"]
    heads = vision["width"] // vision.get("head_width", 64) if isinstance(vision.get("layers"), int) else None
    return _Said(name, bool(own.get("quick_gelu", False)), (heads, text.get("heads", 8)))


def _of_hugging_face(about: Any, name: str) -> _Said:
    kind = str(about.get("model_type", "clip"))
    if kind != "clip":
        return _Said(name, model=kind)
    towers = about.get("vision_config") or {}, about.get("text_config") or {}
    # What a configuration leaves out is transformers' default.
    activations = {t.get("hidden_act", "quick_gelu") for t in towers}
    if activations not in ({"gelu"}, {"quick_gelu"}):
        raise Refused(f"{name} beside it says hidden_act {' and '.join(sorted(activations))}, which no CLIP here has")
    heads = towers[0].get("num_attention_heads", 12), towers[1].get("num_attention_heads", 8)
    return _Said(name, activations == {"quick_gelu"}, heads)


def _check_computation(said: _Said, name: str, model: CLIP) -> None:
    has = is_quickgelu(name)
    if said.model != "clip":
        raise Refused(f"it is another architecture, {said.model} ({said.source})")
    if said.quickgelu not in (None, has):
        words = ("QuickGELU", "GELU") if said.quickgelu else ("GELU", "QuickGELU")
        other = f"{name}-quickgelu" if said.quickgelu else name.removesuffix("-quickgelu")
        hint = f"set model.clip={other}" if other in open_clip.list_models() else f"open_clip has no {other}"
        raise Refused(
            f"they are made with {words[0]} ({said.source}), {name} has {words[1]}, which gives wrong features; {hint}"
        )
    for tower, there, transformer in zip(
        ("visual", "text"), said.heads, (getattr(model.visual, "transformer", None), model.transformer), strict=True
    ):
        here = _heads(transformer)
        if None not in (there, here) and there != here:
            raise Refused(f"its {tower} tower has {there} heads ({said.source}), that of {name} {here}")


def _heads(transformer: Any) -> int | None:
    blocks = getattr(transformer, "resblocks", None)
    return blocks[0].attn.num_heads if blocks else None


# --- all of them, or why not ---------------------------------------------------------------------------------------


def _exact(found: _Found, said: _Said, name: str, model: CLIP) -> dict[str, Tensor]:
    own, state = model.state_dict(), dict(found.tensors)
    scale = state.get("logit_scale")
    if scale is not None and scale.numel() == 1:  # published as a number and as a list of one
        state["logit_scale"] = scale.reshape(own["logit_scale"].shape)
    missing = [k for k in own if k not in state]
    over = found.left + [k for k in state if k not in own]
    there, here = shape_of(state), shape_of(own)
    if there and here and there != here:
        fit = models_of(there)
        wanted = is_quickgelu(name) if said.quickgelu is None else said.quickgelu
        fit.sort(key=lambda n: is_quickgelu(n) != wanted)
        size = f" and data.image_size={there.pixels}" if there.pixels != here.pixels else ""
        hint = f"set model.clip={' or '.join(fit[:2])}{size}" if fit else "open_clip has no model like that"
        raise Refused(f"it is another CLIP, of {there.differences(here)} ({name}: {here.differences(there)}); {hint}")
    if missing:
        raise Refused(_incomplete(found, said, missing, over, len(own)))
    if wrong := [k for k in own if own[k].shape != state[k].shape]:
        k = wrong[0]
        raise Refused(f"{len(wrong)} tensors have other shapes: {k!r} {_by(state[k])}, {name} takes {_by(own[k])}")
    if over:
        raise Refused(_more(found, over))
    numbers = [k for k in own if own[k].is_floating_point()]
    if coarse := [k for k in numbers if state[k].dtype not in _PRECISIONS]:
        dtype = str(state[coarse[0]].dtype).removeprefix("torch.")
        if state[coarse[0]].is_complex() or dtype == "bool":
            raise Refused(f"{coarse[0]!r} is {dtype}, which no weights of CLIP are; give them as they were published")
        raise Refused(f"it is quantised ({coarse[0]!r} is {dtype}); give the weights in half or single precision")
    if odd := [k for k in own if state[k].layout != torch.strided or state[k].is_meta]:
        what = "has no numbers (device meta)" if state[odd[0]].is_meta else "is sparse"
        raise Refused(f"{odd[0]!r} {what}; give the weights as they were published")
    state = {k: state[k].to(own[k].dtype) for k in own}
    if bad := [k for k in numbers if not bool(torch.isfinite(state[k]).all())]:
        count = int((~torch.isfinite(state[bad[0]])).sum())
        raise Refused(f"NaN or infinite numbers in {len(bad)} tensors ({count:,} in {bad[0]!r}): it is damaged")
    return state


def _by(x: Tensor) -> str:
    return "x".join(map(str, x.shape)) or "a number"


def _incomplete(found: _Found, said: _Said, missing: list[str], over: list[str], total: int) -> str:
    vision, text = towers_of(found.names)
    if kind := kind_of(found.names):
        no_vocabulary = vision and text and not any("token_embedding." in n for n in found.names)
        return f"it is {kind}" + (", without the vocabulary (token_embedding.weight)" if no_vocabulary else "")
    if vision != text:
        have, need = ("vision", "texts") if vision else ("text", "frames")
        return f"it is a {have}-only tower, and {need} are needed too: give the whole CLIP that it was taken from"
    if said.model != "clip":
        return f"it is another architecture, {said.model} ({said.source})"
    if len(missing) == total:
        return f"it is another architecture: none of CLIP's tensors is in it (its first is {found.names[0]!r})"
    more = f", and {len(over)} are none of CLIP's, such as {over[0]!r}" if over else ""
    return f"{len(missing)} of CLIP's {total} tensors are missing, such as {missing[0]!r}{more}"


def _more(found: _Found, over: list[str]) -> str:
    """A whole CLIP, and tensors besides."""
    what = kind_of(found.names) or "a trained model with more in it than a CLIP"
    inside = [k for k in over if re.search(r"(^|\.)(visual|transformer|text_model|vision_model)\.", k)]
    if inside:
        return f"it is {what}: {len(inside)} tensors within its towers are none of CLIP's, such as {inside[0]!r}"
    heads = tuple(sorted({k.split(".")[0] for k in over}))
    return (
        f"it is {what}: its CLIP is complete, and {len(over)} tensors ({', '.join(heads)}) would be left out. To take "
        f"the CLIP alone, save it: torch.save({{k: v for k, v in {found.place}.items() if not k.startswith({heads!r})}}"
        ", 'clip.pt')"
    )
