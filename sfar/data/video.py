"""Frames of a video, by index: of a file, or of a folder of extracted pictures.

The one place of the repository that touches decord. PyAV reads unless decord is asked for (``data.reader``). On 671
randomly damaged files decord 0.6.0 returned another frame without an error 65 times and PyAV, made strict as below,
never; for 8 frames of a clip it takes about as long (0.3 to 1.05 of decord's time).

Strict means: the container's packets are walked once (a few milliseconds), and a file that promises more than it holds
is refused there. FFmpeg stops at the first damage it notices ("explode"), frames it marks as damaged or has filled in
are refused, and every frame must carry the time stamp that the packets gave it, where the container has time stamps. A
frame that cannot be had is an error and never another frame.

Not seen by either decoder: damage inside the data of a picture that still reads as a picture. H.264 and MPEG-4 notice
most flipped bits, VP9 hardly any, and JPEG none but those that end a picture early. Matroska stores no number of
frames: where packets are gone without a trace, the frames are those that are left.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.video.stream import VideoStream

from sfar.errors import ConfigError, VideoError

READERS = ("auto", "pyav", "decord")  # data.reader

# Types of the NAL units that hold a picture. Dropping all others tells how many packets hold one, and it fails on a
# packet whose units do not add up to its size: damage that decord notices or not depending on the speed of its
# threads.
_PICTURE_UNITS = {"h264": "1-5", "hevc": "0-31"}
# The units of a key frame behind which nothing refers to what came before it: only there a decoder may start.
_START_UNITS = {"h264": "5", "hevc": "19-20"}
# Sorting the packets' time stamps numbers the frames in these containers only: an .avi stores no presentation times.
_TIMED_CONTAINERS = ("mov", "matroska")
# FFmpeg's own flag "buffer" is left out: files of some old encoders end their pictures with filler and are no worse for
# it. Its concealment of errors ("ec") stays on: it is what marks a frame as damaged, and a marked frame is refused.
_STRICT = {"err_detect": "explode+crccheck+bitstream"}
_PICTURE_NAME = re.compile(r"([^.].*?)??([0-9]+)\.(?:jpg|jpeg|png)", re.IGNORECASE)


@dataclass(frozen=True)
class VideoInfo:
    """Length, rate and size of a video.

    ``frames``: pictures in the file; ``fps``: their average rate per second (0 where the file does not say, as in
    folders of pictures); ``width``, ``height``: pixels as displayed, that is after the rotation that phones write into
    the file.
    """

    frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class _Index:
    """What the walk over a file's packets tells.

    ``rotation``: degrees counter-clockwise, a multiple of 90. ``pts``: time stamp of frame k; None where the file's
    time stamps do not number its frames. ``starts``: frames at which decoding may start; () where frame k has to be
    counted from the first. ``pictures``: file names, for a folder.
    """

    info: VideoInfo
    rotation: int = 0
    pts: tuple[int, ...] | None = None
    starts: tuple[int, ...] = ()
    pictures: tuple[str, ...] = ()


def probe(path: str | os.PathLike, reader: str = "auto") -> VideoInfo:
    """Length, rate and size of a video. Both decoders give the same answer: it comes from the container's packets.

    ``path``: a video file, or a folder of its frames: img_00001.jpg, <ID>-000001.jpg or any other .jpg and .png whose
    name ends in its number, counted from 0 or 1 (the layouts of BIKE's lists and of Charades_v1_rgb).

    Raises VideoError (missing, not a video, no frames, truncated, shorter than it claims; a folder that lacks a picture
    or has one twice), ConfigError (reader).
    """
    decoder(reader)
    return _index(path).info


def read_frames(
    path: str | os.PathLike, indices: Sequence[int] | np.ndarray, short_side: int | None = None, reader: str = "auto"
) -> np.ndarray:
    """Frames ``indices`` (0-based, any order, repeats allowed) as uint8 RGB [len(indices), H, W, 3].

    ``short_side``: scale so that the shorter side has this many pixels, aspect kept to the nearest pixel; None: as
    stored. Scaling is FFmpeg's bilinear one, decord's only choice (BIKE datasets/video.py resizes bicubically).
    The decoders agree to the frame: as stored, to within 2 grey levels (FFmpeg's versions may round differently);
    scaled, to within 2 on average, with more than 16 in one value of 200 at most, along sharp edges of colour.

    "auto" is PyAV: decord returned other frames than asked for on one in ten damaged files, without an error, and is
    not quicker. "decord" is decord where its numbers and its rows are right and its length is that of the packets'
    walk, otherwise PyAV. Pictures of a folder are read with Pillow, whatever the reader.

    Raises VideoError (see ``probe``; index out of range; a frame that is damaged, missing or of another size than the
    first), ConfigError (reader, short_side).
    """
    decoder(reader)
    index = _index(path)
    size = scaled_size(index.info, short_side)
    native = (index.info.width, index.info.height)
    # Where decord misreads the scaled width it decodes as stored, and FFmpeg's scaler follows: the same filter, one
    # step later.
    decode = native if decord_misreads(size[0]) else size
    decord = decord_module() if reader == "decord" and index.starts and not decord_misreads(decode[0]) else None
    wanted = _checked_indices(path, indices, index.info.frames)
    unique, inverse = np.unique(wanted, return_inverse=True)
    if len(unique) == 0:
        return np.empty((0, size[1], size[0], 3), np.uint8)
    if index.pictures:
        frames = np.stack([_picture(path, index, k, size) for k in unique.tolist()])
    elif decord is not None:
        frames = _decord_frames(decord, path, index, unique, decode)
        if decode != size:
            frames = np.stack([_scale(frame, size) for frame in frames])
    else:
        frames = _pyav_frames(path, index, size, unique.tolist())
    return frames if np.array_equal(unique, wanted) else frames[inverse]  # no second copy of a whole video


def read_all(path: str | os.PathLike, short_side: int | None = None, reader: str = "auto") -> np.ndarray:
    """All frames in order: uint8 RGB [N, H, W, 3]; the rest as ``read_frames``."""
    return read_frames(path, range(probe(path, reader).frames), short_side, reader)


def decord_available() -> bool:
    """Whether decord can be imported here (it has wheels for x86-64 Linux and Windows only)."""
    return decord_module() is not None


# --- choices and checks --------------------------------------------------------------------------------------------


def decoder(reader: str) -> str:
    """The decoder that ``data.reader`` stands for: "pyav", of "auto" too, or "decord".

    Raises ``ConfigError`` for another reader, and for decord on a machine that has none.
    """
    if reader not in READERS:
        raise ConfigError(f"unknown video reader {reader!r}: expected one of {', '.join(READERS)} (data.reader)")
    if reader == "decord" and decord_module() is None:
        raise ConfigError("data.reader='decord': decord is not installed on this machine: use 'pyav' or 'auto'")
    return "decord" if reader == "decord" else "pyav"


def reader_key(reader: str) -> list[str]:
    """What ``data.reader`` adds to the key of anything made of frames: nothing for PyAV. Raises as ``decoder``."""
    return ["decord"] if decoder(reader) == "decord" else []


def decord_misreads(width: int) -> bool:
    """Whether decord may take padded rows of ``width`` pixels for rows of more channels.

    It does where their length is a multiple of the width (48 and 72 pixels, for instance). Rows are padded to 16, 32 or
    64 pixels, depending on the processor: from 192 on it cannot happen.
    """
    return width < 192 and width % 64 != 0


@lru_cache(maxsize=1)
def decord_module() -> Any | None:
    """The package decord, quiet and never handing out an earlier frame for a later one; None where it does not load."""
    # torch first: imported before torch, decord leaves data loader workers hanging. This import is inside a function so
    # that no tool that sorts imports can move it.
    import torch  # noqa: F401  # for its effect

    # Both are read when decord's library starts. EOF_RETRY is the number of empty answers it accepts near the end: 64
    # already fails on healthy ten-second clips (frames still in the decoder count), 10240 is decord's own value.
    # REWIND_RETRY is how often it steps back and hands out an earlier frame instead: never.
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "2048")
    os.environ.setdefault("DECORD_REWIND_RETRY_MAX", "0")
    try:
        import decord
    except (ImportError, OSError):  # OSError: its shared library does not load
        return None
    decord.logging.set_level(decord.logging.QUIET)  # what matters is raised
    return decord


def _checked_indices(path: str | os.PathLike, indices: Sequence[int] | np.ndarray, frames: int) -> np.ndarray:
    wanted = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices))
    if wanted.size == 0:
        return np.empty(0, np.int64)
    if wanted.ndim != 1 or not np.issubdtype(wanted.dtype, np.integer):
        raise VideoError(
            f"{path}: frame indices must be a flat list of whole numbers, got {wanted.dtype} "
            f"{list(wanted.shape)}; sample them with sfar.data.transforms"
        )
    wrong = wanted[(wanted < 0) | (wanted >= frames)]
    if wrong.size:
        raise VideoError(
            f"{path}: frame {int(wrong[0])} asked for, but the video has frames 0 to {frames - 1}; "
            "count its frames with probe() before sampling"
        )
    return wanted.astype(np.int64)


def scaled_size(info: VideoInfo, short_side: int | None) -> tuple[int, int]:
    """Width and height of the frames to return, as ``short_side`` of ``read_frames`` asks. Raises ConfigError."""
    if short_side is None:
        return info.width, info.height
    if short_side < 1:
        raise ConfigError(f"short_side must be at least 1 pixel, got {short_side}")
    scale = short_side / min(info.width, info.height)
    return round(info.width * scale), round(info.height * scale)


# --- the walk over the packets -------------------------------------------------------------------------------------


def _index(path: str | os.PathLike) -> _Index:
    try:
        state = os.stat(path)
    except FileNotFoundError:
        raise VideoError(f"{path}: no such file; check the data root and the list that names it", "missing") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if os.path.isdir(path):
        return _list_pictures(os.fspath(path), state.st_mtime_ns)
    if not os.path.isfile(path):
        raise VideoError(f"{path}: is not a file; give the path of one video or of a folder of its frames")
    if state.st_size == 0:
        raise VideoError(f"{path}: is empty (0 bytes); download or copy it again", "empty")
    # A sampler asks for the length and then for frames: the second walk is saved, unless the file has changed.
    return walk(os.fspath(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def walk(path: str, mtime_ns: int, size: int) -> _Index:
    """Where each frame of a file lies: one walk over its packets, kept while time and bytes stay. Raises VideoError."""
    try:
        with av.open(path) as container:
            return _walk_packets(path, container)
    # ValueError: PyAV's own checks; UnicodeError: metadata that is not text.
    except (FFmpegError, ValueError, UnicodeError) as error:
        raise VideoError(f"{path}: is damaged or not a video ({_reason(error)}); download or copy it again") from None


def _video_stream(path: str | os.PathLike, container: Any) -> VideoStream:
    if not container.streams.video:
        raise VideoError(f"{path}: has no video stream; remove it from the list or replace the file")
    return cast(VideoStream, container.streams.best("video"))


def _walk_packets(path: str, container: Any) -> _Index:
    stream = _video_stream(path, container)
    if stream.codec_context is None:
        raise VideoError(
            f"{path}: its video is in a format FFmpeg does not know, or its header is damaged; download "
            "or copy it again, or encode it anew"
        )
    codec = stream.codec_context.name
    pictures_only, starts_only = (
        BitStreamFilterContext(f"filter_units=pass_types={units[codec]}", stream) if codec in units else None
        for units in (_PICTURE_UNITS, _START_UNITS)
    )

    pts, dts, ends, keys, pictures, discarded, hidden, clean = [], [], [], [], 0, 0, set(), starts_only is not None
    for packet in container.demux(stream):
        if packet.size == 0:  # the flush at the end; frames an .avi left out
            continue
        if packet.is_corrupt:
            raise VideoError(f"{path}: packet {len(pts)} is damaged or cut off; download or copy the file again")
        if packet.is_keyframe:
            keys.append(len(pts))
        if packet.is_discard:  # outside the edit list: decoded, not shown
            discarded += 1
            hidden.add(packet.pts)
        pts.append(packet.pts)
        dts.append(packet.dts)
        ends.append((packet.pts or 0) + (packet.duration or 0))
        if clean and starts_only is not None and packet.is_keyframe:
            # Of a copy: a filter takes the packet's content away, and gives it in another form than it takes.
            clean = bool(starts_only.filter(av.Packet(bytes(packet))))
        pictures += bool(pictures_only.filter(packet)) if pictures_only else 1
    if not pts:
        raise VideoError(f"{path}: has a video stream without a single frame; download or copy the file again")

    claimed, held = stream.frames, pictures
    if container.format.name == "avi" and dts[0] is not None and dts[-1] is not None:
        held += dts[-1] - dts[0] + 1 - len(pts)  # left-out frames are claimed by the header and hold a place in time
    if max(claimed, len(pts)) > held:
        raise VideoError(
            f"{path}: claims {max(claimed, len(pts))} frames and holds {held}: it is cut off or damaged; "
            "download or copy it again, or encode it anew",
            "over-reported",
        )
    promised = _matroska_seconds(stream.metadata.get("DURATION"))
    one_frame = 1 / (stream.average_rate or 10)
    if promised is not None and (max(ends) * stream.time_base) < promised - 2 * one_frame:
        raise VideoError(
            f"{path}: claims {promised:.2f} s and holds {float(max(ends) * stream.time_base):.2f} s: "
            "it is cut off; download or copy it again",
            "over-reported",
        )

    timed = (
        container.format.name.startswith(_TIMED_CONTAINERS)
        and None not in pts
        and len(set(pts)) == len(pts) == pictures
    )
    shown = sorted(set(pts) - hidden) if timed else []
    # A key frame that is shown after frames stored behind it (an open GOP) misleads decord's seek by that many frames,
    # and these cannot be decoded from it; a video that does not start on a key frame loses its first ones.
    exact = timed and clean and not discarded and keys[:1] == [0] and all(shown[k] == pts[k] for k in keys)
    container.seek(0)
    stream.codec_context.thread_count, stream.codec_context.options = 1, _STRICT
    first = next(container.decode(stream), None)
    if first is None:
        raise VideoError(f"{path}: not one of its {pictures} frames can be decoded; download or copy it again")
    rotation = int(first.rotation) % 360
    width, height = first.width, first.height
    if rotation in (90, 270):
        width, height = height, width
    info = VideoInfo(pictures - discarded, float(stream.average_rate or stream.guessed_rate or 0), width, height)
    return _Index(info, rotation, tuple(shown) if timed else None, tuple(keys) if exact else ())


@lru_cache(maxsize=64)
def _list_pictures(folder: str, mtime_ns: int) -> _Index:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise VideoError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    found: dict[int, re.Match[str]] = {}
    for name in sorted(names):
        match = _PICTURE_NAME.fullmatch(name)
        if match is None:
            continue
        number = int(match[2])
        if number in found:
            raise VideoError(
                f"{folder}: holds two pictures with number {number}, {found[number][0]} and {name}; keep the RGB "
                "frames only, each once"
            )
        found[number] = match
    if not found:
        raise VideoError(
            f"{folder}: is a folder and not a video file, and holds no .jpg or .png whose name ends in a "
            "number; extract the frames again"
        )
    start = min(min(found), 1)  # tools count from 0 or from 1
    for number in range(start, start + len(found)):
        if number not in found:
            like = found[min(found)]
            missing = f"{like[1] or ''}{number:0{len(like[2])}d}{os.path.splitext(like[0])[1]}"
            raise VideoError(
                f"{os.path.join(folder, missing)}: is missing between the frames {min(found)} and {max(found)} of its "
                "folder; extract the frames again"
            )
    pictures = tuple(found[k][0] for k in sorted(found))
    with _opened(folder, pictures[0]) as first:
        return _Index(VideoInfo(len(pictures), 0.0, *first.size), pictures=pictures)


@contextmanager
def _opened(folder: str | os.PathLike, name: str) -> Iterator[Any]:
    """The picture, as Pillow opens it.

    What Pillow says about a damaged one, inside the block too, becomes a ``VideoError``.
    """
    from PIL import Image

    path = os.path.join(folder, name)
    try:
        with Image.open(path) as picture:
            yield picture
    # What Pillow raises for damaged files depends on the place of the damage.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: is damaged or not a picture ({_reason(error)}); extract the frames again") from None


def _matroska_seconds(tag: str | None) -> float | None:
    """Seconds of a Matroska DURATION tag ("00:00:10.333000000"); None where there is none or it reads otherwise."""
    try:
        hours, minutes, seconds = (tag or "").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[-1][:200]


# --- the decoders --------------------------------------------------------------------------------------------------


def _picture(folder: str | os.PathLike, index: _Index, k: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB [H, W, 3] of picture ``k`` of a folder."""
    with _opened(folder, index.pictures[k]) as picture:
        stored, expected = picture.size, (index.info.width, index.info.height)
        if stored != expected:
            raise VideoError(
                f"{os.path.join(folder, index.pictures[k])}: is {stored[0]} x {stored[1]} pixels, and the first frame "
                f"of its folder is {expected[0]} x {expected[1]}; extract the frames again"
            )
        rgb = picture.convert("RGB")
        return np.array(rgb if size == stored else rgb.resize(size, 2))  # 2: bilinear


def _decord_frames(
    decord: Any, path: str | os.PathLike, index: _Index, unique: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    try:
        # Opened per call (a reader must not cross a fork), one thread (loaders bring their own processes). fault_tol is
        # the share of frames that may be filled in from their neighbours: less than one frame, that is none.
        reader = decord.VideoReader(os.fspath(path), width=size[0], height=size[1], num_threads=1, fault_tol=1e-9)
        if len(reader) != index.info.frames:
            raise VideoError(
                f"{path}: decord finds {len(reader)} frames where the container holds "
                f"{index.info.frames}; read it with data.reader=pyav or encode it anew",
                "over-reported",
            )
        return reader.get_batch(unique).asnumpy()
    # RuntimeError and AssertionError: what decord's Python side raises for files it cannot open.
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError, IndexError) as error:
        raise VideoError(f"{path}: decord cannot decode it ({_reason(error)}); download or copy it again") from None


def _scale(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return av.VideoFrame.from_ndarray(frame, format="rgb24").to_ndarray(
        format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR", threads=1
    )


def _pyav_frames(path: str | os.PathLike, index: _Index, size: tuple[int, int], wanted: list[int]) -> np.ndarray:
    """uint8 RGB [len(wanted), H, W, 3] of the frames ``wanted``, ascending and each once."""
    turned = index.rotation in (90, 270)
    width, height = (size[1], size[0]) if turned else size
    stored = (index.info.height, index.info.width) if turned else (index.info.width, index.info.height)
    frames = np.empty((len(wanted), size[1], size[0], 3), np.uint8)
    k, frame = -1, None
    try:
        with av.open(os.fspath(path)) as container:
            stream = _video_stream(path, container)
            stream.codec_context.thread_count, stream.codec_context.options = 1, _STRICT
            numbered = enumerate(container.decode(stream))
            for place, number in enumerate(wanted):
                start = index.starts[bisect_right(index.starts, number) - 1] if index.starts else 0
                if start > k + 1 and index.pts is not None:
                    # A key frame lies between: what is before it is not needed.
                    container.seek(index.pts[start], stream=stream)
                    ahead = container.decode(stream)
                    first = next(ahead, None)
                    if first is None or first.pts != index.pts[start]:
                        # Not every file can seek exactly, every file has a beginning.
                        return _pyav_frames(path, replace(index, starts=()), size, wanted)
                    numbered = enumerate(chain([first], ahead), start)
                while k < number:
                    k, frame = next(numbered, (-1, None))
                    if frame is None:
                        raise VideoError(
                            f"{path}: decoding ends before frame {number} of {index.info.frames}; "
                            "download or copy the file again",
                            "over-reported",
                        )
                    _check_frame(path, index, k, frame, stored)
                assert frame is not None  # ``wanted`` ascends: at least one has been decoded for ``number``
                # One thread: more cost more than they save on one frame.
                rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR", threads=1)
                frames[place] = np.rot90(rgb, index.rotation // 90) if index.rotation else rgb
            if k == index.info.frames - 1 and next(numbered, None) is not None:
                raise VideoError(
                    f"{path}: decoding gives more than the {k + 1} frames that the container holds; "
                    "download or copy the file again"
                )
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: cannot be decoded after frame {k} ({_reason(error)}); download or copy it again"
        ) from None
    return frames


def _check_frame(path: str | os.PathLike, index: _Index, k: int, frame: av.VideoFrame, size: tuple[int, int]) -> None:
    if frame.is_corrupt:  # FFmpeg's mark for errors it found or concealed
        raise VideoError(f"{path}: frame {k} is damaged; download or copy the file again")
    if index.pts is not None and frame.pts != index.pts[k]:
        raise VideoError(
            f"{path}: frame {k} is missing or out of order (time stamp {frame.pts}, expected {index.pts[k]}); "
            "download or copy the file again"
        )
    if (frame.width, frame.height) != size:
        raise VideoError(
            f"{path}: frame {k} is {frame.width} x {frame.height} pixels, and the first is {size[0]} x {size[1]}; "
            "the file is damaged or changes its size: encode it anew"
        )
