"""The paper profile end to end, on a ViT-B/16 at 224 pixels and elsewhere than the standard results.

Plan, every method, record, page, figure, executed notebook.
"""

import json
import shutil

import pytest

from sfar.cli.main import main
from sfar.model.registry import METHODS
from sfar.storyboard.write import write_kinetics
from sfar.studies.core.record import Record
from sfar.util import paths

NOTEBOOK = "03_table1_kinetics.ipynb"
TOPS = ("top1", "top5")


@pytest.mark.slow
@pytest.mark.usefixtures("videos_here", "runs_here")
def test_table1_on_a_vit_b16(tmp_path, monkeypatch, capsys):
    """Weights drawn at random, two training videos and one test video, one frame of each: the numbers say nothing."""
    root, project = tmp_path / "k400", tmp_path / "project"
    write_kinetics(root, 7, 1, 1, classes=("long jump", "making pizza"), workers=1)
    lists = root / "annotations" / "val.csv"
    lists.write_text("".join(lists.read_text().splitlines(keepends=True)[:2]))
    source = paths.notebooks() / NOTEBOOK
    (project / "notebooks").mkdir(parents=True)
    shutil.copy2(source, project / "notebooks")
    monkeypatch.setenv("SFAR_HOME", str(project))  # of the processes that this one starts
    monkeypatch.setattr(paths, "PROJECT", project)
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    argv = ["reproduce", "table1", "--profile", "paper", "--data", str(root), "--seeds", "3", "--jobs", "1"]
    for setting in ("model.pretrained=", "train.epochs=1", "train.frames=1", "train.warmup_epochs=0"):
        argv += ["--set", setting]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith("Plan of table1, profile paper")
        and "1 x 2 clips" in out
        and "set here; paper profile: 30" in out
    )

    (folder,) = (project / "results" / "runs").glob("paper-*")
    assert {p.name for p in folder.iterdir()} == {f"table1.{e}" for e in ("json", "csv", "tex", "md", "png")}
    record = Record.from_json(json.loads((folder / "table1.json").read_text(encoding="utf-8")))
    assert record.profile == "paper" and record.seeds == [3]
    assert [(r.row, r.setting["views"], r.metric) for r in record.rows] == [
        (m, v, top) for m in METHODS for v in (("1x1", "4x3") if m in ("single", "sfar") else ("1x1",)) for top in TOPS
    ]
    assert all(r.videos == 1 and r.mean in (0.0, 100.0) for r in record.rows)
    assert record.data["train_clips"] == 2 and record.data["classes"] == 2
    assert "importance" not in record.extra, "the truth of the frames is not looked at"
    temperature = record.extra["temperature"]
    assert temperature == pytest.approx(0.07), "of a CLIP before training"  # open_clip begins at ln(1 / 0.07)
    config = record.provenance["config"]
    assert (
        config["model"]["clip"] == "ViT-B-16-quickgelu"
        and config["train"]["lr_clip"] == 5e-6
        and config["data"]["image_size"] == 224
    )
    assert record.provenance["command"].startswith("sfar reproduce table1 --profile paper --data ")

    executed = json.loads((project / "results" / "runs" / NOTEBOOK).read_text(encoding="utf-8"))
    (injected,) = (c for c in executed["cells"] if "injected-parameters" in c["metadata"].get("tags", []))
    assert "'paper'" in "".join(injected["source"]).replace('"', "'") and all(
        c.get("outputs") is not None for c in executed["cells"] if c["cell_type"] == "code"
    )
    assert len(list((tmp_path / "cache" / "run").glob("*.json"))) == len(METHODS), (
        "the notebook found the kept runs and trained none"
    )
    assert [p.name for p in (project / "results").iterdir()] == ["runs"], "no standard result is touched"
    assert (project / "notebooks" / NOTEBOOK).read_bytes() == source.read_bytes()
