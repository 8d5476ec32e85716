"""Both decoders on videos written here: frame k has a brightness that says k, so a wrong frame is seen."""

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from waiting import ENOUGH

from sfar.data import video
from sfar.data.video import VideoInfo, decord_available, probe, read_all, read_frames
from sfar.errors import ConfigError, VideoError

READERS = ["pyav", pytest.param("decord", marks=pytest.mark.skipif(not decord_available(), reason="no decord here"))]
both = pytest.mark.parametrize("reader", READERS)
needs_decord = pytest.mark.skipif(not decord_available(), reason="no decord here")
STEP = 3  # grey levels between neighbouring frames: well above what the encoder loses


def picture(k, width, height):
    rng = np.random.default_rng(7)
    texture = np.kron(rng.integers(0, 30, (height // 8, width // 8, 1)), np.ones((8, 8, 3)))
    shade = 10 + STEP * (k % 70)
    return np.clip(texture + shade, 0, 255).astype(np.uint8)


def write(path, frames=40, fps=25, width=192, height=128, codec="libx264", x264="keyint=12:bframes=3", bframes=2):
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            stream.options = {"x264-params": f"{x264}:scenecut=0", "crf": "12"}
        else:
            stream.codec_context.max_b_frames, stream.gop_size, stream.bit_rate = bframes, 12, 4_000_000
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, width, height), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1) / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(frames):
    """The index each frame was written with (below 70)."""
    base = picture(0, frames.shape[2], frames.shape[1]).mean()
    return np.rint((frames.reshape(len(frames), -1).mean(1) - base) / STEP).astype(int).tolist()


# name: how it is written. Real data sets hold .mp4 and .mkv (Kinetics) and .avi (UCF-101, HMDB-51).
VIDEOS = {
    "b_frames.mp4": {},
    "open_gop.mp4": {"x264": "keyint=9:open-gop=1:bframes=3:b-pyramid=normal", "frames": 47},
    "no_b_frames.mp4": {"x264": "keyint=250:bframes=0", "fps": 30},
    "ntsc.mp4": {"fps": Fraction(30000, 1001), "frames": 61},
    "one_frame.mp4": {"frames": 1},
    "slow.mkv": {"fps": 10, "frames": 23},
    "xvid.avi": {"codec": "mpeg4"},
    "h264.avi": {},
    "tall.mp4": {"width": 192, "height": 256},
    "narrow.mp4": {"width": 48, "height": 64},  # these two: where decord misreads its own rows
    "narrow_tall.mp4": {"width": 72, "height": 128},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    for name, options in VIDEOS.items():
        write(root / name, **options)
    return root


# --- healthy files ---


@pytest.mark.parametrize("name", VIDEOS)
@both
def test_probe(folder, name, reader):
    options = VIDEOS[name]
    info = probe(folder / name, reader)
    assert info.fps == pytest.approx(float(options.get("fps", 25)), rel=1e-3)
    assert info == VideoInfo(options.get("frames", 40), info.fps, options.get("width", 192), options.get("height", 128))


@pytest.mark.parametrize("name", VIDEOS)
@both
def test_every_frame_is_the_one_asked_for(folder, name, reader):
    n = VIDEOS[name].get("frames", 40)
    assert numbers(read_all(folder / name, reader=reader)) == list(range(n))
    rng = np.random.default_rng(0)
    for _ in range(6):
        wanted = rng.integers(0, n, 8)  # any order, some twice
        frames = read_frames(folder / name, wanted, reader=reader)
        assert frames.dtype == np.uint8 and frames.flags.c_contiguous
        assert numbers(frames) == wanted.tolist()
    for wanted in ([n - 1], [0], [n - 1, 0, n - 1]):
        assert numbers(read_frames(folder / name, wanted, reader=reader)) == wanted


@needs_decord
@pytest.mark.parametrize("name", VIDEOS)
def test_readers_agree(folder, name):
    wanted = [VIDEOS[name].get("frames", 40) - 1, 0, 0]
    # 1.5: a narrow result is scaled after the conversion to RGB, which rounds once more.
    for short_side, most, mean in ((None, 2, 0.5), (150, 16, 1.5)):
        a, b = (read_frames(folder / name, wanted, short_side, reader).astype(int) for reader in ("pyav", "decord"))
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= most and np.abs(a - b).mean() <= mean


@both
def test_short_side_keeps_the_aspect(folder, reader):
    full = read_frames(folder / "b_frames.mp4", [7], None, reader)
    # 131 * 1.5 = 196.5: to the even number. 32: where decord misreads its own rows.
    for short_side, shape in ((140, (140, 210)), (131, (131, 196)), (32, (32, 48))):
        scaled = read_frames(folder / "b_frames.mp4", [7], short_side, reader)
        assert scaled.shape == (1, *shape, 3)
        assert abs(scaled.mean() - full.mean()) < 2  # FFmpeg rounds down while it scales
    assert read_frames(folder / "tall.mp4", [5, 3], 216, reader).shape == (2, 288, 216, 3)


@both
def test_no_indices_is_no_frames(folder, reader):
    assert read_frames(folder / "b_frames.mp4", [], 140, reader).shape == (0, 140, 210, 3)


@both
def test_left_out_frames_of_an_avi_are_no_damage(tmp_path, reader):
    # The header counts the gap as frames. mpeg4 without B-frames: packets in, packets out.
    whole = write(tmp_path / "whole.avi", codec="mpeg4", bframes=0)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "gap.avi"), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for k, packet in enumerate(p for p in source.demux(stream) if p.size):
            packet.stream = copy
            packet.pts = packet.dts = k if k < 20 else k + 5
            target.mux(packet)
    assert probe(tmp_path / "gap.avi", reader).frames == 40
    assert numbers(read_frames(tmp_path / "gap.avi", [39, 20, 19], reader=reader)) == [39, 20, 19]


@both
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_of_phone_videos(folder, tmp_path, reader, turn):
    data = bytearray((folder / "b_frames.mp4").read_bytes())
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]
    matrix = [cos, sin, 0, -sin, cos, 0, 0, 0, 0x4000]  # 16.16 fixed point
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = b"".join((m << 16).to_bytes(4, "big", signed=True) for m in matrix)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    # The matrix turns clockwise by ``turn`` degrees; rot90 counts the other way.
    expected = np.rot90(read_frames(folder / "b_frames.mp4", [3], reader="pyav")[0], -turn // 90)
    info = probe(path, reader)
    assert (info.height, info.width) == expected.shape[:2]
    frame = read_frames(path, [3], reader=reader)[0]
    assert frame.shape == expected.shape and np.abs(frame.astype(int) - expected).max() <= 2
    assert min(read_frames(path, [3], 200, reader).shape[1:3]) == 200


# --- broken files ---


def too_long(source, target, extra):
    """A copy with ``extra`` packets at the end that hold filler and no picture: more frames claimed than there are."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        packets: list[Any] = [p for p in old.demux(stream) if p.size]
        step, pts, dts = packets[0].duration, max(p.pts for p in packets), packets[-1].dts
        for packet in packets:
            packet.stream = copy
            new.mux(packet)
        for k in range(1, extra + 1):
            packet: Any = av.Packet(b"\0\0\0\2\x0c\x80")
            packet.pts, packet.dts, packet.duration = pts + k * step, dts + k * step, step
            packet.time_base, packet.stream = stream.time_base, copy
            new.mux(packet)


def first_unit(data):
    """Where the first picture's length field stands, in a file written here (metadata behind the data)."""
    return data.index(b"mdat") + 4


def broken_files(folder, root):
    whole = (folder / "b_frames.mp4").read_bytes()
    (root / "zero.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("this is not a video\n" * 50)
    (root / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])  # its index, at the end, is gone
    header = bytearray(whole)
    at = header.index(b"stsd")
    header[at : at + 40] = bytes(b ^ 0xFF for b in header[at : at + 40])
    (root / "header.mp4").write_bytes(header)
    flipped = bytearray(whole)
    flipped[first_unit(whole)] ^= 0x40
    (root / "unit.mp4").write_bytes(flipped)
    # Index first, data cut: the container promises all frames.
    with (
        av.open(str(folder / "b_frames.mp4")) as old,
        av.open(str(root / "fast.mp4"), "w", options={"movflags": "faststart"}) as new,
    ):
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    fast = (root / "fast.mp4").read_bytes()
    (root / "cut_fast.mp4").write_bytes(fast[: len(fast) * 7 // 10])
    for name in ("xvid.avi", "slow.mkv"):
        data = (folder / name).read_bytes()
        (root / f"cut_{name}").write_bytes(data[: len(data) * 6 // 10])
    too_long(folder / "b_frames.mp4", root / "too_long.mp4", 6)
    with av.open(str(root / "sound.mp4"), "w") as sound:
        stream = sound.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.rate = 8000
        sound.mux(stream.encode(silence))
        sound.mux(stream.encode())
    (root / "folder.mp4").mkdir()


BROKEN = {
    "missing.mp4": "no such file",
    "zero.mp4": "empty",
    "text.mp4": "not a video",
    "cut.mp4": "not a video",
    "header.mp4": "",
    "unit.mp4": "damaged",
    "cut_fast.mp4": "",
    "cut_xvid.avi": "",
    "cut_slow.mkv": "",
    "too_long.mp4": "claims 46 frames and holds 40",
    "sound.mp4": "no video stream",
    "folder.mp4": "is a folder and not a video file",
}


@pytest.fixture(scope="module")
def broken(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("broken")
    broken_files(folder, root)
    return root


@pytest.mark.parametrize("name", BROKEN)
@both
def test_broken_files_are_refused(broken, name, reader):
    # Which frames are asked for makes no difference: a file is good or it is not.
    for call in (
        lambda p: probe(p, reader),
        lambda p: read_frames(p, [0], reader=reader),
        lambda p: read_frames(p, [30, 2], 160, reader),
        lambda p: read_all(p, reader=reader),
    ):
        with pytest.raises(VideoError) as caught:
            call(broken / name)
        assert name in str(caught.value) and BROKEN[name] in str(caught.value)
        assert ";" in str(caught.value)  # what is wrong; what to do


@both
def test_indices_out_of_range(folder, reader):
    for wanted in ([40], [0, 400], [-1]):
        with pytest.raises(VideoError, match=r"b_frames\.mp4.*has frames 0 to 39"):
            read_frames(folder / "b_frames.mp4", wanted, reader=reader)
    with pytest.raises(VideoError, match="whole numbers"):
        read_frames(folder / "b_frames.mp4", np.array([0.5]), reader=reader)


def test_a_file_that_changes_is_read_anew(folder, tmp_path):
    path = tmp_path / "v.mp4"
    path.write_bytes((folder / "b_frames.mp4").read_bytes())
    assert probe(path).frames == 40
    path.write_bytes((folder / "open_gop.mp4").read_bytes())
    assert probe(path).frames == 47


def test_wrong_settings(folder):
    for call in (
        lambda: probe(folder / "b_frames.mp4", "opencv"),
        lambda: read_frames(folder / "b_frames.mp4", [0], reader="opencv"),
    ):
        with pytest.raises(ConfigError, match=r"'opencv'.*auto, pyav, decord"):
            call()
    with pytest.raises(ConfigError, match="short_side"):
        read_frames(folder / "b_frames.mp4", [0], 0)


# --- folders of extracted frames ---


def extract(folder, names, size=(64, 48)):
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(names):
        Image.fromarray(picture(k, *size)).save(folder / name, quality=95)
    return folder


@both
@pytest.mark.parametrize("name", ["img_{:05d}.jpg", "46GP8-{:06d}.jpg", "{}.png", "flow2x_{:03d}.JPEG"])
@pytest.mark.parametrize("first", [0, 1])
def test_frames_in_the_order_of_their_numbers(tmp_path, reader, name, first):
    folder = extract(tmp_path / "v", [name.format(k + first) for k in range(13)])  # 13: "10.png" sorts before "2.png"
    (folder / "list.txt").write_text("nothing")
    assert probe(folder, reader) == VideoInfo(13, 0.0, 64, 48)
    assert numbers(read_all(folder, reader=reader)) == list(range(13))
    assert numbers(read_frames(folder, [12, 3, 3, 0], reader=reader)) == [12, 3, 3, 0]
    assert read_frames(folder, [4], 36, reader).shape == (1, 36, 48, 3)
    with pytest.raises(VideoError, match="has frames 0 to 12"):
        read_frames(folder, [13], reader=reader)


FOLDERS = {  # what is done to a sound folder of ten -> the message
    "empty": (lambda f: [p.unlink() for p in f.iterdir()], "holds no .jpg or .png"),
    "a gap": (lambda f: (f / "img_00004.jpg").unlink(), "img_00004.jpg: is missing between the frames 1 and 10"),
    "without the first": (lambda f: (f / "img_00001.jpg").unlink(), "img_00001.jpg: is missing"),
    "one twice": (lambda f: extract(f, ["frame_3.jpg"]), "two pictures with number 3"),
    "another size": (lambda f: extract(f, ["img_00007.jpg"], (32, 24)), "img_00007.jpg: is 32 x 24 pixels"),
    "cut": (
        lambda f: (f / "img_00007.jpg").write_bytes((f / "img_00007.jpg").read_bytes()[:200]),
        "img_00007.jpg: is damaged or not a picture",
    ),
    "text": (lambda f: (f / "img_00007.jpg").write_text("<html>"), "img_00007.jpg: is damaged or not a picture"),
    "no bytes": (lambda f: (f / "img_00007.jpg").write_bytes(b""), "img_00007.jpg: is damaged or not a picture"),
    "the first is text": (
        lambda f: (f / "img_00001.jpg").write_text("<html>"),
        "img_00001.jpg: is damaged or not a picture",
    ),
}


@pytest.mark.parametrize("how", FOLDERS)
@both
def test_broken_folders_are_refused(tmp_path, reader, how):
    folder = extract(tmp_path / "v", [f"img_{k:05d}.jpg" for k in range(1, 11)])
    assert numbers(read_frames(folder, [6], reader=reader)) == [6]
    FOLDERS[how][0](folder)
    with pytest.raises(VideoError) as caught:
        read_all(folder, reader=reader)
    assert str(folder) in str(caught.value) and FOLDERS[how][1] in str(caught.value) and ";" in str(caught.value)


# --- decord's place ---


def test_decord_is_imported_in_one_file_only():
    root = Path(__file__).resolve().parents[2]
    imports = re.compile(r"^\s*(import|from)\s+decord\b", re.MULTILINE)
    users = [p.relative_to(root).as_posix() for p in (root / "sfar").rglob("*.py") if imports.search(p.read_text())]
    assert users == ["sfar/data/video.py"]


@needs_decord
@pytest.mark.parametrize(
    ("name", "reader", "short_side", "uses_decord"),
    [
        ("b_frames.mp4", "auto", None, False),
        ("b_frames.mp4", "pyav", None, False),
        ("b_frames.mp4", "decord", None, True),
        ("b_frames.mp4", "decord", 48, True),
        ("slow.mkv", "auto", 256, False),
        ("slow.mkv", "decord", 256, True),
        ("xvid.avi", "decord", None, False),
        ("h264.avi", "decord", None, False),
        ("open_gop.mp4", "decord", None, False),
        ("narrow.mp4", "decord", None, False),
        ("narrow.mp4", "decord", 192, True),
    ],
)
def test_decord_is_used_where_it_is_exact(folder, monkeypatch, name, reader, short_side, uses_decord):
    batches = []
    original = video._decord_frames
    monkeypatch.setattr(video, "_decord_frames", lambda *a: batches.append(a) or original(*a))
    assert len(read_frames(folder / name, [3, 1], short_side, reader)) == 2
    assert len(batches) == uses_decord


def test_auto_without_decord(folder, monkeypatch):
    monkeypatch.setattr(video, "decord_module", lambda: None)
    assert numbers(read_frames(folder / "b_frames.mp4", [9, 2])) == [9, 2]
    with pytest.raises(ConfigError, match=r"not installed.*'pyav' or 'auto'"):
        probe(folder / "b_frames.mp4", "decord")


@needs_decord
def test_decord_comes_after_torch(folder):
    code = (
        "import sys; from sfar.data.video import read_frames; assert 'decord' not in sys.modules; "
        f"read_frames({str(folder / 'b_frames.mp4')!r}, [0], reader='decord'); names = list(sys.modules); "
        "assert names.index('torch') < names.index('decord')"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=ENOUGH, cwd=root)
