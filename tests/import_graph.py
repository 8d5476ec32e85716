"""The imports of the package, read from its files: which arrows point up, which close a circle, and how to draw them.

``python tests/import_graph.py`` brings the drawn parts of docs/architecture.md up to date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sfar"
PAGE = ROOT / "docs" / "architecture.md"

# Folders and files of the package, in the order of imports, and what each holds.
# A module imports only from its own folder and from those before it.
ORDER = {
    "errors": "The errors that end a command with one message.",
    "settings": "What is said of a configuration field: meaning, range, source, reading.",
    "config": "The two profiles and every field of a configuration.",
    "util": "Cache, versions of code, processes, progress, paths, provenance, optional packages.",
    "paper": "The paper's printed numbers, and the audit of them.",
    "storyboard": "The embedded world: scripts, poses, drawing, and its true storyboards.",
    "data": "Sources, layouts and checks of data sets; decoding, sampling, transforms, few-shot lists.",
    "model": "CLIP, the methods (one file each), the embeddings (Eq. 4 to 11), loss, cost.",
    "subtexts": "Sub-texts: prompts, parser, generation with a language model, files, TPP.",
    "training": "Trainer, evaluation, metrics, protocols, checkpoints, several processes.",
    "runs": "From a configuration to a trained and scored run; runs kept and spread over cores.",
    "render": "Tables, the look of figures, small files of pictures; knows no study.",
    "recognizer": "A model on videos of one's own: `sfar.load`, `predict`.",
    "studies": "One file for each table or figure: what is measured, claimed and shown.",
    "reproduce": "`make reproduce`: targets, plan, notebooks and their live cells, the pages, quoted numbers.",
    "bench": "How fast it is, as ratios.",
    "cli": "The command `sfar`.",
    "__main__": "`python -m sfar`.",
}

Graph = dict[str, set[str]]  # dotted name of a module or a folder -> those of ours that it imports


def files(package: Path = PACKAGE) -> dict[str, Path]:
    """The file of every module of ``package``, by its dotted name."""
    out = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def read(package: Path = PACKAGE) -> Graph:
    """Every module of ``package`` and the modules of the package that it imports, at its top or inside a function.

    Raises ``ValueError`` for an import with dots or of a module that is not there.
    """
    modules = files(package)
    return {name: _inside(path, modules) for name, path in modules.items()}


def imported(path: Path, modules: Iterable[str] = ()) -> set[str]:
    """Dotted name of everything that the file imports; ``from x import y`` is x.y if that is one of ``modules``.

    But for what is imported for editors and type checkers alone.
    """
    tree = ast.parse(path.read_bytes())
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unseen = {id(n) for block in blocks for statement in block.body for n in ast.walk(statement)}
    out = set()
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}, line {node.lineno}: imports inside the package are written out")
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                out.add(whole if whole in modules else str(node.module))
    return out


def _inside(path: Path, modules: dict[str, Path]) -> set[str]:
    found = {name for name in imported(path, modules) if name.split(".")[0] == PACKAGE.name}
    if unknown := sorted(found - set(modules)):
        raise ValueError(f"{path} imports {', '.join(unknown)}: there is no such module")
    return found


def folder(module: str) -> str | None:
    """The folder or file right below the package that ``module`` belongs to; None for the package itself."""
    return module.split(".")[1] if "." in module else None


def upward(graph: Graph, order: Iterable[str] = ORDER) -> list[str]:
    """A sentence for each import against the order, and for each module that has no place in it."""
    rank = {name: i for i, name in enumerate(order)}
    out = [f"{m}: no place in the order of folders" for m in graph if folder(m) and folder(m) not in rank]
    for name, others in graph.items():
        for other in sorted(others):
            # The package itself says its version and imports nothing of its own: it stands below all.
            mine, theirs = (rank.get(folder(m) or "", -1) for m in (name, other))
            if theirs > mine:
                out.append(f"{name} imports {other}, which stands above it")
    return out


def circle(graph: Graph) -> list[str]:
    """The modules of a circle, the first named again at the end; empty if there is none."""
    done: set[str] = set()

    def visit(name: str, above: list[str]) -> list[str]:
        if name in above:
            return [*above[above.index(name) :], name]
        if name not in done:
            for other in sorted(graph[name]):
                if found := visit(other, [*above, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, []))), [])


def folders(graph: Graph) -> Graph:
    """The same graph between folders."""
    out: Graph = {}
    for name, others in graph.items():
        if mine := folder(name):
            out.setdefault(mine, set()).update(f for o in others if (f := folder(o)) and f != mine)
    return out


def reduced(graph: Graph) -> Graph:
    """Without the arrows that follow from others: a -> c goes where a -> b -> c stands. For a graph without circles."""

    def below(name: str) -> set[str]:
        return set().union(*({o} | below(o) for o in graph[name]))

    return {name: others - set().union(*(below(o) for o in others)) for name, others in graph.items()}


def table(graph: Graph) -> str:
    """Markdown: a row for each folder in the order, what it holds and which folders it imports."""
    between = folders(graph)
    rows = ["| Folder | What is in it | Imports |", "|---|---|---|"]
    for name in ORDER:
        if name in between:
            imports = ", ".join(f"`{o}`" for o in ORDER if o in between[name]) or "nothing of ours"
            rows.append(f"| `{name}` | {ORDER[name]} | {imports} |")
    return "\n".join(rows)


def mermaid(graph: Graph) -> str:
    """The folders as a Mermaid diagram, the arrows that follow from others left out."""
    arrows = reduced(folders(graph))
    lines = [f"    {a} --> {b}" for a in reversed(ORDER) if a in arrows for b in ORDER if b in arrows[a]]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def drawn(page: str, graph: Graph) -> str:
    """``page`` with its drawn parts made from ``graph``. Raises ``ValueError`` if an import is against the order."""
    if wrong := upward(graph):
        raise ValueError("; ".join(wrong))
    for name, text in (("table", table(graph)), ("diagram", mermaid(graph))):
        start, end = f"<!--= {name} -->\n", "<!--/-->"
        page, count = re.subn(f"{start}.*?{end}", lambda _, new=f"{start}{text}\n{end}": new, page, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the page has {count} places for the {name}, expected 1")
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
