"""The sets drawn in the layouts of UCF-101, HMDB-51 and Charades: lists parsed by hand, every file decoded."""

import collections
import csv
import hashlib
import re

import av
import av.video.frame
import numpy as np
import pytest

from sfar.data.charades import read_charades
from sfar.data.hmdb51 import read_hmdb51
from sfar.data.ucf101 import read_ucf101
from sfar.data.video import probe, read_frames
from sfar.errors import ConfigError
from sfar.storyboard import sets, world
from sfar.storyboard.poses import ACTIONS
from sfar.storyboard.render import HEIGHT, WIDTH
from sfar.storyboard.scripts import ACTIVITIES, HMDB, UCF
from sfar.storyboard.write import encode_h264, truth

SEED = 31
UCF_CLASSES = ("uneven bars", "cliff diving")  # not in the order of the list
HMDB_CLASSES = ("flic flac", "hop")
DAY_CLASSES = ("cliff diving", "hop", "cook")


@pytest.fixture(scope="module")
def ucf(tmp_path_factory):
    root = tmp_path_factory.mktemp("ucf") / "set"
    sets.write_ucf101(root, SEED, 3, 2, UCF_CLASSES, workers=1)
    return root


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory):
    root = tmp_path_factory.mktemp("hmdb") / "set"
    sets.write_hmdb51(root, SEED, 2, 2, HMDB_CLASSES, workers=1)
    return root


@pytest.fixture(scope="module")
def charades(tmp_path_factory):
    root = tmp_path_factory.mktemp("charades") / "set"
    sets.write_charades(root, SEED, 5, 5, DAY_CLASSES, workers=1)
    return root


@pytest.fixture
def each(request, ucf, hmdb, charades):
    return {"ucf": ucf, "hmdb": hmdb, "charades": charades}[request.param]


every_set = pytest.mark.parametrize("each", ["ucf", "hmdb", "charades"], indirect=True)


def lines(path, end):
    """The lines of a file that must end every one of them with ``end``."""
    raw = path.read_bytes().decode("utf-8")
    assert (
        raw.endswith(end)
        and raw.count("\n") == raw.count(end)
        and raw.count("\r") == (raw.count("\n") if "\r" in end else 0)
    )
    return raw.split(end)[:-1]


