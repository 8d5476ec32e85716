"""Which data set a profile means: fingerprints, lists, few-shot lists, what is read again and what is not."""

import os
import pickle
import shutil

import pytest
from small_sets import SOLE, at

from sfar.config import DRAWN, LAYOUT_NAMES, get_profile
from sfar.data import disk, kinetics, layouts, source, store
from sfar.data.fewshot import choose
from sfar.data.store import StoredClips, decoded_bytes
from sfar.data.transforms import scale_size
from sfar.errors import ConfigError, DataError, SfarError
from sfar.storyboard import sets
from sfar.util import paths

pytestmark = pytest.mark.usefixtures("videos_here")

# --- data sets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLE)
def test_a_folder(roots, name):
    data = source.dataset(at(roots, name))
    assert (data.layout, data.root, data.drawn) == (name, roots[name].resolve(), False)
    assert sorted(data.classes) == sorted(SOLE[name]) and len(data.fingerprint) == 16
    assert source.dataset(at(roots, name)) == data


def test_a_real_data_set_has_to_be_somewhere(tmp_path):
    for name in LAYOUT_NAMES:
        with pytest.raises(DataError, match=f"needs the data set {name} on disk.*sfar data layout {name}"):
            source.dataset(get_profile("storyboard", {"data.dataset": name}))
    with pytest.raises(DataError, match="no such folder"):
        source.dataset(get_profile("storyboard", {"data.root": str(tmp_path / "none")}))


def test_one_command_reads_each_list_once(roots, monkeypatch):
    seen = []
    real = kinetics._read_csv
    monkeypatch.setattr(kinetics, "_read_csv", lambda root, split: seen.append(split) or real(root, split))
    p = at(roots, "kinetics400")
    with disk.once():
        data = source.dataset(p)
        assert source.dataset(p) is data and layouts.read("kinetics400", data.root, "val") is data.manifest("val")
    assert sorted(seen) == ["train", "val"]
    assert source.dataset(p) == data and sorted(seen) == ["train", "train", "val", "val"], "another command"


