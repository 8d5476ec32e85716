"""Figures 1, 2, 3, 5, 6, 9, 10: rules that choose, what is measured of the chosen, figures and page of a record."""

import base64
import copy
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from small_sets import at

from sfar import studies
from sfar.config import ModelConfig
from sfar.data.source import dataset
from sfar.data.transforms import center_crop, val_indices
from sfar.errors import ConfigError
from sfar.model import heatmaps
from sfar.render import frames
from sfar.runs import executor, kept
from sfar.runs.job import Job
from sfar.studies import ablations, qualitative
from sfar.studies.core import page
from sfar.studies.core.blocks import Drawn
from sfar.studies.core.record import Contrast, Record, Row
from sfar.studies.qualitative import STUDY
from sfar.training import checkpoint

FIGURES = ("fig1", "fig2", "fig3", "fig5", "fig6", "fig9", "fig10")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


# --- rules -----------------------------------------------------------------------------------------------------------

CLASSES = ("alpha", "baking cookies", "clean and jerk", "long jump", "making pizza", "omega", "zeta")


def test_rules_do_not_depend_on_the_order_of_the_list():
    rng = np.random.default_rng(1)
    paths = [f"val/{rng.integers(1e9)}.mp4" for _ in range(42)]
    labels, shares = [i % 7 for i in range(42)], rng.random(42).tolist()
    hard = np.array([0.2, 0.9, 0.9, 0.1, 0.5, 0.9, 0.3])
    chosen = qualitative.choose(CLASSES, paths, labels, hard, shares)
    one = {f: [paths[i] for i in rows] for f, rows in chosen.items()}
    order = rng.permutation(42)
    mixed = [[x[i] for i in order] for x in (paths, labels, shares)]
    again = qualitative.choose(CLASSES, *mixed[:2], hard, mixed[2])
    assert one == {f: [mixed[0][i] for i in rows] for f, rows in again.items()}
    label = dict(zip(paths, labels, strict=True))
    assert [CLASSES[label[p]] for p in one["fig5"]] == ["baking cookies", "clean and jerk", "omega", "making pizza"]
    assert [CLASSES[label[p]] for p in one["fig6"]] == ["clean and jerk"] * 2 + ["long jump"] * 2
    assert one["fig6"][:2] == sorted(p for p in paths if label[p] == 2)[:2]
    assert {CLASSES[label[p]] for p in one["fig9"]} == {"alpha", "omega", "zeta"}, "classes of Figure 2 are left out"
    share = dict(zip(paths, shares, strict=True))
    for p in one["fig1"]:
        wanted = 0.34 if CLASSES[label[p]] in qualitative.NON_UNIFORM else 0
        assert abs(share[p] - wanted) == min(abs(share[q] - wanted) for q in paths if label[q] == label[p])
    assert "fig1" not in qualitative.choose(CLASSES, paths, labels, hard, None), "its shares need the truth"


def test_names_are_spread_over_the_alphabet():
    assert qualitative.spread(list("gfedcba"), 3) == ["a", "c", "e"]
    assert qualitative.spread(["b", "a"], 6) == ["a", "b"]


def test_without_scripts_ambiguity_is_the_papers_score():
    cls = torch.eye(3)
    scripts = ("long jump", "deadlifting", "front squat")
    assert qualitative.class_ambiguity(scripts, cls, True)[1] == "true overlap"
    assert qualitative.class_ambiguity(scripts, cls, False)[1].startswith("ambiguous score"), (
        "real videos of classes with these names were not drawn from the scripts"
    )
    assert qualitative.class_ambiguity(("a", "b", "c"), cls, True)[1].startswith("ambiguous score")


# --- what is measured ------------------------------------------------------------------------------------------------

OTHER = ("yoga", "juggling balls")  # of the unseen set, in this order


