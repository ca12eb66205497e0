"""Records of imagined deliveries, for the tests of the treatment record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spotline.control import interlocks
from spotline.plan import Plan
from spotline.record.model import INTERLOCK, SLICE, SLOW_CONTROL, SPILL, SPOT, TREND, FieldRecord

Spot = tuple[int, int]  # layer and spot in the plan
PARTICLES_PER_MU = 5e8
SPOT_US = 700

TRIP = (interlocks.POSITION_X, 3_141_592, 2, 0, 1, 2.625, 2.0, interlocks.PAUSE)
STOP = (interlocks.TEMPERATURE, 5_000_000, 3, 1, 0, 41.5, 40.0, interlocks.STOP)


def field_record(
    plan: Plan,
    number: int = 1,
    spots: Iterable[Spot] | None = None,
    *,
    slices: Sequence[Sequence[int]] | None = None,
    interlocks: Iterable[tuple[float, ...]] = (),
    unmeasured: Iterable[Spot] = (),
    error: float = 1e-3,
    **header: object,
) -> FieldRecord:
    """Record of a field of which some spots were delivered.

    Spots are (layer, spot) in order of delivery; all of them in the order of the plan if none are given.
    ``slices`` says which layers each slice was made of.  Each spot gets more particles than planned by a
    part of ``error`` that differs from spot to spot, and misses its position by some tenths of a
    millimetre.
    """
    field = plan.field_by_number(number)
    per_unit = PARTICLES_PER_MU if field.unit == "MU" else 1.0
    made_of = slices if slices is not None else [[layer.index] for layer in field.layers]
    everything = [(layer.index, spot) for layer in field.layers for spot in range(layer.n_spots)]
    delivered = list(everything if spots is None else spots)
    rows = np.zeros(len(delivered), SPOT)
    counts = [0] * len(made_of)
    for position, (row, (layer_index, spot)) in enumerate(zip(rows, delivered, strict=True)):
        layer = field.layers[layer_index]
        slice_ = next(i for i, layers in enumerate(made_of) if layer_index in layers)
        row["slice"], row["spot"] = slice_, counts[slice_]
        counts[slice_] += 1
        row["planned_layer"], row["planned_spot"] = layer_index, spot
        row["spill"] = slice_ + 1
        row["start_us"] = 2_000_000 * slice_ + 1_000_000 + SPOT_US * position
        row["end_us"] = row["start_us"] + SPOT_US - 1
        row["complete"] = True
        row["particles_planned"] = layer.meterset[spot] * per_unit
        row["particles"] = row["particles_planned"] * (1.0 + error * ((7 * position) % 11) / 10.0)
        row["particles_int2"] = 1.002 * row["particles"]
        row["x_planned_mm"], row["y_planned_mm"] = layer.x_iso_mm[spot], layer.y_iso_mm[spot]
        row["x_mm"] = row["x_planned_mm"] + 0.25
        row["y_mm"] = row["y_planned_mm"] - 0.125
    for row in rows:
        if (row["planned_layer"], row["planned_spot"]) in set(unmeasured):
            row["x_mm"] = np.nan
    # The file is not in order of delivery: slice and spot say what is.
    rows = rows[::-1].copy()
    table = np.zeros(len(made_of), SLICE)
    for index, (row, layers) in enumerate(zip(table, made_of, strict=True)):
        row["slice"] = index
        row["energy_MeV_u"] = field.layers[layers[0]].energy_MeV_u
        row["spots_planned"] = sum(field.layers[layer].n_spots for layer in layers)
        row["fwhm_x_mm"], row["fwhm_y_mm"] = 6.0 + index, 6.5 + index
    return FieldRecord(
        path=Path("delivery") / f"field-{number:02d}",
        number=number,
        name=field.name,
        header={
            "beamline": "cnao-h",
            "beamline_sha256": "b1",
            "plan_sha256": plan.sha256,
            "seed": 7,
            "versions": {"spotline": "0.1.0", "numpy": "2.3.4"},
            "status": "complete" if len(delivered) == len(everything) else "interlock",
            "started": "2027-03-04T23:59:59.500000+01:00",
            "focus": "small",
            "passive_elements": [element.id for element in field.passive],
            "gantry_angle_deg": field.gantry_angle_deg,
            "patient_support_angle_deg": field.patient_support_angle_deg,
            "unit": field.unit,
            "meterset_per_particle": [1.0 / per_unit] * len(made_of),
            **header,
        },
        spots=rows,
        slices=table,
        spills=np.zeros(0, SPILL),
        trend=np.zeros(0, TREND),
        interlocks=np.array(list(interlocks), INTERLOCK),
        slow_control=np.zeros(0, SLOW_CONTROL),
        truth=None,
    )
