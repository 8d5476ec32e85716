"""What the LLM is asked: the system prompt (Table 7) and the four question prompts (Table 6), as printed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from sfar import paper
from sfar.errors import ConfigError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam

_NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number(n: int) -> str:
    """``n`` in words, as the prompts write it."""
    return _NUMBERS[n] if 0 < n < len(_NUMBERS) else str(n)


def system() -> str:
    """Table 7."""
    return paper.load("table7")[0]["text"]


def questions(n: int = 4) -> dict[int, str]:
    """The question prompts of Table 6 by their row, 1 to 4.

    Another ``n`` than 4 stands in the place of "four". Raises ``ConfigError`` for N below 2: TPP and Eq. 5 are about
    several sub-texts.
    """
    if n < 2:
        raise ConfigError(f"N={n}: expected at least 2 sub-texts a class")
    return {int(r["prompt"]): r["text"].replace("four", number(n)) for r in paper.load("table6")}


def action_line(name: str) -> str:
    """The line that names the class, before the question.

    The prompts of Table 6 have no place for it and the paper does not say where it stands. Written as a JSON string, a
    class name with quotation marks, line breaks or an instruction in it stays one quoted name.
    """
    return f"Action: {json.dumps(name, ensure_ascii=False)}"


def structure(n: int = 4) -> dict[str, Any]:
    """The ``response_format`` of an answer with exactly ``n`` texts.

    A property for each, all required: some servers ignore how many items a list may have. ``parse`` reads it.
    """
    steps = [f"step_{i}" for i in range(1, n + 1)]
    schema = {
        "type": "object",
        "properties": {step: {"type": "string"} for step in steps},
        "required": steps,
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "steps", "strict": True, "schema": schema}}


def messages(
    name: str,
    question: str,
    images: tuple[bytes, ...] = (),
    complaint: str = "",
    n: int = 4,
    system_in_question: bool = False,
) -> list[ChatCompletionMessageParam]:
    """The chat messages for one class; with ``images`` (JPEG) the frames of one video follow the text (Table 14).

    ``complaint``: what was wrong with the answer before; the paper's prompts allow answers that have no N parts, so a
    repeated question says what was missing. ``n``: sub-texts asked for. ``system_in_question``: Table 7's text stands
    at the head of the question, for models that take no system prompt.
    """
    text = f"{action_line(name)}\n{question}"
    if system_in_question:
        text = f"{system()}\n\n{text}"
    if images:
        text += f"\nThe images are {len(images)} frames of one video of this action, in order."
    if complaint:
        text += (
            f"\nAn earlier answer could not be used: {complaint}. "
            f"Answer with exactly {number(n)} numbered lines of at most 30 words and nothing else."
        )
    content: str | list[ChatCompletionContentPartParam] = text
    if images:
        content = [{"type": "text", "text": text}]
        for image in images:
            url = "data:image/jpeg;base64," + base64.b64encode(image).decode()
            content.append({"type": "image_url", "image_url": {"url": url}})
    user: ChatCompletionMessageParam = {"role": "user", "content": content}
    return [user] if system_in_question else [{"role": "system", "content": system()}, user]
