"""The site: its check finds what is wrong, and its menu has every page. `make site` builds it."""

import re
from pathlib import Path

import pytest
import site_check

ROOT = Path(__file__).resolve().parents[2]
WEBSITE = ROOT / "website"
# What the menu shows; README.md, DEVIATIONS.md ... are the files at the top.
PAGES = ("*.md", "docs/*.md", "notebooks/*.ipynb", "results/storyboard/*.md", "results/bench/*.md")


def written(site, **pages):
    for name, body in pages.items():
        (site / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('<a href="gone.html">x</a>', "gone.html: there is no such file"),
        ('<img src="gone.png">', "gone.png: there is no such file"),
        ('<a href="other.html#gone">x</a>', "other.html#gone: no such anchor"),
        ('<a href="#gone">x</a>', "#gone: no such anchor"),
        ('<script src="https://cdn.example.org/x.js"></script>', "x.js is fetched from elsewhere"),
        ('<link rel="stylesheet" href="//cdn.example.org/x.css">', "x.css is fetched from elsewhere"),
        ('<a href="../up.html">x</a>', "up.html: there is no such file"),
    ],
)
def test_the_check_names_what_is_wrong(tmp_path, body, named):
    written(tmp_path, page=body, other='<p id="here">y</p>')
    (problem,) = site_check.problems(tmp_path)
    assert problem.startswith("page.html: ") and named in problem


def test_a_style_that_is_fetched_from_elsewhere(tmp_path):
    written(tmp_path, page="x")
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example.org/f.ttf); }", encoding="utf-8")
    assert site_check.problems(tmp_path) == ["a.css: https://fonts.example.org/f.ttf is fetched from elsewhere"]


def test_a_site_without_a_fault(tmp_path):
    (tmp_path / "data file.csv").write_text("1", encoding="utf-8")
    links = '<a href="other.html#here">a</a><a href="#top">b</a><a href="data%20file.csv">c</a><a href="mailto:x">d</a>'
    written(tmp_path, page=f'<h1 id="top">x</h1>{links}<a href="https://example.org">e</a>', other='<p id="here">y</p>')
    assert site_check.problems(tmp_path) == []


def test_the_menu_has_every_page_once():
    menu = (WEBSITE / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    shown = [name for name in re.findall(r": ([\w/.-]+\.(?:md|ipynb))$", menu, re.MULTILINE) if name != "api.md"]
    assert sorted(shown) == sorted(p.relative_to(ROOT).as_posix() for pattern in PAGES for p in ROOT.glob(pattern))


def test_a_page_links_to_nothing_that_the_site_has_not():
    """`mkdocs.yml` names a script of the site's own, in place of one from elsewhere."""
    config = (WEBSITE / "mkdocs.yml").read_text(encoding="utf-8")
    (script,) = re.findall(r"polyfills:\n    - (\S+)", config)
    assert f'SEARCH = "{script}"' in (WEBSITE / "site_files.py").read_text(encoding="utf-8")
    assert "iframe-worker" in script and "://" not in config and "font: false" in config
