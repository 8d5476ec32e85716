"""Kept work: found again when nothing it depends on has changed, never half done, never stale."""

import ast
import errno
import hashlib
import itertools
import json
import os
import shutil

import pytest

from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.model import clip, registry
from sfar.studies import ablations, few_shot
from sfar.util import cache, code

STAGES = tuple(cache.STAGES)
PROFILE = get_profile("storyboard")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy") / "sfar"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors", "bank"))
    return copy


@pytest.fixture
def package(copied, monkeypatch):
    """A copy of the package, which a test may edit."""
    monkeypatch.setattr(code, "PACKAGE", copied)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in copied.rglob("*") if path.is_file()}
    versions()
    known = dict(code._found)
    yield copied
    for path in [path for path in copied.rglob("*") if path.is_file()]:
        if path not in before:
            path.unlink()
        elif path.stat().st_mtime_ns != before[path][0]:
            path.write_bytes(before[path][1])
            os.utime(path, ns=(before[path][0], before[path][0]))
    code._found.update(known)  # the files are as they were, and so is what was found in them


_edits = itertools.count(1)


def write(path, text, end="\n"):
    state = path.stat()
    path.write_text(text, encoding="utf-8", newline=end)
    later = state.st_mtime_ns + 1_000_000_000 * next(_edits)  # than ever before, however coarse the clock
    os.utime(path, ns=(state.st_atime_ns, later))


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    write(path, text.replace(old, new))


