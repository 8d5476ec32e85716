"""A task in several processes: torchrun starts them, each is this module, and the first says how far they are.

They talk to who started them by the standard streams that they inherit. On their output stand lines of JSON: work that
is done, or why there is no result. Their input says nothing and ends with the process that started them, however that
ends: then they leave.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sfar.errors import SfarError
from sfar.util import processes

if TYPE_CHECKING:  # a process looks out for who started it first, and imports then
    from sfar.runs.run import Tick
    from sfar.runs.task import Task

_TASK, _MADE, _SAID = "task", "made", "said"
_LAST = 8000  # bytes of what they said, which is shown where no process could say what is wrong


def made(task: Task, each: int, tick: Tick) -> Any:
    """What ``task`` makes: in ``each`` processes where there are several and it can be shared, or else in this one."""
    return together(task, each, tick) if each > 1 and task.share else task.make(task.key, tick)


def together(task: Task, each: int, tick: Tick) -> Any:
    """What ``task.share`` returns in the first of ``each`` processes under torchrun.

    Raises ``SfarError`` with the words of the process that failed, ``ProcessDied`` where none could say why.
    """
    with tempfile.TemporaryDirectory(prefix="sfar-run-") as name:
        folder = Path(name)
        (folder / _TASK).write_bytes(pickle.dumps(task))
        failed = _launch(folder, each, tick)
        if failed:
            raise SfarError(failed)
        if not (folder / _MADE).is_file():
            said = (folder / _SAID).read_bytes()[-_LAST:].decode("utf-8", "replace")
            print(f"\n{said}", file=sys.stderr, flush=True)
            raise processes.ProcessDied(f"one of its {each} processes was killed")
        return pickle.loads((folder / _MADE).read_bytes())


def _launch(folder: Path, each: int, tick: Tick) -> str:
    """Run them to their end; returns what went wrong, as far as it was said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(each)]
    # They find the modules that this process has found, and have a thread each on a CPU, as everywhere.
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    variables.setdefault("OMP_NUM_THREADS", "1")
    failed = ""
    with (
        open(folder / _SAID, "wb") as said,
        subprocess.Popen(
            [*command, "-m", __spec__.name, str(folder)],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for the process that the user has started
        ) as job,
    ):
        assert job.stdin and job.stdout
        try:
            for line in job.stdout:
                about = json.loads(line)
                failed = failed or about.get("failed", "")
                tick(about.get("done", 0))
        finally:
            job.stdin.close()
            for _ in job.stdout:  # until the last of them is gone
                pass
    return failed


# --- one of the processes --------------------------------------------------------------------------------------------


def main(folder: Path) -> int:
    """Take part in the task in ``folder``; returns the exit status."""
    threading.Thread(target=_leave_with_launcher, daemon=True).start()
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed
    import torch

    from sfar.training import distributed

    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    try:
        with distributed.joined() as world:
            task: Task = pickle.loads((folder / _TASK).read_bytes())
            assert task.share is not None, "``made`` asks for it"
            own = task.share(task.key, lambda n: world.rank or _say(pipe, done=n), world, world.first)
            if not world.rank:
                (folder / _MADE).write_bytes(pickle.dumps(own))
    except SfarError as e:
        _say(pipe, failed=str(e))
        return 2
    except torch.OutOfMemoryError:
        _say(
            pipe,
            failed="out of GPU memory: lower train.batch, set train.checkpoint_activations=true, or take more GPUs for "
            "a run (--gpus-per-run)",
        )
        return 2
    return 0


def _say(pipe: TextIO, **what: Any) -> None:
    pipe.write(json.dumps(what) + "\n")


def _leave_with_launcher() -> None:
    """End this process when the one that started torchrun is gone, or wants no more of it."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
