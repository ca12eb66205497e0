"""The log of a field: the quantities of Table 3 of the dose delivery paper, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spotline.files import write_json
from spotline.record.model import FieldRecord
from spotline.storage import Disk

NAME = "log.json"


def log_of(record: FieldRecord) -> dict[str, Any]:
    """Collect the log of a field.

    Returns
    -------
    dict
        ``general`` with numbers of delivered slices, spots and particles; ``slices`` with, for each
        slice of which anything was delivered, cycle-code, delivered spots, cumulative particles,
        passive elements, spot size of the planning system, and ``spots`` as columns: measured
        particles, measured position at the isocentre, and its difference from the required one.
        A position that was not measured is null.
    """
    slices, passive_elements = [], list(record.facts.passive_elements)
    for row in record.slices:
        spots = record.spots[record.spots["slice"] == row["slice"]]
        if not len(spots):
            continue
        slices.append(
            {
                "cycle_code": f"{int(row['cycle_code']):010x}",
                "delivered_spots": int(row["spots_delivered"]),
                "cumulative_particles": float(spots["particles"].sum()),
                "passive_elements": passive_elements,
                "fwhm_x_mm": float(row["fwhm_x_mm"]),
                "fwhm_y_mm": float(row["fwhm_y_mm"]),
                "spots": {
                    "particles": _column(spots["particles"], 1),
                    "x_mm": _column(spots["x_mm"], 3),
                    "y_mm": _column(spots["y_mm"], 3),
                    "dx_mm": _column(spots["x_mm"] - spots["x_planned_mm"], 3),
                    "dy_mm": _column(spots["y_mm"] - spots["y_planned_mm"], 3),
                },
            }
        )
    whole = record.slices["spots_delivered"] == record.slices["spots_planned"]
    return {
        "general": {
            "delivered_slices": int(np.count_nonzero(whole)),
            "delivered_spots": int(np.count_nonzero(record.spots["complete"])),
            "delivered_particles": float(record.spots["particles"].sum()),
        },
        "slices": slices,
    }


def write_log(record: FieldRecord, folder: Path, disk: Disk | None = None) -> None:
    """Write ``log.json``."""
    write_json(folder / NAME, log_of(record), disk)


def _column(values: np.ndarray, digits: int) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), digits) for value in values]
