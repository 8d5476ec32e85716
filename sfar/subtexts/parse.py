"""From what a language model answers to exactly N sub-texts: lists, "This action is ...", bullets, JSON, with or without preamble and summary."""

from __future__ import annotations

import json
import re
from typing import Any

from sfar.errors import SfarError


class ParseError(SfarError):
    """An answer that does not hold exactly N sub-texts; the message says what it holds."""


_MARK = r"(?:[-*•‣▪◦–—]|\(?(?:\d{1,2}|[a-hA-H]|[ivIV]{1,4})[.):](?!\d)|\(?\d{1,2}\))"
_WORD = r"(?:(?:step|phase|movement|description|action|stage|part|sub-?text|sub-?action|perspective)\s*(?:\d{1,2}|[a-hA-H]|[ivIV]{1,4}|one|two|three|four|five|six|seven|eight|nine|ten)\b\s*[.):–—-]*|" \
        r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?:ly)?\s*(?:step|phase|movement|description|stage)?\s*[,.):–—-]+)"
_NUMBERED = re.compile(rf"^\s*(?:#+\s*)?[*_]{{0,3}}(?:\(?\d{{1,2}}[.):]\)?(?!\d)|{_WORD})[*_]{{0,3}}\s*", re.IGNORECASE)
_LETTERED = re.compile(r"^\s*[*_]{0,3}\(?(?:[a-h]|[iv]{1,4})[.)]\s+", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[•‣▪◦–—]|[-*+](?=\s))\s*")
_PREFIX = re.compile(r"^(?:the\s+\w+\s+)?this\s+action\s+is\b[\s:,-]*", re.IGNORECASE)
_STARTS = re.compile(r"(?<![\w'])this\s+action\s+is\b", re.IGNORECASE)
_SUMMARY = re.compile(r"^(?:in\s+(?:summary|conclusion|short|essence|total|all)|to\s+(?:summari[sz]e|conclude)|summary|conclusion|overall|together|altogether|all\s+(?:together|in\s+all)|"
                      r"these\s+\w+|this\s+sequence|combined|finally,\s+(?:these|together|all)|taken\s+together|collectively|thus|in\s+this\s+way|note)\b", re.IGNORECASE)
_REFUSAL = re.compile(r"^(?:i['’]?m\s+(?:sorry|afraid|unable|not\s+able)|sorry|i\s+(?:can(?:no|['’])t|cannot|apologi[sz]e|won['’]?t)|as\s+an\s+ai|unfortunately)\b", re.IGNORECASE)
_KEYS = ("sub_text", "subtext", "text", "description", "content", "step_description", "details", "detail", "action", "movement", "phase", "step", "name", "title")
_QUOTES = "\"'“”‘’«»`"


def clean(text: str) -> str:
    """One sub-text as Figures 4 and 8 show them: without markup, number, "This action is", quotes and final stop, on one line."""
    t = re.sub(r"\s+", " ", text).strip()
    t = re.sub(r"\*\*|__|`", "", t)
    t = re.sub(r"(?<!\w)[*_](.+?)[*_](?!\w)", r"\1", t).strip()
    for _ in range(3):  # "1. **Step 1:** This action is ..." carries several
        before = t
        t = _NUMBERED.sub("", t, 1)
        t = _BULLET.sub("", t, 1).strip()
        t = t.strip(_QUOTES).strip()
        t = _PREFIX.sub("", t, 1)
        if t == before:
            break
    t = t.strip().rstrip(".;,").strip(_QUOTES).rstrip(".;,").strip()
    return t


