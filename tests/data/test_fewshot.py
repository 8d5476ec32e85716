"""Few-shot lists: the choice against hashlib, its independence of file order, saved lists and the X-CLIP family's."""

import dataclasses
import hashlib
import json
import random
import unicodedata
from pathlib import Path

import pytest

from sfar.data.charades import read_charades
from sfar.data.fewshot import choose, content, load_list, repeats, save_list, shots_of, union
from sfar.data.hmdb51 import read_hmdb51
from sfar.data.labels import class_names
from sfar.data.manifest import Clip, Manifest
from sfar.errors import ConfigError, DataError, SfarError

CLASSES = ("brush hair", "cartwheel", "ride bike")


def make(per_class=20, classes=CLASSES, folder=True, ending=".avi", **fields):
    """Videos of HMDB-51's layout.

    The classes alternate, so that the order of the list is not the order of the classes.
    """
    clips = []
    for n in range(per_class):
        for k, name in enumerate(classes):
            stem = f"Some_clip_{n}_{name.replace(' ', '_')}_f_cm_np1_fr_med_{n}"
            clips.append(Clip((name.replace(" ", "_") + "/" if folder else "") + stem + ending, k, stem))
    return Manifest(
        **{
            "name": "hmdb51",
            "split": "train",
            "root": Path("/data/hmdb51"),
            "classes": tuple(classes),
            "clips": tuple(clips),
        }
        | fields
    )


def segments(videos=6, **fields):
    """Charades: parts of videos with one class each; video 0 has two parts of class 0, every video has all classes."""
    clips = []
    for v in range(videos):
        for k in range(2):
            clips.append(Clip(f"Charades_v1/V{v}.mp4", k, f"V{v}/{k}", (k,), 1.5 + k, 4.0 + v))
    clips.append(Clip("Charades_v1/V0.mp4", 0, "V0/2", (0,), 10.0, 12.25))
    return Manifest(
        **{
            "name": "charades",
            "split": "train",
            "root": Path("/data/charades"),
            "classes": ("Holding a book", "Sitting down"),
            "clips": tuple(clips),
            "multi_label": True,
        }
        | fields
    )


def shuffled(manifest, seed=0):
    clips = list(manifest.clips)
    random.Random(seed).shuffle(clips)
    return dataclasses.replace(manifest, clips=tuple(clips))


