"""The text side of a set of classes: what a frozen text tower says of their prompts and sub-texts, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import embed_texts


class ClassTexts(nn.Module):
    """The texts of C classes, which go where the model goes and are in no checkpoint (buffers, not persistent).

    ``cls`` [C, d]: class embedding. ``words`` [C, W, d] with ``mask`` [C, W]: words of the class prompt.
    ``sub_words`` [C, N, Ws, d] with ``sub_mask`` [C, N, Ws]: words of its N sub-texts. Masks are True for real words.
    """

    cls: Tensor
    words: Tensor
    mask: Tensor
    sub_words: Tensor
    sub_mask: Tensor

    def __init__(self, cls: Tensor, words: Tensor, mask: Tensor, sub_words: Tensor, sub_mask: Tensor):
        super().__init__()
        self.register_buffer("cls", cls, persistent=False)
        self.register_buffer("words", words, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("sub_words", sub_words, persistent=False)
        self.register_buffer("sub_mask", sub_mask, persistent=False)

    def select(self, classes: Tensor) -> ClassTexts:
        """The texts of some classes only (zero-shot protocols on half of the classes), by numbers or a mask [C]."""
        return ClassTexts(**{name: x[classes] for name, x in self.named_buffers()})


def class_texts(
    clip: CLIP, names: Sequence[str], subtexts: Mapping[str, Sequence[str]], cfg: ModelConfig
) -> ClassTexts:
    """Embed the prompts and sub-texts of ``names``, on the device of ``clip``.

    Raises ``ConfigError`` for a class without N sub-texts.
    """
    for name in names:
        got = len(subtexts.get(name, ()))
        if got != cfg.n_subtexts:
            raise ConfigError(f"class {name!r} has {got} sub-texts, expected {cfg.n_subtexts} (model.n_subtexts)")
    prompts = embed_texts(clip, [cfg.prompt.format(n) for n in names], cfg.word_mask)
    subs = embed_texts(clip, [t for n in names for t in subtexts[n]], cfg.word_mask)
    shape = (len(names), cfg.n_subtexts)
    return ClassTexts(
        prompts.cls, prompts.words, prompts.mask, subs.words.unflatten(0, shape), subs.mask.unflatten(0, shape)
    )
