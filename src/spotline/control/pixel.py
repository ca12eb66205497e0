"""Pixel FPGA: position of the beam in the back-up box at 10 kHz (section III.B.2.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from spotline.arrays import Frame, Integers
from spotline.control import interlocks
from spotline.control.integral import trip
from spotline.control.memory import WINDOW_TICKS, AxisSettings, LawSettings, LawState, SliceMemory
from spotline.control.strip import (
    centre_of_gravity,
    check_charge,
    has_strips,
    is_beam_placed,
    is_elsewhere,
    nearest_channel,
)
from spotline.control.width import error_of, pixel_spread, within
from spotline.jit import kernel

NARROWEST = 0.2
"""Variance in pitch^2 below which pixels tell no width: it would depend on where in a pixel the beam lies."""


@kernel
def has_pixels(settings: LawSettings) -> bool:
    """Whether the line has a pixel chamber."""
    return settings.x.iso_per_pixel > 0.0


@kernel
def clear(registers: Any, tick: int) -> None:
    """Clear one row of registers."""
    registers.since_tick = tick
    registers.inside = 0
    registers.x_moment = 0
    registers.y_moment = 0
    registers.x_second = 0
    registers.y_second = 0
    registers.everywhere = 0
    registers.everywhere_x_moment = 0
    registers.everywhere_y_moment = 0


@kernel
def position(registers: Any, settings: LawSettings, n_pixels: int) -> tuple[float, float, int]:
    """Centre of gravity in x and y at the chamber in mm, and the counts behind it; NaN without counts."""
    counts, x_moment, y_moment = registers.inside, registers.x_moment, registers.y_moment
    if is_elsewhere(registers.inside, registers.everywhere):
        counts, x_moment, y_moment = (
            registers.everywhere,
            registers.everywhere_x_moment,
            registers.everywhere_y_moment,
        )
    if counts == 0:
        return np.nan, np.nan, 0
    x_mm = centre_of_gravity(x_moment, counts, n_pixels, settings.pixel_pitch_mm)
    y_mm = centre_of_gravity(y_moment, counts, n_pixels, settings.pixel_pitch_mm)
    return x_mm, y_mm, counts


@kernel
def write_pixel_widths(
    registers: Any, settings: LawSettings, memory: SliceMemory, row: int, part: Any, n_pixels: int
) -> None:
    """Write the widths of a finished spot; as many counts as for the centre of gravity, see the strips."""
    counts = registers.inside
    part.pixel_sd_counts = counts
    if counts < settings.pixel_centroid_counts or counts == 0:
        return
    if is_elsewhere(counts, registers.everywhere):
        return
    pitch_mm = settings.pixel_pitch_mm
    column = nearest_channel(memory.x_pixel_mm[row], n_pixels, pitch_mm)
    line = nearest_channel(memory.y_pixel_mm[row], n_pixels, pitch_mm)
    # At the edge of the chamber the window is cut, and a width is not worth the trouble.
    reach = settings.pixel_reach
    if min(column, line) < reach or max(column, line) + reach >= n_pixels:
        return
    x_mean, x_variance, x_slope = within(registers.x_moment, registers.x_second, counts, column, reach)
    y_mean, y_variance, y_slope = within(registers.y_moment, registers.y_second, counts, line, reach)
    if not (x_variance > NARROWEST and y_variance > NARROWEST):
        return
    x_spread, y_spread = pixel_spread(counts, x_mean, y_mean, x_variance, y_variance, settings.ion_noise2)
    x_mm, x_error_mm = error_of(x_variance, x_spread, x_slope, pitch_mm)
    y_mm, y_error_mm = error_of(y_variance, y_spread, y_slope, pitch_mm)
    part.x_pixel_sd_mm = x_mm
    part.y_pixel_sd_mm = y_mm
    part.x_pixel_sd_error_mm = x_error_mm
    part.y_pixel_sd_error_mm = y_error_mm
    part.pixel_width_valid = 1


@kernel
def close_pixel_spot(law: LawState, settings: LawSettings, memory: SliceMemory, n_pixels: int) -> None:
    """Write the position and the width of the spot that the registers belong to, and clear them."""
    s = law.scalars[0]
    part = law.parts[s.pixel_row]
    x_mm, y_mm, counts = position(law.pixels[0], settings, n_pixels)
    part.pixel_counts = counts
    if counts >= settings.pixel_centroid_counts:
        part.x_pixel_mm = x_mm
        part.y_pixel_mm = y_mm
        if not has_strips(settings):  # no strip frame ever closes a spot
            part.position_valid = 1
    write_pixel_widths(law.pixels[0], settings, memory, s.pixel_row, part, n_pixels)
    clear(law.pixels[0], s.tick)
    clear(law.pixels[1], s.tick)
    s.pixel_row = s.row


@kernel
def three_moments(counts: Frame, first: int, past: int) -> tuple[int, int, int]:
    """Sum of counts, of counts times channel index, and of counts times its square, of some channels."""
    first = max(first, 0)
    part = counts[first : max(first, min(past, len(counts)))]
    total = 0
    moment = 0
    second = 0
    for i in range(len(part)):
        total += part[i]
        moment += part[i] * i
        second += part[i] * i * i
    return total, moment + total * first, second + (2 * moment + total * first) * first


@kernel
def add_pixels(registers: Any, frame: Frame, region: Integers, column: int, row: int, reach: int) -> None:
    """Add a frame to both rows of registers; `column` and `row` are the prescribed pixel."""
    first, past = region[2], max(region[2], region[3])
    near, beyond = max(first, column - reach), min(past, column + reach + 1)
    spot, window = registers[0], registers[1]
    is_near = near == first and beyond == past  # then one pass over a row is enough
    for j in range(region[0], region[1]):
        total, moment, second = three_moments(frame[j], first, past)
        if total == 0:
            continue
        for sums in (spot, window):
            sums.everywhere += total
            sums.everywhere_x_moment += moment
            sums.everywhere_y_moment += total * j
        if abs(j - row) <= reach:
            if not is_near:
                total, moment, second = three_moments(frame[j], near, beyond)
            spot.x_second += second
            spot.y_second += total * j * j
            for sums in (spot, window):
                sums.inside += total
                sums.x_moment += moment
                sums.y_moment += total * j


@kernel
def frame_counts(frame: Frame, region: Integers) -> int:
    """Counts of a frame in the part of it that may differ from zero."""
    total = 0
    for j in range(region[0], region[1]):
        row = frame[j, region[2] : max(region[2], region[3])]
        for i in range(len(row)):
            total += row[i]
    return total


@kernel
def check_plane(
    law: LawState,
    settings: LawSettings,
    plane: int,
    axis_settings: AxisSettings,
    measured_mm: float,
    prescribed_mm: float,
) -> None:
    """Compare a position, at the chamber, with the prescribed one and with that of the strips."""
    axis = law.axes[plane]
    position_mm = measured_mm * axis_settings.iso_per_pixel
    deviation_mm = (measured_mm - prescribed_mm) * axis_settings.iso_per_pixel
    if abs(deviation_mm) >= settings.pixel_position_limit_mm:
        cause = interlocks.PIXEL_POSITION_X if plane == 0 else interlocks.PIXEL_POSITION_Y
        trip(law, cause, interlocks.PAUSE, deviation_mm, settings.pixel_position_limit_mm)
    if axis.last_row != law.scalars[0].row:
        return  # the strips have no position of this spot
    distance_mm = position_mm - axis.last_mm * axis_settings.iso_per_strip
    if abs(distance_mm) >= settings.strip_pixel_limit_mm:
        cause = interlocks.STRIP_PIXEL_X if plane == 0 else interlocks.STRIP_PIXEL_Y
        trip(law, cause, interlocks.STOP, distance_mm, settings.strip_pixel_limit_mm)


@kernel
def pixel_frame(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    frame: Frame,
    region: Integers,
) -> None:
    """Handle one frame of the pixel chamber.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards.
    frame : ndarray of int, shape (n_pixels, n_pixels)
        Counts since the frame before, rows along y and columns along x.
    region : ndarray of int, shape (4,)
        First and one past the last row, first and one past the last column that may differ from 0.
    """
    s = law.scalars[0]
    n_pixels = frame.shape[0]
    check_charge(law, settings, law.pixels[0], frame_counts(frame, region), interlocks.PIXEL_CHARGE)
    if s.pixel_row != s.row:
        close_pixel_spot(law, settings, memory, n_pixels)
        return
    if not is_beam_placed(law, settings, settings.pixel_period):
        return
    if s.tick - law.pixels[1].since_tick > WINDOW_TICKS:
        clear(law.pixels[1], s.tick)
    pitch_mm = settings.pixel_pitch_mm
    column = nearest_channel(memory.x_pixel_mm[s.spot], n_pixels, pitch_mm)
    row = nearest_channel(memory.y_pixel_mm[s.spot], n_pixels, pitch_mm)
    add_pixels(law.pixels, frame, region, column, row, settings.pixel_reach)
    x_mm, y_mm, counts = position(law.pixels[1], settings, n_pixels)
    if counts < settings.pixel_centroid_counts:
        return
    clear(law.pixels[1], s.tick)
    check_plane(law, settings, 0, settings.x, x_mm, memory.x_pixel_mm[s.spot])
    check_plane(law, settings, 1, settings.y, y_mm, memory.y_pixel_mm[s.spot])
