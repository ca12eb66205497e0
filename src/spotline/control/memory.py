"""What the fast control knows: its settings, the slice in its memory boards, and its registers.

Three NamedTuples of numbers and arrays, so that compiled code can walk them.  `LawSettings` and
`SliceMemory` are read only; `LawState` is what the step functions write.  None of them has a place
for anything that a chamber, a supply or the timing system could not report.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers

# Phases of the fast control within one spill.
WAITING = 0  # magnets go to the first spot, no beam yet
DELIVERING = 1  # beam on the current spot, or on its way there
LEAVING = 2  # beam being switched off before a jump; magnets still hold
MOVING = 3  # beam off, magnets on their way
FINISHING = 4  # anticipated end of a spot: beam being switched off while it still counts for it
COLLECTING = 5  # beam off for good, late charge still counts for the last spot
DONE = 6

# Why a spill ended.
END_NONE = 0
END_SLICE_COMPLETE = 1
END_OF_EXTRACTION = 2
END_PAUSE = 3  # an interlock ended the spill
END_STOP = 4  # an interlock ended the treatment

# What comes in from outside with every scan period, besides counts and currents: one bit each.
INPUT_START = 1  # event of the timing system: extraction begins
INPUT_END = 2  # extraction ends
INPUT_NO_INTEGRAL = 4  # samples of the integral chambers did not arrive
INPUT_NO_STRIP = 8  # a frame that was due did not arrive
INPUT_NO_PIXEL = 16
INPUT_HANG = 32  # the fast control does not run in this period
INPUT_CONFIRMED = 64  # the recovery journal holds everything up to here
INPUT_COUCH = 256  # lines of the patient interlock system: couch not locked ...
INPUT_OPERATOR = 512  # ... the operator presses stop
INPUT_SUPERVISION = 1024  # ... the supervision aborts
INPUT_SLOW = 2048  # ... the slow control has found something
INPUT_RING_CHARGED = 4096  # the ring still holds charge (accelerators whose ring is read)
INPUT_RING_SPENT = 8192  # another pulse's worth of particles has left it
INPUT_HIGH_VOLTAGE = 16384  # line of the patient interlock system: a high voltage is not what it should be
INPUT_GAS = 32768  # ... pressure or temperature of a box is not what it should be

# Lines of the patient interlock system.
LINE_FAST = 1
LINE_SLOW = 2
LINE_SUPERVISION = 4
LINE_OPERATOR = 8
LINE_COUCH = 16
LINE_WATCHDOG = 32
LINE_HIGH_VOLTAGE = 64
LINE_GAS = 128

# Entries of the log of commands.
COMMAND_CHOPPER_OPEN = 1
COMMAND_CHOPPER_CLOSE = 2
COMMAND_SPOT_COMPLETE = 3

NEVER = 1 << 60
"""A target that no count reaches."""

WINDOW_TICKS = 50_000
"""Counts for a check of the position are collected for so long at most.

