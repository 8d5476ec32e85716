"""Section 3.1 with an LLM: every class asked through the ``openai`` client, every answer kept, every sub-text checked.

The key comes from the environment and stays in the client: it is cut out of everything that is written or shown.
"""

from __future__ import annotations

import hashlib
import math
import os
import queue
import random
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from sfar.config import digest
from sfar.errors import ConfigError, SfarError
from sfar.subtexts import network, prompts, replies
from sfar.subtexts.check import problems
from sfar.subtexts.journal import Journal
from sfar.subtexts.parse import ParseError, parse
from sfar.util.extras import extra

with extra("llm", "asking a language model for sub-texts"):
    import openai

# US dollars per million tokens, read and written: OpenAI's list prices as of May 2026. --price gives others.
PRICES = {"gpt-4o": (2.50, 10.00), "gpt-4o-mini": (0.15, 0.60), "gpt-3.5-turbo": (0.50, 1.50)}
LONGEST_NAME = 200  # characters of a class name; a longer one is a mistake in the file

RETRIED = (408, 409, 429)  # and every 5xx
_NO_ANSWER = "an answer without a choice"  # in journals of the first version: such a reply was kept as an answer


@dataclass(frozen=True)
class Settings:
    """Whom to ask and how. ``temperature`` None: the server's own (some models take no other)."""

    model: str
    n: int = 4
    base_url: str | None = None  # None: OpenAI, or OPENAI_BASE_URL
    key_variable: str = "OPENAI_API_KEY"  # "" for a server that needs none
    temperature: float | None = None
    concurrency: int = 4
    attempts: int = 3  # answers per question before a class is reported
    retries: int = 6  # of one request that got no answer: 429, 5xx, time-out, cut connection
    timeout: float = 60.0  # seconds without a byte from the server
    longest_wait: float = 300.0  # seconds that a server may ask us to wait
    price: tuple[float, float] | None = None
    max_tokens: int | None = None  # of one answer; None: the server's own limit
    structured: bool = False  # ask for JSON with N texts (``json_schema``) beside the paper's free-text prompt
    system_in_question: bool = False  # for models that take no system prompt

    def check(self) -> Settings:
        """Raise ``ConfigError`` for a value outside its range; return self."""
        if not self.model.strip():
            raise ConfigError("--model: expected a model's name, such as gpt-4o")
        if self.base_url is not None and not network.is_url(self.base_url):
            # The address is not shown: it may hold a password.
            raise ConfigError("--base-url: expected an address such as http://localhost:8000/v1")
        if self.base_url is None and self.address() and not network.is_url(self.address() or ""):
            raise ConfigError("OPENAI_BASE_URL: expected an address such as http://localhost:8000/v1, or none")
        if self.key_variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", self.key_variable):
            raise ConfigError("--key-env: expected the name of an environment variable, not the key itself")
        for name in ("concurrency", "attempts", "max_tokens"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')}: expected at least 1, got {getattr(self, name)}")
        if self.retries < 0 or not 0 < self.timeout < math.inf or not 0 <= self.longest_wait < math.inf:
            raise ConfigError("--retries and --longest-wait: expected at least 0, and --timeout more than 0")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ConfigError(f"--temperature: expected at least 0, got {self.temperature}")
        if self.price is not None and (len(self.price) != 2 or not all(0 <= p < math.inf for p in self.price)):
            raise ConfigError(
                "--price: expected two prices of at least 0 per million tokens, read and written, such as 2.5,10"
            )
        prompts.questions(self.n)
        return self

    def address(self) -> str | None:
        """The address that was given, by option or by the client's own variable; None: OpenAI's."""
        return self.base_url if self.base_url is not None else os.environ.get("OPENAI_BASE_URL", "").strip() or None

    def is_openai(self) -> bool:
        """Whether OpenAI itself answers: by default, or where the address given is one of its own."""
        address = self.address()
        host = "api.openai.com" if address is None else urlsplit(address).hostname or ""
        return f".{host}".endswith(".api.openai.com")

    def prices(self) -> tuple[float, float] | None:
        """Dollars per million tokens, or None where they are not known: another server's are not OpenAI's."""
        return self.price or (PRICES.get(self.model) if self.is_openai() else None)


@dataclass(frozen=True)
class Question:
    """One class under one question prompt (a row of Table 6), or one video of it (Table 14).

    ``images``: its frames as JPEG; ``video``: its name.
    """

    name: str
    prompt: int
    images: tuple[bytes, ...] = ()
    video: str = ""


@dataclass
class Outcome:
    """What came of one question: its sub-texts, or what was wrong with the last answer and that answer."""

    question: Question
    texts: list[str] | None
    problem: str = ""
    raw: str = ""

    @property
    def advice(self) -> str:
        """What the user can do about the problem, where there is something particular; else ""."""
        return next((text for start, text in replies.ADVICE.items() if self.problem.startswith(start)), "")


def read_key(variable: str) -> str:
    """The key in environment variable ``variable``; "" needs none.

    Raises ``ConfigError`` that names the variable and never shows the key.
    """
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"no key in the environment variable {variable}: set it (it is written nowhere), or name another with "
            "--key-env; the bundled sub-texts need none, nor does a server of your own given with --base-url"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the key in {variable} has characters that no key has (a line break, a space, a letter outside ASCII): "
            "paste it again"
        )
    return key


