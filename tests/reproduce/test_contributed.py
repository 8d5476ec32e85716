"""Records of the paper profile from others: what is taken, what is refused and in which words, and their page."""

import dataclasses
import json

import one_process
import pytest

from sfar import config
from sfar.cli.main import main
from sfar.config import get_profile
from sfar.reproduce import contributed, targets
from sfar.storyboard.write import write_kinetics
from sfar.studies.core import record as records
from sfar.util import paths

# The paper profile at a size that trains in seconds: the code is the same.
TINY = {
    "model.clip": "storyboard",
    "model.pretrained": "",
    "model.temporal_layers": 1,
    "data.image_size": 64,
    "train.checkpoint_activations": False,
    "train.epochs": 1,
    "train.warmup_epochs": 0,
    "train.frames": 2,
    "train.batch": 4,
}
REPOSITORY = paths.PROJECT


def test_what_was_contributed_can_be_taken():
    assert {str(p): w for p in (REPOSITORY / "results" / "paper").rglob("*.json") if (w := contributed.check(p))} == {}


def stand_in(patch, project):
    """The tiny profile in place of the paper's, and results that are written into ``project``."""
    patch.setitem(config.PROFILES, "paper", get_profile("paper", TINY))
    patch.setattr(paths, "PROJECT", project)
    patch.setattr(records, "revision", lambda: "0123456789ab")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Table 1 as somebody else measures it, on two classes: the record's text."""
    base = tmp_path_factory.mktemp("somebody")
    write_kinetics(base / "k400", 7, 3, 4, classes=("long jump", "making pizza"), workers=1)
    with pytest.MonkeyPatch.context() as patch:
        one_process.runs(patch)
        one_process.videos(patch)
        patch.setenv("SFAR_CACHE", str(base / "cache"))
        stand_in(patch, base)
        made = targets.make("table1", get_profile("paper", {"data.root": str(base / "k400")}), 1)
        (file,) = (f for f in made.files if f.suffix == ".json")
        assert file == base / "results" / "paper" / "table1.json"
        return file.read_text(encoding="utf-8")


@pytest.fixture
def sent(measured, tmp_path, monkeypatch):
    """``sent(change)``: the record in its place, after ``change(data)``."""
    stand_in(monkeypatch, tmp_path)
    file = tmp_path / "results" / "paper" / "table1.json"
    file.parent.mkdir(parents=True)

    def write(change=lambda data: None):
        data = json.loads(measured)
        change(data)
        file.write_text(json.dumps(data), encoding="utf-8")
        return file

    return write


def test_a_record_is_taken_and_shown(sent, capsys):
    file = sent()
    assert contributed.check(file) == []
    assert main(["records", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: can be taken\n"
    assert main(["records", "page"]) == 0
    page = (file.parent / contributed.PAGE).read_text(encoding="utf-8")
    data = json.loads(file.read_text(encoding="utf-8"))
    own = next(r for r in data["rows"] if r["row"] == "sfar" and r["metric"] == "top1" and r["part"] == "methods")
    assert "at revision 0123456789ab" in page and data["provenance"]["hardware"] in page
    assert "SFAR (ours), ViT-B/16" in page and f"top1 {own['mean']:.1f} (" in page
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    assert len(lines) > 20 and all("–" in (paper.strip(), here.strip(" |")) for _, paper, here in lines[1:])
    assert "ViT-L/14" not in page, "Table 11 is a record of its own"


def test_the_larger_tower_has_a_place_of_its_own(sent, monkeypatch):
    """Table 11's record is Table 1's of another tower, in the folder of its name."""
    file = sent()
    profile = contributed.configured(contributed.read(file))
    assert contributed.target(contributed.read(file), profile) == "table1"
    monkeypatch.setitem(targets.TOWERS, "table11", "ViT-L-14-quickgelu")
    large = dataclasses.replace(profile, model=dataclasses.replace(profile.model, clip="ViT-L-14-quickgelu"))
    assert contributed.target(contributed.read(file), large) == "table11"


def set_in(*keys):
    """A change of one value: the last of ``keys`` is it."""

    def change(data):
        *way, last, value = keys
        for k in way:
            data = data[k]
        data[last] = value

    return change


def drop(*keys):
    def change(data):
        *way, last = keys
        for k in way:
            data = data[k]
        del data[last]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("claims"), "is no record as this version writes them ('claims')"),
        (set_in("study", "table99"), "study 'table99' is not known"),
        (set_in("profile", "storyboard"), "is of profile 'storyboard'"),
        (set_in("provenance", "hardware", ""), "provenance.hardware is ''"),
        (drop("provenance", "versions"), "provenance.versions is None"),
        (set_in("provenance", "revision", "abc+changes"), "'abc+changes': commit what was changed"),
        (set_in("provenance", "date", "today"), "provenance.date is 'today'"),
        (drop("provenance", "config", "model"), "provenance.config is no configuration"),
        (drop("provenance", "config", "train", "epochs"), "provenance.config has no train.epochs"),
        (set_in("provenance", "config", "train", "batch", "many"), "'train.batch': expected int, got 'many'"),
        (set_in("provenance", "config", "train", "epochs", 2), "with the paper profile as it stands: train.epochs=2"),
        (set_in("provenance", "config", "data", "root", "/x"), "its hash is not that of its configuration"),
        (set_in("inputs", "0" * 16), "check out revision 0123456789ab"),
        (set_in("seeds", [7]), "seeds [7] are not those of its configuration, [0]"),
        (set_in("rows", 0, "mean", 200), "is outside of its interval"),
        (set_in("rows", 0, "mean", float("nan")), "is not valid JSON (NaN is no number)"),
        (set_in("rows", 0, "low", "0"), "are not three numbers"),
        (set_in("rows", 0, "per_seed", [0.5]), "is not the mean of its seeds, 0.5"),
        (set_in("rows", 0, "seeds", 3), "1 values of 3 seeds"),
        (set_in("contrasts", 0, "mean", 0.123), "is not the difference of its rows"),
        (set_in("contrasts", 0, "verdict", "always"), "'always' does not follow from"),
        (
            set_in("claims", 0, "verdict", "for certain"),
            "claim 'table1-highest': verdict is 'for certain'; from the rest",
        ),
        (drop("claims", 0), "claim 'table1-highest' is missing"),
        (set_in("rows", []), "has no rows"),
    ],
)
def test_what_is_wrong_is_one_line(sent, change, words, capsys):
    file = sent(change)
    if words == "has no rows":
        file = sent(lambda data: (change(data), data.update(contrasts=[])))
    found = contributed.check(file)
    assert any(words in w for w in found), found
    assert all("\n" not in w for w in found)
    assert main(["records", "check", str(file)]) == 1
    assert words in capsys.readouterr().out
    assert main(["records", "page"]) == 2 and "sfar records check" in capsys.readouterr().err


def test_a_file_that_is_none(tmp_path, capsys):
    (tmp_path / "a.json").write_text("{")
    assert main(["records", "check", str(tmp_path / "a.json"), str(tmp_path / "none.json")]) == 1
    one, other = capsys.readouterr().out.splitlines()
    assert "is not valid JSON" in one and "none.json: cannot be read (No such file" in other
