"""What ``sfar reproduce`` makes: for every table and figure its record, its files and its notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfar import paths
from sfar.config import Profile
from sfar.errors import ConfigError

# Target -> notebook. A light module: the command line lists the targets without loading torch.
TARGETS = {"table1": "03_table1_kinetics", "fig4": "01_subtext_generation", "fig8": "01_subtext_generation", "table6": "01_subtext_generation",
           "table7": "01_subtext_generation", "table13": "01_subtext_generation", "table14": "01_subtext_generation",
           "fig7b": "02_tpp_correlation", "table2d": "02_tpp_correlation"}


@dataclass
class Made:
    """What was made: files, a text for the terminal, the notebook that shows it, and whether it is the profile's standard result."""

    notebook: str
    files: list[Path]
    text: str
    standard: bool
    seeds: bool = False  # the notebook declares ``seeds``
    extra: dict[str, Any] = field(default_factory=dict)

    def parameters(self, profile: Profile, overrides: dict[str, Any], groups: list[str]) -> dict[str, Any]:
        """The notebook's parameters for this result: kept runs are found again, so "measure" costs no training."""
        rest = {k: v for k, v in overrides.items() if k != "seeds" or not self.seeds}
        return {"overrides": rest, **({"seeds": list(profile.seeds)} if self.seeds else {}), **self.extra, **({"groups": [str(Path(g).resolve()) for g in groups]} if groups else {})}


def make(what: str, profile: Profile, workers: int | None = None, groups: list[str] | None = None) -> Made:
    """Measure ``what`` (one of ``TARGETS``), write its files. Raises ``ConfigError`` for ``groups`` where there are none to choose."""
    if groups and what not in ("fig7b", "table2d"):
        raise ConfigError(f"--groups is for fig7b and table2d, not for {what}")
    if what == "table1":
        return _table1(profile, workers)
    if what in ("fig7b", "table2d"):
        return _fig7b(profile, workers, groups or [])
    return _subtexts(what, profile)


def _table1(profile: Profile, workers: int | None) -> Made:
    from sfar.report import record as R
    from sfar.report import table1, table1_page
    record = table1.measure(profile, workers)
    out = R.folder(profile)
    files = table1_page.write(record, out)
    text = table1_page.measured_markdown(record) + "\n\n" + table1_page.claims_markdown(record)
    bad, missing = record["data"]["undecodable"], record["data"]["missing"]
    if bad or missing:
        text += f"\n\n{len(bad)} videos could not be decoded and {len(missing)} are missing; they are named in {files[3]}"
    return Made(TARGETS["table1"], files, text, out == paths.results("storyboard"), seeds=True, extra={"source": "measure"})


def _fig7b(profile: Profile, workers: int | None, groups: list[str]) -> Made:
    from sfar.report import fig7b, fig7b_page
    record = fig7b.measure(profile, groups, workers)
    out = fig7b.path(profile, groups).parent
    files = fig7b_page.write(record, out)
    text = "\n\n".join([fig7b_page.groups_markdown(record), fig7b_page.correlations_markdown(record), fig7b_page.claims_markdown(record)])
    return Made(TARGETS["fig7b"], files, text, out == paths.results("storyboard"), extra={"source": "measure"})


def _subtexts(what: str, profile: Profile) -> Made:
    from sfar.report import record as R
    from sfar.report import subtexts_page as page
    from sfar.report import table13
    out = R.folder(profile)
    standard = out == paths.results("storyboard")
    if what in ("fig4", "fig8"):
        files = page.write_figure(what, out)
        return Made(TARGETS[what], files, f"Look at {files[0]}", standard)
    if what in ("table6", "table7"):  # one page: the two are sent together
        text = page.table6_page()
        return Made(TARGETS[what], page.write_page("table6", text, out), text, standard)
    record, files = table13.write(profile)
    pages = {"table13": page.table13_page(record), "table14": page.table14_page(record)}  # of one rehearsal
    for name, text in pages.items():
        files += page.write_page(name, text, out)
    return Made(TARGETS[what], files, pages[what], standard)
