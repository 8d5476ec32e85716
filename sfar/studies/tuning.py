"""The search that every method gets alike, on development worlds that nothing is reported on (``make tune``).

A trial is one configuration of a method, drawn at random from its space, and its value the method's own accuracy,
averaged over the settings it is reported in and over the development worlds; no other method's enters. The winner of
each method is what the storyboard profile has (``config.TUNED``), and it stays: a test holds the one to the other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sfar.config import Profile, changed
from sfar.data.source import is_drawn
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.render import style
from sfar.render.tables import Table
from sfar.runs.executor import run_all
from sfar.studies.core import study
from sfar.studies.core.blocks import Drawn, Provenance, Shown, Text
from sfar.studies.core.record import Record, Row
from sfar.studies.core.study import FROZEN, Content, Item, Study, Variant

# --- what is searched ------------------------------------------------------------------------------------------------

WORLDS = (1001, 1002)  # data seeds; nothing is reported on them
SEEDS = (0,)  # of each trial in each world
TRIALS = 20
EPOCHS = (1, 2, 3, 4, 6)
LR_HEAD = (3e-4, 1e-2)
TEMPERATURE = (0.03, 1.0)
SHOTS = (2, 16)
# The readings of the equations that the search of SFAR may choose among.
OPEN: dict[str, tuple[Any, ...]] = {
    "model.ffn_residual": (False, True),
    "model.context_layers": (0, 6),
    "model.coarse_reduce": ("mean", "sum"),
    "model.frame_norm": (True, False),
}
SETTINGS = {
    "supervised": "supervised, Kinetics-400's layout, top-1",
    "zero-shot": "zero-shot, mean of UCF-101's and HMDB-51's layout, top-1",
    "few-shot 2": "few-shot, K = 2, HMDB-51's layout, top-1",
    "few-shot 16": "few-shot, K = 16, HMDB-51's layout, top-1",
    "multi-label": "multi-label, Charades' layout, mAP",
}


@dataclasses.dataclass(frozen=True)
class Contender:
    """A method that is searched for. ``reading``: it chooses among ``OPEN`` too."""

    method: str
    reading: bool = False

    @property
    def title(self) -> str:
        """As in tables."""
        return registry.get(self.method).title + (" (its readings open)" if self.reading else "")


CONTENDERS = (Contender("temporal"), Contender("single"), Contender("sfar-printed"), Contender("sfar", True))
# On a frozen tower Baseline (CLIP) has nothing to choose: the logit scale alone is trained.
NOTHING_TO_CHOOSE = "clip"


def _log_uniform(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    return float(f"{math.exp(rng.uniform(math.log(ends[0]), math.log(ends[1]))):.3g}")


def trials(contender: Contender) -> list[dict[str, Any]]:
    """The configurations of a contender, the same with every call; the first is the profile's own."""
    rng = np.random.default_rng(20_25)  # one stream: every contender has the same rates, epochs and temperatures
    out = []
    for k in range(TRIALS):
        common: dict[str, Any] = {
            "train.lr_head": _log_uniform(rng, LR_HEAD),
            "train.epochs": int(rng.choice(EPOCHS)),
        }
        temperature = _log_uniform(rng, TEMPERATURE)
        reading = {field: among[int(rng.integers(len(among)))] for field, among in OPEN.items()}
        if k == 0:
            out.append({})
            continue
        if "frame_temperature" in registry.get(contender.method).reads:
            common["model.frame_temperature"] = temperature
        out.append(common | (reading if contender.reading else {}))
    return out


def variants(profile: Profile, contender: Contender, trial: dict[str, Any]) -> dict[str, Variant]:
    """The trainings of a trial by what they are for; one serves two settings."""
    own = (*FROZEN, *trial.items())

    def variant(what: str, dataset: str = "", shots: int = 0) -> Variant:
        changes = (*study.protocol(profile, dataset, bool(shots)), *own) if dataset else own
        if shots:
            changes += (("data.shots", shots),)
        return Variant(what, what, contender.method, changes, "1x1", not dataset, bool(shots), tuned=False)

    return {
        "supervised": variant("supervised"),
        **{f"few-shot {k}": variant(f"few-shot {k}", "storyboard-hmdb51", k) for k in SHOTS},
        "multi-label": variant("multi-label", "storyboard-charades"),
    }


