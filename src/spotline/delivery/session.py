"""A session of a delivery: from wherever the record is to its end, or to the next interlock.

`deliver` and `resume` make one each.  What was delivered before is read from the record, once, and nowhere
else kept: a delivery that goes on does what one that was never interrupted does.  What a session writes it
keeps in memory, too, and makes the record of that: it reads none of its own files, unless the disk failed.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from spotline.control.memory import TREND_TICKS, LawSettings, SliceMemory
from spotline.delivery.field import BLOCK_us, Earlier, FieldDelivery, FieldTask, Operator
from spotline.delivery.guard import room_of
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.orders import Inbox, OrderCallback
from spotline.delivery.outcome import Outcome
from spotline.delivery.recorder import FieldFiles
from spotline.delivery.stream import Stream
from spotline.errors import OptionError, OutputError, SpotlineError
from spotline.files import write_json
from spotline.given import is_whole
from spotline.hdf5 import keys_of
from spotline.record import journal
from spotline.record.account import account_of
from spotline.record.assembly import FieldContent, assemble
from spotline.record.course import Course, Place
from spotline.record.entries import StoredEntry
from spotline.record.field_file import read_field_file
from spotline.record.folder import DICOM_RECORD, FIELD_HEADER, SUMMARY
from spotline.record.headers import DeliveryFile
from spotline.record.journal import Journal
from spotline.record.log import write_log
from spotline.record.model import FieldRecord, Record
from spotline.record.read import check_number_of_spills, open_record, read_content, read_spills
from spotline.record.recovered import FieldState, field_header, take_entry
from spotline.record.spill_file import Spill, SpillWriter, spill_path
from spotline.record.summary import summarize
from spotline.record.summary_file import UNWRITTEN, SinkNote
from spotline.room import Room, SpillResult
from spotline.signature import signed
from spotline.storage import Disk, sha256_of
from spotline.treatment.treatment import FieldTreatment, Treatment

LONGEST_WAIT_s = 1e6
"""More is taken for a mistake (assumed): eleven days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """How to deliver and what to write, apart from the treatment and the room.

    Attributes
    ----------
    started : datetime or None
        When the treatment began, for the DICOM record; None: now.  It changes nothing else.
    documents : bool
        Whether to write the DICOM treatment record and the status too.
    disk : Disk or None
        Where to write; None: the disk that there is.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000.  It changes no result.
    takes_orders : bool
        Whether anybody may order something.  If so, the inbox is looked into every 10 ms of the clock of the
        field; without, the fast loop is left less often.
    reset_wait_s : float
        So long, on its clock, a field that an interlock has stopped waits for an order to reset or to close
        it. Meanwhile the clock of the field goes no faster than that of the computer.
    fraction : int or None
        Number of the fraction, from 1, for the DICOM record; in a course it must be the one that is due.
        None: that one, or 1.
    operator : str
        Who delivers, for the record.
    course : Course or None
        That is asked before there is beam, and told afterwards.  A record that goes on knows its own.
    again : str
        Why something is given in the course that was given already; empty if it was not.

    Raises
    ------
    OptionError
        If one of them cannot be had, whatever is delivered: an operator with control characters, a time to
        wait that is not finite, a number that is none.
    """

    started: datetime | None = None
    documents: bool = True
    disk: Disk | None = None
    block_us: int = BLOCK_us
    takes_orders: bool = True
    reset_wait_s: float = 0.0
    fraction: int | None = None
    operator: str = ""
    course: Course | None = None
    again: str = ""

    def __post_init__(self) -> None:
        # Everything is refused here: later there would be half a record, or beam.
        object.__setattr__(self, "operator", signed("operator", self.operator))
        object.__setattr__(self, "again", signed("again", self.again))
        if not (is_whole(self.block_us) and self.block_us >= 1 and self.block_us % TREND_TICKS == 0):
            raise OptionError(f"block_us is {self.block_us!r}; it must be a multiple of {TREND_TICKS}")
        if self.fraction is not None and not (is_whole(self.fraction) and self.fraction >= 1):
            raise OptionError(f"fraction is {self.fraction!r}; give a whole number, counted from 1")
        wait_s: Any = self.reset_wait_s
        is_number = isinstance(wait_s, Real) and not isinstance(wait_s, bool)
        if not (is_number and 0.0 <= wait_s < LONGEST_WAIT_s):
            raise OptionError(
                f"reset_wait_s is {wait_s!r}; give seconds from 0 to less than {LONGEST_WAIT_s:g}"
            )
        if not (self.started is None or isinstance(self.started, datetime)):
            raise OptionError(f"started is {self.started!r}; give a datetime, or None for now")
        for name in ("documents", "takes_orders"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name} is {getattr(self, name)!r}; give True or False")


