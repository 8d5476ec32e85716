"""What a server's reply is: an answer of the chat API, an error in one of many shapes, or no reply of such an API.

Servers that are compatible with OpenAI's differ most in how they say no: with any status, 200 included, and in words.
"""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime
from typing import Any

CUT = "cut off at the "  # ... server's token limit
FILTERED = "stopped by the server's content filter"
REFUSED = "refused by the server"
# What the user can do about a problem that begins so. Not part of it: the problem is told to the model as well.
ADVICE = {
    CUT: "--max-tokens N allows longer answers (reasoning counts)",
    FILTERED: "another --model may answer; or leave the class out and write its sub-texts by hand",
    REFUSED: "another --model may answer; or leave the class out and write its sub-texts by hand",
}

_CREDIT = re.compile(
    r"insufficient_(?:user_)?(?:quota|balance|credits?|funds)|billing_(?:hard_limit_reached|not_active)"
    r"|exceeded_current_quota_error|arrearage",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"\binsufficient (?:account )?(?:balance|credits?|funds)\b", re.IGNORECASE)
_FILTER = re.compile(
    r"content_filter|content_policy_violation|responsibleaipolicyviolation|data_?inspection_?failed|invalid_prompt"
    r"|moderation_blocked",
    re.IGNORECASE,
)
_FILTER_WORDS = re.compile(
    r"content (?:management )?polic|content[ -]filter|usage polic|content exists risk|(?:inappropriate|unsafe) content"
    r"|(?:prompt|input|content|text)\b.{0,40}\bflagged|moderation",
    re.IGNORECASE,
)
_SYSTEM = re.compile(
    r"\bsystem (?:role|prompt|message|instruction)s?\b.{0,40}(?:\bnot\b|n't\b)|\brole\b.{0,4}\bsystem\b.{0,20}\bnot\b"
    r"|(?:\bnot|n['’]t) support\W{1,3}system\b|developer instructions? (?:is|are) not|roles must alternate"
    r"|only user and assistant roles",
    re.IGNORECASE,
)
_STRUCTURED = re.compile(r"response[_ ]?format|json[_ ]?schema|structured output", re.IGNORECASE)


def said(body: Any) -> str:
    """The words of an error body in any of its shapes; "" where there are none."""
    if isinstance(body, str):
        return "" if re.match(r"\s*<", body) else " ".join(body.split())  # a web page says nothing to a user
    if isinstance(body, list):
        return next((words for b in body if (words := said(b))), "")
    if isinstance(body, dict):
        return next((words for k in ("message", "error", "detail", "msg") if (words := said(body.get(k)))), "")
    return ""


def _codes(body: Any) -> str:
    """Every code and type in an error body, also of the error within it."""
    if isinstance(body, list):
        return " ".join(map(_codes, body))
    if not isinstance(body, dict):
        return ""
    own = [
        str(body[k]) for k in ("code", "type", "param", "error_type", "status") if isinstance(body.get(k), (str, int))
    ]
    return " ".join([*own, *(_codes(body[k]) for k in ("error", "innererror") if k in body)])


def kind(status: int, body: Any) -> str:
    """What no repetition mends: "credit", "system", "structured" (the request's format), "filter"; else "".

    ``status``: of the reply; with 200 a filter is recognised by its code alone.
    """
    codes, words = _codes(body), said(body)
    if status == 402 or _CREDIT.search(codes) or _NO_CREDIT.search(words):
        return "credit"
    if _SYSTEM.search(words) or "messages[0].role" in codes:
        return "system"
    if _FILTER.search(codes) or (status in (400, 403, 422, 451) and _FILTER_WORDS.search(words)):
        return "filter"
    return "structured" if _STRUCTURED.search(f"{codes} {words}") else ""


def choice(completion: Any) -> Any | None:
    """The first choice of a completion; None where there is none that could hold an answer."""
    choices = getattr(completion, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(first, "message", None)
    if message is None or isinstance(message, (str, int, float, list)) or getattr(first, "error", None):
        return None
    failed = getattr(first, "finish_reason", None) == "error" and not getattr(message, "content", None)
    return None if failed else first


def error_of(completion: Any) -> Any:
    """The error in a body that has no choice, as dict, list or text; None where it names none."""
    choices = getattr(completion, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    for where in (completion, first):
        if error := getattr(where, "error", None) or getattr(where, "detail", None):
            return error
    words = getattr(completion, "message", None)
    return {"message": words, "code": getattr(completion, "code", None)} if isinstance(words, str) else None


def instead(completion: Any) -> str:
    """What a body without a choice is, in words."""
    if isinstance(completion, str):
        text = completion.lstrip("\ufeff \r\n\t").lower()
        if text.startswith(("<!doctype", "<html", "<?xml", "<head", "<body")):
            return "a web page"
        if text.startswith(("data:", "event:", ": ")):
            return "a stream of events, which was not asked for"
        return "a text that is no JSON" if text else "nothing"
    if completion is None:
        return "null"
    if (error := error_of(completion)) is not None:
        return f"an error with status 200: {said(error) or 'without words'}"
    return "JSON without a choice"


def retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait (``retry-after-ms``; ``Retry-After`` in seconds or as a date), or None."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            value = float(headers.get(name)) / scale
        except (TypeError, ValueError):
            continue
        if 0 <= value < float("inf"):
            return value
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after"))
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
