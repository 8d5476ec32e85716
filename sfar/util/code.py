"""The version of the code behind a number: a hash of every definition that the code which makes it can reach.

A definition is a function, class or assignment at the top of a module. Reached are the entries, what these refer to by
name, what that refers to, and so on: through imports at the top of a file or inside a function, under other names,
through re-exports, over all modules of the package. The files are read and never run.

- A class counts whole: bases, decorators, methods. Its methods are therefore reached wherever it is named.
- A reference that leads to no one definition (a module passed as a value, a text that is a module's name) counts the
  whole module.
- Statements of a reached module that do something when it is imported (calls, loops, ``X[k] = v``) count as well.
- Docstrings, comments, layout and the ends of lines never count, nor does the file in which a definition stands.

What this cannot see: a module imported under a computed name, and a function that somebody else hands in at run time.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sfar.config import digest
from sfar.errors import SfarError

PACKAGE = Path(__file__).resolve().parents[1]

# Code that changes no number, and why: it is not followed.
HARMLESS = {
    "sfar": "the version and a silenced warning",
    "sfar.errors": "what is said when something goes wrong",
    "sfar.util.*": "where things are, how work is spread and kept",
    **dict.fromkeys(
        ("sfar.model.weights", "sfar.model.weights_file", "sfar.model.weights_kind"),
        "weights of a file, whose content is an input: each tensor as it is there, or an error",
    ),
    "sfar.training.resume": "an interrupted training goes on to the same weights to the bit",
    "sfar.training.log": "a training is written down, not changed",
    "sfar.training.checkpoint": "trained weights, written and read back as they are",
    **dict.fromkeys(
        (f"sfar.runs.{name}" for name in ("executor", "task", "places", "launch", "cluster")),
        "how runs are spread over processes and machines changes none of them",
    ),
    "sfar.runs.store": "where runs are kept",
    "sfar.runs.kept": "what runs leave to look at",
    "sfar.settings": "what can be said of a configuration field",
    **dict.fromkeys(
        ("sfar.config:ModelConfig", "sfar.config:TrainConfig", "sfar.config:DataConfig", "sfar.config:Profile"),
        "fields with their docs: the values are inputs of every key",
    ),
    "sfar.config:PROFILES": "the values are inputs of every key",
    "sfar.config:DATASETS": "names that are taken, of which one is an input",
    "sfar.config:SETTINGS": "the docs of the fields, and checks of their values",
}

# In place of a definition's name: all of a module; what it does when it is imported.
_WHOLE, _STATEMENTS = "*", "<statements>"


class _Import(NamedTuple):
    """What an import binds: ``names`` of a module, none for the module itself."""

    module: str
    names: tuple[str, ...] = ()


class _Reference(NamedTuple):
    """A name as written, with its attributes. ``bound``: by an import in the function; None: at the top of the file."""

    written: tuple[str, ...]
    bound: _Import | None = None


class _Node(NamedTuple):
    """A definition of a module, or one of ``_WHOLE`` and ``_STATEMENTS``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def entry(definition: Callable) -> str:
    """How a function or class is named here: "module:name"."""
    return f"{definition.__module__}:{definition.__qualname__}"


def version(*entries: str, cut: Iterable[str] = ()) -> str:
    """Hash of the code that ``entries`` reach.

    An entry is a definition ("sfar.runs.run:run_one"; of a method its class counts), a module with all its definitions
    ("sfar.data.video") or a data file of the package, by ``content`` ("sfar/paper/table6.csv"). ``cut``: names that are
    not followed, besides ``HARMLESS``: definitions, modules, or packages with all below ("sfar.util.*"). A module that
    an entry stands in is not cut. Raises ``SfarError`` for an entry that is not there.
    """
    return _closure(entries, cut).version


def content(path: Path) -> str:
    """Hash of a file; of a text with the line ends of any system the same, as git may write either.

    A text is what has no byte 0, which is how git tells.
    """
    raw = path.read_bytes()
    return hashlib.sha256(raw if b"\0" in raw else raw.replace(b"\r\n", b"\n")).hexdigest()


