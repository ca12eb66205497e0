"""Interlocks as items of the Interlock Sequence of a treatment record.

DICOM has codes for some causes (PS3.16, CID 9568) and for what came of an interlock (CID 9563).  Where
one fits it is the code of the item, and the row of `spotline.control.interlocks.CAUSES` is given as an
equivalent code; where none fits, that row is the code itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from pydicom import Dataset

from spotline.control import interlocks
from spotline.control.interlocks import CAUSES, INHIBIT, PAUSE, STOP
from spotline.control.register import Reset
from spotline.dicom.persons import person_identification
from spotline.record.model import Table

CODING_SCHEME = "99SPOTLINE"
"""Coding scheme of the causes: the code value is the code of the interlock table."""

SHORT_TEXT = 1024
"""Characters that DICOM allows in a description (value representation ST)."""

_DICOM_CODES = {
    interlocks.INT_DIFFERENCE: ("130827", "Scan Spot Meterset Interlock"),
    interlocks.INT_RATIO: ("130827", "Scan Spot Meterset Interlock"),
    interlocks.INTENSITY: ("130830", "Meterset Rate Interlock"),
    interlocks.POSITION_X: ("130825", "Scan Spot Position Interlock"),
    interlocks.POSITION_Y: ("130825", "Scan Spot Position Interlock"),
    interlocks.PIXEL_POSITION_X: ("130825", "Scan Spot Position Interlock"),
    interlocks.PIXEL_POSITION_Y: ("130825", "Scan Spot Position Interlock"),
    interlocks.HIGH_VOLTAGE_1: ("130475", "Primary Fluence Monitoring System Interlock"),
    interlocks.HIGH_VOLTAGE_2: ("130476", "Secondary Fluence Monitoring System Interlock"),
}
_RESOLVED = ("130744", "Interlock Resolved")
_ACTIONS = {PAUSE: "pause of the spill", STOP: "stop of the treatment", INHIBIT: "treatment not begun"}
_TERMINATED = ("130453", "Treatment Terminated")


def interlock_items(
    rows: Table,
    started: datetime,
    complete: bool,
    resets: Sequence[Reset] = (),
    details: Sequence[str] = (),
) -> list[Dataset]:
    """Make the items of the Interlock Sequence.

    Parameters
    ----------
    rows : Table
        Columns `spotline.record.model.INTERLOCK`, in the order of time.
    started : datetime
        Tick 0 of the clock of the field.
    complete : bool
        Whether the field was completed; if not, and nothing stopped it, the last pause ended it: several
        pauses without a spot in between do.
    resets : sequence of Reset
        By operators, in the order of time: what came until the last one has been resolved.
    details : sequence of str
        What was the matter in words, row by row; none if numbers say it all.
    """
    reset_us = max((reset.time_us for reset in resets), default=-1)
    ended = (rows["action"] != PAUSE) & (rows["time_us"] > reset_us)
    if not complete:
        ended[ending_interlock(rows, reset_us)] = True
    return [
        _item(row, started, bool(end), "" if end else _resolved_by(row, resets), detail)
        for row, end, detail in zip(rows, ended, details or [""] * len(rows), strict=True)
    ]


def _resolved_by(row: np.void, resets: Sequence[Reset]) -> str:
    """Who reset an interlock that stopped the treatment; a pause goes on without anybody.

    Pauses in vain are latched in the end, and wait for somebody as stops do.
    """
    for reset in resets:
        if any((one.cause, one.time_us) == (row["cause"], row["time_us"]) for one in reset.released):
            return reset.identity
    if row["action"] == PAUSE:
        return ""
    return next((reset.identity for reset in resets if reset.time_us >= row["time_us"]), "")


def ending_interlock(rows: Table, reset_us: int = -1) -> int:
    """Index of the interlock that ended an interrupted field.

    The first stop since the last reset, or else the last interlock of all.
    """
    stops = np.flatnonzero((rows["action"] != PAUSE) & (rows["time_us"] > reset_us))
    return int(stops[0]) if len(stops) else len(rows) - 1


def describe_interlock(row: np.void, detail: str = "") -> str:
    """Say in words what tripped, where, and what was done."""
    cause = CAUSES.get(int(row["cause"]))
    name, unit = (cause.name, f" {cause.unit}") if cause else (f"unknown cause {row['cause']}", "")
    unit = "" if unit == " 1" else unit
    action = _ACTIONS[int(row["action"])]
    return (
        f"{name}: value {row['value']:g}{unit}, limit {row['limit']:g}{unit}; "
        f"spill {row['spill']}, slice {row['slice']}, spot {row['spot']}; {action}"
        f"{'; ' if detail else ''}{detail}"
    )[:SHORT_TEXT]


def _item(row: np.void, started: datetime, ended: bool, user: str, detail: str) -> Dataset:
    cause = CAUSES.get(int(row["cause"]))
    item = Dataset()
    moment = started.replace(tzinfo=None) + timedelta(microseconds=int(row["time_us"]))
    item.InterlockDateTime = moment.strftime("%Y%m%d%H%M%S.%f")
    item.InterlockDescription = describe_interlock(row, detail)
    item.InterlockOriginDescription = cause.source if cause else "unknown"
    item.InterlockCodeSequence = [_cause_code(int(row["cause"]))]
    resolution = _TERMINATED if ended else _RESOLVED
    item.InterlockResolutionCodeSequence = [_code(*resolution, "DCM")]
    item.InterlockResolutionUserSequence = [person_identification(user)] if user else []
    return item


def _cause_code(number: int) -> Dataset:
    cause = CAUSES.get(number)
    own = _code(str(number), cause.name if cause else f"unknown cause {number}", CODING_SCHEME)
    if number not in _DICOM_CODES:
        return own
    code = _code(*_DICOM_CODES[number], "DCM")
    code.EquivalentCodeSequence = [own]
    return code


def _code(value: str, meaning: str, scheme: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = scheme
    code.CodeMeaning = meaning
    return code
