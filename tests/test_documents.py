"""The pages for readers, parsed as CommonMark: what is written is what is shown, links lead somewhere, code is code."""

import ast
import io
import re
import shlex
from contextlib import redirect_stderr
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import makefile
import mistune
import pytest

from sfar.cli.main import parser

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COLUMNS = 100  # of a line of code, in all pages but README.md

markdown = mistune.create_markdown(renderer="ast", plugins=["table"])


# --- reading a page ------------------------------------------------------------------------------------------------


def walk(tokens):
    """Every token, those inside others after them."""
    for token in tokens:
        yield token
        yield from walk(token.get("children", ()))


def shown(token):
    """The words of a token, line by line as they stand; code in backticks."""
    if token["type"] in ("softbreak", "linebreak"):
        return "\n"
    if token["type"] == "codespan":
        return f"`{token['raw']}`"
    return token.get("raw", "") + "".join(map(shown, token.get("children", ())))


@cache
def tokens(path):
    """All tokens of a page."""
    return list(walk(markdown(path.read_text(encoding="utf-8"))))


class Html(HTMLParser):
    """A piece of HTML: the text that stands in no element of it, and the places that it names."""

    def __init__(self, text):
        super().__init__()
        self.depth, self.loose, self.places = 0, "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.depth += tag not in ("br", "hr", "img", "source")
        self.places += [value for name, value in attrs if name in ("href", "src", "srcset")]

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        if self.depth <= 0 or re.search(r"\*\*|`|\]\(", data):
            self.loose += data.strip()


