"""The version of the code behind a number: every definition that is reached counts, and no other does."""

import ast
import dataclasses
import functools
import hashlib
import importlib
import inspect
import os
import sys
import threading
from pathlib import Path

import numpy as np
import one_process
import pytest

from sfar.config import get_profile
from sfar.data.source import dataset
from sfar.errors import SfarError
from sfar.model import registry
from sfar.runs import run
from sfar.runs.job import Job
from sfar.storyboard.scripts import HMDB, KINETICS, UCF
from sfar.storyboard.sets import write_charades, write_hmdb51, write_ucf101
from sfar.storyboard.write import write_kinetics
from sfar.studies import ablations
from sfar.studies.core import study
from sfar.util import cache, code

# A package with every way to refer to something; ``main`` is where it begins.
FILES = {
    "__init__.py": "",
    "run.py": '''
"""What is measured."""
from __future__ import annotations

import math as m
from typing import TYPE_CHECKING

import pkg.whole
from pkg import sub
from pkg import helpers as H
from pkg.kinds import Child
from pkg.shared import table as renamed
from pkg.tools import deco

if TYPE_CHECKING:
    from pkg.typed import Given

LIMIT, OTHER = 3, 4
UNUSED = 5
RATE: float = 0.5


@deco
def main(given: Given, factor=2.0):
    """The entry."""
    from pkg.late import late_one, late_two as two

    # a remark
    local = [helper for helper in (late_one(), two())]
    return H.first(LIMIT) + renamed(RATE) + Child(1).value(factor) + sub.shown() + local[0] + m.pi


def unreached():
    return UNUSED
''',
    "helpers.py": """
from pkg.deep import base


def first(x):
    return second(x) + base(x)


def second(x):
    return first(x - 1) if x else 0


def third(x):
    return x
""",
    "deep.py": "def base(x):\n    return x + 1\n\n\ndef other(x):\n    return x\n",
    "shared.py": "SCALE = 2\n\n\ndef table(x):\n    return SCALE * x\n\n\ndef helper(x):\n    return x\n",
    "kinds.py": '''
class Parent:
    """A kind."""

    power = 2

    def value(self, f):
        return self._own(f) ** self.power

    def _own(self, f):
        return f


class Child(Parent):
    def __init__(self, x, y=1):
        self.x, self.y = x, y


class Stranger(Parent):
    pass
''',
    "tools.py": """
import functools


def deco(f):
    return functools.wraps(f)(f)


def spare(f):
    return f
""",
    "late.py": """
def late_one():
    return 1


def late_two():
    return 2


def late_three():
    return 3
""",
    "typed.py": "class Given:\n    def get(self):\n        return 1\n",
    "whole.py": "def far():\n    return 1\n",
    "sub/__init__.py": "from pkg.sub.inner import shown\n\nNAMES = [1]\n",
    "sub/inner.py": "def shown():\n    return 1\n\n\ndef hidden():\n    return 2\n",
}


