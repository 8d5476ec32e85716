"""docs/paper.md: the paper line by line, each statement with what computes it, what holds it to that, and its verdict.

What is known elsewhere is taken from there: tables, figures and claims from the studies, verdicts from the records,
numbers in the text from ``sfar/paper/statements.csv``, what the audit says from its record, open readings from
``sfar/paper/deviations.py``. Here stand the equations and the order of the paper. ``sfar summary`` writes the page.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfar import paper, studies
from sfar.errors import SfarError
from sfar.paper import deviations
from sfar.render.tables import NOTHING, markdown
from sfar.reproduce import numbers
from sfar.settings import Measured
from sfar.studies.core import page
from sfar.studies.core.blocks import Drawn
from sfar.studies.core.study import Item, Study
from sfar.util import code, paths

PAGE = "docs/paper.md"
INTRO = """What the paper says, in its own order, and where it stands here: the function that computes it, its
literal form in double precision, the test that holds one to the other, the notebook that shows it, the command that
measures it, and what came out. Written by `make summary`; a test holds every link, and that nothing of the paper is
left out. The docstring of a function names its equation. On the site (`make site`) a link to a function leads to its
line.

A verdict is of a claim measured in the storyboard world
([how it is decided](../results/storyboard/README.md)); *audit* is what a statement is worth by the
paper's own numbers ([all of it](../results/storyboard/audit.md), [notebook](../notebooks/15_paper_audit.ipynb)); *read
as* names the configuration fields of what the paper leaves open ([DEVIATIONS.md](../DEVIATIONS.md), `sfar config
FIELD`)."""


@dataclass(frozen=True)
class Equation:
    """One or several equations that one function computes.

    ``computed``, ``literal``: "module:name"; ``held``: "file of a test:name", and ``literal`` likewise where the loops
    stand in a test; ``step``: of notebook 00, or the name of another notebook.
    """

    numbers: tuple[int, ...]
    title: str
    formula: str
    computed: tuple[str, ...]
    literal: tuple[str, ...]
    held: tuple[str, ...]
    step: int | str

    @property
    def heading(self) -> str:
        """Text such as "Eq. 4 to 6: ..."."""
        first, last = self.numbers[0], self.numbers[-1]
        return f"Eq. {first}{f' to {last}' if last > first else ''}: {self.title}"


_EMBEDDING, _LOSS = "tests/model/test_embedding.py", "sfar.model.loss"
_HEAD = f"{_EMBEDDING}:test_head"
_DEGREES, _ENDS = "sfar.studies.core.degrees", "tests/studies/test_ambiguity.py"
_TPP = (("sfar.model.literal:tpp",), ("tests/subtexts/test_tpp.py:test_eq_1_to_3",), 2)
_SCORES = ((f"{_ENDS}:test_equations_15_to_18",), "10_ambiguity")

EQUATIONS = (
    Equation(
        (1,),
        "text prompt perplexity of a class",
        r"\mathrm{TPP}_c = \exp\Big(-\frac{1}{N} \sum_{n=1}^{N} "
        r"\log\big(\alpha(\sigma_{c,n})\, \beta(\delta_{c,n})\big)\Big)",
        ("sfar.subtexts.tpp:perplexity",),
        *_TPP,
    ),
    Equation(
        (2,),
        "how near a sub-text is to its class",
        r"\sigma_{c,n} = \frac{\mathrm{sim}(t_c, s_{c,n}) + 1}{2}",
        ("sfar.subtexts.tpp:similarity",),
        *_TPP,
    ),
    Equation(
        (3,),
        "how far a sub-text is from the others",
        r"\delta_{c,n} = 1 - \frac{1}{N-1} \sum_{n' \neq n} \frac{\mathrm{sim}(s_{c,n}, s_{c,n'}) + 1}{2}",
        ("sfar.subtexts.tpp:diversity",),
        *_TPP,
    ),
    Equation(
        (4, 5, 6),
        "words of the global text augmented by the sub-texts",
        r"\hat{T}_c = \mathrm{Attention}\big(T_c W^q,\; [S_{c,n} W^k]_{n=1}^{N},\ [S_{c,n} W^v]_{n=1}^{N}\big) + T_c",
        ("sfar.model.embedding:attend", "sfar.model.sfar:CrossAttention"),
        ("sfar.model.literal:augmented_words", "sfar.model.literal:augmented_words_multi_head"),
        (f"{_EMBEDDING}:test_attention", "tests/model/test_sfar.py:test_mha_is_multi_head_attention"),
        3,
    ),
    Equation(
        (7,),
        "coarse importance of a frame",
        r"a^{\mathrm{coarse}}_l = \sum_{\hat{t}_c \in \hat{T}_c} "
        r"\frac{\exp(\mathrm{sim}(\hat{t}_c, v_l))}{\sum_{l'=1}^{L} \exp(\mathrm{sim}(\hat{t}_c, v_{l'}))}",
        ("sfar.model.embedding:coarse_importance",),
        ("sfar.model.literal:coarse_importance",),
        (f"{_EMBEDDING}:test_coarse_importance",),
        4,
    ),
    Equation(
        (8,),
        "coarse video embedding",
        r"o^{\mathrm{coarse}} = \sum_{l=1}^{L} v_l\, a^{\mathrm{coarse}}_l",
        ("sfar.model.embedding:aggregate",),
        ("sfar.model.literal:video_embedding",),
        (f"{_EMBEDDING}:test_fine_importance_and_aggregation", _HEAD),
        7,
    ),
    Equation(
        (9,),
        "fine importance of a frame",
        r"a^{\mathrm{fine}}_l = \mathrm{softmax}_l\Big(\max_n \frac{1}{|S_{c,n}|} "
        r"\sum_{s_{c,n} \in S_{c,n}} \mathrm{sim}(s_{c,n}, v_l)\Big)",
        ("sfar.model.embedding:fine_importance", "sfar.model.embedding:mean_unit_words"),
        ("sfar.model.literal:fine_importance",),
        (f"{_EMBEDDING}:test_fine_importance_and_aggregation",),
        5,
    ),
    Equation(
        (10,),
        "fine video embedding",
        r"o^{\mathrm{fine}} = \sum_{l=1}^{L} v_l\, a^{\mathrm{fine}}_l",
        ("sfar.model.embedding:aggregate",),
        ("sfar.model.literal:video_embedding",),
        (f"{_EMBEDDING}:test_fine_importance_and_aggregation", _HEAD),
        7,
    ),
    Equation(
        (11,),
        "both fused",
        r"o = \mathrm{FFN}_{\mathrm{coarse}}(o^{\mathrm{coarse}}) + \mathrm{FFN}_{\mathrm{fine}}(o^{\mathrm{fine}})",
        ("sfar.model.sfar:SFAR.video_embedding", "sfar.model.sfar:FeedForward"),
        ("sfar.model.literal:feed_forward", "sfar.model.literal:head"),
        (_HEAD, "tests/model/test_sfar.py:test_residual_ffn"),
        7,
    ),
    Equation(
        (12,),
        "loss from texts to videos",
        r"\mathcal{L}_{T2V} = \frac{1}{B} \sum_{b=1}^{B} \frac{1}{|k_b|} \sum_{b' \in k_b} "
        r"\log \frac{\exp(y_{b',c_{gt}})}{\sum_{b''=1}^{B} \exp(y_{b'',c_{gt}})}",
        (f"{_LOSS}:both_directions",),
        ("sfar.model.literal:text_to_video",),
        ("tests/model/test_loss.py:test_value_and_gradient",),
        8,
    ),
    Equation(
        (13,),
        "loss from videos to texts",
        r"\mathcal{L}_{V2T} = \frac{1}{B} \sum_{b=1}^{B} \frac{1}{|k_b|} \sum_{b' \in k_b} "
        r"\log \frac{\exp(y_{b',c_{gt}})}{\sum_{c=1}^{C} \exp(y_{b',c})}",
        (f"{_LOSS}:both_directions",),
        ("sfar.model.literal:video_to_text",),
        (
            "tests/model/test_loss.py:test_value_and_gradient",
            "tests/model/test_loss.py:test_video_to_text_is_plain_cross_entropy",
        ),
        8,
    ),
    Equation(
        (14,),
        "the loss",
        r"\mathcal{L} = \mathcal{L}_{T2V} + \lambda\, \mathcal{L}_{V2T}",
        (f"{_LOSS}:info_nce",),
        ("sfar.model.literal:info_nce",),
        (
            "tests/model/test_loss.py:test_value_and_gradient",
            "tests/model/test_loss.py:test_lambda_weighs_video_to_text",
        ),
        8,
    ),
    Equation(
        (15,),
        "how alike two classes are",
        r"\sigma_{c,c'} = \frac{\mathrm{sim}(t_c, t_{c'}) + 1}{2}",
        (f"{_DEGREES}:class_similarity",),
        (f"{_ENDS}:literal_ambiguous",),
        *_SCORES,
    ),
    Equation(
        (16,),
        "ambiguous score of a class",
        r"\mathrm{AS}_c = \sum_{c' \in \mathrm{top10}_c} \sigma_{c,c'}",
        (f"{_DEGREES}:ambiguous_score",),
        (f"{_ENDS}:literal_ambiguous",),
        *_SCORES,
    ),
    Equation(
        (17,),
        "how alike two frames are predicted",
        r"\sigma_{l,l'} = \frac{\mathrm{sim}(t_{c_{pred},l}, t_{c_{pred},l'}) + 1}{2}",
        (f"{_DEGREES}:frame_similarity", f"{_DEGREES}:frame_predictions"),
        (f"{_ENDS}:literal_agreement",),
        *_SCORES,
    ),
    Equation(
        (18,),
        "non-uniform score of a video",
        r"\mathrm{NUS} = \sum_{l=1}^{L} \sum_{l' \neq l} \sigma_{l,l'}",
        (f"{_DEGREES}:agreement", f"{_DEGREES}:non_uniform_score"),
        (f"{_ENDS}:literal_agreement",),
        *_SCORES,
    ),
)


@dataclass(frozen=True)
class Part:
    """A part of the paper: its sections, and the keys of its equations, tables and figures in its order."""

    title: str
    sections: tuple[str, ...]
    keys: tuple[str, ...] = ()


PARTS = (
    Part("Section 1: introduction", ("1",), ("fig1", "fig2", "fig2f")),
    Part("Section 3: the framework", ("3",), ("fig3", "fig4")),
    Part("Section 3.1: sub-texts", ("3.1",), ("fig5", "eq1", "eq2", "eq3")),
    Part("Section 3.2: coarse video embedding", ("3.2",), ("fig6", "eq4", "eq7", "eq8")),
    Part("Section 3.3: fine-grained video embedding", ("3.3",), ("eq9", "eq10")),
    Part("Section 3.4: loss", ("3.4",), ("eq11", "eq12", "eq13", "eq14")),
    Part("Section 4.1: setup", ("4.1",)),
    Part("Section 4.2: main results", ("4.2",), ("table1", "table2a", "table2b", "table3")),
    Part(
        "Section 4.3: ablations and analysis", ("4.3",), ("fig7a", "fig7b", "table2d", "table2e", "table4", "table2c")
    ),
    Part("Section 5 and checklist", ("5", "checklist")),
    Part("Appendix A.1: data sets", ("A.1",)),
    Part("Appendix A.2: degrees", ("A.2",), ("eq15", "eq16", "eq17", "eq18", "table8", "table9")),
    Part("Appendix A.3: details", ("A.3",), ("table5", "table6", "table7")),
    Part("Appendix B: further results", ("B",), ("table10", "table11", "table12", "table13", "table14")),
    Part("Appendix C: further ablations", ("C",), ("fig8", "fig9", "fig10")),
    Part("Not in the paper: its claims tested another way", (), ("knobs", "readings", "budget", "rivals", "audit")),
)

_PLACE = re.compile(
    r"(?P<eq>Eq\. )(?P<eqs>\d+(?:(?:, (?:Eq\. )?|-| to )\d+)*)"
    r"|(?P<kind>Tables?|Fig(?:ure)?s?\.?) (?P<items>\d+[a-f]?(?:(?:, |-| to )\d+[a-f]?)*)"
    r"|(?P<sections>(?<![\w.])(?:\d\.\d|[ABC]\.\d)(?![\w.%])|(?<=ection )[\dABC](?![\w.])|checklist)"
)


def places(text: str) -> list[str]:
    """Keys of the equations, tables and figures that a text such as "section 4.3, Fig. 7b" names, and its sections.

    An equation is "eq7" (of several computed as one the first), a section its number, the whole of Table 2 or Figure 7
    its first part.
    """
    out: dict[str, None] = {}
    for found in _PLACE.finditer(text):
        if found["sections"]:
            out[found["sections"]] = None
            continue
        kind = "eq" if found["eq"] else "table" if found["kind"].startswith("T") else "fig"
        for name in _listed(found["eqs"] or found["items"]):
            out[_home.get(kind + name, kind + name)] = None
    return list(out)


def _listed(text: str) -> list[str]:
    """The numbers of "1, 2e", "12-14" and "2a to 2e"."""
    out: list[str] = []
    for piece in text.replace("Eq. ", "").split(", "):
        first, *last = re.split(r"-| to ", piece)
        if last and first[-1].isalpha():
            out += [first[:-1] + chr(x) for x in range(ord(first[-1]), ord(last[0][-1]) + 1)]
        else:
            out += [str(n) for n in range(int(first), int(last[0]) + 1)] if last else [first]
    return out


# Of what is named by a number that has no entry of its own.
_home = {f"eq{n}": f"eq{e.numbers[0]}" for e in EQUATIONS for n in e.numbers}
_home |= {"table2": "table2a", "fig7": "fig7a", "fig2a": "fig2", "fig2e": "fig2"}
BY_KEY = {f"eq{e.numbers[0]}": e for e in EQUATIONS}
KEYS = tuple(key for part in PARTS for key in part.keys)
# What the paper leaves open; how the drawn world's profile differs is no reading of the paper.
OPEN = tuple(row for section in deviations.SECTIONS if section != "storyboard" for row in deviations.rows(section))


# --- links -----------------------------------------------------------------------------------------------------------


def linked(name: str) -> str:
    """A link to a definition, "module:name" or "file:name"; its anchor is one on the site, and the file on GitHub."""
    where, _, what = name.partition(":")
    file = where if where.endswith(".py") else where.replace(".", "/") + ".py"
    return f"[`{file}: {what}`](../{file}#{what})"


def _linked(names: Iterable[str]) -> str:
    return ", ".join(map(linked, names))


def tests_of(study: Study) -> str:
    """The file of a study's tests."""
    name = next(n for n in (f"test_{study.id}", f"test_{study.id}_study") if _there(f"tests/studies/{n}.py"))
    return f"tests/studies/{name}.py"