def world(profile: Profile, seed: int) -> Profile:
    """The profile on a development world."""
    return changed(profile, {"data.seed": seed, "data.train_per_class": 24, "data.val_per_class": 16})


def values(runs: dict[str, dict[str, Any]]) -> dict[str, float]:
    """By setting what one seed of a trial reaches, in percent."""
    out = {what: float(study.hits([run]).mean()) for what, run in runs.items() if what != "multi-label"}
    unseen = []
    for found in runs["supervised"]["zero_shot"].values():
        unseen.append(100 * float((np.array(found["scores"]).argmax(1) == np.array(found["labels"])).mean()))
    out["zero-shot"] = float(np.mean(unseen))
    out["multi-label"] = float(runs["multi-label"]["views"]["1x1"]["map"]["present"])
    return {what: out[what] for what in SETTINGS}


def expected_best(found: Sequence[float]) -> list[float]:
    """The expected value of the best of k trials, k = 1 to all, drawn from those found (Dodge et al. 2019)."""
    ordered, n = np.sort(found), len(found)
    out = []
    for k in range(1, n + 1):
        share = (np.arange(1, n + 1) / n) ** k
        out.append(float((ordered * np.diff(share, prepend=0.0)).sum()))
    return out


def check(profile: Profile) -> None:
    """Raise ``ConfigError`` for a real data set: its learning rates and epochs are the paper's."""
    if not is_drawn(profile):
        raise ConfigError("the search is of the storyboard world: the paper profile has the paper's values")


def measure(profile: Profile, workers: int | None) -> Content:
    """All trials of all contenders in all development worlds."""
    plan: dict[tuple[int, int, int, str, int], Any] = {}
    for c, contender in enumerate(CONTENDERS):
        for t, trial in enumerate(trials(contender)):
            for seed in WORLDS:
                at = world(profile, seed)
                for what, v in variants(at, contender, trial).items():
                    for s in SEEDS:
                        plan[c, t, seed, what, s] = study.job(at, v, s)
    made = dict(zip(plan, run_all(list(plan.values()), workers, "tuning"), strict=True))
    rows: list[Row] = []
    best: dict[str, Any] = {}
    for c, contender in enumerate(CONTENDERS):
        totals = []
        for t, trial in enumerate(trials(contender)):
            whats = variants(profile, contender, trial)
            each = [values({what: made[c, t, w, what, s] for what in whats}) for w in WORLDS for s in SEEDS]
            settings = {what: round(float(np.mean([e[what] for e in each])), 4) for what in SETTINGS}
            worlds = [round(float(np.mean([*e.values()])), 4) for e in each]
            mean = round(float(np.mean(worlds)), 4)
            totals.append(mean)
            more = {"configuration": {k: trial[k] for k in sorted(trial)}, "settings": settings}
            rows.append(
                Row(
                    "trials",
                    f"{contender.method}/{t}",
                    contender.title,
                    "mean",
                    mean,
                    mean,
                    mean,
                    per_seed=worlds,
                    more=more,
                )
            )
        winner = int(np.argmax(totals))
        best[contender.method] = {
            "trial": winner,
            "configuration": trials(contender)[winner],
            "value": totals[winner],
            "default": totals[0],
            "expected_best": [round(x, 4) for x in expected_best(totals)],
        }
    data = {"worlds": list(WORLDS), "seeds": list(SEEDS), "trials": TRIALS, "settings": SETTINGS}
    seconds = sum(r["seconds"] for r in made.values())
    return Content(data, rows, [], {"best": best}, seconds, seeds=list(SEEDS))


# --- what is shown ---------------------------------------------------------------------------------------------------


def space_table(record: Record) -> Table:
    """What is searched, and for whom."""
    rows = [
        ["train.lr_head", f"{LR_HEAD[0]:g} to {LR_HEAD[1]:g}, log-uniform", "all"],
        ["train.epochs", ", ".join(map(str, EPOCHS)), "all"],
        ["model.frame_temperature", f"{TEMPERATURE[0]:g} to {TEMPERATURE[1]:g}, log-uniform", "BIKE's head, SFAR"],
        *([field, ", ".join(map(_word, among)), "SFAR (its readings open)"] for field, among in OPEN.items()),
    ]
    return Table(["Field", "Values", "Of whom"], rows)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _text(configuration: dict[str, Any]) -> str:
    return ", ".join(f"{k.split('.')[1]} {_word(v)}" for k, v in configuration.items()) or "the profile's own values"


