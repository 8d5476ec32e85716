"""The text side of a set of classes: what a text tower says of their prompts, their sub-texts and whatever else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from sfar.config import ModelConfig
from sfar.errors import ConfigError
from sfar.model.clip import embed_texts, encode_words, single, text_parameters, tokenize, word_mask
from sfar.model.kept import Kept

# Further texts of each class that a method looks at, as many of each: by the set's name, for each class its texts.
Sets = Mapping[str, Sequence[Sequence[str]]]


class ClassTexts(nn.Module):
    """The texts of C classes, which go where the model goes and are in no checkpoint (buffers, not persistent).

    ``cls`` [C, d]: class embedding. ``words`` [C, W, d] with ``mask`` [C, W]: words of the class prompt.
    ``sub_words`` [C, N, Ws, d] with ``sub_mask`` [C, N, Ws]: words of its N sub-texts. Masks are True for real words.
    ``sets``: by name the embeddings [C, K, d] of further texts, which only some methods have (``Method.texts``).
    """

    cls: Tensor
    words: Tensor
    mask: Tensor
    sub_words: Tensor
    sub_mask: Tensor

    def __init__(self, cls: Tensor, words: Tensor, mask: Tensor, sub_words: Tensor, sub_mask: Tensor, **sets: Tensor):
        super().__init__()
        self.register_buffer("cls", cls, persistent=False)
        self.register_buffer("words", words, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("sub_words", sub_words, persistent=False)
        self.register_buffer("sub_mask", sub_mask, persistent=False)
        for name, embedded in sets.items():
            self.register_buffer(name, embedded, persistent=False)

    @property
    def classes(self) -> int:
        """C."""
        return len(self.cls)

    @property
    def width(self) -> int:
        """Of the joint space, d."""
        return self.cls.shape[-1]

    def select(self, classes: Tensor) -> ClassTexts:
        """The texts of some classes only (zero-shot protocols on half of the classes), by numbers or a mask [C]."""
        return ClassTexts(**{name: x[classes] for name, x in self.named_buffers()})

    def embedded(self, clip: CLIP) -> ClassTexts:
        """These texts: the tower that they are of is frozen. See ``Prompts.embedded``."""
        return self


class Prompts(nn.Module):
    """The texts of C classes as token ids, for a text tower that is trained: they are embedded anew at every step.

    ``sub_texts`` False: their embeddings are left out (N = 0), for a method that does not look at them. Raises
    ``ConfigError`` as ``class_texts`` does.
    """

    ids: Tensor

    def __init__(
        self,
        clip: CLIP,
        names: Sequence[str],
        subtexts: Mapping[str, Sequence[str]],
        cfg: ModelConfig,
        sets: Sets | None = None,
        sub_texts: bool = True,
    ):
        super().__init__()
        _check(names, subtexts, cfg)
        self.classes, self.keep, self.n = len(names), cfg.word_mask, cfg.n_subtexts if sub_texts else 0
        self.sets = {name: len(of[0]) for name, of in (sets or {}).items()}
        texts = [cfg.prompt.format(n) for n in names]
        texts += [t for n in names for t in subtexts[n]] if sub_texts else []
        texts += [t for of in (sets or {}).values() for own in of for t in own]
        self.width = cast(int, clip.visual.output_dim)  # the joint space is that of both towers
        self.register_buffer("ids", tokenize(texts, clip.context_length), persistent=False)
        self._kept, self._raw, self._made = Kept(), None, None

    def embedded(self, clip: CLIP) -> ClassTexts:
        """What the text tower of ``clip`` says of them now; without gradients it is kept until a weight changes."""
        if torch.is_grad_enabled():
            return self._split(self._embed(clip))
        weights = *text_parameters(clip).values(), *self.parameters()
        raw = self._kept.value(lambda: self._embed(clip), (self.ids,), weights)
        if self._made is None or raw is not self._raw:
            self._raw, self._made = raw, (self._split(raw),)  # in a tuple: none of this one's modules
        return self._made[0]

    def _embed(self, clip: CLIP) -> Tensor:
        """[K, W + 1, d]: the words of each text, then its class embedding."""
        found = encode_words(clip, self.ids, self.keep, partial(self.tokens, clip))
        return single(torch.cat([found.words, found.cls[:, None]], 1))

    def tokens(self, clip: CLIP, ids: Tensor) -> Tensor:
        """Vectors [K, n, width] of token ids [K, n], before positions."""
        return cast(nn.Embedding, clip.token_embedding)(ids)

    def _split(self, raw: Tensor) -> ClassTexts:
        words, cls = raw[:, :-1], raw[:, -1]
        mask = word_mask(self.ids, self.keep, words.shape[1] + (self.keep == "words"))
        c, n = self.classes, self.n
        shape, end = (c, n), c * (1 + n)
        sets = {}
        for name, k in self.sets.items():
            sets[name] = cls[end : end + c * k].unflatten(0, (c, k))
            end += c * k
        subs, sub_mask = words[c : c * (1 + n)], mask[c : c * (1 + n)]
        if n:
            subs, sub_mask = subs.unflatten(0, shape), sub_mask.unflatten(0, shape)
        else:
            subs, sub_mask = subs.new_zeros(c, 0, *subs.shape[1:]), sub_mask.new_zeros(c, 0, *sub_mask.shape[1:])
        return ClassTexts(cls[:c], words[:c], mask[:c], subs, sub_mask, **sets)


def _check(names: Sequence[str], subtexts: Mapping[str, Sequence[str]], cfg: ModelConfig) -> None:
    for name in names:
        got = len(subtexts.get(name, ()))
        if got != cfg.n_subtexts:
            raise ConfigError(f"class {name!r} has {got} sub-texts, expected {cfg.n_subtexts} (model.n_subtexts)")


def class_texts(
    clip: CLIP,
    names: Sequence[str],
    subtexts: Mapping[str, Sequence[str]],
    cfg: ModelConfig,
    sets: Sets | None = None,
) -> ClassTexts:
    """Embed the prompts and sub-texts of ``names``, and further ``sets`` of texts, on the device of ``clip``.

    Raises ``ConfigError`` for a class without N sub-texts.
    """
    _check(names, subtexts, cfg)
    prompts = embed_texts(clip, [cfg.prompt.format(n) for n in names], cfg.word_mask)
    subs = embed_texts(clip, [t for n in names for t in subtexts[n]], cfg.word_mask)
    shape = (len(names), cfg.n_subtexts)
    more = {
        name: embed_texts(clip, [t for own in of for t in own]).cls.unflatten(0, (len(names), -1))
        for name, of in (sets or {}).items()
    }
    return ClassTexts(
        prompts.cls, prompts.words, prompts.mask, subs.words.unflatten(0, shape), subs.mask.unflatten(0, shape), **more
    )
