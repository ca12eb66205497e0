"""What the entries of a journal say, as types; `spotline.record.journal` keeps them as JSON.

Readings, interlocks, events, orders and sessions are rows of ``field.json`` too: `spotline.record.headers`.
"""

from __future__ import annotations

from msgspec import Struct

from spotline.control.register import Latched
from spotline.record.headers import AnnouncedSpill, SpillHeader


class FieldEntry(Struct, frozen=True, kw_only=True):
    """The delivery of a field begins.

    Attributes
    ----------
    field : int
        Its number.
    treatment_sha256 : str
        Hash of the treatment file.
    converted : bool
        Whether particles are converted to counts; else nothing is delivered.
    plan_sha256, beamline_sha256, seed, versions
        What it is made from.
    """

    field: int
    treatment_sha256: str
    converted: bool
    plan_sha256: str
    beamline_sha256: str
    seed: int | None
    versions: dict[str, str] = {}


class SpillEntry(Struct, frozen=True, kw_only=True):
    """The memory boards are about to be loaded for a spill.

    Attributes
    ----------
    spill, slice : int
    start_us : int
        Of the extraction.
    unconfirmed : int
        Counts of INT1 that may follow the last entry.
    header : AnnouncedSpill
        What is known of it.
    """

    spill: int
    slice: int
    start_us: int
    unconfirmed: int
    header: AnnouncedSpill


class ProgressEntry(Struct, frozen=True, kw_only=True):
    """Parts of a spill have come in: its number, the row of the first of them, and until when."""

    spill: int
    row: int
    time_us: int


class OverEntry(Struct, frozen=True, kw_only=True):
    """A spill is over.

    Attributes
    ----------
    spill, row : int
        Its number; 0, for the table has all its parts.
    header : SpillHeader
        Of its file.
    interlocks : tuple of tuple
        Rows of `spotline.control.memory.INTERLOCK`.
    """

    spill: int
    row: int
    header: SpillHeader
    interlocks: tuple[tuple[float, ...], ...]


class StoredEntry(Struct, frozen=True, kw_only=True):
    """The file of a spill is published; `recovered` if it was made from the journal."""

    spill: int
    sha256: str
    recovered: bool = False


class ClosedEntry(Struct, frozen=True, kw_only=True):
    """The delivery of a field ends: its status, and what is latched."""

    status: str
    latched: tuple[Latched, ...]


class GivenUpEntry(Struct, frozen=True, kw_only=True):
    """The rest is left for good to the continuation plan with this SOP Instance UID."""

    plan_uid: str
