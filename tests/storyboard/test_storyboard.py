"""The storyboard world: its scripts have the two properties of the paper, and what is drawn is what is recorded."""

import collections
import csv
import hashlib
import re

import av
import numpy as np
import pytest

from sfar.data.kinetics import read_kinetics
from sfar.data.video import probe, read_all
from sfar.storyboard import captions, knobs, world
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.render import HEIGHT, WIDTH
from sfar.storyboard.scripts import ACTIVITIES, HMDB, KINETICS, UCF
from sfar.storyboard.write import truth, video_id, write_kinetics
from sfar.studies.core.degrees import true_ambiguity
from sfar.subtexts import SubTexts

CLASSES = ("long jump", "baking cookies")
HALF = 0.5  # a share is a whole number of frames: it is met to half a frame


def board(activity, seed=0, index=0):
    return world.draw_storyboard(activity, world.video_rng(seed, activity, index))


def relevance(b):
    """Per frame: does it show an action of the video's own script?"""
    return [s.relevant for s in b.segments for _ in range(s.frames)]


def video(activity, seed=0, index=0, size=(WIDTH, HEIGHT)):
    rng = world.video_rng(seed, activity, index)
    return world.render_storyboard(world.draw_storyboard(activity, rng), rng, size)


# --- scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVITIES)
def test_scripts_are_sound(name):
    assert {a for a, _ in ACTIVITIES[name]} <= set(ACTIONS)
    assert sum(share for _, share in ACTIVITIES[name]) == pytest.approx(1, abs=1e-6)


def test_there_are_enough_of_them():
    assert len(ACTIONS) >= 24 and len(ACTIVITIES) >= 24 and len(KINETICS) >= 20
    assert len(ACTIVITIES) == len(KINETICS) + len(UCF) + len(HMDB), (
        "the label sets of zero-shot and few-shot are disjoint"
    )
    for name, script in ACTIVITIES.items():
        actions = [a for a, _ in script]
        assert 2 <= len(actions) <= 4 and len(set(actions)) == len(actions) and all(share > 0 for _, share in script), (
            name
        )
    assert set(ACTIONS) - {a for s in ACTIVITIES.values() for a, _ in s} == {"stand"}, "which is only ever irrelevant"


def test_no_two_classes_are_the_same():
    assert len({frozenset(a for a, _ in s) for s in KINETICS.values()}) == len(KINETICS), "not even up to durations"


def test_ambiguous_by_construction():
    used = collections.Counter(a for s in KINETICS.values() for a, _ in s)
    assert sum(n >= 2 for n in used.values()) >= 10
    ambiguity = true_ambiguity(KINETICS)["overlap"]
    assert ambiguity.shape == (len(KINETICS),) and ((ambiguity >= 0) & (ambiguity <= 1 + 1e-9)).all()
    for (name, script), found in zip(KINETICS.items(), ambiguity, strict=True):
        others = [dict(s) for c, s in KINETICS.items() if c != name]
        assert found == max(sum(share for a, share in script if a in other) for other in others)
    assert (ambiguity >= 0.5).sum() >= 10 and ambiguity.min() < ambiguity.max()


def test_true_ambiguity_of_a_known_case():
    known = {"a": (("x", 0.7), ("y", 0.3)), "b": (("x", 0.2), ("z", 0.8)), "c": (("w", 1.0),)}
    assert true_ambiguity(known)["overlap"].tolist() == [0.7, 0.2, 0]


def test_non_uniform_by_construction():
    assert sum(any(share <= 0.10 for _, share in s) for s in KINETICS.values()) >= 6, "momentary actions"
    assert sum(max(v for _, v in s) >= 3 * min(v for _, v in s) for s in KINETICS.values()) >= 6, (
        "very unequal durations"
    )


def test_irrelevant_actions_are_foreign_to_the_script():
    for name, script in ACTIVITIES.items():
        pool = knobs.unrelated([name])
        assert set(pool) == set(ACTIONS) - {a for a, _ in script} and len(pool) == len(set(pool))


def test_captions_are_of_one_action():
    """The CLIP could not learn what a caption shared by two actions means; class names are captions too."""
    seen = collections.Counter(p.lower() for a in ACTIONS for p in captions.action_phrases(a))
    assert [p for p, n in seen.items() if n > 1] == []
    assert all(len(captions.action_phrases(a)) >= 3 for a in ACTIONS)
    rng = np.random.default_rng(0)
    assert all("long jump" in captions.activity_caption("long jump", rng) for _ in range(20))
    with pytest.raises(KeyError):
        captions.activity_caption("long jumping", rng)


