"""Progress: what is said of the time that is left, and the quiet line of a notebook."""

import io
import sys
import types

import pytest
from tqdm import tqdm

from sfar.util import progress


@pytest.fixture
def clock(monkeypatch):
    """The time that a bar sees; it goes on by hand."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "time", lambda: now[0])
    return now


def _bar(clock, total):
    bar = progress.Bar(total=total, file=io.StringIO(), mininterval=0)
    bar.start_t = clock[0]
    return bar


def test_the_time_that_is_left_is_of_the_work_alone(clock):
    """Processes take 20 seconds to start, then 10 units a second: 100 seconds for 1,000, not 50 times as many."""
    bar = _bar(clock, 1010)
    clock[0] += 20
    bar.update(10)
    assert bar.format_dict["rate"] == 0 and "?" in str(bar), "nothing is known yet"
    clock[0] += 1
    bar.update(10)
    assert bar.format_dict["rate"] == 0
    clock[0] += 4
    bar.update(40)
    assert bar.format_dict["rate"] == pytest.approx(10)
    assert (bar.total - bar.n) / bar.format_dict["rate"] == pytest.approx(95)
    bar.close()


def test_a_line_says_what_how_far_and_how_long():
    bar = "training:  50%|█████     | 2/4 [00:10<00:10, 2/4 runs, sfar/seed 1]"
    said = progress.line("measuring Table 1", bar, 12.4)
    assert "training: 2/4 runs · 12 s, about 00:10 left" in said and '<progress value="50" max="100">' in said
    assert "red" not in said and "#777" in said
    done = progress.line("measuring Table 1", bar.replace("50%", "100%").replace("2/4 runs", "4/4 runs"), 21, end=True)
    assert "training: 4/4 runs · 21 s" in done and "left" not in done and "<progress" not in done
    assert "a &lt;b&gt; · 3 s" in progress.line("a <b>", "", 3)


def test_bars_are_taken_and_warnings_handed_on():
    other = io.StringIO()
    bars = progress._Bars(other)
    print("a warning", file=bars)
    for _ in tqdm(range(3), desc="drawing", file=bars, mininterval=0):
        pass
    print("another", file=bars)
    assert other.getvalue() == "a warning\nanother\n" and bars.last.startswith("drawing: 100%|")


def test_outside_a_notebook_nothing_changes(capsys):
    with progress.quiet("work"):
        print("as ever", file=sys.stderr)
    assert capsys.readouterr() == ("", "as ever\n")


@pytest.fixture
def notebook(monkeypatch):
    """What a kernel is shown, in order: (text, metadata)."""
    shown = []
    monkeypatch.setitem(
        sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=True))
    )

    class Handle:
        def display(self, made, metadata):
            shown.append((made.data, metadata))

        update = display

    html = type("HTML", (), {"__init__": lambda self, data: setattr(self, "data", data)})
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=html, DisplayHandle=Handle))
    return shown


def test_a_notebook_sees_a_line_at_once_and_at_the_end(notebook, capsys):
    with progress.quiet("drawing"):
        assert len(notebook) == 1 and "drawing · 0 s" in notebook[0][0]
        for _ in tqdm(range(4), desc="decoding"):
            pass
    assert "decoding · " in notebook[-1][0] and all(m == {progress.MARK: True} for _, m in notebook)
    assert capsys.readouterr().err == ""


def test_what_fails_is_raised_and_the_line_ends(notebook):
    with pytest.raises(ValueError, match="wrong"), progress.quiet("work"):
        raise ValueError("wrong")
    assert "work · " in notebook[-1][0] and sys.stderr is not None