def winners_table(record: Record) -> Table:
    """The best trial of each method."""
    rows = []
    for c in CONTENDERS:
        best = record.extra["best"][c.method]
        own = record.find("trials", f"{c.method}/{best['trial']}", "mean")
        settings = [own.more["settings"][s] for s in SETTINGS]
        rows.append([c.title, best["value"], best["default"], *settings, _text(best["configuration"])])
    columns = ["Method", "Best of all [%]", "First trial: the profile's [%]", *SETTINGS, "Its configuration"]
    return Table(columns, rows)


def trials_table(record: Record) -> Table:
    """Every trial."""
    rows = [
        [
            r.title,
            int(r.row.split("/")[1]),
            r.mean,
            *(r.more["settings"][s] for s in SETTINGS),
            _text(r.more["configuration"]),
        ]
        for r in record.select("trials", metric="mean")
    ]
    return Table(["Method", "Trial", "Mean [%]", *SETTINGS, "Configuration"], rows)


def figure(record: Record) -> Figure:
    """The expected best value against the number of trials, and all trials by setting."""
    style.use()
    fig, (ax, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=[1, 1.35], layout="constrained")
    n = np.arange(1, record.data["trials"] + 1)
    for k, c in enumerate(CONTENDERS):
        method, best = registry.get(c.method), record.extra["best"][c.method]
        ax.plot(n, best["expected_best"], color=method.colour, lw=1.6, label=method.title)
        for x, s in enumerate(SETTINGS):
            y = [r.more["settings"][s] for r in record.select("trials", metric="mean") if _of(r) == c.method]
            at = x + 0.17 * (k - 1.5)
            right.plot([at] * len(y), y, "_", color=method.colour, ms=7, alpha=0.45)
            won = record.find("trials", f"{c.method}/{best['trial']}", "mean").more["settings"][s]
            right.plot(at, won, method.marker, color=method.colour, ms=5, mec="white", mew=0.6, zorder=3)
    ax.set_xlabel("Trials")
    ax.set_ylabel("Expected best, mean of the settings [%]")
    ax.set_title("What more search would bring", loc="left")
    ax.set_xlim(1, n[-1])
    ax.set_xticks([k for k in n if k == 1 or k % 5 == 0])
    right.set_xticks(range(len(SETTINGS)), [s.replace(" ", "\n", 1) for s in SETTINGS])
    right.set_ylabel("Top-1, mAP [%]")
    right.set_title("All trials (lines) and the one chosen (mark)", loc="left")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def _of(row: Row) -> str:
    return row.row.split("/")[0]


def describe(record: Record) -> str:
    """What was searched on."""
    worlds = " and ".join(map(str, record.data["worlds"]))
    return (
        f"{record.data['trials']} trials of each method on the worlds of data seeds {worlds}, {len(SEEDS)} seeds in "
        "each, tower frozen; nothing is reported on these worlds."
    )


HOW = (
    "Every method gets the same number of trials, with the same learning rates, epochs and temperatures (drawn once "
    "for all), and is chosen by its own value: the mean of five settings, over worlds. On a frozen tower Baseline "
    "(CLIP) has nothing to choose: it keeps the profile's values. Where the tower is fine-tuned, all methods have the "
    "profile's epochs and its learning rate of the tower."
)

BLOCKS = (
    Text(HOW, "How it is searched"),
    Shown("space", space_table, "What is searched"),
    Shown("winners", winners_table, "What was chosen", terminal=True),
    Drawn("figure", figure, "Tuning", file="tuning"),
    Shown("trials", trials_table, "All trials"),
    Provenance(),
)

STUDY = Study(
    id="tuning",
    title="The search for each method's settings, on development worlds",
    notebook="",
    covers=(Item("tuning", "Tuning"),),
    measure_content=measure,
    claims=(),
    blocks=BLOCKS,
    describe=describe,
    check=check,
    made_by="make tune",
)


def chosen(record: Record) -> dict[str, dict[str, Any]]:
    """What ``config.TUNED`` has to be by the record."""
    return {method: dict(best["configuration"]) for method, best in record.extra["best"].items()}
