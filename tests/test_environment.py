"""What is installed: bounds, extras, pins and the lock file agree, and every import has a package that brings it."""

import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from import_graph import imported
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sfar.errors import ConfigError
from sfar.util import cache as kept
from sfar.util.extras import extra

ROOT = Path(__file__).resolve().parent.parent
SITE = "site"  # the extra that has an environment and a lock file of its own
LOCKS = ("requirements.lock", "requirements-site.lock")
FILES = ("pyproject.toml", "environment.yml", *LOCKS, "Makefile", ".pre-commit-config.yaml")

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
PYTHONS = ("3.11.4", "3.11.9", "3.12.1", "3.13.0")


# --- bounds and pins -----------------------------------------------------------------------------------------------


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]


@cache
def extras():
    """Extra ("" for what everyone gets) -> its requirements, those of other extras of this package in their place."""
    lists = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}

    def of(name):
        for line in lists[name]:
            requirement = Requirement(line)
            if requirement.name == PROJECT["name"]:
                for other in sorted(requirement.extras):
                    yield from of(other)
            else:
                yield requirement

    return {name: list(of(name)) for name in lists}


@cache
def direct():
    """Every direct requirement, once; those of the site aside."""
    return list({str(r): r for name, rs in extras().items() if name != SITE for r in rs}.values())


def conda():
    return yaml.safe_load(text("environment.yml"))


def conda_pins():
    return [Requirement(line) for part in conda()["dependencies"] if isinstance(part, dict) for line in part["pip"]]


@cache
def lock(name="requirements.lock"):
    """(requirement, its options) of every entry of a lock file."""
    lines = [line.strip() for line in text(name).replace("\\\n", " ").splitlines()]
    return [(Requirement(line.split(" --", 1)[0]), line.split()) for line in lines if line and not line.startswith("#")]


def pin(requirement):
    """The exact version of a requirement; anything but one == is an error."""
    (spec,) = requirement.specifier
    assert spec.operator == "==" and "*" not in spec.version, f"{requirement} is not an exact pin"
    return spec.version


def wanted(requirement, machine):
    return requirement.marker is None or holds(str(requirement.marker), tuple(machine.items()))


@cache
def holds(marker, machine):
    return Marker(marker).evaluate(dict(machine))


def environments():
    """Every machine with every Python, as markers see them."""
    for machine in MACHINES:
        for minor in PYTHONS:
            yield {**machine, "python_full_version": minor, "python_version": minor.rsplit(".", 1)[0]}


def by_name(requirements):
    out = {canonicalize_name(r.name): r for r in requirements}
    assert len(out) == len(requirements), "a package is named twice"
    return out


LOCKED = [(LOCKS[0], r) for r in direct()] + [(LOCKS[1], r) for r in extras()[SITE]]
each_lock = pytest.mark.parametrize("name", LOCKS)
each_requirement = pytest.mark.parametrize(("name", "requirement"), LOCKED, ids=lambda x: getattr(x, "name", x))


@each_requirement
def test_bounds_are_lower_bounds(name, requirement):
    """Exact or upper bounds would stand in the way of the user's other work."""
    (spec,) = requirement.specifier
    assert spec.operator == ">="


@each_requirement
def test_lock_meets_the_bounds(name, requirement):
    entries = [r for r, _ in lock(name) if canonicalize_name(r.name) == canonicalize_name(requirement.name)]
    for where in environments():
        chosen = [pin(r) for r in entries if wanted(r, where)]
        assert len(chosen) == wanted(requirement, where), where
        assert all(requirement.specifier.contains(v) for v in chosen), where


