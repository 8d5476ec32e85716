"""Frames of a video, by index: of a file, or of a folder of extracted pictures.

The one place of the repository that touches decord. PyAV reads unless decord is asked for (``data.reader``). On 671
randomly damaged files decord 0.6.0 returned another frame without an error 65 times and PyAV, made strict as below,
never; for 8 frames of a clip it takes about as long (0.3 to 1.05 of decord's time).

Strict means: the container's packets are walked once (a few milliseconds), and a file that promises more than it holds
is refused there. FFmpeg stops at the first damage it notices ("explode"), frames it marks as damaged or has filled in
are refused, and every frame must carry the time stamp that the packets gave it, where the container has time stamps. A
frame that cannot be had is an error and never another frame.

A file is what its bytes are: FFmpeg is given these and no name (``_Bytes``), so nothing depends on how a file is called
or ends. What the system says about it, that it may not be read or that a disk fails, is told apart from damage.

Not seen by either decoder: damage inside the data of a picture that still reads as a picture. H.264 and MPEG-4 notice
most flipped bits, VP9 hardly any, and JPEG none but those that end a picture early. Matroska stores no number of
frames: where packets are gone without a trace, the frames are those that are left.
"""

from __future__ import annotations

import errno
import math
import os
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from sfar.errors import ConfigError, VideoError, closed, out_of_memory

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
# Bytes in which no picture fits: encoders leave a frame out of an .avi by an empty chunk, or one that says "as before".
_NO_PICTURE = 19
# A tag in any encoding is no damage. An empty list of protocols: a play list in place of a video opens no other file.
_OPENING: dict[str, Any] = {"metadata_errors": "replace", "options": {"protocol_whitelist": ""}}
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails  # pictures beside sound, or beside the video
_PICTURE_NAME = re.compile(r"([^.].*?)??([0-9]+)\.(?:jpg|jpeg|png)", re.IGNORECASE)
# Of the pictures of one folder (TSN, mmaction2: img_00001.jpg, flow_x_00001.jpg, flow_y_00001.jpg): those of the video,
# and those that were computed from it.
_RGB_NAME = re.compile(r"(?:.*[^a-z])?(?:img|image|images|frame|frames|rgb)[^a-z]*", re.IGNORECASE)
_FLOW_NAME = re.compile(r".*(?:flow(?!er)|tvl1|warp).*|(?:.*[^a-z])?[xyuv][^a-z]*", re.IGNORECASE)
_ROUNDING = 1e-3  # of a frame: "1.20" seconds at 10 frames per second is frame 12, whatever the product rounds to
_STAMP = 1e-3  # seconds: Matroska and others round time stamps to thousandths


@dataclass(frozen=True)
class VideoInfo:
    """Length, rate and size of a video.

    ``frames``: pictures in the file; ``fps``: their average rate per second (0 where the file does not say, as in
    folders of pictures); ``width``, ``height``: pixels as read, that is after the rotation or mirroring that phones
    write into the file (by quarters of a turn), and taken as square: a pixel aspect ratio in the file is not applied,
    as decord does not apply it. ``times``: seconds, counted from the first frame, at which each frame begins and the
    last one ends, [frames + 1]; None where they are k / fps, or not known.
    """

    frames: int
    fps: float
    width: int
    height: int
    times: tuple[float, ...] | None = None

    def seconds(self, frames: np.ndarray) -> np.ndarray:
        """When ``frames`` (numbers) begin; their numbers themselves where the file does not say."""
        return np.asarray(self.times)[frames] if self.times else frames / (self.fps or 1.0)


def frame_at(seconds: float, fps: float, times: Sequence[float] | None = None) -> int:
    """The frame that is shown at ``seconds``, by its time stamp where the rate varies.

    Behind the last one it is the number of frames or more. ``fps``, ``times``: of ``VideoInfo``.
    """
    if times is None:
        return int(seconds * fps + _ROUNDING)
    return max(0, bisect_right(times, seconds + _STAMP / 2) - 1)


