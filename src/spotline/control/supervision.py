"""The supervision of a treatment: its states as one table, and the grants without which there is no beam.

Fig. 6 and sections III.C and III.C.1 of the dose delivery paper.  The table says what may follow what; the
class `Supervision` walks it, and refuses an event that the table does not know or whose conditions do not
hold.  Neither touches the beam: that is done by the fast control and by the patient interlock system, which
are faster.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from spotline.control.register import InterlockRegister


class State(Enum):
    """Where a treatment is."""

    OFF = "off treatment"
    LOADED = "treatment loaded"
    READY = "ready"
    DELIVERY = "beam delivery"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    POST = "post treatment"


class Event(Enum):
    """What moves it on."""

    LOADED = "treatment received"
    CHECKS_PASSED = "all checks passed"
    CHECKS_FAILED = "a check failed"
    SLOW_GRANTS = "slow control grants"
    SLOW_WITHDRAWS = "slow control withdraws its grant"
    GRANTED = "supervision acknowledges"
    SPILL_OVER = "spill over, spots left"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "interlock or operator stops"
    ABORT = "supervision aborts"
    RESET = "operator resets"
    COMPLETE = "last spot of the last slice delivered"
    CLOSED = "operator gives the rest up"
    RECORD_WRITTEN = "record written"
    POWER_UP = "power up after a crash"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table.

    Attributes
    ----------
    action : str
        What is done on the way.
    next : State
        State that follows.
    reference : str
        Section of the paper.
    """

    action: str
    next: State
    reference: str


_TAKE_GRANT = "take note; beam stays off"
_LOSE_GRANT = "take note; the checks will fail"
_STORE_STOP = "beam off by chopper; latch the cause, store the spill"
_WITHOUT_BEAM = "latch the cause; no spill is asked for"

TRANSITIONS: dict[tuple[State, Event], Transition] = {
    (State.OFF, Event.LOADED): Transition(
        "read gas, high voltage and passive elements; convert particles to counts; measure the background",
        State.LOADED,
        "III.C, 1 and 2",
    ),
    (State.OFF, Event.POWER_UP): Transition(
        "read the journal; what was under way counts as interrupted", State.INTERRUPTED, "III.C.1"
    ),
    (State.LOADED, Event.SLOW_GRANTS): Transition(_TAKE_GRANT, State.LOADED, "III.B.2.2"),
    (State.LOADED, Event.SLOW_WITHDRAWS): Transition(_LOSE_GRANT, State.LOADED, "III.B.2.2"),
    (State.LOADED, Event.CHECKS_PASSED): Transition("tell the supervision", State.READY, "III.C, 2"),
    (State.LOADED, Event.CHECKS_FAILED): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C, 2"),
    (State.LOADED, Event.ABORT): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C, 2"),
    (State.READY, Event.SLOW_WITHDRAWS): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.B.2.2"),
    (State.READY, Event.GRANTED): Transition("ask for the first spill", State.DELIVERY, "III.C, 2"),
    (State.READY, Event.STOP): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C.1"),
    (State.READY, Event.ABORT): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C, 2"),
    (State.DELIVERY, Event.SLOW_WITHDRAWS): Transition(_STORE_STOP, State.INTERRUPTED, "III.B.2.2"),
    (State.DELIVERY, Event.SPILL_OVER): Transition(
        "store the spill, reload what is left, ask for the next cycle", State.DELIVERY, "III.C, 3"
    ),
    (State.DELIVERY, Event.PAUSE): Transition(
        "beam off for the rest of the spill; store it", State.PAUSED, "III.C.1"
    ),
    (State.DELIVERY, Event.STOP): Transition(_STORE_STOP, State.INTERRUPTED, "III.C.1"),
    (State.DELIVERY, Event.ABORT): Transition(_STORE_STOP, State.INTERRUPTED, "III.C, 2"),
    (State.DELIVERY, Event.COMPLETE): Transition("store the spill, release the beam", State.POST, "III.C, 3"),
    (State.PAUSED, Event.SLOW_WITHDRAWS): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.B.2.2"),
    (State.PAUSED, Event.RESUME): Transition(
        "reload what is left, ask for the next cycle", State.DELIVERY, "III.C.1"
    ),
    (State.PAUSED, Event.STOP): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C.1"),
    (State.PAUSED, Event.ABORT): Transition(_WITHOUT_BEAM, State.INTERRUPTED, "III.C, 2"),
    (State.INTERRUPTED, Event.SLOW_GRANTS): Transition(_TAKE_GRANT, State.INTERRUPTED, "III.B.2.2"),
    (State.INTERRUPTED, Event.SLOW_WITHDRAWS): Transition(_LOSE_GRANT, State.INTERRUPTED, "III.B.2.2"),
    (State.INTERRUPTED, Event.RESET): Transition(
        "release the latched causes; check everything again", State.LOADED, "III.C.1"
    ),
    (State.INTERRUPTED, Event.RECORD_WRITTEN): Transition(
        "write log and record of what was delivered; the rest waits", State.INTERRUPTED, "III.C.1"
    ),
    (State.INTERRUPTED, Event.CLOSED): Transition(
        "release the beam; the rest becomes a new field", State.POST, "III.C.1"
    ),
    (State.POST, Event.RECORD_WRITTEN): Transition("write log and record", State.OFF, "III.C, 4"),
}
"""The whole table; a pair that is missing cannot happen."""

