"""Sub-texts: who writes them, what they are asked, how they are scored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

from sfar.paper.audit.cells import Tables
from sfar.paper.audit.rows import Counted, Row, highest, holds, same, show

TITLE = "Sub-texts: Tables 2d, 6, 7, 13, 14"


def build(t: Tables, counted: Counted) -> list[Row]:
    """Every statement of this part."""
    two = {t.name(c): c for c in t.cells("table2d", "top1")}
    cost = {t.name(c): c for c in t.cells("table13", "accuracy")}
    tpp = t.cells("table2d", "tpp")
    best = "GPT-4o"
    x, y = [float(c.number) for c in tpp], [float(two[t.name(c)].number) for c in tpp]
    r2 = _r2(x, y)
    slowest, limit = max(t.cells("table13", "seconds"), key=lambda c: c.number), t.said("table13-slowest")
    names = {*two, *cost}
    llms, accuracy = t.said("llms"), list(cost.values())
    spread = max(c.number for c in accuracy) - min(c.number for c in accuracy)
    asks = t.cells("table6", "text")
    prefix = sum(c.text.startswith("This action is") for c in t.cells("figure8", "text"))
    prompts, groups = t.said("prompts"), t.said("fig7b-groups")
    columns = [c for c in t.rows["table7"][0] if c != "source_row"]
    videos = t.said("table14-videos")
    gaps = {
        k: abs(
            t.cell("table2d", k, generator="LLaVA-1.6-34b").number
            - t.cell("table2d", k, generator="GPT-Davinci").number
        )
        for k in ("tpp", "top1", "top5")
    }
    return [
        *(
            same(
                f"table2d-{k}",
                "section 4.3, Table 2d",
                f"GPT-4o: {t.said(f'table2d-{k}').text} ({k})",
                [(t.said(f"table2d-{k}"), t.cell("table2d", k, generator=best))],
            )
            for k in ("tpp", "top1", "top5")
        ),
        *(
            highest(
                t,
                f"table2d-{k}-highest",
                "section 4.3, Table 2d",
                f"GPT-4o achieves the highest {title}",
                [(t.cell("table2d", k, generator=best), t.cells("table2d", k, generator=lambda g: g != best))],
            )
            for k, title in (("tpp", "TPP"), ("top1", "top-1"), ("top5", "top-5"))
        ),
        holds(
            "table2d-order",
            "section 4.3, Table 2d",
            "A higher Text Prompt Perplexity (TPP) score indicates better sub-texts",
            _monotone(x, y),
            "top-1 never falls as TPP rises, over four generators",
            (*tpp, *two.values()),
        ),
        Row(
            "r2",
            "section 4.3, Fig. 7b",
            "an r2 value of 0.79",
            f"{groups.text} groups; {len(x)} points are printed (Table 2d), whose r2 is {r2:.2f}. Whether "
            f"a line or its logarithm was fitted is not said",
            "not decidable",
            t.said("fig7b-r2"),
            cells=(t.said("fig7b-r2"),),
            reading="a straight line through TPP and top-1",
            measure=("fig7b", "readings"),
        ),
        holds(
            "groups",
            "section 4.3 against Table 6",
            "11 sub-text groups are generated",
            groups.number == llms.number * prompts.number,
            f"{llms.text} LLMs, each asked with {prompts.text} prompts, make {llms.number * prompts.number}; which of "
            "them are the 11 is not said",
            (groups, llms, prompts),
            "not decidable",
            reading="15 groups of the repository's own",
            effect="none: other groups",
        ),
        same(
            "table13-table2d",
            "Tables 2d, 13",
            "generators in both tables have the same accuracy",
            [(two[n], cost[n]) for n in two if n in cost],
        ),
        same(
            "table2d-table1",
            "Tables 1, 2d",
            "GPT-4o's accuracy is Table 1's",
            [(t.cell("table2d", k, generator=best), t.ours("table1", k)) for k in ("top1", "top5")],
        ),
        holds(
            "table13-slowest",
            "section B, Table 13",
            "even the slowest generation speed is within 10 seconds of each action",
            slowest.number <= limit.number,
            f"slowest: {t.name(slowest)}, {slowest.text} s",
            (limit, *t.cells("table13", "seconds")),
        ),
        holds(
            "table13-spread",
            "section B, Table 13",
            "LLMs with strong generative capabilities have minimal impact on our method",
            spread < Fraction(1, 2),
            f"accuracies differ by {show(spread)} points at most (read as: less than 0.5)",
            accuracy,
        ),
        holds(
            "llms",
            "section A.3",
            t.text(llms, "quote"),
            len(names) == llms.number,
            f"Tables 2d and 13 name {len(names)}: {', '.join(sorted(names))}; Table 2d has {len(two)}, Table 13 "
            f"{len(cost)} of them",
            (llms, *t.cells("table2d", "generator"), *t.cells("table13", "model")),
        ),
        Row(
            "glops",
            "Table 13, column GLOPs",
            "Phi-3-14b 636, LLaMA2-7b 814, LLaVA-1.6-34b 8.25e4",
            "cost of the LLM, not of the video model. The model of 7 billion parameters costs more than the one of 14, "
            "and the one of 34 a hundred times as much: tokens, frames and unit are not said",
            "not decidable",
            reading="not compared",
            effect="none: no LLM is part of the model",
        ),
        holds(
            "section-c",
            "section C",
            "We ablate the LLM used for sub-text generation in Tab. 7",
            "generator" in columns or "model" in columns,
            "Table 7 is the system prompt; the ablation is Table 2d",
            effect="none: a wrong number",
        ),
        holds(
            "prompts",
            "Table 6, caption",
            t.text(prompts, "quote"),
            prompts.number == len(asks),
            f"{len(asks)} rows",
            (prompts,),
        ),
        holds(
            "four",
            "Table 6, section 4.3",
            "the question prompts ask for as many parts as are used (4)",
            all("four" in c.text.split() for c in asks) and t.said("fig7a-chosen").number == 4,
            'each of the four prompts says "four"',
            (*asks, t.said("fig7a-chosen")),
            reading='another N puts its number in the place of "four"',
            field="model.n_subtexts",
        ),
        holds(
            "prefix",
            "Table 6 against Fig. 4, 8",
            "Begin each description with 'This action is'",
            prefix == len(t.rows["figure8"]),
            f"{prefix} of the {len(t.rows['figure8'])} sub-texts in Figure 8 do; none of Figure 4",
            t.cells("figure8", "text"),
            "contradicts",
            reading="prefix, numbers and summary are taken off",
            measure=("fig7b", "prefixed"),
        ),
        holds(
            "table14-videos",
            "section B, Table 14",
            t.text(videos, "quote"),
            videos.number == len(t.rows["table14"]),
            f"{len(t.rows['table14'])} rows",
            (videos,),
        ),
        same(
            "table14-frames",
            "section B; Table 1, caption",
            "as many frames are shown to GPT-4o as a video has in the model",
            [(t.said("table14-frames"), t.said("table1-frames"))],
        ),
        holds(
            "table2d-similar",
            "section 4.3, Table 2d",
            "Both LLaVA-1.6-34B and GPT-Davinci show similar performance, with minor differences in accuracy and TPP",
            max(gaps.values()) < Fraction(1, 2),
            "differences: " + ", ".join(f"{k} {show(v)}" for k, v in gaps.items()) + " (read as: less than 0.5)",
            [t.cell("table2d", k, generator=g) for k in gaps for g in ("LLaVA-1.6-34b", "GPT-Davinci")],
        ),
        holds(
            "linear",
            "section 3.1 against A.3",
            "alpha and beta are linear scaling functions",
            False,
            "A.3: alpha(x) = -x^2 + 1, which is not linear; beta(x) = x",
            otherwise="contradicts",
            reading="as A.3 prints them",
            effect="none: wording",
        ),
        holds(
            "tpp-direction",
            "section 3.1 against Eq. 1-3, A.3",
            "a higher delta is more diverse; the sub-texts with the highest TPP are selected as diverse and related",
            counted.tpp_slope["printed"] > 0,
            f"as printed TPP falls as delta rises (slope {counted.tpp_slope['printed']:+.0f} at cosines of 0.8). With "
            f"all cosines at 0.8 the printed form gives {counted.tpp['printed']:.1f}, beta(x) = 1 - x "
            f"{counted.tpp['diverse']:.1f}; Table 2d prints {min(x):.1f} to {max(x):.1f}, so the printed form was "
            "computed",
            tpp,
            "contradicts",
            reading='as printed; beta(x) = 1 - x as "diverse" beside it',
            measure=("fig7b", "readings"),
        ),
    ]


def _monotone(x: Sequence[float], y: Sequence[float]) -> bool:
    """Whether y never falls as x rises."""
    ordered = [b for _, b in sorted(zip(x, y, strict=True))]
    return all(a <= b for a, b in itertools.pairwise(ordered))


def _r2(x: Sequence[float], y: Sequence[float]) -> float:
    """Squared correlation."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    dx, dy = [v - mx for v in x], [v - my for v in y]
    xy = sum(a * b for a, b in zip(dx, dy, strict=True))
    return xy * xy / (sum(a * a for a in dx) * sum(b * b for b in dy))
