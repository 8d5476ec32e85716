"""What stands in the files as GitHub reads it, made ready for the site's Markdown; formulas and diagrams drawn.

MkDocs reads Markdown by older rules than CommonMark: a list needs an empty line before it, and what belongs to an item
four spaces. Formulas become MathML and diagrams SVG while the site is built, so that a page needs no script for them.
"""

from __future__ import annotations

import html
import re
from collections import Counter

import merm
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_MARKS = re.compile(r"<!--(= .*?|/)-->")  # around quoted numbers (sfar/reproduce/numbers.py)
_FORMULA = re.compile(r'<(div|span) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_DIAGRAM = re.compile(r'<pre class="mermaid-source"><code>(.*?)</code></pre>', re.DOTALL)
_ITEM = re.compile(r"(\s*)([-*+]|\d+[.)])(\s+|$)")


# Kinds of blocks: how CommonMark's parser calls them, and their element in the page.
_BLOCKS = {"list_item_open": "li", "table_open": "table", "fence": "pre", "code_block": "pre"}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's text by the site's rules."""
    text = _MARKS.sub("", markdown)
    page.meta["blocks"] = Counter(_BLOCKS[t.type] for t in _parsed(text) if t.type in _BLOCKS and t.info != "math")
    # What stands between its tags is Markdown for CommonMark, and HTML for the older rules unless it is said.
    return laid_out(text).replace("<details>", '<details markdown="1">')


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its formulas and diagrams drawn.

    Raises ``PluginError`` if it has not the list items, tables and blocks of code that CommonMark sees in the file.
    """
    wanted = page.meta.pop("blocks")
    found = Counter({tag: len(re.findall(rf"<{tag}[ >]", html)) for tag in set(_BLOCKS.values())})
    if page.file.src_uri.endswith((".md", ".ipynb")) and page.file.src_uri != "api.md" and +found != wanted:
        raise PluginError(f"{page.file.src_uri}: the site shows {dict(+found)}, GitHub {dict(wanted)}")
    return _DIAGRAM.sub(_diagram, _FORMULA.sub(_formula, html))


def _parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _formula(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    # \mathcal L is read as \mathcal{L} by TeX, and not by the converter.
    tex = re.sub(r"\\(math\w+|hat) (\\?\w)", r"\\\1{\2}", html.unescape(found[2]))
    return convert(tex, display=display)


def _diagram(found: re.Match[str]) -> str:
    return f'<div class="diagram">{merm.render_diagram(html.unescape(found[1]))}</div>'


def laid_out(text: str) -> str:
    """CommonMark's lists as the older rules want them: four spaces for each level, an empty line before a list."""
    lines, out = text.split("\n"), []
    columns: dict[int, list[int]] = {}  # of each line, where the text of the items around it begins, outermost first
    starts, apart = set(), set()  # lines at which an item begins; lines before which an empty one has to stand
    for token in _parsed(text):
        if token.map and token.type in ("bullet_list_open", "ordered_list_open") and token.level == 0:
            apart.add(token.map[0])
        if token.map and token.type == "fence":
            apart.add(token.map[1])
        if token.map and token.type == "list_item_open":
            first, end = token.map
            found = _ITEM.match(lines[first])
            if found is None:  # an item that begins within the first line of another
                continue
            starts.add(first)
            for number in range(first, end):
                columns.setdefault(number, []).append(found.end())
    for number, line in enumerate(lines):
        around = columns.get(number, [])
        if number in apart and line.strip() and out and out[-1].strip():
            out.append("")
        if number in starts:
            found = _ITEM.match(line)
            assert found
            line = "    " * (len(around) - 1) + found[2].ljust(4) + line[found.end() :]
        elif around and line.strip():
            inner = around[-1]
            own = line[inner:] if not line[:inner].strip() else line.lstrip()
            line = "    " * len(around) + own
        out.append(line)
    return "\n".join(out)
