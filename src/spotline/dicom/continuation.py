"""What a continuation plan and its treatment record say beyond any other.

In public attributes: Treatment Delivery Type is CONTINUATION; Referenced RT Plan Sequence has the plan whose
delivery was stopped, as PREDECESSOR ("plan used in derivation of the current plan", DICOM PS3.3 C.8.8.9);
Continuation Start and End Meterset place the field within the field of that plan.  The standard has the
last two in the RT Beams Delivery Instruction only (PS3.3 C.8.8.29); in plan and record they are a
standard extension.

In a private block of the plan: the hash of the file of that plan, by which records of a delivery and of its
continuations find each other even if the first plan was no DICOM file, and a number.
"""

from __future__ import annotations

import re
import warnings

from pydicom import Dataset
from pydicom.datadict import add_private_dict_entry
from pydicom.uid import RTIonPlanStorage

from spotline.dicom.attributes import number, one_line, undecodable
from spotline.dicom.private import GROUP, PrivateTag
from spotline.errors import PlanError
from spotline.plan.model import Continues

NAME = "SPOTLINE CONTINUATION"
CREATOR = f"{NAME} 1"
"""Private Creator.  What changes the meaning of an element gets the next number."""

PLAN_UID = PrivateTag(
    0x01,
    "UI",
    "Continued Plan UID",
    "SOP Instance UID of the plan whose delivery was stopped; empty if that was no DICOM file.",
)
PLAN_SHA256 = PrivateTag(
    0x02,
    "UT",
    "Continued Plan SHA-256",
    "Hash of its file, hexadecimal; empty if the plan was not read from a file.",
)
NUMBER = PrivateTag(
    0x03, "UL", "Continuation Number", "1 for the first continuation of that plan, 2 for the next one, ..."
)
TAGS = (PLAN_UID, PLAN_SHA256, NUMBER)

for _tag in TAGS:
    add_private_dict_entry(CREATOR, GROUP << 16 | 0x1000 | _tag.offset, _tag.vr, _tag.name)

REMEDY = "make the continuation plan again from the records"


def put_continues(dataset: Dataset, continues: Continues) -> None:
    """Say in a plan which one it goes on with."""
    if continues.plan_uid:
        original = Dataset()
        original.ReferencedSOPClassUID = RTIonPlanStorage
        original.ReferencedSOPInstanceUID = continues.plan_uid
        original.RTPlanRelationship = "PREDECESSOR"
        dataset.ReferencedRTPlanSequence = [original]
    block = dataset.private_block(GROUP, CREATOR, create=True)
    for tag, value in (
        (PLAN_UID, continues.plan_uid),
        (PLAN_SHA256, continues.plan_sha256),
        (NUMBER, continues.number),
    ):
        block.add_new(tag.offset, tag.vr, value)


def read_continues(dataset: Dataset, where: str) -> Continues | None:
    """Read which plan one goes on with; None if it is no continuation plan of Spotline.

    Raises
    ------
    PlanError
        If the private block is not as it was written, or of another version.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [one_line(creator) for creator in dataset.private_creators(GROUP)]
            mine = [creator for creator in found if re.fullmatch(rf"{NAME} \d+", creator)]
            if mine not in ([], [CREATOR]):
                raise PlanError(
                    f"{where}: has the private blocks {', '.join(map(repr, mine))}, but this Spotline reads "
                    f"one {CREATOR!r} only; use the Spotline that wrote the plan, or {REMEDY}"
                )
            if not mine:
                return None
            block = dataset.private_block(GROUP, CREATOR)
            uid, sha256, number_ = (block[tag.offset].value if tag.offset in block else None for tag in TAGS)
    except PlanError:
        raise
    except Exception as error:
        raise undecodable(f"the private block {CREATOR}", where, error) from None
    if not isinstance(number_, int) or number_ < 1:
        raise PlanError(
            f"{where}: {NUMBER.name} in the private block {CREATOR} is {one_line(number_)}, not a whole "
            f"number from 1; {REMEDY}"
        )
    if not isinstance(sha256, str | None) or not isinstance(uid, str | None):
        raise PlanError(f"{where}: the private block {CREATOR} has several values for one; {REMEDY}")
    return Continues(str(uid or ""), sha256 or "", number_)


def put_continuation_metersets(beam: Dataset, start: float, end: float) -> None:
    """Say which part of the field of the first plan was, or is to be, delivered.

    Parameters
    ----------
    beam : Dataset
        Item of the Ion Beam Sequence of a plan, or of the Treatment Session Ion Beam Sequence of a record.
    start, end : float
        In the unit of the beam; in a record the end is what was reached.
    """
    beam.ContinuationStartMeterset = start
    beam.ContinuationEndMeterset = end


def read_start_meterset(beam: Dataset, where: str) -> float | None:
    """Read what earlier deliveries gave of a field; None if the file does not say.

    Raises
    ------
    PlanError
        If it is negative.
    """
    start = number(beam, "ContinuationStartMeterset", where)
    if start is not None and start < 0.0:
        raise PlanError(
            f"{where}: ContinuationStartMeterset is {start:g}; it must not be negative, correct it"
        )
    return start
