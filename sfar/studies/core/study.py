"""A study: variants of a configuration, each run on the same seeds, what is claimed of them and what is shown.

Every table and figure of the paper that needs a measurement belongs to one. A study is declared in one file and
registered by its name in ``sfar.studies.ORDER``. Differences are paired: the same seeds, the same videos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sfar.config import DRAWN, DataConfig, Profile, by_dataset, changed, get_profile, layout, tuned, values
from sfar.data import layouts
from sfar.data.source import Dataset, dataset, is_drawn, sets_in
from sfar.errors import ConfigError
from sfar.model import registry
from sfar.render.tables import Table
from sfar.runs.executor import run_all
from sfar.runs.job import Job
from sfar.studies.core import record as records
from sfar.studies.core import statistics
from sfar.studies.core.blocks import Block
from sfar.studies.core.claims import Claim, decide_all
from sfar.studies.core.record import Contrast, Record, Row
from sfar.util import code, progress

FROZEN = (("train.train_visual", False),)


# --- what is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variant:
    """One row: a method with fields changed.

    ``zero_shot``: tested on the unseen data sets of Table 2b too (``unseen``), so that it is the same run as Table 1's.
    ``seeded_list``: the run's seed also draws the few-shot list, so that seeds cover both. ``tuned``: with what the
    search found for its method on development worlds (``config.tuned``), as far as ``changes`` and the user leave it.
    """

    name: str
    title: str
    method: str
    changes: tuple[tuple[str, Any], ...] = ()
    views: str = "1x1"
    zero_shot: bool = False
    seeded_list: bool = False
    tuned: bool = True

    def profile(self, base: Profile, seed: int) -> Profile:
        """The configuration of one run: of a drawn world a seed has training videos of its own."""
        extra = {"data.shot_seed": seed} if self.seeded_list else {}
        fields = dict(self.changes)
        found = {k: v for k, v in tuned(base.name, self.method).items() if k not in given(base)} if self.tuned else {}
        if fields.get("train.train_visual", base.train.train_visual):
            found.pop("train.epochs", None)  # the tower's schedule was not searched for: it is the same for all
        profile = changed(base, {**found, **fields, **extra})
        drawn = is_drawn(profile) and registry.get(self.method).trained
        return changed(profile, {"data.replicate": seed}) if drawn else profile


def given(base: Profile) -> set[str]:
    """The fields of ``base`` that are not as its profile has them: the user has set them."""
    standard = values(get_profile(base.name))
    return {k for k, v in values(base).items() if v != standard[k]}


def protocol(base: Profile, dataset: str, shots: bool = False) -> tuple[tuple[str, Any], ...]:
    """Changes that make ``base`` one of the data set ``dataset``: what its protocol says (``config.by_dataset``).

    Fields that the user has set stay as they are.
    """
    new = by_dataset(base.name, dataset, shots)
    return tuple((k, v) for k, v in new.items() if k == "data.dataset" or k not in given(base))


@lru_cache(maxsize=64)
def _dataset(name: str, data: DataConfig) -> Dataset:
    return dataset(replace(get_profile(name), data=data))


def seeds_of(profile: Profile, variant: Variant, most: int | None = None) -> tuple[int, ...]:
    """The seeds that a variant is run on.

    On a frozen tower those of ``frozen_seeds``, the first ``most`` of them; of a method that is not trained the first
    alone.
    """
    if not registry.get(variant.method).trained:
        return profile.seeds[:1]
    if variant.profile(profile, 0).train.train_visual:
        return profile.seeds
    return (profile.frozen_seeds or profile.seeds)[:most]


def one_label(profile: Profile) -> None:
    """Raise ``ConfigError`` for a multi-label data set, where top-1 accuracy has no meaning."""
    if layout(profile) == "charades":
        raise ConfigError(
            f"top-1 accuracy is asked for, and the videos of {profile.data.dataset} have several labels: use "
            "`sfar reproduce table2a`, or `sfar train` and `sfar evaluate`"
        )


def drawn_alone(profile: Profile) -> None:
    """Raise ``ConfigError`` for a real data set, of a study that is of the storyboard world alone (``drawn_only``)."""
    if not is_drawn(profile):
        raise ConfigError("this is measured in the storyboard world alone: leave out the paper profile and its data")
    one_label(profile)


def job(base: Profile, variant: Variant, seed: int) -> Job:
    """The run of a variant on one seed."""
    profile = variant.profile(base, seed)
    # Few-shot fields choose from a data set; they do not make it another one.
    plain = changed(
        profile, {"data.shots": 0, "data.shot_seed": 0, "data.shot_draws": 1, "data.shot_list": "", "data.replicate": 0}
    )
    data = _dataset(plain.name, plain.data)
    tested = unseen(profile, data) if variant.zero_shot else ()
    return Job(profile, data, variant.method, seed, variant.views, tested)


UNSEEN = ("storyboard-ucf101", "storyboard-hmdb51")  # zero-shot tests of Table 1's runs (Table 2b)
UNSEEN_REAL = ("ucf101", "hmdb51")


def unseen(profile: Profile, data: Dataset) -> tuple[str, ...]:
    """Data sets of other classes that the same runs are tested on: drawn ones, or real ones beside Kinetics-400.

    A file of sub-texts without ``{dataset}`` in its path is of the training classes alone: then none.
    """
    if data.drawn:
        return UNSEEN
    beside = sets_in(profile.data.root)[1] if data.layout == "kinetics400" else ()
    own = profile.model.subtexts == "bank" or "{dataset}" in profile.model.subtexts
    return tuple(n for n in UNSEEN_REAL if n in beside and own)


Runs = dict[str, list[dict[str, Any]]]  # by variant name, the results of its runs in the order of the seeds


def run(
    base: Profile,
    variants: Sequence[Variant],
    workers: int | None = None,
    desc: str = "training",
    most: int | None = None,
) -> Runs:
    """The results of every variant on each of its seeds (``seeds_of``), by variant name."""
    seeds = {v.name: seeds_of(base, v, most) for v in variants}
    jobs = {(v.name, s): job(base, v, s) for v in variants for s in seeds[v.name]}
    unique: dict[str, Job] = {}
    keys = {where: j.key() for where, j in jobs.items()}
    for where, j in jobs.items():
        unique.setdefault(keys[where], j)  # two rows may ask for one run
    found = dict(zip(unique, run_all(list(unique.values()), workers, desc), strict=True))
    return {v.name: [found[keys[v.name, s]] for s in seeds[v.name]] for v in variants}


# --- what is made of the runs ----------------------------------------------------------------------------------------


def hits(runs: Sequence[dict[str, Any]], k: int = 1, views: str = "1x1") -> np.ndarray:
    """Per seed and video 100 where the true class is among the first ``k``, else 0: [seeds, videos]."""
    return 100.0 * (np.array([r["views"][views]["ranks"] for r in runs]) < k)


def unseen_hits(runs: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The same on all classes of each of the drawn unseen sets, by its name: [seeds, videos]."""
    out = {}
    for name in UNSEEN:
        found = [r["zero_shot"][name] for r in runs]
        out[name] = 100.0 * np.array([np.array(f["scores"]).argmax(1) == np.array(f["labels"]) for f in found])
    return out


