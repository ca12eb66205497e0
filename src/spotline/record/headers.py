"""What the files of a record say of themselves, as types.

For treatment files see `spotline.treatment.headers`.  `FieldRecord.header` and `Record.summary` stay
dictionaries, for whoever looks something up by its key, and have all that the files say; the code itself asks
`FieldRecord.facts`, `FieldRecord.outcome` and `Record.outcome`.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from spotline.control.register import InterlockRegister, Reset


class ReadingRow(Struct, frozen=True, kw_only=True):
    """A reading of the slow control between spills, columns `SLOW_CONTROL` of the record model.

    None stands for what is no number.
    """

    time_us: int
    temperature1_C: float | None
    temperature2_C: float | None
    pressure1_Pa: float | None
    pressure2_Pa: float | None
    high_voltage1_V: float | None
    high_voltage2_V: float | None
    flux_correction1: float | None
    flux_correction2: float | None


class InterlockRow(Struct, frozen=True, kw_only=True):
    """An interlock without beam, columns `INTERLOCK` of the record model.

    None stands for what is no number.  `detail` says in words what a number cannot: what a room raised, or
    what of its answer cannot be.
    """

    cause: int
    time_us: int
    spill: int
    slice: int
    spot: int
    value: float | None
    limit: float | None
    action: int
    detail: str | UnsetType = UNSET


class EventRow(Struct, frozen=True, kw_only=True):
    """An event of the supervision: when it came, its name, the state after it; and a reset, if it was one."""

    time_us: int
    event: str
    state: str
    reset: Reset | UnsetType = UNSET


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order that was obeyed: from when on, who gave it and why, and in or after which spill."""

    time_us: int
    command: str
    identity: str
    reason: str
    spill: int


class SessionRow(Struct, frozen=True, kw_only=True):
    """Who had a delivery go on: name, reason, when by the clock of the computer, and from which spill on.

    `remarks` is what was odd about the record then; not there if nothing was.
    """

    operator: str
    reason: str
    resumed: str | None
    spill: int
    remarks: tuple[str, ...] | UnsetType = UNSET


class PlannedField(Struct, frozen=True, kw_only=True):
    """A field in ``delivery.json``.

    Attributes
    ----------
    number : int
    folder : str
        Its name in the folder of the record.
    spots_planned, particles_planned : int, float
    """

    number: int
    folder: str
    spots_planned: int
    particles_planned: float


class CourseReference(Struct, frozen=True, kw_only=True):
    """Where a record stands in a course of treatment.

    Attributes
    ----------
    folder : str
        Of the course.
    uid : str
        By which the course is known wherever it is.
    line : int
        Of its ledger, with which the delivery began.
    sha256 : str
        Hash of that line, hexadecimal.
    """

    folder: str
    uid: str
    line: int
    sha256: str


class DeliveryFile(Struct, frozen=True, kw_only=True):
    """Content of ``delivery.json``: what a delivery was asked to do.

    Attributes
    ----------
    format : int
    plan : str or None
        Name of the copy of the plan; None if the plan came from no file.
    plan_name, plan_label, plan_sha256 : str
    beamline, beamline_version, beamline_sha256 : str
    beamline_path : str or None
        None if it is a shipped one.
    seed : int
    raw : bool
        Whether every frame of every chamber is kept.
    started : str
        ISO 8601.
    versions : dict of str to str
    fields : tuple of PlannedField
        In the order of delivery.
    fraction : int
        That it is, or goes on with; from 1.
    operator : str
        Who had it begin, if that was said.
    course : CourseReference or None
        That it belongs to, if any.
    """

    format: int
    plan: str | None
    plan_name: str
    plan_label: str
    plan_sha256: str
    beamline: str
    beamline_version: str
    beamline_path: str | None
    beamline_sha256: str
    seed: int
    raw: bool
    started: str
    versions: dict[str, str]
    fields: tuple[PlannedField, ...]
    fraction: int = 1
    operator: str = ""
    course: CourseReference | None = None


class AnnouncedSpill(Struct, frozen=True, kw_only=True):
    """What is known of a spill before it, and stands in the journal.

    Attributes
    ----------
    field, spill, slice : int
        Number of the field, number of the spill from 1, index of the slice.
    cycle_code, broadcast_code : int
        That was asked for, and that the accelerator sent.
    extraction_start_us, extraction_end_us : int
        As the accelerator announced them, on the clock of the field.
    recovered : bool
        Whether the spill comes from the journal, because its file was never written.
    beamline_sha256, plan_sha256, seed
        What belongs together.
    """

    field: int
    spill: int
    slice: int
    cycle_code: int
    extraction_start_us: int
    extraction_end_us: int
    broadcast_code: int
    recovered: bool = False
    beamline_sha256: str
    plan_sha256: str
    seed: int | None


class SpillHeader(AnnouncedSpill, frozen=True, kw_only=True):
    """Header of a spill file.

    Attributes
    ----------
    start_us, end_us : int
        Of the measurement, on the clock of the field.
    beam_on_us : int
        For so long the chopper was commanded open.
    end_reason : int
        Why the spill ended: 1 slice complete, 2 end of extraction, 3 paused and 4 stopped by an interlock.
    request : int
        What the fast control asked for at its end: 0 nothing, 1 the same cycle again, 2 the next one.
    int1_counts, int2_counts : int
        Of the whole spill.
    boards_sha256 : str
        Of what the memory boards held when the fast loop acknowledged them (`spotline.room.boards_sha256`);
        empty before format 3.
    """

    start_us: int
    end_us: int
    beam_on_us: int
    end_reason: int
    request: int
    int1_counts: int
    int2_counts: int
    boards_sha256: str = ""


class FieldFile(Struct, frozen=True, kw_only=True):
    """Content of ``field.json``: how the delivery of a field went, but for its spills.

    Attributes
    ----------
    status : str
        ``complete``, ``interlock`` or ``interrupted``.
    spills : int
        That were begun.
    slow_control : tuple of ReadingRow
    interlocks_without_beam : tuple of InterlockRow
    events : tuple of EventRow
    orders : tuple of OrderRow
    register : InterlockRegister
        As it was left.
    sessions : tuple of SessionRow
    journal_entries : int or None
        That the file was made of.
    started : str
        ISO 8601.
    loop_wall_s : float or UNSET
        Time that the fast loop took; known at the end only.
    fraction : int
        That was delivered, from 1.
    operator : str
        Who had the delivery begin, if that was said.
    """

    status: str
    spills: int
    slow_control: tuple[ReadingRow, ...]
    interlocks_without_beam: tuple[InterlockRow, ...]
    events: tuple[EventRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    register: InterlockRegister = field(default_factory=InterlockRegister)
    sessions: tuple[SessionRow, ...] = ()
    journal_entries: int | None = None
    started: str = ""
    loop_wall_s: float | UnsetType = UNSET
    fraction: int = 1
    operator: str = ""
