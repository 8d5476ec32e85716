"""Files of the repository that other programs read: they are valid, and what they name is there."""

import json
import re
import tomllib
from pathlib import Path

import makefile
import pytest
import yaml

import sfar

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    """Steps of all jobs of a workflow, or of an action."""
    about = read(path)
    return [s for job in about.get("jobs", {"runs": about.get("runs")}).values() for s in job["steps"]]


def made(text):
    """Targets that a shell command asks for."""
    return re.findall(r"\bmake ([\w-]+)", text)


# --- workflows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda p: p.relative_to(GITHUB).as_posix())
def test_steps_are_pinned_or_make_something_known(path):
    for step in steps(path):
        assert ("uses" in step) != ("run" in step), step
        if "run" in step:
            assert set(made(step["run"])) <= set(makefile.targets()), step
            assert made(step["run"]) or step["run"].startswith("git diff "), "the work is that of the Makefile"
        elif step["uses"].startswith("./"):
            assert (ROOT / step["uses"] / "action.yml").is_file(), step
        else:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"]), f"{step}: the commit, not a tag"


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda p: p.relative_to(GITHUB).as_posix())
def test_a_pin_says_its_version(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if "@" in line:
            assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_is_pinned_in_one_way():
    pins = {s["uses"] for path in [*WORKFLOWS, *ACTIONS] for s in steps(path) if "@" in s.get("uses", "")}
    names = [pin.split("@")[0] for pin in pins]
    assert "actions/checkout" in names and len(set(names)) == len(names), pins


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_has_no_secret_and_an_end(path):
    about = read(path)
    assert about["permissions"] == {"contents": "read"} and "secrets" not in path.read_text(encoding="utf-8")
    assert all(0 < job["timeout-minutes"] <= 90 for job in about["jobs"].values())
    assert all(job["steps"][0]["with"]["persist-credentials"] is False for job in about["jobs"].values())


def test_what_is_run_when():
    """Form and tests on each change, on every version of Python that is known to do; Table 1 by the clock."""
    # YAML reads the key `on` as the truth value.
    checks, reproduce = (read(GITHUB / "workflows" / f"{name}.yml") for name in ("checks", "reproduce"))
    assert {"push", "pull_request"} <= set(checks[True]) and {"schedule", "workflow_dispatch"} == set(reproduce[True])

    def asked(about):
        return {t for job in about["jobs"].values() for s in job["steps"] for t in made(s.get("run", ""))}

    assert asked(checks) == {"lint", "site", "test", "test-fast", "test-lab"}
    assert asked(reproduce) == {"reproduce-table1", "test-long"}
    action = read(ACTIONS[0])
    (setup, _) = action["runs"]["steps"]
    assert setup["with"]["cache"] == "pip" and (ROOT / setup["with"]["cache-dependency-path"]).is_file()
    pythons = {action["inputs"]["python"]["default"], *checks["jobs"]["test-fast"]["strategy"]["matrix"]["python"]}
    assert pythons == {"3.11", "3.12", "3.13"} and PROJECT["requires-python"] == ">=3.11"


def test_the_site_is_built_from_its_own_lock():
    """On the Python of the other environment, with what the lock of the site names."""
    steps_of = read(GITHUB / "workflows" / "checks.yml")["jobs"]["site"]["steps"]
    (setup,) = (s for s in steps_of if "setup-python" in s.get("uses", ""))
    assert setup["with"]["python-version"] == read(ACTIONS[0])["inputs"]["python"]["default"]
    assert setup["with"]["cache"] == "pip" and (ROOT / setup["with"]["cache-dependency-path"]).is_file()


def test_the_files_that_are_kept_are_there():
    (kept,) = (s for s in steps(GITHUB / "workflows" / "reproduce.yml") if "upload-artifact" in s.get("uses", ""))
    assert all(list(ROOT.glob(pattern)) for pattern in kept["with"]["path"].split())


# --- container, citation, versions, forms --------------------------------------------------------------------------


def test_the_container_is_made_by_make():
    about = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    python = next(d for d in read(ROOT / "environment.yml")["dependencies"] if str(d).startswith("python="))
    assert about["image"] == python.replace("=", ":") and about["postCreateCommand"] == "make env"
    assert "env" in makefile.targets()


def test_the_citation_names_software_and_paper():
    about = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(about) and about["cff-version"] == "1.2.0"
    assert (about["type"], about["license"]) == ("software", PROJECT["license"])
    paper = about["preferred-citation"]
    assert paper["type"] == "conference-paper" and paper["title"] in PROJECT["description"] and paper["year"] == 2025
    assert len(paper["authors"]) == 7 and all(set(a) == {"given-names", "family-names"} for a in paper["authors"])
    holder = re.search(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text(encoding="utf-8"))
    assert holder and about["authors"] == [{"name": holder[1]}]


def test_one_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", h) for h in headings[1:])
    versions = {PROJECT["version"], sfar.__version__, headings[1].split()[0], read(ROOT / "CITATION.cff")["version"]}
    assert len(versions) == 1, versions
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", changes, re.MULTILINE)) <= kinds


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem)
def test_an_issue_form_can_be_filled_in(path):
    form = read(path)
    assert form["name"] and form["description"]
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert asked and {p["type"] for p in asked} <= {"input", "textarea", "dropdown", "checkboxes"}
    ids = [part["id"] for part in asked]
    assert len(set(ids)) == len(ids) and all(part["attributes"]["label"] for part in asked)
    texts = [v for part in form["body"] for v in part["attributes"].values() if isinstance(v, str)]
    assert {t for text in texts for t in made(text)} <= set(makefile.targets())
    # An unquoted number would be none that GitHub takes.
    assert all(isinstance(part["attributes"].get("placeholder", ""), str) for part in asked)
