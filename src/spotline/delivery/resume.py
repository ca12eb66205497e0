"""Go on with a delivery that was stopped, killed, or lost its power."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import UNSET

from spotline.delivery.delivery import Delivery
from spotline.delivery.field import BLOCK_us, Operator
from spotline.delivery.opening import simulated_rooms
from spotline.delivery.orders import Inbox, OrderCallback
from spotline.delivery.progress import Orders, Report
from spotline.delivery.session import DeliveryOptions, Session, versions
from spotline.delivery.stream import Stream
from spotline.errors import BeamLineError, OutputError, RecordError
from spotline.hdf5 import as_written
from spotline.machine import BeamLine, load_beamline
from spotline.plan import Field, Plan
from spotline.planning.read import read_kept_plan
from spotline.record import delivery_file
from spotline.record.assembly import FieldContent
from spotline.record.course_folder import course_of
from spotline.record.folder import CONTINUATION, DICOM_RECORD, LOCK, SUMMARY
from spotline.record.headers import DeliveryFile
from spotline.record.journal import NAME as JOURNAL
from spotline.record.model import Record
from spotline.record.read import open_record, read_content
from spotline.record.recovered import FieldState
from spotline.record.witnesses import check_spill_files, given_up_for, read_states
from spotline.room import Room
from spotline.signature import signed_by_somebody
from spotline.storage import Disk, only_one, sha256_of
from spotline.treatment.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import NAME as TREATMENT

CLOCKS_DIFFER = timedelta(minutes=1)
"""So much the clocks of two computers may differ."""

MakeRoomAgain = Callable[[FieldTreatment, int], Room]


def resume(
    folder: str | Path,
    *,
    operator: str,
    reason: str,
    beamline: str | Path | None = None,
    plan: Plan | None = None,
    make_room: MakeRoomAgain | None = None,
    progress: Report | None = None,
    orders: Orders | None = None,
    block_us: int = BLOCK_us,
    documents: bool = True,
    resumed: datetime | None = None,
    disk: Disk | None = None,
) -> Record:
    """Go on with a delivery, in place, until it is complete or stopped again.

    What was confirmed counts as delivered, and so does what may have followed before the beam was off (see
    ``docs/explanation/recovery.md``).  For every spot, delivered, assumed and remaining counts together are
    what was prescribed.

    Parameters
    ----------
    folder : str or Path
        Record of the delivery.  One that is complete stays as it is.
    operator, reason : str
        Who has it go on, and why; kept in the record.
    beamline : str or Path, optional
        The beam line, if it is not where it was.
    plan : Plan, optional
        The plan, if it was read from no file.
    make_room : callable, optional
        Given a field and the number of spills it has used, makes the room; by default a simulated one.
    progress, orders, block_us, documents, disk
        As of `spotline.deliver`.
    resumed : datetime, optional
        When; by default now.

    Returns
    -------
    Record
        Of the whole delivery.

    Raises
    ------
    RecordError
        If the record is broken, a journal knows less than the other files, its rest was given up for a
        continuation plan, another process is at it, or plan, beam line or treatment are not its own.
    CourseError
        If it belongs to a course, and that is not there, is broken, or has it not open any more.
    OptionError
        If operator or reason is blank.
    OutputError
        If nothing can be written.
    """
    options = DeliveryOptions(documents=documents, disk=disk, block_us=block_us, takes_orders=False)
    delivery = resumption(
        folder,
        operator=operator,
        reason=reason,
        beamline=beamline,
        plan=plan,
        make_room=make_room,
        options=options,
        resumed=resumed,
    )
    delivery.attend(progress, orders)
    return delivery.run()


def resumption(
    folder: str | Path,
    *,
    operator: str,
    reason: str,
    beamline: str | Path | None = None,
    plan: Plan | None = None,
    make_room: MakeRoomAgain | None = None,
    options: DeliveryOptions | None = None,
    resumed: datetime | None = None,
) -> Delivery:
    """Make a `Delivery` that goes on with one that did not end well.

    Parameters and errors are those of `resume`, and `options` as of `Delivery`.  The record is read when it
    is started: that raises what is wrong with it.
    """
    where, options = Path(folder), options or DeliveryOptions()

    def opened(stream: Stream, orders: Inbox | OrderCallback | None) -> Session | Record:
        delivery = delivery_file.read_delivery(where)
        states = read_states(where, delivery)  # before anything is believed
        course = course_of(where, options.course)
        complete = _complete(where, delivery, states, options.documents)
        if complete is not None:
            if course is not None and delivery.course is not None:
                course.settle(delivery.course).end(complete)
            return complete
        who = _operator(operator, reason, resumed)
        line = _load_line(where, delivery, beamline)
        intent = plan or _read_plan(where, delivery)

        room_of = make_room or simulated_rooms(line, delivery.seed, delivery.raw)
        # What is left is read when nobody else can deliver it any more, or give it up.
        with ExitStack() as lock:
            lock.enter_context(only_one(where / LOCK))
            states = read_states(where, delivery)
            _refuse_given_up(where, states)
            contents = [
                read_content(where / field.folder, state)
                for field, state in zip(delivery.fields, states, strict=True)
            ]
            treatment = _treatment_of(where, delivery, intent, line, contents)
            check_writable(where, contents)
            for content in contents:
                content.remarks = remarks_on(delivery)
            session = Session(where, treatment, delivery, contents, room_of, options, stream, orders, who)
            if course is not None and delivery.course is not None:
                is_left = any(state.status != "complete" for state in states)
                session.place = (
                    course.go_on(delivery.course, who.identity, who.reason)
                    if is_left
                    else course.settle(delivery.course)  # only documents are to be written
                )
            session.lock = lock.pop_all()
            return session

    return Delivery.opened_by(where, opened, options)


def remarks_on(delivery: DeliveryFile, now: datetime | None = None) -> tuple[str, ...]:
    """Say what is odd about a delivery that is gone on with, and does not forbid it.

    Parameters
    ----------
    delivery : DeliveryFile
    now : datetime, optional
        By the clock of the computer.
    """
    found = []
    wrote, own = delivery.versions.get("spotline", "of no known version"), versions()["spotline"]
    if wrote != own:
        found.append(f"the delivery was begun with Spotline {wrote[:40]}, and goes on with {own}")
    now = now or datetime.now().astimezone()
    started = datetime.fromisoformat(delivery.started).astimezone()
    if started - now > CLOCKS_DIFFER:
        found.append(
            f"the delivery began at {delivery.started}, which is in the future: the clock of one of the "
            "computers is wrong"
        )
    return tuple(found)


def check_writable(folder: Path, contents: Sequence[FieldContent]) -> None:
    """Refuse a record that cannot be written, while nothing is delivered.

    Raises
    ------
    OutputError
        If it cannot.
    """
    for path in (folder, *(content.folder for content in contents)):
        # A journal is opened as it will be: only that tells of files that nobody may change.
        book = path / JOURNAL
        try:
            if not os.access(path, os.W_OK):
                raise OSError(errno.EACCES, "not writable, or on a disk that is mounted read-only")
            if book.exists():
                book.open("r+b").close()
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}), so nobody can go on with this record; "
                "make it writable; nothing was delivered now"
            ) from None


def _operator(identity: str, reason: str, resumed: datetime | None) -> Operator:
    why = "a delivery that did not end well goes on in somebody's name"
    identity = signed_by_somebody("operator", identity, why)
    reason = signed_by_somebody("reason", reason, why)
    when = resumed if resumed is not None else datetime.now().astimezone()
    return Operator(identity, reason, when.isoformat(timespec="seconds"))


def _refuse_given_up(folder: Path, states: Sequence[FieldState]) -> None:
    """Refuse to deliver what a continuation plan delivers."""
    uid = given_up_for(states)
    if uid is None:
        return
    copy = folder / CONTINUATION
    where = f"{copy} is a copy of it" if copy.exists() else "ask for it again with `spotline continuation`"
    raise RecordError(
        f"{folder}: its rest was given up for the continuation plan with SOP Instance UID {uid}; deliver "
        f"that plan instead ({where})"
    )


def _complete(
    folder: Path, delivery: DeliveryFile, states: Sequence[FieldState], documents: bool
) -> Record | None:
    """The record, if there is nothing left to deliver or to write."""
    if not (folder / SUMMARY).exists() or any(state.status != "complete" for state in states):
        return None
    if documents and not all((folder / field.folder / DICOM_RECORD).exists() for field in delivery.fields):
        return None
    return open_record(folder)


def _load_line(folder: Path, delivery: DeliveryFile, given: str | Path | None) -> BeamLine:
    where = folder / delivery_file.NAME
    kept = delivery.beamline_path or delivery.beamline
    try:
        line = load_beamline(given if given is not None else kept)
    except BeamLineError as error:
        if given is not None:
            raise
        raise RecordError(
            f"{where}: the beam line cannot be loaded ({error}); name it with --beamline"
        ) from error
    if line.sha256 != delivery.beamline_sha256:
        raise RecordError(
            f"{where}: {line.path} is not the beam line of this record (SHA-256 {line.sha256[:12]}, not "
            f"{delivery.beamline_sha256[:12]}); give the one it was begun with as --beamline"
        )
    return line


def _read_plan(folder: Path, delivery: DeliveryFile) -> Plan:
    if delivery.plan is None:
        raise RecordError(
            f"{folder / delivery_file.NAME}: the plan was not read from a file and is not in the record; "
            "give it as `plan` to spotline.resume"
        )
    path = folder / delivery_file.PLANS / delivery.plan
    if not path.is_file():
        raise RecordError(f"{path}: no such file; restore the plan of this record from a copy")
    if sha256_of(path) != delivery.plan_sha256:
        raise RecordError(f"{path}: is not the plan of this record; restore it from a copy")
    return read_kept_plan(path)


def _treatment_of(
    folder: Path, delivery: DeliveryFile, plan: Plan, line: BeamLine, contents: Sequence[FieldContent]
) -> Treatment:
    """What was prepared, as it was."""
    if plan.sha256 != delivery.plan_sha256:
        raise RecordError(f"{folder / delivery_file.NAME}: the plan given is not that of this record")
    planned = {field.number: field for field in plan.fields}
    fields = []
    for said, content in zip(delivery.fields, contents, strict=True):
        if said.number not in planned:
            raise RecordError(f"{folder / delivery_file.NAME}: field {said.number} is not in the plan")
        fields.append(_field_of(delivery, planned[said.number], line, content))
    return Treatment(plan, line, tuple(fields))


def _field_of(
    delivery: DeliveryFile, planned: Field, line: BeamLine, content: FieldContent
) -> FieldTreatment:
    """A field as it was prepared; its files must be those of the delivery."""
    path, header, state = content.folder / TREATMENT, content.header, content.state
    with as_written(path):
        for key in ("plan_sha256", "beamline_sha256", "seed"):
            own = getattr(delivery, key)
            if getattr(header, key) != own or (state.begun and getattr(state.begun, key) != own):
                raise RecordError(f"{path}: {key} is not that of the delivery; restore it from a copy")
        if header.number != planned.number:
            raise RecordError(f"{path}: belongs to field {header.number}; restore it from a copy")
        if state.begun and state.begun.treatment_sha256 != content.treatment_sha256:
            raise RecordError(f"{path}: is not the treatment that the journal began with; restore it")
        check_spill_files(content.folder, state)
        beam = line.beam(planned.ion.name)
        if beam is None:
            raise RecordError(f"{path}: the beam line has no {planned.ion.name}")
        return FieldTreatment(
            field=planned,
            beam=beam,
            passive_elements=header.passive_elements,
            instructions=planned.instructions,
            slices=content.slices,
            gas_factors=(1.0,) * len(line.facts.boxes) if header.gas_factors is UNSET else header.gas_factors,
            warnings=header.warnings,
        )