def jpeg(seed=0, height=96, width=128):
    out, rng = io.BytesIO(), np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def _models():
    coarse = ModelConfig(attention_heads=2, temporal_layers=1, fine=False)
    return {
        "single": tiny.model("single"),
        "coarse": tiny.model("sfar", 1, coarse),
        "both": tiny.model("sfar", 2),
        "printed/coarse": tiny.model("sfar-printed", 3, coarse),
        "printed/both": tiny.model("sfar-printed", 4),
    }


@pytest.fixture(scope="module")
def world():
    """Tiny trained models, noisy clips and a set of other classes in place of the real ones; then the record."""
    profile = tiny.profile()
    trained, fresh = _models(), _models()
    clips, others = tiny.clips(14), tiny.clips(5, seed=3)
    others.labels = [i % 2 for i in range(5)]
    others.paths = [f"other/{5 - i}.avi" for i in range(5)]
    for c in (clips, others):
        c.manifest = SimpleNamespace(multi_label=False, missing=("gone.mp4",))
    data = SimpleNamespace(classes=tuple(tiny.CLASSES), root=Path("drawn"), drawn=True)
    other = SimpleNamespace(classes=OTHER, root=Path("other"), drawn=False)
    seen = {p: {"segments": [["hop", 9, False]], "irrelevant": i / 14} for i, p in enumerate(clips.paths)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qualitative.study, "job", lambda profile, variant, seed: SimpleNamespace(data=data))
        patch.setattr(qualitative.study, "unseen", lambda profile, data: ("other",))
        patch.setattr(qualitative, "models", lambda jobs, workers: (trained, 7.0))
        patch.setattr(qualitative, "load_clips", lambda profile, d, split: others if d is other else clips)
        patch.setattr(qualitative, "by_name", lambda profile, name: profile)
        patch.setattr(qualitative, "dataset", lambda profile: other)
        patch.setattr(qualitative, "subtexts_of", lambda profile, classes: tiny.SUBTEXTS)
        patch.setattr(qualitative, "frames_of", lambda path, count: [jpeg()] * count)
        patch.setattr(qualitative, "truth", lambda root: seen)
        record = STUDY.measure(profile)
    return SimpleNamespace(record=record, profile=profile, fresh=fresh, clips=clips, others=others)


def seen_by_the_models(clips, i):
    return center_crop(clips.read(i, lambda n: val_indices(n, 3)), tiny.SIZE)


@torch.no_grad()
def probabilities(model, clips):
    """Of every video, written out."""
    return [model(seen_by_the_models(clips, i)[None]).logits[0].softmax(0).tolist() for i in range(len(clips))]


def test_rows_are_those_of_a_plain_loop(world):
    labels = world.clips.labels
    own, right = {}, {}
    asked = {name: world.fresh[name] for name in qualitative.ASKED}
    for name, model in asked.items():
        p = probabilities(model.eval(), world.clips)
        own[name] = [row[label] for row, label in zip(p, labels, strict=True)]
        right[name] = [max(row) == row[label] for row, label in zip(p, labels, strict=True)]
    for which in ("shown", "all"):  # the three classes are all among the most ambiguous ones
        for name in asked:
            row = world.record.find("fig5", name, "probability", classes=which)
            assert row.mean == pytest.approx(100 * sum(own[name]) / 14, abs=1e-3)
            assert row.low <= row.mean <= row.high
            assert (row.seeds, row.videos, row.trained) == (1, 14, ["head", "logit_scale", "visual"])
            row = world.record.find("fig5", name, "top1", classes=which)
            assert row.more["right"] == sum(right[name])
            assert row.mean == pytest.approx(100 * sum(right[name]) / 14, abs=1e-3)
        for coarse in ("coarse", "printed/coarse"):
            c = world.record.contrast(coarse, "single", "fig5", metric="probability", classes=which)
            higher = sum(a > b for a, b in zip(own[coarse], own["single"], strict=True))
            assert c.more == {"higher": higher, "videos": 14}
            assert c.mean == pytest.approx(100 * (sum(own[coarse]) - sum(own["single"])) / 14, abs=1e-3)
            assert c.low <= c.mean <= c.high


