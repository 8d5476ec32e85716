"""Accuracy by how ambiguous a class and how non-uniform its videos are."""

from __future__ import annotations

from fractions import Fraction

from sfar.paper.audit.cells import OURS, Cell, Tables
from sfar.paper.audit.rows import Counted, Row, difference, highest, holds, judge, linear, same, show

TITLE = "Degrees: Tables 8, 9, A.2"
KINDS = ("Ambi", "Non")
METHODS = ("Single", "Coarse", "Fine", "Fusion")
UNUSED = "none: printed rows are not used"

# Table 8: (method, kind) -> its cells from degree 1 to 10.
Degrees = dict[tuple[str, str], list[Cell]]


def _table8(t: Tables, at: Degrees) -> list[Row]:
    """What is said of Table 8 alone."""
    under = [
        (f, p)
        for k in KINDS
        for i, f in enumerate(at["Fusion", k])
        for p in (at["Coarse", k][i], at["Fine", k][i])
        if p.number > f.number
    ]
    every = [c for cells in at.values() for c in cells]
    lowest = {k: min(at["Single", k], key=lambda c: c.number) for k in KINDS}
    return [
        holds(
            "table8-fusion",
            "Table 8; Fig. 2",
            "the fusion improves on coarse and fine at every degree",
            not under,
            f"so in {20 - len({f for f, _ in under})} of 20 cells"
            + "".join(
                f"; {t.text(f, 'type')} {t.text(f, 'degree')}: fusion {f.text}, {t.text(p, 'method').lower()} {p.text}"
                for f, p in under
            ),
            every,
        ),
        *(
            holds(
                f"{name}-degrees",
                "section A.2, Table 8",
                t.quote(f"{name}-degrees"),
                {int(t.text(c, "degree")) for c in at["Single", k]}
                == set(range(1, int(t.said(f"{name}-degrees").number) + 1)),
                f"Table 8 has {len(at['Single', k])} degrees; where one ends and the next begins is not said",
                (t.said(f"{name}-degrees"),),
            )
            for name, k in (("ambiguous", "Ambi"), ("nonuniform", "Non"))
        ),
        holds(
            "table8-gains",
            "section A.2, Table 8",
            "accuracy improvements of coarse, fine and fusion over the single-granularity method",
            all(
                a.number > b.number
                for m in METHODS[1:]
                for k in KINDS
                for a, b in zip(at[m, k], at["Single", k], strict=True)
            ),
            "above it in all 60 cells",
            every,
        ),
        holds(
            "table8-hardest",
            "section 4.2, A.2",
            "the top 10% of actions with the highest scores, representing the most difficult categories to classify",
            all(t.text(c, "degree") == "10" for c in lowest.values()),
            "lowest of Single: " + ", ".join(f"{k} degree {t.text(c, 'degree')} ({c.text})" for k, c in lowest.items()),
            [c for k in KINDS for c in at["Single", k]],
        ),
    ]


def _overall(at: Degrees, method: str, kind: str, total: Cell, single: Cell) -> Row:
    """The gain over all videos against the gains at the ten degrees.

    Whatever share of the videos each degree has, the first is a weighted mean of the others.
    """
    gain, low, high = linear([(1, total), (-1, single)])
    parts = [linear([(1, a), (-1, b)]) for a, b in zip(at[method, kind], at["Single", kind], strict=True)]
    bottom, top = min(p[1] for p in parts), max(p[2] for p in parts)
    values = [p[0] for p in parts]
    possible = ""
    if min(values) < gain < max(values):
        verdict = "right"
    elif low < top and high > bottom:
        verdict, possible = "depends on rounding", ", possible only if nearly all videos had one degree"
    else:
        verdict = "contradicts"
    return Row(
        f"table8-overall-{method.lower()}-{kind.lower()}",
        "Table 8 against Tables 1, 2e",
        f"{method} minus single granularity (BIKE [48]) on all videos, from its {kind} degrees",
        f"{show(min(values))} to {show(max(values))} points at the ten degrees, so the gain on all videos lies "
        f"between, however large each degree is; Tables 1, 2e: {total.text} - {single.text} = {show(gain)}{possible}",
        verdict,
        cells=(total, single, *at[method, kind], *at["Single", kind]),
        effect=UNUSED,
    )


def _mean(at: Degrees, method: str, total: Cell) -> Row:
    """The mean over the degrees against the accuracy on all videos."""
    means = [sum((c.number for c in at[method, k]), Fraction(0)) / 10 for k in KINDS]
    return holds(
        f"table8-mean-{method.lower()}",
        "Table 8 against Tables 1, 2e",
        f"{method}: mean over ten degrees of equal size is the accuracy on all videos",
        all(abs(x - total.number) <= Fraction(1, 2) for x in means),
        f"means {show(means[0])} (Ambi), {show(means[1])} (Non); on all videos "
        f"{total.text}. Equal sizes are not stated; allowed here: 0.5 points",
        (total, *at[method, "Ambi"], *at[method, "Non"]),
        "not decidable",
        effect=UNUSED,
    )


