"""Sub-texts: files and all that can be wrong with them, validator, bank, class lists, groups, what a run is made of."""

import dataclasses
import errno
import itertools
import json
import os
import random
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from sfar.config import ModelConfig, get_profile
from sfar.data.labels import LABEL_SETS, class_names, words
from sfar.data.source import Dataset
from sfar.errors import ConfigError, SfarError
from sfar.model.registry import METHODS
from sfar.model.texts import class_texts
from sfar.model.video_model import VideoModel
from sfar.runs.job import Job
from sfar.storyboard.captions import action_phrases
from sfar.storyboard.scripts import ACTIVITIES, HMDB, KINETICS, UCF
from sfar.subtexts import SubTexts
from sfar.subtexts.check import WINDOW, label_set_names, meaning, problems, remarks, validate
from sfar.subtexts.groups import GROUPS, group
from sfar.subtexts.source import subtexts_of
from sfar.subtexts.texts import bank_names
from sfar.training.train import seed_everything
from sfar.util import paths

SIZES = {"kinetics400": 400, "ucf101": 101, "hmdb51": 51, "charades": 157, "storyboard": 45}
BANKS = [(name, n) for name in SIZES for n in (2, 3, 4, 5)]
WRITTEN = ("detailed", "scene", "terse")
STEPS = {
    "jump": ["running up", "taking off", "flying", "landing"],
    "swim": ["diving in", "pulling the water", "breathing", "turning"],
}
EXPECTED = '"sets": {"4": {class name: [four texts]}}'
every_bank = pytest.mark.parametrize("name, n", BANKS)


def content(**changes):
    return {"label_set": "own", "version": 3, "provenance": {"by": "me"}, "sets": {"4": STEPS}, **changes}


def written(folder, data, name="mine.json"):
    """A file with these bytes, or with this as JSON."""
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def with_texts(texts, name="swim"):
    return content(sets={"4": {**STEPS, name: texts}})


# --- reading and writing ---


@every_bank
def test_the_bundled_sets(name, n):
    texts = SubTexts.load(name, n)
    assert (len(texts), texts.n, texts.label_set) == (SIZES[name], n, name)
    assert tuple(texts) == label_set_names(name)
    assert all(len(t) == n and all(isinstance(x, str) for x in t) for t in texts.values())
    assert texts.provenance and isinstance(texts.version, int)


def test_the_bundled_sets_are_these():
    assert set(bank_names()) == set(SIZES)
    assert {(name, int(n)) for name in SIZES for n in bank_file(name)["sets"]} == set(BANKS)


def test_four_is_the_default():
    assert all(SubTexts.load(name).n == 4 for name in SIZES)


def test_a_mapping_from_class_to_texts():
    texts = SubTexts(STEPS, "own", "me")
    assert list(texts) == ["jump", "swim"] and len(texts) == 2 and "jump" in texts and "run" not in texts
    assert texts["jump"] == tuple(STEPS["jump"]) and texts.get("run", ()) == ()
    assert dict(texts) == {c: tuple(t) for c, t in STEPS.items()} and texts == SubTexts(STEPS, "other", None, 9)
    with pytest.raises(KeyError, match="run"):
        texts["run"]
    assert repr(texts) == "SubTexts('own', 2 classes, N=4)"


def test_later_changes_of_the_lists_do_not_reach_in():
    lists = {c: list(t) for c, t in STEPS.items()}
    texts = SubTexts(lists, "own", "me")
    lists["jump"].append("more")
    del lists["swim"]
    assert dict(texts) == {c: tuple(t) for c, t in STEPS.items()}


def test_only_keeps_the_order_asked_for_and_all_the_rest():
    texts = SubTexts(STEPS, "own", "me", 7, "my file")
    two, one = texts.only(["swim", "jump"]), texts.only(iter(["swim"]))
    assert list(two) == ["swim", "jump"] and dict(one) == {"swim": tuple(STEPS["swim"])}
    assert (one.label_set, one.provenance, one.version, one.source, one.n) == ("own", "me", 7, "my file", 4)


@pytest.mark.parametrize(
    "names, said",
    [
        (["jump", "run"], "'run'$"),
        (["a", "b", "c"], "'a', 'b', 'c'$"),
        (["a", "b", "c", "d", "swim", "e"], "'a', 'b', 'c' and 2 more$"),
    ],
)
def test_only_of_a_class_that_is_not_there(names, said):
    with pytest.raises(ConfigError, match="my file: no sub-texts for class " + said):
        SubTexts(STEPS, "own", "me", source="my file").only(names)


@every_bank
def test_saved_and_loaded(tmp_path, name, n):
    texts = SubTexts.load(name, n)
    path = tmp_path / "new" / "folder" / "copy.json"
    texts.save(path)
    for again in (SubTexts.load(path), SubTexts.load(str(path), n)):  # one N alone needs no telling
        assert list(again.items()) == list(texts.items()) and again.source == str(path)
        assert all(getattr(again, f) == getattr(texts, f) for f in ("n", "label_set", "provenance", "version"))


