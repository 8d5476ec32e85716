"""OST's spatio descriptors: bundled for every class, four things that are seen, and what the validator refuses."""

import itertools
import json
from importlib.resources import files

import pytest

from sfar.cli.main import main
from sfar.errors import ConfigError
from sfar.model.clip import token_ids
from sfar.subtexts import SubTexts
from sfar.subtexts.check import TEMPLATES, WINDOW, is_step, label_set_names, meaning, problems, validate
from sfar.subtexts.texts import KINDS, SPATIO, bank_names, sizes

SIZES = {"kinetics400": 400, "ucf101": 101, "hmdb51": 51, "charades": 157, "storyboard": 45}
SEEN = ["a sand pit", "a running track", "a white take-off board", "a jumper in shorts"]
every_set = pytest.mark.parametrize("name", SIZES)


def content(name):
    return json.loads((files("sfar.subtexts") / "spatio" / f"{name}.json").read_text(encoding="utf-8"))


def bank_texts(name):
    return {t for n in sizes(name) for own in SubTexts.load(name, n).values() for t in own}


@every_set
def test_every_class_has_four(name):
    texts = SubTexts.load(name, 4, kind="spatio")
    assert (len(texts), texts.n, texts.label_set) == (SIZES[name], 4, name)
    assert list(texts) == list(SubTexts.load(name)) == list(label_set_names(name) or ())
    assert all(len(set(map(meaning, own))) == 4 for own in texts.values())
    assert texts.provenance and texts.source == f"the bundled spatio descriptors of {name!r}"


def test_every_label_set_of_the_bank_has_them():
    found = {p.name for p in (files("sfar.subtexts") / "spatio").iterdir() if p.name.endswith(".json")}
    assert found == {f"{name}.json" for name in bank_names()} == {f"{name}.json" for name in SIZES}
    assert all(list(content(name)["sets"]) == ["4"] for name in SIZES)


@every_set
def test_they_are_valid(name):
    assert validate(content(name)["sets"]["4"], 4, label_set_names(name), SPATIO) == []


@every_set
def test_they_are_bare_short_phrases(name):
    """OST's template is put around them by whoever embeds them."""
    for text in itertools.chain.from_iterable(SubTexts.load(name, kind=SPATIO).values()):
        assert text == " ".join(text.split()) and text.isascii() and text[0].islower() and text[-1].isalnum(), text
        assert "video about" not in text and 2 <= len(text.split()) <= 8, text
        assert len(token_ids(f"This is a video about {text}")) <= 24 < WINDOW, text


@every_set
def test_no_two_classes_share_one(name):
    own = list(itertools.chain.from_iterable(SubTexts.load(name, kind=SPATIO).values()))
    assert len(own) == len(set(own)) == 4 * SIZES[name]


@every_set
def test_none_is_a_sub_text_of_the_bank(name):
    own = set(itertools.chain.from_iterable(SubTexts.load(name, kind=SPATIO).values()))
    assert own & bank_texts(name) == set()


@pytest.mark.parametrize(
    "text",
    [
        "tossing dough",
        "drawing a bow",
        "landing in the sand",
        "opening the door",
        "a man holding a ball",
        "two people standing in line",
        "Running",
    ],
)
def test_an_action_is_refused(text):
    assert is_step(text)
    assert problems("long jump", [*SEEN[:3], text], 4, SPATIO) == [
        f"an action and not something that is seen: {text!r}"
    ]
    assert problems("long jump", [*SEEN[:3], text], 4) == []


@pytest.mark.parametrize(
    "text",
    [
        "a racing bicycle",
        "a string of lights",
        "a painting on a wall",
        "a king beside a pawn",
        "rings on straps",
        "an open wing over hills",
        "a hand with something in it",
        "a ceiling with lamps",
        "a jumper's landing mat",
    ],
)
def test_a_thing_is_none(text):
    assert not is_step(text) and problems("long jump", [*SEEN[:3], text], 4, SPATIO) == []


@every_set
def test_hardly_a_sub_text_of_the_bank_would_pass(name):
    """The rule sees actions: of the bank, whose phrases are nothing else, it lets a few noun phrases pass."""
    bank = sorted(bank_texts(name))
    assert sum(map(is_step, bank)) > (0.9 if name == "storyboard" else 0.96) * len(bank)


def test_the_template_counts_in_the_length():
    texts = [*SEEN[:3], "mat " * 75]  # 77 tokens with start and end
    assert TEMPLATES[SPATIO] == "This is a video about {}"
    assert problems("long jump", texts, 4) == []
    (found,) = problems("long jump", texts, 4, SPATIO)
    assert "82 tokens, more than CLIP's window of 77" in found


def test_another_kind_or_number():
    with pytest.raises(ConfigError, match="'spatial': expected one of steps, spatio"):
        SubTexts.load("hmdb51", kind="spatial")
    with pytest.raises(ConfigError, match="spatio descriptors of 'hmdb51' has N = 4, not 3"):
        SubTexts.load("hmdb51", 3, SPATIO)
    with pytest.raises(ConfigError, match="no bundled sub-texts for 'kinetics'"):
        SubTexts.load("kinetics", kind=SPATIO)


def test_the_default_is_the_bank():
    assert all(SubTexts.load(name, kind="steps") == SubTexts.load(name) for name in SIZES)
    assert all(SubTexts.load(name, kind=SPATIO) != SubTexts.load(name) for name in SIZES)
    assert set(KINDS) == set(TEMPLATES)


@every_set
def test_check_of_the_bundled_ones(capsys, name):
    assert main(["subtexts", "check", name, "--kind", "spatio"]) == 0
    assert f"{SIZES[name]} classes of '{name}', N = 4: nothing to mend" in capsys.readouterr().out


def test_check_of_a_file(tmp_path, capsys):
    path = tmp_path / "mine.json"
    SubTexts({"long jump": SEEN, "dive": ["a pool", "a wet board", "a swimmer", "falling down"]}, "own", None).save(
        path
    )
    assert main(["subtexts", "check", str(path)]) == 0
    capsys.readouterr()
    assert main(["subtexts", "check", str(path), "--kind", "spatio"]) == 2
    out, err = capsys.readouterr()
    assert out.strip() == "'dive': an action and not something that is seen: 'falling down'"
    assert "1 things to mend" in err
