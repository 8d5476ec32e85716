"""Notebooks: thin, executed, their marked cells filled; Papermill refuses what they do not declare."""

import ast
import json
import os
import re
import subprocess
import sys

import nbformat
import papermill
import pytest

from sfar.errors import ConfigError, SfarError
from sfar.reproduce import notebooks
from sfar.util import paths

ALL = sorted(paths.notebooks().glob("*.ipynb"))
METHOD = "00_method"  # shows the code itself; the others show what a study has measured


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_executed_and_filled(path):
    """Nbval compares nothing in a cell that was never executed: each must have been, and marked ones have output."""
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    marked = [c for c in cells if notebooks.CHECK in c.source]
    assert len(marked) >= 5
    assert all(c.outputs for c in marked)
    assert not any(o.output_type == "error" for c in cells for o in c.outputs)
    most = 220 if path.stem == METHOD else 100
    assert sum(len(c.source.splitlines()) for c in cells) < most, "logic belongs into sfar/"
    assert not re.search(r"[ '\"(]/(home|root|tmp|Users|work|opt)/", path.read_text()), "a path of some machine"


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_kernel_is_plain(path):
    assert nbformat.read(path, 4).metadata["kernelspec"]["name"] == "python3"


def test_undeclared_parameter_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no parameter nosuch.*profile, seeds, source, overrides"):
        notebooks.run(notebooks.find("03"), tmp_path / "out.ipynb", {"nosuch": 1})
    assert not (tmp_path / "out.ipynb").exists()


def test_unknown_notebook():
    with pytest.raises(ConfigError, match=r"03_table1_kinetics\.ipynb"):
        notebooks.find("99")


def _tiny(path, *sources):
    cells = [nbformat.v4.new_code_cell(s) for s in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nb = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    )
    nbformat.write(nb, path)


def test_run_and_refresh(tmp_path):
    source = tmp_path / "tiny.ipynb"
    _tiny(source, "x = 1", "import sys\nprint(x + 1)\nprint('progress', file=sys.stderr)")
    out = notebooks.run(source, tmp_path / "out.ipynb", {"x": 41})
    notebooks.refresh(source, out)
    nb = nbformat.read(source, 4)
    assert (
        nb.cells[0].source == "x = 1"
        and [o.text for o in nb.cells[1].outputs] == ["42\n"]
        and nb.cells[1].execution_count == 2
    )
    assert "papermill" not in nb.metadata and all("papermill" not in c.metadata for c in nb.cells)


def test_refresh_keeps_pictures_small(tmp_path):
    """A plot stays a PNG, with a palette; frames of videos become a JPEG. The executed copy keeps what was drawn."""
    source = tmp_path / "tiny.ipynb"
    plot = "fig, ax = plt.subplots()\nax.plot([0, 1])"
    photograph = "fig, ax = plt.subplots()\nax.imshow(np.random.default_rng(0).random((240, 320, 3)))"
    _tiny(source, "import matplotlib.pyplot as plt\nimport numpy as np", f"{plot};", f"{photograph};")
    out = notebooks.run(source, tmp_path / "out.ipynb", {})
    before = [c.outputs[0].data for c in nbformat.read(out, 4).cells[1:]]
    notebooks.refresh(source, out)
    after = [c.outputs[0].data for c in nbformat.read(source, 4).cells[1:]]
    assert [set(d) for d in before] == [{"image/png", "text/plain"}] * 2
    assert [set(d) for d in after] == [{"image/png", "text/plain"}, {"image/jpeg", "text/plain"}]
    assert len(after[0]["image/png"]) < len(before[0]["image/png"]) / 1.5
    assert len(after[1]["image/jpeg"]) < len(before[1]["image/png"]) / 1.5


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_small_enough_to_be_shown(path):
    assert path.stat().st_size < 1_500_000


