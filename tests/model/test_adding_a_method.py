"""docs/adding-a-method.md, done: its file and its entry go into a copy of the package, which knows the method then."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sfar

PACKAGE = Path(sfar.__file__).resolve().parent
TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "adding-a-method.md"

FACTS = """
import contextlib, dataclasses, io, json, tempfile
from pathlib import Path

import tiny
import torch
from sfar.cli.main import main
from sfar.config import ModelConfig, get_profile
from sfar.model.registry import METHODS, rivals
from sfar.runs.run import Dataset, Job
from sfar.training import checkpoint
from sfar.training.evaluate import score
from sfar.training.train import train

def printed(command, *args):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        command(*args)
    return " ".join(out.getvalue().split())

method = METHODS["class_pool"]
model, clips = tiny.model("class_pool"), tiny.clips(8)
profile = dataclasses.replace(tiny.profile(), model=tiny.MODEL)
first = {k: v.clone() for k, v in model.head.state_dict().items()}
history = train(model, clips, profile, 0)
scores = score(model, clips, 3, tiny.SIZE)
file = Path(tempfile.mkdtemp()) / "class_pool.safetensors"
checkpoint.save(file, model, profile, tuple(tiny.CLASSES), 0)
again = checkpoint.load(file, tiny.model("class_pool", seed=1), profile, tuple(tiny.CLASSES))

data = Dataset("kinetics400", Path("nowhere"), "fingerprint", ("long jump", "yoga"), True)
def key(**changes):
    return Job(get_profile("storyboard", {f"model.{k}": v for k, v in changes.items()}), data, "class_pool", 0).key()

print(json.dumps({
    "order": list(METHODS),
    "rivals": [m.name for m in rivals()],
    "look": [method.title, method.colour, method.marker],
    "loss": history.loss,
    "moved": sorted(k for k, v in model.head.state_dict().items() if not torch.equal(v, first[k])),
    "scores": scores.probabilities.tolist(),
    "importance": list(scores.coarse.shape),
    "same": all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)),
    "keys": {
        "default": key(),
        "frame_temperature": key(frame_temperature=0.5),
        "temporal_layers": key(temporal_layers=2),
        "subtexts": key(subtexts="loose"),
    },
    "untrained": printed(main, ["train", "vanilla", "--out", str(file)]),
    "unknown": printed(main, ["train", "clas_pool", "--out", str(file)]),
}))
"""


def blocks(page, language):
    """The fenced blocks of a language."""
    return [part.split("\n```", 1)[0] for part in page.split(f"```{language}\n")[1:]]


def patched(text, diff):
    """``text`` with the change of one hunk, which must be found in it once."""
    lines = diff.split("\n")
    old, new = ("\n".join(x[1:] for x in lines if x[0] in signs) for signs in (" -", " +"))
    assert text.count(old) == 1, f"registry.py is no longer as the page shows it: {old}"
    return text.replace(old, new)


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "sfar", ignore=shutil.ignore_patterns("__pycache__"))
    page = PAGE.read_text(encoding="utf-8")
    (file,) = blocks(page, "python")
    (root / "sfar" / "model" / "class_pool.py").write_text(file + "\n", encoding="utf-8")
    registry = root / "sfar" / "model" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    for diff in blocks(page, "diff"):
        text = patched(text, diff)
    registry.write_text(text, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(root), str(TESTS))), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", FACTS], env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_has_its_place_and_its_look(facts):
    assert facts["order"] == ["vanilla", "clip", "class_pool", "temporal", "single", "sfar-printed", "sfar"]
    assert facts["rivals"] == facts["order"][:-2]
    assert facts["look"] == ["Class pooling", "#F0E442", "P"]


def test_it_is_trained_evaluated_and_kept(facts):
    assert len(facts["loss"]) == 2 and facts["moved"] == ["project.bias", "project.weight"]
    assert len(facts["scores"]) == 8 and all(sum(row) == pytest.approx(1, abs=1e-5) for row in facts["scores"])
    assert facts["importance"] == [8, 3] and facts["same"]


def test_the_key_of_its_runs_has_what_it_reads(facts):
    keys = facts["keys"]
    assert keys["frame_temperature"] != keys["default"] == keys["temporal_layers"] == keys["subtexts"]


def test_the_commands_know_it(facts):
    assert (
        "'vanilla' is not trained: expected clip, class_pool, temporal, single, sfar-printed, sfar, ost"
        in facts["untrained"]
    )
    assert "unknown method 'clas_pool'; did you mean 'class_pool'?" in facts["unknown"]
