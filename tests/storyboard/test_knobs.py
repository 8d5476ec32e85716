"""The knobs of the storyboard world: the plain world is what it was, and each knob turns what it says and no more."""

import collections
import dataclasses
import hashlib
import itertools
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from sfar.cli.main import main
from sfar.config import SETTINGS, DataConfig, digest, get_profile, turned_knobs, values, which_data
from sfar.data import source
from sfar.errors import ConfigError
from sfar.runs.job import Job
from sfar.storyboard import knobs, sets, world
from sfar.storyboard.knobs import PLAIN, RANGES, Knobs
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.scripts import ACTIVITIES, HMDB, KINETICS, UCF
from sfar.storyboard.write import truth, write_kinetics
from sfar.studies.core import record
from sfar.studies.core.degrees import true_ambiguity
from sfar.util import cache, paths

DAY = (*UCF, *HMDB)  # classes of the Charades-like set
SOME = [
    Knobs(irrelevant=0.0),
    Knobs(irrelevant=0.9),
    Knobs(overlap=0.3),
    Knobs(overlap=1),
    Knobs(evenness=0.0),
    Knobs(evenness=1.0),
    Knobs(momentary=1),
    Knobs(momentary=8),
    Knobs(actions=2),
    Knobs(actions=6),
    Knobs(0.9, 0.5, 0.2, 8, 6),
]


def board(activity, index, k=PLAIN, seed=31):
    return world.draw_storyboard(activity, world.video_rng(seed, activity, index), k)


def told(b):
    return [b.activity, b.fps, [[s.action, s.frames, s.relevant] for s in b.segments]]


def own(b):
    """Actions and frames of the script, whatever stands between."""
    return [(s.action, s.frames) for s in b.segments if s.relevant]


def sequence(index, k=PLAIN):
    """A storyboard of the Charades-like set; every seventh shows no activity."""
    first = None if index % 7 == 0 else DAY[index % len(DAY)]
    return sets.draw_sequence(world.video_rng(31, "charades/val", index), first, DAY, k)


# --- the plain world -----------------------------------------------------------------------------------------------


def test_the_plain_world_is_what_it_was():
    """Storyboards and frames against values of revision 5a1ea01, which had no knobs."""
    for k in (PLAIN, Knobs(None, 0, None, None, None)):
        boards = [told(board(c, i, k)) for c in ACTIVITIES for i in range(20)]
        assert digest(boards) == "07d839832fcef306"
        assert digest([[told(b), a] for b, a in (sequence(i, k) for i in range(60))]) == "d6ae914951331c3a"
        rng = world.video_rng(31, "triple jump", 3)
        frames = world.render_storyboard(world.draw_storyboard("triple jump", rng, k), rng, (64, 48))
        assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == "b12271af614331d3"
    assert boards == [told(world.draw_storyboard(c, world.video_rng(31, c, i))) for c in ACTIVITIES for i in range(20)]
    assert all(knobs.script(c) == s for c, s in ACTIVITIES.items())


