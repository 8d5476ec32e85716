"""Enumerations without the usual marks: lines that count 1, 2, 3, ... in any notation, or First, Then, Next, Finally.

One such line says nothing ("2 hands grip the bar"); lines that count from 1 to K without a gap are a list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_COUNT = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_HAN = "一二三四五六七八九十"
# "Frame 1:", "No. 2)", "#3", "1/4 -", "2nd,", "第三步：", or a number alone before a blank or a capital letter.
_MARK = re.compile(
    r"(?P<before>[#№(\[（【]?\s{0,2}(?:[^\W\d_]{1,15}[\s.#°º-]{0,3}){0,2}?)"
    rf"(?P<number>\d{{1,2}}|(?:{'|'.join(_COUNT)})(?![^\W\d_])|[{_HAN}])"
    r"(?:\s?(?:/|of)\s?\d{1,2})?"
    r"(?:(?P<strong>[^\W\d_]{0,4}\s{0,2}(?:[.)\]:：、。．）】,，·・>|~]{1,2}(?!\d)|[-–—]+(?=\s))\s*)(?=\S|$)"
    r"|(?P<blank>[*_]{0,2}\s+)(?=\S)|(?P<none>(?=[A-Z]|[^\W\d_a-z])))",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"[\s>]*(?:#{1,6}\s+)?[*_]*")  # quotation, heading, emphasis
_FIRST = (
    r"first(?:ly)?(?: of all)?|at first|(?:to )?(?:begin|start)(?: with)?|initially|in the beginning"
    r"|首先|第一|まず|最初に|zuerst|zunächst|d['’]abord|premièrement|primero"
)
_LATER = (
    r"second(?:ly)?|third(?:ly)?|fourth(?:ly)?|fifth(?:ly)?|sixth(?:ly)?|(?:and )?then|next|after(?:wards?| that| this)"
    r"|thereafter|subsequently|following (?:that|this)|from there|later|now|lastly|last|(?:and )?finally|in the end"
    r"|at last|eventually|ultimately|to (?:finish|end)|然后|接着|随后|其次|之后|最后|最终|次に|そして|それから|最後に"
    r"|dann|danach|anschließend|schließlich|zuletzt|ensuite|puis|enfin|luego|después|finalmente|por último"
)
_SEQUENCE = re.compile(
    rf"(?:(?P<first>{_FIRST})|(?P<later>{_LATER}))(?:\s*[,:，：、]\s*|(?<=[一-鿿ぁ-ん]))(?=\S)", re.IGNORECASE
)
# Without a comma only where every line begins so, and only words that are no adjectives.
_ADVERB = re.compile(
    r"(?:(?P<first>first(?:ly)?|initially)|(?P<later>(?:and )?then|next(?! to\b)|afterwards?|after that"
    r"|(?:second|third|fourth|last)ly|(?:and )?finally))(?:\s*,\s*|\s+)(?=\S)",
    re.IGNORECASE,
)


def in_digits(text: str) -> str:
    """The text with "1. " in the place of a digit in a circle, in brackets or with a stop, or a Roman numeral.

    Of one character, that is, at its head.
    """
    m = re.match(r"[①-⒛❶-➓㈠-㈩㊀-㊉Ⅰ-Ⅻ][.、．]?\s*", text)
    value = unicodedata.numeric(text[0], 0) if m else 0  # letters in circles have none
    return f"{value:.0f}. {text[m.end() :]}" if m and value else text


def _value(number: str) -> int:
    if number in _HAN:
        return _HAN.index(number) + 1
    return int(number) if number.isdecimal() else _COUNT.index(number.lower()) + 1


def _counted(lines: Sequence[str]) -> dict[int, tuple[int, int]]:
    """Where the mark of a line begins and ends, for the lines that count from 1 to K in one notation."""
    groups: dict[tuple[str, str], list[tuple[int, int, int, int]]] = {}
    for i, line in enumerate(lines):
        at = _BEFORE.match(line)
        m = _MARK.match(line, at.end() if at else 0)
        if m is None:
            continue
        before, kind = m["before"].strip().lower(), m.lastgroup or ""
        digits = m["number"].isdecimal()
        # A word before the number, or a number in words, may be the sentence itself: "One hand grips the bar".
        if kind == "strong" or (digits and (not before or before in "#№")):
            if kind == "none" and m.string[m.end()].islower():
                continue
            groups.setdefault((before, kind), []).append((i, _value(m["number"]), m.start(), m.end()))
    for group in groups.values():
        if len(group) > 1 and [value for _, value, _, _ in group] == list(range(1, len(group) + 1)):
            return {i: (start, end) for i, _, start, end in group}
    return {}


def _in_sequence(lines: Sequence[str]) -> dict[int, tuple[int, int]]:
    """As ``_counted``, for lines that begin with First, Then, Next, Finally and the like."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    for pattern, every in ((_SEQUENCE, False), (_ADVERB, True)):
        found = {}
        for i in filled:
            at = _BEFORE.match(lines[i])
            if m := pattern.match(lines[i], at.end() if at else 0):
                found[i] = m
        firsts = [m["first"] is not None for m in found.values()]
        if len(found) > 1 and firsts[0] and not any(firsts[1:]) and (not every or len(found) == len(filled)):
            return {i: (m.start(), m.end()) for i, m in found.items()}
    return {}


def numbered(lines: Sequence[str]) -> list[str]:
    """The lines with "1. ", "2. ", ... in the place of the marks of such an enumeration, if there is one."""
    found = _counted(lines) or _in_sequence(lines)
    out = list(lines)
    for k, (i, (start, end)) in enumerate(sorted(found.items()), 1):
        out[i] = f"{out[i][:start]}{k}. {out[i][end:]}"
    return out


def without_marks(texts: Sequence[str], numbers: bool = True) -> list[str]:
    """The texts of a list without such marks, where all of them have one.

    ``numbers`` False: the list had marks of its own, and a number behind these belongs to the text.
    """
    for find in (_counted, _in_sequence) if numbers else (_in_sequence,):
        found = find(texts)
        if len(found) == len(texts):
            texts = [t[: found[i][0]] + t[found[i][1] :] for i, t in enumerate(texts)]
    return list(texts)