def test_sub_texts_cover_the_classes():
    assert set(KINETICS) <= set(SubTexts.load("storyboard"))


# --- storyboards ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_storyboards_add_up(activity):
    own = dict(ACTIVITIES[activity])
    for index in range(40):
        b = board(activity, 5, index)
        assert b.activity == activity and b.fps in world.FRAME_RATES
        assert b.frames == sum(s.frames for s in b.segments) == len(b.labels())
        assert 16 <= b.frames <= round(world.SECONDS[1] * max(world.FRAME_RATES))
        assert all(s.frames >= 1 for s in b.segments)
        assert {s.action for s in b.segments if s.relevant} == set(own), "every action of the script is shown"
        assert not {s.action for s in b.segments if not s.relevant} & set(own)
        assert [s.action for s in b.segments if s.relevant] == list(own), "in the order of the script"
        assert b.irrelevant == pytest.approx(1 - np.mean(relevance(b))) and b.irrelevant == pytest.approx(
            np.mean([a not in own for a in b.labels()])
        )
        low, high = world.IRRELEVANT_RANGE
        assert low <= b.irrelevant and b.irrelevant * b.frames <= high * b.frames + HALF


def test_irrelevant_share_spreads_over_its_range():
    shares = np.array([board(a, 6, i).irrelevant for a in KINETICS for i in range(40)])
    assert world.IRRELEVANT_RANGE == (0.0, 0.75)
    assert shares.min() < 0.02 and shares.max() > 0.73 and shares.max() <= 0.75 + HALF / 16
    counts = np.histogram(shares, bins=5, range=(0, 0.75 + HALF / 16))[0] / len(shares)
    assert counts.min() > 0.12 and counts.max() < 0.28, "about evenly"
    means = [np.mean([board(a, 6, i).irrelevant for i in range(60)]) for a in KINETICS]
    assert max(means) - min(means) < 0.25, "the same for every class: it says nothing about the label"


def test_durations_follow_the_script():
    """The share of an action in the relevant frames is about its share in the script, and differs between videos.

    About: shares are rounded down to whole frames and the longest action has what is left, seven points more at most.
    """
    for activity in CLASSES:
        rows = []
        for index in range(120):
            b = board(activity, 7, index)
            shown = collections.Counter(a for a, r in zip(b.labels(), relevance(b), strict=True) if r)
            rows.append([shown[a] / sum(shown.values()) for a, _ in ACTIVITIES[activity]])
        assert np.mean(rows, axis=0) == pytest.approx([s for _, s in ACTIVITIES[activity]], abs=0.09)
        assert np.std(rows, axis=0).min() > 0.01


def test_a_storyboard_follows_from_seed_class_and_index_alone():
    assert board("long jump", 1, 2) == board("long jump", 1, 2)
    others = [board("long jump", 2, 2), board("long jump", 1, 3), board("triple jump", 1, 2)]
    assert all((o.segments, o.fps) != (board("long jump", 1, 2).segments, board("long jump", 1, 2).fps) for o in others)


# --- frames --------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_frames():
    one = video("deadlifting", 3, 1, (64, 48))
    assert one.dtype == np.uint8 and one.shape == (board("deadlifting", 3, 1).frames, 48, 64, 3)
    assert np.array_equal(one, video("deadlifting", 3, 1, (64, 48)))
    for other in (video("deadlifting", 4, 1, (64, 48)), video("deadlifting", 3, 2, (64, 48))):
        n = min(len(one), len(other))
        assert np.abs(one[:n].astype(int) - other[:n]).mean() > 5, "another person, place and time"


def test_frames_move_and_are_not_blank():
    frames = video("pull ups", 3, 0, (64, 48)).astype(int)
    assert frames.std(axis=(1, 2, 3)).min() > 8
    assert np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)).min() > 0.5


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "a"
    write_kinetics(out, 77, 2, 1, CLASSES, workers=1)
    return out


