"""A record: what a study measured, in tidy rows, with where it comes from. Written as JSON, read back whole."""

from __future__ import annotations

import dataclasses
import json
import platform
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from sfar.config import Profile, as_dict, by_dataset, counted, digest, get_profile, values, which_data
from sfar.data.source import is_drawn
from sfar.errors import SfarError
from sfar.model import registry
from sfar.model.clip import STORYBOARD
from sfar.subtexts import SubTexts
from sfar.util import cache, code, paths
from sfar.util.provenance import hardware, revision


@dataclass(frozen=True)
class Row:
    """One measured number: the ``metric`` of ``row`` in a ``part`` of the study under a ``setting``.

    ``mean`` with its 95 % interval ``low``, ``high`` over ``seeds`` and ``videos``, ``std`` over seeds, the value of
    each seed. ``trained``: what was fitted on the training videos. ``more``: numbers that belong to it alone.
    """

    part: str
    row: str
    title: str
    metric: str
    mean: float
    low: float
    high: float
    std: float | None = None
    seeds: int = 0
    videos: int = 0
    per_seed: list[float] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    setting: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def seeds_text(self) -> int | str:
        """How many seeds, or "none" where nothing was trained."""
        return self.seeds if self.trained else "none"

    @property
    def trained_text(self) -> str:
        """What was trained, in words."""
        return ", ".join(self.trained) or "nothing"


@dataclass(frozen=True)
class Contrast:
    """``row`` minus ``against``, paired over seeds and videos; or another number whose sign decides (a slope, a rho).

    ``mean`` with its 95 % interval; ``verdict`` on "above zero"; ``unit``: "points" of per cent, "" for a pure number;
    ``p``, ``error``, ``freedom``, ``fixed``, ``seeds``: as in ``statistics.Found``.
    """

    row: str
    against: str
    mean: float
    low: float
    high: float
    verdict: str
    part: str = ""
    metric: str = "top1"
    unit: str = "points"
    setting: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    p: float | None = None
    error: float | None = None
    freedom: float | None = None
    fixed: float | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim as it was decided (``claims.Claim``): of the paper, or of this repository's own.

    ``p``: of the contrast that decided it. Where it is undecided, ``in_sight``: the difference that would have been
    found four times in five; ``seeds``: how many would decide it if the difference is as measured (None: more videos
    are needed too).
    """

    id: str
    item: str
    claim: str
    source: str
    printed: str
    of_paper: bool
    verdict: str
    against: str
    unit: str
    mean: float
    low: float
    high: float
    p: float | None = None
    in_sight: float | None = None
    seeds: int | None = None


@dataclass
class Record:
    """Everything that a study measured. ``extra``: what only this study has, in JSON types."""

    study: str
    profile: str
    inputs: str
    seeds: list[int]
    data: dict[str, Any]
    rows: list[Row]
    contrasts: list[Contrast]
    claims: list[Verdict]
    extra: dict[str, Any]
    provenance: dict[str, Any]

    def select(
        self, part: str | None = None, row: str | None = None, metric: str | None = None, **setting: Any
    ) -> list[Row]:
        """The rows that fit, in their order."""
        return [
            r
            for r in self.rows
            if (part is None or r.part == part)
            and (row is None or r.row == row)
            and (metric is None or r.metric == metric)
            and _fits(r.setting, setting)
        ]

    def find(self, part: str, row: str, metric: str = "top1", **setting: Any) -> Row:
        """The one row that fits. Raises ``SfarError`` where there is none or several."""
        return _one(self.select(part, row, metric, **setting), f"row {part}/{row}, {metric}", setting, self.study)

    def names(self, part: str) -> list[str]:
        """Names of the rows of a part, in their order."""
        return list(dict.fromkeys(r.row for r in self.rows if r.part == part))

    def title(self, row: str) -> str:
        """What a row is called; a name that is no row stands for itself."""
        return next((r.title for r in self.rows if r.row == row), row)

    def contrasts_of(
        self,
        part: str | None = None,
        row: str | None = None,
        against: str | None = None,
        metric: str | None = None,
        **setting: Any,
    ) -> list[Contrast]:
        """The contrasts that fit, in their order."""
        return [
            c
            for c in self.contrasts
            if (part is None or c.part == part)
            and (row is None or c.row == row)
            and (against is None or c.against == against)
            and (metric is None or c.metric == metric)
            and _fits(c.setting, setting)
        ]

    def contrast(
        self, row: str, against: str, part: str | None = None, metric: str | None = None, **setting: Any
    ) -> Contrast:
        """The one contrast that fits. Raises ``SfarError`` where there is none or several."""
        found = self.contrasts_of(part, row, against, metric, **setting)
        return _one(found, f"contrast {row} - {against}", setting, self.study)

    def claim(self, which: str) -> Verdict:
        """The claim of this id. Raises ``SfarError`` where there is none."""
        return _one([c for c in self.claims if c.id == which], f"claim {which!r}", {}, self.study)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; fields that are empty in a row or contrast are left out."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return out | {
            "rows": list(_plain(self.rows)),
            "contrasts": list(_plain(self.contrasts)),
            "claims": list(_plain(self.claims)),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The record of what ``to_json`` gave. Raises ``TypeError`` or ``KeyError`` for something else."""
        parts = {"rows": [Row(**r) for r in data["rows"]], "contrasts": [Contrast(**c) for c in data["contrasts"]]}
        return cls(**{**data, **parts, "claims": [Verdict(**c) for c in data["claims"]]})