def _there(file: str) -> bool:
    return (paths.of_repository("tests").parent / file).is_file()


def _file(file: str) -> str:
    return f"[`{file}`](../{file})"


def _notebook(name: str) -> str:
    return f"[{name}](../notebooks/{name}.ipynb)"


# --- what is known elsewhere -----------------------------------------------------------------------------------------


@dataclass
class Known:
    """What the page is made of: items with their studies, and by key the audit's statements and the open readings."""

    items: dict[str, tuple[Study, Item]]
    audit: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    read: dict[str, list[deviations.Row]] = field(default_factory=dict)
    cells: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by id of a number in the text


def _homes(text: str) -> list[str]:
    """Where a statement on ``text`` stands: with every entry that it names, or else with its sections' parts."""
    named = places(text)
    entries = [k for k in named if k in KEYS]
    return entries or [k for k in named if any(k in part.sections for part in PARTS)]


def known() -> Known:
    """All of it. Raises ``SfarError`` for a record that is not there, and for a statement that has no place."""
    out = Known(studies.items())
    for statement in numbers.recorded("audit").extra["statements"]:
        homes = _homes(statement["where"]) or _homes(f"section {statement['where'].split('section ')[-1]}")
        if not homes:
            raise SfarError(f"sfar/reproduce/concordance.py: no place for the audit's {statement['id']!r}")
        for key in homes:
            out.audit.setdefault(key, []).append(statement)
        for cell in statement["cells"]:
            if said := re.search(r"\(([\w-]+)\)$", cell):
                out.cells.setdefault(said[1], []).append(statement)
    for row in OPEN:
        for key in _homes(row.where):
            out.read.setdefault(key, []).append(row)
    return out