def hashes(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_writing_twice_gives_the_same_bytes(root, tmp_path):
    write_kinetics(tmp_path / "b", 77, 2, 1, CLASSES, workers=2)
    assert hashes(root) == hashes(tmp_path / "b") and len(hashes(root)) == 2 * (2 + 1) + 3


def test_it_reads_as_kinetics(root):
    for split, n in (("train", 2), ("val", 1)):
        manifest = read_kinetics(root, split)
        assert manifest.classes == tuple(sorted(CLASSES)) and manifest.missing == ()
        assert collections.Counter(c.label for c in manifest.clips) == {0: n, 1: n}


def test_the_truth_is_that_of_the_files(root):
    seen = truth(root)
    clips = {c.path: c for split in ("train", "val") for c in read_kinetics(root, split).clips}
    assert set(seen) == set(clips)
    names = read_kinetics(root, "train").classes
    for path, row in seen.items():
        own = {a for a, _ in ACTIVITIES[row["label"]]}
        info = probe(root / path)
        assert names[clips[path].label] == row["label"] and path.startswith(row["split"] + "/")
        assert info.frames == row["frames"] == sum(n for _, n, _ in row["segments"]) == len(read_all(root / path))
        assert (info.width, info.height) == (WIDTH, HEIGHT) and info.fps == pytest.approx(row["fps"])
        assert row["irrelevant"] == pytest.approx(
            sum(n for _, n, r in row["segments"] if not r) / row["frames"], abs=1e-4
        )
        assert all((a in own) == r for a, _, r in row["segments"])
        assert row["time_end"] - row["time_start"] == -(-row["frames"] // row["fps"])


def test_the_files_show_what_was_drawn(root):
    """Encoding costs a few grey levels, not the order of frames."""
    for offset, split in ((0, "train"), (100_000, "val")):
        drawn = video("long jump", 77, offset)
        row = next(
            r
            for r in truth(root).values()
            if r["split"] == split and r["youtube_id"] == video_id(77, split, "long jump", 0)
        )
        assert [(s.action, s.frames, s.relevant) for s in board("long jump", 77, offset).segments] == [
            tuple(s) for s in row["segments"]
        ]
        read = read_all(root / row["video"])
        assert read.shape == drawn.shape
        apart = np.abs(read.astype(int) - drawn).mean(axis=(1, 2, 3))
        assert apart.max() < 15, "each frame is where it was drawn"


def test_another_seed_is_another_world(root, tmp_path):
    write_kinetics(tmp_path / "c", 78, 1, 1, CLASSES[:1], workers=1)
    assert not set(truth(tmp_path / "c")) & set(truth(root))
    assert not set(hashes(tmp_path / "c").values()) & set(hashes(root).values())


def test_train_and_validation_share_no_video(root):
    seen = truth(root)
    ids = [r["youtube_id"] for r in seen.values()]
    assert len(set(ids)) == len(ids)
    per_split = {s: {str(r["segments"]) for r in seen.values() if r["split"] == s} for s in ("train", "val")}
    assert not per_split["train"] & per_split["val"]


def test_names_and_files_do_not_tell_the_label(root):
    words = {w for c in CLASSES for w in c.split()} | {a for c in CLASSES for a, _ in ACTIVITIES[c]}
    for path in truth(root):
        name = path.split("/")[1]
        assert re.fullmatch(r"[A-Za-z0-9_-]{11}_\d{6}_\d{6}\.mp4", name)
        raw = (root / path).read_bytes().lower()
        assert not [w for w in words if w in name.lower() or w.encode() in raw]
        with av.open(str(root / path)) as container:
            told = {**container.metadata, **container.streams.video[0].metadata}
        assert not [v for v in told.values() if any(w in v.lower() for w in words)]
    assert {p.name for p in root.iterdir()} == {"train", "val", "annotations", "truth.json"}


def test_ids_look_like_ids():
    ids = {
        video_id(seed, split, c, i)
        for seed in (1, 2)
        for split in ("train", "val")
        for c in KINETICS
        for i in range(30)
    }
    assert len(ids) == 2 * 2 * len(KINETICS) * 30 and all(re.fullmatch(r"[A-Za-z0-9_-]{11}", i) for i in ids)


def test_lists_are_those_of_kinetics(root):
    with open(root / "annotations" / "train.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["label", "youtube_id", "time_start", "time_end", "split"]
    assert [r["label"] for r in rows] == [c for c in CLASSES for _ in range(2)] and {r["split"] for r in rows} == {
        "train"
    }
