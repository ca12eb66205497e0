"""Every cause for which the control system stops the beam: one table.

An interlock is data: the sample in which a quantity left its tolerance, its value, the limit and
what was done.  The causes here are those of the fast control (Table 4 of the dose delivery paper,
its spot-position pause, and the check of synchronization of section III.C.1) and of the slow
control (Table 5).
"""

from __future__ import annotations

from dataclasses import dataclass

# Codes, as compiled code and files use them.
INT_DIFFERENCE = 1
INT_RATIO = 2
INTENSITY = 3
POSITION_X = 4
POSITION_Y = 5
PIXEL_POSITION_X = 6
PIXEL_POSITION_Y = 7
SYNCHRONIZATION = 8
TEMPERATURE = 20
PRESSURE = 21
HIGH_VOLTAGE_1 = 22
HIGH_VOLTAGE_2 = 23
PASSIVE_ELEMENTS = 24
BACKGROUND = 25

# Actions.
PAUSE = 1
STOP = 2


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the interlock table.

    Attributes
    ----------
    code : int
        As in records.
    name : str
        Short name, unique.
    source : str
        ``"fast control"`` or ``"slow control"``.
    condition : str
        What must hold.
    unit : str
        Unit of value and limit.
    limit : str
        Key of the beam-line file that holds the limit.
    action : int
        `PAUSE`: the beam is off for the rest of the spill and the slice goes on with the next one;
        `STOP`: the treatment ends.
    rate : str
        How often the condition is checked.
    reference : str
        Where the condition comes from.
    """

    code: int
    name: str
    source: str
    condition: str
    unit: str
    limit: str
    action: int
    rate: str
    reference: str


_FAST, _SLOW, _PAPER = "fast control", "slow control", "Giordanengo 2015"
_PIXEL = f"{_PAPER}, III.C (interlock of the Pixel FPGA)"

CAUSES = {
    cause.code: cause
    for cause in (
        Cause(
            INT_DIFFERENCE, "int difference", _FAST, "abs(INT1 - INT2) of a spot below the limit", "counts",
            "fast_interlocks.int_difference_counts", STOP, "1 MHz", f"{_PAPER}, Table 4",
        ),
        Cause(
            INT_RATIO, "int ratio", _FAST, "abs(INT1 - INT2) / INT1 of a spot below the limit", "1",
            "fast_interlocks.int_ratio", STOP, "1 MHz", f"{_PAPER}, Table 4",
        ),
        Cause(
            INTENSITY, "intensity", _FAST, "particles per second of either chamber below the limit", "1/s",
            "ions.largest_intensity_per_s", STOP, "40 kHz", f"{_PAPER}, Table 4",
        ),
        Cause(
            POSITION_X, "position x", _FAST, "deviation at the isocentre from StripX below the limit", "mm",
            "fast_interlocks.position_mm", PAUSE, "20 kHz", f"{_PAPER}, III.B.2.1 and Table 4",
        ),
        Cause(
            POSITION_Y, "position y", _FAST, "deviation at the isocentre from StripY below the limit", "mm",
            "fast_interlocks.position_mm", PAUSE, "20 kHz", f"{_PAPER}, III.B.2.1 and Table 4",
        ),
        Cause(
            PIXEL_POSITION_X, "pixel position x", _FAST, "deviation in x from PIX below the limit", "mm",
            "fast_interlocks.pixel_position_mm", PAUSE, "10 kHz", _PIXEL,
        ),
        Cause(
            PIXEL_POSITION_Y, "pixel position y", _FAST, "deviation in y from PIX below the limit", "mm",
            "fast_interlocks.pixel_position_mm", PAUSE, "10 kHz", _PIXEL,
        ),
        Cause(
            SYNCHRONIZATION, "synchronization", _FAST, "cycle-code broadcast equals the one requested",
            "code", "", STOP, "every event", f"{_PAPER}, III.C.1",
        ),
        Cause(
            TEMPERATURE, "gas temperature", _SLOW, "within the interval", "C",
            "slow_interlocks.temperature_C", STOP, "1 Hz", f"{_PAPER}, Table 5",
        ),
        Cause(
            PRESSURE, "gas pressure", _SLOW, "within the interval", "Pa",
            "slow_interlocks.pressure_Pa", STOP, "1 Hz", f"{_PAPER}, Table 5",
        ),
        Cause(
            HIGH_VOLTAGE_1, "high voltage BOX1", _SLOW, "within the interval", "V",
            "slow_interlocks.high_voltage_V", STOP, "1 Hz", f"{_PAPER}, Table 5",
        ),
        Cause(
            HIGH_VOLTAGE_2, "high voltage BOX2", _SLOW, "within the interval", "V",
            "slow_interlocks.high_voltage_V", STOP, "1 Hz", f"{_PAPER}, Table 5",
        ),
        Cause(
            PASSIVE_ELEMENTS, "passive elements", _SLOW, "mounted elements are those of the plan", "elements",
            "", STOP, "1 Hz", f"{_PAPER}, III.B.2.2",
        ),
        Cause(
            BACKGROUND, "background", _FAST, "background of an integral chamber before treatment", "counts/s",
            "fast_interlocks.background_counts_per_s", STOP, "before the treatment", f"{_PAPER}, III.C",
        ),
    )
}  # fmt: skip
"""The interlock table, by code."""
