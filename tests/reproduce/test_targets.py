"""Targets of tables and figures: all of them have a notebook and a make target; `make reproduce` goes on where it stopped."""

import os
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest

from sfar.config import get_profile
from sfar.errors import ConfigError, SfarError
from sfar.reproduce import targets as reproduce
from sfar.util import paths

ROOT = Path(__file__).resolve().parents[2]


def test_every_target_has_a_notebook_and_is_made_once():
    have = {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(reproduce.TARGETS.values()) == have
    assert len(set(reproduce.STEPS)) == len(reproduce.STEPS) and set(reproduce.STEPS) <= set(reproduce.TARGETS)
    assert {reproduce.TARGETS[s] for s in reproduce.STEPS} == have
    for _, targets in reproduce.STUDIES.values():
        assert len(set(targets) & set(reproduce.STEPS)) == 1
    order = {s: i for i, s in enumerate(reproduce.STEPS)}
    assert reproduce.STEPS[-1] == "audit", "it names the effects that the records have"
    assert order["fig7b"] < order["table13"] < min(order[s] for s in ("fig4", "fig8", "table6")), (
        "notebook 01 shows Table 13, which takes Figure 7b's accuracies"
    )


def test_every_study_has_its_page():
    for name, (notebook, targets) in reproduce.STUDIES.items():
        assert (ROOT / "sfar" / "report" / f"{name}.py").is_file() and (
            ROOT / "sfar" / "report" / f"{name}_page.py"
        ).is_file()
        assert all(reproduce.TARGETS[t] == notebook for t in targets)


def test_targets_are_listed_without_torch():
    code = "import sys; from sfar import reproduce; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_groups_only_where_there_are_groups():
    with pytest.raises(ConfigError, match="--groups is for fig7b and table2d, not for table2e"):
        reproduce.make("table2e", get_profile("storyboard"), groups=["a.json"])


# --- one function for all studies -------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A project of its own with one more study, `tiny`, of target `table99`; it counts how often it is measured."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "99_tiny.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "source": "x", "outputs": []}]}'
    )
    measured = []

    def measure(profile, workers):
        measured.append((profile.seeds, workers))
        return {"answer": len(profile.seeds)}

    def load(profile):
        raise SfarError("not there")

    def write(record, out):
        paths.write_json(out / "tiny.json", record)
        return [out / "tiny.json"]

    monkeypatch.setitem(
        sys.modules, "sfar.report.tiny", types.SimpleNamespace(STUDY=types.SimpleNamespace(measure=measure, load=load))
    )
    monkeypatch.setitem(
        sys.modules,
        "sfar.report.tiny_page",
        types.SimpleNamespace(write=write, text=lambda record: f"the answer is {record['answer']}"),
    )
    monkeypatch.setitem(reproduce.STUDIES, "tiny", ("99_tiny", ("table99",)))
    monkeypatch.setattr(reproduce, "STEPS", ("table99",))
    return measured


def test_a_study_is_measured_written_and_shown(study, tmp_path):
    made = reproduce.make("table99", get_profile("storyboard"), workers=3)
    assert (
        study == [((0, 1, 2, 3, 4), 3)]
        and made.text == "the answer is 5"
        and made.notebook == "99_tiny"
        and made.standard
    )
    assert made.files == [tmp_path / "results" / "storyboard" / "tiny.json"]
    assert made.parameters(get_profile("storyboard"), {}, []) == {"overrides": {}, "seeds": [0, 1, 2, 3, 4]}
    other = reproduce.make("table99", get_profile("storyboard", {"seeds": [7], "train.epochs": 1}))
    assert not other.standard and other.files[0].parent.parent == tmp_path / "results" / "runs"
    assert other.parameters(get_profile("storyboard", {"seeds": [7]}), {"seeds": [7], "train.epochs": 1}, []) == {
        "overrides": {"train.epochs": 1},
        "seeds": [7],
    }


def test_finished_until_something_changes(study, tmp_path, monkeypatch):
    profile, others = get_profile("storyboard"), get_profile("storyboard", {"seeds": [0]})
    assert reproduce.pending(profile) == ["table99"]
    made = reproduce.make("table99", profile)
    assert reproduce.pending(profile) == ["table99"], "its notebook has not been executed yet"
    reproduce.finish(made)
    assert reproduce.pending(profile) == [] and reproduce.pending(others) == ["table99"]
    assert reproduce.pending(get_profile("storyboard", {"data.root": str(tmp_path)})) == ["table99"], (
        "a folder of the user's may change"
    )
    for file in (made.files[0], tmp_path / "notebooks" / "99_tiny.ipynb"):
        before = file.read_bytes()
        file.write_bytes(before.replace(b'"outputs": []', b'"outputs": [1]').replace(b'"answer": 5', b'"answer": 6'))
        assert reproduce.pending(profile) == ["table99"], file
        os.utime(file, (0, 0))
        file.write_bytes(before)
        assert reproduce.pending(profile) == [], "only contents count, not times"
    made.files[0].unlink()
    assert reproduce.pending(profile) == ["table99"]


def test_not_finished_when_a_record_that_it_shows_changes(study, tmp_path):
    made = reproduce.make("table99", get_profile("storyboard"))
    made.needs = [tmp_path / "results" / "storyboard" / "other.json"]
    reproduce.finish(made)
    assert reproduce.pending(get_profile("storyboard")) == []
    made.needs[0].write_text("{}")
    assert reproduce.pending(get_profile("storyboard")) == ["table99"]
    reproduce.finish(made)
    assert reproduce.pending(get_profile("storyboard")) == []


