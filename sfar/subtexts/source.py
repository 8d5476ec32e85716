"""Stand-in until the source of sub-texts is split from the run."""

from sfar.runs.run import subtexts_of  # noqa: F401
