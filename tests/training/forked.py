"""Processes forked from one that has its imports done, with the variables of torchrun where there are several.

What torchrun itself does is seen where it is called; elsewhere its start, and three times the imports, would take
longer than what is tested.
"""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing import forkserver

import killed  # noqa: F401 - for ``context``, as are the modules that a command imports
import pytest
import torch
import two  # noqa: F401
from torch._C._distributed_c10d import TCPStore
from waiting import ENOUGH

from sfar.cli.main import main


def context():
    """Whose processes have this module, and all that it imports, from their first moment."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["forked"])
    with pytest.MonkeyPatch.context() as patch:  # it looks for the module where Python starts to, not in our sys.path
        patch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
        forkserver.ensure_running()
    return found


@dataclass
class Done:
    """As of ``subprocess.run``. ``returncode``: the first that is not 0."""

    returncode: int
    stdout: str
    stderr: str


def _be(variables, folder, cwd, work, args):
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), fd)
    torch.set_num_threads(1)
    sys.exit(work(*args))


def call(folder, work, *args, processes=2, cwd=None):
    """``work(*args)`` in each of so many processes, until all have ended. ``folder``: for what they print."""
    folder.mkdir(parents=True)
    own = dict(os.environ)
    variables = [own]
    if processes > 1:
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun's own process has it
        job = own | {
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
        variables = [job | {"RANK": str(k), "LOCAL_RANK": str(k)} for k in range(processes)]
    started = [context().Process(target=_be, args=(v, folder, cwd or os.getcwd(), work, args)) for v in variables]
    for process in started:
        process.start()
    try:
        for process in started:
            process.join(ENOUGH)
        codes = [process.exitcode for process in started]
    finally:
        for process in started:
            process.kill()
    assert None not in codes, f"still at work after {ENOUGH} s"
    said = [(folder / name).read_text() for name in ("stdout", "stderr")]
    return Done(next((c for c in codes if c), 0), *said)


def command(folder, *args, **options):
    """The command."""
    return call(folder, main, [str(a) for a in args], **options)
