"""Kept work: found again when nothing it depends on has changed, never half done, never stale."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from sfar.errors import SfarError
from sfar.model import clip
from sfar.util import cache

STAGES = tuple(cache.STAGES)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the files behind the keys, which a test may edit."""
    copy = tmp_path / "sfar"
    for name in {n for files in cache.STAGES.values() for n in files} | {"model/cost.py"}:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(cache.PACKAGE / name, copy / name)
    monkeypatch.setattr(cache, "PACKAGE", copy)
    cache._file_version.cache_clear()
    yield copy
    cache._file_version.cache_clear()


def edit(path, old, new, last=False):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(new.join(text.rsplit(old, 1) if last else text.split(old, 1)), encoding="utf-8")
    state = path.stat()
    os.utime(
        path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000)
    )  # later for certain, however coarse the clock


def listing(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_copy_of_the_code_has_the_same_version(package, monkeypatch):
    copied = [cache.code_version(s) for s in STAGES]
    cache._file_version.cache_clear()
    monkeypatch.setattr(cache, "PACKAGE", Path(cache.__file__).resolve().parents[1])
    assert [cache.code_version(s) for s in STAGES] == copied


def test_key_changes_with_its_inputs():
    keys = {
        cache.key(s, i, w)
        for s in STAGES
        for i in ([1, 2], [2, 1], {"seed": 1}, {"seed": 2}, None)
        for w in (True, False)
    }
    assert len(keys) == len(STAGES) * 5 * 2
    assert cache.key("run", {"a": 1, "b": 2}) == cache.key("run", {"b": 2, "a": 1})
    assert all(k.isalnum() and len(k) == 16 for k in keys)


def test_key_changes_with_the_libraries(monkeypatch):
    before = [(cache.key(s, 1), cache.key(s, 1, with_libraries=False)) for s in STAGES]
    monkeypatch.setattr(cache, "version", lambda name: "0.0.1")
    after = [(cache.key(s, 1), cache.key(s, 1, with_libraries=False)) for s in STAGES]
    assert all(a[0] != b[0] and a[1] == b[1] for a, b in zip(after, before))


@pytest.mark.parametrize(
    "old, new",
    [
        ("    y = logits[:, labels]", "    # a remark\n\n    y = logits[:, labels]  # another"),
        ("Section 3.4: the InfoNCE loss", "Another first line"),
        ("Read with the minus sign", "Another docstring"),
        (
            "    v2t = F.cross_entropy(logits, labels)",
            "    v2t = F.cross_entropy(\n        logits,\n        labels,\n    )",
        ),
    ],
)
def test_a_comment_throws_nothing_away(package, old, new):
    before = [cache.code_version(s) for s in STAGES]
    edit(package / "model/loss.py", old, new)
    assert [cache.code_version(s) for s in STAGES] == before


@pytest.mark.parametrize(
    "file, stages",
    [
        ("model/loss.py", {"run"}),
        ("config.py", {"run", "embeddings"}),
        ("data/transforms.py", {"run", "embeddings"}),
        ("data/store.py", {"frames", "embeddings", "run"}),
        ("storyboard/world.py", {"world", "sets"}),
        ("storyboard/sets.py", {"sets"}),
        ("studies/table13.py", {"table13"}),
        ("subtexts/tpp.py", {"fig7b"}),
        ("studies/table1.py", {"table1", "fig7b", "ablations", "few_shot", "zero_shot", "multi_label", "sub_actions"}),
        ("studies/few_shot.py", {"few_shot"}),
        ("storyboard/weights/clip.json", {"run", "embeddings"}),
    ],
)
def test_a_change_is_noticed_where_it_matters(package, file, stages):
    """``stages``: those that must notice; no stage may that does not name the file."""
    before = {s: cache.code_version(s) for s in STAGES}
    edit(package / file, "\n", "\nEXTRA = 1\n", last=True)
    noticed = {s for s in STAGES if cache.code_version(s) != before[s]}
    assert stages <= noticed == {s for s, files in cache.STAGES.items() if file in files}


def test_a_change_elsewhere_is_not(package):
    before = [cache.code_version(s) for s in STAGES]
    edit(package / "model/cost.py", "\n", "\nEXTRA = 1\n", last=True)
    assert [cache.code_version(s) for s in STAGES] == before


def test_every_sign_and_every_default_counts(package):
    versions = [cache.code_version("run")]
    for old, new in (
        ("t2v + lam * v2t", "t2v - lam * v2t"),
        ("lam: float = 1.0", "lam: float = 0.5"),
        ("info_nce", "info_nce_2"),
    ):
        edit(package / "model/loss.py", old, new)
        versions.append(cache.code_version("run"))
    assert len(set(versions)) == 4


def test_a_text_that_is_not_a_docstring_counts(package):
    edit(package / "config.py", "\n", '\nTEXT = "one"\n', last=True)
    before = cache.code_version("run")
    edit(package / "config.py", '"one"', '"two"')
    assert cache.code_version("run") != before


def test_undoing_a_change_finds_the_work_again(package):
    before = cache.key("run", 1)
    edit(package / "model/loss.py", "t2v + lam", "t2v - lam")
    assert cache.key("run", 1) != before
    edit(package / "model/loss.py", "t2v - lam", "t2v + lam")
    assert cache.key("run", 1) == before


def test_the_record_of_the_clip_weights_is_of_these_weights():
    """The weights enter the key of a run through the hash in their record."""
    record = json.loads((clip.WEIGHTS / "clip.json").read_text(encoding="utf-8"))
    assert record["record"]["sha256"] == hashlib.sha256((clip.WEIGHTS / "clip.safetensors").read_bytes()).hexdigest()


# --- results -------------------------------------------------------------------------------------------------------


def test_json_is_found_again(own_cache):
    assert cache.load_json("run", "k") is None
    cache.save_json("run", "k", {"top1": 50.0})
    assert cache.load_json("run", "k") == {"top1": 50.0} and cache.load_json("run", "other") is None
    assert listing(own_cache / "run") == ["k.json"]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"top1": 50.0', b"\xff\xfe\x00", b"not json", b'{"a": 1}{"b": 2}'])
def test_a_damaged_entry_counts_as_absent(own_cache, damage):
    cache.save_json("run", "k", {"top1": 50.0})
    (own_cache / "run" / "k.json").write_bytes(damage)
    assert cache.load_json("run", "k") is None
    assert listing(own_cache / "run") == [], "it is not looked at twice"
    cache.save_json("run", "k", {"top1": 51.0})
    assert cache.load_json("run", "k") == {"top1": 51.0}


def test_a_number_that_is_none_is_refused(own_cache):
    with pytest.raises(ValueError):
        cache.save_json("run", "k", {"top1": float("nan")})
    assert cache.load_json("run", "k") is None and listing(own_cache / "run") == []


def test_a_run_is_kept_under_the_code_it_began_with(own_cache, monkeypatch):
    """A file edited while a run lasts must not lend its version to the result."""
    import torch

    from sfar.config import get_profile
    from sfar.runs import executor, run

    job = run.Job(
        get_profile("storyboard"),
        run.Dataset("kinetics400", own_cache, "fingerprint", ("long jump", "pole vault"), False),
        "sfar",
        0,
    )
    before = job.key()

    def run_one(job, tick=None, keeper=None):
        monkeypatch.setattr(cache, "code_version", lambda stage: "edited meanwhile")
        return {"method": job.method}

    monkeypatch.setattr(executor, "run_one", run_one)
    monkeypatch.setattr(executor, "load_clips", lambda *_: [0])
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))  # one after another, in this process
    assert executor.run_all([job]) == [{"method": "sfar"}]
    assert job.key() != before and listing(own_cache / "run") == [f"{before}.json"]