@cache
def anchors(path):
    """Anchors of a page's headings as GitHub makes them: of equal ones, those after the first are numbered.

    Of a file of source the names of its definitions, which are anchors on the site (`make site`).
    """
    if path.suffix == ".py":
        return set(re.findall(r"^(?:def|class) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)) | {
            f"{c.name}.{f.name}"
            for c in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(c, ast.ClassDef)
            for f in c.body
            if isinstance(f, ast.FunctionDef)
        }
    out = []
    for token in tokens(path):
        if token["type"] == "heading":
            words = "".join(map(shown, token["children"])).replace("`", "").lower()
            out.append(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return {f"{a}-{n}" if (n := out[:i].count(a)) else a for i, a in enumerate(out)}


def code(path, language):
    """Blocks of code in a language."""
    for token in tokens(path):
        if token["type"] == "block_code" and token.get("attrs", {}).get("info", "").split()[:1] == [language]:
            yield token["raw"]


# --- what can be wrong with it -------------------------------------------------------------------------------------


def swallowed(path):
    """Text that stands in a block of HTML as it is: a line that begins with a comment begins one, Markdown ends."""
    for token in tokens(path):
        if token["type"] == "block_html" and (loose := Html(token["raw"]).loose):
            yield f"a block of HTML has swallowed {loose[:60]!r}: let no line begin with a comment or a tag"


def left_over(path):
    """Marks that were meant as markup and stand there as text; fences that nothing closes."""
    for token in tokens(path):
        if token["type"] == "text" and re.search(r"\*\*|\]\(|\]\[|<!--|```", token["raw"]):
            yield f"markup is left as text: {token['raw'][:60]!r}"
    if len(re.findall(r"^ *```", path.read_text(encoding="utf-8"), re.MULTILINE)) % 2:
        yield "a block of code is not closed"


def broken_tables(path):
    """Tables that are none, as a row has too many or too few cells or the line of dashes is missing."""
    for token in tokens(path):
        if token["type"] in ("paragraph", "block_text"):
            lines = shown(token).splitlines()
            if row := next((line for line in lines if line.startswith("|")), None):
                yield f"a row outside a table, or a table with a row of another width: {row[:60]!r}"
        if token["type"] == "table":
            head, *bodies = token["children"]
            for row in (row for body in bodies for row in body["children"]):
                if len(row["children"]) != len(head["children"]):
                    yield f"{len(row['children'])} cells under {len(head['children'])}: {shown(row)[:60]!r}"


def dead_links(path):
    """Links and pictures that lead out of the repository's files, and anchors of no heading."""
    for token in tokens(path):
        if token["type"] in ("link", "image"):
            places = [token["attrs"]["url"]]
        elif token["type"] in ("block_html", "inline_html"):
            places = Html(token["raw"]).places
        else:
            continue
        for place in places:
            parts = urlsplit(place)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_relative_to(ROOT) or not target.exists():
                yield f"{place}: there is no such file"
            elif parts.fragment and (
                target.suffix not in (".md", ".py") or unquote(parts.fragment) not in anchors(target)
            ):
                yield f"{place}: no heading has this anchor"


def unknown_targets(path):
    """Targets of ``make`` that the Makefile has not."""
    for token in tokens(path):
        if token["type"] in ("codespan", "block_code"):
            for target in re.findall(r"^ *make ([a-z][a-z0-9-]*[a-z0-9])(?![\w.-])", token["raw"], re.MULTILINE):
                if target not in makefile.targets():
                    yield f"make {target}: there is no such target"


def asked(words):
    """What a command asks of ``sfar``, by its name or by way of torchrun; empty for another command."""
    for i, word in enumerate(words):
        if Path(word).name == "sfar" and (i == 0 or words[i - 1] == "-m"):
            return words[i + 1 :]
    return []


def unknown_commands(path):
    """Commands of ``sfar`` that its parser refuses; "..." stands for anything."""
    for text in code(path, "bash"):
        for line in text.replace("\\\n", " ").splitlines():
            words = asked(shlex.split(line, comments=True))
            if words and "..." not in words:
                said = io.StringIO()
                try:
                    with redirect_stderr(said):
                        parser().parse_args(words)
                except SystemExit:
                    yield f"{line}: {said.getvalue().splitlines()[-1]}"


def wide_code(path):
    """Lines of code that a page of ``COLUMNS`` cuts off or turns into a scroll bar."""
    for token in tokens(path):
        if token["type"] == "block_code":
            yield from (f"{len(s)} columns: {s[:60]}..." for s in token["raw"].splitlines() if len(s) > COLUMNS)


CHECKS = (swallowed, left_over, broken_tables, dead_links, unknown_targets, unknown_commands, wide_code)


CHECKED = [pytest.param(p, check, id=f"{p.name}-{check.__name__}") for p in PAGES for check in CHECKS]


@pytest.mark.parametrize(("path", "check"), CHECKED)
def test_a_page_is_well_formed(path, check):
    problems = list(check(path))
    assert not problems, "\n".join([path.name, *problems])


def test_the_readme_is_read_in_a_few_minutes():
    """At most 1,200 words that a reader sees."""
    text = re.sub(r"<!--.*?-->", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(text.split()) <= 1200


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_python_compiles(path):
    for text in code(path, "python"):
        compile(text, path.name, "exec")


def test_there_is_something_to_check():
    kinds = {token["type"] for path in PAGES for token in tokens(path)}
    assert {"table", "link", "image", "block_html", "block_code"} <= kinds
    assert sum(len(list(code(path, "python"))) for path in PAGES) > 1 and len(PAGES) > 5


# --- the checks can fail -------------------------------------------------------------------------------------------

TABLE = "| a | b |\n|---|---|\n"


@pytest.mark.parametrize(
    ("check", "text", "named"),
    [
        (swallowed, "- One.\n  <!--= claim x -->+0.4<!--/--> and **two**.\n", "+0.4"),
        (swallowed, "<div>**bold**</div>\n", "bold"),
        (left_over, "see [the page] (x.md) and [that](a b.md)\n", "]("),
        (left_over, "** bold**\n", "bold"),
        (left_over, "```bash\nls\n", "not closed"),
        (broken_tables, TABLE + "| 1 | 2 | 3 |\n", "| a | b |"),
        (broken_tables, "| a | b |\n| 1 | 2 |\n", "| a | b |"),
        (dead_links, "[gone](gone.md)\n", "gone.md: there is no such file"),
        (dead_links, "![gone](gone.png)\n", "gone.png"),
        (dead_links, '<p><img src="gone.png"></p>\n', "gone.png"),
        (dead_links, "[up](../../../../../../../etc/hostname)\n", "no such file"),
        (dead_links, "# One, two\n\n[one](#one-two) [one](#one)\n", "#one: no heading"),
        (dead_links, "[code](code.py#gone) [code](code.py#here) [code](code.py#There.here)\n", "#gone: no heading"),
        (unknown_targets, "`make reproduce-table99` and `make lab`\n", "reproduce-table99"),
        (unknown_targets, "```bash\nmake sense\n```\n", "make sense"),
        (unknown_commands, "```bash\nsfar train sfar \\\n    --outt x  # y\nsfar train ...\n```\n", "--out"),
        (unknown_commands, "```bash\n.venv/bin/sfar data chek x\n```\n", "invalid choice: 'chek'"),
        (wide_code, f"```\n{'x' * 101}\n{'x' * 100}\n```\n", "101 columns"),
    ],
)
def test_a_check_names_what_is_wrong(monkeypatch, tmp_path, check, text, named):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "code.py").write_text("def here(): ...\nclass There:\n    def here(self): ...\n", encoding="utf-8")
    (problem,) = check(page)
    assert named in problem


def test_a_page_without_a_fault(monkeypatch, tmp_path):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# `sfar`: one\n\n<!--= table -->\n"
        + TABLE
        + "| `x\\|y` | <!--= row -->2<!--/--> |\n<!--/-->\n\n"
        + "A [link](page.md#sfar-one), <!--= claim -->+1<!--/--> and [another](https://example.org/#x).\n\n"
        + '<p align="center"><img src="page.md" alt=""><br><em>Said.</em></p>\n\n```bash\nmake lab\n```\n',
        encoding="utf-8",
    )
    assert [problem for check in CHECKS for problem in check(page)] == []
    assert "table" in {token["type"] for token in tokens(page)}