T = TypeVar("T")


def _one(found: list[T], what: str, setting: dict[str, Any], study: str) -> T:
    if len(found) != 1:
        where = "".join(f", {k} = {v}" for k, v in setting.items())
        raise SfarError(f"record {study}: {len(found)} entries are {what}{where}, expected one")
    return found[0]


def _fits(have: dict[str, Any], want: dict[str, Any]) -> bool:
    return all(k in have and have[k] == v for k, v in want.items())


def _plain(entries: list[Any]) -> Iterator[dict[str, Any]]:
    for e in entries:
        yield {k: v for k, v in dataclasses.asdict(e).items() if v not in ({}, [], None)}


# --- where it comes from ---------------------------------------------------------------------------------------------


def provenance(command: str, profile: Profile, seconds: float) -> dict[str, Any]:
    """What stands in every record. ``seconds``: training and evaluation of all its runs, one after another."""
    return {
        "command": command,
        "revision": revision(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("torch", "open_clip_torch", "av", "numpy")},
        "training_seconds": round(seconds, 1),
        "config": as_dict(profile),
    }


def _config(profile: Profile) -> list[Any]:
    p = counted(profile)
    return [as_dict(p.model), as_dict(p.train), which_data(p.data)]


def inputs(profile: Profile, entries: Sequence[str], extra: Any = None, by_content: Sequence[str] = ()) -> str:
    """Hash of all that a record's numbers follow from, library versions aside: a record of another hash is stale.

    ``entries``: the function that measures it (``code.entry``) and data files that it reads; ``extra``: inputs that are
    not in the profile; ``by_content``: definitions that are not followed, as what they give is in ``extra``. What
    reads the drawn world is not followed either: what it gives is an input (``cache.READING``).
    """
    if is_drawn(profile):
        entries, by_content = [*entries, *cache.READ], [*by_content, *cache.READING]
    names: dict[str, Any] = {"profile": profile.name, "seeds": [list(profile.seeds), list(profile.frozen_seeds)]}
    if profile.data.root:
        names["root"] = profile.data.root
    # A study says by name which methods it runs, or goes through all of them, which then count by themselves.
    named = code.texts(*entries, cut=(*cache.STAGES["record"].by_content, *by_content))
    heads = [e for m in registry.every().values() if m.name in named for e in m.entries]
    version = cache.code_version("record", *entries, *heads, by_content=tuple(by_content))
    return digest([names, _config(profile), extra, version])


