"""What a report shows beyond the columns of a record: deviations, intensities, choices of spills.

Every function takes tables of `spotline.record.model` and copes with empty ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotline.arrays import Floats, Integers
from spotline.control.interlocks import CAUSES, PAUSE
from spotline.record.model import FieldRecord, Table

PARTICLE_TOLERANCE_percent = 1.0
"""Giordanengo 2015, V: more than 95 % of the spots differ by less than 1 % from the prescription."""

POSITION_TOLERANCE_mm = 2.0
"""Giordanengo 2015, III.B.2.1: the deviation of the position that pauses the irradiation."""

RATIO_TOLERANCE_percent = 10.0
"""Giordanengo 2015, Table 4: the difference of the integral chambers that stops the treatment."""

WINDOW_us = 100_000
"""Stretch of a spill that is looked at closely."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie around zero.

    Attributes
    ----------
    n : int
        Finite values.
    mean, sd, rms : float
        Of these values, in their unit; NaN without any.
    tolerance : float
        In the same unit.
    within : float
        Fraction of the values whose amount is within the tolerance; NaN without any.
    """

    n: int
    mean: float
    sd: float
    rms: float
    tolerance: float
    within: float


def spread(values: ArrayLike, tolerance: float) -> Spread:
    """Return mean, standard deviation, rms and the fraction within a tolerance of the finite values."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Spread(0, np.nan, np.nan, np.nan, tolerance, np.nan)
    return Spread(
        n=len(finite),
        mean=float(finite.mean()),
        sd=float(finite.std()),
        rms=float(np.sqrt(np.mean(finite**2))),
        tolerance=tolerance,
        within=float(np.mean(np.abs(finite) <= tolerance)),
    )


