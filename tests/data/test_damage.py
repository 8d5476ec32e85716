"""Damaged videos, by the hundred: an error naming the file within a bounded time, or the frames asked for.

Never a hang, a crash or another frame. Every frame shows its own number as 24 bright and dark squares, far from the
squares of all others. A decoder cannot notice damage that still reads as a picture (see ``sfar.data.video``): a frame
that is returned may have spots or be all noise. What it may not be is one of the other frames. decord does give other
frames (there too), so of it is asked that it ends, with an error that names the file or with as many frames as were
asked for.
"""

import functools
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from test_video import READERS, too_long

from sfar.data.video import decoder, read_frames
from sfar.data.watchdog import guarded
from sfar.errors import VideoError

FRAMES, ROWS, COLUMNS, SQUARE = 24, 4, 6, 16
COPIES = 8  # of each kind of damage and each video: with 5 videos and 8 kinds 320 files for each reader
SECONDS = 30.0  # for one reading: a sound one takes milliseconds


@functools.cache
def squares():
    """Bool [FRAMES, ROWS, COLUMNS]: at least 6 squares differ between any two frames."""
    rng = np.random.default_rng(0)
    out = []
    while len(out) < FRAMES:
        new = rng.random((ROWS, COLUMNS)) < 0.5
        if all((new != old).sum() >= 6 for old in out):
            out.append(new)
    return np.array(out)


def distances(frames):
    """In how many squares each frame differs from what each of the FRAMES frames shows: int [n, FRAMES]."""
    shown = frames.reshape(len(frames), ROWS, SQUARE, COLUMNS, SQUARE, 3).mean((2, 4, 5)) > 125
    return (shown[:, None] != squares()).sum((2, 3))


def write(path, codec, options):
    with av.open(str(path), "w", options={"movflags": "faststart"} if "first" in path.name else {}) as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = COLUMNS * SQUARE, ROWS * SQUARE, "yuv420p"
        stream.options = {"g": "8", "threads": "1"} | options
        noise = np.random.default_rng(1).integers(-20, 20, (FRAMES, ROWS * SQUARE, COLUMNS * SQUARE, 1))
        for k, bright in enumerate(squares()):
            picture = 60 + 130 * np.kron(bright, np.ones((SQUARE, SQUARE)))[..., None] + noise[k] * np.ones(3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())


VIDEOS = {
    "h264.mp4": ("libx264", {"crf": "23", "x264-params": "bframes=2:scenecut=0"}),
    "index_first.mp4": ("libx264", {"crf": "23", "x264-params": "bframes=2:scenecut=0"}),
    "xvid.avi": ("mpeg4", {"b": "400000", "bf": "0"}),
    "h264.mkv": ("libx264", {"crf": "23", "x264-params": "bframes=0:scenecut=0"}),
    "vp9.webm": ("libvpx-vp9", {"crf": "30", "b": "0", "cpu-used": "8", "deadline": "realtime"}),
}


# --- kinds of damage: bytes of a sound file and a generator -> bytes of a broken one ---


def flip_bits(data, rng):
    raw = np.frombuffer(data, np.uint8).copy()
    for at in rng.integers(0, len(raw), rng.integers(1, 9)):
        raw[at] ^= 1 << rng.integers(8)
    return raw.tobytes()


def overwrite(data, rng):
    """A run of other bytes: a bad sector, a bad cable."""
    raw = np.frombuffer(data, np.uint8).copy()
    at, size = rng.integers(0, len(raw)), rng.integers(4, 600)
    raw[at : at + size] = (
        rng.choice([0, 255, -1]) if rng.random() < 0.5 else rng.integers(0, 256, len(raw[at : at + size]))
    )
    return raw.tobytes()


def truncate(data, rng):
    return data[: rng.integers(1, len(data))]


def half_loaded(data, rng):
    """As long as it should be, with zeros behind some place."""
    return data[: (at := rng.integers(1, len(data)))] + bytes(len(data) - at)


def wrong_header(data, rng):
    return rng.bytes(size := int(rng.integers(8, 80))) + data[size:]