@dataclass(frozen=True)
class _Index:
    """What the walk over a file's packets tells.

    ``turns``: quarters of a turn counter-clockwise; ``mirrored``: left and right are exchanged after them. ``pts``:
    time stamp of frame k; None where the file's time stamps do not number its frames. ``starts``: frames at which
    decoding may start; () where frame k has to be counted from the first. ``plain``: decord sees the same stream and
    the same colours. ``pictures``: file names, for a folder.
    """

    info: VideoInfo
    turns: int = 0
    mirrored: bool = False
    plain: bool = False
    pts: tuple[int, ...] | None = None
    starts: tuple[int, ...] = ()
    pictures: tuple[str, ...] = ()


def probe(path: str | os.PathLike, reader: str = "auto") -> VideoInfo:
    """Length, rate and size of a video. Both decoders give the same answer: it comes from the container's packets.

    ``path``: a video file of any name and ending, or a folder of its frames: img_00001.jpg, <ID>-000001.jpg or any
    other .jpg and .png whose name ends in its number, counted from 0 or 1 (the layouts of BIKE's lists and of
    Charades_v1_rgb). Optical flow in the same folder (TSN's flow_x_00001.jpg) is passed over.

    Raises VideoError (missing, not a video, no frames, truncated, shorter than it claims; a folder that lacks a picture
    or has one twice; with ``kind`` "unreadable" or "timeout" where it is the system that does not give the bytes or the
    memory), ConfigError (reader).
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
    scaled, to within 2 on average, with more than 16 in one value of 200 at most, along sharp edges of colour. The
    colours' matrix and range are those that the file names (BT.601 where it names none); high dynamic range is not
    mapped to the usual one, and interlaced frames are given as they are stored.

    "auto" is PyAV: decord returned other frames than asked for on one in ten damaged files, without an error, and is
    not quicker. "decord" is decord where its numbers, its rows and its colours are right and its length is that of the
    packets' walk, otherwise PyAV: of more than 8 bits a value and of interlaced pictures decord makes other colours (by
    up to 255 grey levels). Pictures of a folder are read with Pillow, whatever the reader.

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
    exact = index.starts and index.plain and not decord_misreads(decode[0])
    decord = decord_module() if reader == "decord" and exact and _has_plain_name(path) else None
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
    except OSError as error:
        raise refused(path, error) from None
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
        with _opened(path) as container:
            return _walk_packets(path, container)
    except (FFmpegError, ValueError) as error:  # ValueError: PyAV's own checks
        if error_number(error) == errno.ENOMEM:
            raise out_of_memory(path) from None
        raise VideoError(f"{path}: is damaged or not a video ({_reason(error)}); download or copy it again") from None
    except OSError as error:  # FFmpeg's own errors are above
        raise refused(path, error) from None


class _Bytes:
    """What FFmpeg is given of a file: its bytes and no name.

    FFmpeg takes names for more than they are: "a:b" for a protocol, "%d" for a pattern. And its errors do not say
    whether the system or the content is at fault, so what the system says is kept here (``failed``), and FFmpeg sees
    the file end. Ctrl-C is kept likewise: FFmpeg would swallow it.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed by ``close``
        self.failed: BaseException | None = None
        self.tell, self.close = self._file.tell, self._file.close

    def read(self, size: int) -> bytes:
        try:
            return b"" if self.failed else self._file.read(size)
        except BaseException as error:
            self.failed = error
            return b""

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # a place before the file's beginning: damage, of which FFmpeg judges
            return -(error.errno or errno.EINVAL)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Any]:
    """A file as PyAV opens it.

    Raises ``VideoError`` where the system does not give its bytes, inside the block too, whatever FFmpeg makes of that;
    what FFmpeg and PyAV say of its content passes through.
    """
    try:
        source = _Bytes(path)
    except OSError as error:
        raise refused(path, error) from None
    try:
        with av.open(source, **_OPENING) as container:
            yield container
    finally:
        source.close()
        if isinstance(source.failed, OSError):
            raise refused(path, source.failed) from None
        if source.failed:
            raise source.failed


