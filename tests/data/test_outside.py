"""Files as others make them: tags in any encoding, any name and ending, covers, uneven rates, empty chunks, colours.

All of them are sound (or say plainly that they are no video), and both decoders read the frame asked for.
"""

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image
from test_video import READERS, both, extract, needs_decord, numbers, picture, write

from sfar.data import video
from sfar.data.video import frame_at, probe, read_all, read_frames
from sfar.data.watchdog import guarded
from sfar.errors import VideoError


def reads_decord(monkeypatch):
    """The paths that decord is given from now on."""
    seen, decode = [], video._decord_frames
    monkeypatch.setattr(video, "_decord_frames", lambda *a: seen.append(a[1]) or decode(*a))
    return seen


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A sound .mp4 of 40 frames, 25 per second."""
    return write(tmp_path_factory.mktemp("plain") / "v.mp4")


def copied(source, target, **options):
    """The video stream of ``source`` in another container, with what ``options`` say of it.

    ``tags``, ``stream_tags``: bytes as Latin-1; ``times``: new time stamps, in thousandths of a second.
    """
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", metadata_encoding="latin-1", options=options.get("muxer", {})) as new,
    ):
        stream = old.streams.video[0]
        copy: Any = new.add_stream_from_template(stream)
        new.metadata.update(options.get("tags", {}))
        copy.metadata.update(options.get("stream_tags", {}))
        if chapter := options.get("chapter"):
            new.set_chapters(
                [{"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000), "metadata": {"title": chapter}}]
            )
        for packet in old.demux(stream):
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    return target


# --- tags ---

BYTES = "\x8c\xff caf\xe9"  # in Latin-1; as UTF-8 it is nothing
CODECS = {"avi": "mpeg4", "webm": "libvpx", "ogg": "libvpx", "flv": "flv", "wmv": "wmv2", "ts": "mpeg2video"}
SOURCES = {"ogg": "mkv", "3gp": "mkv", "m4v": "mkv"}  # containers that do not take every encoder, and are copied to


@both
@pytest.mark.parametrize("ending", ["avi", "mp4", "mov", "m4v", "3gp", "mkv", "webm", "flv", "wmv", "nut", "ogg", "ts"])
def test_tags_in_any_encoding(tmp_path, reader, ending):
    codec = CODECS.get(ending, "libx264")
    source = write(tmp_path / f"source.{SOURCES.get(ending, ending)}", 20, codec=codec, bframes=0)
    tagged = copied(
        source,
        tmp_path / f"tagged.{ending}",
        tags={"title": BYTES, "comment": BYTES},
        stream_tags={"title": BYTES, "language": "\xe9\xe9\xe9", "handler_name": BYTES},
        chapter=BYTES if ending in ("mp4", "mov", "mkv", "webm") else "",
    )
    if ending not in ("wmv", "3gp", "m4v"):  # .wmv has its texts in UTF-16, the others few or none
        assert b"\x8c\xff caf\xe9" in tagged.read_bytes() or ending == "ts"
    assert probe(tagged, reader).frames == 20
    assert numbers(read_frames(tagged, [19, 3], reader=reader)) == [19, 3]


# --- names and endings ---

NAMES = (
    *("10:30 jump.mp4", "-dash.mp4", "a%03d.mp4", "%d", "file:x.mp4", "concat:a|b.mp4", "http:", "pipe:0", "data:,x"),
    *("sp ace.MOV", "noending", "x.jpg", "x.txt", "v.mp4.mkv", "star*[1]?.mp4", "subfile,,start,0,end,9,,:x.mp4"),
    *("caf\u00e9 \u8df3.mp4", "~x.mp4", "new\nline.mp4", "crypto:x", "a\\b.mp4", "x.m3u8", "x.ffconcat"),
)
NOT_TEXT = os.fsdecode(b"b\x8cd.mp4")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a colon in its name."""
    folder = tmp_path / "k400:v2"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@both
