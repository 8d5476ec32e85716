"""What is installed and how the package hangs together: pins, lock file, direction of imports, code behind keys."""

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sfar.util import cache, code

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sfar"
FILES = ("pyproject.toml", "environment.yml", "requirements.lock")

# A module imports only from layers before its own, or from its own.
LAYERS = (
    "errors",
    "parallel",
    "config",
    "paths",
    "provenance",
    "cache",
    "paper",
    "data",
    "clip",
    "storyboard",
    "subtexts",
    "products",
    "embedding",
    "fusion",
    "model",
    "loss",
    "mean_ap",
    "processes",
    "evaluate",
    "protocols",
    "frozen",
    "train",
    "checkpoint",
    "experiment",
    "resume",
    "distributed",
    "runs",
    "hosts",
    "ambiguity",
    "cost",
    "report",
    "notebooks",
    "reproduce",
    "plan",
    "summary",
    "quotes",
    "bench_measure",
    "bench_literal",
    "bench_head",
    "bench_step",
    "bench_reader",
    "bench",
    "cli_subtexts",
    "cli_data",
    "cli_bench",
    "cli",
    "__main__",
)

MACHINES = [
    {"sys_platform": s, "platform_machine": m, "os_name": "nt" if s == "win32" else "posix"}
    for s, m in (
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("darwin", "x86_64"),
        ("win32", "AMD64"),
    )
]


# --- pins ----------------------------------------------------------------------------------------------------------


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pyproject():
    return [Requirement(line) for line in tomllib.loads(text("pyproject.toml"))["project"]["dependencies"]]


def conda():
    return yaml.safe_load(text("environment.yml"))


def conda_pins():
    return [Requirement(line) for part in conda()["dependencies"] if isinstance(part, dict) for line in part["pip"]]


def lock():
    """(requirement, its options) of every entry of the lock file."""
    lines = [line.strip() for line in text("requirements.lock").replace("\\\n", " ").splitlines()]
    return [(Requirement(line.split(" --", 1)[0]), line.split()) for line in lines if line and not line.startswith("#")]


def pin(requirement):
    """The exact version of a requirement; anything but one == is an error."""
    (spec,) = requirement.specifier
    assert spec.operator == "==" and "*" not in spec.version, f"{requirement} is not an exact pin"
    return spec.version


def wanted(requirement, machine):
    return requirement.marker is None or requirement.marker.evaluate(machine)


def by_name(requirements):
    out = {canonicalize_name(r.name): r for r in requirements}
    assert len(out) == len(requirements), "a package is pinned twice"
    return out


def test_conda_pins_are_those_of_pyproject():
    ours, theirs = by_name(pyproject()), by_name(conda_pins())
    assert {n: pin(r) for n, r in ours.items()} == {n: pin(r) for n, r in theirs.items()}
    for name in ours:
        assert [wanted(ours[name], m) for m in MACHINES] == [wanted(theirs[name], m) for m in MACHINES], name


def test_conda_environment_is_minimal():
    env = conda()
    assert env["name"] == "sfar" and env["channels"] == ["conda-forge"]
    assert [p for p in env["dependencies"] if isinstance(p, str)] == ["python=3.11", "pip"]
    assert "3.11" in tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]


@pytest.mark.parametrize("requirement", pyproject(), ids=lambda r: r.name)
def test_lock_pins_what_pyproject_pins(requirement):
    entries = [r for r, _ in lock() if canonicalize_name(r.name) == canonicalize_name(requirement.name)]
    for machine in MACHINES:
        chosen = [pin(r) for r in entries if wanted(r, machine)]
        assert chosen == ([pin(requirement)] if wanted(requirement, machine) else []), machine


def test_every_lock_entry_is_exact_and_hashed():
    entries = lock()
    assert len(entries) > 100
    for requirement, options in entries:
        pin(requirement)
        hashes = [o for o in options if o.startswith("--")]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", o) for o in hashes), requirement.name


def test_no_machine_gets_two_versions_of_a_package():
    for machine in MACHINES:
        for minor in ("3.11.4", "3.11.9", "3.12.1", "3.13.0"):
            where = {**machine, "python_full_version": minor, "python_version": minor.rsplit(".", 1)[0]}
            names = [canonicalize_name(r.name) for r, _ in lock() if wanted(r, where)]
            assert len(names) == len(set(names)), where


@pytest.mark.parametrize("name", FILES)
def test_no_addresses(name):
    """Where packages come from is for the user's own pip settings to say."""
    assert not re.search(
        r"://|--(extra-)?index|--find-links|--trusted-host|^\s*-[if]\s|\s@\s", text(name), re.MULTILINE
    )


@pytest.mark.parametrize("requirement", [r for r in pyproject() if wanted(r, {})], ids=lambda r: r.name)
def test_installed_is_what_is_pinned(requirement):
    assert version(requirement.name).split("+")[0] == pin(requirement)


# --- imports -------------------------------------------------------------------------------------------------------


def modules():
    """Dotted name -> file of every module of the package."""
    out = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


MODULES = modules()


