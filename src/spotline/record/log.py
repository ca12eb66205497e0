"""The log of a field: the quantities of Table 3 of the dose delivery paper, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from msgspec import Struct

from spotline.files import write_json
from spotline.hdf5 import keys_of
from spotline.record.model import FieldRecord
from spotline.storage import Disk

NAME = "log.json"


class SpotsLog(Struct, frozen=True, kw_only=True):
    """Spots of a slice as columns: particles, position at the isocentre, and its difference from the planned.

    None stands for a position that was not measured.
    """

    particles: tuple[float | None, ...]
    x_mm: tuple[float | None, ...]
    y_mm: tuple[float | None, ...]
    dx_mm: tuple[float | None, ...]
    dy_mm: tuple[float | None, ...]


class SliceLog(Struct, frozen=True, kw_only=True):
    """A slice of which anything was delivered; the spot size is that of the planning system."""

    cycle_code: str
    delivered_spots: int
    cumulative_particles: float
    passive_elements: tuple[str, ...]
    fwhm_x_mm: float
    fwhm_y_mm: float
    spots: SpotsLog


class GeneralLog(Struct, frozen=True, kw_only=True):
    """How much was delivered."""

    delivered_slices: int
    delivered_spots: int
    delivered_particles: float


class LogFile(Struct, frozen=True, kw_only=True):
    """Content of ``log.json``."""

    general: GeneralLog
    slices: tuple[SliceLog, ...]


def log_of(record: FieldRecord) -> LogFile:
    """Collect the log of a field."""
    slices, passive_elements = [], record.facts.passive_elements
    for row in record.slices:
        spots = record.spots[record.spots["slice"] == row["slice"]]
        if not len(spots):
            continue
        slices.append(
            SliceLog(
                cycle_code=f"{int(row['cycle_code']):010x}",
                delivered_spots=int(row["spots_delivered"]),
                cumulative_particles=float(spots["particles"].sum()),
                passive_elements=passive_elements,
                fwhm_x_mm=float(row["fwhm_x_mm"]),
                fwhm_y_mm=float(row["fwhm_y_mm"]),
                spots=SpotsLog(
                    particles=_column(spots["particles"], 1),
                    x_mm=_column(spots["x_mm"], 3),
                    y_mm=_column(spots["y_mm"], 3),
                    dx_mm=_column(spots["x_mm"] - spots["x_planned_mm"], 3),
                    dy_mm=_column(spots["y_mm"] - spots["y_planned_mm"], 3),
                ),
            )
        )
    whole = record.slices["spots_delivered"] == record.slices["spots_planned"]
    return LogFile(
        general=GeneralLog(
            delivered_slices=int(np.count_nonzero(whole)),
            delivered_spots=int(np.count_nonzero(record.spots["complete"])),
            delivered_particles=float(record.spots["particles"].sum()),
        ),
        slices=tuple(slices),
    )


def write_log(record: FieldRecord, folder: Path, disk: Disk | None = None) -> None:
    """Write ``log.json``."""
    write_json(folder / NAME, keys_of(log_of(record)), disk)


def _column(values: np.ndarray, digits: int) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else round(float(value), digits) for value in values)
