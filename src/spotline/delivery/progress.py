"""How far a delivery is: what the events so far come to, for displays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace

from spotline.control.register import InterlockRegister
from spotline.control.slow import SlowReading
from spotline.control.supervision import State

# The old place of these two.
from spotline.delivery.command import Command as Command
from spotline.delivery.command import Order as Order
from spotline.delivery.events import (
    DeliveryEvent,
    FieldBegun,
    InterlockTripped,
    ReadingTaken,
    Samples,
    SpillBegun,
    SpillEnded,
    StateChanged,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a delivery after an event.

    Attributes
    ----------
    field, n_fields : int
        Position of the field in the treatment, from 1, and number of fields.
    slice, n_slices : int
        Position of the slice in the field, from 1 (0 before the first), and number of slices.
    energy_MeV_u : float
        Of the slice; 0 before the first.
    spot : int
        Index in the slice of the spot under way, from 0, in delivery order.
    spots, n_spots : int
        Complete spots of the field, and all its spots.
    spill : int
        Number of the spill, from 1; 0 before the first.
    treatment_s : float
        Time on the clock of the field.
    state : str
        State of the supervision (`spotline.control.supervision.State`).
    int1_counts, int2_counts : int
        Counts of the spill so far.
    reading : SlowReading or None
        The last reading of the slow control.
    flux_corrections : tuple of float or None
        Flux correction factors of BOX1 and BOX2, of that reading.
    register : InterlockRegister
        What is latched, and who reset what.  For reading only.
    is_beam_permitted : bool
        Whether the supervision permits beam: delivery, grant of the slow control, nothing latched.
    """

    field: int = 0
    n_fields: int = 0
    slice: int = 0
    n_slices: int = 0
    energy_MeV_u: float = 0.0
    spot: int = 0
    spots: int = 0
    n_spots: int = 0
    spill: int = 0
    treatment_s: float = 0.0
    state: str = State.OFF.value
    int1_counts: int = 0
    int2_counts: int = 0
    reading: SlowReading | None = None
    flux_corrections: tuple[float, ...] | None = None
    register: InterlockRegister = dataclasses.field(default_factory=InterlockRegister)
    is_beam_permitted: bool = False


Report = Callable[[Progress], None]
"""Called with every `Progress`."""

Orders = Callable[[Progress], Order | None]
"""OrderCallback once before beam, once per block of samples, once a second of a pause, and once after a stop.

No order before the beam is the acknowledgement of the supervision; in a pause it means to wait on, and
after a stop that the treatment stays interrupted.
"""


class Standing:
    """Follows the events of a delivery, to say how far it is.

    Attributes
    ----------
    progress : Progress
        After the last event.
    """

    def __init__(self) -> None:
        self.progress = Progress()

    def take(self, event: DeliveryEvent) -> Progress:
        """Take the next event."""
        before = self.progress
        now_s = event.time_us * 1e-6
        if isinstance(event, FieldBegun):
            self.progress = _begun(event)
        elif isinstance(event, Samples):
            self.progress = replace(
                before,
                spot=event.spot,
                spots=event.spots_complete,
                treatment_s=now_s,
                int1_counts=event.int1_counts,
                int2_counts=event.int2_counts,
            )
        elif isinstance(event, StateChanged):
            resets = before.register.resets + (() if event.reset is None else (event.reset,))
            self.progress = replace(
                before,
                treatment_s=now_s,
                state=event.state,
                is_beam_permitted=event.is_beam_permitted,
                register=InterlockRegister(latched=event.latched, resets=resets),
            )
        elif isinstance(event, ReadingTaken):
            self.progress = replace(
                before, treatment_s=now_s, reading=event.reading, flux_corrections=event.flux_corrections
            )
        elif isinstance(event, SpillBegun):
            self.progress = replace(
                before,
                slice=event.slice + 1,
                energy_MeV_u=event.energy_MeV_u,
                spill=event.spill,
                int1_counts=0,
                int2_counts=0,
            )
        elif isinstance(event, SpillEnded):
            self.progress = replace(before, spots=event.spots_complete, treatment_s=now_s)
        elif isinstance(event, InterlockTripped) and not event.is_with_beam:
            self.progress = replace(before, treatment_s=now_s, register=_latched(before.register, event))
        return self.progress


def _begun(event: FieldBegun) -> Progress:
    return Progress(
        field=event.position,
        n_fields=event.n_fields,
        n_slices=event.n_slices,
        spots=event.spots_complete,
        n_spots=event.n_spots,
        spill=event.spills,
        treatment_s=event.time_us * 1e-6,
        register=InterlockRegister(resets=event.resets),
    )


def _latched(register: InterlockRegister, event: InterlockTripped) -> InterlockRegister:
    """The register after an interlock without beam: that is always latched, once."""
    register = InterlockRegister(latched=register.latched, resets=register.resets)
    register.latch(event.cause, event.value, event.limit, event.time_us, event.spill)
    return register
