"""CLIP towers: frame embeddings, class embeddings and word embeddings with their mask (the paper's preliminary).

``open_clip.CLIP.encode_text`` returns one vector per text. Eq. 4-9 need one per word, in the joint space: the text
transformer's states after ``ln_final`` times ``text_projection``. The row at the end-of-text token equals
``encode_text``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transformer import Transformer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sfar.errors import ConfigError
from sfar.model import weights, weights_file, weights_kind

WEIGHTS = Path(__file__).resolve().parent.parent / "storyboard" / "weights"
STORYBOARD = "storyboard"


@dataclass(frozen=True)
class Words:
    """Word embeddings of K texts: ``words`` [K, W, d] (zero where ``mask`` is False), ``mask`` [K, W], ``cls`` [K, d].

    W is the longest text's number of kept tokens. Vectors are projected, not normalised. ``cls`` equals
    ``encode_text``.
    """

    words: Tensor
    mask: Tensor
    cls: Tensor


@lru_cache(maxsize=1)
def _tokenizer() -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer()


@lru_cache(maxsize=100_000)
def token_ids(text: str) -> tuple[int, ...]:
    """The ids of one text, start and end tokens included, by CLIP's own byte-pair tokenizer; not padded, not cut."""
    t = _tokenizer()
    return (t.sot_token_id, *t.encode(text), t.eot_token_id)


def tokenize(texts: list[str], context_length: int = 77) -> Tensor:
    """Token ids [K, context_length] (int64), padded with zeros.

    Raises ``ConfigError`` for an empty text or one that does not fit into the window: nothing is cut silently.
    """
    out = torch.zeros(len(texts), context_length, dtype=torch.long)
    for row, text in zip(out, texts, strict=True):
        ids = token_ids(text)
        if len(ids) == 2:
            raise ConfigError(f"empty text prompt {text!r}: expected at least one word")
        if len(ids) > context_length:
            raise ConfigError(
                f"text prompt of {len(ids)} tokens, CLIP's window is {context_length}; shorten it: {text[:80]!r}"
            )
        row[: len(ids)] = torch.tensor(ids)
    return out


def text_projected(model: CLIP, x: Tensor) -> Tensor:
    """States [..., width] of the text tower in the joint space [..., d]."""
    projection = model.text_projection
    return projection(x) if isinstance(projection, nn.Linear) else x @ cast(Tensor, projection)


def word_mask(tokens: Tensor, keep: str, length: int) -> Tensor:
    """Which of the first ``length`` positions of ``tokens`` [K, n] count as words, as ``encode_words`` says; bool.

    [K, length], of "words" [K, length - 1]: without the start.
    """
    position = torch.arange(length, device=tokens.device)[None]
    mask = position <= tokens.argmax(-1)[:, None]
    return torch.ones_like(mask) if keep == "all" else mask[:, 1:] if keep == "words" else mask


def encode_words(
    model: CLIP, tokens: Tensor, keep: str = "words", embed: Callable[[Tensor], Tensor] | None = None
) -> Words:
    """Word embeddings of tokenized texts ``tokens`` [K, n_ctx] (Eq. 4: the matrices T_c and S_c,n).

    ``keep``: which positions count as words. "words": real tokens and end-of-text, without start and padding (default);
    "real": start-of-text too; "all": every position of the window, padding included, as BIKE clip/model.py does.
    Attention is causal, so cropping the padding changes no kept row. ``embed``: from ids [K, n] to vectors [K, n,
    width] in place of the model's token embedding. Raises ``ConfigError`` for another ``keep``.
    """
    if keep not in ("words", "real", "all"):
        raise ConfigError(f"word_mask={keep!r}: expected 'words', 'real' or 'all'")
    eot = tokens.argmax(dim=-1)  # the end-of-text id is the highest of the vocabulary
    length = tokens.shape[1] if keep == "all" else int(eot.max()) + 1
    tokens = tokens[:, :length]
    # open_clip borrows these from a module of its own, whereby their types are lost.
    transformer, norm = cast(Transformer, model.transformer), cast(nn.LayerNorm, model.ln_final)
    positions, causal = cast(Tensor, model.positional_embedding), cast(Tensor, model.attn_mask)
    embed = embed or cast(nn.Embedding, model.token_embedding)
    dtype = transformer.get_cast_dtype()
    x = embed(tokens).to(dtype) + positions[:length].to(dtype)
    x = norm(transformer(x, attn_mask=causal[:length, :length]))
    x = text_projected(model, x)
    cls = x[torch.arange(len(x), device=x.device), eot]
    mask = word_mask(tokens, keep, length)
    if keep == "words":
        x = x[:, 1:]
    return Words(x * mask[..., None], mask, cls)


