"""Profile "paper" on real folders: every study of several data sets or several N, from videos on disk to its page, and what it says where something is missing.

The folders are the storyboard world's, two classes in each layout; the model is its small CLIP, so that everything but sizes is as with ViT-B/16. The numbers say nothing.
"""

import contextlib
import json
import shutil

import pytest

from sfar.cli.main import main
from sfar.config import get_profile
from sfar.errors import ConfigError, DataError
from sfar.model.registry import METHODS
from sfar.reproduce import plan
from sfar.runs import executor
from sfar.runs.run import by_name, dataset, root_of, run_one, subtexts_of
from sfar.storyboard.scripts import HMDB, UCF
from sfar.storyboard.sets import write_charades, write_hmdb51, write_ucf101
from sfar.storyboard.write import write_kinetics
from sfar.studies import (
    ablations,
    ablations_page,
    ambiguity,
    ambiguity_page,
    few_shot,
    few_shot_page,
    generalization,
    generalization_page,
    multi_label,
    multi_label_page,
    qualitative,
    qualitative_page,
    sub_actions,
    sub_actions_page,
    table1,
    zero_shot,
    zero_shot_page,
)
from sfar.studies.core import study
from sfar.subtexts import SubTexts
from sfar.util import cache, paths, processes

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
    """One folder with the four data sets under their names (one is a link), and sub-texts of N = 2, 3, 4, 5 for each."""
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


class Pool(contextlib.nullcontext):
    """This process in place of a pool of others."""

    imap = imap_unordered = staticmethod(lambda work, items, chunksize=1: map(work, items))

    def __enter__(self):
        return self


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, home):
    """Runs and videos one after another in this process: starting others takes longer than all of them. What is kept is kept for this module."""

    def one_by_one(jobs, keys, todo, found, *_):
        for i in todo:
            found[i] = run_one(jobs[i])
            cache.save_json("run", keys[i], found[i])

    monkeypatch.setattr(executor, "_in_parallel", one_by_one)
    monkeypatch.setattr(processes, "pool", lambda *_: Pool())
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


def pages(module, page, profile, out):
    """The study measured, its files written; returns the record, as it is read again, and the page."""
    record = module.STUDY.measure(profile, 1)
    files = page.write(record, out)
    assert all(f.stat().st_size for f in files)
    text = next(f for f in files if f.suffix == ".md").read_text(encoding="utf-8")
    assert record["profile"] == "paper" and "PROFILE=paper" in text and "nan" not in text.replace("nan ", "")
    return json.loads(next(f for f in files if f.suffix == ".json").read_text(encoding="utf-8")), text


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
    record, text = (
        json.loads((folder / "zero_shot.json").read_text(encoding="utf-8")),
        (folder / "zero_shot.md").read_text(encoding="utf-8"),
    )
    assert [(r["dataset"], r["method"]) for r in record["rows"]] == [
        (d, m) for d in ("ucf101", "hmdb51") for m in METHODS
    ] and record["trained_on"] == "kinetics400"
    assert (
        [r["videos"] for r in record["rows"]] == [34] * 5 + [38] * 5
        and "some of whose classes training had too" in text
        and "{dataset}.n{n}.json) of these classes" in text
    )
    assert (
        all("visual" in r["trained"] for r in record["rows"] if r["method"] != "vanilla")
        and "UCF-101" in record["claims"][0]["claim"]
    )
    executed = json.loads((project / "results" / "runs" / notebook).read_text(encoding="utf-8"))
    printed = "".join(
        "".join(o.get("text", "")) for c in executed["cells"] if c["cell_type"] == "code" for o in c["outputs"]
    )
    assert zero_shot_page.rows_markdown(record, "hmdb51") in printed and "PROFILE=paper" in printed
    profile = paper(home)
    assert all(executor.kept(j) for j in table1.jobs(profile, dataset(profile))), "Table 1 trains nothing again"


@pytest.mark.slow
def test_ablations_and_sub_actions(home, tmp_path):
    """04, 09: each N has its file; the runs that Table 1 has too are tested on the unseen sets as its are. What only a script knows is left out."""
    profile = paper(home)
    record, text = pages(ablations, ablations_page, profile, tmp_path)
    assert [r["name"] for r in record["fig7a"]] == ["n2", "n3", "n4", "n5"] and all(
        "visual" in r["trained"] for part in ("table2e", "fig7a", "tuned") for r in record[part]
    )
    assert record["data"]["train_clips"] == 32 and "Kinetics-400" in text
    jobs = [study.job(profile, v, 0) for v in (*ablations.TABLE2E, *ablations.TUNED)]
    assert all(j in jobs for j in table1.jobs(profile, dataset(profile)) if j.method != "vanilla")
    record, text = pages(sub_actions, sub_actions_page, profile, tmp_path)
    assert {r["class"] for r in record["classes"]} == set(CLASSES["kinetics400"]) and all(
        r["actions"] is None for r in record["classes"]
    ), "both have a script in the drawn world"
    assert (
        record["trend"] is None
        and "not for real videos" in text
        and "Atomic actions" not in text
        and sub_actions_page.text(record)
    )