class Package:
    """Files below a folder that a test may change."""

    def __init__(self, folder, files):
        self.folder = folder
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        later = path.stat().st_mtime_ns + 1_000_000_000 if path.exists() else None  # however coarse the clock is
        path.write_text(text, encoding="utf-8")
        if later:
            os.utime(path, ns=(later, later))

    def edit(self, name, old, new):
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """``make(files)``: a package "pkg" of these files, on which ``code`` works."""

    def build(files):
        monkeypatch.setattr(code, "PACKAGE", tmp_path / "pkg")
        return Package(tmp_path / "pkg", {"__init__.py": "", **files})

    return build


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("run.py", "+ m.pi", "- m.pi"),
        ("run.py", "factor=2.0", "factor=3.0"),
        ("run.py", "@deco\n", ""),
        ("run.py", "import math as m", "import cmath as m"),
        ("run.py", "LIMIT, OTHER = 3, 4", "LIMIT, OTHER = 4, 3"),
        ("run.py", "RATE: float = 0.5", "RATE: float = 0.6"),
        ("run.py", "late_one, late_two as two", "late_three as late_one, late_two as two"),
        ("run.py", "late_one, late_two as two", "late_two as late_one, late_one as two"),
        ("run.py", "from pkg.shared import table as renamed", "from pkg.shared import helper as renamed"),
        ("run.py", "def unreached():\n    return UNUSED", "OTHER += 1"),
        ("helpers.py", "return second(x) + base(x)", "return second(x) * base(x)"),
        ("helpers.py", "if x else 0", "if x else 1"),
        ("helpers.py", "from pkg.deep import base", "from pkg.deep import other as base"),
        ("deep.py", "x + 1", "x + 2"),
        ("shared.py", "SCALE = 2", "SCALE = 3"),
        ("shared.py", "SCALE = 2", "SCALE = 2\nSCALE = 3"),
        ("kinds.py", "return f\n", "return -f\n"),
        ("kinds.py", "power = 2", "power = 3"),
        ("kinds.py", "y=1", "y=2"),
        ("kinds.py", "class Child(Parent)", "class Child(Stranger)"),
        ("tools.py", "return functools.wraps(f)(f)", "return f"),
        ("late.py", "return 1", "return 10"),
        ("late.py", "return 2", "return 20"),
        ("typed.py", "return 1", "return 2"),
        ("sub/inner.py", "return 1", "return 10"),
        ("sub/__init__.py", "from pkg.sub.inner import shown", "from pkg.sub.inner import hidden as shown"),
        ("sub/__init__.py", "NAMES = [1]", "NAMES = [1]\nNAMES.append(2)"),
        ("__init__.py", "", "print()"),
        ("kinds.py", "class Stranger(Parent):\n    pass", "Parent.power = 3"),
        ("kinds.py", "class Stranger(Parent):\n    pass", "for k in (1, 2):\n    print(k)"),
        ("kinds.py", "class Stranger(Parent):\n    pass", "if Parent.power:\n    Parent.power = 3"),
    ],
)
def test_a_change_of_what_is_reached_is_noticed(make, file, old, new):
    package = make(FILES)
    before = code.version("pkg.run:main")
    package.edit(file, old, new)
    assert code.version("pkg.run:main") != before
    package.write(file, FILES[file])
    assert code.version("pkg.run:main") == before, "undoing it finds the work again"


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("run.py", "What is measured.", "What is weighed."),
        ("run.py", '    """The entry."""\n', ""),
        ("run.py", "# a remark", "# another\n\n"),
        ("run.py", "LIMIT, OTHER = 3, 4", "(LIMIT,\n OTHER) = (3,  # three\n 4)"),
        ("run.py", "UNUSED = 5", "UNUSED = 6"),
        ("helpers.py", "def third", "import pkg.whole\n\n\ndef third"),
        ("run.py", "def unreached():", "def unreached(x=1):"),
        ("run.py", "    from pkg.typed import Given", "    from pkg.typed import Given\n    from pkg.whole import far"),
        ("helpers.py", "def third(x):\n    return x", ""),
        ("deep.py", "def other(x):\n    return x", "def other(x):\n    return -x\n\n\nX = 1"),
        ("shared.py", "def helper(x):\n    return x", "def helper(x):\n    return -x"),
        ("kinds.py", '    """A kind."""\n', ""),
        ("kinds.py", "class Stranger(Parent):\n    pass", "class Stranger(Parent):\n    power = 9"),
        ("kinds.py", "power = 2", 'power = 2\n    """What it is raised to."""'),
        ("tools.py", "def spare(f):\n    return f", ""),
        ("late.py", "return 3", "return 30"),
        ("whole.py", "return 1", "return 2"),
        ("sub/__init__.py", "NAMES = [1]", "NAMES = [2]"),
        ("sub/inner.py", "return 2", "return 20"),
    ],
)
def test_a_change_elsewhere_is_not(make, file, old, new):
    package = make(FILES)
    before = code.version("pkg.run:main")
    package.edit(file, old, new)
    assert code.version("pkg.run:main") == before