# --- the page's pieces -----------------------------------------------------------------------------------------------


def _audited(statements: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"`{s['id']}` {s['verdict']}" for s in statements)


def _rest(key: str, of: Known) -> list[str]:
    """The lines that every entry can have: what is read into it, where that is measured, what the audit says."""
    lines = []
    rows = of.read.get(key, ())
    fields = dict.fromkeys(f for row in rows for f in row.fields)
    if rows:
        effects = [p for row in rows for p in deviations.parts(row.effect) if isinstance(p, Measured)]
        measured = dict.fromkeys(f"`make reproduce-{studies.load(p.study).target}`" for p in effects)
        text = ", ".join(f"`{f}`" for f in fields) or "[DEVIATIONS.md](../DEVIATIONS.md)"
        lines.append(f"Read as: {text}{'; what it is worth: ' + ', '.join(measured) if measured else ''}")
    if found := of.audit.get(key):
        lines.append(f"Audit: {_audited(found)}")
    return lines


def _equation(e: Equation, of: Known) -> str:
    shown = f"{_notebook('00_method')}, step {e.step}" if isinstance(e.step, int) else _notebook(e.step)
    lines = [
        f"Computed by {_linked(e.computed)}",
        f"Literally: {_linked(e.literal)}",
        f"Held by {_linked(e.held)}",
        f"Shown in {shown}",
        *_rest(f"eq{e.numbers[0]}", of),
    ]
    formula = textwrap.fill(e.formula, 96, break_long_words=False, break_on_hyphens=False)
    return f"### {e.heading}\n\n```math\n{formula}\n```\n\n" + "\n".join(f"- {line}" for line in lines)


