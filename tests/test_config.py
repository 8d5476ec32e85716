"""Configurations: what is said of each field, what is accepted, what is refused and how, and the paper's Table 5."""

import dataclasses
import math
import re

import pytest

from sfar.config import (
    PROFILES,
    SETTINGS,
    ModelConfig,
    Profile,
    as_dict,
    by_dataset,
    changed,
    digest,
    get_profile,
    values,
)
from sfar.errors import ConfigError
from sfar.util import paths

LIMITED = [k for k, known in SETTINGS.items() if known.low is not None or known.above is not None]


def refused(overrides, *words, profile="storyboard"):
    with pytest.raises(ConfigError) as e:
        get_profile(profile, overrides)
    for word in words:
        assert word in str(e.value)


# --- what is said of each field ------------------------------------------------------------------------------------


def test_every_field_is_declared():
    """A field without ``setting`` would be neither checked nor listed."""
    groups = {f.name: f.default_factory for f in dataclasses.fields(Profile) if callable(f.default_factory)}
    declared = {f"{g}.{f.name}" for g, kind in groups.items() for f in dataclasses.fields(kind())}
    assert set(groups) == {"model", "train", "data"} and declared | {"seeds", "frozen_seeds"} == set(SETTINGS)
    for p in PROFILES.values():
        assert values(p) == {
            **{f"{g}.{k}": v for g in groups for k, v in as_dict(p)[g].items()},
            "seeds": list(p.seeds),
            "frozen_seeds": list(p.frozen_seeds),
        }


@pytest.mark.parametrize("key", SETTINGS)
def test_every_field_says_what_it_is(key):
    """Meaning and source, and either a range, a yes or no, or why it is free; a range in one form."""
    known = SETTINGS[key]
    assert known.doc[0].isupper() and known.doc.endswith(".") and known.source
    bounded = known.low is not None or known.above is not None
    assert (known.kind is bool) + bool(known.free) + bool(known.choices) + bool(known.rule) + bounded == 1
    assert (known.expected == "") == (known.kind is bool or bool(known.free))
    assert known.low is None or known.above is None


@pytest.mark.parametrize("key", SETTINGS)
def test_every_value_passes_its_own_check(key):
    known = SETTINGS[key]
    for profile in PROFILES.values():
        group, _, name = key.rpartition(".")
        value = getattr(getattr(profile, group) if group else profile, name)
        assert known.typed(key, value) == value and known.typed(key, values(profile)[key]) == value
        known.check(key, value)
    for choice in known.choices:
        assert known.typed(key, choice) == choice
        known.check(key, choice)


@pytest.mark.parametrize("key", LIMITED)
def test_every_bound_is_kept(key):
    known = SETTINGS[key]
    outside = []
    if known.low is not None:
        outside.append(known.low - 1)
    if known.above is not None:
        outside.append(known.above)
    if known.high is not None:
        outside.append(known.high + 1)
    if known.kind is float:
        outside += [math.nan, math.inf]
    for value in map(known.kind, outside):
        refused({key: value}, repr(key), f"expected {known.expected}", f"got {value!r}")
    for limit in (known.low, known.high):
        if limit is not None:
            known.check(key, known.kind(limit))


@pytest.mark.parametrize("key", [k for k, known in SETTINGS.items() if known.choices])
def test_a_choice_names_the_others(key):
    value = "other" if SETTINGS[key].kind is str else 99
    refused({key: value}, repr(key), "expected one of " + ", ".join(map(str, SETTINGS[key].choices)), repr(value))


def test_sources_of_protocols_are_those_of_by_dataset():
    """What a protocol changes in the paper profile has a source for it, and nothing else has."""
    for which, shots, names in (
        ("charades", False, {"charades"}),
        ("ucf101", True, {"few-shot"}),
        ("ucf101", False, ()),
    ):
        other = set(by_dataset("paper", which, shots)) - {"data.dataset"}
        assert other == {k for k, known in SETTINGS.items() if set(names) & set(known.protocols)}
    epochs = SETTINGS["train.epochs"]
    assert len({epochs.source_of("kinetics400", False), *epochs.protocols.values()}) == 3
    assert epochs.source_of("charades", True) == epochs.protocols["few-shot"]
    assert epochs.source_of("kinetics400", False) == epochs.source


