"""Runs of other methods: their loss, their key, their way through the executor."""

import torch
import torch.nn.functional as F
from small_sets import at

from sfar.config import get_profile
from sfar.data.source import Dataset, dataset
from sfar.model.loss import info_nce
from sfar.runs import other_methods
from sfar.runs.job import Job


def test_lambda_makes_the_loss_cross_entropy():
    g = torch.Generator().manual_seed(0)
    logits, labels = (5 * torch.randn(8, 4, generator=g)).requires_grad_(), torch.tensor([0, 1, 2, 3, 0, 1, 1, 3])
    (got,) = torch.autograd.grad(
        info_nce(logits, labels, other_methods.CROSS_ENTROPY)[0] / other_methods.CROSS_ENTROPY, logits
    )
    (expected,) = torch.autograd.grad(F.cross_entropy(logits, labels), logits)
    assert (got - expected).norm() < 1e-5 * expected.norm()


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