def _item(key: str, of: Known) -> str:
    study, item = of.items[key]
    table = key.replace("fig", "figure")
    records = "results/storyboard"
    drawn = [b.stem for b in study.blocks if isinstance(b, Drawn)]
    picture = [f"[picture](../{records}/{key}.png)"] if key in drawn else []
    lines = [
        *([f"Printed: {_file(f'sfar/paper/{table}.csv')}"] if table in paper.TABLES else []),
        f"Measured by {linked(code.entry(study.measure_content))}",
        f"Held by {_file(tests_of(study))}",
        f"Shown in {', '.join([_notebook(study.notebook), f'[page](../{records}/{study.id}.md)', *picture])}",
        f"Command: `make reproduce-{key}`",
        *_rest(key, of),
    ]
    return "\n\n".join(filter(None, [f"### {item.title}", "\n".join(f"- {line}" for line in lines), _claims(key)]))


def _claims(key: str) -> str:
    """Every claim on a table or figure with its verdict; of one that its record cannot decide, that."""
    body = []
    for study in studies.studies():
        mine = [c for c in study.claims if c.item == key]
        decided = {v.id: v for v in numbers.recorded(study.id).claims} if mine else {}
        for claim in mine:
            v = decided.get(claim.id)
            if v is None:
                body.append([NOTHING, claim.source, NOTHING, NOTHING, "its record cannot decide it", f"`{claim.id}`"])
                continue
            body.append([v.claim, v.source, v.printed or NOTHING, page.measured(v), v.verdict, f"`{v.id}`"])
    return markdown(["Claim", "Where", "Printed", "Measured here", "Verdict", "Id"], body) if body else ""