@pytest.mark.parametrize("name", [*NAMES, pytest.param(NOT_TEXT, id="not text")])
def test_any_name(plain, here, monkeypatch, reader, name):
    try:
        Path(name).write_bytes(plain.read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this system has no such name")
    seen = reads_decord(monkeypatch)
    for path in (name, Path(name), here / name, f"../{here.name}/{name}"):
        assert probe(path, reader).frames == 40
        assert numbers(read_frames(path, [33, 2], reader=reader)) == [33, 2]
    assert len(seen) == (4 if reader == "decord" and name != NOT_TEXT else 0), "decord takes all names that are text"


def test_any_name_in_the_readers_own_process(plain, here):
    for name in (*NAMES[:5], NOT_TEXT):
        Path(name).write_bytes(plain.read_bytes())
        assert numbers(guarded(read_frames, name, [33, 2])) == [33, 2]


@both
@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *(("mov", "libx264"), ("m4v", "libx264"), ("mkv", "libx265"), ("webm", "libvpx-vp9"), ("flv", "flv")),
        *(("wmv", "wmv2"), ("mpg", "mpeg2video"), ("vob", "mpeg2video"), ("ts", "libx264"), ("m2ts", "libx264")),
        *(("ogv", "libvpx"), ("nut", "ffv1"), ("h264", "libx264"), ("mxf", "mpeg2video"), ("y4m", "rawvideo")),
    ],
)
def test_any_ending(tmp_path, reader, ending, codec):
    """What a file is says its content: the same under a name that says nothing, or another ending."""
    named = write(tmp_path / f"v.{ending}", 20, codec=codec, bframes=0)
    for name in ("film", "film.mp4", "film.bin"):
        other = tmp_path / name
        other.write_bytes(named.read_bytes())
        for path in (named, other):
            assert probe(path, reader).frames == 20
            assert numbers(read_frames(path, [19, 3], reader=reader)) == [19, 3]


@pytest.mark.parametrize(
    "text",
    ["ffconcat version 1.0\nfile v.mp4\n", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\nv.mp4\n#EXT-X-ENDLIST\n"],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.ffconcat"])
def test_a_list_of_videos_is_none(plain, here, text, name):
    """No other file is opened in place of the one that was named."""
    Path("v.mp4").write_bytes(plain.read_bytes())
    Path(name).write_text(text)
    with pytest.raises(VideoError, match=rf"{name}: is damaged or not a video.*; download"):
        probe(name)


# --- covers ---


def cover():
    frame = av.VideoFrame.from_ndarray(picture(69, 64, 64), format="rgb24").reformat(format="yuvj420p")
    with av.open(os.devnull, "w", format="mjpeg") as container:
        stream: Any = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        return bytes(next(iter(stream.encode(frame))))


def with_cover(target, source=None, first=False):
    """Sound, or the video ``source``, with an attached picture: in the list of streams before it or after it."""
    with av.open(str(target), "w", format="mp4" if target.suffix == ".m4a" else None) as container:
        streams: list[Any] = [None, None]
        for what in ("cover", "main") if first else ("main", "cover"):
            if what == "cover":
                streams[1] = container.add_stream("mjpeg", rate=1)
                streams[1].width, streams[1].height, streams[1].pix_fmt = 64, 64, "yuvj420p"
                streams[1].disposition = Disposition.attached_pic
            elif source:
                old = av.open(str(source))
                streams[0] = container.add_stream_from_template(old.streams.video[0])
            else:
                codec = {"mp3": "libmp3lame", "flac": "flac", "m4a": "aac", "mp4": "aac"}[target.suffix[1:]]
                streams[0] = container.add_stream(codec, rate=44100)
        picture_ = av.Packet(cover())
        picture_.pts = picture_.dts = 0
        picture_.is_keyframe = True
        picture_.stream = streams[1]
        if source:
            container.mux(picture_)
            for packet in old.demux(video=0):
                if packet.size:
                    packet.stream = streams[0]
                    container.mux(packet)
        else:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), format="s16", layout="mono")
            silence.rate = 44100
            resampler = av.AudioResampler(streams[0].format.name, "mono", 44100)
            container.start_encoding()
            container.mux(picture_)
            for frame in resampler.resample(silence):
                container.mux(streams[0].encode(frame))
            container.mux(streams[0].encode())
    return target


@both
@pytest.mark.parametrize("ending", ["mp3", "m4a", "flac"])
def test_sound_with_a_cover_is_no_video(tmp_path, reader, ending):
    path = with_cover(tmp_path / f"song.{ending}")
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1, "FFmpeg calls the cover a video stream"
    for call in (lambda: probe(path, reader), lambda: read_frames(path, [0], reader=reader)):
        with pytest.raises(VideoError, match=rf"song\.{ending}: has sound and a cover picture but no video; remove it"):
            call()