def reached(*entries: str, cut: Iterable[str] = ()) -> list[str]:
    """What counts in ``version``, as "module:name"; for debugging."""
    return _closure(entries, cut).names


def texts(*entries: str, cut: Iterable[str] = ()) -> frozenset[str]:
    """The texts that stand in the code of ``version``, docstrings aside: such as the names of methods that it runs."""
    return _closure(entries, cut).texts


@dataclass
class _Found:
    """What ``_Closure`` found, and the state of the files that it read."""

    version: str
    names: list[str]
    texts: frozenset[str]
    files: dict[Path, tuple[int, int]]


_found: dict[tuple, _Found] = {}


def _closure(entries: Iterable[str], cut: Iterable[str]) -> _Found:
    """Found again as long as none of the files that it was made from has changed."""
    question = (PACKAGE, tuple(sorted(entries)), tuple(sorted(cut)))
    known = _found.get(question)
    if known is None or any(not p.is_file() or _stamp(p) != s for p, s in known.files.items()):
        known = _found[question] = _Closure(*question[1:]).found()
    return known


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


# --- from definition to definition ---------------------------------------------------------------------------------


class _Closure:
    def __init__(self, entries: tuple[str, ...], cut: tuple[str, ...]):
        self.files: dict[Path, tuple[int, int]] = {}
        self.modules: dict[str, _Module | None] = {}  # None: there is no such module
        self.edges: dict[_Node, set[tuple[str, _Node | str]]] = {}
        self.data = {e: self._data(e) for e in entries if "/" in e}
        roots = [self._root(e) for e in entries if e not in self.data]
        self.cut = {*HARMLESS, *cut}
        self.cut_packages = tuple(c.removesuffix("*") for c in self.cut if c.endswith(".*"))
        self.entered = {r.module for r in roots}
        todo = roots
        while todo:
            node = todo.pop()
            if node not in self.edges:
                self.edges[node] = set(self._edges(node))
                todo += [target for _, target in self.edges[node] if isinstance(target, _Node)]
                todo += self._imported_with(node.module)

    def found(self) -> _Found:
        """The version does not depend on the order in which all was found, nor on where the definitions stand."""
        names = [str(n) for n in self.edges if n.name != _STATEMENTS or self._module(n.module).statements]
        texts = frozenset[str]().union(*(self._module(n.module).texts(n.name) for n in self.edges))
        version = digest(sorted(set(self._marks().values())), self.data)
        return _Found(version, sorted([*names, *self.data]), texts, self.files)

    def _marks(self) -> dict[_Node, str]:
        """A hash of each definition with all that it reaches.

        Definitions refer to each other in circles, so it is refined: its own text first, then with the marks of what
        it refers to, until no two that are told apart later are still alike.
        """
        marks = {n: self._module(n.module).text(n.name) for n in self.edges}
        while True:
            finer = {
                node: _sha(repr((marks[node], sorted((label, _mark(marks, t)) for label, t in edges))))
                for node, edges in self.edges.items()
            }
            if len(set(finer.values())) == len(set(marks.values())):
                return finer
            marks = finer

    def _edges(self, node: _Node) -> Iterator[tuple[str, _Node | str]]:
        """(name as written, what it leads to: a definition, or words for what is not followed)."""
        module = self._module(node.module)
        if node.name == _WHOLE:
            yield from ((name, self._unless_cut(_Node(node.module, name))) for name in module.definitions())
            yield from (
                (name, t)
                for name in module.re_exported()
                for t in self._lead(node.module, (name,))
                if t != _Node(node.module, name)
            )
            return
        for written, bound in module.references(node.name):
            if bound:
                found = self._lead(bound.module, (*bound.names, *written[1:]))
            elif written[0] in module.bindings:
                found = self._lead(node.module, written)
            else:  # one of Python's own names
                continue
            yield from ((".".join(written), target) for target in found)

    def _lead(self, module: str, names: tuple[str, ...], passed: tuple = ()) -> Iterator[_Node | str]:
        """What ``names``, an attribute of an attribute of ``module``, leads to."""
        if not _is_ours(module):
            yield ".".join((module, *names))
        elif not names or (module, names) in passed:
            yield self._unless_cut(_Node(module, _WHOLE))
        elif bindings := self._module(module).bindings.get(names[0]):
            for b in bindings:
                if isinstance(b, _Import):
                    yield from self._lead(b.module, (*b.names, *names[1:]), (*passed, (module, names)))
                else:
                    yield self._unless_cut(_Node(module, names[0]))
        elif self._find(f"{module}.{names[0]}"):
            yield from self._lead(f"{module}.{names[0]}", names[1:], passed)
        else:  # ``module.__file__``, say
            yield self._unless_cut(_Node(module, _WHOLE))

    def _unless_cut(self, node: _Node) -> _Node | str:
        return f"cut {node.name}" if self._is_cut(node.module) or str(node) in self.cut else node

    def _is_cut(self, module: str) -> bool:
        return module not in self.entered and (module in self.cut or module.startswith(self.cut_packages))

    def _imported_with(self, module: str) -> list[_Node]:
        """The statements that run before a definition of ``module`` can be used: its own, and those of its packages."""
        parts = module.split(".")
        above = [".".join(parts[:k]) for k in range(1, len(parts) + 1)]
        return [_Node(m, _STATEMENTS) for m in above if self._find(m) and not self._is_cut(m)]

    def _root(self, name: str) -> _Node:
        module, _, definition = name.partition(":")
        definition = definition.split(".")[0] or _WHOLE
        there = _is_ours(module) and self._find(module)
        if not there or (definition != _WHOLE and definition not in there.definitions()):
            raise SfarError(
                f"no code at {name!r}: expected 'module:definition' or 'module' of the package {PACKAGE.name} "
                f"(a function or class at the top of its file), or '{PACKAGE.name}/path/of/a/file'"
            )
        return _Node(module, definition)

    def _data(self, name: str) -> str:
        path = PACKAGE.parent / name
        if not path.is_file():
            raise SfarError(f"no data file at {path}")
        self.files[path] = _stamp(path)
        return content(path)

    def _find(self, name: str) -> _Module | None:
        if name not in self.modules:
            base = PACKAGE.parent.joinpath(*name.split("."))
            path = next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.is_file()), None)
            if path:
                self.files[path] = _stamp(path)
            self.modules[name] = _parse(name, path, *self.files[path]) if path else None
        return self.modules[name]

    def _module(self, name: str) -> _Module:
        found = self._find(name)
        if found is None:
            raise SfarError(f"the package {PACKAGE.name} has no module {name}, which its code imports")
        return found


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE.name