def test_failing_cell_is_one_message(tmp_path):
    source = tmp_path / "tiny.ipynb"
    _tiny(source, "x = 1", "raise ValueError('the reason')")
    with pytest.raises(SfarError, match=r"tiny\.ipynb, cell 2: ValueError: the reason"):
        notebooks.run(source, tmp_path / "out.ipynb", {})


@pytest.fixture
def another_python(tmp_path, monkeypatch):
    """Another Python's kernel under the name that the notebooks have, wherever Jupyter looks; it cannot be started."""
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        folder = tmp_path / variable / "kernels" / "python3"
        folder.mkdir(parents=True)
        argv = [str(tmp_path / "bin" / "python3"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv(variable, str(tmp_path / variable))


@pytest.mark.usefixtures("another_python")
def test_the_kernel_is_this_interpreter_s(tmp_path, monkeypatch):
    """It finds results and kept work where this process has them, also where a variable names a relative folder."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path / "mine")
    monkeypatch.setenv("SFAR_HOME", "mine")
    monkeypatch.setenv("SFAR_CACHE", "kept")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    source = tmp_path / "folder" / "tiny.ipynb"
    show = "from sfar.util import paths\nprint(sys.executable, paths.PROJECT, paths.cache(), sep='\\n')"
    _tiny(source, "import sys", show)
    out = notebooks.run(source, tmp_path / "out.ipynb", {})
    said = nbformat.read(out, 4).cells[1].outputs[0].text
    assert said.splitlines() == [sys.executable, str(tmp_path / "mine"), str(paths.START / "kept")]


def _nbval(path):
    """As `make test` calls it."""
    text = (paths.PROJECT / "Makefile").read_text(encoding="utf-8")
    (options,) = re.findall(r"-m pytest (--nbval.*) \$\(WORKERS\) notebooks$", text, re.MULTILINE)
    command = [sys.executable, "-m", "pytest", "-q", *options.split(), "--rootdir", str(path.parent), str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env={**os.environ, "NO_COLOR": "1"})


@pytest.mark.usefixtures("another_python")
def test_nbval_notices_a_changed_number_and_a_missing_row(tmp_path):
    """The check can fail: a copy with one rounded result changed and one row of another table taken out."""
    nb = nbformat.read(notebooks.find("03"), 4)
    marked = [c for c in nb.cells if c.cell_type == "code" and notebooks.CHECK in c.source]
    first, second = marked[0].outputs[0], marked[1].outputs[0]
    number = re.search(r"\d\d\.\d", first.text).group()
    first.text = first.text.replace(number, f"{float(number) + 0.1:.1f}", 1)
    second.text = "\n".join(second.text.splitlines()[:-1]) + "\n"
    nbformat.write(nb, tmp_path / "changed.ipynb")
    done = _nbval(tmp_path / "changed.ipynb")
    assert done.returncode == 1, done.stdout
    assert (
        f"{len([c for c in nb.cells if c.cell_type == 'code']) - 2} passed" in done.stdout and "2 failed" in done.stdout
    )


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_papermill_reads_every_parameter(path):
    """A remark with a second "=" in it hides the parameter before it, and a target of ``make`` would end there."""
    (cell,) = [c for c in nbformat.read(path, 4).cells if "parameters" in c.metadata.get("tags", [])]
    declared = {
        target.id for node in ast.parse(cell.source).body if isinstance(node, ast.Assign) for target in node.targets
    }
    assert declared and set(papermill.inspect_notebook(str(path))) == declared


@pytest.mark.slow
def test_the_method_runs_with_other_parameters(tmp_path):
    """Another class, sub-texts and video, as its last step asks for; its own comparisons with the loops hold."""
    own = ["running up", "jumping", "flying", "landing"]
    given = {"class_name": "jousting", "subtexts": own, "video": ["pole vault", 1]}
    nb = nbformat.read(notebooks.run(notebooks.find("00"), tmp_path / "out.ipynb", given), 4)
    said = "".join(o.text for c in nb.cells for o in c.get("outputs", ()) if o.output_type == "stream")
    assert "about | j" in said and "sub_words [26, 4" in said and said.count("equal: ") == 12
