"""The private block of Spotline: what preparation adds to an RT Ion Plan, tag by tag.

An instruction is stored as an item of a private sequence of its beam.  Everything that can be long has a
VR whose length has 32 bits, so that the block can be written in explicit VR too; and the tags are made
known to pydicom, so that it decodes them from implicit VR and from UN.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.datadict import add_private_dict_entry
from pydicom.tag import BaseTag, Tag

from spotline.dicom.attributes import one_line, undecodable
from spotline.dicom.raw_values import DTYPES, as_numbers, check_number_of_values
from spotline.errors import PlanError

GROUP = 0x300B
"""Odd, and so private, beside the public group of RT plans; other vendors have their blocks there too."""

NAME = "SPOTLINE"
VERSION = 1
CREATOR = f"{NAME} {VERSION}"
"""Private Creator.  What changes the meaning of an element gets the next number."""

REMEDY = "prepare the plan of the planning system again"

_CREATORS = range(0x10, 0x100)
_FIRST_TAG = 0x1000


@dataclass(frozen=True, slots=True)
class PrivateTag:
    """One element of the block.

    Attributes
    ----------
    offset : int
        Last two hexadecimal digits of the element; the two before are those of the Private Creator.
    vr : str
        Value representation.
    name : str
        As in messages, and in what pydicom prints.
    meaning : str
        For the reference page.
    many : bool
        Whether it has several values (arrays are one value).
    """

    offset: int
    vr: str
    name: str
    meaning: str
    many: bool = False


BEAMLINE = PrivateTag(0x01, "UT", "Beam Line", "Name of the beam line that the plan was prepared for.")
BEAMLINE_VERSION = PrivateTag(0x02, "UT", "Beam Line Version", "Version in the file of the beam line.")
BEAMLINE_SHA256 = PrivateTag(
    0x03, "UT", "Beam Line SHA-256", "Hash of all files of the beam line, hexadecimal."
)
PLAN_UID = PrivateTag(
    0x04,
    "UI",
    "Prepared Plan UID",
    "SOP Instance UID of the plan of the planning system; empty if that was no DICOM file.",
)
PLAN_SHA256 = PrivateTag(
    0x05,
    "UT",
    "Prepared Plan SHA-256",
    "Hash of its file, hexadecimal; empty if the plan was not read from a file.",
)
BEAM_NUMBERS = PrivateTag(
    0x06, "IS", "Prepared Beam Numbers", "Beam Number (300A,00C0) of each beam with instructions.", many=True
)

SLICES = PrivateTag(0x10, "SQ", "Slice Sequence", "One item per slice, in delivery order.")
N_SLICES = PrivateTag(0x11, "UL", "Number of Slices", "Number of items of the Slice Sequence.")
REPAINTING = PrivateTag(
    0x12,
    "CS",
    "Repainting",
    "What the visits amount to: NONE (every spot once), LAYERED (a layer as often as asked before the next "
    "one), VOLUMETRIC (all layers, then again from the first), BACK_AND_FORTH (likewise, every second time "
    "in reverse).",
)
DIGEST = PrivateTag(
    0x13,
    "UT",
    "Instructions SHA-256",
    "Hash of the instructions, of what they were made for, and of the spot positions and energies that they "
    "refer to, hexadecimal; how it is made: `digest` in "
    "[`instructions.py`](../../src/spotline/dicom/instructions.py).",
)

SLICE_INDEX = PrivateTag(0x20, "UL", "Slice Index", "Position of the slice in its beam, from 0.")
ENERGY = PrivateTag(0x21, "FD", "Slice Energy", "Energy asked of the accelerator, in MeV per nucleon.")
FOCUS = PrivateTag(0x22, "UT", "Slice Focus", "Optics asked of the accelerator, by the beam line's name.")
INTENSITY = PrivateTag(
    0x23, "FD", "Slice Intensity Level", "Fraction of the full intensity of the ion, above 0 and up to 1."
)
CYCLE_CODE = PrivateTag(
    0x24,
    "SH",
    "Slice Cycle-Code",
    "The same as one number for the accelerator, ten hexadecimal digits; its bits: "
    "[`cycle_code.py`](../../src/spotline/treatment/cycle_code.py).",
)
N_VISITS = PrivateTag(0x25, "UL", "Number of Visits", "Length of each of the arrays below.")
N_PAINTINGS = PrivateTag(
    0x26, "UL", "Slice Number of Paintings", "How many different paintings the visits belong to."
)
N_BEAM_OFF = PrivateTag(
    0x27, "UL", "Number of Beam-Off Jumps", "How many visits have the beam switched off on the way to them."
)
VISIT_POINT = PrivateTag(
    0x28,
    "OL",
    "Visit Control Point",
    "Control Point Index (300A,0112) whose Scan Spot Meterset Weights hold the spot.",
)
VISIT_SPOT = PrivateTag(
    0x29, "OL", "Visit Spot", "Position of the spot in the Scan Spot Position Map there, from 0."
)
VISIT_PAINTING = PrivateTag(0x2A, "OL", "Visit Painting", "Which painting of the layer it is, from 0.")
VISIT_METERSET = PrivateTag(
    0x2B,
    "OD",
    "Visit Meterset",
    "What the visit delivers, in Primary Dosimeter Unit (300A,00B3) of the beam; all visits of a spot add up "
    "to the spot.",
)
VISIT_BEAM_OFF = PrivateTag(
    0x2C,
    "OB",
    "Visit Beam-Off",
    "1 where the beam is switched off on the way to the spot, else 0; a last byte of 0 makes the number of "
    "bytes even.",
)

LEVELS: dict[str, tuple[PrivateTag, ...]] = {
    "the plan": (BEAMLINE, BEAMLINE_VERSION, BEAMLINE_SHA256, PLAN_UID, PLAN_SHA256, BEAM_NUMBERS),
    "an item of the Ion Beam Sequence (300A,03A2)": (SLICES, N_SLICES, REPAINTING, DIGEST),
    "an item of the Slice Sequence": (
        SLICE_INDEX,
        ENERGY,
        FOCUS,
        INTENSITY,
        CYCLE_CODE,
        N_VISITS,
        N_PAINTINGS,
        N_BEAM_OFF,
        VISIT_POINT,
        VISIT_SPOT,
        VISIT_PAINTING,
        VISIT_METERSET,
        VISIT_BEAM_OFF,
    ),
}
"""All elements, by where they are."""

for _tag in (tag for tags in LEVELS.values() for tag in tags):
    add_private_dict_entry(
        CREATOR, GROUP << 16 | _FIRST_TAG | _tag.offset, _tag.vr, _tag.name, "1-n" if _tag.many else "1"
    )


@dataclass(frozen=True, slots=True)
class Block:
    """The block of one dataset, with typed look-ups that name what is wrong.

    `element` is that of the Private Creator, `where` the beginning of the messages.
    """

    dataset: Dataset
    element: int
    where: str

    def tag(self, tag: PrivateTag) -> BaseTag:
        """Where an element of the block is in this dataset."""
        return Tag(GROUP, self.element << 8 | tag.offset)

    def put(self, tag: PrivateTag, value: object) -> None:
        """Set an element; an array is stored in the byte order of the dataset, which must be little."""
        if isinstance(value, np.ndarray):
            value = value.astype("<" + DTYPES[tag.vr]).tobytes()
            value += b"\0" * (len(value) % 2)
        self.dataset[self.tag(tag)] = DataElement(self.tag(tag), tag.vr, value)

    def value(self, tag: PrivateTag) -> Any:
        """Decoded value; None if it is empty.

        Raises
        ------
        PlanError
            If the element is missing or cannot be decoded.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check_number_of_values(self.dataset, self.tag(tag))
                element: DataElement | None = self.dataset.get(self.tag(tag), None)
                found = None if element is None or element.is_empty else element.value
        except Exception as error:
            raise undecodable(tag.name, self.where, error) from None
        if element is None:
            raise self.error(f"{tag.name} is missing from the private block {CREATOR}")
        if tag.vr != element.VR:
            raise self.error(f"{tag.name} is of VR {one_line(element.VR)} instead of {tag.vr}")
        return found

    def text(self, tag: PrivateTag) -> str:
        """Value as text; empty if the element is."""
        found = self.value(tag)
        return "" if found is None else str(found)

    def integer(self, tag: PrivateTag) -> int:
        """Value of an element with one whole number."""
        found = self.value(tag)
        if not isinstance(found, int):
            raise self.error(f"{tag.name} is not one whole number")
        return found

    def integers(self, tag: PrivateTag) -> list[int]:
        """Value of an element with any number of whole numbers."""
        found = self.value(tag)
        try:
            return [] if found is None else [int(n) for n in np.atleast_1d(np.asarray(found, np.int64))]
        except Exception as error:
            raise undecodable(tag.name, self.where, error) from None

    def number(self, tag: PrivateTag) -> float:
        """Value of an element with one number."""
        found = self.value(tag)
        if not isinstance(found, float):
            raise self.error(f"{tag.name} is not one number")
        return found

    def array(self, tag: PrivateTag, n: int) -> NDArray[Any]:
        """Value of an array of known length.

        Returns
        -------
        ndarray of shape (n,)
            Of the type that the VR says.
        """
        found = self.value(tag) or b""
        _, little_endian = self.dataset.original_encoding
        expected = n * np.dtype(DTYPES[tag.vr]).itemsize
        padding = expected % 2
        expected += padding
        if not isinstance(found, bytes) or len(found) != expected:
            length = len(found) if isinstance(found, bytes) else 0
            raise self.error(f"{tag.name} has {length} bytes, but {n} visits need {expected}")
        stored = found[: len(found) - padding]
        return as_numbers(stored, tag.vr, little_endian=little_endian is not False)

    def items(self, tag: PrivateTag) -> list[Dataset]:
        """Items of a sequence."""
        found = self.value(tag)
        try:
            return [] if found is None else list(found)
        except Exception as error:
            raise undecodable(tag.name, self.where, error) from None

    def error(self, what: str) -> PlanError:
        """Make the error for what is wrong in the block."""
        return PlanError(f"{self.where}: {what}; {REMEDY}")