def test_the_plain_truth_is_what_it_was(tmp_path):
    """To the byte, as of revision 5a1ea01; what a turned world adds is not in it."""
    write_kinetics(tmp_path / "k", 31, 1, 1, ("long jump", "hop"), workers=1, knobs=Knobs())
    raw = (tmp_path / "k" / "truth.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest()[:16] == "59ff01f50686a6e1" and set(json.loads(raw)) == {"seed", "videos"}


def test_the_plain_world_has_the_keys_that_it_had(monkeypatch):
    """Versions of code aside: a knob is an input where it is turned, and nowhere else."""
    asked = []
    monkeypatch.setattr(cache, "key", lambda stage, inputs, **k: asked.append((stage, inputs)) or "k")
    monkeypatch.setattr(cache, "folder", lambda *a: asked.append("drawn"))
    monkeypatch.setattr(source, "_read", lambda which, root, *a: SimpleNamespace(classes=("c",)))
    for name, stage, plain in (
        ("storyboard-kinetics", "world", [2026, 24, 32]),
        ("storyboard-hmdb51", "sets", [2026, 24, 32, "hmdb51"]),
    ):
        for changes, more in (({}, []), ({"data.world_overlap": 0.5}, [{"overlap": 0.5}])):
            asked.clear()
            data = source.dataset(get_profile("storyboard", {"data.dataset": name, **changes}))
            assert asked == [(stage, plain + more), "drawn", (stage, plain + more)], "the folder's and the fingerprint"
            p = get_profile("storyboard", {"data.dataset": name, **changes})
            kept = Job(p, data, "clip", 0).inputs()["data"], record._config(p)[2]
            found = [{k: v for k, v in d.items() if "world_" in k} for d in kept]
            assert found == [{f"world_{k}": v for m in more for k, v in m.items()}] * 2
    p = get_profile("storyboard")
    assert set(which_data(p.data)) == {
        k.removeprefix("data.") for k in values(p) if k.startswith("data.") and "world_" not in k
    } - {"root", "decode_limit", "loader_workers"}


# --- values --------------------------------------------------------------------------------------------------------


def test_fields_and_knobs_are_the_same():
    fields = {k.removeprefix("data.world_"): s for k, s in SETTINGS.items() if k.startswith("data.world_")}
    assert list(fields) == list(RANGES) == [f.name for f in dataclasses.fields(Knobs)]
    for name, s in fields.items():
        assert (s.low, s.high) == RANGES[name] and s.role == "drawn" and s.kind is type(RANGES[name][0])
        assert s.optional == (name != "overlap") and getattr(DataConfig(), f"world_{name}") == getattr(PLAIN, name)
    turned = {"irrelevant": 0.25, "overlap": 0.5, "evenness": 0.0, "momentary": 2, "actions": 3}
    p = get_profile("storyboard", {f"data.world_{k}": v for k, v in turned.items()})
    assert (
        turned_knobs(p.data) == turned == source.knobs_of(p).turned
        and not source.knobs_of(get_profile("storyboard")).turned
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("irrelevant", -0.1),
        ("irrelevant", 0.91),
        ("irrelevant", math.nan),
        ("irrelevant", "0.5"),
        ("overlap", 1.1),
        ("overlap", None),
        ("evenness", math.inf),
        ("evenness", True),
        ("momentary", 0),
        ("momentary", 9),
        ("momentary", 2.0),
        ("actions", 1),
        ("actions", 7),
    ],
)
def test_a_value_out_of_range_is_refused(name, value):
    low, high = RANGES[name]
    with pytest.raises(ConfigError, match=rf"knob '{name}'.*from {low} to {high}, got .*leave it out"):
        Knobs(**{name: value})
    with pytest.raises(ConfigError, match=f"data.world_{name}"):
        get_profile("storyboard", {f"data.world_{name}": value})


@pytest.mark.parametrize("changes", [{"data.root": "/data"}, {"data.dataset": "ucf101"}])
def test_real_videos_have_no_knobs(changes):
    with pytest.raises(ConfigError, match=r"'data\.world_actions'.*leave it out"):
        get_profile("storyboard", {"data.world_actions": 3, **changes})


# --- every knob ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", SOME, ids=str)
def test_storyboards_add_up(k):
    for activity in ACTIVITIES:
        adds_up(activity, k)


def adds_up(activity, k):
    script = knobs.script(activity, k)
    assert sum(share for _, share in script) == pytest.approx(1) and all(share > 0 for _, share in script)
    assert all(a != b for (a, _), (b, _) in itertools.pairwise(script))
    for index in range(12):
        b, plain = board(activity, index, k), board(activity, index)
        assert b.activity == activity and b.fps == plain.fps and all(s.frames >= 1 for s in b.segments)
        assert [a for a, _ in own(b)] == [a for a, _ in script], "every action, in order"
        assert not {s.action for s in b.segments if not s.relevant} & {a for a, _ in (*script, *ACTIVITIES[activity])}
        assert {s.action for s in b.segments} <= set(ACTIONS)
        needed = math.ceil((knobs.least(activity, k) + 0.5) / (1 - b.irrelevant)) + 2
        assert plain.frames <= b.frames <= max(plain.frames, needed), "longer only where its script needs it"
        if k.irrelevant is None and b.frames == plain.frames:
            assert b.irrelevant == plain.irrelevant
        assert b == board(activity, index, k)


@pytest.mark.parametrize("k", SOME, ids=str)
def test_the_same_person_in_the_same_place(k):
    """The generator is left where the plain world leaves it, so that the frames begin alike."""
    states = []
    for turned in (PLAIN, k):
        rng = world.video_rng(5, "pole vault", 4)
        world.draw_storyboard("pole vault", rng, turned)
        states.append(rng.bit_generator.state)
    assert states[0] == states[1]


@pytest.mark.parametrize("k", SOME, ids=str)
def test_sequences_add_up(k):
    for index in range(21):
        b, activities = sequence(index, k)
        plain, before = sequence(index)
        assert [name for name, _, _ in activities] == [name for name, _, _ in before]
        labels, relevant = b.labels(), np.repeat([s.relevant for s in b.segments], [s.frames for s in b.segments])
        assert all(s.frames >= 1 for s in b.segments) and (b.fps, b.activity) == (plain.fps, plain.activity)
        for (name, start, end), (_, first, last) in zip(activities, before, strict=True):
            assert relevant[start:end].all() and set(labels[start:end]) == {a for a, _ in knobs.script(name, k)}
            assert end - start == max(last - first, knobs.least(name, k))
        assert relevant.sum() == sum(end - start for _, start, end in activities)
        if k.irrelevant is not None and activities:
            assert abs(len(relevant) - relevant.sum() - k.irrelevant * b.frames) <= 0.5 + 1e-9


