"""The zero-shot study on made-up runs: protocols side by side, their intervals, the pages drawn from it, and the committed record."""

import csv
import io
import json
import zlib
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.model.registry import METHODS
from sfar.studies import zero_shot, zero_shot_page
from sfar.studies.core import statistics
from sfar.studies.core.statistics import bootstrap_mean, overlapping
from sfar.studies.zero_shot import PROTOCOLS, STUDY
from sfar.training.protocols import half10, split3
from sfar.util import paths

SEEDS = (0, 1, 2)
CLASSES, PER_CLASS = 10, 12
SETS = ("storyboard-ucf101", "storyboard-hmdb51")
MARGIN = {"vanilla": 0.9, "clip": 1.0, "temporal": 1.1, "single": 1.2, "sfar": 2.6}
PATHS = [f"{c}/{i}.avi" for c in range(CLASSES) for i in range(PER_CLASS)]
LABELS = np.repeat(np.arange(CLASSES), PER_CLASS)
FOLDS = {
    k: {f"{c}/{i % PER_CLASS}.avi" for c in range(CLASSES) for i in range(5 * (k - 1), 5 * k)} for k in (1, 2, 3)
}  # the third takes up three videos of the first


def made_up(jobs, workers=None, desc=""):
    out = []
    for method, seed in jobs:
        zero = {}
        for name in SETS:
            rng = np.random.default_rng([seed, zlib.crc32(f"{method}/{name}".encode())])
            scores = rng.normal(size=(len(LABELS), CLASSES))
            scores[np.arange(len(LABELS)), LABELS] += MARGIN[method]
            zero[name] = {
                "scores": scores.tolist(),
                "labels": LABELS.tolist(),
                "paths": PATHS,
                "classes": [f"class {c}" for c in range(CLASSES)],
            }
        out.append(
            {
                "method": method,
                "seed": seed,
                "trained": [] if method == "vanilla" else ["head", "logit_scale", "visual"],
                "zero_shot": zero,
                "seconds": 1.0,
                "labels": [0] * 7,
                "classes": ["a"] * 5,
                "bad": {},
                "missing": [],
                "training": {"clips": 40, "repeats": 1, "bad": {}},
            }
        )
    return out


@pytest.fixture(scope="module")
def record():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zero_shot, "dataset", lambda profile: SimpleNamespace(layout="", root=""))
        patch.setattr(
            zero_shot.table1,
            "jobs",
            lambda profile, data: [
                (m, s) for m in METHODS for s in (profile.seeds if m != "vanilla" else profile.seeds[:1])
            ],
        )
        patch.setattr(zero_shot, "run_all", made_up)
        patch.setattr(
            zero_shot.layouts,
            "read",
            lambda name, root, split, fold: SimpleNamespace(
                clips=[SimpleNamespace(path=p) for p in sorted(FOLDS[fold])]
            ),
        )
        patch.setattr(statistics, "bootstrap_mean", partial(bootstrap_mean, draws=300))
        return STUDY.measure(get_profile("storyboard", {"seeds": list(SEEDS)}))


def find(record, dataset, method):
    (row,) = [r for r in record["rows"] if (r["dataset"], r["method"]) == (dataset, method)]
    return row


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_are_what_the_protocols_give(record):
    assert [(r["dataset"], r["method"]) for r in record["rows"]] == [(d, m) for d in SETS for m in METHODS]
    runs = [r["zero_shot"][SETS[0]] for r in made_up([("sfar", s) for s in SEEDS])]
    half = [half10(np.array(r["scores"]), LABELS) for r in runs]
    parts = [[p in FOLDS[k] for p in PATHS] for k in (1, 2, 3)]
    split = [split3([(np.array(r["scores"])[keep], LABELS[keep]) for keep in parts]) for r in runs]
    row = find(record, SETS[0], "sfar")
    for p, each in (("half10", half), ("split3", split)):
        assert row[p]["per_seed"] == [e["top1"]["mean"] for e in each] and row[p]["mean"] == pytest.approx(
            np.mean(row[p]["per_seed"]), abs=1e-3
        )
        assert (
            row[p]["protocol_std"] == pytest.approx(np.mean([e["top1"]["std"] for e in each]), abs=1e-3)
            and row[p]["low"] < row[p]["mean"] < row[p]["high"]
        )
    assert (
        row["full"]["top1"]["per_seed"] == pytest.approx([h["full"]["top1"] for h in half], abs=1e-3)
        and row["half10"]["mean"] > row["full"]["top1"]["mean"]
    ), "half of the classes are easier"


