"""Table 2e, Figure 7a and the open readings: the record on made-up runs, its page and figures, the committed record."""

import dataclasses
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import config, paper
from sfar.config import get_profile
from sfar.data.source import Dataset
from sfar.errors import ConfigError
from sfar.render import tables
from sfar.storyboard.scripts import KINETICS
from sfar.studies import ablations, table1
from sfar.studies.ablations import STUDY
from sfar.studies.core import page, statistics, study
from sfar.studies.core.record import Contrast
from sfar.subtexts import SubTexts

CLASSES = sorted(KINETICS)
SEEDS, FROZEN_SEEDS = (0, 1, 2), (0, 1, 2, 3, 4)  # more of them where the tower is frozen


def made_up(per_class=2, share=None, scores=True, classes=CLASSES):
    """In place of ``study.run``, without training: runs whose accuracies follow from chance, or exactly.

    ``share``: of the videos right, by variant.
    """

    def run(base, variants, workers=None, desc="", most=None):
        labels = np.repeat(np.arange(len(classes)), per_class)
        ease = np.random.default_rng(99).normal(0, 1, len(labels))
        out = {}
        for k, v in enumerate(variants):
            out[v.name] = []
            for seed in study.seeds_of(base, v, most):
                z = np.random.default_rng([k, seed]).normal(size=(len(labels), len(classes)))
                if share is None:
                    z[np.arange(len(labels)), labels] += 2.0 + 0.1 * (k % 9) + ease
                else:
                    right = np.arange(len(labels)) < round(share.get(v.name, 0.5) * len(labels))
                    z[np.arange(len(labels)), labels] = np.where(right, 9.0, -9.0)
                p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
                own = p[np.arange(len(labels)), labels][:, None]
                frozen = ("train.train_visual", False) in v.changes
                view = {"ranks": ((p >= own).sum(1) - 1).tolist()} | ({"scores": p.tolist()} if scores else {})
                out[v.name].append(
                    {
                        "method": v.method,
                        "seed": seed,
                        "trained": [] if v.method == "vanilla" else ["head", "logit_scale"] + ["visual"] * (not frozen),
                        "classes": list(classes),
                        "labels": labels.tolist(),
                        "bad": {},
                        "missing": [],
                        "temperature": 0.0678,
                        "seconds": 1.0,
                        "views": {"1x1": view},
                        "training": {"clips": 24 * len(classes), "repeats": 1, "bad": {}}
                        if v.method != "vanilla"
                        else None,
                    }
                )
        return out

    return run


