"""Every cause for which the control system stops the beam: one table.

An interlock is data: the sample in which a quantity left its tolerance, its value, the limit and
what was done.  Here stand all of them: those of the fast control and of the slow control (Tables 4 and 5
of the dose delivery paper), of the timing, and what comes from outside.  Nothing else may stop the beam.
"""

from __future__ import annotations

from collections.abc import Collection
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
INT_RATE = 9
CURRENT_X = 10
CURRENT_Y = 11
STRIP_PIXEL_X = 12
STRIP_PIXEL_Y = 13
STRIP_CHARGE_X = 14
STRIP_CHARGE_Y = 15
PIXEL_CHARGE = 16
UNSETTLED = 17
SPOT_DOSE = 18
FIELD_DOSE = 19
TEMPERATURE_1 = 20
PRESSURE_1 = 21
HIGH_VOLTAGE_1 = 22
HIGH_VOLTAGE_2 = 23
PASSIVE_ELEMENTS = 24
BACKGROUND = 25
TEMPERATURE_2 = 26
PRESSURE_2 = 27
GAS_DENSITY = 28
SLOW_SILENCE = 29
NO_COUNTS = 30
BEAM_WHEN_OFF = 31
DATA_INTEGRAL = 32
DATA_STRIP = 33
DATA_PIXEL = 34
DATA_CURRENT = 35
MEMORY_BOARDS = 36
WIDTH_X = 37
WIDTH_Y = 38
EVENT_MISSING = 40
EVENT_UNEXPECTED = 41
RECOVERY = 42
RECORD = 43
ROOM_FAILURE = 44
ROOM_ANSWER = 45
SPILLS = 46
COUCH = 50
OPERATOR = 51
SUPERVISION = 52
WATCHDOG = 53
BEAM_UNSEEN = 55
INTENSITY_FLOOR = 56
RING_CHARGE = 57
HIGH_VOLTAGE_LINE = 58
GAS_LINE = 59

# Actions.
PAUSE = 1
STOP = 2
INHIBIT = 3

# Sources.
FAST = "fast control"
SLOW = "slow control"
TIMING = "timing"
RECOVERY_SOURCE = "recovery"
PATIENT = "patient interlock system"
ROOM = "couch"
PERSON = "operator"
SUPERVISOR = "supervision"
DELIVERER = "delivery"

