"""``sfar config``: every field is listed and can be asked for by name."""

import json
import subprocess
import sys

import pytest
from waiting import ENOUGH

from sfar.cli.main import main
from sfar.config import PROFILES, SETTINGS, values


def told(capsys, *argv):
    assert main(["config", *argv]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_the_listing_has_every_field(capsys):
    out = told(capsys)
    first = [line.split()[0] for line in out.splitlines() if line and not line.startswith(" ")]
    assert first == ["Field", *SETTINGS, "All"]
    flat = " ".join(out.split())
    for key, known in SETTINGS.items():
        assert known.doc in flat and known.source in flat and known.expected in flat, key
    assert all(len(line) <= 100 for line in out.splitlines())


def test_one_group(capsys):
    lines = told(capsys, "train").splitlines()
    assert [s for s in SETTINGS if s.startswith("train.")] == [s.split()[0] for s in lines if s.startswith("train.")]
    assert not any(s.startswith(("model.", "data.", "seeds")) for s in lines)


@pytest.mark.parametrize("key", SETTINGS)
def test_one_field_at_length(capsys, key):
    out = told(capsys, key)
    known, flat = SETTINGS[key], " ".join(out.split())
    assert out.startswith(f"{key}\n") and f"--set {key}=" in out
    for text in (known.doc, known.source, known.unit, known.expected, known.free, *known.protocols.values()):
        assert text in flat
    for r in known.readings:
        assert r.where in flat and r.says in flat and r.taken in flat


def test_a_reading_with_the_place_of_its_effect(capsys):
    out = " ".join(told(capsys, "model.frame_temperature").split())
    assert "storyboard null paper null" in out and "DEVIATIONS.md, The model" in out
    assert "Measured effect: [measured]; numbers: DEVIATIONS.md, results/storyboard/ablations.md" in out
    assert "Learning rate 5e-5 in the text" in told(capsys, "train.lr_clip"), "the row of another field names this one"


def test_for_programs(capsys):
    every = json.loads(told(capsys, "--json"))
    assert list(every) == list(SETTINGS)
    for key, about in every.items():
        assert about["values"] == {name: values(p)[key] for name, p in PROFILES.items()}
        assert json.loads(told(capsys, key, "--json")) == about
    assert every["train.flip"]["low"] == 0 and every["train.flip"]["high"] == 1 and every["train.lr_head"]["above"] == 0
    assert every["model.attention"]["choices"] == ["printed", "mha"]
    effect = every["model.ffn"]["readings"][0]["effect"]
    assert effect[1] == {"study": "ablations", "field": "model.ffn", "pair": None}


@pytest.mark.parametrize(
    "name, near",
    [("model.frame_temp", "frame_temperature"), ("frame_temperature", "model.frame_temperature"), ("modell", "model")],
)
def test_an_unknown_name(capsys, name, near):
    assert main(["config", name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and repr(name) in err and f"did you mean {near!r}?" in err


def test_every_field_says_its_meaning_range_and_source(capsys):
    for key, about in json.loads(told(capsys, "--json")).items():
        assert about["doc"].endswith(".") and about["source"], key
        limited = about["type"] == "bool" or about["expected"] or about["free"]
        assert limited, f"{key}: neither a range nor why there is none"


def test_the_listing_cut_off_by_a_reader_is_no_traceback():
    """As by ``sfar config | head``: the reader ends while there is more to come than the pipe holds."""
    command = [sys.executable, "-m", "sfar", "config", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pipesize": 4096}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as p:
        p.stdout.readline()
        p.stdout.close()
        assert (p.wait(ENOUGH), p.stderr.read()) == (141, "")
