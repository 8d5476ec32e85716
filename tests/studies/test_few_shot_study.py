"""The few-shot study on made-up runs: what follows from them, the pages drawn from it, and the committed record."""

import csv
import io
import json
import zlib
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.errors import SfarError
from sfar.model.registry import METHODS
from sfar.studies import few_shot, few_shot_page
from sfar.studies.core import statistics, study
from sfar.studies.core.statistics import bootstrap_mean, bootstrap_strata
from sfar.studies.few_shot import SHOTS, STUDY, TUNED_SETS
from sfar.util import paths

SEEDS = (0, 1, 2)
TUNED = few_shot.SETS["storyboard"][:TUNED_SETS]
VIDEOS = {"storyboard-hmdb51": 60, "storyboard-ucf101": 80, "storyboard-kinetics": 100}
SKILL = {"vanilla": 0.5, "clip": 0.52, "temporal": 0.55, "single": 0.6, "sfar": 0.75}


def made_up(profile, variants, seeds, workers=None, desc=""):
    """Runs as ``study.run`` gives them, with ranks drawn at random: better with K, with repeats, with a trained tower."""
    out = {}
    for v in variants:
        p = v.profile(profile, seeds[0])
        n, k = VIDEOS[p.data.dataset], p.data.shots
        skill = SKILL[v.method] + (
            0.02 * np.log2(k)
            + 0.03 * (p.train.few_shot_epoch == "repeat")
            + 0.02 * (p.data.shot_draws > 1)
            + 0.05 * p.train.train_visual
            if k
            else 0
        )
        hard = np.random.default_rng(zlib.crc32(p.data.dataset.encode())).random(n)
        out[v.name] = []
        for s in seeds if v.method != "vanilla" else seeds[:1]:
            rng = np.random.default_rng([s, zlib.crc32(v.name.encode())])
            hit = 0.5 * (rng.random(n) + hard) < skill
            trained = (
                ["head"] * (v.method not in ("vanilla", "clip")) + ["logit_scale"] + ["visual"] * p.train.train_visual
                if k
                else []
            )
            clips = 10 * min(24, k * (1 if p.data.shot_draws == 1 else 5)) if k else 0
            training = (
                {"clips": clips, "repeats": 240 // clips if p.train.few_shot_epoch == "repeat" else 1, "bad": {}}
                if k
                else None
            )
            out[v.name].append(
                {
                    "method": v.method,
                    "seed": s,
                    "trained": trained,
                    "training": training,
                    "views": {"1x1": {"ranks": np.where(hit, 0, rng.integers(1, 10, n)).tolist()}},
                    "labels": [0] * n,
                    "classes": ["a"] * 10,
                    "bad": {},
                    "missing": [],
                    "seconds": 1.0,
                }
            )
    return out


@pytest.fixture(scope="module")
def record():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "run", made_up)
        for name in ("bootstrap_mean", "bootstrap_strata"):
            patch.setattr(statistics, name, partial(getattr(statistics, name), draws=300))
        return STUDY.measure(get_profile("storyboard", {"seeds": list(SEEDS)}))


# --- the record ------------------------------------------------------------------------------------------------------


def test_every_cell_is_there_once(record):
    keys = [tuple(c[k] for k in few_shot_page._KEY) for c in record["cells"]]
    assert len(set(keys)) == len(keys) == 3 * 4 * 5 * 2 + 3 * 4 + TUNED_SETS * 2 * 2
    for d in VIDEOS:
        assert {(k, m, e) for dd, k, m, e, t, n in keys if (dd, t, n) == (d, "frozen", 1)} == {
            (k, m, e) for k in SHOTS for m in METHODS for e in ("repeat", "once")
        }
    assert {(d, k, m) for d, k, m, _, t, _ in keys if t == "fine-tuned"} == {
        (d, k, m) for d in TUNED for k in (2, 16) for m in ("clip", "sfar")
    }
    for c in record["cells"]:
        assert ("visual" in c["trained"]) == (c["tower"] == "fine-tuned") and len(c["top1"]["per_seed"]) == (
            1 if c["method"] == "vanilla" else len(SEEDS)
        )


