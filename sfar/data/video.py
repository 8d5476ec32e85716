"""Frames of a video file, by index: the one place of the repository that touches decord.

Two decoders stand behind the same functions. decord seeks, so it is the quicker one on long files; PyAV decodes from
the start and is exact on every file. Before either is asked for frames, the container's packets are walked once with
PyAV (a few milliseconds): a file that promises more than it holds is refused there, because decord would wait for the
missing frames for ever, inside C++ and without giving back the interpreter lock. A frame that cannot be had is an error
and never another frame.

Not seen by either decoder: damage inside the data of a picture that FFmpeg conceals without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from sfar.errors import ConfigError, VideoError

BACKENDS = ("auto", "decord", "pyav")

# Types of the NAL units that hold a picture. Dropping all others tells how many packets hold one, and it fails on a
# packet whose units do not add up to its size: damage that decord notices or not depending on the speed of its threads.
_PICTURE_UNITS = {"h264": "1-5", "hevc": "0-31"}
# decord numbers frames by sorting the packets' time stamps. That holds in these containers only: an .avi stores no
# presentation times, and with B-frames in it decord returns wrong frames after a seek.
_TIMED_CONTAINERS = ("mov", "matroska")


@dataclass(frozen=True)
class VideoInfo:
    """``frames``: pictures in the file; ``fps``: their average rate per second (0 where the file does not say);
    ``width``, ``height``: pixels as displayed, that is after the rotation that phones write into the file."""

    frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class _Index:
    info: VideoInfo
    rotation: int  # degrees counter-clockwise, a multiple of 90
    pts: tuple[int, ...] | None  # time stamp of frame k; None where the file's time stamps do not number its frames


def probe(path: str | os.PathLike, backend: str = "auto") -> VideoInfo:
    """Length, rate and size of a video. Both backends give the same answer: it comes from the container's packets.

    Raises VideoError (missing, not a video, no frames, truncated, shorter than it claims), ConfigError (backend).
    """
    _check_backend(backend)
    return _index(path).info


def read_frames(path: str | os.PathLike, indices: Sequence[int] | np.ndarray, short_side: int | None = None,
                backend: str = "auto") -> np.ndarray:
    """Frames ``indices`` (0-based, any order, repeats allowed) as uint8 RGB [len(indices), H, W, 3].

    ``short_side``: scale so that the shorter side has this many pixels, aspect kept to the nearest pixel; None: as
    stored. Scaling is FFmpeg's bilinear one, decord's only choice (BIKE datasets/video.py resizes bicubically).
    The backends agree to the frame: as stored, to within 2 grey levels (FFmpeg's versions may round differently);
    scaled, to within 1.5 on average, with up to 16 in single pixels along sharp edges of colour.

    "auto" is decord where it is installed and exact, otherwise PyAV; "decord" on a file that decord cannot number
    reads all frames up to the largest index and picks from them.

    Raises VideoError (see ``probe``; index out of range; a frame that cannot be decoded), ConfigError (backend,
    short_side).
    """
    index = _index(path)
    size = _size(index.info, short_side)
    native = (index.info.width, index.info.height)
    # Where decord misreads the scaled width it decodes as stored, and FFmpeg's scaler follows: the same filter, one step later.
    decode = native if _decord_misreads(size[0]) else size
    decord = _choose(backend, index, decode)
    wanted = _checked_indices(path, indices, index.info.frames)
    unique, inverse = np.unique(wanted, return_inverse=True)
    if len(unique) == 0:
        return np.empty((0, size[1], size[0], 3), np.uint8)
    if decord is not None:
        frames = _decord_frames(decord, path, index, unique, decode)
        if decode != size:
            frames = np.stack([_scale(frame, size) for frame in frames])
    else:
        frames = np.stack(list(_pyav_frames(path, index, size, set(unique.tolist()))))
    return frames if np.array_equal(unique, wanted) else frames[inverse]  # no second copy of a whole video


def read_all(path: str | os.PathLike, short_side: int | None = None, backend: str = "auto",
             max_frames: int | None = None) -> np.ndarray:
    """All frames in order, or the first ``max_frames``: uint8 RGB [N, H, W, 3]; the rest as ``read_frames``."""
    if max_frames is not None and max_frames < 1:
        raise ConfigError(f"max_frames must be at least 1, got {max_frames}")
    frames = probe(path, backend).frames
    return read_frames(path, range(frames if max_frames is None else min(frames, max_frames)), short_side, backend)


def decord_available() -> bool:
    """Whether decord can be imported here (it has wheels for x86-64 Linux and Windows only)."""
    return _decord() is not None


# --- choices and checks --------------------------------------------------------------------------------------------


def _check_backend(backend: str) -> None:
    if backend not in BACKENDS:
        raise ConfigError(f"unknown video backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    if backend == "decord" and _decord() is None:
        raise ConfigError("video backend 'decord' is not installed on this machine: use 'pyav' or 'auto'")


def _choose(backend: str, index: _Index, size: tuple[int, int]) -> Any | None:
    """The decord module, or None for PyAV, which also stands in for "decord" on videos stored at widths that decord gets wrong."""
    _check_backend(backend)
    if backend == "pyav" or _decord_misreads(size[0]) or (backend == "auto" and index.pts is None):
        return None
    return _decord()


def _decord_misreads(width: int) -> bool:
    """decord takes padded rows for rows of more channels where their length is a multiple of the width (48 and 72
    pixels, for instance). Rows are padded to 16, 32 or 64 pixels, depending on the processor: from 192 on it cannot
    happen."""
    return width < 192 and width % 64 != 0


@lru_cache(maxsize=1)
def _decord() -> Any | None:
    # torch first: imported before torch, decord leaves data loader workers hanging. This import is inside a function so
    # that no tool that sorts imports can move it.
    import torch  # noqa: F401, I001

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
        raise VideoError(f"{path}: frame indices must be a flat list of whole numbers, got {wanted.dtype} "
                         f"{list(wanted.shape)}; sample them with sfar.data.transforms")
    wrong = wanted[(wanted < 0) | (wanted >= frames)]
    if wrong.size:
        raise VideoError(f"{path}: frame {int(wrong[0])} asked for, but the video has frames 0 to {frames - 1}; "
                         "count its frames with probe() before sampling")
    return wanted.astype(np.int64)


def _size(info: VideoInfo, short_side: int | None) -> tuple[int, int]:
    """Width and height of the frames to return."""
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
        raise VideoError(f"{path}: no such file; check the data root and the list that names it") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not os.path.isfile(path):
        raise VideoError(f"{path}: is not a file; give the path of one video")
    if state.st_size == 0:
        raise VideoError(f"{path}: is empty (0 bytes); download or copy it again")
    # A sampler asks for the length and then for frames: the second walk is saved, unless the file has changed.
    return _walk(os.fspath(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _walk(path: str, mtime_ns: int, size: int) -> _Index:
    try:
        with av.open(path) as container:
            return _walk_packets(path, container)
    # ValueError: PyAV's own checks; UnicodeError: metadata that is not text.
    except (av.error.FFmpegError, ValueError, UnicodeError) as error:
        raise VideoError(f"{path}: is damaged or not a video ({_reason(error)}); download or copy it again") from None


def _walk_packets(path: str, container: Any) -> _Index:
    if not container.streams.video:
        raise VideoError(f"{path}: has no video stream; remove it from the list or replace the file")
    stream = container.streams.best("video")
    if stream.codec_context is None:
        raise VideoError(f"{path}: its video is in a format FFmpeg does not know, or its header is damaged; download "
                         "or copy it again, or encode it anew")
    codec = stream.codec_context.name
    units = _PICTURE_UNITS.get(codec)
    pictures_only = BitStreamFilterContext(f"filter_units=pass_types={units}", stream) if units else None

    pts, dts, ends, keys, pictures, discarded = [], [], [], [], 0, 0
    for packet in container.demux(stream):
        if packet.size == 0:  # the flush at the end; frames an .avi left out
            continue
        if packet.is_corrupt:
            raise VideoError(f"{path}: packet {len(pts)} is damaged or cut off; download or copy the file again")
        if packet.is_keyframe:
            keys.append(len(pts))
        pts.append(packet.pts)
        dts.append(packet.dts)
        ends.append((packet.pts or 0) + (packet.duration or 0))
        discarded += packet.is_discard  # outside the edit list: decoded, not shown
        pictures += bool(pictures_only.filter(packet)) if pictures_only else 1
    if not pts:
        raise VideoError(f"{path}: has a video stream without a single frame; download or copy the file again")

    claimed, held = stream.frames, pictures
    if container.format.name == "avi" and dts[0] is not None and dts[-1] is not None:
        held += dts[-1] - dts[0] + 1 - len(pts)  # left-out frames are claimed by the header and hold a place in time
    if max(claimed, len(pts)) > held:
        raise VideoError(f"{path}: claims {max(claimed, len(pts))} frames and holds {held}: it is cut off or damaged; "
                         "download or copy it again, or encode it anew")
    promised = _matroska_seconds(stream.metadata.get("DURATION"))
    one_frame = 1 / (stream.average_rate or 10)
    if promised is not None and (max(ends) * stream.time_base) < promised - 2 * one_frame:
        raise VideoError(f"{path}: claims {promised:.2f} s and holds {float(max(ends) * stream.time_base):.2f} s: "
                         "it is cut off; download or copy it again")

    timed = (container.format.name.startswith(_TIMED_CONTAINERS) and codec in _PICTURE_UNITS and not discarded
             and None not in pts and len(set(pts)) == len(pts))
    shown = sorted(pts) if timed else []
    # A key frame that is shown after frames stored behind it (an open GOP) misleads decord's seek by that many frames;
    # a video that does not start on a key frame loses its first ones.
    exact = timed and keys[:1] == [0] and all(shown[k] == pts[k] for k in keys)
    container.seek(0)
    first = next(container.decode(stream), None)
    if first is None:
        raise VideoError(f"{path}: not one of its {pictures} frames can be decoded; download or copy it again")
    rotation = int(first.rotation) % 360
    width, height = first.width, first.height
    if rotation in (90, 270):
        width, height = height, width
    info = VideoInfo(pictures - discarded, float(stream.average_rate or stream.guessed_rate or 0), width, height)
    return _Index(info, rotation, tuple(shown) if exact else None)


def _matroska_seconds(tag: str | None) -> float | None:
    """Seconds of a Matroska DURATION tag ("00:00:10.333000000"); None where there is none or it reads otherwise."""
    try:
        hours, minutes, seconds = (tag or "").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[-1][:200]


# --- the two decoders ----------------------------------------------------------------------------------------------


def _decord_frames(decord: Any, path: str | os.PathLike, index: _Index, unique: np.ndarray,
                   size: tuple[int, int]) -> np.ndarray:
    ask = unique if index.pts is not None else np.arange(unique[-1] + 1)
    try:
        # Opened per call (a reader must not cross a fork), one thread (loaders bring their own processes). fault_tol is
        # the share of frames that may be filled in from their neighbours: less than one frame, that is none.
        reader = decord.VideoReader(os.fspath(path), width=size[0], height=size[1], num_threads=1, fault_tol=1e-9)
        if len(reader) < ask[-1] + 1:
            raise VideoError(f"{path}: decord finds {len(reader)} frames where the container holds "
                             f"{index.info.frames}; read it with backend 'pyav' or encode it anew")
        frames = reader.get_batch(ask).asnumpy()
    # RuntimeError and AssertionError: what decord's Python side raises for files it cannot open.
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError, IndexError) as error:
        raise VideoError(f"{path}: decord cannot decode it ({_reason(error)}); download or copy it again") from None
    return frames if len(ask) == len(unique) else frames[unique]


def _scale(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return av.VideoFrame.from_ndarray(frame, format="rgb24").to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="BILINEAR")


def _pyav_frames(path: str | os.PathLike, index: _Index, size: tuple[int, int],
                 wanted: set[int]) -> Iterator[np.ndarray]:
    """uint8 RGB [H, W, 3] of every frame in ``wanted``, ascending."""
    turned = index.rotation in (90, 270)
    width, height = (size[1], size[0]) if turned else size
    last, k = max(wanted), -1
    try:
        with av.open(os.fspath(path)) as container:
            stream = container.streams.best("video")
            stream.codec_context.thread_count = 1
            for k, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt or (index.pts is not None and frame.pts != index.pts[k]):
                    raise VideoError(f"{path}: frame {k} is damaged or missing; download or copy the file again")
                if k in wanted:
                    rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
                    yield np.ascontiguousarray(np.rot90(rgb, index.rotation // 90)) if index.rotation else rgb
                if k == last:
                    return
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{path}: cannot be decoded after frame {k} ({_reason(error)}); "
                         "download or copy it again") from None
    raise VideoError(f"{path}: decoding ends after {k + 1} of {index.info.frames} frames; download or copy it again")
