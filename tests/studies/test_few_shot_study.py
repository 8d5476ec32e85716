"""The few-shot study on made-up runs: what follows from them, its page, and the committed record."""

import csv
import dataclasses
import io
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.model.registry import METHODS, own, rivals
from sfar.studies import few_shot
from sfar.studies.core import page, statistics, study
from sfar.studies.core.blocks import Shown
from sfar.studies.few_shot import EPOCHS, LAYOUTS, PROCESSES, SHOTS, STUDY, TUNED_SHOTS

SEEDS = (0, 1, 2)
PROFILE = get_profile("storyboard", {"seeds": list(SEEDS), "frozen_seeds": list(SEEDS)})
TUNED = LAYOUTS[: few_shot.TUNED_SETS]  # the sets with fine-tuned cells too
VIDEOS = {"storyboard-hmdb51": 60, "storyboard-ucf101": 80, "storyboard-kinetics": 100}
SKILL = {"vanilla": 0.5, "clip": 0.52, "temporal": 0.55, "single": 0.6, "sfar-printed": 0.3, "sfar": 0.75}


def made_up(profile, variants, workers=None, desc="", most=None):
    """In place of ``study.run``: random ranks, better with K, with repeats, with a trained tower."""
    out = {}
    for v in variants:
        p = v.profile(profile, 0)
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
        for s in study.seeds_of(profile, v, most):
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
        return STUDY.measure(PROFILE)


# --- the record ------------------------------------------------------------------------------------------------------


def test_every_cell_is_there_once(record):
    cells = record.select("cells", metric="top1")
    names = ("dataset", "shots", "epoch", "tower", "lists")
    keys = [(*(r.setting[k] for k in names), r.row) for r in cells]
    assert len(set(keys)) == len(keys) == 3 * 4 * len(METHODS) * 2 + 3 * 4 + len(TUNED) * len(TUNED_SHOTS) * 3
    for of in LAYOUTS:
        sweep = {(k, m, e) for d, k, e, tower, lists, m in keys if (d, tower, lists) == (of, "frozen", 1)}
        assert sweep == {(k, m, e) for k in SHOTS for m in METHODS for e in EPOCHS}
        many = {(k, m, e) for d, k, e, tower, lists, m in keys if (d, lists) == (of, PROCESSES)}
        assert many == {(k, "sfar", "repeat") for k in SHOTS}
    tuned = {(d, k, m) for d, k, _, tower, _, m in keys if tower == "fine-tuned"}
    assert tuned == {(d, k, m) for d in TUNED for k in TUNED_SHOTS for m in ("clip", "sfar-printed", "sfar")}
    for r in cells:
        assert ("visual" in r.trained) == (r.setting["tower"] == "fine-tuned")
        assert len(r.per_seed) == r.seeds == (1 if r.row == "vanilla" else len(SEEDS))
    assert len(record.select("cells", metric="top5")) == len(cells)


def test_cells_are_those_of_the_runs(record):
    profile = PROFILE
    for cell in few_shot.cells(profile)[::17]:
        (runs,) = made_up(profile, [few_shot._variant(profile, cell)], most=few_shot.MOST).values()
        data, k, method, epoch, tower, lists = cell
        setting = {"dataset": few_shot._layout(data), "shots": k, "epoch": epoch, "tower": tower, "lists": lists}
        for top in (1, 5):
            r = record.find("cells", method, f"top{top}", **setting)
            ranks = [run["views"]["1x1"]["ranks"] for run in runs]
            assert r.per_seed == pytest.approx([100 * sum(x < top for x in own) / len(own) for own in ranks], abs=1e-3)
            assert r.mean == pytest.approx(np.mean(r.per_seed), abs=2e-4) and r.low <= r.mean <= r.high
            assert r.videos == VIDEOS[data] and r.trained == runs[0]["trained"]
            if method != "vanilla":
                assert r.more["clips"] == [run["training"]["clips"] for run in runs]


