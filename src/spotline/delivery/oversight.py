"""Who watches the delivery of a field: supervision, slow control and interlock register in one hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from spotline.control.interlocks import CAUSES
from spotline.control.slow import Expected, Grant, SlowControl, SlowReading, SlowTrip, slow_period_us
from spotline.control.supervision import Event, State, Supervision
from spotline.delivery.logbook import Logbook
from spotline.delivery.outcome import Outcome
from spotline.delivery.progress import Order
from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.record import journal
from spotline.record.model import INTERLOCK, SLOW_CONTROL
from spotline.room import SlowSensors


class Oversight:
    """Lets events happen, reads the slow control when it is due, latches and records interlocks.

    Parameters
    ----------
    passive_elements : tuple of str
        What the treatment wants in the nozzle.
    beamline : BeamLine
        The line.
    sensors : SlowSensors
        What is read.
    outcome : Outcome
        Its register is the one to latch in.
    logbook : Logbook
        Where events, readings and interlocks without beam are noted.
    changed : callable
        Called after every change of the state.
    start_us : int
        Clock of the field.

    Attributes
    ----------
    now_us : int
        Clock of the field: the latest sample or look at the slow control.
    slice : int
        Index of the slice that is being delivered, for the record.
    """

    def __init__(
        self,
        passive_elements: tuple[str, ...],
        beamline: BeamLine,
        sensors: SlowSensors,
        outcome: Outcome,
        logbook: Logbook,
        changed: Callable[[], None],
        start_us: int = 0,
    ) -> None:
        self._beamline = beamline
        self._sensors = sensors
        self._outcome = outcome
        self._logbook = logbook
        self._changed = changed
        self._supervision = Supervision(outcome.register)
        # Readings are taken at the same times of the clock, whenever a delivery goes on.
        period_us = slow_period_us(beamline.slow_limits)
        first_us = -(-start_us // period_us) * period_us
        self._slow = SlowControl(beamline.slow_limits, Expected(passive_elements), first_us)
        self.now_us = start_us
        self.slice = 0

    # Supervision

    @property
    def state(self) -> State:
        """State of the supervision."""
        return self._supervision.state

    @property
    def is_beam_permitted(self) -> bool:
        """Whether the supervision permits beam."""
        return self._supervision.is_beam_permitted

    @property
    def is_clear(self) -> bool:
        """Whether nothing is latched."""
        return self._supervision.register.is_clear

    def happens(self, event: Event) -> None:
        """Let an event happen."""
        self._supervision.handle(event)
        self._note(event)

    def reset(self, order: Order) -> None:
        """Reset the interlocks, unless a condition persists; then everything stays as it is."""
        persisting = {trip.cause for trip in self.look().trips}
        try:
            self._supervision.reset(order.identity, order.reason, self.now_us, persisting)
        except OptionError:
            return  # what is latched says what persists
        reset = self._outcome.register.resets[-1]
        self._note(Event.RESET, reset=msgspec.to_builtins(reset))

    def _note(self, event: Event, **more: Any) -> None:
        row = {"time_us": self.now_us, "event": event.value, "state": self.state.value, **more}
        self._logbook.note(journal.EVENT, row)
        self._changed()

    # Slow control

    @property
    def next_look_us(self) -> int:
        """When the slow control is to be looked at."""
        return self._slow.next_us

    @property
    def period_us(self) -> int:
        """Time between two readings."""
        return self._slow.period_us

    @property
    def reading(self) -> SlowReading | None:
        """The last reading."""
        return self._slow.last

    def expect_gas(self, gas_factors: tuple[float, float]) -> None:
        """Particles have been converted with gas of this density: it must stay."""
        self._slow.expected = replace(self._slow.expected, gas_factors=gas_factors)

    def look(self, into: list[tuple[Any, ...]] | None = None) -> Grant:
        """Look at the slow control; without a list to put a reading in, it belongs to the field.

        What is out of tolerance is latched, and the supervision learns when the grant comes or goes.
        """
        slow = self._slow
        self.now_us = max(self.now_us, slow.next_us)
        reading = self._sensors.read(slow.next_us) if slow.is_due else None
        grant = slow.take(reading)
        if reading is not None:
            row = self._row(reading)
            if into is not None:
                into.append(row)
            else:
                self._logbook.note(journal.READING, dict(zip(SLOW_CONTROL.names or (), row, strict=True)))
        for trip in grant.trips:
            self.latch(trip, self.now_us)
        if grant.is_granted != self._supervision.is_slow_granted:
            self.happens(Event.SLOW_GRANTS if grant.is_granted else Event.SLOW_WITHDRAWS)
        return grant

    def _row(self, reading: SlowReading) -> tuple[Any, ...]:
        """A row of `SLOW_CONTROL`."""
        first, second = reading.flux_corrections(self._beamline.slow_limits)
        corrections = {"flux_correction1": first, "flux_correction2": second}
        names = SLOW_CONTROL.names or ()
        return tuple(corrections[n] if n in corrections else getattr(reading, n) for n in names)

    # Interlocks

    def latch(self, trip: SlowTrip, time_us: int) -> None:
        """Latch a cause that has been recorded elsewhere."""
        spill = self._outcome.spills
        self._supervision.register.latch(trip.cause, trip.value, trip.limit, time_us, spill)

    def interlock(self, trip: SlowTrip) -> None:
        """Record and latch an interlock that came while there was no beam."""
        action = CAUSES[trip.cause].action
        spill = self._outcome.spills
        values = (trip.cause, self.now_us, spill, self.slice, 0, trip.value, trip.limit, action)
        self._logbook.note(journal.INTERLOCK, dict(zip(INTERLOCK.names or (), values, strict=True)))
        self.latch(trip, self.now_us)