def test_a_seed_draws_the_list_and_the_zero_shot_row_has_none():
    profile = get_profile("storyboard")
    by = {tuple(what.values()): v for what, v in few_shot.variants(profile)}
    sfar = by["storyboard-ucf101", 4, "sfar", "repeat", "frozen", 1]
    assert (
        [sfar.profile(profile, s).data.shot_seed for s in (0, 3)] == [0, 3]
        and sfar.profile(profile, 3).data.shots == 4
        and not sfar.profile(profile, 0).train.train_visual
    )
    assert by["storyboard-ucf101", 4, "sfar", "repeat", "frozen", 8].profile(profile, 2).data.shot_draws == 8
    assert by["storyboard-ucf101", 4, "clip", "once", "frozen", 1].profile(profile, 2).train.few_shot_epoch == "once"
    assert by[TUNED[0], 2, "clip", "repeat", "fine-tuned", 1].profile(profile, 2).train.train_visual
    vanilla = by["storyboard-ucf101", 4, "vanilla", "once", "frozen", 1].profile(profile, 3).data
    assert vanilla.shots == vanilla.shot_seed == 0


def test_averages_are_over_k_and_sets_and_differences_paired(record):
    for a in record["averages"]:
        cells = [
            few_shot_page.cell(record, d, k, a["method"], a["epoch"], lists=a["lists"])["top1"]["mean"]
            for d in VIDEOS
            for k in SHOTS
        ]
        assert a["mean"] == pytest.approx(np.mean(cells), abs=2e-4) and a["low"] < a["mean"] < a["high"]
    for d in record["differences"]:
        first, second = (few_shot_page.average(record, *who) for who in (d["name"], d["against"]))
        assert d["mean"] == pytest.approx(first["mean"] - second["mean"], abs=3e-4)
        assert d["verdict"] == ("holds" if d["low"] > 0 else "does not hold" if d["high"] < 0 else "undecided")
    assert len(record["differences_cells"]) == 3 * 4 * 4 + TUNED_SETS * 2
    for d in record["differences_cells"]:
        first, second = (
            few_shot_page.cell(record, d["dataset"], d["shots"], m, tower=d["tower"])["top1"]["mean"]
            for m in (d["name"], d["against"])
        )
        assert d["mean"] == pytest.approx(first - second, abs=3e-4) and d["low"] <= d["mean"] <= d["high"]


def test_claims_follow_the_intervals(record):
    assert {c["verdict"] for c in record["claims"][:2]} == {"holds"}, "the made-up SFAR is better by twenty points"
    for c in record["claims"]:
        assert (c["verdict"] == "holds") == (c["low"] > 0) and (c["verdict"] == "does not hold") == (c["high"] < 0)


@pytest.mark.parametrize(
    "lows, verdict",
    [
        ({}, "holds"),
        ({"clip": (1.0, -1.0, 3.0)}, "undecided"),
        ({"clip": (1.0, -1.0, 3.0), "single": (-2.0, -3.0, -1.0)}, "does not hold"),
    ],
)
def test_highest_needs_every_rival(record, lows, verdict):
    changed = json.loads(json.dumps(record))
    for d in changed["differences"]:
        if d["against"][0] in lows and d["name"][1] == d["against"][1] == "repeat":
            d["mean"], d["low"], d["high"] = lows[d["against"][0]]
            d["verdict"] = {True: "holds"}.get(d["low"] > 0, "does not hold" if d["high"] < 0 else "undecided")
    first, second = few_shot._claims(changed)[:2]
    assert first["verdict"] == verdict and second["verdict"] == "holds"
    assert first["against"] == (few_shot_page.style.NAMES[list(lows)[-1]] if lows else first["against"])


def test_bootstrap_strata_against_a_plain_one():
    """Seeds drawn once for all strata, videos within each."""
    rng = np.random.default_rng(0)
    values = [rng.normal(50 + 5 * i, 10, (4, n)) + 3 * rng.normal(size=(4, 1)) for i, n in enumerate((30, 50, 20))]
    mean, low, high = bootstrap_strata(values)
    plain = []
    for _ in range(3000):
        seeds = rng.integers(4, size=4)
        plain.append(np.mean([v[seeds][:, rng.integers(v.shape[1], size=v.shape[1])].mean() for v in values]))
    width = high - low
    assert mean == pytest.approx(np.mean([v.mean() for v in values])) and (low, high) == pytest.approx(
        tuple(np.percentile(plain, [2.5, 97.5])), abs=0.06 * width
    )
    assert bootstrap_strata(values) == (mean, low, high), "another call, other draws"


