"""A course of treatment: what was prescribed, what was given of it, and what is due.

Who delivers asks the course before beam and tells it afterwards.  Whoever knows these things may stand behind
`Course`: here it is a ledger in a folder (`spotline.record.course_folder`); an information system can, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from spotline.record.headers import CourseReference
from spotline.record.model import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be delivered.

    Attributes
    ----------
    plan_sha256 : str
        Hash of the file that is delivered, hexadecimal.
    original_sha256, original_uid : str
        Hash and SOP Instance UID of the plan that it was prepared from; its own, if it was not prepared.
    continuation : int
        Number of the continuation plan; 0 if it is none.
    record : Path
        Folder of the record.
    beamline, beamline_sha256 : str
    operator : str
        Who delivers, if that is known.
    fraction : int or None
        That somebody thinks is due; None: whichever is.
    again : str
        Why what was given is to be given again; empty if it is not.
    """

    plan_sha256: str
    original_sha256: str
    original_uid: str
    continuation: int
    record: Path
    beamline: str
    beamline_sha256: str
    operator: str = ""
    fraction: int | None = None
    again: str = ""


class Place(Protocol):
    """The place of a delivery in its course, from its first note to its last."""

    @property
    def fraction(self) -> int:
        """Number of the fraction, from 1."""

    @property
    def reference(self) -> CourseReference:
        """What the record says of its course."""

    def end(self, record: Record) -> None:
        """Note how the delivery ended, when all of the record is written that can be."""

    def nothing(self, reason: str) -> None:
        """Note that nothing was delivered, and why: the fraction is due as before."""


class Course(Protocol):
    """What a delivery asks of a course.  Everything raises `CourseError` if it is not what is due."""

    def begin(self, wanted: Wanted) -> Place:
        """Note that a delivery begins; there may be beam as soon as this returns."""

    def go_on(self, reference: CourseReference, operator: str, reason: str) -> Place:
        """Note that a delivery that was interrupted goes on; there may be beam as soon as this returns."""

    def settle(self, reference: CourseReference) -> Place:
        """The place of a delivery of which nothing is left, for its end to be noted; there is no beam."""

    def check_remainder(self, references: tuple[CourseReference, ...]) -> None:
        """Say whether what records left may be left to a continuation plan."""

    def leave(self, references: tuple[CourseReference, ...], plan_uid: str, plan_sha256: str) -> None:
        """Note that what records left is left to a continuation plan; the same may be noted again."""


class Entry(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What stands in a line of the ledger, apart from what every line has; the kind is the tag."""


class CourseMade(Entry, frozen=True, kw_only=True, tag="course"):
    """The course begins.

    Attributes
    ----------
    uid : str
        By which records know it.
    label : str
    """

    uid: str
    label: str


class Prescribed(Entry, frozen=True, kw_only=True, tag="prescribed"):
    """A plan, and how often it is to be given.

    Attributes
    ----------
    plan_sha256, plan_uid, plan_label, plan_name : str
        Hash of its file, SOP Instance UID (empty if it has none), label, name of the file.
    patient_id : str
    fractions : int
    """

    plan_sha256: str
    plan_uid: str
    plan_label: str
    plan_name: str
    patient_id: str
    fractions: int


class DeliveryBegun(Entry, frozen=True, kw_only=True, tag="begun"):
    """A delivery is about to begin.

    Attributes
    ----------
    plan : str
        Hash of the prescribed plan.
    plan_sha256, plan_uid : str
        Hash of the file that is delivered; SOP Instance UID of the plan that it was prepared from.
    fraction, continuation : int
        From 1; number of the continuation plan, or 0.
    record : str
        Folder, from the folder of the course if it is in there.
    beamline, beamline_sha256, operator, again : str
        As of `Wanted`.
    """

    plan: str
    plan_sha256: str
    plan_uid: str
    fraction: int
    continuation: int
    record: str
    beamline: str
    beamline_sha256: str
    operator: str
    again: str


class DeliveryResumed(Entry, frozen=True, kw_only=True, tag="resumed"):
    """A delivery that was interrupted is about to go on.

    Attributes
    ----------
    delivery : int
        Number of the line with which it began.
    operator, reason : str
    """

    delivery: int
    operator: str
    reason: str


class DeliveryEnded(Entry, frozen=True, kw_only=True, tag="ended"):
    """A delivery has ended, or was never begun.

    Attributes
    ----------
    delivery : int
        Number of the line with which it began.
    status : str
        ``complete``, ``interlock``, ``interrupted``; or ``nothing``.
    spots_delivered, spots_planned : int
    particles_delivered, particles_planned : float
    files : dict of str to str
        Hashes of the summary and of the journals, by their names in the record.
    reason : str
        Why nothing was delivered.
    """

    delivery: int
    status: str
    spots_delivered: int = 0
    spots_planned: int = 0
    particles_delivered: float = 0.0
    particles_planned: float = 0.0
    files: dict[str, str] = {}
    reason: str = ""


class RemainderLeft(Entry, frozen=True, kw_only=True, tag="left"):
    """What a fraction lacks is left to a continuation plan, and to nothing else.

    Attributes
    ----------
    delivery : int
        Number of the line with which the last delivery of the fraction began.
    plan_uid, plan_sha256 : str
        SOP Instance UID of the continuation plan, and hash of its file.
    files : dict of dict
        As of `DeliveryEnded`, by number of the delivery: their journals say it now.
    """

    delivery: int
    plan_uid: str
    plan_sha256: str
    files: dict[str, dict[str, str]]


class GivenUp(Entry, frozen=True, kw_only=True, tag="given up"):
    """Somebody has taken a fraction for over although something is lacking.

    Attributes
    ----------
    delivery : int
        Number of the line with which its last delivery began.
    operator, reason : str
    """

    delivery: int
    operator: str
    reason: str


class Torn(Entry, frozen=True, kw_only=True, tag="torn"):
    """A line that a crash has torn was cut off; nobody had acted on it.

    Attributes
    ----------
    n_bytes : int
        That were cut off.
    sha256, text : str
        Their hash, and what can be read of them.
    """

    n_bytes: int
    sha256: str
    text: str


CourseLine = (
    CourseMade | Prescribed | DeliveryBegun | DeliveryResumed | DeliveryEnded | RemainderLeft | GivenUp | Torn
)