def test_saved_as_readable_text(tmp_path):
    SubTexts({"Übung": ["auf die Hände", "steht 逆立ち"]}, "own", None).save(tmp_path / "a.json")
    raw = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert (
        "Übung" in raw
        and "逆立ち" in raw
        and SubTexts.load(tmp_path / "a.json")["Übung"] == ("auf die Hände", "steht 逆立ち")
    )


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_failing_save_leaves_the_old_file(tmp_path, monkeypatch, where):
    path = tmp_path / "mine.json"
    SubTexts(STEPS, "own", "me").save(path)
    before = path.read_bytes()

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(paths.os, where, no_space)
    with pytest.raises(SfarError, match=r"cannot write .*mine.json: No space left"):
        SubTexts.load("hmdb51").save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["mine.json"]


def test_the_set_a_file_gives_when_none_is_asked_for(tmp_path):
    sets = {str(n): {c: t[:n] for c, t in STEPS.items()} for n in (2, 3, 4)}
    assert SubTexts.load(written(tmp_path, content(sets=sets))).n == 4
    assert SubTexts.load(written(tmp_path, content(sets={"3": sets["3"]}))).n == 3
    assert SubTexts.load(written(tmp_path, content(sets=sets)), 2)["jump"] == tuple(STEPS["jump"][:2])
    del sets["4"]
    with pytest.raises(ConfigError, match=r"mine.json has N = 2, 3, not 4"):
        SubTexts.load(written(tmp_path, content(sets=sets)))


def test_version_and_provenance_may_be_left_out(tmp_path):
    texts = SubTexts.load(written(tmp_path, {"label_set": "own", "sets": {"4": STEPS}}))
    assert (texts.version, texts.provenance) == (1, None) and dict(texts) == {c: tuple(t) for c, t in STEPS.items()}


# --- what can be wrong with a file ---


@pytest.mark.parametrize("name", ["", "kinetics", "Kinetics400", "kinetics400.txt", "storyboard "])
def test_an_unknown_label_set(name):
    with pytest.raises(
        ConfigError,
        match="no bundled sub-texts for " + repr(name) + ".*charades, hmdb51, kinetics400, storyboard, ucf101.*json",
    ):
        SubTexts.load(name)


@pytest.mark.parametrize("name", ["none.json", "no/folder/none.json", "folder.json", "nul\0.json", "x" * 300 + ".json"])
def test_a_file_that_cannot_be_read(tmp_path, name):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read sub-texts from .*json"):
        SubTexts.load(tmp_path / name)


def test_the_home_of_nobody():
    with pytest.raises(ConfigError, match=r"cannot read sub-texts from ~no-such-user-here/mine.json"):
        SubTexts.load("~no-such-user-here/mine.json")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"<html>404</html>",
        b"\x89PNG\r\n",
        b"\xff\xfe\x00",
        b"[1, 2",
        b"nothing",
        json.dumps(content()).encode() + b"}",
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b'{"sets":' * 100_000, id="sets in sets"),
    ],
)
def test_a_file_that_is_no_json(tmp_path, raw):
    path = written(tmp_path, raw)
    with pytest.raises(ConfigError) as e:
        SubTexts.load(path)
    assert str(path) in str(e.value) and EXPECTED in str(e.value)


def test_every_beginning_of_a_file_is_no_file(tmp_path):
    whole = json.dumps(content()).encode()
    for end in range(len(whole)):
        with pytest.raises(ConfigError, match=r"mine.json is no file of sub-texts"):
            SubTexts.load(written(tmp_path, whole[:end]))


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        4,
        "text",
        [content()],
        {},
        STEPS,
        {"sets": {"4": STEPS}},
        {"label_set": "own"},
        content(sets=None),
        content(sets=[]),
        content(sets=[STEPS]),
        content(sets={}),
        content(sets="4"),
        content(sets=STEPS),
        content(sets={"4": []}),
        content(sets={"4": None}),
        content(sets={"4": ["a", "b", "c", "d"]}),
        content(sets={"four": STEPS}),
        content(sets={"-4": STEPS}),
        content(sets={"": STEPS}),
        content(sets={"4": STEPS, "all": STEPS}),
        with_texts("text"),
        with_texts("four"),
        with_texts(None),
        with_texts({"1": "a", "2": "b", "3": "c", "4": "d"}),
        with_texts(4),
    ],
)
def test_json_of_another_shape(tmp_path, data):
    path = written(tmp_path, data)
    with pytest.raises(ConfigError) as e:
        SubTexts.load(path)
    assert str(path) in str(e.value) and EXPECTED in str(e.value)


@pytest.mark.parametrize("key", ["²", pytest.param("9" * 5000, id="5000 digits"), "04", "٤", "0"])
def test_a_number_of_another_kind(tmp_path, key):
    """Strings of digits that are no N: ``isdigit`` accepts all of them."""
    path = written(tmp_path, content(sets={key: STEPS}))
    with pytest.raises(ConfigError, match=r"mine.json"):
        SubTexts.load(path)