@pytest.mark.slow
def test_multi_label(home, tmp_path):
    """07: from the parent folder, or from that of Charades itself; a field that the user sets goes before the data set's protocol."""
    record, text = pages(multi_label, multi_label_page, paper(home), tmp_path)
    assert (
        record["data"]["videos"] == 3
        and record["data"]["classes"] == 2
        and record["frames"] == 2
        and multi_label_page.text(record)
    )
    own = paper(home, **{"data.root": str(home / "data" / "charades")})
    assert [study.job(own, v, 0).key() for v in multi_label.variants(own)] == [
        study.job(paper(home), v, 0).key() for v in multi_label.variants(own)
    ]
    train = (
        multi_label.variants(get_profile("paper", {"data.root": "/d"}))[1]
        .profile(get_profile("paper", {"data.root": "/d"}), 0)
        .train
    )
    assert (train.epochs, train.frames, train.train_visual) == (20, 16, False)


@pytest.mark.slow
def test_few_shot(home, tmp_path, monkeypatch):
    """05: three sets (of K the smallest and the largest), the tower fine-tuned throughout as in the paper."""
    for module in (few_shot, few_shot_page):
        monkeypatch.setattr(module, "SHOTS", (2, 16))
    record, text = pages(few_shot, few_shot_page, paper(home), tmp_path)
    assert (
        record["datasets"] == ["hmdb51", "ucf101", "kinetics400"]
        and record["tower"] == "fine-tuned"
        and {c["tower"] for c in record["cells"]} == {"fine-tuned"}
    )
    assert all("visual" in c["trained"] for c in record["cells"] if c["method"] != "vanilla") and len(
        record["cells"]
    ) == 3 * 2 * (5 * 2 + 1)
    assert {(c["shots"], *c["clips"]) for c in record["cells"] if c["method"] == "sfar" and c["lists"] == 1} == {
        (k, 2 * k) for k in (2, 16)
    }
    assert (
        "frozen" not in few_shot_page.text(record).lower()
        and "Frozen tower" not in text
        and "fine-tuned in all cells" in text
    )


@pytest.mark.slow
def test_the_others(home, tmp_path):
    """08, 10, 11: no truth is looked at, though it lies beside the videos; Figure 10 is of the real unseen sets."""
    profile = paper(home)
    record, _ = pages(generalization, generalization_page, profile, tmp_path)
    assert {r["host"] for r in record["rows"]} == {"videoprompt", "atm", "bike"}
    record, text = pages(ambiguity, ambiguity_page, profile, tmp_path)
    assert (
        "ranking" not in record
        and not any("dose" in t for t in record["towers"].values())
        and ambiguity_page.NO_TRUTH in text
    )
    record, text = pages(qualitative, qualitative_page, profile, tmp_path)
    assert (
        not record["drawn"]
        and "fig1" not in record["figures"]
        and record["ambiguity"]["by"].startswith("ambiguous score")
        and not any("segments" in v for v in record["videos"].values())
    )
    assert {record["videos"][p]["dataset"] for p in record["figures"]["fig10"]} == {"ucf101", "hmdb51"}


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
    with pytest.raises(DataError, match="holds ucf101, but no folder kinetics400.*sfar data layout kinetics400"):
        dataset(paper(home, **{"data.root": str(tmp_path)}))


@pytest.mark.parametrize(
    "module, names", [(few_shot, "hmdb51, ucf101, kinetics400"), (zero_shot, "kinetics400, ucf101, hmdb51")]
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
    target = {"few_shot": "table3", "zero_shot": "table2b"}[module.STUDY.name]
    found = plan.plan(target, paper(home, **{"data.root": str(home / "elsewhere")}))
    assert sum("several data sets are needed" in w for w in found.wrong) == 1


def test_zero_shot_needs_sub_texts_of_every_set_and_kinetics(home):
    with pytest.raises(ConfigError, match=r"kinetics400.n4.json' is one file.*write \{dataset\} in its path"):
        zero_shot.STUDY.measure(paper(home, **{"model.subtexts": str(home / "subtexts" / "kinetics400.n4.json")}))
    with pytest.raises(ConfigError, match="data.dataset='ucf101': Table 2b trains on kinetics400"):
        zero_shot.STUDY.measure(paper(home, **{"data.dataset": "ucf101"}))


@pytest.mark.parametrize("module", [ablations, sub_actions])
def test_a_missing_n_is_named(home, tmp_path, module):
    shutil.copytree(home / "subtexts", tmp_path / "t")
    for n in (2, 5):
        (tmp_path / "t" / f"kinetics400.n{n}.json").unlink()
    p = paper(home, **{"model.subtexts": str(tmp_path / "t" / "kinetics400.n{n}.json")})
    with pytest.raises(
        ConfigError,
        match="N = 2, 5 .*no file .*kinetics400.n2.json; `sfar subtexts generate --classes kinetics400 --n 2 .*no file .*kinetics400.n5.json",
    ):
        module.STUDY.measure(p)
    assert any("kinetics400.n5.json" in w for w in plan.plan("table4", p).wrong)
    with pytest.raises(
        ConfigError,
        match=r"N = 2, 3, 5 .*has N = 4, not 2.*sfar subtexts generate.*model.subtexts=DIR/\{dataset\}.n\{n\}.json",
    ):
        module.STUDY.measure(paper(home, **{"model.subtexts": "kinetics400"}))


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
