"""The package as a wheel has it, away from the repository: it works, and writes nothing beside itself."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PRINT = "import json; from sfar.util import paths as p; print(json.dumps([str(p.PROJECT), str(p.cache()), p.CHECKOUT]))"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the unpacked wheel."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"  # a copy: building leaves files behind
    for name in ("sfar", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
        source.mkdir(exist_ok=True)
        copy(REPOSITORY / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", base, source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = base.glob("sfar-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(base / "site-packages")
    shutil.rmtree(source)
    return base / "site-packages"


@pytest.fixture
def call(site, tmp_path):
    """``call(arguments of python, ...)`` in an empty folder ``work``, with a home of its own."""
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    own = {"PYTHONPATH": str(site), "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    # "APPDATA" and "LOCALAPPDATA": a home on Windows.
    left_out = {"SFAR_HOME", "SFAR_CACHE", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"}

    def run(*args, **environment):
        return subprocess.run(
            [sys.executable, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path / "work",
            env={k: v for k, v in os.environ.items() if k not in left_out} | own | environment,
        )

    return run


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_where_things_are(site, call, tmp_path):
    def places(**environment):
        done = call("-c", PRINT, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    project, cache, checkout = places()
    assert Path(project) == tmp_path / "work" and checkout is None
    assert Path(cache).is_relative_to(tmp_path / "home") and Path(cache).name in ("sfar", "Cache")
    assert places(SFAR_HOME=str(tmp_path / "mine")) == [str(tmp_path / "mine"), cache, None]
    assert places(SFAR_CACHE=str(tmp_path / "kept")) == [project, str(tmp_path / "kept"), None]


def test_the_weights_are_in_it(site):
    have = {"clip.json", "clip.safetensors", "sfar.json", "sfar.safetensors"}
    assert {p.name for p in (site / "sfar/storyboard/weights").iterdir()} == have


@pytest.mark.slow
def test_commands_without_the_repository(site, call, tmp_path):
    before = files(site)
    layout = call("-m", "sfar", "data", "layout", "ucf101")
    assert layout.returncode == 0 and "UCF-101, 101 classes" in layout.stdout, layout.stderr
    small = ("--train-per-class", 1, "--val-per-class", 1)
    drawn = call("-m", "sfar", "storyboard", "draw", "--out", "drawn", *small)
    assert drawn.returncode == 0 and len(list((tmp_path / "work/drawn").rglob("*.mp4"))) == 50, drawn.stderr
    checked = call("-m", "sfar", "data", "check", "kinetics400", "--root", "drawn", "--workers", 1)
    assert checked.returncode == 0 and "All well" in checked.stdout, checked.stderr
    assert any(name.endswith(".jsonl") and "/sfar/" in f"/{name}" for name in files(tmp_path / "home"))
    assert files(site) == before and not (site / "sfar" / ".cache").exists() and not (site / ".cache").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["notebook", "03"], ["reproduce", "table1"], ["pending"], ["summary"]])
def test_what_needs_the_repository_says_so(site, call, command):
    done = call("-m", "sfar", *command)
    assert done.returncode == 2 and "comes with the repository" in done.stderr and "SFAR_HOME" in done.stderr, done
    assert "Traceback" not in done.stderr and done.stderr.count("sfar: ") == 1