@pytest.mark.parametrize("n", [0, -4, 1, 3, 5, 44])
def test_an_n_that_is_not_there(tmp_path, n):
    path = written(tmp_path, content())
    with pytest.raises(ConfigError, match=rf"mine.json has N = 4, not {n} \(model.n_subtexts\)"):
        SubTexts.load(path, n)
    if n not in (2, 3, 4, 5):
        with pytest.raises(ConfigError, match=rf"bundled sub-texts of 'hmdb51' has N = 2, 3, 4, 5, not {n}"):
            SubTexts.load("hmdb51", n)


def test_classes_under_another_n(tmp_path):
    with pytest.raises(ConfigError, match=r"mine.json, class 'jump': expected 3 distinct non-empty texts"):
        SubTexts.load(written(tmp_path, content(sets={"3": STEPS})))


def test_no_class(tmp_path):
    with pytest.raises(ConfigError, match=r"mine.json: no class in it"):
        SubTexts.load(written(tmp_path, content(sets={"4": {}})))


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["a", "b", "c", "c"], "4 distinct non-empty texts"),
        (["a", "b", "c", ""], "4 distinct non-empty texts"),
        (["a", "b", "c", " \n"], "4 distinct non-empty texts"),
        (["a", "b", "c", 4], "4 distinct non-empty texts"),
        (["a", "b", "c", None], "4 distinct non-empty texts"),
        ([True, "b", "c", "d"], "4 distinct non-empty texts"),
        (["a", "b", "c", ["d"]], "4 distinct non-empty texts"),
        (["a", "b", "c", {"text": "d"}], "4 distinct non-empty texts"),
        (["a", "b", "c"], "4 distinct non-empty texts"),
        (["a", "b", "c", "d", "e"], "4 distinct non-empty texts"),
        ([], "4 distinct non-empty texts"),
    ],
)
def test_a_class_that_is_wrong_is_named(tmp_path, texts, expected):
    """Of 400 classes one is wrong: without its name the user looks for it by hand."""
    path = written(tmp_path, with_texts(texts))
    with pytest.raises(ConfigError) as e:
        SubTexts.load(path)
    assert str(path) in str(e.value) and expected in str(e.value) and "'swim'" in str(e.value)


VALUES = [
    None,
    True,
    False,
    0,
    -1,
    4,
    2.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "4",
    "²",
    "9" * 5000,
    "\ud800",
    [],
    {},
    [[]],
    [{}],
    [None] * 4,
    [[], [], [], []],
    ["a"] * 4,
    ["a", "b", "c", "d"],
    {"4": []},
    {"²": {}},
    {"": {}},
    {"4": {"x": [{}] * 4}},
    {"swim": "abcd"},
    [STEPS],
]
PLACES = [
    (),
    ("label_set",),
    ("version",),
    ("provenance",),
    ("sets",),
    ("sets", "4"),
    ("sets", "4", "swim"),
    ("sets", "4", "swim", 0),
]


def replaced(data, place, value):
    if not place:
        return value
    out = list(data) if isinstance(data, list) else dict(data)
    out[place[0]] = replaced(data[place[0]], place[1:], value)
    return out


def loads_or_says_why(path):
    """Sub-texts that are as promised, or a ``ConfigError`` that names the file; any other exception is a failure."""
    try:
        texts = SubTexts.load(path)
    except ConfigError as e:
        assert str(path) in str(e)
        return False
    assert all(len(t) == texts.n and all(isinstance(x, str) and x.strip() for x in t) for t in texts.values())
    return True


@pytest.mark.parametrize("place", PLACES, ids=lambda p: "/".join(map(str, p)) or "whole")
@pytest.mark.parametrize("value", VALUES, ids=lambda v: json.dumps(v)[:24])
def test_any_value_in_any_place(tmp_path, place, value):
    loaded = loads_or_says_why(written(tmp_path, replaced(content(), place, value)))
    if place in (("label_set",), ("version",)):
        return  # whether these are looked at is not this test's matter
    text, texts = (
        len(place) == 4 and isinstance(value, str) and bool(value.strip()) and value != "\ud800",
        len(place) == 3 and value == ["a", "b", "c", "d"],
    )
    assert loaded == (text or texts or place == ("provenance",))


@pytest.mark.parametrize("seed", range(5))
def test_damaged_bytes(tmp_path, seed):
    rng = random.Random(seed)
    whole = json.dumps(content()).encode()
    outcomes = set()
    for _ in range(60):
        raw = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw))
            raw[at : at + rng.randint(0, 3)] = bytes(rng.choices(b'{}[]",:0149 ax\\\xff\x00', k=rng.randint(0, 3)))
        outcomes.add(loads_or_says_why(written(tmp_path, bytes(raw))))
    assert outcomes == {True, False}