def sha(*lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# --- the choice ---


@pytest.mark.parametrize("seed", [0, 1, 2025])
def test_the_smallest_hashes_of_seed_and_path(seed):
    manifest = make()
    out = choose(manifest, 4, seed)
    for k in range(3):
        want = sorted((c.path for c in manifest.clips if c.label == k), key=lambda p: sha(str(seed), p))[:4]
        assert {c.path for c in out.clips if c.label == k} == set(want)


def test_the_choice_is_the_same_for_ever():
    # the first digits that "printf '0\na/1.avi' | sha256sum" prints, for 1 to 5
    clips = tuple(Clip(f"a/{n}.avi", 0, str(n)) for n in range(1, 6))
    assert [sha("0", c.path)[:4] for c in clips] == ["ce3d", "4e96", "9ff5", "2035", "0094"]
    assert [c.video_id for c in choose(make(classes=("a",), clips=clips), 2).clips] == ["4", "5"]


def test_exactly_k_of_every_class_in_the_order_of_the_manifest():
    manifest = make(notes=("a note",), missing=("cartwheel/gone.avi",), unused=("cartwheel/more.avi",), frame_rate=30.0)
    for shots in (1, 2, 4, 8, 16, 20):
        out = choose(manifest, shots)
        assert [sum(c.label == k for c in out.clips) for k in range(3)] == [shots] * 3 and shots_of(out) == shots
        assert [c for c in manifest.clips if c in out.clips] == list(out.clips)
        assert dataclasses.replace(out, clips=()) == dataclasses.replace(manifest, clips=(), missing=(), unused=())


def test_fewer_shots_lie_inside_more():
    for manifest in (make(), segments(17)):
        lists = [set(choose(manifest, shots, 3).clips) for shots in (2, 4, 8, 16)]
        assert lists[0] < lists[1] < lists[2] < lists[3]


@pytest.mark.parametrize("manifest", [make(), segments()], ids=["videos", "segments"])
def test_the_order_of_the_files_does_not_matter(manifest):
    for seed in range(5):
        assert set(choose(shuffled(manifest, seed), 4).clips) == set(choose(manifest, 4).clips)


def test_seeds_give_different_lists():
    lists = {choose(make(), 2, seed).clips for seed in range(10)}
    assert len(lists) == 10


def test_root_and_unicode_form_do_not_matter():
    names = [f"Hohe_B\u00fclle_{n}" for n in range(40)]
    one = make(classes=("catch",), clips=tuple(Clip(f"catch/{s}.avi", 0, s) for s in names))
    # the same files on a file system that keeps decomposed names
    apart = tuple(
        Clip(unicodedata.normalize("NFD", c.path), 0, unicodedata.normalize("NFD", c.video_id)) for c in one.clips
    )
    other = dataclasses.replace(one, root=Path("/mnt/videos"), clips=apart)
    assert apart[0].path != one.clips[0].path
    assert {c.path for c in choose(one, 3).clips} == set(
        sorted((c.path for c in one.clips), key=lambda p: sha("0", p))[:3]
    )  # composed, NFC, as they stand
    for shots in (1, 3):
        assert [unicodedata.normalize("NFC", c.path) for c in choose(other, shots).clips] == [
            c.path for c in choose(one, shots).clips
        ]


def test_parts_of_videos_are_ranked_with_their_times_and_come_from_different_videos():
    manifest = segments()
    for seed in range(8):
        out = choose(manifest, 6, seed)  # as many as there are videos: of video 0 only one of its two parts of class 0
        paths = [c.path for c in out.clips if c.label == 0]
        assert len(paths) == len(set(paths)) == 6
        (part,) = (c for c in out.clips if c.path.endswith("/V0.mp4") and c.label == 0)
        assert (
            part.start
            == min((1.5, 4.0), (10.0, 12.25), key=lambda t: sha(str(seed), "Charades_v1/V0.mp4", str(t[0]), str(t[1])))[
                0
            ]
        )
    assert len({c for seed in range(8) for c in choose(manifest, 6, seed).clips if c.video_id in ("V0/0", "V0/2")}) == 2
    with pytest.raises(DataError, match=r"'Holding a book' has 6 videos .* 7 shots need 7"):  # 7 parts
        choose(manifest, 7)


def test_a_class_with_too_few_videos():
    manifest = make(5)
    few = dataclasses.replace(
        manifest, clips=tuple(c for c in manifest.clips if c.label != 1 or c.path.endswith("_4.avi"))
    )
    with pytest.raises(
        DataError,
        match=r"hmdb51: class 'cartwheel' has 1 videos in the train split of hmdb51, 2 shots need 2; "
        r"get the whole data set .*data\.shots",
    ):
        choose(few, 2)
    with pytest.raises(DataError, match=r"2 videos of the list are not on disk, get them"):
        choose(dataclasses.replace(few, missing=("x", "y")), 2)
    with pytest.raises(DataError, match="'brush hair' has 0 videos"):
        choose(make(clips=()), 1)


@pytest.mark.parametrize(("shots", "seed"), [(0, 0), (-2, 0), (True, 0), (2.0, 0), (2, -1), (2, "0"), (2, None)])
def test_impossible_shots_and_seeds(shots, seed):
    with pytest.raises(ConfigError, match=r"(shots|seed) must be a whole number"):
        choose(make(), shots, seed)


def test_a_test_split_is_refused():
    for split in ("test", "val"):
        with pytest.raises(ConfigError, match=f"from the training split, got the {split} split"):
            choose(make(split=split), 2)


@pytest.mark.parametrize(("label", "labels"), [(0, (0, 2)), (-1, ()), (3, ())])
def test_clips_without_one_single_class_are_refused(label, labels):
    whole = Clip("V9.mp4", label, "V9", labels)
    with pytest.raises(DataError, match=r"V9\.mp4: has the labels .* one class each"):
        choose(make(clips=(*make().clips, whole)), 2)


# --- what one process each draws ---


def test_union_of_draws():
    manifest = make()
    assert union(manifest, 2, 1, seed=7) == choose(manifest, 2, 7)
    two, eight = union(manifest, 2, 2), union(manifest, 2, 8)
    assert set(choose(manifest, 2).clips) < set(two.clips) < set(eight.clips)
    assert len(eight.clips) == len(set(eight.clips)) and [c for c in manifest.clips if c in eight.clips] == list(
        eight.clips
    )
    for k in range(3):  # 8 draws of 2 out of 20: 11.4 different ones on average
        assert 2 < sum(c.label == k for c in two.clips) <= 4 and 7 <= sum(c.label == k for c in eight.clips) <= 16
    want = {
        p
        for d in ("0", "0.1")
        for p in sorted((c.path for c in manifest.clips if c.label == 1), key=lambda p: sha(d, p))[:2]
    }
    assert {c.path for c in two.clips if c.label == 1} == want
    assert set(union(shuffled(manifest), 2, 8).clips) == set(eight.clips)


def test_the_draws_of_different_seeds_are_different():
    assert not {union(make(200), 2, 2, seed=1).clips} & {union(make(200), 2, 2, seed=0).clips}
    with pytest.raises(ConfigError, match="draws must be"):
        union(make(), 2, 0)


@pytest.mark.parametrize(
    ("full", "chosen", "want"),
    [
        (240_000, 800, 300),
        (9537, 202, 47),
        (3570, 102, 35),
        (3570, 3570, 1),
        (100, 102, 1),
        (203, 102, 1),
        (204, 102, 2),
    ],
)
def test_repeats_of_an_epoch(full, chosen, want):
    assert repeats(full, chosen) == want  # the first three: Kinetics-400, UCF-101 and HMDB-51 with K=2


def test_repeats_of_nothing():
    with pytest.raises(ConfigError, match="chosen clips must be a whole number of at least 1, got 0"):
        repeats(100, 0)


def test_content_tells_all_clips_apart():
    assert content(make(1))[0] == ["brush_hair/Some_clip_0_brush_hair_f_cm_np1_fr_med_0.avi", 0]
    assert content(segments())[0] == ["Charades_v1/V0.mp4", 0, 1.5, 4.0, [0]]
    whole = make(multi_label=True, clips=(Clip("V1.mp4", 0, "V1", (0, 2)), Clip("V2.mp4", -1, "V2")))
    assert content(whole) == [["V1.mp4", 0, [0, 2]], ["V2.mp4", -1, []]]
    for manifest in (make(), segments(), whole):
        assert len({json.dumps(c) for c in content(manifest)}) == len(manifest.clips)


# --- saved lists ---


@pytest.mark.parametrize("manifest", [make(), segments()], ids=["videos", "segments"])
def test_a_saved_list_comes_back(tmp_path, manifest):
    chosen = choose(manifest, 4, 5)
    save_list(tmp_path / "lists" / "k4.json", chosen, 4, 5)
    assert load_list(tmp_path / "lists" / "k4.json", manifest) == chosen
    assert set(load_list(tmp_path / "lists" / "k4.json", shuffled(manifest)).clips) == set(chosen.clips)
    first = (tmp_path / "lists" / "k4.json").read_bytes()
    save_list(tmp_path / "lists" / "k4.json", chosen, 4, 5)
    assert (tmp_path / "lists" / "k4.json").read_bytes() == first


def test_what_a_saved_list_says(tmp_path):
    chosen = choose(make(), 2)
    save_list(tmp_path / "k2.json", chosen, 2, 0)
    data = json.loads((tmp_path / "k2.json").read_text(encoding="utf-8"))
    digest = data.pop("sha256")
    assert data == {
        "dataset": "hmdb51",
        "split": "train",
        "shots": 2,
        "seed": 0,
        "classes": list(CLASSES),
        "clips": {name: [c.path for c in chosen.clips if c.label == k] for k, name in enumerate(CLASSES)},
    }
    assert (
        digest
        == hashlib.sha256(
            json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        ).hexdigest()
    )


def test_a_changed_list_is_refused(tmp_path):
    file, manifest = tmp_path / "k2.json", make()
    save_list(file, choose(manifest, 2), 2, 0)
    text = file.read_text(encoding="utf-8")
    for old, new in (
        (choose(manifest, 2).clips[0].path, choose(manifest, 4, 9).clips[-1].path),
        ('"seed": 0', '"seed": 1'),
        ('"cartwheel"', '"cartwheels"'),
    ):
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(DataError, match=r"k2\.json: was changed after it was written.*write the list again"):
            load_list(file, manifest)
    file.write_text(text.replace("\n", "\r\n"), encoding="utf-8")  # what git may do to a file changes nothing in it
    assert load_list(file, manifest) == choose(manifest, 2)


def test_a_list_of_another_data_set(tmp_path):
    file = tmp_path / "k2.json"
    save_list(file, choose(make(), 2), 2, 0)
    for other, field in (
        (make(name="ucf101"), "dataset 'hmdb51'"),
        (make(classes=CLASSES[::-1]), "classes"),
        (make(split="train2"), "split 'train'"),
    ):
        with pytest.raises(DataError, match=rf"k2\.json: is a list for {field}"):
            load_list(file, other)


def test_a_saved_list_in_another_layout_of_the_same_videos(tmp_path):
    save_list(tmp_path / "k2.json", choose(make(), 2), 2, 0)
    want = [c.video_id for c in choose(make(), 2).clips]
    for other in (
        make(folder=False),
        make(ending=".mp4"),
        make(folder=False, ending=""),
    ):  # flat; converted; folders of frames
        assert [c.video_id for c in load_list(tmp_path / "k2.json", other).clips] == want
    chosen = choose(segments(), 4)
    save_list(tmp_path / "k4.json", chosen, 4, 0)
    frames = [dataclasses.replace(c, path="Charades_v1_rgb/" + c.path[12:-4]) for c in segments().clips]
    assert [c.video_id for c in load_list(tmp_path / "k4.json", segments(clips=tuple(frames))).clips] == [
        c.video_id for c in chosen.clips
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "begins as JSON and is not"),
        ("{}", "field 'dataset' is missing"),
        ('{"a": ' + "9" * 5000 + "}", "begins as JSON and is not"),
        ('{"dataset": "hmdb51", "split": "train", "shots": "2"}', "field 'shots' is missing or no int"),
        ("{" * 100_000, "begins as JSON and is not"),
    ],
)
def test_json_that_is_no_list(tmp_path, text, message):
    (tmp_path / "k.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"k\.json: {message}"):
        load_list(tmp_path / "k.json", make())


def sign(body):
    return json.dumps(
        {
            **body,
            "sha256": hashlib.sha256(
                json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
            ).hexdigest(),
        }
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": 3}, r"says 3 shots and lists 2 clips per class"),
        ({"clips": {}}, "class 'brush hair' has 0 clips"),
        (
            {"clips": {"brush hair": [5]}},
            r"class 'brush hair', entry 1: expected a path or \[path, start, end\], got 5",
        ),
        (
            {"clips": {"brush hair": ["../../etc/passwd"]}},
            r"class 'brush hair', entry 1: '\.\./\.\./etc/passwd' is not a path below",
        ),
        (
            {"clips": {"brush hair": ["brush_hair/none.avi"]}},
            r"class 'brush hair', entry 1: brush_hair/none\.avi is not among the 60 videos",
        ),
        (
            {"clips": {"cartwheel": [make().clips[0].path]}},
            r"is listed as class 1 \('cartwheel'\), the data set says 0 \('brush hair'\)",
        ),
        ({"clips": {"brush hair": [make().clips[0].path] * 2}}, r"entry 2: .* is listed already: .*entry 1"),
        (
            {"clips": {"brush hair": [[make().clips[0].path, 0.0, 1.0]]}},
            r"entry 1: .* has no part of class 'brush hair' from 0\.0 to 1\.0 seconds",
        ),
    ],
)
def test_a_list_with_a_right_hash_and_wrong_content(tmp_path, change, message):
    save_list(tmp_path / "k2.json", choose(make(), 2), 2, 0)
    body = json.loads((tmp_path / "k2.json").read_text(encoding="utf-8"))
    del body["sha256"]
    (tmp_path / "k2.json").write_text(sign({**body, **change}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_list(tmp_path / "k2.json", make())


def test_saving_what_is_no_few_shot_list(tmp_path):
    with pytest.raises(DataError, match=r"has 2 clips per class, not 4"):
        save_list(tmp_path / "k.json", choose(make(), 2), 4, 0)
    with pytest.raises(DataError, match=r"class .* clips and class .*; every class needs the same number"):
        save_list(tmp_path / "k.json", union(make(), 2, 8), 2, 0)
    with pytest.raises(DataError, match="two classes have the same name"):
        save_list(tmp_path / "k.json", choose(make(classes=("a", "a")), 2), 2, 0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(SfarError, match="cannot write"):
        save_list(tmp_path / "file" / "k.json", choose(make(), 2), 2, 0)


def test_a_segment_that_the_data_set_has_twice(tmp_path):
    twice = segments(3)
    twice = dataclasses.replace(twice, clips=(twice.clips[0], *twice.clips))
    chosen = choose(twice, 3)
    assert len(chosen.clips) == len(set(chosen.clips)) == 6
    save_list(tmp_path / "k.json", chosen, 3, 0)
    assert load_list(tmp_path / "k.json", twice) == chosen


# --- the X-CLIP family's text lists ---


def lines(manifest, chosen, form="{name} {label}"):
    out = [
        form.format(path=c.path, name=Path(c.path).name, stem=c.video_id, label=c.label, word=manifest.classes[c.label])
        for c in chosen.clips
    ]
    return sorted(out, key=lambda line: sha(line))  # any order


@pytest.mark.parametrize(
    "form",
    [
        "{name} {label}",
        "{path} {label}",
        "{stem} {label}",
        "{name}\t{label}",
        "  {name}   {label} ",
        "other/folder/{name} {label}",
        "brush_hair\\{name} {label}",
        "{name} {word}",
        "{path} {word}",
        "{path} 87 {label}",
        "{stem} 1 87 {label}",
        "{name}\t87\t{word}",
        "{path},{label}",
        "{path};{word}  ",
        '"{path}", "{word}"',
        "{name},87,{label}",
        '"{path}" {label}',
        "'{name}'\t{label}\t",
        "{stem}.mp4.mkv {label}",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_text_lists(tmp_path, form, end):
    manifest, chosen = make(), choose(make(), 4, 11)
    (tmp_path / "train1_few_shot_4.txt").write_bytes(end.join(lines(manifest, chosen, form)).encode())
    out = load_list(tmp_path / "train1_few_shot_4.txt", manifest)
    assert out == chosen and shots_of(out) == 4


@pytest.mark.parametrize("header", ["path,label", "Video; Class", "video_path total_frames label", '"name","label"'])
def test_a_header_is_no_video(tmp_path, header):
    manifest, chosen = make(), choose(make(), 2)
    separator = next(s for s in ";, " if s in header)
    form = separator.join(["{path}", "{label}"])
    (tmp_path / "k.csv").write_text("\n".join([header, *lines(manifest, chosen, form)]), encoding="utf-8-sig")
    assert load_list(tmp_path / "k.csv", manifest) == chosen


def test_numbers_and_commas_that_are_parts_of_names(tmp_path):
    names = ["take 1", "take 1 7", "take", "wave, 2"]
    manifest = make(classes=("a", "b"), clips=tuple(Clip(f"x/{n}.avi", i % 2, n) for i, n in enumerate(names)))
    (tmp_path / "k.txt").write_text("take 1 0\ntake 1 7 1\nx/take.avi 99 0\nwave, 2.avi 1\n")
    assert load_list(tmp_path / "k.txt", manifest) == manifest


def test_a_list_that_is_a_link_to_nothing(tmp_path):
    (tmp_path / "k.txt").symlink_to("lists/k.txt")
    with pytest.raises(DataError, match=r"k\.txt: is a link to lists/k\.txt, which is not there; give the path"):
        load_list(tmp_path / "k.txt", make())


def test_a_text_list_with_names_as_hmdb51_has_them(tmp_path):
    names = [
        "#122_Fwd_roll_somersault_f_cm_np1_ri_med_0",
        "kick__Best_to_the_nuts!_kick_f_cm_np1_ba_goo_0",
        "Iai_(The_girl)_part_1_draw_sword_f_cm_np1_le_med_2",
        "Hohe_B\u00fclle_catch_f_cm_np1_ba_med_2",
        "Does_20+_Pull_Ups v1.2_pullup_f_cm_np1_fr_med_0",
        "ride bike 3",
    ]
    manifest = make(classes=("a b", "b"), clips=tuple(Clip(f"x/{n}.avi", i % 2, n) for i, n in enumerate(names)))
    text = "\ufeff" + "".join(
        f"{unicodedata.normalize('NFD', n)}.avi {('A_B', 'b')[i % 2]}\n" for i, n in enumerate(names)
    )
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    assert load_list(tmp_path / "list.txt", manifest) == manifest


def test_ucf101_numbers_are_the_order_of_class_ind(tmp_path):
    # The family's UCF-101 lists: 34 Hammering, 35 HammerThrow, 46 JumpingJack, 47 JumpRope; plain sorting would swap
    # some of them.
    names = class_names("ucf101")
    assert [names[k] for k in (34, 35, 46, 47)] == ["hammering", "hammer throw", "jumping jack", "jump rope"]

    def folder(k):
        return "".join(w.capitalize() for w in names[k].split())

    clips = tuple(
        Clip(f"{folder(k)}/v_{folder(k)}_g{g:02d}_c01.avi", k, f"v_{folder(k)}_g{g:02d}_c01")
        for k in range(101)
        for g in (8, 9, 10)
    )
    manifest = make(classes=names, clips=clips, name="ucf101")
    (tmp_path / "k.txt").write_text(
        "".join(f"{Path(c.path).name} {c.label}\r\n" for c in clips if "_g09_" not in c.path), encoding="utf-8"
    )
    out = load_list(tmp_path / "k.txt", manifest)
    assert len(out.clips) == 202 and shots_of(out) == 2
    (tmp_path / "k.txt").write_text(
        "".join(f"{c.path} {folder(c.label)}\n" for c in out.clips), encoding="utf-8"
    )  # CamelCase names
    assert load_list(tmp_path / "k.txt", manifest) == out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nowhere.avi 0", r"line 3: nowhere\.avi is not among the 60 videos of the train split of hmdb51"),
        (
            "cartwheel/lost.avi 1",
            r"line 3: cartwheel/lost\.avi is not on disk \(expected /data/hmdb51/cartwheel/lost\.avi\)",
        ),
        ("elsewhere/lost.avi 1", r"line 3: elsewhere/lost\.avi is not on disk"),
        ("lost 1", r"line 3: lost is not on disk"),
        ("lost.mp4 1", r"line 3: lost\.mp4 is not on disk"),
        (
            "{first} 1",
            r"line 3: .* is listed as class 1 \('cartwheel'\), the data set says 0 \('brush hair'\); "
            r"numbers count from 0",
        ),
        ("{first} cartwheel", r"line 3: .* is listed as class 1"),
        ("{first} 3", r"line 3: label 3; hmdb51 has 3 classes, numbered from 0 to 2"),
        ("{first} -1", r"line 3: .* does not end with a class"),
        ("{first}", r"line 3: .* does not end with a class"),
        ("0", "line 3: '0' does not end with a class"),
        ("{first} juggling", r"line 3: .* does not end with a class"),
        ("{first} " + "1" * 5000, "line 3: .* does not end with a class"),
        ("{first} 0", r"line 3: .* is listed already: .*line 1"),
        ("elsewhere/{name} 0", r"line 3: .* is listed already: .*line 1"),
        ("/etc/passwd 0", r"line 3: '/etc/passwd' is not a path below the data root"),
        ("../x.avi 0", r"line 3: '\.\./x\.avi' is not a path"),
        (
            "{other} 0",
            "not a few-shot list: class 'cartwheel' has 0 clips and class 'brush hair' 2; "
            "every class needs the same number",
        ),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    manifest = make(missing=("cartwheel/lost.avi",))
    first, other = (
        c.path
        for c in manifest.clips
        if c.label == 0 and "_clip_1_" not in c.path and ("_clip_0_" in c.path or "_clip_2_" in c.path)
    )
    (tmp_path / "list.txt").write_text(
        f"{first} 0\n\n" + line.format(first=first, other=other, name=Path(first).name) + "\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"list\.txt:? " + message):
        load_list(tmp_path / "list.txt", manifest)


def test_names_that_two_videos_have(tmp_path):
    clips = (
        Clip("a/x.avi", 0, "x"),
        Clip("b/x.avi", 1, "x"),
        Clip("a/sub/y.avi", 0, "y"),
        Clip("a/y.avi", 0, "y"),
        Clip("b/z.avi", 1, "z"),
    )
    manifest = make(classes=("a", "b"), clips=clips)
    (tmp_path / "k.txt").write_text("x.avi 0\nx.avi 1\n", encoding="utf-8")  # the class tells them apart
    assert [c.path for c in load_list(tmp_path / "k.txt", manifest).clips] == ["a/x.avi", "b/x.avi"]
    (tmp_path / "k.txt").write_text("y.avi 0\nz.avi 1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1: y\.avi could be 2 clips \(a/sub/y\.avi, a/y\.avi\); give the path"):
        load_list(tmp_path / "k.txt", manifest)
    (tmp_path / "k.txt").write_text("a/y.avi 0\nz.avi 1\n", encoding="utf-8")
    assert [c.path for c in load_list(tmp_path / "k.txt", manifest).clips] == ["a/y.avi", "b/z.avi"]


def test_text_lists_of_parts_need_times(tmp_path):
    (tmp_path / "k.txt").write_text("V0.mp4 0\nV1.mp4 1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1: V0\.mp4 could be 2 clips .*a list that this program saved"):
        load_list(tmp_path / "k.txt", segments())
    (tmp_path / "k.txt").write_text("V2.mp4 0\nV1.mp4 1\n", encoding="utf-8")
    assert [(c.video_id, c.label) for c in load_list(tmp_path / "k.txt", segments()).clips] == [
        ("V1/1", 1),
        ("V2/0", 0),
    ]


def test_files_that_are_no_lists(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        load_list(tmp_path / "none.txt", make())
    with pytest.raises(DataError, match="cannot be read as a text file"):
        load_list(tmp_path, make())
    for text, message in (
        (b"", "names no video"),
        (b"\n \r\n", "names no video"),
        (b"\xff\xfe\x00b", "cannot be read as a text file in UTF-8"),
    ):
        (tmp_path / "k.txt").write_bytes(text)
        with pytest.raises(DataError, match=rf"k\.txt: {message}"):
            load_list(tmp_path / "k.txt", make())
    with pytest.raises(ConfigError, match="the val split"):
        load_list(tmp_path / "k.txt", make(split="val"))


# --- manifests as the readers make them ---


def test_hmdb51_on_disk(tmp_path):
    for name in ("brush_hair", "climb", "climb_stairs"):
        (tmp_path / "hmdb51_org" / name).mkdir(parents=True)
        (tmp_path / "testTrainMulti_7030_splits").mkdir(exist_ok=True)
        files = [f"#{n}_clip_{name}_f_cm_np1_fr_med_{n}.avi" for n in range(6)]
        for file in files:
            (tmp_path / "hmdb51_org" / name / file).touch()
        (tmp_path / "testTrainMulti_7030_splits" / f"{name}_test_split1.txt").write_text(
            "".join(f"{f} {1 if n < 5 else 2} \n" for n, f in enumerate(files)), encoding="utf-8"
        )
    manifest = read_hmdb51(tmp_path, "train")
    chosen = choose(manifest, 2)
    save_list(tmp_path / "k2.json", chosen, 2, 0)
    (tmp_path / "k2.txt").write_bytes("\r\n".join(lines(manifest, chosen)).encode())
    assert (
        shots_of(chosen) == 2
        and load_list(tmp_path / "k2.json", manifest) == load_list(tmp_path / "k2.txt", manifest) == chosen
    )
    lost = chosen.clips[0]
    (tmp_path / lost.path).unlink()
    manifest = read_hmdb51(tmp_path, "train")
    assert manifest.missing
    for file in ("k2.json", "k2.txt"):
        with pytest.raises(DataError, match=rf"{file}.*{lost.video_id}\.avi is not on disk"):
            load_list(tmp_path / file, manifest)
    assert choose(manifest, 2).missing == ()  # the next by rank comes up
    with pytest.raises(DataError, match=r"'brush hair' has 4 videos .* 1 videos of the list are not on disk"):
        choose(manifest, 5)


def test_charades_on_disk(tmp_path):
    (tmp_path / "Charades").mkdir()
    (tmp_path / "Charades_v1_480").mkdir()
    (tmp_path / "Charades" / "Charades_v1_classes.txt").write_bytes(
        b"c000 Holding some clothes\r\nc001 Putting clothes somewhere\r\n"
    )
    head = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\r\n"
    for part, names in (("train", "ABCD"), ("test", "EF")):
        rows = "".join(
            f"{n}0000,S1,Kitchen,6,7,Yes,script,,text,c000 0.00 {5 + i}.50;c001 3.10 9.00;c000 8.00 11.20,30.00\r\n"
            for i, n in enumerate(names)
        )
        (tmp_path / "Charades" / f"Charades_v1_{part}.csv").write_bytes((head + rows).encode())
        for n in names:
            (tmp_path / "Charades_v1_480" / f"{n}0000.mp4").touch()
    manifest = read_charades(tmp_path, "train")
    assert len(manifest.clips) == 12
    chosen = choose(manifest, 4)
    assert shots_of(chosen) == 4 and all(len({c.path for c in chosen.clips if c.label == k}) == 4 for k in range(2))
    save_list(tmp_path / "k4.json", chosen, 4, 0)
    assert load_list(tmp_path / "k4.json", manifest) == chosen
    with pytest.raises(DataError, match="one class each"):
        choose(read_charades(tmp_path, "train-videos"), 2)
