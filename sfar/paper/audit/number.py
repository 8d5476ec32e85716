"""How many sub-texts a class has."""

from __future__ import annotations

import collections

from sfar.paper.audit.cells import Cell, Tables
from sfar.paper.audit.rows import MOST_VIDEOS, Counted, Row, class_sizes, difference, holds

TITLE = "Number N: Table 4, Fig. 7a"


def build(t: Tables, _: Counted) -> list[Row]:
    """Every statement of this part."""
    actions = [t.name(c) for c in t.cells("table4", "n2")]
    both = {a: (t.cell("table4", "n2", action=a), t.cell("table4", "n5", action=a)) for a in actions}
    change = {a: n5.number - n2.number for a, (n2, n5) in both.items()}
    small = {a: change[a] for a in ("Clapping", "Slicing onion")}
    large = {a: change[a] for a in ("Dribbling basketball", "Clay pottery making")}
    chosen, fixed = t.said("fig7a-chosen"), t.said("table4-fixed")
    listed = collections.Counter((r["action"], r["generator"]) for r in t.rows["figure8"])
    return [
        *(_change(t.name(c), c, *both[t.name(c)]) for c in t.cells("table4", "difference")),
        *(_whole_videos(a, pair) for a, pair in both.items()),
        holds(
            "table4-large",
            "section 4.3, Table 4",
            "multi-stage action categories ('Dribbling basketball' and 'Clay pottery making') benefit from large N",
            min(large.values()) > 0,
            ", ".join(f"{a} {float(v):+.1f}" for a, v in large.items()),
            [c for a in large for c in both[a]],
        ),
        holds(
            "table4-small",
            "section 4.3 against Table 4",
            "simple motions such as 'Clapping' and 'Slicing onion' get better accuracies with small N",
            max(small.values()) < 0,
            ", ".join(f"{a} {float(v):+.1f}" for a, v in small.items())
            + " from N = 2 to N = 5, by the accuracies printed",
            [c for a in small for c in both[a]],
            "contradicts",
            effect="none: printed rows are not used",
        ),
        holds(
            "n",
            'section 4.3, Fig. 7a, Table 6 against "Different sub-actions"',
            'we opted for 4 sub-texts; later "fixed N=5", "we choose to use fixed N for efficiency"',
            chosen.number == fixed.number,
            f"{chosen.text} and {fixed.text}; the four question prompts ask for four, Figure 8's {len(listed)} lists "
            f"have {'/'.join(map(str, sorted(set(listed.values()))))}",
            (chosen, fixed),
            "contradicts",
            reading="4",
            field="model.n_subtexts",
            measure=("ablations", "fig7a"),
        ),
        Row(
            "fig7a",
            "section 4.3, Fig. 7a",
            "accuracy improves from N = 2 to 5; the gain is minimal from 4 to 5",
            "the figure's text holds no number",
            "not decidable",
            cells=(t.said("fig7a-from"), t.said("fig7a-to")),
            measure=("ablations", "fig7a"),
        ),
        Row(
            "class-aware",
            "section 4.3",
            t.quote("table4-aware-top1"),
            "no table holds the class-aware accuracies, nor how N was chosen for a class",
            "not decidable",
            cells=(t.said("table4-aware-top1"), t.said("table4-aware-top5")),
            measure=("sub_actions", "class_aware"),
        ),
    ]


def _name(action: str) -> str:
    return action.lower().replace(" ", "-")


def _change(action: str, printed: Cell, n2: Cell, n5: Cell) -> Row:
    """The stated change of one action's accuracy."""
    statement = f"{action}: change from N = 2 to N = 5: {printed.text}"
    return difference(f"table4-{_name(action)}", "Table 4", statement, printed, n5, n2)


def _whole_videos(action: str, pair: tuple[Cell, Cell]) -> Row:
    """Whether both accuracies of a class can be shares of the same whole number of videos."""
    rounded = class_sizes(pair)
    if rounded:
        sizes = "any" if len(rounded) == MOST_VIDEOS else ", ".join(map(str, rounded))
        found, verdict = f"both are whole numbers of videos for {sizes} of at most {MOST_VIDEOS}", "right"
    else:
        cut, beyond = class_sizes(pair, cut=True), class_sizes(pair, 200)
        found = f"no class of up to {MOST_VIDEOS} videos (20,000 of 400 classes, A.1) gives both, " + (
            f"the smallest that does has {beyond[0]}" if beyond else "nor does one of up to 200"
        )
        verdict = "depends on rounding" if cut else "contradicts"
        found += f"; with further digits cut off instead of rounded, {', '.join(map(str, cut))} would" if cut else ""
    return Row(
        f"videos-{_name(action)}",
        "Table 4 against A.1",
        f"{action}: {pair[0].text} and {pair[1].text} % of one class's validation videos",
        found,
        verdict,
        cells=pair,
        effect="none: printed rows are not used",
    )
