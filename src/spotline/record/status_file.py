"""What a running delivery shows: ``status.json``."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType

from spotline.storage import LARGEST_JSON_bytes, read_bounded


class BoxReading(Struct, frozen=True, kw_only=True):
    """The last reading of the slow control of one box; None for what is no number."""

    temperature_C: float | None
    pressure_Pa: float | None
    high_voltage_V: float | None
    flux_correction: float | None


class LatchedInterlock(Struct, frozen=True, kw_only=True):
    """An interlock that is latched: name of its cause, what was measured, its limit, and when it tripped."""

    cause: str
    value: float | None
    limit: float | None
    unit: str
    time_s: float


class Status(Struct, frozen=True, kw_only=True):
    """Content of ``status.json``; `spotline.delivery.status.STATUS_COLUMNS` says what each means.

    Attributes
    ----------
    updated : str or UNSET
        When it was written, by the clock of the computer (ISO 8601).
    """

    state: str
    permit: bool
    field: int
    fields: int
    slice: int
    slices: int
    energy_MeV_u: float
    spot: int
    spots_complete: int
    spots_planned: int
    spill: int
    int1_counts: int
    int2_counts: int
    treatment_s: float
    slow_control_s: float | None
    box1: BoxReading | None
    box2: BoxReading | None
    mounted: tuple[str, ...]
    interlocks: tuple[LatchedInterlock, ...]
    updated: str | UnsetType = UNSET


def read_status(path: Path) -> Status | None:
    """Read what was last shown.

    It is for displays: it need not be there, nor be whole after a loss of power, and is None then.
    """
    try:
        return msgspec.json.decode(read_bounded(path, LARGEST_JSON_bytes), type=Status)
    except (OSError, ValueError, RecursionError):
        return None
