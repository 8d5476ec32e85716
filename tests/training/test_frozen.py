"""Frame embeddings of a frozen tower: what the tower itself says of the same frames, made once.

They give the same training as the frames.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from sfar.data.manifest import Clip, Manifest
from sfar.data.store import VideoClips
from sfar.data.transforms import ClipAugment, center_crop, train_indices, val_indices
from sfar.errors import ConfigError, DataError, VideoError
from sfar.model import clip
from sfar.training import frozen
from sfar.training.evaluate import score
from sfar.training.train import TrainingEmbeddings, train
from sfar.util import cache, paths


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SFAR_CACHE", str(tmp_path / "cache"))


@dataclasses.dataclass
class Clips(tiny.Clips):
    """With the names by which kept embeddings are found."""

    paths: list[str] = dataclasses.field(default_factory=list)
    first: list[int] = dataclasses.field(default_factory=list)


def clips(n=6) -> Any:
    plain = tiny.clips(n)
    return Clips(plain.pixels, plain.labels, [f"{i}.mp4" for i in range(n)], first=[0] * n)


@pytest.fixture
def tower():
    return tiny.clip()


def test_the_single_view_is_the_tower_run_by_hand(tower):
    data, p = clips(), tiny.profile()
    got = frozen.frame_embeddings(tower, data, p, "data", False)
    assert got.shape == (6, 3, 16) and got.dtype == torch.float32
    with torch.no_grad():
        for i in range(6):
            frames = center_crop(data.read(i, lambda n: val_indices(n, 3)), tiny.SIZE)
            assert (tower.encode_image(frames) - got[i]).abs().max() < 1e-5


def test_versions_for_training(tower):
    data, p = clips(), tiny.profile(frozen_draws=3)
    got = frozen.frame_embeddings(tower, data, p, "data", True)
    assert got.shape == (3, 6, 3, 16)
    assert all((got[a] - got[b]).abs().amax((1, 2)).min() > 1e-4 for a, b in ((0, 1), (0, 2), (1, 2))), (
        "every clip is another in another version"
    )
    rng = np.random.default_rng([1, frozen._number(data, 4)])
    frames = data.read(4, lambda n: train_indices(n, 3, rng))
    frames = ClipAugment(tiny.SIZE, area=p.train.crop_area, flip=p.train.flip, gray=p.train.gray)(
        frames, torch.Generator().manual_seed(int(rng.integers(2**62)))
    )
    with torch.no_grad():
        assert (tower.encode_image(frames) - got[1, 4]).abs().max() < 1e-5


def test_a_clip_is_read_once_for_all_its_versions(tower, monkeypatch):
    data, reads = clips(), []
    real = Clips.read
    monkeypatch.setattr(Clips, "read", lambda self, i, pick: reads.append(i) or real(self, i, pick))
    frozen.frame_embeddings(tower, data, tiny.profile(frozen_draws=3), "data", True)
    assert reads == list(range(6))


def test_made_once_and_again_for_other_inputs(tower, monkeypatch):
    calls = []
    real = frozen.embed_frames
    monkeypatch.setattr(frozen, "embed_frames", lambda *a: calls.append(1) or real(*a))
    data, p = clips(), tiny.profile()
    first = frozen.frame_embeddings(tower, data, p, "data", False)
    assert torch.equal(frozen.frame_embeddings(tower, data, p, "data", False), first) and len(calls) == 1
    assert (
        torch.equal(frozen.frame_embeddings(tower, data, tiny.profile(flip=0.0, epochs=9), "data", False), first)
        and len(calls) == 1
    ), "the test view has no augmentation"
    others = [
        (p, "other", False),
        (tiny.profile(frames=2), "data", False),
        (p, "data", True),
        (tiny.profile(flip=0.0), "data", True),
        (tiny.profile(frozen_draws=2), "data", True),
    ]
    for profile, fingerprint, training in others:
        n = len(calls)
        frozen.frame_embeddings(tower, data, profile, fingerprint, training)
        assert len(calls) > n


def test_the_weights_are_in_the_key(tower, monkeypatch):
    seen = []
    real = cache.key
    monkeypatch.setattr(cache, "key", lambda stage, what: seen.append(real(stage, what)) or seen[-1])
    data, p = clips(), tiny.profile()
    frozen.frame_embeddings(tower, data, p, "data", False)
    monkeypatch.setattr(frozen, "weights_id", lambda *_: ["storyboard", "others"])
    frozen.frame_embeddings(tower, data, p, "data", False)
    assert seen[0] != seen[1] and clip.weights_id("storyboard", "")[1] == clip.weights_hash(
        clip.WEIGHTS / "clip.safetensors"
    )


def test_a_tower_without_weights(tower):
    p = dataclasses.replace(tiny.profile(), model=dataclasses.replace(tiny.MODEL, clip="ViT-B-16-quickgelu"))
    with pytest.raises(ConfigError, match=r"train.train_visual.*needs weights"):
        frozen.frame_embeddings(tower, clips(), p, "data", False)


@pytest.mark.parametrize("method", ["clip", "single", "sfar"])
def test_training_on_embeddings_is_training_on_frames(method):
    """Each clip of one colour, so that every frame and every crop of it are the same: the same losses and logits."""
    data = clips()
    rng = np.random.default_rng(0)
    data.pixels = [np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), p.shape).copy() for p in data.pixels]
    p = tiny.profile(epochs=3, frozen_draws=1, gray=0.0, train_visual=False)
    on_frames, on_embeddings = (tiny.model(method, train_visual=False) for _ in range(2))
    embedded = frozen.frame_embeddings(on_embeddings.clip, data, p, "data", True)
    a, b = train(on_frames, data, p, 5), train(on_embeddings, data, p, 5, embedded=embedded)
    assert a.steps == b.steps and np.allclose(a.loss, b.loss, atol=1e-4)
    start = tiny.model(method, train_visual=False)
    frames = torch.randn(2, 3, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, y, z = (m.eval()(frames).logits for m in (on_frames, on_embeddings, start))
    assert (x - y).abs().max() < 1e-3 and (x - z).abs().max() > 10 * (x - y).abs().max()
    view = frozen.frame_embeddings(on_frames.clip, data, p, "data", False)
    one, two = score(on_frames, data, 3, tiny.SIZE), score(on_embeddings, data, 3, tiny.SIZE, embedded=view)
    assert np.allclose(one.probabilities, two.probabilities, atol=1e-3) and one.labels.tolist() == two.labels.tolist()


def test_every_epoch_and_every_repeat_takes_another_version():
    embedded = torch.arange(4.0)[:, None, None, None].expand(4, 2, 1, 1)
    data = TrainingEmbeddings(embedded, [0, 1], repeats=3)
    assert len(data) == 6
    seen = []
    for data.epoch in range(2):
        seen.append([int(data[i][0]) for i in range(6)])
    assert seen == [[0, 0, 1, 1, 2, 2], [3, 3, 0, 0, 1, 1]] and [data[i][1] for i in range(6)] == [0, 1] * 3


# --- parts, and videos that turn out damaged --------------------------------------------------------------------------


@dataclasses.dataclass
class Films(VideoClips):
    """Clips in memory, of which some cannot be decoded."""

    pixels: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()

    def _frames(self, i: int, index: np.ndarray) -> np.ndarray:
        if self.paths[i] in self.slow:
            raise VideoError(f"{self.paths[i]}: reading it took longer than 60 s", "timeout")
        if self.paths[i] in self.damaged:
            raise VideoError(f"{self.paths[i]}: damaged")
        return self.pixels[self.paths[i]][index]


def films(n=40, damaged: tuple[int, ...] = (), only: range | None = None, slow: tuple[int, ...] = ()) -> Any:
    plain = tiny.clips(n)
    some = [i for i in range(n) if only is None or i in only]
    listed = tuple(Clip(plain.paths[i], plain.labels[i], str(i)) for i in some)
    return Films(
        Manifest("kinetics400", "train", Path(), tuple(tiny.CLASSES), listed),
        64,
        labels=[plain.labels[i] for i in some],
        sets=[(plain.labels[i],) for i in some],
        paths=[plain.paths[i] for i in some],
        first=[0] * len(some),
        lengths=[len(plain.pixels[i]) for i in some],
        pixels=dict(zip(plain.paths, plain.pixels, strict=True)),
        damaged=tuple(plain.paths[i] for i in damaged),
        slow=tuple(plain.paths[i] for i in slow),
    )


def bearing(share):
    p = tiny.profile(frozen_draws=2)
    return dataclasses.replace(p, data=dataclasses.replace(p.data, max_bad_share=share))


@pytest.fixture
def passes(monkeypatch):
    """Parts of two batches; how many clips the tower has been asked for, batch by batch; it may fail on the way."""
    monkeypatch.setattr(frozen, "PART", 2 * frozen.BATCH)
    seen, real = [], frozen.embed_frames

    def counted(clip, frames):
        if len(seen) == counted.most:  # pyright: ignore[reportFunctionMemberAccess]
            raise KeyboardInterrupt
        seen.append(len(frames))
        return real(clip, frames)

    counted.most = -1  # pyright: ignore[reportFunctionMemberAccess]
    monkeypatch.setattr(frozen, "embed_frames", counted)
    return seen, counted


@pytest.mark.parametrize("training", [True, False])
def test_what_was_interrupted_goes_on_behind_its_last_whole_part(tower, passes, training):
    (seen, counted), p = passes, bearing(0)
    counted.most = 3  # in the second part, of which the first batch is lost
    with pytest.raises(KeyboardInterrupt):
        frozen.frame_embeddings(tower, films(70), p, "data", training)
    counted.most = -1
    seen.clear()
    got = frozen.frame_embeddings(tower, films(70), p, "data", training)
    each = 2 if training else 1
    assert seen == [each * n for n in (16, 16, 6)], "the second part and the third"
    whole = frozen.frame_embeddings(tower, films(70), p, "the same, by another name", training)
    assert torch.equal(got, whole) and got.shape == ((2,) if training else ()) + (70, 3, 16)
    assert not list((paths.cache() / "embeddings").glob("*.parts")), "joined, they are not kept twice"


@pytest.mark.parametrize("training", [True, False])
def test_a_damaged_video_is_named_and_left_out(tower, passes, training):
    """With the first and the last of a part, and a part that has nothing else."""
    (seen, _), p, bad = passes, bearing(0.6), (0, 5, *range(31, 65))
    data = films(70, bad)
    got = frozen.frame_embeddings(tower, data, p, "data", training)
    sound = [i for i in range(70) if i not in bad]
    assert data.paths == [f"clip{i}.mp4" for i in sound] and len(data.labels) == len(data.lengths) == len(sound)
    assert list(data.bad) == [f"clip{i}.mp4" for i in bad] and data.bad["clip5.mp4"] == "clip5.mp4: damaged"
    whole = frozen.frame_embeddings(tower, films(70), p, "undamaged", training)
    torch.testing.assert_close(got, whole[:, sound] if training else whole[sound], rtol=0, atol=1e-5)
    seen.clear()
    again = films(70, bad)
    assert torch.equal(frozen.frame_embeddings(tower, again, p, "data", training), got) and not seen
    assert again.paths == data.paths and again.bad == data.bad, "what was left out is kept with the embeddings"


@pytest.mark.parametrize("training", [True, False])
def test_what_was_too_slow_is_tried_again_by_the_next_command(tower, passes, training, monkeypatch):
    """It is put into its place among the others; what is damaged is not opened a second time."""
    (seen, _), p, slow, bad = passes, bearing(0.6), (0, 5, 33, 34, 69), (6, 40)
    want = frozen.frame_embeddings(tower, films(70, bad), p, "never slow", training)

    def command(slow, within=lambda patch: None):
        seen.clear()
        with monkeypatch.context() as patch:
            patch.setattr(frozen, "_looked", set())
            within(patch)
            got = [frozen.frame_embeddings(tower, d := films(70, bad, slow=slow), p, "data", training) for _ in "ab"]
        assert torch.equal(*got)
        return got[0], d

    first, data = command(slow)
    assert list(data.bad) == [f"clip{i}.mp4" for i in sorted((*slow, *bad))] and "60 s" in data.bad["clip5.mp4"]
    for within in (
        lambda patch: patch.setattr(frozen.processes, "inside", lambda: True),
        lambda patch: patch.setattr(frozen.processes, "launched", lambda: True),
    ):
        got, data = command((), within)
        assert torch.equal(got, first) and not seen, "side by side all have the same clips"
    got, data = command((5,))
    assert list(data.bad) == [f"clip{i}.mp4" for i in (5, *bad)] and sum(seen) == (2 if training else 1) * 4
    got, data = command(())
    assert data.paths == [f"clip{i}.mp4" for i in range(70) if i not in bad] and len(data.labels) == 68
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    again, _ = command(())
    assert torch.equal(again, got) and not seen, "nothing is left to be tried"


def test_what_an_interrupted_command_found_too_slow_is_tried_again(tower, passes, monkeypatch):
    (_, counted), p = passes, bearing(0.6)
    counted.most = 3  # the first part is kept, without clip 3
    with pytest.raises(KeyboardInterrupt):
        frozen.frame_embeddings(tower, films(70, slow=(3,)), p, "data", False)
    counted.most = -1
    monkeypatch.setattr(frozen, "_looked", set())
    assert len(frozen.frame_embeddings(tower, data := films(70), p, "data", False)) == 70 and not data.bad


def test_too_many_damaged_videos_end_the_run(tower):
    for _ in range(2):
        with pytest.raises(DataError, match=r"2 of 40 train videos cannot be used.*max_bad_share.*clip3.mp4: damaged"):
            frozen.frame_embeddings(tower, films(40, (3, 9)), bearing(0.04), "data", True)


def test_few_clips_of_which_one_is_damaged(tower):
    """Taken out of the full list, where that is small, or embedded by themselves."""
    p, whole = bearing(0.3), films(40, (3, 9))
    few = films(40, (3, 9), range(2, 8))
    got = frozen.training_embeddings(tower, few, p, "data", whole)
    assert few.paths == [f"clip{i}.mp4" for i in (2, 4, 5, 6, 7)] and list(few.bad) == ["clip3.mp4"]
    assert torch.equal(got, frozen.frame_embeddings(tower, films(40, (3, 9)), p, "data", True)[:, [2, 3, 4, 5, 6]])
    alone = films(40, (3, 9), range(2, 8))
    other = frozen.training_embeddings(tower, alone, p, "data")
    assert alone.paths == few.paths
    torch.testing.assert_close(got, other, rtol=0, atol=1e-5)


def test_training_and_evaluation_on_what_is_left(tower):
    p = dataclasses.replace(bearing(0.3), train=tiny.profile(epochs=1, train_visual=False).train)
    model, data, val = tiny.model("sfar", train_visual=False), films(40, (3, 9)), films(40, (3, 9))
    history = train(model, data, p, 5, embedded=frozen.frame_embeddings(model.clip, data, p, "data", True))
    assert history.steps == 38 // p.train.batch
    view = frozen.frame_embeddings(model.clip, val, p, "data", False)
    on_videos = score(model, films(40, (3, 9)), 3, tiny.SIZE, max_bad_share=0.3)
    found = score(model, val, 3, tiny.SIZE, embedded=view)
    np.testing.assert_allclose(found.probabilities, on_videos.probabilities, rtol=0, atol=1e-5)
    assert [val.paths[i] for i in found.clips] == [f"clip{i}.mp4" for i in on_videos.clips]


def test_processes_that_read_change_nothing(tower):
    p = bearing(0.3)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    here = frozen.frame_embeddings(tower, films(40, (3,)), p, "data", True)
    there = frozen.frame_embeddings(tower, films(40, (3,)), p, "by others", True, workers=2)
    assert torch.equal(here, there)
    assert torch.equal(torch.get_rng_state(), before), "what is drawn behind does not depend on what was kept"
