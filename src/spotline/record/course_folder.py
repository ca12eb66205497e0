"""A course whose ledger is a file in a folder: it needs no server, and nothing but the folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from spotline.errors import CourseError, OptionError, RecordError
from spotline.plan.model import Plan
from spotline.record import journal
from spotline.record.course import (
    Course,
    CourseLine,
    CourseMade,
    DeliveryBegun,
    DeliveryEnded,
    DeliveryResumed,
    GivenUp,
    Prescribed,
    RemainderLeft,
    Wanted,
)
from spotline.record.course_state import (
    NOTHING,
    CourseState,
    Fraction,
    Given,
    check_record,
    state_of,
)
from spotline.record.delivery_file import read_delivery
from spotline.record.folder import LOCK, SUMMARY
from spotline.record.headers import CourseReference
from spotline.record.ledger import NAME, Content, Ledger, Line, Writer
from spotline.record.model import Record
from spotline.signature import signed, signed_by_somebody
from spotline.storage import only_one, sha256_of


def make_course(
    folder: str | Path, plans: Sequence[Plan], fractions: int | None = None, label: str = ""
) -> CourseFolder:
    """Make a course of plans.

    Parameters
    ----------
    folder : str or Path
        New, or without a ledger.
    plans : sequence of Plan
        Of one patient, each read from a file.
    fractions : int, optional
        How often each is to be given; by default as the plan says.
    label : str
        What the course is called; by default as the first plan.

    Raises
    ------
    OptionError
        If plans or fractions are none that can be prescribed.
    OutputError
        If the folder has a ledger, or cannot be written.
    """
    entries = [_prescription(plan, fractions) for plan in plans]
    if not entries:
        raise OptionError("a course is of a plan: give one")
    if len({entry.plan_sha256 for entry in entries}) < len(entries):
        raise OptionError("a plan is there twice: give each once, and how often with --fractions")
    patients = sorted({entry.patient_id for entry in entries if entry.patient_id})
    if len(patients) > 1:
        raise OptionError(f"the plans are of patients {', '.join(patients)}: a course is of one")
    label = signed("label", label)
    made = CourseMade(uid=f"2.25.{uuid4().int}", label=label or entries[0].plan_label)
    with Ledger.made(Path(folder)) as writer:
        prescribed: tuple[CourseLine, ...] = (made, *entries)
        for entry in prescribed:
            _note(writer, entry)
    return CourseFolder(folder)


def _prescription(plan: Plan, fractions: int | None) -> Prescribed:
    if plan.continues is not None:
        raise OptionError(
            f"{plan.path}: is a continuation plan; prescribe the plan that it goes on with, and deliver "
            "this one into the course"
        )
    sha256, uid = original_of(plan)
    if not sha256:
        raise OptionError(f"{plan.path}: was not read from a file; write it first")
    number = plan.fractions_planned if fractions is None else fractions
    if number < 1:
        raise OptionError(f"{plan.path}: {number} fractions are none; give 1 or more with --fractions")
    return Prescribed(
        plan_sha256=sha256,
        plan_uid=uid,
        plan_label=plan.label,
        plan_name=plan.path.name,
        patient_id=plan.identity.get("PatientID", ""),
        fractions=number,
    )


def original_of(plan: Plan) -> tuple[str, str]:
    """Hash and SOP Instance UID of the plan that one was prepared from: its own, if it was not prepared."""
    if plan.prepared_for is not None:
        return plan.prepared_for.plan_sha256, plan.prepared_for.plan_uid
    return plan.sha256, plan.identity.get("SOPInstanceUID", "")


@dataclass(frozen=True, slots=True)
class CourseFolder:
    """A `spotline.record.course.Course` in a folder.

    Parameters
    ----------
    folder : str or Path
        That `make_course` made.
    """

    folder: Path

    def __init__(self, folder: str | Path) -> None:
        object.__setattr__(self, "folder", Path(folder))

    @property
    def ledger(self) -> Ledger:
        """Where all stands."""
        return Ledger(self.folder)

    # Looking

    def state(self) -> CourseState:
        """How the course stands.

        Raises
        ------
        CourseError
            If the ledger is missing or broken.
        """
        return self._state(self.ledger.read())

    def torn(self) -> str:
        """What a crash has torn and nobody has cut off yet, in words; empty if nothing."""
        content = self.ledger.read()
        if not content.torn:
            return ""
        return (
            f"{self.folder / NAME}: a crash has torn line {len(content.lines) + 1} ({len(content.torn)} "
            "bytes); nobody acted on it, and it will be cut off"
        )

    def records(self) -> list[Path]:
        """Folders of all deliveries, in order."""
        return [self._record(given) for given in self.state().deliveries]

    def check(self) -> list[str]:
        """Hold the ledger against the records: what is wrong, in words.

        Raises
        ------
        CourseError
            If the ledger itself is broken.
        """
        found = []
        for given in self.state().deliveries:
            folder = self._record(given)
            if not folder.is_dir():
                found.append(f"{given.in_words}: is not there")
                continue
            for name, sha256 in given.files.items():
                path = folder / name
                if not path.is_file():
                    found.append(f"{given.in_words}: has no {name}")
                elif sha256_of(path) != sha256:
                    found.append(f"{given.in_words}: {name} is not what it was when the delivery ended")
        return found

    # What a delivery asks

    def begin(self, wanted: Wanted) -> LedgerPlace:
        """Note that a delivery begins, if it is what is due."""
        with self.ledger.writing() as writer:
            state = self._state(writer.content)
            self._check_open(state, wanted)
            plan, fraction = self._due(state, wanted)
            line = _note(
                writer,
                DeliveryBegun(
                    plan=plan,
                    plan_sha256=wanted.plan_sha256,
                    plan_uid=wanted.original_uid,
                    fraction=fraction,
                    continuation=wanted.continuation,
                    record=self._name(wanted.record),
                    beamline=wanted.beamline,
                    beamline_sha256=wanted.beamline_sha256,
                    operator=wanted.operator,
                    again=wanted.again.strip(),
                ),
            )
            return self._place(state, line.number, line.sha256, fraction)

    def go_on(self, reference: CourseReference, operator: str, reason: str) -> LedgerPlace:
        """Note that a delivery goes on, if it is what is open."""
        with self.ledger.writing() as writer:
            state = self._state(writer.content)
            given = self._known(state, reference)
            fraction = state.fraction_of(given)
            if not fraction.is_open or fraction.last is not given:
                raise CourseError(
                    f"{self.folder}: {given.in_words} is not open any more ({fraction.in_words}), so it "
                    "cannot go on; see `spotline course show`"
                )
            if given.left is not None:
                raise CourseError(f"{self.folder}: {fraction.what_to_do}")
            _note(writer, DeliveryResumed(delivery=given.line, operator=operator, reason=reason))
            return self._place(state, given.line, given.sha256, fraction.number)

    def settle(self, reference: CourseReference) -> LedgerPlace:
        """The place of a complete delivery that died before its end was noted, or gets its last documents."""
        state = self.state()
        given = self._known(state, reference)
        return self._place(state, given.line, given.sha256, given.begun.fraction)

    def check_remainder(self, references: tuple[CourseReference, ...]) -> None:
        """Refuse records that are not those of the fraction that is open."""
        self._open_of(self.state(), references)

    def leave(self, references: tuple[CourseReference, ...], plan_uid: str, plan_sha256: str) -> None:
        """Note which plan delivers the rest."""
        with self.ledger.writing() as writer:
            state = self._state(writer.content)
            fraction = self._open_of(state, references)
            last = fraction.last
            if last.left is not None and last.left.plan_uid == plan_uid:
                return
            if last.left is not None:
                raise CourseError(f"{self.folder}: {fraction.what_to_do}")
            given = [self._known(state, reference) for reference in references]
            files = {str(one.line): _hashes(self._record(one)) for one in given}
            _note(
                writer,
                RemainderLeft(delivery=last.line, plan_uid=plan_uid, plan_sha256=plan_sha256, files=files),
            )

    def give_up(self, operator: str, reason: str) -> Fraction:
        """Take the open fraction for over, although something is lacking.

        Raises
        ------
        CourseError
            If there is none.
        RecordError
            If it is being delivered.
        OptionError
            If nobody says who and why.
        """
        why = "a fraction is given up in somebody's name"
        operator = signed_by_somebody("operator", operator, why)
        reason = signed_by_somebody("reason", reason, why)
        with self.ledger.writing() as writer, ExitStack() as stack:
            state = self._state(writer.content)
            fraction = state.open
            if fraction is None:
                raise CourseError(f"{self.folder}: no fraction is open, so there is nothing to give up")
            lock = self._record(fraction.last) / LOCK
            if lock.exists():
                stack.enter_context(only_one(lock))
            _note(writer, GivenUp(delivery=fraction.last.line, operator=operator, reason=reason))
            return fraction

    # Inside

    def _state(self, content: Content) -> CourseState:
        return state_of(content.lines, str(self.folder / NAME))

    def _place(self, state: CourseState, line: int, sha256: str, fraction: int) -> LedgerPlace:
        reference = CourseReference(
            folder=str(self.folder.resolve()), uid=state.made.uid, line=line, sha256=sha256
        )
        return LedgerPlace(self, fraction, reference)

    def _name(self, record: Path) -> str:
        """Name of a record: from the folder of the course if it is in there, so that both can be moved."""
        where, own = record.resolve(), self.folder.resolve()
        name = where.relative_to(own).as_posix() if where.is_relative_to(own) else str(where)
        try:
            return check_record(name)
        except ValueError as error:
            raise CourseError(f"{self.folder}: {error}; choose another folder for the record") from None

    def _record(self, given: Given) -> Path:
        """Folder of a record; a name in the folder of the course must not be a link out of it."""
        record = self.folder / given.begun.record
        is_in_course = not Path(given.begun.record).is_absolute()
        if is_in_course and not record.resolve().is_relative_to(self.folder.resolve()):
            raise CourseError(
                f"{record}: is a link that leads out of the course; put the record itself in its place"
            )
        return record

    def _check_open(self, state: CourseState, wanted: Wanted) -> None:
        """Refuse anything but the rest of a fraction that is open."""
        is_open = state.open
        if is_open is None:
            return
        left = is_open.last.left
        is_rest = wanted.continuation and left is not None and left.plan_uid == wanted.original_uid
        if not is_rest or wanted.again.strip():
            raise CourseError(f"{self.folder}: {is_open.what_to_do}")

    def _due(self, state: CourseState, wanted: Wanted) -> tuple[str, int]:
        """Hash of the prescribed plan, and number of the fraction."""
        if wanted.continuation:
            plan, due = self._due_rest(state, wanted)
        else:
            plan, due = self._due_fraction(state, wanted)
        if wanted.fraction is not None and wanted.fraction != due:
            raise CourseError(f"{self.folder}: fraction {wanted.fraction} is not due, but fraction {due}")
        return plan, due

    def _due_fraction(self, state: CourseState, wanted: Wanted) -> tuple[str, int]:
        plan = state.plans.get(wanted.original_sha256)
        if plan is None:
            raise CourseError(
                f"{self.folder}: the plan with SHA-256 {wanted.original_sha256[:12]} was not prescribed; the "
                "course has "
                + ", ".join(f"{one.plan_name} ({one.plan_sha256[:12]})" for one in state.plans.values())
            )
        due = state.due(plan.plan_sha256)
        if wanted.again.strip():
            number = due - 1 if wanted.fraction is None else wanted.fraction
            if due == 1:
                raise CourseError(
                    f"{self.folder}: no fraction of {plan.plan_name} was given yet, so none can be given "
                    "again; leave --again away"
                )
            if not 1 <= number < due:
                raise CourseError(
                    f"{self.folder}: fraction {number} was not given yet, so it cannot be given again; leave "
                    "--again away"
                )
            return plan.plan_sha256, number
        if wanted.fraction is not None and wanted.fraction < due:
            raise CourseError(
                f"{self.folder}: fraction {wanted.fraction} was given; if it must be given again, say why "
                "with --again"
            )
        if due > plan.fractions:
            raise CourseError(
                f"{self.folder}: all {plan.fractions} prescribed fractions of {plan.plan_name} were given; "
                "if one must be given again, say why with --again"
            )
        return plan.plan_sha256, due

    def _due_rest(self, state: CourseState, wanted: Wanted) -> tuple[str, int]:
        is_open = state.open
        if is_open is not None:  # and waits for this plan
            return is_open.plan, is_open.number
        for given in state.deliveries:
            if given.begun.continuation and given.begun.plan_uid == wanted.original_uid:
                if wanted.again.strip():
                    return given.begun.plan, given.begun.fraction
                raise CourseError(
                    f"{self.folder}: this continuation plan was given, as {given.in_words}; if it must be "
                    "given again, say why with --again"
                )
        raise CourseError(
            f"{self.folder}: nothing was left to the continuation plan with SOP Instance UID "
            f"{wanted.original_uid}; write it with `spotline continuation --out` from records of the course"
        )

    def _known(self, state: CourseState, reference: CourseReference) -> Given:
        """The delivery that a record says it is."""
        if reference.uid != state.made.uid:
            raise CourseError(
                f"{self.folder}: is not the course of this record ({reference.folder}); give that as --course"
            )
        given = state.at(reference.line)
        if given is None or given.sha256 != reference.sha256:
            raise CourseError(
                f"{self.folder / NAME}: does not know of this record, which stands in line "
                f"{reference.line}: it is an older copy; restore the last one"
            )
        return given

    def _open_of(self, state: CourseState, references: tuple[CourseReference, ...]) -> Fraction:
        """The open fraction, if the records are those of it."""
        given = [self._known(state, reference) for reference in references]
        fraction = state.fraction_of(given[-1])
        others = [one for one in given if state.fraction_of(one) is not fraction]
        if others:
            raise CourseError(
                f"{self.folder}: {others[0].in_words} and {given[-1].in_words} are two fractions; give the "
                "records of one"
            )
        if not fraction.is_open:
            raise CourseError(
                f"{self.folder}: {fraction.last.in_words} is not open any more ({fraction.in_words}), so "
                "nothing of it is left to deliver"
            )
        if fraction.last not in given:
            raise CourseError(
                f"{self.folder}: the record of {fraction.last.in_words} is missing: give all records of the "
                "fraction"
            )
        return fraction


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """A `spotline.record.course.Place` in the ledger of a folder."""

    course: CourseFolder
    fraction: int
    reference: CourseReference

    def end(self, record: Record) -> None:
        """Note how the delivery ended, unless that stands there already."""
        with self.course.ledger.writing() as writer:
            known = self.course._state(writer.content).at(self.reference.line)
            ended = _ended(self.reference.line, record)
            if known is None or known.ended != ended:
                _note(writer, ended)

    def nothing(self, reason: str) -> None:
        """Note that nothing was delivered."""
        with self.course.ledger.writing() as writer:
            _note(writer, DeliveryEnded(delivery=self.reference.line, status=NOTHING, reason=reason))


def course_of(folder: Path, given: Course | None = None) -> Course | None:
    """The course that a record belongs to: the one given, or where it was; None if it belongs to none.

    Raises
    ------
    CourseError
        If it is not there any more, or one is given to a record that belongs to none.
    """
    reference = read_delivery(folder).course
    if reference is None:
        if given is not None:
            raise CourseError(f"{folder}: belongs to no course; leave --course away")
        return None
    if given is not None:
        return given
    if not (Path(reference.folder) / NAME).exists():
        raise CourseError(
            f"{folder}: its course {reference.folder} is not there any more; say where it is with --course"
        )
    return CourseFolder(reference.folder)


def _note(writer: Writer, entry: CourseLine) -> Line:
    values = msgspec.to_builtins(entry)
    return writer.append(values.pop("kind"), values)


def _ended(line: int, record: Record) -> DeliveryEnded:
    summary = record.summary
    return DeliveryEnded(
        delivery=line,
        status=str(summary["status"]),
        spots_delivered=int(summary["spots_delivered"]),
        spots_planned=int(summary["spots_planned"]),
        particles_delivered=float(summary["particles_delivered"]),
        particles_planned=float(summary["particles_planned"]),
        files=_hashes(record.path),
    )


def _hashes(folder: Path) -> dict[str, str]:
    """Hashes of the summary and the journals of a record, by name."""
    names = [SUMMARY]
    with suppress(RecordError):  # it ended before anything could be noted
        names += [f"{field.folder}/{journal.NAME}" for field in read_delivery(folder).fields]
    return {name: sha256_of(folder / name) for name in names if (folder / name).is_file()}
