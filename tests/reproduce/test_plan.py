"""The plan of a run: it says what is there and what is missing, sources follow values, estimates follow from shapes.

Nothing is written.
"""

import shutil
from pathlib import Path

import huggingface_hub
import open_clip
import pytest
import tiny
import torch
from safetensors.torch import save_file

from sfar.cli.main import main
from sfar.config import PROFILES, get_profile, values
from sfar.data import layouts
from sfar.data.source import dataset
from sfar.data.store import decoded_bytes
from sfar.errors import ConfigError
from sfar.model import cost
from sfar.reproduce import plan, ready
from sfar.storyboard.scripts import KINETICS
from sfar.storyboard.write import write_kinetics
from sfar.studies.core import record
from sfar.util import paths

B16, L14 = cost.ARCHS
RANDOM = {"model.pretrained": ""}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two classes, 3 + 2 videos each, in the Kinetics layout."""
    folder = tmp_path_factory.mktemp("data") / "k400"
    write_kinetics(folder, 7, 3, 2, classes=("long jump", "making pizza"), workers=1)
    return folder


def made(root, **overrides):
    return plan.plan("table1", get_profile("paper", {"data.root": str(root), **RANDOM, **overrides}))


def config_of(arch):
    config = open_clip.get_model_config(arch)
    assert config is not None
    return config


def paper(pretrained, clip=B16):
    return get_profile("paper", {"model.clip": clip, "model.pretrained": pretrained})


# --- the whole -----------------------------------------------------------------------------------------------------


def test_everything_is_there(root):
    p = made(root)
    assert p.wrong == [] and p.text.startswith("Plan of table1, profile paper")
    for words in (
        "| train | 6 ",
        "| val   | 4 ",
        "240,258 videos on disk (here 6)",
        "2 classes (published: 400)",
        "drawn at random",
        "N = 4 for each of 2 classes",
        "30 x 6 clips",
        "1x1 and 4x3",
        "estimated, not measured",
        "A step of 6 videos x 8 frames",
        "Table 5, row 7",
        "results/runs/",
        "Everything that the run needs",
    ):
        assert words in p.text, words


def test_the_drawn_world(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    p = plan.plan("table1", PROFILES["storyboard"])
    assert (
        p.wrong == []
        and "25 classes, 600 training and 800 test videos" in p.text
        and "results/storyboard" in p.text
        and "committed: " in p.text
    )
    assert not list(tmp_path.iterdir()), "a plan draws and writes nothing"


@pytest.mark.parametrize(
    "dataset, words",
    [
        ("storyboard-ucf101", "10 classes, 20 training and 320 test videos\n  few-shot list: "),
        ("storyboard-charades", "20 classes, 240 training and 320 test videos"),
    ],
)
def test_drawn_sets_in_other_layouts(dataset, words):
    if dataset == "storyboard-ucf101":
        p = plan.plan(
            "table1", get_profile("storyboard", {"data.dataset": dataset, "data.train_per_class": 2, "data.shots": 1})
        )
        assert "few-shot list: 10 clips, 2 times in an epoch" in p.text
    else:
        p = plan.plan("table2a", get_profile("storyboard", {"data.dataset": dataset}))
        assert "table2a lists its own" in p.text
    assert words in p.text and p.wrong == []


def test_all_that_is_missing_is_said_at_once(root, tmp_path):
    copy = tmp_path / "k400"
    shutil.copytree(root, copy)
    for path in (copy / "val").rglob("*.mp4"):
        path.unlink()
        break
    p = made(copy, **{"model.pretrained": "/no/such/weights.pt", "model.subtexts": "/no/such/texts.json"})
    assert len(p.wrong) == 3
    assert (
        "1 of 4 val videos are not on disk (25.0%; data.max_bad_share allows 5.0%)" in p.wrong[0]
        and "--set data.max_bad_share=0.26" in p.wrong[0]
    )
    assert "/no/such/weights.pt" in p.wrong[1] and "neither a file nor weights" in p.wrong[1] and "openai" in p.wrong[1]
    assert "/no/such/texts.json" in p.wrong[2]
    assert (
        p.text.count("Missing: ") == 3 and "Everything that the run needs" not in p.text and "Table 5, row 7" in p.text
    )
    assert "not on disk (val): val/" in p.text
    assert made(copy, **{"data.max_bad_share": 0.26}).wrong == []


def test_no_data(tmp_path):
    p = plan.plan("table1", get_profile("paper", RANDOM))
    assert len(p.wrong) == 1 and "DATA=/path" in p.wrong[0] and "Runs" not in p.text
    assert "no such folder" in made(tmp_path / "none").wrong[0]


def test_a_class_without_a_training_video(root, tmp_path):
    copy = tmp_path / "k400"
    shutil.copytree(root, copy)
    lists = copy / "annotations" / "train.csv"
    gone = [line.split(",") for line in lists.read_text().splitlines() if line.startswith("long jump")]
    for row in gone:
        (video,) = (copy / "train").rglob(f"{row[1]}_*")
        video.unlink()
    p = made(copy, **{"data.max_bad_share": 0.6})
    assert any("no training video of long jump" in w for w in p.wrong)


def test_a_tower_that_is_not_known_is_said_once(root):
    assert [w[:20] for w in made(root, **{"model.clip": "ViT-X"}).wrong] == ["unknown CLIP 'ViT-X'"]


def test_few_shot(root):
    p = made(root, **{"data.shots": 1})
    assert p.wrong == [] and "few-shot list: 2 clips, 3 times in an epoch" in p.text
    assert "has 3" in made(root, **{"data.shots": 9}).wrong[0]


# --- the command ---------------------------------------------------------------------------------------------------


def test_dry_run(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))
    argv = ["reproduce", "table1", "--profile", "paper", "--dry-run", "--set", "model.pretrained="]
    assert main([*argv, "--data", str(root)]) == 0
    assert "Plan of table1" in capsys.readouterr().out
    assert main(argv) == 1
    assert "Missing: profile 'paper' needs the data set kinetics400" in capsys.readouterr().out
    assert (
        main(["reproduce", "table1", "--profile", "paper", "--data", str(root), "--set", "model.pretrained=none.pt"])
        == 2
    )
    out, err = capsys.readouterr()
    assert "Plan of table1" in out and err.startswith("sfar: model.pretrained='none.pt'") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# --- weights -------------------------------------------------------------------------------------------------------


def test_weights_offline_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CLIP_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = f"'openai' of {B16} are not in {tmp_path}, and HF_HUB_OFFLINE forbids.*SFAR_CLIP_CACHE.*model.pretrained="
    with pytest.raises(ConfigError, match=message):
        ready.weights(paper("openai"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket", None)  # asked of nobody
    assert f"not in {tmp_path}; fetched from timm/vit_base_patch16_clip_224.openai/" in ready.weights(paper("openai"))


@pytest.fixture
def small(monkeypatch):
    """An open_clip model of 32 pixels under the name of ViT-B/16: its weights are written in a moment."""
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: {**tiny.CONFIG, "quick_gelu": True})
    from open_clip import factory

    monkeypatch.setattr(factory, "get_model_config", open_clip.get_model_config)
    return lambda pretrained: get_profile("paper", {"model.pretrained": pretrained, "data.image_size": tiny.SIZE})


def test_weights_kept_in_the_cache_folder(tmp_path, monkeypatch, small):
    monkeypatch.setenv("SFAR_CLIP_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--timm--vit_base_patch16_clip_224.openai"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    file = repository / "snapshots" / "abc" / "open_clip_model.safetensors"
    save_file(tiny.clip().state_dict(), file)
    assert f"at hand in {tmp_path}" in ready.weights(small("openai")) and "read and complete" in ready.weights(
        small("openai")
    )
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=r"open_clip_model\.safetensors does not hold the weights"):
        ready.weights(small("openai"))


def test_weights_from_a_file(tmp_path, small):
    save_file(tiny.clip().state_dict(), tmp_path / "own.safetensors")
    assert "own.safetensors" in ready.weights(small(str(tmp_path / "own.safetensors")))
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ConfigError, match=r"other\.pt does not hold the weights"):
        ready.weights(small(str(tmp_path / "other.pt")))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model.clip": "ViT-B-16"}, "use 'ViT-B-16-quickgelu'"),
        ({"model.clip": "ViT-X"}, "unknown CLIP 'ViT-X'"),
        ({"data.image_size": 336}, "takes 224 pixels"),
        ({"model.pretrained": "laion"}, "neither a file nor weights"),
    ],
)
def test_weights_that_do_not_fit(changes, words):
    with pytest.raises(ConfigError, match=words):
        ready.weights(get_profile("paper", changes))


# --- configuration -------------------------------------------------------------------------------------------------


def test_sources_follow_the_value():
    def say(key, name="paper", **o):
        return plan.source(get_profile(name, {k.replace("__", "."): v for k, v in o.items()}), key)

    assert say("train.epochs") == "section 4.1; Table 5, row 7"
    assert say("train.epochs", train__epochs=3) == "set here; paper profile: 30 (section 4.1; Table 5, row 7)"
    assert say("train.epochs", "storyboard") == "the storyboard world; paper profile: 30 (section 4.1; Table 5, row 7)"
    assert "10 on the others" in say("train.epochs", data__dataset="ucf101", data__shots=2, train__epochs=10)
    assert say("train.epochs", data__dataset="charades", train__epochs=20).startswith("BIKE configs/charades")
    assert say("train.frames", data__dataset="charades", train__frames=16).startswith("section 4.2")
    assert say("data.root", data__root="/x") == "yours"


def test_the_table_can_be_given_back(root):
    """The values are written as --set takes them."""
    from sfar.cli.options import json_or_text

    text = plan._configuration(PROFILES["paper"])
    rows = dict(line.split("|")[1:3] for line in text.splitlines()[2:])
    shown = {k.strip(): v.strip() for k, v in rows.items()}
    for key in ("train.lr_clip", "train.precision", "model.frame_temperature", "train.epochs", "model.attention"):
        assert json_or_text(shown[key]) == values(PROFILES["paper"])[key]


def written(profile):
    return plan._written("table1", profile, [], 1)


def test_where_it_is_written(root):
    p = get_profile("paper", {"data.root": str(root)})
    assert "results/paper" in written(p) and "not the standard" not in written(p)
    other = get_profile("paper", {"data.root": str(root), "train.epochs": 1})
    assert record.folder(other).name in written(other) and "not the standard" in written(other)


# --- estimates -----------------------------------------------------------------------------------------------------


def test_macs_are_those_of_the_cost_columns():
    for arch in cost.ARCHS:
        assert cost.clip_macs(config_of(arch), 8, 224) == pytest.approx(1e9 * cost.macs(arch)["totals"][cost.COMPLETE])
    with pytest.raises(ConfigError, match="vision transformers"):
        cost.clip_macs(config_of("RN50"), 8, 224)


@pytest.mark.parametrize("layers", [1, 3])
def test_activations_are_those_that_autograd_keeps(layers):
    """Counted on a processor in single precision; a GPU under bf16 keeps the same tensors, the norms' inputs apart."""
    config = {
        **tiny.CONFIG,
        "quick_gelu": True,
        "vision_cfg": {**tiny.CONFIG["vision_cfg"], "width": 64, "head_width": 16, "layers": layers, "mlp_ratio": 4.0},
    }
    clip = open_clip.CLIP(**config).train()
    own, kept = {p.untyped_storage().data_ptr() for p in clip.parameters()}, {}

    def pack(t):
        if t.untyped_storage().data_ptr() not in own:
            kept[t.untyped_storage().data_ptr()] = t  # alive, or its memory would be given to another
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        clip.encode_image(torch.randn(8, 3, tiny.SIZE, tiny.SIZE))
    counted = sum(t.untyped_storage().nbytes() for t in kept.values())
    told = cost.training_memory(config, 8, 1, tiny.SIZE, 2, half=False)
    assert counted == pytest.approx(told["activations"] + told["frames"], rel=0.15)


