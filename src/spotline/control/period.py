"""One scan period of the fast control: what comes before its samples, and what after them.

The fast loop of a room and the replay of a recording both call these two, so that the order of things is
the same wherever the law runs.
"""

from __future__ import annotations

from spotline.control.integral import integral_period, trip
from spotline.control.interlocks import STOP
from spotline.control.memory import (
    END_NONE,
    INPUT_END,
    INPUT_HANG,
    INPUT_START,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.safety import cause_of, patient_interlock
from spotline.control.scan import scan_period
from spotline.control.timing import timing_event
from spotline.jit import kernel


@kernel
def open_period(
    law: LawState,
    settings: LawSettings,
    memory: SliceMemory,
    inputs: int,
    broadcast_code: int,
    x_read_A: float,
    y_read_A: float,
) -> None:
    """Handle the interlock lines, events and read-backs with which a scan period begins.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards.
    inputs : int
        Bits ``INPUT_...`` of `spotline.control.memory`.
    broadcast_code : int
        Cycle-code that the timing system broadcasts with an event.
    x_read_A, y_read_A : float
        Currents read back; NaN if they did not arrive.
    """
    s, safety = law.scalars[0], law.safety[0]
    patient_interlock(law, settings, inputs)
    if inputs & INPUT_HANG:
        return
    safety.alive_tick = s.tick
    if safety.permit == 0 and s.end_reason == END_NONE:
        cause = cause_of(safety.first_line)
        if cause != 0:
            trip(law, cause, STOP, 1.0, 0.0)
    for event in (INPUT_START, INPUT_END):
        if inputs & event:
            timing_event(law, memory, event, broadcast_code)
    scan_period(law, settings, memory, x_read_A, y_read_A)


@kernel
def close_period(law: LawState, settings: LawSettings, memory: SliceMemory, inputs: int) -> None:
    """Do what the fast control does once per scan period after its samples."""
    if inputs & INPUT_HANG:
        return
    integral_period(law, settings, memory)