@torch.no_grad()
def embed_texts(model: CLIP, texts: list[str], keep: str = "words", batch: int = 256) -> Words:
    """Word embeddings of texts, without gradients (the text tower is frozen, section A.3); see ``encode_words``."""
    tokens = tokenize(texts, model.context_length).to(next(model.parameters()).device)
    parts = [encode_words(model, t, keep) for t in tokens.split(batch)]
    width = max(p.words.shape[1] for p in parts)

    def pad(x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 0) * (x.dim() - 2) + (0, width - x.shape[1]))

    return Words(
        torch.cat([pad(p.words) for p in parts]),
        torch.cat([pad(p.mask) for p in parts]),
        torch.cat([p.cls for p in parts]),
    )


def single(x: Tensor) -> Tensor:
    """What a tower has computed in half precision, in single precision; anything else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def embed_frames(model: CLIP, frames: Tensor) -> Tensor:
    """Frame embeddings v^cls [B, L, d] (projected, not normalised) of normalised frames [B, L, 3, H, W]."""
    b, length = frames.shape[:2]
    return model.encode_image(frames.flatten(0, 1)).view(b, length, -1)


def text_parameters(model: CLIP) -> dict[str, nn.Parameter]:
    """The parameters of the text tower, by name."""
    return {n: p for n, p in model.named_parameters() if not n.startswith("visual.") and n != "logit_scale"}


def freeze_text_tower(model: CLIP, trained: str = "frozen") -> CLIP:
    """Freeze everything but the visual tower and the logit scale (BIKE train.py; paper section A.3).

    ``trained``: what of the text tower is left out of that (``train.train_text``).
    """
    model.requires_grad_(True)
    for name, p in text_parameters(model).items():
        p.requires_grad_(trained == "all" or (trained == "tower" and name != "token_embedding.weight"))
    return model


def with_own_scale(model: CLIP) -> CLIP:
    """``model`` once more with a logit scale of its own; everything else of it is the same."""
    own = copy.copy(model)
    own._parameters = dict(model._parameters)
    own.logit_scale = nn.Parameter(model.logit_scale.detach().clone())
    return own


def storyboard_config() -> dict[str, Any]:
    """The open_clip configuration of the storyboard CLIP, as committed beside its weights."""
    return json.loads((WEIGHTS / "clip.json").read_text())["model"]


def build(config: dict[str, Any]) -> CLIP:
    """A randomly initialised ``open_clip.CLIP`` from an open_clip model configuration."""
    return CLIP(**config)


def weights_hash(path: Path) -> str:
    """SHA-256 of a weights file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@lru_cache(maxsize=8)
def _file_id(path: str, stamp: int) -> str:
    return weights_hash(Path(path))


def local_weights(name: str, pretrained: str) -> Path | None:
    """The file or folder that ``pretrained`` names, None where it is a tag of open_clip or nothing is there."""
    path = Path(os.path.expanduser(pretrained))
    known = not pretrained or (name != STORYBOARD and open_clip.get_pretrained_cfg(name, pretrained))
    return path if not known and os.path.exists(path) else None


