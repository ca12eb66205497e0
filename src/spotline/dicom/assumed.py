"""What a treatment record says of particles that may have been delivered, but that nobody confirmed.

A delivery that died leaves counts that its journal does not have.  They count as delivered when it goes
on, and are in none of the attributes of the record that say what was measured: who adds these up and delivers
the rest would give them twice.  So the record says how much it is, in words and in a private block of the
beam, and its termination is not normal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from spotline.arrays import Floats, Integers
from spotline.dicom.raw_values import numbers_of
from spotline.dicom.treatment_record_layers import INDEX_BASE, PRIVATE_CREATOR, PRIVATE_GROUP
from spotline.errors import RecordError
from spotline.plan.model import Field
from spotline.record.model import FieldRecord

CONTROL_POINTS, SPOTS, METERSETS = 0x02, 0x03, 0x04
"""Private elements of the beam, by spot: control point of the plan, index in its map from 1, meterset."""

_ELEMENTS = {CONTROL_POINTS: "UL", SPOTS: "UL", METERSETS: "FD"}


class AssumedSpots(NamedTuple):
    """Spots that may have received more than was measured; arrays of shape (n_spots,).

    Attributes
    ----------
    control_point : ndarray of int
        Index of the control point of the plan that prescribes the spot.
    spot : ndarray of int
        Position in its Scan Spot Position Map, from 0.
    meterset : ndarray of float
        What it may have received beyond, in the unit of the field.
    """

    control_point: Integers
    spot: Integers
    meterset: Floats


NOTHING = AssumedSpots(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def assumed_spots(record: FieldRecord, field: Field) -> AssumedSpots:
    """Collect what a record assumes, spot by spot of the plan."""
    rows = record.assumed
    if not len(rows):
        return NOTHING
    place = {
        (int(visit["slice"]), int(visit["spot"])): (int(visit["planned_layer"]), int(visit["planned_spot"]))
        for visit in record.visits
    }
    layers = {layer.index: layer for layer in field.layers}
    per_particle = record.facts.meterset_per_particle
    sums: dict[tuple[int, int], float] = {}
    for row in rows:
        layer, spot = place[int(row["slice"]), int(row["spot"])]
        index = layers[layer].spot_index
        key = layers[layer].control_point, spot if index is None else int(index[spot])
        sums[key] = sums.get(key, 0.0) + float(row["particles"]) * per_particle[int(row["slice"])]
    points, spots = zip(*sums, strict=True)
    return AssumedSpots(np.array(points), np.array(spots), np.array(list(sums.values())))


def put_assumed(beam: Dataset, assumed: AssumedSpots) -> None:
    """Write the private block of a beam."""
    block = beam.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    values = {
        CONTROL_POINTS: assumed.control_point,
        SPOTS: assumed.spot + INDEX_BASE,
        METERSETS: assumed.meterset,
    }
    for element, vr in _ELEMENTS.items():
        block.add_new(element, vr, values[element].tolist())


def describe_assumed(assumed: AssumedSpots, unit: str) -> str:
    """Say in one sentence how much it is."""
    spots, what = len(assumed.meterset), "MU" if unit == "MU" else "particles"
    return (
        f"Up to {assumed.meterset.sum():.6g} {what} more may have been delivered to {spots} "
        f"spot{'s' if spots > 1 else ''} before the delivery was interrupted: they count as delivered."
    )


def read_assumed(beam: Dataset, where: str) -> AssumedSpots:
    """Read what `put_assumed` wrote; nothing if there is no such block.

    Raises
    ------
    RecordError
        If it is damaged.
    """
    try:
        block = beam.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
    except KeyError:
        return NOTHING
    there = [element for element in _ELEMENTS if element in block]
    if not there:
        return NOTHING
    try:
        found = {
            element: numbers_of(block, element, vr).astype(np.float64) for element, vr in _ELEMENTS.items()
        }
    except (KeyError, ValueError, TypeError):
        found = {}
    sizes = {len(values) for values in found.values()}
    if len(found) != len(_ELEMENTS) or len(sizes) != 1 or not np.isfinite(found[METERSETS]).all():
        raise RecordError(
            f"{where}: what may have been delivered without being confirmed (private elements of "
            f"{PRIVATE_CREATOR}) is damaged; export the record again"
        )
    spot = found[SPOTS].astype(np.int64) - INDEX_BASE
    if (spot < 0).any() or (found[METERSETS] < 0.0).any():
        raise RecordError(
            f"{where}: what may have been delivered without being confirmed (private elements of "
            f"{PRIVATE_CREATOR}) has spots or metersets below the first; export the record again"
        )
    return AssumedSpots(found[CONTROL_POINTS].astype(np.int64), spot, found[METERSETS])