@both
@pytest.mark.parametrize("first", [False, True])
def test_a_video_with_a_cover(plain, tmp_path, reader, first):
    path = with_cover(tmp_path / "film.mp4", plain, first)
    with av.open(str(path)) as container:
        assert sorted(s.width for s in container.streams.video) == [64, 192]
    assert (probe(path, reader).frames, probe(path, reader).width) == (40, 192)
    assert numbers(read_frames(path, [33, 2], reader=reader)) == [33, 2]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "mp4"])
def test_a_picture_is_no_video(tmp_path, ending):
    Image.fromarray(picture(3, 64, 48)).save(tmp_path / f"x.{ending}", format="jpeg" if ending == "mp4" else None)
    with pytest.raises(VideoError, match=rf"x\.{ending}: is a picture and not a video; give"):
        probe(tmp_path / f"x.{ending}")


# --- frames that an .avi leaves out ---


def insert(data, content, place):
    """An .avi of one stream with another chunk before its chunk ``place``; header and index count it."""
    movi = data.index(b"movi")
    at = movi + 4
    for _ in range(place):
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + size % 2
    chunk = b"00dc" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    out = bytearray(data[:at] + chunk + data[at:])

    def add(where, more):
        struct.pack_into("<I", out, where, struct.unpack_from("<I", out, where)[0] + more)

    index = out.rindex(b"idx1")
    for entry in range(index + 8 + 16 * place, index + 8 + struct.unpack_from("<I", out, index + 4)[0], 16):
        add(entry + 8, len(chunk))
    out[index + 8 + 16 * place : index + 8 + 16 * place] = b"00dc" + struct.pack("<III", 0, at - movi, len(content))
    add(index + 4, 16)
    add(movi - 4, len(chunk))
    add(4, len(chunk) + 16)
    add(out.index(b"strh") + 8 + 32, 1)  # dwLength
    return bytes(out)


EMPTY = b""
AS_BEFORE = b"\0\0\1\xb6\x51\x0f\x20"  # MPEG-4: a picture that is not coded


@both
@pytest.mark.parametrize(
    ("content", "place"),
    [
        *((EMPTY, 0), (EMPTY, 20), (EMPTY, 40), (b"\x7f", 0), (bytes(4), 0), (AS_BEFORE, 0), (AS_BEFORE, 20)),
    ],
)
def test_an_avi_with_a_frame_left_out(tmp_path, reader, content, place):
    data = write(tmp_path / "whole.avi", codec="mpeg4", bframes=0).read_bytes()
    path = tmp_path / "gap.avi"
    path.write_bytes(insert(data, content, place))
    info = probe(path, reader)
    assert info.frames == 40
    assert numbers(read_all(path, reader=reader)) == list(range(40))
    assert numbers(read_frames(path, [39, 20, 19], reader=reader)) == [39, 20, 19]
    # What is left out holds a place in time: seconds are counted from the first frame.
    later = [20, 39] if place == 20 else []
    assert info.seconds(np.array([0, 19, 20, 39])) == pytest.approx(
        [(k + (k in later)) / 25 for k in (0, 19, 20, 39)], abs=1e-6
    )
    path.write_bytes(insert(insert(data, content, place), EMPTY, 0))
    assert numbers(read_all(path, reader=reader)) == list(range(40))


@both
def test_an_avi_that_lacks_frames_is_refused_still(tmp_path, reader):
    data = bytearray(insert(write(tmp_path / "whole.avi", codec="mpeg4", bframes=0).read_bytes(), EMPTY, 0))
    at = data.index(b"strh") + 8 + 32
    struct.pack_into("<I", data, at, 43)
    (tmp_path / "v.avi").write_bytes(data)
    with pytest.raises(VideoError, match=r"v\.avi: claims 43 frames and holds 41") as e:
        probe(tmp_path / "v.avi", reader)
    assert e.value.kind == "over-reported"


# --- seconds ---

# 20 frames in half a second, then 20 in four seconds.
UNEVEN = [25 * k for k in range(20)] + [500 + 200 * k for k in range(20)]