def test_a_frozen_cell_has_the_first_seeds_and_a_fine_tuned_one_those_of_the_profile():
    profile = get_profile("storyboard", {"seeds": list(SEEDS), "frozen_seeds": list(range(20))})
    by = {cell: few_shot._variant(profile, cell) for cell in few_shot.cells(profile)}
    seeds = {cell: study.seeds_of(profile, v, few_shot.MOST) for cell, v in by.items()}
    for (_, _, method, _, tower, _), found in seeds.items():
        assert found == ((0,) if method == "vanilla" else tuple(range(few_shot.MOST)) if tower == "frozen" else SEEDS)


def test_a_seed_draws_the_list_and_the_zero_shot_row_has_none():
    profile = get_profile("storyboard")
    by = {cell: few_shot._variant(profile, cell) for cell in few_shot.cells(profile)}
    sfar = by["storyboard-ucf101", 4, "sfar", "repeat", "frozen", 1]
    assert [sfar.profile(profile, s).data.shot_seed for s in (0, 3)] == [0, 3]
    assert sfar.profile(profile, 3).data.shots == 4 and not sfar.profile(profile, 0).train.train_visual
    assert by["storyboard-ucf101", 4, "sfar", "repeat", "frozen", 8].profile(profile, 2).data.shot_draws == 8
    assert by["storyboard-ucf101", 4, "clip", "once", "frozen", 1].profile(profile, 2).train.few_shot_epoch == "once"
    assert by["storyboard-hmdb51", 2, "clip", "repeat", "fine-tuned", 1].profile(profile, 2).train.train_visual
    vanilla = by["storyboard-ucf101", 4, "vanilla", "once", "frozen", 1].profile(profile, 3).data
    assert vanilla.shots == vanilla.shot_seed == 0
    assert len({v.name for v in by.values()}) == len(by), "a name stands for one variant"


def test_averages_are_over_k_and_sets_and_differences_paired(record):
    averages = {(r.row, r.setting["epoch"], r.setting["lists"]): r for r in record.select("averages")}
    expected = {(m, e, 1) for m in METHODS for e in EPOCHS} | {("sfar", "repeat", PROCESSES)}
    assert averages.keys() == expected and len(record.select("averages")) == len(expected)
    for (method, epoch, lists), r in averages.items():
        cells = [few_shot.cell(record, d, k, method, epoch, lists=lists).mean for d in LAYOUTS for k in SHOTS]
        assert r.mean == pytest.approx(np.mean(cells), abs=2e-4) and r.low < r.mean < r.high
    of_averages = record.contrasts_of("averages")
    readings = [m.name for m in own()]
    pairs = {(f"{a}/{e}/1", f"{m.name}/{e}/1") for e in EPOCHS for a in readings for m in rivals()}
    pairs |= {(f"sfar/{e}/1", f"sfar-printed/{e}/1") for e in EPOCHS}
    pairs |= {("sfar/repeat/1", "sfar/once/1"), (f"sfar/repeat/{PROCESSES}", "sfar/repeat/1")}
    assert {(c.row, c.against) for c in of_averages} == pairs and len(of_averages) == len(pairs)
    for c in of_averages:
        keys = (key.split("/") for key in (c.row, c.against))
        first, second = (few_shot.average(record, m, e, int(lists)).mean for m, e, lists in keys)
        assert c.mean == pytest.approx(first - second, abs=3e-4)
        assert c.verdict == ("holds" if c.low > 0 else "does not hold" if c.high < 0 else "undecided")
    of_cells = record.contrasts_of("cells")
    against = [(a, m.name) for a in readings for m in rivals()] + [("sfar", "sfar-printed")]
    expected = {(d, k, "frozen", *pair) for d in LAYOUTS for k in SHOTS for pair in against}
    expected |= {(d, k, "fine-tuned", a, "clip") for d in TUNED for k in TUNED_SHOTS for a in readings}
    found = [(*(c.setting[key] for key in ("dataset", "shots", "tower")), c.row, c.against) for c in of_cells]
    assert set(found) == expected and len(found) == len(expected)
    for c in of_cells:
        of, k, tower = (c.setting[key] for key in ("dataset", "shots", "tower"))
        first, second = (few_shot.cell(record, of, k, m, tower=tower).mean for m in (c.row, c.against))
        assert c.mean == pytest.approx(first - second, abs=3e-4) and c.low <= c.mean <= c.high