# --- the validator ---


@pytest.mark.parametrize(
    "a, b",
    [
        ("Riding a bike", "ride bikes"),
        ("running", "run"),
        ("jumps", "jumping"),
        ("the ball in the air", "air in ball"),
        ("Press, the bar!", "pressing bars"),
        ("boxes", "box"),
        ("passing the ball", "passes to a ball"),
    ],
)
def test_the_same_meaning(a, b):
    assert meaning(a) == meaning(b)


@pytest.mark.parametrize(
    "a, b",
    [
        ("riding a bike", "riding a horse"),
        ("throw up", "throw down"),
        ("bus", "bu"),
        ("lift", "lift slowly"),
        ("one ball", "two balls"),
    ],
)
def test_another_meaning(a, b):
    assert meaning(a) != meaning(b)


FOREIGN = {
    "Chinese": ["跑向沙坑", "起跳", "腾空", "落地"],
    "Japanese": ["走って近づく", "踏み切る", "空中を飛ぶ", "着地する"],
    "Russian": ["бежит к яме", "отталкивается", "летит вперёд", "приземляется"],
    "Arabic": ["يركض", "يقفز", "يطير", "يهبط"],
    "Korean": ["달리기", "도약", "비행", "착지"],
    "German": ["über die Bahn laufen", "mit einem Fuß abspringen", "durch die Luft fliegen", "im Sand landen"],
    "French": ["courir vers le sable", "sauter avec une jambe", "voler dans les airs", "tomber sur les talons"],
    "Spanish": ["correr hacia el foso", "saltar con una pierna", "volar por el aire", "caer en la arena"],
    "Dutch": ["naar de bak rennen", "met een voet afzetten", "door het zand", "op de hielen landen"],
    "a class name in English": [
        "jump: 跑向沙坑快速助跑",
        "jump: 单脚起跳离地",
        "jump: 身体腾空向前",
        "jump: 双脚落地入沙",
    ],
}


@pytest.mark.parametrize("texts", FOREIGN.values(), ids=list(FOREIGN))
def test_another_script_or_language_is_remarked(texts):
    (line,) = remarks({"jump": texts, "swim": STEPS["swim"]})
    assert line.startswith("1 of 2 classes have sub-texts in another script or language than the English")
    assert "'jump': " in line and repr(texts[0]) in line


@every_bank
def test_english_is_not_remarked(name, n):
    assert remarks(SubTexts.load(name, n)) == []


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_not_remarked(name):
    assert remarks(group(name)) == []


@pytest.mark.parametrize(
    "texts",
    [
        ["a pirouette en pointe", "a plié at the barre", "leaping into a grand jeté", "holding an arabesque"],
        ["kicking in capoeira", "squatting to the au batido", "spinning", "a queda de rins on the floor"],
        ["1 2 3", "4 5", "6", "7 8"],
        ["tossing the piñata", "hitting it", "sweets falling", "children running to the sweets"],
    ],
)
def test_loan_words_are_english(texts):
    assert remarks({"x": texts}) == []


GOOD = ["mounting the saddle", "pushing the pedals", "turning the handlebar", "squeezing the brake"]
WIDE = " ".join(["pedal"] * (WINDOW - 1))  # with start and end of text one token too many


def test_a_good_set_has_no_problem():
    assert problems("riding a bike", GOOD, 4) == []


@pytest.mark.parametrize(
    "last, said",
    [
        ("", "an empty sub-text ''"),
        ("   ", "an empty sub-text"),
        ("...", "an empty sub-text '...'"),
        ("of the", "an empty sub-text"),
        (WIDE, "78 tokens, more than CLIP's window of 77"),
        ("Riding a bike", "just repeats the class name: 'Riding a bike'"),
        ("ride bikes!", "just repeats the class name"),
        ("the bike", "just repeats the class name"),
        (GOOD[0], f"twice the same: {GOOD[0]!r} and {GOOD[0]!r}"),
        ("Mounts the saddle.", "twice the same"),
        ("saddle mounting", "twice the same"),
    ],
)
def test_a_problem_of_one_text(last, said):
    (found,) = problems("riding a bike", [*GOOD[:3], last], 4)
    assert said in found


@pytest.mark.parametrize(
    "last",
    ["o", "of the road", WIDE.removesuffix(" pedal"), "riding a bike uphill", "bike bell", "mounting the saddle again"],
)
def test_a_near_miss(last):
    assert problems("riding a bike", [*GOOD[:3], last], 4) == []


@pytest.mark.parametrize(
    "texts, n, said",
    [
        (GOOD[:3], 4, "3 sub-texts instead of 4"),
        ([*GOOD, "ringing the bell"], 4, "5 sub-texts instead of 4"),
        (GOOD, 5, "4 sub-texts instead of 5"),
        ([], 2, "0 sub-texts instead of 2"),
    ],
)
def test_another_number(texts, n, said):
    assert problems("riding a bike", texts, n) == [said]
    assert problems("riding a bike", texts, len(texts)) == []