def _strings(value: Any) -> list[str] | None:
    """The texts in a piece of parsed JSON that is a list of them, under whatever keys."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not re.search(r"summary|conclusion|overall|note", str(k), re.IGNORECASE)}
        lists = [v for v in kept.values() if isinstance(v, (list, dict)) and v]
        if len(lists) == 1:
            return _strings(lists[0])
        if kept and all(isinstance(v, str) for v in kept.values()):
            return list(kept.values())
        if kept and all(isinstance(v, dict) for v in kept.values()):
            return _strings(list(kept.values()))
        return None
    if isinstance(value, list) and value:
        if all(isinstance(v, str) for v in value):
            return list(value)
        if all(isinstance(v, dict) for v in value):
            out = []
            for v in value:
                low = {str(k).lower(): x for k, x in v.items() if isinstance(x, str)}
                text = next((low[k] for k in _KEYS if k in low), None) or max(low.values(), key=len, default=None)
                if text is None:
                    return None
                out.append(text)
            return out
    return None


def _from_json(raw: str) -> list[str] | None:
    fenced = re.findall(r"```(?:\w+)?\s*\n?(.*?)```", raw, re.DOTALL)
    decoder = json.JSONDecoder()
    for text in [*fenced, raw]:
        for m in re.finditer(r"[\[{]", text):
            try:
                value, _ = decoder.raw_decode(text, m.start())
            except ValueError:
                continue
            found = _strings(value)
            if found and (isinstance(value, dict) or len(found) > 1):
                return found
    return None


def _items(lines: list[str], mark: re.Pattern) -> list[str]:
    """The items of a marked list with their continuation lines; nested bullets and what follows a blank line after the list are left out."""
    starts = [i for i, line in enumerate(lines) if mark.match(line)]
    if not starts:
        return []
    indent = min(len(lines[i]) - len(lines[i].lstrip()) for i in starts)
    starts = [i for i in starts if len(lines[i]) - len(lines[i].lstrip()) <= indent + 1]
    out = []
    for a, b in zip(starts, [*starts[1:], len(lines)]):
        head = mark.sub("", lines[a], 1).strip()
        if b == len(lines) and len(starts) > 1 and _SUMMARY.match(head.lstrip("*_ ")):
            continue  # a summary counted as one more item
        body: list[str] = []
        for line in lines[a + 1:b]:
            if not line.strip():
                if body or len(clean(head).split()) > 4:
                    break
                continue  # a heading, a blank line, then its text
            if _SUMMARY.match(line.strip().lstrip("*_ ")):
                break
            body.append(line.strip())
        out.append(_join(head, body))
    return [t for t in out if t]


def _join(head: str, body: list[str]) -> str:
    """A list item from its first line and the lines below: of a bare heading with a description, the description."""
    described = [i for i, line in enumerate(body) if _STARTS.search(line)]
    text = " ".join(line for line in body if not _BULLET.match(line))
    if described and not _STARTS.search(head):
        return " ".join(_BULLET.sub("", line) for line in body[described[0]:])
    inline = re.match(r"^[*_]{0,3}([^:*]{2,60}?)[*_]{0,3}:[*_]{0,3}\s+(.{8,})$", head)
    if inline:  # "**Approach:** This action is running up", "Approach: running up"
        head = inline[2]
    if not head and body:
        return text or " ".join(_BULLET.sub("", line) for line in body)
    bare_heading = bool(re.match(r"^[*_#\s]*[^.]{1,50}:?[*_\s]*$", head)) and len(clean(head).split()) <= 4
    if text and (bare_heading and not inline):
        return text
    return f"{head} {text}".strip()


def _sentences(raw: str) -> list[str]:
    """The pieces that begin with "This action is", each up to the next one or the end of its paragraph."""
    out = []
    for paragraph in re.split(r"\n\s*\n", raw):
        starts = [m.start() for m in _STARTS.finditer(paragraph)]
        for a, b in zip(starts, [*starts[1:], len(paragraph)]):
            before = paragraph[:a].rsplit("\n", 1)[-1]
            if _SUMMARY.match(re.split(r"[.!?]\s", before)[-1].strip(" *_")):
                continue  # "Overall, this action is ..."
            piece = paragraph[a:b]
            cut = re.search(r"(?<=[.!?])\s+(?=\S)", piece)
            if cut and _SUMMARY.match(piece[cut.end():].strip()):
                piece = piece[:cut.start()]
            # What stands before the next piece on its line ("2. ", "**Flight**: ") belongs to that one.
            piece = re.sub(rf"\s*(?:\n|\s{{2,}})\s*(?:{_MARK}|{_WORD})?[^\n.]{{0,60}}$", "", piece) if b < len(paragraph) else piece
            piece = re.sub(rf"\s*\(?\b(?:\d{{1,2}}|{_WORD})[.):]*\s*[*_]*$", "", piece, flags=re.IGNORECASE) if b < len(paragraph) else piece
            out.append(piece)
    return out


def _plain(lines: list[str]) -> list[str]:
    """The lines themselves, without a preamble ("Sure, here are ...:") and a summary."""
    kept = [line.strip() for line in lines if line.strip()]
    if any(_REFUSAL.match(line) or len(line.split()) > 40 for line in kept):
        return []  # prose, not a list
    if len(kept) > 1 and (kept[0].endswith(":") or re.match(r"^(?:sure|certainly|of course|here (?:is|are)|okay|ok)\b", kept[0], re.IGNORECASE)):
        kept = kept[1:]
    while len(kept) > 1 and _SUMMARY.match(kept[-1].lstrip("*_ ")):
        kept = kept[:-1]
    return kept


def _inline(raw: str, n: int) -> list[str]:
    """Items in one line: "1. a 2. b 3. c", "a; b; c"."""
    line = " ".join(raw.split())
    numbers = [m for m in re.finditer(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)]\s*(?=\S)", line)]
    wanted = [m for i, m in enumerate(numbers) if int(m[1]) == i + 1]
    if len(wanted) >= 2 and len(wanted) == len(numbers):
        return [line[a.end():b].strip() for a, b in zip(wanted, [*(m.start() for m in wanted[1:]), len(line)])]
    if line.count(";") == n - 1:
        return re.sub(r"^[^:;]{0,80}:\s*", "", line).split(";")
    return []


def _without_summary(items: list[str], n: int) -> list[str]:
    return items[:-1] if len(items) == n + 1 and _SUMMARY.match(re.sub(r"^[\s*_#]+", "", items[-1])) else items


def parse(raw: str, n: int) -> list[str]:
    """Exactly ``n`` cleaned, non-empty sub-texts out of the answer ``raw``. Raises ``ParseError`` that says what there is instead.

    Understands JSON (bare, fenced, lists, objects), numbered, lettered and bulleted lists, "Step 1:", sentences that start with "This
    action is", plain lines and one line of items; drops preambles and closing summaries. Nothing is cut off or made up to reach ``n``.
    """
    if not raw or not raw.strip():
        raise ParseError("an empty answer")
    text = re.sub(r"<think>.*?</think>", "", raw, flags=re.DOTALL).strip()  # reasoning models on local servers
    lines = re.sub(r"```\w*", "", text).splitlines()
    found: list[list[str]] = []
    for items in (_from_json(text) or [], _items(lines, _NUMBERED), _items(lines, _LETTERED), _items(lines, _BULLET), _sentences(text), _inline(text, n), _plain(lines)):
        items = [c for c in (clean(t) for t in _without_summary(items, n)) if c]
        if len(items) == n:
            return items
        if len(items) > 1:
            found.append(items)
    if not found:
        raise ParseError(f"no list of {n} sub-texts, but {text[:80]!r}")
    raise ParseError(f"{len(found[0])} sub-texts instead of {n}")