class Asker:
    """Asks questions side by side and keeps every answer in a journal.

    A question that the journal answers is not asked again. Use ``run``; the result is in the order of the questions.
    """

    def __init__(self, settings: Settings, journal: Journal):
        self.settings = settings.check()
        self.journal = journal
        self._key = read_key(settings.key_variable)
        self._client = self._connected()
        self._questions = prompts.questions(settings.n)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._resume_at = 0.0  # a server that asks one request to wait means all of them
        self._unanswered = 0  # requests in a row that ran out of retries
        self._answered = False  # whether this run has had an answer: there is a chat API at the address
        # OpenAI's newer models know only the second name, most other servers only the first.
        self._limit = "max_completion_tokens" if settings.is_openai() else "max_tokens"
        self.tokens = [0, 0]
        self.requests = 0
        self._bar: tqdm | None = None  # of the run under way

    def _connected(self) -> openai.OpenAI:
        """The client. Raises ``ConfigError`` for a proxy or a certificate setting that it cannot be made with."""
        network.check()
        s = self.settings
        try:
            # The client's own retries are off: they cannot be shown, and give up where a server asks for more than a
            # minute.
            return openai.OpenAI(
                api_key=self._key or "none",
                base_url=s.address() or "https://api.openai.com/v1",
                max_retries=0,
                timeout=s.timeout,
            )
        except Exception as e:  # of the HTTP library below it, which has names of its own; they may quote a password
            raise ConfigError(
                f"no connection can be set up ({type(e).__name__}): check NO_PROXY, the other proxy variables and "
                "OPENAI_BASE_URL"
            ) from None

    # --- one request -----------------------------------------------------------------------------------------------

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    def key(self, q: Question) -> str:
        """What makes a question the same question.

        Model, prompts, N, temperature, class and frames, and where the prompts are sent in another form; not the
        server's address nor the limit of tokens.
        """
        images = [hashlib.sha256(i).hexdigest() for i in q.images]
        s = self.settings
        form = [name for name in ("structured", "system_in_question") if getattr(s, name)]
        return digest(
            self.settings.model,
            prompts.system(),
            self._questions[q.prompt],
            self.settings.n,
            self.settings.temperature,
            q.name,
            images,
            *form,
        )

    def _pause(self, seconds: float, why: str) -> None:
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)
        bar = self._bar
        if bar is not None:
            bar.set_postfix_str(f"waiting {seconds:.0f} s ({why})")

    def _hold(self) -> None:
        """Wait until no server has asked for patience; raise if the run is being ended."""
        while True:
            left = self._resume_at - time.monotonic()
            if self._stop.is_set():
                raise _Ended
            if left <= 0:
                return
            self._stop.wait(min(left, 0.5))

    def _request(self, q: Question, complaint: str) -> Any:
        """One answer from the server, waiting out what passes.

        Raises ``_Unanswered`` after the last retry, ``_Refused`` and ``SfarError`` for what no repetition mends.
        """
        s, why, chat = self.settings, "", True
        question = self._questions[q.prompt]
        asked: dict[str, Any] = {
            "model": s.model,
            "messages": prompts.messages(q.name, question, q.images, complaint, s.n, s.system_in_question),
            "temperature": openai.omit if s.temperature is None else s.temperature,
        }
        if s.structured:
            asked["response_format"] = prompts.structure(s.n)
        for attempt in range(s.retries + 1):
            self._hold()
            with self._lock:
                self.requests += 1
            failure: Exception | None = None
            completion = None
            limit: dict[str, Any] = {} if s.max_tokens is None else {self._limit: s.max_tokens}
            try:
                completion = self._client.chat.completions.create(**asked, **limit)
            except (openai.OpenAIError, ValueError) as e:  # ValueError: a body that is no JSON
                failure = e
            # Outside the except block: an error raised there would carry this one along, and with it whatever the
            # server quoted.
            if failure is not None:
                why, wanted, chat = self._weigh(failure, q)
            elif replies.choice(completion) is not None:
                return completion
            else:
                why, wanted, chat = self._nothing(completion, q), None, False
            if wanted is not None and wanted > s.longest_wait:
                raise SfarError(
                    f"the server asks to wait {wanted:.0f} s ({why}), longer than --longest-wait {s.longest_wait:g}: "
                    f"run again later; answers are kept in {self.journal.path}"
                )
            if attempt < s.retries:
                self._pause(wanted if wanted is not None else min(60.0, 2.0**attempt) * random.uniform(0.5, 1.0), why)
        if not chat and not self._answered:
            raise SfarError(
                f"no chat API at this address (does it end in /v1?): {self._where()} answered {s.retries + 1} requests "
                f"for class {q.name!r}, the last with {why}"
            )
        raise _Unanswered(f"no answer after {s.retries + 1} requests, the last: {why}")

    def _where(self) -> str:
        return network.bare(str(self._client.base_url)).rstrip("/")

    def _weigh(self, e: Exception, q: Question) -> tuple[str, float | None, bool]:
        """Why a request may be repeated, after how many seconds if the server says, and whether a chat API spoke.

        Raises for a request that may not.
        """
        if isinstance(e, openai.APIStatusError):
            return self._status(e, q), replies.retry_after(e.response.headers), True
        if isinstance(e, openai.APITimeoutError):
            return f"no answer within {self.settings.timeout:g} s", None, True
        if isinstance(e, openai.APIConnectionError):
            url = str(self._client.base_url)
            if why := network.hopeless(e, url):
                raise SfarError(f"{self._where()} {self._redact(why)}")
            proxy = network.through(url)
            way = f" through the proxy of {proxy}" if proxy else ""
            return f"connection failed{way}: {self._redact(str(e.__cause__ or e))[:120]}", None, True
        if isinstance(e, UnicodeEncodeError):  # class names are checked before
            raise ConfigError(
                "OPENAI_ORG_ID, OPENAI_PROJECT_ID or OPENAI_CUSTOM_HEADERS has a letter that no header can carry: "
                "correct or unset it"
            )
        return "an answer that is no JSON", None, False

    def _nothing(self, completion: Any, q: Question) -> str:
        """What came in the place of an answer, its tokens counted; raises if no repetition mends it."""
        self._count(getattr(completion, "usage", None))
        error = replies.error_of(completion)
        if error is not None:
            self._refuse(replies.kind(200, error), "HTTP 200", self._redact(replies.said(error))[:200])
        return self._redact(replies.instead(completion))[:250]

    def _refuse(self, kind: str, how: str, detail: str) -> None:
        """Raise for what no repetition mends (``replies.kind``), saying what would."""
        s = self.settings
        told = f"{how}: {detail}" if detail else how
        if kind == "credit":
            account = f"the account behind {s.key_variable}" if s.key_variable else f"the account at {self._where()}"
            raise SfarError(f"{account} has no credit left ({told}); answers so far are kept in {self.journal.path}")
        if kind == "system" and not s.system_in_question:
            raise SfarError(
                f"{s.model!r} takes no system prompt ({told}): "
                "--system-in-question sends it at the head of the question"
            )
        if kind == "structured" and s.structured:
            raise SfarError(
                f"{self._where()} has no structured output for {s.model!r} ({told}): leave out --structured"
            )
        if kind == "filter":
            raise _Refused(f"{replies.REFUSED}: {detail or 'its content filter'}")

    def _status(self, e: openai.APIStatusError, q: Question) -> str:
        """Why a request with this HTTP status may be repeated; raises for one that may not."""
        code, where = e.status_code, self._where()
        detail = self._redact(replies.said(e.body))[:200]
        if self.settings.max_tokens is not None and code == 400 and "max_completion_tokens" in detail:
            self._limit = "max_completion_tokens"
            return "the limit of tokens has another name for this model"
        body = {"error": e.body, "code": getattr(e, "code", None), "type": getattr(e, "type", None)}
        quota = " (insufficient_quota)" if getattr(e, "code", None) == "insufficient_quota" else ""
        self._refuse(replies.kind(code, body), f"HTTP {code}{quota}", detail)
        if code in (401, 403):  # the server's own words may quote parts of the key
            hint = (
                f"check the key in {self.settings.key_variable}"
                if self.settings.key_variable
                else "it wants a key: name its variable with --key-env"
            )
            raise SfarError(
                f"{where} refuses access (HTTP {code}): {hint}, and that it may use {self.settings.model!r}"
            )
        if code == 404:
            raise SfarError(
                f"{where} does not know the model {self.settings.model!r} or has no chat API there "
                f"(does the address end in /v1?; HTTP 404): {detail}"
            )
        if code in (405, 501):  # a server of files
            raise SfarError(f"no chat API at this address (does it end in /v1?): {where} answers HTTP {code}")
        if code == 407:
            proxy = network.through(str(self._client.base_url)) or "this machine"
            raise SfarError(f"the proxy of {proxy} wants a user and a password (HTTP 407)")
        if code in RETRIED or code >= 500:
            return f"HTTP {code}" + (f", {detail}" if detail else "")
        raise SfarError(f"{where} refuses the request for class {q.name!r} (HTTP {code}): {detail}")

    # --- one question ----------------------------------------------------------------------------------------------

    def _judge(self, entry: dict[str, Any]) -> tuple[list[str] | None, str]:
        """The sub-texts in a kept answer, or what is wrong with it.

        Kept answers are judged anew: a better parser saves a request.
        """
        if entry["problem"]:
            return None, entry["problem"]
        try:
            texts = parse(entry["raw"], self.settings.n)
        except ParseError as e:
            return None, str(e)
        wrong = problems(entry["class"], texts, self.settings.n)
        return (None, "; ".join(wrong)) if wrong else (texts, "")

    def _answer(self, q: Question) -> Outcome:
        key = self.key(q)
        problem, raw = "", ""
        kept = [e for e in self.journal.answers(key) if e["problem"] != _NO_ANSWER]
        tried = 0
        for entry in kept:
            texts, problem = self._judge(entry)
            raw = entry["raw"]
            if texts:
                return Outcome(q, texts, "", raw)
            # Cut off under another limit: that attempt was about the limit.
            tried += not (problem.startswith(replies.CUT) and entry.get("max_tokens") != self.settings.max_tokens)
        for attempt in range(tried, self.settings.attempts):
            started = time.monotonic()
            entry: dict[str, Any] = {
                "key": key,
                "class": q.name,
                "prompt": q.prompt,
                "video": q.video,
                "model": self.settings.model,
                "attempt": attempt + 1,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "max_tokens": self.settings.max_tokens,
            }
            try:
                entry |= self._read(self._request(q, problem))
            except _Refused as e:
                entry |= {"raw": "", "problem": self._redact(str(e)), "usage": None}
            except _Unanswered as e:
                with self._lock:
                    self._unanswered += 1
                    many = self._unanswered >= max(3, self.settings.concurrency)
                if many:
                    raise SfarError(
                        f"the server does not answer: {e}. "
                        f"Answers so far are kept in {self.journal.path}; run the same command again"
                    ) from None
                return Outcome(q, None, str(e), raw)
            entry["seconds"] = round(time.monotonic() - started, 3)
            self.journal.append(entry)
            self._answered = True
            with self._lock:
                self._unanswered = 0
            texts, problem = self._judge(entry)
            raw = entry["raw"]
            if texts:
                return Outcome(q, texts, "", raw)
        return Outcome(q, None, problem, raw)

    def _read(self, completion: Any) -> dict[str, Any]:
        """The journal's fields of an answer, whatever the server made of it."""
        choice = replies.choice(completion)
        message = getattr(choice, "message", None)
        content, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
        finish = getattr(choice, "finish_reason", None)
        if isinstance(content, list):  # parts, as some servers answer
            content = "\n".join(
                str(p.get("text", "")) if isinstance(p, dict) else str(getattr(p, "text", "")) for p in content
            )
        problem, raw = "", content if isinstance(content, str) else ""
        if refusal:
            problem, raw = f"refused by the model: {self._redact(str(refusal))[:120]}", raw or str(refusal)
        elif finish == "content_filter":
            problem, raw = replies.FILTERED, raw or str(message)[:2000]
        elif finish == "length":  # also where all of it went into reasoning, and no text came
            limit = self.settings.max_tokens
            problem = replies.CUT + ("server's token limit" if limit is None else f"limit of {limit} tokens")
            raw = raw or str(message)[:2000]
        elif not raw.strip():
            problem, raw = "an empty answer", raw or str(message)[:2000]
        return {
            "raw": self._redact(raw),
            "problem": problem,
            "finish": self._redact(str(finish)) if finish is not None else None,
            "answered_by": self._redact(str(getattr(completion, "model", "") or "")),
            "usage": self._count(getattr(completion, "usage", None)),
        }

    def _count(self, usage: Any) -> dict[str, int] | None:
        """Add what a reply says it used to ``tokens``; that in numbers, or None."""
        names = ("prompt_tokens", "completion_tokens")
        counts = {n: c for n in names if isinstance(c := getattr(usage, n, None), int)}
        with self._lock:
            for i, name in enumerate(names):
                self.tokens[i] += counts.get(name, 0)
        return counts or None

    # --- all of them -----------------------------------------------------------------------------------------------

    def cost(self) -> float | None:
        """Dollars for the tokens of this run, or None where the price is not known."""
        price = self.settings.prices()
        return None if price is None else sum(t * p for t, p in zip(self.tokens, price, strict=True)) / 1e6

    def run(self, questions: Sequence[Question]) -> list[Outcome]:
        """The outcome of every question, in order.

        Raises ``SfarError`` when going on is pointless (no access, unknown model, no credit, a dead server).
        Interrupted, it waits for the answers under way, so that they are kept, and raises ``KeyboardInterrupt``.
        """
        for q in questions:
            if not q.name.strip() or len(q.name) > LONGEST_NAME:
                raise ConfigError(
                    f"class name {q.name[:60]!r}: expected 1 to {LONGEST_NAME} characters, got {len(q.name)}"
                )
            if any("\ud800" <= c <= "\udfff" for c in q.name):
                raise ConfigError(f"class name {q.name!r}: has bytes that are no UTF-8")
        self.journal.open()
        out: dict[int, Outcome] = {}
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[int, Outcome | None, BaseException | None]] = queue.SimpleQueue()
        for i in range(len(questions)):
            todo.put(i)

        def work() -> None:
            while not self._stop.is_set():
                try:
                    i = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    done.put((i, self._answer(questions[i]), None))
                except BaseException as e:  # handed to the main thread, which raises it
                    self._stop.set()  # here, before another thread takes the next class
                    done.put((i, None, e))

        # Daemons: a second Ctrl-C must not wait for a server that does not answer.
        threads = [
            threading.Thread(target=work, daemon=True) for _ in range(min(self.settings.concurrency, len(questions)))
        ]
        failure: BaseException | None = None
        interrupted = False
        bar = tqdm(total=len(questions), desc=f"asking {self.settings.model}", unit="class", smoothing=0.1)
        self._bar = bar
        try:
            for t in threads:
                t.start()
            while len(out) < len(questions) and failure is None:
                try:
                    i, outcome, failure = done.get(timeout=0.5)
                except queue.Empty:
                    continue
                if outcome is not None:
                    out[i] = outcome
                    bar.update()
                    bar.set_postfix_str(self._progress(questions[i].name, sum(o.texts is None for o in out.values())))
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            self._stop.set()
            try:
                if interrupted:  # said here, where a second Ctrl-C already ends the waiting, however soon it comes
                    bar.set_postfix_str("interrupted: waiting for the answers under way; Ctrl-C again leaves them")
                for t in threads:
                    t.join()  # answers under way are paid for: they are written to the journal
                self.journal.close()
                self._client.close()
            finally:
                self._bar = None
                bar.close()
        while failure is not None and isinstance(failure, _Ended):
            _, _, failure = done.get_nowait()  # a thread that only stopped waiting; the one with the reason comes too
        if failure is not None:
            raise failure
        return [out[i] for i in range(len(questions))]

    def _progress(self, name: str, failed: int) -> str:
        cost = self.cost()
        parts = [name if len(name) <= 24 else name[:23] + "…", f"{sum(self.tokens):,} tokens"]
        return ", ".join(
            parts + ([f"${cost:.3f}"] if cost is not None else []) + ([f"{failed} failed"] if failed else [])
        )


class _Ended(Exception):
    """The run is being ended while a question waits."""


class _Unanswered(Exception):
    """No retry brought an answer."""


class _Refused(Exception):
    """The server refuses this class, and would again."""


def provenance(settings: Settings, prompt: int, journal: Path) -> dict[str, Any]:
    """What stands in the file beside generated sub-texts."""
    return {
        "generator": settings.model,
        "answered_by": "OpenAI" if settings.is_openai() else "an OpenAI-compatible server",
        "prompt": f"Table 6, row {prompt}",
        "n": settings.n,
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "structured": settings.structured,
        "system_prompt": "at the head of the question" if settings.system_in_question else "a message of its own",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "journal": journal.name,
    }