def mentioned():
    """(file, key) of what the documentation names as a field: in backticks or after ``--set``."""
    files = [paths.PROJECT / "README.md", paths.PROJECT / "DEVIATIONS.md", *(paths.PROJECT / "docs").glob("*.md")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for m in re.finditer(r"(?:`|--set '?)((?:model|train|data)\.\w+|seeds\b)", text):
            if not m[1].endswith(".py"):
                yield file.name, m[1]


def test_the_documentation_names_no_unknown_field():
    found = sorted(set(mentioned()))
    assert {"data-sets.md", "DEVIATIONS.md", "TRAINING.md"} <= {file for file, _ in found}
    assert [f for f in found if f[1] not in SETTINGS] == []


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_pass_their_own_check(name):
    assert get_profile(name) == PROFILES[name] and get_profile(name, {}) == PROFILES[name]
    assert get_profile(name).name == name


def test_overrides_change_what_they_name_and_nothing_else():
    before = as_dict(PROFILES["storyboard"])
    new = get_profile(
        "storyboard",
        {"train.epochs": 2, "model.prompt": "a photo of {}", "seeds": [3, 1], "train.crop_area": [0.08, 1.0]},
    )
    after = as_dict(new)
    assert (new.train.epochs, new.model.prompt, new.seeds, new.train.crop_area) == (
        2,
        "a photo of {}",
        (3, 1),
        (0.08, 1.0),
    )
    for group, key in (("train", "epochs"), ("train", "crop_area"), ("model", "prompt")):
        after[group][key] = before[group][key]
    assert new.frozen_seeds == ()  # seeds that are asked for are those of all runs
    after["seeds"], after["frozen_seeds"] = before["seeds"], before["frozen_seeds"]
    assert after == before == as_dict(PROFILES["storyboard"])


def test_whole_numbers_are_fine_where_fractions_are():
    assert get_profile("storyboard", {"train.warmup_epochs": 0}).train.warmup_epochs == 0.0
    value = get_profile("storyboard", {"train.lr_head": 1}).train.lr_head
    assert value == 1.0 and isinstance(value, float)


def test_frame_temperature_may_be_left_open_or_given():
    given = get_profile("storyboard", {"model.frame_temperature": 0.01})
    assert changed(given, {"model.frame_temperature": None}).model.frame_temperature is None
    assert get_profile("storyboard").model.frame_temperature is None
    assert get_profile("storyboard", {"model.frame_temperature": None}).model.frame_temperature is None
    assert get_profile("storyboard", {"model.frame_temperature": 0.01}).model.frame_temperature == 0.01


def test_profiles_are_plain_data():
    for name in PROFILES:
        d = as_dict(PROFILES[name])
        assert set(d) == {"name", "model", "train", "data", "seeds", "frozen_seeds"}
        assert digest(d) == digest(as_dict(get_profile(name)))
    assert digest(as_dict(PROFILES["paper"])) != digest(as_dict(PROFILES["storyboard"]))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


# --- refusing ------------------------------------------------------------------------------------------------------


def test_unknown_profile():
    refused({}, "'papr'", "storyboard", "paper", profile="papr")


@pytest.mark.parametrize(
    "key, near",
    [
        ("train.epoch", "epochs"),
        ("train.lr_heads", "lr_head"),
        ("model.subtext", "subtexts"),
        ("data.imagesize", "image_size"),
        ("modle.prompt", "model"),
        ("seed", "seeds"),
    ],
)
def test_unknown_key_names_the_nearest(key, near):
    refused({key: 1}, repr(key), f"did you mean {near!r}")


def test_a_field_without_its_group_names_the_group():
    refused({"epochs": 2}, "'epochs'", "did you mean 'train.epochs'")


@pytest.mark.parametrize(
    "key", ["", "zzz", "train.zzz", "train.epochs.zzz", "train.", ".epochs", "train..epochs", "seeds.zzz"]
)
def test_unknown_key(key):
    refused({key: 1}, repr(key))


def test_a_group_is_not_a_value():
    refused({"train": {"epochs": 2}}, "'train'", "group")
    refused({"model": None}, "'model'", "group")


@pytest.mark.parametrize(
    "key, value",
    [
        ("train.epochs", "3"),
        ("train.epochs", 2.5),
        ("train.epochs", 2.0),
        ("train.epochs", True),
        ("train.epochs", None),
        ("train.lr_head", "1e-3"),
        ("train.lr_head", True),
        ("train.crop_area", 0.5),
        ("train.crop_area", "0.5,1"),
        ("model.coarse", 1),
        ("model.coarse", "false"),
        ("model.prompt", 3),
        ("data.root", 5),
        ("seeds", 3),
        ("seeds", "0,1"),
    ],
)
def test_wrong_type(key, value):
    refused({key: value}, repr(key), "expected", repr(value))


@pytest.mark.parametrize(
    "key, value",
    [
        ("model.attention", "softmax"),
        ("model.word_mask", "none"),
        ("model.coarse_reduce", "max"),
        ("model.ffn", "linear"),
        ("model.n_subtexts", 0),
        ("model.frame_temperature", 0.0),
        ("model.frame_temperature", -0.01),
        ("model.frame_temperature", float("nan")),
        ("model.prompt", "a video"),
        ("train.epochs", 0),
        ("train.batch", -1),
        ("train.frames", 0),
        ("train.lr_head", 0.0),
        ("train.lr_head", float("nan")),
        ("data.image_size", 0),
        ("data.train_per_class", 0),
        ("data.val_per_class", -2),
    ],
)
def test_out_of_range(key, value):
    refused({key: value}, key, repr(value))


def test_one_branch_at_least():
    refused({"model.coarse": False, "model.fine": False}, "model.coarse", "model.fine")
    for one in ("model.coarse", "model.fine"):
        get_profile("storyboard", {one: False})


@pytest.mark.parametrize("seeds", [[], [0, 0], [1, 2, 1]])
def test_seeds_are_distinct(seeds):
    refused({"seeds": seeds}, "seeds", "distinct")


@pytest.mark.parametrize(
    "key, value",
    [
        ("model.frame_temperature", "0.01"),
        ("model.frame_temperature", "abc"),
        ("model.frame_temperature", True),
        ("model.frame_temperature", [0.01]),
        ("seeds", [0.5, 1.5]),
        ("seeds", ["a"]),
        ("seeds", [[0]]),
        ("seeds", [True]),
        ("train.crop_area", ["a", 1.0]),
        ("train.betas", [0.9]),
    ],
)
def test_wrong_type_inside(key, value):
    """Where the default gives no type to compare with: a field that may be open, and what is inside a tuple."""
    refused({key: value}, key)


@pytest.mark.parametrize(
    "key, value",
    [
        ("train.warmup_epochs", -1.0),
        ("train.lr_clip", -1e-4),
        ("train.lr_head", float("inf")),
        ("train.weight_decay", -0.1),
        ("train.loss_lambda", -1.0),
        ("train.flip", 1.5),
        ("train.gray", -0.1),
        ("train.crop_area", [0.9, 0.1]),
        ("train.crop_area", [0.0, 1.0]),
        ("train.crop_area", [0.5, 1.5]),
        ("model.temporal_layers", -1),
        ("model.attention_heads", 0),
        ("model.prompt", "{} {x}"),
        ("model.prompt", "{} {}"),
        ("data.seed", -1),
        ("data.max_bad_share", 1.5),
        ("data.max_bad_share", -0.1),
        ("seeds", [-1]),
        ("name", "mine"),
    ],
)
def test_what_would_fail_or_mislead_much_later(key, value):
    refused({key: value}, key)


# --- the paper -----------------------------------------------------------------------------------------------------


def test_paper_profile_is_section_4_1_and_table_5():
    p = get_profile("paper")
    t = p.train
    assert (t.epochs, t.batch, t.warmup_epochs, t.betas) == (30, 256, 5.0, (0.9, 0.999))
    assert (t.lr_head, t.lr_clip) == (5e-5, 5e-6), "section 4.1 and Table 5 print one each"
    assert (t.weight_decay, t.flip, t.gray, t.frames) == (0.02, 0.5, 0.2, 8)
    assert p.data.image_size == 224 and t.crop_area == (0.08, 1.0) and t.train_visual
    assert (p.model.clip, p.model.pretrained) == ("ViT-B-16-quickgelu", "openai"), (
        "OpenAI's weights need the quickgelu configuration"
    )


def test_both_profiles_read_the_paper_alike():
    """They differ in data, backbone and schedule, never in an equation."""
    names = {f.name for f in dataclasses.fields(ModelConfig)} - {"clip", "pretrained"}
    a, b = PROFILES["storyboard"].model, PROFILES["paper"].model
    assert {n: getattr(a, n) for n in names} == {n: getattr(b, n) for n in names}
    for n in ("weight_decay", "betas", "eps", "loss_lambda", "train_visual", "frames", "flip", "gray"):
        assert getattr(PROFILES["storyboard"].train, n) == getattr(PROFILES["paper"].train, n), n


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("key", ["train.epochs", "train.lr_head"])
def test_whole_numbers_that_nothing_holds(key, sign):
    kind = "expected float" if key == "train.lr_head" else "of 1329 bits; at most 2**63 - 1"
    refused({key: sign * 10**400}, key, kind)
    refused({key: -(2**63)}, key)