def imported(path):
    """Every module a file imports, at its top or inside a function, as dotted names; of the package to the module.

    But for what is imported for editors and type checkers alone.
    """
    out, tree = set(), ast.parse(path.read_bytes())
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unseen = {id(n) for block in blocks for n in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports inside the package are written out"
            out |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in MODULES else node.module for a in node.names
            }
    return out


def ours(path):
    return {name for name in imported(path) if name.split(".")[0] == "sfar"}


def layer(name):
    return name.split(".")[1] if "." in name else None  # the package itself belongs to none


def test_every_module_has_a_layer():
    assert {layer(m) for m in MODULES if m != "sfar"} <= set(LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    if name == "sfar":
        assert not ours(MODULES[name])
        return
    mine = LAYERS.index(layer(name))
    unknown = ours(MODULES[name]) - set(MODULES)
    assert not unknown
    wrong = [m for m in ours(MODULES[name]) if layer(m) and LAYERS.index(layer(m)) > mine]
    assert not wrong, f"{name} stands above {', '.join(wrong)} and must not import it"


def test_no_module_imports_itself_in_a_ring():
    """Inside a layer too."""
    seen = {}

    def visit(name, above):
        assert name not in above, " -> ".join([*above, name])
        if name not in seen:
            for m in sorted(ours(MODULES[name])):
                visit(m, (*above, name))
            seen[name] = True

    for name in MODULES:
        visit(name, ())


def test_decord_is_imported_in_one_place():
    users = [n for n, path in MODULES.items() if any(m.split(".")[0] == "decord" for m in imported(path))]
    assert users == ["sfar.data.video"]


# --- the code behind the cache keys --------------------------------------------------------------------------------
# What it is, is worked out (tests/util/test_code.py); here: that the lists of cuts and files name what is there.

CUTS = sorted({*code.HARMLESS, *(c for stage in cache.STAGES.values() for c in stage.by_content)})
MEASURED = {s.id: (code.entry(s.measure_content), *s.files) for s in studies.studies()}
ENTRIES = {(stage, ()) for stage in cache.STAGES} | {("record", entries) for entries in MEASURED.values()}


def reached(stage, entries):
    s = cache.STAGES[stage]
    return code.reached(*s.entries, *entries, cut=s.by_content)


def tops(module):
    """Name -> the statements at the top of a module of the package that define it."""
    out = {}
    for s in ast.parse(MODULES[module].read_bytes()).body:
        stored = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in [s.name] if isinstance(s, ast.FunctionDef | ast.ClassDef) else stored:
            out.setdefault(name, []).append(s)
    return out


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_cut_is_there(cut):
    """A cut that names nothing would cut nothing."""
    module, _, definition = cut.removesuffix(".*").partition(":")
    assert module in MODULES and (not definition or definition in tops(module))


@pytest.mark.parametrize(("stage", "entries"), sorted(ENTRIES))
def test_the_code_of_a_stage_holds_no_page_and_no_command(stage, entries):
    found = reached(stage, entries)
    assert len(found) > 20, "an entry from which nothing is reached"
    shown = ("sfar.render", "sfar.reproduce", "sfar.bench", "sfar.cli", "sfar.studies.core.page")
    assert not [name for name in found if name.startswith(shown) or name.split(":")[0].endswith("_page")]
    if not entries:
        assert not [name for name in found if name.startswith("sfar.studies")]


@pytest.mark.parametrize(("stage", "entries"), sorted(ENTRIES))
def test_no_code_behind_a_key_imports_a_computed_name(stage, entries):
    """It could not be followed (``sfar.util.code``)."""
    for module in {name.split(":")[0] for name in reached(stage, entries) if ":" in name}:
        tree = ast.parse(MODULES[module].read_bytes())
        called = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
        names = {f.id for f in called if isinstance(f, ast.Name)}
        assert not names & {"__import__", "eval", "exec", "globals"}, module
        assert "import_module" not in names | {f.attr for f in called if isinstance(f, ast.Attribute)}, module


@pytest.mark.parametrize("study", MEASURED)
def test_a_record_follows_from_the_printed_tables_that_it_quotes(study):
    quoted = set()
    for name in reached("record", MEASURED[study]):
        module, _, definition = name.partition(":")
        for s in tops(module).get(definition, ()) if definition else ():
            for n in ast.walk(s):
                if isinstance(n, ast.Call) and ast.unparse(n.func) == "paper.load":
                    (table,) = n.args
                    assert isinstance(table, ast.Constant), "a name that is not computed"
                    quoted.add(f"sfar/paper/{table.value}.csv")
    assert quoted == {e for e in MEASURED[study] if "/" in e}


def test_cache_keys_cover_the_data_in_the_package():
    """The record of the CLIP weights holds their hash; sub-texts are an input of each run (tests/test_subtexts.py)."""
    for stage in ("embeddings", "run", "host_run", "record"):
        assert "sfar/storyboard/weights/clip.json" in cache.STAGES[stage].entries


def test_cache_keys_name_libraries_that_are_pinned():
    pins = by_name(pyproject())
    for stage in cache.STAGES:
        found = {canonicalize_name(n): v.split("+")[0] for n, v in cache.libraries(stage).items()}
        assert found and found == {n: pin(pins[n]) for n in found}
