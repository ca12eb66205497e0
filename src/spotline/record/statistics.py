"""Numbers that sum up a delivered field."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import UNSET

from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP
from spotline.measurement import Result
from spotline.record.model import FieldRecord, Table
from spotline.record.prescribed import prescribed_spots
from spotline.record.summary_file import Assumed, AssumedSpot, InterlockFigures, Statistics

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


def field_statistics(record: FieldRecord) -> Statistics:
    """Statistics of a field for ``summary.json``."""
    prescribed = prescribed_deviations(record)
    return Statistics(
        status=record.outcome.status,
        spots_planned=int(record.slices["spots_planned"].sum()),
        spots_delivered=int(np.count_nonzero(record.spots["complete"])),
        particles_planned=float(record.slices["particles_planned"].sum()),
        particles_delivered=float(record.spots["particles"].sum()),
        fraction_spots_within_1_percent=_fraction_good(particle_deviations(record)),
        prescribed_spots_delivered=len(prescribed),
        fraction_prescribed_spots_within_1_percent=_fraction_good(prescribed),
        position_rms_mm=position_rms_mm(record),
        spills=len(record.spills),
        beam_on_s=float(record.spills["beam_on_us"].sum()) * 1e-6,
        treatment_s=float(record.spills["end_us"].max()) * 1e-6 if len(record.spills) else 0.0,
        assumed=_assumed(record),
        interlocks=tuple(map(describe_interlock, record.interlocks, record.details)),
    )


def statistics_results(statistics: Statistics, name: str = "") -> tuple[Result, ...]:
    """Give the figures of `field_statistics` or `total_statistics` as results.

    Parameters
    ----------
    statistics : Statistics
    name : str
        Begins the names, if there is more than one field.
    """
    what = f"{name}: " if name else ""
    results = []
    for key, title, unit, factor in _RESULTS:
        value = getattr(statistics, key)
        results.append(Result(name=what + title, value=None if value is None else factor * value, unit=unit))
    return tuple(results)


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
"""Attribute of `Statistics`, name, unit and factor of its result."""

_ACTIONS = {PAUSE: "pause", STOP: "stop", INHIBIT: "inhibit"}


def _assumed(record: FieldRecord) -> Assumed:
    return Assumed(
        int1_counts=int(record.assumed["int1_counts"].sum()),
        particles=float(record.assumed["particles"].sum()),
        spots=tuple(
            AssumedSpot(
                spill=int(row["spill"]),
                slice=int(row["slice"]),
                spot=int(row["spot"]),
                int1_counts=int(row["int1_counts"]),
            )
            for row in record.assumed
        ),
    )


def describe_interlock(row: np.void, detail: str = "") -> InterlockFigures:
    """An interlock in words, with what its numbers do not say."""
    cause = CAUSES[int(row["cause"])]
    return InterlockFigures(
        cause=cause.name,
        time_s=float(row["time_us"]) * 1e-6,
        spill=int(row["spill"]),
        slice=int(row["slice"]),
        spot=int(row["spot"]),
        value=float(row["value"]) if math.isfinite(row["value"]) else None,
        limit=float(row["limit"]),
        unit=cause.unit,
        action=_ACTIONS[int(row["action"])],
        detail=detail or UNSET,
    )


def total_statistics(fields: Sequence[Statistics]) -> Statistics:
    """The same over several fields.

    Fractions and distances are weighted with the spots delivered; the status is that of the first field that
    is not complete.
    """
    delivered = [field.spots_delivered for field in fields]
    prescribed = [field.prescribed_spots_delivered for field in fields]
    squares = _mean([_square(field.position_rms_mm) for field in fields], delivered)
    return Statistics(
        status=next((field.status for field in fields if field.status != "complete"), "complete"),
        spots_planned=sum(field.spots_planned for field in fields),
        spots_delivered=sum(delivered),
        particles_planned=sum(field.particles_planned for field in fields),
        particles_delivered=sum(field.particles_delivered for field in fields),
        fraction_spots_within_1_percent=_mean([f.fraction_spots_within_1_percent for f in fields], delivered),
        prescribed_spots_delivered=sum(prescribed),
        fraction_prescribed_spots_within_1_percent=_mean(
            [f.fraction_prescribed_spots_within_1_percent for f in fields], prescribed
        ),
        position_rms_mm=None if squares is None else math.sqrt(squares),
        spills=sum(field.spills for field in fields),
        beam_on_s=sum(field.beam_on_s for field in fields),
        treatment_s=sum(field.treatment_s for field in fields),
        assumed=Assumed(
            int1_counts=sum(field.assumed.int1_counts for field in fields),
            particles=sum(field.assumed.particles for field in fields),
        ),
        interlocks=tuple(interlock for field in fields for interlock in field.interlocks),
    )


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """Weighted mean of the values that there are; None without any of weight."""
    known = [(value, n) for value, n in zip(values, weights, strict=True) if value is not None and n]
    if not known:
        return None
    return float(np.average([value for value, _ in known], weights=[n for _, n in known]))


def _square(value: float | None) -> float | None:
    return None if value is None else value**2
