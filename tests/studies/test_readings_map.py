"""The map of readings on made-up runs: which runs it takes, its patterns, its counts, its sentence and its figure."""

import zlib
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sfar.config import CHOSEN, PRESETS, get_profile
from sfar.errors import ConfigError
from sfar.studies import readings_map
from sfar.studies.core import page, study
from sfar.studies.readings_map import BY_ID, CHOSEN_KIND, KINDS, PATTERNS, READINGS, STUDY, TEMPERATURES

PROFILE = get_profile("storyboard")
VIDEOS = {"storyboard-kinetics": 60, "storyboard-ucf101": 40, "storyboard-hmdb51": 40, "storyboard-charades": 30}
CLASSES = 8
POSITIVE = np.random.default_rng(5).random((VIDEOS["storyboard-charades"], CLASSES)) < 0.3
RANKS = {"vanilla": 2.0, "temporal": 2.3, "single": 2.6}


def skill(v, p):
    """The chosen kind beats all rivals, the others none; coarse beats fine, N = 4 beats N = 2."""
    if v.method in RANKS:
        return RANKS[v.method]
    m = p.model
    chosen = all(getattr(m, k.removeprefix("model.")) == x for k, x in PRESETS[CHOSEN].items())
    good = chosen and v.method == "sfar" and m.frame_temperature is None
    out = 9.0 if good else 1.6
    return out - 3.0 * (not m.coarse) - 1.5 * (not m.fine) - 2.0 * (m.n_subtexts == 2)


def labelled(seed, name, strength, n):
    """Labels and scores of ``n`` videos; ease of the videos is the same for all."""
    labels = np.arange(n) % CLASSES
    ease = np.random.default_rng(7).normal(size=n)
    z = np.random.default_rng([seed, zlib.crc32(name.encode())]).normal(size=(n, CLASSES))
    z[np.arange(n), labels] += 0.4 * strength - 0.6 + 0.3 * ease
    return labels, z


def result(v, p, s, strength):
    """One run in the shape of ``runs.run.record``."""
    n = VIDEOS[p.data.dataset]
    trained = v.method != "vanilla"
    base = {
        "method": v.method,
        "seed": s if trained else 0,
        "trained": ["head", "logit_scale"] if trained else [],
        "training": {"clips": 200, "repeats": 1, "bad": {}} if trained else None,
        "classes": ["a"] * CLASSES,
        "bad": {},
        "missing": [],
        "temperature": p.model.frame_temperature or 0.0678,
        "seconds": 1.0,
        "zero_shot": {},
    }
    if p.data.dataset == "storyboard-charades":
        scores = np.random.default_rng([s, zlib.crc32(v.name.encode())]).normal(size=POSITIVE.shape)
        view = {"scores": (scores + 0.4 * strength * POSITIVE).tolist()}
        view["sets"] = [np.flatnonzero(r).tolist() for r in POSITIVE]
        return base | {"labels": [0] * n, "views": {"1x1": view}}
    labels, z = labelled(s, v.name, strength, n)
    own = z[np.arange(n), labels][:, None]
    base |= {"labels": labels.tolist(), "views": {"1x1": {"ranks": ((z >= own).sum(1) - 1).tolist()}}}
    if v.zero_shot:
        for name in study.UNSEEN:
            other, scores = labelled(s, v.name + name, strength, VIDEOS[name])
            base["zero_shot"][name] = {"scores": scores.tolist(), "labels": other.tolist()}
    return base


def made_up(strength=skill):
    def run(base, variants, workers=None, desc="", most=None):
        out = {}
        for v in variants:
            assert v.name not in out
            p = v.profile(base, 0)
            out[v.name] = [result(v, p, s, strength(v, p)) for s in study.seeds_of(base, v, most)]
        return out

    return run


def measured(module, strength, profile=PROFILE):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "run", made_up(strength))
        return module.STUDY.measure(profile)


@pytest.fixture(scope="module")
def record():
    return measured(readings_map, skill)


# --- what is run -----------------------------------------------------------------------------------------------------


def test_readings_are_kinds_by_temperatures():
    swept = [(r.kind, r.temperature) for r in READINGS if readings_map._swept(r)]
    own = {k: TEMPERATURES[:1] if k in ("printed-context", "context") else TEMPERATURES for k in KINDS}
    assert swept == [(k, t) for k, each in own.items() for t in each] and len(READINGS) == 14
    assert CHOSEN_KIND == "raw" and len(own[CHOSEN_KIND]) == 3
    made = {r.id: r for r in READINGS}
    assert made["printed/1"].method == "sfar-printed" and made[f"{CHOSEN_KIND}/sum"].method == "sfar"
    assert {r.id for r in READINGS if r.tuned} == {"reported/printed", "reported/chosen"}