NEEDS_GRANT = frozenset({Event.CHECKS_PASSED, Event.GRANTED, Event.RESUME, Event.SPILL_OVER})
"""Events after which beam may follow: nothing may be latched, and the slow control must grant."""


def advance(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises
    ------
    ValueError
        If the event cannot happen in this state.
    """
    transition = TRANSITIONS.get((state, event))
    if transition is None:
        raise ValueError(f"{event.value!r} cannot happen during {state.value!r}")
    return transition.next


class Supervision:
    """The supervision of one field.

    Parameters
    ----------
    register : InterlockRegister, optional
        What is latched already; by default nothing.

    Attributes
    ----------
    state : State
        Where the treatment is.
    register : InterlockRegister
        Causes that nobody has reset.
    is_slow_granted : bool
        Whether the slow control grants the delivery.
    """

    def __init__(self, register: InterlockRegister | None = None) -> None:
        self.state = State.OFF
        self.register = register if register is not None else InterlockRegister()
        self.is_slow_granted = False

    @property
    def is_beam_permitted(self) -> bool:
        """Whether a spill may be asked for, or may go on."""
        return self.state is State.DELIVERY and self.is_slow_granted and self.register.is_clear

    def handle(self, event: Event) -> State:
        """Let an event happen, and return the state that follows.

        Raises
        ------
        ValueError
            If it cannot happen in this state, or if its conditions do not hold.
        """
        following = advance(self.state, event)
        if event is Event.RESET:
            raise ValueError(f"{event.value!r} needs an identity and a reason: call reset")
        if event in NEEDS_GRANT and not self.register.is_clear:
            raise ValueError(f"{event.value!r} cannot happen while an interlock is latched")
        if event in NEEDS_GRANT and not self.is_slow_granted:
            raise ValueError(f"{event.value!r} cannot happen without the grant of the slow control")
        if event is Event.SLOW_GRANTS:
            self.is_slow_granted = True
        elif event is Event.SLOW_WITHDRAWS or following in (State.OFF, State.POST):
            self.is_slow_granted = False  # nobody reads the sensors after a treatment
        self.state = following
        return following

    def reset(self, identity: str, reason: str, time_us: int, persisting: Collection[int] = ()) -> State:
        """Reset the register and go back to the checks: the only way out for what has been interrupted.

        Parameters are those of `InterlockRegister.reset`.

        Raises
        ------
        OptionError
            If the register refuses.
        ValueError
            If the treatment is not interrupted.
        """
        following = advance(self.state, Event.RESET)
        self.register.reset(identity, reason, time_us, persisting)
        self.state = following
        return following
