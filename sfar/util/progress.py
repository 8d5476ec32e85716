"""Progress that is looked at: how long work still takes, and a quiet line in place of bars where a notebook runs it."""

from __future__ import annotations

import html
import io
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any, TextIO

from tqdm import tqdm

MARK = "sfar-progress"  # in the metadata of what ``quiet`` shows: no result, so that no notebook keeps it
TICK = 0.5  # seconds
WARM = 3.0  # seconds of ticks before anything is said of the time that is left


class Bar(tqdm):
    """A bar over work of known size whose first part comes late: processes start before anything is counted.

    The time that is left follows from what was done since the first tick, and is "?" for the first seconds of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._first: tuple[float, float] | None = None  # when the first tick came, and how much was done then
        super().__init__(*args, smoothing=0, **kwargs)

    def update(self, n: float | None = 1) -> bool | None:
        """As tqdm's."""
        shown = super().update(n)
        if self._first is None and n:
            self._first = time.time(), self.n
        return shown

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a line is made of; of it only the rate is not tqdm's own."""
        first, now = getattr(self, "_first", None), time.time()
        warm = first is not None and now - first[0] >= WARM
        rate = (self.n - first[1]) / (now - first[0]) if warm and first else 0.0
        return {**super().format_dict, "rate": rate}


# --- in a notebook ---------------------------------------------------------------------------------------------------

_BAR = re.compile(r"(?P<what>.*?):? +(?P<done>\d+)%\|[^|]*\|\s*(?P<rest>.*)")


class _Bars(io.TextIOBase):
    """Takes what tqdm writes, and hands on all else; ``last``: the bar that was written last."""

    def __init__(self, other: TextIO) -> None:
        self.other, self.last, self._in_bar = other, "", False

    def write(self, text: str) -> int:
        """A bar begins with a carriage return and ends with the line."""
        for part in re.split(r"(\r|\n)", text):
            if part == "\r":
                self._in_bar = True
            elif part == "\n" and self._in_bar:
                self._in_bar = False
            elif self._in_bar:
                self.last = part.strip() or self.last
            elif part:
                self.other.write(part)
        return len(text)

    def flush(self) -> None:
        """As the other's."""
        self.other.flush()


def line(what: str, bar: str, seconds: float, end: bool = False) -> str:
    """A quiet line of HTML: what is done, a bar of ``tqdm`` as far as there is one, and for how long."""
    found, tail = _BAR.fullmatch(bar), f"{seconds:.0f} s"
    words, meter = what, ""
    if found:
        runs = re.search(r"\d+/\d+ runs?", found["rest"])
        words = found["what"] + (f": {runs[0]}" if runs else "")
        left = re.search(r"<([\d:]+)", found["rest"])
        tail += f", about {left[1]} left" if left and not end else ""
        meter = "" if end else f'<progress value="{found["done"]}" max="100"></progress> '
    return f'<div style="color: #777; font-size: 90%">{meter}{html.escape(words)} · {tail}</div>'


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to tell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def quiet(what: str) -> Iterator[None]:
    """In a notebook one grey line that says every half second how ``what`` goes, in place of bars on red; else nothing.

    Bars are taken from ``sys.stderr`` as they are written; warnings stay where they are.
    """
    if not in_notebook():
        yield
        return
    from IPython.display import HTML, DisplayHandle

    handle, start, stop = DisplayHandle(), time.monotonic(), threading.Event()
    bars = _Bars(sys.stderr)

    def show(update: bool = True, end: bool = False) -> None:
        made = HTML(line(what, bars.last, time.monotonic() - start, end))
        (handle.update if update else handle.display)(made, metadata={MARK: True})

    def tick() -> None:
        while not stop.wait(TICK):
            show()

    show(update=False)
    watcher = threading.Thread(target=tick, daemon=True)
    watcher.start()
    try:
        with redirect_stderr(bars):
            yield
    finally:
        stop.set()
        watcher.join()
        show(end=True)
