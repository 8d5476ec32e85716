"""A server on this machine that speaks the chat API, from sub-texts at hand: no key, no network, no bill.

It answers in the many forms of real models, and badly on purpose: busy, broken, stalling, refusing, with three items
instead of four.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sfar.model.clip import token_ids
from sfar.subtexts.prompts import number
from sfar.subtexts.texts import SubTexts


@dataclass
class Reply:
    """One HTTP answer: ``text`` as a chat completion, or ``body`` as it is.

    ``delay``: seconds before it is sent; ``cut`` ends the connection half way.
    """

    text: str | None = None
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    finish: str = "stop"
    refusal: str | None = None


def asked(request: dict[str, Any]) -> str:
    """The class name in a request of ``prompts.messages``."""
    content = request["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    return json.loads(next(line for line in text.split("\n") if line.startswith("Action: ")).removeprefix("Action: "))


def images(request: dict[str, Any]) -> list[bytes]:
    """The pictures in a request, as they arrived."""
    content = request["messages"][-1]["content"]
    parts = [] if isinstance(content, str) else [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    return [base64.b64decode(url.split(",", 1)[1]) for url in parts]


def _tokens(value: Any) -> int:
    return len(token_ids(value)) if isinstance(value, str) else sum(_tokens(p.get("text", "")) for p in value)


class Loopback:
    """The server, as a context manager: ``url`` for ``--base-url``, ``requests`` all bodies received, in order.

    ``answer(request, count)`` gives the ``Reply``; ``count`` says how often this class was asked before. Tokens are
    counted by CLIP's tokenizer.
    """

    def __init__(self, answer: Callable[[dict[str, Any], int], Reply]):
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._gone = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass  # a server in the background has no place on the terminal

            def do_POST(self) -> None:
                outer._serve(self, answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Loopback:
        # It looks for its end every so many seconds.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._gone.set()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, answer: Callable[[dict[str, Any], int], Reply]) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        name = asked(request)
        with self._lock:
            self.requests.append(request)
            self.headers.append(dict(handler.headers))
            count = self._counts.get(name, 0)
            self._counts[name] = count + 1
        try:
            reply = answer(request, count)
            if reply.delay:
                self._gone.wait(reply.delay)
            self._send(handler, request, reply)
        except OSError:
            handler.close_connection = True  # the client has gone

    def _send(self, handler: BaseHTTPRequestHandler, request: dict[str, Any], reply: Reply) -> None:
        body = reply.body
        if reply.text is not None or reply.refusal is not None:
            usage = {
                "prompt_tokens": sum(_tokens(m["content"]) for m in request["messages"]),
                "completion_tokens": len(token_ids(reply.text or "")),
            }
            body = {
                "id": "loopback",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": request["model"],
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": reply.finish,
                        "message": {"role": "assistant", "content": reply.text, "refusal": reply.refusal},
                    }
                ],
                "usage": {**usage, "total_tokens": sum(usage.values())},
            }
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **reply.headers}
        for k, v in headers.items():
            handler.send_header(k, v)
        handler.end_headers()
        if reply.cut:
            handler.wfile.write(raw[: len(raw) // 2])
            handler.wfile.flush()
            # A reset, not a polite end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        handler.wfile.write(raw)


def forms(texts: list[str]) -> dict[str, str]:
    """The same sub-texts in the forms that models really answer."""
    n = number(len(texts))
    action = [f"This action is {t}." for t in texts]
    numbered = [f"{i}. {t}" for i, t in enumerate(texts, 1)]
    return {
        "numbered": "\n".join(numbered),
        "prompted": f"Here are the {n} steps:\n\n" + "\n\n".join(f"{i}. {t}" for i, t in enumerate(action, 1)),
        "bold": "\n".join(f"**Step {i}:** {t}" for i, t in enumerate(action, 1))
        + "\n\nTogether, these steps form the whole action.",
        "bullets": "Sure!\n\n" + "\n".join(f"- {t[0].upper()}{t[1:]}." for t in texts),
        "sentences": " ".join(action) + " In summary, this action is a sequence of movements.",
        "json": "```json\n"
        + json.dumps({"steps": [{"step": i, "description": t} for i, t in enumerate(texts, 1)]})
        + "\n```",
        "headings": "\n\n".join(f"### Phase {i}\n{t}" for i, t in enumerate(action, 1)),
        "letters": "\n".join(f"{chr(96 + i)}) {t}" for i, t in enumerate(texts, 1)),
    }


def error(code: str, message: str) -> dict[str, Any]:
    """The body of an answer that refuses."""
    return {"error": {"message": message, "type": "error", "code": code}}


def unreliable(texts: SubTexts) -> Callable[[dict[str, Any], int], Reply]:
    """Answers from ``texts``, each class in another of the ``forms``, from a server that fails now and then.

    The first request for every third class meets one of the ways to fail.
    """
    order = {name: i for i, name in enumerate(texts)}
    style = list(forms(["a", "b"]))
    trouble = [
        Reply(status=429, body=error("rate_limit_exceeded", "too many requests"), headers={"Retry-After": "0.3"}),
        Reply(status=500, body=error("server_error", "something broke")),
        Reply(body={"id": "x", "object": "chat.completion", "created": 0, "model": "loopback", "choices": []}),
        Reply(refusal="I cannot describe that."),
        Reply(
            status=503, body=b"<html>overloaded</html>", headers={"Content-Type": "text/html", "retry-after-ms": "200"}
        ),
        Reply(text="three", cut=True),
    ]

    def answer(request: dict[str, Any], count: int) -> Reply:
        name = asked(request)
        k = order[name]
        if count == 0 and k % 3 == 1:
            which = k // 3 % (len(trouble) + 1)
            return trouble[which] if which < len(trouble) else Reply(text=forms(list(texts[name])[:-1])["numbered"])
        return Reply(text=forms(list(texts[name]))[style[k % len(style)]], delay=0.05)

    return answer
