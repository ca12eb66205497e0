"""What was delivered, as arrays.

A delivery leaves one folder per field with one spill file per spill.  `spotline.record.open_record`
reads them into the classes below.  Tables are NumPy structured arrays, one row per spot (or spill,
or sample): ``pandas.DataFrame(field.spots)`` makes a data frame of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotline.hdf5 import as_written, typed
from spotline.record.headers import FieldFile
from spotline.record.summary_file import SummaryFile
from spotline.treatment.headers import DeliveryHeader
from spotline.treatment.treatment import Slice

Table = NDArray[np.void]
"""A structured array."""

Columns = tuple[tuple[str, str, str], ...]
"""Name, type code of NumPy, and meaning of each column of a table."""


def dtype_of(columns: Columns) -> np.dtype[np.void]:
    """Data type of a table with these columns."""
    return np.dtype([(name, code) for name, code, _ in columns])


WIDTH_COLUMNS: Columns = (
    (
        "sigma_x_mm",
        "f8",
        "standard deviation of the beam in air at the isocentre, from StripX, or PIX without; NaN if unknown",
    ),
    ("sigma_y_mm", "f8", "the same from StripY"),
    ("sigma_error_x_mm", "f8", "its uncertainty: counts, ions, and where in a strip the beam lies"),
    ("sigma_error_y_mm", "f8", "likewise"),
    ("width_valid", "?", "whether both were measured, with enough counts"),
)
"""Width of the beam at a spot; the full width at half maximum is 2.3548 times as much."""

SPOT_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice in the field, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0, in delivery order"),
    ("planned_layer", "i4", "index of the layer in the plan's field, from 0"),
    ("planned_spot", "i4", "index of the spot in that layer of the plan, from 0"),
    ("painting", "i4", "which painting of the layer it belongs to, from 0"),
    ("spill", "i4", "number of the spill that delivered it (its last part), from 1"),
    ("start_us", "i8", "trigger that made it the current spot (its last part), on the clock of the field"),
    ("end_us", "i8", "trigger that ended it, or end of the spill"),
    ("complete", "?", "whether the prescribed counts were reached"),
    (
        "position_valid",
        "?",
        "position is a centre of gravity; else it is the strip with most counts, or none",
    ),
    ("particles_planned", "f8", "prescribed particles"),
    ("particles", "f8", "particles measured with INT1"),
    ("particles_int2", "f8", "particles measured with INT2"),
    ("x_planned_mm", "f8", "prescribed position at the isocentre"),
    ("y_planned_mm", "f8", "likewise"),
    (
        "x_mm",
        "f8",
        "position at the isocentre measured with StripX, or PIX on a line without; NaN if never measured",
    ),
    ("y_mm", "f8", "the same with StripY"),
    (
        "x_pixel_mm",
        "f8",
        "position measured with the pixel chamber, projected; NaN with too few counts or without it",
    ),
    ("y_pixel_mm", "f8", "likewise"),
    ("x_current_A", "f8", "current read back at the end of the spot"),
    ("y_current_A", "f8", "likewise"),
    (
        "transit_us",
        "f8",
        "from the trigger until the read-backs had settled; NaN for a spot that began otherwise",
    ),
    *WIDTH_COLUMNS,
    ("sigma_x_pixel_mm", "f8", "the same as `sigma_x_mm` from the pixel chamber"),
    ("sigma_y_pixel_mm", "f8", "likewise"),
    ("sigma_error_x_pixel_mm", "f8", "its uncertainty"),
    ("sigma_error_y_pixel_mm", "f8", "likewise"),
    ("pixel_width_valid", "?", "whether the pixel chamber measured both, with enough counts"),
)
SPOT = dtype_of(SPOT_COLUMNS)
"""Columns of `FieldRecord.spots`: every spot of which anything was delivered."""

VISIT_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice in the field, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0, in delivery order"),
    ("planned_layer", "i4", "index of the layer in the plan's field, from 0"),
    ("planned_spot", "i4", "index of the spot in that layer of the plan, from 0"),
    ("painting", "i4", "which painting of the layer it belongs to, from 0"),
    ("particles_planned", "f8", "prescribed particles"),
    ("x_planned_mm", "f8", "prescribed position at the isocentre"),
    ("y_planned_mm", "f8", "likewise"),
)
VISIT = dtype_of(VISIT_COLUMNS)
"""Columns of `FieldRecord.visits`: every spot of the treatment, delivered or not."""

SLICE_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice in the field, from 0"),
    ("cycle_code", "i8", "what the accelerator was asked for"),
    ("energy_MeV_u", "f8", "kinetic energy per nucleon"),
    ("intensity_level", "f8", "fraction of the full intensity of the ion"),
    ("spots_planned", "i4", "spots of the slice"),
    ("spots_delivered", "i4", "complete ones"),
    ("particles_planned", "f8", "prescribed particles"),
    ("particles", "f8", "particles measured with INT1"),
    ("fwhm_x_mm", "f8", "spot size in air at the isocentre that the planning system assumed"),
    ("fwhm_y_mm", "f8", "likewise"),
    ("spills", "i4", "spills used"),
    ("fwhm_box_x_mm", "f8", "spot size at the chambers that the beam line expects; NaN before format 3"),
    ("fwhm_box_y_mm", "f8", "likewise"),
    (
        "sigma_x_mm",
        "f8",
        "measured standard deviation of the beam at the isocentre, mean of its spots",
    ),
    ("sigma_y_mm", "f8", "likewise"),
    ("sigma_error_x_mm", "f8", "its uncertainty"),
    ("sigma_error_y_mm", "f8", "likewise"),
)
SLICE = dtype_of(SLICE_COLUMNS)
"""Columns of `FieldRecord.slices`: every slice of the treatment, delivered or not."""

SPILL_COLUMNS: Columns = (
    ("spill", "i4", "number of the spill, from 1"),
    ("slice", "i4", "index of its slice, from 0"),
    ("cycle_code", "i8", "what the accelerator was asked for"),
    ("start_us", "i8", "start of extraction, on the clock of the field"),
    ("beam_on_us", "i8", "time with the chopper commanded open"),
    ("end_us", "i8", "last sample"),
    ("int1_counts", "i8", "counts of the whole spill"),
    ("int2_counts", "i8", "likewise"),
    ("spots_completed", "i4", "spots that reached their counts in it"),
    ("request", "i4", "0 nothing, 1 Repeat_cycle, 2 Next_cycle"),
)
SPILL = dtype_of(SPILL_COLUMNS)
"""Columns of `FieldRecord.spills`: every spill that was taken."""

TREND_COLUMNS: Columns = (
    ("time_us", "i8", "end of the millisecond, on the clock of the field"),
    ("int1_counts", "f4", "counts in the millisecond"),
    ("int2_counts", "f4", "likewise"),
    ("x_set_A", "f4", "set-point, last of the millisecond"),
    ("y_set_A", "f4", "likewise"),
    ("x_read_A", "f4", "current read back, last of the millisecond"),
    ("y_read_A", "f4", "likewise"),
    ("x_mm", "f4", "last centre of gravity, projected to the isocentre; NaN before the first of the spill"),
    ("y_mm", "f4", "likewise"),
    ("slice", "i4", "index of the slice, from 0"),
    ("spot", "i4", "index of the current spot in the slice, from 0"),
)
TREND = dtype_of(TREND_COLUMNS)
"""Columns of `FieldRecord.trend`: one row per millisecond of every spill."""

INTERLOCK_COLUMNS: Columns = (
    ("cause", "i4", "code of the cause (see the table of interlocks)"),
    ("time_us", "i8", "sample in which it tripped, on the clock of the field"),
    ("spill", "i4", "number of the spill, 0 before the first"),
    ("slice", "i4", "index of the slice, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0"),
    ("value", "f8", "what was measured, in the unit of the cause"),
    ("limit", "f8", "its limit"),
    ("action", "i4", "1 pause of the spill, 2 stop of the treatment, 3 the treatment may not begin"),
)
INTERLOCK = dtype_of(INTERLOCK_COLUMNS)
"""Columns of `FieldRecord.interlocks`."""

SLOW_CONTROL_COLUMNS: Columns = (
    ("time_us", "i8", "on the clock of the field"),
    ("temperature1_C", "f8", "of the gas in BOX1, the first box of the line"),
    (
        "temperature2_C",
        "f8",
        "of the gas in BOX2, the second box; NaN, as all of BOX2, if the line has one box",
    ),
    ("pressure1_Pa", "f8", "of the gas in BOX1"),
    ("pressure2_Pa", "f8", "of the gas in BOX2"),
    ("high_voltage1_V", "f8", "of BOX1"),
    ("high_voltage2_V", "f8", "of BOX2"),
    (
        "flux_correction1",
        "f8",
        "what the gas asks counts of BOX1 to be multiplied by; NaN if none can be told",
    ),
    ("flux_correction2", "f8", "the same of BOX2"),
)
SLOW_CONTROL = dtype_of(SLOW_CONTROL_COLUMNS)
"""Columns of `FieldRecord.slow_control`: one row per reading."""

TRUTH_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0"),
    ("particles", "f8", "ions that passed while the spot was the current one"),
    ("x_mm", "f8", "their mean position at the isocentre; NaN without any"),
    ("y_mm", "f8", "likewise"),
    ("x_sd_mm", "f8", "standard deviation of the centre of the beam while they passed"),
    ("y_sd_mm", "f8", "likewise"),
    ("sigma_x_mm", "f8", "standard deviation of the beam about its centre, in air; NaN before format 3"),
    ("sigma_y_mm", "f8", "likewise"),
)
TRUTH = dtype_of(TRUTH_COLUMNS)
"""Columns of `FieldRecord.truth`: known to the simulation only."""


ASSUMED_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice in the field, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0, in delivery order"),
    ("spill", "i4", "number of the spill that was cut short, from 1"),
    ("int1_counts", "i8", "counts that nobody confirmed and that count as delivered"),
    ("int2_counts", "i8", "likewise"),
    ("particles", "f8", "what the counts of INT1 would be"),
    ("complete", "?", "whether nothing more is delivered to the spot because of them"),
)
ASSUMED = dtype_of(ASSUMED_COLUMNS)
"""Columns of `FieldRecord.assumed`: empty unless the delivery died during a spill."""


READING_COLUMNS: Columns = (
    ("slice", "i4", "index of the slice in the field, from 0"),
    ("spot", "i4", "index of the spot in the slice, from 0, in delivery order"),
    ("monitor", "i4", "index in `monitors` of the header, from 0"),
    ("position_mm", "f8", "in the plane of the monitor, projected to the isocentre"),
    ("counts", "i8", "counts behind the position"),
    ("valid", "?", "position is a centre of gravity; else it is the strip with most counts"),
)
READING = dtype_of(READING_COLUMNS)
"""Columns of `FieldRecord.readings`: empty unless the line has monitors without a role in the law."""


_NO_FACTS: dict[str, Any] = {"plan_sha256": "", "beamline_sha256": "", "seed": None}
_NO_OUTCOME: dict[str, Any] = {"status": "", "spills": 0, "slow_control": (), "interlocks_without_beam": ()}
_NO_SUMMARY: dict[str, Any] = {
    **dict.fromkeys(("spots_planned", "spots_delivered", "particles_planned", "particles_delivered"), 0),
    **dict.fromkeys(("spills", "beam_on_s", "treatment_s"), 0),
    "status": "",
    "fields": (),
}
"""For headers that were made by hand and lack what those of a file have."""


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
        ``status`` (``"complete"``, ``"interlock"`` or ``"interrupted"``), ``started`` (ISO 8601),
        ``sessions`` (list, one per resumption: operator, reason, when, next spill),
        ``focus`` (list, one per slice),
        ``passive_elements`` (list of str), ``gas_factors`` (of each box), ``gantry_angle_deg``,
        ``patient_support_angle_deg``, ``isocentre_mm`` (in patient coordinates, or None), ``unit``,
        ``spots_planned``, ``particles_planned``,
        ``meterset_per_particle`` (list, one per slice), ``monitors`` (list of dict, one per monitor
        of the line, with the attributes of `spotline.treatment.headers.RecordedMonitor`).
    spots, slices, spills, trend, interlocks, slow_control : Table
        Columns `SPOT`, `SLICE`, `SPILL`, `TREND`, `INTERLOCK`, `SLOW_CONTROL`.  A spot here is one visit
        to a prescribed spot; `spotline.record.prescribed_spots` joins repainted ones.
    visits : Table
        Columns `VISIT`: what the treatment prescribes, delivered or not.
    truth : Table or None
        Columns `TRUTH`; None unless a simulation made the record, all of it: a spill that comes
        from the journal, because its delivery was killed, has none, and then there is none of the field.
    assumed : Table
        Columns `ASSUMED`: what may have been delivered but was not confirmed when the delivery died.  It is
        in none of the other tables.
    readings : Table
        Columns `READING`: what monitors without a role in the control law measured, in order of slice, spot
        and monitor.  A spill that was recovered from the journal has none.
    prescribed : tuple of Slice
        The slices of the treatment as they were loaded, with counts for the gas of the day.
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
    visits: Table
    truth: Table | None
    assumed: Table = field(default_factory=lambda: np.zeros(0, ASSUMED))
    prescribed: tuple[Slice, ...] = ()
    readings: Table = field(default_factory=lambda: np.zeros(0, READING))

    @property
    def facts(self) -> DeliveryHeader:
        """What was delivered, and from what: `header` with types; empty where it says nothing.

        Raises
        ------
        RecordError
            If the header holds something else than it should.
        """
        said = {**_NO_FACTS, "number": self.number, "name": self.name, **self.header}
        with as_written(self.path):
            return typed(DeliveryHeader, said)

    @property
    def outcome(self) -> FieldFile:
        """How the delivery went; likewise."""
        with as_written(self.path):
            return typed(FieldFile, {**_NO_OUTCOME, **self.header})

    @property
    def details(self) -> tuple[str, ...]:
        """What was the matter, in words, for each row of `interlocks`; empty where its numbers say it all."""
        # Those without beam come first.
        said = [row.detail or "" for row in self.outcome.interlocks_without_beam]
        return tuple([*said, *[""] * len(self.interlocks)][: len(self.interlocks)])


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A delivery: the folder, the summary (`summary.json`) and its fields."""

    path: Path
    summary: dict[str, Any]
    fields: tuple[FieldRecord, ...]

    @property
    def outcome(self) -> SummaryFile:
        """How the delivery went: `summary` with types; empty where it says nothing.

        Raises
        ------
        RecordError
            If the summary holds something else than it should.
        """
        with as_written(self.path):
            return typed(SummaryFile, {**_NO_SUMMARY, **self.summary})