def _mark(marks: dict[_Node, str], target: _Node | str) -> str:
    return marks[target] if isinstance(target, _Node) else f"outside: {target}"


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- what a file says ----------------------------------------------------------------------------------------------


@cache
def _parse(name: str, path: Path, mtime: int, size: int) -> _Module:
    module = _Module(name, path.name == "__init__.py")
    try:
        module.read(ast.parse(path.read_bytes(), path).body)
    except SyntaxError as e:
        raise SfarError(f"{path}, line {e.lineno}: {e.msg}") from e
    return module


@dataclass
class _Module:
    """A file.

    ``bindings``: name -> the statements and imports that give it its meaning; ``statements``: those that do something
    else when the file is run.
    """

    name: str
    is_package: bool
    bindings: dict[str, list[ast.stmt | _Import]] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict)
    _used: dict[str, _References] = field(default_factory=dict)

    def read(self, body: Iterable[ast.stmt], whole: ast.stmt | None = None) -> None:
        """Sort the statements of the file.

        ``whole``: the ``if`` or ``try`` that ``body`` is part of; it then counts in place of its parts.
        """
        for s in body:
            match s:
                case ast.Import() | ast.ImportFrom():
                    for name, target in self.imports(s):
                        self._bind(name, target)
                        if whole:  # it says which of two imports it is
                            self._bind(name, whole)
                    if any(a.name == "*" for a in s.names):
                        self._do(s)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self._bind(s.name, whole or s)
                case ast.If() if _of_types(s.test):
                    self.read([*s.body, *s.orelse], whole)
                case ast.If():
                    self.read([*s.body, *s.orelse], whole or s)
                case ast.Try() | ast.TryStar():
                    handled = [h for handler in s.handlers for h in handler.body]
                    self.read([*s.body, *handled, *s.orelse, *s.finalbody], whole or s)
                case ast.Pass():
                    pass
                case ast.Expr() if _is_text(s):
                    pass
                case _:
                    for name, imports in _bound([s], self).items():
                        for meaning in (*(imports or ()), whole or s):
                            self._bind(name, meaning)
                    targets = s.targets if isinstance(s, ast.Assign) else [getattr(s, "target", None)]
                    if not isinstance(s, ast.Assign | ast.AnnAssign) or not all(map(_is_plain, targets)):
                        self._do(whole or s)

    def _bind(self, name: str, meaning: ast.stmt | _Import) -> None:
        if meaning not in self.bindings.setdefault(name, []):
            self.bindings[name].append(meaning)

    def _do(self, s: ast.stmt) -> None:
        if s not in self.statements:
            self.statements.append(s)

    def imports(self, s: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Import]]:
        """The names that an import binds."""
        if isinstance(s, ast.Import):
            for a in s.names:
                yield (a.asname, _Import(a.name)) if a.asname else (a.name.split(".")[0], _Import(a.name.split(".")[0]))
        else:
            source = self.source(s)
            yield from ((a.asname or a.name, _Import(source, (a.name,))) for a in s.names if a.name != "*")

    def source(self, s: ast.ImportFrom) -> str:
        """The module that a ``from`` import takes names from, written out."""
        here = self.name.split(".")
        here = here[: len(here) - s.level + self.is_package] if s.level else []
        return ".".join([*here, *([s.module] if s.module else [])])

    def definitions(self) -> list[str]:
        """The names that statements of this file give a meaning."""
        return [n for n, meanings in self.bindings.items() if any(isinstance(m, ast.stmt) for m in meanings)]

    def re_exported(self) -> list[str]:
        """The names that a package takes from elsewhere for others to use."""
        return [n for n, meanings in self.bindings.items() if any(isinstance(m, _Import) for m in meanings)] * (
            self.is_package
        )

    def _meaning(self, name: str) -> list[ast.stmt]:
        if name == _STATEMENTS:
            return self.statements
        return [m for m in self.bindings.get(name, ()) if isinstance(m, ast.stmt)]

    def text(self, name: str) -> str:
        """Hash of what a definition says, docstrings aside; the same for every version of Python."""
        if name not in self._texts:
            self._texts[name] = _sha(repr([name in (_WHOLE, _STATEMENTS), *map(_plain, self._meaning(name))]))
        return self._texts[name]

    def references(self, name: str) -> set[_Reference]:
        """What a definition names that is not its own."""
        return self._visited(name).found

    def texts(self, name: str) -> set[str]:
        """The texts in a definition, docstrings aside."""
        return self._visited(name).texts

    def _visited(self, name: str) -> _References:
        if name not in self._used:
            self._used[name] = visitor = _References(self)
            for s in self._meaning(name):
                visitor.visit(s)
        return self._used[name]


