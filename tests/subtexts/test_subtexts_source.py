"""Which sub-texts a profile means; files and groups are in test_subtexts.py."""

import json

import pytest

from sfar.config import get_profile
from sfar.errors import ConfigError
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.subtexts import SubTexts
from sfar.subtexts.source import bundled, each, subtexts_of


@pytest.mark.parametrize(
    "classes, label_set",
    [
        (tuple(KINETICS), "storyboard"),
        ((*UCF, *HMDB), "storyboard"),
        (("zumba", "abseiling"), "kinetics400"),
        (("cartwheel", "brush hair"), "hmdb51"),
        (("cliff diving", "pizza tossing"), "ucf101"),
    ],
)
def test_subtexts_are_of_the_first_label_set_that_has_all(classes, label_set):
    texts = subtexts_of(get_profile("storyboard"), classes)
    assert tuple(texts) == classes and texts.n == 4 and texts.label_set == label_set


def test_subtexts_of_no_label_set():
    with pytest.raises(
        ConfigError, match=r"has all 3 classes: the nearest, .*, lacks 'swallowing swords'.*sfar subtexts generate"
    ):
        subtexts_of(get_profile("storyboard"), ("long jump", "making pizza", "swallowing swords"))


# --- a data set of one's own: each class by itself ---


def own(**model):
    return get_profile("storyboard", {"data.dataset": "folder", **{f"model.{k}": v for k, v in model.items()}})


def test_classes_of_several_label_sets():
    """No label set has both; each has its own texts."""
    classes = ("zumba", "pizza tossing", "long jump")
    texts = subtexts_of(own(), classes)
    assert tuple(texts) == classes and texts.n == 4 and texts.source == "3 classes bundled"
    assert texts["zumba"] == SubTexts.load("kinetics400")["zumba"] == bundled("zumba", 4)
    assert texts["pizza tossing"] == SubTexts.load("ucf101")["pizza tossing"]


def test_a_file_goes_first_and_needs_no_more_than_the_bank_lacks(tmp_path):
    mine = {"opening letters": list("abcd"), "zumba": list("efgh")}
    (tmp_path / "own.json").write_text(json.dumps({"label_set": "own", "sets": {"4": mine}}))
    texts = subtexts_of(own(subtexts=str(tmp_path / "own.json")), ("zumba", "opening letters", "long jump"))
    assert (texts["zumba"], texts["opening letters"]) == (tuple("efgh"), tuple("abcd"))
    assert texts["long jump"] == bundled("long jump", 4)
    assert texts.source == f"2 classes of {tmp_path}/own.json, 1 classes bundled"
    with pytest.raises(
        ConfigError, match=r"subtexts: none of class 'folding ties': give 4 of your own .*'name' to go by"
    ):
        subtexts_of(own(subtexts=str(tmp_path / "own.json")), ("zumba", "folding ties"))


def test_classes_that_nothing_has_are_named():
    with pytest.raises(ConfigError, match="no bundled sub-texts for class 'a', 'b', 'c' and 2 more: give 4"):
        subtexts_of(own(), ("zumba", *"abcde"))


@pytest.mark.parametrize("profile", [own(subtexts="name"), get_profile("storyboard", {"model.subtexts": "name"})])
def test_the_class_name_alone(profile):
    texts = subtexts_of(profile, ("zumba", "folding ties"))
    assert dict(texts) == {"zumba": ("zumba",) * 4, "folding ties": ("folding ties",) * 4}
    assert texts.source == "the class names alone"


def test_other_numbers_of_texts():
    with pytest.raises(ConfigError, match="class 'zumba' has 2, expected 4 texts"):
        each(["zumba"], 4, {"zumba": ["a", "b"]})
    with pytest.raises(ConfigError, match="subtexts='names': expected N texts of each class, or 'name'"):
        each(["zumba"], 4, "names")