def change(path, name):
    """Change a function or class by one more statement. A constant is set again, a data file has one more line."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    top = ast.parse("".join(lines)).body if path.suffix == ".py" else []
    found = [s for s in top if isinstance(s, ast.FunctionDef | ast.ClassDef) and s.name == name]
    if found:
        last = found[0].body[-1]
        lines.insert(last.lineno - 1, f"{' ' * last.col_offset}changed = 0\n")
    else:
        assert f"{name}:" in "".join(lines) or not name
        lines.append(f"\n\n{name} = dict({name})\n" if name else "\n")
    write(path, "".join(lines))


def versions():
    """The version of every stage, of the runs of two methods, and of the records of two studies."""
    return (
        {s: cache.code_version(s) for s in STAGES}
        | {m: cache.code_version("run", *registry.get(m).entries) for m in ("clip", "sfar")}
        | {s.id: s.inputs(PROFILE) for s in (ablations.STUDY, few_shot.STUDY)}
    )


def listing(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_copy_of_the_code_has_the_same_version(package, monkeypatch):
    copied = versions()
    monkeypatch.undo()
    assert versions() == copied


def test_a_clone_with_the_line_ends_of_another_system_has_the_same_version(package):
    before = versions()
    for path in (p for p in package.rglob("*") if p.suffix in (".py", ".csv", ".json", ".txt")):
        write(path, path.read_text(encoding="utf-8"), "\r\n")
    assert b"\r\n" in (package / "config.py").read_bytes() and versions() == before


def test_key_changes_with_its_inputs():
    keys = {
        cache.key(s, i, w, e)
        for s in STAGES
        for i in ([1, 2], [2, 1], {"seed": 1}, {"seed": 2}, None)
        for w in (True, False)
        for e in ((), ("sfar.model.cost",))
    }
    assert len(keys) == len(STAGES) * 5 * 2 * 2
    assert cache.key("run", {"a": 1, "b": 2}) == cache.key("run", {"b": 2, "a": 1})
    assert all(k.isalnum() and len(k) == 16 for k in keys)


@pytest.fixture
def versions_anew():
    """A process looks at each library once: here anew, and again by what comes behind."""
    cache._version.cache_clear()
    yield
    cache._version.cache_clear()


def test_libraries_are_looked_at_once(versions_anew, monkeypatch):
    asked = []
    monkeypatch.setattr(cache, "version", lambda name: asked.append(name) or "0.0.1")
    for k in range(3):
        cache.key("run", k)
    assert sorted(asked) == sorted(set(cache.STAGES["run"].libraries))


def test_key_changes_with_the_libraries(versions_anew, monkeypatch):
    before = [(cache.key(s, 1), cache.key(s, 1, with_libraries=False)) for s in STAGES]
    cache._version.cache_clear()
    monkeypatch.setattr(cache, "version", lambda name: "0.0.1")
    after = [(cache.key(s, 1), cache.key(s, 1, with_libraries=False)) for s in STAGES]
    assert all(a[0] != b[0] and a[1] == b[1] for a, b in zip(after, before, strict=True))


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
    before = versions()
    edit(package / "model/loss.py", old, new)
    assert versions() == before


MEASURED = {"ablations", "few_shot"}  # records
RECORDS = {"record", *MEASURED}
RUNS = {"run", "clip", "sfar", "host_run", *RECORDS}


@pytest.mark.parametrize(
    "file, name, noticed",
    [
        ("model/loss.py", "info_nce", RUNS),
        ("model/video_model.py", "VideoModel", RUNS),
        ("model/texts.py", "class_texts", RUNS),
        ("model/clip.py", "embed_frames", {"embeddings", *RUNS}),
        ("storyboard/weights/clip.json", "", {"embeddings", *RUNS}),  # the content of the weights is an input
        ("training/train.py", "train", RUNS),
        ("training/train.py", "_backward", RUNS),
        ("training/process_group.py", "SingleProcess", RUNS),
        ("training/evaluate.py", "score", RUNS),
        ("training/metrics.py", "mean_ap", RUNS),
        ("runs/run.py", "fit", RUNS),
        ("runs/run.py", "record", RUNS - {"host_run"}),
        # What reads: a record of the drawn world counts what it gives (``cache.READING``).
        ("data/fewshot.py", "choose", RUNS - MEASURED),
        ("data/transforms.py", "ClipAugment", {"embeddings", *RUNS}),
        ("data/transforms.py", "three_crops", RUNS),
        ("data/video.py", "read_frames", {"check", "frames", "embeddings", *RUNS} - MEASURED),
        ("data/watchdog.py", "_serve", {"check", "frames", "embeddings", *RUNS} - MEASURED),
        ("data/store.py", "examine", {"frames", *RUNS} - MEASURED),
        ("data/kinetics.py", "read_kinetics", {"frames", *RUNS} - MEASURED),
        ("training/frozen.py", "frame_embeddings", {"embeddings", *RUNS} - MEASURED),
        ("data/check.py", "_look", {"check"}),
        ("config.py", "layout", RUNS),
        ("storyboard/world.py", "add_noise", {"world", "sets", *RECORDS}),
        ("storyboard/write.py", "write_kinetics", {"world", *RECORDS}),
        ("storyboard/sets.py", "write_hmdb51", {"sets", *RECORDS}),
        ("data/source.py", "draw", {"world", "sets", "record"}),
        ("training/checkpoint.py", "save", set()),
        # A head, and what is its alone; Table 2c's other methods are compared with SFAR's.
        ("model/mean_pool.py", "MeanPool", {"clip", "ablations", "few_shot"}),
        ("model/temporal.py", "Temporal", {"ablations", "few_shot"}),
        ("model/sfar.py", "SFAR", {"sfar", "host_run", "ablations", "few_shot"}),
        ("model/kernels/fused.py", "cosines", {"sfar", "host_run", "ablations", "few_shot"}),
        ("model/other_methods.py", "ATM", {"host_run"}),
        # A study goes through the registry, or names its methods.
        ("model/registry.py", "METHODS", {"ablations", "few_shot"}),
        ("studies/core/statistics.py", "interval", {"ablations", "few_shot"}),
        ("studies/core/statistics.py", "strata_interval", {"ablations", "few_shot"}),
        ("studies/core/study.py", "difference", {"ablations", "few_shot"}),
        ("studies/ablations.py", "measure", {"ablations"}),
        ("studies/few_shot.py", "_averages", {"few_shot"}),
        # What changes no number, and the code of other stages.
        ("studies/ablations.py", "fig7a_figure", set()),
        ("studies/ablations.py", "readings_table", set()),
        ("studies/few_shot.py", "figure", set()),
        ("studies/table1.py", "measure", set()),
        ("studies/core/page.py", "head", set()),
        ("studies/core/study.py", "Study", set()),
        ("studies/core/record.py", "provenance", set()),
        ("render/plots.py", "dots", set()),
        ("config.py", "ModelConfig", set()),
        ("model/registry.py", "get", set()),
        ("model/cost.py", "training_memory", set()),
        ("subtexts/texts.py", "SubTexts", set()),
        ("subtexts/parse.py", "parse", set()),
        ("subtexts/groups.py", "group", set()),
        ("runs/executor.py", "run_all", set()),
        ("training/resume.py", "Keeper", set()),
        ("training/pretrain.py", "pretrain", set()),
        ("util/paths.py", "build_folder", set()),
        ("util/processes.py", "Workers", set()),
        ("errors.py", "VideoError", set()),
        ("reproduce/targets.py", "finish", set()),
    ],
)
def test_a_change_is_noticed_where_it_matters_and_nowhere_else(package, file, name, noticed):
    before = versions()
    change(package / file, name)
    after = versions()
    assert {s for s in before if after[s] != before[s]} == noticed


def test_a_figure_beside_what_is_measured_makes_no_record_stale(package):
    before = versions()
    file = package / "studies/ablations.py"
    figure = "\n\ndef figure(record):\n    return [plots.bar(r) for r in record]\n"
    write(file, "from sfar.model import cost as plots\n" + file.read_text(encoding="utf-8") + figure)
    assert versions() == before
    edit(file, "plots.bar(r)", "plots.line(r)")
    assert versions() == before


def test_a_new_file_makes_nothing_stale(package):
    before = versions()
    (package / "studies/mine.py").write_text("from sfar.runs.run import run_one\n", encoding="utf-8")
    assert versions() == before


def test_every_sign_and_every_default_counts(package):
    seen = [cache.code_version("run")]
    for old, new in (
        ("t2v + lam * v2t", "t2v - lam * v2t"),
        ("lam: float = 1.0", "lam: float = 0.5"),
        ("F.cross_entropy(logits, labels)", "F.cross_entropy(logits, labels, reduction='sum')"),
    ):
        edit(package / "model/loss.py", old, new)
        seen.append(cache.code_version("run"))
    assert len(set(seen)) == 4


def test_undoing_a_change_finds_the_work_again(package):
    before = cache.key("run", 1)
    edit(package / "model/loss.py", "t2v + lam", "t2v - lam")
    assert cache.key("run", 1) != before
    edit(package / "model/loss.py", "t2v - lam", "t2v + lam")
    assert cache.key("run", 1) == before


def test_a_study_needs_no_line_in_the_list_of_stages(package):
    (package / "studies/mine.py").write_text("def measure():\n    return 1\n", encoding="utf-8")
    files = ("sfar.studies.mine:measure", "sfar/paper/table1.csv")
    before = cache.code_version("record", *files)
    change(package / "studies/mine.py", "measure")
    changed = cache.code_version("record", *files)
    change(package / "paper/table1.csv", "")
    assert len({before, changed, cache.code_version("record", *files), cache.code_version("record")}) == 4


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
    from sfar.data.source import Dataset
    from sfar.runs import executor, places
    from sfar.runs.job import Job

    job = Job(
        get_profile("storyboard"),
        Dataset("kinetics400", own_cache, "fingerprint", ("long jump", "pole vault"), False),
        "sfar",
        0,
    )
    before = job.key()

    def run_one(job, tick=None, keeper=None):
        monkeypatch.setattr(cache, "code_version", lambda *_: "edited meanwhile")
        return {"method": job.method}

    monkeypatch.setattr(executor, "run_one", run_one)
    monkeypatch.setattr(executor, "prepare", lambda jobs, site: [(1, 1)] * len(jobs))
    monkeypatch.setattr(executor, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(places, "gpus", lambda: ["0"])  # one after another, in this process
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
    """Two commands that need the same world: the slower one takes what is there; nobody's files vanish under them."""

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
    assert cache.clean() == {}
    cache.save_json("run", "k", 1)
    cache.folder("world", "k", lambda folder: None)
    (own_cache / "frames" / ".k.abc").mkdir(parents=True)  # what a killed process leaves
    (own_cache / "runs" / "k").mkdir(parents=True)
    (own_cache / "runs" / "k" / "weights.safetensors").write_bytes(bytes(1000))
    assert cache.clean() == {"frames": 0, "run": 2, "runs": 1000, "world": 0}
    assert cache.load_json("run", "k") is None and listing(own_cache) == []
    assert cache.clean() == {}


def test_clean_leaves_what_is_not_ours(own_cache):
    """SFAR_CACHE may point to a folder that holds other things."""
    cache.save_json("run", "k", 1)
    (own_cache / "thesis").mkdir()
    (own_cache / "notes.txt").write_text("x")
    assert cache.clean() == {"run": 2}
    assert listing(own_cache) == ["notes.txt", "thesis"]