# --- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_is_built_once(own_cache):
    calls = []

    def build(folder):
        calls.append(folder)
        (folder / "a").write_text("1")

    first = cache.folder("world", "k", build)
    assert first == cache.folder("world", "k", build) == own_cache / "world" / "k"
    assert len(calls) == 1 and calls[0] != first and (first / "a").read_text() == "1"
    assert listing(own_cache / "world") == ["k"]


@pytest.mark.parametrize(
    "error, raised",
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (RuntimeError("a mistake"), RuntimeError),
        (SfarError("a video is damaged"), SfarError),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SfarError),
    ],
)
def test_an_interrupted_build_leaves_nothing(own_cache, error, raised):
    def build(folder):
        (folder / "half").write_text("x")
        raise error

    with pytest.raises(raised) as e:
        cache.folder("world", "k", build)
    assert listing(own_cache / "world") == []
    if isinstance(error, OSError):
        assert "No space left" in str(e.value) and str(own_cache / "world" / "k") in str(e.value)
    built = cache.folder("world", "k", lambda folder: (folder / "a").write_text("1"))
    assert listing(built) == [".complete", "a"]


def test_a_folder_without_its_mark_is_built_anew(own_cache):
    (own_cache / "world" / "k").mkdir(parents=True)
    (own_cache / "world" / "k" / "half").write_text("x")
    assert listing(cache.folder("world", "k", lambda folder: (folder / "a").write_text("1"))) == [".complete", "a"]


def test_two_at_once_keep_the_first(own_cache):
    """Two commands that need the same world: the slower one takes what is there, and nobody's files vanish under them."""

    def slower(folder):
        (folder / "by").write_text("second")
        cache.folder("world", "k", lambda other: (other / "by").write_text("first"))

    built = cache.folder("world", "k", slower)
    assert (built / "by").read_text() == "first" and listing(own_cache / "world") == ["k"]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(SfarError, match="cannot write"):
        cache.folder("world", "k", lambda folder: None)
    with pytest.raises(SfarError, match="cannot write"):
        cache.save_json("run", "k", {})


# --- clean ---------------------------------------------------------------------------------------------------------


def test_clean_removes_all_kept_work(own_cache):
    assert cache.clean() == []
    cache.save_json("run", "k", 1)
    cache.folder("world", "k", lambda folder: None)
    (own_cache / "frames" / ".k.abc").mkdir(parents=True)  # what a killed process leaves
    assert cache.clean() == ["frames", "run", "world"]
    assert cache.load_json("run", "k") is None and listing(own_cache) == []
    assert cache.clean() == []


def test_clean_leaves_what_is_not_ours(own_cache):
    """SFAR_CACHE may point to a folder that holds other things."""
    cache.save_json("run", "k", 1)
    (own_cache / "thesis").mkdir()
    (own_cache / "notes.txt").write_text("x")
    assert cache.clean() == ["run"]
    assert listing(own_cache) == ["notes.txt", "thesis"]
