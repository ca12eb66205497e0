"""Who writes the journal of a field while it is delivered, and bears that it cannot be written any more."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from msgspec import UNSET

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
from spotline.record.entries import ClosedEntry, FieldEntry, OverEntry, SpillEntry, StoredEntry
from spotline.record.headers import AnnouncedSpill, EventRow, InterlockRow, OrderRow, ReadingRow, SessionRow
from spotline.record.journal import Journal
from spotline.record.model import Table
from spotline.treatment.headers import DeliveryHeader


class Logbook:
    """Notes what happens in the journal, as long as the disk takes it: a sink that must succeed.

    What comes in during a spill goes by `spotline.delivery.dose_recovery`, because the fast control waits for
    its confirmation.

    Parameters
    ----------
    book : Journal
        Of the field.
    field : DeliveryHeader
    resumed : str, optional
        When an operator had the field go on, if one did: no event has a time of day.
    remarks : tuple of str
        What was odd about the record then.

    Attributes
    ----------
    is_begun : bool
        Whether the journal has the entry with which a field begins: what happens before waits for it.
    is_lost : bool
        Whether the journal could not be written; then nothing is written to it any more.
    """

    def __init__(
        self, book: Journal, field: DeliveryHeader, resumed: str | None = None, remarks: tuple[str, ...] = ()
    ) -> None:
        self._book = book
        self._field = field
        self._resumed = resumed
        self._remarks = remarks
        self.is_begun = book.entries > 0
        self._waiting: list[tuple[str, msgspec.Struct]] = []
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
                self.note(journal.READING, reading_row(event))
        elif isinstance(event, InterlockTripped):
            if not event.is_with_beam:
                self.note(journal.INTERLOCK, _interlock(event))
        elif isinstance(event, SpillBegun):
            self._header = announced(event, self._field)
            self.note(journal.SPILL, _spill(event, self._header), _loaded(event))
        elif isinstance(event, SpillEnded):
            self.note(journal.OVER, self._over(event), event.result.parts)
        elif isinstance(event, SpillStored):
            self.note(journal.STORED, StoredEntry(spill=event.spill, sha256=event.sha256))
        elif isinstance(event, OrderTaken):
            if event.refusal is None:
                self.note(journal.ORDER, _order(event))
        elif isinstance(event, FieldBegun):
            if event.operator is not None:
                self.note(journal.RESUME, self._session(event, event.operator))
        elif isinstance(event, Converted):
            self._begin(event)
        elif isinstance(event, FieldEnded):
            self.note(journal.CLOSED, ClosedEntry(status=event.status, latched=event.latched))
            self._finish()

    def _begin(self, event: Converted) -> None:
        """Note what is delivered, and what has happened before."""
        entry = FieldEntry(
            field=event.field,
            treatment_sha256=event.treatment_sha256,
            converted=event.is_converted,
            plan_sha256=self._field.plan_sha256,
            beamline_sha256=self._field.beamline_sha256,
            seed=self._field.seed,
            versions=self._field.versions,
        )
        self._book.append(journal.FIELD, keys_of(entry))
        self.is_begun = True
        waiting, self._waiting = self._waiting, []
        for kind, early in waiting:
            self._book.append(kind, keys_of(early))

    def _session(self, event: FieldBegun, operator: str) -> SessionRow:
        return SessionRow(
            operator=operator,
            reason=event.reason or "",
            resumed=self._resumed,
            spill=event.spills + 1,
            remarks=self._remarks or UNSET,
        )

    def _over(self, event: SpillEnded) -> OverEntry:
        assert self._header is not None
        return OverEntry(
            spill=event.spill,
            row=0,
            header=header_of(self._header, event),
            interlocks=tuple(row.item() for row in event.result.interlocks),
        )

    def note(self, kind: str, entry: msgspec.Struct, table: Table | None = None) -> bool:
        """Write an entry; return whether it is on the disk."""
        if not self.is_begun:
            self._waiting.append((kind, entry))
            return True
        if not self.is_lost:
            try:
                self._book.append(kind, keys_of(entry), table)
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


def reading_row(event: ReadingTaken) -> ReadingRow:
    """A row of `SLOW_CONTROL`; None for a box that the line does not have."""
    values: dict[str, float | None] = dict.fromkeys(ReadingRow.__struct_fields__)
    del values["time_us"]
    for number, (box, correction) in enumerate(
        zip(event.reading.boxes, event.flux_corrections, strict=True), start=1
    ):
        values |= {
            f"temperature{number}_C": _number(box.temperature_C),
            f"pressure{number}_Pa": _number(box.pressure_Pa),
            f"high_voltage{number}_V": _number(box.high_voltage_V),
            f"flux_correction{number}": _number(correction),
        }
    return ReadingRow(time_us=event.reading.time_us, **values)


def _interlock(event: InterlockTripped) -> InterlockRow:
    return InterlockRow(
        cause=event.cause,
        time_us=event.time_us,
        spill=event.spill,
        slice=event.slice,
        spot=event.spot,
        value=_number(event.value),
        limit=_number(event.limit),
        action=event.action,
        detail=event.detail or UNSET,
    )


def _event(event: StateChanged) -> EventRow:
    reset = UNSET if event.reset is None else event.reset
    return EventRow(time_us=event.time_us, event=event.event, state=event.state, reset=reset)


def _order(event: OrderTaken) -> OrderRow:
    return OrderRow(
        time_us=event.time_us,
        command=event.command,
        identity=event.identity,
        reason=event.reason,
        spill=event.spill,
    )


def _spill(event: SpillBegun, header: AnnouncedSpill) -> SpillEntry:
    return SpillEntry(
        spill=event.spill,
        slice=event.slice,
        start_us=event.extraction_start_us,
        unconfirmed=event.unconfirmed,
        header=header,
    )


def _loaded(event: SpillBegun) -> Table:
    """What is in the memory boards."""
    table = np.zeros(len(event.spots), journal.LOADED)
    table["spot"] = event.spots
    table["int1_counts"], table["int2_counts"] = event.memory.int1_counts, event.memory.int2_counts
    return table


def _number(value: float) -> float | None:
    """JSON has no numbers that are not finite."""
    return value if math.isfinite(value) else None