def test_all_problems_at_once():
    found = problems("riding a bike", ["", "ride", GOOD[0], GOOD[0], WIDE], 4)
    assert len(found) == 5
    assert [
        said for said in ("instead of", "empty", "repeats", "twice", "tokens") if not any(said in f for f in found)
    ] == []


def test_validate_names_the_class():
    assert validate(STEPS, 4, ["jump", "swim"]) == []
    assert validate({**STEPS, "swim": [*STEPS["swim"][:3], "Swimming"]}, 4, None) == [
        "'swim': just repeats the class name: 'Swimming'"
    ]


def test_two_classes_with_the_same_set():
    same = {"hop": STEPS["jump"][::-1]}
    assert validate(STEPS | same, 4, None) == ["'jump' and 'hop' have the same set"]
    assert validate(STEPS | {"hop": [t.upper() for t in STEPS["jump"]]}, 4, None) == [
        "'jump' and 'hop' have the same set"
    ]
    assert validate(STEPS | {"hop": [*STEPS["jump"][:3], "stopping"]}, 4, None) == []


@pytest.mark.parametrize(
    "expected, found",
    [
        (["jump", "swim"], []),
        (["swim", "jump"], []),
        (None, []),
        (["jump", "swim", "run"], ["'run': missing"]),
        (["jump"], ["'swim': not a class of this label set"]),
        (["Jump", "swim"], ["'Jump': missing", "'jump': not a class of this label set"]),
    ],
)
def test_the_list_of_classes(expected, found):
    assert validate(STEPS, 4, expected) == found
    assert validate(SubTexts(STEPS, "own", None), 4, expected and iter(expected)) == found


# --- the bundled bank ---


def bank_file(name):
    return json.loads((files("sfar.subtexts") / "bank" / f"{name}.json").read_text(encoding="utf-8"))


@every_bank
def test_the_bank_is_valid(name, n):
    assert validate(bank_file(name)["sets"][str(n)], n, label_set_names(name)) == []


@pytest.mark.parametrize("name", WRITTEN)
def test_the_written_groups_are_valid(name):
    data = json.loads((files("sfar.subtexts") / "written" / f"{name}.json").read_text(encoding="utf-8"))
    assert list(data["sets"]) == ["4"] and data["provenance"]
    assert validate(data["sets"]["4"], 4, KINETICS) == []


def test_no_written_file_is_left_out():
    found = {p.name for p in (files("sfar.subtexts") / "written").iterdir() if p.name.endswith(".json")}
    assert found == {f"{name}.json" for name in WRITTEN}


@every_bank
def test_the_bank_has_bare_phrases(name, n):
    for text in itertools.chain.from_iterable(SubTexts.load(name, n).values()):
        assert text == " ".join(text.split()) and text.isascii() and text[0].islower() and text[-1].isalnum(), text
        assert "this action is" not in text.lower(), text
        assert 2 <= len(text.split()) <= 10, text


@every_bank
def test_no_two_classes_share_a_phrase(name, n):
    """Of the storyboard world not three: its activities share actions, and are told apart by them all the same."""
    allowed = 2 if name == "storyboard" else 0
    shared = [
        (a, b)
        for (a, s), (b, t) in itertools.combinations(SubTexts.load(name, n).items(), 2)
        if len({*s} & {*t}) > allowed
    ]
    assert shared == []


BRITISH = re.compile(r"\w*(colour|grey|tyre|theatre|centre|metre|litre|moustache|plough|pyjama|jewell|armour)\w*")


@every_bank
def test_the_bank_is_in_american_english(name, n):
    texts = itertools.chain.from_iterable(SubTexts.load(name, n).values())
    assert [t for t in texts if BRITISH.search(t)] == []


# --- class names ---


@pytest.mark.parametrize("name", LABEL_SETS)
def test_the_class_lists(name):
    names = class_names(name)
    assert len(names) == len(set(names)) == SIZES[name]
    assert all(n == " ".join(n.split()) and "_" not in n and n.isascii() for n in names)
    assert label_set_names(name) == names


def test_kinetics_is_in_order():
    names = class_names("kinetics400")
    assert list(names) == sorted(names) and names[0] == "abseiling" and names[-1] == "zumba"


@pytest.mark.parametrize(
    "name, place, said",
    [
        ("ucf101", 0, "apply eye makeup"),
        ("ucf101", 100, "yo yo"),
        ("hmdb51", 0, "brush hair"),
        ("hmdb51", 50, "wave"),
        ("charades", 0, "Holding some clothes"),
        ("charades", 156, "Someone is eating something"),
    ],
)
def test_first_and_last_label(name, place, said):
    assert class_names(name)[place] == said


