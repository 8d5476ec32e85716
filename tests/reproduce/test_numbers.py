"""Every number that README.md, docs/ and DEVIATIONS.md quote is that of the records."""

import re

import pytest

from sfar.errors import SfarError
from sfar.reproduce import numbers
from sfar.settings import Measured
from sfar.util import paths

TEXTS = {name: (paths.PROJECT / name).read_text(encoding="utf-8") for name in numbers.QUOTING}
SPECS = sorted({m[2] for text in TEXTS.values() for m in numbers._MARK.finditer(text)})


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_up_to_date(name):
    """`make summary` writes it; DEVIATIONS.md has a test of its own."""
    text = TEXTS[name]
    assert numbers.refreshed(text) == text
    assert text.count("<!--= ") == len(numbers._MARK.findall(text)) > 1  # each is closed


def test_no_other_text_has_marks():
    """They would not be written."""
    marked = {
        p for p in (*paths.PROJECT.glob("*.md"), *paths.PROJECT.glob("docs/*.md")) if "<!--= contrast" in p.read_text()
    }
    assert {p.relative_to(paths.PROJECT).as_posix() for p in marked} <= {*numbers.QUOTING}


@pytest.mark.parametrize(
    ("name", "was"),
    [
        ("README.md", "<!--= claim table2b-ucf101-training-helps -->"),
        ("docs/findings.md", "<!--= contrast ablations both clip -->"),
        ("DEVIATIONS.md", "without a residual, as printed: "),
    ],
)
def test_an_old_number_is_seen_and_mended(name, was, tmp_path, monkeypatch):
    for file in (*numbers.QUOTING, "DEVIATIONS.md", "results/storyboard", "results/bench"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).symlink_to(paths.PROJECT / file)
    text = (paths.PROJECT / name).read_text(encoding="utf-8")
    old = re.sub(re.escape(was) + r"[+-]\d+\.\d", was + "+99.9", text, count=1)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text(old, encoding="utf-8")
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert old != text and numbers.write() == [tmp_path / name]
    assert (tmp_path / name).read_text(encoding="utf-8") == text and numbers.write() == []


@pytest.mark.parametrize("spec", SPECS)
def test_a_mark_stands_for_something(spec):
    assert numbers.value(spec).strip()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("contrast ablations both nobody", "0 entries"),
        ("claim coarse", "no study has a claim 'coarse'"),
        ("table1 nonsense", "not a number"),
        ("contrast nothing a b", "unknown study 'nothing'"),
        ("row fig7b groups nobody", "0 entries"),
        ("table table1 nobody", "shows no 'nobody'"),
        ("held nothing", "no reading 'nothing'"),
    ],
)
def test_a_mark_that_means_nothing(spec, message):
    with pytest.raises(SfarError, match=message):
        numbers.value(spec)


def test_a_measured_effect():
    assert re.fullmatch(
        r"sum, as printed: [+-]\d+\.\d \(.* to .*\)", numbers.effect_of(Measured("ablations", "model.coarse_reduce"))
    )
    assert numbers.effect_of(Measured("ablations", "model.frame_temperature")).count("; ") == 4
    pair = Measured("ablations", pair=("both", "clip"))
    assert numbers.effect_of(pair) == numbers.value("contrast ablations both clip")


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (Measured("ablations", "model.coarse"), "record ablations: no reading changes model.coarse"),
        (Measured("ablations", pair=("both", "nobody")), "0 entries are contrast both - nobody"),
        (Measured("nothing", "model.ffn"), "unknown study 'nothing'"),
    ],
)
def test_an_effect_that_is_nowhere(effect, message):
    with pytest.raises(SfarError, match=message):
        numbers.effect_of(effect)
