"""Every number that README.md and DEVIATIONS.md quote is that of the records."""

import re

import pytest

from sfar.errors import SfarError
from sfar.reproduce import numbers
from sfar.util import paths

SPECS = sorted(
    {m[2] for name in numbers.FILES for m in numbers._MARK.finditer((paths.PROJECT / name).read_text(encoding="utf-8"))}
)


@pytest.mark.parametrize("name", numbers.FILES)
def test_the_text_is_up_to_date(name):
    """`make summary` writes it."""
    text = (paths.PROJECT / name).read_text(encoding="utf-8")
    assert numbers.refreshed(text, name) == text
    assert text.count("<!--= ") == len(numbers._MARK.findall(text)) > 1  # each is closed


def test_an_old_number_is_seen_and_mended():
    for name, was in (("README.md", "<!--= ablations: both - clip -->"), ("DEVIATIONS.md", "with a residual: ")):
        text = (paths.PROJECT / name).read_text(encoding="utf-8")
        old = re.sub(re.escape(was) + r"[+-]\d+\.\d", was + "+99.9", text, count=1)
        assert old != text and numbers.refreshed(old, name) == text


@pytest.mark.parametrize("spec", SPECS)
def test_a_mark_stands_for_something(spec):
    assert numbers.value(spec).strip()


@pytest.mark.parametrize(
    "spec, message",
    [
        ("ablations: both - nobody", "0 entries"),
        ("ablations claim: coarse", "entries of the record fit, expected one"),
        ("table1 nonsense", "not a number"),
        ("nothing: a - b", "no record .*nothing.json"),
        ("fig7b r2: printed, half", "0 entries"),
    ],
)
def test_a_mark_that_means_nothing(spec, message):
    with pytest.raises(SfarError, match=message):
        numbers.value(spec)
