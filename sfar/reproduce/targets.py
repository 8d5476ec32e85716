"""What ``sfar reproduce`` makes: for a table or figure the record, files and notebook of the study it belongs to."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfar import studies
from sfar.config import PROFILES, Profile, as_dict, changed, counted, digest, which_data
from sfar.data.source import is_drawn
from sfar.studies.core import page, record
from sfar.studies.core.study import Study
from sfar.studies.few_shot import LARGE
from sfar.util import cache, code, paths

# Tables of ViT-L/14. On real data they are runs of their own, in a folder of their own; the drawn world has one tower.
TOWERS = {"table10": LARGE, "table11": LARGE, "table12": LARGE}


def overrides(what: str, profile: Profile, given: Collection[str]) -> dict[str, Any]:
    """The fields that a target itself sets, where the user has not ``given`` them: the tower that its table is of."""
    own = what in TOWERS and not is_drawn(profile) and "model.clip" not in given
    return {"model.clip": TOWERS[what]} if own else {}


def of_own(what: str, profile: Profile) -> bool:
    """Whether a target with this configuration is a run of its own, and not the one of its study."""
    return what in TOWERS and not is_drawn(profile) and profile.model.clip == TOWERS[what]


def repeated(what: str, profile: Profile) -> str:
    """The target whose record has all of this one, "" where that is its own."""
    first = studies.of_item(what).target
    return "" if what == first or of_own(what, profile) else first


def _of_its_numbers(profile: Profile) -> Profile:
    """The profile without changes that no number follows from: how the work is laid out, how videos are read."""
    own, data = counted(profile), PROFILES[profile.name].data
    if which_data(own.data) == which_data(data):
        own = dataclasses.replace(own, data=dataclasses.replace(data, root=own.data.root))
    return own


def folder(what: str, profile: Profile, groups: Sequence[str] = ()) -> Path:
    """Where a target's files are written: its study's folder, of a tower that is its own the folder of its name there.

    Not where other fields were changed too (``Study.folder``); those that change no number send nothing elsewhere.
    """
    study, profile = studies.of_item(what), _of_its_numbers(profile)
    if of_own(what, profile):
        plain = changed(profile, {"model.clip": PROFILES[profile.name].model.clip})
        if (standard := study.folder(plain, groups)) == paths.results(profile.name):
            return standard / what
    return study.folder(profile, groups)


def command(what: str, profile: Profile, groups: Sequence[str] = ()) -> str:
    """The command that makes this target with this configuration."""
    if of_own(what, profile):
        return record.command(what, changed(profile, {"model.clip": PROFILES[profile.name].model.clip}), groups)
    return studies.of_item(what).command(profile, groups)


@dataclass(frozen=True)
class Made:
    """What was made: the study, its files, a text for the terminal. ``mark``: under which ``finish`` notes it."""

    study: Study
    files: list[Path]
    text: str
    standard: bool  # the repository's own result, which its notebook shows, not one of a changed configuration
    mark: str = ""

    def parameters(self, profile: Profile, overrides: dict[str, Any], groups: list[str]) -> dict[str, Any]:
        """The notebook's parameters for this result: kept runs are found again, so "measure" costs no training."""
        out: dict[str, Any] = {"overrides": {k: v for k, v in overrides.items() if k != "seeds"}}
        out["seeds"] = list(profile.seeds)
        return out | ({"groups": [str(Path(g).resolve()) for g in groups]} if groups else {})


def make(what: str, profile: Profile, workers: int | None = None, groups: list[str] | None = None) -> Made:
    """Measure the study of ``what`` (a table or figure) and write its files.

    Raises ``ConfigError`` for an unknown one, and for ``groups`` where there are none to choose.
    """
    study = studies.of_item(what)
    given = groups or []
    # Now: of the code that is about to run.
    mark = _mark(study, profile, _sources()) if not (given or profile.data.root) else ""
    measured = study.measure(profile, workers, given)
    measured.provenance["command"] = command(what, profile, given)
    out = folder(what, profile, given)
    files = page.write(study, measured, out)
    return Made(study, files, page.terminal(study, measured), _standard(out), mark)


def _standard(out: Path) -> bool:
    return out == paths.results("storyboard") and paths.in_repository()


def check_folders(what: str, profile: Profile, groups: Sequence[str]) -> None:
    """Raise ``SfarError`` where what ``make`` and the notebook write cannot be written: before the long work begins.

    Raises ``ConfigError`` where there are no notebooks.
    """
    out = folder(what, profile, groups)
    for place in (out, paths.runs(), paths.cache(), *([paths.notebooks()] if _standard(out) else [])):
        paths.check_folder(place)


# --- what is finished -----------------------------------------------------------------------------------------------
# git keeps no times, so times of files say nothing. A target is finished if this very code made the files that are
# there, with the runs that are kept: the mark lies among them, and `clean-cache` throws both away.


def _sources() -> str:
    """Hash of everything a target is made from: the package's files, the notebooks without outputs, libraries."""
    h = hashlib.sha256()
    for path in sorted(p for p in code.PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        content = bytes.fromhex(code.content(path))
        h.update(path.relative_to(code.PACKAGE).as_posix().encode() + b"\0" + content)
    for path in sorted(paths.notebooks().glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        h.update(json.dumps([path.name, [(c["cell_type"], c["source"]) for c in cells]]).encode())
    return digest(h.hexdigest(), [cache.libraries(stage) for stage in sorted(cache.STAGES)])


def _mark(study: Study, profile: Profile, sources: str) -> str:
    return digest("finished", study.id, as_dict(_of_its_numbers(profile)), sources)


def _contents(files: list[Path]) -> dict[str, str]:
    return {f.relative_to(paths.PROJECT).as_posix(): code.content(f) if f.is_file() else "" for f in files}


def finish(made: Made, profile: Profile) -> None:
    """Note that this is finished, its notebook executed. Not with groups or data of the user's own: they may change."""
    if made.mark:
        notebook = [paths.notebooks() / f"{made.study.notebook}.ipynb"] if made.standard else []
        needed = [studies.load(name).path(profile) for name in made.study.needs]
        cache.save_json("run", made.mark, {"files": _contents([*made.files, *notebook, *needed])})


def pending(profile: Profile, beyond: bool = False) -> list[str]:
    """A target of each study that is not finished, in the order to make them: of the paper's, or those ``beyond``.

    Of real data all of them, with those that have a tower of their own.
    """
    every = [s for s in studies.studies() if s.beyond == beyond and (is_drawn(profile) or not s.drawn_only)]
    if profile.data.root:
        return [t for s in every for t in (s.target, *(i.key for i in s.covers if overrides(i.key, profile, ())))]
    sources, out = _sources(), []
    for study in every:
        mark = cache.load_json("run", _mark(study, profile, sources))
        if not mark or _contents([paths.PROJECT / name for name in mark["files"]]) != mark["files"]:
            out.append(study.target)
    return out
