"""The errors a user can cause. The command line prints their message alone, without a traceback, and exits with 2."""


class SfarError(Exception):
    """Something the user can mend: the message names the file, field or class, what was expected and what to do."""

    said = False  # printed already, by the first of several processes that met it


class VideoError(SfarError):
    """A video that cannot be opened or decoded; the message names the file. It is reported, never replaced."""


class DataError(SfarError):
    """A data root, list or annotation file that is missing or not in the expected layout."""


class ConfigError(SfarError):
    """An unknown or impossible profile, configuration key, parameter or method."""
