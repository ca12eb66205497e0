"""The status that a running delivery publishes: one small JSON file for displays (Fig. 8 of the paper)."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec

from spotline.control.interlocks import CAUSES
from spotline.delivery.events import (
    BOX,
    COUNTS_SO_FAR,
    ENERGY,
    FLUX_CORRECTIONS,
    FROM_0,
    LATCHED,
    PERMIT,
    READING,
    SLOW,
    SPILL,
    SPOT,
    SPOTS_COMPLETE,
    STATE,
    SUPERVISION,
    Column,
    DeliveryEvent,
    FieldBegun,
    Samples,
    StateChanged,
)
from spotline.delivery.progress import Progress
from spotline.hdf5 import keys_of
from spotline.record.folder import STATUS
from spotline.record.status_file import BoxReading, LatchedInterlock, Status

PERIOD_us = 1_000_000
"""While a spill runs the status is written so often, on the clock of the field."""

STATUS_COLUMNS = (
    replace(STATE, meaning="of the treatment"),
    replace(PERMIT, name="permit"),
    Column("field", "int", "", "position of the field in the treatment, from 1", limits=FROM_0),
    Column("fields", "int", "", "fields of the treatment", limits=FROM_0),
    Column(
        "slice", "int", "", "position of the slice in the field, from 1; 0 before the first", limits=FROM_0
    ),
    Column("slices", "int", "", "slices of the field", limits=FROM_0),
    replace(ENERGY, meaning=f"{ENERGY.meaning}; 0 before the first slice"),
    SPOT,
    SPOTS_COMPLETE,
    Column("spots_planned", "int", "", "spots of the field", limits=FROM_0),
    replace(SPILL, meaning=f"{SPILL.meaning}; 0 before the first", limits=FROM_0),
    COUNTS_SO_FAR[0],
    COUNTS_SO_FAR[1],
    Column("treatment_s", "float", "s", "clock of the field", limits=FROM_0),
    Column("slow_control_s", "float", "s", "clock of the field at the last reading", (), FROM_0, SLOW),
    *(
        Column(
            f"box{box}",
            "table",
            "",
            f"the last reading of the box of number {box}; null before the first, or without the box",
            source=SLOW,
            columns=(
                *BOX[1:],
                replace(
                    FLUX_CORRECTIONS,
                    name="flux_correction",
                    meaning="what counts are multiplied by",
                    shape=(),
                ),
            ),
        )
        for box in (1, 2)
    ),
    next(column for column in READING if column.name == "mounted"),
    replace(
        LATCHED,
        name="interlocks",
        columns=(
            Column("cause", "str", "", "name of the cause", source=SUPERVISION),
            *LATCHED.columns[1:3],
            Column("unit", "str", "", "unit of both"),
            Column("time_s", "float", "s", "when it tripped", limits=FROM_0),
        ),
    ),
)
"""What is in the status file, besides ``updated``, when it was written by the clock of the computer."""


def status_of(progress: Progress) -> Status:
    """What the status file says, apart from when it was written.

    Numbers that are not finite become None.
    """
    reading = progress.reading
    box1, box2 = _boxes(progress)
    return Status(
        state=progress.state,
        permit=progress.is_beam_permitted,
        field=progress.field,
        fields=progress.n_fields,
        slice=progress.slice,
        slices=progress.n_slices,
        energy_MeV_u=progress.energy_MeV_u,
        spot=progress.spot,
        spots_complete=progress.spots,
        spots_planned=progress.n_spots,
        spill=progress.spill,
        int1_counts=progress.int1_counts,
        int2_counts=progress.int2_counts,
        treatment_s=progress.treatment_s,
        slow_control_s=reading.time_us * 1e-6 if reading is not None else None,
        box1=box1,
        box2=box2,
        mounted=tuple(reading.mounted) if reading is not None else (),
        interlocks=tuple(
            LatchedInterlock(
                cause=CAUSES[row.cause].name,
                value=row.value,
                limit=row.limit,
                unit=CAUSES[row.cause].unit,
                time_s=row.time_us * 1e-6,
            )
            for row in progress.register.latched
        ),
    )


class StatusFile:
    """Writes the status of a delivery, each time as a whole: a sink that may miss something.

    Parameters
    ----------
    folder : Path
        Of the record.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS
        self._written_us = 0

    def take(self, event: DeliveryEvent, progress: Progress) -> None:
        """Write the status if the state has changed, or a second of a spill is over."""
        if isinstance(event, FieldBegun):
            self._written_us = event.time_us
        is_due = isinstance(event, Samples) and event.time_us - self._written_us >= PERIOD_us
        if is_due or isinstance(event, StateChanged):
            self._written_us = event.time_us
            self.write(progress)

    def write(self, progress: Progress) -> None:
        """Replace the file.

        It is for displays and nothing depends on it: it need not survive a loss of power, and one that cannot
        be written must not end a treatment.  The next one is tried again.
        """
        now = datetime.now().astimezone().isoformat()
        status = keys_of(msgspec.structs.replace(status_of(progress), updated=now))
        part = self._path.with_name(STATUS + ".part")
        with suppress(OSError):
            part.write_text(json.dumps(status, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            part.replace(self._path)


def _boxes(progress: Progress) -> tuple[BoxReading | None, BoxReading | None]:
    """What the slow control last read of each box; None before the first reading."""
    reading, corrections = progress.reading, progress.flux_corrections
    if reading is None or corrections is None:
        return None, None
    boxes = [
        BoxReading(
            temperature_C=_number(box.temperature_C),
            pressure_Pa=_number(box.pressure_Pa),
            high_voltage_V=_number(box.high_voltage_V),
            flux_correction=_number(correction),
        )
        for box, correction in zip(reading.boxes, corrections, strict=True)
    ]
    first, second = (*boxes, None, None)[:2]
    return first, second


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
