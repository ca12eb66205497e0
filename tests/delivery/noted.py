"""What a delivery of a field left behind, and what its journal says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spotline.control.register import InterlockRegister
from spotline.control.supervision import Event
from spotline.delivery.field import FieldDelivery
from spotline.hdf5 import keys_of
from spotline.record.recovered import read_state


@dataclass(frozen=True)
class Noted:
    """Outcome of a field, with what its journal has of events, readings and interlocks without beam."""

    complete: bool
    spills: int
    register: InterlockRegister
    events: list[dict[str, Any]]
    interlocks_without_beam: list[dict[str, Any]]
    slow_control: list[dict[str, Any]]


def noted(delivery: FieldDelivery, folder: Path) -> Noted:
    """Run a delivery; every one ends with the record being written, which is left out of the events."""
    outcome = delivery.run()
    state = read_state(folder)
    assert state.events[-1].event == Event.RECORD_WRITTEN.value
    return Noted(
        complete=outcome.complete,
        spills=outcome.spills,
        register=outcome.register,
        events=[keys_of(event) for event in state.events[:-1]],
        interlocks_without_beam=[keys_of(row) for row in state.interlocks],
        slow_control=[keys_of(row) for row in state.readings],
    )