def quotient(above: ArrayLike, below: ArrayLike) -> Floats:
    """Return above / below, NaN where the divisor is not positive."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    result = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def particle_deviation_percent(spots: Table) -> Floats:
    """Return measured against planned particles of each spot, in percent, shape (n_spots,)."""
    return 100.0 * (quotient(spots["particles"], spots["particles_planned"]) - 1.0)


def position_deviation_mm(spots: Table) -> tuple[Floats, Floats]:
    """Return measured minus planned x and y of each spot; NaN without a centre of gravity."""
    valid = spots["position_valid"]
    dx_mm = np.where(valid, spots["x_mm"] - spots["x_planned_mm"], np.nan)
    dy_mm = np.where(valid, spots["y_mm"] - spots["y_planned_mm"], np.nan)
    return dx_mm, dy_mm


def whole_in_one_spill(spots: Table) -> NDArray[np.bool_]:
    """Return which complete spots began and ended in the same spill, so that their times are known.

    The first spot of a spill may be the rest of one that the spill before began; it is left out.
    """
    order = np.lexsort((spots["start_us"], spots["spill"]))
    first = np.zeros(len(spots), dtype=bool)
    first[order] = np.diff(spots["spill"][order], prepend=-1) != 0
    return np.asarray(spots["complete"] & ~first)


def truth_of_spots(field: FieldRecord) -> Table | None:
    """Return the rows of the truth that belong to the rows of the spots; None if there is no truth.

    Spots without a row in the truth get NaN.
    """
    if field.truth is None:
        return None
    rows = np.zeros(len(field.spots), dtype=field.truth.dtype)
    for name in ("particles", "x_mm", "y_mm", "x_sd_mm", "y_sd_mm"):
        rows[name] = np.nan
    index = {(int(s), int(k)): i for i, (s, k) in enumerate(zip(*_keys(field.truth), strict=True))}
    for i, key in enumerate(zip(*_keys(field.spots), strict=True)):
        found = index.get((int(key[0]), int(key[1])))
        if found is not None:
            rows[i] = field.truth[found]
    return rows


def _keys(table: Table) -> tuple[Integers, Integers]:
    return table["slice"], table["spot"]


def particles_per_count(field: FieldRecord) -> dict[int, float]:
    """Return the mean particles per count of INT1 in each slice.

    They stand in the header; without them, they follow from the counts of the spills and the particles
    of the spots of a slice, or of the whole field where a slice has none.
    """
    numbers = field.slices["slice"]
    known = field.facts.particles_per_count
    if known and len(known) == len(numbers):
        return {int(n): value for n, value in zip(numbers, known, strict=True)}
    counts = np.array([field.spills["int1_counts"][field.spills["slice"] == n].sum() for n in numbers])
    particles = field.slices["particles"]
    whole = float(quotient(particles.sum(), counts.sum()))
    each = quotient(particles, counts)
    each = np.where(np.isfinite(each) & (each > 0), each, whole)
    return {int(n): float(value) for n, value in zip(numbers, each, strict=True)}


def trend_intensity_per_s(field: FieldRecord) -> Floats:
    """Return the particles per second of each row of the trend (one millisecond), from INT1."""
    factors = particles_per_count(field)
    each = np.array([factors.get(int(n), np.nan) for n in field.trend["slice"]])
    return np.asarray(1000.0 * each * field.trend["int1_counts"])


def spill_of_trend(field: FieldRecord) -> Integers:
    """Return the index of the spill that each row of the trend belongs to; -1 if there are no spills."""
    if not len(field.spills):
        return np.full(len(field.trend), -1)
    # The magnets move before the extraction begins, so the trend of a spill begins before its start.
    between_us = (field.spills["end_us"][:-1] + field.spills["start_us"][1:]) / 2.0
    return np.asarray(np.searchsorted(between_us, field.trend["time_us"], side="left"))


def trend_of_spill(field: FieldRecord, index: int) -> NDArray[np.bool_]:
    """Return which rows of the trend belong to a spill (by index) while it is extracted."""
    mine = spill_of_trend(field) == index
    extracted = mine & (field.trend["time_us"] > field.spills["start_us"][index])
    return np.asarray(extracted if extracted.any() else mine)


def spill_to_show(field: FieldRecord) -> int | None:
    """Return the index of the spill worth looking at; None if no spill left a trend.

    That is the last one in which an interlock tripped, otherwise the one with most counts.
    """
    seen = np.unique(spill_of_trend(field))
    seen = seen[seen >= 0]
    if not len(seen):
        return None
    tripped = np.flatnonzero(np.isin(field.spills["spill"], field.interlocks["spill"]))
    tripped = tripped[np.isin(tripped, seen)]
    if len(tripped):
        return int(tripped[-1])
    return int(seen[np.argmax(field.spills["int1_counts"][seen])])


def duty_factor(intensity_per_s: Floats) -> float:
    """Return the duty factor <I>^2 / <I^2> of an intensity; 1 for a perfectly smooth beam."""
    finite = intensity_per_s[np.isfinite(intensity_per_s)]
    square = float(np.mean(finite**2)) if len(finite) else 0.0
    return float(np.mean(finite)) ** 2 / square if square > 0 else np.nan


def window_us(intensity_per_s: Floats, time_us: Integers, length_us: int) -> tuple[int, int]:
    """Return begin and end of a stretch in the middle of the time with beam, at most so long."""
    beam = np.flatnonzero(intensity_per_s > 0)
    first, last = (beam[0], beam[-1]) if len(beam) else (0, len(time_us) - 1)
    begin, end = int(time_us[first]) - 1000, int(time_us[last])
    if end - begin <= length_us:
        return begin, end
    middle = (begin + end) // 2 // 1000 * 1000
    return middle - length_us // 2, middle + length_us // 2


def evenly_chosen(items: Integers, most: int) -> Integers:
    """Return at most so many of the items, evenly chosen, with the first and the last."""
    if len(items) <= most:
        return items
    chosen = np.unique(np.linspace(0, len(items) - 1, most).round().astype(np.int64))
    return np.asarray(items[chosen])


def cause_in_words(code: int) -> str:
    """Return the name of the cause of an interlock."""
    cause = CAUSES.get(code)
    return cause.name if cause is not None else f"unknown cause {code}"


def stop_of(field: FieldRecord) -> Table | None:
    """Return the row of the interlock that stopped the treatment; None if none did."""
    stops = field.interlocks[field.interlocks["action"] != PAUSE]
    return stops[0] if len(stops) else None