# --- one by one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.9])
def test_irrelevant(share):
    """To the nearest frame; where a video keeps its length, all else is as at any other share."""
    for activity in ("long jump", "deadlifting", "cook"):
        for index in range(60):
            b = board(activity, index, Knobs(irrelevant=share))
            assert abs(b.irrelevant - share) * b.frames <= 0.5 + 1e-9
    for index in range(20):
        b, plain = board("pull ups", index, Knobs(irrelevant=share)), board("pull ups", index)
        assert b.frames == plain.frames and [a for a, _ in own(b)] == [a for a, _ in own(plain)]


def test_overlap_is_that_of_partners():
    pairs = {c: knobs.partner(c) for c in ACTIVITIES}
    assert pairs["long jump"] is None and pairs["triple jump"] == "long jump" and pairs["fall floor"] == "hop"
    assert pairs["making pizza"] == pairs["baking cookies"] == "juggling soccer ball", "25 classes"
    assert all((p is None or pairs[p] is None) and (p in KINETICS) == (c in KINETICS) for c, p in pairs.items() if p)
    for c, p in pairs.items():
        for share in (0.0, 0.25, 0.5, 0.99):
            script = knobs.script(c, Knobs(overlap=share))
            if p is None:
                assert script == ACTIVITIES[c]
                continue
            for at in np.linspace(0.001, 0.999, 97):
                expected = ACTIVITIES[p if at < share else c]
                if abs(at - share) > 1e-6:
                    assert shown(script, at) == shown(expected, at)
        assert p is None or knobs.script(c, Knobs(overlap=1)) == ACTIVITIES[p]
    for of, groups in ((KINETICS, 12), (UCF, 5), (HMDB, 5)):
        assert len({knobs.script(c, Knobs(overlap=1)) for c in of}) == groups
        ambiguity = [
            true_ambiguity({c: knobs.script(c, Knobs(overlap=o)) for c in of})["overlap"].mean() for o in (0, 0.5, 1)
        ]
        assert ambiguity == sorted(ambiguity) and ambiguity[-1] == pytest.approx(1) and ambiguity[0] < ambiguity[1]


def shown(script, at):
    """The action at a point of a script's time."""
    ends = np.cumsum([share for _, share in script])
    return script[min(int(np.searchsorted(ends, at)), len(script) - 1)][0]


def test_evenness():
    for activity, script in ACTIVITIES.items():
        spread = []
        for e in (0.0, 0.25, 0.5, 1.0):
            found = knobs.script(activity, Knobs(evenness=e))
            assert [a for a, _ in found] == [a for a, _ in script]
            assert [s for _, s in found] == pytest.approx([(1 - e) * s + e / len(script) for _, s in script])
            spread.append(
                np.mean([np.ptp([n for _, n in own(board(activity, i, Knobs(evenness=e)))]) for i in range(40)])
            )
        assert spread[-1] <= 1 and min(spread[:3]) > spread[-1]
        assert all(np.ptp([n for _, n in own(board(activity, i, Knobs(evenness=1)))]) <= 1 for i in range(40))
        for i in range(20):  # what does not belong to the script stays
            b, plain = board(activity, i, Knobs(evenness=0.5)), board(activity, i)
            assert [s for s in b.segments if not s.relevant] == [s for s in plain.segments if not s.relevant]


@pytest.mark.parametrize("frames", [1, 2, 4, 8])
def test_momentary(frames):
    for activity, script in ACTIVITIES.items():
        shortest = min(range(len(script)), key=lambda i: script[i][1])
        for index in range(20):
            b, plain = board(activity, index, Knobs(momentary=frames)), board(activity, index)
            assert own(b)[shortest][1] == frames and [a for a, _ in own(b)] == [a for a, _ in script]
            if b.frames == plain.frames:
                assert [s for s in b.segments if not s.relevant] == [s for s in plain.segments if not s.relevant]


@pytest.mark.parametrize("n", range(2, 7))
def test_actions(n):
    for of in (KINETICS, UCF, HMDB):
        scripts = {c: knobs.script(c, Knobs(actions=n)) for c in of}
        assert len({frozenset(a for a, _ in s) for s in scripts.values()}) == len(of), "no two classes are the same"
        for c, s in scripts.items():
            names, before = [a for a, _ in s], [a for a, _ in of[c]]
            assert len(names) == len(set(names)) == n and "stand" not in names
            if len(before) >= n:
                assert names == [a for a in before if a in names]
                kept = dict(of[c])
                scale = sum(kept[a] for a in names)
                assert [share for _, share in s] == pytest.approx([kept[a] / scale for a in names])
            else:
                assert names[: len(before)] == before
            assert len(before) != n or s == of[c]
    uses = collections.Counter(len(s) for s in ACTIVITIES.values())
    assert set(uses) == {2, 3, 4}, "the knob goes beyond them"