def folder(profile: Profile, extra: Any = None) -> Path:
    """Where this profile's records are written.

    ``results/<profile>/``, or ``results/runs/`` for a changed configuration (``config.counted``) or other ``extra``
    inputs.
    """
    standard = get_profile(profile.name)
    if standard.data.dataset != "storyboard-kinetics":  # a real data set has to be somewhere
        standard = dataclasses.replace(standard, data=dataclasses.replace(standard.data, root=profile.data.root))
    if counted(profile) == counted(standard) and not extra:
        return paths.results(profile.name)
    which = digest(_config(profile), profile.data.root, [profile.seeds, profile.frozen_seeds], extra)[:8]
    return paths.PROJECT / "results" / "runs" / f"{profile.name}-{which}"


def changes(profile: Profile) -> dict[str, Any]:
    """The fields in which this is not the profile of its name, with their values; what a real data set needs counts."""
    standard, own = values(get_profile(profile.name)), values(profile)
    return {k: v for k, v in own.items() if v != standard[k]}


def command(target: str, profile: Profile, groups: Sequence[str] = ()) -> str:
    """The command that measures ``target`` with this very configuration."""
    given = changes(profile)
    if (name := given.get("data.dataset")) is not None:  # the command sets what goes with it, unless told otherwise
        implied = by_dataset(profile.name, name, bool(profile.data.shots or profile.data.shot_list))
        given |= {k: v for k, v in values(profile).items() if k in implied}
    root, seeds = given.pop("data.root", ""), given.pop("seeds", None)
    if seeds:  # and of a frozen tower the same, unless told otherwise
        given.pop("frozen_seeds", None)
        given |= {"frozen_seeds": list(profile.frozen_seeds)} if profile.frozen_seeds else {}
    seeds = ",".join(map(str, seeds or ()))
    if not given and not groups:
        more = {" DATA=": root, " SEEDS=": seeds}
        return f"make reproduce-{target}{suffix(profile)}" + "".join(k + shlex.quote(v) for k, v in more.items() if v)
    out = ["sfar", "reproduce", target]
    named = {"--profile": profile.name if profile.name != "storyboard" else "", "--data": root, "--seeds": seeds}
    for option, text in named.items():
        out += [option, text] if text else []
    for key, value in given.items():
        out += ["--set", f"{key}={_option(value)}"]
    return shlex.join([*out, *(["--groups", *groups] if groups else [])])


def _option(value: Any) -> str:
    """A value as the command line reads it back: JSON, or a text that is none."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)


def suffix(profile: Profile) -> str:
    """What a make command needs to name this profile."""
    return f" PROFILE={profile.name}" if profile.name != "storyboard" else ""


def texts_version(profile: Profile) -> str | None:
    """Hash of the drawn world's bundled sub-texts, which its records follow from; None for a real data set."""
    if not is_drawn(profile):
        return None
    return digest([dict(SubTexts.load(STORYBOARD, n)) for n in (2, 3, 4, 5)])


# --- files -----------------------------------------------------------------------------------------------------------


def read(path: Path, make: str) -> Record:
    """A record. Raises ``SfarError`` naming the command ``make`` when it is not there, damaged or no record."""
    try:
        return Record.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as e:
        raise SfarError(f"{path} is not there: run `{make}` first") from e
    except ValueError as e:
        raise SfarError(f"{path} is not valid JSON ({e}): run `{make}` again") from e
    except (KeyError, TypeError) as e:
        raise SfarError(f"{path} is no record as this version writes them: run `{make}` again") from e


def current(path: Path, version: str, make: str) -> Record:
    """The record at ``path``. Raises ``SfarError`` naming the command where there is none or its inputs are others."""
    record = read(path, make)
    if record.inputs != version:
        raise SfarError(f"{path} was measured with another configuration or other code: run `{make}` again")
    return record
