"""Who writes the journal of a field while it is delivered, and bears that it cannot be written any more."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from spotline.delivery.events import (
    Converted,
    DeliveryEvent,
    FieldBegun,
    FieldEnded,
    InterlockTripped,
    OrderTaken,
    ReadingTaken,
    SpillBegun,
    SpillEnded,
    SpillStored,
    StateChanged,
)
from spotline.delivery.headers import announced, header_of
from spotline.hdf5 import keys_of
from spotline.record import journal
from spotline.record.headers import AnnouncedSpill, Row
from spotline.record.journal import Journal
from spotline.record.model import INTERLOCK, SLOW_CONTROL, Table
from spotline.treatment.headers import DeliveryHeader


class Logbook:
    """Notes what happens in the journal, as long as the disk takes it: a sink that must succeed.

    What comes in during a spill goes by `spotline.delivery.keeper`, because the fast control waits for its
    confirmation.

    Parameters
    ----------
    book : Journal
        Of the field.
    field : DeliveryHeader
    resumed : str, optional
        When an operator had the field go on, if one did: no event has a time of day.

    Attributes
    ----------
    is_lost : bool
        Whether the journal could not be written; then nothing is written to it any more.
    """

    def __init__(self, book: Journal, field: DeliveryHeader, resumed: str | None = None) -> None:
        self._book = book
        self._field = field
        self._resumed = resumed
        # What happens before the entry with which a field begins waits for it.
        self._is_begun = book.entries > 0
        self._waiting: list[tuple[str, Row]] = []
        self._header: AnnouncedSpill | None = None
        self.is_lost = False

    def take(self, event: DeliveryEvent) -> None:
        """Note an event.

        Raises
        ------
        OSError
            If the delivery of the field cannot be begun: nothing must be delivered then.
        """
        if isinstance(event, StateChanged):
            self.note(journal.EVENT, _event(event))
        elif isinstance(event, ReadingTaken):
            if not event.spill:
                self.note(journal.READING, _by_name(SLOW_CONTROL, reading_row(event)))
        elif isinstance(event, InterlockTripped):
            if not event.is_with_beam:
                self.note(journal.INTERLOCK, {n: getattr(event, n) for n in INTERLOCK.names or ()})
        elif isinstance(event, SpillBegun):
            self._header = announced(event, self._field)
            self.note(journal.SPILL, _spill(event, self._header), _loaded(event))
        elif isinstance(event, SpillEnded):
            self.note(journal.OVER, self._over(event), event.result.parts)
        elif isinstance(event, SpillStored):
            values = {"spill": event.spill, "sha256": event.sha256, "recovered": False}
            self.note(journal.STORED, values)
        elif isinstance(event, OrderTaken):
            if event.refusal is None:
                self.note(journal.ORDER, _order(event))
        elif isinstance(event, FieldBegun):
            if event.operator is not None:
                who = {"operator": event.operator, "reason": event.reason, "resumed": self._resumed}
                self.note(journal.RESUME, {**who, "spill": event.spills + 1})
        elif isinstance(event, Converted):
            self._begin(event)
        elif isinstance(event, FieldEnded):
            latched = msgspec.to_builtins(event.latched)
            self.note(journal.CLOSED, {"status": event.status, "latched": latched})
            self._finish()

    def _begin(self, event: Converted) -> None:
        """Note what is delivered, and what has happened before."""
        values = {
            "field": event.field,
            "treatment_sha256": event.treatment_sha256,
            "converted": event.is_converted,
            "plan_sha256": self._field.plan_sha256,
            "beamline_sha256": self._field.beamline_sha256,
            "seed": self._field.seed,
            "versions": self._field.versions,
        }
        self._book.append(journal.FIELD, values)
        self._is_begun = True
        waiting, self._waiting = self._waiting, []
        for kind, early in waiting:
            self._book.append(kind, early)

    def _over(self, event: SpillEnded) -> Row:
        assert self._header is not None
        return {
            "spill": event.spill,
            "row": 0,
            "header": keys_of(header_of(self._header, event)),
            "interlocks": [row.item() for row in event.result.interlocks],
        }

    def note(self, kind: str, values: Row, table: Table | None = None) -> bool:
        """Write an entry; return whether it is on the disk.

        JSON has no numbers that are not finite: these become None.
        """
        values = _plain(values)
        if not self._is_begun:
            self._waiting.append((kind, values))
            return True
        if not self.is_lost:
            try:
                self._book.append(kind, values, table)
            except OSError:
                self.is_lost = True
        return not self.is_lost

    def reserve(self, n_bytes: int) -> None:
        """Set room aside on the disk.

        Raises
        ------
        OSError
            If there is none.
        """
        self._book.reserve(n_bytes)

    def _finish(self) -> None:
        """Give back the room that was set aside and not needed."""
        if not self.is_lost:
            self._book.finish()


def reading_row(event: ReadingTaken) -> tuple[Any, ...]:
    """A row of `SLOW_CONTROL`; NaN for a box that the line does not have."""
    values: dict[str, float] = {"time_us": event.reading.time_us}
    for number, (box, correction) in enumerate(
        zip(event.reading.boxes, event.flux_corrections, strict=True), start=1
    ):
        values |= {
            f"temperature{number}_C": box.temperature_C,
            f"pressure{number}_Pa": box.pressure_Pa,
            f"high_voltage{number}_V": box.high_voltage_V,
            f"flux_correction{number}": correction,
        }
    return tuple(values.get(name, math.nan) for name in SLOW_CONTROL.names or ())


def _by_name(dtype: np.dtype[np.void], row: tuple[Any, ...]) -> Row:
    return dict(zip(dtype.names or (), row, strict=True))


def _event(event: StateChanged) -> Row:
    values: Row = {"time_us": event.time_us, "event": event.event, "state": event.state}
    return values if event.reset is None else {**values, "reset": msgspec.to_builtins(event.reset)}


def _order(event: OrderTaken) -> Row:
    names = ("time_us", "command", "identity", "reason", "spill")
    return {name: getattr(event, name) for name in names}


def _spill(event: SpillBegun, header: AnnouncedSpill) -> Row:
    return {
        "spill": event.spill,
        "slice": event.slice,
        "start_us": event.extraction_start_us,
        "unconfirmed": event.unconfirmed,
        "header": keys_of(header),
    }


def _loaded(event: SpillBegun) -> Table:
    """What is in the memory boards."""
    table = np.zeros(len(event.spots), journal.LOADED)
    table["spot"] = event.spots
    table["int1_counts"], table["int2_counts"] = event.memory.int1_counts, event.memory.int2_counts
    return table


def _plain(row: Row) -> Row:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
