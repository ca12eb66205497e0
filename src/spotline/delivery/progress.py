"""How far a delivery is, for whoever wants to show it or to interfere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from spotline.control.register import InterlockRegister
from spotline.control.slow import SlowReading
from spotline.errors import OptionError


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a delivery between two blocks of samples.

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

    field: int
    n_fields: int
    slice: int
    n_slices: int
    energy_MeV_u: float
    spot: int
    spots: int
    n_spots: int
    spill: int
    treatment_s: float
    state: str
    int1_counts: int
    int2_counts: int
    reading: SlowReading | None
    flux_corrections: tuple[float, float] | None
    register: InterlockRegister
    is_beam_permitted: bool


Report = Callable[[Progress], None]
"""Called with every `Progress`."""


class Command(Enum):
    """What can be ordered, and by whom."""

    PAUSE = "operator: beam off, go on later"
    RESUME = "operator: go on after a pause"
    STOP = "operator: stop the treatment"
    RESET = "operator: reset the interlocks and go on"
    CLOSE = "operator: give the rest up"
    ABORT = "supervision: abort the treatment"


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a delivery.

    Attributes
    ----------
    command : Command
        What to do.
    identity, reason : str
        Who wants it and why; a reset cannot do without.

    Raises
    ------
    OptionError
        If a reset has no identity or no reason.
    """

    command: Command
    identity: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.command is Command.RESET and not (self.identity.strip() and self.reason.strip()):
            raise OptionError("order to reset the interlocks: give the operator's identity and the reason")


Orders = Callable[[Progress], Order | None]
"""Asked once before beam, once per block of samples, once a second of a pause, and once after a stop.

No order before the beam is the acknowledgement of the supervision; in a pause it means to wait on, and
after a stop that the treatment stays interrupted.
"""
