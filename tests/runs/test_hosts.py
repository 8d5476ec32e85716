"""Runs of other methods: what makes another run."""

from sfar.config import get_profile
from sfar.runs.hosts import HostJob
from sfar.runs.run import Dataset, Job


def test_the_key_of_a_run(tmp_path):
    data = Dataset("kinetics400", tmp_path, "fingerprint", ("long jump", "pole vault"), False)

    def run(host, plug, seed=0, **changes):
        return HostJob(
            Job(
                get_profile(
                    "storyboard", {"train.train_visual": False, **{k.replace("__", "."): v for k, v in changes.items()}}
                ),
                data,
                "sfar",
                seed,
            ),
            host,
            plug,
        )

    runs = [
        run("bike", "none"),
        run("bike", "fine"),
        run("bike", "mean"),
        run("atm", "none"),
        run("bike", "none", 1),
        run("bike", "none", train__epochs=9),
        run("bike", "none", model__temporal_layers=2),
    ]
    keys = [r.key() for r in runs]
    assert len(set(keys)) == len(keys) and run("bike", "none").key() == keys[0]
