"""What was delivered, as arrays.

A delivery leaves one folder per field with one spill file per spill.  `spotline.record.open_record`
reads them into the classes below.  Tables are NumPy structured arrays, one row per spot (or spill,
or sample): ``pandas.DataFrame(field.spots)`` makes a data frame of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.void]
"""A structured array."""

SPOT = np.dtype(
    [
        ("slice", "i4"),  # index of the slice in the field
        ("spot", "i4"),  # index of the spot in the slice, in delivery order
        ("planned_layer", "i4"),  # index of the layer in the plan's field
        ("planned_spot", "i4"),  # index of the spot in that layer of the plan
        ("spill", "i4"),  # number of the spill that delivered it (the last part), from 1
        ("start_us", "i8"),  # on the clock of the field: first and last tick of (the last part of) it
        ("end_us", "i8"),
        ("complete", "?"),  # whether the prescribed counts were reached
        ("position_valid", "?"),  # centre of gravity (True) or only the strip with most counts
        ("particles_planned", "f8"),
        ("particles", "f8"),  # measured with INT1
        ("particles_int2", "f8"),  # measured with INT2
        ("x_planned_mm", "f8"),  # at the isocentre
        ("y_planned_mm", "f8"),
        ("x_mm", "f8"),  # measured with the strips, projected to the isocentre; NaN if never measured
        ("y_mm", "f8"),
        ("x_pixel_mm", "f8"),  # measured with the pixel chamber, projected; NaN if too few counts
        ("y_pixel_mm", "f8"),
        ("x_current_A", "f8"),  # read back at the end of the spot
        ("y_current_A", "f8"),
        ("transit_us", "f8"),  # from the trigger until the read-back settled; NaN after a spill start
    ]
)
"""Columns of `FieldRecord.spots`: every spot of which anything was delivered."""

SLICE = np.dtype(
    [
        ("slice", "i4"),
        ("cycle_code", "i8"),
        ("energy_MeV_u", "f8"),
        ("intensity_level", "f8"),
        ("spots_planned", "i4"),
        ("spots_delivered", "i4"),  # complete ones
        ("particles_planned", "f8"),
        ("particles", "f8"),
        ("fwhm_x_mm", "f8"),  # as the planning system assumed
        ("fwhm_y_mm", "f8"),
        ("spills", "i4"),
    ]
)
"""Columns of `FieldRecord.slices`: every slice of the treatment, delivered or not."""

SPILL = np.dtype(
    [
        ("spill", "i4"),  # from 1
        ("slice", "i4"),
        ("cycle_code", "i8"),
        ("start_us", "i8"),  # start of extraction, on the clock of the field
        ("beam_on_us", "i8"),  # time with the beam granted to the room
        ("end_us", "i8"),
        ("int1_counts", "i8"),
        ("int2_counts", "i8"),
        ("spots_completed", "i4"),
        ("request", "i4"),  # 0 none (end or interlock), 1 Repeat_cycle, 2 Next_cycle
    ]
)
"""Columns of `FieldRecord.spills`."""

TREND = np.dtype(
    [
        ("time_us", "i8"),  # on the clock of the field, end of the millisecond
        ("int1_counts", "f4"),  # in the millisecond
        ("int2_counts", "f4"),
        ("x_set_A", "f4"),  # last value of the millisecond
        ("y_set_A", "f4"),
        ("x_read_A", "f4"),
        ("y_read_A", "f4"),
        ("x_mm", "f4"),  # strips, projected to the isocentre; NaN if no valid centre of gravity
        ("y_mm", "f4"),
        ("slice", "i4"),
        ("spot", "i4"),
    ]
)
"""Columns of `FieldRecord.trend`: one row per millisecond of every spill."""

INTERLOCK = np.dtype(
    [
        ("cause", "i4"),  # code of `spotline.control.interlocks.CAUSES`
        ("time_us", "i8"),  # sample in which it tripped, on the clock of the field
        ("spill", "i4"),
        ("slice", "i4"),
        ("spot", "i4"),
        ("value", "f8"),  # in the unit of the cause
        ("limit", "f8"),
        ("action", "i4"),  # 1 pause of the spill, 2 stop of the treatment
    ]
)
"""Columns of `FieldRecord.interlocks`."""

SLOW_CONTROL = np.dtype(
    [
        ("time_us", "i8"),
        ("temperature_C", "f8"),
        ("pressure_Pa", "f8"),
        ("high_voltage1_V", "f8"),
        ("high_voltage2_V", "f8"),
    ]
)
"""Columns of `FieldRecord.slow_control`: one row per reading."""

TRUTH = np.dtype(
    [
        ("slice", "i4"),
        ("spot", "i4"),
        ("particles", "f8"),  # ions that reached the isocentre while the spot was current
        ("x_mm", "f8"),  # their mean position at the isocentre
        ("y_mm", "f8"),
        ("x_sd_mm", "f8"),  # standard deviation of the beam centre while they arrived
        ("y_sd_mm", "f8"),
    ]
)
"""Columns of `FieldRecord.truth`: known to the simulation only."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldRecord:
    """Everything measured while one field was delivered.

    Attributes
    ----------
    path : Path
        Folder of the field.
    number, name : int, str
        As in the plan.
    header : dict
        Facts that hold for the whole field: ``ion``, ``charge_number``, ``mass_number``,
        ``beamline``, ``beamline_sha256``, ``plan_sha256``, ``plan_label``, ``seed``, ``versions``,
        ``status`` (``"complete"`` or ``"interlock"``), ``started`` (ISO 8601), ``focus``,
        ``passive_elements`` (list of str), ``gas_factor``, ``gantry_angle_deg``,
        ``patient_support_angle_deg``, ``unit``, ``spots_planned``, ``particles_planned``,
        ``meterset_per_particle`` (list, one per slice).
    spots, slices, spills, trend, interlocks, slow_control : Table
        Columns `SPOT`, `SLICE`, `SPILL`, `TREND`, `INTERLOCK`, `SLOW_CONTROL`.
    truth : Table or None
        Columns `TRUTH`; None unless a simulation made the record.
    """

    path: Path
    number: int
    name: str
    header: dict[str, Any]
    spots: Table
    slices: Table
    spills: Table
    trend: Table
    interlocks: Table
    slow_control: Table
    truth: Table | None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A delivery: the folder, the summary (`summary.json`) and its fields."""

    path: Path
    summary: dict[str, Any]
    fields: tuple[FieldRecord, ...]
