"""Notebooks: thin, executed, their marked cells filled; Papermill refuses what they do not declare."""

import ast
import base64
import io
import json
import os
import re
import subprocess
import sys

import nbformat
import papermill
import pytest
from PIL import Image

from sfar.errors import ConfigError, SfarError
from sfar.reproduce import notebooks
from sfar.util import paths

ALL = sorted(paths.notebooks().glob("*.ipynb"))
METHOD = "00_method"  # shows the code itself; the others show what a study has measured
STUDIED = [  # those whose study trains something
    p for p in ALL if p.stem not in (METHOD, "15_paper_audit", "16_your_own_videos")
]


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_executed_and_filled(path):
    """Nbval compares nothing in a cell that was never executed: each must have been, and marked ones have output."""
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    marked = [c for c in cells if notebooks.tagged(c, notebooks.CHECK)]
    assert len(marked) >= 5 and not any("NBVAL" in c.source for c in cells), "marks are tags"
    assert all(c.outputs for c in marked)
    assert not any(o.output_type == "error" for c in cells for o in c.outputs)
    most = 220 if path.stem == METHOD else 100
    assert sum(len(c.source.splitlines()) for c in cells) < most, "logic belongs into sfar/"
    assert not re.search(r"[ '\"(]/(home|root|tmp|Users|work|opt)/", path.read_text()), "a path of some machine"


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_opened_and_saved_it_is_the_same_file(path):
    """What JupyterLab would add as it saves is there already: kernel, language, ids; and in the form that it writes."""
    text = path.read_text(encoding="utf-8")
    nb = nbformat.reads(text, nbformat.NO_CONVERT)
    nbformat.validate(nb)
    assert nbformat.writes(nb, nbformat.NO_CONVERT) + "\n" == text
    assert (nb.nbformat, nb.nbformat_minor) == (4, 5)
    assert dict(nb.metadata.kernelspec) == notebooks.KERNEL and set(nb.metadata) == {"kernelspec", "language_info"}
    wanted = {
        "codemirror_mode",
        "file_extension",
        "mimetype",
        "name",
        "nbconvert_exporter",
        "pygments_lexer",
        "version",
    }
    assert set(nb.metadata.language_info) == wanted
    ids = [c.id for c in nb.cells]
    assert len(ids) == len(set(ids)) and all(set(c.metadata) <= {"tags"} for c in nb.cells)


def _fields(banner):
    """The fields that a banner names."""
    return {part.split(" = ")[0] for part in banner.split("`")[1::2] if " = " in part}


@pytest.mark.parametrize("path", STUDIED, ids=lambda p: p.stem)
def test_a_notebook_begins_with_question_picture_and_answer(path):
    """Then what is compared, and on the way one cell that is live; nothing is printed that could be shown."""
    cells = nbformat.read(path, 4).cells
    assert "**Question.** " in cells[0].source and cells[0].source.endswith("?")
    _, opened, picture, _, answer, *rest = cells[1:]
    assert ".load(" in opened.source and opened.source.endswith("show.banner()")
    # A study that takes the first few seeds may have been measured when the profile named others behind them.
    assert all(_fields(o.data["text/markdown"]) <= {"seeds", "frozen_seeds"} for o in opened.outputs)
    assert picture.source.startswith('show("') and any("image" in kind for o in picture.outputs for kind in o.data)
    assert "show.answer(" in answer.source and 2 <= answer.outputs[0].data["text/markdown"].count("\n- ") + 1 <= 3
    assert any(c.source.startswith("## What is compared") for c in rest)
    live = [c for c in rest if notebooks.tagged(c, notebooks.IGNORE)]
    assert len(live) == (path.stem != "11_qualitative") or "walkthrough" in live[0].source
    assert not any("print(show" in c.source or "print(page.show" in c.source for c in cells)


@pytest.mark.parametrize("path", STUDIED, ids=lambda p: p.stem)
def test_tables_are_rendered(path):
    """What a marked cell gives is Markdown: no table is text, which JupyterLab breaks inside words."""
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    said = [o for c in cells for o in c.outputs if o.output_type == "stream"]
    assert not any("|---" in o.text for o in said)
    shown = [o.data for c in cells for o in c.outputs if "|---" in o.get("data", {}).get("text/plain", "")]
    assert len(shown) >= 5 and all("text/markdown" in data for data in shown)


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_figures_have_pixels_for_sharp_displays(path):
    """A figure has more of them than it is wide; a link to the page of a table that is cut leads somewhere."""
    outputs = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", ())]
    pictures = [(k, o) for o in outputs for k in o.get("data", {}) if k in ("image/png", "image/jpeg")]
    assert pictures
    for kind, o in pictures:
        with Image.open(io.BytesIO(base64.b64decode(o.data[kind]))) as image:
            assert image.width >= 1.4 * o.metadata[kind]["width"]
    links = re.findall(
        r"\[the whole page\]\(([^)]+)\)", "".join(o.get("data", {}).get("text/markdown", "") for o in outputs)
    )
    assert all((path.parent / link).is_file() for link in links)


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
    quiet = "from sfar.util import progress\nwith progress.quiet('work'):\n    print(x + 1)"
    _tiny(source, "x = 1", f"{quiet}\nimport sys\nprint('progress', file=sys.stderr)")
    out = notebooks.run(source, tmp_path / "out.ipynb", {"x": 41})
    notebooks.refresh(source, out)
    nb = nbformat.read(source, 4)
    assert (
        nb.cells[0].source == "x = 1"
        and [o.text for o in nb.cells[1].outputs] == ["42\n"]
        and nb.cells[1].execution_count == 2
    )
    (shown,) = [o.data["text/html"] for o in nbformat.read(out, 4).cells[-1].outputs if o.output_type == "display_data"]
    assert "work · " in shown, "the line is in the executed copy"
    assert "papermill" not in nb.metadata and all("papermill" not in c.metadata for c in nb.cells)