def hashes(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


# --- every set -----------------------------------------------------------------------------------------------------


@every_set
def test_the_truth_is_that_of_the_files(each):
    seen = truth(each)
    assert set(seen) == {p.relative_to(each).as_posix() for p in each.rglob("*") if p.suffix in (".avi", ".mp4")}
    for path, row in seen.items():
        names = row["labels"] if "labels" in row else [row["label"]]
        own = {a for c in names for a, _ in ACTIVITIES[c]}
        with av.open(str(each / path)) as container:
            stream = container.streams.video[0]
            shown = list(container.decode(stream))
            assert stream.average_rate == row["fps"] and (stream.width, stream.height) == (WIDTH, HEIGHT)
            if path.endswith(".avi"):
                assert (
                    container.format.name == "avi"
                    and stream.codec_context.name == "mpeg4"
                    and stream.codec_context.codec_tag == "XVID"
                )
                assert {f.pict_type for f in shown} == {av.video.frame.PictureType.I, av.video.frame.PictureType.P}, (
                    "no B-frames"
                )
            else:
                assert stream.codec_context.name == "h264"
        assert row["video"] == path and len(shown) == row["frames"] == sum(n for _, n, _ in row["segments"])
        assert all(a in ACTIONS and n >= 1 and (a in own) == relevant for a, n, relevant in row["segments"])
        assert row["irrelevant"] == pytest.approx(
            sum(n for _, n, r in row["segments"] if not r) / row["frames"], abs=1e-4
        )
        assert 0 <= row["irrelevant"] <= 1 and (row["irrelevant"] == 1) == (not names)


def test_writing_twice_gives_the_same_bytes(ucf, hmdb, charades, tmp_path):
    sets.write_ucf101(tmp_path / "u", SEED, 3, 2, UCF_CLASSES, workers=2)
    sets.write_hmdb51(tmp_path / "h", SEED, 2, 2, HMDB_CLASSES, workers=2)
    sets.write_charades(tmp_path / "c", SEED, 5, 5, DAY_CLASSES, workers=2)
    assert hashes(tmp_path / "u") == hashes(ucf) and len(hashes(ucf)) == 2 * 5 + 7 + 1
    assert hashes(tmp_path / "h") == hashes(hmdb) and len(hashes(hmdb)) == 2 * 6 + 6 + 1
    assert hashes(tmp_path / "c") == hashes(charades) and len(hashes(charades)) == 10 + 3 + 1


def test_a_video_depends_on_its_class_and_index_alone(ucf, hmdb, tmp_path):
    sets.write_ucf101(tmp_path / "u", SEED, 1, 3, UCF_CLASSES[1:], workers=1)
    sets.write_ucf101(tmp_path / "other", SEED + 1, 1, 1, UCF_CLASSES[1:], workers=1)
    more, before, other = (hashes(r) for r in (tmp_path / "u", ucf, tmp_path / "other"))
    shared = [p for p in more if p.endswith(".avi")]
    assert len(shared) == 4 and all(more[p] == before[p] for p in shared)
    assert not {h for p, h in other.items() if p.endswith(".avi")} & set(before.values()), "another seed, other videos"
    boards = [str(r["segments"]) for r in (*truth(ucf).values(), *truth(hmdb).values())]
    assert len(set(boards)) == len(boards) and len(set(before.values())) == len(before)


def test_no_set_has_the_videos_of_another(ucf):
    """A seed's storyboards are those of write_kinetics for any class given to it: the set's own must differ."""
    for row in truth(ucf).values():
        kinetics = world.draw_storyboard(row["label"], world.video_rng(SEED, row["label"], row["index"]))
        assert [[s.action, s.frames, s.relevant] for s in kinetics.segments] != row["segments"]


def test_avi_files_show_what_was_drawn(ucf, tmp_path):
    """Encoding costs a few grey levels (most of it noise), not the order of frames."""
    row = truth(ucf)["UCF-101/CliffDiving/v_CliffDiving_g01_c03.avi"]
    rng = world.video_rng(SEED, "ucf101/cliff diving", 2)
    board = world.draw_storyboard("cliff diving", rng)
    assert [[s.action, s.frames, s.relevant] for s in board.segments] == row["segments"]
    drawn = world.render_storyboard(board, rng)
    sets.encode_mpeg4(tmp_path / "x.avi", drawn, board.fps)
    assert (tmp_path / "x.avi").read_bytes() == (ucf / row["video"]).read_bytes()
    encode_h264(tmp_path / "x.mp4", drawn, board.fps)
    avi, mp4 = (
        np.abs(decoded(path).astype(int) - drawn).mean(axis=(1, 2, 3))
        for path in (ucf / row["video"], tmp_path / "x.mp4")
    )
    assert avi.max() < 8 and avi.mean() < 1.15 * mp4.mean(), "about as well as the sets in H.264 do"


@pytest.mark.parametrize("write", [sets.write_ucf101, sets.write_hmdb51, sets.write_charades])
def test_what_cannot_be_written_is_refused(write, tmp_path):
    for args, message in (
        ((0, 2), "at least 1, got 0"),
        ((2, 0), "at least 1, got 0"),
        ((2, 2, ("hop", "flying")), "no script of flying"),
        ((2, 2, ()), "got none"),
        ((2, 2, ("hop", "hop")), "each once"),
    ):
        with pytest.raises(ConfigError, match=message):
            write(tmp_path / "x", 1, *args)
    assert not (tmp_path / "x").exists()


# --- UCF-101 -------------------------------------------------------------------------------------------------------


def test_ucf101_lists(ucf):
    folder = ucf / "ucfTrainTestlist"
    assert lines(folder / "classInd.txt", "\r\n") == ["1 CliffDiving", "2 UnevenBars"]
    clip = {0: "g01_c01", 1: "g01_c02", 2: "g01_c03", 3: "g01_c04", 4: "g02_c01"}
    for fold, test in ((1, {0, 1}), (2, {2, 3}), (3, {4, 0})):  # the third goes round
        expected = [
            (f"{c}/v_{c}_{clip[i]}.avi", k, i in test)
            for k, c in ((1, "CliffDiving"), (2, "UnevenBars"))
            for i in range(5)
        ]
        assert lines(folder / f"testlist0{fold}.txt", "\r\n") == [path for path, _, tested in expected if tested]
        assert lines(folder / f"trainlist0{fold}.txt", "\r\n") == [
            f"{path} {k}" for path, k, tested in expected if not tested
        ]
        assert all((ucf / "UCF-101" / path).is_file() for path, _, _ in expected)
    assert {p.name for p in folder.iterdir()} == {"classInd.txt"} | {
        f"{s}list0{f}.txt" for s in ("train", "test") for f in (1, 2, 3)
    }
    assert collections.Counter(r["label"] for r in truth(ucf).values()) == dict.fromkeys(UCF_CLASSES, 5)
    assert all(sets.camel_case(r["label"]) == path.split("/")[1] for path, r in truth(ucf).items())


def test_ucf101_numbers():
    assert [sets.ucf101_path("pole run", i)[-11:] for i in (0, 3, 4, 39)] == [
        "g01_c01.avi",
        "g01_c04.avi",
        "g02_c01.avi",
        "g10_c04.avi",
    ]
    assert len({sets.camel_case(c) for c in UCF}) == len(UCF)


# --- HMDB-51 -------------------------------------------------------------------------------------------------------


def test_hmdb51_lists(hmdb):
    folder = hmdb / "testTrainMulti_7030_splits"
    assert len(list(folder.iterdir())) == 2 * 3
    for name in ("flic_flac", "hop"):
        on_disk = {p.name for p in (hmdb / "videos" / name).iterdir()}
        for fold, expected in ((1, "221100"), (2, "002211"), (3, "110022")):
            rows = lines(folder / f"{name}_test_split{fold}.txt", "\n")
            assert all(re.fullmatch(rf"\S*{name}_\d\.avi [012] ", r) for r in rows), "a space at the end, none inside"
            files, use = zip(*(r.split() for r in rows), strict=True)
            assert "".join(use) == expected and set(files) == on_disk and len(files) == len(on_disk)
    assert all(p.split("/")[1] == r["label"].replace(" ", "_") for p, r in truth(hmdb).items())


def test_hmdb51_names_hold_what_the_real_ones_do(hmdb):
    names = "".join(p.name for p in (hmdb / "videos").rglob("*.avi"))
    assert set("#&()[]") <= set(names)


@pytest.mark.parametrize("train, val", [(24, 16), (1, 1), (3, 9)])
def test_folds_go_round(train, val):
    total = train + val
    for fold in (1, 2, 3):
        held = sets.held_out(fold, val, total)
        assert len(set(held)) == val and all(0 <= i < total for i in held)
    assert (
        sets.held_out(1, val, total) == list(range(val))
        and sets.held_out(2, 16, 40)[-1] == 31
        and sets.held_out(3, 16, 40)[8] == 0
    )


# --- Charades ------------------------------------------------------------------------------------------------------


def rows_of(root, split):
    with open(root / f"Charades_v1_{split}.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_charades_lists(charades):
    assert lines(charades / "Charades_v1_classes.txt", "\r\n") == ["c000 cliff diving", "c001 hop", "c002 cook"]
    seen, ids = truth(charades), []
    for split, name in (("train", "train"), ("val", "test")):
        header = lines(charades / f"Charades_v1_{name}.csv", "\r\n")[0]
        assert header == "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
        rows = rows_of(charades, name)
        ids += [r["id"] for r in rows]
        assert (
            [r["id"] for r in rows] == sorted(r["id"] for r in rows)
            and len(rows) == 5
            and sum(r["actions"] == "" for r in rows) == 1
        ), "the fifth shows nothing"
        for row in rows:
            told = seen[f"Charades_v1_480/{row['id']}.mp4"]
            assert (
                re.fullmatch(r"[0-9A-Z]{5}", row["id"])
                and told["split"] == split
                and "," in row["descriptions"]
                and None not in row
            )
            fps = told["fps"]
            assert float(row["length"]) == pytest.approx(told["frames"] / fps, abs=0.00501)
            timed = re.findall(r"c(\d{3}) (\d+\.\d\d) (\d+\.\d\d)", row["actions"])
            assert ";".join(f"c{k} {a} {b}" for k, a, b in timed) == row["actions"]
            assert [DAY_CLASSES[int(k)] for k, _, _ in timed] == told["labels"] == [c for c, _, _ in told["activities"]]
            for (_, start, end), (_, first, behind) in zip(timed, told["activities"], strict=True):
                assert float(start) == pytest.approx(first / fps, abs=0.01) and float(end) == pytest.approx(
                    behind / fps, abs=0.01
                )
                assert float(end) <= float(row["length"])
    assert len(set(ids)) == 10
    assert {c for r in seen.values() if r["split"] == "val" for c in r["labels"]} == set(DAY_CLASSES)


def test_activities_are_where_their_frames_are(charades):
    for row in truth(charades).values():
        actions = [(a, r) for a, n, r in row["segments"] for _ in range(n)]
        inside = set()
        for name, first, behind in row["activities"]:
            assert list(dict.fromkeys(a for a, _ in actions[first:behind])) == [a for a, _ in ACTIVITIES[name]], (
                "the script, in its order"
            )
            inside |= set(range(first, behind))
        assert [k for k, (_, relevant) in enumerate(actions) if relevant] == sorted(inside)


def sequences(n):
    classes = (*UCF, *HMDB)
    return [sets.draw_sequence(world.video_rng(2, "sequence", i), classes[i % len(classes)], classes) for i in range(n)]


def test_sequences_are_as_described():
    counts = collections.Counter()
    for i, (board, activities) in enumerate(sequences(200)):
        names = [c for c, _, _ in activities]
        own = {a for c in names for a, _ in ACTIVITIES[c]}
        counts[len(names)] += 1
        assert (*UCF, *HMDB)[i % 20] in names and len(set(names)) == len(names) and board.fps in sets.CHARADES_RATES
        assert all(1.5 - 0.5 / board.fps <= (b - a) / board.fps <= 4 + 0.5 / board.fps for _, a, b in activities)
        gaps = [s for s in board.segments if not s.relevant]
        assert len(gaps) == len(names) + 1 and not board.segments[0].relevant and not board.segments[-1].relevant
        assert all(
            0.3 - 0.5 / board.fps <= s.frames / board.fps <= 1.5 + 0.5 / board.fps and s.action not in own for s in gaps
        )
        assert len({s.action for s in gaps}) == len(gaps)
    assert set(counts) == {1, 2, 3, 4} and min(counts.values()) > 30
    first = [a[0][0] == (*UCF, *HMDB)[i % 20] for i, (_, a) in enumerate(sequences(200)) if len(a) == 4]
    assert 0.05 < np.mean(first) < 0.5, "the class whose turn it is comes in any place"


def test_a_video_without_activities_shows_no_class():
    classes = (*UCF, *HMDB)
    of_classes = {a for c in classes for a, _ in ACTIVITIES[c]}
    for i in range(40):
        board, activities = sets.draw_sequence(world.video_rng(3, "empty", i), None, classes)
        assert (
            activities == []
            and board.irrelevant == 1
            and 4 <= len(board.segments) <= 8
            and not {s.action for s in board.segments} & of_classes
        )
    # Where the classes leave hardly an action over, it repeats: only "stand" is in no script at all.
    board, _ = sets.draw_sequence(world.video_rng(3, "empty", 0), None, tuple(ACTIVITIES))
    assert {s.action for s in board.segments} == {"stand"}


def test_videos_with_an_activity_are_numbered_on():
    numbers = [sets.activity_number(i) for i in range(200)]
    assert [n for n in numbers if n is not None] == list(range(194))
    assert [i for i, n in enumerate(numbers) if n is None] == [4, 37, 70, 103, 136, 169]


def test_too_few_validation_videos_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"20 of 21 videos show an activity.* 21 classes"):
        sets.write_charades(tmp_path, 1, 1, 21, (*UCF, *HMDB, "long jump"))


def test_charades_ids_are_unique():
    ids = {sets.charades_id(seed, split, i) for seed in (1, 2) for split in ("train", "val") for i in range(8000)}
    assert (
        len(ids) > 31_980 and len({sets.charades_id(1, s, i) for s in ("train", "val") for i in range(8000)}) == 16_000
    )
    assert all(re.fullmatch(r"[0-9A-Z]{5}", i) for i in ids)


# --- the readers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read, each, of_class",
    [(read_ucf101, "ucf", {"train": 3, "val": 2, "all": 5}), (read_hmdb51, "hmdb", {"train": 2, "val": 2, "all": 6})],
    indirect=["each"],
)
@pytest.mark.parametrize("fold", [1, 2, 3])
def test_the_readers_find_every_video_of_a_fold(read, each, of_class, fold):
    seen, paths = truth(each), {}
    for split, n in of_class.items():
        manifest = read(each, split, fold)
        assert manifest.missing == manifest.unused == manifest.notes == () and len(manifest.classes) == 2
        assert [manifest.classes[c.label] for c in manifest.clips] == [seen[c.path]["label"] for c in manifest.clips]
        assert collections.Counter(c.label for c in manifest.clips) == {0: n, 1: n}
        paths[split] = {c.path for c in manifest.clips}
    assert not paths["train"] & paths["val"] and paths["train"] | paths["val"] <= paths["all"] == set(seen)
    assert {seen[p]["index"] for p in paths["val"]} == set(sets.held_out(fold, 2, of_class["all"]))