def test_claims_follow_the_intervals(record):
    highest = [f"table3-highest-{e}" for e in EPOCHS]
    assert [c.id for c in record.claims] == [*highest, *(f"{c}-printed" for c in highest), "table3-lists"]
    assert {c.verdict for c in record.claims[:2]} == {"holds"}, "the made-up SFAR is better by twenty points"
    assert {c.verdict for c in record.claims[2:4]} == {"does not hold"}, "as printed it is worse than every rival"
    assert [c.of_paper for c in record.claims] == [True] * 4 + [False]
    for c in record.claims:
        assert (c.verdict == "holds") == (c.low > 0) and (c.verdict == "does not hold") == (c.high < 0)
    lists = record.contrast(f"sfar/repeat/{PROCESSES}", "sfar/repeat/1")
    own = record.claim("table3-lists")
    assert (own.mean, own.low, own.high, own.against) == (lists.mean, lists.low, lists.high, "one list")
    shown = {r["method"]: r["value"] for r in paper.load("table3") if r["dataset"] == "All"}
    ahead = shown["SFAR (ours)"] - max(v for m, v in shown.items() if m != "SFAR (ours)")
    assert {c.printed for c in record.claims[:4]} == {f"{ahead:+.1f}"} and not own.printed


@pytest.mark.parametrize(
    "lows, verdict",
    [
        ({}, "holds"),
        ({"clip": (1.0, -1.0, 3.0)}, "undecided"),
        ({"clip": (1.0, -1.0, 3.0), "single": (-2.0, -3.0, -1.0)}, "does not hold"),
    ],
)
def test_highest_needs_every_rival(record, lows, verdict):
    """Of the rivals with the deciding verdict the closest is named; the other convention is left as it is."""
    contrasts = []
    for c in record.contrasts:
        method = c.against.split("/")[0]
        if c.part == "averages" and c.row == "sfar/repeat/1" and method in lows:
            mean, low, high = lows[method]
            c = dataclasses.replace(c, mean=mean, low=low, high=high, verdict=statistics.verdict(low, high))
        contrasts.append(c)
    changed = STUDY.decided(dataclasses.replace(record, contrasts=contrasts))
    first, second = (changed.claim(f"table3-highest-{epoch}") for epoch in EPOCHS)
    assert (first.verdict, second.verdict) == (verdict, "holds")
    printed = [changed.claim(f"table3-highest-{epoch}-printed") for epoch in EPOCHS]
    assert printed == [record.claim(c.id) for c in printed], "the other reading's claims are left as they are"
    assert first.against == (METHODS[list(lows)[-1]].title if lows else record.claim("table3-highest-repeat").against)


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", EPOCHS)
def test_forms_hold_the_same_numbers(record, epoch):
    table = page.show(STUDY, record, f"accuracy-{epoch}")
    assert str(table) in page.markdown(STUDY, record)
    tex = page.latex(STUDY, record)
    for line, (name, method) in zip(table.rows, METHODS.items(), strict=True):
        cells = [few_shot.cell(record, d, k, name, epoch).mean for d in LAYOUTS for k in SHOTS]
        mean = few_shot.average(record, name, epoch)
        assert line == [method.title, *cells, mean.mean, f"{mean.low:.1f} to {mean.high:.1f}"]
        assert " & ".join(f"{x:.1f}" for x in (*cells, mean.mean)) in tex


