"""From what a language model answers to exactly N sub-texts: lists, "This action is ...", bullets, JSON.

With or without preamble and summary. An answer that is refused is asked for again; one that is read wrongly is never
noticed. So the first kind of list that an answer shows decides, and a wrong count, an ambiguous list or prose is
refused, not tried as something else.
"""

from __future__ import annotations

import ast
import collections
import functools
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

from sfar.errors import SfarError
from sfar.subtexts import counting

LONGEST = 8000  # characters of an answer; four detailed sentences have about 800


class ParseError(SfarError):
    """An answer that does not hold exactly N sub-texts; the message says what it holds."""


_WORDS: str = "step|phase|movement|description|action|stage|part|sub-?text|sub-?action|perspective|point|item"
_COUNT: str = "one|two|three|four|five|six|seven|eight|nine|ten"
_ORDINAL: str = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth"
_OF: str = r"(?:\s?(?:/|of)\s?(?:\d{1,2}|four|five|six))?"  # "Step 1 of 4"
_STOPS = ".;, 。；，、"
# A number at the head of a line, in the notations that models use: digits in groups a to d, words in e and f.
_NUMBER = re.compile(
    rf"(?:[(（](?P<a>\d{{1,2}})[)）]|\[(?P<b>\d{{1,2}})\]"
    rf"|(?P<c>\d{{1,2}})(?:\\?[.):](?![\d])|\s*[、．）：](?!\d)|\s+[-–—](?=\s))"
    rf"|(?:{_WORDS})\s*#?\s*(?P<d>\d{{1,2}}){_OF}(?:\s*[.):–—-]+(?=\s|$|\*)|\s*[：．）、]|\s*$|(?=\*))"
    rf"|(?:{_WORDS})\s+(?P<e>{_COUNT}){_OF}(?:\s*[.):–—-]+(?=\s|$|\*)|\s*[：．）、]|\s*$|(?=\*))"
    rf"|(?P<f>{_ORDINAL})(?:ly)?\s*(?:{_WORDS})?\s*[,:，：](?=\s|$))\s*",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\(?(?P<l>[a-j]|[iv]{1,4}|x)[.)](?=\s)\s*", re.IGNORECASE)
_BULLET = re.compile(r"(?:[-*+](?=\s|$)|[•‣▪◦●–—✅✔☑➤→▶■](?!\w*\d))\s*(?:\[[ xX]\]\s*)?")
_START = re.compile(r"(?<![\w'])this\s+action\s+is\b", re.IGNORECASE)
_OPENING = re.compile(r"^\W*this\s+action\s+is\b", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:the\s+\w+\s+(?:\w+\s+of\s+)?)?['\"‘“]?this\s+action\s+is\b['\"’”]?[\s:,-]*", re.IGNORECASE)
_SUMMARY = re.compile(
    r"^(?:in\s+(?:summary|conclusion|short|essence|total|sum|all)\b|to\s+(?:summari[sz]e|conclude|sum\s+up)\b"
    r"|(?:brief\s+|final\s+|overall\s+)?(?:summary|conclusion|summari[sz]ing\s+statement|note|tips?)\b|overall\b[,:]?"
    r"|together,|altogether\b|all\s+together\b|together\s+(?:they|these|the)\b"
    r"|these\s+(?:\w+\s+)?(?:steps?|movements?|phases?|descriptions?|actions?|stages?|parts?|elements?)\b"
    r"|by\s+combining\b|combined\b|when\s+combined\b|taken\s+together|collectively\b"
    r"|i\s+hope\b|let\s+me\s+know\b|each\s+(?:step|phase|movement|of\s+these)\b)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^(?:i['’]?m\s+(?:sorry|afraid|unable|not\s+able|an\s+ai|just\s+an\s+ai)|sorry\b"
    r"|i\s+(?:can(?:no|['’])t|cannot|apologi[sz]e|won['’]?t|must\s+decline|do(?:\s+not|n['’]t)\s+(?:feel|see)|see\s+no)"
    r"|as\s+an?\s+(?:\w+\s+)?ai\b|unfortunately\b|it\s+is\s+not\s+appropriate|it['’]s\s+not\s+appropriate"
    r"|thank\s+you\s+for|could\s+you\b|hello[!,. ]|please\s+(?:provide|describe|upload))",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of\s+course|here(?:\s+(?:is|are)|['’]s)|okay|ok|great|absolutely|gladly)\b", re.IGNORECASE
)
_TEXT_KEYS = (
    "sub_text",
    "subtext",
    "sub-text",
    "text",
    "description",
    "explanation",
    "content",
    "details",
    "detail",
    "sentence",
    "movement",
    "action",
    "phase",
    "step",
    "name",
    "title",
)
_LIST_KEYS = re.compile(
    r"^(?:\w*steps|\w*phases|\w*movements|\w*descriptions|\w*actions|\w*stages|\w*parts"
    r"|sub_?-?\s?texts|sub_?-?\s?actions|perspectives|items|list|result|answer)$",
    re.IGNORECASE,
)
_STEP_KEY = re.compile(
    rf"^(?:(?:{_WORDS})[\s_-]*)?(?:\d{{1,2}}|{_COUNT})$|^(?:{_ORDINAL})(?:[\s_-]*(?:{_WORDS}))?$", re.IGNORECASE
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}


# --- one text ------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    """Without emphasis, code marks and end tokens, on one line."""
    t = " ".join(text.split())
    t = re.sub(r"<\|\w*\|>|</?s>", "", t).replace("**", "").replace("`", "")
    t = re.sub(r"(?<![\w*_])_{1,2}([^\s_][^_]*)_{1,2}(?!\w)", r"\1", t)
    return re.sub(r"(?<![\w*])\*([^\s*][^*]*)\*(?![\w*])", r"\1", t).strip(" \t*|")


def clean(text: str, ordinals: bool = True) -> str:
    """One sub-text as Figures 4 and 8 show it: no markup, number, "This action is", quotation marks, final stop.

    ``ordinals`` False: a "First," at its head stays.
    """
    t = counting.in_digits(re.sub(r"^#+\s*", "", _plain(text)))
    for _ in range(4):  # "1. Step 1: 'This action is ...'" carries several
        before = t
        m = _NUMBER.match(t)
        if m and (m.end() < len(t) or m["c"] or m["a"] or m["b"]) and (ordinals or not m["f"]):
            t = t[m.end() :]
        if m := _BULLET.match(t):
            t = t[m.end() :]
        t = _PREFIX.sub("", _unquoted(t.strip()), count=1)
        if t == before:
            break
    t = _unquoted(t.strip().rstrip(_STOPS)).rstrip(_STOPS)
    if (
        t[-1:] in ('"', "”", "»")
        and t.count(t[-1]) % 2
        and not any(o in t for o, c in _QUOTES.items() if c == t[-1] != o)
    ):
        t = t[:-1].rstrip(_STOPS)  # its opening one stood before "This action is"
    return "" if not re.search(r"\w", t) else t


def _unquoted(t: str) -> str:
    while (
        len(t) > 1
        and t[0] in _QUOTES
        and (t[-1] == _QUOTES[t[0]] or t[-2:] in (_QUOTES[t[0]] + ".", _QUOTES[t[0]] + ","))
        and t.count(t[0]) <= 2
    ):
        t = t[1 : t.rindex(_QUOTES[t[0]])].strip()
    return t


def _without_summary(text: str) -> str:
    """Up to a sentence that sums up."""
    for m in re.finditer(r"(?<=[.!?])\s+", text):
        if _SUMMARY.match(text[m.end() :]) or _PREAMBLE.match(text[m.end() :]):
            return text[: m.start()]
    return text


def _described(text: str) -> str | None:
    """What stands after the first "This action is", up to a second one; None where the words are not there."""
    starts = [m.start() for m in _START.finditer(text)]
    if not starts:
        return None
    return _without_summary(text[starts[0] : starts[1] if len(starts) > 1 else len(text)])


# --- lines ---------------------------------------------------------------------------------------------------------


@dataclass
class _Line:
    """A line: its kind, indentation in columns, text without the mark, and the number it has.

    ``kind``: "number", "letter", "bullet", "heading", "text" or "blank". ``ordinal``: the number is a word ("First,").
    """

    kind: str
    indent: int
    text: str
    number: int | None = None
    ordinal: bool = False


@dataclass
class _Item:
    """A list item: its first line and the lines below it."""

    head: str
    body: list[_Line] = field(default_factory=list)


def _line(raw: str) -> _Line:
    """Classify one line; quotation marks of e-mail, keycaps and circled digits are read as what they stand for."""
    raw = raw.replace("\ufe0f", "").replace("\u20e3", ".").replace("\u00a0", " ").expandtabs(4)
    indent = len(raw) - len(raw.lstrip())
    text = re.sub(r"^(?:>\s*)+", "", raw.strip())
    text = counting.in_digits(text)
    if not text or re.fullmatch(r"[-*_=~]{3,}", text) or text.startswith("```"):
        return _Line("blank", indent, "")
    bare = text.lstrip("#* _") if not _BULLET.match(text) else text
    if m := _NUMBER.match(bare):
        digits = next((m[g] for g in "abcd" if m[g]), None)
        word = (m["e"] or m["f"] or "").lower()
        number = int(digits) if digits else (_COUNT if m["e"] else _ORDINAL).split("|").index(word) + 1
        rest = bare[m.end() :]
        if text.startswith("#"):
            rest = f"# {rest}"  # a heading stays one
        elif text.startswith("**"):
            rest = rest[2:] if rest.startswith("**") else f"**{rest}"
        return _Line("number", indent, rest.strip(), number, m["f"] is not None)
    if m := _LETTER.match(bare):
        return _Line("letter", indent, bare[m.end() :])
    if m := _BULLET.match(text):
        return _Line("bullet", indent, text[m.end() :])
    if text.startswith("#") or re.fullmatch(r"\*\*[^*]+\*\*:?", text):
        return _Line("heading", indent, text)
    return _Line("text", indent, text)


def _is_title(head: str) -> bool:
    """A bare title: marked up from end to end, or ending with a colon, or nothing at all."""
    return not head.strip("*_# :") or bool(
        re.fullmatch(r"\s*(?:#+\s.*|\*{0,2}[^*]+\*\*\s*:?|.*:\s*\**)\s*", head) and not _START.search(head)
    )


def _untitled(head: str) -> str:
    """The text behind a marked-up title in the same line: "**Draw**: pulling", "**Draw** - pulling"."""
    m = re.match(r"^\**[^*]{1,60}?(?::\*\*|\*\*\s*[:–—-]?)\s*(?=\S)(.+)$", head) if "**" in head else None
    return m[1] if m else head


def _text_of(item: _Item) -> str:
    """The sub-text of an item.

    Raises ``ParseError`` for a title with several points below it: which one is meant is not said.
    """
    body = [line for line in item.body if line.kind != "blank"]
    texts = []
    for line in body:
        if line.kind != "text":
            break
        texts.append(line.text)
    if (said := _described(" ".join([item.head, *texts]))) is not None:
        return said
    if (said := next((d for line in body if (d := _described(line.text)) is not None), None)) is not None:
        return said
    if _is_title(item.head):
        if texts:
            return _without_summary(" ".join(texts))
        bullets = [line for line in body if line.kind in ("bullet", "number", "letter")]
        if len(bullets) > 1:
            raise ParseError(f"titles with several points below them, such as {clean(item.head)!r}")
        return _untitled(bullets[0].text) if bullets else item.head
    if texts and item.body[0].kind != "text" and len(item.head.split()) <= 6 and not item.head.rstrip().endswith("."):
        return _without_summary(" ".join(texts))  # a title without markup, a blank line, its text
    wrapped = []
    for line in item.body:
        if line.kind != "text" or not (line.indent or line.text[:1].islower()):
            break
        wrapped.append(line.text)
    return _without_summary(_untitled(" ".join([item.head, *wrapped])))


def _split(lines: list[_Line], at: list[int]) -> list[_Item]:
    """The items that begin at the lines ``at``; each goes on to the next one."""
    return [_Item(lines[a].text, lines[a + 1 : b]) for a, b in itertools.pairwise([*at, len(lines)])]


def _items(lines: list[_Line], kind: str) -> list[_Item]:
    """The top-level items of one kind with the lines below them.

    Raises ``ParseError`` for a second list after the first, or numbers that do not follow one another.
    """
    at = [i for i, line in enumerate(lines) if line.kind == kind]
    least = min(lines[i].indent for i in at)
    at = [i for i in at if lines[i].indent <= least + 1]
    items = _split(lines, at)
    numbers = [lines[i].number or 0 for i in at]
    if kind == "number" and len(set(numbers)) > 1 and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ParseError(f"a list with the numbers {', '.join(map(str, numbers[:12]))}")
    if kind != "number":  # a numbered list says itself where it ends
        for k, item in enumerate(items[:-1]):
            blank = next((i for i, line in enumerate(item.body) if line.kind == "blank"), None)
            after = item.body[blank + 1 :] if blank is not None else []
            if any(line.kind in ("text", "heading") and line.indent <= least for line in after) and not _is_title(
                item.head
            ):
                raise ParseError(f"two lists, of {k + 1} and {len(items) - k - 1}")
    for item in items:
        end = next(
            (i for i, line in enumerate(item.body) if line.kind in ("text", "heading") and _is_summary(line.text)),
            len(item.body),
        )
        item.body = item.body[:end]
    # What follows a blank line behind the last item is a closing remark, unless the item is a title waiting for its
    # text.
    if items and not _is_title(items[-1].head):
        last = items[-1]
        end = next(
            (
                i
                for i, line in enumerate(last.body)
                if line.kind == "blank" or (line.kind == "text" and not line.indent and not line.text[:1].islower())
            ),
            len(last.body),
        )
        if not _START.search(" ".join(line.text for line in last.body)) or _START.search(last.head):
            last.body = last.body[:end]
    return items


def _is_summary(head: str) -> bool:
    return bool(_SUMMARY.match(head.lstrip("*_# ")))


def _listed(lines: list[_Line], kind: str) -> list[str]:
    """The texts of a list of one kind; a summary as its last item is left out."""
    items = _items(lines, kind)
    if len(items) > 1 and _is_summary(items[-1].head):
        items.pop()
    texts = [_text_of(i) for i in items]
    return counting.without_marks(texts) if kind == "bullet" else texts


def _headed(lines: list[_Line]) -> list[str]:
    """The texts below headings without numbers; a title on top and a summary are left out."""
    at = [i for i, line in enumerate(lines) if line.kind == "heading"]
    items = _split(lines, at)
    items = [i for i in items if any(line.kind != "blank" for line in i.body) and not _is_summary(i.head)]
    for item in items:
        end = next(
            (i for i, line in enumerate(item.body) if line.kind == "text" and _is_summary(line.text)), len(item.body)
        )
        item.body = item.body[:end]
    return [_text_of(i) for i in items]


def _lists(text: str) -> list[str] | None:
    """The texts of the first kind of list that ``text`` shows; None where it shows none."""
    raw = text.split("\n")
    lines = [_line(line) for line in raw]
    if sum(line.kind == "number" and not line.ordinal for line in lines) < 2:
        lines = [_line(line) for line in counting.numbered(raw)]
    several = {kind for kind, n in collections.Counter(line.kind for line in lines).items() if n > 1}
    for kind in ("number", "letter", "bullet"):
        if kind in several and not (kind == "bullet" and "heading" in several):
            return _listed(lines, kind)
    return _headed(lines) if "heading" in several else None


# --- other forms ---------------------------------------------------------------------------------------------------


def _strings(value: Any) -> list[str] | None:
    """The texts in parsed JSON of a shape that leaves no doubt which strings they are, else None."""
    if isinstance(value, list) and value:
        if all(isinstance(v, str) for v in value):
            return value
        if all(isinstance(v, dict) for v in value):
            low = [{str(k).lower(): x for k, x in v.items()} for v in value]
            key = next((k for k in _TEXT_KEYS if all(isinstance(v.get(k), str) for v in low)), None)
            return [v[key] for v in low] if key else None
        return None
    if not isinstance(value, dict):
        return None
    steps = {k: v for k, v in value.items() if _STEP_KEY.match(str(k))}
    if steps:
        inner = list(steps.values())
        if all(isinstance(v, str) for v in inner):
            return inner
        return _strings(inner) if all(isinstance(v, dict) for v in inner) else None
    named = [v for k, v in value.items() if _LIST_KEYS.match(str(k)) and isinstance(v, (list, dict))]
    if len(named) == 1:
        return _strings(named[0])
    nested = [v for v in value.values() if isinstance(v, (list, dict))]
    return _strings(nested[0]) if len(nested) == 1 and not named else None


def _json(text: str) -> list[str] | None:
    """The texts of an answer in JSON, or of a Python list; None where it is neither.

    Raises ``ParseError`` for a broken one.
    """
    fence = re.search(r"```(?:json|python)?\s*([\[{][^`]*)```", text)
    start = re.search(r"^\s*[\[{](?=\s*[\[{\"'\]}]|\s*$)", text, re.MULTILINE)
    if fence:
        source = fence[1]
    elif start:
        source = text[start.start() :]
    else:
        return None
    values, at = [], 0
    try:
        while (m := re.compile(r"\s*(?=[\[{])").match(source, at)) and len(values) < 20:
            value, at = json.JSONDecoder().raw_decode(source, m.end())
            values.append(value)
    except (ValueError, RecursionError):
        try:
            values = [ast.literal_eval(source.strip())]
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise ParseError("broken JSON") from None
    found = _strings(values[0] if len(values) == 1 else values)
    if found is None:
        raise ParseError("JSON in which it is not clear what the sub-texts are")
    return found


def _table(text: str) -> list[str] | None:
    """The last column of a Markdown table, or the items of an HTML list; None where it is neither."""
    if items := re.findall(r"<li>(.*?)</li>", text, re.DOTALL | re.IGNORECASE):
        return items
    rows = [
        [c.strip() for c in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.strip().startswith("|")
    ]
    rule = next((i for i, row in enumerate(rows) if all(re.fullmatch(r":?-+:?", c) for c in row)), None)
    if rule is None:
        return None
    return [row[-1] for row in rows[rule + 1 :]]


def _sentences(text: str) -> list[str] | None:
    """The pieces that begin with "This action is"; None where fewer than two lines or sentences do.

    In paragraphs each paragraph is one piece, in running text each sentence that begins so.
    """
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text) if p.strip()]
    own = [p for p in paragraphs if _OPENING.match(p)]
    if len(own) > 1:
        return [_described(p) or "" for p in own]
    starts = [m.start() for m in re.finditer(r"(?:^|(?<=[.!?:])\s|\n)\W*this\s+action\s+is\b", text, re.IGNORECASE)]
    if len(starts) < 2:
        return None
    pieces = [text[a:b] for a, b in itertools.pairwise([*starts, len(text)])]
    return [_without_summary(" ".join(p.split("\n\n")[0].split())) for p in pieces]


def _inline(text: str, n: int) -> list[str] | None:
    """Items in one line: "1. a 2. b 3. c", or n - 1 semicolons; None where there is no such line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        return None
    marks = [
        m
        for m in re.finditer(
            r"(?:(?<=[\s；。，;])|^)(?:\(?(\d{1,2})[.)]|[(（]?(\d{1,2})[、．）])(?!\d)\s*(?=\S)", lines[0]
        )
    ]
    if len(marks) > 1 and [int(m[1] or m[2]) for m in marks] == list(range(1, len(marks) + 1)):
        ends = [*(m.start() for m in marks[1:]), len(lines[0])]
        pieces = [lines[0][m.end() : end] for m, end in zip(marks, ends, strict=True)]
        return [_without_summary(p.strip()) for p in pieces]
    sentences = re.split(r"(?<=[.!?;])\s+", lines[0])
    if len(sentences) > 1 and (rest := counting.without_marks(sentences, numbers=False)) != sentences:
        return rest
    parts = re.sub(r"^[^:;]{0,80}:\s+", "", lines[0]).split(";")
    short = all(2 <= len(p.split()) <= 12 for p in parts)
    verbs = sum(bool(re.match(r"^\s*(?:and\s+)?\w+ing\b", p, re.IGNORECASE)) for p in parts)
    return parts if len(parts) == n and n > 2 and short and verbs == n else None


def _lines_alone(text: str) -> list[str] | None:
    """Plain lines, all alike: short, without markup, none a sentence to the reader; None for prose."""
    kept = [line.strip() for line in re.sub(r"```\w*", "", text).splitlines()]
    if len(kept) > 1 and (kept[0].endswith(":") or _PREAMBLE.match(kept[0])):
        kept = kept[1:]
    while kept and not kept[-1]:
        kept.pop()
    while kept and not kept[0]:
        kept.pop(0)
    if len(kept) > 1 and _SUMMARY.match(kept[-1].lstrip("*_ ")):
        kept = kept[:-1]
        while kept and not kept[-1]:
            kept.pop()
    texts = [line for line in kept if line]
    gaps = len(kept) - len(texts)
    odd = any(
        len(t.split()) > 25
        or len(t.split()) < 2
        or re.search(r"[?!:|<>{}\[\]#=]|\*\*|^[\W_]+$", t)
        or re.search(r"[.!?]\s+\S", t)
        for t in texts
    )
    if (
        len(texts) < 2
        or odd
        or gaps not in (0, len(texts) - 1)
        or any(re.match(r"^(?:i|you|we|it)\b", t, re.IGNORECASE) for t in texts)
    ):
        return None
    return texts


def _thoughtless(text: str) -> str:
    """Without what a reasoning model thought aloud, closed or not."""
    low = text.lower()
    if (end := low.rfind("</think>")) >= 0:
        return text[end + len("</think>") :]
    return text[:start] if (start := low.find("<think>")) >= 0 else text


def parse(raw: str, n: int) -> list[str]:
    """Exactly ``n`` cleaned, non-empty sub-texts out of the answer ``raw``.

    Understands JSON (bare, fenced, lists, objects), tables, numbered, lettered and bulleted lists, headings, "Step 1:",
    sentences that start with "This action is", plain lines and one line of items; drops preambles and closing
    summaries. Nothing is cut off or made up to reach ``n``. Raises ``ParseError`` that says what there is instead.
    """
    if not raw or not raw.strip():
        raise ParseError("an empty answer")
    text = re.sub(r"<\|\w*\|>", "", _thoughtless(raw)).replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff \n\t")
    if len(text) > LONGEST:
        raise ParseError(f"an answer of {len(text)} characters is no list of {n} sub-texts")
    if not text or _REFUSAL.match(text.lstrip("*_ ")):
        raise ParseError(f"no list of {n} sub-texts, but {text[:80]!r}")
    found: list[str] | None = None
    for read in (_json, _table, _lists, _sentences, functools.partial(_inline, n=n), _lines_alone):
        found = read(text)
        if found is not None:
            break
    if found is not None and read in (_json, _table):
        found = counting.without_marks(found)
    texts = counting.without_marks([clean(t, ordinals=False) for t in found or []], numbers=False)
    texts = [clean(t) for t in texts]
    if not texts or not any(texts):
        raise ParseError(f"no list of {n} sub-texts, but {text[:80]!r}")
    if len(texts) != n:
        raise ParseError(f"{len(texts)} sub-texts instead of {n}")
    if not all(texts):
        raise ParseError(f"{sum(not t for t in texts)} of {n} sub-texts are empty")
    return texts