@pytest.mark.parametrize(
    "name, said",
    [
        ("ApplyEyeMakeup", "apply eye makeup"),
        ("YoYo", "yo yo"),
        ("TaiChi", "tai chi"),
        ("BoxingSpeedBag", "boxing speed bag"),
        ("HandstandPushups", "handstand pushups"),
        ("Archery", "archery"),
        ("already words", "already words"),
    ],
)
def test_words(name, said):
    assert words(name) == said


@pytest.mark.parametrize("name", ["", "storyboard", "UCF101", "kinetics-400"])
def test_an_unknown_list_of_classes(name):
    with pytest.raises(
        ConfigError, match=f"unknown label set {name!r}: expected one of kinetics400, ucf101, hmdb51, charades"
    ):
        class_names(name)


def test_class_lists_beyond_the_data_sets():
    assert label_set_names("storyboard") == tuple(ACTIVITIES) and label_set_names("my own") is None


# --- groups ---


every_group = pytest.mark.parametrize("name", GROUPS)


@every_group
def test_a_group_has_four_texts_for_each_of_the_25_classes(name):
    texts = group(name)
    assert tuple(texts) == tuple(KINETICS) and len(texts) == 25 and texts.n == 4
    assert GROUPS[name].name == name and GROUPS[name].title and GROUPS[name].kind in ("written", "truth", "derived")


@every_group
def test_a_group_is_valid_but_for_what_it_is_made_to_be(name):
    found = validate(group(name), 4, KINETICS)
    assert len(found) == 24 and all("have the same set" in f for f in found) if name == "generic" else found == []


@every_group
def test_a_group_is_the_same_every_time(name):
    np.random.seed(1)
    random.seed(1)
    a = group(name)
    np.random.seed(2)
    random.seed(2)
    assert list(group(name).items()) == list(a.items())


def test_at_least_as_many_groups_as_in_the_paper_and_all_different():
    assert len(GROUPS) >= 11
    assert len({tuple(group(name).items()) for name in GROUPS}) == len(GROUPS)


def test_an_unknown_group():
    for name in ("", "Bank", "truths"):
        with pytest.raises(
            ConfigError, match=f"unknown group of sub-texts {name!r}: expected one of bank, terse, .*unrelated"
        ):
            group(name)


@pytest.mark.parametrize(
    "name, source, taken", [("shuffled", "bank", 4), ("truth-shuffled", "truth", 4), ("half-shuffled", "bank", 2)]
)
def test_shuffled_texts_come_whole_from_one_other_class(name, source, taken):
    texts, own = group(name), group(source)
    givers = []
    for c, t in texts.items():
        assert t[: 4 - taken] == own[c][: 4 - taken]
        (giver,) = [o for o in own if own[o][4 - taken :] == t[4 - taken :]]
        givers.append(giver)
        assert giver != c
    assert sorted(givers) == sorted(own)  # each gives once: the group has the same texts in all


def test_truth_is_the_script():
    for c, texts in group("truth").items():
        script = [a for a, _ in KINETICS[c]]
        shown = [[a for a in script if t in action_phrases(a)] for t in texts]
        assert all(len(s) == 1 for s in shown), c  # each phrase belongs to one action of the script
        order = [script.index(s[0]) for s in shown]
        assert order == sorted(order) and set(order) == set(range(len(script))), c  # all of them, in their order


def test_bank_group_is_the_bank():
    assert dict(group("bank")) == dict(SubTexts.load("storyboard", 4).only(KINETICS))


@pytest.mark.parametrize("name, form", [("prefixed", "This action is {t}"), ("named", "{c}: {t}")])
def test_wordings_around_the_bank(name, form):
    bank = group("bank")
    assert all(t == tuple(form.format(c=c, t=x) for x in bank[c]) for c, t in group(name).items())


def test_wordings_of_one_thing():
    bank = group("bank")
    assert all(bank[c][0] in x for c, t in group("redundant").items() for x in t)
    assert all(c in x for name in ("class-name", "generic-named") for c, t in group(name).items() for x in t)
    assert len(set(group("generic").values())) == 1


def test_unrelated_texts_are_all_different_and_of_another_label_set():
    pool = {x for t in SubTexts.load("charades").values() for x in t}
    got = [x for t in group("unrelated").values() for x in t]
    assert len(set(got)) == 100 and set(got) <= pool


# --- the sub-texts of a run ---


DRAWN = tuple(KINETICS)


def profile(**model):
    return get_profile("storyboard", {f"model.{k}": v for k, v in model.items()})


@pytest.mark.parametrize("world", [KINETICS, UCF, HMDB], ids=["kinetics", "ucf", "hmdb"])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_drawn_classes_get_the_storyboard_bank(world, n):
    classes = tuple(world)[::-1]
    texts = subtexts_of(profile(n_subtexts=n), classes)
    assert texts.label_set == "storyboard" and tuple(texts) == classes
    assert dict(texts) == dict(SubTexts.load("storyboard", n).only(classes))


@pytest.mark.parametrize("name", LABEL_SETS)
def test_the_classes_of_a_data_set_get_its_bank(name):
    texts = subtexts_of(profile(), class_names(name))
    assert texts.label_set == name and list(texts.items()) == list(SubTexts.load(name).items())


