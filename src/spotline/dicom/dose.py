"""Read and write DICOM RT Dose.

What is written is a multi-frame image of 32 bits with transverse planes and relative offsets, its unique
identifiers made from its content, in the encoding of `spotline.dicom.encoding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
from pydicom import Dataset, config
from pydicom.tag import Tag
from pydicom.uid import UID, RTDoseStorage, RTIonBeamsTreatmentRecordStorage, RTIonPlanStorage

from spotline.arrays import Floats
from spotline.dicom.attributes import (
    code,
    integer,
    items,
    missing,
    number,
    numbers,
    one_line,
    read_dataset,
    required_number,
    text,
)
from spotline.dicom.encoding import (
    LONG_STRING,
    content_digest,
    decimal,
    file_bytes,
    new_dataset,
    uid,
    write_new_file,
)
from spotline.dicom.image_planes import (
    Plane,
    as_dose_error,
    frame_of_reference,
    pixels,
    read_plane,
    stack,
    straight_line,
    uneven,
)
from spotline.dose.grid import DoseGrid, DoseKind
from spotline.errors import DoseError

_ADVICE = "export the dose again"
_HIGHEST = 2**32 - 1024
"""Stored value of the highest dose: with a little room, as the scaling is rounded to a decimal string."""

_OF_A_FIELD = ("BEAM", "BEAM_SESSION")
_OF_RECORDS = ("RECORD",)
_OF_A_PLAN = ("PLAN", "FRACTION", "FRACTION_SESSION", "PLAN_OVERVIEW", *_OF_A_FIELD)
_IDENTITY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def read_dose(path: str | Path) -> DoseGrid:
    """Read a DICOM RT Dose and check it.

    Planes along any axis of the patient, in either sense, and offsets relative to the first plane or (for
    transverse planes) absolute are turned into ascending x, y and z.

    Parameters
    ----------
    path : str or Path
        DICOM file.

    Returns
    -------
    DoseGrid

    Raises
    ------
    DoseError
        If the file is no RT Dose, is damaged, holds no dose in Gy, lies obliquely in the patient, or its
        planes are not evenly spaced.
    """
    path = Path(path)
    where = str(path)
    with as_dose_error(_ADVICE):
        dataset, _ = read_dataset(path)
        _check_kind(dataset, where)
        scaling = required_number(dataset, "DoseGridScaling", where)
        if scaling <= 0.0:
            raise DoseError(f"{where}: DoseGridScaling is {scaling:g}; it must be above 0, {_ADVICE}")
        frames = integer(dataset, "NumberOfFrames", where) or 1
        plane = read_plane(dataset, where)
        offsets_mm = _offsets_mm(dataset, plane, frames, where)
        stored = pixels(dataset, frames, where)
        if stored.min() < 0:
            raise DoseError(f"{where}: PixelData has negative values, but a dose has none; {_ADVICE}")
        grid, turned = stack(stored, plane, _step_mm(dataset, offsets_mm, where))
        dose_Gy = np.empty(grid.shape, dtype=np.float32)
        for index in range(len(turned)):  # plane by plane, as products of 64 bits need twice the memory
            dose_Gy[index] = turned[index] * scaling
        group, beam = _fraction_group(dataset, where)
        return DoseGrid(
            grid=grid,
            dose_Gy=dose_Gy,
            kind=_kind(dataset, where),
            frame_of_reference_uid=frame_of_reference(dataset, where),
            summation=code(dataset, "DoseSummationType", where),
            comment=text(dataset, "DoseComment", where),
            plan_uid=_plan_uid(dataset, where),
            record_uids=_record_uids(dataset, where),
            fraction_group=group,
            beam_number=beam,
        )


def write_dose(
    dose: DoseGrid,
    path: str | Path,
    *,
    identity: Mapping[str, str] | None = None,
    creation: datetime | None = None,
) -> None:
    """Write a DICOM RT Dose.

    Parameters
    ----------
    dose : DoseGrid
        Its `plan_uid`, `record_uids`, `fraction_group` and `beam_number` become references.  Without
        `plan_uid` the reference that DICOM demands is made from the content, and leads nowhere.  Of its
        comment the first 64 characters are written.
    path : str or Path
        New file; its folder must exist.
    identity : mapping of str to str, optional
        Patient and study, by DICOM keyword, as in `spotline.plan.Plan.identity`; where StudyInstanceUID or
        the frame of reference is not known, a new one is made.
    creation : datetime, optional
        Date and time of the dose; left empty if not given.

    Raises
    ------
    DoseError
        If a dose is negative, or is said to be of a field or records that it does not name.
    OutputError
        If the file exists already or cannot be written.
    """
    write_new_file(Path(path), dose_bytes(dose, identity=identity, creation=creation))


def dose_bytes(
    dose: DoseGrid, *, identity: Mapping[str, str] | None = None, creation: datetime | None = None
) -> bytes:
    """Encode a dose as a DICOM file; see `write_dose`."""
    known = dict(identity or {})
    dataset = new_dataset(RTDoseStorage, "RTDOSE")
    dataset.InstanceNumber = "1"
    dataset.PositionReferenceIndicator = ""
    for keyword in _IDENTITY:
        setattr(dataset, keyword, known.get(keyword, ""))
    if creation is not None:
        dataset.InstanceCreationDate = dataset.ContentDate = creation.strftime("%Y%m%d")
        dataset.InstanceCreationTime = dataset.ContentTime = creation.strftime("%H%M%S")
    _put_planes(dataset, dose)
    _put_dose(dataset, dose)
    digest = content_digest(dataset)
    dataset.SOPInstanceUID = uid("instance", digest)
    dataset.SeriesInstanceUID = uid("series", digest)
    dataset.StudyInstanceUID = known.get("StudyInstanceUID") or uid("StudyInstanceUID", digest)
    dataset.FrameOfReferenceUID = (
        dose.frame_of_reference_uid or known.get("FrameOfReferenceUID") or uid("FrameOfReferenceUID", digest)
    )
    _put_references(dataset, dose, digest)
    return file_bytes(dataset)


def _check_kind(dataset: Dataset, where: str) -> None:
    kind = UID(text(dataset, "SOPClassUID", where), validation_mode=config.IGNORE)
    if kind != RTDoseStorage:
        raise DoseError(
            f"{where}: SOPClassUID is {one_line(kind.name)}, not RT Dose Storage; give a DICOM RT Dose"
        )
    units = code(dataset, "DoseUnits", where)
    if units != "GY":
        raise DoseError(
            f"{where}: DoseUnits is {units}, not GY, so the dose is not known; export it in Gy "
            "(a relative dose would need its normalisation)"
        )


def _kind(dataset: Dataset, where: str) -> DoseKind:
    kind = code(dataset, "DoseType", where).lower()
    if kind not in ("physical", "effective"):
        raise DoseError(
            f"{where}: DoseType is {kind.upper()}; Spotline reads PHYSICAL and EFFECTIVE dose, export one"
        )
    return cast("DoseKind", kind)


def _offsets_mm(dataset: Dataset, plane: Plane, frames: int, where: str) -> Floats:
    """Offsets of the planes along the normal (DICOM PS3.3, C.8.8.3.2), shape (frames,)."""
    offsets = numbers(dataset, "GridFrameOffsetVector", where)
    if offsets is None:
        if frames > 1:
            raise missing("GridFrameOffsetVector", where, f"for {frames} planes")
        return np.zeros(1)
    if len(offsets) != frames:
        raise DoseError(
            f"{where}: GridFrameOffsetVector has {len(offsets)} values, but NumberOfFrames is {frames}; "
            f"{_ADVICE}"
        )
    first_mm = plane.first_mm[2]
    if offsets[0] != 0.0:
        is_absolute = plane.normal[0] == 2 and abs(offsets[0] - first_mm) <= 1e-3
        if is_absolute and plane.normal != (2, 1):
            raise DoseError(
                f"{where}: GridFrameOffsetVector is absolute (it begins with {offsets[0]:g}, the z of "
                "ImagePositionPatient), but its planes follow each other towards the feet "
                "(ImageOrientationPatient, as of a patient who lies feet first); DICOM has absolute offsets "
                "for 1\\0\\0\\0\\1\\0 alone, export the dose with offsets that begin with 0"
            )
        if not is_absolute:
            raise DoseError(
                f"{where}: GridFrameOffsetVector begins with {offsets[0]:g}; it either is relative and "
                f"begins with 0, or absolute and begins with the z of ImagePositionPatient ({first_mm:g}), "
                f"of transverse planes; {_ADVICE}"
            )
        offsets = offsets - offsets[0]
    if frames > 1:
        at = uneven(offsets)
        if at is not None:
            raise DoseError(
                f"{where}: GridFrameOffsetVector goes from {offsets[at]:g} to {offsets[at + 1]:g} mm at "
                f"index {at}, which is not the usual step; export the dose on an evenly spaced grid"
            )
    return offsets


def _step_mm(dataset: Dataset, offsets_mm: Floats, where: str) -> float:
    if len(offsets_mm) > 1:
        line = straight_line(offsets_mm)
        assert line is not None  # `_offsets_mm` has seen to it
        return line[1]
    thickness_mm = number(dataset, "SliceThickness", where) or 0.0
    if thickness_mm <= 0.0:
        raise DoseError(
            f"{where}: has a single plane and no SliceThickness that says how thick it is; export the "
            "dose of a volume"
        )
    return thickness_mm


def _plan_uid(dataset: Dataset, where: str) -> str:
    plans = items(dataset, "ReferencedRTPlanSequence", where)
    return text(plans[0], "ReferencedSOPInstanceUID", where) if len(plans) == 1 else ""


def _record_uids(dataset: Dataset, where: str) -> tuple[str, ...]:
    records = items(dataset, "ReferencedTreatmentRecordSequence", where)
    return tuple(text(record, "ReferencedSOPInstanceUID", where) for record in records)


def _fraction_group(dataset: Dataset, where: str) -> tuple[int, int | None]:
    """Numbers of the fraction group and of the field, if the dose is that of one field."""
    for plan in items(dataset, "ReferencedRTPlanSequence", where):
        for group in items(plan, "ReferencedFractionGroupSequence", where):
            beams = items(group, "ReferencedBeamSequence", where)
            beam = integer(beams[0], "ReferencedBeamNumber", where) if len(beams) == 1 else None
            return integer(group, "ReferencedFractionGroupNumber", where) or 1, beam
    return 1, None


def _put_planes(dataset: Dataset, dose: DoseGrid) -> None:
    grid = dose.grid
    nz, ny, nx = grid.shape
    dx, dy, dz = grid.spacing_mm
    dataset.ImagePositionPatient = [decimal(value) for value in grid.origin_mm]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing = [decimal(dy), decimal(dx)]
    dataset.SliceThickness = decimal(dz)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = str(nz)
    dataset.FrameIncrementPointer = Tag("GridFrameOffsetVector")
    dataset.Rows, dataset.Columns = ny, nx
    dataset.BitsAllocated = dataset.BitsStored = 32
    dataset.HighBit = 31
    dataset.PixelRepresentation = 0
    dataset.GridFrameOffsetVector = [decimal(dz * index) for index in range(nz)]


def _put_dose(dataset: Dataset, dose: DoseGrid) -> None:
    highest_Gy = float(dose.dose_Gy.max())
    if dose.dose_Gy.min() < 0.0:
        raise DoseError(
            f"dose: the lowest value is {dose.dose_Gy.min():g} Gy, and RT Dose holds none below 0; a "
            "difference cannot be written as RT Dose"
        )
    # What is written is what a reader multiplies with, so the values are divided by the rounded scaling.
    dataset.DoseGridScaling = decimal(highest_Gy / _HIGHEST if highest_Gy > 0.0 else 1.0)
    scaling = float(dataset.DoseGridScaling)
    stored = np.empty(dose.grid.shape, dtype="<u4")
    for index, plane_Gy in enumerate(dose.dose_Gy):
        stored[index] = np.rint(plane_Gy.astype(np.float64) / scaling)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.DoseUnits = "GY"
    dataset.DoseType = dose.kind.upper()
    dataset.DoseSummationType = dose.summation
    if dose.comment:
        dataset.DoseComment = dose.comment[:LONG_STRING]


def _put_references(dataset: Dataset, dose: DoseGrid, digest: str) -> None:
    if dose.summation in _OF_RECORDS:
        if not dose.record_uids:
            raise DoseError(
                f"dose: is of the records of a treatment ({dose.summation}), but names none; give record_uids"
            )
        dataset.ReferencedTreatmentRecordSequence = [
            _reference(RTIonBeamsTreatmentRecordStorage, record) for record in dose.record_uids
        ]
    # A dose of records refers to these, and they refer to the plan: DICOM has no place for both.
    if dose.summation in _OF_A_PLAN or (dose.plan_uid and dose.summation not in _OF_RECORDS):
        plan = _reference(RTIonPlanStorage, dose.plan_uid or uid("plan", digest))
        if dose.summation.startswith(("FRACTION", "BEAM")):
            group = Dataset()
            group.ReferencedFractionGroupNumber = str(dose.fraction_group)
            if dose.summation in _OF_A_FIELD:
                if dose.beam_number is None:
                    raise DoseError(
                        f"dose: is of one field ({dose.summation}), but does not say which; give beam_number"
                    )
                beam = Dataset()
                beam.ReferencedBeamNumber = str(dose.beam_number)
                group.ReferencedBeamSequence = [beam]
            plan.ReferencedFractionGroupSequence = [group]
        dataset.ReferencedRTPlanSequence = [plan]


def _reference(kind: UID, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = kind
    item.ReferencedSOPInstanceUID = instance
    return item