def test_conda_pins_are_those_of_the_lock():
    """The packages of pyproject.toml, with all extras but the site's, at the lock's versions for its Python."""
    (minor,) = (d.removeprefix("python=") for d in conda()["dependencies"] if str(d).startswith("python="))
    where = [{**m, "python_full_version": f"{minor}.0", "python_version": minor} for m in MACHINES]
    ours, theirs = by_name(direct()), by_name(conda_pins())
    locked = {}
    for r, _ in lock():
        if any(wanted(r, m) for m in where):
            locked.setdefault(canonicalize_name(r.name), set()).add(pin(r))
    assert {n: {pin(r)} for n, r in theirs.items()} == {n: locked[n] for n in ours}
    for name in ours:
        assert ours[name].extras == theirs[name].extras, name
        assert [wanted(ours[name], m) for m in MACHINES] == [wanted(theirs[name], m) for m in MACHINES], name


def test_conda_environment_is_minimal():
    env = conda()
    assert env["name"] == "sfar" and env["channels"] == ["conda-forge"]
    assert [p for p in env["dependencies"] if isinstance(p, str)] == ["python=3.11", "pip"]
    assert "3.11" in PROJECT["requires-python"]


@each_lock
def test_every_lock_entry_is_exact_and_hashed(name):
    entries = lock(name)
    assert len(entries) > 50
    for requirement, options in entries:
        pin(requirement)
        hashes = [o for o in options if o.startswith("--")]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", o) for o in hashes), requirement.name


@each_lock
def test_no_machine_gets_two_versions_of_a_package(name):
    for where in environments():
        names = [canonicalize_name(r.name) for r, _ in lock(name) if wanted(r, where)]
        assert len(names) == len(set(names)), where


def test_both_locks_fit_into_one_environment():
    """Whoever wants the site beside the experiments installs both."""
    for where in environments():
        ours, theirs = ({canonicalize_name(r.name): pin(r) for r, _ in lock(n) if wanted(r, where)} for n in LOCKS)
        shared = ours.keys() & theirs.keys()
        assert len(shared) > 20 and {n: ours[n] for n in shared} == {n: theirs[n] for n in shared}, where


@pytest.mark.parametrize("name", FILES)
def test_no_addresses(name):
    """Where packages come from is for the user's own pip settings to say."""
    assert not re.search(
        r"://|--(extra-)?index|--find-links|--trusted-host|^\s*-[if]\s|\s@\s", text(name), re.MULTILINE
    )


@pytest.mark.parametrize("requirement", [r for r in direct() if wanted(r, {})], ids=lambda r: r.name)
def test_installed_is_what_is_locked(requirement):
    (locked,) = (
        pin(r) for r, _ in lock() if canonicalize_name(r.name) == canonicalize_name(requirement.name) and wanted(r, {})
    )
    assert version(requirement.name).split("+")[0] == locked


def test_cache_keys_name_libraries_that_are_locked():
    pins = {canonicalize_name(r.name): r for r, _ in lock()}
    for stage in kept.STAGES:
        found = {canonicalize_name(n): v.split("+")[0] for n, v in kept.libraries(stage).items()}
        assert found and found == {n: pin(pins[n]) for n in found}


# --- who brings what -----------------------------------------------------------------------------------------------

# The modules of the package that need an extra, and which.
OPTIONAL = {
    "sfar/runs/cluster.py": "cluster",
    "sfar/subtexts/generate.py": "llm",
    "sfar/subtexts/quality.py": "encoder",
    "sfar/reproduce/lab.py": "notebooks",
    "sfar/reproduce/notebooks.py": "notebooks",
    "sfar/util/progress.py": "notebooks",
}


packages_distributions = cache(metadata.packages_distributions)  # looks at every installed file


@cache
def brought(*names):
    """Top modules that the requirements of these extras ("": of everyone) bring themselves."""
    packages = {canonicalize_name(r.name) for name in names for r in extras()[name]}
    return {m for m, ds in packages_distributions().items() if packages & {canonicalize_name(d) for d in ds}}


