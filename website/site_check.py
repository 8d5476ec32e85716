"""Every link of the written pages leads to a file and an anchor that are there; nothing is fetched from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# Elements whose address a browser fetches by itself, and the attribute with it.
FETCHED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
_STYLE = re.compile(r"(?:url\(|@import\s+)[\"']?(https?:[^\"')\s]+)")  # what a style sheet has fetched


class Places(HTMLParser):
    """Of a page: its anchors, the places that its links name, and what a browser fetches for it."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element names."""
        of = {name: value or "" for name, value in attrs}
        self.anchors |= {of[name] for name in ("id", "name") if of.get(name)}
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        if of.get(FETCHED.get(tag, "")):
            self.fetched.append(of[FETCHED[tag]])


def problems(site: Path) -> list[str]:
    """What is wrong with the site in a folder, a line each; a place named by many pages once."""
    pages = {p: Places(p.read_text(encoding="utf-8")) for p in sorted(site.rglob("*.html"))}
    out: dict[str, str] = {}
    for path, page in pages.items():
        if path.name == "404.html":  # shown under any address
            continue
        for place in (*page.links, *page.fetched):
            parts = urlsplit(place)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                if place in page.fetched:
                    out.setdefault(place, f"{path.relative_to(site)}: {place} is fetched from elsewhere")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                out.setdefault(f"{target}", f"{path.relative_to(site)}: {place}: there is no such file")
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in pages[target].anchors:
                out.setdefault(f"{target}#{parts.fragment}", f"{path.relative_to(site)}: {place}: no such anchor")
    for style in sorted(site.rglob("*.css")):
        for place in _STYLE.findall(style.read_text(encoding="utf-8")):
            out.setdefault(place, f"{style.relative_to(site)}: {place} is fetched from elsewhere")
    return list(out.values())


def on_post_build(config: Any) -> None:
    """End the build with what is wrong."""
    from mkdocs.exceptions import Abort  # here: the tests of the above have no MkDocs

    if found := problems(Path(config.site_dir).resolve()):
        raise Abort("\n".join([f"{len(found)} faults in the site:", *found]))
