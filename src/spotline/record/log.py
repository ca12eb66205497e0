"""The log of a field: the quantities of Table 3 of the dose delivery paper, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from spotline.errors import RecordError
from spotline.record.model import FieldRecord
from spotline.record.storage import Disk

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
    slices = []
    for row in record.slices:
        spots = record.spots[record.spots["slice"] == row["slice"]]
        if not len(spots):
            continue
        slices.append(
            {
                "cycle_code": f"{int(row['cycle_code']):010x}",
                "delivered_spots": int(row["spots_delivered"]),
                "cumulative_particles": float(spots["particles"].sum()),
                "passive_elements": record.header["passive_elements"],
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


def write_json(path: Path, content: Any, disk: Disk | None = None) -> None:
    """Write a JSON file as a whole or not at all."""
    (disk or Disk()).publish((json.dumps(content, indent=1, allow_nan=False) + "\n").encode(), path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a record."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(
            f"{path}: no such file; a delivery that was completed or stopped writes it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise RecordError(f"{path}: truncated or altered (no table of keys); restore it from a copy")
    return content


def _column(values: np.ndarray, digits: int) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), digits) for value in values]
