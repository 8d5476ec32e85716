"""The names of ``import sfar``: they resolve, editors see the same, nothing heavy is loaded before one is asked for."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sfar


@pytest.mark.parametrize("name", sfar.__all__)
def test_a_name_resolves(name):
    module, there = sfar._PLACES[name]
    assert getattr(sfar, name) is getattr(importlib.import_module(module), there)


def test_what_editors_see_is_what_is_there():
    tree = ast.parse(Path(sfar.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    imports = [n for n in block.body if isinstance(n, ast.ImportFrom)]
    seen = {a.asname or a.name: (n.module, a.name) for n in imports for a in n.names}
    assert seen == sfar._PLACES and sorted(seen) == sorted(sfar.__all__)
    assert set(sfar.__all__) <= set(dir(sfar)) and "__version__" in dir(sfar)


def called(thing):
    """The functions by which something exported is used: itself, or a class' own public methods."""
    if not inspect.isclass(thing):
        return [thing]
    methods = [m for m in vars(thing).values() if inspect.isfunction(m)]
    return [m for m in methods if not m.__name__.startswith("_") or m.__name__ in ("__init__", "__call__")]


@pytest.mark.parametrize("name", sfar.__all__)
def test_an_exported_name_is_typed(name):
    """``sfar/py.typed`` says so to other projects' type checkers."""
    assert (Path(sfar.__file__).parent / "py.typed").is_file()
    for f in called(getattr(sfar, name)):
        signature = inspect.signature(f)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        assert all(p.annotation is not p.empty for p in parameters), f"{name}: {f.__qualname__}{signature}"
        assert f.__name__ == "__init__" or signature.return_annotation is not signature.empty, f.__qualname__


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'sfar' has no attribute 'SFRA'"):
        sfar.SFRA  # noqa: B018


@pytest.mark.parametrize("what", ["import sfar", "import sfar.cli.main; sfar.cli.main.parser()"])
def test_nothing_heavy_is_loaded(what):
    code = (
        f"import sys; {what}; print(sorted({{'torch', 'numpy', 'av', 'open_clip', 'matplotlib'}} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
