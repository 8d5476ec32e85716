"""The site's files: those of the repository where they stand, so that their links to one another lead on.

Pages are written in Markdown, which a notebook becomes with its outputs, and a file of source in a block of code.
"""

from __future__ import annotations

import ast
import base64
import html
import json
from pathlib import Path

import nbformat
import ziamath
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/*.md", "results/storyboard/*.md", "results/bench/*.md", "notebooks/*.ipynb")
SOURCE = ("sfar/**/*.py", "tests/**/*.py", "Makefile", "pyproject.toml", "LICENSE")
# Taken as they are: pictures, and what a page offers to be loaded.
PLAIN = ("docs/*.png", "results/**/*.png", "results/**/*.csv", "results/**/*.json", "results/**/*.tex", "sfar/**/*.csv")
PLAIN += ("sfar/**/*.json", "CITATION.cff", "environment.yml", "requirements*.lock", ".github/workflows/*.yml")

SEARCH = "no-iframe-worker.js"  # as mkdocs.yml names it


class Written(File):
    """A file that is a page, whatever its name ends in."""

    def is_documentation_page(self) -> bool:
        """Whether it becomes a page: yes."""
        return True


def _found(patterns: tuple[str, ...]) -> list[Path]:
    return sorted({p for pattern in patterns for p in ROOT.glob(pattern) if p.is_file()} - set(_kept_out()))


def _kept_out() -> list[Path]:
    return [*ROOT.glob("results/runs/**/*"), *ROOT.glob("**/__pycache__/*")]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's files at their own places."""
    for patterns, kind in ((PAGES, Written), (SOURCE, Written), (PLAIN, File)):
        for path in _found(patterns):
            name = path.relative_to(ROOT).as_posix()
            files.append(kind(name, str(ROOT), config.site_dir, config.use_directory_urls))
    # Without a font that is made for it a browser stretches no bracket: not every reader has one.
    fonts = Path(ziamath.__file__).parent / "fonts"
    files.append(File("STIXTwoMath-Regular.ttf", str(fonts), config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """A notebook or a file of source as Markdown; None: a page as it stands."""
    path = Path(page.file.abs_src_path or "")
    if path.suffix == ".ipynb":
        return notebook(path)
    return None if path.suffix == ".md" else source(path)


def notebook(path: Path) -> str:
    """A notebook's cells and outputs. Pictures are in the page itself, as they are in the notebook."""
    exporter = MarkdownExporter()
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    node = nbformat.read(path, as_version=4)
    for data in (o.get("data", {}) for cell in node.cells for o in cell.get("outputs", ())):
        if "text/markdown" in data:  # in the site's own colours
            data.pop("text/html", None)
    body, resources = exporter.from_notebook_node(node)
    for name, content in resources["outputs"].items():
        kind = "jpeg" if name.endswith(("jpg", "jpeg")) else "png"
        body = body.replace(f"({name})", f"(data:image/{kind};base64,{base64.b64encode(content).decode()})")
    return body


def source(path: Path) -> str:
    """A file of source with its lines numbered; each definition is an anchor, by its name."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    shown = highlight(text, lexer, HtmlFormatter(nowrap=True)).splitlines()
    anchors = definitions(text) if path.suffix == ".py" else {}
    width = len(str(len(shown)))
    lines = []
    for number, line in enumerate(shown, 1):
        ids = "".join(f'<a id="{html.escape(a)}"></a>' for a in anchors.get(number, ()))
        lines.append(f'{ids}<a id="L{number}" class="line" href="#L{number}">{number:>{width}}</a>  {line}')
    # One line: an empty one inside would end the block of HTML.
    block = '<div class="source highlight"><pre>' + "&#10;".join(lines) + "</pre></div>"
    return f"---\ntitle: {name}\nhide: [toc]\nsearch:\n  exclude: true\n---\n\n# `{name}`\n\n{block}\n"


def definitions(text: str) -> dict[int, list[str]]:
    """Line -> names of what begins there: functions, classes, their methods ("Class.method"), names at the top."""
    out: dict[int, list[str]] = {}

    def add(node: ast.AST, prefix: str = "") -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                out.setdefault(child.lineno, []).append(prefix + child.name)
                if isinstance(child, ast.ClassDef):
                    add(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.Assign | ast.AnnAssign) and not prefix:
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                names = [t.id for t in targets if isinstance(t, ast.Name)]
                out.setdefault(child.lineno, []).extend(names)

    add(ast.parse(text))
    return out


def on_post_build(config: MkDocsConfig) -> None:
    """Have the search work in a page that is opened as a file, where no worker may be loaded from another file.

    The theme fetches a script from elsewhere for it. Here the worker is made of its own text, which this script holds.
    """
    site = Path(config.site_dir)
    (worker,) = site.glob("assets/javascripts/workers/search.*.min.js")
    text = json.dumps(worker.read_text(encoding="utf-8"))
    script = (
        'if (location.protocol === "file:") {\n'
        f"  const text = {text};\n"
        "  const FromAddress = Worker;\n"
        "  window.Worker = function () { return new FromAddress(URL.createObjectURL(new Blob([text]))); };\n"
        "}\n"
    )
    (site / SEARCH).write_text(script, encoding="utf-8")
