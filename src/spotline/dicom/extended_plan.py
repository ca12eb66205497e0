"""Write an extended plan: an RT Ion Plan with the instructions of its delivery in private tags.

A plan that was read from a DICOM file is completed: all that the file holds is kept as it is, in its
transfer syntax.  Any other plan is written as `spotline.dicom.write_plan` does.  The tags are in
`spotline.dicom.private`; a program that does not know them finds the plan of the planning system.

The same treatment makes the same bytes, and so does the treatment that is prepared from what was written.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.charset import convert_encodings
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTIonPlanStorage

from spotline.dicom import private
from spotline.dicom.attributes import items, one_line, read_dataset, required_integer, required_items, text
from spotline.dicom.encoding import content_digest, decimal, file_bytes, uid, write_new_file
from spotline.dicom.instructions import digest, paintings, repainting
from spotline.dicom.ion_plan import FORMAT, plan_of
from spotline.dicom.private import add_block, remove_blocks
from spotline.dicom.tolerant import repair
from spotline.dicom.write_plan import ion_plan_bytes, short_string
from spotline.errors import PlanError
from spotline.plan.instructions import Instruction, PreparedFor
from spotline.plan.model import Field, Layer, Plan
from spotline.treatment.treatment import Treatment

# What speaks for the original instance only.
_OF_THE_INSTANCE = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "ReviewDate",
    "ReviewTime",
    "ReviewerName",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
)
# What was calculated with the energies and spot sizes of the plan, by where it stands.
_DOSE_OF_PLAN = ("ReferencedDoseSequence",)
_DOSE_OF_BEAM = ("ReferencedDoseSequence", "DepthDoseParametersSequence")
_DOSE_OF_POINT = ("ReferencedDoseReferenceSequence",)
_DOSE_OF_REFERENCE = (
    "BeamDose",
    "BeamDoseType",
    "AlternateBeamDose",
    "AlternateBeamDoseType",
    "BeamDoseSpecificationPoint",
    "BeamDosePointDepth",
    "BeamDosePointEquivalentDepth",
    "BeamDosePointSSD",
    "BeamDosePointSourceToExternalContourDistance",
    "BeamDoseVerificationControlPointSequence",
    "DoseReferenceUID",
    "ReferencedDoseReferenceUID",
)
_MAY_DIFFER = ("layers", "instructions")
_RETARGETED = ("energy_MeV_u", "tune_id")


def write_extended_plan(treatment: Treatment, path: str | Path) -> None:
    """Write the plan of a treatment with the instructions that it was prepared with.

    What changes in the file of a planning system, besides the private block: SOPInstanceUID is new, and
    the original is referred to as the PREDECESSOR; ApprovalStatus is UNAPPROVED, and review, creation
    and digital signatures are left out, because they belong to the original.  If the plan was moved to
    other energies or tunes, NominalBeamEnergy and ScanSpotTuneID follow at all control points of the field,
    and what was calculated for the old ones (beam doses, cumulative dose coefficients, references to
    doses) is left out.

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`.
    path : str or Path
        New file; its folder must exist.

    Raises
    ------
    PlanError
        If the file of the plan has changed since it was read or is in big endian; if the plan differs
        from it in more than energies and tunes; or if it cannot be written as DICOM (see
        `spotline.dicom.write_plan`).
    OutputError
        If the file exists already or cannot be written.
    """
    plan = treatment.extended_plan
    geometry = treatment.beamline.facts.geometry
    codes = {f.field.number: [f"{s.cycle_code:010x}" for s in f.slices] for f in treatment.fields}
    distances_mm = (geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm)
    write_new_file(Path(path), extended_plan_bytes(plan, codes, source_axis_distances_mm=distances_mm))


def extended_plan_bytes(
    plan: Plan, cycle_codes: dict[int, list[str]], *, source_axis_distances_mm: tuple[float, float]
) -> bytes:
    """Encode an extended plan as a DICOM file; see `write_extended_plan`.

    Parameters
    ----------
    plan : Plan
        With instructions.
    cycle_codes : dict of int to list of str
        By beam number one for each instruction, ten hexadecimal digits.
    source_axis_distances_mm : tuple of two floats
        For a plan that is no DICOM file.
    """
    if plan.prepared_for is None or not any(field.instructions for field in plan.fields):
        raise PlanError(f"{plan.path}: has no instructions; prepare the plan for a beam line first")
    try:
        with warnings.catch_warnings():
            # pydicom warns of what is not valid in the file; what matters is that it comes back.
            warnings.simplefilter("ignore")
            dataset = _source(plan, source_axis_distances_mm)
            _complete(dataset, plan, plan.prepared_for, cycle_codes)
            content = _encode(dataset)
    except PlanError:
        raise
    except Exception as error:
        raise PlanError(
            f"{plan.path}: cannot be completed with the instructions of its preparation "
            f"({one_line(error)}); export the plan again"
        ) from error
    _check_written(content, plan)
    return content


def _source(plan: Plan, source_axis_distances_mm: tuple[float, float]) -> Dataset:
    """The dataset that is to be completed."""
    if plan.format != FORMAT or not plan.sha256:
        written = ion_plan_bytes(plan, source_axis_distances_mm=source_axis_distances_mm)
        return dcmread(BytesIO(written))
    where = str(plan.path)
    dataset, sha256 = _read(plan)
    if sha256 != plan.sha256:
        raise PlanError(f"{where}: has changed since the plan was read; read and prepare it again")
    if dataset.original_encoding[1] is False:
        raise PlanError(
            f"{where}: is in Explicit VR Big Endian, which DICOM has retired; convert it to little endian"
        )
    changed = _changed_fields(plan, plan_of(dataset, sha256, plan.path))
    # Read anew: what nobody looked at is written back as the bytes that it was.
    dataset, _ = _read(plan)
    if changed:
        _retarget(dataset, changed, where)
    return dataset


def _read(plan: Plan) -> tuple[Dataset, str]:
    """The file of the plan, repaired if the plan is; and its hash."""
    dataset, sha256 = read_dataset(plan.path)
    if plan.repairs:
        repair(dataset, str(plan.path))
    return dataset, sha256


def _changed_fields(plan: Plan, source: Plan) -> dict[int, Field]:
    """Fields with other energies or tunes than in the file, by beam number.

    Anything else must be as in the file.
    """
    before = {field.number: field for field in source.fields}
    for name in ("label", "fractions_planned", "fraction_group", "identity"):
        if getattr(plan, name) != getattr(source, name):
            raise _differs(plan, name)
    if [field.number for field in plan.fields] != list(before):
        raise _differs(plan, "its fields")
    changed = {}
    for field in plan.fields:
        old = before[field.number]
        facts = [f.name for f in fields(Field) if f.name not in _MAY_DIFFER]
        facts = [name for name in facts if getattr(field, name) != getattr(old, name)]
        if facts:
            raise _differs(plan, f"{facts[0]} of field {field.number}")
        if len(field.layers) != len(old.layers):
            raise _differs(plan, f"the number of layers of field {field.number}")
        for layer, old_layer in zip(field.layers, old.layers, strict=True):
            for attribute in fields(Layer):
                if not np.array_equal(getattr(layer, attribute.name), getattr(old_layer, attribute.name)):
                    if attribute.name not in _RETARGETED:
                        raise _differs(plan, f"{attribute.name} of field {field.number}, layer {layer.index}")
                    changed[field.number] = field
    return changed


def _differs(plan: Plan, what: str) -> PlanError:
    return PlanError(
        f"{plan.path}: the plan differs from its file in {what}, and only energies and tunes can be "
        "changed there; write the plan as a file of its own and prepare that"
    )


def _retarget(dataset: Dataset, changed: dict[int, Field], where: str) -> None:
    """Set energy and tune at all control points, and drop what was calculated with the old ones."""
    _drop(dataset, _DOSE_OF_PLAN)
    for group in items(dataset, "FractionGroupSequence", where):
        for reference in items(group, "ReferencedBeamSequence", where):
            if required_integer(reference, "ReferencedBeamNumber", where) in changed:
                _drop(reference, _DOSE_OF_REFERENCE)
    for beam, field in _beams(dataset, list(changed.values()), where):
        _drop(beam, _DOSE_OF_BEAM)
        points = required_items(beam, "IonControlPointSequence", where)
        starts = [layer.control_point for layer in field.layers]
        for layer, start, end in zip(field.layers, starts, [*starts[1:], len(points)], strict=True):
            for point in points[start:end]:
                point.NominalBeamEnergy = decimal(layer.energy_MeV_u)
                if layer.tune_id:
                    point.ScanSpotTuneID = short_string(layer.tune_id, "ScanSpotTuneID", where)
        for point in points:
            _drop(point, _DOSE_OF_POINT)


def _beams(dataset: Dataset, wanted: Sequence[Field], where: str) -> list[tuple[Dataset, Field]]:
    """Items of the Ion Beam Sequence with their fields."""
    by_number = {field.number: field for field in wanted}
    beams = required_items(dataset, "IonBeamSequence", where)
    numbered = [(required_integer(beam, "BeamNumber", where), beam) for beam in beams]
    return [(beam, by_number[number]) for number, beam in numbered if number in by_number]


def _complete(dataset: Dataset, plan: Plan, made_for: PreparedFor, cycle_codes: dict[int, list[str]]) -> None:
    where = str(plan.path)
    _check_texts(dataset, plan, made_for)
    _drop(dataset, _OF_THE_INSTANCE)
    dataset.ApprovalStatus = "UNAPPROVED"
    _refer_to_original(dataset, made_for.plan_uid, where)
    for beam in required_items(dataset, "IonBeamSequence", where):
        remove_blocks(beam, where)
    remove_blocks(dataset, where)
    # The hash is of positions and energies as they are in the file, which may be rounded.
    stored = {field.number: field for field in plan_of(_copy(dataset), "", plan.path).fields}
    prepared = [field for field in plan.fields if field.instructions]
    block = add_block(dataset, where)
    block.put(private.BEAMLINE, made_for.beamline)
    block.put(private.BEAMLINE_VERSION, made_for.beamline_version)
    block.put(private.BEAMLINE_SHA256, made_for.beamline_sha256)
    block.put(private.PLAN_UID, made_for.plan_uid)
    block.put(private.PLAN_SHA256, made_for.plan_sha256)
    block.put(private.BEAM_NUMBERS, [field.number for field in prepared])
    for beam, field in _beams(dataset, prepared, where):
        layers = stored[field.number].layers
        codes = cycle_codes[field.number]
        block = add_block(beam, where)
        slices = [
            _slice(index, instruction, layers, code)
            for index, (instruction, code) in enumerate(zip(field.instructions, codes, strict=True))
        ]
        block.put(private.SLICES, slices)
        block.put(private.N_SLICES, len(slices))
        block.put(private.REPAINTING, repainting(field.instructions))
        block.put(private.DIGEST, digest(made_for, layers, field.instructions, codes))


def _drop(dataset: Dataset, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if keyword in dataset:
            del dataset[keyword]


def _refer_to_original(dataset: Dataset, plan_uid: str, where: str) -> None:
    if not plan_uid:
        return
    references = items(dataset, "ReferencedRTPlanSequence", where)
    if any(text(reference, "ReferencedSOPInstanceUID", where) == plan_uid for reference in references):
        return
    original = Dataset()
    original.ReferencedSOPClassUID = RTIonPlanStorage
    original.ReferencedSOPInstanceUID = plan_uid
    original.RTPlanRelationship = "PREDECESSOR"
    dataset.ReferencedRTPlanSequence = [*references, original]


def _slice(index: int, instruction: Instruction, layers: tuple[Layer, ...], code: str) -> Dataset:
    points, spots = np.empty_like(instruction.layer), np.empty_like(instruction.spot)
    for number in np.unique(instruction.layer):
        here = instruction.layer == number
        points[here] = layers[number].control_point
        spots[here] = layers[number].file_index[instruction.spot[here]]
    item = Dataset()
    block = add_block(item, "")
    block.put(private.SLICE_INDEX, index)
    block.put(private.ENERGY, instruction.energy_MeV_u)
    block.put(private.FOCUS, instruction.focus)
    block.put(private.INTENSITY, instruction.intensity_level)
    block.put(private.CYCLE_CODE, code)
    block.put(private.N_VISITS, instruction.n_visits)
    block.put(private.N_PAINTINGS, paintings(instruction))
    block.put(private.N_BEAM_OFF, int(instruction.beam_off.sum()))
    block.put(private.VISIT_POINT, points)
    block.put(private.VISIT_SPOT, spots)
    block.put(private.VISIT_PAINTING, instruction.painting)
    block.put(private.VISIT_METERSET, instruction.meterset)
    block.put(private.VISIT_BEAM_OFF, instruction.beam_off)
    return item


def _copy(dataset: Dataset) -> Dataset:
    """The dataset as it will be read."""
    return dcmread(BytesIO(_encode(dataset)))


def _encode(dataset: Dataset) -> bytes:
    """Encode as it was read, with an identifier that is made of all the rest."""
    implicit, _ = dataset.original_encoding
    del dataset.file_meta
    dataset.preamble = None
    dataset.pop("SOPInstanceUID", None)
    dataset.SOPInstanceUID = uid("extended", content_digest(dataset, implicit_vr=bool(implicit)))
    return file_bytes(dataset, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def _check_texts(dataset: Dataset, plan: Plan, made_for: PreparedFor) -> None:
    """Refuse names that the character set of the plan does not have."""
    encodings = convert_encodings(dataset.get("SpecificCharacterSet"))
    foci = [instruction.focus for field in plan.fields for instruction in field.instructions]
    for name in dict.fromkeys((made_for.beamline, made_for.beamline_version, *foci)):
        if not any(_has(encoding, name) for encoding in encodings):
            raise PlanError(
                f"{plan.path}: SpecificCharacterSet cannot hold {one_line(name)!r}, a name in the beam line; "
                "export the plan in ISO_IR 192, or rename it"
            )


def _has(encoding: str, name: str) -> bool:
    try:
        return bool(name.encode(encoding)) or not name
    except UnicodeEncodeError:
        return False


def _check_written(content: bytes, plan: Plan) -> None:
    """Refuse to write what would be refused; the hash in it tells whether the instructions come back."""
    try:
        plan_of(dcmread(BytesIO(content)), "", plan.path)
    except PlanError as error:
        reason = str(error).removeprefix(f"{plan.path}: ")
        raise PlanError(f"{plan.path}: cannot be written, for it would not be read back: {reason}") from None