def test_what_is_reached(make):
    make(FILES)
    assert code.reached("pkg.run:main") == [
        "pkg.deep:base",
        "pkg.helpers:first",
        "pkg.helpers:second",
        "pkg.kinds:Child",
        "pkg.kinds:Parent",
        "pkg.late:late_one",
        "pkg.late:late_two",
        "pkg.run:LIMIT",
        "pkg.run:OTHER",  # of the same statement
        "pkg.run:RATE",
        "pkg.run:main",
        "pkg.shared:SCALE",
        "pkg.shared:table",
        "pkg.sub.inner:shown",
        "pkg.tools:deco",
        "pkg.typed:Given",
    ]


def test_a_file_that_nothing_reaches_is_not_even_read(make):
    package = make(FILES)
    before = code.version("pkg.run:main")
    package.write("more.py", "this is no Python")
    package.write("sub/more.py", "from pkg.run import main\n\nmain(1)\n")
    assert code.version("pkg.run:main") == before


def test_the_order_of_entries_and_of_definitions_does_not_matter(make):
    package = make(FILES)
    both = code.version("pkg.helpers:first", "pkg.shared:table")
    assert both == code.version("pkg.shared:table", "pkg.helpers:first")
    assert both not in (code.version("pkg.helpers:first"), code.version("pkg.shared:table"))
    package.write("shared.py", "def table(x):\n    return SCALE * x\n\n\nSCALE = 2\n")
    assert both == code.version("pkg.shared:table", "pkg.helpers:first")


def test_where_a_definition_stands_does_not_matter(make):
    package = make(FILES)
    before = code.version("pkg.run:main")
    package.write("moved.py", FILES["shared.py"])
    package.edit("run.py", "from pkg.shared import", "from pkg.moved import")
    assert code.version("pkg.run:main") == before


def test_two_of_one_name_are_told_apart(make):
    """What a name stands for counts, and not only what is reached by all names together."""
    files = {"a.py": "def f():\n    return 1\n", "b.py": "def f():\n    return 2\n"}
    use = "import pkg.a as x\nimport pkg.b as y\n\n\ndef main():\n    return x.f() - y.f()\n"
    package = make({**files, "run.py": use})
    before = code.version("pkg.run:main")
    package.write("run.py", use.replace("pkg.a as x", "pkg.b as x").replace("pkg.b as y", "pkg.a as y"))
    assert code.version("pkg.run:main") != before


def test_circles_end_and_are_told_apart(make):
    circle = "def a(n):\n    return b(n)\n\n\ndef b(n):\n    return c(n)\n\n\ndef c(n):\n    return {}(n)\n"
    package = make({"a.py": circle.format("a"), "x.py": "from pkg.y import f\n", "y.py": "from pkg.x import f\n"})
    before = code.version("pkg.a:a")
    package.write("a.py", circle.format("b"))
    assert code.version("pkg.a:a") != before
    assert code.reached("pkg.a:a") == ["pkg.a:a", "pkg.a:b", "pkg.a:c"]
    package.write(
        "z.py", "from pkg.x import f\n\n\ndef main():\n    return f()\n"
    )  # such an import fails when it is run
    assert "pkg.z:main" in code.reached("pkg.z:main")


@pytest.mark.parametrize(
    "use",
    [
        "from pkg import other\n\n\ndef main():\n    return run(other)\n",
        "import pkg.other as o\n\n\ndef main(n):\n    return getattr(o, n)()\n",
        "from pkg import other\n\nPLACES = [other]\n\n\ndef main(n):\n    return PLACES\n",
        "def main(n):\n    from pkg import other\n\n    return vars(other)[n]()\n",
        "def main(n):\n    import pkg.other\n\n    return f(pkg.other)\n",
        "from pkg import other\n\n\ndef main(n):\n    return other.__dict__[n]\n",
        "from pkg.other import *\n\n\ndef main(n):\n    return g()\n",
        "from .other import *\n\n\ndef main(n):\n    return g()\n",
        "from . import other\n\n\ndef main():\n    return run(other)\n",
        "COMMAND = 'import sys; from pkg.other import g; g()'\n\n\ndef main():\n    return run(COMMAND)\n",
        "def main():\n    return run(['-c', 'import sys, os; import pkg.other'])\n",
        "from importlib import import_module\n\n\ndef main():\n    return import_module('pkg.other')\n",
        "class main:\n    from pkg import other\n\n    where = other\n",
    ],
)
def test_a_reference_to_no_one_definition_counts_the_whole_module(make, use):
    package = make({"other.py": "def g():\n    return h()\n\n\ndef h():\n    return 1\n\n\ndef k():\n    return 2\n"})
    package.write("run.py", use)
    before = code.version("pkg.run:main")
    package.edit("other.py", "return 2", "return 3")
    assert code.version("pkg.run:main") != before