def _said(rows: Sequence[dict[str, Any]], of: Known) -> str:
    """Numbers in the running text and in captions: what they are about, and what the audit says."""
    body = [
        [
            f"{r['value']:g} {r['unit'] or ''}".strip(),
            r["about"],
            r["source"],
            _audited(of.cells.get(r["id"], ())) or NOTHING,
            f"`{r['id']}`",
        ]
        for r in rows
    ]
    return markdown(["Number", "About", "Where", "Audit", "Id"], body)


def write() -> list[Path]:
    """Bring the page up to date; itself if it changed. Raises ``SfarError`` as ``text``."""
    path, new = paths.of_repository(PAGE), text()
    if path.read_text(encoding="utf-8") == new:
        return []
    paths.write_atomic(path, new)
    return [path]


def text() -> str:
    """The page. Raises ``SfarError`` for a record that is not there, and for a statement that has no place."""
    of = known()
    said: dict[str, list[dict[str, Any]]] = {}
    for row in paper.load("statements"):
        (home, *_) = _homes(row["source"])
        said.setdefault(home, []).append(row)
    out = ["# The paper, line by line", INTRO]
    for part in PARTS:
        out.append(f"## {part.title}")
        for section in part.sections:
            out += [f"Audit: {_audited(of.audit[section])}."] if section in of.audit else []
            out += [_said(said[section], of)] if section in said else []
        for key in part.keys:
            out.append(_equation(BY_KEY[key], of) if key in BY_KEY else _item(key, of))
            out += [_said(said[key], of)] if key in said else []
    return "\n\n".join(out) + "\n"
