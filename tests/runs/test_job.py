"""A job's key: what makes it another run and what does not; how much work it is."""

import os
import shutil
from pathlib import Path

import pytest
from small_sets import SOLE, at

from sfar.config import SETTINGS, get_profile
from sfar.data.fewshot import choose, save_list
from sfar.data.source import Dataset, dataset, few_shot_manifest
from sfar.runs.job import Job

# --- keys ----------------------------------------------------------------------------------------------------------

DATA = Dataset("kinetics400", Path("nowhere"), "fingerprint", SOLE["kinetics400"], True)


# Fields that say how the work is laid out, with another value than their own.
LAID_OUT = {"train.checkpoint_activations": True, "train.compile": True, "train.micro_batch": 2}


def key(overrides=None, method="sfar", seed=0, views="1x1"):
    return Job(get_profile("storyboard", overrides), DATA, method, seed, views).key()


def test_what_does_not_change_a_key():
    assert (
        key({"frozen_seeds": [4, 5]})
        == key({"seeds": [4, 5]})
        == key()
        == key({"train.frozen_draws": 2})
        == key({"train.few_shot_epoch": "once"})
        == key({"data.decode_limit": 0, "data.loader_workers": 3})
    ), "read in other runs only"
    assert {k for k, s in SETTINGS.items() if s.laid_out} == set(LAID_OUT)
    for field, value in LAID_OUT.items():
        assert key({field: value}) == key(), "how the work is laid out"
        assert key({field: value}, "vanilla") == key(method="vanilla")
    assert key(method="vanilla", seed=1) == key(
        {"data.shots": 2, "train.few_shot_epoch": "once", "train.train_visual": False, "data.replicate": 3}, "vanilla"
    ), "nothing is trained"


@pytest.mark.parametrize(
    "change",
    [
        {"data.shots": 2},
        {"data.replicate": 1},
        {"data.world_irrelevant": 0.2},
        {"train.train_visual": False},
        {"train.epochs": 1},
        {"train.frames": 4},
        {"train.crop_area": [0.1, 1]},
        {"data.max_bad_share": 0.5},
        {"model.prompt": "{}"},
    ],
)
def test_what_does(change):
    assert key(change) != key()


def test_what_does_where_it_is_read():
    frozen, shots = {"train.train_visual": False}, {"data.shots": 2}
    assert key({**frozen, "train.frozen_draws": 2}) != key(frozen)
    assert (
        len(
            {
                key(shots),
                key({**shots, "train.few_shot_epoch": "once"}),
                key({**shots, "data.shot_seed": 1}),
                key({**shots, "data.shot_draws": 2}),
            }
        )
        == 4
    )


def test_a_local_weights_file_counts_by_its_content(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"1")
    (tmp_path / "b.pt").write_bytes(b"1")

    def weights(name):
        profile = get_profile("paper", {"model.pretrained": str(tmp_path / name)})
        return Job(profile, DATA, "clip", 0).inputs()["weights"]

    assert weights("a.pt") == weights("b.pt")
    before = weights("a.pt")
    (tmp_path / "a.pt").write_bytes(b"2")
    os.utime(tmp_path / "a.pt", ns=(1, 1))
    assert weights("a.pt") != before


def test_the_lists_of_a_data_set_count():
    import dataclasses

    assert Job(get_profile("storyboard"), dataclasses.replace(DATA, lists="others"), "sfar", 0).key() != key()


def test_each_data_set_of_other_classes_is_looked_up_by_what_is_given(roots):
    asked = []

    def find(profile):
        asked.append(profile.data.dataset)
        return dataset(at(roots, "ucf101"))

    job = Job(get_profile("storyboard"), DATA, "clip", 0, zero_shot=("storyboard-ucf101",))
    other = dataset(at(roots, "ucf101"))
    assert job.inputs(find)["zero_shot"] == [["storyboard-ucf101", other.fingerprint]]
    assert asked == ["storyboard-ucf101"] and job.key(find) != key(method="clip")


def test_cost_counts_work():
    def cost(method, *sizes, views="1x1", zero_shot=(), changes=None):
        return Job(get_profile("storyboard", changes), DATA, method, 0, views, zero_shot).cost(*sizes)

    assert cost("vanilla", 8, 4) == 4 and cost("clip", 8, 4) == 3 * 8 * 3 + 4
    assert cost("sfar", 8, 4, views="4x3") == 3 * 8 * 3 + 4 * 13
    assert cost("sfar", 8, 4, zero_shot=("a", "b")) == 3 * 8 * 3 + 4 * 3
    assert cost("clip", 8, 4, changes={"train.train_visual": False}) < 10


def test_a_list_from_a_file(roots, tmp_path):
    p = at(roots)
    data = dataset(p)
    chosen = choose(few_shot_manifest(p, data), 1, 9)
    save_list(tmp_path / "list.json", chosen, 1, 9)
    given = at(roots, **{"data.shot_list": str(tmp_path / "list.json")})
    assert [c.path for c in few_shot_manifest(given, data).clips] == [c.path for c in chosen.clips]
    key = Job(given, data, "clip", 0).key()
    shutil.move(tmp_path / "list.json", tmp_path / "moved.json")
    moved = at(roots, **{"data.shot_list": str(tmp_path / "moved.json")})
    assert Job(moved, data, "clip", 0).key() == key, "the list counts, not its name"
    save_list(tmp_path / "moved.json", choose(few_shot_manifest(p, data), 1, 10), 1, 10)
    assert Job(moved, data, "clip", 0).key() != key
