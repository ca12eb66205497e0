"""One scan period of the fast control: what comes before its samples, and what after them.

The fast loop of a room and the replay of a recording both call these two, so that the order of things is
the same wherever the law runs.
"""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.integral import close_spill, integral_decision, integral_period, integral_sample, trip
from spotline.control.memory import (
    DONE,
    INPUT_CONFIRMED,
    INPUT_END,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_START,
    LawSettings,
    LawState,
    SliceMemory,
)
from spotline.control.pixel import has_pixels
from spotline.control.ring import ring_period
from spotline.control.safety import is_beam_wanted, patient_interlock, safety_interlock, watch_start
from spotline.control.scan import scan_period
from spotline.control.strip import has_strips
from spotline.control.timing import check_events, timing_event
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

    A fast control that is done with its spill rests, alive, and takes no notice of anything; the interlock
    systems are circuits of their own and do not.

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
    watch_start(law, inputs)
    if inputs & INPUT_HANG:
        return
    safety.alive_tick = s.tick
    if s.phase == DONE:
        return
    if inputs & INPUT_CONFIRMED:
        s.unconfirmed1 = 0
    check_events(law, settings)
    for event in (INPUT_START, INPUT_END):
        if inputs & event:
            timing_event(law, settings, memory, event, broadcast_code)
    scan_period(law, settings, memory, x_read_A, y_read_A)
    if is_beam_wanted(law):
        safety.off_tick = s.tick


@kernel
def missing_in_a_row(
    law: LawState, settings: LawSettings, is_missing: bool, before: int, period: int, cause: int
) -> int:
    """Count data that did not arrive, `before` so far; stop when there are too many in a row."""
    if not is_missing:
        return 0
    missing, limit = before + 1, settings.data_periods
    if missing >= limit:
        trip(law, cause, interlocks.STOP, missing * period, limit * period)
    return missing


@kernel
def check_data(law: LawState, settings: LawSettings, inputs: int) -> None:
    """Stop if samples or frames that are due do not arrive; none are due of what the line does not have."""
    s = law.scalars[0]
    s.integral_missing = missing_in_a_row(
        law,
        settings,
        inputs & INPUT_NO_INTEGRAL != 0,
        s.integral_missing,
        settings.scan_period,
        interlocks.DATA_INTEGRAL,
    )
    if has_strips(settings) and s.tick % settings.strip_period == 0:
        is_missing, period = inputs & INPUT_NO_STRIP != 0, settings.strip_period
        s.strip_missing = missing_in_a_row(
            law, settings, is_missing, s.strip_missing, period, interlocks.DATA_STRIP
        )
    if has_pixels(settings) and s.tick % settings.pixel_period == 0:
        is_missing, period = inputs & INPUT_NO_PIXEL != 0, settings.pixel_period
        s.pixel_missing = missing_in_a_row(
            law, settings, is_missing, s.pixel_missing, period, interlocks.DATA_PIXEL
        )


@kernel
def read_out_missed(law: LawState, settings: LawSettings, memory: SliceMemory) -> None:
    """Take what the counters gathered while they were not read out: it comes with the next sample."""
    safety = law.safety[0]
    int1, int2 = safety.missed1, safety.missed2
    safety.missed1 = 0
    safety.missed2 = 0
    if integral_sample(law.scalars[0], settings.integral, int1, int2):
        integral_decision(law, settings, memory)


@kernel
def close_period(law: LawState, settings: LawSettings, memory: SliceMemory, inputs: int) -> None:
    """Do what is done once per scan period after its samples; by the safety interlock system always.

    The counts of the period, as the safety interlock system saw them, stand in its registers ``seen1`` and
    ``seen2``.
    """
    safety = law.safety[0]
    safety_interlock(law, settings)
    if law.scalars[0].phase == DONE:
        return
    if inputs & (INPUT_HANG | INPUT_NO_INTEGRAL):
        safety.missed1 += safety.seen1
        safety.missed2 += safety.seen2
    if inputs & INPUT_HANG == 0:
        if inputs & INPUT_NO_INTEGRAL == 0 and safety.missed1 + safety.missed2 > 0:
            read_out_missed(law, settings, memory)
        ring_period(law, settings, inputs)
        integral_period(law, settings, memory)
        check_data(law, settings, inputs)
    close_spill(law, settings, memory)