# --- files ---------------------------------------------------------------------------------------------------------

ARGS = {"irrelevant": 0.6, "overlap": 0.5, "evenness": 0.2, "momentary": 2, "actions": 3}


def hashes(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".complete"
    }


@pytest.mark.parametrize("layout", ["ucf101", "charades"])
def test_the_command_and_the_configuration_draw_the_same(layout, tmp_path, monkeypatch):
    argv = ["storyboard", "draw", "--layout", layout, "--seed", "7", "--train-per-class", "1", "--val-per-class", "3"]
    few = {"ucf101": ("hop", "dive"), "charades": ("hop", "dive", "cook")}[layout]
    for name in ("write_ucf101", "write_charades"):
        write = getattr(sets, name)
        monkeypatch.setattr(
            sets, name, lambda root, seed, a, b, knobs, w=write: w(root, seed, 1, 5, few, workers=1, knobs=knobs)
        )
    assert main([*argv, "--out", str(tmp_path / "x"), *(f"--{k}={v}" for k, v in ARGS.items())]) == 0
    told = json.loads((tmp_path / "x" / "truth.json").read_text())
    k = Knobs(**ARGS)
    assert told["knobs"] == ARGS and told["scripts"] == {
        c: [list(pair) for pair in knobs.script(c, k)] for c in told["scripts"]
    }
    assert set(told["scripts"]) == set(few)
    for row in truth(tmp_path / "x").values():
        if row.get("labels") != []:
            assert abs(row["irrelevant"] - 0.6) * row["frames"] <= 0.5 + 1e-2

    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    changes = {"data.seed": 7, "data.train_per_class": 1, "data.val_per_class": 3}
    p = get_profile("storyboard", {"data.dataset": f"storyboard-{layout}", **changes})
    turned = get_profile(
        "storyboard",
        {"data.dataset": f"storyboard-{layout}", **changes, **{f"data.world_{k}": v for k, v in ARGS.items()}},
    )
    data, plain = source.dataset(turned), source.dataset(p)
    assert hashes(data.root) == hashes(tmp_path / "x") and data.fingerprint != plain.fingerprint
    assert set(json.loads((plain.root / "truth.json").read_text())) == {"seed", "videos"}


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    out = tmp_path / "x"
    for option, value, limits in (
        ("irrelevant", "0.95", "0 to 0.9"),
        ("overlap", "nan", "0 to 1"),
        ("evenness", "-0.5", "0 to 1"),
        ("momentary", "0", "1 to 8"),
        ("actions", "9", "2 to 6"),
    ):
        assert main(["storyboard", "draw", "--out", str(out), f"--{option}", value]) == 2
        err = capsys.readouterr().err
        assert (
            err.startswith(f"sfar: --{option} {value}: expected a number from {limits};")
            and err.count("\n") == 1
            and not out.exists()
        )
    with pytest.raises(SystemExit) as stop:
        main(["storyboard", "draw", "--out", str(out), "--actions", "two"])
    assert stop.value.code and not out.exists()


# --- the datasheet -------------------------------------------------------------------------------------------------

PAGE = (paths.PROJECT / "docs" / "storyboard.md").read_text(encoding="utf-8")


def test_the_commands_of_the_datasheet_are_understood(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(source, "draw", lambda folder, *a: drawn.append(a))
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^sfar (storyboard draw .*)$", PAGE.replace("\\\n", ""), re.MULTILINE)
    assert [main(line.split()) for line in lines] == [0] * len(lines)
    turned = [a[-1].turned for a in drawn]
    assert turned[0] == {} and turned[-1] == ARGS and {k for t in turned[1:-1] for k in t} == set(RANGES)
    assert all(f"`--{k}`, `data.world_{k}` | {low:g} to {high:g} |" in PAGE for k, (low, high) in RANGES.items())


def test_the_table_of_the_datasheet_is_what_the_scripts_give():
    rows = re.findall(r"^\| (plain|\w+ [\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 10
    for row, *cells in rows:
        name, _, value = row.partition(" ")
        k = Knobs(**{name: json.loads(value)}) if value else PLAIN
        for of, cell in zip((KINETICS, UCF, HMDB), cells, strict=True):
            assert f"{true_ambiguity({c: knobs.script(c, k) for c in of})['overlap'].mean():.2f}" == cell
