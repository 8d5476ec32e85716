"""What a file of weights is, told by its bytes, and the dictionary in it; no object but tensors is ever unpickled."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfar.errors import ConfigError

# Where the weights are in a folder, the better one first.
IN_FOLDER = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_PACKED = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a rar archive",
}
_FOREIGN = {
    b"\x89HDF": "weights of TensorFlow or Keras (HDF5)",
    b"GGUF": "weights of llama.cpp (GGUF)",
    b"\x93NUMPY": "an array of numpy",
}
_LFS = b"version https://git-lfs"


class Refused(Exception):
    """Why a file is not what was asked for: the end of a sentence that begins with its name."""


def files(path: Path) -> list[Path]:
    """The files that hold the weights at ``path``: itself, or those in a folder as open_clip or transformers write it.

    Raises ``ConfigError`` for a folder without weights, or that lacks a part of them.
    """
    if not path.is_dir():
        return [path]
    found = next((path / name for name in IN_FOLDER if (path / name).is_file()), None)
    if found is None:
        raise ConfigError(f"the folder {path} holds no weights of CLIP: expected one of {', '.join(IN_FOLDER)}")
    if found.suffix != ".json":
        whole = next((path / name for name in IN_FOLDER if _whole(path / name)), None) if _pointer(found) else None
        if whole:
            raise ConfigError(
                f"{found} is a pointer of Git LFS, not the file itself; {whole.name} beside it is whole: give {whole}, "
                "or run `git lfs pull` where the folder comes from"
            )
        return [found]
    try:
        parts = [
            path / part for part in sorted(set(json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()))
        ]
    except (ValueError, KeyError, AttributeError, TypeError) as e:
        raise ConfigError(f"{found} does not list the parts of the weights (weight_map): it is damaged") from e
    if not parts:
        raise ConfigError(f"{found} lists no part of the weights (weight_map): it is damaged; fetch it again")
    if lacking := [part.name for part in parts if not part.is_file()]:
        raise ConfigError(
            f"{path} lacks {len(lacking)} of the {len(parts)} files that {found.name} lists, such as {lacking[0]}: "
            "fetch them too"
        )
    return parts


def _pointer(file: Path) -> bool:
    """Whether Git LFS has left a few words in a file's place; one that cannot be read is said when it is opened."""
    try:
        with open(file, "rb") as f:
            return f.read(len(_LFS)) == _LFS
    except OSError:
        return False


def _whole(file: Path) -> bool:
    return file.suffix != ".json" and file.is_file() and not _pointer(file)


class Opened(NamedTuple):
    """What a file holds, and the call that gives it."""

    content: Any
    call: str


def opened(path: Path) -> Opened:
    """The object that ``torch.save`` or safetensors wrote; of a TorchScript archive its state dict.

    Raises ``Refused`` for everything else.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as f:
            head = f.read(512)
    except OSError as e:
        raise Refused(f"{path.name} cannot be read ({e.strerror})") from e
    if (why := no_weights(head)) is not None:
        raise Refused(why)
    if head.startswith(b"PK"):
        return _zipped(path)
    if head[8:9] == b"{":
        return Opened(
            _safetensors(path, size, int.from_bytes(head[:8], "little")), f"safetensors.torch.load_file({str(path)!r})"
        )
    if head[:1] == b"\x80":  # as torch wrote before 1.6
        return _unpickled(path)
    raise Refused(f"it is no file of weights (it begins with {head[:12]!r}); give the file as it was published")


def no_weights(head: bytes) -> str | None:
    """What a file is that begins so and cannot be weights, with what to do; None where it may be weights."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return "it is empty; fetch it again"
    if head.startswith(_LFS):
        return "it is a pointer of Git LFS, not the file itself; run `git lfs pull` where it comes from"
    if text[:1] == b"<":
        return (
            "it is a web page (HTML), not the file itself: a login or an error was saved in its place; fetch it again"
        )
    if text[:1] in (b"{", b"["):
        return "it is JSON, a configuration or an error, and holds no weights; give the file of the weights"
    if head[257:262] == b"ustar":
        return "it is a tar archive; unpack it"
    packed = next((what for start, what in _PACKED.items() if head.startswith(start)), None)
    foreign = next((what for start, what in _FOREIGN.items() if head.startswith(start)), None)
    if packed:
        return f"it is {packed}; unpack it"
    return f"it is {foreign}; give those of PyTorch" if foreign else None


def _safetensors(path: Path, size: int, header: int) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as e:
        whole = _promised(path, header) if 8 + header <= size else 8 + header
        if size < whole:
            raise Refused(f"it is cut off: {size:,} bytes of at least {whole:,}; fetch it again") from e
        raise Refused(f"it cannot be read as safetensors ({e}); fetch it again") from e


def _promised(path: Path, header: int) -> int:
    """How many bytes a safetensors file has by its own header, 0 where that cannot be read."""
    with open(path, "rb") as f:
        f.seek(8)
        try:
            about = json.loads(f.read(header))
            return 8 + header + max(t["data_offsets"][1] for k, t in about.items() if k != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0


def _zipped(path: Path) -> Opened:
    if not zipfile.is_zipfile(path):
        raise Refused("it is cut off: a file of torch begins, but its end is missing; fetch it again")
    with zipfile.ZipFile(path) as z:
        names = z.namelist()
    if any(n.endswith("/constants.pkl") for n in names):
        try:
            return Opened(
                torch.jit.load(path, map_location="cpu").state_dict(), f"torch.jit.load({str(path)!r}).state_dict()"
            )
        except RuntimeError as e:
            raise Refused(f"it cannot be read as a TorchScript archive ({_short(e)}); fetch it again") from e
    if any(n.endswith("data.pkl") for n in names):
        return _unpickled(path)
    if names and all(n.endswith(".npy") for n in names):
        raise Refused("it holds arrays of numpy, as weights of JAX are published; give those of PyTorch")
    raise Refused("it is a zip archive and no file of torch; unpack it")


def _unpickled(path: Path) -> Opened:
    try:
        with open(path, "rb") as f:  # of a name torch would believe the ending
            content = torch.load(f, map_location="cpu", weights_only=True)
            return Opened(content, f"torch.load({str(path)!r}, map_location='cpu', weights_only=True)")
    except pickle.UnpicklingError as e:
        named = re.search(r"GLOBAL ([\w.]+)", str(e))
        if named is None:
            raise Refused(f"it cannot be read ({_short(e)}): it is damaged or no file of torch") from e
        raise Refused(
            f"it holds objects besides tensors ({named[1]}), which could run code and are not unpickled; where you "
            "trust it, save its tensors alone, with torch.save of its state dict"
        ) from e
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as e:
        raise Refused(f"it cannot be read ({_short(e)}): it is cut off or damaged; fetch it again") from e


def _short(e: Exception) -> str:
    return (str(e).strip().splitlines() or [type(e).__name__])[0][:160]
