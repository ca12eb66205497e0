"""Scan FPGA: sets and reads the magnet currents at 40 kHz (section III.B.2.1).

It follows the trigger of the Int FPGA, adds the position feedback of the Strip FPGA, and holds the
magnets while the beam is switched off for a long jump.
"""

from __future__ import annotations

import math

from spotline.control.integral import enter, set_chopper
from spotline.control.memory import DELIVERING, LEAVING, MOVING, LawSettings, LawState, SliceMemory
from spotline.jit import kernel


@kernel
def to_step(current_A: float, step_A: float) -> float:
    """Round a current to the quantum of its supply (0: continuous)."""
    if step_A <= 0.0:
        return current_A
    return math.floor(current_A / step_A + 0.5) * step_A


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
        Currents read back.
    """
    s = law.scalars[0]
    x, y = law.axes[0], law.axes[1]
    x.read_A = x_read_A
    y.read_A = y_read_A
    if s.phase == LEAVING:
        if s.tick - s.phase_tick < settings.beam_off_ticks:
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
