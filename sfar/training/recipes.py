"""How a system was trained where it was published, as fields of a profile (``Method.recipe``)."""

from __future__ import annotations

from typing import Any

from sfar.config import PROFILES, Profile, few_shot
from sfar.model.method import Method

RATES = ("train.lr_clip", "train.lr_head")
# What of a recipe is a part of the system, whatever the rates: the class prompt, and what its text tower learns.
PART_OF_IT = ("model.prompt", "train.train_text")


def part_of_it(method: Method) -> dict[str, Any]:
    """The fields without which a system would be another one: ``PART_OF_IT``, and cross-entropy for a classifier."""
    fields = method.recipe.fields if method.recipe else {}
    loss = {"train.loss": "cross_entropy"} if method.closed else {}
    return {k: fields[k] for k in PART_OF_IT if k in fields} | loss


def published(method: Method, profile: Profile) -> dict[str, Any]:
    """The recipe as published, for few videos where ``profile`` has few; empty for a method without one."""
    if method.recipe is None:
        return {}
    return {**method.recipe.fields, **(method.recipe.few_shot if few_shot(profile) else {})}


def scaled(method: Method, profile: Profile) -> dict[str, Any]:
    """A system's published recipe at the size of ``profile``, which is not the paper's.

    Rates and epochs stand to the profile's as the published ones stand to SFAR's of section 4.1, at the same batch
    (rates in proportion to it); no rate is above the profile's own for heads, which is what a run of this length bears.
    Loss, weight decay, moments, prompt and what is trained are as published; batch, warm-up, frames, views and videos
    are the profile's.
    """
    assert method.recipe is not None, "a system has a recipe"
    fields, here, there = dict(method.recipe.fields), profile.train, PROFILES["paper"].train
    batch, epochs = fields.pop("train.batch", there.batch), fields.pop("train.epochs", there.epochs)
    for key in ("train.frames", "train.warmup_epochs"):
        fields.pop(key, None)
    for key in RATES:
        name = key.removeprefix("train.")
        rate = fields.get(key, getattr(there, name)) * there.batch / batch
        fields[key] = float(f"{min(rate / getattr(there, name) * getattr(here, name), here.lr_head):.3g}")
    return {**fields, "train.epochs": max(1, round(here.epochs * epochs / there.epochs))}


def defaults(method: Method, profile: Profile) -> dict[str, Any]:
    """What ``sfar train`` takes where the user says nothing: in the paper profile all of the published recipe."""
    return published(method, profile) if profile.name == "paper" else part_of_it(method)
