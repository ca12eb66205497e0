"""Timing FPGA: the dialogue with the accelerator (sections III.B.2.1 and III.C).

Before each spill the timing system broadcasts a cycle-code, and the FPGA grants the spill only if it
is the one that the slice in memory needs.  The start and end of extraction reach it as events.  At
the end of a spill it asks for the same cycle again, for the next one, or for nothing.
"""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.integral import end_spill, enter, set_chopper, trip
from spotline.control.memory import (
    DELIVERING,
    END_NONE,
    END_OF_EXTRACTION,
    END_STOP,
    INPUT_END,
    INPUT_START,
    MOVING,
    WAITING,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.jit import kernel

REQUEST_NOTHING = 0
REQUEST_REPEAT_CYCLE = 1
REQUEST_NEXT_CYCLE = 2


def acknowledge(requested_code: int, broadcast_code: int) -> bool:
    """Whether a broadcast cycle-code is granted: only if it is the one that was asked for."""
    return requested_code == broadcast_code


@kernel
def check_events(law: LawState, settings: LawSettings) -> None:
    """Pause if the start of extraction, or its end, has not come although it was announced."""
    s = law.scalars[0]
    limit = settings.event_tolerance_ticks
    if s.end_reason != END_NONE:
        return
    due = s.start_due if s.start_seen == 0 else s.end_due
    if s.tick - due >= limit:
        trip(law, interlocks.EVENT_MISSING, interlocks.PAUSE, s.tick - due, limit)


@kernel
def is_expected(law: LawState, settings: LawSettings, due: int, times_seen: int) -> bool:
    """Whether an event may come now; if not, stop."""
    early, limit = due - law.scalars[0].tick, settings.event_tolerance_ticks
    if early < limit and times_seen == 0:
        return True
    trip(law, interlocks.EVENT_UNEXPECTED, interlocks.STOP, early, limit)
    return False


@kernel
def timing_event(
    law: LawState, settings: LawSettings, memory: SliceMemory, event: int, broadcast_code: int
) -> None:
    """Handle one event of the timing system.

    Parameters
    ----------
    law, settings, memory
        Registers, settings and memory boards.
    event : int
        `INPUT_START` or `INPUT_END`.
    broadcast_code : int
        Cycle-code that the timing system broadcasts with the event.
    """
    s, safety = law.scalars[0], law.safety[0]
    if broadcast_code != memory.cycle_code:
        trip(law, interlocks.SYNCHRONIZATION, interlocks.STOP, broadcast_code, memory.cycle_code)
        return
    if event == INPUT_START:
        expected = is_expected(law, settings, s.start_due, s.start_seen)
        s.start_seen = 1
        if not expected or s.phase != WAITING:
            return
        s.int1 = 0  # background while waiting is nobody's
        s.int2 = 0
        s.bin1 += safety.missed1
        s.bin2 += safety.missed2
        safety.missed1 = 0
        safety.missed2 = 0
        law.parts[s.row].start_tick = s.tick
        if s.settled_tick >= 0:
            set_chopper(law, 1)
            enter(law, DELIVERING)
        else:
            enter(law, MOVING)
    elif event == INPUT_END:
        is_expected(law, settings, s.end_due, s.end_seen)
        s.end_seen = 1
        end_spill(law, END_OF_EXTRACTION)


def request_after(end_reason: int, is_last_slice: bool, is_slice_complete: bool) -> int:
    """What to ask the accelerator for at the end of a spill.

    Parameters
    ----------
    end_reason : int
        How the spill ended.
    is_last_slice : bool
        Whether the slice in memory is the last one of the field.
    is_slice_complete : bool
        Whether all its spots are complete.

    Returns
    -------
    int
        `REQUEST_REPEAT_CYCLE` for the same slice again, `REQUEST_NEXT_CYCLE` for the next one,
        `REQUEST_NOTHING` when the field is complete or an interlock stopped the treatment.
    """
    if end_reason == END_STOP:
        return REQUEST_NOTHING
    if not is_slice_complete:
        return REQUEST_REPEAT_CYCLE
    return REQUEST_NOTHING if is_last_slice else REQUEST_NEXT_CYCLE