def measured(module, seeds=(0, 1, 2), profile="storyboard", overrides=None, **kind):
    """A record of ``module`` (ablations, sub_actions) from made-up runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "run", made_up(**kind))
        return module.STUDY.measure(
            get_profile(profile, {"seeds": list(seeds), "frozen_seeds": list(seeds), **(overrides or {})})
        )


@pytest.fixture(scope="module")
def record():
    return measured(ablations, overrides={"frozen_seeds": list(FROZEN_SEEDS)})


def figures_drawn(draw, record):
    figure = draw(record)
    figure.canvas.draw()
    plt.close(figure)
    return figure


def labels_of(ax):
    return [t.get_text() for t in ax.texts if t.get_text()]


def latex_rows(tex):
    """The cells of every table in a LaTeX file, heads first; fails where it would not compile."""
    assert tex.isascii(), sorted({c for c in tex if not c.isascii()})
    bare = re.sub(r"\\[\\{}%&_#$]", "", tex)
    depth = np.cumsum([(c == "{") - (c == "}") for c in bare])
    assert (depth >= 0).all() and depth[-1] == 0 and bare.count("$") % 2 == 0 and not re.search(r"[%#]", bare)
    opened = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        assert what == "begin" or opened.pop() == name
        opened += [name] * (what == "begin")
    assert not opened
    found = []
    for align, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", tex, re.S):
        rows = [line.strip().removesuffix(r"\\").strip() for line in body.splitlines() if line.endswith(r"\\")]
        assert all(len(re.split(r"(?<!\\)&", row)) == len(align) for row in rows)
        found.append([[c.strip() for c in re.split(r"(?<!\\)&", row)] for row in rows])
    return found


def number(cell):
    """A LaTeX cell as a number."""
    return float(cell.replace("$-$", "-"))


def parts(profile):
    """The variants of each part of the record."""
    return {
        "table2e": ablations.TABLE2E,
        "fig7a": ablations.FIG7A,
        "tuned": ablations.TUNED,
        "frozen": ablations.FROZEN_ROWS,
        "readings": tuple(v for _, v in ablations.readings(profile)),
    }


def variants(profile):
    """Every row of the record."""
    return tuple(v for own in parts(profile).values() for v in own)


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_and_contrasts_are_those_of_the_runs(record):
    profile = get_profile("storyboard", {"seeds": list(SEEDS), "frozen_seeds": list(FROZEN_SEEDS)})
    by = made_up()(profile, variants(profile))
    hit = {
        (name, f"top{k}"): [[100.0 * (r < k) for r in run["views"]["1x1"]["ranks"]] for run in runs]
        for name, runs in by.items()
        for k in (1, 5)
    }
    assert record.data == {"train_clips": 600, "val_videos": 50, "classes": 25, "undecodable": {}, "missing": []}
    expected = [(part, v.name, f"top{k}") for part, own in parts(profile).items() for v in own for k in (1, 5)]
    assert [(r.part, r.row, r.metric) for r in record.rows] == expected
    for r in record.rows:
        per_seed = [sum(v) / len(v) for v in hit[r.row, r.metric]]
        assert r.per_seed == pytest.approx(per_seed, abs=1e-3) and r.mean == pytest.approx(np.mean(per_seed), abs=1e-3)
        assert r.low <= r.mean <= r.high and (r.seeds, r.videos) == (len(per_seed), 50)
        assert r.trained == by[r.row][0]["trained"]
        assert r.seeds == (len(SEEDS) if "visual" in r.trained else len(FROZEN_SEEDS) if r.trained else 1)
    simple = [c for c in record.contrasts if c.part != "bend"]
    pairs = [(part, *pair) for part, own in ablations.CONTRASTS.items() for pair in own]
    pairs += [("readings", v.name, "frozen/both") for v in parts(profile)["readings"]]
    assert [(c.part, c.row, c.against) for c in simple] == pairs and len(record.contrasts) == len(pairs) + 2
    for c in simple:
        a, b = hit[c.row, "top1"], hit[c.against, "top1"]
        b = b * len(a) if len(b) < len(a) else b  # the zero-shot row has one run
        mean = np.mean([x - y for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)])
        assert c.mean == pytest.approx(mean, abs=1e-3) and c.low <= c.mean <= c.high
        assert c.verdict == statistics.verdict(c.low, c.high) and c.seeds == max(len(a), len(b))
    assert len(record.contrasts_of("bend")) == 2
    for reading in ("", "printed/"):
        n = {k: record.find("fig7a", f"{reading}n{k}").mean for k in (2, 4, 5)}
        bend = record.contrast(f"{reading}n4 - n2", "n5 - n4", "bend")
        assert bend.mean == pytest.approx((n[4] - n[2]) / 2 - (n[5] - n[4]), abs=1e-3)


def test_every_comparison_is_of_both_readings():
    """What SFAR as chosen is held against, SFAR as printed is too; and the two against each other."""
    other = {"fine": "printed/fine", "coarse": "printed/coarse", "both": "printed/both"}
    for part, pairs in ablations.CONTRASTS.items():
        lead = "frozen/" * (part == "frozen")
        names = {f"{lead}{k}": f"{lead}{v}" for k, v in other.items()} | {
            f"n{k}": f"printed/n{k}" for k in (2, 3, 4, 5)
        }
        chosen = [p for p in pairs if p[0] in names and "printed/" not in "".join(p)]
        mirrored = [(names[a], names.get(b, b)) for a, b in chosen]
        apart = [(f"{lead}both", f"{lead}printed/both")] if part in ("table2e", "frozen") else []
        plain = [p for p in pairs if p[0] not in names and "printed/" not in "".join(p)]
        assert chosen and sorted(pairs) == sorted([*plain, *chosen, *mirrored, *apart]), part
        assert plain == {"table2e": [("temporal", "clip")], "frozen": [("frozen/single", "frozen/single-0")]}.get(
            part, []
        )
    for part in parts(get_profile("storyboard")).values():
        rows = {v.name: v for v in part if v.method == "sfar-printed"}
        for name, v in rows.items():
            (chosen,) = (c for c in part if c.name == name.replace("printed/", ""))
            assert (chosen.method, chosen.changes) == ("sfar", v.changes)
            assert v.title == f"{chosen.title}, as printed"


def test_towers_and_references(record):
    """Table 2e fine-tunes the tower, Figure 7a and the readings do not; each contrast has both sides on one tower."""
    fine_tuned = {part: {"visual" in r.trained for r in record.select(part)} for part in record_parts(record)}
    assert fine_tuned == {"table2e": {True}, "fig7a": {False}, "tuned": {True}, "frozen": {False}, "readings": {False}}
    for c in record.contrasts:
        if c.part == "readings":
            assert c.row.startswith("reading/") and c.against == "frozen/both"
        else:
            assert c.row.startswith("frozen/") == c.against.startswith("frozen/") == (c.part == "frozen")
    profile = get_profile("storyboard")
    tuned = {v.name: bool(v.profile(profile, 0).train.train_visual) for v in variants(profile) if v.method != "vanilla"}
    for c in record.contrasts:
        if c.part != "bend" and "frozen/vanilla" not in (c.row, c.against):
            assert tuned[c.row] == tuned[c.against] == ("visual" in trained(record, c.row))
    changed = {v.name: v.changes[-1][0] for _, v in ablations.readings(get_profile("storyboard"))}
    assert all(r.setting["field"] == changed[r.row] and r.setting["of"] for r in record.select("readings"))


def trained(record, row):
    return next(r.trained for r in record.rows if r.row == row)


def record_parts(record):
    return list(dict.fromkeys(r.part for r in record.rows))


def test_claims_follow_the_intervals(record):
    decided_by = {
        "table2e-temporal-clip": ("temporal", "clip"),
        "table2e-fine-clip": ("fine", "clip"),
        "table2e-coarse-clip": ("coarse", "clip"),
        "table2e-both-clip": ("both", "clip"),
        "table2e-both-temporal": ("both", "temporal"),
        "table2e-both-coarse": ("both", "coarse"),
        "table2e-both-fine": ("both", "fine"),
        "table2e-coarse-fine": ("coarse", "fine"),
        "fig7a-more": ("n5", "n2"),
        "fig7a-bend": ("n4 - n2", "n5 - n4"),
        "table2e-fine-clip-printed": ("printed/fine", "clip"),
        "table2e-coarse-clip-printed": ("printed/coarse", "clip"),
        "table2e-both-clip-printed": ("printed/both", "clip"),
        "table2e-both-temporal-printed": ("printed/both", "temporal"),
        "table2e-both-coarse-printed": ("printed/both", "printed/coarse"),
        "table2e-both-fine-printed": ("printed/both", "printed/fine"),
        "table2e-coarse-fine-printed": ("printed/coarse", "printed/fine"),
        "fig7a-more-printed": ("printed/n5", "printed/n2"),
        "fig7a-bend-printed": ("printed/n4 - n2", "n5 - n4"),
    }
    assert [c.id for c in record.claims] == list(decided_by)
    for c in record.claims:
        by = record.contrast(*decided_by[c.id])
        assert (c.mean, c.low, c.high, c.verdict) == (by.mean, by.low, by.high, by.verdict) and c.of_paper
    top1 = dict(zip(("clip", "temporal", "fine", "coarse", "both"), paper.load("table2e"), strict=True))
    of_table = [c for c in record.claims if c.item == "table2e"]
    assert len(of_table) == 1 + 2 * 7
    for c in of_table:
        a, b = (name.removeprefix("printed/") for name in decided_by[c.id])
        assert c.claim.endswith(", as printed") == c.id.endswith("-printed")
        assert c.printed == f"{top1[a]['top1'] - top1[b]['top1']:+.1f}" and c.printed not in c.claim


@pytest.mark.parametrize("reading", ["", "printed/"])
@pytest.mark.parametrize(
    "shares, value, verdict",
    [
        ((0.2, 0.4, 0.6, 0.8), 0.0, "undecided"),  # a straight line has no bend
        ((0.2, 0.4, 0.6, 0.6), 20.0, "holds"),
        ((0.2, 0.2, 0.2, 0.8), -60.0, "does not hold"),
    ],
)
def test_the_gain_from_4_to_5_is_held_against_the_gain_of_one_sub_text(shares, value, verdict, reading):
    share = {f"{reading}n{n}": s for n, s in zip((2, 3, 4, 5), shares, strict=True)}
    bend = measured(ablations, seeds=(0,), per_class=1, share=share).claim("fig7a-bend" + "-printed" * bool(reading))
    assert bend.mean == pytest.approx(value) and (bend.verdict, bend.against) == (verdict, "the gain from 4 to 5")


def test_readings_follow_the_profile():
    """ "three times as many" epochs are three times the profile's, and a name stands for one variant."""
    for epochs in (1, 30):
        of, last = ablations.readings(get_profile("storyboard", {"train.epochs": epochs}))[-1]
        assert (of, dict(last.changes)["train.epochs"]) == ("epochs", 3 * epochs)
    names = [v.name for v in variants(get_profile("storyboard"))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("drawn", [True, False])
def test_the_runs_of_table_1_are_found_again(monkeypatch, drawn):
    """The same jobs: nothing is trained twice, and a model of real classes is not tested on drawn ones."""
    data = Dataset("kinetics400", Path("nowhere"), "0" * 16, tuple(CLASSES), drawn)
    monkeypatch.setattr(study, "_dataset", lambda *_: data)
    profile = get_profile("storyboard")
    own = (*ablations.TABLE2E, *ablations.TUNED, *ablations.FROZEN_ROWS[:1])
    mine = [study.job(profile, v, s) for v in own for s in profile.seeds]
    theirs = [study.job(profile, v, s) for v, seeds in table1.planned(profile) for s in seeds]
    missing = [j for j in theirs if j not in mine and j.method != "vanilla"]
    assert len(theirs) > 1 and not missing and all(bool(j.zero_shot) <= drawn for j in mine)


def test_one_run_serves_several_rows(monkeypatch):
    data = Dataset("kinetics400", Path("nowhere"), "0" * 16, tuple(CLASSES), False)
    monkeypatch.setattr(study, "_dataset", lambda *_: data)
    asked = []
    monkeypatch.setattr(study, "run_all", lambda jobs, *_: asked.extend(jobs) or [{"seconds": 2.0} for _ in jobs])
    rows = (*ablations.TABLE2E, *ablations.FIG7A, *ablations.FROZEN_ROWS)
    by = study.run(get_profile("storyboard", {"seeds": [0, 1], "frozen_seeds": [0, 1, 2]}), rows)
    expected = 2 * (2 + 2 * 3) + 3 * (3 + 2 * (3 + 4 - 1)) + 1
    assert len(asked) == expected, "on a frozen tower SFAR is N = 4; the zero-shot row is run once"
    for reading in ("", "printed/"):
        both, four = by[f"frozen/{reading}both"], by[f"{reading}n4"]
        assert all(a is b for a, b in zip(both, four, strict=True)) and len(four) == 3
        assert len(by[f"{reading}both"]) == 2
    assert by["n4"][0] is not by["printed/n4"][0] and len(by["frozen/vanilla"]) == 1
    assert study.seconds(by) == 2.0 * len(asked)


def test_paper_profile_needs_sub_texts_of_every_n(monkeypatch, tmp_path):
    """Said before anything is trained. The bundled ones have all."""
    classes = tuple(SubTexts.load("kinetics400"))
    ablations.need_subtexts(get_profile("paper"), classes)
    SubTexts.load("kinetics400").save(tmp_path / "four.json")
    data = Dataset("kinetics400", Path("nowhere"), "0" * 16, classes, False)
    asked = []
    monkeypatch.setattr(ablations, "dataset", lambda *_: data)
    monkeypatch.setattr(study, "run", lambda *_: asked.append("run"))
    with pytest.raises(ConfigError, match=r"no sub-texts of N = 2, 3, 5 .*has N = 4, not 2.*model\.subtexts="):
        STUDY.measure(get_profile("paper", {"model.subtexts": str(tmp_path / "four.json")}))
    assert not asked


# --- the page --------------------------------------------------------------------------------------------------------


def test_forms_hold_the_same_numbers(record):
    """The tables of the page and the LaTeX file, against the rows and contrasts of the record."""
    for part in ("table2e", "fig7a", "tuned", "frozen"):
        for line, r in zip(page.show(STUDY, record, part).rows, record.select(part, metric="top1"), strict=True):
            five = record.find(part, r.row, "top5")
            numbers = [r.mean, page.deviation(r), f"{r.low:.1f} to {r.high:.1f}", five.mean, page.deviation(five)]
            assert line == [r.title, *numbers, r.seeds if r.trained else "none", ", ".join(r.trained) or "nothing"]
    shown = page.show(STUDY, record, "readings").rows
    for line, r in zip(shown, record.select("readings", metric="top1"), strict=True):
        c = record.contrast(r.row, "frozen/both", "readings")
        assert line[:2] == [r.setting["of"], r.title] and line[2].startswith(f"{r.setting['field']}=")
        assert line[4:7] == [r.mean, f"{c.mean:+z.1f}", f"{c.low:+z.1f} to {c.high:+z.1f}"]
    first, second, third = latex_rows(page.latex(STUDY, record))
    for table, part in ((first, "table2e"), (second, "fig7a")):
        for cells, r in zip(table[1:], record.select(part, metric="top1"), strict=True):
            numbers = [r.mean, r.std, r.low, r.high, record.find(part, r.row, "top5").mean]
            assert cells[0] == r.title and [number(c) for c in cells[1:]] == pytest.approx(numbers, abs=0.0501)
    for cells, r in zip(third[1:], record.select("readings", metric="top1"), strict=True):
        c = record.contrast(r.row, "frozen/both", "readings")
        assert [number(x) for x in cells[2:]] == pytest.approx([r.mean, c.mean, c.low, c.high], abs=0.0501)


def test_every_difference_is_on_the_page(record):
    """In the table of its part, once; none is dropped."""
    count = 0
    for part in ablations.CONTRASTS:
        rows = page.show(STUDY, record, f"{part}-differences").rows
        word = {"holds": "higher", "does not hold": "lower", "undecided": "undecided"}
        for line, c in zip(rows, record.contrasts_of(part), strict=True):
            more = ", frozen" if part == "frozen" else ""
            assert line[0] == f"{record.title(c.row)}{more} − {record.title(c.against)}{more}"
            assert line[1:] == [f"{c.mean:+z.1f}", f"{c.low:+z.1f} to {c.high:+z.1f}", word[c.verdict]]
        count += len(rows)
    assert count + len(record.select("readings", metric="top1")) + 2 == len(record.contrasts), "the bends are claims'"


def test_measured_and_printed_never_share_a_table(record):
    printed = page.show(STUDY, record, "table2e-printed")
    assert [line[3:] for line in printed.rows] == [[r["top1"], r["top5"]] for r in paper.load("table2e")]
    text = page.markdown(STUDY, record)
    before, _, rest = text.partition("## Table 2e as printed")
    assert str(printed) in rest and str(page.show(STUDY, record, "table2e")) in before
    assert not any(line in before for line in str(printed).splitlines()[2:])
    assert "minimal" in str(page.show(STUDY, record, "figure7a")) and "nan" not in text
    assert "None" not in text.split("Configuration:")[0]


def test_text_for_the_terminal(record):
    text = page.terminal(STUDY, record)
    assert all(c.claim in text and c.verdict in text for c in record.claims)
    assert all(r.title in text for part in ("table2e", "fig7a", "readings") for r in record.select(part))


def test_defaults_in_words(record, monkeypatch):
    found = config.tuned("storyboard", "sfar")
    assert ablations.default(record, "model.frame_temperature") == f"{found['model.frame_temperature']:g}"
    assert ablations.default(record, "model.word_mask") == "no start token, no padding"
    monkeypatch.setattr(ablations, "tuned", lambda *_: {})
    assert ablations.default(record, "model.frame_temperature") == "0.0678, 1 / logit scale"
    monkeypatch.undo()
    kept = record.provenance["config"]
    given = {**kept, "model": {"frame_temperature": 0.05, "word_mask": "all"}}
    other = dataclasses.replace(record, provenance={**record.provenance, "config": given})
    assert ablations.default(other, "model.frame_temperature") == "0.05"
    assert ablations.default(other, "model.word_mask") == "all"
    for preset in config.PRESETS.values():
        assert set(preset) == {"model.ffn_residual", "model.context_layers", "model.frame_norm"}
    assert all(item in ablations.WORDS for item in config.PRESETS[config.CHOSEN].items())
    for field, value in ablations.WORDS:
        group, name = field.split(".")
        own = found.get(field, kept[group][name])
        other = {preset[field] for preset in config.PRESETS.values() if field in preset}
        assert value == own or value in other, "a wording of a default that is none"
        assert ablations.default(record, field) == ablations.WORDS[field, own]


def test_what_chance_alone_would_do_is_said(record):
    every = record.contrasts_of("readings")
    off = sum(c.verdict in ("holds", "does not hold") for c in every)
    text = ablations.readings_text(record)
    assert len(every) == len(ablations.READINGS) + 1 and f"{off} of {len(every)} intervals lie off zero" in text
    assert "about 1 would" in text and text in page.markdown(STUDY, record)


def test_latex_of_awkward_text():
    tex = tables.latex(["a & b", "50 %"], [[r"x_1 {y} #1 ~ ^ \ $ < > | λ ρ ± −", -1.25], ["–", None]], "100 % of {it}")
    (table,) = latex_rows(tex)
    assert table[0] == [r"a \& b", r"50 \%"] and table[1][1] == "$-$1.2" and table[2] == ["--", "--"]
    assert r"\caption{100 \% of \{it\}}" in tex
    assert tables.cell(-0.04) == "0.0" and tables.cell(-0.06) == "-0.1"


def test_no_negative_zero():
    c = Contrast("a", "b", -0.01, -0.04, 0.02, "undecided")
    text = str(page.contrasts_table([c], str.upper))
    assert "A − B" in text and "+0.0" in text and "-0.0" not in text


def test_left_out_videos_are_counted(record):
    assert "Undecodable" not in page.markdown(STUDY, record)
    data = {**record.data, "undecodable": {"val/a.mp4": "is damaged"}, "missing": ["val/b.mp4", "val/c.mp4"]}
    assert "Undecodable videos: 1; missing: 2" in page.markdown(STUDY, dataclasses.replace(record, data=data))


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figure_of_table_2e(record):
    figure = figures_drawn(ablations.table2e_figure, record)
    ours, theirs = figure.axes
    tuned = record.select("table2e", metric="top1")
    names = [t.row for t in tuned]
    frozen = [r for r in record.select("frozen", metric="top1") if r.row.removeprefix("frozen/") in names]
    single = {
        m: [x.get_xdata()[0] for x in ours.lines if x.get_marker() == m and len(x.get_xdata()) == 1] for m in "os"
    }
    assert single == {"o": [r.mean for r in tuned], "s": [r.mean for r in frozen]} and len(frozen) == 7
    *seeds, explained = [list(line.get_xdata()) for line in ours.lines if line.get_marker() == "|"]
    assert seeds == [r.per_seed for r in (*tuned, *frozen)] and explained == []
    assert "one seed" in [text.get_text() for text in figure.legends[0].get_texts()]
    top1 = [r["top1"] for r in paper.load("table2e")]
    assert [line.get_xdata()[0] for line in theirs.lines] == [*top1, *top1[2:]], "beside each reading the paper's row"
    assert "Printed" in theirs.get_title("left") and "Measured" in ours.get_title("left")


def test_figure_7a(record):
    ax, steps = figures_drawn(ablations.fig7a_figure, record).axes
    rows = [record.find("fig7a", f"n{n}") for n in (2, 3, 4, 5)]
    mean = [r.mean for r in rows]
    assert any(list(line.get_xdata()) == [2, 3, 4, 5] and list(line.get_ydata()) == mean for line in ax.lines)
    per_seed = [list(line.get_ydata()) for line in ax.lines if line.get_color() == "#9db8cc"]
    assert per_seed == [[r.per_seed[k] for r in rows] for k in range(len(FROZEN_SEEDS))]
    assert labels_of(ax) == [f"{m:.1f}" for m in mean] and list(ax.get_xticks()) == [2, 3, 4, 5]
    assert [t.get_text() for t in steps.get_yticklabels()] == ["N = 2 to 5", "N = 4 to 5", "N = 3 to 4", "N = 2 to 3"]


def test_figure_of_one_seed():
    """No deviation, no seeds apart: it is drawn all the same."""
    one = measured(ablations, seeds=(3,), per_class=1)
    drawn = [
        figures_drawn(draw, one)
        for draw in (ablations.table2e_figure, ablations.fig7a_figure, ablations.readings_figure)
    ]
    assert "1 seed, 25 videos" in drawn[0].axes[0].get_title("left") and "seeds 3." in page.markdown(STUDY, one)


def test_figure_of_the_readings(record):
    (ax,) = figures_drawn(ablations.readings_figure, record).axes
    rows, contrasts = record.select("readings", metric="top1"), record.contrasts_of("readings")
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "^vo" and len(line.get_xdata()) == 1]
    assert sorted(points) == sorted(c.mean for c in contrasts)
    shown = labels_of(ax)
    groups = {r.setting["of"] for r in rows}
    assert all(r.title in shown and r.setting["of"] in shown for r in rows)
    assert sum(t.startswith("default: ") for t in shown) == len(groups)
    assert "default: Linear-ReLU-Linear, with a residual" in shown
    spots = {t.get_text(): t.xy[1] for t in ax.texts}
    names = [t for t in shown if not t.startswith(("default", "+", "−"))]
    assert len(names) == len(rows) + len(groups), "every reading and every group has its name"
    assert len({round(spots[t], 3) for t in names}) == len(names), "no name lies on another"


# --- the committed record --------------------------------------------------------------------------------------------


def test_committed_record():
    """It fits the code and has every row."""
    profile = get_profile("storyboard")
    kept = STUDY.load(profile)
    assert kept.seeds == list(profile.seeds) and len(kept.seeds) >= 3 and len(profile.frozen_seeds) >= 5
    for part, own in parts(profile).items():
        assert kept.names(part) == [v.name for v in own]
    for r in kept.rows:
        seeds = profile.seeds if "visual" in r.trained else profile.frozen_seeds if r.trained else (0,)
        assert r.seeds == len(seeds) and r.videos == kept.data["val_videos"]
    said = [(of, v.title) for of, v in ablations.readings(profile)]
    assert [(r.setting["of"], r.title) for r in kept.select("readings", metric="top1")] == said
    assert len(kept.claims) == 1 + 2 * 9
    for c in kept.claims:
        plain = statistics.verdict(c.low, c.high)
        assert c.verdict == plain or (c.verdict, plain) == ("equal", "undecided"), c.id