def write_uneven(path, codec="libx264", stamps=UNEVEN, bframes=2):
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=40)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000 if codec != "mpeg4" else 40)
        if codec == "libx264":
            stream.options = {"x264-params": f"keyint=12:bframes={bframes}:scenecut=0", "crf": "12"}
        else:
            stream.codec_context.max_b_frames, stream.bit_rate = 0, 4_000_000
        for k, pts in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(k, 192, 128), format="rgb24")
            frame.pts, frame.time_base = (
                round(pts / 1000 / stream.codec_context.time_base),
                stream.codec_context.time_base,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@both
@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("mkv", "libx264"),
        ("mp4", "libx264"),
        ("mov", "libx264"),
        ("avi", "mpeg4"),
        ("flv", "libx264"),
        ("ts", "libx264"),
    ],
)
def test_seconds_of_an_uneven_rate(tmp_path, reader, ending, codec):
    path = write_uneven(tmp_path / f"v.{ending}", codec)
    info = probe(path, reader)
    assert info.frames == 40 and info.times is not None and len(info.times) == 41
    assert info.seconds(np.arange(40)) == pytest.approx([t / 1000 for t in UNEVEN], abs=2e-3)
    assert info.times[40] > info.times[39]
    for seconds, frame in ((0.0, 0), (0.1, 4), (0.49, 19), (0.5, 20), (0.69, 20), (0.7, 21), (4.25, 38), (4.31, 39)):
        assert frame_at(seconds, info.fps, info.times) == frame, seconds
    assert frame_at(60, info.fps, info.times) >= 40
    assert numbers(read_frames(path, [20, 38], reader=reader)) == [20, 38]


@pytest.mark.parametrize("fps", [10, 25, Fraction(30000, 1001), Fraction(24000, 1001), 60])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi", "ts", "flv"])
def test_an_even_rate_is_its_product(tmp_path, ending, fps):
    """Time stamps that are rounded, to thousandths in .mkv and .flv, are no uneven rate."""
    codec = {"avi": "mpeg4", "flv": "flv"}.get(ending, "libx264")
    info = probe(write(tmp_path / f"v.{ending}", 60, fps=fps, codec=codec, bframes=0))
    assert info.frames == 60 and info.times is None and info.fps == pytest.approx(float(fps), rel=2e-3)
    assert info.seconds(np.array([30])) == pytest.approx([30 / float(fps)], rel=2e-3)
    assert frame_at(12 / info.fps, info.fps) == 12


def test_a_folder_of_pictures_has_no_seconds(tmp_path):
    info = probe(extract(tmp_path / "v", [f"img_{k:05d}.jpg" for k in range(5)]))
    assert info.times is None and info.seconds(np.array([0, 3])).tolist() == [0, 3]


# --- how frames are shown ---


@both
@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored(plain, tmp_path, reader, turn, mirrored):
    """The matrix that a telephone writes, turning clockwise, and mirroring first (a front camera)."""
    data = bytearray(plain.read_bytes())
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turn]
    flip = -1 if mirrored else 1
    matrix = [flip * cos, flip * sin, 0, -sin, cos, 0, 0, 0, 0x4000]
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = b"".join((m << 16).to_bytes(4, "big", signed=True) for m in matrix)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    stored = read_frames(plain, [3])[0]
    expected = np.rot90(stored[:, ::-1] if mirrored else stored, -turn)
    info = probe(path, reader)
    assert (info.height, info.width) == expected.shape[:2]
    frame = read_frames(path, [3], reader=reader)[0]
    assert frame.shape == expected.shape and np.abs(frame.astype(int) - expected).max() <= 2


@both
def test_pixels_are_taken_as_square(tmp_path, reader):
    """An aspect ratio of the pixels is not applied: the docstring of ``VideoInfo`` says so."""
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for k in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k, 192, 128), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "wide.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    info = probe(tmp_path / "wide.mp4", reader)
    assert (info.width, info.height) == (192, 128)
    assert read_frames(tmp_path / "wide.mp4", [3], 64, reader).shape == (1, 64, 96, 3)


FORMATS = {  # pixel format and codec
    "8 bits": ("yuv420p", "libx264"),
    "4:2:2": ("yuv422p", "libx264"),
    "4:4:4": ("yuv444p", "libx264"),
    "grey": ("gray", "libx264"),
    "full range": ("yuvj420p", "libx264"),
    "10 bits": ("yuv420p10le", "libx264"),
    "10 bits 4:2:2": ("yuv422p10le", "libx264"),
    "10 bits 4:4:4": ("yuv444p10le", "libx264"),
    "10 bits HEVC": ("yuv420p10le", "libx265"),
}