@dataclass(slots=True)
class Session:
    """Deliver what is left of a treatment.

    Attributes
    ----------
    folder : Path
        Of the record.
    treatment : Treatment
        All fields; those that were begun with the slices of their treatment files.
    delivery : DeliveryFile
    contents : list of FieldContent
        What is in the files of each field; of those that were begun no spill is read yet.
    make_room : callable
        Given a field and the number of spills that it has used, makes the room to deliver it in.
    options : DeliveryOptions
        How.
    stream : Stream
        Told what happens.
    orders : Inbox, OrderCallback or None
        Where orders come from.
    operator : Operator or None
        Who has the delivery go on, and why.
    lock : context manager
        Keeps the folder to this process; whoever runs the session leaves it when all is written.
    place : Place or None
        In the course, if there is one.
    """

    folder: Path
    treatment: Treatment
    delivery: DeliveryFile
    contents: list[FieldContent]
    make_room: Callable[[FieldTreatment, int], Room]
    options: DeliveryOptions
    stream: Stream
    orders: Inbox | OrderCallback | None = None
    operator: Operator | None = None
    lock: AbstractContextManager[object] = dataclasses.field(default_factory=nullcontext)
    place: Place | None = None
    disk: Disk = dataclasses.field(init=False)
    _unwritten: list[str] = dataclasses.field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.disk = self.options.disk or Disk()

    def run(self, wall: float) -> Record:
        """Deliver, in a folder that is kept to this process by `lock`.

        `wall` is the time at which the clock of the computer was started.
        """
        records: list[FieldRecord] = []
        try:
            for index, field in enumerate(self.treatment.fields):
                records.append(self._field(index, field, records))
                if records[-1].outcome.status != "complete":
                    break  # the next field waits until somebody has looked at the interlock
            summary = self._with_unwritten(
                keys_of(summarize(self.delivery, records, time.perf_counter() - wall))
            )
            write_json(self.folder / SUMMARY, summary, self.disk)
        except OSError as error:
            if self._is_of_a_callable(error):
                raise
            return self._without_disk(error)  # whatever the room raises is an interlock, and never comes here
        return Record(self.folder, summary, tuple(records))

    def _is_of_a_callable(self, error: OSError) -> bool:
        """Whether somebody who attends, or who is asked for orders, has raised it, and not the disk."""
        asked = self.orders.raised if isinstance(self.orders, OrderCallback) else None
        return error is self.stream.raised or error is asked

    def _with_unwritten(self, summary: dict[str, Any]) -> dict[str, Any]:
        return {**summary, UNWRITTEN: list(self._unwritten)} if self._unwritten else summary

    def _without_disk(self, error: OSError) -> Record:
        """Return what is on the disk although it takes no more: what was delivered, was."""
        record = open_record(self.folder)
        reason = " ".join((error.strerror or str(error)).split())
        what = f"{error.filename or self.folder}: cannot be written ({reason})"
        remedy = f"make room, and have `spotline resume {self.folder}` write the rest"
        if not record.fields:
            raise OutputError(f"{what}; nothing was delivered; {remedy}") from error
        done = "; everything was delivered" if record.summary["status"] == "complete" else ""
        self._unwritten.append(f"{what}{done}; {remedy}")
        return replace(record, summary=self._with_unwritten(record.summary))

    def _field(self, index: int, field: FieldTreatment, before: list[FieldRecord]) -> FieldRecord:
        """Deliver what is left of a field, and write what belongs to the whole of it."""
        content, loop_wall_s = self.contents[index], 0.0
        content.spills = read_spills(content)
        if content.state.status != "complete":
            outcome = self._deliver(index, field, content)
            loop_wall_s = outcome.loop_wall_s
            if not outcome.is_written:
                content = read_content(content.folder)  # the disk alone knows what it has taken
                content.spills = read_spills(content)
        folder = content.folder
        before_s = sum(_treatment_s(record) for record in before)  # fields follow without a pause
        began = datetime.fromisoformat(self.delivery.started) + timedelta(seconds=before_s)
        path = folder / FIELD_HEADER
        header = keys_of(
            msgspec.structs.replace(
                field_header(content.state),
                started=began.isoformat(timespec="microseconds"),
                loop_wall_s=_earlier_loop_wall_s(path) + loop_wall_s,
                fraction=self.delivery.fraction,
                operator=self.delivery.operator,
            )
        )
        write_json(path, header, self.disk)
        # A spill whose file the disk did not take is in the journal alone.
        state = content.state
        in_journal = bool(state.open_spill) and not spill_path(folder, state.spills).exists()
        check_number_of_spills(folder, len(content.spills) - in_journal)
        record = assemble(content, header)
        write_log(record, folder, self.disk)
        if self.options.documents:
            self._write_dicom(record, folder)
        return record

    def _write_dicom(self, record: FieldRecord, folder: Path) -> None:
        """Write the treatment record; without it, what was delivered was delivered all the same."""
        from spotline.dicom.treatment_record import write_treatment_record

        path = folder / DICOM_RECORD
        try:
            path.unlink(missing_ok=True)  # that of the session before
            write_treatment_record(record, self.treatment.plan, path)
        except Exception as error:  # whatever it is: there are fields to deliver, and a record to close
            said = " ".join(str(error).split()) or type(error).__name__
            self._unwritten.append(
                f"{path}: the treatment record is not written ({said}); `spotline resume {self.folder}` "
                "writes it"
            )

    def _deliver(self, index: int, field: FieldTreatment, content: FieldContent) -> Outcome:
        """Deliver what is left of a field."""
        earlier, state = None, content.state
        if state.begun is not None:
            self._write_recovered(field, content)
            account = account_of(content.slices, content.spills) if state.begun.converted else None
            clock_us = max(
                [reading.time_us + 1 for reading in state.readings]
                + [spill.header.end_us for spill in content.spills],
                default=0,
            )
            earlier = Earlier(account, state.spills, clock_us, state.register())
        position, n_fields = index + 1, len(self.treatment.fields)
        outcome = FieldDelivery(
            FieldTask(field, self.treatment.beamline, position, n_fields, earlier, self.operator),
            room_of(lambda: self.make_room(field, state.spills)),
            FieldFiles(content, self.disk, self.delivery.raw),
            self.stream,
            self.orders,
            self.options.block_us,
            self.options.reset_wait_s,
        ).run()
        self.operator = None  # the fields that follow were not interrupted
        return outcome

    def note(self, record: Record, notes: list[SinkNote]) -> Record:
        """Add to the summary what sinks did not see; if it cannot be written, that changes nothing."""
        summary = keys_of(msgspec.structs.replace(record.outcome, sinks=tuple(notes)))
        with suppress(OSError):
            write_json(self.folder / SUMMARY, summary, self.disk)
        return replace(record, summary=summary)

    def close(self, record: Record) -> Record:
        """Tell the course how it ended; if that cannot be noted, it was given all the same."""
        if self.place is None:
            return record
        try:
            self.place.end(record)
        except (SpotlineError, OSError) as error:
            said = " ".join(str(error).split())
            self._unwritten.append(
                f"the end of the delivery is not noted in its course ({said}); `spotline resume "
                f"{self.folder}` notes it"
            )
        return replace(record, summary=self._with_unwritten(record.summary))

    def _write_recovered(self, field: FieldTreatment, content: FieldContent) -> None:
        """Note the file of the last spill; make it of the journal if there is none."""
        state = content.state
        if not state.open_spill:
            return
        path, book_path = spill_path(content.folder, state.spills), content.folder / journal.NAME
        sha256 = ""
        if not path.exists():
            spill = content.spills[-1]
            settings, memory = self._loaded(field, spill, state)
            with SpillWriter(path, settings, memory, spill.spots, self.disk) as writer:
                sha256 = writer.finish(spill.header, _result_of(spill), spill.slow_control, spill.assumed)
        with Journal(self.disk, book_path, lambda entry: take_entry(state, entry, book_path)) as book:
            stored = StoredEntry(spill=state.spills, sha256=sha256 or sha256_of(path), recovered=bool(sha256))
            book.append(journal.STORED, keys_of(stored))

    def _loaded(
        self, field: FieldTreatment, spill: Spill, state: FieldState
    ) -> tuple[LawSettings, SliceMemory]:
        """What the fast control was loaded with."""
        loaded = state.open_spill[0].table
        assert loaded is not None
        slice_ = field.slices[spill.header.slice]
        settings = law_settings(self.treatment.beamline.facts, field.beam, slice_)
        left1, left2 = (loaded[name].astype(np.int64) for name in ("int1_counts", "int2_counts"))
        return settings, slice_memory(slice_, spill.spots, left1, left2)


def _result_of(spill: Spill) -> SpillResult:
    """A spill as its file takes it."""
    return SpillResult(
        parts=spill.parts,
        commands=spill.commands,
        interlocks=spill.interlocks,
        end_reason=spill.header.end_reason,
        start_us=spill.header.start_us,
        end_us=spill.header.end_us,
        int1_counts=spill.header.int1_counts,
        int2_counts=spill.header.int2_counts,
        truth=None,
    )


def _earlier_loop_wall_s(path: Path) -> float:
    """What ``field.json`` tells of the sessions before."""
    earlier_s = read_field_file(path).loop_wall_s if path.exists() else UNSET
    return 0.0 if earlier_s is UNSET else earlier_s


def _treatment_s(record: FieldRecord) -> float:
    return float(record.spills["end_us"].max()) * 1e-6 if len(record.spills) else 0.0


def versions() -> dict[str, str]:
    """Versions of what took part in a delivery."""
    packages = ("spotline", "numpy", "numba", "h5py", "pydicom")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
