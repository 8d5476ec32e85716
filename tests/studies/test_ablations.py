"""Table 2e, Figure 7a and the open readings: the record's arithmetic on made-up runs, its pages and figures, and the committed record."""

import csv
import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar import paper
from sfar.config import get_profile
from sfar.data.source import Dataset
from sfar.errors import ConfigError, SfarError
from sfar.render import tables
from sfar.storyboard.scripts import KINETICS
from sfar.studies import ablations, table1
from sfar.studies import ablations_page as page
from sfar.studies.core import page as study_page
from sfar.studies.core import statistics, study
from sfar.subtexts import SubTexts
from sfar.util import paths

CLASSES = sorted(KINETICS)


def made_up(per_class=2, share=None, scores=True, classes=CLASSES):
    """In place of ``study.run``: runs whose accuracies follow from chance, or exactly (``share`` of the videos right, by variant), and no training."""

    def run(base, variants, seeds, workers=None, desc=""):
        labels = np.repeat(np.arange(len(classes)), per_class)
        ease = np.random.default_rng(99).normal(0, 1, len(labels))
        out = {}
        for k, v in enumerate(variants):
            out[v.name] = []
            for seed in seeds if v.method != "vanilla" else seeds[:1]:
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
        return module.STUDY.measure(get_profile(profile, {"seeds": list(seeds), **(overrides or {})}))


@pytest.fixture(scope="module")
def record():
    return measured(ablations)