@pytest.mark.parametrize(
    "use, counts",
    [
        ("def main(f):\n    return f()\n", False),
        ("def main():\n    f = 1\n    return f\n", False),
        ("def main(x):\n    return [f for f in x]\n", False),
        ("def main(x):\n    return [f for f in f(x)]\n", True),
        ("def main(x):\n    return [(y := g) for g in x], f\n", True),
        ("def main(x):\n    def inner():\n        return f\n\n    f = 2\n    return inner\n", False),
        ("def main(x):\n    def inner(f):\n        return f\n\n    return inner(f)\n", True),
        ("def main(x):\n    return (lambda f: f)(x)\n", False),
        ("def main(x):\n    return (lambda g=f: g)(x)\n", True),
        ("def main(x):\n    global f\n    f = 2\n", True),
        ("def main(x):\n    for f in x:\n        yield f\n", False),
        ("def main(x):\n    try:\n        x()\n    except OSError as f:\n        return f\n", False),
        ("def main(x):\n    match x:\n        case [f, *_]:\n            return f\n", False),
        ("def main(x):\n    with x as f:\n        return f\n", False),
        ("def main(x):\n    if (f := x):\n        return f\n", False),
        ("def main(x):\n    import json as f\n\n    return f\n", False),
        ("class main:\n    f = 1\n\n    def g(self):\n        return f\n", True),
        ("class main:\n    def g(self):\n        return self.f\n", False),
        ('def main(x: "f"):\n    return x\n', True),
        ('def main(x) -> "list[f]":\n    return x\n', True),
        ("def main(x):\n    y: f = x\n    return y\n", True),
        ('def main(x):\n    return "f"\n', False),
        ("def main(x):\n    async def g():\n        await f()\n\n    return g\n", True),
        ("try:\n    from json import main\nexcept ImportError:\n    main = f\n", True),
        ("if f:\n    from json import main\nelse:\n    from csv import main\n", True),
        ("with f as main:\n    pass\n", True),
    ],
)
def test_names_are_those_of_pythons_scopes(make, use, counts):
    make({"run.py": f"{use}\n\ndef f():\n    return 1\n"})
    assert ("pkg.run:f" in code.reached("pkg.run:main")) is counts


@pytest.mark.parametrize(
    "choice",
    ["if SWITCH:\n    from pkg.a import f\nelse:\n    from pkg.b import f\n", "for f in (1, 2):\n    import pkg.a\n"],
)
def test_statements_that_choose_count_whole(make, choice):
    files = {"a.py": "def f():\n    return 1\n", "b.py": "def f():\n    return 2\n"}
    package = make({**files, "run.py": f"SWITCH = True\n{choice}\n\ndef main():\n    return f()\n"})
    before = code.version("pkg.run:main")
    old, new = ("if SWITCH", "if not SWITCH") if "SWITCH" in choice else ("(1, 2)", "(1, 3)")
    package.edit("run.py", old, new)
    assert code.version("pkg.run:main") != before


