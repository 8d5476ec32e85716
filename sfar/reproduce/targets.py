"""What ``sfar reproduce`` makes: for every table and figure its record, its files and its notebook."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfar.config import Profile, as_dict, digest
from sfar.errors import ConfigError
from sfar.util import cache, code, paths

# A study (``STUDY`` in sfar/studies/NAME.py, its page NAME_page.py) -> its notebook, its tables and figures. After those whose runs or records it takes up.
STUDIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ablations": ("04_ablations", ("table2e", "fig7a")),
    "few_shot": ("05_few_shot", ("table3", "table12")),
    "zero_shot": ("06_zero_shot", ("table2b", "table10")),
    "multi_label": ("07_charades", ("table2a",)),
    "generalization": ("08_generalization", ("table2c",)),
    "sub_actions": ("09_sub_actions", ("table4",)),
    "ambiguity": ("10_ambiguity", ("table8", "table9", "fig2f")),
    "qualitative": ("11_qualitative", ("fig2", "fig1", "fig3", "fig5", "fig6", "fig9", "fig10")),
}

# Target -> notebook. A light module: the command line lists the targets without loading torch.
TARGETS = {
    "table1": "03_table1_kinetics",
    "table11": "03_table1_kinetics",
    "fig4": "01_subtext_generation",
    "fig8": "01_subtext_generation",
    "table6": "01_subtext_generation",
    "table7": "01_subtext_generation",
    "table13": "01_subtext_generation",
    "table14": "01_subtext_generation",
    "fig7b": "02_tpp_correlation",
    "table2d": "02_tpp_correlation",
    "audit": "00_paper_audit",
    "table5": "00_paper_audit",
    **{target: notebook for notebook, targets in STUDIES.values() for target in targets},
}

# One target of each record or page, after those it needs: what `make reproduce` runs.
STEPS = (
    "table1",
    "fig7b",
    "table13",
    "fig4",
    "fig8",
    "table6",
    *(targets[0] for _, targets in STUDIES.values()),
    "audit",
)


@dataclass
class Made:
    """What was made: files, a text for the terminal, the notebook that shows it, and whether it is the profile's standard result."""

    notebook: str
    files: list[Path]
    text: str
    standard: bool
    seeds: bool = False  # the notebook declares ``seeds``
    extra: dict[str, Any] = field(default_factory=dict)
    needs: list[Path] = field(default_factory=list)  # records of other targets that it shows
    mark: str = ""  # under which ``finish`` notes it

    def parameters(self, profile: Profile, overrides: dict[str, Any], groups: list[str]) -> dict[str, Any]:
        """The notebook's parameters for this result: kept runs are found again, so "measure" costs no training."""
        rest = {k: v for k, v in overrides.items() if k != "seeds" or not self.seeds}
        return {
            "overrides": rest,
            **({"seeds": list(profile.seeds)} if self.seeds else {}),
            **self.extra,
            **({"groups": [str(Path(g).resolve()) for g in groups]} if groups else {}),
        }


def make(what: str, profile: Profile, workers: int | None = None, groups: list[str] | None = None) -> Made:
    """Measure ``what`` (one of ``TARGETS``), write its files. Raises ``ConfigError`` for ``groups`` where there are none to choose."""
    if groups and what not in ("fig7b", "table2d"):
        raise ConfigError(f"--groups is for fig7b and table2d, not for {what}")
    mark = (
        _mark(what, profile, _sources()) if not (groups or profile.data.root) else ""
    )  # now: of the code that is about to run
    made = _make(what, profile, workers, groups or [])
    made.mark = mark
    return made


def _make(what: str, profile: Profile, workers: int | None, groups: list[str]) -> Made:
    if what in ("table1", "table11"):  # one record and page
        return _table1(profile, workers)
    if what in ("fig7b", "table2d"):
        return _fig7b(profile, workers, groups)
    for name, (_, targets) in STUDIES.items():
        if what in targets:
            return _study(name, profile, workers)
    if what in ("audit", "table5"):  # one page; it names the effects that the records have
        return _audit(profile)
    return _subtexts(what, profile)


def _study(name: str, profile: Profile, workers: int | None) -> Made:
    from sfar.studies.core import record as R

    study, page = (importlib.import_module(f"sfar.studies.{module}") for module in (name, f"{name}_page"))
    record = study.STUDY.measure(profile, workers)
    out = R.folder(profile)
    files = page.write(record, out)
    return Made(STUDIES[name][0], files, page.text(record), out == paths.results("storyboard"), seeds=True)


