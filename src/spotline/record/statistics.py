"""Numbers that sum up a delivered field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP
from spotline.measurement import Result
from spotline.record.model import FieldRecord, Table
from spotline.record.prescribed import prescribed_spots

PARTICLE_TOLERANCE = 0.01
"""A spot is good if its particles are this close (relative) to the prescription (section V of the paper)."""


def particle_deviations(record: FieldRecord) -> np.ndarray:
    """Relative deviation of the measured particles of every complete spot, as delivered: visit by visit."""
    return _deviations(record.spots)


def prescribed_deviations(record: FieldRecord) -> np.ndarray:
    """Relative deviation of the measured particles of every complete spot of the plan."""
    return _deviations(prescribed_spots(record))


def _deviations(spots: Table) -> np.ndarray:
    spots = spots[spots["complete"]]
    return np.asarray(spots["particles"] / spots["particles_planned"] - 1.0)


def _fraction_good(deviations: np.ndarray) -> float | None:
    return float(np.mean(np.abs(deviations) <= PARTICLE_TOLERANCE)) if len(deviations) else None


def position_rms_mm(record: FieldRecord) -> float | None:
    """Root mean square distance of valid measured positions from the planned ones; None without any."""
    spots = record.spots[record.spots["position_valid"]]
    if not len(spots):
        return None
    squares = (spots["x_mm"] - spots["x_planned_mm"]) ** 2 + (spots["y_mm"] - spots["y_planned_mm"]) ** 2
    return float(math.sqrt(np.mean(squares)))


def field_statistics(record: FieldRecord) -> dict[str, Any]:
    """Statistics of a field for ``summary.json``.

    Spots are those of the slices, of which repainting makes several for one of the plan; only what has
    ``prescribed`` in its name joins them.
    """
    prescribed = prescribed_deviations(record)
    return {
        "spots_planned": int(record.slices["spots_planned"].sum()),
        "spots_delivered": int(np.count_nonzero(record.spots["complete"])),
        "particles_planned": float(record.slices["particles_planned"].sum()),
        "particles_delivered": float(record.spots["particles"].sum()),
        "fraction_spots_within_1_percent": _fraction_good(particle_deviations(record)),
        "prescribed_spots_delivered": len(prescribed),
        "fraction_prescribed_spots_within_1_percent": _fraction_good(prescribed),
        "position_rms_mm": position_rms_mm(record),
        "spills": len(record.spills),
        "beam_on_s": float(record.spills["beam_on_us"].sum()) * 1e-6,
        "treatment_s": float(record.spills["end_us"].max()) * 1e-6 if len(record.spills) else 0.0,
        "assumed": _assumed(record),
        "interlocks": [describe_interlock(row) for row in record.interlocks],
    }


def statistics_results(statistics: Mapping[str, Any], name: str = "") -> tuple[Result, ...]:
    """Give the figures of `field_statistics` or `total_statistics` as results.

    Parameters
    ----------
    statistics : mapping
    name : str
        Begins the names, if there is more than one field.
    """
    what = f"{name}: " if name else ""
    return tuple(
        Result(
            name=what + title,
            value=None if statistics[key] is None else factor * statistics[key],
            unit=unit,
        )
        for key, title, unit, factor in _RESULTS
    )


_RESULTS = (
    ("spots_planned", "spots planned", "", 1.0),
    ("spots_delivered", "spots delivered", "", 1.0),
    ("particles_planned", "particles planned", "particles", 1.0),
    ("particles_delivered", "particles delivered", "particles", 1.0),
    ("fraction_spots_within_1_percent", "spots within 1 % in particles", "percent", 100.0),
    ("prescribed_spots_delivered", "prescribed spots delivered", "", 1.0),
    (
        "fraction_prescribed_spots_within_1_percent",
        "prescribed spots within 1 % in particles",
        "percent",
        100.0,
    ),
    ("position_rms_mm", "position, rms", "mm", 1.0),
    ("spills", "spills", "", 1.0),
    ("beam_on_s", "beam on", "s", 1.0),
    ("treatment_s", "treatment", "s", 1.0),
)
"""Key of a statistic, name, unit and factor of its result."""

_ACTIONS = {PAUSE: "pause", STOP: "stop", INHIBIT: "inhibit"}


def _assumed(record: FieldRecord) -> dict[str, Any]:
    """What counts as delivered without having been confirmed, because the delivery died."""
    return {
        "int1_counts": int(record.assumed["int1_counts"].sum()),
        "particles": float(record.assumed["particles"].sum()),
        "spots": [
            {name: int(row[name]) for name in ("spill", "slice", "spot", "int1_counts")}
            for row in record.assumed
        ],
    }


def describe_interlock(row: np.void) -> dict[str, Any]:
    """An interlock in words."""
    cause = CAUSES[int(row["cause"])]
    return {
        "cause": cause.name,
        "time_s": float(row["time_us"]) * 1e-6,
        "spill": int(row["spill"]),
        "slice": int(row["slice"]),
        "spot": int(row["spot"]),
        "value": float(row["value"]) if math.isfinite(row["value"]) else None,
        "limit": float(row["limit"]),
        "unit": cause.unit,
        "action": _ACTIONS[int(row["action"])],
    }


def total_statistics(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The same over several fields; fractions and distances weighted with the spots delivered."""
    summed = (
        "spots_planned",
        "spots_delivered",
        "particles_planned",
        "particles_delivered",
        "prescribed_spots_delivered",
        "spills",
        "beam_on_s",
        "treatment_s",
    )
    total: dict[str, Any] = {name: sum(field[name] for field in fields) for name in summed}
    total["assumed"] = {
        name: sum(field["assumed"][name] for field in fields) for name in ("int1_counts", "particles")
    }
    total["interlocks"] = [interlock for field in fields for interlock in field["interlocks"]]
    for of in ("spots", "prescribed_spots"):
        fraction = f"fraction_{of}_within_1_percent"
        measured = [f for f in fields if f[fraction] is not None]
        weights = [f[f"{of}_delivered"] for f in measured]
        total[fraction] = (
            float(np.average([f[fraction] for f in measured], weights=weights)) if sum(weights) else None
        )
    placed = [f for f in fields if f["position_rms_mm"] is not None and f["spots_delivered"]]
    total["position_rms_mm"] = (
        math.sqrt(
            np.average(
                [f["position_rms_mm"] ** 2 for f in placed], weights=[f["spots_delivered"] for f in placed]
            )
        )
        if placed
        else None
    )
    return total