def test_the_zero_shot_row_says_that_it_has_no_seed(record):
    table = page.show(STUDY, record, "ucf101-accuracy")
    (line,) = [x for x in table.rows if x[0] == METHODS["vanilla"].title]
    assert line[1] == "–" and line[-2:] == ["none", "nothing"] and not any("±" in x for x in line[2:-2])
    assert all("±" in x for line in table.rows if line[0] == METHODS["sfar"].title for x in line[2:-2])
    for x in csv.DictReader(io.StringIO(page.to_csv(STUDY, record))):
        if (x["kind"], x["part"]) == ("row", "cells"):
            assert (x["seeds"] == x["trained"] == "") == (x["row"] == "vanilla")


def test_conventions_and_lists_say_how_many_clips(record):
    row = next(x for x in page.show(STUDY, record, "epochs").rows if x[0] == "UCF-101")
    assert row[:5] == ["UCF-101", 2, 20, 240, 20]
    row = next(x for x in page.show(STUDY, record, "lists").rows if x[0] == "UCF-101")
    assert row[:5] == ["UCF-101", 2, 20, 100.0, 10.0]


def test_fine_tuned_rows_are_marked(record):
    table = page.show(STUDY, record, "tuned")
    assert len(table.rows) == 3 * len(TUNED) * len(TUNED_SHOTS) and all("visual" in line[5] for line in table.rows)
    assert "visual" not in str(page.show(STUDY, record, "hmdb51-accuracy"))
    everywhere = dataclasses.replace(record, extra={"tower": "fine-tuned"})
    assert few_shot.tuned_table(everywhere) is None and "in all cells" in few_shot.tuned_text(everywhere)


@pytest.mark.parametrize("of", LAYOUTS)
def test_cells_say_where_sfar_is_higher(record, of):
    table = str(page.show(STUDY, record, f"{of}-differences"))
    own = record.contrasts_of("cells", dataset=of)
    mark = {"holds": " ▲", "does not hold": " ▼", "undecided": ""}
    assert all(f"{c.mean:+z.1f} ({c.low:+z.1f} to {c.high:+z.1f}){mark[c.verdict]}" in table for c in own)
    assert table.count("▲") == sum(c.verdict == "holds" for c in own) > 0
    assert table.count("▼") == sum(c.verdict == "does not hold" for c in own)
    assert table.count("fine-tuned") == 2 * (of in TUNED)
    lines = [f"{METHODS[a].title} − {m.title}" for a in ("sfar", "sfar-printed") for m in rivals()]
    assert all(line in table for line in [*lines, "SFAR − SFAR, as printed"])


def test_the_papers_averages_are_recomputed(record):
    found = {a["method"]: a for a in few_shot.paper_averages()}
    assert {m for m, a in found.items() if not a["agrees"]} == {"OST"}
    assert found["OST"]["mean"] == pytest.approx(811.9 / 12) and found["OST"]["printed"] == 67.6
    assert found["VideoPrompt"]["cells"] == 8 and all(a["cells"] == 12 for m, a in found.items() if m != "VideoPrompt")
    assert found["TC-CLIP"]["agrees"] and found["ViFi-CLIP"]["agrees"], "72.85, 65.35: a half is rounded either way"
    text = page.show(STUDY, record, "averages-text")
    assert "OST: 67.6 printed, 67.66 from its cells" in text and "SFAR" not in text
    assert "VideoPrompt's is over 8 cells, the others' over 12" in text
    (row,) = [x for x in page.show(STUDY, record, "table3-printed").rows if x[0] == "SFAR (ours)"]
    assert row[-4:] == [78.7, "78.67", 12, "yes"]


def test_measured_and_printed_never_share_a_table(record):
    parts = [f"accuracy-{e}" for e in EPOCHS] + [
        f"{of}-{what}" for of in LAYOUTS for what in ("accuracy", "differences")
    ]
    measured = "".join(str(page.show(STUDY, record, which)) for which in parts)
    methods = {r["method"] for name in ("table3", "table12") for r in paper.load(name)}
    printed = methods - {"Vanilla CLIP", "SFAR (ours)", "BIKE"}
    assert printed and not any(m in measured for m in printed)
    assert "78.7" in str(page.show(STUDY, record, "table3-printed"))
    assert len(page.show(STUDY, record, "table12-printed").rows) == 7