def test_bootstrap_strata_does_not_average_a_shared_seed_away():
    """A seed that is good in one data set is good in all here: three strata are no surer than one."""
    of_seed = np.array([[-4.0], [0.0], [1.0], [5.0]]) + np.zeros((4, 50))
    one, three = bootstrap_mean(of_seed), bootstrap_strata([of_seed] * 3)
    assert three[2] - three[1] == pytest.approx(one[2] - one[1], rel=0.05)
    of_video = np.random.default_rng(1).normal(0, 5, (1, 50)) + np.zeros((4, 1))
    one, three = bootstrap_mean(of_video), bootstrap_strata([of_video] * 3)
    assert three[2] - three[1] == pytest.approx((one[2] - one[1]) / np.sqrt(3), rel=0.1), (
        "videos of three data sets are three samples"
    )


# --- the pages -------------------------------------------------------------------------------------------------------


def test_files_hold_the_same_numbers(record, tmp_path):
    files = few_shot_page.write(record, tmp_path)
    assert (
        {f.name for f in files}
        == {p.name for p in tmp_path.iterdir()}
        == {"few_shot.csv", "few_shot.md", "few_shot.tex", "few_shot.json", "table3.png"}
    )
    assert json.loads((tmp_path / "few_shot.json").read_text()) == json.loads(json.dumps(record))
    lines = list(csv.DictReader(io.StringIO((tmp_path / "few_shot.csv").read_text())))
    for c in record["cells"]:
        (top1, top5) = [x for x in lines if x["part"] == "cell" and all(x[k] == str(c[k]) for k in few_shot_page._KEY)]
        assert (float(top1["mean"]), float(top1["low"]), float(top1["high"])) == tuple(
            c["top1"][k] for k in ("mean", "low", "high")
        ) and float(top5["mean"]) == c["top5"]["mean"]
        assert top1["trained"] == " ".join(c["trained"]) and (top1["seeds"] == "") == (c["method"] == "vanilla")
    assert len([x for x in lines if x["part"] == "difference"]) == len(record["differences"]) + len(
        record["differences_cells"]
    )
    page, tex = (tmp_path / "few_shot.md").read_text(), (tmp_path / "few_shot.tex").read_text()
    for epoch in ("repeat", "once"):
        for m in METHODS:
            numbers = [few_shot_page.cell(record, d, k, m, epoch)["top1"]["mean"] for d in VIDEOS for k in SHOTS] + [
                few_shot_page.average(record, m, epoch)["mean"]
            ]
            (line,) = {
                x
                for x in few_shot_page.accuracy_markdown(record, epoch).splitlines()
                if few_shot_page.style.NAMES[m] in x
            }
            assert [c.strip() for c in line.split("|")[2:-2]] == [f"{x:.1f}" for x in numbers] and line in page
            assert " & ".join(f"{x:.1f}" for x in numbers) in tex


def test_the_zero_shot_row_says_that_it_has_no_seed(record):
    (line,) = [x for x in few_shot_page.set_markdown(record, "storyboard-ucf101").splitlines() if "Vanilla" in x]
    assert (
        "| none" in line
        and "| nothing" in line
        and "±" not in line
        and "Epoch" in few_shot_page.set_markdown(record, "storyboard-ucf101")
    )


def test_conventions_and_lists_say_how_many_clips(record):
    row = next(x for x in few_shot_page.epochs_markdown(record).splitlines() if "UCF-101" in x)
    assert [c.strip() for c in row.split("|")[1:6]] == ["UCF-101", "2", "20", "240", "20"]
    row = next(x for x in few_shot_page.lists_markdown(record).splitlines() if "UCF-101" in x)
    assert [c.strip() for c in row.split("|")[1:6]] == ["UCF-101", "2", "20", "100.0", "10.0"]


def test_fine_tuned_rows_are_marked(record):
    table = few_shot_page.tuned_markdown(record)
    assert table.count("visual") == 4 * TUNED_SETS == table.count(
        "\n"
    ) - 1 and "visual" not in few_shot_page.set_markdown(record, "storyboard-hmdb51")


def test_cells_say_where_sfar_is_higher(record):
    for d in record["datasets"]:
        table = few_shot_page.cells_markdown(record, d)
        own = [x for x in record["differences_cells"] if x["dataset"] == d]
        assert all(
            f"{x['mean']:+.1f} ({x['low']:+.1f} to {x['high']:+.1f}){' ▲' * (x['verdict'] == 'holds')}{' ▼' * (x['verdict'] == 'does not hold')}"
            in table
            for x in own
        )
        assert table.count("▲") == sum(x["verdict"] == "holds" for x in own) > 0 and table.count("fine-tuned") == (
            d in TUNED
        )