def test_a_method_that_was_added_or_changed_leaves_the_runs_of_others_alone(make):
    """A registry is cut; the code of the method that a run names is an entry of its own."""
    method = "from pkg.base import Method\n\n\nclass Head:\n    tau = 1\n\n\nMETHOD = Method('{}', Head)\n"
    package = make(
        {
            "base.py": "class Method:\n    def __init__(self, name, build):\n        self.build = build\n",
            "mean.py": method.format("mean"),
            "ours.py": method.format("ours"),
            "registry.py": "from pkg import mean, ours\n\nMETHODS = {m.name: m for m in (mean.METHOD, ours.METHOD)}\n",
            "run.py": "from pkg.registry import METHODS\n\n\ndef run_one(name):\n    return METHODS[name].build()\n",
        }
    )

    def versions():
        return [code.version("pkg.run:run_one", f"pkg.{m}", cut=["pkg.registry"]) for m in ("mean", "ours")]

    first = versions()
    package.write("rival.py", method.format("rival"))
    package.edit("registry.py", "mean, ours\n", "mean, ours, rival\n")
    package.edit("registry.py", "ours.METHOD)", "ours.METHOD, rival.METHOD)")
    assert versions() == first
    package.edit("ours.py", "tau = 1", "tau = 2")
    second = versions()
    assert second[0] == first[0] and second[1] != first[1]
    package.edit("base.py", "self.build = build", "self.build = build()")
    assert versions()[0] != second[0], "what all methods share"
    assert code.version("pkg.run:run_one") != code.version("pkg.run:run_one", cut=["pkg.registry"])


@pytest.mark.parametrize("cut", ["pkg.quiet.say:loud", "pkg.quiet.say", "pkg.quiet.*", "pkg.*"])
def test_what_is_cut_is_not_followed(make, cut):
    package = make(
        {
            "run.py": "from pkg.quiet.say import loud\n\n\ndef main():\n    loud()\n    return 1\n",
            "quiet/__init__.py": "",
            "quiet/say.py": "from pkg import far\n\n\ndef loud():\n    return far.g()\n\n\nprint()\n",
            "far.py": "def g():\n    return 1\n",
        }
    )
    before = code.version("pkg.run:main", cut=[cut])
    assert code.reached("pkg.run:main", cut=[cut]) == ["pkg.run:main"]
    package.edit("far.py", "return 1", "return 2")
    package.edit("quiet/say.py", "far.g()", "-far.g()")
    assert code.version("pkg.run:main", cut=[cut]) == before != code.version("pkg.run:main")
    assert code.reached("pkg.quiet.say", "pkg.run:main", cut=["pkg.quiet.*"]) == [
        "pkg.far:g",
        "pkg.quiet.say:*",
        "pkg.quiet.say:<statements>",
        "pkg.quiet.say:loud",
        "pkg.run:main",
    ], "an entry is followed wherever it stands"


def test_data_files_count_by_their_bytes(make):
    package = make({"run.py": "def main():\n    return 1\n", "table.csv": "a,b\n"})
    before = code.version("pkg.run:main", "pkg/table.csv")
    assert before != code.version("pkg.run:main")
    package.write("table.csv", "a,c\n")
    assert code.version("pkg.run:main", "pkg/table.csv") != before


def test_line_ends_of_another_system(make):
    """As a clone has them where git is told to write them (core.autocrlf): of code, in texts in it, of data."""
    run = 'import json\n\nTEXT = """a\nb"""\n\n\ndef main():\n    return json, \\\n        TEXT\n'
    package = make({"run.py": run, "table.csv": "a,b\n1,2\n"})
    before = code.version("pkg.run:main", "pkg/table.csv"), code.texts("pkg.run:main")
    for name in ("run.py", "table.csv"):
        file = package.folder / name
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert (code.version("pkg.run:main", "pkg/table.csv"), code.texts("pkg.run:main")) == before
    assert before[1] == {"a\nb"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"a\nb\n", b"a\r\nb\r\n", True),
        ("größer\n".encode(), "größer\r\n".encode(), True),
        ("größer\n".encode("latin-1"), "größer\r\n".encode("latin-1"), True),
        (b"a\nb\n", b"a\n\nb\n", False),
        (b"a\nb\n", b"a\rb\n", False),
        (b"\x89PNG\0\n", b"\x89PNG\0\r\n", False),
    ],
)
def test_content_of_a_file(tmp_path, one, other, same):
    for name, raw in (("one", one), ("other", other)):
        (tmp_path / name).write_bytes(raw)
    assert (code.content(tmp_path / "one") == code.content(tmp_path / "other")) == same
    assert code.content(tmp_path / "one") == hashlib.sha256(one).hexdigest(), "what is known by it stays known"


def test_how_a_definition_is_named():
    assert code.entry(run.run_one) == "sfar.runs.run:run_one"
    assert code.entry(Job.key) == "sfar.runs.job:Job.key"
    assert "sfar.runs.job:Job" in code.reached(code.entry(Job.key)), "of a method its class counts"


