"""Stand-in until the job is split from the run."""

from sfar.runs.run import Job  # noqa: F401