def test_a_record_is_of_the_first_seed_and_of_json(world):
    record = world.record
    assert record.seeds == [world.profile.seeds[0]] != list(world.profile.seeds)
    assert record.claims == [], "examples are no evidence"
    assert record.provenance["training_seconds"] == 7.0
    assert record.data == {
        "train_clips": 14,
        "val_videos": 14,
        "classes": 3,
        "undecodable": {},
        "missing": ["gone.mp4"],
    }
    assert Record.from_json(json.loads(json.dumps(record.to_json()))).to_json() == record.to_json()
    assert set(record.extra["temperature"]) == {"single", "coarse", "both", "printed/coarse", "printed/both"}
    assert record.extra["ambiguity"]["by"].startswith("ambiguous score"), "not all of these classes have scripts"


def test_every_figure_has_its_videos(world):
    extra = world.record.extra
    assert list(extra["figures"]) == ["fig1", "fig2", "fig5", "fig6", "fig9", "fig10"]
    assert {p for paths in extra["figures"].values() for p in paths} == set(extra["videos"])
    for f, paths in extra["figures"].items():
        for v in (extra["videos"][p] for p in paths):
            assert len(v["jpeg"]) == len(v["indices"]) == 3
            assert base64.b64decode(v["jpeg"][0]) == jpeg()
            assert ("probabilities" in v) == (v["path"] in extra["figures"]["fig5"])
            assert ("segments" in v) == (f != "fig10"), "the other set is not drawn"
            if f not in ("fig1", "fig5"):
                assert set(v["importance"]) == set(qualitative.GRANULARITIES)
                assert set(v["heat"]) == {*heatmaps.MAPS, *(f"printed/{m}" for m in heatmaps.MAPS[1:])}
    for p in extra["figures"]["fig5"]:
        for m in ("single", "coarse", "printed/coarse"):
            assert sum(extra["videos"][p]["probabilities"][m]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("figure", ["fig9", "fig10"])
def test_importance_and_heat_are_those_of_the_true_class(world, figure):
    """Of Figure 10 among the classes of the other set."""
    path = world.record.extra["figures"][figure][-1]
    v, clips = world.record.extra["videos"][path], world.clips if figure == "fig9" else world.others
    i = clips.paths.index(path)
    assert v["class"] == (tiny.CLASSES if figure == "fig9" else OTHER)[clips.labels[i]]
    label = tiny.CLASSES.index(v["class"])  # a class's importance does not depend on the classes beside it
    for name, lead in (("single", ""), ("both", ""), ("printed/both", "printed/")):
        importance, maps = heatmaps.look(world.fresh[name], seen_by_the_models(clips, i), label)
        for m, a in importance.items():
            assert v["importance"][lead + m] == pytest.approx(a.tolist(), abs=2e-6)
        for m, h in maps.items():
            assert np.array(v["heat"][lead + m]) == pytest.approx(h.numpy(), abs=2e-6)
    assert v["importance"]["coarse"] != v["importance"]["printed/coarse"], "each of its own model"


@pytest.mark.usefixtures("videos_here", "runs_here")
def test_the_models_are_those_of_kept_runs(roots, tmp_path, monkeypatch):
    """What a run left is taken; the seconds are those of the runs."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    p = at(roots, **{"train.epochs": 1, "train.frames": 2, "model.temporal_layers": 1})
    job = Job(p, dataset(p), "single", 0)
    (run,) = executor.run_all([job])
    monkeypatch.setattr(executor, "run_one", None)  # nothing is made again
    found, seconds = qualitative.models({"single": job}, 1)
    assert seconds == run["seconds"] and found["single"].method == "single"
    left = checkpoint.load_file(kept.folder() / job.key() / kept.WEIGHTS)
    assert all(torch.equal(v, left[k]) for k, v in checkpoint.trained_state(found["single"]).items())


def test_the_models_are_declared_as_runs_of_table_2e():
    """The first seed's runs of that study are found, with the weights that they left."""
    declared = {v.name: v for v in (*ablations.TUNED, *ablations.TABLE2E)}
    assert all(declared[v.name] is v for v in qualitative.VARIANTS)
    assert {v.name for v in qualitative.VARIANTS} == {"single", "coarse", "both", "printed/coarse", "printed/both"}


def test_several_labels_a_video_are_refused(monkeypatch):
    data = SimpleNamespace(classes=("a", "b"), root=None, drawn=False)
    clips = SimpleNamespace(manifest=SimpleNamespace(multi_label=True))
    monkeypatch.setattr(qualitative.study, "job", lambda profile, variant, seed: SimpleNamespace(data=data))
    monkeypatch.setattr(qualitative, "load_clips", lambda profile, data, split: clips)
    with pytest.raises(ConfigError, match="has several labels a video"):
        STUDY.measure(tiny.profile())


# --- figures and page ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record():
    """Of three drawn videos that every figure shows."""
    rng = np.random.default_rng(0)

    def share(*s):
        x = rng.random(s)
        return (x / x.sum()).tolist()

    videos, figures = {}, {f: [] for f in ("fig1", "fig2", "fig5", "fig6", "fig9", "fig10")}
    classes = ["long jump", "clean and jerk", "deadlifting", "high jump", "pull ups", "snatch weight lifting"]
    for i, c in enumerate(classes[:3]):
        irrelevant = [["hop", 7, False], ["handstand", 1, False], ["barbell_squat", 1, False], ["run_pole", 1, False]]
        segments = [*irrelevant, *([a, 5, True] for a, _ in qualitative.ACTIVITIES[c])]
        n = sum(s[1] for s in segments)
        videos[f"val/{i}.mp4"] = {
            "dataset": "storyboard-kinetics",
            "path": f"val/{i}.mp4",
            "class": c,
            "frames": n,
            "indices": val_indices(n, 8).tolist(),
            "irrelevant": 10 / n,
            "segments": segments,
            "jpeg": [base64.b64encode(jpeg(8 * i + k)).decode() for k in range(8)],
            "importance": {m: share(8) for m in qualitative.GRANULARITIES},
            "heat": {m: share(8, 4, 4) for m in qualitative.HEATS},
            "probabilities": {m: share(6) for m in qualitative.ASKED},
        }
        for f in figures:
            figures[f].append(f"val/{i}.mp4")
    rows, contrasts = [], []
    for which, n in (("shown", 9), ("all", 12)):
        for m, p, right in (("single", 50.0, 5), ("coarse", 60.0, 6), ("printed/coarse", 45.0, 4)):
            about = {"seeds": 1, "videos": n, "trained": ["head"], "setting": {"classes": which}}
            rows.append(Row("fig5", m, m.capitalize(), "probability", p, p - 9, p + 9, **about))
            rows.append(Row("fig5", m, m.capitalize(), "top1", p, p - 9, p + 9, more={"right": right}, **about))
        for m, low, mean, high, higher in (("coarse", -2.0, 10.0, 22.0, 4), ("printed/coarse", -9.0, -5.0, -1.0, 3)):
            more = {"setting": {"classes": which}, "more": {"higher": higher, "videos": n}}
            verdict = "undecided" if m == "coarse" else "does not hold"
            contrasts.append(Contrast(m, "single", mean, low, high, verdict, "fig5", "probability", **more))
    extra = {
        "classes": classes,
        "drawn": True,
        "crop": [64, 73],
        "temperature": {"both": 0.07},
        "ambiguity": {"by": "true overlap", "of": dict.fromkeys(classes, 1.0)},
        "shapes": heatmaps.shapes(tiny.model("sfar"), torch.zeros(1, 3, 3, tiny.SIZE, tiny.SIZE)),
        "figures": figures,
        "videos": videos,
    }
    data = {"train_clips": 9, "val_videos": 12, "classes": 6, "undecodable": {}, "missing": []}
    made = {"command": "make x", "revision": "r", "hardware": "h", "date": "d"}
    made["config"] = {group: {} for group in ("model", "train", "data")}
    return Record("qualitative", "storyboard", "0", [0], data, rows, contrasts, [], extra, made)


def test_files_agree_with_the_record(record, tmp_path):
    files = {f.name for f in page.write(STUDY, record, tmp_path)}
    assert files == {f"qualitative.{e}" for e in ("csv", "md", "tex", "json")} | {f"{f}.png" for f in FIGURES}
    assert json.loads((tmp_path / "qualitative.json").read_text()) == record.to_json()
    text = (tmp_path / "qualitative.md").read_text()
    for block in STUDY.blocks:
        if isinstance(block, Drawn):
            assert f"]({block.stem}.png)" in text
        elif block.id and block.id != "provenance":
            assert str(page.show(STUDY, record, block.id)) in text
    assert all(f"Chosen by rule: {rule}." in text for rule in qualitative.RULES.values())
    lines = list(csv.DictReader(io.StringIO((tmp_path / "qualitative.csv").read_text())))
    assert len(lines) == len(record.rows) + len(record.contrasts)
    latex = (tmp_path / "qualitative.tex").read_text()
    first = record.extra["videos"]["val/0.mp4"]["importance"]["fine"]
    assert " & ".join(["long jump", "Fine", *(f"{100 * a:.1f}" for a in first)]) in latex


def test_the_importance_on_frames_of_the_action_is_added_up(record):
    v = record.extra["videos"]["val/0.mp4"]
    on = sum(a for a, i in zip(v["importance"]["fine"], v["indices"], strict=True) if i >= 10)
    (row,) = [r for r in qualitative.importance_table(record).rows if r[:2] == ["long jump", "Fine"]]
    assert row[-1] == f"{100 * on:.0f} %"
    assert [str(cell).endswith("*") for cell in row[2:-1]] == [i >= 10 for i in v["indices"]]


def test_what_the_page_says_of_all_videos(record):
    assert "Over all 12 videos (one seed)" in qualitative.fig5_text(record)
    assert "from coarse on 4, coarse, as printed on 3." in qualitative.fig5_text(record)
    assert qualitative.compared_table(record).rows[3:] == [
        ["all classes", 12, "Single", "50.0 (41.0 to 59.0)", None, None, 5],
        ["all classes", 12, "Coarse", "60.0 (51.0 to 69.0)", "+10.0 (-2.0 to +22.0)", "4 of 12", 6],
        ["all classes", 12, "Coarse, as printed", "45.0 (36.0 to 54.0)", "-5.0 (-9.0 to -1.0)", "3 of 12", 4],
    ]


def test_the_captions_numbers(record):
    """Of each video the share that is asked for, in the storyboard by hand: 5 frames of each action, 10 irrelevant."""
    rows = qualitative.captions_table(record).rows
    total = record.extra["videos"]["val/0.mp4"]["frames"]
    assert rows[0][2:] == ["43 %", f"{500 / total:.0f} % (sprint)"], "of equal shares the first"
    assert rows[1][2:] == ["22 %", f"{500 / total:.0f} % (flight legs)"]
    assert rows[2][3].startswith(f"{1000 / total:.0f} % (long jump), ")
    importance = record.extra["videos"]["val/1.mp4"]["importance"]
    for row, lead in zip(rows[3:], ("", "printed/"), strict=True):
        at = int(np.argmax(importance[f"{lead}fine"]))
        fine, coarse = (f"{100 * importance[lead + m][at]:.0f} %" for m in ("fine", "coarse"))
        assert row[2:] == ["23 % and 9 %", f"{fine} and {coarse} (frame {at + 1})"]
        assert ("as printed" in row[1]) == bool(lead)


def test_the_true_class_comes_first(record):
    v = record.extra["videos"]["val/1.mp4"]
    top = qualitative.top_classes(record, v)
    assert len(top) == 5
    assert top[0][0] == "clean and jerk"
    p = v["probabilities"]
    greatest = [
        max(p[m][i] for m in qualitative.ASKED) for i in map(record.extra["classes"].index, (c for c, _ in top[1:]))
    ]
    assert greatest == sorted(greatest, reverse=True)


def test_heat_maps_hold_what_they_should(record):
    fig = page.show(STUDY, record, "fig2-figure")
    images = [ax.images[0].get_array() for ax in fig.axes if ax.images and ax.images[0].get_array().ndim == 3]
    assert len(images) == 3 * 8
    assert all(a.shape == (96, 4 * (128 + frames.GAP) - frames.GAP, 3) for a in images)
    heat = record.extra["videos"]["val/0.mp4"]["heat"]["single"]
    first = next(ax for ax in fig.axes if ax.get_ylabel() == "(b) Single")
    assert [t.get_text() for t in first.texts[:4]] == [f"{100 * np.sum(heat[i]):.0f} %" for i in (0, 2, 4, 6)]
    last = next(ax for ax in fig.axes if ax.get_ylabel() == "(h) Fused,\nas printed")
    heat = record.extra["videos"]["val/0.mp4"]["heat"]["printed/fused"]
    assert [t.get_text() for t in last.texts[:4]] == [f"{100 * np.sum(heat[i]):.0f} %" for i in (0, 2, 4, 6)]


SHAPES = ((96, 128), (128, 96), (72, 160), (64, 64))  # height, width


@pytest.mark.parametrize("figure", ["fig1", "fig2", "fig5", "fig6", "fig9", "fig10"])
def test_each_video_keeps_its_own_shape(record, figure):
    """Of videos of several shapes in one figure each is shown as wide and as high as its frames are."""
    mixed = copy.deepcopy(record)
    for (path, v), (h, w) in zip(mixed.extra["videos"].items(), SHAPES, strict=False):
        v["jpeg"] = [base64.b64encode(jpeg(k, h, w)).decode() for k in range(8)]
        assert path in mixed.extra["figures"][figure]
    fig = page.show(STUDY, mixed, f"{figure}-figure")
    shown = []
    for ax in fig.axes:
        if ax.images and ax.images[0].get_array().ndim == 3:
            height, width = ax.images[0].get_array().shape[:2]
            box = ax.get_window_extent()
            assert box.width / box.height == pytest.approx(width / height, rel=1e-3)
            shown.append((height, width))
    heights = {"fig5": 2, "fig2": 8, "fig9": 8, "fig10": 8}.get(figure, 1)
    assert [h for h, _ in shown] == [h for h, _ in SHAPES[:3] for _ in range(heights)]
    pick = {"fig1": 8, "fig6": 8}.get(figure, 4)
    assert [w for _, w in shown] == [
        pick * (w + frames.GAP) - frames.GAP for _, w in SHAPES[:3] for _ in range(heights)
    ]


def test_numbers_stand_in_the_cells(record):
    """Of Figure 6 above their frames, of Figure 5 beside their class."""
    cells = [ax for ax in page.show(STUDY, record, "fig6-figure").axes if len(ax.texts) == 40]
    assert len(cells) == 3
    importance = record.extra["videos"]["val/0.mp4"]["importance"]
    expected = [f"{100 * a:.0f}" for m in qualitative.GRANULARITIES for a in importance[m]]
    assert [t.get_text() for t in cells[0].texts] == expected
    strip = [ax for ax in page.show(STUDY, record, "fig6-figure").axes if ax.images]
    assert cells[0].get_position().x0 == pytest.approx(strip[0].get_position().x0)
    assert cells[0].get_position().width == pytest.approx(strip[0].get_position().width)

    cells = [ax for ax in page.show(STUDY, record, "fig5-figure").axes if len(ax.texts) == 15]
    assert len(cells) == 3
    top = qualitative.top_classes(record, record.extra["videos"]["val/0.mp4"])
    assert [t.get_text() for t in cells[0].texts] == [f"{100 * p[m]:.1f}" for _, p in top for m in qualitative.ASKED]
    names = [t.get_text() for t in cells[0].get_yticklabels()]
    assert names == ["long jump (true)", *(c for c, _ in top[1:])]


def test_figure_3_names_the_shapes_of_the_pass(record):
    shown = " ".join(t.get_text() for t in page.show(STUDY, record, "fig3-figure").axes[0].texts)
    assert "1 × 3 × 3 × 32 × 32" in shown
    assert "3 × 17 × 32" in shown


@pytest.mark.parametrize("figure", FIGURES)
def test_words_and_pictures_of_a_figure_do_not_overlap(record, figure):
    """Labels around the axes: titles, rows, numbers at the right, labels below a storyboard."""
    fig = page.show(STUDY, record, f"{figure}-figure")
    fig.canvas.draw()
    pictures = [(ax, ax.get_window_extent()) for ax in fig.axes if ax.images]
    boxes = []
    for ax in fig.axes:
        words = [ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]
        words += [*ax.texts, *([*ax.get_xticklabels(), *ax.get_yticklabels()] if ax.axison else [])]
        for t in words:
            if t.get_text() and t.get_visible():
                # The height of a line of text is greater than what its letters take up.
                boxes.append((t.get_text(), t.get_window_extent().shrunk(0.98, 0.7)))
                assert not any(p is not ax and b.overlaps(boxes[-1][1]) for p, b in pictures), t.get_text()
    assert boxes
    for i, (text, a) in enumerate(boxes):
        assert not [other for other, b in boxes[:i] if a.overlaps(b)], text
    for i, (_, a) in enumerate(pictures):
        assert not any(a.overlaps(b) for _, b in pictures[:i])


@pytest.fixture
def unsaved(monkeypatch):
    """Figures are drawn; that each is saved is seen above."""
    monkeypatch.setattr(page.style, "save", lambda figure, path: [path])


@pytest.mark.usefixtures("unsaved")
def test_without_the_truth_its_parts_are_said_to_be_absent(record, tmp_path):
    real = copy.deepcopy(record)
    del real.extra["figures"]["fig1"], real.extra["figures"]["fig10"]
    real.extra["drawn"] = False
    for v in real.extra["videos"].values():
        del v["segments"], v["irrelevant"]
    files = {f.name for f in page.write(STUDY, real, tmp_path)}
    assert "fig2.png" in files
    assert not files & {"fig1.png", "fig10.png"}
    text = (tmp_path / "qualitative.md").read_text()
    assert qualitative.NO_TRUTH in text
    assert qualitative.NO_UNSEEN in text
    assert "fig1.png" not in text
    assert page.show(STUDY, real, "fig1-figure") is None
    assert "*" not in "".join(map(str, qualitative.importance_table(real).rows[0]))


@pytest.mark.usefixtures("unsaved")
def test_without_the_named_classes_their_figures_are_said_to_be_absent(record, tmp_path):
    bare = copy.deepcopy(record)
    for f in ("fig1", "fig2", "fig6"):
        bare.extra["figures"][f] = []
    files = {f.name for f in page.write(STUDY, bare, tmp_path)}
    assert {"fig3.png", "fig5.png", "fig9.png"} <= files
    assert not files & {"fig1.png", "fig2.png", "fig6.png", "qualitative.tex"}
    assert (tmp_path / "qualitative.md").read_text().count(qualitative.NO_CLASS) == 2


def test_items_and_targets():
    assert STUDY.target == "fig2"
    assert [i.key for i in STUDY.covers] == ["fig2", "fig1", "fig3", "fig5", "fig6", "fig9", "fig10"]
    assert studies.load("qualitative") is STUDY
    assert {i.key for i in STUDY.covers} == {b.stem for b in STUDY.blocks if isinstance(b, Drawn)}