@pytest.mark.parametrize(
    "name",
    [
        "pkg.run:nothing",
        "pkg.run:m",  # imported there, and not defined
        "pkg.nothing",
        "pkg.nothing:main",
        "numpy:array",
        "pkg/nothing.csv",
        f"{__name__}:<lambda>",
        "",
    ],
)
def test_an_entry_that_is_not_there(make, name):
    make(FILES)
    with pytest.raises(SfarError, match=r"no (code|data file) at"):
        code.version(name)


def test_code_that_cannot_be_read(make):
    package = make({"run.py": "from pkg.gone import f\n\n\ndef main():\n    return f()\n"})
    with pytest.raises(SfarError, match=r"no module pkg\.gone"):
        code.version("pkg.run:main")
    package.write("gone.py", "def f(:\n")
    with pytest.raises(SfarError, match=r"gone\.py, line 1: "):
        code.version("pkg.run:main")
    package.write("gone.py", "def f():\n    return 1\n")
    assert code.version("pkg.run:main")


# --- the package itself: all that is really called is in the closure -------------------------------------------------


def called(work):
    """(module, line) of every function of the package that ``work()`` calls in this process."""
    seen = set()

    def watch(frame, event, _):
        if event == "call":
            c = frame.f_code
            if c.co_flags & inspect.CO_OPTIMIZED:  # a function, and not the body of a class or module
                seen.add((c.co_filename, c.co_firstlineno))

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    root = f"{code.PACKAGE}{os.sep}"
    return {(Path(file), line) for file, line in seen if file.startswith(root)}


