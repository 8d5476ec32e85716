"""The package as a wheel has it, installed away from the repository: it works, and writes nothing beside itself.

A command that imports torch takes seconds to begin: those that share an environment share a process.
"""

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from waiting import ENOUGH

REPOSITORY = Path(__file__).resolve().parents[2]
PRINT = "import json; from sfar.util import paths as p; print(json.dumps([str(p.PROJECT), str(p.cache()), p.CHECKOUT]))"

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"

# Standard input: a JSON list of commands. Standard output: a JSON list of what each gave, by one process.
COMMANDS = """
import contextlib, io, json, sys
import pytest
from sfar.cli.main import main
sys.path.append(sys.argv[1])
import one_process
done = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if argv[:2] != ["data", "check"]:  # one command with a process of its own is enough
            one_process.videos(patch)
        status = main(argv)
    done.append([status, out.getvalue(), err.getvalue()])
json.dump(done, sys.stdout)
"""
# The first do their work, the others cannot.
WORKING = (
    ["data", "layout", "ucf101"],
    ["storyboard", "draw", "--out", "drawn", "--train-per-class", "1", "--val-per-class", "1"],
    ["data", "check", "kinetics400", "--root", "drawn", "--workers", "1"],
    ["train", "sfar", "--out", "sfar.safetensors", "--data", "drawn", "--set", "train.epochs=1"],
    ["predict", "drawn/val", "--checkpoint", "storyboard", "--json", "answers.jsonl"],
)
REFUSED = (["notebook", "03"], ["reproduce", "table1"], ["pending"], ["summary"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: building leaves files behind."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    source.mkdir()
    for name in ("sfar", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
        copy(REPOSITORY / name, source / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(base)], cwd=source, capture_output=True, text=True, timeout=ENOUGH
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    (built,) = base.glob("sfar-*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel):
    """The Python of an environment that has the wheel, by pip, and sees the other packages of this one."""
    folder = wheel.parent / "venv"
    venv.create(folder, symlinks=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ["install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile", str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(python), *install]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENOUGH)
    assert done.returncode == 0, done.stderr
    # As a search path alone: .pth files there, such as that of the repository itself, are not followed.
    (installed,) = folder.rglob("site-packages")
    (installed / "others.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An empty folder ``work`` and a home, away from everything."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "work").mkdir()
    (folder / "home").mkdir()
    return folder


@pytest.fixture(scope="module")
def call(bare, place):
    """``call(program of the environment, its arguments, ...)`` in ``work``: what it gave to standard output."""
    # One thread: the suite's other worker has the other core.
    own = {"HOME": str(place / "home"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    # "APPDATA" and "LOCALAPPDATA": a home on Windows.
    left_out = {"PYTHONPATH", "SFAR_HOME", "SFAR_CACHE", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"}

    def run(program, *args, given="", **environment):
        done = subprocess.run(
            [str(bare.parent / program), *args],
            input=given,
            capture_output=True,
            text=True,
            timeout=ENOUGH,
            cwd=place / "work",
            env={k: v for k, v in os.environ.items() if k not in left_out} | own | environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def installed(bare):
    """Folder of the installed package."""
    (folder,) = bare.parents[1].rglob("site-packages/sfar")
    return folder


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def done(call, installed):
    """(status, stdout, stderr) of the commands, and the files of the package before them."""
    before = files(installed)
    given = json.loads(call("python", "-c", COMMANDS, str(REPOSITORY / "tests"), given=json.dumps(WORKING + REFUSED)))
    return given[: len(WORKING)], given[len(WORKING) :], before


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    """Weights, banks, label lists, printed tables, and the mark that its types count."""
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if name.startswith("sfar/")}
    here = {f"sfar/{name}" for name in files(REPOSITORY / "sfar") if "__pycache__" not in name}
    assert there == here and "sfar/py.typed" in there


def test_where_things_are(call, place):
    def places(**environment):
        return json.loads(call("python", "-c", PRINT, **environment))

    project, cache, checkout = places()
    assert Path(project) == place / "work" and checkout is None
    assert Path(cache).is_relative_to(place / "home") and Path(cache).name in ("sfar", "Cache")
    assert places(SFAR_HOME=str(place / "mine")) == [str(place / "mine"), cache, None]
    assert places(SFAR_CACHE=str(place / "kept")) == [project, str(place / "kept"), None]


def test_the_command_is_installed(call):
    assert call("sfar", "config", "train.epochs").startswith("train.epochs\n")


@pytest.mark.slow
def test_commands_without_the_repository(done, installed, place):
    (layout, drawn, checked, trained, predicted), _, before = done
    assert layout[0] == 0 and "UCF-101, 101 classes" in layout[1], layout
    assert drawn[0] == 0 and len(list((place / "work/drawn").rglob("*.mp4"))) == 50, drawn
    assert checked[0] == 0 and "All well" in checked[1], checked
    assert trained[0] == 0 and (place / "work/sfar.safetensors").is_file(), trained
    assert predicted[0] == 0 and predicted[1].count(".mp4  ") == 25, predicted
    assert any(name.endswith(".jsonl") and "/sfar/" in f"/{name}" for name in files(place / "home"))
    assert files(installed) == before and not (installed.parent / ".cache").exists()


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(len(REFUSED)), ids=[argv[0] for argv in REFUSED])
def test_what_needs_the_repository_says_so(done, nth):
    status, _, err = done[1][nth]
    assert status == 2 and "comes with the repository" in err and "SFAR_HOME" in err, err
    assert err.count("sfar: ") == 1
