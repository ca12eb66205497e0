"""What came of the delivery of a field, apart from its spill files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from spotline.control.register import InterlockRegister
from spotline.record.model import SLOW_CONTROL


@dataclass(slots=True)
class Outcome:
    """What came of a field.

    Attributes
    ----------
    complete : bool
        Whether every spot was delivered.
    spills : int
        Spills used.
    loop_wall_s : float
        Time that the fast loop took.
    interlocks_without_beam : list of dict
        Interlocks between spills, columns `INTERLOCK`.
    slow_control : list of tuple
        Readings between spills, columns `SLOW_CONTROL`.
    events : list of dict
        What happened to the supervision: ``time_us``, ``event``, and the ``state`` that followed.
    register : InterlockRegister
        What is latched, and who reset what.
    """

    complete: bool = False
    spills: int = 0
    loop_wall_s: float = 0.0
    interlocks_without_beam: list[dict[str, Any]] = field(default_factory=list)
    slow_control: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    register: InterlockRegister = field(default_factory=InterlockRegister)

    def header(self) -> dict[str, Any]:
        """What ``field.json`` tells of it; JSON has no numbers that are not finite, so these become None."""
        names = SLOW_CONTROL.names or ()
        return {
            "status": "complete" if self.complete else "interlock",
            "spills": self.spills,
            "slow_control": [_plain(dict(zip(names, row, strict=True))) for row in self.slow_control],
            "interlocks_without_beam": [_plain(row) for row in self.interlocks_without_beam],
            "events": self.events,
            "register": msgspec.to_builtins(self.register),
        }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