# What a run can be tested on in one go: its own classes, and all of each drawn unseen set.
TESTS = {
    "supervised": "Supervised",
    **{DRAWN[name]: f"Zero-shot, {layouts.layout(DRAWN[name]).title}'s layout" for name in UNSEEN},
}


def tested(runs: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Hits [seeds, videos] on each of ``TESTS`` that the runs were tested on."""
    out = {"supervised": hits(runs)}
    if runs[0]["zero_shot"]:
        out |= {DRAWN[name]: found for name, found in unseen_hits(runs).items()}
    return out


def measured(
    part: str,
    row: str,
    title: str,
    values: np.ndarray,
    metric: str = "top1",
    trained: Sequence[str] = (),
    more: dict[str, Any] | None = None,
    **setting: Any,
) -> Row:
    """A row of the record from values [seeds, videos]."""
    s = statistics.summary(values)
    return Row(part, row, title, metric, **s, trained=list(trained), setting=setting, more=more or {})


def rows(part: str, variant: Variant, runs: Sequence[dict[str, Any]], view: str = "1x1", **setting: Any) -> list[Row]:
    """Top-1 and top-5 of a variant under a ``view`` of the evaluation, with their intervals and what was trained."""
    return [
        measured(part, variant.name, variant.title, hits(runs, k, view), f"top{k}", runs[0]["trained"], **setting)
        for k in (1, 5)
    ]


def paired(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Differences a - b per seed and video; a side without seeds (zero-shot) is held against each seed of the other."""
    n = max(len(a), len(b))
    return (np.repeat(a, n // len(a), 0) if len(a) < n else a) - (np.repeat(b, n // len(b), 0) if len(b) < n else b)


def contrast(
    row: str,
    against: str,
    found: statistics.Found,
    part: str = "",
    metric: str = "top1",
    unit: str = "points",
    more: dict[str, Any] | None = None,
    **setting: Any,
) -> Contrast:
    """A contrast from its number and interval, with the verdict on "above zero"."""
    # Rounded first, and no negative zero: a bound of exactly zero must not be decided by the last bit of a sum.
    mean, low, high = (round(float(x), 4) + 0.0 for x in found[:3])
    decided = statistics.verdict(low, high, statistics.narrow(found) if unit == "points" else None)
    error, freedom, fixed = (None if x is None else float(f"{x:.5g}") for x in found[4:7])
    p = float(f"{found.p:.3g}")
    return Contrast(
        row,
        against,
        mean,
        low,
        high,
        decided,
        part,
        metric,
        unit,
        setting,
        more or {},
        p,
        error,
        freedom,
        fixed,
        found.seeds,
    )


def difference(row: str, against: str, a: np.ndarray, b: np.ndarray, part: str = "", **setting: Any) -> Contrast:
    """The contrast a - b of paired values [seeds, videos]; ``metric`` and ``unit`` may be among ``setting``."""
    return contrast(row, against, statistics.interval(paired(a, b)), part=part, **setting)


def compared() -> list[tuple[str, str]]:
    """Each reading of SFAR against each rival, and the chosen one against the printed one."""
    own = registry.own()
    return [(m.name, r.name) for m in own for r in registry.rivals()] + [(own[0].name, m.name) for m in own[1:]]


def over_rivals(record: Record, row: str, part: str, **where: Any) -> list[Contrast]:
    """The contrasts of one reading of SFAR with its rivals alone."""
    rivals = {m.name for m in registry.rivals()}
    return [c for c in record.contrasts_of(part, row, **where) if c.against in rivals]


def about(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The data of some runs of one list: how many, and what could not be used."""
    first = runs[0]
    training = first["training"] or {}
    return {
        "train_clips": training.get("clips"),
        "val_videos": len(first["labels"]),
        "classes": len(first["classes"]),
        "undecodable": {**training.get("bad", {}), **first["bad"]},
        "missing": first["missing"],
    }


def seconds(by: Runs) -> float:
    """Training and evaluation seconds of all runs, each counted once."""
    return sum({id(r): r["seconds"] for runs in by.values() for r in runs}.values())


# --- the study -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quantity:
    """A number that a table or figure is about, as printed and as measured here.

    ``measured``: a row or contrast of the record, or a bare number (a recomputed one, without interval).
    """

    title: str
    printed: Callable[[], str] | None = None
    measured: Callable[[Record], Row | Contrast | float] | None = None


@dataclass(frozen=True)
class Item:
    """A table or figure, of the paper or this repository's own.

    ``key`` is its target (``make reproduce-KEY``) and the stem of its picture; ``title`` says of an own one that it is.
    """

    key: str
    title: str
    quantities: tuple[Quantity, ...] = ()


@dataclass
class Content:
    """What a study's measuring function returns. ``seconds``: of all its runs; ``seeds``: where not the profile's."""

    data: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    contrasts: list[Contrast] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    seeds: list[int] | None = None


Measure = Callable[..., Content]


@dataclass(frozen=True)
class Study:
    """A study, declared in one file.

    ``id``: the name of its record and page; ``title``: of the page; ``covers``: the items, of which the first is the
    target that makes it; ``measure(profile, workers)``: its content (with ``groups`` where ``groups`` is true);
    ``describe(record)``: a sentence behind the page's title; ``needs``: ids of studies whose runs or records it takes
    up; a record that it reads has to be in ``inputs_of``;
    ``csv(record)``: what stands in its CSV file in place of rows, contrasts and claims;
    ``files``: data files of the package that measuring reads; ``inputs_of(profile)``: what else its numbers follow
    from; ``check(profile)`` raises for what cannot be measured;
    ``drawn_only``: of the storyboard world alone, so that ``sfar pending`` leaves it out for real data sets;
    ``beyond``: of nothing that the paper has, so that `make explore` makes it and `make reproduce` does not.

    ``made_by``: the command that measures it where it is no target of ``reproduce``.

    What ``sfar reproduce --dry-run`` asks: ``sets(profile)``, the data sets that it takes (without it the profile's,
    and with ``tested_on_unseen`` those of Table 2b); ``planned(profile)``, its variants, where they depend on no
    record; ``texts(profile, classes)``, the configurations whose sub-texts it takes.
    """

    id: str
    title: str
    notebook: str
    covers: tuple[Item, ...]
    measure_content: Measure
    claims: tuple[Claim, ...]
    blocks: tuple[Block, ...]
    describe: Callable[[Record], str] | None = None
    needs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    groups: bool = False
    inputs_of: Callable[..., Any] | None = None
    check: Callable[[Profile], None] | None = None
    drawn_only: bool = False
    beyond: bool = False
    sets: Callable[[Profile], tuple[str, ...]] | None = None
    tested_on_unseen: bool = False
    csv: Callable[[Record], Table] | None = None
    planned: Callable[[Profile], Sequence[tuple[Variant, Sequence[int]]]] | None = None
    made_by: str = ""
    texts: Callable[[Profile, tuple[str, ...]], Sequence[Profile]] | None = None

    @property
    def target(self) -> str:
        """What ``make reproduce-`` is called with."""
        return self.covers[0].key

    def command(self, profile: Profile, groups: Sequence[str] = ()) -> str:
        """The command that measures it, with the options that make this very configuration."""
        return self.made_by or records.command(self.target, profile, groups)

    def inputs(self, profile: Profile, groups: Sequence[str] = ()) -> str:
        """Hash of all that the record follows from."""
        more = self.inputs_of(profile, *([groups] if self.groups else [])) if self.inputs_of else None
        entries = [code.entry(self.measure_content), *self.files]
        taken_up = [f"sfar.studies.{name}:STUDY" for name in self.needs]  # their own inputs are in ``inputs_of``
        return records.inputs(profile, entries, [records.texts_version(profile), more], taken_up)

    def folder(self, profile: Profile, groups: Sequence[str] = ()) -> Path:
        """Where its files are written."""
        return records.folder(profile, list(groups) or None)

    def path(self, profile: Profile, groups: Sequence[str] = ()) -> Path:
        """Where the record is written."""
        return self.folder(profile, groups) / f"{self.id}.json"

    def measure(self, profile: Profile, workers: int | None = None, groups: Sequence[str] = ()) -> Record:
        """Train every variant on every seed (or find the kept runs) and return the record.

        Raises ``ConfigError`` for ``groups`` where there are none to choose.
        """
        if groups and not self.groups:
            raise ConfigError(f"groups of sub-texts can be chosen for fig7b and table2d, not for {self.target}")
        version = self.inputs(profile, groups)  # now: of the code that is about to run
        content = self.measure_content(profile, workers, *([groups] if self.groups else []))
        made = records.provenance(self.command(profile, groups), profile, content.seconds)
        record = Record(
            study=self.id,
            profile=profile.name,
            inputs=version,
            seeds=list(profile.seeds) if content.seeds is None else content.seeds,
            data=content.data,
            rows=content.rows,
            contrasts=content.contrasts,
            claims=[],
            extra=content.extra,
            provenance=made,
        )
        return self.decided(record)

    def decided(self, record: Record) -> Record:
        """The record with its claims as they are declared now."""
        record.claims = decide_all(self.claims, record)
        return record

    def load(self, profile: Profile, groups: Sequence[str] = ()) -> Record:
        """The written record of this profile. Raises ``SfarError`` naming the command if it is missing or stale."""
        path, command = self.path(profile, groups), self.command(profile, groups)
        return self.decided(records.current(path, self.inputs(profile, groups), command))

    def get(
        self,
        profile: str | Profile = "storyboard",
        seeds: Sequence[int] | None = None,
        source: str = "record",
        overrides: dict[str, Any] | None = None,
        workers: int | None = None,
        groups: Sequence[str] = (),
    ) -> Record:
        """The record: the written one (``source`` "record") or measured now ("measure"; kept runs are found again).

        ``seeds``: None for the profile's. In a notebook a quiet line shows how the measuring goes
        (``progress.quiet``). Raises ``ConfigError`` for an unknown profile, field or source and for a value that none
        of them can have, ``SfarError`` for a missing or stale record.
        """
        if not isinstance(overrides, dict | None) or any(not isinstance(k, str) for k in overrides or {}):
            raise ConfigError(f"overrides={overrides!r}: expected fields by dotted name, such as {{'train.epochs': 2}}")
        if not isinstance(profile, Profile):
            profile = get_profile(profile, {**(overrides or {}), **({} if seeds is None else {"seeds": seeds})})
        if source not in ("record", "measure"):
            raise ConfigError(
                f"unknown source {source!r}: expected 'record' (what is written in results/) or 'measure' "
                "(run now; finished runs are kept)"
            )
        if source == "record":
            return self.load(profile, groups)
        with progress.quiet(f"measuring {self.title}"):
            return self.measure(profile, workers, groups)
