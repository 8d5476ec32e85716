"""JupyterLab, really: a browser opens notebooks, runs all their cells and sees tables and figures (`make test-lab`).

Not among the other tests: it needs Chromium, and minutes. The browser is spoken to in its own protocol; a copy of the
notebooks is opened, so that the repository stays as it is.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from websocket import create_connection

from sfar.util import paths

ASKED = os.environ.get("SFAR_BROWSER")  # a browser that must be there; without it one is looked for
BROWSER = ASKED or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
LIMIT = 600  # seconds that a notebook may take

READY = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN = """(() => {
  const panel = window.jupyterapp.shell.currentWidget;
  panel.content.notebookConfig = {...panel.content.notebookConfig, windowingMode: 'none'};
  window.ran = false;
  window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.ran = true; });
})()"""
SEEN = """(() => {
  const panel = window.jupyterapp.shell.currentWidget, all = (s) => [...panel.node.querySelectorAll(s)];
  const cells = [...panel.content.model.cells].filter((c) => c.type === 'code');
  const outputs = cells.flatMap((c) => Array.from({length: c.outputs.length}, (_, i) => c.outputs.get(i)));
  const wide = (t) => t.getBoundingClientRect().width > t.closest('.jp-OutputArea-output').clientWidth + 1;
  return JSON.stringify({
    counts: cells.map((c) => c.executionCount),
    errors: outputs.filter((o) => o.type === 'error').map((o) => JSON.stringify(o.toJSON())),
    red: all('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]').map((n) => n.textContent),
    tables: all('.jp-OutputArea .jp-RenderedMarkdown table').length,
    wide: all('.jp-OutputArea .jp-RenderedMarkdown table').filter(wide).map((t) => t.textContent.slice(0, 80)),
    figures: all('.jp-OutputArea .jp-RenderedImage img').length,
    blurred: all('.jp-OutputArea .jp-RenderedImage img').filter((i) => i.naturalWidth < 1.4 * i.width).length,
    sliders: all('.jp-OutputArea .widget-slider').length,
    source: all('.jp-OutputArea .highlight pre').length,
    wrapped: all('.jp-OutputArea .highlight pre').filter((p) => getComputedStyle(p).whiteSpace !== 'pre').length,
  });
})()"""
# The cell of the slider: what it says, and its one picture.
SLIDER = """(() => {
  const cell = document.querySelector('.widget-slider')?.closest('.jp-Cell');
  if (!cell) return null;
  const pictures = [...cell.querySelectorAll('.jp-RenderedImage img')].map((i) => i.src);
  return JSON.stringify({says: cell.querySelector('.widget-readout').textContent, pictures});
})()"""
# A key on the slider's handle, as one who has no mouse moves it.
PRESS = """(() => {
  const handle = document.querySelector('.widget-slider .noUi-handle');
  handle.focus();
  handle.dispatchEvent(new KeyboardEvent('keydown', {key: '%s', bubbles: true, cancelable: true}));
})()"""


def _wait(what, until, seconds):
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, f"{what}: nothing within {seconds} s"
        time.sleep(0.5)
    return found


def _free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _answers(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status == 200
    except OSError:  # it has not started yet
        return False


def _end(process):
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of JupyterLab on a copy of the notebooks beside the results."""
    root, port = tmp_path_factory.mktemp("lab"), _free()
    shutil.copytree(paths.notebooks(), root / "notebooks")
    (root / "results").symlink_to(paths.PROJECT / "results")
    options = {
        "ServerApp.root_dir": root,
        "ServerApp.port": port,
        "IdentityProvider.token": "mine",
        "LabApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    env = {**os.environ, "SFAR_HOME": str(paths.PROJECT), "JUPYTER_CONFIG_DIR": str(root / "config")}
    env["JUPYTER_PATH"] = str(Path(sys.prefix, "share", "jupyter"))
    with open(root / "log", "w") as log:
        process = subprocess.Popen([*command, *(f"--{k}={v}" for k, v in options.items())], env=env, stderr=log)
    try:

        def up():
            assert process.poll() is None, (root / "log").read_text()
            return _answers(f"http://localhost:{port}/api/status?token=mine")

        _wait("JupyterLab", up, 180)
        yield f"http://localhost:{port}/lab/tree/notebooks/{{}}.ipynb?token=mine"
    finally:
        _end(process)


@pytest.fixture
def browser(tmp_path):
    """What a page says to an expression: ``browser(address)`` opens one."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        "--window-size=1400,1000",
    ]
    process = subprocess.Popen(
        [BROWSER, *options, f"--user-data-dir={tmp_path}", "about:blank"], stderr=subprocess.DEVNULL
    )
    opened = []

    def open_page(address):
        where = tmp_path / "DevToolsActivePort"
        port = _wait("Chromium", lambda: where.is_file() and where.read_text().split()[:1], 60)[0]
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?{address}", method="PUT")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            page = json.load(answer)
        ws = create_connection(page["webSocketDebuggerUrl"], suppress_origin=True, timeout=120)
        opened.append(ws)

        def ask(expression):
            params = {"expression": expression, "returnByValue": True}
            ws.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": params}))
            while (answer := json.loads(ws.recv())).get("id") != 1:
                pass
            assert "exceptionDetails" not in answer["result"], answer["result"]
            return answer["result"]["result"].get("value")

        return ask

    try:
        yield open_page
    finally:
        for ws in opened:
            ws.close()
        _end(process)


def _ran(ask, name):
    _wait(f"the kernel of {name}", lambda: ask(READY), 180)
    ask(RUN)
    _wait(f"{name} run to its end", lambda: ask("window.ran"), LIMIT)


@pytest.mark.parametrize(
    ("name", "tables", "figures", "sliders", "source"), [("00_method", 4, 11, 1, 7), ("03_table1_kinetics", 9, 1, 0, 0)]
)
def test_all_cells_run_and_are_shown(server, browser, name, tables, figures, sliders, source):
    ask = browser(server.format(name))
    _ran(ask, name)
    seen = json.loads(ask(SEEN))
    assert not seen["errors"] and not seen["red"], seen
    assert None not in seen["counts"] and len(seen["counts"]) > 10
    assert seen["tables"] >= tables and not seen["wide"], seen
    assert seen["figures"] >= figures and not seen["blurred"] and seen["sliders"] == sliders, seen
    assert seen["source"] == source and not seen["wrapped"], seen
    if sliders:
        _slider_moves_its_picture(ask)


def _slider_moves_its_picture(ask):
    """From end to end: another temperature is said, another picture stands in the place of the one before."""
    seen = [json.loads(ask(SLIDER))]
    for key, says in (("Home", "1"), ("End", "0.01")):
        ask(PRESS % key)

        def moved(before=seen[-1]["pictures"]):
            now = json.loads(ask(SLIDER))
            return now if now["pictures"] != before else None

        seen.append(_wait(f"the picture after {key}", moved, 60))
        assert seen[-1]["says"] == says
    pictures = [one["pictures"] for one in seen]
    assert [len(p) for p in pictures] == [1, 1, 1] and len({p[0] for p in pictures}) == 3
