"""Scan FPGA: sets and reads the magnet currents at 40 kHz (section III.B.2.1).

It follows the trigger of the Int FPGA, adds the position feedback of the Strip FPGA, and holds the
magnets while the beam is switched off for a long jump.
"""

from __future__ import annotations

import math

from spotline.control import interlocks
from spotline.control.integral import enter, set_chopper, trip
from spotline.control.memory import (
    DELIVERING,
    LEAVING,
    MOVING,
    AxisSettings,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.jit import kernel


@kernel
def to_step(current_A: float, step_A: float) -> float:
    """Round a current to the quantum of its supply (0: continuous)."""
    if step_A <= 0.0:
        return current_A
    return math.floor(current_A / step_A + 0.5) * step_A


@kernel
def check_current(law: LawState, settings: LawSettings, plane: int, axis_settings: AxisSettings) -> None:
    """Stop if a read-back is not at the set-point of the period before although the magnet had its time."""
    s, axis = law.scalars[0], law.axes[plane]
    deviation_A, limit_A = axis.read_A - axis.set_A, axis_settings.deviation_limit_A
    if s.tick < s.due_tick or abs(deviation_A) < limit_A:
        axis.current_tick = s.tick
    elif s.tick - axis.current_tick >= settings.deviation_ticks:
        cause = interlocks.CURRENT_X if plane == 0 else interlocks.CURRENT_Y
        trip(law, cause, interlocks.STOP, deviation_A, limit_A)


@kernel
def check_arrival(law: LawState, settings: LawSettings, x_read_A: float, y_read_A: float) -> bool:
    """Whether the read-backs arrived; stop if they fail to for too long.

    Meanwhile the set-points are held, and no time runs against the magnets.
    """
    s = law.scalars[0]
    if not (math.isnan(x_read_A) or math.isnan(y_read_A)):
        s.current_missing = 0
        return True
    s.current_missing += 1
    s.due_tick += settings.scan_period
    for axis in law.axes:
        axis.current_tick += settings.scan_period
    if s.current_missing >= settings.data_periods:
        missing_us = s.current_missing * settings.scan_period
        limit_us = settings.data_periods * settings.scan_period
        trip(law, interlocks.DATA_CURRENT, interlocks.STOP, missing_us, limit_us)
    return False


@kernel
def scan_period(
    law: LawState, settings: LawSettings, memory: SliceMemory, x_read_A: float, y_read_A: float
) -> None:
    """Handle one read-back of both supplies and write the next set-points.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards; the set-points are ``set_A`` of both axes.
    x_read_A, y_read_A : float
        Currents read back; NaN if they did not arrive.
    """
    if not check_arrival(law, settings, x_read_A, y_read_A):
        return
    s = law.scalars[0]
    x, y = law.axes[0], law.axes[1]
    x.read_A = x_read_A
    y.read_A = y_read_A
    check_current(law, settings, 0, settings.x)
    check_current(law, settings, 1, settings.y)
    if s.phase == LEAVING:
        if s.tick - s.phase_tick < settings.beam_off_ticks:
            s.due_tick += settings.scan_period
            return  # the magnets hold until the beam is off
        enter(law, MOVING)

    x.set_A = to_step(memory.x_current_A[s.spot] + x.correction_A, settings.x.step_A)
    y.set_A = to_step(memory.y_current_A[s.spot] + y.correction_A, settings.y.step_A)
    if s.settled_tick >= 0:
        return
    if abs(x_read_A - x.set_A) < settings.settled_A and abs(y_read_A - y.set_A) < settings.settled_A:
        s.settled_tick = s.tick
        if s.phase == MOVING:
            set_chopper(law, 1)
            enter(law, DELIVERING)