def refused(path: str | os.PathLike, error: OSError) -> VideoError:
    """The error for what the system says when ``path`` is looked for, opened or read: no property of the video."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return VideoError(f"{path}: no such file; check the data root and the list that names it", "missing")
    if error.errno == errno.ENOMEM:
        return out_of_memory(path)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        advice = "raise the limit of open files (ulimit -n) or read with fewer processes"
    elif isinstance(error, TimeoutError):
        advice = "its disk or network did not answer in time: try again when it does"
    else:
        advice = closed(error)
    return VideoError(f"{path}: cannot be read ({error.strerror or error}); {advice}", "unreadable")


def error_number(error: BaseException) -> int | None:
    """What the system or FFmpeg counts the error as; None for an error of Python's own."""
    return getattr(error, "errno", None)


def _has_plain_name(path: str | os.PathLike) -> bool:
    """Whether the name is text: decord takes no other."""
    return os.fsencode(path) == os.fspath(path).encode("utf-8", "replace")


def _video_stream(path: str | os.PathLike, container: Any) -> VideoStream:
    """The stream that FFmpeg calls the best one, among those that are a video and not a cover."""
    films = [s for s in container.streams.video if not s.disposition & _NO_VIDEO]
    if not films:
        what = "sound and a cover picture but no video" if container.streams.video else "no video stream"
        raise VideoError(f"{path}: has {what}; remove it from the list or replace the file")
    best = container.streams.best("video")
    return cast(VideoStream, best if best in films else films[0])


def _packets(container: Any, stream: VideoStream) -> Iterator[Any]:
    """The packets of a stream that hold something: neither empty ones nor those that an .avi may begin with."""
    begun = container.format.name != "avi"
    for packet in container.demux(stream):
        begun = begun or packet.is_keyframe or packet.size > _NO_PICTURE
        if packet.size and begun:
            yield packet