def test_memory_grows_with_what_it_is_of():
    b16 = config_of(B16)
    full = cost.training_memory(b16, 256, 8, 224, 400)
    assert 150e9 < full["activations"] < 200e9 and full["weights"] > 4 * 149_620_737
    assert cost.training_memory(b16, 32, 8, 224, 400)["activations"] == pytest.approx(full["activations"] / 8)
    few = cost.training_memory(b16, 256, 8, 224, 400, checkpointed=True)
    assert few["activations"] < 0.2 * full["activations"] and {k: v for k, v in few.items() if k != "activations"} == {
        k: v for k, v in full.items() if k != "activations"
    }
    frozen = cost.training_memory(b16, 256, 8, 224, 400, train_visual=False)
    assert frozen["activations"] == 0 and frozen["gradients and Adam"] < 0.05 * full["gradients and Adam"]
    assert cost.training_memory(config_of(L14), 256, 8, 224, 400)["activations"] > 3 * full["activations"]


def test_the_paper_at_its_own_size():
    """Kinetics-400 as published, one H100: hours by hand from the assumptions that are printed."""
    p = PROFILES["paper"]
    sizes = plan._Sizes(plan.Dataset("kinetics400", Path(), "", tuple(KINETICS), False), 240_258, 1, 19_881)
    jobs, _ = plan._runs("table1", p, sizes)
    assert jobs is not None
    train, test, read_train, read_test = plan._work(p, sizes, jobs)
    clip = 2 * 140.508e9
    assert train == pytest.approx(5 * 4 * 30 * 240_258 * clip, rel=1e-4)  # five methods, four passes
    assert test == pytest.approx((6 + 2 * 12) * 19_881 * clip, rel=1e-4)
    assert read_train == pytest.approx(5 * 30 * 240_258 * plan.READ_SECONDS) and read_test == pytest.approx(
        8 * 19_881 * plan.READ_SECONDS
    )
    text = plan._estimate(p, sizes, jobs)
    seconds = max(train / (0.4 * 989e12), read_train / 8) + max(test / (0.4 * 989e12), read_test / 8)
    assert f"{seconds / 3600:,.1f}" in next(line for line in text.splitlines() if "H100" in line)
    assert "at most" not in next(line for line in text.splitlines() if "H200" in line)
    without = get_profile("paper", {"train.checkpoint_activations": False})
    assert "does not fit" in plan._estimate(without, sizes, jobs)