def test_each_reading_is_what_its_name_says():
    for v in readings_map.variants(PROFILE):
        reading = BY_ID.get(v.name.rpartition("/")[0])
        p = v.profile(PROFILE, 3)
        assert v.method == "vanilla" or not p.train.train_visual
        if reading is None:
            continue
        _, residual, layers, unit = KINDS[reading.kind]
        if v.method == "sfar" and not reading.tuned:
            assert (p.model.ffn_residual, p.model.context_layers, p.model.frame_norm) == (residual, layers, unit)
            assert p.model.frame_temperature == reading.temperature
        what = v.name.rpartition("/")[2]
        assert v.tuned == reading.tuned and v.zero_shot == (what == "both")
        assert p.data.shots == (2 if what == "few-shot" else 0)
        assert p.data.replicate == 3
        assert (p.model.coarse, p.model.fine) == (what != "fine", what != "coarse")
        assert p.model.n_subtexts == (2 if what == "n2" else 4)


def test_the_first_seeds_of_a_frozen_tower_are_taken():
    every = readings_map.variants(PROFILE)
    assert {len(study.seeds_of(PROFILE, v)) for v in every if v.method != "vanilla"} == {20}
    assert study.seeds_of(PROFILE, every[0]) == PROFILE.frozen_seeds
    assert study.seeds_of(PROFILE, every[0], readings_map.MOST) == PROFILE.frozen_seeds[: readings_map.MOST]
    tuned = study.Variant("x", "x", "sfar")
    assert study.seeds_of(PROFILE, tuned, 2) == PROFILE.seeds, "a fine-tuned tower keeps its seeds"


def test_it_is_of_the_storyboard_world():
    with pytest.raises(ConfigError, match="storyboard world alone"):
        STUDY.check(get_profile("paper", {"data.root": "/x"}))


# --- the record ------------------------------------------------------------------------------------------------------


def test_every_reading_has_every_pattern(record):
    found = [(c.row, c.setting["pattern"]) for c in record.contrasts]
    assert found == [(r.id, p.id) for r in READINGS for p in PATTERNS]
    assert record.seeds == [0, 1, 2, 3, 4] and all(c.seeds == 5 for c in record.contrasts)
    values = {(r.row, r.setting["of"]): r.mean for r in record.rows}
    for c in record.contrasts:
        p = next(p for p in PATTERNS if p.id == c.setting["pattern"])
        if p.against == "vanilla":
            assert c.mean == pytest.approx(values[c.row, p.of] - values["vanilla", p.of], abs=1e-3)


def test_what_the_paper_prints():
    printed = {p.id: p.printed for p in PATTERNS}
    assert printed["single"] == "+1.3" and printed["temporal"] == "+4.2" and printed["coarse"] == "+1.0"
    assert printed["fine"] == "+1.8" and printed["coarse-fine"] == "+0.8" and printed["few-shot"] == "+22.1"


def test_counts_and_the_sentence_name_the_reading_that_reproduces_most(record):
    found = readings_map.counts(record)
    assert found[f"{CHOSEN_KIND}/1 / logit scale"] >= 8 > found["printed/1"]
    assert record.extra["temperature"] == 0.0678, "of a head that no temperature was given to"
    text = readings_map.finding(record)
    assert f"{max(found.values())} of {len(PATTERNS)} patterns hold in" in text
    assert "are contradicted in" in text
    best, mean = readings_map.best_temperature(record, (CHOSEN_KIND,))
    assert best is None and max(mean, key=mean.get) == "1 / logit scale" and "0.0678 here" in text


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [
        ({}, "does not hold"),
        ({"residual/1": "holds"}, "holds"),
        ({"residual/1": "undecided"}, "undecided"),
        ({"residual/1": "equal", "raw/1": "undecided"}, "undecided"),
        ({"residual/1": "equal"}, "equal"),
    ],
)
def test_the_claim_asks_for_one_reading_in_which_all_hold(record, verdicts, overall):
    """Elsewhere one pattern of each reading is against it."""
    contrasts = []
    for c in record.contrasts:
        of = verdicts.get(c.row, "does not hold") if c.setting["pattern"] == "fine" else "holds"
        contrasts.append(replace(c, verdict=of, p=1e-6))
    d = readings_map.all_hold(replace(record, contrasts=contrasts))
    assert d.verdict == overall and (d.p == pytest.approx(14e-6) if overall == "holds" else d.p <= 1)
    assert d.shown.row in verdicts or not verdicts


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_blocks_of_the_page(record):
    text = page.markdown(STUDY, record)
    table = str(page.show(STUDY, record, "map"))
    assert table.count("\n") == len(READINGS) + 1 and "▲" in table and "nan" not in text
    assert page.show(STUDY, record, "finding") in text and "**" not in table
    assert all(p.title in str(page.show(STUDY, record, "patterns")) for p in PATTERNS)
    assert str(page.show(STUDY, record, "values")).count("\n") == len(READINGS) + 2


def test_the_figure_shows_every_difference(record):
    figure = readings_map.figure(record)
    figure.canvas.draw()
    shown = [t.get_text() for t in figure.axes[0].texts]
    for c in record.contrasts:
        assert f"{c.mean:+z.1f}".replace("-", "−") in shown
    assert figure.get_size_inches()[0] == 7.4
    plt.close(figure)