def test_other_code_is_not_finished(study, monkeypatch):
    made = reproduce.make("table99", get_profile("storyboard"))
    before = reproduce._sources()
    monkeypatch.setattr(
        reproduce, "_sources", lambda: "other"
    )  # edited while it ran: the mark is of the code that began
    reproduce.finish(made)
    assert reproduce.pending(get_profile("storyboard")) == ["table99"]
    monkeypatch.setattr(reproduce, "_sources", lambda: before)
    assert reproduce.pending(get_profile("storyboard")) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sfar/extra.csv", "a"),
        ("sfar/report/extra.py", "a = 1\n"),
        ("notebooks/99_tiny.ipynb", '{"cells": [{"cell_type": "code", "source": "y"}]}'),
    ],
)
def test_what_the_sources_are(study, tmp_path, monkeypatch, file, text):
    package = tmp_path / "sfar"
    (package / "report").mkdir(parents=True)
    monkeypatch.setattr("sfar.util.code.PACKAGE", package)
    before = reproduce._sources()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert reproduce._sources() == before
    (tmp_path / file).write_text(text)
    assert reproduce._sources() != before


def test_clean_cache_forgets_what_is_finished(study):
    from sfar.util import cache

    reproduce.finish(reproduce.make("table99", get_profile("storyboard")))
    cache.clean()
    assert reproduce.pending(get_profile("storyboard")) == ["table99"]


def test_the_commands_that_make_calls(study, capsys, tmp_path):
    from sfar.cli.main import main

    assert main(["pending", "--seeds", "0,1"]) == 0 and capsys.readouterr().out == "table99\n"
    reproduce.finish(reproduce.make("table99", get_profile("storyboard", {"seeds": [0, 1]})))
    assert main(["pending", "--seeds", "0,1"]) == 0 and capsys.readouterr().out == "\n"
    assert main(["pending", "--profile", "papyrus"]) == 2 and "unknown profile 'papyrus'" in capsys.readouterr().err
    assert main(["summary", "--profile", "paper"]) == 0 and "README.md" in capsys.readouterr().out
    assert (tmp_path / "results" / "paper" / "README.md").is_file()


# --- make is the engine -----------------------------------------------------------------------------------------------

STUB = """#!/bin/sh
echo "$@" >> "{log}"
case "$1 $2" in
  "pending --profile") cat "{todo}" ;;
  "reproduce $(cat "{bad}")") echo "sfar: it failed" >&2; exit 2 ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """``make(*arguments)`` in the repository with a stub for `sfar` that notes how it is called; ``.todo``: what is pending, ``.bad``: what fails."""
    log, todo, bad, venv = (tmp_path / n for n in ("log", "todo", "bad", "venv"))
    (venv / "bin").mkdir(parents=True)
    (venv / ".ready").touch()
    todo.write_text("table1 table2e table4\n")
    bad.write_text("nothing")
    stub = venv / "bin" / "sfar"
    stub.write_text(STUB.format(log=log, todo=todo, bad=bad))
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

    def run(*arguments):
        log.write_text("")
        done = subprocess.run(
            ["make", f"VENV={venv}", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        return done, log.read_text().splitlines()

    run.todo, run.bad = todo, bad
    return run


def test_every_target_has_a_line_in_the_makefile(make):
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("reproduce-")]
    assert {line.split(":")[0].removeprefix("reproduce-") for line in lines} == set(reproduce.TARGETS)
    assert all(line.split(":", 1)[1].startswith(" env  ## ") for line in lines)
    for target in reproduce.TARGETS:
        done, calls = make(f"reproduce-{target}", "SEEDS=0,1", "JOBS=2")
        assert done.returncode == 0 and calls == [f"reproduce {target} --profile storyboard --seeds 0,1 --jobs 2"]


def test_make_reproduce_runs_what_is_pending_in_order(make):
    done, calls = make("reproduce", "-j8", "PROFILE=paper", "DATA=/data/k 400", "SEEDS=3")
    which = "--profile paper --seeds 3 --data /data/k 400"
    assert done.returncode == 0, done.stderr
    assert calls == [
        f"pending {which}",
        *(f"reproduce {t} {which}" for t in ("table1", "table2e", "table4")),
        f"summary {which}",
    ]
    make.todo.write_text("\n")
    done, calls = make("reproduce")
    assert calls == ["pending --profile storyboard", "summary --profile storyboard"] and "made already" in done.stdout


def test_make_reproduce_stops_at_a_failure_or_goes_on_with_the_rest(make):
    make.bad.write_text("table2e")
    done, calls = make("reproduce")
    assert done.returncode == 2 and "it failed" in done.stderr
    assert [c.split()[:2] for c in calls] == [
        ["pending", "--profile"],
        ["reproduce", "table1"],
        ["reproduce", "table2e"],
    ]
    done, calls = make("-k", "reproduce")
    assert done.returncode == 2 and [c.split()[1] for c in calls] == [
        "--profile",
        "table1",
        "table2e",
        "table4",
        "--profile",
    ]


def test_make_reproduce_says_why_nothing_can_be_pending(make):
    make.todo.unlink()
    done, calls = make("reproduce")
    assert done.returncode != 0 and calls == ["pending --profile storyboard"]
