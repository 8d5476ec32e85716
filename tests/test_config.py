"""Configurations: what is accepted, what is refused and how, and that DEVIATIONS.md and the paper's Table 5 are about them."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from sfar.config import PROFILES, ModelConfig, as_dict, digest, get_profile
from sfar.errors import ConfigError
from sfar.util import paths

DEVIATIONS = (Path(__file__).resolve().parent.parent / "DEVIATIONS.md").read_text(encoding="utf-8")


def refused(overrides, *words, profile="storyboard"):
    with pytest.raises(ConfigError) as e:
        get_profile(profile, overrides)
    for word in words:
        assert word in str(e.value)


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_pass_their_own_check(name):
    assert get_profile(name) == PROFILES[name] and get_profile(name, {}) == PROFILES[name]
    assert get_profile(name).name == name


def test_overrides_change_what_they_name_and_nothing_else():
    before = as_dict(PROFILES["storyboard"])
    changed = get_profile(
        "storyboard",
        {"train.epochs": 2, "model.prompt": "a photo of {}", "seeds": [3, 1], "train.crop_area": [0.08, 1.0]},
    )
    after = as_dict(changed)
    assert (changed.train.epochs, changed.model.prompt, changed.seeds, changed.train.crop_area) == (
        2,
        "a photo of {}",
        (3, 1),
        (0.08, 1.0),
    )
    for group, key in (("train", "epochs"), ("train", "crop_area"), ("model", "prompt")):
        after[group][key] = before[group][key]
    after["seeds"] = before["seeds"]
    assert after == before == as_dict(PROFILES["storyboard"])


def test_whole_numbers_are_fine_where_fractions_are():
    assert get_profile("storyboard", {"train.warmup_epochs": 0}).train.warmup_epochs == 0.0
    value = get_profile("storyboard", {"train.lr_head": 1}).train.lr_head
    assert value == 1.0 and isinstance(value, float)


def test_frame_temperature_may_be_left_open_or_given():
    assert get_profile("storyboard").model.frame_temperature is None
    assert get_profile("storyboard", {"model.frame_temperature": None}).model.frame_temperature is None
    assert get_profile("storyboard", {"model.frame_temperature": 0.01}).model.frame_temperature == 0.01


def test_profiles_are_plain_data():
    for name in PROFILES:
        d = as_dict(PROFILES[name])
        assert set(d) == {"name", "model", "train", "data", "seeds"}
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


@pytest.mark.parametrize("key", ["", "zzz", "train.zzz", "train.epochs.zzz", "train.", ".epochs", "train..epochs"])
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


# --- the paper and DEVIATIONS.md -----------------------------------------------------------------------------------


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


def named_in_deviations():
    return sorted(set(re.findall(r"`((?:model|train|data)\.(?!py`)\w+|seeds)`", DEVIATIONS)))


@pytest.mark.parametrize("key", named_in_deviations())
def test_every_field_in_deviations_exists(key):
    node = PROFILES["paper"]
    for part in key.split("."):
        assert part in {f.name for f in dataclasses.fields(node)}, f"DEVIATIONS.md names {key}"
        node = getattr(node, part)


def test_every_reading_has_a_row_in_deviations():
    """``coarse`` and ``fine`` are the paper's own ablation."""
    fields = {f"model.{f.name}" for f in dataclasses.fields(ModelConfig)} - {"model.coarse", "model.fine"}
    fields |= {
        "train.loss_lambda",
        "train.lr_head",
        "train.lr_clip",
        "train.weight_decay",
        "train.warmup_epochs",
        "train.crop_area",
    }
    assert fields <= set(named_in_deviations())


def test_deviations_rows_are_complete():
    """Every row of every table has a cell for each column, and says what is known of the effect."""
    tables = re.findall(r"^\|.*\|\n\|[-|]+\|\n(?:\|.*\|\n)+", DEVIATIONS, re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        rows = [
            [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.splitlines()
            if not line.startswith("|-")
        ]
        assert all(len(r) == len(rows[0]) and all(r) for r in rows), rows[0]


def test_deviations_say_what_the_record_says():
    """Every open reading that was measured stands there with its difference and interval."""
    record = json.loads((paths.results("storyboard") / "ablations.json").read_text(encoding="utf-8"))
    lacking = []
    for r in record["readings"]:
        d = r["difference"]
        text = f"{r['title']}: {d['mean']:+.1f} ({d['low']:+.1f} to {d['high']:+.1f})"
        lacking += [text] * (text not in DEVIATIONS)
    assert record["readings"] and not lacking


def test_deviations_sums_are_those_of_the_code():
    from sfar.model import cost

    b16, l14 = (cost.macs(a)["totals"] for a in cost.ARCHS)
    for g in (b16[cost.SKIPS_MHA], b16[cost.COMPLETE], l14[cost.SKIPS_MHA], l14[cost.COMPLETE]):
        assert f"{g:.3f}" in DEVIATIONS
    totals = {i["name"]: i["total_m"] for i in cost.inventories(cost.ARCHS[0])}
    assert f"{totals['visual + text blocks + text_projection + printed head']:.3f} M" in DEVIATIONS
    assert f"{totals['visual + text blocks + mha head']:.3f} M" in DEVIATIONS