def test_the_papers_averages_are_recomputed():
    found = {a["method"]: a for a in few_shot_page.paper_averages()}
    assert (
        {m for m, a in found.items() if not a["agrees"]} == {"OST"}
        and found["OST"]["mean"] == pytest.approx(811.9 / 12)
        and found["OST"]["printed"] == 67.6
    )
    assert found["VideoPrompt"]["cells"] == 8 and all(a["cells"] == 12 for m, a in found.items() if m != "VideoPrompt")
    assert found["TC-CLIP"]["agrees"] and found["ViFi-CLIP"]["agrees"], (
        "72.85 and 65.35: a half may be rounded either way"
    )
    text = few_shot_page.averages_text()
    assert (
        "OST: 67.6 printed, 67.66 from its cells" in text
        and "VideoPrompt's is over 8 cells, the others' over 12" in text
        and "SFAR" not in text
    )
    row = next(x for x in few_shot_page.paper_markdown("table3").splitlines() if x.startswith("| SFAR"))
    assert [c.strip() for c in row.split("|")[-5:-1]] == ["78.7", "78.67", "12", "yes"]


def test_measured_and_printed_never_share_a_table(record):
    measured = few_shot_page.accuracy_markdown(record, "repeat") + few_shot_page.set_markdown(
        record, "storyboard-ucf101"
    )
    printed = {r["method"] for name in ("table3", "table12") for r in paper.load(name)} - {
        "Vanilla CLIP",
        "SFAR (ours)",
        "BIKE",
    }
    assert printed and not any(m in measured for m in printed) and "78.7" in few_shot_page.paper_markdown("table3")
    assert few_shot_page.paper_markdown("table12").count("\n") == 8, "seven rows"


def test_the_figure_shows_every_curve(record):
    fig = few_shot_page.figure(record)
    measured, once, printed = fig.axes[:3], fig.axes[3:6], fig.axes[6:9]
    for axes, epoch in ((measured, "repeat"), (once, "once")):
        for ax, d in zip(axes, record["datasets"]):
            assert ax.get_xscale() == "log" and list(ax.get_xticks()) == list(SHOTS)
            curves = [tuple(line.get_ydata()) for line in ax.get_lines()]
            for m in list(METHODS)[1:]:
                assert tuple(few_shot_page.cell(record, d, k, m, epoch)["top1"]["mean"] for k in SHOTS) in curves
            assert len(ax.containers) == 4, "an interval for each trained method"
    assert all(len(ax.get_lines()) == 8 and not ax.containers for ax in printed)
    ours = [line for line in printed[2].get_lines() if line.get_label() == "SFAR (ours)"]
    assert list(ours[0].get_ydata()) == [73.9, 74.8, 75.5, 76.2]
    assert measured[0].get_ylim() == once[0].get_ylim(), "both conventions on one scale"
    plt.close("all")


def test_text_for_the_terminal(record):
    text = few_shot_page.text(record)
    assert few_shot_page.accuracy_markdown(record, "once") in text and "Verdict here" in text and "OST" not in text


# --- the committed record --------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(record, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="few_shot.json is not there: run `make reproduce-table3` first"):
        STUDY.get()
    file = paths.results("storyboard") / "few_shot.json"
    paths.write_json(file, {**record, "inputs": STUDY.inputs(get_profile("storyboard"))})
    assert STUDY.get()["cells"] == json.loads(json.dumps(record["cells"]))
    paths.write_json(file, {**record, "inputs": "0" * 16})
    with pytest.raises(SfarError, match="other code: run `make reproduce-table3` again"):
        STUDY.get()


def test_the_committed_record_fits_the_code_and_its_files():
    profile = get_profile("storyboard")
    record = STUDY.load(profile)
    assert record["seeds"] == list(profile.seeds) and len(record["cells"]) == len(few_shot.variants(profile))
    assert all(
        c["top1"]["seeds"] == (1 if c["method"] == "vanilla" else 5) and c["top1"]["videos"] in (160, 400)
        for c in record["cells"]
    )
    folder = paths.results("storyboard")
    assert (folder / "few_shot.md").read_text() == few_shot_page.as_markdown(record).rstrip() + "\n"
    assert (folder / "table3.png").stat().st_size > 20_000