def _audit(profile: Profile) -> Made:
    from sfar.studies import audit
    from sfar.studies.core import record as R

    out = R.folder(profile)
    return Made(
        TARGETS["audit"],
        audit.write(out, profile),
        audit.text(profile),
        out == paths.results("storyboard"),
        needs=[path(profile) for path, *_ in audit.RECORDS.values()],
    )


def _table1(profile: Profile, workers: int | None) -> Made:
    from sfar.studies import table1, table1_page
    from sfar.studies.core import record as R

    record = table1.measure(profile, workers)
    out = R.folder(profile)
    files = table1_page.write(record, out)
    text = table1_page.measured_markdown(record) + "\n\n" + table1_page.claims_markdown(record)
    bad, missing = record["data"]["undecodable"], record["data"]["missing"]
    if bad or missing:
        text += (
            f"\n\n{len(bad)} videos could not be decoded and {len(missing)} are missing; they are named in {files[3]}"
        )
    return Made(
        TARGETS["table1"], files, text, out == paths.results("storyboard"), seeds=True, extra={"source": "measure"}
    )


def _fig7b(profile: Profile, workers: int | None, groups: list[str]) -> Made:
    from sfar.studies import fig7b, fig7b_page

    record = fig7b.measure(profile, groups, workers)
    out = fig7b.path(profile, groups).parent
    files = fig7b_page.write(record, out)
    text = "\n\n".join(
        [
            fig7b_page.groups_markdown(record),
            fig7b_page.correlations_markdown(record),
            fig7b_page.claims_markdown(record),
        ]
    )
    return Made(TARGETS["fig7b"], files, text, out == paths.results("storyboard"), extra={"source": "measure"})


def _subtexts(what: str, profile: Profile) -> Made:
    from sfar.studies import fig7b, table13
    from sfar.studies import subtexts_page as page
    from sfar.studies.core import record as R

    out = R.folder(profile)
    standard = out == paths.results("storyboard")
    shown = [table13.path(profile)]  # the notebook of all of them shows Table 13
    if what in ("fig4", "fig8"):
        files = page.write_figure(what, out)
        return Made(TARGETS[what], files, f"Look at {files[0]}", standard, needs=shown)
    if what in ("table6", "table7"):  # one page: the two are sent together
        text = page.table6_page()
        return Made(TARGETS[what], page.write_page("table6", text, out), text, standard, needs=shown)
    record, files = table13.write(profile)
    pages = {"table13": page.table13_page(record), "table14": page.table14_page(record)}  # of one rehearsal
    for name, text in pages.items():
        files += page.write_page(name, text, out)
    return Made(TARGETS[what], files, pages[what], standard, needs=[fig7b.path(profile)])


# --- what is finished -----------------------------------------------------------------------------------------------
# git keeps no times, so times of files say nothing. A target is finished if this very code made the files that are there,
# with the runs that are kept: the mark lies among them, and `clean-cache` throws both away.


def _sources() -> str:
    """Hash of everything a target is made from: the package's files, the notebooks without their outputs, library versions."""
    h = hashlib.sha256()
    for path in sorted(p for p in code.PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        h.update(
            path.relative_to(code.PACKAGE).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
        )
    for path in sorted(paths.notebooks().glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        h.update(json.dumps([path.name, [(c["cell_type"], c["source"]) for c in cells]]).encode())
    return digest(h.hexdigest(), [cache.libraries(stage) for stage in sorted(cache.STAGES)])


def _mark(what: str, profile: Profile, sources: str) -> str:
    return digest("finished", what, as_dict(profile), sources)


def _contents(files: list[Path]) -> dict[str, str]:
    return {
        f.relative_to(paths.PROJECT).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else ""
        for f in files
    }


def finish(made: Made) -> None:
    """Note that this is finished, its notebook executed. Not with groups or data of the user's own, which may change."""
    if made.mark:
        notebook = [paths.notebooks() / f"{made.notebook}.ipynb"] if made.standard else []
        cache.save_json("run", made.mark, {"files": _contents([*made.files, *notebook, *made.needs])})


def pending(profile: Profile) -> list[str]:
    """Those of ``STEPS`` that are not finished, in their order."""
    if profile.data.root:
        return list(STEPS)
    sources, out = _sources(), []
    for what in STEPS:
        mark = cache.load_json("run", _mark(what, profile, sources))
        if not mark or _contents([paths.PROJECT / name for name in mark["files"]]) != mark["files"]:
            out.append(what)
    return out