Without beam nothing but background comes in; all channels together need a few hundred milliseconds to
make as many counts of it as a centre of gravity takes."""

LEAK_TICKS = 2000
"""The discriminator of the safety interlock system forgets one count in so many ticks: 500 counts per second,
far above the background and far below the beam."""

OVERTIME_TICKS = 20_000
"""So long after the announced end of extraction a spill is closed, whatever still counts."""

INTERLOCK_ROWS = 64
"""Interlocks kept per spill; the first one ends the spill, later ones are for the record."""

PART = np.dtype(
    [
        ("spot", "i8"),  # index in the memory boards, that is among the spots not yet complete
        ("start_tick", "i8"),
        ("end_tick", "i8"),
        ("complete", "i8"),
        ("int1_counts", "i8"),
        ("int2_counts", "i8"),
        ("x_strip_mm", "f8"),  # at StripX and StripY
        ("y_strip_mm", "f8"),
        ("strip_x_counts", "i8"),  # counts behind the position
        ("strip_y_counts", "i8"),
        ("position_valid", "i8"),  # 1 centre of gravity, 0 strip with most counts
        ("x_pixel_mm", "f8"),
        ("y_pixel_mm", "f8"),
        ("pixel_counts", "i8"),
        ("x_current_A", "f8"),  # read back
        ("y_current_A", "f8"),
        ("settled_tick", "i8"),  # when the magnets had arrived; -1 never
        ("from_trigger", "i8"),  # 1 if the spot began with a move from the one before
        ("x_strip_sd_mm", "f8"),  # standard deviation of the beam at StripX and StripY; NaN: not known ...
        ("y_strip_sd_mm", "f8"),
        ("x_strip_sd_error_mm", "f8"),  # ... and its uncertainty
        ("y_strip_sd_error_mm", "f8"),
        ("strip_x_sd_counts", "i8"),  # counts behind it, all with the magnets settled
        ("strip_y_sd_counts", "i8"),
        ("width_valid", "i8"),  # 1: both planes of the strips have a width
        ("x_pixel_sd_mm", "f8"),  # the same at the pixel chamber
        ("y_pixel_sd_mm", "f8"),
        ("x_pixel_sd_error_mm", "f8"),
        ("y_pixel_sd_error_mm", "f8"),
        ("pixel_sd_counts", "i8"),
        ("pixel_width_valid", "i8"),
    ]
)
"""What the fast control measures of a spot during one spill."""

PART_UNKNOWN = {
    "x_strip_mm": np.nan,
    "y_strip_mm": np.nan,
    "x_pixel_mm": np.nan,
    "y_pixel_mm": np.nan,
    "settled_tick": -1,
    **{
        f"{plane}_{chamber}_sd{what}_mm": np.nan
        for chamber in ("strip", "pixel")
        for what in ("", "_error")
        for plane in ("x", "y")
    },
}
"""What columns of `PART` hold that were never measured; the others are 0."""


def blank_parts(n_parts: int) -> NDArray[np.void]:
    """Make rows of `PART` of which nothing is known."""
    parts = np.zeros(n_parts, PART)
    for name, value in PART_UNKNOWN.items():
        parts[name] = value
    return parts


def widened(parts: NDArray[np.void]) -> NDArray[np.void]:
    """Rows of `PART` from a file that may lack columns: what these hold was never measured."""
    table = blank_parts(len(parts))
    for name in parts.dtype.names or ():
        table[name] = parts[name]
    return table


COMMAND = np.dtype([("tick", "i8"), ("command", "i8"), ("spot", "i8")])

INTERLOCK = np.dtype(
    [("tick", "i8"), ("cause", "i8"), ("spot", "i8"), ("value", "f8"), ("limit", "f8"), ("action", "i8")]
)

ABORT = np.dtype([("tick", "i8"), ("cause", "i8"), ("value", "f8"), ("limit", "f8"), ("action", "i8")])
"""What was asked for from outside the fast control, before the sample at `tick`."""

TREND_TICKS = 1000  # ticks of one row of the trend

TREND = np.dtype(
    [
        ("tick", "i8"),
        ("int1_counts", "i8"),
        ("int2_counts", "i8"),
        ("x_set_A", "f8"),
        ("y_set_A", "f8"),
        ("x_read_A", "f8"),
        ("y_read_A", "f8"),
        ("x_strip_mm", "f8"),
        ("y_strip_mm", "f8"),
        ("row", "i8"),
    ]
)
"""What the fast control reports of itself every millisecond, for displays and reports."""

SCALARS = np.dtype(
    [
        ("tick", "i8"),  # clock of the field, at the sample under way
        ("phase", "i8"),
        ("phase_tick", "i8"),  # when the phase began
        ("end_reason", "i8"),
        ("chopper_open", "i8"),  # the command, not the state of the chopper
        ("spot", "i8"),  # current spot (index in the memory boards)
        ("row", "i8"),  # current row of `parts`
        ("target1", "i8"),  # counts at which the spot is complete
        ("target2", "i8"),
        ("chopper_target1", "i8"),  # INT1 counts at which an anticipated beam-off is commanded
        ("int1", "i8"),  # counts since the trigger
        ("int2", "i8"),
        ("int1_per_int2", "f8"),  # expected ratio of the chambers' counts at the spot
        ("total1", "i8"),  # counts since the first sample, up to the last scan period
        ("total2", "i8"),
        ("trend1", "i8"),  # the same up to the last row of the trend
        ("trend2", "i8"),
        ("bin1", "i8"),  # counts of the scan period under way, for the intensity
        ("bin2", "i8"),
        ("window1", "i8"),  # counts in the intensity window
        ("window2", "i8"),
        ("bin_index", "i8"),
        ("settled_tick", "i8"),  # when the magnets reached the current spot; -1 while they move
        ("due_tick", "i8"),  # when the magnets should be there
        ("unsettled", "i8"),  # spots in a row that ended before the magnets had arrived
        ("counted_tick", "i8"),  # last scan period with a count, or without beam to be counted
        ("rate1", "i8"),  # counts since the chambers were last compared across spots
        ("rate2", "f8"),  # on the scale of INT1
        ("prescribed2", "i8"),  # counts of INT2 of all spots that were loaded
        ("unconfirmed1", "i8"),  # counts since the recovery journal last confirmed
        ("start_due", "i8"),  # events as the timing system announced them ...
        ("end_due", "i8"),
        ("start_seen", "i8"),  # ... and whether they came
        ("end_seen", "i8"),
        ("unwatched_tick", "i8"),  # last scan period in which the chopper was not to be open
        ("ring_pulses", "i8"),  # of the ring since the chopper is open
        ("ring_counted1", "f8"),  # counts since the last of them, on the scale of INT1
        ("ring_counted2", "f8"),
        ("ring_short1", "f8"),  # by how much they fell short of what left the ring, beyond the ratio
        ("ring_short2", "f8"),
        ("floor_tick", "i8"),  # when the present window of the intensity floor began, and its counts
        ("floor_counts", "f8"),
        ("integral_missing", "i8"),  # periods or frames in a row that did not arrive
        ("strip_missing", "i8"),
        ("pixel_missing", "i8"),
        ("current_missing", "i8"),
        ("strip_row", "i8"),  # row that the strip registers belong to
        ("pixel_row", "i8"),
        ("commands", "i8"),  # rows used of the tables below
        ("interlocks", "i8"),
    ]
)

AXIS = np.dtype(
    [
        ("set_A", "f8"),
        ("read_A", "f8"),
        ("correction_A", "f8"),  # sum of the position feedback
        ("current_tick", "i8"),  # last period in which the current was as it should be, or had its time
        ("inside", "i8"),  # strip counts near the prescribed position since the last correction ...
        ("inside_moment", "i8"),  # ... and their sum of count times strip index
        ("everywhere", "i8"),  # the same of all strips
        ("everywhere_moment", "i8"),
        ("since_tick", "i8"),  # when this collection began
        ("last_mm", "f8"),  # last centre of gravity of a window at the strips; NaN before the first
        ("last_row", "i8"),  # row of `parts` that it belongs to; -1 before the first
        ("total", "i8"),  # counts of all frames since the charge was last compared ...
        ("from_total1", "i8"),  # ... and what `total1` was then
        ("width_sum", "f8"),  # counts times measured over expected variance since the last comparison ...
        ("width_counts", "i8"),  # ... and those counts
    ]
)

PIXELS = np.dtype(
    [
        ("inside", "i8"),  # counts near the prescribed position with the magnets settled ...
        ("x_moment", "i8"),  # ... and their sums of count times index
        ("y_moment", "i8"),
        ("x_second", "i8"),  # ... and its square (first row only)
        ("y_second", "i8"),
        ("everywhere", "i8"),  # the same of all pixels
        ("everywhere_x_moment", "i8"),
        ("everywhere_y_moment", "i8"),
        ("since_tick", "i8"),  # when this collection began
        ("total", "i8"),  # counts of all frames since the charge was last compared (first row only) ...
        ("from_total1", "i8"),  # ... and what `total1` was then
    ]
)
"""Registers of the pixel chamber: one row for the spot, one since the last check."""


SAFETY = np.dtype(
    [
        ("permit", "i8"),  # 1: the patient interlock system lets the chopper open
        ("latched", "i8"),  # lines that were active since the last reset
        ("first_line", "i8"),  # those of the period in which the permit was lost
        ("first_tick", "i8"),
        ("alive_tick", "i8"),  # last sign of life of the fast control
        ("seen1", "i8"),  # counts of the scan period, from a discriminator that is not the fast control's
        ("seen2", "i8"),
        ("missed1", "i8"),  # counts that the fast control has not read out yet
        ("missed2", "i8"),
        ("seen_tick", "i8"),  # last scan period with a count
        ("off_tick", "i8"),  # last scan period in which the chopper was to be open
        ("level1", "i8"),  # counts since then, less one every `LEAK_TICKS`
        ("level2", "i8"),
        ("leak_tick", "i8"),
        ("end_extraction", "i8"),  # 1: the safety interlock system asks the accelerator to stop
        ("end_extraction_tick", "i8"),
    ]
)
"""Registers of the patient interlock system and of the safety interlock system."""


class IntegralLimits(NamedTuple):
    """Tolerances of the integral chambers within a spot, on the scale of INT1."""

    difference: float  # counts
    ratio: float
    ratio_counts: int  # the ratio is checked from here on


class AxisSettings(NamedTuple):
    """Settings of one scanning axis and its strip chamber."""

    feedback_limit_A: float
    step_A: float  # quantum of the set-point, 0 if continuous
    A_per_mm: float  # current per millimetre at the isocentre
    slew_A_per_us: float
    settling_us: float  # time constant of the approach to a set-point
    deviation_limit_A: float  # of the read-back from the set-point
    iso_per_strip: float  # millimetre at the isocentre per millimetre at the strips; 0: there are none
    iso_per_pixel: float  # 0: there is no pixel chamber


class RingSettings(NamedTuple):
    """What the charge of the ring is held against, on the scale of INT1."""

    counts_per_pulse: float  # counts that the particles of a pulse make; 0: the ring is not read
    ratio: float  # part of them that may be missing ...
    short_counts: float  # ... and counts beyond that
    silence_ticks: int  # so long there may be no counts ...
    floor_counts: float  # ... or not more than so many
    fall_ticks: int  # before the announced end: the intensity falls by itself


RING_NOT_READ = RingSettings(0.0, 1.0, 1.0, NEVER, 0.0, 0)
"""The accelerator has no ring, or none that is read."""


class LawSettings(NamedTuple):
    """Settings of the fast control for one slice: limits, rates, geometry, calibration."""

    integral: IntegralLimits
    x: AxisSettings
    y: AxisSettings
    scan_period: int  # ticks
    strip_period: int
    pixel_period: int
    beam_off_ticks: int  # nominal time the chopper takes to remove the beam
    collection_ticks: int
    blanking_ticks: int
    anticipate: int  # 1: command the chopper early
    late_counts_ticks: float  # counts in flight at a chopper command, as ticks of the present intensity
    feedback_gain: float
    settled_A: float
    strip_pitch_mm: float
    pixel_pitch_mm: float
    strip_reach: int  # strips to each side of the prescribed one that make the centre of gravity
    pixel_reach: int
    centroid_counts: int
    pixel_centroid_counts: int
    intensity_bins: int  # scan periods in the window over which the intensity is averaged
    intensity_limit1: int  # counts in the intensity window
    intensity_limit2: int
    particles_per_s_per_count1: float  # to report a tripped intensity
    particles_per_s_per_count2: float
    position_limit_mm: float
    pixel_position_limit_mm: float
    strip_pixel_limit_mm: float
    rate_ratio: float  # of the chambers, across spots ...
    rate_counts: int  # ... over so many counts
    charge_ratio: float  # of a segmented chamber to INT1 ...
    charge_counts: int  # ... over so many counts
    unsettled_spots: int
    excess1: int  # counts that may come beyond a prescription while the beam is switched off
    excess2: int
    first_move_ticks: int  # longest move of the magnets
    deviation_ticks: int  # a read-back may deviate so long, and a move take so much longer
    rise_ticks: int  # of the extracted intensity
    no_counts_ticks: int
    off_counts: int  # counts that are beam although there should be none
    data_periods: int  # so many missing data in a row stop the beam
    event_tolerance_ticks: int
    unconfirmed_counts: int  # the beam is paused when the recovery journal is so far behind
    watchdog_ticks: int  # the patient interlock system waits so long for a sign of life
    ring: RingSettings = RING_NOT_READ
    # What files of format 2 have not has the value that does nothing.
    ion_noise1: float = math.nan  # variance of a count of BOX1 that comes of the ions behind it
    ion_noise2: float = math.nan  # the same of BOX2
    width_ratio: float = 0.0  # of the width at the strips to the expected one, less 1; 0: not checked ...
    width_counts: int = NEVER  # ... over so many counts


class SliceMemory(NamedTuple):
    """The spots that are still to be delivered, as the memory boards hold them."""

    cycle_code: int
    int1_counts: Integers  # what each spot still lacks
    int2_counts: Integers
    int1_per_int2: Floats  # expected ratio of the chambers' counts
    x_strip_mm: Floats
    y_strip_mm: Floats
    x_pixel_mm: Floats
    y_pixel_mm: Floats
    x_current_A: Floats
    y_current_A: Floats
    beam_off: NDArray[np.uint8]  # beam off on the way to this spot
    x_sd_mm: float = math.nan  # expected standard deviation of the beam at the chambers
    y_sd_mm: float = math.nan


class LawState(NamedTuple):
    """Registers and tables that the fast control writes."""

    scalars: Any  # record array of shape (1,), dtype SCALARS
    axes: Any  # record array of shape (2,), dtype AXIS: x and y
    pixels: Any  # record array of shape (2,), dtype PIXELS: of the spot, and since the last check
    safety: Any  # record array of shape (1,), dtype SAFETY
    strips: Integers  # shape (2, n_strips): counts of the current spot, x and y, before the magnets settled
    settled_strips: Integers  # the same from then on
    bins1: Integers  # ring of counts per scan period, for the intensity window
    bins2: Integers
    parts: Any  # record array, dtype PART
    commands: Any  # record array, dtype COMMAND
    interlocks: Any  # record array, dtype INTERLOCK


def new_state(
    memory: SliceMemory, settings: LawSettings, n_strips: int, start_tick: int, announced: tuple[int, int]
) -> LawState:
    """Make the registers for one spill.

    Parameters
    ----------
    memory : SliceMemory
        Spots to deliver, at least one.
    settings : LawSettings
        Settings.
    n_strips : int
        Strips per plane.
    start_tick : int
        Clock of the field at the first sample.
    announced : tuple of int
        Start and end of the extraction, as the timing system announces them, on the same clock.
    """
    n_spots = len(memory.int1_counts)
    scalars = np.zeros(1, SCALARS).view(np.recarray)
    state = LawState(
        scalars=scalars,
        axes=np.zeros(2, AXIS).view(np.recarray),
        pixels=np.zeros(2, PIXELS).view(np.recarray),
        safety=np.zeros(1, SAFETY).view(np.recarray),
        strips=np.zeros((2, n_strips), np.int64),
        settled_strips=np.zeros((2, n_strips), np.int64),
        bins1=np.zeros(settings.intensity_bins, np.int64),
        bins2=np.zeros(settings.intensity_bins, np.int64),
        parts=blank_parts(n_spots).view(np.recarray),
        # A spot makes three entries at most: complete, beam off, beam on; and so does the spill.
        commands=np.zeros(3 * n_spots + 8, COMMAND).view(np.recarray),
        interlocks=np.zeros(INTERLOCK_ROWS, INTERLOCK).view(np.recarray),
    )
    s = scalars[0]
    s.tick = start_tick
    s.phase_tick = start_tick
    state.safety.permit = 1
    for name in ("alive_tick", "seen_tick", "off_tick", "leak_tick"):
        state.safety[name] = start_tick
    s.unwatched_tick = s.floor_tick = start_tick
    s.settled_tick = -1
    s.due_tick = start_tick + settings.first_move_ticks
    s.counted_tick = start_tick
    s.start_due, s.end_due = announced
    s.prescribed2 = memory.int2_counts.sum()
    s.target1 = memory.int1_counts[0]
    s.target2 = memory.int2_counts[0]
    s.chopper_target1 = NEVER
    s.int1_per_int2 = memory.int1_per_int2[0]
    for axis, current_A in zip(state.axes, (memory.x_current_A, memory.y_current_A), strict=True):
        axis.set_A = current_A[0]
        axis.current_tick = start_tick
        axis.last_mm = np.nan
        axis.last_row = -1
    return state


def open_parts(law: LawState, first: int) -> NDArray[np.void]:
    """Copy rows of ``parts`` from `first` on to the current one, with what the current one has so far."""
    s = law.scalars[0]
    parts = np.array(law.parts[first : int(s.row) + 1])
    if s.phase == DONE:
        return parts  # closed: what follows is booked to nobody
    parts[-1]["spot"], parts[-1]["end_tick"] = s.spot, s.tick
    parts[-1]["int1_counts"], parts[-1]["int2_counts"] = s.int1, s.int2
    return parts