# Who may release the beam again.
BY_ITSELF = "by itself, with the next spill"
BY_OPERATOR = "operator, once the condition is gone"


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
        Who finds it: one of the sources above.
    condition : str
        What must hold.
    unit : str
        Unit of value and limit.
    limit : str
        Key of the beam-line file that holds the limit; empty if there is none.
    action : int
        `PAUSE`: the beam is off for the rest of the spill and the slice goes on with the next one;
        `STOP`: the treatment ends until somebody resets it; `INHIBIT`: it does not begin.
    rate : str
        How often the condition is checked.
    redundancy : str
        What else would notice, or limit, the same failure if this check did not exist.
    reference : str
        Where the condition comes from.
    roles : tuple of str
        Monitors, by their roles in the control law, that the check is made with: all of them must be there.
    any_role : bool
        Whether one of them is enough.
    box : int
        Number of the box, from 1, whose sensors the check is made with; 0: of none in particular.
    """

    code: int
    name: str
    source: str
    condition: str
    unit: str
    limit: str
    action: int
    rate: str
    redundancy: str
    reference: str
    roles: tuple[str, ...] = ()
    any_role: bool = False
    box: int = 0

    def is_on(self, roles: Collection[str], boxes: int) -> bool:
        """Whether the check is made on a line with monitors of these roles, and so many boxes."""
        there = [role in roles for role in self.roles]
        return self.box <= boxes and (not there or (any(there) if self.any_role else all(there)))

    @property
    def latching(self) -> bool:
        """Whether the cause stays until an operator resets it."""
        return self.action != PAUSE

    @property
    def reset(self) -> str:
        """Who may release the beam."""
        return BY_OPERATOR if self.latching else BY_ITSELF


_PAPER = "Giordanengo 2015"
_TABLE_4, _TABLE_5 = f"{_PAPER}, Table 4", f"{_PAPER}, Table 5"
_POSITION = f"{_PAPER}, III.B.2.1 and Table 4"
_PIXEL = f"{_PAPER}, III.C (interlock of the Pixel FPGA)"
_OWN = "decision 0013"
_WIDTH = "decision 0030"
_BOTH = ("int1", "int2")
_OUTSIDE = "decision 0034"
_FAILING_ROOM = "decision 0035"

CAUSES = {
    cause.code: cause
    for cause in (
        Cause(
            INT_DIFFERENCE, "int difference", FAST, "abs(INT1 - INT2) of a spot below the limit", "counts",
            "fast_interlocks.int_difference_counts", STOP, "1 MHz", "int ratio, int rate", _TABLE_4,
            roles=_BOTH,
        ),
        Cause(
            INT_RATIO, "int ratio", FAST, "abs(INT1 - INT2) / INT1 of a spot below the limit", "1",
            "fast_interlocks.int_ratio", STOP, "1 MHz", "int difference, int rate", _TABLE_4,
            roles=_BOTH,
        ),
        Cause(
            INTENSITY, "intensity", FAST, "particles per second of either chamber below the limit", "1/s",
            "ions.largest_intensity_per_s", STOP, "40 kHz", "unsettled spots, field dose", _TABLE_4,
            roles=_BOTH, any_role=True,
        ),
        Cause(
            POSITION_X, "position x", FAST, "deviation at the isocentre from StripX below the limit", "mm",
            "fast_interlocks.position_mm", PAUSE, "20 kHz", "pixel position x", _POSITION,
            roles=("strip_x",),
        ),
        Cause(
            POSITION_Y, "position y", FAST, "deviation at the isocentre from StripY below the limit", "mm",
            "fast_interlocks.position_mm", PAUSE, "20 kHz", "pixel position y", _POSITION,
            roles=("strip_y",),
        ),
        Cause(
            PIXEL_POSITION_X, "pixel position x", FAST, "deviation in x from PIX below the limit", "mm",
            "fast_interlocks.pixel_position_mm", PAUSE, "10 kHz", "position x", _PIXEL,
            roles=("pixel",),
        ),
        Cause(
            PIXEL_POSITION_Y, "pixel position y", FAST, "deviation in y from PIX below the limit", "mm",
            "fast_interlocks.pixel_position_mm", PAUSE, "10 kHz", "position y", _PIXEL,
            roles=("pixel",),
        ),
        Cause(
            SYNCHRONIZATION, "synchronization", TIMING, "cycle-code broadcast equals the one requested",
            "code", "", STOP, "before the spill and every event", "position x and y off the axis",
            f"{_PAPER}, III.C.1",
        ),
        Cause(
            INT_RATE, "int rate", FAST, "abs(INT1 - INT2) / INT1 over many counts below the limit", "1",
            "fast_interlocks.int_rate_ratio", STOP, "40 kHz", "int ratio in spots of many counts", _OWN,
            roles=_BOTH,
        ),
        Cause(
            CURRENT_X, "current x", FAST, "read-back is the set-point once the magnet has had its time", "A",
            "fast_interlocks.current_mm", STOP, "40 kHz", "position x, unsettled spots", _OWN,
        ),
        Cause(
            CURRENT_Y, "current y", FAST, "read-back is the set-point once the magnet has had its time", "A",
            "fast_interlocks.current_mm", STOP, "40 kHz", "position y, unsettled spots", _OWN,
        ),
        Cause(
            STRIP_PIXEL_X, "strip against pixel x", FAST, "StripX and PIX find the same position", "mm",
            "fast_interlocks.strip_pixel_mm", STOP, "10 kHz", "pixel position x", _OWN,
            roles=("strip_x", "pixel"),
        ),
        Cause(
            STRIP_PIXEL_Y, "strip against pixel y", FAST, "StripY and PIX find the same position", "mm",
            "fast_interlocks.strip_pixel_mm", STOP, "10 kHz", "pixel position y", _OWN,
            roles=("strip_y", "pixel"),
        ),
        Cause(
            STRIP_CHARGE_X, "strip charge x", FAST, "StripX collects as much charge as INT1", "1",
            "fast_interlocks.charge_ratio", STOP, "20 kHz", "pixel position x", _OWN,
            roles=("strip_x", "int1"),
        ),
        Cause(
            STRIP_CHARGE_Y, "strip charge y", FAST, "StripY collects as much charge as INT1", "1",
            "fast_interlocks.charge_ratio", STOP, "20 kHz", "pixel position y", _OWN,
            roles=("strip_y", "int1"),
        ),
        Cause(
            PIXEL_CHARGE, "pixel charge", FAST, "PIX collects as much charge as INT1", "1",
            "fast_interlocks.charge_ratio", STOP, "10 kHz", "position x and y", _OWN,
            roles=("pixel", "int1"),
        ),
        Cause(
            UNSETTLED, "unsettled spots", FAST, "spots in a row that end before the magnets arrive", "spots",
            "fast_interlocks.unsettled_spots", PAUSE, "every spot", "intensity, current x and y", _OWN,
        ),
        Cause(
            SPOT_DOSE, "spot dose", FAST, "counts of a spot beyond its prescription", "counts",
            "fast_interlocks.excess_intensity", STOP, "1 MHz", "the other chamber ends the spot", _OWN,
            roles=_BOTH, any_role=True,
        ),
        Cause(
            FIELD_DOSE, "field dose", FAST, "INT2 counts of a spill beyond what was left of the slice",
            "counts", "fast_interlocks.excess_intensity", STOP, "40 kHz", "spot dose", _OWN,
            roles=("int2",),
        ),
        Cause(
            TEMPERATURE_1, "gas temperature BOX1", SLOW, "within the interval", "C",
            "slow_interlocks.temperature_C", STOP, "1 Hz", "gas density, int rate", _TABLE_5,
            box=1,
        ),
        Cause(
            TEMPERATURE_2, "gas temperature BOX2", SLOW, "within the interval", "C",
            "slow_interlocks.temperature_C", STOP, "1 Hz", "gas density, int rate", _TABLE_5,
            box=2,
        ),
        Cause(
            PRESSURE_1, "gas pressure BOX1", SLOW, "within the interval", "Pa",
            "slow_interlocks.pressure_Pa", STOP, "1 Hz", "gas density, int rate", _TABLE_5,
            box=1,
        ),
        Cause(
            PRESSURE_2, "gas pressure BOX2", SLOW, "within the interval", "Pa",
            "slow_interlocks.pressure_Pa", STOP, "1 Hz", "gas density, int rate", _TABLE_5,
            box=2,
        ),
        Cause(
            GAS_DENSITY, "gas density", SLOW, "as when particles were converted, in every box", "1",
            "slow_interlocks.gas_density_change", STOP, "1 Hz", "int rate, if it is one box", _OWN,
        ),
        Cause(
            HIGH_VOLTAGE_1, "high voltage BOX1", SLOW, "within the interval", "V",
            "slow_interlocks.high_voltage_V", STOP, "1 Hz", "int rate", _TABLE_5,
            box=1,
        ),
        Cause(
            HIGH_VOLTAGE_2, "high voltage BOX2", SLOW, "within the interval", "V",
            "slow_interlocks.high_voltage_V", STOP, "1 Hz", "int rate", _TABLE_5,
            box=2,
        ),
        Cause(
            PASSIVE_ELEMENTS, "passive elements", SLOW, "mounted elements are those of the plan", "elements",
            "", STOP, "1 Hz", "none", f"{_PAPER}, III.B.2.2",
        ),
        Cause(
            SLOW_SILENCE, "slow control silent", SLOW, "a reading is not older than the limit", "s",
            "slow_interlocks.silence_s", STOP, "1 Hz", "none", _OWN,
        ),
        Cause(
            BACKGROUND, "background", FAST, "background of an integral chamber before treatment", "counts/s",
            "fast_interlocks.background_counts_per_s", INHIBIT, "before the treatment", "int rate",
            f"{_PAPER}, III.C",
            roles=_BOTH, any_role=True,
        ),
        Cause(
            NO_COUNTS, "no counts", FAST, "an integral chamber counts while the beam is on", "us",
            "fast_interlocks.no_counts_us", PAUSE, "40 kHz", "strip charge, int rate", _OWN,
            roles=_BOTH, any_role=True,
        ),
        Cause(
            BEAM_WHEN_OFF, "beam when off", PATIENT, "no more counts once the chopper had its time", "counts",
            "fast_interlocks.beam_when_off_counts", STOP, "40 kHz", "spot dose, field dose", _OWN,
            roles=_BOTH, any_role=True,
        ),
        Cause(
            DATA_INTEGRAL, "integral data", FAST, "samples of the integral chambers arrive", "us",
            "fast_interlocks.data_periods", STOP, "40 kHz", "no counts", _OWN,
            roles=_BOTH, any_role=True,
        ),
        Cause(
            DATA_STRIP, "strip data", FAST, "frames of the strips arrive", "us",
            "fast_interlocks.data_periods", STOP, "40 kHz", "pixel position", _OWN,
            roles=("strip_x", "strip_y"), any_role=True,
        ),
        Cause(
            DATA_PIXEL, "pixel data", FAST, "frames of the pixel chamber arrive", "us",
            "fast_interlocks.data_periods", STOP, "40 kHz", "position x and y", _OWN,
            roles=("pixel",),
        ),
        Cause(
            DATA_CURRENT, "current data", FAST, "read-backs of the supplies arrive", "us",
            "fast_interlocks.data_periods", STOP, "40 kHz", "position x and y", _OWN,
        ),
        Cause(
            MEMORY_BOARDS, "memory boards", FAST, "the memory boards hold what was loaded, by its hash",
            "1", "", STOP, "every spill, before it begins and when it is over", "none", _OWN,
        ),
        # With STOP, for optics do not come right by waiting: the next spill of this cycle is as wide.
        Cause(
            WIDTH_X, "width x", FAST, "width at StripX as expected, over many counts of one or several spots",
            "1", "fast_interlocks.width_ratio", STOP, "every spot", "none", _WIDTH,
        ),
        Cause(
            WIDTH_Y, "width y", FAST, "width at StripY as expected, over many counts of one or several spots",
            "1", "fast_interlocks.width_ratio", STOP, "every spot", "none", _WIDTH,
        ),
        Cause(
            EVENT_MISSING, "missing event", TIMING, "an event of the spill comes when it was announced", "us",
            "accelerator.event_tolerance_us", PAUSE, "40 kHz", "no counts", f"{_PAPER}, III.C.1",
        ),
        Cause(
            EVENT_UNEXPECTED, "unexpected event", TIMING, "no event comes before it was announced, or twice",
            "us", "accelerator.event_tolerance_us", STOP, "every event", "none", f"{_PAPER}, III.C.1",
        ),
        Cause(
            RECOVERY, "recovery", RECOVERY_SOURCE, "counts that the recovery journal has not yet confirmed",
            "counts", "control.recovery_credit", PAUSE, "40 kHz", "none", _OWN,
            roles=("int1",),
        ),
        Cause(
            RECORD, "record", RECOVERY_SOURCE, "what was delivered can be written", "bytes",
            "", STOP, "every spill and every confirmation", "recovery", _OWN,
        ),
        Cause(
            ROOM_FAILURE, "room", DELIVERER, "every call to accelerator, fast loop or sensors is answered",
            "calls", "", STOP, "every call", "watchdog, recovery, slow control silent", _FAILING_ROOM,
        ),
        Cause(
            ROOM_ANSWER, "room answer", DELIVERER, "what the room answers can be, by what it was asked",
            "answers", "", STOP, "every call", "none", _FAILING_ROOM,
        ),
        Cause(
            SPILLS, "too many spills", DELIVERER,
            "spills and time with beam are those predicted for what they have delivered",
            "spills", "fast_interlocks.excess_spills", STOP, "before every spill", "ring charge",
            _FAILING_ROOM,
        ),
        Cause(
            COUCH, "couch", ROOM, "the couch is locked", "1", "", STOP, "40 kHz", "none",
            "Mirandola 2015, 4 (couch lock of the patient interlock system)",
        ),
        Cause(
            OPERATOR, "operator", PERSON, "the operator has not pressed stop", "1", "", STOP, "40 kHz",
            "supervision", f"{_PAPER}, III.C.1",
        ),
        Cause(
            SUPERVISION, "supervision", SUPERVISOR, "the supervision has not asked to abort", "1", "", STOP,
            "40 kHz", "operator", f"{_PAPER}, III.C, 2",
        ),
        Cause(
            BEAM_UNSEEN, "beam unseen", FAST, "a chamber counts, with open chopper and charged ring",
            "us", "fast_interlocks.ring_silence_us", STOP, "40 kHz", "ring charge", _OUTSIDE,
        ),
        Cause(
            INTENSITY_FLOOR, "intensity floor", FAST, "counts in a time, with open chopper and charged ring",
            "counts", "fast_interlocks.intensity_floor", STOP, "40 kHz", "ring charge", _OUTSIDE,
        ),
        Cause(
            RING_CHARGE, "ring charge", FAST, "the particles that left the ring are counted", "counts",
            "fast_interlocks.ring_ratio", STOP, "every pulse of the ring", "intensity floor, beam unseen",
            _OUTSIDE,
        ),
        Cause(
            HIGH_VOLTAGE_LINE, "high voltage line", PATIENT, "both voltages are within the interval",
            "1", "slow_interlocks.high_voltage_V", STOP, "40 kHz", "high voltage BOX1 and BOX2, ring charge",
            _OUTSIDE,
        ),
        Cause(
            GAS_LINE, "gas line", PATIENT, "pressure and temperature of every box are within their intervals",
            "1", "slow_interlocks.pressure_Pa", STOP, "40 kHz", "gas pressure and temperature, gas density",
            _OUTSIDE,
        ),
        Cause(
            WATCHDOG, "watchdog", PATIENT, "the fast control gives its sign of life", "us",
            "fast_interlocks.watchdog_us", STOP, "40 kHz", "none", _OWN,
        ),
    )
}  # fmt: skip
"""The interlock table, by code."""

OF_BOX = {(cause.limit, cause.box): code for code, cause in CAUSES.items() if cause.box}
"""Code of the cause by the key of its limit and the number of the box that it looks at."""
