"""When faults are active, on the clock of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spotline.control.memory import INPUT_COUCH, INPUT_OPERATOR, INPUT_SUPERVISION
from spotline.sim.faults.model import Fault

FOREVER_us = 1 << 60

CRASHES = ("process.kill", "power.loss")
LINES = {
    "couch.unlocked": INPUT_COUCH,
    "operator.stop": INPUT_OPERATOR,
    "supervision.abort": INPUT_SUPERVISION,
}
"""Inputs of the patient interlock system."""


@dataclass(frozen=True, slots=True)
class Active:
    """A fault with its times on the clock of the field: from `onset_us` on, no longer at `end_us`."""

    fault: Fault
    onset_us: int
    end_us: int

    def is_active(self, time_us: int) -> bool:
        """Whether it is there at a time."""
        return self.onset_us <= time_us < self.end_us

    def seconds(self, time_us: int) -> float:
        """How long it has been there."""
        return (time_us - self.onset_us) * 1e-6


class Timeline:
    """The faults of a field.

    Parameters
    ----------
    faults : iterable of Fault
    start_us : callable
        Given a spill, when its extraction starts on the clock of the field; None if that is known only when
        the spill is asked for.
    period_us : int
        Faults begin and end with a scan period of so many microseconds.

    Attributes
    ----------
    faults : tuple of Active
        All of them, in the order in which they were given.
    """

    def __init__(
        self, faults: Iterable[Fault], start_us: Callable[[int], int | None], period_us: int
    ) -> None:
        self._period_us = period_us
        self.faults = tuple(self._timed(fault, start_us(fault.spill)) for fault in faults)

    def spill_comes(self, spill: int, start_us: int) -> None:
        """Learn when a spill starts that was asked for: faults that waited for it now have their times."""
        self.faults = tuple(
            self._timed(active.fault, start_us)
            if active.onset_us == FOREVER_us and active.fault.spill == spill
            else active
            for active in self.faults
        )

    def __bool__(self) -> bool:
        return bool(self.faults)

    def active(self, time_us: int) -> tuple[Active, ...]:
        """Faults that are there at a time, in the order in which they were given."""
        return tuple(active for active in self.faults if active.is_active(time_us))

    def of_kind(self, *kinds: str) -> tuple[Active, ...]:
        """Faults of some kinds."""
        return tuple(active for active in self.faults if active.fault.kind in kinds)

    def is_active(self, kind: str, time_us: int) -> bool:
        """Whether a fault of a kind is there."""
        return any(active.is_active(time_us) for active in self.of_kind(kind))

    def first_crash(self) -> Active | None:
        """The fault that ends the process first, if any."""
        return min(self.of_kind(*CRASHES), key=lambda crash: crash.onset_us, default=None)

    def lines_between(self, first_us: int, last_us: int) -> int:
        """Inputs of the patient interlock system that were active at any time before `last_us`, as bits.

        Its circuits are awake between the spills, and keep what they have been told.
        """
        bits = 0
        for active in self.of_kind(*LINES):
            if active.onset_us < last_us and active.end_us > first_us:
                bits |= LINES[active.fault.kind]
        return bits

    def next_change_us(self, time_us: int) -> int:
        """When the next fault begins or ends after a time."""
        times = (t for active in self.faults for t in (active.onset_us, active.end_us) if t > time_us)
        return min(times, default=FOREVER_us)

    def _timed(self, fault: Fault, start_us: int | None) -> Active:
        if start_us is None:
            return Active(fault, FOREVER_us, FOREVER_us)
        period_us, begins_us = self._period_us, start_us + fault.at_us
        onset_us = begins_us // period_us * period_us
        if fault.duration_us is None:
            return Active(fault, onset_us, FOREVER_us)
        # However short, it is there for one period.
        ends_us = max(onset_us + period_us, -(-(begins_us + fault.duration_us) // period_us) * period_us)
        return Active(fault, onset_us, ends_us)