def _of_types(test: ast.expr) -> bool:
    """Whether an ``if`` asks for TYPE_CHECKING."""
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _is_text(s: ast.AST) -> bool:
    """A docstring or another text that stands for itself."""
    return isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str)


def _is_plain(target: ast.AST | None) -> bool:
    """Whether assigning to it does no more than name a value."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_plain, target.elts))
    return isinstance(target, ast.Name) or (isinstance(target, ast.Starred) and _is_plain(target.value))


def _plain(node: object) -> object:
    """A syntax tree as nested lists, without docstrings. Other versions of Python have more fields: empty ones go."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in ("ctx", "kind"))
        return [type(node).__name__, *((n, _plain(v)) for n, v in fields if v is not None and v != [])]
    if isinstance(node, list):
        return [_plain(n) for n in node if not _is_text(n)]
    return node


def _bound(nodes: Iterable[ast.AST], module: _Module) -> dict[str, list[_Import] | None]:
    """The names that statements bind in the scope in which they stand, and the imports among what they are bound to.

    None: a name of the module (``global``). Inner functions and comprehensions have scopes of their own.
    """
    out: dict[str, list[_Import]] = {}
    declared: dict[str, bool] = {}  # by ``global`` (True) or ``nonlocal``
    todo = list(nodes)
    while todo:
        node = todo.pop()
        name = None
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                out.setdefault(node.name, [])
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                todo += [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
                continue
            case ast.Import() | ast.ImportFrom():
                for bound, target in module.imports(node):
                    out.setdefault(bound, []).append(target)
            case ast.Global() | ast.Nonlocal():
                declared |= dict.fromkeys(node.names, isinstance(node, ast.Global))
            case ast.Name(ctx=ast.Store() | ast.Del()):
                name = node.id
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
                name = node.name
            case ast.MatchMapping():
                name = node.rest
        if name:
            out.setdefault(name, [])
        todo += ast.iter_child_nodes(node)
    return {n: b for n, b in out.items() if n not in declared} | {n: None for n, g in declared.items() if g}


class _References(ast.NodeVisitor):
    """Collects the names that statements at the top of a module use and do not bind themselves, by Python's scopes."""

    def __init__(self, module: _Module):
        self.module = module
        self.found: set[_Reference] = set()
        self.texts: set[str] = set()
        self._scopes: list[tuple[bool, dict[str, list[_Import] | None]]] = []  # (of a class, names)

    def visit_Name(self, node: ast.Name) -> None:
        self._use((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        names, inner = [], node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._use((inner.id, *reversed(names)))
        else:
            self.visit(inner)

    def _use(self, written: tuple[str, ...]) -> None:
        for depth, (of_class, names) in enumerate(reversed(self._scopes)):
            if written[0] in names and not (of_class and depth):  # methods do not see the names of their class
                bound = names[written[0]]
                if bound is None:
                    break
                self.found |= {_Reference(written, b) for b in bound}
                return
        self.found.add(_Reference(written))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        a = node.args
        arguments = [x for x in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if x]
        for n in (*getattr(node, "decorator_list", ()), *a.defaults, *a.kw_defaults):
            if n:
                self.visit(n)
        for n in (*(x.annotation for x in arguments), getattr(node, "returns", None)):
            self._annotation(n)
        body = node.body if isinstance(node.body, list) else [node.body]
        self._inside(False, {x.arg: [] for x in arguments} | _bound(body, self.module), body)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for n in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(n)
        # Other names of a class body may stand for those of the module too, so only its imports hide them.
        imported: dict[str, list[_Import] | None] = {n: b for n, b in _bound(node.body, self.module).items() if b}
        self._inside(True, imported, node.body)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        inner = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        names = _bound([g.target for g in node.generators], self.module)
        self._inside(False, names, [first.target, *first.ifs, *others, *inner])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _inside(self, of_class: bool, names: dict[str, list[_Import] | None], nodes: Iterable[ast.AST]) -> None:
        self._scopes.append((of_class, names))
        for n in nodes:
            self.visit(n)
        self._scopes.pop()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if any(a.name == "*" for a in node.names):
            source = self.module.source(node)
            self.found.add(_Reference((source,), _Import(source)))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._annotation(node.annotation)
        for n in (node.target, node.value):
            if n:
                self.visit(n)

    def _annotation(self, node: ast.expr | None) -> None:
        """An annotation tells whose methods may be called. It may be written as a text."""
        if node is None:
            return
        self.visit(node)
        for n in ast.walk(node):
            if isinstance(n, ast.Constant) and isinstance(n.value, str):
                for name in re.findall(r"[^\W\d][\w.]*", n.value):
                    self._use(tuple(name.split(".")))

    def visit_Expr(self, node: ast.Expr) -> None:
        if not _is_text(node):
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A text may be a module's name, or code that imports it (for a process that is started with it)."""
        if isinstance(node.value, str):
            self.texts.add(node.value)
            module = rf"{PACKAGE.name}(?:\.\w+)+"
            for name in re.findall(rf"(?:^(?={module}$)|\b(?:from|import) )({module})", node.value):
                self.found.add(_Reference((name,), _Import(PACKAGE.name, tuple(name.split(".")[1:]))))
