"""What the files of a record say of themselves, as types.

For treatment files see `spotline.treatment.headers`.  `FieldRecord.header` and `Record.summary` stay
dictionaries, for whoever looks something up by its key, and have all that the files say; the code itself asks
`FieldRecord.facts`, `FieldRecord.outcome` and `Record.outcome`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from spotline.control.register import InterlockRegister

Row = dict[str, Any]
"""A row of a table or of the journal, as JSON has it."""


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


class AnnouncedSpill(Struct, frozen=True, kw_only=True):
    """What is known of a spill before it, and stands in the journal.

    Attributes
    ----------
    field, spill, slice : int
        Number of the field, number of the spill from 1, index of the slice.
    cycle_code, broadcast_code : int
        That was asked for, and that the accelerator sent.
    extraction_start_us, extraction_end_us : int
        On the clock of the field.
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
        Why the spill ended.
    request : int
        What the fast control asked for at its end.
    int1_counts, int2_counts : int
        Of the whole spill.
    """

    start_us: int
    end_us: int
    beam_on_us: int
    end_reason: int
    request: int
    int1_counts: int
    int2_counts: int


class FieldFile(Struct, frozen=True, kw_only=True):
    """Content of ``field.json``: how the delivery of a field went, but for its spills.

    Attributes
    ----------
    status : str
        ``complete``, ``interlock`` or ``interrupted``.
    spills : int
        That were begun.
    slow_control, interlocks_without_beam : tuple of dict
        Between spills, columns `SLOW_CONTROL` and `INTERLOCK` of the record model.
    events, orders : tuple of dict
        Of the supervision; that were obeyed.
    register : InterlockRegister
        As it was left.
    sessions : tuple of dict
        Operators who had it go on.
    journal_entries : int or None
        That the file was made of.
    started : str
        ISO 8601.
    loop_wall_s : float or UNSET
        Time that the fast loop took; known at the end only.
    """

    status: str
    spills: int
    slow_control: tuple[Row, ...]
    interlocks_without_beam: tuple[Row, ...]
    events: tuple[Row, ...] = ()
    orders: tuple[Row, ...] = ()
    register: InterlockRegister = field(default_factory=InterlockRegister)
    sessions: tuple[Row, ...] = ()
    journal_entries: int | None = None
    started: str = ""
    loop_wall_s: float | UnsetType = UNSET


class AssumedSpot(Struct, frozen=True, kw_only=True):
    """Counts of INT1 of one spot that nobody confirmed; `spot` is its index in the slice."""

    spill: int
    slice: int
    spot: int
    int1_counts: int


class Assumed(Struct, frozen=True, kw_only=True):
    """What counts as delivered without having been confirmed, because the delivery died.

    Attributes
    ----------
    int1_counts, particles : int, float
    spots : tuple of AssumedSpot or UNSET
        Of one field; a total has none.
    """

    int1_counts: int = 0
    particles: float = 0.0
    spots: tuple[AssumedSpot, ...] | UnsetType = UNSET


class InterlockFigures(Struct, frozen=True, kw_only=True):
    """An interlock in ``summary.json``.

    Attributes
    ----------
    cause : str
        Its name.
    time_s : float
        When it tripped, on the clock of the field.
    spill, slice, spot : int
        As in the record.
    value : float or None
        What was measured; None if it is no number.
    limit : float
    unit : str
        Of both.
    action : str
        ``pause``, ``stop`` or ``inhibit``.
    """

    cause: str
    time_s: float
    spill: int
    slice: int
    spot: int
    value: float | None
    limit: float
    unit: str
    action: str


class Statistics(Struct, frozen=True, kw_only=True):
    """Figures of a delivered field, or of all fields of a delivery, as ``summary.json`` has them.

    Spots are those of the slices, of which repainting makes several for one of the plan; only what has
    ``prescribed`` in its name joins them.

    Attributes
    ----------
    status : str
        ``complete``, ``interlock`` or ``interrupted``.
    spots_planned, spots_delivered : int
    particles_planned, particles_delivered : float
    fraction_spots_within_1_percent : float or None
        Of the complete spots; None without any, as all that follow.
    prescribed_spots_delivered : int
    fraction_prescribed_spots_within_1_percent : float or None
    position_rms_mm : float or None
        Root mean square distance of the measured positions from the planned ones.
    spills : int
    beam_on_s, treatment_s : float
        Time with the chopper commanded open; clock of the field at the end of the last spill.
    assumed : Assumed
    interlocks : tuple of InterlockFigures
    """

    status: str
    spots_planned: int
    spots_delivered: int
    particles_planned: float
    particles_delivered: float
    fraction_spots_within_1_percent: float | None = None
    prescribed_spots_delivered: int = 0
    fraction_prescribed_spots_within_1_percent: float | None = None
    position_rms_mm: float | None = None
    spills: int
    beam_on_s: float
    treatment_s: float
    assumed: Assumed = Assumed()
    interlocks: tuple[InterlockFigures, ...] = ()


class FieldSummary(Statistics, frozen=True, kw_only=True):
    """Entry of a field in ``summary.json``.

    Attributes
    ----------
    folder : str
        Its name in the folder of the record.
    field, name : int, str
        As in the plan.
    loop_wall_s : float
        Time that the fast loop took.
    realtime_factor : float or None
        Time with beam over that.
    sessions : tuple of dict
        As in ``field.json``.
    warnings : tuple of str
        Of the preparation.
    """

    folder: str
    field: int = 0
    name: str = ""
    loop_wall_s: float = 0.0
    realtime_factor: float | None = None
    sessions: tuple[Row, ...] = ()
    warnings: tuple[str, ...] = ()


class SinkNote(Struct, frozen=True):
    """That a sink did not see everything.

    Attributes
    ----------
    name : str
    missed : int
        Events that it was not told.
    failure : str or None
        What it raised, or that it did not come to an end.
    """

    name: str
    missed: int
    failure: str | None


class SummaryFile(Statistics, frozen=True, kw_only=True):
    """Content of ``summary.json``: how a delivery went, and of what.

    Attributes
    ----------
    wall_s : float
        Time that the delivery took.
    loop_wall_s, realtime_factor
        Of all fields, as in `FieldSummary`.
    seed, raw, plan_sha256, beamline, beamline_version, beamline_sha256, versions
        As in `DeliveryFile`.
    plan, plan_label : str
        Name and label of the plan.
    fields : tuple of FieldSummary
        Those that were begun, in the order of delivery.
    sinks : tuple of SinkNote or UNSET
        Those that missed something; not there if none did.
    """

    wall_s: float = 0.0
    loop_wall_s: float = 0.0
    realtime_factor: float | None = None
    seed: int | None = None
    raw: bool = False
    plan: str = ""
    plan_label: str = ""
    plan_sha256: str = ""
    beamline: str = ""
    beamline_version: str = ""
    beamline_sha256: str = ""
    versions: dict[str, str] = {}
    fields: tuple[FieldSummary, ...]
    sinks: tuple[SinkNote, ...] | UnsetType = UNSET