def test_differences_are_paired_under_every_protocol(record):
    assert len(record["differences"]) == len(SETS) * len(PROTOCOLS) * (len(METHODS) - 1)
    for d in record["differences"]:
        first, second = (
            zero_shot_page._top1(find(record, d["dataset"], m), d["protocol"]) for m in (d["name"], d["against"])
        )
        assert d["mean"] == pytest.approx(first["mean"] - second["mean"], abs=2e-3) and d["low"] < d["mean"] < d["high"]
        assert d["verdict"] == ("holds" if d["low"] > 0 else "does not hold" if d["high"] < 0 else "undecided")


def test_claims_follow_the_intervals(record):
    assert len(record["claims"]) == 4 and all("half10" in c["claim"] for c in record["claims"])
    assert {c["verdict"] for c in record["claims"]} == {"holds"}, "the made-up SFAR is far better"
    for c in record["claims"]:
        assert c["low"] > 0 and any(
            (d["mean"], d["low"], d["high"]) == (c["mean"], c["low"], c["high"])
            for d in record["differences"]
            if d["protocol"] == "half10"
        )


# --- parts that share videos -----------------------------------------------------------------------------------------


def test_overlapping_against_a_plain_bootstrap():
    """Resampling the one value per video moves the mean over parts as resampling the videos and evaluating every part anew does."""
    rng = np.random.default_rng(0)
    videos, seeds = 200, 3
    members = [rng.random(videos) < 0.5 for _ in range(6)]
    hits = 100.0 * (rng.random((seeds, videos)) + 0.5 * rng.random(videos) + 0.05 * rng.normal(size=(seeds, 1)) < 0.8)
    values = overlapping([hits[:, m] for m in members], members)
    assert values.shape == hits.shape and values.mean() == pytest.approx(np.mean([hits[:, m].mean() for m in members]))
    assert values.mean(1) == pytest.approx(np.mean([hits[:, m].mean(1) for m in members], 0)), "seed by seed"
    plain = []
    for _ in range(1500):
        s, v = rng.integers(seeds, size=seeds), rng.integers(videos, size=videos)
        plain.append(np.mean([hits[s][:, v][:, m[v]].mean() for m in members]))
    _, low, high = bootstrap_mean(values)
    assert (low, high) == pytest.approx(tuple(np.percentile(plain, [2.5, 97.5])), abs=0.1 * (high - low))


def test_the_same_part_ten_times_is_no_surer_than_once():
    hits = 100.0 * (np.random.default_rng(1).random((2, 60)) < 0.7)
    everywhere = np.ones(60, bool)
    assert overlapping([hits] * 10, [everywhere] * 10) == pytest.approx(hits)


def test_disjoint_parts_of_one_size_are_just_the_videos():
    hits = 100.0 * (np.random.default_rng(2).random((2, 60)) < 0.7)
    parts = [np.arange(60) % 3 == k for k in range(3)]
    values = overlapping([hits[:, m] for m in parts], parts)
    assert values.mean(1) == pytest.approx(hits.mean(1))
    for m in parts:  # each video's own value, moved to the common mean
        assert values[:, m] - values.mean(1, keepdims=True) == pytest.approx(
            hits[:, m] - hits[:, m].mean(1, keepdims=True)
        )


# --- the pages -------------------------------------------------------------------------------------------------------


