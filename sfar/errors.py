"""The errors a user can cause. The command line prints their message alone, without a traceback, and exits with 2."""

import errno
import unicodedata
from os import PathLike
from typing import Literal


class SfarError(Exception):
    """Something the user can mend: the message names the file, field or class, what was expected and what to do."""

    said = False  # printed already, by the first of several processes that met it

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: one line, as on the command line."""
        return [f"{type(self).__name__}: {self}"]


VideoErrorKind = Literal["damaged", "empty", "missing", "over-reported", "timeout", "unreadable"]
# Of the moment and not of the content: what is true now may be otherwise the next time, and is not kept.
PASSING: tuple[VideoErrorKind, ...] = ("missing", "timeout", "unreadable")


class VideoError(SfarError):
    """A video that cannot be opened or decoded; the message names the file. It is reported, never replaced.

    ``kind``: "missing" is not there, "empty" has no bytes, "over-reported" holds fewer frames than it claims, "timeout"
    was not decoded in time or memory, "unreadable" was not given by the system (permissions, disk, network, limit of
    open files), "damaged" is everything else that is wrong inside.
    """

    def __init__(self, message: str, kind: VideoErrorKind = "damaged") -> None:
        super().__init__(one_line(message))
        self.kind: VideoErrorKind = kind


def one_line(text: str) -> str:
    """``text`` with line feeds and other signs that steer a terminal escaped: names of files may have them."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text
    )


def closed(error: OSError) -> str:
    """What to do about a path of the user's that the system does not give."""
    if isinstance(error, PermissionError):
        return "check its permissions and those of its folders"
    if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
        return "correct its name or the link that leads to it"
    return "check its disk or network and try again"


def out_of_memory(path: str | PathLike) -> VideoError:
    """The error for a video that the memory does not hold."""
    advice = "read fewer frames or scale them down with short_side"
    return VideoError(f"{path}: there is not enough memory to read it; {advice}", "timeout")


class DataError(SfarError):
    """A data root, list or annotation file that is missing or not in the expected layout."""


class LayoutError(DataError):
    """A data root as a whole: it is not there, or has no list or no video in the expected places."""


class ConfigError(SfarError):
    """An unknown or impossible profile, configuration key, parameter or method."""
