"""Targets of tables and figures: each has a notebook and a make target; `make reproduce` goes on where it stopped."""

import dataclasses
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sfar import paper, studies
from sfar.cli.main import main
from sfar.config import SETTINGS, changed, get_profile, values
from sfar.errors import ConfigError
from sfar.render.tables import Table
from sfar.reproduce import targets
from sfar.studies.core.blocks import Shown, Verdicts
from sfar.studies.core.study import Content, Item, Study
from sfar.util import cache, paths

ROOT = Path(__file__).resolve().parents[2]


def test_every_study_has_a_notebook_of_its_own():
    have = {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")}
    # The first shows the method, the last the way of one's own videos: they measure nothing.
    assert sorted(["00_method", "16_your_own_videos", *(s.notebook for s in studies.studies())]) == sorted(have)
    assert studies.ORDER[-1] == "audit", "it names the effects that the records have"


def test_commands_are_listed_without_torch():
    code = "import sys, sfar.cli.main as m; m.parser(); sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_unknown_item_is_one_message(capsys):
    assert main(["reproduce", "tabel2e"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sfar: unknown table or figure 'tabel2e'; did you mean 'table2e'?") and said.count("\n") == 1


def test_groups_only_where_there_are_groups():
    with pytest.raises(ConfigError, match="can be chosen for fig7b and table2d, not for table2e"):
        targets.make("table2e", get_profile("storyboard"), groups=["a.json"])


@pytest.mark.parametrize("item", ["table1", "table2e", "fig7b", "table8"])
def test_what_cannot_be_measured_is_said_before(item, capsys):
    assert main(["reproduce", item, "--dataset", "storyboard-charades"]) == 2
    assert "have several labels: use `sfar reproduce table2a`" in capsys.readouterr().err


# --- one function for all studies -------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A project of its own with one study, `tiny`, of target `table99`; it counts how often it is measured."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "notebooks").mkdir()
    notebook = '{"cells": [{"cell_type": "code", "source": "x", "outputs": []}]}'
    (tmp_path / "notebooks" / "99_tiny.ipynb").write_text(notebook)
    measured = []

    def answer(profile, workers):
        measured.append((profile.seeds, workers))
        return Content({"answer": len(profile.seeds)})

    def table(record):
        return Table(["answer"], [[record.data["answer"]]])

    tiny = Study(
        id="tiny",
        title="Tiny",
        notebook="99_tiny",
        covers=(Item("table99", "Table 99"),),
        measure_content=answer,
        claims=(),
        blocks=(Shown("answer", table, terminal=True), Verdicts()),
    )
    monkeypatch.setattr(Study, "inputs", lambda self, profile, groups=(): "0")
    monkeypatch.setattr(studies, "ORDER", ("tiny",))
    monkeypatch.setattr(studies, "load", lambda name: {"tiny": tiny}[name])
    return measured


def files(made):
    return {f.name for f in made.files}


def test_a_study_is_measured_written_and_shown(study, tmp_path):
    seeds = get_profile("storyboard").seeds
    made = targets.make("table99", get_profile("storyboard"), workers=3)
    assert study == [(seeds, 3)] and f"| {len(seeds)} " in made.text and made.standard
    assert files(made) == {"tiny.csv", "tiny.md", "tiny.json"}
    assert all(f.parent == tmp_path / "results" / "storyboard" for f in made.files)
    assert made.parameters(get_profile("storyboard"), {}, []) == {"overrides": {}, "seeds": list(seeds)}
    other = targets.make("table99", get_profile("storyboard", {"seeds": [7], "train.epochs": 1}))
    assert not other.standard and other.files[0].parent.parent == tmp_path / "results" / "runs"
    given = other.parameters(get_profile("storyboard", {"seeds": [7]}), {"seeds": [7], "train.epochs": 1}, [])
    assert given == {"overrides": {"train.epochs": 1}, "seeds": [7]}


def test_results_elsewhere_leave_the_repository_as_it_is(study, tmp_path, monkeypatch, capsys):
    """SFAR_HOME names a folder without notebooks: those of the checkout are read, and refreshed by nobody."""
    profile = get_profile("storyboard")
    clone, home = tmp_path / "clone", tmp_path / "home"
    (clone / "notebooks").mkdir(parents=True)
    for name in ("README.md", "DEVIATIONS.md"):
        (clone / name).write_text("<!--= uniform -->0 %<!--/-->")
    (tmp_path / "notebooks" / "99_tiny.ipynb").rename(clone / "notebooks" / "99_tiny.ipynb")
    monkeypatch.setattr(paths, "CHECKOUT", clone)
    monkeypatch.setattr(paths, "PROJECT", home)
    made = targets.make("table99", profile)
    assert not made.standard and all(f.parent == home / "results" / "storyboard" for f in made.files)
    targets.finish(made, profile)
    assert targets.pending(profile) == []
    assert main(["summary"]) == 0 and capsys.readouterr().out.count(",") == 0
    assert (home / "results" / "storyboard" / "README.md").is_file()
    assert (clone / "README.md").read_text() == "<!--= uniform -->0 %<!--/-->"


def test_finished_until_something_changes(study, tmp_path):
    profile, others = get_profile("storyboard"), get_profile("storyboard", {"seeds": [0]})
    assert targets.pending(profile) == ["table99"]
    made = targets.make("table99", profile)
    assert targets.pending(profile) == ["table99"], "its notebook has not been executed yet"
    targets.finish(made, profile)
    assert targets.pending(profile) == [] and targets.pending(others) == ["table99"]
    of_user = get_profile("storyboard", {"data.root": str(tmp_path)})
    assert targets.pending(of_user) == ["table99"], "a folder of the user's may change"
    changes = {made.files[-1]: b'"answer": ', tmp_path / "notebooks" / "99_tiny.ipynb": b'"outputs": ['}
    for file, place in changes.items():
        before = file.read_bytes()
        file.write_bytes(before.replace(place, place + b"1"))
        assert targets.pending(profile) == ["table99"], file
        os.utime(file, (0, 0))
        file.write_bytes(before)
        assert targets.pending(profile) == [], "only contents count, not times"
    made.files[0].write_bytes(made.files[0].read_bytes().replace(b"\n", b"\r\n"))
    assert targets.pending(profile) == [], "line ends are git's business"
    made.files[0].unlink()
    assert targets.pending(profile) == ["table99"]


def test_what_the_paper_does_not_have_is_made_by_another_target(capsys):
    """`make reproduce` makes the paper's tables and figures, `make explore` the rest; each once."""
    assert {s.id for s in studies.studies() if s.beyond} == {"readings_map", "budget", "knobs", "rivals"}
    profile = get_profile("storyboard", {"seeds": [9], "data.root": "/none"})  # nothing of it can be finished
    own, beyond = targets.pending(profile), targets.pending(profile, beyond=True)
    assert beyond == [] and own[0] == "table1" and "readings" not in own, "these are of the drawn world alone"
    assert main(["pending", "--seeds", "9", "--beyond"]) == 0
    assert capsys.readouterr().out.split() == ["readings", "budget", "knobs", "rivals"]


def test_other_code_is_not_finished(study, monkeypatch):
    profile = get_profile("storyboard")
    made = targets.make("table99", profile)
    before = targets._sources()
    # Edited while it ran: the mark is of the code that began.
    monkeypatch.setattr(targets, "_sources", lambda: "other")
    targets.finish(made, profile)
    assert targets.pending(profile) == ["table99"]
    monkeypatch.setattr(targets, "_sources", lambda: before)
    assert targets.pending(profile) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sfar/extra.csv", "a"),
        ("sfar/studies/extra.py", "a = 1\n"),
        ("notebooks/99_tiny.ipynb", '{"cells": [{"cell_type": "code", "source": "y"}]}'),
    ],
)
def test_what_the_sources_are(study, tmp_path, monkeypatch, file, text):
    package = tmp_path / "sfar"
    (package / "studies").mkdir(parents=True)
    monkeypatch.setattr("sfar.util.code.PACKAGE", package)
    before = targets._sources()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert targets._sources() == before
    (tmp_path / file).write_text(text)
    assert targets._sources() != before


def test_clean_cache_forgets_what_is_finished(study):
    profile = get_profile("storyboard")
    targets.finish(targets.make("table99", profile), profile)
    cache.clean()
    assert targets.pending(profile) == ["table99"]


def test_the_commands_that_make_calls(study, capsys, tmp_path):
    assert main(["pending", "--seeds", "0,1"]) == 0 and capsys.readouterr().out == "table99\n"
    two = get_profile("storyboard", {"seeds": [0, 1]})
    targets.finish(targets.make("table99", two), two)
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
    """``make(*arguments)`` in the repository, with a stub for `sfar` that notes how it is called.

    ``.todo``: what is pending, ``.bad``: what fails.
    """
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
            ["make", f"VENV={venv}", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, log.read_text().splitlines()

    run.todo, run.bad = todo, bad
    return run


def test_every_target_has_a_line_in_the_makefile(make):
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("reproduce-")]
    assert {line.split(":")[0].removeprefix("reproduce-") for line in lines} == set(studies.items())
    assert all(line.split(":", 1)[1].startswith(" env  ## ") for line in lines)
    for target in studies.items():
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


# --- towers and aliases ----------------------------------------------------------------------------------------------

PAPER = get_profile("paper", {"data.root": "/data"})
DRAWN = get_profile("storyboard")


def test_tables_of_the_larger_tower_are_runs_of_their_own_on_real_data():
    printed = {"table10": ("SFAR (ours)", "backbone"), "table11": ("SFAR (ours)", "backbone")}
    for table, (method, column) in printed.items():
        assert [r[column] for r in paper.load(table) if r["method"] == method] == ["ViT-L/14"]
    for what, first in (("table10", "table2b"), ("table11", "table1"), ("table12", "table3")):
        assert targets.overrides(what, DRAWN, ()) == targets.overrides(what, PAPER, ["model.clip"]) == {}
        assert targets.overrides(first, PAPER, ()) == {} and targets.repeated(first, PAPER) == ""
        assert targets.repeated(what, DRAWN) == targets.repeated(what, PAPER) == first
        large = changed(PAPER, targets.overrides(what, PAPER, ["train.epochs"]))
        assert large.model.clip == "ViT-L-14-quickgelu" and targets.repeated(what, large) == ""
        assert targets.folder(what, large) == paths.results("paper") / what
        assert targets.folder(what, PAPER) == targets.folder(first, PAPER) == paths.results("paper")
        assert targets.command(what, large) == f"make reproduce-{what} PROFILE=paper DATA=/data"
        other = changed(large, {"train.epochs": 1})
        assert targets.folder(what, other).parent == paths.runs() == targets.folder(first, large).parent
        assert targets.command(what, DRAWN) == f"make reproduce-{first}"
    pending = targets.pending(PAPER)
    assert {"table1", "table11", "table2b", "table10", "table3", "table12"} < set(pending)
    assert len(pending) == len(set(pending)) and pending.index("table11") == pending.index("table1") + 1


@pytest.mark.parametrize("profile", [PAPER, DRAWN], ids=["paper", "storyboard"])
def test_what_changes_no_number_sends_no_result_elsewhere(profile):
    plain = [k for k, s in SETTINGS.items() if s.laid_out]
    for key in (*plain, "data.decode_limit", "data.loader_workers"):
        before = values(profile)[key]
        other = changed(profile, {key: not before if isinstance(before, bool) else 4})
        assert targets.folder("table1", other) == paths.results(profile.name), key
    assert targets.folder("table1", changed(profile, {"data.max_bad_share": 0.5})).parent == paths.runs()


def test_the_help_says_which_targets_are_aliases():
    said = dict(re.findall(r"^reproduce-(\w+): env  ## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for what in studies.items():
        first = targets.repeated(what, DRAWN)
        assert re.findall(r"\(alias of (\w+)", said[what]) == [first] * bool(first), what
        assert ("PROFILE=paper: runs of its own" in said[what]) == (what in targets.TOWERS), what


def test_an_alias_says_so(study, capsys, monkeypatch):
    tiny = studies.load("tiny")
    two = dataclasses.replace(tiny, covers=(*tiny.covers, Item("fig99", "Figure 99")))
    monkeypatch.setattr(studies, "load", lambda name: two)
    for what, words in (("table99", False), ("fig99", True)):
        assert main(["reproduce", what, "--dry-run"]) == 0
        assert ("fig99 is in the record of table99" in capsys.readouterr().out) == words
