"""Records of imagined deliveries, for the tests of the treatment record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spotline.control import interlocks
from spotline.plan import Field, Plan
from spotline.record.model import (
    INTERLOCK,
    SLICE,
    SLOW_CONTROL,
    SPILL,
    SPOT,
    TREND,
    VISIT,
    FieldRecord,
    Table,
)

Spot = tuple[int, int]  # layer and spot in the plan
PARTICLES_PER_MU = 5e8
SPOT_us = 700

TRIP = (interlocks.POSITION_X, 3_141_592, 2, 0, 1, 2.625, 2.0, interlocks.PAUSE)
STOP = (interlocks.TEMPERATURE_1, 5_000_000, 3, 1, 0, 41.5, 40.0, interlocks.STOP)

REORDERED = [(0, 2), (0, 1), (0, 3), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
TWO_MORE = [[(1, 0)], [(2, 0), (2, 1), (2, 2)]]  # slices of the other layers
INTERRUPTED = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0)]


def field_record(
    plan: Plan,
    number: int = 1,
    spots: Iterable[Spot] | None = None,
    *,
    slices: Sequence[Sequence[int]] | None = None,
    visits: Sequence[Sequence[Spot]] | None = None,
    n_delivered: int | None = None,
    interlocks: Iterable[tuple[float, ...]] = (),
    unmeasured: Iterable[Spot] = (),
    error: float = 1e-3,
    **header: object,
) -> FieldRecord:
    """Record of a field of which some spots were delivered.

    Spots are (layer, spot) in order of delivery; all of them in the order of the plan if none are given.
    ``slices`` says which layers each slice was made of.  Of a repainted field, ``visits`` says instead
    which spots each slice visits, and ``n_delivered`` how many visits were made; all visits to a spot
    have equal shares.  Each spot gets more particles than planned by a part of ``error`` that differs
    from spot to spot, and misses its position by some tenths of a millimetre.
    """
    field = plan.field_by_number(number)
    if visits is None:
        made_of = slices if slices is not None else [[layer.index] for layer in field.layers]
        planned = [(layer.index, spot) for layer in field.layers for spot in range(layer.n_spots)]
        delivered = list(planned if spots is None else spots)
        in_order = [*delivered, *(spot for spot in planned if spot not in set(delivered))]
        visits = [[spot for spot in in_order if spot[0] in layers] for layers in made_of]
        made = np.array([spot in set(delivered) for of_slice in visits for spot in of_slice])
    else:
        made = np.arange(sum(map(len, visits))) < (np.inf if n_delivered is None else n_delivered)
    per_unit = PARTICLES_PER_MU if field.unit == "MU" else 1.0
    prescribed = _prescribed(field, visits, per_unit)
    rows = np.zeros(int(made.sum()), SPOT)
    for name in VISIT.names or ():
        rows[name] = prescribed[name][made]
    position = np.arange(len(rows))
    rows["spill"] = rows["slice"] + 1
    rows["start_us"] = 2_000_000 * rows["slice"] + 1_000_000 + SPOT_us * position
    rows["end_us"] = rows["start_us"] + SPOT_us - 1
    rows["complete"] = True
    rows["particles"] = rows["particles_planned"] * (1.0 + error * ((7 * position) % 11) / 10.0)
    rows["particles_int2"] = 1.002 * rows["particles"]
    rows["x_mm"] = rows["x_planned_mm"] + 0.25
    rows["y_mm"] = rows["y_planned_mm"] - 0.125
    for row in rows:
        if (row["planned_layer"], row["planned_spot"]) in set(unmeasured):
            row["x_mm"] = np.nan
    # The file is not in order of delivery: slice and spot say what is.
    rows = rows[::-1].copy()
    table = np.zeros(len(visits), SLICE)
    for index, (row, of_slice) in enumerate(zip(table, visits, strict=True)):
        row["slice"] = index
        row["energy_MeV_u"] = field.layers[of_slice[0][0]].energy_MeV_u
        row["spots_planned"] = len(of_slice)
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
            "status": "complete" if made.all() else "interlock",
            "started": "2027-03-04T23:59:59.500000+01:00",
            "focus": ["small"] * len(visits),
            "passive_elements": [element.id for element in field.passive],
            "gantry_angle_deg": field.gantry_angle_deg,
            "patient_support_angle_deg": field.patient_support_angle_deg,
            "unit": field.unit,
            "meterset_per_particle": [1.0 / per_unit] * len(visits),
            **header,
        },
        spots=rows,
        visits=prescribed,
        slices=table,
        spills=np.zeros(0, SPILL),
        trend=np.zeros(0, TREND),
        interlocks=np.array(list(interlocks), INTERLOCK),
        slow_control=np.zeros(0, SLOW_CONTROL),
        truth=None,
    )


def _prescribed(field: Field, visits: Sequence[Sequence[Spot]], per_unit: float) -> Table:
    """What the slices of a field were to deliver."""
    times = Counter(spot for of_slice in visits for spot in of_slice)
    before: Counter[Spot] = Counter()
    rows = []
    for slice_, of_slice in enumerate(visits):
        for position, (layer_index, spot) in enumerate(of_slice):
            layer, key = field.layers[layer_index], (layer_index, spot)
            share = layer.meterset[spot] * per_unit / times[key]
            place = (layer.x_iso_mm[spot], layer.y_iso_mm[spot])
            rows.append((slice_, position, layer_index, spot, before[key], share, *place))
            before[key] += 1
    return np.array(rows, VISIT)
