"""What ``sfar reproduce`` makes: for a table or figure the record, files and notebook of the study it belongs to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfar import studies
from sfar.config import Profile, as_dict, counted, digest
from sfar.data.source import is_drawn
from sfar.studies.core import page
from sfar.studies.core.study import Study
from sfar.util import cache, code, paths


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
    record = study.measure(profile, workers, given)
    out = study.folder(profile, given)
    files = page.write(study, record, out)
    return Made(study, files, page.terminal(study, record), _standard(out), mark)


def _standard(out: Path) -> bool:
    return out == paths.results("storyboard") and paths.in_repository()


def check_folders(study: Study, profile: Profile, groups: list[str]) -> None:
    """Raise ``SfarError`` where what ``make`` and the notebook write cannot be written: before the long work begins.

    Raises ``ConfigError`` where there are no notebooks.
    """
    out = study.folder(profile, groups)
    for folder in (out, paths.runs(), paths.cache(), *([paths.notebooks()] if _standard(out) else [])):
        paths.check_folder(folder)


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
    return digest("finished", study.id, as_dict(counted(profile)), sources)


def _contents(files: list[Path]) -> dict[str, str]:
    return {f.relative_to(paths.PROJECT).as_posix(): code.content(f) if f.is_file() else "" for f in files}


def finish(made: Made, profile: Profile) -> None:
    """Note that this is finished, its notebook executed. Not with groups or data of the user's own: they may change."""
    if made.mark:
        notebook = [paths.notebooks() / f"{made.study.notebook}.ipynb"] if made.standard else []
        needed = [studies.load(name).path(profile) for name in made.study.needs]
        cache.save_json("run", made.mark, {"files": _contents([*made.files, *notebook, *needed])})


def pending(profile: Profile, beyond: bool = False) -> list[str]:
    """A target of each study that is not finished, in the order to make them: of the paper's, or those ``beyond``."""
    every = [s for s in studies.studies() if s.beyond == beyond and (is_drawn(profile) or not s.drawn_only)]
    if profile.data.root:
        return [s.target for s in every]
    sources, out = _sources(), []
    for study in every:
        mark = cache.load_json("run", _mark(study, profile, sources))
        if not mark or _contents([paths.PROJECT / name for name in mark["files"]]) != mark["files"]:
            out.append(study.target)
    return out
