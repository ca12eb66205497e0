"""Read the journal of a field: how far it is, and the spill whose file was never written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from spotline.control.memory import COMMAND, END_NONE, INTERLOCK, PART, TREND
from spotline.control.register import InterlockRegister, Latched
from spotline.errors import RecordError
from spotline.hdf5 import as_written, keys_of, typed
from spotline.record import journal
from spotline.record.entries import (
    ClosedEntry,
    FieldEntry,
    GivenUpEntry,
    OverEntry,
    ProgressEntry,
    SpillEntry,
    StoredEntry,
)
from spotline.record.headers import (
    EventRow,
    FieldFile,
    InterlockRow,
    OrderRow,
    ReadingRow,
    SessionRow,
    SpillHeader,
)
from spotline.record.journal import Entry
from spotline.record.model import SLOW_CONTROL, Table
from spotline.record.spill_file import ASSUMED_PART, NOTHING_ASSUMED, Spill, spill_path
from spotline.treatment.treatment import Slice

INTERRUPTED = "interrupted"
"""Status of a field whose delivery did not come to an end: the process died, or is still at it."""


@dataclass(slots=True)
class FieldState:
    """How far the journal of a field says that it is.

    Attributes
    ----------
    begun : FieldEntry or None
        With which its delivery began; None if it never did.
    status : str
        ``complete``, ``interlock``, or `INTERRUPTED`.
    spills : int
        Spills begun.
    interlocks, readings : list of InterlockRow, list of ReadingRow
        Between spills.
    events, orders, sessions : list of EventRow, list of OrderRow, list of SessionRow
        Of the supervision; that were obeyed; operators who had it go on.
    latched : tuple of Latched
        Causes that were latched when the delivery ended; none if it died.
    stored : dict of int to StoredEntry
        Of every spill file, by number of the spill.
    open_spill : list of Entry
        Entries of the last spill, if its file is not noted; the first is `SPILL`.
    entries : int
        Entries of the delivery in the journal, so without those that its rest was given up.
    given_up : str or None
        SOP Instance UID of the continuation plan that the rest was given up for.
    is_torn : bool
        Whether the journal ends with something that was never confirmed.
    """

    begun: FieldEntry | None = None
    status: str = INTERRUPTED
    spills: int = 0
    interlocks: list[InterlockRow] = field(default_factory=list)
    readings: list[ReadingRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    latched: tuple[Latched, ...] = ()
    sessions: list[SessionRow] = field(default_factory=list)
    stored: dict[int, StoredEntry] = field(default_factory=dict)
    open_spill: list[Entry] = field(default_factory=list)
    entries: int = 0
    given_up: str | None = None
    is_torn: bool = False

    def register(self) -> InterlockRegister:
        """The interlock register, as it was left."""
        resets = tuple(event.reset for event in self.events if event.reset is not UNSET)
        # By way of JSON, which refuses causes that are in no table.
        return InterlockRegister.from_json(InterlockRegister(latched=self.latched, resets=resets).to_json())


def read_state(folder: Path) -> FieldState:
    """Read the journal of a field; without one its delivery never began.

    Raises
    ------
    RecordError
        If it was altered.
    """
    path = folder / journal.NAME
    if not path.exists():
        return FieldState()
    content = journal.read_journal(path)
    state = FieldState(is_torn=content.is_torn)
    with as_written(path):
        for entry in content.entries:
            take_entry(state, entry, path)
    return state


def take_entry(state: FieldState, entry: Entry, path: Path) -> None:
    """Take the next entry of the journal `path`.

    Raises
    ------
    RecordError
        If it cannot follow on those before.
    """
    values, kind = entry.values, entry.kind
    # A field whose checks failed before particles were converted begins once more.
    is_begun = state.begun is not None and (state.begun.converted or kind != journal.FIELD)
    if (kind == journal.FIELD) == is_begun:
        raise RecordError(f"{path}: begins not once but never or twice; restore the journal from a copy")
    if kind == journal.FIELD:
        state.begun = typed(FieldEntry, values)
    elif kind == journal.SPILL:
        spill = typed(SpillEntry, values).spill
        if spill != state.spills + 1 or state.open_spill:
            raise RecordError(f"{path}: spill {spill} is out of order; restore it from a copy")
        state.spills, state.open_spill = spill, [entry]
    elif kind in (journal.PROGRESS, journal.OVER):
        is_over = kind == journal.OVER
        spill = (typed(OverEntry, values) if is_over else typed(ProgressEntry, values)).spill
        if not state.open_spill or spill != state.spills:
            raise RecordError(f"{path}: progress in spill {spill}, which is not open; restore it")
        state.open_spill.append(entry)
    elif kind == journal.STORED:
        stored = typed(StoredEntry, values)
        state.stored[stored.spill] = stored
        state.open_spill = []
    elif kind == journal.READING:
        state.readings.append(typed(ReadingRow, values))
    elif kind == journal.INTERLOCK:
        state.interlocks.append(typed(InterlockRow, values))
    elif kind == journal.RESUME:
        state.sessions.append(typed(SessionRow, values))
    elif kind == journal.EVENT:
        state.events.append(typed(EventRow, values))
    elif kind == journal.GIVEN_UP:
        state.given_up = typed(GivenUpEntry, values).plan_uid
        return  # nothing else has changed
    elif kind == journal.ORDER:
        state.orders.append(typed(OrderRow, values))
    state.entries += 1
    state.status, state.latched = INTERRUPTED, ()
    if kind == journal.CLOSED:
        closed = typed(ClosedEntry, values)
        state.status, state.latched = closed.status, closed.latched


def recover_spill(folder: Path, state: FieldState, slices: tuple[Slice, ...]) -> Spill | None:
    """Make the spill whose file was never written from its entries in the journal.

    Parameters
    ----------
    folder : Path
        Of the field.
    state : FieldState
        From its journal.
    slices : tuple of Slice
        Of its treatment file.

    Returns
    -------
    Spill or None
        None if all spills have files.  Parts that were confirmed are as measured.  If the spill was not
        over, the counts that may have followed are in `Spill.assumed`.
    """
    if not state.open_spill or spill_path(folder, state.spills).exists():
        return None
    first, last = state.open_spill[0], state.open_spill[-1]
    assert first.table is not None
    assert state.begun is not None
    with as_written(folder / journal.NAME):
        loaded, parts = first.table, _parts(state.open_spill[1:])
        spots = loaded["spot"].astype(np.int64)
        if last.kind == journal.OVER:
            over = typed(OverEntry, last.values)
            header, assumed = over.header, NOTHING_ASSUMED.copy()
            interlocks = np.array(list(over.interlocks), INTERLOCK)
        else:
            begun = typed(SpillEntry, first.values)
            slice_ = slices[begun.slice]
            per_int2 = (slice_.particles_per_count2 / slice_.particles_per_count1)[spots]
            header, assumed = (
                _header(state, parts),
                assume(begun.unconfirmed, loaded, parts, per_int2),
            )
            interlocks = np.zeros(0, INTERLOCK)
        return Spill(
            header=msgspec.structs.replace(header, recovered=True),
            spots=spots,
            parts=parts,
            trend=np.zeros(0, TREND),
            commands=np.zeros(0, COMMAND),
            interlocks=interlocks,
            slow_control=np.zeros(0, SLOW_CONTROL),
            truth=None,
            assumed=assumed,
        )


def _parts(entries: list[Entry]) -> Table:
    """Join the rows of the entries; later ones replace earlier ones of the same number."""
    rows: list[np.void] = []
    for entry in entries:
        assert entry.table is not None
        row = entry.values["row"]
        if not 0 <= row <= len(rows):
            raise ValueError(f"rows from {row} on, but only {len(rows)} before")
        rows[row:] = list(entry.table)
    return np.array(rows, PART) if rows else np.zeros(0, PART)


def _header(state: FieldState, parts: Table) -> SpillHeader:
    """Header of the file of a spill that was cut short, as far as it is known."""
    first, last = state.open_spill[0], state.open_spill[-1]
    begun = typed(SpillEntry, first.values)
    end_us = typed(ProgressEntry, last.values).time_us if last is not first else begun.start_us
    return SpillHeader(
        **keys_of(begun.header),
        start_us=begun.start_us,
        end_us=end_us,
        beam_on_us=max(0, end_us - begun.header.extraction_start_us),
        end_reason=END_NONE,
        request=0,
        int1_counts=int(parts["int1_counts"].sum()),
        int2_counts=int(parts["int2_counts"].sum()),
    )


def assume(unconfirmed: int, loaded: Table, parts: Table, int1_per_int2: np.ndarray) -> Table:
    """Assume that the beam went on along the delivery path, for as many counts as it may have.

    Parameters
    ----------
    unconfirmed : int
        Counts of INT1 that may have come in after the last entry.
    loaded : Table
        Columns `LOADED`.
    parts : Table
        Columns `PART`: what was confirmed.
    int1_per_int2 : ndarray of float, shape (n_spots,)
        Expected ratio of the chambers' counts.

    Returns
    -------
    Table
        Columns `ASSUMED_PART`: no spot gets more than it lacks.
    """
    lacks1, lacks2 = loaded["int1_counts"].astype(np.int64), loaded["int2_counts"].astype(np.int64)
    here = 0
    if len(parts):
        np.subtract.at(lacks1, parts["spot"], parts["int1_counts"])
        np.subtract.at(lacks2, parts["spot"], parts["int2_counts"])
        here = int(parts["spot"][-1]) + int(parts["complete"][-1])
    rows = []
    for spot in range(here, len(loaded)):
        if unconfirmed <= 0:
            break
        lacking = max(1, int(lacks1[spot]))
        counts = min(lacking, unconfirmed)
        complete = counts == lacking
        lacking2 = max(0, int(lacks2[spot]))
        counts2 = lacking2 if complete else min(lacking2, math.ceil(counts / float(int1_per_int2[spot])))
        rows.append((spot, counts, counts2, int(complete)))
        unconfirmed -= counts
    return np.array(rows, ASSUMED_PART) if rows else NOTHING_ASSUMED.copy()


def field_header(state: FieldState) -> FieldFile:
    """What ``field.json`` says of the delivery, from the journal."""
    return FieldFile(
        status=state.status,
        spills=state.spills,
        slow_control=tuple(state.readings),
        interlocks_without_beam=tuple(state.interlocks),
        events=tuple(state.events),
        orders=tuple(state.orders),
        register=state.register(),
        sessions=tuple(state.sessions),
        journal_entries=state.entries,
    )
