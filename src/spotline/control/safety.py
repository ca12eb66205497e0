"""Patient and safety interlock systems: the beam is taken away without the fast control (III.C.1).

Both are circuits of their own.  The patient interlock system opens one line to the chopper: its permit.
Any of its inputs takes the permit away, the first one stays to be seen, and only a reset gives it back.
The safety interlock system is the second path: if counts go on although the chopper has had its time, it
asks the accelerator to end the extraction.
"""

from __future__ import annotations

from spotline.control import interlocks
from spotline.control.memory import (
    END_PAUSE,
    END_STOP,
    INPUT_COUCH,
    INPUT_OPERATOR,
    INPUT_SLOW,
    INPUT_SUPERVISION,
    LINE_COUCH,
    LINE_FAST,
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
    if s.tick - safety.alive_tick > settings.watchdog_ticks:
        lines |= LINE_WATCHDOG
    return lines


@kernel
def patient_interlock(law: LawState, settings: LawSettings, inputs: int) -> None:
    """Latch what comes in on the lines, and take the permit away."""
    safety = law.safety[0]
    lines = lines_of(law, settings, inputs)
    if lines != 0 and safety.latched == 0:
        safety.first_line = lines
        safety.first_tick = law.scalars[0].tick
        safety.permit = 0
    safety.latched |= lines


@kernel
def cause_of(line: int) -> int:
    """Interlock of the first of some lines; 0 for those that have been recorded where they come from."""
    if line & LINE_COUCH:
        return interlocks.COUCH
    if line & LINE_OPERATOR:
        return interlocks.OPERATOR
    if line & LINE_SUPERVISION:
        return interlocks.SUPERVISION
    if line & LINE_WATCHDOG:
        return interlocks.WATCHDOG
    return 0


@kernel
def is_beam_wanted(law: LawState) -> bool:
    """Whether both the fast control and the patient interlock system let the beam through."""
    return law.scalars[0].chopper_open == 1 and law.safety[0].permit == 1