def test_the_fingerprint_is_of_the_videos(roots, tmp_path):
    copy = tmp_path / "k400"
    shutil.copytree(roots["kinetics400"], copy)  # times of change are kept
    p = get_profile("storyboard", {"data.root": str(copy)})
    first = source.dataset(p).fingerprint
    assert first == source.dataset(at(roots)).fingerprint, "where a copy lies does not matter"
    video = next((copy / "train").rglob("*.mp4"))
    state = video.stat()
    os.utime(video, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    later = source.dataset(p).fingerprint
    video.unlink()
    assert len({first, later, source.dataset(p).fingerprint}) == 3


def edited(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_changed_list_is_another_data_set(roots, tmp_path):
    """Of the same videos: a training video of HMDB-51 that a list no longer names."""
    copy = tmp_path / "hmdb51"
    shutil.copytree(roots["hmdb51"], copy)
    p = at({"hmdb51": copy}, "hmdb51")
    first = source.dataset(p)
    before = first.manifest("train")
    list_ = sorted((copy / "testTrainMulti_7030_splits").glob("*_split1.txt"))[0]
    edited(list_, ".avi 1 ", ".avi 0 ")
    second = source.dataset(p)
    assert second.fingerprint == first.fingerprint and second != first
    assert first.manifest("train") is before and len(second.manifest("train").clips) < len(before.clips)
    edited(list_, ".avi 0 ", ".avi 1 ")
    (copy / before.clips[0].path).rename(tmp_path / "elsewhere.avi")
    assert source.dataset(p).manifest("train").missing, "what is missing on disk is seen too"


def test_lists_are_read_once(roots, monkeypatch):
    read, calls = layouts.read, []
    monkeypatch.setattr(layouts, "read", lambda *a: calls.append(a[2:]) or read(*a))
    p = at(roots, "ucf101", **{"data.shots": 1})
    data = source.dataset(p)
    assert sorted(calls) == [("all", 1), ("train", 1), ("val", 1)]
    for again in (data, pickle.loads(pickle.dumps(data)), source.Dataset(**vars(data))):
        assert again == data and hash(again) == hash(data)
        for split in ("train", "val", "all"):
            source.load_clips(p, again, split)
        assert source.epoch_repeats(p, again, 2) == 4
    assert len(calls) == 3
    assert (
        data.manifest("val", 2) == read("ucf101", data.root, "val", 2) and data.manifest("val", 2) and len(calls) == 4
    )
    source.dataset(p)
    assert len(calls) == 7, "a folder that is looked up again is read again"


def test_nothing_is_kept_of_a_folder_whose_content_is_not_known(roots, monkeypatch):
    """As a plan has it: only lists and names were looked at."""
    read, calls = layouts.read, []
    monkeypatch.setattr(layouts, "read", lambda *a: calls.append(a[2:]) or read(*a))
    data = source.Dataset("hmdb51", roots["hmdb51"], "", SOLE["hmdb51"], False)
    assert data.manifest("train") == data.manifest("train") and len(calls) == 2


def test_a_drawn_set_is_drawn_once(monkeypatch, tmp_path):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    calls = []

    def draw(folder, which, seed, train, val, knobs):
        from sfar.storyboard.sets import write_hmdb51

        calls.append((which, seed, train, val))
        write_hmdb51(folder, seed, train, val, classes=SOLE["hmdb51"], workers=1, knobs=knobs)

    monkeypatch.setattr(source, "draw", draw)
    p = get_profile(
        "storyboard", {"data.dataset": "storyboard-hmdb51", "data.train_per_class": 2, "data.val_per_class": 1}
    )
    data = source.dataset(p)
    assert data.drawn and data.layout == "hmdb51" and source.dataset(p) == data and calls == [("hmdb51", 2026, 2, 1)]
    assert (
        source.dataset(
            get_profile(
                "storyboard", {"data.dataset": "storyboard-hmdb51", "data.train_per_class": 1, "data.val_per_class": 1}
            )
        ).fingerprint
        != data.fingerprint
    )


def test_by_name():
    p = get_profile("storyboard", {"data.shots": 2, "data.shot_seed": 3, "data.shot_draws": 2, "train.epochs": 9})
    other = source.by_name(p, "storyboard-ucf101")
    assert (other.data.dataset, other.data.root, other.data.fold, other.data.shots, other.data.shot_draws) == (
        "storyboard-ucf101",
        "",
        1,
        0,
        1,
    )
    assert other.train == p.train and other.model == p.model and other.data.seed == p.data.seed
    with pytest.raises(ConfigError, match=r"data\.dataset"):
        source.by_name(p, "storyboard-kinetics600")


# --- training videos of another drawing ----------------------------------------------------------------------------


@pytest.fixture
def small_draws(monkeypatch, tmp_path):
    """Two classes in place of all, drawn in this process; what was asked for, in order."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    calls = []

    def draw(folder, which, seed, train, val, knobs):
        from sfar.storyboard.sets import write_hmdb51

        calls.append((seed, train, val, knobs))
        write_hmdb51(folder, seed, train, val, classes=SOLE["hmdb51"], workers=1, knobs=knobs)

    monkeypatch.setattr(source, "draw", draw)
    return calls


SMALL = {"data.dataset": "storyboard-hmdb51", "data.train_per_class": 2, "data.val_per_class": 2}


def content(data, split):
    """Of each video its label and its bytes, without what it is called."""
    return [(c.label, (data.root / c.path).read_bytes()) for c in data.manifest(split).clips]


def test_a_replicate_trains_on_another_drawing(small_draws):
    """Of the same world and classes; no video is common, and the test side is what it was."""
    plain = get_profile("storyboard", SMALL)
    second, third = (get_profile("storyboard", {**SMALL, "data.replicate": k}) for k in (1, 2))
    data = source.dataset(plain)
    assert source.training_profile(plain) is plain and source.training_data(plain, data) is data
    assert source.dataset(second) == data, "its test videos are the world's own"
    drawn = {k: source.training_data(p, data) for k, p in ((1, second), (2, third))}
    seeds = [1000 * plain.data.seed + k for k in (1, 2)]
    assert [c[:3] for c in small_draws] == [(plain.data.seed, 2, 2), *((s, 2, 1) for s in seeds)]
    sides = [data, *drawn.values()]
    assert len({d.fingerprint for d in sides}) == 3 and len({d.root for d in sides}) == 3
    assert all(d.classes == data.classes and d.layout == data.layout and d.drawn for d in sides)
    own = [content(d, "train") for d in sides]
    assert all([label for label, _ in x] == [label for label, _ in own[0]] for x in own)
    videos = [v for x in (*own, content(data, "val")) for _, v in x]
    assert len(set(videos)) == len(videos) == 3 * 4 + 4, "no video of one drawing is in another, nor is one tested on"
    assert source.training_data(second, data) == drawn[1] and len(small_draws) == 3, "drawn once"


@pytest.mark.parametrize("name", DRAWN)
def test_a_replicate_has_as_few_test_videos_as_its_set_is_drawn_with(name, monkeypatch, tmp_path):
    """None of them is tested on: a set of many labels has to show every class in one, the others just have some."""
    p = source.training_profile(get_profile("storyboard", {"data.dataset": name, "data.replicate": 2}))
    d = p.data
    assert (d.dataset, d.seed, d.replicate) == (name, 1000 * get_profile("storyboard").data.seed + 2, 0)
    if DRAWN[name] != "charades":
        assert d.val_per_class == 1
        return
    drawn = []
    for folder in ("least", "fewer"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(sets, "draw_videos", lambda _, jobs, workers: drawn.append(jobs) or [])
    source.draw(tmp_path / "least", "charades", d.seed, d.train_per_class, d.val_per_class)
    with pytest.raises(ConfigError, match="val_videos"):
        source.draw(tmp_path / "fewer", "charades", d.seed, d.train_per_class, d.val_per_class - 1)
    assert len(drawn) == 1


def test_a_replicate_of_many_labels_trains_on_another_drawing(monkeypatch, tmp_path):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path))
    classes = (*SOLE["ucf101"], *SOLE["hmdb51"])

    def draw(folder, which, seed, train, val, knobs):
        sets.write_charades(folder, seed, 2 * train, 2 * val, classes=classes, workers=1, knobs=knobs)

    monkeypatch.setattr(source, "draw", draw)
    small = {"data.dataset": "storyboard-charades", "data.train_per_class": 2, "data.val_per_class": 4}
    plain = get_profile("storyboard", small)
    second = get_profile("storyboard", {**small, "data.replicate": 1})
    data = source.dataset(plain)
    assert source.dataset(second) == data
    other = source.training_data(second, data)
    assert other.classes == data.classes and other.fingerprint != data.fingerprint
    videos = {
        (which, split): {(d.root / c.path).read_bytes() for c in d.manifest(split).clips}
        for which, d, split in (("own", data, "train"), ("own", data, "val"), ("other", other, "train"))
    }
    assert len(set.union(*videos.values())) == sum(map(len, videos.values())), "no video is in two of them"
    clips = source.load_clips(second, other, "train")
    assert {c.label for c in clips.manifest.clips} <= set(range(len(classes))) and len(clips) >= 4


def test_a_replicate_of_a_turned_world_is_turned_too(small_draws):
    p = get_profile("storyboard", {**SMALL, "data.replicate": 3, "data.world_irrelevant": 0.2})
    source.training_data(p, source.dataset(p))
    assert [c[3] for c in small_draws] == [source.knobs_of(p)] * 2 and source.knobs_of(p) != source.PLAIN


def test_a_few_shot_list_is_of_the_replicate(small_draws):
    p = get_profile("storyboard", {**SMALL, "data.replicate": 1, "data.shots": 1})
    data = source.dataset(p)
    training = source.training_data(p, data)
    clips = source.load_clips(p, training, "train")
    assert len(clips.paths) == len(SOLE["hmdb51"]) and source.epoch_repeats(p, training, len(clips.paths)) == 2
    assert clips.manifest == choose(training.manifest("train"), 1, 0) and clips.manifest.root == training.root


def test_training_videos_of_a_frozen_tower_are_not_decoded_beforehand(small_draws, monkeypatch):
    """It sees each once; those of a tower that is fine-tuned are, and so are test videos."""
    decoded, examine = [], source.examine
    monkeypatch.setattr(source, "examine", lambda *a, **k: decoded.append(a[3]) or examine(*a, **k))
    for tower in (False, True):
        p = get_profile("storyboard", {**SMALL, "train.train_visual": tower})
        data = source.dataset(p)
        found = source.load_clips(p, data, "train")
        source.load_clips(p, data, "val")
        if not tower:
            assert decoded == [False, True]
            first = [found.read(i, lambda n: [0, n - 1]) for i in range(len(found))]
    assert decoded == [False, True], "the test side's are of the whole set: they are there for the training of a tower"
    for i, seen in enumerate(first):
        assert (found.read(i, lambda n: [0, n - 1]) == seen).all(), "the same frames either way"


def test_bytes_decide_what_is_decoded_beforehand(roots, tmp_path, monkeypatch):
    """Against the limit, and half of what is free; what lies there decoded is taken however little is free now."""
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    p = at(roots)
    data = source.dataset(p)
    need = decoded_bytes(data.manifest("train"), scale_size(p.data.image_size))

    def stored(limit, free=1e15):
        monkeypatch.setattr(source, "_decoding", {})  # as in a process of its own
        monkeypatch.setattr(source.paths, "free", lambda folder: free)
        found = source.load_clips(at(roots, **{"data.decode_limit": limit}), data, "train")
        assert len(found) == 8
        return isinstance(found, StoredClips)

    assert not stored(0.99 * need / 1e9) and not stored(20.0, 1.99 * need)
    assert stored(1.01 * need / 1e9, 2.01 * need) and stored(20.0, 0.0) and stored(0.99 * need / 1e9)
    assert not stored(0), "never"
    assert need in [f.stat().st_size for f in (tmp_path / "cache").rglob("frames.bin")], "all were asked: it is exact"


def test_a_few_videos_stand_for_a_long_list(roots, monkeypatch):
    manifest = source.dataset(at(roots)).manifest("train")
    every, asked, guarded = decoded_bytes(manifest, 73), [], store.guarded
    monkeypatch.setattr(store, "guarded", lambda f, file, *a, **k: asked.append(file) or guarded(f, file, *a, **k))
    monkeypatch.setattr(store, "SAMPLE", 3)
    assert 0.5 < decoded_bytes(manifest, 73) / every < 2
    named = list(dict.fromkeys(c.path for c in manifest.clips))
    assert asked == [str(manifest.root / named[i]) for i in (0, 3, 7)]


def test_no_work_begins_for_which_the_disk_has_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "free", lambda folder: 3e9)
    paths.check_space(tmp_path, 3e9, "frames")
    with pytest.raises(SfarError, match=r"frames: 3\.5 GB are needed in .* and 3\.0 GB are free\..*free some space"):
        paths.check_space(tmp_path / "not yet there", 3.5e9, "frames")


def test_a_replicate_is_of_a_drawn_world(roots):
    for over in ({"data.dataset": "hmdb51"}, {"data.root": str(roots["kinetics400"])}):
        with pytest.raises(ConfigError, match=r"data\.replicate.*is read, not drawn"):
            get_profile("storyboard", {**over, "data.replicate": 1})
    with pytest.raises(ConfigError, match=r"data\.replicate"):
        get_profile("paper", {"data.replicate": 2})
    with pytest.raises(ConfigError, match=r"data\.replicate"):
        get_profile("storyboard", {"data.replicate": -1})


def test_other_sets_of_a_replicate_are_the_worlds_own():
    """Zero-shot tests are the same for every seed."""
    p = get_profile("storyboard", {"data.replicate": 4})
    assert source.by_name(p, "storyboard-ucf101") == source.by_name(get_profile("storyboard"), "storyboard-ucf101")


# --- few-shot ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLE)
def test_few_shot_manifest(roots, name):
    p = at(roots, name)
    data = source.dataset(p)
    full = source.few_shot_manifest(p, data)
    assert full == layouts.read(name, data.root, "train") and len(full.clips) == 8
    two = source.few_shot_manifest(at(roots, name, **{"data.shots": 2}), data)
    assert two == choose(full, 2, 0) and sorted(c.label for c in two.clips) == [0, 0, 1, 1]
    assert source.few_shot_manifest(at(roots, name, **{"data.shots": 2, "data.shot_seed": 1}), data) == choose(
        full, 2, 1
    )
    united = source.few_shot_manifest(at(roots, name, **{"data.shots": 2, "data.shot_draws": 8}), data)
    assert {c.path for c in two.clips} <= {c.path for c in united.clips} and len(united.clips) > 4
    with pytest.raises(DataError, match="5"):
        source.few_shot_manifest(at(roots, name, **{"data.shots": 5}), data)


def test_epoch_repeats(roots):
    p = at(roots)
    data = source.dataset(p)
    assert source.epoch_repeats(p, data, 8) == 1
    assert (
        source.epoch_repeats(at(roots, **{"data.shots": 1}), data, 2) == 4
        and source.epoch_repeats(at(roots, **{"data.shots": 2}), data, 3) == 2
    )  # floor
    assert source.epoch_repeats(at(roots, **{"data.shots": 1, "train.few_shot_epoch": "once"}), data, 2) == 1
