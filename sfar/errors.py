"""The errors a user can cause. The command line prints their message alone, without a traceback, and exits with 2."""

from typing import Literal


class SfarError(Exception):
    """Something the user can mend: the message names the file, field or class, what was expected and what to do."""

    said = False  # printed already, by the first of several processes that met it

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: one line, as on the command line."""
        return [f"{type(self).__name__}: {self}"]


VideoErrorKind = Literal["damaged", "empty", "missing", "over-reported", "timeout"]


class VideoError(SfarError):
    """A video that cannot be opened or decoded; the message names the file. It is reported, never replaced.

    ``kind``: "over-reported" holds fewer frames than it claims, "timeout" was not decoded in time or memory, "damaged"
    is everything else that is wrong inside.
    """

    def __init__(self, message: str, kind: VideoErrorKind = "damaged") -> None:
        super().__init__(message)
        self.kind: VideoErrorKind = kind


class DataError(SfarError):
    """A data root, list or annotation file that is missing or not in the expected layout."""


class LayoutError(DataError):
    """A data root as a whole: it is not there, or has no list or no video in the expected places."""


class ConfigError(SfarError):
    """An unknown or impossible profile, configuration key, parameter or method."""
