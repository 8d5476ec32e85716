"""The paper's qualitative claims as functions over a record: holds, does not hold, or undecided, with size and interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfar.model.registry import METHODS
from sfar.studies.core.statistics import verdict

NAMES = {m.name: m.title for m in METHODS.values()}  # as tables and figures call the methods


def row(
    claim: str, source: str, against: str, mean: float, low: float, high: float, unit: str = "points", decided: str = ""
) -> dict[str, Any]:
    """A claim with its verdict: of "the value is above zero" from the interval, unless ``decided`` says otherwise."""
    return {
        "claim": claim,
        "source": source,
        "verdict": decided or verdict(low, high),
        "against": against,
        "unit": unit,
        "mean": round(mean, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def best(claim: str, source: str, rivals: Sequence[tuple[str, dict[str, Any]]], unit: str = "points") -> dict[str, Any]:
    """A claim "higher than every rival": ``rivals`` are (name, difference to it with ``mean``, ``low``, ``high``).

    Holds if every difference's interval lies above zero, does not hold if one lies below, else undecided. ``against`` is, of the
    rivals with that verdict, the one with the smallest difference: its interval shows what decided.
    """
    each = [verdict(d["low"], d["high"]) for _, d in rivals]
    overall = "does not hold" if "does not hold" in each else "undecided" if "undecided" in each else "holds"
    name, d = min((r for r, v in zip(rivals, each) if v == overall), key=lambda r: r[1]["mean"])
    return row(claim, source, name, d["mean"], d["low"], d["high"], unit, decided=overall)


def highest(record: dict[str, Any]) -> dict[str, Any]:
    """Table 1: "the highest top-1 accuracy". Against each other method measured, SFAR's paired difference in one single view (``best``)."""
    return best(
        "SFAR has the highest top-1 accuracy",
        "Table 1, section 4.2",
        [(d["against"], d) for d in record["differences"] if d["views"] == "1x1" and d["metric"] == "top1"],
    )


def finds_frames(record: dict[str, Any], which: str) -> dict[str, Any]:
    """Sections 3.2, 3.3: coarse or fine importance falls on frames that show the action more than equal weights would."""
    r = record["importance"][which]
    return row(
        f"a_{which} puts more weight than equal weights on frames that show an action of the class",
        "sections 3.2, 3.3, Fig. 6",
        "equal weights",
        r["gain"],
        r["gain_low"],
        r["gain_high"],
    )


def fine_sharper(record: dict[str, Any]) -> dict[str, Any]:
    """Section 3.3: a_fine allocates larger scores than a_coarse to prominent frames."""
    r = record["importance"]["fine_minus_coarse"]
    return row(
        "a_fine puts more weight on those frames than a_coarse",
        "section 3.3, Fig. 6",
        "a_coarse",
        r["mean"],
        r["low"],
        r["high"],
    )