def _decoded(container: Any, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The frames of a stream, from where the container stands.

    Not ``container.decode``: for PyAV an empty packet is the end of the stream.
    """
    if not stream.codec_context.is_open:  # it stays open when the container is wound to another place
        stream.codec_context.thread_count, stream.codec_context.options = 1, _STRICT
    for packet in _packets(container, stream):
        yield from stream.decode(packet)
    yield from stream.decode(None)


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
    tiny = set()
    for packet in _packets(container, stream):
        if packet.is_corrupt:
            raise VideoError(f"{path}: packet {len(pts)} is damaged or cut off; download or copy the file again")
        if packet.is_keyframe:
            keys.append(len(pts))
        elif packet.size <= _NO_PICTURE:
            tiny.add(len(pts))
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
    if len(pts) == 1 and container.format.name.endswith("_pipe"):  # how FFmpeg calls the files of single pictures
        raise VideoError(f"{path}: is a picture and not a video; give a video or a folder of numbered pictures")
    if not pts:
        raise VideoError(f"{path}: has a video stream without a single frame; download or copy the file again")

    repeated = 0
    if codec == "mpeg4" and tiny:  # "as before" holds a place, and gives a picture or none: decoding tells
        with _opened(path) as whole:
            pictures = sum(1 for _ in _decoded(whole, _video_stream(path, whole)))
        repeated = min(len(tiny), len(pts) - pictures)
    claimed, held = max(stream.frames, len(pts)), pictures + repeated
    if claimed > held and container.format.name == "avi":
        held += _left_out(path, stream.index)  # the header counts them
    if claimed > held:
        raise VideoError(
            f"{path}: claims {claimed} frames and holds {held}: it is cut off or damaged; "
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
    first = _first_frame(path, container, stream)
    if first is None:
        raise VideoError(f"{path}: not one of its {pictures} frames can be decoded; download or copy it again")
    turns, mirrored = _turn(first)
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if repeated == len(tiny) > 0:
        dts = [t for k, t in enumerate(dts) if k not in tiny]
    stamps = dts if container.format.name == "avi" else sorted(set(pts) - hidden) if None not in pts else []
    times = _times(stamps, max(ends), stream.time_base, rate) if len(stamps) == pictures - discarded > 1 else None
    info = VideoInfo(pictures - discarded, rate, width, height, times)
    plain = (
        not mirrored
        and not first.interlaced_frame
        and len(container.streams.video) == 1
        and all(part.bits == 8 for part in first.format.components)
    )
    return _Index(info, turns, mirrored, plain, tuple(shown) if timed else None, tuple(keys) if exact else ())


def _left_out(path: str, stream: int) -> int:
    """Frames for which an .avi has chunks without a picture: the empty ones, and those that it begins with.

    FFmpeg passes over empty chunks without a word.
    """
    sizes, mine = [], b"%02d" % stream
    with open(path, "rb") as file:
        while len(head := file.read(8)) == 8:
            name, size = head[:4], int.from_bytes(head[4:], "little")
            if not any(name):  # zeros: the rest was not written
                break
            if name in (b"RIFF", b"LIST") and file.read(4) in (b"AVI ", b"AVIX", b"movi", b"rec "):
                continue  # what is in it comes next
            if name[:2] == mine and name[2:] in (b"dc", b"db"):
                sizes.append(size)
            file.seek(size + size % 2 - 4 * (name in (b"RIFF", b"LIST")), os.SEEK_CUR)
    first = next((k for k, size in enumerate(sizes) if size > _NO_PICTURE), len(sizes))
    return sizes.count(0) + sum(size > 0 for size in sizes[:first])


def _first_frame(path: str, container: Any, stream: VideoStream) -> av.VideoFrame | None:
    """The first frame of a file that has been walked to its end; None where none can be decoded."""
    try:
        container.seek(0)
    except FFmpegError:  # not every file can be wound back: one without an index, an .avi that begins with no frame
        with _opened(path) as again:
            return next(_decoded(again, _video_stream(path, again)), None)
    return next(_decoded(container, stream), None)


def _times(stamps: Sequence[int | None], end: int, time_base: Fraction | None, rate: float) -> tuple[float, ...] | None:
    """``VideoInfo.times`` of frames with these stamps, the last of which ends at ``end``; None where they are k / rate.

    None too where the stamps do not ascend: they say nothing then.
    """
    if not time_base or None in stamps or any(b <= a for a, b in pairwise(cast(Sequence[int], stamps))):
        return None
    first, *_, last = numbers = cast(Sequence[int], stamps)
    begins = [float((n - first) * time_base) for n in numbers]
    if rate:
        # Stamps are rounded, to thousandths of a second or to whole units; a frame that is left out is no rounding.
        close = min(float(time_base) + _STAMP, 0.25 / rate)
        if all(abs(t - k / rate) <= close for k, t in enumerate(begins)):
            return None
    return (*begins, float((end - first) * time_base) if end > last else begins[-1] + (1 / rate if rate else 0))


def _turn(frame: av.VideoFrame) -> tuple[int, bool]:
    """Quarters of a turn counter-clockwise, and whether left and right are exchanged after them, to show a frame."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    m = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)[:2, :2].astype(float)  # native order of bytes
    mirrored = m[0, 0] * m[1, 1] < m[0, 1] * m[1, 0]
    if mirrored:
        m[:, 0] = -m[:, 0]
    wide, high = np.hypot(*m[:, 0]), np.hypot(*m[:, 1])
    if not (wide and high):  # a matrix that shows nothing: FFmpeg turns by nothing there
        return 0, False
    return round(-math.atan2(m[0, 1] / high, m[0, 0] / wide) / (math.pi / 2)) % 4, bool(mirrored)


@lru_cache(maxsize=64)
def _list_pictures(folder: str, mtime_ns: int) -> _Index:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise refused(folder, error) from None
    found: dict[int, re.Match[str]] = {}
    for match in _of_video([m for name in names if (m := _PICTURE_NAME.fullmatch(name))]):
        number = int(match[2])
        if number in found:
            raise VideoError(
                f"{folder}: holds two pictures with number {number}, {found[number][0]} and {match[0]}; keep the RGB "
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
    with _picture_file(folder, pictures[0]) as first:
        return _Index(VideoInfo(len(pictures), 0.0, *first.size), pictures=pictures)


def _of_video(pictures: list[re.Match[str]]) -> list[re.Match[str]]:
    """Those of a folder's pictures that show the video, where others of the same numbers lie beside them."""
    named: dict[str, list[re.Match[str]]] = defaultdict(list)
    for match in pictures:
        named[match[1] or ""].append(match)
    if len(named) == 1:
        return pictures
    shown = {name: of for name, of in named.items() if not _FLOW_NAME.fullmatch(name)}
    rgb = {name: of for name, of in shown.items() if _RGB_NAME.fullmatch(name)}
    return [match for of in (rgb if len(rgb) == 1 else shown).values() for match in of]


@contextmanager
def _picture_file(folder: str | os.PathLike, name: str) -> Iterator[Any]:
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
        if isinstance(error, OSError) and error.errno is not None:  # of the system: Pillow's own have no number
            raise refused(path, error) from None
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
    with _picture_file(folder, index.pictures[k]) as picture:
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
        # A whole path: a relative one with a colon would be taken for a protocol.
        whole = os.path.abspath(path)
        reader = decord.VideoReader(whole, width=size[0], height=size[1], num_threads=1, fault_tol=1e-9)
        if len(reader) != index.info.frames:
            raise VideoError(
                f"{path}: decord finds {len(reader)} frames where the container holds "
                f"{index.info.frames}; read it with data.reader=pyav or encode it anew",
                "over-reported",
            )
        return reader.get_batch(unique).asnumpy()
    # RuntimeError and AssertionError: what decord's Python side raises for files it cannot open.
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError, IndexError) as error:
        _read_through(path)
        raise VideoError(f"{path}: decord cannot decode it ({_reason(error)}); download or copy it again") from None


def _read_through(path: str | os.PathLike) -> None:
    """Raise ``VideoError`` where the system does not give a file's bytes: decord does not tell that from damage."""
    try:
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
    except OSError as error:
        raise refused(path, error) from None


def _scale(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return av.VideoFrame.from_ndarray(frame, format="rgb24").to_ndarray(
        format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR", threads=1
    )


def _pyav_frames(path: str | os.PathLike, index: _Index, size: tuple[int, int], wanted: list[int]) -> np.ndarray:
    """uint8 RGB [len(wanted), H, W, 3] of the frames ``wanted``, ascending and each once."""
    turned = index.turns % 2 == 1
    width, height = (size[1], size[0]) if turned else size
    stored = (index.info.height, index.info.width) if turned else (index.info.width, index.info.height)
    frames = np.empty((len(wanted), size[1], size[0], 3), np.uint8)
    k, frame = -1, None
    try:
        with _opened(path) as container:
            stream = _video_stream(path, container)
            numbered = enumerate(_decoded(container, stream))
            for place, number in enumerate(wanted):
                start = index.starts[bisect_right(index.starts, number) - 1] if index.starts else 0
                if start > k + 1 and index.pts is not None:
                    # A key frame lies between: what is before it is not needed.
                    ahead = _from(container, stream, index.pts[start])
                    if ahead is None:
                        # Not every file can seek exactly, every file has a beginning.
                        return _pyav_frames(path, replace(index, starts=()), size, wanted)
                    numbered = enumerate(ahead, start)
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
                rgb = np.rot90(_rgb(path, frame, (width, height)), index.turns)
                frames[place] = rgb[:, ::-1] if index.mirrored else rgb
            if k == index.info.frames - 1 and next(numbered, None) is not None:
                raise VideoError(
                    f"{path}: decoding gives more than the {k + 1} frames that the container holds; "
                    "download or copy the file again"
                )
    except (FFmpegError, ValueError) as error:
        if error_number(error) == errno.ENOMEM:
            raise out_of_memory(path) from None
        raise VideoError(
            f"{path}: cannot be decoded after frame {k} ({_reason(error)}); download or copy it again"
        ) from None
    return frames


def _from(container: Any, stream: VideoStream, pts: int) -> Iterator[av.VideoFrame] | None:
    """The frames from the one with time stamp ``pts`` on, which is a key frame; None where they are not found there."""
    try:
        container.seek(pts, stream=stream)
    except FFmpegError:
        return None
    ahead = _decoded(container, stream)
    first = next(ahead, None)
    return chain([first], ahead) if first is not None and first.pts == pts else None


def _rgb(path: str | os.PathLike, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    try:
        # One thread: more cost more than they save on one frame.
        return frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR", threads=1)
    except FFmpegError as error:
        if error_number(error) == errno.ENOMEM:
            raise out_of_memory(path) from None
        raise VideoError(
            f"{path}: its colours ({frame.format.name}, matrix {frame.colorspace}) are of a kind that FFmpeg does not "
            f"convert ({_reason(error)}); encode it anew as yuv420p"
        ) from None


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