def wrong_index(data, rng):
    """The tables of sizes and times of an .mp4 (moov), the header lists of an .avi, the last tenth of others."""
    start = next((at for name in (b"moov", b"hdrl") if (at := data.find(name)) >= 0), len(data) * 9 // 10)
    raw = bytearray(data)
    for at in rng.integers(start, min(len(raw), start + 900), 3):
        raw[at] = rng.integers(256)
    return bytes(raw)


def lost_piece(data, rng):
    """Some bytes in the middle are gone and the rest has moved up."""
    at = rng.integers(1, len(data))
    return data[:at] + data[at + rng.integers(1, 2000) :]


def no_video(data, rng):
    return [
        b"<html>Video unavailable</html>" * 50,
        rng.bytes(5000),
        b"\x89PNG\r\n\x1a\n" + rng.bytes(900),
        bytes(5000),
    ][rng.integers(4)]


KINDS = (flip_bits, overwrite, truncate, half_loaded, wrong_header, wrong_index, lost_piece, no_video)


# --- reading ---


def read_guarded(path, wanted, reader):
    """As the package does: to start a helper and to import decord there counts for no video."""
    return guarded(read_frames, str(path), wanted, None, reader, seconds=SECONDS, warm=(decoder, reader))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Name -> (path, its frames as PyAV reads them)."""
    root = tmp_path_factory.mktemp("sound")
    for name, how in VIDEOS.items():
        write(root / name, *how)
    return {name: (root / name, read_frames(root / name, range(FRAMES))) for name in VIDEOS}


def read(path, wanted, reader):
    """The frames, or None where there is an error that names the file, after at most SECONDS."""
    try:
        frames = read_guarded(path, wanted, reader)
    except VideoError as error:
        assert str(path) in str(error)
        # decord may end its process or wait for ever (what the watchdog is for); PyAV may not.
        assert reader == "decord" or not any(word in str(error) for word in ("crashed", "took longer")), error
        return None
    assert frames.dtype == np.uint8 and frames.shape == (len(wanted), ROWS * SQUARE, COLUMNS * SQUARE, 3)
    return frames


def held(path):
    """The numbers of the frames that a damaged file still holds.

    Matroska keeps no count: where packets are gone without a trace, its frames are those that are left, and their times
    say which.
    """
    with av.open(str(path), metadata_errors="replace") as container:
        stream: Any = container.streams.video[0]
        times = (
            sorted(p.pts * stream.time_base for p in container.demux(stream) if p.size)
            if container.format.name.startswith("matroska")
            else []
        )
    return np.array([round(10 * t) for t in times]) if times and len(times) < FRAMES else np.arange(FRAMES)


@pytest.mark.parametrize("name", VIDEOS)
def test_the_frames_of_a_sound_video_show_their_numbers(sound, name):
    assert (
        distances(sound[name][1]).argmin(1).tolist() == list(range(FRAMES))
        and (distances(sound[name][1]).min(1) == 0).all()
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("reader", READERS)
def test_damage_ends_in_an_error_or_in_the_frames_asked_for(sound, tmp_path, reader, name, kind):
    path, whole = sound[name]
    rng = np.random.default_rng([list(VIDEOS).index(name), KINDS.index(kind)])
    errors = 0
    for copy in range(COPIES):
        damaged = tmp_path / f"{copy}-{name}"
        damaged.write_bytes(kind(path.read_bytes(), rng))
        wanted = np.arange(FRAMES) if copy % 2 else np.sort(rng.choice(FRAMES, 8, replace=False))
        frames = read(damaged, wanted, reader)
        if frames is None:
            errors += 1
        elif reader == "pyav":
            number, far = held(damaged)[wanted], distances(frames)
            far[np.arange(len(wanted)), np.minimum(number, FRAMES - 1)] = ROWS * COLUMNS  # what it should show
            assert far.min() > 2, f"{damaged}: frames {number} show {far.argmin(1)}"
            if kind in (truncate, wrong_header, wrong_index, lost_piece) and not name.endswith((".mkv", ".webm")):
                assert np.array_equal(frames, whole[wanted]), "no picture is damaged"
    if (
        reader == "pyav" and kind is flip_bits and name != "vp9.webm"
    ):  # H.264 and MPEG-4 notice most flipped bits, VP9 hardly any
        assert errors >= 0.7 * COPIES
    if kind is no_video:
        assert errors == COPIES


def claim_more(name, path, target, extra):
    """A copy that says it holds ``extra`` frames more than it does."""
    data = path.read_bytes()
    if name.endswith(".mp4"):
        too_long(path, target, extra)
    elif name.endswith(".avi"):
        at = data.index(b"strh") + 8 + 32  # dwLength
        assert int.from_bytes(data[at : at + 4], "little") == FRAMES
        target.write_bytes(data[:at] + (FRAMES + extra).to_bytes(4, "little") + data[at + 4 :])
    else:
        tag = b"00:00:02.4"
        assert data.count(tag) == 1
        target.write_bytes(data.replace(tag, f"00:00:{(FRAMES + extra) / 10:04.1f}".encode()))


@pytest.mark.parametrize("extra", [3, 24, 300])
@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("reader", READERS)
def test_a_video_that_claims_more_than_it_holds_is_refused(sound, tmp_path, reader, name, extra):
    path = tmp_path / name
    claim_more(name, sound[name][0], path, extra)
    for wanted in ([0], [FRAMES - 1, 3], range(FRAMES)):  # whatever is asked for
        with pytest.raises(VideoError, match="claims") as e:
            read_guarded(path, wanted, reader)
        assert str(path) in str(e.value)


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_a_byte_is_refused(tmp_path, reader, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(VideoError, match=r"is empty \(0 bytes\)") as e:
        read_guarded(tmp_path / name, [0], reader)
    assert str(tmp_path / name) in str(e.value)