def test_a_kernel_that_is_slow_to_send_what_it_shows(tmp_path):
    """On a busy machine its own thread for that may come late; longer than Papermill itself would wait."""
    late = """kernel = get_ipython().kernel
real = kernel.post_handler_hook
def hook():  # when it has answered, and before it says that the cell is done
    real()
    kernel.iopub_thread.schedule(lambda: time.sleep(4.5))
kernel.post_handler_hook = hook
print("late")"""
    _tiny(tmp_path / "tiny.ipynb", "import time", late)
    out = notebooks.run(tmp_path / "tiny.ipynb", tmp_path / "out.ipynb", {})
    assert [o.text for o in nbformat.read(out, 4).cells[1].outputs] == ["late\n"]


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


def test_what_is_printed_in_one_go_is_one_output(tmp_path):
    """However the kernel has cut it: a notebook that is executed again has changed nothing."""
    source = tmp_path / "tiny.ipynb"
    _tiny(source, "x = 1", "import sys\nfor k in range(3):\n    print(k)\n    sys.stdout.flush()")
    nb = nbformat.read(source, 4)
    nb.metadata.language_info = {"name": "python"}
    nb.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{k}\n") for k in range(3)]
    nbformat.write(nb, tmp_path / "out.ipynb")
    notebooks.refresh(source, tmp_path / "out.ipynb")
    assert [o.text for o in nbformat.read(source, 4).cells[1].outputs] == ["0\n1\n2\n"]


def test_of_a_slider_the_picture_stays(tmp_path):
    """Moved, it has its picture drawn anew in the same place; a notebook keeps the picture and not the slider."""
    source = tmp_path / "tiny.ipynb"
    shown = """import matplotlib.pyplot as plt
from sfar.reproduce import lab
drawn = []
def draw(x):
    drawn.append(x)
    return plt.subplots(figsize=(x, 1))[0]
lab.slider("size", (3, 2, 1), x, draw)"""
    moved = """import ipywidgets
(knob,) = (w for w in ipywidgets.Widget.widgets.values() if isinstance(w, ipywidgets.SelectionSlider))
knob.value = 3
print(drawn)"""
    _tiny(source, "x = 1", shown, moved)
    out = notebooks.run(source, tmp_path / "out.ipynb", {})
    notebooks.refresh(source, out)
    ran = [[o.get("data", {}) for o in c.outputs] for c in nbformat.read(out, 4).cells]
    kept = [c.outputs for c in nbformat.read(source, 4).cells]
    assert notebooks.WIDGET in ran[1][0] and [len(o) for o in kept] == [0, 1, 1]
    assert set(kept[1][0].data) == {"image/png", "text/plain"} and kept[2][0].text == "[1, 3]\n"
    assert 2.5 * 110 < kept[1][0].metadata["image/png"]["width"] < 3.5 * 110, (
        "the second picture took the first's place"
    )


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_small_enough_to_be_shown(path):
    assert path.stat().st_size < 2_500_000


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
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        *options.split(),
        "--rootdir",
        str(path.parent),
        str(path),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env={**os.environ, "NO_COLOR": "1"})


@pytest.mark.usefixtures("another_python")
def test_nbval_notices_a_changed_number_and_a_missing_row(tmp_path):
    """The check can fail: a copy with one rounded result changed and one row of another table taken out."""
    nb = nbformat.read(notebooks.find("03"), 4)
    marked = [c for c in nb.cells if notebooks.tagged(c, notebooks.CHECK)]
    first, second = (c.outputs[0].data for c in marked[2:4])
    number = re.search(r"\d\d\.\d", first["text/markdown"]).group()
    first["text/markdown"] = first["text/markdown"].replace(number, f"{float(number) + 0.1:.1f}", 1)
    second["text/plain"] = "\n".join(second["text/plain"].splitlines()[:-1])
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
