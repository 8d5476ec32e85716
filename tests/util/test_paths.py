"""Files and folders are written whole or not at all."""

import errno
import json
import os

import pytest

from sfar.errors import ConfigError, SfarError
from sfar.util import paths


class FullDisk:
    """A file object on a disk that is full: takes nothing."""

    def __init__(self, file, error=errno.ENOSPC):
        self.file, self.error = file, error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, _):
        raise OSError(self.error, os.strerror(self.error))


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_write_and_overwrite(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    paths.write_atomic(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    paths.write_atomic(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n"
    assert listing(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644, "readable by others, unlike what mkstemp makes"


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
@pytest.mark.parametrize("before", [None, "the earlier file"])
def test_full_disk_keeps_the_earlier_file(tmp_path, monkeypatch, where, before):
    path = tmp_path / "table1.json"
    if before is not None:
        path.write_text(before)
    real = os.fdopen
    if where == "write":
        monkeypatch.setattr(paths.os, "fdopen", lambda fd, mode: FullDisk(real(fd, mode)))
    else:
        monkeypatch.setattr(paths.os, where, no_space)
    with pytest.raises(SfarError) as e:
        paths.write_atomic(path, "a longer new text")
    monkeypatch.undo()
    assert str(path) in str(e.value) and "No space left" in str(e.value) and "free some space" in str(e.value)
    assert listing(tmp_path) == ([] if before is None else ["table1.json"])
    assert before is None or path.read_text() == before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_interruption_keeps_the_earlier_file(tmp_path, monkeypatch, interruption):
    path = tmp_path / "a.txt"
    path.write_text("earlier")

    def stop(_):
        raise interruption

    monkeypatch.setattr(paths.os, "fsync", stop)
    with pytest.raises(interruption):
        paths.write_atomic(path, "later")
    monkeypatch.undo()
    assert listing(tmp_path) == ["a.txt"] and path.read_text() == "earlier"


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(SfarError, match=r"cannot write .*table1.json"):
        paths.write_atomic(tmp_path / "results" / "table1.json", "x")


def test_write_json(tmp_path):
    path = tmp_path / "a.json"
    paths.write_json(path, {"z": [1, 2.5, None], "a": "Übung"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"z": [1, 2.5, None], "a": "Übung"}
    assert path.read_text(encoding="utf-8").endswith("}\n") and "Übung" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError):
        paths.write_json(path, {"mean": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["a"] == "Übung" and listing(tmp_path) == ["a.json"]


def test_build_folder(tmp_path):
    final = tmp_path / "new" / "world"
    paths.build_folder(final, lambda folder: (folder / "a").write_text("1"))
    assert listing(final) == ["a"] and listing(final.parent) == ["world"]
    assert final.stat().st_mode & 0o777 == 0o755
    paths.build_folder(final, lambda folder: (folder / "b").write_text("2"))
    assert listing(final) == ["b"], "built anew, not mixed with what was there"


@pytest.mark.parametrize(
    "error, raised",
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SfarError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("a mistake"), ValueError),
        (SfarError("a video is damaged"), SfarError),
    ],
)
def test_build_folder_leaves_nothing_half_done(tmp_path, error, raised):
    final = tmp_path / "world"

    def build(folder):
        (folder / "half").write_text("x")
        raise error

    with pytest.raises(raised) as e:
        paths.build_folder(final, build)
    assert listing(tmp_path) == []
    if isinstance(error, OSError):
        assert "cannot write" in str(e.value) and str(final) in str(e.value) and "No space left" in str(e.value)
    else:
        assert e.value is error, "what is not the disk's doing is not blamed on it"
    final.mkdir()
    (final / "earlier").write_text("x")
    with pytest.raises(raised):
        paths.build_folder(final, build)
    assert listing(tmp_path) == ["world"] and listing(final) == ["earlier"]


def test_places(tmp_path, monkeypatch):
    assert paths.results("storyboard") == paths.PROJECT / "results" / "storyboard"
    assert (paths.PROJECT / "pyproject.toml").is_file() and paths.notebooks().parent == paths.PROJECT
    monkeypatch.delenv("SFAR_CACHE", raising=False)
    assert paths.cache() == paths.PROJECT / ".cache"
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    assert paths.cache() == tmp_path
    monkeypatch.chdir(tmp_path)
    assert paths.PROJECT.is_absolute(), "notebooks run from other folders"


def test_results_elsewhere_take_the_notebooks_of_the_checkout(tmp_path, monkeypatch):
    """The checkout is then only read, unless the other place is a clone with notebooks of its own."""
    assert paths.in_repository()
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert paths.notebooks() == paths.CHECKOUT / "notebooks" and not paths.in_repository()
    (tmp_path / "notebooks").mkdir()
    assert paths.notebooks() == tmp_path / "notebooks" and paths.in_repository()
    monkeypatch.setattr(paths, "CHECKOUT", None)
    with pytest.raises(ConfigError, match=r"README\.md is not there: .* comes with the repository.*SFAR_HOME"):
        paths.of_repository("README.md")


def test_a_folder_can_be_written_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path / "project")
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "project" / "kept"))
    paths.check_folder(tmp_path / "new" / "folder")
    assert listing(tmp_path) == [], "nothing is left"
    (tmp_path / "project").touch()
    for name, advice in (
        ("results/storyboard", "or set SFAR_HOME to another folder$"),
        ("notebooks", "or set SFAR_HOME to another folder$"),
        ("kept/run", "or set SFAR_CACHE to another folder$"),
        ("other", "check the folder's rights$"),
    ):
        for write in (
            paths.check_folder,
            lambda path: paths.check_output(path / "a"),
            lambda path: paths.write_atomic(path / "a", "x"),
            lambda path: paths.build_folder(path, lambda _: None),
        ):
            with pytest.raises(SfarError, match=rf"cannot write .*{name}.*(Not a directory|File exists).*{advice}"):
                write(tmp_path / "project" / name)


def test_relative_places_are_those_of_the_folder_at_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SFAR_CACHE", "kept")
    assert paths.cache() == paths.START / "kept" and paths.START.is_absolute() and tmp_path != paths.START