@cache
def foreign(folder):
    """Every module of somebody else that a file below ``folder`` imports -> the files."""
    ours = {p.stem for where in ("tests", "website") for p in (ROOT / where).rglob("*.py")} | {"sfar"}
    out = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module in {m.split(".")[0] for m in imported(path)} - ours - set(sys.stdlib_module_names):
            out.setdefault(module, set()).add(path.relative_to(ROOT).as_posix())
    return out


def test_the_package_imports_what_it_requires():
    for module, files in foreign("sfar").items():
        for file in files:
            names = ("", OPTIONAL[file]) if file in OPTIONAL else ("",)
            # decord has no wheel for every machine: where there is none its reader is not used
            assert module in brought(*names) or module == "decord", f"{file} imports {module}: in no list of its own"


def test_the_package_requires_what_it_imports():
    modules = set(foreign("sfar"))
    found = packages_distributions()
    used = {canonicalize_name(d) for m in modules for d in found.get(m, ())}
    assert {canonicalize_name(r.name) for r in extras()[""] if wanted(r, {})} - used == set()


# Modules that a package of the extra for tests brings along, at the version of the lock file: the module's own package.
ALONG = {
    "mistune": "mistune",  # JupyterLab's nbconvert
    "tokenizers": "tokenizers",  # sentence-transformers
    "transformers": "transformers",
    "websocket": "websocket-client",  # JupyterLab's server
}


def test_tests_import_what_the_extra_for_them_brings():
    missing = set(foreign("tests")) - brought("", "dev") - {"decord"}
    assert missing == set(ALONG)
    locked = {canonicalize_name(r.name): pin(r) for r, _ in lock()}
    assert {package: version(package) for package in ALONG.values()} == {p: locked[p] for p in ALONG.values()}


@pytest.mark.parametrize(
    ("hidden", "module", "message"),
    [
        ("openai", "sfar.subtexts.generate", r"sub-texts needs the package openai: pip install 'sfar\[llm\]'"),
        ("papermill", "sfar.reproduce.notebooks", r"notebook needs the package papermill: .* 'sfar\[notebooks\]'"),
        ("nbformat", "sfar.reproduce.notebooks", r"notebook needs the package nbformat: .* 'sfar\[notebooks\]'"),
    ],
)
def test_a_missing_extra_is_one_message(monkeypatch, hidden, module, message):
    monkeypatch.setitem(sys.modules, hidden, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigError, match=message):
        importlib.import_module(module)


def test_a_missing_module_of_ours_is_no_missing_extra():
    with pytest.raises(ModuleNotFoundError, match=r"sfar\.nosuch"), extra("llm", "nothing"):
        import sfar.nosuch  # noqa: F401 - that it is not there is the point


WITHOUT_EXTRAS = """
import sys
EXTRAS = "openai ray sentence_transformers papermill nbformat nbval IPython sklearn pytest"
sys.modules.update(dict.fromkeys(EXTRAS.split()))
from sfar.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ["reproduce", "table1", "--executor", "ray"],
            "sfar: --executor ray needs the package ray: pip install 'sfar[cluster]'",
        ),
        (["notebook", "03"], "sfar: running a notebook needs the package nbformat: pip install 'sfar[notebooks]'"),
        (
            ["subtexts", "generate", "--classes", "hmdb51", "--model", "m", "--base-url", "x", "--out", "x.json"],
            "sfar: asking a language model for sub-texts needs the package openai: pip install 'sfar[llm]'",
        ),
        (
            ["subtexts", "check", "hmdb51", "--encoder"],
            "sfar: a sentence encoder needs the package sentence_transformers: pip install 'sfar[encoder]'",
        ),
    ],
)
def test_a_command_without_its_extra_is_one_message(command, message):
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS, *command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", message)


def test_the_other_commands_need_no_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "usage: sfar" in done.stdout


# --- tools ---------------------------------------------------------------------------------------------------------


def test_hooks_need_no_network():
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    assert [h["id"] for h in repository["hooks"]] == ["ruff-format", "ruff-check", "pyright"]
    assert {h["language"] for h in repository["hooks"]} == {"system"}