def test_files_hold_the_same_numbers(record, tmp_path):
    files = zero_shot_page.write(record, tmp_path)
    assert (
        {f.name for f in files}
        == {p.name for p in tmp_path.iterdir()}
        == {"zero_shot.csv", "zero_shot.md", "zero_shot.tex", "zero_shot.json", "table2b.png"}
    )
    lines = list(csv.DictReader(io.StringIO((tmp_path / "zero_shot.csv").read_text())))
    page, tex = (tmp_path / "zero_shot.md").read_text(), (tmp_path / "zero_shot.tex").read_text()
    for r in record["rows"]:
        own = {
            (x["protocol"], x["metric"]): x
            for x in lines
            if (x["part"], x["dataset"], x["method"]) == ("row", r["dataset"], r["method"])
        }
        assert set(own) == {(p, k) for p in PROTOCOLS for k in ("top1", "top5")}
        for p in PROTOCOLS:
            value = zero_shot_page._top1(r, p)
            assert [float(own[p, "top1"][k]) for k in ("mean", "low", "high")] == [
                value[k] for k in ("mean", "low", "high")
            ]
        assert (
            own["all classes", "top1"]["protocol_std"] == ""
            and float(own["half10", "top1"]["protocol_std"]) == r["half10"]["protocol_std"]
        )
        (line,) = [
            x
            for x in zero_shot_page.rows_markdown(record, r["dataset"]).splitlines()
            if zero_shot_page.style.NAMES[r["method"]] in x
        ]
        cells = [c.strip() for c in line.split("|")[2:-1]]
        half, split, full = r["half10"], r["split3"], r["full"]["top1"]
        assert cells[:6] == [
            f"{half['mean']:.1f} ± {half['protocol_std']:.1f}",
            f"{half['low']:.1f} to {half['high']:.1f}",
            f"{split['mean']:.1f} ± {split['protocol_std']:.1f}",
            f"{split['low']:.1f} to {split['high']:.1f}",
            f"{full['mean']:.1f}",
            f"{full['low']:.1f} to {full['high']:.1f}",
        ]
        assert cells[6] == ("none" if r["method"] == "vanilla" else "3") and line in page
        assert rf"{half['mean']:.1f} $\pm$ {half['protocol_std']:.1f} & {half['low']:.1f} to" in tex
    assert len([x for x in lines if x["part"] == "difference"]) == len(record["differences"])
    assert json.loads((tmp_path / "zero_shot.json").read_text())["claims"] == record["claims"]


def test_measured_and_printed_never_share_a_table(record):
    measured = "".join(
        f(record, d)
        for f in (zero_shot_page.rows_markdown, zero_shot_page.more_markdown, zero_shot_page.differences_markdown)
        for d in SETS
    )
    printed = {r["method"] for n in ("table2b", "table10") for r in paper.load(n)} - {"BIKE", "SFAR (ours)"}
    assert printed and not any(f" {m} " in measured for m in printed)
    for n in ("table2b", "table10"):
        table = zero_shot_page.paper_markdown(n)
        assert table.count("\n") == len(paper.load(n)) + 1 and all(
            f"{r['ucf101']:.1f}" in table and f"{r['hmdb51']:.1f}" in table for r in paper.load(n)
        )


def test_every_protocol_has_its_differences_on_the_page(record):
    table = zero_shot_page.differences_markdown(record, SETS[1])
    assert [table.count(f"{p}: SFAR") for p in PROTOCOLS] == [len(METHODS) - 1] * 3
    assert all(words in zero_shot_page.protocols_text() for words in ("10 draws", "3 splits", "BIKE", "X-CLIP"))


def test_the_figure_shows_every_value_apart_from_the_papers(record):
    fig = zero_shot_page.figure(record)
    assert len(fig.axes) == 4
    for ax, d in zip(fig.axes[:2], SETS):
        points = {round(float(line.get_xdata()[0]), 4) for line in ax.get_lines() if len(line.get_xdata()) == 1}
        assert points == {
            round(zero_shot_page._top1(find(record, d, m), p)["mean"], 4) for m in METHODS for p in PROTOCOLS
        }
        assert sum(len(line.get_xdata()) == 2 for line in ax.get_lines()) == 3 * len(METHODS), "an interval for each"
    for ax, column in zip(fig.axes[2:], ("ucf101", "hmdb51")):
        assert sorted(float(line.get_xdata()[0]) for line in ax.get_lines()) == sorted(
            r[column] for r in paper.load("table2b")
        )
    plt.close("all")


# --- the committed record --------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(record, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="zero_shot.json is not there: run `make reproduce-table2b` first"):
        STUDY.get()
    file = paths.results("storyboard") / "zero_shot.json"
    paths.write_json(file, {**record, "inputs": "0" * 16})
    with pytest.raises(SfarError, match="other code: run `make reproduce-table2b` again"):
        STUDY.get()


def test_the_committed_record_fits_the_code_and_its_files():
    profile = get_profile("storyboard")
    record = STUDY.load(profile)
    assert record["seeds"] == list(profile.seeds) and [(r["dataset"], r["method"]) for r in record["rows"]] == [
        (d, m) for d in SETS for m in METHODS
    ]
    assert all(
        r["classes"] == 10 and r["videos"] in (400, 420) and r["seeds"] == (1 if r["method"] == "vanilla" else 5)
        for r in record["rows"]
    )
    folder = paths.results("storyboard")
    assert (folder / "zero_shot.md").read_text() == zero_shot_page.as_markdown(record).rstrip() + "\n"
    assert (folder / "table2b.png").stat().st_size > 20_000
