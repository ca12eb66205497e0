"""Who watches the delivery of a field: supervision, slow control and interlock register in one hand."""

from __future__ import annotations

from dataclasses import replace

from spotline.control.interlocks import CAUSES
from spotline.control.register import Reset
from spotline.control.slow import Expected, Grant, SlowControl, SlowReading, SlowTrip, slow_period_us
from spotline.control.supervision import Event, State, Supervision
from spotline.delivery.events import InterlockTripped, ReadingTaken, StateChanged
from spotline.delivery.outcome import Outcome
from spotline.delivery.stream import Stream
from spotline.machine import BeamLine
from spotline.room import SlowSensors


class Oversight:
    """Lets events happen, reads the slow control when it is due, latches and tells interlocks.

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
    stream : Stream
        Told of events, readings and interlocks without beam.
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
        stream: Stream,
        start_us: int = 0,
    ) -> None:
        self._beamline = beamline
        self._sensors = sensors
        self._outcome = outcome
        self._stream = stream
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
    def is_clear(self) -> bool:
        """Whether nothing is latched."""
        return self._supervision.register.is_clear

    def happens(self, event: Event) -> None:
        """Let an event happen."""
        self._supervision.handle(event)
        self._tell(event)

    def persisting(self) -> set[int]:
        """Look whether a condition without beam is still there: causes that must not be reset."""
        return {trip.cause for trip in self.look().trips}

    def reset(self, identity: str, reason: str) -> None:
        """Reset the interlocks; no condition may persist.

        Raises
        ------
        OptionError
            If the register refuses.
        """
        self._supervision.reset(identity, reason, self.now_us)
        self._tell(Event.RESET, self._outcome.register.resets[-1])

    def _tell(self, event: Event, reset: Reset | None = None) -> None:
        self._stream.tell(
            StateChanged(
                time_us=self.now_us,
                event=event.value,
                state=self.state.value,
                is_beam_permitted=self._supervision.is_beam_permitted,
                latched=self._outcome.register.latched,
                reset=reset,
            )
        )

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

    def expect_gas(self, gas_factors: tuple[float, ...]) -> None:
        """Particles have been converted with gas of this density: it must stay."""
        self._slow.expected = replace(self._slow.expected, gas_factors=gas_factors)

    def look(self, spill: int = 0) -> Grant:
        """Look at the slow control, during a spill or without beam (0).

        What is out of tolerance is latched, and the supervision learns when the grant comes or goes.
        """
        slow = self._slow
        self.now_us = max(self.now_us, slow.next_us)
        reading = self._sensors.read(slow.next_us) if slow.is_due else None
        grant = slow.take(reading)
        if reading is not None:
            corrections = reading.flux_corrections(self._beamline.slow_limits)
            self._stream.tell(
                ReadingTaken(time_us=self.now_us, spill=spill, reading=reading, flux_corrections=corrections)
            )
        for trip in grant.trips:
            self.latch(trip, self.now_us)
        if grant.is_granted != self._supervision.is_slow_granted:
            self.happens(Event.SLOW_GRANTS if grant.is_granted else Event.SLOW_WITHDRAWS)
        return grant

    # Interlocks

    def latch(self, trip: SlowTrip, time_us: int) -> None:
        """Latch a cause that is told elsewhere."""
        spill = self._outcome.spills
        self._supervision.register.latch(trip.cause, trip.value, trip.limit, time_us, spill)

    def interlock(self, trip: SlowTrip, detail: str = "") -> None:
        """Tell and latch an interlock that came while there was no beam; `detail` says it in words."""
        self._stream.tell(
            InterlockTripped(
                time_us=self.now_us,
                cause=trip.cause,
                value=trip.value,
                limit=trip.limit,
                action=CAUSES[trip.cause].action,
                spill=self._outcome.spills,
                slice=self.slice,
                spot=0,
                is_with_beam=False,
                detail=detail,
            )
        )
        self.latch(trip, self.now_us)
