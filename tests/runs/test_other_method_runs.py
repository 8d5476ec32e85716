"""Runs of other methods: their loss, their key, their way through the executor."""

import pytest
from small_sets import at

from sfar.config import get_profile
from sfar.data.source import Dataset, dataset
from sfar.model.other_methods import OTHER_METHODS
from sfar.runs import other_methods
from sfar.runs.job import Job


def test_the_key_of_a_run(tmp_path):
    data = Dataset("kinetics400", tmp_path, "fingerprint", ("long jump", "pole vault"), False)

    def run(host, plug, seed=0, **changes):
        return other_methods.OtherMethodJob(
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


def test_a_record(roots):
    p = at(roots, **{"train.train_visual": False, "train.frozen_draws": 1, "train.epochs": 2})
    job = Job(p, dataset(p), "sfar", 0)
    ticks = []
    for host, parts in (("atm", ["head"]), ("bike", ["head", "logit_scale"])):
        r = other_methods.run_other_method(other_methods.OtherMethodJob(job, host, "fine"), ticks.append)
        assert (r["host"], r["plug"], r["trained"], len(r["v2t"])) == (host, "fine", parts, 2)
        assert set(r["views"]["1x1"]) >= {"top1", "ranks"} and r["classes"] == list(job.data.classes)
    assert ticks[-1] == 4, "the progress bar is told"


@pytest.mark.parametrize("name", OTHER_METHODS)
def test_the_loss_is_cross_entropy_of_a_classifier_and_eq_14_of_the_others(roots, monkeypatch, name):
    p = at(roots, **{"train.train_visual": False, "train.frozen_draws": 1})

    class Reached(Exception):
        pass

    def fit(model, inputs, *_):
        assert inputs.job.profile.train.loss == ("cross_entropy" if name == "atm" else "info_nce")
        raise Reached

    monkeypatch.setattr(other_methods, "fit", fit)
    with pytest.raises(Reached):
        other_methods.run_other_method(other_methods.OtherMethodJob(Job(p, dataset(p), "sfar", 0), name, "none"))
