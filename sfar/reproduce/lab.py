"""What the notebooks show: a study's tables, figures and claims as objects that JupyterLab renders.

A table is cut where it is long, with a link to the whole page; figures have twice the pixels, for displays that have
them. As text everything is plain Markdown, which is what nbval compares.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sfar.config import Profile, get_profile
from sfar.model import registry
from sfar.render.tables import NOTHING, Prose, Table
from sfar.studies.core import page
from sfar.studies.core.blocks import Drawn, Text, Verdicts
from sfar.studies.core.record import Record, Verdict
from sfar.studies.core.study import FROZEN, Study, Variant, seeds_of
from sfar.util import paths, progress
from sfar.util.extras import extra

ROWS = 10  # of a table that is not cut


def sharp() -> None:
    """Have a notebook show its figures with twice the pixels; elsewhere nothing."""
    if progress.in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


class Source:
    """What functions are written as: coloured, and never broken inside a word, however narrow the page is."""

    def __init__(self, *functions: Callable[..., object]):
        self.text = "\n\n".join(map(inspect.getsource, functions))

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}```"

    def _repr_html_(self) -> str:
        with extra("notebooks", "coloured source"):
            from pygments import highlight
            from pygments.formatters import HtmlFormatter
            from pygments.lexers import PythonLexer

        # The style goes with the element: JupyterLab wraps every line of code, and has no rules of a page.
        return highlight(
            self.text,
            PythonLexer(),
            HtmlFormatter(noclasses=True, nobackground=True, prestyles="white-space: pre; overflow-x: auto"),
        )


def slider(name: str, values: Iterable[float], start: float, draw: Callable[[float], Figure]) -> None:
    """A picture, and above it a slider over ``values``, from left to right, that has it drawn anew.

    What is displayed first is ``draw(start)``, an ordinary output: it is what remains where no kernel runs.
    """
    with extra("notebooks", "a slider"):
        import ipywidgets
        from IPython.display import DisplayHandle, display

    def drawn(value: float) -> Figure:
        figure = draw(value)
        plt.close(figure)  # or it would be shown once more as the cell ends
        return figure

    sharp()
    knob = ipywidgets.SelectionSlider(
        options=[(f"{x:.2g}", x) for x in values],
        value=start,
        description=name,
        layout={"width": "40em"},
        style={"description_width": "initial"},
    )
    display(knob)
    picture = DisplayHandle()
    picture.display(drawn(start))
    knob.observe(lambda moved: picture.update(drawn(moved["new"])), "value")


def found(c: Verdict) -> str:
    """What decided a claim: its number with the interval, and against what."""
    return f"{page.measured(c)}, against {c.against}"


def claims(record: Record) -> Table:
    """The claims with their verdicts, in columns that fit a page."""
    body = [[c.claim, c.printed or NOTHING, found(c), page.undecided(c)] for c in record.claims]
    return Table(["Claim", "Paper", "Here (95 % interval)", "Verdict"], body)


def variants(which: Iterable[Variant], profile: Profile) -> Table:
    """What is compared, as it is declared: the method of each row, the fields changed, its tower and seeds."""
    body = []
    for v in which:
        fields = ", ".join(f"`{k} = {value}`" for k, value in v.changes if (k, value) not in FROZEN)
        trained = registry.get(v.method).trained
        tower = "fine-tuned" if trained and v.profile(profile, 0).train.train_visual else "frozen"
        seeds = len(seeds_of(profile, v)) if trained else NOTHING
        body.append([v.title, f"`{v.method}`", fields or NOTHING, tower, seeds])
    return Table(["Row", "Method", "Fields changed", "Visual tower", "Seeds"], body)


def contrasts(record: Record, part: str | None = None) -> Table:
    """Which rows are held against each other, paired over seeds and videos, and in how many settings each."""
    against: dict[str, dict[str, int]] = {}
    for c in record.contrasts_of(part):
        side = against.setdefault(record.title(c.row), {})
        side[record.title(c.against)] = side.get(record.title(c.against), 0) + 1
    body = [[row, "; ".join(others), sum(others.values())] for row, others in against.items()]
    return Table(["Row", "Held against", "Differences"], body)


class Shown:
    """A study and its record: ``show("methods")`` gives a table of its page, ``show("figure")`` draws a figure.

    ``rows``: how long a table can be before it is cut (None: as long as it is). With several names they are shown one
    below the other.
    """

    def __init__(self, study: Study, record: Record, groups: Sequence[str] = ()):
        self.study, self.record, self.groups = study, record, groups
        sharp()

    @property
    def profile(self) -> Profile:
        """The configuration that the record was made with."""
        return get_profile(self.record.profile, page.configuration(self.record))

    @property
    def rest(self) -> str:
        """Where the rest of a table that is cut stands: the study's page, as far as it has been written."""
        file = self.study.folder(self.profile, self.groups) / f"{self.study.id}.md"
        if not file.is_file():
            return "`rows=None` shows them."
        link = os.path.relpath(file, paths.notebooks()).replace(os.sep, "/")
        return f"they stand on [the whole page]({link}), and `rows=None` shows them here."

    def cut(self, table: Table, rows: int | None = ROWS) -> Table:
        """A table that says, if it is longer, where the rest of it stands."""
        return table.cut(rows, self.rest)

    def __call__(self, *names: str, rows: int | None = ROWS) -> Table | Prose | None:
        """The blocks of these names, None where the record has nothing for them.

        Raises ``SfarError`` naming those that there are.
        """
        blocks = [(page.block(self.study, name), name) for name in names]
        if any(isinstance(b, Drawn) for b, _ in blocks):
            for _, name in blocks:
                page.show(self.study, self.record, name)  # shown as the cell ends, like every open figure
            return None
        made = [claims(self.record) if isinstance(b, Verdicts) else self._made(name) for b, name in blocks]
        shown = [self.cut(m, rows) if isinstance(m, Table) else Prose(m) for m in made if m]
        if len(shown) < 2:
            return shown[0] if shown else None
        return Prose("\n\n".join(map(str, shown)))

    def _made(self, name: str) -> Table | str | None:
        made = page.show(self.study, self.record, name)
        assert made is None or isinstance(made, Table | str)
        return made

    def banner(self) -> Prose | None:
        """What the record was made with where that is not its profile as it stands; None where it is."""
        said = page.banner(self.record)
        return Prose(said) if said else None

    def answer(self, *what: str) -> Prose:
        """The answer in a few lines: of a claim's id what was found, of a text's the text, other sentences as such.

        A claim that this record cannot decide is left out.
        """
        known = {c.id: c for c in self.record.claims}
        texts = {b.id: b for b in self.study.blocks if isinstance(b, Text) and b.id}
        declared = {c.id for c in self.study.claims}
        lines = []
        for one in what:
            if one in texts:
                lines.append(texts[one].make(self.record))
            elif one in known:
                lines.append(_sentence(known[one]))
            elif one not in declared:
                lines.append(one)
        return Prose("\n".join(f"- {line}" for line in lines))

    def compared(self, which: Iterable[Variant] = (), part: str | None = None, rows: int | None = ROWS) -> Prose:
        """What is compared: variants as declared (by default those of the study), and the paired differences."""
        planned = self.study.planned(self.profile) if self.study.planned else ()
        tables = [variants(tuple(which) or [v for v, _ in planned], self.profile), contrasts(self.record, part)]
        return Prose("\n\n".join(str(t.cut(rows, "`rows=None` shows them.")) for t in tables if t.rows))

    def provenance(self) -> Prose:
        """Where the numbers come from, folded."""
        return folded("Command, revision, date, machine, versions", str(page.provenance_table(self.record)))


def folded(title: str, text: str) -> Prose:
    """Markdown under a title that opens it."""
    return Prose(f"<details><summary>{title}</summary>\n\n{text}\n\n</details>")


def _sentence(c: Verdict) -> str:
    printed = f"; the paper prints {c.printed}" if c.printed else ""
    return f"**{c.verdict.capitalize()}**: {c.claim}. Here {found(c)}{printed}."
