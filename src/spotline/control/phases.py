"""The phases of a treatment, as one table (Fig. 6 and section III.C of the dose delivery paper)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """Where a treatment is."""

    OFF = "off treatment"
    PRE = "pre treatment"
    DELIVERY = "beam delivery"
    POST = "post treatment"


class Event(Enum):
    """What moves it on."""

    LOADED = "treatment loaded"
    CHECKS_PASSED = "all checks passed, delivery granted"
    CHECKS_FAILED = "a check failed"
    SPILL_OVER = "spill over, spots left"
    FIELD_COMPLETE = "last spot of the last slice delivered"
    BEAM_STOPPED = "interlock stopped the treatment"
    RECORD_WRITTEN = "log written"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table.

    Attributes
    ----------
    action : str
        What is done on the way.
    next : Phase
        Phase that follows.
    reference : str
        Section of the paper.
    """

    action: str
    next: Phase
    reference: str


TRANSITIONS: dict[tuple[Phase, Event], Transition] = {
    (Phase.OFF, Event.LOADED): Transition(
        "measure background, gas, high voltage and passive elements; convert particles to counts",
        Phase.PRE,
        "III.C, 1 and 2",
    ),
    (Phase.PRE, Event.CHECKS_PASSED): Transition("request the first cycle", Phase.DELIVERY, "III.C, 2"),
    (Phase.PRE, Event.CHECKS_FAILED): Transition("deliver nothing", Phase.POST, "III.C, 2"),
    (Phase.DELIVERY, Event.SPILL_OVER): Transition(
        "store the spill, reload what is left, ask for the next cycle", Phase.DELIVERY, "III.C, 3"
    ),
    (Phase.DELIVERY, Event.FIELD_COMPLETE): Transition(
        "store the spill, release the beam", Phase.POST, "III.C, 3"
    ),
    (Phase.DELIVERY, Event.BEAM_STOPPED): Transition(
        "store the spill, release the beam", Phase.POST, "III.C.1"
    ),
    (Phase.POST, Event.RECORD_WRITTEN): Transition("write log and record", Phase.OFF, "III.C, 4"),
}
"""The whole table; a pair that is missing cannot happen."""


def advance(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows.

    Raises
    ------
    ValueError
        If the event cannot happen in this phase.
    """
    transition = TRANSITIONS.get((phase, event))
    if transition is None:
        raise ValueError(f"{event.value!r} cannot happen during {phase.value!r}")
    return transition.next
