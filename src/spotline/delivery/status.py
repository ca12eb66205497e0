"""The status that a running delivery publishes: one small JSON file for displays (Fig. 8 of the paper)."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from spotline.control.interlocks import CAUSES
from spotline.delivery.progress import Progress
from spotline.record.folder import STATUS

PERIOD_US = 1_000_000
"""While a spill runs the status is written so often, on the clock of the field."""


def status_of(progress: Progress) -> dict[str, Any]:
    """What the status file says, apart from when it was written.

    Numbers that are not finite become None.
    """
    reading = progress.reading
    return {
        "state": progress.state,
        "permit": progress.is_beam_permitted,
        "field": progress.field,
        "fields": progress.n_fields,
        "slice": progress.slice,
        "slices": progress.n_slices,
        "energy_MeV_u": progress.energy_MeV_u,
        "spot": progress.spot,
        "spots_complete": progress.spots,
        "spots_planned": progress.n_spots,
        "spill": progress.spill,
        "int1_counts": progress.int1_counts,
        "int2_counts": progress.int2_counts,
        "treatment_s": progress.treatment_s,
        "slow_control_s": reading.time_us * 1e-6 if reading is not None else None,
        **_boxes(progress),
        "mounted": list(reading.mounted) if reading is not None else [],
        "interlocks": [
            {
                "cause": CAUSES[row.cause].name,
                "value": row.value,
                "limit": row.limit,
                "unit": CAUSES[row.cause].unit,
                "time_s": row.time_us * 1e-6,
            }
            for row in progress.register.latched
        ],
    }


class StatusFile:
    """Writes the status of a delivery, each time as a whole.

    Parameters
    ----------
    folder : Path
        Of the record.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS

    def write(self, progress: Progress) -> None:
        """Replace the file.

        It is for displays and nothing depends on it: it need not survive a loss of power, and one that cannot
        be written must not end a treatment.  The next one is tried again.
        """
        status = status_of(progress) | {"updated": datetime.now().astimezone().isoformat()}
        part = self._path.with_name(STATUS + ".part")
        with suppress(OSError):
            part.write_text(json.dumps(status, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            part.replace(self._path)


def _boxes(progress: Progress) -> dict[str, dict[str, float | None] | None]:
    """What the slow control last read of each box; None before the first reading."""
    reading, corrections = progress.reading, progress.flux_corrections
    if reading is None or corrections is None:
        return {"box1": None, "box2": None}
    names = ("temperature_C", "pressure_Pa", "high_voltage_V", "flux_correction")
    box1 = (reading.temperature1_C, reading.pressure1_Pa, reading.high_voltage1_V, corrections[0])
    box2 = (reading.temperature2_C, reading.pressure2_Pa, reading.high_voltage2_V, corrections[1])
    return {
        name: dict(zip(names, map(_number, values), strict=True))
        for name, values in (("box1", box1), ("box2", box2))
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