def test_what_is_decoded_beforehand_and_what_is_not(root):
    """As a run decides it; the sizes of two classes' few videos, all of which are looked at."""
    p = get_profile("paper", {"data.root": str(root), **RANDOM})
    use = plan._Use(p)
    sizes, _ = plan._data(use, [], ["kinetics400"])
    sizes.decoded = plan._decoded(use)
    data = dataset(p)
    for side in ("train", "val"):
        need = decoded_bytes(data.manifest(side), 256)
        assert sizes.decoded[side] == need > 0
        for limit, stored in ((1.01 * need / 1e9, True), (0.99 * need / 1e9, False), (0, False)):
            at = get_profile("paper", {"data.root": str(root), **RANDOM, "data.decode_limit": limit})
            line = next(x for x in plan._reading(at, sizes, []).splitlines() if x.startswith(TITLES[side]))
            assert ("decoded beforehand" in line) is stored and f"{need / 1e9:,.1f} GB" in line
            assert plan._read_each_time(at, sizes, side) is not stored
    jobs, _ = plan._runs("table1", p, sizes)
    assert jobs is not None
    assert plan._work(p, sizes, jobs)[2:] == (0, 0), "decoded once, they cost no reading"


TITLES = {"train": "training videos", "val": "test videos"}


def test_embeddings_of_a_frozen_tower(monkeypatch):
    """Kinetics-400 as published: four versions of 240,258 clips x 8 frames x 512 numbers of 4 bytes."""
    p = get_profile("paper", {"train.train_visual": False, "data.root": "/somewhere"})
    sizes = plan._Sizes(
        plan.Dataset("kinetics400", Path(), "", tuple(KINETICS), False),
        240_258,
        1,
        19_881,
        {"train": 1e14, "val": 1e13},
    )
    draws, wrong = p.train.frozen_draws, []
    monkeypatch.setattr(plan.paths, "free", lambda folder: 1e13)
    text = plan._reading(p, sizes, wrong)
    held = 4 * 8 * 512 * (draws * 240_258 + 19_881)
    assert f"{4 * 8 * 512 * draws * 240_258 / 1e9:.1f} GB of training clips, 0.3 GB of test clips" in text
    assert (
        "training videos: read once" in text and "10,000 GB" in text and "14.5 hours of one core" in text and not wrong
    )
    monkeypatch.setattr(plan.paths, "free", lambda folder: 1.9 * held)
    plan._reading(p, sizes, wrong)
    assert len(wrong) == 1 and "SFAR_CACHE" in wrong[0] and f"need {2 * held / 1e9:.1f} GB" in wrong[0]


def test_the_published_copy_is_not_refused():
    """Videos vanish: CVDF's own copy lacks 2.5 % of the training list, which must not end the run."""
    for expected in layouts.COUNTS["kinetics400"].values():
        found, listed = (e.number for e in expected)
        assert 1 - found / listed < PROFILES["paper"].data.max_bad_share


def test_the_table_of_the_documentation_is_that_of_the_code():
    text = (paths.PROJECT / "docs" / "TRAINING.md").read_text(encoding="utf-8")
    assert plan.training_table().strip() in text and "estimated" in text
