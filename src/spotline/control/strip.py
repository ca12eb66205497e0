"""Strip FPGA: position of the beam at 20 kHz (section III.B.2.1).

As soon as enough counts are in, the centre of gravity is compared with the prescribed position;
the difference goes to the Scan FPGA as feedback, or pauses the beam when it passes the threshold.
With too few counts there is no feedback, and the strip with most counts stands for the position.
"""

from __future__ import annotations

import math
from typing import Any

from spotline.arrays import Frame, Integers
from spotline.control import interlocks
from spotline.control.integral import trip
from spotline.control.memory import (
    DELIVERING,
    WINDOW_TICKS,
    AxisSettings,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.width import strip_width
from spotline.jit import kernel


@kernel
def centre_of_gravity(moment: float, counts: float, n_channels: int, pitch_mm: float) -> float:
    """Position from the sum of count times channel index; the middle of the chamber is 0."""
    return (moment / counts - 0.5 * (n_channels - 1)) * pitch_mm


@kernel
def strongest(counts: Integers) -> float:
    """Index of the channel with most counts; of equals the middle one, between the middle two if even.

    The first of equals would put weak spots a millimetre to one side in the mean.
    """
    most = 0
    equals = 0
    for i in range(len(counts)):
        if counts[i] > most:
            most = counts[i]
            equals = 0
        if counts[i] == most:
            equals += 1
    lower = 0
    upper = 0
    seen = 0
    for i in range(len(counts)):
        if counts[i] == most:
            if seen == (equals - 1) // 2:
                lower = i
            if seen == equals // 2:
                upper = i
            seen += 1
    return 0.5 * (lower + upper)


@kernel
def nearest_channel(position_mm: float, n_channels: int, pitch_mm: float) -> int:
    """Index of the channel at a position."""
    return math.floor(position_mm / pitch_mm + 0.5 * n_channels)


@kernel
def total_and_moment(counts: Integers | Frame, first: int, past: int) -> tuple[int, int]:
    """Sum of counts, and of counts times channel index, of some channels."""
    first = max(first, 0)
    part = counts[first : max(first, min(past, len(counts)))]
    total = 0
    moment = 0
    for i in range(len(part)):
        total += part[i]
        moment += part[i] * i
    return total, moment + total * first


@kernel
def add(sums: Integers, frame: Frame, region: Integers) -> int:
    """Add the part of a frame that may differ from zero; return its counts."""
    part, new = sums[region[0] : region[1]], frame[region[0] : region[1]]
    total = 0
    for i in range(len(new)):
        part[i] += new[i]
        total += new[i]
    return total


@kernel
def check_charge(law: LawState, settings: LawSettings, chamber: Any, counts: int, cause: int) -> None:
    """Compare the charge of a segmented chamber with that of INT1, over many counts of either.

    Parameters
    ----------
    law, settings
        Registers and settings.
    chamber : record
        Registers of the chamber, with ``total`` and ``from_total1``.
    counts : int
        Counts of the frame.
    cause : int
        Interlock of a difference.
    """
    chamber.total += counts
    int1 = law.scalars[0].total1 - chamber.from_total1
    if max(int1, chamber.total) < settings.charge_counts:
        return
    difference = abs(chamber.total - int1)
    if difference >= settings.charge_ratio * int1:
        ratio = difference / int1 if int1 > 0 else math.inf
        trip(law, cause, interlocks.STOP, ratio, settings.charge_ratio)
    chamber.total = 0
    chamber.from_total1 = law.scalars[0].total1


@kernel
def is_elsewhere(inside: int, everywhere: int) -> bool:
    """Whether most counts lie far from the prescribed position.

    A single background count at the edge of the chamber would move the centre of gravity of a weak spot
    by millimetres, so only channels near the prescribed position count, unless the beam is not there.
    """
    return 2 * inside < everywhere


@kernel
def position_of(
    counts: Integers, middle: int, reach: int, minimum: int, pitch_mm: float
) -> tuple[float, int, int]:
    """Position in one plane: value in mm, counts behind it, 1 if it is a centre of gravity, else 0.

    Parameters
    ----------
    counts : ndarray of int, shape (n_strips,)
    middle, reach : int
        Strip of the prescribed position, and how many to each side of it count.
    minimum : int
        Counts that a centre of gravity needs; with fewer it is the strip with most counts, and NaN
        without any.
    pitch_mm : float
    """
    n_strips = len(counts)
    everywhere, moment_everywhere = total_and_moment(counts, 0, n_strips)
    total, moment = total_and_moment(counts, middle - reach, middle + reach + 1)
    if is_elsewhere(total, everywhere):
        total, moment = everywhere, moment_everywhere
    if total >= minimum:
        return centre_of_gravity(moment, total, n_strips, pitch_mm), total, 1
    if everywhere > 0:
        return (strongest(counts) - 0.5 * (n_strips - 1)) * pitch_mm, total, 0
    return math.nan, 0, 0


@kernel
def spot_position(
    law: LawState, settings: LawSettings, plane: int, prescribed_mm: float
) -> tuple[float, int, int]:
    """Position of a finished spot in one plane, as `position_of` gives it.

    Counts taken with the magnets settled come first.  A spot too short for enough of them falls back
    on all its counts, which late charge of the spot before pulls a little.
    """
    pitch_mm, minimum = settings.strip_pitch_mm, settings.centroid_counts
    middle = nearest_channel(prescribed_mm, law.strips.shape[1], pitch_mm)
    settled = position_of(law.settled_strips[plane], middle, settings.strip_reach, minimum, pitch_mm)
    if settled[2] == 1:
        return settled
    counts = law.strips[plane]
    for i in range(len(counts)):
        counts[i] += law.settled_strips[plane, i]
    return position_of(counts, middle, settings.strip_reach, minimum, pitch_mm)


@kernel
def write_strip_widths(law: LawState, settings: LawSettings, memory: SliceMemory, part: Any) -> None:
    """Write the widths of a finished spot, from counts taken with the magnets settled only.

    A width takes as many counts as a centre of gravity: rounding to whole counts makes either uncertain by
    about the same part of a millimetre.
    """
    row = law.scalars[0].strip_row
    pitch_mm, n_strips = settings.strip_pitch_mm, law.strips.shape[1]
    reach, minimum, noise = settings.strip_reach, settings.centroid_counts, settings.ion_noise1
    x_mm, x_error_mm, x_counts = math.nan, math.nan, 0
    y_mm, y_error_mm, y_counts = math.nan, math.nan, 0
    if settings.x.iso_per_strip > 0.0:
        x = nearest_channel(memory.x_strip_mm[row], n_strips, pitch_mm)
        x_mm, x_error_mm, x_counts = strip_width(law.settled_strips[0], x, reach, minimum, pitch_mm, noise)
    if settings.y.iso_per_strip > 0.0:
        y = nearest_channel(memory.y_strip_mm[row], n_strips, pitch_mm)
        y_mm, y_error_mm, y_counts = strip_width(law.settled_strips[1], y, reach, minimum, pitch_mm, noise)
    part.x_strip_sd_mm = x_mm
    part.y_strip_sd_mm = y_mm
    part.x_strip_sd_error_mm = x_error_mm
    part.y_strip_sd_error_mm = y_error_mm
    part.strip_x_sd_counts = x_counts
    part.strip_y_sd_counts = y_counts
    part.width_valid = 1 if x_mm > 0.0 and y_mm > 0.0 else 0
    if settings.width_ratio > 0.0:
        check_width(law, settings, law.axes[0], x_mm / memory.x_sd_mm, x_counts, interlocks.WIDTH_X)
        check_width(law, settings, law.axes[1], y_mm / memory.y_sd_mm, y_counts, interlocks.WIDTH_Y)


@kernel
def check_width(
    law: LawState, settings: LawSettings, axis: Any, ratio: float, counts: int, cause: int
) -> None:
    """Compare the measured width with the expected one, over enough counts of one or several spots."""
    if not ratio > 0.0:
        return
    axis.width_sum += counts * ratio * ratio
    axis.width_counts += counts
    if axis.width_counts < settings.width_counts:
        return
    deviation = math.sqrt(axis.width_sum / axis.width_counts) - 1.0
    axis.width_sum = 0.0
    axis.width_counts = 0
    if abs(deviation) >= settings.width_ratio:
        trip(law, cause, interlocks.STOP, deviation, settings.width_ratio)


@kernel
def close_strip_spot(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Write the position of the spot that the registers belong to, and clear them."""
    s = law.scalars[0]
    part = law.parts[s.strip_row]
    # Rows of `parts` and spots in the memory boards have the same numbers.
    write_strip_widths(law, settings, memory, part)
    x_mm, x_counts, x_valid = math.nan, 0, 1
    y_mm, y_counts, y_valid = math.nan, 0, 1
    if settings.x.iso_per_strip > 0.0:
        x_mm, x_counts, x_valid = spot_position(law, settings, 0, memory.x_strip_mm[s.strip_row])
    if settings.y.iso_per_strip > 0.0:
        y_mm, y_counts, y_valid = spot_position(law, settings, 1, memory.y_strip_mm[s.strip_row])
    part.x_strip_mm = x_mm
    part.y_strip_mm = y_mm
    part.strip_x_counts = x_counts
    part.strip_y_counts = y_counts
    if has_strips(settings):  # otherwise the pixels say whether there is a position
        part.position_valid = x_valid * y_valid
    law.strips[:] = 0
    law.settled_strips[:] = 0
    for axis in law.axes:
        clear_window(axis, s.tick)
    s.strip_row = s.row


@kernel
def clear_window(axis: Any, tick: int) -> None:
    """Begin to collect counts for the next correction."""
    axis.since_tick = tick
    axis.inside = 0
    axis.inside_moment = 0
    axis.everywhere = 0
    axis.everywhere_moment = 0


@kernel
def check_axis(
    law: LawState,
    settings: LawSettings,
    plane: int,
    axis_settings: AxisSettings,
    frame: Frame,
    region: Integers,
    prescribed_mm: float,
    cause: int,
) -> None:
    """Add a frame with the magnets settled; with enough counts, correct the position or pause the beam."""
    axis, tick = law.axes[plane], law.scalars[0].tick
    if tick - axis.since_tick > WINDOW_TICKS:
        clear_window(axis, tick)
    pitch_mm, n_strips = settings.strip_pitch_mm, len(frame)
    middle = nearest_channel(prescribed_mm, n_strips, pitch_mm)
    first, past = middle - settings.strip_reach, middle + settings.strip_reach + 1
    total, moment = total_and_moment(frame, region[0], region[1])
    axis.everywhere += total
    axis.everywhere_moment += moment
    if region[0] < first or region[1] > past:
        total, moment = total_and_moment(frame, max(first, region[0]), min(past, region[1]))
    axis.inside += total
    axis.inside_moment += moment
    if is_elsewhere(axis.inside, axis.everywhere):
        counts, moment = axis.everywhere, axis.everywhere_moment
    else:
        counts, moment = axis.inside, axis.inside_moment
    if counts < settings.centroid_counts:
        return
    position_mm = centre_of_gravity(moment, counts, n_strips, pitch_mm)
    axis.last_mm = position_mm
    axis.last_row = law.scalars[0].row
    clear_window(axis, tick)
    deviation_mm = (position_mm - prescribed_mm) * axis_settings.iso_per_strip
    if abs(deviation_mm) >= settings.position_limit_mm:
        trip(law, cause, interlocks.PAUSE, deviation_mm, settings.position_limit_mm)
    corrected_A = axis.correction_A - settings.feedback_gain * deviation_mm * axis_settings.A_per_mm
    limit_A = axis_settings.feedback_limit_A
    axis.correction_A = max(-limit_A, min(limit_A, corrected_A))


@kernel
def is_beam_placed(law: LawState, settings: LawSettings, period: int) -> bool:
    """Whether a frame of `period` ticks that ends now was taken with the magnets long enough at rest.

    Charge of the spot before arrives for as long as the slowest ions drift, hence the blanking.
    """
    s = law.scalars[0]
    if s.phase != DELIVERING or s.settled_tick < 0:
        return False
    return s.tick - period >= s.settled_tick + settings.blanking_ticks


@kernel
def has_strips(settings: LawSettings) -> bool:
    """Whether the line has strips at all."""
    return settings.x.iso_per_strip > 0.0 or settings.y.iso_per_strip > 0.0


@kernel
def check_charges(law: LawState, settings: LawSettings, x_counts: int, y_counts: int) -> None:
    """Compare the charge of a frame of the strip chambers that there are."""
    if settings.x.iso_per_strip > 0.0:
        check_charge(law, settings, law.axes[0], x_counts, interlocks.STRIP_CHARGE_X)
    if settings.y.iso_per_strip > 0.0:
        check_charge(law, settings, law.axes[1], y_counts, interlocks.STRIP_CHARGE_Y)


@kernel
def strip_frame(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    frame_x: Frame,
    region_x: Integers,
    frame_y: Frame,
    region_y: Integers,
) -> None:
    """Handle one frame of the strip chambers; one that is not there has no counts, and is not checked.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards.
    frame_x, frame_y : ndarray of int, shape (n_strips,)
        Counts since the frame before.
    region_x, region_y : ndarray of int, shape (2,)
        First and one past the last strip that may differ from 0.
    """
    s = law.scalars[0]
    if s.strip_row != s.row:
        x_counts, _ = total_and_moment(frame_x, region_x[0], region_x[1])
        y_counts, _ = total_and_moment(frame_y, region_y[0], region_y[1])
        check_charges(law, settings, x_counts, y_counts)
        close_strip_spot(law, settings, memory)  # the frame of the trigger belongs to neither spot
        return
    is_placed = is_beam_placed(law, settings, settings.strip_period)
    sums = law.settled_strips if is_placed else law.strips
    x_counts = add(sums[0], frame_x, region_x)
    y_counts = add(sums[1], frame_y, region_y)
    check_charges(law, settings, x_counts, y_counts)
    if not is_placed:
        return
    x_mm, y_mm = memory.x_strip_mm[s.spot], memory.y_strip_mm[s.spot]
    if settings.x.iso_per_strip > 0.0:
        check_axis(law, settings, 0, settings.x, frame_x, region_x, x_mm, interlocks.POSITION_X)
    if settings.y.iso_per_strip > 0.0:
        check_axis(law, settings, 1, settings.y, frame_y, region_y, y_mm, interlocks.POSITION_Y)