@pytest.mark.parametrize("split, part", [("train", "train"), ("train-videos", "train"), ("val", "val")])
def test_the_reader_of_charades_finds_every_action(charades, split, part):
    manifest, seen = read_charades(charades, split), {p: r for p, r in truth(charades).items() if r["split"] == part}
    assert (
        manifest.classes == DAY_CLASSES
        and manifest.multi_label
        and manifest.missing == manifest.unused == manifest.notes == ()
    )
    if split != "train":
        assert {c.path: {DAY_CLASSES[k] for k in c.labels} for c in manifest.clips} == {
            p: set(r["labels"]) for p, r in seen.items()
        }
        assert [c.label for c in manifest.clips].count(-1) == 1
        return
    frames = [
        (c.path, DAY_CLASSES[c.label], round(c.start * seen[c.path]["fps"]), round(c.end * seen[c.path]["fps"]))
        for c in manifest.clips
    ]
    assert sorted(frames) == sorted((p, *a) for p, r in seen.items() for a in r["activities"]), "to the frame"


@every_set
def test_the_videos_can_be_read_by_index(each):
    rows = truth(each)
    for path, row in rows.items():
        assert probe(each / path).frames == row["frames"] and probe(each / path).fps == row["fps"]
    path, row = next(reversed(rows.items()))
    wanted = [row["frames"] - 1, 0, row["frames"] // 2]
    assert np.abs(read_frames(each / path, wanted).astype(int) - decoded(each / path)[wanted]).mean() < 1
