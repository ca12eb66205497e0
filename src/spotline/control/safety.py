"""Patient and safety interlock systems: the beam is taken away without the fast control (III.C.1).

Both are circuits of their own.  The patient interlock system opens one line to the chopper: its permit.
Any of its inputs takes the permit away, the first one stays to be seen, and only a reset gives it back.
The safety interlock system is the second path: if counts go on although the chopper has had its time, it
asks the accelerator to end the extraction.
"""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.integral import end_spill, late_ticks, trip
from spotline.control.memory import (
    END_PAUSE,
    END_STOP,
    INPUT_COUCH,
    INPUT_GAS,
    INPUT_HIGH_VOLTAGE,
    INPUT_OPERATOR,
    INPUT_SLOW,
    INPUT_START,
    INPUT_SUPERVISION,
    LEAK_TICKS,
    LINE_COUCH,
    LINE_FAST,
    LINE_GAS,
    LINE_HIGH_VOLTAGE,
    LINE_OPERATOR,
    LINE_SLOW,
    LINE_SUPERVISION,
    LINE_WATCHDOG,
    LawSettings,
    LawState,
)
from spotline.jit import kernel


@kernel
def lines_of(law: LawState, settings: LawSettings, inputs: int) -> int:
    """Lines of the patient interlock system that are active, as bits."""
    s, safety = law.scalars[0], law.safety[0]
    lines = 0
    if s.end_reason == END_PAUSE or s.end_reason == END_STOP:
        lines |= LINE_FAST
    if inputs & INPUT_SLOW:
        lines |= LINE_SLOW
    if inputs & INPUT_SUPERVISION:
        lines |= LINE_SUPERVISION
    if inputs & INPUT_OPERATOR:
        lines |= LINE_OPERATOR
    if inputs & INPUT_COUCH:
        lines |= LINE_COUCH
    if inputs & INPUT_HIGH_VOLTAGE:
        lines |= LINE_HIGH_VOLTAGE
    if inputs & INPUT_GAS:
        lines |= LINE_GAS
    if s.tick - safety.alive_tick >= settings.watchdog_ticks:
        lines |= LINE_WATCHDOG
    return lines


@kernel
def patient_interlock(law: LawState, settings: LawSettings, inputs: int) -> None:
    """Latch what comes in on the lines, take the permit away, and record why.

    Nothing of this needs the fast control: it is recorded in the period in which the line comes, even if the
    fast control hangs, and the fast control finds the spill ended when it comes back.
    """
    s, safety = law.scalars[0], law.safety[0]
    lines = lines_of(law, settings, inputs)
    if lines == 0:
        return
    if safety.latched == 0:
        safety.first_line = lines
        safety.first_tick = s.tick
        safety.permit = 0
    safety.latched |= lines
    if lines & LINE_COUCH:
        trip(law, interlocks.COUCH, interlocks.STOP, 1.0, 0.0)
    if lines & LINE_HIGH_VOLTAGE:
        trip(law, interlocks.HIGH_VOLTAGE_LINE, interlocks.STOP, 1.0, 0.0)
    if lines & LINE_GAS:
        trip(law, interlocks.GAS_LINE, interlocks.STOP, 1.0, 0.0)
    if lines & LINE_OPERATOR:
        trip(law, interlocks.OPERATOR, interlocks.STOP, 1.0, 0.0)
    if lines & LINE_SUPERVISION:
        trip(law, interlocks.SUPERVISION, interlocks.STOP, 1.0, 0.0)
    if lines & LINE_WATCHDOG:
        silent_us = s.tick - safety.alive_tick
        trip(law, interlocks.WATCHDOG, interlocks.STOP, silent_us, settings.watchdog_ticks)
    if lines & LINE_SLOW:
        end_spill(law, END_STOP)  # its cause is recorded by the slow control
        s.end_reason = END_STOP


@kernel
def is_beam_wanted(law: LawState) -> bool:
    """Whether both the fast control and the patient interlock system let the beam through."""
    return law.scalars[0].chopper_open == 1 and law.safety[0].permit == 1


@kernel
def end_extraction(law: LawState) -> None:
    """Ask the accelerator to end the extraction, for the rest of the spill."""
    safety = law.safety[0]
    if safety.end_extraction == 0:
        safety.end_extraction = 1
        safety.end_extraction_tick = law.scalars[0].tick


@kernel
def watch_start(law: LawState, inputs: int) -> None:
    """Do not let an extraction begin while the permit is gone."""
    if inputs & INPUT_START and law.safety[0].permit == 0:
        end_extraction(law)


@kernel
def safety_interlock(law: LawState, settings: LawSettings) -> None:
    """Once per scan period: compare the counts seen with what the chopper should let through.

    The counts come from a discriminator of its own (``seen1``, ``seen2``).  Once the chopper has had its time
    and the charge of the beam is in, they may only be background, of which `LEAK_TICKS` lets any amount pass.
    """
    s, safety = law.scalars[0], law.safety[0]
    if safety.seen1 > 0 or safety.seen2 > 0:
        safety.seen_tick = s.tick
    if is_beam_wanted(law):
        safety.off_tick = s.tick
    if s.tick - safety.off_tick <= late_ticks(settings):
        safety.level1 = 0
        safety.level2 = 0
        safety.leak_tick = s.tick
        return
    safety.level1 += safety.seen1
    safety.level2 += safety.seen2
    level = max(safety.level1, safety.level2)
    if level >= settings.off_counts:
        trip(law, interlocks.BEAM_WHEN_OFF, interlocks.STOP, level, settings.off_counts)
        end_extraction(law)
    if s.tick - safety.leak_tick >= LEAK_TICKS:
        safety.level1 = max(0, safety.level1 - 1)
        safety.level2 = max(0, safety.level2 - 1)
        safety.leak_tick = s.tick