@functools.cache
def definitions(file):
    """(first line, last line, names) of every statement at the top of a file."""
    out = []
    for s in ast.parse(file.read_bytes()).body:
        first = min([s.lineno, *(d.lineno for d in getattr(s, "decorator_list", ()))])
        names = {n.id for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        out.append((first, s.end_lineno, {s.name} if hasattr(s, "name") else names))
    return out


def unknown(calls, reached):
    """The called definitions that are not reached, leaving out what changes no number."""
    harmless = tuple(h.removesuffix("*") for h in code.HARMLESS if h.endswith("*"))
    out = set()
    for file, line in calls:
        module = ".".join(file.relative_to(code.PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if module in code.HARMLESS or module.startswith(harmless):
            continue
        (names,) = [names for first, last, names in definitions(file) if first <= line <= last]
        if not {f"{module}:{n}" for n in names} & reached:
            out.add(f"{module}:{'/'.join(sorted(names))}")
    return out


def reached_by(stage, *entries):
    """What counts in a stage's version, and what enters its key by content, whichever code it is of.

    The heads that a registry knows are no content: a key names its own as an entry.
    """
    s = cache.STAGES[stage]
    followed = code.reached(*s.entries, *entries, cut=s.by_content)
    for module in {name.split(":")[0] for name in followed if ":" in name}:
        importlib.import_module(module)  # what runs at that moment is no part of the work
    content = [c for c in s.by_content if not c.startswith("sfar.model.registry")]
    return set(followed), {*s.by_content, *(code.reached(*content) if content else ())}


@pytest.fixture
def in_this_process(monkeypatch, tmp_path):
    """Videos are drawn, decoded and examined here, where they can be watched."""

    one_process.videos(monkeypatch)
    monkeypatch.setattr("sfar.data.store.guarded", lambda f, path, *a, warm=None, **k: f(path, *a, **k))
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))


CLASSES = tuple(KINETICS)[:2]


@pytest.mark.parametrize(
    "stage, write, few",
    [
        ("world", write_kinetics, {"classes": CLASSES}),
        ("sets", write_ucf101, {"classes": tuple(UCF)[:2]}),
        ("sets", write_hmdb51, {"classes": tuple(HMDB)[:2]}),
        ("sets", write_charades, {"classes": tuple(UCF)[:1]}),
    ],
)
def test_the_closure_holds_all_that_draws(in_this_process, tmp_path, stage, write, few):
    followed, content = reached_by(stage)
    calls = called(lambda: write(tmp_path / "data", 5, 1, 1, **few))
    assert len(calls) > 15 and not unknown(calls, followed | content)


@pytest.mark.parametrize(
    "method, visual, views",
    [
        ("vanilla", False, "1x1"),
        ("clip", False, "1x1"),
        ("temporal", False, "1x1"),
        ("single", False, "1x1"),
        ("sfar", False, "1x1"),
        ("sfar", True, "4x3"),
    ],
)
def test_the_closure_holds_all_that_a_run_calls(in_this_process, tmp_path, method, visual, views):
    write_kinetics(tmp_path / "data", 5, 2, 1, classes=CLASSES)
    changes = {"train.train_visual": visual, "train.epochs": 1, "train.batch": 2, "train.frozen_draws": 1}
    p = get_profile("storyboard", {"data.root": str(tmp_path / "data"), "data.shots": 2, **changes})
    job = Job(p, dataclasses.replace(dataset(p), drawn=True), method, 0, views)
    followed, content = reached_by("run", *registry.get(method).entries)
    calls = called(lambda: (job.key(), run.run_one(job, tick=lambda n: None)))
    assert len(calls) > 100 and not unknown(calls, followed | content)
    used = {file.relative_to(code.PACKAGE).as_posix() for file, _ in calls}
    assert {"data/video.py", "data/store.py", "data/transforms.py", "model/clip.py", "training/evaluate.py"} <= used
    assert ("model/loss.py" in used) == (method != "vanilla")
    head = registry.get(method).build.__module__
    assert unknown(calls, {n for n in followed | content if not n.startswith(head)}), "the watch sees the head"


def test_the_watch_would_see_what_is_missing(in_this_process, tmp_path):
    """Against the closure of another stage, and against one in which a cut is wrong."""
    calls = called(lambda: write_kinetics(tmp_path / "data", 5, 1, 1, classes=CLASSES))
    assert "sfar.storyboard.world:add_noise" in unknown(calls, set(code.reached("sfar.training.train:train")))
    narrow = set(code.reached("sfar.storyboard.write:write_kinetics", cut=["sfar.storyboard.poses"]))
    assert unknown(calls, narrow) and all("storyboard.poses:" in n for n in unknown(calls, narrow))


def test_the_closure_holds_all_that_a_study_calls(monkeypatch):
    """``ablations``, its runs made up."""
    labels = np.arange(25).repeat(2)

    profile = get_profile("storyboard", {"seeds": [0]})
    seeds = dict.fromkeys([v.name for v in (*ablations.TABLE2E, *ablations.TUNED, *ablations.FIG7A)], (0,))
    seeds |= {v.name: (0,) for v in (*ablations.FROZEN_ROWS, *(v for _, v in ablations.readings(profile)))}

    def made_up(base, variants, workers, desc):
        rng = np.random.default_rng(0)
        return {
            v.name: [
                {
                    "views": {"1x1": {"ranks": rng.integers(0, 9, 50).tolist()}},
                    "trained": ["head"],
                    "temperature": 0.1,
                    "training": {"clips": 600, "bad": {}},
                    "labels": labels.tolist(),
                    "classes": list(KINETICS),
                    "bad": {},
                    "missing": [],
                    "seconds": 1.0,
                }
                for _ in seeds[v.name]
            ]
            for v in variants
        }

    monkeypatch.setattr(study, "run", made_up)
    followed, content = reached_by("record", code.entry(ablations.measure))
    calls = called(lambda: ablations.measure(profile, None))
    found = unknown(calls, followed | content)
    assert len(calls) > 15 and not found


def test_the_first_key_takes_no_time():
    """Processor time, generously: about a fifth of a second where it was written."""
    import time

    code._parse.cache_clear()
    code._found.clear()
    start = time.process_time()
    cache.code_version("record", "sfar.studies.ambiguity:measure")
    first = time.process_time() - start
    start = time.process_time()
    for _ in range(100):
        cache.code_version("run")
        cache.code_version("record", "sfar.studies.ambiguity:measure")
    again = (time.process_time() - start) / 200
    assert first < 3 and again < 0.05, (first, again)
