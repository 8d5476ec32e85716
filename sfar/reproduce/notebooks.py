"""Runs notebooks headlessly through Papermill, refusing what the notebook does not declare."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from sfar.errors import ConfigError, SfarError
from sfar.render import picture
from sfar.util import paths
from sfar.util.extras import extra
from sfar.util.progress import MARK

with extra("notebooks", "running a notebook"):
    import nbformat
    import papermill
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from papermill.exceptions import PapermillExecutionError

CHECK, IGNORE = "nbval-check-output", "nbval-ignore-output"  # tags of cells that nbval compares, and never compares
WIDGET = "application/vnd.jupyter.widget-view+json"
# Seconds for what a kernel does in a moment: to start, and to send what a cell has shown. A machine may be busy.
PATIENCE = 600
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}  # as JupyterLab writes it


def tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    """Whether a cell has this tag."""
    return tag in cell.metadata.get("tags", [])


def find(name: str) -> Path:
    """The notebook called ``name`` (a path, or the start of a file name such as "03"). Raises ``ConfigError``."""
    if Path(name).is_file():
        return Path(name)
    found = sorted(p for p in paths.notebooks().glob("*.ipynb") if p.name.startswith(name))
    if len(found) != 1:
        have = ", ".join(p.name for p in sorted(paths.notebooks().glob("*.ipynb")))
        raise ConfigError(f"no single notebook {name!r}: expected one of {have}")
    return found[0]


class OwnKernel(AsyncKernelManager):
    """Starts this interpreter, whatever Python is called "python3" in JUPYTER_PATH or in the user's own folders.

    Results and kept work are in the same places as here, though it runs in another folder. What is said between the
    two is encrypted: other users of the machine could listen, and a kernel warns of that.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(transport_encryption="auto", **options)

    @property
    def kernel_spec(self) -> KernelSpec:
        """The specification that would be found by the kernel's name."""
        places = {"SFAR_HOME": str(paths.PROJECT), "SFAR_CACHE": str(paths.cache())}
        return KernelSpec(**get_kernel_dict(), env=places)


def run(notebook: Path, output: Path, parameters: dict[str, Any], timeout: int = 7200) -> Path:
    """Execute ``notebook`` with ``parameters`` into ``output``; progress by cell on the terminal.

    Papermill only warns about a parameter that the notebook does not have; here it is a ``ConfigError``. A failing cell
    is an ``SfarError`` with the cell's own message; the partly executed copy stays at ``output`` for reading.
    """
    declared = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(declared))
    if unknown:
        raise ConfigError(f"{notebook.name} has no parameter {', '.join(unknown)}: it declares {', '.join(declared)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters,
            kernel_name="python3",
            kernel_manager_class=OwnKernel,
            cwd=str(notebook.parent),
            execution_timeout=timeout,
            start_timeout=PATIENCE,
            iopub_timeout=PATIENCE,
        )
    except PapermillExecutionError as e:
        raise SfarError(
            f"{notebook.name}, cell {e.exec_count}: {e.ename}: {e.evalue}. The copy with the failing cell is {output}"
        ) from e
    return output


def _shrink(output: nbformat.NotebookNode) -> None:
    """A picture in few bytes (``picture.embedded``), shown as large as before; anything else stays as it is."""
    png = output.get("data", {}).pop("image/png", None)
    if png is not None:
        shown = output.metadata.get("image/png", {}).get("width")
        kind, data = picture.embedded(Image.open(io.BytesIO(base64.b64decode(png))), shown)
        output.data[kind] = base64.b64encode(data).decode()
        if "image/png" in output.metadata:
            output.metadata[kind] = output.metadata.pop("image/png")


def _result(output: nbformat.NotebookNode) -> bool:
    """Whether an output is one: progress and warnings of this machine are none, nor is what a kernel must move."""
    passing = output.get("name") == "stderr" or MARK in output.get("metadata", {})
    return not passing and WIDGET not in output.get("data", {})


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """What was printed in one go is one output, wherever the kernel happened to cut it."""
    out: list[nbformat.NotebookNode] = []
    for o in outputs:
        if out and o.output_type == out[-1].output_type == "stream" and o.name == out[-1].name:
            out[-1].text += o.text
        else:
            out.append(o)
    return out


def refresh(notebook: Path, executed: Path) -> None:
    """Take the outputs of an executed copy into ``notebook``.

    No injected parameters, no progress bars, no paths of this machine; pictures in few bytes. All metadata are those
    that JupyterLab writes: whoever opens a notebook there and saves it has changed nothing.
    """
    nb, done = nbformat.read(notebook, 4), nbformat.read(executed, 4)
    cells = [c for c in done.cells if not tagged(c, "injected-parameters")]
    if [c.source for c in cells] != [c.source for c in nb.cells]:
        raise SfarError(f"{executed} was not executed from {notebook}")
    count = 0
    for mine, theirs in zip(nb.cells, cells, strict=True):
        if mine.cell_type == "code":
            count += 1
            mine.outputs = _joined([o for o in theirs.outputs if _result(o)])
            mine.execution_count = count
            for out in mine.outputs:
                if "execution_count" in out:
                    out["execution_count"] = count
                _shrink(out)
        mine.metadata = nbformat.NotebookNode({k: v for k, v in mine.metadata.items() if k == "tags"})
    nb.metadata = nbformat.NotebookNode({"kernelspec": KERNEL, "language_info": done.metadata.language_info})
    nb.nbformat_minor = 5  # from here on cells have ids
    paths.write_atomic(notebook, nbformat.writes(nb) + "\n")