def find_block(dataset: Dataset, where: str) -> Block | None:
    """Find the block of a dataset; None if it has none.

    Raises
    ------
    PlanError
        If there are two, or one of another version: to pass over the instructions of a later Spotline
        would deliver another treatment than was prepared.
    """
    found = _creators(dataset, where)
    for _, creator in found:
        if creator != CREATOR:
            raise PlanError(
                f"{where}: has the private block {one_line(creator)!r}, but this Spotline reads "
                f"{CREATOR!r} only; use the Spotline that prepared the plan, or {REMEDY}"
            )
    if len(found) > 1:
        raise PlanError(f"{where}: has the private block {CREATOR!r} twice; {REMEDY}")
    return Block(dataset, found[0][0], where) if found else None


def remove_blocks(dataset: Dataset, where: str) -> None:
    """Remove what an earlier preparation left in a dataset, of whatever version."""
    for number, _ in _creators(dataset, where):
        for tag in [tag for tag in dataset.keys() if tag.group == GROUP and tag.element >> 8 == number]:  # noqa: SIM118
            del dataset[tag]
        del dataset[Tag(GROUP, number)]


def add_block(dataset: Dataset, where: str) -> Block:
    """Add an empty block, beside those of other vendors."""
    used = {tag.element >> 8 for tag in dataset.keys() if tag.group == GROUP}  # noqa: SIM118
    used |= {tag.element for tag in dataset.keys() if tag.group == GROUP}  # noqa: SIM118
    number = next(number for number in _CREATORS if number not in used)
    tag = Tag(GROUP, number)
    dataset[tag] = DataElement(tag, "LO", CREATOR)
    return Block(dataset, number, where)


def _creators(dataset: Dataset, where: str) -> list[tuple[int, str]]:
    """Number and creator of each block of Spotline, of any version."""
    found = []
    for tag in sorted(dataset.keys()):
        if tag.group == GROUP and tag.element in _CREATORS:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    creator = str(dataset[tag].value).strip()
            except Exception as error:
                raise undecodable(f"Private Creator {tag}", where, error) from None
            if re.fullmatch(rf"{NAME} \d+", creator):
                found.append((tag.element, creator))
    return found
