"""Paths out of lists stay below the data root, whatever system wrote them."""

import pytest

from sfar.data.manifest import inside
from sfar.errors import DataError


@pytest.mark.parametrize(
    ("listed", "path"),
    [
        ("a/b.mp4", "a/b.mp4"),
        ("  a/b.mp4 \n", "a/b.mp4"),
        ("a\\b.mp4", "a/b.mp4"),
        ("./a//b.mp4", "a/b.mp4"),
        ("a/./b.mp4", "a/b.mp4"),
        ("...", "..."),
        ("..a/b..mp4", "..a/b..mp4"),
        ("Part_(2)_[x]_#4&.avi", "Part_(2)_[x]_#4&.avi"),
        ("ä b/ü.avi", "ä b/ü.avi"),
        ("-rf", "-rf"),
    ],
)
def test_paths_below_the_root(listed, path):
    assert inside("list.txt line 3", listed) == path


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "  ",
        ".",
        "/etc/passwd",
        "\\etc\\passwd",
        "../a.mp4",
        "a/../../b.mp4",
        "a/..",
        "..\\a.mp4",
        "a\\..\\b.mp4",
        "C:\\a.mp4",
        "C:a.mp4",
        "c:/a.mp4",
        "\\\\server\\share\\a.mp4",
        "//server/share/a.mp4",
        "a\0b.mp4",
    ],
)
def test_paths_that_leave_it(listed):
    with pytest.raises(DataError) as e:
        inside("list.txt line 3", listed)
    assert (
        str(e.value).startswith("list.txt line 3: ")
        and "not a path below the data root" in str(e.value)
        and "remove the line" in str(e.value)
    )
