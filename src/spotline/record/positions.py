"""Which monitor a measured position comes from, and what monitors without a role in the law measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spotline.record.model import READING, Table
from spotline.record.spill_file import Spill
from spotline.treatment.headers import IsocentrePerChamber, RecordedMonitor


class Measured(NamedTuple):
    """A column of `spotline.record.model.SPOT` and what it is made of.

    Attributes
    ----------
    name : str
        Column of the spots.
    source, counts : str
        Columns of `spotline.control.memory.PART`.
    iso_per_mm : float
        Position at the isocentre per position at the monitor; NaN without the monitor.
    """

    name: str
    source: str
    counts: str
    iso_per_mm: float

    @property
    def chamber(self) -> str:
        """Plane and chamber that it comes from: ``x_strip``, ``y_strip``, ``x_pixel`` or ``y_pixel``."""
        return self.source.removesuffix("_mm")


def measured_columns(scale: IsocentrePerChamber) -> tuple[Measured, Measured, Measured, Measured]:
    """Positions of a spot: x and y, from the pixels where there are no strips; those of the pixels."""

    def plane(name: str, strips: float | None, pixels: float | None) -> Measured:
        if strips is None:
            return Measured(f"{name}_mm", f"{name}_pixel_mm", "pixel_counts", or_nan(pixels))
        return Measured(f"{name}_mm", f"{name}_strip_mm", f"strip_{name}_counts", strips)

    return (
        plane("x", scale.strip_x, scale.pixel_x),
        plane("y", scale.strip_y, scale.pixel_y),
        Measured("x_pixel_mm", "x_pixel_mm", "pixel_counts", or_nan(scale.pixel_x)),
        Measured("y_pixel_mm", "y_pixel_mm", "pixel_counts", or_nan(scale.pixel_y)),
    )


def are_centred(parts: Table, columns: Sequence[Measured]) -> np.ndarray:
    """Whether a position of a part of a spot, if there is one, is a centre of gravity.

    Parameters
    ----------
    parts : Table
        Columns `spotline.control.memory.PART`, shape (n,).
    columns : sequence of Measured
        The two planes first, as of `measured_columns`.

    Returns
    -------
    ndarray of bool, shape (n,)
        The flag of the parts tells of strips: pixels have a centre of gravity or no position at all.
    """
    if any("strip" in one.source for one in columns):
        return np.asarray(parts["position_valid"] == 1)
    return np.ones(len(parts), dtype=bool)


def have_width(parts: Table, columns: Sequence[Measured]) -> np.ndarray:
    """Whether parts of spots have a width in both planes, with enough counts; as `are_centred`."""
    x, y, *_ = columns
    known = [
        parts[f"{one.chamber}_sd_mm"] > 0.0 if "strip" in one.source else parts["pixel_width_valid"] == 1
        for one in (x, y)
    ]
    return np.asarray(known[0] & known[1])


def or_nan(factor: float | None) -> float:
    """A factor from a monitor to the isocentre; NaN without the monitor."""
    return np.nan if factor is None else factor


def merge_readings(monitors: Sequence[RecordedMonitor], spills: Sequence[Spill]) -> Table:
    """Join what several spills measured of a spot, as for the strips of the law.

    Positions are averaged with the counts behind them; centres of gravity outrank strips with most counts.

    Returns
    -------
    Table
        Columns `READING`, in order of slice, spot and monitor.
    """
    with_readings = [spill for spill in spills if len(spill.readings)]
    if not with_readings:
        return np.zeros(0, READING)
    rows = np.concatenate([spill.readings for spill in with_readings])
    spots = [spill.spots[spill.parts["spot"][spill.readings["part"]]] for spill in with_readings]
    slices = [np.full(len(spill.readings), spill.header.slice) for spill in with_readings]
    keys = np.column_stack([np.concatenate(slices), np.concatenate(spots), rows["monitor"]])
    unique, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    valid = np.zeros(len(unique), bool)
    np.logical_or.at(valid, group, rows["valid"] == 1)
    weight = np.where((rows["valid"] == 1) | ~valid[group], rows["counts"], 0)
    counts = np.bincount(group, weight, len(unique))
    iso_per_mm = np.array([or_nan(monitor.iso_per_mm) for monitor in monitors])
    readings = np.zeros(len(unique), READING)
    readings["slice"], readings["spot"], readings["monitor"] = unique.T
    readings["position_mm"] = np.bincount(group, weight * rows["position_mm"], len(unique)) / counts
    readings["position_mm"] *= iso_per_mm[readings["monitor"]]
    readings["counts"], readings["valid"] = counts, valid
    return readings