@pytest.fixture(scope="module")
def written(record, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablations")
    files = page.write(record, out)
    return out, files


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


def variants(profile):
    """Every row of the record."""
    return (
        *ablations.TABLE2E,
        *ablations.FIG7A,
        *ablations.TUNED,
        *ablations.FROZEN_ROWS,
        *(v for _, v in ablations.readings(profile)),
    )


# --- the record ------------------------------------------------------------------------------------------------------


def test_rows_and_differences_are_those_of_the_runs(record):
    profile = get_profile("storyboard", {"seeds": [0, 1, 2]})
    by = made_up()(profile, variants(profile), profile.seeds)
    right = {
        name: [[100.0 * (r < 1) for r in run["views"]["1x1"]["ranks"]] for run in runs] for name, runs in by.items()
    }
    five = {
        name: [[100.0 * (r < 5) for r in run["views"]["1x1"]["ranks"]] for run in runs] for name, runs in by.items()
    }
    assert record["data"] == {"train_clips": 600, "val_videos": 50, "classes": 25, "undecodable": {}, "missing": []}
    for part in ("table2e", "fig7a", "tuned", "frozen", "readings"):
        for r in record[part]:
            for k, value in (("top1", right), ("top5", five)):
                per_seed = [sum(v) / len(v) for v in value[r["name"]]]
                assert r[k]["per_seed"] == pytest.approx(per_seed, abs=1e-3) and r[k]["mean"] == pytest.approx(
                    np.mean(per_seed), abs=1e-3
                )
            assert r["trained"] == by[r["name"]][0]["trained"]
    for d in [*record["differences"], *(r["difference"] for r in record["readings"])]:
        a, b = right[d["name"]], right[d["against"]]
        b = b * len(a) if len(b) < len(a) else b  # the zero-shot row has one run
        mean = np.mean([x - y for p, q in zip(a, b) for x, y in zip(p, q)])
        assert d["mean"] == pytest.approx(mean, abs=1e-3) and d["low"] <= d["mean"] <= d["high"]
        assert d["verdict"] == statistics.verdict(d["low"], d["high"])


def test_towers_and_references(record):
    """Figure 7a and Table 2e fine-tune the tower, the readings do not, and each difference has both sides on one tower."""
    assert all("visual" in r["trained"] for part in ("table2e", "fig7a", "tuned") for r in record[part])
    assert not any("visual" in r["trained"] for part in ("frozen", "readings") for r in record[part])
    for d in record["differences"]:
        assert d["name"].startswith("frozen/") == d["against"].startswith("frozen/")
    assert all(r["difference"]["against"] == "frozen/both" and r["changes"] for r in record["readings"])


def test_claims_follow_the_intervals(record):
    find = {(d["name"], d["against"]): d for d in record["differences"]}
    expected = [
        ("temporal", "clip"),
        ("fine", "clip"),
        ("coarse", "clip"),
        ("both", "clip"),
        ("both", "temporal"),
        ("both", "coarse"),
        ("both", "fine"),
        ("coarse", "fine"),
        ("n5", "n2"),
    ]
    for c, key in zip(record["claims"], expected):
        assert [c[k] for k in ("mean", "low", "high", "verdict")] == [
            find[key][k] for k in ("mean", "low", "high", "verdict")
        ]
    assert len(record["claims"]) == len(expected) + 1


@pytest.mark.parametrize(
    "shares, value, verdict",
    [
        ((0.2, 0.4, 0.6, 0.8), 0.0, "undecided"),  # a straight line has no bend
        ((0.2, 0.4, 0.6, 0.6), 20.0, "holds"),
        ((0.2, 0.2, 0.2, 0.8), -60.0, "does not hold"),
    ],
)
def test_the_gain_from_4_to_5_is_held_against_the_gain_of_one_sub_text(shares, value, verdict):
    share = {f"n{n}": s for n, s in zip((2, 3, 4, 5), shares)}
    bend = measured(ablations, seeds=(0,), per_class=1, share=share)["claims"][-1]
    assert "from 4 to 5" in bend["claim"] and bend["mean"] == pytest.approx(value) and bend["verdict"] == verdict


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
    mine = [
        study.job(profile, v, s)
        for v in (*ablations.TABLE2E, *ablations.TUNED, *ablations.FROZEN_ROWS[:1])
        for s in profile.seeds
    ]
    missing = [j for j in table1.jobs(profile, data) if j not in mine and j.method != "vanilla"]
    assert not missing and all(bool(j.zero_shot) <= drawn for j in mine)


def test_one_run_serves_several_rows(monkeypatch):
    monkeypatch.setattr(
        study, "_dataset", lambda *_: Dataset("kinetics400", Path("nowhere"), "0" * 16, tuple(CLASSES), False)
    )
    asked = []
    monkeypatch.setattr(study, "run_all", lambda jobs, *_: asked.extend(jobs) or [{"seconds": 2.0} for _ in jobs])
    by = study.run(
        get_profile("storyboard"), (*ablations.TABLE2E, *ablations.FIG7A, *ablations.FROZEN_ROWS[:1]), [0, 1]
    )
    assert len(asked) == 2 * (5 + 4 - 1) + 1, "Coarse and fine is N = 4; the zero-shot row is run once"
    assert all(a is b for a, b in zip(by["both"], by["n4"])) and len(by["frozen/vanilla"]) == 1
    assert study.seconds(by) == 2.0 * len(asked)


# --- pages -----------------------------------------------------------------------------------------------------------


def test_files(written, record):
    out, files = written
    assert (
        sorted(f.name for f in files)
        == sorted(p.name for p in out.iterdir())
        == sorted(
            [f"ablations.{e}" for e in ("csv", "md", "tex", "json")]
            + [f"{s}.png" for s in ("table2e", "fig7a", "readings")]
        )
    )
    assert json.loads((out / "ablations.json").read_text()) == record
    assert all((out / f"{s}.png").stat().st_size > 20_000 for s in ("table2e", "fig7a", "readings"))
    text = (out / "ablations.md").read_text()
    assert (
        all(f"({s}.png)" in text for s in ("table2e", "fig7a", "readings"))
        and "nan" not in text
        and "None" not in text.split("Configuration:")[0]
    )


def test_forms_hold_the_same_numbers(written, record):
    out, _ = written
    rows = list(csv.DictReader(io.StringIO((out / "ablations.csv").read_text())))
    parts = ("table2e", "fig7a", "tuned", "frozen", "readings")
    assert len(rows) == 2 * sum(len(record[p]) for p in parts) + len(record["differences"]) + len(record["readings"])
    text = (out / "ablations.md").read_text()
    for part in parts:
        for r in record[part]:
            for k in ("top1", "top5"):
                (row,) = [x for x in rows if (x["part"], x["name"], x["metric"]) == (part, r["name"], k)]
                assert [float(row[c]) for c in ("mean", "std", "low", "high")] == [
                    r[k][c] for c in ("mean", "std", "low", "high")
                ]
            line = next(x for x in text.splitlines() if f"| {r['title']} " in x and f"| {r['top1']['mean']:.1f} " in x)
            assert part == "readings" or f"{r['top1']['low']:.1f} to {r['top1']['high']:.1f}" in line
    for d in [*record["differences"], *(r["difference"] for r in record["readings"])]:
        (row,) = [
            x for x in rows if x["part"] == "difference" and (x["name"], x["against"]) == (d["name"], d["against"])
        ]
        assert [float(row[c]) for c in ("mean", "low", "high")] == [d["mean"], d["low"], d["high"]] and row[
            "verdict"
        ] == d["verdict"]
    first, second, third = latex_rows((out / "ablations.tex").read_text())
    for table, part in ((first, "table2e"), (second, "fig7a")):
        for cells, r in zip(table[1:], record[part], strict=True):
            assert cells[0] == r["title"]
            assert [number(c) for c in cells[1:]] == pytest.approx(
                [*(r["top1"][k] for k in ("mean", "std", "low", "high")), r["top5"]["mean"]], abs=0.0501
            )
    for cells, r in zip(third[1:], record["readings"], strict=True):
        assert [number(c) for c in cells[2:]] == pytest.approx(
            [r["top1"]["mean"], *(r["difference"][k] for k in ("mean", "low", "high"))], abs=0.0501
        )


def test_every_difference_is_on_the_page(record):
    """In the table of its part, once; none is dropped."""
    shown = [d for part in ("table2e", "fig7a", "tuned", "frozen") for d in page._differences(record, part)]
    assert sorted((d["name"], d["against"]) for d in shown) == sorted(
        (d["name"], d["against"]) for d in record["differences"]
    )


def test_measured_and_printed_never_share_a_table(record):
    printed = page.paper_markdown()
    assert printed.count("\n") == len(paper.load("table2e")) + 1 and all(
        f"{r['top1']:.1f}" in printed for r in paper.load("table2e")
    )
    measured_part, _, rest = page.as_markdown(record).partition("## Table 2e as printed")
    assert (
        printed in rest
        and page.rows_markdown(record, "table2e") in measured_part
        and not any(line in measured_part for line in printed.splitlines()[2:])
    )
    assert "minimal" in page.paper_fig7a_markdown()


def test_text_for_the_terminal(record):
    text = page.text(record)
    assert all(c["claim"] in text and c["verdict"] in text for c in record["claims"]) and all(
        r["title"] in text for r in (*record["table2e"], *record["readings"])
    )


def test_defaults_in_words(record):
    assert (
        page.default(record, "model.frame_temperature") == "0.0678, 1 / logit scale"
        and page.default(record, "model.word_mask") == "no start token, no padding"
    )
    other = {
        **record,
        "provenance": {
            **record["provenance"],
            "config": {**record["provenance"]["config"], "model": {"frame_temperature": 0.05, "word_mask": "all"}},
        },
    }
    assert page.default(other, "model.frame_temperature") == "0.05" and page.default(other, "model.word_mask") == "all"
    for field, value in page.WORDS:
        group, name = field.split(".")
        assert record["provenance"]["config"][group][name] == value, "a wording of a default that is none"


def test_what_chance_alone_would_do_is_said(record):
    off = sum(r["difference"]["verdict"] != "undecided" for r in record["readings"])
    assert f"{off} of {len(record['readings'])} intervals lie off zero" in page.readings_text(
        record
    ) and "about 1 would" in page.readings_text(record)


def test_latex_of_awkward_text():
    tex = tables.latex(["a & b", "50 %"], [[r"x_1 {y} #1 ~ ^ \ $ < > | λ ρ ± −", -1.25], ["–", None]], "100 % of {it}")
    (table,) = latex_rows(tex)
    assert (
        table[0] == [r"a \& b", r"50 \%"]
        and table[1][1] == "$-$1.2"
        and table[2] == ["--", "--"]
        and r"\caption{100 \% of \{it\}}" in tex
    )
    assert tables.cell(-0.04) == "0.0" and tables.cell(-0.06) == "-0.1"


def test_no_negative_zero():
    d = {"name": "a", "against": "b", "mean": -0.01, "low": -0.04, "high": 0.02, "verdict": "undecided"}
    assert "+0.0" in (text := study_page.differences_markdown([d], {"a": "A", "b": "B"})) and "-0.0" not in text


def test_left_out_videos_are_counted(record):
    assert "Undecodable" not in page.as_markdown(record)
    lost = {
        **record,
        "data": {**record["data"], "undecodable": {"val/a.mp4": "is damaged"}, "missing": ["val/b.mp4", "val/c.mp4"]},
    }
    assert "Undecodable videos: 1; missing: 2" in page.as_markdown(lost)


def test_failing_write_keeps_the_earlier_record(written, record, monkeypatch):
    out, _ = written
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SfarError, match="cannot write .*ablations.csv: No space left"):
        page.write({**record, "seeds": [8]}, out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    plt.close("all")


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figure_of_table_2e(record):
    figure = figures_drawn(page.table2e_figure, record)
    ours, theirs = figure.axes
    marks = {
        m: [line.get_xdata()[0] for line in ours.lines if line.get_marker() == m and len(line.get_xdata()) == 1]
        for m in "os"
    }
    assert marks["o"] == [r["top1"]["mean"] for r in record["table2e"]]
    assert marks["s"] == [
        r["top1"]["mean"] for r in record["frozen"] if r["name"].split("/")[1] in ("temporal", "fine", "coarse", "both")
    ]
    seeds = [list(line.get_xdata()) for line in ours.lines if line.get_marker() == "|"]
    assert len(seeds) == 9 and seeds[0] == record["table2e"][0]["top1"]["per_seed"]
    assert [line.get_xdata()[0] for line in theirs.lines] == [r["top1"] for r in paper.load("table2e")]
    assert "Printed" in theirs.get_title("left") and "Measured" in ours.get_title("left")


def test_figure_7a(record):
    ax, steps = figures_drawn(page.fig7a_figure, record).axes
    mean = [r["top1"]["mean"] for r in record["fig7a"]]
    assert any(list(line.get_xdata()) == [2, 3, 4, 5] and list(line.get_ydata()) == mean for line in ax.lines)
    per_seed = [list(line.get_ydata()) for line in ax.lines if line.get_color() == "#9db8cc"]
    assert per_seed == [[r["top1"]["per_seed"][k] for r in record["fig7a"]] for k in range(3)]
    assert labels_of(ax) == [f"{m:.1f}" for m in mean] and list(ax.get_xticks()) == [2, 3, 4, 5]
    assert [t.get_text() for t in steps.get_yticklabels()] == ["N = 2 to 5", "N = 4 to 5", "N = 3 to 4", "N = 2 to 3"]


def test_figure_of_one_seed():
    """No deviation, no seeds apart: it is drawn all the same."""
    one = measured(ablations, seeds=(3,), per_class=1)
    for draw in (page.table2e_figure, page.fig7a_figure, page.readings_figure):
        figures_drawn(draw, one)
    assert "1 seed, 25 videos" in page.table2e_figure(one).axes[0].get_title("left") and "seeds 3." in page.as_markdown(
        one
    )
    plt.close("all")


def test_figure_of_the_readings(record):
    (ax,) = figures_drawn(page.readings_figure, record).axes
    points = sorted(
        line.get_xdata()[0] for line in ax.lines if line.get_marker() in "^vo" and len(line.get_xdata()) == 1
    )
    assert points == sorted(r["difference"]["mean"] for r in record["readings"])
    shown = labels_of(ax)
    assert all(r["title"] in shown and r["of"] in shown for r in record["readings"])
    assert sum(t.startswith("default: ") for t in shown) == len({r["of"] for r in record["readings"]})
    assert "default: Linear-ReLU-Linear, no residual" in shown
    spots = {t.get_text(): t.xy[1] for t in ax.texts}
    names = [t for t in shown if not t.startswith(("default", "+", "−"))]
    assert (
        len({round(spots[t], 3) for t in names})
        == len(names)
        == len(record["readings"]) + len({r["of"] for r in record["readings"]})
    ), "no name lies on another"


# --- records on disk -------------------------------------------------------------------------------------------------


def test_missing_and_stale_records_name_the_target(tmp_path, monkeypatch, record):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    with pytest.raises(SfarError, match="ablations.json is not there: run `make reproduce-table2e`"):
        ablations.STUDY.get()
    paths.write_json(paths.results("storyboard") / "ablations.json", record)  # of three seeds
    with pytest.raises(SfarError, match="other code: run `make reproduce-table2e`"):
        ablations.STUDY.get()
    fitting = {**record, "inputs": ablations.STUDY.inputs(get_profile("storyboard"))}
    paths.write_json(paths.results("storyboard") / "ablations.json", fitting)
    assert ablations.STUDY.get() == fitting
    with pytest.raises(SfarError, match="not there.*make reproduce-table2e"):
        ablations.STUDY.get(overrides={"train.epochs": 1})
    with pytest.raises(ConfigError, match="unknown source 'cache'"):
        ablations.STUDY.get(source="cache")


def test_paper_profile_needs_sub_texts_of_every_n(monkeypatch):
    """Said before anything is trained."""
    classes = tuple(SubTexts.load("kinetics400"))
    monkeypatch.setattr(study, "_dataset", lambda *_: Dataset("kinetics400", Path("nowhere"), "0" * 16, classes, False))
    monkeypatch.setattr("sfar.runs.job.weights_id", lambda *_: "of OpenAI")
    with pytest.raises(ConfigError, match="has N = 4, not 2.*model.n_subtexts"):
        study.run(get_profile("paper"), ablations.FIG7A, [0])


def test_committed_record():
    """It fits the code, has every row, and its files were drawn from it."""
    profile = get_profile("storyboard")
    kept = ablations.STUDY.load(profile)
    assert len(kept["seeds"]) >= 5
    for part, rows in (
        ("table2e", ablations.TABLE2E),
        ("fig7a", ablations.FIG7A),
        ("tuned", ablations.TUNED),
        ("frozen", ablations.FROZEN_ROWS),
    ):
        assert [r["name"] for r in kept[part]] == [v.name for v in rows]
        assert all(
            r["top1"]["seeds"] == (len(kept["seeds"]) if r["trained"] else 1)
            and r["top1"]["videos"] == kept["data"]["val_videos"]
            for r in kept[part]
        )
    assert [(r["of"], r["title"]) for r in kept["readings"]] == [(of, v.title) for of, v in ablations.readings(profile)]
    assert (
        all(c["verdict"] == statistics.verdict(c["low"], c["high"]) for c in kept["claims"])
        and len(kept["claims"]) == 10
    )
    folder = paths.results("storyboard")
    assert (folder / "ablations.md").read_text() == page.as_markdown(kept).rstrip() + "\n"
    assert (folder / "ablations.csv").read_text() == tables.to_csv(*page.csv_table(kept))
    latex_rows((folder / "ablations.tex").read_text())
    assert all((folder / f"{stem}.png").stat().st_size > 20_000 for stem in ("table2e", "fig7a", "readings"))