def test_some_classes_of_kinetics_get_its_bank():
    classes = ("zumba", "long jump", "abseiling", "tai chi")  # the second is drawn too, the fourth in UCF-101
    texts = subtexts_of(profile(), classes)
    assert texts.label_set == "kinetics400" and list(texts.items()) == [
        (c, SubTexts.load("kinetics400")[c]) for c in classes
    ]


@pytest.mark.parametrize(
    "classes, nearest, lacks",
    [
        ((*DRAWN, "flying on a broom"), "storyboard", "'flying on a broom'."),
        (("abseiling", "flying on a broom", "zumba"), "kinetics400", "'flying on a broom'."),
        (("zumba", "a", "b", "c", "d"), "kinetics400", "'a', 'b', 'c' and others."),
    ],
)
def test_a_class_nobody_wrote_for(classes, nearest, lacks):
    with pytest.raises(ConfigError) as e:
        subtexts_of(profile(), classes)
    assert f"all {len(classes)} classes" in str(e.value) and f"{nearest!r}, lacks {lacks}" in str(e.value)
    assert "sfar subtexts generate" in str(e.value) and "model.subtexts" in str(e.value)


@every_group
def test_a_group_by_name(name):
    classes = DRAWN[10:][::-1]
    assert list(subtexts_of(profile(subtexts=name), classes).items()) == [(c, group(name)[c]) for c in classes]


def test_a_file_of_ones_own(tmp_path):
    path = written(tmp_path, content())
    texts = subtexts_of(profile(subtexts=str(path)), ("swim", "jump"))
    assert list(texts.items()) == [(c, tuple(STEPS[c])) for c in ("swim", "jump")]
    with pytest.raises(ConfigError, match=r"mine.json: no sub-texts for class 'run'"):
        subtexts_of(profile(subtexts=str(path)), ("jump", "run"))
    with pytest.raises(ConfigError, match=r"cannot read sub-texts from .*none.json"):
        subtexts_of(profile(subtexts=str(tmp_path / "none.json")), ("jump",))


@pytest.mark.parametrize("name", [g for g in GROUPS if g != "bank"])
def test_a_group_for_other_classes(name):
    with pytest.raises(ConfigError, match=f"'{name}'.*: no sub-texts for class 'zumba'"):
        subtexts_of(profile(subtexts=name), ("long jump", "zumba"))


def test_subtexts_of_no_known_name():
    with pytest.raises(ConfigError, match="no bundled sub-texts for 'truths'"):
        subtexts_of(profile(subtexts="truths"), DRAWN)


@pytest.mark.parametrize(
    "classes, subtexts, n",
    [
        (DRAWN, "truth", 5),
        (DRAWN, "terse", 2),
        (DRAWN, "bank", 6),
        (("zumba", "yoga"), "bank", 6),
        (("jump", "swim"), "mine.json", 3),
    ],
)
def test_another_n_than_there_is(tmp_path, monkeypatch, classes, subtexts, n):
    monkeypatch.chdir(tmp_path)
    written(Path("."), content())
    with pytest.raises(ConfigError, match=rf"N = .*4.*, not {n} \(model.n_subtexts\)"):
        subtexts_of(profile(subtexts=subtexts, n_subtexts=n), classes)


# --- the inputs of a run ---


# For every field of the model another value that is allowed.
CHANGES = {
    "clip": "ViT-B-16-quickgelu",
    "pretrained": "openai",
    "prompt": "a photo of {}",
    "subtexts": "truth",
    "n_subtexts": 3,
    "attention": "mha",
    "attention_heads": 4,
    "word_mask": "all",
    "coarse_reduce": "sum",
    "frame_temperature": 0.7,
    "frame_norm": True,
    "ffn": "none",
    "ffn_residual": False,
    "context_layers": 2,
    "coarse": False,
    "fine": False,
    "temporal_layers": 2,
}
every_field = pytest.mark.parametrize("field", CHANGES)
READS = {name: method.reads for name, method in METHODS.items()}
every_method = pytest.mark.parametrize("method", METHODS)
DATA = Dataset("kinetics400", Path("nowhere"), "fingerprint", DRAWN, True)


def key(method, profile=None, data=DATA, seed=1, views="1x1"):
    return Job(profile or get_profile("storyboard"), data, method, seed, views).key()


def test_no_field_and_no_method_is_forgotten():
    fields = {f.name for f in dataclasses.fields(ModelConfig)}
    assert set(CHANGES) == fields and set().union(*READS.values()) <= fields
    assert all(getattr(ModelConfig(), k) != v and getattr(tiny.MODEL, k) != v for k, v in CHANGES.items())


@every_method
@every_field
def test_a_field_is_in_the_key_where_it_is_read(method, field):
    changed = field in READS[method] or (METHODS[method].sub_texts and field == "subtexts")
    assert (key(method, profile(**{field: CHANGES[field]})) != key(method)) is changed


