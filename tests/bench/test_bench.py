"""The benchmark: both heads are one, every part writes a record, the page renders. No test depends on speed."""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sfar.bench import gpu, head, measure, pipeline, reader, replicates, scaling, start, suite
from sfar.bench import page as bench_page
from sfar.bench.head import make_pair
from sfar.bench.inputs import Bench, random_texts
from sfar.bench.measure import BenchError
from sfar.bench.whole_window import WholeWindowHead, padded
from sfar.cli import bench
from sfar.config import PRESETS, get_profile
from sfar.errors import ConfigError, SfarError
from sfar.model.texts import ClassTexts
from sfar.reproduce import numbers
from sfar.util import processes

SIZE = {"videos": 5, "classes": 7, "frames": 6, "subtexts": 3, "words": 6}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    reader.draw_clip(path, (20, 10, 128, 96), 12, 0)
    return path


# --- the head over the whole window ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "reading"), [(0, "printed"), (1, "residual"), (2, "residual")])
@pytest.mark.parametrize(
    "size", [SIZE, SIZE | {"subtexts": 1}, SIZE | {"words": 1, "frames": 1}, SIZE | {"videos": 1, "words": 40}]
)
def test_both_heads_give_the_same_logits_and_gradients(size, seed, reading):
    cfg = get_profile("paper", PRESETS[reading]).model
    pair = make_pair(size, 24, seed=seed, dtype=torch.float64, cfg=cfg)
    found = {}
    for which in ("fast", "literal"):
        logits = pair.step(which)
        found[which] = {
            "logits": logits,
            "frames": pair.frames.grad,
            **{n: p.grad for n, p in pair.fast.named_parameters()},
        }
        pair.frames.grad = None
        pair.fast.zero_grad(set_to_none=True)
    assert set(found["fast"]) == set(found["literal"]) and len(found["fast"]) > 10
    for name, value in found["fast"].items():
        torch.testing.assert_close(
            value, found["literal"][name], rtol=1e-6, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_evaluation_gives_the_same_logits_as_training():
    pair = make_pair(SIZE, 24, dtype=torch.float64)
    logits = [pair.forward("fast"), pair.forward("fast"), pair.forward("literal"), pair.step("fast")]
    for other in logits[1:]:
        torch.testing.assert_close(logits[0], other, rtol=1e-9, atol=1e-9)


def test_padding_of_the_window_counts_for_nothing():
    pair = make_pair(SIZE, 24, dtype=torch.float64)
    whole = pair.whole
    noise = ClassTexts(
        whole.cls,
        whole.words + 5.0 * ~whole.mask[..., None],
        whole.mask,
        whole.sub_words + 5.0 * ~whole.sub_mask[..., None],
        whole.sub_mask,
    )
    with torch.no_grad():
        assert noise.words.shape[1] == 77 and noise.sub_words.shape[2] == 77
        torch.testing.assert_close(
            pair.literal(pair.frames, noise, pair.scale), pair.logits("literal"), rtol=1e-9, atol=1e-9
        )


def test_texts_have_the_words_that_are_asked_for():
    texts = random_texts(200, 4, 8, 6)
    lengths = torch.cat([texts.mask.sum(-1).flatten(), texts.sub_mask.sum(-1).flatten()]).double()
    assert lengths.min() == 4 and lengths.max() == 12 and abs(lengths.mean() - 8) < 0.5
    assert not texts.words[~texts.mask].any() and texts.words[texts.mask].all()
    with pytest.raises(ConfigError, match="do not fit"):
        padded(random_texts(2, 1, 70, 4))


def test_contenders_that_differ_are_not_timed():
    pair = make_pair(SIZE, 24)
    assert head.difference(pair.forward("fast"), pair.forward("literal")) < 0.1
    with pytest.raises(BenchError, match="must not be compared"):
        head.difference(pair.forward("fast"), pair.forward("literal") + 1)
    with pytest.raises(BenchError):
        head.difference(pair.forward("fast"), pair.forward("literal") * math.nan)
    other = head.SFAR(24, 0.01, head.ModelConfig(context_layers=1))
    with pytest.raises(ConfigError, match=r"model\.context_layers=0"):
        WholeWindowHead(other)


# --- how it measures -----------------------------------------------------------------------------------------------


def test_contenders_are_interleaved():
    said = []
    times = measure.interleaved({"a": lambda: said.append("a"), "b": lambda: said.append("b")}, 3, CPU)
    assert said == list("ababab") and [len(t) for t in times.values()] == [3, 3]
    found = measure.ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
    assert found == {"median": 2.0, "q25": 1.5, "q75": 2.5, "min": 1.0, "max": 3.0, "n": 3}


def test_onednn_is_switched_off_and_on_again():
    with pytest.raises(RuntimeError, match="mine"), measure.without_onednn():
        assert not torch.backends.mkldnn.enabled
        raise RuntimeError("mine")
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


def test_peak_is_of_what_is_held_at_one_time():
    def call():
        x = torch.ones(1000, 250)  # a megabyte
        y = x + 1
        del x
        return y * y

    peak, result = measure.allocated_peak(call, CPU)
    assert 2_000_000 <= peak < 2_000_100 and result.sum() == 1_000_000


def test_resident_memory_rises_by_what_is_written():
    size = 100_000_000  # more than an allocator keeps for itself
    with processes.Workers(1) as pool:  # what the tests before have freed would hide it in this process
        rise = pool.result(pool.submit(_rise, size))
    assert rise is None or 90e6 < rise < 130e6


def _rise(size):
    return measure.resident_peak(lambda: np.ones(size, np.uint8).sum())


def test_growth_and_targets():
    assert measure.growth([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    verdicts = [
        measure.target("x", v, 10, least, "x")["reached"]
        for v, least in ((11, True), (9, True), (9, False), (11, False), (None, True))
    ]
    assert verdicts == [True, False, True, False, None]


# --- readers -------------------------------------------------------------------------------------------------------


def test_readers_read_the_same_frames(clip_file):
    """Not scaled, so that decord gives the same too."""
    own, *_ = frames = [call() for call in reader.contenders(clip_file, None).values()]
    assert len(frames) >= 6 and own.shape == (8, 96, 128, 3)
    for other in frames[1:-1]:
        assert other.shape == own.shape and np.abs(other.astype(int) - own).mean() < 1
    assert len(frames[-1]) == 20


def test_cold_read_walks_again(clip_file, monkeypatch):
    reader.cold_frames(clip_file, np.arange(3), None)
    before = reader.video.walk.cache_info().misses
    reader.video.read_frames(clip_file, [0])
    assert reader.video.walk.cache_info().misses == before
    reader.cold_frames(clip_file, np.arange(3), None)
    assert reader.video.walk.cache_info().misses == 1  # counted from the clearing


def test_clips_of_the_pipeline_have_names_of_their_own(clip_file, tmp_path):
    clips = pipeline.linked_clips((clip_file,), 5, None, tmp_path / "links")
    assert len(set(clips.paths)) == len(clips) == 5 and clips.lengths == [20] * 5
    assert clips.read(4, lambda n: np.arange(n)).shape == (20, 96, 128, 3)


def test_video_that_cannot_be_read_is_no_quick_one(tmp_path, clip_file):
    clips = pipeline.linked_clips((clip_file,), 6, None, tmp_path / "links")
    assert pipeline.loading_rate(clips, 64, 0, 4) > 0
    (tmp_path / "links" / clips.paths[3]).unlink()
    with pytest.raises(BenchError, match=r"could not read a video: .*00003\.mp4"):
        pipeline.loading_rate(clips, 64, 0, 4)


def test_own_videos(clip_file, tmp_path):
    assert reader.own_videos(clip_file.parent, 3).files == (clip_file,)
    with pytest.raises(BenchError, match="no videos below"):
        reader.own_videos(tmp_path, 3)


# --- several processes ---------------------------------------------------------------------------------------------


def test_rate_is_of_the_trainers_own_history(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS")  # of the tests
    seen = []

    def run(command, **options):
        seen.append((command, options["env"]["OMP_NUM_THREADS"]))
        Path(command[command.index("--history") + 1]).write_text('{"steps": 12, "seconds": 6.0}')
        return argparse.Namespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(scaling.subprocess, "run", run)
    assert scaling.launch(2, {"train.batch": 16, "train.epochs": 2}, tmp_path) == 32.0
    command, threads = seen[0]
    assert (
        threads == "1"
        and "torch.distributed.run" in command
        and "--nproc-per-node=2" in command
        and "train.batch=16" in command
    )
    scaling.launch(1, {"train.batch": 16}, tmp_path)
    assert "torch.distributed.run" not in seen[1][0]


def test_the_history_of_an_earlier_training_is_not_taken(monkeypatch, tmp_path):
    (tmp_path / "history.json").write_text('{"steps": 12, "seconds": 6.0}')
    monkeypatch.setattr(
        scaling.subprocess, "run", lambda *_, **__: argparse.Namespace(returncode=0, stdout="", stderr="")
    )
    with pytest.raises(FileNotFoundError):
        scaling.launch(2, {"train.batch": 16}, tmp_path)


def test_failed_training_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(
        scaling.subprocess,
        "run",
        lambda *_, **__: argparse.Namespace(returncode=2, stdout="", stderr="warning\nsfar: no room\nmore"),
    )
    with pytest.raises(BenchError, match="2 processes failed: sfar: no room"):
        scaling.launch(2, {"train.batch": 16}, tmp_path)


def test_process_counts(monkeypatch):
    monkeypatch.setattr(scaling.torch.cuda, "device_count", lambda: 0)
    for cores, counts in ((1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])):
        monkeypatch.setattr(scaling.processes, "cores", lambda cores=cores: cores)
        assert scaling.process_counts() == counts


# --- parts and page ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records(tmp_path_factory, clip_file):
    """All parts, quick, once: the folder with the records. No world is drawn and no process launched for it."""
    out = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "storyboard_videos", lambda b, n: reader.VideoSet("storyboard", (clip_file,), 73))
        patch.setattr(pipeline, "_worker_counts", lambda: [0, 1])
        patch.setattr(replicates, "RUNS", 4)
        patch.setattr(scaling, "load_clips", lambda *_: None)
        patch.setattr(scaling, "dataset", lambda *_: None)
        patch.setattr(scaling, "launch", lambda n, overrides, path: 10.0 * n)
        files = suite.run(
            list(suite.PARTS),
            out,
            "sfar bench --quick",
            Bench(quick=True, folder=clip_file.parent, device=CPU),
            silent=True,
        )
    assert [f.name for f in files] == [f"{part}.json" for part in suite.PARTS]
    return out


def _ratios(node):
    if isinstance(node, dict):
        if {"median", "q25", "q75", "min", "max", "n"} <= set(node):
            yield node
        for value in node.values():
            yield from _ratios(value)
    elif isinstance(node, list):
        for value in node:
            yield from _ratios(value)


@pytest.mark.parametrize("part", list(suite.PARTS))
def test_quick_part_writes_a_record(records, part):
    record = json.loads((records / f"{part}.json").read_text())
    assert (
        record["part"] == part
        and record["provenance"]["quick"]
        and record["provenance"]["command"] == "sfar bench --quick"
    )
    assert {"hardware", "revision", "threads", "versions", "seconds"} <= set(record["provenance"])
    spreads = list(_ratios(record))
    assert spreads and all(s["min"] <= s["q25"] <= s["median"] <= s["q75"] <= s["max"] for s in spreads)
    assert all(t["reached"] in (True, False, None) and t["limit"] > 0 for t in record["targets"])


def test_targets_are_recorded(records):
    found = bench_page.load(records)
    limits = {part: [t["limit"] for t in r["targets"]] for part, r in found.items()}
    assert (
        limits["head"] == [10.0, 8.0] * 2
        and limits["overhead"] == [2.0, 1.0]
        and set(limits["reader"]) == {1.15}
        and len(limits["reader"]) == 4
    )
    assert [t["reached"] is None for t in found["overhead"]["targets"]] == [False, True]  # no GPU was asked


def test_what_the_parts_say(records):
    r = bench_page.load(records)
    for point in r["head"]["at_base"].values():
        assert point["bytes"]["literal"] > point["bytes"]["fast"] > 0 and point["largest_difference"] < 0.1
    assert set(r["head"]["growth"]["forward"]) == set(head.VARIABLES)
    assert set(r["head"]["time_ratio_without_onednn"]) == set(head.MODES)
    assert {n for s in r["reader"]["sets"] for n in s["ratios"]} >= {"sfar", "sfar, walk kept", "PyAV, decode through"}
    assert [w["waits"] in ("the model", "the reader") for w in r["pipeline"]["who_waits"]] == [True]
    assert (
        all(0 < v["share_of_peak"] < 1 for v in r["step"]["settings"][0]["variants"])
        and not r["step"]["settings"][0]["failed"]
    )
    assert [x["efficiency"] for x in r["scaling"]["rows"]] == [1.0] * len(scaling.process_counts())


def test_page_renders(records, tmp_path):
    files = bench_page.write(records)
    assert [f.name for f in files] == ["bench.png", "README.md"] and files[0].read_bytes()[:4] == b"\x89PNG"
    page = files[1].read_text()
    assert (
        all(f"## {part.capitalize()}" in page for part in suite.PARTS)
        and "tiny sizes" in page
        and "nan" not in page
        and "With oneDNN switched off for both" in page
    )
    (tmp_path / "reader.json").write_text((records / "reader.json").read_text())
    assert "## Head" not in bench_page.write(tmp_path)[1].read_text()  # what was not measured is left out


def test_what_a_gpu_alone_can_show_is_tried_on_a_cpu(records, tmp_path):
    record = json.loads((records / "gpu.json").read_text())
    assert (record["backend"], record["device"]) == ("gloo", "CPU")
    # On a CPU in single precision neither a process group nor an interruption changes anything.
    assert set(record["trainings"]) == {"one process group", "interrupted"}
    assert all(x["loss"] < 1e-4 for x in record["trainings"].values())
    assert record["trainings"]["interrupted"] == {"loss": 0.0, "weight": 0.0}
    (memory,) = record["memory"]
    assert 0.5 < memory["ratio"] < 5 and memory["bytes"] > 0
    assert set(record["said"]) == {"step a tiny ViT", "head", "memory", "nccl", "resumed"}
    assert {f"step {s.model}" for s in gpu._settings(False)} | set(record["said"]) > set(numbers.GPU)
    assert all(s.variants["bf16"].precision == "bf16" for s in gpu._settings(False))
    assert {name for name, *_ in gpu._sizes(False)} == set(gpu._towers(False))
    if not torch.cuda.is_available():
        with pytest.raises(BenchError, match="no GPU here that PyTorch sees: `make gpu-check`"):
            suite.run(["gpu"], tmp_path, "", Bench(device=CPU), silent=True)


def test_the_tree_of_the_start_is_read_as_kinetics(records):
    found = json.loads((records / "start.json").read_text())
    assert found["clips"] == start.QUICK["train"] and [t["unit"] for t in found["targets"]] == ["s", "MB"]


def test_no_records_and_damaged_ones(tmp_path):
    with pytest.raises(SfarError, match="make bench"):
        bench_page.load(tmp_path)
    (tmp_path / "head.json").write_text("{")
    with pytest.raises(SfarError, match="sfar bench head"):
        bench_page.load(tmp_path)


def test_parts_by_name(tmp_path):
    assert suite.chosen([]) == [p for p in suite.PARTS if p != "gpu"] and suite.chosen(["gpu"]) == ["gpu"]
    assert suite.chosen(["reader", "head"]) == ["head", "reader"]
    with pytest.raises(BenchError, match="unknown part 'haed'"):
        suite.chosen(["haed"])
    with pytest.raises(BenchError, match="not a folder"):
        suite.run(["reader"], tmp_path, "", Bench(quick=True, folder=tmp_path / "none"))
    assert suite.output(False).name == "bench" and suite.output(True).parent.name == "runs"


def test_command(tmp_path, monkeypatch, capsys):
    top = argparse.ArgumentParser()
    sub = top.add_subparsers()

    def command(name, run, text, into):
        p = into.add_parser(name, help=text)
        p.set_defaults(run=run)
        return p

    bench.add(sub, command)
    monkeypatch.setenv("KINETO_LOG_LEVEL", "99")
    a = top.parse_args(["bench", "overhead", "--quick", "--out", str(tmp_path)])
    a.run(a)
    assert "SFAR's head / CLIP's encoding, CPU" in capsys.readouterr().out
    assert (
        json.loads((tmp_path / "overhead.json").read_text())["provenance"]["command"]
        == f"sfar bench overhead --quick --out {tmp_path}"
    )
