"""The registry: its names and order, and what a wrong name gets."""

import dataclasses
import re

import pytest

from sfar.config import ModelConfig, changed, get_profile
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.model.registry import METHODS, SYSTEMS, get, get_trained, own, rivals

PAPER = ["vanilla", "clip", "temporal", "single", "sfar-printed", "sfar"]


def test_the_order_is_the_tables():
    assert [name for name in METHODS if name in PAPER] == PAPER
    assert all(get(name) is m and m.name == name for name, m in METHODS.items())


def test_one_is_the_papers_and_the_others_are_its_rivals():
    assert [m.name for m in own()] == ["sfar", "sfar-printed"] and all(m.sub_texts for m in own())
    assert [m.name for m in rivals()] == [name for name in METHODS if not name.startswith("sfar")]
    assert not get("vanilla").trained and all(get(name).trained for name in PAPER[1:])


def test_each_can_be_told_apart_in_a_figure():
    for part in ("title", "colour", "marker"):
        assert len({getattr(m, part) for m in METHODS.values()}) == len(METHODS)
    both = [m for m in (METHODS | SYSTEMS).values() if not m.control]
    for part in ("title", "colour"):
        assert len({getattr(m, part) for m in both}) == len(both)
    assert all(re.fullmatch("#[0-9A-F]{6}", m.colour) for m in (METHODS | SYSTEMS).values())


def test_a_system_says_how_it_was_trained():
    for m in SYSTEMS.values():
        assert m.recipe and m.recipe.source and not m.own, m.name
        assert not m.control or m.control in SYSTEMS, m.name
        for fields in (m.recipe.fields, m.recipe.few_shot):
            changed(get_profile("paper"), dict(fields))  # fields that are there, with values they can have


def test_what_they_read_are_fields():
    fields = {f.name for f in dataclasses.fields(ModelConfig)}
    assert all(m.reads <= fields for m in (METHODS | SYSTEMS).values())


@pytest.mark.parametrize(
    "name, hint",
    [("sfarr", "; did you mean 'sfar'?"), ("tempral", "; did you mean 'temporal'?"), ("x", r"\."), ("", r"\.")],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name, hint):
    known = ", ".join(METHODS | SYSTEMS)
    for find in (get, get_trained):
        with pytest.raises(ConfigError, match=rf"^unknown method '{name}'{hint.replace('?', '[?]')} Known: {known}$"):
            find(name)


def test_a_method_that_is_not_trained(monkeypatch):
    for name in METHODS.keys() - PAPER:
        monkeypatch.delitem(METHODS, name)
    monkeypatch.setattr(registry, "SYSTEMS", {})
    assert get_trained("clip") is METHODS["clip"]
    with pytest.raises(
        ConfigError, match=r"^'vanilla' is not trained: expected clip, temporal, single, sfar-printed or sfar$"
    ):
        get_trained("vanilla")