@every_method
def test_other_subtexts_make_another_run_of_sfar_alone(method):
    keys = {key(method, profile(subtexts=name)) for name in GROUPS}
    assert len(keys) == (len(GROUPS) if METHODS[method].sub_texts else 1)


def test_the_same_subtexts_from_another_place_are_the_same_run(tmp_path):
    group("bank").save(tmp_path / "copy.json")
    assert key("sfar", profile(subtexts=str(tmp_path / "copy.json"))) == key("sfar")
    texts = {c: list(t) for c, t in group("bank").items()}
    texts["long jump"][3] += " again"
    SubTexts(texts, "storyboard", None).save(tmp_path / "copy.json")
    assert key("sfar", profile(subtexts=str(tmp_path / "copy.json"))) != key("sfar")  # the file's content, not its name


@every_method
def test_what_else_makes_another_run(method):
    p = get_profile("storyboard")
    trained = method != "vanilla"
    assert (key(method, seed=2) != key(method)) is trained
    assert (key(method, get_profile("storyboard", {"train.epochs": 7})) != key(method)) is trained
    others = [
        key(method, get_profile("storyboard", {"train.frames": 4})),
        key(method, p, dataclasses.replace(DATA, fingerprint="other")),
        key(method, p, dataclasses.replace(DATA, classes=DRAWN[:5])),
        key(method, p, dataclasses.replace(DATA, classes=DRAWN[::-1])),
        key(method, views="4x3"),
        *(key(m) for m in METHODS if m != method),
    ]
    assert len({key(method), *others}) == 1 + len(others)


@every_method
def test_where_the_data_lie_does_not(method):
    assert key(
        method,
        get_profile("storyboard", {"data.root": "/elsewhere"}),
        dataclasses.replace(DATA, root=Path("/elsewhere")),
    ) == key(method)


@every_method
def test_the_inputs_are_json(method):
    inputs = Job(get_profile("storyboard"), DATA, method, 0).inputs()
    assert json.loads(json.dumps(inputs)) == inputs


def outputs(method, **changes):
    """What a freshly drawn model of the method says of random frames, everything made as a run makes it."""
    cfg = dataclasses.replace(tiny.MODEL, **changes)
    seed_everything(0)
    clip = tiny.clip()
    texts = class_texts(clip, tiny.CLASSES, {c: t[: cfg.n_subtexts] for c, t in tiny.SUBTEXTS.items()}, cfg)
    model = VideoModel(method, clip, texts, cfg)
    frames = torch.randn(2, 5, texts.cls.shape[-1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out = model.head(frames, model.texts, torch.tensor(10.0))
    return [o for o in (out.logits, out.coarse, out.fine, out.video) if o is not None]


def difference(method, **changes):
    before, after = outputs(method), outputs(method, **changes)
    if [o.shape for o in before] != [o.shape for o in after]:
        return float("inf")
    return max((a - b).abs().max().item() for a, b in zip(before, after, strict=True))


FEASIBLE = [
    f for f in CHANGES if f not in ("clip", "pretrained", "subtexts")
]  # the first two are in every key, the texts enter sfar's by themselves


@every_method
@pytest.mark.parametrize("field", FEASIBLE)
def test_a_method_reads_what_its_key_has_and_nothing_else(method, field):
    got = difference(method, **{field: CHANGES[field]})
    if field not in READS[method]:
        # "all" computes the class embedding on the whole window: the same up to rounding.
        assert got <= (1e-5 if field == "word_mask" else 0)
    elif field != "attention_heads":  # printed attention has no heads
        assert got > 1e-4


def test_heads_matter_to_the_attention_that_has_them():
    a, b = (outputs("sfar", attention="mha", attention_heads=h) for h in (2, 4))
    assert (a[0] - b[0]).abs().max() > 1e-7
    assert key("sfar", profile(attention="mha", attention_heads=2)) != key(
        "sfar", profile(attention="mha", attention_heads=4)
    )


@pytest.mark.parametrize("method", [m for m in METHODS if not METHODS[m].sub_texts])
def test_only_sfar_reads_the_subtexts(method, monkeypatch):
    before = outputs(method)
    monkeypatch.setattr(
        tiny, "SUBTEXTS", {c: [f"{w} {c}" for w in ("one", "two", "three", "four")] for c in tiny.CLASSES}
    )
    assert all(torch.equal(a, b) for a, b in zip(before, outputs(method), strict=True))
    monkeypatch.undo()
    assert torch.equal(outputs(method)[0], before[0])


def test_sfar_reads_them(monkeypatch):
    before = outputs("sfar")
    monkeypatch.setattr(
        tiny, "SUBTEXTS", {c: [f"{w} {c}" for w in ("one", "two", "three", "four")] for c in tiny.CLASSES}
    )
    assert (outputs("sfar")[0] - before[0]).abs().max() > 1e-4