def build(t: Tables, _: Counted) -> list[Row]:
    """Every statement of this part."""
    at = {(m, k): t.cells("table8", "top1", method=m, type=k) for m in METHODS for k in KINDS}
    overall = {
        "Coarse": t.cell("table2e", "top1", coarse="✓", fine="✗"),
        "Fine": t.cell("table2e", "top1", coarse="✗", fine="✓"),
        "Fusion": t.cell("table2e", "top1", coarse="✓", fine="✓"),
    }
    single = t.cell("table1", "top1", method="BIKE", views="1x1")
    nine = {m: [t.cell("table9", k, method=m) for k in ("ambi_set", "non_set")] for m in ("ATM", "BIKE", OURS)}
    means = {m: sum((c.number for c in cells), Fraction(0)) / 2 for m, cells in nine.items()}
    pairs = [
        (x, at[m, k][9])
        for m, name in (("Single", "BIKE"), ("Fusion", OURS))
        for x, k in zip(nine[name], KINDS, strict=True)
    ]
    second = max(("ATM", "BIKE"), key=lambda m: means[m])
    half = Fraction(1, 2)
    lead = t.said("table9-lead")
    value, low, high = linear([(half, c) for c in nine[OURS]] + [(-half, c) for c in nine[second]])
    share = t.said("table9-share")
    classes = t.said("kinetics-classes").number * share.number / 100
    uniform, mixed = 8 * 7 * Fraction(1), 8 * 7 * Fraction(3, 4)
    return [
        *_table8(t, at),
        *(_overall(at, m, k, total, single) for m, total in overall.items() for k in KINDS),
        *(_mean(at, m, total) for m, total in {"Single": single, **overall}.items()),
        same(
            "table8-table9",
            "Tables 8, 9",
            "degree 10 of Table 8 (Single, Fusion) and the top-10 % sets of Table 9 (BIKE, ours)",
            pairs,
            "BIKE's row of Table 9 is Single of Table 8",
            effect=UNUSED,
        ),
        Row(
            "table9-lead",
            "section 4.2, Table 9",
            t.text(lead, "quote"),
            f"means of both sets: {show(means[OURS])} and {show(means[second])} ({second}), difference {show(value)}",
            judge(lead, value, low, high),
            lead,
            value,
            low,
            high,
            "points",
            (lead, *nine[OURS], *nine[second]),
        ),
        highest(
            t,
            "table9-highest",
            "Table 9",
            "the highest accuracy on both sets",
            [(c, [t.cell("table9", c.column, method=m) for m in ("ATM", "BIKE")]) for c in nine[OURS]],
        ),
        same(
            "table9-shares",
            "section 4.2; Table 9, caption",
            "top 10 %, in the text and in the caption",
            [(share, t.said("table9-caption-share"))],
        ),
        difference(
            "augmented-lead",
            "section A.2",
            t.quote("augmented-lead"),
            t.said("augmented-lead"),
            t.said("augmented-top1"),
            t.said("augmented-plain"),
        ),
        same(
            "augmented-table2e",
            "section A.2, Table 2e",
            "accuracy of the augmented global text with the fine-grained branch",
            [(t.said("augmented-top1"), overall["Fusion"])],
        ),
        Row(
            "averages",
            "Eq. 16, Eq. 18",
            '"averaging" and "an average"',
            "both are printed as sums: of 10 similarities (up to 10) and of L (L - 1) agreements (up to 56 for L = 8)",
            "contradicts",
            reading="divided by 10 and by L (L - 1)",
            effect="none: the order of actions and of videos is the same for a fixed L",
        ),
        holds(
            "top-10",
            "Eq. 16",
            t.quote("ambiguous-top"),
            t.said("ambiguous-top").number < t.said("kinetics-classes").number,
            "10 of the 399 others",
            (t.said("ambiguous-top"),),
        ),
        holds(
            "nus-direction",
            "Eq. 18 against A.2",
            'highest scores = most non-uniform; "from 1 (uniform) to 10 (non-uniform)"',
            uniform < mixed,
            f"NUS adds agreements: {int(uniform)} for 8 frames of one predicted class, {int(mixed)} if every pair of "
            "predictions has cosine 0.5. A uniform video has the highest score",
            otherwise="contradicts",
            reading="turned round: non-uniform = low agreement",
            effect="the other end of the list is chosen",
        ),
        Row(
            "top-actions",
            "section 4.2, A.2, Table 9",
            "top 10 % of actions, ambiguous and non-uniform",
            f"{int(classes)} of 400 actions. The ambiguous score is of an action, the non-uniform score of a video: "
            "how videos make up an action's score is not said",
            "not decidable",
            reading="mean over the action's videos; prediction stays among all classes",
            effect="not measured: no run of the alternative",
        ),
    ]
