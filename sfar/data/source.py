"""Stand-in until the data set's source is split from the run."""

from sfar.runs.run import (  # noqa: F401
    ON_DEMAND,
    Dataset, by_name, dataset, draw, epoch_repeats, few_shot_manifest, is_drawn, load_clips, need_sets, root_of, sets_in,
)
