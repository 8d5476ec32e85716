"""Where things are: the project's folder, its results and its cache.

In a checkout of the repository all of them lie in it, whatever folder a notebook runs in. A package that was installed
from a wheel lies among others, where nothing is written: its results go to the folder it is called from, its cache to
the user's own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from sfar.errors import ConfigError, SfarError


def _checkout() -> Path | None:
    """The repository's folder, if this package lies in one: beside the pyproject.toml of its own name."""
    folder = Path(__file__).resolve().parents[2]
    try:
        about = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return folder if about.get("project", {}).get("name") == "sfar" else None


CHECKOUT = _checkout()
START = Path.cwd()  # where a relative place is looked for, also when the process goes on in another: notebooks do
PROJECT = START / os.path.expanduser(os.environ.get("SFAR_HOME") or CHECKOUT or "")  # ``results/`` is in it


def results(profile: str) -> Path:
    """Folder of the records and rendered tables of a profile."""
    return PROJECT / "results" / profile


def of_repository(name: str) -> Path:
    """A file or folder that the repository has and a wheel has not: README.md, DEVIATIONS.md, notebooks.

    That of ``PROJECT``, or else of the checkout, which is then only read (``in_repository``). Raises ``ConfigError``
    where it is not there because the package was installed from a wheel.
    """
    path = PROJECT / name
    if path.exists():
        return path
    if CHECKOUT is None:
        raise ConfigError(
            f"{path} is not there: {name} comes with the repository and not with an installed package; "
            "run this in a clone of the repository, or name one with SFAR_HOME"
        )
    return CHECKOUT / name


def notebooks() -> Path:
    """Folder of the notebooks. Raises ``ConfigError`` as ``of_repository``."""
    return of_repository("notebooks")


def runs() -> Path:
    """Folder of executed copies of notebooks and of results of other configurations; git ignores it."""
    return PROJECT / "results" / "runs"


def in_repository() -> bool:
    """Whether results are written in a clone, whose notebooks and pages follow them; not where SFAR_HOME moves them.

    Raises ``ConfigError`` as ``of_repository``.
    """
    return notebooks().parent == PROJECT


def cache() -> Path:
    """Folder of everything that can be computed again (``SFAR_CACHE`` moves it; ``make clean-cache`` empties it)."""
    if asked := os.environ.get("SFAR_CACHE"):
        return START / os.path.expanduser(asked)
    return PROJECT / ".cache" if CHECKOUT else platformdirs.user_cache_path("sfar", appauthor=False)


def _advice(path: Path) -> str:
    """What to do where ``path`` cannot be written."""
    own = {"SFAR_CACHE": [cache()], "SFAR_HOME": [PROJECT / "results", PROJECT / "notebooks"]}
    moved = [variable for variable, folders in own.items() if any(path.is_relative_to(f) for f in folders)]
    return "free some space or check the folder's rights" + "".join(f", or set {v} to another folder" for v in moved)


def check_folder(folder: Path) -> None:
    """Raise ``SfarError`` where no file can be written in ``folder``: asked before long work begins.

    Tried, and nothing is left: rights say little of a disk that is mounted to be read alone.
    """
    _try(folder, f"in {folder}")


def _try(folder: Path, what: object) -> None:
    near = folder
    try:
        while not near.exists():
            near = near.parent
        with tempfile.TemporaryFile(dir=near):
            pass
    except OSError as e:
        raise SfarError(f"cannot write {what}: {e.strerror or e}; {_advice(folder)}") from e


def free(folder: Path) -> int:
    """Bytes that are free on the disk that ``folder`` is on, or would be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(folder: Path, need: float, what: str) -> None:
    """Raise ``SfarError`` where ``need`` bytes of ``what`` are more than what is free: asked before they are made."""
    if need > (have := free(folder)):
        raise SfarError(
            f"{what}: {need / 1e9:,.1f} GB are needed in {folder}, and {have / 1e9:,.1f} GB are free. Nothing was "
            f"written there; {_advice(folder)}"
        )


def check_output(path: Path) -> Path:
    """``path`` if a file can be written there, asked before long or paid work begins. Raises ``SfarError``."""
    if not path.name or os.path.isdir(path):
        raise SfarError(f"cannot write {path}: expected the name of a file")
    _try(path.parent, path)
    return path


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write ``path`` whole or not at all: a full disk or an interruption leaves the earlier file.

    Raises ``SfarError`` naming the file when it cannot be written.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(fd, "wb") as f:
            f.write(raw)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as e:
        raise SfarError(f"cannot write {path}: {e.strerror or e}. Nothing was changed there; {_advice(path)}") from e
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def build_folder(final: Path, build: Callable[[Path], object], mark: str = "") -> None:
    """``build(temporary)`` fills a folder that is then renamed to ``final``: it is there whole or not at all.

    ``mark``: a file that says ``final`` is whole. If another process has put it there meanwhile, its folder is kept: it
    may be in use. Raises ``SfarError`` when the disk refuses.
    """
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
        build(temporary)
        temporary.chmod(0o755)
        if mark and (final / mark).is_file():
            return
        if final.exists():
            shutil.rmtree(final)
        os.replace(temporary, final)
    except OSError as e:
        if mark and (final / mark).is_file():
            return
        raise SfarError(f"cannot write {final}: {e.strerror or e}. Nothing was left there; {_advice(final)}") from e
    finally:
        if temporary and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def write_json(path: Path, data: Any) -> None:
    """``write_atomic`` of readable JSON; NaN is an error rather than an invalid file."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # A name on disk need not be text: JSON reads what stands for such bytes as it was.
    write_atomic(path, text.encode("utf-8", "backslashreplace"))
