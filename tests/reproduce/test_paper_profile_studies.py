"""Profile "paper" on real folders: every study from videos on disk to its page, and what it says where one is missing.

The folders are the storyboard world's, two classes in each layout; the model is its small CLIP, so that everything but
sizes is as with ViT-B/16. The numbers say nothing.
"""

import json
import shutil

import one_process
import pytest

from sfar.cli.main import main
from sfar.config import get_profile
from sfar.data.source import by_name, dataset, root_of
from sfar.errors import ConfigError, DataError
from sfar.model.registry import METHODS
from sfar.reproduce import plan
from sfar.runs import store
from sfar.storyboard.scripts import HMDB, UCF
from sfar.storyboard.sets import write_charades, write_hmdb51, write_ucf101
from sfar.storyboard.write import write_kinetics
from sfar.studies import (
    ablations,
    ambiguity,
    few_shot,
    generalization,
    multi_label,
    qualitative,
    sub_actions,
    table1,
    zero_shot,
)
from sfar.studies.core import page, study
from sfar.studies.core.record import Record
from sfar.subtexts import SubTexts
from sfar.subtexts.source import subtexts_of
from sfar.util import paths

CLASSES = {
    "kinetics400": ("long jump", "making pizza"),
    "ucf101": tuple(UCF)[:2],
    "hmdb51": tuple(HMDB)[:2],
    "charades": (*tuple(UCF)[:1], *tuple(HMDB)[:1]),
}
TINY = {
    "model.clip": "storyboard",
    "model.pretrained": "",
    "data.image_size": 64,
    "train.checkpoint_activations": False,
    "model.temporal_layers": 1,
    "train.epochs": 1,
    "train.warmup_epochs": 0,
    "train.frames": 2,
    "train.batch": 32,
    "train.frozen_draws": 1,
    "seeds": [0],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One folder with the four data sets under their names (one is a link), and sub-texts of all N for each."""
    base = tmp_path_factory.mktemp("paper")
    root, texts = base / "data", base / "subtexts"
    write_kinetics(base / "elsewhere", 7, 16, 2, classes=CLASSES["kinetics400"], workers=1)
    write_ucf101(root / "ucf101", 7, 16, 1, classes=CLASSES["ucf101"], workers=1)
    write_hmdb51(root / "hmdb51", 7, 16, 1, classes=CLASSES["hmdb51"], workers=1)
    write_charades(root / "charades", 7, 2, 3, classes=CLASSES["charades"], workers=1)
    (root / "kinetics400").symlink_to(base / "elsewhere")
    texts.mkdir()
    for which, classes in CLASSES.items():
        for n in (2, 3, 4, 5):
            own = {c: list(t) for c, t in SubTexts.load("storyboard", n).only(classes).items()}
            (texts / f"{which}.n{n}.json").write_text(json.dumps({"label_set": which, "sets": {str(n): own}}))
    return base


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, home):
    """Runs and videos one after another in this process: starting others takes longer than all of them.

    What is kept is kept for this module.
    """
    one_process.runs(monkeypatch)
    one_process.videos(monkeypatch)
    monkeypatch.setenv("SFAR_CACHE", str(home / "cache"))


def paper(home, **changes):
    return get_profile(
        "paper",
        {
            **TINY,
            "data.root": str(home / "data"),
            "model.subtexts": str(home / "subtexts" / "{dataset}.n{n}.json"),
            **changes,
        },
    )


def pages(module, profile, out):
    """The study measured, its files written; returns the record, as it is read again, and the page."""
    record = module.STUDY.measure(profile, 1)
    files = page.write(module.STUDY, record, out)
    assert all(f.stat().st_size for f in files) and page.terminal(module.STUDY, record)
    text = next(f for f in files if f.suffix == ".md").read_text(encoding="utf-8")
    assert record.profile == "paper" and "--profile paper" in text and "nan" not in text.replace("nan ", "")
    kept = json.loads(next(f for f in files if f.suffix == ".json").read_text(encoding="utf-8"))
    return Record.from_json(kept), text


def table1_jobs(profile):
    return [study.job(profile, v, s) for v, seeds in table1.planned(profile) for s in seeds]


# --- from videos to pages ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_zero_shot_by_the_command_and_its_notebook(home, tmp_path, monkeypatch, capsys):
    """06: plan, runs, page and the notebook executed; Table 1 then asks for the same runs."""
    notebook, project = "06_zero_shot.ipynb", tmp_path / "project"
    (project / "notebooks").mkdir(parents=True)
    shutil.copy2(paths.notebooks() / notebook, project / "notebooks")
    monkeypatch.setenv("SFAR_HOME", str(project))
    monkeypatch.setattr(paths, "PROJECT", project)
    argv = [
        "reproduce",
        "table2b",
        "--profile",
        "paper",
        "--data",
        str(home / "data"),
        "--seeds",
        "0",
        "--set",
        f"model.subtexts={home / 'subtexts' / '{dataset}.n{n}.json'}",
    ]
    for k, v in TINY.items():
        argv += ["--set", f"{k}={json.dumps(v) if not isinstance(v, str) else v}"] if k != "seeds" else []
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert all(
        f"in {(home / 'data' / which).resolve()}" in out and f"{which}.n4.json: N = 4 for each of 2 classes" in out
        for which in ("kinetics400", "ucf101", "hmdb51")
    )
    (folder,) = (project / "results" / "runs").glob("paper-*")
    record = Record.from_json(json.loads((folder / "zero_shot.json").read_text(encoding="utf-8")))
    text = (folder / "zero_shot.md").read_text(encoding="utf-8")
    assert all(record.names(of) == list(METHODS) for of in ("ucf101", "hmdb51"))
    assert record.data["trained_on"] == "kinetics400"
    assert {of: about["videos"] for of, about in record.data["sets"].items()} == {"ucf101": 34, "hmdb51": 38}
    assert "some of whose classes training had too" in text and "{dataset}.n{n}.json) of these classes" in text
    assert all("visual" in r.trained for r in record.rows if r.row != "vanilla")
    assert "UCF-101" in record.claims[0].claim
    executed = json.loads((project / "results" / "runs" / notebook).read_text(encoding="utf-8"))
    printed = "".join(
        "".join([*o.get("text", ()), *o.get("data", {}).get("text/markdown", ())])
        for c in executed["cells"]
        if c["cell_type"] == "code"
        for o in c["outputs"]
    )
    assert str(page.show(zero_shot.STUDY, record, "hmdb51-rows")) in printed and "--profile paper" in printed
    assert all(store.kept(j) for j in table1_jobs(paper(home))), "Table 1 trains nothing again"


@pytest.mark.slow
def test_ablations_and_sub_actions(home, tmp_path):
    """04, 09: each N has its file; the runs that Table 1 has too are tested on the unseen sets as its are.

    What only a script knows is left out.
    """
    profile = paper(home)
    record, text = pages(ablations, profile, tmp_path)
    assert record.names("fig7a") == [f"{of}n{n}" for of in ("", "printed/") for n in (2, 3, 4, 5)]
    rows = [r for part in ("table2e", "tuned") for r in record.select(part) if r.row != "vanilla"]
    assert rows and all("visual" in r.trained for r in rows)
    assert not any("visual" in r.trained for r in record.select("fig7a")), "as in the drawn world, the tower is frozen"
    assert record.data["train_clips"] == 32 and "Kinetics-400" in text
    jobs = [study.job(profile, v, 0) for v in (*ablations.TABLE2E, *ablations.TUNED)]
    assert all(j in jobs for j in table1_jobs(profile) if j.trained)
    record, text = pages(sub_actions, profile, tmp_path)
    classes = record.contrasts_of("classes")
    assert {c.setting["cls"] for c in classes} == set(CLASSES["kinetics400"])
    assert all(c.more["actions"] is None for c in classes), "both have a script in the drawn world"
    assert not record.contrasts_of("trend") and "not for real videos" in text and "Atomic actions" not in text


@pytest.mark.slow
def test_multi_label(home, tmp_path):
    """07: from the parent folder, or from that of Charades itself; a field that the user sets goes first."""
    record, _ = pages(multi_label, paper(home), tmp_path)
    assert (record.data["videos"], record.data["classes"], record.data["frames"]) == (3, 2, 2)
    own = paper(home, **{"data.root": str(home / "data" / "charades")})
    every = [v for rows in multi_label.variants(own).values() for v in rows]
    assert [study.job(own, v, 0).key() for v in every] == [study.job(paper(home), v, 0).key() for v in every]
    plain = get_profile("paper", {"data.root": "/d"})
    train = multi_label.variants(plain)["frozen"][1].profile(plain, 0).train
    assert (train.epochs, train.frames, train.train_visual) == (20, 16, False)


@pytest.mark.slow
def test_few_shot(home, tmp_path, monkeypatch):
    """05: three sets (of K the smallest and the largest), the tower fine-tuned throughout as in the paper."""
    monkeypatch.setattr(few_shot, "SHOTS", (2, 16))
    record, text = pages(few_shot, paper(home), tmp_path)
    cells = record.select("cells", metric="top1")
    assert list(record.data["sets"]) == ["hmdb51", "ucf101", "kinetics400"]
    assert record.extra["tower"] == "fine-tuned" and {c.setting["tower"] for c in cells} == {"fine-tuned"}
    assert all("visual" in c.trained for c in cells if c.row != "vanilla") and len(cells) == 3 * 2 * (6 * 2 + 1)
    own = [c for c in cells if c.row == "sfar" and c.setting["lists"] == 1]
    assert {(c.setting["shots"], *c.more["clips"]) for c in own} == {(k, 2 * k) for k in (2, 16)}
    assert "frozen" not in page.terminal(few_shot.STUDY, record).lower()
    assert "Frozen tower" not in text and "fine-tuned in all cells" in text


@pytest.mark.slow
def test_the_others(home, tmp_path):
    """08, 10, 11: no truth is looked at, though it lies beside the videos; Figure 10 is of the real unseen sets."""
    profile = paper(home)
    record, _ = pages(generalization, profile, tmp_path)
    assert {r.setting["base"] for r in record.rows} == {"videoprompt", "atm", "bike"}
    record, text = pages(ambiguity, profile, tmp_path)
    assert not any(record.contrasts_of(part) for part in ("ranking", "dose", "dose-trends"))
    assert ambiguity.NO_TRUTH in text
    record, _ = pages(qualitative, profile, tmp_path)
    videos, figures = record.extra["videos"], record.extra["figures"]
    assert not record.extra["drawn"] and "fig1" not in figures
    assert record.extra["ambiguity"]["by"].startswith("ambiguous score")
    assert not any("segments" in v for v in videos.values())
    assert {videos[p]["dataset"] for p in figures["fig10"]} == {"ucf101", "hmdb51"}


# --- what is missing -----------------------------------------------------------------------------------------------


def test_folders(home, tmp_path):
    for which in CLASSES:
        p = paper(home, **{"data.dataset": which})
        assert root_of(p, which) == (home / "data" / which).resolve() == dataset(p).root
        assert dataset(paper(home, **{"data.dataset": which, "data.root": str(home / "data" / which)})) == dataset(p), (
            "the folder itself is the same data set"
        )
    assert (
        by_name(paper(home), "ucf101").data.root == str(home / "data")
        and by_name(get_profile("storyboard"), "storyboard-ucf101").data.root == ""
    )
    (tmp_path / "ucf101").mkdir()
    with pytest.raises(DataError, match=r"holds ucf101, but no folder kinetics400.*sfar data layout kinetics400"):
        dataset(paper(home, **{"data.root": str(tmp_path)}))


@pytest.mark.parametrize(
    ("module", "names"), [(few_shot, "hmdb51, ucf101, kinetics400"), (zero_shot, "kinetics400, ucf101, hmdb51")]
)
def test_missing_data_sets_are_named(home, tmp_path, module, names):
    for which in ("kinetics400", "hmdb51"):
        (tmp_path / which).symlink_to(home / "data" / which)
    for root, words in (
        (tmp_path, "no sub-folder ucf101: "),
        (home / "elsewhere", f"no sub-folder {names}: "),
        ("", "data.root is empty: "),
    ):
        with pytest.raises(DataError, match=f"{words}several data sets are needed.*DATA=/path.*{names}"):
            module.STUDY.measure(paper(home, **{"data.root": str(root)}))
    target = {"few_shot": "table3", "zero_shot": "table2b"}[module.STUDY.id]
    found = plan.plan(target, paper(home, **{"data.root": str(home / "elsewhere")}))
    assert sum("several data sets are needed" in w for w in found.wrong) == 1


def test_zero_shot_needs_sub_texts_of_every_set_and_kinetics(home):
    with pytest.raises(ConfigError, match=r"kinetics400.n4.json' is one file.*write \{dataset\} in its path"):
        zero_shot.STUDY.measure(paper(home, **{"model.subtexts": str(home / "subtexts" / "kinetics400.n4.json")}))
    with pytest.raises(ConfigError, match=r"data.dataset='ucf101': Table 2b trains on kinetics400"):
        zero_shot.STUDY.measure(paper(home, **{"data.dataset": "ucf101"}))


@pytest.mark.parametrize("module", [ablations, sub_actions])
def test_a_missing_n_is_named(home, tmp_path, module):
    shutil.copytree(home / "subtexts", tmp_path / "t")
    for n in (2, 5):
        (tmp_path / "t" / f"kinetics400.n{n}.json").unlink()
    p = paper(home, **{"model.subtexts": str(tmp_path / "t" / "kinetics400.n{n}.json")})
    with pytest.raises(
        ConfigError,
        match=r"N = 2, 5 .*no file .*kinetics400.n2.json; `sfar subtexts generate --classes kinetics400 --n 2 .*"
        r"no file .*kinetics400.n5.json",
    ):
        module.STUDY.measure(p)
    assert any("kinetics400.n5.json" in w for w in plan.plan("table4", p).wrong)
    SubTexts.load("kinetics400").save(tmp_path / "four.json")
    with pytest.raises(
        ConfigError,
        match=r"N = 2, 3, 5 .*has N = 4, not 2.*sfar subtexts generate.*model.subtexts=DIR/\{dataset\}.n\{n\}.json",
    ):
        module.STUDY.measure(paper(home, **{"model.subtexts": str(tmp_path / "four.json")}))


def test_places_in_the_path_of_sub_texts(home):
    for which, n in (("kinetics400", 5), ("ucf101", 2)):
        texts = subtexts_of(paper(home, **{"data.dataset": which, "model.n_subtexts": n}), CLASSES[which])
        assert texts.n == n and texts.source.endswith(f"{which}.n{n}.json")


def test_the_plan_names_every_data_set_and_n(home):
    found = plan.plan("table2e", paper(home))
    assert found.wrong == [] and all(
        f"kinetics400.n{n}.json: N = {n} for each of 2 classes" in found.text for n in (2, 3, 4, 5)
    )
    assert all(
        title in found.text
        for title in ("Kinetics-400, 2 classes", "UCF-101, fold 1, 2 classes", "HMDB-51, fold 1, 2 classes")
    )
    found = plan.plan("table2a", paper(home))
    assert found.wrong == [] and "Charades, 2 classes" in found.text and "Kinetics-400, 2 classes" not in found.text


def test_the_plan_finds_what_would_fail_later(home, tmp_path, monkeypatch):
    """Folds of a protocol, missing videos of a set that is tested on alone, few-shot lists, the disk."""
    assert plan.plan("table2b", paper(home)).wrong == plan.plan("table3", paper(home)).wrong == []
    root = tmp_path / "data"
    root.mkdir()
    for which in ("kinetics400", "hmdb51"):
        (root / which).symlink_to(home / "data" / which)
    shutil.copytree(home / "data" / "ucf101", root / "ucf101")
    for name in ("trainlist02.txt", "testlist03.txt"):
        next((root / "ucf101").rglob(name)).unlink()
    p = paper(home, **{"data.root": str(root)})
    found = plan.plan("table2b", p)
    assert [w.split(":")[0] for w in found.wrong] == ["split 2 of UCF-101", "split 3 of UCF-101"]
    assert plan.plan("table1", p).wrong == [], "the protocols are Table 2b's"
    for video in sorted((root / "ucf101").rglob("*.avi"))[:3]:
        video.unlink()
    (lost,) = plan.plan("table1", p).wrong
    assert "3 of 34 all videos are not on disk" in lost
    monkeypatch.setattr(few_shot, "SHOTS", (2, 17))
    assert all("has 16" in w for w in plan.plan("table3", paper(home)).wrong[:3])
    monkeypatch.setattr(paths, "free", lambda folder: 1000)
    assert any("weights of the runs and a state on the way: " in w for w in plan.plan("table1", paper(home)).wrong)
