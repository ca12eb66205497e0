"""What a campaign found, in numbers: the content of ``campaign.json``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from spotline.campaign.invariants import INVARIANTS, names_of
from spotline.campaign.row import Row


def summary_of(rows: list[Row]) -> dict[str, Any]:
    """Sum up the rows of a campaign.

    Returns
    -------
    dict
        ``runs``, ``faults`` (runs in which one struck), ``detections`` (of these, with an interlock),
        ``outcomes``, ``violations`` (runs by invariant), ``worst_excess``, ``worst_excess_field``,
        ``worst_beam_off``, and ``kinds``: the same by kind of fault, for runs with that fault alone and, as
        ``"A + B"``, for pairs.
    """
    struck = [row for row in rows if row["struck"]]
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        if row["fault1"]:
            kinds.setdefault(name_of(row), []).append(row)
    return {
        "runs": len(rows),
        "faults": len(struck),
        "detections": sum(bool(row["detected_by"]) for row in struck),
        "outcomes": dict(sorted(Counter(row["outcome"] for row in rows).items())),
        "violations": violations_of(rows),
        "violating_runs": [
            {"run": row["run"], "invariants": list(names_of(row["violations"])), "remarks": row["remarks"]}
            for row in rows
            if row["violations"]
        ],
        "worst_excess": _worst(rows, "excess", "excess_bound"),
        "worst_excess_field": _worst(rows, "excess_field", "excess_field_bound"),
        "worst_beam_off": _worst(rows, "beam_off_us", "beam_off_bound_us"),
        "kinds": {name: _kind(kinds[name]) for name in sorted(kinds)},
    }


def name_of(row: Row) -> str:
    """Name of what failed in a run: a kind, or two in the order of the alphabet."""
    return " + ".join(sorted(filter(None, (row["fault1"], row["fault2"]))))


def violations_of(rows: list[Row]) -> dict[str, int]:
    """Runs that violate each invariant."""
    return {i.name: sum(bool(row["violations"] & i.bit) for row in rows) for i in INVARIANTS}


def _kind(rows: list[Row]) -> dict[str, Any]:
    """What became of one kind of fault."""
    struck = [row for row in rows if row["struck"]]
    detected = [row for row in struck if row["detected_by"]]
    undetected = [row for row in struck if not row["detected_by"]]
    delays_us = [row["detection_us"] for row in detected]
    return {
        "runs": len(rows),
        "struck": len(struck),
        "detected": len(detected),
        "by": dict(Counter(row["detected_by"] for row in detected).most_common()),
        "detection_us": {
            "median": float(np.median(delays_us)) if delays_us else None,
            "largest": max(delays_us, default=None),
        },
        "worst_excess": _worst(struck, "excess", "excess_bound"),
        "worst_excess_undetected": _worst(undetected, "excess", "excess_bound"),
        "worst_beam_off": _worst(struck, "beam_off_us", "beam_off_bound_us"),
        "worst_misplaced": max((row["misplaced"] for row in struck), default=None),
        "worst_misplaced_undetected": max((row["misplaced"] for row in undetected), default=None),
        "worst_displacement_mm": max((row["displacement_mm"] for row in struck), default=None),
        "outcomes": dict(sorted(Counter(row["outcome"] for row in struck).items())),
        "violations": violations_of(rows),
    }


def _worst(rows: list[Row], value: str, bound: str) -> dict[str, Any] | None:
    """The run that comes nearest to its bound, or lies furthest beyond."""
    measured = [row for row in rows if row[value] is not None]
    if not measured:
        return None
    row = max(measured, key=lambda row: (row[value] / row[bound], -row["run"]))
    worst = {"value": row[value], "bound": row[bound], "run": row["run"]}
    if value == "excess":
        worst |= {"slice": row["slice"], "spot": row["spot"], "prescribed": row["prescribed"]}
    return worst
