"""The paper's qualitative claims as functions over a record: holds, does not hold, or undecided, with size and interval."""

from __future__ import annotations

from typing import Any

from sfar.report.stats import verdict


def highest(record: dict[str, Any]) -> dict[str, Any]:
    """Table 1: "the highest top-1 accuracy". Against each other method measured, SFAR's paired difference in one single view.

    Holds if every difference's interval lies above zero, does not hold if one lies below, else undecided. ``against``
    is the closest rival: the one with the smallest difference.
    """
    rows = [d for d in record["differences"] if d["views"] == "1x1" and d["metric"] == "top1"]
    each = [verdict(d["low"], d["high"]) for d in rows]
    overall = "does not hold" if "does not hold" in each else "undecided" if "undecided" in each else "holds"
    rival = min(rows, key=lambda d: d["mean"])
    return {"claim": "SFAR has the highest top-1 accuracy", "source": "Table 1, section 4.2", "verdict": overall, "against": rival["against"],
            "mean": rival["mean"], "low": rival["low"], "high": rival["high"]}


def finds_frames(record: dict[str, Any], which: str) -> dict[str, Any]:
    """Sections 3.2, 3.3: coarse or fine importance falls on frames that show the action more than equal weights would."""
    row = record["importance"][which]
    return {"claim": f"a_{which} puts more weight than equal weights on frames that show an action of the class", "source": "sections 3.2, 3.3, Fig. 6",
            "verdict": verdict(row["gain_low"], row["gain_high"]), "against": "equal weights", "mean": row["gain"], "low": row["gain_low"],
            "high": row["gain_high"]}


def fine_sharper(record: dict[str, Any]) -> dict[str, Any]:
    """Section 3.3: a_fine allocates larger scores than a_coarse to prominent frames."""
    row = record["importance"]["fine_minus_coarse"]
    return {"claim": "a_fine puts more weight on those frames than a_coarse", "source": "section 3.3, Fig. 6",
            "verdict": verdict(row["low"], row["high"]), "against": "a_coarse", "mean": row["mean"], "low": row["low"], "high": row["high"]}