def colourful(k, width=192, height=128):
    """Strong colours with sharp edges, and the shade that says ``k``."""
    rng = np.random.default_rng(1)
    blocks = np.kron(rng.integers(0, 256, (height // 8, width // 8, 3)), np.ones((8, 8, 1)))
    blocks[: height // 2] = 10 + 3 * k
    return blocks.astype(np.uint8)


def write_colours(path, pix_fmt, codec, matrix=None, interlaced=False):
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, pix_fmt
        params = "keyint=8:scenecut=0" + (":tff=1" if interlaced else "")
        stream.options = {"x264-params": params, "crf": "4"} if codec == "libx264" else {"x265-params": "log-level=0"}
        if interlaced:
            stream.codec_context.flags |= (1 << 18) | (1 << 29)  # interlaced DCT, interlaced motion estimation
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        for k in range(12):
            frame = av.VideoFrame.from_ndarray(colourful(k), format="rgb24").reformat(format=pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@needs_decord
@pytest.mark.parametrize("what", FORMATS)
def test_the_decoders_agree_in_every_format(tmp_path, monkeypatch, what):
    """As ``read_frames`` says: to within 2 grey levels; of more than 8 bits decord makes other ones and is not used."""
    path = write_colours(tmp_path / "v.mp4", *FORMATS[what])
    seen = reads_decord(monkeypatch)
    a, b = (read_frames(path, [11, 0, 5], None, reader).astype(int) for reader in ("pyav", "decord"))
    assert np.abs(a - b).max() <= 2 and bool(seen) == (not what.startswith("10 bits"))
    if what != "grey":  # the colours that were written, but for what a quarter of the colour values cannot say
        assert np.abs(a[1, 64:] - colourful(0)[64:]).mean() < (6 if "4:4:4" in what else 30)
        assert np.abs(a[2, :60].mean() - (10 + 3 * 5)) < 3


@needs_decord
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])  # BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020
def test_the_decoders_agree_in_every_matrix(tmp_path, monkeypatch, matrix):
    path = write_colours(tmp_path / "v.mp4", "yuv420p", "libx264", matrix)
    seen = reads_decord(monkeypatch)
    a, b = (read_frames(path, [11, 0], None, reader).astype(int) for reader in ("pyav", "decord"))
    assert np.abs(a - b).max() <= 2 and seen


@needs_decord
def test_interlaced_pictures_are_read_by_one_decoder(tmp_path, monkeypatch):
    path = write_colours(tmp_path / "v.mp4", "yuv420p", "libx264", interlaced=True)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    seen = reads_decord(monkeypatch)
    a, b = (read_frames(path, [11, 0], None, reader) for reader in ("pyav", "decord"))
    assert np.array_equal(a, b) and not seen


# --- pictures of several kinds in one folder ---

FLOW = {  # what lies beside the frames: TSN and mmaction2, TSM, older tools, what others compute from frames
    "tsn": ("img_{:05d}.jpg", ("flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg")),
    "tsm": ("img_{:05d}.jpg", ("x_{:05d}.jpg", "y_{:05d}.jpg")),
    "caps": ("IMG_{:05d}.PNG", ("FLOW_X_{:05d}.JPG", "FLOW_Y_{:05d}.JPG")),
    "bare": ("{:06d}.jpg", ("flow_u_{:06d}.jpg", "flow_v_{:06d}.jpg")),
    "of the video": ("v_Diving_g01_c01_{:04d}.jpg", ("v_Diving_g01_c01_flow_x_{:04d}.jpg",)),
    "frame": ("frame{:06d}.jpg", ("depth_{:06d}.png", "mask_{:06d}.png", "warped_x_{:06d}.jpg")),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("how", FLOW)
def test_the_rgb_pictures_among_others(tmp_path, reader, how):
    rgb, others = FLOW[how]
    folder = extract(tmp_path / "v", [rgb.format(k + 1) for k in range(10)])
    for other in others:  # of another size, one fewer, and all alike
        for k in range(9):
            Image.fromarray(np.full((24, 32), 200, np.uint8)).save(folder / other.format(k + 1))
    info = probe(folder, reader)
    assert (info.frames, info.width, info.height) == (10, 64, 48)
    assert numbers(read_frames(folder, [9, 0, 4], reader=reader)) == [9, 0, 4]
    (folder / rgb.format(5)).unlink()
    with pytest.raises(VideoError, match="is missing between the frames 1 and 10"):
        probe(folder, reader)


def test_flow_alone_is_read(tmp_path):
    assert probe(extract(tmp_path / "v", [f"flow_x_{k:05d}.jpg" for k in range(1, 8)])).frames == 7
