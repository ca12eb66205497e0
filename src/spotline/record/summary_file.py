"""How a delivery went: ``summary.json``, and its figures as types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from spotline.files import read_json
from spotline.hdf5 import as_written, typed
from spotline.inside import check_links, inside
from spotline.record.folder import SUMMARY, TOP
from spotline.record.headers import SessionRow

UNWRITTEN = "unwritten"
"""Key of a summary."""


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
    detail : str or UNSET
        What was the matter, in words, if a number cannot say it.
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
    detail: str | UnsetType = UNSET


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
    sessions : tuple of SessionRow
        As in ``field.json``.
    warnings : tuple of str
        Of the preparation.
    """

    folder: str
    field: int = 0
    name: str = ""
    loop_wall_s: float = 0.0
    realtime_factor: float | None = None
    sessions: tuple[SessionRow, ...] = ()
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
    unwritten : tuple of str or UNSET
        What could not be written although the beam was given, and what to do; not there if all was.
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
    unwritten: tuple[str, ...] | UnsetType = UNSET


def read_summary(folder: Path) -> SummaryFile:
    """Read the summary of a record.

    Parameters
    ----------
    folder : Path
        Of the record.

    Raises
    ------
    RecordError
        If it is missing or broken.
    """
    return summary_of(read_json(folder / SUMMARY), folder / SUMMARY)


def summary_of(keys: Mapping[str, Any], path: Path) -> SummaryFile:
    """Make a summary of its keys, which `path` holds.

    Raises
    ------
    RecordError
        If they are broken.
    """
    with as_written(path):
        summary = typed(SummaryFile, keys)
        folders = [inside(field.folder, "folder") for field in summary.fields]
    check_links(path.parent, (*TOP, *folders))
    return summary