def test_the_figure_shows_every_curve(record):
    fig = few_shot.figure(record)
    fig.canvas.draw()
    repeat, once, printed = fig.axes[:3], fig.axes[3:6], fig.axes[6:9]
    for axes, epoch in ((repeat, "repeat"), (once, "once")):
        for ax, of in zip(axes, LAYOUTS, strict=True):
            assert ax.get_xscale() == "log" and list(ax.get_xticks()) == list(SHOTS)
            curves = [tuple(line.get_ydata()) for line in ax.get_lines()]
            for m in list(METHODS)[1:]:
                assert tuple(few_shot.cell(record, of, k, m, epoch).mean for k in SHOTS) in curves
            assert len(ax.containers) == len(METHODS) - 1, "an interval for each trained method"
            hollow = [y for line in ax.get_lines() if line.get_mfc() == "white" for y in line.get_ydata()]
            tuned = record.select("cells", metric="top1", dataset=of, tower="fine-tuned")
            assert hollow == ([r.mean for r in tuned] if epoch == "repeat" else [])
    assert all(len(ax.get_lines()) == 8 and not ax.containers for ax in printed)
    (ours,) = [line for line in printed[2].get_lines() if line.get_label() == "SFAR (ours)"]
    assert list(ours.get_ydata()) == [73.9, 74.8, 75.5, 76.2]
    assert repeat[0].get_ylim() == once[0].get_ylim(), "both conventions on one scale"
    plt.close(fig)


def test_text_for_the_terminal(record):
    text = page.terminal(STUDY, record)
    assert all(str(page.show(STUDY, record, f"accuracy-{e}")) in text for e in EPOCHS)
    assert "Verdict here" in text and "OST" not in text


# --- the committed record --------------------------------------------------------------------------------------------


def test_committed_record():
    """It fits the code and has every cell."""
    profile = get_profile("storyboard")
    kept = STUDY.load(profile)
    cells = kept.select("cells", metric="top1")
    frozen = profile.frozen_seeds[: few_shot.MOST]
    assert kept.seeds == list(frozen) and len(cells) == len(few_shot.cells(profile))
    for r in cells:
        seeds = frozen if r.setting["tower"] == "frozen" else profile.seeds
        assert r.seeds == (1 if r.row == "vanilla" else len(seeds)) and r.videos in (320, 800)


def test_the_tower_of_table_12_has_its_own_numbers_of_videos(monkeypatch):
    profile = get_profile("storyboard", {"seeds": list(SEEDS)})
    large = get_profile("paper", {"model.clip": few_shot.LARGE})
    assert few_shot.shots(large) == few_shot.LARGE_SHOTS and few_shot.shots(get_profile("paper")) == SHOTS
    assert {r["shots"] for r in paper.load("table12") if r["backbone"] == "ViT-L/14"} == set(few_shot.LARGE_SHOTS)
    monkeypatch.setattr(study, "run", made_up)
    monkeypatch.setattr(few_shot, "LARGE", profile.model.clip)
    record = STUDY.measure(profile)
    assert few_shot.shots_in(record) == few_shot.LARGE_SHOTS
    columns = [f"{page.set_title(d)} K=2" if k == 2 else "K=5" for d in LAYOUTS for k in (2, 5)]
    shown = {b.id: b.make(record) for b in STUDY.blocks if isinstance(b, Shown)}
    assert list(shown["accuracy-repeat"].columns[1:7]) == columns and "(Table 12)" in shown["accuracy-repeat"].caption
    assert all(list(shown[f"{d}-accuracy"].columns[2:4]) == ["K=2", "K=5"] for d in LAYOUTS)
    figure = few_shot.figure(record)
    assert 5 in figure.axes[0].get_xticks()
    plt.close(figure)