def weights_id(name: str, pretrained: str) -> list[str]:
    """What identifies a CLIP's weights in a cache key: model and open_clip tag, or the content of local files."""
    path = WEIGHTS / "clip.safetensors" if name == STORYBOARD and not pretrained else local_weights(name, pretrained)
    if path is None:
        return [name, pretrained]
    return [name, *(_file_id(str(part), part.stat().st_mtime_ns) for part in weights_file.files(path))]


def check_tensors(path: Path, own: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Raise ``ConfigError`` unless ``state``, read from ``path``, has the names and shapes of ``own``.

    Nothing is loaded in part.
    """
    wrong = sorted(set(own) ^ set(state)) or [k for k in own if own[k].shape != state[k].shape]
    if wrong:
        raise ConfigError(
            f"{path} belongs to another configuration: {len(wrong)} tensors differ, the first is {wrong[0]!r}"
        )


def _fill(model: nn.Module, path: Path, state: dict[str, Tensor]) -> None:
    """Put ``state``, read from ``path``, into ``model``, all of it, in the model's own precision."""
    own = model.state_dict()
    check_tensors(path, own, state)
    model.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})


def load_weights(model: CLIP, path: Path) -> CLIP:
    """Load a safetensors file (stored in half or single precision) into ``model``, every key required.

    Raises ``ConfigError`` for a missing or damaged file, and for one of another configuration.
    """
    if not path.is_file():
        raise ConfigError(f"no weights at {path}: expected a safetensors file")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as e:
        raise ConfigError(f"{path} cannot be read as safetensors ({e}); write it again") from e
    _fill(model, path, state)
    return model


# What open_clip raises for weights that it cannot fetch or read, besides its own words.
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    AttributeError,
    KeyError,
    TypeError,
    StopIteration,
    pickle.UnpicklingError,
    SafetensorError,
)


def load_clip(name: str, pretrained: str = "") -> CLIP:
    """The CLIP called ``name``: "storyboard" (committed weights) or an open_clip model name.

    ``pretrained``: an open_clip tag ("openai"), a local file or folder (``weights.read`` says of which forms), or ""
    for random initialisation (tests, dry runs). open_clip's own cache folder and ``HF_HUB_OFFLINE`` are respected.
    Raises ``ConfigError`` when weights cannot be had.
    """
    if name == STORYBOARD:
        return load_weights(build(storyboard_config()), WEIGHTS / "clip.safetensors").eval()
    if name not in open_clip.list_models():
        raise ConfigError(
            f"unknown CLIP {name!r}: expected 'storyboard' or an open_clip model such as 'ViT-B-16-quickgelu'"
        )
    tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained else {}
    if tag and tag.get("quick_gelu", False) and not weights_kind.is_quickgelu(name):
        raise ConfigError(f"{name!r} with weights {pretrained!r} gives wrong features: use {name + '-quickgelu'!r}")
    local = local_weights(name, pretrained)
    if pretrained and not tag and local is None:
        raise ConfigError(
            f"model.pretrained={pretrained!r} is neither a file nor weights that open_clip has for {name} "
            f"({', '.join(open_clip.list_pretrained_tags_by_model(name))})"
        )
    config = open_clip.get_model_config(name) or {}
    if config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]:
        raise ConfigError(
            f"{name!r} is not a plain CLIP (its text tower gives no word embeddings): "
            "use for instance 'ViT-B-16-quickgelu'"
        )
    if local is not None:
        model = build(config)
        model.load_state_dict(weights.read(local, name, model))
        return model.eval()
    try:
        model = open_clip.create_model(name, pretrained=pretrained or None, cache_dir=os.environ.get("SFAR_CLIP_CACHE"))
    except _UNREADABLE as e:
        raise ConfigError(
            f"the weights {pretrained!r} of {name} cannot be had ({type(e).__name__}: {str(e)[:200]}); give a local "
            "file, or run once with a network connection and the same SFAR_CLIP_CACHE folder"
        ) from e
    assert isinstance(model, CLIP), name
    return model.eval()
