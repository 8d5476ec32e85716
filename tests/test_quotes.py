"""Every number that README.md and DEVIATIONS.md quote is that of the records."""

import re

import pytest

from sfar import paths, quotes
from sfar.errors import SfarError

SPECS = sorted(
    {m[2] for name in quotes.FILES for m in quotes._MARK.finditer((paths.PROJECT / name).read_text(encoding="utf-8"))}
)


@pytest.mark.parametrize("name", quotes.FILES)
def test_the_text_is_up_to_date(name):
    """`make summary` writes it."""
    text = (paths.PROJECT / name).read_text(encoding="utf-8")
    assert quotes.refreshed(text, name) == text
    assert text.count("<!--= ") == len(quotes._MARK.findall(text)) > 1  # each is closed


def test_an_old_number_is_seen_and_mended():
    for name, was in (("README.md", "<!--= ablations: both - clip -->"), ("DEVIATIONS.md", "with a residual: ")):
        text = (paths.PROJECT / name).read_text(encoding="utf-8")
        old = re.sub(re.escape(was) + r"[+-]\d+\.\d", was + "+99.9", text, count=1)
        assert old != text and quotes.refreshed(old, name) == text


@pytest.mark.parametrize("spec", SPECS)
def test_a_mark_stands_for_something(spec):
    assert quotes.value(spec).strip()


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
        quotes.value(spec)
