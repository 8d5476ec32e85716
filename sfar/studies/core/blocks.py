"""What a study shows, as data: blocks in the order of its page, which ``page`` renders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from sfar import paper
from sfar.render.tables import Table
from sfar.studies.core.record import Record


@dataclass(frozen=True)
class Text:
    """A paragraph, or one made from the record. ``id``: where a notebook asks for it."""

    text: str | Callable[[Record], str]
    heading: str = ""
    id: str = ""

    def make(self, record: Record) -> str:
        """The paragraph."""
        return self.text if isinstance(self.text, str) else self.text(record)


@dataclass(frozen=True)
class Shown:
    """A table made from the record, or None where the record has nothing for it.

    ``latex``: it stands in the LaTeX file; ``terminal``: it is printed when the study has been measured.
    """

    id: str
    table: Callable[[Record], Table | None]
    heading: str = ""
    latex: bool = False
    terminal: bool = False

    def make(self, record: Record) -> Table | None:
        """The table."""
        return self.table(record)


@dataclass(frozen=True)
class Drawn:
    """A figure, written as ``<file>.png`` (by default its id); None where the record has nothing for it."""

    id: str
    figure: Callable[[Record], Figure | None]
    alt: str = ""
    heading: str = ""
    file: str = ""

    @property
    def stem(self) -> str:
        """Its file's name without the ending."""
        return self.file or self.id

    def make(self, record: Record) -> Figure | None:
        """The figure."""
        return self.figure(record)


@dataclass(frozen=True)
class Printed:
    """Rows of a transcribed table of the paper: never in one column with what was measured.

    ``columns``: column of ``paper.load(name)`` -> its heading; ``digits``: decimals of its numbers.
    """

    name: str
    columns: dict[str, str]
    heading: str = ""
    digits: int = 1
    id: str = ""

    def make(self, record: Record | None = None) -> Table:
        """The table as printed."""
        return Table(
            list(self.columns.values()), [[r[c] for c in self.columns] for r in paper.load(self.name)], self.digits
        )


@dataclass(frozen=True)
class Verdicts:
    """The study's claims as they were decided."""

    heading: str = "Claims"
    id: str = "claims"


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from, with the whole configuration."""

    heading: str = "Where the numbers come from"
    id: str = "provenance"


Block = Text | Shown | Drawn | Printed | Verdicts | Provenance
