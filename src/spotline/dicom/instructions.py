"""Read the instructions of an extended plan, and refuse them if they are not what was written.

`spotline.dicom.private` says where they are.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from pydicom import Dataset

from spotline.arrays import Integers
from spotline.dicom import private
from spotline.dicom.private import Block, find_block
from spotline.errors import PlanError
from spotline.plan.instructions import Instruction, PreparedFor
from spotline.plan.model import Layer

METERSET_TOLERANCE = 2.0**-23
"""How far, relative to the spot, its visits may add up beside it: weights are rounded to 32-bit floats."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the block of the plan says.

    Attributes
    ----------
    made_for : PreparedFor
        Beam line and original plan.
    beams : tuple of int
        Beam numbers of the fields that have instructions.
    """

    made_for: PreparedFor
    beams: tuple[int, ...]


def read_preparation(dataset: Dataset, where: str) -> Preparation | None:
    """Read what the instructions of a plan were made for; None if the plan was not prepared.

    Parameters
    ----------
    dataset : Dataset
        The plan.
    where : str
        Beginning of the messages: the file.

    Raises
    ------
    PlanError
        If the private block is not as it was written, or of another version.
    """
    block = find_block(dataset, where)
    if block is None:
        return None
    made_for = PreparedFor(
        beamline=block.text(private.BEAMLINE),
        beamline_version=block.text(private.BEAMLINE_VERSION),
        beamline_sha256=block.text(private.BEAMLINE_SHA256),
        plan_uid=block.text(private.PLAN_UID),
        plan_sha256=block.text(private.PLAN_SHA256),
    )
    return Preparation(made_for, tuple(block.integers(private.BEAM_NUMBERS)))


def check_beams(preparation: Preparation | None, numbers: Sequence[int], where: str) -> None:
    """Refuse a plan that lacks a beam with instructions.

    Raises
    ------
    PlanError
        If a beam that was prepared is none of `numbers`.
    """
    for number in preparation.beams if preparation else ():
        if number not in numbers:
            raise PlanError(
                f"{where}: {private.BEAM_NUMBERS.name} has {number}, but there is no treatment beam of that "
                f"number; {private.REMEDY}"
            )


def read_instructions(
    beam: Dataset, number: int, layers: tuple[Layer, ...], preparation: Preparation | None, where: str
) -> tuple[Instruction, ...]:
    """Read the instructions of a field and check them against its layers.

    Parameters
    ----------
    beam : Dataset
        Item of the Ion Beam Sequence.
    number : int
        Its Beam Number.
    layers : tuple of Layer
        Its layers.
    preparation : Preparation or None
        What the plan says.
    where : str
        Beginning of the messages: file and field.

    Returns
    -------
    tuple of Instruction
        In delivery order; empty if the field was not prepared.

    Raises
    ------
    PlanError
        If anything is missing or contradicts itself or the layers.
    """
    block = find_block(beam, where)
    listed = preparation is not None and number in preparation.beams
    if (block is not None) != listed:
        this, that = ("this field", "the plan") if block else ("the plan", "this field")
        raise PlanError(
            f"{where}: the private block {private.CREATOR!r} of {this} has instructions for the field, but "
            f"that of {that} has none; {private.REMEDY}"
        )
    if block is None or preparation is None:
        return ()
    items = block.items(private.SLICES)
    expected = block.integer(private.N_SLICES)
    if len(items) != expected or not items:
        raise block.error(
            f"{private.N_SLICES.name} is {expected}, but {private.SLICES.name} has {len(items)} items"
        )
    instructions, codes = [], []
    for index, item in enumerate(items):
        instruction, code = _read_slice(item, index, layers, f"{where}, slice {index}")
        instructions.append(instruction)
        codes.append(code)
    _check_metersets(instructions, layers, block)
    if block.text(private.REPAINTING) != repainting(instructions):
        raise block.error(f"{private.REPAINTING.name} is not what the visits amount to")
    if block.text(private.DIGEST) != digest(preparation.made_for, layers, instructions, codes):
        raise block.error(f"{private.DIGEST.name} differs: the plan was altered after it was prepared")
    return tuple(instructions)


def _read_slice(item: Dataset, index: int, layers: tuple[Layer, ...], where: str) -> tuple[Instruction, str]:
    """The instruction of one slice, and its cycle-code."""
    block = find_block(item, where)
    if block is None:
        raise PlanError(f"{where}: has no private block {private.CREATOR!r}; {private.REMEDY}")
    if block.integer(private.SLICE_INDEX) != index:
        raise block.error(
            f"{private.SLICE_INDEX.name} is {block.integer(private.SLICE_INDEX)}; they must count 0, 1, ..."
        )
    n = block.integer(private.N_VISITS)
    if n < 1:
        raise block.error(f"{private.N_VISITS.name} is {n}, but a slice has at least one")
    layer, spot = _read_spots(block, n, layers)
    meterset = block.array(private.VISIT_METERSET, n).astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(meterset) & (meterset > 0.0)))
    if bad.size:
        raise block.error(f"{private.VISIT_METERSET.name} is {meterset[bad[0]]:g} for visit {bad[0]}")
    beam_off = block.array(private.VISIT_BEAM_OFF, n)
    if (beam_off > 1).any():
        raise block.error(f"{private.VISIT_BEAM_OFF.name} has values other than 0 and 1")
    instruction = Instruction(
        energy_MeV_u=_positive(block, private.ENERGY, math.inf),
        focus=block.text(private.FOCUS),
        intensity_level=_positive(block, private.INTENSITY, 1.0),
        layer=layer,
        spot=spot,
        painting=block.array(private.VISIT_PAINTING, n).astype(np.int64),
        meterset=meterset,
        beam_off=beam_off.astype(np.bool_),
    )
    for tag, counted in (
        (private.N_PAINTINGS, paintings(instruction)),
        (private.N_BEAM_OFF, int(instruction.beam_off.sum())),
    ):
        if block.integer(tag) != counted:
            raise block.error(f"{tag.name} is {block.integer(tag)}, but the visits have {counted}")
    return instruction, block.text(private.CYCLE_CODE)


def _read_spots(block: Block, n: int, layers: tuple[Layer, ...]) -> tuple[Integers, Integers]:
    """Layer and spot of each visit, as the field counts them, each of shape (n,)."""
    points = block.array(private.VISIT_POINT, n).astype(np.int64)
    in_file = block.array(private.VISIT_SPOT, n).astype(np.int64)
    layer, spot = np.full(n, -1, np.int64), np.empty(n, np.int64)
    for candidate in layers:
        here = points == candidate.control_point
        kept = candidate.file_index
        # A spot beyond the last one is as little in the layer as one of weight zero.
        found = np.minimum(np.searchsorted(kept, in_file[here]), len(kept) - 1)
        absent = np.flatnonzero(kept[found] != in_file[here])
        if absent.size:
            raise block.error(
                f"{private.VISIT_SPOT.name} has {in_file[here][absent[0]]}, but layer {candidate.index} has "
                "no such spot with a weight"
            )
        layer[here], spot[here] = candidate.index, found
    unknown = np.flatnonzero(layer < 0)
    if unknown.size:
        raise block.error(
            f"{private.VISIT_POINT.name} has {points[unknown[0]]}, but no layer begins at that control point"
        )
    return layer, spot


def _positive(block: Block, tag: private.PrivateTag, limit: float) -> float:
    found = block.number(tag)
    if not (0.0 < found <= limit and math.isfinite(found)):
        raise block.error(f"{tag.name} is {found:g}")
    return found


def _check_metersets(instructions: list[Instruction], layers: tuple[Layer, ...], block: Block) -> None:
    delivered = [np.zeros(layer.n_spots) for layer in layers]
    for instruction in instructions:
        for index in np.unique(instruction.layer):
            here = instruction.layer == index
            delivered[index] += np.bincount(
                instruction.spot[here], instruction.meterset[here], minlength=layers[index].n_spots
            )
    for layer, total in zip(layers, delivered, strict=True):
        wrong = np.flatnonzero(~(np.abs(total - layer.meterset) <= METERSET_TOLERANCE * layer.meterset))
        if wrong.size:
            spot = wrong[0]
            raise block.error(
                f"the visits of layer {layer.index}, spot {layer.file_index[spot]} add up to "
                f"{total[spot]:.10g}, but the spot has {layer.meterset[spot]:.10g}"
            )


def paintings(instruction: Instruction) -> int:
    """How many different paintings the visits of a slice belong to."""
    return len(np.unique(instruction.painting))


def repainting(instructions: Sequence[Instruction]) -> str:
    """Say in one word what kind of repainting the visits of a field amount to.

    Returns
    -------
    str
        ``"NONE"``, ``"LAYERED"``, ``"VOLUMETRIC"`` or ``"BACK_AND_FORTH"``, as in
        `spotline.treatment.options.Options`.
    """
    visits = [(i.layer, i.spot) for i in instructions]
    layer, spot = (np.concatenate(columns) for columns in zip(*visits, strict=True))
    if len(np.unique(np.column_stack([layer, spot]), axis=0)) == len(layer):
        return "NONE"
    layers = [np.unique(i.layer) for i in instructions]
    if len(np.unique(np.concatenate(layers))) == sum(map(len, layers)):
        return "LAYERED"
    second = [int(i.layer[0]) for i in instructions if i.painting[0] == 1]
    back = len(second) > 1 and second[0] > second[-1]
    return "BACK_AND_FORTH" if back else "VOLUMETRIC"


def digest(
    made_for: PreparedFor,
    layers: tuple[Layer, ...],
    instructions: Sequence[Instruction],
    cycle_codes: Sequence[str],
) -> str:
    """Hash of the instructions of a field, with what they were made for and what they refer to.

    SHA-256 of: each text of `PreparedFor`, UTF-8 and ended by a zero byte; per layer its control point as
    64-bit integer, its energy rounded to 1 keV/u as 64-bit float, and the positions of its spots, all x,
    then all y, as 32-bit floats; per slice energy and intensity level as 64-bit floats, focus and
    cycle-code as texts, layer, spot and painting of all visits as 64-bit integers, their metersets as
    64-bit floats and their beam-off flags as bytes.  All little endian.

    Returns
    -------
    str
        Hexadecimal.
    """
    content = hashlib.sha256()
    for text in astuple(made_for):
        content.update(_encoded(text))
    for layer in layers:
        content.update(struct.pack("<qd", layer.control_point, round(layer.energy_MeV_u, 3)))
        content.update(np.concatenate([layer.x_iso_mm, layer.y_iso_mm]).astype("<f4").tobytes())
    for instruction, code in zip(instructions, cycle_codes, strict=True):
        content.update(struct.pack("<dd", instruction.energy_MeV_u, instruction.intensity_level))
        content.update(_encoded(instruction.focus) + _encoded(code))
        for column in (instruction.layer, instruction.spot, instruction.painting):
            content.update(column.astype("<i8").tobytes())
        content.update(instruction.meterset.astype("<f8").tobytes())
        content.update(instruction.beam_off.astype("u1").tobytes())
    return content.hexdigest()


def _encoded(text: str) -> bytes:
    # What a damaged file decodes to need not be fit for UTF-8.
    return text.encode(errors="replace") + b"\0"
